"""leanwire: marks every twenty blocks from the tail."""

from __future__ import annotations

from pathlib import Path

from benchmarks.jobs.turns import Job, bodies, by_turns, marks

__all__: list[str] = []


def mark(folder: Path) -> Job:
    """``CachePolicy(model=…).apply(body)``."""
    from leanwire import CachePolicy  # noqa: PLC0415

    given = bodies(folder)
    policy = CachePolicy(model=given[0]["model"])
    return Job(lambda all_: [policy.apply(body).request for body in all_], lambda: given, marks)


if __name__ == "__main__":
    by_turns(("leanwire",), {"mark": ("from leanwire import CachePolicy", mark)})
