"""The tree of prefixes as boxes: nothing is lost, nothing overlaps, and areas are tokens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from reviews import dated, steady, subject
from small import digest_line, digest_workloads

from cacheplan.branches import BOXES, PART, Box, branches

MODELS = ["claude-sonnet-5", "claude-haiku-4-5"]


def overlaps(one: Box, other: Box) -> bool:
    """Tell whether two boxes lie on each other."""
    beside = one.end <= other.start or other.end <= one.start
    apart = one.top + one.calls <= other.top or other.top + other.calls <= one.top
    return not beside and not apart and min(one.end - one.start, other.end - other.start) > 0


class TestLaws:
    """Whatever was called, the drawing is the bill."""

    @settings(max_examples=60)
    @given(digest_workloads(models=MODELS))
    def test_areas(self, lines: list[dict[str, Any]]) -> None:
        """All boxes are all prompt tokens together, shared parts those that several calls have."""
        # The oracle counts prefixes call by call.
        seen = subject(lines)
        tree = seen.tree
        had: Counter[int] = Counter()
        tokens: dict[int, int] = {}
        for call in seen.workload:
            before = 0
            for node in tree.path(call.tip):
                had[node] += 1
                tokens[node] = tree.tokens[node] - before
                before = tree.tokens[node]
        boxes = branches(seen)
        area = sum((box.end - box.start) * box.high for box in boxes)
        shared = sum((box.shared - box.start) * box.high for box in boxes)
        assert area == pytest.approx(sum(had[node] * tokens[node] for node in had))
        several = sum(had[node] * tokens[node] for node in had if had[node] > 1)
        assert shared == pytest.approx(several)

    @settings(max_examples=60)
    @given(digest_workloads(models=MODELS))
    def test_no_two_overlap(self, lines: list[dict[str, Any]]) -> None:
        """No token of a call is drawn twice, and no box is higher than all calls."""
        boxes = branches(subject(lines))
        for at, one in enumerate(boxes):
            assert one.top >= 0
            assert one.top + one.calls <= len(lines)
            assert one.start <= one.shared <= one.end
            assert not any(overlaps(one, other) for other in boxes[at + 1 :])


def test_one_box_where_nothing_parts() -> None:
    """Calls with one prompt are one box, as high as there are calls, and it is shared."""
    prompt = [("s", 3_000, "system"), ("q", 500, "messages")]
    (box,) = branches(subject([digest_line(prompt, at=at, label="a") for at in range(5)]))
    assert (box.start, box.end, box.shared) == (0, 3_500, 3_500)
    assert (box.top, box.calls, box.branches) == (0, 5, 1)
    assert box.lane == "a / claude-sonnet-5"


def test_calls_of_several_kinds_have_no_name() -> None:
    """A prefix that features share is nobody's; where they part each has its own."""
    lines = [
        digest_line([("s", 900, "system"), (f"q{label}", 50, "messages")], at=at, label=label)
        for at, label in enumerate("aaabbb")
    ]
    first, *rest = branches(subject(lines))
    assert (first.calls, first.lane) == (6, "")
    assert {box.lane for box in rest} == {"a / claude-sonnet-5", "b / claude-sonnet-5"}


def test_small_branches_are_one() -> None:
    """Hundreds of calls with nothing in common are one box, as wide as they are on average."""
    lines = [digest_line([(f"s{at}", 1_000 + at, "system")], at=at) for at in range(300)]
    (box,) = branches(subject(lines))
    assert (box.calls, box.branches, box.shared) == (300, 300, 0)
    assert box.end == pytest.approx(sum(range(1_000, 1_300)) / 300)


def test_a_long_conversation() -> None:
    """A conversation of any length is drawn with boxes that can be counted."""
    talk = [(f"turn {at}", 100, "messages") for at in range(600)]
    lines = [digest_line(talk[: at + 1], at=at) for at in range(600)]
    boxes = branches(subject(lines))
    assert PART / 2 < len(boxes) <= BOXES + PART
    assert all(box.high <= box.calls for box in boxes)
    assert sum((box.end - box.start) * box.high for box in boxes) == pytest.approx(
        sum(100 * (at + 1) for at in range(600))
    )


def test_the_largest_come_first() -> None:
    """What is read out first is the beginning of the kind of calls with the most tokens."""
    boxes = branches(subject([*dated(), *steady(label="steady", every=60)]))
    first = next(box for box in boxes if box.start == 0)
    assert first == boxes[0]
