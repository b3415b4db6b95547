"""The documented workflow, and the documented exit codes: read from the pages, and run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from reviews import dated, steady

import cacheplan
from cacheplan.agreed import _READERS, agreed

ROOT = Path(__file__).parents[1]
PROGRAM = "import sys; from cacheplan.io.cli import main; sys.exit(main())"


def fenced(page: str, language: str) -> str:
    """Return the first block of a page in one language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def write(path: Path, lines: Iterable[Any]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with calls, as a repository has them, and the command itself."""
    write(tmp_path / "calls.jsonl", dated())
    unknown = steady()
    for line in unknown:
        line["request"]["model"] = "a-new-one"
    write(tmp_path / "unknown.jsonl", unknown)
    command = tmp_path / "bin" / "cacheplan"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{PROGRAM}" "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    """Run a step as the workflow's shell does."""
    paths = {
        "PATH": os.pathsep.join((str(folder / "bin"), os.environ["PATH"])),
        "PYTHONPATH": str(Path(cacheplan.__file__).parents[1]),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", words],
        cwd=folder,
        env={**os.environ, **paths},
        capture_output=True,
        text=True,
        check=False,
    )


def steps() -> list[dict[str, Any]]:
    """Return the steps of the documented workflow."""
    (job,) = yaml.safe_load(fenced("ci.md", "yaml"))["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def test_workflow_is_one() -> None:
    """It has what a workflow needs, may write to code scanning, and installs this project."""
    workflow = yaml.safe_load(fenced("ci.md", "yaml"))
    # YAML 1.1, which GitHub does not follow here, reads the key ``on`` as true.
    assert workflow[True] == "pull_request"
    assert workflow["permissions"]["security-events"] == "write"
    for step in steps():
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+(/[\w-]+)+@v\d+", step.get("uses", "a/b@v1"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = (step["run"] for step in steps() if "pip" in step.get("run", ""))
    assert install == f"pip install {project['name']}"


def test_workflow_runs(folder: Path) -> None:
    """It fails for what is new, passes for what is known, and the report is there either way."""
    review, summary = (step["run"] for step in steps() if "review" in step.get("run", ""))
    written = "cacheplan review calls.jsonl --write-baseline cacheplan-baseline.json"
    assert run(folder, written).returncode == 0
    for calls, code in ((dated(20), 0), (dated(20, label="tutor"), 1)):
        write(folder / "calls.jsonl", calls)
        done = run(folder, review)
        assert done.returncode == code, done.stderr
        (upload,) = (step for step in steps() if "upload-sarif" in step.get("uses", ""))
        document = json.loads((folder / upload["with"]["sarif_file"]).read_text())
        results = document["runs"][0]["results"]
        suppressed = [bool(one.get("suppressions")) for one in results if one["ruleId"] == "CP001"]
        assert suppressed == [code == 0]
    assert run(folder, summary).returncode == 0
    assert "CP001" in (folder / "summary.md").read_text()


def test_reports_come_first() -> None:
    """What shows the report runs even where the review has failed."""
    names = [step.get("name") for step in steps() if step.get("if") == "always()"]
    assert names == ["Say it on the page of the run", "Show it in code scanning"]


def exit_codes() -> list[tuple[int, str]]:
    """Return the documented exit codes, each with its example."""
    text = (ROOT / "docs" / "teams.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \|.*\| `(cacheplan .+?)` \|$", text, re.MULTILINE)
    return [(int(code), example) for code, example in rows]


@pytest.mark.parametrize(("code", "example"), exit_codes())
def test_exit_code(folder: Path, code: int, example: str) -> None:
    """Each code is what its example ends with, and no traceback shows."""
    done = run(folder, example)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_exit_codes_are_all_there() -> None:
    """The table has the four codes of the contract, and each example is a command."""
    assert [code for code, _ in exit_codes()] == [0, 1, 2, 3]
    assert all(shlex.split(example)[0] == "cacheplan" for _, example in exit_codes())


def test_settings_are_documented() -> None:
    """The example has every key and can be read, and the table explains each but no other."""
    table = tomllib.loads(fenced("teams.md", "toml"))["tool"]["cacheplan"]
    assert set(table) == set(_READERS)
    assert agreed(table).fail_on == "warning"
    page = (ROOT / "docs" / "teams.md").read_text(encoding="utf-8")
    section = page.partition("| key | meaning | for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == set(_READERS)
