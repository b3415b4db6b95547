"""Marks go back into bodies: prefixes become places, places become ``cache_control``.

A policy speaks of prefixes, a body has blocks at places. The two are matched block by
block, so a mark stands exactly where the simulator thought it would. Whatever the API
would refuse in the end is not written: the body stays as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies, Envelope
from cacheplan.errors import InputError
from cacheplan.facts import Model
from cacheplan.plan import Plan, longer
from cacheplan.policies import BASELINES
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prices import Tariff
from cacheplan.projection import Marker
from cacheplan.prompt import Block, Breakpoint, Lifetime, Place
from cacheplan.tokens import Count
from cacheplan.validity import validate
from cacheplan.wire import mark, parse, unmark
from cacheplan.workload import Call, Workload

__all__ = ["baseline", "lengthened", "mark_body", "marked_request", "places_of"]


class _Unmeasured:
    """Stands where a counter is asked for and lengths do not matter."""

    name = "unmeasured"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Say nothing of any block's length."""
        del model
        return [Count(0)] * len(blocks)


def mark_body(
    body: Mapping[str, Any],
    bind: Callable[[PrefixTree], Marker] | Plan,
    *,
    label: str | None = None,
    assume: Assumptions | None = None,
    platform: str = "anthropic",
) -> dict[str, Any]:
    """Return a marked copy of one body; only ``cache_control`` keys differ.

    Marks that the body carries are replaced. A body that holds only part of its prompt,
    because the service has the rest, is returned without any.
    """
    assume = assume or Assumptions()
    tree = PrefixTree()
    plain = unmark(body)
    envelope = Envelope(platform=platform, model=None if plain.get("model") else "unnamed")
    sent = Bodies(tree, _Unmeasured(), assume).read(json.dumps(plain).encode(), envelope, 0)
    if sent is None:
        return plain
    call = Call(at=0.0, tip=sent.tip, tariff=Tariff(sent.tariff.model), label=label)
    marker = bind.marker(tree) if isinstance(bind, Plan) else bind(tree)
    return marked_request(plain, tree, call.tip, marker(call), assume, platform) or plain


def baseline(name: str) -> Callable[[PrefixTree], Marker]:
    """Return a policy that needs to know no other call, for marking a single body."""
    for policy in BASELINES:
        if policy.name == name:
            return lambda tree: policy.bind(Workload(tree=tree, calls=()))
    known = ", ".join(policy.name for policy in BASELINES)
    raise InputError(f'"{name}" learns from many calls; one body can be marked by {known}')


def marked_request(
    body: Mapping[str, Any],
    tree: PrefixTree,
    tip: int,
    breakpoints: Sequence[Breakpoint],
    assume: Assumptions,
    platform: str = "anthropic",
) -> dict[str, Any] | None:
    """Return a body with these breakpoints and no others; ``None`` if the API refused it."""
    plain = unmark(body)
    places = places_of(plain, tree, tip, assume)
    wanted: list[tuple[Place, Lifetime]] = [
        (places[node], lifetime) for node, lifetime in breakpoints if node in places
    ]
    marked = mark(plain, lengthened(wanted))
    return None if validate(marked, platform) else marked


def lengthened(wanted: Iterable[tuple[Place, Lifetime]]) -> list[tuple[Place, Lifetime]]:
    """Lengthen lifetimes so that they stand in order where they are written, too.

    Web tools are part of the system level, wherever they stand among the tools; the
    service looks for the order of lifetimes in the body.
    """
    longest, found = Lifetime.FIVE_MINUTES, []
    for place, lifetime in sorted(wanted, key=lambda mark: mark[0], reverse=True):
        longest = longer(longest, lifetime)
        found.append((place, longest))
    return found[::-1]


def places_of(
    body: Mapping[str, Any], tree: PrefixTree, tip: int, assume: Assumptions
) -> dict[int, Place]:
    """Say where in a body the last block of each of its prefixes stands.

    A body may hold blocks that the model is not shown, so the two are matched by digest,
    in order.
    """
    nodes = [node for node in tree.path(tip) if tree.kind[tree.block[node]] != SETTINGS]
    found: dict[int, Place] = {}
    at = 0
    for piece in parse(body, assume).pieces:
        if at < len(nodes) and tree.digest[tree.block[nodes[at]]] == piece.block.digest:
            found[nodes[at]] = piece.place
            at += 1
    return found
