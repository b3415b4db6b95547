"""Everything the service refuses about marks, in its own words where they are known."""

from __future__ import annotations

from typing import Any

import pytest
from bodies import bodies, lawful
from hypothesis import assume, given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.prompt import Level, Lifetime, Place
from cacheplan.wire import Fault, mark, validate

FIVE = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TEXT = {"type": "text", "text": "Hi"}
TAG = (
    ": Input tag 'persistent' found using 'type' does not match any of the expected tags:"
    " 'ephemeral'"
)
DEFERRED = (
    "Tool 'look_up' cannot have both defer_loading=true and cache_control set. Tools with"
    " defer_loading cannot use prompt caching."
)
ORDER = (
    ": a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note"
    " that blocks are processed in the following order: `tools`, `system`, `messages`."
)


def user(*content: Any, **more: Any) -> dict[str, Any]:
    """Make a body of one user message."""
    return {"messages": [{"role": "user", "content": list(content)}], **more}


def text(control: Any) -> dict[str, Any]:
    """Make a marked text block."""
    return TEXT | {"cache_control": control}


def said(body: dict[str, Any], **where: Any) -> list[str]:
    """Say all faults of a body."""
    return [str(fault) for fault in validate(body, **where)]


def test_a_fifth_mark_is_refused() -> None:
    """Four marks are taken and a fifth is refused, with the number that was found."""
    assert said(user(*[text(FIVE)] * 4)) == []
    assert said(user(*[text(FIVE)] * 5)) == [
        "A maximum of 4 blocks with cache_control may be provided. Found 5."
    ]
    spread = user(*[text(FIVE)] * 4, system=[text(FIVE)], tools=[{"name": "t", **text(FIVE)}])
    assert said(spread) == ["A maximum of 4 blocks with cache_control may be provided. Found 6."]


def test_the_automatic_mark_counts() -> None:
    """The top-level mark is one of the four, even on a block that has the same mark."""
    assert said(user(*[text(FIVE)] * 3, TEXT, cache_control=FIVE)) == []
    for last in (TEXT, text(FIVE)):
        marked = [text(FIVE)] * (4 if last == TEXT else 3)
        assert said(user(*marked, last, cache_control=FIVE)) == [
            "A maximum of 4 blocks with cache_control may be provided. Found 5."
        ]


def test_a_longer_lifetime_comes_first() -> None:
    """1h before 5m is taken, 1h after 5m refused at the first place it happens."""
    assert said(user(text(HOUR), text(HOUR), text(FIVE))) == []
    assert said(user(text(FIVE), TEXT, text(HOUR), text(HOUR))) == [
        "messages.0.content.2.cache_control.ttl" + ORDER
    ]
    tools = [{"name": "t", "cache_control": {"type": "ephemeral", "ttl": "5m"}}]
    assert said(user(text(FIVE), system=[text(HOUR)], tools=tools)) == [
        "system.0.cache_control.ttl" + ORDER
    ]


def test_the_automatic_mark_agrees_with_its_target() -> None:
    """On a marked block the top-level mark changes nothing, unless it asks for another lifetime."""
    assert said(user(text(HOUR), cache_control=HOUR)) == []
    for automatic, marked, ttls in ((FIVE, HOUR, ("5m", "1h")), (HOUR, FIVE, ("1h", "5m"))):
        (first, *_) = validate(user(TEXT, text(marked), cache_control=automatic))
        assert str(first) == (
            f"Top-level cache_control has ttl='{ttls[0]}' but the target block already has"
            f" cache_control with ttl='{ttls[1]}'. When both are specified on the same block,"
            " they must have matching TTLs."
        )
        assert first.path == ("cache_control", "ttl")
        assert first.place == Place(level=Level.MESSAGES, index=0, content=1)


def test_a_long_automatic_mark_follows_no_short_one() -> None:
    """The order of lifetimes holds for the top-level mark, which comes last."""
    assert said(user(text(FIVE), TEXT, cache_control=HOUR)) == ["cache_control" + ORDER]
    assert said(user(text(HOUR), TEXT, cache_control=FIVE)) == []


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ({"type": "ephemeral", "ttl": "2h"}, ".ephemeral.ttl: Input should be '5m' or '1h'"),
        ({"type": "ephemeral", "ttl": 300}, ".ephemeral.ttl: Input should be '5m' or '1h'"),
        (
            {"type": "persistent"},
            TAG,
        ),
        ({"ttl": "5m"}, ": Unable to extract tag using discriminator 'type'"),
        (True, ": Input should be a valid dictionary or object to extract fields from"),
    ],
)
def test_a_mark_has_one_form(control: Any, words: str) -> None:
    """A ttl or type that does not exist is refused wherever it stands."""
    assert said({"system": [text(control)]}) == ["system.0.cache_control" + words]
    assert said(user(text(control))) == ["messages.0.content.0.text.cache_control" + words]
    assert said({"tools": [{"name": "t", "cache_control": control}]}) == [
        "tools.0.custom.cache_control" + words
    ]
    assert said(user(TEXT, cache_control=control)) == ["cache_control" + words]


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_empty_text_takes_no_mark(blank: str) -> None:
    """Empty text is refused, and so is text of whitespace alone."""
    block = {"type": "text", "text": blank, "cache_control": FIVE}
    words = "cache_control cannot be set for empty text blocks"
    assert said(user(TEXT, block)) == [f"messages.0.content.1.text: {words}"]
    assert said({"system": [block]}) == [f"system.0: {words}"]


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking", "mcp_tool_listing", "fallback"])
def test_some_kinds_take_no_mark(kind: str) -> None:
    """A kind without the field is refused for having it."""
    block = {"type": kind, "cache_control": FIVE}
    body = {"messages": [{"role": "assistant", "content": [TEXT, block]}]}
    (fault,) = validate(body)
    assert str(fault) == (
        f"messages.0.content.1.{kind}.cache_control: Extra inputs are not permitted"
    )
    assert fault.quoted is kind.endswith("thinking")


def test_a_message_takes_no_mark() -> None:
    """A mark beside ``content`` instead of on a block is refused."""
    body = {"messages": [{"role": "user", "content": "Hi", "cache_control": FIVE}]}
    (fault,) = validate(body)
    assert str(fault) == "messages.0.cache_control: Extra inputs are not permitted"
    assert fault.place == Place(level=Level.MESSAGES, index=0)


def test_a_deferred_tool_takes_no_mark() -> None:
    """A tool that is not in the prompt ends no prefix."""
    tool = {"name": "look_up", "defer_loading": True, "cache_control": FIVE}
    assert said({"tools": [tool]}) == [DEFERRED]


def test_a_toolset_takes_a_mark() -> None:
    """A server's toolset is marked as a whole."""
    assert said({"tools": [{"type": "mcp_toolset", "mcp_server_name": "s", **text(FIVE)}]}) == []


def test_a_mark_inside_a_block_stands_at_its_end() -> None:
    """The last inner mark is hoisted; before that one the service does not support it."""
    result = {"type": "tool_result", "tool_use_id": "t"}
    assert said(user(result | {"content": [TEXT, text(FIVE)]})) == []
    (fault,) = validate(user(TEXT, result | {"content": [text(FIVE), TEXT]}))
    assert str(fault) == (
        "cache_control is not supported at messages.0.content.1.content.0.cache_control"
    )
    assert fault.place == Place(level=Level.MESSAGES, index=0, content=1, inner=0)
    source = {"type": "content", "content": [text(FIVE), TEXT]}
    assert said(user({"type": "document", "source": source})) == [
        "cache_control is not supported at messages.0.content.0.source.content.0.cache_control"
    ]


def test_what_code_execution_called_takes_no_mark() -> None:
    """Neither the use of the tool nor the result that answers it is in the prompt."""
    caller = {"type": "code_execution_20260120", "tool_id": "s"}
    use = {"type": "tool_use", "id": "toolu_1", "name": "n", "input": {}, "caller": caller}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "7"}
    words = (
        "Tool use result for toolu_1 called by code execution cannot have cache_control. These"
        " blocks are not rendered in Claude's context."
    )
    for asked, answered in ((use | {"cache_control": FIVE}, result), (use, result | text(FIVE))):
        messages = [
            {"role": "assistant", "content": [asked]},
            {"role": "user", "content": [answered | {"type": "tool_result"}]},
        ]
        assert said({"messages": messages}) == [words]
    direct = use | {"caller": {"type": "direct"}, "cache_control": FIVE}
    assert said({"messages": [{"role": "assistant", "content": [direct]}]}) == []


PREWARM: list[dict[str, Any]] = [
    {"stream": True},
    {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    {"output_config": {"format": {"type": "json_schema"}}},
    {"tool_choice": {"type": "any"}},
    {"tool_choice": {"type": "tool", "name": "t"}},
]


@pytest.mark.parametrize("parameter", PREWARM)
def test_a_call_without_an_answer_implies_none(parameter: dict[str, Any]) -> None:
    """With ``max_tokens: 0`` whatever implies an answer is refused; otherwise it is taken."""
    (fault,) = validate(user(text(FIVE), max_tokens=0, **parameter))
    assert fault.message.startswith("max_tokens: 0 cannot be combined with ")
    assert (fault.rule, fault.quoted) == ("prewarm", False)
    assert validate(user(text(FIVE), max_tokens=1, **parameter)) == []


@pytest.mark.parametrize(
    "parameter",
    [
        {"stream": False},
        {"thinking": {"type": "adaptive"}},
        {"output_config": {"effort": "low"}},
        {"tool_choice": {"type": "auto"}},
        {"output_config": None, "thinking": None, "tool_choice": None},
    ],
)
def test_a_call_without_an_answer_may_set_the_rest(parameter: dict[str, Any]) -> None:
    """Parameters that imply no answer go with ``max_tokens: 0``."""
    assert validate(user(text(FIVE), max_tokens=0, **parameter)) == []


@pytest.mark.parametrize(
    "parameter",
    [{"stream": True}, {"speed": "fast"}, {"max_tokens": 0}, {"thread": {"type": "create"}}],
)
def test_a_batch_takes_less(parameter: dict[str, Any]) -> None:
    """What a Message Batch does not take is refused there and only there."""
    assert [fault.rule for fault in validate(user(TEXT, **parameter), surface="batch")] == ["batch"]
    assert validate(user(TEXT, **parameter)) == []


def test_the_older_bedrock_takes_less() -> None:
    """On Bedrock the automatic mark and 1h depend on the model; elsewhere they do not."""
    automatic = user(TEXT, model="anthropic.claude-opus-4-6-v1:0", cache_control=FIVE)
    assert [fault.rule for fault in validate(automatic, "bedrock")] == ["platform"]
    assert validate(automatic) == []
    assert validate(automatic | {"model": "anthropic.claude-opus-5-5"}, "bedrock") == []
    hour = user(text(HOUR), model="anthropic.claude-3-5-haiku-20241022-v1:0")
    assert said(hour, platform="bedrock") == [
        "messages.0.content.0.text.cache_control.ephemeral.ttl: Extra inputs are not permitted"
    ]
    assert validate(hour) == []


def test_the_first_fault_is_what_the_service_would_say() -> None:
    """Form comes before number, number before order, and order before the automatic mark."""
    body = user(*[text(FIVE)] * 4, text(HOUR), text({"type": "x"}), cache_control=FIVE)
    assert (
        [fault.rule for fault in validate(body)]
        == [fault.rule for fault in validate(body)]
        == ["form", "number", "order"]
    )


def test_a_body_of_another_shape_is_an_error() -> None:
    """What is no Messages body at all is not judged."""
    with pytest.raises(InputError, match=r"messages\[0\]: str is not an object"):
        validate({"messages": ["Hi"]})
    block: dict[str, Any] = {"type": "tool_result"}
    block["content"] = [block]
    with pytest.raises(InputError, match="nested"):
        validate(user(block))


@given(st.data())
def test_what_is_marked_within_the_rules_is_taken(data: st.DataObject) -> None:
    """A body marked where blocks take marks, with four at most and 1h first, has no fault."""
    body = data.draw(bodies())
    assert validate(mark(body, data.draw(lawful(body)))) == []


@given(st.data())
def test_an_automatic_mark_within_the_rules_is_taken(data: st.DataObject) -> None:
    """The same holds with a free slot for the top-level mark and no longer lifetime after."""
    body = data.draw(bodies())
    breakpoints = data.draw(lawful(body))
    assume(len(breakpoints) < 4)
    lifetimes = [lifetime for _, lifetime in breakpoints]
    hours = Lifetime.FIVE_MINUTES not in lifetimes
    automatic = Lifetime.ONE_HOUR if hours else Lifetime.FIVE_MINUTES
    faults = validate(mark(body, [*breakpoints, ("automatic", automatic)]))
    assert [fault for fault in faults if fault.rule != "mismatch"] == []


@given(st.data())
def test_a_body_without_marks_is_taken(data: st.DataObject) -> None:
    """Nothing about marks can be wrong where there are none."""
    assert validate(data.draw(bodies())) == []


@given(bodies(marked=True))
def test_every_fault_says_where_it_is(body: dict[str, Any]) -> None:
    """A fault's path leads to something in the body, and its message is one line."""
    for fault in validate(body):
        assert isinstance(fault, Fault)
        assert fault.message
        assert "\n" not in fault.message
        found: Any = body
        for step in fault.path[:-2]:
            found = found[step]
