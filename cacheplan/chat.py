"""Prompts written as OpenAI's chat API takes them, told as Messages bodies.

Gateways and frameworks keep the one form and send the other. What counts is that the
prefix is the one the service saw, so a prompt is translated the way LiteLLM does it, which
sends most of them (1.106.2, read and run 2026-11-21), and what of it stands in Anthropic's
form already is left as it is.

* What system and developer say first is ``system``; what they say later stays where it
  stands, since to hoist it would break the prefix of all that was said before.
* Neighbours of one role are one message; the result of a tool is something the user says.
* A mark on a message goes to its block where it has one: its content is text, or it is a
  tool's result. Marks on parts stay on their parts.
* What Claude is never told (audio, refusals, thinking without its signature) is left out.

Lists and objects in, dictionaries out; what fits neither form is an ``InputError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any, Final

from cacheplan import tooling
from cacheplan.errors import InputError
from cacheplan.pieces import list_at, object_at
from cacheplan.strict_json import quoted, value

__all__ = ["as_body"]

_Path = tuple[str | int, ...]
_Block = dict[str, Any]

#: Who says it to Claude, by who says it there.
_ROLES: Final[Mapping[str, str]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "tool": "user",
    "function": "user",
    "assistant": "assistant",
}
_RESULTS: Final = frozenset({"tool", "function"})
#: Text, in the words of the chat API and of OpenAI's later one.
_TEXT: Final = frozenset({"text", "input_text", "output_text"})
_IMAGES: Final = frozenset({"image_url", "input_image"})
_UNTOLD: Final = frozenset({"input_audio", "refusal"})
#: What else a text block of Anthropic's has; anything more is how a log decorates it.
_TEXT_KEYS: Final = ("cache_control", "citations")
#: Base64 of these is a document to Anthropic, of anything else an image.
_DOCUMENTS: Final = frozenset({"application/pdf", "text/plain"})
#: Anthropic's ids have none of these; LiteLLM puts underscores there.
_NOT_IN_IDS: Final = re.compile(r"[^a-zA-Z0-9_-]")
#: How ids of tools begin that the service itself runs.
_SERVED: Final = "srvtoolu_"


def as_body(
    model: str, messages: Sequence[Any], tools: Sequence[Any] | None = None, *, blank: str = ""
) -> dict[str, Any]:
    """Return the Messages body of a prompt in OpenAI's form.

    The API takes no empty text, so it is left out; where something sends other text in
    place of what user or assistant leave empty, that is ``blank``.

    >>> asked = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    >>> as_body("claude-opus-5-5", asked)["system"]
    [{'type': 'text', 'text': 'Be brief.'}]
    """
    system: list[_Block] = []
    said: list[dict[str, Any]] = []
    for at, message in enumerate(list_at(messages, ("messages",))):
        path = ("messages", at)
        role = _role(object_at(message, path), path)
        blocks = list(_blocks(message, path, blank))
        if role == "system" and not said:
            system += blocks
        elif blocks:
            _say(said, role, blocks)
    body: dict[str, Any] = {"model": model, "messages": said}
    if system:
        body["system"] = system
    return body | tooling.as_tools(tools)


def _role(message: Mapping[str, Any], path: _Path) -> str:
    """Return who says a message to Claude."""
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise InputError(f"{quoted(role)} is not one of {', '.join(_ROLES)}", (*path, "role"))
    return _ROLES[role]


def _say(said: list[dict[str, Any]], role: str, blocks: list[_Block]) -> None:
    """Add blocks to the newest message, or as a new one where another role spoke last.

    Some histories give a call of a tool twice, as content and beside it; ids are unique.
    """
    if not said or said[-1]["role"] != role:
        said.append({"role": role, "content": []})
    content = said[-1]["content"]
    used = {_used(block) for block in content} - {None}
    for block in blocks:
        name = _used(block)
        if name is None or name not in used:
            content.append(block)
        used.add(name)


def _used(block: Mapping[str, Any]) -> str | None:
    """Return the id of a call of a tool; other blocks have none."""
    name = block.get("id") if block["type"].endswith("tool_use") else None
    return name if isinstance(name, str) else None


def _blocks(message: Mapping[str, Any], path: _Path, blank: str) -> Iterator[_Block]:
    """Yield the blocks of one message."""
    role = message["role"]
    if role in _RESULTS:
        yield _result(message, path)
    elif role == "assistant":
        yield from _answer(message, path, blank)
    else:
        yield from _content(message, path, blank if role == "user" else "")


def _content(message: Mapping[str, Any], path: _Path, blank: str) -> Iterator[_Block]:
    """Yield the blocks of a message's content; nothing said is no block."""
    content, path = message.get("content"), (*path, "content")
    if isinstance(content, str):
        if blank if not content.strip() else content:
            yield _marked({"type": "text", "text": content if content.strip() else blank}, message)
        return
    for at, part in enumerate(list_at(content, path)):
        yield from _part(part, (*path, at), blank)


def _part(part: Any, path: _Path, blank: str) -> Iterator[_Block]:
    """Yield the block of one part; a part without one is something Claude is not told."""
    if isinstance(part, str):
        part = {"type": "text", "text": part}
    kind = object_at(part, path).get("type")
    if not isinstance(kind, str) or not kind:
        raise InputError("a part has a type", (*path, "type"))
    if kind in _TEXT:
        text = _text(part, "text", path)
        kept = {key: part[key] for key in _TEXT_KEYS if part.get(key) is not None}
        if blank if not text.strip() else text:
            yield {"type": "text", "text": text if text.strip() else blank, **kept}
    elif kind in _IMAGES:
        yield _marked(_image(part, path), part)
    elif kind == "file" and "file" in part:
        yield _marked(_file(object_at(part["file"], (*path, "file")), (*path, "file")), part)
    elif kind not in _UNTOLD and not (kind == "thinking" and not part.get("signature")):
        yield dict(part)


def _text(holder: Mapping[str, Any], key: str, path: _Path) -> str:
    """Insist on text."""
    found = holder.get(key)
    if not isinstance(found, str):
        raise InputError("this is not text", (*path, key))
    return found


def _marked(block: _Block, holder: Mapping[str, Any]) -> _Block:
    """Return a block with the mark of what it was made from."""
    mark = holder.get("cache_control")
    return block if mark is None else block | {"cache_control": mark}


def _image(part: Mapping[str, Any], path: _Path) -> _Block:
    """Return the block of an image."""
    found = part.get("image_url")
    if isinstance(found, Mapping):
        return _medium(_text(found, "url", (*path, "image_url")), found.get("format"), "image")
    return _medium(_text(part, "image_url", path), None, "image")


def _file(found: Mapping[str, Any], path: _Path) -> _Block:
    """Return the block of a file, which is sent along, stands at an address or is kept."""
    form = str(found.get("format") or "")
    if found.get("file_data"):
        return _medium(_text(found, "file_data", path), form, "document")
    name = _text(found, "file_id", path)
    if not form and name.startswith("http"):
        return _medium(name, None, "document")
    if form in _DOCUMENTS or form.startswith("image/"):
        kind = "document" if form in _DOCUMENTS else "image"
        return {"type": kind, "source": {"type": "file", "file_id": name}}
    return {"type": "container_upload", "file_id": name}


def _medium(url: str, form: Any, kind: str) -> _Block:
    """Return the block of what stands at an address, or is one itself as base64."""
    head, parted, data = url.partition(",")
    if not (parted and head.startswith("data:")):
        return {"type": kind, "source": {"type": "url", "url": url}}
    sort = str(form or "") or head.removeprefix("data:").split(";")[0]
    kind = "document" if sort in _DOCUMENTS else kind
    return {"type": kind, "source": {"type": "base64", "media_type": sort, "data": data}}


def _result(message: Mapping[str, Any], path: _Path) -> _Block:
    """Return the block of what a tool answered; empty text is an answer here."""
    content = message.get("content")
    if not isinstance(content, str):
        content = list(_content(message, path, ""))
    name = message.get("tool_call_id", message.get("name"))
    if not isinstance(name, str):
        raise InputError("this is not text", (*path, "tool_call_id"))
    result = {"type": "tool_result", "tool_use_id": _NOT_IN_IDS.sub("_", name), "content": content}
    return _marked(result, message)


def _answer(message: Mapping[str, Any], path: _Path, blank: str) -> Iterator[_Block]:
    """Yield the blocks of what the assistant said: thoughts, words, then calls of tools.

    Tools that the service ran while it answered stand between its thoughts, one each.
    """
    found = message.get("provider_specific_fields")
    more = found if isinstance(found, Mapping) else {}
    where: _Path = (*path, "provider_specific_fields", "compaction_blocks")
    yield from _listed(more.get("compaction_blocks"), where)
    thoughts = [
        block
        for block in _listed(message.get("thinking_blocks"), (*path, "thinking_blocks"))
        if block.get("signature") or block["type"] != "thinking"
    ]
    content = list(_content(message, path, blank))
    calls = list(_calls(message, more, path))
    if any(block["type"].endswith("thinking") for block in content):
        thoughts = []
    if thoughts and not isinstance(message.get("content"), list):
        served = [call for call in calls if call[0]["type"] == "server_tool_use"]
        calls = [call for call in calls if call[0]["type"] != "server_tool_use"]
        for thought, call in zip_longest(thoughts, served):
            yield from (thought,) if thought else ()
            yield from call or ()
        thoughts = []
    yield from chain(thoughts, content, *calls)


def _listed(found: Any, path: _Path) -> Iterator[_Block]:
    """Yield blocks that stand in Anthropic's form beside a message's content."""
    for at, block in enumerate(list_at(found, path)):
        kind = object_at(block, (*path, at)).get("type")
        if not isinstance(kind, str) or not kind:
            raise InputError("a block has a type", (*path, at, "type"))
        yield dict(block)


def _calls(
    message: Mapping[str, Any], more: Mapping[str, Any], path: _Path
) -> Iterator[list[_Block]]:
    """Yield each call of a tool, with its result where the service ran it."""
    results = {
        str(block.get("tool_use_id")): block
        for key in ("tool_results", "web_search_results")
        for block in _listed(more.get(key), (*path, "provider_specific_fields", key))
    }
    for at, call in enumerate(list_at(message.get("tool_calls"), (*path, "tool_calls"))):
        where: _Path = (*path, "tool_calls", at)
        if object_at(call, where).get("type", "function") != "function":
            continue  # LiteLLM sends no others.
        name = _text(call, "id", where)
        made = _call(object_at(call.get("function"), (*where, "function")), (*where, "function"))
        if name.startswith(_SERVED) and name in results:
            yield [{"type": "server_tool_use", "id": name, **made}, results[name]]
        else:
            used = {"type": "tool_use", "id": _NOT_IN_IDS.sub("_", name), **made}
            yield [_marked(used, call)]
    if message.get("function_call") is not None:
        where = (*path, "function_call")
        made = _call(object_at(message["function_call"], where), where)
        yield [{"type": "tool_use", "id": made["name"], **made}]


def _call(function: Mapping[str, Any], path: _Path) -> _Block:
    """Return what a tool is called with; its arguments are JSON written into text."""
    given = function.get("arguments")
    if isinstance(given, str):
        try:
            given = value(given.encode("utf-8", "surrogatepass")) if given.strip() else None
        except InputError as error:
            raise InputError(error.what, (*path, "arguments", *error.path)) from error
    if given is None:
        given = {}
    return {
        "name": _text(function, "name", path),
        "input": object_at(given, (*path, "arguments")),
    }
