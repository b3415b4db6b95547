"""What the service does where its documentation is silent: named switches.

Each field of ``Assumptions`` is one open question, with the answers it may take, the
one taken by default, and the evidence for that. This module knows no model, no price
and no behaviour: what a switch *does* stands where it is read. Documentation named
below was read on the date beside it; "recorded usage" is 28,600 calls of 2026 whose
billed counters were compared with what each answer predicts.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from cacheplan.errors import InputError

__all__ = ["SWITCHES", "Assumptions", "Switch"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
#: The one switch that exists once per model: ``minimum.claude-opus-4-7=4096``.
_MINIMUM = "minimum."

_SCOPES = ("tools", "system", "messages")


class Switch(NamedTuple):
    """One row of ``cacheplan facts``: a question and the answer taken."""

    name: str
    #: The answers in words; a range for numbers.
    allowed: str
    #: As it is written after ``=`` on the command line.
    default: str
    question: str
    evidence: str


class _Range(NamedTuple):
    """The numbers a switch takes, both ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        """Say the range as a person would."""
        if math.isinf(self.high):
            return f"{self.low:g} or more"
        return f"{self.low:g} to {self.high:g}"


def _switch(*, default: Any, allowed: Any, question: str, evidence: str) -> Any:
    """Make a field whose metadata is its row in the table, so that neither drifts."""
    metadata = {"allowed": allowed, "question": question, "evidence": evidence}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """One answer to every open question; hashable, so that tables can be kept by it.

    >>> Assumptions.parse(["refresh=reader", "minimum.claude-opus-4-7=4096"]).minimums
    (('claude-opus-4-7', 4096),)
    """

    refresh: Literal["own", "reader", "longer"] = _switch(
        default="own",
        allowed=("own", "reader", "longer"),
        question="Which lifetime does a read restore: the entry's own, that of the"
        " breakpoint which read it, or the longer of the two?",
        evidence="Recorded usage: 5m-marked calls still read a 1h entry 314 s and 395 s"
        " after its last use. The prompt-caching page (2026-09-26) says only that a read"
        " refreshes.",
    )
    remark: Literal["keep", "upgrade"] = _switch(
        default="keep",
        allowed=("keep", "upgrade"),
        question="Does a 1h breakpoint on a live 5m entry lengthen it?",
        evidence="Undocumented. By the billing rule it costs nothing, so it is taken to"
        " buy nothing.",
    )
    lifetime_in_key: bool = _switch(
        default=False,
        allowed=bool,
        question="Is the lifetime part of an entry's key?",
        evidence="Recorded usage: no. Six of six chains that switched from 1h to 5m"
        " writes read the 1h-written prefix.",
    )
    refreshed: Literal["hit", "marked", "all"] = _switch(
        default="marked",
        allowed=("hit", "marked", "all"),
        question="Which live entries does a read refresh: only the one it hits, also"
        " those at the call's own breakpoints, or every one below the hit?",
        evidence="Undocumented. The prompt-caching page (2026-09-26) advises a"
        " breakpoint on system so that it is added again, so entries age apart.",
    )
    write_inside_read: bool = _switch(
        default=False,
        allowed=bool,
        question="Does a breakpoint below the hit, where no entry lives, make one for free?",
        evidence="Undocumented; taking no for an answer promises no reads.",
    )
    collapse_runs: Literal["dated", "on", "off"] = _switch(
        default="dated",
        allowed=("dated", "on", "off"),
        question="Is a run of tool_use blocks (or of tool_result blocks) one position"
        " of the lookback?",
        evidence="The prompt-caching page of 2026-09-26 says so for the Claude API;"
        " the copy of 2026-08-22 does not, and recorded usage of 2026-07 shows no"
        " collapse. No other platform states it.",
    )
    thinking_positions: bool = _switch(
        default=False,
        allowed=bool,
        question="Is a thinking block a position of the lookback?",
        evidence="Undocumented. Recorded usage fits the limit of 20 when thinking"
        " blocks are left out.",
    )
    lookback: int = _switch(
        default=20,
        allowed=_Range(1, 1000),
        question="How many positions does a breakpoint look at, itself included?",
        evidence="Prompt-caching page, 2026-09-26: 20. Recorded usage: distances 17 to"
        " 19 hit, 20 hit twice and missed once, 21 missed.",
    )
    lookback_crosses_levels: bool = _switch(
        default=True,
        allowed=bool,
        question="Does the lookback run on from messages into system and tools?",
        evidence="The prompt-caching page (2026-09-26) describes one sequence of blocks.",
    )
    minimums: tuple[tuple[str, int], ...] = _switch(
        default=(),
        allowed=_Range(0, math.inf),
        question="How long must a prefix of this model be? Written"
        " minimum.MODEL=TOKENS, once per model.",
        evidence="Per model in the table of models. Doubtful: Fable and Mythos 5.2 (512"
        " is inferred), Opus 4.7 (2,048 or 4,096), Sonnet 4.6 (1,024 or 2,048).",
    )
    effort_scope: Literal["tools", "system", "messages"] = _switch(
        default="messages",
        allowed=_SCOPES,
        question="From which level on does a change of output_config.effort break the prefix?",
        evidence="Prompt-caching page, 2026-09-26: messages always, tools and system"
        " on models it does not name.",
    )
    thinking_scope: Literal["tools", "system", "messages"] = _switch(
        default="messages",
        allowed=_SCOPES,
        question="From which level on does a change of thinking break the prefix?",
        evidence="Prompt-caching page, 2026-09-26: messages always, tools and system"
        " on models it does not name.",
    )
    format_scope: Literal["tools", "system", "messages"] = _switch(
        default="system",
        allowed=_SCOPES,
        question="From which level on does a change of output_config.format break the prefix?",
        evidence="Structured-outputs page, 2026-08-22: it invalidates the conversation"
        " and adds a system prompt, so system and messages; tools are not named.",
    )
    image_scope: Literal["messages", "none"] = _switch(
        default="messages",
        allowed=("messages", "none"),
        question="Does the first image of a conversation, or leaving out its last, break"
        " the messages?",
        evidence="The prompt-caching page (2026-09-26) says it does. Recorded usage of"
        " 2026-01 to 03: of 13 calls with the first image (or document; the record"
        " does not tell them apart) 11 read everything before it.",
    )
    speed_scope: Literal["system", "tools"] = _switch(
        default="system",
        allowed=("system", "tools"),
        question="From which level on does a change of speed break the prefix?",
        evidence="The invalidation table (2026-09-26) keeps tools; the fast-mode page"
        " says that speeds share no prefix.",
    )
    betas_scope: Literal["none", "tools", "system", "messages"] = _switch(
        default="none",
        allowed=("none", *_SCOPES),
        question="From which level on does a change of the beta headers break the prefix?",
        evidence="Undocumented: cache diagnostics only say that betas can change the prompt.",
    )
    string_form: Literal["same", "differs"] = _switch(
        default="same",
        allowed=("same", "differs"),
        question="Is content given as a string the same prefix as one text block?",
        evidence="Undocumented. The API reference calls the string shorthand for one text block.",
    )
    haiku_5_5_thinking: Literal["kept", "stripped"] = _switch(
        default="kept",
        allowed=("kept", "stripped"),
        question="Does a new human turn leave earlier thinking blocks in the prompt of Haiku 5.5?",
        evidence="The page that says all Haiku models strip them (2026-09-26) is older"
        " than Haiku 5.5, whose thinking is adaptive like that of models that keep"
        " them.",
    )
    thinking_check: Literal["ignore", "drop", "reject"] = _switch(
        default="ignore",
        allowed=("ignore", "drop", "reject"),
        question="What happens to a thinking block that is replayed after its prefix"
        " changed, on models that bind thinking to its prefix?",
        evidence="What's new in Opus 5.5, 2026-09-24: a 400 for accounts made on or"
        " after 2026-08-31, dropped where the call asks for it. A log does not say"
        " which account made it.",
    )
    visible: Literal["first-token", "start"] = _switch(
        default="first-token",
        allowed=("first-token", "start"),
        question="From when on can a new entry be read: when the response begins, or at once?",
        evidence="Prompt-caching page, 2026-09-26: after the first response begins.",
    )
    failed_calls_write: bool = _switch(
        default=False,
        allowed=bool,
        question="Does a call that failed leave entries?",
        evidence="Undocumented; taking no for an answer promises no reads.",
    )
    grace: float = _switch(
        default=0.0,
        allowed=_Range(0, 3600),
        question="How many seconds beyond its lifetime does an entry live?",
        evidence="Lifetimes are documented minimums. Recorded usage: last read at 308 s"
        " and first miss at 313 s for 5m, 3,614 s and 3,647 s for 1h. Never planned"
        " on.",
    )
    hit_rate: float = _switch(
        default=1.0,
        allowed=_Range(0, 1),
        question="What share of live entries is really found?",
        evidence="Recorded usage: 99.4 % of 28,330 calls in tool loops read exactly"
        " what their predecessor left; the rest changed their prefix.",
    )
    batch_hit_rate: float = _switch(
        default=0.30,
        allowed=_Range(0, 1),
        question="What share of live entries is found by a call in a batch?",
        evidence="Prompt-caching page, 2026-09-26: typically 30 % to 98 %, best"
        " effort; the low end promises least.",
    )
    haiku_5_5_band: Literal["request", "iteration"] = _switch(
        default="request",
        allowed=("request", "iteration"),
        question="Is the price band of Haiku 5.5 chosen once for a call or for each"
        " iteration of a server tool's loop?",
        evidence="The model page (2026-10-07) speaks of the request; Claude Code"
        " 2.1.330 chooses per iteration.",
    )
    server_tool_slot: bool = _switch(
        default=False,
        allowed=bool,
        question="Does the breakpoint that the service adds after a server tool's"
        " result use one of the four?",
        evidence="Undocumented; taking no leaves all four to the caller.",
    )
    server_tool_marks: bool = _switch(
        default=True,
        allowed=bool,
        question="Does the service add a 5m breakpoint after each server tool's result"
        " when the call has a breakpoint?",
        evidence="Prompt-caching page, 2026-09-26: yes.",
    )
    tool_prompt: int = _switch(
        default=290,
        allowed=_Range(0, 100_000),
        question="How long is the hidden prompt that tools add, on models for which"
        " nobody states it?",
        evidence="Tool-use page, 2026-08-22: 286 and 290 on Opus 5 and 4.8; not stated"
        " for Fable 5.x, Mythos 5.x and the 5.5 models.",
    )
    format_prompt: int = _switch(
        default=200,
        allowed=_Range(0, 100_000),
        question="How long is the hidden prompt that output_config.format adds?",
        evidence="Recorded calls on Sonnet 4.5: 190 to 215; the documentation gives no number.",
    )
    token_factor: float = _switch(
        default=1.0,
        allowed=_Range(0.1, 10),
        question="By what are estimated token counts multiplied?",
        evidence="1 leaves the estimate alone. Published counts of the new tokenizer"
        " over the old one range from 1.0 to 1.46 with the kind of text.",
    )
    rounding: Literal["none", "cent"] = _switch(
        default="none",
        allowed=("none", "cent"),
        question="Is the cost of a call rounded?",
        evidence="Undocumented; cost reports return fractions of a cent.",
    )
    isolation: Literal["workspace", "dated", "organization"] = _switch(
        default="workspace",
        allowed=("workspace", "dated", "organization"),
        question="Do calls of two workspaces share entries (dated: as the platform did on the"
        " day)?",
        evidence="Prompt-caching page, 2026-09-26: workspaces are apart on the Claude API,"
        " Claude Platform on AWS and Foundry since 2026-02-05; on Bedrock and Google Cloud"
        " an organization shares. A log that names workspaces is taken at its word.",
    )
    partial_bodies: Literal["skip", "keep"] = _switch(
        default="skip",
        allowed=("skip", "keep"),
        question="Are calls simulated whose body holds only the new part of a thread"
        " kept by the service?",
        evidence="Message threads (beta of 2026-08-12) send only new messages, so the"
        " prompt cannot be rebuilt from the body.",
    )

    def __post_init__(self) -> None:
        """Refuse an answer that no switch has, however it was given."""
        for row in dataclasses.fields(self):
            value = getattr(self, row.name)
            if row.name == "minimums":
                for model, tokens in value:
                    _check(_MINIMUM + model, tokens, row.metadata["allowed"])
            else:
                _check(row.name, value, row.metadata["allowed"])

    @classmethod
    def parse(cls, words: Iterable[str]) -> Assumptions:
        """Read ``name=value`` words, as ``--assume`` passes them; the last one wins."""
        answers: dict[str, Any] = {}
        minimums: dict[str, int] = {}
        rows = {row.name: row for row in dataclasses.fields(cls) if row.name != "minimums"}
        for word in words:
            name, equals, text = (part.strip() for part in word.partition("="))
            if not equals:
                raise InputError(f'"{word}" is not NAME=VALUE')
            if name.startswith(_MINIMUM) and name != _MINIMUM:
                minimums[name.removeprefix(_MINIMUM)] = _number(name, text, int)
            elif name in rows:
                answers[name] = _value(rows[name], text)
            else:
                raise InputError(_unknown(name, (*rows, "minimum.MODEL")))
        return cls(**answers, minimums=tuple(sorted(minimums.items())))


def _check(name: str, value: object, allowed: Any) -> None:
    """Raise unless ``value`` is among the answers of this switch."""
    if allowed is bool:
        good = isinstance(value, bool)
    elif isinstance(allowed, _Range):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        good = number and allowed.low <= value <= allowed.high  # type: ignore[operator] # number says so
    else:
        good = value in allowed
    if not good:
        raise InputError(f'"{value}" is not {_words(allowed)}', (name,))


def _value(row: dataclasses.Field[Any], text: str) -> object:
    """Turn the text after ``=`` into the kind of answer this switch takes."""
    allowed = row.metadata["allowed"]
    if allowed is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise InputError(f'"{text}" is not {_words(allowed)}', (row.name,))
        return text.lower() in _TRUE
    if isinstance(allowed, _Range):
        return _number(row.name, text, type(row.default))
    return text


def _number(name: str, text: str, kind: type[Any]) -> Any:
    """Read a number, or say which switch wanted one."""
    try:
        return kind(text.replace("_", "").replace(",", ""))
    except ValueError:
        whole = "whole " if kind is int else ""
        raise InputError(f'"{text}" is not a {whole}number', (name,)) from None


def _words(allowed: Any) -> str:
    """Say which answers a switch takes."""
    if allowed is bool:
        return "true or false"
    if isinstance(allowed, _Range):
        return str(allowed)
    return " or ".join(allowed)


def _unknown(name: str, known: Iterable[str]) -> str:
    """Say that no switch has this name, and which ones look like it."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f'no assumption is called "{name}"{hint} (cacheplan facts lists them)'


def _row(row: dataclasses.Field[Any]) -> Switch:
    """Draw one row of the table from the field it describes."""
    per_model = row.name == "minimums"
    default = str(row.default).lower() if isinstance(row.default, bool) else str(row.default)
    return Switch(
        name="minimum.MODEL" if per_model else row.name,
        allowed=_words(row.metadata["allowed"]),
        default="the table" if per_model else default,
        question=row.metadata["question"],
        evidence=row.metadata["evidence"],
    )


#: All switches in the order of the fields, as ``cacheplan facts`` lists them.
SWITCHES: tuple[Switch, ...] = tuple(map(_row, dataclasses.fields(Assumptions)))
