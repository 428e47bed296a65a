"""Rows of the tables as records."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa

from valor_data.records import Record
from valor_data.schema import arrow_schema

R = TypeVar("R", bound=Record)


def records(record: type[R], batches: Iterable[pa.RecordBatch]) -> Iterator[R]:
    """The rows as validated records; columns that the record does not know are left out."""
    for batch in batches:
        for row in batch.select(list(record.model_fields)).to_pylist():
            yield record.model_validate(row)


def as_table(record: type[Record], rows: Sequence[Record]) -> pa.Table:
    """Records as the columns of their table, without `made_at_us`, which the tables stamp."""
    schema = arrow_schema(record)
    schema = schema.remove(schema.get_field_index("made_at_us"))
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def last_of_each(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows without those that a later row of the same key replaces."""
    places = rows.select(list(key)).append_column("place", pa.array(range(len(rows)), pa.int64()))
    last = places.group_by(list(key)).aggregate([("place", "max")])["place_max"]
    return rows if len(last) == len(rows) else rows.take(last.combine_chunks().sort())
