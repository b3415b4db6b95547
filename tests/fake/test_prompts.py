"""What the imitation charges is what ``simulate`` says of the same calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bodies import bodies, lawful
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from talk import HOUR, body

from cacheplan.assumptions import Assumptions
from cacheplan.checking import workload_of
from cacheplan.io.cli import main
from cacheplan.io.counting import default_counter
from cacheplan.io.fake.exchange import Asked
from cacheplan.prices import Sheet
from cacheplan.projection import replay
from cacheplan.records import Intake
from cacheplan.testing import FakeAnthropic
from cacheplan.wire import mark

MODELS = ("claude-opus-5-5", "claude-sonnet-4-5", "claude-haiku-5-5")
#: Drawn prompts are short, and what a server tool did shows only in a later call.
ASSUME = Assumptions.parse(
    ["server_tool_marks=no", "batch_hit_rate=0.7", *(f"minimum.{model}=1" for model in MODELS)]
)
OFTEN: st.SearchStrategy[Any] = st.sampled_from([True, True, True, False])
TURNS: st.SearchStrategy[Any] = st.integers(0, 2)
COUNTER = default_counter()


def send(fake: FakeAnthropic, sent: Any, key: str = "any") -> Any:
    """Send one body, and return what came back."""
    headers = {"x-api-key": key}
    content = json.dumps(sent).encode()
    return fake.handle(Asked.of("POST", "https://any/v1/messages", headers, content))


def taken(drawn: dict[str, Any], model: str) -> dict[str, Any]:
    """Return a drawn body without what the API refuses whoever speaks."""
    said = [message for message in drawn["messages"] if message["content"]]
    kept = {key: part for key, part in drawn.items() if key != "tool_choice"}
    return {**kept, "model": model, "messages": said or [{"role": "user", "content": "Hi"}]}


@st.composite
def talks(draw: st.DrawFn) -> list[tuple[float, str, dict[str, Any]]]:
    """Draw calls that repeat, extend and interrupt each other, with gaps around every edge."""
    calls: list[tuple[float, str, dict[str, Any]]] = []
    bare: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 8))):
        if bare and draw(OFTEN):
            before = draw(st.sampled_from(bare[-2:]))
            more = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "So?"}]
            fresh = {**before, "messages": [*before["messages"], *more[: draw(TURNS)]]}
        else:
            fresh = taken(draw(bodies()), draw(st.sampled_from(MODELS)))
        bare.append(fresh)
        gap = draw(st.sampled_from([0.0, 0.0, 1.0, 298.0, 299.0, 300.0, 3599.0, 3600.0]))
        calls.append((gap, draw(st.sampled_from("ab")), mark(fresh, draw(lawful(fresh)))))
    return calls


def simulated(lines: Sequence[dict[str, Any]], *, recorded: bool) -> list[Any]:
    """Return what each line costs by the simulator that everything else uses."""
    intake = Intake(COUNTER, ASSUME)
    for line in lines:
        kept = {key: part for key, part in line.items() if recorded or key != "response"}
        intake.add(json.dumps(kept).encode())
    served = replay(intake.workload(), lambda call: call.marks, Sheet.default())
    return [usage for _, usage, _, _ in served]


@given(talks(), st.booleans())
def test_usage_is_what_simulate_says(
    calls: list[tuple[float, str, dict[str, Any]]], recorded: bool
) -> None:
    """Law: of any calls at any times, each is charged as a simulation of all of them says."""
    fake = FakeAnthropic(
        strict=False, assume=ASSUME, counter=COUNTER, workspaces={"a": "one", "b": "two"}
    )
    for gap, key, sent in calls:
        fake.sleep(gap)
        send(fake, sent, key)
    lines = fake.lines()
    charged = [call.usage for call in fake.calls if call.usage]
    assert simulated(lines, recorded=recorded) == charged


@given(st.lists(bodies(), min_size=1, max_size=4))
def test_counted_tokens_are_the_prompts_length(drawn: list[dict[str, Any]]) -> None:
    """Law: what is charged for a prompt, in whatever parts, adds up to its length."""
    fake = FakeAnthropic(strict=False, assume=ASSUME, counter=COUNTER)
    for one in drawn:
        send(fake, taken(one, MODELS[0]))
    assert len(fake.lines()) == len(drawn)
    for line, call in zip(fake.lines(), (one for one in fake.calls if one.usage), strict=True):
        alone = workload_of([line["request"]], COUNTER, ASSUME)
        assert call.usage
        assert call.usage.prompt == alone.prompt_tokens(alone.calls[0])


def test_the_command_says_the_same(tmp_path: Path) -> None:
    """What was received, saved and given to ``cacheplan simulate``, is charged the same."""
    fake = FakeAnthropic()
    words = ["Hello", "You said: Hello", "And now?", "You said: And now?", "Why?"]
    for turn in (1, 3, 5, 3, 5):
        send(fake, body(*words[:turn]))
        fake.sleep(200)
    send(fake, body("Hello", cache_control=HOUR))
    fake.save(tmp_path / "calls.jsonl")
    file = str(tmp_path / "calls.jsonl")
    done = CliRunner().invoke(
        main, ["simulate", file, "--policy", "as-marked", "--format", "jsonl"]
    )
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    charged = [call.usage for call in fake.calls if call.usage]
    assert len(rows) == 6
    assert [(row["read"], row["write_5m"], row["write_1h"], row["uncached"]) for row in rows] == [
        (used.read, used.write_5m, used.write_1h, used.uncached) for used in charged
    ]
    assert [row["read"] > 0 for row in rows] == [False, True, True, True, True, False]


def test_rounds_are_charged_as_simulated() -> None:
    """An answer with results of server tools is charged as it is once a later call repeats it."""
    assume = Assumptions()
    fake = FakeAnthropic(counter=COUNTER)
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    hit = {"type": "web_search_result", "url": "u", "title": "t", "encrypted_content": "e" * 9000}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [hit]}
    answer: list[dict[str, Any]] = [search, result, {"type": "text", "text": "Found."}]
    fake.say(answer)
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    one = body("Hello", tools=tools)
    send(fake, one)
    said = [*one["messages"], {"role": "assistant", "content": answer}]
    send(fake, {**one, "messages": [*said, {"role": "user", "content": "And?"}]})
    intake = Intake(COUNTER, assume)
    for line in fake.lines():
        intake.add(json.dumps({**line, "response": {}}).encode())
    served = replay(intake.workload(), lambda call: call.marks, Sheet.default())
    charged = [call.usage for call in fake.calls if call.usage]
    assert [usage for _, usage, _, _ in served] == charged
    assert charged[0].read > 3000
    assert charged[1].read == charged[0].written
