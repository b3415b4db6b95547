"""Batches as bytes: ids that the API takes, and files that are within every limit."""

from __future__ import annotations

import json
import re
from itertools import zip_longest

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cacheplan.packing import BYTES, REQUESTS, body, custom_id, fits, packed, request, spans

#: As the documentation writes it.
RULE = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
#: What stands around the requests: ``{"requests":[``, a line break, a line break, ``]}``.
AROUND = 14 + 2 + 1


@given(st.integers(1, 10**6), st.none() | st.text(max_size=80))
@example(1, "a\n")
@example(1, "١٢٣")
@example(999_999, "x" * 49)
def test_every_custom_id_keeps_the_rule(number: int, name: str | None) -> None:
    """Whatever a call is named, its ``custom_id`` is one that the API takes."""
    made = custom_id("k3v9x2q7", number, name)
    assert RULE.match(made)
    assert not made.endswith("\n")
    assert made.startswith("k3v9x2q7-")


@given(st.lists(st.none() | st.sampled_from(["a", "1", "a-1", "", "é"]), max_size=30))
def test_custom_ids_of_one_build_differ(names: list[str | None]) -> None:
    """Calls of one name, or of none, have different ids."""
    made = [custom_id("k3v9x2q7", number, name) for number, name in enumerate(names, 1)]
    assert len(set(made)) == len(made)


def test_a_name_that_fits_is_kept() -> None:
    """A call's own id is part of its ``custom_id`` up to 64 characters, else it is left out."""
    assert custom_id("k3v9x2q7", 1, "x" * 48) == "k3v9x2q7-000001-" + "x" * 48
    assert custom_id("k3v9x2q7", 1, "x" * 49) == "k3v9x2q7-000001"


def test_limits_are_those_of_the_documentation() -> None:
    """A batch has 100,000 requests and 256 MB at most, in the smaller reading of MB."""
    assert (REQUESTS, BYTES) == (100_000, 256 * 10**6)


@pytest.mark.parametrize(("requests", "files"), [(99_999, 1), (100_000, 1), (100_001, 2)])
def test_the_edge_of_requests(requests: int, files: int) -> None:
    """100,000 requests are one file, and the next one begins another."""
    found = list(packed([1] * requests))
    assert len(found) == files
    assert [at for span in found for at in span] == list(range(requests))


@pytest.mark.parametrize(("over", "files"), [(-1, 1), (0, 1), (1, 2)])
def test_the_edge_of_bytes(over: int, files: int) -> None:
    """Two requests that fill a file to the last byte are one file; with a byte more, two."""
    half = (BYTES - AROUND - 2) // 2
    rest = BYTES - AROUND - 2 - half
    assert len(list(packed([half, rest + over]))) == files


@pytest.mark.parametrize(("over", "alone"), [(-1, True), (0, True), (1, False)])
def test_one_request_has_the_same_limit(over: int, alone: bool) -> None:
    """A request that fills a whole file fits, and one with a byte more does not."""
    assert fits(BYTES - AROUND + over) is alone


@given(
    st.lists(st.integers(1, 40), max_size=40),
    st.integers(1, 5),
    st.integers(AROUND + 40, AROUND + 100),
)
def test_files_are_within_limits_and_as_few_as_their_order_allows(
    sizes: list[int], most: int, largest: int
) -> None:
    """Each request is in one file, in order; no file is over a limit, none takes one more."""
    found = list(packed(sizes, most=most, largest=largest))
    assert [at for span in found for at in span] == list(range(len(sizes)))

    def length(places: list[int]) -> int:
        return len(b"".join(body(b"x" * sizes[at] for at in places)))

    for span, after in zip_longest(found, found[1:]):
        assert 0 < len(span) <= most
        assert length(list(span)) <= largest
        if after is not None:
            more = [*span, after[0]]
            assert len(more) > most or length(more) > largest


@given(st.lists(st.binary(min_size=1, max_size=9).map(lambda raw: raw.hex().encode()), max_size=9))
def test_each_request_is_found_where_it_stands(contents: list[bytes]) -> None:
    """What is said of where requests stand in a body is so."""
    whole = b"".join(body(contents))
    places = spans(map(len, contents))
    assert [whole[start:end] for start, end in places] == contents


def test_a_body_is_what_the_api_reads() -> None:
    """A file is JSON of the API's shape, and what was said stays byte for byte."""
    params = b'{"model": "m",  "system": "\xc3\xa9 \\u00e9"}'
    whole = b"".join(body([request("a", params), request("b", b"{}")]))
    assert params in whole
    assert json.loads(whole) == {
        "requests": [
            {"custom_id": "a", "params": {"model": "m", "system": "é é"}},
            {"custom_id": "b", "params": {}},
        ]
    }
