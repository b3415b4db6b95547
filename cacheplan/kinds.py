"""Every kind of block the service knows, and what a breakpoint may do there.

Two tables and the questions asked of them; this file knows single blocks, never a body.
The kinds are those of the SDK's request types (anthropic 2.12.0, read 2026-11-21; a test
walks its unions); a kind that stands in no table passes through opaque: it is a block
like any other, and takes a mark, since all but four kinds do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "CONTENT",
    "INNER",
    "TOOLS",
    "blank",
    "called",
    "deferred",
    "inner",
    "opaque",
    "refusal",
    "rendered",
    "web",
]

#: Kinds of content block, with the reason why the service refuses a mark there (empty:
#: it takes one). The four that refuse have no ``cache_control`` in the SDK's types; for
#: thinking the prompt-caching page (2026-09-26) says so too.
CONTENT: dict[str, str] = {
    "text": "",
    "image": "",
    "document": "",
    "search_result": "",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "tool_use": "",
    "tool_result": "",
    "server_tool_use": "",
    "web_search_tool_result": "",
    "web_fetch_tool_result": "",
    "advisor_tool_result": "",
    "code_execution_tool_result": "",
    "bash_code_execution_tool_result": "",
    "text_editor_code_execution_tool_result": "",
    "tool_search_tool_result": "",
    "mcp_tool_use": "",
    "mcp_tool_result": "",
    "container_upload": "",
    "compaction": "",
    "tool_addition": "",
    "tool_removal": "",
    "mcp_tool_listing": "listing",
    "fallback": "fallback",
}

#: Kinds of tool definition beside the plain one, which has no type or ``custom``. All
#: take a mark; on a toolset it lands after the last tool of the set (tool-use pages,
#: 2026-08-22).
TOOLS: frozenset[str] = frozenset(
    {
        "advisor_20260301",
        "bash_20241022",
        "bash_20250124",
        "browser_toolset_20260801",
        "code_execution_20250522",
        "code_execution_20250825",
        "code_execution_20260120",
        "code_execution_20260521",
        "computer_20241022",
        "computer_20250124",
        "computer_20251124",
        "computer_toolset_20260801",
        "custom",
        "mcp_toolset",
        "memory_20250818",
        "text_editor_20241022",
        "text_editor_20250124",
        "text_editor_20250429",
        "text_editor_20250728",
        "tool_search_tool_bm25",
        "tool_search_tool_bm25_20251119",
        "tool_search_tool_regex",
        "tool_search_tool_regex_20251119",
        "web_fetch_20250910",
        "web_fetch_20260209",
        "web_fetch_20260309",
        "web_fetch_20260318",
        "web_search_20250305",
        "web_search_20260209",
        "web_search_20260318",
    }
)

#: Where blocks stand inside a block: the keys to follow down to the list. A mark on the
#: last of them counts for the block around it (release notes, 2025-05-01).
INNER: dict[str, tuple[str, ...]] = {
    "tool_result": ("content",),
    "mcp_tool_result": ("content",),
    "search_result": ("content",),
    "document": ("source", "content"),
    "compaction": ("tool_changes",),
    "web_search_tool_result": ("content",),
    "code_execution_tool_result": ("content", "content"),
    "bash_code_execution_tool_result": ("content", "content"),
    "tool_search_tool_result": ("content", "tool_references"),
}


def opaque(block: Mapping[str, Any]) -> bool:
    """Tell whether this is a kind of content block that stands in no table."""
    kind = block.get("type")
    return not isinstance(kind, str) or kind not in CONTENT


def inner(block: Mapping[str, Any]) -> list[Any]:
    """Return the blocks inside a block; none where it has none or holds plain text."""
    kind = block.get("type")
    found: Any = block
    for key in INNER.get(kind, ("",)) if isinstance(kind, str) else ("",):
        found = found.get(key) if isinstance(found, (dict, Mapping)) else None
    return found if isinstance(found, list) else []


def refusal(block: Mapping[str, Any]) -> str:
    """Say why a content block takes no mark; empty where it does."""
    kind = block.get("type")
    if kind == "text":
        return "blank" if blank(block.get("text")) else ""
    if "caller" in block and called(block):
        return "called"
    return CONTENT.get(kind, "") if isinstance(kind, str) else ""


def blank(text: Any) -> bool:
    """Tell whether there is nothing to mark: whitespace alone counts as empty.

    The service refuses a mark on empty text, and text of whitespace by itself.
    """
    return not isinstance(text, str) or not text or text.isspace()


def called(block: Mapping[str, Any]) -> bool:
    """Tell whether code execution, and not the model, called this tool.

    The service keeps such blocks, and the results that answer them, out of the prompt
    and refuses a mark on them (langchain-ai/langchain#34542, 2025-12-30).
    """
    caller = block.get("caller")
    return isinstance(caller, Mapping) and str(caller.get("type")).startswith("code_execution")


def deferred(tool: Mapping[str, Any]) -> bool:
    """Tell whether a tool stays out of the prompt until a tool search brings it in."""
    return tool.get("defer_loading") is True


def web(tool: Mapping[str, Any]) -> bool:
    """Tell whether a tool is the service's own web search or web fetch."""
    return str(tool.get("type", "")).startswith(("web_search_", "web_fetch_"))


def rendered(block: Mapping[str, Any]) -> bool:
    """Tell whether a content block reaches the prompt at all.

    A ``fallback`` marks where another model took over, and a compaction without content
    is one that failed; the SDK's types (2.12.0) say of both that nothing is rendered.
    """
    kind = block.get("type")
    return kind != "fallback" and not (kind == "compaction" and block.get("content") is None)
