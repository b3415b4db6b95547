"""Whether to keep a prefix alive, how often, and when to stop."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sketches import TOKEN, Sketch, sheet

from cacheplan.keeping import Keeper, Option, Target, Verdict
from cacheplan.policies import automatic, static
from cacheplan.prices import Sheet
from cacheplan.prompt import Lifetime
from cacheplan.rehearsal import Rehearsal
from cacheplan.workload import Workload

SHORT, LONG = Lifetime.FIVE_MINUTES, Lifetime.ONE_HOUR
RULES = 10_000


def every(gap: float, number: int, sketch: Sketch | None = None) -> Workload:
    """Make calls with one system prompt and questions of their own."""
    sketch = sketch or Sketch()
    for at in range(number):
        sketch.call(at * gap, ("rules", RULES), (f"question {at}", 10))
    return sketch.workload()


def verdict(workload: Workload, prices: Sheet) -> Verdict | None:
    """Weigh keeping the system prompt alive beside a policy that marks it for 5 minutes."""
    rehearsal = Rehearsal(workload, prices)
    tree = workload.tree
    roots = [node if above < 0 else 0 for node, above in enumerate(tree.parent)]
    nodes = [tree.system_end[call.tip] for call in workload]
    steps = rehearsal.steps(static(workload))
    return Keeper(rehearsal, steps, roots).verdict(Target("the rules", nodes, nodes[0]))


def test_one_call_bridges_nine_minutes() -> None:
    """Gaps of nine minutes are bridged by one call each, and it saves what a write costs more
    than two reads, less the messages of the calls and the one after the last use.
    """
    found = verdict(every(540, 10), sheet("0.05"))
    assert found is not None
    assert found.best == Option(SHORT, 1)
    hour = TOKEN * (2 * RULES + 9 * Decimal("0.05") * RULES)
    pinged = TOKEN * (Decimal("1.25") * RULES + 19 * Decimal("0.05") * RULES + 10 * 8)
    assert found.saving == hour - pinged
    assert found.what.startswith("Keep the rules alive. Mark for 5 minutes; where 285 seconds")
    assert "once, and stop" in found.what


@pytest.mark.parametrize(
    ("gap", "read", "option"),
    [
        # The hour bridges half an hour by itself; at cheap reads, five calls are cheaper still.
        (1700, "0.1", None),
        (1700, "0.001", Option(SHORT, 5)),
        # Over the hour only calls help: of the hour's, one in two hours.
        (7000, "0.1", Option(LONG, 1)),
        # Nothing bridges a day at these prices.
        (86400, "0.1", None),
    ],
)
def test_the_gaps_decide(gap: float, read: str, option: Option | None) -> None:
    """What is best depends on the gaps and on the read price."""
    found = verdict(every(gap, 30), sheet(read))
    assert found is not None
    if option is None:
        assert found.saving == 0
        assert "do not pay" in found.what
    else:
        assert found.best == option
        assert found.saving is not None
        assert found.saving > 0


def test_calls_after_the_last_use_are_paid() -> None:
    """Where most prefixes never come back, calls to keep them cost more than they save."""
    sketch = Sketch()
    for at in range(40):
        sketch.call(at * 1e5, ("rules", RULES), (f"question {at}", 10))
    sketch.call(500, ("rules", RULES), ("again", 10))
    found = verdict(sketch.workload(), sheet("0.1"))
    assert found is not None
    assert found.saving == 0


def test_short_pauses_need_nothing() -> None:
    """Where every gap is within 5 minutes there is nothing to weigh, nor with one call."""
    assert verdict(every(200, 10), sheet()) is None
    assert verdict(every(200, 1), sheet()) is None


def test_unknown_prices_leave_the_pauses() -> None:
    """Without prices the pauses are told and no money."""
    found = verdict(every(1000, 4, Sketch("nobody-knows")), Sheet.default())
    assert found is not None
    assert found.saving is None
    assert "of 3 pauses 3 last between 5 minutes and an hour" in found.what


def test_the_ends_of_conversations_are_kept_alive() -> None:
    """Turns eight minutes apart read the whole conversation where one call bridges each."""
    sketch, blocks = Sketch(), [("rules", RULES)]
    for turn in range(12):
        blocks.append((f"turn {turn}", 500))
        sketch.call(turn * 480, *blocks, session="s")
    workload = sketch.workload()
    rehearsal = Rehearsal(workload, sheet("0.025"))
    roots = [node if above < 0 else 0 for node, above in enumerate(workload.tree.parent)]
    ends = [call.tip for call in workload]
    keeper = Keeper(rehearsal, rehearsal.steps(automatic(workload)), roots)
    found = keeper.verdict(Target("conversations", ends))
    assert found is not None
    assert found.best == Option(SHORT, 1)
    assert found.saving is not None
    assert found.saving > 0


def test_free_prompts_are_not_weighed() -> None:
    """Where prompts cost nothing, there is nothing to save."""
    row = dict.fromkeys(("uncached", "write_5m", "write_1h", "read", "output"), 0)
    free = Sheet.default().override([{"model": "sketch", "minimum": 1, **row}])
    assert verdict(every(1000, 4), free) is None
