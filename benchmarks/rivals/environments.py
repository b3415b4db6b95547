"""Environments of the real packages: made once, asked by lines, closed in the end.

Each package gets one of its own, by ``uv`` where it is found and by ``venv`` and ``pip``
where not, in the folder that ``CACHEPLAN_RIVALS`` names or a temporary one. What cannot be
installed or does not start is a row that says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Self

__all__ = ["PACKAGES", "QUIET", "Asked", "Package", "Unavailable", "environment"]

ROOT: Final = Path(__file__).parents[2]
#: Set for every package: none is to fetch price lists or to report on who uses it.
QUIET: Final = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DO_NOT_TRACK": "1",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "OTEL_SDK_DISABLED": "true",
}


class Unavailable(Exception):  # noqa: N818 -- a state, and caught by name
    """A package cannot be asked; the message says why."""


class Package(NamedTuple):
    """What is installed together, and the ways of its that are compared."""

    #: The folder of its environment.
    name: str
    #: What is installed, newest first found.
    requires: tuple[str, ...]
    #: The module under ``packages`` that places for it.
    module: str
    #: By the name of a row: which of the module's ways it is.
    ways: dict[str, str]
    #: The Python it needs, where it is newer than ours.
    python: str = ""


#: In the order of the table's rows.
PACKAGES: Final = (
    Package(
        "litellm",
        ("litellm", "mcp"),
        "litellm",
        {
            "litellm, automatic": "automatic",
            "litellm, system tools last": "points",
            "litellm, role user": "users",
        },
    ),
    Package(
        "langchain",
        ("langchain-anthropic", "langchain", "deepagents"),
        "langchain",
        {"langchain-anthropic": "alone", "deepagents": "deepagents"},
    ),
    Package(
        "pydantic_ai",
        ("pydantic-ai-slim[anthropic]",),
        "pydantic_ai",
        {"pydantic-ai, cache=True": "cache", 'pydantic-ai, cache="1h"': "hour"},
    ),
    Package(
        "strands",
        ("strands-agents[anthropic]",),
        "strands",
        {"Strands, CacheConfig()": "config", "Strands, tools, 1h": "hour"},
    ),
    Package(
        "agno",
        ("agno", "anthropic"),
        "agno",
        {"Agno, system and tools": "both", "Agno, extended_cache_time": "hour"},
    ),
    Package(
        "llama",
        # Its messages cannot be made with version 1 of the SDK and later: there
        # ``MessageParam`` is a union. Seen with 0.12.3.
        ("llama-index-llms-anthropic", "anthropic<1"),
        "llama_index",
        {"LlamaIndex, cache_idx=-1": "all"},
    ),
    Package(
        "dspy",
        ("dspy",),
        "dspy",
        {"DSPy, stable": "stable", "DSPy, history": "history"},
    ),
    Package("crewai", ("crewai[anthropic]",), "crewai", {"CrewAI": "executor"}),
    Package("aider", ("aider-chat",), "aider", {"aider": "chunks"}),
    Package(
        "minisweagent", ("mini-swe-agent",), "mini_swe_agent", {"mini-swe-agent": "default_end"}
    ),
    Package("openhands", ("openhands-sdk",), "openhands", {"OpenHands": "defaults"}, "3.12"),
    Package(
        "leanwire",
        ("leanwire",),
        "leanwire",
        {"leanwire": "rolling", "leanwire, head pinned": "pinned"},
    ),
    Package("cacheguardian", ("cacheguardian",), "cacheguardian", {"cacheguardian": "wrap"}),
    Package("cachellm", ("cachellm-py",), "cachellm", {"cachellm-py": "optimized"}),
    Package(
        "cacheeconomics",
        ("cacheeconomics",),
        "cacheeconomics",
        {"cacheeconomics, plugin": "plugin", "cacheeconomics, allocator": "allocator"},
    ),
)


class Asked:
    """A package in its environment, as a process that is handed workloads."""

    def __init__(self, package: Package, folder: Path) -> None:
        self.package = package
        python = environment(package, folder)
        words = [str(python), "-m", f"benchmarks.rivals.packages.{package.module}"]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)},
            text=True,
            encoding="utf-8",
        )
        self._to: IO[str] = _there(self._process.stdin)
        self._from: IO[str] = _there(self._process.stdout)
        #: By distribution, what is installed.
        self.versions: dict[str, str] = json.loads(self._line())

    def bodies(self, way: str, lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the body that the package would send for each line."""
        try:
            self._to.write(f"{way} {len(lines)}\n")
            self._to.writelines(json.dumps(line) + "\n" for line in lines)
            self._to.flush()
        except OSError as error:
            raise Unavailable(f"stopped: {error}") from error
        for _ in lines:
            yield json.loads(self._line())

    def _line(self) -> str:
        """Return the next line that it writes."""
        line = self._from.readline()
        if not line:
            raise Unavailable("does not start, or stopped")
        return line

    def __enter__(self) -> Self:
        """Hand out the process."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _there(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def environment(package: Package, folder: Path) -> Path:
    """Make the environment of a package, once, and return its Python."""
    place = folder / package.name
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if python.exists():
        return python
    folder.mkdir(parents=True, exist_ok=True)
    uv = shutil.which("uv")
    try:
        if uv:
            wanted = package.python or sys.executable
            subprocess.run([uv, "venv", "-q", "-p", wanted, str(place)], check=True)
            install = [uv, "pip", "install", "-q", "-p", str(python), *package.requires]
        elif package.python and sys.version_info < _numbers(package.python):
            raise Unavailable(f"needs Python {package.python}")
        else:
            venv.create(place, with_pip=True)
            install = [str(python), "-m", "pip", "install", "-q", *package.requires]
        subprocess.run(install, check=True, stderr=subprocess.PIPE, text=True)
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(place, ignore_errors=True)
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise Unavailable(f"cannot be installed: {said[-1][:200]}") from error
    return python


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
