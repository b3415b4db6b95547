"""From a body to a message: refused as the API would, charged as the simulator says.

This file may know bodies, replies and usage. What comes in is decoded, what goes out is
the API's message as a document; HTTP, streams and clocks are elsewhere.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.billing import billed
from cacheplan.conversations import complaint
from cacheplan.envelopes import Envelope, Sent
from cacheplan.errors import InputError, RejectedError, UnknownFactError, UnsupportedError
from cacheplan.explanation import explain
from cacheplan.io.fake.asking import sensible, shaped, supported
from cacheplan.io.fake.exchange import Refusal, encode
from cacheplan.io.fake.prompts import Prompts
from cacheplan.io.fake.replies import Reply, Script, blocks_of
from cacheplan.prices import Sheet
from cacheplan.stated import recorded_usage
from cacheplan.tokens import TokenCounter
from cacheplan.usage import Usage

__all__ = ["Messages", "Said"]

#: The API's words for what parted two calls; our further reasons are none of its.
_REASONS: Final = frozenset(
    {"model_changed", "tools_changed", "system_changed", "messages_changed"}
)
#: Members that the API's diagnosis says nothing about once they differ.
_OPAQUE: Final = ("betas", "anthropic_beta", "context_management")


#: Members that a thread does not hold on to.
_OF_ONE_CALL: Final = frozenset({"diagnostics", "stream"})
#: What a call without room for an answer is told; what was scripted waits for the next.
_NOTHING: Final = Reply(content=())


class Said(NamedTuple):
    """One message, and what its prompt and its text were charged."""

    message: dict[str, Any]
    usage: Usage
    #: Whole, where the caller sent only the newest part of a thread.
    body: Mapping[str, Any]
    #: How often the model was asked: once, and again after each answer of a server tool.
    rounds: int = 1


class _Heard(NamedTuple):
    """One prompt that was served, as far as it is needed to serve it again."""

    raw: bytes
    envelope: Envelope
    first_token_after: float


class Messages:
    """Answers prompts, one after the other.

    ``counter`` makes one who counts tokens, and may remember every block it was shown.
    ``keep`` bounds what is remembered: the newest so many calls. Entries that only older
    calls wrote or read are forgotten with them.
    """

    def __init__(
        self,
        counter: Callable[[], TokenCounter],
        sheet: Sheet,
        assume: Assumptions,
        *,
        strict: bool = True,
        keep: int | None = None,
    ) -> None:
        self.script = Script()
        self._counter = counter
        #: What calls are priced by, where that is asked for.
        self.sheet = sheet
        self._assume = assume
        self._strict = strict
        self._keep = keep
        self._prompts = Prompts(counter(), sheet, assume)
        self._made = 0
        self._said: dict[str, Said] = {}
        self._heard: deque[_Heard] = deque(maxlen=keep)
        self._since = 0

    def create(
        self, body: Any, envelope: Envelope, first_token_after: float = 1.0
    ) -> Said | Refusal:
        """Answer one body."""
        sent = self._read(body, envelope)
        if isinstance(sent, Refusal):
            return sent
        body, raw, prompt = sent
        if prompt.refused is not None:
            return Refusal(400, prompt.refused)
        reply = self.script.next() if body["max_tokens"] else _NOTHING
        try:
            content = blocks_of(reply, body)
        except Exception as error:  # noqa: BLE001 -- a test's own function may raise anything
            words = f"the function that replies raised {error!r}"
            return Refusal(500, words, headers={"x-should-retry": "false"})
        try:
            rounds = self._rounds(body, content, prompt, envelope)
            at = envelope.at or 0.0
            usage = self._prompts.serve(prompt, at, first_token_after, rounds)
        except RejectedError as error:
            return Refusal(400, str(error))
        self._remember(_Heard(raw, envelope, first_token_after))
        done = self._say(body, content, reply, usage, envelope)
        done = done._replace(rounds=1 + len(rounds))
        self._said[done.message["id"]] = done
        return done

    def count(self, body: Any, envelope: Envelope) -> int | Refusal:
        """Count the tokens of one body; no cache is asked, and nothing is written."""
        sent = self._read(body, envelope, counting=True)
        return sent if isinstance(sent, Refusal) else self._prompts.length(sent[2])

    def _read(
        self, body: Any, envelope: Envelope, *, counting: bool = False
    ) -> tuple[dict[str, Any], bytes, Sent] | Refusal:
        """Read a body whole, or say what is wrong with it."""
        where = envelope.platform
        refusal = shaped(body, counting=counting, strict=self._strict) or supported(
            body, where, self.sheet, self._assume, envelope.at or 0.0
        )
        if refusal is None:
            body = self._whole(body)
        if refusal is None and not isinstance(body, Refusal):
            refusal = sensible(body, where, envelope.surface, strict=self._strict)
        if refusal is not None or isinstance(body, Refusal):
            return refusal or body
        raw = encode(body)
        try:
            sent = self._prompts.read(raw, envelope)
        except InputError as error:
            return Refusal(400, complaint(error))
        found = facts.find(body["model"])
        length = self._prompts.length(sent)
        if found is not None and length > found.model.context:
            words = f"prompt is too long: {length} tokens > {found.model.context} maximum"
            return Refusal(400, words)
        return body, raw, sent

    def _whole(self, body: dict[str, Any]) -> dict[str, Any] | Refusal:
        """Put in front of a thread's newest messages what the service holds of it."""
        thread = body.get("thread")
        if not isinstance(thread, Mapping):
            return body
        whole = {key: part for key, part in body.items() if key != "thread"}
        if thread.get("type") != "continue":
            return whole
        known = self._said.get(str(thread.get("previous_message_id")))
        if known is None:
            return Refusal(404, "thread.previous_message_id: this message is not known")
        answer = {"role": "assistant", "content": known.message["content"]}
        whole["messages"] = [*known.body["messages"], answer, *body["messages"]]
        before = {key: part for key, part in known.body.items() if key not in _OF_ONE_CALL}
        return {**before, **whole}

    def _rounds(
        self,
        body: Mapping[str, Any],
        content: list[dict[str, Any]],
        prompt: Sent,
        envelope: Envelope,
    ) -> tuple[int, ...]:
        """Say where server tools answer within this reply, so that each round is charged."""
        if not any(str(block.get("type")).endswith("_tool_result") for block in content):
            return ()
        answer = {"role": "assistant", "content": content}
        longer = {**body, "messages": [*body["messages"], answer]}
        self._prompts.read(encode(longer), envelope)
        return self._prompts.rounds(prompt)

    def _say(
        self,
        body: Mapping[str, Any],
        content: list[dict[str, Any]],
        reply: Reply,
        usage: Usage,
        envelope: Envelope,
    ) -> Said:
        """Make the message, usage and all."""
        output, stop = reply.output_tokens, reply.stop_reason
        if output is None:
            output = self._prompts.written(content, body["model"])
        called = any(block.get("type") == "tool_use" for block in content)
        stop = stop or ("tool_use" if called else "end_turn")
        if output > body["max_tokens"] or not body["max_tokens"]:
            output, stop = body["max_tokens"], "max_tokens"
            content = [_shortened(block, output) for block in content]
        counted = {
            "input_tokens": usage.uncached,
            "cache_creation_input_tokens": usage.written,
            "cache_read_input_tokens": usage.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.write_5m,
                "ephemeral_1h_input_tokens": usage.write_1h,
            },
            "output_tokens": output,
            "service_tier": "batch" if envelope.surface == "batch" else "standard",
            "inference_geo": body.get("inference_geo") or "global",
            **({"speed": body["speed"]} if body.get("speed") else {}),
            **reply.usage,
        }
        self._made += 1
        message = {
            "id": f"msg_{self._made:024d}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "stop_details": None,
            "usage": counted,
        }
        if isinstance(body.get("diagnostics"), Mapping):
            message["diagnostics"] = self._diagnosis(body, usage)
        # What a test gives the answer may be billed in several rounds; what cannot be read is said.
        return Said(message, billed(counted) or recorded_usage(counted), body)

    def _diagnosis(self, body: Mapping[str, Any], usage: Usage) -> dict[str, Any] | None:
        """Say why the call before this one was not read in full; ``None`` where it was."""
        previous = body["diagnostics"].get("previous_message_id")
        if previous is None:
            return None
        known = self._said.get(previous)
        if known is None:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        missed = known.usage.read + known.usage.written - usage.read
        if missed <= 0:
            return None
        reason = self._reason(known.body, body)
        if reason == "unavailable":
            return {"cache_miss_reason": {"type": reason}}
        if reason not in _REASONS:
            return None
        return {"cache_miss_reason": {"type": reason, "cache_missed_input_tokens": missed}}

    def _reason(self, earlier: Mapping[str, Any], later: Mapping[str, Any]) -> str | None:
        """Name what parted two calls, where that can be told."""
        if any(earlier.get(name) != later.get(name) for name in _OPAQUE):
            return "unavailable"
        try:
            return explain(
                earlier, later, counter=self._counter(), sheet=self.sheet, assume=self._assume
            ).reason
        except (UnknownFactError, UnsupportedError):
            return "unavailable"

    def _remember(self, heard: _Heard) -> None:
        """Keep what was served, and no more of it than was asked for."""
        if self._keep is None:
            return
        self._heard.append(heard)
        self._since += 1
        while len(self._said) > self._keep:
            del self._said[next(iter(self._said))]
        if self._since > 2 * self._keep:
            self._since = 0
            self._renew()

    def _renew(self) -> None:
        """Start over with the newest calls alone, for a tree only ever grows."""
        self._prompts = Prompts(self._counter(), self.sheet, self._assume)
        for raw, envelope, first_token_after in self._heard:
            sent = self._prompts.read(raw, envelope)
            self._prompts.serve(sent, envelope.at or 0.0, first_token_after)


def _shortened(block: dict[str, Any], tokens: int) -> dict[str, Any]:
    """Cut a text to about as many tokens, at four characters each."""
    if block.get("type") != "text":
        return block
    return {**block, "text": block["text"][: math.ceil(4 * tokens)]}
