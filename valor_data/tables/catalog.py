"""`catalog.parquet`: one row a clip with all that is known of it, for any tool that reads Parquet.

Sorted by clip_id, so that the statistics of row groups and pages find a clip without a scan. It says of which
tables it was made: whoever reads it can tell whether they have changed since.
"""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.errors import full_disk_told
from valor_data.records import TABLES
from valor_data.tables.engine import Engine, Live
from valor_data.tables.parts import Parts, row_groups

if TYPE_CHECKING:  # as in `engine`
    import pyarrow.dataset as ds

ROW_GROUP = 32_768
"""Rows of a row group of the catalog: few enough to read one for one clip, many enough to scan them all."""
_MADE_OF = "valor_data.tables"


def tables_digest(parts: Parts) -> str:
    """What names all rows of all tables: it changes with every part that is added, merged or removed."""
    return _digest({table: parts.live(table) for table in TABLES})


def made_of(path: Path) -> str:
    """The digest of the tables that a `catalog.parquet` was made of; empty where it does not say."""
    return _said(pq.read_schema(path))


def current(parts: Parts, live: Live) -> "ds.Dataset | None":
    """The workspace's own `catalog.parquet` where it was made of these parts of all tables; else None."""
    import pyarrow.dataset as ds

    path = parts.object_path(layout.CATALOG)
    try:
        schema = pq.read_schema(path, filesystem=parts.filesystem)
        fits = _said(schema) == _digest(live)
        return ds.dataset(path, filesystem=parts.filesystem, format="parquet") if fits else None
    except (OSError, pa.ArrowException):
        return None


def write_catalog(parts: Parts, engine: Engine, key: str) -> int:
    """Write the view `catalog`, one row a clip by clip_id, as the object `key`; its rows."""
    with parts.writing_object(key) as path:
        return write_file(parts, engine, path)


def write_file(parts: Parts, engine: Engine, path: Path) -> int:
    """The same as a file on this machine. Raises FatalError on a full disk."""
    digest = tables_digest(parts)  # first: what is appended meanwhile makes the file an old one
    batches = engine.stream_by_clip("FROM catalog ORDER BY clip_id")
    first = next(batches)
    schema = first.schema.with_metadata({_MADE_OF: digest})
    with (
        full_disk_told(str(path)),
        pq.ParquetWriter(str(path), schema, compression="zstd", write_page_index=True) as file,
    ):
        rows = 0
        for group in row_groups(chain([first], batches), ROW_GROUP):
            file.write_table(group.replace_schema_metadata(schema.metadata))
            rows += len(group)
    return rows


def _digest(live: Live) -> str:
    return layout.digest({table: live[table] for table in TABLES})


def _said(schema: pa.Schema) -> str:
    return (schema.metadata or {}).get(_MADE_OF.encode(), b"").decode()
