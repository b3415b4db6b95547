"""Every way to place marks: what the field does today.

A policy is bound to a workload once and then asked once a call. The functions below are
the placement families that frameworks and tools have converged on; each says which
products place so (read in 2026-11, at their defaults unless noted).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cacheplan.places import turn_before
from cacheplan.prefixes import PrefixTree
from cacheplan.projection import Marker
from cacheplan.prompt import Breakpoint, Lifetime
from cacheplan.workload import Call, Workload

__all__ = [
    "BASELINES",
    "Policy",
    "as_marked",
    "automatic",
    "automatic_1h",
    "last_two_turns",
    "static",
    "system_tail",
    "tools_system_tail",
    "uncached",
]

_SHORT, _LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


class Policy(NamedTuple):
    """A way to place marks, by the name that commands know it under."""

    name: str
    bind: Callable[[Workload], Marker]
    #: True where the policy looks at calls that have not been made yet.
    knows_future: bool = False
    #: True where the marks are those that the calls were sent with, as far as that is known.
    as_sent: bool = False


def uncached(workload: Workload) -> Marker:
    """No marks: the Vercel AI SDK, smolagents, and most frameworks with caching off."""
    del workload
    return lambda _: ()


def as_marked(workload: Workload) -> Marker:
    """The marks each call was sent with."""
    del workload
    return lambda call: call.marks


def automatic(workload: Workload, lifetime: Lifetime = _SHORT) -> Marker:
    """The top-level mark alone: the service's automatic caching, and pydantic-ai's
    ``anthropic_cache``; mini-swe-agent marks the same block by hand.
    """  # noqa: D205 -- the list of products is the summary
    tree = workload.tree

    def marker(call: Call) -> Sequence[Breakpoint]:
        return _at(tree, lifetime, call.tip)

    return marker


def automatic_1h(workload: Workload) -> Marker:
    """The top-level mark with the hour: Claude Code's tail on a subscription."""
    return automatic(workload, _LONG)


def system_tail(workload: Workload) -> Marker:
    """End of system and end of prompt: LiteLLM's automatic mode, OpenHands, Claude Code,
    Strands' ``CacheConfig``, DSPy with ``prefix="history"``.
    """  # noqa: D205 -- the list of products is the summary
    tree = workload.tree

    def marker(call: Call) -> Sequence[Breakpoint]:
        return _at(tree, _SHORT, tree.system_end[call.tip], call.tip)

    return marker


def tools_system_tail(workload: Workload) -> Marker:
    """End of tools, of system and of the prompt: LangChain's caching middleware,
    deepagents, pydantic-ai's ``cache=True``, Spring AI's ``CONVERSATION_HISTORY``.
    """  # noqa: D205 -- the list of products is the summary
    tree = workload.tree

    def marker(call: Call) -> Sequence[Breakpoint]:
        tip = call.tip
        return _at(tree, _SHORT, tree.tools_end[tip], tree.system_end[tip], tip)

    return marker


def last_two_turns(workload: Workload) -> Marker:
    """Tools, system and the ends of the last two user turns: VS Code Copilot, goose,
    Continue, opencode, Roo Code.
    """  # noqa: D205 -- the list of products is the summary
    tree = workload.tree
    tips = {call.tip for call in workload.calls}

    def marker(call: Call) -> Sequence[Breakpoint]:
        tip = call.tip
        before = turn_before(tree, tip, tips)
        return _at(tree, _SHORT, tree.tools_end[tip], tree.system_end[tip], before, tip)

    return marker


def static(workload: Workload) -> Marker:
    """Tools and system, never the conversation: Agno, Spring AI's ``SYSTEM_AND_TOOLS``,
    DSPy's default, CrewAI but for its task prompt.
    """  # noqa: D205 -- the list of products is the summary
    tree = workload.tree

    def marker(call: Call) -> Sequence[Breakpoint]:
        return _at(tree, _SHORT, tree.tools_end[call.tip], tree.system_end[call.tip])

    return marker


#: The policies that need no learning, in the order of a table's rows.
BASELINES: Final[tuple[Policy, ...]] = (
    Policy("uncached", uncached),
    Policy("as-marked", as_marked, as_sent=True),
    Policy("automatic", automatic),
    Policy("automatic-1h", automatic_1h),
    Policy("system-tail", system_tail),
    Policy("tools-system-tail", tools_system_tail),
    Policy("last-two-turns", last_two_turns),
    Policy("static", static),
)


def _at(tree: PrefixTree, lifetime: Lifetime, *nodes: int) -> tuple[Breakpoint, ...]:
    """Mark the ends of these prefixes, each on the nearest block that takes a mark."""
    unmarkable = tree.unmarkable
    marks: list[Breakpoint] = []
    last = -1
    for node in nodes:
        if node < 0:
            continue
        target = tree.markable(node) if unmarkable[node] else node
        if target > last:
            marks.append(Breakpoint(target, lifetime))
            last = target
    return tuple(marks)
