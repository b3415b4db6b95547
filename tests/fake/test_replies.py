"""What the imitation says when nobody told it what to say."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import jsonschema
import pydantic
from hypothesis import given
from hypothesis import strategies as st
from talk import MODEL, body

from cacheplan.io.fake.replies import Reply, Script, blocks_of
from cacheplan.testing import FakeAnthropic

names = st.text("abc", min_size=1, max_size=3)
leaves = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("boolean", "null", "integer", "string")]),
    st.builds(lambda least: {"type": "integer", "minimum": least}, st.integers(-9, 9)),
    st.builds(lambda least: {"type": "string", "minLength": least}, st.integers(0, 9)),
    st.builds(lambda picked: {"enum": picked}, st.lists(names, min_size=1, max_size=3)),
    st.builds(lambda value: {"const": value}, st.none() | st.integers() | names),
    st.just({"type": ["string", "null"]}),
    st.just({"$ref": "#/$defs/city"}),
)


def _object(parts: dict[str, Any], needed: int) -> dict[str, Any]:
    """Make the schema of an object that needs some of its members."""
    return {"type": "object", "properties": parts, "required": list(parts)[:needed]}


schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_object, st.dictionaries(names, inner, max_size=3), st.integers(0, 3)),
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least},
            inner,
            st.integers(0, 2),
        ),
        st.builds(lambda choices: {"anyOf": choices}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=8,
)


def wanted(schema: dict[str, Any]) -> dict[str, Any]:
    """Ask for an answer of a schema."""
    return {"format": {"type": "json_schema", "schema": schema}}


def echoed(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is said to a body when nothing was scripted."""
    return blocks_of(Script().next(), asked)


@given(st.dictionaries(names, schemas, max_size=3))
def test_a_format_is_filled(parts: dict[str, Any]) -> None:
    """Law: where a body asks for JSON of a schema, the answer is JSON of that schema."""
    city = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {**_object(parts, 3), "$defs": {"city": city}}
    (told,) = echoed(
        body("Hi", output_config={"format": {"type": "json_schema", "schema": schema}})
    )
    jsonschema.validate(json.loads(told["text"]), schema)
    (called,) = echoed(
        body("Hi", tools=[{"name": "t", "input_schema": schema}], tool_choice={"type": "any"})
    )
    jsonschema.validate(called["input"], schema)


class Answer(pydantic.BaseModel):
    """What a program may want to have answered."""

    day: pydantic.AwareDatetime
    tags: list[str]
    twin: Answer | None


def test_parsed_answers() -> None:
    """The SDK's own ``parse`` gets an object of the class it asked for."""
    through = anthropic.DefaultHttpxClient(transport=FakeAnthropic().transport())
    with anthropic.Anthropic(http_client=through, api_key="any") as client:
        parsed = client.messages.parse(
            model=MODEL,
            max_tokens=500,
            messages=[{"role": "user", "content": "When?"}],
            output_format=Answer,
        ).parsed_output
    assert isinstance(parsed, Answer)
    assert parsed.day.year == 2026


def test_a_schema_without_a_bottom() -> None:
    """A schema that can only be filled by itself ends after all."""
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    (told,) = echoed(
        body("Hi", output_config={"format": {"type": "json_schema", "schema": schema}})
    )
    assert told["text"].startswith('{"next":{"next":')


def test_replies_wait_their_turn() -> None:
    """Each reply is said as often as it was to be, in order; the last may be for good."""
    script = Script()
    script.add(Reply(content="a", times=2))
    script.add(Reply(content="b"))
    script.add(Reply(content="c", times=None))
    assert [script.next().content for _ in range(6)] == ["a", "a", "b", "c", "c", "c"]


def test_the_question_comes_back() -> None:
    """The newest text is said back, cut where it is long; without one, it says so."""
    assert echoed(body("Hi", "Yes", "Why?")) == [{"type": "text", "text": "You said: Why?"}]
    assert echoed(body("x" * 500))[0]["text"] == "You said: " + "x" * 200
    picture = [{"type": "image", "source": {"type": "url", "url": "https://example.com/a"}}]
    silent = body("") | {"messages": [{"role": "user", "content": picture}]}
    assert echoed(silent)[0]["text"] == "You said: nothing"
