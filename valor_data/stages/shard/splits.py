"""Which split each video of the releasable clips stands in, and who must be left out for it."""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from valor_data import layout, manifest, split
from valor_data.errors import UserError
from valor_data.records import Leak, SplitOf
from valor_data.stages.shard.plan import values
from valor_data.workspace import Workspace

# A change of how splits are drawn is a new version: old rows stay what they were.
_BY_HASH, _BY_LABEL = "hash@1", "stratified@1"
_ASKED = ["clip_id", "video_id", "labels", "subsets", "split", "split_made_by"]
"""Columns of the rows that are looked at here."""
_SHOWN = 10
"""Labels that are told of."""


class Settled(NamedTuple):
    """Splits of all videos."""

    rows: pa.Table
    """Those whose videos have one."""
    splits: dict[str, str]
    """video_id -> split."""
    warnings: list[str]


def settle(workspace: Workspace, rows: pa.Table) -> Settled:
    """A split for every video of the rows: the lists' word, else that of an earlier run, else by hash. Clips
    that must not stand in their split, for it must hold nothing of a benchmark, are left out."""
    recipe = workspace.recipe
    by_list: dict[str, set[str]] = {}
    drawn: dict[str, set[str]] = {}
    videos: dict[str, None] = {}
    for video, name, author in values(rows, "video_id", "split", "split_made_by"):
        videos[video] = None
        if name:
            said = by_list if author.startswith("list:") else drawn
            said.setdefault(video, set()).add(name)
    assigned = split.assign(
        videos,
        by_list,
        recipe.split.model_dump(include=set(split.CAREFUL)),
        recipe.split.seed,
        drawn=drawn,
        labels=_labels(rows) if recipe.split.stratify else None,
        barred=_barred(workspace),
    )
    warnings = [
        f"{video}: lists put its clips into different splits; all are in {assigned.splits[video]}"
        for video in assigned.mixed
        if video in assigned.splits
    ]
    if len(assigned.splits) == len(videos):
        return Settled(rows, assigned.splits, warnings)
    stay = rows.filter(pc.is_in(rows["video_id"], value_set=pa.array(list(assigned.splits), pa.string())))
    gone = rows.num_rows - stay.num_rows
    warnings.append(f"{gone} clips are left out: a benchmark holds their videos, their split must not")
    return Settled(stay, assigned.splits, warnings)


class Drawn(NamedTuple):
    """How the kept clips are split."""

    counts: dict[str, int]
    """`<split>`, `<split>/videos` and `<split>/<subset>` -> clips, or videos."""
    labels: tuple[str, ...]
    """The labels that are spread worst, a line each."""
    warnings: list[str]


def draw(workspace: Workspace) -> Drawn:
    """Settle the splits of all kept clips, captioned or not, and save them.

    Raises UserError where no clip is kept.
    """
    recipe, tables = workspace.recipe, workspace.tables
    batches = tables.releasable(
        recipe.profile,
        recipe.rules_digest,
        recipe.review.checkers,
        recipe.review.max_rejects,
        require_caption=False,
    )
    rows = pa.Table.from_batches([batch.select(_ASKED) for batch in batches])
    barred = tables.barred(recipe.rights, recipe.profile)
    rows = rows.filter(pc.invert(pc.is_in(rows["clip_id"], value_set=barred["clip_id"])))
    if not rows.num_rows:
        raise UserError(f"{workspace.root}: no clip is kept, so none can be split; run 'valor-data filter'")
    settled = settle(workspace, rows)
    save(workspace, settled)
    counts: dict[str, int] = dict.fromkeys(manifest.SPLITS, 0)
    counts |= {f"{name}/videos": 0 for name in manifest.SPLITS}
    for name in settled.splits.values():
        counts[f"{name}/videos"] += 1
    by_label: dict[str, Counter[str]] = {}
    for video, subsets, named in values(settled.rows, "video_id", "subsets", "labels"):
        name = settled.splits[video]
        counts[name] += 1
        for subset in subsets:
            counts[f"{name}/{subset}"] = counts.get(f"{name}/{subset}", 0) + 1
        for label in named:
            by_label.setdefault(label, Counter())[name] += 1
    return Drawn(counts, tuple(_worst(by_label, counts)), settled.warnings)


def _worst(by_label: dict[str, Counter[str]], counts: dict[str, int]) -> Iterable[str]:
    """Of the labels whose share of a split is furthest from that of all clips, how they are spread."""
    total = sum(counts[name] for name in manifest.SPLITS)

    def off(spread: Counter[str]) -> float:
        """Clips that stand in another split than they would."""
        return max(abs(spread[name] - spread.total() * counts[name] / total) for name in manifest.SPLITS)

    worst = sorted(by_label.items(), key=lambda one: (-off(one[1]), one[0]))[:_SHOWN]
    for label, spread in worst:
        yield f"{label}: " + ", ".join(f"{name} {spread[name]}" for name in manifest.SPLITS)


def save(workspace: Workspace, settled: Settled) -> None:
    """Rows for clips that have none, or whose video a list has moved since; a list's own row stays."""
    made_by = _BY_LABEL if workspace.recipe.split.stratify else _BY_HASH
    new = {
        clip: settled.splits[video]
        for clip, video, name, author in values(settled.rows, "clip_id", "video_id", "split", "split_made_by")
        if name is None or (name != settled.splits[video] and not author.startswith("list:"))
    }
    if new:
        columns = {"clip_id": [*new], "split": [*new.values()], "made_by": [made_by] * len(new)}
        workspace.tables.append_arrow(SplitOf.table, pa.table(columns))


def _labels(rows: pa.Table) -> dict[str, set[str]]:
    """video_id -> labels of its clips."""
    labels: dict[str, set[str]] = {}
    for video, named in values(rows, "video_id", "labels"):
        labels.setdefault(video, set()).update(map(sys.intern, named))
    return labels


def _barred(workspace: Workspace) -> dict[str, set[str]]:
    """video_id -> splits that must not hold it, for a benchmark holds a clip of it."""
    closed = {one.name: one.not_in for one in workspace.recipe.benchmarks if one.not_in}
    barred: dict[str, set[str]] = {}
    for row in workspace.tables.rows(Leak) if closed else ():
        if row.how != "none" and row.benchmark in closed:
            video = layout.parse_clip_id(row.clip_id).video_id
            barred.setdefault(video, set()).update(closed[row.benchmark])
    return barred
