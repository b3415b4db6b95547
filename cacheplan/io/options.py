"""Options that several commands have, so that each is said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

__all__ = [
    "PLATFORMS",
    "Command",
    "assume",
    "known",
    "logs",
    "placing",
    "prices",
    "reviewing",
    "settings",
    "tables",
    "train",
    "workload",
]

#: The keys of ``facts.PLATFORMS``, which takes longer to import than help may take.
PLATFORMS: Final = ("anthropic", "aws", "bedrock", "google", "foundry")

#: The keys of ``reporting.REPORTS``: what a review can be written as.
REPORTS: Final = ("text", "json", "markdown", "sarif", "html")

Command = Callable[..., Any]


def tables(command: Command) -> Command:
    """Add the options of every command that prices or simulates."""
    quiet = click.option("--quiet", is_flag=True, help="No notes on standard error.")
    return prices(assume(settings(quiet(command))))


def settings(command: Command) -> Command:
    """Add the options that say where a team's settings are."""
    for option in (
        click.option("--settings", metavar="FILE", help="Settings other than pyproject.toml's."),
        click.option("--no-settings", is_flag=True, help="Do without any settings."),
    ):
        command = option(command)
    return command


def prices(command: Command) -> Command:
    """Add the option for a user's own prices."""
    words = "Price rows of your own (JSON)."
    return click.option("--prices", "prices_file", metavar="FILE", help=words)(command)


def assume(command: Command) -> Command:
    """Add the option that answers open questions."""
    words = "Answer an open question (see: facts)."
    option = click.option("--assume", "assumed", multiple=True, metavar="NAME=VALUE", help=words)
    return option(command)


def workload(command: Command) -> Command:
    """Add the argument and options of every command that reads a workload."""
    for option in (
        click.argument("sources", nargs=-1, required=True, metavar="WORKLOAD..."),
        click.option("--model", metavar="MODEL", help="Replay as if sent to another model."),
        click.option("--skip-bad", is_flag=True, help="Skip lines that cannot be read."),
        click.option("--seed", default=0, metavar="N", help="Fixes the arrivals of planned calls."),
    ):
        command = option(command)
    return tables(command)


def logs(command: Command) -> Command:
    """Add the options of every command that reads logs of other programs as they are."""
    for option in (
        click.option("--from", "log", metavar="FORMAT", help="The format of a log (see: formats)."),
        click.option("--since", metavar="TIME", help="Only calls since then: 7d, 12h, 2026-11-01."),
    ):
        command = option(command)
    return workload(command)


def placing(command: Command) -> Command:
    """Add the options that say what places the marks."""
    for option in (
        click.option("--policy", metavar="NAME", help="Marks placed by a policy."),
        click.option("--plan", "plan_file", metavar="PLAN.json", help="Marks placed by a plan."),
    ):
        command = option(command)
    return command


def reviewing(command: Command) -> Command:
    """Add the options that say how a review is shown, and when it fails."""
    severe = "Exit with 1 at findings of this severity or above, or of this rule."
    for option in (
        click.option("--format", "form", type=click.Choice(REPORTS), default="text"),
        click.option("-o", "--output", default="-", metavar="FILE", help="Where to write."),
        click.option("--fail-on", metavar="SEVERITY|CODE", help=severe),
        click.option("--show-text", is_flag=True, help="Show prompt text instead of its shape."),
    ):
        command = option(command)
    return command


def known(command: Command) -> Command:
    """Add the options of a baseline."""
    for option in (
        click.option("--baseline", metavar="FILE", help="Findings that are known and never fail."),
        click.option("--write-baseline", metavar="FILE", help="Write what is found as known."),
    ):
        command = option(command)
    return command


def train(command: Command) -> Command:
    """Add the option that parts what is learned from and what is scored."""
    words = "Share of the time to learn from; 0 learns and scores on everything."
    option = click.option("--train", default=0.5, metavar="FRACTION", help=words)
    return option(command)
