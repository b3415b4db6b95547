"""The command line: every command, every exit code, one line for every failure."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click
import pytest
from click.testing import CliRunner, Result
from small import digest_line, message, request

import cacheplan
from cacheplan import anonymous, facts
from cacheplan.contest import NAMES
from cacheplan.io import desk, options
from cacheplan.io.cli import main

PROGRAM: Final = "import sys; from cacheplan.io.cli import main; sys.exit(main())"
#: The package under test, wherever it was imported from, and no other.
ENVIRONMENT: Final = {**os.environ, "PYTHONPATH": str(Path(cacheplan.__file__).parents[1])}
COMMANDS: Final = sorted(main.commands)
MARK: Final = {"type": "ephemeral"}
PROMPT: Final = [("s", 3_000, "system"), ("q", 2_000, "messages")]
GOOD: Final = [
    digest_line(PROMPT, id="a", automatic="5m", output_tokens=10),
    digest_line([("r", 100, "messages")], id="b", extends="a", at=60, automatic="5m"),
]
REFUSED: Final = digest_line(PROMPT, at=90, automatic="1h", marks=[{"block": 0, "ttl": "5m"}])
UNKNOWN: Final = digest_line(PROMPT, model="a-new-one", automatic="5m")
BODY: Final = request(message("user", "Hi"), system="Be brief. " * 2_000, cache_control=MARK)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of the test's own that holds a file of every kind."""
    monkeypatch.chdir(tmp_path)
    write("good.jsonl", GOOD)
    write("unknown.jsonl", [UNKNOWN])
    write("refused.jsonl", [*GOOD, REFUSED])
    write("body.json", [BODY])
    bad = {**BODY, "cache_control": {"type": "ephemeral", "ttl": "2h"}}
    write("rejected.json", [bad])
    write("later.json", [{**BODY, "system": "Be kind. " * 2_000}])
    write("new.json", [{**BODY, "model": "a-new-one"}])
    Path("empty.jsonl").touch()
    Path("broken.jsonl").write_text('{"at": 0,\n')
    Path("half.jsonl").write_text(f"{json.dumps(GOOD[0])}\n{{\n")
    Path("list.json").write_text("[]")
    Path("dir").mkdir()
    row = {"model": "a-new-one", "input": 1, "write_5m": 2, "write_1h": 3, "read": 4, "output": 5}
    Path("prices.json").write_text(json.dumps([{**row, "minimum": 1_000}]))
    Path("no_minimum.json").write_text(json.dumps([row]))
    Path("bad_prices.json").write_text(json.dumps([{**row, "input": "cheap"}]))
    Path("key").write_text("a key\n")
    return tmp_path


def write(name: str, lines: Iterable[Any]) -> None:
    """Write JSON Lines."""
    Path(name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(words: str, stdin: str | bytes | None = None) -> Result:
    """Run a command line in this process; no traceback may show in any case."""
    result = CliRunner().invoke(main, words.split(), input=stdin)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def rows(result: Result) -> list[dict[str, Any]]:
    """Read JSON Lines from standard output."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def command(*words: str) -> list[str]:
    """Return the words that run a command line in a process of its own."""
    return [sys.executable, "-c", PROGRAM, *words]


class TestHelp:
    """Everything says what it is for."""

    @pytest.mark.parametrize("words", ["", *COMMANDS])
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_help(self, words: str, flag: str) -> None:
        """Every command has help, and an option of it without help does not exist."""
        result = run(f"{words} {flag}")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("Usage: ")

    def test_commands(self) -> None:
        """The commands are those of the contract, as far as they are there."""
        promised = {
            "compare", "simulate", "check", "explain", "anonymize", "prices", "facts", "demo",
            "review",
        }  # fmt: skip
        assert promised <= set(COMMANDS)

    def test_every_command_that_prices_takes_prices_and_assumptions(self) -> None:
        """``--prices``, ``--assume`` and ``--quiet`` go with every command that simulates."""
        for name in ("compare", "simulate", "check", "explain", "anonymize", "review", "demo"):
            options = {option for one in main.commands[name].params for option in one.opts}
            assert {"--prices", "--assume", "--quiet"} <= options, name

    def test_no_words_is_a_question(self) -> None:
        """Without a command the help is shown, and the exit code says that none was given."""
        result = run("")
        assert result.exit_code == 2
        assert "Commands:" in result.output

    def test_version(self) -> None:
        """The version is said, installed or not."""
        result = run("--version")
        assert result.exit_code == 0
        assert result.stdout.startswith("cacheplan, version ")


class TestCompare:
    """``compare`` sets every policy side by side."""

    def test_text(self) -> None:
        """A table on standard output, nothing beside it."""
        result = run("compare good.jsonl")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("policy")

    def test_json_adds_up(self) -> None:
        """Each row of the JSON is the sum of what ``simulate`` prints for that policy."""
        found = json.loads(run("compare refused.jsonl --train 0 --format json").stdout)
        for row in found["policies"]:
            calls = rows(run(f"simulate refused.jsonl --policy {row['name']}"))
            for counter, total in row["usage"].items():
                assert total == sum(call[counter] for call in calls)
            assert row["cost_usd"] == pytest.approx(sum(call["cost_usd"] for call in calls))
            assert row["rejected"] == sum(call["rejected"] is not None for call in calls)

    def test_unknown_model(self) -> None:
        """The structure is printed whole, money is null, and the exit code says so."""
        result = run("compare unknown.jsonl --format json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["policies"][0]["cost_usd"] is None
        assert result.stderr.count("\n") == 1
        assert 'price of "a-new-one"' in result.stderr
        assert 'minimum of "a-new-one"' in result.stderr

    @pytest.mark.parametrize("how", ["--model claude-opus-5", "--prices prices.json"])
    def test_unknown_model_made_known(self, how: str) -> None:
        """``--model`` and ``--prices`` give an unknown model what it lacks."""
        found = run(f"compare unknown.jsonl --format json {how}")
        assert (found.exit_code, found.stderr) == (0, "")
        automatic = json.loads(found.stdout)["policies"][2]
        assert automatic["usage"]["write_5m"] == 5_000
        assert automatic["cost_usd"] is not None

    def test_model_without_a_row(self) -> None:
        """``--model`` with a model that nobody knows cannot be evaluated."""
        assert run("compare good.jsonl --model a-new-one").exit_code == 3

    def test_price_without_minimum(self) -> None:
        """A price alone does not say what is cached, and that is said."""
        result = run("compare unknown.jsonl --prices no_minimum.json")
        assert result.exit_code == 3
        assert "minimum" in result.stderr
        assert "price of" not in result.stderr
        assert (
            run("simulate unknown.jsonl --policy uncached --prices no_minimum.json").exit_code == 0
        )

    def test_several_files(self) -> None:
        """Several files are one workload; so is standard input."""
        write("more.jsonl", [digest_line(PROMPT, at=5)])
        found = json.loads(run("compare good.jsonl more.jsonl --train 0 --format json").stdout)
        assert found["workload"]["calls"] == 3
        stdin = Path("good.jsonl").read_bytes()
        Path("packed").write_bytes(gzip.compress(stdin))
        assert (
            json.loads(run("compare packed --train 0 --format json").stdout)["workload"]["calls"]
            == 2
        )

    def test_train(self) -> None:
        """Everybody is scored on the calls after the share of the time that is learned from."""
        found = json.loads(run("compare good.jsonl --format json").stdout)
        assert found["workload"]["calls"] == 1
        assert found["notes"][0].startswith("Learned on the first 1 calls, scored on the 1 after")
        everything = json.loads(run("compare good.jsonl --train 0 --format json").stdout)
        assert everything["notes"][0].startswith("Chosen and scored on the same calls")
        assert run("compare good.jsonl --train 2").exit_code == 2

    def test_every_policy_stands_beside_the_bound(self) -> None:
        """All names of the contract are there, and none costs less than the bound."""
        found = json.loads(run("compare good.jsonl --train 0 --format json").stdout)
        assert [row["name"] for row in found["policies"]] == list(NAMES)
        assert found["bound"]["name"] in {"loose", "tree"}
        assert found["bounds"]["loose"] <= found["bound"]["input_cost_usd"]
        assert all(row["ratio_to_bound"] >= 1 for row in found["policies"] if not row["rejected"])

    def test_assumptions_are_used(self) -> None:
        """An answer to an open question changes what is simulated."""
        plain = run("simulate good.jsonl --policy as-marked").stdout
        other = run("simulate good.jsonl --policy as-marked --assume hit_rate=0").stdout
        assert [row["read"] for row in map(json.loads, plain.splitlines())] == [0, 5_000]
        assert [row["read"] for row in map(json.loads, other.splitlines())] == [0, 0]


class TestSimulate:
    """``simulate`` prints one object a call."""

    def test_rows(self) -> None:
        """The keys are those of the contract, the numbers those of the service."""
        assert rows(run("simulate good.jsonl --policy as-marked")) == [
            {
                "call": 0, "id": "a", "at": 0, "read": 0, "write_5m": 5_000, "write_1h": 0,
                "uncached": 0, "output": 10, "cost_usd": 0.0126, "rejected": None,
            },
            {
                "call": 1, "id": "b", "at": 60, "read": 5_000, "write_5m": 100, "write_1h": 0,
                "uncached": 0, "output": 0, "cost_usd": 0.00125, "rejected": None,
            },
        ]  # fmt: skip

    def test_time_order(self) -> None:
        """Calls come out in the order of time, whatever the order of the file."""
        write("late.jsonl", [digest_line(PROMPT, at=9, id="x"), digest_line(PROMPT, at=3, id="y")])
        found = rows(run("simulate late.jsonl --policy automatic"))
        assert [(row["call"], row["id"]) for row in found] == [(0, "y"), (1, "x")]
        assert [row["read"] for row in found] == [0, 5_000]

    def test_refused_call(self) -> None:
        """A refused call has the service's words, counts nothing and costs nothing."""
        result = run("simulate refused.jsonl --policy as-marked")
        row = rows(result)[2]
        assert result.exit_code == 0
        assert "must not come after a ttl='5m'" in row["rejected"]
        assert row["cost_usd"] == row["uncached"] == row["write_5m"] == row["output"] == 0

    def test_unknown_model(self) -> None:
        """Every row is printed, with null for money, before the exit code says so."""
        result = run("simulate unknown.jsonl --policy automatic")
        assert result.exit_code == 3
        (row,) = rows(result)
        assert (row["cost_usd"], row["uncached"]) == (None, 5_000)

    def test_policy_is_needed(self) -> None:
        """Without a policy there is nothing to simulate."""
        assert run("simulate good.jsonl").exit_code == 2


class TestCheck:
    """``check`` looks at one body."""

    def test_fine(self) -> None:
        """A body against which nothing is to be said ends with 0."""
        result = run("check body.json")
        assert result.exit_code == 0
        assert result.stdout.startswith("Nothing to say against it")

    def test_rejected(self) -> None:
        """A body that the service refuses ends with 1 and the service's words."""
        result = run("check rejected.json --format json")
        assert result.exit_code == 1
        (found,) = json.loads(result.stdout)
        assert found["severity"] == "error"
        assert "Input should be '5m' or '1h'" in found["message"]

    def test_warning_is_no_refusal(self) -> None:
        """A wasted mark is a warning, and no refusal."""
        write("short.json", [request(message("user", "Hi"), cache_control=MARK)])
        result = run("check short.json")
        assert result.exit_code == 0
        assert result.stdout.startswith("warning: messages[0].content[0]: this mark does nothing")

    def test_unknown_minimum(self) -> None:
        """Marks that nobody can judge end with 3."""
        result = run("check new.json")
        assert result.exit_code == 3
        assert "unknown-minimum" in result.stdout
        assert "a-new-one" in result.stderr

    def test_platforms_are_the_known_ones(self) -> None:
        """The platforms on offer are those of the tables."""
        assert tuple(facts.PLATFORMS) == options.PLATFORMS

    def test_broken_body(self) -> None:
        """What is wrong with a body is said with file and path."""
        write("odd.json", [{**BODY, "messages": [{"role": "robot", "content": "x"}]}])
        result = run("check odd.json")
        assert result.exit_code == 2
        assert result.stderr.startswith("cacheplan: odd.json: messages[0].role: ")


class TestExplain:
    """``explain`` sets two bodies against each other."""

    def test_shapes(self) -> None:
        """Prompts are shown as shapes, and the first difference in the API's word."""
        result = run("explain body.json later.json")
        assert result.exit_code == 0
        assert result.stdout.startswith("system_changed: the text changed\n  at      system[0]")
        assert "brief" not in result.stdout

    def test_show_text(self) -> None:
        """Asked for, the text is shown, in JSON as well."""
        found = json.loads(run("explain body.json later.json --format json --show-text").stdout)
        assert found["before"].startswith("Be brief.")
        assert (found["place"], found["offset"]) == ("system[0]", 3)

    def test_equal(self) -> None:
        """Where nothing is in the way, that is what is said."""
        assert run("explain body.json body.json").stdout.startswith("nothing is in the way")

    def test_unknown_minimum(self) -> None:
        """Where the answer needs a minimum that nobody states, it is not given."""
        assert run("explain new.json new.json").exit_code == 3

    def test_the_faulty_file_is_named(self) -> None:
        """Of two bodies, the one that is wrong is named."""
        write("odd.json", [{**BODY, "system": 5}])
        result = run("explain body.json odd.json")
        assert result.exit_code == 2
        assert result.stderr.startswith("cacheplan: odd.json: system: ")


class TestAnonymize:
    """``anonymize`` writes all of the digest form, or nothing."""

    def test_same_simulation(self) -> None:
        """The copy is simulated as the original is."""
        assert run("anonymize good.jsonl -o copy.jsonl").exit_code == 0
        before, after = (
            rows(run(f"simulate {name} --policy as-marked"))
            for name in ("good.jsonl", "copy.jsonl")
        )
        assert [{**row, "id": None} for row in before] == [{**row, "id": None} for row in after]

    def test_keys(self) -> None:
        """A key of one's own gives the same copy twice; a random one never does."""
        for name in ("one", "two"):
            run(f"anonymize good.jsonl -o {name} --key-file key")
            run(f"anonymize good.jsonl -o random-{name}")
        assert Path("one").read_text() == Path("two").read_text()
        assert Path("random-one").read_text() != Path("random-two").read_text()

    def test_standard_output(self) -> None:
        """A dash writes to standard output."""
        result = run("anonymize good.jsonl -o - --key-file key")
        assert [row["blocks"][0]["tokens"] for row in rows(result)] == [3_000, 100]

    @pytest.mark.parametrize("before", [None, "what was there"])
    def test_failing_half_way(self, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
        """A failure half way leaves no file, and an old one as it was."""

        def failing(*_: object) -> Iterable[dict[str, Any]]:
            yield {"id": "x"}
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(anonymous, "anonymous", failing)
        there = set(Path().iterdir())
        if before is not None:
            Path("copy.jsonl").write_text(before)
        result = run("anonymize good.jsonl -o copy.jsonl")
        assert result.exit_code == 2
        assert result.stderr == "cacheplan: copy.jsonl: no space left on device\n"
        if before is None:
            assert set(Path().iterdir()) == there
        else:
            assert Path("copy.jsonl").read_text() == before

    def test_links_stay_links(self) -> None:
        """Written through a link, the file it leads to is new and the link stays."""
        Path("target").touch()
        Path("link").symlink_to("target")
        run("anonymize good.jsonl -o link")
        assert Path("link").is_symlink()
        assert Path("target").read_text().count("\n") == 2

    def test_pipes_stay_pipes(self) -> None:
        """Written into a named pipe, the lines go through it and it stays one."""
        os.mkfifo("pipe")
        words = command("anonymize", "good.jsonl", "-o", "pipe")
        with subprocess.Popen(words, env=ENVIRONMENT) as writer:
            assert Path("pipe").read_text().count("\n") == 2
            assert writer.wait(60) == 0
        assert Path("pipe").is_fifo()

    def test_empty_key(self) -> None:
        """An empty key is none."""
        result = run("anonymize good.jsonl -o copy.jsonl --key-file empty.jsonl")
        assert (result.exit_code, Path("copy.jsonl").exists()) == (2, False)


class TestTables:
    """``prices``, ``facts`` and ``demo`` need no file."""

    def test_prices(self) -> None:
        """Rows are listed with their source, the user's own among them."""
        text = run("prices").stdout
        assert "claude-opus-5-5" in text
        assert "Claude docs" in text
        assert "batch" in text
        found = json.loads(run("prices --format json --prices prices.json").stdout)
        assert found[0]["model"] == "a-new-one"
        assert all(row["source"] for row in found)

    def test_facts(self) -> None:
        """Models, limits, what breaks a prefix and the open questions are all there."""
        found = json.loads(run("facts --format json --assume lookback=7").stdout)
        assert set(found) == {"models", "limits", "invalidation", "assumptions"}
        assert found["limits"] == {"breakpoints": 4, "lookback": 20}
        values = {row["name"]: row["value"] for row in found["assumptions"]}
        assert values["lookback"] == 7
        text = run("facts").stdout
        for row in found["models"]:
            assert row["id"] in text
        for row in found["invalidation"]:
            assert row["change"] in text
        for row in found["assumptions"]:
            assert row["question"] in text

    def test_demo(self) -> None:
        """The demonstration needs nothing at all, and saves something."""
        result = run("demo --format json")
        assert (result.exit_code, result.stderr) == (0, "")
        policies = json.loads(result.stdout)["projection"]["policies"]
        found = {row["name"]: row for row in policies}
        assert found["system-tail"]["ratio_to_uncached"] < 0.7


class TestFailures:
    """A failure is one clear line on standard error and the exit code of its kind."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("compare nothing.jsonl", "nothing.jsonl: no such file"),
            ("compare empty.jsonl", "empty.jsonl: no calls in it"),
            ("compare broken.jsonl", "broken.jsonl line 1: "),
            ("compare half.jsonl", "half.jsonl line 2: "),
            ("compare dir", "dir: no files in it"),
            ("compare good.jsonl --assume refres=own", "refresh"),
            ("compare good.jsonl --assume refresh=never", "reader or longer"),
            ("compare good.jsonl --assume refresh", "refresh"),
            ("compare good.jsonl --prices nothing.json", "nothing.json: no such file"),
            ("compare good.jsonl --prices broken.jsonl", "broken.jsonl: "),
            ("compare good.jsonl --prices bad_prices.json", "bad_prices.json: [0].input: "),
            ("simulate good.jsonl --policy best", "uncached, as-marked, automatic,"),
            ("check nothing.json", "nothing.json: no such file"),
            ("check empty.jsonl", "empty.jsonl: "),
            ("check broken.jsonl", "broken.jsonl: "),
            ("check list.json", "list.json: a body is an object"),
            ("check dir", "dir: is a directory"),
            ("explain body.json nothing.json", "nothing.json: no such file"),
            ("anonymize good.jsonl -o dir", "dir: is a directory"),
            ("anonymize good.jsonl -o nowhere/x", "nowhere/x: no such file"),
            ("anonymize nothing.jsonl -o copy.jsonl", "nothing.jsonl: no such file"),
            ("anonymize good.jsonl -o copy.jsonl --key-file nothing", "nothing: no such file"),
            ("prices --prices nothing.json", "nothing.json: no such file"),
            ("facts --assume x=1", '"x"'),
        ],
    )
    def test_bad_input(self, words: str, said: str) -> None:
        """Bad input ends with 2; the line says what is wrong, and where."""
        result = run(words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("cacheplan: ")
        assert result.stderr.count("\n") == 1
        assert said.lower() in result.stderr.lower()

    @pytest.mark.parametrize(
        "words",
        ["frobnicate", "compare", "compare good.jsonl --format xml", "--frob", "check body.json x"],
    )
    def test_bad_usage(self, words: str) -> None:
        """Bad usage ends with 2, and says how to ask for help."""
        result = run(words)
        assert result.exit_code == 2
        assert "Usage: " in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize("platform", ["mars", ""])
    def test_bad_platform(self, platform: str) -> None:
        """A platform that is none is bad usage, and the known ones are listed."""
        result = CliRunner().invoke(main, ["check", "body.json", "--platform", platform])
        assert result.exit_code == 2
        assert "foundry" in result.stderr

    def test_interrupted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C ends with what a shell expects, and no traceback."""

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(desk.Desk, "compare", interrupted)
        result = run("compare good.jsonl")
        assert result.exit_code == 130
        assert result.stderr.strip() == "cacheplan: interrupted"

    def test_defect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A defect of ours is called one, says where it is, and claims no answer."""

        def defective(*_: object, **__: object) -> None:
            raise KeyError("surprise")

        monkeypatch.setattr(desk.Desk, "compare", defective)
        result = run("compare good.jsonl")
        assert result.exit_code == 3
        line = r"cacheplan: a defect of its own: KeyError: 'surprise' \(test_cli.py:\d+\)\n"
        assert re.fullmatch(line, result.stderr)

    def test_inside_of_another_program(self) -> None:
        """Called without its own ending, errors rise as they are."""
        with pytest.raises(cacheplan.CacheplanError):
            main(["compare", "nothing.jsonl"], standalone_mode=False)
        with pytest.raises(click.UsageError):
            main(["frobnicate"], standalone_mode=False)


class TestStreams:
    """Answers go to standard output, notes to standard error, and neither is coloured."""

    def test_notes(self) -> None:
        """What was skipped is said beside the answer, unless told to be quiet."""
        loud, quiet = (
            run(f"compare half.jsonl --skip-bad --format json {flag}") for flag in ("", "--quiet")
        )
        assert loud.exit_code == quiet.exit_code == 0
        assert re.fullmatch(r"note: .*skipped.*\n", loud.stderr)
        assert "1" in loud.stderr
        assert quiet.stderr == ""
        assert json.loads(loud.stdout) == json.loads(quiet.stdout)

    @pytest.mark.parametrize("words", ["compare good.jsonl", "facts", "prices", "check body.json"])
    @pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
    def test_no_colour(self, words: str, wish: dict[str, str]) -> None:
        """No command writes control characters, whatever the terminal wishes."""
        result = CliRunner(env=wish).invoke(main, words.split(), color=True)
        assert "\x1b" not in result.output

    def test_narrow_terminal(self) -> None:
        """A terminal without the sign for plus or minus is told its number."""
        write("short.json", [request(message("user", "Hi"), cache_control=MARK)])
        environment = {**ENVIRONMENT, "PYTHONIOENCODING": "iso8859-5"}
        done = subprocess.run(
            command("check", "short.json"), env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0
        assert b"\\xb1" in done.stdout
        assert done.stderr == b""


class TestProcesses:
    """In a process of its own, as a shell runs it."""

    def test_standard_input(self) -> None:
        """A dash reads the workload from standard input."""
        done = subprocess.run(
            command("simulate", "-", "--policy", "automatic"),
            input=Path("good.jsonl").read_bytes(),
            env=ENVIRONMENT,
            capture_output=True,
            check=True,
        )
        assert len(done.stdout.splitlines()) == 2

    @pytest.mark.parametrize("words", [("facts",), ("--help",), ("simulate", "long.jsonl")])
    def test_reader_that_goes(self, words: tuple[str, ...]) -> None:
        """Where the reader has seen enough, the command ends well and says nothing."""
        if words[0] == "simulate":
            write("long.jsonl", [digest_line([("q", 1, "messages")], at=at) for at in range(5_000)])
            words = (*words, "--policy", "uncached")
        with subprocess.Popen(
            command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 0

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device here")
    def test_full_disk(self) -> None:
        """Where output cannot be written, that is said in a line."""
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                command("prices"), env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, check=False
            )
        assert done.returncode == 2
        assert done.stderr == b"cacheplan: standard output: no space left on device\n"

    @pytest.mark.parametrize("words", ["review NAME", "fix NAME -o out", "costs NAME"])
    def test_a_name_that_no_file_has(self, words: str) -> None:
        """What the system says of a name is said of that name, not of standard output."""
        name = "a" * 300
        done = run(words.replace("NAME", name))
        assert done.exit_code == 2
        assert done.stderr == f"cacheplan: {name}: file name too long\n"

    def test_interrupted_while_reading(self) -> None:
        """Ctrl-C while waiting for input ends the command without a traceback."""
        with subprocess.Popen(
            command("compare", "-"),
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(Path("good.jsonl").read_bytes())
            process.stdin.flush()
            time.sleep(2)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert out == b""
        assert err.strip() == b"cacheplan: interrupted"

    def test_exit_codes(self) -> None:
        """The four exit codes are those a shell sees."""
        codes = [
            subprocess.run(
                command(*words.split()), env=ENVIRONMENT, capture_output=True, check=False
            )
            for words in (
                "compare good.jsonl",
                "check rejected.json",
                "compare nothing.jsonl",
                "compare unknown.jsonl",
            )
        ]
        assert [done.returncode for done in codes] == [0, 1, 2, 3]
        assert not any(b"Traceback" in done.stderr for done in codes)


class TestPlan:
    """``plan`` chooses, ``mark`` writes, and ``simulate`` serves what was written."""

    def test_chosen_stored_and_used(self) -> None:
        """A plan goes into a file, from there into bodies, and the bodies cost what it said."""
        write("jobs.jsonl", [{"at": at * 60, "request": job(at)} for at in range(12)])
        chosen = run("plan jobs.jsonl -o plan.json")
        assert (chosen.exit_code, chosen.stderr) == (0, "")
        assert "mark at the end of" in chosen.stdout
        assert "No plan costs less than" in chosen.stdout
        assert json.loads(Path("plan.json").read_text())["format"] == "cacheplan.plan/1"
        planned = rows(run("simulate jobs.jsonl --plan plan.json"))
        assert run("mark jobs.jsonl --plan plan.json -o marked.jsonl").exit_code == 0
        assert rows(run("simulate marked.jsonl --policy as-marked")) == planned
        assert sum(row["read"] for row in planned) > 0

    def test_against(self) -> None:
        """Two plans are compared in sentences."""
        write("jobs.jsonl", [{"at": at * 60, "request": job(at)} for at in range(12)])
        run("plan jobs.jsonl -o plan.json")
        assert "nothing differs" in run("plan jobs.jsonl --against plan.json").stdout
        write("slow.jsonl", [{"at": at * 1500, "request": job(at)} for at in range(12)])
        assert "system: 1h, there 5m" in run("plan slow.jsonl --against plan.json").stdout

    def test_mark_a_body(self) -> None:
        """One body is marked by a plan or by a rule that needs no other call."""
        Path("body.json").write_text(json.dumps(job(0)))
        marked = json.loads(run("mark body.json --policy system-tail").stdout)
        assert marked["system"][0]["cache_control"] == {"type": "ephemeral"}
        learned = run("mark body.json --policy planned")
        assert learned.exit_code == 2
        assert "learns from many calls" in learned.stderr

    def test_policies_that_learn_mark_what_they_have_seen(self) -> None:
        """The first call is marked knowing nothing, so the same as if the rest were not there."""
        lines = [{"at": at * 60, "request": job(at)} for at in range(12)]
        write("jobs.jsonl", lines)
        write("first.jsonl", lines[:1])
        for policy in ("adaptive", "planned"):
            whole = run(f"mark jobs.jsonl --policy {policy}").stdout.splitlines()
            first = run(f"mark first.jsonl --policy {policy}").stdout.splitlines()
            assert json.loads(whole[0]) == json.loads(first[0])
        foreseen = run("mark jobs.jsonl --policy hindsight")
        assert (foreseen.exit_code, foreseen.stdout) == (2, "")

    def test_marks_of_the_digest_form(self) -> None:
        """Lines without text are marked as well, and say the same when they are served."""
        lines = [
            digest_line([("s", 4_000, "system"), (f"m{at}", 50, "messages")], at=at * 60)
            for at in range(9)
        ]
        write("digests.jsonl", lines)
        assert run("mark digests.jsonl --policy system-tail -o marked.jsonl").exit_code == 0
        marked = rows(run("simulate marked.jsonl --policy as-marked"))
        assert marked == rows(run("simulate digests.jsonl --policy system-tail"))

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            ("mark good.jsonl", "either --policy NAME or --plan"),
            ("simulate good.jsonl --policy automatic --plan plan.json", "either --policy NAME"),
            ("simulate good.jsonl --policy best", '"best" is not a policy'),
            ("simulate good.jsonl --plan good.jsonl", "good.jsonl"),
            ("mark good.jsonl --plan missing.json", "missing.json"),
        ],
    )
    def test_what_places_the_marks_is_said_once(self, command: str, words: str) -> None:
        """Neither, both, or one that is none: one line, and exit code 2."""
        result = run(command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.count("\n") == 1
        assert words in result.stderr


def job(at: int) -> dict[str, Any]:
    """Return a body with a long shared system prompt and an input of its own."""
    text = "Sort this ticket into one of the queues below. " * 400
    return request(message("user", f"ticket {at}"), system=text, model="claude-sonnet-4-5")


@pytest.mark.skipif(os.name != "posix", reason="who may read a file is said otherwise here")
def test_who_may_read_what_is_written_is_the_users_own_setting() -> None:
    """A file that appears whole has the permissions of any file made by hand."""
    write("jobs.jsonl", [{"at": 0, "request": job(0)}])
    Path("by-hand").touch()
    assert run("mark jobs.jsonl --policy static -o marked.jsonl").exit_code == 0
    assert Path("marked.jsonl").stat().st_mode == Path("by-hand").stat().st_mode
