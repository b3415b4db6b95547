"""Call time as a pure step: what it may change, what it must not, and what it learns."""

from __future__ import annotations

import copy
import json
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from bodies import MODELS, bodies
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small import message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.checking import check
from cacheplan.entries import Entry
from cacheplan.errors import InputError
from cacheplan.generation import NODES, Generation
from cacheplan.guesses import Guess
from cacheplan.marking import mark_body
from cacheplan.outcomes import Origin, Outcome
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.prices import Sheet
from cacheplan.prompt import Lifetime
from cacheplan.session import Session
from cacheplan.usage import Usage
from cacheplan.validity import validate
from cacheplan.wire import unmark

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
PLACES = (
    "tools",
    "system",
    "system[0]",
    "documents",
    "messages[0]",
    "turn before",
    "tail after talk",
    "tail after tools",
)
WAYS = ("respect", "fill", "replace")
#: No prompt is too short, so that every mark that a plan wants is one that is placed.
TINY = Assumptions.parse([f"minimum.{model}=1" for model in MODELS])
LONG_TEXT = "All of this is about the weather in Ulm. " * 300


def plan_of(*places: str, lifetime: Lifetime = SHORT, label: str | None = None) -> Plan:
    """Return a plan that marks these places."""
    rules = tuple(Rule(place=place, lifetime=lifetime) for place in places)
    return Plan(lanes=(Lane(model=None, label=label, rules=rules),))


@st.composite
def plans(draw: st.DrawFn) -> Plan | None:
    """Draw a plan for any call, or none."""
    lifetimes = st.sampled_from([None, SHORT, LONG])
    rules = tuple(Rule(place=place, lifetime=draw(lifetimes)) for place in PLACES)
    plan = Plan(lanes=(Lane(model=None, label=None, rules=rules),))
    return draw(st.sampled_from([plan, plan, None]))


def body(*more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a body that is long enough to be cached."""
    return request(message("user", LONG_TEXT), *more, **{"system": LONG_TEXT, **fields})


def lawful(before: Any, plan: Plan | None, way: Any) -> None:
    """Hold one body against every law of marking."""
    copied = copy.deepcopy(before)
    session = Session(plan, on_existing=way, assume=TINY)
    after, decision = session.prepare(before, 0.0)
    assert before == copied, "the caller's object is never touched"
    assert json.dumps(unmark(after)) == json.dumps(unmark(before)), "only marks differ"
    carried = [fault.rule for fault in validate(before)]
    if not carried or way == "replace":
        plain = [fault.rule for fault in validate(unmark(before))]
        found = [fault.rule for fault in validate(after)]
        assert found in (plain, carried), "the service takes what it would have taken"
    if after is not before:
        assert decision.applied
        assert decision.marks
    if plan is not None:
        again, _ = session.prepare(after, 1.0)
        if not carried or way == "replace":
            assert again == after, "marking twice is marking once"
    session.observe(decision, Usage(uncached=5), 2.0)


@pytest.mark.parametrize("way", WAYS)
class TestLaws:
    """What holds for any body, any plan, and whatever marks there are."""

    @given(before=bodies(marked=True), plan=plans())
    def test_any_body(self, way: str, before: dict[str, Any], plan: Plan | None) -> None:
        """Only marks differ, none is refused, and marking twice is marking once."""
        lawful(before, plan, way)

    @pytest.mark.long
    @settings(max_examples=100_000)
    @given(before=bodies(marked=True), plan=plans())
    def test_very_many_bodies(self, way: str, before: dict[str, Any], plan: Plan | None) -> None:
        """The same for a hundred thousand bodies of each kind."""
        lawful(before, plan, way)

    @given(before=bodies(), plan=plans().filter(bool))
    def test_marks_are_the_plans(self, way: str, before: dict[str, Any], plan: Plan) -> None:
        """A body without marks gets what ``cacheplan mark`` gives it."""
        session = Session(plan, on_existing=way, assume=TINY)  # type: ignore[arg-type] # drawn
        after, _ = session.prepare(before, 0.0)
        expected = mark_body(before, plan)
        assert expected == after

    def test_what_is_not_marked_is_shared(self, way: str) -> None:
        """Nothing is copied but what lies on the way to a mark."""
        before = body(message("assistant", "Yes."), message("user", "And?"), tools=[tool("look")])
        session = Session(plan_of("tail after talk"), on_existing=way)  # type: ignore[arg-type]
        after, decision = session.prepare(before, 0.0)
        assert decision.applied
        assert after["tools"] is before["tools"]
        assert after["system"] is before["system"]
        assert all(after["messages"][at] is before["messages"][at] for at in (0, 1))

    @given(before=bodies(marked=True), plan=plans())
    def test_observing(self, way: str, before: dict[str, Any], plan: Plan | None) -> None:
        """Who only watches gets the very object back."""
        session = Session(plan, on_existing=way, assume=TINY)  # type: ignore[arg-type] # drawn
        after, decision = session.prepare(before, 0.0, apply=False)
        assert after is before
        assert not decision.applied

    def test_checked(self, way: str) -> None:
        """The full check finds nothing to reject in what comes out."""
        session = Session(plan_of("system", "tail after talk"), on_existing=way)  # type: ignore[arg-type]
        after, _ = session.prepare(body(), 0.0)
        assert [f for f in check(after, counter=Guess(), sheet=Sheet.default()) if
                f.severity == "error"] == []  # fmt: skip


MARK = {"type": "ephemeral"}


class TestExisting:
    """What becomes of marks that the caller set."""

    def marked(self, **fields: Any) -> dict[str, Any]:
        """Return a body whose system prompt is marked."""
        return body(**fields) | {
            "system": [{"type": "text", "text": LONG_TEXT, "cache_control": MARK}]
        }

    def test_respect(self) -> None:
        """A body with a mark is left alone, and the decision says so and what it found."""
        before = self.marked()
        after, decision = Session(plan_of("tail after talk")).prepare(before, 0.0)
        assert after is before
        assert decision.left == "it carries marks already"
        assert [(mark.rule, mark.lifetime) for mark in decision.found] == [("caller", SHORT)]

    def test_respect_a_mark_that_counts_for_nothing(self) -> None:
        """So is one whose mark stands where the service does not look for one."""
        lost = [{"type": "text", "text": "a", "cache_control": MARK}, {"type": "text", "text": "b"}]
        result = {"type": "tool_result", "tool_use_id": "t", "content": lost}
        before = body({"role": "user", "content": [result]})
        assert Session(plan_of("system")).prepare(before, 0.0)[0] is before

    def test_text_about_marks(self) -> None:
        """Text that speaks of ``cache_control`` carries no mark."""
        before = body(message("assistant", '"cache_control"'), message("user", "what is that?"))
        assert Session(plan_of("system")).prepare(before, 0.0)[1].applied

    def test_fill(self) -> None:
        """What slots are left are used; a lifetime follows its neighbours."""
        session = Session(plan_of("tail after talk", lifetime=LONG), on_existing="fill")
        after, decision = session.prepare(self.marked(), 0.0)
        assert after["system"][0]["cache_control"] == MARK
        assert after["messages"][-1]["content"][0]["cache_control"] == MARK
        assert [mark.lifetime for mark in decision.marks] == [SHORT]

    def test_fill_no_slot(self) -> None:
        """Four marks, the automatic one included, leave no room."""
        blocks = [{"type": "text", "text": f"{n}", "cache_control": MARK} for n in range(3)]
        before = body(system=blocks, cache_control=MARK, tools=[tool("look", LONG_TEXT)])
        session = Session(plan_of("tools"), on_existing="fill")
        after, decision = session.prepare(before, 0.0)
        assert after is before
        assert decision.dropped == (("tools", "no slot is left"),)

    def test_replace(self) -> None:
        """All that was there goes, the automatic mark too."""
        before = self.marked(cache_control=MARK)
        session = Session(plan_of("tail after talk"), on_existing="replace")
        after, _ = session.prepare(before, 0.0)
        assert after == mark_body(before, plan_of("tail after talk"))
        assert "cache_control" not in after

    @pytest.mark.parametrize("odd", ["plan.json", {}, 5])
    def test_no_plan(self, odd: Any) -> None:
        """What is no plan is refused in a line, a file's name among it."""
        with pytest.raises(InputError, match=r"plan is a \w+, not a Plan; Plan.load"):
            Session(odd)

    def test_unknown_way(self) -> None:
        """A way that there is not is refused where it is written."""
        with pytest.raises(InputError, match="respect, fill, replace"):
            Session(on_existing="add")  # type: ignore[arg-type] # that is what is tried


class TestLeftAlone:
    """What is not marked, and why."""

    @pytest.mark.parametrize("odd", [None, 3, "text", [1], (x for x in "ab"), object()])
    def test_no_object(self, odd: Any) -> None:
        """What is no object comes back as it is."""
        after, decision = Session(plan_of("system")).prepare(odd, 0.0)
        assert after is odd
        assert "is not an object" in decision.left

    @pytest.mark.parametrize(
        "fields",
        [
            {"messages": "hi"},
            {"messages": [3]},
            {"messages": (m for m in [message("user", "x")])},
            {"messages": [message("nobody", "x")]},
            {"messages": [{"role": "user", "content": [object()]}]},
            {"model": 7},
            {"system": {"a": 1}},
            {"tools": [None]},
            {"cache_control": "yes"},
        ],
    )
    def test_unreadable(self, fields: dict[str, Any]) -> None:
        """A body that is not the API's shape comes back as it is, with the place named."""
        before = body() | fields
        after, decision = Session(plan_of("system"), on_existing="fill").prepare(before, 0.0)
        assert after is before
        assert decision.left.startswith("it cannot be read: ")

    def test_generator_is_not_consumed(self) -> None:
        """Who hands over a generator gets it back whole."""
        before = body() | {"messages": (m for m in [message("user", "x")])}
        Session(plan_of("system")).prepare(before, 0.0)
        assert list(before["messages"]) == [message("user", "x")]

    def test_endless_nesting(self) -> None:
        """A body that is nested too deeply to be read comes back as it is."""
        deep: Any = "x"
        for _ in range(sys.getrecursionlimit() * 3):
            deep = [deep]
        use = {"type": "tool_use", "id": "t", "name": "n", "input": {"a": deep}}
        before = body({"role": "assistant", "content": [use]})
        assert Session(plan_of("system")).prepare(before, 0.0)[0] is before

    def test_held_by_the_service(self) -> None:
        """Later turns of a conversation that the service keeps have no start to mark."""
        before = body(thread={"type": "continue", "id": "t"})
        after, decision = Session(plan_of("system")).prepare(before, 0.0)
        assert after is before
        assert decision.left == "the service holds the start of this prompt"

    def test_too_short(self) -> None:
        """A prompt that nothing is ever kept of is not even taken apart."""
        before = request(message("user", "hi"), system="Be brief.")
        after, decision = Session(plan_of("system")).prepare(before, 0.0)
        assert after is before
        assert decision.left == "it is shorter than anything the service keeps"

    def test_short_prefix(self) -> None:
        """Of a long prompt a short beginning is not marked, and that is said."""
        before = request(message("user", LONG_TEXT), system="Be brief.")
        _, decision = Session(plan_of("system", "tail after talk")).prepare(before, 0.0)
        assert [mark.rule for mark in decision.marks] == ["tail after talk"]
        assert [rule for rule, _ in decision.dropped] == ["system"]

    def test_filling_the_cache(self) -> None:
        """A call that only fills the cache is not marked at its placeholder."""
        session = Session(plan_of("system", "tail after talk"))
        _, decision = session.prepare(body(max_tokens=0), 0.0)
        assert [mark.rule for mark in decision.marks] == ["system"]

    def test_platform_without_hours(self) -> None:
        """Where an hour cannot be asked for, 5 minutes are."""
        session = Session(plan_of("system", lifetime=LONG))
        older = body(model="anthropic.claude-opus-4-1-20250805-v1:0")
        _, decision = session.prepare(older, 0.0, Origin(platform="bedrock"))
        assert [mark.lifetime for mark in decision.marks] == [SHORT]

    def test_one_shot_lane(self) -> None:
        """Without a plan, prompts that share nothing are not marked again and again."""
        session, marked = Session(), 0
        for number in range(40):
            own = request(message("user", f"{number} " + LONG_TEXT))
            marked += session.prepare(own, 60.0 * number)[1].applied
        assert marked <= 1

    def test_refused_rule(self) -> None:
        """A rule that the service refused is not used again; the others are."""
        session = Session(plan_of("system", "tail after talk"))
        _, decision = session.prepare(body(), 0.0)
        assert session.bar(decision, "system.0.cache_control: no") == ("system",)
        _, decision = session.prepare(body(), 1.0)
        assert [mark.rule for mark in decision.marks] == ["tail after talk"]
        assert decision.dropped == (("system", "the service refused this mark before"),)

    def test_refused_without_a_place(self) -> None:
        """Where the service names no block, all rules of the call are given up."""
        session = Session(plan_of("system", "tail after talk"))
        _, decision = session.prepare(body(), 0.0)
        assert set(session.bar(decision, "cache_control?")) == {"system", "tail after talk"}


def talk(
    session: Session, turns: int, start: float = 0.0, gap: float = 20.0, about: str = ""
) -> list[Entry]:
    """Have a conversation that is billed as expected."""
    entries, said = [], [message("user", about + LONG_TEXT)]
    for turn in range(turns):
        at = start + gap * turn
        _, decision = session.prepare(request(*said, system=LONG_TEXT), at)
        assert decision.predicted is not None
        entries.append(session.observe(decision, decision.predicted, at + 2))
        said += [message("assistant", "Yes."), message("user", f"And {turn}?")]
    return entries


class TestExpecting:
    """What a call is expected to use, and what is learned from what it did."""

    def test_conversation(self) -> None:
        """The second turn is expected to read what the first wrote."""
        first, second, *_ = talk(Session(plan_of("system", "tail after talk")), 3)
        assert first.predicted is not None
        assert second.predicted is not None
        assert first.predicted.read == 0 < first.predicted.write_5m
        assert second.predicted.read == first.predicted.write_5m

    def test_too_late(self) -> None:
        """After more than 5 minutes nothing is expected to be there."""
        entries = talk(Session(plan_of("system", "tail after talk")), 2, gap=301.0)
        assert [entry.predicted.read for entry in entries if entry.predicted] == [0, 0]

    def test_lengths_are_learned(self) -> None:
        """What the service says of lengths makes the next expectations exact."""
        session = Session(plan_of("tail after talk"))
        said = [message("user", LONG_TEXT)]
        _, decision = session.prepare(request(*said), 0.0)
        billed = Usage(uncached=2, write_5m=5_000)
        session.observe(decision, billed, 2.0)
        said += [message("assistant", "Yes."), message("user", "And?")]
        _, decision = session.prepare(request(*said), 9.0)
        assert decision.predicted is not None
        assert decision.predicted.read == 5_000

    def test_shared_lengths_are_learned(self) -> None:
        """So they do for a prefix that many go on from, which one mark ends."""
        session, expected = Session(plan_of("system")), []
        for number in range(3):
            asked = request(message("user", f"And rule {number}?"), system=LONG_TEXT)
            _, decision = session.prepare(asked, 9.0 * number)
            expected.append(decision.predicted)
            used = Usage(uncached=12, read=5_000) if number else Usage(uncached=12, write_5m=5_000)
            session.observe(decision, used, 9.0 * number + 2)
        assert [usage.read for usage in expected if usage] == [0, 5_000, 5_000]

    @pytest.mark.parametrize("plan", [None, plan_of("system")])
    @pytest.mark.parametrize("heard", [True, False])
    def test_read_as_soon_as_it_can_be(self, plan: Plan | None, *, heard: bool) -> None:
        """What a call wrote can be read when its response has begun, however soon that is."""
        session, decisions = Session(plan), []
        for number in range(3):
            asked = request(message("user", f"And rule {number}?"), system=LONG_TEXT)
            _, decision = session.prepare(asked, 0.02 * number)
            decisions.append(decision)
            outcome = Outcome(Usage(uncached=9, write_5m=3_400), first_token_after=0.01)
            if heard:
                session.observe(decision, outcome, 0.02 * number + 0.01)
            else:
                session.learn(decision, outcome, 0.02 * number + 0.01)
        assert all(decision.applied for decision in decisions)
        assert [each.predicted.read for each in decisions[1:] if each.predicted] == [3_400, 3_400]

    def test_a_long_stream_can_be_read_while_it_runs(self) -> None:
        """The beginning of a response is enough."""
        session = Session(plan_of("system"))
        _, first = session.prepare(body(), 0.0)
        session.begun(first, 0.5)
        _, second = session.prepare(body(), 0.6)
        assert second.predicted is not None
        assert second.predicted.read > 0

    def test_a_stream_that_broke_off(self) -> None:
        """Once a response has begun its entries are there, whatever becomes of it."""
        session = Session(plan_of("system"))
        _, first = session.prepare(body(), 0.0)
        session.begun(first, 0.5)
        session.observe(first, "overloaded_error", 0.7)
        _, second = session.prepare(body(), 0.8)
        assert second.predicted is not None
        assert second.predicted.read > 0

    @pytest.mark.parametrize("plan", [None, plan_of("system")])
    def test_failed(self, plan: Plan | None) -> None:
        """A call that failed wrote nothing; sent again it did after all."""
        session = Session(plan)
        _, first = session.prepare(body(), 0.0)
        session.observe(first, "overloaded_error", 5.0)
        _, second = session.prepare(body(), 6.0)
        assert second.applied
        assert second.predicted is not None
        assert second.predicted.read == 0
        session.observe(second, TimeoutError("late"), 8.0)
        again = replace(second, at=9.0)
        session.observe(again, second.predicted, 9.5)
        _, third = session.prepare(body(), 10.0)
        assert third.predicted is not None
        assert third.predicted.read == second.predicted.written

    @pytest.mark.parametrize("plan", [None, plan_of("system")])
    def test_marks_that_were_refused(self, plan: Plan | None) -> None:
        """Marks that were taken out again wrote nothing, though the call went well."""
        session = Session(plan)
        _, first = session.prepare(body(), 0.0)
        refused = replace(first, applied=False, left="the service refused its marks")
        session.observe(refused, Usage(uncached=7_000), 5.0)
        _, second = session.prepare(body(), 6.0)
        assert second.applied
        assert second.predicted is not None
        assert second.predicted.read == 0

    @given(moments=st.lists(st.floats(-1e9, 1e9), max_size=12))
    @example(moments=[1e9, 0.0, 1e9])
    def test_any_clock(self, moments: list[float]) -> None:
        """A clock may jump as it likes: calls go through, and nothing negative is expected."""
        for plan in (None, plan_of("system", "tail after talk")):
            session = Session(plan)
            for at in moments:
                _, decision = session.prepare(body(), at)
                assert decision.left in {"", "nothing is worth a mark"}
                assert decision.predicted is not None
                assert min(decision.predicted.read, decision.predicted.written) >= 0
                session.observe(decision, decision.predicted, at)

    @pytest.mark.parametrize(
        ("result", "usage", "error"),
        [
            (Usage(read=7), Usage(read=7), None),
            ({"input_tokens": 3, "output_tokens": 1}, Usage(uncached=3, output=1), None),
            (TimeoutError("late"), None, "TimeoutError"),
            ("overloaded_error", None, "overloaded_error"),
            (None, None, None),
            ({"input_tokens": "many"}, None, None),
        ],
    )
    def test_any_end(self, result: Any, usage: Usage | None, error: str | None) -> None:
        """A call may end in usage, in an error, or in nothing that can be read."""
        session = Session(plan_of("system"))
        _, decision = session.prepare(body(), 0.0, Origin(label="chat", workspace="w"))
        entry = session.observe(decision, result, 3.0)
        assert (entry.usage, entry.error, entry.duration) == (usage, error, 3.0)
        assert (entry.label, entry.workspace, entry.lifetime) == ("chat", "w", SHORT)
        done = session.finished(decision, entry)
        assert (done.billed, done.error, done.slip) == (usage, error, None)

    def test_steps_are_told_once(self) -> None:
        """An entry tells of the blocks that are new, and of where they go on."""
        first, second, third = talk(Session(plan_of("system")), 3)
        assert [len(entry.steps) for entry in (first, second, third)] == [2, 2, 2]
        assert second.parent == first.tip == first.steps[-1].key
        assert third.parent == second.tip
        assert sum(step.tokens for step in first.steps) == pytest.approx(
            first.predicted.prompt if first.predicted else 0, abs=20
        )

    def test_steps_are_told_again(self) -> None:
        """After an hour the whole path is told anew, for a ledger forgets."""
        session = Session(plan_of("system"))
        talk(session, 2)
        again = talk(session, 3, start=4000.0)[-1]
        later = talk(session, 3, start=9000.0)[0]
        assert len(again.steps) == 2
        assert (later.parent, len(later.steps)) == (b"", 2)

    @given(before=st.lists(bodies(), min_size=2, max_size=5))
    def test_steps_go_on_from_what_was_told(self, before: list[dict[str, Any]]) -> None:
        """Every entry begins at the start, or where an earlier one has been, whatever it adds."""
        session, told = Session(plan_of("system")), {b""}
        for at, each in enumerate(before):
            _, decision = session.prepare(each, float(at))
            entry = session.observe(decision, Usage(uncached=5), float(at))
            assert entry.parent in told
            told.update(step.key for step in entry.steps)

    def test_prompts_that_part_at_their_first_block(self) -> None:
        """A second system prompt shares nothing, so its entry tells all of itself."""
        session = Session(plan_of("system"))
        for at, system in enumerate([LONG_TEXT, "You are somebody else. " * 300]):
            _, decision = session.prepare(body(system=system), float(at))
            entry = session.observe(decision, Usage(uncached=5), float(at))
            assert (entry.parent, len(entry.steps)) == (b"", 2)

    def test_sealed_in_any_order(self) -> None:
        """Sealed decisions tell all of their calls: results come in no order, or not at all."""
        session = Session(plan_of("system"))
        asked = [body(message("assistant", "Yes?"), message("user", word)) for word in "abc"]
        sealed = [session.seal(session.prepare(each, 0.0)[1]) for each in asked]
        entries = [session.observe(each, Usage(read=1), 9.0) for each in reversed(sealed)]
        assert [(entry.parent, len(entry.steps)) for entry in entries] == [(b"", 4)] * 3
        first, second, third = (entry.steps for entry in entries)
        assert all(a is b is c for a, b, c in zip(first[:3], second[:3], third[:3], strict=True))

    def test_kept_for_a_day(self) -> None:
        """A sealed decision tells the same of its call."""
        session = Session(plan_of("system"))
        _, decision = session.prepare(body(), 0.0)
        sealed = session.seal(decision)
        entry = session.observe(sealed, Usage(read=1), 5.0)
        assert entry.tip
        assert [mark.rule for mark in entry.marked] == ["system"]
        assert len(entry.steps) == 2


class TestLearning:
    """Without a plan."""

    def test_state(self) -> None:
        """What was learned is stored, and carried on by another session."""
        first = Session()
        talk(first, 4)
        state = json.loads(json.dumps(first.state()))
        second = Session()
        second.restore(state)
        again = second.state()
        assert again is not None
        keys = [{prefix["key"] for prefix in each["prefixes"]} for each in (state, again)]
        assert keys[0] == keys[1]

    def test_plan_has_no_state(self) -> None:
        """A plan learns nothing that would have to be stored."""
        session = Session(plan_of("system"))
        session.restore({})
        assert session.state() is None

    def test_generations(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """When a generation is full another begins, and knows what was learned."""
        monkeypatch.setattr("cacheplan.generation.NODES", 60)
        session = Session()
        for number in range(30):
            talk(session, 4, start=200.0 * number, about=f"{number} ")
            assert len(session._generation.tree) < 80
        state = session.state()
        assert state is not None
        assert len(state["prefixes"]) > 30

    def test_bound(self) -> None:
        """The bound of a generation is what it says it is."""
        assert isinstance(Session()._generation, Generation)
        assert NODES == 32_768


def test_threads() -> None:
    """Threads that share a session get what each would get alone."""
    session = Session(plan_of("system", "tail after talk"))
    wrong: list[str] = []

    def run(number: int) -> None:
        said = [message("user", f"{number} {LONG_TEXT}")]
        for turn in range(10):
            before = request(*said, system=LONG_TEXT)
            after, decision = session.prepare(before, float(turn))
            if after != mark_body(before, plan_of("system", "tail after talk")):
                wrong.append(f"{number}.{turn}")
            session.observe(decision, decision.predicted, turn + 0.5)
            said += [message("assistant", "Yes."), message("user", "And?")]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_outcome_has_defaults() -> None:
    """Who knows nothing of a call's end says so with an empty outcome."""
    session = Session(plan_of("system"))
    _, decision = session.prepare(body(), 0.0)
    assert session.observe(decision, Outcome(), 1.0).usage is None
