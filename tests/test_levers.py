"""The other levers: each alone, last, and all of them in one simulation."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from small import digest_line, digest_workloads, message, request, tool, workload

from cacheplan.altered import Alteration, alter, repeated
from cacheplan.assumptions import Assumptions
from cacheplan.choosing import choose
from cacheplan.errors import InputError
from cacheplan.io.cli import main
from cacheplan.levers import LEVERS, Assumed, Lever, Levers
from cacheplan.prefixes import SETTINGS
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.pulling import pull
from cacheplan.tables import dollars

SHEET = Sheet.default()


def named(found: Levers, name: str) -> Lever:
    """Return a lever."""
    return next(lever for lever in found.levers if lever.name == name)


def asked(name: str, **fields: Any) -> dict[str, Any]:
    """Return a line with a question of its own after a system prompt of 10,000 tokens."""
    blocks = [("s", 10_000, "system"), (name, 0, "messages")]
    return digest_line(blocks, **{"model": "claude-sonnet-4-6", **fields})


def day(calls: int, **fields: Any) -> list[dict[str, Any]]:
    """Return so many calls, evenly over a day."""
    return [asked(f"q{at}", at=at * 86_400 / calls, **fields) for at in range(calls)]


class TestWorkedFigure:
    """A system prompt of 10,000 tokens, a thousand calls a day, at 3 dollars a million."""

    def test_with_and_without_caching(self) -> None:
        """Without caching it costs 30 dollars a day; with it, a write and 999 reads."""
        found = pull(workload(day(1_000)), SHEET)
        assert found.now == found.plain == Decimal(30)
        assert found.days == 1
        written, read = Decimal("0.0375"), 999 * Decimal("0.003")
        assert named(found, "caching").alone == Decimal(30) - written - read
        assert written + read == Decimal("3.0345")

    def test_a_token_less(self) -> None:
        """A fifth less of that prompt saves 6 dollars uncached, and 61 cents once it is cached."""
        found = pull(workload(day(1_000)), SHEET)
        stable = named(found, "shorter stable part")
        assert stable.alone == 6
        assert "save $3.00 as the calls are marked now, and $0.3034" in stable.notes[1]
        assert "100.00 % of prompt tokens" in stable.notes[0]


class TestEach:
    """What each lever is worth by itself, worked out by hand."""

    def test_answers(self) -> None:
        """A fifth of the output saves a fifth of what output costs, whatever else is done."""
        lines = day(4, output_tokens=10_000)
        found = named(pull(workload(lines), SHEET), LEVERS[5])
        assert found.alone == Decimal("0.12")
        assert "83.33 % of the cost now is output." in found.notes

    def test_store(self) -> None:
        """Calls that repeat another cost nothing once the answer is stored."""
        lines = [asked("same", at=hour * 3_600.0) for hour in range(4)]
        found = named(pull(workload(lines), SHEET), "answers from a store")
        assert found.alone == Decimal("0.09")
        assert found.notes[0].startswith("3 of 4 calls repeat another exactly, with 30,000")

    def test_batch(self) -> None:
        """Calls that can wait cost half."""
        lines = [*day(4, label="can"), *day(4, label="must not", platform="aws")]
        found = named(pull(workload(lines), SHEET, Assumed(waits=("can",))), "batch")
        assert found.alone == Decimal("0.06")
        assert found.notes[0] == "Calls: 4 of can"
        assert "labelled can can wait" in found.assumption

    def test_nobody_waits(self) -> None:
        """Where no call can go into a batch, that is said."""
        found = named(pull(workload(day(3, platform="bedrock")), SHEET), "batch")
        assert found.alone == found.last == 0
        assert found.notes[0].startswith("No call here can")

    def test_volatile(self) -> None:
        """What only one call sends is cut apart from the rest."""
        lines = [
            digest_line([("s", 100, "system"), (f"q{at}", 900, "messages")], at=at)
            for at in range(2)
        ]
        found = named(pull(workload(lines), SHEET), "shorter volatile part")
        assert found.alone == 2 * 180 * Decimal("0.000002")
        assert found.notes[0].startswith("90.00 %")


class TestTogether:
    """Levers take from each other, and only a simulation knows how much."""

    def test_less_than_the_sum(self) -> None:
        """All together save less than they would added up, and both are said."""
        found = pull(workload(day(100, output_tokens=50)), SHEET)
        assert found.saved is not None
        assert found.added_up is not None
        assert found.saved < found.added_up
        assert f"would add up to ${found.added_up:.2f}" in str(found)

    def test_pulled_last(self) -> None:
        """What a lever saves last is what all cost without it, less what all cost."""
        calls = workload(day(50, output_tokens=500))
        found = pull(calls, SHEET)
        waiting = frozenset(call.number for call in calls)
        change = Alteration(
            unsent=repeated(calls, 24), batched=waiting, stable=0.8, volatile=0.8, output=1.0
        )
        without = alter(calls, change)
        cost = project(without, choose(without, SHEET).marker(without.tree), SHEET, "").cost
        assert cost is not None
        assert found.together is not None
        assert named(found, "shorter answers").last == cost - found.together

    @given(
        lines=digest_workloads(("claude-sonnet-5", "claude-haiku-5-5"), 8),
        share=st.sampled_from([0.0, 0.5]),
    )
    def test_ends_of_the_sum(self, lines: list[dict[str, Any]], share: float) -> None:
        """Nothing pulled costs what was sent, and nothing is cheaper for being cut by nothing."""
        calls = workload(lines)
        found = pull(calls, SHEET, Assumed(cut_stable=0, cut_volatile=0, cut_answers=share))
        assert found.now == project(calls, lambda call: call.marks, SHEET, "").cost
        for name in ("shorter stable part", "shorter volatile part"):
            assert named(found, name).alone == named(found, name).last == 0
        assert found.saved == (found.now or 0) - (found.together or 0)
        assert found.best is not None
        assert len(found.levers) == len(LEVERS)
        worth = [lever.last or Decimal() for lever in found.levers]
        assert worth == sorted(worth, reverse=True)

    def test_one_that_costs(self) -> None:
        """Batches that find little of what was cached cost more, and that is said."""
        lines = day(600, output_tokens=1)
        found = pull(workload(lines), SHEET)
        batch = named(found, "batch")
        assert batch.last is not None
        assert batch.last < 0
        assert found.best is not None
        assert found.together is not None
        assert found.best < found.together
        assert "Beside the others batch costs more than it saves" in str(found)

    def test_batches_that_find_all(self) -> None:
        """The documented best of batches is told beside their worst."""
        often = pull(workload(day(600), Assumptions(batch_hit_rate=0.98)), SHEET)
        seldom = pull(workload(day(600)), SHEET)
        assert f"{dollars(often.together)} at 98.00 %" in named(seldom, "batch").notes[1]


class TestTokenCut:
    """What a token cut from a part saves."""

    def test_price_of_a_token(self) -> None:
        """Uncached, a token cut from either part saves the price of one, and no less for what
        the service adds to a prompt, which nobody can cut, or for roundings.
        """
        tools = [tool("t", "d" * 2_000)]
        bodies = [
            request(message("user", f"{at:05}" * 9), tools=tools, model="claude-sonnet-4-6")
            for at in range(4)
        ]
        calls = workload([{"at": at * 90_000.0, "request": one} for at, one in enumerate(bodies)])
        heads = [calls.tree.kind[block] for block in calls.tree.block if block >= 0]
        assert SETTINGS in heads
        found = pull(calls, SHEET)
        for name in LEVERS[2:4]:
            assert named(found, name).notes[1].startswith("A million tokens cut here save $3.00 as")


class TestNotWorthIt:
    """Shortening what is cached may cost more than it saves."""

    LINES = tuple(
        digest_line(
            [("s", 1_100, "system"), (f"q{at}", 10, "messages")], at=at * 60.0, label="small"
        )
        for at in range(40)
    )

    def test_below_the_minimum(self) -> None:
        """A prompt cut below the minimum is no longer cached, and costs more than before."""
        assumed = Assumed(waits=("small",), cut_stable=0.1)
        found = named(pull(workload(self.LINES), SHEET, assumed), "shorter stable part")
        assert "Not worth it once the calls are planned: it saves nothing, or costs more." in (
            found.notes
        )
        assert any("1,100 tokens so cut are fewer than the 1,024" in note for note in found.notes)

    def test_above_the_minimum(self) -> None:
        """A prompt that stays long enough is worth cutting, if only a little."""
        found = pull(workload(self.LINES), SHEET, Assumed(cut_stable=0.05))
        assert not any("Not worth" in note for note in named(found, LEVERS[2]).notes)


class TestWords:
    """What is said, and what is refused."""

    def test_json(self) -> None:
        """The JSON has the keys that the documentation promises."""
        found = pull(workload(day(3)), SHEET).to_json()
        assert json.loads(json.dumps(found)) == found
        assert set(found) == {"calls", "days", "cost_usd", "saving_usd", "levers", "notes"}
        assert set(found["cost_usd"]) == {"now", "uncached", "together", "best"}
        assert set(found["saving_usd"]) == {"together", "added_up"}
        for lever in found["levers"]:
            assert set(lever) == {"name", "assumption", "alone_usd", "last_usd", "notes"}

    def test_refused_calls(self) -> None:
        """Calls that are refused as they are cost nothing, which is no reason to leave them so."""
        lines = [asked("q", at=at, automatic="1h", marks=[{"block": 0}]) for at in (0, 60, 120)]
        found = pull(workload(lines), SHEET)
        assert found.now == 0
        assert found.together is not None
        assert found.together > 0
        assert any("3 calls would be refused" in note for note in found.notes)

    def test_unknown_model(self) -> None:
        """Where nobody states a price the structure stands, and no money is said."""
        found = pull(workload(day(3, model="a-new-one")), SHEET)
        assert found.now is found.saved is found.added_up is None
        assert found.unpriced == ("a-new-one",)
        assert "Nobody states the price of a-new-one: no money can be said." in str(found)
        assert len(found.levers) == len(LEVERS)

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"cut_stable": 1.0}, "cut_stable: 1 is not a share"),
            ({"cut_answers": -0.1}, "cut_answers: -0.1 is not a share"),
            ({"cut_volatile": float("nan")}, "cut_volatile: nan is not a share"),
            ({"store_hours": -1.0}, "store_hours: -1 hours are no age"),
            ({"store_hours": float("nan")}, "store_hours: nan hours are no age"),
        ],
    )
    def test_what_cannot_be(self, given: dict[str, Any], words: str) -> None:
        """A share that is none, and a time that is none, are refused by name."""
        with pytest.raises(InputError, match=words):
            Assumed(**given)


class TestCommand:
    """``cacheplan levers``."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in a folder with a workload."""
        monkeypatch.chdir(tmp_path)
        lines = [json.dumps(line) for line in day(5, label="a", output_tokens=7)]
        Path("calls.jsonl").write_text("\n".join(lines))

    def test_text_and_json(self) -> None:
        """Both say the same, each its own way."""
        text = CliRunner().invoke(main, ["levers", "calls.jsonl", "--no-settings"])
        assert (text.exit_code, text.stdout.split()[0]) == (0, "lever")
        words = ["levers", "calls.jsonl", "--format", "json", "--waits", "a"]
        found = json.loads(CliRunner().invoke(main, words).stdout)
        assert found["calls"] == 5

    def test_unknown_label(self) -> None:
        """A label that no call has is a slip, and named."""
        done = CliRunner().invoke(main, ["levers", "calls.jsonl", "--waits", "b"])
        assert done.exit_code == 2
        assert 'waits: no call is labelled "b"' in done.stderr

    def test_unknown_model(self) -> None:
        """Without prices the answer is not whole."""
        done = CliRunner().invoke(main, ["levers", "calls.jsonl", "--model", "a-new-one"])
        assert done.exit_code == 3
        assert "lever" in done.stdout
