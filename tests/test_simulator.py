"""The simulator against a naive one, the documentation's own numbers, and its laws."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import (
    THINKING,
    Counts,
    Lifetime,
    Mark,
    NaiveService,
    RefusedError,
    Switches,
    ToyBlock,
    ToyCall,
    tokens,
)
from workloads import (
    ANSWERS,
    Service,
    Simulator,
    any_switches,
    calls,
    prompt,
    prompts,
    served,
    switches,
    toy_calls,
)

Workload = list[ToyCall]

#: Calls of one prefix under changing lifetimes, the last beyond 5 minutes.
MIXED: tuple[tuple[float, Lifetime], ...] = ((0, "5m"), (60, "1h"), (3600, "5m"), (3950, "5m"))
#: Each answer that is not the default, alone.
SINGLE = [(name, answer) for name, answers in ANSWERS.items() for answer in answers[1:]]


def prefixes(call: ToyCall) -> list[tuple[str, ...]]:
    """Name the prefixes a call marks."""
    return [tuple(b.name for b in call.blocks[: mark.place + 1]) for mark in call.marks]


def marked(at: float, *marks: tuple[int, Lifetime], waits: float = 0.0) -> ToyCall:
    """Return a call of as many one-token blocks as its last mark needs."""
    length = max(index for index, _ in marks) + 1
    blocks = prompt(("text", length))
    return ToyCall(blocks, tuple(Mark(*mark) for mark in marks), at, waits)


#: Small workloads in which one rule meets another: where imitations come apart.
MEETINGS: dict[str, tuple[Switches, Workload]] = {
    "order is checked before length, however marks are listed": (
        Switches(),
        [marked(0, (1, "1h"), (0, "5m"))._replace(minimum=3)],
    ),
    "a fifth slot is refused before anything is written": (
        Switches(server_tool_slot=True),
        [
            marked(0, *((i, "5m") for i in range(4)))._replace(answers=(prompt(("image", 1)),)),
            marked(10, (3, "5m")),
        ],
    ),
    "a mark on an empty block behind the hit writes an entry too": (
        Switches(),
        [
            ToyCall(prompt(("text", 1)), (Mark(0, "1h"),), 0, 0.0),
            ToyCall((*prompt(("text", 1)), ToyBlock("", "image", 2, 0)), (Mark(1, "1h"),), 10, 0.0),
            ToyCall(
                (*prompt(("text", 1)), ToyBlock("", "image", 2, 0), *prompt(("image", 19))),
                (Mark(20, "1h"),),
                20,
                0.0,
            ),
        ],
    ),
    "a second write does not lengthen the life the first one gave": (
        Switches(),
        [
            marked(0, (0, "1h"), waits=100),
            marked(60, (0, "5m"), waits=100),
            marked(3630, (0, "5m")),
        ],
    ),
    "an entry alive by grace alone is written again, not replaced": (
        Switches(grace=10.0),
        [
            marked(0, (0, "5m"), waits=400),
            marked(305, (0, "5m"), waits=400),
            marked(450, (0, "5m")),
        ],
    ),
    "a 1h reader lends its lifetime once": (
        Switches(refresh="longer"),
        [marked(at, (0, kind)) for at, kind in MIXED],
    ),
    "in the key, a 1h mark does not lend its lifetime to a 5m entry": (
        Switches(refresh="reader", lifetime_in_key=True),
        [marked(0, (0, "5m")), marked(10, (1, "1h"), (2, "5m")), marked(320, (2, "5m"))],
    ),
    "in the key, both entries that end the longest prefix are refreshed": (
        Switches(lifetime_in_key=True),
        [
            marked(0, (0, "5m")),
            marked(1, (0, "1h")),
            marked(200, (0, "1h"), (1, "5m")),
            marked(400, (0, "5m")),
        ],
    ),
    "an upgrade never takes from what a later round gave": (
        Switches(remark="upgrade"),
        [
            marked(0, (0, "1h"), waits=10)._replace(answers=(prompt(("image", 1)),) * 2),
            marked(15, (0, "1h")),
            marked(3617, (0, "1h")),
        ],
    ),
}


class TestAgainstOracle:
    """The simulator and the oracle count the same tokens, whatever is sent when."""

    @given(calls(), switches())
    def test_small_workloads(self, workload: Workload, answers: Switches) -> None:
        """A few calls that Hypothesis can take apart are counted as the oracle does."""
        assert served(Simulator(answers), workload) == served(NaiveService(answers), workload)

    @pytest.mark.parametrize("rule", MEETINGS)
    def test_rules_that_meet(self, rule: str) -> None:
        """Where two rules meet, the calls are counted as the oracle does."""
        answers, workload = MEETINGS[rule]
        assert served(Simulator(answers), workload) == served(NaiveService(answers), workload)

    @pytest.mark.parametrize("seed", range(20))
    def test_long_workloads(self, seed: int) -> None:
        """Two hundred calls under random answers are counted as the oracle does."""
        rng = Random(seed)
        answers, workload = any_switches(rng), toy_calls(rng, 200)
        assert served(Simulator(answers), workload) == served(NaiveService(answers), workload)

    @pytest.mark.parametrize("seed", range(20))
    def test_long_workloads_by_default(self, seed: int) -> None:
        """Two hundred calls under the default answers are counted as the oracle does."""
        workload = toy_calls(Random(seed), 200)
        assert served(Simulator(), workload) == served(NaiveService(), workload)

    @pytest.mark.parametrize(("name", "answer"), SINGLE)
    def test_each_answer_alone(self, name: str, answer: Any) -> None:
        """One answer changed is counted as the oracle does, and is seen in the counts."""
        answers = replace(Switches(), **{name: answer})
        seen = False
        for seed in range(40):
            workload = toy_calls(Random(seed), 100)
            expected = served(NaiveService(answers), workload)
            assert served(Simulator(answers), workload) == expected
            seen = seen or expected != served(NaiveService(), workload)
            if seen and seed >= 3:
                break
        assert seen

    @pytest.mark.long
    @pytest.mark.parametrize("first", range(1000, 3000, 100))
    def test_thousands_of_workloads(self, first: int) -> None:
        """Hundreds of thousands of calls are counted as the oracle does."""
        for seed in range(first, first + 100):
            self.test_long_workloads(seed)

    def test_drawn_workloads_reach_everything(self) -> None:
        """The drawn workloads hold each kind of charge, refusals, and both sides of each edge."""
        seen: set[str] = set()
        for seed in range(40):
            workload = toy_calls(Random(seed), 100)
            kept: dict[tuple[object, tuple[str, ...]], float] = {}
            for call, counts in zip(workload, served(NaiveService(), workload), strict=True):
                if counts is None:
                    seen.add("refused")
                    continue
                kinds = (
                    "read" * bool(counts.read),
                    "5m" * bool(counts.write_5m),
                    "1h" * bool(counts.write_1h),
                    "uncached" * bool(counts.uncached),
                )
                seen.add(" ".join(kind for kind in kinds if kind))
                for prefix in prefixes(call):
                    seen.add(f"gap {call.at - kept.get((call.scope, prefix), -1e9)}")
                    kept[call.scope, prefix] = call.at
        charges = {"refused", "read", "5m", "1h", "uncached", "read 5m 1h uncached"}
        edges = {f"gap {gap}" for gap in (0.0, 299.75, 300.0, 300.25, 3599.75, 3600.0)}
        assert charges | edges <= seen


class TestDocumentedNumbers:
    """The examples that the documentation gives with numbers come out as printed there."""

    def test_ten_fifteen_thirty_five(self) -> None:
        """After 10 and 15 blocks, a breakpoint at 35 looks at 35 to 16 and misses 15."""
        blocks = prompt(("text", 35))
        service = Simulator()
        assert service.serve(ToyCall(blocks[:10], (Mark(9, "5m"),), 0)) == (0, 10, 0, 0)
        assert service.serve(ToyCall(blocks[:15], (Mark(14, "5m"),), 60)) == (0, 5, 0, 10)
        assert service.serve(ToyCall(blocks, (Mark(34, "5m"),), 120)) == (0, 35, 0, 0)

    def test_second_breakpoint_at_fifteen(self) -> None:
        """A second breakpoint at block 15 finds what the one at 35 is too far from."""
        blocks = prompt(("text", 35))
        service = Simulator()
        service.serve(ToyCall(blocks[:15], (Mark(14, "5m"),), 0))
        marks = (Mark(14, "5m"), Mark(34, "5m"))
        assert service.serve(ToyCall(blocks, marks, 60)) == (0, 20, 0, 15)

    def test_changing_block_marked(self) -> None:
        """Five blocks that stay and a marked sixth that changes: all writes, no reads."""
        service = Simulator()
        for turn in range(6):
            changing = ToyBlock(f"now{turn}", "text", 2, 1)
            call = ToyCall((*prompt(("text", 5)), changing), (Mark(5, "5m"),), turn * 30)
            assert service.serve(call) == (0, 6, 0, 0)

    def test_last_block_that_stays_marked(self) -> None:
        """The remedy: with the fifth block marked, every call but the first reads five."""
        service = Simulator()
        for turn in range(6):
            changing = ToyBlock(f"now{turn}", "text", 2, 1)
            call = ToyCall((*prompt(("text", 5)), changing), (Mark(4, "5m"),), turn * 30)
            assert service.serve(call) == ((1, 0, 0, 5) if turn else (1, 5, 0, 0))

    def test_hundred_thousand_read(self) -> None:
        """100,000 tokens read and 50 behind the breakpoint are a prompt of 100,050."""
        document, question = ToyBlock("document", "text", 1, 100_000), ToyBlock("?", "text", 2, 50)
        service = Simulator()
        service.serve(ToyCall((document,), (Mark(0, "5m"),), 0, minimum=1024))
        call = ToyCall((document, question), (Mark(0, "5m"),), 10, minimum=1024)
        assert service.serve(call) == (50, 0, 0, 100_000)

    def test_prewarm(self) -> None:
        """A call made to warm a prefix of 5,120 tokens pays for its 8 other tokens as well."""
        shared, placeholder = ToyBlock("shared", "text", 1, 5120), ToyBlock("hi", "text", 2, 8)
        service = Simulator()
        warm = ToyCall((shared, placeholder), (Mark(0, "5m"),), 0, minimum=1024)
        assert service.serve(warm) == (8, 5120, 0, 0)
        real = (shared, ToyBlock("question", "text", 2, 100))
        assert service.serve(ToyCall(real, (Mark(0, "5m"),), 60)) == (100, 0, 0, 5120)

    def test_effort_changed(self) -> None:
        """3,546 tokens are written, read, and written again when the effort changes."""
        text = ToyBlock("conversation", "text", 2, 3546)
        service = Simulator()
        outcomes = []
        for at, effort in enumerate(("high", "high", "low")):
            blocks = (ToyBlock(effort, "#settings", 2, 0), text)
            outcomes.append(service.serve(ToyCall(blocks, (Mark(1, "5m"),), at * 30)))
        assert outcomes == [(0, 3546, 0, 0), (0, 0, 0, 3546), (0, 3546, 0, 0)]

    @pytest.mark.parametrize(
        ("minimum", "length", "kept"),
        [(1024, 819, False), (1024, 1069, True), (1024, 68, False), (1024, 1590, True)],
    )
    def test_measured_minimums(self, minimum: int, length: int, *, kept: bool) -> None:
        """Prompts recorded just below a minimum were not kept, those above were."""
        call = ToyCall(prompt(("text", 1), tokens=length), (Mark(0, "5m"),), 0, minimum=minimum)
        assert Simulator().serve(call) == ((0, length, 0, 0) if kept else (length, 0, 0, 0))

    @pytest.mark.parametrize(("distance", "hit"), [(17, True), (18, True), (19, True), (21, False)])
    def test_measured_lookback(self, distance: int, *, hit: bool) -> None:
        """Recorded calls read an entry up to 19 positions before their breakpoint."""
        blocks = prompt(("text", distance + 1))
        service = Simulator()
        service.serve(ToyCall(blocks[:1], (Mark(0, "5m"),), 0))
        counts = service.serve(ToyCall(blocks, (Mark(distance, "5m"),), 60))
        assert bool(counts.read) is hit

    @pytest.mark.parametrize(
        ("lifetime", "gap", "hit"),
        [("5m", 308, True), ("5m", 313, False), ("1h", 3609, True), ("1h", 3647, False)],
    )
    def test_measured_edges(self, lifetime: Lifetime, gap: int, *, hit: bool) -> None:
        """A grace of ten seconds puts the recorded last reads and first misses apart."""
        service = Simulator(Switches(grace=10.0))
        call = ToyCall(prompt(("text", 2)), (Mark(1, lifetime),), 0)
        service.serve(call)
        assert bool(service.serve(call._replace(at=gap)).read) is hit

    @pytest.mark.parametrize("gap", [314, 395])
    def test_measured_change_of_lifetime(self, gap: int) -> None:
        """A 5m-marked call reads what was written for an hour when 5 minutes are over."""
        blocks = prompt(("text", 3))
        service = Simulator()
        service.serve(ToyCall(blocks[:2], (Mark(1, "1h"),), 0))
        assert service.serve(ToyCall(blocks, (Mark(2, "5m"),), gap)) == (0, 1, 0, 2)

    def test_measured_interior_entry(self) -> None:
        """A live 1h entry amid a conversation is worth nothing far behind a breakpoint."""
        blocks = prompt(("text", 60))
        service = Simulator()
        service.serve(ToyCall(blocks[:18], (Mark(17, "1h"),), 0))
        service.serve(ToyCall(blocks[:36], (Mark(35, "5m"),), 60))
        assert service.serve(ToyCall(blocks[:54], (Mark(53, "5m"),), 400)).read == 0


def cost(counts: Counts) -> Fraction:
    """Price a call in base input tokens: 1, 1.25, 2 and 0.1."""
    weights = (Fraction(1), Fraction(5, 4), Fraction(2), Fraction(1, 10))
    return sum((weight * n for weight, n in zip(weights, counts, strict=True)), Fraction(0))


def ways(blocks: tuple[ToyBlock, ...]) -> list[tuple[Mark, ...]]:
    """List every way to mark a short prompt that the service takes."""
    found: list[tuple[Mark, ...]] = [()]
    for index in range(len(blocks)):
        found += [(*way, Mark(index, "5m")) for way in found] + [
            (*way, Mark(index, "1h")) for way in found if "5m" not in {m.lifetime for m in way}
        ]
    return found


def cheapest(shapes: list[tuple[float, tuple[ToyBlock, ...]]]) -> Fraction:
    """Try every way to mark every call, and return what the cheapest costs."""
    options = [[ToyCall(blocks, way, at, 0.0) for way in ways(blocks)] for at, blocks in shapes]
    totals = (served(Simulator(), choice) for choice in product(*options))
    return min(sum((cost(c) for c in total if c), Fraction(0)) for total in totals)


A, B = ToyBlock("a", "text", 2, 10), ToyBlock("b", "text", 2, 1)


class TestGoldenOptima:
    """The cheapest marks, found by trying all, cost what the theory of the plan computed."""

    @pytest.mark.parametrize(
        ("uses", "expected"),
        [
            ((0,), "1"),
            ((0, 60), "1.35"),
            ((0, 60, 120), "1.45"),
            ((0, 1000), "2"),
            ((0, 1000, 2000), "2.2"),
            ((0, 60, 1000), "2.2"),
            ((0, 60, 1000, 5000), "3.2"),
            ((0, 400, 800, 1200, 9000), "3.3"),
        ],
    )
    def test_one_prefix(self, uses: tuple[float, ...], expected: str) -> None:
        """One prefix of one token, used at these times."""
        blocks = prompt(("text", 1))
        assert cheapest([(at, blocks) for at in uses]) == Fraction(expected)

    def test_three_forks(self) -> None:
        """Ten tokens shared by three calls with two tokens of their own each."""
        tails = [(A, ToyBlock(f"tail{i}", "text", 2, 2)) for i in range(3)]
        assert cheapest([(30 * i, tail) for i, tail in enumerate(tails)]) == Fraction("20.5")

    @pytest.mark.long
    def test_order_rule_costs(self) -> None:
        """A parent kept warm every 250 s and a child used twice an hour cost 21.5."""
        both, alone = (A, B), (A,)
        prompts_ = [both, alone, alone, both, alone, alone, both]
        shapes: list[tuple[float, tuple[ToyBlock, ...]]] = [
            (250.0 * i, blocks) for i, blocks in enumerate(prompts_)
        ]
        assert cheapest(shapes) == Fraction("21.5")


def shifted(workload: Workload, by: float) -> Workload:
    """Return the same calls, later."""
    return [call._replace(at=call.at + by) for call in workload]


def renamed(block: ToyBlock) -> ToyBlock:
    """Return a block of other content and the same shape."""
    return block._replace(name=f"other {block.name}")


def spoiled(call: ToyCall, how: str) -> ToyCall:
    """Return a call like another one that the service refuses."""
    last = len(call.blocks) - 1
    if how == "slots":
        return call._replace(marks=(Mark(last, "5m"),) * 5)
    if how == "order":
        blocks = (*call.blocks, *prompt(("text", 2), tokens=1000))
        return call._replace(blocks=blocks, marks=(Mark(last + 1, "5m"), Mark(last + 2, "1h")))
    if how == "rounds":
        return call._replace(marks=(Mark(last, "5m"),) * 4, answers=(prompt(("text", 1)),))
    return call._replace(
        blocks=(*call.blocks, *prompt((how, 1), tokens=1000)),
        marks=(*call.marks, Mark(last + 1, "5m"))[-4:],
    )


def markable(call: ToyCall) -> list[int]:
    """List the blocks of a call that take a mark."""
    blocks = enumerate(call.blocks)
    return [i for i, b in blocks if b.kind not in (*THINKING, "#settings") and not b.refuses]


class TestLaws:
    """What holds for every workload, under every answer."""

    @given(calls(), switches())
    def test_tokens_are_conserved(self, workload: Workload, answers: Switches) -> None:
        """Uncached, written and read tokens add up to the prompt, each at least nothing."""
        for call, counts in zip(workload, served(Simulator(answers), workload), strict=True):
            if counts is not None:
                own = bool(call.marks) and answers.server_tool_marks
                whole = call._replace(blocks=call.blocks + sum(call.answers, ()))
                ends = [len(call.blocks)]
                for answer in call.answers if own else ():
                    ends.append(ends[-1] + len(answer))
                assert sum(counts) == sum(tokens(whole, end) for end in ends)
                assert min(counts) >= 0

    @given(calls(), switches(collapse_runs="off") | switches(collapse_runs="on"), st.integers())
    def test_shifted_time(self, workload: Workload, answers: Switches, by: int) -> None:
        """Sending everything later by the same time changes no count."""
        later = shifted(workload, by % 2**20)
        assert served(Simulator(answers), later) == served(Simulator(answers), workload)

    @given(calls(), switches())
    def test_content_has_no_meaning(self, workload: Workload, answers: Switches) -> None:
        """Other content of the same shape, the same everywhere, changes no count."""
        others = [
            call._replace(
                blocks=tuple(map(renamed, call.blocks)),
                answers=tuple(tuple(map(renamed, answer)) for answer in call.answers),
            )
            for call in workload
        ]
        assert served(Simulator(answers), others) == served(Simulator(answers), workload)

    @given(calls(), switches(), st.integers(2, 5))
    def test_scaled_tokens(self, workload: Workload, answers: Switches, factor: int) -> None:
        """Blocks and minimums several times as long are charged several times as much."""

        def grown(blocks: tuple[ToyBlock, ...]) -> tuple[ToyBlock, ...]:
            return tuple(block._replace(tokens=factor * block.tokens) for block in blocks)

        larger = [
            call._replace(
                blocks=grown(call.blocks),
                answers=tuple(map(grown, call.answers)),
                minimum=None if call.minimum is None else factor * call.minimum,
            )
            for call in workload
        ]
        expected = [
            counts and Counts(*(factor * n for n in counts))
            for counts in served(Simulator(answers), workload)
        ]
        assert served(Simulator(answers), larger) == expected

    @given(calls(), switches(), st.randoms(use_true_random=False))
    def test_order_of_marks(self, workload: Workload, answers: Switches, rng: Random) -> None:
        """The order in which marks are listed changes neither counts nor refusals."""
        others = [
            call._replace(marks=tuple(rng.sample(call.marks, len(call.marks)))) for call in workload
        ]
        assert served(Simulator(answers), others) == served(Simulator(answers), workload)

    @given(calls(), switches(), st.randoms(use_true_random=False))
    def test_order_of_tree(self, workload: Workload, answers: Switches, rng: Random) -> None:
        """Prompts the tree knows beforehand, in whatever order, change no count."""
        prepared = Simulator(answers)
        for call in rng.sample(workload, len(workload)):
            prepared.nodes(call)
        assert served(prepared, workload) == served(Simulator(answers), workload)

    @given(calls(), switches())
    def test_scopes_never_share(self, workload: Workload, answers: Switches) -> None:
        """Each workspace is counted as if the others did not exist."""
        together = served(Simulator(answers), workload)
        for scope in {call.scope for call in workload}:
            own = [i for i, call in enumerate(workload) if call.scope == scope]
            alone = served(Simulator(answers), [workload[i] for i in own])
            assert alone == [together[i] for i in own]

    @given(calls(), switches())
    def test_unmarked_calls_leave_no_trace(self, workload: Workload, answers: Switches) -> None:
        """A call without marks is uncached and changes nothing for any other."""
        counts = served(Simulator(answers), workload)
        marked = [i for i, call in enumerate(workload) if call.marks]
        alone = served(Simulator(answers), [workload[i] for i in marked])
        assert alone == [counts[i] for i in marked]
        for call, charge in zip(workload, counts, strict=True):
            if not call.marks:
                assert charge == (tokens(call, len(call.blocks)), 0, 0, 0)

    @given(
        calls(),
        switches(),
        st.integers(0, 12),
        st.sampled_from(["slots", "order", "rounds", "thinking", "redacted_thinking"]),
    )
    def test_refused_calls_leave_no_trace(
        self, workload: Workload, answers: Switches, place: int, how: str
    ) -> None:
        """A call that the service refuses leaves everything as it was."""
        place = min(place, len(workload) - 1)
        bad = spoiled(workload[place], how)
        if how == "rounds":
            answers = replace(answers, server_tool_marks=True, server_tool_slot=True)
        with_it = served(Simulator(answers), [*workload[:place], bad, *workload[place:]])
        assert with_it[place] is None
        assert with_it[:place] + with_it[place + 1 :] == served(Simulator(answers), workload)

    @given(calls(tools=False), switches())
    def test_what_follows_the_last_mark(self, workload: Workload, answers: Switches) -> None:
        """Blocks behind the last mark are uncached and change nothing else."""
        shorter = [
            call._replace(blocks=call.blocks[: max(mark.place for mark in call.marks) + 1])
            if call.marks
            else call
            for call in workload
        ]
        full = served(Simulator(answers), workload)
        cut = served(Simulator(answers), shorter)
        assert [c and c[1:] for c in cut] == [c and c[1:] for c in full]

    @given(calls(tools=False), switches())
    def test_reads_were_marked_before(self, workload: Workload, answers: Switches) -> None:
        """A call reads nothing but a prefix that an earlier call of its scope marked."""
        marked: set[tuple[object, tuple[str, ...]]] = set()
        for call, counts in zip(workload, served(Simulator(answers), workload), strict=True):
            if counts is None:
                continue
            if counts.read:
                names = tuple(block.name for block in call.blocks)
                lengths = range(1, len(names) + 1)
                ends = [n for n in lengths if tokens(call, n) == counts.read]
                assert any((call.scope, names[:n]) in marked for n in ends)
            marked |= {(call.scope, prefix) for prefix in prefixes(call)}

    @given(calls(tools=False), switches())
    def test_sent_again(self, workload: Workload, answers: Switches) -> None:
        """The same call, sent again when its answer has begun, reads all and writes nothing."""
        last = workload[-1]
        assume(last.first_token_after < 300)
        simulator = Simulator(answers)
        counts = served(simulator, workload)[-1]
        if counts is not None:
            again = simulator.serve(last._replace(at=last.at + last.first_token_after))
            cached = counts.read + counts.write_5m + counts.write_1h
            assert again == (counts.uncached, 0, 0, cached)

    @given(calls(tools=False), switches())
    def test_failed_calls_are_not_charged(self, workload: Workload, answers: Switches) -> None:
        """A call that got an error counts nothing."""
        *before, last = workload
        simulator = Simulator(answers)
        served(simulator, before)
        try:
            assert sum(simulator.serve(last, failed=True)) == 0
        except RefusedError:
            assert served(Simulator(answers), workload)[-1] is None

    @given(calls(), switches())
    def test_failed_calls_may_write(self, workload: Workload, answers: Switches) -> None:
        """Where the switch says so, a call that fails leaves what any other would."""
        simulator, plain = Simulator(answers, failed_calls_write=True), Simulator(answers)
        *before, last = workload
        for call in before:
            with contextlib.suppress(RefusedError):
                simulator.serve(call, failed=True)
        served(plain, before)
        assert served(simulator, [last]) == served(plain, [last])

    @given(calls(), switches())
    def test_cleared(self, workload: Workload, answers: Switches) -> None:
        """A cleared cache counts like a new one."""
        simulator = Simulator(answers)
        counts = served(simulator, workload)
        simulator.cache.clear()
        assert served(simulator, workload) == counts

    @given(prompts(), st.integers(0, 5), st.lists(st.integers(0, 5), max_size=4))
    def test_closing_tokens(
        self, blocks: tuple[ToyBlock, ...], closing: int, gaps: list[int]
    ) -> None:
        """What closes a prompt is uncached even where the whole prompt is read."""
        simulator = Simulator()
        at = 0
        for gap in [1, *gaps]:
            at += gap
            call = ToyCall(blocks, (Mark(len(blocks) - 1, "1h"),), at)
            assert simulator.serve(call, closing=closing).uncached == closing

    @given(calls(), switches())
    def test_failed_calls_leave_no_trace(self, workload: Workload, answers: Switches) -> None:
        """Calls that fail change nothing for the calls that do not."""
        simulator, alone = Simulator(answers), Simulator(answers)
        for number, call in enumerate(workload):
            if number % 2:
                assert served(simulator, [call]) == served(alone, [call])
            else:
                try:
                    simulator.serve(call, failed=True)
                except RefusedError:
                    continue


class TestMoreMarks:
    """What one more mark can and cannot do."""

    @given(calls(tools=False), switches(), st.data())
    def test_this_call(self, workload: Workload, answers: Switches, data: st.DataObject) -> None:
        """One more mark never lowers what its own call reads, nor raises what is uncached."""
        *before, last = workload
        assume(len(last.marks) < 4)
        assume(markable(last))
        place = data.draw(st.sampled_from(markable(last)))
        lifetime: Lifetime = data.draw(st.sampled_from(("5m", "1h")))
        assume(place not in {mark.place for mark in last.marks})
        more = last._replace(marks=(*last.marks, Mark(place, lifetime)))
        plain = served(Simulator(answers), [*before, last])[-1]
        marked = served(Simulator(answers), [*before, more])[-1]
        assume(plain is not None and marked is not None)
        assert plain is not None
        assert marked is not None
        assert marked.read >= plain.read
        assert marked.uncached <= plain.uncached

    def test_later_call_by_lifetime(self) -> None:
        """One more mark can cost a later read: a live 5m entry keeps a 1h one from being made."""
        blocks = prompt(("text", 1))
        rest = [ToyCall(blocks, (Mark(0, "1h"),), 60), ToyCall(blocks, (Mark(0, "1h"),), 1000)]
        plain = served(Simulator(), [ToyCall(blocks, (), 0), *rest])
        marked = served(Simulator(), [ToyCall(blocks, (Mark(0, "5m"),), 0), *rest])
        assert [counts and counts.read for counts in plain] == [0, 0, 1]
        assert [counts and counts.read for counts in marked] == [0, 1, 0]

    def test_later_call_by_refresh(self) -> None:
        """One more mark can cost a later read: the longer hit leaves a shorter entry to die."""
        blocks = prompt(("text", 20))
        first = ToyCall(blocks[:12], (Mark(9, "5m"),), 0)
        rest = [
            ToyCall(blocks, (Mark(19, "5m"),), 200),
            ToyCall(blocks[:10], (Mark(9, "5m"),), 400),
        ]
        more = first._replace(marks=(Mark(9, "5m"), Mark(11, "5m")))
        assert served(Simulator(), [first, *rest])[-1] == (0, 0, 0, 10)
        assert served(Simulator(), [more, *rest])[-1] == (0, 10, 0, 0)

    @given(
        calls(tools=False),
        switches(refreshed="all", write_inside_read=True),
        st.sampled_from(("5m", "1h")),
        st.randoms(use_true_random=False),
    )
    def test_all_calls(
        self, workload: Workload, answers: Switches, lifetime: Lifetime, rng: Random
    ) -> None:
        """With one lifetime, where a hit counts for all below it, more marks never read less."""
        # These are the only ways a mark can do harm: it hides a lifetime, or it keeps a
        # shorter entry from being refreshed or made.
        few: Workload = []
        for call in workload:
            chosen = [mark for mark in call.marks if mark.place in markable(call)][:4]
            few.append(call._replace(marks=tuple(Mark(m.place, lifetime) for m in chosen)))
        many = [
            call._replace(
                marks=(
                    *call.marks,
                    *(Mark(place, lifetime) for place in markable(call)[-9:] if rng.random() < 0.3),
                )[:4]
            )
            for call in few
        ]
        less, more = served(Simulator(answers), few), served(Simulator(answers), many)
        for plain, marked in zip(less, more, strict=True):
            assert plain is not None
            assert marked is not None
            assert marked.read >= plain.read


class TestHitRate:
    """Where the service is taken to lose entries, it loses the stated share of them."""

    @given(st.integers(0, 16), st.integers(1, 40), st.sampled_from(["messages", "batch"]))
    def test_share(self, sixteenths: int, number: int, surface: str) -> None:
        """Of many calls that find an entry, the stated share reads it, within one call."""
        name = "hit_rate" if surface == "messages" else "batch_hit_rate"
        rate: dict[str, Any] = {name: sixteenths / 16}
        simulator = Simulator(**rate)
        call = ToyCall(prompt(("text", 2)), (Mark(1, "5m"),), 0)
        simulator.serve(call, surface=surface)
        later = [call._replace(at=10 + i) for i in range(number)]
        counts = [simulator.serve(again, surface=surface) for again in later]
        reads = sum(bool(count.read) for count in counts)
        assert abs(reads - number * sixteenths / 16) < 1
        assert all(count.read or count.write_5m == 2 for count in counts)


class TestGrowingConversation:
    """The identity measured on 28,330 recorded calls in tool loops."""

    @given(
        st.lists(
            st.tuples(st.integers(1, 19), st.integers(2, 299), st.sampled_from(["5m", "1h"])),
            min_size=2,
            max_size=8,
        )
    )
    def test_read_is_read_plus_write(self, turns: list[tuple[int, int, Lifetime]]) -> None:
        """Inside the lifetime, a call reads exactly what the one before it read and wrote."""
        simulator = Simulator()
        length, at, every = 0, 0, []
        for step, gap, lifetime in turns:
            length, at = length + step, at + gap
            blocks = prompt(("text", length), tokens=7)
            every.append(simulator.serve(ToyCall(blocks, (Mark(length - 1, lifetime),), at)))
        for before, now in pairwise(every):
            assert now.read == before.read + before.write_5m + before.write_1h


def test_oracle_and_simulator_are_services() -> None:
    """Both are driven through one interface, so a property can be asked of either."""
    services: list[Service] = [Simulator(), NaiveService()]
    call = ToyCall(prompt(("text", 3)), (Mark(2, "5m"),), 0)
    assert [service.serve(call) for service in services] == [Counts(0, 3, 0, 0)] * 2
