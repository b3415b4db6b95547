"""Prompts that end in something which the next one leaves out."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import message, request, workload

from cacheplan.choosing import choose
from cacheplan.endings import endings
from cacheplan.errors import InputError
from cacheplan.lanes import lanes_of
from cacheplan.places import Places, checked, is_tail
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.session import Session
from cacheplan.workload import Workload

LONG = "Row upon row upon row. " * 60


def talk(
    turns: int,
    *notes: str,
    each: int = 1,
    every: float = 20,
    noted: Collection[int] = range(99),
) -> Workload:
    """Return a conversation whose newest message ends in notes that the next leaves out."""
    lines: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for turn in range(turns):
        said.append(message("user", *(f"{turn}.{at} {LONG}" for at in range(each))))
        left_out = [{"type": "text", "text": f"{note} {turn * 7919}"} for note in notes]
        content = said[-1]["content"] + left_out * (turn in noted)
        newest = {"role": "user", "content": content}
        lines.append({"at": every * turn, "request": request(*said[:-1], newest)})
        said.append(message("assistant", f"answer {turn}"))
    return workload(lines)


def place_of(calls: Workload) -> str | None:
    """Return the place that is found in calls of one kind."""
    found = endings(calls, lanes_of(calls))
    return next(iter(found.values()), None)


class TestFinding:
    """The place before what the next call leaves out."""

    @pytest.mark.parametrize(
        ("notes", "place"),
        [((), None), (("now",), "messages[-2]"), (("now", "git"), "messages[-3]")],
    )
    def test_so_many_blocks(self, notes: tuple[str, ...], place: str | None) -> None:
        """As many blocks as are left out stand between the place and the end."""
        assert place_of(talk(12, *notes)) == place

    def test_too_long_ago(self) -> None:
        """Where the next call comes after an hour there is nothing to go on from."""
        assert place_of(talk(12, "now", every=4000)) is None

    def test_once_in_a_while(self) -> None:
        """A message that is sent anew in other words now and then makes no place."""
        assert place_of(talk(30, each=3)) is None
        assert place_of(talk(30, "now", noted=(9, 19))) is None
        assert place_of(talk(30, "now", noted=(9, 14, 19, 24))) == "messages[-2]"
        assert place_of(talk(60, "now", noted=(9, 14, 19, 24))) is None

    def test_many_questions_about_one_beginning(self) -> None:
        """Prompts that part behind what they all begin with go on from none of them."""
        lines = [
            {"at": at, "request": request(message("user", LONG, f"q{at}"), system=LONG)}
            for at in range(20)
        ]
        assert place_of(workload(lines)) is None


class TestPlace:
    """The place as a name, on a prompt and in a plan."""

    def test_name(self) -> None:
        """It can be read from a plan, and moves with the conversation."""
        assert is_tail(checked("messages[-2]"))
        for other in ("messages[-1]", "messages[-5]", "system[-2]"):
            with pytest.raises(InputError, match=r"messages\[-2\] to messages\[-4\]"):
                checked(other)

    @given(st.integers(1, 9), st.integers(2, 4))
    def test_counted_from_the_end(self, turns: int, back: int) -> None:
        """It is the prefix that many blocks shorter, or one with a name of its own."""
        calls = talk(turns, "now")
        tree, places = calls.tree, Places(calls.tree)
        for call in calls:
            found = places.back(call.tip, f"messages[-{back}]")
            path = tree.path(call.tip)
            named = {node for _, node in places.fixed(call.tip)}
            meant = path[-back] if len(path) >= back else -1
            assert found == (meant if meant > max(named, default=0) else -1)

    def test_it_pays(self) -> None:
        """A plan marks there, says so in a file, and costs less than without."""
        calls, sheet = talk(20, "now"), Sheet.default()
        plan = Plan.from_json(choose(calls, sheet).to_json())
        (lane,) = [lane for lane in plan.lanes if lane.like is None]
        rule = next(rule for rule in lane.rules if rule.place == "messages[-2]")
        assert rule.lifetime is not None
        assert rule.saving is not None
        assert rule.saving > 0
        assert "100% within 5 minutes" in rule.because
        without = Plan.from_json(
            {
                **plan.to_json(),
                "lanes": [
                    {**one, "rules": [r for r in one["rules"] if r["place"] != rule.place]}
                    for one in plan.to_json()["lanes"]
                ],
            }
        )
        costs = []
        for one in (plan, without):
            bill = project(calls, one.marker(calls.tree), sheet, "any").input_cost
            assert bill is not None
            costs.append(bill)
        assert costs[1] - costs[0] == pytest.approx(Decimal(str(rule.saving)), rel=Decimal("1e-4"))
        assert costs[0] < costs[1] * Decimal("0.6")

    def test_at_call_time(self) -> None:
        """A session that follows a plan marks there, and names the rule and its reason."""
        rule = Rule(place="messages[-2]", lifetime=Lifetime.FIVE_MINUTES, because="it is read")
        plan = Plan(lanes=(Lane(model=None, label=None, rules=(rule,)),))
        said = [message(who, f"{who} {LONG}") for who in ("user", "assistant") * 4]
        body = request(*said, message("user", LONG * 4, "It is noon."))
        sent, decision = Session(plan).prepare(body, 0.0)
        (mark,) = decision.marks
        assert (mark.rule, mark.because) == ("messages[-2]", "it is read")
        assert mark.place == Place(level=Level.MESSAGES, index=8, content=0)
        assert "cache_control" in sent["messages"][8]["content"][0]
        assert "cache_control" not in sent["messages"][8]["content"][1]
