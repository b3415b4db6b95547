"""Recorded usage outranks every estimate, and what is still in doubt is said."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.lengths import PLAUSIBLE, settle
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.usage import Usage
from cacheplan.workload import Call

SCOPE = Scope("m", "anthropic", "messages", "")
TARIFF = Tariff("m", "anthropic", "messages", "standard", "")
CLOSING = 5


class Text(NamedTuple):
    """A block as it is, and as it is taken to be."""

    name: str
    truth: int
    guess: int
    error: int


class Log:
    """A tree of estimates, the truth beside it, and calls that were billed by the truth."""

    def __init__(self) -> None:
        self.tree = PrefixTree()
        self.truth: dict[int, int] = {}
        self.calls: list[Call] = []

    def add(self, path: list[Text], mark: int | None = None, **changes: Any) -> Call:
        """Log a call of these blocks, perhaps with a breakpoint on one of them."""
        node, nodes = self.tree.root(SCOPE), []
        self.truth[node] = 0
        for text in path:
            block = self.tree.intern(
                Block(
                    level=Level.MESSAGES, kind="text", digest=text.name.encode(), tokens=text.guess
                )
            )
            self.tree.error[block] = text.error
            above, node = node, self.tree.child(node, block)
            self.truth[node] = self.truth[above] + text.truth
            nodes.append(node)
        marks = () if mark is None else (Breakpoint(nodes[mark], Lifetime.FIVE_MINUTES),)
        cached = self.truth[marks[0].node] if marks else 0
        half = cached // 2
        used = Usage(
            uncached=self.truth[node] - cached + CLOSING, read=half, write_5m=cached - half
        )
        call = Call(at=0, tip=node, tariff=TARIFF, marks=marks, closing=CLOSING, recorded=used)
        self.calls.append(msgspec.structs.replace(call, **changes))
        return call

    def settle(self, **how: Any) -> str:
        """Measure the tree and say by what."""
        counted = range(len(self.calls))
        self.calls, source = settle(self.tree, self.calls, counted, **{"trust_usage": True, **how})
        self.tree.check()
        return source

    def length(self, call: Call) -> int:
        """Return how long a call's prompt is taken to be."""
        return self.tree.tokens[call.tip] + call.closing


@st.composite
def texts(draw: st.DrawFn) -> list[Text]:
    """Draw blocks whose estimate is off by no more than is admitted, nor than half."""
    found = []
    for name in "abcde":
        truth = draw(st.integers(4, 400))
        guess = truth + draw(st.integers(-(truth // 2), truth))
        found.append(Text(name, truth, guess, abs(guess - truth) + draw(st.integers(0, 9))))
    return found


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Draw a log in which prompts share beginnings, in any order."""
    known = draw(texts())
    log = Log()
    for _ in range(draw(st.integers(1, 6))):
        path = draw(st.lists(st.sampled_from(known), min_size=1, max_size=6))
        log.add(path, draw(st.none() | st.integers(0, len(path) - 1)))
    return log


class TestUsage:
    """``a call's usage is the truth about its whole prompt``."""

    @given(logs())
    def test_recorded_prompts_have_their_recorded_length(self, log: Log) -> None:
        """Every call that was billed is as long as it was billed for, in any order of logging."""
        assert log.settle() == "usage"
        for call in log.calls:
            assert call.recorded is not None
            assert log.length(call) == call.recorded.prompt
            assert log.tree.tokens[call.tip] == log.truth[call.tip]

    @given(logs())
    def test_settled_ends_are_beyond_doubt(self, log: Log) -> None:
        """Where a prompt ends, and at its last breakpoint, nothing is left to doubt."""
        log.settle()
        for call in log.calls:
            ends = [call.tip, *(mark.node for mark in call.marks)]
            assert [log.tree.doubt[end] for end in ends] == [0] * len(ends)
            assert [log.tree.tokens[end] for end in ends] == [log.truth[end] for end in ends]

    @given(logs())
    def test_the_doubt_holds(self, log: Log) -> None:
        """If each estimate is within its error, each prefix is within its doubt."""
        log.settle()
        for node, truth in log.truth.items():
            assert abs(log.tree.tokens[node] - truth) <= log.tree.doubt[node]

    @given(logs(), st.integers(0, 2**32))
    def test_the_order_of_the_log_takes_no_part(self, log: Log, seed: int) -> None:
        """The same calls logged in another order give the same lengths."""
        random.Random(seed).shuffle(log.calls)
        log.settle()
        before = list(log.tree.tokens)
        log.calls.reverse()
        log.settle()
        assert log.tree.tokens == before

    @given(logs())
    def test_a_longer_call_changes_nothing_settled(self, log: Log) -> None:
        """What shorter prompts settled stays when a longer one is added."""
        log.settle()
        before = {call.tip: log.tree.tokens[call.tip] for call in log.calls}
        longest = max(log.calls, key=lambda call: log.truth[call.tip])
        path = log.tree.path(longest.tip)
        base = Text("z", 1000, 1500, 500)
        known = [
            Text(log.tree.digest[log.tree.block[n]].decode(), 0, 0, 0)._replace(
                truth=log.truth[n] - log.truth[log.tree.parent[n]],
                guess=log.tree.size[log.tree.block[n]],
                error=log.tree.error[log.tree.block[n]],
            )
            for n in path
        ]
        log.add([*known, base])
        log.settle()
        assert {tip: log.tree.tokens[tip] for tip in before} == before

    @pytest.mark.parametrize(("read", "write"), [(0, 40), (40, 0), (17, 23)])
    def test_only_the_sum_of_read_and_written_counts(self, read: int, write: int) -> None:
        """How a prefix was billed says nothing about its length, only that it was."""
        log = Log()
        path = [Text("a", 40, 30, 10), Text("b", 60, 70, 10)]
        call = log.add(path, mark=0)
        used = Usage(uncached=65, read=read, write_5m=write)
        log.calls = [msgspec.structs.replace(call, recorded=used)]
        log.settle()
        assert [log.tree.tokens[node] for node in log.tree.path(call.tip)] == [40, 100]

    @pytest.mark.parametrize("factor", [0.9 / PLAUSIBLE, 1.1 * PLAUSIBLE])
    def test_an_implausible_record_is_not_believed(self, factor: float) -> None:
        """A prompt recorded at over three times its estimate, or a third, holds something else."""
        log = Log()
        call = log.add([Text("a", round(1000 * factor), 1000, 0)])
        assert log.settle() == "estimated"
        assert log.tree.tokens[call.tip] == 1000
        assert log.calls[0].closing == CLOSING

    def test_a_record_of_nothing_settles_nothing(self) -> None:
        """A failed call that was billed nothing is as long as its estimate."""
        log = Log()
        call = log.add([Text("a", 900, 1000, 100)], recorded=Usage(), failed=True)
        assert log.settle() == "estimated"
        assert (log.tree.tokens[call.tip], log.tree.doubt[call.tip]) == (1000, 100)

    def test_another_model_trusts_no_usage(self) -> None:
        """What one model was billed for is not how long the prompt is to another."""
        log = Log()
        call = log.add([Text("a", 900, 1000, 100)])
        assert log.settle(trust_usage=False) == "estimated"
        assert log.tree.tokens[call.tip] == 1000


class TestSource:
    """Where the lengths of a workload come from."""

    @pytest.mark.parametrize(
        ("recorded", "estimated", "source"),
        [
            ([True, True], True, "usage"),
            ([True, False], True, "estimated"),
            ([True, False], False, "counted"),
            ([False, False], True, "estimated"),
            ([False, False], False, "counted"),
        ],
    )
    def test_one_guess_makes_the_workload_a_guess(
        self, recorded: list[bool], estimated: bool, source: str
    ) -> None:
        """Usage is claimed only where every call has it; counts only where nothing was guessed."""
        log = Log()
        for name, known in zip("ab", recorded, strict=True):
            log.add([Text(name, 100, 120, 20)], **({} if known else {"recorded": None}))
        assert log.settle(estimated=estimated) == source

    def test_stated_lengths_are_counted(self) -> None:
        """Calls whose source states their lengths need neither usage nor estimate."""
        log = Log()
        log.add([Text("a", 100, 100, 0)])
        _, source = settle(log.tree, log.calls, [], trust_usage=True, estimated=False)
        assert source == "counted"
