"""One module a rule: ``CODE``, ``SEVERITY``, ``NEEDS`` and ``check(subject)``.

``NEEDS`` are words of ``LACKING``: what a source has to say of calls so that nothing false can
be found in them, and so that anything can. None needs ``lifetimes``: they are in the marks.

A rule's docstring is its page: what, why in money, fails, passes, remedy.

The list is written by hand, in the order of the codes, so that it can be read at once.
"""

from __future__ import annotations

from cacheplan.rules import (
    cold_fan_out,
    dead_tools,
    filled_in_front,
    head_changes,
    history_rewritten,
    hour_pays,
    hour_unused,
    input_key_order,
    lookback_exceeded,
    mark_on_changing,
    mark_too_early,
    near_identical_systems,
    no_mark,
    one_shot_marks,
    refused,
    settings_flip,
    string_or_list,
    subagents_apart,
    tool_drift,
    tools_reordered,
    uncut_prompt,
    under_minimum,
    unread_writes,
    volatile_before_stable,
    volatile_span,
)

__all__ = ["RULES"]

#: Every rule.
RULES = (
    volatile_span,
    volatile_before_stable,
    tools_reordered,
    tool_drift,
    input_key_order,
    string_or_list,
    near_identical_systems,
    dead_tools,
    uncut_prompt,
    filled_in_front,
    mark_on_changing,
    no_mark,
    mark_too_early,
    under_minimum,
    lookback_exceeded,
    hour_unused,
    hour_pays,
    one_shot_marks,
    unread_writes,
    refused,
    cold_fan_out,
    history_rewritten,
    settings_flip,
    subagents_apart,
    head_changes,
)
