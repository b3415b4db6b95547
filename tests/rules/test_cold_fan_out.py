"""Calls that start together, and those that only seem to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated
from small import digest_line, message, request

from cacheplan.rules import cold_fan_out

#: Dollars for an uncached token of the model that these calls ask.
PRICE = Decimal("0.000002")
MARKED = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]


def fan(number: int, every: float = 0.0, **fields: Any) -> list[dict[str, Any]]:
    """Ask questions about one marked text, so many seconds apart."""
    return [
        {"at": every * at, "request": request(message("user", f"q{at}"), system=MARKED), **fields}
        for at in range(number)
    ]


def test_all_but_the_first_are_counted() -> None:
    """Twenty calls of one moment are one finding: nineteen write what they could read."""
    (found,) = findings(cold_fan_out, fan(20))
    assert (found.code, found.calls, str(found.place)) == ("CP201", 19, "system[0]")
    assert found.message == (
        "19 calls start before the first token of another that begins alike (once), so they"
        " cannot read what that one writes (up to 5,701 tokens, to the end of their system)"
    )
    assert found.fix is not None
    assert found.fix.safe


def test_the_saving_is_what_waiting_saves() -> None:
    """Nineteen prefixes read instead of written, as the simulator bills them."""
    (found,) = findings(cold_fan_out, fan(20))
    assert found.saving is not None
    # Unmarked is best for cold calls; then one write and 19 reads, of 5,701 tokens.
    assert found.saving == Decimal("16.85") * 5701 * PRICE
    assert same_as_simulated(cold_fan_out, fan(20))


def test_each_fan_out_has_its_own_first_call() -> None:
    """Two fan-outs an hour apart are two moments of one finding."""
    later = [{**line, "at": line["at"] + 7200} for line in fan(5)]
    (found,) = findings(cold_fan_out, fan(5) + later)
    assert found.calls == 8
    assert "(2 times)" in found.message


def test_lanes_are_told_apart() -> None:
    """Calls of two labels that start together are two findings."""
    lines = fan(6)
    for at, line in enumerate(lines):
        line["label"] = "ab"[at % 2]
    found = findings(cold_fan_out, lines)
    assert {(one.lane, one.calls) for one in found} == {
        (("claude-sonnet-5", "a"), 2),
        (("claude-sonnet-5", "b"), 3),
    }


def test_far_enough_apart_nobody_waits() -> None:
    """From the first token on, an entry is read: no finding."""
    assert not findings(cold_fan_out, fan(20, every=1.0))


def test_a_batch_cannot_wait() -> None:
    """Calls of a batch go out when the service likes: no finding."""
    assert not findings(cold_fan_out, fan(20, surface="batch"))


def test_a_call_that_has_the_answer_did_wait() -> None:
    """A turn that repeats the answer before it came after it, whatever the clock says."""
    lines = [{**line, "at": 0} for line in agent(0, 6, system=LONG)]
    assert not findings(cold_fan_out, lines)


def test_calls_that_share_nothing_do_not_wait() -> None:
    """Twenty prompts of one moment that begin differently are no fan-out."""
    lines = [
        {
            "at": 0,
            "request": request(message("user", "q"), system=[MARKED[0] | {"text": f"{n}{LONG}"}]),
        }
        for n in range(20)
    ]
    assert not findings(cold_fan_out, lines)


@pytest.mark.parametrize("name", healthy())
def test_healthy_workloads_have_none(name: str) -> None:
    """What is laid out well is left alone."""
    assert not findings(cold_fan_out, healthy()[name])


def test_digests_are_enough() -> None:
    """Nothing here needs the text of a prompt."""
    lines = [
        digest_line(
            [("s", 5000, "system"), (f"m{at}", 9, "messages")],
            id=f"c{at}",
            marks=[{"block": 0, "ttl": "5m"}],
        )
        for at in range(4)
    ]
    (found,) = findings(cold_fan_out, lines)
    assert found.calls == 3
