"""Settings that change between turns, and what only looks like it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from reviewed import LONG, agent, findings, healthy, same_as_simulated, subject
from small import digest_line, message, request

from cacheplan.edits import edited
from cacheplan.rules import settings_flip

THINKS: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def chat(
    settings: Sequence[dict[str, Any]], name: str = "a", every: float = 20
) -> list[dict[str, Any]]:
    """Return a conversation, turn by turn under these settings."""
    said, lines = [message("user", f"{name} {LONG}")], []
    mark = {"cache_control": {"type": "ephemeral"}, "system": LONG}
    for at, given in enumerate(settings):
        body = request(*said, **mark, **given)
        lines.append({"at": every * at, "session": name, "request": body})
        said = [*said, message("assistant", f"a{at}"), message("user", f"q{at}")]
    return lines


@pytest.mark.parametrize(
    ("given", "level"),
    [
        (THINKS, "messages"),
        ({"tool_choice": {"type": "none"}}, "messages"),
        ({"output_config": {"effort": "low"}}, "messages"),
        ({"speed": "fast"}, "system"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, "system"),
    ],
)
def test_the_level_is_named(given: dict[str, Any], level: str) -> None:
    """A setting that changes in the second turn is found at the level it belongs to."""
    (found,) = findings(settings_flip, chat([{}, given, given]))
    assert (found.code, found.calls) == ("CP203", 1)
    assert f"set for {level} (" in found.message
    assert "changes once" in found.message
    assert found.fix is not None
    assert not found.fix.safe


def test_every_change_counts() -> None:
    """To and fro in six turns are five changes; what was set so before is read again."""
    (found,) = findings(settings_flip, chat([{}, THINKS] * 3))
    assert found.calls == 5
    history = len(f"a {LONG}")
    tokens = int(found.message.split("so ")[1].split(" tokens")[0].replace(",", ""))
    # Only the first change renders the long question anew: the others find it again.
    assert history < tokens < history + 100


def test_the_saving_is_the_difference_between_best_plans() -> None:
    """What is claimed is what the edited prompts save, simulated."""
    lines = chat([{}, THINKS, {}, {}])
    assert same_as_simulated(settings_flip, lines)
    (found,) = findings(settings_flip, lines)
    assert found.saving is not None
    assert found.saving > 0


def test_the_edit_leaves_nothing_to_find() -> None:
    """With the first settings kept, each turn goes on from the one before."""
    seen = subject(chat([{}, THINKS, THINKS, {}]))
    (found,) = settings_flip.check(seen)
    assert found.fix is not None
    assert found.fix.edit is not None
    kept = edited(seen.workload, [found.fix.edit])
    tips = [call.tip for call in kept]
    assert all(one in kept.tree.path(other) for one, other in pairwise(tips))


def test_conversations_have_settings_of_their_own() -> None:
    """Interleaved conversations that differ only in what is set do not flip."""
    lines = chat([{}] * 4, "a") + [
        {**line, "at": line["at"] + 5, "session": "b"} for line in chat([THINKS] * 4, "a")
    ]
    assert not findings(settings_flip, sorted(lines, key=lambda line: line["at"]))


def test_without_sessions_settings_tell_conversations_apart() -> None:
    """Of two prompts that a call goes on from, the one set as it is comes first."""
    lines = chat([{}] * 4) + [{**line, "at": line["at"] + 5} for line in chat([THINKS] * 4)]
    for line in lines:
        del line["session"]
    assert not findings(settings_flip, sorted(lines, key=lambda line: line["at"]))


def test_sessions_are_not_mixed() -> None:
    """A session that is seen from its second turn on does not go on from another's first."""
    late = {**chat([THINKS] * 2)[1], "session": "b"}
    assert not findings(settings_flip, [chat([{}])[0], late])


def test_a_second_try_is_no_turn() -> None:
    """The same prompt again under other settings continues nothing."""
    lines = [
        {"at": at, "request": request(message("user", LONG), **given)}
        for at, given in ((0, {}), (9, THINKS))
    ]
    assert not findings(settings_flip, lines)


def test_prompts_that_only_begin_alike_are_no_turns() -> None:
    """A question behind a shared question is not its next turn."""
    said = [message("user", LONG), message("user", "more")]
    lines = [
        {"at": 0, "request": request(said[0])},
        {"at": 9, "request": request(*said, **THINKS)},
    ]
    assert not findings(settings_flip, lines)


def test_an_image_is_content() -> None:
    """The first image of a conversation renders messages anew, and no setting would help."""
    said = [message("user", LONG), message("assistant", "yes")]
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    shown = {"role": "user", "content": [{"type": "image", "source": source}]}
    lines = [
        {"at": 0, "request": request(said[0])},
        {"at": 9, "request": request(*said, shown)},
    ]
    assert not findings(settings_flip, lines)


def test_after_a_long_pause_a_change_is_free() -> None:
    """What has expired is written anew under any settings."""
    assert not findings(settings_flip, chat([{}, THINKS], every=400))


def test_another_kind_of_call_may_be_set_otherwise() -> None:
    """A call with another label that goes on from a conversation is no turn of it."""
    lines = chat([{}, THINKS])
    lines[1]["label"] = "title"
    assert not findings(settings_flip, lines)


@pytest.mark.parametrize("name", healthy())
def test_healthy_workloads_have_none(name: str) -> None:
    """What is laid out well is left alone."""
    assert not findings(settings_flip, healthy()[name])


def test_a_long_agent_under_one_setting_has_none() -> None:
    """Settings that stay are part of every prefix and harm none."""
    assert not findings(settings_flip, agent(0, 9, system=LONG, **THINKS))


def test_digests_never_fail() -> None:
    """Without settings in the record there is nothing to say."""
    blocks = [("s", 5000, "system"), *((f"m{at}", 9, "messages") for at in range(6))]
    lines = [digest_line(blocks[: at + 2], id=f"c{at}", at=at) for at in range(5)]
    assert not findings(settings_flip, lines)
