"""What a release will hold, before a byte of it is written: facts, splits, order, cut. Reads no media."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from valor_data import layout, manifest, split
from valor_data.errors import FatalError, without_secrets
from valor_data.manifest import Facts, SplitName
from valor_data.recipe import Recipe
from valor_data.records import Clip, Media
from valor_data.shards import EMPTY_BYTES, sample_bytes

_ROWS_AT_A_TIME = 5_000
_COUNTED = ("clips", "videos", "captions", "without_caption", "shards", "bytes")
_OF_CLIP = [name for name in Clip.model_fields if name not in {"made_by", "made_at_us"}]
# What is no fact of the bytes themselves stays out: a second fetch may differ there.
_OF_MEDIA = [
    name
    for name in Media.model_fields
    if name not in {"clip_id", "object_key", "bytes_read", "made_by", "made_at_us"}
]
_OF_PAYLOAD = ("media_sha256", "sound_sha256", "sound_bytes")
"""Facts of what was derived from the media; only the rows of such a payload have them."""
_OBJECTS = {"mp4": "object_key", "flac": "sound_key"}
"""Suffix -> column of the rows with the key of that object."""

Rows = npt.NDArray[np.int64]


class Member(NamedTuple):
    """A file of a sample that lies in the store."""

    suffix: str
    object_key: str
    sha256: str
    bytes: int


class PlannedShard(NamedTuple):
    """A shard to be."""

    path: str
    split: SplitName
    rows: Rows
    """Rows of the facts, in the order in which they shall stand."""
    digest: str
    """Over its path and all facts in it; the facts name the sha256 of the media."""
    bytes: int


class Plan(NamedTuple):
    """A release to be."""

    shards: list[PlannedShard]
    digest: str
    """Over all shards and what the recipe says of the release."""
    counts: dict[str, int]
    splits: dict[SplitName, dict[str, int]]
    lengths: dict[str, Rows]
    """Suffix -> bytes of that member, a number for each row of the facts; -1: the sample has none."""
    subsets: dict[str, dict[SplitName, int]]
    """Subset -> split -> clips."""


def facts_table(rows: pa.Table, splits: dict[str, str]) -> pa.Table:
    """The facts of the releasable rows, a column each, and the first caption beside them.

    Names are those of the workspace's view `catalog`, so that one query serves both.
    """
    names = {name: rows[name] for name in _OF_CLIP}
    columns: dict[str, Any] = {
        "clip_id": names.pop("clip_id"),
        "official_id": _strings(layout.official_id(clip) for (clip,) in values(rows, "clip_id")),
        **names,
        # What signs or identifies in an address is not for a release.
        "url": _strings(without_secrets(url) for (url,) in values(rows, "url")),
        "split": _strings(splits[video] for (video,) in values(rows, "video_id")),
        "subsets": rows["subsets"],
        "caption": _strings(said[0]["text"] if said else None for (said,) in values(rows, "captions")),
        "captions": rows["captions"],
        **{name: rows[name] for name in (*_OF_MEDIA, *_OF_PAYLOAD) if name in rows.column_names},
    }
    for field in rows.schema.field("measures").type:
        name = "audio_duration_ms" if field.name == "duration_ms" else field.name
        if name not in columns:  # rate and channels are facts of the media already
            columns[name] = pc.struct_field(rows["measures"], field.name)
    return pa.table(columns)


def each(facts: pa.Table) -> Iterator[Facts]:
    """The facts clip by clip."""
    for batch in facts.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from map(manifest.from_row, batch.to_pylist())


def object_keys(rows: pa.Table) -> pa.Table:
    """For each row the keys of its media's objects, a column a suffix; null where it has no such file."""
    there = {suffix: name for suffix, name in _OBJECTS.items() if name in rows.column_names}
    return rows.select(list(there.values())).rename_columns(list(there))


def media_members(facts: Facts, keys: Mapping[str, str]) -> list[Member]:
    """The members of a sample that lie in the store; `keys` is its row of `object_keys`."""
    told = manifest.media_files(facts)
    return [Member(file.suffix, keys[file.suffix], file.sha256, file.bytes) for file in told]


def texts(facts: Facts) -> list[tuple[str, bytes]]:
    """The members of a sample beside its media: json, and txt where there is a caption."""
    try:
        members = [("json", manifest.to_json(facts))]
    except ValueError as error:
        raise FatalError(f"{facts['clip_id']}: {error}: a number is not finite; measure it again") from None
    caption = manifest.first_caption(facts)
    return members if caption is None else [*members, ("txt", caption.encode())]


def make_plan(recipe: Recipe, facts: pa.Table, cut: Mapping[SplitName, Sequence[Rows]] | None = None) -> Plan:
    """Order the clips of each split by hash of seed and clip_id, and cut them into shards; or keep a `cut`
    that stands: the rows of each shard of each split."""
    sizes = np.empty(facts.num_rows, np.int64)
    lengths: dict[str, Rows] = {suffix: np.full(facts.num_rows, -1, np.int64) for suffix in manifest.SUFFIXES}
    digests = np.empty((facts.num_rows, 32), np.uint8)
    places = np.empty(facts.num_rows, np.float64)
    split_of = np.empty(facts.num_rows, np.int8)
    splits: dict[SplitName, dict[str, int]] = {name: dict.fromkeys(_COUNTED, 0) for name in manifest.SPLITS}
    subsets: dict[str, dict[SplitName, int]] = {}
    videos: dict[SplitName, set[str]] = {name: set() for name in manifest.SPLITS}
    for row, one in enumerate(each(facts)):
        name: SplitName = one["split"]
        members = texts(one)
        bytes_of = {file.suffix: file.bytes for file in manifest.media_files(one)}
        bytes_of |= {suffix: len(data) for suffix, data in members}
        for suffix, length in bytes_of.items():
            lengths[suffix][row] = length
        sizes[row] = sample_bytes(bytes_of.values())
        digests[row] = np.frombuffer(hashlib.sha256(members[0][1]).digest(), np.uint8)
        places[row] = split.position(recipe.shard.seed, one["clip_id"])
        split_of[row] = manifest.SPLITS.index(name)
        splits[name]["clips"] += 1
        splits[name]["captions"] += len(one["captions"])
        splits[name]["without_caption"] += not one["captions"]
        videos[name].add(one["video_id"])
        for subset in one.get("subsets") or ():
            subsets.setdefault(subset, dict.fromkeys(manifest.SPLITS, 0))[name] += 1
    shards = []
    for number, name in enumerate(manifest.SPLITS):
        of_split = np.flatnonzero(split_of == number)
        order = of_split[np.argsort(places[of_split], kind="stable")]
        if recipe.shard.payload == "ids":
            runs: Iterable[Rows] = ()
        else:
            runs = _cut(order, sizes, recipe) if cut is None else cut.get(name, ())
        for index, rows in enumerate(runs):
            path = layout.shard_name(name, index)
            digest = hashlib.sha256(path.encode() + digests[rows].tobytes()).hexdigest()
            shards.append(PlannedShard(path, name, rows, digest, EMPTY_BYTES + int(sizes[rows].sum())))
            splits[name]["shards"] += 1
            splits[name]["bytes"] += shards[-1].bytes
        splits[name]["videos"] = len(videos[name])
    total = {counted: sum(counts[counted] for counts in splits.values()) for counted in _COUNTED}
    said = recipe.release.model_dump(exclude={"version"})
    # Without shards the facts speak for themselves.
    held = [shard.digest for shard in shards] or [hashlib.sha256(digests.tobytes()).hexdigest()]
    digest = layout.digest([recipe.shard.payload, said, held])
    return Plan(shards, digest, total, splits, lengths, subsets)


def _cut(order: Rows, sizes: npt.NDArray[np.int64], recipe: Recipe) -> Iterator[Rows]:
    """Consecutive runs of rows, each as long as the recipe's limits allow."""
    most_bytes = recipe.shard.max_mb * 1_000_000
    start, taken = 0, EMPTY_BYTES
    for end, size in enumerate(sizes[order].tolist()):
        if end > start and (end - start == recipe.shard.samples or taken + size > most_bytes):
            yield order[start:end]
            start, taken = end, EMPTY_BYTES
        taken += size
    if len(order):
        yield order[start:]


def values(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """Rows of some columns as Python values, never all at once."""
    for batch in table.select(list(names)).to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _strings(found: Iterable[str | None]) -> "pa.Array[Any]":
    return pa.array(found, pa.string())
