"""Documented rules of what is not in Python, each in a few lines, with where it was read.

A rule looks at one body and says where it puts marks; the packages in Python have one too,
so that a test can hold our reading of them against what they really send. Read 2026-08 to
2026-11 at the versions named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = [
    "RULES",
    "Rule",
    "Spot",
    "ends",
    "last_system",
    "last_tool",
    "marked",
    "parts_of",
    "spots",
]

Body = Mapping[str, Any]


class Spot(NamedTuple):
    """A block by its place in the body, and the ``ttl`` of its mark."""

    #: ``("tools", 0)``, ``("system", 0)``, ``("messages", 0, 0)``, and one more number inside
    #: a tool's result; ``()`` for the body.
    path: tuple[Any, ...]
    ttl: str | None = None


#: Says where the marks of a body go.
Rule = Callable[[Body], Sequence[Spot]]


def marked(body: Body, rule: Rule) -> dict[str, Any]:
    """Return the body with a rule's marks, whatever the service thinks of them."""
    made = dict(body)
    for path, ttl in rule(body):
        control = {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}
        if not path:
            made["cache_control"] = control
            continue
        level, index, *inner = path
        blocks = list(parts_of(made[level])) if level == "system" else list(made[level])
        if inner:
            content = list(parts_of(blocks[index]["content"]))
            content[inner[0]] = {**content[inner[0]], "cache_control": control}
            blocks[index] = {**blocks[index], "content": content}
        else:
            blocks[index] = {**blocks[index], "cache_control": control}
        made[level] = blocks
    return made


def spots(body: Body) -> list[Spot]:
    """Return the marks that a body carries, in the order of the prompt."""
    found = []
    for level in ("tools", "system"):
        blocks = body.get(level) or []
        for index, block in enumerate(parts_of(blocks)):
            if "cache_control" in block:
                found.append(Spot((level, index), block["cache_control"].get("ttl")))
    for at, message in enumerate(body["messages"]):
        for index, block in enumerate(parts_of(message["content"])):
            inner = block.get("content") or [] if block["type"] == "tool_result" else []
            for nested, part in enumerate(parts_of(inner)):
                if "cache_control" in part:
                    ttl = part["cache_control"].get("ttl")
                    found.append(Spot(("messages", at, index, nested), ttl))
            if "cache_control" in block:
                ttl = block["cache_control"].get("ttl")
                found.append(Spot(("messages", at, index), ttl))
    if body.get("cache_control"):
        found.append(Spot((), body["cache_control"].get("ttl")))
    return found


def parts_of(content: Any) -> list[Any]:
    """Return content as blocks."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# ---------------------------------------------------------------- where marks may go


def last_tool(body: Body, ttl: str | None = None) -> list[Spot]:
    """Mark the last tool."""
    return [Spot(("tools", len(body["tools"]) - 1), ttl)] if body.get("tools") else []


def last_system(body: Body, ttl: str | None = None, *, last: int = 1) -> list[Spot]:
    """Mark the last system blocks."""
    count = len(parts_of(body.get("system") or []))
    return [Spot(("system", index), ttl) for index in range(max(count - last, 0), count)]


def ends(body: Body, count: int, role: str = "", kind: str = "") -> list[Spot]:
    """Mark the last block of the last messages, of one role or kind of block if named."""
    return list(_found(body, count, role, kind))[::-1]


def _found(body: Body, count: int, role: str, kind: str) -> Iterator[Spot]:
    """Yield those marks from the end on."""
    for at in range(len(body["messages"]) - 1, -1, -1):
        message = body["messages"][at]
        blocks = parts_of(message["content"])
        fitting = [index for index, block in enumerate(blocks) if kind in ("", block["type"])]
        if role in ("", message["role"]) and fitting and count:
            yield Spot(("messages", at, fitting[-1]))
            count -= 1


# ---------------------------------------------------------------- rules of their own


def claude_code(body: Body) -> list[Spot]:
    """Claude Code: the last two system blocks and the end; never the tools.

    2.1.329, as sent to a server of ours, 2026-11. Its first system block, which says who
    pays, is unmarked.
    """
    return [*last_system(body, last=2), *ends(body, 1)]


def vs_code(body: Body) -> list[Spot]:
    """VS Code's chat: tools, system, and the ends of the two newest messages of any role.

    microsoft/vscode, extensions/copilot/src/platform/endpoint/node/messagesApi.ts, 2026-08.
    """
    return [*last_tool(body), *last_system(body), *ends(body, 2)]


def cline(body: Body) -> list[Spot]:
    """Cline: the last text of the last message by the user, and the automatic mark.

    cline/cline @21cb8d2525, sdk/packages/llms/src/providers/ai-sdk.ts. Results of tools
    are messages of their own there.
    """
    return [*ends(body, 1, "user", "text"), Spot(())]


def goose(body: Body) -> list[Spot]:
    """goose: tools, system, and the ends of the last two user messages.

    block/goose @00f85252, crates/goose/src/providers/formats/anthropic.rs.
    """
    return [*last_tool(body), *last_system(body), *ends(body, 2, "user")]


def opencode(body: Body) -> list[Spot]:
    """opencode: the first two system blocks and the ends of the last two messages.

    sst/opencode @47767a7c, packages/opencode/src/provider/transform.ts.
    """
    count = min(len(parts_of(body.get("system") or [])), 2)
    return [*(Spot(("system", index)) for index in range(count)), *ends(body, 2)]


def continue_dev(body: Body) -> list[Spot]:
    """Continue: every system block, tools, and the last texts of two user messages.

    continuedev/continue @30406a0c, packages/openai-adapters/src/apis/
    AnthropicCachingStrategies.ts, "systemAndTools", its default; it does not count.
    """
    system = last_system(body, last=4)
    tools = last_tool(body) if len(system) < 4 else []
    newest = [spot for spot in ends(body, 2, "user") if _is_text(body, spot)]
    return [*tools, *system, *newest]


def _is_text(body: Body, spot: Spot) -> bool:
    """Tell whether a mark falls on text: a result of a tool takes none there."""
    _, at, index = spot.path
    return bool(parts_of(body["messages"][at]["content"])[index]["type"] == "text")


def spring_ai(body: Body) -> list[Spot]:
    """Spring AI's CONVERSATION_HISTORY: tools, system and the last user message.

    spring-projects/spring-ai @fd3fd6ec70, AnthropicCacheStrategy. Results of tools are no
    user messages there, unless ``cacheToolResults`` is set.
    """
    return [*last_tool(body), *last_system(body), *ends(body, 1, "user", "text")]


def spring_ai_static(body: Body) -> list[Spot]:
    """Spring AI's SYSTEM_AND_TOOLS; the same source."""
    return [*last_tool(body), *last_system(body)]


def roo(body: Body) -> list[Spot]:
    """Roo Code: system and the ends of the last two user messages; never the tools.

    RooCodeInc/Roo-Code @cb83656718, src/api/providers/anthropic.ts.
    """
    return [*last_system(body), *ends(body, 2, "user")]


def swe_agent(body: Body) -> list[Spot]:
    """SWE-agent: the last two of user messages and results of tools, nothing before them.

    SWE-agent/SWE-agent @3ea751c0, history_processors.py, ``last_n_messages=2``. Each result
    is a message of its own there, and texts are marked on the first block.
    """
    found: list[Spot] = []
    for at, message in enumerate(body["messages"]):
        if message["role"] != "user":
            continue
        blocks = parts_of(message["content"])
        results = [index for index, block in enumerate(blocks) if block["type"] == "tool_result"]
        texts = [index for index, block in enumerate(blocks) if block["type"] == "text"]
        found += [Spot(("messages", at, index)) for index in [*results, *texts[:1]]]
    return found[-2:]


#: Starts of text that it takes for instructions, and keeps for an hour.
_LASTING: Final = ("You are", "Instructions:", "Context:")
#: Characters to a token, and tokens that a block needs by itself.
_CHARACTERS, _ALONE = 4, {"claude-haiku-4-5": 2048}


def autocache(body: Body) -> list[Spot]:
    """autocache: system, tools, then the oldest long texts, three in all.

    montevive/autocache @276ea75, internal/cache/injector.go, "moderate", its default. A
    block counts alone; a system prompt that is a plain string takes a place and no mark.
    """
    least = _ALONE.get(str(body["model"]), 1024) * _CHARACTERS
    system = body.get("system") or ""
    found: list[Spot] = []
    if len(str(system)) >= least:
        found.append(
            Spot(("system",), "1h") if isinstance(system, str) else last_system(body, "1h")[0]
        )
    if len(str(body.get("tools") or "")) >= least:
        found += last_tool(body, "1h")
    for at, message in enumerate(body["messages"]):
        for index, block in enumerate(parts_of(message["content"])):
            text = block.get("text", "")
            if len(text) >= least:
                lasts = any(word in text for word in _LASTING)
                found.append(Spot(("messages", at, index), "1h" if lasts else None))
    return [spot for spot in found[:3] if spot.path != ("system",)]


def automatic(body: Body, ttl: str | None = None) -> list[Spot]:
    """The service's own: one field, which marks the end of the prompt.

    The SDK's documentation of ``cache_control``, 2026-11.
    """
    del body
    return [Spot((), ttl)]


def automatic_hour(body: Body) -> list[Spot]:
    """The same with the hour."""
    return automatic(body, "1h")


def nothing(body: Body) -> list[Spot]:
    """The Vercel AI SDK (6.0), smolagents, and most others unless told otherwise."""
    del body
    return []


#: What is not in Python, by the name of its row.
RULES: Final[dict[str, Rule]] = {
    "no caching": nothing,
    "automatic": automatic,
    "automatic, 1h": automatic_hour,
    "Claude Code": claude_code,
    "VS Code": vs_code,
    "Cline": cline,
    "goose": goose,
    "opencode": opencode,
    "Continue": continue_dev,
    "Spring AI, history": spring_ai,
    "Spring AI, static": spring_ai_static,
    "Roo Code": roo,
    "SWE-agent": swe_agent,
    "autocache": autocache,
}
