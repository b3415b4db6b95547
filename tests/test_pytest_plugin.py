"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from reviews import PERSON

import cacheplan

PACKAGE = Path(cacheplan.__file__).parents[1]
#: What an installation says of itself: enough for pytest to find the plugin by.
ENTRY_POINT = "[pytest11]\ncacheplan = cacheplan.io.pytest_plugin\n"
METADATA = "Metadata-Version: 2.1\nName: cacheplan\nVersion: 0\n"
CALLS = f"""
def calls(hour="10:{{:02}}"):
    return [
        {{
            "model": "claude-sonnet-5",
            "max_tokens": 100,
            "system": [
                {{
                    "type": "text",
                    "text": f"Serve {PERSON} at {{hour.format(minute)}}. " + "Be kind. " * 2000,
                    "cache_control": {{"type": "ephemeral"}},
                }}
            ],
            "messages": [{{"role": "user", "content": f"Question {{minute}}"}}],
        }}
        for minute in range(6)
    ]
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a folder that says that the package under test is installed."""
    folder = tmp_path / "site"
    info = folder / "cacheplan-0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text(ENTRY_POINT)
    (info / "METADATA").write_text(METADATA)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a project whose tests see calls."""
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "tests" / "calls.py").write_text(CALLS)
    return folder


def run(installed: Path, project: Path, test: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one test file in a pytest that finds the plugin as an installed one."""
    path = project / "tests" / "test_prompts.py"
    path.write_text(f"from calls import calls\n{test}", encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", *words]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(path)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (installed, PACKAGE)))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_fixture_and_function(installed: Path, project: Path) -> None:
    """The assertions are there as fixtures and by import, and pass where all is well."""
    done = run(
        installed,
        project,
        "from cacheplan.testing import assert_no_findings as nothing\n"
        "def test_fixture(assert_prefix_stable, assert_no_findings):\n"
        "    assert_prefix_stable(calls('10:00'))\n"
        "    assert_no_findings(calls('10:00'))\n"
        "def test_function():\n"
        "    nothing(calls('10:00'))\n",
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_what_is_wrong_is_said(installed: Path, project: Path) -> None:
    """A failure shows where prompts part, as shapes, and nothing of how that was found."""
    done = run(
        installed,
        project,
        "def test_prefix(assert_prefix_stable):\n"
        "    assert_prefix_stable(calls())\n"
        "def test_findings(assert_no_findings):\n"
        "    assert_no_findings(calls())\n",
        "--tb=short",
    )
    assert "2 failed" in done.stdout
    assert "system_changed: a time changed" in done.stdout
    assert "warning CP001 volatile-span at system[0]" in done.stdout
    assert PERSON not in done.stdout
    assert "assertions.py" not in done.stdout


def test_settings_are_those_of_the_tests(installed: Path, project: Path) -> None:
    """The settings at the root of the tests hold, wherever a test goes."""
    (project / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\n[tool.cacheplan]\noff = ["CP001", "CP101"]\n'
    )
    done = run(
        installed,
        project,
        "def test_findings(assert_no_findings, tmp_path, monkeypatch):\n"
        "    monkeypatch.chdir(tmp_path)\n"
        "    assert_no_findings(calls())\n",
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_costs_nothing_to_have(installed: Path, project: Path) -> None:
    """Until a test asks, neither a rule nor a tokenizer nor a client is loaded."""
    done = run(
        installed,
        project,
        "import sys\n"
        "def test_nothing(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.hasplugin('cacheplan')\n"
        "    heavy = ('tiktoken', 'anthropic', 'networkx', 'rich', 'click', 'msgspec')\n"
        "    assert not [name for name in heavy if name in sys.modules]\n"
        "    own = {name for name in sys.modules if name.startswith('cacheplan')}\n"
        "    assert own == {'cacheplan', 'cacheplan.io', 'cacheplan.io.pytest_plugin'}\n",
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_can_be_left_out(installed: Path, project: Path) -> None:
    """``-p no:cacheplan`` does without the fixtures, and the functions stay."""
    done = run(
        installed,
        project,
        "from cacheplan.testing import assert_prefix_stable as stable\n"
        "def test_function():\n"
        "    stable(calls('10:00'))\n"
        "def test_fixture(assert_prefix_stable):\n"
        "    pass\n",
        "-p",
        "no:cacheplan",
    )
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr


def test_no_pytest_without_pytest() -> None:
    """The functions load no pytest, so that they work in any runner."""
    program = "import sys, cacheplan.testing; print('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
