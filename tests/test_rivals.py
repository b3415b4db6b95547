"""The rivals of the cost benchmark: what packages sent, and how we read their rules.

The bodies under ``fixtures/rivals`` were made by the packages themselves, from prompts of
ours (``python -m benchmarks.rivals.record``), so none of them is needed here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.rivals.environments import PACKAGES
from benchmarks.rivals.readings import READINGS
from benchmarks.rivals.record import PROMPTS
from benchmarks.rivals.rules import RULES, Spot, marked, spots
from cacheplan.marks import unmark
from cacheplan.validity import validate

FOLDER: Final = Path(__file__).parent / "fixtures" / "rivals"
#: Solves for the traffic of a whole workload, so there is no rule to hold it against.
NO_RULE: Final = {"cacheeconomics, allocator"}
ROWS: Final = [(package, row) for package in PACKAGES for row in package.ways]


def kept(name: str) -> dict[str, Any]:
    """Return what a package was asked, and what it sent."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def shown(found: Any) -> list[tuple[str, str]]:
    """Return marks in the order of the prompt; no lifetime written is five minutes."""
    levels = ("tools", "system", "messages")

    def order(spot: Spot) -> tuple[Any, ...]:
        level, *place = spot.path or (levels[-1], 1 << 20)
        return (levels.index(level), *place)

    return [
        (".".join(map(str, spot.path)) or "automatic", spot.ttl or "5m")
        for spot in sorted(found, key=order)
    ]


@pytest.mark.parametrize("row", [row for _, row in ROWS if row not in NO_RULE])
def test_reading_places_as_the_package_did(row: str) -> None:
    """On every prompt, our reading of a package's rule marks what the package marked."""
    package = next(package for package, ways in ROWS if ways == row)
    sent = kept(package.name)["sent"][row]
    assert list(sent) == list(PROMPTS)
    for name, body in sent.items():
        assert "failed" not in body, (name, body)
        assert shown(READINGS[row](unmark(body))) == shown(spots(body)), name


def test_every_way_of_a_package_was_recorded_and_read() -> None:
    """No row of the table is without a body that was really sent, and a reading of it."""
    assert {row for _, row in ROWS} - NO_RULE == set(READINGS)
    for package in PACKAGES:
        found = kept(package.name)
        assert set(found["sent"]) == set(package.ways)
        assert all(version != "?" for version in found["versions"].values())


def test_what_packages_send_is_what_we_asked() -> None:
    """Whatever form a package gives them, the questions are the ones that were asked."""
    for package in PACKAGES:
        for sent in kept(package.name)["sent"].values():
            for name, body in sent.items():
                texts = json.dumps(body["messages"])
                asked = PROMPTS[name]["messages"][0]["content"]
                first = asked if isinstance(asked, str) else asked[0]["text"]
                assert first in texts
                assert body["model"] == PROMPTS[name]["model"]


@pytest.mark.parametrize(
    ("row", "prompt", "complaint"),
    [
        ("Agno, extended_cache_time", "a chat", "must not come after"),
        ("LlamaIndex, cache_idx=-1", "a chat", "maximum of 4"),
    ],
)
def test_known_refusals(row: str, prompt: str, complaint: str) -> None:
    """Two packages send bodies that the service refuses, and our validity says so."""
    package = next(package for package, way in ROWS if way == row)
    faults = validate(kept(package.name)["sent"][row][prompt], "anthropic")
    assert any(complaint in str(fault) for fault in faults), [str(fault) for fault in faults]


CHAT: Final = PROMPTS["a chat"]
LOOP: Final = PROMPTS["a tool loop"]
AUTOMATIC: Final = ("automatic", "5m")


@pytest.mark.parametrize(
    ("row", "body", "expected"),
    [
        ("no caching", CHAT, []),
        ("automatic", CHAT, [AUTOMATIC]),
        ("automatic, 1h", CHAT, [("automatic", "1h")]),
        ("Claude Code", LOOP, ["system.0", "messages.4.0"]),
        ("Claude Code", PROMPTS["two system blocks"], ["system.0", "system.1", "messages.0.0"]),
        ("VS Code", LOOP, ["tools.1", "system.0", "messages.3.1", "messages.4.0"]),
        ("Cline", LOOP, ["messages.0.0", "automatic"]),
        ("goose", LOOP, ["tools.1", "system.0", "messages.2.0", "messages.4.0"]),
        ("opencode", LOOP, ["system.0", "messages.3.1", "messages.4.0"]),
        ("Continue", LOOP, ["tools.1", "system.0"]),
        ("Continue", CHAT, ["tools.1", "system.0", "messages.2.0", "messages.4.0"]),
        ("Spring AI, history", LOOP, ["tools.1", "system.0", "messages.0.0"]),
        ("Spring AI, static", CHAT, ["tools.1", "system.0"]),
        ("Roo Code", CHAT, ["system.0", "messages.2.0", "messages.4.0"]),
        ("SWE-agent", PROMPTS["parallel tools"], ["messages.2.1", "messages.2.2"]),
        ("SWE-agent", CHAT, ["messages.2.0", "messages.4.0"]),
        ("autocache", CHAT, []),
        ("autocache", PROMPTS["long parts"], ["messages.0.0"]),
    ],
)
def test_documented_rules(row: str, body: dict[str, Any], expected: list[Any]) -> None:
    """What is not in Python marks where its source says."""
    wanted = [each if isinstance(each, tuple) else (each, "5m") for each in expected]
    wanted = [AUTOMATIC if each == ("automatic", "5m") else each for each in wanted]
    assert shown(RULES[row](body)) == wanted


@pytest.mark.parametrize("row", RULES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_marking_changes_marks_alone(row: str, prompt: str) -> None:
    """A rule's marks are in the body, nothing else is changed, and the caller's stays."""
    body = PROMPTS[prompt]
    before = json.dumps(body)
    made = marked(body, RULES[row])
    assert shown(spots(made)) == shown(RULES[row](body))
    assert json.dumps(body) == before
    assert plain(unmark(made)) == plain(body)


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """Write strings as the blocks that they are short for."""

    def parts(content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content

    messages = [{**each, "content": parts(each["content"])} for each in body["messages"]]
    system = {"system": parts(body["system"])} if "system" in body else {}
    return {**body, **system, "messages": messages}


def test_every_rule_names_its_source() -> None:
    """A rule that was read says where."""
    for row, rule in RULES.items():
        if row not in ("automatic, 1h", "no caching", "Spring AI, static"):
            assert any(mark in (rule.__doc__ or "") for mark in ("@", "/", "20")), row
