"""The pages of the rules, written from their docstrings so that they cannot drift."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from cacheplan.assumptions import Assumptions
from cacheplan.lacking import LACKING
from cacheplan.precedence import YIELDS
from cacheplan.rules import RULES

__all__ = [
    "FOLDER",
    "SECTIONS",
    "Example",
    "examples",
    "index",
    "main",
    "needs",
    "page",
    "sections",
]

FOLDER: Final = Path(__file__).parents[1] / "docs" / "rules"
#: What a docstring has to say, in this order; ``Beware`` where there is something.
SECTIONS: Final = ("What", "Why", "Fails", "Passes", "Remedy", "Beware", "Order", "Severity")
_SECTION: Final = re.compile(rf"^({'|'.join(SECTIONS)})(?: \((\w+)=(\w+)\))?: ", re.MULTILINE)
_FENCE: Final = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Where it is said what a line may lack.
_LACKS: Final = "../workload.md#what-a-source-does-not-say"
#: Code in a docstring, which a page marks with one quote; a fence has three.
_CODE: Final = re.compile(r"(?<!`)``(?!`)")
#: Stands for so many words of something.
_LENGTH: Final = re.compile(r"\[([\d,]+) tokens(?: of)?([^\]]*)\]")
#: What the calls of an example leave out.
_LEFT_OUT: Final = {"model": "claude-sonnet-5", "max_tokens": 1000}
_HEAD: Final = """\
# Rules

What the [review](../review.md) looks for. Each page says what is meant, what it costs, calls
that fail, calls that pass, and what to do. `--fail-on` takes a code, and so do the settings
that turn a rule off.

The examples are lines of a [workload](../workload.md), shortened: `[3000 tokens of rules]`
stands for text of that length, `"times": 4` for so many of the same, where `#` is the number
of each and `every` the seconds between two calls. The model is `claude-sonnet-5` where none
is named. They are run when the rules are tested: what fails has this one finding, what passes
has none, and the dollars are the simulated ones, for prompts as they are marked.

Where two rules see the same cause on the same calls, one finding is told: the last column
says which rules a rule gives way to.

| code | rule | what is wrong | severity | gives way to |
|---|---|---|---|---|
"""


class Example(NamedTuple):
    """The calls of a page that fail, or pass."""

    #: Lines of a workload, whole.
    lines: tuple[dict[str, Any], ...]
    #: What has to be assumed for it, if anything.
    assume: Assumptions | None


def main(arguments: Sequence[str]) -> int:
    """Write every page, and leave no other."""
    del arguments
    FOLDER.mkdir(exist_ok=True)
    pages = {"index.md": index(), **{f"{_stem(rule)}.md": page(rule) for rule in RULES}}
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for path in FOLDER.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    return 0


def index() -> str:
    """Return the table of all rules."""
    rows = [
        f"| `{rule.CODE}` | [{_name(rule)}]({_stem(rule)}.md) | {_lead(rule)} | {rule.SEVERITY} |"
        f" {', '.join(sorted(YIELDS.get(rule.CODE, ())))} |"
        for rule in RULES
    ]
    return _HEAD + "\n".join(rows) + "\n"


def page(rule: ModuleType) -> str:
    """Return the page of one rule."""
    parts = [f"# {rule.CODE} {_name(rule)}", _lead(rule)]
    for name, (given, text) in sections(rule).items():
        assumed = f", with `--assume {given}`" if given else ""
        parts += [f"## {name}{assumed}", text[:1].upper() + text[1:]]
    parts += ["## Needs", needs(rule)]
    return _CODE.sub("`", "\n\n".join(parts)) + "\n"


def needs(rule: ModuleType) -> str:
    """Say what a log must say of calls for a rule to look at them."""
    words = [f"{what.partition(':')[0]} (`{word}`)" for word, what in LACKING.items()]
    own = [said for said, word in zip(words, LACKING, strict=True) if word in rule.NEEDS]
    said = " and ".join(filter(None, (", ".join(own[:-1]), own[-1])))
    return f"Calls of which the source says {said}; others are [not looked at]({_LACKS})."


def sections(rule: ModuleType) -> dict[str, tuple[str, str]]:
    """Return the sections of a docstring: what is assumed there, if anything, and the text."""
    doc = inspect.getdoc(rule) or ""
    found = [*_SECTION.finditer(doc)]
    ends = [*(one.start() for one in found[1:]), len(doc)]
    return {
        one[1]: (f"{one[2]}={one[3]}" if one[2] else "", doc[one.end() : end].strip())
        for one, end in zip(found, ends, strict=True)
    }


def examples(rule: ModuleType, section: str) -> Example:
    """Return the calls that a section shows, as a file of a workload would hold them."""
    given, text = sections(rule)[section]
    assume = Assumptions.parse([given]) if given else None
    values = [value for block in _FENCE.findall(text) for value in _values(block)]
    return Example(tuple(map(_whole, _repeated(values))), assume)


def _values(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON values of a block; one may take several lines."""
    decode = json.JSONDecoder().raw_decode
    rest = text.strip()
    while rest:
        value, end = decode(rest)
        yield value
        rest = rest[end:].strip()


def _whole(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line with what it leaves out."""
    full: dict[str, Any] = _lengthened(line)
    if "request" in full:
        full["request"] = _LEFT_OUT | full["request"]
    else:
        full.setdefault("model", _LEFT_OUT["model"])
    return full


def _lengthened(part: Any) -> Any:
    """Return a part of a line with every text at its length."""
    if isinstance(part, str):
        return _LENGTH.sub(_words, part)
    if isinstance(part, list):
        return [_lengthened(item) for item in _repeated(part)]
    if isinstance(part, dict):
        return {key: _lengthened(item) for key, item in part.items()}
    return part


def _repeated(parts: Sequence[Any]) -> Iterator[Any]:
    """Yield parts, and what stands for several as many times."""
    for part in parts:
        if not isinstance(part, dict) or "times" not in part:
            yield part
            continue
        one = {key: value for key, value in part.items() if key not in {"times", "every"}}
        for at in range(part["times"]):
            copy = _numbered(one, str(at + 1))
            if "every" in part:
                copy["at"] += part["every"] * at
            yield copy


def _numbered(part: Any, number: str) -> Any:
    """Return a part with its number in it; what is repeated inside has numbers of its own."""
    if isinstance(part, str):
        return part.replace("#", number)
    if isinstance(part, list):
        return [_numbered(item, number) for item in part]
    if isinstance(part, dict) and "times" not in part:
        return {key: _numbered(item, number) for key, item in part.items()}
    return part


def _words(found: re.Match[str]) -> str:
    """Return so many words: what they are about, again and again."""
    words = found[2].split() or ["word"]
    number = int(found[1].replace(",", ""))
    return " ".join(words[at % len(words)] for at in range(number))


def _name(rule: ModuleType) -> str:
    """Return the name that findings carry."""
    return _stem(rule).replace("_", "-")


def _stem(rule: ModuleType) -> str:
    """Return the name of a rule's module, its page and its test."""
    return rule.__name__.rpartition(".")[2]


def _lead(rule: ModuleType) -> str:
    """Return the first sentence of a docstring."""
    return (inspect.getdoc(rule) or "").partition("\n\n")[0].replace("\n", " ")
