"""Ours, in a process like everybody's."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs.turns import Body, Job, bodies, by_turns, commanded, lines, marks

__all__: list[str] = []

_TRANSCRIPTS: Final = "claude/projects/*/*.jsonl"
#: The places of a plan as it is chosen for conversations with tools.
_RULES: Final = ("tools", "system", "tail after talk", "tail after tools", "turn before")


def _plan() -> Any:
    from cacheplan.plan import Lane, Plan, Rule  # noqa: PLC0415
    from cacheplan.prompt import Lifetime  # noqa: PLC0415

    rules = tuple(Rule(place=place, lifetime=Lifetime.FIVE_MINUTES) for place in _RULES)
    return Plan(lanes=(Lane(model=None, label=None, rules=rules),))


def mark(folder: Path) -> Job:
    """``cacheplan.mark(body, plan)``: every body is read whole."""
    import cacheplan  # noqa: PLC0415

    given, plan = bodies(folder), _plan()
    return Job(lambda all_: [cacheplan.mark(body, plan) for body in all_], lambda: given, marks)


def _session(plan: Any) -> Any:
    """Return how ``Middleware`` decides, without the SDK around it."""

    def make(folder: Path) -> Job:
        from cacheplan.session import Session  # noqa: PLC0415

        given = lines(folder / "bodies.jsonl")

        def turn(session: Any) -> list[Body]:
            made = []
            for line in given:
                body, decision = session.prepare(line["request"], line["at"])
                session.observe(decision, decision.predicted, line["at"] + 2)
                made.append(body)
            return made

        return Job(turn, lambda: Session(plan() if plan else None), marks)

    return make


def check(folder: Path) -> Job:
    """``cacheplan.check(body)``."""
    import cacheplan  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "log.jsonl")]
    return Job(lambda all_: [cacheplan.check(body) for body in all_], lambda: given, _several)


def explain(folder: Path) -> Job:
    """``cacheplan.explain(earlier, later)``."""
    import cacheplan  # noqa: PLC0415

    given = [line["request"] for line in lines(folder / "broken.jsonl")]
    return Job(
        lambda all_: [str(cacheplan.explain(*both)) for both in pairwise(all_)],
        lambda: given,
    )


def price(folder: Path) -> Job:
    """``Sheet.cost``, usages in the counters that the service bills."""
    from cacheplan.prices import Sheet, Tariff  # noqa: PLC0415
    from cacheplan.usage import Usage  # noqa: PLC0415

    given = [
        (Usage(**each["counters"]), Tariff(each["model"]), each["at"])
        for each in lines(folder / "usages.jsonl")
    ]

    def turn(sheet: Any) -> list[Any]:
        return [sheet.cost(*each) for each in given]

    return Job(turn, Sheet.default, lambda costs: {"dollars": round(float(sum(costs)), 4)})


def _command(name: str, *words: str, logs: str = "log.jsonl") -> Any:
    """Return a command of ours on files."""

    def make(folder: Path) -> Job:
        from cacheplan.io.cli import main  # noqa: PLC0415

        paths = sorted(map(str, folder.glob(logs)))
        return commanded(main, [name, *words, "--quiet", *paths])

    return make


def choose(folder: Path) -> Job:
    """``cacheplan.choose`` on calls that are read already."""
    import cacheplan  # noqa: PLC0415

    given = cacheplan.read(folder / "log.jsonl")
    return Job(cacheplan.choose, lambda: given, lambda plan: {"lanes": len(plan.lanes)})


def _several(found: list[Any]) -> dict[str, int]:
    return {"findings": sum(map(len, found))}


if __name__ == "__main__":
    by_turns(
        ("cacheplan",),
        {
            "mark": ("import cacheplan; cacheplan.mark", mark),
            "planned": ("import cacheplan; cacheplan.Session", _session(_plan)),
            "learning": ("import cacheplan; cacheplan.Session", _session(None)),
            "check": ("import cacheplan; cacheplan.check", check),
            "explain": ("import cacheplan; cacheplan.explain", explain),
            "price": ("import cacheplan; cacheplan.Sheet", price),
            "choose": ("import cacheplan; cacheplan.choose", choose),
            "review": ("import cacheplan.io.cli", _command("review")),
            "careless": ("import cacheplan.io.cli", _command("review", logs="careless.jsonl")),
            "compare": ("import cacheplan.io.cli", _command("compare")),
            "costs": (
                "import cacheplan.io.cli",
                _command("costs", "--by", "session", "--no-savings", logs=_TRANSCRIPTS),
            ),
            "audit": ("import cacheplan.io.cli", _command("review", logs=_TRANSCRIPTS)),
        },
    )
