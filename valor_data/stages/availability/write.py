"""The manifest's files. The same tables give the same bytes; nothing in them names a machine."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from valor_data import __version__, layout
from valor_data.errors import UserError
from valor_data.stages.availability import page
from valor_data.store import Store
from valor_data.workspace import Workspace

PARQUET, CSV, PAGE = "availability.parquet", "availability.csv", "availability.html"
_ROW_GROUP = 100_000


class Published(NamedTuple):
    """A manifest that was written."""

    counts: dict[str, int]
    """`available`, `missing`, `not_tried` clips; a clip of two lists counts once."""
    outputs: list[str]


def publish(workspace: Workspace, folder: str) -> Published:
    """Write the manifest of the recipe's profile into a folder or fsspec URL, each file whole or not at
    all; the page last.

    Raises UserError where no list was read yet, or the folder cannot be written.
    """
    recipe = workspace.recipe
    found = workspace.tables.availability(recipe.profile)
    if not found.groups:
        raise UserError(f"{workspace.root}: no list was read yet; run 'valor-data fetch' first")
    target = Store.open(folder)
    text = page.render(recipe.name, recipe.profile, f"valor-data {__version__}", found.counts, found.groups)
    with tempfile.TemporaryDirectory(prefix="valor-data-") as scratch:
        _write_rows(found.rows, Path(scratch))
        Path(scratch, PAGE).write_text(text, encoding="utf-8")
        for name in (PARQUET, CSV, PAGE):
            target.put_file(name, Path(scratch, name))
    return Published(found.counts, [target.path(name) for name in (PARQUET, CSV, PAGE)])


def _write_rows(batches: Iterable[pa.RecordBatch], scratch: Path) -> None:
    tables = _row_groups(map(_with_official_id, batches))
    first = next(tables)
    with ExitStack() as files:
        parquet = files.enter_context(pq.ParquetWriter(scratch / PARQUET, first.schema, compression="zstd"))
        csv = files.enter_context(pc.CSVWriter(scratch / CSV, first.schema))
        for table in (first, *tables):
            parquet.write_table(table)
            csv.write_table(table)


def _with_official_id(batch: pa.RecordBatch) -> pa.Table:
    """The id as the field writes it, beside ours."""
    ids = [layout.official_id(str(clip)) for clip in batch["clip_id"].to_pylist()]
    table = pa.Table.from_batches([batch])
    place = table.schema.get_field_index("clip_id") + 1
    return table.add_column(place, "official_id", pa.array(ids, pa.string()))


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger portions; at least one, which may be empty."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
