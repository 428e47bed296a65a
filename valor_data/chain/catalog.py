"""Everything that is known of the clips: written as one file, and asked in many ways."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from valor_data import layout
from valor_data.chain.notes import DEFAULTS, Notes, Options, writing
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import Report
from valor_data.search import Hit
from valor_data.stages import catalog
from valor_data.stages import neighbours as comparing
from valor_data.stages import optout as opting_out
from valor_data.stages import shard as sharding
from valor_data.stages.catalog import Alike, Form
from valor_data.stages.listing import list_segments
from valor_data.store import Store
from valor_data.tables import Statistics, Tables


def catalog_build(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Read the lists that are new, compact the tables and write `catalog.parquet`, one row a clip."""
    with writing("catalog build", recipe, options) as (workspace, notes):
        lists = list_segments(workspace)
        opting_out.load(workspace)
        notes.warnings += comparing.mark_subsets(workspace)
        workspace.tables.compact()
        notes.counts["rows"] = workspace.tables.write_catalog(layout.CATALOG)
        notes.counts["duplicate"] = sum(one.duplicates for one in lists)
        notes.counts["bad_rows"] = sum(one.bad_rows for one in lists)
        notes.outputs.append(layout.CATALOG)
    return notes.report()


def catalog_split(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Settle now which split each kept clip stands in, as `shard` would; counts by split and subset."""
    with writing("catalog split", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        notes.warnings += comparing.before_splits(workspace)
        drawn = sharding.draw(workspace)
        notes.counts |= drawn.counts
        notes.plan = drawn.labels
        notes.warnings += drawn.warnings
    return notes.report()


def sql(query: str, workspace: str) -> pa.Table:
    """One SELECT over the catalog's views; it can read nothing else and write nothing.

    Raises UserError where no workspace is, and for a query that is refused or wrong.
    """
    if not any(Store.open(workspace).list(layout.TABLES)):
        raise UserError(f"{workspace}: no workspace there; name one with --workspace")
    return Tables.open(workspace).sql(query)


def search(query: str, root: str, limit: int) -> pa.Table:
    """The captions of a workspace or release that say most of what is asked for, best first; see
    `search.query` for its language. Raises UserError for a query that cannot be read."""
    return _table(catalog.find(root, query, limit), Hit)


def similar(clip_id: str, workspace: str, limit: int) -> pa.Table:
    """The clips nearest to one, by fingerprint and by embedding. Raises UserError where nothing can be
    compared."""
    return _table(catalog.similar(workspace, clip_id, limit), Alike)


def stats(root: str, *, page: Path | None = None) -> Statistics:
    """What the catalog of a workspace or release holds; with `page` also as an HTML file there."""
    return catalog.stats(root, page)


def catalog_export(root: str, form: Form, out: str, *, media: bool = False) -> Report:
    """The captioned clips of a workspace or release in a form that others read."""
    notes = Notes("catalog export", root)
    exported = catalog.export(root, form, out, media=media)
    notes.counts |= {"clips": exported.clips, "captions": exported.captions}
    if exported.unsplit:
        notes.counts["unsplit"] = exported.unsplit
    notes.outputs.append(exported.path)
    return notes.report()


def _table(rows: Sequence[Hit | Alike], kind: type[Hit | Alike]) -> pa.Table:
    columns = {name: [getattr(row, name) for row in rows] for name in kind._fields}
    return pa.table(columns)
