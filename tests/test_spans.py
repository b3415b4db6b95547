"""Spans, whichever way they were written down."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.spans import batches, count, decoded, flat, from_otlp, plain, text, tree

names = st.from_regex(r"[a-z]{1,5}", fullmatch=True)
leaves = st.none() | st.booleans() | st.integers() | st.text()
#: What attributes may be: no empty lists or objects, of which flat names say nothing.
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(names, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


def wrapped(value: Any) -> Any:
    """Write a value as OTLP does."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [wrapped(each) for each in value]}}
    pairs = [{"key": key, "value": wrapped(each)} for key, each in value.items()]
    return {"kvlistValue": {"values": pairs}}


def numbered(value: Any, name: str) -> dict[str, Any]:
    """Write a value as flat attributes."""
    if isinstance(value, dict):
        parts = [(f"{name}.{key}", each) for key, each in value.items()]
    elif isinstance(value, list):
        parts = [(f"{name}.{at}", each) for at, each in enumerate(value)]
    else:
        return {name: value}
    return {key: leaf for each, part in parts for key, leaf in numbered(part, each).items()}


#: One span of a library.
SCOPED = {"scope": {"name": "s"}, "spans": [{}]}


def otlp(**fields: Any) -> bytes:
    """Write one span."""
    return json.dumps({"spanId": "b7", "startTimeUnixNano": "1500000000", **fields}).encode()


@given(values)
def test_values_lose_their_types(value: Any) -> None:
    """What OTLP wraps in its types is what was wrapped, to any depth."""
    assert plain(wrapped(value)) == value


@given(st.dictionaries(names, values, min_size=1) | st.lists(values, min_size=1, max_size=3))
def test_numbered_names_are_read_together(value: Any) -> None:
    """Flat names say the lists and objects that they were made of."""
    assert tree(numbered(value, "a.b") | {"a.bc": 1, "a": 2}, "a.b") == value


def test_lists_with_dotted_names() -> None:
    """A data frame's lists, whose members have dotted names, read the same."""
    flat_names = {"m.0.message.role": "user", "m.0.message.contents.0.message_content.text": "Hi"}
    frame = {"m": [{"message.role": "user", "message.contents": [{"message_content.text": "Hi"}]}]}
    assert tree(flat_names, "m") == tree(frame, "m")
    assert tree({}, "m") is None


def test_the_tenth_comes_after_the_second() -> None:
    """Members are in the order of their numbers, not of their spelling."""
    assert tree({f"m.{at}.x": at for at in (10, 2, 0)}, "m") == [{"x": 0}, {"x": 2}, {"x": 10}]


def test_names_in_each_other() -> None:
    """Where a name is a value and holds others as well, the others count."""
    assert tree({"m.a": 1, "m.a.b": 2}, "m") == tree({"m.a.b": 2, "m.a": 1}, "m")


def test_flat() -> None:
    """Objects become dotted names, lists stay."""
    assert dict(flat({"a": {"b": {"c": 1}, "d": [{"e": 2}]}})) == {"a.b.c": 1, "a.d": [{"e": 2}]}


def test_a_span() -> None:
    """A span is read in the spelling of OTLP's JSON and in that of its definition alike."""
    camel = otlp(
        traceId="a1",
        parentSpanId="c3",
        name="chat",
        status={"code": 2},
        attributes=[{"key": "k", "value": {"intValue": "7"}}],
        events=[{"name": "e", "attributes": [{"key": "x", "value": {"boolValue": True}}]}],
        droppedAttributesCount=1,
    )
    snake = {
        "trace_id": "a1",
        "span_id": "b7",
        "parent_span_id": "c3",
        "name": "chat",
        "start_time_unix_nano": 1_500_000_000,
        "status": {"code": "STATUS_CODE_ERROR", "message": None},
        "attributes": [{"key": "k", "value": {"string_value": None, "int_value": 7}}],
        "events": [{"name": "e", "attributes": [{"key": "x", "value": {"bool_value": True}}]}],
        "dropped_attributes_count": 1,
    }
    span = from_otlp(camel, "scope", {"service.name": "s"})
    assert span == from_otlp(json.dumps(snake).encode(), "scope", {"service.name": "s"})
    assert (span.trace, span.id, span.parent, span.begin) == ("a1", "b7", "c3", 1.5)
    assert (span.said, span.events, span.failed, span.cut) == (
        {"k": 7}, (("e", {"x": True}),), True, True,
    )  # fmt: skip


@pytest.mark.parametrize("nano", [None, 0, "", "soon", -1, "-5", 10**400])
def test_times(nano: Any) -> None:
    """A span without a time that can be is refused at its place."""
    with pytest.raises(InputError) as caught:
        from_otlp(otlp(startTimeUnixNano=nano))
    assert caught.value.path == ("startTimeUnixNano",)


@pytest.mark.parametrize(
    "document",
    [
        {"resourceSpans": [{"resource": {}, "scopeSpans": [SCOPED]}]},
        {"resource_spans": [{"scope_spans": [SCOPED]}]},
        {"resourceSpans": [{"instrumentationLibrarySpans": [SCOPED]}]},
        {"resource": {"attributes": []}, "scopeSpans": [SCOPED]},
    ],
)  # fmt: skip
def test_documents(document: dict[str, Any]) -> None:
    """Exports of every age and spelling hold spans by program and library."""
    found, others = batches(json.dumps(document).encode())
    assert [(scope, resource, len(spans)) for scope, resource, spans in found] == [("s", {}, 1)]
    assert others == 0


def test_what_is_no_span() -> None:
    """Metrics and logs are only counted."""
    found, others = batches(b'{"resourceMetrics": [{}, {}], "resourceLogs": [{}]}')
    assert (found, others) == ([], 3)


@given(st.integers(min_value=0, max_value=2**53))
def test_counts(number: int) -> None:
    """A count is one as a number, as text and as the float that tables make of it."""
    for written in (number, str(number), float(number), f"{number}.0"):
        assert count({"a": None, "b": written}, "a", "b") == number


def test_counts_that_are_not_there() -> None:
    """Nothing, empty text and no number are not 0."""
    for nothing in (None, "", float("nan")):
        assert count({"a": nothing}, "a") is None


@pytest.mark.parametrize("wrong", [True, "many", 0.5, float("inf"), [], {}, 10**400, "nan"])
def test_counts_that_are_none(wrong: Any) -> None:
    """What is no whole number of tokens is refused under its name."""
    with pytest.raises(InputError) as caught:
        count({"a": wrong}, "a")
    assert caught.value.path == ("a",)


def test_text() -> None:
    """The first attribute that says anything counts."""
    assert text({"a": "", "b": 7, "c": "said"}, "a", "b", "c") == "said"
    assert text({}, "a") is None


@given(values)
def test_json_in_text(value: Any) -> None:
    """Lists and objects written as text are read; other text is itself."""
    written = msgspec.json.encode(value).decode() if _fits(value) else "7"
    expected = value if isinstance(value, list | dict) and _fits(value) else written
    assert decoded(written) == expected


def _fits(value: Any) -> bool:
    """Tell whether no number in it is larger than an encoder takes."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value)
    except (OverflowError, msgspec.MsgspecError):
        return False


@pytest.mark.parametrize("broken", ['{"a": [1, ', "[half", '{"a": 1, "a": 2}', "[\ud800]"])
def test_broken_json_in_text(broken: str) -> None:
    """Text that was cut off stays text."""
    assert decoded(broken) == broken
