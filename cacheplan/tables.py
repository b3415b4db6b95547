"""Rows as text: aligned for a terminal, or escaped for a page.

Knows strings and nothing of what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from unicodedata import combining, east_asian_width

__all__ = [
    "aligned",
    "clipped",
    "columns",
    "count",
    "dollars",
    "html",
    "padded",
    "percent",
    "printable",
    "ratio",
]


def aligned(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, source: bool = False
) -> str:
    """Lay out a table in plain text; the first ``left`` columns are words.

    So is the last, where it says the ``source`` of its row.

    >>> print(aligned(["policy", "cost"], [["automatic", "$1"], ["static", "$20"]]))
    policy     cost
    automatic    $1
    static      $20
    """
    widths = [max(columns(row[at]) for row in (head, *rows)) for at in range(len(head))]
    words = len(head) - 1 if source else -1
    lines = []
    for row in (head, *rows):
        cells = [
            padded(cell, width, right=at >= left and at != words)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def html(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1, source: bool = False
) -> str:
    """Lay out the same table for a notebook; every cell is escaped."""
    words = len(head) - 1 if source else -1

    def cells(row: Sequence[str], tag: str) -> str:
        sides = ["left" if at < left or at == words else "right" for at in range(len(row))]
        return "".join(
            f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(row, sides, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{cells(head, 'th')}</tr></thead><tbody>{body}</tbody></table>"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: letters of the East take two.

    >>> columns("abc"), columns("顧客")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(sign) else 1 + (east_asian_width(sign) in "WF") for sign in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Fill a cell up to a width.

    >>> padded("顧客", 5), padded("$1", 4, right=True)
    ('顧客 ', '  $1')
    """
    space = " " * (width - columns(text))
    return space + text if right else text + space


def clipped(text: str, most: int) -> str:
    """Leave out the middle of what is too long for its column.

    >>> clipped("ticket-sorting / a-model", 15)
    'ticket-…a-model'
    """
    if columns(text) <= most:
        return text
    front, back = text[: most // 2], text[-((most - 1) // 2) :]
    return f"{front}…{back}"


def printable(text: str) -> str:
    r"""Escape what a terminal would obey instead of show; line breaks stay.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(
        sign if sign.isprintable() or sign == "\n" else sign.encode("unicode_escape").decode()
        for sign in text
    )


def dollars(amount: Decimal | None) -> str:
    """Write money so that a cent is seen on a small bill and not on a large one.

    >>> dollars(Decimal("0.01234")), dollars(Decimal("1234.5")), dollars(None)
    ('$0.0123', '$1,234.50', 'unknown')
    """
    if amount is None:
        return "unknown"
    sign, size = "-" if amount < 0 else "", abs(amount)
    return f"{sign}${size:,.2f}" if size >= 1 else f"{sign}${size:.4f}"


def count(number: int) -> str:
    """Write a number of tokens or calls.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def ratio(number: float | Decimal | None) -> str:
    """Write how one cost compares to another.

    >>> ratio(0.12345), ratio(None)
    ('0.123', '-')
    """
    return "-" if number is None else f"{number:.3f}"


def percent(number: float | None) -> str:
    """Write a share.

    >>> percent(0.99437), percent(None)
    ('99.44 %', '-')
    """
    return "-" if number is None else f"{100 * number:.2f} %"
