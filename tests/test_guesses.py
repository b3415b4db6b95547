"""Lengths guessed from bytes, and put right by what was billed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.facts import find
from cacheplan.guesses import ANSWERS, BYTES, DOUBT, MODELS, PLAUSIBLE, Guess, Scale
from cacheplan.makeup import makeup
from cacheplan.prompt import Block, Level


def text(said: str) -> Block:
    """Return a text block."""
    body = {"type": "text", "text": said}
    return Block(level=Level.MESSAGES, kind="text", role="user", body=body)


#: Texts and their real lengths in tokens of the newer tokenizer, counted with ctok 1.3.
@pytest.mark.parametrize(
    ("said", "characters_a_token"),
    [("All human beings are born free and equal. ", 3.5), ("def f(x): return x[1:]\n", 2.4)],
)
def test_prose_and_code_lie_inside_the_doubt(said: str, characters_a_token: float) -> None:
    """What is known of the two kinds of text most prompts are made of is within the band."""
    known = find("claude-opus-5")
    assert known is not None
    (count,) = Guess().count([text(said * 100)], known.model)
    assert abs(count.tokens - len(said) * 100 / characters_a_token) <= count.doubt
    assert count.doubt == pytest.approx(DOUBT * count.tokens, rel=0.1)


@given(said=st.text(), level=st.sampled_from(Level))
def test_text_and_nothing_else(said: str, level: Level) -> None:
    """Text alone is guessed as if it had been taken apart like any block."""
    body = {"type": "text", "text": said}
    block = Block(level=level, kind="text", body=body)
    made = makeup(block, "new")
    size = sum(len(part.encode("utf-8", "surrogatepass")) for part in made.texts)
    expected = round(size / BYTES["new"] + made.tokens)
    assert [count.tokens for count in Guess().count([block, block], None)] == [expected] * 2
    doubt = round(DOUBT * size / BYTES["new"] + made.doubt)
    assert {count.doubt for count in Guess().count([block], None)} == {doubt}


def test_half_a_surrogate_pair_has_a_length() -> None:
    """Text that no encoder takes is guessed like any other."""
    (count,) = Guess().count([text("\ud83d" * 300)], None)
    assert count.tokens > 100


@given(true=st.floats(0.5, 2), lengths=st.lists(st.integers(200, 20_000), min_size=60, max_size=90))
def test_guesses_come_right(true: float, lengths: list[int]) -> None:
    """However far off the first guesses are, later ones are a few percent off at most."""
    scale = Scale()
    for length in lengths:
        scale.learn("m", length, round(length * true))
    assert scale.factor("m") == pytest.approx(true, rel=0.2)
    assert scale.factor("another") == 1


def test_what_cannot_be_is_not_learned() -> None:
    """A prompt many times as long as its body holds something else, and teaches nothing."""
    scale = Scale()
    scale.learn("m", 1_000, 1_000 * PLAUSIBLE + 1)
    scale.learn("m", 1_000, 0)
    scale.learn("m", 5, 10)
    assert scale.factor("m") == 1


def test_models_have_a_bound() -> None:
    """Of too many models the ones that answered longest ago are forgotten."""
    scale = Scale()
    for number in range(2 * MODELS):
        scale.learn(f"{number}", 10_000, 20_000)
    assert scale.factor("0") == 1
    assert scale.factor(f"{2 * MODELS - 1}") > 1.5


def test_answers_are_looked_at_now_and_then() -> None:
    """Of each model the first answers teach, and then one in as many."""
    scale = Scale()
    looked = [scale.curious("m") for _ in range(4 * ANSWERS)]
    assert all(looked[:ANSWERS])
    assert sum(looked[ANSWERS:]) == 3
    assert scale.curious("another")
