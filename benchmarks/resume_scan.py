"""Resume scan: what is still to fetch, out of 1.2 million clips and as many ledger rows.

    python benchmarks/resume_scan.py [--clips 1200000]

Each figure is one fresh process, imports apart. The yardstick is DuckDB's bare `count(*)` over the
same files. Target: under 3 s and under 500 MB.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from valor_data import layout
from valor_data.recipe import Retry, check_reasons
from valor_data.tables import Tables

STAGE = "fetch/exact-12345678"
PARTS = 100
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def chunks(clips: int, seen: float) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Clips and their ledger rows, in PARTS portions; of the seen clips one in twenty failed."""
    rng = random.Random(1)
    for _ in range(PARTS):
        size = clips // PARTS
        videos = ["".join(rng.choices(ALPHABET, k=11)) for _ in range(size)]
        starts = [rng.randrange(300) * 1000 for _ in range(size)]
        ids = [f"{video}_{start}_{start + 10_000}" for video, start in zip(videos, starts, strict=True)]
        listed = pa.table(
            {
                "clip_id": ids,
                "source": ["youtube"] * size,
                "video_id": videos,
                "start_ms": starts,
                "end_ms": [start + 10_000 for start in starts],
                "url": [layout.youtube_url(video) for video in videos],
                "labels": [["Speech", "Music"]] * size,
                "licence": pa.nulls(size, pa.string()),
                "made_by": ["list:benchmark"] * size,
            }
        )
        done = ids[: int(size * seen)]
        failed = [rng.random() < 0.05 for _ in done]
        ledger = pa.table(
            {
                "stage": [STAGE] * len(done),
                "clip_id": done,
                "status": ["failed" if bad else "ok" for bad in failed],
                "reason": pa.array(["timeout" if bad else None for bad in failed], pa.string()),
                "message": ["read timed out" if bad else "" for bad in failed],
                "attempts": [1] * len(done),
                "made_by": ["fetch@1"] * len(done),
            }
        )
        yield listed, ledger


def fill(root: Path, clips: int, seen: float) -> Tables:
    """A workspace of many small parts, as a long run leaves them."""
    tables = Tables.open(str(root))
    for listed, ledger in chunks(clips, seen):
        tables.append_arrow("clips", listed)
        tables.append_arrow("outcomes", ledger)
    return tables


def measure(what: str, root: str) -> dict[str, float]:
    """Seconds and peak megabytes of one scan in this process."""
    start = time.perf_counter()
    if what == "count":
        for table in ("clips", "outcomes"):
            files = str(Path(root) / layout.table_prefix(table) / "*.parquet")
            duckdb.execute("SELECT count(*) FROM read_parquet(?)", [files]).fetchall()
        found, handed = time.perf_counter(), 0
    else:
        count, videos = Tables.open(root).unfetched(STAGE, check_reasons(Retry().again))
        first = next(videos, [])
        found = time.perf_counter()
        handed = len(first) + sum(len(clips) for clips in videos)
        assert handed == count
    drained = time.perf_counter()
    return {"first_s": found - start, "all_s": drained - start, "peak_mb": peak_mb(), "clips": handed}


def peak_mb() -> float:
    """Largest resident memory of this process; getrusage would count its parent's, from before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


def in_fresh_process(what: str, root: Path) -> dict[str, float]:
    """The same, with a memory peak that is its own."""
    words = [sys.executable, __file__, "--measure", what, str(root)]
    ran = subprocess.run(words, check=True, capture_output=True, text=True)
    made: dict[str, float] = json.loads(ran.stdout)
    return made


def compare(name: str, root: Path) -> None:
    """One line: the scan against the yardstick."""
    base, scan = in_fresh_process("count", root), in_fresh_process("unfetched", root)
    print(
        f"{name:42} {base['first_s']:8.2f} {scan['first_s']:8.2f} {scan['first_s'] / base['first_s']:7.1f}x "
        f"{scan['peak_mb']:8.0f} {int(scan['clips']):10,} {scan['all_s']:9.2f}"
    )


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--clips", type=int, default=1_200_000)
    words.add_argument("--measure", nargs=2, metavar=("WHAT", "ROOT"), help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.measure:
        print(json.dumps(measure(*given.measure)))
        return
    head = ("count s", "scan s", "ratio", "peak MB", "to do", "all out s")
    print(f"{'':42} {head[0]:>8} {head[1]:>8} {head[2]:>8} {head[3]:>8} {head[4]:>10} {head[5]:>9}")
    for seen, told in ((1.0, "all seen, 5 % failed"), (0.5, "half seen"), (0.01, "nearly nothing seen")):
        with tempfile.TemporaryDirectory() as folder:
            tables = fill(Path(folder), given.clips, seen)
            compare(f"{told}, {PARTS} parts", Path(folder))
            tables.compact()
            compare(f"{told}, compacted", Path(folder))


if __name__ == "__main__":
    main()
