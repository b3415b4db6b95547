"""Makes ``claude_code.json.gz``: transcripts that Claude Code wrote, and what it had sent.

Run as ``python tests/logs/make_claude_code.py CLI FOLDER OUT``, ``CLI`` being the program
that claude-agent-sdk bundles (0.2.187: Claude Code 2.1.330), and ``FOLDER`` one whose name
may be read by anybody, since the client writes it into every line. The Messages API is the
imitated service. A C compiler, where there is one, hides which kernel this machine runs.

Two sessions: tools side by side, a picture, a sub-agent, a session taken up again, a fork,
a compaction and what follows it, a service that was overloaded once, a change of model.
Of each call the archive has the usage that the service charged, and a digest of the body
as it arrived (sorted keys, one form for text), without what no record holds: the block that
says who pays, whom it is for, and whether it is streamed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from lighthouse import SYSTEM  # noqa: E402 -- found by the path above

from cacheplan.testing import FakeAnthropic  # noqa: E402 -- likewise

#: Members of a body that are in no record.
UNRECORDED: Final = ("metadata", "stream")
ELSEWHERE: Final = """
#include <string.h>
#include <sys/utsname.h>
int uname(struct utsname *name) {
  memset(name, 0, sizeof *name);
  strcpy(name->sysname, "Linux"); strcpy(name->release, "6.12.0"); strcpy(name->version, "#1");
  strcpy(name->machine, "x86_64"); strcpy(name->nodename, "lighthouse");
  return 0;
}
"""


def picture() -> bytes:
    """Return a red square."""
    rows = b"".join(b"\0" + b"\xff\x00\x00" * 40 for _ in range(40))
    head = struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    written = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def use(name: str, tool: str, **given: Any) -> dict[str, Any]:
    """Return a use of a tool."""
    return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": given}


def answer(body: dict[str, Any]) -> Any:
    """Answer by what is asked last."""
    asked = json.dumps([one for one in body["messages"] if one["role"] != "system"][-1])
    if "summary of the conversation" in asked:
        return "<summary>Lamp 7 has four litres of oil left.</summary>"
    if "tool_result" in asked:
        return "I have looked."
    if "Look at everything" in asked:
        return [
            {"type": "thinking", "thinking": "Three things.", "signature": "c2ln"},
            {"type": "text", "text": "All at once."},
            use("wait", "Bash", command="sleep 1; echo lit", description="Wait"),
            use("oil", "Read", file_path="oil.txt"),
            use("glass", "Read", file_path="glass.png"),
        ]
    if "Ask a helper" in asked:
        given = {"description": "Count", "subagent_type": "general-purpose"}
        prompt = "Count the lamps."
        return [use("helper", "Agent", prompt=prompt, run_in_background=False, **given)]
    if "Count the lamps" in asked:
        return [use("count", "Bash", command="ls", description="List")]
    return f"That was message {len(body['messages'])}."


class Client:
    """Claude Code, asked once at a time."""

    def __init__(self, cli: str, folder: Path, url: str) -> None:
        self._cli = cli
        self._work = folder / "lamps"
        self._home = folder / "home"
        for place in (self._work, self._home):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
        (self._work / "oil.txt").write_text("Lamp 7 has four litres of oil left.\n")
        (self._work / "glass.png").write_bytes(picture())
        self._around = {
            "ANTHROPIC_API_KEY": "any",
            "ANTHROPIC_BASE_URL": url,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "HOME": str(self._home),
            "IS_SANDBOX": "1",
            "PATH": "/usr/bin:/bin",
            "TZ": "UTC",
            **self._hidden(),
        }

    def _hidden(self) -> dict[str, str]:
        """Return what lets the client see another kernel."""
        if not shutil.which("cc"):
            return {}
        made = self._home / "elsewhere.so"
        source = made.with_suffix(".c")
        source.write_text(ELSEWHERE)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", made, source], check=True)
        return {"LD_PRELOAD": str(made)}

    def ask(self, said: str, model: str, *more: str) -> str:
        """Ask, and return the session."""
        words = ["-p", said, "--model", model, "--output-format", "json", *more]
        words += ["--system-prompt", SYSTEM]
        words += [] if said.startswith("/") else ["--disable-slash-commands"]
        words += ["--tools", "Agent,Bash,Read", "--allowedTools", "Agent,Bash,Read"]
        done = subprocess.run(
            [self._cli, *words],
            env=self._around,
            cwd=self._work,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
        return str(json.loads(done.stdout)["session_id"])

    def transcripts(self) -> dict[str, str]:
        """Return what was written, by where."""
        root = self._home / ".claude" / "projects"
        paths = sorted(root.rglob("*.jsonl"))
        return {
            str(path.relative_to(root)): "".join(map(shortened, path.open(encoding="utf-8")))
            for path in paths
        }


def shortened(line: str) -> str:
    """Return a line without what an attachment holds: most of a file, and in no reader's way."""
    found = json.loads(line)
    if found["type"] != "attachment":
        return line
    found.pop("rendered", None)
    found["attachment"] = {"type": found["attachment"]["type"]}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False) + "\n"


def digest(body: dict[str, Any]) -> str:
    """Return the digest of a body as it would be recorded."""
    plain = {key: part for key, part in body.items() if key not in UNRECORDED}
    plain["system"] = [
        block for block in body["system"] if "x-anthropic-billing-header" not in block["text"]
    ]
    plain["messages"] = [
        {**one, "content": [{"type": "text", "text": one["content"]}]}
        if isinstance(one["content"], str)
        else one
        for one in body["messages"]
    ]
    written = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def main(cli: str, folder: str, out: str) -> None:
    """Have the sessions, and write the archive."""
    with FakeAnthropic(first_token_after=0.0, strict=False) as fake:
        fake.say(answer, times=None)
        client = Client(cli, Path(folder), fake.url)
        opus = "claude-opus-5-5"
        first = client.ask("Look at everything.", opus)
        client.ask("Ask a helper.", opus, "--resume", first)
        client.ask("And in the copy?", opus, "--resume", first, "--fork-session")
        client.ask("/compact", opus, "--resume", first)
        client.ask("What now?", opus, "--resume", first)
        fake.fail(529)
        second = client.ask("Which lamp is next?", "claude-haiku-4-5")
        client.ask("And then?", "claude-sonnet-4-5", "--resume", second)
    sent = [
        {
            "id": call.answer.get("id"),
            "usage": call.answer.get("usage"),
            "digest": digest(call.body),
        }
        for call in fake.calls
    ]
    archive = json.dumps({"files": client.transcripts(), "sent": sent}, ensure_ascii=False)
    with gzip.GzipFile(out, "wb", mtime=0) as stream:
        stream.write(archive.encode())


if __name__ == "__main__":
    os.umask(0o077)
    main(*sys.argv[1:])
