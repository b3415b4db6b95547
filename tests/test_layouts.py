"""What stands where in calls of one kind, and how often it changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewed import subject
from small import digest_line, message, request

from cacheplan.layouts import PLACES, Turns, layout_of_first_turns, layout_of_systems

words = st.sampled_from("abc")


def lines(systems: list[list[str]], *, every: float = 30) -> list[dict[str, Any]]:
    """Return calls with these system prompts, each asking something of its own."""
    return [
        {
            "at": every * at,
            "request": request(
                message("user", f"q{at}"), system=[{"type": "text", "text": one} for one in parts]
            ),
        }
        for at, parts in enumerate(systems)
    ]


class TestTurns:
    """What a user says first."""

    @given(st.lists(st.lists(st.lists(words, min_size=1, max_size=3), min_size=1), min_size=1))
    def test_user_blocks_before_any_answer(self, drawn: list[list[list[str]]]) -> None:
        """Of each call it is the blocks of its first message, whatever follows."""
        calls = []
        for at, turns in enumerate(drawn):
            said = [message("user", *turns[0])]
            for later in turns[1:]:
                said += [message("assistant", "so"), message("user", *later)]
            calls.append({"at": at, "request": request(*said)})
        seen, want = subject(calls), [turns[0] for turns in drawn]
        find = Turns(seen)
        found = [
            [seen.bodies[seen.tree.digest[block]]["text"] for block in find.blocks(call)]
            for call in seen.workload
        ]
        assert found == want

    def test_unknown_roles(self) -> None:
        """Where nobody says who speaks, it is the first block."""
        seen = subject(
            [digest_line([("s", 9, "system"), ("a", 1, "messages"), ("b", 1, "messages")])]
        )
        (call,) = seen.workload
        first = seen.tree.block[seen.tree.parent[call.tip]]
        assert Turns(seen).blocks(call) == (first,)

    def test_nothing_said(self) -> None:
        """A call without messages says nothing first."""
        seen = subject([digest_line([("s", 9, "system")])])
        assert Turns(seen).blocks(seen.workload.calls[0]) == ()


class TestLayout:
    """Places, what changes there and how often."""

    @given(st.lists(st.lists(words, min_size=1, max_size=3), min_size=1, max_size=9))
    def test_stays_is_counted(self, systems: list[list[str]]) -> None:
        """A block stays if an earlier call of the hour had it there."""
        seen = subject(lines(systems, every=1000))
        layout = layout_of_systems(seen, seen.workload.calls, Turns(seen))
        for number, part in enumerate(layout.parts(range(3))):
            had = [(at, parts[number]) for at, parts in enumerate(systems) if len(parts) > number]
            stays = sum(
                any(one == text and 0 < (at - then) * 1000 <= 3600 for then, one in had)
                for at, text in had
            )
            assert part.stays == pytest.approx(stays / max(len(had) - 1, 1))
            assert part.tokens == pytest.approx(len(had) / len(systems))

    def test_one_change_in_many_is_none(self) -> None:
        """What changes seldom stays, and so does what is mended; what is a spot does not."""
        seen = subject(lines([["a"]] * 20 + [["b"]] * 20))
        layout = layout_of_systems(seen, seen.workload.calls, Turns(seen))
        assert layout.parts(())[0].stays == 1
        assert layout.parts([0])[0].stays < 1
        assert layout.parts([0], [0])[0].stays == 1

    def test_spots(self) -> None:
        """A place is one if most conversations have a block of their own there."""
        seen = subject(lines([[f"profile {at}", "rules", f"{at // 4}"] for at in range(8)]))
        layout = layout_of_systems(seen, seen.workload.calls, Turns(seen))
        (spot,) = layout.spots()
        assert (spot.number, len(spot.versions), spot.behind) == (0, 8, len("rules"))

    def test_long_enough(self) -> None:
        """What stays has to be worth keeping, together with the level above."""
        short = subject(lines([["rules", f"{at}"] for at in range(4)]))
        layout = layout_of_systems(short, short.workload.calls, Turns(short))
        assert not layout.cacheable(layout.parts([1]))
        long = subject(lines([["rules" * 500, f"{at}"] for at in range(4)]))
        for made in (layout_of_systems, layout_of_first_turns):
            layout = made(long, long.workload.calls, Turns(long))
            parts = layout.parts([0] if made is layout_of_first_turns else [1])
            assert layout.cacheable(parts)

    def test_more_than_anybody_lays_out(self) -> None:
        """Of a list of blocks only the beginning is looked at, and the rest stays."""
        seen = subject(lines([[f"{at}.{one}" for one in range(40)] for at in range(4)]))
        layout = layout_of_systems(seen, seen.workload.calls, Turns(seen))
        assert layout.width == len(layout.parts(())) == PLACES
