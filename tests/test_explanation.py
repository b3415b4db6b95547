"""Why the later call cannot read what the earlier one wrote, and exactly where."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import Characters, message, request, tool, workload

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError, UnknownFactError, UnsupportedError
from cacheplan.explanation import Explanation, explain
from cacheplan.prices import Sheet

MARK = {"type": "ephemeral"}
LONG = "You answer questions about the shop. " * 60
#: A body whose marks do what they should.
BODY = request(
    message("user", "Where is my parcel?"),
    message("assistant", "On its way."),
    message("user", "Since when?"),
    tools=[tool("look"), tool("fetch"), tool("send")],
    system=[{"type": "text", "text": LONG}],
    cache_control=MARK,
)
USE = {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1, "b": 2}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "seen"}
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


def explained(earlier: dict[str, Any], later: dict[str, Any], **switches: Any) -> Explanation:
    """Explain two bodies."""
    return explain(
        earlier,
        later,
        counter=Characters(),
        sheet=Sheet.default(),
        assume=Assumptions(**switches),
    )


def systems(before: str, after: str) -> Explanation:
    """Explain two bodies that differ in how their system prompt begins."""
    old, new = (
        {**BODY, "system": [{"type": "text", "text": text + LONG}]} for text in (before, after)
    )
    return explained(old, new)


def going_on(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body with more messages."""
    return {**BODY, "messages": [*BODY["messages"], *messages], **fields}


class TestTexts:
    """Where two texts part, what parts there is named."""

    @pytest.mark.parametrize(
        ("before", "after", "what", "offset"),
        [
            ("Today is 2026-11-03. ", "Today is 2026-11-04. ", "a date changed", 18),
            (
                "It is 2026-11-03T10:15:00Z. ",
                "It is 2026-11-03T10:16:00Z. ",
                "a date and time changed",
                21,
            ),
            (
                "3f2504e0-4f89-11d3-9a0c-0305e82c3301 ",
                "7f2504e0-4f89-11d3-9a0c-0305e82c3301 ",
                "a UUID changed",
                0,
            ),
            ("You are call 17 of today. ", "You are call 18 of today. ", "a number changed", 14),
            ("You are call 9 of today. ", "You are call 99 of today. ", "a number changed", 14),
            ("Answer Anna. ", "Answer Bert. ", "the text changed", 7),
        ],
    )
    def test_named(self, before: str, after: str, what: str, offset: int) -> None:
        """A date, a moment, a UUID, a number, or plain text."""
        found = systems(before, after)
        assert (found.reason, found.what, found.offset) == ("system_changed", what, offset)
        assert str(found.place) == "system[0]"
        assert found.reads == 0

    @pytest.mark.parametrize(
        ("before", "after", "what"),
        [
            ("a", "a and more", "text was added at the end of the block"),
            ("a and more", "a", "text is missing at the end of the block"),
        ],
    )
    def test_ends(self, before: str, after: str, what: str) -> None:
        """A text that begins like the other and goes on is longer, not another."""
        old, new = ({**BODY, "system": text} for text in (before, after))
        assert explained(old, new).what == what

    def test_earlier_message_edited(self) -> None:
        """An edit of an old message is found in that message, and what stands before is read."""
        old = deepcopy(BODY)
        old["system"][0]["cache_control"] = MARK
        new = deepcopy(old)
        new["messages"][0]["content"][0]["text"] = "Where is my order?"
        found = explained(old, new)
        assert (found.reason, str(found.place)) == ("messages_changed", "messages[0].content[0]")
        assert found.offset == len("Where is my ")
        calls = workload([{"at": 0, "request": old}])
        assert found.reads == calls.tree.tokens[calls.tree.system_end[calls.calls[0].tip]]

    def test_string_against_list(self) -> None:
        """A string is its one text block, unless the switch says that it differs."""
        new = {**BODY, "system": LONG}
        assert explained(BODY, new).reason is None
        found = explained(BODY, new, string_form="differs")
        assert found.reason == "system_changed"
        assert found.what == "string content against a list of one text block"

    def test_excerpt_keeps_the_named_stretch_whole(self) -> None:
        """What is shown around a difference is a little text, and all of what has a name."""
        found = systems("x" * 99 + " 2026-11-03 ", "x" * 99 + " 2026-11-04 ")
        assert found.before.startswith("x" * 23 + " 2026-11-03 ")
        assert "2026-11-04" in found.after
        assert len(found.before) < 80


class TestTools:
    """Tools are rendered first, so any change of theirs breaks all."""

    def test_another_order(self) -> None:
        """The same tools in another order are named in both orders."""
        found = explained(BODY, {**BODY, "tools": BODY["tools"][::-1]})
        assert (found.reason, found.what) == ("tools_changed", "the same tools in another order")
        assert (found.before, found.after) == ("look, fetch, send", "send, fetch, look")
        assert str(found.place) == "tools[0]"

    @pytest.mark.parametrize(("at", "place"), [(0, "tools[0]"), (1, "tools[1]"), (3, "tools[3]")])
    def test_added(self, at: int, place: str) -> None:
        """A tool that came in is found where it stands, whatever stands behind it."""
        tools = [*BODY["tools"][:at], tool("new"), *BODY["tools"][at:]]
        found = explained(BODY, {**BODY, "tools": tools})
        assert found.reason == "tools_changed"
        assert found.what.startswith("a tool was added")
        assert str(found.place) == place

    @pytest.mark.parametrize("at", [0, 2])
    def test_removed(self, at: int) -> None:
        """A tool that went is found where it stood."""
        tools = [one for index, one in enumerate(BODY["tools"]) if index != at]
        found = explained(BODY, {**BODY, "tools": tools})
        assert (found.reason, str(found.place)) == ("tools_changed", f"tools[{at}]")
        assert "removed" in found.what or "missing" in found.what

    def test_edited(self) -> None:
        """An edited description is found by its first character in the tool's JSON."""
        tools = deepcopy(BODY["tools"])
        tools[1]["description"] = "more"
        found = explained(BODY, {**BODY, "tools": tools})
        assert (found.reason, str(found.place)) == ("tools_changed", "tools[1]")
        assert found.offset == len('{"description": "')

    def test_schema_keys_in_another_order(self) -> None:
        """The order of keys in a schema is content, and said to be all that changed."""
        old, new = deepcopy(BODY), deepcopy(BODY)
        old["tools"][0]["input_schema"] = {"type": "object", "title": "x"}
        new["tools"][0]["input_schema"] = {"title": "x", "type": "object"}
        assert explained(old, new).what == "the same JSON with its keys in another order"

    def test_web_search_is_part_of_system(self) -> None:
        """Switching web search on leaves the other tools readable."""
        search = {"type": "web_search_20260318", "name": "web_search"}
        found = explained(BODY, {**BODY, "tools": [*BODY["tools"], search]})
        assert (found.reason, str(found.place)) == ("system_changed", "tools[3]")

    def test_deferred_tools(self) -> None:
        """Tools that are loaded later are named as such."""
        late = {**tool("late"), "defer_loading": True}
        found = explained(BODY, {**BODY, "tools": [*BODY["tools"], late]})
        assert found.reason == "tools_changed"
        assert found.what == "deferred tools changed, which renders tools anew"


class TestParameters:
    """What is set beside the prompt is named by its parameter, and only that."""

    @pytest.mark.parametrize(
        ("fields", "reason", "what"),
        [
            ({"tool_choice": {"type": "any"}}, "messages_changed", "tool_choice"),
            (
                {"thinking": {"type": "enabled", "budget_tokens": 2000}},
                "messages_changed",
                "thinking",
            ),
            ({"output_config": {"effort": "low"}}, "messages_changed", "output_config.effort"),
            (
                {"output_config": {"format": {"type": "json_schema"}}},
                "system_changed",
                "output_config.format",
            ),
            (
                {"mcp_servers": [{"type": "url", "name": "s", "url": "u"}]},
                "tools_changed",
                "mcp_servers",
            ),
        ],
    )
    def test_one(self, fields: dict[str, Any], reason: str, what: str) -> None:
        """A changed parameter is named together with the level it renders anew."""
        found = explained(BODY, {**BODY, **fields})
        level = reason.removesuffix("_changed")
        assert found.reason == reason
        assert found.what == f"{what} changed, which renders {level} anew"

    def test_only_what_counts(self) -> None:
        """A parameter that changed without effect is not blamed, nor one of another level."""
        new = {
            **BODY,
            "betas": ["some-beta"],
            "max_tokens": 1,
            "container": {"id": "other"},
            "output_config": {"effort": "low", "format": {"type": "json_schema"}},
            "tool_choice": {"type": "none"},
        }
        found = explained({**BODY, "container": {"id": "one"}}, new)
        assert found.what == "output_config.format changed, which renders system anew"

    def test_two(self) -> None:
        """Two parameters of one level are both named."""
        new = {**BODY, "tool_choice": {"type": "none"}, "output_config": {"effort": "low"}}
        assert explained(BODY, new).what.startswith("output_config.effort and tool_choice changed")

    def test_default_written_out(self) -> None:
        """Writing a default out is no change."""
        new = {
            **BODY,
            "speed": "standard",
            "tool_choice": {"type": "auto"},
            "output_config": {"effort": "high"},
            "thinking": {"type": "adaptive"},
        }
        assert explained(BODY, new).reason is None

    def test_model(self) -> None:
        """Another model has other entries; both are named."""
        found = explained(BODY, {**BODY, "model": "claude-opus-5"})
        assert found.reason == "model_changed"
        assert "claude-sonnet-5 became claude-opus-5" in found.what

    def test_model_by_another_name(self) -> None:
        """A dated spelling of the same model is the same model."""
        old, new = (
            {**BODY, "model": name} for name in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
        )
        assert explained(old, new).reason is None

    def test_speed(self) -> None:
        """Speed counts as the model, as it does in the API's diagnostics."""
        old = {**BODY, "model": "claude-opus-5"}
        found = explained(old, {**old, "speed": "fast"})
        assert (found.reason, found.what) == (
            "model_changed",
            "speed changed from standard to fast",
        )

    def test_first_image(self) -> None:
        """The first image renders the messages anew, and is pointed at."""
        new = going_on(message("assistant", "Look."), {"role": "user", "content": [IMAGE]})
        found = explained(BODY, new)
        assert (found.reason, str(found.place)) == ("messages_changed", "messages[4].content[0]")
        assert found.what.startswith("an image was added")

    def test_last_image_gone(self) -> None:
        """So does the only image that goes."""
        old = request({"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]})
        found = explained(old, request(message("user", "a")))
        assert (found.reason, str(found.place)) == ("messages_changed", "messages[0].content[1]")
        assert "gone" in found.what

    def test_second_image_is_no_change(self) -> None:
        """A further image is only more to read."""
        old = going_on({"role": "user", "content": [IMAGE]})
        new = {**old, "messages": [*old["messages"], {"role": "user", "content": [IMAGE]}]}
        assert explained(old, new).reason is None

    def test_citations(self) -> None:
        """Citations change the system level, where the first document has them on."""
        source = {"type": "text", "media_type": "text/plain", "data": "words"}
        cited = {"type": "document", "source": source, "citations": {"enabled": True}}
        found = explained(BODY, going_on({"role": "user", "content": [cited]}))
        assert (found.reason, str(found.place)) == ("system_changed", "messages[3].content[0]")


class TestBlocks:
    """Blocks of other kinds part by kind, by speaker or by their JSON."""

    def test_swapped_keys_in_tool_input(self) -> None:
        """The order of keys in a tool's input breaks the prefix, and is named."""
        old = going_on({"role": "assistant", "content": [USE]})
        new = deepcopy(old)
        new["messages"][3]["content"][0]["input"] = {"b": 2, "a": 1}
        found = explained(old, new)
        assert (found.reason, str(found.place)) == ("messages_changed", "messages[3].content[0]")
        assert found.what == "the same JSON with its keys in another order"

    def test_keys_of_typed_objects_mean_nothing(self) -> None:
        """The order of a block's own keys is no content."""
        old = going_on({"role": "assistant", "content": [USE]})
        turned = dict(reversed(USE.items()))
        assert explained(old, going_on({"role": "assistant", "content": [turned]})).reason is None

    def test_another_kind(self) -> None:
        """A block of another kind is said to have become one."""
        old = going_on({"role": "assistant", "content": [USE]})
        found = explained(old, going_on(message("assistant", "No.")))
        assert found.what == "tool_use became text"

    def test_another_speaker(self) -> None:
        """The same words of another speaker are another block."""
        found = explained(going_on(message("assistant", "x")), going_on(message("user", "x")))
        assert found.what == "assistant spoke here before, now user"

    def test_block_gone(self) -> None:
        """A message that was dropped from the end is missing."""
        found = explained(BODY, {**BODY, "messages": BODY["messages"][:-1]})
        assert (found.reason, found.what) == (
            "messages_changed",
            "a text block is missing in the later call",
        )

    def test_system_block_added(self) -> None:
        """A block more in system moves the messages away from what was written."""
        found = explained(
            BODY, {**BODY, "system": [*BODY["system"], {"type": "text", "text": "x"}]}
        )
        assert (found.reason, str(found.place)) == ("system_changed", "system[1]")

    def test_citations_of_a_text(self) -> None:
        """A text that cites differs from the same text that does not."""
        old, new = (
            going_on({"role": "assistant", "content": [{"type": "text", "text": "x", **more}]})
            for more in ({}, {"citations": [{"type": "char_location", "cited_text": "y"}]})
        )
        found = explained(old, new)
        assert found.what == "the text changed"
        assert found.offset is not None

    @pytest.mark.parametrize(
        ("model", "kept"), [("claude-haiku-4-5", False), ("claude-opus-5", True)]
    )
    def test_old_thinking(self, model: str, kept: bool) -> None:
        """Older models are not shown thinking from before a person spoke again."""
        thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
        loop: list[dict[str, Any]] = [
            {"role": "assistant", "content": [thought, USE]},
            {"role": "user", "content": [RESULT]},
        ]
        old = {**going_on(*loop), "model": model}
        new = {
            **going_on(*loop, message("assistant", "Done."), message("user", "And?")),
            "model": model,
        }
        found = explained(old, new)
        if kept:
            assert found.reason is None
        else:
            assert (found.reason, str(found.place)) == (
                "messages_changed",
                "messages[3].content[1]",
            )
            assert found.what.startswith("thinking was shown here before")


class TestEqual:
    """Where the earlier prompt is repeated, its marks, its length or its distance decide."""

    def test_read(self) -> None:
        """Nothing is in the way of a prompt that only grows."""
        found = explained(
            BODY, going_on(message("assistant", "Since noon."), message("user", "Ok"))
        )
        assert found.reason is None
        assert found.reads == explained(BODY, BODY).reads
        calls = workload([{"at": 0, "request": BODY}])
        assert found.reads == calls.tree.tokens[calls.calls[0].tip]

    def test_not_marked(self) -> None:
        """A call without a mark writes nothing, and one without a mark reads nothing."""
        bare = {key: part for key, part in BODY.items() if key != "cache_control"}
        assert explained(bare, BODY).what.startswith("the earlier call has no mark")
        found = explained(BODY, bare)
        assert (found.reason, found.reads) == ("not_marked", 0)
        assert found.what.startswith("the later call has no mark")

    def test_mark_before_the_entry(self) -> None:
        """A mark looks back and never forward."""
        later = {key: part for key, part in BODY.items() if key != "cache_control"}
        later["system"] = [{**BODY["system"][0], "cache_control": MARK}]
        found = explained(BODY, later)
        assert (found.reason, found.reads) == ("not_marked", 0)
        assert "stands before the end" in found.what

    def test_below_minimum(self) -> None:
        """A marked prefix that is too short was never written."""
        short = request(message("user", "Hi"), cache_control=MARK)
        assert explained(short, short).reason == "below_minimum"

    def test_lookback_exceeded(self) -> None:
        """Twenty-one blocks on, the mark no longer sees the entry."""
        far = going_on(*[message("user", f"{at}") for at in range(20)])
        assert explained(BODY, {**far, "messages": far["messages"][:-1]}).reason is None
        found = explained(BODY, far)
        assert (found.reason, found.reads) == ("lookback_exceeded", 0)

    def test_reading_a_part_is_not_reading(self) -> None:
        """Where only the system is read, the conversation's entry was still out of sight."""
        old = deepcopy(BODY)
        old["system"][0]["cache_control"] = MARK
        new = {
            **old,
            "messages": [*old["messages"], *(message("user", f"{at}") for at in range(30))],
        }
        found = explained(old, new)
        assert found.reason == "lookback_exceeded"
        assert found.reads is not None
        assert found.reads > len(LONG)

    def test_refused(self) -> None:
        """A call that the service refuses writes nothing; its words are given."""
        texts = [{"type": "text", "text": f"{at}", "cache_control": MARK} for at in range(4)]
        bad = {**BODY, "system": [*BODY["system"], *texts]}
        found = explained(bad, bad)
        assert found.reason == "rejected"
        assert "A maximum of 4 blocks" in found.what

    def test_chance_plays_no_part(self) -> None:
        """A service that is said to lose entries is not taken to have lost this one."""
        assert explained(BODY, BODY, hit_rate=0.5).reason is None


class TestUnknown:
    """What cannot be said is not guessed."""

    NEW: Final = {**BODY, "model": "a-new-one"}

    def test_difference_needs_no_minimum(self) -> None:
        """Where the contents differ, an unknown model changes nothing but the number read."""
        found = explained(self.NEW, {**self.NEW, "system": "x"})
        assert (found.reason, found.reads) == ("system_changed", None)
        assert "an unknown number of tokens" in str(found)

    def test_equal_needs_one(self) -> None:
        """Where they do not, nobody can say whether anything is read."""
        with pytest.raises(UnknownFactError, match="a-new-one"):
            explained(self.NEW, self.NEW)

    def test_part_of_a_conversation(self) -> None:
        """A body of which the service holds the start cannot be compared."""
        part = {**BODY, "thread": {"type": "continue", "id": "x"}}
        with pytest.raises(UnsupportedError, match="thread"):
            explained(BODY, part)

    @pytest.mark.parametrize(
        ("broken", "path"),
        [
            ({"messages": "x"}, "messages"),
            ({"messages": [{"role": "x", "content": ""}]}, r"messages\[0\].role"),
            ({"system": [{"text": "x"}]}, r"system\[0\].type"),
            ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control.ttl"),
        ],
    )
    def test_broken_body(self, broken: dict[str, Any], path: str) -> None:
        """What is wrong with a body is said with its place in the body."""
        with pytest.raises(InputError, match=rf"^{path}: "):
            explained(BODY, {**BODY, **broken})

    def test_missing_model(self) -> None:
        """A body without a model cannot be served."""
        bare = {key: part for key, part in BODY.items() if key != "model"}
        with pytest.raises(InputError, match=r"^model: missing"):
            explained(bare, bare)


texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)


@st.composite
def edited(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], str, int]:
    """Draw a body, the same with one character changed, and where that is."""
    system = draw(st.lists(texts, min_size=1, max_size=3))
    turns = draw(st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=4))
    body = request(
        *(message("user" if at % 2 == 0 else "assistant", *turn) for at, turn in enumerate(turns)),
        system=[{"type": "text", "text": text} for text in system],
        tools=[tool("look", draw(texts))],
    )
    blocks: list[tuple[str, int, int | None]] = [("system", at, None) for at in range(len(system))]
    blocks += [
        ("messages", at, number) for at, turn in enumerate(turns) for number in range(len(turn))
    ]
    key, at, number = draw(st.sampled_from(blocks))
    later = deepcopy(body)
    block = later[key][at] if number is None else later[key][at]["content"][number]
    text = block["text"] or "?"
    earlier_block = body[key][at] if number is None else body[key][at]["content"][number]
    earlier_block["text"] = text
    offset = draw(st.integers(0, len(text) - 1))
    other = draw(st.characters(codec="utf-8").filter(lambda one: one != text[offset]))
    block["text"] = text[:offset] + other + text[offset + 1 :]
    place = f"system[{at}]" if number is None else f"messages[{at}].content[{number}]"
    return body, later, place, offset


@given(drawn=edited())
def test_one_character_is_found(drawn: tuple[dict[str, Any], dict[str, Any], str, int]) -> None:
    """One character changed anywhere is found in its block, at its offset."""
    earlier, later, place, offset = drawn
    found = explained(earlier, later)
    assert (str(found.place), found.offset) == (place, offset)
    assert found.reason == place.partition("[")[0] + "_changed"
    assert explained(later, earlier).offset == offset


@given(drawn=edited())
def test_nothing_is_found_in_the_same(
    drawn: tuple[dict[str, Any], dict[str, Any], str, int],
) -> None:
    """A body against itself has no place at which it differs."""
    earlier, _, _, _ = drawn
    found = explained(earlier, deepcopy(earlier))
    assert (found.place, found.offset) == (None, None)
    assert found.reason in {"not_marked", "below_minimum"}


class TestShowing:
    """Prompts are shown as shapes, unless somebody asks for the text."""

    FOUND = systems("Anna 2026-11-03 ", "Anna 2026-11-04 ")

    def test_shape(self) -> None:
        """Neither text nor JSON holds a word of the prompt."""
        for shown in (str(self.FOUND), str(self.FOUND.to_json())):
            assert "Anna" not in shown
            assert "2026" not in shown
            assert "aaaa 9999-99-99" in shown

    def test_text(self) -> None:
        """Asked for, the text is shown."""
        assert "Anna 2026-11-04" in self.FOUND.text(show=True)
        assert self.FOUND.to_json(show=True)["before"].startswith("Anna 2026-11-03")

    def test_lines(self) -> None:
        """The text says reason, place and character, and what is read."""
        lines = self.FOUND.text(show=True).splitlines()
        assert lines[0] == "system_changed: a date changed"
        assert lines[1] == "  at      system[0], character 15"
        assert lines[-1] == "  reads   0 tokens"

    def test_json(self) -> None:
        """The JSON has all of it by name."""
        assert set(self.FOUND.to_json()) == {
            "reason",
            "what",
            "place",
            "offset",
            "before",
            "after",
            "reads",
        }
        assert self.FOUND.to_json()["place"] == "system[0]"

    def test_nothing_in_the_way(self) -> None:
        """Where nothing is in the way, that is what is said."""
        assert str(explained(BODY, BODY)).startswith("nothing is in the way: ")
