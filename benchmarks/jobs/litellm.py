"""litellm: its hook that places marks, its reading of a body's prefixes, its prices."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Body, Job, bodies, by_turns, lines, marks

__all__: list[str] = []

_HOOK: Final = (
    "from litellm.integrations.anthropic_cache_control_hook import AnthropicCacheControlHook"
)
_PLAN: Final = "from litellm.llms.anthropic.prompt_cache_prediction import parse_cache_plan"
_COST: Final = "from litellm.llms.anthropic.cost_calculation import cost_per_token"


def mark(folder: Path) -> Job:
    """``litellm.enable_anthropic_prompt_caching = True``."""
    import litellm  # noqa: PLC0415
    from litellm.integrations.anthropic_cache_control_hook import (  # noqa: PLC0415
        AnthropicCacheControlHook,
    )

    litellm.enable_anthropic_prompt_caching = True
    given = bodies(folder)

    def turn(made: list[Body]) -> list[Body]:
        for body in made:
            body["messages"], body["system"] = AnthropicCacheControlHook.maybe_inject_cache_control(
                body["messages"],
                body["system"],
                {},
                model=body["model"],
                custom_llm_provider="anthropic",
                tools=body["tools"],
            )
        return made

    return Job(turn, lambda: copy.deepcopy(given), marks)


def check(folder: Path) -> Job:
    """``parse_cache_plan(body)``, which its router asks where a call would be cheapest."""
    from litellm.llms.anthropic.prompt_cache_prediction import parse_cache_plan  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "log.jsonl")]

    def found(plans: list[Any]) -> dict[str, int]:
        read = [plan for plan in plans if hasattr(plan, "breakpoints")]
        return {"read": len(read), "breakpoints": sum(len(plan.breakpoints) for plan in read)}

    return Job(lambda all_: list(map(parse_cache_plan, all_)), lambda: given, found)


def price(folder: Path) -> Job:
    """``cost_per_token`` of a usage as its own responses carry it."""
    from litellm.llms.anthropic.cost_calculation import cost_per_token  # noqa: PLC0415
    from litellm.types.utils import (  # noqa: PLC0415
        CacheCreationTokenDetails,
        PromptTokensDetailsWrapper,
        Usage,
    )

    def usage(counters: dict[str, int]) -> Any:
        short, long = counters["write_5m"], counters["write_1h"]
        written = CacheCreationTokenDetails(
            ephemeral_5m_input_tokens=short, ephemeral_1h_input_tokens=long
        )
        prompt = counters["uncached"] + counters["read"] + short + long
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=counters["output"],
            total_tokens=prompt + counters["output"],
            prompt_tokens_details=PromptTokensDetailsWrapper(
                cached_tokens=counters["read"],
                cache_creation_tokens=short + long,
                cache_creation_token_details=written,
            ),
            cache_creation_input_tokens=short + long,
            cache_read_input_tokens=counters["read"],
        )

    given = [(each["model"], usage(each["counters"])) for each in lines(folder / "usages.jsonl")]

    def found(costs: list[tuple[float, float]]) -> dict[str, float]:
        return {"dollars": round(sum(map(sum, costs)), 4)}

    return Job(lambda all_: [cost_per_token(*each) for each in all_], lambda: given, found)


if __name__ == "__main__":
    by_turns(
        ("litellm",), {"mark": (_HOOK, mark), "check": (_PLAN, check), "price": (_COST, price)}
    )
