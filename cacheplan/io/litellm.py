"""LiteLLM: every call to Claude marked on its way out, by one callback.

    litellm.callbacks = [cacheplan.io.litellm.Callback(plan)]

``completion``, ``acompletion`` and the router build the body of the Messages API and show
it to callbacks last of all; what is marked there goes out. ``anthropic_messages`` signs
its body earlier and is marked where its arguments are still open. LiteLLM's own injection
of marks stands down where a body carries marks; to have both is to have ours.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, Unpack

from cacheplan.io.driver import Flight
from cacheplan.io.driving import Driving, Options
from cacheplan.outcomes import Outcome
from cacheplan.plan import Plan

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError as error:
    message = "this callback needs LiteLLM; pip install litellm"
    raise ImportError(message) from error

__all__ = ["Callback"]

_PATH: Final = "/v1/messages"
#: The kind of call whose body is signed before callbacks see it.
_SIGNED: Final = "anthropic_messages"
#: LiteLLM's names for where Claude is served with bodies of the Messages API that are not
#: signed yet when callbacks see them (1.106.2, read 2026-11-21).
_PLATFORMS: Final = {"anthropic": "anthropic", "vertex_ai": "google", "azure_ai": "foundry"}
#: The arguments of ``anthropic_messages`` that stand in the body.
_BODY: Final = frozenset(
    {"cache_control", "max_tokens", "messages", "model", "output_config", "system", "thinking"}
    | {"tool_choice", "tools"}
)
#: Calls under way that are remembered; what is forgotten is sent all the same.
_UNDER_WAY: Final = 10_000


class Callback(Driving, CustomLogger):
    """Marks calls by a plan, or by what it learns from them.

    The arguments are those of ``cacheplan.Middleware``. A call's label is its
    ``metadata["label"]``, where it has one.
    """

    def __init__(self, plan: Plan | None = None, **options: Unpack[Options]) -> None:
        CustomLogger.__init__(self)
        Driving.__init__(self, plan, **options)
        self._lock = threading.Lock()
        self._flights: OrderedDict[str, Flight] = OrderedDict()

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """Mark a body that is about to be sent; it is LiteLLM's own, made for this call."""
        try:
            body = (kwargs.get("additional_args") or {}).get("complete_input_dict")
            provider = kwargs.get("custom_llm_provider")
            name = kwargs.get("litellm_call_id")
            signed = str(kwargs.get("call_type")).endswith(_SIGNED)
            if isinstance(body, dict) and provider in _PLATFORMS and not signed:
                asked = body if "model" in body else {**body, "model": model}
                flight = self._begin(asked, kwargs, str(name), _PLATFORMS[provider])
                if flight is not None and flight.changed:
                    body.update((key, flight.body[key]) for key in flight.body if key in body)
                    if "cache_control" in flight.body:
                        body["cache_control"] = flight.body["cache_control"]
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("marking a call", error)

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """Mark the arguments of ``anthropic_messages``, whose body is signed too early."""
        try:
            if not str(getattr(call_type, "value", call_type)).endswith(_SIGNED):
                return None
            provider, _, model = str(kwargs.get("model")).rpartition("/")
            if provider not in {"", "anthropic"}:
                return None
            body = {key: part for key, part in kwargs.items() if key in _BODY}
            body["model"] = model
            name = str(kwargs.get("litellm_call_id"))
            flight = self._begin(body, kwargs, name, "anthropic")
            if flight is None or not flight.changed:
                return None
            return {**kwargs, **flight.body, "model": kwargs["model"]}
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("marking a call", error)
            return None

    def log_post_api_call(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take note that a response begins: what was billed may come after the next call."""
        try:
            with self._lock:
                flight = self._flights.get(str(kwargs.get("litellm_call_id")))
            for each in flight.calls if flight is not None else ():
                self.driver.session.begun(each.decision, self.driver.clock())
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("reading an answer", error)

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Read what was billed."""
        self._end(kwargs, response_obj)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Read what was billed; of the two events the first one counts."""
        self._end(kwargs, response_obj)

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take note of a call that failed."""
        self._end(kwargs, None)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Take note of a call that failed."""
        self._end(kwargs, None)

    def _begin(
        self, body: dict[str, Any], kwargs: Mapping[str, Any], name: str, platform: str
    ) -> Flight | None:
        """Have the session decide about a call."""
        metadata = kwargs.get("metadata") or (kwargs.get("litellm_params") or {}).get("metadata")
        label = metadata.get("label") if isinstance(metadata, Mapping) else None
        own = label if isinstance(label, str) else self.origin.label
        origin = self.origin._replace(label=own, platform=platform)
        flight = self.driver.begin("POST", _PATH, body, origin, (0, None))
        if flight is not None:
            with self._lock:
                self._flights[name] = flight
                while len(self._flights) > _UNDER_WAY:
                    self._flights.popitem(last=False)
        return flight

    def _end(self, kwargs: Mapping[str, Any], response: Any) -> None:
        """Tell of a call that is over, once."""
        try:
            with self._lock:
                flight = self._flights.pop(str(kwargs.get("litellm_call_id")), None)
            if flight is not None:
                wrong = kwargs.get("exception") or "unknown"
                found = _usage(response) if response is not None else None
                identity = _member(response, "id")
                for each in flight.calls:
                    self.driver.tell(each.decision, Outcome(found or wrong, message_id=identity))
        except Exception as error:  # noqa: BLE001 -- fail open
            self.driver.fault("reading an answer", error)


def _usage(response: Any) -> Mapping[str, Any] | None:
    """Return usage by the API's names; LiteLLM's input tokens include the cached ones."""
    found = _member(response, "usage")
    if found is None:
        return None
    if _member(found, "prompt_tokens") is None:
        return found if isinstance(found, Mapping) else None
    details = _member(found, "prompt_tokens_details")
    split = _member(details, "cache_creation_token_details")
    read = _number(found, "cache_read_input_tokens")
    written = _number(found, "cache_creation_input_tokens")
    usage: dict[str, Any] = {
        "input_tokens": max(0, _number(found, "prompt_tokens") - read - written),
        "output_tokens": _number(found, "completion_tokens"),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
    if split is not None:
        names = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        usage["cache_creation"] = {name: _number(split, name) for name in names}
    return usage


def _member(found: Any, name: str) -> Any:
    """Return a member of an object or of a mapping; LiteLLM hands out both."""
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name, None)


def _number(found: Any, name: str) -> int:
    number = _member(found, name)
    return number if isinstance(number, int) else 0
