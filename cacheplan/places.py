"""Places: where a mark may stand in prompts of one kind, whoever sends them.

A place is named by its part of the prompt, not by content, so that it holds for calls
never seen: the end of the tools, the second system block, the documents before the
first question, the tail. At most one prefix of a call stands at each.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from cacheplan.errors import InputError
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Level

__all__ = [
    "BEFORE",
    "DOCUMENTS",
    "LAST_BLOCKS",
    "SYSTEM",
    "TAIL_TALK",
    "TAIL_TOOL",
    "TOOLS",
    "Places",
    "checked",
    "from_end",
    "is_from_end",
    "is_tail",
    "turn_before",
]

TOOLS: Final = "tools"
SYSTEM: Final = "system"
#: The blocks of the first user turn before its last: what the question is about.
DOCUMENTS: Final = "documents"
#: Where the call before this one ended: for turns that add more positions than the
#: lookback reaches.
BEFORE: Final = "turn before"
#: The end of a prompt whose last block is a tool's result: the loop goes on by itself.
TAIL_TOOL: Final = "tail after tools"
#: The end of a prompt that a person's words end: what comes next waits for a person.
TAIL_TALK: Final = "tail after talk"

#: Blocks of the messages that have a place of their own, counted from the start:
#: instructions and documents stand there; what comes later is conversation.
FIRST_BLOCKS: Final = 6
#: Blocks at the end of a prompt that have a place counted from there: what stands behind
#: the newest words and is left out by the next call is rarely more than a block or two.
LAST_BLOCKS: Final = 4

_NAMES: Final = (TOOLS, SYSTEM, DOCUMENTS, BEFORE, TAIL_TOOL, TAIL_TALK)
_NUMBERED: Final = re.compile(r"(system|messages)\[\d+\]|messages\[-[2-4]\]")
_FROM_END: Final = "messages[-"


def checked(text: str) -> str:
    """Return the name of a place; one that nobody knows is an error."""
    if text in _NAMES or _NUMBERED.fullmatch(text):
        return text
    raise InputError(
        f'"{text}" is not a place; there are {", ".join(_NAMES)}, system[N], messages[N],'
        " messages[-2] to messages[-4]"
    )


def is_tail(place: str) -> bool:
    """Tell whether a place moves with the conversation."""
    return place in {BEFORE, TAIL_TOOL, TAIL_TALK} or is_from_end(place)


def is_from_end(place: str) -> bool:
    """Tell whether a place is counted from the end of a prompt."""
    return place.startswith(_FROM_END)


def from_end(back: int) -> str:
    """Name the place so many blocks before the last; the last but one is ``messages[-2]``."""
    return f"{_FROM_END}{back + 1}]"


class Places:
    """Finds the places of the prompts of one tree.

    Asked once a call, so what a conversation's calls have in common is worked out once:
    the first blocks of a prompt are those of the prompt before it.
    """

    @classmethod
    def of(cls, tree: PrefixTree) -> Places:
        """Return the places of a tree; everybody who asks shares what was found."""
        return cls(tree)

    def __init__(self, tree: PrefixTree) -> None:
        self._tree = tree
        #: By node: the first blocks of its messages, shared between the nodes of a
        #: conversation.
        self._openings: list[tuple[int, ...]] = tree.derived.setdefault((Places, "openings"), [])
        #: By block: whether it is part of a message.
        self._spoken: list[bool] = tree.derived.setdefault((Places, "spoken"), [])
        self._known: dict[tuple[int, int, tuple[int, ...]], tuple[tuple[str, int], ...]] = (
            tree.derived.setdefault((Places, "known"), {})
        )

    def tail(self, tip: int) -> str:
        """Return which of the two tails a prompt has."""
        tree = self._tree
        return TAIL_TOOL if tree.kind[tree.block[tip]] == "tool_result" else TAIL_TALK

    def back(self, tip: int, place: str) -> int:
        """Return the prefix at a place that is counted from the end of a prompt.

        It is -1 where no mark can stand, and where the place has a name of its own.
        """
        tree, node = self._tree, tip
        first = max((tree.system_end[tip], tree.tools_end[tip], *(n for _, n in self.fixed(tip))))
        for _ in range(-int(place.removeprefix("messages[").removesuffix("]")) - 1):
            node = tree.parent[node] if node > first else -1
        return node if node > first and not tree.unmarkable[node] else -1

    def opening(self, tip: int) -> tuple[int, ...]:
        """Return the prefixes that end with the first blocks of a prompt's messages."""
        if len(self._openings) < len(self._tree):
            self._grow()
        return self._openings[tip]

    def fixed(self, tip: int) -> tuple[tuple[str, int], ...]:
        """Return the places of a prompt that do not move, with their prefixes, in order."""
        tree, opening = self._tree, self.opening(tip)
        key = (tree.tools_end[tip], tree.system_end[tip], opening)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(self._find(*key))
        return found

    def _find(self, tools: int, system: int, opening: tuple[int, ...]) -> list[tuple[str, int]]:
        """Work out the places of prompts that begin alike."""
        found = [(TOOLS, tools)] if tools >= 0 else []
        if system >= 0:
            blocks = self._system_blocks(system)
            found += [(f"system[{at}]", node) for at, node in enumerate(blocks[:-1])]
            found.append((SYSTEM, system))
        last = self._last_of_first_turn(opening)
        for at, node in enumerate(opening[:FIRST_BLOCKS]):
            found.append((DOCUMENTS if at == last - 1 else f"messages[{at}]", node))
        return [(place, node) for place, node in found if not self._tree.unmarkable[node]]

    def _system_blocks(self, system: int) -> list[int]:
        """Return the system blocks of a prompt, first to last."""
        tree = self._tree
        nodes = [
            node
            for node in tree.upward(system)
            if tree.level[tree.block[node]] is Level.SYSTEM
            and tree.kind[tree.block[node]] != SETTINGS
        ]
        return nodes[::-1]

    def _last_of_first_turn(self, opening: tuple[int, ...]) -> int:
        """Return the index of the first question: the last block before anybody answers.

        Where roles are not known, that is the second block: a document and a question
        are two, and more cannot be told apart.
        """
        tree = self._tree
        roles = [tree.role[tree.block[node]] for node in opening]
        if roles and not roles[0]:
            return 1
        return next((at for at, role in enumerate(roles) if role == "assistant"), len(roles)) - 1

    def _grow(self) -> None:
        """Note the first blocks of prefixes that the tree has got since."""
        tree, openings = self._tree, self._openings
        messages = self._spoken
        known = len(messages)
        messages += [
            level is Level.MESSAGES and kind != SETTINGS
            for level, kind in zip(tree.level[known:], tree.kind[known:], strict=True)
        ]
        first = len(openings)
        for node, (above, block) in enumerate(
            zip(tree.parent[first:], tree.block[first:], strict=True), first
        ):
            opening = openings[above] if above >= 0 else ()
            if len(opening) <= FIRST_BLOCKS and block >= 0 and messages[block]:
                opening = (*opening, node)
            openings.append(opening)


def turn_before(tree: PrefixTree, tip: int, tips: Container[int]) -> int:
    """Return the end of the user turn before the newest, -1 if there is none.

    That is where the call before this one ended, so a mark there finds its entry however
    many blocks came since. In the digest form nobody says who speaks; there it is the
    end of a prompt that was sent before (``tips``).
    """
    role, block, parent = tree.role, tree.block, tree.parent
    stop = max(tree.system_end[tip], tree.tools_end[tip])
    node = parent[tip]
    # Where the caller has begun the answer, the newest user turn stands before it.
    answered = role[block[tip]] == "assistant"
    while node > stop and parent[node] >= 0:
        spoken = role[block[node]]
        if spoken == "assistant":
            answered = True
        elif (answered and spoken == "user") or (not spoken and node in tips):
            return node
        node = parent[node]
    return -1
