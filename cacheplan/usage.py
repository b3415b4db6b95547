"""How many tokens a call was charged for, by the price they carry.

This module knows the five counters and nothing else: no prices, no cache.
"""

from __future__ import annotations

import msgspec

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True):
    """The tokens of one call (or, added up, of many), split as the service bills them.

    A ``msgspec.Struct`` rather than a dataclass because one is made for every simulated
    call, and a frozen dataclass takes ten times as long to make.

    >>> Usage(read=100) + Usage(uncached=3, output=7)
    Usage(uncached=3, write_5m=0, write_1h=0, read=100, output=7)
    """

    #: Prompt tokens after the last breakpoint: ``input_tokens`` on the wire.
    uncached: int = 0
    #: Prompt tokens written with the 5-minute lifetime.
    write_5m: int = 0
    #: Prompt tokens written with the 1-hour lifetime.
    write_1h: int = 0
    #: Prompt tokens read from an entry.
    read: int = 0
    #: Tokens the model wrote.
    output: int = 0

    @property
    def prompt(self) -> int:
        """All prompt tokens: what the model read, however it was charged."""
        return self.uncached + self.write_5m + self.write_1h + self.read

    @property
    def written(self) -> int:
        """Prompt tokens written, whatever their lifetime."""
        return self.write_5m + self.write_1h

    def __add__(self, other: Usage) -> Usage:
        """Add counter by counter."""
        return Usage(
            self.uncached + other.uncached,
            self.write_5m + other.write_5m,
            self.write_1h + other.write_1h,
            self.read + other.read,
            self.output + other.output,
        )
