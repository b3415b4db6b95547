"""The policy that learns: what it may see, what it never does, and what it costs at worst."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from cacheplan import memory
from cacheplan.adaptive import Adaptive, adaptive
from cacheplan.assumptions import Assumptions
from cacheplan.pending import State
from cacheplan.policies import BASELINES
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Sheet, Tariff
from cacheplan.projection import Projection, project
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.workload import Call, Workload

SHEET = Sheet.default()
#: What the bar is set by: every way to mark that needs no learning and no marks of old.
FIXED = tuple(policy for policy in BASELINES if policy.name != "as-marked")
MODELS = ("claude-sonnet-4-5", "claude-sonnet-5-5", "claude-fable-5-2")
HOUR = 3600.0


class Desk:
    """Writes prompts into a tree and sends them."""

    def __init__(self, model: str = MODELS[0]) -> None:
        self.tree = PrefixTree()
        self.tariff = Tariff(model)
        self.root = self.tree.root(Scope(model, "anthropic", "messages", ""))
        self.calls: list[Call] = []
        self._new = 0

    def add(
        self,
        node: int,
        tokens: int,
        name: str = "",
        *,
        level: Level = Level.MESSAGES,
        kind: str = "text",
        role: str = "user",
        refuses: str = "",
    ) -> int:
        """Append a block; without a name it is one that nobody else sends."""
        self._new += not name
        spoken = role if level is Level.MESSAGES else ""
        key = f"{name or self._new}|{level}|{kind}|{spoken}|{tokens}|{refuses}"
        digest = key.encode().ljust(16, b".")
        block = Block(
            level=level, kind=kind, role=spoken, digest=digest, tokens=tokens, refuses=refuses
        )
        return self.tree.child(node, self.tree.intern(block))

    def head(self, tools: int, system: int, name: str = "head") -> int:
        """Return a prompt of tools and system."""
        node = self.root
        if tools:
            node = self.add(node, tools, f"{name} tools", level=Level.TOOLS, kind="tool")
        return self.add(node, system, f"{name} system", level=Level.SYSTEM)

    def step(self, node: int, tokens: int, *, width: int = 1) -> int:
        """Append an answer that calls tools, and their results."""
        for kind, role in (("tool_use", "assistant"), ("tool_result", "user")):
            for _ in range(width):
                node = self.add(node, tokens, kind=kind, role=role)
        return node

    def send(self, at: float, node: int, label: str | None = None) -> None:
        """Send a prompt."""
        call = Call(at=at, tip=node, tariff=self.tariff, label=label, number=len(self.calls))
        self.calls.append(call)

    def workload(self) -> Workload:
        """Return everything that was sent, in time order."""
        self.tree.measure()
        return Workload(tree=self.tree, calls=sorted(self.calls, key=lambda call: call.at))


def marks(workload: Workload) -> list[tuple[Breakpoint, ...]]:
    """Return what the policy marks, call by call."""
    marker = adaptive(workload, SHEET)
    return [tuple(marker(call)) for call in workload]


def projected(workload: Workload) -> Projection:
    """Return what the policy would cost."""
    return project(workload, adaptive(workload, SHEET), SHEET, "adaptive")


def cost(found: Projection) -> Decimal:
    """Return what prompts cost; on these models that is always known."""
    assert found.input_cost is not None
    return found.input_cost


def ratio(workload: Workload) -> float:
    """Return the policy's cost as a multiple of the best fixed one's."""
    best = min(
        cost(project(workload, policy.bind(workload), SHEET, policy.name)) for policy in FIXED
    )
    return float(cost(projected(workload)) / best)


# --------------------------------------------------------------------------- workloads


def agents(desk: Desk, rng: Random) -> None:
    """Agents that loop through tools, and people who leave and come back."""
    head = desk.head(8000, 4000)
    for _ in range(30):
        at, node = rng.uniform(0, 4 * HOUR), head
        for turn in range(rng.randint(1, 6)):
            node = desk.add(node, 400, role="assistant") if turn else node
            node = desk.add(node, rng.randint(50, 1500))
            desk.send(at, node)
            for _ in range(rng.randint(0, 10)):
                at += rng.uniform(4, 40)
                node = desk.step(node, rng.randint(60, 1200))
                desk.send(at, node)
            at += rng.uniform(360, 3000) if rng.random() < 0.3 else rng.uniform(20, 200)


def documents(desk: Desk, rng: Random) -> None:
    """Questions about documents out of a pool, some asked about often."""
    head, at = desk.head(0, 1500), 0.0
    for _ in range(500):
        at += rng.expovariate(1 / 60)
        document = int(30 * rng.random() ** 2)
        node = desk.add(head, 8000 + document, f"document {document}", kind="document")
        desk.send(at, desk.add(node, rng.randint(20, 300)))


def documents_once(desk: Desk, rng: Random) -> None:
    """Questions about documents that nobody asks about twice."""
    head, at = desk.head(0, 1500), 0.0
    for _ in range(300):
        at += rng.expovariate(1 / 60)
        desk.send(at, desk.add(desk.add(head, 8000, kind="document"), rng.randint(20, 300)))


def volatile_line(desk: Desk, rng: Random) -> None:
    """Conversations whose system prompt ends in a line that is new with every call."""
    tools = desk.add(desk.root, 5000, "tools", level=Level.TOOLS, kind="tool")
    stable = desk.add(tools, 6000, "stable", level=Level.SYSTEM)
    for talk in range(25):
        at, said = rng.uniform(0, 4 * HOUR), 0
        for step in range(rng.randint(3, 25)):
            node = desk.add(stable, 60, level=Level.SYSTEM)
            said += rng.randint(100, 1500)
            desk.send(at, desk.add(node, said, f"talk {talk}, step {step}"))
            at += rng.uniform(5, 60)


def volatile_end(desk: Desk, rng: Random) -> None:
    """Agents whose prompts end in a reminder that is not sent again."""
    head = desk.head(6000, 3000)
    for _ in range(25):
        at, node = rng.uniform(0, 4 * HOUR), desk.add(head, 400)
        for _ in range(rng.randint(3, 20)):
            desk.send(at, desk.add(node, 40))
            at += rng.uniform(5, 60)
            node = desk.step(node, rng.randint(100, 1000))


def job(every: float, number: int) -> Callable[[Desk, Random], None]:
    """Return one prompt with new data, again and again."""

    def jobs(desk: Desk, rng: Random) -> None:
        head = desk.head(0, 5000)
        for each in range(number):
            desk.send(each * every + rng.uniform(0, 20), desk.add(head, 1000))

    return jobs


def one_shot(desk: Desk, rng: Random) -> None:
    """Classification: one system prompt, one text, no conversation."""
    head, at = desk.head(0, 3000), 0.0
    for _ in range(600):
        at += rng.expovariate(1 / 6)
        desk.send(at, desk.add(head, rng.randint(50, 800)))


def wide_steps(desk: Desk, rng: Random) -> None:
    """Agents whose every step adds more positions than a breakpoint looks at."""
    head = desk.head(6000, 3000)
    for _ in range(15):
        at, node = rng.uniform(0, 4 * HOUR), desk.add(head, 300)
        desk.send(at, node)
        for _ in range(rng.randint(3, 12)):
            at += rng.uniform(10, 60)
            for _ in range(rng.randint(24, 40)):
                node = desk.add(node, 100, role="assistant")
            desk.send(at, desk.step(node, 200))
            node = desk.calls[-1].tip


def under_minimum(desk: Desk, rng: Random) -> None:
    """A system prompt a little shorter than what is cached, and short texts."""
    head, at = desk.head(0, 430), 0.0
    for _ in range(300):
        at += rng.expovariate(1 / 20)
        desk.send(at, desk.add(head, rng.randint(10, 70)))


def helpers(desk: Desk, rng: Random) -> None:
    """An agent that sends out others with a prompt of their own."""
    head, other = desk.head(9000, 4000), desk.head(3000, 1500, "other")
    for _ in range(20):
        at, node = rng.uniform(0, 6 * HOUR), desk.add(head, 300)
        desk.send(at, node)
        for _ in range(rng.randint(1, 12)):
            at += rng.uniform(5, 40)
            for _ in range(rng.choice((0, 0, 1, 3))):
                then, below = at, desk.add(other, 600)
                desk.send(then, below)
                for _ in range(rng.randint(1, 8)):
                    then += rng.uniform(4, 25)
                    below = desk.step(below, rng.randint(100, 1500))
                    desk.send(then, below)
            node = desk.step(node, rng.randint(100, 1000))
            desk.send(at, node)


def chats(desk: Desk, rng: Random) -> None:
    """Short conversations with people, without tools."""
    head = desk.head(0, 1500)
    for _ in range(100):
        at, node = rng.uniform(0, 4 * HOUR), desk.add(head, rng.randint(30, 400))
        desk.send(at, node)
        for _ in range(rng.randint(0, 7)):
            at += rng.uniform(400, 3000) if rng.random() < 0.1 else rng.uniform(15, 180)
            node = desk.add(node, rng.randint(100, 700), role="assistant")
            node = desk.add(node, rng.randint(20, 300))
            desk.send(at, node)


WORKLOADS: dict[str, Callable[[Desk, Random], None]] = {
    "agents with idle gaps": agents,
    "documents of a pool": documents,
    "documents asked about once": documents_once,
    "a volatile line": volatile_line,
    "a volatile end": volatile_end,
    "a job every 25 minutes": job(1500, 150),
    "a job every 2 hours": job(7200, 60),
    "one-shot classification": one_shot,
    "wide steps": wide_steps,
    "under the minimum": under_minimum,
    "sub-agents": helpers,
    "chats": chats,
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", WORKLOADS)
def test_never_much_worse_than_the_best_fixed_policy(name: str, model: str) -> None:
    """From its first call on, it costs at most 2 % more than the best fixed baseline."""
    desk = Desk(model)
    WORKLOADS[name](desk, Random(name))
    assert ratio(desk.workload()) <= 1.02


# --------------------------------------------------------------------------- laws


def traffic(seed: int, number: int, ballast: int = 0) -> Workload:
    """Return prompts that begin alike, go on from each other, part, or come again.

    Of one seed, the first calls are the same however many come after them. ``ballast``
    are prefixes that nobody sends, so that the same prompts are other nodes.
    """
    rng = Random(seed)
    desk = Desk(rng.choice((*MODELS, "a model nobody knows")))
    for number_of_it in range(ballast):
        desk.add(desk.root, 1, f"ballast {number_of_it}")
    tips = [desk.head(rng.choice((0, 2000)), rng.choice((100, 3000)), f"{i}") for i in range(3)]
    at = rng.choice((0.0, 1.8e9))
    for _ in range(number):
        at += rng.choice((0.0, 0.5, 5.0, 30.0, 59.0, 240.0, 300.0, 301.0, 1200.0, 3599.0, 9000.0))
        node = rng.choice(tips[-12:])
        for _ in range(rng.choice((0, 1, 1, 2, 3, 22))):
            kind, role = rng.choice(
                (("text", "user"), ("text", "assistant"), ("tool_result", "user"))
            )
            refuses = rng.choice(("", "", "", "blank"))
            name = rng.choice(("", "", "same"))
            size = rng.choice((0, 10, 400, 5000))
            node = desk.add(node, size, name, kind=kind, role=role, refuses=refuses)
        tips.append(node)
        desk.send(at, node, rng.choice((None, "a", "b")))
    return desk.workload()


SEEDS = st.integers(0, 2**32)
NUMBERS = st.integers(1, 60)


class TestLaws:
    """What holds whatever is sent."""

    @given(seed=SEEDS, number=NUMBERS)
    def test_no_body_is_ever_rejected(self, seed: int, number: int) -> None:
        """The service takes every set of marks it makes."""
        assert projected(traffic(seed, number)).rejected == 0

    @given(seed=SEEDS, number=NUMBERS, more=st.integers(1, 40))
    def test_the_past_does_not_know_the_future(self, seed: int, number: int, more: int) -> None:
        """What is marked up to a moment is the same whatever comes after it."""
        past = marks(traffic(seed, number))
        assert past == marks(traffic(seed, number + more))[:number]

    @given(seed=SEEDS, number=NUMBERS)
    def test_the_same_calls_are_marked_the_same(self, seed: int, number: int) -> None:
        """Nothing is drawn: two runs make the same marks."""
        assert marks(traffic(seed, number)) == marks(traffic(seed, number))

    @given(seed=SEEDS, number=NUMBERS)
    def test_asking_twice_changes_nothing(self, seed: int, number: int) -> None:
        """A call that is decided again before it is learned from is marked the same."""
        workload = traffic(seed, number)
        policy = Adaptive(workload.tree, SHEET)
        for call, expected in zip(workload, marks(workload), strict=True):
            assert policy.decide(call) == policy.decide(call) == expected
            policy.learn(call, expected)

    @given(seed=SEEDS, number=NUMBERS, waits=st.sampled_from([0.0, 0.25, 1.0, 45.0]))
    def test_beginnings_told_later(self, seed: int, number: int, waits: float) -> None:
        """Who hears of a response's beginning when it comes marks like one who knew before."""
        workload = traffic(seed, number)
        knowing, told = (Adaptive(workload.tree, SHEET) for _ in range(2))
        for turn, one in enumerate(workload):
            call = structs.replace(one, at=one.at + 45.0 * turn)
            known = structs.replace(call, first_token_after=waits)
            found = told.decide(call)
            assert found == knowing.decide(known)
            knowing.learn(known, found)
            told.begun(told.send(call, found), call.at, call.at + waits)

    @given(seed=SEEDS, number=NUMBERS)
    def test_failures_leave_nothing(self, seed: int, number: int) -> None:
        """Of a call that failed no entry is believed that was not believed before."""
        workload = traffic(seed, number)
        policy = Adaptive(workload.tree, SHEET)
        for turn, call in enumerate(workload):
            before = {node: known.entry() for node, known in policy._memory.seen.items()}
            changes = policy.send(call, policy.decide(call))
            if turn % 2:
                policy.failed(changes)
                for node, known in policy._memory.seen.items():
                    assert known.entry() == before.get(node, State())

    @given(seed=SEEDS, number=NUMBERS, more=st.integers(1, 40), ballast=st.integers(0, 9))
    def test_what_was_learned_survives(
        self, seed: int, number: int, more: int, ballast: int
    ) -> None:
        """Stored as JSON and carried on over another tree, it decides as if nothing was."""
        workload = traffic(seed, number + more)
        expected = _named(workload, marks(workload))[number:]
        before = Adaptive(workload.tree, SHEET)
        for call in workload.calls[:number]:
            before.learn(call, before.decide(call))
        state = json.loads(json.dumps(before.state()))

        other = traffic(seed, number + more, ballast)
        after = Adaptive(other.tree, SHEET)
        after.restore(state)
        found = []
        for call in other.calls[number:]:
            found.append(after.decide(call))
            after.learn(call, found[-1])
        assert _named(other, found) == expected

    @given(seed=SEEDS, number=NUMBERS)
    def test_storing_what_was_restored_changes_nothing(self, seed: int, number: int) -> None:
        """A state that nobody has used since is the state that was stored."""
        workload = traffic(seed, number)
        policy = Adaptive(workload.tree, SHEET)
        for call in workload:
            policy.learn(call, policy.decide(call))
        again = Adaptive(PrefixTree(), SHEET)
        again.restore(policy.state())
        assert again.state() == policy.state()

    @given(seed=SEEDS, number=NUMBERS)
    def test_it_bears_any_marks(self, seed: int, number: int) -> None:
        """Calls that were sent with other marks, or none, are learned from as well."""
        workload = traffic(seed, number)
        policy = Adaptive(workload.tree, SHEET)
        others = [policy.bind(workload) for policy in FIXED]
        for call in workload:
            policy.decide(call)
            policy.learn(call, others[call.number % len(others)](call))
        assert policy.state()["lanes"]


def _named(workload: Workload, found: Sequence[Sequence[Breakpoint]]) -> list[list[object]]:
    """Return marks by the published keys of their prefixes."""
    tree = workload.tree
    return [[(tree.key(node), lifetime) for node, lifetime in each] for each in found]


# --------------------------------------------------------------------------- single rules


class Diary:
    """Sends calls one by one, and keeps what was decided."""

    def __init__(self, model: str = MODELS[0]) -> None:
        self.desk = Desk(model)
        self.policy = Adaptive(self.desk.tree, SHEET)

    def send(self, at: float, node: int, label: str | None = None) -> list[tuple[int, str]]:
        """Send a call; return its marks as tokens and lifetime."""
        self.desk.send(at, node, label)
        self.desk.tree.measure()
        call = self.desk.calls[-1]
        found = self.policy.decide(call)
        self.policy.learn(call, found)
        return [(self.desk.tree.tokens[mark.node], str(mark.lifetime)) for mark in found]


class TestRules:
    """What is marked where, one rule at a time."""

    def test_what_opens_every_call_is_marked_from_the_first_on(self) -> None:
        """Tools and system are kept at once; a text without tools after them is not."""
        diary = Diary()
        node = diary.desk.add(diary.desk.head(2000, 3000), 500)
        assert diary.send(0, node) == [(2000, "5m"), (5000, "5m"), (5500, "5m")]
        plain = Diary()
        node = plain.desk.add(plain.desk.head(0, 3000), 500)
        assert plain.send(0, node) == [(3000, "5m")]

    def test_a_prompt_under_the_minimum_is_left_alone(self) -> None:
        """Where nothing can be cached, nothing is marked."""
        diary = Diary()
        assert diary.send(0, diary.desk.add(diary.desk.head(0, 500), 100)) == []

    def test_a_conversation_is_marked_at_its_end(self) -> None:
        """A call that goes on from an earlier one is kept to its end."""
        diary = Diary()
        node = diary.desk.add(diary.desk.head(2000, 3000), 500)
        diary.send(0, node)
        assert (5700, "5m") in diary.send(20, diary.desk.step(node, 100))

    def test_a_wide_step_is_linked_to_the_one_before(self) -> None:
        """Where a step adds more than the lookback reaches, the end before it is marked."""
        diary = Diary()
        node = diary.desk.add(diary.desk.head(2000, 3000), 500)
        diary.send(0, node)
        found = diary.send(20, diary.desk.step(node, 100, width=20))
        assert {5500, 9500} <= {tokens for tokens, _ in found}

    def test_a_job_between_the_lifetimes_gets_the_hour(self) -> None:
        """A prefix that came again after 25 minutes is written for an hour."""
        diary = Diary()
        head = diary.desk.head(0, 5000)
        diary.send(0, diary.desk.add(head, 100))
        assert diary.send(1500, diary.desk.add(head, 100)) == [(5000, "1h")]

    def test_a_job_beyond_the_lifetimes_gets_nothing(self) -> None:
        """A prefix that did not come within the hour is not written again."""
        diary = Diary()
        head = diary.desk.head(0, 5000)
        assert diary.send(0, diary.desk.add(head, 100)) == [(5000, "5m")]
        assert diary.send(7200, diary.desk.add(head, 100)) == []

    def test_lanes_are_learned_apart(self) -> None:
        """Calls of one label say nothing of those of another."""
        diary = Diary()
        found = [
            diary.send(number * 100, diary.desk.add(diary.desk.head(2000, 3000), 500), "alone")
            for number in range(50)
        ]
        assert (5500, "5m") in found[0]
        assert (5500, "5m") not in found[-1]
        assert (5500, "5m") in diary.send(5000, diary.desk.add(diary.desk.head(2000, 3000), 500))

    def test_people_who_come_back_within_the_hour_get_it(self) -> None:
        """Where talks are taken up again after 10 minutes, their ends are kept longer."""
        diary = Diary()
        head, at = diary.desk.head(2000, 3000), 0.0
        longer = 0
        for _ in range(6):
            node = diary.desk.add(head, 4000)
            for _ in range(8):
                longer += any(lifetime == "1h" for _, lifetime in diary.send(at, node))
                node = diary.desk.add(diary.desk.add(node, 200, role="assistant"), 200)
                at += 600
        assert longer >= 24

    def test_after_a_pause_another_is_looked_for(self) -> None:
        """People who begin to pause are known by their pauses, however quick all were before."""
        diary = Diary()
        head = diary.desk.head(2000, 3000)
        longer = []
        for talk in range(48):
            node, at = diary.desk.add(head, 4000), 9000.0 * talk
            for _ in range(6):
                found = diary.send(at, node)
                longer.append(any(lifetime == "1h" for _, lifetime in found))
                node = diary.desk.add(diary.desk.add(node, 200, role="assistant"), 200)
                at += 20 if talk < 40 else 600
        assert not any(longer[6 * 20 : 6 * 40])
        # The first talk that pauses teaches it; those after it are kept from their pause on.
        later = [longer[6 * talk : 6 * talk + 6] for talk in range(42, 48)]
        assert sum(map(sum, later)) >= 24

    def test_a_pause_that_says_nothing_changes_little(self) -> None:
        """Where each talk pauses once and never again, keeping it for 5 minutes stays right."""
        desk = Desk()
        head = desk.head(2000, 3000)
        for talk in range(40):
            node, at = desk.add(head, 4000), 9000.0 * talk
            for turn in range(8):
                desk.send(at, node)
                node = desk.add(desk.add(node, 200, role="assistant"), 200)
                at += 600 if turn == 3 else 20
        assert ratio(desk.workload()) < 1.02

    def test_a_start_that_rests_between_quick_sessions_gets_the_hour(self) -> None:
        """What ends a call is used again at once, but its start has rested, and will again."""
        desk = Desk()
        start = desk.head(3000, 4000)
        for session in range(60):
            # The date behind it is new twice a day, so that what is alive is shorter.
            day = desk.add(start, 300, f"day {session // 24}", level=Level.SYSTEM)
            node = desk.add(day, 60)
            for turn in range(3):
                desk.send(1800.0 * session + 60.0 * turn, node)
                node = desk.step(node, 150)
        workload, tree = desk.workload(), desk.tree

        def by_hand(call: Call) -> list[Breakpoint]:
            head = Breakpoint(start, Lifetime.ONE_HOUR)
            day = Breakpoint(tree.system_end[call.tip], Lifetime.ONE_HOUR)
            return [head, day, Breakpoint(call.tip, Lifetime.FIVE_MINUTES)]

        least = cost(project(workload, by_hand, SHEET, "by hand"))
        assert cost(projected(workload)) <= least * Decimal("1.05")

    def test_what_is_being_written_is_not_written_twice(self) -> None:
        """A call beside one whose entry cannot be read yet does not pay for another."""
        diary = Diary()
        head = diary.desk.head(0, 5000)
        assert diary.send(0, diary.desk.add(head, 100)) == [(5000, "5m")]
        assert diary.send(0.5, diary.desk.add(head, 100)) == []
        assert diary.send(2, diary.desk.add(head, 100)) == [(5000, "5m")]

    def test_bursts_that_cannot_read_themselves_are_no_failure(self) -> None:
        """However many calls wait for one entry, the next burst writes one, too."""
        diary = Diary()
        head = diary.desk.head(0, 2000)
        sent: list[list[tuple[int, str]]] = []
        for burst in range(30):
            text = diary.desk.add(head, 5000)
            sent = [
                diary.send(700.0 * burst + 0.05 * number, diary.desk.add(text, 40))
                for number in range(10)
            ]
        # All but the first leave the text alone; the start is alive, or left alone as well.
        assert sent[0][-1][0] >= 7000
        assert all(tokens <= 2000 for marks in sent[1:] for tokens, _ in marks)

    def test_forecasts_that_failed_are_not_listened_to(self) -> None:
        """A lane that has cost more than 13/8 of the best simple rule follows REACT."""
        diary = Diary()
        head = diary.desk.head(0, 5000)
        diary.send(0, diary.desk.add(head, 100))
        lane = diary.policy._memory.lane(MODELS[0], None)
        lane.costs = [200_000.0, 100_000.0, 110_000.0, 120_000.0]
        assert diary.send(10_000, diary.desk.add(head, 100))[-1] == (5100, "5m")
        assert diary.send(11_000, diary.desk.add(head, 100))[-1] == (5100, "1h")

    @pytest.mark.parametrize("name", ["", "the same"])
    @pytest.mark.parametrize("model", MODELS)
    def test_an_adversary_does_not_double_the_cost(self, model: str, name: str) -> None:
        """Calls that always come when the last marks were wrong cost under twice the best."""
        # Twice is what writing everything for an hour costs at worst. The fallback's 13/8
        # is no bound on the whole: 9 of 108 such workloads passed it, by up to 0.01.
        diary, at = Diary(model), 0.0
        head = diary.desk.head(0, 5000)
        worst = {None: 20, "5m": 400, "1h": 4000}
        for _ in range(400):
            found = diary.send(at, diary.desk.add(head, 300, name))
            at += worst[min((lifetime for _, lifetime in found), default=None)]
        assert ratio(diary.desk.workload()) < 2

    def test_what_was_learned_outlives_the_cache(self) -> None:
        """After a past whose entries are gone, habits are known and nothing is alive."""
        desk = Desk()
        head = desk.head(2000, 3000)
        for number in range(40):
            desk.send(number * 100, desk.add(head, 500))
        workload = desk.workload()
        past, call = workload.calls[:-1], workload.calls[-1]
        fresh = adaptive(workload, SHEET)(call)
        learned = adaptive(workload, SHEET, past)(call)
        assert [workload.tree.tokens[mark.node] for mark in fresh] == [2000, 5000, 5500]
        assert [workload.tree.tokens[mark.node] for mark in learned] == [2000, 5000]

    def test_a_slot_is_left_where_the_service_takes_one(self) -> None:
        """Where server tools are taken to use one of the four marks, three are made."""
        desk = Desk()
        node = desk.head(2000, 3000)
        for _ in range(4):
            node = desk.step(node, 300)
        desk.send(0, node)
        workload = desk.workload()
        call = workload.calls[0]
        assert len(Adaptive(workload.tree, SHEET).decide(call)) == 4
        switched = Assumptions.parse(["server_tool_slot=true"])
        assert len(Adaptive(workload.tree, SHEET, switched).decide(call)) == 3


class TestBounds:
    """What it remembers does not grow with what it is shown."""

    def test_state_is_bounded(self) -> None:
        """However many calls, labels and prefixes come, as much is stored."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "PREFIXES", 50)
            patch.setattr(memory, "LANES", 5)
            desk = Desk()
            for number in range(300):
                desk.send(
                    number, desk.add(desk.head(2000, 3000, f"{number % 70}"), 10), f"{number}"
                )
            workload = desk.workload()
            policy = Adaptive(workload.tree, SHEET)
            for call in workload:
                policy.learn(call, policy.decide(call))
            state = policy.state()
        assert len(state["prefixes"]) <= 50
        assert len(state["lanes"]) == 5
