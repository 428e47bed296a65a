"""`index.arrow`: where every member of every clip of a release lies.

An Arrow file without compression, one row a clip, in the order of the shards: `clip_id`, `shard`, and for
each suffix `<suffix>_offset` and `<suffix>_bytes`, place and length of the content in that tar; -1 where
the sample has no such member. A reader maps it into memory, so that opening costs nothing and all workers
of a machine share its pages.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from valor_data import manifest
from valor_data.errors import FatalError
from valor_data.shards import tar

Numbers = npt.NDArray[np.int64]
_FORMAT = {b"valor-data index": b"1"}


class Place(NamedTuple):
    """Where the content of a member lies in its shard."""

    offset: int
    bytes: int


def build(
    clip_ids: "pa.Array[Any]", shards: Sequence[tuple[str, int]], lengths: Mapping[str, Numbers]
) -> pa.Table:
    """The index of a release. `shards` are (path, samples) in order, `clip_ids` and `lengths` (suffix ->
    bytes, -1: no such member; in the order in which members stand) run through all of them.
    """
    widths = {
        suffix: np.where(each < 0, 0, tar.BLOCK + each + -each % tar.BLOCK)
        for suffix, each in lengths.items()
    }
    ends = np.cumsum(sum(widths.values(), np.zeros(len(clip_ids), np.int64)))
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])[: len(clip_ids)]
    samples = np.array([count for _, count in shards], np.int64)
    firsts = np.cumsum(samples) - samples
    at = starts - np.repeat(starts[firsts], samples)
    columns: dict[str, Any] = {
        "clip_id": clip_ids,
        "shard": pa.DictionaryArray.from_arrays(
            np.repeat(np.arange(len(shards), dtype=np.int32), samples),
            pa.array([path for path, _ in shards], pa.string()),
        ),
    }
    for suffix, each in lengths.items():
        if (each >= 0).any():
            columns[f"{suffix}_offset"] = np.where(each < 0, -1, at + tar.BLOCK)
            columns[f"{suffix}_bytes"] = each
        at = at + widths[suffix]
    return pa.table(columns).replace_schema_metadata(_FORMAT)


def write(index: pa.Table, path: Path) -> None:
    """Write an index as one record batch, which is what can be mapped as it is."""
    whole = index.combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole)


class Index:
    """An index, read. Raises FatalError, beginning with `name`, for what is none or is broken."""

    def __init__(self, source: "pa.NativeFile | pa.Buffer", name: str) -> None:
        self._name = name
        try:
            table = pa.ipc.open_file(source).read_all()
            table.validate(full=True)  # a flipped byte shall not lead outside the file's memory
            shard = _whole(table, "shard")
            self.shards = tuple(str(path) for path in shard.dictionary.to_pylist())
            """Paths of the shards, in order."""
            self._shard_of: npt.NDArray[np.int32] = _plain(shard.indices, np.int32)
            self._ids = _whole(table, "clip_id")
            self._places: dict[str, tuple[Numbers, Numbers]] = {}
            for column in table.column_names:
                if column.endswith("_bytes"):
                    suffix = column.removesuffix("_bytes")
                    self._places[suffix] = (_numbers(table, f"{suffix}_offset"), _numbers(table, column))
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            raise FatalError(f"{name}: not a readable index: {words[0]}") from None
        if np.any(np.diff(self._shard_of) < 0):
            raise FatalError(f"{name}: not a readable index: its rows are not in the order of the shards")
        self._sorted: npt.NDArray[np.uint64] | None = None

    @classmethod
    def mapped(cls, path: Path, name: str) -> Self:
        """The index in a file of this machine."""
        try:
            source = pa.memory_map(str(path))
        except pa.ArrowException as error:
            raise FatalError(f"{name}: not a readable index: {error}") from None
        return cls(source, name)

    def __len__(self) -> int:
        return len(self._shard_of)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Every suffix that a member has, in the order in which they stand."""
        return tuple(self._places)

    def clip_id(self, row: int) -> str:
        """Whose row it is."""
        return str(self._ids[row].as_py())

    def shard_number(self, row: int) -> int:
        """Which of `shards` holds the clip."""
        return int(self._shard_of[row])

    def place(self, row: int, suffix: str) -> Place | None:
        """Where a member lies; None: the sample has none."""
        found = self._places.get(suffix)
        if found is None or found[1][row] < 0:
            return None
        return Place(int(found[0][row]), int(found[1][row]))

    def rows(self, shard: str) -> range:
        """The rows of a shard; none where the index does not know it."""
        if shard not in self.shards:
            return range(0)
        number = self.shards.index(shard)
        first, end = np.searchsorted(self._shard_of, [number, number + 1])
        return range(int(first), int(end))

    def starts(self, shard: str) -> Numbers:
        """Byte at which each sample of a shard begins, its first header."""
        rows = self.rows(shard)
        offsets = np.stack([each[rows.start : rows.stop] for each, _ in self._places.values()])
        firsts: Numbers = np.where(offsets < 0, np.iinfo(np.int64).max, offsets).min(axis=0)
        return firsts - tar.BLOCK

    def row_of(self, clip_id: str) -> int | None:
        """The row of a clip; None where there is none. The first call sorts the ids."""
        if self._sorted is None:
            self._sorted = _plain(pc.sort_indices(self._ids), np.uint64)
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.clip_id(int(self._sorted[middle])) < clip_id:
                low = middle + 1
            else:
                high = middle
        row = int(self._sorted[low]) if low < len(self) else -1
        return row if row >= 0 and self.clip_id(row) == clip_id else None


class ShardCheck:
    """Holds the samples of one shard, as they come, against the rows of an index."""

    def __init__(self, index: Index, shard: str) -> None:
        self._index, self._rows = index, index.rows(shard)
        self._seen, self._at = 0, 0

    def fault(self, key: str, lengths: Mapping[str, int]) -> str | None:
        """What the index says otherwise of the shard's next sample, whose members have these lengths."""
        number, self._seen = self._seen, self._seen + 1
        found: dict[str, Place] = {}
        for suffix, length in lengths.items():
            found[suffix] = Place(self._at + tar.BLOCK, length)
            self._at += tar.BLOCK + tar.padded(length)
        if number >= len(self._rows):
            return f"has no row for {key}"
        row = self._rows[number]
        if self._index.clip_id(row) != key:
            return f"names {self._index.clip_id(row)}, where {key} stands"
        wanted = {suffix: self._index.place(row, suffix) for suffix in self._index.suffixes}
        if found != {suffix: place for suffix, place in wanted.items() if place}:
            return f"says otherwise where the members of {key} lie"
        return None

    @property
    def unseen(self) -> int:
        """Rows of the index that no sample came for."""
        return max(0, len(self._rows) - self._seen)


def _numbers(table: pa.Table, name: str) -> Numbers:
    column = _whole(table, name)
    if column.null_count or column.type != pa.int64():
        raise ValueError(f"column {name} is no column of whole numbers")
    return _plain(column, np.int64)


def _plain(column: Any, kind: type[np.integer[Any]]) -> npt.NDArray[Any]:
    """The numbers of an array without nulls, as they lie: Arrow's own way there imports pandas."""
    if not len(column):
        return np.empty(0, kind)
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


def _whole(table: pa.Table, name: str) -> Any:
    """A column as one array; no copy, as the file holds one batch."""
    column = table[name]
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def of_release(said: manifest.Manifest, name: str) -> manifest.FileEntry | None:
    """The entry of one file in a manifest; None where it names none."""
    return next((entry for entry in said.files if entry.path == name), None)
