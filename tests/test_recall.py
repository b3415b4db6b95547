"""What a ledger remembers, and how the command line shows it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import anthropic
import pytest
from click.testing import CliRunner, Result
from entered import entry
from small import digest_line, workload

import cacheplan
from cacheplan.entries import Entry, Marked, Step
from cacheplan.errors import InputError
from cacheplan.io.cli import main
from cacheplan.io.ledger import Ledger
from cacheplan.io.recall import books, recall, told
from cacheplan.prices import Sheet
from cacheplan.prompt import Level, Lifetime
from cacheplan.testing import FakeAnthropic
from cacheplan.usage import Usage


def ledger(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["ledger", *words], prog_name="cacheplan")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a ledger of a conversation that lost what it had kept."""
    blocks = [("rules", 5_000, "system"), ("a", 20, "messages"), ("b", 20, "messages")]
    lines: list[dict[str, Any]] = [
        digest_line(
            blocks[: 2 + at], at=at, label="jobs", session="s", model="claude-opus-4-8",
            marks=[{"block": 1, "ttl": "5m"}], response={"usage": used},
        )
        for at, used in enumerate(
            [
                {"input_tokens": 0, "output_tokens": 9, "cache_creation_input_tokens": 5_020},
                {"input_tokens": 5_040, "output_tokens": 9, "cache_read_input_tokens": 0},
            ]
        )
    ]  # fmt: skip
    calls = workload(lines)
    made, known = tmp_path / "calls.db", set[int]()
    reason = {"cache_miss_reason": {"type": "tools_changed", "cache_missed_input_tokens": 5_020}}
    with Ledger(made) as into:
        for call, diagnostics in zip(calls, ({}, reason), strict=True):
            into.record(entry(calls, call, known, diagnostics=diagnostics))
    return made


def test_told() -> None:
    """The API's word for what changed counts; that it cannot say, or not yet, does not."""
    reasons: list[Any] = [
        {"type": "system_changed", "cache_missed_input_tokens": 9},
        {"type": "unavailable"},
        {"type": "previous_message_not_found"},
        None,
    ]
    entries = [
        Entry(at=0, model="m", diagnostics={"cache_miss_reason": reason}) for reason in reasons
    ]
    assert told([*entries, Entry(at=0, model="m")]) == {0: "system_changed"}


def test_books(path: Path) -> None:
    """Cost, hit rate and collapses come from the same file."""
    found = books(path, Sheet.default(), "label")
    assert found.total.usage == Usage(uncached=5_040, write_5m=5_020, output=18)
    assert [(one.cause, one.told) for one in found.collapses] == [("tools_changed", True)]


def test_lengths_that_a_session_learned(tmp_path: Path) -> None:
    """One message thought of as two lengths is one message, and as long as was billed once."""
    usages = [Usage(write_5m=5_000, uncached=2), Usage(write_5m=5_200, uncached=2)]
    usages.append(Usage(write_5m=5_100, read=5_100, uncached=9))
    with Ledger(tmp_path / "calls.db") as into:
        for at, (usage, tokens) in enumerate(zip(usages, (2_000, 2_400, 2_500), strict=True)):
            steps, key = [], b""
            for name, level in ((f"rules {at}", Level.SYSTEM), ("a", Level.MESSAGES)):
                key += name.encode()
                steps.append(
                    Step(key=key, digest=name.encode(), tokens=tokens, level=level, kind="text")
                )
            mark = Marked(key=key, tokens=2 * tokens, lifetime=Lifetime.FIVE_MINUTES, rule="tail")
            into.record(
                Entry(
                    at=at, model="claude-sonnet-5", session="s", tip=key, steps=tuple(steps),
                    marked=(mark,), usage=usage,
                )
            )  # fmt: skip
    found = recall(tmp_path / "calls.db").workload
    lengths = [found.tree.tokens[call.tip] + call.closing for call in found]
    assert lengths[:2] == [5_002, 5_202]
    assert lengths[2] < 6_000, "two rounds of a server's tool"
    balance = books(tmp_path / "calls.db", Sheet.default(), "label")
    assert balance.collapses[0].cause == "system_changed"


def test_text(path: Path) -> None:
    """The command says what was billed for each feature, and what collapsed."""
    done = ledger(str(path))
    assert done.exit_code == 0
    assert "jobs" in done.stdout
    assert "tools_changed" in done.stdout


def test_json(path: Path) -> None:
    """The same as JSON."""
    done = ledger(str(path), "--by", "day", "--format", "json")
    found = json.loads(done.stdout)
    assert found["by"] == "day"
    assert found["total"]["calls"] == 2
    assert found["collapses"][0] | {"at": 0} == {
        "at": 0,
        "label": "jobs",
        "model": "claude-opus-4-8",
        "established": 5_020,
        "read": 0,
        "cause": "tools_changed",
        "from": "api",
    }


def test_unknown_price(tmp_path: Path) -> None:
    """A model without a price is added up in tokens, and the exit code says that money is not."""
    path = tmp_path / "calls.db"
    with Ledger(path) as into:
        into.record(Entry(at=0, model="claude-unheard", usage=Usage(read=7)))
    done = ledger(str(path))
    assert done.exit_code == 3
    assert "unknown" in done.stdout
    assert "claude-unheard" in done.stderr


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (None, "unable to open database file"),
        (b"", "not a ledger"),
        (b"no database at all" * 100, "file is not a database"),
    ],
)
def test_bad_files(tmp_path: Path, contents: bytes | None, words: str) -> None:
    """What is no ledger is said in a line that names the file."""
    path = tmp_path / "calls.db"
    if contents is not None:
        path.write_bytes(contents)
    done = ledger(str(path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"cacheplan: {path}: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_nothing_in_it(tmp_path: Path) -> None:
    """A ledger without a call says nothing about money."""
    path = tmp_path / "calls.db"
    connection = sqlite3.connect(path)
    connection.close()
    with Ledger(path) as into:
        into._open()
    with pytest.raises(InputError, match="no calls in it"):
        recall(path)


def test_while_it_is_written(path: Path) -> None:
    """Reading waits for nobody, and nobody waits for it."""
    with Ledger(path) as into:
        into.record(Entry(at=9, model="claude-opus-4-8", usage=Usage(read=7)))
        assert len(recall(path).entries) == 3
        into.record(Entry(at=10, model="claude-opus-4-8", usage=Usage(read=7)))
        assert len(recall(path).entries) == 4


@pytest.mark.parametrize("command", ["review", "compare", "plan", "simulate --policy automatic"])
def test_a_workload(path: Path, command: str) -> None:
    """Every command that takes a workload takes a ledger."""
    done = CliRunner().invoke(main, [*command.split(), str(path), "--quiet"])
    assert done.exit_code == 0, done.stderr


def test_what_a_review_finds(tmp_path: Path) -> None:
    """A system prompt that changes within a conversation is found in a ledger, too, though
    lengths were guessed before they were billed.
    """
    path = tmp_path / "calls.db"
    with FakeAnthropic() as fake, Ledger(path) as into:
        marking = cacheplan.Middleware(ledger=into, label="jobs", clock=fake.clock)
        with anthropic.Anthropic(base_url=fake.url, api_key="any", middleware=[marking]) as client:
            said: list[Any] = []
            for turn in range(8):
                said.append({"role": "user", "content": f"question {turn} " * 150})
                answer = client.messages.create(
                    model="claude-sonnet-5",
                    max_tokens=50,
                    system=f"{'Cite the rule. ' * 900} It is 10:00:0{turn}.",
                    messages=said,
                )
                said.append({"role": "assistant", "content": answer.content})
                fake.sleep(20)
    found = cacheplan.review(cacheplan.read(path)).findings
    assert "CP205" in [finding.code for finding in found]
