"""``cacheplan reconcile``: a ledger of real calls, held against the imitated Admin API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

anthropic = pytest.importorskip("anthropic", minversion="0.108")

import cacheplan  # noqa: E402
from cacheplan.entries import Entry  # noqa: E402
from cacheplan.io import admin  # noqa: E402
from cacheplan.io.admin import KEY, Admin, key_from  # noqa: E402
from cacheplan.io.cli import main  # noqa: E402
from cacheplan.io.ledger import Ledger  # noqa: E402
from cacheplan.testing import FakeAnthropic  # noqa: E402

SECRET: Final = "sk-ant-admin01-of-nobody"  # noqa: S105 -- nobody's
MODEL: Final = "claude-opus-5-5"


def command(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["reconcile", *words], prog_name="cacheplan")


def body(text: str, **fields: Any) -> dict[str, Any]:
    """Return a body that is long enough to be cached."""
    return {
        "model": MODEL,
        "max_tokens": 50,
        "system": "Be brief. " * 900,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """Return the service, with a key for its reports, and no waiting."""
    with FakeAnthropic(workspaces={"key-a": "wrkspc_a"}) as served:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", served.url)
        monkeypatch.setenv(KEY, SECRET)
        yield served


def work(fake: FakeAnthropic, path: Path, *, workspace: str = "", key: str = "any") -> None:
    """Make calls on two days, cached and not, streamed and not, and a batch."""
    with Ledger(path) as ledger:
        marking = cacheplan.Middleware(ledger=ledger, clock=fake.clock, workspace=workspace)
        with anthropic.Anthropic(base_url=fake.url, api_key=key, middleware=[marking]) as client:
            for number in range(6):
                client.messages.create(**body(f"What is {number}?"))
                fake.sleep(60)
            with client.messages.stream(**body("And now?")) as stream:
                stream.get_final_message()
            client.messages.create(**body("What?", model="claude-haiku-5-5"))
            fake.sleep(86_400)
            made = client.messages.batches.create(
                requests=[{"custom_id": "a", "params": body("In a batch?")}]
            )
            list(client.messages.batches.results(made.id))


@pytest.fixture
def path(fake: FakeAnthropic, tmp_path: Path) -> Path:
    """Return the ledger of such calls."""
    work(fake, tmp_path / "calls.db")
    return tmp_path / "calls.db"


def bucket(end: str, **fields: Any) -> str:
    """Return a report with one bucket, from 2026-11-02 on."""
    bounds = {"starting_at": "2026-11-02T00:00:00Z", "ending_at": f"{end}T00:00:00Z"}
    return json.dumps({"data": [{**bounds, **fields}]})


def found(done: Result) -> dict[str, Any]:
    """Return what the command said, as JSON."""
    assert done.exit_code == 0, done.output
    said: dict[str, Any] = json.loads(done.stdout)
    return said


class TestAgreement:
    """What went through the ledger is what the service reports."""

    @pytest.mark.parametrize("endpoints", ["new", "old", "auto"])
    def test_everything(self, path: Path, endpoints: str) -> None:
        """Both generations agree with the ledger to the token and to the cent."""
        said = found(command(str(path), "--endpoints", endpoints, "--format", "json"))
        assert said["agrees"], said
        assert said["ledger"] == said["report"]
        assert said["expected_usd"] == pytest.approx(said["amount_usd"], abs=1e-12)
        assert said["agreed"]["tokens"] == sum(said["ledger"].values())
        assert (said["from"], said["to"]) == ("2026-11-02", "2026-11-03")

    def test_text(self, path: Path) -> None:
        """On a terminal both sides stand side by side."""
        done = command(str(path), "--fail-on", "any")
        assert done.exit_code == 0
        assert "Nothing is left over." in done.stdout
        assert "2026-11-02 to 2026-11-03 (UTC)" in done.stdout

    def test_pages(self, path: Path, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch) -> None:
        """A report of many pages is read to its end."""
        monkeypatch.setattr(admin, "_WIDTH", (("time_bucket_width", "1d"), ("limit", "1")))
        ways = {
            way: found._replace(more=(found.more[0], ("limit", "1")))
            for way, found in admin._WAYS.items()
        }
        monkeypatch.setattr(admin, "_WAYS", ways)
        for endpoints in ("new", "old"):
            before = len(fake.received)
            said = found(command(str(path), "--endpoints", endpoints, "--format", "json"))
            assert said["agrees"]
            assert len(fake.received) - before > 3


class TestGaps:
    """What only one side has is found, and nothing else."""

    def test_calls_elsewhere(self, path: Path, fake: FakeAnthropic) -> None:
        """Calls that went past the ledger are missing in it."""
        with anthropic.Anthropic(base_url=fake.url, api_key="any") as client:
            client.messages.create(**body("Past it", model="claude-sonnet-5"))
        said = found(command(str(path), "--format", "json"))
        assert {gap["kind"] for gap in said["gaps"]} == {"missing in the ledger"}
        assert {gap["model"] for gap in said["gaps"]} == {"claude-sonnet-5"}
        assert not said["priced"]
        assert command(str(path), "--fail-on", "tokens").exit_code == 1
        assert command(str(path), "--fail-on", "price").exit_code == 0

    def test_calls_never_made(self, path: Path) -> None:
        """Calls that the service does not know are missing in its report."""
        with Ledger(path) as ledger:
            at = 1_793_610_000.0
            used = cacheplan.Usage(read=77, output=7)
            ledger.record(Entry(at=at, model="claude-haiku-4-5", usage=used))
        said = found(command(str(path), "--format", "json"))
        gaps = {(gap["tokens"], gap["ledger"], gap["kind"]) for gap in said["gaps"]}
        assert gaps == {
            ("read", 77, "missing in the report"), ("output", 7, "missing in the report"),
        }  # fmt: skip

    def test_other_prices(self, path: Path, fake: FakeAnthropic) -> None:
        """Tokens that were charged at another price are found where both sides have them."""
        row = {
            "model": MODEL, "workspace_id": None, "service_tier": "standard", "amount": "100",
            "currency": "USD", "cost_type": "tokens", "token_type": "output_tokens",
        }  # fmt: skip
        fake.report("cost", row, at=1_793_610_000.0)
        said = found(command(str(path), "--endpoints", "old", "--format", "json"))
        assert not said["gaps"]
        (one,) = said["priced"]
        assert (one["tokens"], one["kind"]) == ("output", "dearer")
        assert one["amount_usd"] - one["sheet_usd"][0] == pytest.approx(1.0)

    def test_odd_rows(self, path: Path, fake: FakeAnthropic) -> None:
        """Rows that nobody understands are listed with their reason; unknown columns are said."""
        fake.report("cost", {"amount": "12.5", "cost_type": "moonlight", "currency": "USD"})
        fake.report("cost", {"amount": "3", "cost_type": "session_usage", "currency": "USD"})
        fake.report("usage", {"uncached_input_tokens": "many", "phase": "full"})
        fake.report("usage", {"uncached_input_tokens": 0, "output_tokens": 0, "model": MODEL,
            "cache_read_input_tokens": 0, "service_tier": "standard", "workspace_id": None,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0,
                               "ephemeral_24h_input_tokens": 5}})  # fmt: skip
        for endpoints in ("old", "new"):
            said = found(command(str(path), "--endpoints", endpoints, "--format", "json"))
            whys = sorted(row["why"] for row in said["unexplained"])
            tokens, split, moonlight = whys
            assert tokens.endswith("tokens of a kind that nobody here knows: 5")
            assert split == "cache_creation: missing, or no object"
            assert moonlight.startswith('cost_type: "moonlight" is no type of cost here')
            assert said["beside"] == [{"cost_type": "session_usage", "usd": 0.03}]
            assert any("phase (1)" in note for note in said["notes"])
            assert not said["gaps"]
        done = command(str(path), "--fail-on", "unexplained")
        assert done.exit_code == 1
        assert "moonlight" in done.stdout
        assert "$0.1250" in done.stdout


class TestWorkspaces:
    """Workspaces are digests in a ledger; a report's ids are digested with its key."""

    def test_joined(self, fake: FakeAnthropic, tmp_path: Path) -> None:
        """Calls of two workspaces are told apart where the program names them by their ids."""
        path = tmp_path / "calls.db"
        work(fake, path)
        work(fake, path, workspace="wrkspc_a", key="key-a")
        default = ["--workspace", "default=wrkspc_default"]
        said = found(command(str(path), *default, "--format", "json"))
        assert said["agrees"], said
        with anthropic.Anthropic(base_url=fake.url, api_key="key-a") as client:
            client.messages.create(**body("Past it"))
        done = command(str(path), *default, "--format", "json")
        assert {gap["workspace"] for gap in found(done)["gaps"]} == {"wrkspc_a"}

    def test_a_name_of_ones_own(self, fake: FakeAnthropic, tmp_path: Path) -> None:
        """What a program calls a workspace can be said; what is not said is pointed out."""
        path = tmp_path / "calls.db"
        work(fake, path, workspace="research", key="key-a")
        said = found(command(str(path), "--format", "json"))
        assert not said["agrees"]
        assert any("wrkspc_a (--workspace NAME=ID" in note for note in said["notes"])
        named = ["--workspace", "research=wrkspc_a"]
        assert found(command(str(path), *named, "--format", "json"))["agrees"]

    def test_a_key_kept_apart(self, fake: FakeAnthropic, tmp_path: Path) -> None:
        """Without the ledger's key workspaces cannot be joined, and that is said."""
        path, key = tmp_path / "calls.db", tmp_path / "key"
        key.write_bytes(b"mine")
        with Ledger(path, key=b"mine") as ledger:
            marking = cacheplan.Middleware(ledger=ledger, clock=fake.clock, workspace="wrkspc_a")
            client = anthropic.Anthropic(base_url=fake.url, api_key="key-a", middleware=[marking])
            with client:
                client.messages.create(**body("What?"))
        done = command(str(path))
        assert done.exit_code == 2
        assert "--key-file FILE has it" in done.stderr
        said = found(command(str(path), "--key-file", str(key), "--format", "json"))
        assert said["agrees"]


class TestFiles:
    """Exported reports instead of the API."""

    @pytest.fixture
    def exported(self, path: Path) -> dict[str, str]:
        """Return both reports of each generation as files."""
        made, folder = {}, path.parent
        for generation in ("old", "new"):
            asked = Admin(SECRET, generation=generation)
            for kind in ("usage", "cost"):
                days = (date(2026, 11, 2), date(2026, 11, 3))
                documents = [part for _, part in asked.documents(kind, *days)]
                made[f"{generation} {kind}"] = str(folder / f"{generation}-{kind}.json")
                Path(made[f"{generation} {kind}"]).write_text(json.dumps(documents))
        return made

    @pytest.mark.parametrize("generation", ["old", "new"])
    def test_read(
        self, path: Path, exported: dict[str, str], generation: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Files say what the API says, without a key; twice the same counts once."""
        monkeypatch.delenv(KEY)
        usage = ["--usage", exported[f"{generation} usage"]]
        cost = ["--cost", exported[f"{generation} cost"]]
        twice = Path(exported[f"{generation} usage"]).with_suffix(".again.json")
        twice.write_bytes(Path(exported[f"{generation} usage"]).read_bytes())
        for words in ([*usage, *cost], usage, cost, [*usage, "--usage", str(twice), *cost]):
            said = found(command(str(path), *words, "--format", "json"))
            assert said["agrees"], said

    def test_both_generations(self, path: Path, exported: dict[str, str]) -> None:
        """One day from both generations would be counted twice, and is refused."""
        for kind in ("usage", "cost"):
            files = [exported[f"{generation} {kind}"] for generation in ("old", "new")]
            done = command(str(path), *(word for file in files for word in (f"--{kind}", file)))
            assert done.exit_code == 2
            assert "breaks 2026-11-02 out in another way than" in done.stderr
            assert files[1] in done.stderr

    def test_the_wrong_way_round(self, path: Path, exported: dict[str, str]) -> None:
        """A report of usage that is given as one of cost is told so."""
        for generation in ("old", "new"):
            done = command(str(path), "--cost", exported[f"{generation} usage"])
            assert done.exit_code == 2
            assert "--usage" in done.stderr

    def test_missing_days(self, path: Path, exported: dict[str, str]) -> None:
        """A day that an export leaves out is said to be missing, with what the ledger has."""
        file = Path(exported["old usage"])
        (document,) = json.loads(file.read_text())
        document["data"] = document["data"][:1]
        file.write_text(json.dumps(document))
        words = ["--usage", str(file), "--to", "2026-11-04", "--format", "json"]
        said = found(command(str(path), *words))
        assert said["uncovered"] == [
            {"day": "2026-11-03", "report": "usage", "calls": 1},
            {"day": "2026-11-04", "report": "usage", "calls": 0},
        ]
        assert not said["gaps"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "the JSON ends too early"),
            ("[]x", "not JSON"),
            ("{}", "this is no report"),
            ('{"data": [3]}', "data[0]: this is not an object"),
            ('{"data": [{"starting_at": "today"}]}', 'data[0].starting_at: "today" is no RFC'),
            (bucket("2026-11-01", results=[]), "ending_at: it ends before it begins"),
            (bucket("2026-11-03"), "neither a bucket"),
            (bucket("2026-11-03", group={}), "this is no report of usage"),
            (bucket("2026-11-03", results=[{"rbac_group_id": "a"}]), "overlap; ask for"),
        ],
    )
    def test_bad_files(self, path: Path, tmp_path: Path, text: str, words: str) -> None:
        """What is no report is said in a line that names the file and the place."""
        file = tmp_path / "report.json"
        file.write_text(text)
        done = command(str(path), "--usage", str(file))
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith(f"cacheplan: {file}: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--from", "yesterday"], '--from "yesterday" is no day'),
            (["--from", "2026-11-03", "--to", "2026-11-01"], "--to 2026-11-01 is before"),
            (["--workspace", "a"], '--workspace "a" is not NAME=ID'),
            (["--usage", "missing.json"], "missing.json: no such file"),
        ],
    )
    def test_bad_words(self, path: Path, words: list[str], said: str) -> None:
        """So is what is wrong with the command line."""
        done = command(str(path), *words)
        assert done.exit_code == 2
        assert said in done.stderr


class TestKey:
    """The key is never seen."""

    def test_missing(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a key it is said where one is looked for."""
        monkeypatch.delenv(KEY)
        done = command(str(path))
        assert done.exit_code == 2
        assert f"{KEY} is not set" in done.stderr

    @pytest.mark.parametrize("wrong", ["sk ant", "sk\nant", "schlüssel", "a\x00b"])
    def test_no_key(self, wrong: str) -> None:
        """What cannot be a key is not sent, and not shown."""
        with pytest.raises(cacheplan.CacheplanError) as told:
            key_from({KEY: wrong})
        assert wrong not in str(told.value)

    def test_refused(self, path: Path, fake: FakeAnthropic) -> None:
        """An answer that repeats the key is shown without it, and the key stands nowhere."""
        fake.fail(401, message=f"invalid key {SECRET}", path="/v1/organizations/analytics/usage")
        done = command(str(path))
        assert done.exit_code == 2
        assert "401: invalid key (the key)" in done.stderr
        assert SECRET not in done.output
        assert all(SECRET not in str(one.headers) for one in fake.received)
        files = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert SECRET.encode() not in files

    def test_no_admin_key(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key of another kind is told to be one."""
        monkeypatch.setenv(KEY, "sk-ant-api03-x")
        done = command(str(path))
        assert done.exit_code == 2
        assert f"is {KEY} an Admin API key" in done.stderr
        assert "sk-ant-api03-x" not in done.output

    def test_only_this_key(
        self, path: Path, fake: FakeAnthropic, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No other credential of the environment goes along."""
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a third")
        assert found(command(str(path), "--format", "json"))["agrees"]
        assert "authorization" not in fake.received[-1].headers


class TestWaiting:
    """Troubles on the way."""

    def asked(self, **options: Any) -> tuple[list[float], list[Any]]:
        """Ask for a day of usage, and return the waits and the pages."""
        waits: list[float] = []
        asked = Admin(SECRET, sleep=waits.append, **options)
        day = date(2026, 11, 2)
        return waits, [part for _, part in asked.documents("usage", day, day)]

    def test_too_many(self, fake: FakeAnthropic) -> None:
        """The service's own word for how long to wait is kept to, else it is a minute."""
        fake.fail(429, times=2, retry_after=7)
        fake.fail(429, retry_after=None)
        waits, documents = self.asked()
        assert waits == [7.0, 7.0, 60.0]
        assert len(documents) == 1

    def test_theirs(self, fake: FakeAnthropic) -> None:
        """Troubles of the service's are waited out, longer each time; then it is said."""
        fake.fail(529, times=2, retry_after=None)
        assert self.asked()[0] == [2.0, 4.0]
        fake.fail(500, times=5, retry_after=None)
        with pytest.raises(cacheplan.CacheplanError, match=r"analytics/usage: 500: "):
            self.asked()

    def test_too_long(self, fake: FakeAnthropic) -> None:
        """Nobody is kept waiting for an hour."""
        fake.fail(429, retry_after=3_600)
        with pytest.raises(cacheplan.CacheplanError, match=r"it asks to wait for 3,600 seconds"):
            self.asked()

    def test_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nobody answers, that is said."""
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        with pytest.raises(cacheplan.CacheplanError, match="no answer"):
            self.asked()

    def test_older_only(self, path: Path, fake: FakeAnthropic) -> None:
        """Where an organization has no newer reports, the older are used, and that is said."""
        fake.fail(404, path="/v1/organizations/analytics/usage")
        said = found(command(str(path), "--format", "json"))
        assert said["agrees"]
        assert any("no newer reports" in note for note in said["notes"])
        fake.fail(404, path="/v1/organizations/analytics/usage")
        assert command(str(path), "--endpoints", "new").exit_code == 2
