"""Bodies of ``POST /v1/messages`` to draw from, of every kind the SDK knows.

``bodies()`` draws a body that the API's schema allows: all levels in both forms, every
kind of block, nested blocks, a kind nobody knows, JSON of the user's own that looks like
marks but is none, and any setting. ``bodies(marked=True)`` also draws marks, on blocks
that take them and on blocks that do not, as many as there happen to be. ``lawful(body)``
draws breakpoints that the service takes, and ``places(body)`` all that carry one.
"""

from __future__ import annotations

import base64
import functools
from typing import Any

from hypothesis import strategies as st

from cacheplan import wire
from cacheplan.assumptions import Assumptions
from cacheplan.prompt import Lifetime, Place

__all__ = ["MODELS", "blocks", "bodies", "lawful", "own_json", "places", "texts"]

MODELS = ("claude-opus-5-5", "claude-sonnet-4-5", "claude-haiku-5-5", "a-model-nobody-knows")

_PIXEL = base64.b64encode(b"GIF89a").decode()

texts = st.one_of(
    st.sampled_from(["Hi", "", " ", "\n\t", "{{name}}", "é\U0001f600", "a" * 300]),
    st.text(max_size=12),
)

#: JSON of the user's own: its order, its nulls and its ``cache_control`` are content.
own_json = st.dictionaries(
    st.sampled_from(["b", "a", "cache_control", "path", "type"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["y", "x", "cache_control"]), inner, max_size=2)
        ),
        max_leaves=4,
    ),
    max_size=3,
)

controls = st.sampled_from(
    [
        None,
        None,
        None,
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "5m"},
        {"ttl": "1h", "type": "ephemeral"},
        {"type": "ephemeral", "ttl": "1h", "scope": "global"},
    ]
)


def _fixed(
    fields: dict[str, Any], *, marked: bool, optional: dict[str, Any] | None = None
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object of these fields, forwards or backwards, with a mark now and then."""
    more = dict(optional or {}) | ({"cache_control": controls} if marked else {})
    given = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in fields.items()
    }
    drawn = st.fixed_dictionaries(given, optional=more)
    return st.tuples(drawn, st.booleans()).map(_turned)


def _turned(drawn: tuple[dict[str, Any], bool]) -> dict[str, Any]:
    """Turn the keys of an object around, or leave them."""
    fields, backwards = drawn
    return dict(reversed(fields.items())) if backwards else fields


ids = st.sampled_from(["toolu_1", "toolu_2", "srvtoolu_3"])
callers = st.sampled_from(
    [{"type": "direct"}, {"type": "code_execution_20260120", "tool_id": "srvtoolu_3"}]
)


@functools.cache
def _text(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a text block."""
    cited = {"citations": st.sampled_from([None, [{"type": "char_location", "cited_text": "x"}]])}
    return _fixed({"type": "text", "text": texts}, marked=marked, optional=cited)


@functools.cache
def _image(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an image."""
    source = st.sampled_from(
        [
            {"type": "base64", "media_type": "image/gif", "data": _PIXEL},
            {"type": "url", "url": "https://example.com/a.png"},
            {"type": "file", "file_id": "file_1"},
        ]
    )
    return _fixed({"type": "image", "source": source}, marked=marked)


@functools.cache
def _document(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a document of any source, cited or not."""
    source = st.one_of(
        st.just({"type": "text", "media_type": "text/plain", "data": "words"}),
        _fixed({"type": "content", "content": st.lists(_text(marked=marked))}, marked=False),
        st.just({"type": "content", "content": "words"}),
    )
    optional = {
        "citations": st.sampled_from([None, {"enabled": True}, {"enabled": False}]),
        "title": st.none() | texts,
    }
    return _fixed({"type": "document", "source": source}, marked=marked, optional=optional)


@functools.cache
def _search_result(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a search result."""
    fields = {
        "type": "search_result",
        "source": "s",
        "title": "t",
        "content": st.lists(_text(marked=marked), max_size=2),
    }
    return _fixed(fields, marked=marked, optional={"citations": st.just({"enabled": True})})


@functools.cache
def _tool_result(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a tool's result: nothing, a string, or blocks."""
    inner = st.one_of(
        _text(marked=marked),
        _image(marked=marked),
        _document(marked=marked),
        _search_result(marked=marked),
        _fixed({"type": "tool_reference", "tool_name": "t"}, marked=marked),
        _fixed({"type": "browser_state", "tabs": []}, marked=marked),
    )
    optional = {
        "content": st.one_of(texts, st.lists(inner, max_size=3)),
        "is_error": st.booleans(),
    }
    fields = {"type": "tool_result", "tool_use_id": ids}
    return _fixed(fields, marked=marked, optional=optional)


@functools.cache
def _use(kind: str, *, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw the use of a tool, with arguments whose order counts."""
    fields = {"type": kind, "id": ids, "name": "t", "input": own_json}
    return _fixed(fields, marked=marked, optional={"caller": callers})


@functools.cache
def _outcome(kind: str, *, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what a server tool answered."""
    content = st.sampled_from(
        [
            [{"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e"}],
            {"type": "code_execution_result", "content": [{"type": "code_execution_output"}]},
            {"type": "web_fetch_result", "url": "u", "content": {"type": "document"}},
            {"type": f"{kind}_error", "error_code": "unavailable"},
        ]
    )
    return _fixed({"type": kind, "tool_use_id": ids, "content": content}, marked=marked)


OUTCOMES = (
    "advisor_tool_result",
    "bash_code_execution_tool_result",
    "code_execution_tool_result",
    "mcp_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "web_fetch_tool_result",
    "web_search_tool_result",
)


@functools.cache
def _users(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a block of a user message."""
    return st.one_of(
        _text(marked=marked),
        _image(marked=marked),
        _document(marked=marked),
        _search_result(marked=marked),
        _tool_result(marked=marked),
        _fixed({"type": "container_upload", "file_id": "file_1"}, marked=marked),
        _fixed({"type": "not_yet_known", "input": own_json, "parts": own_json}, marked=marked),
    )


@functools.cache
def _assistants(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a block of an assistant message."""
    return st.one_of(
        _text(marked=marked),
        _fixed({"type": "thinking", "thinking": texts, "signature": "sig"}, marked=marked),
        _fixed({"type": "redacted_thinking", "data": "x"}, marked=marked),
        _use("tool_use", marked=marked),
        _use("server_tool_use", marked=marked),
        _use("mcp_tool_use", marked=marked),
        st.sampled_from(OUTCOMES).flatmap(lambda kind: _outcome(kind, marked=marked)),
        _fixed({"type": "compaction", "content": st.none() | texts}, marked=marked),
        _fixed({"type": "fallback", "from": {}, "to": {}}, marked=marked),
        _fixed({"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": []}, marked=marked),
    )


@functools.cache
def _systems(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a block of a mid-conversation system message."""
    named = {"type": "tool_reference", "name": "t"}
    defined = {"type": "tool_definition", "definition": {"name": "u", "input_schema": {}}}
    return st.one_of(
        _text(marked=marked),
        _fixed({"type": "tool_addition", "tool": st.sampled_from([named, defined])}, marked=marked),
        _fixed({"type": "tool_removal", "tool": named}, marked=marked),
    )


def blocks(role: str, *, marked: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a content block that this role may send."""
    return {"user": _users, "assistant": _assistants, "system": _systems}[role](marked=marked)


@functools.cache
def _messages(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw one message, its content a string or a list."""
    turns = []
    for role in ("user", "assistant", "system"):
        content = st.one_of(texts, st.lists(blocks(role, marked=marked), max_size=4))
        turns.append(st.fixed_dictionaries({"role": st.just(role), "content": content}))
    extras: list[dict[str, Any]] = [
        {"clear_at": "next_user_message"},
        {"output_config": {"effort": "low"}},
        {"output_config": {}},
    ]
    special = st.tuples(turns[2], st.sampled_from(extras)).map(lambda pair: pair[0] | pair[1])
    return st.one_of(*turns, special)


@functools.cache
def _tools(*, marked: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a tool definition: one's own, the service's, a server's."""
    late = {"defer_loading": st.booleans()}
    own = {"name": "t", "description": texts, "input_schema": own_json}
    return st.one_of(
        _fixed(own, marked=marked, optional=late | {"type": st.sampled_from([None, "custom"])}),
        _fixed({"type": "bash_20250124", "name": "bash"}, marked=marked, optional=late),
        _fixed({"type": "web_search_20260318", "name": "web_search"}, marked=marked),
        _fixed({"type": "computer_toolset_20260801"}, marked=marked),
        _fixed({"type": "mcp_toolset", "mcp_server_name": "s"}, marked=marked),
    )


#: Parameters that take part in a level and parameters that do not.
_PARAMETERS: dict[str, Any] = {
    "betas": st.lists(st.sampled_from(["a-2026", "b-2026"]), max_size=2),
    "container": st.just({"id": "c", "skills": [{"type": "anthropic", "skill_id": "xlsx"}]}),
    "metadata": st.just({"user_id": "u"}),
    "output_config": st.sampled_from([{"effort": "low"}, {"format": {"type": "json_schema"}}]),
    "speed": st.sampled_from(["standard", "fast"]),
    "stream": st.booleans(),
    "thinking": st.sampled_from([{"type": "adaptive"}, {"type": "enabled", "budget_tokens": 2000}]),
    "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "none"}]),
}


@functools.cache
def bodies(*, marked: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a whole body."""
    fields: dict[str, Any] = {
        "model": st.sampled_from(MODELS),
        "max_tokens": 1024,
        "messages": st.lists(_messages(marked=marked), max_size=5),
    }
    optional = {
        "system": st.one_of(texts, st.lists(_text(marked=marked), max_size=3)),
        "tools": st.lists(_tools(marked=marked), max_size=4),
    }
    return _fixed(fields, marked=marked, optional=optional | _PARAMETERS)


def places(body: dict[str, Any]) -> list[Place]:
    """List where a mark may stand, in the order in which the service looks."""
    pieces = wire.parse(body, Assumptions()).pieces
    return sorted(
        (piece.place for piece in pieces if not piece.block.refuses),
        key=lambda place: (place.level, place.index, place.content or 0),
    )


@st.composite
def lawful(draw: st.DrawFn, body: dict[str, Any]) -> list[tuple[Place, Lifetime]]:
    """Draw breakpoints for a body without marks: four at most, 1h before 5m."""
    free = places(body)
    picked: list[int] = []
    if free:
        which = st.integers(0, len(free) - 1)
        picked = sorted(draw(st.lists(which, max_size=4, unique=True)))
    count = len(picked)
    hours = draw(st.integers(0, count))
    lifetimes = [Lifetime.ONE_HOUR] * hours + [Lifetime.FIVE_MINUTES] * (count - hours)
    return [(free[at], lifetime) for at, lifetime in zip(picked, lifetimes, strict=True)]
