"""How far the estimate is from the truth, by kind of text and tokenizer.

    python benchmarks/token_error.py [--calls FILE.jsonl.gz] [--most N] [FOLDER ...]

Needs ctok (Python 3.12 or later), which stands in for the truth: it is exact on real
counts of both generations. The texts are whatever lies in the folders (by default this
Python's library and packages), the UDHR's first articles in the languages below, and
numbers and encoded bytes from a seed. Each sample is a block of 150 to 16,000
characters, cut at line ends; each file gives at most two of each size, and each folder
one file in twelve, so that no project outweighs the rest.

The bands in ``cacheplan/content.py`` are the column p95. With ``--calls``, whole calls
with recorded usage are compared as well.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import gzip
import itertools
import json
import math
import random
import statistics
import struct
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import ctok  # type: ignore[import-not-found, unused-ignore] # Python 3.12 and later

from cacheplan import facts
from cacheplan.assumptions import Assumptions
from cacheplan.content import kind_of_text
from cacheplan.io.counting import default_counter, estimate
from cacheplan.prompt import Block, Level
from cacheplan.tokens import closing_tokens, fixed_tokens, total, turn_tokens
from cacheplan.wire import parse

SIZES = (150, 600, 2400, 16_000)
# fmt: off
SUFFIXES = {
    ".c", ".cpp", ".css", ".csv", ".go", ".h", ".html", ".java", ".js", ".json", ".jsonl",
    ".log", ".md", ".mo", ".pl", ".py", ".pyi", ".rb", ".rs", ".rst", ".sh", ".sql", ".svg",
    ".toml", ".ts", ".txt", ".utf-8", ".xml", ".yaml", ".yml",
}
# fmt: on
JSON = (".json", "compact")
#: One model of each generation, with ctok's name for its tokenizer.
MODELS = {"claude-opus-4-6": "3.0", "claude-opus-5": "4.8"}

#: Article 1 (and, where short, 2) of the Universal Declaration of Human Rights.
ARTICLES = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed"
    " with reason and conscience and should act towards one another in a spirit of brotherhood."
    " Everyone is entitled to all the rights and freedoms set forth in this Declaration, without"
    " distinction of any kind, such as race, colour, sex, language, religion, political or other"
    " opinion, national or social origin, property, birth or other status.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit"
    " Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "French": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont"
    " doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit"
    " de fraternité.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados"
    " como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "Portuguese": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos."
    " Dotados de razão e de consciência, devem agir uns para com os outros em espírito de"
    " fraternidade.",
    "Italian": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono"
    " dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di"
    " fratellanza.",
    "Dutch": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn"
    " begiftigd met verstand en geweten, en behoren zich jegens elkander in een geest van"
    " broederschap te gedragen.",
    "Polish": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są"
    " oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "Turkish": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana"
    " sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
    "Vietnamese": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền."
    " Mọi con người đều được tạo hoá ban cho lý trí và lương tâm và cần phải đối xử với nhau"
    " trong tình bằng hữu.",
    "Indonesian": "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama."
    " Mereka dikaruniai akal dan hati nurani dan hendaknya bergaul satu sama lain dalam semangat"
    " persaudaraan.",
    "Swedish": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med"
    " förnuft och samvete och bör handla gentemot varandra i en anda av broderskap.",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены"
    " разумом и совестью и должны поступать в отношении друг друга в духе братства.",
    "Ukrainian": "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони"
    " наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства.",
    "Greek": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."
    " Είναι προικισμένοι με λογική και συνείδηση.",
    "Hebrew": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון,"
    " לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה.",
    "Arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم"
    " أن يعامل بعضهم بعضًا بروح الإخاء.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।"
    " उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
    "Thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"
    " ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ",
    "Chinese": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,"
    "并应以兄弟关系的精神相对待。人人有资格享有本宣言所载的一切权利和自由,不分种族、肤色、性别、语言、宗教。",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、"
    "尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
    "Korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."
    " 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
}


def files(folders: list[Path], most: int) -> Iterator[tuple[str, str]]:
    """Yield texts with where they are from, spread over suffixes and folders."""
    found: dict[str, list[Path]] = collections.defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            suffix = ".md" if path.name in ("METADATA", "README") else path.suffix
            if suffix in SUFFIXES and path.is_file() and path.stat().st_size > 1500:
                found[suffix].append(path)
    chance = random.Random(1)
    for suffix, paths in sorted(found.items()):
        chance.shuffle(paths)
        taken: collections.Counter[str] = collections.Counter()
        for path in paths:
            project = "/".join(path.parts[:7])
            if taken.total() >= most or taken[project] >= max(3, most // 12):
                continue
            raw = path.read_bytes()
            text = (translations(raw) if suffix == ".mo" else raw[:40_000]).decode(
                "utf-8", "ignore"
            )
            if "\0" not in text:
                taken[project] += 1
                yield suffix, text
                with contextlib.suppress(ValueError, RecursionError):
                    if suffix == ".json":
                        yield "compact", json.dumps(json.loads(raw), ensure_ascii=False)[:40_000]


def translations(raw: bytes) -> bytes:
    """Return some of the translated sentences of a message catalogue (GNU gettext)."""
    if raw[:4] != b"\xde\x12\x04\x95":
        return b""
    count, start = struct.unpack_from("<I", raw, 8)[0], struct.unpack_from("<I", raw, 16)[0]
    spans = [struct.unpack_from("<II", raw, start + 8 * at) for at in range(1, min(count, 400))]
    return b"\n".join(raw[at : at + length] for length, at in spans).replace(b"\0", b"\n")


def made_up() -> Iterator[tuple[str, str]]:
    """Yield numbers, encoded bytes, logs, and tool definitions as the estimate sees them."""
    chance = random.Random(2)
    for _ in range(20):
        raw = chance.randbytes(12_000)
        yield "base64", base64.b64encode(raw).decode()
        yield "hex", raw[:4000].hex()
        yield "uuid", "\n".join(_uuid(chance) for _ in range(100))
        yield (
            "numbers",
            "\n".join(
                ",".join(
                    f"{chance.random() * 10 ** chance.randrange(5):.{chance.randrange(4)}f}"
                    for _ in range(8)
                )
                for _ in range(100)
            ),
        )
        yield (
            "log",
            "\n".join(
                f"2026-11-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:17:05"
                f".{chance.randrange(1000)}Z INFO [worker-{chance.randrange(16)}]"
                f" GET /v1/users/{chance.randrange(10**6)}"
                f" {chance.choice([200, 404, 500])} {chance.randrange(900)}ms"
                for _ in range(60)
            ),
        )


def _uuid(chance: random.Random) -> str:
    """Write 16 bytes as a UUID."""
    text = chance.randbytes(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def samples(sources: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Cut texts into blocks of the four sizes."""
    chance = random.Random(3)
    for label, text in sources:
        for size in SIZES:
            starts = [0, *(at for at, char in enumerate(text) if char == "\n")]
            if len(starts) == 1:
                starts = [*range(0, len(text), size)]
            for _ in range(2):
                start = chance.choice(starts)
                cut = text.rfind("\n", start + size // 2, start + size)
                sample = text[start : cut if cut > 0 else start + size]
                # JSON in other scripts is, on most machines, tables of characters.
                if len(sample) > 0.4 * size and not (label in JSON and foreign(sample)):
                    yield label, sample


def block(text: str) -> Block:
    """Return text as a block that stands nowhere in particular."""
    return Block(level=Level.SYSTEM, kind="text", body={"type": "text", "text": text})


def errors(texts: list[str]) -> dict[str, list[tuple[str, float, bool]]]:
    """Return, by generation, each sample's kind, relative error, and whether it was foreseen."""
    found: dict[str, list[tuple[str, float, bool]]] = {}
    for name, version in MODELS.items():
        model = next(model for model in facts.MODELS if model.id == name)
        rows = []
        counts = estimate().count([block(text) for text in texts], model)
        for text, count in zip(texts, counts, strict=True):
            truth = ctok.token_count(text, version) - ctok.token_count("", version)
            off = count.tokens - truth
            rows.append((kind(text), off / max(truth, 1), abs(off) <= count.doubt))
        found[model.generation] = rows
    return found


def kind(text: str) -> str:
    """Name the kind a sample counts as; scripts that are counted by character are one."""
    return "other scripts" if foreign(text) else kind_of_text(text)


def foreign(text: str) -> bool:
    """Tell whether a third of a text is neither Latin nor punctuation."""
    return 3 * sum(ord(char) >= 0x370 and not 0x2000 <= ord(char) < 0x2190 for char in text) > len(
        text
    )


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share of the sorted values lies."""
    return values[min(len(values) - 1, math.floor(len(values) * share))]


def table(found: dict[str, list[tuple[str, float, bool]]]) -> None:
    """Print one line a kind and generation."""
    print(
        f"{'kind':14} {'tok':4} {'n':>6} {'bias':>7} {'p50':>6} {'p90':>6} {'p95':>6} {'inside':>7}"
    )
    kinds = [*sorted({name for name, _, _ in found["new"]}), "all"]
    for name in kinds:
        for generation, rows in found.items():
            mine = [row for row in rows if name in (row[0], "all")]
            off = sorted(abs(row[1]) for row in mine)
            bias = statistics.median(row[1] for row in mine)
            shares = "".join(f"{percentile(off, share):7.3f}" for share in (0.5, 0.9, 0.95))
            inside = sum(row[2] for row in mine) / len(mine)
            print(f"{name:14} {generation:4} {len(mine):6} {bias:+7.3f}{shares} {inside:7.3f}")


def calls(path: Path) -> None:
    """Print how far whole calls are off, against what the service billed."""
    assume = Assumptions()
    for counter in (estimate(), default_counter()):
        print(f"\n{counter.name}: {path.name}")
        for line in gzip.decompress(path.read_bytes()).splitlines():
            call = json.loads(line)
            usage = (call.get("response") or {}).get("usage")
            body = call["request"]
            found = facts.find(body["model"])
            if not usage or not found:
                continue
            blocks = [piece.block for piece in parse(body, assume).pieces]
            count = total(
                [
                    *counter.count(blocks, found.model),
                    *fixed_tokens(body, found.model, assume).values(),
                ]
            )
            roles = [piece.block.role for piece in parse(body, assume).pieces if piece.block.role]
            turns = len(list(itertools.groupby(roles)))
            tokens = count.tokens + turns * turn_tokens(found.model) + closing_tokens(found.model)
            truth = (
                usage["input_tokens"]
                + (usage.get("cache_read_input_tokens") or 0)
                + (usage.get("cache_creation_input_tokens") or 0)
            )
            inside = "inside" if abs(tokens - truth) <= count.doubt else "OUTSIDE"
            print(
                f"{truth:7} {tokens:7} ±{count.doubt:<6} {tokens / truth - 1:+6.1%} {inside:8}"
                f" {body['model']:18} {call['id'][:60]}"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--calls", type=Path)
    parser.add_argument("--most", type=int, default=100, help="files of one suffix")
    options = parser.parse_args()
    folders = options.folders or [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    sources = [*files(folders, options.most), *made_up()]
    articles = [("article", text) for text in ARTICLES.values()]
    texts = sorted({text for _, text in [*samples(iter(sources)), *articles]})
    print(f"{len(texts)} samples, {sum(map(len, texts)):,} characters")
    table(errors(texts))
    if options.calls:
        calls(options.calls)


if __name__ == "__main__":
    main()
