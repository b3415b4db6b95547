"""Other people's words that have broken out of pages before, and calls that are full of them."""

from __future__ import annotations

from functools import cache
from typing import Any

from reviews import dated, reviewed, steady
from small import tool

from cacheplan.report import Review

__all__ = ["HOSTILE", "hostile"]

#: In text, attributes, comments, styles, drawings, addresses, templates and scripts of writing.
HOSTILE = (
    "<script>document.title='broken'</script>",
    "</title><script>document.title='broken'</script>",
    "</style><script>document.title='broken'</script>",
    "</style><style>*{background:url(https://e.vil/x)}</style>",
    "@import url(https://e.vil/y);",
    "\"><img src=x onerror=\"document.title='broken'\">",
    "' onmouseover='document.title=1' x='",
    "</svg><svg onload=\"document.title='broken'\">",
    "<svg/onload=document.title='broken'>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=document.title=1>",
    "--><script>document.title='broken'</script><!--",
    "]]><script>document.title='broken'</script>",
    "{{ 7 * 7 }}{% raw %}{# x #}",
    "{{ ''.__class__.__mro__ }}${7*7}<%= 7*7 %>",
    "<iframe srcdoc='<script>1</script>'></iframe>",
    "<a href=\"javascript:document.title='broken'\">x</a>",
    "data:text/html,<script>document.title='broken'</script>",
    "<meta http-equiv=refresh content='0;url=https://e.vil'>",
    "<base href='https://e.vil/'>",
    "<link rel=stylesheet href=https://e.vil/z>",
    "&lt;script&gt;&#x3C;script&#x3E;%3Cscript%3E",
    "\x00\x1b[31m\u202e\u2066\u200f\ufeff",
)  # fmt: skip


@cache
def hostile(words: str, *, models: bool = False) -> Review:
    """Review calls with hostile words wherever a caller can put them.

    Nobody knows the price of ``models`` of such names, so with them there is no money.
    """
    lines: list[dict[str, Any]] = [*dated(label=words), *steady(label=f"b{words}", every=60)]
    for line in lines:
        request = line["request"]
        line["id"] = f"{line['id']}{words}"
        line["workspace"] = line["session"] = words
        request["tools"] = [tool(f"look{words}", words), tool(f"other{words}", words)]
        text = f"{request['system'][0]['text']}{words}"
        request["system"][0]["text"] = text.replace("of 10:", f"of {words} {line['id'][5:7]}:")
    if models:
        for number, line in enumerate(steady(3)):
            line["request"]["model"] = f"{words}{number}"
            lines.append({**line, "label": f"model {words}"})
    return reviewed(lines)
