"""Marks on prefixes that may be too short to be kept."""

from __future__ import annotations

from marked_talk import RULES, agent, codes, found, one_shots, subject_of, system
from small import Characters

from cacheplan.linter import lint


def test_a_short_prefix_is_kept_by_nobody() -> None:
    """600 tokens and one for the turn are not 1,024, and no saving is claimed."""
    subject = subject_of(one_shots(8, head=system("short " * 100), ttl=None))
    (finding,) = lint(subject, RULES).findings
    assert (finding.code, finding.severity, finding.calls) == ("CP104", "note", 8)
    assert str(finding.place) == "system[0]"
    assert "601 tokens" in finding.message
    assert "so nothing is kept" in finding.message
    assert finding.saving is None


def test_what_reaching_it_would_save_is_told() -> None:
    """One write and seven reads of 1,024 tokens, against 8 times 601 in full."""
    (finding,) = found(one_shots(8, head=system("short " * 100), ttl=None))
    saving = (8 * 601 - 1024 * (1.25 + 0.7)) * 2e-6
    assert f"would save about ${saving:.2g}" in finding.message


def test_reaching_it_may_not_pay() -> None:
    """Of a few tokens used once a day, the minimum costs more than it saves."""
    (finding,) = found(one_shots(4, head=system("tiny"), ttl=None, step=86_400))
    assert "would cost more than it saves" in finding.message


def test_inside_the_band_it_is_too_close_to_call() -> None:
    """1,001 tokens give or take 30 may be 1,024, and nobody can tell."""
    lines = one_shots(8, head=system("x" * 1000), ttl=None)
    (finding,) = found(lines, Characters(doubt=30))
    assert (finding.code, finding.confidence) == ("CP104", "low")
    assert "too close to call" in finding.message


def test_a_record_of_reads_settles_it() -> None:
    """Where the service says that it kept something, nothing is in doubt."""
    usage = {"input_tokens": 1500, "cache_read_input_tokens": 1010}
    lines = one_shots(8, head=system("x" * 1000), ttl=None)
    recorded = [{**line, "response": {"usage": usage}} for line in lines]
    assert "CP104" not in codes(recorded, Characters(doubt=30))


def test_a_short_mark_before_a_long_one_does_no_harm() -> None:
    """A small system prompt is marked, and so is the end of a long conversation."""
    assert codes(agent(6, head=system("short " * 100))) == []
