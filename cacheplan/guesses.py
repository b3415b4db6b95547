"""How long blocks are, guessed from their bytes and put right by what was billed.

Call time has no room for a tokenizer: a guess costs a microsecond, whatever a block says.
It starts from bytes, because one ratio then serves most scripts, and each answer says how
long the whole prompt was, so what is new in it corrects the guesses that follow. This
file knows blocks and numbers; which prompts share what it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from cacheplan.facts import Model
from cacheplan.makeup import makeup
from cacheplan.prompt import Block, Level
from cacheplan.tokens import Count

__all__ = ["Guess", "Scale"]

#: Bytes a token, by generation of the tokenizer: between prose (5.1 and 3.5 characters)
#: and code (3.2 and 2.4), the way ctok 1.3 counted samples of both in 2026-11. Scripts
#: with two or three bytes a character come out about the same, for they have about as
#: many characters fewer a token.
BYTES: Final = MappingProxyType({"old": 3.5, "new": 2.7})
#: What a guess may be off by, before anything was billed: prose and code lie this far
#: from the middle.
DOUBT: Final = 0.3
#: Tokens of the first guess's own weight, and what is left of what was billed after each
#: further answer: some hundred answers count.
PRIOR: Final = 2_000.0
FADING: Final = 0.99
#: A prompt that is longer or shorter than guessed by more than this holds what its body
#: does not show; nothing is learned from it.
PLAUSIBLE: Final = 3.0
#: Fewest new tokens that anything is learned from: below, the frame outweighs the text.
LEAST: Final = 100
#: Models that are remembered.
MODELS: Final = 128
#: Answers that are looked at where nobody else wants to know of them: so many of the first
#: of a model, and then one in as many. By then a guess is as good as it gets.
ANSWERS: Final = 16


class Guess:
    """Counts blocks by their bytes."""

    name = "guess"

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Guess each block; a model nobody knows is taken for a new one."""
        generation = model.generation if model else "new"
        ratio = BYTES[generation]
        found = []
        for block in blocks:
            said = block.body.get("text") if block.kind == "text" else None
            if said and isinstance(said, str) and block.level is not Level.TOOLS:
                # Most blocks are text and nothing else, which needs no taking apart.
                tokens = _size(said) / ratio
                found.append(Count(round(tokens), round(DOUBT * tokens)))
                continue
            made = makeup(block, generation)
            size = sum(map(_size, made.texts))
            tokens = size / ratio + made.tokens
            found.append(Count(round(tokens), round(DOUBT * size / ratio + made.doubt)))
        return found


def _size(text: str) -> int:
    """Return how many bytes a text has; half of a surrogate pair has its own."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Scale:
    """By how much guesses are off, for each model, learned from what was billed."""

    def __init__(self) -> None:
        #: By model: tokens guessed and tokens billed, both fading.
        self._seen: dict[str, tuple[float, float]] = {}
        #: By model: how often it was asked whether an answer is worth a look.
        self._asked: dict[str, int] = {}

    def curious(self, model: str) -> bool:
        """Tell whether the next answer is worth a look, where only lengths are learned."""
        asked = self._asked[model] = self._asked.pop(model, 0) + 1
        if len(self._asked) > MODELS:
            del self._asked[next(iter(self._asked))]
        return asked <= ANSWERS or asked % ANSWERS == 0

    def factor(self, model: str) -> float:
        """Return what to multiply guesses by."""
        guessed, billed = self._seen.get(model, (0.0, 0.0))
        return (billed + PRIOR) / (guessed + PRIOR)

    def learn(self, model: str, guessed: float, billed: float) -> None:
        """Take note of a stretch of prompt: what was guessed for it, and what was billed."""
        if guessed < LEAST or not 1 / PLAUSIBLE <= billed / guessed <= PLAUSIBLE:
            return
        before = self._seen.pop(model, (0.0, 0.0))
        self._seen[model] = (FADING * before[0] + guessed, FADING * before[1] + billed)
        if len(self._seen) > MODELS:
            del self._seen[next(iter(self._seen))]
