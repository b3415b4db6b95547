"""What everybody's marks cost on the same calls, priced by the same cache.

Real packages are asked in environments of their own which bodies they would send; what is
not in Python is replaced by its documented rule (``rivals``). Whatever comes out is read
anew and priced as sent, on the calls of the second half of each workload's time, from
cold; what learns has seen the first half. The headline is the worst ratio to the bound,
since a rule that wins one workload and ruins another is no good default.

    python -m benchmarks cost [FOLDER] [--environments DIR] [--packages NAMES | none]

Packages that are not asked keep the figures they have in the kept results, where those are
of the same workload at the same prices.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final, NamedTuple

import cacheplan
from benchmarks import costs_page
from benchmarks.rivals.environments import PACKAGES, Asked, Package, Unavailable
from benchmarks.rivals.rules import RULES, marked
from benchmarks.tabling import RESULTS, publish
from benchmarks.texts import SCENARIOS, Line, lines
from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.contest import contest, part
from cacheplan.decision import Decision
from cacheplan.envelopes import Envelope
from cacheplan.facts import Model
from cacheplan.io.counting import default_counter
from cacheplan.io.fake.messages import Messages, Said
from cacheplan.policies import as_marked
from cacheplan.prices import Sheet
from cacheplan.projection import Bill, replay
from cacheplan.prompt import Block
from cacheplan.records import Intake
from cacheplan.session import Origin, Outcome, Session
from cacheplan.tokens import Count, TokenCounter
from cacheplan.usage import Usage
from cacheplan.workload import Workload

__all__ = ["Score", "main", "read", "score"]

#: What is ours in the table, and what it is compared with besides the rivals.
OURS: Final = ("planned", "adaptive", "Middleware()")
#: Digest forms have no text to hand to a package; what is documented of them has the
#: families of ``cacheplan.policies``, by the names of our rows.
FAMILIES: Final = {
    "uncached": "no caching",
    "automatic": "automatic",
    "automatic-1h": "automatic, 1h",
    "system-tail": "litellm, automatic",
    "tools-system-tail": "langchain-anthropic",
    "last-two-turns": "goose",
    "static": "Agno, system and tools",
}

#: Whose prices and minimum are taken where a recorded workload names no model we know.
STANDS_IN: Final = "claude-sonnet-4-5"
#: What tells that a kept row is of the same workload, at the same prices.
_SAME: Final = ("calls", "prompt_tokens", "uncached_usd")
#: Longer than any entry lives, in seconds.
_NIGHT: Final = 8 * 3600.0

Body = dict[str, Any]


class Score(NamedTuple):
    """What one way of marking cost on the scored half of one workload."""

    #: Dollars for prompts; a refused call is sent again without marks.
    dollars: float
    #: Calls that the service refuses as sent.
    refused: int
    #: Tokens of prompts: where they are not ours, the package changed the text.
    tokens: int
    #: Calls that the package raised at, sent as they were.
    failed: int = 0
    #: What was said on refusing or failing, the first of it.
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A workload as everybody gets it."""

    name: str
    #: Lines of the recorded form; empty where there are only digests.
    lines: Sequence[Line]
    workload: Workload


class _Remembering:
    """Counts each block once, however many workloads it stands in."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter
        self._known: dict[tuple[bytes, str], Count] = {}
        self.name = counter.name

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Return how long blocks are."""
        lane = model.generation if model else ""
        new = [block for block in blocks if (block.digest, lane) not in self._known]
        for block, count in zip(new, self._counter.count(new, model), strict=True):
            self._known[block.digest, lane] = count
        return [self._known[block.digest, lane] for block in blocks]


def main(arguments: Sequence[str]) -> int:
    """Make the table; a folder of workload files is taken beside the scenarios."""
    asked = _options(arguments)
    counter, sheet = _Remembering(default_counter()), Sheet.default()
    cases = list(_cases(asked.folder, counter))
    table: dict[str, dict[str, Score]] = {case.name: {} for case in cases}
    rows = [_ours(case, counter, sheet, table[case.name]) for case in cases]
    for name, rule in RULES.items():
        for case in _watched(cases, name):
            bodies = (marked(line["request"], rule) for line in case.lines)
            table[case.name][name] = score(case, bodies, counter, sheet)
    said: dict[str, Any] = {"versions": {}, "unavailable": {}, "asked": {}}
    wanted = [one for one in PACKAGES if not asked.packages or one.name in asked.packages]
    _keep([one for one in PACKAGES if one not in wanted], rows, table, said)
    with tempfile.TemporaryDirectory() as temporary:
        for package in wanted:
            folder = Path(asked.environments or temporary)
            _ask(package, folder, cases, (counter, sheet), table, said)
    for row in rows:
        row["scores"] = {name: one._asdict() for name, one in table[row["workload"]].items()}
    found = {**said, "ours": OURS, "workloads": rows}
    found["headline"] = costs_page.headline(found)
    publish("cost", "Cost", found, costs_page.pages(found))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cost")
    parser.add_argument("folder", nargs="?", type=Path, help="workload files of your own")
    parser.add_argument(
        "--environments",
        default=os.environ.get("CACHEPLAN_RIVALS"),
        help="where the packages' environments are kept (CACHEPLAN_RIVALS)",
    )
    parser.add_argument("--packages", type=lambda names: names.split(","), help="only these")
    return parser.parse_args(arguments)


def _cases(folder: Path | None, counter: TokenCounter) -> Iterator[Case]:
    """Yield the scenarios, then the files of a folder."""
    for name in SCENARIOS:
        made = lines(name)
        yield Case(name=name, lines=made, workload=read(made, counter))
    for path in sorted(folder.rglob("*.jsonl*")) if folder else ():
        workload = cacheplan.read(path)
        models = {call.tariff.model for call in workload}
        if any(facts.find(model) is None for model in models):
            workload = cacheplan.read(path, model=STANDS_IN)
        yield Case(name=path.name.partition(".")[0], lines=(), workload=workload)


def read(made: Sequence[Mapping[str, Any]], counter: TokenCounter) -> Workload:
    """Read lines as from a file."""
    intake = Intake(counter)
    for line in made:
        intake.add(json.dumps(line).encode())
    return intake.workload()


def _ours(case: Case, counter: TokenCounter, sheet: Sheet, into: dict[str, Score]) -> Body:
    """Score what is ours, and say what no way of marking goes below."""
    found = contest(case.workload, sheet)
    families = {} if case.lines else FAMILIES
    for name, shown in {"planned": "planned", "adaptive": "adaptive", **families}.items():
        one = found[name]
        into[shown] = Score(_number(one.input_cost), one.rejected, found.prompt_tokens)
    if case.lines:
        into["Middleware()"] = score(
            case, _through_middleware(case, counter, sheet), counter, sheet
        )
    return {
        "workload": case.name,
        "calls": found.calls,
        "bound": found.bounds.name,
        "bound_usd": _number(found.bounds.highest),
        "hindsight_usd": _number(found["hindsight"].input_cost),
        "uncached_usd": _number(found["uncached"].input_cost),
        "prompt_tokens": found.prompt_tokens,
        "text": bool(case.lines),
    }


def _through_middleware(case: Case, counter: TokenCounter, sheet: Sheet) -> Iterator[Body]:
    """Yield the bodies as ``Middleware()`` sends them, all from the first call on.

    It is a driver around a session, which hears when a response begins and what is billed,
    here by the imitated service. For it a night lies between the halves: what is scored
    starts from cold, and it would not write again what it knows to be alive.
    """
    session, service = Session(), Messages(lambda: counter, sheet, Assumptions(), strict=False)
    scored = part(case.workload, 0.5).scored.calls[0].at
    answers: list[tuple[float, int, Decision, Outcome]] = []
    for number, line in enumerate(case.lines):
        at = line["at"] + (_NIGHT if line["at"] >= scored else 0.0)
        while answers and answers[0][0] <= at:
            begun, _, earlier, outcome = heappop(answers)
            session.learn(earlier, outcome, begun)
        where = line.get("platform", "anthropic"), line.get("surface", "messages")
        body, decision = session.prepare(
            line["request"], at, Origin(platform=where[0], surface=where[1])
        )
        after = line.get("first_token_after", 1.0)
        said = service.create(body, Envelope(*where, "", at), after)
        result = said.usage if isinstance(said, Said) else "refused"
        outcome = Outcome(result, first_token_after=after)
        heappush(answers, (at + after, number, decision, outcome))
        yield body


def score(case: Case, bodies: Iterable[Body], counter: TokenCounter, sheet: Sheet) -> Score:
    """Price bodies as sent, on the scored half."""
    failed, because, sent = 0, "", []
    for line, body in zip(case.lines, bodies, strict=True):
        if "failed" in body:
            failed, because = failed + 1, because or str(body["failed"])
        sent.append(line if "failed" in body else {**line, "request": body})
    scored = part(read(sent, counter), 0.5).scored
    bill, tokens, refused = Bill(sheet), 0, 0
    for call, usage, why, _ in replay(scored, as_marked(scored), sheet):
        prompt = scored.prompt_tokens(call)
        tokens += prompt
        if why is not None:
            refused, because = refused + 1, because or why
        again = Usage(uncached=prompt, output=call.output)
        bill.add(again if why is not None else usage, call.tariff, call.at)
    return Score(_number(bill.costs()[1]), refused, tokens, failed, because)


def _ask(
    package: Package,
    folder: Path,
    cases: Sequence[Case],
    means: tuple[TokenCounter, Sheet],
    table: Mapping[str, dict[str, Score]],
    said: dict[str, Any],
) -> None:
    """Have a package mark every workload with text, in each of its ways."""
    _tell(f"{package.name}: its environment")
    try:
        with Asked(package, folder) as process:
            # One package may bring along another, in an older version.
            said["versions"] = process.versions | said["versions"]
            said["asked"][package.name] = datetime.now(UTC).date().isoformat()
            for name, way in package.ways.items():
                for case in _watched(cases, name):
                    bodies = process.bodies(way, case.lines)
                    table[case.name][name] = score(case, bodies, *means)
    except Unavailable as why:
        for name in package.ways:
            said["unavailable"][name] = f"{' '.join(package.requires)} {why}"
            for scores in table.values():
                scores.pop(name, None)


def _keep(
    packages: Sequence[Package],
    rows: Sequence[Body],
    table: Mapping[str, dict[str, Score]],
    said: dict[str, Any],
) -> None:
    """Take over what packages that are not asked cost when they were."""
    path = RESULTS / "cost.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() and packages else {}
    by_name = {row["workload"]: row for row in kept.get("workloads", ())}
    for package in packages:
        if package.name not in kept.get("asked", ()):
            continue
        said["asked"][package.name] = kept["asked"][package.name]
        said["versions"] = kept["versions"] | said["versions"]
        for row in rows:
            before = by_name.get(row["workload"], {})
            if all(before.get(key) == row[key] for key in _SAME):
                # Digests have no text to hand to a package, and so no figure of one.
                for name in filter(before["scores"].__contains__, package.ways):
                    table[row["workload"]][name] = Score(**before["scores"][name])


def _watched(cases: Sequence[Case], what: str) -> Iterator[Case]:
    """Yield the workloads that have text, and tell whoever waits at a terminal."""
    for case in cases:
        if case.lines:
            _tell(f"{what}: {case.name}")
            yield case
    _tell("")


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        with suppress(OSError):
            print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def _number(amount: Decimal | None) -> float:
    """Return dollars to a ten-thousandth of a cent; every model here has a price."""
    if amount is None:
        raise ValueError("a model of the workload has no price")
    return round(float(amount), 6)
