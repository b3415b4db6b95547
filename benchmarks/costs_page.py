"""The tables of the cost benchmark: its figures as people read them.

This file knows the shape of ``results/cost.json`` and measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.tabling import section

__all__ = ["headline", "pages", "ratio", "worst"]

Row = Mapping[str, Any]


def ratio(row: Row, name: str) -> float | None:
    """Return what a way of marking cost on a workload, over the bound."""
    score = row["scores"].get(name)
    return None if score is None else score["dollars"] / row["bound_usd"]


def worst(rows: Iterable[Row], name: str) -> tuple[float, str] | None:
    """Return the worst ratio of a way of marking, and the workload it has it on."""
    found = [(over, row["workload"]) for row in rows if (over := ratio(row, name)) is not None]
    return max(found, default=None)


def headline(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bars: ours beside the best rival, at worst and on each workload.

    Held on workloads with text, on which everybody was asked. On a workload, whoever sends
    another prompt than the one given is left out: that is another kind of saving.
    """
    rows = [row for row in found["workloads"] if row["text"]]
    ours, rivals = found["ours"], _rivals(rows, found["ours"])
    best = min(rivals, key=lambda name: worst(rows, name) or (9e9, ""))
    theirs = _worst(rows, best)
    stand: dict[str, Any] = {}
    for name in ours:
        behind: list[dict[str, Any]] = []
        for row in rows:
            alike = [one for one in rivals if _same(row, one)]
            least = min(alike, key=lambda rival: ratio(row, rival) or 9e9)
            over = (ratio(row, name) or 9e9) / (ratio(row, least) or 9e9)
            behind.append({"over": round(over, 4), "workload": row["workload"], "rival": least})
        behind.sort(key=lambda one: -float(one["over"]))
        mine = _worst(rows, name)
        stand[name] = {
            "worst": mine,
            "better_at_worst": round(theirs["ratio"] / mine["ratio"], 4),
            "dearest_against_a_rival": behind[0],
            "within_two_percent": all(float(one["over"]) <= 1.02 for one in behind),
            "not_the_best_on": [one for one in behind if float(one["over"]) > 1],
        }
    return {"best_rival": best, "best_rival_worst": theirs, "ours": stand}


def pages(found: Mapping[str, Any]) -> list[str]:
    """Write the sections of the page."""
    return [_worsts(found), _each(found), _dollars(found), _refusals(found), _asked(found)]


def _same(row: Row, name: str) -> bool:
    """Tell whether prompts were as long as the ones given: then they are those."""
    return bool(row["scores"][name]["tokens"] == row["prompt_tokens"])


def _rivals(rows: Sequence[Row], ours: Sequence[str]) -> list[str]:
    """Return who was compared with us on every workload."""
    names = dict.fromkeys(name for row in rows for name in row["scores"] if name not in ours)
    return [name for name in names if all(name in row["scores"] for row in rows)]


def _worst(rows: Sequence[Row], name: str) -> dict[str, Any]:
    """Return the worst ratio with its workload, for the file."""
    over, workload = worst(rows, name) or (float("nan"), "")
    return {"ratio": round(over, 4), "workload": workload}


def _worsts(found: Mapping[str, Any]) -> str:
    """Write the headline: everybody by their worst ratio, the best first."""
    rows = [row for row in found["workloads"] if row["text"]]
    names = [*found["ours"], *_rivals(rows, found["ours"])]
    names.sort(key=lambda name: worst(rows, name) or (9e9, ""))
    cells = []
    for name in names:
        over, workload = worst(rows, name) or (None, "")
        ratios = sorted(ratio(row, name) or 9e9 for row in rows)
        refused = sum(row["scores"][name]["refused"] for row in rows)
        calls = sum(row["calls"] for row in rows)
        dollars = sum(row["scores"][name]["dollars"] for row in rows)
        least = sum(row["uncached_usd"] for row in rows)
        shown = f"**{name}**" if name in found["ours"] else name
        cells.append(
            (
                shown,
                _three(over),
                workload,
                _three(ratios[len(ratios) // 2]),
                _three(dollars / least),
                f"{100 * refused / calls:.0f} %" if refused else "",
            )
        )
    columns = ("", "worst ratio", "on", "median ratio", "of no caching", "refused")
    note = (
        "Prompt cost over the bound: what no plan goes below. Everybody is scored on the second"
        " half of each workload's time, from cold; what learns has seen the first half. A"
        " refused call is priced as sent again without marks."
    )
    return section("The worst of each", columns, cells, note, _said(found["headline"]))


def _said(told: Mapping[str, Any]) -> str:
    """Say how ours stand to the best rival, and where they are not the best."""
    best = told["best_rival"]
    lines = [f"The best rival by its worst ratio is {best} ({_shown(told['best_rival_worst'])})."]
    for name, mine in told["ours"].items():
        where = "; ".join(
            f"{one['workload']} ({one['over']:.3f} times {one['rival']})"
            for one in mine["not_the_best_on"]
        )
        lines.append(
            f"`{name}`: at worst {_shown(mine['worst'])}, {mine['better_at_worst']:.2f} times"
            f" better; a rival with the same prompts is cheaper on {where or 'none'}."
        )
    return " ".join(lines)


def _shown(worst_: Mapping[str, Any]) -> str:
    return f"{worst_['ratio']:.2f}, {worst_['workload']}"


def _each(found: Mapping[str, Any]) -> str:
    """Write every ratio: a row for each way of marking, a column for each workload."""
    rows = [row for row in found["workloads"] if row["text"]]
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    cells = [(name, *(_two(ratio(row, name)) for row in rows)) for name in names]
    known = ("hindsight", *(_two(row["hindsight_usd"] / row["bound_usd"]) for row in rows))
    plain = ("uncached", *(_two(row["uncached_usd"] / row["bound_usd"]) for row in rows))
    columns = ("", *(row["workload"] for row in rows))
    note = (
        "`hindsight` knows all calls beforehand: how near to the bound marks were found to get."
        " The bound does not know that calls in flight cannot read each other, so nobody comes"
        ' near it on "cold fan out".\n\n'
        '*Where ours are not the best.* "slower habits" is made for it: until noon nobody'
        " pauses and afterwards everybody does, so what was learned is wrong, and an hour"
        " everywhere, wasteful on most workloads, happens to be right. A plan of the morning keeps"
        " to the morning; what learns finds out by the first pauses, each of which costs it one"
        ' more write. On "tool order" cacheguardian goes below the bound: it sorts the tools,'
        " so it sends other prompts, which no mark can equal."
    )
    written = section("Ratio to the bound, workload by workload", columns, [*cells, known, plain])
    digests = [row for row in found["workloads"] if not row["text"]]
    return f"{written}\n{note}\n{_digests(digests)}"


def _digests(rows: Sequence[Row]) -> str:
    """Write the recorded workloads that hold no text."""
    if not rows:
        return ""
    names = list(rows[0]["scores"])
    cells = [
        (row["workload"], row["calls"], *(_two(ratio(row, name)) for name in names)) for row in rows
    ]
    note = (
        "Files of a folder are taken as trees of prefixes, since most hold digests instead of"
        " text. So no package is asked: a rival is its rule, as a policy on the tree, which"
        " stands for all that place alike. They are no part of the tables above."
    )
    return "\n" + section("Recorded workloads", ("", "calls", *names), cells, note)


def _dollars(found: Mapping[str, Any]) -> str:
    """Write the money, ours and the cheapest rival's."""
    cells = []
    for row in found["workloads"]:
        if not row["text"]:
            continue
        others = [name for name in row["scores"] if name not in found["ours"]]
        least = min(others, key=lambda name: row["scores"][name]["dollars"])
        money = [row["scores"][name]["dollars"] for name in found["ours"]]
        cells.append(
            (
                row["workload"],
                row["calls"],
                _money(row["bound_usd"]),
                *map(_money, money),
                f"{_money(row['scores'][least]['dollars'])} ({least})",
                _money(row["uncached_usd"]),
            )
        )
    columns = ("", "calls", "bound", *found["ours"], "cheapest rival", "no caching")
    return section("Dollars for prompts", columns, cells)


def _refusals(found: Mapping[str, Any]) -> str:
    """Write who is refused, who fails, and who sends another text."""
    cells = []
    rows = [row for row in found["workloads"] if row["text"]]
    for name in dict.fromkeys(name for row in rows for name in row["scores"]):
        scores = [row["scores"][name] for row in rows if name in row["scores"]]
        theirs = sum(score["tokens"] for score in scores)
        ours = sum(row["prompt_tokens"] for row in rows if name in row["scores"])
        refused, failed = (sum(score[key] for score in scores) for key in ("refused", "failed"))
        changed = abs(theirs / ours - 1) >= 0.0005
        if refused or failed or changed:
            why = next((score["because"] for score in scores if score["because"]), "")
            share = f"{100 * (theirs / ours - 1):+.2f} %" if changed else ""
            cells.append((name, refused or "", failed or "", share, why[:120].replace("|", "/")))
    columns = ("", "refused", "raised", "prompt tokens", "because")
    note = (
        "Where the prompt's length differs, the package wrote tools, system or messages in"
        " another form, which is priced as sent. A call it raised at is sent without marks."
    )
    return section("Refused, failed, changed", columns, cells, note)


def _asked(found: Mapping[str, Any]) -> str:
    """Write which versions were asked, and what could not be."""
    cells = [(name, version) for name, version in sorted(found["versions"].items())]
    cells += [(name, f"not asked: {why}") for name, why in found["unavailable"].items()]
    return section("Packages asked", ("package", "version"), cells)


def _two(over: float | None) -> str | None:
    return None if over is None else f"{over:.2f}"


def _three(over: float | None) -> str | None:
    return None if over is None else f"{over:.3f}"


def _money(dollars: float) -> str:
    return f"{dollars:.4f}" if dollars < 1 else f"{dollars:.2f}"
