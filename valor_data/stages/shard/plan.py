"""What a release will hold, before a byte of it is written: facts, splits, order, cut. Reads no media."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from valor_data import layout, manifest, split
from valor_data.errors import FatalError
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


class PlannedShard(NamedTuple):
    """A shard to be."""

    path: str
    split: SplitName
    rows: npt.NDArray[np.int64]
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
    videos = _values(rows, "video_id")
    for video, name, author in zip(
        videos, _values(rows, "split"), _values(rows, "split_made_by"), strict=True
    ):
        if name:
            said = by_list if author.startswith("list:") else standing
            said.setdefault(video, set()).add(name)
    shares = recipe.split.model_dump(include=set(split.CAREFUL))
    return split.assign(dict.fromkeys(videos), {**standing, **by_list}, shares, recipe.split.seed)


def facts_table(rows: pa.Table, splits: dict[str, str]) -> pa.Table:
    """The facts of the releasable rows, a column each, and the first caption beside them.

    Names are those of the workspace's view `catalog`, so that one query serves both.
    """
    names = {name: rows[name] for name in _OF_CLIP}
    captions = _values(rows, "captions")
    columns: dict[str, Any] = {
        "clip_id": names.pop("clip_id"),
        "official_id": _strings([layout.official_id(clip) for clip in _values(rows, "clip_id")]),
        **names,
        "split": _strings([splits[video] for video in _values(rows, "video_id")]),
        "caption": _strings([said[0]["text"] if said else None for said in captions]),
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
    sizes: list[int] = []
    digests: list[bytes] = []
    order: dict[str, list[tuple[float, int]]] = {name: [] for name in manifest.SPLITS}
    splits: dict[SplitName, dict[str, int]] = {name: dict.fromkeys(_COUNTED, 0) for name in manifest.SPLITS}
    videos: dict[str, set[str]] = {name: set() for name in manifest.SPLITS}
    for row, one in enumerate(each(facts)):
        members = texts(one)
        sizes.append(sample_bytes([one["bytes"], *(len(data) for _, data in members)]))
        digests.append(hashlib.sha256(members[0][1]).digest())
        order[one["split"]].append((split.position(recipe.shard.seed, one["clip_id"]), row))
        counts = splits[one["split"]]
        counts["clips"] += 1
        counts["captions"] += len(one["captions"])
        counts["without_caption"] += not one["captions"]
        videos[one["split"]].add(one["video_id"])
    shards = []
    for name in manifest.SPLITS:
        rows_of = _cut([row for _, row in sorted(order[name])], sizes, recipe)
        for index, rows in enumerate(rows_of):
            path = layout.shard_name(name, index)
            content = b"".join([path.encode(), *(digests[row] for row in rows)])
            shards.append(PlannedShard(path, name, np.array(rows), hashlib.sha256(content).hexdigest()))
            splits[name]["shards"] += 1
            splits[name]["bytes"] += EMPTY_BYTES + sum(sizes[row] for row in rows)
        splits[name]["videos"] = len(videos[name])
    total = {counted: sum(counts[counted] for counts in splits.values()) for counted in _COUNTED}
    said = recipe.release.model_dump(include={"title", "licence", "description"})
    digest = layout.digest([recipe.shard.payload, said, [shard.digest for shard in shards]])
    return Plan(shards, digest, total, splits)


def _cut(order: list[int], sizes: list[int], recipe: Recipe) -> Iterator[list[int]]:
    part: list[int] = []
    size = EMPTY_BYTES
    for row in order:
        full = len(part) == recipe.shard.samples or size + sizes[row] > recipe.shard.max_mb * 1_000_000
        if part and full:
            yield part
            part, size = [], EMPTY_BYTES
        part.append(row)
        size += sizes[row]
    if part:
        yield part


def _values(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist()


def _strings(values: list[str | None] | list[str]) -> "pa.Array[Any]":
    return pa.array(values, pa.string())
