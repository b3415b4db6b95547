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
from typing import Any, TypeVar

import msgspec

from cacheplan.errors import InputError

__all__ = ["array", "members", "typed", "value"]

_T = TypeVar("_T")

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


def members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Split an object into its members, each left undecoded.

    The decoder keeps the last of two equal keys, which would hide a duplicate. What it
    dropped is missing from the sum of the lengths it kept, so writers with the usual
    spacing are checked by adding up, and only others by a second, slow look.

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
    accounted = 2
    for key, part in found.items():
        accounted += len(key) + len(memoryview(part))
    count = len(found)
    slack = len(memoryview(raw)) - accounted
    # '"key":' has three signs beside the key, and each member but the first a comma;
    # json.dumps adds a space after every colon and comma.
    if count and slack not in (4 * count - 1, 6 * count - 2) or (count and _mixed(raw, slack, count)):
        _refuse_duplicates(bytes(raw))
    return found


def _mixed(raw: bytes | msgspec.Raw, slack: int, count: int) -> bool:
    """Tell whether the spacing seen at the first colon differs from the one summed up."""
    head = bytes(memoryview(raw)[:512])
    colon = head.find(b'":')
    spaced = head[colon + 2 : colon + 3] == b" "
    return spaced != (slack == 6 * count - 2)


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
    text = bytes(raw)
    if text[:1] not in _OPENING:
        try:
            return _SCALAR.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # the slow way says what is wrong
    try:
        document = _STRICT.decode(_utf8(text))
    except _Seen:
        _locate(text)
        raise
    except (ValueError, RecursionError) as error:
        raise _syntax(text, error) from error
    # Only an escape can smuggle in half a pair: the bytes were valid UTF-8.
    if b"\\ud" in text or b"\\uD" in text:
        _raise_first(document)
    return document


class _Seen(Exception):
    """Something JSON readers disagree about was met; ``_locate`` says where."""


class _Fault:
    """Stands in a decoded document where something is wrong."""

    def __init__(self, what: str) -> None:
        self.what = what


def _utf8(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start + 1} is not UTF-8") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Seen
    return found


def _constant(name: str) -> Any:
    raise _Seen(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Seen(text)
    return number


#: Numbers, text and constants hold no keys, so the fast decoder is as strict as ours.
_SCALAR = msgspec.json.Decoder()
_OPENING = (b"{", b"[", b"")
_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
)


def _refuse_duplicates(raw: bytes) -> None:
    """Look once more at an object with unusual spacing; raise if a key stands twice."""
    try:
        _STRICT.decode(_utf8(raw))
    except _Seen:
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

    document = json.loads(
        raw.decode(),
        object_pairs_hook=pairs,
        parse_constant=lambda name: _Fault(f"{name} is not a number JSON knows"),
        parse_float=_finite_or_fault,
    )
    _raise_first(document)


def _finite_or_fault(text: str) -> float | _Fault:
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
            steps: list[tuple[Any, str | int]] = [(part, key) for key, part in item.items()]
        elif isinstance(item, list):
            steps = [(part, index) for index, part in enumerate(item)]
        else:
            if isinstance(item, str) and _surrogate(item):
                raise InputError("half a surrogate pair is not text", path)
            continue
        pending.extend((part, (*path, step)) for part, step in reversed(steps))


def _surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _syntax(raw: bytes, error: Exception) -> InputError:
    """Say in one line why a document cannot be read."""
    if isinstance(error, json.JSONDecodeError):
        if error.pos >= len(raw.decode(errors="replace").rstrip()):
            return InputError(f"the JSON ends too early (at character {error.pos + 1})")
        return InputError(f"not JSON: {error.msg.lower()} at character {error.colno}")
    if isinstance(error, RecursionError):
        return InputError("nested too deeply to be read")
    return InputError(f"not JSON: {error}")


def _diagnosis(raw: bytes, wanted: str, error: Exception) -> InputError:
    """Find out, slowly, what the fast decoder only knew to be wrong."""
    try:
        document = _STRICT.decode(_utf8(raw))
        _raise_first(document)
    except _Seen:
        try:
            _locate(raw)
        except InputError as fault:
            return fault
    except InputError as fault:
        return fault
    except (ValueError, RecursionError) as fault:
        return _syntax(raw, fault)
    said = {dict: "an object", list: "a list", str: "text", type(None): "null"}
    found = said.get(type(document), "a number" if isinstance(document, (int, float)) else str(error))
    return InputError(f"expected {wanted}, found {found}")


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
