"""The planned form: calls over a day from one request and its frequency."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from letters import Letters

from cacheplan.arrivals import ARRIVALS, BURST, BURST_GAP, Dice
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.patterns import variation
from cacheplan.prefixes import SETTINGS
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import TokenCounter
from cacheplan.workload import Call, Workload


def planned(seed: int = 0, counter: TokenCounter | None = None, **line: Any) -> Workload:
    """Read one planned line."""
    intake = Intake(counter or Letters(), Assumptions(), seed=seed)
    intake.add(json.dumps({"request": request(), "calls_per_hour": 60} | line).encode())
    return intake.workload()


def request(**more: Any) -> dict[str, Any]:
    """Make a body that is sent again and again."""
    return {
        "model": "claude-opus-5-5",
        "system": [{"type": "text", "text": "You help."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Which one?"}]}],
        **more,
    }


def times(workload: Workload) -> list[float]:
    """Return when the calls are."""
    return [call.at for call in workload]


def blocks(workload: Workload, call: Call) -> list[int]:
    """Return the nodes of a prompt that end with a block."""
    tree = workload.tree
    return [n for n in tree.path(call.tip) if tree.kind[tree.block[n]] != SETTINGS]


def test_beside_recorded_calls_planned_ones_begin_with_the_first() -> None:
    """Epoch seconds are no reason to be half a century apart, whichever line comes first."""
    at = 1_790_000_000.0
    lines: list[dict[str, Any]] = [
        {"request": request(), "calls_per_hour": 60, "hours": 2},
        {"request": request(), "at": at + 60},
        {"request": request(), "at": at},
    ]
    alone = times(planned(hours=2))
    for order in (lines, lines[::-1]):
        intake = Intake(Letters(), Assumptions())
        for line in order:
            intake.add(json.dumps(line).encode())
        assert times(intake.workload()) == sorted([at, at + 60, *(at + one for one in alone)])


class TestDice:
    """Numbers from a seed, the same on every machine."""

    def test_the_numbers_stay(self) -> None:
        """A seed's numbers never change; these are splitmix64's own (Vigna's reference code)."""
        dice = Dice(1234567)
        states = [6457827717110365317, 3203168211198807973, 9817491932198370423]
        assert [dice.uniform() for _ in states] == [(state >> 11) / 2**53 for state in states]

    def test_numbers_are_even(self) -> None:
        """Ten thousand numbers fill ten equal bins evenly (chi-squared, 9 degrees, p > 0.001)."""
        dice, bins = Dice(7), [0] * 10
        for _ in range(10_000):
            bins[int(dice.uniform() * 10)] += 1
        assert sum((found - 1000) ** 2 / 1000 for found in bins) < 27.9

    def test_waits_have_their_mean(self) -> None:
        """An exponential wait has its mean, and its mean as its spread."""
        dice = Dice(3)
        waits = [dice.wait(5) for _ in range(10_000)]
        mean = sum(waits) / len(waits)
        spread = math.sqrt(sum((wait - mean) ** 2 for wait in waits) / len(waits))
        assert mean == pytest.approx(5, rel=0.05)
        assert spread == pytest.approx(5, rel=0.05)


#: Variance of the number of calls, as a multiple of its mean. A burst is geometric with
#: mean b: the sum over a Poisson number of them has (2 b² - b) / b times the mean.
SPREAD = {"steady": 0.0, "poisson": 1.0, "bursty": 2 * BURST - 1}


class TestArrivals:
    """``steady``, ``poisson`` and ``bursty``."""

    @pytest.mark.parametrize("kind", ARRIVALS)
    def test_the_rate_is_met(self, kind: str) -> None:
        """Over forty days of every kind the calls are as many as planned, within four sigma."""
        counts = [len(ARRIVALS[kind](90, 24, Dice(seed))) for seed in range(40)]
        expected = 90 * 24 * 40
        sigma = math.sqrt(SPREAD[kind] * expected)
        assert abs(sum(counts) - expected) <= 4 * sigma + 40

    @pytest.mark.parametrize("kind", ARRIVALS)
    def test_a_slow_rate_is_met_on_average(self, kind: str) -> None:
        """A call every eight hours comes three times a day, on average over many seeds."""
        counts = [len(ARRIVALS[kind](1 / 8, 24, Dice(seed))) for seed in range(4000)]
        sigma = math.sqrt(max(SPREAD[kind], 1) * 3 / 4000)
        assert abs(sum(counts) / 4000 - 3) <= 4 * sigma

    @given(
        st.sampled_from(sorted(ARRIVALS)),
        st.floats(0.01, 500),
        st.floats(0.01, 24),
        st.integers(0, 2**64),
    )
    def test_times_are_in_order_and_in_the_day(
        self, kind: str, rate: float, hours: float, seed: int
    ) -> None:
        """Every time lies within the hours, none before the one in front of it."""
        found = ARRIVALS[kind](rate, hours, Dice(seed))
        assert found == sorted(found)
        assert all(0 <= time <= hours * 3600 for time in found)
        assert found == ARRIVALS[kind](rate, hours, Dice(seed))

    def test_steady_is_evenly_spaced(self) -> None:
        """All gaps are the same."""
        found = ARRIVALS["steady"](7, 24, Dice(0))
        assert {round(b - a, 6) for a, b in pairwise(found)} == {round(3600 / 7, 6)}

    def test_poisson_has_no_memory(self) -> None:
        """Gaps are exponential: as far apart as their mean, and 1/e of them beyond it."""
        found = ARRIVALS["poisson"](600, 24, Dice(0))
        gaps = [b - a for a, b in pairwise(found)]
        beyond = sum(gap > 6 for gap in gaps) / len(gaps)
        assert beyond == pytest.approx(1 / math.e, abs=0.02)

    def test_bursty_comes_in_bursts(self) -> None:
        """Most gaps are seconds, the rest are long, and a burst has its size."""
        found = ARRIVALS["bursty"](8, 24 * 30, Dice(0))
        gaps = [b - a for a, b in pairwise(found)]
        short = [gap for gap in gaps if gap < 10 * BURST_GAP]
        bursts = len(gaps) - len(short) + 1
        assert len(found) / bursts == pytest.approx(BURST, rel=0.15)
        assert sum(short) / len(short) == pytest.approx(BURST_GAP, rel=0.15)


class TestCalls:
    """What the calls of a planned line have in common, and what not."""

    @given(st.sampled_from(sorted(ARRIVALS)), st.integers(0, 99))
    @hypothesis_settings(max_examples=20)
    def test_a_seed_reproduces(self, arrivals: str, seed: int) -> None:
        """The same line and seed give the same calls, prompts included; another seed others."""
        line: dict[str, Any] = {
            "arrivals": arrivals,
            "hours": 3,
            "turns": 2,
            "varies": ["messages[0].content[0]"],
        }
        one, again, other = (planned(at, **line) for at in (seed, seed, seed + 1))
        assert list(one) == list(again)
        assert one.tree.digest == again.tree.digest
        assert times(one) != times(other)

    def test_the_defaults_are_the_contracts(self) -> None:
        """A day of Poisson arrivals, one turn each."""
        plain = planned(calls_per_hour=100)
        assert times(plain) == times(planned(calls_per_hour=100, hours=24, arrivals="poisson"))
        assert len({call.session for call in plain}) == len(plain)
        assert plain.span == pytest.approx(24 * 3600, rel=0.02)

    def test_every_call_is_as_the_line_says(self) -> None:
        """What stands beside the request stands beside each call of it."""
        beside: dict[str, Any] = {
            "label": "l",
            "workspace": "w",
            "platform": "aws",
            "output_tokens": 7,
        }
        workload = planned(**beside, first_token_after=2.5)
        assert {
            (c.label, c.workspace, c.tariff.platform, c.output, c.first_token_after)
            for c in workload
        } == {("l", "w", "aws", 7, 2.5)}

    def test_what_does_not_vary_is_one_prompt(self) -> None:
        """Without places that vary, all calls share the whole prompt."""
        workload = planned()
        assert len({call.tip for call in workload}) == 1

    @pytest.mark.parametrize(
        ("place", "shared"),
        [
            ("system[0]", 0),
            ("system[0].text", 0),
            ("messages[0]", 1),
            ("messages[0].content", 1),
            ("messages[0].content[0]", 1),
            ("messages[0].content[0].text", 1),
        ],
    )
    def test_a_place_that_varies_is_never_shared(self, place: str, shared: int) -> None:
        """No two calls meet at or behind it, and all meet in front of it."""
        workload = planned(varies=[place], hours=2)
        paths = [blocks(workload, call) for call in workload]
        assert len(paths) > 50
        for at in range(2):
            met = len({path[at] for path in paths})
            assert met == (1 if at < shared else len(paths))

    def test_a_short_place_varies_too(self) -> None:
        """A text of two letters differs on every call, and a long one keeps its length."""
        for said in ("Hi", "x" * 4000):
            body = request(messages=[{"role": "user", "content": said}])
            workload = planned(request=body, varies=["messages[0].content"], hours=2)
            assert len({call.tip for call in workload}) == len(workload)
            lengths = {workload.prompt_tokens(call) for call in workload}
            assert max(lengths) - min(lengths) <= 1

    @pytest.mark.parametrize("text", ["Ask {{name}}.", "{{ a.b }}", "{{x}}{{y}}"])
    def test_a_placeholder_is_never_shared(self, text: str) -> None:
        """Text that holds one differs on every call without being listed."""
        body = request(system=[{"type": "text", "text": "fixed"}, {"type": "text", "text": text}])
        workload = planned(request=body, hours=2)
        paths = [blocks(workload, call) for call in workload]
        assert len({path[0] for path in paths}) == 1
        assert len({path[1] for path in paths}) == len(paths)

    def test_what_is_not_a_placeholder_stays(self) -> None:
        """Braces around what is no name are text."""
        body = request(system="{{}} {{ two words }} {single}")
        assert len({call.tip for call in planned(request=body)}) == 1

    def test_two_lines_share_what_is_the_same(self) -> None:
        """Planned lines meet in their fixed parts and never in what varies."""
        intake = Intake(Letters())
        raw = {"request": request(), "calls_per_hour": 20, "varies": ["messages[0]"]}
        for _ in range(2):
            intake.add(json.dumps(raw).encode())
        workload = intake.workload()
        assert len({call.tip for call in workload}) == len(workload)
        assert len({blocks(workload, call)[0] for call in workload}) == 1

    def test_the_callers_marks_are_sent(self) -> None:
        """A planned request keeps its breakpoints, in the parts that vary as well."""
        marked = {"type": "text", "text": "Which one?", "cache_control": {"type": "ephemeral"}}
        body = request(messages=[{"role": "user", "content": [marked]}])
        workload = planned(request=body, varies=["messages[0].content[0]"])
        assert all([mark.node for mark in call.marks] == [call.tip] for call in workload)


class TestTurns:
    """``a conversation of that many turns, that many seconds and tokens apart``."""

    def test_a_conversation_goes_on_where_it_was(self) -> None:
        """Each turn extends the one before by an answer and a question, a gap later."""
        workload = planned(calls_per_hour=1, arrivals="steady", turns=4, turn_gap=45, hours=3)
        sessions: dict[str | None, list[Call]] = {}
        for call in workload:
            sessions.setdefault(call.session, []).append(call)
        assert len(sessions) == 3
        for calls in sessions.values():
            assert [call.at - calls[0].at for call in calls] == pytest.approx([0, 45, 90, 135])
            for one, other in pairwise(calls):
                before, after = blocks(workload, one), blocks(workload, other)
                assert after[: len(before)] == before
                roles = [workload.tree.role[workload.tree.block[n]] for n in after[len(before) :]]
                assert roles == ["assistant", "user"]

    def test_conversations_share_no_turn(self) -> None:
        """What is said in one conversation is said in no other."""
        workload = planned(turns=3, hours=1)
        later = [call for call in workload if len(blocks(workload, call)) > 2]
        assert len({call.tip for call in later}) == len(later)

    @pytest.mark.parametrize("counter", [Letters, default_counter])
    @pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-4-5", "unheard-of"])
    @pytest.mark.parametrize("tokens", [50, 500, 5000])
    def test_a_turn_is_as_long_as_planned(self, counter: Any, model: str, tokens: int) -> None:
        """Under the counter in use a turn has its tokens, to 2 in 100 or a word on either side."""
        workload = planned(
            counter=counter(),
            request=request(model=model),
            calls_per_hour=2,
            arrivals="steady",
            hours=2,
            turns=5,
            turn_tokens=tokens,
        )
        by_session: dict[str | None, list[int]] = {}
        for call in workload:
            by_session.setdefault(call.session, []).append(workload.prompt_tokens(call))
        for lengths in by_session.values():
            for one, other in pairwise(lengths):
                assert abs(other - one - tokens) <= max(6, 0.02 * tokens)

    def test_a_turn_cannot_be_shorter_than_its_name(self) -> None:
        """Turns of one token are as short as they can be told apart."""
        workload = planned(calls_per_hour=1, arrivals="steady", hours=1, turns=3, turn_tokens=1)
        lengths = [workload.prompt_tokens(call) for call in workload]
        assert all(0 < other - one < 50 for one, other in pairwise(lengths))


class TestFaults:
    """A planned line that cannot be read says where, before any call is made."""

    @pytest.mark.parametrize(
        ("bad", "what"),
        [
            ({"calls_per_hour": -1}, "calls_per_hour: -1 is less than 0"),
            ({"calls_per_hour": "many"}, "calls_per_hour: this is not a number"),
            ({"calls_per_hour": True}, "calls_per_hour: this is not a number"),
            (
                {"calls_per_hour": 1e300},
                "calls_per_hour: more than 10,000,000 calls; plan fewer hours",
            ),
            (
                {"calls_per_hour": 10**400},
                "calls_per_hour: this is larger than any number here",
            ),
            ({"hours": -1}, "hours: -1 is less than 0"),
            ({"arrivals": "never"}, 'arrivals: "never" is not steady, poisson, bursty'),
            ({"arrivals": ["steady"]}, 'arrivals: ["steady"] is not steady, poisson, bursty'),
            ({"turns": 0}, "turns: 0 is less than 1"),
            ({"turns": 1.5}, "turns: 1.5 is not a whole number"),
            ({"turn_tokens": 0}, "turn_tokens: 0 is less than 1"),
            ({"turn_gap": -1}, "turn_gap: -1 is less than 0"),
            ({"varies": "system[0]"}, "varies: this is not a list of places"),
            ({"varies": [7]}, "varies[0]: this is not a place"),
            (
                {"varies": ["system[0]", "system[x]"]},
                'varies[1]: "system[x]" is not a place such as messages[0].content[1]',
            ),
            ({"varies": ["system[1]"]}, 'varies[0]: the request has no "system[1]"'),
            ({"varies": ["tools[0]"]}, 'varies[0]: the request has no "tools[0]"'),
            (
                {"varies": ["messages[0].role[0]"]},
                'varies[0]: the request has no "messages[0].role[0]"',
            ),
            ({"request": []}, "request: this is not an object"),
            ({"request": {"model": "m"}}, "request.messages: missing, or not a list"),
            ({"request": {"messages": []}}, "request.model: missing"),
            (
                {"request": request(messages=[{"role": "robot", "content": ""}])},
                'request.messages[0].role: "robot" is not user, assistant or system',
            ),
            (
                {"request": request(cache_control={"type": "ephemeral", "ttl": "2h"})},
                'request.cache_control.ttl: "2h" is not 5m or 1h',
            ),
        ],
    )
    def test_a_fault_has_its_path(self, bad: dict[str, Any], what: str) -> None:
        """The path leads from the outside of the line to what is wrong."""
        with pytest.raises(InputError) as caught:
            planned(**bad)
        assert str(caught.value) == what

    @pytest.mark.parametrize("line", [{"calls_per_hour": 0}, {"hours": 0}])
    def test_never_is_no_call(self, line: dict[str, Any]) -> None:
        """A line that is sent never, or for no time, plans nothing."""
        assert len(planned(**line)) == 0


def test_what_varies_is_another_text_and_no_template() -> None:
    """Two contents of one place have hardly a stretch in common, and are as long as before."""
    said = " ".join(f"word{number}" for number in range(400))
    body = request(messages=[{"role": "user", "content": [{"type": "text", "text": said}]}])
    counter = Remembering(Letters())
    place = "messages[0].content[0]"
    planned(0, counter, request=body, varies=[place], arrivals="steady", hours=0.1)
    texts = [str(one["text"]) for one in counter.bodies.values() if "word7" in str(one)]
    assert len(texts) == 6
    assert {len(text) for text in texts} == {len(said)}
    assert all(one[200:400] != other[200:400] for one, other in pairwise(texts))
    assert variation(texts) is None
