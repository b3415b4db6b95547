"""CP002: a block that is always another one before blocks that stay."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated, subject
from small import digest_line, message, request

from cacheplan.choosing import choose
from cacheplan.edits import edited
from cacheplan.errors import InputError
from cacheplan.finding import Finding
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.prompt import Level, Place
from cacheplan.rules import volatile_before_stable
from cacheplan.subject import Subject
from cacheplan.workload import Workload

PROFILES = (
    "Ann sells boats in Kiel and hates small talk.",
    "The customer is a dentist. German, formal.",
    "No profile yet",
    "Plays chess; has two open invoices, one overdue",
    "Prefers calls before nine o'clock",
    "Zoe: student, wants short answers with links",
)
SHIFTS = ("the early one, with Kim and Lee. " * 9, "late, Jo alone until ten o'clock " * 9)


def texts(*parts: str) -> list[dict[str, Any]]:
    """Return system blocks."""
    return [{"type": "text", "text": part} for part in parts]


def asked(*orders: tuple[str, ...], text: str = "q{}", **fields: Any) -> list[dict[str, Any]]:
    """Return one question behind each of these system prompts."""
    return [
        {
            "at": 30 * at,
            **fields,
            "request": request(message("user", text.format(at)), system=texts(*parts)),
        }
        for at, parts in enumerate(orders)
    ]


def looping(turns: int, *, last: bool = False) -> list[dict[str, Any]]:
    """Return an agent whose system prompt says in each turn what was found for it."""
    lines = agent(0, turns)
    for at, line in enumerate(lines):
        found = " ".join(f"{chr(97 + (at * 7 + word * word) % 26)}w" for word in range(30 + at))
        line["request"]["system"] = texts(LONG, found) if last else texts(found, LONG)
        del line["session"]
    return lines


PROFILE_FIRST = asked(*((profile, LONG) for profile in PROFILES))


def test_before_blocks_that_stay() -> None:
    """A profile before the rules is found, with what stands behind it."""
    (found,) = findings(volatile_before_stable, PROFILE_FIRST)
    assert (found.code, found.calls) == ("CP002", 6)
    assert found.place == Place(level=Level.SYSTEM, index=0)
    assert f"(6 versions in 6 calls), so the {len(LONG)} tokens" in found.message
    assert found.fix is not None
    assert found.fix.what == (
        "put the blocks in the order system[1], system[0]; the model reads them in that order"
    )
    assert not found.fix.safe
    assert [example.text for example in found.examples] == [*PROFILES[:2]]


@pytest.mark.parametrize("lines", [PROFILE_FIRST, looping(6), looping(20, last=True)])
def test_saving_is_the_simulated_one(lines: list[dict[str, Any]]) -> None:
    """Behind what stays, it leaves that to be read, and so much is claimed."""
    assert same_as_simulated(volatile_before_stable, lines)
    (found,) = findings(volatile_before_stable, lines)
    assert found.saving is not None
    assert found.saving > 0


def test_as_good_as_written_so() -> None:
    """Moved, the prompts cost what they cost with the rules in front."""
    assert not findings(volatile_before_stable, asked(*((LONG, profile) for profile in PROFILES)))


@pytest.mark.parametrize("last", [False, True])
def test_within_a_conversation(last: bool) -> None:
    """What changes from turn to turn has to go behind the messages."""
    (found,) = findings(volatile_before_stable, looping(6, last=last))
    assert found.fix is not None
    assert found.fix.what.startswith(f"move system[{int(last)}] behind the messages")
    assert found.place == Place(level=Level.SYSTEM, index=int(last))


def test_digests() -> None:
    """No text is needed to see that a block is another one every time."""
    lines = [
        digest_line(
            [(f"s{at}", 90, "system"), ("rules", 9000, "system"), (f"m{at}", 9, "messages")],
            at=30 * at,
        )
        for at in range(5)
    ]
    (found,) = findings(volatile_before_stable, lines)
    assert "the 9000 tokens" in found.message
    assert found.saving is not None
    assert found.saving > 0


@pytest.mark.parametrize("name", healthy())
def test_healthy(name: str) -> None:
    """Nothing is found where nothing is wrong."""
    assert not findings(volatile_before_stable, healthy()[name])


def test_users_who_say_the_same() -> None:
    """Profiles behind the rules are fine, even if all users say hi."""
    lines = asked(*((LONG, profile) for profile in PROFILES), text="hi")
    assert not findings(volatile_before_stable, lines)


def test_a_span_is_another_rule() -> None:
    """Versions that are one text with a time in it are not whole blocks that change."""
    lines = asked(*((f"It is 10:0{at} on the bridge.", LONG) for at in range(6)))
    assert not findings(volatile_before_stable, lines)


def test_agents_with_something_in_common() -> None:
    """Three agents that are called again and again are no blocks that change."""
    assert not findings(volatile_before_stable, asked(*((one, LONG) for one in PROFILES[:3] * 4)))


# --- another order ----------------------------------------------------------------------

#: Two who change, of different length and at a different pace, before what stays.
THREE = asked(*((PROFILES[at], f"Shift {at // 3}: {SHIFTS[at // 3]}", LONG) for at in range(6)))


def pinned(lines: list[dict[str, Any]], *pins: str) -> list[Finding]:
    """Return what is found where a user has said what must stay."""
    return [*volatile_before_stable.check(subject(lines, pins=pins))]


def what(found: Finding) -> str:
    """Return what a fix says."""
    assert found.fix is not None
    return found.fix.what


def test_the_best_order_is_named() -> None:
    """What stays is first, then the long block that changes less."""
    (found,) = findings(volatile_before_stable, THREE)
    assert "in the order system[2], system[1], system[0]" in what(found)


@pytest.mark.parametrize(
    ("pin", "order"),
    [
        ("system[0] first", "system[0], system[2], system[1]"),
        ('"Shift" before system[2]', "system[0], system[2], system[1]"),
        ('"Be exact" after "Shift"', "system[0], system[2], system[1]"),
        ("system[1] before system[0]", "system[2], system[1], system[0]"),
        ("system[1] first", None),
        ("system[2] last", None),
    ],
)
def test_pins_are_kept_to(pin: str, order: str | None) -> None:
    """A pinned block stays, the others stand as well as they may, and the pin is named."""
    shifts = ("Shift: early", "Shift: the late one, Jo alone")
    lines = asked(*((shifts[at // 3], one, LONG) for at, one in enumerate(PROFILES)))
    found = pinned(lines, pin)
    if order is None:
        assert not found
        return
    assert f"in the order {order};" in what(found[0])
    assert found[0].message.endswith(f"; held back by {pin}")


def test_pinned_all() -> None:
    """Where a pin keeps everything as it is, nothing is found."""
    assert not pinned(PROFILE_FIRST, "system[0] first")
    assert not pinned(looping(6), '"aw" first', "system[0] before system[1]")


def test_pins_nobody_can_keep() -> None:
    """Pins that contradict each other on these prompts are an error with the blocks' names."""
    with pytest.raises(InputError, match=r"no order has system\[\d\] before system\[\d\]"):
        pinned(PROFILE_FIRST, "system[0] before system[1]", '"Be exact" first')


def test_words_hold_with_little_confidence() -> None:
    """A text that speaks of the one above it is moved in front only with a warning."""
    lines = asked(*((profile, f"Serve the profile above. {LONG}") for profile in PROFILES))
    (found,) = findings(volatile_before_stable, lines)
    assert found.confidence == "low"
    assert "held back by a text that speaks of the one before" in found.message
    assert "has to say it anew" in what(found)


def test_words_that_do_not_matter() -> None:
    """Words that the best order keeps to anyway cost no confidence."""
    parts = [(one, LONG, f"Rules for the text above: {LONG[::-1]}") for one in PROFILES]
    (found,) = findings(volatile_before_stable, asked(*parts))
    assert found.confidence == "high"
    assert "in the order system[1], system[2], system[0]" in what(found)


def test_thinking_is_spoken_of() -> None:
    """Where the model binds thinking to what stands before it, the fix says so."""
    lines = looping(6)
    assert "thinking" not in what(findings(volatile_before_stable, lines)[0])
    for line in lines:
        line["request"]["model"] = "claude-opus-5-5"
        for said in line["request"]["messages"]:
            if said["role"] == "assistant":
                block = {"type": "thinking", "thinking": "So.", "signature": "c2ln"}
                said["content"] = [block, *said["content"]]
    (found,) = findings(volatile_before_stable, lines)
    assert found.fix is not None
    assert not found.fix.safe
    assert "thinking that was made after the old order does not fit" in found.fix.what


# --- what a user says first -------------------------------------------------------------


def opened(*firsts: tuple[str, ...], system: str = "Be kind.") -> list[dict[str, Any]]:
    """Return calls whose first turns are of these blocks."""
    return [
        {"at": 30 * at, "request": request(message("user", *parts), system=system)}
        for at, parts in enumerate(firsts)
    ]


DOCUMENTS = [f"{profile} {profile[::-1]} " * 9 for profile in PROFILES]
DOCUMENT_FIRST = opened(*((one, LONG, "Which?") for one in DOCUMENTS))


def test_document_before_the_instructions() -> None:
    """Instructions behind a document of each call's own are found, and belong in front."""
    (found,) = findings(volatile_before_stable, DOCUMENT_FIRST)
    assert found.place == Place(level=Level.MESSAGES, index=0, content=0)
    assert f"the {len(LONG) + 6} tokens of first user blocks that stay" in found.message
    order = "messages[0].content[1], messages[0].content[2], messages[0].content[0]"
    assert f"in the order {order};" in what(found)
    assert found.saving is not None
    assert found.saving > 0
    assert same_as_simulated(volatile_before_stable, DOCUMENT_FIRST)


def test_date_before_the_instructions() -> None:
    """A date in a block of its own is moved whole: no other rule looks at messages."""
    lines = opened(*((f"It is 10:0{at}.", LONG, f"q{at}") for at in range(6)))
    (found,) = findings(volatile_before_stable, lines)
    assert found.place == Place(level=Level.MESSAGES, index=0, content=0)


def test_conversations_about_documents() -> None:
    """A conversation is one beginning, however long it goes on."""
    lines = [
        {**line, "at": line["at"] + 7 * turn, "request": {**line["request"], "messages": said}}
        for line in DOCUMENT_FIRST
        for turn in range(3)
        for said in [
            line["request"]["messages"] + [message("assistant", "a"), message("user", "b")] * turn
        ]
    ]
    (found,) = findings(volatile_before_stable, lines)
    assert "(6 versions in 18 calls)" in found.message


def test_pinned_documents() -> None:
    """A pin holds blocks of the first turn as well."""
    assert not pinned(DOCUMENT_FIRST, "messages[0].content[0] first")
    (found,) = pinned(DOCUMENT_FIRST, '"Which?" last')
    order = "messages[0].content[1], messages[0].content[0], messages[0].content[2]"
    assert f"in the order {order};" in what(found)


@pytest.mark.parametrize(
    "lines",
    [
        opened(*((LONG, one, f"q{at}") for at, one in enumerate(DOCUMENTS))),
        opened(*((one, f"q{one}") for one in DOCUMENTS)),
        opened(*((LONG + one, "Sum it up.") for one in DOCUMENTS)),
        opened(*((DOCUMENTS[at % 2], LONG, f"q{at}") for at in range(12))),
        opened(*((one, "Sum it up in one sentence of twelve words.") for one in DOCUMENTS)),
        opened(("hi",), ("hi",), ("hi",), ("ho",)),
    ],
    ids=["in order", "nothing shared", "words", "pool", "too short", "greeting"],
)
def test_first_turns_with_nothing_to_gain(lines: list[dict[str, Any]]) -> None:
    """Nothing is found where what stays is in front, short, or has few fellows behind."""
    assert not findings(volatile_before_stable, lines)


@pytest.mark.parametrize("lines", [PROFILE_FIRST, THREE, DOCUMENT_FIRST, looping(6)])
def test_mended_once_is_mended(lines: list[dict[str, Any]]) -> None:
    """Done twice, the edit makes what it makes done once, and nothing is found any more."""
    seen = subject(lines)
    (found,) = volatile_before_stable.check(seen)
    assert found.fix is not None
    assert found.fix.edit is not None
    once = edited(seen.workload, [found.fix.edit])
    twice = edited(once, [found.fix.edit])
    for one, two in zip(once, twice, strict=True):
        prompts = [
            [calls.tree.digest[calls.tree.block[node]] for node in calls.tree.path(call.tip)]
            for calls, call in ((once, one), (twice, two))
        ]
        assert prompts[0] == prompts[1]
    assert not [*volatile_before_stable.check(Subject(once, seen.sheet, once.texts))]


@pytest.mark.parametrize("pins", [(), ("system[0] before system[1]",)])
def test_no_other_order_is_cheaper(pins: tuple[str, ...]) -> None:
    """Written in any other order that the pins allow, the prompts cost no less."""
    (found,) = findings(volatile_before_stable, THREE, pins=pins)
    seen = subject(THREE)
    assert found.fix is not None
    assert found.fix.edit is not None
    costs = {}
    for order in itertools.permutations(range(3)):
        lines = [{**line, "request": {**line["request"]}} for line in THREE]
        for line in lines:
            blocks = line["request"]["system"]
            line["request"]["system"] = [blocks[at] for at in order]
        costs[order] = bill(subject(lines).workload, seen.sheet)
    mine = bill(edited(seen.workload, [found.fix.edit]), seen.sheet)
    assert mine == min(
        cost for order, cost in costs.items() if not pins or order.index(0) < order.index(1)
    )


def bill(calls: Workload, sheet: Sheet) -> Decimal:
    """Return what calls cost under the best plan for them."""
    marker = choose(calls, sheet).marker(calls.tree)
    cost = project(calls, marker, sheet, "any").input_cost
    assert cost is not None
    return cost
