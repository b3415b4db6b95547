"""The porch: the only code that touches files, clocks, sockets and the terminal.

Everything below it is pure, and nothing below it imports from here.
"""

from __future__ import annotations

__all__: list[str] = []
