"""What stands beside the shards of a release: catalog, papers, sums, and the manifest last."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import __version__, layout, manifest
from valor_data.errors import UserError
from valor_data.manifest import FileEntry, Manifest, ShardEntry
from valor_data.recipe import Recipe
from valor_data.records import Release
from valor_data.revocation import Revocations
from valor_data.schema import schema_digest
from valor_data.shards import energon, index
from valor_data.shards.lock import thin_lock
from valor_data.stages.shard import lock
from valor_data.stages.shard.account import parent_of
from valor_data.stages.shard.papers import papers
from valor_data.stages.shard.plan import Plan
from valor_data.store import Store
from valor_data.workspace import Workspace

_ROW_GROUP = 50_000


class Predecessor(NamedTuple):
    """The version that a patch follows."""

    store: Store
    manifest: Manifest


def finish(
    workspace: Workspace,
    store: Store,
    facts: pa.Table,
    plan: Plan,
    shards: Sequence[ShardEntry],
    before: Predecessor | None = None,
) -> Manifest:
    """Make a release of finished shards: `facts` has a row a clip, `plan` says which rows stand where. With
    `before` it is a patch: what that says of how its clips were made and locked holds on."""
    recipe = workspace.recipe
    catalog = _write_catalog(store, facts, plan)
    content_sha256 = manifest.content_digest([*shards, catalog])
    if before is None:
        _refuse_a_second(workspace, store, content_sha256)
    with scratch_file() as path:
        _write_lock(workspace, facts, path, before)
        locked = _put_file(store, layout.LOCK, path)
    told = papers(workspace, store, facts, plan, shards, catalog)
    placed = _write_index(store, facts, plan, shards)
    files = [catalog, locked, *placed, *(_put(store, path, data) for path, data in told.items())]
    sums = _put(store, layout.SHA256SUMS, manifest.sums([*shards, *files]).encode())
    retracted = _revoked(workspace, store)
    made = Manifest(
        name=recipe.name,
        version=recipe.release.version,
        title=recipe.release.title,
        licence=recipe.release.licence,
        payload=recipe.shard.payload,
        counts=plan.counts | retracted,
        splits=plan.splits,
        subsets=plan.subsets,
        derive=_settings(recipe, before),
        shards=tuple(shards),
        files=(*files, sums),
        content_sha256=content_sha256,
        plan_sha256=plan.digest,
        recipe_sha256=before.manifest.recipe_sha256 if before else recipe.digest,
        schema_sha256=schema_digest(),
        profile=before.manifest.profile if before else recipe.profile,
        rules_digest=before.manifest.rules_digest if before else recipe.rules_digest,
        tool=f"valor-data {__version__}",
        parents=(parent,) if (parent := parent_of(workspace)) else (),
        revoked=layout.REVOKED if retracted else None,
    )
    workspace.require_lock()
    store.put_bytes(layout.MANIFEST, made.render())
    return made


def _refuse_a_second(workspace: Workspace, store: Store, content_sha256: str) -> None:
    """No two releases of one version: who holds the first, whose folder is gone here, could not tell."""
    said = workspace.recipe.release
    first = next(iter(workspace.tables.rows(Release, name=workspace.recipe.name, version=said.version)), None)
    if first is not None and first.content_sha256 != content_sha256:
        store.delete(list(store.list("")))
        raise UserError(
            f"{store.root}: {said.version} was released before with other content "
            f"({first.content_sha256[:12]}), though its files are gone; raise [release] version in the recipe"
        )


def _settings(recipe: Recipe, before: Predecessor | None) -> dict[str, int]:
    """How the payload was derived, where it was."""
    if before is not None:
        return before.manifest.derive
    return recipe.derive.model_dump() if recipe.shard.payload == "train" else {}


def _write_lock(workspace: Workspace, facts: pa.Table, path: Path, before: Predecessor | None) -> None:
    if before is None or not before.store.exists(layout.LOCK):
        lock.write_lock(workspace.tables, facts, path)
        return
    stay = set(facts["clip_id"].to_pylist())
    with before.store.local(layout.LOCK) as old:
        thin_lock(old, path, stay.__contains__)


def _revoked(workspace: Workspace, store: Store) -> dict[str, int]:
    """Put the workspace's list of what was taken down into the release; how many clips that are, where any
    are. The list is not among the manifest's files: it goes on growing in a release that stands."""
    try:
        data = workspace.store.get_bytes(layout.REVOKED)
    except FileNotFoundError:
        return {}
    store.put_bytes(layout.REVOKED, data)
    return {"retracted": len(Revocations.parse(data).clips)}


def _write_catalog(store: Store, facts: pa.Table, plan: Plan) -> FileEntry:
    """`catalog.parquet`: the facts and the place of every clip."""
    names = np.empty(facts.num_rows, dtype=object)
    places = np.full(facts.num_rows, -1, np.int64)  # and so it stays where no shard holds the clip
    for shard in plan.shards:
        names[shard.rows] = shard.path
        places[shard.rows] = np.arange(len(shard.rows))
    table = facts.append_column("shard", pa.array(names, pa.string())).append_column(
        "shard_index", pa.array(places, mask=places < 0)
    )
    with scratch_file() as path:
        pq.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP, write_page_index=True)
        return _put_file(store, layout.CATALOG, path)


def _write_index(store: Store, facts: pa.Table, plan: Plan, shards: Sequence[ShardEntry]) -> list[FileEntry]:
    """`index.arrow`, and the files that Energon wants; nothing for a release without shards."""
    if not shards:
        return []
    order = np.concatenate([shard.rows for shard in plan.shards])
    table = index.build(
        facts["clip_id"].combine_chunks().take(order),
        [(shard.path, len(shard.rows)) for shard in plan.shards],
        {suffix: lengths[order] for suffix, lengths in plan.lengths.items()},
    )
    with scratch_file() as path:
        index.write(table, path)
        entry = _put_file(store, layout.INDEX, path)
        wanted = energon.files(shards, index.Index.mapped(path, layout.INDEX))
        return [entry, *(_put(store, key, data) for key, data in wanted.items())]


def _put_file(store: Store, key: str, path: Path) -> FileEntry:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    store.put_file(key, path)
    return FileEntry(path=key, sha256=sha256, bytes=path.stat().st_size)


@contextmanager
def scratch_file() -> Iterator[Path]:
    """A path on this machine for a file that is gone when the `with` ends."""
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
        yield Path(folder, "file")


def _put(store: Store, key: str, data: bytes) -> FileEntry:
    store.put_bytes(key, data)
    return FileEntry(path=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
