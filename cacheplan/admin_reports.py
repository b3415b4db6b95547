"""Reports of the Admin API: usage and cost, of both generations, as rows of one shape.

The older reports (``usage_report/messages``, ``cost_report``) have buckets with results; the
newer (``analytics/usage``, ``analytics/cost``) have rows with a group. Both are read from
decoded JSON, a page or a list of pages. What a row says that nobody here understands is
listed with its reason, and never dropped: its owner was billed for it all the same. Paths,
fields and words are those of anthropic 2.12.0 and of the Admin API's pages (2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple

from cacheplan.errors import InputError
from cacheplan.strict_json import quoted
from cacheplan.usage import Usage

__all__ = ["FIELDS", "Kind", "Page", "Said", "Unexplained", "day_of", "days_of", "pages"]

Kind = Literal["usage", "cost"]

#: By the API's word for a kind of tokens: the counter that it is.
FIELDS: Final[Mapping[str, str]] = {
    "uncached_input_tokens": "uncached",
    "cache_creation.ephemeral_5m_input_tokens": "write_5m",
    "cache_creation.ephemeral_1h_input_tokens": "write_1h",
    "cache_read_input_tokens": "read",
    "output_tokens": "output",
}
#: What a report may be broken out by, and what stands beside its numbers.
_COLUMNS: Final = frozenset(
    {
        "account_id", "actor", "actor_type", "agent_id", "api_key_id", "context_window",
        "deployment_id", "environment_id", "inference_geo", "model", "organization_id",
        "product", "service_account_id", "service_tier", "session_id", "speed",
        "user_profile_id", "workspace_id", "claude_tag_category", "claude_tag_user_id",
        "slack_channel_id", "rbac_group_id", "cost_type", "token_type", "description",
        "amount", "list_amount", "currency", "requests", "total_tokens", "server_tool_use",
        "cache_creation", "cache_read_input_tokens", "output_tokens", "uncached_input_tokens",
    }
)  # fmt: skip
#: A user stands in each of his groups, so rows broken out by these add up to too much.
_OVERLAPPING: Final = frozenset({"rbac_group_id"})
_NUMBERS: Final = frozenset(
    {"amount", "list_amount", "requests", "total_tokens", "server_tool_use", *FIELDS}
    | {"cache_creation"}
)
_SPLIT: Final = frozenset({"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"})
#: Cost that is no token's (SDK types, 2.12.0).
_BESIDE: Final = frozenset({"web_search", "code_execution", "session_usage"})
_DAY: Final = 86_400
_CENTS: Final = Decimal(100)
#: Digits before the point of an amount in cents; nobody's bill has more.
_LARGEST: Final = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One row of a report."""

    kind: Kind
    #: The day (UTC) it is about.
    day: str
    #: Whether it is of the newer kind, its period, and everything it is told apart by.
    identity: tuple[Any, ...]
    #: File or address, and place in it.
    where: str
    model: str | None = None
    workspace: str | None = None
    tier: str | None = None
    speed: str | None = None
    geo: str | None = None
    #: Tokens, in a report of usage.
    usage: Usage | None = None
    #: What is charged for, and for tokens which counter, in a report of cost.
    cost_type: str = ""
    counter: str = ""
    #: Dollars, and dollars before discounts where the report says that as well.
    amount: Decimal | None = None
    listed: Decimal | None = None


class Unexplained(NamedTuple):
    """One row, or a part of it, that nobody here understands."""

    where: str
    why: str
    #: Dollars that it is about, where it says so.
    amount: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Page:
    """One document of a report."""

    kind: Kind
    source: str
    rows: list[Said] = field(default_factory=list)
    unexplained: list[Unexplained] = field(default_factory=list)
    #: Days with a bucket of their own, rows in it or not.
    days: set[str] = field(default_factory=set)
    #: Columns that nobody here knows, and in how many rows they say something.
    unknown: dict[str, int] = field(default_factory=dict)
    #: True where days without rows are left out.
    sparse: bool = False
    #: True where the document says that another one follows.
    more: bool = False
    refreshed: str = ""


def pages(document: Any, kind: Kind, source: str) -> Iterator[Page]:
    """Yield the pages of a decoded document: one page, or a list of them."""
    if isinstance(document, list):
        for at, part in enumerate(document):
            try:
                yield _page(part, kind, source)
            except InputError as error:
                raise error.within(at) from error
    else:
        yield _page(document, kind, source)


def _page(document: Any, kind: Kind, source: str) -> Page:
    """Read one page."""
    if not isinstance(document, Mapping) or not isinstance(document.get("data"), list):
        raise InputError("this is no report: a page of one is an object with a list, data")
    refreshed = document.get("data_refreshed_at")
    page = Page(
        kind=kind,
        source=source,
        more=document.get("has_more") is True,
        refreshed=refreshed if isinstance(refreshed, str) else "",
    )
    for at, part in enumerate(document["data"]):
        try:
            _take(page, part, at)
        except InputError as error:
            raise error.within(at).within("data") from error
    return page


def _take(page: Page, part: Any, at: int) -> None:
    """Read a bucket with its results, or a row with its group."""
    if not isinstance(part, Mapping):
        raise InputError("this is not an object")
    period = _period(part)
    if isinstance(part.get("results"), list):
        page.days.update(days_of(*period))
        for number, row in enumerate(part["results"]):
            _row(page, row, period, f"data[{at}].results[{number}]")
        return
    page.sparse = True
    group, numbers = part.get("group"), part.get(page.kind)
    if not isinstance(group, Mapping):
        raise InputError("this is neither a bucket with results nor a row with a group")
    if not isinstance(numbers, Mapping):
        other = "cost" if page.kind == "usage" else "usage"
        hint = f"; it is one of {other}, to be given with --{other}" if other in part else ""
        raise InputError(f"this is no report of {page.kind}{hint}")
    _row(page, {**group, **numbers}, period, f"data[{at}]")


def _period(part: Mapping[str, Any]) -> tuple[float, float]:
    """Read when a bucket begins and ends."""
    found: list[float | None] = []
    for name in ("starting_at", "ending_at"):
        try:
            moment = datetime.fromisoformat(str(part.get(name)).upper())
            found.append(moment.timestamp() if moment.tzinfo else None)
        except (ValueError, OverflowError):
            found.append(None)
        if found[-1] is None:
            what = f"{quoted(part.get(name))} is no RFC 3339 time with a zone"
            raise InputError(what, (name,))
    start, end = (moment or 0.0 for moment in found)
    if end <= start:
        raise InputError("it ends before it begins", ("ending_at",))
    return start, end


def day_of(at: float) -> str:
    """Return the day of a moment, as reports count days."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def days_of(start: float, end: float) -> Iterator[str]:
    """Yield the days of a period."""
    at = start
    while at < end:
        yield day_of(at)
        at += _DAY


def _row(page: Page, row: Any, period: tuple[float, float], place: str) -> None:
    """Read one row; what is wrong with it is listed."""
    where = f"{page.source}: {place}"
    if not isinstance(row, Mapping):
        page.unexplained.append(Unexplained(where, "this is not an object"))
        return
    told = {name for name, part in row.items() if part is not None and part != {}}
    if told & _OVERLAPPING:
        name = min(told & _OVERLAPPING)
        raise InputError(f"rows broken out by {name} overlap; ask for the report without it")
    for name in sorted(told - _COLUMNS):
        page.unknown[name] = page.unknown.get(name, 0) + 1
    kind = "usage" if "uncached_input_tokens" in row else "cost" if "amount" in row else None
    if kind not in (page.kind, None):
        raise InputError(f"this is a report of {kind}; give it with --{kind}")
    try:
        page.rows.append(_said(page, row, period, where))
    except InputError as error:
        page.unexplained.append(Unexplained(where, str(error), _maybe(row)))
        return
    if page.kind == "usage":
        page.unexplained += [Unexplained(where, why) for why in _other_tokens(row)]


def _said(page: Page, row: Mapping[str, Any], period: tuple[float, float], where: str) -> Said:
    """Read what can be understood; raise what cannot."""
    start, end = period
    if end - start > _DAY:
        days = (end - start) / _DAY
        raise InputError(f"it covers {days:g} days; ask for buckets of a day")
    if day_of(start) != day_of(end - 1):
        raise InputError("it covers parts of two days (UTC)")
    # Numbers of a kind that nobody here knows are no names, and may change.
    apart = sorted(
        (name, str(part))
        for name, part in row.items()
        if name not in _NUMBERS and part is not None and not isinstance(part, int | float)
    )
    dimensions = {name: _word(row, name) for name in _DIMENSIONS}
    said = Said(
        kind=page.kind,
        day=day_of(start),
        identity=(page.sparse, start, end, *apart),
        where=where,
        model=dimensions["model"],
        workspace=dimensions["workspace_id"],
        tier=dimensions["service_tier"],
        speed=dimensions["speed"],
        geo=dimensions["inference_geo"],
        usage=_usage(row) if page.kind == "usage" else None,
        **(_cost(row) if page.kind == "cost" else {}),
    )
    if said.cost_type not in _BESIDE and said.model is None and page.kind == "cost":
        raise InputError("it names no model; group the report by model, or by description")
    return said


_DIMENSIONS: Final = ("model", "workspace_id", "service_tier", "speed", "inference_geo")


def _word(row: Mapping[str, Any], name: str) -> str | None:
    """Read a word that may be missing."""
    found = row.get(name)
    if found is None or isinstance(found, str):
        return found or None
    raise InputError("this is not text", (name,))


def _usage(row: Mapping[str, Any]) -> Usage:
    """Read the five counters."""
    split = row.get("cache_creation")
    if not isinstance(split, Mapping):
        raise InputError("missing, or no object", ("cache_creation",))
    counted = {}
    for name, counter in FIELDS.items():
        holder, _, key = name.rpartition(".")
        counted[counter] = _tokens(split if holder else row, key)
    return Usage(**counted)


def _tokens(holder: Mapping[str, Any], name: str) -> int:
    """Read a number of tokens, which has to be there: a missing one is not none."""
    found = holder.get(name)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise InputError(f"{quoted(found)} is no number of tokens", (name,))
    return found


def _other_tokens(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield tokens of a kind that nobody here knows, which nothing else here counts."""
    holders = (("", row, _COLUMNS), ("cache_creation.", row["cache_creation"], _SPLIT))
    for path, holder, known in holders:
        for name, found in holder.items():
            if name not in known and name.endswith("_tokens") and found:
                yield f"{path}{name}: tokens of a kind that nobody here knows: {quoted(found)}"


def _cost(row: Mapping[str, Any]) -> dict[str, Any]:
    """Read an amount, and what it is for."""
    if row.get("currency", "USD") != "USD":
        raise InputError(f"{quoted(row['currency'])} is not USD", ("currency",))
    amount = _dollars(row, "amount")
    listed = None if row.get("list_amount") is None else _dollars(row, "list_amount")
    token_type = _word(row, "token_type")
    cost_type = _word(row, "cost_type") or ("tokens" if token_type else "")
    if cost_type not in {"tokens", *_BESIDE}:
        why = f"{quoted(cost_type)} is no type of cost here" if cost_type else "missing"
        raise InputError(f"{why}; group the report by it, or by description", ("cost_type",))
    counter = FIELDS.get(token_type or "", "")
    if cost_type == "tokens" and not counter:
        why = f"{quoted(token_type)} is no type of tokens here" if token_type else "missing"
        raise InputError(why, ("token_type",))
    return {"cost_type": cost_type, "counter": counter, "amount": amount, "listed": listed}


def _dollars(row: Mapping[str, Any], name: str) -> Decimal:
    """Read an amount: a decimal text, in cents."""
    found = row.get(name)
    try:
        cents = Decimal(found) if isinstance(found, str) else Decimal("NaN")
    except InvalidOperation:
        cents = Decimal("NaN")
    if not cents.is_finite() or cents.adjusted() > _LARGEST:
        raise InputError(f"{quoted(found)} is no amount in cents, as text", (name,))
    return cents / _CENTS


def _maybe(row: Mapping[str, Any]) -> Decimal | None:
    """Return the amount of a row that could not be read otherwise."""
    try:
        return _dollars(row, "amount")
    except InputError:
        return None
