"""Workloads as a session would tell them to a ledger: entries, made without a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cacheplan.entries import Entry, Marked, Step
from cacheplan.workload import Call, Workload

__all__ = ["entries", "entry"]


def entry(workload: Workload, call: Call, known: set[int], **fields: Any) -> Entry:
    """Return the entry of one call; of its prompt only what is not ``known`` is told."""
    tree = workload.tree
    keys: dict[int, bytes] = {}
    path = tree.path(call.tip)
    new = [node for node in path if node not in known]
    known.update(path)
    parent = b""
    if new and tree.parent[new[0]] in path:
        parent = tree.key(tree.parent[new[0]], keys)
    elif not new and path:
        parent = tree.key(call.tip, keys)
    steps = [
        Step(
            key=tree.key(node, keys),
            digest=tree.digest[tree.block[node]],
            tokens=tree.tokens[node] - tree.tokens[tree.parent[node]],
            level=tree.level[tree.block[node]],
            kind=tree.kind[tree.block[node]],
            role=tree.role[tree.block[node]],
            refuses=tree.refuses[tree.block[node]],
        )
        for node in new
    ]
    marked = [
        Marked(
            key=tree.key(mark.node, keys),
            tokens=tree.tokens[mark.node],
            lifetime=mark.lifetime,
            rule="caller",
        )
        for mark in call.marks
    ]
    tariff = call.tariff
    given: dict[str, Any] = {
        "at": call.at,
        "model": tariff.model,
        "label": call.label,
        "tags": call.tags,
        "session": call.session,
        "workspace": call.workspace,
        "platform": tariff.platform,
        "surface": tariff.surface,
        "speed": tariff.speed,
        "geo": tariff.geo,
        "tip": tree.key(call.tip, keys),
        "parent": parent,
        "steps": tuple(steps),
        "marked": tuple(marked),
        "usage": call.recorded,
        "first_token_after": call.first_token_after,
    }
    return Entry(**{**given, **fields})


def entries(workload: Workload) -> Iterator[Entry]:
    """Yield the entries of all calls, each telling what is new."""
    known: set[int] = set()
    for call in workload:
        yield entry(workload, call, known)
