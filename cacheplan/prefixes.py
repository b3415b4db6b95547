"""Who shares what: prompts as paths in one tree of prefixes.

A node is one prefix: everything up to and including a block. The children of a node are
the prefixes that go one block further, so two calls share exactly the nodes their paths
have in common, and a log in which every turn repeats the conversation costs memory only
for the blocks that are new. The tree knows identity, order and length. It knows nothing
of time, marks or prices.

The key of a prefix is a published contract, ``cacheplan.prefix/1``:

* the root is the 16-byte BLAKE2b of the tag and the scope (model, platform, surface,
  isolation), each part preceded by its length;
* every further block: the 16-byte BLAKE2b of the parent's key and the block's digest,
  where the digest covers level, role and canonical form (see ``canonical``);
* what a setting changes is a block of its own, with no position, standing where its level
  begins: its digest is that of the settings, followed by the number of the level. It is as
  long as what the service adds there unseen; where nothing is set it is in no key, so that
  keys outlive every estimate of that length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from cacheplan.prompt import Block, Level

__all__ = ["KEY_TAG", "SETTINGS", "PrefixTree", "Scope"]

#: Names the algorithm, so that a stored key says how it was made.
KEY_TAG = b"cacheplan.prefix/1"

#: The kind of the block that stands for a level's settings; no ``type`` of the API's, nor
#: one that somebody could give a block of their own by accident.
SETTINGS = "#settings"

_SHIFT = 32
#: Fewer nodes are made sooner one by one.
_FEW = 6
#: What follows the digest of settings; all there is where nothing is set.
_LEVEL_BYTES = 1


class Scope(NamedTuple):
    """What two calls must have in common before any prefix of theirs can be one."""

    model: str
    platform: str
    surface: str
    #: Workspace or organization, whichever the platform isolates by.
    isolation: str


class PrefixTree:
    """Prefixes as small numbers; what is known of each lies in a list by that number."""

    def __init__(self) -> None:
        #: By node: the prefix one block shorter, -1 at a root. Always a smaller number.
        self.parent: list[int] = []
        #: By node: the block that ends the prefix, -1 at a root.
        self.block: list[int] = []
        #: By node: tokens of the whole prefix. Filled by ``measure``.
        self.tokens: list[int] = []
        #: By node: half the width of the band around ``tokens``.
        self.doubt: list[int] = []
        #: By node: the last node of the tools level on the way here, -1 if none.
        self.tools_end: list[int] = []
        #: By node: the last node of the system level on the way here, -1 if none.
        self.system_end: list[int] = []
        #: By node: 1 where the service takes no breakpoint.
        self.unmarkable = bytearray()
        #: By block.
        self.kind: list[str] = []
        self.level: list[Level] = []
        self.role: list[str] = []
        self.refuses: list[str] = []
        self.digest: list[bytes] = []
        #: What tells it from one of the same digest: below zero by which tokenizer it is
        #: counted, else how long somebody said it is.
        self.variant: list[int] = []
        self.size: list[int] = []
        self.error: list[int] = []
        #: Tokens that the service puts where another role begins to speak.
        self.turn = 0
        #: By scope: its root.
        self.roots: dict[Scope, int] = {}
        #: What others worked out of it, under names of their own: lists by node, and what
        #: stays true of these nodes whatever is added.
        self.derived: dict[object, Any] = {}
        #: By block: 1 for a tool or a part of the system prompt; 1 where it takes no mark.
        self._heads = bytearray()
        self._refused = bytearray()
        self._nodes: dict[int, int] = {}
        #: By variant, then by digest: the number. A pair of both a block would be as large
        #: as everything else that is known of it.
        self._blocks: dict[int, dict[bytes, int]] = {}

    def __len__(self) -> int:
        """Count the nodes, roots included."""
        return len(self.parent)

    def fork(self) -> PrefixTree:
        """Return a tree that begins with the same nodes and goes on by itself."""
        twin = PrefixTree()
        for name, value in vars(self).items():
            setattr(twin, name, value if isinstance(value, int) else value.copy())
        twin.derived = {name: value.copy() for name, value in self.derived.items()}
        twin._blocks = {name: blocks.copy() for name, blocks in self._blocks.items()}
        return twin

    def root(self, scope: Scope) -> int:
        """Return the empty prefix of one scope."""
        node = self.roots.get(scope)
        if node is None:
            node = self.roots[scope] = self._append(-1, -1)
        return node

    def intern(self, block: Block, variant: int = 0) -> int:
        """Return the number of a block; the same block is always the same number.

        ``variant`` tells apart blocks that are equal in identity but not in length: one
        text under two tokenizers.
        """
        blocks = self._blocks.get(variant)
        if blocks is None:
            blocks = self._blocks[variant] = {}
        number = blocks.get(block.digest)
        if number is None:
            number = blocks[block.digest] = len(self.kind)
            self.kind.append(sys.intern(block.kind))
            self.level.append(block.level)
            self.role.append(sys.intern(block.role))
            self.refuses.append(block.refuses)
            self._heads.append(block.level is not Level.MESSAGES and block.kind != SETTINGS)
            self._refused.append(block.refuses != "")
            self.digest.append(block.digest)
            self.variant.append(variant)
            self.size.append(block.tokens or 0)
            self.error.append(0)
        return number

    def settings(self, level: Level, digest: bytes, tokens: int = 0) -> int:
        """Return the block that stands for what is set at one level.

        It is as long as what the service adds there unseen, and takes no mark.
        """
        own = digest + bytes([level])
        gate = Block(level=level, kind=SETTINGS, digest=own, tokens=tokens, refuses=SETTINGS)
        return self.intern(gate, tokens)

    def child(self, node: int, block: int) -> int:
        """Return the prefix one block longer, making it if nobody sent it before."""
        key = node << _SHIFT | block
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = self._append(node, block)
        return found

    def find(self, node: int, block: int) -> int:
        """Return the prefix one block longer, -1 if nobody sent it."""
        return self._nodes.get(node << _SHIFT | block, -1)

    def extend(self, node: int, blocks: Iterable[int]) -> int:
        """Return the prefix longer by several blocks."""
        nodes, blocks = self._nodes, tuple(blocks)
        for at, block in enumerate(blocks):
            found = nodes.get(node << _SHIFT | block)
            if found is None:
                # Behind what is new, all is.
                return self._append_all(node, blocks[at:])
            node = found
        return node

    def _append_all(self, node: int, blocks: Sequence[int]) -> int:
        """Make a row of nodes, each with one block more; return the last."""
        first, count = len(self.parent), len(blocks)
        if count < _FEW or any(map(self._heads.__getitem__, blocks)):
            for block in blocks:
                above, node = node, self._append(node, block)
                self._nodes[above << _SHIFT | block] = node
            return node
        last = first + count - 1
        parents = [node, *range(first, last)]
        self._nodes.update(
            (above << _SHIFT | block, below)
            for below, (above, block) in enumerate(zip(parents, blocks, strict=True), first)
        )
        self.parent += parents
        self.block += blocks
        self.tokens += [0] * count
        self.doubt += [0] * count
        self.tools_end += [self.tools_end[node]] * count
        self.system_end += [self.system_end[node]] * count
        self.unmarkable += bytes(map(self._refused.__getitem__, blocks))
        return last

    def _append(self, parent: int, block: int) -> int:
        """Make a node; what its path says of it is said once."""
        node = len(self.parent)
        self.parent.append(parent)
        self.block.append(block)
        self.tokens.append(0)
        self.doubt.append(0)
        tools = system = -1
        if parent >= 0:
            tools, system = self.tools_end[parent], self.system_end[parent]
        if block >= 0 and self._heads[block]:
            if self.level[block] is Level.TOOLS:
                tools = node
            else:
                system = node
        self.tools_end.append(tools)
        self.system_end.append(system)
        self.unmarkable.append(1 if block < 0 else self._refused[block])
        return node

    def own(self, node: int) -> int:
        """Return how much longer a prefix is than the one before it."""
        last, above = self.block[node], self.parent[node]
        if last < 0:
            return 0
        before = self.block[above]
        spoken = self.role[last]
        changes = spoken != "" and before >= 0 and self.role[before] != spoken
        return self.size[last] + (self.turn if changes else 0)

    def measure(self, start: int = 0) -> None:
        """Add up lengths along every path, from node ``start`` on."""
        for node in range(start, len(self.parent)):
            above = self.parent[node]
            if above >= 0:
                self.tokens[node] = self.tokens[above] + self.own(node)
                self.doubt[node] = self.doubt[above] + self.error[self.block[node]]

    def path(self, node: int) -> list[int]:
        """Return the nodes from the root down to ``node``, the root left out."""
        nodes = []
        parent = self.parent
        while parent[node] >= 0:
            nodes.append(node)
            node = parent[node]
        nodes.reverse()
        return nodes

    def upward(self, node: int) -> Iterator[int]:
        """Yield ``node`` and every shorter prefix, the longest first, roots left out."""
        parent = self.parent
        while parent[node] >= 0:
            yield node
            node = parent[node]

    def markable(self, node: int) -> int:
        """Return the longest prefix up to ``node`` that can carry a mark, -1 if none."""
        for shorter in self.upward(node):
            if not self.unmarkable[shorter]:
                return shorter
        return -1

    def scope(self, node: int) -> Scope:
        """Return the scope a prefix belongs to."""
        while self.parent[node] >= 0:
            node = self.parent[node]
        return next(scope for scope, root in self.roots.items() if root == node)

    def key(self, node: int, known: dict[int, bytes] | None = None) -> bytes:
        """Return the published key of a prefix (``cacheplan.prefix/1``).

        ``known`` remembers the keys of shorter prefixes for whoever asks more than once.
        """
        known = {} if known is None else known
        path = []
        while node not in known and self.parent[node] >= 0:
            path.append(node)
            node = self.parent[node]
        key = known.get(node)
        if key is None:
            scope = self.scope(node)
            parts = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in scope)
            key = known[node] = blake2b(KEY_TAG + parts, digest_size=16).digest()
        for step in reversed(path):
            digest = self.digest[self.block[step]]
            if len(digest) > _LEVEL_BYTES:
                key = blake2b(key + digest, digest_size=16).digest()
            known[step] = key
        return key

    def check(self) -> None:
        """Assert what always holds; called between the steps of stress tests."""
        for node, (above, last) in enumerate(zip(self.parent, self.block, strict=True)):
            assert (above < 0) == (last < 0), "a root has neither parent nor block"
            if above < 0:
                continue
            assert above < node, "a parent is older than its child"
            assert self._nodes[above << _SHIFT | last] == node, "every child is found again"
            assert self.tokens[node] >= self.tokens[above], "a longer prefix is not shorter"
            before = self.block[above]
            if before >= 0:
                assert self.level[before] <= self.level[last], "levels only go down the prompt"
        assert len(self._nodes) + len(self.roots) == len(self.parent), "no node is lost"
