"""The table of packages that do a like job: its inputs, its turns, and what is kept of it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.jobs.inputs import inputs
from benchmarks.jobs.rows import ENVIRONMENTS, SECTIONS, Peer, Section
from benchmarks.peers import measured, page, quicker
from benchmarks.readme import peer_figures
from benchmarks.tabling import RESULTS
from cacheplan.wire import unmark

KEPT: Final = json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))["sections"]
README: Final = Path(__file__).parents[1] / "README.md"
ROWS: Final = [(name, row) for name, section in SECTIONS.items() for row in section.rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the smallest inputs there are, once."""
    place = tmp_path_factory.mktemp("inputs")
    inputs(place, scale=1)
    return place


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(messages: list[dict[str, Any]]) -> list[Any]:
    """Return what messages say, a string as the block that it is short for."""
    found = [message["content"] for message in unmark({"messages": messages})["messages"]]
    return [[{"type": "text", "text": one}] if isinstance(one, str) else one for one in found]


class TestInputs:
    """Everybody is handed the same calls, in the form that each reads."""

    def test_bodies_to_mark_carry_no_marks(self, folder: Path) -> None:
        """What is marked is one conversation that grows, without a mark of ours."""
        bodies = [line["request"] for line in lines(folder / "bodies.jsonl")]
        assert len(bodies) == 6
        assert all(unmark(body) == body for body in bodies)
        for earlier, later in pairwise(bodies):
            said = contents(earlier["messages"])
            assert contents(later["messages"])[: len(said)] == said

    def test_transcripts_say_each_message_once_and_bill_the_same(self, folder: Path) -> None:
        """A session's file has its last body's messages, and the usage of all its calls."""
        sent = lines(folder / "audited.jsonl")
        for path in (folder / "claude" / "projects" / "project").iterdir():
            entries = lines(path)
            calls = [line for line in sent if line["session"] == path.stem]
            answers = [entry["message"] for entry in entries if entry["type"] == "assistant"]
            assert [each["usage"] for each in answers] == [
                line["response"]["usage"] for line in calls
            ]
            said = contents([entry["message"] for entry in entries[:-1]])
            assert said == contents(calls[-1]["request"]["messages"])


class TestTurns:
    """Jobs are done by processes that take turns."""

    @pytest.mark.parametrize("name", SECTIONS)
    def test_ours_does_every_job(self, name: str, folder: Path, tmp_path: Path) -> None:
        """On small inputs each job of ours is done, and is as quick as itself."""
        section = SECTIONS[name]
        own = tuple(row for row in section.rows if not row.environment)
        found = measured(section._replace(rows=own), folder, tmp_path, 1)
        assert [row["failed"] for row in found["rows"]] == [None] * len(own)
        assert found["rows"][0]["ratio"] == 1.0
        assert section.title in page({name: found})[0]

    def test_what_fails_is_a_row_that_says_so(self, tmp_path: Path) -> None:
        """A job that raises, one that ends badly and one that is not there leave the others."""
        rows = (
            Peer("ours", "", "ours", "choose", ""),
            Peer("ends badly", "", "ours", "review", ""),
            Peer("is not there", "", "ours", "none", ""),
        )
        found = measured(Section("Nothing", "No files", rows, ""), tmp_path, tmp_path, 1)
        said = [row["failed"] for row in found["rows"]]
        assert said[0].startswith("fails: ")
        assert said[1] == "fails: RuntimeError: review ends with 2"
        assert said[2] == "does not start, or stopped"
        assert said[1] in page({"nothing": found})[0]


class TestKept:
    """The kept table is whole, and says what it is worth."""

    def test_every_row_was_measured_or_says_why_not(self) -> None:
        """No package is left out because of what it showed."""
        for name, section in SECTIONS.items():
            assert [row["name"] for row in KEPT[name]["rows"]] == [row.name for row in section.rows]
            for row in KEPT[name]["rows"]:
                assert row["failed"] or row["ratio"] > 0
                assert row["ours"] or row["versions"] or row["failed"]

    @pytest.mark.parametrize(("name", "row"), ROWS, ids=lambda each: getattr(each, "name", each))
    def test_every_row_says_what_it_leaves_undone(self, name: str, row: Peer) -> None:
        """A ratio without what was done for it would say nothing."""
        assert len(row.lacks) > 30, name
        assert not row.environment or row.environment in ENVIRONMENTS

    def test_ours_comes_first(self) -> None:
        """Every ratio is to a row of ours."""
        for section in SECTIONS.values():
            assert not section.rows[0].environment
            ours = {row.job for row in section.rows if not row.environment}
            assert {row.beside for row in section.rows} <= ours | {""}

    def test_all_that_price_agree(self) -> None:
        """Whoever has prices for the models comes to the same dollars."""
        found = [row["found"]["dollars"] for row in KEPT["price"]["rows"] if not row["failed"]]
        assert len(found) >= 4
        assert found == [found[0]] * len(found)

    def test_all_that_mark_mark(self) -> None:
        """A package that did nothing would be quick."""
        assert all(row["found"]["marks"] for row in KEPT["mark"]["rows"])

    def test_who_is_quicker_is_named(self) -> None:
        """The page says plainly who is quicker than ours, and the quickest comes first."""
        for one in KEPT.values():
            theirs = [row for row in one["rows"] if not row["ours"] and not row["failed"]]
            named = quicker(one, than_ours=True), quicker(one, than_ours=False)
            for row in theirs:
                assert row["name"] in named[row["ratio"] >= 1]
            assert not named[0] or one["why"]

    def test_the_pages_are_those_of_the_figures(self) -> None:
        """The kept page and the README say what the kept figures say."""
        kept = (RESULTS / "peers.md").read_text(encoding="utf-8")
        assert all(part.strip() in kept for part in page(KEPT))
        assert peer_figures() in README.read_text(encoding="utf-8")
