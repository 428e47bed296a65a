"""The SQL views over the parts: one a table, written from its record, and those of `views.sql`.

A table's view shows the latest row of each key. It reads a relation `<table>_rows` that holds
every row of every part, so the same text serves the internal queries, the user's sandbox and
`schemas/catalog.sql` in plain DuckDB.
"""

from importlib import resources

import pyarrow as pa

from valor_data.records import TABLES, Record
from valor_data.schema import arrow_schema

_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}

_HEAD = """\
-- Views of a valor-data workspace, made from the records by `make schemas`; do not edit.
--
-- To use them in plain DuckDB, first name the parts of the tables that your workspace has, such as
--   CREATE VIEW clips_rows AS FROM read_parquet('<workspace>/tables/clips/*.parquet', union_by_name=true);
-- then read this file. A table without parts is empty. While a compaction runs a row may stand in
-- two parts: the views show one; `*_rows` of a table with history may show both.
"""


def catalog_sql() -> str:
    """The whole text: a view a table, then the views over them."""
    tables = "\n".join(f"{rows_view(record)}\n{latest_view(record)}" for record in TABLES.values())
    return f"{_HEAD}\n{tables}\n{hand_written()}"


def hand_written() -> str:
    """The text of `views.sql`."""
    return (resources.files(__package__) / "views.sql").read_text(encoding="utf-8")


def rows_view(record: type[Record]) -> str:
    """An empty relation of the table's columns, for where no part exists."""
    return f"CREATE VIEW IF NOT EXISTS {record.table}_rows AS {_no_rows(record)};\n"


def latest_view(record: type[Record]) -> str:
    """The latest row of each key. A part from before a column existed reads as its default, or null."""
    filled = ", ".join(f"coalesce({name}, {value}) AS {name}" for name, value in _defaults(record).items())
    replace = f" REPLACE ({filled})" if filled else ""
    return (
        f"CREATE VIEW {record.table} AS\n"
        f"SELECT *{replace}\n"
        f"FROM ({_no_rows(record)}\n"
        f"      UNION ALL BY NAME FROM {record.table}_rows)\n"
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(record.key)} ORDER BY made_at_us DESC) = 1;\n"
    )


def _no_rows(record: type[Record]) -> str:
    columns = ", ".join(f"NULL::{_sql_type(field.type)} AS {field.name}" for field in arrow_schema(record))
    return f"SELECT {columns} WHERE false"


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
