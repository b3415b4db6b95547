"""Logs are found, told apart by how they begin, and each call is counted once."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from letters import Letters
from lighthouse import ANSWERS, BODIES, MODEL

from cacheplan.errors import InputError
from cacheplan.io.cli import main
from cacheplan.io.documents import Head
from cacheplan.io.logs import FORMATS, converted, files, format_of, names_of_formats
from cacheplan.io.moments import moment
from cacheplan.io.reading import lines, read
from cacheplan.io.tally import Tally
from cacheplan.workload import Workload

LOGS = Path(__file__).parent / "logs"
#: Every command that reads a workload, as far as it stands before the workload.
READING = [
    "review", "compare", "costs", "levers", "estimate", "batch advise --deadline 24h",
    "migrate --to claude-sonnet-5-5", "simulate --policy automatic", "plan -o OUT", "fix -o OUT",
    "mark --policy automatic -o OUT", "anonymize -o OUT", "convert -o OUT",
]  # fmt: skip
PLAIN: dict[str, Any] = {"whole": False, "watch": lambda _: None}


def runs(first: int = 0, end: int = 4) -> list[dict[str, Any]]:
    """Return calls as a wrapped client's log has them."""
    return [
        {
            "id": f"00000000-0000-0000-0000-00000000000{at}",
            "trace_id": "t",
            "run_type": "llm",
            "start_time": f"2026-11-21T10:0{at}:00",
            "end_time": f"2026-11-21T10:0{at}:02",
            "inputs": BODIES[at],
            "outputs": {
                "id": f"msg_{at}",
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": ANSWERS[at],
                "usage_metadata": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            },
        }
        for at in range(first, end)
    ]


def own(at: int = 0) -> dict[str, Any]:
    """Return a call in our own form."""
    return {"at": 1_795_000_000 + at, "id": f"own {at}", "request": BODIES[at]}


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    """Write entries, a line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def calls(*sources: Path | str, **how: Any) -> Workload:
    """Read some sources."""
    return read(*sources, counter=Letters(), **how)


class TestFinding:
    """A file, a folder, a pattern."""

    def test_a_log_is_read_as_it_is(self, tmp_path: Path) -> None:
        """Nobody names its format."""
        found = calls(write(tmp_path / "anything", runs()))
        assert [call.id for call in found] == [run["id"] for run in runs()]
        assert [call.recorded.uncached for call in found if call.recorded] == [10] * 4

    def test_a_folder_holds_every_form(self, tmp_path: Path) -> None:
        """Files of several formats, packed or not, deep or not, make one workload."""
        write(tmp_path / "a" / "b" / "runs.jsonl", runs(0, 2))
        write(tmp_path / "own.jsonl", [own(2)])
        raw = json.dumps(runs(2, 4)).encode()
        (tmp_path / "list.json.gz").write_bytes(gzip.compress(raw))
        (tmp_path / "notes.txt").write_text("nothing of interest\n")
        (tmp_path / "empty").touch()
        write(tmp_path / ".kept" / "runs.jsonl", runs(0, 4))
        found = calls(tmp_path)
        assert len(found) == 5
        what = "files of a folder that hold no calls in any known form, left out: 2"
        assert what in found.notes

    def test_a_pattern_is_what_it_fits(self, tmp_path: Path) -> None:
        """A pattern that nobody expanded is expanded here."""
        write(tmp_path / "one.jsonl", runs(0, 1))
        write(tmp_path / "two.jsonl", runs(1, 2))
        write(tmp_path / "two.json", runs(2, 3))
        assert len(calls(str(tmp_path / "*.jsonl"))) == 2

    @pytest.mark.parametrize("name", ["*.nothing", "folder"])
    def test_nothing_found_is_said(self, tmp_path: Path, name: str) -> None:
        """No file, no call: that is an error, not an empty report."""
        (tmp_path / "folder").mkdir()
        with pytest.raises(InputError, match=r"no file fits|no files in it"):
            calls(str(tmp_path / name))

    def test_links_are_followed_to_files_only(self, tmp_path: Path) -> None:
        """A folder that leads back into itself is read once, and a link to nothing is no file."""
        write(tmp_path / "real" / "runs.jsonl", runs())
        (tmp_path / "real" / "again").symlink_to(tmp_path)
        (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nothing")
        found = calls(tmp_path)
        assert len(found) == 4
        assert not found.notes

    def test_a_name_that_no_file_has(self) -> None:
        """What the system does not even look for is said of the name, whoever asks."""
        name = "a" * 300
        for ask in (calls, lambda name: list(converted([name], Tally(), None, None, **PLAIN))):
            with pytest.raises(InputError, match=rf"^{name}: file name too long"):
                ask(name)

    def test_a_folder_that_may_not_be_read(self) -> None:
        """What lies in a folder that may not be looked into is not left out in silence."""
        with tempfile.TemporaryDirectory() as top:
            shut = Path(top, "logs", "shut")
            write(shut / "runs.jsonl", runs())
            Path(top).chmod(0o755)
            shut.chmod(0)
            user = os.geteuid()
            os.seteuid(user or 65534)  # Nothing is shut for root.
            try:
                for name in (shut.parent, shut, shut / "runs.jsonl"):
                    with pytest.raises(InputError, match=r"shut(/runs.jsonl)?: permission denied"):
                        files(name)
            finally:
                os.seteuid(user)
                shut.chmod(0o755)

    def test_a_folder_without_calls_is_said(self, tmp_path: Path) -> None:
        """A folder of other things is named."""
        (tmp_path / "notes.txt").write_text("nothing of interest\n")
        with pytest.raises(InputError, match="no file in it has calls in any known form"):
            calls(tmp_path)

    def test_a_file_that_is_named_is_read_as_ours(self, tmp_path: Path) -> None:
        """What somebody names and nobody knows says where it is no workload."""
        path = tmp_path / "mine.jsonl"
        path.write_text('{"request": {}}\n')
        with pytest.raises(InputError, match=r"mine\.jsonl line 1: at: missing"):
            calls(path)

    def test_a_form_that_nobody_knows_is_said(self, tmp_path: Path) -> None:
        """What has not a word of ours is no workload with a fault in its first line."""
        path = write(tmp_path / "other.jsonl", [{"prompt": "Is the lamp lit?", "ms": 12}])
        with pytest.raises(InputError, match=r"other\.jsonl: this is in no form that is known"):
            calls(path)


class TestOnce:
    """Exports that overlap have calls in common."""

    def test_calls_of_two_exports_are_counted_once(self, tmp_path: Path) -> None:
        """Whatever the order, each call is there once, and the rest is said."""
        one = write(tmp_path / "monday.jsonl", runs(0, 3))
        two = write(tmp_path / "tuesday.jsonl", runs(1, 4))
        for sources in ((one, two), (two, one), (one, two, one)):
            found = calls(*sources)
            assert sorted(call.id or "" for call in found) == [run["id"] for run in runs()]
            repeated = sum(len(list(lines(source))) for source in sources) - 4
            assert any(note.endswith(f"left out: {repeated}") for note in found.notes)

    def test_what_goes_on_from_a_call_told_before_still_does(self, tmp_path: Path) -> None:
        """A conversation of which another log has the first call is whole."""
        kept = gzip.decompress((LOGS / "claude_code_lighthouse.jsonl.gz").read_bytes())
        session = tmp_path / "session.jsonl"
        session.write_bytes(kept)
        alone = calls(session)
        tally = Tally()
        (first, *_) = converted([session], tally, None, None, whole=True, watch=lambda _: None)
        line = json.loads(first)
        other = {"ts": line["at"], "request": line["request"], "response": line["response"]}
        both = calls(write(tmp_path / "a.jsonl", [other]), session)
        assert len(both) == len(alone) == 4
        assert [both.prompt_tokens(call) for call in both] == [
            alone.prompt_tokens(call) for call in alone
        ]
        copy = tmp_path / "copy.jsonl"
        for whole in (True, False):
            found = converted(
                [tmp_path / "a.jsonl", session],
                Tally(),
                None,
                None,
                whole=whole,
                watch=lambda _: None,
            )
            copy.write_bytes(b"\n".join(found))
            assert len(calls(copy)) == 4

    def test_our_own_files_go_on_from_one_another(self, tmp_path: Path) -> None:
        """Whatever is read between them."""
        first = write(tmp_path / "a.jsonl", [{**own(), "extends": None}])
        new = {"messages": BODIES[1]["messages"][1:]}
        on = {"id": "on", "at": own()["at"] + 9, "extends": "own 0", "request": new}
        second = write(tmp_path / "c.jsonl", [on])
        assert len(calls(first, write(tmp_path / "b.jsonl", runs()), second)) == 6

    def test_our_own_lines_are_all_meant(self, tmp_path: Path) -> None:
        """A workload says what is to be simulated, twice if it says so twice."""
        assert len(calls(write(tmp_path / "own.jsonl", [own(), own()]))) == 2


class TestTelling:
    """The format is told from the content."""

    def test_names_are_unique(self) -> None:
        """Each can be named with ``--from``."""
        assert len(set(names_of_formats())) == len(FORMATS)

    def test_a_format_can_be_named(self, tmp_path: Path) -> None:
        """What is named is believed."""
        path = write(tmp_path / "runs.jsonl", runs())
        assert len(calls(path, form="langsmith")) == 4
        with pytest.raises(InputError, match="line 1: at: missing"):
            calls(path, form="workload")

    def test_another_name_says_which_there_are(self, tmp_path: Path) -> None:
        """A word that is no format is answered with those that are."""
        path = write(tmp_path / "runs.jsonl", runs())
        with pytest.raises(InputError, match='"lang" is not a format; there are ledger, workload'):
            calls(path, form="lang")

    @pytest.mark.parametrize(
        "line",
        [
            own(),
            {"request": BODIES[0], "calls_per_hour": 5},
            {"id": "a", "at": 0, "model": MODEL, "blocks": []},
            {"id": "a", "at": 0, "extends": "b"},
            {"answers": "a", "response": {}},
        ],
    )
    def test_ours_is_ours(self, line: dict[str, Any]) -> None:
        """No other format takes a line of our own."""
        head = Head(json.dumps(line).encode())
        assert next(one.NAME for one in FORMATS if one.matches(head)) == "workload"
        assert format_of(head) is not None

    @pytest.mark.parametrize("raw", [b"", b"\x00", b"{", b"[]", b"text", b"{}\n{}\n", b"\xff\xfe"])
    def test_nothing_is_nobodys(self, raw: bytes) -> None:
        """What says nothing has no format."""
        assert format_of(Head(raw)) is None


class TestFaults:
    """A bad entry is named, or skipped and counted."""

    def test_half_a_line_at_the_end_is_put_up_with(self, tmp_path: Path) -> None:
        """A program that is still writing has not ended its line."""
        path = write(tmp_path / "runs.jsonl", runs(0, 3))
        with path.open("a") as file:
            file.write(json.dumps(runs(3, 4)[0])[:500])
        found = calls(path)
        assert len(found) == 3
        assert any(note.startswith("half lines at the end") for note in found.notes)

    def test_a_bad_line_says_where_it_stands(self, tmp_path: Path) -> None:
        """File, line and what is wrong, or a count where it is skipped."""
        path = write(tmp_path / "runs.jsonl", runs(0, 3))
        path.write_text(path.read_text().replace("\n", '\n{"id": \n', 1))
        with pytest.raises(InputError, match=r"runs\.jsonl line 2: "):
            calls(path)
        found = calls(path, skip_bad=True)
        assert len(found) == 3
        assert "lines that could not be read, skipped: 1" in found.notes

    def test_clocks_that_differ_are_noticed(self, tmp_path: Path) -> None:
        """A turn that is dated after the one that goes on from it is counted."""
        entries = runs()
        for entry in entries:
            entry["session_id"] = "one"
            entry["extra"] = {"metadata": {"session_id": "one"}}
        entries[1]["start_time"], entries[2]["start_time"] = (
            entries[2]["start_time"],
            entries[1]["start_time"],
        )
        found = calls(write(tmp_path / "runs.jsonl", entries))
        assert any(note.startswith("calls dated after one that goes on") for note in found.notes)


class TestConverting:
    """``convert`` writes what a review reads."""

    def test_it_says_the_same(self, tmp_path: Path) -> None:
        """A converted log is the workload that the log is."""
        path = write(tmp_path / "runs.jsonl", runs())
        tally = Tally()
        found = converted([path], tally, None, None, whole=True, watch=lambda _: None)
        copy = tmp_path / "calls.jsonl"
        copy.write_bytes(b"\n".join(found))
        one, other = calls(path), calls(copy)
        assert list(one) == list(other)
        assert [one.tree.key(call.tip) for call in one] == [
            other.tree.key(call.tip) for call in other
        ]

    def test_a_conversation_stays_at_a_line_a_turn(self, tmp_path: Path) -> None:
        """Lines that extend others are written as they are, and can be written whole."""
        source = LOGS / "claude_code_lighthouse.jsonl.gz"
        found = {}
        for whole in (False, True):
            copy = tmp_path / f"{whole}.jsonl"
            made = converted([source], Tally(), None, None, whole=whole, watch=lambda _: None)
            copy.write_bytes(b"\n".join(made))
            again = converted([copy], Tally(), None, None, whole=whole, watch=lambda _: None)
            assert list(again) == copy.read_bytes().splitlines()
            found[whole] = copy
        assert found[False].stat().st_size < found[True].stat().st_size / 2
        one, other = (calls(path) for path in found.values())
        assert list(one) == list(other)

    @pytest.mark.parametrize("whole", [False, True])
    @pytest.mark.parametrize(
        "name", ["claude_code_lighthouse.jsonl.gz", "litellm_spend.csv.gz", "bodies.jsonl.gz"]
    )
    def test_older_calls_are_left_out(self, tmp_path: Path, name: str, *, whole: bool) -> None:
        """With ``--since`` a copy has the calls that a review has, and so has a copy of it."""
        every = list(calls(LOGS / name))
        since = every[len(every) // 2].at
        found = calls(LOGS / name, since=since)
        expected = [(one.at, one.recorded, found.prompt_tokens(one)) for one in found]
        assert 0 < len(expected) < len(every)
        source = LOGS / name
        for copy in (tmp_path / "one.jsonl", tmp_path / "two.jsonl"):
            made = converted([source], Tally(), None, since, whole=whole, watch=lambda _: None)
            copy.write_bytes(b"\n".join(made))
            again = calls(copy)
            assert [(one.at, one.recorded, again.prompt_tokens(one)) for one in again] == expected
            source = copy
        with pytest.raises(InputError, match=r"no calls in it since then"):
            list(converted([source], Tally(), None, 9e9, whole=whole, watch=lambda _: None))

    def test_digests_cannot_be_parted(self, tmp_path: Path) -> None:
        """A digest may be what a later one extends, and is no line without its call."""
        block = {"digest": "a", "tokens": 9, "level": "system"}
        line = {"at": 1, "id": "a", "model": MODEL, "blocks": [block]}
        path = write(tmp_path / "digests.jsonl", [line])
        with pytest.raises(InputError, match=r"line 1: digests go on from one another"):
            list(converted([path], Tally(), None, 2.0, whole=False, watch=lambda _: None))

    def test_what_is_lacking_stays_lacking(self, tmp_path: Path) -> None:
        """A copy claims no more than its source did."""
        entries = [
            {**run, "inputs": {key: BODIES[0][key] for key in ("model", "messages")}}
            for run in runs(0, 1)
        ]
        path = write(tmp_path / "runs.jsonl", entries)
        (line,) = converted([path], Tally(), None, None, whole=False, watch=lambda _: None)
        (call,) = calls(path)
        assert tuple(json.loads(line).get("lacks", ())) == call.lacks


def test_names_that_are_used_again_name_other_calls(tmp_path: Path) -> None:
    """Two batches may call their entries alike; one batch in two files is one."""
    entries = [{"custom_id": "one", "params": body} for body in BODIES[:2]]
    first = write(tmp_path / "monday.jsonl", entries[:1])
    second = write(tmp_path / "tuesday.jsonl", entries[1:])
    assert len(calls(first, second)) == 2
    assert len(calls(first, second, first)) == 2


class TestOwnTranscripts:
    """``claude-code`` stands for the user's own sessions."""

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A user who has had a few sessions."""
        kept = json.loads(gzip.decompress((LOGS / "claude_code.json.gz").read_bytes()))
        for name, text in kept["files"].items():
            path = tmp_path / "projects" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
        return tmp_path

    def test_all_of_them_are_read(self, home: Path) -> None:
        """Sub-agents included, and each call once, though sessions were taken up again."""
        found = calls("claude-code")
        assert {call.label for call in found} >= {"main", "subagent"}
        ids = [call.id for call in found]
        assert len(ids) == len(set(ids)) == len(calls(home / "projects"))

    def test_older_ones_are_left_alone(self, home: Path) -> None:
        """Files that nobody wrote to since then are not opened."""
        for path in (home / "projects").rglob("*.jsonl"):
            os.utime(path, (0, 0))
        with pytest.raises(InputError, match="claude-code: no transcripts in"):
            calls("claude-code", since=moment("7d"))

    def test_who_has_none_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A user without Claude Code gets a sentence."""
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "nowhere"))
        with pytest.raises(InputError, match="claude-code: no transcripts in"):
            calls("claude-code")

    @pytest.mark.parametrize("words", READING)
    def test_every_command_takes_them(self, home: Path, words: str) -> None:
        """Sessions, a folder of them and a pattern are read by whatever reads a workload."""
        folder = home / "projects"
        for number, source in enumerate(("claude-code", str(folder), f"{folder}/**/*.jsonl")):
            given = words.replace("OUT", str(home / f"out{number}")).split()
            done = CliRunner().invoke(main, [*given, source])
            assert done.exit_code == 0, done.output

    def test_a_file_of_that_name_comes_first(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What lies here is what is meant."""
        monkeypatch.chdir(home)
        write(home / "claude-code", [own()])
        assert len(calls("claude-code")) == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-01", 1_793_491_200),
        ("2026-11-01T01:00:00+01:00", 1_793_491_200),
        ("2026-11-01 00:00", 1_793_491_200),
    ],
)
def test_moments_are_utc_unless_they_say_so(text: str, seconds: float) -> None:
    """A day, or a time, with its zone or without."""
    assert moment(text) == seconds


@pytest.mark.parametrize(("text", "ago"), [("30m", 1800), ("12h", 43_200), ("7d", 604_800)])
def test_so_long_ago(text: str, ago: float) -> None:
    """Minutes, hours, days and weeks before now."""
    assert abs(time.time() - ago - moment(text)) < 60


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7 d", "-7d", "99999999999d", "2026-13-01"])
def test_other_words_are_no_moment(text: str) -> None:
    """They are answered with what would be one."""
    with pytest.raises(InputError, match="is no time: 30m, 12h, 7d, 2w"):
        moment(text)


def test_calls_before_a_moment_are_left_out(tmp_path: Path) -> None:
    """``--since`` holds for every format."""
    path = write(tmp_path / "runs.jsonl", runs())
    found = calls(path, since=moment("2026-11-21T10:02:00"))
    assert [call.id for call in found] == [run["id"] for run in runs(2)]
    with pytest.raises(InputError, match="no calls in it"):
        calls(path, since=moment("2026-11-22"))
