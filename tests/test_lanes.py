"""Which calls are of one kind, and which kinds have a prefix."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from small import digest_workloads, workload

from cacheplan.lanes import kind_of, users_of


@given(digest_workloads(["claude-sonnet-5", "claude-haiku-4-5"]), st.integers(1, 4))
def test_a_prefix_is_used_by_whoever_has_it_in_a_prompt(
    lines: list[dict[str, Any]], number: int
) -> None:
    """A group's bit stands at every prefix of its prompts, and at no other."""
    calls = workload(lines)
    groups = [calls.calls[at::number] for at in range(number)]
    users = users_of(calls.tree, groups)
    for at, group in enumerate(groups):
        inside = {node for call in group for node in (call.tip, *calls.tree.upward(call.tip))}
        assert {node for node, bits in enumerate(users) if bits >> at & 1} - inside <= {
            *calls.tree.roots.values()
        }
        assert all(users[node] >> at & 1 for node in inside)


def test_a_model_is_one_kind_under_all_its_names() -> None:
    """An alias and a dated name are one model; a label makes another kind."""
    blocks = [{"digest": "a", "tokens": 5, "level": "messages"}]
    lines = [
        {"at": 0, "model": "claude-sonnet-4-5", "blocks": blocks},
        {"at": 1, "model": "claude-sonnet-4-5-20250929", "blocks": blocks},
        {"at": 2, "model": "claude-sonnet-4-5", "blocks": blocks, "label": "a"},
    ]
    one, two, other = map(kind_of, workload(lines))
    assert one == two
    assert other == (one[0], "a")
