"""Writes langsmith_*.jsonl.gz: runs as LangSmith has them, one a line, of the lighthouse's calls.

``langsmith.json`` is what the service counted for the calls that it answered, by file.

``langsmith_langchain`` is what LangChain's tracer sent of ``ChatAnthropic``, each call inside
a chain; ``langsmith_wrapper`` what ``wrap_anthropic`` sent, in which one call is answered as
a stream, one stands inside a run of the program's own that says it is a model as well, and
one is refused. The runs were sent to a socket of this machine, put together as LangSmith
does it, and written by the SDK's own ``Run``; what they say of the machine is left out.

Run by hand outside of any repository, whose state would be written as well; last run
2026-11-21 with langsmith 0.15.0, langchain-anthropic 1.7.7 and anthropic 2.12.0:

    PYTHONPATH=$REPOSITORY:$REPOSITORY/tests python $REPOSITORY/tests/logs/make_langsmith.py
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import LangChainTracer
from langsmith import Client, traceable, tracing_context
from langsmith.schemas import Run
from langsmith.wrappers import wrap_anthropic
from lighthouse import ANSWERS, BODIES
from msgspec.structs import asdict

from cacheplan.testing import FakeAnthropic

HERE: Final = Path(__file__).parent
THREAD: Final = {"thread_id": "watch-1"}


@contextlib.contextmanager
def kept() -> Iterator[tuple[Client, dict[str, dict[str, Any]]]]:
    """Yield a client, and the runs that it sent by their id."""
    runs: dict[str, dict[str, Any]] = {}

    class Receiver(BaseHTTPRequestHandler):
        """Keeps what it is sent: a run first as it begins, then as it ended."""

        def do_POST(self) -> None:
            """Take in a run."""
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            run = {key: part for key, part in json.loads(raw).items() if part is not None}
            runs.setdefault(run["id"], {}).update(run)
            self.send_response(202)
            self.end_headers()

        do_PATCH = do_POST  # noqa: N815 -- the server's own way to name it

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    client = Client(api_url=url, api_key="any", auto_batch_tracing=False, info={})
    try:
        yield client, runs
    finally:
        client.flush()
        server.shutdown()
        server.server_close()


def write(name: str, runs: dict[str, dict[str, Any]]) -> None:
    """Write runs as an export does."""
    lines = []
    for run in runs.values():
        run["extra"].pop("runtime", None)
        if "error" in run:
            run["error"] = run["error"].partition("Traceback")[0]
        tokens = [event["time"] for event in run["events"] if event["name"] == "new_token"]
        told = Run(**{**run, "serialized": None, "first_token_time": (tokens or [None])[0]})
        lines.append(told.model_dump_json() + "\n")
    raw = "".join(lines).encode()
    (HERE / f"langsmith_{name}.jsonl.gz").write_bytes(gzip.compress(raw, mtime=0))


def langchain(fake: FakeAnthropic, client: Client) -> None:
    """Have the conversation by way of LangChain."""
    model = ChatAnthropic(
        model=BODIES[0]["model"], max_tokens=200, base_url=fake.url, api_key="any"
    ).bind_tools(BODIES[0]["tools"])
    chain = RunnableLambda(model.invoke)
    tracer = LangChainTracer(client=client, project_name="lamps")
    said: list[Any] = [SystemMessage(BODIES[0]["system"])]
    for body in BODIES:
        (new,) = body["messages"][-1]["content"]
        bare = {key: part for key, part in new.items() if key != "cache_control"}
        if new["type"] == "tool_result":
            part = {"type": "text", "text": new["content"]}
            name = new["tool_use_id"]
            asked = ToolMessage([part | {"cache_control": new["cache_control"]}], tool_call_id=name)
            later = ToolMessage([part], tool_call_id=name)
        else:
            asked, later = HumanMessage([new]), HumanMessage([bare])
        answer = chain.invoke([*said, asked], {"callbacks": [tracer], "metadata": THREAD})
        said += [later, answer]


def wrapper(fake: FakeAnthropic, client: Client) -> None:
    """Have the conversation by way of the wrapped SDK."""
    extra = {"client": client, "metadata": THREAD}
    plain = anthropic.Anthropic(base_url=fake.url, api_key="any", max_retries=0)
    sdk = wrap_anthropic(plain, tracing_extra=extra)

    @traceable(run_type="llm", client=client)  # type: ignore[untyped-decorator]
    def ask(**body: Any) -> Any:
        return sdk.messages.create(**body)

    @traceable(run_type="chain", client=client)  # type: ignore[untyped-decorator]
    def watch() -> None:
        sdk.messages.create(**BODIES[0])
        sdk.messages.create(**BODIES[1])
        ask(**BODIES[2])
        with sdk.messages.stream(**BODIES[3]) as stream:
            "".join(stream.text_stream)
        fake.fail(529)
        with contextlib.suppress(anthropic.APIStatusError):
            sdk.messages.create(**BODIES[3], timeout=5)

    with tracing_context(enabled=True, client=client):
        watch()


def main() -> None:
    """Write both files, and what was counted."""
    counted = {}
    for way in (langchain, wrapper):
        with FakeAnthropic() as fake, kept() as (client, runs):
            for answer in ANSWERS:
                fake.say(answer)
            way(fake, client)
        counted[way.__name__] = [asdict(call.usage) for call in fake.calls if call.usage]
        write(way.__name__, runs)
    (HERE / "langsmith.json").write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
