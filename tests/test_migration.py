"""What a move to another model would cost, and what changes with it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from small import digest_line, digest_workloads, message, request, workload
from test_moved import Doubling, read, sent

from cacheplan.departures import Demand, Departure
from cacheplan.errors import InputError
from cacheplan.io.cli import main
from cacheplan.migration import AS_SENT, ROUTED, Migration, migrate
from cacheplan.moved import move
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.workload import Workload

SHEET = Sheet.default()
HAIKU = "claude-haiku-5-5"


def migrated(
    lines: list[dict[str, Any]],
    *models: str,
    routes: dict[str, str] | None = None,
    demands: tuple[Demand, ...] = (),
) -> Migration:
    """Migrate lines of the digest form."""
    now = workload(lines)

    def to(model: str) -> Any:
        return move(now, workload(lines, model=model), model, Doubling())

    moves = {model: to(model) for model in (*models, *(routes or {}).values())}
    return migrate(
        now,
        [moves[model] for model in models],
        SHEET,
        routes={label: moves[model] for label, model in (routes or {}).items()},
        demands=demands,
    )


def prompt(tokens: int, **fields: Any) -> dict[str, Any]:
    """Return a line with one prompt of so many tokens."""
    return digest_line([("s", tokens, "system")], **{"model": "claude-opus-5", **fields})


def only(found: Migration) -> Departure:
    """Return the only departure."""
    (one,) = found.departures
    return one


class TestWorkedFigures:
    """Figures that anybody can work out."""

    @pytest.mark.parametrize(
        ("tokens", "cost", "above"),
        [(100_000, "0.01", (0, 0, 0)), (100_001, "0.0500005", (0, 1, 1))],
    )
    def test_the_band_of_haiku(self, tokens: int, cost: str, above: tuple[int, ...]) -> None:
        """At 100,000 tokens a prompt costs a cent on Haiku 5.5, one token more five times that."""
        found = migrated([prompt(tokens)], HAIKU)
        assert found[HAIKU].marked == found[HAIKU].planned == Decimal(cost)
        assert only(found).above == above

    def test_the_tokenizer_crosses_a_band(self) -> None:
        """A prompt of 80,000 older tokens is above the band once they are 104,000."""
        found = migrated([prompt(80_000, model="claude-haiku-4-5")], HAIKU)
        assert only(found).above == (0, 1, 1)
        assert found[HAIKU].prompt_tokens == 104_000
        assert found[HAIKU].marked == 104_000 * Decimal("0.0000005")
        assert found[HAIKU].low == 80_000 * Decimal("0.0000001")
        assert found[HAIKU].high == 117_600 * Decimal("0.0000005")

    def test_a_call_of_opus(self) -> None:
        """200,000 tokens in and 20,000 out cost 1.50 dollars on Opus 4.7."""
        found = migrated([prompt(200_000, output_tokens=20_000)], "claude-opus-4-7")
        assert found["claude-opus-4-7"].marked == Decimal("1.5")


class TestRows:
    """One row a choice of models, each planned anew."""

    LINES = tuple(
        prompt(5_000, at=at * 60.0, label="xy"[at % 2], output_tokens=10) for at in range(61)
    )

    def test_as_sent(self) -> None:
        """The first row is what is sent now: as it is marked, and planned."""
        found = migrated([*self.LINES])
        (row,) = found.rows
        assert (row.name, row.moved) == (AS_SENT, 0)
        assert row.planned is not None
        assert row.marked is not None
        assert row.planned < row.marked
        assert row.low == row.high == row.planned

    def test_routed(self) -> None:
        """Only calls of the label that is routed go, in a row of their own."""
        found = migrated([*self.LINES], "claude-sonnet-5", routes={"y": "claude-sonnet-5"})
        assert [row.name for row in found.rows] == [AS_SENT, "claude-sonnet-5", ROUTED]
        assert [row.moved for row in found.rows] == [0, 61, 30]
        now, all_, some = (row.marked for row in found.rows)
        assert now is not None
        assert all_ is not None
        assert some == now * 31 / 61 + all_ * 30 / 61
        assert [one.model for one in found.departures] == ["claude-sonnet-5"]

    @given(lines=digest_workloads(("claude-sonnet-5", "claude-opus-5"), 8))
    def test_planned_there(self, lines: list[dict[str, Any]]) -> None:
        """No row plans for more than its calls cost without marks, and ends hold the middle."""
        found = migrated(lines, HAIKU, "claude-haiku-4-5")
        for row in found.rows:
            assert row.planned is not None
            assert row.low is not None
            assert row.high is not None
        assert found[HAIKU].low == found[HAIKU].planned == found[HAIKU].high
        plain = workload(lines, model=HAIKU)
        least = project(plain, lambda _: (), SHEET, "").cost
        assert least is not None
        assert (found[HAIKU].planned or 0) <= least

    def test_a_day(self) -> None:
        """Money is told by the day where the calls are of an hour or more."""
        found = migrated([*self.LINES], HAIKU)
        assert found.days == Decimal(61) / 1_440
        row = found.to_json()["rows"][0]
        assert row["cost_usd_per_day"]["as_marked"] == pytest.approx(
            row["cost_usd"]["as_marked"] * 1_440 / 61
        )
        assert "Dollars for a day" in str(found)
        few = migrated([prompt(9_000)], HAIKU)
        assert few.to_json()["rows"][0]["cost_usd_per_day"] is None
        assert "Dollars for these calls" in str(few)

    def test_unknown_label(self) -> None:
        """A label that no call has is a slip, and named."""
        with pytest.raises(InputError, match='route: no call is labelled "z"'):
            migrated([*self.LINES], routes={"z": HAIKU})


class TestDepartures:
    """What changes besides the money."""

    def test_prices(self) -> None:
        """Prices and minimums stand side by side, reads as a share of the input."""
        found = only(migrated([prompt(5_000)], "claude-opus-5-5"))
        (before,), after = found.before, found.after
        assert [*before] == ["claude-opus-5", 5, Decimal("6.25"), 10, Decimal("0.5"), 25, 512]
        assert [*after] == ["claude-opus-5-5", 4, 5, 8, Decimal("0.2"), 20, 512]
        text = "\n".join(found.said())
        assert "10.00 %" in text
        assert "5.00 %" in text
        assert "the same tokenizer" in text

    @pytest.mark.parametrize(
        ("tokens", "source", "target", "now"),
        [
            (2_000, "claude-opus-4-6", "claude-opus-5-5", False),
            (1_000, "claude-opus-5-5", "claude-opus-4-8", True),
        ],
    )
    def test_minimums(self, tokens: int, source: str, target: str, now: bool) -> None:
        """A prompt that can be cached under one of the two models only is named."""
        (reach,) = only(migrated([prompt(tokens, model=source, label="x")], target)).reaches
        assert (reach.label, reach.calls, reach.tokens, reach.now) == ("x", 1, tokens, now)

    def test_minimums_that_do_not_matter(self) -> None:
        """Where a prompt can be cached under both, or under neither, nothing is said."""
        for tokens in (100, 9_000):
            lines = [prompt(tokens, model="claude-opus-4-6")]
            assert not only(migrated(lines, "claude-opus-5-5")).reaches

    @pytest.mark.parametrize(
        ("fields", "target", "words"),
        [
            ({"inference_geo": "us"}, "claude-sonnet-4-5", 'inference_geo "us"'),
            ({"speed": "fast"}, "claude-sonnet-5", 'speed "fast"'),
            ({}, "claude-opus-4-1", "until 2026-08-05 only"),
            (
                {"platform": "bedrock", "automatic": "5m"},
                "claude-opus-4-6",
                "top-level cache_control on bedrock",
            ),
            (
                {"platform": "bedrock", "marks": [{"block": 0, "ttl": "1h"}]},
                "claude-opus-4-1",
                'ttl "1h" on bedrock',
            ),
        ],
    )
    def test_refused(self, fields: dict[str, Any], target: str, words: str) -> None:
        """What a call has and the other model refuses is named, with how many calls have it."""
        model = "claude-opus-5-5" if "speed" in fields else "claude-opus-5"
        refused = only(migrated([prompt(900, model=model, **fields)], target)).refused
        assert any(words in what and number == 1 for what, number in refused)

    def test_too_long(self) -> None:
        """A prompt that the other model has no room for is named, lengths as they are there."""
        for tokens, refused in ((250_000, False), (270_000, True)):
            found = only(migrated([prompt(tokens)], "claude-haiku-4-5")).refused
            assert any("longer than its 200,000" in what for what, _ in found) is refused

    def test_what_bodies_ask(self) -> None:
        """Settings that only bodies have are held against the model, label by label."""
        asked = (
            Demand("x", 100_000, "any", "low", 7),
            Demand("y", 200_000, "tool", "", 5),
        )
        lines = [prompt(900, label="x")]
        tools = only(migrated(lines, "claude-opus-5-5", demands=asked)).refused
        assert tools == (('tool_choice "any" or "tool", lines', 7),)
        small = dict(only(migrated(lines, "claude-haiku-4-5", demands=asked)).refused)
        assert small == {"max_tokens above 64,000, lines": 7, "output_config.effort, lines": 7}

    def test_tokens_by_kind(self) -> None:
        """Every token of the calls that change tokenizer stands in one row of the table."""
        lines = [sent(5_000), sent(100, at=9)]
        now = read(lines)
        moved = move(now, read(lines, "claude-opus-5"), "claude-opus-5", Doubling())
        found = migrate(now, [moved], SHEET)
        kinds = only(found).kinds
        total = sum(now.prompt_tokens(call) for call in now)
        assert sum(before for before, _, _ in kinds.values()) == pytest.approx(total, abs=1)
        after = sum(after for _, after, _ in kinds.values())
        assert after == pytest.approx(found["claude-opus-5"].prompt_tokens, abs=2)


class TestUnknown:
    """A model that nobody knows leaves the structure and takes the money."""

    def test_row(self) -> None:
        """Its row has tokens and no money, and it is named."""
        found = migrated([prompt(5_000)], "a-new-one", HAIKU)
        assert found["a-new-one"].planned is None
        assert found["a-new-one"].prompt_tokens == 5_000
        assert found[HAIKU].planned is not None
        assert found.unpriced == ("a-new-one",)
        assert [one.known for one in found.departures] == [False, True]
        assert "No table lists it" in str(found)

    def test_sent_to_an_unknown_model(self) -> None:
        """Calls of an unknown model can be priced where they would go."""
        found = migrated([prompt(5_000, model="a-new-one")], HAIKU)
        assert found.rows[0].marked is None
        assert found[HAIKU].marked is not None
        assert found.unpriced == ("a-new-one",)


def run(words: str, stdin: str | None = None) -> Result:
    """Run a command line in this process."""
    result = CliRunner().invoke(main, words.split(), input=stdin)
    assert "Traceback" not in result.output
    return result


class TestCommand:
    """``cacheplan migrate``."""

    LINES = tuple(
        {
            "at": at,
            "label": "x",
            "request": request(
                message("user", f"question {at}"),
                model="claude-opus-4-6",
                system="Say what you know of the sea and of the sky. " * 200,
                tool_choice={"type": "any"},
                tools=[{"name": "t", "input_schema": {"type": "object"}}],
            ),
        }
        for at in range(3)
    )

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in a folder with a workload."""
        monkeypatch.chdir(tmp_path)
        Path("calls.jsonl").write_text("\n".join(map(json.dumps, self.LINES)))

    def test_json(self) -> None:
        """The JSON has the keys that the documentation promises."""
        done = run("migrate calls.jsonl --to claude-opus-5-5 --format json")
        found = json.loads(done.stdout)
        assert done.exit_code == 0
        assert set(found) == {"workload", "rows", "models", "notes"}
        assert set(found["workload"]) == {"calls", "tokens_from", "days"}
        for row in found["rows"]:
            assert set(row) == {
                "name",
                "moved_calls",
                "prompt_tokens",
                "output_tokens",
                "cost_usd",
                "cost_usd_per_day",
                "hit_rate",
                "plan",
            }
            assert set(row["cost_usd"]) == {"as_marked", "planned", "low", "high"}
        (model,) = found["models"]
        assert model["refused"] == [{"what": 'tool_choice "any" or "tool", lines', "number": 3}]
        assert model["tokens"][0]["kind"] == "prose"
        assert 1.2 < model["tokens"][0]["ratio"] < 1.5
        assert model["heads"][0]["label"] == "x"

    def test_standard_input(self) -> None:
        """What comes through a pipe is read as often as there are models."""
        text = Path("calls.jsonl").read_text()
        piped = run("migrate - --to claude-opus-5-5,claude-sonnet-5", stdin=text)
        plain = run("migrate calls.jsonl --to claude-opus-5-5 --to claude-sonnet-5")
        assert piped.exit_code == 0
        assert piped.stdout == plain.stdout

    def test_broken_standard_input(self) -> None:
        """A fault in what comes through a pipe names the pipe, not the file it is kept in."""
        done = run("migrate - --to claude-opus-5-5", stdin="{")
        assert done.exit_code == 2
        assert done.stderr.startswith("cacheplan: standard input line 1: ")

    def test_a_line_that_is_only_there(self) -> None:
        """A line without a model, skipped where it is read as sent, cannot be moved either."""
        line = {"at": 1, "request": {"max_tokens": 9, "messages": [message("user", "x")]}}
        with Path("calls.jsonl").open("a") as file:
            file.write("\n" + json.dumps(line))
        done = run("migrate calls.jsonl --to claude-opus-5-5 --skip-bad")
        assert done.exit_code == 2
        assert "can be read for another model only" in done.stderr

    def test_routes(self) -> None:
        """A route is a row beside the others."""
        done = run("migrate calls.jsonl --route x=claude-haiku-5-5")
        assert done.exit_code == 0
        assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == ["as", "routed"]

    def test_unknown_model(self) -> None:
        """What is known of an unknown model is told, and the exit code says it is not all."""
        done = run("migrate calls.jsonl --to claude-opus-5-5,a-new-one")
        assert done.exit_code == 3
        assert "claude-opus-5-5" in done.stdout
        assert 'nobody states the price of "a-new-one"' in done.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("", "either --to MODEL or --route LABEL=MODEL"),
            ("--to claude-opus-5-5,", "to: a model without a name"),
            ("--route x", 'route: "x" is not LABEL=MODEL'),
            ("--route =claude-opus-5", "is not LABEL=MODEL"),
            ("--route x=claude-opus-5 --route x=claude-sonnet-5", "goes to claude-opus-5 already"),
            ("--route z=claude-opus-5", 'no call is labelled "z"'),
            ("--to claude-opus-5 --answers -1", "answers: -1 is no factor"),
            ("--to claude-opus-5 --answers nan", "answers: nan is no factor"),
        ],
    )
    def test_bad_words(self, words: str, said: str) -> None:
        """What cannot be done is said in one line, and nothing is printed before it."""
        done = run(f"migrate calls.jsonl {words}")
        assert done.exit_code == 2
        assert said in done.stderr
        assert not done.stdout


def test_a_workload_keeps_its_calls() -> None:
    """Migrating alters no call of the workload it is given."""
    lines = [prompt(5_000, at=at) for at in range(3)]
    now: Workload = workload(lines)
    before = [*now.calls], now.tree.tokens.copy()
    migrate(now, [move(now, workload(lines, model=HAIKU), HAIKU, Doubling())], SHEET)
    assert ([*now.calls], now.tree.tokens) == before
