"""``assert_prefix_stable`` and ``assert_no_findings``: what they refuse, and in which words."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import PERSON, dated, steady
from small import Characters, digest_line, message, request, tool

from cacheplan.errors import InputError
from cacheplan.io.assertions import assert_no_findings, assert_prefix_stable
from cacheplan.testing import FakeAnthropic

COUNTER = Characters()
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, where no settings hold."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def body(**fields: Any) -> dict[str, Any]:
    """Return a body with tools, two system blocks and a message of two blocks."""
    system = [{"type": "text", "text": text} for text in ("Be brief.", "Be kind.")]
    given = {"tools": [tool("look"), tool("fetch")], "system": system, **fields}
    return request(message("user", "a document", "a question"), **given)


def changed(edit: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Return the body with something edited in it."""
    found = copy.deepcopy(body())
    edit(found)
    return found


#: By where they stand: what can change, and the widest ends that do not see it.
EDITS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "tools[0]": (lambda one: one["tools"].reverse(), ""),
    "tools[1]": (lambda one: one["tools"][1].update(description="new"), "tools[0]"),
    "system[0]": (lambda one: one["system"][0].update(text="Be long."), "tools"),
    "system[1]": (lambda one: one["system"].pop(), "system[0]"),
    "messages[0].content[0]": (
        lambda one: one["messages"][0]["content"][0].update(text="another"),
        "system",
    ),
    "messages[0].content[1]": (
        lambda one: one["messages"][0]["content"][1].update(text="another"),
        "messages[0].content[0]",
    ),
}
ENDS = ["tools[0]", "tools", "system[0]", "system", "messages[0].content[0]", "messages[0]"]
ENDS += ["messages[1]", "messages"]


class TestStable:
    """Calls begin alike as far as it is asked."""

    @pytest.mark.parametrize("place", EDITS)
    @pytest.mark.parametrize("end", ENDS)
    def test_how_far(self, place: str, end: str) -> None:
        """A change is seen from the end that covers it on, and by no shorter one."""
        edit, blind = EDITS[place]
        calls = [body(), body(), changed(edit)]
        if blind and ENDS.index(end) <= ENDS.index(blind):
            assert_prefix_stable(calls, upto=end)
            return
        with pytest.raises(AssertionError) as caught:
            assert_prefix_stable(calls, upto=end)
        said = str(caught.value).splitlines()
        assert said[0] == f"the prefix up to {end} is not stable: call 2 differs from call 1"
        assert said[1].startswith(place.partition("[")[0] + "_changed: ")
        assert said[2].strip().startswith("at      " + place)

    @given(st.integers(2, 6), st.sampled_from(ENDS))
    def test_the_same_again(self, times: int, end: str) -> None:
        """The same prompt any number of times is stable to any end."""
        assert_prefix_stable([body() for _ in range(times)], upto=end)

    def test_going_on(self) -> None:
        """A conversation that only grows is stable to its end; one that is cut is not."""
        turns = [message("user", "one"), message("assistant", "two"), message("user", "three")]
        growing = [request(*turns[: end + 1]) for end in (0, 2)]
        assert_prefix_stable(growing, upto="messages")
        with pytest.raises(AssertionError, match="a text block is missing in the later call"):
            assert_prefix_stable(growing[::-1], upto="messages")

    @pytest.mark.parametrize(
        ("field", "reason"),
        [
            ({"model": "claude-opus-4-5"}, "model_changed: "),
            ({"tool_choice": {"type": "any"}}, "messages_changed: tool_choice changed"),
        ],
    )
    def test_settings(self, field: dict[str, Any], reason: str) -> None:
        """What is set counts for the level that it renders anew, and a model for all of them."""
        with pytest.raises(AssertionError, match=reason):
            assert_prefix_stable([body(), body(**field)], upto="messages[0]")
        if "model" not in field:
            assert_prefix_stable([body(), body(**field)], upto="system")

    def test_marks_are_no_change(self) -> None:
        """A mark that moves is no other prompt."""
        marked = changed(lambda one: one["system"][0].update(cache_control={"type": "ephemeral"}))
        assert_prefix_stable([body(), marked, body()], upto="messages")

    def test_shape(self) -> None:
        """What prompts say is shown as its shape, unless it is asked for."""
        with pytest.raises(AssertionError) as caught:
            assert_prefix_stable(dated())
        assert PERSON not in str(caught.value)
        assert "a time changed" in str(caught.value)
        with pytest.raises(AssertionError, match=PERSON):
            assert_prefix_stable(dated(), show_text=True)


class TestCalls:
    """Calls are bodies, lines, or a file."""

    def test_lines_are_parted(self) -> None:
        """Features, models and workspaces of a recording may begin each in its own way."""
        lines = [*steady(3), *dated(1, label="other")]
        lines.sort(key=lambda line: line["at"])
        assert_prefix_stable(lines)
        with pytest.raises(AssertionError, match=r"call \d"):
            assert_prefix_stable([line["request"] for line in lines])

    def test_sessions(self) -> None:
        """Conversations that take turns are followed one by one, beyond the system prompt."""
        said = [[message("user", f"{who} {turn}") for turn in range(3)] for who in "ab"]
        lines: list[dict[str, Any]] = [
            {"at": turn, "session": who, "request": request(*mine[:turn])}
            for turn in (1, 2, 3)
            for who, mine in zip("ab", said, strict=True)
        ]
        assert_prefix_stable(lines, upto="messages")
        with pytest.raises(AssertionError):
            assert_prefix_stable([line["request"] for line in lines], upto="messages")

    def test_imitated_service(self) -> None:
        """What the imitated service received are lines, and so are calls."""
        fake = FakeAnthropic()
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        with anthropic.Anthropic(api_key="any", http_client=through) as client:
            for line in dated(4):
                client.messages.create(**line["request"])
        with pytest.raises(AssertionError, match="a time changed"):
            assert_prefix_stable(fake.lines())
        with pytest.raises(AssertionError, match="CP001"):
            assert_no_findings(fake.lines())

    def test_file(self, folder: Path) -> None:
        """A workload file is read, and a bad line is named."""
        path = folder / "calls.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in dated()))
        with pytest.raises(AssertionError, match=r"call 1 \(call-1\) differs from call 0"):
            assert_prefix_stable(path)
        with pytest.raises(AssertionError, match="CP001 volatile-span"):
            assert_no_findings(path, counter=COUNTER)
        path.write_text("{}\n{")
        with pytest.raises(InputError, match=r"calls.jsonl line 2: "):
            assert_prefix_stable(path)

    @pytest.mark.parametrize("calls", [[], [body()]])
    def test_nothing_to_compare(self, calls: list[Any]) -> None:
        """A test that compares nothing does not pass."""
        with pytest.raises(InputError, match="there are not two"):
            assert_prefix_stable(calls)

    def test_no_calls(self) -> None:
        """A test that looks at nothing does not pass."""
        with pytest.raises(InputError, match="calls: no calls in it"):
            assert_no_findings([], counter=COUNTER)

    def test_digests(self) -> None:
        """Digests have no bodies, and a review takes them all the same."""
        lines = [digest_line([("a", 5_000, "system")], at=at) for at in (0, 9)]
        with pytest.raises(InputError, match="request: missing"):
            assert_prefix_stable(lines)
        assert_no_findings(lines, fail_on="error")

    @pytest.mark.parametrize("calls", [body(), [object()], ["text"]])
    def test_no_calls_at_all(self, calls: Any) -> None:
        """What is neither a body nor a line is refused as such."""
        with pytest.raises(TypeError, match="bod"):
            assert_prefix_stable(calls)

    @pytest.mark.parametrize("upto", ["sytem", "system[0].content[1]", "messages[x]", ""])
    def test_no_end(self, upto: str) -> None:
        """A place that is none is refused."""
        with pytest.raises(InputError, match="is no end of a prefix"):
            assert_prefix_stable([body(), body()], upto=upto)

    def test_bad_body(self) -> None:
        """A body that cannot be read says where."""
        with pytest.raises(InputError, match=r"^calls\[1\].request.messages"):
            assert_no_findings([body(), request(message("nobody", "hi"))], counter=COUNTER)


class TestFindings:
    """A review of the calls finds nothing grave."""

    def test_words(self) -> None:
        """The message says what a review says, with shapes, and how many there are."""
        with pytest.raises(AssertionError) as caught:
            assert_no_findings(dated(), counter=COUNTER)
        said = str(caught.value)
        assert said.startswith("1 finding at or above warning\n\nwarning CP001 volatile-span at ")
        assert PERSON not in said

    def test_nothing(self) -> None:
        """Calls that stay as they are have none."""
        assert_no_findings(steady(every=60), counter=COUNTER)
        assert_no_findings([line["request"] for line in steady()], counter=COUNTER)

    @pytest.mark.parametrize(
        "options",
        [
            {"fail_on": "error"},
            {"fail_on": "CP008"},
            {"waive": ["CP001"]},
            {"waive": [{"code": "volatile-span", "place": "system[0]", "reason": "by law"}]},
        ],
    )
    def test_accepted(self, options: dict[str, Any]) -> None:
        """What is not as grave, of another rule, or waived does not fail."""
        assert_no_findings(dated(), counter=COUNTER, **options)

    def test_off(self) -> None:
        """A rule that is off finds nothing, and neither do those that see its consequences."""
        with pytest.raises(AssertionError, match="CP001"):
            assert_no_findings(dated(), counter=COUNTER, fail_on="note")
        assert_no_findings(dated(), counter=COUNTER, off=["volatile-span"], fail_on="note")

    def test_settings(self, folder: Path) -> None:
        """The settings of the folder hold, those of another file instead, or none at all."""
        waiver = '[[tool.cacheplan.waive]]\ncode = "CP001"\nreason = "by law"\n'
        (folder / "pyproject.toml").write_text(f'[tool.cacheplan]\noff = ["CP202"]\n{waiver}')
        assert_no_findings(dated(), counter=COUNTER)
        (folder / "other.toml").write_text("[tool.cacheplan]\n")
        for settings in (False, "other.toml", folder / "other.toml"):
            with pytest.raises(AssertionError):
                assert_no_findings(dated(), counter=COUNTER, settings=settings)

    def test_bad_words(self) -> None:
        """Words that are no rule and no severity are refused before anything is read."""
        for options in ({"fail_on": "grave"}, {"off": ["CP999"]}, {"waive": [{"code": 1}]}):
            with pytest.raises(InputError):
                assert_no_findings(dated(), counter=COUNTER, **options)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ('assert_no_findings("nope.jsonl")', "nope.jsonl: no such file or directory"),
        ('assert_prefix_stable("nope.jsonl")', "nope.jsonl: no such file or directory"),
        ('assert_no_findings([{"messages": 3}])', "calls[0].request.model: missing"),
        ('assert_no_findings([], fail_on="grave")', '"grave" is no severity and no rule'),
    ],
)
def test_bad_input_is_one_line_in_a_report(folder: Path, asked: str, said: str) -> None:
    """Pytest shows the line of the test that asks, and one line that says what is wrong."""
    (folder / "test_theirs.py").write_text(
        "from cacheplan.io.assertions import assert_no_findings, assert_prefix_stable\n\n\n"
        f"def test_prompts():\n    {asked}\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    report = run.stdout.splitlines()
    errors = [line for line in report if line.startswith("E ")]
    assert len(errors) == 1
    assert said in errors[0]
    frames = [line for line in report if re.match(r"\S+\.py:\d+", line)]
    assert [line.split(":")[0] for line in frames] == ["test_theirs.py"]
