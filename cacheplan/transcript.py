"""What a transcript shows of conversations: its lines put together to messages.

A client writes a line a content block, and each names the line before it. Lines of one
answer are one message, however many results of tools stand between them, and so are the
lines of the user that follow, in the order in which they were written: so Claude Code
sends them (2.1.330). This file knows lines and no client's records of requests.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from cacheplan.fingerprints import message_fingerprint

__all__ = ["Message", "Texts", "Transcript"]

#: Bytes of text that are kept to be sent again: what the API takes in one request
#: (32 MB, Claude docs, errors, 2026-08-22).
_KEPT: Final = 32 << 20
#: Prompts that later ones may go on from; agents at work side by side are fewer.
_PROMPTS: Final = 64
#: Messages back from the end in which a recorded one is looked for.
_TURNS: Final = 64
#: Ways to part one run of lines that are tried: it rarely takes more than one.
_WAYS: Final = 64


class Message(NamedTuple):
    """A message by the lines whose content it is."""

    role: str
    lines: tuple[int, ...]
    #: Its members besides these two, as JSON ahead of a closing bracket.
    more: bytes = b""


class Texts:
    """The newest content of a transcript by line; what is older is let go of."""

    def __init__(self, most: int = _KEPT) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def put(self, line: int, content: msgspec.Raw) -> None:
        """Keep the content of a line: text, or a list of blocks."""
        raw = bytes(content).strip()
        listed = raw.startswith(b"[")
        inner = raw[1:-1].strip() if listed else b'{"type":"text","text":%b}' % raw
        self._size += len(inner) - len(self._kept.pop(line, b""))
        self._kept[line] = inner
        while self._size > self._most and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])

    def content(self, message: Message) -> bytes | None:
        """Return what a message says, a list as JSON; ``None`` if some of it is gone."""
        parts = [self._kept.get(line) for line in message.lines]
        found = [part for part in parts if part is not None]
        if len(found) < len(parts):
            return None
        return b"[%b]" % b",".join(part for part in found if part)

    def message(self, message: Message) -> msgspec.Raw | None:
        """Return a message as JSON."""
        content = self.content(message)
        if content is None:
            return None
        role = message.role.encode()
        return msgspec.Raw(b'{"role":"%b","content":%b%b}' % (role, content, message.more))


class _Line:
    """A line of a transcript, and what it hangs on; most say nothing."""

    __slots__ = ("at", "group", "number", "parent", "results", "role")

    def __init__(self, number: int, parent: int) -> None:
        self.number = number
        #: Always an earlier line, so that every way up has an end.
        self.parent = parent
        self.role = ""
        self.group = ""
        self.at = ""
        #: Results of tools that hang on this one.
        self.results: list[int] = []


class _Turn:
    """Lines of one role in a row, the newest of which may still be coming."""

    def __init__(self, role: str, group: str) -> None:
        self.role = role
        self.group = group
        self.numbers: list[int] = []


class Transcript:
    """Takes in the lines of a transcript in their order."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._lines: list[_Line] = []
        self._at: dict[str, int] = {}
        self._groups: dict[str, list[int]] = {}
        self._turns: list[_Turn] = []
        #: Those that grew since they were last looked for.
        self._grown: dict[int, _Turn] = {}
        #: By answer: the prompt that it answers.
        self._prompts: OrderedDict[str, list[Message]] = OrderedDict()

    def note(self, number: int, uuid: str, parent: str) -> int:
        """Take in a line that says nothing, and return which it is: others hang on it."""
        self._lines.append(_Line(number, self._at.get(parent, -1)))
        if uuid:
            self._at[uuid] = len(self._lines) - 1
        return len(self._lines) - 1

    def ask(self, number: int, uuid: str, parent: str, at: str, *, result: bool) -> None:
        """Take in a line of the user's; the ``result`` of a tool is sent with its like."""
        line = self._lines[self.note(number, uuid, parent)]
        line.role, line.at = "user", at
        if result and line.parent >= 0:
            self._lines[line.parent].results.append(len(self._lines) - 1)
        self._turn("user", "", number)

    def answer(self, number: int, uuid: str, parent: str, group: str) -> int:
        """Take in a line of the answer ``group``, and return which it is."""
        index = self.note(number, uuid, parent)
        self._lines[index].role, self._lines[index].group = "assistant", group
        self._groups.setdefault(group, []).append(index)
        self._turn("assistant", group, number)
        return index

    def _turn(self, role: str, group: str, number: int) -> None:
        """Put a line to the message that it follows directly, or begin one."""
        turn = next(self._following(role, group), None)
        if turn is None:
            turn = _Turn(role, group)
            self._turns.append(turn)
            del self._turns[:-_TURNS]
        turn.numbers.append(number)
        self._grown[turn.numbers[0]] = turn
        if len(self._grown) > _TURNS:
            del self._grown[next(iter(self._grown))]

    def _following(self, role: str, group: str) -> Iterator[_Turn]:
        """Yield the message that a line of this role goes on with."""
        for turn in reversed(self._turns[-2:]):
            if turn.role == role and turn.group == group:
                yield turn
            if role == "user":
                return

    def prompt(self, index: int) -> tuple[list[Message], str]:
        """Return the messages before the answer that begins with a line, and their time.

        The time is that of the newest input, or nothing where there is none.
        """
        answer = self._lines[index].group
        turns: list[Message] = []
        before: list[Message] = []
        users: list[int] = []
        newest = ""
        at = self._lines[index].parent
        while at >= 0:
            line = self._lines[at]
            if line.role == "assistant" and line.group != answer:
                group = self._groups[line.group]
                users += (user for one in group for user in self._lines[one].results)
                newest = newest or self._newest(users)
                turns += self._said("user", users)
                turns += self._said("assistant", group)
                users = []
                if line.group in self._prompts:
                    before = self._prompts[line.group]
                    break
                at = group[0]
            elif line.role == "user":
                users.append(at)
            at = self._lines[at].parent
        newest = newest or self._newest(users)
        turns += self._said("user", users)
        found = [*before, *reversed(turns)]
        self._prompts[answer] = found
        if len(self._prompts) > _PROMPTS:
            self._prompts.popitem(last=False)
        return found, newest

    def _newest(self, users: Sequence[int]) -> str:
        """Return when the newest of these lines was written."""
        return max((self._lines[index].at for index in users), default="")

    def _said(self, role: str, indices: Sequence[int]) -> Iterator[Message]:
        """Put lines together to a message, if there are any."""
        if indices:
            numbers = {self._lines[index].number for index in indices}
            yield Message(role, tuple(sorted(numbers)))

    def unnamed(self) -> Iterator[tuple[str, Message]]:
        """Yield the newest messages by their fingerprints, each once."""
        grown, self._grown = self._grown, {}
        for turn in grown.values():
            yield from self._fingerprint(turn.role, turn.numbers)

    def parted(self) -> Iterator[tuple[str, Message]]:
        """Yield what runs of lines would be that were sent as several messages."""
        ways = 0
        for turn in reversed(self._turns):
            count = len(turn.numbers)
            for length in range(count - 1, 0, -1):
                for start in range(count - length + 1):
                    yield from self._fingerprint(turn.role, turn.numbers[start : start + length])
                    ways += 1
                    if ways >= _WAYS:
                        return

    def _fingerprint(self, role: str, numbers: Sequence[int]) -> Iterator[tuple[str, Message]]:
        """Name one message, if its text is still there."""
        message = Message(role, tuple(numbers))
        content = self._texts.content(message)
        if content is not None:
            blocks: Any = msgspec.json.decode(content)
            yield message_fingerprint({"role": role, "content": blocks}), message
