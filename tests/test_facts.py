"""The tables of facts against ids, numbers and rules as their sources print them."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Literal

import pytest
from hypothesis import assume as suppose
from hypothesis import example, given
from hypothesis import strategies as st

from cacheplan.assumptions import Assumptions
from cacheplan.facts import (
    BREAKPOINTS,
    BUILT_IN_TOOLS,
    INVALIDATION,
    LOOKBACK,
    MODELS,
    PLATFORMS,
    REGIONS,
    Invalidation,
    Model,
    collapses_runs,
    find,
    image_tokens,
    isolation,
    keeps_thinking,
    minimum,
    moment,
    takes_automatic,
    takes_one_hour,
    tool_prompt,
)

DEFAULT = Assumptions()
models = st.sampled_from(MODELS)
regions = st.sampled_from(sorted(REGIONS))
sides = st.integers(1, 10_000)
tiers = st.sampled_from(["standard", "high"])


def model(name: str) -> Model:
    """Return the model that an id names, which must be a known one."""
    found = find(name)
    assert found is not None
    return found.model


# Ids as the SDK, and the model lists of litellm and genai-prices, spell them.
@pytest.mark.parametrize(
    ("sent", "id_", "region"),
    [
        ("claude-fable-5-2", "claude-fable-5-2", ""),
        ("claude-opus-4-5-20251101", "claude-opus-4-5", ""),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", ""),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5", ""),
        ("claude-opus-4-1-20250805", "claude-opus-4-1", ""),
        ("claude-opus-4-20250514", "claude-opus-4-0", ""),
        ("claude-sonnet-4-0", "claude-sonnet-4-0", ""),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", ""),
        ("anthropic.claude-opus-4-6-v1", "claude-opus-4-6", ""),
        ("anthropic.claude-opus-4-6-v1:0", "claude-opus-4-6", ""),
        ("anthropic.claude-sonnet-4-6", "claude-sonnet-4-6", ""),
        ("us.anthropic.claude-opus-4-7", "claude-opus-4-7", "us"),
        ("global.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4-0", "global"),
        ("apac.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5", "apac"),
        ("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", "us-gov"),
        ("eu.anthropic.claude-3-5-haiku-20241022-v1:0", "claude-3-5-haiku-20241022", "eu"),
        ("jp.anthropic.claude-haiku-5-5", "claude-haiku-5-5", "jp"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5", ""),
        ("claude-opus-4@20250514", "claude-opus-4-0", ""),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku-20241022", ""),
        ("claude-fable-5-1@default", "claude-fable-5-1", ""),
    ],
)
def test_ids_are_found_as_every_platform_spells_them(sent: str, id_: str, region: str) -> None:
    """An id in use on a platform names its model, and its region where it has one."""
    found = find(sent)
    assert found is not None
    assert (found.model.id, found.region) == (id_, region)


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "claude",
        "claude-opus",
        "claude-opus-4",
        "claude-opus-4-9",
        "claude-fable-5-3",
        "claude-haiku-5",
        "claude-sonnet-5-5-fast",
        "claude-opus-4-5-20251102",
        "claude-opus-5-latest",
        "CLAUDE-OPUS-5",
        " claude-opus-5",
        "claude-opus-5\n",
        "gpt-4o",
        "unknown",
        "anthropic/claude-opus-5",
        "mars.anthropic.claude-opus-5",
        "us.claude-opus-5",
        "anthropic.claude-opus-9",
        "anthropic.claude-opus-5-v2:0",
        "claude-opus-5-v1:0",
        "claude-haiku-4-5@20251002",
        "claude-haiku-4-5@latest",
        "anthropic.claude-haiku-4-5@20251001",
    ],
)
def test_an_id_nobody_listed_is_nobody(sent: str) -> None:
    """There is no nearest family: an unknown id has no minimum and no price."""
    assert find(sent) is None


@given(models, st.text("0123456789abcdefghijklmnopqrstuvwxyz-.@:", min_size=1, max_size=6))
def test_a_known_id_with_something_after_it_is_another_id(row: Model, tail: str) -> None:
    """Fable 5.2 is not Fable 5, although its id begins with that of Fable 5."""
    found = find(row.id + tail)
    known = {name for other in MODELS for name in (other.id, *other.aliases)}
    google = (row.id + tail).replace("@", "-")
    suppose(row.id + tail not in known and google not in known)
    assert found is None


@given(models, regions, st.sampled_from(["", "-v1", "-v1:0"]))
def test_every_model_has_bedrock_ids(row: Model, region: str, version: str) -> None:
    """Region prefix and version suffix change where it runs, never which model it is."""
    for name in (row.id, *row.aliases):
        assert find(f"{region}.anthropic.{name}{version}") == (row, region)
        assert find(f"anthropic.{name}{version}") == (row, "")


def test_no_two_models_share_an_id() -> None:
    """Every id and alias stands in the table once."""
    names = [name for row in MODELS for name in (row.id, *row.aliases)]
    assert len(names) == len(set(names))


def test_the_sdk_knows_no_model_that_is_missing_here() -> None:
    """Every model id that the SDK's type names is in the table."""
    module = pytest.importorskip("anthropic.types.model")
    literal = next(part for part in module.Model.__args__ if part is not str)
    assert [name for name in literal.__args__ if find(name) is None] == []


# Minimums as the page prints them (2026-09-26), with litellm's for Sonnet and Haiku 5.5.
MINIMUMS = {
    512: "fable-5 fable-5-1 fable-5-2 mythos-5 mythos-5-1 mythos-5-2 opus-5 opus-5-5"
    " sonnet-5-5 haiku-5-5",
    1024: "opus-4-8 sonnet-5 sonnet-4-6 sonnet-4-5 opus-4-1 opus-4-0 sonnet-4-0",
    2048: "opus-4-7 3-5-haiku-20241022 mythos-preview",
    4096: "opus-4-6 opus-4-5 haiku-4-5",
}


@pytest.mark.parametrize("tokens", MINIMUMS)
def test_minimums_are_those_of_the_page(tokens: int) -> None:
    """Four lengths are in force, and neither family nor age tells which."""
    listed = {f"claude-{name}" for name in MINIMUMS[tokens].split()}
    assert {row.id for row in MODELS if minimum(row, "anthropic", DEFAULT) == tokens} == listed


def test_bedrock_has_two_minimums_of_its_own() -> None:
    """Where the page of AWS differs, it holds on Bedrock and nowhere else."""
    other = {
        row.id: minimum(row, "bedrock", DEFAULT)
        for row in MODELS
        if minimum(row, "bedrock", DEFAULT) != minimum(row, "anthropic", DEFAULT)
    }
    assert other == {"claude-opus-4-7": 4096, "claude-mythos-preview": 4096}
    for platform in ("aws", "google", "foundry"):
        assert minimum(model("claude-opus-4-7"), platform, DEFAULT) == 2048


@given(models, st.sampled_from(sorted(PLATFORMS)), st.integers(0, 100_000))
def test_an_assumed_minimum_holds_for_its_model_alone(
    row: Model, platform: str, tokens: int
) -> None:
    """The switch outranks the table on every platform, under any id of the model."""
    for name in (row.id, *row.aliases):
        assumed = Assumptions(minimums=((name, tokens),))
        for other in MODELS:
            expected = tokens if other is row else minimum(other, platform, DEFAULT)
            assert minimum(other, platform, assumed) == expected


def test_the_limits_are_the_documented_ones() -> None:
    """Four breakpoints a call, twenty positions a breakpoint."""
    assert (BREAKPOINTS, LOOKBACK) == (4, 20)
    assert Assumptions().lookback == LOOKBACK


def test_the_new_tokenizer_begins_with_opus_4_7() -> None:
    """Each model counts with the generation its page names."""
    old = {row.id for row in MODELS if row.generation == "old"}
    assert old == {
        "claude-opus-4-6",
        "claude-opus-4-5",
        "claude-opus-4-1",
        "claude-opus-4-0",
        "claude-sonnet-4-6",
        "claude-sonnet-4-5",
        "claude-sonnet-4-0",
        "claude-haiku-4-5",
        "claude-3-5-haiku-20241022",
    }
    assert {row.frame for row in MODELS if row.generation == "old"} == {8}
    assert model("claude-opus-4-7").frame == 12
    assert model("claude-opus-5").frame == 6


def test_older_models_strip_thinking_at_a_human_turn() -> None:
    """Opus keeps it from 4.5 on, Sonnet from 4.6 on, Haiku up to 4.5 never."""
    stripping = {row.id for row in MODELS if not keeps_thinking(row, DEFAULT)}
    assert stripping == {
        "claude-opus-4-1",
        "claude-opus-4-0",
        "claude-sonnet-4-5",
        "claude-sonnet-4-0",
        "claude-haiku-4-5",
        "claude-3-5-haiku-20241022",
    }
    stripped = Assumptions(haiku_5_5_thinking="stripped")
    assert not keeps_thinking(model("claude-haiku-5-5"), stripped)
    assert keeps_thinking(model("claude-opus-5-5"), stripped)


def test_effort_left_out_has_the_models_own_default() -> None:
    """Writing the default out changes no key, so it must be known per model."""
    medium = {row.id for row in MODELS if row.effort == "medium"}
    assert medium == {"claude-opus-5-5", "claude-haiku-5-5"}
    assert {row.effort for row in MODELS} == {"", "medium", "high"}


@pytest.mark.parametrize(
    ("name", "auto", "forced"),
    [
        ("claude-opus-5", 286, 406),
        ("claude-opus-4-8", 290, 410),
        ("claude-opus-4-7", 675, 804),
        ("claude-sonnet-5", 354, 474),
        ("claude-sonnet-4-6", 497, 589),
        ("claude-haiku-4-5", 496, 588),
        ("claude-sonnet-4-0", 313, 315),
    ],
)
def test_tools_add_hidden_tokens(name: str, auto: int, forced: int) -> None:
    """The tool-use page's table: auto or none, and any or tool."""
    assert tool_prompt(model(name), DEFAULT, forced=False) == auto
    assert tool_prompt(model(name), DEFAULT, forced=True) == forced


def test_hidden_tokens_nobody_states_are_assumed_openly() -> None:
    """For models without a number, the switch decides, and only for them."""
    assumed = Assumptions(tool_prompt=300)
    assert tool_prompt(model("claude-opus-5-5"), assumed, forced=False) == 300
    assert tool_prompt(model("claude-opus-5"), assumed, forced=False) == 286


def test_every_built_in_tool_has_a_size_per_generation() -> None:
    """Bash costs more under the new tokenizer; every tool has a size under both."""
    assert BUILT_IN_TOOLS["bash_"]["new"] > BUILT_IN_TOOLS["bash_"]["old"]
    for sizes in BUILT_IN_TOOLS.values():
        assert sizes.keys() == {"old", "new"}


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.id)
def test_every_model_row_is_dated_where_it_can_be_and_sourced(row: Model) -> None:
    """A row without a source cannot be checked; days are ISO; retirement needs a day."""
    assert row.source
    for day in (row.released, row.retired):
        assert day is None or moment(day) > moment("2024-01-01")
    assert row.status != "retired" or row.retired
    assert row.id.startswith("claude-")
    assert row.family in row.id
    assert 0 < row.max_output < row.context


# Vectors of the vision page (2026-08-22).
@pytest.mark.parametrize(
    ("width", "height", "standard", "high"),
    [
        (200, 200, 64, 64),
        (1000, 1000, 1296, 1296),
        (1092, 1092, 1521, 1521),
        (1920, 1080, 1560, 2691),
        (3840, 2160, 1560, 4784),
    ],
)
def test_images_cost_what_the_page_says(width: int, height: int, standard: int, high: int) -> None:
    """One token a patch of 28 pixels, after shrinking to the tier."""
    assert image_tokens(width, height, "standard") == standard
    assert image_tokens(width, height, "high") == high


@given(sides, sides, tiers)
@example(10_000, 1, "standard")
def test_an_image_fits_its_tier(width: int, height: int, tier: Literal["standard", "high"]) -> None:
    """Never more than the tier's limit or than its own patches, never none, either way up."""
    tokens = image_tokens(width, height, tier)
    most = {"standard": 1568, "high": 4784}[tier]
    assert 1 <= tokens <= min(most, -(-width // 28) * -(-height // 28))
    assert tokens == image_tokens(height, width, tier)


def largest_fit(width: int, height: int, longest: int, most: int) -> int:
    """Try every long edge from the top; the short one is rounded to the nearest pixel."""
    large, small = max(width, height), min(width, height)
    for edge in range(min(large, longest), 0, -1):
        side = max(1, math.floor(Fraction(edge * small, large) + Fraction(1, 2)))
        patches = math.ceil(edge / 28) * math.ceil(side / 28)
        if patches <= most:
            return patches
    raise AssertionError


@given(sides, sides)
@example(1716, 1398)
def test_an_image_is_shrunk_to_the_largest_size_that_fits(width: int, height: int) -> None:
    """Trying every size from the top finds the same one."""
    assert image_tokens(width, height, "standard") == largest_fit(width, height, 1568, 1568)
    assert image_tokens(width, height, "high") == largest_fit(width, height, 2576, 4784)


@given(st.integers(1, 10_000))
def test_a_square_is_shrunk_no_more_than_it_must(side: int) -> None:
    """The largest size that fits: a square takes the largest square of patches allowed."""
    patches = min(-(-side // 28), 39)
    assert image_tokens(side, side, "standard") == patches * patches


@given(sides, sides)
def test_the_high_tier_never_costs_less(width: int, height: int) -> None:
    """What fits the standard tier fits the high one."""
    high = image_tokens(width, height, "high")
    assert high >= image_tokens(width, height, "standard")


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.id)
def test_new_models_take_large_images(row: Model) -> None:
    """The tier goes with the tokenizer's generation."""
    assert row.image_tier == ("high" if row.generation == "new" else "standard")


COLLAPSE = moment("2026-09-26")


@pytest.mark.parametrize(
    ("platform", "at", "collapses"),
    [
        ("anthropic", COLLAPSE, True),
        ("anthropic", COLLAPSE - 1, False),
        ("anthropic", None, True),
        ("anthropic", 0.0, True),
        ("anthropic", 86_400.0, True),
        ("aws", COLLAPSE, False),
        ("bedrock", COLLAPSE, False),
        ("google", None, False),
        ("foundry", None, False),
        ("elsewhere", None, False),
    ],
)
def test_runs_collapse_where_and_since_when_it_is_documented(
    platform: str, at: float | None, collapses: bool
) -> None:
    """Only on the Claude API, from the page of 2026-09-26 on; undated calls are of today."""
    assert collapses_runs(platform, at, DEFAULT) is collapses
    assert collapses_runs(platform, at, Assumptions(collapse_runs="on"))
    assert not collapses_runs(platform, at, Assumptions(collapse_runs="off"))


SPLIT = moment("2026-02-05")


@pytest.mark.parametrize(
    ("platform", "at", "within"),
    [
        ("anthropic", SPLIT, "workspace"),
        ("anthropic", SPLIT - 1, "organization"),
        ("aws", None, "workspace"),
        ("foundry", 12.5, "workspace"),
        ("bedrock", SPLIT, "organization"),
        ("google", None, "organization"),
        ("elsewhere", None, "workspace"),
    ],
)
def test_entries_are_shared_within_what_the_platform_says(
    platform: str, at: float | None, within: str
) -> None:
    """Workspaces part entries on three platforms, since 2026-02-05; a switch outranks it."""
    assert isolation(platform, at, DEFAULT) == "workspace"
    assert isolation(platform, at, Assumptions(isolation="dated")) == within
    assert isolation(platform, at, Assumptions(isolation="workspace")) == "workspace"
    assert isolation(platform, at, Assumptions(isolation="organization")) == "organization"


def test_only_two_platforms_have_message_batches_and_one_has_fast_mode() -> None:
    """Batches on the Claude API and Claude Platform on AWS, fast mode on the first alone."""
    assert [name for name, row in PLATFORMS.items() if row.batch] == ["anthropic", "aws"]
    assert [name for name, row in PLATFORMS.items() if row.fast] == ["anthropic"]
    assert list(PLATFORMS) == ["anthropic", "aws", "bedrock", "google", "foundry"]


def test_bedrock_takes_neither_everything_automatic_nor_every_hour() -> None:
    """Its older integration refuses the top-level mark, its older models the long lifetime."""
    assert not takes_automatic(model("claude-opus-4-6"), "bedrock")
    assert takes_automatic(model("claude-opus-4-7"), "bedrock")
    assert not takes_one_hour(model("claude-opus-4-1"), "bedrock")
    assert takes_one_hour(model("claude-opus-4-5"), "bedrock")
    for platform in set(PLATFORMS) - {"bedrock"}:
        for row in MODELS:
            assert takes_automatic(row, platform)
            assert takes_one_hour(row, platform)


# The table of the page, ✓ stays and ✘ goes, a question mark where a model decides.
@pytest.mark.parametrize(
    ("change", "levels"),
    [
        ("tools", "✘✘✘"),
        ("model", "✘✘✘"),
        ("system", "✓✘✘"),
        ("web_search", "✓✘✘"),
        ("citations", "✓✘✘"),
        ("speed", "✓✘✘"),
        ("tool_choice", "✓✓✘"),
        ("disable_parallel_tool_use", "✓✓✘"),
        ("images", "✓✓✘"),
        ("thinking", "??✘"),
        ("effort", "??✘"),
        ("format", "?✘✘"),
        ("human_turn", "✓✓?"),
    ],
)
def test_changes_break_the_levels_the_page_says(change: str, levels: str) -> None:
    """The invalidation table of 2026-09-26, row by row."""
    words = {"✓": "stays", "✘": "goes", "?": "open"}
    row = INVALIDATION[change]
    assert (row.tools, row.system, row.messages) == tuple(words[level] for level in levels)


@pytest.mark.parametrize("row", INVALIDATION.values(), ids=lambda row: row.change)
def test_what_breaks_a_level_breaks_all_after_it(row: Invalidation) -> None:
    """The order is tools, system, messages: nothing stays behind what goes."""
    order = ["stays", "open", "goes"]
    ranks = [order.index(level) for level in (row.tools, row.system, row.messages)]
    assert ranks == sorted(ranks)
    assert row.source


@pytest.mark.parametrize("row", INVALIDATION.values(), ids=lambda row: row.change)
def test_an_open_level_names_the_switch_that_decides(row: Invalidation) -> None:
    """A row that leaves a level open names a switch, and a named switch exists."""
    fields = {field.name for field in dataclasses.fields(Assumptions)}
    assert row.switch in fields or (not row.switch and "open" not in row)


@pytest.mark.parametrize("table", [MODELS, PLATFORMS.values(), INVALIDATION.values()])
def test_no_source_is_left_out(table: tuple[Model, ...]) -> None:
    """Every row of every table says where it was read and when."""
    for row in table:
        assert any(year in row.source for year in ("2026", "no page")), row


@given(st.dates().filter(lambda day: day.year >= 1970))
def test_a_day_begins_at_midnight_in_utc(day: object) -> None:
    """Days of the tables mean the same second everywhere."""
    assert moment(str(day)) % 86_400 == 0


def test_the_tables_cannot_be_changed() -> None:
    """Rows are frozen and tables read-only, so that no caller can alter another's facts."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS[0].minimum = 1  # type: ignore[misc] # that is what is tested
    with pytest.raises(TypeError):
        PLATFORMS["anthropic"] = PLATFORMS["aws"]  # type: ignore[index] # likewise
