"""JSON read strictly: what two readers could read differently is refused, with its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.errors import InputError
from cacheplan.strict_json import array, member, members, number, quoted, typed, value

names = st.text(st.sampled_from('ab\\"é\U0001f600:, {'), max_size=3)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)
blanks = st.text(st.sampled_from(" \t"), max_size=2)


@st.composite
def spelled(draw: st.DrawFn, pairs: list[tuple[str, Any]]) -> bytes:
    """Write an object of these members with blanks wherever JSON allows them."""
    parts = []
    for key, part in pairs:
        written = json.dumps(part, ensure_ascii=draw(st.booleans()))
        name = json.dumps(key, ensure_ascii=draw(st.booleans()))
        parts.append(f"{draw(blanks)}{name}{draw(blanks)}:{draw(blanks)}{written}{draw(blanks)}")
    return ("{" + ",".join(parts) + "}").encode()


class TestMembers:
    """An object split into undecoded members."""

    @given(st.data(), st.dictionaries(names, documents, max_size=5))
    def test_every_spelling_is_split_alike(
        self, data: st.DataObject, found: dict[str, Any]
    ) -> None:
        """However an object is spaced and escaped, its members are those of ``json``."""
        raw = data.draw(spelled(list(found.items())))
        assert {key: json.loads(bytes(part)) for key, part in members(raw).items()} == found
        assert value(raw) == found

    @given(st.data(), st.dictionaries(names, documents, min_size=1, max_size=6))
    def test_a_repeated_key_is_found_in_every_spelling(
        self, data: st.DataObject, found: dict[str, Any]
    ) -> None:
        """No spacing hides that a key stands twice."""
        pairs = list(found.items())
        pairs.insert(
            data.draw(st.integers(0, len(pairs))),
            (data.draw(st.sampled_from(sorted(found))), data.draw(documents)),
        )
        raw = data.draw(spelled(pairs))
        for read in (members, value):
            with pytest.raises(InputError, match="stands twice"):
                read(raw)

    @pytest.mark.parametrize("dumped", [(",", ":"), (", ", ": ")])
    def test_common_spellings_are_read_once(
        self, dumped: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What ``json.dumps`` writes, compact or not, needs no second look."""
        monkeypatch.setattr("cacheplan.strict_json._refuse_duplicates", pytest.fail)
        document = {"a": [1, {"b": " , : "}], "c": "x, y: z", "": {}}
        raw = json.dumps(document, separators=dumped).encode()
        assert list(members(raw)) == ["a", "c", ""]

    def test_a_duplicate_cannot_be_the_size_of_the_spaces(self) -> None:
        """A repeated member just as long as the spaces that are missing is still found."""
        with pytest.raises(InputError, match=r"^b: this key stands twice"):
            members(b'{"a": 1,"b":2,"b":3,"c":4,"d":5}')

    @pytest.mark.parametrize(
        ("raw", "what"),
        [
            (b"[]", "expected an object, found a list"),
            (b"null", "expected an object, found null"),
            (b"true", "expected an object, found true"),
            (b'"x"', "expected an object, found text"),
            (b"17", "expected an object, found a number"),
            (b"", "the JSON ends too early (after 0 bytes)"),
            (b'{"a": 1} x', "not JSON: extra data at character 10"),
            (b'{"a": NaN}', "a: NaN is not a number JSON knows"),
            (b'NaN{"a": 1}', "not JSON: extra data at character 4"),
            (b'{"a": NaN, "a" 1}', "not JSON: expecting ':' delimiter at character 16"),
            (b'{"a": {"b": [1, -Infinity]}}', "a.b[1]: -Infinity is not a number JSON knows"),
            (b'{"a": \xff}', "byte 7 is not UTF-8"),
            (b'{"a": ' * 100_000, "nested too deeply to be read"),
            (b"nul", "not JSON: expecting value at character 1"),
            (b'{\n"a": tru}', "not JSON: expecting value at character 6 of line 2"),
        ],
    )
    def test_what_is_no_object_says_why(self, raw: bytes, what: str) -> None:
        """The sentence names what was found, and where."""
        with pytest.raises(InputError) as caught:
            members(raw)
        assert str(caught.value) == what

    def test_a_member_knows_its_key(self) -> None:
        """A fault inside a member has the member's key in its path; an absent one is none."""
        parts = members(b'{"a":{"b":1,"b":2}}')
        assert member(parts, "c") is None
        with pytest.raises(InputError, match=r"^a\.b: this key stands twice in one object$"):
            member(parts, "a")


class TestArray:
    """A list split into undecoded items."""

    @given(st.lists(documents, max_size=5))
    def test_items_are_those_of_json(self, items: list[Any]) -> None:
        """Each item is the bytes it was written with."""
        assert [json.loads(bytes(part)) for part in array(json.dumps(items).encode())] == items

    def test_what_is_no_list_says_so(self) -> None:
        """An object where a list should be is named."""
        with pytest.raises(InputError, match=r"^expected a list, found an object$"):
            array(b"{}")


class TestValue:
    """A document decoded whole."""

    @given(documents)
    def test_agrees_with_json(self, document: Any) -> None:
        """What every reader reads alike is read like that, blanks around it or not."""
        for escaped in (True, False):
            raw = json.dumps(document, ensure_ascii=escaped).encode()
            assert value(raw) == value(b" \n" + raw + b"\t") == document

    @pytest.mark.parametrize("raw", ["1" * 30, "-0", "-0.0", "1e22", "0.1e-5", '"\\u00e9\\/"'])
    def test_numbers_and_escapes_are_those_of_json(self, raw: str) -> None:
        """What has several spellings, or no end, is the value that Python's reader makes."""
        for inside in (raw, f"[{raw}]", f'{{"a": {raw}}}'):
            assert repr(value(inside.encode())) == repr(json.loads(inside))

    @given(st.lists(st.sampled_from(['{"a":', "NaN", "1", ",", '"a"', "}", "[", "]", ":", " "])))
    def test_nothing_but_a_fault_is_raised(self, parts: list[str]) -> None:
        """Anything that is no JSON is one clear line, and nothing is taken that is not."""
        raw = "".join(parts)
        for read in (value, members, array):
            try:
                read(raw.encode())
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017 -- reading may also succeed
            else:
                json.loads(raw)

    @given(st.dictionaries(names, documents, min_size=1), st.data())
    def test_a_truncated_document_is_refused(
        self, document: dict[str, Any], data: st.DataObject
    ) -> None:
        """No proper beginning of an object is taken for one."""
        raw = json.dumps(document, ensure_ascii=False).encode()
        cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
        for read in (value, members):
            with pytest.raises(InputError) as caught:
                read(cut)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("raw", "what"),
        [
            (r'{"a": ["\ud83d"]}', "a[0]: half a surrogate pair is not text"),
            (r'{"a": {"\uDE00": 1}}', "a: half a surrogate pair is not text, in a key"),
            (r'"\ud83d"', "half a surrogate pair is not text"),
            ('{"a": 1e999}', "a: 1e999 is larger than any number here"),
            ("1e999", "1e999 is larger than any number here"),
            ("1" * 5000, "a number is too long to be read"),
            ('[{"a": 1, "a": NaN}]', "[0].a: this key stands twice in one object"),
            ('[{"a": "\\":", "a" \t: 2}]', "[0].a: this key stands twice in one object"),
            ('[{"a": 1, "a" \t: 2}]', "[0].a: this key stands twice in one object"),
            ('{"a": 1, "\\u0061": 2}', "a: this key stands twice in one object"),
            ("[1e999] x", "not JSON: extra data at character 9"),
            ('{"a": "x', "the JSON ends too early (after 8 bytes)"),
            ('"a\nb"', "not JSON: invalid control character at character 3"),
        ],
    )
    def test_what_readers_disagree_about_is_refused(self, raw: str, what: str) -> None:
        """Half characters, endless numbers and repeated keys are faults with a path."""
        with pytest.raises(InputError) as caught:
            value(raw.encode())
        assert str(caught.value) == what

    def test_a_whole_pair_is_text(self) -> None:
        """An escaped character outside the first plane is two halves that make one."""
        assert value(rb'["\ud83d\ude00", "\\ud83d"]') == ["\U0001f600", r"\ud83d"]


class _Shape(msgspec.Struct):
    """A shape to decode into."""

    size: int


class TestTyped:
    """A document of a declared shape."""

    decoder = msgspec.json.Decoder(list[_Shape])

    def test_what_does_not_fit_has_a_path(self) -> None:
        """The path of the decoder becomes the path of the fault."""
        with pytest.raises(InputError) as caught:
            typed(b'[{"size": 1}, {"size": "x"}]', self.decoder)
        assert caught.value.path == (1, "size")
        assert str(caught.value) == "[1].size: expected int, got str"

    def test_what_is_no_json_is_named_as_elsewhere(self) -> None:
        """A fault of the JSON itself reads as it does from every other reader."""
        with pytest.raises(InputError, match=r"^\[0\]\.size: NaN is not a number JSON knows$"):
            typed(b'[{"size": NaN}]', self.decoder)


@pytest.mark.parametrize("found", [True, None, "1", [1]])
def test_only_a_number_is_one(found: Any) -> None:
    """To Python true is 1; to JSON it is not."""
    with pytest.raises(InputError, match=r"^this is not a number$"):
        number(found)


def test_a_number_has_an_end() -> None:
    """A whole number that no float holds is refused rather than overflowing later."""
    with pytest.raises(InputError, match="larger than any number"):
        number(10**400)


@given(documents)
def test_a_quotation_is_short_and_on_one_line(document: Any) -> None:
    """Whatever a value is, a sentence can quote it."""
    text = quoted(document)
    assert len(text) <= 41
    assert text.isprintable()
