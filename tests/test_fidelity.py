"""How fidelity is measured, on invented usage; and the bar itself, where recorded usage lies.

The invented file is one conversation that starts with 5,000 tokens of tools and 3,000 of
system, and grows by 1,000 a call; every prompt ends in 10 closing tokens that the service
does not cache. Its costs are worked out by hand at the list price of
2026-11 for Opus 4.6: $5 a million tokens, $6.25 written for 5 minutes, $0.50 read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import fidelity
from cacheplan.facts import Model
from cacheplan.prices import Sheet
from cacheplan.prompt import Block
from cacheplan.tokens import Count

ROOT = Path(__file__).parents[1]
INVENTED = Path(__file__).parent / "fixtures" / "fidelity_usage.jsonl"
SESSIONS = ROOT.parent / "shared" / "traces" / "claude_sessions"


class NeverAsked:
    """A counter for files that state every length."""

    name = "never asked"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Fail, since the digest form has nothing to count."""
        assert not blocks, model
        return []


def cases_of(path: Path) -> list[fidelity.Case]:
    """Read a file and serve its calls."""
    recorded = fidelity.read(path, NeverAsked())
    assert recorded is not None
    return list(fidelity.cases(recorded, Sheet.default()))


@pytest.fixture(scope="module")
def invented() -> dict[str | None, fidelity.Case]:
    """Measure the invented file once."""
    return {case.call.id: case for case in cases_of(INVENTED)}


@pytest.mark.parametrize(
    ("call", "group"),
    [
        ("a/0", "start"),
        ("a/1", "tool turn"),
        ("a/8", "tool turn"),
        ("a/9", "human turn"),
        ("a/10", "expired"),
        ("a/11", "changed prefix"),
        ("a/12", "changed prefix"),
        ("b/1", "tool turn"),
    ],
)
def test_groups(invented: dict[str | None, fidelity.Case], call: str, group: str) -> None:
    """A call is grouped by how much of its past the file holds, and a change that the file
    proves, of the prefix or of the model, comes before everything else.
    """
    assert invented[call].group == group


def test_calls_without_usage_are_left_out(invented: dict[str | None, fidelity.Case]) -> None:
    """A call that nothing is recorded of is served, for others to read, and not compared."""
    assert "b/0" not in invented
    assert invented["b/1"].simulated.read == 9000


@pytest.mark.parametrize(
    ("call", "shows"),
    [
        ("a/1", fidelity.KEPT),
        ("a/2", fidelity.KEPT),
        ("a/3", fidelity.START),
        ("a/4", fidelity.EARLIER),
        ("a/5", fidelity.NOTHING),
        ("a/6", fidelity.PART),
        ("a/7", fidelity.BETWEEN),
        ("a/8", fidelity.MORE),
        ("b/1", fidelity.UNKNOWN),
    ],
)
def test_what_the_record_shows(
    invented: dict[str | None, fidelity.Case], call: str, shows: str
) -> None:
    """What became of the entry that the call before had left is told from the two records
    and the prompt's own lengths.
    """
    assert invented[call].shows == shows


def test_what_the_record_shows_is_not_the_simulators() -> None:
    """What the record shows is the same when the simulator caches nothing at all."""

    class Blind(Sheet):
        def minimum(self, model: str, platform: str, assume: object) -> int | None:
            """Know no minimum, so that nothing is cacheable."""
            del model, platform, assume
            return None

    recorded = fidelity.read(INVENTED, NeverAsked())
    assert recorded is not None
    seeing = fidelity.cases(recorded, Sheet.default())
    blind = list(fidelity.cases(recorded, Blind(shipped=Sheet.default().shipped)))
    assert [case.shows for case in blind] == [case.shows for case in seeing]
    assert not any(case.simulated.read for case in blind)


def test_exact_gives_way_to_closing_tokens(invented: dict[str | None, fidelity.Case]) -> None:
    """Ten closing tokens more are the same reading; a thousand are not."""
    assert invented["a/1"].off == 10
    assert invented["a/1"].exact
    assert invented["a/4"].off == 1010
    assert not invented["a/4"].exact


def test_costs_are_of_prompts_at_the_calls_own_rate(
    invented: dict[str | None, fidelity.Case],
) -> None:
    """Both usages are priced without output, at one rate."""
    case = invented["a/1"]
    assert case.recorded_cost is not None
    assert case.simulated_cost is not None
    assert float(case.recorded_cost) == pytest.approx((10 * 5 + 1000 * 6.25 + 8990 * 0.5) / 1e6)
    assert float(case.simulated_cost) == pytest.approx((1000 * 6.25 + 9000 * 0.5) / 1e6)


def test_measure(invented: dict[str | None, fidelity.Case]) -> None:
    """The numbers of the table are these, counted and added up by hand."""
    found = fidelity.measure(list(invented.values()))
    groups = {name: (row["calls"], row["exact"]) for name, row in found["groups"].items()}
    assert groups == {
        "tool turn": (9, 3),
        "human turn": (1, 1),
        "changed prefix": (2, 1),
        "expired": (1, 1),
        "start": (1, 0),
    }
    whole, kept = found["tool turns"]["all"], found["tool turns"]["kept"]
    assert (whole["recorded_read_more"], whole["recorded_read_less"]) == (1, 5)
    # a/1, a/2 and a/8, in millionths of a dollar.
    simulated = 10_750 + 11_250 + 14_250
    recorded = 10_795 + 11_295 + 11_420
    assert (kept["calls"], kept["exact"]) == (3, 2)
    assert kept["cost_error"] == pytest.approx(simulated / recorded - 1)
    assert [miss["id"] for miss in found["misses"]] == ["a/3", "a/4", "a/5", "a/6", "a/7", "a/8"]


def test_files_without_usage_are_left_out(tmp_path: Path) -> None:
    """A file whose first lines carry no usage is no record."""
    path = tmp_path / "calls.jsonl"
    line = '{"at": %d, "model": "m", "blocks": [], "marks": []}\n'
    path.write_text("".join(line % at for at in range(60)), encoding="utf-8")
    assert fidelity.read(path, NeverAsked()) is None


@pytest.mark.skipif(
    not SESSIONS.exists(), reason="recorded usage does not lie beside the repository"
)
def test_the_bar() -> None:
    """Of recorded tool turns, 99.4 % read what was simulated; and where the service still
    had what the call before left, their prompts cost what was simulated within 1 %.
    """
    share, cost = fidelity.BAR
    together: list[fidelity.Case] = []
    for path in sorted(SESSIONS.glob("*.jsonl.gz")):
        together += cases_of(path)
    tool = fidelity.measure(together)["tool turns"]
    assert tool["all"]["calls"] > 20_000
    assert tool["all"]["share"] >= share
    assert tool["kept"]["share"] >= share
    assert abs(tool["kept"]["cost_error"]) <= cost
