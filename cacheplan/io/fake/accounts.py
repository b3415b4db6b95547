"""The Admin API's reports of usage and cost, old and new, over the calls that were served.

Paths, fields, limits and words are those of the Admin API's pages (2026-11-21) and, for the
newer two, of the SDK's types (anthropic 2.12.0). Knows what was received and what it costs;
HTTP is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from cacheplan.admin_reports import FIELDS
from cacheplan.facts import find
from cacheplan.io.fake.exchange import Asked, Received, Refusal
from cacheplan.prices import Sheet, Tariff

__all__ = ["Account", "Accounts", "described"]

Account = Literal["usage-old", "cost-old", "usage-new", "cost-new"]
_KEY: Final = "sk-ant-admin"
_BETA: Final = "analytics-usage-cost-2026-08-24"
#: Seconds, buckets to a page unless asked for more, and the most there can be, by width.
_WIDTHS: Final = {"1d": (86_400, 7, 31), "1h": (3_600, 24, 168), "1m": (60, 60, 1_440)}
#: Rows to a page of the newer reports, and days and dimensions that one may ask for.
_ROWS, _MOST_ROWS, _MOST_DAYS, _MOST_GROUPS = 20, 1_000, 31, 5
_FREE_GROUPS: Final = frozenset({"cost_type", "token_type"})
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
#: What older reports of usage, and newer ones of either kind, are broken out by here.
_DIMENSIONS: Final[tuple[str, ...]] = (
    "model", "workspace_id", "service_tier", "speed", "inference_geo", "context_window",
)  # fmt: skip
#: What grouping an older report of cost by ``description`` fills in.
_DESCRIBED: Final = (
    "description", "model", "service_tier", "inference_geo", "context_window", "cost_type",
    "token_type",
)  # fmt: skip
_LONG: Final = 200_000
_SEARCH: Final = Decimal("0.01")
_NUMBERS: Final = frozenset(
    {"amount", "list_amount", "currency", "requests", "total_tokens", "server_tool_use"}
    | {"cache_creation", "cache_read_input_tokens", "output_tokens", "uncached_input_tokens"}
)


class Charge(NamedTuple):
    """One thing that one call was charged for."""

    at: float
    told: Mapping[str, str | None]
    #: The API's word for the kind of tokens; empty for what is no token's.
    token_type: str
    tokens: int
    dollars: Decimal
    #: The call it belongs to.
    call: int
    searches: int = 0


class Accounts:
    """What the service has on its books, and rows that a test puts there besides."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._odd: list[tuple[str, float, Mapping[str, Any]]] = []

    def add(self, kind: str, at: float, row: Mapping[str, Any]) -> None:
        """Have the reports of a kind say this row as well, at a moment."""
        self._odd.append((kind, at, row))

    def answer(
        self, account: Account, asked: Asked, received: Iterable[Received], now: float
    ) -> dict[str, Any] | Refusal:
        """Answer a request for one page of a report."""
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if not asked.headers.get("x-api-key", bearer).startswith(_KEY):
            return Refusal(401, "invalid x-api-key")
        newer = account.endswith("-new")
        if newer and _BETA not in asked.headers.get("anthropic-beta", ""):
            return Refusal(400, f"this endpoint needs the header anthropic-beta: {_BETA}")
        query = _Query(asked)
        fault = query.fault(newer=newer)
        if fault:
            return Refusal(400, fault)
        kind = account.partition("-")[0]
        end = query.end if query.end is not None else now
        charges = [
            charge
            for charge in self._charges(received)
            if query.start <= charge.at < end and (kind == "cost" or charge.token_type)
        ]
        odd = [(at, row) for of, at, row in self._odd if of == kind and query.start <= at < end]
        if newer:
            return _newer(kind, query, charges, odd, now)
        return _older(kind, query, charges, odd, end)

    def _charges(self, received: Iterable[Received]) -> Iterator[Charge]:
        """Yield what every call was charged for."""
        for call in received:
            if call.usage is not None and call.platform == "anthropic":
                yield from self._of_call(call)

    def _of_call(self, call: Received) -> Iterator[Charge]:
        """Yield what one call was charged for, counter by counter."""
        used, told = call.answer["usage"], described(call)
        geo = str(told["inference_geo"] or "")
        tariff = Tariff(call.answer["model"], call.platform, call.surface, str(told["speed"]), geo)
        rate = self._sheet.rate(tariff, call.at, call.usage.prompt) if call.usage else None
        for token_type, counter in FIELDS.items():
            tokens = getattr(call.usage, counter)
            price = Decimal() if rate is None else getattr(rate, counter)
            yield Charge(call.at, told, token_type, tokens, tokens * price, call.number)
        tools = used.get("server_tool_use") or {}
        searches = tools.get("web_search_requests") or 0
        if searches:
            cost = searches * _SEARCH
            yield Charge(call.at, told, "", 0, cost, call.number, searches)


def described(call: Received) -> dict[str, str | None]:
    """Return what a call is told apart by."""
    used = call.answer["usage"]
    found = find(call.answer["model"])
    prompt = call.usage.prompt if call.usage else 0
    return {
        "model": found.model.id if found else call.answer["model"],
        "workspace_id": call.workspace,
        "service_tier": "batch" if call.surface == "batch" else "standard",
        "speed": used.get("speed") or "standard",
        "inference_geo": used.get("inference_geo") or "not_available",
        "context_window": "200k-1M" if prompt > _LONG else "0-200k",
    }


class _Query:
    """What is asked for."""

    def __init__(self, asked: Asked) -> None:
        self._words = asked.query
        self.groups = [value for name, value in asked.pairs if name in ("group_by[]", "group_by")]
        self.start = _moment(self._words.get("starting_at")) or 0.0
        self.end = _moment(self._words.get("ending_at"))
        self.width = self._words.get("bucket_width", "1d")
        self.newer_width = self._words.get("time_bucket_width", "")
        self.page = int(self._words.get("page", "page_0").removeprefix("page_") or 0)
        self.limit = self._words.get("limit", "")

    def fault(self, *, newer: bool) -> str:
        """Say what is wrong with it."""
        if _moment(self._words.get("starting_at")) is None:
            return "starting_at: Field required"
        if self.limit and not self.limit.isdecimal():
            return "limit: Input should be a valid integer"
        if newer:
            return self._newer_fault()
        if self.width not in _WIDTHS:
            return "bucket_width: Input should be '1d', '1h' or '1m'"
        most = _WIDTHS[self.width][2]
        return f"limit: at most {most}" if int(self.limit or 1) > most else ""

    def _newer_fault(self) -> str:
        """Say what the newer reports would not take."""
        if self.start < _EARLIEST:
            return "starting_at: no earlier than 2026-01-01T00:00:00Z"
        if self.newer_width and self.end is None:
            return "ending_at: required with time_bucket_width"
        if self.end is not None and self.end - self.start > _MOST_DAYS * 86_400:
            return f"the range may span at most {_MOST_DAYS} days"
        if len([name for name in self.groups if name not in _FREE_GROUPS]) > _MOST_GROUPS:
            return f"group_by: at most {_MOST_GROUPS} dimensions"
        if not 1 <= int(self.limit or 1) <= _MOST_ROWS:
            return f"limit: between 1 and {_MOST_ROWS}"
        return ""


def _moment(text: str | None) -> float | None:
    """Read a time; ``None`` where it is none."""
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:
        return None


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cents(dollars: Decimal) -> str:
    """Write an amount as the reports do: cents, as a decimal text."""
    return f"{(100 * dollars).normalize():f}"


def _older(
    kind: str,
    query: _Query,
    charges: Sequence[Charge],
    odd: Sequence[tuple[float, Mapping[str, Any]]],
    end: float,
) -> dict[str, Any]:
    """Return a page of buckets, the empty ones as well."""
    seconds, usual, _ = _WIDTHS[query.width if kind == "usage" else "1d"]
    first = query.start - query.start % seconds
    starts = [first + at * seconds for at in range(max(0, -int(-(end - first) // seconds)))]
    limit = int(query.limit or usual)
    shown = starts[query.page : query.page + limit]
    buckets: dict[float, list[Charge]] = {}
    for one in charges:
        buckets.setdefault(one.at - one.at % seconds, []).append(one)
    data = []
    for start in shown:
        inside = buckets.get(start, [])
        rows = _usage_rows(inside, query.groups) if kind == "usage" else _costs(inside, query)
        flat = [_flat(told, numbers, kind) for told, numbers in rows]
        flat += [dict(row) for at, row in odd if start <= at < start + seconds]
        bounds = {"starting_at": _written(start), "ending_at": _written(start + seconds)}
        data.append({**bounds, "results": flat})
    more = query.page + limit < len(starts)
    following = f"page_{query.page + limit}" if more else None
    return {"data": data, "has_more": more, "next_page": following}


def _flat(told: Mapping[str, Any], numbers: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return a row of the older kind: every column is there, and the default workspace null."""
    columns = (*_DIMENSIONS, "api_key_id") if kind == "usage" else ("workspace_id", *_DESCRIBED)
    row = {name: told.get(name) for name in columns}
    if row["workspace_id"] == _DEFAULT:
        row["workspace_id"] = None
    return {**row, **numbers}


#: What the imitation calls the workspace of keys without one.
_DEFAULT: Final = "default"


def _newer(
    kind: str,
    query: _Query,
    charges: Sequence[Charge],
    odd: Sequence[tuple[float, Mapping[str, Any]]],
    now: float,
) -> dict[str, Any]:
    """Return a page of rows."""
    width = _WIDTHS[query.newer_width][0] if query.newer_width in _WIDTHS else None
    buckets: dict[tuple[float, float], list[Charge]] = {}
    for one in charges:
        buckets.setdefault(_bucket(one.at, width, query, now), []).append(one)
    found: list[dict[str, Any]] = []
    for (start, end), inside in sorted(buckets.items()):
        rows = _usage_rows(inside, query.groups) if kind == "usage" else _costs(inside, query)
        found += [_row(start, end, told, numbers, kind) for told, numbers in rows]
    for at, row in odd:
        told = {name: part for name, part in row.items() if name not in _NUMBERS}
        numbers = {name: part for name, part in row.items() if name in _NUMBERS}
        found.append(_row(*_bucket(at, width, query, now), told, numbers, kind))
    limit = int(query.limit or _ROWS)
    more = query.page + limit < len(found)
    return {
        "data": found[query.page : query.page + limit],
        "data_refreshed_at": _written(now),
        "has_more": more,
        "next_page": f"page_{query.page + limit}" if more else None,
    }


def _bucket(at: float, width: int | None, query: _Query, now: float) -> tuple[float, float]:
    """Return the period of the row that a moment falls into."""
    if width is None:
        return query.start, query.end if query.end is not None else now
    return at - at % width, at - at % width + width


def _row(
    start: float, end: float, told: Mapping[str, Any], numbers: Mapping[str, Any], kind: str
) -> dict[str, Any]:
    """Return a row of the newer kind, where the default workspace has an id as well."""
    group = {name: part for name, part in told.items() if part != "not_available"}
    if group.get("workspace_id") == _DEFAULT:
        group["workspace_id"] = f"wrkspc_{_DEFAULT}"
    if kind == "usage":
        split = numbers.get("cache_creation") or {}
        counted = [numbers.get(name) for name in FIELDS] + list(split.values())
        total = sum(number for number in counted if isinstance(number, int))
        numbers = {"total_tokens": total, **numbers}
    elif "amount" in numbers:
        numbers = {"list_amount": numbers["amount"], **numbers}
    bounds = {"starting_at": _written(start), "ending_at": _written(end)}
    return {**bounds, "group": group, kind: dict(numbers)}


def _grouped(
    charges: Iterable[Charge], names: Sequence[str]
) -> dict[tuple[str | None, ...], list[Charge]]:
    """Group charges by dimensions."""
    groups: dict[tuple[str | None, ...], list[Charge]] = {}
    for one in charges:
        groups.setdefault(tuple(one.told.get(name) for name in names), []).append(one)
    return groups


def _usage_rows(
    charges: Sequence[Charge], groups: Sequence[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield rows of usage: what they are told apart by, and their numbers."""
    names = [name for name in _DIMENSIONS if name in groups]
    for key, inside in _grouped(charges, names).items():
        sums = dict.fromkeys(FIELDS, 0)
        for one in inside:
            if one.token_type:
                sums[one.token_type] += one.tokens
        numbers: dict[str, Any] = {
            "uncached_input_tokens": sums["uncached_input_tokens"],
            "cache_creation": {
                name.partition(".")[2]: tokens for name, tokens in sums.items() if "." in name
            },
            "cache_read_input_tokens": sums["cache_read_input_tokens"],
            "output_tokens": sums["output_tokens"],
            "server_tool_use": {"web_search_requests": sum(one.searches for one in inside)},
        }
        yield dict(zip(names, key, strict=True)), numbers


def _costs(
    charges: Sequence[Charge], query: _Query
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield rows of cost likewise."""
    groups = query.groups
    whole = "description" in groups
    names = [name for name in _DIMENSIONS if name in groups or (whole and name in _DESCRIBED)]
    by_type = whole or bool(_FREE_GROUPS & set(groups))
    for key, inside in _grouped(charges, names).items():
        told = dict(zip(names, key, strict=True))
        if not by_type:
            yield told, _money(inside)
            continue
        for token_type in (*FIELDS, ""):
            some = [one for one in inside if one.token_type == token_type]
            if any(one.dollars or one.tokens for one in some):
                kind = "tokens" if token_type else "web_search"
                words = f"{told.get('model')} {token_type or 'web search'}"
                said = {"cost_type": kind, "token_type": token_type or None, "description": words}
                yield (
                    {**told, **{name: said[name] for name in said if whole or name in groups}},
                    (_money(some)),
                )


def _money(charges: Iterable[Charge]) -> dict[str, Any]:
    """Return the numbers of a row of cost."""
    return {
        "amount": _cents(sum((one.dollars for one in charges), Decimal())),
        "currency": "USD",
    }
