"""The front door: these names and no others, light to open, and each does its work."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from small import Characters, digest_line, message, request

import cacheplan
from cacheplan.io import door
from cacheplan.policies import BASELINES

#: The package under test, wherever it was imported from, and no other.
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}
MARK: Final = {"type": "ephemeral"}
BODY: Final = request(message("user", "Hi"), system="Be brief. " * 2_000, cache_control=MARK)
#: The most that starting may take: for `import cacheplan` on top of Python itself, and for
#: `cacheplan --help` in all, in seconds on an idle machine.
IMPORT, HELP = 0.1, 0.2


def python(program: str) -> str:
    """Run a program in a Python of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class TestNames:
    """What is at the front door is exactly what is promised."""

    def test_exact(self) -> None:
        """These names, in order, and no others."""
        assert cacheplan.__all__ == [
            "Assumptions",
            "CacheplanError",
            "Ledger",
            "Middleware",
            "Plan",
            "Session",
            "Sheet",
            "Usage",
            "Workload",
            "check",
            "choose",
            "compare",
            "explain",
            "label",
            "mark",
            "project",
            "read",
            "review",
            "unmark",
        ]

    def test_few(self) -> None:
        """The front door stays small enough to be read at a glance."""
        assert len(cacheplan.__all__) < 20

    @pytest.mark.parametrize("name", cacheplan.__all__)
    def test_each_is_there(self, name: str) -> None:
        """Each name is fetched from the module that has it, says what it is, and is listed."""
        found = getattr(cacheplan, name)
        home = importlib.import_module(f"cacheplan.{cacheplan._FROM[name]}")
        assert found is getattr(home, name)
        assert name in home.__all__
        assert inspect.getdoc(found)
        assert name in dir(cacheplan)

    def test_table_is_complete(self) -> None:
        """Every name has a module to come from, and no module is named for nothing."""
        assert set(cacheplan._FROM) == set(cacheplan.__all__)

    def test_no_other(self) -> None:
        """A name that is not there is said to be missing, as of any module."""
        with pytest.raises(AttributeError, match="module 'cacheplan' has no attribute 'optimise'"):
            _ = cacheplan.optimise

    def test_star(self) -> None:
        """Everything can be imported at once."""
        names = python("from cacheplan import *; print(*sorted(n for n in dir() if n[0] != '_'))")
        assert names.split() == sorted(cacheplan.__all__)


class TestLightness:
    """Importing costs nothing until something is used."""

    HEAVY = ("anthropic", "networkx", "tiktoken", "rich", "click", "msgspec", "sqlite3")

    def test_import(self) -> None:
        """``import cacheplan`` brings in no library at all."""
        program = f"import sys, cacheplan; print([m for m in {self.HEAVY} if m in sys.modules])"
        assert python(program) == "[]"

    def test_use(self) -> None:
        """Working on prompts of stated length needs neither a client nor a tokenizer."""
        line = json.dumps(digest_line([("a", 5, "messages")]))
        program = (
            "import sys, pathlib, tempfile, cacheplan\n"
            "path = pathlib.Path(tempfile.mkdtemp()) / 'calls.jsonl'\n"
            f"path.write_text({line!r})\n"
            "str(cacheplan.compare(cacheplan.read(path)))\n"
            "heavy = ('anthropic', 'networkx', 'tiktoken', 'rich')\n"
            "print([m for m in heavy if m in sys.modules])"
        )
        assert python(program) == "[]"

    def test_help(self) -> None:
        """Saying what commands there are needs none of what they need."""
        program = (
            "import sys\n"
            "from cacheplan.io.cli import main\n"
            "try:\n"
            "    main(['--help'])\n"
            "except SystemExit:\n"
            "    print([m for m in sorted(sys.modules) if m.startswith('cacheplan.')])"
        )
        modules = ast.literal_eval(python(program).splitlines()[-1])
        commands = [name for name in modules if name.startswith("cacheplan.io.commands")]
        known = {"cacheplan.errors", "cacheplan.io", "cacheplan.io.cli", "cacheplan.io.options"}
        assert set(modules) - set(commands) == known

    @pytest.mark.long
    def test_import_time(self) -> None:
        """``import cacheplan`` takes less than a tenth of a second more than Python does."""
        assert fastest("import cacheplan") - fastest("pass") < IMPORT

    @pytest.mark.long
    def test_help_time(self) -> None:
        """``cacheplan --help`` takes less than two tenths of a second in all."""
        assert fastest("from cacheplan.io.cli import main; main(['--help'])") < HELP


def fastest(program: str) -> float:
    """Return the shortest of ten runs, in seconds: the one that nothing disturbed."""
    times = []
    for _ in range(10):
        start = time.perf_counter()
        python(program)
        times.append(time.perf_counter() - start)
    return min(times)


class TestWork:
    """Each function works with its defaults, and with what the caller has instead."""

    @pytest.fixture
    def calls(self, tmp_path: Path) -> cacheplan.Workload:
        """Read a workload of two calls."""
        path = tmp_path / "calls.jsonl"
        lines = [digest_line([("a", 5_000, "messages")], at=at) for at in (0, 9)]
        path.write_text("\n".join(map(json.dumps, lines)))
        return cacheplan.read(path)

    def test_read(self, calls: cacheplan.Workload) -> None:
        """A file becomes a workload."""
        assert isinstance(calls, cacheplan.Workload)
        assert len(calls) == 2

    @pytest.mark.parametrize("name", [policy.name for policy in BASELINES])
    def test_project(self, calls: cacheplan.Workload, name: str) -> None:
        """A policy is projected by its name, as the comparison has it."""
        found = cacheplan.project(calls, name)
        assert found == cacheplan.compare(calls, train=0)[name]
        assert found.policy == name

    def test_choose(self, calls: cacheplan.Workload, tmp_path: Path) -> None:
        """A plan is chosen, stored, loaded, projected, and put into a body."""
        plan = cacheplan.choose(calls)
        plan.save(tmp_path / "plan.json")
        again = cacheplan.Plan.load(tmp_path / "plan.json")
        assert again == plan
        assert cacheplan.project(calls, again).cost == cacheplan.project(calls, "planned").cost
        marked = cacheplan.mark(BODY, plan)
        assert cacheplan.unmark(marked) == cacheplan.unmark(BODY)

    def test_unknown_policy(self, calls: cacheplan.Workload) -> None:
        """A policy that is none is said to be none, and the others are named."""
        with pytest.raises(cacheplan.CacheplanError, match=r'"best" is not a policy; .* static'):
            cacheplan.project(calls, "best")

    def test_sheet(self, calls: cacheplan.Workload) -> None:
        """Prices of the caller's own stand over the shipped ones."""
        row = {"model": "claude-sonnet-5", "input": 100, "write_5m": 0, "write_1h": 0, "read": 0}
        sheet = cacheplan.Sheet.default().override([{**row, "output": 0}])
        assert cacheplan.project(calls, "uncached", sheet=sheet).cost == 1
        assert cacheplan.compare(calls, train=0, sheet=sheet)["uncached"].cost == 1

    def test_shown_in_a_notebook(self, calls: cacheplan.Workload) -> None:
        """What comes out shows itself, in print and in a notebook."""
        for found in (cacheplan.project(calls, "automatic"), cacheplan.compare(calls)):
            assert "automatic" in str(found)
            assert found._repr_html_().startswith("<table>")

    @pytest.mark.parametrize("options", [{}, {"counter": Characters()}])
    def test_check(self, options: dict[str, Any]) -> None:
        """A body is checked, by the counter that is given or by the default one."""
        assert cacheplan.check(BODY, **options) == []
        rejected = {**BODY, "cache_control": {"type": "persistent"}}
        assert [one.severity for one in cacheplan.check(rejected, **options)] == ["error"]

    @pytest.mark.parametrize("options", [{}, {"counter": Characters()}])
    def test_explain(self, options: dict[str, Any]) -> None:
        """Two bodies are explained to each other, likewise."""
        found = cacheplan.explain(BODY, {**BODY, "system": "Be kind."}, **options)
        assert found.reason == "system_changed"

    def test_mark(self) -> None:
        """Marking and unmarking give the body back."""
        bare = cacheplan.unmark(BODY)
        assert "cache_control" not in bare
        assert cacheplan.check(bare, counter=Characters())[0].rule == "no-mark"

    def test_nothing_is_touched(self) -> None:
        """The caller's body is as it was, whatever was asked about it."""
        before = json.dumps(BODY)
        cacheplan.check(BODY, counter=Characters())
        cacheplan.explain(BODY, BODY, counter=Characters())
        cacheplan.unmark(BODY)
        assert json.dumps(BODY) == before

    def test_assumptions(self) -> None:
        """Answers to open questions are taken by every function that depends on them."""
        assume = cacheplan.Assumptions.parse(["string_form=differs"])
        blocks = [{"type": "text", "text": BODY["system"]}]
        other = {**BODY, "system": blocks}
        assert cacheplan.explain(BODY, other, counter=Characters()).reason is None
        found = cacheplan.explain(BODY, other, counter=Characters(), assume=assume)
        assert found.reason == "system_changed"

    def test_door_is_all_of_it(self) -> None:
        """The door has its own list, and the package takes its functions from there."""
        assert set(door.__all__) >= {"check", "choose", "compare", "explain", "mark", "project"}
