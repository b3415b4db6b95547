"""The command line: how every command starts, ends, and says what went wrong.

Text goes to standard output; notes and progress go to standard error. What a command is
stands in ``commands``.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from cacheplan.errors import CacheplanError, UnknownFactError
from cacheplan.io.commands import COMMANDS

__all__ = ["main"]

_DONE, _BAD_INPUT, _UNKNOWN = 0, 2, 3
#: What a shell says of a program that Ctrl-C ended (128 + SIGINT).
_INTERRUPTED = 130


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
        where = error.filename or "standard output"
        words, code = f"{where}: {(error.strerror or str(error)).lower()}", _BAD_INPUT
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


for _command in COMMANDS:
    main.add_command(_command)
