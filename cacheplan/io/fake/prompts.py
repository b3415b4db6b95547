"""Prompts as they come in, served by one simulated cache in which nothing is foreseen.

The tree of prefixes grows with every call; what a call is charged is what the simulator
says, to the token. This file reads no clock: the time of a call is passed in, and never
runs backwards.
"""

from __future__ import annotations

from typing import Any

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies, Envelope, Sent
from cacheplan.errors import InputError
from cacheplan.pieces import message_pieces
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Sheet
from cacheplan.simulator import SimulatedCache
from cacheplan.tokens import TokenCounter
from cacheplan.usage import Usage
from cacheplan.workload import Call

__all__ = ["Prompts"]


class Prompts:
    """One service's memory of prompts."""

    def __init__(self, counter: TokenCounter, sheet: Sheet, assume: Assumptions) -> None:
        self._counter = counter
        self._sheet = sheet
        self._assume = assume
        self._tree = PrefixTree()
        self._tree.turn = facts.MESSAGE_FRAME
        self._bodies = Bodies(self._tree, counter, assume)
        self._cache = SimulatedCache(self._tree, self._minimum, assume)
        self._measured = 0
        self._read = 0
        #: By prompt: the number under which it was first read.
        self._first: dict[int, int] = {}

    def _minimum(self, tariff: Any) -> int | None:
        """Return the shortest prefix that is cached under a tariff."""
        return self._sheet.minimum(tariff.model, tariff.platform, self._assume)

    def read(self, raw: bytes, envelope: Envelope) -> Sent:
        """Read one body and measure what is new in it."""
        sent = self._bodies.read(raw, envelope, self._read)
        if sent is None:
            raise InputError("the start of this prompt is kept by nobody here", ("thread",))
        self._first.setdefault(sent.tip, self._read)
        self._read += 1
        self._bodies.count()
        self._tree.measure(self._measured)
        self._measured = len(self._tree)
        return sent

    def length(self, sent: Sent) -> int:
        """Return how many tokens a prompt has."""
        return self._tree.tokens[sent.tip] + sent.closing

    def rounds(self, sent: Sent) -> tuple[int, ...]:
        """Return where server tools answered this prompt, once a body repeats the answer."""
        return self._bodies.rounds.get(self._first[sent.tip], ())

    def serve(
        self, sent: Sent, at: float, first_token_after: float, rounds: tuple[int, ...] = ()
    ) -> Usage:
        """Charge one prompt; raise ``RejectedError`` where the service would not take it."""
        call = Call(
            at=at,
            tip=sent.tip,
            tariff=sent.tariff,
            marks=sent.marks,
            automatic=sent.automatic,
            first_token_after=first_token_after,
            closing=sent.closing,
            refused=sent.refused,
            rounds=rounds,
        )
        return self._cache.serve(call, call.marks)

    def written(self, content: list[dict[str, Any]], model: str) -> int:
        """Count what the model wrote."""
        message = {"role": "assistant", "content": content}
        found = facts.find(model)
        blocks = [piece.block for piece in message_pieces(message, 0, self._assume)]
        counts = self._counter.count(blocks, found.model if found else None)
        return sum(count.tokens for count in counts)
