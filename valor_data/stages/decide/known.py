"""What the tables know of the measured clips, as the rules want it."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from valor_data.errors import UserError
from valor_data.recipe import GROUPS, Recipe
from valor_data.rules import NO_LABELS, YES_NO, Bools, Column, Labels, Places, beside_another
from valor_data.scorers import signing
from valor_data.workspace import Workspace

_LABELS = "labels"


class Known(NamedTuple):
    """The measured clips, one entry each in every part."""

    clips: "pa.Array[Any]"
    """Their ids."""
    columns: dict[str, Column]
    """Those that tell of a group as they are where all clips are kept."""
    labels: Labels
    """Empty where no rule asks for them."""
    groups: dict[str, Column]
    """Metric -> the group that each clip stands in."""

    def elected(self, kept: Bools) -> dict[str, Column]:
        """The columns that tell of a group, when one of those that are kept stands for it."""
        rank = np.zeros(len(self.clips), dtype=np.intp)
        if self.groups:
            places = np.flatnonzero(np.any([~np.isnan(g.values) for g in self.groups.values()], axis=0))
            rank[places[pc.array_sort_indices(self.clips.take(places)).to_numpy()]] = np.arange(len(places))
        return {name: beside_another(group.values, rank, kept) for name, group in self.groups.items()}

    def names(self, places: Places) -> list[str]:
        """The ids of clips at some places."""
        return [str(name) for name in self.clips.take(places).to_pylist()]

    def places(self, names: "pa.ChunkedArray[Any]") -> list[int | None]:
        """Where some clips are; None for one that is not measured."""
        found: list[int | None] = pc.index_in(names, value_set=self.clips).to_pylist() if len(names) else []
        return found


def metrics_of(recipe: Recipe) -> list[str]:
    """What the recipe's rules name."""
    return list(dict.fromkeys(str(leaf.metric) for rule in recipe.effective_rules for leaf in rule.leaves()))


def know(
    workspace: Workspace, recipes: Sequence[Recipe], more: Collection[str] = (), *, clip_id: str | None = None
) -> Known:
    """The measured clips of the workspace's profile, with all that the recipes' rules and balances ask
    for, and some metrics more; or one of these clips."""
    metrics = dict.fromkeys([*(name for recipe in recipes for name in metrics_of(recipe)), *more])
    labels = any(
        recipe.balance.per_label is not None or any(rule.except_labels for rule in recipe.effective_rules)
        for recipe in recipes
    )
    table = workspace.tables.measured(
        workspace.recipe.profile,
        list(metrics),
        labels=labels,
        tagger=_tagger(workspace.recipe),
        benchmarks=sorted({benchmark.name for recipe in recipes for benchmark in recipe.benchmarks}),
        clip_id=clip_id,
    )
    columns = {name: _column(table[name]) for name in metrics}
    known = Known(
        table["clip_id"].combine_chunks(),
        columns,
        _labels(table[_LABELS]) if labels else NO_LABELS,
        {name: columns[name] for name in metrics if name in GROUPS},
    )
    columns.update(known.elected(np.ones(len(known.clips), dtype=np.bool_)))
    return known


def _tagger(recipe: Recipe) -> str:
    """Whose tags the recipe means; empty where its model is not at hand, so that the newest count."""
    try:
        return signing.of_tags(recipe.measure) or ""
    except UserError:
        return ""


def _column(values: "pa.ChunkedArray[Any]") -> Column:
    if pa.types.is_boolean(values.type):
        return Column(_numbers(values.cast(pa.int8())), YES_NO)
    if pa.types.is_string(values.type):
        coded = values.combine_chunks().dictionary_encode()
        return Column(_numbers(coded.indices), tuple(map(str, coded.dictionary.to_pylist())))
    return Column(_numbers(values))


def _numbers(values: "pa.ChunkedArray[Any] | pa.Array[Any]") -> "np.ndarray[Any, np.dtype[np.float64]]":
    numbers: np.ndarray[Any, np.dtype[np.float64]] = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _labels(lists: "pa.ChunkedArray[Any]") -> Labels:
    whole: Any = lists.combine_chunks()
    coded = whole.flatten().dictionary_encode()
    names = tuple(map(str, coded.dictionary.to_pylist()))
    clips = np.repeat(np.arange(len(whole)), pc.list_value_length(whole).to_numpy(zero_copy_only=False))
    # One number a pair, so that a label that a list gives twice counts once.
    pairs = np.unique(clips * max(1, len(names)) + coded.indices.to_numpy(zero_copy_only=False))
    return Labels(names, *np.divmod(pairs, max(1, len(names))))
