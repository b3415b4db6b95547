"""Call time as a pure step: a body goes in and comes out marked; what was billed comes back.

    session = Session(plan)
    body, decision = session.prepare(body, at=now)
    ...                                     # send it, by whatever means
    entry = session.observe(decision, usage, at=now)

With a plan a call is a look-up; without one the session learns (``adaptive``). It has no
clock, does no input or output and knows no SDK: whoever sends the call is its driver.

The caller's object is never touched. What comes back shares with it all that lies on no
way to a mark, and differs in ``cache_control`` alone. A body that cannot be read, or that
must not be marked, comes back as it is, and the decision says why.

A growing conversation costs work for its new blocks only: what was read of it is held
against the next body (``turns``), and a private copy of it is what makes that sound.

Any number of threads may share a session. Nothing outside a call's own arguments is read
or changed but under one lock, which is held for the work above and never while anything is
sent. Memory is bounded: by ``generation`` for prompts, by ``memory`` for what was learned.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.decision import Decision, Placed
from cacheplan.entries import Entry, Marked
from cacheplan.envelopes import Envelope, Sent
from cacheplan.errors import InputError
from cacheplan.fitting import (
    Dropped,
    Limits,
    beside,
    in_written_order,
    may_be_short,
    names,
    permitted,
    too_short,
    without_tails,
)
from cacheplan.generation import Chosen, Generation
from cacheplan.guesses import BYTES, Scale
from cacheplan.marked import marks_of
from cacheplan.marks import mark, unmark
from cacheplan.outcomes import Origin, Outcome
from cacheplan.plan import Plan
from cacheplan.prices import Sheet
from cacheplan.prompt import Breakpoint
from cacheplan.sites import sites
from cacheplan.slips import Slip
from cacheplan.turns import Reading
from cacheplan.usage import Usage
from cacheplan.validity import validate
from cacheplan.workload import Call

__all__ = ["Origin", "Outcome", "Session"]

#: A clock that goes back by more than this was set anew: what is alive is not known any
#: more. Below, time is taken to stand still, since entries only ever live longer so.
BACK: Final = 3600.0
#: Rules that were refused, and models; more than these no program has.
BARRED: Final = 4096
_SHORT: Final = "it is shorter than anything the service keeps"
_TOGETHER: Final = "the service would refuse its marks and ours together"
_WAYS: Final = ("respect", "fill", "replace")


class Session:
    """Decides where calls are marked, in the order they are made."""

    def __init__(
        self,
        plan: Plan | None = None,
        *,
        on_existing: Literal["respect", "fill", "replace"] = "respect",
        sheet: Sheet | None = None,
        assume: Assumptions | None = None,
    ) -> None:
        if on_existing not in _WAYS:
            raise InputError(f'on_existing is "{on_existing}", not {", ".join(_WAYS)}')
        _refuse_other_than_plans(plan)
        self.plan = plan
        #: Whether marks of the caller's are taken out.
        self.replaces = on_existing == "replace"
        #: Whether anybody wants to know what calls are expected to use; working that out
        #: takes a tenth of all.
        self.expecting = True
        self._on_existing = on_existing
        self._sheet = sheet or Sheet.default()
        self._assume = assume or Assumptions()
        self._scale = Scale()
        self._lock = threading.Lock()
        self._now = float("-inf")
        #: By model and label: the rules that the service refused.
        self._barred: dict[tuple[str, str | None], set[str]] = {}
        self._known: dict[tuple[str, str], Limits] = {}
        self._generation = self._begin()

    def prepare(
        self, body: Any, at: float, origin: Origin | None = None, *, apply: bool = True
    ) -> tuple[Any, Decision]:
        """Return the body to send, and what was decided; ``at`` is when it is sent.

        Without ``apply`` the body comes back as it is, and the decision says what would
        have been marked.
        """
        origin = origin or Origin()
        if not isinstance(body, dict):
            return body, _untouched(at, origin, f"{type(body).__name__} is not an object")
        try:
            with self._lock:
                return self._prepare(body, at, origin, apply=apply)
        except (InputError, RecursionError) as error:
            why = f"it cannot be read: {error}" if str(error) else "it is nested too deeply"
            return body, _untouched(at, origin, why, model=body.get("model"))

    def observe(
        self,
        decision: Decision,
        outcome: Outcome | Usage | Mapping[str, Any] | BaseException | str | None,
        at: float,
    ) -> Entry:
        """Take note of how a call ended; ``at`` is when. Returns what a ledger may keep."""
        if not isinstance(outcome, Outcome):
            outcome = Outcome(outcome, duration=max(0.0, at - decision.at))
        usage, error = outcome.ended()
        return Entry(
            at=decision.at,
            model=decision.model,
            label=decision.label,
            tags=decision.tags,
            session=decision.session,
            workspace=decision.workspace or None,
            platform=decision.platform,
            surface=decision.surface,
            applied=decision.applied,
            predicted=decision.predicted,
            usage=usage,
            first_token_after=outcome.first_token_after,
            duration=outcome.duration,
            error=error,
            status=outcome.status,
            request_id=outcome.request_id,
            message_id=outcome.message_id,
            previous_message_id=outcome.previous_message_id,
            diagnostics=outcome.diagnostics,
            retries=outcome.retries,
            **self._settled(decision, outcome, at),
        )

    def learn(self, decision: Decision, outcome: Outcome, at: float | None = None) -> None:
        """Do the same where nobody wants to know of it."""
        if isinstance(decision.slip, Slip):
            with self._lock:
                decision.slip.ended(decision, outcome, decision.at if at is None else at)

    def curious(self, decision: Decision) -> bool:
        """Tell whether an answer teaches anything, where nobody wants to know of it."""
        with self._lock:
            return isinstance(decision.slip, Slip) and self._scale.curious(decision.model)

    def begun(self, decision: Decision, at: float) -> None:
        """Take note that the response to a call begins, which may take long to end."""
        slip = decision.slip
        if isinstance(slip, Slip) and slip.applied == decision.applied:
            with self._lock:
                slip.begun(decision, at)

    def finished(self, decision: Decision, entry: Entry) -> Decision:
        """Return the decision with what became of it, and nothing else held on to."""
        return replace(
            decision, billed=entry.usage, error=entry.error, collapse=entry.collapse, slip=None
        )

    def seal(self, decision: Decision) -> Decision:
        """Return a decision that may be kept for a day, as for the results of a batch."""
        return replace(decision, slip=self._settled(decision, None, decision.at))

    def bar(self, decision: Decision, complaint: str) -> tuple[str, ...]:
        """Give up the rules behind marks that the service refused, and name them.

        Where the complaint names a block, the rule of that mark alone is given up.
        """
        named = [mark.rule for mark in decision.marks if names(complaint, mark)]
        rules = tuple(dict.fromkeys(named)) or tuple(decision.rules)
        with self._lock:
            lane = (decision.model, decision.label)
            if lane in self._barred or len(self._barred) < BARRED:
                self._barred.setdefault(lane, set()).update(rules)
        return rules

    def state(self) -> dict[str, Any] | None:
        """Return what was learned, in the shape of JSON; ``None`` where a plan decides."""
        with self._lock:
            policy = self._generation.policy
            return None if policy is None else policy.state()

    def restore(self, state: Any) -> None:
        """Add what another session, or this one on another day, has learned."""
        with self._lock:
            if self._generation.policy is not None:
                self._generation.policy.restore(state)

    # ------------------------------------------------------------ under the lock

    def _begin(self) -> Generation:
        """Begin a generation that knows no prompt yet."""
        return Generation(self.plan, self._sheet, self._assume, self._scale)

    def _current(self, at: float) -> Generation:
        """Return the generation for a call, and let time pass; it never goes back in one."""
        old = self._generation
        back = at < self._now - BACK
        if back or old.full:
            new = self._generation = self._begin()
            if old.policy is not None and new.policy is not None:
                new.policy.restore(old.policy.state())
                if back:
                    new.policy.cool()
        self._now = at if back else max(at, self._now)
        return self._generation

    def _prepare(
        self, body: dict[str, Any], at: float, origin: Origin, *, apply: bool
    ) -> tuple[Any, Decision]:
        """Read a body, decide, and mark."""
        generation = self._current(at)
        label, _, workspace, platform, surface, _ = origin
        if self._too_short(body, platform):
            return body, _untouched(at, origin, _SHORT, model=body["model"])
        reading = generation.read(body, Envelope(platform, surface, workspace))
        if reading is None:
            why = "the service holds the start of this prompt"
            return body, _untouched(at, origin, why, model=body.get("model"))
        sent = reading.sent
        call = Call(
            at=self._now,
            tip=sent.tip,
            tariff=sent.tariff,
            marks=sent.marks,
            automatic=sent.automatic,
            closing=sent.closing,
            refused=sent.refused,
            label=label,
        )
        generation.measures.grow(sent.tariff.model)
        dropped: Dropped = []
        left = self._left(reading, body)
        chosen = generation.choose(call)
        if chosen and not left:
            chosen = self._fitting(generation, body, sent, chosen, call, dropped)
            ours = self._placed(generation, body, reading, chosen, dropped)
        else:
            ours = {}
        marks = tuple(ours.values())
        applied = apply and bool(marks)
        result, going = body, call.marks
        if applied:
            plain = unmark(body) if self.replaces and reading.carries else body
            result = mark(plain, [(each.place, each.lifetime) for each in marks])
            if reading.carries and not self.replaces and validate(result, platform):
                left, ours, marks, applied, result = _TOGETHER, {}, (), False, body
        if applied:
            added = (Breakpoint(node, each.lifetime) for node, each in ours.items())
            going = tuple(sorted(added if self.replaces else (*sent.marks, *added)))
        sending = generation.send(call, going, expecting=self.expecting)
        decision = Decision(
            at=at,
            model=sent.tariff.model,
            **origin._asdict(),
            marks=marks,
            applied=applied,
            found=generation.marked(call) if sent.marks else (),
            left=left or ("" if applied else _why(marks)),
            dropped=tuple(dropped),
            predicted=sending.usage,
            slip=Slip(generation, call, tuple(ours), going, applied, sending),
        )
        return result, decision

    def _too_short(self, body: dict[str, Any], platform: str) -> bool:
        """Tell whether a prompt is shorter than anything the service keeps."""
        model = body.get("model")
        if not isinstance(model, str) or not may_be_short(body):
            return False
        limits = self._limits(model, platform)
        if limits.minimum is None or limits.per_byte is None:
            return False
        return too_short(body, self._scale.factor(model) * limits.per_byte, limits.minimum)

    def _limits(self, model: str, platform: str) -> Limits:
        """Return what holds for a model on a platform; asked for with every call."""
        found = self._known.get((model, platform))
        if found is None:
            known = facts.find(model)
            if len(self._known) >= BARRED:
                self._known.clear()
            found = self._known[model, platform] = Limits(
                self._sheet.minimum(model, platform, self._assume),
                facts.takes_one_hour(known.model if known else None, platform),
                1 / BYTES[known.model.generation] if known else None,
            )
        return found

    def _left(self, reading: Reading, body: Mapping[str, Any]) -> str:
        """Say why a body is left alone for the marks it carries; nothing if it is not."""
        sent = reading.sent
        respects = reading.carries and self._on_existing == "respect"
        if respects and (sent.marks or sent.automatic is not None or any(marks_of(body))):
            return "it carries marks already"
        if sent.refused is not None and self._on_existing == "fill":
            return "the service refuses the marks it carries"
        return ""

    def _fitting(
        self,
        generation: Generation,
        body: Mapping[str, Any],
        sent: Sent,
        chosen: list[Chosen],
        call: Call,
        dropped: Dropped,
    ) -> list[Chosen]:
        """Keep of the wanted marks what the service and the body take."""
        tariff = sent.tariff
        limits = self._limits(tariff.model, tariff.platform)
        barred = self._barred.get((tariff.model, call.label), ())
        chosen = permitted(generation.tree, chosen, limits, barred, dropped)
        if body.get("max_tokens") == 0:
            chosen = without_tails(chosen, dropped)
        if self._on_existing == "fill" and (sent.marks or sent.automatic is not None):
            chosen = beside(body, sent, chosen, dropped)
        return chosen

    def _placed(
        self,
        generation: Generation,
        body: Mapping[str, Any],
        reading: Reading,
        chosen: list[Chosen],
        dropped: Dropped,
    ) -> dict[int, Placed]:
        """Find the places of the wanted marks in a body; by the prefix that each ends."""
        nodes = [each.breakpoint.node for each in chosen]
        places = sites(body, generation.tree, reading, nodes, self._assume) if nodes else {}
        found = {}
        for each in chosen:
            node, lifetime = each.breakpoint
            if node in places:
                found[node] = Placed(
                    place=places[node],
                    rule=each.rule,
                    lifetime=lifetime,
                    tokens=generation.tree.tokens[node],
                    because=each.because,
                )
            else:
                dropped.append((each.rule, "no mark may stand there"))
        return in_written_order(found)

    def _settled(self, decision: Decision, outcome: Outcome | None, at: float) -> dict[str, Any]:
        """Learn from an answer, and return what the entry says of the prompt."""
        if decision.slip is None:
            return {"marked": decision.found}
        if not isinstance(decision.slip, Slip):
            return dict(decision.slip)
        generation, call, nodes, *_ = decision.slip
        collapse = None
        with self._lock:
            if outcome is not None:
                decision.slip.ended(decision, outcome, at)
                collapse = decision.slip.collapse(decision, outcome)
            if outcome is None:
                parent, steps = b"", generation.whole(call.tip)
            else:
                parent, steps = generation.steps(call.tip, decision.at)
            tip, keys = generation.key(call.tip), [generation.key(node) for node in nodes]
        marked = () if decision.applied and self.replaces else decision.found
        if decision.applied:
            ours = (
                Marked(key=key, tokens=each.tokens, lifetime=each.lifetime, rule=each.rule)
                for key, each in zip(keys, decision.marks, strict=True)
            )
            marked = tuple(sorted((*marked, *ours), key=lambda each: each.tokens))
        tariff = call.tariff
        return {
            "tip": tip,
            "parent": parent,
            "steps": steps,
            "marked": marked,
            "speed": tariff.speed,
            "geo": tariff.geo,
            "collapse": collapse,
        }


def _refuse_other_than_plans(given: object) -> None:
    """Say at once that a plan is none; a file's name is what people try."""
    if not isinstance(given, Plan | None):
        found = type(given).__name__
        raise InputError(f"plan is a {found}, not a Plan; Plan.load(NAME) reads one")


def _untouched(at: float, origin: Origin, why: str, model: Any = "") -> Decision:
    """Return the decision to leave a body alone that was not taken apart."""
    named = model if isinstance(model, str) else ""
    return Decision(at=at, model=named, **origin._asdict(), left=why)


def _why(marks: tuple[Placed, ...]) -> str:
    """Say why a body that could be marked was not."""
    return "only watched" if marks else "nothing is worth a mark"
