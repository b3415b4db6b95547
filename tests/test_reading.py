"""Workload files: any number of them, however compressed, read line by line."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from letters import Letters

from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.io.opening import opened
from cacheplan.io.reading import lines, read

zstandard = pytest.importorskip("zstandard")

LINE: dict[str, Any] = {
    "at": 0,
    "request": {"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hi"}]},
}
RAW = json.dumps(LINE).encode()


def zstd(plain: bytes) -> bytes:
    """Compress as ``zstd`` does."""
    packed: bytes = zstandard.ZstdCompressor().compress(plain)
    return packed


def gz(plain: bytes) -> bytes:
    """Compress as ``gzip`` does."""
    return gzip.compress(plain, mtime=0)


def as_is(plain: bytes) -> bytes:
    """Do not compress."""
    return plain


PACKERS = [as_is, gz, zstd]
Pack = Callable[[bytes], bytes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "calls.jsonl"


def fault(path: Path, **how: Any) -> str:
    """Return what is said of a file that cannot be read, the folder left out."""
    with pytest.raises(InputError) as caught:
        read(path, counter=Letters(), **how)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(f"{path.parent}{os.sep}", "")


class TestForms:
    """Plain, gzip, zstd; what it is is told from its first bytes."""

    @pytest.mark.parametrize("pack", PACKERS)
    def test_a_file_is_read_however_packed(self, pack: Pack, path: Path) -> None:
        """The calls are the same, whatever the file is packed with and called."""
        path.write_bytes(pack(RAW + b"\n" + RAW + b"\n"))
        assert len(read(path, counter=Letters())) == 2

    @pytest.mark.parametrize("pack", PACKERS)
    @given(st.lists(st.binary(max_size=50).filter(lambda raw: b"\n" not in raw), max_size=5))
    @hypothesis_settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20
    )
    def test_lines_come_out_as_they_went_in(
        self, tmp_path: Path, pack: Pack, drawn: list[bytes]
    ) -> None:
        """Every line that is not blank comes with its number, without its end."""
        path, every = tmp_path / "lines", [RAW, *drawn]
        path.write_bytes(pack(b"\n".join(every)))
        stripped = [(at, raw.strip()) for at, raw in enumerate(every, 1)]
        assert list(lines(path)) == [(at, raw) for at, raw in stripped if raw]

    @pytest.mark.parametrize("pack", PACKERS)
    def test_parts_packed_apart_are_one_file(self, pack: Pack, path: Path) -> None:
        """Files put one behind the other are read to the end of the last."""
        path.write_bytes(pack(RAW + b"\n") + pack(b"") + pack(RAW))
        assert len(read(path, counter=Letters())) == 2

    def test_a_frame_to_be_skipped_is_skipped(self, path: Path) -> None:
        """Zstd allows a writer's own notes between frames, and an index behind them."""
        note = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
        path.write_bytes(zstd(RAW + b"\n") + note + zstd(RAW) + note)
        assert len(read(path, counter=Letters())) == 2

    @pytest.mark.parametrize("pack", PACKERS)
    def test_more_than_a_buffer_is_read(self, pack: Pack, path: Path) -> None:
        """A file that unpacks to many times any buffer loses nothing."""
        plain = b"\n".join(b"%d " % at * 2000 for at in range(500))
        path.write_bytes(pack(plain))
        with opened(path) as stream:
            assert stream.read() == plain

    @pytest.mark.parametrize("pack", [gz, zstd])
    @pytest.mark.parametrize("share", [0.5, 0.99])
    def test_a_truncated_file_is_no_shorter_file(
        self, pack: Pack, share: float, path: Path
    ) -> None:
        """A packed file that was cut off is an error, not the calls before the cut."""
        packed = pack(b"\n".join(RAW.replace(b"Hi", b"%d" % at) for at in range(2000)))
        path.write_bytes(packed[: int(len(packed) * share)])
        assert fault(path) == "calls.jsonl: the compressed file ends too early"

    @pytest.mark.parametrize(("pack", "at"), [(gz, 12), (gz, -6), (gz, 2), (zstd, 5), (zstd, 12)])
    def test_a_damaged_file_says_so(self, pack: Pack, at: int, path: Path) -> None:
        """Bytes changed in the header, in the data or in the checksum are one clear line."""
        packed = bytearray(pack(RAW))
        for byte in range(at, at + 3):
            packed[byte] ^= 0xFF
        path.write_bytes(packed)
        assert fault(path) == "calls.jsonl: the compressed file is damaged"

    def test_zstd_needs_its_package(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nothing can unpack zstd, the sentence says what to install."""
        monkeypatch.setitem(sys.modules, "zstandard", None)
        path.write_bytes(zstd(RAW))
        assert fault(path) == "calls.jsonl: this file is zstd; pip install zstandard to read it"

    def test_a_byte_order_mark_is_no_content(self, path: Path) -> None:
        """Files from editors that write one, and end lines their own way, are read."""
        path.write_bytes(b"\xef\xbb\xbf" + RAW + b"\r\n\r\n \t\r\n" + RAW + b"\r\n")
        assert [number for number, _ in lines(path)] == [1, 4]
        assert len(read(path, counter=Letters())) == 2


class TestStandardInput:
    """``-`` is standard input."""

    @pytest.mark.parametrize("pack", PACKERS)
    def test_a_pipe_is_read(self, pack: Pack) -> None:
        """A process is read to its end, however little comes at a time."""
        script = (
            "import sys; from cacheplan.io.reading import lines\n"
            "print(sum(1 for _ in lines('-')), sum(1 for _ in lines('-')), sys.stdin.closed)"
        )
        packed = pack(RAW + b"\n" + RAW + b"\n")
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin
            assert process.stdout
            for at in range(len(packed)):
                process.stdin.write(packed[at : at + 1])
                process.stdin.flush()
            process.stdin.close()
            assert process.stdout.read().split() == [b"2", b"0", b"False"]

    def test_a_tests_own_standard_input_will_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever stands in for standard input is read, and left open."""
        stream = io.TextIOWrapper(io.BytesIO(RAW))
        monkeypatch.setattr(sys, "stdin", stream)
        assert len(read("-", counter=Letters())) == 1
        assert not stream.closed

    def test_it_is_named_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fault in it is not one in a file called ``-``."""
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n{")))
        with pytest.raises(InputError, match=r"^standard input line 2: the JSON ends too early"):
            read("-", counter=Letters())


class TestFaults:
    """``names the file, the line number and the path inside the line``."""

    @pytest.mark.parametrize(
        ("bad", "what"),
        [
            (b"{", "the JSON ends too early (after 1 bytes)"),
            (RAW[:-1], f"the JSON ends too early (after {len(RAW) - 1} bytes)"),
            (b"[]", "expected an object, found a list"),
            (b"at: 0", "not JSON: expecting value at character 1"),
            (RAW.replace(b'"at": 0', b'"at": NaN'), "at: NaN is not a number JSON knows"),
            (
                RAW.replace(b'"at": 0', b'"at": 0, "at": 1'),
                "at: this key stands twice in one object",
            ),
            (
                RAW.replace(b'"role"', b'"role": "user", "role"'),
                "request.messages[0].role: this key stands twice in one object",
            ),
            (
                RAW.replace(b"Hi", rb"\ud83d"),
                "request.messages[0].content: half a surrogate pair is not text",
            ),
            (RAW.replace(b"Hi", b"\xff"), "request.messages[0]: byte 30 is not UTF-8"),
            (
                RAW.replace(b"user", b"robot"),
                'request.messages[0].role: "robot" is not user, assistant or system',
            ),
            (
                RAW.replace(b'"at": 0', b'"at": "2025-11-21T15:00:00"'),
                'at: "2025-11-21T15:00:00" names no time zone (write Z for UTC)',
            ),
            (
                RAW.replace(b'"at": 0, ', b""),
                "at: missing; a call needs its time, or calls_per_hour",
            ),
            (
                RAW.replace(b'"at": 0', b'"calls_per_hour": 9').replace(b"user", b"robot"),
                'request.messages[0].role: "robot" is not user, assistant or system',
            ),
            (
                RAW[:-1] + b', "response": {"usage": {"input_tokens": -7}}}',
                "response.usage.input_tokens: -7 is negative",
            ),
            (
                b'{"at": 0, "model": "m", "extends": "nobody"}',
                'extends: "nobody" is not the id of an earlier line',
            ),
            (b'{"at": 0, "request": ' * 100_000, "nested too deeply to be read"),
            (
                "\ufeff".encode("utf-16-le") + RAW.decode().encode("utf-16-le"),
                "byte 1 is not UTF-8",
            ),
        ],
    )
    def test_a_bad_line_is_one_clear_line(self, bad: bytes, what: str, path: Path) -> None:
        """File, line and path come before what is wrong."""
        path.write_bytes(RAW + b"\n\n" + bad + b"\n" + RAW)
        assert fault(path) == f"calls.jsonl line 3: {what}"

    @pytest.mark.parametrize("pack", PACKERS)
    def test_an_empty_workload_is_an_error(self, pack: Pack, path: Path) -> None:
        """A file without calls is no report without findings."""
        for plain in (b"", b"\n \n"):
            path.write_bytes(pack(plain))
            assert fault(path) == "calls.jsonl: no calls in it"

    def test_a_file_that_cannot_be_opened_says_why(self, path: Path) -> None:
        """A missing file and a folder are named, in the system's words."""
        assert fault(path) == "calls.jsonl: no such file or directory"
        path.mkdir()
        assert fault(path) == "calls.jsonl: no files in it"

    @pytest.mark.parametrize("cut", [False, True])
    def test_a_line_of_20_mb_is_read_or_refused(self, cut: bool, path: Path) -> None:
        """Length alone is no fault, and a long line that is cut off is one like any other."""
        whole = RAW.replace(b"Hi", b"lorem " * (20_000_000 // 6))
        path.write_bytes(whole[:-3] if cut else whole)
        if cut:
            expected = f"the JSON ends too early (after {len(whole) - 3} bytes)"
            assert fault(path) == f"calls.jsonl line 1: {expected}"
        else:
            assert len(read(path, counter=Letters())) == 1

    @pytest.mark.long
    def test_a_line_of_200_mb_is_read(self, path: Path) -> None:
        """A line as long as no prompt can be is still only a line."""
        path.write_bytes(RAW.replace(b"Hi", b"lorem " * (200_000_000 // 6)))
        assert len(read(path, counter=Letters())) == 1

    def test_random_bytes_never_raise_anything_else(self, path: Path) -> None:
        """Whatever is in a file, it is calls or one clear line."""

        @given(st.lists(st.sampled_from([RAW, RAW[:40], b"\x00", b"{}", b"\xff\n", b'"', b"\n"])))
        def check(parts: list[bytes]) -> None:
            path.write_bytes(b"".join(parts))
            try:
                read(path, counter=Letters())
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017 -- reading may also succeed

        check()


class TestSkipBad:
    """``--skip-bad`` skips such lines and always ends with the count of what was skipped."""

    @pytest.mark.parametrize("bad", [0, 1, 3])
    def test_the_count_is_always_there(self, bad: int, path: Path) -> None:
        """The number of skipped lines is noted, none included."""
        path.write_bytes(b"\n".join([*[b"{", b"[]", b'{"at": 1}'][:bad], RAW]))
        workload = read(path, counter=Letters(), skip_bad=True)
        assert len(workload) == 1
        assert workload.notes == (f"lines that could not be read, skipped: {bad}",)

    def test_nothing_is_left_when_all_are_bad(self, path: Path) -> None:
        """A file of bad lines is empty, and says how many there were."""
        path.write_bytes(b"{\n[]\n")
        said = "no calls in it (lines that could not be read, skipped: 2)"
        assert fault(path, skip_bad=True) == f"calls.jsonl: {said}"

    def test_a_bad_planned_line_is_skipped_too(self, path: Path) -> None:
        """What is wrong with a plan is noticed on its line, not when its calls are made."""
        bad = RAW.replace(b'"at": 0', b'"calls_per_hour": 9').replace(b"user", b"robot")
        path.write_bytes(bad + b"\n" + RAW)
        assert len(read(path, counter=Letters(), skip_bad=True)) == 1

    def test_a_damaged_file_is_not_a_bad_line(self, path: Path) -> None:
        """What cannot be unpacked cannot be skipped."""
        path.write_bytes(gz(RAW * 50)[:-9])
        assert fault(path, skip_bad=True) == "calls.jsonl: the compressed file ends too early"


class TestSeveral:
    """A workload argument takes several files."""

    def test_files_are_one_workload(self, tmp_path: Path) -> None:
        """Calls of all files stand in one order of time and share what is the same."""
        names = [tmp_path / name for name in ("a", "b.gz", "c.zst")]
        for at, (name, pack) in enumerate(zip(names, PACKERS, strict=True)):
            name.write_bytes(pack(RAW.replace(b'"at": 0', b'"at": %d' % (9 - at))))
        workload = read(*names, counter=Letters())
        assert [call.at for call in workload] == [7, 8, 9]
        assert len({call.tip for call in workload}) == 1

    def test_a_fault_names_its_own_file(self, tmp_path: Path) -> None:
        """Lines are numbered in each file by itself."""
        names = [tmp_path / "a", tmp_path / "b"]
        names[0].write_bytes(RAW + b"\n" + RAW)
        names[1].write_bytes(RAW + b"\n{}")
        with pytest.raises(InputError, match=r"b line 2: at: missing"):
            read(*names, counter=Letters())

    def test_an_empty_file_beside_a_full_one_is_none_of_our_business(self, tmp_path: Path) -> None:
        """Only a workload without any call is an error, and then all its files are named."""
        names = [tmp_path / "a", tmp_path / "b"]
        for name in names:
            name.write_bytes(b"")
        with pytest.raises(InputError, match=r"a, .*b: no calls in it"):
            read(*names, counter=Letters())
        names[1].write_bytes(RAW)
        assert len(read(*names, counter=Letters())) == 1

    def test_an_earlier_file_can_be_extended(self, tmp_path: Path) -> None:
        """The earlier line that a digest line extends may stand in an earlier file."""
        block = {"digest": "a", "tokens": 3, "level": "messages"}
        names = [tmp_path / "a", tmp_path / "b"]
        first = {"at": 0, "model": "m", "id": "1", "blocks": [block]}
        names[0].write_text(json.dumps(first))
        names[1].write_text(json.dumps({"at": 1, "model": "m", "extends": "1"}))
        workload = read(*names, counter=Letters())
        assert len({call.tip for call in workload}) == 1


def test_a_file_is_streamed(tmp_path: Path) -> None:
    """Lines are taken in as they come, so a file need not be at its end, nor fit in memory."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    heard: list[int] = []
    first = threading.Event()

    def watch(size: int) -> None:
        heard.append(size)
        first.set()

    def write() -> None:
        with fifo.open("wb") as stream:
            stream.write(RAW + b"\n" + b" " * (1 << 17) + b"\n")
            stream.flush()
            first.wait(20)
            stream.write(RAW)

    writer = threading.Thread(target=write)
    writer.start()
    workload = read(fifo, counter=Letters(), watch=watch)
    writer.join()
    assert first.is_set()
    assert heard == [len(RAW)] * 2
    assert len(workload) == 2


def test_how_it_is_read_reaches_the_calls(path: Path) -> None:
    """Model, seed and the default counter are handed on."""
    path.write_bytes(RAW.replace(b'"at": 0', b'"calls_per_hour": 9'))
    one, again, other = (read(path, model="claude-haiku-5-5", seed=seed) for seed in (1, 1, 2))
    assert list(one) == list(again) != list(other)
    assert {call.tariff.model for call in one} == {"claude-haiku-5-5"}
    assert one.tokens_from == "estimated"


def test_a_factor_that_was_asked_for(tmp_path: Path) -> None:
    """Lengths follow the factor that the assumptions name."""
    path = tmp_path / "calls.jsonl"
    body = {
        "model": "claude-sonnet-5",
        "messages": [{"role": "user", "content": "some words " * 500}],
    }
    path.write_text(json.dumps({"at": 0, "request": body}))
    plain, longer = (
        read(path, assume=Assumptions.parse([f"token_factor={factor}"])) for factor in (1, 2)
    )
    once, twice = (calls.prompt_tokens(calls.calls[0]) for calls in (plain, longer))
    assert twice > 1.9 * once
