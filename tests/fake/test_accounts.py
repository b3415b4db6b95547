"""The imitated Admin API: what the SDK reads from it, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import pytest

anthropic = pytest.importorskip("anthropic", minversion="0.108")

from cacheplan.prices import Sheet, Tariff  # noqa: E402
from cacheplan.testing import FakeAnthropic  # noqa: E402
from cacheplan.usage import Usage  # noqa: E402

DAYS: Final = {"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-04T00:00:00Z"}
OLD: Final = "/v1/organizations/usage_report/messages"
NEW: Final = "/v1/organizations/analytics/usage"
BETA: Final = {"anthropic-beta": "analytics-usage-cost-2026-08-24"}


@pytest.fixture
def fake() -> FakeAnthropic:
    """Return the service after some calls."""
    fake = FakeAnthropic(workspaces={"key-a": "wrkspc_a"})
    default = ("any", "claude-opus-5-5")
    for key, model in (default, ("key-a", "claude-haiku-5-5"), default):
        through = anthropic.DefaultHttpxClient(transport=fake.transport())
        with anthropic.Anthropic(api_key=key, http_client=through) as client:
            client.messages.create(
                model=model,
                max_tokens=20,
                system="Be brief. " * 600,
                messages=[{"role": "user", "content": "Where?"}],
                cache_control={"type": "ephemeral", "ttl": "1h"},
            )
    fake.sleep(3_600)
    return fake


@pytest.fixture
def admin(fake: FakeAnthropic) -> Iterator[Any]:
    """Return a client with a key for reports."""
    through = anthropic.DefaultHttpxClient(transport=fake.transport())
    key = "sk-ant-admin01-any"
    headers = {"x-api-key": key}
    with anthropic.Anthropic(
        api_key=key, http_client=through, max_retries=0, default_headers=headers
    ) as client:
        yield client


def asked(admin: Any, path: str, headers: Any = None, **params: Any) -> Any:
    """Ask for a page."""
    options = {"params": {**DAYS, **params}, "headers": headers or {}}
    return admin.get(path, cast_to=object, options=options)


def test_newer_by_the_sdk(fake: FakeAnthropic, admin: Any) -> None:
    """The SDK's own methods read the newer reports, page by page, as its own types."""
    organization: Any = getattr(admin.beta, "organization", None)
    analytics: Any = getattr(organization, "analytics", None)
    if not hasattr(analytics, "usage"):
        pytest.skip("this SDK has no newer reports")
    words = {**DAYS, "time_bucket_width": "1d", "limit": 1}
    groups = ["model", "workspace_id", "service_tier", "speed", "inference_geo"]
    rows = list(analytics.usage.list(**words, group_by=groups))
    assert [(row.group.model, row.group.workspace_id) for row in rows] == [
        ("claude-opus-5-5", "wrkspc_default"), ("claude-haiku-5-5", "wrkspc_a"),
    ]  # fmt: skip
    charged = [call.usage for call in fake.calls if call.usage]
    assert sum(row.usage.output_tokens for row in rows) == sum(used.output for used in charged)
    assert sum(row.usage.cache_read_input_tokens for row in rows) == sum(u.read for u in charged)
    costs = list(analytics.cost.list(**words, group_by=[*groups, "cost_type", "token_type"]))
    total = sum(Decimal(row.cost.amount) for row in costs) / 100
    assert total == dollars(fake)
    assert {row.group.cost_type for row in costs} == {"tokens"}


def dollars(fake: FakeAnthropic) -> Decimal:
    """Return what the calls cost, one by one."""
    sheet = Sheet.default()
    found = [
        sheet.cost(call.usage, Tariff(call.body["model"]), call.at) or Decimal()
        for call in fake.calls
        if call.usage
    ]
    return sum(found, Decimal())


def test_older(fake: FakeAnthropic, admin: Any) -> None:
    """The older reports have a bucket a day, empty ones too, and null for the default workspace."""
    groups = ["model", "workspace_id"]
    page = asked(admin, OLD, bucket_width="1d", group_by=groups)
    assert [len(bucket["results"]) for bucket in page["data"]] == [2, 0]
    assert [row["workspace_id"] for row in page["data"][0]["results"]] == [None, "wrkspc_a"]
    assert page["has_more"] is False
    first = asked(admin, OLD, bucket_width="1h", limit=24)
    assert first["has_more"] is True
    second = asked(admin, OLD, bucket_width="1h", limit=24, page=first["next_page"])
    assert second["data"][0]["starting_at"] == first["data"][-1]["ending_at"]
    cost = asked(admin, "/v1/organizations/cost_report", group_by=["description", "workspace_id"])
    rows = [row for bucket in cost["data"] for row in bucket["results"]]
    assert sum(Decimal(row["amount"]) for row in rows) / 100 == dollars(fake)
    plain = asked(admin, "/v1/organizations/cost_report")
    (row,) = plain["data"][0]["results"]
    assert Decimal(row["amount"]) / 100 == dollars(fake)
    assert row["model"] is None


def test_searches(fake: FakeAnthropic, admin: Any) -> None:
    """Searches that an answer says are charged for, apart from tokens."""
    fake.say("Found.", usage={"server_tool_use": {"web_search_requests": 3}})
    through = anthropic.DefaultHttpxClient(transport=fake.transport())
    with anthropic.Anthropic(api_key="any", http_client=through) as client:
        client.messages.create(
            model="claude-opus-5-5", max_tokens=9, messages=[{"role": "user", "content": "Who?"}]
        )
    cost = asked(admin, "/v1/organizations/cost_report", group_by=["description"])
    found = [row for row in cost["data"][0]["results"] if row["cost_type"] == "web_search"]
    assert [row["amount"] for row in found] == ["3"]


@pytest.mark.parametrize(
    ("path", "headers", "params", "words"),
    [
        (OLD, {}, {"starting_at": "today"}, "starting_at: Field required"),
        (OLD, {}, {"bucket_width": "1w"}, "bucket_width: Input should be"),
        (OLD, {}, {"limit": 32}, "limit: at most 31"),
        (OLD, {}, {"limit": "many"}, "limit: Input should be"),
        (NEW, {}, {}, "needs the header anthropic-beta"),
        (NEW, BETA, {"ending_at": "2026-12-04T00:00:00Z"}, "at most 31 days"),
        (NEW, BETA, {"starting_at": "2025-12-31T00:00:00Z"}, "no earlier than 2026-01-01"),
        (NEW, BETA, {"ending_at": "", "time_bucket_width": "1d"}, "required with"),
        (NEW, BETA, {"limit": 1001}, "between 1 and 1000"),
        (NEW, BETA, {"group_by": ["a", "b", "c", "d", "e", "f"]}, "at most 5 dimensions"),
    ],
)
def test_refused(admin: Any, path: str, headers: Any, params: Any, words: str) -> None:
    """What the service would not take is refused, in words that say what."""
    with pytest.raises(anthropic.APIStatusError) as told:
        asked(admin, path, headers, **params)
    assert words in str(told.value)


def test_another_key(fake: FakeAnthropic) -> None:
    """Reports are for keys of administrators alone."""
    through = anthropic.DefaultHttpxClient(transport=fake.transport())
    with (
        anthropic.Anthropic(api_key="sk-ant-api03", http_client=through, max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"),
    ):
        asked(client, OLD)


def test_a_row_of_ones_own(fake: FakeAnthropic, admin: Any) -> None:
    """A row that a test puts there stands in both generations, whatever its columns."""
    fake.report("usage", {"model": "m", "moon": "full", "output_tokens": 3})
    old = asked(admin, OLD)["data"][0]["results"]
    assert {"model": "m", "moon": "full", "output_tokens": 3} in old
    new = asked(admin, NEW, BETA, time_bucket_width="1d")["data"][-1]
    assert new["group"] == {"model": "m", "moon": "full"}
    assert new["usage"]["output_tokens"] == 3
    with pytest.raises(ValueError, match="not usage or cost"):
        fake.report("moon", {})


def test_used_is_charged(fake: FakeAnthropic) -> None:
    """What the reports are made from is what the calls were charged."""
    assert all(isinstance(call.usage, Usage) for call in fake.calls)
