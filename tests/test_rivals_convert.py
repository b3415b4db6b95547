"""Public data becomes workload files: text of our own, in the forms the sources have."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

import cacheplan
from benchmarks.convert import convert, main
from cacheplan.prompt import Lifetime


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


def name_of(message: dict[str, Any]) -> str:
    """Return a message's name as the client makes it; written apart from the code."""
    text = json.dumps(message, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


SHAPE: Final = {
    "system": [{"type": "text", "text": "You write code."}],
    "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
}
USAGE: Final = {"input_tokens": 3, "cache_creation_input_tokens": 40, "output_tokens": 2}


class TestClaudeCode:
    """Transcripts with records of what was sent."""

    def transcript(self) -> list[dict[str, Any]]:
        """Return a session of two calls; the second goes on from the first."""
        asked = {"role": "user", "content": [{"type": "text", "text": "Grüße, read a.py"}]}
        notes = {"role": "user", "content": [{"type": "text", "text": "The date is today."}]}
        use = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"p": "a.py"}}
        told = {"type": "text", "text": "I read it."}
        found = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "pass"}
        spoken = {"role": "assistant", "content": [told, use]}
        result = {"role": "user", "content": [found]}
        short = {"type": "ephemeral"}
        record = {
            "type": "api-request", "shapeHash": "s1", "sessionId": "session",
            "params": {"model": "claude-sonnet-4-5", "max_tokens": 9, "betas": ["b"]},
        }  # fmt: skip
        said = {"type": "assistant", "sessionId": "session"}
        answer = {"id": "msg_1", "role": "assistant", "usage": USAGE}
        return [
            {"type": "api-request-shape", "shapeHash": "s1", "shape": SHAPE},
            {"type": "user", "message": {"role": "user", "content": "Grüße, read a.py"}},
            {"type": "api-request-blob", "hash": name_of(notes), "message": notes},
            {
                **record, "id": "r1", "keep": 0, "tail": [name_of(asked), name_of(notes)],
                "timestamp": "2026-11-02T08:00:00Z",
                "cacheControl": [
                    {"path": ["system", 0], "value": short},
                    {"path": ["messages", 1, "content", 0], "value": short},
                ],
            },
            {**said, "requestRef": "r1", "message": {**answer, "content": [told]}},
            {**said, "requestRef": "r1", "message": {**answer, "content": [use]}},
            {"type": "user", "message": {"role": "user", "content": [found]}},
            {
                **record, "id": "r2", "base": "r1", "keep": 2,
                "tail": [name_of(spoken), name_of(result)],
                "timestamp": "2026-11-02T08:00:09Z",
                "cacheControl": [
                    {"path": ["messages", 3, "content", 0], "value": {**short, "ttl": "1h"}}
                ],
            },
        ]  # fmt: skip

    def test_bodies_are_as_they_were_sent(self, tmp_path: Path) -> None:
        """Chains, shapes and marks make the whole body, and usage stands beside it."""
        source = written(tmp_path, "session.jsonl", self.transcript())
        assert convert("claude-code", source, tmp_path / "calls.jsonl") == 2
        first, second = rows(tmp_path / "calls.jsonl")
        assert first["request"]["system"][0]["cache_control"] == {"type": "ephemeral"}
        assert "betas" not in first["request"]
        assert first["response"]["usage"] == USAGE
        assert "response" not in second
        messages = second["request"]["messages"]
        assert [message["role"] for message in messages] == ["user", "user", "assistant", "user"]
        assert messages[0]["content"] == [{"type": "text", "text": "Grüße, read a.py"}]
        assert [part["type"] for part in messages[2]["content"]] == ["text", "tool_use"]
        assert "cache_control" not in messages[1]["content"][0]
        assert messages[3]["content"][0]["cache_control"]["ttl"] == "1h"

    def test_the_file_is_a_workload(self, tmp_path: Path) -> None:
        """Marks and times are read as from any log."""
        source = written(tmp_path, "session.jsonl", self.transcript())
        convert("claude-code", source, tmp_path / "calls.jsonl")
        first, second = cacheplan.read(tmp_path / "calls.jsonl")
        assert second.at - first.at == 9
        assert [mark.lifetime for mark in second.marks] == [Lifetime.ONE_HOUR]
        assert first.recorded is not None

    def test_what_cannot_be_rebuilt_is_counted(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A part that is nowhere leaves the call out, and so does a client that kept none."""
        entries = [each for each in self.transcript() if each["type"] != "api-request-blob"]
        source = written(tmp_path, "session.jsonl", entries)
        assert convert("claude-code", source, tmp_path / "calls.jsonl") == 0
        assert "2 calls cannot be rebuilt" in capsys.readouterr().err
        older = [each for each in entries if not each["type"].startswith("api-")]
        source = written(tmp_path, "session.jsonl", older)
        assert convert("claude-code", source, tmp_path / "calls.jsonl") == 0
        assert "1 calls cannot be rebuilt" in capsys.readouterr().err


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
