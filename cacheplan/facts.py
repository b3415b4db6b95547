"""What the service promises: dated, sourced tables and the look-ups over them.

Models, limits, platforms, what invalidates which level, hidden tokens. No price
(``prices``) and no behaviour (``simulator``): a fact here is a row, and a doubtful one
names the switch of ``assumptions`` that decides it. An id nobody listed is ``None``
everywhere; it never falls to the nearest family, because the nearest family has another
minimum and another price.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from cacheplan.assumptions import Assumptions

__all__ = [
    "BREAKPOINTS",
    "BUILT_IN_TOOLS",
    "FIRST_DATE",
    "INVALIDATION",
    "LOOKBACK",
    "MESSAGE_FRAME",
    "MODELS",
    "PDF_PAGE_TEXT",
    "PLATFORMS",
    "REGIONS",
    "SYSTEM_FRAME",
    "THINKING_FRAME",
    "Found",
    "Invalidation",
    "Model",
    "Platform",
    "collapses_runs",
    "find",
    "image_tokens",
    "isolation",
    "keeps_thinking",
    "minimum",
    "moment",
    "takes_automatic",
    "takes_one_hour",
    "tool_prompt",
]

# The pages and programs the rows cite, each with the day it was read or published.
_CACHING = "Claude docs, prompt caching, read 2026-09-26"
_NOTES = "Claude docs, release notes, to 2026-11-12"
_MODELS = "Claude docs, model overview, read 2026-08-22"
_SDK = "anthropic 2.12.0 types/model.py and deprecated_models.py, 2026-11-20"
_AWS = "AWS Bedrock user guide, prompt caching, read 2026-09"
_LITELLM = "litellm 1.109.1 model list, 2026-11"

#: Breakpoints a call may carry, the automatic one included; a fifth is a 400.
#: Claude docs, prompt caching, 2026-09-26.
BREAKPOINTS: Final = 4

#: Positions one breakpoint looks at, itself the first: an entry 20 positions back is
#: out of reach. Claude docs, prompt caching, 2026-09-26; recorded calls of 2026-07 read
#: at distance 19, and at 20 only sometimes. ``Assumptions.lookback`` overrides it.
LOOKBACK: Final = 20

#: Tokens a system prompt adds to its text, and each message after the first to its
#: content. Fitted on 298 recorded calls of models with the old tokenizer, 2026.
SYSTEM_FRAME: Final = 1
MESSAGE_FRAME: Final = 4

#: Tokens that thinking adds, by generation of the tokenizer and ``thinking.type``. The
#: same 298 calls (Opus 4.6 for the old one; no sample of the new one shows any).
THINKING_FRAME: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {"old": {"enabled": 29, "adaptive": 17}, "new": {}}
)

#: Tokens of a page's text, low and high; the page is sent as an image besides.
#: Claude docs, PDF support, 2026-08-22.
PDF_PAGE_TEXT: Final = (1500, 3000)

#: Tokens of a built-in tool's definition by generation of the tokenizer, for every
#: dated ``type`` that begins with the key. Claude docs, tool-use pages, 2026-08-22;
#: the toolsets are stated as "about".
BUILT_IN_TOOLS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "bash_": {"old": 245, "new": 325},
        "text_editor_": {"old": 700, "new": 700},
        "computer_toolset_": {"old": 4500, "new": 4500},
        "browser_toolset_": {"old": 6600, "new": 6600},
        "computer_": {"old": 735, "new": 735},
    }
)

#: Ends of the two image tiers: longest edge in pixels and most tokens.
#: Claude docs, vision, 2026-08-22; image_limits of Claude Code 2.1.330.
_IMAGE_TIERS: Final = MappingProxyType({"standard": (1568, 1568), "high": (2576, 4784)})
#: Pixels of a patch's side: one token a patch.
_PATCH: Final = 28

_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model, as its id pins it.

    An id without a date is a snapshot of its own, not an alias that moves.
    """

    id: str
    family: Literal["fable", "mythos", "opus", "sonnet", "haiku"]
    version: tuple[int, int]
    #: Of the tokenizer: new is that of Opus 4.7, which makes more tokens of most text.
    generation: Literal["old", "new"] = "new"
    #: Shortest prefix that is cached, in tokens; ``None`` where nobody states it.
    minimum: int | None
    #: The same on Bedrock, where its page differs.
    minimum_on_bedrock: int | None = None
    released: str | None
    status: Literal["current", "legacy", "limited", "retired"] = "legacy"
    #: Day from which the Claude API refuses it; it may live on elsewhere.
    retired: str | None = None
    #: Other ids of the same snapshot.
    aliases: tuple[str, ...] = ()
    #: ``output_config.effort`` where the call names none: writing it out changes no key.
    #: Empty without the parameter; stated nowhere, so assumed, for 4.5 to 4.7 and Mythos.
    effort: str = "high"
    #: Whether a new human turn leaves old thinking blocks in the prompt.
    keeps_thinking: bool = True
    #: Whether a thinking block is bound to the prefix it was made after.
    thinking_bound: bool = False
    #: Whether ``tool_choice`` may be ``any`` or ``tool``; else that is a 400.
    takes_forced_tools: bool = True
    #: Hidden tokens that tools add, under auto or none and under any or tool.
    tool_prompt: tuple[int, int] | None = None
    #: Tokens around the first user message.
    frame: int = 6
    context: int = _MILLION
    max_output: int = 128_000
    source: str

    @property
    def image_tier(self) -> Literal["standard", "high"]:
        """How large an image may be before the service shrinks it."""
        return "high" if self.generation == "new" else "standard"


MODELS: Final[tuple[Model, ...]] = (
    Model(id="claude-fable-5-2", family="fable", version=(5, 2), minimum=512,
          released="2026-11-09", status="current", thinking_bound=True, takes_forced_tools=False,
          source=f"{_SDK}; minimum inferred from Fable 5 and 5.1"),
    Model(id="claude-mythos-5-2", family="mythos", version=(5, 2), minimum=512,
          released="2026-11-09", status="limited", thinking_bound=True, takes_forced_tools=False,
          source=f"{_SDK}; minimum inferred from Mythos 5 and 5.1"),
    Model(id="claude-fable-5-1", family="fable", version=(5, 1), minimum=512,
          released="2026-09-01", thinking_bound=True, takes_forced_tools=False,
          source=_CACHING),
    Model(id="claude-mythos-5-1", family="mythos", version=(5, 1), minimum=512,
          released="2026-09-01", status="limited", thinking_bound=True, takes_forced_tools=False,
          source=_CACHING),
    Model(id="claude-fable-5", family="fable", version=(5, 0), minimum=512,
          released="2026-06-09", source=_CACHING),
    Model(id="claude-mythos-5", family="mythos", version=(5, 0), minimum=512,
          released="2026-06-09", status="limited", source=_CACHING),
    # It has no number of its own; by date and tokenizer it stands between 4.7 and 5.
    Model(id="claude-mythos-preview", family="mythos", version=(4, 9), minimum=2048,
          minimum_on_bedrock=4096, released=None, status="retired", retired="2026-06-30",
          source=f"{_CACHING}; {_AWS}"),
    Model(id="claude-opus-5-5", family="opus", version=(5, 5), minimum=512,
          released="2026-09-22", status="current", effort="medium", thinking_bound=True,
          takes_forced_tools=False, source="Claude docs, what's new in Opus 5.5, 2026-09-24"),
    Model(id="claude-opus-5", family="opus", version=(5, 0), minimum=512,
          released="2026-07-24", tool_prompt=(286, 406), source=_CACHING),
    Model(id="claude-opus-4-8", family="opus", version=(4, 8), minimum=1024,
          released="2026-05-28", tool_prompt=(290, 410), source=_CACHING),
    Model(id="claude-opus-4-7", family="opus", version=(4, 7), minimum=2048,
          minimum_on_bedrock=4096, released="2026-04-16", aliases=("claude-opus-4-7-20260416",),
          tool_prompt=(675, 804), frame=12,
          source=f"{_CACHING}; Bedrock: {_AWS} ({_LITELLM} says 2048); alias: {_LITELLM}"),
    Model(id="claude-opus-4-6", family="opus", version=(4, 6), generation="old", minimum=4096,
          released="2026-02-05", aliases=("claude-opus-4-6-20260205",), tool_prompt=(497, 589),
          frame=8, source=f"{_CACHING}; alias: {_LITELLM}"),
    Model(id="claude-opus-4-5", family="opus", version=(4, 5), generation="old", minimum=4096,
          released=None, aliases=("claude-opus-4-5-20251101",), tool_prompt=(496, 588), frame=8,
          context=200_000, max_output=64_000, source=_CACHING),
    Model(id="claude-sonnet-5-5", family="sonnet", version=(5, 5), minimum=512,
          released="2026-09-28", status="current", thinking_bound=True, takes_forced_tools=False,
          source=f"{_LITELLM}; {_NOTES}"),
    Model(id="claude-sonnet-5", family="sonnet", version=(5, 0), minimum=1024,
          released="2026-06-30", tool_prompt=(354, 474), source=_CACHING),
    Model(id="claude-sonnet-4-6", family="sonnet", version=(4, 6), generation="old", minimum=1024,
          released="2026-02-17", tool_prompt=(497, 589), frame=8,
          source=f"{_CACHING}; one issue of the SDK claims 2048"),
    Model(id="claude-sonnet-4-5", family="sonnet", version=(4, 5), generation="old", minimum=1024,
          released=None, retired="2026-11-30", aliases=("claude-sonnet-4-5-20250929",), effort="",
          keeps_thinking=False, tool_prompt=(496, 588), frame=8, context=200_000,
          max_output=64_000, source=f"{_CACHING}; {_SDK}"),
    Model(id="claude-haiku-5-5", family="haiku", version=(5, 5), minimum=512,
          released="2026-10-07", status="current", effort="medium", thinking_bound=True,
          source="Claude docs, Haiku 5.5 overview, 2026-10"),
    Model(id="claude-haiku-4-5", family="haiku", version=(4, 5), generation="old", minimum=4096,
          released=None, aliases=("claude-haiku-4-5-20251001",), effort="", keeps_thinking=False,
          tool_prompt=(496, 588), frame=8, context=200_000, max_output=64_000, source=_CACHING),
    Model(id="claude-opus-4-1", family="opus", version=(4, 1), generation="old", minimum=1024,
          released=None, status="retired", retired="2026-08-05",
          aliases=("claude-opus-4-1-20250805",), effort="", keeps_thinking=False,
          tool_prompt=(313, 315), frame=8, context=200_000, max_output=32_000,
          source=f"{_CACHING}; {_NOTES}"),
    Model(id="claude-opus-4-0", family="opus", version=(4, 0), generation="old", minimum=1024,
          released=None, status="retired", retired="2026-06-15",
          aliases=("claude-opus-4-20250514",), effort="", keeps_thinking=False,
          tool_prompt=(313, 315), frame=8, context=200_000, max_output=32_000,
          source=f"{_CACHING}; {_SDK}"),
    Model(id="claude-sonnet-4-0", family="sonnet", version=(4, 0), generation="old", minimum=1024,
          released=None, status="retired", retired="2026-06-15",
          aliases=("claude-sonnet-4-20250514",), effort="", keeps_thinking=False,
          tool_prompt=(313, 315), frame=8, context=200_000, max_output=64_000,
          source=f"{_CACHING}; {_SDK}"),
    Model(id="claude-3-5-haiku-20241022", family="haiku", version=(3, 5), generation="old",
          minimum=2048, released=None, status="retired", retired="2026-02-19",
          aliases=("claude-3-5-haiku-latest",), effort="", keeps_thinking=False,
          tool_prompt=(264, 355), frame=8, context=200_000, max_output=8_192,
          source=f"{_CACHING}; {_SDK}"),
)  # fmt: skip

#: Regions that the id of a Bedrock inference profile may begin with.
#: litellm 1.109.1 and genai-prices 0.2.3 (``in``), 2026-11; Fable 5.2 card (``ca``).
REGIONS: Final = frozenset({"us", "eu", "apac", "au", "jp", "in", "ca", "global", "us-gov"})

_BY_ID: Final = {name: model for model in MODELS for name in (model.id, *model.aliases)}
_BEDROCK: Final = re.compile(r"(?:([a-z-]+)\.)?anthropic\.(claude-[a-z0-9-]+?)(?:-v1(?::0)?)?")
_GOOGLE: Final = re.compile(r"(claude-[a-z0-9-]+)@(default|\d{8})")


class Found(NamedTuple):
    """What an id names."""

    model: Model
    #: The region the id itself names; empty where it names none.
    region: str


@functools.lru_cache(maxsize=1024)
def find(id: str) -> Found | None:  # noqa: A002 -- the API's own word
    """Resolve an id exactly as sent: a listed id, or its Bedrock or Google spelling.

    >>> find("us.anthropic.claude-opus-4-6-v1:0").region
    'us'
    >>> find("claude-haiku-4-5@20251001").model.id
    'claude-haiku-4-5'
    >>> find("claude-opus-4-9") is None
    True
    """
    region, name = "", id
    if bedrock := _BEDROCK.fullmatch(id):
        region, name = bedrock[1] or "", bedrock[2]
        if region and region not in REGIONS:
            return None
    elif google := _GOOGLE.fullmatch(id):
        name = google[1] if google[2] == "default" else f"{google[1]}-{google[2]}"
    model = _BY_ID.get(name)
    return None if model is None else Found(model, region)


def minimum(model: Model, platform: str, assume: Assumptions) -> int | None:
    """Return how many tokens a prefix needs to be cached, counted from the very start."""
    for name, tokens in assume.minimums:
        if name == model.id or name in model.aliases:
            return tokens
    if platform == "bedrock" and model.minimum_on_bedrock is not None:
        return model.minimum_on_bedrock
    return model.minimum


def keeps_thinking(model: Model, assume: Assumptions) -> bool:
    """Whether a new human turn leaves old thinking blocks in the prompt."""
    if model.id == "claude-haiku-5-5":
        return assume.haiku_5_5_thinking == "kept"
    return model.keeps_thinking


def tool_prompt(model: Model, assume: Assumptions, *, forced: bool) -> int:
    """Return the hidden tokens that a non-empty ``tools`` adds."""
    if model.tool_prompt is None:
        return assume.tool_prompt
    return model.tool_prompt[forced]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One place that serves the models."""

    name: str
    #: Who shares entries; never more than one organization.
    isolation: Literal["workspace", "organization"]
    #: Day since which that is so; before it, organizations shared.
    isolation_since: str | None = None
    #: Day since which a run of tool calls is one position; ``None``: not stated.
    collapses_runs_since: str | None = None
    #: Whether Message Batches exist there, and their calls can read the cache.
    batch: bool = False
    #: Whether ``speed: "fast"`` is taken.
    fast: bool = False
    source: str


#: By the name that a workload's ``platform`` gives.
PLATFORMS: Final[Mapping[str, Platform]] = MappingProxyType(
    {
        row.name: row
        for row in (
            Platform(name="anthropic", isolation="workspace", isolation_since="2026-02-05",
                     collapses_runs_since="2026-09-26", batch=True, fast=True, source=_CACHING),
            Platform(name="aws", isolation="workspace", isolation_since="2026-02-05", batch=True,
                     source=_CACHING),
            Platform(name="bedrock", isolation="organization", source=f"{_CACHING}; {_AWS}"),
            Platform(name="google", isolation="organization", source=_CACHING),
            Platform(name="foundry", isolation="workspace", isolation_since="2026-02-05",
                     source=_CACHING),
        )
    }
)  # fmt: skip


@functools.cache
def moment(day: str) -> float:
    """Return the epoch seconds at which a day (or an RFC 3339 time) begins, in UTC."""
    start = datetime.fromisoformat(day)
    return (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()


#: Times below this are seconds from any zero, not dates. Epoch seconds passed it in
#: 2001, and no recording counted from its own start runs for 31 years.
FIRST_DATE: Final = 1e9


def _since(day: str | None, at: float | None) -> bool:
    """Whether ``at`` is on or after ``day``; a time without a date is now."""
    return day is None or at is None or at < FIRST_DATE or at >= moment(day)


def collapses_runs(platform: str, at: float | None, assume: Assumptions) -> bool:
    """Whether a run of tool calls (or of their results) is one position of the lookback."""
    if assume.collapse_runs != "dated":
        return assume.collapse_runs == "on"
    row = PLATFORMS.get(platform)
    if row is None or row.collapses_runs_since is None:
        return False
    return _since(row.collapses_runs_since, at)


def isolation(
    platform: str, at: float | None, assume: Assumptions
) -> Literal["workspace", "organization"]:
    """Return within what calls share entries; an unknown platform shares least."""
    if assume.isolation != "dated":
        return assume.isolation
    row = PLATFORMS.get(platform)
    if row is None:
        return "workspace"
    return row.isolation if _since(row.isolation_since, at) else "organization"


def takes_automatic(model: Model | None, platform: str) -> bool:
    """Whether a top-level ``cache_control`` is taken.

    Bedrock's older integration, which serves models up to Opus 4.6, answers 400. Claude
    docs, prompt caching, 2026-09-26.
    """
    return platform != "bedrock" or model is None or model.generation == "new"


def takes_one_hour(model: Model | None, platform: str) -> bool:
    """Whether ``ttl: "1h"`` is taken: on Bedrock from the 4.5 models on (AWS, 2026-09)."""
    return platform != "bedrock" or model is None or model.version >= (4, 5)


class Invalidation(NamedTuple):
    """What one kind of change does to the entries of each level."""

    change: str
    tools: Literal["stays", "goes", "open"]
    system: Literal["stays", "goes", "open"]
    messages: Literal["stays", "goes", "open"]
    #: The switch that decides where the documentation leaves it open, or doubts it.
    switch: str
    source: str


#: By the part of a call that changes. Order of the levels is also the order in which
#: they break: what breaks one breaks all after it.
INVALIDATION: Final[Mapping[str, Invalidation]] = MappingProxyType(
    {
        row.change: row
        for row in (
            Invalidation("tools", "goes", "goes", "goes", "", _CACHING),
            Invalidation("model", "goes", "goes", "goes", "",
                         "Claude docs, cache diagnostics, read 2026-11-16"),
            Invalidation("system", "stays", "goes", "goes", "", _CACHING),
            Invalidation("web_search", "stays", "goes", "goes", "", _CACHING),
            Invalidation("citations", "stays", "goes", "goes", "", _CACHING),
            Invalidation("speed", "stays", "goes", "goes", "speed_scope", _CACHING),
            Invalidation("tool_choice", "stays", "stays", "goes", "", _CACHING),
            Invalidation("disable_parallel_tool_use", "stays", "stays", "goes", "",
                         "Claude docs, parallel tool use, read 2026-08-22"),
            Invalidation("images", "stays", "stays", "goes", "", _CACHING),
            Invalidation("thinking", "open", "open", "goes", "thinking_scope", _CACHING),
            Invalidation("effort", "open", "open", "goes", "effort_scope", _CACHING),
            Invalidation("format", "open", "goes", "goes", "format_scope",
                         "Claude docs, structured outputs, read 2026-08-22"),
            Invalidation("thinking_dropped", "stays", "stays", "goes", "", _CACHING),
            Invalidation("tool_results_cleared", "stays", "stays", "goes", "", _CACHING),
            Invalidation("thinking_cleared", "stays", "stays", "goes", "", _CACHING),
            Invalidation("compaction", "stays", "stays", "goes", "", _CACHING),
            Invalidation("task_budget", "stays", "stays", "goes", "", _CACHING),
            Invalidation("human_turn", "stays", "stays", "open", "haiku_5_5_thinking", _CACHING),
            Invalidation("betas", "open", "open", "open", "betas_scope",
                         "Claude docs, cache diagnostics, read 2026-11-16"),
            # Inferred: a tool in the list changes the list.
            Invalidation("deferred_tool_added", "goes", "goes", "goes", "", "no page states it"),
        )
    }
)  # fmt: skip


def image_tokens(width: int, height: int, tier: Literal["standard", "high"]) -> int:
    """Return the tokens of an image: one a patch, after it is shrunk to fit its tier.

    The service keeps the aspect ratio and takes the largest size that fits.

    >>> image_tokens(1000, 1000, "standard"), image_tokens(1920, 1080, "high")
    (1296, 2691)
    """
    longest, most = _IMAGE_TIERS[tier]
    large, small = max(width, height, 1), max(min(width, height), 1)

    def patches(edge: int) -> int:
        side = max(1, (edge * small * 2 + large) // (large * 2))
        return -(-edge // _PATCH) * -(-side // _PATCH)

    fits, too_large = 1, min(large, longest) + 1
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if patches(middle) <= most:
            fits = middle
        else:
            too_large = middle
    return patches(fits)
