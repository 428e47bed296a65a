"""Time of every measure of agreement on a large dataset, each with its bootstrap of 1,000 rounds.

    python benchmarks/agreement.py [CLIPS]

CLIPS (100,000 by default) with three raters, a tenth of the answers missing: one of four classes each,
and a set of ten labels. Captions: 10,000 pairs of 100 words. The ratio is what one coefficient costs
over drawing its resamples clip by clip, as a straightforward bootstrap would. One thread.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is there

import numpy as np

from valor_data.agreement import (
    Choice,
    Labelled,
    Ratings,
    chrf,
    cohen_kappa,
    edit_distance,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    masi_alpha,
    mean,
    median,
)

RATERS, CLASSES, LABELS = 3, 4, 10
PAIRS, WORDS, VOCABULARY = 10_000, 100, 2_000
ROUNDS = 1000
MOST_SECONDS = 10.0
"""Of each but the sets, which compare every set with every other."""
MOST_SECONDS_SETS, MOST_SECONDS_CHRF = 60.0, 60.0


def timed(name: str, work: Callable[[], object], most_s: float = MOST_SECONDS) -> bool:
    """Print how long it takes; whether that is within bounds."""
    start = time.perf_counter()
    work()
    took_s = time.perf_counter() - start
    print(f"{name:22} {took_s:7.2f} s   (at most {most_s:.0f})")
    return took_s <= most_s


def clip_by_clip(ratings: Ratings, rounds: int) -> float:
    """Seconds to tally so many resamples of the clips themselves."""
    rng = np.random.default_rng(0)
    place_N = ratings.clip_N * CLASSES + ratings.code_N
    tally_IC = np.bincount(place_N, minlength=ratings.clips * CLASSES).reshape(-1, CLASSES)
    start = time.perf_counter()
    for _ in range(rounds):
        drawn_IC = tally_IC[rng.integers(0, len(tally_IC), len(tally_IC))]
        drawn_IC.sum(axis=0), np.square(drawn_IC).sum()
    return time.perf_counter() - start


def main() -> int:
    """Print times and the ratio; 1 where a bound is missed."""
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng = np.random.default_rng(0)
    shape = (clips, RATERS)
    clip_N, rater_N = np.nonzero(rng.random(shape) < 0.9)
    truth = rng.integers(0, CLASSES, (clips, 1))
    codes = np.where(rng.random(shape) < 0.8, truth, rng.integers(0, CLASSES, shape))
    ratings = Ratings(tuple("abc"), tuple("wxyz"), clips, clip_N, rater_N, codes[clip_N, rater_N])
    ticked = (rng.random((clips, 1, LABELS)) < 0.2) ^ (rng.random((*shape, LABELS)) < 0.03)
    sets = [
        Labelled(
            f"{clip:07}", str(rater), frozenset(np.flatnonzero(ticked[clip, rater]).astype(str).tolist())
        )
        for clip, rater in zip(clip_N.tolist(), rater_N.tolist(), strict=True)
    ]
    rows = [Choice(clip_id, annotator, "wxyz"[len(labels) % CLASSES]) for clip_id, annotator, labels in sets]
    words = rng.integers(0, VOCABULARY, (2, PAIRS, WORDS))
    words[1] = np.where(rng.random((PAIRS, WORDS)) < 0.6, words[0], words[1])
    spelt = [f"w{word:04}" for word in range(VOCABULARY)]
    pairs = [tuple([spelt[word] for word in side] for side in pair) for pair in words.swapaxes(0, 1)]
    times = rng.lognormal(4, 1, clips)

    start = time.perf_counter()
    krippendorff_alpha(ratings)
    ratio = clip_by_clip(ratings, 20) * ROUNDS / 20 / (time.perf_counter() - start)
    good = [
        timed("rows to ratings", lambda: Ratings.of(rows)),
        timed("Cohen's kappa", lambda: cohen_kappa(ratings, "a", "b")),
        timed("Fleiss' kappa", lambda: fleiss_kappa(ratings)),
        timed("Gwet's AC1", lambda: gwet_ac1(ratings)),
        timed("Krippendorff's alpha", lambda: krippendorff_alpha(ratings)),
        timed("alpha of sets (MASI)", lambda: masi_alpha(sets), MOST_SECONDS_SETS),
        timed("mean", lambda: mean(times)),
        timed("median", lambda: median(times)),
        timed("edit distance, 10,000", lambda: [edit_distance(*pair) for pair in pairs]),
        timed("chrF, 10,000", lambda: [chrf(*map(" ".join, pair)) for pair in pairs], MOST_SECONDS_CHRF),
    ]
    print(f"resampling clip by clip takes {ratio:.0f} times as long as alpha by kinds of clip")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
