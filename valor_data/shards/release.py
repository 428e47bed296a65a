"""A finished release read by its index: any clip, in any order, one member at a time."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from valor_data import layout, manifest
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest, ShardEntry, SplitName
from valor_data.revocation import Revocations
from valor_data.shards import tar
from valor_data.shards.access import Shard, Shards
from valor_data.shards.index import Index, of_release
from valor_data.shards.reader import Sample
from valor_data.shards.standing import Objects, manifest_of, revoked_of


class Members(Mapping[str, bytes]):
    """The members of one sample, each read when it is asked for, and again when it is asked for again."""

    __slots__ = ("_key", "_reader", "_row")

    def __init__(self, reader: "ReleaseReader", row: int, key: str) -> None:
        self._reader, self._row, self._key = reader, row, key

    def __getitem__(self, suffix: str) -> bytes:
        return self._reader.member(self._row, self._key, suffix)

    def __contains__(self, suffix: object) -> bool:
        return any(suffix == held for held in self)

    def __iter__(self) -> Iterator[str]:
        return self._reader.suffixes(self._row)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ReleaseReader:
    """The clips of a release, or of one split of it, by number and by clip_id.

        for sample in ReleaseReader(Store.open("releases/demo-1.0.0"), "train").shuffled(seed=0):
            sample.key, sample.members["mp4"], sample.members["txt"]

    Numbers follow the shards, so that reading in their order reads each shard from its beginning to its
    end. Clips that the release's `revoked.json` or `revoked` (the list of a later version) names are
    passed over, and refused by id. Each read checks that the member begins where the index says;
    `hashed` also holds media against the sha256 in the facts.

    A shard that is missing, cut or another than the index tells of is a FatalError in one line; a place
    without a release, or a release without an index, a UserError. Pickles as its place and its options,
    and may be used by a forked process; not by two threads at once.
    """

    def __init__(
        self,
        store: Objects,
        split: SplitName | None = None,
        *,
        revoked: Revocations | None = None,
        hashed: bool = False,
    ) -> None:
        self._store, self._split, self._revoked, self._hashed = store, split, revoked, hashed
        said = manifest_of(store)
        self.manifest = said
        """What the release says of itself."""
        self.content_sha256 = said.content_sha256
        """The digest that names the release's content."""
        self._index = _index(store, said)
        self._shards: list[ShardEntry] = list(said.shards)
        if self._index.shards != tuple(shard.path for shard in said.shards):
            raise FatalError(f"{store.path(layout.INDEX)}: is the index of another release")
        self._access = Shards([Shard(store, shard.path, shard.bytes) for shard in said.shards])
        self._lists = [
            listed for listed in (revoked_of(store, said), revoked) if listed is not None and len(listed)
        ]
        self._rows = self._readable()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _reopened, (type(self), self._store, self._split, self._revoked, self._hashed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the shards that are open; the next read opens them again."""
        self._access.close()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Sample:
        row = int(self._rows[number])
        key = self._index.clip_id(row)
        return Sample(key, Members(self, row, key))

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def order(self, seed: int) -> npt.NDArray[np.int64]:
        """All numbers, shuffled; the same for the same seed, everywhere."""
        return np.random.RandomState(seed).permutation(len(self)).astype(np.int64)

    def shuffled(self, seed: int, part: int = 0, parts: int = 1) -> Iterator[Sample]:
        """The clips in shuffled order; of `parts` workers that share them, those of one."""
        return (self[number] for number in self.order(seed)[part::parts].tolist())

    def by_id(self, clip_id: str) -> Sample:
        """One clip. Raises UserError where the release, or the chosen split, holds it not, and where it
        was taken down."""
        row = self._index.row_of(clip_id)
        where = f"{self._store.root}: {self._split or 'release'}"
        if row is None:
            raise UserError(f"{where}: no clip {clip_id!r} there")
        if self._is_revoked(clip_id):
            raise UserError(f"{where}: clip {clip_id} was taken down; nobody may read it")
        if self._split not in (None, self._shard(row).split):
            raise UserError(f"{where}: clip {clip_id} stands in {self._shard(row).split}")
        return Sample(clip_id, Members(self, row, clip_id))

    def suffixes(self, row: int) -> Iterator[str]:
        """The members of the clip in a row of the index."""
        return (suffix for suffix in self._index.suffixes if self._index.place(row, suffix))

    def member(self, row: int, clip_id: str, suffix: str) -> bytes:
        """The content of a member of the clip in a row of the index. Raises KeyError where it has none."""
        place = self._index.place(row, suffix)
        if place is None:
            raise KeyError(suffix)
        number, name = self._index.shard_number(row), f"{clip_id}.{suffix}"
        inside = tar.BLOCK <= place.offset <= self._shards[number].bytes - place.bytes
        header, data = self._access.member(number, place.offset, place.bytes) if inside else (b"", b"")
        if len(data) < place.bytes or not tar.fits(header, name.encode(), place.bytes):
            raise FatalError(
                f"{self._path(number)}: no {name} at byte {place.offset}: the shard is broken, or the index "
                "of another; run valor-data release verify"
            )
        if self._hashed and suffix not in ("json", "txt"):
            self._check_hash(row, clip_id, suffix, data)
        return data

    def _check_hash(self, row: int, clip_id: str, suffix: str, data: bytes) -> None:
        facts = json.loads(self.member(row, clip_id, "json"))
        wanted = {file.suffix: file.sha256 for file in manifest.media_files(facts)}.get(suffix)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise FatalError(
                f"{self._path(self._index.shard_number(row))}: {clip_id}.{suffix}: sha256 differs from the "
                "one in its json: its bytes changed"
            )

    def _path(self, shard: int) -> str:
        return self._store.path(self._shards[shard].path)

    def _shard(self, row: int) -> ShardEntry:
        return self._shards[self._index.shard_number(row)]

    def _is_revoked(self, clip_id: str) -> bool:
        return any(listed.holds(clip_id) for listed in self._lists)

    def _readable(self) -> range | npt.NDArray[np.int64]:
        """The rows of the split that nobody took down."""
        of_split = [self._index.rows(s.path) for s in self._shards if self._split in (None, s.split)]
        rows = range(of_split[0].start, of_split[-1].stop) if of_split else range(0)
        if not self._lists:
            return rows
        return np.array([row for row in rows if not self._is_revoked(self._index.clip_id(row))], np.int64)


def _reopened(
    kind: type[ReleaseReader],
    store: Objects,
    split: SplitName | None,
    revoked: Revocations | None,
    hashed: bool,
) -> ReleaseReader:
    return kind(store, split, revoked=revoked, hashed=hashed)


def _index(store: Objects, said: Manifest) -> Index:
    entry, where = of_release(said, layout.INDEX), store.path(layout.INDEX)
    if entry is None:
        raise UserError(f"{where}: this release has none; read it as a stream, or write it again")
    try:
        index = (
            Index.mapped(Path(where), where)
            if store.is_local
            else Index(pa.py_buffer(store.get_bytes(layout.INDEX)), where)
        )
    except FileNotFoundError:
        raise FatalError(f"{where}: missing; fetch the release again") from None
    if len(index) != said.counts["clips"]:
        raise FatalError(f"{where}: {len(index)} rows, where the release has {said.counts['clips']} clips")
    return index
