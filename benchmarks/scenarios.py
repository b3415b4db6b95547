"""Workloads made up for measuring: each one is a way in which placing marks goes wrong.

Every scenario is a function from a seed to lines of the digest form, a day long or less,
and its docstring says which fixed rule it is unkind to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

__all__ = ["SCENARIOS", "lines"]

Line = dict[str, Any]

_HOUR: Final = 3600.0
MODEL: Final = "claude-sonnet-4-5"
_numbers = itertools.count()


def block(name: str, tokens: int, level: str = "messages", kind: str = "text") -> Line:
    """Return one block of the digest form."""
    return {"digest": name, "tokens": tokens, "level": level, "kind": kind}


def head(name: str, tools: int, system: int) -> list[Line]:
    """Return tools and system of one feature."""
    parts = [block(f"{name} tools", tools, "tools", "tool")] if tools else []
    return parts + ([block(f"{name} system", system, "system")] if system else [])


def call(at: float, blocks: list[Line], label: str, *, model: str = MODEL, **more: Any) -> Line:
    """Return one call with its whole prompt."""
    return {"at": round(at, 3), "model": model, "label": label, "blocks": blocks, **more}


def conversation(  # noqa: PLR0913 -- each argument is one way in which agents differ
    random: Random,
    start: float,
    opening: list[Line],
    name: str,
    label: str,
    *,
    turns: int,
    gap: Callable[[int], float],
    fan: int = 1,
    model: str = MODEL,
) -> Iterator[Line]:
    """Yield an agent's calls: each adds tool calls and their results to the last."""
    blocks, at = list(opening), start
    for turn in range(turns):
        yield call(at, list(blocks), label, model=model, session=name, output_tokens=200)
        at += gap(turn)
        ends = random.random() < 0.15
        if ends:
            blocks.append(block(f"{name} said {turn}", random.randint(80, 400)))
            blocks.append(block(f"{name} asked {turn}", random.randint(20, 200)))
        else:
            blocks += [
                block(f"{name} use {turn}.{part}", 60, kind="tool_use") for part in range(fan)
            ]
            blocks += [
                block(f"{name} result {turn}.{part}", random.randint(100, 1500), kind="tool_result")
                for part in range(fan)
            ]


def idle_agents(random: Random) -> Iterator[Line]:
    """Agents whose users go away for 2 to 40 minutes: 5 minutes or an hour, by turn."""
    for number in range(60):
        name = f"agent {number}"
        opening = [*head("agent", 9000, 4000), block(f"{name} task", 300)]
        yield from conversation(
            random, random.uniform(0, 8 * _HOUR), opening, name, "agent",
            turns=random.randint(5, 40),
            gap=lambda _: random.choice((8, 15, 25, 40)) if random.random() < 0.85
            else random.uniform(120, 2400),
        )  # fmt: skip


def document_pool(random: Random) -> Iterator[Line]:
    """Questions about a pool of documents with favourites: the tail is never read."""
    sizes = [random.randint(3000, 30000) for _ in range(80)]
    for _ in range(1500):
        number = min(int(random.paretovariate(0.8)) - 1, 79)
        question = block(f"question {next(_numbers)}", random.randint(15, 60))
        blocks = [*head("docs", 0, 1800), block(f"document {number}", sizes[number]), question]
        yield call(random.uniform(0, 10 * _HOUR), blocks, "docs", output_tokens=150)


def volatile_line(random: Random) -> Iterator[Line]:
    """The time of day stands in the system prompt: every mark behind it is wasted."""
    for number in range(600):
        at = number * 45 + random.uniform(0, 20)
        blocks = [
            block("vol tools", 6000, "tools", "tool"),
            block(f"vol system {number}", 3000, "system"),
            block(f"vol question {number}", 120),
        ]
        yield call(at, blocks, "volatile", output_tokens=80)


def job(minutes: float, count: int) -> Callable[[Random], Iterator[Line]]:
    """Return a job that runs every so often with one long shared prompt."""

    def scenario(random: Random) -> Iterator[Line]:
        """A job at a fixed interval: one lifetime pays, the other is burnt on every run."""
        for number in range(count):
            at = number * minutes * 60 + random.uniform(0, 30)
            blocks = [*head("job", 2000, 18000), block(f"job input {number}", 800)]
            yield call(at, blocks, "job", output_tokens=300)

    return scenario


def one_shot(random: Random) -> Iterator[Line]:
    """Tickets sorted by one shared prompt: marking the tail wastes a quarter of it."""
    for number in range(3000):
        blocks = [*head("sort", 0, 2500), block(f"ticket {number}", random.randint(100, 1200))]
        yield call(random.uniform(0, 8 * _HOUR), blocks, "sort", output_tokens=8)


def fan_outs(random: Random) -> Iterator[Line]:
    """Turns of 3 to 30 parallel tools on a platform that counts each block."""
    for number in range(25):
        name = f"fan {number}"
        opening = [*head("fan", 8000, 3000), block(f"{name} task", 300)]
        for line in conversation(
            random, random.uniform(0, 4 * _HOUR), opening, name, "fan", turns=15,
            gap=lambda _: random.uniform(10, 60), fan=random.choice((3, 12, 18, 30)),
        ):  # fmt: skip
            yield {**line, "platform": "bedrock", "model": "claude-sonnet-4-5"}


def under_minimum(random: Random) -> Iterator[Line]:
    """Shared prompts a little below the minimum: a mark on system does nothing."""
    for number in range(1200):
        blocks = [*head("small", 300, 600), block(f"small {number}", random.randint(40, 400))]
        yield call(random.uniform(0, 4 * _HOUR), blocks, "small", output_tokens=20)


def sub_agents(random: Random) -> Iterator[Line]:
    """A parent that waits while short-lived sub-agents work: an hour for one lane only."""
    for number in range(30):
        start = random.uniform(0, 8 * _HOUR)
        name = f"parent {number}"
        opening = [*head("parent", 12000, 5000), block(f"{name} task", 500)]
        yield from conversation(
            random,
            start,
            opening,
            name,
            "parent",
            turns=12,
            gap=lambda _: random.uniform(300, 1200),
        )
        for child in range(8):
            own = f"child {number}.{child}"
            begin = start + child * random.uniform(200, 900)
            child_opening = [*head("child", 5000, 1500), block(f"{own} task", 700)]
            yield from conversation(
                random, begin, child_opening, own, "child", turns=random.randint(1, 6),
                gap=lambda _: random.uniform(5, 20), model="claude-haiku-4-5",
            )  # fmt: skip


#: By name; the seed of each is its place in the table, so adding one changes no other.
SCENARIOS: Final[dict[str, Callable[[Random], Iterator[Line]]]] = {
    "idle agents": idle_agents,
    "document pool": document_pool,
    "volatile line": volatile_line,
    "job every 25 minutes": job(25, 60),
    "job every 2 hours": job(120, 40),
    "one-shot": one_shot,
    "fan-outs": fan_outs,
    "under the minimum": under_minimum,
    "sub-agents": sub_agents,
}


def lines(name: str) -> list[Line]:
    """Return the lines of one scenario, in time order."""
    seed = list(SCENARIOS).index(name)
    made = list(SCENARIOS[name](Random(seed)))
    return sorted(made, key=lambda line: line["at"])
