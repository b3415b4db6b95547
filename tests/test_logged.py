"""A call as logs keep it: what is passed on of a body, an answer and a time, and what is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheplan.billing import Answer
from cacheplan.errors import InputError
from cacheplan.io.logged import asked, heard, moment, named, replied, unwrapped, within
from cacheplan.io.tally import Tally

BODY: Final = {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Lit?"}]}
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=9,
)


class TestNames:
    """Which models are Claude's, and what the service is told."""

    @pytest.mark.parametrize(
        ("model", "found"),
        [
            ("claude-opus-5-5", ("claude-opus-5-5", None)),
            ("claude-of-next-year", ("claude-of-next-year", None)),
            ("anthropic/claude-opus-5-5", ("claude-opus-5-5", None)),
            ("openrouter/anthropic/claude-opus-5-5", ("claude-opus-5-5", None)),
            ("vertex_ai/claude-opus-4-6@20260205", ("claude-opus-4-6@20260205", "google")),
            ("eu.anthropic.claude-opus-4-6-v1:0", ("eu.anthropic.claude-opus-4-6-v1:0", "bedrock")),
            ("bedrock/eu.anthropic.claude-x", ("eu.anthropic.claude-x", "bedrock")),
            ("azure_ai/claude-opus-5-5", ("claude-opus-5-5", "foundry")),
            ("gpt-5.5", None),
            ("", None),
        ],
    )
    def test_names(self, model: str, found: tuple[str, str | None] | None) -> None:
        """A gateway's prefix is taken off, and tells the platform where it names one."""
        assert named(model) == found

    @given(st.text())
    def test_anything(self, model: str) -> None:
        """What comes of a name is its end, unless it is none of ours."""
        found = named(model)
        assert found is None or model.endswith(found[0])


class TestBodies:
    """What is passed on of a body."""

    @given(content=JSON, spaced=st.booleans())
    def test_untouched(self, content: Any, *, spaced: bool) -> None:
        """A body that holds nothing to be dropped is passed on byte by byte, on one line."""
        body = BODY | {"messages": [{"role": "user", "content": content}]}
        raw = json.dumps(body, separators=None if spaced else (",", ":")).encode()
        tally = Tally()
        sent = asked(raw, tally)
        assert sent is not None
        assert bytes(sent.body) == raw
        assert not tally.notes()

    @given(JSON, st.integers(0, 4))
    def test_one_line(self, content: Any, indent: int) -> None:
        """However a body was written, it is one line and says the same."""
        body = BODY | {"messages": content}
        sent = asked(json.dumps(body, indent=indent).encode(), Tally())
        assert sent is not None
        assert b"\n" not in bytes(sent.body)
        assert json.loads(bytes(sent.body)) == body

    def test_dropped(self) -> None:
        """What decides no prefix and may name people or hold keys is dropped."""
        servers = [{"type": "url", "name": "oil", "authorization_token": "sk-mcp"}, "odd"]
        beside = {"x-api-key": "sk", "Authorization": "Bearer sk", "user_email": "ada", "ms": 12}
        more = {"metadata": {"user_id": "ada"}, "mcp_servers": servers} | beside
        sent = asked(json.dumps(BODY | more).encode(), Tally())
        assert sent is not None
        kept = [{"type": "url", "name": "oil"}, "odd"]
        assert json.loads(bytes(sent.body)) == BODY | {"mcp_servers": kept}

    def test_the_model_beside_it(self) -> None:
        """A body that names no model is given the one that stands beside it."""
        raw = json.dumps({"messages": [], "anthropic_version": "bedrock-2023-05-31"}).encode()
        sent = asked(raw, Tally(), model="eu.anthropic.claude-opus-5-5-v1:0")
        assert sent is not None
        assert sent.platform == "bedrock"
        assert json.loads(bytes(sent.body))["model"] == "eu.anthropic.claude-opus-5-5-v1:0"

    @pytest.mark.parametrize(
        ("body", "note"),
        [
            (BODY | {"model": "gpt-5.5"}, "calls of other providers, left out: 1"),
            ({"model": "claude-opus-5-5"}, "calls whose body was not exported, left out: 1"),
            ({}, "calls whose body was not exported, left out: 1"),
        ],
    )
    def test_none_of_ours(self, body: dict[str, Any], note: str) -> None:
        """What is no call of ours is counted as what it is."""
        tally = Tally()
        assert asked(json.dumps(body).encode(), tally) is None
        assert tally.notes() == (note,)

    def test_bytes_that_are_no_text(self) -> None:
        """A body that is no UTF-8 is refused, since nothing can be made of it later."""
        with pytest.raises(InputError, match="not UTF-8"):
            asked(json.dumps(BODY).encode().replace(b"Lit", b"\xff\xfe"), Tally())

    @given(JSON)
    def test_unwrapped(self, found: Any) -> None:
        """JSON that was written as text once more is the JSON."""
        raw = json.dumps(found).encode()
        again = json.dumps(raw.decode()).encode()
        assert unwrapped(again) == raw
        if not isinstance(found, str) and found is not None:
            assert unwrapped(raw) == raw


class TestAnswers:
    """What is passed on of an answer."""

    @given(st.binary(max_size=200), st.sampled_from(["", "text/event-stream", "text/html"]))
    def test_anything(self, content: bytes, kind: str) -> None:
        """Nothing that came back breaks anything; what says nothing is counted or empty."""
        answer = heard(content, Tally(), kind)
        assert replied(answer) is None or answer.error or answer.counters or answer.message_id

    @given(JSON)
    def test_any_json(self, found: Any) -> None:
        """Nor does an answer of another shape."""
        reply = replied(heard(json.dumps(found).encode(), Tally()))
        assert reply is None or isinstance(found, dict)

    def test_messages_of_errors(self) -> None:
        """The kind of an error is kept, and its words are not."""
        answer = Answer()
        error = {"type": "authentication_error", "message": "invalid x-api-key: sk-ant"}
        answer.take({"type": "error", "error": error})
        assert replied(answer) == {"type": "error", "error": {"type": "authentication_error"}}
        assert replied(Answer(), 503) == {"type": "error", "error": {"type": "http_503"}}
        assert replied(Answer(), 200) is None


class TestTimes:
    """When a call was sent."""

    @given(
        st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001 -- the zone follows
        st.none() | st.integers(-720, 720),
    )
    def test_text(self, when: datetime, minutes: int | None) -> None:
        """Text is that moment, in its zone; without one it is UTC."""
        zone = None if minutes is None else timezone(timedelta(minutes=minutes))
        found = moment(when.replace(tzinfo=zone).isoformat())
        assert isinstance(found, str)
        assert datetime.fromisoformat(found) == when.replace(tzinfo=zone or UTC)

    @given(st.integers(10**8, 10**10), st.sampled_from([1, 1000, 10**6, 10**9]))
    def test_numbers(self, seconds: int, parts: int) -> None:
        """A number that would lie thousands of years ahead was meant in parts of seconds."""
        found = moment(seconds * parts)
        assert isinstance(found, float)
        if parts == 1 or seconds * parts >= 10**11:
            assert any(
                found == pytest.approx(seconds * parts / 1000**step, rel=1e-15) for step in range(4)
            )
            assert abs(found) < 10**11

    @given(st.integers(10**8, 10**10), st.sampled_from([1, 1000, 10**6, 10**9]))
    @example(1_790_121_512, 1000)
    def test_numbers_as_text(self, seconds: int, parts: int) -> None:
        """A cell of a table means the number that it is, whatever day its digits look like."""
        assert moment(str(seconds * parts)) == moment(seconds * parts)
        assert moment("20261121") == "2026-11-21T00:00:00+00:00"

    @pytest.mark.parametrize("found", ["", "dusk", "nan", "-inf", 10**40, None, True, [], 1e308])
    def test_none(self, found: Any) -> None:
        """What is no time is refused in a sentence."""
        with pytest.raises(InputError):
            moment(found)


def test_within() -> None:
    """What is wrong with a member says which it is, from the outside in."""

    def fail() -> None:
        with within("request", "text"):
            raise InputError("odd", ("model",))

    with pytest.raises(InputError, match=r"^request\.text\.model: odd$"):
        fail()
