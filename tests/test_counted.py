"""Usage as others count it is told as the API tells it: nothing is lost, nothing counted twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.counted import either, exclusive, inclusive
from cacheplan.errors import InputError
from cacheplan.stated import recorded_usage

COUNTS = st.integers(0, 10**6)
#: Uncached, read, written for five minutes and for an hour, output.
USED = st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def parts(read: int, short: int, long: int) -> dict[str, Any]:
    """Name what was cached, as a source that says all of it."""
    return {"read": read, "written": short + long, "short": short, "long": long}


class TestBothWays:
    """Clause: each of the two ways to count is its own function."""

    @given(USED)
    def test_what_was_billed_comes_out(self, used: tuple[int, int, int, int, int]) -> None:
        """The same five numbers, whichever way a source counts its input."""
        uncached, read, short, long, output = used
        cached = parts(read, short, long)
        whole = uncached + read + short + long
        for made in (exclusive(uncached, output, **cached), inclusive(whole, output, **cached)):
            found = recorded_usage(made)
            assert (found.uncached, found.read) == (uncached, read)
            assert (found.write_5m, found.write_1h, found.output) == (short, long, output)

    @given(USED)
    def test_the_sum_of_all_tells_which_it_is(self, used: tuple[int, int, int, int, int]) -> None:
        """A total leaves nothing open."""
        uncached, read, short, long, output = used
        cached = parts(read, short, long)
        whole = uncached + read + short + long
        expected = exclusive(uncached, output, **cached), True
        assert either(uncached, output, whole + output, **cached) == expected
        assert either(whole, output, whole + output, **cached) == expected

    @given(USED)
    def test_without_a_sum_a_small_input_tells(self, used: tuple[int, int, int, int, int]) -> None:
        """Smaller than what was cached it cannot hold it; any other is taken to, and not surely."""
        prompt, read, short, long, output = used
        made, sure = either(prompt, output, None, **parts(read, short, long))
        cached = read + short + long
        assert sure == (prompt < cached or not cached)
        held = 0 if sure else cached
        assert made["input_tokens"] == prompt - held

    @given(COUNTS, COUNTS)
    def test_what_is_not_parted_is_not_said_to_be(self, short: int, more: int) -> None:
        """Writes without lifetimes stay without; what a split leaves over is the shorter's."""
        assert "cache_creation" not in exclusive(1, 1, written=more)
        found = recorded_usage(exclusive(1, 1, written=short + more, long=short))
        assert (found.write_5m, found.write_1h) == (more, short)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("read", "read"),
        ("written", "written"),
        ("short", "written for 5 minutes"),
        ("long", "written for an hour"),
    ],
)
def test_fewer_than_none_are_no_tokens(name: str, said: str) -> None:
    """The sentence says which count it was."""
    counts: dict[str, Any] = {name: -1}
    with pytest.raises(InputError, match=f"^-1 tokens {said} are fewer than none"):
        exclusive(1, 1, **counts)


def test_an_input_that_cannot_hold_what_was_cached_is_refused() -> None:
    """It is not what its source says it is."""
    with pytest.raises(InputError, match="9 tokens of input cannot hold 10"):
        inclusive(9, 1, read=10)
