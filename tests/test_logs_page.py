"""The page on logs: its table is what the readers say, and no format is forgotten."""

from __future__ import annotations

import re

from benchmarks.formats import BEGIN, END, PAGE, table
from cacheplan.io.logs import names_of_formats


def test_the_table_is_drawn() -> None:
    """The table of formats is what ``python -m benchmarks formats`` writes."""
    assert f"{BEGIN}\n{table()}\n{END}" in PAGE.read_text(encoding="utf-8")


def test_every_format_can_be_had() -> None:
    """For every format the page says how to come by such a file, once."""
    told = re.findall(r"^- \*\*`([\w-]+)`\*\*:", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) >= set(names_of_formats())
