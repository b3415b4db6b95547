"""Workloads with text, made from a seed: each is a way in which placing marks goes wrong.

A scenario is a function from a seed to lines of the recorded form, unmarked, and its
docstring says which fixed rule it is unkind to. The bodies are what programs of this kind
send, only shorter, so that every real package can be asked to mark every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

__all__ = ["SCENARIOS", "Line", "lines"]

Line = dict[str, Any]
Body = dict[str, Any]
Gap = Callable[[int], float]

_HOUR: Final = 3600.0
_MODEL: Final = "claude-sonnet-4-5"
#: 2026-11-02 at 08:00 UTC, a Monday: every model below is on sale, and Sonnet 5.5 has its
#: cheaper reads.
BEGIN: Final = 1_793_606_400.0
#: Plain words, so that text is about as long in tokens as prose is.
_PROSE: Final = (
    "the of and a to in is that for it as was with be by on not he this are or his from at"
    " which but have an had they you were their one all we can her has there been if more"
    " when will would who so no order refund customer account invoice delivery address ship"
    " return payment policy ticket agent question answer file module function value error"
    " table index record update remove create read write search result market report week"
    " month price number river mountain engine garden window letter paper silver number copper"
    " people machine station signal village council harbour minister doctor teacher student"
    " history science language picture music water winter summer morning evening between"
    " under over after before against during without within never always often perhaps"
    " clearly quickly slowly carefully"
)
_WORDS: Final = _PROSE.split()


class _Writer:
    """Writes text of a given length; the same seed writes the same."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def text(self, tokens: int) -> str:
        """Return prose of about so many tokens; one word is about one."""
        words = self.random.choices(_WORDS, k=max(1, round(tokens * 0.93)))
        words[0] = words[0].capitalize()
        return " ".join(words) + "."

    def tools(self, count: int, tokens: int, prefix: str = "tool") -> list[Body]:
        """Return tool definitions that are about so long together."""
        return [
            {
                "name": f"{prefix}_{number}",
                "description": self.text(max(1, tokens // count - 40)),
                "input_schema": {
                    "type": "object",
                    "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
                    "required": ["query"],
                },
            }
            for number in range(count)
        ]

    def uses(self, name: str, count: int, tokens: int) -> list[Body]:
        """Return what one turn of a tool loop adds: calls, and what they found."""
        ids = [f"toolu_{name}_{part}" for part in range(count)]
        calls = [
            {"type": "tool_use", "id": one, "name": "tool_0", "input": {"query": self.text(12)}}
            for one in ids
        ]
        found = [
            {"type": "tool_result", "tool_use_id": one, "content": self.text(tokens)} for one in ids
        ]
        said = {"type": "text", "text": self.text(25)}
        return [
            {"role": "assistant", "content": [said, *calls]},
            {"role": "user", "content": found},
        ]

    def talk(self, answer: int, question: int) -> list[Body]:
        """Return what one turn of a chat adds: an answer, and the next question."""
        return [
            {"role": "assistant", "content": self.text(answer)},
            {"role": "user", "content": self.text(question)},
        ]


def _body(
    messages: Sequence[Body],
    *,
    system: str | list[Body] | None = None,
    tools: list[Body] | None = None,
    model: str = _MODEL,
    **more: Any,
) -> Body:
    """Return a body; what is not there is left out, as programs do."""
    start = {"system": system, "tools": tools}
    held = {key: value for key, value in start.items() if value}
    return {"model": model, "max_tokens": 1024, **held, "messages": list(messages), **more}


def _user(text: str) -> Body:
    return {"role": "user", "content": text}


def _parts(*texts: str) -> list[Body]:
    return [{"type": "text", "text": text} for text in texts]


def _line(at: float, request: Body, label: str, session: str, **more: Any) -> Line:
    return {
        "at": round(BEGIN + at, 3),
        "label": label,
        "session": session,
        "request": request,
        "output_tokens": 150,
        **more,
    }


def _agent(  # noqa: PLR0913 -- each argument is one way in which agents differ
    writer: _Writer,
    start: float,
    label: str,
    session: str,
    head: Body,
    *,
    turns: int,
    gap: Gap,
    fan: int = 1,
    found: int = 300,
    **more: Any,
) -> Iterator[Line]:
    """Yield an agent's calls: each adds tool calls and their results to the last."""
    messages, at = [_user(writer.text(120))], start
    for turn in range(turns):
        yield _line(at, _body(messages, **head), label, session, **more)
        at += gap(turn)
        messages = [*messages, *writer.uses(f"{session}_{turn}", fan, found)]


def _chat(  # noqa: PLR0913 -- as above
    writer: _Writer,
    start: float,
    label: str,
    session: str,
    head: Body,
    *,
    turns: int,
    gap: Gap,
) -> Iterator[Line]:
    """Yield a chat's calls: each adds an answer and a question to the last."""
    messages, at = [_user(writer.text(60))], start
    for turn in range(turns):
        yield _line(at, _body(messages, **head), label, session)
        at += gap(turn)
        messages = [*messages, *writer.talk(180, 50)]


def shared_start(random: Random) -> Iterator[Line]:
    """Short sessions with one start: a tail mark alone leaves nothing for the next one."""
    write = _Writer(random)
    head: Body = {"system": write.text(4000), "tools": write.tools(8, 1500)}
    for number in range(80):
        start = number * 150 + random.uniform(0, 60)
        yield from _chat(
            write, start, "desk", f"s{number}", head, turns=3, gap=lambda _: random.uniform(15, 60)
        )


def tool_loop(random: Random) -> Iterator[Line]:
    """Loops of 50 turns, seconds apart: what marks no history pays for all of it."""
    write = _Writer(random)
    head: Body = {"system": write.text(1800), "tools": write.tools(10, 2000)}
    for number in range(4):
        yield from _agent(
            write, number * 900.0, "coder", f"s{number}", head, turns=50,
            gap=lambda _: random.uniform(4, 25),
        )  # fmt: skip


def wide_turns(random: Random) -> Iterator[Line]:
    """Turns of 25 parallel tools where each block counts: one tail mark looks too short."""
    write = _Writer(random)
    head: Body = {"system": write.text(1500), "tools": write.tools(10, 2000)}
    for number in range(10):
        yield from _agent(
            write, number * 420.0, "fan", f"s{number}", head, turns=8, fan=25, found=40,
            gap=lambda _: random.uniform(8, 40), platform="bedrock",
        )  # fmt: skip


def volatile_footer(random: Random) -> Iterator[Line]:
    """The time of day ends the system prompt: a mark behind it is never read."""
    write = _Writer(random)
    fixed, tools = write.text(2500), write.tools(8, 2500)
    for number in range(400):
        at = number * 40 + random.uniform(0, 20)
        system = _parts(fixed, f"It is now {BEGIN + at:.0f}. The weather: {write.text(15)}")
        body = _body([_user(write.text(90))], system=system, tools=tools)
        yield _line(at, body, "assistant", f"s{number}")


def date_rollover(random: Random) -> Iterator[Line]:
    """The date stands in the system prompt: once a day the end of it is new."""
    write = _Writer(random)
    fixed, tools = write.text(3000), write.tools(8, 2500)
    for number in range(110):
        start = number * 0.5 * _HOUR + random.uniform(0, 600)
        day = int((BEGIN + start) // 86400)
        system = _parts(fixed, f"Today is day {day}.")
        yield from _chat(
            write, start, "planner", f"s{number}", {"system": system, "tools": tools}, turns=3,
            gap=lambda _: random.uniform(20, 120),
        )  # fmt: skip


def tool_order(random: Random) -> Iterator[Line]:
    """Tool servers answer in any order: what one session writes, few others can read."""
    write = _Writer(random)
    servers = [write.tools(6, 1200, prefix=f"server{number}") for number in range(3)]
    system = write.text(1500)
    for number in range(70):
        random.shuffle(servers)
        head: Body = {"system": system, "tools": [tool for server in servers for tool in server]}
        yield from _agent(
            write, number * 130.0, "tools", f"s{number}", head, turns=4,
            gap=lambda _: random.uniform(5, 30),
        )  # fmt: skip


def human_gaps(random: Random) -> Iterator[Line]:
    """People answer after 2 to 8 minutes: five minutes are too few for half the turns."""
    write = _Writer(random)
    head: Body = {"system": write.text(3000), "tools": write.tools(6, 1500)}
    for number in range(40):
        yield from _chat(
            write, number * 600 + random.uniform(0, 300), "chat", f"s{number}", head, turns=10,
            gap=lambda _: random.uniform(120, 480),
        )  # fmt: skip


def long_gaps(random: Random) -> Iterator[Line]:
    """Twenty minutes between turns: every five-minute entry is gone when it is wanted."""
    write = _Writer(random)
    head: Body = {"system": write.text(3500), "tools": write.tools(6, 1500)}
    for number in range(30):
        yield from _chat(
            write, number * 1100 + random.uniform(0, 600), "mail", f"s{number}", head, turns=8,
            gap=lambda _: random.uniform(1000, 1500),
        )  # fmt: skip


def tickets(random: Random) -> Iterator[Line]:
    """A thousand one-shot calls with one system prompt: a tail mark is money burnt."""
    write = _Writer(random)
    system = write.text(2200)
    for number in range(1000):
        body = _body([_user(write.text(random.randint(80, 700)))], system=system)
        yield _line(random.uniform(0, 5 * _HOUR), body, "sort", f"s{number}", platform="anthropic")


def below_minimum(random: Random) -> Iterator[Line]:
    """Starts a little too short to be kept, for four models: only waste can be marked."""
    write = _Writer(random)
    lengths = {
        "claude-sonnet-4-5": 700,
        "claude-sonnet-5-5": 300,
        "claude-haiku-4-5": 3200,
        "claude-opus-4-6": 3200,
    }
    for model, length in lengths.items():
        system = write.text(length)
        for number in range(120):
            body = _body([_user(write.text(length // 2))], system=system, model=model)
            at = random.uniform(0, 4 * _HOUR)
            yield _line(at, body, f"small {model}", f"{model} {number}")


def compaction(random: Random) -> Iterator[Line]:
    """History is summed up every 12 turns: the summary call replays it, then it is gone."""
    write = _Writer(random)
    head: Body = {"system": write.text(1800), "tools": write.tools(10, 2000)}
    for number in range(6):
        at, session, begun = number * 1500.0, f"s{number}", [_user(write.text(120))]
        for part in range(4):
            messages = list(begun)
            for turn in range(12):
                yield _line(at, _body(messages, **head), "coder", session)
                at += random.uniform(6, 40)
                messages = [*messages, *write.uses(f"{session}_{part}_{turn}", 1, 450)]
            asked = {"type": "text", "text": "Sum up what was done so far."}
            last = {"role": "user", "content": [*messages[-1]["content"], asked]}
            yield _line(at, _body([*messages[:-1], last], **head), "coder", session)
            at += random.uniform(10, 30)
            begun = [_user(f"{write.text(500)} Go on from here.")]


def team(random: Random) -> Iterator[Line]:
    """A parent waits while eight short-lived agents work: one lifetime fits only one."""
    write = _Writer(random)
    parent: Body = {
        "system": write.text(4000),
        "tools": write.tools(10, 3000),
        "model": "claude-opus-5-5",
    }
    child: Body = {
        "system": write.text(1500),
        "tools": write.tools(8, 3500),
        "model": "claude-haiku-4-5",
    }
    for number in range(10):
        start = number * 2500.0
        yield from _agent(
            write, start, "parent", f"p{number}", parent, turns=9,
            gap=lambda _: random.uniform(320, 900),
        )  # fmt: skip
        for part in range(8):
            begin = start + 20 + part * random.uniform(300, 700)
            yield from _agent(
                write, begin, "child", f"c{number}_{part}", child, turns=random.randint(1, 6),
                gap=lambda _: random.uniform(5, 20),
            )  # fmt: skip


def settings_flips(random: Random) -> Iterator[Line]:
    """Every few turns a tool is forced: what stands in messages is read only by its like."""
    write = _Writer(random)
    head: Body = {"system": write.text(2500), "tools": write.tools(8, 2500)}
    for number in range(16):
        calls = _agent(
            write, number * 400.0, "flips", f"s{number}", head, turns=12,
            gap=lambda _: random.uniform(8, 30),
        )  # fmt: skip
        for turn, line in enumerate(calls):
            if turn % 3 == 2:
                line["request"]["tool_choice"] = {"type": "tool", "name": "tool_1"}
            yield line


def cold_fan_out(random: Random) -> Iterator[Line]:
    """A dozen calls at once on a text nobody has sent: none can read what others write."""
    write = _Writer(random)
    system = write.text(1500)
    for number in range(30):
        text, start = write.text(5000), number * 700.0
        for part in range(12):
            content = _parts(text, write.text(40))
            body = _body([{"role": "user", "content": content}], system=system)
            at = start + random.uniform(0, 0.6) if part < 10 else start + random.uniform(5, 30)
            yield _line(at, body, "map", f"s{number}_{part}", first_token_after=1.5)


def batch_lane(random: Random) -> Iterator[Line]:
    """Batches, where a hit is luck: a mark on the tail costs a quarter and finds nothing."""
    write = _Writer(random)
    system, tools = write.text(3500), write.tools(4, 1200)
    for batch in range(8):
        for number in range(60):
            body = _body([_user(write.text(300))], system=system, tools=tools)
            at = batch * 1.5 * _HOUR + random.uniform(0, 400)
            yield _line(at, body, "batch", f"s{batch}_{number}", surface="batch")


def cheap_reads(random: Random) -> Iterator[Line]:
    """Models that read at 2.5 and 5 per cent, agents that wait 3 to 50 minutes."""
    write = _Writer(random)
    for model in ("claude-fable-5-2", "claude-opus-5-5"):
        head: Body = {"system": write.text(3500), "tools": write.tools(8, 2500), "model": model}
        for number in range(11):
            yield from _agent(
                write, number * 1800 + random.uniform(0, 900), model, f"{model} {number}", head,
                turns=14, found=500,
                gap=lambda _: random.uniform(5, 40) if random.random() < 0.75
                else random.uniform(180, 3000),
            )  # fmt: skip


def upper_band(random: Random) -> Iterator[Line]:
    """Conversations that grow past 100,000 tokens, where every token costs five times."""
    write = _Writer(random)
    for number in range(4):
        head: Body = {"system": write.text(88_000), "model": "claude-haiku-5-5"}
        calls = _chat(
            write, number * 1300.0, "long", f"s{number}", head, turns=6,
            gap=lambda _: random.uniform(30, 200),
        )  # fmt: skip
        more = write.text(6000)
        for turn, line in enumerate(calls):
            if turn >= 3:
                line["request"]["messages"][2]["content"] += f" {more}"
            yield line


def documents(random: Random) -> Iterator[Line]:
    """Questions about a pool of documents with favourites: only the document is shared."""
    write = _Writer(random)
    pool = [write.text(random.randint(1500, 6000)) for _ in range(30)]
    system = write.text(700)
    for number in range(500):
        chosen = min(int(random.paretovariate(0.9)) - 1, 29)
        content = _parts(pool[chosen], write.text(30))
        body = _body([{"role": "user", "content": content}], system=system)
        yield _line(random.uniform(0, 6 * _HOUR), body, "docs", f"s{number}")


def job(random: Random) -> Iterator[Line]:
    """A job every 25 minutes with one long prompt: it pays for an hour, never for five."""
    write = _Writer(random)
    system, tools = write.text(5500), write.tools(4, 1200)
    for number in range(80):
        body = _body([_user(write.text(300))], system=system, tools=tools)
        yield _line(number * 1500 + random.uniform(0, 30), body, "job", f"s{number}")


def quicker_habits(random: Random) -> Iterator[Line]:
    """Long pauses until noon and none after: what was learned in the morning is wrong."""
    yield from _habits(random, (400, 900), (10, 60))


def slower_habits(random: Random) -> Iterator[Line]:
    """No pauses until noon and long ones after: whoever knows only the morning pays."""
    yield from _habits(random, (10, 60), (400, 900))


def _habits(random: Random, early: tuple[int, int], late: tuple[int, int]) -> Iterator[Line]:
    """Yield chats whose pauses are of another length from the middle of the time on."""
    write = _Writer(random)
    head: Body = {"system": write.text(2500), "tools": write.tools(6, 1500)}
    for number in range(40):
        pauses = early if number < 20 else late
        yield from _chat(
            write, number * 900 + random.uniform(0, 300), "chat", f"s{number}", head, turns=9,
            gap=lambda _, pauses=pauses: random.uniform(*pauses),  # type: ignore[misc]
        )  # fmt: skip


#: By name; the seed of each is its name, so adding one changes no other.
SCENARIOS: Final[dict[str, Callable[[Random], Iterator[Line]]]] = {
    function.__name__.replace("_", " "): function
    for function in (
        shared_start,
        tool_loop,
        wide_turns,
        volatile_footer,
        date_rollover,
        tool_order,
        human_gaps,
        long_gaps,
        tickets,
        below_minimum,
        compaction,
        team,
        settings_flips,
        cold_fan_out,
        batch_lane,
        cheap_reads,
        upper_band,
        documents,
        job,
        quicker_habits,
        slower_habits,
    )
}


def lines(name: str) -> list[Line]:
    """Return the lines of one scenario, in time order, each with an id."""
    made = sorted(SCENARIOS[name](Random(name)), key=lambda line: float(line["at"]))
    return [{**line, "id": f"{name} {number}"} for number, line in enumerate(made)]
