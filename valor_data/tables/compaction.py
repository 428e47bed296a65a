"""Many parts become one, sorted by key. Tables with history keep every revision."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa

from valor_data.errors import full_disk_told
from valor_data.records import TABLES, Record
from valor_data.schema import arrow_schema
from valor_data.tables.engine import Connection, Engine, batches, quoted
from valor_data.tables.parts import Parts, row_groups

_WORTH_IT = 8
"""Parts that a table may have before one is made of them: a scan opens every part."""
_SHARE = 128 << 20
"""Bytes of parts that are sorted at once. DuckDB would spill what is more, to find the latest rows and again
to sort them: of a million prints for minutes."""


def compact(parts: Parts, engine: Engine) -> None:
    """Compact every table that has many parts, and remove what a killed compaction left."""
    for record in TABLES.values():
        parts.clear_leftovers(record.table)
        names = parts.live(record.table)
        if len(names) > _WORTH_IT:
            engine.run([record.table], lambda con, r=record, n=names: _merge(parts, con, r, n))  # type: ignore[misc]


def _merge(parts: Parts, con: Connection, record: type[Record], names: list[str]) -> None:
    key = ", ".join(record.key)
    latest = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY made_at_us DESC) = 1"
    kept = f"{'' if record.history else latest} ORDER BY {key}, made_at_us"
    found = con.sql(f"FROM {record.table}_rows LIMIT 0").to_arrow_table().schema
    with (
        _shares(parts, con, record, names) as shares,
        parts.compacting(record.table, _widened(record, found), names) as part,
    ):
        sorted_rows = chain.from_iterable(batches(con, f"FROM {share} {kept}") for share in shares)
        for group in row_groups(sorted_rows):
            part.write(group)


@contextmanager
def _shares(parts: Parts, con: Connection, record: type[Record], names: list[str]) -> Iterator[list[str]]:
    """The rows of a table in relations that follow one another by key, each small enough to be sorted in
    memory: the table itself, or files on this machine."""
    table, first = f"{record.table}_rows", record.key[0]
    more = sum(parts.filesystem.size(parts.path(record.table, name)) for name in names) // _SHARE
    if not more:
        yield [table]
        return
    places = [number / (more + 1) for number in range(1, more + 1)]
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder, full_disk_told(folder):
        target = f"{folder}/shares".replace("'", "''")
        con.execute(f"SET VARIABLE edges = (SELECT quantile_disc({first}, {places}) FROM {table})")
        con.execute("SET partitioned_write_flush_threshold = 8192")
        con.execute(
            f"COPY (SELECT *, len(list_filter(getvariable('edges'), lambda edge: edge <= {first})) AS share "
            f"FROM {table}) TO '{target}' (FORMAT parquet, COMPRESSION lz4, PARTITION_BY (share))"
        )
        made = sorted(Path(folder, "shares").iterdir(), key=lambda share: int(share.name.split("=")[1]))
        lists = (", ".join(quoted(str(file)) for file in share.iterdir()) for share in made)
        yield [f"read_parquet([{files}], hive_partitioning = false)" for files in lists]


def _widened(record: type[Record], found: pa.Schema) -> pa.Schema:
    """The record's columns that the parts have, and after them those it does not know, all nullable:
    parts from before a column existed hold nothing in it."""
    known = arrow_schema(record)
    names = [name for name in known.names if name in found.names]
    extra = [name for name in found.names if name not in known.names]
    fields = [known.field(name) for name in names] + [found.field(name) for name in extra]
    return pa.schema([field.with_nullable(True) for field in fields])
