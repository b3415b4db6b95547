"""Where Claude Code keeps a user's transcripts on this machine."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["folder", "sessions"]


def folder() -> Path:
    """Return the folder that Claude Code writes a user's transcripts into."""
    given = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(given) if given else Path.home() / ".claude") / "projects"


def sessions(since: float | None = None) -> list[Path]:
    """Return the transcripts that were written to since a moment, the oldest first.

    Those of sub-agents lie in folders of their sessions. A session that another was copied
    from is thereby before the copy, unless it went on later. What vanishes meanwhile is left
    out.
    """
    found: list[tuple[float, Path]] = []
    for path in folder().rglob("*.jsonl"):
        try:
            written = path.stat().st_mtime
        except OSError:
            continue
        if path.is_file() and (since is None or written >= since):
            found.append((written, path))
    return [path for _, path in sorted(found)]
