"""aider: its chunks with ``--cache-prompts``, sent by the litellm it brings."""

from __future__ import annotations

from typing import Any

from benchmarks.rivals.packages.chat import chat, sent_by_litellm
from benchmarks.rivals.packages.line import Body, Line, as_sent, serve

__all__: list[str] = []


def chunks(lines: list[Line]) -> Any:
    """Put what came before into ``done`` and the newest message into ``cur``."""
    from aider.coders.chat_chunks import ChatChunks  # noqa: PLC0415

    del lines

    def send(line: Line) -> Body:
        body = line["request"]
        messages = chat(body)
        system = [each for each in messages if each["role"] == "system"]
        for each in system:
            if isinstance(each["content"], list):
                # Its prompts are one string.
                each["content"] = "\n\n".join(part["text"] for part in each["content"])
        rest = [each for each in messages if each["role"] != "system"]
        made = ChatChunks(system=system, done=rest[:-1], cur=rest[-1:])
        made.add_cache_control_headers()
        return as_sent(body, sent_by_litellm(body, made.all_messages()))

    return send


if __name__ == "__main__":
    serve(("aider-chat", "litellm"), {"chunks": chunks})
