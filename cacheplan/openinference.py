"""What OpenInference's attributes say of a call, told as the API would be.

The conventions (0.1.42) and openinference-instrumentation-anthropic 3.1.0, run 2026-11-21;
Phoenix, Arize and others keep them.

* ``input.value`` holds the arguments of the call as JSON: for Anthropic's instrumentation
  the exact body, breakpoints included, unless inputs are hidden. Other instrumentations
  write there whatever they were called with; then the numbered messages are read, which
  have lost the breakpoints, and of several results of tools all but one id.
* ``llm.token_count.prompt`` holds what was read and written, and does not part what was
  written by lifetime. ``output.value`` may be the API's own answer, which does. Where
  neither says, breakpoints that all ask for one lifetime do: nothing else can be written.
* What is hidden says ``__REDACTED__``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cacheplan.chat import as_body
from cacheplan.counted import exclusive, inclusive
from cacheplan.marked import lifetimes_of
from cacheplan.spans import Span, count, decoded, text, tree
from cacheplan.spoken import Counted, Spoken

__all__ = ["heard", "is_call"]

_HIDDEN: Final = "__REDACTED__"
_PROMPT: Final = "llm.token_count.prompt"
_DETAILS: Final = "llm.token_count.prompt_details"
_ANSWERED: Final = "llm.token_count.completion"
#: A body that is in no other API's form: what else stands here is some function's arguments.
_BODY: Final = ("model", "messages", "max_tokens")
_OURS: Final = frozenset({"user", "assistant"})


def is_call(span: Span) -> bool:
    """Tell whether a span is one call to a model."""
    return span.said.get("openinference.span.kind") == "LLM"


def heard(span: Span) -> Spoken:
    """Return what a span says of its call."""
    said = span.said
    model = text(said, "llm.request.model_name", "llm.model_name", "llm.response.model_name")
    lacks: set[str] = set()
    given = said.get("input.value")
    body = _exact(decoded(given))
    raw: bytes | None = None
    if body is not None and isinstance(given, str):
        raw = given.encode("utf-8", "replace")
        # As it was sent: the bytes of the text, and not what they decode to.
    else:
        body = _told(said, model or "", lacks)
        raw = None if body is None else msgspec.json.encode(body)
    if span.cut or (raw is not None and _HIDDEN.encode() in raw):
        lacks.add("text")
    answer = decoded(said.get("output.value"))
    return Spoken(
        model=model,
        provider=text(said, "llm.provider", "llm.system"),
        body=raw,
        lacks=frozenset(lacks),
        counted=_counted(said, answer, None if "marks" in lacks else body),
        message=_name(answer),
        session=text(said, "session.id"),
        label=text(said, "cacheplan.label", "agent.name"),
        failed="error" if span.failed else None,
    )


def _exact(found: Any) -> dict[str, Any] | None:
    """Return the arguments of a call if they are a body of the Messages API."""
    if not isinstance(found, dict) or any(key not in found for key in _BODY):
        return None
    messages, tools = found["messages"], found.get("tools")
    if not isinstance(messages, list) or not messages:
        return None
    role = messages[0].get("role") if isinstance(messages[0], dict) else None
    wrapped = isinstance(tools, list) and any(
        isinstance(tool, dict) and "function" in tool for tool in tools
    )
    return found if isinstance(role, str) and role in _OURS and not wrapped else None


def _name(answer: Any) -> str | None:
    """Return the id of an answer."""
    found = answer.get("id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else None


def _counted(said: Mapping[str, Any], answer: Any, body: Any) -> Counted | None:
    """Return the usage: the answer's own, where it agrees with what the span counts."""
    prompt, output = count(said, _PROMPT), count(said, _ANSWERED)
    own = _usage(answer)
    whole = own and sum(
        own[key]
        for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    if own and prompt in (None, whole):
        return Counted(usage=own, parted="cache_creation" in own or not _written(own))
    if prompt is None or not (prompt or output):
        return None
    read, written = count(said, f"{_DETAILS}.cache_read"), count(said, f"{_DETAILS}.cache_write")
    asked = lifetimes_of(body) if written and isinstance(body, dict) else set()
    long = written if asked == {"1h"} else None
    usage = inclusive(prompt, output, read=read, written=written, long=long)
    return Counted(usage=usage, parted=not written or len(asked) == 1)


def _written(usage: Mapping[str, Any]) -> int:
    """Return how much was written."""
    return int(usage["cache_creation_input_tokens"])


def _usage(answer: Any) -> dict[str, Any] | None:
    """Return the usage of an answer in the API's own form."""
    found = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(found, dict) or "input_tokens" not in found or "output_tokens" not in found:
        return None
    split = found.get("cache_creation")
    parted = split if isinstance(split, dict) else {}
    return exclusive(
        count(found, "input_tokens"),
        count(found, "output_tokens"),
        read=count(found, "cache_read_input_tokens"),
        written=count(found, "cache_creation_input_tokens"),
        short=count(parted, "ephemeral_5m_input_tokens"),
        long=count(parted, "ephemeral_1h_input_tokens"),
    )


def _told(said: Mapping[str, Any], model: str, lacks: set[str]) -> dict[str, Any] | None:
    """Return the body that numbered attributes say; ``None`` where they say none."""
    listed = tree(said, "llm.input_messages")
    listed = decoded(listed)
    if not isinstance(listed, list):
        return None
    lacks.add("marks")
    messages = [_message(_inner(each, "message"), lacks) for each in listed]
    defined = tree(said, "llm.tools")
    tools: list[Any] = []
    for each in defined if isinstance(defined, list) else ():
        tool = decoded(_inner(each, "tool").get("json_schema"))
        tools += [tool] if isinstance(tool, dict) else []
    if not tools:
        lacks.add("tools")
    settings = decoded(said.get("llm.invocation_parameters"))
    if not isinstance(settings, dict):
        lacks.add("settings")
        settings = {}
    kept = {key: settings[key] for key in _SETTINGS if settings.get(key) is not None}
    return as_body(model, messages, tools) | kept


#: Members of a body that decide what a prompt is, or can be read; the rest may hold keys.
_SETTINGS: Final = ("max_tokens", "thinking", "tool_choice", "output_config", "speed")


def _inner(each: Any, key: str) -> dict[str, Any]:
    """Return what stands under a key that every member of a list has; nothing otherwise."""
    found = each.get(key) if isinstance(each, dict) else None
    return found if isinstance(found, dict) else {}


def _message(found: Mapping[str, Any], lacks: set[str]) -> dict[str, Any]:
    """Return one message in the chat API's form."""
    contents = found.get("contents")
    content: Any = found.get("content")
    if isinstance(contents, list):
        content = [block for each in contents for block in _block(each, lacks)]
    elif isinstance(content, str) and content.startswith("[{"):
        inner = decoded(content)
        whole = isinstance(inner, list) and all(
            isinstance(each, dict) and isinstance(each.get("type"), str) for each in inner
        )
        content = inner if whole else content
    calls = [
        {"id": call.get("id"), "type": "function", "function": call.get("function")}
        for each in found.get("tool_calls") or ()
        for call in (_inner(each, "tool_call"),)
    ]
    answered = {"tool_call_id": found["tool_call_id"]} if "tool_call_id" in found else {}
    return {"role": found.get("role"), "content": content, "tool_calls": calls} | answered


def _block(each: Any, lacks: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the block of one content; nothing where it does not say what it was."""
    found, call = _inner(each, "message_content"), _inner(each, "tool_call")
    kind, words = found.get("type"), found.get("text")
    url = _inner(_inner(found, "image"), "image").get("url") or _inner(found, "image").get("url")
    function = _inner(call, "function")
    if kind == "text" and isinstance(words, str):
        yield {"type": "text", "text": words}
    elif kind == "reasoning" and isinstance(words, str):
        yield {"type": "thinking", "thinking": words, "signature": found.get("signature") or ""}
    elif kind == "reasoning" and isinstance(found.get("data"), str):
        yield {"type": "redacted_thinking", "data": found["data"]}
    elif kind == "tool_use" and isinstance(decoded(function.get("arguments")), dict):
        name, given = function.get("name"), decoded(function["arguments"])
        yield {"type": "tool_use", "id": call.get("id"), "name": name, "input": given}
    elif kind == "image" and isinstance(url, str) and url != _HIDDEN:
        yield {"type": "image_url", "image_url": url}
    elif isinstance(block := decoded(words), dict) and isinstance(block.get("type"), str):
        yield block
    else:
        lacks.add("text")
