"""Make the examples again: one day of a shop that uses a model in three places.

    python examples/make_examples.py

writes every file of :func:`files` beside this one. All is drawn from one seed, so the
files can be checked against this script; nothing in them was said by a person or a
model. The three features are laid out the way such features are found:

- ``support-agent``: a loop over tools with a growing conversation. Only the system
  prompt is marked, so every turn pays for the whole conversation again.
- ``document-questions``: many questions on four documents. The document is marked, but a
  line with the time of the call stands at the head of the system prompt.
- ``ticket-sorting``: one call a ticket under a long, shared system prompt, unmarked.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wording import (
    AGENT_RULES,
    AREAS,
    ARTICLES,
    CARRIER_STEPS,
    CLAUSES,
    CONVERSATIONS,
    DOCUMENTS,
    ITEMS,
    QUESTIONS,
    READER_RULES,
    SORTER_RULES,
    TICKETS,
    TOOLS,
)

__all__ = ["files", "main", "workload"]

SEED = 20261103
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)

AGENT_SESSIONS = 18
#: How many customers have a second matter once the first is settled.
SECOND_MATTER = 0.6
DOCUMENT_QUESTIONS = 120
TICKETS_SORTED = 170
#: How often a ticket starts a new burst instead of following another within seconds.
NEW_BURST = 0.3
#: How many customers pay for the shop's membership.
MEMBERS = 0.4

#: Characters a token takes in English prose, roughly; used for output lengths only.
CHARACTERS_PER_TOKEN = 3.5
#: Tokens a model writes in a second, roughly; used to space the calls of one loop.
TOKENS_PER_SECOND = 70

Body = dict[str, Any]
Line = dict[str, Any]

EPHEMERAL = {"type": "ephemeral"}


def workload(seed: int = SEED) -> list[Line]:
    """Draw the day; lines stand feature by feature and session by session.

    Calls that share most of their text are neighbours that way, which is what keeps the
    file small; readers sort by time anyway.
    """
    draw = random.Random(seed)
    lines = [*agent_calls(draw), *document_calls(draw), *sorting_calls(draw)]
    return [{"id": f"call-{number:04d}", **line} for number, line in enumerate(lines)]


def files() -> dict[str, str]:
    """Return the text of every example by its name."""
    draw = random.Random(SEED)
    text = document(draw, *DOCUMENTS[0])
    bodies = {
        "earlier": document_body("Today is 2026-11-03.", text, QUESTIONS[0]),
        "later": document_body("Today is 2026-11-04.", text, QUESTIONS[0]),
        "rejected": rejected_body(text),
    }
    return {
        "support_day.jsonl": as_lines(workload()),
        "planned.jsonl": as_lines(planned(draw, text)),
        **{
            f"bodies/{name}.json": json.dumps(body, indent=2) + "\n"
            for name, body in bodies.items()
        },
    }


def main() -> None:
    """Write the files; the large one compressed, with no time inside, always the same."""
    for name, text in files().items():
        target = Path(__file__).parent / name
        if name == "support_day.jsonl":
            target = target.with_name(f"{name}.gz")
            target.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        else:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
        print(f"{target.name}: {target.stat().st_size} bytes")


def as_lines(lines: list[Line]) -> str:
    """Write one JSON object a line."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def moment(seconds: float) -> str:
    """Write seconds since midnight as RFC 3339, to the millisecond as logs do."""
    time = MIDNIGHT + timedelta(seconds=round(seconds, 3))
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def opening_time(draw: random.Random) -> float:
    """Draw a second of the day between 7:00 and 19:30, busiest around noon."""
    return 3600 * (7 + 12.5 * (draw.random() + draw.random()) / 2)


def line(draw: random.Random, at: float, label: str, body: Body, written: str) -> Line:
    """Record one call; ``written`` is what the model answered, for its length alone."""
    return {
        "at": moment(at),
        "label": label,
        "first_token_after": round(0.6 + 1.8 * draw.random(), 2),
        "output_tokens": 4 + round(len(written) / CHARACTERS_PER_TOKEN),
        "request": body,
    }


def purchase(draw: random.Random) -> dict[str, str]:
    """Draw what a conversation or ticket is about: the words its sentences leave open."""
    item, price = draw.choice(ITEMS)
    return {
        "item": item,
        "price": f"{price:.2f}",
        "order": f"LF-{draw.randrange(180000, 240000)}",
        "email": f"{draw.choice('abcdefghjklmnprst')}{draw.randrange(100, 999)}@example.com",
        "date": f"2026-10-{draw.randrange(1, 31):02d}",
        "step": draw.choice(CARRIER_STEPS),
    }


# The support agent: a loop over tools.


def agent_calls(draw: random.Random) -> Iterator[Line]:
    """Yield the calls of every conversation, each with its pauses."""
    for number in range(AGENT_SESSIONS):
        about = purchase(draw)
        turns = draw.choice(CONVERSATIONS)
        if draw.random() < SECOND_MATTER:
            turns += draw.choice(CONVERSATIONS)
        at = opening_time(draw)
        messages: list[Body] = []
        for question, tools, answer in turns:
            messages.append({"role": "user", "content": question.format(**about)})
            for step in [*tools, None]:
                reply = agent_reply(draw, step, about, answer)
                call = line(draw, at, "support-agent", agent_body(messages), json.dumps(reply))
                yield {**call, "session": f"conversation-{number:02d}"}
                messages.append({"role": "assistant", "content": reply})
                at += call["first_token_after"] + call["output_tokens"] / TOKENS_PER_SECOND
                if step is not None:
                    messages.append(tool_answer(draw, step, reply[-1]["id"], about))
                    at += 0.2 + 2 * draw.random()
            at += 60 * draw.choice((2, 3, 4, 4, 6, 8, 11, 15, 22, 40)) + 45 * draw.random()


def agent_body(messages: list[Body]) -> Body:
    """Build the body of one call; the one mark stands where a tutorial puts it."""
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 2048,
        "tools": [tool(*row) for row in TOOLS],
        "system": [{"type": "text", "text": AGENT_RULES, "cache_control": EPHEMERAL}],
        "messages": list(messages),
    }


def tool(name: str, description: str, arguments: dict[str, str]) -> Body:
    """Build a tool definition; every argument is text and required."""
    properties = {key: {"type": "string", "description": what} for key, what in arguments.items()}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": description, "input_schema": schema}


def agent_reply(
    draw: random.Random, step: str | None, about: dict[str, str], answer: str
) -> list[Body]:
    """Build what the model answers: a tool call, or the answer when no step is left."""
    if step is None:
        return [{"type": "text", "text": answer.format(**about)}]
    arguments = next(row[2] for row in TOOLS if row[0] == step)
    values = {
        **about,
        "query": about["item"] if step == "search_articles" else about["email"],
        "limit": "5",
        "language": "en",
        "items": "1",
        "reason": f"returned on {about['date']}",
        "address": "14 Weavers Row, second floor",
        "team": "orders",
        "summary": f"{about['item']} of order {about['order']}: {about['step']}",
    }
    given = {key: values[key] for key in arguments}
    identity = f"toolu_{draw.randrange(16**12):012x}"
    return [{"type": "tool_use", "id": identity, "name": step, "input": given}]


def tool_answer(draw: random.Random, step: str, identity: str, about: dict[str, str]) -> Body:
    """Build the message that hands a tool's result back."""
    if step == "search_articles":
        found = [{"title": title, "text": text} for title, text in articles(draw)]
        result: object = {"articles": found}
    elif step in {"get_order", "change_address"}:
        result = order(draw, about)
    elif step == "search_orders":
        numbers = [f"LF-{draw.randrange(120000, 180000)}" for _ in range(draw.randrange(4))]
        result = {"orders": [about["order"], *numbers]}
    else:
        result = {"done": True, "reference": f"T-{draw.randrange(10**5):05d}", **about}
    content = json.dumps(result)
    block = {"type": "tool_result", "tool_use_id": identity, "content": content}
    return {"role": "user", "content": [block]}


def articles(draw: random.Random) -> list[tuple[str, str]]:
    """Draw the three articles a search finds."""
    first = draw.randrange(len(ARTICLES))
    return [ARTICLES[(first + step) % len(ARTICLES)] for step in range(3)]


def order(draw: random.Random, about: dict[str, str]) -> Body:
    """Draw an order as the shop's own service would describe it."""
    others = [draw.choice(ITEMS) for _ in range(draw.randrange(1, 4))]
    items = [(about["item"], float(about["price"])), *others]
    steps = draw.randrange(3, len(CARRIER_STEPS))
    return {
        "order": about["order"],
        "placed": about["date"],
        "customer": {"email": about["email"], "member": draw.random() < MEMBERS, "language": "en"},
        "items": [
            {"number": number, "name": name, "price": f"{price:.2f}", "quantity": 1}
            for number, (name, price) in enumerate(items, 1)
        ],
        "payment": {"way": draw.choice(("card", "invoice", "gift card")), "state": "settled"},
        "delivery": [
            {"time": f"{about['date']}T{8 + step:02d}:{draw.randrange(60):02d}", "report": report}
            for step, report in enumerate(CARRIER_STEPS[:steps])
        ],
    }


# Questions on documents.


def document_calls(draw: random.Random) -> Iterator[Line]:
    """Yield the questions, document by document; some documents are asked about more."""
    texts = [document(draw, *row) for row in DOCUMENTS]
    asked = sorted(int(len(texts) * draw.random() ** 1.5) for _ in range(DOCUMENT_QUESTIONS))
    for number in asked:
        at = opening_time(draw)
        now = f"The time is {moment(at)}."
        body = document_body(now, texts[number], draw.choice(QUESTIONS))
        yield line(draw, at, "document-questions", body, "." * draw.randrange(150, 500))


def document_body(now: str, text: str, question: str) -> Body:
    """Build the body of one question; ``now`` at its head makes every prefix new."""
    content = [
        {"type": "text", "text": text, "cache_control": EPHEMERAL},
        {"type": "text", "text": question},
    ]
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 512,
        "system": [{"type": "text", "text": f"{now}\n\n{READER_RULES}"}],
        "messages": [{"role": "user", "content": content}],
    }


def rejected_body(text: str) -> Body:
    """Build a body with a mark on each of five blocks: one more than the API takes."""
    marked = [
        {"type": "text", "text": part, "cache_control": EPHEMERAL} for part in text.split("\n", 4)
    ]
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 512,
        "messages": [{"role": "user", "content": marked}],
    }


def document(draw: random.Random, title: str, party: str, owner: str) -> str:
    """Draw a document of numbered clauses."""
    clauses = [title]
    for number in range(1, 161):
        words = {
            "party": party,
            "owner": owner,
            "amount": f"{50 * draw.randrange(2, 80)}.00",
            "small": f"{draw.randrange(5, 40)}.50",
            "days": draw.randrange(2, 30),
            "later": draw.randrange(30, 120),
            "years": draw.randrange(2, 10),
            "percent": draw.randrange(2, 25),
        }
        clauses.append(f"{number}. {draw.choice(CLAUSES).format(**words)}")
    return "\n".join(clauses)


# Sorting tickets.


def sorting_calls(draw: random.Random) -> Iterator[Line]:
    """Yield one call a ticket; tickets come in small bursts, as mail does."""
    rules = sorting_rules(draw)
    at = opening_time(draw)
    for _ in range(TICKETS_SORTED):
        at = opening_time(draw) if draw.random() < NEW_BURST else at + 20 * draw.random()
        ticket = draw.choice(TICKETS).format(**purchase(draw))
        body = sorting_body(rules, ticket)
        yield line(draw, at, "ticket-sorting", body, "DLV-01 3")


def sorting_body(rules: str, ticket: str) -> Body:
    """Build the body that sorts one ticket; nobody thought of marking it."""
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 16,
        "system": rules,
        "messages": [{"role": "user", "content": f"Ticket:\n{ticket}"}],
    }


def sorting_rules(draw: random.Random) -> str:
    """Draw the categories: five to an area, each with tickets that belong there."""
    parts = [SORTER_RULES]
    for code, area, about in AREAS:
        for number in range(1, 6):
            tickets = [draw.choice(TICKETS).format(**purchase(draw)) for _ in range(5)]
            head = f"{code}-{number:02d} {area} {number}: {about}, as in these tickets:"
            parts.append("\n".join([head, *(f"  - {ticket}" for ticket in tickets)]))
    return "\n\n".join(parts)


# Features that nobody has built yet.


def planned(draw: random.Random, text: str) -> list[Line]:
    """Describe four features by how often they will be called."""
    sorting = sorting_body(sorting_rules(draw), "{{ticket}}")
    reading = document_body("Follow these rules.", text, "the question")
    agent = agent_body([{"role": "user", "content": "{{question}}"}])
    digest = {**reading, "system": READER_RULES}
    return [
        {
            "label": "ticket-sorting",
            "calls_per_hour": 240,
            "arrivals": "bursty",
            "hours": 12,
            "output_tokens": 8,
            "request": sorting,
        },
        {
            "label": "document-questions",
            "calls_per_hour": 10,
            "hours": 12,
            "varies": ["messages[0].content[1]"],
            "output_tokens": 120,
            "request": reading,
        },
        {
            "label": "support-agent",
            "calls_per_hour": 6,
            "hours": 12,
            "turns": 6,
            "turn_gap": 200,
            "turn_tokens": 700,
            "output_tokens": 90,
            "request": agent,
        },
        {
            "label": "hourly-digest",
            "calls_per_hour": 1,
            "arrivals": "steady",
            "varies": ["messages[0].content[0]"],
            "output_tokens": 400,
            "request": digest,
        },
    ]


if __name__ == "__main__":
    main()
