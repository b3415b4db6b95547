"""What calls will come to, counted whole or by a sample."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from small import Words, digest_line, message, request, workload

from cacheplan.arrivals import Dice
from cacheplan.choosing import choose
from cacheplan.errors import InputError
from cacheplan.estimating import Rough, counted, estimate, relaid
from cacheplan.estimation import Asked, Estimation
from cacheplan.facts import Model
from cacheplan.io.cli import main
from cacheplan.prices import Sheet
from cacheplan.projection import project, replay
from cacheplan.prompt import Block, Level
from cacheplan.records import Intake
from cacheplan.subject import Remembering
from cacheplan.tokens import Count, TokenCounter
from cacheplan.workload import Workload

SHEET = Sheet.default()
EVERYTHING = Asked()
WORDS = ("a", "sea", "harbour", "unbelievable", "{x}", "1234567", "to")


class Refusing:
    """Counts nothing: who asks it has asked for too much."""

    name = "refusing"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Refuse to count any block."""
        del model
        assert not blocks
        return []


def read(lines: Iterable[dict[str, Any]], counter: TokenCounter) -> Workload:
    """Read lines with what their blocks say."""
    remembering = Remembering(counter)
    intake = Intake(remembering)
    for line in lines:
        intake.add(json.dumps(line).encode())
    found = intake.workload()
    return Workload(
        tree=found.tree, calls=found.calls, texts=remembering.bodies, tokens_from=found.tokens_from
    )


def said(dice: Dice, words: int) -> str:
    """Return so many words of all lengths, so that characters say little about their number."""
    kinds = WORDS[: 1 + int(dice.uniform() * len(WORDS))]
    return " ".join(kinds[int(dice.uniform() * len(kinds))] for _ in range(words))


def talk(calls: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return calls of two labels, each with a system prompt of its own and a question."""
    dice = Dice(seed)
    heads = {label: said(dice, 1_500) for label in ("chat", "files")}
    lines = []
    for at in range(calls):
        label = "chat" if dice.uniform() < 0.7 else "files"
        words = int(math.exp(4 + 3 * dice.uniform()))
        body = request(message("user", f"{at} {said(dice, words)}"), system=heads[label])
        marked = {**body, "system": [{"type": "text", "text": heads[label], **MARK}]}
        lines.append({"at": at * 30.0, "label": label, "output_tokens": 40, "request": marked})
    return lines


MARK = {"cache_control": {"type": "ephemeral"}}
TALK = talk(80)


def sampled(sample: int, seed: int = 0, **more: Any) -> Estimation:
    """Estimate by a sample."""
    asked = Asked(sample=sample, seed=seed, **more)
    return estimate(read(TALK, Rough()), SHEET, Words(), asked)


def one(tokens: int, model: str, **fields: Any) -> Estimation:
    """Estimate one call of so many tokens."""
    line = digest_line([("s", tokens, "system")], model=model, **fields)
    return estimate(workload([line]), SHEET, Refusing(), EVERYTHING)


class TestWorkedFigures:
    """Figures that anybody can work out."""

    def test_a_call_of_opus(self) -> None:
        """200,000 tokens in and 20,000 out cost 1.50 dollars on Opus 4.7."""
        found = one(200_000, "claude-opus-4-7", output_tokens=20_000)
        assert found.marked.total == found.uncached.total == Decimal("1.5")

    @pytest.mark.parametrize(("tokens", "cost"), [(100_000, "0.01"), (100_001, "0.0500005")])
    def test_the_band_of_haiku(self, tokens: int, cost: str) -> None:
        """The token after 100,000 makes a prompt of Haiku 5.5 five times as dear."""
        assert one(tokens, "claude-haiku-5-5").marked.total == Decimal(cost)


class TestAll:
    """Every call is counted, and every figure is exact."""

    def test_sums(self) -> None:
        """Totals are those of serving all calls: without marks, as marked, and as planned."""
        calls = read(TALK, Words())
        found = estimate(calls, SHEET, Words(), EVERYTHING)
        plan = choose(calls, SHEET).marker(calls.tree)
        for money, marker in (
            (found.uncached, lambda _: ()),
            (found.marked, lambda call: call.marks),
            (found.planned, plan),
        ):
            assert money.total == money.low == money.high
            assert money.total == project(calls, marker, SHEET, "").cost
        assert found.prompt.total == sum(map(calls.prompt_tokens, calls))
        assert (found.counted, found.sampled, found.output) == (80, False, 3_200)

    def test_labels(self) -> None:
        """Labels add up to the whole, the dearest first."""
        found = estimate(read(TALK, Words()), SHEET, Words(), EVERYTHING)
        assert sum(label.cost.total or 0 for label in found.labels) == found.marked.total
        assert sum(label.prompt.total for label in found.labels) == found.prompt.total
        costs = [label.cost.total or Decimal() for label in found.labels]
        assert costs == sorted(costs, reverse=True)

    def test_answers_that_nobody_states(self) -> None:
        """A call that states no answer counts none, which is said, or what is assumed."""
        lines = [digest_line([("s", 1_000, "system")], at=at, output_tokens=at) for at in (0, 5)]
        calls = workload(lines)
        silent = estimate(calls, SHEET, Refusing(), EVERYTHING)
        assert silent.output == 5
        assert any("1 calls state no output_tokens, or 0:" in note for note in silent.notes)
        told = estimate(calls, SHEET, Refusing(), Asked(output=100))
        assert (told.output, told.notes) == (105, ())

    def test_refused_calls(self) -> None:
        """Calls that the service would refuse cost nothing, which is said."""
        line = digest_line([("s", 9_000, "system")], automatic="1h", marks=[{"block": 0}])
        found = estimate(workload([line]), SHEET, Refusing(), EVERYTHING)
        assert found.marked.total == 0
        assert any("1 calls would be refused" in note for note in found.notes)

    def test_unknown_price(self) -> None:
        """Without a price the tokens stand, and no money."""
        found = one(5_000, "a-new-one")
        assert found.prompt.total == 5_000
        assert found.marked.total is found.planned.total is found.above is None
        assert found.unpriced == ("a-new-one",)
        assert "unknown" in str(found)


class TestSample:
    """Some calls are counted, and stand for the rest."""

    def test_the_drawn_cost_what_they_cost(self) -> None:
        """A drawn call is charged to the token what it is if all calls are counted."""
        rough, whole = read(TALK, Rough()), read(TALK, Words())
        drawn = [call for call in rough if call.number % 7 == 0]
        prefixes = [(call, rough.tree.path(call.tip)) for call in drawn]
        laid = relaid(rough, counted(rough, prefixes, Words()), 0.9)
        laid.tree.check()

        def served(calls: Workload) -> dict[int, Any]:
            marks = replay(calls, lambda call: call.marks, SHEET)
            return {call.number: usage for call, usage, _, _ in marks}

        here, there = served(laid), served(whole)
        for call in drawn:
            assert here[call.number] == there[call.number]

    @pytest.mark.parametrize("draws", [60, pytest.param(1_000, marks=pytest.mark.long)])
    def test_intervals_hold_the_truth(self, draws: int) -> None:
        """Over many draws tokens and every cost lie in their intervals as often as stated."""
        whole = estimate(read(TALK, Words()), SHEET, Words(), EVERYTHING)
        confidence = 0.9
        held = [0, 0, 0]
        for seed in range(draws):
            found = sampled(24, seed * 31, confidence=confidence)
            pairs = [
                (found.prompt, whole.prompt.total),
                (found.uncached, whole.uncached.total),
                (found.marked, whole.marked.total),
            ]
            for at, (interval, truth) in enumerate(pairs):
                held[at] += bool(interval[1] <= truth <= interval[2])  # type: ignore[operator]
        least = confidence - 3 * math.sqrt(confidence * (1 - confidence) / draws)
        assert min(held) / draws > least

    def test_narrower(self) -> None:
        """More draws, or less confidence, make a narrower interval."""
        wide, more, less = sampled(20), sampled(60), sampled(20, confidence=0.5)
        spans = [found.prompt.high - found.prompt.low for found in (wide, more, less)]
        assert spans[1] < spans[0]
        assert spans[2] < spans[0]

    def test_as_many_as_there_are(self) -> None:
        """A sample of all calls, or of more, counts all, and says so."""
        calls = read(TALK, Words())
        for sample in (80, 9_999):
            found = estimate(calls, SHEET, Words(), Asked(sample=sample))
            assert not found.sampled
            assert found.notes[0] == f"There are 80 calls, not {sample:,} to draw: all are counted."

    def test_a_label_without_a_call(self) -> None:
        """A sample too small for the labels is refused, with what it would take."""
        with pytest.raises(InputError, match="2 of each of 2 labels are 4"):
            sampled(3)

    def test_what_needs_no_counting(self) -> None:
        """What was recorded, and what states its length, is never counted."""
        usage = {"input_tokens": 1_000, "output_tokens": 5}
        recorded = [{**line, "response": {"usage": usage}} for line in TALK[:6]]
        stated = [digest_line([("s", 900, "system")], at=at, label="d") for at in range(6)]
        calls = read([*recorded, *stated], Rough())
        found = estimate(calls, SHEET, Refusing(), Asked(sample=8))
        truth = sum(map(calls.prompt_tokens, calls))
        assert found.prompt == pytest.approx([truth] * 3, abs=6)

    def test_unknown_price(self) -> None:
        """A sample of calls without a price has tokens and no money."""
        lines = [{**line, "request": {**line["request"], "model": "a-new-one"}} for line in TALK]
        found = estimate(read(lines, Rough()), SHEET, Words(), Asked(sample=20))
        assert found.prompt.low < found.prompt.total < found.prompt.high
        assert found.marked == (None, None, None)
        assert all(label.cost.total is None for label in found.labels)

    def test_words(self) -> None:
        """How many were counted, how, and how surely, is said."""
        text = str(sampled(20))
        assert "20 of 80 calls were counted (words)" in text
        assert "in 0.95 of all draws" in text
        assert text.splitlines()[0].split() == ["all", "calls", "at", "least", "at", "most"]


class TestBudget:
    """Against a budget."""

    def test_above(self) -> None:
        """Above it, the dearest labels are named until what is left fits."""
        plain = estimate(read(TALK, Words()), SHEET, Words(), EVERYTHING)
        first, second = plain.labels
        assert first.cost.total is not None
        assert second.cost.total is not None
        for budget, names in (
            (second.cost.total, [first.name]),
            (second.cost.total / 2, [first.name, second.name]),
        ):
            found = estimate(read(TALK, Words()), SHEET, Words(), Asked(budget=budget))
            assert found.above == (plain.marked.total or 0) - budget
            assert [label.name for label in found.to_cut()] == names
            assert f"What to cut first: {first.name} (" in str(found)

    def test_within(self) -> None:
        """To the cent within it is within it."""
        total = one(100_000, "claude-haiku-5-5").marked.total
        line = digest_line([("s", 100_000, "system")], model="claude-haiku-5-5")
        found = estimate(workload([line]), SHEET, Refusing(), Asked(budget=total))
        assert found.above == 0
        assert "Within the budget of $0.0100." in str(found)

    def test_not_for_certain(self) -> None:
        """A sample whose interval reaches above the budget says that it is not certain."""
        cost = sampled(20).marked
        assert cost.total is not None
        assert cost.high is not None
        found = sampled(20, budget=(cost.total + cost.high) / 2)
        assert found.above == 0
        assert "Not for certain" in str(found)

    def test_planned_would_do(self) -> None:
        """Where a plan would bring the calls within the budget, that is the other way out."""
        lines = [
            digest_line([("s", 9_000, "system"), (f"{at}", 1, "messages")], at=at)
            for at in range(20)
        ]
        found = estimate(workload(lines), SHEET, Refusing(), Asked(budget=Decimal("0.2")))
        assert found.above
        assert "Or mark the calls: as planned they cost $0." in str(found)


class TestAsked:
    """What cannot be asked for."""

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"sample": 0}, "sample: 0 is not a number of calls to count"),
            ({"confidence": 1.0}, "confidence: 1 is not a share above 0 and below 1"),
            ({"confidence": float("nan")}, "confidence: nan"),
            ({"budget": Decimal(0)}, "budget: with a budget of .0 no call can be sent"),
            ({"budget": Decimal(-5)}, "budget: with a budget of .-5"),
            ({"budget": Decimal("NaN")}, "budget: with a budget of .NaN"),
            ({"output": -1}, "output_tokens: -1 is negative"),
        ],
    )
    def test_refused(self, given: dict[str, Any], words: str) -> None:
        """Each is refused by name, before anything is read."""
        with pytest.raises(InputError, match=words):
            Asked(**given)


def test_rough() -> None:
    """Rough lengths follow the characters of a text, under any model."""
    short, long = (
        Block(level=Level.MESSAGES, kind="text", role="user", body={"text": "word " * many})
        for many in (100, 1_000)
    )
    first, second = Rough().count([short, long], None)
    assert second.tokens == pytest.approx(10 * first.tokens, abs=5)
    assert 100 < first.tokens < 300
    assert first.doubt > 0


def run(words: str) -> Result:
    """Run a command line in this process."""
    result = CliRunner().invoke(main, words.split())
    assert "Traceback" not in result.output
    return result


class TestCommand:
    """``cacheplan estimate``."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in a folder with a workload."""
        monkeypatch.chdir(tmp_path)
        Path("calls.jsonl").write_text("\n".join(map(json.dumps, TALK)))

    def test_json(self) -> None:
        """The JSON has the keys that the documentation promises."""
        done = run("estimate calls.jsonl --sample 20 --budget 500 --format json")
        found = json.loads(done.stdout)
        assert done.exit_code == 0
        assert set(found) == {
            "calls",
            "counted",
            "counter",
            "confidence",
            "prompt_tokens",
            "output_tokens",
            "cost_usd",
            "labels",
            "budget",
            "notes",
        }
        assert set(found["prompt_tokens"]) == {"total", "low", "high", "doubt"}
        assert set(found["cost_usd"]) == {"uncached", "as_marked", "planned"}
        assert set(found["cost_usd"]["planned"]) == {"total", "low", "high"}
        assert set(found["budget"]) == {"usd", "above_usd", "cut_first"}
        for label in found["labels"]:
            assert set(label) == {
                "label",
                "calls",
                "counted",
                "prompt_tokens",
                "output_tokens",
                "cost_usd",
            }

    @pytest.mark.parametrize(("budget", "code"), [("$500", 0), ("0.001", 1), ("0", 2), ("x", 2)])
    def test_exit_codes(self, budget: str, code: int) -> None:
        """Within the budget is 0, above it 1, and a budget that is none 2."""
        done = run(f"estimate calls.jsonl --budget {budget}")
        assert done.exit_code == code
        assert ("What to cut first" in done.stdout) is (code == 1)

    def test_more_than_there_are(self) -> None:
        """A sample of more calls than the file has is counting all, to the token."""
        sample = json.loads(run("estimate calls.jsonl --sample 999 --format json").stdout)
        whole = json.loads(run("estimate calls.jsonl --format json").stdout)
        assert sample["notes"].pop(0).startswith("There are 80 calls")
        assert sample == whole

    def test_same_seed_same_draw(self) -> None:
        """A seed fixes which calls are drawn."""
        words = "estimate calls.jsonl --sample 20 --seed"
        assert run(f"{words} 1").stdout == run(f"{words} 1").stdout != run(f"{words} 2").stdout

    def test_unknown_model(self) -> None:
        """Without prices the answer is not whole, whatever the budget."""
        done = run("estimate calls.jsonl --model a-new-one --budget 1")
        assert done.exit_code == 3
        assert "unknown" in done.stdout

    @pytest.mark.parametrize("rpm", ["0", "-5"])
    def test_too_slow(self, rpm: str) -> None:
        """No question a minute is no way to ask."""
        done = run(f"estimate calls.jsonl --rpm {rpm}")
        assert done.exit_code == 2
        assert f"rpm: {rpm} questions a minute is too few" in done.stderr
