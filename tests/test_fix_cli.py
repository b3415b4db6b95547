"""``cacheplan fix``: what it writes, what it says, and what it never touches."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from reviewed import LONG, agent
from reviews import PERSON, dated
from small import message, request

from cacheplan.io.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with calls to mend."""
    monkeypatch.chdir(tmp_path)
    write("dated.jsonl", dated(every=100))
    write("good.jsonl", agent(0, 6, system=LONG))
    unknown = [{**line, "request": line["request"] | {"model": "a-new-one"}} for line in dated()]
    write("unknown.jsonl", unknown)
    Path("half.jsonl").write_text(f"{json.dumps(dated()[0])}\n\n{{\n")
    Path("empty.jsonl").touch()
    return tmp_path


def write(name: str, lines: Iterable[Any]) -> None:
    """Write JSON Lines."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def lines(name: str) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def run(words: str, given: str = "") -> Result:
    """Run a command line in this process; no traceback may show in any case."""
    result = CliRunner().invoke(main, words.split(), input=given)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def cost(name: str) -> float:
    """Serve a file's calls as they are marked."""
    calls = run(f"simulate {name} --policy as-marked").stdout.splitlines()
    return sum(float(json.loads(call)["cost_usd"]) for call in calls)


class TestWritten:
    """The same lines, mended."""

    def test_summary(self) -> None:
        """What was edited and what it saves is said on standard error, and nothing else."""
        result = run("fix dated.jsonl -o out.jsonl --unsafe")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "CP001 volatile-span, calls: 12 (changes what the model reads)" in result.stderr
        assert "saves $" in result.stderr
        assert PERSON not in result.stderr
        assert cost("out.jsonl") < cost("dated.jsonl")
        assert len(Path("out.jsonl").read_text().splitlines()) == 12

    def test_quiet(self) -> None:
        """Quiet, it only writes."""
        assert run("fix dated.jsonl -o out.jsonl --unsafe --quiet").stderr == ""

    def test_nothing_to_mend(self) -> None:
        """Good calls come out byte for byte."""
        result = run("fix good.jsonl -o out.jsonl")
        assert "nothing was edited" in result.stderr
        assert Path("out.jsonl").read_bytes() == Path("good.jsonl").read_bytes()

    @pytest.mark.parametrize("unsafe", ["", " --unsafe"])
    def test_twice(self, unsafe: str) -> None:
        """A mended file is mended."""
        run(f"fix dated.jsonl -o once.jsonl{unsafe}")
        run(f"fix once.jsonl -o twice.jsonl{unsafe}")
        assert Path("once.jsonl").read_bytes() == Path("twice.jsonl").read_bytes()

    def test_sources(self) -> None:
        """Files are read compressed, several as one, and from standard input."""
        Path("dated.jsonl.gz").write_bytes(gzip.compress(Path("dated.jsonl").read_bytes()))
        run("fix dated.jsonl good.jsonl -o both.jsonl --unsafe")
        given = Path("dated.jsonl").read_text()
        run("fix - good.jsonl -o piped.jsonl --unsafe", given)
        run("fix dated.jsonl.gz good.jsonl -o packed.jsonl --unsafe")
        both = Path("both.jsonl").read_bytes()
        assert Path("piped.jsonl").read_bytes() == both == Path("packed.jsonl").read_bytes()
        assert (
            run("fix - -o - --unsafe --quiet", given).stdout
            == run("fix dated.jsonl -o - --unsafe --quiet").stdout
        )

    def test_settings(self) -> None:
        """A rule that is off is not mended."""
        Path("pyproject.toml").write_text('[tool.cacheplan]\noff = ["CP001"]\n')
        assert "CP001" not in run("fix dated.jsonl -o out.jsonl --unsafe").stderr


class TestRefused:
    """What it does not do."""

    def test_never_over_the_source(self) -> None:
        """The calls that are read are not written over, under whatever name."""
        before = Path("dated.jsonl").read_bytes()
        os.link("dated.jsonl", "other.jsonl")
        for name in ("dated.jsonl", "./dated.jsonl", "other.jsonl"):
            result = run(f"fix dated.jsonl -o {name}")
            assert result.exit_code == 2
            assert "write it to another file" in result.stderr
        assert Path("dated.jsonl").read_bytes() == before

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            ("dated.jsonl", 2, "--output"),
            ("half.jsonl -o out.jsonl", 2, "half.jsonl line 3"),
            ("dated.jsonl half.jsonl -o out.jsonl", 2, "half.jsonl line 3"),
            ("nothing.jsonl -o out.jsonl", 2, "nothing.jsonl"),
            ("nothing.jsonl -o good.jsonl", 2, "nothing.jsonl"),
            ("dated.jsonl -o .", 2, "directory"),
            ("empty.jsonl -o out.jsonl", 2, "empty.jsonl: no calls"),
            ("dated.jsonl -o no/where/out.jsonl", 2, "no/where/out.jsonl"),
        ],
    )
    def test_bad(self, words: str, code: int, said: str) -> None:
        """What is wrong is said in a line, and no file is left."""
        kept = {name: name.read_bytes() for name in Path().iterdir()}
        result = run(f"fix {words}")
        assert result.exit_code == code
        assert said in result.stderr
        assert {name: name.read_bytes() for name in Path().iterdir()} == kept

    def test_skipped(self) -> None:
        """Lines that cannot be read are left out if that is asked for, and counted."""
        result = run("fix half.jsonl -o out.jsonl --skip-bad")
        assert result.exit_code == 0
        assert "left out: 1" in result.stderr
        assert len(Path("out.jsonl").read_text().splitlines()) == 1

    def test_unknown_model(self) -> None:
        """Without a price the calls are written as they were, and the exit code says so."""
        result = run("fix unknown.jsonl -o out.jsonl --unsafe")
        assert result.exit_code == 3
        assert Path("out.jsonl").read_bytes() == Path("unknown.jsonl").read_bytes()
        replayed = run("fix unknown.jsonl -o out.jsonl --unsafe --model claude-sonnet-5")
        assert replayed.exit_code == 0
        assert {line["request"]["model"] for line in lines("out.jsonl")} == {"a-new-one"}

    def test_assumptions(self) -> None:
        """What nobody documents is answered as for any command."""
        text = [{"type": "text", "text": LONG}]
        system = [LONG, text] * 4
        write(
            "forms.jsonl",
            [
                {"at": 20 * at, "request": request(message("user", f"q{at}"), system=one)}
                for at, one in enumerate(system)
            ],
        )
        result = run("fix forms.jsonl -o out.jsonl --assume string_form=differs")
        assert "CP006" in result.stderr
        found = [line["request"]["system"] for line in lines("out.jsonl")]
        assert {json.dumps([block["text"] for block in one]) for one in found} == {
            json.dumps([LONG])
        }
