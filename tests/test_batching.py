"""Calls as a batch: marks that pay midway, an order by the tree, and the worked example."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from batched import MODEL, sharing
from hypothesis import given, settings
from hypothesis import strategies as st
from small import digest_line, digest_workloads, workload

from cacheplan.assumptions import Assumptions
from cacheplan.batching import FOUND, Band, Batch, Line, arrange, served
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Workload

SHEET = Sheet.default()
DRAWN = digest_workloads((MODEL, "claude-sonnet-5", "claude-opus-5-5")).map(workload)


def lifetimes(batch: Batch) -> set[str]:
    """Return which lifetimes are asked for."""
    return {str(mark.lifetime) for marks in batch.marks for mark in marks}


class TestWorkedExample:
    """1,000 calls share 20,000 tokens on a model of $3: what each discount makes of $60."""

    def cost(self, surface: str, lifetime: str | None, share: str = "1") -> Decimal:
        """Return what the simulator says that the calls cost, served one after the other."""
        calls = workload(
            sharing(1000, surface=surface), Assumptions(batch_hit_rate=float(Decimal(share)))
        )
        root = next(iter(calls.tree.roots.values()))
        marks: tuple[Breakpoint, ...] = ()
        if lifetime is not None:
            node = next(
                node
                for node in calls.tree.path(calls.calls[0].tip)
                if calls.tree.tokens[node] == 20_000 and node != root
            )
            marks = (Breakpoint(node, Lifetime(lifetime)),)
        found = project(calls, lambda _: marks, SHEET, "by hand")
        assert found.cost is not None
        return found.cost

    def test_plain(self) -> None:
        """Without any discount it is $60, and in a batch half of it."""
        assert self.cost("messages", None) == 60
        assert self.cost("batch", None) == 30

    def test_caching_alone(self) -> None:
        """One write and 999 reads: $6.069 for five minutes, $6.114 for an hour."""
        assert self.cost("messages", "5m") == Decimal("0.075") + 999 * Decimal("0.006")
        assert self.cost("messages", "5m") == Decimal("6.069")
        assert self.cost("messages", "1h") == Decimal("6.114")

    def test_both_as_write_ups_have_it(self) -> None:
        """Half of a tenth is $3; with its one write it is $3.0345 even if all is found."""
        assert Decimal(60) / 2 / 10 == 3
        assert self.cost("batch", "5m") == Decimal("3.0345")
        assert self.cost("batch", "1h") == Decimal("3.057")

    def test_both_with_the_writes_of_what_is_not_found(self) -> None:
        """At 98 % there are 21 writes, and at 30 % there are 701 of them."""
        assert self.cost("batch", "5m", "0.98") == Decimal("3.7245")
        assert self.cost("batch", "1h", "0.98") == Decimal("4.197")
        assert self.cost("batch", "5m", "0.30") == Decimal("27.1845")
        assert self.cost("batch", "1h", "0.30") == Decimal("42.957")

    def test_the_parts_do_not_add_up(self) -> None:
        """The savings of both, added up, are more than the bill; together they are less."""
        caching = 60 - self.cost("messages", "5m")
        batching = 60 - self.cost("batch", None)
        assert caching + batching == Decimal("83.931")
        assert 60 - self.cost("batch", "5m", "0.98") == Decimal("56.2755")
        assert 60 - self.cost("batch", "5m", "0.30") == Decimal("32.8155")

    def test_it_is_what_a_batch_is_arranged_for(self) -> None:
        """The arranged batch is marked for five minutes, and costs what was worked out."""
        found = arrange(workload(sharing(1000)), SHEET)
        assert found.cost == Band(Decimal("3.7245"), Decimal("27.1845"))
        assert found.plain == 30
        assert lifetimes(found) == {"5m"}


class TestMarks:
    """What is marked, and for how long."""

    @pytest.mark.parametrize(
        ("calls", "expected"), [(2, set()), (5, set()), (8, {"1h"}), (12, {"5m"}), (200, {"5m"})]
    )
    def test_an_hour_pays_where_calls_are_few(self, calls: int, expected: set[str]) -> None:
        """Too few calls are not marked; a few an hour for an hour; many for five minutes."""
        assert lifetimes(arrange(workload(sharing(calls)), SHEET)) == expected

    def test_a_slow_batch_needs_the_hour(self) -> None:
        """Calls that are served over a day instead of an hour are kept for an hour."""
        calls = workload(sharing(200))
        assert lifetimes(arrange(calls, SHEET, takes=24 * 3600)) == {"1h"}

    def test_a_share_that_somebody_knows_is_taken(self) -> None:
        """Whoever knows the share of cache hits is planned for, and told one cost."""
        calls = workload(sharing(5), Assumptions(batch_hit_rate=0.9))
        found = arrange(calls, SHEET)
        assert lifetimes(found) == {"1h"}
        assert found.found == (Decimal("0.9"), Decimal("0.9"))
        assert found.cost.low == found.cost.high

    def test_short_and_unknown_prompts_are_not_marked(self) -> None:
        """What is too short to be kept is not marked, nor what nobody knows the minimum of."""
        assert not lifetimes(arrange(workload(sharing(100, tokens=1_000)), SHEET))
        found = arrange(workload(sharing(100, model="a-new-one")), SHEET)
        assert not lifetimes(found)
        assert (found.unmeasured, found.unpriced) == (("a-new-one",), ("a-new-one",))
        assert found.cost == Band(None, None)

    def test_each_family_has_its_own_way(self) -> None:
        """Calls that share nothing are told apart: many are marked, few are not."""
        lines = sharing(100) + [
            digest_line([("r", 5_000, "system"), (f"x{at}", 0, "messages")], model=MODEL, at=at)
            for at in range(3)
        ]
        found = arrange(workload(lines), SHEET)
        assert sorted((len(one.members), one.marked) for one in found.families) == [
            (3, "not at all"),
            (100, "5m, what all share"),
        ]

    def test_prefixes_within_a_prefix(self) -> None:
        """Where prompts share more and more, marks stand at more than one place."""
        lines = [
            digest_line(
                [
                    ("s", 2_000, "system"),
                    (f"d{at % 4}", 50_000, "messages"),
                    (f"q{at}", 10, "messages"),
                ],
                model=MODEL,
                at=at,
            )
            for at in range(200)
        ]
        calls = workload(lines)
        found = arrange(calls, SHEET)
        assert {calls.tree.tokens[marks[-1].node] for marks in found.marks} == {52_000}

    @settings(max_examples=60)
    @given(DRAWN)
    def test_marks_never_cost_more_than_none(self, calls: Workload) -> None:
        """Midway between both ends no batch costs more than one without marks."""
        found = arrange(calls, SHEET)
        plain = arrange(calls, SHEET, marker=lambda _: ())
        for one, other in zip(found.families, plain.families, strict=True):
            assert one.line.midway(FOUND) <= other.line.midway(FOUND) * (1 + 1e-9)

    @settings(max_examples=60)
    @given(DRAWN)
    def test_marks_are_ones_that_the_service_takes(self, calls: Workload) -> None:
        """At most four marks a call, in order, an hour first, none where it may not stand."""
        for call, marks in served(arrange(calls, SHEET), calls):
            nodes = [mark.node for mark in marks]
            assert len(marks) <= 4
            assert nodes == sorted(set(nodes))
            assert set(nodes) <= set(calls.tree.path(call.tip))
            assert not any(calls.tree.unmarkable[node] for node in nodes)
            words = [mark.lifetime.seconds for mark in marks]
            assert words == sorted(words, reverse=True)

    def test_a_plan_has_its_way(self) -> None:
        """Where marks are given, they are taken as they are."""
        calls = workload(sharing(3))
        tail = next(one for one in BASELINES if one.name == "system-tail")
        found = arrange(calls, SHEET, marker=tail.bind(calls))
        assert {len(marks) for marks in found.marks} != {0}
        assert {family.marked for family in found.families} == {"as the plan says"}


class TestLine:
    """Between nothing and everything found, the cost is a line, and serving agrees."""

    @given(st.integers(20, 400), st.sampled_from([0.1, 0.3, 0.5, 0.64, 0.98]))
    @settings(max_examples=30)
    def test_serving_at_a_share_is_on_the_line(self, calls: int, share: float) -> None:
        """What the simulator says at a share is within two calls of the line."""
        lines = sharing(calls)
        line = arrange(workload(lines), SHEET).families[0].line
        known = workload(lines, Assumptions(batch_hit_rate=share))
        marks = arrange(workload(lines), SHEET).marks
        # At 30 %, which is assumed where nobody says more, both ends are told.
        told = arrange(known, SHEET, marker=lambda call: marks[call.number]).cost.high
        one_call = 20_000 * 1.5e-6 * 2
        assert told is not None
        assert float(told) == pytest.approx(line.at(share), abs=2 * one_call)

    def test_from_which_share_on(self) -> None:
        """The share from which on a line is below a cost is where both are equal."""
        line = Line(10.0, 2.0)
        assert line.below(6.0) == pytest.approx(0.5)
        assert line.at(0.5) == 6.0
        assert (line.below(2.0), line.below(11.0)) == (None, 0.0)


class TestOrder:
    """Calls that begin alike are next to each other, and each is there once."""

    @given(DRAWN)
    @settings(max_examples=60)
    def test_what_begins_alike_stands_together(self, calls: Workload) -> None:
        """Of every prefix, the calls that have it are one stretch of the order."""
        found = arrange(calls, SHEET)
        assert sorted(found.order) == list(range(len(calls)))
        paths = [set(calls.tree.path(calls.calls[place].tip)) for place in found.order]
        for node in set().union(*paths):
            assert _one_stretch([node in path for path in paths])

    def test_seeds(self) -> None:
        """One call for each prefix that several keep goes first, and is kept for an hour."""
        lines = [
            digest_line(
                [(f"s{at % 2}", 20_000, "system"), (f"q{at}", 10, "messages")], model=MODEL, at=at
            )
            for at in range(40)
        ]
        calls = workload(lines)
        found = arrange(calls, SHEET, seeded=True)
        assert lifetimes(found) == {"1h"}
        assert len(found.seeds) == 2
        tips = {calls.tree.path(calls.calls[place].tip)[-2] for place in found.seeds}
        assert len(tips) == 2
        assert arrange(calls, SHEET).seeds == ()

    def test_nothing_shared_has_no_seeds(self) -> None:
        """Calls that share nothing are not sent before the others."""
        lines = [digest_line([(f"s{at}", 20_000, "system")], at=at) for at in range(5)]
        assert arrange(workload(lines), SHEET, seeded=True).seeds == ()


def _one_stretch(there: Sequence[bool]) -> bool:
    """Tell whether all that are true stand together."""
    return sum(now and not before for before, now in zip([False, *there], there, strict=False)) <= 1
