"""`release verify`: is a finished release whole, and does it say the same everywhere?"""

import hashlib
import heapq
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout, manifest
from valor_data.errors import FatalError, ItemError, UserError
from valor_data.manifest import FileEntry, Manifest, ShardEntry
from valor_data.media.check import decodes
from valor_data.shards import Sample, read_samples
from valor_data.split import position
from valor_data.store import Store

_CHUNK = 1 << 20
_ROWS_AT_A_TIME = 5_000
_MOST_PROBLEMS = 1000
_COUNTED = ("released", "videos", "captions", "shards", "bytes", "decoded", "problems")
_NEEDS = {"video": ("mp4", "json")}


class VerifyResult(NamedTuple):
    """What was found."""

    ok: bool
    problems: list[str]
    """One line each, beginning with the file, then the key where there is one."""
    counts: dict[str, int]


def verify(release: str, deep: bool = False, sample: int = 16) -> VerifyResult:
    """Check a release, a folder or an fsspec URL, against itself; a broken one is told, never raised.

    Hashes of all files; the lists of files, counts and digests; every sample against the catalog and
    its media's sha256; no key twice, no video in two splits. `sample` clips, chosen by hash, are
    decoded to their last frame; `deep`: all. Raises UserError where there is no release at all.
    """
    store = Store.open(release)
    found = dict.fromkeys(store.list(""))
    if not found:
        raise UserError(f"{release}: no release there; give the folder that holds {layout.MANIFEST}")
    if layout.MANIFEST not in found:
        return _broken(
            f"{layout.MANIFEST}: missing: the release is not finished; run 'valor-data shard' again"
        )
    try:
        said = Manifest.parse(store.get_bytes(layout.MANIFEST))
    except ValueError as error:
        return _broken(f"{layout.MANIFEST}: not readable: {_first_line(error)}")
    check = _Check(store, said, set(found), deep, sample)
    check.run()
    more = check.counts["problems"] - len(check.problems)
    problems = [*check.problems, f"... and {more} more"] if more else check.problems
    return VerifyResult(not problems, problems, check.counts)


def _broken(problem: str) -> VerifyResult:
    return VerifyResult(False, [problem], {"problems": 1})


class _Check:
    """One pass over a release; keeps a digest per clip and a split per video, nothing larger."""

    def __init__(self, store: Store, said: Manifest, found: set[str], deep: bool, sample: int) -> None:
        self.problems: list[str] = []
        self.counts = dict.fromkeys(_COUNTED, 0)
        self._store, self._said, self._found = store, said, found
        self._deep, self._sample = deep, sample
        self._expected: dict[str, bytes] | None = None  # by clip_id: digest of facts and place
        self._to_decode: set[str] = set()
        self._seen: set[str] = set()
        self._split_of: dict[str, str] = {}
        self._leaked: set[str] = set()

    def run(self) -> None:
        files: dict[str, FileEntry] = {}
        for entry in (*self._said.shards, *self._said.files):
            if entry.path in files:
                self._tell(f"{layout.MANIFEST}: names {entry.path} twice")
            files[entry.path] = entry
        for path in sorted(self._found - files.keys() - {layout.MANIFEST}):
            self._tell(f"{path}: not in {layout.MANIFEST}")
        whole = {entry.path for entry in self._said.files if self._whole(entry)}
        self._sums(whole)
        if layout.CATALOG not in files:
            self._tell(f"{layout.MANIFEST}: names no {layout.CATALOG}")
        elif layout.CATALOG in whole:
            self._read_catalog()
        readable = {entry.path for entry in self._said.shards if self._shard(entry)}
        self._unseen(readable)
        self._totals(readable)

    def _tell(self, problem: str) -> None:
        """Keep a problem as one line: names in a broken release may hold anything."""
        self.counts["problems"] += 1
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append("".join(char if char.isprintable() else "?" for char in problem))

    def _open(self, entry: FileEntry) -> BinaryIO | None:
        try:
            if entry.path in self._found:
                return self._store.open_read(entry.path)
            self._tell(f"{entry.path}: missing")
        except FileNotFoundError:
            self._tell(f"{entry.path}: missing")
        return None

    def _whole(self, entry: FileEntry) -> bool:
        file = self._open(entry)
        if file is None:
            return False
        with file:
            reader = _Hashing(file)
            reader.drain()
        return self._same(entry, reader)

    def _same(self, entry: FileEntry, reader: "_Hashing") -> bool:
        if reader.bytes != entry.bytes:
            self._tell(f"{entry.path}: {reader.bytes} bytes, not {entry.bytes}")
        elif reader.hexdigest() != entry.sha256:
            self._tell(f"{entry.path}: sha256 differs: its bytes changed")
        else:
            return True
        return False

    def _sums(self, whole: set[str]) -> None:
        """`SHA256SUMS` and the content digest against the manifest's list."""
        others = [entry for entry in self._said.files if entry.path != layout.SHA256SUMS]
        if len(others) == len(self._said.files):
            self._tell(f"{layout.MANIFEST}: names no {layout.SHA256SUMS}")
        elif layout.SHA256SUMS in whole:
            wanted = manifest.sums([*self._said.shards, *others]).encode()
            if self._store.get_bytes(layout.SHA256SUMS) != wanted:
                self._tell(f"{layout.SHA256SUMS}: disagrees with {layout.MANIFEST}")
        content = [*self._said.shards, *(entry for entry in others if entry.path == layout.CATALOG)]
        if manifest.content_digest(content) != self._said.content_sha256:
            self._tell(f"{layout.MANIFEST}: content_sha256 does not fit its list of files")

    def _catalog(self, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        with self._store.open_read(layout.CATALOG) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=_ROWS_AT_A_TIME, columns=columns):
                yield from batch.to_pylist()

    def _read_catalog(self) -> None:
        expected: dict[str, bytes] = {}
        try:
            for row in self._catalog():
                clip_id, facts = str(row["clip_id"]), manifest.to_json(manifest.from_row(row))
                if clip_id in expected:
                    self._tell(f"{layout.CATALOG}: {clip_id} stands twice")
                expected[clip_id] = _place_digest(row["shard"], row["shard_index"], facts)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._tell(f"{layout.CATALOG}: not readable: {_first_line(error)}")
            return
        self._expected = expected
        if not self._deep:
            self._to_decode = set(heapq.nsmallest(self._sample, expected, key=lambda key: position(0, key)))

    def _shard(self, entry: ShardEntry) -> bool:
        """Read one shard to its end; False where not all its samples could be read."""
        file = self._open(entry)
        if file is None:
            return False
        with file:
            reader = _Hashing(file)
            samples, readable = 0, True
            try:
                for one in read_samples(reader, entry.path, _NEEDS[self._said.payload]):
                    self._one(entry, samples, one)
                    samples += 1
            except FatalError as error:
                self._tell(str(error))
                readable = False
            reader.drain()
        self._same(entry, reader)
        if readable and samples != entry.samples:
            self._tell(f"{entry.path}: {samples} samples, not {entry.samples}")
        self.counts["shards"] += 1
        self.counts["bytes"] += reader.bytes
        return readable

    def _one(self, entry: ShardEntry, index: int, one: Sample) -> None:
        where = f"{entry.path}: {one.key}"
        self.counts["released"] += 1
        try:
            video = layout.parse_clip_id(one.key).video_id
        except ValueError:
            self._tell(f"{where}: the key is no clip_id")
            return
        if one.key in self._seen:
            self._tell(f"{where}: the key stands in the release twice")
        self._seen.add(one.key)
        if self._split_of.setdefault(video, entry.split) != entry.split and video not in self._leaked:
            self._leaked.add(video)
            self._tell(f"{where}: a leak: video {video} stands in {self._split_of[video]} and {entry.split}")
        self._facts(entry, one, video, where)
        if self._expected is not None:
            wanted = self._expected.get(one.key)
            if wanted is None:
                self._tell(f"{where}: not in {layout.CATALOG}")
            elif wanted != _place_digest(entry.path, index, one.members["json"]):
                self._tell(f"{where}: facts or place differ from {layout.CATALOG}")
        if self._deep or one.key in self._to_decode:
            self._decode(one, where)

    def _facts(self, entry: ShardEntry, one: Sample, video: str, where: str) -> None:
        try:
            facts = json.loads(one.members["json"])
            caption = manifest.first_caption(facts)
            text = None if caption is None else caption.encode()
            captions, said = len(facts["captions"]), (facts["clip_id"], facts["video_id"])
            split, sha256 = facts["split"], facts["sha256"]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            self._tell(f"{where}.json: not readable: {type(error).__name__}: {_first_line(error)}")
            return
        self.counts["captions"] += captions
        if said != (one.key, video):
            self._tell(f"{where}.json: tells of another clip, {said[0]} of video {said[1]}")
        if split != entry.split:
            self._tell(f"{where}.json: says split {split}, stands in {entry.split}")
        if hashlib.sha256(one.members["mp4"]).hexdigest() != sha256:
            self._tell(f"{where}.mp4: sha256 differs from the one in its json")
        if one.members.get("txt") != text:
            self._tell(f"{where}.txt: is not the first caption of its json")

    def _decode(self, one: Sample, where: str) -> None:
        self.counts["decoded"] += 1
        with tempfile.NamedTemporaryFile(prefix="valor-data-", suffix=".mp4") as file:
            file.write(one.members["mp4"])
            file.flush()
            try:
                decodes(Path(file.name))
            except ItemError as error:
                self._tell(f"{where}.mp4: does not decode: {error}")

    def _unseen(self, readable: set[str]) -> None:
        """Clips that the catalog places in a shard that was read to its end without them."""
        if self._expected is None or self._expected.keys() <= self._seen:
            return
        named = {entry.path for entry in self._said.shards}
        for row in self._catalog(["clip_id", "shard"]):
            if row["clip_id"] not in self._seen and (row["shard"] in readable or row["shard"] not in named):
                self._tell(f"{layout.CATALOG}: {row['clip_id']} is not in {row['shard']}")

    def _totals(self, readable: set[str]) -> None:
        """The manifest's sums against what was read, where all could be read."""
        self.counts["videos"] = len(self._split_of)
        counts = self._said.counts
        if len(readable) == len(self._said.shards):
            for ours, theirs in (("released", "clips"), ("videos", "videos"), ("captions", "captions")):
                if self.counts[ours] != counts.get(theirs):
                    count = self.counts[ours]
                    self._tell(f"{layout.MANIFEST}: counts {counts.get(theirs)} {theirs}, not {count}")
        for split, numbers in self._said.splits.items():
            samples = sum(entry.samples for entry in self._said.shards if entry.split == split)
            if numbers.get("clips") != samples:
                self._tell(
                    f"{layout.MANIFEST}: counts {numbers.get('clips')} clips in {split}; its shards {samples}"
                )


class _Hashing:
    """A stream that hashes and counts what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._sha256.update(data)
        self.bytes += len(data)
        return data

    def drain(self) -> None:
        while self.read(_CHUNK):
            pass

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def _place_digest(shard: str, index: int, facts: bytes) -> bytes:
    """Enough to tell a million clips apart, small enough to hold for all of them."""
    return hashlib.sha256(b"%b\0%d\0%b" % (shard.encode(), index, facts)).digest()[:16]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
