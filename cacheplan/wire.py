"""The body of ``POST /v1/messages`` read as blocks, and written with marks.

This file may know the body as a whole. It changes nothing but ``cache_control`` keys, and
never the caller's object.
"""

from __future__ import annotations

from cacheplan.canonical import canonical, digest
from cacheplan.pieces import Piece, message_pieces, system_pieces, tool_pieces
from cacheplan.settings import Settings, citations_in, images_in, settings

__all__ = [
    "Piece",
    "Settings",
    "canonical",
    "citations_in",
    "digest",
    "images_in",
    "message_pieces",
    "settings",
    "system_pieces",
    "tool_pieces",
]
