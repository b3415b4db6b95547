"""Our reading of what the packages in Python do, each in a few lines.

Nothing here is priced: the packages themselves are asked. A test holds each reading
against bodies that the package really sent (``record``), so whoever wonders what a row of
the table does can read it here.
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.rivals.rules import (
    Body,
    Rule,
    Spot,
    ends,
    last_system,
    last_tool,
    parts_of,
)

__all__ = ["READINGS"]


def first_system(body: Body, ttl: str | None = None) -> list[Spot]:
    """Mark the first system block, the one that does not change."""
    return [Spot(("system", 0), ttl)] if body.get("system") else []


def tools_system_automatic(body: Body, ttl: str | None = "5m") -> list[Spot]:
    """Tools, system and the automatic mark: LangChain, deepagents, pydantic-ai.

    All of them write the lifetime down.
    """
    return [*last_tool(body, ttl), *last_system(body, ttl), Spot((), ttl)]


def tools_static_automatic(body: Body, ttl: str | None = "5m") -> list[Spot]:
    """The same, but what changes of the instructions is behind the mark: pydantic-ai."""
    return [*last_tool(body, ttl), *first_system(body, ttl), Spot((), ttl)]


def system_tail(body: Body) -> list[Spot]:
    """System and the end: litellm, Strands, and DSPy with ``prefix="history"``."""
    return [*last_system(body), *ends(body, 1)]


def first_system_tail(body: Body) -> list[Spot]:
    """The first system block and the end of the newest input: OpenHands."""
    return [*first_system(body), *ends(body, 1, "user")]


def system_users(body: Body) -> list[Spot]:
    """System and every user message, the oldest first, until four: litellm by role."""
    system = last_system(body)
    users = ends(body, len(body["messages"]), "user")
    return [*system, *users[: 4 - len(system)]]


def tail(body: Body) -> list[Spot]:
    """The end alone: mini-swe-agent."""
    return ends(body, 1)


def tools_first_system(body: Body) -> list[Spot]:
    """Tools and the agent's own instructions: Agno."""
    return [*last_tool(body), *first_system(body)]


def tools_before_system(body: Body) -> list[Spot]:
    """Tools for five minutes before instructions for an hour: Agno, and refused."""
    return [*last_tool(body), *first_system(body, "1h")]


def every_message(body: Body) -> list[Spot]:
    """The end of every message, however many there are: LlamaIndex.

    Each result of a tool is a message of its own there, and its mark stands inside it.
    """
    found = []
    for at, message in enumerate(body["messages"]):
        content = parts_of(message["content"])
        inside = [
            Spot(("messages", at, index, len(block["content"]) - 1))
            for index, block in enumerate(content)
            if block["type"] == "tool_result"
        ]
        found += inside or [_end_of(body, at)]
    return found


def system(body: Body) -> list[Spot]:
    """System alone: DSPy by default, aider without files in the chat."""
    return last_system(body)


def system_task(body: Body) -> list[Spot]:
    """System and the first message, for good: CrewAI."""
    text = [("messages", 0, 0)] if len(parts_of(body["messages"][0]["content"])) == 1 else []
    return [*last_system(body), *(Spot(path) for path in text)]


def tools_system_tail(body: Body) -> list[Spot]:
    """Tools, system and the end: litellm with injection points for all three."""
    return [*last_tool(body), *last_system(body), *ends(body, 1)]


def tools_system_tail_hour(body: Body) -> list[Spot]:
    """The same for an hour: Strands."""
    hour = [Spot(path, "1h") for path, _ in ends(body, 1)]
    return [*last_tool(body, "1h"), *last_system(body, "1h"), *hour]


def tools_static_automatic_hour(body: Body) -> list[Spot]:
    """Tools, what does not change of the instructions, and the automatic mark: an hour."""
    return tools_static_automatic(body, "1h")


def every_twenty(body: Body, slots: int = 4) -> list[Spot]:
    """From the end, every twentieth block, but none that is a plain string: leanwire."""
    places = [
        ("messages", at, index)
        for at, message in enumerate(body["messages"])
        if isinstance(message["content"], list)
        for index in range(len(message["content"]))
    ]
    return [Spot(place) for place in sorted(places[::-20][:slots])]


def every_twenty_behind_head(body: Body) -> list[Spot]:
    """The same in the slots that marks on tools and system leave."""
    head = [*last_tool(body), *last_system(body)]
    return [*head, *every_twenty(body, 4 - len(head))]


def before_newest(body: Body) -> list[Spot]:
    """Tools, system, and where the newest input begins: cacheguardian.

    Only where the messages are as long as the minimum, by a quarter of their characters.
    """
    head = [*last_tool(body), *last_system(body)]
    count = len(body["messages"])
    texts = (part for message in body["messages"] for part in parts_of(message["content"]))
    size = sum(len(part.get("text") or str(part)) // 4 for part in texts)
    if size < 1024 or count < 2:
        return head
    return [*head, _end_of(body, count - 2)]


def long_parts(body: Body) -> list[Spot]:
    """What is long by itself, and not among the newest three messages: cachellm-py.

    At most four, by length times how much it looks as if it stayed.
    """
    found = []
    for score, size, spots in (
        (0.9, len(str(body.get("system") or "")), last_system(body)),
        (0.9, len(str(body.get("tools") or "")), last_tool(body)),
    ):
        found += [(score * size, spot) for spot in spots if size >= 4096]
    for at, message in enumerate(body["messages"]):
        size = len(str(message["content"]))
        stays = size > 5000 or at < len(body["messages"]) - 3
        if size >= 4096 and stays:
            found.append(((0.8 if size > 5000 else 0.7) * size, _end_of(body, at)))
    best = sorted(found, key=lambda each: -each[0])[:4]
    return sorted((spot for _, spot in best), key=_order)


def still_learning(body: Body) -> list[Spot]:
    """Nothing: cacheeconomics' plugin, until it has seen 32 calls."""
    del body
    return []


def _end_of(body: Body, at: int) -> Spot:
    return Spot(("messages", at, len(parts_of(body["messages"][at]["content"])) - 1))


def _order(spot: Spot) -> tuple[Any, ...]:
    return (("tools", "system", "messages").index(spot.path[0]), *spot.path[1:])


#: By row of the table. cacheeconomics' allocator has none: it solves for a whole trace.
READINGS: Final[dict[str, Rule]] = {
    "litellm, automatic": system_tail,
    "litellm, system tools last": tools_system_tail,
    "litellm, role user": system_users,
    "langchain-anthropic": tools_system_automatic,
    "deepagents": tools_system_automatic,
    "pydantic-ai, cache=True": tools_static_automatic,
    'pydantic-ai, cache="1h"': tools_static_automatic_hour,
    "Strands, CacheConfig()": system_tail,
    "Strands, tools, 1h": tools_system_tail_hour,
    "Agno, system and tools": tools_first_system,
    "Agno, extended_cache_time": tools_before_system,
    "LlamaIndex, cache_idx=-1": every_message,
    "DSPy, stable": system,
    "DSPy, history": system_tail,
    "CrewAI": system_task,
    "aider": system,
    "mini-swe-agent": tail,
    "OpenHands": first_system_tail,
    "leanwire": every_twenty,
    "leanwire, head pinned": every_twenty_behind_head,
    "cacheguardian": before_newest,
    "cachellm-py": long_parts,
    "cacheeconomics, plugin": still_learning,
}
