"""Messages as LangChain writes them out, told in the form of the chat API.

LangChain writes a message as a constructor with its arguments (``lc: 1``), as its kind
with its ``data``, or flat; callbacks of others write it with a ``role``. ``ChatAnthropic``
makes of them what it sends (langchain-anthropic 1.7.7, read and run 2026-11-21), and what
counts is that: results of tools are something the user says, the mark on a part of one
stands on the whole, calls of tools that stand beside the content come after it, and of a
block only the members go out that the API knows. ``chat`` makes a body of the rest.

Lists and objects in, dictionaries out; what is none of these is an ``InputError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cacheplan import converse
from cacheplan.errors import InputError
from cacheplan.pieces import list_at, object_at
from cacheplan.strict_json import quoted, value

__all__ = ["as_chat", "as_settings"]

_Path = tuple[str | int, ...]
_Block = dict[str, Any]

#: Who says it in the chat API, by LangChain's kinds and by roles themselves.
_ROLES: Final[Mapping[str, str]] = {
    "ai": "assistant",
    "assistant": "assistant",
    "developer": "developer",
    "function": "function",
    "human": "user",
    "system": "system",
    "tool": "tool",
    "user": "user",
}
_MARK: Final = "cache_control"
_CALLED: Final = ("type", "id", "input", "name", "server_name", _MARK)
_ANSWERED: Final = ("type", "content", "tool_use_id", "is_error", _MARK, "retrieved_at")
#: By kind of block: the members that are sent. Blocks of other kinds are sent whole.
_SENT: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("type", "text", _MARK, "citations"),
    "thinking": ("type", "thinking", "signature", _MARK),
    "redacted_thinking": ("type", "data", _MARK),
    "server_tool_use": _CALLED,
    "mcp_tool_use": _CALLED,
    "tool_search_tool_result": _ANSWERED,
    "code_execution_tool_result": _ANSWERED,
    "bash_code_execution_tool_result": _ANSWERED,
    "text_editor_code_execution_tool_result": _ANSWERED,
    "mcp_tool_result": _ANSWERED,
    "web_search_tool_result": _ANSWERED,
    "web_fetch_tool_result": _ANSWERED,
}
#: LangChain's own blocks for what Claude takes as an image or as a document.
_MEDIA: Final[Mapping[str, str]] = {
    "image": "image",
    "file": "document",
    "text-plain": "document",
}
_BESIDE: Final = (_MARK, "citations", "title", "context")
#: Members of a body that callers give as arguments. Keys to servers are among those that
#: are left behind.
_SETTINGS: Final = frozenset(
    {
        "cache_control", "container", "context_management", "inference_geo", "max_tokens",
        "output_config", "output_format", "service_tier", "speed", "stop_sequences", "system",
        "temperature", "thinking", "tool_choice", "top_k", "top_p",
    }
)  # fmt: skip
#: The words of ``Converse`` for which tool has to be used.
_CHOICES: Final = frozenset({"auto", "any", "tool"})
#: What other providers' models said to themselves: not sent to Claude.
_UNSENT: Final = frozenset({"function_call", "invalid_tool_call", "tool_call_chunk"})


def as_chat(messages: Any, path: _Path = ("messages",)) -> list[dict[str, Any]]:
    """Return a prompt's messages as the chat API has them; one list inside a list is opened.

    >>> said = {"lc": 1, "id": ["langchain", "HumanMessage"], "kwargs": {"content": "Hi"}}
    >>> as_chat([[said]])
    [{'role': 'user', 'content': 'Hi'}]
    """
    found = list_at(messages, path)
    if found and all(isinstance(batch, list) for batch in found):
        if len(found) > 1:
            raise InputError("several prompts in one call", path)
        found, path = found[0], (*path, 0)
    return [_message(entry, (*path, at)) for at, entry in enumerate(found)]


def as_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a body that the arguments of a call say; tools are not among them.

    >>> as_settings({"max_tokens": 9, "stop": ["."], "effort": "low", "_type": "anthropic-chat"})
    {'max_tokens': 9, 'stop_sequences': ['.'], 'output_config': {'effort': 'low'}}
    """
    more = given.get("model_kwargs")
    found = {**(more if isinstance(more, dict) else {}), **given}
    told = {key: found[key] for key in found if key in _SETTINGS and found[key] is not None}
    choice = told.get("tool_choice")
    if isinstance(choice, dict) and len(choice) == 1 and not _CHOICES.isdisjoint(choice):
        told["tool_choice"] = converse.choice(choice, ("tool_choice",))
    if found.get("stop"):
        told.setdefault("stop_sequences", found["stop"])
    effort = found.get("effort") or found.get("reasoning_effort")
    output = told.get("output_config") or {}
    if effort and isinstance(output, dict):
        told["output_config"] = {**output, "effort": effort}
    return told


def _message(entry: Any, path: _Path) -> dict[str, Any]:
    """Return one message."""
    if isinstance(entry, str):
        return {"role": "user", "content": entry}
    kind, said = _opened(object_at(entry, path), path)
    found = said.get("role") if kind == "chat" else kind
    if not isinstance(found, str) or found not in _ROLES:
        raise InputError(f"{quoted(found)} is no kind of message", path)
    role = _ROLES[found]
    if role == "tool" and ("tool_call_id" in said or isinstance(said.get("content"), list)):
        return {"role": "user", "content": _results(said, path)}
    content = said.get("content")
    if isinstance(content, list):
        content = list(_blocks(content, (*path, "content")))
    if role == "assistant":
        return _answer(said, content, path)
    if role == "function":
        return {"role": role, "name": said.get("name"), "content": content}
    told: dict[str, Any] = {"role": role, "content": content}
    return told | ({_MARK: said[_MARK]} if said.get(_MARK) else {})


def _opened(entry: Mapping[str, Any], path: _Path) -> tuple[Any, Mapping[str, Any]]:
    """Return the kind of a message, and what holds its content."""
    if "lc" in entry:
        names = list_at(entry.get("id"), (*path, "id"))
        if "kwargs" not in entry:
            raise InputError("LangChain could not write this message out", path)
        said = object_at(entry["kwargs"], (*path, "kwargs"))
        return _named(names[-1] if names else None), said
    if "role" in entry:
        return entry["role"], entry
    said = object_at(entry["data"], (*path, "data")) if "data" in entry else entry
    return _named(entry.get("type")), said


def _named(name: Any) -> Any:
    """Return the kind of message behind a class's name; streams are put together of chunks."""
    if not isinstance(name, str):
        return name
    return name.removesuffix("Chunk").removesuffix("Message").lower()


def _results(said: Mapping[str, Any], path: _Path) -> list[_Block]:
    """Return what a tool answered; the API takes a mark on the whole, not on its parts."""
    content, mark = said.get("content"), said.get(_MARK)
    if isinstance(content, list):
        if content and all(_kind(block) == "tool_result" for block in content):
            return list(_blocks(content, (*path, "content")))
        content = []
        for block in _blocks(said["content"], (*path, "content")):
            mark = block.get(_MARK) or mark
            content.append({key: block[key] for key in block if key != _MARK})
    result: _Block = {"type": "tool_result", "tool_use_id": said.get("tool_call_id")}
    result["content"] = content
    if "status" in said:
        result["is_error"] = said["status"] == "error"
    return [result | ({_MARK: mark} if mark else {})]


def _answer(said: Mapping[str, Any], content: Any, path: _Path) -> dict[str, Any]:
    """Return what the model said, with its calls of tools where they are sent."""
    calls: list[_Block] = []
    others: list[Any] = []
    for key in ("tool_calls", "invalid_tool_calls"):
        for at, call in enumerate(list_at(said.get(key), (*path, key))):
            if isinstance(call, dict) and "args" in call:
                calls.append(_used(call, (*path, key, at)))
            elif key == "tool_calls":
                others.append(call)
    told: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        if isinstance(content, str):
            content = [content] if content else []
        known = {call["id"]: call for call in calls}
        blocks = [_preferred(block, known) for block in list_at(content, (*path, "content"))]
        used = [block.get("id") for block in blocks if isinstance(block, dict)]
        told["content"] = [*blocks, *(call for call in calls if call["id"] not in used)]
    return told | ({"tool_calls": others} if others else {})


def _preferred(block: Any, known: Mapping[Any, _Block]) -> Any:
    """Return a call as it stands beside the content, where it does: that one is sent."""
    name = block.get("id") if _kind(block) == "tool_use" else None
    if not isinstance(name, str) or name not in known or block.get("caller"):
        return block
    return known[name] | {key: block[key] for key in ("toolset_name",) if key in block}


def _used(call: Mapping[str, Any], path: _Path) -> _Block:
    """Return the block of a call; what a model wrote wrongly counts as no arguments."""
    name = call.get("id")
    if not isinstance(name, str):
        raise InputError("a call of a tool has an id", (*path, "id"))
    return {"type": "tool_use", "id": name, "name": call.get("name"), "input": _input(call["args"])}


def _input(given: Any) -> Any:
    """Return what a tool is called with, which may be JSON that came in pieces."""
    if isinstance(given, str):
        try:
            given = value(given.encode("utf-8", "surrogatepass")) if given.strip() else {}
        except InputError:
            return {}
    return given if isinstance(given, dict) else {}


def _blocks(content: Sequence[Any], path: _Path) -> Iterator[Any]:
    """Yield the blocks of a content, each with the members that are sent."""
    kept: list[Any] = []
    for at, block in enumerate(content):
        if isinstance(block, str):
            kept.append({"type": "text", "text": block})
        elif "cachePoint" in object_at(block, (*path, at)):
            # Converse marks by a block of its own, behind the one that it means.
            point = object_at(block["cachePoint"], (*path, at, "cachePoint"))
            ttl = {"ttl": point["ttl"]} if point.get("ttl") else {}
            if kept:
                kept[-1] = kept[-1] | {_MARK: {"type": "ephemeral", **ttl}}
        else:
            kept += _block(block, (*path, at))
    yield from kept


def _block(block: Mapping[str, Any], path: _Path) -> Iterator[_Block]:
    """Yield a block as it is sent, or nothing."""
    kind = _kind(block)
    if kind == "non_standard":
        yield from _block(object_at(block.get("value"), (*path, "value")), (*path, "value"))
    elif kind == "reasoning":
        yield from _thought(block)
    elif kind in {"tool_use", "tool_call"}:
        yield _call(block)
    elif kind == "tool_result" and isinstance(block.get("content"), list):
        inner = list(_blocks(block["content"], (*path, "content")))
        yield {**block, "content": inner}
    elif kind in _MEDIA and "source" not in block:
        yield _medium(block, kind, path)
    elif kind in _SENT:
        yield {key: block[key] for key in _SENT[kind] if block.get(key) is not None}
    elif kind not in _UNSENT:
        yield {key: member for key, member in block.items() if key != "index"}


def _kind(block: Any) -> str:
    """Return the type of a block; other things have none."""
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else ""


def _thought(block: Mapping[str, Any]) -> Iterator[_Block]:
    """Yield what Claude thought, in LangChain's own words; without its signature it is not sent."""
    more = block.get("extras")
    signed = more.get("signature") if isinstance(more, dict) else block.get("signature")
    if signed:
        yield {"type": "thinking", "thinking": block.get("reasoning", ""), "signature": signed}


def _call(block: Mapping[str, Any]) -> _Block:
    """Return a call of a tool that stands in the content."""
    given = block.get("input") or block.get("args") or block.get("partial_json")
    made = {
        "type": "tool_use",
        "id": block.get("id"),
        "name": block.get("name"),
        "input": _input(given),
    }
    more = ("caller", "toolset_name", _MARK)
    return made | {key: block[key] for key in more if block.get(key)}


def _medium(block: Mapping[str, Any], kind: str, path: _Path) -> _Block:
    """Return the block of an image or a document."""
    source = _source(block, kind)
    if source is None:
        raise InputError("an image or a file is an address, data or an id", path)
    made: _Block = {"type": _MEDIA[kind], "source": source}
    holders = [block, *(block.get(key) for key in ("extras", "metadata"))]
    for key in _BESIDE:
        found = [holder[key] for holder in holders if isinstance(holder, dict) and key in holder]
        if found:
            made[key] = found[0]
    return made


def _source(block: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """Return where an image or a document comes from."""
    sort, url, data = block.get("mime_type"), block.get("url"), block.get("base64")
    if isinstance(url, str):
        head, parted, inside = url.partition(";base64,")
        if kind == "image" and parted and head.startswith("data:"):
            sort = head.removeprefix("data:")
            return {"type": "base64", "media_type": sort, "data": inside}
        return {"type": "url", "url": url}
    if kind == "text-plain" or block.get("source_type") == "text":
        text = block.get("text")
        return {"type": "text", "media_type": sort or "text/plain", "data": text} if text else None
    if data or block.get("source_type") == "base64":
        data = data or block.get("data", "")
        return {"type": "base64", "media_type": sort or "application/pdf", "data": data}
    name = block.get("file_id") or block.get("id")
    return {"type": "file", "file_id": name} if name else None
