"""Plans in files: written whole or not at all, and checked when they are read."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Self

from cacheplan import plan
from cacheplan.errors import InputError
from cacheplan.io.opening import Source, opened
from cacheplan.io.writing import write_text
from cacheplan.strict_json import value

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(plan.Plan):
    """A plan that knows how to be stored; the value itself touches no file."""

    @classmethod
    def of(cls, chosen: plan.Plan) -> Self:
        """Return the same plan, storable."""
        return cls(**{each.name: getattr(chosen, each.name) for each in fields(chosen)})

    def save(self, target: Source) -> None:
        """Write the plan; another one there is replaced whole."""
        write_text(str(target), json.dumps(self.to_json(), indent=2) + "\n")

    @classmethod
    def load(cls, source: Source) -> Self:
        """Read a plan; what cannot be one is named with its place."""
        with opened(source) as stream:
            raw = stream.read().strip()
        try:
            return cls.from_json(value(raw))
        except InputError as error:
            raise error.at(str(source)) from error
