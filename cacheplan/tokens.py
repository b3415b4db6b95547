"""How long a block is, in tokens, and how sure that is.

This file may know models and what a call adds to its blocks. It reads no file and
imports no tokenizer: a counter is given the function that counts (``io.counting`` has
them), ``makeup`` takes the block apart, and ``content`` knows what a text costs.

No number goes without its doubt: 19 in 20 of the samples that ``benchmarks/token_error.py``
measures lie inside. Where a decision falls inside, the answer says so (``reaches``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.content import chunks, weigh
from cacheplan.makeup import Makeup, makeup, written
from cacheplan.prompt import Block, Level

__all__ = [
    "Count",
    "Estimate",
    "Exact",
    "Once",
    "TokenCounter",
    "closing_tokens",
    "fixed_tokens",
    "reaches",
    "tokenizer_of",
    "total",
    "turn_tokens",
]

Generation = Literal["old", "new"]
Source = Literal["usage", "counted", "estimated"]
_WEAKER: Final = ("usage", "counted", "estimated").index


class Count(NamedTuple):
    """A number of tokens, what it may be off by, and where it comes from."""

    tokens: int
    #: Half the width of the band: 19 in 20 measured samples lie inside it.
    doubt: int = 0
    source: Source = "estimated"


def total(counts: Iterable[Count]) -> Count:
    """Add counts up; the sum is as trustworthy as its weakest part.

    Doubts add up as they are. Texts of one author are off in one direction (a whole file
    is off by as large a share as one chunk of it), so nothing may be hoped to cancel.
    """
    tokens, doubt, source = 0, 0, "usage"
    for count in counts:
        tokens += count.tokens
        doubt += count.doubt
        source = max(source, count.source, key=_WEAKER)
    return Count(tokens, doubt, source)  # type: ignore[arg-type] # max keeps the literal


def reaches(tokens: int, doubt: int, minimum: int) -> Literal["yes", "no", "too close to call"]:
    """Say whether a prefix is as long as it has to be; inside the band nobody can tell.

    >>> reaches(1100, 50, 1024), reaches(1000, 50, 1024), reaches(900, 50, 1024)
    ('yes', 'too close to call', 'no')
    """
    if tokens - doubt >= minimum:
        return "yes"
    return "no" if tokens + doubt < minimum else "too close to call"


class TokenCounter(Protocol):
    """Whoever can say how long blocks are.

    Called with many blocks at a time, none of which it was asked for before under a model
    with the same tokenizer, so it need not remember.
    """

    @property
    def name(self) -> str:
        """Say in a word or two how it counts, for reports."""

    def count(self, blocks: Sequence[Block], model: facts.Model | None) -> list[Count]:
        """Return one count a block; ``None`` is a model nobody knows."""


class Once:
    """Passes each distinct block on once a tokenizer, however often it is asked."""

    def __init__(self, counter: TokenCounter) -> None:
        self.name = counter.name
        self._counter = counter
        self._known: dict[str, dict[bytes, Count]] = {}

    def count(self, blocks: Sequence[Block], model: facts.Model | None) -> list[Count]:
        """Count what is new and repeat what is known; a block without digest is new."""
        known = self._known.setdefault(model.generation if model else "", {})
        keys = [block.digest or b"%d" % at for at, block in enumerate(blocks)]
        fresh = {key: block for key, block in zip(keys, blocks, strict=True) if key not in known}
        counts = dict(zip(fresh, self._counter.count([*fresh.values()], model), strict=True))
        known.update((key, counts[key]) for key, block in fresh.items() if block.digest)
        return [counts[key] if key in counts else known[key] for key in keys]


class Estimate:
    """Counts by tiktoken's vocabulary, corrected by kind of text.

    ``ruler`` says how many tokens of o200k each text has; it is handed many short texts
    at a time. ``factor`` is the user's own correction (``Assumptions.token_factor``).
    """

    name = "estimate"

    def __init__(self, ruler: Callable[[list[str]], list[int]], factor: float = 1.0) -> None:
        self._ruler = ruler
        self._factor = factor

    def count(self, blocks: Sequence[Block], model: facts.Model | None) -> list[Count]:
        """Count all texts of all blocks in one go, then sum up by block."""
        return _longer([self._counts(blocks, tokenizer) for tokenizer in _tokenizers(model)])

    def _counts(self, blocks: Sequence[Block], tokenizer: str) -> list[Count]:
        """Count as one version of the tokenizer would."""
        generation = _GENERATIONS[tokenizer]
        made = [_elsewhere(block) or makeup(block, generation) for block in blocks]
        waiting = [
            (block, chunk)
            for block in made
            if isinstance(block, Makeup)
            for text in block.texts
            for chunk in chunks(text)
        ]
        # A log names the same few tools, and reads the same files, again and again.
        weighed = {chunk: weigh(chunk) for chunk in dict.fromkeys(chunk for _, chunk in waiting)}
        lengths = self._ruler([chunk.latin for chunk in weighed.values()])
        costs = {
            text: chunk.tokens(length, generation)
            for (text, chunk), length in zip(weighed.items(), lengths, strict=True)
        }
        for block, text in waiting:
            block.add(*costs[text])
        return [block if isinstance(block, Count) else self._rounded(block) for block in made]

    def _rounded(self, block: Makeup) -> Count:
        """Round; a text of a few tokens may be one off whatever its band."""
        doubt = block.doubt + bool(block.texts)
        return Count(round(block.tokens * self._factor), math.ceil(doubt * self._factor))


class Exact:
    """Counts with a reconstruction of Claude's own vocabularies (ctok).

    ``token_count`` takes a text and a version of the tokenizer. Held against real counts,
    ctok 1.3 was exact on all of 2,263 texts for Opus 4.5 and 4.7, and on 99 % for Opus 5,
    where it was off by up to 1.6 %; of later models nobody has measured any.
    """

    name = "exact"

    def __init__(self, token_count: Callable[[str, str], int]) -> None:
        self._token_count = token_count

    def count(self, blocks: Sequence[Block], model: facts.Model | None) -> list[Count]:
        """Count each block's texts; in doubt is only what the service puts around them."""
        counts = _longer([self._counts(blocks, tokenizer) for tokenizer in _tokenizers(model)])
        if model is not None and model.version < _MEASURED_UNTIL:
            return counts
        return [
            count._replace(doubt=count.doubt + math.ceil(0.016 * count.tokens)) for count in counts
        ]

    def _counts(self, blocks: Sequence[Block], tokenizer: str) -> list[Count]:
        """Count as one version of the tokenizer does."""
        return [_elsewhere(block) or self._count(block, tokenizer) for block in blocks]

    def _count(self, block: Block, tokenizer: str) -> Count:
        """Count one block; an empty message tells what not to count."""
        made = makeup(block, _GENERATIONS[tokenizer])
        empty = self._token_count("", tokenizer)
        tokens = sum(self._token_count(text, tokenizer) - empty for text in made.texts)
        source: Source = "estimated" if made.guessed else "counted"
        return Count(round(tokens + made.tokens), math.ceil(made.doubt), source)


#: The versions of the tokenizer ctok tells apart, with the generation each belongs to.
_GENERATIONS: Final[Mapping[str, Literal["old", "new"]]] = MappingProxyType(
    {"3.0": "old", "4.7": "new", "4.8": "new"}
)
#: From this version of a model on, exact counts carry a band.
_MEASURED_UNTIL: Final = (5, 0)


def tokenizer_of(model: facts.Model) -> str:
    """Return the version of the tokenizer a model has, by ctok's numbers."""
    if model.generation == "old":
        return "3.0"
    return "4.7" if model.version == (4, 7) else "4.8"


def _tokenizers(model: facts.Model | None) -> Sequence[str]:
    """Return the version a model has; where nobody knows the model, the oldest and newest."""
    return ("3.0", "4.8") if model is None else (tokenizer_of(model),)


def _longer(found: Sequence[list[Count]]) -> list[Count]:
    """Take the last of several counts of each block, and add the difference to its doubt."""
    first, last = found[0], found[-1]
    if first is last:
        return last
    return [
        new._replace(doubt=new.doubt + abs(new.tokens - old.tokens))
        for old, new in zip(first, last, strict=True)
    ]


def _elsewhere(block: Block) -> Count | None:
    """Return the length that the source of a block states, if it states one."""
    return None if block.tokens is None else Count(block.tokens, 0, "usage")


#: Tokens where another role begins to speak, by generation. Recorded: 4 and 2 a message;
#: a further text in the same message adds 2 and 1 to a user's, nothing to Claude's.
_TURN: Final = MappingProxyType({"old": facts.MESSAGE_FRAME, "new": 2})

#: Tokens after the last block, by generation; part of the frame. Recorded: prompts cached
#: to their last block left 3 and 2 ``input_tokens`` (1 to 14 after tool results).
_CLOSING: Final = MappingProxyType({"old": 3, "new": 2})

#: Tokens of the prompt that ``output_config.format`` adds, its schema aside. Recorded on
#: Sonnet 4.5: 128 to 130 beside schemas of 57 to 76. The schema's own are its characters
#: by the ratio for tool schemas measured with ctok 1.3, 2026-11.
_FORMAT: Final = 129
_SCHEMA_CHARACTERS: Final = MappingProxyType({"old": 3.5, "new": 2.7})

#: Recorded on Opus 4.7: 35 and 36.
_TASK_BUDGET: Final = 35

#: Tokens that come with tools whose loading is deferred, the tools aside. Recorded: 6 on
#: models with the old tokenizer, 99 on Sonnet 5, Opus 5 and (by difference) Fable 5.
_DEFERRED: Final = MappingProxyType({"old": 6, "new": 99})

#: Tools of remote servers that the body only names. Recorded: 630 and 2,600.
_REMOTE_TOOLS: Final = 2000

#: A stated tool prompt was off by up to 15 (and by 182 before it was last changed); what
#: nobody states is 286 to 354 on the models nearest to it.
_TOOL_PROMPT_DOUBT: Final = 15
_UNSTATED_DOUBT: Final = 100


def closing_tokens(model: facts.Model | None) -> int:
    """Return how many tokens follow the last block, where no breakpoint reaches."""
    return _CLOSING[_generation(model)]


def turn_tokens(model: facts.Model | None) -> int:
    """Return how many tokens stand where another role begins to speak."""
    return _TURN[_generation(model)]


def fixed_tokens(
    body: Mapping[str, Any], model: facts.Model | None, assume: Assumptions
) -> dict[Level, Count]:
    """Return the tokens that stand in no block, by the level they stand at.

    With every block, ``turn_tokens`` a turn and ``closing_tokens`` they make up the
    prompt. What a forced ``tool_choice`` adds stands with the messages, for it breaks no
    level before them.
    """
    forced = _within(body, "tool_choice", "type") in ("any", "tool")
    generation = _generation(model)
    frame = model.frame if model else 6
    messages = [Count(frame - _TURN[generation] - _CLOSING[generation], 2)]
    tools, system = [], []
    if body.get("tools"):
        plain = _tool_prompt(model, assume, forced=False)
        tools.append(plain)
        if forced:
            messages.append(
                Count(_tool_prompt(model, assume, forced=True).tokens - plain.tokens, 5)
            )
        listed = body["tools"] if isinstance(body["tools"], list | tuple) else ()
        if any(isinstance(tool, Mapping) and tool.get("defer_loading") for tool in listed):
            tools.append(Count(_DEFERRED[generation], 5))
    if body.get("mcp_servers"):
        tools.append(Count(_REMOTE_TOOLS, _REMOTE_TOOLS))
    if body.get("system"):
        system.append(Count(facts.SYSTEM_FRAME))
    system += _format(body, generation, assume)
    if not forced:
        # Forced calls do not think (recorded on Opus 4.6: nothing was added).
        thinking = str(_within(body, "thinking", "type"))
        messages.append(Count(facts.THINKING_FRAME[generation].get(thinking, 0)))
    if _within(body, "output_config", "task_budget"):
        messages.append(Count(_TASK_BUDGET, 5))
    return {
        Level.TOOLS: total([Count(0), *tools]),
        Level.SYSTEM: total([Count(0), *system]),
        Level.MESSAGES: total(messages),
    }


def _tool_prompt(model: facts.Model | None, assume: Assumptions, *, forced: bool) -> Count:
    """Return the hidden prompt that tools add, and how well it is known."""
    if model is None or model.tool_prompt is None:
        return Count(assume.tool_prompt, _UNSTATED_DOUBT)
    return Count(facts.tool_prompt(model, assume, forced=forced), _TOOL_PROMPT_DOUBT)


def _format(body: Mapping[str, Any], generation: Generation, assume: Assumptions) -> list[Count]:
    """Return the prompt that a structured output adds, if one is asked for."""
    asked = _within(body, "output_config", "format") or body.get("output_format")
    if not asked:
        return []
    schema = len(written(asked.get("schema") if isinstance(asked, Mapping) else asked))
    tokens = round(_FORMAT + schema / _SCHEMA_CHARACTERS[generation])
    return [Count(max(tokens, assume.format_prompt), max(20, tokens // 5))]


def _within(body: Mapping[str, Any], outer: str, inner: str) -> Any:
    """Return a member of a member, or nothing where either is missing."""
    found = body.get(outer)
    return found.get(inner) if isinstance(found, Mapping) else None


def _generation(model: facts.Model | None) -> Generation:
    """Return the generation of a model's tokenizer; the newer where nobody knows it."""
    return model.generation if model else "new"
