"""One conversation, as many programs logged it, is one conversation to every reader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from lighthouse import BODIES

from cacheplan.anonymous import anonymous
from cacheplan.io.counting import default_counter
from cacheplan.io.documents import File
from cacheplan.io.logs import FORMATS, format_of, told
from cacheplan.io.opening import opened
from cacheplan.io.tally import Tally
from cacheplan.prices import Sheet
from cacheplan.prompt import Lifetime
from cacheplan.records import Intake
from cacheplan.report import review
from cacheplan.rules import RULES
from cacheplan.subject import Remembering, Subject
from cacheplan.usage import Usage
from cacheplan.wholes import Wholes
from cacheplan.workload import Workload

LOGS: Final = Path(__file__).parent / "logs"

#: Each program's log of it, and which of its entries those four calls are.
SAME: Final = {
    "claude_code_lighthouse.jsonl.gz": "claude-code",
    "bedrock_converse.jsonl.gz": "bedrock",
    "bedrock_invoke.jsonl.gz": "bedrock",
    "bedrock_stream.jsonl.gz": "bedrock",
    "bodies.jsonl.gz": "bodies",
    "har.har.gz": "har",
    "helicone.jsonl.gz": "helicone",
    "langfuse_langchain.csv.gz": "langfuse",
    "langfuse_langchain.jsonl.gz": "langfuse",
    "langfuse_langchain_api.json.gz": "langfuse",
    "langfuse_langchain_blob.jsonl.gz": "langfuse",
    "langfuse_openinference.jsonl.gz": "langfuse",
    "langfuse_traceloop.jsonl.gz": "langfuse",
    "langsmith_langchain.jsonl.gz": "langsmith",
    "langsmith_wrapper.jsonl.gz": "langsmith",
    "litellm_payloads.jsonl.gz": "litellm",
    "litellm_spend.csv.gz": "litellm",
    "litellm_spend.jsonl.gz": "litellm",
    "litellm_spend.parquet": "litellm",
    "phoenix_frame.csv.gz": "phoenix",
    "phoenix_frame.jsonl.gz": "phoenix",
    "phoenix_genai.json.gz": "phoenix",
    "phoenix_otlp.json.gz": "phoenix",
    "phoenix_rest.json.gz": "phoenix",
    "phoenix_rest_and_sdk.json.gz": "phoenix",
    "spans_openinference.jsonl.gz": "phoenix",
    "spans_openinference_and_sdk.jsonl.gz": "phoenix",
    "spans_sdk.jsonl.gz": "opentelemetry",
    "spans_traceloop.jsonl.gz": "opentelemetry",
    "spans_traceloop_and_sdk.jsonl.gz": "opentelemetry",
}
#: What the service counted: read, written, uncached.
COUNTED: Final = [(0, 9460, 2), (9460, 60, 2), (9520, 34, 2), (9554, 40, 2)]


def lines_of(name: str) -> list[dict[str, Any]]:
    """Return the four calls as lines, a minute apart and of no platform or name of their own."""
    wholes = Wholes()
    found = [json.loads(wholes.whole(one.line)) for one in told([LOGS / name], Tally())]
    if name.startswith(("langfuse", "phoenix")):
        found.sort(key=lambda line: str(line["at"]))  # Their pages have the newest first.
    found = found[: len(BODIES)]
    own = ("label", "session", "platform", "first_token_after", "tags", "workspace")
    for at, line in enumerate(found):
        line["at"] = 60 * at
        line.update(dict.fromkeys(own))
        if "model" in line.get("request", {}):
            line["request"]["model"] = BODIES[0]["model"]
    return found


def ours() -> list[dict[str, Any]]:
    """Return the same calls in our own form, with what was counted."""
    return [
        {
            "at": 60 * at,
            "request": body,
            "usage": {
                "input_tokens": uncached,
                "cache_read_input_tokens": read,
                "cache_creation_input_tokens": written,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": written if at else 19,
                    "ephemeral_1h_input_tokens": 0 if at else written - 19,
                },
            },
        }
        for at, (body, (read, written, uncached)) in enumerate(zip(BODIES, COUNTED, strict=True))
    ]


def taken(lines: list[dict[str, Any]]) -> Workload:
    """Take in some lines, their text remembered."""
    counter = Remembering(default_counter())
    intake = Intake(counter)
    for line in lines:
        intake.add(json.dumps(line).encode())
    found = intake.workload()
    return replace(found, texts=counter.bodies)


def busy(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return four conversations of these, hours apart, each with its time in front."""
    made = []
    for again in range(4):
        for line in json.loads(json.dumps(lines)):
            line["at"] += 9000 * again
            for key in ("id", "response", "usage"):
                line.pop(key, None)
            system = line["request"].get("system")
            if system:
                system[0]["text"] = f"It is 2026-11-21 0{again}:17:23. {system[0]['text']}"
            made.append(line)
    return made


def marks_of(workload: Workload) -> list[list[tuple[int, Lifetime]]]:
    """Return behind how many tokens each call is marked, and for how long."""
    tokens = workload.tree.tokens
    return [[(tokens[node], lifetime) for node, lifetime in call.marks] for call in workload]


def found_in(workload: Workload) -> set[tuple[str, str, int]]:
    """Return what a review finds: the rule, what it says, and of how many calls."""
    made = review(Subject(workload, Sheet.default(), workload.texts), train=0)
    return {(one.code, one.message, one.calls) for one in made.findings}


@pytest.mark.parametrize("name", SAME)
class TestOneConversation:
    """Each log, told apart by its content."""

    def test_its_format_is_told(self, name: str) -> None:
        """No other format takes it first, and ours does not take it at all."""
        with opened(LOGS / name) as stream:
            head = File(name, stream).head
        assert getattr(format_of(head), "NAME", None) == SAME[name]

    def test_usage_is_what_the_service_counted(self, name: str) -> None:
        """To the token, whether a source counts what was cached as input or not."""
        used = [call.recorded or Usage() for call in taken(lines_of(name))]
        assert [(one.read, one.written, one.uncached) for one in used] == COUNTED

    def test_prompts_are_as_long_as_counted(self, name: str) -> None:
        """Also where tools or the system prompt are not shown."""
        calls = taken(lines_of(name))
        expected = [sum(counts) for counts in COUNTED]
        assert [calls.prompt_tokens(call) for call in calls] == expected

    def test_marks_stand_where_they_stood(self, name: str) -> None:
        """A source that says where breakpoints are says the same as the bodies do."""
        calls, bodies = taken(lines_of(name)), taken(ours())
        if not any("marks" in call.lacks for call in calls):
            assert marks_of(calls) == marks_of(bodies)

    def test_what_it_carries_is_found(self, name: str) -> None:
        """A source that says everything finds everything; one that lacks something, the rest."""
        calls = taken(busy(lines_of(name)))
        lacks = {word for call in calls for word in call.lacks}
        carried = {rule.CODE for rule in RULES if lacks.isdisjoint(rule.NEEDS)}
        expected = {one for one in found_in(taken(busy(ours()))) if one[0] in carried}
        assert expected <= found_in(calls)
        assert expected or "marks" in lacks
        if lacks <= {"lifetimes"}:
            assert found_in(calls) == expected


@pytest.mark.parametrize("name", SAME)
def test_a_copy_without_text_has_none(name: str) -> None:
    """Whatever the source, digests keep the counts and no word of what was said."""
    calls = taken(lines_of(name))
    copy = [*anonymous(calls, b"key")]
    said = json.dumps(copy)
    for word in ("lamp", "oil", "glass", "toolu", "lighthouse"):
        assert word not in said.lower()
    found = taken(copy)
    assert [call.recorded for call in found] == [call.recorded for call in calls]
    assert [found.prompt_tokens(call) for call in found] == [
        calls.prompt_tokens(call) for call in calls
    ]
    assert [call.lacks for call in found] == [call.lacks for call in calls]


def test_every_format_has_a_log_here() -> None:
    """A format without a log of its own is one that nobody proved."""
    proved = {"ledger", "workload", "batches", *SAME.values()}
    assert proved >= {reader.NAME for reader in FORMATS}
