"""Errors that name the place in one line, whatever the place is called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError


def test_a_path_grows_as_the_error_rises() -> None:
    """File and line come first, keys are joined by dots and indices stand in brackets."""
    error = InputError("is wrong").within("ttl").within(3).within("messages").at("a.jsonl", 7)
    assert str(error) == "a.jsonl line 7: messages[3].ttl: is wrong"


def test_an_error_of_a_whole_file_has_no_line() -> None:
    """Where there is no line and no path, nothing stands in their place."""
    assert str(InputError("no calls in it").at("a.jsonl")) == "a.jsonl: no calls in it"


@given(st.text(), st.text(max_size=2000))
def test_an_error_is_one_short_line(key: str, what: str) -> None:
    """Line breaks, control signs and endless values in the data do not reach the terminal."""
    said = str(InputError(what, (key,)).at("a.jsonl", 1))
    assert said.isprintable()
    assert len(said) <= 403
