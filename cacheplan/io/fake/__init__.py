"""The Messages API, imitated for tests: everything behind ``cacheplan.testing``.

The imitation itself (``service`` and what stands under it) is handed the time and the
bytes of a request, and gives back the bytes of an answer. Only ``listening`` knows
sockets and only ``transports`` knows HTTP clients.
"""

from __future__ import annotations

__all__: list[str] = []
