"""DuckDB over the parts in force: one connection a query, in memory, with a limit and room to spill.

A part may vanish between listing and reading, when another process compacts; the query then runs
again on a fresh listing.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.errors import FatalError, ValorDataError
from valor_data.records import TABLES
from valor_data.schema import arrow_schema
from valor_data.tables import views
from valor_data.tables.parts import ROW_GROUP, Parts

if TYPE_CHECKING:  # it loads pandas, which takes as long as all the rest of a short command
    import pyarrow.dataset as ds

MEMORY = "700MB"
"""What a query may hold in memory; beyond it DuckDB spills to a temporary folder."""
_THREADS = min(4, os.cpu_count() or 1)
_RETRIES = 8
_BATCH = 16_384
_RANGE = 100_000
"""Clips that a query over everything known of a clip takes at a time."""

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection
Params = Sequence[object] | Mapping[str, object] | None
Live = Mapping[str, list[str]]
"""Names of the parts in force, by table."""
Binder = Callable[[Connection, Live], None]
_IN_RANGE = (
    "clip_id >= coalesce(getvariable('first_clip'), '') "
    "AND (getvariable('stop_clip') IS NULL OR clip_id < getvariable('stop_clip'))"
)
_OWNERS = {"caption_id": "captions", "video_id": "clips"}
"""Column -> the table that says of which clips its values are."""
"""Makes `<table>_parts` for the tables that have parts."""


class Engine:
    """Runs SQL over the tables of one root. Holds no connection: it may be used from any thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def run(self, tables: Sequence[str], work: Callable[[Connection], T], bind: Binder | None = None) -> T:
        """What `work` makes of a connection that knows the given tables and, with all, the views.

        Raises FatalError that names a corrupt part, or says that memory or disk ran out.
        """
        con, result, _ = self._attempt(tables, work, bind or self._bind, MEMORY)
        con.close()
        return result

    def stream(self, tables: Sequence[str], sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
        """The rows of one SELECT, batch by batch."""
        _, rows = self.open(tables, lambda con: None, lambda con: batches(con, sql, params))
        return rows

    def stream_by_clip(self, sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT over tables whose rows belong to a clip, ordered by `clip_id`; at least one
        batch, which may be empty.

        It runs for one range of clips after the other, so that memory does not grow with the tables.
        """

        def produce(con: Connection) -> Iterator[pa.RecordBatch]:
            numbered = "SELECT clip_id, row_number() OVER (ORDER BY clip_id) AS number FROM clips"
            edges = f"SELECT clip_id FROM ({numbered}) WHERE number % {_RANGE} = 0 ORDER BY clip_id"
            starts = ["", *(clip for (clip,) in con.execute(edges).fetchall())]
            some = False
            for first, stop in zip(starts, [*starts[1:], None], strict=True):
                con.execute("SET VARIABLE first_clip = ?", [first])
                con.execute("SET VARIABLE stop_clip = ?", [stop])
                for batch in batches(con, sql, params):
                    some = True
                    yield batch
            if not some:
                schema = con.sql(sql, params=params).to_arrow_table().schema
                yield pa.RecordBatch.from_pylist([], schema=schema)

        tables = dict.fromkeys([*_OWNERS.values(), *views.tables_read(sql)])
        _, rows = self.open(list(tables), lambda con: None, produce, bind=self._bind_ranges)
        return rows

    def open(
        self,
        tables: Sequence[str],
        prepare: Callable[[Connection], T],
        produce: Callable[[Connection], Iterator[pa.RecordBatch]],
        bind: Binder | None = None,
        memory: str = MEMORY,
    ) -> tuple[T, Iterator[pa.RecordBatch]]:
        """What `prepare` makes of a connection, at once; then the batches that `produce` makes of it, as
        they are asked for."""

        def work(con: Connection) -> tuple[T, Iterator[pa.RecordBatch], pa.RecordBatch | None]:
            prepared = prepare(con)
            rows = produce(con)
            return prepared, rows, next(rows, None)

        con, (prepared, rows, first), live = self._attempt(tables, work, bind or self._bind, memory)
        return prepared, self._drained(con, rows, first, live)

    def write(self, con: Connection, table: str, sql: str, params: Params = None) -> int:
        """Append the rows of a SELECT to a table as one part; their number."""
        reader = con.sql(sql, params=params).to_arrow_reader(ROW_GROUP)
        with self._parts.writing(table, arrow_schema(TABLES[table])) as part:
            for batch in reader:
                part.write(batch)
        return part.rows

    def _drained(
        self, con: Connection, rows: Iterator[pa.RecordBatch], first: pa.RecordBatch | None, live: Live
    ) -> Iterator[pa.RecordBatch]:
        try:
            if first is not None:
                yield first
            yield from rows
        except (duckdb.Error, pa.ArrowException) as error:
            raise self._explained(live, error) from error
        finally:
            con.close()

    def _attempt(
        self, tables: Sequence[str], work: Callable[[Connection], T], bind: Binder, memory: str
    ) -> tuple[Connection, T, Live]:
        for _ in range(_RETRIES):
            live = {table: self._parts.live(table) for table in tables}
            con = connect(memory)
            try:
                bind(con, live)
                _define_views(con, tables)
                return con, work(con), live
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                con.close()
                if self._unchanged(live):
                    raise self._explained(live, error) from error
            except BaseException:
                con.close()
                raise
        raise FatalError(
            f"{self._parts.root}: the tables change while they are read; run the command again when "
            "the other run has ended"
        )

    def bind_datasets(self, con: Connection, live: Live, where: str = "") -> None:
        """Make `<table>_parts` of Arrow datasets, which need no file access of DuckDB's own.

        DuckDB would ask a remote store some twenty times for each part, Arrow twice.
        """
        for table, names in live.items():
            if names:
                con.register(f"{table}_files" if where else f"{table}_parts", self.dataset(table, names))
            if names and where:
                con.execute(f"CREATE VIEW {table}_parts AS FROM {table}_files {where}")

    def _bind(self, con: Connection, live: Live, where: str = "") -> None:
        if not self._parts.is_local:
            self.bind_datasets(con, live, where)
            return
        for table, names in live.items():
            if names:
                listed = ", ".join(quoted(self._parts.address(table, name)) for name in names)
                con.execute(
                    f"CREATE VIEW {table}_parts AS "
                    f"FROM read_parquet([{listed}], union_by_name = true) {where}"
                )

    def dataset(self, table: str, names: list[str], schema: pa.Schema | None = None) -> "ds.Dataset":
        """The rows of some parts as they are, with all columns that any of them has, or those of `schema`."""
        import pyarrow.dataset as ds

        filesystem = self._parts.filesystem
        paths = [self._parts.path(table, name) for name in names]
        if schema is not None:
            return ds.dataset(paths, schema=schema, filesystem=filesystem, format="parquet")
        schemas = [pq.read_schema(path, filesystem=filesystem) for path in paths]
        schema = pa.unify_schemas(schemas, promote_options="permissive")
        # Older parts lack newer columns.
        nullable = pa.schema([field.with_nullable(True) for field in schema])
        return ds.dataset(paths, schema=nullable, filesystem=filesystem, format="parquet")

    def _bind_ranges(self, con: Connection, live: Live) -> None:
        """Show only the clips between two variables, everywhere, once these are set; and only what is known
        of their captions and videos."""
        con.execute("SET parquet_metadata_cache = true")  # every range plans its query over the same files
        left = dict(live)

        def bind(column: str, where: str) -> None:
            having = [table for table in left if column in TABLES[table].model_fields]
            self._bind(con, {table: left.pop(table) for table in having}, where)

        bind("clip_id", f"WHERE {_IN_RANGE}")
        for column, owner in _OWNERS.items():
            if live[owner]:
                bind(column, f"WHERE {column} IN (SELECT {column} FROM {owner}_parts)")
        self._bind(con, left)

    def _unchanged(self, live: Live) -> bool:
        return all(set(names) <= set(self._parts.live(table)) for table, names in live.items())

    def _explained(self, live: Live, error: Exception) -> Exception:
        if isinstance(error, ValorDataError):
            return error
        # What streams through Arrow comes as an OSError with DuckDB's words.
        if any(words in str(error) for words in ("Out of Memory", "No space left")):
            told = str(error).splitlines()[0]
            return FatalError(f"tables: {told}; free memory, or space in {tempfile.gettempdir()}")
        for table, names in live.items():
            for name in names:
                fault = self._fault(table, name)
                if fault:
                    where = self._parts.address(table, name)
                    return FatalError(
                        f"{where}: corrupt part ({fault}); restore it from a backup, or delete it and "
                        "run the commands that made it again"
                    )
        return error

    def _fault(self, table: str, name: str) -> str:
        try:
            with self._parts.filesystem.open(self._parts.path(table, name), "rb") as file:
                parquet = pq.ParquetFile(file)
                for group in range(parquet.num_row_groups):
                    parquet.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            return str(error).splitlines()[0]
        return ""


def batches(con: Connection, sql: str, params: Params = None) -> Iterator[pa.RecordBatch]:
    """The rows of one SELECT on a connection, which can run nothing else until they are out."""
    with con.sql(sql, params=params).to_arrow_reader(_BATCH) as reader:
        yield from reader


def connect(memory: str = MEMORY) -> Connection:
    """A fresh in-memory DuckDB that fetches no extension and cleans up what it spills."""
    spill = Path(tempfile.gettempdir()) / f"valor-data-{layout.temporary_name().removeprefix('.')}"
    con = duckdb.connect(
        ":memory:",
        config={
            "threads": _THREADS,
            "memory_limit": memory,
            "temp_directory": str(spill),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    # It would draw a bar on stdout where Python runs by a prompt, a notebook or -c.
    con.execute("SET enable_progress_bar = false")
    return con


def _define_views(con: Connection, tables: Sequence[str]) -> None:
    """Create the views of each table, and the hand-written ones over them."""
    for table in tables:
        con.execute(views.table_views(TABLES[table]))
    con.execute(views.hand_written(tables))


def quoted(path: str) -> str:
    """A path as a SQL string that DuckDB's globbing takes literally."""
    escaped = re.sub(r"([*?\[])", r"[\1]", path)
    return "'" + escaped.replace("'", "''") + "'"
