"""Asks litellm how it reads bodies of ours, and keeps the answers for the tests.

litellm predicts prompt caching with code of its own (``parse_cache_plan``), so it is a
second opinion; at 230 MB it is too large a test dependency. Run this where it is
installed, and ``tests/fixtures/litellm_plans.json`` is written anew:

    pip install litellm && LITELLM_LOCAL_MODEL_COST_MAP=True python -m benchmarks.record_litellm

The variable keeps it from fetching its price list. A body with ``like`` is a variant of
another one: how much of the two prompts is one prefix is part of the answer.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

__all__ = ["BODIES", "main"]

ANSWERS: Final = Path(__file__).parents[1] / "tests" / "fixtures" / "litellm_plans.json"

_SHORT: Final = {"type": "ephemeral"}
_LONG: Final = {"type": "ephemeral", "ttl": "1h"}

Body = dict[str, Any]


def _text(text: str, mark: Mapping[str, Any] | None = None) -> Body:
    return {"type": "text", "text": text, **({"cache_control": dict(mark)} if mark else {})}


def _use(name: str, mark: Mapping[str, Any] | None = None) -> Body:
    block = {"type": "tool_use", "id": name, "name": "look", "input": {"b": 1, "a": name}}
    return {**block, **({"cache_control": dict(mark)} if mark else {})}


def _result(name: str, mark: Mapping[str, Any] | None = None) -> Body:
    block = {"type": "tool_result", "tool_use_id": name, "content": f"found {name}"}
    return {**block, **({"cache_control": dict(mark)} if mark else {})}


def _user(*content: Body) -> Body:
    return {"role": "user", "content": list(content)}


def _assistant(*content: Body) -> Body:
    return {"role": "assistant", "content": list(content)}


def _thinking(text: str = "hm") -> Body:
    return {"type": "thinking", "thinking": text, "signature": "c2ln"}


def _tool(name: str, mark: Mapping[str, Any] | None = None) -> Body:
    tool = {"name": name, "description": f"Does {name}.", "input_schema": {"type": "object"}}
    return {**tool, **({"cache_control": dict(mark)} if mark else {})}


def _body(messages: list[Body], **more: Any) -> Body:
    return {"model": "claude-opus-4-8", "max_tokens": 64, "messages": messages, **more}


def _plain(**more: Any) -> Body:
    """Make the body that most variants change one thing of."""
    messages = [
        _user(_text("Look at a.")),
        _assistant(_text("I will."), _use("a")),
        _user(_result("a")),
        _assistant(_text("It is there.")),
        _user(_text("Thanks.", _SHORT)),
    ]
    start = {
        "tools": [_tool("look"), _tool("find")],
        "system": [_text("Be brief."), _text("Be kind.")],
    }
    return {**_body(messages), **start, **more}


def _edited(path: str, value: Any) -> Body:
    """Change, add or (by ``None``) take out one member of the plain body."""
    body = _plain()
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    holder: Any = body
    for step in steps:
        holder = holder[step]
    if isinstance(holder, list) and last == len(holder):
        holder.append(value)
    else:
        holder[last] = value
    return body


def _long(pairs: int, kind: str) -> Body:
    """Make a conversation longer than the lookback, of one kind of block."""
    messages = [_user(_text("Begin."))]
    for number in range(pairs):
        if kind == "text":
            messages += [_assistant(_text(f"a{number}")), _user(_text(f"u{number}"))]
        elif kind == "parallel":
            calls = [f"{number}_{at}" for at in range(4)]
            messages += [_assistant(*map(_use, calls)), _user(*map(_result, calls))]
        elif kind == "thinking":
            messages += [
                _assistant(_thinking(f"t{number}"), _text(f"a{number}")),
                _user(_text(f"u{number}")),
            ]
        else:
            messages += [_assistant(_use(f"{number}")), _user(_result(f"{number}"))]
    messages[-1]["content"][-1]["cache_control"] = dict(_SHORT)
    return _body(messages)


def _marked(*ttls: str) -> Body:
    """Mark a tool, both system blocks and messages, in this order, by their lifetimes."""
    marks = [{"type": "ephemeral", "ttl": ttl} if ttl else None for ttl in ttls]
    marks += [None] * (6 - len(marks))
    return _body(
        [
            _user(_text("1", marks[3])),
            _assistant(_text("2", marks[4])),
            _user(_text("3", marks[5])),
        ],
        tools=[_tool("look", marks[0])],
        system=[_text("Be brief.", marks[1]), _text("Be kind.", marks[2])],
    )


#: The bodies: a name, the name of the one it is a variant of, and the body.
BODIES: Final[tuple[tuple[str, str, Body], ...]] = (
    ("plain", "", _plain()),
    # One and the same prompt, or not.
    ("user string", "plain", _edited("messages.0.content", "Look at a.")),
    ("system string", "system list", _body([_user(_text("Hi", _SHORT))], system="Be brief.")),
    ("system list", "", _body([_user(_text("Hi", _SHORT))], system=[_text("Be brief.")])),
    ("result list", "plain", _edited("messages.2.content.0.content", [_text("found a")])),
    ("result no error", "plain", _edited("messages.2.content.0.is_error", value=False)),
    ("result null error", "plain", _edited("messages.2.content.0.is_error", None)),
    ("system changed", "plain", _edited("system.1.text", "Be rude.")),
    ("tool changed", "plain", _edited("tools.1.description", "Does find well.")),
    (
        "tool null description",
        "tool without description",
        _edited("tools.1", {"name": "find", "description": None, "input_schema": {}}),
    ),
    ("tool without description", "", _edited("tools.1", {"name": "find", "input_schema": {}})),
    ("tool custom", "plain", _edited("tools.0.type", "custom")),
    ("text changed", "plain", _edited("messages.3.content.0.text", "It is gone.")),
    (
        "keys of a block turned",
        "plain",
        _edited("messages.3.content.0", {"text": "It is there.", "type": "text"}),
    ),
    ("keys of an input turned", "plain", _edited("messages.1.content.1.input", {"a": "a", "b": 1})),
    ("role changed", "plain", _edited("messages.3.role", "user")),
    (
        "one message split",
        "plain",
        _plain(
            messages=[
                *_plain()["messages"][:1],
                _assistant(_text("I will.")),
                _assistant(_use("a")),
                *_plain()["messages"][2:],
            ]
        ),
    ),
    (
        "moved mark",
        "plain",
        _plain(
            messages=[
                *_plain()["messages"][:2],
                _user(_result("a", _SHORT)),
                _assistant(_text("It is there.")),
                _user(_text("Thanks.")),
            ]
        ),
    ),
    ("longer", "plain", _edited("messages.5", _assistant(_text("Bye.")))),
    # What is set beside the prompt.
    ("temperature", "plain", _plain(temperature=0.1)),
    ("max tokens", "plain", _plain(max_tokens=65)),
    ("metadata", "plain", _plain(metadata={"user_id": "u"})),
    ("service tier", "plain", _plain(service_tier="auto")),
    ("stream", "plain", _plain(stream=True)),
    ("tool choice", "plain", _plain(tool_choice={"type": "none"})),
    (
        "tool choice without tools",
        "no start",
        _plain(tools=[], system=[], tool_choice={"type": "auto"}),
    ),
    ("no start", "", _plain(tools=[], system=[])),
    ("thinking set", "plain", _plain(thinking={"type": "adaptive"})),
    ("effort set", "plain", _plain(output_config={"effort": "low"})),
    ("speed standard", "plain", _plain(speed="standard")),
    ("speed fast", "plain", _plain(speed="fast")),
    # Where marks are, and how far they look back.
    ("automatic", "plain", _plain(cache_control=_SHORT)),
    ("automatic 1h on 5m", "", _plain(cache_control=_LONG)),
    (
        "automatic after thinking",
        "",
        _body(
            [_user(_text("Hi")), _assistant(_text("Yes."), _thinking())],
            cache_control=_SHORT,
        ),
    ),
    (
        "automatic after blank",
        "",
        _body(
            [_user(_text("Hi")), {"role": "assistant", "content": " "}],
            cache_control=_SHORT,
        ),
    ),
    ("automatic alone", "", _body([{"role": "user", "content": "Hi"}], cache_control=_LONG)),
    ("long of text", "", _long(15, "text")),
    ("long of single calls", "", _long(15, "single")),
    ("long of parallel calls", "", _long(15, "parallel")),
    ("long of thinking", "", _long(15, "thinking")),
    (
        "run over two messages",
        "",
        _body(
            [
                _user(_text("Hi")),
                *(_user(_result(str(at))) for at in range(24)),
                _user(_text("Go.", _SHORT)),
            ]
        ),
    ),
    (
        "mark inside a run",
        "",
        _body(
            [
                _user(_text("Hi")),
                _assistant(*(_use(str(at)) for at in range(3))),
                _user(_result("0"), _result("1", _SHORT), _result("2")),
            ]
        ),
    ),
    # How many, and in which order.
    ("four", "", _marked("5m", "5m", "5m", "5m")),
    ("five", "", _marked("5m", "5m", "5m", "5m", "5m")),
    ("four and automatic", "", {**_marked("5m", "5m", "5m", "5m"), "cache_control": _SHORT}),
    (
        "four and automatic on one",
        "",
        {**_marked("5m", "5m", "5m", "", "", "5m"), "cache_control": _SHORT},
    ),
    ("1h before 5m", "", _marked("1h", "", "1h", "5m")),
    ("5m before 1h", "", _marked("5m", "", "1h")),
    ("5m before automatic 1h", "", {**_marked("5m"), "cache_control": _LONG}),
    ("1h before automatic 5m", "", {**_marked("1h"), "cache_control": _SHORT}),
    ("all 1h", "", _marked("1h", "1h", "", "", "", "1h")),
    # What is refused, or not read.
    ("2h", "", _marked("2h")),
    (
        "mark on thinking",
        "",
        _body(
            [
                _user(_text("Hi")),
                _assistant({**_thinking(), "cache_control": _SHORT}, _text("Yes.")),
                _user(_text("Go.")),
            ]
        ),
    ),
    ("mark on blank", "", _body([_user(_text(" ", _SHORT))])),
    ("mark without type", "", _body([_user({**_text("Hi"), "cache_control": {"ttl": "5m"}})])),
    (
        "image",
        "",
        _body(
            [
                _user(
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    },
                    _text("See.", _SHORT),
                )
            ]
        ),
    ),
    ("deferred tool", "", _plain(tools=[_tool("look"), {**_tool("find"), "defer_loading": True}])),
    ("unknown setting", "", _plain(container="c")),
)


def main() -> None:
    """Ask about every body, and write the answers."""
    parse = importlib.import_module(
        "litellm.llms.anthropic.prompt_cache_prediction"
    ).parse_cache_plan
    keys = {name: list(_keys(body, parse)) for name, _, body in BODIES}
    answers = [
        {
            "name": name,
            "like": like,
            "body": body,
            **_answer(body, parse(copy.deepcopy(body))),
            "shared": _shared(keys[name], keys[like]) if like else None,
        }
        for name, like, body in BODIES
    ]
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    head = json.dumps({"litellm": version("litellm")})
    ANSWERS.write_text(f'{head[:-1]},\n"plans": [\n{lines}\n]}}\n', encoding="utf-8")


def _answer(body: Body, plan: Any) -> dict[str, Any]:
    """Return what of a plan can be compared: breakpoints by position, or a refusal."""
    if hasattr(plan, "reason"):
        return {"refused": plan.reason, "breakpoints": []}
    blocks = sum(1 for _ in _blocks(body))
    return {
        "refused": None,
        "blocks": blocks,
        "breakpoints": [
            {
                # The prefix holds as many blocks as stand before it, and itself.
                "position": sum(1 for _ in _blocks(dict(boundary.prefix_body))) - 1,
                "seconds": boundary.ttl_seconds,
                "reach": len(boundary.lookback_content_fingerprints),
            }
            for boundary in plan.breakpoints
        ],
    }


def _keys(body: Body, parse: Any) -> Iterator[str]:
    """Yield a body's prefixes by litellm's own fingerprints, the shortest first.

    One mark, at the end, looks back over every body that has a variant.
    """
    clean = {**json.loads(json.dumps(body)), "cache_control": _SHORT}
    for block in _blocks(clean):
        block.pop("cache_control", None)
    plan = parse(clean)
    if not hasattr(plan, "reason"):
        yield from reversed(plan.breakpoints[-1].lookback_content_fingerprints)


def _blocks(body: Body) -> Iterator[Body]:
    """Yield the blocks of a body, whatever the form of their holder."""
    yield from body.get("tools") or ()
    holders = [body.get("system"), *(message["content"] for message in body.get("messages") or ())]
    for holder in holders:
        yield from ({},) if isinstance(holder, str) else holder or ()


def _shared(some: list[str], others: list[str]) -> int:
    """Count the prefixes that two bodies have in common."""
    return next(
        (at for at, (one, other) in enumerate(zip(some, others, strict=False)) if one != other),
        min(len(some), len(others)),
    )


if __name__ == "__main__":
    main()
