"""Edits written into bodies: the same edits that are simulated on the tree.

A body is taken apart into the units that edits know, in the order of the prompt; edits
run over them, one after another; and what they made is put together again. What no edit
touched is the caller's own object, and so is the whole body where nothing changed. Marks
of the head stay at the end of what they stood on, as they do on the tree.

A body is never written that the service would refuse where it took the old one. What a
body cannot hold is not written either: then the caller hears that it was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from cacheplan import facts, kinds
from cacheplan.assumptions import Assumptions
from cacheplan.edits import Edit, Openings
from cacheplan.parts import THINKING
from cacheplan.pieces import Piece, list_at
from cacheplan.prefixes import SETTINGS
from cacheplan.prompt import Level, Place
from cacheplan.units import Unit, empty
from cacheplan.validity import validate
from cacheplan.wire import parse

__all__ = ["Patched", "patched", "reads_alike", "thinks_alike"]


class Patched(NamedTuple):
    """A body after edits."""

    #: The old object where nothing changed.
    body: Mapping[str, Any]
    #: Which edits changed it, by number.
    by: tuple[int, ...] = ()
    #: True where an edit would have changed it, and no body can hold what it made.
    left: bool = False


def patched(
    body: Mapping[str, Any],
    edits: Sequence[Edit],
    assume: Assumptions,
    platform: str = "anthropic",
    *,
    model: str | None = None,
) -> Patched:
    """Return a body as edits would have it; the caller's own is never touched.

    ``model`` is the one it was sent to, named as lanes are; ``None`` is what it says itself.
    """
    if model is None:
        named = str(body.get("model", ""))
        known = facts.find(named)
        model = known.model.id if known else named
    pieces = parse(body, assume).pieces
    units = [_unit(piece, at) for at, piece in enumerate(pieces)]
    head = [unit for unit in units if unit.level is not Level.MESSAGES]
    said = units[len(head) :]
    moved: list[Unit] = []
    by = []
    for number, edit in enumerate(edits):
        before = head, said, [*moved]
        if edit.block is not None:
            head, said, moved = ([*map(edit.block, some)] for some in before)
        heads = edit.heads(model)
        if heads is not None:
            made, more = heads(head)
            # What is set stands elsewhere in a body, and no edit of blocks changes it.
            head = [unit for unit in made if unit.kind != SETTINGS and not empty(unit)]
            moved += [unit for unit in more if not empty(unit)]
        if edit.opening is not None:
            said = _opened(edit.opening, said)
        if _named(*before) != _named(head, said, moved):
            by.append(number)
    if not by:
        return Patched(body)
    made_body = _together(body, pieces, head, [*said, *moved])
    if made_body is None or _refused(body, made_body, platform):
        return Patched(body, left=True)
    return Patched(made_body, tuple(by))


def _unit(piece: Piece, source: int) -> Unit:
    """Return a block as edits take it; how long it is decides nothing here."""
    block = piece.block
    return Unit(
        level=block.level,
        kind=block.kind,
        digest=block.digest,
        length=0,
        role=block.role,
        refuses=block.refuses,
        source=source,
        body=block.body,
    )


def _opened(opening: Openings, said: Sequence[Unit]) -> list[Unit]:
    """Put what a user says first in another order; each place takes what now stands there.

    Where blocks were cut, all parts of one stand in its place.
    """
    turn = [*takewhile(lambda unit: unit.role == "user", said)]
    made = opening(turn)
    if len(made) == len(turn):
        pairs = zip(made, turn, strict=True)
        made = [msgspec.structs.replace(unit, source=old.source) for unit, old in pairs]
    return [*made, *said[len(turn) :]]


def _named(*lists: Sequence[Unit]) -> list[list[tuple[Level, bytes]]]:
    """Return what units are, level by level."""
    return [[(unit.level, unit.digest) for unit in units] for units in lists]


def _refused(old: Mapping[str, Any], new: Mapping[str, Any], platform: str) -> bool:
    """Tell whether the service would refuse a body, though it took the old one."""
    choice = new.get("tool_choice")
    if isinstance(choice, Mapping) and choice.get("type") == "tool":
        names = [tool.get("name") for tool in list_at(new.get("tools"), ("tools",))]
        if choice.get("name") not in names:
            return True
    return bool(validate(new, platform)) and not validate(old, platform)


# --- put together ----------------------------------------------------------------------


def _together(
    body: Mapping[str, Any], pieces: Sequence[Piece], head: Sequence[Unit], said: Sequence[Unit]
) -> dict[str, Any] | None:
    """Return the body made of these blocks; ``None`` where no body can hold them."""
    if any(unit.body is None for unit in (*head, *said)):
        return None
    blocks = _marked(body, pieces, head)
    made = dict(body)
    tools = [(unit, block) for unit, block in zip(head, blocks, strict=True) if _is_tool(unit)]
    system = [block for unit, block in zip(head, blocks, strict=True) if not _is_tool(unit)]
    _put(made, "tools", _tools(body, tools))
    _put(made, "system", _system(body, pieces, system))
    messages = _messages(body, pieces, said)
    if messages is None or any(block.get("type") != "text" for block in system):
        return None
    _put(made, "messages", messages)
    return made


def _put(made: dict[str, Any], key: str, items: Any) -> None:
    """Set a member; a level with nothing in it is left out."""
    if items:
        made[key] = items
    elif made.get(key):
        del made[key]


def _is_tool(unit: Unit) -> bool:
    """Tell whether a unit is defined among the tools; the service's web tools are as well."""
    return unit.level is Level.TOOLS or kinds.web(unit.body or {})


def _marked(
    body: Mapping[str, Any], pieces: Sequence[Piece], head: Sequence[Unit]
) -> list[Mapping[str, Any]]:
    """Return the blocks of a new head, with the marks of the old one.

    A mark at the end of a level stays there, any other one stays behind its block; where
    that is gone, behind the one before it.
    """
    ends = {unit.level: at for at, unit in enumerate(head)}
    old_ends = {piece.block.level: at for at, piece in enumerate(pieces)}
    by_source = {unit.source: at for at, unit in enumerate(head)}
    controls: dict[int, Any] = {}
    last = -1
    for at, piece in enumerate(pieces):
        level = piece.block.level
        if level is Level.MESSAGES:
            break
        last = ends.get(level, last) if old_ends[level] == at else by_source.get(at, last)
        if piece.mark is not None:
            takes = last
            while takes >= 0 and kinds.refusal(head[takes].body or {}):
                takes -= 1
            controls.setdefault(takes, _old(body, piece).get("cache_control"))
    return [_block(body, pieces, unit, controls.get(at)) for at, unit in enumerate(head)]


def _block(
    body: Mapping[str, Any], pieces: Sequence[Piece], unit: Unit, control: Any
) -> Mapping[str, Any]:
    """Return a block of the head with a mark or none: the caller's own if it is the same."""
    if unit.source >= 0 and unit.digest == pieces[unit.source].block.digest:
        old = _old(body, pieces[unit.source])
        if old.get("cache_control") == control:
            return old
    plain = dict(unit.body or {})
    return plain if control is None else {**plain, "cache_control": control}


def _old(body: Mapping[str, Any], piece: Piece) -> Mapping[str, Any]:
    """Return a block of the head as it stands in the body; a string is one block."""
    items = body[str(piece.place.level)]
    found: Mapping[str, Any] = (
        piece.block.body if isinstance(items, str) else items[piece.place.index]
    )
    return found


def _tools(
    body: Mapping[str, Any], new: Sequence[tuple[Unit, Mapping[str, Any]]]
) -> list[Any] | None:
    """Return the list of tools: new ones where old ones stood, deferred ones left alone."""
    old = list_at(body.get("tools"), ("tools",))
    waiting = {
        web: [block for unit, block in new if kinds.web(unit.body or {}) is web]
        for web in (False, True)
    }
    made = []
    for tool in old:
        if kinds.deferred(tool):
            made.append(tool)
        elif found := waiting[kinds.web(tool)]:
            made.append(found.pop(0))
    made += [*waiting[False], *waiting[True]]
    return body.get("tools") if _same(made, old) else made


def _system(body: Mapping[str, Any], pieces: Sequence[Piece], new: list[Mapping[str, Any]]) -> Any:
    """Return the system prompt: as it was if no edit touched it, else as a list."""
    old = body.get("system")
    if isinstance(old, str):
        at = Place(level=Level.SYSTEM, index=0)
        only = [piece.block.body for piece in pieces if piece.place == at]
        return old if _same(new, only) else new
    return old if _same(new, list_at(old, ("system",))) else new


def _same(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Tell whether two lists hold the same objects."""
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _messages(
    body: Mapping[str, Any], pieces: Sequence[Piece], said: Sequence[Unit]
) -> list[Any] | None:
    """Return the messages with blocks replaced, and with what is moved behind them."""
    messages = list(list_at(body.get("messages"), ("messages",)))
    parts: dict[int, list[Unit]] = {}
    for unit in said:
        parts.setdefault(unit.source, []).append(unit)
    # The last first: where a block becomes several, those behind it move on.
    for source in sorted(parts.keys() - {-1}, reverse=True):
        piece, new = pieces[source], parts[source]
        if [unit.digest for unit in new] != [piece.block.digest]:
            index, blocks = piece.place.index, [unit.body or {} for unit in new]
            messages[index] = _replaced(messages[index], piece.place.content, blocks)
    moved = [unit.body for unit in said if unit.source < 0]
    if not moved:
        return messages
    newest = next((at for at in range(len(messages))[::-1] if messages[at]["role"] == "user"), -1)
    if newest < 0 or any(block is None or block.get("type") != "text" for block in moved):
        return None
    content = messages[newest].get("content")
    listed = [{"type": "text", "text": content}] if isinstance(content, str) else content or ()
    messages[newest] = {**messages[newest], "content": [*listed, *moved]}
    return messages


def _replaced(
    message: Mapping[str, Any], number: int | None, blocks: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a message with one block replaced; the mark on it stays at the end."""
    if number is None:
        return {**message, "content": [*blocks]}
    content = list(message["content"])
    control = _control(content[number])
    *front, last = blocks
    last = last if control is None else {**last, "cache_control": control}
    content[number : number + 1] = [*front, last]
    return {**message, "content": content}


def _control(block: Mapping[str, Any]) -> Any:
    """Return a block's own mark, or the one its last inner block hands up."""
    control = block.get("cache_control")
    inner = kinds.inner(block)
    if control is None and inner and isinstance(inner[-1], Mapping):
        return _control(inner[-1])
    return control


# --- whether the model reads the same ---------------------------------------------------


def reads_alike(one: Mapping[str, Any], other: Mapping[str, Any], assume: Assumptions) -> bool:
    """Tell whether the model reads the same text in the same order.

    How text is cut into blocks, and which block carries a mark, is nothing that it reads.
    """
    assume = replace(assume, string_form="same")
    return _reading(one, assume) == _reading(other, assume)


def _reading(body: Mapping[str, Any], assume: Assumptions) -> list[tuple[Any, ...]]:
    """Return what is read: whole texts, and other blocks by what they say."""
    found: list[tuple[Any, ...]] = []
    for block, place, _ in parse(body, assume).pieces:
        where = (block.level, block.role, place.index if block.level is Level.MESSAGES else 0)
        keys = {key for key, part in block.body.items() if part is not None}
        text = block.body.get("text") if keys <= {"type", "text"} else None
        if not isinstance(text, str):
            found.append((*where, block.digest))
        elif found and isinstance(found[-1][-1], str) and found[-1][:-1] == where:
            found[-1] = (*where, found[-1][-1] + text)
        else:
            found.append((*where, text))
    return found


def thinks_alike(one: Mapping[str, Any], other: Mapping[str, Any], assume: Assumptions) -> bool:
    """Tell whether all thinking stands behind the same prefix, where the model checks that.

    The check is the service's own and its notion of a prefix is not documented, so text in
    another form or cut elsewhere counts as another prefix.
    """
    assume = replace(assume, string_form="differs")
    before, after = parse(one, assume), parse(other, assume)
    found = facts.find(before.model)
    if found is None or not found.model.thinking_bound:
        return True
    bound = [at for at, piece in enumerate(before.pieces) if piece.block.kind in THINKING]
    end = bound[-1] + 1 if bound else 0
    digests = [[piece.block.digest for piece in body.pieces[:end]] for body in (before, after)]
    return digests[0] == digests[1]
