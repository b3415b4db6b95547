"""Shared prefixes: told of where prompts part, with gaps that can be counted by hand."""

from __future__ import annotations

from reviews import subject
from small import digest_line

from cacheplan.choosing import choose
from cacheplan.prompt import Level, Lifetime
from cacheplan.shared import SHOWN, STEPS, Shared, shared

SYSTEM = ("s", 3_000, "system")


def look(*lines: dict[str, object]) -> tuple[Shared, ...]:
    """Look at some calls, marked as is best for them."""
    found = subject(lines)
    return shared(found, choose(found.workload, found.sheet))


def call(number: int, at: float, *more: tuple[str, int, str]) -> dict[str, object]:
    """Return a call with the same instructions and a question of its own."""
    return digest_line([SYSTEM, *more, (f"q{number}", 50, "messages")], id=f"c{number}", at=at)


class TestFixed:
    """Prefixes at places that do not move."""

    def test_counted(self) -> None:
        """Length, calls, gaps, place and lifetime are those of the calls."""
        (row,) = look(call(0, 0), call(1, 20), call(2, 319), call(3, 619), call(4, 94_320))
        assert (row.level, row.tokens, row.calls) == (Level.SYSTEM, 3_000, 5)
        assert row.gaps == tuple(
            {30.0: 1, 300.0: 1, 900.0: 1, None: 1}.get(step, 0) for step in (*STEPS, None)
        )
        assert row.again == 4
        assert [row.within(lifetime) for lifetime in Lifetime] == [2, 3]
        assert (row.breakpoint, row.lifetime) == ("system", Lifetime.FIVE_MINUTES)
        assert len(row.prefix) >= 32

    def test_part_of_a_longer_one(self) -> None:
        """A prefix that is always continued in one way is not told of by itself."""
        lines = [
            digest_line([("t", 900, "tools"), SYSTEM, (f"q{at}", 5, "messages")], at=at)
            for at in range(3)
        ]
        assert [row.breakpoint for row in look(*lines)] == ["system"]

    def test_where_prompts_part(self) -> None:
        """Tools that two systems follow are told of beside both."""
        lines = [
            digest_line([("t", 9_000, "tools"), (f"s{at % 2}", 3_000, "system"),
                         (f"q{at}", 5, "messages")], at=at)
            for at in range(6)
        ]  # fmt: skip
        rows = look(*lines)
        assert sorted((row.breakpoint, row.calls) for row in rows) == [
            ("system", 3), ("system", 3), ("tools", 6),
        ]  # fmt: skip

    def test_nothing_shared(self) -> None:
        """Prompts that begin differently share nothing."""
        assert look(*(digest_line([(f"s{n}", 3_000, "system")], at=n) for n in range(5))) == ()

    def test_too_short(self) -> None:
        """A prefix below the minimum is told of, and why it cannot be marked."""
        lines = [
            digest_line([("s", 200, "system"), (f"q{n}", 5, "messages")], at=n) for n in (1, 2)
        ]
        (row,) = look(*lines)
        assert row.lifetime is None
        assert "shorter than the" in row.because

    def test_no_more_than_anybody_reads(self) -> None:
        """Of many prefixes, those with the most to read are told of."""
        lines = [
            digest_line([(f"s{n // 2}", 2_000 + n // 2, "system"), (f"q{n}", 5, "messages")], at=n)
            for n in range(40)
        ]
        rows = look(*lines)
        assert [row.tokens for row in rows] == [2_019 - rank for rank in range(SHOWN)]


class TestTurns:
    """The turns of conversations are told of together."""

    def test_counted(self) -> None:
        """Each call that continues another is one use, so long after the one it continues."""
        turns = (
            digest_line(
                [(f"m{turn}", 500, "messages")],
                id=f"c{turn}",
                extends=f"c{turn - 1}",
                at=turn * 100,
            )
            for turn in range(1, 4)
        )
        (row,) = look(call(0, 0), *turns)
        assert (row.prefix, row.breakpoint, row.calls) == ("", "tail after talk", 3)
        assert row.tokens == 3_050 + 500
        assert row.gaps[STEPS.index(120)] == 3
        assert row.lifetime is Lifetime.FIVE_MINUTES
        assert row.to_json()["prefix"] is None
