"""Tools as OpenAI's API is told of them, told as Anthropic's is.

A function is wrapped in an object, or stands flat as in OpenAI's later API; a server of
tools is a tool there and stands beside the tools here. What is Anthropic's own form, or
one of its hosted tools, is left as it is. LangChain tells Bedrock's tools in the words of
``Converse`` (langchain-aws 1.9.1, read 2026-11-21), which are read as those.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cacheplan import converse
from cacheplan.errors import InputError
from cacheplan.pieces import list_at, object_at

__all__ = ["as_tools"]

_Path = tuple[str | int, ...]

#: What a tool may say of itself beside its function, or inside of it, in both forms alike.
_KEPT: Final = (
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
)
_FUNCTIONS: Final = frozenset({"custom", "function"})
_CONVERSE: Final = frozenset({"toolSpec", "systemTool", "cachePoint"})
_SERVERS: Final = frozenset({"mcp", "url"})


def as_tools(tools: Sequence[Any] | None) -> dict[str, Any]:
    """Return the members of a body that say which tools there are; none where there are none.

    >>> as_tools([{"type": "function", "function": {"name": "light"}}])["tools"]
    [{'name': 'light', 'input_schema': {'type': 'object', 'properties': {}}}]
    """
    given = list_at(tools, ("tools",))
    if any(_CONVERSE & object_at(tool, ("tools", at)).keys() for at, tool in enumerate(given)):
        return {"tools": converse.tools(given, ("tools",))}
    found = list(_flat(given, ("tools",)))
    ordinary = [_tool(tool, path) for tool, path in found if tool.get("type") not in _SERVERS]
    servers = [_server(tool) for tool, _ in found if tool.get("type") in _SERVERS]
    return {
        key: listed for key, listed in (("tools", ordinary), ("mcp_servers", servers)) if listed
    }


def _flat(tools: Any, path: _Path) -> Iterator[tuple[Mapping[str, Any], _Path]]:
    """Yield each tool and where it stands; a namespace only groups some."""
    for at, tool in enumerate(list_at(tools, path)):
        kind = object_at(tool, (*path, at)).get("type")
        if kind is not None and not isinstance(kind, str):
            raise InputError("this is not text", (*path, at, "type"))
        if kind == "namespace":
            yield from _flat(tool.get("tools"), (*path, at, "tools"))
        else:
            yield tool, (*path, at)


def _tool(tool: Mapping[str, Any], path: _Path) -> dict[str, Any]:
    """Return one tool; a mark on it counts before one on its function."""
    kind = tool.get("type")
    if "input_schema" in tool:
        return dict(tool)
    if "function" in tool:
        function, path = tool["function"], (*path, "function")
    elif kind is None or kind in _FUNCTIONS:
        function = tool
    else:
        return dict(tool)
    object_at(function, path)
    kept = {key: part for key in _KEPT if (part := _either(tool, function, key)) is not None}
    if kind is None or kind in _FUNCTIONS:
        return _plain(function, path) | kept
    given = object_at(function.get("parameters") or {}, (*path, "parameters"))
    return {"type": kind, "name": function.get("name") or "computer", **given, **kept}


def _either(tool: Mapping[str, Any], function: Mapping[str, Any], key: str) -> Any:
    """Return what a tool says, or else its function."""
    found = tool.get(key)
    return function.get(key) if found is None else found


def _plain(function: Mapping[str, Any], path: _Path) -> dict[str, Any]:
    """Return the definition of a function; Anthropic wants a schema, and an object's.

    The schema's keys keep their order, which is the order they stand in in the prompt.
    """
    name = function.get("name")
    if not isinstance(name, str):
        raise InputError("this is not text", (*path, "name"))
    given = object_at(function.get("parameters") or {}, (*path, "parameters"))
    schema: dict[str, Any] = {**given, "type": "object"}
    schema.setdefault("properties", {})
    described = function.get("description")
    head = {"name": name} if described is None else {"name": name, "description": described}
    return head | {"input_schema": schema}


def _server(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a server of tools, without whatever it is opened with."""
    named = {"url": tool.get("server_url", tool.get("url"))}
    named["name"] = tool.get("server_label", tool.get("name"))
    return {"type": "url"} | {key: part for key, part in named.items() if part is not None}
