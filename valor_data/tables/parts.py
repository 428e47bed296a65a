"""The Parquet parts of every table: which are in force, and how a new one comes to be.

    tables/<table>/<stamp>-<hex>.parquet           one append
    tables/<table>/<stamp>-<hex>.compact.parquet   what a compaction made of many; counts once named
    tables/<table>/manifest.json                   parts: compacted ones in force; replaced: what they hold

A part is written under a temporary name, closed, renamed (remotely: one put) and never edited. The
stamp, microseconds, exceeds every stamp seen before in any table, so that a later append wins even
when the clock steps back. A compaction writes its part, then puts the manifest, then deletes what
it replaced; the manifest decides at every point between, so nothing is lost or counted twice.
"""

import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.errors import FatalError, UserError, full_disk_told

ROW_GROUP = 122_880
"""Rows of a row group: DuckDB's own, so that a scan divides well over threads."""
_MOST_BYTES = 64 << 20
"""Bytes in memory that a row group has at most: who looks for one print reads all those of its group."""
_PART = ".parquet"
_COMPACTED = ".compact.parquet"
_COPIES = 8


class _Manifest(NamedTuple):
    parts: list[str]
    replaced: list[str]


class PartWriter:
    """A part while it is written. Rows go straight to disk, a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema, stamp: int) -> None:
        self.stamp = stamp
        """The part's stamp; rows that bring no `made_at_us` get it."""
        self.rows = 0
        self._path = path
        self._schema = schema
        self._file: pq.ParquetWriter | None = None

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows whose columns are the schema's, in any order; `made_at_us` may be absent.

        Raises KeyError for a missing column, ValueError for a null where none may be.
        """
        if not rows.num_rows:
            return
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        if "made_at_us" not in table.column_names:
            table = table.append_column(
                "made_at_us", pa.repeat(pa.scalar(self.stamp, pa.int64()), len(table))
            )
        table = table.select(self._schema.names).cast(self._schema)
        if self._file is None:
            self._file = pq.ParquetWriter(str(self._path), self._schema, compression="zstd")
        fitting = max(1, _MOST_BYTES * len(table) // max(1, table.nbytes))
        self._file.write_table(table, row_group_size=min(ROW_GROUP, fitting))
        self.rows += len(table)

    def close(self) -> None:
        """Write the footer."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Parts:
    """The parts under one root, a folder or fsspec URL."""

    def __init__(self, root: str) -> None:
        # A cached listing would hide what another process has written since.
        try:
            self.filesystem, base = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"{root}: {error}; give a folder, or an fsspec URL whose backend is installed"
            ) from error
        self.is_local = "file" in self.filesystem.protocol
        self.root = base if self.is_local else self.filesystem.unstrip_protocol(base)
        self._base = base.rstrip("/")
        self._last_stamp: int | None = None
        self._lock = threading.Lock()

    def live(self, table: str) -> list[str]:
        """Names of the parts in force, oldest first. Any of them may vanish while a compaction runs:
        then list again."""
        names = self._listed(table)
        # The listing comes first: a part appended after it is only not seen yet, and one that a
        # compaction replaced after it is either named here or gone when it is opened.
        manifest = self._manifest(table, names)
        appended = (name for name in names if name.endswith(_PART) and not name.endswith(_COMPACTED))
        return sorted({*appended}.difference(manifest.replaced).union(manifest.parts))

    def object_path(self, key: str) -> str:
        """The path of an object under the root within `filesystem`."""
        return f"{self._base}/{key}"

    def path(self, table: str, name: str) -> str:
        """A part's path within `filesystem`."""
        return f"{self._base}/{layout.table_prefix(table)}{name}"

    def address(self, table: str, name: str) -> str:
        """A part's path or URL, for people and for DuckDB."""
        path = self.path(table, name)
        return path if self.is_local else str(self.filesystem.unstrip_protocol(path))

    def next_stamp(self) -> int:
        """Microseconds since 1970 UTC, or one more than the largest stamp so far."""
        with self._lock:
            if self._last_stamp is None:
                found = self.filesystem.find(f"{self._base}/{layout.table_prefix('').rstrip('/')}")
                stems = (path.rsplit("/", 1)[-1].split("-", 1)[0] for path in found if path.endswith(_PART))
                self._last_stamp = max((int(stem) for stem in stems if stem.isdigit()), default=0)
            self._last_stamp = max(time.time_ns() // 1000, self._last_stamp + 1)
            return self._last_stamp

    @contextmanager
    def writing(self, table: str, schema: pa.Schema) -> Iterator[PartWriter]:
        """A new part, in force when the `with` ends well; none where no row was written.

        Raises FatalError on a full disk; nothing of the part stays.
        """
        with self._publishing(table, schema, _PART) as (part, publish):
            yield part
            part.close()
            if part.rows:
                publish()

    @contextmanager
    def compacting(self, table: str, schema: pa.Schema, replaced: list[str]) -> Iterator[PartWriter]:
        """A new part that takes the place of others, in force in one step when the `with` ends well; where no
        row was written the others just go."""
        with self._publishing(table, schema, _COMPACTED) as (part, publish):
            yield part
            part.close()
            made = [publish()] if part.rows else []
        others = set(self._manifest(table, self._listed(table)).parts).difference(replaced)
        self._put_manifest(table, _Manifest([*sorted(others), *made], replaced))
        self._delete(table, replaced)

    @contextmanager
    def writing_object(self, key: str) -> Iterator[Path]:
        """A file to fill, which becomes the object `key` under the root when the `with` ends well."""
        target = self.object_path(key)
        with full_disk_told(target), self._temporary(target) as temporary:
            yield temporary
            self._publish(temporary, target)

    def copy_to(self, table: str, target: "Parts") -> None:
        """The parts of a table in force, copied into other parts, which lie in a folder."""
        for _ in range(_COPIES):
            try:
                for name in self.live(table):
                    # What is in force here by a manifest is in force there by its name.
                    copy = Path(target.path(table, name.replace(_COMPACTED, _PART)))
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    with full_disk_told(str(copy)):
                        self.filesystem.get_file(self.path(table, name), str(copy))
            except FileNotFoundError:  # a compaction has replaced it meanwhile; its rows may stand twice
                continue
            return
        raise FatalError(
            f"{self.root}: the tables change while they are read; run the command again when the other "
            "run has ended"
        )

    def clear_leftovers(self, table: str) -> None:
        """Delete what a killed compaction left: replaced parts, and compacted ones never named."""
        names = self._listed(table)
        manifest = self._manifest(table, names)
        unnamed = {name for name in names if name.endswith(_COMPACTED)}.difference(manifest.parts)
        self._delete(table, sorted(unnamed.union(manifest.replaced).intersection(names)))

    @contextmanager
    def _publishing(
        self, table: str, schema: pa.Schema, suffix: str
    ) -> Iterator[tuple[PartWriter, Callable[[], str]]]:
        stamp = self.next_stamp()
        name = f"{stamp:020d}-{secrets.token_hex(4)}{suffix}"
        target = self.path(table, name)
        with full_disk_told(target), self._temporary(target) as temporary:
            part = PartWriter(temporary, schema, stamp)

            def publish() -> str:
                self._publish(temporary, target)
                return name

            try:
                yield part, publish
            finally:
                part.close()

    def _put_manifest(self, table: str, manifest: _Manifest) -> None:
        target = self.path(table, layout.MANIFEST)
        with full_disk_told(target), self._temporary(target) as temporary:
            temporary.write_text(json.dumps(manifest._asdict(), indent=1), encoding="utf-8")
            self._publish(temporary, target)

    @contextmanager
    def _temporary(self, target: str) -> Iterator[Path]:
        """A file to fill: beside its target, so that a rename publishes it; else on this machine."""
        folder = Path(target).parent if self.is_local else Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / layout.temporary_name()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _publish(self, temporary: Path, target: str) -> None:
        if not self.is_local:
            self.filesystem.put_file(str(temporary), target)
            return
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)

    def _listed(self, table: str) -> list[str]:
        try:
            found = self.filesystem.ls(self.path(table, "").rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        return [path.rsplit("/", 1)[-1] for path in found]

    def _manifest(self, table: str, names: list[str]) -> _Manifest:
        if layout.MANIFEST not in names:
            return _Manifest([], [])
        try:
            raw: dict[str, Any] = json.loads(self.filesystem.cat_file(self.path(table, layout.MANIFEST)))
            return _Manifest(list(raw["parts"]), list(raw["replaced"]))
        except (ValueError, KeyError, TypeError) as error:
            where = self.address(table, layout.MANIFEST)
            raise FatalError(f"{where}: not readable ({error}); restore it from a backup") from error

    def _delete(self, table: str, names: list[str]) -> None:
        for name in names:
            try:
                self.filesystem.rm_file(self.path(table, name))
            except FileNotFoundError:
                continue


def row_groups(batches: Iterable[pa.RecordBatch], rows: int = ROW_GROUP) -> Iterator[pa.Table]:
    """Batches put together until they make a row group of so many rows or a little more, or of as many bytes
    as it may have."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        full = sum(part.nbytes for part in waiting) >= _MOST_BYTES
        if full or sum(part.num_rows for part in waiting) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
