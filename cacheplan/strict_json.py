"""JSON read strictly and cheaply: the outside typed, the inside left as bytes.

Two readers that disagree about a document can disagree about a prompt, so what JSON
leaves open is refused here: a key given twice, ``NaN``, half a surrogate pair. The fast
path never builds what it does not need; only when something is wrong is the document
read again, slowly, to say where.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from cacheplan.errors import InputError

__all__ = ["array", "member", "members", "number", "quoted", "typed", "value"]

_T = TypeVar("_T")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


def members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Split an object into its members, each left undecoded.

    The decoder keeps the last of two equal keys, which would hide a duplicate. What it
    dropped is missing from the sum of the lengths it kept: an object no longer than that
    sum has none. One written with spaces, as ``json.dumps`` does, is proved by writing it
    again; only other spellings get a second, slow look.

    >>> {key: bytes(part) for key, part in members(b'{"a": 1, "b": [2]}').items()}
    {'a': b'1', 'b': b'[2]'}
    >>> members(b'{"a":1,"a":2}')
    Traceback (most recent call last):
    cacheplan.errors.InputError: a: this key stands twice in one object
    """
    try:
        found = _MEMBERS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _diagnosis(bytes(raw), "an object", error) from error
    # '{}' and, by member, '"":' and a comma, which the last one lacks.
    least = 1 + 4 * len(found)
    for key, part in found.items():
        least += len(key) + len(memoryview(part))
    if len(memoryview(raw)) > least and not _spaced(raw, found):
        _refuse_duplicates(bytes(raw))
    return found


def _spaced(raw: bytes | msgspec.Raw, found: dict[str, msgspec.Raw]) -> bool:
    """Tell whether an object is written just as ``json.dumps`` writes these members."""
    written: list[bytes | msgspec.Raw] = []
    for key, part in found.items():
        written += (b', "' if written else b'{"', key.encode(), b'": ', part)
    return b"".join((*written, b"}")) == bytes(raw)


def array(raw: bytes | msgspec.Raw) -> list[msgspec.Raw]:
    """Split an array into its items, each left undecoded."""
    try:
        return _ARRAY.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _diagnosis(bytes(raw), "a list", error) from error


def value(raw: bytes | msgspec.Raw) -> Any:
    """Decode a document whole, strictly.

    >>> value(b'{"a": [1, {"b": NaN}]}')
    Traceback (most recent call last):
    cacheplan.errors.InputError: a[1].b: NaN is not a number JSON knows
    """
    text = bytes(raw).strip(_BLANKS)
    try:
        found = _PLAIN.decode(text)
        if text[:1] not in _OPENING or len(_KEYS.findall(text)) == _keys_in(found):
            return found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the slow way says what is wrong
    try:
        document = _STRICT.decode(_utf8(text))
    except _DisputedError:
        _locate(text)
        raise
    except (ValueError, RecursionError) as error:
        raise _syntax(text, error) from error
    # Only an escape can smuggle in half a pair: the bytes were valid UTF-8.
    if b"\\ud" in text or b"\\uD" in text:
        _raise_first(document)
    return document


def _keys_in(document: Any) -> int:
    """Count the keys of all objects in a document."""
    count, pending = 0, [document]
    for item in pending:
        if isinstance(item, dict):
            count += len(item)
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return count


class _DisputedError(Exception):
    """Something that JSON readers disagree about was met; ``_locate`` says where."""


class _Fault:
    """Stands in a decoded document where something is wrong."""

    def __init__(self, what: str) -> None:
        self.what = what


def _utf8(text: bytes) -> str:
    """Decode bytes, or say which byte is none of a text."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start + 1} is not UTF-8") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, none of which may come twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DisputedError
    return found


def _constant(name: str) -> Any:
    """Refuse NaN and the infinities, which Python adds to JSON."""
    raise _DisputedError(name)


def _finite(text: str) -> float:
    """Make a number; past the largest one Python would say infinity."""
    number = float(text)
    if math.isinf(number):
        raise _DisputedError(text)
    return number


#: How many characters of a value a sentence about it shows.
_ENOUGH: Final = 40

#: Refuses all that we refuse but keys that stand twice; numbers and text hold none.
_PLAIN = msgspec.json.Decoder()
_OPENING = (b"{", b"[")
#: Every key ends like this, and some texts have it inside. As many as there are keys in
#: what was decoded means that none of either was dropped; more, that it has to be looked at.
_KEYS = re.compile(rb'"[ \t\n\r]*:')
_BLANKS = b" \t\n\r"
_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)


def _refuse_duplicates(raw: bytes) -> None:
    """Look once more at an object with unusual spacing; raise if a key stands twice."""
    try:
        _STRICT.decode(_utf8(raw))
    except _DisputedError:
        _locate(raw)
    except (ValueError, RecursionError) as error:
        raise _syntax(raw, error) from error


def _locate(raw: bytes) -> None:
    """Decode with markers where something is wrong, and raise with the first one's path."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, item in items:
            seen[key] = _Fault("this key stands twice in one object") if key in seen else item
        return seen

    try:
        document = json.loads(
            raw.decode(),
            object_pairs_hook=pairs,
            parse_constant=lambda name: _Fault(f"{name} is not a number JSON knows"),
            parse_float=_finite_or_fault,
        )
    except (ValueError, RecursionError) as error:
        # The first reader stopped at what is in dispute; further on it is no JSON at all.
        raise _syntax(raw, error) from error
    _raise_first(document)


def _finite_or_fault(text: str) -> float | _Fault:
    """Make a number, or what stands for one that is too large."""
    number = float(text)
    return _Fault(f"{text} is larger than any number here") if math.isinf(number) else number


def _raise_first(document: Any) -> None:
    """Raise for the first fault inside a decoded document, with its path."""
    pending: list[tuple[Any, tuple[str | int, ...]]] = [(document, ())]
    while pending:
        item, path = pending.pop()
        if isinstance(item, _Fault):
            raise InputError(item.what, path)
        if isinstance(item, dict):
            if any(map(_surrogate, item)):
                raise InputError("half a surrogate pair is not text, in a key", path)
            steps: list[tuple[Any, str | int]] = [(part, key) for key, part in item.items()]
        elif isinstance(item, list):
            steps = [(part, index) for index, part in enumerate(item)]
        else:
            if isinstance(item, str) and _surrogate(item):
                raise InputError("half a surrogate pair is not text", path)
            continue
        pending.extend((part, (*path, step)) for part, step in reversed(steps))


def _surrogate(text: str) -> bool:
    """Tell whether a text holds half a pair, which no UTF-8 can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _syntax(raw: bytes, error: Exception) -> InputError:
    """Say in one line why a document cannot be read."""
    if isinstance(error, json.JSONDecodeError):
        if error.msg in _OPEN_ENDED or error.pos >= len(error.doc.rstrip()):
            return InputError(f"the JSON ends too early (after {len(raw)} bytes)")
        what = error.msg.lower().removesuffix(" at")
        line = f" of line {error.lineno}" if error.lineno > 1 else ""
        return InputError(f"not JSON: {what} at character {error.colno}{line}")
    if isinstance(error, RecursionError):
        return InputError("nested too deeply to be read")
    return InputError("a number is too long to be read")  # Python's own limit, 4,300 digits


#: What the decoder says only where the text ends inside of something.
_OPEN_ENDED: Final = frozenset({"Unterminated string starting at"})


def _diagnosis(raw: bytes, wanted: str, error: Exception) -> InputError:
    """Find out, slowly, what the fast decoder only knew to be wrong."""
    try:
        document = _STRICT.decode(_utf8(raw))
        _raise_first(document)
    except _DisputedError:
        try:
            _locate(raw)
        except InputError as fault:
            return fault
    except InputError as fault:
        return fault
    except (ValueError, RecursionError) as fault:
        return _syntax(raw, fault)
    else:
        if not isinstance(error, RecursionError):
            return InputError(f"expected {wanted}, found {_sort(document)}")
    return _syntax(raw, error)


def _sort(document: Any) -> str:
    """Name the sort of value a document is."""
    if document is None or isinstance(document, bool):
        return json.dumps(document)
    if isinstance(document, dict):
        return "an object"
    if isinstance(document, list):
        return "a list"
    return "text" if isinstance(document, str) else "a number"


def member(parts: Mapping[str, msgspec.Raw], key: str) -> Any:
    """Decode one member of an object that was split; left out, it is ``None``."""
    if key not in parts:
        return None
    try:
        return value(parts[key])
    except InputError as error:
        raise error.within(key) from error


def number(found: Any) -> float:
    """Insist on a number; to Python, but not to JSON, true and false are some."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise InputError("this is not a number")
    try:
        return float(found)
    except OverflowError as error:
        raise InputError("this is larger than any number here") from error


def quoted(found: Any) -> str:
    r"""Write a value into a sentence: on one line, and no more of it than helps.

    >>> print(quoted("two\nlines"), quoted(["long"] * 100))
    "two\nlines" ["long", "long", "long", "long", "long",…
    """
    text = json.dumps(found)
    return text if len(text) <= _ENOUGH else text[:_ENOUGH] + "…"


def typed(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[_T]) -> _T:
    """Decode into a declared shape; what does not fit is named with its path."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise InputError(_plainly(what), _steps(where.rstrip("`"))) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _diagnosis(bytes(raw), "a value", error) from error


def _plainly(what: str) -> str:
    """Say the decoder's complaint in lower case and without its type brackets."""
    return (what[:1].lower() + what[1:]).replace("`", "")


def _steps(where: str) -> tuple[str | int, ...]:
    """Take apart the path of the decoder: ``.blocks[2].tokens``."""
    return tuple(
        int(number) if number else name
        for name, number in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", where)
    )
