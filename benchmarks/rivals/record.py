"""Asks every real package to mark prompts of ours, and keeps what it would send.

    python -m benchmarks.rivals.record DIR

``DIR`` keeps the packages' environments (``environments``). The answers are written to
``tests/fixtures/rivals``, one file a package, so that our reading of its rule can be held
against them where none of the packages is installed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.rivals.environments import PACKAGES, Asked, Unavailable

__all__ = ["FOLDER", "PROMPTS", "main"]

FOLDER: Final = Path(__file__).parents[2] / "tests" / "fixtures" / "rivals"
_MODEL: Final = "claude-sonnet-4-5"

Body = dict[str, Any]


def _tool(name: str) -> Body:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    return {"name": name, "description": f"Does {name}.", "input_schema": schema}


def _user(*texts: str) -> Body:
    if len(texts) == 1:
        return {"role": "user", "content": texts[0]}
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def _answer(text: str) -> Body:
    return {"role": "assistant", "content": text}


def _turn(name: str, count: int = 1) -> list[Body]:
    ids = [f"toolu_{name}_{part}" for part in range(count)]
    calls = [{"type": "tool_use", "id": one, "name": "tool_0", "input": {"q": one}} for one in ids]
    found = [
        {"type": "tool_result", "tool_use_id": one, "content": f"It says {one}."} for one in ids
    ]
    said = {"type": "text", "text": f"I look up {name}."}
    return [{"role": "assistant", "content": [said, *calls]}, {"role": "user", "content": found}]


def _body(messages: Sequence[Body], **more: Any) -> Body:
    return {"model": _MODEL, "max_tokens": 1024, **more, "messages": list(messages)}


_TOOLS: Final = [_tool("tool_0"), _tool("tool_1")]
_TWO: Final = [
    {"type": "text", "text": "You answer letters."},
    {"type": "text", "text": "It is now noon."},
]
#: Prompts by what is special about them. No text occurs in two of them, for there are
#: packages that remember.
PROMPTS: Final[dict[str, Body]] = {
    "one question": _body([_user("What is a lighthouse?")], system="You explain.", tools=_TOOLS),
    "no tools": _body([_user("What is a harbour?")], system="You explain harbours."),
    "nothing but a question": _body([_user("What is a river?")]),
    "two system blocks": _body([_user("Write to Ann.")], system=_TWO, tools=_TOOLS),
    "two blocks in a message": _body(
        [_user("A long report on ships.", "What does it say?")], system="You read reports."
    ),
    "a chat": _body(
        [
            _user("Who built it?"),
            _answer("Nobody knows."),
            _user("And when?"),
            _answer("Long ago."),
            _user("Where is it?"),
        ],
        system="You tell of towers.",
        tools=_TOOLS,
    ),
    "a tool loop": _body(
        [_user("Find the keeper."), *_turn("keeper"), *_turn("keepers wife")],
        system="You find people.",
        tools=_TOOLS,
    ),
    "parallel tools": _body(
        [_user("Find all boats."), *_turn("boat", 3)], system="You find boats.", tools=_TOOLS
    ),
    "wide turns": _body(
        [_user("Find all stones."), *_turn("stone", 14), *_turn("pebble", 14)],
        system="You find stones.",
        tools=_TOOLS,
    ),
    "long parts": _body(
        [
            _user("The old logs: " + "wind from the west, " * 270),
            _answer("I have read them."),
            _user("And the new?"),
            _answer("Not yet."),
            _user("Then do."),
        ],
        system="You read logs. " + "Every line counts. " * 260,
        tools=_TOOLS,
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Write one file a package."""
    folder = Path(arguments[0])
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = [
        {"id": name, "at": 60.0 * number, "session": name, "label": "", "request": body}
        for number, (name, body) in enumerate(PROMPTS.items())
    ]
    missing = 0
    for package in PACKAGES:
        try:
            with Asked(package, folder) as process:
                answers = {
                    row: dict(zip(PROMPTS, process.bodies(way, lines), strict=True))
                    for row, way in package.ways.items()
                }
                found = {"versions": process.versions, "sent": answers}
        except Unavailable as why:
            missing += 1
            print(f"{package.name} {why}", file=sys.stderr)
            continue
        text = json.dumps(found, separators=(",", ":"))
        # A body a line, so that what changed can be seen.
        text = text.replace('},"', '},\n"').replace('":{"', '":\n{"')
        (FOLDER / f"{package.name}.json").write_text(text + "\n", encoding="utf-8")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
