"""Tools, system and messages read as blocks, one part at a time."""

from __future__ import annotations

from typing import Any

import pytest

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.pieces import Piece, lifetime, message_pieces, system_pieces, tool_pieces
from cacheplan.prompt import Level, Lifetime, Place

ASSUME = Assumptions()
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TEXT = {"type": "text", "text": "Hi"}


def read(content: Any, role: str = "user", **more: Any) -> list[Piece]:
    """Read a message that stands fourth."""
    return message_pieces({"role": role, "content": content, **more}, 3, ASSUME)


def test_each_block_knows_where_it_stands() -> None:
    """A piece has its block, its place as the API counts, and its mark."""
    first, second = read([TEXT, TEXT | {"text": "you", "cache_control": HOUR}])
    assert (first.place, first.mark) == (Place(level=Level.MESSAGES, index=3, content=0), None)
    assert second.place == Place(level=Level.MESSAGES, index=3, content=1)
    assert second.mark is Lifetime.ONE_HOUR
    assert second.block.body == {"type": "text", "text": "you"}


def test_a_string_is_one_text_block() -> None:
    """Content given as a string is the block it is shorthand for, at a place of its own."""
    (piece,) = read("Hi")
    (block,) = read([TEXT])
    assert piece.block == block.block
    assert piece.place == Place(level=Level.MESSAGES, index=3)
    (system,) = system_pieces("Hi", ASSUME)
    assert system == system_pieces([TEXT], ASSUME)[0]


@pytest.mark.parametrize("system", [None, "", []])
def test_an_empty_system_is_no_block(system: Any) -> None:
    """Nothing is rendered for a system that says nothing."""
    assert system_pieces(system, ASSUME) == []


def test_a_caller_who_looks_on_sees_nothing_copied() -> None:
    """An unmarked block's body is the caller's own object; only a mark makes a copy."""
    block = {"type": "text", "text": "Hi"}
    assert read([block])[0].block.body is block


def test_deferred_tools_are_no_blocks() -> None:
    """A tool that stays out of the prompt yields no piece, and moves no index."""
    tools = [
        {"name": "a", "input_schema": {}, "defer_loading": True},
        {"name": "b", "input_schema": {}},
    ]
    (piece,) = tool_pieces(tools, ASSUME)
    assert piece.place == Place(level=Level.TOOLS, index=1)
    assert piece.block.kind == "tool"


def test_web_search_stands_between_tools_and_system() -> None:
    """Switching web search on leaves every prefix of the other tools as it was."""
    search = {"type": "web_search_20260318", "name": "web_search", "cache_control": MARK}
    fetch = {"type": "web_fetch_20260318", "name": "web_fetch"}
    own = [{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}}]
    without = tool_pieces(own, ASSUME)
    pieces = tool_pieces([search, *own, fetch], ASSUME)
    assert [piece.block for piece in pieces[:2]] == [piece.block for piece in without]
    assert [piece.block.level for piece in pieces[2:]] == [Level.SYSTEM, Level.SYSTEM]
    assert [piece.place.index for piece in pieces] == [1, 2, 0, 3]
    assert pieces[2].mark is Lifetime.FIVE_MINUTES


@pytest.mark.parametrize(
    ("kind", "tool"),
    [
        ("tool", {"name": "a", "input_schema": {}, "type": "custom"}),
        ("tool", {"name": "a", "input_schema": {}, "type": None}),
        ("bash_20250124", {"type": "bash_20250124", "name": "bash"}),
        ("mcp_toolset", {"type": "mcp_toolset", "mcp_server_name": "s"}),
        ("computer_toolset_20260801", {"type": "computer_toolset_20260801"}),
        ("not_yet_known", {"type": "not_yet_known"}),
    ],
)
def test_a_tool_is_of_its_type(kind: str, tool: dict[str, Any]) -> None:
    """A tool's kind is its type, and ``tool`` where it names none."""
    assert [piece.block.kind for piece in tool_pieces([tool], ASSUME)] == [kind]


@pytest.mark.parametrize(
    ("refuses", "block"),
    [
        ("", TEXT),
        ("blank", {"type": "text", "text": " "}),
        ("thinking", {"type": "thinking", "thinking": "hm", "signature": "s"}),
        ("thinking", {"type": "redacted_thinking", "data": "d"}),
        ("listing", {"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": []}),
        (
            "",
            {"type": "tool_use", "id": "t", "name": "n", "input": {}, "caller": {"type": "direct"}},
        ),
        (
            "called",
            {
                "type": "tool_use",
                "id": "t",
                "name": "n",
                "input": {},
                "caller": {"type": "code_execution_20260120", "tool_id": "s"},
            },
        ),
        ("", {"type": "compaction", "content": "So far."}),
        ("", {"type": "not_yet_known"}),
    ],
)
def test_a_block_says_why_it_refuses_a_mark(refuses: str, block: dict[str, Any]) -> None:
    """A policy reads on the block itself whether it may be marked."""
    assert [piece.block.refuses for piece in read([block], "assistant")] == [refuses]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "fallback", "from": {}, "to": {}},
        {"type": "compaction", "content": None},
        {"type": "compaction"},
    ],
)
def test_what_is_not_rendered_is_no_block(block: dict[str, Any]) -> None:
    """A fallback's boundary and a failed compaction are not part of the prompt."""
    assert read([block], "assistant") == []


def test_a_mark_on_the_last_inner_block_is_handed_up() -> None:
    """The service hoists a mark from the end of a result to the result."""
    result = {"type": "tool_result", "tool_use_id": "t"}
    last = {"content": [TEXT, TEXT | {"cache_control": HOUR}]}
    first = {"content": [TEXT | {"cache_control": HOUR}, TEXT]}
    document = {"type": "document", "source": {"type": "content", **last}}
    assert [read([result | last])[0].mark, read([result | first])[0].mark] == [
        Lifetime.ONE_HOUR,
        None,
    ]
    assert read([document])[0].mark is Lifetime.ONE_HOUR
    assert read([result | {"content": [TEXT, document]}])[0].mark is Lifetime.ONE_HOUR
    own = result | last | {"cache_control": MARK}
    assert read([own])[0].mark is Lifetime.FIVE_MINUTES


def test_a_change_of_effort_within_the_conversation_is_a_block() -> None:
    """What follows another effort has another prefix, so the change is part of it."""
    low, high = (
        message_pieces({"role": "system", "output_config": {"effort": effort}}, 3, ASSUME)[0]
        for effort in ("low", "high")
    )
    assert low.block.digest != high.block.digest
    assert (low.block.kind, low.block.refuses) == ("output_config", "effort")
    assert [piece.block.kind for piece in read("Hi", "system", output_config={})] == ["text"]


def test_a_passing_system_message_refuses_a_mark() -> None:
    """A prefix that ends in what the next turn will not show is never read again."""
    (piece,) = read("Hurry.", "system", clear_at="next_user_message")
    assert piece.block.refuses == "cleared"
    (piece,) = read([TEXT], "system", clear_at="never")
    assert piece.block.refuses == ""


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (None, None),
        ({"type": "ephemeral"}, Lifetime.FIVE_MINUTES),
        ({"type": "ephemeral", "ttl": None}, Lifetime.FIVE_MINUTES),
        ({"type": "ephemeral", "ttl": "5m"}, Lifetime.FIVE_MINUTES),
        ({"type": "ephemeral", "ttl": "1h"}, Lifetime.ONE_HOUR),
        ({"type": "ephemeral", "ttl": "1h", "scope": "global"}, Lifetime.ONE_HOUR),
    ],
)
def test_a_mark_is_read(control: Any, expected: Lifetime | None) -> None:
    """The absent ttl is five minutes, and unknown members change nothing."""
    assert lifetime(control) is expected


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Hi", "messages[3]: str is not an object"),
        ({}, 'messages[3].role: "None" is not user, assistant or system'),
        ({"role": "robot"}, 'messages[3].role: "robot" is not user, assistant or system'),
        ({"role": ["user"]}, "messages[3].role: \"['user']\" is not user, assistant or system"),
        ({"role": "user", "content": 7}, "messages[3].content: int is not a list"),
        ({"role": "user", "content": ["Hi"]}, "messages[3].content[0]: str is not an object"),
        ({"role": "user", "content": [{}]}, "messages[3].content[0].type: a block has a type"),
        (
            {"role": "user", "content": [{"type": 7}]},
            "messages[3].content[0].type: a block has a type",
        ),
        (
            {"role": "user", "content": [TEXT | {"cache_control": {"type": "e", "ttl": "5m"}}]},
            'messages[3].content[0].cache_control.type: "e" is not ephemeral',
        ),
        (
            {"role": "user", "content": [TEXT, TEXT | {"cache_control": MARK | {"ttl": "2h"}}]},
            'messages[3].content[1].cache_control.ttl: "2h" is not 5m or 1h',
        ),
        (
            {"role": "user", "content": [TEXT | {"cache_control": "ephemeral"}]},
            "messages[3].content[0].cache_control: this is not an object",
        ),
        (
            {"role": "system", "output_config": 7},
            "messages[3].output_config: int is not an object",
        ),
    ],
)
def test_a_bad_shape_names_its_place(message: Any, words: str) -> None:
    """An error says where in the body it is, as the API writes places."""
    with pytest.raises(InputError) as caught:
        message_pieces(message, 3, ASSUME)
    assert str(caught.value) == words


def test_a_bad_mark_inside_a_block_names_its_place() -> None:
    """The path leads into the inner block that carries the mark."""
    inner = TEXT | {"cache_control": MARK | {"ttl": 300}}
    with pytest.raises(InputError) as caught:
        read([{"type": "tool_result", "tool_use_id": "t", "content": [TEXT, inner]}])
    assert caught.value.path == ("messages", 3, "content", 0, "content", 1, "cache_control", "ttl")


def test_an_sdk_object_is_told_how_to_become_one() -> None:
    """A response's block put into messages as it came is named, with the way out."""

    class TextBlock:
        """Stands for a class of the SDK."""

        def to_dict(self) -> dict[str, Any]:
            """Return the block as JSON has it."""
            return {}

    with pytest.raises(InputError, match=r"TextBlock is not an object; its to_dict\(\) is one"):
        read([TextBlock()])


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ({}, "tools: dict is not a list"),
        (["t"], "tools[0]: str is not an object"),
        (
            [{"name": "a", "cache_control": MARK | {"ttl": "1d"}}],
            'tools[0].cache_control.ttl: "1d" is not 5m or 1h',
        ),
        ([{"name": object()}], "tools[0]: this is not JSON"),
    ],
)
def test_bad_tools_name_their_place(tools: Any, words: str) -> None:
    """The same holds for tools, and for what no JSON can hold."""
    with pytest.raises(InputError) as caught:
        tool_pieces(tools, ASSUME)
    assert str(caught.value).startswith(words)


def test_bad_system_names_its_place() -> None:
    """The same holds for system."""
    with pytest.raises(InputError, match=r"system\[1\]: int is not an object"):
        system_pieces([TEXT, 7], ASSUME)
