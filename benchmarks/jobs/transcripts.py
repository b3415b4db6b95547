"""Audits of Claude Code's transcripts: what was billed, session by session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.jobs.turns import Job, by_turns, commanded

__all__: list[str] = []


def _command(module: str, *words: str, name: str = "main") -> Any:
    """Return a command, with the folder of the transcripts where it says ``ROOT``."""

    def make(folder: Path) -> Job:
        home = folder / "claude"
        os.environ["CLAUDE_CONFIG_DIR"] = os.environ["HOME"] = str(home)
        own = __import__(module, fromlist=[name])
        given = [word.replace("ROOT", str(home / "projects")) for word in words]
        return commanded(getattr(own, name), [word.replace("HOME", str(home)) for word in given])

    return f"from {module} import {name}", make


if __name__ == "__main__":
    by_turns(
        (
            "claude-cache-audit", "kvleak", "cachemiss", "ccdrift",
            "claude-session-diagnostics", "prompt-cache-doctor",
        ),
        {
            "claude_cache_audit": _command(
                "claude_cache_audit.cli", "--all", "--config-dir", "HOME"
            ),
            "kvleak": _command("kvleak.cli", "audit", "--path", "ROOT"),
            "cachemiss": _command("cachemiss.cli", "--root", "ROOT", "ledger", "--since", "all"),
            "ccdrift": _command(
                "ccdrift.cli", "cost", "--days", "36500", "--source", "ROOT", "--state", "HOME/s"
            ),
            "csd": _command("csd.cli", "--root", "ROOT", "summary"),
        },
    )  # fmt: skip
