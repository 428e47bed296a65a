"""From captioned clips to releases; and the whole chain."""

from contextlib import AbstractContextManager
from functools import partial

from valor_data import layout
from valor_data.chain.catalog import catalog_build
from valor_data.chain.clips import fetch, filter
from valor_data.chain.notes import DEFAULTS, Notes, Options, root_of, run_in, writing
from valor_data.chain.plan import plan
from valor_data.chain.reporting import status
from valor_data.recipe import Recipe
from valor_data.records import Derived, Leak, Report
from valor_data.stages import derive as deriving
from valor_data.stages import fetch as fetching
from valor_data.stages import measure as measuring
from valor_data.stages import neighbours as comparing
from valor_data.stages import optout as opting_out
from valor_data.stages import release as releasing
from valor_data.stages import shard as sharding
from valor_data.store import Store
from valor_data.tables import Tables
from valor_data.workspace import Workspace


def shard(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Kept, captioned and split clips to a release; first what its payload lacks is derived from them."""
    with writing("shard", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        notes.warnings += comparing.before_splits(workspace)
        if recipe.shard.payload == "train":
            _derive(recipe, workspace, options, notes)
            if not notes.ok:
                return notes.report()
        asked_again = partial(fetching.restated, recipe, workspace.root)
        workers = 1 if options.engine == "inline" else options.workers
        made = sharding.write_release(
            workspace, progress=options.progress, recheck=asked_again, workers=workers
        )
        notes.counts |= made.counts
        notes.reasons.update(made.reasons)
        notes.outputs.append(made.prefix)
        notes.warnings += made.warnings
    return notes.report()


def _derive(recipe: Recipe, workspace: Workspace, options: Options, notes: Notes) -> None:
    standing = workspace.tables.count(Derived.table)
    stage = deriving.DeriveStage(recipe, workspace.root)
    tally = run_in(stage, workspace, options._replace(limit=None))
    notes.tally(tally, recipe.max_fault_share, standing)
    notes.counts["derived"] = notes.counts.pop("new")
    notes.reasons.update(tally.reasons)


def release_diff(old: str, new: str) -> AbstractContextManager[releasing.Diff]:
    """What a release, a folder or URL, has that another has not; its changes stream."""
    return releasing.diff(old, new)


def release_push(release: str, url: str, *, progress: bool = True) -> Report:
    """Copy a release to a folder or URL of its own; what was read back there is not copied again."""
    notes = Notes("release push", release)
    pushed = releasing.push(release, url, progress)
    notes.counts |= pushed.counts
    notes.outputs.append(pushed.url)
    return notes.report()


def verify(release: str, *, deep: bool = False) -> Report:
    """Check a release folder or URL against its manifest; `deep` decodes and measures every clip, and looks
    at texts and, where the release lies in its workspace, at leaks."""
    notes = Notes("release verify", release)
    if deep:
        result = releasing.verify(release, deep=True, measure=measuring.of_file, leaks=_leaks_beside(release))
    else:
        result = releasing.verify(release)
    notes.ok = result.ok
    notes.counts |= result.counts
    notes.warnings += [*result.problems, *(f"note: {note}" for note in result.notes)]
    return notes.report()


def _leaks_beside(release: str) -> dict[str, str]:
    """clip_id -> benchmark that holds it, as the workspace knows in which the release lies."""
    root, _, _ = Store.open(release).root.rpartition(f"/{layout.RELEASES}")
    if not root or not any(Store.open(root).list(layout.TABLES)):
        return {}
    return {row.clip_id: row.benchmark for row in Tables.open(root).rows(Leak) if row.how != "none"}


def run(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """The whole chain of a recipe; each step does only what is missing."""
    if options.dry_run:
        return plan("run", recipe, options)
    notes = Notes("run", root_of(recipe, options))

    def went_well(report: Report) -> bool:
        notes.outputs += report.outputs
        notes.warnings += report.warnings
        notes.ok = notes.ok and report.ok
        return report.ok

    if went_well(fetch(recipe, options)) and went_well(filter(recipe, options)):
        try:
            if went_well(shard(recipe, options)):
                went_well(verify(f"{notes.workspace.rstrip('/')}/{notes.outputs[-1]}"))
        finally:  # also where there is nothing to release yet: annotators' work is planned by it
            went_well(catalog_build(recipe, options))
    standing = status(recipe, options)
    notes.counts |= standing.counts
    notes.reasons.update(standing.reasons)
    return notes.report()
