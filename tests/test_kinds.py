"""The tables of kinds know everything the SDK's request types know."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import anthropic.types as released
import pytest
from anthropic.types import beta

from cacheplan import kinds

UNIONS = {
    "content": (released.ContentBlockParam, beta.BetaContentBlockParam),
    "tools": (released.ToolUnionParam, beta.BetaToolUnionParam),
}


def leaves(union: Any) -> Iterator[Any]:
    """Walk a union of unions down to its classes."""
    arguments = typing.get_args(union)
    if not arguments:
        yield union
    for argument in arguments:
        yield from leaves(argument)


def literals(hint: Any) -> Iterator[str]:
    """Find the words that a ``type`` may be."""
    if typing.get_origin(hint) is typing.Literal:
        yield from typing.get_args(hint)
    else:
        for argument in typing.get_args(hint):
            yield from literals(argument)


def rows(name: str) -> list[tuple[str, bool]]:
    """List each request type's word, and whether it has a ``cache_control``."""
    found = set()
    for union in UNIONS[name]:
        for leaf in leaves(union):
            if not hasattr(leaf, "__required_keys__"):
                continue  # a class of responses that the SDK turns into one of these
            hints = typing.get_type_hints(leaf, include_extras=True)
            for word in literals(hints["type"]):
                found.add((word, "cache_control" in hints))
    return sorted(found)


@pytest.mark.parametrize(("kind", "markable"), rows("content"))
def test_every_content_block_of_the_sdk_is_known(kind: str, markable: bool) -> None:
    """Each kind of content block is in the table, and refuses marks if its type has none."""
    assert (kinds.CONTENT[kind] == "") is markable


@pytest.mark.parametrize(("kind", "markable"), rows("tools"))
def test_every_tool_of_the_sdk_is_known(kind: str, markable: bool) -> None:
    """Each kind of tool definition is in the table, and all of them take marks."""
    assert kind in kinds.TOOLS
    assert markable


def test_the_tables_hold_nothing_else() -> None:
    """A row that no type of the SDK backs would be an invention."""
    assert set(kinds.CONTENT) == {kind for kind, _ in rows("content")}
    assert {kind for kind, _ in rows("tools")} == kinds.TOOLS


@pytest.mark.parametrize("text", ["", " ", "\n\t ", None, 7])
def test_blank_text_refuses_a_mark(text: object) -> None:
    """Text that is empty, whitespace, or none at all takes no mark."""
    assert kinds.refusal({"type": "text", "text": text}) == "blank"


def test_a_kind_nobody_knows_takes_a_mark() -> None:
    """An unknown block is one like any other."""
    assert kinds.refusal({"type": "not_yet_known"}) == ""
    assert kinds.opaque({"type": "not_yet_known"})
    assert kinds.opaque({"type": ["text"]})


@pytest.mark.parametrize("flag", [False, None, "true", 1])
def test_only_true_defers_a_tool(flag: object) -> None:
    """Whatever is not literally true leaves a tool where it is."""
    assert not kinds.deferred({"name": "t", "defer_loading": flag})
    assert kinds.deferred({"name": "t", "defer_loading": True})


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ({"type": "tool_result", "content": ["a"]}, ["a"]),
        ({"type": "tool_result", "content": "text"}, []),
        ({"type": "tool_result"}, []),
        ({"type": "document", "source": {"type": "content", "content": ["a"]}}, ["a"]),
        ({"type": "document", "source": {"type": "url", "url": "u"}}, []),
        ({"type": "search_result", "content": ["a"]}, ["a"]),
        ({"type": "text", "text": "Hi"}, []),
        ({}, []),
    ],
)
def test_inner_blocks_are_found_where_they_stand(block: dict[str, Any], found: list[Any]) -> None:
    """Inner blocks are those of results, documents and search results given as lists."""
    assert kinds.inner(block) == found
