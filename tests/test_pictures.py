"""Sizes of pictures and page counts of PDFs, read from bytes other programs wrote."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.pictures import pdf_pages, picture_size

sides = st.integers(1, 9000)


def b64(raw: bytes) -> str:
    """Write bytes as a body carries them."""
    return base64.b64encode(raw).decode()


def png(width: int, height: int) -> bytes:
    """Write the head of a PNG with a whole first chunk."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def gif(width: int, height: int) -> bytes:
    """Write the head of a GIF."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0)


def jpeg(width: int, height: int, profile: int = 100, marker: int = 0xC0) -> bytes:
    """Write a JPEG up to its frame, with a profile and tables before it."""
    segments = b"\xff\xe1" + struct.pack(">H", profile + 2) + b"\xc0" * profile
    segments += b"\xff\xc4" + struct.pack(">H", 12) + b"\x00" * 10 + b"\xff"
    frame = struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x00" * 3
    return b"\xff\xd8" + segments + bytes([0xFF, marker]) + frame


def webp(width: int, height: int, layout: bytes) -> bytes:
    """Write the head of a WebP in one of its three layouts."""
    if layout == b"VP8X":
        body = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    elif layout == b"VP8L":
        body = b"\x2f" + (width - 1 | (height - 1) << 14).to_bytes(4, "little") + bytes(5)
    else:
        body = b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    chunk = layout + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


@given(sides, sides)
def test_sizes_are_read(width: int, height: int) -> None:
    """Every format the service takes gives its width and height."""
    for raw in (
        png(width, height),
        gif(width, height),
        jpeg(width, height),
        jpeg(width, height, marker=0xC2),
        webp(width, height, b"VP8 "),
        webp(width, height, b"VP8L"),
        webp(width, height, b"VP8X"),
    ):
        assert picture_size(b64(raw)) == (width, height)


def test_size_behind_a_long_profile_is_found() -> None:
    """A JPEG may carry a profile and a thumbnail before its frame."""
    assert picture_size(b64(jpeg(597, 566, profile=60_000))) == (597, 566)


def test_wrapped_base64_is_read() -> None:
    """Line breaks inside the base64 are skipped."""
    text = b64(png(400, 301))
    assert picture_size("\r\n".join(text[at : at + 7] for at in range(0, len(text), 7))) == (
        400,
        301,
    )


@given(st.binary(max_size=200) | st.sampled_from([png(1, 1)[:20], jpeg(9, 9)[:30], b"RIFF", b""]))
def test_what_is_no_picture_has_no_size(raw: bytes) -> None:
    """Torn or foreign bytes are no error."""
    size = picture_size(b64(raw))
    assert size is None or raw[:2] in (b"\xff\xd8", b"GI", b"RI", b"\x89P")


@given(st.text())
def test_what_is_no_base64_has_no_size(text: str) -> None:
    """Neither is text of any other sort."""
    assert picture_size("!" + text) is None


@pytest.mark.parametrize(
    ("raw", "pages", "stated"),
    [
        (b"%PDF-1.4 << /Type /Pages /Count 2 >> << /Type /Page >> <</Type/Page/X>>", 2, True),
        (b"%PDF-1.5 << /Type /Pages /Kids [] /Count 17 >>", 17, True),
        (b"%PDF-1.7 " + bytes(120_000), 3, False),
        (b"", 1, False),
    ],
)
def test_pages_are_counted(raw: bytes, pages: int, stated: bool) -> None:
    """Pages count by their objects, else by what their tree says, else by size."""
    assert pdf_pages(b64(raw)) == (pages, stated)
