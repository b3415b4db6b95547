"""The command line: one function a command, and none of them decides anything.

Heavy modules are imported inside the commands, so that ``--help`` is immediate. Text
goes to standard output; notes and progress go to standard error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from cacheplan.errors import CacheplanError, UnknownFactError

__all__ = ["main"]

_DONE, _BAD_INPUT, _UNKNOWN = 0, 2, 3
#: What a shell says of a program that Ctrl-C ended (128 + SIGINT).
_INTERRUPTED = 130

#: The keys of ``facts.PLATFORMS``, which takes longer to import than help may take.
_PLATFORMS = ("anthropic", "aws", "bedrock", "google", "foundry")

#: The keys of ``showing.REPORTS``: what a review can be written as.
_REPORTS = ("text", "json", "markdown", "sarif", "html")

_Command = Callable[..., Any]


class _Commands(click.Group):
    """Ends every command with an exit code, and every failure with one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; no traceback reaches a user."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that cannot show a character shows its number.
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except Exception as error:  # noqa: BLE001 -- a defect of ours ends in one line, too
            sys.exit(_last_words(error))
        sys.exit(code or _DONE)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options, and print help where it is asked for."""
        with _as_long_as_read():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _as_long_as_read():
            return super().invoke(ctx)


@contextmanager
def _as_long_as_read() -> Iterator[None]:
    """End well where the reader of our output has seen enough, as ``head`` does.

    Inside of click, which takes a closed pipe for a failure.
    """
    try:
        yield
    except BrokenPipeError as error:
        _silence()
        raise click.exceptions.Exit(_DONE) from error


def _silence() -> None:
    """Put what is still to be printed nowhere: Python flushes once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _last_words(error: Exception) -> int:
    """Say what went wrong, and return the exit code of its kind."""
    if isinstance(error, click.Abort):
        words, code = "interrupted", _INTERRUPTED
    elif isinstance(error, UnknownFactError):
        words, code = str(error), _UNKNOWN
    elif isinstance(error, CacheplanError):
        words, code = str(error), _BAD_INPUT
    elif isinstance(error, OSError):
        _silence()
        words, code = f"standard output: {(error.strerror or str(error)).lower()}", _BAD_INPUT
    else:
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119 -- for its name
        words = f"a defect of its own: {type(error).__name__}: {error} ({where})"
        code = _UNKNOWN
    click.echo(f"cacheplan: {words}", err=True)
    return code


def _version() -> str:
    """Return the version that is installed; sources that are not have none."""
    from importlib import metadata

    try:
        return metadata.version("cacheplan")
    except metadata.PackageNotFoundError:
        return "not installed"


def _say_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print the version and end."""
    if asked and not ctx.resilient_parsing:
        click.echo(f"cacheplan, version {_version()}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_say_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Plan prompt caching for Claude: what is written, read and paid."""


def _tables(command: _Command) -> _Command:
    """Add the options of every command that prices or simulates."""
    quiet = click.option("--quiet", is_flag=True, help="No notes on standard error.")
    return _prices(_assume(quiet(command)))


def _prices(command: _Command) -> _Command:
    """Add the option for a user's own prices."""
    words = "Price rows of your own (JSON)."
    return click.option("--prices", "prices_file", metavar="FILE", help=words)(command)


def _assume(command: _Command) -> _Command:
    """Add the option that answers open questions."""
    words = "Answer an open question (see: facts)."
    option = click.option("--assume", "assumed", multiple=True, metavar="NAME=VALUE", help=words)
    return option(command)


def _workload(command: _Command) -> _Command:
    """Add the argument and options of every command that reads a workload."""
    for option in (
        click.argument("sources", nargs=-1, required=True, metavar="WORKLOAD..."),
        click.option("--model", metavar="MODEL", help="Replay as if sent to another model."),
        click.option("--skip-bad", is_flag=True, help="Skip lines that cannot be read."),
        click.option("--seed", default=0, metavar="N", help="Fixes the arrivals of planned calls."),
    ):
        command = option(command)
    return _tables(command)


def _placing(command: _Command) -> _Command:
    """Add the options that say what places the marks."""
    for option in (
        click.option("--policy", metavar="NAME", help="Marks placed by a policy."),
        click.option("--plan", "plan_file", metavar="PLAN.json", help="Marks placed by a plan."),
    ):
        command = option(command)
    return command


def _reviewing(command: _Command) -> _Command:
    """Add the options that say how a review is shown, and when it fails."""
    severe = "Exit with 1 at findings of this severity or above, or of this rule."
    for option in (
        click.option("--format", "form", type=click.Choice(_REPORTS), default="text"),
        click.option("-o", "--output", default="-", metavar="FILE", help="Where to write."),
        click.option("--fail-on", metavar="SEVERITY|CODE", help=severe),
        click.option("--show-text", is_flag=True, help="Show prompt text instead of its shape."),
    ):
        command = option(command)
    return command


def _train(command: _Command) -> _Command:
    """Add the option that parts what is learned from and what is scored."""
    words = "Share of the time to learn from; 0 learns and scores on everything."
    option = click.option("--train", default=0.5, metavar="FRACTION", help=words)
    return option(command)


@main.command()
@_workload
@_train
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def compare(form: str, train: float, **options: Any) -> None:
    """Every policy on the same calls, beside what none can go below."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    found = desk.compare(train)
    showing.comparison(found, form)
    desk.leave(found.unpriced, found.unmeasured)


@main.command()
@_workload
@_train
@click.option("-o", "--output", metavar="PLAN.json", help="Where to write the plan.")
@click.option("--against", metavar="OLD.json", help="Say how it differs from another plan.")
def plan(output: str | None, against: str | None, train: float, **options: Any) -> None:
    """Choose where to mark and for how long, with what that is worth."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    chosen, advice, found = desk.plan(output, train)
    showing.plan(chosen, advice, found, desk.differences(chosen, against))
    desk.leave(found.unpriced, found.unmeasured)


@main.command()
@click.argument("source", metavar="BODY.json|WORKLOAD.jsonl")
@click.option("-o", "--output", default="-", metavar="OUT", help="Where to write.")
@_placing
@_tables
def mark(
    source: str, output: str, policy: str | None, plan_file: str | None, **options: Any
) -> None:
    """Write cache_control into a body, or into every call of a workload."""
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    desk.mark(source, output, desk.chosen(policy, plan_file))


@main.command()
@_reviewing
@_workload
@_train
def review(
    form: str, output: str, fail_on: str | None, show_text: bool, train: float, **options: Any
) -> None:
    """What calls share, what breaks it, what to mark, and what that is worth."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk
    from cacheplan.report import threshold

    wanted = None if fail_on is None else threshold(fail_on)
    desk = Desk(**options)
    found = desk.review(train)
    showing.review(found, form, output, show=show_text, sources=desk.sources)
    desk.failing(found, wanted)


@main.command()
@_reviewing
@_tables
def demo(form: str, output: str, fail_on: str | None, show_text: bool, **options: Any) -> None:
    """Review the workload that comes with cacheplan."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk, shipped_example
    from cacheplan.report import threshold

    wanted = None if fail_on is None else threshold(fail_on)
    desk = Desk(sources=(shipped_example(),), **options)
    found = desk.review(0.5)
    showing.review(found, form, output, show=show_text, sources=desk.sources)
    desk.failing(found, wanted)


@main.command()
@_workload
@_placing
@click.option("--format", "form", type=click.Choice(["jsonl"]), default="jsonl")
def simulate(policy: str | None, plan_file: str | None, form: str, **options: Any) -> None:
    """What the service would have counted, call by call."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    del form
    desk = Desk(**options)
    desk.leave(*showing.calls(desk.simulate(policy, plan_file), desk.sheet, desk.assume))


@main.command()
@click.argument("body", metavar="BODY.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--platform", type=click.Choice(_PLATFORMS), default="anthropic")
@_tables
def check(body: str, form: str, platform: str, **options: Any) -> None:
    """Tell whether the API would take a body, and whether a mark of it is wasted."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    found = desk.check(body, platform)
    showing.findings(found, form)
    sys.exit(desk.verdict(found))


@main.command()
@click.argument("earlier", metavar="EARLIER.json")
@click.argument("later", metavar="LATER.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--show-text", is_flag=True, help="Show prompt text instead of its shape.")
@_tables
def explain(earlier: str, later: str, form: str, show_text: bool, **options: Any) -> None:
    """Why the later call cannot read what the earlier one wrote."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    showing.explanation(Desk(**options).explain(earlier, later), form, show=show_text)


@main.command()
@_workload
@click.option("-o", "--output", required=True, metavar="OUT.jsonl", help="Where to write.")
@click.option("--key-file", metavar="FILE", help="A key of your own; a random one otherwise.")
def anonymize(output: str, key_file: str | None, **options: Any) -> None:
    """Write the digest form: who shares what, and no text."""
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    desk.anonymize(output, key_file)
    desk.leave()


@main.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@_prices
def prices(form: str, prices_file: str | None) -> None:
    """Print the price rows, with dates and sources."""
    from cacheplan.io import showing
    from cacheplan.io.desk import sheet_from

    showing.prices(sheet_from(prices_file), form)


@main.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@_assume
def facts(form: str, assumed: tuple[str, ...]) -> None:
    """Print models, limits, what breaks a prefix, and the open questions."""
    from cacheplan.assumptions import Assumptions
    from cacheplan.io import showing

    showing.facts(Assumptions.parse(assumed), form)
