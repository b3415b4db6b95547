"""How hard the properties are tried: once a commit, thoroughly once a night.

``CACHEPLAN_NIGHTLY=1`` tries each law ten times as often; ``CACHEPLAN_QUICK=1`` only
shows that the tests run, for a second interpreter that runs the same code.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

#: Simulating a drawn workload takes as long as it takes; a slow example is no failure.
_SLOW = (HealthCheck.too_slow,)

settings.register_profile("moderate", max_examples=100, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("nightly", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("quick", max_examples=10, deadline=None, suppress_health_check=_SLOW)

if os.environ.get("CACHEPLAN_NIGHTLY"):
    settings.load_profile("nightly")
elif os.environ.get("CACHEPLAN_QUICK"):
    settings.load_profile("quick")
else:
    settings.load_profile("moderate")


def _make_benchmarks_a_package() -> None:
    """Let tests import ``benchmarks`` without the root on the path.

    There, the sources would hide the installed package that is to be tested.
    """
    folder = Path(__file__).parents[1] / "benchmarks"
    spec = importlib.util.spec_from_file_location(
        "benchmarks", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["benchmarks"] = package
    spec.loader.exec_module(package)


_make_benchmarks_a_package()
