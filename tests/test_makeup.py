"""What each kind of block is made of: its texts, and what the service puts around them."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.facts import image_tokens
from cacheplan.kinds import CONTENT, TOOLS
from cacheplan.makeup import Makeup, makeup, written
from cacheplan.prompt import Block, Level

Generation = Literal["old", "new"]
generations = st.sampled_from(["old", "new"])
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def content(kind: str, generation: Generation = "new", **body: Any) -> Makeup:
    """Take a content block apart."""
    block = Block(level=Level.MESSAGES, kind=kind, role="user", body={"type": kind, **body})
    return makeup(block, generation)


def tool(generation: Generation = "new", **body: Any) -> Makeup:
    """Take a tool definition apart."""
    return makeup(Block(level=Level.TOOLS, kind=body.get("type", "tool"), body=body), generation)


def picture(width: int, height: int) -> dict[str, str]:
    """Return the source of a PNG of this size."""
    raw = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", width, height)
    return {"type": "base64", "media_type": "image/png", "data": base64.b64encode(raw).decode()}


def test_text_is_only_its_text() -> None:
    """A text block has nothing around it that the turn does not have already."""
    assert content("text", text="Hello") == Makeup("new", texts=["Hello"])


def test_tool_definition_is_three_keys_as_json() -> None:
    """Name, description and schema count as JSON with a blank after each comma; what else
    a definition says never reaches the model.
    """
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    made = tool(name="weather", description="Say it", input_schema=schema, strict=True)
    told = {"name": "weather", "description": "Say it", "input_schema": schema}
    assert made.texts == [json.dumps(told)]
    assert made.tokens <= 2


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("bash_20250124", 245, 325),
        ("text_editor_20250728", 700, 700),
        ("computer_toolset_20260801", 4500, 4500),
        ("web_search_20250305", 1710, 2223),
        ("memory_20250818", 1068, 1388),
    ],
)
def test_built_in_tools_have_known_lengths(kind: str, old: int, new: int) -> None:
    """The service's own tools are counted by table: the body does not show them."""
    assert tool("old", type=kind, name="x").tokens == old
    assert tool("new", type=kind, name="x").tokens == pytest.approx(new, abs=1)


def test_unknown_built_in_tool_is_a_wide_guess() -> None:
    """A tool in no table may be anything from nothing up."""
    made = tool(type="telepathy_20270101", name="x")
    assert made.guessed
    assert made.tokens == made.doubt > 0


def test_web_tools_stand_among_system_blocks() -> None:
    """Web tools are rendered with the system prompt, and are tools there as well."""
    block = Block(level=Level.SYSTEM, kind="web_fetch_20250910", body={"name": "web_fetch"})
    assert makeup(block, "old").tokens > 0 or makeup(block, "old").texts


def test_call_is_name_values_and_a_frame() -> None:
    """Each parameter adds to the frame the service draws around a call."""
    none = content("tool_use", name="now", input={})
    two = content("tool_use", name="now", input={"a": 1, "b": [2]})
    assert none.texts == ["now", "{}"]
    assert two.texts == ["now", '{"a": 1, "b": [2]}']
    assert two.tokens - none.tokens == 20


def test_result_is_what_is_inside() -> None:
    """A result holds text, or blocks, pictures among them."""
    inside = [{"type": "text", "text": "done"}, {"type": "image", "source": picture(200, 200)}]
    nested, plain = content("tool_result", content=inside), content("tool_result", content="done")
    assert nested.texts == plain.texts == ["done"]
    assert nested.tokens - plain.tokens == 64


@pytest.mark.parametrize(("generation", "tokens"), [("old", 1560), ("new", 2691)])
def test_picture_costs_its_area(generation: Generation, tokens: int) -> None:
    """The size stands in the base64; how far it is shrunk depends on the generation."""
    made = content("image", generation, source=picture(1920, 1080))
    assert made.tokens == tokens
    assert not made.guessed


@pytest.mark.parametrize("kind", ["url", "file"])
@pytest.mark.parametrize("generation", ["old", "new"])
def test_unseen_picture_may_be_any_size(generation: Generation, kind: str) -> None:
    """Of a picture behind an address only the most it can cost is known."""
    made = content("image", generation, source={"type": kind, "url": "x"})
    most = image_tokens(9000, 9000, "high" if generation == "new" else "standard")
    assert made.tokens - made.doubt == 0
    assert made.tokens + made.doubt == most
    assert made.guessed


def test_pages_cost_their_picture_and_some_text() -> None:
    """A PDF page is a picture besides up to 3,000 tokens of text; recorded pages with
    little text (1,599) and with much (2,666) lie in the band.
    """
    data = base64.b64encode(b"%PDF-1.4 <</Type/Page>>").decode()
    made = content("document", "old", source={"type": "base64", "data": data})
    for recorded in (1599, 2666):
        assert abs(made.tokens - recorded) <= made.doubt


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "data": "a plain text"},
        {"type": "content", "content": "a plain text"},
        {"type": "content", "content": [{"type": "text", "text": "a plain text"}]},
    ],
)
def test_documents_of_text_are_counted(source: dict[str, Any]) -> None:
    """A document's own text is counted like any other, with its title and context."""
    made = content("document", title="T", context="C", source=source)
    assert made.texts == ["T", "C", "a plain text"]
    assert not made.guessed


def test_search_results_are_counted() -> None:
    """Where a result is from, its title and its text are all shown."""
    inside = [{"type": "text", "text": "found"}]
    made = content("search_result", source="example", title="T", content=inside)
    assert made.texts == ["example", "T", "found"]


# Sonnet 4.5 and 5, recorded: characters of the signature, bytes shown, tokens of thinking.
@pytest.mark.parametrize(
    ("seal", "shown", "tokens"),
    [(540, 0, 47), (588, 0, 71), (436, 0, 28), (320, 0, 19), (532, 0, 55)],
)
def test_omitted_thinking_is_told_from_its_signature(seal: int, shown: int, tokens: int) -> None:
    """Thinking that is not shown still counts, and its seal says about how much it is."""
    made = content("thinking", thinking="x" * shown, signature="s" * seal)
    assert abs(made.tokens - tokens) <= made.doubt
    assert made.guessed


@pytest.mark.parametrize(("seal", "shown"), [(364, 98), (540, 189), (396, 84), (1364, 847)])
def test_thinking_shown_in_full_is_only_its_text(seal: int, shown: int) -> None:
    """A signature as long as the text shown hides nothing more."""
    made = content("thinking", thinking="x" * shown, signature="s" * seal)
    assert made.texts == ["x" * shown]
    assert made.tokens == 0


def test_summary_of_thinking_counts_as_the_whole() -> None:
    """Where the seal is much longer than the text, the text is a summary."""
    made = content("thinking", thinking="In short: yes.", signature="s" * 20_000)
    assert made.tokens > 3000
    assert content("redacted_thinking", data="s" * 20_000).tokens > 3000


def test_sealed_results_count_by_length_and_not_as_text() -> None:
    """What the service sealed is no text that anyone tokenizes as it stands."""
    found = {"type": "web_search_result", "title": "T", "encrypted_content": "s" * 4000}
    made = content("web_search_tool_result", content=[found])
    assert "ssss" not in made.texts[0]
    assert made.tokens - made.doubt < 1000 < made.tokens + made.doubt


def test_fetched_pages_are_documents_inside_results() -> None:
    """A PDF that a tool fetched is pages, not a megabyte of base64."""
    source = {"type": "base64", "media_type": "application/pdf", "data": "A" * 100_000}
    page = {"type": "web_fetch_result", "content": {"type": "document", "source": source}}
    made = content("web_fetch_tool_result", content=page)
    assert len("".join(made.texts)) < 200


def test_compaction_is_its_summary() -> None:
    """What is left of a compacted conversation is text."""
    assert content("compaction", content="They met.").texts == ["They met."]


def test_unknown_kind_counts_as_its_json() -> None:
    """A kind from the future is counted by what it says, without its mark."""
    made = content("hologram", depth=3, cache_control={"type": "ephemeral"})
    assert made.texts == ['{"type": "hologram", "depth": 3}']
    assert made.guessed


@given(st.sampled_from([*CONTENT, *TOOLS, "new"]), st.sampled_from(Level), generations, values)
def test_no_block_is_too_odd(kind: str, level: Level, generation: Generation, value: Any) -> None:
    """Whatever stands under whatever key, the block is taken apart, and no doubt is
    below nothing.
    """
    keys = ("text", "content", "source", "input", "thinking", "signature", "input_schema", "data")
    block = Block(level=level, kind=kind, body={"type": kind, **dict.fromkeys(keys, value)})
    made = makeup(block, generation)
    assert made.tokens >= 0
    assert made.doubt >= 0
    assert all(made.texts)


def test_json_is_written_with_blanks() -> None:
    """The service writes JSON to the model with a blank after comma and colon."""
    assert written({"a": [1, "é"]}) == '{"a": [1, "é"]}'
