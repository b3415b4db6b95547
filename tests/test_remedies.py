"""Which fixes are applied: what pays best together, and nothing that is not needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from careless import logs
from hypothesis import given, settings
from reviewed import subject

from cacheplan.changes import unbinds
from cacheplan.choosing import choose
from cacheplan.edits import edited
from cacheplan.finding import Fix
from cacheplan.linter import lint
from cacheplan.prices import Sheet
from cacheplan.projection import project
from cacheplan.remedies import Remedies, score
from cacheplan.workload import Workload

SHEET = Sheet.default()


def cost(workload: Workload, fixes: Iterable[Fix]) -> Any:
    """Return what calls cost with fixes, planned anew."""
    after = edited(workload, [fix.edit for fix in fixes if fix.edit is not None])
    marker = choose(after, SHEET).marker(after.tree)
    return score(project(after, marker, SHEET, "any"))


@pytest.mark.parametrize("unsafe", [False, True])
@settings(max_examples=40)
@given(lines=logs())
def test_chosen(lines: list[dict[str, Any]], *, unsafe: bool) -> None:
    """What is chosen is cheaper than nothing, than any one alone, and than with one less."""
    seen = subject(lines)
    found = lint(seen)
    chosen = Remedies(workload=seen.workload, sheet=SHEET, unsafe=unsafe).chosen(found)
    fixes = [one.fix for one in chosen]
    assert all(unsafe or fix.safe for fix in fixes)
    if not fixes:
        return
    best = cost(seen.workload, fixes)
    assert best < score(found.planned)
    for fix in fixes:
        assert best <= cost(seen.workload, [fix])
        assert len(fixes) == 1 or best < cost(
            seen.workload, [one for one in fixes if one is not fix]
        )
    if not unsafe:
        edits = [fix.edit for fix in fixes if fix.edit is not None]
        assert not unbinds(seen.workload, edited(seen.workload, edits))
