"""Documented rules of what is not in Python, each in a few lines, with where it was read.

A rule looks at one body and says where it puts marks; the packages in Python have one too,
so that a test can hold our reading of them against what they really send. Read 2026-08 to
2026-11 at the versions named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["RULES", "Rule", "Spot", "marked", "spots"]

Body = Mapping[str, Any]


class Spot(NamedTuple):
    """A block by its place in the body, and the ``ttl`` of its mark."""

    #: ``("tools", 0)``, ``("system", 0)``, ``("messages", 0, 0)``, or ``()`` for the body.
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
        blocks = list(_blocks(made[level])) if level == "system" else list(made[level])
        if inner:
            content = list(_blocks(blocks[index]["content"]))
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
        for index, block in enumerate(_blocks(blocks)):
            if "cache_control" in block:
                found.append(Spot((level, index), block["cache_control"].get("ttl")))
    for at, message in enumerate(body["messages"]):
        for index, block in enumerate(_blocks(message["content"])):
            if "cache_control" in block:
                place = ("messages", at, index)
                found.append(Spot(place, block["cache_control"].get("ttl")))
    if body.get("cache_control"):
        found.append(Spot((), body["cache_control"].get("ttl")))
    return found


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# ---------------------------------------------------------------- where marks may go


def _tools(body: Body, ttl: str | None = None) -> list[Spot]:
    """Mark the last tool."""
    return [Spot(("tools", len(body["tools"]) - 1), ttl)] if body.get("tools") else []


def _system(body: Body, ttl: str | None = None, *, last: int = 1) -> list[Spot]:
    """Mark the last system blocks."""
    count = len(_blocks(body.get("system") or []))
    return [Spot(("system", index), ttl) for index in range(max(count - last, 0), count)]


def _first_system(body: Body, ttl: str | None = None) -> list[Spot]:
    """Mark the first system block, the one that does not change."""
    return [Spot(("system", 0), ttl)] if body.get("system") else []


def _ends(body: Body, count: int, role: str = "", kind: str = "") -> list[Spot]:
    """Mark the last block of the last messages, of one role or kind of block if named."""
    return list(_found(body, count, role, kind))[::-1]


def _found(body: Body, count: int, role: str, kind: str) -> Iterator[Spot]:
    """Yield those marks from the end on."""
    for at in range(len(body["messages"]) - 1, -1, -1):
        message = body["messages"][at]
        blocks = _blocks(message["content"])
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
    return [*_system(body, last=2), *_ends(body, 1)]


def vs_code(body: Body) -> list[Spot]:
    """VS Code's chat: tools, system, and the ends of the two newest messages of any role.

    microsoft/vscode, extensions/copilot/src/platform/endpoint/node/messagesApi.ts, 2026-08.
    """
    return [*_tools(body), *_system(body), *_ends(body, 2)]


def cline(body: Body) -> list[Spot]:
    """Cline: the last text of the last message by the user, and the automatic mark.

    cline/cline @21cb8d2525, sdk/packages/llms/src/providers/ai-sdk.ts. Results of tools
    are messages of their own there.
    """
    return [*_ends(body, 1, "user", "text"), Spot(())]


def goose(body: Body) -> list[Spot]:
    """goose: tools, system, and the ends of the last two user messages.

    block/goose @00f85252, crates/goose/src/providers/formats/anthropic.rs.
    """
    return [*_tools(body), *_system(body), *_ends(body, 2, "user")]


def opencode(body: Body) -> list[Spot]:
    """opencode: the first two system blocks and the ends of the last two messages.

    sst/opencode @47767a7c, packages/opencode/src/provider/transform.ts.
    """
    count = min(len(_blocks(body.get("system") or [])), 2)
    return [*(Spot(("system", index)) for index in range(count)), *_ends(body, 2)]


def continue_dev(body: Body) -> list[Spot]:
    """Continue: every system block, tools, and the last texts of two user messages.

    continuedev/continue @30406a0c, packages/openai-adapters/src/apis/
    AnthropicCachingStrategies.ts, "systemAndTools", its default; it does not count.
    """
    system = _system(body, last=4)
    tools = _tools(body) if len(system) < 4 else []
    newest = [spot for spot in _ends(body, 2, "user") if _is_text(body, spot)]
    return [*tools, *system, *newest]


def _is_text(body: Body, spot: Spot) -> bool:
    """Tell whether a mark falls on text: a result of a tool takes none there."""
    _, at, index = spot.path
    return bool(_blocks(body["messages"][at]["content"])[index]["type"] == "text")


def spring_ai(body: Body) -> list[Spot]:
    """Spring AI's CONVERSATION_HISTORY: tools, system and the last user message.

    spring-projects/spring-ai @fd3fd6ec70, AnthropicCacheStrategy. Results of tools are no
    user messages there, unless ``cacheToolResults`` is set.
    """
    return [*_tools(body), *_system(body), *_ends(body, 1, "user", "text")]


def spring_ai_static(body: Body) -> list[Spot]:
    """Spring AI's SYSTEM_AND_TOOLS; the same source."""
    return [*_tools(body), *_system(body)]


def roo(body: Body) -> list[Spot]:
    """Roo Code: system and the ends of the last two user messages; never the tools.

    RooCodeInc/Roo-Code @cb83656718, src/api/providers/anthropic.ts.
    """
    return [*_system(body), *_ends(body, 2, "user")]


def swe_agent(body: Body) -> list[Spot]:
    """SWE-agent: the last two of user messages and results of tools, nothing before them.

    SWE-agent/SWE-agent @3ea751c0, history_processors.py, ``last_n_messages=2``. Each result
    is a message of its own there, and texts are marked on the first block.
    """
    found: list[Spot] = []
    for at, message in enumerate(body["messages"]):
        if message["role"] != "user":
            continue
        blocks = _blocks(message["content"])
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
        found.append(Spot(("system",), "1h") if isinstance(system, str) else _system(body, "1h")[0])
    if len(str(body.get("tools") or "")) >= least:
        found += _tools(body, "1h")
    for at, message in enumerate(body["messages"]):
        for index, block in enumerate(_blocks(message["content"])):
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


# ---------------------------------------------------------------- our reading of packages


def tools_system_automatic(body: Body, ttl: str | None = "5m") -> list[Spot]:
    """Tools, system and the automatic mark: LangChain, deepagents, pydantic-ai.

    All of them write the lifetime down.
    """
    return [*_tools(body, ttl), *_system(body, ttl), Spot((), ttl)]


def tools_static_automatic(body: Body, ttl: str | None = "5m") -> list[Spot]:
    """The same, but what changes of the instructions is behind the mark: pydantic-ai."""
    return [*_tools(body, ttl), *_first_system(body, ttl), Spot((), ttl)]


def system_tail(body: Body) -> list[Spot]:
    """System and the end: litellm, Strands, and DSPy with ``prefix="history"``."""
    return [*_system(body), *_ends(body, 1)]


def first_system_tail(body: Body) -> list[Spot]:
    """The first system block and the end of the newest input: OpenHands."""
    return [*_first_system(body), *_ends(body, 1, "user")]


def system_users(body: Body) -> list[Spot]:
    """System and every user message, the oldest first, until four: litellm by role."""
    system = _system(body)
    users = _ends(body, len(body["messages"]), "user")
    return [*system, *users[: 4 - len(system)]]


def tail(body: Body) -> list[Spot]:
    """The end alone: mini-swe-agent."""
    return _ends(body, 1)


def tools_first_system(body: Body) -> list[Spot]:
    """Tools and the agent's own instructions: Agno."""
    return [*_tools(body), *_first_system(body)]


def tools_before_system(body: Body) -> list[Spot]:
    """Tools for five minutes before instructions for an hour: Agno, and refused."""
    return [*_tools(body), *_first_system(body, "1h")]


def every_message(body: Body) -> list[Spot]:
    """The end of every message, however many there are: LlamaIndex."""
    return _ends(body, len(body["messages"]))


def system(body: Body) -> list[Spot]:
    """System alone: DSPy by default, aider without files in the chat."""
    return _system(body)


def system_task(body: Body) -> list[Spot]:
    """System and the first message, for good: CrewAI."""
    text = [("messages", 0, 0)] if len(_blocks(body["messages"][0]["content"])) == 1 else []
    return [*_system(body), *(Spot(path) for path in text)]


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
