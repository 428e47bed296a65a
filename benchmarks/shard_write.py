"""CPU of writing shards beside webdataset.ShardWriter: 5,000 samples of 100 KB mp4 and 277 B json.

    python benchmarks/shard_write.py [FOLDER]

`write`: both sides are handed the same samples in memory, 1,000 a shard; the bounds are on these rows.
`read+write`: both also read each sample from its page-cached files, which costs both the same.
Ours always hashes; in the rows without, the hash is taken out from outside. Where the peer hashes, it
does so on the stream that it writes to, which is cheaper than reading the shard again. The two sides
run in turn, A B A B; figures are CPU seconds (user + system) of this process, the ratio is the median
of the ratios of neighbours.

`writers`: the shards of a release of 10,000 such clips (each source twice), by one writer and by two, as
`valor-data shard --workers` starts them; wall clock from the first shard that is finished to the last, for a
process takes a second to start whatever it writes. Wants two cores that nobody else uses.
"""

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from unittest import mock

import numpy as np
import pyarrow as pa
import webdataset

from valor_data.recipe import Recipe
from valor_data.shards import ShardWriter, writer
from valor_data.stages.shard.plan import Plan, make_plan
from valor_data.stages.shard.writers import write_shards
from valor_data.store import Store

SAMPLES, PER_SHARD, MP4_BYTES, JSON_BYTES, ROUNDS = 5_000, 1_000, 100_000, 277, 7
TIMES_EACH = 2
LEAST_OF_TWO = 1.7
"""Least ratio of two writers to one."""
BOUNDS = {False: 2.5, True: 2.0}
"""Least ratio without and with sha256."""


class NoHash:
    """Stands in for sha256 where the comparison is without."""

    def update(self, data: bytes) -> None:
        """Nothing."""

    def hexdigest(self) -> str:
        """Nothing."""
        return ""


class HashedFile:
    """What webdataset writes to when the peer hashes too."""

    def __init__(self, path: str) -> None:
        self._file: IO[bytes] = Path(path).open("wb")  # noqa: SIM115 - webdataset closes it
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Hash and write."""
        self._sha256.update(data)
        return self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def make_sources(folder: Path) -> list[str]:
    """Write the sources; returns their keys."""
    rng = np.random.default_rng(0)
    keys = [f"{index:011d}_30000_40000" for index in range(SAMPLES)]
    for key in keys:
        (folder / f"{key}.mp4").write_bytes(rng.bytes(MP4_BYTES))
        text = json.dumps({"clip_id": key, "text": ""})
        (folder / f"{key}.json").write_text(text.replace('""', f'"{"x" * (JSON_BYTES - len(text))}"'))
    return keys


Sample = tuple[str, bytes, bytes]
Side = Callable[[Iterable[Sample], Path, bool], None]


def read(sources: Path, keys: list[str]) -> Iterator[Sample]:
    """(key, mp4, json) from the page cache."""
    for key in keys:
        yield key, (sources / f"{key}.mp4").read_bytes(), (sources / f"{key}.json").read_bytes()


def ours(samples: Iterable[Sample], shard: Path, hashed: bool) -> None:
    """valor_data.shards.ShardWriter."""
    hashes = nullcontext() if hashed else mock.patch.object(writer, "hashlib", SimpleNamespace(sha256=NoHash))
    with hashes, ShardWriter(shard) as out:
        for key, mp4, facts in samples:
            out.add(key, [("mp4", mp4), ("json", facts)])


def theirs(samples: Iterable[Sample], shard: Path, hashed: bool) -> None:
    """webdataset.ShardWriter."""
    pattern = str(shard.with_name("theirs-%06d.tar"))
    opener = HashedFile if hashed else None
    with webdataset.ShardWriter(pattern, maxcount=PER_SHARD, verbose=0, opener=opener) as out:
        for key, mp4, facts in samples:
            out.write({"__key__": key, "mp4": mp4, "json": facts})


def cpu_seconds(side: Side, sources: Path, keys: list[str], hashed: bool, reading: bool) -> float:
    """CPU seconds of one side for all shards."""
    spent = 0.0
    for index in range(0, len(keys), PER_SHARD):
        samples: Iterable[Sample] = read(sources, keys[index : index + PER_SHARD])
        if not reading:
            samples = list(samples)
        with tempfile.TemporaryDirectory(dir=sources.parent) as out:
            start = time.process_time()
            side(samples, Path(out, "shard.tar"), hashed)
            spent += time.process_time() - start
    return spent


def compare(sources: Path, keys: list[str], hashed: bool, reading: bool) -> bool:
    """Print one row; True when the bound holds, if there is one."""
    pairs = []
    for _ in range(ROUNDS + 1):
        first = cpu_seconds(theirs, sources, keys, hashed, reading)
        pairs.append((first, cpu_seconds(ours, sources, keys, hashed, reading)))
    pairs = pairs[1:]  # the first pair warms the page cache
    ratio = statistics.median(theirs_s / ours_s for theirs_s, ours_s in pairs)
    peer, own = (statistics.median(side) for side in zip(*pairs, strict=True))
    bound = BOUNDS[hashed]
    held = ratio >= bound or reading
    verdict = "" if reading else f"(>= {bound}) {'ok' if held else 'MISSED'}"
    label = f"{'read+write' if reading else 'write':10} {'sha256' if hashed else 'no hash':8}"
    print(f"{label} webdataset {peer:6.3f} s   ours {own:6.3f} s   ratio {ratio:4.2f} {verdict}", flush=True)
    return held


def planned(sources: Path, keys: list[str]) -> tuple[pa.Table, pa.Table, Plan]:
    """Facts and object keys of a release, and its plan."""
    rows = []
    for key in keys:
        data = (sources / f"{key}.mp4").read_bytes()
        rows += [
            {
                "clip_id": f"{number}{key}",
                "video_id": f"{number}{key[:11]}",
                "split": "train",
                "captions": [{"text": "x" * JSON_BYTES}],
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "object": f"{key}.mp4",
            }
            for number in range(TIMES_EACH)
        ]
    table = pa.Table.from_pylist(rows)
    recipe = Recipe.model_validate({"name": "x", "shard": {"samples": PER_SHARD}})
    facts = table.drop_columns(["object"])
    return facts, table.select(["object"]).rename_columns(["mp4"]), make_plan(recipe, facts)


def steady_seconds(sources: Path, made: tuple[pa.Table, pa.Table, Plan], writers: int) -> float:
    """Wall clock a shard, seconds, once the writers have started."""
    ends: list[float] = []
    facts, object_keys, plan = made
    workspace: Any = SimpleNamespace(store=Store.open(str(sources)), require_lock=lambda: None)
    put = Store.put_bytes
    with tempfile.TemporaryDirectory(dir=sources.parent) as out:

        def noting(store: Store, key: str, data: bytes) -> None:
            ends.append(time.perf_counter())
            put(store, key, data)

        with mock.patch.object(Store, "put_bytes", noting):  # of a finished shard
            write_shards(workspace, Store.open(out), facts, object_keys, plan, writers, False)
    started = writers  # each has written one by then
    return (ends[-1] - ends[started - 1]) / (len(ends) - started)


def compare_writers(sources: Path, keys: list[str]) -> bool:
    """Print the row of one and two writers; True when the bound holds."""
    made = planned(sources, keys)
    pairs = [(steady_seconds(sources, made, 1), steady_seconds(sources, made, 2)) for _ in range(3)]
    ratio = statistics.median(one / two for one, two in pairs)
    one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
    held = ratio >= LEAST_OF_TWO
    print(
        f"writers    a shard     one        {one:6.3f} s   two  {two:6.3f} s   ratio {ratio:4.2f} "
        f"(>= {LEAST_OF_TWO}) {'ok' if held else 'MISSED'}",
        flush=True,
    )
    return held


def main() -> int:
    """Run all comparisons; exit code 1 when a bound is missed."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        sources = Path(folder, "sources")
        sources.mkdir()
        keys = make_sources(sources)
        held = [
            compare(sources, keys, hashed, reading) for reading in (False, True) for hashed in (False, True)
        ]
        held.append(compare_writers(sources, keys))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
