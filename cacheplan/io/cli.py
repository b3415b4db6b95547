"""The command line: one function a command, and none of them decides anything.

Heavy modules are imported inside the commands, so that ``--help`` is immediate. Text
goes to standard output; notes and progress go to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from cacheplan.errors import CacheplanError, UnknownFactError

__all__ = ["main"]

_FINDINGS, _BAD_INPUT, _UNKNOWN = 1, 2, 3

_Command = Callable[..., Any]


class _Commands(click.Group):
    """Turns every error on purpose into one line and the exit code of its kind."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 -- as the method it overrides
        """Run a command; no traceback reaches a user."""
        try:
            return super().invoke(ctx)
        except UnknownFactError as error:
            click.echo(f"cacheplan: {error}", err=True)
            ctx.exit(_UNKNOWN)
        except CacheplanError as error:
            click.echo(f"cacheplan: {error}", err=True)
            ctx.exit(_BAD_INPUT)
        except BrokenPipeError:
            # The reader of our output has seen enough, as `head` does.
            sys.stderr.close()
            ctx.exit(0)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cacheplan")
def main() -> None:
    """Plan prompt caching for Claude: what is written, read and paid."""


def _tables(command: _Command) -> _Command:
    """Add the options of every command that prices or simulates."""
    for option in (
        click.option("--prices", "prices_file", metavar="FILE", help="Price rows of your own (JSON)."),
        click.option("--assume", "assumed", multiple=True, metavar="NAME=VALUE", help="Answer an open question (see: facts)."),
        click.option("--quiet", is_flag=True, help="No notes on standard error."),
    ):
        command = option(command)
    return command


def _workload(command: _Command) -> _Command:
    """Add the argument and options of every command that reads a workload."""
    for option in (
        click.argument("sources", nargs=-1, required=True, metavar="WORKLOAD..."),
        click.option("--model", metavar="MODEL", help="Replay as if sent to another model."),
        click.option("--skip-bad", is_flag=True, help="Skip lines that cannot be read; say how many."),
        click.option("--seed", default=0, metavar="N", help="Fixes the arrivals of planned calls."),
    ):
        command = option(command)
    return _tables(command)


@main.command()
@_workload
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def compare(form: str, **options: Any) -> None:  # noqa: ANN401 -- the shared options
    """Every policy on the same calls."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    found = desk.compare()
    showing.comparison(found, form)
    desk.leave(unpriced=found.unpriced)


@main.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@_tables
def demo(form: str, **options: Any) -> None:  # noqa: ANN401 -- the shared options
    """Compare every policy on the workload that comes with cacheplan."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk, shipped_example

    desk = Desk(sources=(shipped_example(),), **options)
    showing.comparison(desk.compare(), form)
    desk.leave()


@main.command()
@_workload
@click.option("--policy", required=True, metavar="NAME", help="Which policy places the marks.")
@click.option("--format", "form", type=click.Choice(["jsonl"]), default="jsonl")
def simulate(policy: str, form: str, **options: Any) -> None:  # noqa: ANN401 -- the shared options
    """What the service would have counted, call by call."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    del form
    desk = Desk(**options)
    desk.leave(unpriced=showing.calls(desk.simulate(policy), desk.sheet))


@main.command()
@click.argument("body", metavar="BODY.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--platform", default="anthropic", help="anthropic, aws, bedrock, google or foundry.")
@_tables
def check(body: str, form: str, platform: str, **options: Any) -> None:  # noqa: ANN401 -- the shared options
    """Would the API take this body, and is any of its marks wasted?"""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    findings = Desk(**options).check(body, platform)
    showing.findings(findings, form)
    if any(finding.severity == "error" for finding in findings):
        sys.exit(_FINDINGS)


@main.command()
@click.argument("earlier", metavar="EARLIER.json")
@click.argument("later", metavar="LATER.json")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--show-text", is_flag=True, help="Show prompt text instead of its shape.")
@_tables
def explain(earlier: str, later: str, form: str, show_text: bool, **options: Any) -> None:  # noqa: ANN401, FBT001 -- as click passes them
    """Why the later call cannot read what the earlier one wrote."""
    from cacheplan.io import showing
    from cacheplan.io.desk import Desk

    showing.explanation(Desk(**options).explain(earlier, later), form, show=show_text)


@main.command()
@_workload
@click.option("-o", "--output", required=True, metavar="OUT.jsonl", help="Where to write.")
@click.option("--key-file", metavar="FILE", help="A key of your own; a random one otherwise.")
def anonymize(output: str, key_file: str | None, **options: Any) -> None:  # noqa: ANN401 -- the shared options
    """Write the digest form: who shares what, and no text."""
    from cacheplan.io.desk import Desk

    desk = Desk(**options)
    desk.anonymize(output, key_file)
    desk.leave()


@main.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--prices", "prices_file", metavar="FILE", help="Price rows of your own (JSON).")
def prices(form: str, prices_file: str | None) -> None:
    """Print the price rows, with dates and sources."""
    from cacheplan.io import showing
    from cacheplan.io.desk import sheet_from

    showing.prices(sheet_from(prices_file), form)


@main.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--assume", "assumed", multiple=True, metavar="NAME=VALUE")
def facts(form: str, assumed: tuple[str, ...]) -> None:
    """Print models, limits, what breaks a prefix, and the open questions."""
    from cacheplan.assumptions import Assumptions
    from cacheplan.io import showing

    showing.facts(Assumptions.parse(assumed), form)
