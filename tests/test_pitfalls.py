"""Errors that tools of this kind have made, and that a review must not make."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from reviewed import LONG, agent, subject
from small import message, request, tool

from cacheplan.finding import Finding
from cacheplan.linter import Findings, lint
from cacheplan.projection import project

Lines = list[dict[str, Any]]

MARK: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
HOUR: dict[str, Any] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def linted(lines: Lines) -> Findings:
    """Review lines, a character of text a token."""
    return lint(subject(lines))


def codes(lines: Lines) -> list[str]:
    """Return the codes of what is found."""
    return [one.code for one in linted(lines).findings]


def only(lines: Lines) -> Finding:
    """Return the one finding there is."""
    (found,) = linted(lines).findings
    return found


def block(said: str, **fields: Any) -> dict[str, Any]:
    """Return a text block."""
    return {"type": "text", "text": said, **fields}


def jobs(number: int, every: float = 30, start: float = 0, **fields: Any) -> Lines:
    """Return calls that ask one thing each."""
    return [
        {"at": start + every * at, "request": request(message("user", f"q{at}"), **fields)}
        for at in range(number)
    ]


@pytest.mark.parametrize(
    ("model", "share"),
    [("claude-sonnet-5", "0.1"), ("claude-opus-5-5", "0.05"), ("claude-fable-5-2", "0.025")],
)
def test_a_read_costs_what_it_costs_for_this_model(model: str, share: str) -> None:
    """Reads are not a tenth of the price everywhere."""
    system = [block("Be exact. " * 2000, **MARK)]
    plain = jobs(2, system=[block("Be exact. " * 2000)], model=model)
    paid = linted(jobs(2, system=system, model=model)).paid.input_cost
    bare = linted(plain).paid.input_cost
    assert paid is not None
    assert bare is not None
    # One write at 1.25 times the price and one read, next to two prompts in full.
    assert round(paid / bare * 2, 3) == round(Decimal("1.25") + Decimal(share), 3)


@pytest.mark.parametrize(
    ("model", "tokens", "short"),
    [
        ("claude-sonnet-5", 1000, True),
        ("claude-sonnet-5", 1040, False),
        ("claude-fable-5-2", 500, True),
        ("claude-fable-5-2", 530, False),
        ("claude-opus-4-6", 4000, True),
        ("claude-opus-4-6", 4110, False),
    ],
)
def test_each_model_has_its_own_minimum(model: str, tokens: int, short: bool) -> None:
    """What one model keeps is too short for another."""
    system = [block("x" * tokens, **MARK)]
    assert ("CP104" in codes(jobs(8, system=system, model=model))) == short


def test_the_minimum_is_one_of_prefixes() -> None:
    """A short system prompt behind long tools is long enough."""
    system = [block("x" * 300, **MARK)]
    assert codes(jobs(8, system=system)) == ["CP104"]
    assert codes(jobs(8, system=system, tools=[tool("look", LONG[:2000])])) == []


def test_what_nobody_prices_is_not_free() -> None:
    """A model nobody knows has its structure reviewed, and no amount instead of zero."""
    lines = [
        {"at": 30 * at, "request": request(message("user", f"q{at}"), model=model, system=system)}
        for at in range(8)
        for model, system in (("a-model-nobody-knows", f"It is 10:{at:02}. {LONG}"),)
    ]
    found = only(lines)
    assert (found.code, found.saving, found.saving_per_day) == ("CP001", None, None)


def test_names_that_begin_alike_are_two_models() -> None:
    """What one model may read is nothing to a model whose name goes on."""
    first, second = ("claude-fable-5", "claude-fable-5-2")
    lines = [
        *jobs(4, system=[block(LONG, **MARK)], model=first),
        *jobs(4, start=15, system=[block(f"Now: {LONG}", **MARK)], model=second),
    ]
    assert codes(lines) == []


def test_an_hour_is_not_priced_as_five_minutes() -> None:
    """What shorter marks save is the dearer write, to the cent."""
    steps = [json.loads(json.dumps(line)) for line in agent(0, 200, system=LONG)]
    for line in steps:
        line["request"] |= HOUR
    found = only(steps)
    assert found.code == "CP106"
    written = linted(steps).paid.usage.write_1h
    # Sonnet 5 costs $2 for a million; an hour costs 2 of it, five minutes 1.25.
    assert found.saving == Decimal(written) * 2 * Decimal("0.75") / 1_000_000


@pytest.mark.parametrize(("blocks", "missed"), [(18, False), (19, True), (20, True)])
def test_the_lookback_is_twenty_positions(blocks: int, missed: bool) -> None:
    """Twenty are looked at, the marked one included: an answer and 19 blocks are too many."""
    said = [message("user", "task " + LONG)]
    more = [*said, message("assistant", "Yes?"), message("user", *map(str, range(blocks)))]
    lines = [
        {"at": 20 * at, "request": request(*prompt, **MARK)}
        for at, prompt in enumerate((said, more))
    ]
    assert codes(lines) == (["CP105"] if missed else [])


@pytest.mark.parametrize("what", ["a tool's schema", "a tool's input"])
def test_the_order_of_keys_is_part_of_what_is_kept(what: str) -> None:
    """Equal values in another order are no hit, and sorting them is seen by the model."""
    look = {**tool("look", LONG), "input_schema": {"type": "object", "properties": {}}}
    lines: Lines = json.loads(json.dumps(agent(0, 8, tools=[look], system=LONG)))
    for line in lines[1::2]:
        body = line["request"]
        if what == "a tool's schema":
            for one in body["tools"]:
                one["input_schema"] = dict(reversed(one["input_schema"].items()))
        for said in body["messages"]:
            for one in said["content"]:
                if what == "a tool's input" and one["type"] == "tool_use":
                    one["input"] = dict(reversed(one["input"].items()))
    found = only(lines)
    assert found.code == ("CP004" if what == "a tool's schema" else "CP005")
    assert found.fix is not None
    assert not found.fix.safe


def test_each_kind_of_calls_has_a_lifetime_of_its_own() -> None:
    """Pauses are judged by kind of calls, and not beyond the hour."""
    kinds = {"busy": 30.0, "seldom": 600.0, "daily": 86400.0}
    lines = [
        line | {"label": label}
        for label, every in kinds.items()
        for line in jobs(12, every, system=[block(f"{label} " * 900, **MARK)])
    ]
    found = {one.lane[1]: one.code for one in linted(lines).findings if one.lane is not None}
    assert found == {"seldom": "CP107", "daily": "CP109"}


def test_what_is_refused_is_mended_and_not_refused_again() -> None:
    """A remedy sets no mark that the service does not take."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    marked = {"role": "assistant", "content": [block("", **MARK), block("Yes?", **MARK)]}
    messages = [message("user", "q"), marked, message("user", "r")]
    lines: Lines = [
        {"at": at, "request": request(*messages, system=[block(LONG, **MARK)], **HOUR)}
        for at in range(3)
    ]
    lines[2]["request"]["messages"][1] = {
        "role": "assistant",
        "content": [thought | MARK, block("Yes?")],
    }
    seen = subject(lines)
    found = [one for one in lint(seen).findings if one.code == "CP110"]
    assert sum(one.calls for one in found) == 3
    (fix,) = [one.fix for one in found]
    assert fix is not None
    assert fix.remark is not None
    after = project(seen.workload, fix.remark, seen.sheet, "mended")
    assert after.rejected == 0


def test_jobs_without_a_session_are_compared() -> None:
    """Tools in any order are found where no conversation and no session is named."""
    tools = [tool("look", LONG), tool("bash", LONG)]
    lines = [
        {
            "at": 30 * at,
            "request": request(message("user", f"q{at}"), tools=tools[:: 1 - 2 * (at % 2)]),
        }
        for at in range(8)
    ]
    assert "CP003" in codes(lines)


def test_what_was_found_for_a_question_is_no_sliding_window() -> None:
    """Questions with other documents each are questions, not a history that was cut."""
    lines = [
        {
            "at": 30 * at,
            "session": "one",
            "request": request(
                message("user", f"{'abcdefgh'[at] * 2000}", f"question {at}?"),
                system=[block(LONG, **MARK)],
            ),
        }
        for at in range(8)
    ]
    assert codes(lines) == []


def test_a_short_log_says_nothing_of_a_day() -> None:
    """Minutes are not stretched to a day, hours are."""
    short, long = (only(jobs(12, every, system=LONG)) for every in (60, 290))
    assert (short.code, long.code) == ("CP102", "CP102")
    assert short.saving is not None
    assert short.saving_per_day is None
    assert long.saving_per_day is None
    longer = only(jobs(20, 290, system=LONG))
    assert longer.saving is not None
    assert longer.saving_per_day is not None
    assert longer.saving_per_day > longer.saving


def test_a_date_before_a_time_is_seen() -> None:
    """A date with its time behind a T is named as what it is."""
    lines = [
        {
            "at": 30 * at,
            "request": request(
                message("user", f"q{at}"), system=f"Now: 2026-11-21T10:{at:02}:00Z. {LONG}"
            ),
        }
        for at in range(8)
    ]
    found = next(one for one in linted(lines).findings if one.code == "CP001")
    assert found.message.startswith("a date and time at character")
    assert found.confidence == "high"


def test_a_word_is_no_reason() -> None:
    """Text that speaks of branches, dates and sessions, and never changes, is stable."""
    said = f"On branch main of 2026-11-21, session req_011CSHoEeqs5C35K2UUqR7Fy: {LONG}"
    assert codes(jobs(8, system=[block(said, **MARK)])) == []
