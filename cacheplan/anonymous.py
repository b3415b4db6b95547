"""A workload without its text: the digest form, safe to hand to somebody else.

Blocks become keyed digests and lengths, so that what is shared can be seen and nothing
can be read; without the key, not even a guess can be confirmed. Ids, sessions, workspaces
and what tags say are digested the same way. Labels stay: they are the features the cost
is booked on, named by whoever keeps the books.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Final

from cacheplan.kinds import CONTENT, TOOLS
from cacheplan.prefixes import SETTINGS, PrefixTree
from cacheplan.prompt import Lifetime
from cacheplan.usage import Usage
from cacheplan.workload import Call, Workload

__all__ = ["anonymous"]

#: The words of the API for what a block is, and two of ours.
_KINDS: Final = frozenset({*CONTENT, *TOOLS, "tool", "output_config"})


def anonymous(workload: Workload, key: bytes) -> Iterator[dict[str, Any]]:
    """Yield the calls in the digest form, in time order."""
    names = _Names(key)
    sent: dict[int, str] = {}
    for call in workload:
        name = names.of(f"call {call.number} {call.id or ''}")
        line: dict[str, Any] = {"id": name, "at": call.at, "model": call.tariff.model}
        line |= _envelope(call, names)
        line |= _prompt(workload.tree, call, sent, names)
        line |= _answer(call)
        sent.setdefault(call.tip, name)
        yield line


class _Names:
    """Turns words into digests that only the key's holder can recognise."""

    def __init__(self, key: bytes) -> None:
        # BLAKE2b takes keys of up to 64 bytes; a longer one is hashed down first.
        self._key = key if len(key) <= 64 else blake2b(key).digest()  # noqa: PLR2004 -- BLAKE2b's own limit

    def of(self, word: str | bytes) -> str:
        """Return the digest of a word."""
        form = word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word
        return blake2b(form, digest_size=12, key=self._key).hexdigest()


def _envelope(call: Call, names: _Names) -> dict[str, Any]:
    """Return what stands beside the prompt, defaults left out."""
    line: dict[str, Any] = {}
    # An empty name is no name: nothing is kept apart by it.
    for key, word in (("session", call.session), ("workspace", call.workspace)):
        if word:
            line[key] = names.of(word)
    if call.label is not None:
        line["label"] = call.label
    if call.tags:
        # Their names are the program's; what they say may name a customer.
        line["tags"] = {name: names.of(word) for name, word in call.tags}
    tariff = call.tariff
    defaults = {"platform": "anthropic", "surface": "messages", "speed": "standard"}
    for key, default in defaults.items():
        if getattr(tariff, key) != default:
            line[key] = getattr(tariff, key)
    if tariff.geo:
        line["inference_geo"] = tariff.geo
    line["first_token_after"] = call.first_token_after
    if call.lacks:
        line["lacks"] = list(call.lacks)
    return line


def _prompt(tree: PrefixTree, call: Call, sent: dict[int, str], names: _Names) -> dict[str, Any]:
    """Return the blocks beyond the longest prompt sent before, and the marks.

    What is set at a level has no place in this form, so it goes into the digests of all
    blocks behind it: two calls share in the copy what they shared in the original.
    """
    path = tree.path(call.tip)
    known = next((at for at in range(len(path), 0, -1) if path[at - 1] in sent), 0)
    blocks: list[dict[str, Any]] = []
    index: dict[int, int] = {}
    gate, hidden = b"", 0
    for at, node in enumerate(path):
        block = tree.block[node]
        length = tree.tokens[node] - tree.tokens[tree.parent[node]]
        if tree.kind[block] == SETTINGS:
            gate += tree.digest[block]
            hidden += length
            continue
        index[node] = len(index)
        if at >= known:
            # The same words that take a mark here and none there are two blocks.
            refuses = tree.refuses[block]
            entry = {
                "digest": names.of(gate + tree.digest[block] + refuses.encode()),
                "tokens": length + hidden,
                "level": str(tree.level[block]),
                "kind": _kind(tree.kind[block]),
            }
            if refuses:
                entry["unmarkable"] = True
            blocks.append(entry)
        hidden = 0
    line: dict[str, Any] = {}
    if known:
        line["extends"] = sent[path[known - 1]]
    line["blocks"] = blocks
    line |= _marks(tree, call, index)
    if call.closing + hidden:
        line["closing_tokens"] = call.closing + hidden
    return line


def _kind(kind: str) -> str:
    """Return a kind that the API has; any other word may be the caller's own."""
    return kind if kind in _KINDS else "other"


def _marks(tree: PrefixTree, call: Call, index: dict[int, int]) -> dict[str, Any]:
    """Return the marks; the automatic one is named apart."""
    marks = list(call.marks)
    line: dict[str, Any] = {}
    if call.automatic is not None:
        line["automatic"] = str(call.automatic)
        target = tree.markable(call.tip)
        if marks and call.refused is None and marks[-1].node == target:
            marks.pop()
    if marks:
        line["marks"] = [{"block": index[node], "ttl": str(Lifetime(ttl))} for node, ttl in marks]
    return line


def _answer(call: Call) -> dict[str, Any]:
    """Return what came back, in numbers."""
    line: dict[str, Any] = {"output_tokens": call.output}
    response: dict[str, Any] = {}
    if call.failed:
        response["type"] = "error"
    if call.recorded is not None:
        response["usage"] = _usage(call.recorded)
    if response:
        line["response"] = response
    return line


def _usage(usage: Usage) -> dict[str, Any]:
    """Write usage as the API does."""
    return {
        "input_tokens": usage.uncached,
        "cache_read_input_tokens": usage.read,
        "cache_creation_input_tokens": usage.written,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.write_5m,
            "ephemeral_1h_input_tokens": usage.write_1h,
        },
        "output_tokens": usage.output,
    }
