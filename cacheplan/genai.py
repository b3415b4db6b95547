"""What OpenTelemetry's GenAI attributes say of a call, told as the API would be.

The conventions (0.66b2) and who writes them, run or read on 2026-11-21: the SDK's own
spans (anthropic 2.12), traceloop's opentelemetry-instrumentation-anthropic 0.40 and 0.62,
pydantic-ai 2.68, Vercel's AI SDK, Sentry.

* ``gen_ai.usage.input_tokens`` holds what was read and written. Names with a dot behind
  ``cache_read`` are the conventions', whose writers know that; those with underscores are
  older, and were used both ways, so the total has to tell.
* Which lifetime a write had only the SDK's spans say, and pydantic-ai of an hour.
* Prompts stand there only where that was switched on, as parts, as numbered attributes, or
  as events. None of them says where breakpoints stood, or which tool had to be chosen.
* The SDK never says which tools were sent. Traceloop and pydantic-ai do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from cacheplan import tooling
from cacheplan.chat import as_body
from cacheplan.counted import either, inclusive
from cacheplan.errors import InputError
from cacheplan.pieces import list_at, object_at
from cacheplan.spans import Span, count, decoded, text, tree
from cacheplan.spoken import Counted, Spoken
from cacheplan.strict_json import quoted

__all__ = ["heard", "is_call"]

_CALLS: Final = frozenset({"chat", "generate_content", "text_completion"})
#: How older spans say that they are a call, which have no operation.
_OLD: Final = frozenset({"chat", "completion"})
_VERCEL: Final = ("doGenerate", "doStream")

_INPUT: Final = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "ai.usage.promptTokens",
)
_OUTPUT: Final = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "ai.usage.completionTokens",
)
_TOTAL: Final = ("gen_ai.usage.total_tokens", "llm.usage.total_tokens")
_READ: Final = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "ai.usage.cachedInputTokens",
)
#: The first is the conventions' name, the second the SDK's.
_WRITTEN: Final = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
)
_SPLIT: Final = "anthropic.usage.cache_creation.ephemeral_{}_input_tokens"
#: pydantic-ai's; it leaves out what is 0.
_HOUR: Final = "gen_ai.usage.details.ephemeral_1h_input_tokens"
#: By whose source the input holds what was cached.
_SURE: Final = ("com.anthropic.sdk", "pydantic-ai", "cacheplan")
#: Names of attributes that only the conventions have, which say so as well.
_BY_CONVENTION: Final = (_READ[0], *_WRITTEN[:2])
#: Who tells which tools were sent wherever a prompt is told.
_TELLS_TOOLS: Final = ("opentelemetry.instrumentation.anthropic", "pydantic-ai")

_MESSAGES: Final = "gen_ai.input.messages"
_EVENT: Final = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")
#: Beyond a word of a few letters it may repeat what was sent.
_KIND: Final = re.compile(r"[A-Za-z0-9_.]{1,60}")


def is_call(span: Span) -> bool:
    """Tell whether a span is one call to a model, and not what made or holds several."""
    said = span.said
    operation = text(said, "gen_ai.operation.name", "operation.name")
    if operation in _CALLS:
        return True
    if text(said, "ai.operationId") is not None:
        return str(said["ai.operationId"]).endswith(_VERCEL)
    return operation is None and text(said, "llm.request.type") in _OLD


def heard(span: Span) -> Spoken:
    """Return what a span says of its call."""
    said = span.said
    lacks = {"marks", "settings"}
    model = text(said, "gen_ai.request.model", "gen_ai.response.model", "ai.model.id")
    body = _body(span, model or "", lacks)
    if span.cut or said.get("anthropic.content.truncated") is True:
        lacks.add("text")
    return Spoken(
        model=model,
        provider=text(said, "gen_ai.provider.name", "gen_ai.system", "ai.model.provider"),
        body=None if body is None else msgspec.json.encode(body | _settings(said)),
        lacks=frozenset(lacks),
        counted=_counted(span),
        message=text(said, "gen_ai.response.id", "ai.response.id"),
        session=text(
            said,
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
        ),
        label=text(said, "cacheplan.label", "gen_ai.agent.name"),
        workspace=text(said, "anthropic.workspace.id"),
        wait=said.get("gen_ai.response.time_to_first_chunk"),
        failed=_failure(span),
    )


def _failure(span: Span) -> str | None:
    """Return the sort of error that a call ended in."""
    if not span.failed:
        return None
    kind = text(span.said, "error.type") or ""
    return kind if _KIND.fullmatch(kind) else "error"


def _settings(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a body that are told besides the prompt."""
    found: dict[str, Any] = {}
    most = count(said, "gen_ai.request.max_tokens")
    if most is not None:
        found["max_tokens"] = most
    thinking = text(said, "anthropic.thinking.type")
    if thinking is not None:
        budget = count(said, "anthropic.thinking.budget_tokens")
        found["thinking"] = {"type": thinking} | ({"budget_tokens": budget} if budget else {})
    effort = text(said, "gen_ai.request.reasoning.level")
    return found | ({"output_config": {"effort": effort}} if effort else {})


def _counted(span: Span) -> Counted | None:
    """Return the usage; ``None`` where nothing was counted, or nothing but zeros."""
    said = span.said
    prompt, output = count(said, *_INPUT), count(said, *_OUTPUT)
    if prompt is None or not (prompt or output):
        return None
    read, written = count(said, *_READ), count(said, *_WRITTEN)
    short, long = (count(said, _SPLIT.format(lifetime)) for lifetime in ("5m", "1h"))
    if long is None and short is None:
        long = count(said, _HOUR)
    parts = {"read": read, "written": written, "short": short, "long": long}
    told = not written or short is not None or long is not None
    if span.scope.startswith(_SURE):
        return Counted(usage=inclusive(prompt, output, **parts), parted=told)
    usage, sure = either(prompt, output, count(said, *_TOTAL), **parts)
    sure = sure or any(said.get(name) is not None for name in _BY_CONVENTION)
    return Counted(usage=usage, sure=sure, parted=told)


def _body(span: Span, model: str, lacks: set[str]) -> dict[str, Any] | None:
    """Return the prompt as a body; ``None`` where none is told, or it was cut off."""
    found = decoded(span.said.get(_MESSAGES))
    if not isinstance(found, list):
        messages = _older(span)
        if not messages:
            return None
        body = as_body(model, messages)
    else:
        # Some write the chat API's messages under the conventions' name.
        plain = not any(isinstance(each, dict) and "parts" in each for each in found)
        body = as_body(model, found) if plain else _of_parts(found, lacks) | {"model": model}
        system = [*_instructions(span, lacks), *body.pop("system", ())]
        body |= {"system": system} if system else {}
    tools = _tools(span)
    if tools is not None:
        body |= tooling.as_tools(tools)
    elif not span.scope.startswith(_TELLS_TOOLS):
        lacks.add("tools")
    return body


def _instructions(span: Span, lacks: set[str]) -> list[dict[str, Any]]:
    """Return the system prompt where it stands by itself, as parts or as text."""
    found = decoded(span.said.get("gen_ai.system_instructions"))
    if not isinstance(found, str):
        return list(_blocks(found, ("gen_ai.system_instructions",), lacks))
    if found.startswith("["):
        lacks.add("text")
        return []
    return [{"type": "text", "text": found}] if found else []


def _of_parts(messages: list[Any], lacks: set[str]) -> dict[str, Any]:
    """Return a prompt that is told as messages of parts."""
    system: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    before = ""
    for at, message in enumerate(messages):
        path = (_MESSAGES, at)
        word = str(object_at(message, path).get("role"))
        parts = message.get("parts", message.get("content"))
        # Who puts a system prompt before messages of parts may put it there as plain text.
        parts = [{"type": "text", "content": parts}] if isinstance(parts, str) else parts
        blocks = list(_blocks(parts, (*path, "parts"), lacks))
        role = _role(word, path)
        if role == "system" and not said:
            system += blocks
        elif "tool" in (word, before) and said and said[-1]["role"] == role:
            said[-1]["content"] += blocks
        elif blocks:
            said.append({"role": role, "content": blocks})
        before = word
    return {"messages": said} | ({"system": system} if system else {})


def _role(word: str, path: tuple[str | int, ...]) -> str:
    """Return who says a message to Claude, who is never told of tools as speakers."""
    if word in ("user", "assistant", "system"):
        return word
    if word in ("tool", "developer", "model"):
        return {"tool": "user", "developer": "system", "model": "assistant"}[word]
    raise InputError(f"{quoted(word)} is nobody who speaks", (*path, "role"))


def _blocks(parts: Any, path: tuple[str | int, ...], lacks: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the blocks that parts are; of what is not told, only that it is missing."""
    for at, part in enumerate(list_at(parts, path)):
        block = _block(object_at(part, (*path, at)))
        if block is None:
            lacks.add("text")
        else:
            yield block


def _block(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the block of one part; ``None`` if it does not say what it was."""
    kind, content = part.get("type"), part.get("content")
    if kind == "text":
        return {"type": "text", "text": content} if isinstance(content, str) else None
    if kind in ("reasoning", "thinking"):
        thought = {"type": "thinking", "thinking": content, "signature": ""}
        return thought if isinstance(content, str) else None
    if kind == "tool_call":
        given = decoded(part.get("arguments"))
        used = {"type": "tool_use", "id": part.get("id"), "name": part.get("name")}
        told = isinstance(given, dict) and isinstance(used["name"], str)
        return used | {"input": given} if told else None
    if kind == "tool_call_response":
        return _result(part)
    if kind in ("blob", "uri", "file"):
        return _medium(part)
    # What traceloop knows no part for, it leaves in the API's own form.
    bare = not isinstance(kind, str) or kind.startswith("anthropic_") or len(part) == 1
    return None if bare else dict(part)


def _result(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a tool answered, if it is told whole."""
    content = part.get("response", part.get("result"))
    if isinstance(content, list):
        if any(not isinstance(each, dict) or len(each) == 1 for each in content):
            return None
    elif content is not None and not isinstance(content, str):
        content = msgspec.json.encode(content).decode()
    if content is None or not isinstance(part.get("id"), str):
        return None
    return {"type": "tool_result", "tool_use_id": part["id"], "content": content}


def _medium(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a picture or a document, if it is told what or where it is."""
    block = "image" if part.get("modality") == "image" else "document"
    if isinstance(part.get("uri"), str):
        return {"type": block, "source": {"type": "url", "url": part["uri"]}}
    if isinstance(part.get("file_id"), str):
        return {"type": block, "source": {"type": "file", "file_id": part["file_id"]}}
    sort, data = part.get("mime_type"), part.get("content")
    if isinstance(sort, str) and isinstance(data, str) and data:
        source = {"type": "base64", "media_type": sort, "data": data}
        return {"type": block, "source": source}
    return None


def _tools(span: Span) -> list[Any] | None:
    """Return the definitions of tools, in any form; ``None`` where none are told."""
    found = decoded(span.said.get("gen_ai.tool.definitions"))
    if isinstance(found, list):
        return found
    listed = tree(span.said, "llm.request.functions")
    if not isinstance(listed, list):
        return None
    keys = ("input_schema", "parameters")
    return [
        {key: decoded(part) if key in keys else part for key, part in each.items()}
        for each in listed
        if isinstance(each, dict)
    ]


def _older(span: Span) -> list[Any]:
    """Return a prompt as messages in the chat API's form, from numbered attributes or events."""
    numbered = tree(span.said, "gen_ai.prompt")
    if isinstance(numbered, list):
        return [_numbered(each) for each in numbered if isinstance(each, dict)]
    listed = decoded(span.said.get("events"))
    events = list(span.events)
    if isinstance(listed, list):
        events += [(str(each.get("event.name")), each) for each in listed if isinstance(each, dict)]
    found: list[Any] = []
    for name, about in events:
        if name == "gen_ai.content.prompt":
            inner = decoded(about.get("gen_ai.prompt"))
            found += inner if isinstance(inner, list) else []
        elif told := _EVENT.fullmatch(name):
            keys = ("content", "tool_calls", "name")
            message = {key: decoded(about[key]) for key in keys if about.get(key) is not None}
            if told[1] == "tool":
                message["tool_call_id"] = about.get("id")
            found.append({"role": about.get("role") or told[1]} | message)
    return found


def _numbered(found: dict[str, Any]) -> dict[str, Any]:
    """Return one message of numbered attributes; blocks stand there as JSON."""
    content = decoded(found.get("content"))
    if not (isinstance(content, list) and all(isinstance(each, dict) for each in content)):
        content = found.get("content")
    calls = [
        {"id": each.get("id"), "type": "function", "function": each}
        for each in list_at(found.get("tool_calls"), ("tool_calls",))
        if isinstance(each, dict)
    ]
    answered = {"tool_call_id": found["tool_call_id"]} if "tool_call_id" in found else {}
    return {"role": found.get("role"), "content": content, "tool_calls": calls} | answered
