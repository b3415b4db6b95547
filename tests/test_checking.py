"""One body alone: every refusal, and every mark that does nothing."""

from __future__ import annotations

from typing import Any, Final

import pytest
from bodies import bodies
from hypothesis import given
from small import Characters, message, request, tool, workload

from cacheplan.assumptions import Assumptions
from cacheplan.checking import check
from cacheplan.conversations import unsupported
from cacheplan.errors import InputError
from cacheplan.facts import BREAKPOINTS
from cacheplan.finding import SEVERITIES, Finding
from cacheplan.io.fake.asking import sensible, shaped
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.prompt import Level, Place
from cacheplan.validity import validate

MARK: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
LONG = "You answer questions about the shop. " * 60


def checked(body: dict[str, Any], doubt: int = 0, **options: Any) -> list[Finding]:
    """Check a body, a character a token."""
    return check(body, counter=Characters(doubt), sheet=Sheet.default(), **options)


def text(words: str = "words", **fields: Any) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": words, **fields}


def asked(*blocks: dict[str, Any], role: str = "user", **fields: Any) -> dict[str, Any]:
    """Return a body with one message of these blocks."""
    return request({"role": role, "content": list(blocks)}, **fields)


def frame() -> tuple[int, int]:
    """Return what the service adds to a lone text, and what that may be off by."""
    calls = workload([{"at": 0, "request": asked(text("x"))}])
    tip = calls.calls[0].tip
    return calls.tree.tokens[tip] - 1, calls.tree.doubt[tip]


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "s", "cache_control": MARK}
CALLER = {"caller": {"type": "code_execution_20260120", "tool_id": "s"}}
USE = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
OLD_BEDROCK = {"model": "claude-opus-4-1"}

#: By rule: a body that breaks it, and a part of what the service says.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "number": (asked(*[text(cache_control=MARK)] * 5), "A maximum of 4 blocks"),
    "number with the automatic": (
        asked(*[text(cache_control=MARK)] * 4, cache_control=MARK),
        "Found 5",
    ),
    "order": (
        asked(text(cache_control=HOUR), system=[text(cache_control=MARK)]),
        "must not come after a ttl='5m'",
    ),
    "order of the automatic": (
        asked(text(), system=[text(cache_control=MARK)], cache_control=HOUR),
        "must not come after a ttl='5m'",
    ),
    "mismatch": (asked(text(cache_control=HOUR), cache_control=MARK), "must have matching TTLs"),
    "lifetime": (asked(text(cache_control={**MARK, "ttl": "2h"})), "Input should be '5m' or '1h'"),
    "lifetime of the automatic": (
        asked(text(), cache_control={**MARK, "ttl": "2h"}),
        "Input should be '5m' or '1h'",
    ),
    "type": (asked(text(cache_control={"type": "persistent"})), "expected tags: 'ephemeral'"),
    "no type": (asked(text(cache_control={})), "discriminator 'type'"),
    "no object": (asked(text(cache_control="ephemeral")), "valid dictionary"),
    "blank": (asked(text("", cache_control=MARK)), "cannot be set for empty text blocks"),
    "blank system": (
        asked(text(), system=[text("", cache_control=MARK)]),
        "system.0: cache_control cannot be set for empty text blocks",
    ),
    "thinking": (asked(THOUGHT, role="assistant"), "Extra inputs are not permitted"),
    "deferred": (
        asked(text(), tools=[{**tool("x"), "defer_loading": True, "cache_control": MARK}]),
        "defer_loading=true",
    ),
    "called": (
        request(
            {"role": "assistant", "content": [{**USE, **CALLER}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t", "cache_control": MARK}],
            },
        ),
        "called by code execution",
    ),
    "inner": (
        asked(
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [text(cache_control=MARK), text()],
            }
        ),
        "cache_control is not supported at",
    ),
    "message": (
        request({"role": "user", "content": "Hi", "cache_control": MARK}),
        "Extra inputs are not permitted",
    ),
    "prewarm": (asked(text(), max_tokens=0, stream=True), "max_tokens: 0"),
}


class TestRefusals:
    """What the service refuses is an error, in its words."""

    @pytest.mark.parametrize("rule", REFUSED)
    def test_each(self, rule: str) -> None:
        """Each rule's breach is found, as errors and nothing else."""
        body, words = REFUSED[rule]
        found = checked(body)
        assert any(words in finding.message for finding in found)
        assert {finding.severity for finding in found} == {"error"}

    def test_platforms(self) -> None:
        """What an older integration does not know is refused there alone."""
        body = asked(text(LONG), cache_control=MARK)
        assert not any(one.severity == "error" for one in checked(body))
        old = checked({**body, **OLD_BEDROCK}, platform="bedrock")
        assert [finding.rule for finding in old] == ["platform"]

    def test_batch(self) -> None:
        """What a batch does not take is refused in a batch alone."""
        body = asked(text(LONG, cache_control=MARK), stream=True)
        assert checked(body) == []
        assert [finding.rule for finding in checked(body, surface="batch")] == ["batch"]

    def test_four_marks_are_taken(self) -> None:
        """As many marks as there are slots are no fault."""
        body = asked(*[text(LONG, cache_control=MARK)] * BREAKPOINTS)
        assert checked(body) == []

    def test_unknown_platform(self) -> None:
        """A platform that nobody knows is said to be one."""
        with pytest.raises(InputError, match="mars"):
            checked(asked(text(LONG, cache_control=MARK)), platform="mars")

    @pytest.mark.parametrize(
        "rule", ["number", "order", "mismatch", "blank", "blank system", "thinking"]
    )
    def test_replay_says_the_same(self, rule: str) -> None:
        """A call that is replayed is refused in the words that the check gives."""
        body, _ = REFUSED[rule]
        served = list(replay(workload([{"at": 0, "request": body}]), _as_sent, Sheet.default()))
        assert served[0].refused == checked(body)[0].message

    @given(body=bodies(marked=True))
    def test_errors_are_the_faults(self, body: dict[str, Any]) -> None:
        """On any body the errors are the service's rules, and the first is what it says."""
        faults = [fault.message for fault in validate(body)]
        found = checked(body)
        errors = [finding.message for finding in found if finding.severity == "error"]
        assert [one for one in errors if one in faults] == faults
        refusal = (
            shaped(body, strict=False)
            or next(unsupported(body), None)
            or sensible(body, "anthropic", "messages", strict=True)
        )
        assert errors[:1] == ([refusal.message] if refusal else [])
        if errors:
            assert len(found) == len(errors)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (request(), "messages: at least one message is required"),
            (request(message("user", "Hi"), {"role": "assistant", "content": [USE]}), "ids were"),
            (asked({"type": "tool_result", "tool_use_id": "t", "content": "x"}), "unexpected"),
            (asked(text(), tools=[tool("a"), tool("a", "again")]), "names must be unique"),
            (asked(text(), model="claude-haiku-4-5", max_tokens=10**6), "max_tokens: 1000000 >"),
            (request({"role": "user", "content": ""}), "must have non-empty content"),
        ],
    )
    def test_what_is_not_about_marks(self, body: dict[str, Any], words: str) -> None:
        """A body without marks is refused as well: for its shape, its tools, its talk."""
        (found,) = checked(body)
        assert found.severity == "error"
        assert words in found.message

    @pytest.mark.parametrize(
        "body",
        [
            {"messages": [message("user", "Hi")]},
            asked(
                {"type": "tool_result", "tool_use_id": "t", "content": "x"},
                thread={"type": "continue", "previous_message_id": "m"},
            ),
            asked(text(), a_member_of_tomorrow=1),
            request(message("assistant", "Hi")),
        ],
    )
    def test_where_nobody_can_be_sure(self, body: dict[str, Any]) -> None:
        """What a client fills in, a thread holds or nobody here knows is no refusal."""
        assert [finding.rule for finding in checked(body)] == ["no-mark"]


def _as_sent(call: Any) -> Any:
    return call.marks


class TestWastedMarks:
    """A mark that does nothing is pointed at, and a doubtful one doubted."""

    def test_below_the_minimum(self) -> None:
        """A prefix that is too short writes nothing, so its mark is wasted."""
        (found,) = checked(asked(text("x" * 100, cache_control=MARK)))
        assert (found.rule, found.severity) == ("below-minimum", "warning")
        assert found.place == Place(level=Level.MESSAGES, index=0, content=0)
        tokens, doubt = frame()
        assert found.message == (
            f"this mark does nothing: {100 + tokens} ± {doubt} tokens up to here, and 1,024 needed"
        )

    @pytest.mark.parametrize(
        ("tokens", "doubt", "rules"),
        [
            (1_020, 3, ["below-minimum"]),
            (1_027, 3, []),
            (1_000, 23, ["below-minimum"]),
            (1_000, 24, ["near-minimum"]),
            (1_074, 51, ["near-minimum"]),
            (1_074, 50, []),
        ],
    )
    def test_three_answers(self, tokens: int, doubt: int, rules: list[str]) -> None:
        """Long enough, too short, or too close to call by what the count may be off."""
        around, unsure = frame()
        body = asked(text("x" * (tokens - around), cache_control=MARK))
        found = checked(body, doubt - unsure)
        assert [finding.rule for finding in found] == rules

    def test_too_close_to_call_is_a_note(self) -> None:
        """A doubt is no warning, and is said as a doubt."""
        (found,) = checked(asked(text("x" * 1_000, cache_control=MARK)), 50)
        assert found.severity == "note"
        assert found.message.startswith("too close to call")

    def test_only_the_short_ones(self) -> None:
        """Of several marks those are named whose own prefix is too short."""
        body = asked(text(LONG, cache_control=MARK), system=[text("Hi", cache_control=MARK)])
        (found,) = checked(body)
        assert str(found.place) == "system[0]"

    def test_automatic_mark(self) -> None:
        """The automatic mark is judged where it lands."""
        (found,) = checked(asked(text("a"), text("b"), text(" "), cache_control=MARK))
        assert str(found.place) == "messages[0].content[1]"

    def test_minimum_of_the_platform(self) -> None:
        """The minimum is that of the platform, and of the caller where he states one."""
        body = asked(text("x" * 3_000, cache_control=MARK), model="claude-opus-4-7")
        assert checked(body) == []
        assert [one.rule for one in checked(body, platform="bedrock")] == ["below-minimum"]
        assume = Assumptions(minimums=(("claude-opus-4-7", 4_096),))
        assert [one.rule for one in checked(body, assume=assume)] == ["below-minimum"]

    def test_unknown_minimum(self) -> None:
        """Where nobody states a minimum, the marks cannot be judged."""
        (found,) = checked(asked(text(LONG, cache_control=MARK), model="a-new-one"))
        assert (found.rule, found.severity) == ("unknown-minimum", "note")
        assert "a-new-one" in found.message

    def test_no_mark(self) -> None:
        """A body without any mark is noted to be one."""
        (found,) = checked(asked(text(LONG)))
        assert (found.rule, found.severity) == ("no-mark", "note")

    def test_duplicate_mark(self) -> None:
        """An automatic mark on a marked block is harmless, and takes a slot."""
        (found,) = checked(asked(text(LONG, cache_control=MARK), cache_control=MARK))
        assert (found.rule, found.severity) == ("duplicate-mark", "note")
        assert str(found.place) == "messages[0].content[0]"
        assert "harmless" in found.message

    def test_prewarming(self) -> None:
        """The automatic mark of a call that only fills the cache lands on its filler."""
        body = asked(text(LONG), max_tokens=0, cache_control=MARK)
        assert [finding.rule for finding in checked(body)] == ["prewarm-automatic"]


class TestVolatilePrefix:
    """A marked prefix that looks as if it were new on every call is warned of."""

    UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"

    @pytest.mark.parametrize(
        ("part", "name"),
        [
            (UUID, "UUID"),
            ("2026-11-21T10:15:00Z", "date and time"),
            ("1790000000", "timestamp"),
            ("req_011CSHoEeqs5C35K2UUqR7Fy", "session or request id"),
        ],
    )
    def test_in_system(self, part: str, name: str) -> None:
        """What it looks like is said, and where it stands."""
        body = asked(text("Hi"), system=[text(f"{part} {LONG}", cache_control=MARK)])
        (found,) = checked(body)
        assert (found.rule, found.severity) == ("volatile-prefix", "warning")
        assert name in found.message
        assert str(found.place) == "system[0]"
        assert "(1 stand there)" in found.message

    def test_in_tools(self) -> None:
        """It is looked for in tools as well, and every mark behind it counts."""
        tools = [{**tool("look", f"{self.UUID} {LONG}"), "cache_control": MARK}]
        body = asked(text("Hi"), tools=tools, cache_control=MARK)
        (found,) = checked(body)
        assert str(found.place) == "tools[0]"
        assert "(2 stand there)" in found.message

    def test_behind_the_last_mark(self) -> None:
        """What no mark covers may change as it likes."""
        system = [text(LONG, cache_control=MARK), text(self.UUID)]
        assert checked(asked(text("Hi"), system=system)) == []

    def test_in_messages(self) -> None:
        """What was said once stays as it is, whatever it holds."""
        body = request(
            message("user", self.UUID), message("assistant", LONG), message("user", "Hi"),
            cache_control=MARK,
        )  # fmt: skip
        assert checked(body) == []

    def test_once_a_block(self) -> None:
        """A block that holds many is named once."""
        system = [text(f"{self.UUID} 1790000000 {LONG}", cache_control=MARK)]
        assert len(checked(asked(text("Hi"), system=system))) == 1


class TestFinding:
    """A finding says what, where and how bad, in a line or as JSON."""

    FOUND = Finding(
        rule="below-minimum",
        severity="warning",
        message="too short",
        place=Place(level=Level.MESSAGES, index=3, content=1),
    )

    def test_line(self) -> None:
        """In a line the gravest comes first and the rule last."""
        assert str(self.FOUND) == ("warning: messages[3].content[1]: too short [below-minimum]")

    def test_json(self) -> None:
        """As JSON the place is structured, so that nobody has to take it apart."""
        assert self.FOUND.to_json() == {
            "code": "",
            "rule": "below-minimum",
            "severity": "warning",
            "confidence": "high",
            "place": {"level": "messages", "index": 3, "content": 1, "inner": None},
            "calls": 0,
            "message": "too short",
            "saving_usd": None,
            "saving_usd_per_day": None,
            "fix": None,
        }

    def test_without_place(self) -> None:
        """What concerns the whole body stands nowhere in it."""
        found = Finding(rule="no-mark", severity="note", message="no mark")
        assert str(found) == "note: no mark [no-mark]"
        assert found.to_json()["place"] is None

    def test_severities(self) -> None:
        """There are three, the gravest first."""
        assert SEVERITIES == ("error", "warning", "note")
