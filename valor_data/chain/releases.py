"""From captioned clips to the catalog and to releases; and the whole chain."""

from functools import partial

import pyarrow as pa

from valor_data import layout
from valor_data.chain.clips import fetch, filter
from valor_data.chain.notes import DEFAULTS, Notes, Options, reading, root_of, take_funnel, writing
from valor_data.chain.plan import plan
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Report
from valor_data.stages import availability as publishing
from valor_data.stages import fetch as fetching
from valor_data.stages import optout as opting_out
from valor_data.stages import release as releasing
from valor_data.stages import shard as sharding
from valor_data.store import Store
from valor_data.tables import Tables


def catalog_build(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Compact the tables and write `catalog.parquet`, one row a clip."""
    with writing("catalog build", recipe, options) as (workspace, notes):
        workspace.tables.compact()
        notes.counts["rows"] = workspace.tables.write_catalog(layout.CATALOG)
        notes.outputs.append(layout.CATALOG)
    return notes.report()


def sql(query: str, workspace: str) -> pa.Table:
    """One SELECT over the catalog's views; it can read nothing else and write nothing.

    Raises UserError where no workspace is, and for a query that is refused or wrong.
    """
    if not any(Store.open(workspace).list(layout.TABLES)):
        raise UserError(f"{workspace}: no workspace there; name one with --workspace")
    return Tables.open(workspace).sql(query)


def shard(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Kept, captioned and split clips to a release."""
    with writing("shard", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        asked_again = partial(fetching.restated, recipe, workspace.root)
        made = sharding.write_release(workspace, progress=options.progress, recheck=asked_again)
        notes.counts |= made.counts
        notes.reasons.update(made.reasons)
        notes.outputs.append(made.prefix)
        notes.warnings += made.warnings
    return notes.report()


def verify(release: str, *, deep: bool = False) -> Report:
    """Check a release folder or URL against its manifest; `deep` decodes every clip."""
    notes = Notes("release verify", release)
    result = releasing.verify(release, deep=deep)
    notes.ok = result.ok
    notes.counts |= result.counts
    notes.warnings += result.problems
    return notes.report()


def run(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """The whole chain of a recipe; each step does only what is missing."""
    if options.dry_run:
        return plan("run", recipe, options)
    notes = Notes("run", root_of(recipe, options))
    for step in (fetch, filter, catalog_build, shard):
        report = step(recipe, options)
        notes.outputs += report.outputs
        notes.warnings += report.warnings
        if not report.ok:
            notes.ok = False
            break
    else:
        checked = verify(f"{notes.workspace.rstrip('/')}/{notes.outputs[-1]}")
        notes.ok = checked.ok
        notes.warnings += checked.warnings
    standing = status(recipe, options)
    notes.counts |= standing.counts
    notes.reasons.update(standing.reasons)
    return notes.report()


def status(recipe: Recipe, options: Options = DEFAULTS, *, availability: str | None = None) -> Report:
    """The funnel so far, with reasons; with `availability`, a folder or URL, also the manifest of what is
    there, to publish."""
    notes = Notes("status", root_of(recipe, options))
    with reading(recipe, options) as workspace:
        take_funnel(workspace, notes)
        if availability is not None:
            published = publishing.publish(workspace, availability)
            notes.counts |= published.counts
            notes.outputs += published.outputs
    return notes.report()
