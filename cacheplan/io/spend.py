"""The parts of LiteLLM's logs: cells that are JSON, parameters, counts and times.

This file knows one entry's members, and nothing of what an entry is.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from cacheplan.counted import either
from cacheplan.errors import InputError
from cacheplan.io.logged import UNSURE, moment, within
from cacheplan.io.tally import Tally
from cacheplan.strict_json import quoted, value

__all__ = ["first_token_after", "nested", "parameters", "usage_of"]


#: Members that both APIs have, and that say something of the prompt or of its price.
_ALIKE: Final = (
    "cache_control", "container", "context_management", "inference_geo", "max_tokens",
    "mcp_servers", "output_config", "output_format", "speed", "thinking",
)  # fmt: skip
#: What is put into other words on its way, and into which depends on the model.
_REWORDED: Final = ("reasoning_effort", "response_format")
#: How Python writes objects and lists, where JSON would have a double quote.
_WRITTEN: Final = ("{'", "[{'", "['")
_CHOICES: Final = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
#: No prompt is a thousandth as long.
_MOST: Final = 10**12


def nested(raw: msgspec.Raw, name: str) -> Any:
    r"""Decode a member that is JSON, or JSON as text, once or twice; text may be just text.

    >>> nested(msgspec.Raw(b'"{\\"a\\": 1}"'), "metadata")
    {'a': 1}
    """
    with within(name):
        found = value(raw)
        for _ in range(2):
            text = found.strip() if isinstance(found, str) else ""
            if text.startswith(_WRITTEN):
                return _python(text)
            if text[:1] not in ("{", "[", '"'):
                break
            found = value(text.encode("utf-8", "surrogatepass"))
        return found


def _python(text: str) -> Any:
    """Read an object as Python writes it, which a data frame's export holds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on escapes that no program writes
            return value(msgspec.json.encode(ast.literal_eval(text)))
    except (ValueError, SyntaxError, TypeError, OverflowError, MemoryError) as error:
        raise InputError("this is neither JSON nor an object as Python writes it") from error


def parameters(body: Mapping[str, Any], *, native: bool) -> tuple[dict[str, Any], set[str]]:
    """Return what a body sets besides its prompt, in the API's words, and what is not known.

    >>> parameters({"tool_choice": "required", "user": "ann"}, native=False)
    ({'tool_choice': {'type': 'any'}}, set())
    """
    found = {key: body[key] for key in _ALIKE if body.get(key) is not None}
    lacks = set()
    if native:
        if body.get("tool_choice") is not None:
            found["tool_choice"] = body["tool_choice"]
    else:
        if any(body.get(key) is not None for key in _REWORDED):
            lacks.add("settings")
        if body.get("web_search_options") is not None:
            lacks.add("tools")
        choice = _choice(body.get("tool_choice"), body.get("parallel_tool_calls"))
        found |= {"tool_choice": choice} if choice else {}
    if body.get("cache_control_injection_points"):
        lacks.add("marks")
    return found, lacks


def _choice(found: Any, together: Any) -> dict[str, Any]:
    """Return a choice of tools in Anthropic's words; empty where none was made."""
    choice: dict[str, Any] = {}
    kind = found.get("type") if isinstance(found, Mapping) else found
    function = found.get("function") if isinstance(found, Mapping) else None
    if isinstance(function, Mapping):
        choice = {"type": "tool", "name": function.get("name")}
    elif isinstance(kind, str) and kind in _CHOICES:
        choice = {"type": _CHOICES[kind]}
    if isinstance(together, bool) and choice.get("type") != "none":
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": not together}
    return choice


def usage_of(
    metadata: Mapping[str, Any], answered: Any, row: Mapping[str, Any], tally: Tally
) -> dict[str, Any]:
    """Return the API's usage; empty where nothing was counted.

    It is told in up to four places, of which older versions have fewer. What was cached is
    told twice in each, by the API's name and inside the details.
    """
    told = metadata.get("usage_object") or answered
    usage = told if isinstance(told, Mapping) else {}
    if "input_tokens" in usage and "prompt_tokens" not in usage:
        return dict(usage)
    more = metadata.get("additional_usage_values")
    usage = {
        **{key: count for key, count in row.items() if count not in (None, "")},
        **(more if isinstance(more, Mapping) else {}),
        **{key: count for key, count in usage.items() if count is not None},
    }
    with within("usage_object"):
        details = _inner(usage, "prompt_tokens_details")
        parted = _inner(details, "cache_creation_token_details")
        read = _first(usage, "cache_read_input_tokens", details, "cached_tokens")
        written = _first(
            usage, "cache_creation_input_tokens", details, "cache_creation_tokens"
        ) or _count(details, "cache_write_tokens")
        prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if not prompt and not output:
            return {}
        made, sure = either(
            prompt,
            output,
            _count(usage, "total_tokens"),
            read=read,
            written=written,
            short=_count(parted, "ephemeral_5m_input_tokens"),
            long=_count(parted, "ephemeral_1h_input_tokens"),
        )
    if not sure:
        tally.count(UNSURE)
    return made


def _inner(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object inside of another; an empty one where it is left out."""
    found = holder.get(key)
    if not isinstance(found, Mapping | None):
        raise InputError("this is not an object", (key,))
    return found or {}


def _first(one: Mapping[str, Any], key: str, other: Mapping[str, Any], inner: str) -> int | None:
    """Return a count that stands in one of two places."""
    found = _count(one, key)
    return _count(other, inner) if found is None else found


def _count(holder: Mapping[str, Any], key: str) -> int | None:
    """Return a count, which in a table is text; left out, or null, it is not known."""
    found = holder.get(key)
    if found is None or found == "":
        return None
    try:
        count = None if isinstance(found, bool) else int(float(found))
    except (TypeError, ValueError, OverflowError):
        count = None
    if count is None or not 0 <= count < _MOST:
        raise InputError(f"{quoted(found)} is not a number of tokens", (key,))
    return count


def first_token_after(at: float | str, begun: Any, end: Any) -> float | None:
    """Return how long the first token took; ``None`` where that is not known.

    Of an answer in one piece its end is told as its beginning.
    """
    try:
        start, first, last = _seconds(at), _seconds(moment(begun)), _seconds(moment(end))
    except InputError:
        return None
    return round(first - start, 6) if start < first < last else None


def _seconds(at: float | str) -> float:
    """Return a time in seconds."""
    try:
        return datetime.fromisoformat(at).timestamp() if isinstance(at, str) else at
    except (ValueError, OverflowError) as error:
        raise InputError("a time that no clock shows") from error
