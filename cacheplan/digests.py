"""The digest form: prompts without their text, each block a name and a length.

A line may extend an earlier one, so that a conversation costs a line per turn. Shared
names are shared blocks; what a name was made from is not known here, nor needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Envelope, Sent, place_automatic, scope_of
from cacheplan.errors import InputError
from cacheplan.kinds import CONTENT
from cacheplan.prefixes import SETTINGS, PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.settings import Settings, settings
from cacheplan.strict_json import member, quoted, typed, value

__all__ = ["Digests"]

_LEVELS = {str(level): level for level in Level}
#: As for a recorded call: no block is as long, and arithmetic has an end.
_TOKENS = 10**12


class _Named(msgspec.Struct):
    """A block of the digest form."""

    digest: str
    tokens: int
    level: Literal["tools", "system", "messages"]
    #: Left out is ``text``.
    kind: str | msgspec.UnsetType = msgspec.UNSET
    #: True where the service takes no breakpoint, for a reason that only the text shows.
    unmarkable: bool = False


class _Mark(msgspec.Struct):
    """A mark of the digest form: which block of the whole prompt, and for how long."""

    block: int
    ttl: Literal["5m", "1h"] = "5m"


_BLOCKS = msgspec.json.Decoder(list[_Named])
_MARKS = msgspec.json.Decoder(list[_Mark])


class _Prompt(NamedTuple):
    """What a line leaves for those that extend it."""

    tip: int
    scope: Scope
    gates: Settings
    #: Blocks in all, and blocks before the messages.
    length: int
    head: int
    images: bool


class Digests:
    """Reads prompts of the digest form into a tree."""

    def __init__(self, tree: PrefixTree, assume: Assumptions) -> None:
        self.tree = tree
        self._assume = assume
        self._known: dict[str, _Prompt] = {}
        self._gates: dict[tuple[str, str, bool], Settings] = {}

    def read(self, parts: Mapping[str, msgspec.Raw], envelope: Envelope, id: str | None) -> Sent:  # noqa: A002 -- the contract's key
        """Read the prompt of one line."""
        name = envelope.model or self._word(parts, "model") or ""
        if not name:
            raise InputError("missing; the digest form names its model", ("model",))
        speed = self._word(parts, "speed") or "standard"
        prompt = self._lay_out(parts, envelope, name, speed)
        marks = self._marks(parts, prompt)
        automatic = self._automatic(parts)
        geo = self._word(parts, "inference_geo") or ""
        closing = self._closing(parts)
        refused = None
        if automatic is not None:
            refused = place_automatic(self.tree, automatic, prompt.tip, marks)
        if id is not None:
            self._known[id] = prompt
        tariff = Tariff(name, envelope.platform, envelope.surface, speed, geo)
        return Sent(prompt.tip, tariff, tuple(marks), automatic, closing, refused)

    def _lay_out(
        self, parts: Mapping[str, msgspec.Raw], envelope: Envelope, name: str, speed: str
    ) -> _Prompt:
        """Follow the line's blocks from the prompt that it extends, or from the root."""
        named = self._named(parts)
        earlier = self._extended(parts)
        scope = scope_of(name, envelope, self._assume)
        images = (earlier is not None and earlier.images) or any(b.kind == "image" for b in named)
        gates = self._settings(name, speed, images=images)
        blocks = self._intern(named)
        if earlier is not None and (earlier.scope != scope or earlier.gates != gates):
            # Another model, speed or the first image: the same blocks under another key.
            blocks = self._blocks_of(earlier.tip) + blocks
            earlier = None
        if earlier is None:
            earlier = _Prompt(self.tree.root(scope), scope, gates, 0, 0, images)
        tip, head = self._extend(earlier, gates, blocks)
        return _Prompt(tip, scope, gates, earlier.length + len(blocks), head, images)

    def _extend(self, earlier: _Prompt, gates: Settings, blocks: Sequence[int]) -> tuple[int, int]:
        """Go down block by block, over the settings wherever a level begins."""
        tree, node, head = self.tree, earlier.tip, earlier.head
        last = tree.block[node]
        level = -1 if last < 0 else tree.level[last]
        for at, block in enumerate(blocks):
            here = tree.level[block]
            if here < level:
                raise InputError(
                    f"{here} after {Level(level)}; levels go tools, system, messages",
                    ("blocks", at, "level"),
                )
            while level < here:
                level += 1
                if gates[level]:
                    node = tree.child(node, tree.settings(Level(level), gates[level]))
            head += here is not Level.MESSAGES
            node = tree.child(node, block)
        return node, head

    def _named(self, parts: Mapping[str, msgspec.Raw]) -> list[_Named]:
        """Decode the line's own blocks."""
        raw = parts.get("blocks")
        if raw is None:
            return []
        try:
            named = typed(raw, _BLOCKS)
            if _may_repeat(bytes(raw), named):
                value(raw)
        except InputError as error:
            raise error.within("blocks") from error
        for at, block in enumerate(named):
            if not 0 <= block.tokens <= _TOKENS:
                what = f"{quoted(block.tokens)} is not a number of tokens"
                raise InputError(what, ("blocks", at, "tokens"))
        return named

    def _intern(self, named: Sequence[_Named]) -> list[int]:
        """Number the blocks; one name with two lengths is two blocks."""
        numbers = []
        for block in named:
            kind = block.kind or "text"
            form = f"{block.level}\0{kind}\0{block.digest}".encode()
            level = _LEVELS[block.level]
            refuses = "" if level is Level.TOOLS else CONTENT.get(kind, "")
            numbers.append(
                self.tree.intern(
                    Block(
                        level=level,
                        kind=kind,
                        digest=blake2b(form, digest_size=16).digest(),
                        tokens=block.tokens,
                        refuses=refuses or ("unmarkable" if block.unmarkable else ""),
                    ),
                    block.tokens,
                )
            )
        return numbers

    def _extended(self, parts: Mapping[str, msgspec.Raw]) -> _Prompt | None:
        """Return the prompt that a line extends."""
        name = self._word(parts, "extends")
        if name is None:
            return None
        found = self._known.get(name)
        if found is None:
            raise InputError(f"{quoted(name)} is not the id of an earlier line", ("extends",))
        return found

    def _blocks_of(self, tip: int) -> list[int]:
        """Return the blocks of a prompt, settings left out."""
        tree = self.tree
        blocks = (tree.block[node] for node in tree.path(tip))
        return [block for block in blocks if tree.kind[block] != SETTINGS]

    def _settings(self, name: str, speed: str, *, images: bool) -> Settings:
        """Return what takes part besides blocks, as far as this form says."""
        key = (name, speed, images)
        if key not in self._gates:
            found = facts.find(name)
            model = found.model if found else None
            self._gates[key] = settings({"speed": speed}, model, images, self._assume)
        return self._gates[key]

    def _marks(self, parts: Mapping[str, msgspec.Raw], prompt: _Prompt) -> list[Breakpoint]:
        """Find the prefixes that the line's marks stand on."""
        raw = parts.get("marks")
        if raw is None:
            return []
        try:
            value(raw)  # refuses a key given twice
            found = typed(raw, _MARKS)
        except InputError as error:
            raise error.within("marks") from error
        marks: dict[int, Breakpoint] = {}
        for at, mark in enumerate(found):
            if not 0 <= mark.block < prompt.length:
                what = f"{quoted(mark.block)} is not one of the prompt's {prompt.length} blocks"
                raise InputError(what, ("marks", at, "block"))
            if mark.block in marks:
                raise InputError(f"{mark.block} is marked twice", ("marks", at, "block"))
            node = self._node_at(prompt, mark.block)
            marks[mark.block] = Breakpoint(node, Lifetime(mark.ttl))
        return sorted(marks.values())

    def _node_at(self, prompt: _Prompt, index: int) -> int:
        """Return the prefix that ends with a block, walking up from the nearer end."""
        tree, node, above = self.tree, prompt.tip, prompt.length - 1 - index
        if index < prompt.head:
            node = max(tree.system_end[node], tree.tools_end[node])
            above = prompt.head - 1 - index
        while above or tree.kind[tree.block[node]] == SETTINGS:
            above -= tree.kind[tree.block[node]] != SETTINGS
            node = tree.parent[node]
        return node

    def _automatic(self, parts: Mapping[str, msgspec.Raw]) -> Lifetime | None:
        """Read the top-level mark."""
        word = self._word(parts, "automatic")
        try:
            return None if word is None else Lifetime(word)
        except ValueError as error:
            raise InputError(f"{quoted(word)} is not 5m or 1h", ("automatic",)) from error

    def _closing(self, parts: Mapping[str, msgspec.Raw]) -> int:
        """Read how many tokens follow the last block, which no breakpoint reaches."""
        found = member(parts, "closing_tokens")
        if found is None:
            return 0
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _TOKENS:
            raise InputError("this is not a number of tokens", ("closing_tokens",))
        return found

    def _word(self, parts: Mapping[str, msgspec.Raw], key: str) -> str | None:
        """Return a member that is text or left out."""
        found = member(parts, key)
        if found is None or isinstance(found, str):
            return found
        raise InputError("this is not text", (key,))


def _may_repeat(raw: bytes, named: Sequence[_Named]) -> bool:
    """Tell whether some block may give one of its keys twice, without reading it again.

    A key that stands no more often than there are values for it stands nowhere twice;
    an escape could spell a key so that it is not found.
    """
    kinds = sum(block.kind is not msgspec.UNSET for block in named)
    given = {b"digest": len(named), b"tokens": len(named), b"level": len(named), b"kind": kinds}
    return b"\\" in raw or any(raw.count(b'"%b"' % key) > most for key, most in given.items())
