"""What besides blocks decides a prefix, level by level: one test per parameter."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.facts import Model, find
from cacheplan.pieces import message_pieces
from cacheplan.settings import PARAMETERS, Settings, citations_in, images_in, settings

ASSUME = Assumptions()
NOTHING = Settings()


def model(name: str) -> Model:
    """Look a model up that exists."""
    found = find(name)
    assert found is not None
    return found.model


def changes(body: dict[str, Any], name: str = "", **answers: Any) -> str:
    """Name the levels that a body's parameters take part in."""
    known = model(name) if name else None
    made = settings(body, known, False, dataclasses.replace(ASSUME, **answers))
    return " ".join(level for level, digest in made._asdict().items() if digest)


def test_nothing_set_is_nothing() -> None:
    """A call that sets nothing has empty digests, so that it costs a tree no node."""
    body = {"model": "m", "system": "Hi", "messages": [], "tools": [{"name": "t"}]}
    assert settings(body, None, False, ASSUME) == NOTHING


@pytest.mark.parametrize(
    ("level", "parameter"),
    [
        ("tools", {"tools": [{"name": "t", "defer_loading": True}]}),
        ("tools", {"mcp_servers": [{"type": "url", "url": "u", "name": "s"}]}),
        ("system", {"output_config": {"format": {"type": "json_schema", "schema": {}}}}),
        ("system", {"output_format": {"type": "json_schema", "schema": {}}}),
        ("system", {"speed": "fast"}),
        ("system", {"container": {"skills": [{"type": "anthropic", "skill_id": "xlsx"}]}}),
        ("messages", {"tool_choice": {"type": "any"}}),
        ("messages", {"tool_choice": {"type": "tool", "name": "t"}}),
        ("messages", {"tool_choice": {"type": "none"}}),
        ("messages", {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("messages", {"thinking": {"type": "adaptive"}}),
        ("messages", {"thinking": {"type": "between_tools"}}),
        ("messages", {"output_config": {"effort": "low"}}),
        ("messages", {"output_config": {"task_budget": {"type": "tokens", "total": 9}}}),
        ("messages", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
    ],
)
def test_a_parameter_takes_part_at_its_level(level: str, parameter: dict[str, Any]) -> None:
    """Each parameter of the invalidation table breaks the level the table says."""
    assert changes(parameter) == level
    assert set(parameter) <= PARAMETERS | {"tools"}


@pytest.mark.parametrize(
    "parameter",
    [
        {"max_tokens": 1},
        {"max_tokens": 0},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"top_k": 5},
        {"stop_sequences": ["x"]},
        {"stream": True},
        {"metadata": {"user_id": "u"}},
        {"service_tier": "auto"},
        {"inference_geo": "us"},
        {"diagnostics": {"previous_message_id": "msg_1"}},
        {"container": "container_1"},
        {"container": {"id": "container_1"}},
        {"user_profile_id": "p"},
        {"workspace_id": "w"},
        {"billing_policy": {"type": "billing_policy", "bill_to": "self"}},
        {"fallbacks": "default"},
        {"fallback_credit_token": "t"},
        {"thread": {"type": "create"}},
        {"cache_control": {"type": "ephemeral"}},
        {"betas": ["a-2026-01-01"]},
        {"model": "m"},
        {"unheard_of": 1},
    ],
)
def test_other_parameters_take_no_part(parameter: dict[str, Any]) -> None:
    """What changes nothing the model reads changes no prefix."""
    assert changes(parameter) == ""


@pytest.mark.parametrize(
    "parameter",
    [
        {"speed": "standard"},
        {"speed": None},
        {"tool_choice": {"type": "auto"}},
        {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"tool_choice": None},
        {"thinking": None},
        {"output_config": {"effort": None, "format": None}},
        {"output_config": None},
        {"context_management": None},
        {"mcp_servers": []},
        {"betas": []},
        {"container": {"skills": []}},
    ],
)
def test_writing_a_default_out_is_leaving_it_out(parameter: dict[str, Any]) -> None:
    """An explicit default, a null and an empty list are the same as nothing."""
    assert changes(parameter) == ""
    assert changes(parameter, betas_scope="tools") == ""


@pytest.mark.parametrize(
    ("name", "effort", "default"),
    [
        ("claude-opus-5-5", "medium", True),
        ("claude-opus-5-5", "high", False),
        ("claude-opus-5", "high", True),
        ("claude-opus-5", "medium", False),
    ],
)
def test_the_default_effort_is_the_models(name: str, effort: str, default: bool) -> None:
    """Effort takes part unless it is what this model does anyway."""
    assert (changes({"output_config": {"effort": effort}}, name) == "") is default


@pytest.mark.parametrize(
    ("name", "kind", "default"),
    [
        ("claude-sonnet-4-5", "disabled", True),
        ("claude-opus-4-8", "disabled", True),
        ("claude-opus-4-8", "adaptive", False),
        ("claude-opus-5", "adaptive", True),
        ("claude-sonnet-5", "disabled", False),
    ],
)
def test_the_default_of_thinking_is_the_models(name: str, kind: str, default: bool) -> None:
    """Thinking takes part unless it is what this model does anyway."""
    assert (changes({"thinking": {"type": kind}}, name) == "") is default


def test_how_thinking_comes_back_takes_no_part() -> None:
    """``display`` and ``block_binding`` are not rendered; mode and budget are."""
    shown = {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}
    bound = {"type": "enabled", "budget_tokens": 2000, "block_binding": {}}
    more = {"type": "enabled", "budget_tokens": 4000}
    digests = [
        settings({"thinking": thinking}, None, False, ASSUME).messages
        for thinking in (shown, bound, more)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("scope", ["tools", "system", "messages"])
@pytest.mark.parametrize(
    ("switch", "parameter"),
    [
        ("effort_scope", {"output_config": {"effort": "low"}}),
        ("thinking_scope", {"thinking": {"type": "adaptive"}}),
        ("format_scope", {"output_config": {"format": {"type": "json_schema"}}}),
        ("speed_scope", {"speed": "fast"}),
        ("betas_scope", {"betas": ["a"]}),
    ],
)
def test_a_doubtful_scope_follows_its_switch(
    scope: str, switch: str, parameter: dict[str, Any]
) -> None:
    """Where the documentation leaves the level open, the assumption decides."""
    if (switch, scope) != ("speed_scope", "messages"):
        assert changes(parameter, **{switch: scope}) == scope


def test_images_and_citations_take_part() -> None:
    """An image anywhere breaks messages; citations switched on break system."""
    assert settings({}, None, True, ASSUME)._replace(messages=b"") == NOTHING
    assert settings({}, None, True, ASSUME).messages
    cited = settings({}, None, False, ASSUME, citations=True)
    assert cited.system
    assert cited._replace(system=b"") == NOTHING


IMAGE = {"type": "image", "source": {"type": "url", "url": "u"}}


@pytest.mark.parametrize(
    ("found", "block"),
    [
        (True, IMAGE),
        (True, {"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}),
        (True, {"type": "document", "source": {"type": "content", "content": [IMAGE]}}),
        (False, {"type": "tool_result", "tool_use_id": "t", "content": "image"}),
        (False, {"type": "tool_use", "id": "t", "name": "n", "input": IMAGE}),
        (False, {"type": "text", "text": "image"}),
    ],
)
def test_an_image_is_found_wherever_it_is(found: bool, block: dict[str, Any]) -> None:
    """Images inside results and documents count; arguments that look like one do not."""
    pieces = message_pieces({"role": "user", "content": [block]}, 0, ASSUME)
    assert images_in(pieces) is found


def document(citations: Any) -> dict[str, Any]:
    """Make a document with this setting."""
    return {"type": "document", "source": {"type": "url", "url": "u"}, "citations": citations}


@pytest.mark.parametrize(
    ("found", "block"),
    [
        (True, document({"enabled": True})),
        (False, document({"enabled": False})),
        (False, document(None)),
        (
            True,
            {
                "type": "tool_result",
                "tool_use_id": "t",
                "content": [
                    {
                        "type": "search_result",
                        "source": "s",
                        "title": "t",
                        "content": [],
                        "citations": {"enabled": True},
                    }
                ],
            },
        ),
        (False, {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}),
    ],
)
def test_citations_are_found_where_they_are_switched_on(found: bool, block: dict[str, Any]) -> None:
    """Asking for citations counts; text that was cited is content."""
    pieces = message_pieces({"role": "user", "content": [block]}, 0, ASSUME)
    assert citations_in(pieces) is found


def test_a_deferred_tool_is_told_from_another() -> None:
    """Another deferred tool, or the same one with another schema, is another setting."""
    tool = {"name": "t", "defer_loading": True, "input_schema": {"a": 1, "b": 2}}
    others = [
        {**tool, "name": "u"},
        {**tool, "input_schema": {"b": 2, "a": 1}},
        {**tool, "defer_loading": False},
    ]
    one = settings({"tools": [tool]}, None, False, ASSUME)
    assert all(settings({"tools": [other]}, None, False, ASSUME) != one for other in others)
    marked = {**tool, "cache_control": {"type": "ephemeral"}}
    assert settings({"tools": [marked]}, None, False, ASSUME) == one


def test_a_servers_token_takes_no_part() -> None:
    """Who asks a tool server does not change what it offers; which server does."""
    server = {"type": "url", "url": "u", "name": "s"}
    one, renewed, other = (
        settings({"mcp_servers": [changed]}, None, False, ASSUME)
        for changed in (server, server | {"authorization_token": "x"}, server | {"url": "v"})
    )
    assert one == renewed != other


def test_order_of_betas_and_skills_takes_no_part() -> None:
    """Headers are a set, and skills are rendered in an order of the service's own."""
    assume = dataclasses.replace(ASSUME, betas_scope="tools")
    skills = [{"type": "anthropic", "skill_id": name} for name in ("pptx", "xlsx")]
    one = settings({"betas": ["a", "b"], "container": {"skills": skills}}, None, False, assume)
    turned = {"betas": ["b", "a"], "container": {"skills": skills[::-1]}}
    assert settings(turned, None, False, assume) == one
    fewer = {"betas": ["a", "b"], "container": {"skills": skills[:1]}}
    assert settings(fewer, None, False, assume) != one


def test_the_order_in_a_response_schema_takes_part() -> None:
    """The schema of an answer is the user's own JSON, rendered as written."""
    one, other = (
        settings(
            {"output_config": {"format": {"type": "json_schema", "schema": schema}}},
            None,
            False,
            ASSUME,
        )
        for schema in ({"a": 1, "b": None}, {"b": None, "a": 1})
    )
    assert one != other


@pytest.mark.parametrize("value", [7, "x", ["x"], {"type": ["x"]}, {"type": None}])
@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_parameter_of_a_strange_shape_does_no_harm(name: str, value: Any) -> None:
    """A strange value takes part as it is or is an error that names it; nothing else."""
    path: tuple[str | int, ...] = (name,)
    made = NOTHING
    try:
        made = settings({name: value}, model("claude-opus-5"), False, ASSUME)
    except InputError as error:
        path = error.path
    assert path == (name,)
    assert all(len(digest) in {0, 16} for digest in made)


def test_a_switch_says_that_images_break_nothing() -> None:
    """Under image_scope=none the first image changes no level."""
    body = {"model": "claude-opus-5-5", "messages": []}
    kept = Assumptions(image_scope="none")
    assert settings(body, None, True, kept) == settings(body, None, False, kept)
    assert settings(body, None, True, ASSUME) != settings(body, None, False, ASSUME)
