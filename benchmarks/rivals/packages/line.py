"""Workloads come in by lines, and the bodies that the package would send go out.

In: a way and a number, then as many lines of a workload file; again and again. Out: first
the versions of what is installed, then one body a line, or ``{"failed": why}`` where the
package raised. A placer is made anew for each workload, since some of them learn.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Body", "Line", "Maker", "as_sent", "serve"]

Body = dict[str, Any]
Line = dict[str, Any]
#: Given the lines of a workload, returns what places the marks of one after the other.
Maker = Callable[[list[Line]], Callable[[Line], Body]]
#: What a package decides; all else of a body is the caller's and stays.
_ITS_OWN = ("tools", "system", "messages", "cache_control")


def serve(packages: tuple[str, ...], ways: Mapping[str, Maker]) -> None:
    """Answer on the standard streams, as long as there are workloads."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        # What packages print is for people.
        os.dup2(2, 1)
        print(json.dumps({name: _version(name) for name in packages}), file=out, flush=True)
        for asked in iter(sys.stdin.readline, ""):
            way, count = asked.split()
            lines = [json.loads(sys.stdin.readline()) for _ in range(int(count))]
            send = ways[way](lines)
            for line in lines:
                print(json.dumps(_answer(send, line)), file=out)
            out.flush()


def as_sent(body: Body, sent: Mapping[str, Any]) -> Body:
    """Return the caller's body with what a package makes of it."""
    rest = {key: value for key, value in body.items() if key not in _ITS_OWN}
    return rest | {key: sent[key] for key in _ITS_OWN if sent.get(key)}


def _answer(send: Callable[[Line], Body], line: Line) -> Body:
    """Return the body of one call, or what the package said instead."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return send(line)
    except Exception as error:  # noqa: BLE001 -- a failing package is a result
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
