"""LangChain: the calls of an agent marked on their way out, by one middleware.

    create_agent(model, tools, middleware=[cacheplan.io.langchain.CachePlanMiddleware(plan)])

``ChatAnthropic`` has no option for a client of one's own, so each model that comes by gets
a twin whose clients have ours behind them. The model itself is never touched, and a model
that speaks to no Anthropic client is left alone.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final

from cacheplan.io.middleware import Middleware

try:
    from langchain.agents.middleware.types import AgentMiddleware
except ImportError as error:
    message = "this middleware needs LangChain; pip install langchain langchain-anthropic"
    raise ImportError(message) from error

__all__ = ["CachePlanMiddleware"]

#: Models that an agent changes between; more than these are made anew.
MODELS: Final = 16


class CachePlanMiddleware(AgentMiddleware):
    """Marks an agent's calls by a plan, or by what it learns from them.

    The arguments are those of ``cacheplan.Middleware``. To be the only one that marks, it
    stands instead of ``AnthropicPromptCachingMiddleware``, or is told ``replace``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        #: What marks, and what keeps the count of what went wrong.
        self.marking = Middleware(*arguments, **options)
        #: By identity of a model: the model, so that no other takes its identity, and its
        #: twin, ``None`` where it has no client of Anthropic's.
        self._twins: OrderedDict[int, tuple[Any, Any]] = OrderedDict()

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Let the model's twin answer."""
        return handler(self._turned(request))

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Let the model's twin answer."""
        return await handler(self._turned(request))

    def _turned(self, request: Any) -> Any:
        """Return the request with the twin as its model; as it was where there is none."""
        try:
            twin = self._twin(request.model)
        except Exception as error:  # noqa: BLE001 -- fail open
            self.marking.driver.fault("finding the model's client", error)
            return request
        return request if twin is None else request.override(model=twin)

    def _twin(self, model: Any) -> Any:
        """Return a copy of a model whose clients mark what they send."""
        found = self._twins.get(id(model))
        if found is None:
            found = self._twins[id(model)] = (model, self._made(model))
            while len(self._twins) > MODELS:
                self._twins.popitem(last=False)
        return found[1]

    def _made(self, model: Any) -> Any:
        """Make the copy; clients are made by the model itself and get ours behind them."""
        if not hasattr(type(model), "_client"):
            return None
        clients = {
            name: getattr(model, name).with_middleware(self.marking)
            for name in ("_client", "_async_client")
        }
        twin = copy.copy(model)
        # Cached properties: what stands in the instance is what they return.
        twin.__dict__.update(clients)
        return twin
