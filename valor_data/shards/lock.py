"""`valor.lock`: by what anybody can tell that his copy of a clip is the same clip, though its bytes differ.

One row a clip, by clip_id: the span, digests of the released and of the printed bytes, how the sound lies
to the picture, and the prints (`valor_data.prints`), about 2.3 KB a clip of ten seconds. It holds no media,
so a release of ids alone has it too. Written and read a row group at a time.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from valor_data import layout

_COLUMNS: dict[str, pa.DataType] = {
    "clip_id": pa.string(),
    "start_ms": pa.int64(),
    "end_ms": pa.int64(),
    "sha256": pa.string(),  # of the mp4 that the release holds or, of ids alone, held
    "sound_sha256": pa.string(),  # of the flac beside it, where the payload has one
    "media_sha256": pa.string(),  # of the file that the prints are of; null: nobody took any
    "start_error_ms": pa.float64(),
    "av_skew_ms": pa.float64(),
    "sound": pa.binary(),
    "picture": pa.binary(),
}
SCHEMA = pa.schema(_COLUMNS)
GROUP = 10_000
"""Rows of a row group, 23 MB: what writing and reading hold at a time."""
_MOST_NAMED = 3


class LockNote(NamedTuple):
    """What a lock says of itself."""

    clips: int
    unprinted: int
    """Clips of whose bytes nobody took prints: only equal bytes can tell that a copy is the same."""
    such_as: tuple[str, ...]
    """The first of those."""


class LockWriter:
    """A lock on its way to disk; give it rows by clip_id, a row group at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clips = self._unprinted = 0
        self._such_as: list[str] = []

    def __enter__(self) -> Self:
        self._file = pq.ParquetWriter(str(self._path), SCHEMA, compression="zstd", write_page_index=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            note = {"clips": self._clips, "unprinted": self._unprinted, "such_as": self._such_as}
            self._file.add_key_value_metadata({layout.LOCK: json.dumps(note, sort_keys=True)})
        self._file.close()

    def write(self, rows: pa.Table) -> None:
        """Add rows of the schema."""
        if not rows.num_rows:
            return
        self._file.write_table(rows.select(SCHEMA.names).cast(SCHEMA))
        bare = rows.filter(pc.is_null(rows["media_sha256"]))["clip_id"]
        self._clips += rows.num_rows
        self._unprinted += len(bare)
        self._such_as += map(str, bare.slice(0, _MOST_NAMED - len(self._such_as)).to_pylist())


def read_lock(path: Path) -> Iterator[pa.Table]:
    """The rows of a lock, a row group at a time. Raises pyarrow.ArrowException for a file that is none."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=SCHEMA.names)


def thin_lock(old: Path, path: Path, stays: Callable[[str], bool]) -> None:
    """Write the lock `old` again with those clips alone that stay."""
    with LockWriter(path) as writer:
        for rows in read_lock(old):
            kept = [stays(str(clip)) for clip in rows["clip_id"].to_pylist()]
            writer.write(rows.filter(pa.array(kept)))


def note_of(file: Any) -> LockNote:
    """What a lock, a path or an open file, says of itself; reads no row."""
    with pq.ParquetFile(file) as parquet:
        note = json.loads((parquet.metadata.metadata or {})[layout.LOCK.encode()])
    return LockNote(note["clips"], note["unprinted"], tuple(note["such_as"]))
