"""What commands do that ask what would be: the calls read, tried, and told.

Each of these answers is a value that knows how to say itself; here it gets its calls.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
import msgspec

from cacheplan.errors import InputError
from cacheplan.io.progress import bytes_read, watching
from cacheplan.io.reading import lines, read
from cacheplan.strict_json import member, members

if TYPE_CHECKING:
    from cacheplan.departures import Demand
    from cacheplan.estimation import Asked, Estimation
    from cacheplan.io.desk import Desk
    from cacheplan.levers import Assumed, Levers
    from cacheplan.migration import Migration
    from cacheplan.tokens import TokenCounter
    from cacheplan.workload import Workload

__all__ = ["estimated", "migrated", "pulled", "show"]


class _Told(Protocol):
    """What knows how to say itself."""

    def to_json(self) -> dict[str, Any]:
        """Return the shape that ``--format json`` prints."""


def show(found: _Told, form: str) -> None:
    """Print an answer as text or as JSON."""
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        click.echo(str(found))


def pulled(desk: Desk, assumed: Assumed) -> Levers:
    """Try every lever on the calls."""
    from cacheplan.pulling import pull

    workload = desk.workload()
    with watching(quiet=desk.quiet) as say:
        return pull(workload, desk.sheet, assumed, lambda what: say(f"trying: {what}"))


def migrated(
    desk: Desk, to: Sequence[str], routes: Sequence[str], answers: float | None
) -> Migration:
    """Read the calls once for each model, and price them there."""
    from cacheplan.io.counting import default_counter
    from cacheplan.migration import migrate
    from cacheplan.moved import move

    going = _named(to)
    routed = _routes(routes)
    if not going and not routed:
        raise InputError("either --to MODEL or --route LABEL=MODEL says where calls would go")
    if answers is not None and not 0 <= answers < float("inf"):
        raise InputError(f"{answers:g} is no factor", ("answers",))
    with _kept(desk.sources) as sources:
        desk.sources = sources
        now = desk.workload(texts=True)
        counter = default_counter(desk.assume)
        models = dict.fromkeys((*going, *routed.values()))
        moves = {
            model: move(now, _read_for(desk, model), model, counter, answers) for model in models
        }
        demands = _demands(sources)
    with watching(quiet=desk.quiet) as say:
        return migrate(
            now,
            [moves[model] for model in going],
            desk.sheet,
            routes={label: moves[model] for label, model in routed.items()},
            demands=demands,
            watch=lambda what: say(f"planning: {what}"),
        )


def _named(to: Sequence[str]) -> list[str]:
    """Return the models that are named, each once; a comma parts them as well."""
    names = [name.strip() for one in to for name in one.split(",")]
    if not all(names):
        raise InputError("a model without a name", ("to",))
    return list(dict.fromkeys(names))


def _routes(routes: Sequence[str]) -> dict[str, str]:
    """Return where labels go; one label goes to one model."""
    found: dict[str, str] = {}
    for route in routes:
        label, parts, model = route.rpartition("=")
        if not parts or not label or not model.strip():
            raise InputError(f'"{route}" is not LABEL=MODEL', ("route",))
        if found.get(label, model) != model:
            raise InputError(f'"{label}" goes to {found[label]} already', ("route",))
        found[label] = model.strip()
    return found


@contextmanager
def _kept(sources: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Let sources be read more than once: standard input is kept in a file meanwhile."""
    if "-" not in sources:
        yield sources
        return
    with tempfile.TemporaryDirectory(prefix="cacheplan-") as folder:
        path = Path(folder) / "standard input"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield tuple(str(path) if source == "-" else source for source in sources)
        except InputError as error:
            raise error.at(path.name, error.line) if error.source == str(path) else error from None


def _read_for(desk: Desk, model: str) -> Workload:
    """Read the calls as if they had been sent to another model."""
    with watching(quiet=desk.quiet) as say:
        return read(
            *desk.sources,
            assume=desk.assume,
            model=model,
            skip_bad=desk.skip_bad,
            seed=desk.seed,
            texts=False,
            watch=bytes_read(say),
        )


def _demands(sources: Sequence[str]) -> list[Demand]:
    """Collect what bodies ask of a model beside their prompts; bad lines ask for nothing."""
    from cacheplan.departures import Demand

    found: Counter[tuple[str | None, int, str, str]] = Counter()
    for source in sources:
        for _, line in lines(source):
            try:
                parts = members(line)
                if "request" not in parts:
                    continue
                label = member(parts, "label")
                asked = members(parts["request"])
                most = member(asked, "max_tokens")
                choice = _inner(asked, "tool_choice", "type")
                effort = _inner(asked, "output_config", "effort")
            except InputError:
                continue
            number = most if isinstance(most, int) else 0
            found[label if isinstance(label, str) else None, number, choice, effort] += 1
    return [Demand(*key, lines=number) for key, number in found.items()]


def _inner(parts: Mapping[str, msgspec.Raw], outer: str, inner: str) -> str:
    """Return a word inside a member, if there is one."""
    found = member(parts, outer) if outer in parts else None
    word = found.get(inner) if isinstance(found, Mapping) else None
    return word if isinstance(word, str) else ""


def estimated(desk: Desk, asked: Asked, count: str, per_minute: int) -> Estimation:
    """Estimate what the calls will come to, offline or by asking the service.

    What the service has answered is kept on disk, so a count that was broken off goes on
    where it was.
    """
    from cacheplan.estimating import Rough, estimate
    from cacheplan.io.counting import api_counter, default_counter
    from cacheplan.io.pacing import paced_client

    if per_minute < 1:
        raise InputError(f"{per_minute} questions a minute is too few", ("rpm",))
    offline = default_counter(desk.assume)
    with _kept(desk.sources) as sources, watching(quiet=desk.quiet) as say:
        counter: TokenCounter = offline
        rough: TokenCounter = Rough()
        if count == "api":
            client = paced_client(per_minute, lambda asked: say(f"asked: {asked:,}"))
            counter, rough = api_counter(client, desk.assume), offline
        desk.sources = sources
        # What is too few to be sampled is read once more, to be counted whole.
        workload = None if asked.sample is None else _read_by(desk, rough, say)
        if workload is None or (asked.sample or 0) >= len(workload):
            workload = _read_by(desk, counter, say)
        for note in workload.notes:
            desk.note(note)
        return estimate(workload, desk.sheet, counter, asked, say)


def _read_by(desk: Desk, counter: TokenCounter, say: Callable[[str], None]) -> Workload:
    """Read the calls, their lengths by one counter."""
    return read(
        *desk.sources,
        counter=counter,
        assume=desk.assume,
        model=desk.model,
        skip_bad=desk.skip_bad,
        seed=desk.seed,
        watch=bytes_read(say),
    )
