"""Random reads of 100 KB samples by our index, beside webdataset's stream and litdata.

    python benchmarks/shard_read.py [FOLDER]

A release of 5,000 clips (100 KB of media, 277 bytes of json) in five shards, page-cached. `ours`: media and
json of every clip in shuffled order, each header looked at. `webdataset`: the same shards as a stream, not
decoded, as they lie, which is the least that any shuffle costs there. `litdata`: the same samples in its own
chunks, shuffled; left out where it is not installed (`pip install --no-deps litdata`, and what its import
misses). Each is opened once and read again and again, as over the epochs of a training run. The sides run in
turn, A B C A B C; figures are samples per CPU second (user + system) of one process, the ratio is the median
of the ratios of neighbours.
"""

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import webdataset

from valor_data import layout, manifest
from valor_data.manifest import FileEntry, Manifest, ShardEntry
from valor_data.shards import ReleaseReader, ShardWriter, index
from valor_data.store import Store

SAMPLES, PER_SHARD, MEDIA_BYTES, JSON_BYTES, ROUNDS = 5_000, 1_000, 100_000, 277, 5
BOUNDS = {"webdataset": 4.0, "litdata": 1.2}
"""Least ratio of ours to theirs."""
NONE = "0" * 64


Samples = list[tuple[str, dict[str, bytes]]]
"""Key, and members by suffix."""


def contents() -> Samples:
    """Every sample: media and json."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(SAMPLES):
        key = layout.clip_id(f"{number:011d}", 30_000, 40_000)
        text = json.dumps({"clip_id": key, "text": ""})
        facts = text.replace('""', f'"{"x" * (JSON_BYTES - len(text))}"').encode()
        made.append((key, {"mp4": rng.bytes(MEDIA_BYTES), "json": facts}))
    return made


def release(folder: Path, samples: Samples) -> None:
    """What a reader needs of a release: shards, index, manifest."""
    (folder / "train").mkdir(parents=True)
    shards = []
    for number in range(0, len(samples), PER_SHARD):
        path = layout.shard_name("train", number // PER_SHARD)
        with ShardWriter(folder / path) as writer:
            for key, members in samples[number : number + PER_SHARD]:
                writer.add(key, list(members.items()))
        shards.append(ShardEntry(path=path, split="train", **writer.info._asdict()))
    lengths = {suffix: [len(members[suffix]) for _, members in samples] for suffix in samples[0][1]}
    table = index.build(
        pa.array([key for key, _ in samples]),
        [(shard.path, shard.samples) for shard in shards],
        {suffix: np.array(each, np.int64) for suffix, each in lengths.items()},
    )
    index.write(table, folder / layout.INDEX)
    data = (folder / layout.INDEX).read_bytes()
    said = Manifest(
        name="x",
        version="0.1.0",
        title="",
        licence="",
        payload="train" if "flac" in lengths else "video",
        counts={"clips": len(samples)},
        splits={},
        shards=tuple(shards),
        files=(FileEntry(path=layout.INDEX, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)),),
        content_sha256=manifest.content_digest(shards),
        plan_sha256=NONE,
        recipe_sha256=NONE,
        schema_sha256=NONE,
        profile="x",
        rules_digest="x",
        tool="x",
    )
    (folder / layout.MANIFEST).write_bytes(said.render())


Epoch = Callable[[int], int]
"""Number of an epoch -> bytes read."""


def ours(folder: Path) -> Epoch:
    """All samples, shuffled, by the index."""
    reader = ReleaseReader(Store.open(str(folder)), "train")
    return lambda epoch: sum(
        len(one.members["mp4"]) + len(one.members["json"]) for one in reader.shuffled(epoch)
    )


def streaming(folder: Path) -> Epoch:
    """All samples as plain webdataset streams them."""
    urls = sorted(map(str, folder.glob("train/*.tar")))
    found = webdataset.WebDataset(urls, shardshuffle=False)
    return lambda epoch: sum(len(one["mp4"]) + len(one["json"]) for one in found)


def litdata_of(folder: Path, samples: Samples) -> Epoch | None:
    """Write litdata's own form; what reads it, or None where it is not installed."""
    try:
        from litdata.streaming import StreamingDataset
        from litdata.streaming.writer import BinaryWriter
    except ImportError:
        return None
    writer = BinaryWriter(str(folder), chunk_bytes=PER_SHARD * (MEDIA_BYTES + JSON_BYTES))
    for number, (_, members) in enumerate(samples):
        writer[number] = members
    writer.done()
    writer.merge()

    found = StreamingDataset(str(folder), shuffle=True)
    return lambda epoch: sum(len(one["mp4"]) + len(one["json"]) for one in found)


def per_cpu_second(read: Epoch, epoch: int) -> float:
    """Samples read per CPU second."""
    start = time.process_time()
    assert read(epoch) == SAMPLES * (MEDIA_BYTES + JSON_BYTES)
    return SAMPLES / (time.process_time() - start)


def main() -> int:
    """Run all sides; exit code 1 when a bound is missed."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        samples = contents()
        release(Path(folder, "release"), samples)
        place = Path(folder, "release")
        sides = {"ours": ours(place), "webdataset": streaming(place)}
        other = litdata_of(Path(folder, "litdata"), samples)
        if other:
            sides["litdata"] = other
        rounds = [
            {name: per_cpu_second(read, epoch) for name, read in sides.items()} for epoch in range(ROUNDS + 1)
        ][1:]  # the first warms all caches
    held = True
    print(f"ours        {statistics.median(one['ours'] for one in rounds):9,.0f} samples per CPU s")
    for name, least in BOUNDS.items():
        if name not in sides:
            print(f"{name:11} not installed")
            continue
        ratio = statistics.median(one["ours"] / one[name] for one in rounds)
        held = held and ratio >= least
        rate = statistics.median(one[name] for one in rounds)
        verdict = "ok" if ratio >= least else "MISSED"
        print(f"{name:11} {rate:9,.0f} samples per CPU s   ratio {ratio:5.2f} (>= {least}) {verdict}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
