"""What a catalog of a million captions costs to build, to search and to ask, beside pandas and SQLite.

    python benchmarks/catalog.py [--rows N] [--folder FOLDER] [--row-groups]

A workspace of N clips (a million) with a caption of about 17 words each, labels, split, media, measures and
verdicts is made in FOLDER, or a temporary one; sentences and labels are drawn at random, words as
frequent as Zipf has them. Then, each in a process of its own whose memory is watched: `catalog build`; the
first search, which makes the index; searches, a count of labels and look-ups by clip_id on the warm
catalog; the same questions to pandas over the same file and to SQLite with FTS5 over the same rows. All
times are CPU seconds over all threads, which an idle machine's clock does not exceed; questions are medians.
`--row-groups` writes the catalog again in row groups of several sizes and asks each in turn, which is how
`tables.catalog.ROW_GROUP` was chosen.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.search import Index
from valor_data.stages.catalog import find
from valor_data.stages.catalog.source import open_source
from valor_data.tables import Tables
from valor_data.text import audioset_names, naming

PART = 1_000_000
ROUNDS = 15
BUILD_S, BUILD_MB, SEARCH_MS, LABELS_MS, POINT_MS = 60, 2_000, 15, 100, 20
MANY_MS, MANY_MB = 2_000, 4_000
SEARCHES = {
    "rare word": "xylophone",
    "any word": "dog barking near water",
    "AND": "dog AND water",
    "OR": "dog OR cat",
    "phrase": '"dog barks"',
    "begin*": "bark*",
    "filtered": "dog label:Music split:test",
    "stop words": "the AND a",
}
FTS = SEARCHES | {"any word": "dog OR barking OR near OR water"}
del FTS["filtered"]
LABELS = "SELECT label, count(*) AS clips FROM (SELECT unnest(labels) AS label FROM catalog) GROUP BY label"


def lexicon(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Words, and how frequent each is."""
    common = ["a", "the", "and", "of", "in", "on", "with", "is", "while", "to"]
    asked = ["man", "woman", "music", "room", "near", "dog", "water", "cat", "barking", "barks"]
    lexicons = [[told for told, _ in naming._entries(name)] for name in ("things", "sounds", "seeing")]
    told = sorted(
        {word for words in lexicons for word in words if " " not in word} - {"xylophone", *common, *asked}
    )
    rng.shuffle(told)
    made_up = [f"{a}{b}" for a in told[:150] for b in told[:60]]
    # Words that are asked for stand where they stand in VALOR-32K: `dog` in one caption of thirty.
    words = np.array([*common, *told[:40], *asked, *told[40:], *made_up, "xylophone"], dtype=object)
    weights = 1 / np.arange(1, len(words) + 1)
    return words, np.append(weights[:-1] / weights[:-1].sum() * (1 - 2e-6), 2e-6)


def sentences(rng: np.random.Generator, count: int, words: np.ndarray, weights: np.ndarray) -> list[str]:
    """Captions of 8 to 26 words."""
    lengths = rng.integers(8, 27, count)
    drawn = rng.choice(len(words), lengths.sum(), p=weights)
    ends = np.cumsum(lengths)
    return [" ".join(words[drawn[a:b]]) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def fill(root: Path, rows: int) -> None:
    """A workspace as `fetch`, `filter` and `annotate import` would leave it."""
    rng = np.random.default_rng(0)
    words, weights = lexicon(rng)
    names = np.array(audioset_names(), dtype=object)[:527]
    tables = Tables.open(str(root))
    for start in range(0, rows, PART):
        count = min(PART, rows - start)
        fill_part(tables, rng, start, count, words, weights, names)


def fill_part(
    tables: Tables,
    rng: np.random.Generator,
    start: int,
    count: int,
    words: np.ndarray,
    weights: np.ndarray,
    names: np.ndarray,
) -> None:
    """One part of each table."""
    numbers = np.random.default_rng(start).permutation(count) + start
    # As YouTube's ids, in no order.
    videos = [f"{number * 2654435761 % 2**40:010x}_" for number in numbers.tolist()]
    clips = [f"{video}_30000_40000" for video in videos]
    texts = sentences(rng, count, words, weights)
    held = rng.integers(1, 4, count)
    labels = np.minimum(rng.zipf(1.3, held.sum()), len(names)) - 1
    label_list = pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(held)]), pa.int32()), pa.array(names[labels], pa.string())
    )

    def same(value: object, kind: pa.DataType | None = None) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind or pa.string()), count)

    sha = [f"{number:064x}" for number in numbers.tolist()]
    urls = [layout.youtube_url(video) for video in videos]
    split = np.array(["train", "val", "test"], dtype=object)[rng.choice(3, count, p=[0.9, 0.05, 0.05])]
    tables.append_arrow("clips", pa.table({
        "clip_id": clips, "source": same("youtube"), "video_id": videos, "start_ms": same(30_000, pa.int64()),
        "end_ms": same(40_000, pa.int64()), "url": urls, "labels": label_list, "licence": same(None),
        "made_by": same("list:x"),
    }))  # fmt: skip
    tables.append_arrow("captions", pa.table({
        "caption_id": [text[-24:] for text in sha], "clip_id": clips, "text": texts, "author": same("people"),
        "origin": same("imported"), "language": same("en"), "modalities_seen": same("av"),
        "external_id": same(""), "lead_ms": same(None, pa.int64()), "revision": same(1, pa.int64()),
        "deleted": same(False, pa.bool_()), "made_by": same("list:x"),
    }))  # fmt: skip
    tables.append_arrow("splits", pa.table({"clip_id": clips, "split": split, "made_by": same("list:x")}))
    tables.append_arrow("media", pa.table({
        "clip_id": clips, "profile": same("exact-1"), "object_key": [f"clips/{clip}" for clip in clips],
        "sha256": sha, "bytes": rng.integers(10**5, 10**6, count), "duration_ms": same(10_000, pa.int64()),
        "video_codec": same("h264"), "width": same(640, pa.int64()), "height": same(360, pa.int64()),
        "fps": same(25.0, pa.float64()), "audio_codec": same("aac"), "sample_rate": same(44_100, pa.int64()),
        "channels": same(2, pa.int64()), "start_error_ms": rng.random(count), "av_skew_ms": rng.random(count),
        "short_ms": same(0, pa.int64()), "bytes_read": same(None, pa.int64()), "format_ids": same("18"),
        "condition": same(None), "origin": same("platform"), "made_by": same("fetch@1"),
    }))  # fmt: skip
    tables.append_arrow("outcomes", pa.table({
        "stage": same("fetch/exact-1"), "clip_id": clips, "status": same("ok"), "reason": same(None),
        "message": same(""), "attempts": same(1, pa.int64()), "made_by": same("fetch@1"),
    }))  # fmt: skip
    tables.append_arrow("verdicts", pa.table({
        "clip_id": clips, "rules_digest": same("0" * 16), "kept": same(True, pa.bool_()), "reason": same(""),
        "detail": same(""), "made_by": same("rules@1"),
    }))  # fmt: skip


def build(root: Path) -> None:
    """What `catalog build` does but for reading lists."""
    tables = Tables.open(str(root))
    tables.compact()
    tables.write_catalog(layout.CATALOG)


def watched(step: str, root: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak MB of a step in a process of its own."""
    began = time.perf_counter()
    run = subprocess.Popen([sys.executable, __file__, "--step", step, "--folder", str(root)])
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise SystemExit(f"{step} failed")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def median_ms(*sides: Callable[[int], object], rounds: int = ROUNDS) -> list[float]:
    """The median CPU time of each side, of all its threads; they take turns, after one turn that warms."""
    taken: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 1):
        for side, times in zip(sides, taken, strict=True):
            began = time.process_time()
            side(turn)
            times.append(1000 * (time.process_time() - began))
    return [statistics.median(times[1:]) for times in taken]


def questions(path: Path, some: list[str]) -> dict[str, Callable[[int], object]]:
    """What is asked of a catalog, warm; a question that is asked again asks for another clip."""
    con = duckdb.connect()
    con.execute(f"SET threads = 2; CREATE VIEW catalog AS FROM read_parquet('{path}')")
    data = ds.dataset(path)
    point = "SELECT clip_id, caption, split, labels FROM catalog WHERE clip_id = ?"
    everything = "SELECT * FROM catalog WHERE clip_id = ?"
    columns = ["clip_id", "caption", "split", "labels"]
    return {
        "labels": lambda _: con.sql(LABELS).fetchall(),
        "clip, DuckDB": lambda turn: con.execute(point, [some[turn]]).fetchall(),
        "clip, pyarrow": lambda turn: data.to_table(columns, filter=ds.field("clip_id") == some[turn]),
        "whole row, DuckDB": lambda turn: con.execute(everything, [some[turn]]).fetchall(),
    }


def ask(root: Path) -> None:
    """Print what questions to the index and the catalog take, as JSON."""
    with open_source(str(root)) as source:
        index = Index.cached(str(root), source.digest, tuple)  # made by the step before
    told = {
        f"search: {name}": median_ms(lambda _, q=query: index.search(q, 10))[0]
        for name, query in SEARCHES.items()
    }
    path = root / layout.CATALOG
    asked = questions(path, drawn(path))
    told |= dict(zip(asked, median_ms(*asked.values()), strict=True))
    told["labels"] /= 2  # two threads share it evenly: what the clock of an idle machine shows
    print(json.dumps(told))


def drawn(path: Path) -> list[str]:
    """Clips to look up, from all over a catalog."""
    clips = pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()
    return [clips[place] for place in np.random.default_rng(0).integers(0, len(clips), 100).tolist()]


def statistics_of(root: Path) -> None:
    """What `catalog stats` does."""
    from valor_data.tables import statistics as counted

    counted(str(root / layout.CATALOG))


def pandas_side(root: Path) -> None:
    """The same questions to pandas, the columns read once."""
    frame = pd.read_parquet(root / layout.CATALOG, columns=["clip_id", "caption", "labels", "split"])
    indexed = frame.set_index("clip_id")
    some = drawn(root / layout.CATALOG)

    def saying(word: str) -> "pd.Series[bool]":
        return frame["caption"].str.contains(word, regex=False)

    sides: dict[str, Callable[[int], object]] = {
        "search: rare word": lambda _: frame[saying("xylophone")],
        "search: AND": lambda _: frame[saying("dog") & saying("water")],
        "labels": lambda _: frame["labels"].explode().value_counts(),
        "clip": lambda turn: indexed.loc[some[turn]],
    }
    print(json.dumps(dict(zip(sides, median_ms(*sides.values(), rounds=3), strict=True))))


def sqlite_build(root: Path) -> None:
    """The captions in a table and in FTS5."""
    con = sqlite3.connect(root / "peer.sqlite")
    con.executescript(
        """
        PRAGMA synchronous = off; PRAGMA journal_mode = memory;
        CREATE TABLE clips (number INTEGER PRIMARY KEY, clip_id TEXT, caption TEXT, split TEXT);
        CREATE TABLE labels (number INTEGER, label TEXT);
        CREATE VIRTUAL TABLE said
        USING fts5(caption, content='clips', content_rowid='number', tokenize='porter');
        """
    )
    first = 0
    file = pq.ParquetFile(root / layout.CATALOG)
    for batch in file.iter_batches(20_000, columns=["clip_id", "caption", "split", "labels"]):
        clips, captions, splits, labels = (batch[name].to_pylist() for name in batch.schema.names)
        numbers = range(first, first + batch.num_rows)
        con.executemany(
            "INSERT INTO clips VALUES (?, ?, ?, ?)", zip(numbers, clips, captions, splits, strict=True)
        )
        pairs = ((number, label) for number, held in zip(numbers, labels, strict=True) for label in held)
        con.executemany("INSERT INTO labels VALUES (?, ?)", pairs)
        first += batch.num_rows
    con.executescript(
        "CREATE UNIQUE INDEX by_id ON clips (clip_id); INSERT INTO said(said) VALUES ('rebuild');"
    )
    con.commit()


def sqlite_side(root: Path) -> None:
    """The same questions to SQLite."""
    con = sqlite3.connect(root / "peer.sqlite")
    some = drawn(root / layout.CATALOG)
    ranked = "SELECT rowid FROM said WHERE said MATCH ? ORDER BY rank LIMIT 10"
    sides: dict[str, Callable[[int], object]] = {
        f"search: {name}": lambda _, q=query: con.execute(ranked, [q]).fetchall()
        for name, query in FTS.items()
    }
    sides["labels"] = lambda _: con.execute("SELECT label, count(*) FROM labels GROUP BY label").fetchall()
    sides["clip"] = lambda turn: con.execute("SELECT * FROM clips WHERE clip_id = ?", [some[turn]]).fetchall()
    print(json.dumps(dict(zip(sides, median_ms(*sides.values(), rounds=3), strict=True))))


def row_groups(root: Path) -> None:
    """Print bytes, and what questions take, for several sizes of row groups."""
    source = root / layout.CATALOG
    some = drawn(source)
    print("rows a group      MB  ms: labels (all threads), clip, clip (pyarrow), whole row")
    for size in (8_192, 32_768, 122_880):
        path = root / f"groups-{size}.parquet"
        pq.write_table(
            pq.read_table(source), path, compression="zstd", row_group_size=size, write_page_index=True
        )
        took = median_ms(*questions(path, some).values())
        print(f"{size:12,} {path.stat().st_size / 1e6:7.1f}  " + " ".join(f"{ms:8.1f}" for ms in took))
        path.unlink()


def compare(root: Path, rows: int, sizes: bool) -> int:
    """Print the table; 1 where a bound is missed."""
    many = rows > 2_000_000
    held = True

    def row(name: str, reached: float, bound: float | None, unit: str) -> None:
        nonlocal held
        met = bound is None or reached <= bound
        held = held and met
        verdict = "" if bound is None else f"(<= {bound:,.0f}) {'ok' if met else 'MISSED'}"
        print(f"{name:36} {reached:12,.2f} {unit:3} {verdict}", flush=True)

    print(f"{rows:,} captions")
    most_mb = MANY_MB if many else BUILD_MB
    for step in ("build", "index", "stats"):
        wall, cpu, peak = watched(step, root)
        row(f"{step}: CPU", cpu, BUILD_S if step == "build" and not many else None, "s")
        row(f"{step}: wall", wall, None, "s")
        row(f"{step}: peak", peak, most_mb, "MB")
    bounds = {"search": SEARCH_MS, "labels": LABELS_MS, "clip": POINT_MS, "whole row": None}
    for name, taken in asked("ask", root).items():
        kind = name.split(":")[0].split(",")[0]
        unbound = name.endswith("stop words") and not many
        row(name, taken, None if unbound else MANY_MS if many else bounds[kind], "ms")
    sides = ["pandas", "sqlite"] if not many else ["sqlite"]
    print("beside it")
    _, cpu, peak = watched("sqlite-build", root)
    row("sqlite build: CPU", cpu, None, "s")
    row("sqlite build: peak", peak, None, "MB")
    for side in sides:
        for name, taken in asked(side, root).items():
            row(f"{side}, {name}", taken, None, "ms")
    if sizes:
        row_groups(root)
    return 0 if held else 1


def asked(step: str, root: Path) -> dict[str, float]:
    """What a step prints."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(root)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    said: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return said


STEPS: dict[str, Callable[[Path], None]] = {
    "fill": lambda root: fill(root, int(root.name)),
    "build": build, "index": lambda root: print(len(find(str(root), "dog", 1)), "found", file=sys.stderr),
    "ask": ask, "stats": statistics_of, "pandas": pandas_side, "sqlite-build": sqlite_build,
    "sqlite": sqlite_side, "row-groups": row_groups,
}  # fmt: skip


def main() -> int:
    """Print the figures; 1 where a bound is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder")
    parser.add_argument("--row-groups", action="store_true")
    parser.add_argument("--step", choices=[*STEPS], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        STEPS[chosen.step](Path(chosen.folder))
        return 0
    with tempfile.TemporaryDirectory() as made:
        root = Path(chosen.folder or made, f"{chosen.rows}")
        os.environ["XDG_CACHE_HOME"] = str(Path(chosen.folder or made, "cache"))
        if not (root / layout.TABLES).is_dir():
            root.mkdir(parents=True)
            watched("fill", root)  # not here: a child's peak begins with what its parent holds
        return compare(root, chosen.rows, chosen.row_groups)


if __name__ == "__main__":
    sys.exit(main())
