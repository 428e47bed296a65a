"""A release, written: its shards, then what `finish` puts beside them.

The same inputs give the same bytes. A run that is killed anywhere is taken up by the next one: every
finished shard leaves a note under `.progress/`, named after a digest of all that went into it. A
release that has its manifest is never touched again.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from tqdm import tqdm

from valor_data import layout, manifest, split
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest, ShardEntry
from valor_data.records import Release, SplitOf
from valor_data.shards import ShardInfo, ShardWriter
from valor_data.stages.shard.finish import finish
from valor_data.stages.shard.permission import Recheck, permitted
from valor_data.stages.shard.plan import (
    Plan,
    PlannedShard,
    assign_splits,
    each,
    facts_table,
    make_plan,
    texts,
    values,
)
from valor_data.store import Store
from valor_data.workspace import Workspace

# A change of the hash that gives splits is a new version: old rows stay what they were.
SPLIT = "hash@1"
_PROGRESS = ".progress/"


class ReleaseResult(NamedTuple):
    """A complete release."""

    prefix: str
    """Its folder in the workspace."""
    counts: dict[str, int]
    content_sha256: str
    reasons: dict[str, int]
    """Reason -> clips that an owner or the recipe's policy on rights keeps out."""
    warnings: list[str]


def write_release(
    workspace: Workspace, progress: bool = True, recheck: Recheck | None = None
) -> ReleaseResult:
    """Write the recipe's release, or finish it, or find that it stands. `recheck` asks anew what is stated
    of videos, where the recipe requires it and it was asked too long ago.

    Raises UserError where there is nothing to release (naming the step that is missing), where rights
    are too old, and where this version stands with other content; FatalError where a media object is
    gone or changed.
    """
    recipe = workspace.recipe
    batches = workspace.tables.releasable(
        recipe.profile,
        recipe.rules_digest,
        recipe.review.checkers,
        recipe.review.max_rejects,
        recipe.shard.require_caption,
    )
    found = [batch for batch in batches if batch.num_rows]
    if not found:
        raise UserError(f"{workspace.root}: nothing to release: {_missing_step(workspace)}")
    allowed = permitted(workspace, pa.Table.from_batches(found), recheck)
    rows = allowed.rows
    if not rows.num_rows:
        raise UserError(f"{workspace.root}: nothing to release: [rights] keeps out every kept clip")
    assigned = assign_splits(recipe, rows)
    facts = facts_table(rows, assigned.splits)
    plan = make_plan(recipe, facts)
    prefix = layout.release_prefix(recipe.name, recipe.release.version)
    store = Store.open(workspace.store.path(prefix.rstrip("/")))
    made = _standing(store, plan)
    if made is None:
        _save_splits(workspace, rows, assigned)
        made = _write(workspace, store, facts, rows["object_key"], plan, progress)
    store.delete(list(store.list(_PROGRESS)))
    _record(workspace, made)
    counts = {"released": made.counts["clips"], **made.counts}
    del counts["clips"]
    counts |= {name: numbers["clips"] for name, numbers in made.splits.items()}
    warnings = [
        f"{video}: lists put its clips into different splits; all are in {assigned.splits[video]}"
        for video in assigned.mixed
    ]
    return ReleaseResult(prefix, counts, made.content_sha256, allowed.reasons, warnings)


def _missing_step(workspace: Workspace) -> str:
    recipe = workspace.recipe
    review = recipe.review
    funnel, _ = workspace.tables.funnel(
        recipe.profile, recipe.rules_digest, review.checkers, review.max_rejects
    )
    if not funnel["fetched"]:
        return "no clip is fetched with this recipe's profile; run 'valor-data fetch'"
    if not funnel["kept"] + funnel["rejected"]:
        return "no clip is judged by this recipe's rules; run 'valor-data filter'"
    if not funnel["kept"]:
        return f"the rules reject all {funnel['rejected']} clips; see 'valor-data status' and [[rules]]"
    return (
        f"no kept clip (of {funnel['kept']}) has a releasable caption; run 'valor-data annotate import', "
        "or set shard.require_caption = false"
    )


def _save_splits(workspace: Workspace, rows: pa.Table, assigned: split.Assignment) -> None:
    """Rows for clips that have none, or whose video a list has moved since; a list's own row stays."""
    workspace.tables.append(
        SplitOf.model_validate({"clip_id": clip, "split": assigned.splits[video], "made_by": SPLIT})
        for clip, video, name, author in values(rows, "clip_id", "video_id", "split", "split_made_by")
        if name is None or (name != assigned.splits[video] and not author.startswith("list:"))
    )


def _standing(store: Store, plan: Plan) -> Manifest | None:
    """The manifest of this version where it is complete with the same content."""
    try:
        found = Manifest.parse(store.get_bytes(layout.MANIFEST))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UserError(
            f"{store.path(layout.MANIFEST)}: not readable; remove the folder, or raise [release] version"
        ) from None
    if found.plan_sha256 != plan.digest:
        raise UserError(
            f"{store.root} is complete and its content would change; raise [release] version in the recipe "
            f"(now {found.version})"
        )
    return found


def _write(
    workspace: Workspace,
    store: Store,
    facts: pa.Table,
    object_keys: "pa.ChunkedArray[Any]",
    plan: Plan,
    progress: bool,
) -> Manifest:
    _sweep(store, plan)
    shards = []
    with tqdm(
        total=plan.counts["clips"], desc="shard", unit="clip", disable=None if progress else True
    ) as bar:
        for shard in plan.shards:
            info = _finished(store, shard)
            if info is None:
                workspace.require_lock()
                rows = facts.take(shard.rows)
                keys = [str(key) for key in object_keys.take(shard.rows).to_pylist()]
                info = _write_shard(workspace.store, store, shard, rows, keys, bar)
            else:
                bar.update(info.samples)
            shards.append(ShardEntry(path=shard.path, split=shard.split, **info._asdict()))
    return finish(workspace, store, facts, plan, shards)


def _sweep(store: Store, plan: Plan) -> None:
    """Remove what an unfinished release of another plan, or a killed writer, has left.

    A note must go before its shard is replaced, or it would vouch for other bytes.
    """
    store.sweep_temporary()
    notes = {_note(shard) for shard in plan.shards}
    store.delete([key for key in store.list(_PROGRESS) if key not in notes])
    planned = {shard.path for shard in plan.shards}
    for name in manifest.SPLITS:
        store.delete([key for key in store.list(f"{name}/") if key not in planned])


def _note(shard: PlannedShard) -> str:
    return f"{_PROGRESS}{shard.digest}.json"


def _finished(store: Store, shard: PlannedShard) -> ShardInfo | None:
    """What an earlier run noted of this very shard."""
    try:
        info = ShardInfo(**json.loads(store.get_bytes(_note(shard))))
        return info if store.size(shard.path) == info.bytes else None
    except FileNotFoundError:
        return None


def _write_shard(
    media: Store, store: Store, shard: PlannedShard, rows: pa.Table, object_keys: list[str], bar: "tqdm[Any]"
) -> ShardInfo:
    with _placing(store, shard.path) as out, ShardWriter(out) as writer:
        for one, key in zip(each(rows), object_keys, strict=True):
            mp4 = _media_bytes(media, key, one["sha256"])
            writer.add(one["clip_id"], [("mp4", mp4), *texts(one)])
            bar.update()
    store.put_bytes(_note(shard), json.dumps(writer.info._asdict()).encode())
    return writer.info


@contextmanager
def _placing(store: Store, key: str) -> Iterator[Path]:
    """A path to write an object to: its own in a folder, else a scratch file that is put after."""
    if store.is_local:
        path = Path(store.path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="valor-data-") as scratch:
        path = Path(scratch, "object")
        yield path
        store.put_file(key, path)


def _media_bytes(store: Store, key: str, sha256: str) -> bytes:
    where = store.path(key)
    try:
        data = store.get_bytes(key)
    except FileNotFoundError:
        raise FatalError(f"{where}: gone from the store; run valor-data fetch, which gets it again") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FatalError(
            f"{where}: its bytes changed since it was fetched; put the right file back, then run again"
        )
    return data


def _record(workspace: Workspace, made: Manifest) -> None:
    """The row of a complete release, once."""
    tables = workspace.tables
    if next(iter(tables.rows(Release, name=made.name, version=made.version)), None) is None:
        numbers = {name: made.counts[name] for name in ("clips", "captions", "shards", "bytes")}
        tables.append(
            [
                Release(
                    name=made.name,
                    version=made.version,
                    content_sha256=made.content_sha256,
                    made_by=made.tool,
                    **numbers,
                )
            ]
        )
