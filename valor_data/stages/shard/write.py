"""A release, written: its shards, then what `finish` puts beside them.

The same inputs give the same bytes. A run that is killed anywhere is taken up by the next one: every
finished shard leaves a note under `.progress/`, named after a digest of all that went into it. A
release that has its manifest is never touched again.
"""

from typing import NamedTuple

import pyarrow as pa

from valor_data import layout
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.records import Release
from valor_data.stages.shard import lock, splits
from valor_data.stages.shard.finish import finish
from valor_data.stages.shard.payload import of_payload
from valor_data.stages.shard.permission import Recheck, permitted
from valor_data.stages.shard.plan import Plan, facts_table, make_plan, object_keys
from valor_data.stages.shard.writers import PROGRESS, sweep, write_shards
from valor_data.store import Store
from valor_data.workspace import Workspace


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
    workspace: Workspace,
    progress: bool = True,
    recheck: Recheck | None = None,
    workers: int | None = None,
) -> ReleaseResult:
    """Write the recipe's release, or finish it, or find that it stands. `recheck` asks anew what is stated
    of videos, where the recipe requires it and it was asked too long ago. `workers` processes write shards;
    None: as many as there are cores and work for.

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
    # In one piece, of which all that follows are views: a million clips are a gigabyte.
    found = pa.Table.from_batches(list(batches)).combine_chunks()
    if not found.num_rows:
        raise UserError(f"{workspace.root}: nothing to release: {_missing_step(workspace)}")
    allowed = permitted(workspace, found, recheck)
    del found
    rows = allowed.rows
    if not rows.num_rows:
        raise UserError(f"{workspace.root}: nothing to release: [rights] keeps out every kept clip")
    settled = splits.settle(workspace, allowed.rows)
    rows = of_payload(workspace, settled.rows)
    if not rows.num_rows:
        why = "of no kept clip could the payload be derived"
        if not settled.rows.num_rows:
            why = "no split may hold a kept clip, for benchmarks hold them all; see not_in in [[benchmarks]]"
        raise UserError(f"{workspace.root}: nothing to release: {why}")
    facts = facts_table(rows, settled.splits)
    plan = make_plan(recipe, facts)
    prefix = layout.release_prefix(recipe.name, recipe.release.version)
    store = Store.open(workspace.store.path(prefix.rstrip("/")))
    made = _standing(store, plan)
    if made is None:
        splits.save(workspace, settled)
        sweep(store, plan)
        shards = write_shards(workspace, store, facts, object_keys(rows), plan, workers, progress)
        made = finish(workspace, store, facts, plan, shards)
    store.delete(list(store.list(PROGRESS)))
    record(workspace, made)
    counts = {"released": made.counts["clips"], **made.counts}
    del counts["clips"]
    counts |= {name: numbers["clips"] for name, numbers in made.splits.items()}
    warnings = settled.warnings
    lacking = settled.rows.num_rows - rows.num_rows
    if lacking:
        warnings.append(f"{lacking} clips are left out, for nothing could be derived from their media")
    warnings += lock.warnings(store)
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
        if store.exists(layout.SUPERSEDED):
            raise UserError(
                f"{store.root} was superseded by a takedown, and stays as it is; raise [release] version in "
                f"the recipe beyond the version that {layout.SUPERSEDED} names"
            )
        raise UserError(
            f"{store.root} is complete and its content would change; raise [release] version in the recipe "
            f"(now {found.version})"
        )
    return found


def record(workspace: Workspace, made: Manifest) -> None:
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
