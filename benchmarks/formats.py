"""The table of formats in ``docs/logs.md``: what each log says, and what it leaves out.

What a format never says, its reader says. What some of its logs leave out is what the logs
under ``tests/logs`` do, which other packages wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from cacheplan.io.documents import File
from cacheplan.io.logs import FORMATS, format_of
from cacheplan.io.opening import opened
from cacheplan.io.tally import Tally
from cacheplan.lacking import LACKING

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "logs.md"
LOGS: Final = ROOT / "tests" / "logs"
#: What stands around the table in the page.
BEGIN, END = "<!-- formats -->", "<!-- end of formats -->"


def main(arguments: Sequence[str]) -> int:
    """Write the table into its page."""
    del arguments
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    return 0


def table() -> str:
    """Return the table, a row a format."""
    seen: dict[str, set[str]] = {reader.NAME: set() for reader in FORMATS}
    for reader, words in _left_out():
        seen[reader.NAME] |= words
    lines = ["| `--from` | files | never says | may leave out |", "|---|---|---|---|"]
    for reader in FORMATS:
        some = seen[reader.NAME] - reader.LACKS
        lines.append(
            f"| `{reader.NAME}` | {reader.WHAT} | {_words(reader.LACKS)} | {_words(some)} |"
        )
    return "\n".join(lines)


def _words(words: frozenset[str] | set[str]) -> str:
    """Write words in the order of a prompt."""
    return ", ".join(word for word in LACKING if word in words)


def _left_out() -> Iterator[tuple[ModuleType, set[str]]]:
    """Yield what calls of each log leave out, beside the format of the log."""
    for path in sorted(LOGS.glob("*.gz")):
        with opened(path) as stream:
            file = File(path.name, stream)
            reader = format_of(file.head)
            if reader is None:
                continue
            for _, line in reader.read(file, Tally()):
                if isinstance(line, dict):
                    yield reader, set(line.get("lacks", ()))
