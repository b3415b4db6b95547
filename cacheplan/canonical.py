"""The published form of a block, and its digest: what makes two blocks the same.

This file may know how JSON is written and which parts of a block are content; it knows
no body, no mark and no order of blocks. The form is a contract (digests are stored and
shared), so a change of it is a change of ``TAG``:

    <TAG> <level> <role> <JSON>

* The JSON is compact UTF-8. Keys of typed objects are sorted, because the service reads
  them by name; ``cache_control`` and nulls are left out, because a mark is not content
  and a null is how the SDK writes "not given".
* What the user (or the model) wrote as JSON of their own is kept as written, order and
  nulls included: the prompt-caching page (2026-09-26) says that the order of keys in a
  ``tool_use`` breaks a prefix, and a schema is rendered into the prompt just so.
* A kind nobody here knows is opaque: its members are kept as written, whatever they are.
* Content given as a string is one text block, for the API reference (2026-11-19) calls
  it shorthand for that; under ``string_form=differs`` it stays a string.
* Level and role are part of the form, and message boundaries are not: the service joins
  consecutive messages of one role into one turn (same page).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from cacheplan import kinds
from cacheplan.errors import InputError
from cacheplan.prompt import Level

__all__ = ["TAG", "canonical", "digest", "encode", "plain"]

#: Names the form and the hash over it; stands at the head of every canonical form.
TAG = "cacheplan.block/1"

#: Keys whose value is JSON of the user's or the model's own: kept exactly as written.
VERBATIM = frozenset({"input", "input_schema", "input_examples", "schema"})

_encode = msgspec.json.Encoder().encode
#: Made once: a log holds millions of blocks and these few heads.
_HEADS: dict[tuple[Level, str], bytes] = {
    (level, role): f"{TAG} {level} {role} ".encode()
    for level in Level
    for role in ("", "user", "assistant", "system")
}


def canonical(
    body: Mapping[str, Any] | str, level: Level, role: str = "", *, string_form: str = "same"
) -> bytes:
    """Write a block (or content given as a string) in the published form.

    >>> canonical({"type": "text", "text": "Hi", "cache_control": None}, Level.SYSTEM)
    b'cacheplan.block/1 system  {"text":"Hi","type":"text"}'
    >>> canonical("Hi", Level.MESSAGES, "user")
    b'cacheplan.block/1 messages user {"text":"Hi","type":"text"}'
    """
    content: Any
    if isinstance(body, str):
        content = {"text": body, "type": "text"} if string_form == "same" else body
    elif len(body) == 2 and "text" in body and body.get("type") == "text":  # noqa: PLR2004 -- the two keys named here
        # Most blocks of most logs: plain already, but for the order.
        content = {"text": body["text"], "type": "text"}
    else:
        content = _guarded(body, level, string_form)
    return _HEADS[level, role] + encode(content)


def digest(form: bytes, key: bytes = b"") -> bytes:
    """Hash a canonical form to the 16 bytes that stand for the block.

    With a key nobody can find a prompt by hashing guesses; without one, equal blocks
    have equal digests everywhere.
    """
    return hashlib.blake2b(form, digest_size=16, key=key).digest()


def plain(value: Any, string_form: str = "same") -> Any:
    """Rebuild a typed value without what is not content, keys sorted all the way down."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, Mapping)):  # dict first: it is, and asking is quick
        kept = {}
        for key in sorted(value):
            part = value[key]
            if part is None or key == "cache_control":
                continue
            if key in VERBATIM:
                kept[key] = part
            elif key == "content" and isinstance(part, str) and string_form == "same":
                kept[key] = _written_out(value, part)
            else:
                kept[key] = plain(part, string_form)
        return kept
    if isinstance(value, list | tuple):
        return [plain(part, string_form) for part in value]
    return value


#: Where ``content`` takes a string as shorthand for one text block. In a compaction,
#: and in a file that a tool viewed, ``content`` is a string and nothing else.
_SHORTHAND = frozenset({"tool_result", "mcp_tool_result", "content"})


def _written_out(owner: Mapping[str, Any], text: str) -> Any:
    """Write shorthand content out as the list it stands for."""
    if owner.get("type") in _SHORTHAND:
        return [{"text": text, "type": "text"}]
    return text


def _guarded(body: Mapping[str, Any], level: Level, string_form: str) -> Any:
    """Rebuild a block, or say that it is none: keys that are no text, endless nesting."""
    try:
        if level is Level.MESSAGES and kinds.opaque(body):
            return {key: body[key] for key in sorted(body) if key != "cache_control"}
        return plain(body, string_form)
    except (TypeError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}") from error


def encode(value: Any) -> bytes:
    """Encode compactly; what is no JSON value cannot be part of a prompt."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        # Half a surrogate pair: some clients send it, and it still has to have an identity.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "surrogatepass")
    except (TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"this is not JSON: {error}") from error
