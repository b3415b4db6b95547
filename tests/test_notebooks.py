"""The notebooks run from a clean kernel, and show what is stored in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import cacheplan

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: A newcomer needs the front door, and what reads a body from a file.
IMPORTS = {"cacheplan", "json", "pathlib"}
#: Seconds that a cell may take; a whole notebook takes about three.
LONGEST = 20

on_every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    """Read a notebook; its texts, which a file keeps in lines, are whole."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def program(path: Path) -> ast.Module:
    """Return everything that a notebook runs; a cell that is not plain Python fails here."""
    return ast.parse("\n".join(cell["source"] for cell in code_cells(read(path))))


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield every module that is imported, by its whole name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def shown(cell: Any) -> dict[str, str]:
    """Return what a cell shows, by kind; where objects lie in memory is left out."""
    found: dict[str, str] = {}
    for output in cell["outputs"]:
        parts = output.get("data") or {output.get("name", "error"): output.get("text", "")}
        for kind, text in parts.items():
            found[kind] = found.get(kind, "") + text
    return {kind: re.sub(r"\b0x[0-9a-f]+", "0x0", text) for kind, text in found.items()}


@pytest.fixture
def own_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start kernels without the user's settings, on the package under test."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(cacheplan.__file__).parents[1]))


@pytest.mark.usefixtures("own_kernel")
@pytest.mark.parametrize("folder", [".", "notebooks"])
@on_every_notebook
def test_notebook_shows_what_it_stores(path: Path, folder: str) -> None:
    """Each notebook runs from a clean kernel, in the root folder as in its own, without an
    error or a warning, and shows again what is stored in it.
    """
    stored, fresh = read(path), read(path)
    for cell in code_cells(fresh):
        cell["outputs"] = []
    NotebookClient(
        fresh,
        timeout=LONGEST,
        resources={"metadata": {"path": str(ROOT / folder)}},
    ).execute()
    for before, after in zip(code_cells(stored), code_cells(fresh), strict=True):
        assert "stderr" not in shown(after), before["id"]
        assert shown(after) == shown(before), f"{before['id']}: see CONTRIBUTING.md"


@on_every_notebook
def test_outputs_are_stored(path: Path) -> None:
    """Each cell is stored with what it shows, run once from first to last, without an error."""
    cells = code_cells(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell["outputs"], cell["id"]
        assert all(output["output_type"] != "error" for output in cell["outputs"]), cell["id"]


@on_every_notebook
def test_front_door_is_enough(path: Path) -> None:
    """Each notebook imports the front door and the standard library's files and JSON alone."""
    tree = program(path)
    assert "cacheplan" in set(imported(tree)) <= IMPORTS
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.value.id != "cacheplan" or node.attr in cacheplan.__all__, node.attr


def test_every_notebook_is_in_the_index() -> None:
    """Each notebook can be found from the index of the documentation."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"](../notebooks/{path.name})" in index, path.name


@on_every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    """Each link of a notebook's prose leads to a file."""
    prose = "".join(
        cell["source"] for cell in read(path)["cells"] if cell["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)#]+)", prose)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target
