"""What a release will hold, before a byte of it is written: facts, splits, order, cut. Reads no media."""

import hashlib
from collections.abc import Iterable, Iterator
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


Rows = npt.NDArray[np.int64]


class PlannedShard(NamedTuple):
    """A shard to be."""

    path: str
    split: SplitName
    rows: Rows
    """Rows of the facts, in the order in which they shall stand."""
    digest: str
    """Over its path and all facts in it; the facts name the sha256 of the media."""


class Plan(NamedTuple):
    """A release to be."""

    shards: list[PlannedShard]
    digest: str
    """Over all shards and what the recipe says of the release."""
    counts: dict[str, int]
    splits: dict[SplitName, dict[str, int]]


def assign_splits(recipe: Recipe, rows: pa.Table) -> split.Assignment:
    """A split for every video: the lists' word, else that of an earlier run, else the hash."""
    by_list: dict[str, set[str]] = {}
    standing: dict[str, set[str]] = {}
    for video, name, author in values(rows, "video_id", "split", "split_made_by"):
        if name:
            said = by_list if author.startswith("list:") else standing
            said.setdefault(video, set()).add(name)
    videos = dict.fromkeys(video for (video,) in values(rows, "video_id"))
    shares = recipe.split.model_dump(include=set(split.CAREFUL))
    return split.assign(videos, {**standing, **by_list}, shares, recipe.split.seed)


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
        "caption": _strings(said[0]["text"] if said else None for (said,) in values(rows, "captions")),
        "captions": rows["captions"],
        **{name: rows[name] for name in _OF_MEDIA},
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


def texts(facts: Facts) -> list[tuple[str, bytes]]:
    """The members of a sample beside its media: json, and txt where there is a caption."""
    try:
        members = [("json", manifest.to_json(facts))]
    except ValueError as error:
        raise FatalError(f"{facts['clip_id']}: {error}: a number is not finite; measure it again") from None
    caption = manifest.first_caption(facts)
    return members if caption is None else [*members, ("txt", caption.encode())]


def make_plan(recipe: Recipe, facts: pa.Table) -> Plan:
    """Order the clips of each split by hash of seed and clip_id, and cut them into shards."""
    sizes = np.empty(facts.num_rows, np.int64)
    digests = np.empty((facts.num_rows, 32), np.uint8)
    places = np.empty(facts.num_rows, np.float64)
    split_of = np.empty(facts.num_rows, np.int8)
    splits: dict[SplitName, dict[str, int]] = {name: dict.fromkeys(_COUNTED, 0) for name in manifest.SPLITS}
    videos: dict[SplitName, set[str]] = {name: set() for name in manifest.SPLITS}
    for row, one in enumerate(each(facts)):
        name: SplitName = one["split"]
        members = texts(one)
        sizes[row] = sample_bytes([one["bytes"], *(len(data) for _, data in members)])
        digests[row] = np.frombuffer(hashlib.sha256(members[0][1]).digest(), np.uint8)
        places[row] = split.position(recipe.shard.seed, one["clip_id"])
        split_of[row] = manifest.SPLITS.index(name)
        splits[name]["clips"] += 1
        splits[name]["captions"] += len(one["captions"])
        splits[name]["without_caption"] += not one["captions"]
        videos[name].add(one["video_id"])
    shards = []
    for number, name in enumerate(manifest.SPLITS):
        of_split = np.flatnonzero(split_of == number)
        order = of_split[np.argsort(places[of_split], kind="stable")]
        for index, rows in enumerate(_cut(order, sizes, recipe)):
            path = layout.shard_name(name, index)
            digest = hashlib.sha256(path.encode() + digests[rows].tobytes()).hexdigest()
            shards.append(PlannedShard(path, name, rows, digest))
            splits[name]["shards"] += 1
            splits[name]["bytes"] += EMPTY_BYTES + int(sizes[rows].sum())
        splits[name]["videos"] = len(videos[name])
    total = {counted: sum(counts[counted] for counts in splits.values()) for counted in _COUNTED}
    said = recipe.release.model_dump(include={"title", "licence", "description"})
    digest = layout.digest([recipe.shard.payload, said, [shard.digest for shard in shards]])
    return Plan(shards, digest, total, splits)


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
