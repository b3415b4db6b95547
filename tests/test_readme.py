"""The documentation runs: every command, every block of Python, every link."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import cacheplan
from benchmarks.readme import figures
from cacheplan.io.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAM = "import sys; from cacheplan.io.cli import main; sys.exit(main())"
#: Logs of several tools, as somebody has them in one folder.
LOGS = (
    "batches_requests.jsonl.gz",
    "batches_results.jsonl.gz",
    "bedrock_converse.jsonl.gz",
    "har.har.gz",
    "helicone.jsonl.gz",
)
#: The package under test, wherever it was imported from, and no other.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}

on_every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def fenced(page: Path, language: str) -> list[str]:
    """Return the contents of a page's fenced blocks in one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return a page's Python and its commands, in its order."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```(python|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[tuple[list[str], int]]:
    """Return the commands of a block, each with the exit code the page promises."""
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            command, _, code = line.removeprefix("$ ").partition("  # exit ")
            found.append((shlex.split(command), int(code or 0)))
    return found


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder that has the examples, and a folder of logs."""
    examples, logs = folder / "examples", folder / "logs"
    if not examples.exists():
        examples.symlink_to(ROOT / "examples")
        logs.mkdir()
        for name in LOGS:
            (logs / name).symlink_to(ROOT / "tests" / "logs" / name)
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


@on_every_page
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    """Blocks of Python (warnings are errors) and commands run in the order of their page, and
    a command ends with the exit code that the page says.
    """
    for language, text in blocks(page):
        if language == "python":
            done = run(["-W", "error", "-c", text], tmp_path)
            assert done.returncode == 0, f"{text}\n{done.stderr}"
            continue
        for words, code in commands(text):
            assert words[0] == "cacheplan", "a page shows nothing but our own commands"
            done = run(["-c", PROGRAM, *words[1:]], tmp_path)
            assert done.returncode == code, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr, shlex.join(words)
            if "--format" in words:
                whole = words[words.index("--format") + 1] == "json"
                for document in [done.stdout] if whole else done.stdout.splitlines():
                    json.loads(document)


@on_every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file leads to one."""
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_two_commands_come_first() -> None:
    """The README begins with the two commands that the clean-clone check runs."""
    assert len(fenced(ROOT / "README.md", "sh")[0].splitlines()) == 2


def test_every_page_is_in_the_index() -> None:
    """Each page of the documentation can be found from the index, its folder's between them."""
    for page in PAGES[1:]:
        above = page.parent / "index.md"
        if page == above:
            above = page.parents[1] / "index.md"
        if page.parent != ROOT / "docs" or page.name != "index.md":
            name = page.relative_to(above.parent).as_posix()
            assert f"]({name})" in above.read_text(encoding="utf-8"), name


def test_documented_commands_are_the_commands() -> None:
    """Every command has a place in the documentation, and the documentation no other."""
    shown = ("".join(fenced(page, "console")) for page in PAGES)
    run_there = {words[1] for text in shown for words, _ in commands(text)}
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"`cacheplan ([a-z]+)", text))
    assert run_there == set(main.commands)
    assert named <= set(main.commands)


def test_example_lines_are_a_workload(tmp_path: Path) -> None:
    """The lines that the page on workloads shows can be read."""
    lines = tmp_path / "calls.jsonl"
    lines.write_text("".join(fenced(ROOT / "docs" / "workload.md", "json")), encoding="utf-8")
    assert len(cacheplan.read(str(lines))) > 1


def test_example_prices_are_prices(tmp_path: Path) -> None:
    """The price file that the page on tables shows goes with a command."""
    (tmp_path / "prices.json").write_text(
        fenced(ROOT / "docs" / "tables.md", "json")[0], encoding="utf-8"
    )
    words = shlex.split("prices --prices prices.json --format json")
    done = run(["-c", PROGRAM, *words], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2.25" in done.stdout


def test_figures_are_those_that_were_measured() -> None:
    """The README's figures are the kept results, to the letter."""
    assert figures() in (ROOT / "README.md").read_text(encoding="utf-8")
