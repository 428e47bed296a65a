"""CPU of writing shards beside webdataset.ShardWriter: 5,000 samples of 100 KB mp4 and 277 B json.

    python benchmarks/shard_write.py [FOLDER]

Both sides read the same files (page-cached) and write shards of 1,000 samples. Ours always hashes;
its first row takes the hash out from outside, to compare with a plain webdataset. webdataset's
hashed row feeds the hash from the stream that it writes to, which is cheaper than reading the shard
again. The two sides run in turn, A B A B; figures are CPU seconds (user + system) of this process,
and the median of the ratios of neighbours.
"""

import hashlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO
from unittest import mock

import numpy as np
import webdataset

from valor_data import shards

SAMPLES, PER_SHARD, MP4_BYTES, JSON_BYTES, ROUNDS = 5_000, 1_000, 100_000, 277, 7
BOUNDS = {"without hash": 2.5, "with sha256": 2.0}


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


def samples(sources: Path, keys: list[str]) -> Iterator[tuple[str, bytes, bytes]]:
    """(key, mp4, json), read from the page cache."""
    for key in keys:
        yield key, (sources / f"{key}.mp4").read_bytes(), (sources / f"{key}.json").read_bytes()


def ours(sources: Path, keys: list[str], out: Path) -> None:
    """valor_data.shards.ShardWriter."""
    for index in range(0, len(keys), PER_SHARD):
        with shards.ShardWriter(out / f"ours-{index:06d}.tar") as writer:
            for key, mp4, facts in samples(sources, keys[index : index + PER_SHARD]):
                writer.add(key, [("mp4", mp4), ("json", facts)])


def theirs(sources: Path, keys: list[str], out: Path, opener: Callable[[str], HashedFile] | None) -> None:
    """webdataset.ShardWriter."""
    pattern = str(out / "theirs-%06d.tar")
    with webdataset.ShardWriter(pattern, maxcount=PER_SHARD, verbose=0, opener=opener) as writer:
        for key, mp4, facts in samples(sources, keys):
            writer.write({"__key__": key, "mp4": mp4, "json": facts})


def cpu_seconds(work: Callable[[], None], out: Path) -> float:
    """CPU seconds of one run into an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(label: str, sources: Path, keys: list[str], out: Path) -> bool:
    """Print one row; True when the bound holds."""
    opener = HashedFile if label == "with sha256" else None
    unhashed = mock.patch.object(shards, "hashlib", SimpleNamespace(sha256=NoHash))
    pairs = []
    for _ in range(ROUNDS + 1):
        theirs_s = cpu_seconds(lambda: theirs(sources, keys, out, opener), out)
        if opener:
            ours_s = cpu_seconds(lambda: ours(sources, keys, out), out)
        else:
            with unhashed:
                ours_s = cpu_seconds(lambda: ours(sources, keys, out), out)
        pairs.append((theirs_s, ours_s))
    pairs = pairs[1:]  # the first pair warms the page cache
    ratio = statistics.median(theirs_s / ours_s for theirs_s, ours_s in pairs)
    peer, own = (statistics.median(side) for side in zip(*pairs, strict=True))
    bound = BOUNDS[label]
    verdict = "ok" if ratio >= bound else "MISSED"
    print(
        f"{label:14} webdataset {peer:6.3f} s   ours {own:6.3f} s   ratio {ratio:4.2f} (>= {bound}) {verdict}"
    )
    return ratio >= bound


def main() -> int:
    """Run both comparisons; exit code 1 when a bound is missed."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        sources = Path(folder, "sources")
        sources.mkdir()
        keys = make_sources(sources)
        held = [compare(label, sources, keys, Path(folder, "out")) for label in BOUNDS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
