"""Lengths at call time: exact where the service said so, and in order everywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cacheplan.guesses import Scale
from cacheplan.measures import Measures
from cacheplan.prefixes import PrefixTree, Scope
from cacheplan.prices import Tariff
from cacheplan.prompt import Block, Breakpoint, Level, Lifetime
from cacheplan.usage import Usage
from cacheplan.workload import Call

MODEL = "claude-sonnet-5"
CLOSING = 3


class Desk:
    """A tree whose blocks are guessed to be one length, and are another."""

    def __init__(self) -> None:
        self.tree = PrefixTree()
        self.root = self.tree.root(Scope(MODEL, "anthropic", "messages", ""))
        self.truth = {self.root: 0}
        self.measures = Measures(self.tree, Scale())

    def add(self, above: int, guess: int, truth: int) -> int:
        """Append a block."""
        digest = str(len(self.tree)).encode().ljust(16, b".")
        block = Block(level=Level.MESSAGES, kind="text", digest=digest, tokens=guess)
        node = self.tree.child(above, self.tree.intern(block))
        self.truth[node] = self.truth[above] + truth
        self.measures.grow(MODEL)
        return node

    def bill(self, tip: int, last: int = -1, off: int = 0) -> None:
        """Send a prompt that is marked at one of its prefixes, and learn from the bill."""
        marks = (Breakpoint(last, Lifetime.FIVE_MINUTES),) if last >= 0 else ()
        cached = self.truth[last] + off if marks else 0
        rest = self.truth[tip] - (self.truth[last] if marks else 0) + CLOSING
        call = Call(at=0.0, tip=tip, tariff=Tariff(MODEL), closing=CLOSING)
        self.measures.settle(call, marks, Usage(uncached=rest, read=cached))
        self.tree.check()


@st.composite
def desks(draw: st.DrawFn) -> tuple[Desk, list[int]]:
    """Draw prompts that share beginnings."""
    desk = Desk()
    nodes = [desk.root]
    for _ in range(draw(st.integers(1, 14))):
        above = draw(st.sampled_from(nodes))
        guess = draw(st.integers(0, 900))
        nodes.append(desk.add(above, guess, draw(st.integers(1 + guess // 2, 1 + 2 * guess))))
    return desk, nodes


@given(desks(), st.data())
def test_the_services_word(drawn: tuple[Desk, list[int]], data: st.DataObject) -> None:
    """What was billed is exact from then on, whatever else becomes known; the rest lies between."""
    desk, nodes = drawn
    tree, said = desk.tree, set[int]()
    for _ in range(data.draw(st.integers(1, 8))):
        tip = data.draw(st.sampled_from(nodes[1:]))
        last = data.draw(st.sampled_from([-1, *tree.path(tip)]))
        desk.bill(tip, last)
        said |= {tip} | ({last} - {-1})
        for node in said:
            assert tree.tokens[node] == desk.truth[node]
            assert tree.doubt[node] == 0
        grown = desk.add(tip, 50, 60)
        assert tree.tokens[grown] >= desk.truth[tip]
        nodes.append(grown)


@given(desks(), st.data())
def test_words_that_do_not_fit(drawn: tuple[Desk, list[int]], data: st.DataObject) -> None:
    """Whatever the service says, no longer prefix is shorter than one it goes on from."""
    desk, nodes = drawn
    for _ in range(data.draw(st.integers(1, 8))):
        tip = data.draw(st.sampled_from(nodes[1:]))
        last = data.draw(st.sampled_from(desk.tree.path(tip)))
        desk.bill(tip, last, off=data.draw(st.integers(0, 2_000)))


def test_a_prefix_that_others_go_on_from() -> None:
    """Of a shared beginning the length is learned too, and all that hangs on it moves along."""
    desk = Desk()
    system = desk.add(desk.root, 4_000, 5_000)
    first, second = desk.add(system, 10, 12), desk.add(system, 20, 25)
    desk.bill(first, system)
    assert [desk.tree.tokens[node] for node in (system, first, second)] == [5_000, 5_012, 5_020]


def test_out_of_all_proportion() -> None:
    """An answer that can be none to this prompt is not taken for its length."""
    desk = Desk()
    system = desk.add(desk.root, 4_000, 40)
    desk.bill(system, system)
    assert desk.tree.tokens[system] == 4_000


def test_what_is_new_corrects_the_guesses() -> None:
    """The guess of a block that comes after an answer is off by less."""
    desk = Desk()
    system = desk.add(desk.root, 4_000, 8_000)
    desk.bill(system, system)
    before, after = 1_000, desk.tree.tokens[desk.add(system, 1_000, 2_000)] - 8_000
    assert before < after <= 2_000
