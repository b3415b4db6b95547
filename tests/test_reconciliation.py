"""The two sides of a bill: every gap is found, and nothing else."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.admin_reports import pages
from cacheplan.entries import Entry
from cacheplan.io.cli import main
from cacheplan.io.fake.accounts import Account, Accounts
from cacheplan.io.fake.exchange import Asked, Received
from cacheplan.io.ledger import Ledger
from cacheplan.prices import Sheet
from cacheplan.reconciliation import reconcile
from cacheplan.statements import Report, merged
from cacheplan.usage import Usage

SHEET: Final = Sheet.default()
#: 2026-10-01, UTC; a month of it has 31 days.
BEGIN: Final = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
DAY: Final = 86_400
MODELS: Final = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-haiku-4-5")
COUNTERS: Final = ("uncached", "write_5m", "write_1h", "read", "output")
GROUPS: Final = ("model", "workspace_id", "service_tier", "speed", "inference_geo")


class Made(NamedTuple):
    """One call, as the service knows it."""

    at: float
    model: str
    workspace: str
    surface: str
    geo: str
    usage: Usage

    @property
    def entry(self) -> Entry:
        """The same as a ledger has it."""
        workspace = None if self.workspace == "default" else self.workspace
        return Entry(
            at=self.at, model=self.model, workspace=workspace, surface=self.surface,
            geo=self.geo, usage=self.usage,
        )  # fmt: skip

    @property
    def received(self) -> Received:
        """The same as the imitation has it."""
        used = {"inference_geo": self.geo or "global"}
        return Received(
            number=0, at=self.at, method="POST", path="/v1/messages", headers={}, body=None,
            status=200, answer={"model": self.model, "usage": used}, prompt=True,
            usage=self.usage, surface=self.surface, workspace=self.workspace,
        )  # fmt: skip

    @property
    def places(self) -> list[tuple[Any, ...]]:
        """Where its tokens stand."""
        day = datetime.fromtimestamp(self.at, UTC).date().isoformat()
        workspace = "" if self.workspace == "default" else self.workspace
        tier = "batch" if self.surface == "batch" else "standard"
        return [
            (day, self.model, workspace, tier, counter)
            for counter in COUNTERS
            if getattr(self.usage, counter)
        ]


def month(rng: random.Random, calls: int) -> list[Made]:
    """Make a month of calls, in time order, none of them near midnight."""
    found = []
    for _ in range(calls):
        model = rng.choice(MODELS)
        long = model == "claude-haiku-5-5" and rng.random() < 0.3
        used = Usage(
            uncached=rng.randint(1, 3_000),
            write_5m=rng.choice([0, rng.randint(1_000, 20_000)]),
            write_1h=rng.choice([0, 0, rng.randint(1_000, 20_000)]),
            read=rng.randint(90_000, 150_000)
            if long
            else rng.choice([0, rng.randint(2_000, 60_000)]),
            output=rng.randint(1, 2_000),
        )
        at = BEGIN + rng.randrange(31) * DAY + rng.randint(3_600, DAY - 3_600)
        geo = "us" if model == "claude-opus-5-5" and rng.random() < 0.2 else ""
        where = (rng.choice(["default", "wrkspc_a", "wrkspc_b"]), rng.choice(["messages", "batch"]))
        found.append(Made(at, model, *where, geo, used))
    return sorted(found, key=lambda one: one.at)


def exported(made: Sequence[Made], account: Account, sheet: Sheet = SHEET) -> list[Any]:
    """Return every page of a report of the imitated Admin API."""
    kind, _, generation = account.partition("-")
    words = [("starting_at", "2026-10-01T00:00:00Z"), ("ending_at", "2026-11-01T00:00:00Z")]
    groups = list(GROUPS)
    if kind == "cost":
        groups = ["workspace_id", "description"] if generation == "old" else [*GROUPS, "token_type"]
    words += [("group_by[]", name) for name in groups]
    words += [("time_bucket_width", "1d"), ("limit", "1000")] if generation == "new" else []
    headers = {
        "x-api-key": "sk-ant-admin01",
        "anthropic-beta": "analytics-usage-cost-2026-08-24",
    }
    found: list[Any] = []
    served, accounts = [one.received for one in made], Accounts(sheet)
    page: dict[str, str] = {}
    while not found or found[-1]["has_more"]:
        asked = Asked("GET", "", {**dict(words), **page}, headers, b"", pairs=words)
        answer = accounts.answer(account, asked, served, BEGIN + 40 * DAY)
        assert isinstance(answer, dict), answer
        found.append(answer)
        page = {"page": answer["next_page"]}
    return found


def report(made: Sequence[Made], account: Account, sheet: Sheet = SHEET) -> Report:
    """Return such a report, read."""
    kind: Any = account.partition("-")[0]
    return merged(list(pages(exported(made, account, sheet), kind, account)), kind)


def joined(identity: str | None) -> str:
    """Name a workspace as the entries here do."""
    return "" if identity in (None, "wrkspc_default") else str(identity)


def differing(ledger: Sequence[Made], served: Sequence[Made]) -> set[tuple[Any, ...]]:
    """Return where two lists of calls differ, one call after another."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for sign, calls in ((1, ledger), (-1, served)):
        for one in calls:
            for place in one.places:
                sums[place] += sign * getattr(one.usage, place[-1])
    return {place for place, tokens in sums.items() if tokens}


def compared(
    ledger: Sequence[Made], served: Sequence[Made], generation: str, sheet: Sheet = SHEET
) -> Any:
    """Hold a ledger of some calls against reports of others."""
    usage: Any = f"usage-{generation}"
    cost: Any = f"cost-{generation}"
    return reconcile(
        [one.entry for one in ledger],
        report(served, usage),
        report(served, cost, sheet),
        SHEET,
        workspace=joined,
        period=("2026-10-01", "2026-10-31"),
    )


def with_gaps(rng: random.Random, made: list[Made]) -> tuple[list[Made], list[Made]]:
    """Return what a ledger and what a report have, each without some calls, whole days even."""
    silent = [BEGIN + day * DAY for day in rng.sample(range(31), 2)]

    def on(one: Made, day: int) -> bool:
        return silent[day] <= one.at < silent[day] + DAY

    ledger = [one for one in made if rng.random() > 0.001]
    ledger = [one for one in ledger if not (on(one, 0) and one.model == MODELS[1])]
    served = [one for one in made if rng.random() > 0.001]
    served = [one for one in served if not (on(one, 1) and one.workspace == "wrkspc_b")]
    return ledger, served


@pytest.mark.parametrize("generation", ["old", "new"])
@pytest.mark.parametrize("seed", range(3))
def test_a_month(seed: int, generation: str) -> None:
    """In a month with deliberate gaps every gap is found, and nothing else."""
    rng = random.Random(seed)
    ledger, served = with_gaps(rng, month(rng, 3_000))
    found = compared(ledger, served, generation)
    gaps = {(*gap.key, gap.counter) for gap in (*found.gaps, *found.later)}
    assert gaps == differing(ledger, served)
    assert not found.priced
    assert not found.unexplained
    assert not found.uncovered


@pytest.mark.long
@pytest.mark.parametrize("generation", ["old", "new"])
def test_a_month_of_100_000_calls(tmp_path: Path, generation: str) -> None:
    """So it is with 100,000 calls, from a ledger on the disk and reports in files."""
    rng = random.Random(20261121)
    ledger, served = with_gaps(rng, month(rng, 100_000))
    path = tmp_path / "calls.db"
    with Ledger(path) as kept:
        for one in ledger:
            kept.record(one.entry)
    words = [str(path), "--format", "json", "--workspace", "default=wrkspc_default"]
    for kind in ("usage", "cost"):
        file = tmp_path / f"{kind}.json"
        account: Any = f"{kind}-{generation}"
        file.write_text(json.dumps(exported(served, account)))
        words += [f"--{kind}", str(file)]
    done = CliRunner().invoke(main, ["reconcile", *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    names = {"": None, "wrkspc_default": None}
    gaps = {
        (gap["day"], gap["model"], names.get(gap["workspace"], gap["workspace"]) or "",
         gap["tier"], gap["tokens"])
        for gap in (*found["gaps"], *found["later"])
    }  # fmt: skip
    assert gaps == differing(ledger, served)
    assert not found["priced"]
    assert not found["unexplained"]
    assert not found["uncovered"]


@pytest.mark.parametrize("generation", ["old", "new"])
def test_agreement(generation: str) -> None:
    """Where nothing is missing, everything agrees, to the token and to the cent."""
    made = month(random.Random(7), 2_000)
    found = compared(made, made, generation)
    assert found.agrees
    assert found.ledger == found.report == sum((one.usage for one in made), Usage())
    assert found.expected == found.amount == found.agreed.amount
    assert found.agreed.tokens == sum(getattr(found.ledger, name) for name in COUNTERS)


class TestPrices:
    """What was priced differently."""

    def other(self, **prices: float) -> Sheet:
        """Return a sheet on which one model costs something else."""
        row = {"model": "claude-haiku-4-5", "input": 1, "write_5m": 1.25, "write_1h": 2,
               "read": 0.1, "output": 5}  # fmt: skip
        return SHEET.override([{**row, **prices}])

    @pytest.mark.parametrize(("price", "kind"), [(0.3, "dearer"), (0.02, "cheaper")])
    @pytest.mark.parametrize("generation", ["old", "new"])
    def test_one_price(self, price: float, kind: str, generation: str) -> None:
        """One price that is another is found wherever it applied, and nowhere else."""
        made = month(random.Random(1), 1_500)
        found = compared(made, made, generation, self.other(read=price))
        assert not found.gaps
        wrong = {(*one.key, one.counter) for one in found.priced}
        assert {one.kind for one in found.priced} == {kind}
        places = {place for one in made for place in one.places}
        assert wrong == {
            place for place in places if place[1] == "claude-haiku-4-5" and place[-1] == "read"
        }

    def test_gaps_and_prices(self) -> None:
        """Tokens that are missing are told as tokens alone, a price where there is one as well."""
        rng = random.Random(2)
        ledger, served = with_gaps(rng, month(rng, 1_500))
        found = compared(ledger, served, "new", self.other(output=20))
        assert {one.counter for one in found.priced} == {"output"}
        assert {one.key.model for one in found.priced} == {"claude-haiku-4-5"}
        gaps = {(*gap.key, gap.counter) for gap in (*found.gaps, *found.later)}
        assert gaps == differing(ledger, served)

    def test_discount(self) -> None:
        """An amount below a list price that is the sheet's is a discount."""
        made = month(random.Random(3), 200)
        found = exported(made, "cost-new")
        for row in (row for page in found for row in page["data"]):
            row["cost"]["amount"] = str(Decimal(row["cost"]["list_amount"]) * Decimal("0.9"))
        cost = merged(list(pages(found, "cost", "a")), "cost")
        usage = report(made, "usage-new")
        entries = [one.entry for one in made]
        told = reconcile(entries, usage, cost, SHEET, workspace=joined)
        assert {one.kind for one in told.priced} == {"discounted"}

    def test_no_charge(self) -> None:
        """Tokens that nobody charged, and charges for no tokens, are both told."""
        made = month(random.Random(4), 300)
        found = reconcile(
            [one.entry for one in made],
            report(made, "usage-new"),
            report(made[:150], "cost-new"),
            SHEET,
            workspace=joined,
        )
        assert "not charged" in {one.kind for one in found.priced}
        found = reconcile(
            [made[0].entry], report(made[:1], "usage-new"), report(made, "cost-new"), SHEET,
            workspace=joined, period=(BEGIN_DAY, BEGIN_DAY),
        )  # fmt: skip
        assert "charged for no tokens" in {one.kind for one in found.priced}

    def test_an_unknown_price(self) -> None:
        """A model that nobody has a price for is said to be one, and is no difference."""
        one = Made(BEGIN + 5_000, "claude-unheard", "default", "messages", "", Usage(read=5))
        found = compared([one], [one], "new")
        assert found.unpriced == ("claude-unheard",)
        assert found.expected is None
        assert not found.priced


BEGIN_DAY: Final = "2026-10-01"


class TestDays:
    """Days, and what crosses them."""

    def test_across_midnight(self) -> None:
        """Tokens that the report has a day later are no gap, and are told apart."""
        late = Made(BEGIN + DAY - 5, MODELS[0], "default", "messages", "", Usage(read=77, output=3))
        found = compared([late], [late._replace(at=BEGIN + DAY + 5)], "old")
        assert not found.gaps
        assert [(gap.key.day, gap.ledger, gap.report) for gap in found.later] == [
            ("2026-10-01", 77, 0), ("2026-10-01", 3, 0), ("2026-10-02", 0, 77),
            ("2026-10-02", 0, 3),
        ]  # fmt: skip

    @given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=8))
    def test_every_midnight(self, days: list[tuple[int, int]]) -> None:
        """However many calls end on the next day, day after day, nothing is missing."""

        def made(day: float, tokens: int) -> Made:
            at = BEGIN + day * DAY + 4_000
            return Made(at, MODELS[0], "default", "batch", "", Usage(output=tokens))

        ledger = [made(at, part) for at, day in enumerate(days) for part in day]
        served = [made(at, day[0]) for at, day in enumerate(days)]
        served += [made(at + 1, day[1]) for at, day in enumerate(days)]
        found = compared(ledger, served, "old")
        assert not found.gaps
        assert found.later
        lost = compared(ledger, served[1:], "old")
        assert lost.gaps

    def test_only_some_days(self) -> None:
        """Outside of the days that are asked for nothing is looked at."""
        made = month(random.Random(5), 400)
        usage = report(made, "usage-old")
        entries = [one.entry for one in made if one.at < BEGIN + 10 * DAY]
        whole = reconcile(entries, usage, None, SHEET, workspace=joined)
        assert whole.gaps
        some = reconcile(entries, usage, None, SHEET, workspace=joined, period=(None, "2026-10-10"))
        assert some.agrees
        assert some.amount is None

    def test_what_the_ledger_cannot_say(self) -> None:
        """Where the ledger begins, what it does not know and what is billed elsewhere is said."""
        one = Made(BEGIN + 5_000, MODELS[0], "default", "messages", "", Usage(read=5))
        entries = [
            one.entry,
            Entry(at=BEGIN + 6_000, model=MODELS[0]),
            Entry(at=BEGIN + 7_000, model=MODELS[0], platform="bedrock", usage=Usage(read=9)),
        ]
        found = reconcile(entries, report([one], "usage-old"), None, SHEET)
        assert found.agrees is True
        notes = " ".join(found.notes)
        for words in ("begins at 2026-10-01 01:23 UTC", "said no usage: 1", "other platforms",
                      "not told apart"):  # fmt: skip
            assert words in notes


@given(
    counts=st.lists(st.lists(st.integers(0, 9), min_size=5, max_size=5), min_size=1, max_size=6),
    cut=st.integers(0, 6),
)
def test_both_sides_are_whole(counts: list[list[int]], cut: int) -> None:
    """What agrees and what differs together are both sides, whatever is missing."""
    made = [
        Made(BEGIN + 4_000 + at * DAY, MODELS[at % 2], "default", "messages", "", Usage(*each))
        for at, each in enumerate(counts)
    ]
    found = compared(made, made[:cut], "old")
    ours = sum(gap.ledger for gap in (*found.gaps, *found.later))
    theirs = sum(gap.report for gap in (*found.gaps, *found.later))
    assert found.agreed.tokens + ours == sum(map(sum, counts))
    assert found.agreed.tokens + theirs == sum(map(sum, counts[:cut]))
