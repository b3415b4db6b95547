"""Public data becomes workload files: text of our own, in the forms the sources have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import cacheplan
from benchmarks.convert import convert, main


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a workload file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(folder: Path, name: str, content: object) -> Path:
    """Write a document, or several as lines."""
    path = folder / name
    lines = content if name.endswith(".jsonl") and isinstance(content, list) else [content]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return path


class TestMooncake:
    """Lines of times, lengths and hashed blocks of 512 tokens."""

    TRACE = (
        {"timestamp": 0, "input_length": 1300, "output_length": 5, "hash_ids": [1, 2, 3]},
        {"timestamp": 27_000, "input_length": 1536, "output_length": 6, "hash_ids": [1, 2, 4]},
        {"timestamp": 30_000, "input_length": 100, "output_length": 7, "hash_ids": [9]},
    )

    def test_lengths_and_sharing(self, tmp_path: Path) -> None:
        """Prompts keep their lengths and times, and share what they shared."""
        source = written(tmp_path, "trace.jsonl", list(self.TRACE))
        assert convert("mooncake", source, tmp_path / "calls.jsonl") == 3
        first, second, third = rows(tmp_path / "calls.jsonl")
        assert [block["tokens"] for block in first["blocks"]] == [1024, 276]
        assert [block["tokens"] for block in second["blocks"]] == [1024, 512]
        assert first["blocks"][0] == second["blocks"][0]
        assert first["blocks"][1]["digest"] != second["blocks"][1]["digest"]
        assert [block["tokens"] for block in third["blocks"]] == [100]
        assert [line["at"] for line in (first, second, third)] == [0.0, 27.0, 30.0]

    def test_the_file_is_a_workload(self, tmp_path: Path) -> None:
        """What comes out can be read and priced, once a model is named."""
        source = written(tmp_path, "trace.jsonl", list(self.TRACE))
        convert("mooncake", source, tmp_path / "calls.jsonl")
        calls = cacheplan.read(tmp_path / "calls.jsonl", model="claude-sonnet-4-5")
        assert [calls.prompt_tokens(call) for call in calls] == [1300, 1536, 100]


class TestKvCacheTester:
    """One conversation a file, its blocks named within it, sub-agents inside."""

    def trace(self, name: str, **more: Any) -> dict[str, Any]:
        """Return a conversation whose parent starts one sub-agent."""
        shared = {"type": "s", "model": "claude-opus-4-5-20251101"}
        child = {**shared, "t": 12.0, "in": 70, "out": 2, "hash_ids": [7]}
        return {
            "id": name,
            "block_size": 64,
            "requests": [
                {**shared, "t": 0.0, "in": 130, "out": 3, "hash_ids": [1, 2], "ttft": 0.5},
                {"type": "subagent", "t": 10.0, "requests": [child]},
                {**shared, "t": 20.0, "in": 200, "out": 4, "hash_ids": [1, 2, 3]},
            ],
            **more,
        }

    def test_calls_of_agents_are_told_apart(self, tmp_path: Path) -> None:
        """Sub-agents are labelled, and what no block names belongs to one prompt alone."""
        source = written(tmp_path, "trace_1.json", self.trace("trace_1"))
        convert("kv-cache-tester", source, tmp_path / "calls.jsonl")
        first, child, second = rows(tmp_path / "calls.jsonl")
        assert [first["label"], child["label"], second["label"]] == ["main", "subagent", "main"]
        assert first["first_token_after"] == 0.5
        assert "first_token_after" not in second
        assert [block["tokens"] for block in first["blocks"]] == [128, 2]
        assert [block["tokens"] for block in second["blocks"]] == [128, 64, 8]
        assert first["blocks"][0] == second["blocks"][0]

    def test_names_hold_within_a_conversation(self, tmp_path: Path) -> None:
        """Equal names in two conversations are two texts, unless the file says otherwise."""
        folder = tmp_path / "traces"
        folder.mkdir()
        for name in ("a", "b"):
            written(folder, f"{name}.json", self.trace(name))
        assert convert("kv-cache-tester", folder, tmp_path / "calls.jsonl") == 6
        starts = {line["workspace"]: line for line in rows(tmp_path / "calls.jsonl")[:2]}
        assert starts["a"]["blocks"][0] != starts["b"]["blocks"][0]
        for name in ("a", "b"):
            written(folder, f"{name}.json", self.trace(name, hash_id_scope="global"))
        convert("kv-cache-tester", folder, tmp_path / "calls.jsonl")
        starts = {line["workspace"]: line for line in rows(tmp_path / "calls.jsonl")[:2]}
        assert starts["a"]["blocks"][0] == starts["b"]["blocks"][0]


class TestTauBench:
    """Runs as chat completions: what stands before each answer was a call."""

    RUN = (
        {"role": "system", "content": "You help people who fly."},
        {"role": "user", "content": "Where is my seat?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "find_seat", "arguments": '{"row": 3, "who": "Ann"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "name": "find_seat", "content": "3A"},
        {"role": "assistant", "content": "You sit in 3A."},
        {"role": "user", "content": "Thanks."},
        {"role": "assistant", "content": "Have a good flight."},
    )

    def source(self, folder: Path) -> Path:
        """Write two runs of one task."""
        runs = [{"task_id": 4, "trial": trial, "traj": list(self.RUN)} for trial in (0, 1)]
        return written(folder, "gpt-4o-airline.json", runs)

    def test_each_answer_was_a_call(self, tmp_path: Path) -> None:
        """Bodies hold all that was said before the answer, in the API's form."""
        assert convert("tau-bench", self.source(tmp_path), tmp_path / "calls.jsonl") == 6
        calls = [line for line in rows(tmp_path / "calls.jsonl") if "4.0" in line["session"]]
        assert [len(line["request"]["messages"]) for line in calls] == [1, 3, 5]
        last = calls[-1]["request"]
        assert last["model"] == "gpt-4o"
        assert last["system"] == "You help people who fly."
        assert [message["role"] for message in last["messages"]] == [
            "user", "assistant", "user", "assistant", "user",
        ]  # fmt: skip
        assert last["messages"][2]["content"] == [
            {"type": "tool_result", "tool_use_id": "call_1", "content": "3A"}
        ]
        assert last["tools"] == [
            {
                "name": "find_seat",
                "input_schema": {
                    "type": "object",
                    "properties": {"row": {"type": "integer"}, "who": {"type": "string"}},
                },
            }
        ]

    def test_times_are_made_up_the_same_each_time(self, tmp_path: Path) -> None:
        """Turns lie twenty seconds apart, and the same file gives the same times."""
        source = self.source(tmp_path)
        convert("tau-bench", source, tmp_path / "one.jsonl")
        convert("tau-bench", source, tmp_path / "two.jsonl")
        assert rows(tmp_path / "one.jsonl") == rows(tmp_path / "two.jsonl")
        first = [line["at"] for line in rows(tmp_path / "one.jsonl") if "4.0" in line["session"]]
        assert [round(at - first[0]) for at in first] == [0, 20, 40]

    def test_the_file_is_a_workload(self, tmp_path: Path) -> None:
        """Every body is one that can be read."""
        convert("tau-bench", self.source(tmp_path), tmp_path / "calls.jsonl")
        assert len(cacheplan.read(tmp_path / "calls.jsonl", model="claude-sonnet-4-5")) == 6


def test_claude_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Transcripts of Claude Code are read as the product reads them, with its notes."""
    logs = Path(__file__).parent / "logs"
    archive = json.loads(gzip.decompress((logs / "claude_code.json.gz").read_bytes()))
    for name, text in archive["files"].items():
        written(tmp_path, Path(name).name, [json.loads(line) for line in text.splitlines()])
    charged = [call["usage"] for call in archive["sent"] if call["id"]]
    count = convert("claude-code", tmp_path, tmp_path / "calls.jsonl.out")
    assert count == len(cacheplan.read(tmp_path / "calls.jsonl.out")) == len(charged) - 1
    assert "calls rebuilt from the client's own record and verified: 5" in capsys.readouterr().err


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says how many calls there are, or in one line what is wrong."""
    good = written(tmp_path, "trace.jsonl", list(TestMooncake.TRACE))
    out = tmp_path / "calls.jsonl"
    assert main(["mooncake", str(good), "-o", str(out)]) == 0
    assert "3 calls" in capsys.readouterr().err
    assert main(["kv-cache-tester", str(good), "-o", str(out)]) == 2
    assert main(["tau-bench", str(tmp_path / "none.json"), "-o", str(out)]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "not of the form of kv-cache-tester" in told[0]
