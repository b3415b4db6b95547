"""mini-swe-agent: its mark on the newest message, sent by litellm."""

from __future__ import annotations

from typing import Any

from benchmarks.rivals.packages.chat import chat, sent_by_litellm
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def default_end(lines: list[Line]) -> Any:
    """``set_cache_control="default_end"``, which it takes for every Claude."""
    from minisweagent.models.utils.cache_control import set_cache_control  # noqa: PLC0415

    del lines

    def send(line: Line) -> Body:
        body = line["request"]
        return as_sent(body, sent_by_litellm(body, set_cache_control(_single(chat(body)))))

    return send


def _single(messages: list[Body]) -> list[Body]:
    """Join the texts of a message: it takes no message of several blocks."""
    return [
        {**each, "content": "\n\n".join(part["text"] for part in each["content"])}
        if isinstance(each["content"], list)
        else each
        for each in messages
    ]


if __name__ == "__main__":
    serve(("mini-swe-agent", "litellm"), {"default_end": default_end})
