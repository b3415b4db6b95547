"""What the service refuses: the rules of breakpoints, and the words it refuses with.

One function is one rule, and their order is the order in which the service looks, so the
first fault is what a caller would read. This file looks at marks and parameters only; it
neither hashes nor counts, because it runs on every call.

Where users have reported the service's own words, a fault has them and is ``quoted``;
where only the refusal is documented, the words are ours. The rules about number and
lifetimes were recorded together with their order on 2026-09-30 (claude-haiku-4-5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cacheplan import facts
from cacheplan.errors import InputError
from cacheplan.marked import Mark, marks_of, target_of
from cacheplan.pieces import lifetime
from cacheplan.prompt import Lifetime, Place

__all__ = [
    "Fault",
    "mismatch_words",
    "number_words",
    "order_words",
    "validate",
]


class Fault(NamedTuple):
    """One reason for which the service answers 400."""

    #: A short name for the rule.
    rule: str
    #: What the service says, path and all.
    message: str
    #: From the outside in, as in an ``InputError``; empty for the body as a whole.
    path: tuple[str | int, ...] = ()
    #: The block that carries the mark, where it is one block.
    place: Place | None = None
    #: Whether the message is the service's own.
    quoted: bool = False

    def __str__(self) -> str:
        """Say it as the service does."""
        return self.message


def validate(
    body: Mapping[str, Any], platform: str = "anthropic", *, surface: str = "messages"
) -> list[Fault]:
    """Return why the service would refuse this body, in the order it would notice.

    >>> block = {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}
    >>> print(*validate({"messages": [{"role": "user", "content": [block]}]}))
    messages.0.content.0.text: cache_control cannot be set for empty text blocks
    """
    try:
        marks = list(marks_of(body))
    except RecursionError as error:
        raise InputError("this is nested too deeply") from error
    automatic = body.get("cache_control")
    faults = [*_platform(body, marks, platform)]
    if marks or automatic is not None:
        faults += [fault for mark in marks for fault in _form(mark)]
        faults += _automatic_form(automatic)
        faults += [fault for mark in marks for fault in _bearer(mark)]
        faults += _number(marks, automatic)
        faults += _order(marks)
        faults += _automatic(body, marks, automatic)
    if body.get("max_tokens") == 0:
        faults += _prewarm(body)
    if surface == "batch":
        faults += _batch(body)
    return faults


def number_words(found: int) -> str:
    """Say that there are too many marks (envoyproxy/ai-gateway#1712, 2025-12-30)."""
    most = facts.BREAKPOINTS
    return f"A maximum of {most} blocks with cache_control may be provided. Found {found}."


def order_words(path: str) -> str:
    """Say that a 1h mark follows a 5m one (cnighswonger/claude-code-cache-fix#44)."""
    return (
        f"{path}: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control"
        " block. Note that blocks are processed in the following order: `tools`, `system`,"
        " `messages`."
    )


def mismatch_words(automatic: Lifetime, marked: Lifetime) -> str:
    """Say that the automatic mark meets another lifetime (vellum-assistant#23414)."""
    return (
        f"Top-level cache_control has ttl='{automatic}' but the target block already has"
        f" cache_control with ttl='{marked}'. When both are specified on the same block, they"
        " must have matching TTLs."
    )


def _form(mark: Mark) -> Iterator[Fault]:
    """Refuse a mark that is written wrong; the first word is the service's validator's."""
    for message in _misspelled(mark.control, f"{mark.typed}.cache_control"):
        yield Fault("form", message, (*mark.path, "cache_control"), mark.place, quoted=True)


def _automatic_form(control: Any) -> Iterator[Fault]:
    """Refuse a top-level mark that is written wrong, likewise."""
    for message in _misspelled(control, "cache_control"):
        yield Fault("form", message, ("cache_control",), quoted=True)


def _misspelled(control: Any, path: str) -> Iterator[str]:
    """Say what is wrong with a ``cache_control`` value, if anything.

    The words on ttl and type are reported as the service's (2026-03-24 and undated); a
    missing type is said as the validator library behind them says it.
    """
    if control is None:
        return
    if not isinstance(control, Mapping):
        yield f"{path}: Input should be a valid dictionary or object to extract fields from"
    elif "type" not in control:
        yield f"{path}: Unable to extract tag using discriminator 'type'"
    elif control["type"] != "ephemeral":
        yield (
            f"{path}: Input tag '{control['type']}' found using 'type' does not match any of the"
            " expected tags: 'ephemeral'"
        )
    elif control.get("ttl") not in (None, *Lifetime):
        yield f"{path}.ephemeral.ttl: Input should be '5m' or '1h'"


def _bearer(mark: Mark) -> Iterator[Fault]:
    """Refuse a mark on a block that takes none."""
    refusal = "inner" if mark.lost else mark.refusal
    if refusal in _BEARERS:
        words, quoted = _BEARERS[refusal]
        block = mark.block
        message = words.format(
            at=mark.at,
            typed=mark.typed,
            text=mark.at if mark.path[0] == "system" else f"{mark.at}.text",
            name=block.get("name", ""),
            id=block.get("tool_use_id") or block.get("id", ""),
        )
        yield Fault(refusal, message, mark.path, mark.place, quoted)


_CALLED = (
    "Tool use result for {id} called by code execution cannot have cache_control. These blocks"
    " are not rendered in Claude's context."
)
_DEFERRED = (
    "Tool '{name}' cannot have both defer_loading=true and cache_control set. Tools with"
    " defer_loading cannot use prompt caching."
)
#: By reason: the words, and whether they are the service's. Sources, in order:
#: anthropics/claude-code#55302; Wei-Shaw/sub2api#225, 2026-01-10 (for kinds beside thinking
#: inferred, since their types have no ``cache_control`` either); langchain-ai/langchain#34579,
#: 2026-01-02; Wei-Shaw/sub2api#4990, 2026-07-28; langchain-ai/langchain#34920, 2026-01-29;
#: ax-llm/ax#517, 2026-05-14.
_BEARERS = {
    "blank": ("{text}: cache_control cannot be set for empty text blocks", True),
    "thinking": ("{typed}.cache_control: Extra inputs are not permitted", True),
    "listing": ("{typed}.cache_control: Extra inputs are not permitted", False),
    "fallback": ("{typed}.cache_control: Extra inputs are not permitted", False),
    "called": (_CALLED, True),
    "deferred": (_DEFERRED, True),
    "inner": ("cache_control is not supported at {at}.cache_control", True),
    "message": ("{at}.cache_control: Extra inputs are not permitted", True),
}


def _number(marks: list[Mark], automatic: Any) -> Iterator[Fault]:
    """Refuse a fifth mark; the automatic one counts even where it changes nothing."""
    found = len(marks) + (automatic is not None)
    if found > facts.BREAKPOINTS:
        yield Fault("number", number_words(found), quoted=True)


def _order(marks: list[Mark]) -> Iterator[Fault]:
    """Refuse a 1h mark after a 5m one; the service names the first."""
    short = False
    for mark in marks:
        if short and mark.lifetime is Lifetime.ONE_HOUR:
            path = (*mark.path, "cache_control", "ttl")
            words = order_words(f"{mark.at}.cache_control.ttl")
            yield Fault("order", words, path, mark.place, quoted=True)
            return
        short = short or mark.lifetime is Lifetime.FIVE_MINUTES


def _automatic(body: Mapping[str, Any], marks: list[Mark], control: Any) -> Iterator[Fault]:
    """Refuse an automatic mark that contradicts the explicit ones."""
    try:
        automatic = lifetime(control)
    except InputError:
        return
    if automatic is None:
        return
    target = target_of(body)
    on_target = next((mark for mark in marks if mark.path == target and not mark.lost), None)
    if on_target and on_target.lifetime and on_target.lifetime is not automatic:
        words = mismatch_words(automatic, on_target.lifetime)
        yield Fault("mismatch", words, ("cache_control", "ttl"), on_target.place, quoted=True)
    short = any(mark.lifetime is Lifetime.FIVE_MINUTES for mark in marks)
    if short and automatic is Lifetime.ONE_HOUR:
        words = order_words("cache_control")
        yield Fault("order", words, ("cache_control", "ttl"), quoted=True)


def _platform(body: Mapping[str, Any], marks: list[Mark], platform: str) -> Iterator[Fault]:
    """Refuse what an older integration does not know."""
    found = facts.find(str(body.get("model", "")))
    model = found.model if found else None
    automatic = body.get("cache_control")
    if automatic is not None and not facts.takes_automatic(model, platform):
        yield Fault("platform", "cache_control: Extra inputs are not permitted", ("cache_control",))
    if facts.takes_one_hour(model, platform):
        return
    for mark in marks:
        if mark.lifetime is Lifetime.ONE_HOUR:
            words = f"{mark.typed}.cache_control.ephemeral.ttl: Extra inputs are not permitted"
            path = (*mark.path, "cache_control", "ttl")
            yield Fault("platform", words, path, mark.place)


def _prewarm(body: Mapping[str, Any]) -> Iterator[Fault]:
    """Refuse what implies an answer, where none may be written.

    Prompt-caching page, "Pre-warming the cache", 2026-08-21; the words are ours.
    """
    forced = _member(body, "tool_choice", "type")
    output = _member(body, "output_config", "format")
    implied: list[tuple[Any, str, tuple[str, ...]]] = [
        (body.get("stream") is True, "stream: true", ("stream",)),
        (
            _member(body, "thinking", "type") == "enabled",
            'thinking.type: "enabled"',
            ("thinking", "type"),
        ),
        (output is not None, "output_config.format", ("output_config", "format")),
        (forced in {"any", "tool"}, f'tool_choice.type: "{forced}"', ("tool_choice", "type")),
    ]
    for given, what, path in implied:
        if given:
            yield Fault("prewarm", f"max_tokens: 0 cannot be combined with {what}", path)


def _batch(body: Mapping[str, Any]) -> Iterator[Fault]:
    """Refuse what a Message Batch does not take (batch page, 2026-08-21; words ours)."""
    for key in ("stream", "speed", "thread"):
        if body.get(key):
            yield Fault("batch", f"{key}: this is not supported in a Message Batch", (key,))
    if body.get("max_tokens") == 0:
        words = "max_tokens: 0 is not supported in a Message Batch"
        yield Fault("batch", words, ("max_tokens",))


def _member(body: Mapping[str, Any], *keys: str) -> Any:
    """Follow keys inwards as far as there are objects."""
    found: Any = body
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
