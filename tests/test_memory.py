"""What is remembered: its bounds, its order, and what storing it keeps."""

from __future__ import annotations

import json
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan import memory as module
from cacheplan.errors import InputError
from cacheplan.memory import Lane, Memory, Seen, read_stored
from cacheplan.places import TAIL_TALK
from cacheplan.reuse import AGES, LATE, PAUSED, STARTS


def check(memory: Memory) -> None:
    """Assert what always holds."""
    stages = memory._stages
    assert sum(map(len, stages)) == len(memory.seen) <= module.PREFIXES
    assert len(memory.lanes) <= module.LANES
    for number, stage in enumerate(stages):
        last = float("-inf")
        for node, known in stage.items():
            assert memory.seen[node] is known
            assert known.node == node
            assert known.stage == number
            assert known.last >= last
            last = known.last
    for lane in memory.lanes.values():
        for counts in lane.places.values():
            assert min(counts.open) >= 0


def fill(seed: int, number: int, lanes: int = 3) -> tuple[Memory, float]:
    """Return a memory of prefixes used at random, and the time."""
    rng = Random(seed)
    memory, now = Memory(), 0.0
    for _ in range(number):
        now += rng.choice((0.0, 1.0, 30.0, 60.0, 250.0, 700.0, 4000.0))
        memory.advance(now)
        lane = memory.lane("model", str(rng.randrange(lanes)))
        node, place = rng.randrange(30), rng.choice(("system", "documents"))
        known = memory.seen.get(node)
        if known is not None:
            memory.close(known)
            if known.place == place:
                memory.own(known, lane, place)
        known = memory.use(node, lane, now)
        memory.open(known, place)
        known.anchor = rng.randrange(-1, 30)
        known.dead = now + 300
    return memory, now


def key(node: int) -> str:
    """Name a node."""
    return f"{node:032x}"


def copied(memory: Memory, into: Memory | None = None) -> Memory:
    """Store a memory, through JSON, and add it to another."""
    stored = read_stored(json.loads(json.dumps(msgspec.to_builtins(memory.store(key)))))
    found = into or Memory()
    lanes = found.add_lanes(stored.lanes)
    for prefix in stored.prefixes:
        anchor = -1 if prefix.anchor is None else int(prefix.anchor, 16)
        found.add_prefix(int(prefix.key, 16), anchor, lanes, prefix)
    return found


def plain(memory: Memory) -> object:
    """Return everything that two equal memories have in common."""
    lanes = {
        name: (
            lane.costs,
            lane.forks,
            {
                place: (each.hits, each.passes, each.open, each.since)
                for place, each in lane.places.items()
            },
        )
        for name, lane in memory.lanes.items()
    }
    slots = [slot for slot in Seen.__slots__ if slot not in ("lane", "case", "own", "home")]
    prefixes = {
        node: [getattr(known, slot) for slot in slots]
        + [known.own and (known.own.hits, known.own.passes), known.case is known.own]
        + [known.home and known.home[1]]
        for node, known in memory.seen.items()
    }
    return lanes, prefixes


class TestBounds:
    """However much comes, little is kept."""

    @given(seed=st.integers(0, 2**32), number=st.integers(0, 150))
    def test_it_keeps_its_order(self, seed: int, number: int) -> None:
        """Prefixes lie in their stages in the order of their last use."""
        memory, _ = fill(seed, number)
        check(memory)

    @given(seed=st.integers(0, 2**32), number=st.integers(0, 150), most=st.integers(1, 10))
    def test_of_too_many_prefixes_the_oldest_goes(self, seed: int, number: int, most: int) -> None:
        """At the limit, the prefix that was not used for longest is forgotten."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "PREFIXES", most)
            memory, _ = fill(seed, number)
            check(memory)
        unbounded, _ = fill(seed, number)
        newest = sorted(unbounded.seen.values(), key=lambda known: known.last)[-most:]
        assert sorted(known.last for known in memory.seen.values()) == [k.last for k in newest]

    def test_of_too_many_lanes_the_oldest_goes(self) -> None:
        """At the limit, the lane that nobody asked for goes, and takes nothing along."""
        memory = Memory()
        for number in range(3 * module.LANES):
            memory.lane("model", "kept")
            memory.lane("model", str(number))
        check(memory)
        assert ("model", "kept") in memory.lanes

    def test_a_forgotten_prefix_is_no_longer_waited_for(self) -> None:
        """A case that is dropped counts neither as reuse nor as its lack."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "PREFIXES", 1)
            memory = Memory()
            lane = memory.lane("model", None)
            for node in range(5):
                memory.open(memory.use(node, lane, 0.0), "system")
        memory.advance(10_000)
        assert lane.at("system").open == [0] * LATE
        assert sum(lane.at("system").passes) == LATE

    def test_what_follows_a_pause_starts_from_its_place(self) -> None:
        """It is forecast like its place at first, and soon by itself."""
        lane = Lane()
        place, paused = lane.at(TAIL_TALK), lane.at(TAIL_TALK + PAUSED)
        for _ in range(100):
            place.count(0, used=True)
        assert paused.forecast(0.0) == pytest.approx(place.forecast(0.0))
        for _ in range(12):
            for age in range(2):
                paused.count(age, used=False)
            paused.count(2, used=True)
        # They are cases of the place as well, of which they are few.
        assert paused.forecast(0.0).short < 0.3
        assert place.forecast(0.0).short > 0.8
        assert paused.forecast(0.0).long > 0.9

    def test_time_passes_age_by_age(self) -> None:
        """A case is counted at each age once it has reached its end, and not before."""
        memory = Memory()
        lane = Lane()
        memory.open(memory.use(1, lane, 0.0), "system")
        for age, edge in enumerate(AGES):
            memory.advance(edge - 0.001)
            assert sum(lane.at("system").passes) == age
            assert lane.at("system").since[age] == STARTS[age]
            memory.advance(edge)
            assert sum(lane.at("system").passes) == age + 1


class TestStoring:
    """What was stored and taken up again is what it was."""

    @given(seed=st.integers(0, 2**32), number=st.integers(0, 150))
    def test_a_copy_is_equal(self, seed: int, number: int) -> None:
        """Nothing is lost on the way through JSON, and the order is kept."""
        memory, _ = fill(seed, number)
        found = copied(memory)
        check(found)
        assert plain(found) == plain(memory)

    @given(seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
    def test_two_make_one(self, seeds: tuple[int, int]) -> None:
        """Added to another, counts are summed, and of one prefix the later use counts."""
        (one, _), (other, _) = fill(seeds[0], 60), fill(seeds[1], 60)
        both = copied(other, copied(one))
        check(both)
        for name, lane in both.lanes.items():
            for place, counts in lane.places.items():
                parts = [each.lanes[name].at(place) for each in (one, other) if name in each.lanes]
                assert sum(counts.hits) == sum(sum(part.hits) for part in parts)
        for node, known in both.seen.items():
            lasts = [each.seen[node].last for each in (one, other) if node in each.seen]
            assert known.last == max(lasts)

    @given(seed=st.integers(0, 2**32), most=st.integers(1, 10))
    def test_what_is_taken_up_is_bounded_too(self, seed: int, most: int) -> None:
        """A stored memory larger than the limit leaves its oldest prefixes out."""
        memory, _ = fill(seed, 100)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "PREFIXES", most)
            check(copied(memory))

    @pytest.mark.parametrize(
        "state",
        [
            None,
            {},
            {"format": "cacheplan.plan/1", "lanes": [], "prefixes": []},
            {"format": "cacheplan.memory/1", "lanes": [], "prefixes": [{"key": "00"}]},
            {
                "format": "cacheplan.memory/1",
                "lanes": [],
                "prefixes": [{"key": "00", "lane": 0, "last": 0, "stage": 0, "place": "system"}],
            },
        ],
    )
    def test_what_is_no_memory_is_refused(self, state: object) -> None:
        """What cannot have been stored is an error of the caller's."""
        with pytest.raises(InputError):
            read_stored(state)
