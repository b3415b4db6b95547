"""The examples are what their script makes, and have the shape the documentation uses."""

from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
#: A wheel carries the example, so it has to stay small.
LARGEST = 300_000


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """Run the script, without letting it write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        files: dict[str, str] = runpy.run_path(str(EXAMPLES / "make_examples.py"))["files"]()
    return files


@pytest.fixture(scope="module")
def day(made: dict[str, str]) -> list[dict[str, Any]]:
    """Return the calls of the recorded day."""
    return [json.loads(line) for line in made["support_day.jsonl"].splitlines()]


def test_script_makes_every_file(made: dict[str, str]) -> None:
    """Every example is, byte for byte, what the script makes from its seed."""
    for name, text in made.items():
        if name == "support_day.jsonl":
            kept = gzip.decompress((EXAMPLES / f"{name}.gz").read_bytes()).decode()
        else:
            kept = (EXAMPLES / name).read_text(encoding="utf-8")
        assert kept == text, name


def test_nothing_else_is_shipped(made: dict[str, str]) -> None:
    """No example is left over that the script does not make."""
    found = {
        path.relative_to(EXAMPLES).as_posix().removesuffix(".gz")
        for path in EXAMPLES.rglob("*.json*")
    }
    assert found == set(made)


def test_compressed_file_holds_no_time() -> None:
    """The compressed file has no time stamp, so that making it again changes nothing."""
    packed = (EXAMPLES / "support_day.jsonl.gz").read_bytes()
    assert packed[4:8] == bytes(4)
    assert len(packed) <= LARGEST


def test_day_has_the_features_it_promises(day: list[dict[str, Any]]) -> None:
    """The day has its three features, and is no longer than a demonstration may be."""
    assert {call["label"] for call in day} == {
        "support-agent",
        "document-questions",
        "ticket-sorting",
    }
    assert 300 <= len(day) <= 600
    assert len({call["id"] for call in day}) == len(day)


def test_day_has_one_mistake(day: list[dict[str, Any]]) -> None:
    """One feature writes the time into its system prompt; the others share theirs."""
    systems: dict[str, set[str]] = {}
    for call in day:
        systems.setdefault(call["label"], set()).add(json.dumps(call["request"]["system"]))
    assert len(systems.pop("document-questions")) > 100
    assert all(len(texts) == 1 for texts in systems.values())


def test_conversations_only_grow(day: list[dict[str, Any]]) -> None:
    """In a conversation each call repeats the messages of the one before, later in time."""
    last: dict[str, dict[str, Any]] = {}
    for call in day:
        before = last.get(call.get("session", ""))
        if before is not None:
            messages = before["request"]["messages"]
            assert call["request"]["messages"][: len(messages)] == messages
            assert call["at"] > before["at"]
        if "session" in call:
            last[call["session"]] = call
    assert len(last) > 10


def test_bodies_differ_in_the_date_alone(made: dict[str, str]) -> None:
    """The two bodies for ``explain`` differ by one day in the system prompt."""
    earlier, later = made["bodies/earlier.json"], made["bodies/later.json"]
    assert earlier != later
    assert earlier.replace("Today is 2026-11-03", "Today is 2026-11-04") == later
