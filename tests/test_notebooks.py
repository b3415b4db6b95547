"""The notebooks run from a clean kernel, and show what is stored in them."""

from __future__ import annotations

import ast
import base64
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from matplotlib import image
from nbclient import NotebookClient

import cacheplan

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Seconds that a cell may hang; the longest takes a few, on a machine with nothing to do.
LONGEST = 120
#: Patches a side that two plots are compared by: small enough to see a bar, too large for
#: how the letters of another version are drawn.
PATCHES = 24
#: How much lighter or darker a patch may be.
TOLERANCE = 0.15

#: Runs before the cells and after them: what every plot is made of is written down.
WATCH = """
import json as _json
import matplotlib.pyplot as _plt

_seen, _show = [], _plt.show


def _watched(*args, **kwargs):
    for number in _plt.get_fignums():
        _seen.append([
            {
                "labels": [axis.get_xlabel(), axis.get_ylabel()],
                "scales": [axis.get_xscale(), axis.get_yscale()],
                "from": [axis.get_xlim()[0], axis.get_ylim()[0]],
                "ticks": [[text.get_text() for text in side.get_ticklabels()]
                          for side in (axis.xaxis, axis.yaxis)],
                "lengths": bool(axis.containers or axis.lines),
                "font": axis.xaxis.label.get_fontname(),
            }
            for axis in _plt.figure(number).axes
        ])
    return _show(*args, **kwargs)


_plt.show = _watched
"""
SAY = "print(_json.dumps(_seen))"

on_every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    """Read a notebook; its texts, which a file keeps in lines, are whole."""
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code_cell(source: str) -> Any:
    """Return a cell that runs."""
    return nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]


def code_cells(notebook: Any) -> list[Any]:
    """Return the cells that run."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def program(path: Path) -> ast.Module:
    """Return everything that a notebook runs; a cell that is not plain Python fails here."""
    return ast.parse("\n".join(cell["source"] for cell in code_cells(read(path))))


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield every module that is imported, and what of it; empty for all."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((module, alias.name) for alias in node.names)


def shown(cell: Any) -> dict[str, str]:
    """Return what a cell shows besides pictures, by kind; addresses in memory are left out."""
    found: dict[str, str] = {}
    for output in cell["outputs"]:
        parts = output.get("data") or {output.get("name", "error"): output.get("text", "")}
        if "image/png" in parts:
            continue  # Beside it stands its size, which may be a pixel more elsewhere.
        for kind, text in parts.items():
            found[kind] = found.get(kind, "") + text
    return {kind: re.sub(r"\b0x[0-9a-f]+", "0x0", text) for kind, text in found.items()}


def pictures(cell: Any) -> list[Any]:
    """Return the plots of a cell, each as the lightness of its patches."""
    found = []
    for output in cell["outputs"]:
        drawn = output.get("data", {}).get("image/png")
        if drawn is not None:
            pixels = image.imread(io.BytesIO(base64.b64decode(drawn)), format="png")
            rows = np.array_split(pixels[..., :3].mean(axis=2), PATCHES, axis=0)
            parts = [np.array_split(row, PATCHES, axis=1) for row in rows]
            found.append(np.array([[part.mean() for part in row] for row in parts]))
    return found


@pytest.fixture(scope="session")
def fonts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder in which the plotting library has found its fonts."""
    folder = tmp_path_factory.mktemp("fonts")
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.font_manager"],
        env={**os.environ, "MPLCONFIGDIR": str(folder)},
        check=True,
    )
    return folder


@pytest.fixture
def own_kernel(tmp_path: Path, fonts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start kernels without the user's settings, on the package under test."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("PYTHONPATH", str(Path(cacheplan.__file__).parents[1]))
    monkeypatch.setenv("MPLCONFIGDIR", str(fonts))
    monkeypatch.delenv("MPLBACKEND", raising=False)


def run(notebook: Any, folder: Path) -> None:
    """Run all cells in a kernel of their own."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=LONGEST, resources=resources).execute()


@pytest.mark.usefixtures("own_kernel")
@on_every_notebook
def test_notebook_shows_what_it_stores(path: Path) -> None:
    """Each notebook runs from a clean kernel without an error or a warning, shows again the
    words that are stored in it, and draws the plots again.
    """
    stored, fresh = read(path), read(path)
    cells = code_cells(fresh)
    for cell in cells:
        cell["outputs"] = []
    fresh["cells"] = [code_cell(WATCH), *fresh["cells"], code_cell(SAY)]
    run(fresh, path.parent)
    drawn = 0
    for before, after in zip(code_cells(stored), cells, strict=True):
        assert "stderr" not in shown(after), before["id"]
        assert shown(after) == shown(before), f"{before['id']}: see CONTRIBUTING.md"
        for old, new in zip(pictures(before), pictures(after), strict=True):
            assert np.abs(old - new).max() < TOLERANCE, f"{before['id']}: see CONTRIBUTING.md"
            drawn += 1
    figures = json.loads(shown(fresh["cells"][-1])["stdout"])
    assert len(figures) == drawn > 0
    for axes in figures:
        plain(axes)


def plain(axes: list[dict[str, Any]]) -> None:
    """Hold a plot to the promises of its kind: what is counted, from where, and how."""
    assert any(axis["labels"][0] for axis in axes), "nothing says what lies to the right"
    for axis in axes:
        assert axis["font"] == "DejaVu Sans", "not in the style of the others"
        for side in (0, 1):
            counted = any(re.match(r"[0-9.,]+$", tick) for tick in axis["ticks"][side])
            named = any(other["labels"][side] for other in axes)
            assert named or not counted, f"numbers that nobody names: {axis['ticks'][side]}"
            lengths = counted and axis["scales"][side] == "linear" and axis["lengths"]
            assert not lengths or axis["from"][side] == 0, "lengths that do not begin at zero"


@pytest.mark.usefixtures("own_kernel")
@on_every_notebook
def test_runs_in_the_folder_above(path: Path) -> None:
    """Each notebook finds its files from the root folder as well, where some programs start."""
    notebook = read(path)
    first = code_cells(notebook)[0]
    notebook["cells"] = [first]
    run(notebook, ROOT)
    assert shown(first) == shown(code_cells(read(path))[0])


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
    """Each notebook imports the front door, public modules by their names and public names of
    theirs, a plotting library, and what comes with Python.
    """
    tree = program(path)
    found = set(imported(tree))
    assert ("cacheplan", "") in found
    modules = {"cacheplan": cacheplan}
    for module, name in found:
        package = module.partition(".")[0]
        assert package in {"cacheplan", "matplotlib", *sys.stdlib_module_names}, module
        if package == "cacheplan" and name:
            assert not module.startswith("cacheplan.io"), module
            if module == "cacheplan" and name not in cacheplan.__all__:
                modules[name] = importlib.import_module(f"cacheplan.{name}")
            else:
                assert name in importlib.import_module(module).__all__, f"{module}.{name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            here = modules.get(node.value.id)
            assert here is None or node.attr in here.__all__, f"{node.value.id}.{node.attr}"


@on_every_notebook
def test_one_style(path: Path) -> None:
    """Each notebook draws in the one style that stands beside them."""
    assert (ROOT / "notebooks" / "quiet.mplstyle").is_file()
    assert '"quiet.mplstyle"' in "".join(cell["source"] for cell in code_cells(read(path)))


def test_every_notebook_is_in_the_index() -> None:
    """Each notebook can be found from the index of the documentation."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert f"](../notebooks/{path.name})" in index, path.name


@on_every_notebook
def test_links_lead_somewhere(path: Path) -> None:
    """Each link of a notebook's prose leads to a file, or to a heading of its own."""
    prose = "\n".join(
        cell["source"] for cell in read(path)["cells"] if cell["cell_type"] == "markdown"
    )
    headings = {line.replace(" ", "-") for line in re.findall(r"(?m)^#+ (.+)$", prose)}
    targets = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", prose)
    assert targets
    for target, anchor in targets:
        if target:
            assert (path.parent / target).exists(), target
        else:
            assert anchor in headings, anchor
