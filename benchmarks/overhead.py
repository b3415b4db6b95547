"""What the middleware adds to a call, beside what the SDK itself takes for it.

Both are measured in one run and by turns: ``create()`` of the real SDK against a transport
that answers at once from memory, without any middleware and with ours. A conversation
grows by a question and an answer with every call, as conversations do. What ours adds is
measured inside as well: the time in ``handle`` that is not spent in the rest of the SDK.
Times are those of the thread, since a core that is wanted elsewhere says nothing of either.
The other table is memory over many calls of new conversations without end.
"""

from __future__ import annotations

import gc
import importlib
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anthropic

import cacheplan
from benchmarks.tabling import RESULTS, publish, section
from cacheplan.plan import Lane, Plan, Rule
from cacheplan.prompt import Lifetime
from cacheplan.session import Session
from cacheplan.usage import Usage

__all__ = ["main"]

#: By name: messages at the start, characters in each, and tools.
SIZES: Final = {"1 kB": (1, 300, 0), "100 kB": (50, 1_850, 20), "800 kB": (399, 1_990, 20)}
#: Share of the SDK's own time that ours may take.
BAR: Final = 0.10
_ROUNDS: Final = 160
_RUNS: Final = 3
#: Turns after which another conversation begins, so that bodies keep their size.
_TURNS: Final = 8
_CALLS: Final = 1_000_000
_SAMPLES: Final = 10
_RULES: Final = ("tools", "system", "tail after talk", "tail after tools", "turn before")
_PLAN: Final = Plan(
    lanes=(
        Lane(
            model=None,
            label=None,
            rules=tuple(Rule(place=place, lifetime=Lifetime.FIVE_MINUTES) for place in _RULES),
        ),
    )
)
_USAGE: Final = {"input_tokens": 20, "output_tokens": 5, "cache_read_input_tokens": -1}
#: Bytes of a body for each token that is answered.
_A_TOKEN: Final = 4
_ANSWER: Final = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": _USAGE,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Measure both; an argument is the number of calls for the second table, 0 keeps it."""
    calls = int(arguments[0]) if arguments else _CALLS
    rows = [_middle(size, kind) for size in SIZES for kind in ("a plan", "learning")]
    times = section(
        "Time added to a call",
        (
            "body",
            "with",
            "SDK alone, ms",
            "SDK and ours, ms",
            "ours, ms",
            "ours / SDK",
            "ours at first sight, ms",
        ),
        [
            (
                r["body"],
                r["with"],
                f"{r['sdk_ms']:.2f}",
                f"{r['both_ms']:.2f}",
                f"{r['ours_ms']:.3f}",
                f"{r['share']:.0%} ({r['least']:.0%} to {r['most']:.0%})",
                f"{r['first_ms']:.2f}",
            )
            for r in rows
        ],
        f"The bar: {BAR:.0%}. Medians of {_ROUNDS} calls each, taken by turns, in the middle one"
        f" of {_RUNS} runs, with the least and the most; anthropic"
        f" {anthropic.__version__}. Conversations of 8 turns that grow by two messages a call; at"
        " first sight one is read whole.",
    )
    memory = _memory(calls) if calls else _kept()
    column = section(
        "Memory over many calls",
        ("calls", "resident, MB"),
        [(f"{done:,}", f"{size:.0f}") for done, size in memory],
        "A session that learns: a new conversation of four calls every four calls, without"
        " end, some seconds apart.",
    )
    measured = {"times": rows, "memory": [list(row) for row in memory]}
    publish("overhead", "Overhead at call time", measured, [times, column])
    return 0


def _kept() -> list[tuple[int, float]]:
    """Return the second table as it was measured last."""
    found = json.loads((RESULTS / "overhead.json").read_text(encoding="utf-8"))["memory"]
    return [(int(calls), float(size)) for calls, size in found]


class _Answering:
    """A transport that answers every call alike, from memory."""

    def __init__(self) -> None:
        name = anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
        self.library = importlib.import_module(name)
        self._before, self._after = json.dumps(_ANSWER).encode().split(b"-1")

    def handle_request(self, request: Any) -> Any:
        """Answer, as if all but the last 20 tokens had been read."""
        headers = {"content-type": "application/json"}
        read = b"%d" % max(0, len(request.content) // _A_TOKEN - _USAGE["input_tokens"])
        content = self._before + read + self._after
        return self.library.Response(200, headers=headers, content=content, request=request)

    def close(self) -> None:
        """Nothing is held open."""

    def client(self, *middleware: Any) -> Any:
        """Return a client that is answered from here."""
        http = self.library.Client(transport=self)
        return anthropic.Anthropic(api_key="any", http_client=http, middleware=middleware)


class _Timed(anthropic.Middleware):
    """Times a middleware without what it calls in turn."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.seconds: list[float] = []

    def handle(self, request: Any, call_next: Any) -> Any:
        """Hand on, and stop the clock while the rest of the SDK works."""
        outside = 0.0

        def timed(going: Any) -> Any:
            nonlocal outside
            start = time.thread_time()
            try:
                return call_next(going)
            finally:
                outside += time.thread_time() - start

        start = time.thread_time()
        response = self._inner.handle(request, timed)
        self.seconds.append(time.thread_time() - start - outside)
        return response


def _middle(size: str, kind: str) -> dict[str, Any]:
    """Measure one size several times, and return the middle one."""
    runs = sorted((_overhead(size, kind) for _ in range(_RUNS)), key=lambda run: run["share"])
    return {**runs[_RUNS // 2], "least": runs[0]["share"], "most": runs[-1]["share"]}


def _overhead(size: str, kind: str) -> dict[str, Any]:
    """Measure one size."""
    messages, characters, tools = SIZES[size]
    dice = random.Random(messages)
    plan = _PLAN if kind == "a plan" else None
    timed = _Timed(cacheplan.Middleware(plan))
    answering = _Answering()
    bare, whole, watched = (
        answering.client(),
        answering.client(cacheplan.Middleware(plan)),
        answering.client(timed),
    )
    body: dict[str, Any] = {}
    taken: dict[str, list[float]] = {"bare": [], "whole": []}
    gc.collect()
    for number in range(_ROUNDS):
        if number % _TURNS == 0:
            body = _body(dice, messages, characters, tools)
        turn = [("assistant", "Yes."), ("user", _text(dice, 60))]
        more = [{"role": role, "content": text} for role, text in turn]
        body = {**body, "messages": [*body["messages"], *more]}
        for name, client in (("bare", bare), ("whole", whole)):
            start = time.thread_time()
            client.messages.create(**body)
            taken[name].append(time.thread_time() - start)
        watched.messages.create(**body)
    sdk, both = (statistics.median(taken[name]) for name in ("bare", "whole"))
    ours = statistics.median(timed.seconds)
    return {
        "body": size,
        "with": kind,
        "bytes": len(json.dumps(body)),
        "sdk_ms": sdk * 1e3,
        "both_ms": both * 1e3,
        "ours_ms": ours * 1e3,
        "share": ours / sdk,
        "first_ms": statistics.median(timed.seconds[::_TURNS]) * 1e3,
    }


def _text(dice: random.Random, characters: int) -> str:
    """Return words of no meaning."""
    words = ("".join(dice.choices("etaoinshrdlu", k=6)) for _ in range(characters // 7 + 1))
    return " ".join(words)[:characters]


def _body(dice: random.Random, messages: int, characters: int, tools: int) -> dict[str, Any]:
    """Return the first body of a conversation."""
    schema = {"type": "object", "properties": {"what": {"type": "string"}}}
    body: dict[str, Any] = {
        "model": "claude-sonnet-5",
        "max_tokens": 100,
        "system": _text(dice, 300),
        "messages": [
            {
                "role": "assistant" if number % 2 else "user",
                "content": [{"type": "text", "text": _text(dice, characters)}],
            }
            for number in range(messages)
        ],
    }
    if tools:
        body["tools"] = [
            {"name": f"tool_{number}", "description": _text(dice, 150), "input_schema": schema}
            for number in range(tools)
        ]
    return body


def _memory(calls: int) -> list[tuple[int, float]]:
    """Send conversation after conversation through one session, and weigh the process."""
    session, dice = Session(), random.Random(1)
    system = _text(dice, 6_000)
    sizes: list[tuple[int, float]] = []
    body: dict[str, Any] = {}
    for number in range(calls):
        if number % 4 == 0:
            body = {"model": "claude-sonnet-5", "system": system, "messages": []}
        said = [{"role": "assistant", "content": "Yes."}] if number % 4 else []
        asked = {"role": "user", "content": f"Question {number}: {'what is it? ' * 20}"}
        body = {**body, "messages": [*body["messages"], *said, asked]}
        _, decision = session.prepare(body, 7.0 * number)
        used = decision.predicted or Usage()
        session.observe(decision, used, 7.0 * number + 2)
        if (number + 1) % max(1, calls // _SAMPLES) == 0:
            sizes.append((number + 1, _resident()))
    return sizes


def _resident() -> float:
    """Return how much memory this process holds now, in megabytes."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * resource.getpagesize() / 1e6
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)
