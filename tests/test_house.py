"""The house: what holds in every file, whoever wrote it."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "cacheplan").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

#: Names that say nothing about what is inside, and words that mean something else here.
EMPTY_NAMES = {
    "base",
    "cache",
    "common",
    "config",
    "constants",
    "core",
    "engine",
    "helpers",
    "manager",
    "misc",
    "models",
    "optimizer",
    "analyzer",
    "strategy",
    "types",
    "utils",
}
#: The longest a module and a function may be; both are well above the usual.
MODULE_LINES = 450
FUNCTION_LINES = 70

#: What no file may say, with one bracket in each so that this file does not say it.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(?:roo[t]|wor[k]|hom[e]|tm[p])/",
    "an address of a package index": r"py[p]i\.org|pythonhoste[d]|np[m]js\.org|debia[n]\.org",
    "a promise instead of code": r"\b(?:TOD[O]|FIXM[E]|XX[X])\b",
}
#: Modules for frameworks that are not installed beside the tests.
FRAMEWORKS = {"langchain", "litellm"}
PICTURE = re.compile(r'"image/png": "[^"]*"')
#: Texts that are not ours to word.
FOREIGN = {"LICENSE"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def name_of(path: Path) -> str:
    """Name a file as seen from the root, for the ids of tests."""
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    """Return what is in version control, or everything visible where there is none."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\0")
        paths = [ROOT / name for name in listed if name]
    else:
        paths = [ROOT / ".ci" / "run", *ROOT.glob("*")]
        for folder in ("benchmarks", "cacheplan", "docs", "examples", "notebooks", "tests"):
            paths += (ROOT / folder).rglob("*")
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


def definitions(path: Path) -> Iterator[Definition]:
    """Yield every function and class of a file, nested ones included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Definition):
            yield node


in_every_module = pytest.mark.parametrize("path", PACKAGE, ids=name_of)
in_every_test_file = pytest.mark.parametrize("path", TESTS, ids=name_of)
in_every_file = pytest.mark.parametrize("path", [*PACKAGE, *TESTS], ids=name_of)


@in_every_module
def test_module_says_what_it_is(path: Path) -> None:
    """Each module begins with a docstring and lists its public names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assigned = {
        node.id
        for statement in tree.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert "__all__" in assigned


def imported(path: Path) -> ModuleType:
    """Import a module; one for a framework that is not here is tried in its environment."""
    if path.stem in FRAMEWORKS:
        pytest.importorskip(path.stem, reason="test_frameworks makes an environment for it")
    return importlib.import_module(module_name(path))


@in_every_module
def test_listed_names_exist(path: Path) -> None:
    """Each name in ``__all__`` is there, once, in the order the linter wants."""
    module = imported(path)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@in_every_module
def test_examples_in_docstrings_run(path: Path) -> None:
    """What a docstring shows is what happens."""
    module = imported(path)
    assert doctest.testmod(module).failed == 0


@in_every_module
def test_names_say_something(path: Path) -> None:
    """No module, class or function carries a name that could stand anywhere."""
    names = {path.stem, *(node.name for node in definitions(path))}
    assert not {name.strip("_").lower() for name in names} & EMPTY_NAMES


@in_every_file
def test_nothing_is_too_long(path: Path) -> None:
    """Modules and functions stay short enough to be read at one sitting."""
    lines = path.read_text(encoding="utf-8").count("\n")
    assert path not in PACKAGE or lines <= MODULE_LINES
    for node in definitions(path):
        if not isinstance(node, ast.ClassDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, node.name


@in_every_test_file
def test_every_test_states_a_behaviour(path: Path) -> None:
    """Each test has a docstring, and it is one paragraph."""
    for node in definitions(path):
        if node.name.startswith("test_"):
            stated = ast.get_docstring(node)
            assert stated, node.name
            assert "\n\n" not in stated, node.name


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_says(what: str) -> None:
    """No tracked text holds a path of one machine, an index's address, or a promise."""
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content and path.name not in FOREIGN:
            # A picture in a notebook is letters without words.
            hit = pattern.search(PICTURE.sub("", content.decode()))
            if hit:
                found.append(f"{name_of(path)}: {hit.group()}")
    assert not found


def test_import_is_light() -> None:
    """Importing the package loads none of the heavy libraries, nor a client."""
    heavy = ("anthropic", "click", "jinja2", "networkx", "rich", "tiktoken")
    program = f"import sys, cacheplan; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_lock_pins_every_dependency() -> None:
    """What the project names, the lock pins, with hashes and without an address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    extras = project["optional-dependencies"].values()
    named = [*project["dependencies"], *(one for extra in extras for one in extra)]
    for requirement in named:
        name = re.split(r"[<>=~; \[]", requirement, maxsplit=1)[0]
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
    pins = re.findall(r"^[\w.-]+==.*$", lock, re.MULTILINE)
    assert all(pin.endswith("\\") for pin in pins), "every pin is followed by its hashes"
    assert "://" not in lock


def test_versions_agree() -> None:
    """The version of the metadata has an entry in the changelog, or is being prepared."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changes, re.MULTILINE)
    assert headings[0] in {"Unreleased", project["version"]}


def module_name(path: Path) -> str:
    """Name a module as it is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")
