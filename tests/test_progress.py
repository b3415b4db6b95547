"""Progress is for a person at a terminal; programs and pipes never see it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from cacheplan.io.progress import bytes_read

ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from cacheplan.io.cli import main; sys.exit(main())"
COMMAND = [sys.executable, "-c", PROGRAM, "compare", "examples/support_day.jsonl.gz"]


def on_a_terminal(*options: str) -> tuple[str, str]:
    """Run a comparison whose standard error is a terminal; return both outputs."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        printed = process.stdout.read()
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # what a terminal says when its other end is gone
        pass
    os.close(ours)
    return printed, shown.decode(errors="replace")


def test_a_terminal_shows_what_is_being_done() -> None:
    """The policy at work stands on standard error, and the answer on standard output."""
    printed, shown = on_a_terminal()
    assert "comparing: hindsight" in shown
    assert printed.startswith("policy")
    assert "comparing" not in printed


def test_quiet_is_quiet() -> None:
    """With --quiet a terminal stays empty."""
    assert on_a_terminal("--quiet")[1] == ""


def test_a_pipe_sees_nothing_of_it() -> None:
    """Where nobody watches, standard error holds no progress."""
    found = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "comparing" not in found.stderr


@pytest.mark.parametrize(("lines", "said"), [(3, []), (9, ["reading: 5 MB"])])
def test_reading_is_said_now_and_then(lines: int, said: list[str]) -> None:
    """Every few megabytes there is a word, not at every line."""
    heard: list[str] = []
    hear = bytes_read(heard.append)
    for _ in range(lines):
        hear(1_000_000)
    assert heard == said
