"""Units: blocks of a prompt on their way into another, and what an edit makes of them.

This file knows single blocks and lists of them; the tree and the bodies that they are
taken from, and put into, stand above it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from cacheplan import kinds
from cacheplan.canonical import canonical, digest
from cacheplan.prompt import Level

__all__ = ["FRONT", "Heads", "Unit", "behind", "cut", "empty", "remade", "worded"]

#: Characters that a block of its own is made for: some fifty tokens, and no prefix that a
#: model keeps is shorter than ten times that.
FRONT: Final = 200


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One block of a prompt, on its way into another."""

    level: Level
    kind: str
    digest: bytes
    length: int
    role: str = ""
    refuses: str = ""
    #: Which block of the old prompt it comes from, counted from the start of the head.
    source: int = -1
    #: What it says, as its caller wrote it, without marks; ``None`` where nobody knows.
    body: Mapping[str, Any] | None = None
    #: By which tokenizer it is counted, as the tree has it; 0 and more is none.
    variant: int = 0


#: Returns the new head of a call, and what is moved behind the last message.
Heads = Callable[[Sequence[Unit]], tuple[Sequence[Unit], Sequence[Unit]]]


def worded(
    unit: Unit, text: str, length: int, *, level: Level | None = None, role: str | None = None
) -> Unit:
    """Return a block of text that says something else: the same words are the same block."""
    return remade(
        msgspec.structs.replace(unit, kind="text", refuses="" if text.strip() else "blank"),
        {"type": "text", "text": text},
        length,
        level=level,
        role=role,
    )


def remade(
    unit: Unit,
    body: Mapping[str, Any],
    length: int | None = None,
    *,
    level: Level | None = None,
    role: str | None = None,
    string_form: str = "same",
) -> Unit:
    """Return a block with another body; as long as it was unless somebody says how long."""
    here, who = unit.level if level is None else level, unit.role if role is None else role
    form = canonical(body, here, who, string_form=string_form)
    return msgspec.structs.replace(
        unit,
        digest=digest(form),
        length=unit.length if length is None else length,
        level=here,
        role=who,
        body=body,
    )


def behind(unit: Unit) -> Unit:
    """Return a block as it is when a user says it behind the messages.

    A block that nobody can read keeps the name it has.
    """
    if unit.body is None:
        return msgspec.structs.replace(unit, level=Level.MESSAGES, role="user", source=-1)
    said = msgspec.structs.replace(unit, source=-1)
    return remade(said, unit.body, level=Level.MESSAGES, role="user")


def cut(front: str, digests: Collection[bytes]) -> Heads:
    """Return what cuts these blocks in two behind what they all begin with.

    Nothing moves and nothing is lost, so the model reads what it read. A mark stays at the
    end of the whole. A short front is left: what it would save is not worth a block.
    """

    def head(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        made: list[Unit] = []
        for unit in units:
            text = (unit.body or {}).get("text") if unit.digest in digests else None
            rest = text[len(front) :] if isinstance(text, str) and text.startswith(front) else ""
            if len(front) < FRONT or kinds.blank(rest):
                made.append(unit)
                continue
            share = round(unit.length * len(front) / (len(front) + len(rest)))
            made += [worded(unit, front, share), worded(unit, rest, unit.length - share)]
        return made, []

    return head


def empty(unit: Unit) -> bool:
    """Tell whether an edit made a block that says nothing; the service refuses such text."""
    made = unit.source < 0 and unit.kind == "text" and unit.body is not None
    return made and kinds.blank((unit.body or {}).get("text"))
