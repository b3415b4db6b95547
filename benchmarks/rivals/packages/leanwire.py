"""leanwire: marks every twenty blocks from the tail, in bodies as they are."""

from __future__ import annotations

import copy
from typing import Any

from benchmarks.rivals.packages.line import Body, Line, serve

__all__: list[str] = []


def rolling(lines: list[Line]) -> Any:
    """``CachePolicy()`` alone; it leaves tools and system to the caller."""
    from leanwire import CachePolicy  # noqa: PLC0415

    del lines

    def send(line: Line) -> Body:
        body = line["request"]
        sent: Body = CachePolicy(model=body["model"]).apply(body).request
        return sent

    return send


def pinned(lines: list[Line]) -> Any:
    """The same behind marks on tools and system, as its documentation has them."""
    from leanwire import CachePolicy  # noqa: PLC0415

    del lines
    mark = {"cache_control": {"type": "ephemeral"}}

    def send(line: Line) -> Body:
        body = copy.deepcopy(line["request"])
        if body.get("tools"):
            body["tools"][-1].update(mark)
        if body.get("system"):
            system = body["system"]
            blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
            body["system"] = [*blocks[:-1], {**blocks[-1], **mark}]
        sent: Body = CachePolicy(model=body["model"]).apply(body).request
        return sent

    return send


if __name__ == "__main__":
    serve(("leanwire",), {"rolling": rolling, "pinned": pinned})
