"""Origins: every call leads back to its line, however files were read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import steady
from small import message, request

import cacheplan
from cacheplan.origins import Origin, Origins


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9))))
def test_every_call_leads_back(steps: list[tuple[str, int]]) -> None:
    """What was noted is found again, whatever files and lines came one after another."""
    found, line = Origins(), 0
    noted: list[Origin] = []
    for call, (source, step) in enumerate(steps):
        line = step if noted and noted[-1].source != source else line + step
        noted.append(Origin(source, line))
        found.note(call, noted[-1])
    assert [found.of(call) for call in range(len(steps))] == noted
    assert found.of(len(steps)) is None
    assert found.of(-1) is None


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank, bad and planned lines, compressed files and the order of time change nothing."""
    monkeypatch.chdir(tmp_path)
    late, early = steady(3), steady(2)
    for line in late:
        line["at"] += 9_000
    planned = {"calls_per_hour": 2, "hours": 2, "request": request(message("user", "a"))}
    Path("a.jsonl").write_text(
        "\n".join(["", json.dumps(late[0]), "{", json.dumps(planned), "", json.dumps(late[1])])
    )
    with gzip.open("b.jsonl.gz", "wt") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in early))
    calls = cacheplan.read("a.jsonl", "b.jsonl.gz", skip_bad=True)
    assert calls.origins is not None
    where = {call.number: calls.origins.of(call.number) for call in calls}
    assert where[0] == Origin("a.jsonl", 2)
    assert where[1] == Origin("a.jsonl", 6)
    assert where[2] == Origin("b.jsonl.gz", 1)
    assert where[3] == Origin("b.jsonl.gz", 2)
    assert len(where) > 4
    assert {where[number] for number in where if number > 3} == {None}


def test_other_places_same_calls(tmp_path: Path) -> None:
    """Where calls were read decides nothing: the same calls of two files are equal."""
    for name in ("a.jsonl", "b.jsonl"):
        text = "".join(json.dumps(line) + "\n" for line in steady(3))
        (tmp_path / name).write_text("\n" * (name == "b.jsonl") + text)
    one, other = (cacheplan.read(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    assert one.calls == other.calls
    assert one.origins != other.origins
