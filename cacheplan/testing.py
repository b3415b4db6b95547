"""The Messages API for your own tests: no network, no key, a clock that you move.

    with FakeAnthropic() as fake:
        client = anthropic.Anthropic(base_url=fake.url, api_key="any")

Validated, charged and cached as the service would, by the same simulator that every
projection rests on. See ``docs/testing.md``.
"""

from __future__ import annotations

from cacheplan.io.assertions import assert_no_findings, assert_prefix_stable
from cacheplan.io.fake.double import FakeAnthropic
from cacheplan.io.fake.exchange import Received

__all__ = ["FakeAnthropic", "Received", "assert_no_findings", "assert_prefix_stable"]
