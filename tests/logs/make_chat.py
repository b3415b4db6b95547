"""Make `chat.json`: prompts in OpenAI's form, and what LiteLLM makes of them for Anthropic.

    python tests/logs/make_chat.py        # with litellm; last run with 1.106.2

Nothing is sent: the translation is a function.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from litellm.llms.anthropic.chat.transformation import AnthropicConfig
from litellm.utils import get_optional_params

MODEL = "claude-opus-5-5"
HOUR = {"type": "ephemeral", "ttl": "1h"}
SHORT = {"type": "ephemeral"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PAPER = "data:application/pdf;base64,JVBERi0="


def text(said: str, **more: Any) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "text", "text": said, **more}


def call(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    """Return a call of a tool."""
    function = {"name": "oil_left", "arguments": arguments}
    return {"id": name, "type": "function", "function": function, **more}


def image(url: Any, **more: Any) -> dict[str, Any]:
    """Return a part that is an image."""
    return {"type": "image_url", "image_url": url, **more}


FUNCTION = {
    "name": "oil_left",
    "description": "Says how much oil is left.",
    "parameters": {"properties": {"lamp": {"type": "integer"}}, "type": "object"},
}
PLAIN = {"type": "function", "function": FUNCTION}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "4 litres"}
ASKED = {"role": "user", "content": "How much oil is left?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [call("call_1", '{"lamp": 7}')]}
THOUGHT = {"type": "thinking", "thinking": "Lamp 7, then.", "signature": "c2lnbmVk"}

#: By name: the messages, and the tools where the case is about them.
CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "plain text": ([{"role": "system", "content": "Be brief."}, ASKED], []),
    "a developer and several system messages": (
        [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "system",
                "content": [text("Be kind."), text("Be quick.", cache_control=HOUR)],
            },
            ASKED,
        ],
        [],
    ),
    "marks on messages of text": (
        [
            {"role": "system", "content": "Be brief.", "cache_control": HOUR},
            {"role": "user", "content": "And now?", "cache_control": SHORT},
        ],
        [],
    ),
    "a mark on a message of parts is lost": (
        [{"role": "user", "content": [text("One."), text("Two.")], "cache_control": SHORT}],
        [],
    ),
    "a tool, its result and a question after it": (
        [ASKED, CALLED, RESULT, {"role": "user", "content": [text("And?", cache_control=SHORT)]}],
        [PLAIN],
    ),
    "two tools at once, marked": (
        [
            ASKED,
            {
                "role": "assistant",
                "content": "I look.",
                "tool_calls": [
                    call("call_1", '{"lamp": 7}'),
                    call("a.b:2", "", cache_control=SHORT),
                ],
            },
            RESULT,
            {"role": "tool", "tool_call_id": "a.b:2", "content": "none", "cache_control": SHORT},
        ],
        [PLAIN],
    ),
    "results that are parts": (
        [
            ASKED,
            CALLED,
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": [
                    text("4 litres", cache_control=SHORT),
                    image({"url": PIXEL}),
                    image(PAPER),
                ],
            },
        ],
        [PLAIN],
    ),
    "neighbours of one role": (
        [
            ASKED,
            {"role": "user", "content": "Lamp 7."},
            {"role": "assistant", "content": "Four"},
            {"role": "assistant", "content": [text("litres.")]},
            ASKED,
        ],
        [],
    ),
    "a call that stands twice": ([ASKED, CALLED, CALLED, RESULT], [PLAIN]),
    "empty text": (
        [
            {"role": "system", "content": ""},
            {"role": "user", "content": [text(" "), text("Hi")]},
            CALLED | {"content": ""},
            RESULT | {"content": ""},
        ],
        [PLAIN],
    ),
    "nothing said": ([ASKED, {"role": "assistant", "content": None}, ASKED], []),
    "images": (
        [
            {
                "role": "user",
                "content": [
                    image({"url": PIXEL}, cache_control=SHORT),
                    image("https://lamps.test/7.png"),
                    image({"url": PIXEL, "format": "image/webp"}),
                ],
            }
        ],
        [],
    ),
    "files": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"file_data": PAPER}, "cache_control": SHORT},
                    {"type": "file", "file": {"file_id": "https://lamps.test/7.pdf"}},
                    {"type": "file", "file": {"file_id": "file_7", "format": "application/pdf"}},
                    {"type": "file", "file": {"file_id": "file_8", "format": "image/png"}},
                    {"type": "file", "file": {"file_id": "file_9"}},
                    {"type": "document", "source": {"type": "url", "url": "https://lamps.test/"}},
                ],
            }
        ],
        [],
    ),
    "thoughts": (
        [
            ASKED,
            CALLED
            | {"thinking_blocks": [THOUGHT, {"type": "redacted_thinking", "data": "c2VjcmV0"}]},
            RESULT,
            {
                "role": "assistant",
                "content": "Four.",
                "thinking_blocks": [{"type": "thinking", "thinking": "unsigned"}],
            },
            ASKED,
            {
                "role": "assistant",
                "content": [THOUGHT, text("Still four.")],
                "thinking_blocks": [THOUGHT],
            },
            ASKED,
        ],
        [PLAIN],
    ),
    "tools that the service ran": (
        [
            ASKED,
            {
                "role": "assistant",
                "content": "Found it.",
                "thinking_blocks": [THOUGHT, THOUGHT | {"thinking": "Enough."}],
                "tool_calls": [call("srvtoolu_1", '{"query": "oil"}'), call("call_1", "{}")],
                "provider_specific_fields": {
                    "web_search_results": [
                        {
                            "type": "web_search_tool_result",
                            "tool_use_id": "srvtoolu_1",
                            "content": [],
                        }
                    ],
                    "compaction_blocks": [{"type": "compaction", "content": "They spoke of oil."}],
                },
            },
            RESULT,
        ],
        [PLAIN],
    ),
    "what the system says later": (
        [
            {"role": "system", "content": "Be brief."},
            ASKED,
            {"role": "system", "content": "It is night."},
            {"role": "assistant", "content": "Four."},
            ASKED,
        ],
        [],
    ),
    "tools of every form": (
        [ASKED],
        [
            PLAIN,
            {"type": "function", "function": FUNCTION | {"name": "b", "cache_control": SHORT}},
            {"type": "function", "function": {"name": "c"}, "cache_control": HOUR},
            {"type": "function", "function": {"name": "d"}, "defer_loading": True},
            {"name": "e", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
            {
                "type": "computer_20250124",
                "function": {
                    "name": "computer",
                    "parameters": {"display_width_px": 80, "display_height_px": 60},
                },
            },
        ],
    ),
}


def translated(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the prompt that LiteLLM would send."""
    chosen = {}
    if tools:
        chosen = get_optional_params(model=MODEL, custom_llm_provider="anthropic", tools=tools)
    asks = AnthropicConfig()
    copied = asks.translate_developer_role_to_system_role(json.loads(json.dumps(messages)))
    body = asks.transform_request(MODEL, copied, dict(chosen), {}, {})
    kept = ("model", "system", "messages", "tools")
    return {key: body[key] for key in kept if body.get(key)}


if __name__ == "__main__":
    made = [
        {
            "case": name,
            "messages": messages,
            "tools": tools,
            "body": translated(messages, json.loads(json.dumps(tools))),
        }
        for name, (messages, tools) in CASES.items()
    ]
    written = json.dumps(made, indent=1, ensure_ascii=False)
    (Path(__file__).parent / "chat.json").write_text(written + "\n", encoding="utf-8")
