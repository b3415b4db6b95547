"""Parts of a log in files of their own: found below its folder, and nowhere else."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.io import folders
from cacheplan.io.folders import Folder, content

ADDRESS: Final = "s3://bucket/some prefix/AWSLogs/1/2026/11/13/data/7487_input.json.gz"


def put(path: Path, raw: bytes = b"{}") -> Path:
    """Write a file where there may be no folder yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


class TestWhere:
    """Where a part may lie."""

    @pytest.mark.parametrize("end", range(1, 8))
    def test_any_end_of_its_address(self, tmp_path: Path, end: int) -> None:
        """Right beside the log, or as deep as the folder of the bucket was copied from."""
        found = put(tmp_path.joinpath(*ADDRESS.split("/")[-end:]))
        parts: set[Path] = set()
        assert Folder(tmp_path / "log", parts).part(ADDRESS) == found
        assert parts == {found}

    def test_no_such_file(self, tmp_path: Path) -> None:
        """What was not copied is not there, nor is a folder of that name a file."""
        (tmp_path / "7487_input.json.gz").mkdir()
        parts: set[Path] = set()
        assert Folder(tmp_path / "log", parts).part(ADDRESS) is None
        assert not parts

    @pytest.mark.parametrize(
        "address",
        [
            "", "/", "..", "s3://b/../secret", "s3://b/./x", "x/", "a\x00b", "/etc/passwd", "C:\\x",
            "lamp ü", "\ud800", "y" * 1000, "x" * 9999,
        ],
    )  # fmt: skip
    def test_what_leads_elsewhere(self, tmp_path: Path, address: str) -> None:
        """An address that leads out of the folder, or that no file can have, finds nothing."""
        put(tmp_path / "secret")
        folder = tmp_path / "logs"
        folder.mkdir()
        assert Folder(folder / "log", set()).part(address) is None

    @given(
        st.lists(st.sampled_from(["..", ".", "", "in", "secret", "~", "\\"]) | st.text(max_size=4))
    )
    def test_never_outside(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
    ) -> None:
        """Whatever a log says, what is found lies below its own folder."""
        root = tmp_path_factory.getbasetemp() / "outside"
        put(root / "secret")
        put(root / "logs" / "in" / "secret")
        found = Folder(root / "logs" / "log", set()).part("/".join(steps))
        assert found in {None, root / "logs" / "in" / "secret"}
        assert (found is not None) == (steps[-2:] == ["in", "secret"])


class TestContent:
    """What stands in a part."""

    @pytest.mark.parametrize("raw", [b'{"a": 1}\n', gzip.compress(b' {"a": 1}', mtime=0)])
    def test_packed_or_not(self, tmp_path: Path, raw: bytes) -> None:
        """It is unpacked as a log is, by how it begins."""
        assert content(put(tmp_path / "part", raw)) == b'{"a": 1}'

    @pytest.mark.parametrize(
        ("raw", "what"),
        [
            (gzip.compress(b"{}" * 99, mtime=0)[:-9], "the compressed file ends too early"),
            (gzip.compress(b"{}", mtime=0)[:-8] + b"\x00" * 8, "the compressed file is damaged"),
            (b"", "nothing stands in it"),
            (gzip.compress(b" \n", mtime=0), "nothing stands in it"),
        ],
    )
    def test_damaged(self, tmp_path: Path, raw: bytes, what: str) -> None:
        """One that cannot be read is named."""
        with pytest.raises(InputError) as caught:
            content(put(tmp_path / "part", raw))
        assert str(caught.value) == f"part: {what}"

    def test_gone(self, tmp_path: Path) -> None:
        """One that went away between two looks is an error as any file is."""
        with pytest.raises(InputError, match=r"^part: no such file"):
            content(tmp_path / "part")

    def test_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What unpacks to more than any body has is not taken into memory."""
        monkeypatch.setattr(folders, "_LARGEST", 1000)
        assert len(content(put(tmp_path / "part", gzip.compress(b"x" * 1000, mtime=0)))) == 1000
        with pytest.raises(InputError, match=r"^part: this is larger than any body$"):
            content(put(tmp_path / "part", gzip.compress(b"x" * 1001, mtime=0)))
