"""The pytest plugin: the assertions as fixtures, by the settings of the tests' own project.

Loaded whenever pytest starts, so it imports nothing but pytest until a test asks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

__all__ = ["assert_no_findings", "assert_prefix_stable"]


@pytest.fixture(scope="session")
def assert_prefix_stable() -> Callable[..., None]:
    """``assert_prefix_stable(calls, upto="system")``: calls begin with the same prompt."""
    from cacheplan.io import assertions

    return assertions.assert_prefix_stable


@pytest.fixture(scope="session")
def assert_no_findings(pytestconfig: pytest.Config) -> Callable[..., None]:
    """``assert_no_findings(calls, fail_on="warning")``: a review finds nothing so grave.

    The settings are those in the root of the tests, wherever pytest was started.
    """
    from cacheplan.io import assertions, team

    found = team.nearest(pytestconfig.rootpath)
    # A test may go to another folder.
    file = False if found is None else Path(found[0]).resolve()
    return partial(assertions.assert_no_findings, settings=file)
