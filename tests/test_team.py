"""A team's files on the command line: settings, waivers, a baseline, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from reviews import PERSON, dated, steady

import cacheplan
from cacheplan.io.cli import main
from cacheplan.io.team import nearest
from cacheplan.terms import Terms
from cacheplan.waivers import Waiver

REVIEW = "review dated.jsonl --fail-on warning"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project with calls whose instructions name the time."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    write("dated.jsonl", dated())
    write("steady.jsonl", steady(every=60))
    return project


def write(name: str, lines: Iterable[Any]) -> None:
    """Write JSON Lines."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def agree(text: str, name: str = "pyproject.toml") -> None:
    """Write settings."""
    Path(name).write_text(f'[project]\nname = "a"\n\n[tool.cacheplan]\n{text}\n')


def run(words: str) -> Result:
    """Run a command line in this process; no traceback may show in any case."""
    result = CliRunner().invoke(main, words.split())
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def codes(words: str) -> set[str]:
    """Return the codes of what is found."""
    found = json.loads(run(f"{words} --format json").stdout)
    return {row["code"] for row in found["findings"]}


class TestSettings:
    """``[tool.cacheplan]`` holds where nothing on the command line says otherwise."""

    def test_off(self) -> None:
        """A rule that is off is not in the report, and the file is named."""
        assert "CP001" in codes("review dated.jsonl")
        agree('off = ["volatile-span"]')
        assert "CP001" not in codes("review dated.jsonl")
        assert "note: settings: pyproject.toml" in run("review dated.jsonl").stderr
        assert run("review dated.jsonl --quiet").stderr == ""
        assert "CP001" in codes("review dated.jsonl --no-settings")

    def test_fail_on(self) -> None:
        """The threshold of the settings holds; an option stands over it."""
        agree('fail-on = "warning"')
        assert run("review dated.jsonl").exit_code == 1
        assert run("review dated.jsonl --fail-on error").exit_code == 0
        assert run("review dated.jsonl --no-settings").exit_code == 0

    def test_worth(self) -> None:
        """What saves less a day is left out and counted; refusals and unknowns are not."""
        agree("worth = 1000")
        found = json.loads(run("review dated.jsonl --format json").stdout)
        assert all(row["saving_usd_per_day"] is None for row in found["findings"])
        assert any("left out: " in note for note in found["notes"])
        assert found["mended"] == found["planned"]

    def test_waiver(self) -> None:
        """A waived finding is told with its reason, fails nothing, and is not in the totals."""
        before = json.loads(run("review dated.jsonl --format json").stdout)
        agree(
            'off = ["CP101"]\n[[tool.cacheplan.waive]]\ncode = "CP001"\nplace = "system[0]"\n'
            'label = "clerk"\nreason = "the law wants the time there"'
        )
        result = run(f"{REVIEW} --format json")
        found = json.loads(result.stdout)
        assert result.exit_code == 0
        (row,) = (row for row in found["findings"] if row["code"] == "CP001")
        assert row["waived"] == "the law wants the time there"
        assert before["mended"] != before["planned"]
        assert found["mended"] == found["planned"]

    @pytest.mark.parametrize("form", ["text", "markdown", "html", "sarif"])
    def test_every_report_says_so(self, form: str) -> None:
        """Each form gives the reason of a waived finding, and says which are known."""
        run("review dated.jsonl --write-baseline known.json")
        agree('[[tool.cacheplan.waive]]\ncode = "CP001"\nreason = "bound by law"')
        found = run(f"review dated.jsonl --baseline known.json --format {form}").stdout
        assert "bound by law" in " ".join(found.split())
        words = "known to the baseline"
        assert words not in found
        known = run(f"review dated.jsonl --baseline known.json --no-settings --format {form}")
        assert words in " ".join(known.stdout.split())

    def test_idle_waiver(self) -> None:
        """A waiver that matches nothing is said."""
        agree('[[tool.cacheplan.waive]]\ncode = "CP002"\nplace = "tools"\nreason = "x"')
        found = json.loads(run("review dated.jsonl --format json").stdout)
        assert "A waiver matches nothing: CP002 at tools." in found["notes"]

    def test_waived_beside_the_calls(self) -> None:
        """A line waives findings of its own kind of calls, by code and place."""
        lines = dated()
        lines[5]["waive"] = ["CP101", {"code": "CP001", "place": "system", "reason": "by law"}]
        write("dated.jsonl", lines)
        assert run(REVIEW).exit_code == 0
        lines[5]["waive"] = [{"code": "CP001", "place": "sytem"}]
        write("dated.jsonl", lines)
        result = run(REVIEW)
        assert result.exit_code == 2
        assert 'dated.jsonl line 6: waive[0].place: "sytem" is not a place' in result.stderr

    def test_pins(self, folder: Path) -> None:
        """A pin that is none is refused; one that is goes to the rules."""
        agree('pins = ["nowhere first"]')
        assert run("review dated.jsonl").exit_code == 2
        agree('pins = ["system[0] first"]')
        settings = nearest(folder)
        assert settings is not None
        assert [str(pin) for pin in settings[1].pins] == ["system[0] first"]
        assert run("review dated.jsonl").exit_code == 0

    def test_assume(self) -> None:
        """Answers hold for every command, and an option answers anew."""
        agree('assume = ["hit_rate=0"]')
        words = "simulate steady.jsonl --policy as-marked"

        def read(more: str) -> int:
            lines = run(f"{words} {more}").stdout.splitlines()
            return sum(json.loads(line)["read"] for line in lines)

        assert read("") == 0
        assert read("--assume hit_rate=1") == read("--no-settings") > 0

    def test_prices(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files are named from the folder of the settings, wherever the command runs."""
        row = {"model": "claude-sonnet-5", "input": 4, "output": 15}
        row |= {"write_5m": 5, "write_1h": 8, "read": 0.4}
        Path("ours.json").write_text(json.dumps([row]))
        agree('prices = "ours.json"')
        (folder / "inner").mkdir()
        monkeypatch.chdir(folder / "inner")
        words = "compare ../steady.jsonl --format json"
        result = run(words)
        assert "note: settings: ../pyproject.toml" in result.stderr
        ours, theirs = (
            json.loads(run(f"{words} {more}").stdout)["policies"]
            for more in ("--prices ../ours.json", "--no-settings")
        )
        assert json.loads(result.stdout)["policies"] == ours != theirs

    def test_nearest(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The nearest file with our table holds; others are passed over, broken ones too."""
        agree('off = ["CP001"]')
        inner = folder / "inner" / "most"
        inner.mkdir(parents=True)
        (folder / "inner" / "pyproject.toml").write_text("[tool.other]\nwhatever = [")
        monkeypatch.chdir(inner)
        found = nearest()
        assert found is not None
        assert found[0] == "../../pyproject.toml"
        (inner / "pyproject.toml").write_text("[tool.cacheplan]\n")
        assert [name for name, _ in filter(None, [nearest()])] == ["pyproject.toml"]

    def test_other_file(self) -> None:
        """``--settings`` takes another file, which has to have the table."""
        agree('fail-on = "warning"', "ours.toml")
        assert run("review dated.jsonl --settings ours.toml").exit_code == 1
        Path("none.toml").write_text("[tool.other]\n")
        for name in ("none.toml", "missing.toml"):
            result = run(f"review dated.jsonl --settings {name}")
            assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
            assert result.stderr.startswith(f"cacheplan: {name}: ")
        assert run("review dated.jsonl --settings ours.toml --no-settings").exit_code == 2

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ('fail-on = "grave"', 'tool.cacheplan.fail-on: "grave" is no severity and no rule'),
            ('fail_on = "warning"', "tool.cacheplan.fail_on: unknown; there are off, "),
            ("worth = [", "this is not TOML: "),
        ],
    )
    def test_wrong(self, text: str, fault: str) -> None:
        """What is wrong is one line with the file, the key and the fault, and exit code 2."""
        agree(text)
        result = run("review dated.jsonl")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"cacheplan: pyproject.toml: {fault}")
        assert len(result.stderr.splitlines()) == 1

    def test_demonstration(self) -> None:
        """The demonstration is about other calls, so a team's settings are not for it."""
        agree('off = ["CP001"]')
        assert "CP001" in codes("demo")
        assert "CP001" not in codes("demo --settings pyproject.toml")


def test_from_python() -> None:
    """``cacheplan.review`` holds findings against the terms that it is given."""
    found = cacheplan.review(
        cacheplan.read("dated.jsonl"),
        terms=Terms(waivers=(Waiver(code="CP001", reason="by law"),)),
    )
    assert [one.waived for one in found.findings if one.code == "CP001"] == ["by law"]
    assert "by law" in str(found)
    assert all("CP001" not in step.what for step in found.steps())


class TestBaseline:
    """Only what is new fails."""

    def test_known(self) -> None:
        """What was written down fails no more, with other calls neither, and is still told."""
        written = run(f"{REVIEW} --write-baseline known.json")
        assert written.exit_code == 0
        assert "note: known.json: entries written: " in written.stderr
        assert PERSON not in Path("known.json").read_text()
        assert run(f"{REVIEW} --baseline known.json").exit_code == 0
        assert run(REVIEW).exit_code == 1
        write("dated.jsonl", dated(30, every=90))
        result = run("review dated.jsonl --fail-on CP001 --baseline known.json --format json")
        assert result.exit_code == 0
        rows = json.loads(result.stdout)["findings"]
        assert [row["known"] for row in rows if row["code"] == "CP001"] == [True]

    def test_new(self) -> None:
        """What is found in another feature is new."""
        run(f"{REVIEW} --write-baseline known.json")
        write("dated.jsonl", [*dated(), *dated(label="tutor", every=410)])
        assert codes("review dated.jsonl") >= {"CP001"}
        write("other.jsonl", dated(label="tutor"))
        assert run("review other.jsonl --fail-on CP001 --baseline known.json").exit_code == 1

    def test_gone(self) -> None:
        """Entries that are no longer found are counted."""
        run(f"{REVIEW} --write-baseline known.json")
        found = run("review steady.jsonl --baseline known.json --format json")
        notes = json.loads(found.stdout)["notes"]
        number = len(json.loads(Path("known.json").read_text())["findings"])
        said = f"Entries of the baseline that are no longer found: {number} ("
        assert any(note.startswith(said) for note in notes)

    def test_stable(self) -> None:
        """Written twice, it is the same file."""
        for name in ("one.json", "two.json"):
            run(f"{REVIEW} --write-baseline {name}")
        assert Path("one.json").read_bytes() == Path("two.json").read_bytes()

    def test_in_the_settings(self) -> None:
        """The settings name a baseline, and an option names another."""
        run(f"{REVIEW} --write-baseline known.json")
        agree('baseline = "known.json"')
        assert run(REVIEW).exit_code == 0
        Path("none.json").write_text('{"format": "cacheplan.baseline/1", "findings": []}')
        assert run(f"{REVIEW} --baseline none.json").exit_code == 1

    def test_first_time(self) -> None:
        """A baseline that the settings name and nobody has written yet can be written."""
        agree('baseline = "known.json"')
        result = run(REVIEW)
        assert result.exit_code == 2
        assert "known.json: no such file; cacheplan review --write-baseline" in result.stderr
        assert run(f"{REVIEW} --write-baseline known.json").exit_code == 0
        assert run(REVIEW).exit_code == 0

    def test_nothing_half_done(self) -> None:
        """Where it cannot be written or read, one line says so and nothing is left behind."""
        result = run(f"{REVIEW} --write-baseline missing/known.json")
        assert result.exit_code == 2
        assert "missing/known.json" in result.stderr
        Path("bad.json").write_text('{"format": "cacheplan.baseline/1", "findings": [{}]}')
        for name, fault in (
            ("missing.json", "no such file"),
            ("bad.json", "findings[0].code: missing"),
        ):
            result = run(f"{REVIEW} --baseline {name}")
            assert (result.exit_code, result.stdout) == (2, "")
            assert result.stderr.startswith(f"cacheplan: {name}: {fault}")
