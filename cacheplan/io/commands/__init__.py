"""One module a command, each a function that decides nothing.

Heavy modules are imported inside the functions, so that ``--help`` is immediate. The list
is written by hand, in the order of the work.
"""

from __future__ import annotations

from typing import Final

import click

from cacheplan.io.commands import (
    anonymize,
    batch,
    check,
    compare,
    convert,
    costs,
    estimate,
    explain,
    fix,
    ledger,
    levers,
    mark,
    migrate,
    plan,
    proxy,
    reconcile,
    review,
    simulate,
    tables,
)

__all__ = ["COMMANDS"]

#: Every command.
COMMANDS: Final[tuple[click.Command, ...]] = (
    review.review,
    review.demo,
    fix.fix,
    plan.plan,
    compare.compare,
    simulate.simulate,
    estimate.estimate,
    levers.levers,
    migrate.migrate,
    mark.mark,
    check.check,
    explain.explain,
    ledger.ledger,
    proxy.proxy,
    costs.costs,
    reconcile.reconcile,
    batch.batch,
    convert.convert,
    anonymize.anonymize,
    tables.prices,
    tables.facts,
    tables.formats,
)
