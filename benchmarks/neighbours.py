"""Time, memory and recall of grouping many clips by their prints.

    python benchmarks/neighbours.py [CLIPS]

CLIPS (a million by default) prints of random pictures and sounds of ten seconds; one clip in twenty is
another coding of another: every value of its courses off by noise, as codecs leave it, a fifth of the
copies only in the sound and a fifth only in the picture. One in twenty shows a still, of a hundred in
all. Peak memory includes the prints themselves.
"""

import resource
import sys
import time

import numpy as np
from numpy.typing import NDArray

from valor_data import neighbours, prints
from valor_data.neighbours import Prints

NOISE = 0.45
"""Standard deviation of a copy's values over that of the original's: likeness 0.87 or so."""
COPIES, STILL, STILLS = 0.05, 0.05, 100
LEAST_RECALL, MOST_SECONDS, MOST_GB = 0.995, 600.0, 6.0
SECONDS = 10
BENCHMARK = 5_000
CHUNK = 4096


def made(form: prints.Form, clips: int, source_N: NDArray[np.int64], rng: np.random.Generator) -> Prints:
    """Prints of one kind: clip n is a copy of `source_N[n]`, or an original where that is n."""
    steps = SECONDS * form.steps_a_second
    looks = -(-steps // form.look_steps)
    width = prints.HEAD + looks * form.values + steps * form.values // 2
    rows = np.empty((clips, width), np.uint8)
    rows[:, 0] = form.tag
    rows[:, 1], rows[:, 2] = steps & 0xFF, steps >> 8
    still_N = rng.random(clips) < STILL
    scenes = rng.integers(40, 200, (STILLS, looks * form.values))
    for start in range(0, clips, CHUNK):
        own = slice(start, min(start + CHUNK, clips))
        count = own.stop - start
        values = 2.5 * rng.standard_normal((count, steps * form.values), np.float32)
        look = rng.integers(40, 200, (count, looks * form.values))
        still = np.flatnonzero(still_N[own])
        values[still] *= 0.05
        look[still] = scenes[rng.integers(0, STILLS, len(still))]
        copies = np.flatnonzero(source_N[own] != np.arange(own.start, own.stop))
        if len(copies):
            source = rows[source_N[own][copies]]
            of_source = prints.values_of(source[:, prints.HEAD + looks * form.values :])
            off = NOISE * of_source.std(axis=1, keepdims=True)
            values[copies] = of_source + off * values[copies] / 2.5
            look[copies] = source[:, prints.HEAD : prints.HEAD + looks * form.values]
            look[copies] += rng.integers(-1, 2, look[copies].shape)
        whole = (np.clip(np.round(values), -7, 7) + 8).astype(np.uint8)
        rows[own, prints.HEAD : prints.HEAD + looks * form.values] = look
        rows[own, prints.HEAD + looks * form.values :] = whole[:, ::2] << 4 | whole[:, 1::2]
    return Prints(np.arange(clips + 1, dtype=np.int64) * width, rows.reshape(-1))


def peak_gb() -> float:
    """Most memory that this process held, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> int:
    """Print time, memory and recall; 1 where a bound is missed."""
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    alone = np.arange(clips)
    # Originals lie a chunk and more before their copies, for they are made first.
    planted = rng.choice(np.arange(clips // 2, clips), int(COPIES * clips), replace=False)
    source = rng.choice(clips // 2 - CHUNK, len(planted), replace=False)
    what = rng.random(len(planted))
    sources = {}
    for form, wanted in ((prints.PICTURE, what >= 0.2), (prints.SOUND, what < 0.8)):
        sources[form] = alone.copy()
        sources[form][planted[wanted]] = source[wanted]
    pictures = made(prints.PICTURE, clips, sources[prints.PICTURE], rng)
    sounds = made(prints.SOUND, clips, sources[prints.SOUND], rng)
    ids = [f"{clip:016x}" for clip in range(clips)]
    size = (len(pictures.buffer) + len(sounds.buffer)) / 1e9
    print(f"{clips} clips, {len(planted)} copies planted, {size:.1f} GB of prints", flush=True)
    before = time.perf_counter()
    groups = neighbours.near_duplicates(ids, pictures, sounds)
    seconds = time.perf_counter() - before
    print(f"grouped in {seconds:.0f} s, peak {peak_gb():.1f} GB", flush=True)
    of = {(row.clip_id, row.kind): row.representative for row in groups}
    recalls = {}
    for kind, wanted in (
        ("both", (what >= 0.2) & (what < 0.8)),
        ("audio", what < 0.2),
        ("video", what >= 0.8),
    ):
        pairs = zip(planted[wanted].tolist(), source[wanted].tolist(), strict=True)
        told = [of.get((ids[a], kind), "") == of.get((ids[b], kind)) for a, b in pairs]
        recalls[kind] = float(np.mean(told)) if told else 1.0
    some = np.arange(min(BENCHMARK, clips // 10)) + clips // 2
    before = time.perf_counter()
    leaked = neighbours.leaks(
        ids,
        pictures,
        sounds,
        [f"benchmark-{clip}" for clip in some],
        _taken(pictures, some),
        _taken(sounds, some),
    )
    leak_seconds = time.perf_counter() - before
    found = {(row.clip_id, row.benchmark_id) for row in leaked if row.kind == "both"}
    leak_recall = float(np.mean([(ids[clip], f"benchmark-{clip}") in found for clip in some]))
    rows = [
        *((f"recall, {kind}", recall, ">=", LEAST_RECALL) for kind, recall in recalls.items()),
        ("recall, leaks", leak_recall, ">=", LEAST_RECALL),
        ("seconds of grouping", seconds, "<=", MOST_SECONDS),
        (f"seconds of {len(some)} clips' leaks", leak_seconds, "<=", MOST_SECONDS),
        ("peak GB", peak_gb(), "<=", MOST_GB),
    ]
    for name, reached, sign, bound in rows:
        met = reached <= bound if sign == "<=" else reached >= bound
        print(f"{name:30} {reached:9.4f}  ({sign} {bound:g}) {'ok' if met else 'MISSED'}")
    return 0 if all(r <= b if s == "<=" else r >= b for _, r, s, b in rows) else 1


def _taken(held: Prints, clips: NDArray[np.int64]) -> Prints:
    return Prints.of(held.of_clip(int(clip)) for clip in clips)


if __name__ == "__main__":
    sys.exit(main())
