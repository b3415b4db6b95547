"""What prompt caching would cost for your calls to Claude, before you send one.

    calls = cacheplan.read("calls.jsonl")
    print(cacheplan.review(calls))
    plan = cacheplan.choose(calls)

Everything else is in the modules by name: `facts` and `prices` are the tables,
`simulator` is the service's cache, `policies` are the ways to place marks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cacheplan.assumptions import Assumptions
    from cacheplan.errors import CacheplanError
    from cacheplan.io.door import check, choose, compare, explain, mark, project, review
    from cacheplan.io.ledger import Ledger
    from cacheplan.io.middleware import Middleware
    from cacheplan.io.plans import Plan
    from cacheplan.io.reading import read
    from cacheplan.labels import label
    from cacheplan.prices import Sheet
    from cacheplan.session import Session
    from cacheplan.usage import Usage
    from cacheplan.wire import unmark
    from cacheplan.workload import Workload

__all__ = [
    "Assumptions",
    "CacheplanError",
    "Ledger",
    "Middleware",
    "Plan",
    "Session",
    "Sheet",
    "Usage",
    "Workload",
    "check",
    "choose",
    "compare",
    "explain",
    "label",
    "mark",
    "project",
    "read",
    "review",
    "unmark",
]

#: Where each name stands. It is fetched when it is first used, so that a program which
#: imports this package, and the command line that only says what it can do, start at once.
_FROM = {
    "Assumptions": "assumptions",
    "CacheplanError": "errors",
    "Ledger": "io.ledger",
    "Middleware": "io.middleware",
    "Plan": "io.plans",
    "Session": "session",
    "Sheet": "prices",
    "Usage": "usage",
    "Workload": "workload",
    "check": "io.door",
    "choose": "io.door",
    "compare": "io.door",
    "explain": "io.door",
    "label": "labels",
    "mark": "io.door",
    "project": "io.door",
    "read": "io.reading",
    "review": "io.door",
    "unmark": "wire",
}


def __getattr__(name: str) -> object:
    """Fetch a name of the front door, once."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List what is here, fetched already or not."""
    return sorted({*globals(), *__all__})
