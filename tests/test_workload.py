"""Calls in time order, and what of each was sent before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from small import digest_workloads, workload


@given(digest_workloads(models=["claude-sonnet-5", "claude-opus-4-8"]))
def test_sent_before(lines: list[dict[str, Any]]) -> None:
    """What was sent before of a call is the longest prefix that any earlier one has, too."""
    calls = workload(lines)
    tree = calls.tree
    paths = [tree.path(call.tip) for call in calls]
    for number, (call, known) in enumerate(calls.sent_before()):
        earlier = {node for path in paths[:number] for node in path}
        shared = [node for node in paths[number] if node in earlier]
        root = tree.parent[paths[number][0]]
        assert known == (shared[-1] if shared else root)
        assert call is calls.calls[number]
