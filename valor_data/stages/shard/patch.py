"""A release again, without clips that were taken down: the next patch version.

Shards that held none of them are linked, not written: same bytes, same digest. The others are read and
written again without them, in the order that stands. Splits, order and cut stay; a shard that loses its last
clip goes, and those behind it move up. What the version before says of each clip, this one says too: the
facts come from its catalog, the prints from its lock, whatever the workspace has learnt since.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from valor_data import layout, manifest
from valor_data.errors import FatalError
from valor_data.manifest import Manifest, ShardEntry, SplitName
from valor_data.records import Release
from valor_data.shards import ShardWriter, read_samples
from valor_data.stages.shard.finish import Predecessor, finish
from valor_data.stages.shard.plan import PlannedShard, Rows, make_plan
from valor_data.stages.shard.writers import placing
from valor_data.store import Store
from valor_data.workspace import Workspace

_PLACE = ("shard", "shard_index")
_ROWS_AT_A_TIME = 50_000


class Standing(NamedTuple):
    """A complete release of a workspace."""

    prefix: str
    store: Store
    manifest: Manifest

    @property
    def order(self) -> tuple[int, ...]:
        """By what versions follow one another."""
        return tuple(map(int, self.manifest.version.split(".")))

    def clips(self) -> "pa.ChunkedArray[Any]":
        """Ids of its clips. Raises FatalError where its catalog cannot be read."""
        with self._catalog() as catalog:
            return catalog.read(["clip_id"])["clip_id"]

    def catalog_without(self, gone: Collection[str]) -> pa.Table:
        """Facts and place of its clips but for some. Raises FatalError."""
        left_out = pa.array(sorted(gone), pa.string())
        with self._catalog() as catalog:
            # A million clips are a gigabyte, which is never held twice.
            kept = [
                batch.filter(pc.invert(pc.is_in(batch["clip_id"], value_set=left_out)))
                for batch in catalog.iter_batches(_ROWS_AT_A_TIME)
            ]
        return pa.Table.from_batches(kept)

    @contextmanager
    def _catalog(self) -> Iterator[pq.ParquetFile]:
        try:
            with self.store.open_read(layout.CATALOG) as file, pq.ParquetFile(file) as catalog:
                yield catalog
        except (FileNotFoundError, pa.ArrowException) as error:
            raise FatalError(
                f"{self.store.path(layout.CATALOG)}: not readable ({str(error).splitlines()[0]}); restore it "
                "from a copy of the release, or delete the release's folder"
            ) from None


class Patched(NamedTuple):
    """A patch version that was written."""

    release: Standing
    removed: int
    """Clips that the version before has and this one has not."""
    rewritten: int
    """Shards that were written anew."""
    linked: int
    """Shards that stand as they were."""


def standing_releases(workspace: Workspace) -> list[Standing]:
    """The complete releases of a workspace, of whatever name, oldest version first."""
    named = {(row.name, row.version) for row in workspace.tables.rows(Release)}
    found = {}
    while named:
        name, version = named.pop()
        if (one := _standing(workspace, name, version)) is not None:
            found[name, version] = one
            # One that was killed before it was written down stands behind the last that was.
            if (following := (name, _next(version))) not in found:
                named.add(following)
    return sorted(found.values(), key=lambda one: (one.manifest.name, one.order))


def patch_release(workspace: Workspace, old: Standing, gone: Collection[str]) -> Patched:
    """Write the patch version that follows `old`, without the clips that are `gone`, of which it holds some.

    What an earlier run left of it unfinished is removed first. Raises FatalError for a shard that is not as
    the manifest says, and where no clip would be left.
    """
    version = _next(old.manifest.version)
    prefix = layout.release_prefix(old.manifest.name, version)
    store = Store.open(workspace.store.path(prefix.rstrip("/")))
    store.sweep_temporary()
    store.delete(list(store.list("")))
    kept = old.catalog_without(gone)
    if not kept.num_rows:
        raise FatalError(
            f"{old.store.root}: no clip would be left; delete the release, for there is nothing to follow it"
        )
    cut, sources = _cut(old.manifest, kept)
    recipe = workspace.recipe
    said = {"version": version, "title": old.manifest.title, "licence": old.manifest.licence}
    changed = {
        "release": recipe.release.model_copy(update=said),
        "shard": recipe.shard.model_copy(update={"payload": old.manifest.payload}),
    }
    recipe = recipe.model_copy(update=changed)
    facts = kept.drop_columns(list(_PLACE))
    plan = make_plan(recipe, facts, cut)
    shards, rewritten = [], 0
    for planned, source in zip(plan.shards, sources, strict=True):
        workspace.require_lock()
        if len(planned.rows) == source.samples:
            shards.append(_linked(workspace, old, source, prefix, planned))
        else:
            stay = set(map(str, facts["clip_id"].take(planned.rows).to_pylist()))
            shards.append(_rewritten(old.store, source, store, planned, stay))
            rewritten += 1
    patched = copy(workspace)
    patched.recipe = recipe
    made = finish(patched, store, facts, plan, shards, Predecessor(old.store, old.manifest))
    release = Standing(prefix, store, made)
    removed = old.manifest.counts["clips"] - kept.num_rows
    return Patched(release, removed, rewritten, len(shards) - rewritten)


def _standing(workspace: Workspace, name: str, version: str) -> Standing | None:
    prefix = layout.release_prefix(name, version)
    store = Store.open(workspace.store.path(prefix.rstrip("/")))
    try:
        return Standing(prefix, store, Manifest.parse(store.get_bytes(layout.MANIFEST)))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise FatalError(
            f"{store.path(layout.MANIFEST)}: not readable ({str(error).splitlines()[0]}); restore it from a "
            "copy of the release, or delete the release's folder"
        ) from None


def _next(version: str) -> str:
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def _cut(old: Manifest, kept: pa.Table) -> tuple[dict[SplitName, list[Rows]], list[ShardEntry]]:
    """Rows of each shard that keeps any, by split, and the old shard behind each, in the order of a plan."""
    numbers = pa.array([entry.path for entry in old.shards], pa.string())
    shard = pc.index_in(kept["shard"], value_set=numbers).to_numpy()
    order = np.lexsort((kept["shard_index"].to_numpy(), shard))
    starts = np.searchsorted(shard[order], np.arange(len(old.shards) + 1))
    cut: dict[SplitName, list[Rows]] = {name: [] for name in manifest.SPLITS}
    sources: dict[SplitName, list[ShardEntry]] = {name: [] for name in manifest.SPLITS}
    for number, entry in enumerate(old.shards):
        rows = order[starts[number] : starts[number + 1]]
        if len(rows):
            cut[entry.split].append(rows)
            sources[entry.split].append(entry)
    return cut, [entry for name in manifest.SPLITS for entry in sources[name]]


def _linked(
    workspace: Workspace, old: Standing, source: ShardEntry, prefix: str, planned: PlannedShard
) -> ShardEntry:
    try:
        size = old.store.size(source.path)
    except FileNotFoundError:
        size = -1
    if size != source.bytes:
        raise FatalError(_broken(old.store, source, "it is missing or cut"))
    workspace.store.link(f"{old.prefix}{source.path}", f"{prefix}{planned.path}")
    return source.model_copy(update={"path": planned.path})


def _rewritten(
    old: Store, source: ShardEntry, store: Store, planned: PlannedShard, stay: set[str]
) -> ShardEntry:
    with placing(store, planned.path) as out, ShardWriter(out) as writer, old.open_read(source.path) as file:
        for sample in read_samples(file, old.path(source.path)):
            if sample.key in stay:
                writer.add(sample.key, list(sample.members.items()))
    if writer.info.samples != len(stay):
        raise FatalError(_broken(old, source, f"{len(stay) - writer.info.samples} clips are not in it"))
    return ShardEntry(path=planned.path, split=planned.split, **writer.info._asdict())


def _broken(store: Store, entry: ShardEntry, why: str) -> str:
    where = store.path(entry.path)
    return f"{where}: {why}; 'release verify' tells more; restore it from a copy of the release"
