"""The cost benchmark itself: its workloads, how bodies are priced, and what is concluded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from small import Words

from benchmarks import cost, readme
from benchmarks.costs_page import headline, pages, ratio, worst
from benchmarks.rivals.environments import PACKAGES, Asked, Package, Unavailable
from benchmarks.rivals.packages.line import as_sent
from benchmarks.rivals.record import PROMPTS
from benchmarks.rivals.rules import RULES, marked
from benchmarks.tabling import RESULTS
from benchmarks.texts import SCENARIOS, lines
from cacheplan import facts
from cacheplan.prices import Sheet
from cacheplan.validity import validate

SHEET: Final = Sheet.default()
KEPT: Final = RESULTS / "cost.json"
MARK: Final = {"cache_control": {"type": "ephemeral"}}


class TestTexts:
    """The workloads that are made here."""

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_the_service_takes_every_body(self, name: str) -> None:
        """Bodies are unmarked and valid, of models that have a price, in time order."""
        made = lines(name)
        assert [line["at"] for line in made] == sorted(line["at"] for line in made)
        assert len({line["id"] for line in made}) == len(made)
        for line in made[:: max(1, len(made) // 20)]:
            body = line["request"]
            assert "cache_control" not in json.dumps(body)
            assert not validate(body, line.get("platform", "anthropic"))
            assert facts.find(body["model"])
            roles = [message["role"] for message in body["messages"]]
            assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]

    def test_a_seed_makes_the_same(self) -> None:
        """The same workload is the same each time, and no two are alike."""
        assert lines("job") == lines("job")
        assert lines("quicker habits")[0]["request"] != lines("slower habits")[0]["request"]

    def test_each_says_which_rule_it_is_unkind_to(self) -> None:
        """A workload without a reason has no place in the table."""
        assert all(len(function.__doc__ or "") > 40 for function in SCENARIOS.values())


def case_of(bodies: list[dict[str, Any]], gap: float = 60.0) -> cost.Case:
    """Return a workload of these bodies, some seconds apart."""
    made = [
        {"id": str(number), "at": 1.79e9 + gap * number, "request": body}
        for number, body in enumerate(bodies)
    ]
    return cost.Case(name="case", lines=made, workload=cost.read(made, Words()))


def asking(system: str, count: int) -> list[dict[str, Any]]:
    """Return questions under one system prompt."""
    return [
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 9,
            "system": [{"type": "text", "text": system}],
            "messages": [{"role": "user", "content": f"Question {number}?"}],
        }
        for number in range(count)
    ]


LONG: Final = "word " * 5000


class TestScore:
    """Bodies are priced as sent."""

    def test_half_is_scored_from_cold(self) -> None:
        """Of ten calls five are priced, and the first of those writes again."""
        case = case_of(asking(LONG, 10))
        plain = cost.score(case, (line["request"] for line in case.lines), Words(), SHEET)
        kept = (marked(line["request"], RULES["Spring AI, static"]) for line in case.lines)
        once = cost.score(case, kept, Words(), SHEET)
        tokens = plain.tokens / 5
        assert plain.dollars == pytest.approx(5 * tokens * 3e-6, rel=1e-4)
        # The system prompt written once and read four times; the questions in full.
        assert once.dollars == pytest.approx(5000 * (1.25 + 4 * 0.1) * 3e-6, rel=0.02)
        assert plain.refused == once.refused == 0

    def test_a_refused_call_is_sent_again_without_marks(self) -> None:
        """Five marks save nothing: the call costs what it costs unmarked."""
        bodies = asking(LONG, 6)
        case = case_of(bodies)
        five = [
            {**body, "system": [{"type": "text", "text": f"{n} {LONG}", **MARK} for n in range(5)]}
            for body in bodies
        ]
        bare = [
            {**body, "system": [{"type": "text", "text": f"{n} {LONG}"} for n in range(5)]}
            for body in bodies
        ]
        refused = cost.score(case, iter(five), Words(), SHEET)
        plain = cost.score(case, iter(bare), Words(), SHEET)
        assert refused.refused == 3
        assert refused.dollars == plain.dollars
        assert "maximum of 4" in refused.because

    def test_a_package_that_raises_leaves_the_call_unmarked(self) -> None:
        """What it said is kept, and the call goes out as the caller wrote it."""
        case = case_of(asking(LONG, 4))
        bodies = [case.lines[0]["request"], *({"failed": "TypeError: no"} for _ in range(3))]
        found = cost.score(case, iter(bodies), Words(), SHEET)
        plain = cost.score(case, (line["request"] for line in case.lines), Words(), SHEET)
        assert (found.failed, found.because) == (3, "TypeError: no")
        assert found.dollars == plain.dollars


def test_as_sent_keeps_what_is_the_callers() -> None:
    """A package decides on prompt and marks; settings stay as they were."""
    body = {"model": "m", "system": "s", "tool_choice": {"type": "any"}, "messages": [1]}
    sent = {"model": "other", "system": "t", "messages": [2], "stream": True, "tools": []}
    expected = {"model": "m", "tool_choice": {"type": "any"}, "system": "t", "messages": [2]}
    assert as_sent(body, sent) == expected


def results(scores: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Return results of two workloads, by name of a row its dollars on each."""
    rows = []
    for at, name in enumerate(("calm", "rough")):
        each = {
            row: {"dollars": both[at], "refused": 0, "tokens": 9, "failed": 0, "because": ""}
            for row, both in scores.items()
        }
        rows.append(
            {
                "workload": name, "calls": 10, "bound": "tree", "bound_usd": 1.0,
                "hindsight_usd": 1.0, "uncached_usd": 10.0, "prompt_tokens": 9, "text": True,
                "scores": each,
            }
        )  # fmt: skip
    ours = ["planned"]
    found: dict[str, Any] = {
        "versions": {"p": "1"},
        "unavailable": {"q": "no"},
        "ours": ours,
        "workloads": rows,
    }
    return {**found, "headline": headline(found)}


def test_who_sends_other_prompts_sets_no_bar() -> None:
    """A package that changes the text is shown, but what it saves is not by marks."""
    found = results({"planned": (1.1, 1.5), "bold": (0.5, 6.0), "meek": (3.0, 3.0)})
    for row in found["workloads"]:
        row["scores"]["bold"]["tokens"] += 1
    told = headline(found)["ours"]["planned"]
    assert told["not_the_best_on"] == []
    assert told["within_two_percent"]


def test_packages_that_are_not_asked_keep_their_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the workload and its prices are still the same, and where there are any."""
    package = Package("p", (), "p", {"meek": "way", "new": "another way"})
    found = results({"planned": (1.1, 1.5), "meek": (3.0, 3.0)}) | {"asked": {"p": "2026-11-21"}}
    (tmp_path / "cost.json").write_text(json.dumps(found), encoding="utf-8")
    monkeypatch.setattr(cost, "RESULTS", tmp_path)
    now = [dict(row) for row in found["workloads"]]
    now[1]["prompt_tokens"] += 1
    table: dict[str, dict[str, cost.Score]] = {"calm": {}, "rough": {}}
    said: dict[str, Any] = {"versions": {}, "unavailable": {}, "asked": {}}
    cost._keep([package], now, table, said)
    assert table == {"calm": {"meek": cost.Score(3.0, 0, 9)}, "rough": {}}
    assert said["asked"] == {"p": "2026-11-21"}


def test_headline_is_the_worst_ratio() -> None:
    """A rule that wins one workload and ruins another is no good default."""
    found = results({"planned": (1.1, 1.5), "bold": (1.0, 6.0), "meek": (3.0, 3.0)})
    told = found["headline"]
    assert told["best_rival"] == "meek"
    assert told["ours"]["planned"]["better_at_worst"] == 2.0
    assert told["ours"]["planned"]["worst"] == {"ratio": 1.5, "workload": "rough"}
    assert told["ours"]["planned"]["not_the_best_on"] == [
        {"over": 1.1, "workload": "calm", "rival": "bold"}
    ]
    page = "\n".join(pages(found))
    assert "meek" in page
    assert "a rival with the same prompts is cheaper on calm (1.100 times bold)" in page
    assert "not asked: no" in page


@pytest.fixture
def kept() -> dict[str, Any]:
    """Return the results that are kept."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


class TestKept:
    """What the kept results promise."""

    def test_everybody_was_asked_on_everything(self, kept: dict[str, Any]) -> None:
        """Every rule and every package of the field has a score on every workload."""
        rows = [row for row in kept["workloads"] if row["text"]]
        assert {row["workload"] for row in rows} == set(SCENARIOS)
        wanted = {*cost.OURS, *RULES, *(way for one in PACKAGES for way in one.ways)}
        for row in rows:
            assert set(row["scores"]) | set(kept["unavailable"]) == wanted

    def test_nobody_is_below_the_bound_with_our_text(self, kept: dict[str, Any]) -> None:
        """Who sends the same prompts pays what the bound says, or more."""
        for row in kept["workloads"]:
            for name, score in row["scores"].items():
                if score["tokens"] == row["prompt_tokens"]:
                    assert (ratio(row, name) or 0) >= 1 - 1e-6, (row["workload"], name)

    def test_bars(self, kept: dict[str, Any]) -> None:
        """Ours are at worst a quarter better than the best rival at its worst."""
        assert headline(kept) == kept["headline"]
        for name, mine in kept["headline"]["ours"].items():
            assert mine["better_at_worst"] >= 1.25, name

    def test_never_much_dearer_but_where_it_was_made_for(self, kept: dict[str, Any]) -> None:
        """On all but the workload that turns habits round, no rival is 2 % cheaper."""
        for name, mine in kept["headline"]["ours"].items():
            dear = {each["workload"] for each in mine["not_the_best_on"] if each["over"] > 1.02}
            assert dear <= {"slower habits"}, name

    def test_somewhere_each_of_ours_is_not_the_best(self, kept: dict[str, Any]) -> None:
        """The comparison holds workloads on which a rival is cheaper."""
        for mine in kept["headline"]["ours"].values():
            assert mine["not_the_best_on"]

    def test_readme_table_holds_the_kept_figures(self, kept: dict[str, Any]) -> None:
        """What the README shows of it is written from the file, to the letter."""
        shown = readme.cost_figures()
        rows = [row for row in kept["workloads"] if row["text"]]
        for name in cost.OURS:
            over, workload = worst(rows, name) or (0, "")
            assert f"| **`{name}`** | {workload} | {over:.2f} |" in shown
        page = (Path(readme.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
        if "<!-- cost -->" in page:
            assert shown in page


def test_readme_tables_stand_between_their_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table is written where its comments are, and nowhere else."""
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- cost -->\nold\n<!-- end of cost -->\nb\n", encoding="utf-8")
    monkeypatch.setattr(readme, "README", page)
    sections: dict[str, Callable[[], str]] = {"cost": lambda: "new", "figures": lambda: "none"}
    monkeypatch.setattr(readme, "SECTIONS", sections)
    assert readme.main([]) == 0
    text = page.read_text(encoding="utf-8")
    assert text == "a\n<!-- cost -->\nnew\n<!-- end of cost -->\nb\n"


def test_a_package_that_cannot_be_installed_says_so(tmp_path: Path) -> None:
    """The reason is one line, and no broken environment is left behind."""
    package = Package("none", ("./no-such-folder-anywhere",), "leanwire", {"none": "rolling"})
    with pytest.raises(Unavailable, match="cannot be installed"):
        Asked(package, tmp_path)
    assert not (tmp_path / "none").exists()


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_a_package_is_installed_and_asked(tmp_path: Path) -> None:
    """In an environment made for it, the package sends what was recorded of it."""
    package = next(one for one in PACKAGES if one.name == "leanwire")
    made = [
        {"id": name, "at": 0.0, "session": name, "label": "", "request": body}
        for name, body in PROMPTS.items()
    ]
    path = Path(__file__).parent / "fixtures" / "rivals" / "leanwire.json"
    sent = json.loads(path.read_text(encoding="utf-8"))["sent"]
    with Asked(package, tmp_path) as process:
        for row, way in package.ways.items():
            found = dict(zip(PROMPTS, process.bodies(way, made), strict=True))
            assert found == sent[row]
