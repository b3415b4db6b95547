"""Texts that speak of what stands before or behind them."""

from __future__ import annotations

import pytest

from cacheplan.mentions import mentions

STORY = "Once upon a time there was a king. " * 20


@pytest.mark.parametrize(
    "text",
    [
        "Sum up the document above.",
        "Use the above text only.",
        "The preceding profile is the customer's.",
        f"Mind the previous transcript. {STORY}",
    ],
)
def test_above(text: str) -> None:
    """What speaks of the one above stays behind it."""
    assert [one[:2] for one in mentions([STORY, text, STORY])] == [(0, 1)]
    assert not mentions([text])


@pytest.mark.parametrize(
    "text", ["Sum up the following document.", f"{STORY} Here is the context below:"]
)
def test_below(text: str) -> None:
    """What speaks of the one below stays before it."""
    assert [one[:2] for one in mentions([STORY, text, STORY])] == [(1, 2)]
    assert not mentions([text])


@pytest.mark.parametrize(
    "text",
    [
        "Keep to the following rules: be brief.",
        "Answer in the following format: JSON.",
        f"{STORY} As said in the text above. {STORY}",
        f"Mind the file below. {STORY}",
        "Rise above it.",
        "",
    ],
)
def test_itself(text: str) -> None:
    """What speaks of something it may hold itself, or of nothing, is free."""
    assert not mentions([STORY, text, STORY])
