"""The dress rehearsal: VALOR-1M at its full 1.18 million rows, from the list to the takedown.

    python benchmarks/rehearsal.py [--rows 10000 100000 1180000] [--folder FOLDER]

A list in AudioSet's form is read in earnest. What fetching, measuring and annotating would leave is then
made, in FOLDER or a temporary one: the ledger (4 % of the videos are gone), a decodable clip of 1 KB each,
measures and prints of its real sizes, a caption of about 17 words, and the word of three checkers, who each
reject one in a hundred. From there on every step is the command that a user types, in a process of its own:

    import   the list into the tables (the one step that no command does alone)
    ledger   `fetch` with nothing left to fetch
    decide   `filter --decide-only` with the twelve rules of `decide.py`
    review   `status`: the funnel by the review rule, three checkers and no rejection
    split, catalog, index (the first search), search, shard, verify, retract (ten clips)

Told of each: wall time and CPU seconds (those of its worker processes too), the peak of memory (all its
processes together), and CPU a row against the size before, which shows what grows faster than the list.
Making the workspace is told apart and does not count. Bounds (exit code 1 where one is broken): under 4 GB
each, and under 20 minutes together, by the clock or, on a machine that others load, by CPU seconds.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

# This process holds nothing but the clock: numpy and the tables are for its children.
ROWS = (10_000, 100_000, 1_180_000)
MINUTES, MEGABYTES = 20.0, 4000.0
GONE = 10
_PART = 50_000
_CHECKERS, _REJECTS, _LOST = 3, 0.01, 0.04
_LISTING = """
import sys
from valor_data import recipe
from valor_data.stages.listing import list_segments
from valor_data.workspace import Workspace
made = recipe.load(sys.argv[1])
with Workspace.open(made, made.workspace, write=True) as workspace:
    list_segments(workspace)
print('{"counts": {}}')
"""


class Took(NamedTuple):
    """A step."""

    wall_s: float
    cpu_s: float
    megabytes: float
    told: str


def watched(*words: str) -> Took:
    """A Python process to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE)
    peaks = [0.0]

    def watch() -> None:
        while process.returncode is None:
            peaks.append(sum(map(_peak_mb, _family(process.pid))))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    assert process.stdout is not None
    told = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode:
        sys.exit(f"{' '.join(words[:6])}: exit code {process.returncode}\n{told}")
    return Took(time.perf_counter() - began, used.ru_utime + used.ru_stime, max(peaks), told)


def _family(pid: int) -> list[int]:
    """A process and those that it started."""
    try:
        born = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [pid, *(one for child in born for one in _family(child))]


def _peak_mb(pid: int) -> float:
    """The most memory that a process has held so far."""
    try:
        found = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line]
    except OSError:
        return 0.0
    return int(found[0].split()[1]) / 1000 if found else 0.0


def write_list(folder: Path, rows: int) -> None:
    """The list: a video a row, one to four labels, the few frequent ones on most."""
    from valor_data import layout

    with layout.asset("labels", "audioset.csv").open(encoding="utf-8", newline="") as known:
        ids = [row["mid"] for row in csv.DictReader(known)]
    dice = random.Random(0)
    with Path(folder, "valor1m.csv").open("w", encoding="utf-8") as file:
        file.write("# Segments csv\n# num_ytids=...\n# YTID, start_seconds, end_seconds, positive_labels\n")
        for number in range(rows):
            # As YouTube's ids, in no order, none twice.
            video = f"{number * 2654435761 % 2**40:010x}_"
            labels = {ids[int(dice.paretovariate(0.6) * 3) % len(ids)] for _ in range(dice.randint(1, 4))}
            start = dice.randrange(0, 600, 10)
            file.write(f'{video}, {start}.000, {start + 10}.000, "{",".join(sorted(labels))}"\n')


def simulate(folder: Path) -> None:
    """What fetching, measuring and annotating leave."""
    import numpy as np
    import pyarrow as pa
    from catalog import lexicon, sentences
    from decide import measured

    from valor_data import layout, recipe
    from valor_data.tables import Tables

    made = recipe.load(str(folder / "rehearsal.toml"))
    root, profile = Path(str(made.workspace)), made.profile
    tables, dice = Tables.open(str(root)), np.random.default_rng(0)
    words, weights = lexicon(dice)
    # Clips are fetched in the order in which hosts answer.
    every = dice.permutation(tables.sql("SELECT clip_id FROM clips")["clip_id"].to_numpy())
    small = _clip()
    for half in range(256):
        (root / layout.OBJECTS / profile / f"{half:02x}").mkdir(parents=True, exist_ok=True)
    for first in range(0, len(every), _PART):
        some = every[first : first + _PART].tolist()
        lost = dice.random(len(some)) < _LOST

        def same(value: object, kind: Any, count: int = len(some)) -> Any:
            return pa.repeat(pa.scalar(value, kind), count)

        ids = [clip for clip, gone in zip(some, lost, strict=True) if not gone]
        shas = [_write(root, layout.object_key(profile, clip), clip, small) for clip in ids]
        measured(tables, profile, ids, shas, np.full(len(ids), len(small) + _FREE), dice)
        noise = dice.bytes(2300 * len(ids))
        prints = [
            pa.array([noise[2300 * n + a : 2300 * n + b] for n in range(len(ids))], pa.binary())
            for a, b in ((0, 1150), (1150, 2300))
        ]
        tables.append_arrow("prints", pa.table({
            "clip_id": ids, "media_sha256": shas, "sound": prints[0], "picture": prints[1],
            "made_by": same("prints@1", pa.string(), len(ids)),
        }))  # fmt: skip
        captions = [layout.caption_id(clip, "human", "", "") for clip in ids]
        of_all: dict[str, object] = {
            "origin": "human", "language": "en", "modalities_seen": "av", "external_id": "",
            "lead_ms": 60_000, "revision": 1, "deleted": False, "made_by": "label-studio",
        }  # fmt: skip
        authors = [f"annotator-{number:03d}" for number in dice.integers(0, 500, len(ids)).tolist()]
        tables.append_arrow("captions", pa.table({
            "caption_id": captions, "clip_id": ids, "text": sentences(dice, len(ids), words, weights),
            "author": authors, **{name: [value] * len(ids) for name, value in of_all.items()},
        }))  # fmt: skip
        for checker in range(_CHECKERS):
            rejects = dice.random(len(ids)) < _REJECTS
            tables.append_arrow("reviews", pa.table({
                "caption_id": captions, "reviewer": [f"checker-{checker}-{author}" for author in authors],
                "decision": np.where(rejects, "reject", "accept"), "reasons": [[]] * len(ids),
                "revision": same(1, pa.int64(), len(ids)), "text": same("", pa.string(), len(ids)),
                "deleted": same(False, pa.bool_(), len(ids)),
                "made_by": same("label-studio", pa.string(), len(ids)),
            }))  # fmt: skip
        tables.append_arrow("outcomes", pa.table({
            "stage": same(f"fetch/{profile}", pa.string()), "clip_id": some,
            "status": np.where(lost, "rejected", "ok"), "reason": np.where(lost, "removed", None),
            "message": np.where(lost, "Video unavailable", ""), "attempts": same(1, pa.int64()),
            "made_by": same("fetch@1", pa.string()),
        }))  # fmt: skip


_FREE = 8 + 40


def _clip() -> bytes:
    """A clip of about a kilobyte that decodes."""
    import av
    import numpy as np

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        return Path(file.name).read_bytes()


def _write(root: Path, key: str, clip: str, small: bytes) -> str:
    """Put a clip's object, whose last box makes it its own, and give its sha256."""
    import hashlib

    data = small + _FREE.to_bytes(4, "big") + b"free" + clip.encode().ljust(_FREE - 8)[: _FREE - 8]
    with (root / key).open("wb") as file:
        file.write(data)
    return hashlib.sha256(data).hexdigest()


def recipe_text() -> str:
    """The recipe: that of `decide.py`, and the review rule of the paper."""
    from decide import RECIPE

    return RECIPE.replace('name = "made"', 'name = "rehearsal"') + (
        f'[[segments.lists]]\npath = "valor1m.csv"\n[review]\ncheckers = {_CHECKERS}\nmax_rejects = 0\n'
    )


def choose(folder: Path) -> None:
    """The clips to take down, out of the release."""
    import pyarrow.parquet as pq

    release = next((folder / "w" / "releases").iterdir())
    clips = pq.read_table(release / "catalog.parquet", columns=["clip_id"])["clip_id"].to_pylist()
    step = max(1, len(clips) // GONE)
    Path(folder, "gone.txt").write_text("\n".join(clips[: step * GONE : step][:GONE]))


def steps(folder: Path, rows: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and words of every step, in order; those in brackets only make what the next ones need."""
    own, toml, root = (__file__, "--folder", str(folder)), str(folder / "rehearsal.toml"), folder / "w"
    command = ("-m", "valor_data")
    yield "(list)", (*own, "--step", "list", "--rows", str(rows))
    yield "import", ("-c", _LISTING, toml)
    yield "(made up)", (*own, "--step", "simulate")
    yield "ledger", (*command, "fetch", toml, "--json")
    yield "decide", (*command, "filter", toml, "--decide-only", "--json")
    yield "review", (*command, "status", toml, "--json")
    yield "split", (*command, "catalog", "split", toml, "--json")
    yield "catalog", (*command, "catalog", "build", toml, "--json")
    search = (*command, "catalog", "search", "dog barking near water", "--workspace", str(root), "--json")
    yield "index", search
    yield "search", search
    yield "shard", (*command, "shard", toml, "--json")
    yield "verify", (*command, "release", "verify", str(root / "releases" / "rehearsal-0.1.0"), "--json")
    yield "(choose)", (*own, "--step", "choose")
    ids = ("--ids", str(folder / "gone.txt"), "--reason", "rehearsal")
    yield "retract", (*command, "release", "retract", toml, *ids, "--json")


def rehearse(folder: Path, rows: int) -> dict[str, Took]:
    """All steps over a list of so many rows."""
    took: dict[str, Took] = {}
    print(f"{rows:,} rows\n{'':10} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'us a row':>9}", flush=True)
    for name, words in steps(folder, rows):
        one = watched(*words)
        print(
            f"{name:10} {one.wall_s:8.1f} {one.cpu_s:8.1f} {one.megabytes:8.0f} "
            f"{1e6 * one.cpu_s / rows:9.1f}  {_counts(one.told)}",
            flush=True,
        )
        if not name.startswith("("):
            took[name] = one
    return took


def _counts(told: str) -> str:
    """What a command says that it counted."""
    try:
        counts = json.loads(told)["counts"]
    except (ValueError, KeyError, TypeError):
        return ""
    asked = (
        "listed", "fetched", "kept", "accepted", "train", "rows", "released", "shards", "rewritten",
        "problems",
    )  # fmt: skip
    return ", ".join(f"{name} {counts[name]:,}" for name in asked if name in counts)


def verdict(rows: int, took: dict[str, Took]) -> bool:
    """Print the sums; whether the bounds hold."""
    wall, cpu = (sum(getattr(one, name) for one in took.values()) for name in ("wall_s", "cpu_s"))
    longest = max(took, key=lambda name: took[name].cpu_s)
    largest = max(took, key=lambda name: took[name].megabytes)
    minutes, peak = min(wall, cpu) / 60, took[largest].megabytes
    print(f"{'together':10} {wall:8.1f} {cpu:8.1f} {peak:8.0f} {1e6 * cpu / rows:9.1f}")
    print(f"most CPU: {longest}; most memory: {largest}")
    fits = minutes < MINUTES and peak < MEGABYTES
    bound = f"under {MINUTES:g} minutes and {MEGABYTES:g} MB"
    print(f"{minutes:.1f} minutes, {peak:.0f} MB; {bound}: bound {'ok' if fits else 'MISSED'}\n", flush=True)
    return fits


def growth(all_took: dict[int, dict[str, Took]]) -> None:
    """Print CPU a row of each size against the size before; above 1 a step grows faster than the list."""
    sizes = list(all_took)
    print(f"CPU a row, against the size before\n{'':10}" + "".join(f" {rows:>10,}" for rows in sizes[1:]))
    for name in all_took[sizes[0]]:
        each = [all_took[rows][name].cpu_s / rows for rows in sizes]
        ratios = "".join(f" {after / before:9.2f}x" for before, after in pairwise(each))
        print(f"{name:10}{ratios}")


def main() -> int:
    """Print the tables; 1 where a bound is missed."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    words.add_argument("--rows", type=int, nargs="+", default=ROWS)
    words.add_argument("--folder")
    words.add_argument("--step", choices=("list", "simulate", "choose"), help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.step:
        folder = Path(given.folder)
        if given.step == "list":
            (folder / "rehearsal.toml").write_text(recipe_text())
            write_list(folder, given.rows[0])
        elif given.step == "simulate":
            simulate(folder)
        else:
            choose(folder)
        return 0
    all_took, fits = {}, True
    for rows in given.rows:
        with tempfile.TemporaryDirectory(prefix="rehearsal-", dir=given.folder) as folder:
            os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
            all_took[rows] = rehearse(Path(folder), rows)
            fits &= verdict(rows, all_took[rows])
    if len(all_took) > 1:
        growth(all_took)
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
