"""The page on call time: what it shows can be run as it stands, from top to bottom."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cacheplan.io.plans import Plan
from cacheplan.plan import Lane, Rule
from cacheplan.prompt import Lifetime
from cacheplan.testing import FakeAnthropic

PAGE = Path(__file__).parents[1] / "docs" / "call-time.md"


def test_every_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks run in their order, and the first does what the page says of it."""
    pytest.importorskip("httpx2")
    anthropic = pytest.importorskip("anthropic", minversion="0.108")
    rule = Rule(place="system", lifetime=Lifetime.ONE_HOUR, because="read again within the hour")
    plan = Plan(lanes=(Lane(model=None, label=None, rules=(rule,)),))
    plan.save(str(tmp_path / "plan.json"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    blocks = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    with FakeAnthropic() as fake:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", fake.url)
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 -- the page's own words
        for held in names.values():
            if isinstance(held, anthropic.Anthropic):
                held.close()
    assert len(fake.calls) == 1
    assert "cache_control" in str(fake.bodies[0]["system"])
    out = capsys.readouterr().out
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert re.sub(r"[\d,]+", "0", out.rstrip()) == re.sub(r"[\d,]+", "0", shown.rstrip())
    assert "cacheplan" in sys.modules
