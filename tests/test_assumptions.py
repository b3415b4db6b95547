"""The switches: what they take, what they refuse, and the table drawn from them."""

from __future__ import annotations

import dataclasses
import pickle
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import SWITCHES, Assumptions, Switch
from cacheplan.errors import InputError

PER_MODEL = "minimum.MODEL"
PLAIN = [switch for switch in SWITCHES if switch.name != PER_MODEL]
CHOICES = [
    (switch.name, answer)
    for switch in PLAIN
    if " or " in switch.allowed and "more" not in switch.allowed
    for answer in switch.allowed.split(" or ")
]


def test_the_defaults_are_what_recorded_usage_and_the_pages_say() -> None:
    """Without a word the switches stand where the evidence puts them."""
    default = Assumptions()
    assert (default.refresh, default.remark, default.refreshed) == ("own", "keep", "marked")
    assert (default.lifetime_in_key, default.write_inside_read) == (False, False)
    assert (default.lookback, default.collapse_runs) == (20, "dated")
    assert (default.effort_scope, default.thinking_scope) == ("messages", "messages")
    assert (default.format_scope, default.speed_scope) == ("system", "system")
    assert (default.hit_rate, default.batch_hit_rate, default.grace) == (1.0, 0.30, 0.0)
    assert (default.tool_prompt, default.format_prompt) == (290, 200)


def test_the_table_has_one_row_per_field() -> None:
    """The listing and the fields cannot drift apart, and every row has its evidence."""
    fields = [field.name for field in dataclasses.fields(Assumptions)]
    names = [switch.name for switch in SWITCHES]
    assert names == [PER_MODEL if name == "minimums" else name for name in fields]
    for switch in SWITCHES:
        assert switch.question.endswith(("?", "model."))
        assert switch.evidence.endswith(".")


@pytest.mark.parametrize("switch", PLAIN, ids=lambda switch: switch.name)
def test_a_default_written_out_is_the_default(switch: Switch) -> None:
    """What the table shows as default can be passed back and changes nothing."""
    assert Assumptions.parse([f"{switch.name}={switch.default}"]) == Assumptions()


@pytest.mark.parametrize(("name", "answer"), CHOICES, ids="=".join)
def test_every_answer_in_the_table_is_taken(name: str, answer: str) -> None:
    """An allowed answer arrives in its field, as a truth value where it is one."""
    value = getattr(Assumptions.parse([f"{name}={answer}"]), name)
    assert str(value).lower() == answer


def test_the_answers_checked_at_run_time_are_those_of_the_type() -> None:
    """A field's annotation and its list of answers say the same."""
    hints = get_type_hints(Assumptions)
    for field in dataclasses.fields(Assumptions):
        if type(field.metadata["allowed"]) is tuple:
            assert get_args(hints[field.name]) == field.metadata["allowed"]


@given(st.integers(1, 1000), st.floats(0, 1), st.floats(0, 3600))
def test_numbers_are_read_as_written(lookback: int, rate: float, grace: float) -> None:
    """A number in range is taken exactly, whole or not."""
    words = [f"lookback={lookback}", f"hit_rate={rate!r}", f"grace={grace!r}"]
    read = Assumptions.parse(words)
    assert (read.lookback, read.hit_rate, read.grace) == (lookback, rate, grace)


@given(st.dictionaries(st.sampled_from(["claude-a", "claude-b", "claude-c"]), st.integers(0, 9999)))
def test_minimums_are_kept_per_model(minimums: dict[str, int]) -> None:
    """Several models can have their minimum set, in any order of the words."""
    words = [f"minimum.{model}={tokens}" for model, tokens in minimums.items()]
    assert Assumptions.parse(words).minimums == tuple(sorted(minimums.items()))
    assert Assumptions.parse(words) == Assumptions.parse(reversed(words))


def test_the_last_word_wins() -> None:
    """A switch set twice has the later answer, so that a script's can be overridden."""
    assert Assumptions.parse(["refresh=reader", "refresh=longer"]).refresh == "longer"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("refrsh=own", 'no assumption is called "refrsh"; did you mean refresh'),
        ("qqq=1", 'no assumption is called "qqq" (cacheplan facts lists them)'),
        ("minimums=3", "did you mean minimum.MODEL?"),
        ("minimum.=3", "did you mean minimum.MODEL?"),
        ("refresh", '"refresh" is not NAME=VALUE'),
        ("refresh=mine", 'refresh: "mine" is not own or reader or longer'),
        ("remark=", 'remark: "" is not keep or upgrade'),
        ("lifetime_in_key=perhaps", 'lifetime_in_key: "perhaps" is not true or false'),
        ("lookback=1.5", 'lookback: "1.5" is not a whole number'),
        ("lookback=0", 'lookback: "0" is not 1 to 1000'),
        ("hit_rate=nan", 'hit_rate: "nan" is not 0 to 1'),
        ("hit_rate=30%", 'hit_rate: "30%" is not a number'),
        ("grace=-1", 'grace: "-1.0" is not 0 to 3600'),
        ("token_factor=0", 'token_factor: "0.0" is not 0.1 to 10'),
        ("minimum.claude-opus-5=-1", 'minimum.claude-opus-5: "-1" is not 0 or more'),
        ("minimum.claude-opus-5=many", 'minimum.claude-opus-5: "many" is not a whole number'),
    ],
)
def test_a_word_that_means_nothing_is_explained(word: str, sentence: str) -> None:
    """A wrong name brings near ones and a wrong answer the right ones."""
    with pytest.raises(InputError) as caught:
        Assumptions.parse([word])
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "answers",
    [
        {"refresh": "mine"},
        {"lookback": 0},
        {"lookback": True},
        {"lifetime_in_key": 1},
        {"hit_rate": "0.5"},
        {"minimums": (("claude-opus-5", -1),)},
    ],
    ids=str,
)
def test_an_answer_given_in_python_is_checked_as_well(answers: dict[str, object]) -> None:
    """The constructor takes no more than the command line does."""
    with pytest.raises(InputError):
        Assumptions(**answers)  # type: ignore[arg-type] # that is what is tested


def test_they_are_values() -> None:
    """Equal answers are one key, survive a pickle, and cannot be changed in place."""
    words = ["grace=10", "minimum.claude-opus-5=600"]
    assert len({Assumptions.parse(words), Assumptions.parse(words), Assumptions()}) == 2
    assert pickle.loads(pickle.dumps(Assumptions.parse(words))) == Assumptions.parse(words)  # noqa: S301 -- our own
    with pytest.raises(dataclasses.FrozenInstanceError):
        Assumptions().lookback = 3  # type: ignore[misc] # that is what is tested
