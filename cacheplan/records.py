"""Lines of a workload file become calls: the recorded, the digest and the planned form.

This file knows the contract's keys and nothing of files: a line comes in as bytes, and
what is wrong with it goes out as an ``InputError`` with the path inside the line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.bodies import Bodies, Envelope, Sent
from cacheplan.chains import Chains, extension
from cacheplan.digests import Digests
from cacheplan.errors import InputError
from cacheplan.lanes import kind_of
from cacheplan.lengths import settle
from cacheplan.pieces import message_pieces
from cacheplan.planned import Planned, expand, planned
from cacheplan.prefixes import PrefixTree
from cacheplan.prices import Tariff
from cacheplan.stated import Stated, stated
from cacheplan.strict_json import member, members
from cacheplan.tokens import TokenCounter
from cacheplan.unseen import front, measure_fronts
from cacheplan.waivers import Waiver
from cacheplan.wire import parse
from cacheplan.workload import Call, Expected, Workload

__all__ = ["Intake"]


class Intake:
    """Takes in the lines of one workload, in any order of time."""

    def __init__(
        self,
        counter: TokenCounter,
        assume: Assumptions | None = None,
        *,
        model: str | None = None,
        seed: int = 0,
    ) -> None:
        self.tree = PrefixTree()
        self.tree.turn = facts.MESSAGE_FRAME
        self.assume = assume or Assumptions()
        self._counter = counter
        self._model = model
        self._seed = seed
        self._bodies = Bodies(self.tree, counter, self.assume)
        self._digests = Digests(self.tree, self.assume)
        self._chains = Chains()
        self._calls: list[Call] = []
        self._planned: list[Planned] = []
        #: Calls whose blocks were counted here, as against named with their length.
        self._counted: list[int] = []
        self._partial = 0
        #: By id: what came back for a call, and how often nobody had made it.
        self._answers: dict[str, Stated] = {}
        self._strays = 0
        #: What lines waive, each once and in order.
        self._waivers: dict[Waiver, None] = {}

    def __len__(self) -> int:
        """Count the calls taken in; planned ones are made only in the end."""
        return len(self._calls)

    def add(self, raw: bytes) -> None:
        """Take in one line; a line that raises ``InputError`` adds no call."""
        try:
            self._add(raw)
        except RecursionError as error:
            raise InputError("nested too deeply to be read") from error

    def forget(self) -> None:
        """Let go of what later lines might extend: those that come extend none of these."""
        self._chains.forget()
        self._bodies.forget()

    def _add(self, raw: bytes) -> None:
        """Take in one line of any form."""
        if self._go_on(raw):
            return
        parts = members(raw)
        line = stated(parts)
        if "answers" in parts:
            self._add_answer(parts, line)
            return
        chained = "request" in parts and "extends" in parts
        if line.at is None and "calls_per_hour" not in parts and not chained:
            raise InputError("missing; a call needs its time, or calls_per_hour", ("at",))
        if chained:
            self._add_chain(parts, line)
        elif "request" in parts:
            self._add_request(parts, line)
        elif "blocks" in parts or "extends" in parts:
            if line.at is None:
                raise InputError("missing; only a request can be planned", ("at",))
            self._append(line, line.at, self._digests.read(parts, self._envelope(line), line.id))
        else:
            what = "missing; a call is a request, or blocks in the digest form"
            raise InputError(what, ("request",))

    def _add_answer(self, parts: Mapping[str, msgspec.Raw], line: Stated) -> None:
        """Keep what came back for a call that another line holds, before or after this one."""
        name = member(parts, "answers")
        if not isinstance(name, str):
            raise InputError("this is not text", ("answers",))
        if "response" not in parts and "usage" not in parts:
            raise InputError("missing; an answer has one", ("response",))
        self._answers[name] = line

    def _go_on(self, raw: bytes) -> bool:
        """Take in a line whose request goes on from an earlier one, if it can be so."""
        found = self._bodies.find(raw)
        if found is None:
            return False
        try:
            parts = members(found.text)
            line = stated(parts)
        except InputError:
            return False  # Read whole, it says where.
        if line.at is None or "extends" in parts:
            return False
        at = len(self._calls)
        sent = self._bodies.go_on(found, parts["request"], self._envelope(line), at)
        if sent is not None:
            self._counted.append(at)
            self._append(line, line.at, sent)
        return sent is not None

    def _add_request(self, parts: Mapping[str, msgspec.Raw], line: Stated) -> None:
        """Take in the recorded form, or put the planned one aside."""
        if line.at is None:
            self._add_plan(planned(parts, line._asdict(), len(self._planned)))
            return
        at = len(self._calls)
        try:
            sent = self._bodies.read_whole(parts["request"], self._envelope(line), at)
        except InputError as error:
            raise error.within("request") from error
        self._append_read(line, line.at, sent)

    def _append_read(self, line: Stated, at: float, sent: Sent | None) -> None:
        """Make the call of a line whose blocks were counted here."""
        if sent is None:
            self._partial += 1
        else:
            self._counted.append(len(self._calls))
            self._append(line, at, sent)

    def _add_chain(self, parts: Mapping[str, msgspec.Raw], line: Stated) -> None:
        """Take in a request that holds only what is new, or that others will extend.

        Without a time it is no call, and only there to be extended.
        """
        if "calls_per_hour" in parts:
            raise InputError("only a whole request can be planned", ("calls_per_hour",))
        at = None if line.at is None else len(self._calls)
        extends, keep = extension(parts)
        try:
            new = members(parts["request"])
        except InputError as error:
            raise error.within("request") from error
        chain = self._chains.resolve(new, extends, keep)
        try:
            read = self._bodies.read_chain(chain, new, self._envelope(line), at)
        except InputError as error:
            raise error.within("request") from error
        self._chains.keep(line.id, chain, read)
        if line.at is not None:
            self._append_read(line, line.at, read.sent)

    def _add_plan(self, plan: Planned) -> None:
        """Keep a planned line whose body can be read, since its calls are made later."""
        try:
            named = parse(plan.body, self.assume).model
        except InputError as error:
            raise error.within("request") from error
        if not named and not self._model:
            raise InputError("missing", ("request", "model"))
        self._planned.append(plan)

    def _lengths(self, plan: Planned, texts: Sequence[str]) -> list[int]:
        """Say how long messages of these texts are to the model of a planned line."""
        found = facts.find(self._model or plan.body["model"])
        messages = ({"role": "user", "content": text} for text in texts)
        blocks = [message_pieces(message, 0, self.assume)[0].block for message in messages]
        counts = self._counter.count(blocks, found.model if found else None)
        return [count.tokens + self.tree.turn for count in counts]

    def _envelope(self, line: Stated) -> Envelope:
        """Return what a line says of its request from outside."""
        return Envelope(
            line.platform,
            line.surface,
            line.workspace or "",
            line.at,
            self._model,
            front(line.lacks, line.label) if line.lacks else None,
        )

    def _append(self, line: Stated, at: float, sent: Sent) -> None:
        """Make the call of one line."""
        output = line.output
        if output is None:
            output = line.recorded.output if line.recorded else 0
        call = Call(
            at=at,
            tip=sent.tip,
            tariff=sent.tariff,
            marks=sent.marks,
            automatic=sent.automatic,
            first_token_after=line.first_token_after,
            output=output,
            closing=sent.closing,
            refused=sent.refused,
            failed=line.failed,
            recorded=line.recorded,
            number=len(self._calls),
            id=line.id,
            session=line.session,
            label=line.label,
            workspace=line.workspace,
            tags=line.tags,
            lacks=line.lacks,
        )
        self._calls.append(call)
        for waiver in line.waive:
            self._waivers[replace(waiver, lane=kind_of(call))] = None

    def workload(self) -> Workload:
        """Return what was taken in, in time order, every prefix measured."""
        self.forget()
        begin = min((call.at for call in self._calls), default=0.0)
        for plan in self._planned:
            for line, body in expand(plan, self._seed, partial(self._lengths, plan), begin):
                self._add_planned(line, body)
        self._bodies.count()
        self._add_rounds()
        self._add_answers()
        if self._model is None:
            measure_fronts(self.tree, self._calls)
        calls, source = settle(
            self.tree,
            self._calls,
            self._counted,
            trust_usage=self._model is None,
            estimated=self._bodies.estimated,
        )
        calls = sorted(calls, key=lambda call: call.at)
        # A name that was mistyped cost nothing, and has no price that could be asked for.
        known = [call for call in calls if not call.failed or facts.find(call.tariff.model)]
        notes = []
        if len(known) < len(calls):
            lost = len(calls) - len(known)
            notes.append(f"failed calls to models that nobody knows, left out: {lost}")
        if self._partial:
            notes.append(
                "bodies that hold only the newest messages of a conversation which the service"
                f" keeps, left out: {self._partial}"
            )
        if self._strays:
            notes.append(f"answers to calls that are not there, left out: {self._strays}")
        return Workload(
            tree=self.tree,
            calls=known,
            assume=self.assume,
            tokens_from=source,
            notes=tuple(notes),
            expected=tuple(map(self._expected, self._planned)),
            waivers=tuple(self._waivers),
        )

    def _expected(self, plan: Planned) -> Expected:
        """Say at what rate a planned line is meant to be sent."""
        line, model = plan.line, self._model or str(plan.body["model"])
        return Expected(
            line["label"] or f"planned line {plan.number + 1}",
            Tariff(model, line["platform"], line["surface"]),
            plan.calls_per_hour,
            plan.arrivals,
            plan.turns,
            plan.turn_gap,
            plan.hours,
        )

    def _add_planned(self, line: Mapping[str, Any], body: bytes) -> None:
        """Take in one call of a planned line."""
        at = len(self._calls)
        envelope = Envelope(
            line["platform"], line["surface"], line["workspace"] or "", line["at"], self._model
        )
        sent = self._bodies.read(body, envelope, at)
        if sent is not None:
            self._counted.append(at)
            self._append(Stated(**line), line["at"], sent)

    def _add_answers(self) -> None:
        """Give each call what came back for it, where another line says so."""
        left = dict(self._answers)
        for at, call in enumerate(self._calls) if left else ():
            line = left.pop(call.id, None) if call.id is not None else None
            if line is None or call.recorded is not None:
                continue
            output = line.recorded.output if line.recorded else call.output
            self._calls[at] = msgspec.structs.replace(
                call, recorded=line.recorded, failed=line.failed, output=output
            )
        self._strays = len(left)

    def _add_rounds(self) -> None:
        """Add to each call where server tools answered while it was served."""
        for at, nodes in self._bodies.rounds.items():
            self._calls[at] = msgspec.structs.replace(self._calls[at], rounds=nodes)
