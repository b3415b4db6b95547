"""What users saw and asked about: each is found where it is, and what looks like it is not.

Every case is looked at by all rules at once, so it is also shown that one cause is one
finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from reviewed import LONG, agent, subject
from small import message, request, tool

from cacheplan.assumptions import Assumptions
from cacheplan.linter import lint

Lines = list[dict[str, Any]]

Body = dict[str, Any]
Blocks = list[dict[str, Any]]
Change = Callable[[int, Body], None]

MARK: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
HOUR: dict[str, Any] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
THINKING = {"type": "enabled", "budget_tokens": 1024}
TOOLS = [tool("look", LONG[:600]), tool("bash", LONG[:600])]
DIFFERS = Assumptions(string_form="differs")


def found(lines: Lines, assume: Assumptions | None = None) -> list[tuple[str, str]]:
    """Return code and place of everything found, tools aside that are not called here."""
    findings = lint(subject(lines, assume)).findings
    return [(one.code, str(one.place)) for one in findings if one.code != "CP008"]


def text(said: str, **fields: Any) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": said, **fields}


def talk(turns: int, *changes: Change) -> Lines:
    """Return an agent's conversation, marked at its newest message, and changed."""
    lines = agent(0, turns, tools=TOOLS, system=LONG)
    for change in changes:
        lines = each(lines, change)
    return lines


def questions(number: int, every: float = 30, **fields: Any) -> Lines:
    """Return calls that ask one thing each."""
    return [
        {"at": every * at, "request": request(message("user", f"q{at}"), **fields)}
        for at in range(number)
    ]


def each(lines: Lines, change: Change) -> Lines:
    """Return lines whose bodies are changed, each by its number."""
    copies: Lines = json.loads(json.dumps(lines))
    for at, line in enumerate(copies):
        change(at, line["request"])
    return copies


# --- what is done to a healthy conversation ---------------------------------------------


def marked_system(said: str = LONG, mark: dict[str, Any] = MARK) -> Blocks:
    """Return a system prompt of one marked block."""
    return [text(said, **mark)]


def hour(_: int, body: Body) -> None:
    """Ask for an hour."""
    body |= HOUR


def git_status(turn: int, body: Body) -> None:
    """Begin the system prompt with what git says."""
    body["system"] = f"Status:\n M src/{'abcdefghijkl'[turn]}.py\n\n{LONG}"


def git_status_marked(turn: int, body: Body) -> None:
    """Begin the system prompt with it, and mark the end of the prompt."""
    git_status(turn, body)
    body["system"] = marked_system(body["system"])


def git_status_behind(turn: int, body: Body) -> None:
    """Say it in the newest message, behind the mark."""
    body["messages"][-1]["content"].append(text(f"Status:\n M src/{'abcdefghijkl'[turn]}.py"))


def session_url(turn: int, body: Body) -> None:
    """Have each program that takes the session up put its address into a tool."""
    url = f"https://x.example/session/{'abcdefgh'[turn // 6] * 12}"
    body["tools"] = [tool("look", f"Sign with {url}. {LONG}")]


def one_url(_: int, body: Body) -> None:
    """Have the address of the first program in it for good."""
    session_url(0, body)


def reminder_moves(turn: int, body: Body) -> None:
    """Put a reminder into the first message once the session is taken up again."""
    if turn >= 6:
        body["messages"][0]["content"].insert(0, text("<reminder>be kind</reminder>"))


def tool_drops(turn: int, body: Body) -> None:
    """Forget a tool when the session is taken up again."""
    body["tools"] = TOOLS if turn < 6 else TOOLS[:1]


def effort_drops(turn: int, body: Body) -> None:
    """Forget the effort when the session is taken up again."""
    if turn < 6:
        body["output_config"] = {"effort": "low"}


def form_flips(turn: int, body: Body) -> None:
    """Send the first message as a string, and as a list from then on."""
    said = f"task {LONG}"
    body["messages"][0]["content"] = said if turn == 0 else [text(said)]


def form_stays(_: int, body: Body) -> None:
    """Send it as a list from the first call on."""
    form_flips(1, body)


def empty_anchor(_: int, body: Body) -> None:
    """Mark an empty block behind the newest message."""
    del body["cache_control"]
    body["messages"][-1]["content"].append(text("", **MARK))


def anchor(_: int, body: Body) -> None:
    """Mark a block of its own behind the newest message, which the next turn leaves out."""
    del body["cache_control"]
    body["messages"][-1]["content"].append(text("<anchor/>", **MARK))


def last_block(_: int, body: Body) -> None:
    """Mark the newest message itself."""
    del body["cache_control"]
    body["messages"][-1]["content"][-1] |= MARK


def gateway(_: int, body: Body) -> None:
    """Add marks to those the client set."""
    body["tools"] = [one | MARK for one in TOOLS[:1]]
    body["system"] = [text(LONG[:2000], **MARK), text(LONG[2000:], **MARK)]
    for said in body["messages"][-2:]:
        said["content"][-1] |= MARK


def four_marks(_: int, body: Body) -> None:
    """Set as many as are taken, the automatic one included."""
    body["tools"] = [one | MARK for one in TOOLS[:1]]
    body["system"] = [text(LONG[:2000], **MARK), text(LONG[2000:], **MARK)]


def fanned_out(turn: int, body: Body) -> None:
    """Mark a message by marking every result of a tool in it."""
    parallel(5)(turn, body)
    del body["cache_control"]
    newest = body["messages"][-1]
    newest["content"] = [block | MARK for block in newest["content"]]


def parallel(number: int) -> Change:
    """Return what calls so many tools at once in every turn."""

    def change(_: int, body: Body) -> None:
        for said in body["messages"]:
            (block,) = said["content"]
            key = {"tool_use": "id", "tool_result": "tool_use_id"}.get(block["type"])
            if key is not None:
                said["content"] = [{**block, key: f"{block[key]}_{at}"} for at in range(number)]

    return change


def shorter_first(_: int, body: Body) -> None:
    """Put an hour behind five minutes."""
    body["system"] = marked_system()
    body |= HOUR


def longer_first(_: int, body: Body) -> None:
    """Put five minutes behind an hour."""
    body["system"] = marked_system(mark=HOUR)


def pages(again: bool) -> Change:
    """Return what sends 25 pages a turn; marked where the turn before ended, or not."""

    def change(turn: int, body: Body) -> None:
        for said in body["messages"]:
            if said["content"][0]["type"] == "tool_result":
                name = said["content"][0]["tool_use_id"]
                said["content"] += [text(f"{name} {at} {LONG[:60]}") for at in range(25)]
        if turn and again:
            body["messages"][-3]["content"][-1] |= MARK

    return change


def no_message_marks(_: int, body: Body) -> None:
    """Take the mark of the messages for the tools, which the system prompt covers."""
    del body["cache_control"]
    body["tools"] = [*TOOLS[:-1], TOOLS[-1] | MARK]
    body["system"] = marked_system()


def frozen(_: int, body: Body) -> None:
    """Mark the first four messages of the user for good."""
    del body["cache_control"]
    for said in [one for one in body["messages"] if one["role"] == "user"][:4]:
        said["content"][-1] |= MARK


def one_late(turn: int, body: Body) -> None:
    """Mark the message before the newest."""
    del body["cache_control"]
    body["system"] = marked_system()
    if turn:
        body["messages"][-2]["content"][-1] |= MARK


def tools_turn(turn: int, body: Body) -> None:
    """Let servers answer in any order."""
    body["tools"] = TOOLS[:: -1 if turn % 2 else 1]


def keys_turn(turn: int, body: Body) -> None:
    """Build a schema from a set."""
    names = ("city", "unit")[:: -1 if turn % 2 else 1]
    schema = {"type": "object", "properties": {name: {} for name in names}}
    body["tools"] = [*TOOLS[:1], {**TOOLS[1], "input_schema": schema}]


def keys_stay(_: int, body: Body) -> None:
    """Build it the same way each time."""
    keys_turn(0, body)


def thinking_flips(turn: int, body: Body) -> None:
    """Think before answering a person, not before going on behind a tool."""
    if turn % 2:
        body["thinking"] = THINKING


def thinking_stays(_: int, body: Body) -> None:
    """Think in every turn."""
    body["thinking"] = THINKING


def results_cleared(keep: int) -> Change:
    """Return what clears old results of tools, all but so many, every turn."""

    def change(_: int, body: Body) -> None:
        blocks = [said["content"][0] for said in body["messages"]]
        for block in [one for one in blocks if one["type"] == "tool_result"][:-keep]:
            block["content"] = "[cleared]"

    return change


def unmarked(_: int, body: Body) -> None:
    """Mark nothing."""
    del body["cache_control"]


def compacted(system: str | None = None) -> Lines:
    """Return a conversation, and a call that has it summarised, behind its head or another."""
    lines = talk(12)
    last = json.loads(json.dumps(lines[-1]))
    body = last["request"]
    body["messages"] += [message("assistant", "Done."), message("user", "Summarise.")]
    if system is not None:
        del body["tools"]
        body["system"] = system
    return [*lines, last | {"at": last["at"] + 20}]


def delegated(tools: Blocks) -> Lines:
    """Return an agent that works for half an hour, and three that it starts meanwhile."""
    lines = [line | {"label": "main"} for line in talk(12)]
    for line in lines:
        line["at"] *= 6
    for number in range(3):
        own = agent(70 + 500 * number, 3, f"w{number}", tools=tools, system=LONG)
        lines += [line | {"label": "explore"} for line in own]
    return sorted(json.loads(json.dumps(lines)), key=lambda line: float(line["at"]))


def helpers(mark: dict[str, Any]) -> Lines:
    """Return short-lived agents, one every four minutes for more than an hour."""
    return [
        line | {"label": "helper", "request": line["request"] | mark}
        for number in range(20)
        for line in agent(240 * number, 4, f"s{number}", tools=TOOLS[:1], system=LONG)
    ]


def at_once(number: int, **fields: Any) -> Lines:
    """Return questions behind one document, all asked at the same time."""
    lines = questions(number, 0.01, system=marked_system())
    return [line | fields for line in lines]


def remembering(turn: int, body: Body) -> None:
    """Mark what is remembered of this customer, behind instructions for all."""
    body["system"] = [text(LONG), text(f"{'abcdefghijkl'[turn] * 400}", **MARK)]


def remembering_behind(turn: int, body: Body) -> None:
    """Mark the instructions, and leave what is remembered behind them."""
    body["system"] = [text(LONG, **MARK), text(f"{'abcdefghijkl'[turn] * 400}")]


def document_first(turn: int, body: Body) -> None:
    """Put a document of its own before instructions for all."""
    document = text("abcdefghijkl"[turn] * 3000)
    body["messages"][0]["content"] = [document, text(LONG, **MARK), text(f"q{turn}")]


def document_behind(turn: int, body: Body) -> None:
    """Put it behind them."""
    document = text("abcdefghijkl"[turn] * 3000)
    body["messages"][0]["content"] = [text(LONG, **MARK), document, text(f"q{turn}")]


def filled_in(turn: int, body: Body) -> None:
    """Send instructions and question as one text."""
    body["messages"][0]["content"] = f"{LONG}\nQuestion {turn}?"
    body |= MARK


def dated(turn: int, body: Body) -> None:
    """Fill the date into it as well."""
    body["messages"][0]["content"] = f"Today is 2026-11-{turn + 10}. {LONG}\nQuestion {turn}?"
    body |= MARK


def filled_in_behind(turn: int, body: Body) -> None:
    """Send the question behind the instructions."""
    body["messages"][0]["content"] = [text(LONG, **MARK), text(f"Question {turn}?")]


#: What users saw, the calls in which they saw it, and the finding it has to be.
SEEN: dict[str, tuple[Lines, str, str]] = {
    "an hour is paid for, and everything is read within seconds": (
        talk(200, hour),
        "CP106",
        "messages[0].content[0]",
    ),
    "helpers that live for a minute inherit the hour": (
        helpers(HOUR),
        "CP106",
        "messages[0].content[0]",
    ),
    "git status in the system prompt rebuilds everything": (
        talk(8, git_status),
        "CP001",
        "system[0]",
    ),
    "git status in front of every job": (
        each(questions(8), git_status_marked),
        "CP001",
        "system[0]",
    ),
    "a session's address in a tool breaks every resume": (
        talk(24, session_url),
        "CP001",
        "tools[0]",
    ),
    "a resume puts a reminder somewhere else": (
        talk(12, reminder_moves),
        "CP202",
        "messages[0].content[0]",
    ),
    "a resume drops a tool": (talk(12, tool_drops), "CP205", "tools[1]"),
    "a resume drops the effort": (talk(12, effort_drops), "CP203", "messages[0].content"),
    "an empty block with a mark kills the session": (
        talk(3, empty_anchor),
        "CP110",
        "messages[0].content[1]",
    ),
    "a gateway adds marks to the client's": (talk(5, gateway), "CP110", "messages[0].content[0]"),
    "one marked message becomes a mark on each of its results": (
        talk(3, fanned_out),
        "CP110",
        "messages[2].content[4]",
    ),
    "an hour behind five minutes is refused": (
        talk(4, shorter_first),
        "CP110",
        "messages[0].content[0]",
    ),
    "a wide turn is not found again": (
        talk(4, pages(again=False)),
        "CP105",
        "messages[0].content[0]",
    ),
    "a mark of the history is given to the tools": (
        talk(8, no_message_marks),
        "CP103",
        "messages[0].content[0]",
    ),
    "the marks stay on the first messages": (talk(12, frozen), "CP103", "messages[8].content[0]"),
    "every turn pays in full for its newest results": (
        talk(12, one_late),
        "CP103",
        "messages[0].content[0]",
    ),
    "an anchor block rewrites the conversation every turn": (
        talk(12, anchor),
        "CP101",
        "messages[0].content[1]",
    ),
    "servers list their tools in any order": (talk(8, tools_turn), "CP003", "tools[0]"),
    "a schema's keys come in any order": (talk(8, keys_turn), "CP004", "tools[1]"),
    "thinking is switched off behind tools": (
        talk(8, thinking_flips),
        "CP203",
        "messages[0].content",
    ),
    "a summary of the conversation reads nothing of it": (
        compacted("You summarise."),
        "CP205",
        "tools[0]",
    ),
    "clearing old results a little every turn": (
        talk(14, results_cleared(3)),
        "CP202",
        "messages[2].content[0]",
    ),
    "sub-agents do not share their parent's prompt": (delegated(TOOLS[1:]), "CP204", "tools[0]"),
    "calls sent together all miss": (at_once(10), "CP201", "system[0]"),
    "nothing is ever read": (talk(8, unmarked), "CP102", "messages[0].content[0]"),
    "nothing is ever read of a filled-in template": (
        each(questions(8), filled_in),
        "CP009",
        "messages[0].content[0]",
    ),
    "nothing is ever read of a template with the date in front": (
        each(questions(8), dated),
        "CP010",
        "messages[0].content[0]",
    ),
    "a mark on what is remembered is worse than none": (
        each(questions(8), remembering),
        "CP101",
        "system[1]",
    ),
    "the document stands before the instructions": (
        each(questions(8), document_first),
        "CP002",
        "messages[0].content[0]",
    ),
}

#: What looks like it, and is as it should be.
FINE: dict[str, Lines] = {
    "five minutes, read within seconds": talk(200),
    "helpers with five minutes": helpers(MARK),
    "git status behind the newest message": talk(8, last_block, git_status_behind),
    "one address for the whole session": talk(24, one_url),
    "a message in two forms, which are one": talk(8, form_flips),
    "a mark on the newest block": talk(8, last_block),
    "four marks": talk(5, four_marks),
    "results of many tools called at once, which are one position": talk(4, parallel(12)),
    "five minutes behind an hour": each(talk(4), longer_first),
    "a wide turn, marked where the last one ended": talk(4, pages(again=True)),
    "one order of tools": talk(8, lambda _, body: tools_turn(0, body)),
    "one order of keys": talk(8, keys_stay),
    "thinking in every turn": talk(8, thinking_stays),
    "a summary behind the conversation's own prompt": compacted(),
    "results that are cleared too late to matter": talk(14, results_cleared(14)),
    "sub-agents with their parent's prompt": delegated(TOOLS),
    "calls sent together in a batch, which keeps its own": at_once(10, surface="batch"),
    "what is remembered behind the mark": each(questions(8), remembering_behind),
    "a template in two blocks": each(questions(8), filled_in_behind),
    "the document behind the instructions": each(questions(8), document_behind),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_users_saw_is_found_where_it_is(name: str) -> None:
    """Each complaint is one finding, of the rule and at the place it is about."""
    lines, code, place = SEEN[name]
    assert found(lines) == [(code, place)]


@pytest.mark.parametrize("name", FINE)
def test_what_looks_like_it_is_not(name: str) -> None:
    """Calls that are as they should be have no finding."""
    assert not found(FINE[name])


def test_one_text_in_two_forms_is_found_by_whoever_assumes_that_it_matters() -> None:
    """A message that was a string and is a list now, under the assumption and without."""
    assert found(talk(8, form_flips), DIFFERS) == [("CP006", "messages[0].content[0]")]
    assert not found(talk(8, form_stays), DIFFERS)
