"""Message Batches of the imitation, by the real SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from talk import INSTRUCTIONS, body

from cacheplan.envelopes import Envelope
from cacheplan.io.fake.batches import Batches
from cacheplan.io.fake.exchange import Refusal
from cacheplan.testing import FakeAnthropic

DAY = 24 * 3600
MARKED = [{"type": "text", "text": INSTRUCTIONS, "cache_control": {"type": "ephemeral"}}]


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Return a service whose batches take an hour."""
    with FakeAnthropic(batch_seconds=3600, workspaces={"other": "other"}) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    """Return a client."""
    with anthropic.Anthropic(base_url=fake.url, api_key="any", max_retries=0) as client:
        yield client


def requests(*names: str, **more: Any) -> Any:
    """Make the requests of a batch that shares its instructions."""
    return [
        {"custom_id": name, "params": body(name, system=MARKED, cache_control=None, **more)}
        for name in names
    ]


def types(client: anthropic.Anthropic, name: str) -> dict[str, str]:
    """Return what came of each request."""
    return {one.custom_id: one.result.type for one in client.messages.batches.results(name)}


def test_a_batch_ends_when_its_time_is_over(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """A batch is in progress until the clock has moved on, and then has its results."""
    made = client.messages.batches.create(requests=requests("a", "b"))
    assert made.processing_status == "in_progress"
    assert (made.request_counts.processing, made.results_url) == (2, None)
    fake.sleep(3599)
    assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
    with pytest.raises(anthropic.AnthropicError, match="results_url"):
        client.messages.batches.results(made.id)
    fake.sleep(1)
    ended = client.messages.batches.retrieve(made.id)
    assert ended.processing_status == "ended"
    assert ended.request_counts.succeeded == 2
    assert types(client, made.id) == {"a": "succeeded", "b": "succeeded"}
    assert [one.custom_id for one in client.messages.batches.results(made.id)] == ["b", "a"]


def test_a_batch_ends_on_demand(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """Whoever does not want to wait ends every batch now."""
    made = client.messages.batches.create(requests=requests("a"))
    fake.finish_batches()
    (line,) = client.messages.batches.results(made.id)
    assert line.result.type == "succeeded"
    assert line.result.message.usage.service_tier == "batch"


def test_a_batch_without_waiting() -> None:
    """Unless it is told otherwise, a batch has ended when it is first looked at."""
    with (
        FakeAnthropic() as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        made = client.messages.batches.create(requests=requests("a"))
        assert made.processing_status == "in_progress"
        assert client.messages.batches.retrieve(made.id).processing_status == "ended"


def test_calls_of_a_batch_read_at_the_stated_rate(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """What one request of a batch wrote others read, as often as the assumption says."""
    client.messages.batches.create(requests=requests(*(f"q{at}" for at in range(11))))
    fake.finish_batches()
    calls = [call for call in fake.calls if call.surface == "batch"]
    assert sum(call.usage.read > 0 for call in calls if call.usage) == 3
    assert [line["surface"] for line in fake.lines()] == ["batch"] * 11


def test_wrong_requests_are_errors_of_their_own(
    fake: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    """A request that the API refuses errs alone, in the API's words."""
    wrong = requests("wrong", max_tokens=0) + requests("fine")
    made = client.messages.batches.create(requests=wrong)
    fake.finish_batches()
    results = {one.custom_id: one.result for one in client.messages.batches.results(made.id)}
    assert results["fine"].type == "succeeded"
    assert results["wrong"].type == "errored"
    assert "max_tokens: 0 is not supported" in results["wrong"].error.error.message
    counts = client.messages.batches.retrieve(made.id).request_counts
    assert (counts.errored, counts.succeeded) == (1, 1)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "at least 1 item"),
        (("a", "a"), "stands twice"),
        (("not good",), "String should match pattern"),
        (("x" * 65,), "String should match pattern"),
    ],
)
def test_a_wrong_batch_is_refused(
    client: anthropic.Anthropic, names: tuple[str, ...], words: str
) -> None:
    """A batch whose list or names are wrong is refused as a whole."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        client.messages.batches.create(requests=requests(*names))
    assert list(client.messages.batches.list()) == []


def test_a_hundred_thousand_and_no_more() -> None:
    """A batch takes 100,000 requests; one more is refused before any is looked at."""
    taken: list[Any] = []
    batches = Batches(None, lambda *one: taken.append(one), 1.0)  # type: ignore[arg-type] # asks nothing
    most = [{"custom_id": f"c{at}", "params": {}} for at in range(100_000)]
    assert not isinstance(batches.create({"requests": most}, Envelope(at=0.0), ""), Refusal)
    refused = batches.create({"requests": [*most, most[0]]}, Envelope(at=0.0), "")
    assert isinstance(refused, Refusal)
    assert "at most 100000 items" in refused.message


def test_a_canceled_batch(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """A batch can be canceled until it ends; then none of its requests was processed."""
    made = client.messages.batches.create(requests=requests("a", "b"))
    assert client.messages.batches.cancel(made.id).processing_status == "canceling"
    assert client.messages.batches.retrieve(made.id).processing_status == "ended"
    assert types(client, made.id) == {"a": "canceled", "b": "canceled"}
    assert fake.lines() == []
    with pytest.raises(anthropic.BadRequestError, match="has ended"):
        client.messages.batches.cancel(made.id)


def test_an_expired_batch() -> None:
    """A batch that takes longer than a day expires."""
    with (
        FakeAnthropic(batch_seconds=2 * DAY) as fake,
        anthropic.Anthropic(base_url=fake.url, api_key="any") as client,
    ):
        made = client.messages.batches.create(requests=requests("a"))
        fake.sleep(DAY - 1)
        assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
        fake.sleep(1)
        assert types(client, made.id) == {"a": "expired"}


def test_results_are_not_kept_forever(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """29 days after its creation a batch has no results any more."""
    made = client.messages.batches.create(requests=requests("a"))
    fake.sleep(29 * DAY)
    gone = client.messages.batches.retrieve(made.id)
    assert (gone.results_url, gone.archived_at is None) == (None, False)


def test_deleting_and_listing(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """Batches are listed by page, the newest first; only one that ended can be deleted."""
    made = [client.messages.batches.create(requests=requests("a")).id for _ in range(5)]
    page = client.messages.batches.list(limit=2)
    assert [one.id for one in page.data] == made[:2:-1]
    assert page.has_more
    assert [one.id for one in client.messages.batches.list(limit=2)] == made[::-1]
    back = client.messages.batches.list(limit=2, before_id=made[0])
    assert [one.id for one in back.data] == [made[2], made[1]]
    with pytest.raises(anthropic.BadRequestError, match="in progress"):
        client.messages.batches.delete(made[0])
    fake.finish_batches()
    assert client.messages.batches.delete(made[0]).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(made[0])


def test_batches_belong_to_a_workspace(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """Another workspace finds no batch of this one."""
    made = client.messages.batches.create(requests=requests("a"))
    with anthropic.Anthropic(base_url=fake.url, api_key="other") as other:
        assert list(other.messages.batches.list()) == []
        with pytest.raises(anthropic.NotFoundError):
            other.messages.batches.retrieve(made.id)


def test_beta_batches(fake: FakeAnthropic, client: anthropic.Anthropic) -> None:
    """The beta way to batches is the same."""
    made = client.beta.messages.batches.create(requests=requests("a"))
    fake.finish_batches()
    (line,) = client.beta.messages.batches.results(made.id)
    assert line.result.type == "succeeded"
