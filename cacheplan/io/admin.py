"""The Admin API: reports of usage and cost, page by page, by the SDK.

The key comes from the environment and goes into one header. It is never written, printed or
part of an error; what the service says is searched for it before anybody sees it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from cacheplan.admin_reports import Kind
from cacheplan.errors import InputError, UnsupportedError

__all__ = ["KEY", "Admin", "key_from"]

#: The environment variable that holds the key.
KEY: Final = "ANTHROPIC_ADMIN_KEY"
_BETA: Final = "analytics-usage-cost-2026-08-24"
#: Days that one request may ask for (both generations), and rows to a page of the newer.
_DAYS: Final = 31
_ROWS: Final = 1_000
#: What a report is broken out by, so that its rows can be joined and priced.
_GROUPS: Final = ("model", "workspace_id", "service_tier", "speed", "inference_geo")
#: Seconds to wait where the service says "too many" and not for how long: it advises to ask
#: no more than once a minute (Admin API's pages, 2026-11). And the most that is waited.
_MINUTE: Final = 60.0
_PATIENCE: Final = 600.0
#: How often one page is asked for.
_TRIES: Final = 5
_TOO_MANY, _OURS = 429, 500
#: What an organization without the newer reports is answered.
_ABSENT: Final = frozenset({403, 404})


class _Way(NamedTuple):
    """One report of one generation."""

    path: str
    groups: tuple[str, ...]
    more: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]


_NEW: Final = {"anthropic-beta": _BETA}
_WIDTH: Final = (("time_bucket_width", "1d"), ("limit", str(_ROWS)))
_OLD_WIDTH: Final = (("bucket_width", "1d"), ("limit", str(_DAYS)))
_WAYS: Final[Mapping[tuple[str, Kind], _Way]] = {
    ("new", "usage"): _Way("analytics/usage", _GROUPS, _WIDTH, _NEW),
    ("new", "cost"): _Way("analytics/cost", (*_GROUPS, "cost_type", "token_type"), _WIDTH, _NEW),
    ("old", "usage"): _Way("usage_report/messages", _GROUPS, _OLD_WIDTH, {}),
    ("old", "cost"): _Way("cost_report", ("workspace_id", "description"), _OLD_WIDTH, {}),
}


def key_from(environment: Mapping[str, str]) -> str:
    """Return the key, or say that there is none; what is wrong with one is not shown."""
    found = environment.get(KEY, "").strip()
    if not found:
        raise InputError(
            f"{KEY} is not set; it is an Admin API key (console, organization settings)."
            " Or give exported reports with --usage and --cost"
        )
    if not found.isascii() or not found.isprintable() or " " in found:
        raise InputError(f"{KEY} holds what no key has: blanks, or letters beyond ASCII")
    return found


class _AbsentError(Exception):
    """The service has no such report for this organization."""


class Admin:
    """Asks for reports. ``generation`` is ``new``, ``old`` or ``auto``: new where there is one."""

    def __init__(
        self,
        key: str,
        *,
        generation: str = "auto",
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._key = key
        self._sleep = sleep
        self._say = say
        #: What came to be used, and why.
        self.generation = "new" if generation == "auto" else generation
        self.notes: list[str] = []
        self._may_fall_back = generation == "auto"
        self._client = _client(key)

    def documents(self, kind: Kind, first: date, last: date) -> Iterator[tuple[str, Any]]:
        """Yield the pages of a report for days, the last included, each with its address."""
        try:
            yield from self._all(kind, first, last)
        except _AbsentError:
            self.generation = "old"
            self.notes.append(
                "This organization has no newer reports (analytics); the older ones are used."
            )
            yield from self._all(kind, first, last)

    def _all(self, kind: Kind, first: date, last: date) -> Iterator[tuple[str, Any]]:
        """Ask for as many days at a time as may be."""
        way = _WAYS[self.generation, kind]
        while first <= last:
            end = min(first + timedelta(days=_DAYS), last + timedelta(days=1))
            pairs = [
                ("starting_at", f"{first}T00:00:00Z"),
                ("ending_at", f"{end}T00:00:00Z"),
                *way.more,
                *(("group_by[]", name) for name in way.groups),
            ]
            for number, document in enumerate(self._pages(way, pairs), 1):
                self._say(f"{kind} from {first}: page {number}")
                yield f"/v1/organizations/{way.path}", document
            first = end

    def _pages(self, way: _Way, pairs: Sequence[tuple[str, str]]) -> Iterator[Any]:
        """Ask for one page after another, as long as there is a next one."""
        page: str | None = None
        seen: set[str] = set()
        while True:
            asked = [*pairs, ("page", page)] if page else pairs
            found = self._get(f"/v1/organizations/{way.path}?{urlencode(asked)}", way)
            yield found
            page = found.get("next_page") if isinstance(found, Mapping) else None
            if not page or found.get("has_more") is False:
                return
            if not isinstance(page, str) or page in seen:
                raise InputError("its next page is one that was there before").at(way.path)
            seen.add(page)

    def _get(self, path: str, way: _Way) -> Any:
        """Ask for one page; what is only too early, or a trouble of theirs, is asked again."""
        import anthropic

        for left in range(_TRIES - 1, -1, -1):
            try:
                return self._client.get(
                    path, cast_to=object, options={"headers": dict(way.headers)}
                )
            except anthropic.APIStatusError as error:
                status = error.status_code
                if status in _ABSENT and self._may_fall_back and self.generation == "new":
                    raise _AbsentError from None
                wait = _wait(error.response.headers, status, _TRIES - left)
                if wait is None or not left or wait > _PATIENCE:
                    raise self._refused(error, wait) from None
            except anthropic.APIConnectionError as error:
                wait = float(2 ** (_TRIES - left))
                if not left:
                    cause = error.__cause__ or error
                    raise self._said(f"no answer: {cause}", way.path) from None
            self._say(f"waiting for {wait:.0f} seconds")
            self._sleep(wait)
        raise AssertionError  # The last try returns or raises.

    def _refused(self, error: Any, wait: float | None) -> InputError:
        """Say why a page is not to be had."""
        body = error.body if isinstance(error.body, Mapping) else {}
        inner = body.get("error")
        words = inner.get("message") if isinstance(inner, Mapping) else None
        said = f"{error.status_code}: {words or error.response.reason_phrase}"
        if error.status_code in (401, 403):
            said += f" (is {KEY} an Admin API key of this organization?)"
        if wait is not None and wait > _PATIENCE:
            said += f" (it asks to wait for {wait:,.0f} seconds)"
        return self._said(said, error.request.url.path)

    def _said(self, words: str, where: str) -> InputError:
        """Return an error without the key in it, whoever put it there."""
        return InputError(words.replace(self._key, "(the key)")).at(where)


def _wait(headers: Mapping[str, str], status: int, tried: int) -> float | None:
    """Return how long to wait before asking again, ``None`` where that is of no use."""
    if status != _TOO_MANY and status < _OURS:
        return None
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return _MINUTE if status == _TOO_MANY else float(2**tried)


def _client(key: str) -> Any:
    """Make a client that sends this key and no other credential, and tries nothing twice."""
    try:
        import anthropic
    except ImportError as error:
        what = "asking for reports needs the package anthropic: pip install 'cacheplan[client]'"
        raise UnsupportedError(f"{what}; exported ones are read without it") from error
    # Which of two headers a key goes into has changed with the SDK; the Admin API's is this.
    headers = {"x-api-key": key, "Authorization": anthropic.Omit()}
    return anthropic.Anthropic(
        api_key=key,
        base_url=os.environ.get("ANTHROPIC_BASE_URL") or None,
        max_retries=0,
        default_headers=headers,  # type: ignore[arg-type] # the SDK's own way to leave one out
    )
