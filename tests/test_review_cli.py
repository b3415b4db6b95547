"""``cacheplan review``: what it writes, where, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from reviews import PERSON, dated, steady
from small import digest_line

import cacheplan
from cacheplan.io import reporting
from cacheplan.io.cli import main
from cacheplan.io.options import REPORTS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with calls that have a finding, that have none, and others."""
    monkeypatch.chdir(tmp_path)
    write("dated.jsonl", dated())
    write("steady.jsonl", steady())
    unknown = steady()
    for line in unknown:
        line["request"]["model"] = "a-new-one"
    write("unknown.jsonl", unknown)
    dates = dated()
    for line in dates:
        line["request"]["model"] = "a-new-one"
    write("both.jsonl", dates)
    write("digests.jsonl", [digest_line([("s", 3_000, "system")], at=at) for at in (0, 9)])
    Path("empty.jsonl").touch()
    return tmp_path


def write(name: str, lines: Iterable[Any]) -> None:
    """Write JSON Lines."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(words: str) -> Result:
    """Run a command line in this process; no traceback may show in any case."""
    result = CliRunner().invoke(main, words.split())
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


class TestExitCodes:
    """The exit code says whether something grave was found, and whether it is the whole answer."""

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ("dated.jsonl", 0),
            ("dated.jsonl --fail-on error", 0),
            ("dated.jsonl --fail-on warning", 1),
            ("dated.jsonl --fail-on CP001", 1),
            ("dated.jsonl --fail-on volatile-span", 1),
            ("steady.jsonl --fail-on CP001", 0),
            ("digests.jsonl", 0),
            ("dated.jsonl --fail-on CP999", 2),
            ("dated.jsonl --fail-on grave", 2),
            ("empty.jsonl", 2),
            ("nothing.jsonl", 2),
            ("unknown.jsonl", 3),
            ("unknown.jsonl --fail-on CP001", 3),
            # Found is found: a code and a note need no price, a warning may turn into a note.
            ("both.jsonl --fail-on CP001", 1),
            ("both.jsonl --fail-on note", 1),
            ("both.jsonl --fail-on warning", 3),
            ("both.jsonl --fail-on error", 3),
            ("both.jsonl --fail-on CP001 --format json -o out", 1),
            ("unknown.jsonl --model claude-sonnet-5", 0),
            ("dated.jsonl --train 2", 2),
            ("dated.jsonl --format word", 2),
        ],
    )
    def test_code(self, words: str, code: int) -> None:
        """Each ends as the contract says."""
        assert run(f"review {words}").exit_code == code

    def test_a_bad_threshold_costs_no_time(self) -> None:
        """It is refused before any file is read."""
        result = run("review nothing.jsonl --fail-on CP999")
        assert "CP999" in result.stderr
        assert "nothing.jsonl" not in result.stderr

    def test_why(self) -> None:
        """That something was found is said on standard error, unless it is to be quiet."""
        assert "findings at or above CP001: 1" in run("review dated.jsonl --fail-on CP001").stderr
        assert run("review dated.jsonl --fail-on CP001 --quiet").stderr == ""

    def test_unknown_model(self) -> None:
        """The structure is printed whole before the exit code says what is missing."""
        result = run("review unknown.jsonl --format json")
        found = json.loads(result.stdout)
        assert found["shared"][0]["calls"] == 12
        assert found["paid"]["input_cost_usd"] is None
        assert 'price of "a-new-one"' in result.stderr

    def test_unknown_model_and_findings(self) -> None:
        """Where something is found at any price, that money is unknown is said beside it."""
        result = run("review both.jsonl --fail-on CP001")
        assert "warning CP001 volatile-span" in result.stdout
        assert "Every policy on the calls that are scored" in result.stdout
        assert "findings at or above CP001: 1" in result.stderr
        assert 'the price or the minimum of "a-new-one"' in result.stderr


class TestForms:
    """A review is written in every form, to standard output or to a file."""

    @pytest.mark.parametrize("form", REPORTS)
    def test_file(self, form: str) -> None:
        """``-o`` writes what would have been printed, and prints nothing."""
        printed = run(f"review dated.jsonl --format {form}")
        written = run(f"review dated.jsonl --format {form} -o out")
        assert (printed.exit_code, written.exit_code, written.stdout) == (0, 0, "")
        assert Path("out").read_text() == printed.stdout
        assert "CP001" in printed.stdout

    @pytest.mark.parametrize("form", REPORTS)
    def test_privacy(self, form: str) -> None:
        """No form says what a prompt says, unless it is asked to say what differs."""
        hidden = run(f"review dated.jsonl --format {form}").stdout
        shown = run(f"review dated.jsonl --format {form} --show-text").stdout
        assert PERSON not in hidden
        assert hidden != shown

    def test_forms_are_the_known_ones(self) -> None:
        """Every form on offer can be written."""
        assert tuple(reporting.REPORTS) == REPORTS

    def test_json(self) -> None:
        """The document has the keys of the contract, and the bill of ``simulate``."""
        found = json.loads(run("review dated.jsonl --format json").stdout)
        assert {"workload", "projection", "shared", "findings"} <= set(found)
        calls = run("simulate dated.jsonl --policy as-marked").stdout.splitlines()
        cost = sum(json.loads(call)["cost_usd"] for call in calls)
        assert found["paid"]["cost_usd"] == pytest.approx(cost)

    def test_several_files(self) -> None:
        """Several files are one workload."""
        found = json.loads(run("review dated.jsonl steady.jsonl --format json").stdout)
        assert found["workload"]["calls"] == 24

    def test_demo(self) -> None:
        """The demonstration is a review of what is shipped."""
        result = run("demo")
        assert result.exit_code == 0
        assert "537 calls" in result.stdout
        assert run("demo --fail-on CP001").exit_code == 1


def on_a_terminal(words: str, width: int, **environment: str) -> str:
    """Return what a command shows on a terminal of a width."""
    pty = pytest.importorskip("pty", reason="no terminals can be made on this system")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "NO_COLOR", "TERM", "FORCE_COLOR"}
    }
    command = [sys.executable, "-c", "from cacheplan.io.cli import main; main()", *words.split()]
    kept |= {"TERM": "xterm", "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}
    with subprocess.Popen(
        command, stdout=theirs, stderr=subprocess.DEVNULL, env=kept | environment
    ) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # The terminal ends with its last writer.
            while part := os.read(ours, 1 << 16):
                shown += part
    os.close(ours)
    assert running.returncode == 0
    return shown.decode().replace("\r\n", "\n")


class TestTerminal:
    """On a terminal the text is as wide as it, and has colours unless they are not wanted."""

    def test_colours(self) -> None:
        """Colours are on a terminal alone, and only looks: without them the text is the same."""
        shown = on_a_terminal("review dated.jsonl", 80)
        piped = run("review dated.jsonl").stdout
        assert "\x1b[1m" in shown
        assert "\x1b" not in piped
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == piped

    @pytest.mark.parametrize("words", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_none(self, words: dict[str, str]) -> None:
        """``NO_COLOR`` is honoured, and so is a terminal that has none."""
        shown = on_a_terminal("review dated.jsonl", 80, **words)
        assert shown == run("review dated.jsonl").stdout

    def test_width(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A wide terminal is used, and ``COLUMNS`` is believed on a pipe as well."""
        shown = on_a_terminal("review dated.jsonl", 160, NO_COLOR="1")
        assert max(map(len, shown.splitlines())) > 100
        monkeypatch.setenv("COLUMNS", "160")
        assert run("review dated.jsonl").stdout == shown


class TestFrontDoor:
    """``cacheplan.review`` is the same review."""

    def test_same(self) -> None:
        """A workload that was read carries what its rules need."""
        calls = cacheplan.read("dated.jsonl")
        found = cacheplan.review(calls)
        assert found.to_json() == json.loads(run("review dated.jsonl --format json").stdout)

    def test_texts(self) -> None:
        """Texts are kept once each, unless they are not wanted; calls are equal either way."""
        calls, bare = cacheplan.read("steady.jsonl"), cacheplan.read("steady.jsonl", texts=False)
        assert len(calls.texts) == 13
        assert bare.texts == {}
        assert any("carry no text" in note for note in cacheplan.review(bare).notes)
