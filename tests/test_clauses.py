"""The simulator against the documentation, clause by clause.

Each class states one clause; its tests are that clause as a law. Where the documentation
is silent the class says so, and its tests hold the switches that stand in. The clauses
are those of the prompt-caching page as read on 2026-09-26, where no other source is named.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from oracle import (
    RUNS_COLLAPSE_FROM,
    Counts,
    Lifetime,
    Mark,
    RefusedError,
    Switches,
    ToyBlock,
    ToyCall,
    tokens,
)
from workloads import Simulator, calls, fork, prompt, prompts, served, switches

from cacheplan.prefixes import Scope

Blocks = tuple[ToyBlock, ...]

LIFETIMES: tuple[Lifetime, Lifetime] = ("5m", "1h")
SECONDS = {"5m": 300, "1h": 3600}
lifetimes = st.sampled_from(LIFETIMES)


def tail(blocks: Blocks, at: float, lifetime: Lifetime = "5m") -> ToyCall:
    """Return a call with one mark, on its last block."""
    return ToyCall(blocks, (Mark(len(blocks) - 1, lifetime),), at)


def texts(number: int) -> Blocks:
    """Return text blocks of one token each, so that counts are block counts."""
    return prompt(("text", number))


@st.composite
def cuts(draw: st.DrawFn, least: int = 2) -> tuple[Blocks, int]:
    """Draw a prompt and one of its blocks."""
    blocks = draw(prompts(least))
    return blocks, draw(st.integers(0, len(blocks) - 1))


class TestPrefix:
    """The order is always tools, system, messages; a breakpoint covers everything before it
    and its own block.
    """

    @given(cuts(), lifetimes)
    def test_cold_write(self, cut: tuple[Blocks, int], lifetime: Lifetime) -> None:
        """A first call writes up to its mark, whatever levels lie before it."""
        blocks, index = cut
        counts = Simulator().serve(ToyCall(blocks, (Mark(index, lifetime),), 0))
        size = sum(block.tokens for block in blocks[: index + 1])
        written = (size, 0) if lifetime == "5m" else (0, size)
        assert counts == (sum(block.tokens for block in blocks[index + 1 :]), *written, 0)

    def test_levels_keep_their_order(self) -> None:
        """The invariants catch a prompt whose system stands before its tools."""
        simulator = Simulator()
        backwards = (ToyBlock("s", "text", 1, 5), ToyBlock("t", "tool", 0, 5))
        with pytest.raises(AssertionError, match="levels only go down"):
            simulator.serve(tail(backwards, 0))


class TestIdentity:
    """The key is a hash, cumulative to the marked block: 100 % identical content is needed."""

    @given(cuts(), st.data())
    def test_change_before_the_mark(self, cut: tuple[Blocks, int], data: st.DataObject) -> None:
        """One block changed at or before the marked one: nothing is read."""
        blocks, index = cut
        simulator = Simulator()
        simulator.serve(ToyCall(blocks, (Mark(index, "5m"),), 0))
        place = data.draw(st.integers(0, index))
        changed = blocks[place]._replace(name="changed")
        other = (*blocks[:place], changed, *blocks[place + 1 :])
        assert simulator.serve(ToyCall(other, (Mark(index, "5m"),), 10)).read == 0

    @given(cuts())
    def test_change_after_the_mark(self, cut: tuple[Blocks, int]) -> None:
        """Everything changed behind the marked block: its prefix is read."""
        blocks, index = cut
        simulator = Simulator()
        first = simulator.serve(ToyCall(blocks, (Mark(index, "5m"),), 0))
        other = tuple(fork(blocks, index + 1, "x"))
        again = simulator.serve(ToyCall(other, (Mark(index, "5m"),), 10))
        assert again == (first.uncached, 0, 0, first.write_5m)

    @given(prompts(3))
    def test_same_blocks_in_another_order(self, blocks: Blocks) -> None:
        """The same blocks, two of them swapped, are another prefix."""
        pairs = [i for i in range(len(blocks) - 1) if blocks[i].level == blocks[i + 1].level]
        assume(pairs)
        i = pairs[0]
        swapped = (*blocks[:i], blocks[i + 1], blocks[i], *blocks[i + 2 :])
        simulator = Simulator()
        simulator.serve(tail(blocks, 0))
        assert simulator.serve(tail(swapped, 10)).read == 0


class TestMarksAreNotContent:
    """The field ``cache_control`` is no part of the compared content: moving it is no break."""

    @given(prompts(2, 20), st.data())
    def test_moved_mark(self, blocks: Blocks, data: st.DataObject) -> None:
        """The mark moves on to a later block; what it wrote before is read."""
        first, second = sorted(data.draw(st.permutations(range(len(blocks))))[:2])
        simulator = Simulator()
        written = simulator.serve(ToyCall(blocks, (Mark(first, "5m"),), 0)).write_5m
        assert simulator.serve(ToyCall(blocks, (Mark(second, "5m"),), 10)).read == written


class TestIsolation:
    """Entries are separate per model, and per workspace (per organization on Bedrock and
    Google Cloud); they are never shared across organizations.
    """

    @given(
        prompts(),
        st.sampled_from(["model", "platform", "surface", "isolation"]),
        st.sampled_from(["x", ""]),
    )
    def test_other_scope(self, blocks: Blocks, field: str, value: str) -> None:
        """Another model, platform or workspace reads nothing of the same prompt."""
        mine = Scope("m", "p", "s", "w")
        other = mine._replace(**{field: value})
        simulator = Simulator()
        first = simulator.serve(tail(blocks, 0)._replace(scope=mine))
        assert simulator.serve(tail(blocks, 10)._replace(scope=other)) == first
        assert simulator.serve(tail(blocks, 20)._replace(scope=mine)).read == first.write_5m


class TestFourBreakpoints:
    """At most 4 breakpoints, explicit ones plus the automatic one; the fifth is a 400."""

    @given(prompts(5), st.integers(0, 8), switches(lookback_crosses_levels=True))
    def test_count(self, blocks: Blocks, number: int, answers: Switches) -> None:
        """Up to four marks are served, more are refused in the service's own words."""
        marks = tuple(Mark(i % len(blocks), "5m") for i in range(number))
        call = ToyCall(blocks, marks, 0)
        if number <= 4:
            assert sum(Simulator(answers).serve(call)) == tokens(call, len(blocks))
        else:
            words = f"A maximum of 4 blocks with cache_control may be provided. Found {number}"
            with pytest.raises(RefusedError, match=words):
                Simulator(answers).serve(call)

    @given(prompts(), st.integers(1, 5), lifetimes)
    def test_several_on_one_block(self, blocks: Blocks, number: int, lifetime: Lifetime) -> None:
        """Marks that act as one, as at the end of a batch of actions, still count each."""
        once = tail(blocks, 0, lifetime)
        call = once._replace(marks=once.marks * number)
        expected = served(Simulator(), [once]) if number <= 4 else [None]
        assert served(Simulator(), [call]) == expected


class TestBreakpointsAreFree:
    """A breakpoint itself costs nothing: only what is written or read is paid."""

    @given(prompts(4), st.data(), lifetimes)
    def test_more_marks_before_the_last(
        self, blocks: Blocks, data: st.DataObject, lifetime: Lifetime
    ) -> None:
        """On a first call, marks of one lifetime before the last one change no count."""
        places = data.draw(st.sets(st.integers(0, len(blocks) - 2), max_size=3))
        once = tail(blocks, 0, lifetime)
        more = once._replace(marks=(*once.marks, *(Mark(i, lifetime) for i in places)))
        assert served(Simulator(), [more]) == served(Simulator(), [once])


class TestLongBeforeShort:
    """The API's message: a ttl='1h' cache_control block must not come after a ttl='5m'
    cache_control block; blocks are processed in the order tools, system, messages.
    """

    @given(
        prompts(4), st.lists(lifetimes, min_size=1, max_size=4), st.randoms(use_true_random=False)
    )
    def test_order(self, blocks: Blocks, kinds: list[Lifetime], rng: Random) -> None:
        """Marks are served exactly if no 1-hour one stands behind a 5-minute one."""
        places = sorted(rng.sample(range(len(blocks)), len(kinds)))
        marks = tuple(Mark(*pair) for pair in zip(places, kinds, strict=True))
        in_order = sorted(kinds) == kinds
        call = ToyCall(blocks, marks, 0)
        if in_order:
            Simulator().serve(call)
        else:
            with pytest.raises(RefusedError, match="must not come after a ttl='5m'"):
                Simulator().serve(call)

    @given(st.integers(1, 100))
    def test_order_of_marks_too_short_to_count(self, minimum: int) -> None:
        """The order holds for marks below the minimum as well."""
        blocks = texts(3)
        call = ToyCall(blocks, (Mark(0, "5m"), Mark(2, "1h")), 0, minimum=minimum)
        assert served(Simulator(), [call]) == [None]


class TestUnmarkable:
    """Thinking blocks, empty text blocks and tools whose loading is deferred take no mark."""

    @pytest.mark.parametrize("kind", ["thinking", "redacted_thinking"])
    @given(before=prompts(), last=st.booleans())
    def test_thinking(self, kind: str, before: Blocks, last: bool) -> None:
        """A mark on a thinking block is refused, wherever it stands."""
        thought = ToyBlock("thought", kind, 2, 10)
        blocks = (*before, thought, *(() if last else texts(1)))
        call = ToyCall(blocks, (Mark(len(before), "5m"),), 0)
        with pytest.raises(RefusedError, match=kind):
            Simulator().serve(call)

    @given(prompts())
    def test_blank(self, before: Blocks) -> None:
        """A mark on an empty text block is refused in the service's own words."""
        blank = ToyBlock("", "text", 2, 0, "blank")
        with pytest.raises(RefusedError, match="cache_control cannot be set for empty text blocks"):
            Simulator().serve(tail((*before, blank), 0))

    @pytest.mark.parametrize("refuses", ["deferred", "nested"])
    def test_other(self, refuses: str) -> None:
        """A mark on any block that takes none is refused."""
        tool = ToyBlock("tool", "tool", 0, 10, refuses)
        assert served(Simulator(), [tail((tool,), 0)]) == [None]

    @given(prompts(1, 8), st.integers(1, 5), st.integers(1, 500))
    def test_thinking_rides_along(self, before: Blocks, number: int, size: int) -> None:
        """Thinking inside a prefix is written and read with it."""
        thoughts = prompt(("thinking", number), tokens=size)
        blocks = (*before, *thoughts, ToyBlock("end", "text", 2, 1))
        simulator = Simulator()
        total = sum(block.tokens for block in blocks)
        assert simulator.serve(tail(blocks, 0)) == (0, total, 0, 0)
        assert simulator.serve(tail(blocks, 10)) == (0, 0, 0, total)

    @pytest.mark.parametrize(
        "kind", ["tool", "text", "image", "document", "tool_use", "tool_result"]
    )
    def test_markable(self, kind: str) -> None:
        """Tools, text, images, documents, tool calls and their results take a mark."""
        level = 0 if kind == "tool" else 2
        assert Simulator().serve(tail((ToyBlock("b", kind, level, 9),), 0)) == (0, 9, 0, 0)


class TestOneEntryPerBreakpoint:
    """A write makes exactly one entry per breakpoint, and nowhere else."""

    @given(prompts(2, 20), st.data())
    def test_only_there(self, blocks: Blocks, data: st.DataObject) -> None:
        """A later call that keeps only some blocks reads the longest marked part of them."""
        places = data.draw(st.sets(st.integers(0, len(blocks) - 1), max_size=4))
        keep = data.draw(st.integers(1, len(blocks)))
        simulator = Simulator()
        simulator.serve(ToyCall(blocks, tuple(Mark(i, "5m") for i in places), 0))
        later = tail((*blocks[:keep], ToyBlock("new", "text", 2, 1)), 10)
        within = [place for place in places if place < keep]
        expected = tokens(later, max(within, default=-1) + 1)
        reach = keep - max(within, default=-1) <= 19
        assert simulator.serve(later).read == (expected if reach else 0)


class TestTwentyPositions:
    """A read walks back one position at a time, at most 20 positions per breakpoint, the
    breakpoint being the first: one at n finds entries at n to n-19.
    """

    @given(st.integers(1, 60), st.integers(0, 40))
    def test_distance(self, first: int, distance: int) -> None:
        """An entry is found up to 19 positions before the mark and not beyond."""
        blocks = texts(first + distance)
        simulator = Simulator()
        simulator.serve(tail(blocks[:first], 0))
        assert simulator.serve(tail(blocks, 10)).read == (first if distance <= 19 else 0)

    @given(st.integers(1, 25), st.integers(0, 30))
    def test_switch(self, lookback: int, distance: int) -> None:
        """Another number of positions is taken literally."""
        blocks = texts(3 + distance)
        simulator = Simulator(Switches(lookback=lookback))
        simulator.serve(tail(blocks[:3], 0))
        assert simulator.serve(tail(blocks, 10)).read == (3 if distance < lookback else 0)

    @given(st.lists(st.integers(1, 19), min_size=2, max_size=12), lifetimes)
    def test_safe_rule(self, steps: list[int], lifetime: Lifetime) -> None:
        """If each turn adds fewer than 20 blocks, one mark at the end always reads all."""
        simulator = Simulator()
        length = 0
        for turn, step in enumerate(steps):
            blocks = texts(length + step)
            assert simulator.serve(tail(blocks, turn * 100, lifetime)).read == length
            length += step

    @given(st.integers(1, 80))
    def test_one_at_a_time(self, length: int) -> None:
        """Each kind of block on each level is one position."""
        tools = prompt(("tool", 1), level=0)
        system = prompt(("text", 1), level=1)
        kinds = ("text", "image", "document", "server_tool_use", "web_search_tool_result")
        rest = prompt(*((kinds[i % 5], 1) for i in range(length)))
        simulator = Simulator()
        simulator.serve(tail(tools, 0))
        read = simulator.serve(tail((*tools, *system, *rest), 10)).read
        assert read == (1 if length + 1 <= 19 else 0)


class TestResumes:
    """If nothing is found, checking stops or resumes at the next explicit breakpoint."""

    @given(st.integers(1, 50), st.sets(st.integers(0, 79), min_size=1, max_size=4))
    def test_any_breakpoint_in_reach(self, first: int, places: set[int]) -> None:
        """An entry is read exactly if some breakpoint is 0 to 19 positions behind it."""
        simulator = Simulator()
        simulator.serve(tail(texts(first), 0))
        marks = tuple(Mark(place, "5m") for place in places)
        read = simulator.serve(ToyCall(texts(80), marks, 10)).read
        assert read == (first if any(0 <= place + 1 - first <= 19 for place in places) else 0)

    @given(
        st.sets(st.integers(1, 60), min_size=1, max_size=6),
        st.sets(st.integers(0, 59), min_size=1, max_size=4),
    )
    def test_highest_hit(self, entries: set[int], places: set[int]) -> None:
        """Of all entries in reach of any breakpoint, the longest is what is read."""
        simulator = Simulator(Switches(lookback=20))
        for entry in sorted(entries, reverse=True):
            # The longest first, and each alone: a shorter entry is no hit on a longer one.
            simulator.serve(tail(texts(entry), 0)._replace(first_token_after=5))
        marks = tuple(Mark(place, "5m") for place in places)
        read = simulator.serve(ToyCall(texts(60), marks, 10)).read
        reached = [e for e in entries if any(0 <= place + 1 - e <= 19 for place in places)]
        assert read == max(reached, default=0)


class TestRunsOfToolBlocks:
    """On the Claude API a run of consecutive tool_use blocks is one position, and so is a run
    of consecutive tool_result blocks. The page of 2026-08-22 did not say so, and no other
    platform does.
    """

    @pytest.mark.parametrize("kind", ["tool_use", "tool_result"])
    @given(length=st.integers(1, 60), after=st.integers(0, 25))
    def test_one_position(self, kind: str, length: int, after: int) -> None:
        """A run is one position, however long."""
        blocks = prompt(("text", 1), (kind, length), ("text", after))
        simulator = Simulator()
        simulator.serve(tail(blocks[:1], 0))
        assert simulator.serve(tail(blocks, 10)).read == (1 if 1 + after <= 19 else 0)

    @given(st.integers(1, 30), st.booleans())
    def test_parallel_calls(self, number: int, new: bool) -> None:
        """A turn of K parallel calls and a text adds 2K+1 blocks: before the page of
        2026-09-26 it is found for K up to 9, since then for any K.
        """
        at = RUNS_COLLAPSE_FROM + (0 if new else -1000)
        added = (("text", 1), ("tool_use", number), ("tool_result", number))
        blocks = prompt(("text", 1), *added)
        simulator = Simulator()
        simulator.serve(tail(blocks[:1], at))
        read = simulator.serve(tail(blocks, at + 10)).read
        assert read == (1 if new or number <= 9 else 0)

    @given(st.integers(20, 40), st.sampled_from(["aws", "bedrock", "google", "foundry"]))
    def test_other_platforms(self, number: int, platform: str) -> None:
        """Elsewhere each tool block is a position."""
        blocks = prompt(("text", 1), ("tool_use", number))
        simulator = Simulator()
        for at, part in enumerate((blocks[:1], blocks)):
            call = tail(part, RUNS_COLLAPSE_FROM + 10 * at)._replace(platform=platform)
            assert simulator.serve(call).read == 0

    @pytest.mark.parametrize(("answer", "read"), [("on", 1), ("off", 0)])
    @pytest.mark.parametrize("platform", ["anthropic", "bedrock"])
    def test_switch(self, answer: str, read: int, platform: str) -> None:
        """The switch decides for every platform and date."""
        blocks = prompt(("text", 1), ("tool_use", 30))
        for start in (0, RUNS_COLLAPSE_FROM - 1000, RUNS_COLLAPSE_FROM):
            simulator = Simulator(Switches(collapse_runs="on" if answer == "on" else "off"))
            for at, part in enumerate((blocks[:1], blocks)):
                call = tail(part, start + 10 * at)._replace(platform=platform)
                assert simulator.serve(call).read == (read if at else 0)

    @given(st.integers(1, 30), st.integers(0, 29), st.integers(18, 21))
    def test_entry_inside_a_run(self, length: int, inside: int, distance: int) -> None:
        """An entry inside a run is found from wherever the run's position is."""
        inside %= length
        blocks = prompt(("tool_use", length), ("text", distance))
        simulator = Simulator()
        simulator.serve(tail(blocks[: inside + 1], 0))
        assert simulator.serve(tail(blocks, 10)).read == (inside + 1 if distance <= 19 else 0)

    @given(st.integers(2, 30))
    def test_runs_end_at_another_kind(self, number: int) -> None:
        """Calls and results in turn are a position each."""
        blocks = prompt(("text", 1), *(("tool_use", 1), ("tool_result", 1)) * number)
        simulator = Simulator()
        simulator.serve(tail(blocks[:1], 0))
        assert simulator.serve(tail(blocks, 10)).read == (1 if 2 * number <= 19 else 0)


class TestThinkingPositions:
    """Whether thinking blocks are positions is undocumented; recorded usage fits the limit
    of 20 when they are left out.
    """

    @given(st.integers(1, 40), st.integers(0, 25), st.booleans())
    def test_switch(self, thoughts: int, after: int, counted: bool) -> None:
        """Thinking takes up positions only where the switch says so."""
        blocks = prompt(("text", 1), ("thinking", thoughts), ("text", after + 1))
        simulator = Simulator(Switches(thinking_positions=counted))
        simulator.serve(tail(blocks[:1], 0))
        distance = after + 1 + (thoughts if counted else 0)
        assert simulator.serve(tail(blocks, 10)).read == (1 if distance <= 19 else 0)


class TestLookbackCrossesLevels:
    """The page describes one sequence of blocks; that the lookback runs on from messages
    into system and tools is read out of that.
    """

    @given(st.sampled_from([(0, 1), (0, 2), (1, 2)]), st.booleans())
    def test_switch(self, levels: tuple[int, int], crosses: bool) -> None:
        """An entry on a higher level is found exactly if the lookback crosses."""
        upper = (ToyBlock("upper", "text", levels[0], 5),)
        both = (*upper, ToyBlock("lower", "text", levels[1], 3))
        simulator = Simulator(Switches(lookback_crosses_levels=crosses))
        simulator.serve(tail(upper, 0))
        assert simulator.serve(tail(both, 10)).read == (5 if crosses else 0)

    @given(prompts(2, 19))
    def test_own_level_and_own_breakpoints(self, blocks: Blocks) -> None:
        """Where it does not cross, a breakpoint on the higher level still reads it."""
        ends = [i for i in range(len(blocks) - 1) if blocks[i].level < blocks[i + 1].level]
        assume(ends)
        marks = (*(Mark(i, "5m") for i in ends), Mark(len(blocks) - 1, "5m"))
        simulator = Simulator(Switches(lookback_crosses_levels=False))
        simulator.serve(ToyCall(blocks, marks, 0))
        other = (*blocks[:-1], blocks[-1]._replace(name="changed"))
        call = ToyCall(other, marks, 10)
        assert simulator.serve(call).read == tokens(call, max(ends) + 1)


class TestMinimum:
    """A prefix shorter than the minimum is processed without caching: no error, both cache
    counts 0, no premium. What counts is the whole prefix: tools, system and messages.
    """

    @given(cuts(), st.integers(1, 20_000), lifetimes)
    def test_cumulative(self, cut: tuple[Blocks, int], minimum: int, lifetime: Lifetime) -> None:
        """A prefix is kept exactly if it, tools and system included, has the minimum."""
        blocks, index = cut
        call = ToyCall(blocks, (Mark(index, lifetime),), 0, minimum=minimum)
        counts = Simulator().serve(call)
        size = tokens(call, index + 1)
        assert counts.write_5m + counts.write_1h == (size if size >= minimum else 0)
        assert counts.read == 0

    @given(st.integers(1, 40), st.sets(st.integers(0, 39), min_size=1, max_size=4))
    def test_each_breakpoint(self, minimum: int, places: set[int]) -> None:
        """Each breakpoint is measured by itself: later calls read only what was long enough."""
        blocks = texts(40)
        for place in places:
            simulator = Simulator()
            marks = tuple(Mark(i, "5m") for i in places)
            simulator.serve(ToyCall(blocks, marks, 0, minimum=minimum))
            alone = ToyCall(blocks[: place + 1], (Mark(place, "5m"),), 10, minimum=1)
            reach = [i + 1 for i in places if minimum <= i + 1 and 0 <= place - i <= 19]
            assert simulator.serve(alone).read == max(reach, default=0)

    @given(prompts(1, 10), switches())
    def test_unknown(self, blocks: Blocks, answers: Switches) -> None:
        """Where nobody knows the minimum, nothing is taken to be cacheable."""
        call = tail(blocks, 0)._replace(minimum=None)
        later = call._replace(at=10)
        everything = (tokens(call, len(blocks)), 0, 0, 0)
        assert served(Simulator(answers), [call, later]) == [everything] * 2

    @given(st.integers(1, 30), st.integers(1, 30))
    def test_reads(self, length: int, minimum: int) -> None:
        """A breakpoint below the minimum reads nothing either."""
        blocks = texts(length)
        simulator = Simulator()
        simulator.serve(tail(blocks, 0))
        read = simulator.serve(tail(blocks, 10)._replace(minimum=minimum)).read
        assert read == (length if length >= minimum else 0)


class TestBilling:
    """A is the highest hit (0 if none), B the highest 1-hour breakpoint after A (A if none), C
    the last breakpoint. A is read, B-A written for an hour, C-B for 5 minutes; the rest of
    the prompt is uncached.
    """

    @given(calls(tools=False), switches())
    def test_positions(self, workload: list[ToyCall], answers: Switches) -> None:
        """Given what was read, the other counts are differences of B, C and the prompt."""
        for call, counts in zip(workload, served(Simulator(answers), workload), strict=True):
            if counts is None:
                continue
            long_enough = [
                (tokens(call, mark.place + 1), mark.lifetime)
                for mark in call.marks
                if call.minimum is not None and tokens(call, mark.place + 1) >= max(call.minimum, 1)
            ]
            a = counts.read
            b = max([a, *(end for end, lifetime in long_enough if lifetime == "1h")])
            c = max([a, *(end for end, _ in long_enough)])
            total = tokens(call, len(call.blocks))
            assert counts == (total - c, c - b, b - a, a)

    @given(prompts(3), st.data())
    def test_mixed_lifetimes(self, blocks: Blocks, data: st.DataObject) -> None:
        """A first call pays the hour up to its last 1h mark and 5 minutes from there on."""
        first, second = sorted(data.draw(st.permutations(range(len(blocks))))[:2])
        call = ToyCall(blocks, (Mark(first, "1h"), Mark(second, "5m")), 0)
        size = [tokens(call, n) for n in range(len(blocks) + 1)]
        assert Simulator().serve(call) == Counts(
            uncached=size[-1] - size[second + 1],
            write_5m=size[second + 1] - size[first + 1],
            write_1h=size[first + 1],
            read=0,
        )

    @given(prompts(), lifetimes, lifetimes)
    def test_marked_again(self, blocks: Blocks, before: Lifetime, now: Lifetime) -> None:
        """Marking a live entry again, with either lifetime, is a read and no write."""
        simulator = Simulator()
        first = simulator.serve(tail(blocks, 0, before))
        again = simulator.serve(tail(blocks, 10, now))
        assert again == (0, 0, 0, first.write_5m + first.write_1h)

    @given(prompts(3, 20), st.data())
    def test_long_mark_inside_the_read(self, blocks: Blocks, data: st.DataObject) -> None:
        """A 1h mark inside what is read writes nothing; the rest is written for 5 minutes."""
        place = data.draw(st.integers(0, len(blocks) - 2))
        simulator = Simulator()
        simulator.serve(tail(blocks[:-1], 0))
        call = ToyCall(blocks, (Mark(place, "1h"), Mark(len(blocks) - 1, "5m")), 10)
        read = tokens(call, len(blocks) - 1)
        assert simulator.serve(call) == (0, blocks[-1].tokens, 0, read)


class TestClock:
    """The clock starts with the request that writes or reads; the time spent generating
    counts (said since 2026-08-06).
    """

    @given(prompts(), lifetimes, st.integers(0, 8000), st.integers(0, 200))
    def test_from_start_to_start(
        self, blocks: Blocks, lifetime: Lifetime, gap: int, latency: int
    ) -> None:
        """An entry is read while fewer seconds passed between the starts than it lives."""
        assume(gap >= latency)
        simulator = Simulator()
        simulator.serve(tail(blocks, 0, lifetime)._replace(first_token_after=latency))
        read = simulator.serve(tail(blocks, gap, lifetime)).read
        assert bool(read) is (gap < SECONDS[lifetime])

    @pytest.mark.parametrize("lifetime", LIFETIMES)
    @given(start=st.integers(0, 2**31), before=st.sampled_from([0.25, 1.0]))
    def test_edge(self, lifetime: Lifetime, start: int, before: float) -> None:
        """At exactly its age an entry is gone; just before, it is there."""
        edge = start + SECONDS[lifetime]
        for at, alive in ((edge - before, True), (edge, False)):
            simulator = Simulator()
            simulator.serve(tail(texts(2), start, lifetime))
            assert bool(simulator.serve(tail(texts(2), at, lifetime)).read) is alive

    @given(lifetimes, st.integers(0, 20), st.integers(-25, 25))
    def test_grace(self, lifetime: Lifetime, grace: int, over: int) -> None:
        """The switch lets entries live some seconds longer, and no more."""
        simulator = Simulator(Switches(grace=float(grace)))
        simulator.serve(tail(texts(2), 0, lifetime))
        read = simulator.serve(tail(texts(2), SECONDS[lifetime] + over, lifetime)).read
        assert bool(read) is (over < grace)

    @given(prompts(), lifetimes, lifetimes)
    def test_expired_entry_leaves_nothing(
        self, blocks: Blocks, before: Lifetime, now: Lifetime
    ) -> None:
        """What is written after an expiry has its own lifetime and its own latency."""
        simulator = Simulator()
        start = SECONDS[before]
        simulator.serve(tail(blocks, 0, before))
        first = simulator.serve(tail(blocks, start, now)._replace(first_token_after=20))
        assert first.read == 0
        assert simulator.serve(tail(blocks, start + 19, now)).read == 0
        gap = start + 19 + SECONDS[now]
        assert simulator.serve(tail(blocks, gap - 1, now)).read > 0


class TestRefresh:
    """A read refreshes the entry at no cost beyond that of the read, on either lifetime."""

    @given(lifetimes, st.lists(st.integers(1, 299), min_size=1, max_size=30))
    def test_kept_alive(self, lifetime: Lifetime, gaps: list[int]) -> None:
        """Used more often than it expires, an entry lives on and is never written again."""
        simulator = Simulator()
        at = 0
        simulator.serve(tail(texts(4), at, lifetime))
        for gap in gaps:
            at += gap * (12 if lifetime == "1h" else 1)
            assert simulator.serve(tail(texts(4), at, lifetime)) == (0, 0, 0, 4)

    @pytest.mark.parametrize(
        ("answer", "written", "reader", "last"),
        [
            ("own", "5m", "1h", 300),
            ("own", "1h", "5m", 3600),
            ("reader", "5m", "1h", 3600),
            ("longer", "5m", "1h", 3600),
            ("longer", "1h", "5m", 3600),
        ],
    )
    @given(gap=st.integers(3, 299), wait=st.integers(1, 4000))
    def test_which_lifetime(
        self, answer: str, written: Lifetime, reader: Lifetime, last: int, gap: int, wait: int
    ) -> None:
        """Undocumented which lifetime is restored: the switch decides, counted from the read."""
        assert answer in {"own", "reader", "longer"}
        simulator = Simulator(Switches(refresh=answer))  # type: ignore[arg-type]
        simulator.serve(tail(texts(2), 0, written))
        simulator.serve(tail(texts(2), gap, reader))
        read = simulator.serve(tail(texts(2), gap + wait, reader)).read
        assert bool(read) is (wait < last)

    @given(st.integers(3, 3599), st.integers(1, 4000))
    def test_reader_never_shortens(self, gap: int, wait: int) -> None:
        """A 5m reader, where the reader's lifetime is restored, leaves what is left of an hour."""
        simulator = Simulator(Switches(refresh="reader"))
        simulator.serve(tail(texts(2), 0, "1h"))
        simulator.serve(tail(texts(2), gap))
        read = simulator.serve(tail(texts(2), gap + wait)).read
        assert bool(read) is (gap + wait < max(3600, gap + 300))

    @given(st.integers(3, 299), st.integers(1, 4000))
    def test_longer_does_not_stay(self, gap: int, wait: int) -> None:
        """A 1h reader lends its lifetime once: a 5m entry that a 5m reader reads next is 5m."""
        simulator = Simulator(Switches(refresh="longer"))
        for at, lifetime in ((0, LIFETIMES[0]), (gap, LIFETIMES[1]), (gap + 3590, LIFETIMES[0])):
            simulator.serve(tail(texts(2), at, lifetime))
        read = simulator.serve(tail(texts(2), gap + 3590 + wait)).read
        assert bool(read) is (wait < 300)


class TestRefreshedEntries:
    """Whether a hit also refreshes shorter entries is undocumented; the page advises a
    breakpoint on ``system``, so that it is added again: entries age apart.
    """

    @pytest.mark.parametrize(
        ("answer", "marked", "kept"),
        [
            ("hit", False, False),
            ("hit", True, False),
            ("marked", False, False),
            ("marked", True, True),
            ("all", False, True),
            ("all", True, True),
        ],
    )
    @given(length=st.integers(2, 19), data=st.data())
    def test_shorter_entry(
        self, answer: str, marked: bool, kept: bool, length: int, data: st.DataObject
    ) -> None:
        """A shorter entry outlives a hit above it if the switch and the marks say so."""
        shorter = data.draw(st.integers(1, length - 1))
        assert answer in {"hit", "marked", "all"}
        simulator = Simulator(Switches(refreshed=answer))  # type: ignore[arg-type]
        both = (Mark(shorter - 1, "5m"), Mark(length - 1, "5m"))
        simulator.serve(ToyCall(texts(length), both, 0))
        simulator.serve(ToyCall(texts(length), both if marked else both[1:], 200))
        read = simulator.serve(tail(texts(shorter), 400)).read
        assert read == (shorter if kept else 0)

    @given(st.integers(2, 19), st.sampled_from(["hit", "marked", "all"]))
    def test_longer_entry(self, length: int, answer: str) -> None:
        """A hit never refreshes an entry longer than itself."""
        simulator = Simulator(Switches(refreshed=answer))  # type: ignore[arg-type]
        simulator.serve(ToyCall(texts(length), (Mark(0, "5m"), Mark(length - 1, "5m")), 0))
        simulator.serve(tail(texts(1), 200))
        assert simulator.serve(tail(texts(length), 400)).read == 1


class TestWriteInsideRead:
    """Whether a breakpoint inside what is read makes the entry that is missing there is
    undocumented; recorded usage found entries only where a paid write had made them.
    """

    @given(st.integers(2, 20), st.booleans(), st.data())
    def test_switch(self, length: int, answer: bool, data: st.DataObject) -> None:
        """It makes one, for free, exactly where the switch says so."""
        inside = data.draw(st.integers(1, length - 1))
        simulator = Simulator(Switches(write_inside_read=answer))
        simulator.serve(tail(texts(length), 0))
        marks = (Mark(inside - 1, "5m"), Mark(length - 1, "5m"))
        assert simulator.serve(ToyCall(texts(length), marks, 10)) == (0, 0, 0, length)
        changed = tuple(fork(texts(length), inside, "x"))
        read = simulator.serve(tail(changed, 20)).read
        assert read == (inside if answer else 0)


class TestLifetimeInKey:
    """Recorded usage: calls marked for 5 minutes read prefixes written for an hour; the
    lifetime is not part of the key.
    """

    @given(prompts(), lifetimes, lifetimes, st.booleans())
    def test_across(self, blocks: Blocks, one: Lifetime, other: Lifetime, in_key: bool) -> None:
        """A mark reads entries of the other lifetime, unless the switch puts it in the key."""
        simulator = Simulator(Switches(lifetime_in_key=in_key))
        simulator.serve(tail(blocks, 0, one))
        assert bool(simulator.serve(tail(blocks, 10, other)).read) is (one == other or not in_key)

    @given(st.integers(3, 299), st.integers(3, 5000))
    def test_keeps_its_own(self, gap: int, wait: int) -> None:
        """Read by 5m marks, an hour's entry stays one: alive an hour after its last read."""
        simulator = Simulator()
        simulator.serve(tail(texts(2), 0, "1h"))
        simulator.serve(tail(texts(2), gap))
        assert bool(simulator.serve(tail(texts(2), gap + wait)).read) is (wait < 3600)

    @given(st.integers(301, 3599))
    def test_two_entries_of_one_prefix(self, gap: int) -> None:
        """In the key, both lifetimes of one prefix live and die side by side."""
        simulator = Simulator(Switches(lifetime_in_key=True))
        assert simulator.serve(tail(texts(2), 0, "1h")).write_1h == 2
        assert simulator.serve(tail(texts(2), 2, "5m")).write_5m == 2
        assert simulator.serve(tail(texts(2), gap + 2, "5m")).read == 0
        assert simulator.serve(tail(texts(2), gap + 2, "1h")).read == (2 if gap + 2 < 3600 else 0)


class TestMarkedAgainForLonger:
    """Whether a 1h mark on a live 5m entry lengthens it is undocumented; it costs nothing by
    the billing rule, and is taken to buy nothing.
    """

    @given(st.integers(3, 299), st.integers(1, 4000), st.booleans())
    def test_switch(self, gap: int, wait: int, upgrade: bool) -> None:
        """The entry stays a 5-minute one, unless the switch says otherwise."""
        simulator = Simulator(Switches(remark="upgrade" if upgrade else "keep"))
        simulator.serve(tail(texts(2), 0, "5m"))
        assert simulator.serve(tail(texts(2), gap, "1h")) == (0, 0, 0, 2)
        read = simulator.serve(tail(texts(2), gap + wait, "5m")).read
        assert bool(read) is (wait < (3600 if upgrade else 300))

    @given(st.integers(3, 299), st.integers(1, 3000), st.integers(1, 4000))
    def test_stays_upgraded(self, gap: int, wait: int, last: int) -> None:
        """Once upgraded, a read by a 5m mark restores the hour."""
        simulator = Simulator(Switches(remark="upgrade"))
        at = 0
        for step, lifetime in ((0, LIFETIMES[0]), (gap, LIFETIMES[1]), (wait, LIFETIMES[0])):
            at += step
            simulator.serve(tail(texts(2), at, lifetime))
        assert bool(simulator.serve(tail(texts(2), at + last)).read) is (last < 3600)


class TestConcurrency:
    """An entry can be used only after the first response begins: parallel calls with the same
    prefix each write it.
    """

    @given(prompts(), lifetimes, st.integers(0, 250), st.integers(0, 250))
    def test_first_token(self, blocks: Blocks, lifetime: Lifetime, latency: int, gap: int) -> None:
        """A later call reads exactly if the first response has begun."""
        simulator = Simulator()
        simulator.serve(tail(blocks, 0, lifetime)._replace(first_token_after=latency))
        counts = simulator.serve(tail(blocks, gap, lifetime))
        assert bool(counts.read) is (gap >= latency)
        assert sum(counts) - counts.uncached == sum(block.tokens for block in blocks)

    @given(prompts(), st.integers(1, 250), st.integers(0, 249))
    def test_switch(self, blocks: Blocks, latency: int, gap: int) -> None:
        """Where entries are taken to be visible at once, even the same instant reads."""
        simulator = Simulator(Switches(visible="start"))
        simulator.serve(tail(blocks, 0)._replace(first_token_after=latency))
        assert simulator.serve(tail(blocks, gap)).read == sum(block.tokens for block in blocks)

    @given(prompts(), st.integers(2, 12), lifetimes)
    def test_parallel(self, blocks: Blocks, number: int, lifetime: Lifetime) -> None:
        """Calls sent together all pay for the write."""
        simulator = Simulator()
        first = simulator.serve(tail(blocks, 0, lifetime))
        assert [simulator.serve(tail(blocks, 0, lifetime)) for _ in range(number)] == [
            first
        ] * number

    @given(
        st.lists(
            st.tuples(st.integers(0, 20), st.integers(0, 60), lifetimes), min_size=2, max_size=5
        ),
        st.integers(0, 4000),
    )
    @example([(0, 100, "1h"), (60, 100, "5m")], 3560)
    def test_earliest_and_longest(
        self, writers: list[tuple[int, int, Lifetime]], wait: int
    ) -> None:
        """Written twice at once, a prefix is readable when either is, while either lives."""
        at, ready, dead = 0, 10**9, 0
        simulator = Simulator()
        for gap, latency, lifetime in writers:
            at += gap
            if at >= ready:
                return
            simulator.serve(tail(texts(2), at, lifetime)._replace(first_token_after=latency))
            ready, dead = min(ready, at + latency), max(dead, at + SECONDS[lifetime])
        later = at + wait
        assert bool(simulator.serve(tail(texts(2), later)).read) is (ready <= later < dead)


class TestPrewarming:
    """With ``max_tokens: 0`` the prompt is read and entries are written at the normal charge;
    the mark belongs on the last shared block, not on the placeholder message.
    """

    @given(prompts(), st.integers(1, 50), st.integers(1, 299))
    def test_shared_block_marked(self, shared: Blocks, placeholder: int, gap: int) -> None:
        """What the warming call wrote is read by the first real one."""
        simulator = Simulator()
        hello = ToyBlock("hello", "text", 2, placeholder)
        mark = Mark(len(shared) - 1, "5m")
        warm = simulator.serve(ToyCall((*shared, hello), (mark,), 0))
        real = simulator.serve(ToyCall((*shared, ToyBlock("q", "text", 2, 7)), (mark,), gap))
        size = sum(block.tokens for block in shared)
        assert (warm, real) == ((placeholder, size, 0, 0), (7, 0, 0, size))

    @given(prompts(), st.integers(1, 299))
    def test_placeholder_marked(self, shared: Blocks, gap: int) -> None:
        """A mark on the placeholder warms nothing for anyone else."""
        simulator = Simulator()
        simulator.serve(tail((*shared, ToyBlock("hello", "text", 2, 5)), 0))
        assert simulator.serve(tail((*shared, ToyBlock("q", "text", 2, 7)), gap)).read == 0


class TestAutomatic:
    """Top-level ``cache_control`` marks the last cacheable block, walking back silently where
    the last one is not eligible.
    """

    @given(prompts(), st.lists(st.sampled_from(["thinking", "redacted_thinking", "blank"])))
    def test_last_cacheable_block(self, blocks: Blocks, kinds: list[str]) -> None:
        """The mark falls on the last block that takes one."""
        rest = [
            ToyBlock(f"{kind}{i}", "text", 2, 0, kind)
            if kind == "blank"
            else ToyBlock(f"{kind}{i}", kind, 2, 10)
            for i, kind in enumerate(kinds)
        ]
        simulator = Simulator()
        nodes = simulator.nodes(ToyCall((*blocks, *rest), (), 0))
        assert simulator.tree.markable(nodes[-1]) == nodes[len(blocks) - 1]

    @given(prompts(1, 18), st.lists(st.integers(1, 299), min_size=1, max_size=6))
    def test_trap(self, shared: Blocks, gaps: list[int]) -> None:
        """A last block that changes on every call is written every time and never read."""
        simulator = Simulator()
        at = 0
        for turn, gap in enumerate(gaps):
            at += gap
            call = tail((*shared, ToyBlock(f"now {turn}", "text", 2, 1)), at)
            assert simulator.serve(call).read == 0

    @given(prompts())
    def test_refused_as_sent(self, blocks: Blocks) -> None:
        """What the service says to a call as it was sent is said to those marks only."""
        words = "Top-level cache_control has ttl='5m' but the target block"
        call = tail(blocks, 0)
        simulator = Simulator()
        with pytest.raises(RefusedError, match=words):
            simulator.serve(call, refused=words)
        size = tokens(call, len(blocks))
        assert simulator.serve(call, refused=words, as_sent=False) == (0, size, 0, 0)


class TestServerTools:
    """If the request has at least one ``cache_control``, the service adds its own breakpoint on
    the server tool's result before each next iteration, always for 5 minutes.
    """

    @given(prompts(1, 15), st.lists(st.integers(1, 500), min_size=1, max_size=4), lifetimes)
    def test_rounds(self, blocks: Blocks, answers: list[int], lifetime: Lifetime) -> None:
        """Each round reads all of the one before and writes its answer for 5 minutes; the
        reads add up.
        """
        rounds = tuple((ToyBlock(f"a{i}", "result", 2, n),) for i, n in enumerate(answers))
        call = tail(blocks, 0, lifetime)._replace(answers=rounds)
        size = tokens(call, len(blocks))
        lengths = [size + sum(answers[:i]) for i in range(len(answers) + 1)]
        own = size if lifetime == "5m" else 0
        assert Simulator().serve(call) == Counts(
            uncached=0, write_5m=own + sum(answers), write_1h=size - own, read=sum(lengths[:-1])
        )

    @given(prompts(1, 15), st.lists(st.integers(1, 500), min_size=1, max_size=4), st.booleans())
    def test_without_a_mark(self, blocks: Blocks, answers: list[int], marked: bool) -> None:
        """Without a mark of the caller's, or where the switch says no, none is added."""
        rounds = tuple((ToyBlock(f"a{i}", "result", 2, n),) for i, n in enumerate(answers))
        call = tail(blocks, 0)._replace(answers=rounds)
        if not marked:
            call = call._replace(marks=())
        counts = Simulator(Switches(server_tool_marks=not marked)).serve(call)
        assert counts.read == 0
        assert counts.write_5m == (tokens(call, len(blocks)) if marked else 0)

    @given(prompts(4), st.integers(1, 4), st.booleans())
    def test_slot(self, blocks: Blocks, number: int, slot: bool) -> None:
        """Whether it uses one of the four slots is undocumented: the switch decides."""
        marks = tuple(Mark(i, "5m") for i in range(number))
        call = ToyCall(blocks, marks, 0, answers=(texts(1),))
        outcome = served(Simulator(Switches(server_tool_slot=slot)), [call])
        assert (outcome == [None]) is (slot and number == 4)


class TestInvalidation:
    """A change at one level invalidates that level and those after it; what is set at a level
    (``speed``, ``tool_choice``, ``effort``) counts as content of it.
    """

    @given(st.integers(0, 2), st.lists(st.integers(1, 300), min_size=3, max_size=3))
    def test_setting(self, level: int, sizes: list[int]) -> None:
        """After a change of a setting, exactly the levels above it are still read."""

        def blocks(setting: str) -> Blocks:
            made: list[ToyBlock] = []
            for number, size in enumerate(sizes):
                if number == level:
                    made.append(ToyBlock(setting, "#settings", number, 0))
                made.append(ToyBlock(f"level {number}", "text", number, size))
            return tuple(made)

        simulator = Simulator()
        before, after = blocks("before"), blocks("after")
        marks = tuple(Mark(i, "5m") for i, b in enumerate(before) if b.kind != "#settings")
        simulator.serve(ToyCall(before, marks, 0))
        assert simulator.serve(ToyCall(after, marks, 10)).read == sum(sizes[:level])
        assert simulator.serve(ToyCall(before, marks, 20)).read == sum(sizes)

    @given(prompts(1, 19), st.integers(0, 400))
    def test_hidden_tokens(self, blocks: Blocks, hidden: int) -> None:
        """What the service adds unseen with a setting is written and read with its level."""
        setting = ToyBlock("tools", "#settings", 0, hidden)
        simulator = Simulator()
        size = hidden + sum(block.tokens for block in blocks)
        assert simulator.serve(tail((setting, *blocks), 0)) == (0, size, 0, 0)
        assert simulator.serve(tail((setting, *blocks), 10)) == (0, 0, 0, size)

    @given(st.integers(1, 25))
    def test_setting_is_no_position(self, after: int) -> None:
        """A setting takes up no position of the lookback."""
        tools = prompt(("tool", 1), level=0)
        settings = tuple(ToyBlock(f"s{i}", "#settings", i, 0) for i in (1, 2))
        simulator = Simulator()
        simulator.serve(tail(tools, 0))
        read = simulator.serve(tail((*tools, *settings, *texts(after)), 10)).read
        assert read == (1 if after <= 19 else 0)
