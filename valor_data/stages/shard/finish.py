"""What stands beside the shards of a release: catalog, papers, sums, and the manifest last."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import __version__, layout, manifest
from valor_data.manifest import FileEntry, Manifest, ShardEntry
from valor_data.schema import schema_digest
from valor_data.stages.shard.papers import papers
from valor_data.stages.shard.plan import Plan
from valor_data.store import Store
from valor_data.workspace import Workspace

_ROW_GROUP = 50_000


def finish(
    workspace: Workspace, store: Store, facts: pa.Table, plan: Plan, shards: Sequence[ShardEntry]
) -> Manifest:
    """Make a release of finished shards: `facts` has a row a clip, `plan` says which rows stand where."""
    recipe = workspace.recipe
    catalog = _write_catalog(store, facts, plan)
    told = papers(workspace, facts, plan, shards, catalog)
    files = [catalog, *(_put(store, path, data) for path, data in told.items())]
    sums = _put(store, layout.SHA256SUMS, manifest.sums([*shards, *files]).encode())
    made = Manifest(
        name=recipe.name,
        version=recipe.release.version,
        title=recipe.release.title,
        licence=recipe.release.licence,
        payload=recipe.shard.payload,
        counts=plan.counts,
        splits=plan.splits,
        shards=tuple(shards),
        files=(*files, sums),
        content_sha256=manifest.content_digest([*shards, catalog]),
        plan_sha256=plan.digest,
        recipe_sha256=recipe.digest,
        schema_sha256=schema_digest(),
        profile=recipe.profile,
        rules_digest=recipe.rules_digest,
        tool=f"valor-data {__version__}",
    )
    workspace.require_lock()
    store.put_bytes(layout.MANIFEST, made.render())
    return made


def _write_catalog(store: Store, facts: pa.Table, plan: Plan) -> FileEntry:
    """`catalog.parquet`: the facts and the place of every clip."""
    names = np.empty(facts.num_rows, dtype=object)
    places = np.empty(facts.num_rows, np.int64)
    for shard in plan.shards:
        names[shard.rows] = shard.path
        places[shard.rows] = np.arange(len(shard.rows))
    table = facts.append_column("shard", pa.array(names, pa.string())).append_column(
        "shard_index", pa.array(places)
    )
    with tempfile.TemporaryDirectory(prefix="valor-data-") as scratch:
        path = Path(scratch, layout.CATALOG)
        pq.write_table(table, path, compression="zstd", row_group_size=_ROW_GROUP, write_page_index=True)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        store.put_file(layout.CATALOG, path)
        return FileEntry(path=layout.CATALOG, sha256=sha256, bytes=path.stat().st_size)


def _put(store: Store, key: str, data: bytes) -> FileEntry:
    store.put_bytes(key, data)
    return FileEntry(path=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
