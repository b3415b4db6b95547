"""What every command does around its work: options into tables, files into calls."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import click

from cacheplan.assumptions import Assumptions
from cacheplan.comparison import Comparison
from cacheplan.errors import InputError, UnknownFactError
from cacheplan.explanation import Explanation
from cacheplan.finding import Finding
from cacheplan.io import door
from cacheplan.io.reading import opened, read
from cacheplan.prices import Sheet
from cacheplan.projection import Served, replay
from cacheplan.strict_json import value
from cacheplan.workload import Workload

__all__ = ["Desk", "sheet_from", "shipped_example"]

_EXAMPLE = "support_day.jsonl.gz"


class Desk:
    """One command's options, turned into what its work needs."""

    def __init__(
        self,
        *,
        sources: tuple[str, ...] = (),
        prices_file: str | None = None,
        assumed: tuple[str, ...] = (),
        quiet: bool = False,
        model: str | None = None,
        skip_bad: bool = False,
        seed: int = 0,
    ) -> None:
        self.sheet = sheet_from(prices_file)
        self.assume = Assumptions.parse(assumed)
        self._quiet = quiet
        self._sources = sources
        self._model = model
        self._skip_bad = skip_bad
        self._seed = seed

    def workload(self) -> Workload:
        """Read the calls, and say what was left out."""
        found = read(
            *self._sources,
            assume=self.assume,
            model=self._model,
            skip_bad=self._skip_bad,
            seed=self._seed,
        )
        for note in found.notes:
            self.note(note)
        return found

    def compare(self) -> Comparison:
        """Compare every policy on the calls."""
        return door.compare(self.workload(), sheet=self.sheet)

    def simulate(self, policy: str) -> Iterator[Served]:
        """Serve the calls under one policy."""
        bind = door.policy_named(policy).bind
        workload = self.workload()
        return replay(workload, bind(workload), self.sheet)

    def check(self, body: str, platform: str) -> list[Finding]:
        """Check one body."""
        return _in_file(
            body, lambda found: door.check(found, sheet=self.sheet, assume=self.assume, platform=platform)
        )

    def explain(self, earlier: str, later: str) -> Explanation:
        """Explain two bodies to each other."""
        first, second = body_from(earlier), body_from(later)
        return door.explain(first, second, sheet=self.sheet, assume=self.assume)

    def anonymize(self, output: str, key_file: str | None) -> None:
        """Write the calls in the digest form, all of them or none."""
        from cacheplan.anonymous import anonymous

        key = secrets.token_bytes(32)
        if key_file is not None:
            with opened(key_file) as stream:
                key = stream.read().strip()
            if not key:
                raise InputError("this key is empty").at(key_file)
        write_lines(output, anonymous(self.workload(), key))

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        if not self._quiet:
            click.echo(f"note: {text}", err=True)

    def leave(self, unpriced: tuple[str, ...] = ()) -> None:
        """End the command; an answer without its money is not the whole answer."""
        if unpriced:
            names = ", ".join(f'"{name}"' for name in unpriced)
            raise UnknownFactError(
                f"nobody states price and minimum of {names}: nothing is taken to be cached, and"
                " money is unknown (--model replays the calls on a known one, --prices adds a row)"
            )


def sheet_from(prices_file: str | None) -> Sheet:
    """Return the price sheet, with the user's own rows if there are any."""
    sheet = Sheet.default()
    if prices_file is None:
        return sheet
    with opened(prices_file) as stream:
        raw = stream.read()
    try:
        return sheet.override(value(raw.strip()))
    except InputError as error:
        raise error.at(prices_file) from error


def body_from(name: str) -> Mapping[str, Any]:
    """Read one body from a file."""
    with opened(name) as stream:
        raw = stream.read().strip()
    try:
        found = value(raw)
    except InputError as error:
        raise error.at(name) from error
    if not isinstance(found, Mapping):
        raise InputError("a body is an object").at(name)
    return found


def write_lines(output: str, rows: Iterator[Mapping[str, Any]]) -> None:
    """Write JSON Lines: to standard output, or to a file that appears only when whole."""
    import json

    if output == "-":
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
        return
    target = Path(output)
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as stream:
            part = Path(stream.name)
            try:
                for row in rows:
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                stream.close()
                part.replace(target)
            except BaseException:
                with suppress(OSError):
                    part.unlink()
                raise
    except OSError as error:
        raise InputError((error.strerror or str(error)).lower()).at(output) from error


def shipped_example() -> str:
    """Return the workload that comes with the package, or with its sources."""
    inside = Path(str(resources.files("cacheplan"))) / "examples" / _EXAMPLE
    beside = Path(str(resources.files("cacheplan"))).parent / "examples" / _EXAMPLE
    return str(inside if inside.exists() else beside)


def _in_file(name: str, work: Any) -> Any:  # noqa: ANN401 -- whatever the work returns
    """Do something with the body in a file; its faults name the file."""
    found = body_from(name)
    try:
        return work(found)
    except InputError as error:
        raise error.at(name) from error
