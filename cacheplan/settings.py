"""What besides blocks decides a prefix: one digest a level, from the parameters of a call.

The table of what invalidates which level is the prompt-caching page's (2026-09-26); the
doubtful scopes are switches of ``Assumptions``. A parameter that no function here reads
takes no part: length and sampling (``max_tokens``, ``temperature``, ``top_p``, ``top_k``,
``stop_sequences``), delivery (``stream``), booking (``metadata``, ``service_tier``,
``user_profile_id``, ``inference_geo``), ``diagnostics`` and the id of a ``container``
change nothing the model reads.
The model itself is not here either: it parts whole caches, not levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cacheplan import kinds
from cacheplan.assumptions import Assumptions
from cacheplan.canonical import digest, encode, plain
from cacheplan.facts import Model
from cacheplan.pieces import Piece, list_at

__all__ = ["PARAMETERS", "Settings", "citations_in", "images_in", "settings"]

#: Names the form under a level's digest, as ``canonical.TAG`` does for a block.
TAG = "cacheplan.settings/1"

#: The parameters that take part beside ``tools``, ``system`` and ``messages``: two calls
#: that agree in these, in ``tools`` and in the two flags have the same settings.
PARAMETERS = frozenset(
    {
        "betas",
        "container",
        "context_management",
        "mcp_servers",
        "output_config",
        "output_format",
        "speed",
        "thinking",
        "tool_choice",
    }
)


class Settings(NamedTuple):
    """The digest of what takes part at each level besides blocks; empty if nothing does.

    A level's digest joins the prefix where the level begins, so it counts for the levels
    after it as well.
    """

    tools: bytes = b""
    system: bytes = b""
    messages: bytes = b""


def settings(
    body: Mapping[str, Any],
    model: Model | None,
    images: bool,  # noqa: FBT001 -- the reader passes what it remembers of each message
    assume: Assumptions,
    *,
    citations: bool = False,
) -> Settings:
    """Collect what takes part at each level; ``messages`` of the body is not looked at.

    Whether ``images`` or ``citations`` stand anywhere in the messages is passed in,
    because a reader knows it from each message once (``images_in``, ``citations_in``).
    """
    levels: dict[str, dict[str, Any]] = {"tools": {}, "system": {}, "messages": {}, "none": {}}
    levels["tools"] |= _tools(body)
    levels["system"] |= _given("citations", citations) | _skills(body.get("container"))
    levels["messages"] |= _messages(body, images=images and assume.image_scope == "messages")
    output = body.get("output_config")
    output = output if isinstance(output, Mapping) else {}
    levels[assume.format_scope] |= _given(
        "format", output.get("format") or body.get("output_format")
    )
    levels[assume.effort_scope] |= _effort(output, model)
    levels[assume.thinking_scope] |= _thinking(body.get("thinking"), model)
    levels[assume.speed_scope] |= _speed(body)
    levels[assume.betas_scope] |= _betas(body.get("betas"))
    return Settings(*(_digest(levels[name], name) for name in ("tools", "system", "messages")))


def images_in(pieces: Iterable[Piece]) -> bool:
    """Tell whether an image stands in these blocks or inside them."""
    return any(
        piece.block.kind == "image"
        or (piece.block.kind in kinds.INNER and _within(piece.block.body, _is_image))
        for piece in pieces
    )


def citations_in(pieces: Iterable[Piece]) -> bool:
    """Tell whether one of these blocks, or a block inside it, has citations on."""
    return any(
        piece.block.kind in kinds.INNER and _within(piece.block.body, _cites) for piece in pieces
    )


def _tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """Collect deferred tools and tool servers.

    What adding a deferred tool does is undocumented; taken to break everything, since
    that promises no reads. A server's tools are listed by the service, so the server is
    all a body says of them; its token is who asks, not what it offers.
    """
    tools = list_at(body.get("tools"), ("tools",))
    servers = list_at(body.get("mcp_servers"), ("mcp_servers",))
    late = [tool for tool in tools if isinstance(tool, Mapping) and kinds.deferred(tool)]
    asked = [
        {key: part for key, part in server.items() if key != "authorization_token"}
        for server in servers
        if isinstance(server, Mapping)
    ]
    return _given("deferred", late) | _given("mcp_servers", asked)


def _messages(body: Mapping[str, Any], *, images: bool) -> dict[str, Any]:
    """Collect what always belongs to the messages level."""
    output = body.get("output_config")
    budget = output.get("task_budget") if isinstance(output, Mapping) else None
    return (
        _given("images", images)
        | _given("tool_choice", _tool_choice(body.get("tool_choice")))
        | _given("task_budget", budget)
        | _given("context_management", body.get("context_management"))
    )


def _tool_choice(choice: Any) -> Any:
    """Reduce a tool choice to what differs from leaving it out."""
    if not isinstance(choice, Mapping):
        return choice
    kept = {key: part for key, part in choice.items() if part not in (None, False)}
    return None if kept == {"type": "auto"} else kept


def _effort(output: Mapping[str, Any], model: Model | None) -> dict[str, Any]:
    """Collect the effort; writing a model's default out is the same as leaving it out."""
    effort = output.get("effort")
    return {} if model is not None and effort == model.effort else _given("effort", effort)


#: How thinking comes back to the caller ("switching ``display`` between turns is
#: supported", thinking page, 2026-08-21), and what happens to a replayed block that does
#: not fit: neither is rendered.
_NOT_RENDERED = frozenset({"display", "block_binding"})


def _thinking(thinking: Any, model: Model | None) -> dict[str, Any]:
    """Collect mode and budget of thinking; a model's default is the same as nothing.

    By the table of defaults (thinking-troubleshooting page, 2026-08-22) thinking is off
    up to 4.8 and adaptive from 5 on; that this holds for later models is inferred.
    """
    if not isinstance(thinking, Mapping):
        return _given("thinking", thinking)
    kept = {key: part for key, part in thinking.items() if key not in _NOT_RENDERED}
    if model is not None:
        default = "adaptive" if model.version >= (5, 0) else "disabled"
        if kept == {"type": default}:
            return {}
    return _given("thinking", kept)


def _speed(body: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the speed; ``standard`` is what leaving it out means."""
    speed = body.get("speed")
    return {} if speed == "standard" else _given("speed", speed)


def _betas(betas: Any) -> dict[str, Any]:
    """Collect the beta headers, whose order means nothing."""
    return _given("betas", sorted(map(str, betas)) if isinstance(betas, list | tuple) else None)


def _skills(container: Any) -> dict[str, Any]:
    """Collect a container's skills; its id only says where code runs.

    Skills "render into the system prompt in a fixed order" (skills guide, 2026-08-22),
    so theirs is put aside.
    """
    skills = container.get("skills") if isinstance(container, Mapping) else None
    if not isinstance(skills, list | tuple):
        return {}
    return _given("skills", sorted((plain(skill) for skill in skills), key=repr))


def _given(name: str, value: Any) -> dict[str, Any]:
    """Return a member for what was given, none for what was left out or empty."""
    return {name: value} if value else {}


def _digest(level: dict[str, Any], name: str) -> bytes:
    """Hash a level's members in a form of their own, sorted by name."""
    if not level:
        return b""
    return digest(f"{TAG} {name} ".encode() + encode(plain(level)))


def _within(body: Any, test: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Tell whether a block or one inside it passes the test."""
    if not isinstance(body, (dict, Mapping)):
        return False
    return test(body) or any(_within(part, test) for part in kinds.inner(body))


def _is_image(block: Mapping[str, Any]) -> bool:
    """Recognise an image."""
    return block.get("type") == "image"


def _cites(block: Mapping[str, Any]) -> bool:
    """Recognise a document or search result whose citations are on.

    On a text block ``citations`` is the list of what was cited, which is content.
    """
    citations = block.get("citations")
    return isinstance(citations, Mapping) and citations.get("enabled") is True
