"""The SQL views over the parts: three a table, written from its record, and those of the `.sql` files.

    <table>_parts   what the Parquet parts hold, as they are; the reader of the parts makes it
    <table>_rows    every row with every column: one that a part does not know yet is its default, or null
    <table>         the latest row of each key

The same text serves the internal queries, the user's sandbox and `schemas/catalog.sql` in plain
DuckDB.
"""

import re
from collections.abc import Collection
from functools import cache
from importlib import resources
from typing import NamedTuple

import pyarrow as pa

from valor_data.records import MEASURES, TABLES, Measures, Record
from valor_data.schema import arrow_schema

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
}

_HEAD = """\
-- Views of a valor-data workspace, made from the records by `make schemas`; do not edit.
--
-- To use them in plain DuckDB, first name the parts of the tables that your workspace has, such as
--   CREATE VIEW clips_parts AS FROM read_parquet('<workspace>/tables/clips/*.parquet', union_by_name = true);
-- then read this file. Every table has a view of its latest rows and one, <table>_rows, of all. A table
-- without parts is empty. After a compaction that was cut short a row may stand in two parts: the view of
-- the latest rows shows it once.
"""


def catalog_sql() -> str:
    """The whole text: a view a table, then the views over them."""
    tables = "\n".join(table_views(record) for record in TABLES.values())
    return f"{_HEAD}\n{tables}\n{hand_written(TABLES)}"


def hand_written(tables: Collection[str]) -> str:
    """The views over the views of some tables: all that need no other table."""
    absent = {name for table in TABLES if table not in tables for name in (table, f"{table}_rows")}
    texts = []
    for view in _hand_written():
        if view.reads.isdisjoint(absent):
            texts.append(view.text)
        else:
            absent.add(view.name)
    return "\n".join(texts)


def tables_read(sql: str) -> list[str]:
    """The tables that a SELECT over the views reads, by way of views too."""
    reads = {view.name: view.reads for view in _hand_written()}
    found: set[str] = set()
    waiting = _read_by(sql)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting |= reads.get(name, set())
    return [table for table in TABLES if not found.isdisjoint((table, f"{table}_rows"))]


class _View(NamedTuple):
    """A view or macro of the `.sql` files."""

    name: str
    text: str
    reads: set[str]


@cache
def _hand_written() -> list[_View]:
    files = [_file(name) for name in ("opted_out.sql", "retracted.sql", "newest.sql")]
    views = []
    for text in [*files, *map(_current, MEASURES), _file("views.sql")]:
        for statement in re.split(r"(?<=;)\n+", text.strip()):
            (name,) = re.findall(r"^CREATE (?:VIEW|MACRO) (\w+)", statement, re.MULTILINE)
            views.append(_View(name, f"{statement}\n", _read_by(statement)))
    return views


def _read_by(sql: str) -> set[str]:
    """What stands after FROM and JOIN (our SQL joins by no comma): tables, views, and names that the query
    gives to parts of itself."""
    return set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", re.sub("--.*", "", sql)))


def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _current(record: type[Measures]) -> str:
    """The view of what the newest version of a measurer says of the newest encoding of each clip."""
    table = record.table
    return (
        f"CREATE VIEW current_{table.removesuffix('_measures')} AS\n"
        f"SELECT a.* FROM {table} AS a\n"
        f"JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256\n"
        "QUALIFY row_number() OVER (\n"
        "    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;\n"
    )


def table_views(record: type[Record]) -> str:
    """The views of one table. Where nobody named its parts, it is empty."""
    table = record.table
    columns = ", ".join(f"NULL::{_sql_type(field.type)} AS {field.name}" for field in arrow_schema(record))
    filled = ", ".join(f"coalesce({name}, {value}) AS {name}" for name, value in _defaults(record).items())
    replace = f" REPLACE ({filled})" if filled else ""
    return (
        f"CREATE VIEW IF NOT EXISTS {table}_parts AS SELECT {columns} WHERE false;\n"
        f"CREATE VIEW {table}_rows AS SELECT *{replace} FROM (\n"
        f"    SELECT {columns} WHERE false\n"
        f"    UNION ALL BY NAME FROM {table}_parts);\n"
        f"CREATE VIEW {table} AS FROM {table}_rows\n"
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(record.key)} ORDER BY made_at_us DESC) = 1;\n"
    )


def _sql_type(kind: pa.DataType) -> str:
    return f"{_sql_type(kind.value_type)}[]" if isinstance(kind, pa.ListType) else _TYPES[kind]


def _defaults(record: type[Record]) -> dict[str, str]:
    defaults = {
        name: field.default
        for name, field in record.model_fields.items()
        if not field.is_required() and field.default is not None and name not in Record.model_fields
    }
    return {name: _literal(value) for name, value in defaults.items()}


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()  # numbers as they are; True as true
