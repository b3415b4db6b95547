"""Toy workloads: prompts that share prefixes, sent at awkward moments.

One generator serves both the small workloads that Hypothesis shrinks and the long ones
that a seed names: it takes every choice from the ``Random`` it is handed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from random import Random
from typing import Any, Protocol

from hypothesis import strategies as st
from oracle import (
    RUNS_COLLAPSE_FROM,
    SETTINGS,
    THINKING,
    Counts,
    Lifetime,
    Mark,
    RefusedError,
    Switches,
    ToyBlock,
    ToyCall,
)

from cacheplan.assumptions import Assumptions
from cacheplan.errors import RejectedError
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Level
from cacheplan.prompt import Lifetime as RealLifetime
from cacheplan.simulator import SimulatedCache
from cacheplan.workload import Call

__all__ = [
    "ANSWERS",
    "Service",
    "Simulator",
    "any_switches",
    "calls",
    "fork",
    "prompt",
    "prompts",
    "served",
    "switches",
    "toy_calls",
]

#: Seconds between two calls. Around each lifetime the edge itself and its neighbours;
#: all are exact in binary, so that a shifted time is the same time.
GAPS = (0, 0, 0.25, 1, 1.5, 45, 200, 299.75, 300, 300.25, 309.75, 310, 1500, 3599.75, 3600, 3610)
#: Seconds to the first token; the longest outlive a 5-minute entry.
LATENCIES = (0, 0.25, 1, 1, 1.5, 45, 400)
#: Where time begins: at any zero, across the day runs began to collapse, after it.
BEGINNINGS = (0.0, RUNS_COLLAPSE_FROM - 300, RUNS_COLLAPSE_FROM + 2**20)
#: Blocks added since the previous call; most of them on either side of the lookback.
STEPS = (0, 1, 1, 2, 3, 10, 17, 18, 19, 20, 21, 22, 30)
#: Lengths of a block. An empty one makes two prefixes equally long.
SIZES = (0, 1, 7, 10, 64, 100, 512)
MINIMUMS = (0, 0, 1, 64, 512, 1024, None)
SCOPES = ("a", "a", "a", "b")
KINDS = ("text", "text", "tool_use", "tool_result", "image", *THINKING, "blank")
REFUSED = (*THINKING, SETTINGS)
LONGEST = 90


#: Every answer to every open question that the oracle knows; the default comes first.
ANSWERS: dict[str, tuple[Any, ...]] = {
    "refresh": ("own", "reader", "longer"),
    "remark": ("keep", "upgrade"),
    "lifetime_in_key": (False, True),
    "refreshed": ("marked", "hit", "all"),
    "write_inside_read": (False, True),
    "collapse_runs": ("dated", "on", "off"),
    "thinking_positions": (False, True),
    "lookback": (20, 1, 2, 19, 21),
    "lookback_crosses_levels": (True, False),
    "visible": ("first-token", "start"),
    "grace": (0.0, 10.0),
    "server_tool_marks": (True, False),
    "server_tool_slot": (False, True),
}


class Service(Protocol):
    """Whatever serves toy calls in time order: the simulator or the oracle."""

    def serve(self, toy: ToyCall, /) -> Counts:
        """Count the tokens of one call, or raise ``RefusedError``."""
        ...


def served(service: Service, workload: Iterable[ToyCall]) -> list[Counts | None]:
    """Serve calls one after the other; ``None`` stands for a refused one."""
    counts: list[Counts | None] = []
    for call in workload:
        try:
            counts.append(service.serve(call))
        except RefusedError:
            counts.append(None)
    return counts


class Simulator:
    """The library's simulator, for toy calls: all it expects of a caller stands here."""

    def __init__(self, answers: Switches | None = None, **more: Any) -> None:
        assume = Assumptions(**asdict(answers or Switches()), **more)
        self.tree = PrefixTree()
        self.cache = SimulatedCache(self.tree, self.minimum, assume)

    @staticmethod
    def minimum(tariff: Tariff) -> int | None:
        """Read the shortest prefix off the name of the toy model."""
        return None if tariff.model == "None" else int(tariff.model)

    def block(self, toy: ToyBlock) -> int:
        """Intern a toy block; its name is its identity."""
        level = Level(toy.level)
        if toy.kind == SETTINGS:
            return self.tree.settings(level, toy.name.encode(), toy.tokens)
        refuses = toy.refuses or ("thinking" if toy.kind in THINKING else "")
        block = Block(
            level=level,
            kind=toy.kind,
            digest=toy.name.encode(),
            tokens=toy.tokens,
            refuses=refuses,
        )
        return self.tree.intern(block)

    def nodes(self, toy: ToyCall) -> list[int]:
        """Return every prefix of a prompt, answers of server tools included."""
        own = toy.scope if isinstance(toy.scope, Scope) else None
        node = self.tree.root(own or Scope("toy", toy.platform, "messages", str(toy.scope)))
        start = len(self.tree)
        nodes = []
        for block in (*toy.blocks, *(block for answer in toy.answers for block in answer)):
            node = self.tree.child(node, self.block(block))
            nodes.append(node)
        self.tree.measure(start)
        return nodes

    def serve(self, toy: ToyCall, /, *, as_sent: bool = True, **more: Any) -> Counts:
        """Serve one toy call, check the invariants, and refuse as the oracle does.

        ``more`` are fields of a ``Call`` that no toy has. Where it is not ``as_sent``, the
        marks are what a policy chose for a call that carried none.
        """
        nodes = self.nodes(toy)
        ends, end = [], len(toy.blocks)
        for answer in toy.answers:
            end += len(answer)
            ends.append(nodes[end - 1])
        marks = tuple(Breakpoint(nodes[m.place], RealLifetime(m.lifetime)) for m in toy.marks)
        surface = more.pop("surface", "messages")
        call = Call(
            at=toy.at,
            tip=nodes[len(toy.blocks) - 1],
            tariff=Tariff(str(toy.minimum), toy.platform, surface),
            marks=marks if as_sent else (),
            first_token_after=toy.first_token_after,
            rounds=tuple(ends),
            **more,
        )
        try:
            usage = self.cache.serve(call, marks)
        except RejectedError as refusal:
            raise RefusedError(str(refusal)) from refusal
        finally:
            self.tree.check()
            self.cache.check()
        return Counts(usage.uncached, usage.write_5m, usage.write_1h, usage.read)


def prompt(*runs: tuple[str, int], level: int = 2, tokens: int = 1) -> tuple[ToyBlock, ...]:
    """Spell out a prompt from runs of one kind, ``("text", 3)``; names count blocks."""
    kinds = [kind for kind, length in runs for _ in range(length)]
    return tuple(ToyBlock(f"{kind}{i}", kind, level, tokens) for i, kind in enumerate(kinds))


def trunk(rng: Random) -> list[ToyBlock]:
    """Make the longest prompt of a workload: all others share a beginning with it."""
    runs = [("tool", 0, rng.randint(0, 4)), ("text", 1, rng.randint(0, 3))]
    runs += [(rng.choice(KINDS), 2, rng.choice((1, 1, 2, 3, 12, 25))) for _ in range(12)]
    if rng.random() < 0.2:
        runs.insert(rng.choice((0, 1, 2)), ("#settings", 0, 1))
    blocks: list[ToyBlock] = []
    for kind, level, length in runs:
        deepest = max([level, *(block.level for block in blocks)])
        size = rng.choice(SIZES)
        for _ in range(length):
            name = f"{len(blocks)}{kind}"
            if kind == "blank":
                blocks.append(ToyBlock(name, "text", deepest, 0, kind))
            else:
                blocks.append(ToyBlock(name, kind, deepest, size))
    return blocks[:LONGEST]


def fork(blocks: Sequence[ToyBlock], at: int, name: str) -> list[ToyBlock]:
    """Return a prompt that says something else from block ``at`` on."""
    return [
        block._replace(name=f"{block.name}/{name}") if index >= at else block
        for index, block in enumerate(blocks)
    ]


def marks(rng: Random, blocks: Sequence[ToyBlock], earlier: Sequence[int]) -> list[Mark]:
    """Place breakpoints at telling blocks; one time in ten as they fall."""
    last = len(blocks) - 1
    ends = [i for i in range(last) if blocks[i].level < blocks[i + 1].level]
    telling = [last, last, last - 1, last - 19, last - 20, *ends, *earlier]
    telling += [rng.randint(0, last) for _ in range(2)]
    places = [i for i in telling if 0 <= i <= last]
    careless = rng.random() < 0.1
    if not careless:
        places = [i for i in places if blocks[i].kind not in REFUSED and not blocks[i].refuses]
    most = min(len(places), rng.choice((0, 1, 1, 2, 2, 3, 4, 5 if careless else 4)))
    chosen = sorted(rng.sample(places, most))
    cut = rng.randint(0, len(chosen))
    lifetimes: list[Lifetime] = ["1h" if i < cut else "5m" for i in range(len(chosen))]
    if careless:
        rng.shuffle(lifetimes)
    # One block never gets two lifetimes: no source says what that would mean.
    by_place = dict(zip(chosen, lifetimes, strict=True))
    placed = [Mark(place, by_place[place]) for place in chosen]
    rng.shuffle(placed)
    return placed


def toy_calls(rng: Random, number: int, *, tools: bool = True) -> list[ToyCall]:
    """Make calls in time order: conversations that grow, fork and come back.

    Without ``tools``, no server tool answers, so each call is one round.
    """
    whole = trunk(rng)
    forks = ("x", "y")[: rng.randint(0, 2)]
    variants = [whole] + [fork(whole, rng.randint(0, len(whole)), name) for name in forks]
    minimum = {scope: rng.choice(MINIMUMS) for scope in SCOPES}
    platform = rng.choice(("anthropic", "anthropic", "bedrock"))
    at = rng.choice(BEGINNINGS)
    length, earlier, made = 0, [0], list[ToyCall]()
    for _ in range(number):
        at += rng.choice(GAPS)
        length = length + rng.choice(STEPS) if rng.random() < 0.7 else rng.randint(1, LONGEST)
        if length > len(whole):
            length = rng.randint(1, 10)
        blocks = rng.choice(variants)[: max(length, 1)]
        scope = rng.choice(SCOPES)
        placed = marks(rng, blocks, earlier)
        earlier = [mark.place for mark in placed] or earlier
        answers: tuple[tuple[ToyBlock, ...], ...] = ()
        if tools and rng.random() < 0.05:
            answers = tuple(prompt(("web_search_tool_result", n)) for n in (1, 2))
        call = ToyCall(
            blocks=tuple(blocks),
            marks=tuple(placed),
            at=at,
            first_token_after=rng.choice(LATENCIES),
            scope=scope,
            minimum=minimum[scope],
            platform=platform,
            answers=answers,
        )
        made.append(call)
    return made


@st.composite
def calls(draw: st.DrawFn, most: int = 12, *, tools: bool = True) -> list[ToyCall]:
    """Draw a small workload."""
    rng = draw(st.randoms(use_true_random=False))
    return toy_calls(rng, draw(st.integers(1, most)), tools=tools)


@st.composite
def prompts(draw: st.DrawFn, least: int = 1, most: int = 30) -> tuple[ToyBlock, ...]:
    """Draw a prompt of markable blocks on all three levels, none of them empty."""
    levels = sorted(draw(st.lists(st.sampled_from((0, 1, 2, 2)), min_size=least, max_size=most)))
    sizes = draw(st.lists(st.integers(1, 2000), min_size=len(levels), max_size=len(levels)))
    return tuple(
        ToyBlock(f"block{i}", "text" if level else "tool", level, size)
        for i, (level, size) in enumerate(zip(levels, sizes, strict=True))
    )


def any_switches(rng: Random) -> Switches:
    """Answer each open question at random."""
    return Switches(**{name: rng.choice(answers) for name, answers in ANSWERS.items()})


def switches(**fixed: Any) -> st.SearchStrategy[Switches]:
    """Draw an answer to each open question; it shrinks to the defaults."""
    choices = {name: st.sampled_from(answers) for name, answers in ANSWERS.items()}
    choices |= {name: st.just(answer) for name, answer in fixed.items()}
    return st.fixed_dictionaries(choices).map(lambda drawn: Switches(**drawn))
