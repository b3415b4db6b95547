"""How large a picture is, and how many pages a PDF has, read from their first bytes.

This file may know the four image formats the service takes (Claude docs, vision,
2026-08-22) and as much of PDF as page counting needs. It decodes no picture, and what it
cannot read is ``None``, never an error.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

__all__ = ["pdf_pages", "picture_size"]

#: Characters of base64 looked at first. A size stands in the first bytes, but for a JPEG
#: whose profile and thumbnail come before it.
_FIRST: Final = 1 << 12

#: A page object, not the tree of pages; and how many pages such a tree says it has.
_PAGE: Final = re.compile(rb"/Type\s*/Page\b(?!s)")
_PAGE_COUNT: Final = re.compile(rb"/Count\s+(\d{1,4})\b")
#: Bytes of a page where both are hidden in compressed streams: a page of text with fonts.
_PAGE_BYTES: Final = 50_000

#: Sizes stand in a JPEG's start-of-frame segment, one of 13 kinds; the other markers of
#: that range define tables (ITU T.81, table B.1).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(data: str) -> tuple[int, int] | None:
    """Return width and height of a base64 PNG, JPEG, GIF or WebP.

    >>> picture_size("R0lGODlhLAHIAPAAAA==")
    (300, 200)
    """
    for end in (_FIRST, len(data)):
        size = _size(_decoded(data[:end]))
        if size or end >= len(data):
            return size
    return None


def _decoded(data: str) -> bytes:
    """Decode as much base64 as is whole; nothing where it is none."""
    data = "".join(data.split())
    try:
        return binascii.a2b_base64(data[: len(data) // 4 * 4])
    except (ValueError, UnicodeEncodeError):
        return b""


def _size(raw: bytes) -> tuple[int, int] | None:
    """Ask each format whether it knows these bytes; a size of nothing is no size."""
    size = None
    if raw.startswith(b"\x89PNG\r\n\x1a\n") and len(raw) >= 24:  # noqa: PLR2004 -- end of the fields
        size = int.from_bytes(raw[16:20]), int.from_bytes(raw[20:24])
    elif raw.startswith((b"GIF87a", b"GIF89a")) and len(raw) >= 10:  # noqa: PLR2004
        size = int.from_bytes(raw[6:8], "little"), int.from_bytes(raw[8:10], "little")
    elif raw.startswith(b"\xff\xd8"):
        size = _jpeg_size(raw)
    elif raw.startswith(b"RIFF") and raw[8:12] == b"WEBP" and len(raw) >= 30:  # noqa: PLR2004
        size = _webp_size(raw)
    return size if size and all(size) else None


def _jpeg_size(raw: bytes) -> tuple[int, int] | None:
    """Walk from segment to segment to the start of the frame."""
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:  # noqa: PLR2004 -- what a marker begins with
        if raw[at + 1] == 0xFF:  # noqa: PLR2004 -- padding
            at += 1
        elif raw[at + 1] in _FRAMES:
            height, width = raw[at + 5 : at + 7], raw[at + 7 : at + 9]
            return int.from_bytes(width), int.from_bytes(height)
        else:
            at += 2 + int.from_bytes(raw[at + 2 : at + 4])
    return None


def _webp_size(raw: bytes) -> tuple[int, int] | None:
    """Read the canvas of one of WebP's three layouts (RFC 9649)."""
    layout = raw[12:16]
    if layout == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if layout == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if layout == b"VP8 ":
        width, height = raw[26:28], raw[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    return None


def pdf_pages(data: str) -> tuple[int, bool]:
    """Return about how many pages a base64 PDF has, and whether it said so itself."""
    raw = _decoded(data)
    pages = len(_PAGE.findall(raw))
    if not pages:
        pages = max((int(count) for count in _PAGE_COUNT.findall(raw)), default=0)
    return (pages, True) if pages else (len(raw) // _PAGE_BYTES + 1, False)
