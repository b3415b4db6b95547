"""Costs by any name: what was billed, and what could be saved, once."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from entered import entries as entered
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import digest_line, digest_workloads, workload

from cacheplan.costs import Booked, Saved, costs, of_calls, saved
from cacheplan.entries import Entry
from cacheplan.errors import InputError
from cacheplan.io.cli import main
from cacheplan.io.desk import shipped_example
from cacheplan.io.ledger import Ledger
from cacheplan.io.reading import read
from cacheplan.linter import lint
from cacheplan.prices import Sheet
from cacheplan.projection import Bill, project
from cacheplan.subject import Subject
from cacheplan.usage import Usage
from cacheplan.workload import Workload

SHEET: Final = Sheet.default()
#: Opus 4.8: 5, 6.25, 10, 0.5 and 25 dollars a million tokens.
MODEL: Final = "claude-opus-4-8"
#: 2026-11-21 00:00 UTC.
MIDNIGHT: Final = 1_795_219_200.0


def command(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["costs", *words], prog_name="cacheplan")


def entry(**fields: Any) -> Entry:
    """Return a call that was billed something."""
    given = {"at": MIDNIGHT, "model": MODEL, "usage": Usage(uncached=1_000, output=100)}
    return Entry(**{**given, **fields})


def booked(*found: Entry) -> list[Booked]:
    """Book calls that nothing could be saved on."""
    return [Booked(one) for one in found]


def whole(calls: Workload) -> tuple[list[Booked], Any]:
    """Book a workload with all that could be saved, and return what the review says of it."""
    found = lint(Subject(calls, SHEET, calls.texts))
    ways = saved(calls, found, SHEET)
    kept, _ = of_calls(calls, SHEET)
    return [Booked(one, ways.get(number)) for number, one in kept.items()], found


class TestRows:
    """A row is calls of one kind."""

    @pytest.mark.parametrize(
        ("by", "names"),
        [
            (["label"], [("dear",), ("cheap",), ("(no label)",)]),
            (["model"], [(MODEL,), ("claude-haiku-4-5",)]),
            (["day"], [("2026-11-20",), ("2026-11-21",)]),
            (["session"], [("s",), ("(no session)",)]),
            (["workspace"], [("w",), ("(no workspace)",)]),
            (["tag:customer"], [("acme",), ("(no customer)",)]),
            (
                ["label", "tag:team"],
                [("dear", "a"), ("cheap", "(no team)"), ("(no label)", "(no team)")],
            ),
        ],
    )
    def test_names(self, by: list[str], names: list[tuple[str, ...]]) -> None:
        """Calls are told apart by any of their names, the dearest first; days in their order."""
        tags = (("customer", "acme"), ("team", "a"))
        calls = booked(
            entry(label="cheap"),
            entry(label="dear", tags=tags, session="s", workspace="w", usage=Usage(uncached=9_000)),
            entry(at=MIDNIGHT - 1, model="claude-haiku-4-5", usage=Usage(uncached=10)),
        )
        assert [row.names for row in costs(calls, SHEET, by).rows] == names

    @pytest.mark.parametrize("wrong", ["customer", "tag", "tag:", "tag:none", "labels", ""])
    def test_what_is_no_name(self, wrong: str) -> None:
        """What calls do not have is said, with what they have."""
        calls = booked(entry(tags=(("customer", "acme"),)))
        with pytest.raises(InputError, match=r"nothing that calls have; .* day, tag:customer$"):
            costs(calls, SHEET, [wrong])

    def test_money(self) -> None:
        """A row says calls, failures, what was paid and the share of prompts that was read."""
        calls = booked(
            entry(usage=Usage(uncached=1_000, read=3_000, output=10)),
            entry(usage=None, error="overloaded_error"),
        )
        (row,) = costs(calls, SHEET, ["label"]).rows
        assert (row.line.calls, row.line.failed, row.line.hit_rate) == (2, 1, 0.75)
        assert row.line.cost == Decimal(1_000 * 5 + 3_000 * 5 // 10 + 10 * 25) / 1_000_000
        assert (row.marks, row.layouts) == (None, None)

    def test_an_unknown_price(self) -> None:
        """Where nobody knows a price, money is unknown and never nothing."""
        calls = [
            Booked(entry(model="claude-unheard"), Saved(Usage(1), Usage(1), Usage(1))),
            Booked(entry(), Saved(Usage(9), Usage(4), Usage(3))),
        ]
        found = costs(calls, SHEET, ["model"])
        assert found.unpriced == ("claude-unheard",)
        assert found.total.line.cost is found.total.marks is None
        known = {row.names[0]: row.marks for row in found.rows}
        assert known == {"claude-unheard": None, MODEL: Decimal(25) / 1_000_000}
        assert "unknown" in str(found)


class TestSavings:
    """What could be saved is simulated on all calls, and booked once."""

    def test_the_example(self) -> None:
        """On the example the rows are what the review says of it, feature by feature."""
        calls, found = whole(read(shipped_example()))
        total = costs(calls, SHEET, ["label"])
        paid, planned, mended = (
            bill.input_cost for bill in (found.paid, found.planned, found.mended)
        )
        assert total.total.marks == paid - planned > 0
        assert total.total.layouts == planned - mended > 0
        by_name = {row.names[0]: row for row in total.rows}
        assert by_name["document-questions"].layouts == total.total.layouts
        assert by_name["ticket-sorting"].layouts == 0

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=15)
    @given(lines=digest_workloads(models=[MODEL]), names=st.lists(st.sampled_from("abc")))
    def test_rows_add_up(self, lines: list[dict[str, Any]], names: list[str]) -> None:
        """By whatever name, rows add up to the total in calls, money and both savings."""
        for at, line in enumerate(lines):
            line["label"] = names[at % len(names)] if names else None
        calls, _ = whole(workload(lines))
        for by in (["label"], ["day", "label"], ["session"]):
            found = costs(calls, SHEET, by)
            assert sum(row.line.calls for row in found.rows) == len(lines)
            parts = [(row.line.cost, row.marks, row.layouts) for row in found.rows]
            of_all = found.total.line.cost, found.total.marks, found.total.layouts
            for at, total in enumerate(of_all):
                assert sum((row[at] or Decimal() for row in parts), Decimal()) == (total or 0)

    def test_refused_calls(self) -> None:
        """A call that is refused as it was marked costs nothing then, so nothing is saved on it."""
        blocks = [("rules", 5_000, "system"), ("a", 20, "messages")]
        marks = [{"block": 0, "ttl": "5m"}, {"block": 1, "ttl": "1h"}]
        lines = [
            digest_line(blocks, at=at, model=MODEL, label=label, marks=found)
            for at, (label, found) in enumerate([("refused", marks), ("plain", [])] * 3)
        ]
        calls, _ = whole(workload(lines))
        rows = {row.names[0]: row for row in costs(calls, SHEET, ["label"]).rows}
        assert rows["refused"].marks is None
        assert rows["plain"].marks is not None
        assert rows["plain"].marks > 0


class TestCalls:
    """A workload's calls as they are booked."""

    def test_billed_before_simulated(self) -> None:
        """What was billed counts; what nobody billed is what the simulator says, and counted."""
        blocks = [("rules", 5_000, "system"), ("a", 20, "messages")]
        used = {"input_tokens": 7, "output_tokens": 3}
        lines = [
            digest_line(blocks, at=0, model=MODEL, usage=used),
            digest_line(blocks, at=9, model=MODEL, output_tokens=8),
            digest_line(blocks, at=18, model=MODEL, response={"type": "error", "error": {}}),
        ]
        found, simulated = of_calls(workload(lines), SHEET)
        assert found[0].usage == Usage(uncached=7, output=3)
        assert found[1].usage == Usage(uncached=5_020, output=8)
        assert (found[2].usage, found[2].error) == (None, "failed")
        assert simulated == 1

    @given(lines=digest_workloads(models=[MODEL]))
    def test_as_simulated(self, lines: list[dict[str, Any]]) -> None:
        """Without any bill the cost is that of the projection of the calls as marked."""
        calls = workload(lines)
        found, _ = of_calls(calls, SHEET)
        bill = Bill(SHEET)
        for one in found.values():
            if one.usage is not None:
                bill.add(one.usage, one.tariff, one.at)
        assert bill.costs()[0] == project(calls, lambda call: call.marks, SHEET, "x").cost


class TestCommand:
    """The command line."""

    def test_workload(self) -> None:
        """A workload is added up by its labels, with what would be saved."""
        done = command(shipped_example())
        assert done.exit_code == 0, done.output
        names = [line.split()[0] for line in done.stdout.splitlines()[1:5]]
        assert names == ["document-questions", "support-agent", "ticket-sorting", "all"]
        assert "nothing is saved twice" in done.stdout
        assert "cost what is simulated: 537" in done.stdout

    def test_json(self) -> None:
        """The same as JSON, by two names; without savings where they are not wanted."""
        done = command(shipped_example(), "--by", "model,label", "--format", "json", "--no-savings")
        found = json.loads(done.stdout)
        assert found["by"] == ["model", "label"]
        assert Counter(row["model"] for row in found["rows"])["claude-sonnet-5-5"] == 2
        assert found["total"]["saving"] is None
        assert sum(row["cost_usd"] for row in found["rows"]) == pytest.approx(
            found["total"]["cost_usd"]
        )

    def test_ledger_and_workload(self, tmp_path: Path) -> None:
        """A ledger says of the same calls what a workload does, and both go together."""
        blocks = [("rules", 5_000, "system"), ("a", 20, "messages")]
        used = {"input_tokens": 5_020, "output_tokens": 3}
        lines = [
            digest_line(blocks, at=at, model=MODEL, label="a", usage=used, tags={"team": "x"})
            for at in range(9)
        ]
        path, kept = tmp_path / "calls.jsonl", tmp_path / "calls.db"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with Ledger(kept) as ledger:
            for one in entered(workload(lines)):
                ledger.record(one)
        found = []
        for sources in ([path], [kept], [path, kept]):
            done = command(*map(str, sources), "--by", "tag:team,label", "--format", "json")
            assert done.exit_code == 0, done.output
            found.append(json.loads(done.stdout)["rows"])
        (one,), (other,), (both,) = found
        assert one == other
        assert one["tag:team"] == "x"
        assert one["saving"]["marks_usd"] > 0
        assert both["calls"] == 18
        assert both["saving"]["marks_usd"] == pytest.approx(2 * one["saving"]["marks_usd"])

    def test_what_a_ledger_lacks(self, tmp_path: Path) -> None:
        """Calls of unknown prompts are booked; nothing is said of saving on them."""
        path = tmp_path / "calls.db"
        with Ledger(path) as ledger:
            ledger.record(Entry(at=0, model=MODEL, label="a", usage=Usage(uncached=1_000)))
        done = command(str(path), "--format", "json")
        (row,) = json.loads(done.stdout)["rows"]
        assert (row["cost_usd"], row["saving"]) == (0.005, None)

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["--by", "colour"], 2, '"colour" is nothing that calls have'),
            (["--model", MODEL], 2, "calls.db: it was booked as it was sent"),
            (["--since", "7d"], 2, "calls.db: a ledger is booked whole; --since is for logs"),
            ([], 3, 'nobody states the price of "claude-unheard"'),
        ],
    )
    def test_bad_words(self, tmp_path: Path, words: list[str], code: int, said: str) -> None:
        """What cannot be said ends with one line and the code of its kind."""
        path = tmp_path / "calls.db"
        with Ledger(path) as ledger:
            ledger.record(Entry(at=0, model="claude-unheard", usage=Usage(read=7)))
        done = command(str(path), *words)
        assert done.exit_code == code
        assert said in done.stderr
        assert done.stderr.count("\n") == 1

    def test_notebook(self) -> None:
        """In a notebook it is a table, and nothing in it is a tag of HTML's."""
        found = costs(booked(entry(label="<b>")), SHEET, ["label"])._repr_html_()
        assert found.startswith("<table>")
        assert "<b>" not in found
