"""Mirrors that are Hugging Face datasets: Parquet files with the media inside, or with their paths."""

import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data.errors import ItemError, Reason, UserError, without_secrets
from valor_data.mirrors.names import SOUNDS, SUFFIXES, Names, media_stem, stems
from valor_data.mirrors.places import EXACT, Place, nothing_at, reaching, telling
from valor_data.mirrors.scratch import Got, Scratch
from valor_data.recipe import Mirror
from valor_data.records import Clip

_IDS = (
    "clip_id", "video_id", "youtube_id", "ytid", "id", "key", "__key__", "name", "file_name", "path",
)  # fmt: skip
_MEDIA = ("video", "mp4", "webm", "mkv", "mov", "media", "clip", "video_bytes", "video_path", "file")
_AUDIO = ("audio", "wav", "flac", "mp3", "m4a", "sound", "audio_bytes", "audio_path")
_CACHED_BYTES = 1 << 29  # a larger row group is read through to the row instead of kept


class Columns(NamedTuple):
    """What the columns of one Parquet file mean."""

    ids: tuple[str, ...]
    """Columns with ids, and the paths inside the media."""
    media: str
    audio: str | None


class Dataset:
    """Rows keyed by every column that holds ids, and by the media's own file names.

    A row group is kept while its rows are asked for. A video's bare id names a clip only where one
    row has it: of several nobody knows which span each shows.
    """

    def __init__(self, mirror: Mirror, label: str, scratch: Scratch) -> None:
        self.remarks: list[str] = []
        self._mirror, self._label, self._scratch = mirror, label, scratch
        self._place = Place.at(mirror.at, label)
        with reaching(label, mirror.at):
            if not self._place.filesystem.exists(self._place.path):
                raise nothing_at(label, mirror.at)
            self._files = [path for path in self._place.files() if path.lower().endswith(".parquet")]
        if not self._files:
            mend = "tars are kind 'tar', loose files kind 'folder' or 'fsspec'"
            raise UserError(f"{label} = {without_secrets(mirror.at)!r}: no Parquet file is there; {mend}")
        self._kept: tuple[int, int, pa.Table] | None = None

    @contextmanager
    def find(self, clip: Clip) -> Iterator[Got | None]:
        """The row's video, and its sound where that stands in a column of its own."""
        place = self._place_of(clip)
        if place is None:
            yield None
            return
        number, group, row = map(int, place.split(" "))
        columns = self._columns[number]
        with self._scratch.folder() as folder:
            cells = self._row(number, group, row)
            video = self._file(number, cells[columns.media], folder, "video", SUFFIXES)
            audio = None
            if columns.audio is not None:
                audio = self._file(number, cells[columns.audio], folder, "audio", SOUNDS)
            note = f"{self._place.name(self._files[number])}: row {row} of row group {group}"
            yield None if video is None else Got(video, note, audio)

    def close(self) -> None:
        """Let the kept row group go."""
        self._kept = None

    def _place_of(self, clip: Clip) -> str | None:
        for stem in stems(clip, self._mirror.holds):
            if places := self._names.find(stem):
                return places[0]
        alone = self._names.find(clip.video_id) if self._mirror.holds == "clips" else []
        return alone[0] if len(alone) == 1 else None

    @cached_property
    def _columns(self) -> dict[int, Columns]:
        """By number of file. Files without media (captions, queries) are passed over."""
        found: dict[int, Columns] = {}
        seen: dict[str, None] = {}
        for number in range(len(self._files)):
            with self._opened(number) as file:
                schema = file.schema_arrow
            seen |= dict.fromkeys(schema.names)
            if (columns := _columns_of(schema)) is not None:
                found[number] = columns
        if not found:
            wanted = f"a column of media ({', '.join(_MEDIA)}) and one of ids ({', '.join(_IDS)})"
            raise UserError(
                f"{self._label} = {without_secrets(self._mirror.at)!r}: needs {wanted}; has {', '.join(seen)}"
            )
        return found

    @cached_property
    def _names(self) -> Names:
        return Names(self._pairs())

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for number, columns in self._columns.items():
            with self._opened(number) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=list(columns.ids))
                    for row, ids in enumerate(zip(*map(_texts, table.columns), strict=True)):
                        for stem in dict.fromkeys(_stem(text) for text in ids if text):
                            yield stem, f"{number} {group} {row}"

    def _row(self, number: int, group: int, row: int) -> dict[str, Any]:
        columns = self._columns[number]
        wanted = [name for name in (columns.media, columns.audio) if name is not None]
        if self._kept is None or self._kept[:2] != (number, group):
            self._kept = None
            try:
                with self._opened(number) as file:
                    if file.metadata.row_group(group).total_byte_size > _CACHED_BYTES:
                        return _read_through(file, group, row, wanted)
                    self._kept = number, group, file.read_row_group(group, columns=wanted)
            except UserError as error:  # the index could be read, so this is one group's fault
                raise ItemError(Reason.CORRUPT, str(error)) from error
        table = self._kept[2].slice(row, 1)
        return dict(table.to_pylist()[0])

    def _file(self, number: int, cell: Any, folder: Path, name: str, suffixes: Sequence[str]) -> Path | None:
        """A cell as a file: written out, or the dataset's own where the cell gives its path."""
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, None)
        if isinstance(cell, bytes):
            data = cell
        elif isinstance(cell, str):
            path = cell
        suffix = Path(path or "").suffix.lower()
        target = folder / f"{name}{suffix if suffix in suffixes else suffixes[0]}"
        if data:
            self._scratch.write(target, [data], self._place.name(self._files[number]))
            return target
        return self._beside(number, path, target) if path else None

    def _beside(self, number: int, path: str, target: Path) -> Path | None:
        """A file of the dataset's folder, by its path from there or from the Parquet file's folder."""
        path = posixpath.normpath(path)
        if path.startswith(("/", "..")) or "://" in path:
            return None
        for folder in (self._place.path, posixpath.dirname(self._files[number])):
            whole = f"{folder}/{path}"
            if self._place.is_local:
                if Path(whole).is_file():
                    return Path(whole)
                continue
            if self._place.copy(whole, target, self._scratch):
                return target
        return None

    @contextmanager
    def _opened(self, number: int) -> Iterator[pq.ParquetFile]:
        """Raises UserError where the file is no whole Parquet."""
        name = self._place.name(self._files[number])
        with telling(name), self._place.open(self._files[number], **EXACT) as stream:
            try:
                with pq.ParquetFile(stream) as file:
                    yield file
            except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
                if isinstance(error, OSError) and not (self._place.is_local and error.errno is None):
                    raise  # of disk or network, not of the content
                mend = "fetch it again, or take it away"
                words = f"not readable as Parquet ({' '.join(str(error).split())}); {mend}"
                raise UserError(f"{self._label}: {name}: {words}") from error


def _columns_of(schema: pa.Schema) -> Columns | None:
    media = _first(schema, _MEDIA)
    if media is None:
        return None
    ids = tuple(name for name in _IDS if name in schema.names and _is_text(schema.field(name).type))
    if _has_child(schema.field(media).type, "path"):
        ids += (f"{media}.path",)
    elif _is_text(schema.field(media).type) and media not in ids:
        ids += (media,)
    return Columns(ids, media, _first(schema, _AUDIO)) if ids else None


def _first(schema: pa.Schema, names: Sequence[str]) -> str | None:
    """The first column of these names that holds bytes, else the first that may hold paths."""
    there = [name for name in names if name in schema.names]
    fits = [name for kind in (_is_bytes, _is_text) for name in there if kind(schema.field(name).type)]
    return fits[0] if fits else None


def _is_bytes(kind: pa.DataType) -> bool:
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return binary or _has_child(kind, "bytes")


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _has_child(kind: pa.DataType, name: str) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index(name) >= 0


def _texts(column: "pa.ChunkedArray[Any]") -> list[str | None]:
    """The strings of a column, or the paths inside its media."""
    values = column.to_pylist()
    return [value.get("path") if isinstance(value, dict) else value for value in values]


def _stem(text: str) -> str:
    stem = media_stem(text, (*SUFFIXES, *SOUNDS))
    return text.rsplit("/", 1)[-1] if stem is None else stem


def _read_through(file: pq.ParquetFile, group: int, row: int, columns: list[str]) -> dict[str, Any]:
    """One row of a group that is too large to be held."""
    for batch in file.iter_batches(batch_size=4, row_groups=[group], columns=columns):
        if row < batch.num_rows:
            return dict(batch.slice(row, 1).to_pylist()[0])
        row -= batch.num_rows
    raise ItemError(Reason.CORRUPT, f"row group {group} ends before its row {row}")
