"""`release verify`: is a finished release whole, and does it say the same everywhere?"""

import hashlib
import heapq
from collections.abc import Container, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout, manifest
from valor_data.errors import FatalError, UserError
from valor_data.manifest import FileEntry, Manifest, ShardEntry
from valor_data.revocation import Revocations
from valor_data.shards import Index, ShardCheck, read_samples
from valor_data.shards.walk import Outline, walk
from valor_data.split import position
from valor_data.stages.release.deep import Deep, Measure
from valor_data.stages.release.problems import Problems, first_line, printable
from valor_data.stages.release.samples import Samples, place_digest
from valor_data.store import Store

_CHUNK = 1 << 20
_ROWS_AT_A_TIME = 5_000
_NEEDS = {"video": ("mp4", "json"), "train": ("json",), "ids": ()}
_UNLISTED = {layout.MANIFEST, layout.REVOKED, layout.SUPERSEDED}
"""Files that the manifest has no hash of: itself, and what a takedown adds to a release that stands."""


class VerifyResult(NamedTuple):
    """What was found."""

    ok: bool
    problems: list[str]
    """One line each, beginning with the file, then the key where there is one."""
    counts: dict[str, int]
    notes: list[str] = []  # noqa: RUF012
    """What `deep` found poor, though nothing contradicts it."""


def verify(
    release: str,
    deep: bool = False,
    sample: int = 16,
    measure: Measure | None = None,
    leaks: Mapping[str, str] | None = None,
) -> VerifyResult:
    """Check a release, a folder or an fsspec URL, against itself; a broken one is told, never raised.

    Hashes of all files; the lists of files, counts and digests; every sample against the catalog and the
    index; no key twice, no video in two splits. `sample` clips, chosen by hash, are decoded to their last
    frame, and their media's hashes compared with their facts.

    `deep`: all clips are; `measure`, where given, measures a file again by the names of the facts; texts are
    looked at, and `leaks` (clip_id -> benchmark that holds it) are counted. Raises UserError where there is
    no release at all.
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
        return _broken(f"{layout.MANIFEST}: not readable: {first_line(error)}")
    problems = Problems()
    looked = Deep(problems, measure if said.payload == "video" else None, leaks or {}) if deep else None
    _Check(store, said, set(found), problems, looked, sample).run()
    notes = [*_superseded(store, found), *(looked.notes() if looked else [])]
    return VerifyResult(not problems.lines, problems.told(), problems.counts, notes)


def _superseded(store: Store, found: Container[str]) -> list[str]:
    """What the note of a takedown says, where a release has one."""
    if layout.SUPERSEDED not in found:
        return []
    said = store.get_bytes(layout.SUPERSEDED).decode(errors="replace").split("\n\n")
    return [f"{layout.SUPERSEDED}: {printable(' '.join(said[1:2]))}"]


def _broken(problem: str) -> VerifyResult:
    return VerifyResult(False, [problem], {"problems": 1})


class _Check:
    """One pass over a release; keeps a digest per clip and a split per video, nothing larger."""

    def __init__(
        self,
        store: Store,
        said: Manifest,
        found: set[str],
        problems: Problems,
        deep: Deep | None,
        sample: int,
    ) -> None:
        self._store, self._said, self._found, self._problems = store, said, found, problems
        self._deep, self._sample = deep, sample
        self._expected: dict[str, bytes] | None = None  # by clip_id: digest of facts and place
        self._index: Index | None = None
        self._to_decode: set[str] = set()
        self._samples = Samples(problems, deep)

    def run(self) -> None:
        tell = self._problems.tell
        files: dict[str, FileEntry] = {}
        for entry in (*self._said.shards, *self._said.files):
            if entry.path in files:
                tell(f"{layout.MANIFEST}: names {entry.path} twice")
            files[entry.path] = entry
        for path in sorted(self._found - files.keys() - _UNLISTED):
            tell(f"{path}: not in {layout.MANIFEST}")
        whole = {entry.path for entry in self._said.files if self._whole(entry)}
        self._sums(whole)
        if layout.CATALOG not in files:
            tell(f"{layout.MANIFEST}: names no {layout.CATALOG}")
        elif layout.CATALOG in whole:
            self._read_catalog()
        self._revoked()
        if layout.INDEX in whole:
            self._read_index()
        if self._said.payload == "ids":
            self._ids()
            return
        readable = {entry.path for entry in self._said.shards if self._shard(entry)}
        self._unseen(readable)
        self._totals(readable)

    def _open(self, path: str) -> BinaryIO | None:
        try:
            if path in self._found:
                return self._store.open_read(path)
        except FileNotFoundError:
            pass
        self._problems.tell(f"{path}: missing")
        return None

    def _whole(self, entry: FileEntry) -> bool:
        file = self._open(entry.path)
        if file is None:
            return False
        digest, size = hashlib.sha256(), 0
        with file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return self._same(entry, digest.hexdigest(), size)

    def _same(self, entry: FileEntry, sha256: str, size: int) -> bool:
        if size != entry.bytes:
            self._problems.tell(f"{entry.path}: {size} bytes, not {entry.bytes}")
        elif sha256 != entry.sha256:
            self._problems.tell(f"{entry.path}: sha256 differs: its bytes changed")
        else:
            return True
        return False

    def _sums(self, whole: set[str]) -> None:
        """`SHA256SUMS` and the content digest against the manifest's list."""
        others = [entry for entry in self._said.files if entry.path != layout.SHA256SUMS]
        if len(others) == len(self._said.files):
            self._problems.tell(f"{layout.MANIFEST}: names no {layout.SHA256SUMS}")
        elif layout.SHA256SUMS in whole:
            wanted = manifest.sums([*self._said.shards, *others]).encode()
            if self._store.get_bytes(layout.SHA256SUMS) != wanted:
                self._problems.tell(f"{layout.SHA256SUMS}: disagrees with {layout.MANIFEST}")
        content = [*self._said.shards, *(entry for entry in others if entry.path == layout.CATALOG)]
        if manifest.content_digest(content) != self._said.content_sha256:
            self._problems.tell(f"{layout.MANIFEST}: content_sha256 does not fit its list of files")

    def _revoked(self) -> None:
        """The list of what was taken down: whole where the manifest names one, for without it nobody may
        read; and only a release that says it is superseded holds what it names."""
        if self._said.revoked is None and layout.REVOKED not in self._found:
            return
        file = self._open(layout.REVOKED)
        if file is None:
            return
        with file:
            try:
                listed = Revocations.parse(file.read())
            except ValueError as error:
                self._problems.tell(f"{layout.REVOKED}: not readable: {first_line(error)}")
                return
        wanted = self._said.counts.get("retracted", 0)
        if len(listed.clips) < wanted:
            counted = f"names {len(listed.clips)} clips, {layout.MANIFEST} {wanted}"
            self._problems.tell(f"{layout.REVOKED}: {counted}")
        held = sum(map(listed.holds, self._expected or ()))
        if held and layout.SUPERSEDED not in self._found:
            self._problems.tell(
                f"{layout.REVOKED}: {held} clips were taken down and are still here; delete this copy and "
                "get a later version"
            )

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
                    self._problems.tell(f"{layout.CATALOG}: {clip_id} stands twice")
                expected[clip_id] = place_digest(row["shard"] or "", row["shard_index"] or 0, facts)
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._problems.tell(f"{layout.CATALOG}: not readable: {first_line(error)}")
            return
        self._expected = expected
        self._to_decode = set(heapq.nsmallest(self._sample, expected, key=lambda key: position(0, key)))

    def _read_index(self) -> None:
        try:
            self._index = Index(pa.py_buffer(self._store.get_bytes(layout.INDEX)), layout.INDEX)
        except FatalError as error:
            self._problems.tell(str(error))
            return
        for path in sorted(set(self._index.shards) - {entry.path for entry in self._said.shards}):
            self._problems.tell(f"{layout.INDEX}: names {path}, which is no shard")

    def _ids(self) -> None:
        """A release without media: its catalog alone speaks."""
        if self._expected is None:
            return
        for row in self._catalog():
            facts = manifest.from_row(row)
            where = f"{layout.CATALOG}: {facts['clip_id']}"
            self._samples.place(str(facts["clip_id"]), str(facts["split"]), where)
            self._samples.texts(facts)
        self._totals(set())

    def _shard(self, entry: ShardEntry) -> bool:
        """Read one shard to its end; False where not all its samples could be read."""
        file = self._open(entry.path)
        if file is None:
            return False
        with file:
            walked = walk(file, self._wanted)
        self._problems.counts["shards"] += 1
        self._problems.counts["bytes"] += walked.bytes
        samples: Iterator[Outline]
        if self._same(entry, walked.sha256, walked.bytes) and walked.samples is not None:
            samples = iter(walked.samples)
        else:
            samples = self._slowly(entry)  # which says what is wrong, down to the clip
        return self._each(entry, samples)

    def _wanted(self, key: str, suffix: str) -> bool:
        return suffix in ("json", "txt") or self._deep is not None or key in self._to_decode

    def _slowly(self, entry: ShardEntry) -> Iterator[Outline]:
        with self._store.open_read(entry.path) as file:
            for one in read_samples(file, entry.path):
                lengths = {suffix: len(data) for suffix, data in one.members.items()}
                yield Outline(one.key, lengths, dict(one.members))

    def _each(self, entry: ShardEntry, samples: Iterator[Outline]) -> bool:
        index = ShardCheck(self._index, entry.path) if self._index else None
        number = 0
        try:
            for one in samples:
                lacking = [suffix for suffix in _NEEDS[self._said.payload] if suffix not in one.lengths]
                if lacking:
                    raise FatalError(f"{entry.path}: {one.key} has no .{lacking[0]}")
                self._one(entry, number, one)
                if index and (fault := index.fault(one.key, one.lengths)):
                    self._problems.tell(f"{layout.INDEX}: {fault} in {entry.path}")
                    index = None  # what follows would only repeat it
                number += 1
        except FatalError as error:
            self._problems.tell(str(error))
            return False
        if number != entry.samples:
            self._problems.tell(f"{entry.path}: {number} samples, not {entry.samples}")
        if index and index.unseen:
            self._problems.tell(f"{layout.INDEX}: names {index.unseen} samples more than {entry.path} has")
        return True

    def _one(self, entry: ShardEntry, number: int, one: Outline) -> None:
        where = f"{entry.path}: {one.key}"
        if not self._samples.check(one, entry.split, where, decode=one.key in self._to_decode):
            return
        if self._expected is not None:
            wanted = self._expected.get(one.key)
            if wanted is None:
                self._problems.tell(f"{where}: not in {layout.CATALOG}")
            elif wanted != place_digest(entry.path, number, one.members["json"]):
                self._problems.tell(f"{where}: facts or place differ from {layout.CATALOG}")

    def _unseen(self, readable: set[str]) -> None:
        """Clips that the catalog places in a shard that was read to its end without them."""
        seen = self._samples.seen
        if self._expected is None or self._expected.keys() <= seen:
            return
        named = {entry.path for entry in self._said.shards}
        for row in self._catalog(["clip_id", "shard"]):
            if row["clip_id"] not in seen and (row["shard"] in readable or row["shard"] not in named):
                self._problems.tell(f"{layout.CATALOG}: {row['clip_id']} is not in {row['shard']}")

    def _totals(self, readable: set[str]) -> None:
        """The manifest's sums against what was read, where all could be read."""
        counts, said = self._problems.counts, self._said.counts
        counts["videos"] = len(self._samples.split_of)
        if len(readable) == len(self._said.shards):
            for ours, theirs in (("released", "clips"), ("videos", "videos"), ("captions", "captions")):
                if counts[ours] != said.get(theirs):
                    self._problems.tell(
                        f"{layout.MANIFEST}: counts {said.get(theirs)} {theirs}, not {counts[ours]}"
                    )
        for split, numbers in self._said.splits.items():
            samples = sum(entry.samples for entry in self._said.shards if entry.split == split)
            if self._said.payload != "ids" and numbers.get("clips") != samples:
                self._problems.tell(
                    f"{layout.MANIFEST}: counts {numbers.get('clips')} clips in {split}; its shards {samples}"
                )
