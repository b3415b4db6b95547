"""The digest form: what is shared can be seen, and nothing can be read."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

import pytest
from bodies import bodies
from hypothesis import assume as suppose
from hypothesis import given
from hypothesis import strategies as st
from small import (
    Characters,
    digest_line,
    digest_workloads,
    message,
    policy,
    request,
    tool,
    workload,
)

from cacheplan.anonymous import anonymous
from cacheplan.assumptions import Assumptions
from cacheplan.errors import InputError
from cacheplan.policies import BASELINES
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.records import Intake
from cacheplan.workload import Workload

KEY: Final = b"a key of our own"
MARK: Final = {"type": "ephemeral"}
#: Every policy that needs no roles: those are lost in the digest form.
ROLELESS = [one.name for one in BASELINES if one.name != "last-two-turns"]


def copied(calls: Workload, key: bytes = KEY) -> list[dict[str, Any]]:
    """Return the digest form as it comes back from a file."""
    return [json.loads(json.dumps(line)) for line in anonymous(calls, key)]


def outcome(calls: Workload, name: str) -> list[tuple[Any, ...]]:
    """Say of each call what it was served under a policy, and whether it was refused."""
    served = replay(calls, policy(name)(calls), Sheet.default())
    return [(one.call.at, one.usage, one.refused is None) for one in served]


@st.composite
def recorded(draw: st.DrawFn) -> Workload:
    """Draw a workload of bodies: each new, or an earlier one with messages added."""
    intake = Intake(Characters(each=1_500), Assumptions())
    drawn: list[dict[str, Any]] = []
    at = draw(st.sampled_from([0.0, 1_790_000_000.0]))
    for number in range(draw(st.integers(2, 5))):
        at += draw(st.sampled_from([2, 1, 0, 290, 310]))
        body: dict[str, Any] = draw(bodies(marked=draw(st.integers(0, 2)) == 2))
        if draw(st.booleans()):
            body["cache_control"] = MARK
        if bool(drawn) and draw(st.integers(0, 3)):
            earlier: dict[str, Any] = draw(st.sampled_from(drawn))
            more = body["messages"] if draw(st.booleans()) else [message("user", "more")]
            grown = [*earlier["messages"], *more]
            body = {**earlier, "messages": grown}
            if draw(st.integers(0, 5)) == 5:
                body["speed"] = "fast"
        line: dict[str, Any] = {
            "at": at,
            "id": f"secret-{number}",
            "session": draw(st.sampled_from([None, "", "secret-session"])),
            "workspace": draw(st.sampled_from([None, None, "", "secret-workspace"])),
            "surface": draw(st.sampled_from(["messages", "messages", "batch"])),
            "request": body,
            "output_tokens": number,
        }
        if draw(st.integers(0, 9)) == 9:
            line["response"] = {"type": "error"}
        try:
            intake.add(json.dumps(line).encode())
        except InputError:
            continue
        drawn.append(body)
    return intake.workload()


class TestSameNumbers:
    """The copy is served as the original is, call by call."""

    @given(calls=recorded(), name=st.sampled_from(ROLELESS))
    def test_of_bodies(self, calls: Workload, name: str) -> None:
        """Bodies of every kind, under every policy that needs no roles."""
        suppose(calls.calls)
        # What a server tool answered while a call was served has no place in this form.
        suppose(not any(call.rounds for call in calls))
        assert outcome(workload(copied(calls)), name) == outcome(calls, name)

    @given(
        lines=digest_workloads(("claude-sonnet-5", "a-new-one", "claude-haiku-5-5")),
        name=st.sampled_from(ROLELESS),
    )
    def test_of_digests(self, lines: list[dict[str, Any]], name: str) -> None:
        """A workload that is in the digest form already."""
        calls = workload(lines)
        assert outcome(workload(copied(calls)), name) == outcome(calls, name)

    @given(lines=digest_workloads(("claude-sonnet-5",)))
    def test_of_a_copy(self, lines: list[dict[str, Any]]) -> None:
        """A copy of a copy has the same shape: only the digests are others."""
        once = copied(workload(lines))
        twice = copied(workload(once))
        for one, other in zip(once, twice, strict=True):
            assert [block["tokens"] for block in one["blocks"]] == [
                block["tokens"] for block in other["blocks"]
            ]
            assert one.get("marks") == other.get("marks")
            assert ("extends" in one) == ("extends" in other)

    def test_what_is_set_parts_the_copy(self) -> None:
        """Calls that share no entry because of a parameter share none in the copy."""
        body = request(message("user", "x" * 2_000), cache_control=MARK)
        lines = [
            {"at": at, "request": {**body, "tool_choice": {"type": choice}}}
            for at, choice in enumerate(("auto", "none", "auto"))
        ]
        lines[2]["at"] = 9
        calls = workload(lines)
        reads = [usage.read > 0 for _, usage, _ in outcome(workload(copied(calls)), "as-marked")]
        assert reads == [False, False, True]

    def test_blank_tail_takes_no_mark(self) -> None:
        """A block that takes no mark takes none in the copy, whatever the policy."""
        body = request(message("user", "x" * 2_000, " "), cache_control=MARK)
        calls = workload([{"at": 0, "request": body}])
        (line,) = copied(calls)
        assert [block.get("unmarkable", False) for block in line["blocks"]] == [False, True]
        assert line["automatic"] == "5m"
        assert outcome(workload([line]), "automatic") == outcome(calls, "automatic")

    def test_record_is_kept(self) -> None:
        """Times, labels and recorded usage are in the copy, the split of writes too."""
        used = {
            "input_tokens": 3,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 11,
            "cache_creation": {"ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 4},
            "output_tokens": 2,
        }
        line = digest_line(
            [("a", 19, "messages")],
            label="search",
            platform="bedrock",
            speed="fast",
            inference_geo="us",
            at=12.5,
            first_token_after=0.25,
            response={"usage": used},
        )
        before, after = workload([line]).calls[0], workload(copied(workload([line]))).calls[0]
        assert after.recorded == before.recorded
        assert (after.label, after.at, after.output) == ("search", 12.5, 2)
        assert after.tariff == before.tariff
        assert after.first_token_after == 0.25

    def test_prompt_length_is_kept_without_blocks(self) -> None:
        """What the service adds unseen is not lost where no block could carry it."""
        calls = workload([{"at": 0, "request": request(tools=[])}])
        copy = workload(copied(calls))
        assert copy.prompt_tokens(copy.calls[0]) == calls.prompt_tokens(calls.calls[0])


class TestNothingToRead:
    """No text, no id and no word of the caller's own is left."""

    BODY: Final = request(
        message("user", "secret question"),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "secret", "signature": "secret"},
                {"type": "tool_use", "id": "secret", "name": "secret", "input": {"secret": "x"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "secret", "content": "secret"},
                {"type": "image", "source": {"type": "url", "url": "https://secret"}},
                {"type": "secret_kind", "text": "secret"},
            ],
        },
        tools=[tool("secret", "secret"), {"type": "secret_tool_1", "name": "secret"}],
        system="secret",
        metadata={"user_id": "secret"},
        cache_control=MARK,
    )

    def test_no_word(self) -> None:
        """Texts, names, ids, addresses and kinds nobody knows are gone."""
        line = {
            "at": 0,
            "id": "secret",
            "session": "secret",
            "workspace": "secret",
            "request": self.BODY,
            "response": {"id": "secret", "usage": {"input_tokens": 5}},
            "note": "secret",
        }
        copy = copied(workload([line]))
        assert "secret" not in json.dumps(copy)
        kinds = [block["kind"] for block in copy[0]["blocks"]]
        assert kinds[:3] == ["tool", "other", "text"]
        assert kinds[-1] == "other"

    @given(calls=recorded())
    def test_no_id(self, calls: Workload) -> None:
        """No id, session or workspace of a drawn workload is in its copy."""
        assert "secret" not in json.dumps(copied(calls))

    def test_labels_stay(self) -> None:
        """The label is the name of a cost, and is meant to be read."""
        lines = [digest_line([("a", 1, "messages")], label="search")]
        assert copied(workload(lines))[0]["label"] == "search"


class TestKeys:
    """Who has the key can tell what is the same; nobody else can tell anything."""

    CALLS = workload(
        [
            {"at": at, "id": "x", "workspace": "w", "request": request(message("user", word))}
            for at, word in enumerate(("a", "b", "a"))
        ]
    )

    def names(self, key: bytes) -> set[str]:
        """Return every digest in a copy under a key."""
        lines = copied(self.CALLS, key)
        digests = {block["digest"] for line in lines for block in line["blocks"]}
        return digests | {line["id"] for line in lines} | {line["workspace"] for line in lines}

    @given(key=st.binary(min_size=1, max_size=100))
    def test_same_key(self, key: bytes) -> None:
        """The same key gives the same copy, and the same text the same digest in it."""
        assert copied(self.CALLS, key) == copied(self.CALLS, key)
        assert len(self.names(key)) == 2 + 3 + 1

    @given(keys=st.lists(st.binary(min_size=1, max_size=100), min_size=2, max_size=2, unique=True))
    def test_other_key(self, keys: list[bytes]) -> None:
        """Two keys have no digest in common."""
        assert not self.names(keys[0]) & self.names(keys[1])

    def test_ids_are_apart(self) -> None:
        """Calls that share an id, or have none, are still apart in the copy."""
        assert len({line["id"] for line in copied(self.CALLS)}) == 3


@pytest.mark.parametrize("turns", [1, 30])
def test_conversation_costs_a_line_a_turn(turns: int) -> None:
    """Each line holds only the blocks that no earlier line had."""
    said = [message("user" if at % 2 == 0 else "assistant", f"{at}") for at in range(2 * turns)]
    lines = [
        {"at": at, "request": request(*said[: 2 * at + 1], system="Be brief.")}
        for at in range(turns)
    ]
    copy = copied(workload(lines))
    assert [len(line["blocks"]) for line in copy] == [2] + [2] * (turns - 1)
    assert all(line["extends"] == before["id"] for before, line in pairwise(copy))
