"""Many parts become one, sorted by key. Tables with history keep every revision."""

import pyarrow as pa

from valor_data.records import TABLES, Record
from valor_data.schema import arrow_schema
from valor_data.tables.engine import Connection, Engine, batches
from valor_data.tables.parts import Parts, row_groups

_WORTH_IT = 8
"""Parts that a table may have before one is made of them: a scan opens every part."""


def compact(parts: Parts, engine: Engine) -> None:
    """Compact every table that has many parts, and remove what a killed compaction left."""
    for record in TABLES.values():
        parts.clear_leftovers(record.table)
        names = parts.live(record.table)
        if len(names) > _WORTH_IT:
            engine.run([record.table], lambda con, r=record, n=names: _merge(parts, con, r, n))  # type: ignore[misc]


def _merge(parts: Parts, con: Connection, record: type[Record], names: list[str]) -> None:
    order = ", ".join(record.key)
    kept = f"FROM {record.table} ORDER BY {order}"
    if record.history:
        kept = f"FROM {record.table}_rows ORDER BY {order}, made_at_us"
    found = con.sql(f"{kept} LIMIT 0").to_arrow_table().schema
    with parts.compacting(record.table, _widened(record, found), names) as part:
        for group in row_groups(batches(con, kept)):
            part.write(group)


def _widened(record: type[Record], found: pa.Schema) -> pa.Schema:
    """The record's columns that the parts have, and after them those it does not know, all nullable:
    parts from before a column existed hold nothing in it."""
    known = arrow_schema(record)
    names = [name for name in known.names if name in found.names]
    extra = [name for name in found.names if name not in known.names]
    fields = [known.field(name) for name in names] + [found.field(name) for name in extra]
    return pa.schema([field.with_nullable(True) for field in fields])
