"""Transcripts of Claude Code: what the client wrote is held against what a server received."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lighthouse import BODIES
from mutations import hostile_lines, survives
from test_frameworks import environment

from cacheplan.continuing import Continuing
from cacheplan.errors import InputError
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.logged import OTHERS
from cacheplan.io.readers import READERS, claude_code
from cacheplan.io.tally import BAD, HALF, Tally
from cacheplan.io.transcripts import folder, sessions
from cacheplan.records import Intake
from cacheplan.seals import Seals
from cacheplan.transcript import Message, Texts

LOGS: Final = Path(__file__).parent / "logs"
Line = dict[str, Any]
#: What the client recorded of requests, and clients before 2.1.282 did not.
RECORDS: Final = ("api-request", "api-request-blob", "api-request-shape")


@pytest.fixture(scope="module")
def archive() -> Line:
    """What was sent, and what was written of it."""
    found: Line = json.loads(gzip.decompress((LOGS / "claude_code.json.gz").read_bytes()))
    return found


def told(name: str, raw: bytes, tally: Tally | None = None) -> list[Line]:
    """Return the lines that come of one file."""
    file = File(name, io.BufferedReader(io.BytesIO(raw)))
    return [line for _, line in claude_code.read(file, tally or Tally())]


def unpacked(archive: Line, place: Path) -> list[Path]:
    """Write the transcripts of an archive as the client did."""
    for name, text in archive["files"].items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return sorted(place.rglob("*.jsonl"))


def all_told(archive: Line, place: Path, tally: Tally) -> list[Line]:
    """Return the lines of all transcripts."""
    return [
        line
        for path in unpacked(archive, place)
        for line in told(str(path), path.read_bytes(), tally)
    ]


def plain(value: Any) -> Any:
    """Return a line as whoever reads it sees it."""
    return json.loads(msgspec.json.encode(value))


def whole(lines: Sequence[Line]) -> dict[str, Line]:
    """Return the bodies by id, each with all that it goes on from."""
    bodies: dict[str, Line] = {}
    for line in map(plain, lines):
        earlier = bodies.get(line["extends"] or "", {"messages": []})
        kept = [
            {**message, "content": [unmarked(block) for block in message["content"]]}
            for message in earlier["messages"][: line.get("keep", 0)]
        ]
        body = {**earlier, **line["request"], "messages": kept + line["request"]["messages"]}
        bodies[line["id"]] = {key: part for key, part in body.items() if part is not None}
    return bodies


def unmarked(block: Line) -> Line:
    """Return a block without its mark."""
    return {key: part for key, part in block.items() if key != "cache_control"}


def digest(body: Line) -> str:
    """Return the digest of a body as the archive has it."""
    written = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def proved(archive: Line, place: Path) -> None:
    """Hold transcripts against what the server received and charged."""
    tally = Tally()
    lines = all_told(archive, place, tally)
    bodies = whole(lines)
    sent = {call["id"]: call for call in archive["sent"] if call["id"]}
    for line in lines:
        call = sent[line["response"]["id"]]
        assert digest(bodies[line["id"]]) == call["digest"]
        for key in COUNTS:
            assert line["response"]["usage"][key] == call["usage"][key]
    # The one call without a line is the compaction.
    missing = sent.keys() - {line["response"]["id"] for line in lines}
    assert len(missing) == 1
    assert len(lines) == len({line["response"]["id"] for line in lines}) == len(sent) - 1
    assert tally.of(claude_code.REBUILT) == len(lines)
    assert tally.of(claude_code.UNSEALED) == 0
    assert tally.of(claude_code.VISIBLE) == tally.of(claude_code.EXCEEDS) == 0
    # The session with the compaction and the sub-agent, and its fork.
    assert tally.of(claude_code.BESIDE) == 2
    assert tally.of(claude_code.AGREES) == 1
    assert tally.of(claude_code.COPIED) > 0
    # The service was overloaded once.
    assert tally.of(claude_code.UNANSWERED) == 1


COUNTS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
)  # fmt: skip


def test_rebuilt_as_sent(archive: Line, tmp_path: Path) -> None:
    """Every body is to the letter what the server received, marks and settings included, and
    every count what the server charged.
    """
    proved(archive, tmp_path)


def test_totals_with_the_compaction(archive: Line, tmp_path: Path) -> None:
    """What the client counted is what its calls say and the one that no line tells of."""
    lines = all_told(archive, tmp_path, Tally())
    sent = [call for call in archive["sent"] if call["id"]]
    named = {line["response"]["id"] for line in lines}
    for key in COUNTS:
        beside = sum(call["usage"][key] for call in sent if call["id"] not in named)
        ours = sum(line["response"]["usage"][key] for line in lines)
        assert ours + beside == sum(call["usage"][key] for call in sent)


@pytest.mark.environments
@pytest.mark.timeout(600)
def test_client_today(tmp_path: Path) -> None:
    """The newest client still writes transcripts from which its bodies can be rebuilt."""
    python = environment("Claude Agent SDK and Claude Code", tmp_path)
    find = "import claude_agent_sdk, pathlib; print(pathlib.Path(claude_agent_sdk.__file__).parent)"
    done = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True)
    cli = Path(done.stdout.strip()) / "_bundled" / "claude"
    out = tmp_path / "out.json.gz"
    made = [sys.executable, str(LOGS / "make_claude_code.py"), str(cli), str(tmp_path), str(out)]
    subprocess.run(made, check=True)
    proved(json.loads(gzip.decompress(out.read_bytes())), tmp_path / "unpacked")


def test_lines_are_taken(archive: Line, tmp_path: Path) -> None:
    """The lines make a workload with every call, its usage, and sub-agents apart."""
    intake = Intake(default_counter())
    for line in all_told(archive, tmp_path, Tally()):
        intake.add(msgspec.json.encode(line))
    calls = intake.workload().calls
    charged = [call["usage"] for call in archive["sent"] if call["id"]]
    assert len(calls) == len(charged) - 1
    assert {call.label for call in calls} == {"main", "subagent"}
    # The sub-agent belongs to the session that asked it; the fork is one of its own.
    assert len({call.session for call in calls}) == 3
    assert len({call.session for call in calls if call.label == "subagent"}) == 1
    assert all(call.marks and call.lacks == () for call in calls)


def older(text: str) -> str:
    """Return a transcript as clients wrote it before they recorded requests."""
    found = [json.loads(line) for line in text.splitlines()]
    kept = [line for line in found if line["type"] not in RECORDS]
    for line in kept:
        line.pop("requestRef", None)
        line.pop("requestSessionId", None)
    return "".join(json.dumps(line) + "\n" for line in kept)


def test_older_clients(archive: Line, tmp_path: Path) -> None:
    """Without records a call has its model, the messages that can be seen, and its usage; it
    says what it lacks.
    """
    tally = Tally()
    newer = whole(all_told(archive, tmp_path / "new", Tally()))
    files = {name: older(text) for name, text in archive["files"].items()}
    lines = all_told({"files": files}, tmp_path / "old", tally)
    ids = [line["id"] for line in lines]
    # The fork's copies bear the names of what they were copied from.
    assert len(set(ids)) == len(newer) < len(ids)
    assert tally.of(claude_code.VISIBLE) == len(lines)
    assert all(line["lacks"] == ["marks", "settings", "system", "tools"] for line in lines)
    assert all(set(body) == {"model", "messages"} for body in whole(lines).values())
    # Message by message, what the user and the model said is what was sent.
    longest = max(newer.values(), key=lambda body: len(body["messages"]))
    said = [m for m in longest["messages"] if m["role"] != "system"]
    seen = max(whole(lines).values(), key=lambda body: len(body["messages"]))["messages"]
    assert [message["role"] for message in seen] == [message["role"] for message in said]
    assert [list(map(unmarked, one["content"])) for one in seen[1:]] == [
        list(map(unmarked, one["content"])) for one in said[1:]
    ]


def test_fork_alone(archive: Line) -> None:
    """A fork whose original is gone tells the copied calls itself, as far as it shows them."""
    tally = Tally()
    copies = [(name, text) for name, text in archive["files"].items() if "requestSessionId" in text]
    name, text = min(copies, key=lambda pair: len(pair[1]))
    lines = told(f"elsewhere/{Path(name).name}", text.encode(), tally)
    assert tally.of(claude_code.COPIED) == 0
    assert (tally.of(claude_code.VISIBLE), tally.of(claude_code.REBUILT)) == (len(lines) - 1, 1)
    assert len({line["session"] for line in lines}) == 2


def changed(text: str, kind: str, change: Callable[[Line], None]) -> bytes:
    """Change the lines of one kind."""
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        if line["type"] == kind:
            change(line)
    return "".join(json.dumps(line) + "\n" for line in found).encode()


def other_text(line: Line) -> None:
    """Forge a recorded message."""
    line["message"]["content"] = "Something else."


def other_system(line: Line) -> None:
    """Forge a recorded shape."""
    line["shape"]["system"] = []


def no_such_mark(line: Line) -> None:
    """Mark what is not there."""
    line["cacheControl"] = [{"path": ["messages", 99, "content", 0], "value": {}}]


def no_such_base(line: Line) -> None:
    """Keep more than there is."""
    line["keep"] = 10_000


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("api-request-blob", other_text),
        ("api-request-shape", other_system),
        ("api-request", no_such_mark),
        ("api-request", no_such_base),
    ],
)
def test_forged(archive: Line, kind: str, change: Callable[[Line], None]) -> None:
    """What is not what its name says is not used; the calls fall back to what can be seen."""
    text = next(text for name, text in archive["files"].items() if "subagents" in name)
    tally = Tally()
    lines = told("log", changed(text, kind, change), tally)
    assert [set(line["lacks"]) for line in lines] == [{"marks", "settings", "system", "tools"}] * 2
    assert (tally.of(claude_code.REBUILT), tally.of(claude_code.VISIBLE)) == (0, 2)
    assert (tally.of(claude_code.UNPROVED) > 0) == (kind != "api-request")


def other_lifetime(line: Line) -> None:
    """Have a mark last longer than it did."""
    line["cacheControl"][-1]["value"]["ttl"] = "1h"


def other_limit(line: Line) -> None:
    """Have another setting."""
    line["params"]["max_tokens"] = 7


@pytest.mark.parametrize("change", [other_lifetime, other_limit])
def test_unsealed(archive: Line, change: Callable[[Line], None]) -> None:
    """A request whose parts are as recorded, and whose whole has another digest, is noted."""
    text = next(text for name, text in archive["files"].items() if "subagents" in name)
    tally = Tally()
    lines = told("log", changed(text, "api-request", change), tally)
    assert tally.of(claude_code.UNSEALED) == tally.of(claude_code.REBUILT) == len(lines) == 2


class Written:
    """A transcript in the making, as older clients wrote them."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, kind: str, parent: str | None, **more: Any) -> str:
        """Add a line and return its name."""
        name = f"line-{len(self.lines)}"
        second = len(self.lines)
        line = {
            "parentUuid": parent,
            "isSidechain": False,
            "type": kind,
            "uuid": name,
            "timestamp": f"2026-02-03T10:00:{second:02d}.000Z",
            "sessionId": "night",
            "cwd": "/srv/lamps",
            **more,
        }
        self.lines.append(line)
        return name

    def ask(self, parent: str | None, content: Any, **more: Any) -> str:
        """Add a line of the user's."""
        return self.add("user", parent, message={"role": "user", "content": content}, **more)

    def answer(self, parent: str, name: str, block: Line, output: int = 5, **more: Any) -> str:
        """Add a line of an answer."""
        usage = {"input_tokens": 3, "cache_read_input_tokens": 40, "output_tokens": output}
        message = {"id": name, "role": "assistant", "model": "claude-opus-4-6", "usage": usage}
        message |= {"content": [block]} | more.pop("message", {})
        return self.add("assistant", parent, message=message, requestId=f"req_{name}", **more)

    def raw(self) -> bytes:
        """Return the file."""
        return "".join(json.dumps(line) + "\n" for line in self.lines).encode()


def text(said: str) -> Line:
    """Return a block of text."""
    return {"type": "text", "text": said}


def result(name: str) -> list[Line]:
    """Return the result of a tool."""
    return [{"type": "tool_result", "tool_use_id": name, "content": "lit"}]


def use(name: str) -> Line:
    """Return a use of a tool."""
    return {"type": "tool_use", "id": name, "name": "light", "input": {}}


def test_side_by_side() -> None:
    """Results that hang on different lines of an answer are all sent, in the order of the file."""
    log = Written()
    first = log.answer(log.ask(None, "Light both."), "msg_1", use("a"), 1)
    slow = log.ask(first, result("a"))
    second = log.answer(first, "msg_1", use("b"), 9)
    log.ask(second, result("b"))
    log.answer(slow, "msg_2", text("Both are lit."))
    one, two = told("log", log.raw())
    assert one["response"]["usage"]["output_tokens"] == 9
    messages = whole([one, two])[two["id"]]["messages"]
    assert messages == [
        {"role": "user", "content": [text("Light both.")]},
        {"role": "assistant", "content": [use("a"), use("b")]},
        {"role": "user", "content": [*result("a"), *result("b")]},
    ]
    assert (two["extends"], two["keep"]) == (one["id"], 1)
    # The newest input is the second result.
    assert two["at"] == "2026-02-03T10:00:04.000Z"
    assert two["first_token_after"] == 1.0


def test_rewound() -> None:
    """What a user took back is not in the prompt, and what stood before it is named."""
    log = Written()
    first = log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."))
    log.answer(log.ask(first, "Light lamp 6."), "msg_2", text("Lit."))
    log.answer(log.ask(first, "Light lamp 7."), "msg_3", text("Lit as well."))
    lines = told("log", log.raw())
    asked = whole(lines)["req_msg_3"]["messages"]
    assert [one["content"][0]["text"] for one in asked] == ["Hello.", "Hello.", "Light lamp 7."]
    assert lines[2]["keep"] == 2


def test_compacted() -> None:
    """After a compaction a conversation begins anew, with its summary."""
    log = Written()
    log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."))
    bound = log.add("system", None, subtype="compact_boundary")
    log.answer(log.ask(bound, "In short: hello.", isCompactSummary=True), "msg_2", text("Go on."))
    lines = told("log", log.raw())
    assert [line["extends"] for line in lines] == [None, None]
    assert whole(lines)["req_msg_2"]["messages"][0]["content"] == [text("In short: hello.")]


def test_agents_within() -> None:
    """Sub-agents that older clients wrote between the lines are calls of the same session."""
    log = Written()
    first = log.answer(log.ask(None, "Ask a helper."), "msg_1", use("a"))
    start = log.ask(None, "Count the lamps.", isSidechain=True)
    log.answer(start, "msg_2", text("Seven."), isSidechain=True)
    log.answer(log.ask(first, result("a")), "msg_3", text("Seven."))
    lines = told("log", log.raw())
    assert [line["label"] for line in lines] == ["main", "subagent", "main"]
    assert {line["session"] for line in lines} == {"night"}
    assert [line["extends"] for line in lines] == [None, None, lines[0]["id"]]


def test_left_out() -> None:
    """What is no call to Claude is left out and counted."""
    log = Written()
    first = log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."))
    asked = log.ask(first, "Again.")
    log.answer(asked, "x", text("API Error"), isApiErrorMessage=True)
    log.answer(asked, "y", text("No response"), message={"model": "<synthetic>"})
    log.answer(asked, "z", text("Hi."), message={"model": "glm-4.6"})
    log.answer("nobody", "msg_2", text("Hi."))
    tally = Tally()
    assert [line["id"] for line in told("log", log.raw(), tally)] == ["req_msg_1"]
    assert tally.of(claude_code.SYNTHETIC) == 2
    assert tally.of(OTHERS) == tally.of(claude_code.PROMPTLESS) == 1


def test_struck_out() -> None:
    """A copied call whose usage the client struck out is not told as one that cost nothing."""
    log = Written()
    nothing = dict.fromkeys(COUNTS, 0)
    copied: Line = {"requestSessionId": "evening", "message": {"usage": nothing}}
    first = log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."), **copied)
    log.answer(log.ask(first, "Again."), "msg_2", text("Again."))
    tally = Tally()
    (line,) = told("log", log.raw(), tally)
    assert tally.of(claude_code.STRUCK) == 1
    # What was said in it is part of the next prompt all the same.
    assert len(whole([line])[line["id"]]["messages"]) == 3


def test_counted_less() -> None:
    """A client that counted less than its calls add up to is noted."""
    log = Written()
    log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."))
    log.add("cost-state", None, modelUsage={"claude-opus-4-6": {"inputTokens": 1}})
    tally = Tally()
    told("log", log.raw(), tally)
    assert tally.of(claude_code.EXCEEDS) == 1


def test_clock_set_back() -> None:
    """A call that was answered before it was asked is taken to begin with its answer."""
    log = Written()
    asked = log.ask(None, "Hello.")
    log.lines[0]["timestamp"] = "2026-02-03T11:00:00Z"
    log.answer(asked, "msg_1", text("Hello."))
    (line,) = told("log", log.raw())
    assert line["at"] == "2026-02-03T10:00:01.000Z"
    assert "first_token_after" not in line


def test_still_being_written(archive: Line) -> None:
    """Half a line at the end is left out; a call whose answer has not come yet as well."""
    written = max(archive["files"].values(), key=len).encode()
    tally = Tally()
    before = len(told("log", written))
    assert 0 < len(told("log", written[: len(written) * 2 // 3], tally)) < before
    assert tally.of(HALF) == 1


def test_nothing_beside_the_call() -> None:
    """A line has the call and nothing else that a transcript tells of the machine."""
    log = Written()
    log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."), gitBranch="secret-branch")
    (line,) = told("log", log.raw())
    assert set(line) == {
        "extends", "request", "lacks", "at", "first_token_after", "id", "session", "label",
        "response",
    }  # fmt: skip
    assert "lamps" not in str(plain(line))
    assert "secret" not in str(plain(line))


@pytest.mark.parametrize(
    ("kind", "member", "wrong", "says"),
    [
        ("user", "timestamp", "yesterday", 'timestamp: "yesterday" is not a time'),
        ("user", "message", 5, "message: expected `object`"),
        ("user", "message", {"content": 5}, "message.content: expected"),
        ("assistant", "message", {"model": "m"}, "content"),
        ("assistant", "timestamp", None, "timestamp: expected"),
        ("cost-state", "modelUsage", [], "modelUsage: expected"),
        (
            "assistant",
            "message",
            {"id": "m", "model": "claude-opus-4-6", "content": [], "usage": {"input_tokens": -1}},
            "message.usage.input_tokens: ",
        ),
    ],
)
def test_bad_lines(kind: str, member: str, wrong: Any, says: str) -> None:
    """A bad line is told with its file, number and path; skipped, it takes no other with it."""
    log = Written()
    log.answer(log.ask(None, "Hello."), "msg_1", text("Hello."))
    log.add("cost-state", None, modelUsage={})
    bad = next(dict(line) for line in log.lines if line["type"] == kind)
    log.lines.append({**bad, "uuid": "another", member: wrong})
    with pytest.raises(InputError) as caught:
        told("log.jsonl", log.raw())
    assert str(caught.value).startswith("log.jsonl line 4: ")
    assert says.replace("`", "") in str(caught.value)
    tally = Tally(skip_bad=True)
    assert len(told("log", log.raw(), tally)) == 1
    assert tally.of(BAD) == 1


def test_matches(archive: Line) -> None:
    """Its own files are known by their beginnings, and no other format's are."""
    for text in archive["files"].values():
        file = File("log", io.BufferedReader(io.BytesIO(text.encode())))
        found = [reader for reader in READERS if reader.matches(file.head)]
        assert found[:1] == [claude_code]
    for path in LOGS.glob("*.gz"):
        if path.name.startswith("claude_code"):
            continue
        raw = gzip.decompress(path.read_bytes())
        file = File("log", io.BufferedReader(io.BytesIO(raw)))
        assert not claude_code.matches(file.head), path.name


def small(archive: Line) -> list[bytes]:
    """Return lines to break: those of a fork, a sub-agent and an older client, shortened."""
    texts = [text for name, text in archive["files"].items() if "subagents" in name]
    texts += [older(text) for text in archive["files"].values()]
    lines = [line.encode() for text in texts for line in text.splitlines()]
    return [line for line in lines if len(line) < 3_000]


def broken(archive: Line, number: int, seed: int) -> Iterator[bytes]:
    """Yield files in which every other line is broken."""
    lines = small(archive)
    hostile = list(hostile_lines(lines, number, seed))
    for start in range(0, number, 200):
        some = hostile[start : start + 200]
        mixed = [line for pair in zip(some, lines * 2, strict=False) for line in pair]
        yield b"\n".join(mixed)


def test_hostile(archive: Line) -> None:
    """Lines broken in any way are refused as bad input, or make calls like any other."""
    assert sum(survives(claude_code, raw) for raw in broken(archive, 2_000, 1)) > 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_hostile_many(archive: Line) -> None:
    """A hundred thousand broken lines do no more harm than two thousand."""
    assert sum(survives(claude_code, raw) for raw in broken(archive, 100_000, 2)) > 0


@given(
    chains=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=8),
    marked=st.lists(st.integers(0, 5), max_size=2),
)
def test_extended_as_meant(chains: list[list[int]], marked: list[int]) -> None:
    """Whatever calls share, their lines put together are the calls."""
    texts = Texts()
    for number in range(4):
        content = msgspec.json.encode([{"type": "text", "text": str(number)}])
        texts.put(number, msgspec.Raw(content))
    telling = Continuing(texts)
    mark = {"type": "ephemeral"}
    lines, meant = [], {}
    for at, chain in enumerate(chains):
        here = {index for index in marked if index < len(chain)}
        around = {"model": msgspec.Raw(b'"m"')} | ({"top_k": msgspec.Raw(b"1")} if at % 2 else {})
        found = telling.told(
            str(at),
            [Message("user", (number,)) for number in chain],
            around,
            {(index, 0): mark for index in here},
        )
        assert found is not None
        lines.append({**found, "id": str(at)})
        meant[str(at)] = {key: json.loads(bytes(part)) for key, part in around.items()} | {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        text(str(number)) | ({"cache_control": mark} if index in here else {})
                    ],
                }
                for index, number in enumerate(chain)
            ]
        }
    assert whole(lines) == meant


@given(
    calls=st.lists(
        st.tuples(
            st.lists(st.integers(0, 3), min_size=1, max_size=40),
            st.lists(st.integers(0, 39), max_size=2),
            st.sampled_from([7, 8]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_digest_of_the_whole(calls: list[tuple[list[int], list[int], int]]) -> None:
    """Whatever was hashed before, the hash of a request is that of all its JSON, sorted."""
    texts = Texts()
    for number in range(4):
        texts.put(number, msgspec.Raw(b'"lamp %d"' % number))
    seals = Seals(texts)
    mark = {"type": "ephemeral"}
    for chain, marked, limit in calls:
        messages: list[Line] = [
            {"role": "user", "content": [text(f"lamp {number}")]} for number in chain
        ]
        here = {index for index in marked if index < len(chain)}
        for index in here:
            messages[index]["content"][0]["cache_control"] = mark
        members = {"max_tokens": limit, "model": "m", "betas": [], "tools": [{"name": "light"}]}
        body = {**members, "messages": messages}
        written = {
            key: json.dumps(part).replace(": ", ":").encode() for key, part in members.items()
        }
        asked = [Message("user", (number,)) for number in chain]
        at = {(index, 0): mark for index in here}
        assert seals.holds(digest(body), written, asked, at)
        assert not seals.holds(digest({**body, "model": "n"}), written, asked, at)


def test_text_let_go() -> None:
    """Text that was let go of is not said; what follows it is, and the line says so."""
    texts = Texts(most=40)
    for number in range(3):
        texts.put(number, msgspec.Raw(b'"lamp %d"' % number))
    chain = [Message("user", (number,)) for number in range(3)]
    telling = Continuing(texts)
    assert telling.told("a", chain, {}) is None
    found = telling.told("b", chain[2:], {})
    assert found is not None
    assert plain(found)["request"]["messages"][0]["content"] == [text("lamp 2")]


def test_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own transcripts are found, sub-agents included, the oldest first."""
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    assert folder() == Path.home() / ".claude" / "projects"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert folder() == tmp_path / "projects"
    assert sessions() == []
    place = tmp_path / "projects" / "-srv-lamps"
    paths = [place / "b.jsonl", place / "b" / "subagents" / "agent-1.jsonl", place / "a.jsonl"]
    for age, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
        os.utime(path, (1_000.0 + age, 1_000.0 + age))
    (place / "notes.txt").write_text("no transcript")
    assert sessions() == paths
    assert sessions(1_001.0) == paths[1:]


def test_common_conversation() -> None:
    """The conversation that all formats share is told body by body, with what was charged."""
    raw = gzip.decompress((LOGS / "claude_code_lighthouse.jsonl.gz").read_bytes())
    charged = json.loads((LOGS / "claude_code_lighthouse.usage.json").read_text(encoding="utf-8"))
    tally = Tally()
    lines = told("log", raw, tally)
    assert tally.of(claude_code.REBUILT) == len(lines) == len(BODIES)
    assert list(whole(lines).values()) == BODIES
    for line, usage in zip(lines, charged, strict=True):
        assert all(line["response"]["usage"][key] == usage[key] for key in COUNTS)
    assert {line["first_token_after"] for line in lines} == {1.0}
    # Later lines say what is new, and no member that has not changed.
    assert [len(line["request"]["messages"]) for line in lines] == [1, 2, 2, 2]
    assert all(set(line["request"]) == {"messages"} for line in lines[1:])
