"""The user's SQL: one SELECT over the views, on a connection that can reach nothing else.

Three locks, each of which alone stops most tries: the text must be one SELECT; its parse tree may
name only the views, and functions that give away nothing of this machine; and the connection has
no files, extensions or settings to offer, over Arrow datasets that it can read and not write.
"""

import difflib
import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa

from valor_data.errors import UserError
from valor_data.records import TABLES
from valor_data.tables import catalog
from valor_data.tables.engine import Connection, Engine, Live
from valor_data.tables.parts import Parts

_TABLE_FUNCTIONS = {"range", "generate_series", "unnest"}
_REFUSED_FUNCTIONS = {"current_setting", "getenv", "getvariable", "write_log"}
_SHOWN = {'"tables"', "__show_tables_expanded"}
_LONGEST = 400
_BATCH = 2048
_MOST_BYTES = 1_000_000_000


def select(parts: Parts, engine: Engine, query: str) -> pa.Table:
    """The rows of the user's SELECT. Raises UserError in one line, with the nearest name, and for an answer
    that would not fit into memory."""

    def bind(con: Connection, live: Live) -> None:
        engine.bind_datasets(con, live)
        whole = catalog.current(parts, live)
        if whole is not None:  # it stands before the view of its name, which would join all tables anew
            con.register("catalog", whole)

    def work(con: Connection) -> pa.Table:
        con.execute("SET enable_external_access = false; SET lock_configuration = true")
        try:
            _check(con, query)
            relation = con.sql(query)
        except duckdb.Error as error:
            raise _told(error) from error
        return _gathered(relation)

    try:
        return engine.run(list(TABLES), work, bind)
    except duckdb.Error as error:  # none of the parts is to blame
        raise _told(error) from error


def _gathered(relation: duckdb.DuckDBPyRelation) -> pa.Table:
    with relation.to_arrow_reader(_BATCH) as reader:
        found, held = [], 0
        for batch in reader:
            found.append(batch)
            held += batch.nbytes
            if held > _MOST_BYTES:
                raise UserError(
                    f"the answer is larger than {_MOST_BYTES / 1e6:,.0f} MB: ask for fewer columns, or fewer "
                    "rows by WHERE or LIMIT"
                )
        return pa.Table.from_batches(found, reader.schema)


def _check(con: Connection, query: str) -> None:
    statements = con.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UserError(
            "the query is refused: give exactly one SELECT (WITH, FROM, DESCRIBE and SHOW TABLES work)"
        )
    ((text,),) = con.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    tree = json.loads(text)
    if tree["error"]:
        raise UserError(f"the query is refused: {tree['error_message']}")
    relations = {
        name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    }
    macros = {
        name
        for (name,) in con.execute(
            "SELECT function_name FROM duckdb_functions() WHERE NOT internal"
        ).fetchall()
    }
    nodes = list(_nodes(tree))
    named = {str(entry["key"]).lower() for node in nodes for entry in node.get("cte_map", {}).get("map", [])}
    for node in nodes:
        _check_node(node, relations | named, macros | _TABLE_FUNCTIONS)


def _check_node(node: dict[str, Any], relations: set[str], table_functions: set[str]) -> None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        name = str(node["table_name"]).lower()
        inside = node["schema_name"] in ("", "main") and node["catalog_name"] in ("", "memory")
        if not inside or name not in relations:
            raise UserError(_unknown(f"no view {name!r}", name, relations, "SHOW TABLES lists them"))
    elif kind == "TABLE_FUNCTION":
        name = str(node["function"]["function_name"]).lower()
        if name not in table_functions:
            known = f"known: {', '.join(sorted(table_functions))}"
            raise UserError(
                _unknown(f"the query is refused: table function {name!r}", name, table_functions, known)
            )
    elif kind == "SHOW_REF" and node["query"] is None and node["table_name"] not in _SHOWN:
        raise UserError(f"the query is refused: SHOW {node['table_name']}; SHOW TABLES works")
    elif node.get("class") == "FUNCTION" and str(node["function_name"]).lower() in _REFUSED_FUNCTIONS:
        raise UserError(f"the query is refused: function {node['function_name']!r}")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)


def _unknown(what: str, name: str, known: set[str], otherwise: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{what}; did you mean {near[0]!r}?" if near else f"{what}; {otherwise}"


def _told(error: duckdb.Error) -> UserError:
    """DuckDB's message in one line, without its drawing of where in the text."""
    text = str(error).split("\nLINE ", 1)[0]
    return UserError(" ".join(text.split())[:_LONGEST])
