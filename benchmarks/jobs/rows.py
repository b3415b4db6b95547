"""Who does which job: the rows of the table, and what each leaves undone.

Read in the packages' sources, at the versions that the kept table names. Looked at and left
out, 2026-11-21: kvlint, prefixlens and llmtrafficlens simulate the caches of servers that one
runs oneself, which keep other rules; ctxdiff and cachelens only see clients that they wrap;
cachecanary reads Bedrock's own form of a body; replay-doctor is a program without source;
scorchmark keeps most of its checks behind a licence.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from benchmarks.jobs.inputs import USAGES
from benchmarks.rivals.environments import PACKAGES, Package

__all__ = ["ENVIRONMENTS", "SECTIONS", "Peer", "Section"]


def _alone(name: str, **more: Any) -> Package:
    """Return an environment of one package that no other table asks."""
    return Package(name, (name,), "", {}, **more)


#: What is installed, by the name of its environment.
ENVIRONMENTS: Final = {package.name: package for package in PACKAGES} | {
    name: _alone(name)
    for name in (
        "promptcachelint", "cachelint", "prefixguard", "prefixcash", "kvleak",
        "claude-cache-audit", "cachemiss", "ccdrift", "claude-session-diagnostics",
        "genai-prices", "metergraph-core", "tokencost",
    )
}  # fmt: skip


class Peer(NamedTuple):
    """One row: who does the job, and what it leaves undone."""

    name: str
    #: The name of its environment; none is ours.
    environment: str
    #: The program under ``jobs``, and which of its jobs.
    program: str
    job: str
    #: What it does not do of what ours does, or does besides; one sentence.
    lacks: str
    #: The row of ours that it is held against.
    beside: str = ""


class Section(NamedTuple):
    """One job, done by all that do a like one."""

    title: str
    #: What a turn is, and what it is done to.
    what: str
    rows: tuple[Peer, ...]
    #: Why those that are quicker than ours are so.
    why: str


def _ours(name: str, job: str, lacks: str) -> Peer:
    return Peer(name, "", "ours", job, lacks)


def _judged(job: str) -> tuple[Peer, ...]:
    """Return who goes through a log and says what is wrong with it."""
    return (
        _ours(
            "`cacheplan review`",
            job,
            "counts tokens, simulates and prices every call under every policy, and prices each"
            " finding by simulating the calls without it",
        ),
        Peer(
            "promptcachelint report", "promptcachelint", "promptcachelint", job,
            "holds each body against the one before it in its session; counts characters,"
            " simulates, places and prices nothing",
        ),
        Peer(
            "prefixguard", "prefixguard", "prefixguard", job,
            "holds each body against the one before it; takes a mark that moves for a change,"
            " so it calls every turn broken; no prices",
        ),
        Peer(
            "cachelint analyze", "cachelint", "cachelint", job,
            "holds all bodies against the first and says where the earliest differs; knows no"
            " conversations, no time and no prices",
        ),
        Peer(
            "prefixcash diagnose", "prefixcash", "prefixcash", job,
            "reads the text of messages alone, no tools and no tool results",
        ),
        Peer(
            "cacheeconomics analyze", "cacheeconomics", "cacheeconomics", job,
            "rules over bodies cut into segments, tokens by bytes; of logged bodies it withholds"
            " dollars",
        ),
    )  # fmt: skip


#: All of them, by the name that ``--sections`` takes.
SECTIONS: Final = {
    "mark": Section(
        "Marking bodies as they are sent",
        "A conversation of 60 turns that grows to 199 kB, all 60 bodies in a turn",
        (
            _ours("`Session(plan)`", "planned",
                  "what `Middleware(plan)` asks: reads what a body adds to the one before, and"
                  " says what the service will bill"),
            _ours("`Session()`", "learning",
                  "what `Middleware()` asks: learns gaps and change from the calls it sees, and"
                  " chooses lifetimes by them"),
            _ours("`cacheplan.mark(body, plan)`", "mark",
                  "keeps nothing between calls: reads each body whole"),
            Peer("litellm, automatic", "litellm", "litellm", "mark",
                 "marks the system prompt and the last message, by position; reads no prompt"),
            Peer("langchain-anthropic", "langchain", "langchain", "mark",
                 "marks the last tool and the last system block and asks for the automatic mark;"
                 " reads no prompt; the body is made later, off the clock"),
            Peer("leanwire", "leanwire", "leanwire", "mark",
                 "marks every twenty blocks from the tail; leaves tools and system to the caller"),
            Peer("cachellm-py", "cachellm", "cachellm", "mark",
                 "scores segments by their text and marks up to four; five minutes only"),
            Peer("cacheguardian", "cacheguardian", "cacheguardian", "mark",
                 "sorts tools and the keys of every block, which changes what the model reads;"
                 " four places by position"),
            Peer("Strands", "strands", "strands", "mark",
                 "makes the body from its own messages, which ours never has to, and marks by"
                 " position on the way"),
            Peer("pydantic-ai, cache=True", "pydantic_ai", "pydantic_ai", "mark",
                 "makes the body from its own messages and writes it as JSON, with three marks by"
                 " position on the way"),
            Peer("cacheeconomics, plugin", "cacheeconomics", "cacheeconomics", "mark",
                 "learns as well, but marks only after 32 calls of a kind, and cuts every body"
                 " anew", "learning"),
        ),
        "They place by position, which needs no look at the prompt.",
    ),
    "check": Section(
        "Checking a body before it is sent",
        "300 marked bodies of 10 conversations of 30 turns, all in a turn",
        (
            _ours("`cacheplan.check(body)`", "check",
                  "all that the service refuses, marks that do nothing, minimums counted by a"
                  " tokenizer"),
            Peer("litellm, parse_cache_plan", "litellm", "litellm", "check",
                 "fingerprints each prefix and checks marks; says a code, no place and no words;"
                 " counts nothing here, since it asks the service"),
            Peer("promptcachelint, lint_request", "promptcachelint", "promptcachelint", "check",
                 "four checks: no mark, too short by characters, what looks volatile, too many"
                 " marks; checks neither messages nor lifetimes"),
        ),
        "Theirs count by characters or not at all; of ours, most is reading, counting by "
        "a tokenizer, and looking for what changes on every call.",
    ),
    "explain": Section(
        "Explaining why a later body reads nothing",
        "29 pairs of bodies that follow each other; the system prompt tells the time and tools"
        " are in any order",
        (
            _ours("`cacheplan.explain(earlier, later)`", "explain",
                  "checks both bodies, counts the tokens that are lost, and names the place and"
                  " the service's own word for it"),
            Peer("promptcachelint, diff_prefix", "promptcachelint", "promptcachelint", "explain",
                 "place, offset and excerpt; the order of JSON keys is not looked at; tokens by"
                 " characters"),
            Peer("cachelint, compare_requests", "cachelint", "cachelint", "explain",
                 "place and offset; takes a mark that moved for a change"),
            Peer("prefixguard, observe", "prefixguard", "prefixguard", "explain",
                 "names the cause in words; takes a mark that moved for a change"),
        ),
        "Theirs compare; ours reads both bodies as the simulator does, checks them, and "
        "counts by a tokenizer what is lost.",
    ),
    "review": Section(
        "Reading a log and judging it",
        "300 calls of 10 conversations, 20 MB, with what was billed",
        _judged("review"),
        "",
    ),
    "careless": Section(
        "The same, when everything is wrong",
        "As many calls, but the system prompt tells the time and tools are in any order",
        _judged("careless"),
        "Nothing is shared there, so every call is read and counted anew, and every "
        "finding is priced by simulating the calls without it.",
    ),
    "compare": Section(
        "Simulating other ways to mark",
        "The log of the first review",
        (
            _ours("`cacheplan compare`", "compare",
                  "every policy and two lower bounds, by the service's rules, in dollars"),
            Peer("cacheeconomics bakeoff", "cacheeconomics", "cacheeconomics", "compare",
                 "four ways, each under a neutral and a pessimistic cache: hits and writes, dollars"
                 " withheld for logged bodies"),
        ),
        "",
    ),
    "choose": Section(
        "Planning marks for calls that are read already",
        "The same calls",
        (
            _ours("`cacheplan.choose(calls)`", "choose",
                  "one plan for all calls, those to come included, each candidate simulated on"
                  " all calls"),
            Peer("cacheeconomics, allocator", "cacheeconomics", "cacheeconomics", "choose",
                 "marks for each call as it was, by shares of gaps and change; simulates nothing"),
        ),
        "",
    ),
    "audit": Section(
        "Where the money went, from what was billed",
        "1,500 calls of 60 conversations, the same transcripts of Claude Code for all",
        (
            _ours("`cacheplan costs --by session`", "costs",
                  "what each session cost; rebuilds each prompt as far as the transcript says, and"
                  " looks for no causes"),
            _ours("`cacheplan review`", "audit",
                  "the whole review, as far as transcripts go: what calls share, other policies,"
                  " priced findings"),
            Peer("claude-cache-audit", "claude-cache-audit", "transcripts", "claude_cache_audit",
                 "every rebuild and its premium, by usage alone; sees no prompt"),
            Peer("kvleak audit", "kvleak", "transcripts", "kvleak",
                 "misses above 10,000 tokens with their causes, by usage alone"),
            Peer("cachemiss ledger", "cachemiss", "transcripts", "cachemiss",
                 "every rebuild and its premium, by usage alone"),
            Peer("ccdrift cost", "ccdrift", "transcripts", "ccdrift",
                 "tokens by thread, agent, model and project; no dollars, no causes"),
            Peer("claude-session-diagnostics", "claude-session-diagnostics", "transcripts", "csd",
                 "totals, hit rate and what restarts cost; one lifetime for all"),
        ),
        "They add up counters and pass over what was said; ours rebuilds every call's prompt from"
        " it, counts it, and needs both to say what calls share.",
    ),
    "price": Section(
        "Pricing what was billed",
        f"{USAGES:,} usages of three models, in a turn",
        (
            _ours("`Sheet.cost(usage, tariff, at)`", "price",
                  "exact decimals, dated rows; batch, fast, regions and bands included"),
            Peer("genai-prices", "genai-prices", "pricing", "genai_prices",
                 "exact decimals, dated rows, all providers; looks the model up by its rules"
                 " each time"),
            Peer("litellm, cost_per_token", "litellm", "litellm", "price",
                 "floats, today's prices whatever the date; all providers"),
            Peer("metergraph-core", "metergraph-core", "pricing", "metergraph",
                 "exact decimals, dated rows, all providers"),
            Peer("tokencost", "tokencost", "pricing", "tokencost",
                 "today's prices; what was written has no price"),
        ),
        "",
    ),
}  # fmt: skip
