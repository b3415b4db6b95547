"""What the API says to a body that it does not take, marks aside.

Marks are ``validity``'s; here is what stands around them: members that are missing or of
another shape, models that are not there, conversations that make no sense. The words are
the API's where users have reported them (its validator's "Field required" and "Input
should be", the sentences on tool results and prompt length); the rest are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.fake.exchange import Asked, Refusal
from cacheplan.prices import Sheet
from cacheplan.validity import validate

__all__ = ["LARGEST", "identified", "said", "sensible", "shaped", "supported"]

#: Bytes a body may have (Claude docs, errors, 2026-08-22).
LARGEST: Final = 32 << 20

#: Every member that a body may have: the SDK's two lists (anthropic 2.12.0), what sampling
#: members older models take, and what the platforms' clients add.
_MEMBERS: Final = frozenset(
    {
        "anthropic_beta", "anthropic_version", "betas", "billing_policy", "cache_control",
        "compaction", "container", "context_management", "diagnostics",
        "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens", "mcp_servers",
        "messages", "metadata", "model", "output_config", "output_format", "service_tier",
        "speed", "stop_sequences", "stream", "system", "temperature", "thinking", "thread",
        "tool_choice", "tools", "top_k", "top_p", "user_profile_id", "workspace_id",
    }
)  # fmt: skip


def identified(asked: Asked, platform: str, largest: int) -> Refusal | None:
    """Refuse a request that does not say who sends it, or says too much.

    The clouds' clients may leave that to a proxy which signs for them.
    """
    named = any(asked.headers.get(name) for name in ("x-api-key", "authorization"))
    if platform == "anthropic" and not named:
        return Refusal(401, "x-api-key header is required")
    if len(asked.content) > largest:
        return Refusal(413, "Request exceeds the maximum size")
    return None


def shaped(body: Any, *, counting: bool = False, strict: bool = True) -> Refusal | None:
    """Refuse a body without the API's shape: the first thing that its validator would say."""
    return next(map(_bad, _shape(body, counting=counting, strict=strict)), None)


def supported(
    body: Mapping[str, Any], platform: str, sheet: Sheet, assume: Assumptions, at: float
) -> Refusal | None:
    """Refuse a model that is not there, and what a model does not do."""
    name = body["model"]
    found = facts.find(name)
    if found is None:
        known = sheet.minimum(name, platform, assume) is not None
        return None if known else Refusal(404, f"model: {name}")
    model = found.model
    if platform == "anthropic" and model.retired and at >= facts.moment(model.retired):
        return Refusal(404, f"model: {name}")
    most = model.max_output
    if body.get("max_tokens", 0) > most:
        return _bad(
            f"max_tokens: {body['max_tokens']} > {most}, which is the maximum allowed number of"
            f" output tokens for {name}"
        )
    choice = body.get("tool_choice")
    forced = choice.get("type") if isinstance(choice, Mapping) else None
    if forced in ("any", "tool") and not model.takes_forced_tools:
        return _bad(f'tool_choice.type: "{forced}" is not supported by {name}')
    return None


def sensible(
    body: Mapping[str, Any], platform: str, surface: str, *, strict: bool
) -> Refusal | None:
    """Refuse marks that may not stand, and conversations that make no sense."""
    try:
        faults = validate(body, platform, surface=surface)
    except InputError as error:
        return _bad(said(error))
    if faults:
        return _bad(str(faults[0]))
    return next(map(_bad, _conversation(body["messages"])), None) if strict else None


def said(error: InputError) -> str:
    """Say one of our own complaints with the API's way of naming a place."""
    path = ".".join(map(str, error.path))
    return f"{path}: {error.what}" if path else error.what


def _bad(message: str) -> Refusal:
    return Refusal(400, message)


def _shape(body: Any, *, counting: bool, strict: bool) -> Iterator[str]:
    """Yield what is wrong with a body's members, in the order of its validator."""
    if not isinstance(body, Mapping):
        yield _NO_OBJECT
        return
    needed = ("model", "messages") if counting else ("model", "max_tokens", "messages")
    yield from (f"{name}: Field required" for name in needed if body.get(name) is None)
    if strict:
        unknown = (name for name in body if name not in _MEMBERS)
        yield from (f"{name}: Extra inputs are not permitted" for name in unknown)
    yield from _plain(body)
    if not isinstance(body["messages"], list):
        yield "messages: Input should be a valid list"
        return
    if not body["messages"]:
        yield "messages: at least one message is required"
    last = len(body["messages"]) - 1
    for index, message in enumerate(body["messages"]):
        yield from _turn(message, f"messages.{index}", last=index == last)


def _plain(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with members that are no prompt."""
    if not isinstance(body["model"], str):
        yield "model: Input should be a valid string"
    elif not body["model"]:
        yield "model: String should have at least 1 character"
    most = body.get("max_tokens", 0)
    if not isinstance(most, int) or isinstance(most, bool):
        yield "max_tokens: Input should be a valid integer"
    elif most < 0:
        yield "max_tokens: Input should be greater than or equal to 0"
    for name in ("tools", "stop_sequences"):
        if not isinstance(body.get(name), list | None):
            yield f"{name}: Input should be a valid list"


def _turn(message: Any, at: str, *, last: bool) -> Iterator[str]:
    """Yield what is wrong with the shape of one message."""
    if not isinstance(message, Mapping):
        yield f"{at}: {_NO_OBJECT}"
        return
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        said = "Input should be 'user' or 'assistant'" if "role" in message else "Field required"
        yield f"{at}.role: {said}"
    if not isinstance(content, str | list):
        said = "Input should be a valid list" if "content" in message else "Field required"
        yield f"{at}.content: {said}"
    elif not content and not (last and role == "assistant"):
        yield (
            f"{at}: all messages must have non-empty content except for the optional final"
            " assistant message"
        )
    for number, block in enumerate(content if isinstance(content, list) else ()):
        yield from _block(block, f"{at}.content.{number}")


def _block(block: Any, at: str) -> Iterator[str]:
    """Yield what is wrong with one content block."""
    if not isinstance(block, Mapping):
        yield f"{at}: {_NO_OBJECT}"
    elif "type" not in block:
        yield f"{at}: Unable to extract tag using discriminator 'type'"
    elif block["type"] == "text" and not isinstance(block.get("text"), str):
        yield f"{at}.text.text: Field required"


def _conversation(messages: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield tool calls that nobody answers, and answers to what nobody called.

    Messages of one role in a row are one turn to the service.
    """
    spoken = [entry for entry in enumerate(messages) if entry[1]["role"] != "system"]
    called: set[str] = set()
    before = 0
    for role, run in groupby(spoken, key=lambda entry: entry[1]["role"]):
        turn = list(run)
        if role == "assistant":
            called, before = (
                {str(block.get("id")) for _, block in _of(turn, "tool_use")},
                turn[-1][0],
            )
            continue
        for index, block in _of(turn, "tool_result"):
            if str(block.get("tool_use_id")) not in called:
                yield _UNASKED.format(at=index, id=block.get("tool_use_id"))
        left = called - {str(block.get("tool_use_id")) for _, block in _of(turn, "tool_result")}
        if left:
            yield _UNANSWERED.format(at=before, ids=", ".join(sorted(left)))
        called = set()
    if called:
        yield _UNANSWERED.format(at=before, ids=", ".join(sorted(called)))


def _of(turn: list[tuple[int, Mapping[str, Any]]], kind: str) -> list[tuple[int, Any]]:
    """Return the blocks of one kind in a turn, each with its message's index."""
    return [
        (index, block)
        for index, message in turn
        if not isinstance(message["content"], str)
        for block in message["content"]
        if block.get("type") == kind
    ]


_NO_OBJECT: Final = "Input should be a valid dictionary or object to extract fields from"
_UNANSWERED: Final = (
    "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after:"
    " {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
    " message."
)
_UNASKED: Final = (
    "messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each"
    " `tool_result` block must have a corresponding `tool_use` block in the previous message."
)
