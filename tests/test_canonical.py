"""The published form of a block: what takes part in it, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from bodies import blocks, own_json
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.canonical import TAG, canonical, digest
from cacheplan.errors import InputError
from cacheplan.prompt import Level

TEXT = {"type": "text", "text": "Hi"}


def form(body: Any, **how: Any) -> bytes:
    """Write a block of a user message."""
    return canonical(body, Level.MESSAGES, "user", **how)


def test_the_form_is_what_the_documentation_says() -> None:
    """The form is tag, level, role and compact sorted JSON, so that others can compute it."""
    assert form({"type": "text", "text": "é"}) == (
        f'{TAG} messages user {{"text":"é","type":"text"}}'.encode()
    )
    assert TAG == "cacheplan.block/1"


def test_the_digest_stays() -> None:
    """The digest of a form never changes, for ledgers hold it; ``b2sum -l 128`` gives it too."""
    assert digest(form(TEXT)).hex() == "228f962b5b8780c235534633ca514d6a"


def test_a_key_hides_what_a_digest_is_of() -> None:
    """With a key the same block has another digest, and always the same one."""
    plain, keyed = digest(form(TEXT)), digest(form(TEXT), b"secret")
    assert plain != keyed == digest(form(TEXT), b"secret")
    assert len(plain) == len(keyed) == 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TEXT, {"text": "Hi", "type": "text"}),
        (TEXT, TEXT | {"cache_control": {"type": "ephemeral"}}),
        (TEXT, TEXT | {"citations": None}),
        (TEXT, "Hi"),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": "Hi"},
            {"type": "tool_result", "tool_use_id": "t", "content": [TEXT]},
        ),
        (
            {"type": "document", "source": {"type": "content", "content": "Hi"}},
            {"type": "document", "source": {"type": "content", "content": [TEXT]}},
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "u"}},
            {"type": "document", "source": {"url": "u", "type": "url"}, "title": None},
        ),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": [TEXT]},
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [TEXT | {"cache_control": {"type": "ephemeral"}}],
            },
        ),
    ],
)
def test_spelling_takes_no_part(one: Any, other: Any) -> None:
    """Order of typed keys, marks, nulls and shorthand leave a block what it is."""
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (TEXT, {"type": "text", "text": "Hi "}),
        (TEXT, TEXT | {"citations": []}),
        (
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": 1, "b": 2}},
            {"type": "tool_use", "id": "t", "name": "n", "input": {"b": 2, "a": 1}},
        ),
        (
            {"type": "server_tool_use", "id": "t", "name": "n", "input": {"a": 1, "b": 2}},
            {"type": "server_tool_use", "id": "t", "name": "n", "input": {"b": 2, "a": 1}},
        ),
        (
            {"type": "tool_use", "id": "t", "name": "n", "input": {"a": None}},
            {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        ),
        (
            {"type": "tool_use", "id": "t", "name": "n", "input": {"cache_control": 1}},
            {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        ),
        ({"type": "image", "source": {"data": "a"}}, {"type": "image", "source": {"data": "b"}}),
        (
            {"type": "unheard_of", "x": {"a": 1, "b": 2}},
            {"type": "unheard_of", "x": {"b": 2, "a": 1}},
        ),
        ({"type": "unheard_of", "x": None}, {"type": "unheard_of"}),
        ({"type": "compaction", "content": "Hi"}, {"type": "compaction", "content": [TEXT]}),
    ],
)
def test_content_takes_part(one: Any, other: Any) -> None:
    """What the model reads tells blocks apart, order and nulls of the user's own JSON included."""
    assert form(one) != form(other)


def test_the_order_in_a_schema_takes_part() -> None:
    """A tool whose schema lists its keys in another order is another tool."""
    one = {"name": "t", "input_schema": {"type": "object", "properties": {"a": {}, "b": {}}}}
    other = {"input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}, "name": "t"}
    assert canonical(one, Level.TOOLS) != canonical(other, Level.TOOLS)
    assert canonical(one, Level.TOOLS) == canonical(dict(reversed(one.items())), Level.TOOLS)


def test_level_and_role_take_part() -> None:
    """The same text at another level, or said by another role, is another block."""
    heads = [
        (Level.SYSTEM, ""),
        (Level.MESSAGES, "user"),
        (Level.MESSAGES, "assistant"),
        (Level.MESSAGES, "system"),
    ]
    assert len({canonical(TEXT, *head) for head in heads}) == len(heads)


def test_a_string_may_be_held_apart() -> None:
    """Under ``string_form=differs`` a string is not the text block it is shorthand for."""
    result = {"type": "tool_result", "tool_use_id": "t"}
    assert form("Hi", string_form="differs") != form(TEXT, string_form="differs")
    assert form(result | {"content": "Hi"}, string_form="differs") != form(
        result | {"content": [TEXT]}, string_form="differs"
    )


def test_half_a_surrogate_pair_has_a_form() -> None:
    """Text that UTF-8 cannot hold is still told apart from other text."""
    assert form({"type": "text", "text": "\ud83d"}) != form({"type": "text", "text": "\ude00"})


@pytest.mark.parametrize("value", [object(), {1: 2, "a": 3}, {"input": object()}])
def test_what_is_no_json_is_an_error(value: object) -> None:
    """A value that cannot be sent is refused with words, not with a traceback."""
    with pytest.raises(InputError, match="not JSON"):
        form({"type": "text", "text": "Hi", "more": value})


def test_endless_nesting_is_an_error() -> None:
    """A block that contains itself is refused, and so is one nested beyond reason."""
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t"}
    block["content"] = [block]
    with pytest.raises(InputError, match="not JSON"):
        form(block)


@given(own_json, own_json)
def test_users_json_is_injective(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Arguments have one form exactly if they are written alike, order included."""
    use = {"type": "tool_use", "id": "t", "name": "n"}
    alike = repr(one) == repr(other)
    assert (form(use | {"input": one}) == form(use | {"input": other})) is alike


@given(st.sampled_from(["user", "assistant", "system"]).flatmap(blocks), st.randoms())
def test_order_of_typed_keys_never_matters(block: dict[str, Any], random: Any) -> None:
    """Shuffling the keys of a block leaves its form alone."""
    keys = list(block)
    random.shuffle(keys)
    assert form({key: block[key] for key in keys}) == form(block)
