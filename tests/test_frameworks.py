"""The page on frameworks runs: each program in an environment of the real package.

The packages want SDKs that do not go together, so each has an environment of its own, made
by `venv` and kept in `CACHEPLAN_ENVIRONMENTS` where that names a folder. Run with
`pytest -m environments`; it takes about two minutes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

import cacheplan
from cacheplan.io.cli import main
from cacheplan.io.recall import recall

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
#: By heading of the page: what its program needs.
PACKAGES: Final = {
    "LiteLLM": ["litellm", "mcp"],
    "LangChain": ["langchain", "langchain-anthropic"],
    "pydantic-ai": ["pydantic-ai-slim[anthropic]"],
    "Agno": ["agno", "anthropic"],
    "Strands": ["strands-agents[anthropic]"],
    "Claude Agent SDK and Claude Code": ["claude-agent-sdk", "httpx"],
}
#: What places marks of its own, which are left as they are and written down.
OWN: Final = {"Claude Agent SDK and Claude Code"}
#: By framework: calls with and without a label around them, one at a time and two at once.
LABELLED: Final = {
    "LiteLLM": """
import asyncio, cacheplan, litellm
from cacheplan.io.litellm import Callback

litellm.callbacks = [Callback(ledger="calls.db")]

def asked(question, **more):
    said = [{"role": "system", "content": RULES}, {"role": "user", "content": question}]
    return {"model": "anthropic/claude-sonnet-5", "messages": said, **more}

def at_once(question):
    litellm.completion(**asked(question))

async def later(question):
    await litellm.acompletion(**asked(question))

def with_its_own(question):
    litellm.completion(**asked(question, metadata={"label": "own"}))
""",
    "LangChain": """
import asyncio, cacheplan
from cacheplan.io.langchain import CachePlanMiddleware
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic

def agent(**options):
    marking = CachePlanMiddleware(ledger="calls.db", **options)
    model = ChatAnthropic(model="claude-sonnet-5", max_tokens=100)
    return create_agent(model, system_prompt=RULES, middleware=[marking])

plain, own = agent(), agent(label="own")

def asked(question):
    return {"messages": [{"role": "user", "content": question}]}

def at_once(question):
    plain.invoke(asked(question))

async def later(question):
    await plain.ainvoke(asked(question))

def with_its_own(question):
    own.invoke(asked(question))
""",
}
#: What is called in each of them, and the rows of ``costs`` that come of it.
CALLING: Final = """
async def labelled(label):
    with cacheplan.label(label):
        await later(label)

async def at_the_same_time():
    await asyncio.gather(labelled("first"), labelled("second"))
    await later("unnamed")

with cacheplan.label("summaries", customer="acme"):
    at_once("one")
    with_its_own("two")
asyncio.run(at_the_same_time())
"""
ROWS: Final = {
    ("summaries", "acme"): 1,
    ("own", "acme"): 1,
    ("first", "(no customer)"): 1,
    ("second", "(no customer)"): 1,
    ("(no label)", "(no customer)"): 1,
}


def programs() -> dict[str, str]:
    """Return the program under each heading."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        name, _, text = section.partition("\n")
        blocks = re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        found[name] = "".join(blocks)
    return found


def environment(name: str, folder: Path) -> Path:
    """Make the environment of a framework, once, and return its Python."""
    kept = os.environ.get("CACHEPLAN_ENVIRONMENTS")
    place = (Path(kept) if kept else folder) / name
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", str(ROOT), *PACKAGES[name]]
        subprocess.run(install, check=True)
        (place / "ready").touch()
    return python


def ran(name: str, program: str, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Run a program in a framework's environment; return what arrived, and what it said."""
    python = environment(name, folder)
    # The package under test, wherever it was imported from, and no other.
    path = str(Path(cacheplan.__file__).parents[1])
    done = subprocess.run(
        [python, str(ROOT / "tests" / "environments" / "run.py")],
        input=program,
        env={**os.environ, "PYTHONPATH": path, "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_every_program_is_tried() -> None:
    """The page has no program that is not run, and none is run that it has not."""
    assert set(programs()) == set(PACKAGES)


@pytest.mark.environments
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PACKAGES)
def test_second_call_reads(name: str, tmp_path: Path) -> None:
    """By every way the system prompt is marked, and the second call reads it; who marks on
    his own is written down.
    """
    calls, complaints = ran(name, programs()[name], tmp_path)
    assert len(calls) >= 2
    if name in OWN:
        assert all(call["marks"] for call in calls)
        entries = recall(tmp_path / "calls.db").entries
        written = [entry.usage.written for entry in entries if entry.usage]
        assert sorted(written) == sorted(call["written"] for call in calls)
        return
    assert all("system[0]" in call["marks"] for call in calls), complaints
    assert calls[0]["written"] > 4_000
    assert calls[-1]["read"] > 4_000


@pytest.mark.environments
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", LABELLED)
def test_labels(name: str, tmp_path: Path) -> None:
    """A label around calls is on those calls and no others, and `costs` has it."""
    calls, complaints = ran(name, LABELLED[name] + CALLING, tmp_path)
    assert len(calls) == sum(ROWS.values()), complaints
    words = ["costs", str(tmp_path / "calls.db"), "--by", "label,tag:customer", "--format", "json"]
    done = CliRunner().invoke(main, [*words, "--no-savings", "--no-settings"])
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {(row["label"], row["tag:customer"]): row["calls"] for row in rows} == ROWS
    read = sum(row["usage"]["read"] for row in rows)
    assert read == sum(call["read"] for call in calls) > 0


def test_kind_words(tmp_path: Path) -> None:
    """Without its framework an adapter says what to install."""
    for name, package in (("litellm", "litellm"), ("langchain", "langchain")):
        program = f"import sys; sys.modules[{package!r}] = None; import cacheplan.io.{name}"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"pip install {package}" in done.stderr.splitlines()[-1]
