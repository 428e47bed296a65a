"""What the page tells, asked of the tables in aggregates: no step grows with the clips but inside DuckDB."""

from collections.abc import Collection
from typing import NamedTuple

from valor_data.errors import Reason, UserError
from valor_data.recipe import METRICS, Recipe
from valor_data.records import OptOut, Release
from valor_data.rules import Spread, Threshold, thresholds
from valor_data.scorers import signing
from valor_data.tables import Asked, Drawn, Group, Overview
from valor_data.workspace import Workspace

_SEED = 0
_KEPT = 12
_PER_REASON = 2
_REASONS = 6
"""Reasons of rejected clips that are shown, the most frequent ones."""


class Facts(NamedTuple):
    """All that is told, for the recipe's profile and rules."""

    counts: dict[str, int]
    """The funnel."""
    reasons: dict[str, dict[str, int]]
    """Stage -> reason -> clips, most first."""
    states: dict[str, int]
    """State -> clips."""
    groups: list[Group]
    """How the clips of each list and split stand."""
    spreads: dict[str, Spread]
    thresholds: dict[str, list[Threshold]]
    overview: Overview
    drawn: list[Drawn]
    """Clips to look at: kept ones, then some of the most frequent reasons."""
    releases: list[Release]
    """The newest first."""


def gather(workspace: Workspace, wishes: Collection[OptOut]) -> Facts:
    """The facts; no clip that is drawn was taken down, opted out (by `wishes` too), or lies in quarantine."""
    recipe, tables = workspace.recipe, workspace.tables
    rule = (recipe.review.checkers, recipe.review.max_rejects)
    counts, reasons = tables.funnel(recipe.profile, recipe.rules_digest, *rule)
    states, groups = tables.available(recipe.profile)
    named = dict.fromkeys(
        [*METRICS, *(str(leaf.metric) for one in recipe.effective_rules for leaf in one.leaves())]
    )
    marks = {name: thresholds(recipe.effective_rules, name) for name in named}
    found = tables.spreads(
        recipe.profile,
        {name: [mark.at for mark in listed] for name, listed in marks.items()},
        benchmarks=sorted({benchmark.name for benchmark in recipe.benchmarks}),
        tagger=_tagger(recipe),
    )
    barred = tables.barred(recipe.rights, recipe.profile)["clip_id"].to_pylist()
    asked = Asked(recipe.profile, recipe.rules_digest, *rule, _SEED, _KEPT, _PER_REASON)
    seen = tables.overview(asked, [str(clip) for clip in barred], wishes)
    return Facts(
        counts=counts,
        reasons=reasons,
        states=states,
        groups=groups,
        spreads=found,
        thresholds=marks,
        overview=seen,
        drawn=_chosen(seen.drawn, reasons["filter"]),
        releases=sorted(tables.rows(Release), key=lambda row: row.made_at_us, reverse=True),
    )


def _chosen(drawn: list[Drawn], reasons: dict[str, int]) -> list[Drawn]:
    """Kept clips, and rejected ones by the most frequent reasons but those that forbid to show them."""
    policy = {Reason.OPTED_OUT.value, Reason.NOT_PERMITTED.value, Reason.RETRACTED.value}
    told = [reason for reason in reasons if reason not in policy][:_REASONS]
    by_reason = [clip for reason in told for clip in drawn if not clip.kept and clip.reason == reason]
    return [clip for clip in drawn if clip.kept] + by_reason


def _tagger(recipe: Recipe) -> str:
    """Whose tags the recipe means; empty where its model is not at hand, so that the newest count."""
    try:
        return signing.of_tags(recipe.measure) or ""
    except UserError:
        return ""
