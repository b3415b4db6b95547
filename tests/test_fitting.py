"""What of the wanted marks a body can take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import message, request, tool

from cacheplan.decision import Placed
from cacheplan.fitting import Limits, in_written_order, permitted, too_short
from cacheplan.generation import Chosen
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime, Place

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR


def tree_of(*lengths: int) -> tuple[PrefixTree, list[int]]:
    """Return a tree with one path of blocks of these lengths, and its nodes."""
    tree = PrefixTree()
    node, nodes = tree.root(Scope("m", "anthropic", "messages", "")), []
    for number, tokens in enumerate(lengths):
        digest = number.to_bytes(16)
        block = Block(level=Level.SYSTEM, kind="text", digest=digest, tokens=tokens)
        node = tree.child(node, tree.intern(block))
        nodes.append(node)
    tree.measure()
    return tree, nodes


def chosen(node: int, rule: str = "system", lifetime: Lifetime = SHORT) -> Chosen:
    """Return a wanted mark."""
    return Chosen(Breakpoint(node, lifetime), rule, "")


class TestPermitted:
    """What the service does not keep, or refused, is left out with its reason."""

    def test_short(self) -> None:
        """A prefix that is surely too short is left out; the sum of two may be long enough."""
        tree, (first, second) = tree_of(1_000, 1_000)
        dropped: list[tuple[str, str]] = []
        marks = [chosen(first, "tools"), chosen(second)]
        kept = permitted(tree, marks, Limits(1_024, True), (), dropped)
        assert [each.rule for each in kept] == ["system"]
        assert dropped == [("tools", "shorter than the 1,024 tokens it takes")]

    def test_doubtful(self) -> None:
        """One that may be long enough is marked: that costs nothing if it is not."""
        tree, (node,) = tree_of(1_000)
        tree.doubt[node] = 50
        assert permitted(tree, [chosen(node)], Limits(1_024, True), (), [])

    def test_unknown_minimum(self) -> None:
        """Where nobody knows the minimum, nothing is too short."""
        tree, (node,) = tree_of(1)
        assert permitted(tree, [chosen(node)], Limits(None, True), (), [])

    def test_hours(self) -> None:
        """Where an hour cannot be asked for, 5 minutes are."""
        tree, (node,) = tree_of(5_000)
        (kept,) = permitted(tree, [chosen(node, lifetime=LONG)], Limits(1, False), (), [])
        assert kept.breakpoint.lifetime is SHORT

    def test_barred(self) -> None:
        """A rule that was refused is not used."""
        tree, (node,) = tree_of(5_000)
        assert not permitted(tree, [chosen(node)], Limits(1, True), {"system"}, [])


@given(
    lifetimes=st.lists(st.sampled_from([SHORT, LONG]), min_size=1, max_size=4),
    order=st.permutations(range(4)),
)
def test_lifetimes_are_in_order_where_they_are_written(
    lifetimes: list[Lifetime], order: list[int]
) -> None:
    """No 5 minutes stand before an hour, and none gets shorter."""
    marks = {
        node: Placed(
            place=Place(level=Level.TOOLS, index=order[node]),
            rule="tools",
            lifetime=lifetime,
            tokens=1,
        )
        for node, lifetime in enumerate(lifetimes)
    }
    before = {node: mark.lifetime for node, mark in marks.items()}
    after = in_written_order(dict(marks))
    written = [mark.lifetime for mark in sorted(after.values(), key=lambda mark: mark.place)]
    assert written == sorted(written, key=[LONG, SHORT].index)
    assert all(after[node].lifetime is LONG for node in before if before[node] is LONG)


class TestTooShort:
    """Prompts that are not worth a look."""

    @pytest.mark.parametrize(
        "body",
        [
            request(message("user", "hi")),
            request({"role": "user", "content": "hi"}, system="Be brief."),
            request(message("user", "hi"), system=[{"type": "text", "text": "Be brief."}]),
        ],
    )
    def test_plain_text(self, body: dict[str, Any]) -> None:
        """A few words are too short, however they are written."""
        assert too_short(body, 1.0, 1_024)
        assert not too_short(body, 1.0, 100)

    @pytest.mark.parametrize(
        "body",
        [
            request(message("user", "hi"), tools=[tool("look")]),
            request(message("user", "hi"), output_config={"format": {}}),
            request(message("user", "hi"), mcp_servers=[{"name": "s"}]),
            request(*[message("user", "hi")] * 17),
            request({"role": "user", "content": [{"type": "image", "source": {}}]}),
            request({"role": "user", "content": [{"type": "text"}, {"type": "thinking"}]}),
            request({"role": "user", "content": 3}),
            {"messages": "hi"},
            {},
        ],
    )
    def test_anything_else(self, body: dict[str, Any]) -> None:
        """What is not plain text, or not a body, is looked at."""
        assert not too_short(body, 1.0, 1_024)

    @given(said=st.text(max_size=900))
    def test_bytes(self, said: str) -> None:
        """No text is longer than its bytes, so a prompt of fewer cannot be long enough."""
        body = request({"role": "user", "content": said})
        if too_short(body, 1.0, 1_024):
            assert len(said.encode("utf-8", "surrogatepass")) < 1_024
