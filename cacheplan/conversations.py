"""What the service refuses in a body, marks aside: its shape, and talk that makes no sense.

Marks are ``validity``'s; here are members that are missing or of another shape, messages
without content, tools of one name, and tool calls that nobody answers. The words are the
API's where users have reported them (its validator's "Field required" and "Input should
be", the sentences on tool results and tool names); the rest are ours. This file looks at
bodies, and at single blocks in the order of a prompt; it neither hashes nor counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from cacheplan import facts
from cacheplan.errors import InputError
from cacheplan.validity import Fault, validate

__all__ = [
    "BEGINNING",
    "EMPTY",
    "MEMBERS",
    "TWICE",
    "Gap",
    "Turn",
    "complaint",
    "faults",
    "gone",
    "nonsense",
    "said",
    "shape",
    "twice",
    "unsupported",
]

#: Every member that a body may have: the SDK's two lists (anthropic 2.12.0), what sampling
#: members older models take, and what the platforms' clients add.
MEMBERS: Final = frozenset(
    {
        "anthropic_beta", "anthropic_version", "betas", "billing_policy", "cache_control",
        "compaction", "container", "context_management", "diagnostics",
        "fallback_credit_token", "fallbacks", "inference_geo", "max_tokens", "mcp_servers",
        "messages", "metadata", "model", "output_config", "output_format", "service_tier",
        "speed", "stop_sequences", "stream", "system", "temperature", "thinking", "thread",
        "tool_choice", "tools", "top_k", "top_p", "user_profile_id", "workspace_id",
    }
)  # fmt: skip

_NO_OBJECT: Final = "Input should be a valid dictionary or object to extract fields from"
EMPTY: Final = "messages: at least one message is required"
#: anthropics/claude-code#10687, 2025-10-31; danny-avila/LibreChat#13162, 2026-05-17.
TWICE: Final = "tools: Tool names must be unique."
_UNANSWERED: Final = (
    "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after:"
    " {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
    " message."
)
_UNASKED: Final = (
    "messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {ids}. Each"
    " `tool_result` block must have a corresponding `tool_use` block in the previous message."
)


def shape(
    body: Any, *, needed: Collection[str] = ("messages",), closed: bool = False
) -> Iterator[Fault]:
    """Yield what is wrong with a body's members, in the order of its validator.

    ``needed`` are those that have to be there; only a ``closed`` list refuses members that
    nobody here knows.

    >>> print(*shape({"messages": []}))
    messages: at least one message is required
    """
    for message in _shape(body, needed, closed=closed):
        yield Fault("shape", message)


def unsupported(body: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what a model that is known does not do."""
    name = body.get("model")
    found = facts.find(name) if isinstance(name, str) else None
    if found is None:
        return
    asked, most = body.get("max_tokens"), found.model.max_output
    if isinstance(asked, int) and asked > most:
        words = (
            f"max_tokens: {asked} > {most}, which is the maximum allowed number of"
            f" output tokens for {name}"
        )
        yield Fault("max-tokens", words, ("max_tokens",))
    choice = body.get("tool_choice")
    forced = choice.get("type") if isinstance(choice, Mapping) else None
    if forced in ("any", "tool") and not found.model.takes_forced_tools:
        words = f'tool_choice.type: "{forced}" is not supported by {name}'
        yield Fault("forced-tool", words, ("tool_choice", "type"))


def nonsense(body: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield tools of one name, tool calls that nobody answers, and answers to no call.

    The body has to have the right shape. Messages of one role in a row are one turn to the
    service; of a thread that it keeps itself it knows what came before.
    """
    tools = body.get("tools")
    if twice(one.get("name") for one in tools or () if isinstance(one, Mapping)):
        yield Fault("tool-names", TWICE, ("tools",), quoted=True)
    thread = body.get("thread")
    if isinstance(thread, Mapping) and thread.get("type") == "continue":
        return
    for gap in _gaps(body["messages"]):
        yield Fault("tool-results", said(gap, gap.at), ("messages", gap.at), quoted=True)


def twice(names: Iterable[object]) -> bool:
    """Tell whether two tools have one name; lists of tools may have none."""
    named = [name for name in names if isinstance(name, str)]
    return len(set(named)) < len(named)


# --- tool calls and their answers --------------------------------------------------------


class Gap(NamedTuple):
    """A call of tools without its answers, or answers without a call."""

    asked: bool
    #: Where it stands, as whoever takes the steps counts places.
    at: int
    ids: tuple[str, ...]


class Turn(NamedTuple):
    """How far tool calls are answered at one point of a conversation."""

    role: str = ""
    #: Ids of tools called in the newest turn of the assistant, where that ended, and which
    #: of them are answered since.
    called: frozenset[str] = frozenset()
    at: int = 0
    answered: frozenset[str] = frozenset()

    def to(self, role: str, at: int) -> tuple[Turn, Gap | None]:
        """Go on with something that this role says; what is said now may leave a gap."""
        if role == "system":
            return self, None
        if role == "assistant":
            begins = Turn(role, at=at)
            return (self._replace(at=at), None) if self.role == role else (begins, self.left())
        return self if self.role == role else self._replace(role=role), None

    def over(self, block: Mapping[str, Any], at: int) -> tuple[Turn, Gap | None]:
        """Go over one block of what is being said."""
        if self.role == "assistant" and block.get("type") == "tool_use":
            return self._replace(called=self.called | {str(block.get("id"))}, at=at), None
        if self.role != "assistant" and block.get("type") == "tool_result":
            name = str(block.get("tool_use_id"))
            gap = None if name in self.called else Gap(asked=False, at=at, ids=(name,))
            return self._replace(answered=self.answered | {name}), gap
        return self, None

    def left(self) -> Gap | None:
        """Return what nobody has answered, if the turn ends here."""
        open_ = tuple(sorted(self.called - self.answered))
        return Gap(asked=True, at=self.at, ids=open_) if open_ else None


#: Before anything is said.
BEGINNING: Final = Turn()


def said(gap: Gap, message: int) -> str:
    """Say a gap as the API does, in the message where it stands."""
    words = _UNANSWERED if gap.asked else _UNASKED
    return words.format(at=message, ids=", ".join(gap.ids))


def _gaps(messages: Iterable[Mapping[str, Any]]) -> Iterator[Gap]:
    """Yield the gaps of a conversation."""
    turn = BEGINNING
    for at, message in enumerate(messages):
        turn, gap = turn.to(message["role"], at)
        if gap is not None:
            yield gap
        if message["role"] == "system" or isinstance(message["content"], str):
            continue
        for block in message["content"]:
            turn, gap = turn.over(block, at)
            if gap is not None:
                yield gap
    gap = turn.left()
    if gap is not None:
        yield gap


# --- members -----------------------------------------------------------------------------


def _shape(body: Any, needed: Collection[str], *, closed: bool) -> Iterator[str]:
    """Yield what is wrong with a body's members."""
    if not isinstance(body, Mapping):
        yield _NO_OBJECT
        return
    yield from (f"{name}: Field required" for name in needed if body.get(name) is None)
    if closed:
        unknown = (name for name in body if name not in MEMBERS)
        yield from (f"{name}: Extra inputs are not permitted" for name in unknown)
    yield from _plain(body)
    messages = body.get("messages")
    if messages is None:
        return
    if not isinstance(messages, list):
        yield "messages: Input should be a valid list"
        return
    if not messages:
        yield EMPTY
    for index, message in enumerate(messages):
        yield from _turn(message, f"messages.{index}", last=index == len(messages) - 1)


def _plain(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with members that are no prompt."""
    model = body.get("model")
    if not isinstance(model, str | None):
        yield "model: Input should be a valid string"
    elif model == "":
        yield "model: String should have at least 1 character"
    most = body.get("max_tokens", 0)
    if not isinstance(most, int) or isinstance(most, bool):
        yield "max_tokens: Input should be a valid integer"
    elif most < 0:
        yield "max_tokens: Input should be greater than or equal to 0"
    for name in ("tools", "stop_sequences"):
        if not isinstance(body.get(name), list | None):
            yield f"{name}: Input should be a valid list"


def _turn(message: Any, at: str, *, last: bool) -> Iterator[str]:
    """Yield what is wrong with the shape of one message."""
    if not isinstance(message, Mapping):
        yield f"{at}: {_NO_OBJECT}"
        return
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        words = "Input should be 'user' or 'assistant'" if "role" in message else "Field required"
        yield f"{at}.role: {words}"
    if not isinstance(content, str | list):
        words = "Input should be a valid list" if "content" in message else "Field required"
        yield f"{at}.content: {words}"
    elif not content and not (last and role == "assistant") and not _sets(message):
        yield (
            f"{at}: all messages must have non-empty content except for the optional final"
            " assistant message"
        )
    for number, block in enumerate(content if isinstance(content, list) else ()):
        yield from _block(block, f"{at}.content.{number}")


def _sets(message: Mapping[str, Any]) -> bool:
    """Tell whether a message may say nothing because it sets how turns are answered.

    Claude Code sends such ones after a compaction (2.1.330 under the beta
    per-turn-control-2026-07-01, seen 2026-11-21); no page that we have says more of them.
    """
    return message.get("role") == "system" and "output_config" in message


def _block(block: Any, at: str) -> Iterator[str]:
    """Yield what is wrong with one content block."""
    if not isinstance(block, Mapping):
        yield f"{at}: {_NO_OBJECT}"
    elif "type" not in block:
        yield f"{at}: Unable to extract tag using discriminator 'type'"
    elif block["type"] == "text" and not isinstance(block.get("text"), str):
        yield f"{at}.text.text: Field required"


def faults(
    body: Mapping[str, Any], platform: str, surface: str, *, strict: bool = True
) -> Iterator[Fault]:
    """Yield marks that may not stand, and then, if ``strict``, talk that makes no sense.

    What our own reading of a mark complains of is a fault like any other.
    """
    try:
        yield from validate(body, platform, surface=surface)
    except InputError as error:
        yield Fault("invalid-mark", complaint(error), error.path)
        return
    if strict:
        yield from nonsense(body)


def gone(name: str, platform: str, at: float) -> bool:
    """Tell whether a model that was there once is served no more."""
    found = facts.find(name)
    retired = found.model.retired if found is not None else None
    return platform == "anthropic" and bool(retired) and at >= facts.moment(str(retired))


def complaint(error: InputError) -> str:
    """Say one of our own complaints with the API's way of naming a place."""
    path = ".".join(map(str, error.path))
    return f"{path}: {error.what}" if path else error.what
