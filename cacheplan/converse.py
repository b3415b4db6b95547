"""A body of Bedrock's ``Converse`` as the body of ``POST /v1/messages`` that it stands for.

Bedrock turns one into the other before Claude sees it. The names are those of botocore
1.43 (its ``bedrock-runtime`` service, read 2026-11-21). A cache point is an item of its
own behind what it marks, where the API's mark is a member of the block. This file knows
both shapes, and nothing of logs or files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from cacheplan.errors import InputError
from cacheplan.kinds import refusal
from cacheplan.pieces import list_at, object_at
from cacheplan.strict_json import quoted, value

__all__ = ["OUTSIDE", "choice", "messages_body", "tools"]

_Path = tuple[str | int, ...]
_Block = dict[str, Any]

#: What Claude's fields may say on Bedrock that is a header, or nothing, in the API's body.
OUTSIDE: Final = frozenset({"anthropic_beta", "anthropic_version", "metadata"})
_INFERENCE: Final = {
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop_sequences",
}
#: Formats of documents that have another media type than ``application/<format>``.
_MEDIA: Final = {
    "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
    "doc": "application/msword", "xls": "application/vnd.ms-excel",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


def messages_body(body: Any, model: str) -> dict[str, Any]:
    """Return the body of ``/v1/messages`` for a body of ``Converse``.

    >>> point = {"cachePoint": {"type": "default", "ttl": "1h"}}
    >>> messages_body({"system": [{"text": "Be brief."}, point]}, "claude-opus-5-5")["system"]
    [{'type': 'text', 'text': 'Be brief.', 'cache_control': {'type': 'ephemeral', 'ttl': '1h'}}]
    """
    body = object_at(body, ())
    found: dict[str, Any] = {"model": model}
    inference = _object(body, "inferenceConfig", ())
    found |= {name: inference[key] for key, name in _INFERENCE.items() if _said(inference, key)}
    config = _object(body, "toolConfig", ())
    listed = tools(config.get("tools"), ("toolConfig", "tools"))
    if _said(config, "toolChoice"):
        found["tool_choice"] = choice(config["toolChoice"], ("toolConfig", "toolChoice"))
    if system := _marked(body.get("system"), ("system",), _block):
        found["system"] = system
    _add_extras(found, _object(body, "additionalModelRequestFields", ()), listed)
    if listed:
        found["tools"] = listed
    if _said(body, "outputConfig"):
        output = object_at(found.get("output_config") or {}, ())
        found["output_config"] = {**output, **_output(object_at(body["outputConfig"], ()))}
    found["messages"] = list(_messages(body.get("messages")))
    return found


def tools(items: Any, path: tuple[str | int, ...]) -> list[dict[str, Any]]:
    """Return a list of tools as the API is told of them, each with the mark that stands behind.

    >>> tools([{"systemTool": {"name": "grounding"}}, {"cachePoint": {"type": "default"}}], ())
    [{'type': 'grounding', 'name': 'grounding', 'cache_control': {'type': 'ephemeral'}}]
    """
    return _marked(items, path, _tool)


def _add_extras(found: dict[str, Any], extras: Mapping[str, Any], tools: list[_Block]) -> None:
    """Add Claude's own fields, which go to it as they are; its own tools come last."""
    path = ("additionalModelRequestFields", "tools")
    for index, tool in enumerate(list_at(extras.get("tools") or [], path)):
        tools.append(dict(object_at(tool, (*path, index))))
    found |= {key: part for key, part in extras.items() if key not in OUTSIDE | {"tools"}}


def _said(holder: Mapping[str, Any], key: str) -> bool:
    """Tell whether a member is there; logs may write null for what was left out."""
    return holder.get(key) is not None


def _object(holder: Mapping[str, Any], key: str, path: _Path) -> Mapping[str, Any]:
    """Return a member that is an object; left out, it is empty."""
    return object_at(holder[key], (*path, key)) if _said(holder, key) else {}


def _only(item: Any, path: _Path) -> tuple[str, Any]:
    """Return the one member that says what an item is, and its name."""
    said = [(key, part) for key, part in object_at(item, path).items() if part is not None]
    if len(said) != 1:
        names = ", ".join(key for key, _ in said) or "nothing"
        raise InputError(f"this has to be one thing, and is {names}", path)
    return said[0]


def _messages(messages: Any) -> Iterator[_Block]:
    """Yield the messages with their blocks."""
    for index, message in enumerate(list_at(messages or [], ("messages",))):
        path = ("messages", index)
        role = object_at(message, path).get("role")
        yield {"role": role, "content": _marked(message.get("content"), (*path, "content"), _block)}


def _marked(items: Any, path: _Path, read: Callable[[str, Any, _Path], _Block]) -> list[_Block]:
    """Read items, and put each cache point on the block before it.

    Where that one takes no mark, as thinking does not, it is the one before that; a point
    with no block before it in its list marks nothing.
    """
    blocks: list[_Block] = []
    for index, item in enumerate(list_at(items or [], path)):
        name, part = _only(item, (*path, index))
        where = (*path, index, name)
        if name != "cachePoint":
            blocks.append(read(name, part, where))
            continue
        control = _control(part, where)
        for block in reversed(blocks):
            if not refusal(block):
                block["cache_control"] = control
                break
    return blocks


def _control(point: Any, path: _Path) -> _Block:
    """Return a cache point as the API's mark."""
    kind = object_at(point, path).get("type")
    if kind != "default":
        raise InputError(f"{quoted(kind)} is not default", (*path, "type"))
    ttl = {"ttl": point["ttl"]} if _said(point, "ttl") else {}
    return {"type": "ephemeral", **ttl}


def _tool(name: str, part: Any, path: _Path) -> _Block:
    """Read one tool; what is no definition is a tool of the service's own."""
    part = object_at(part, path)
    if name != "toolSpec":
        return {"type": part.get("name") or name, "name": part.get("name") or name}
    tool: _Block = {"name": part.get("name")}
    tool |= {key: part[key] for key in ("description", "strict") if _said(part, key)}
    return {**tool, "input_schema": _object(part, "inputSchema", path).get("json")}


def choice(found: Any, path: tuple[str | int, ...]) -> dict[str, Any]:
    """Return which tool has to be used, as the API is told.

    >>> choice({"tool": {"name": "light"}}, ())
    {'type': 'tool', 'name': 'light'}
    """
    name, part = _only(found, path)
    return {"type": name, **object_at(part, (*path, name))}


def _output(config: Mapping[str, Any]) -> _Block:
    """Read in which form the answer has to be; its schema is JSON inside a string."""
    path: _Path = ("outputConfig",)
    for key in ("textFormat", "structure", "jsonSchema"):
        config = _object(config, key, path)
        path = (*path, key)
    schema = config.get("schema")
    if not isinstance(schema, str):
        return {}
    try:
        return {"format": {"type": "json_schema", "schema": value(schema.encode())}}
    except (InputError, UnicodeEncodeError) as error:
        raise InputError("this is not JSON", (*path, "schema")) from error


# --- blocks ----------------------------------------------------------------------------


def _block(name: str, part: Any, path: _Path) -> _Block:
    """Read one block; a kind that nobody listed stays what it is, under its own name."""
    if name == "text":
        return {"type": "text", "text": part}
    read = _KINDS.get(name)
    holder = object_at(part, path)
    return {**holder, "type": name} if read is None else read(holder, path)


def _image(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read an image."""
    return {"type": "image", "source": _source(part, f"image/{part.get('format')}", path)}


def _document(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read a document."""
    form = str(part.get("format") or "pdf")
    source = _source(part, _MEDIA.get(form, f"application/{form}"), path)
    block: _Block = {"type": "document", "source": source}
    said = {"title": "name", "context": "context", "citations": "citations"}
    return block | {key: part[name] for key, name in said.items() if _said(part, name)}


def _source(part: Mapping[str, Any], media: str, path: _Path) -> _Block:
    """Read where a picture or a document comes from."""
    name, found = _only(part.get("source"), (*path, "source"))
    if name == "text":
        return {"type": "text", "media_type": "text/plain", "data": found}
    if name == "content":
        return {"type": "content", "content": _inner(found, (*path, "source", name))}
    if name == "bytes":
        return {"type": "base64", "media_type": media, "data": found}
    return {"type": "url", "url": object_at(found, (*path, "source", name)).get("uri")}


def _inner(items: Any, path: _Path) -> list[_Block]:
    """Read the blocks inside a block."""
    blocks = []
    for index, item in enumerate(list_at(items or [], path)):
        name, part = _only(item, (*path, index))
        if name == "json":
            blocks.append({"type": "text", "text": json.dumps(part, ensure_ascii=False)})
        else:
            blocks.append(_block(name, part, (*path, index, name)))
    return blocks


def _tool_use(part: Mapping[str, Any], _: _Path) -> _Block:
    """Read the use of a tool."""
    kind = "server_tool_use" if part.get("type") == "server_tool_use" else "tool_use"
    named = {"id": part.get("toolUseId"), "name": part.get("name")}
    return {"type": kind, **named, "input": part.get("input")}


def _tool_result(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read what a tool answered."""
    content = _inner(part.get("content"), (*path, "content"))
    block = {"type": "tool_result", "tool_use_id": part.get("toolUseId"), "content": content}
    return block | ({"is_error": True} if part.get("status") == "error" else {})


def _thinking(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read what was thought, in the clear or not."""
    if _said(part, "redactedContent"):
        return {"type": "redacted_thinking", "data": part["redactedContent"]}
    text = _object(part, "reasoningText", path)
    return {"type": "thinking", "thinking": text.get("text"), "signature": text.get("signature")}


def _guarded(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read what a guardrail looks at: the model reads the text or the image in it."""
    name, found = _only(part, path)
    if name == "text":
        return {"type": "text", "text": object_at(found, (*path, name)).get("text")}
    return _block(name, found, (*path, name))


def _cited(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read text with what it cites; the citations themselves are the service's."""
    texts = [
        str(object_at(item, (*path, "content", index)).get("text") or "")
        for index, item in enumerate(list_at(part.get("content") or [], (*path, "content")))
    ]
    return {"type": "text", "text": "".join(texts)}


def _search_result(part: Mapping[str, Any], path: _Path) -> _Block:
    """Read a search result, whose texts have no name around them."""
    texts = list_at(part.get("content") or [], (*path, "content"))
    said = {key: part[key] for key in ("source", "title", "citations") if _said(part, key)}
    content = [
        {"type": "text", "text": object_at(text, (*path, "content", index)).get("text")}
        for index, text in enumerate(texts)
    ]
    return {"type": "search_result", **said, "content": content}


#: How each kind of block is read, but text.
_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any], _Path], _Block]]] = {
    "image": _image,
    "document": _document,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _thinking,
    "guardContent": _guarded,
    "citationsContent": _cited,
    "searchResult": _search_result,
}
