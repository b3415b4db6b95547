"""Lines become calls: what every form has in common, and a workload out of all of them."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from letters import Letters

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.prompt import Lifetime
from cacheplan.records import Intake
from cacheplan.stated import recorded_usage
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload


def request(*said: str, **more: Any) -> dict[str, Any]:
    """Make a body in which these things were said, by turns."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return {"model": "claude-opus-5-5", "messages": messages, **more}


def line(**more: Any) -> dict[str, Any]:
    """Make a recorded line; ``None`` leaves a member out."""
    made = {"at": 0, "request": request("Hi")} | more
    return {key: part for key, part in made.items() if part is not None}


def taken(*lines: dict[str, Any], counter: Letters | None = None, **how: Any) -> Workload:
    """Take in some lines and return the workload."""
    intake = Intake(counter or Letters(), Assumptions(), **how)
    for made in lines:
        intake.add(json.dumps(made).encode())
    return intake.workload()


def one(**more: Any) -> Call:
    """Return the call of one line."""
    (call,) = taken(line(**more))
    return call


class TestTime:
    """``at``: seconds, or an RFC 3339 string."""

    @pytest.mark.parametrize(
        ("at", "seconds"),
        [
            (0, 0.0),
            (-5, -5.0),
            (1763737200.25, 1763737200.25),
            ("2025-11-21T15:00:00Z", 1763737200.0),
            ("2025-11-21t15:00:00z", 1763737200.0),
            ("2025-11-21 15:00:00Z", 1763737200.0),
            ("2025-11-21T16:00:00+01:00", 1763737200.0),
            ("2025-11-21T15:00:00.250000000-00:00", 1763737200.25),
        ],
    )
    def test_a_time_is_read(self, at: Any, seconds: float) -> None:
        """Numbers count from any zero; text has its zone."""
        assert one(at=at).at == seconds

    @pytest.mark.parametrize(
        ("at", "what"),
        [
            (
                "2025-11-21T15:00:00",
                'at: "2025-11-21T15:00:00" names no time zone (write Z for UTC)',
            ),
            ("2025-11-21", 'at: "2025-11-21" names no time zone (write Z for UTC)'),
            ("noon", 'at: "noon" is neither seconds nor an RFC 3339 time'),
            ("", 'at: "" is neither seconds nor an RFC 3339 time'),
            ("1763737200", 'at: "1763737200" is neither seconds nor an RFC 3339 time'),
            ("a\nb", 'at: "a\\nb" is neither seconds nor an RFC 3339 time'),
            (True, "at: this is not a number"),
            ([0], "at: this is not a number"),
            (10**400, "at: this is larger than any number here"),
        ],
    )
    def test_what_is_no_time_is_refused(self, at: Any, what: str) -> None:
        """A time without a zone could be anywhere; a truth value is no number."""
        with pytest.raises(InputError) as caught:
            one(at=at)
        assert str(caught.value) == what

    @given(st.lists(st.sampled_from([0, 1, 1.5, 2]), max_size=12))
    def test_calls_are_sorted_and_stable(self, times: list[float]) -> None:
        """Lines come in any order; calls of one instant stay in theirs."""
        workload = taken(*(line(at=at, id=str(number)) for number, at in enumerate(times)))
        found = [(call.at, call.number) for call in workload]
        assert found == sorted(found)
        assert [call.id for call in workload] == [str(call.number) for call in workload]

    def test_a_call_needs_its_time(self) -> None:
        """Without a time a request is planned, if it says how often."""
        with pytest.raises(InputError, match=r"^at: missing; a call needs its time"):
            taken(line(at=None))
        with pytest.raises(InputError, match=r"^at: missing; only a request can be planned$"):
            taken(line(at=None, request=None, blocks=[], calls_per_hour=1))


class TestUsage:
    """``response.usage`` as the API returned it."""

    @pytest.mark.parametrize(
        ("usage", "read"),
        [
            ({}, Usage()),
            ({"input_tokens": 3, "output_tokens": 4}, Usage(uncached=3, output=4)),
            ({"input_tokens": None, "cache_read_input_tokens": None}, Usage()),
            ({"cache_read_input_tokens": 5}, Usage(read=5)),
            ({"cache_creation_input_tokens": 9}, Usage(write_5m=9)),
            ({"cache_creation_input_tokens": 9, "cache_creation": None}, Usage(write_5m=9)),
            ({"cache_creation_input_tokens": 9, "cache_creation": {}}, Usage(write_5m=9)),
            (
                {
                    "cache_creation_input_tokens": 9,
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 4,
                        "ephemeral_5m_input_tokens": 5,
                    },
                },
                Usage(write_5m=5, write_1h=4),
            ),
            (
                {"cache_creation": {"ephemeral_1h_input_tokens": 4}},
                Usage(write_1h=4),
            ),
            (
                {
                    "cache_creation_input_tokens": 9,
                    "cache_creation": {"ephemeral_5m_input_tokens": None},
                },
                Usage(write_5m=9),
            ),
            ({"server_tool_use": None, "service_tier": "standard"}, Usage()),
        ],
    )
    def test_usage_is_read(self, usage: dict[str, Any], read: Usage) -> None:
        """Null is none, and a write whose lifetimes are not told apart was for five minutes."""
        assert recorded_usage(usage) == read
        assert one(response={"usage": usage}).recorded == read
        assert one(usage=usage).recorded == read

    @pytest.mark.parametrize(
        ("more", "what"),
        [
            (
                {"response": {"usage": {"input_tokens": -1}}},
                "response.usage.input_tokens: -1 is negative",
            ),
            (
                {"response": {"usage": {"input_tokens": 1.5}}},
                "response.usage.input_tokens: this is not a whole number of tokens",
            ),
            (
                {"response": {"usage": {"output_tokens": True}}},
                "response.usage.output_tokens: this is not a whole number of tokens",
            ),
            (
                {"usage": {"cache_creation": {"ephemeral_1h_input_tokens": "4"}}},
                (
                    "usage.cache_creation.ephemeral_1h_input_tokens:"
                    " this is not a whole number of tokens"
                ),
            ),
            ({"usage": {"cache_creation": 7}}, "usage.cache_creation: this is not an object"),
            (
                {"usage": {"input_tokens": 10**40}},
                "usage.input_tokens: more tokens than any prompt has",
            ),
            ({"usage": []}, "usage: this is not an object"),
            ({"response": {"usage": 7}}, "response.usage: this is not an object"),
            ({"response": "ok"}, "response: this is not an object"),
            ({"output_tokens": -3}, "output_tokens: -3 is negative"),
        ],
    )
    def test_wrong_usage_is_refused(self, more: dict[str, Any], what: str) -> None:
        """Negative, broken and immense counts are named with their path."""
        with pytest.raises(InputError) as caught:
            one(**more)
        assert str(caught.value) == what

    def test_a_response_outranks_a_bare_usage(self) -> None:
        """Where both are given the response is the record; without usage the bare one is."""
        bare = {"input_tokens": 1}
        assert one(response={"usage": {"input_tokens": 2}}, usage=bare).recorded == Usage(
            uncached=2
        )
        assert one(response={"id": "msg"}, usage=bare).recorded == Usage(uncached=1)
        assert one(response=None).recorded is None

    @pytest.mark.parametrize(
        ("response", "failed"),
        [
            ({"type": "error", "error": {"type": "overloaded_error"}}, True),
            ({"error": {"type": "overloaded_error"}}, True),
            ({"type": "message", "error": None}, False),
            ({}, False),
        ],
    )
    def test_an_error_is_a_failed_call(self, response: dict[str, Any], failed: bool) -> None:
        """A recorded error was sent, and answered nothing."""
        assert one(response=response).failed is failed

    def test_recorded_usage_makes_the_length(self) -> None:
        """A prompt is as long as it was billed for, however it is counted."""
        used = {"input_tokens": 7, "cache_read_input_tokens": 3}
        workload = taken(line(usage=used))
        assert workload.prompt_tokens(workload.calls[0]) == 10
        assert workload.tokens_from == "usage"
        assert workload.calls[0].output == 0

    @pytest.mark.parametrize("source", ["counted", "estimated"])
    def test_the_counter_says_what_its_counts_are(self, source: Any) -> None:
        """Without usage the lengths are the counter's, by its own word."""
        workload = taken(line(), counter=Letters(source=source))
        assert workload.tokens_from == source


class TestBeside:
    """What stands beside a prompt."""

    def test_everything_is_optional(self) -> None:
        """A time and a request are enough, null is nothing; the defaults are the contract's."""
        keys = ("id", "session", "label", "workspace", "platform", "surface")
        for call in (one(), one(**dict.fromkeys(keys)), one(first_token_after=None)):
            assert (call.id, call.session, call.label, call.workspace) == (None,) * 4
            assert call.tariff == ("claude-opus-5-5", "anthropic", "messages", "standard", "")
            assert (call.first_token_after, call.output, call.marks) == (1.0, 0, ())

    def test_everything_is_kept(self) -> None:
        """What a line says is in its call."""
        call = one(
            id="i", session="s", label="l", workspace="w", platform="bedrock", surface="batch",
            first_token_after=2.5, output_tokens=7, usage={"output_tokens": 9},
        )  # fmt: skip
        assert (call.id, call.session, call.label, call.workspace) == ("i", "s", "l", "w")
        assert call.tariff[1:3] == ("bedrock", "batch")
        assert (call.first_token_after, call.output) == (2.5, 7)

    def test_output_is_what_was_recorded(self) -> None:
        """Without an expectation the output is the response's."""
        assert one(usage={"output_tokens": 9}).output == 9

    def test_unknown_keys_are_ignored(self) -> None:
        """A line may say more than is read, in whatever form."""
        more = {"trace": {"a": [1, None]}, "": "", "é": "\U0001f600"}
        assert one(**more) == one()

    @pytest.mark.parametrize(
        ("more", "what"),
        [
            ({"id": 7}, "id: this is not text"),
            ({"label": ["a"]}, "label: this is not text"),
            (
                {"platform": "azure"},
                'platform: "azure" is not anthropic, aws, bedrock, google or foundry',
            ),
            (
                {"platform": "x\ny"},
                'platform: "x\\ny" is not anthropic, aws, bedrock, google or foundry',
            ),
            ({"surface": {}}, "surface: {} is not messages or batch"),
            ({"first_token_after": -1}, "first_token_after: -1 is negative"),
            ({"first_token_after": True}, "first_token_after: this is not a number"),
            (
                {"request": None},
                "request: missing; a call is a request, or blocks in the digest form",
            ),
            ({"request": 7}, "request: expected an object, found a number"),
            ({"request": {"model": "m"}}, "request.messages: missing; a body has messages"),
            (
                {"request": request("a", "b") | {"messages": [{"role": "user"}, {"role": 7}]}},
                'request.messages[1].role: "7" is not user, assistant or system',
            ),
            (
                {"request": None, "extends": "x", "model": "m"},
                'extends: "x" is not the id of an earlier line',
            ),
        ],
    )
    def test_a_fault_has_its_path(self, more: dict[str, Any], what: str) -> None:
        """The path leads from the outside of the line to what is wrong."""
        with pytest.raises(InputError) as caught:
            one(**more)
        assert str(caught.value) == what


class TestForms:
    """Recorded, digest and planned lines in one file."""

    def test_all_three_make_one_workload(self) -> None:
        """Calls of every form stand in one order of time and one tree."""
        digest = {
            "at": 1800,
            "model": "m",
            "blocks": [{"digest": "a", "tokens": 3, "level": "system"}],
        }
        plan = {"request": request("Hi"), "calls_per_hour": 4, "hours": 1, "arrivals": "steady"}
        workload = taken(digest, plan, line(at=900))
        assert len(workload) == 6
        assert [call.at for call in workload] == sorted(call.at for call in workload)
        assert len({call.tip for call in workload}) == 2
        workload.tree.check()

    def test_a_digest_line_may_extend_an_earlier_line_only(self) -> None:
        """Lines that extend each other in a circle have no first one."""
        around = [
            {"at": 0, "id": "a", "extends": "b", "model": "m"},
            {"at": 1, "id": "b", "extends": "a", "model": "m"},
        ]
        with pytest.raises(InputError, match=r'^extends: "b" is not the id of an earlier line$'):
            taken(*around)

    def test_another_model_stands_in_for_all_forms(self) -> None:
        """``model`` replays every line as if sent to another model, usage not believed."""
        digest = {
            "at": 1,
            "model": "m",
            "blocks": [{"digest": "a", "tokens": 3, "level": "system"}],
        }
        plan = {"request": request("Hi"), "calls_per_hour": 1, "arrivals": "steady", "hours": 1}
        recorded = line(usage={"input_tokens": 9999})
        workload = taken(digest, plan, recorded, model="claude-sonnet-5-5")
        assert {call.tariff.model for call in workload} == {"claude-sonnet-5-5"}
        assert workload.tokens_from == "counted"
        assert max(workload.prompt_tokens(call) for call in workload) < 1000

    def test_half_a_prompt_is_counted_and_left_out(self) -> None:
        """Bodies that continue a thread make no call, and a note says how many there were."""
        workload = taken(line(), line(request=request("Hi", thread={"type": "continue"})))
        assert len(workload) == 1
        assert any(note.endswith("left out: 1") for note in workload.notes)

    def test_rounds_come_with_the_call(self) -> None:
        """Where a server tool answered a call is in the call, though a later line shows it."""
        answer = {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            ],
        }
        later = request("Search.")
        later["messages"].append(answer)
        workload = taken(line(at=1, request=later), line(at=0, request=request("Search.")))
        first, second = workload
        assert first.rounds == (second.tip,)
        assert second.rounds == ()

    def test_a_call_keeps_its_marks(self) -> None:
        """Breakpoints and the automatic mark are in the call as it was sent."""
        body = request("Hi", cache_control={"type": "ephemeral", "ttl": "1h"})
        call = one(request=body)
        assert [tuple(mark) for mark in call.marks] == [(call.tip, Lifetime.ONE_HOUR)]
        assert call.automatic is Lifetime.ONE_HOUR

    def test_ten_thousand_marks_are_read(self) -> None:
        """Too many marks are the service's to refuse; reading them takes no time."""
        marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
        body = request("Hi")
        body["messages"][0]["content"] = [marked] * 10_000
        assert len(one(request=body).marks) == 10_000

    def test_an_unknown_model_is_read(self) -> None:
        """A model nobody knows has a structure; what it costs is asked elsewhere."""
        call = one(request=request("Hi", model="claude-opus-99"))
        assert call.tariff.model == "claude-opus-99"

    @pytest.mark.parametrize("place", ["thinking", "tools", "messages", "metadata"])
    @pytest.mark.parametrize("form", ["at", "calls_per_hour"])
    @pytest.mark.parametrize("depth", [400, 900, 990, 50_000])
    def test_nesting_is_read_or_refused(self, place: str, form: str, depth: int) -> None:
        """However deep a body is nested, and wherever, it is a call or one clear line."""
        deep = '{"a":' * depth + "1" + "}" * depth
        body = request("Hi", **{place: ["?"]} if place != "messages" else {})
        if place == "messages":
            use = {"type": "tool_use", "id": "t", "name": "n", "input": ["?"]}
            body["messages"].append({"role": "assistant", "content": [use]})
        if place == "tools":
            body["tools"] = [{"name": "t", "input_schema": ["?"]}]
        raw = json.dumps({form: 1, "request": body}).replace('["?"]', deep)
        intake = Intake(Letters())
        try:
            intake.add(raw.encode())
            intake.workload()
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 -- reading may also succeed

    def test_a_bad_line_adds_no_call(self) -> None:
        """After a line that fails the next one is as if it had not been there."""
        intake = Intake(Letters())
        body = request("Hi", cache_control={"type": "ephemeral", "ttl": "2h"})
        with pytest.raises(InputError):
            intake.add(json.dumps(line(request=body)).encode())
        intake.add(json.dumps(line()).encode())
        (call,) = intake.workload()
        assert call.number == 0


def grown(turns: int, size: int) -> int:
    """Return the bytes a log of one conversation leaves, each turn logged with all before."""
    tracemalloc.start()
    try:
        intake = Intake(Letters())
        said: list[str] = []
        for turn in range(turns):
            said.append(f"{turn} " + "x" * size)
            intake.add(json.dumps(line(at=turn, request=request(*said))).encode())
            said.append(f"answer {turn} " + "y" * size)
        workload = intake.workload()
        del intake, said
        left, _ = tracemalloc.get_traced_memory()
        assert len(workload) == turns
        return left
    finally:
        tracemalloc.stop()


def test_memory_grows_with_blocks_never_seen() -> None:
    """Twice the turns of a conversation leave twice the memory, not four times."""
    # Two hundred turns logged in full are forty thousand messages and 40 MB of text, four
    # hundred of which are different. What is left is some hundred bytes for each of those
    # and for each call, and none of the text.
    half, whole = grown(100, 1000), grown(200, 1000)
    assert whole < 2.2 * half
    assert whole < 200 * 4000


class TestLacks:
    """``lacks``: what the source of a line does not say."""

    def test_words_are_kept_once_and_sorted(self) -> None:
        """A call knows what its source left unsaid."""
        assert one(lacks=["tools", "marks", "tools"]).lacks == ("marks", "tools")

    def test_left_out_is_nothing(self) -> None:
        """A line that lacks nothing says nothing of it."""
        assert one().lacks == one(lacks=[]).lacks == ()

    @pytest.mark.parametrize("given_", ["marks", ["mark"], [1], {"marks": True}])
    def test_other_words_are_refused(self, given_: Any) -> None:
        """A word that nobody would heed is an error, with its place."""
        with pytest.raises(InputError, match="lacks"):
            one(lacks=given_)


class TestAnswers:
    """``answers``: what came back stands in a line of its own."""

    ANSWER: ClassVar[dict[str, Any]] = {
        "answers": "a",
        "response": {"usage": {"input_tokens": 3, "output_tokens": 7}},
    }

    @pytest.mark.parametrize("first", [True, False])
    def test_it_is_joined_to_its_call(self, first: bool) -> None:
        """It may stand before its call or after it."""
        lines = [line(id="a"), line(id="b", at=1)]
        lines.insert(0 if first else 2, self.ANSWER)
        one, other = taken(*lines)
        assert (one.recorded, one.output) == (Usage(uncached=3, output=7), 7)
        assert other.recorded is None

    def test_an_error_is_one(self) -> None:
        """A call that came to nothing has failed."""
        (call,) = taken(line(id="a"), {"answers": "a", "response": {"type": "error"}})
        assert call.failed
        assert call.recorded is None

    def test_what_a_call_says_itself_stays(self) -> None:
        """Its own line's usage outranks another's."""
        usage = {"input_tokens": 1}
        (call,) = taken(line(id="a", usage=usage), self.ANSWER)
        assert call.recorded == Usage(uncached=1)

    def test_answers_to_nobody_are_counted(self) -> None:
        """What belongs to no call here is left out, and that is said."""
        notes = taken(line(id="b"), self.ANSWER).notes
        assert notes == ("answers to calls that are not there, left out: 1",)

    @pytest.mark.parametrize(
        "wrong", [{"answers": 1}, {"response": None}, {"response": 5}, {"response": {"usage": 5}}]
    )
    def test_a_wrong_one_is_an_error(self, wrong: dict[str, Any]) -> None:
        """It names what is wrong with it."""
        made = {key: part for key, part in (self.ANSWER | wrong).items() if part is not None}
        with pytest.raises(InputError, match=r"answers|response"):
            taken(made)


def test_a_failed_call_hides_no_counts() -> None:
    """Lengths are the service's own where every call that it answered says so."""
    usage = {"input_tokens": 40, "output_tokens": 1}
    answered = line(usage=usage)
    failed = line(at=1, response={"type": "error"})
    assert taken(answered, failed).tokens_from == "usage"
    assert taken(answered, line(at=1)).tokens_from != "usage"
    assert taken(failed).tokens_from != "usage"


def test_a_failed_call_to_nobody_is_left_out() -> None:
    """A mistyped model cost nothing, and must not make what everything cost unknown."""
    mistyped = {"model": "claude-opsu-5-5", "messages": [{"role": "user", "content": "Hi"}]}
    wrong = line(at=1, request=mistyped, response={"type": "error"})
    found = taken(line(), wrong)
    assert [call.tariff.model for call in found] == ["claude-opus-5-5"]
    assert found.notes == ("failed calls to models that nobody knows, left out: 1",)
    assert len(taken(line(), line(at=1, request=mistyped))) == 2
    assert len(taken(wrong, model="claude-opus-5-5")) == 1
