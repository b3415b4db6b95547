"""cacheeconomics: its plugin, which learns as calls go by, and its allocator on a trace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from benchmarks.rivals.packages.line import Body, Line, serve

__all__ = ["request_of"]

_KEY = b"no secret in here"
_DIRECT = "anthropic/direct"
_BEDROCK = "amazon-bedrock/converse"


def plugin(lines: list[Line]) -> Any:
    """``CachePlugin`` with ``apply=True``, told the feature and the time of each call.

    It is not told the session: then it learns each by itself, and wants 32 calls of it.
    """
    from cacheeconomics.plugin import CachePlugin  # noqa: PLC0415

    del lines
    placing = CachePlugin(key=_KEY)

    def send(line: Line) -> Body:
        body = line["request"]
        sent: Body
        sent, _ = placing.on_request(
            body,
            model=body["model"],
            target_id=_target(line),
            agent=line.get("label", "unknown"),
            apply=True,
            at=datetime.fromtimestamp(line["at"], UTC),
        )
        return sent

    return send


def allocator(lines: list[Line]) -> Any:
    """``allocator_full`` with what was observed on the first half of the time."""
    from cacheeconomics import allocate, registry  # noqa: PLC0415
    from cacheeconomics.allocator import allocator_full_no_relocation  # noqa: PLC0415
    from cacheeconomics.segment import apply_markers  # noqa: PLC0415

    del registry
    requests = [request_of(line, number) for number, line in enumerate(lines)]
    middle = lines[0]["at"] + (lines[-1]["at"] - lines[0]["at"]) / 2
    # It observes by chain: one agent's conversation. What comes later are other
    # conversations, so its chains are told apart here by agent alone.
    known = [one for one, line in zip(requests, lines, strict=True) if line["at"] < middle]
    rates = allocate.observed_change_rates_by_chain(known)
    gaps = allocate.observed_gaps_by_chain(known)
    made = {line["id"]: one for one, line in zip(requests, lines, strict=True)}

    def send(line: Line) -> Body:
        one = made[line["id"]]
        chain = allocate.reuse_chain_of(one)
        plan = allocator_full_no_relocation(
            one, rates=rates.get(chain, {}), gaps=gaps.get(chain, [])
        )
        sent: Body = apply_markers(line["request"], plan.ttls)
        return sent

    return send


def request_of(line: Line, number: int) -> Any:
    """Return a call as its traces have it."""
    from cacheeconomics.plugin import BYTES_PER_TOKEN  # noqa: PLC0415
    from cacheeconomics.segment import segments_from_request  # noqa: PLC0415
    from cacheeconomics.trace import Request, Segment  # noqa: PLC0415

    body = line["request"]
    segments = [
        Segment(
            id=each["id"],
            role=each["role"],
            tokens=max(1, round(each["bytes"] / BYTES_PER_TOKEN)),
            index=each["index"],
            label=each["label"],
            cache_marked=False,
            ttl=None,
        )
        for each in segments_from_request(body, _KEY, None)
    ]
    return Request(
        request_id=str(number),
        sent_at=datetime.fromtimestamp(line["at"], UTC),
        model=body["model"],
        usage={},
        segments=segments,
        tenant=None,
        target_id=_target(line),
        session=None,
        agent=line.get("label", "unknown"),
        ttl_requested=None,
    )


def _target(line: Line) -> str:
    """Return the surface by its name there."""
    return _BEDROCK if line.get("platform") == "bedrock" else _DIRECT


if __name__ == "__main__":
    serve(("cacheeconomics",), {"plugin": plugin, "allocator": allocator})
