"""Shares, means and medians, each with a 95 % interval. All work on arrays, none loops over values.

An interval of a share is computed (Wilson, Newcombe); that of a mean is a bootstrap (BCa), that of a
median too (percentile), with a fixed seed, so that equal values give equal intervals.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bounds = tuple[Floats, Floats]
"""Low and high ends."""

TAIL = 0.025
"""What a 95 % interval leaves out at either end."""
Z = NormalDist().inv_cdf(1 - TAIL)
ROUNDS = 1000
SEED = 20230418
_TIE = 1e-12
"""Values closer than this are equal but for rounding."""
_HELD = 1 << 22
"""Drawn values held at a time."""


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Items, answers or clips that it rests on."""


def wilson(hits: npt.ArrayLike, of: npt.ArrayLike) -> Bounds:
    """Score interval of each share (Wilson, JASA 22, 1927); 0 to 1 where nothing was counted.

    Holds the truth 95 times of 100 on average, a little less for some true shares. Counts need not be
    whole. ValueError where there are more hits than counted.
    """
    x, n = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(of, np.float64))
    if (x < 0).any() or (x > n).any():
        raise ValueError("hits must lie between 0 and what was counted")
    scatter = np.divide(x * (n - x), n, out=np.zeros(n.shape), where=n > 0)
    centre = (x + Z * Z / 2) / (n + Z * Z)
    half = Z / (n + Z * Z) * np.sqrt(scatter + Z * Z / 4)
    # At the ends the bounds are 0 and 1 but for rounding.
    return np.where(x == 0, 0.0, centre - half), np.where(x == n, 1.0, centre + half)


def share(hits: int, of: int) -> Estimate | None:
    """A share with Wilson's interval; None where nothing was counted."""
    if not of:
        return None
    low, high = wilson(hits, of)
    return Estimate(hits / of, float(low), float(high), of)


def clustered_share(hits: npt.ArrayLike, of: npt.ArrayLike) -> Estimate | None:
    """A share of answers that come in groups, such as several on one caption; one entry a group.

    Wilson's interval with the answers divided by the design effect, which is taken from how the groups
    differ (Kish, Survey Sampling, 1965), at least 1. Where that cannot be seen (one group, or a share of
    0 or 1), each group counts as one answer. None where there is no answer.
    """
    x, n = np.asarray(hits, np.float64), np.asarray(of, np.float64)
    x, n = x[n > 0], n[n > 0]
    groups, answers = len(n), float(n.sum())
    if not groups:
        return None
    found = float(x.sum()) / answers
    effective = float(groups)
    if groups > 1 and 0 < found < 1:
        variance = groups / (groups - 1) * float(np.square(x - found * n).sum()) / answers**2
        effective = min(answers, found * (1 - found) / max(variance, 1e-12))
    low, high = wilson(found * effective, effective)
    return Estimate(found, float(low), float(high), int(answers))


def newcombe(
    hits: npt.ArrayLike, of: npt.ArrayLike, other_hits: npt.ArrayLike, other_of: npt.ArrayLike
) -> Bounds:
    """Interval of each share less another (Newcombe, Statistics in Medicine 17, 1998, method 10).

    -1 to 1 where either counted nothing. ValueError as `wilson`.
    """
    x, n, y, m = np.broadcast_arrays(
        *(np.asarray(one, np.float64) for one in (hits, of, other_hits, other_of))
    )
    (low, high), (other_low, other_high) = wilson(x, n), wilson(y, m)
    first, other = x / np.maximum(n, 1e-300), y / np.maximum(m, 1e-300)
    known = (n > 0) & (m > 0)
    down = first - other - np.hypot(first - low, other_high - other)
    up = first - other + np.hypot(high - first, other - other_low)
    return np.where(known, down, -1.0), np.where(known, up, 1.0)


def difference_of_shares(hits: int, of: int, other_hits: int, other_of: int) -> Estimate | None:
    """A share less another with Newcombe's interval; None where either counted nothing."""
    if not of or not other_of:
        return None
    low, high = newcombe(hits, of, other_hits, other_of)
    return Estimate(hits / of - other_hits / other_of, float(low), float(high), of + other_of)


def combined(value_of: Callable[..., float | None], known: Sequence[Estimate]) -> Estimate | None:
    """A share made from known ones, with the doubt of all: what each one's interval does to it is added up in
    squares (MOVER: Zou & Donner, Statistics in Medicine 27, 2008). None where their values give none; where
    an end of an interval gives none, all is possible. n is the least of theirs."""
    middle = [one.value for one in known]
    value = value_of(*middle)
    if value is None:
        return None
    ends = [
        value_of(*middle[:place], end, *middle[place + 1 :])
        for place, one in enumerate(known)
        for end in (one.low, one.high)
    ]
    moved = [end - value for end in ends if end is not None]
    down, up = (math.sqrt(sum(max(0.0, sign * step) ** 2 for step in moved)) for sign in (-1, 1))
    if len(moved) < len(ends):
        down = up = 1.0
    return Estimate(value, max(0.0, value - down), min(1.0, value + up), min(one.n for one in known))


def mean(values: npt.ArrayLike) -> Estimate | None:
    """A mean with a bootstrap interval over the values; None for fewer than two, which show no spread.

    Where all values are equal the interval has no width, be they few or many.
    """
    held = np.asarray(values, np.float64)
    if len(held) < 2:
        return None
    rng = np.random.default_rng(SEED)
    step = max(1, _HELD // len(held))
    drawn = [
        held[rng.integers(0, len(held), (min(step, ROUNDS - start), len(held)))].mean(axis=1)
        for start in range(0, ROUNDS, step)
    ]
    value = float(held.mean())
    without = value + (value - held) / (len(held) - 1)
    return Estimate(value, *bca(value, np.concatenate(drawn), without), len(held))


def median(values: npt.ArrayLike) -> Estimate | None:
    """A median with a bootstrap interval over the values; None for fewer than two."""
    held = np.sort(np.asarray(values, np.float64))
    if len(held) < 2:
        return None
    drawn = _medians(held, np.random.default_rng(SEED))
    return Estimate(float(np.median(held)), *percentiles(drawn), len(held))


def difference_of_medians(values: npt.ArrayLike, others: npt.ArrayLike) -> Estimate | None:
    """A median less another with a bootstrap interval over each; None for fewer than two of either."""
    held, other = np.sort(np.asarray(values, np.float64)), np.sort(np.asarray(others, np.float64))
    if min(len(held), len(other)) < 2:
        return None
    rng = np.random.default_rng(SEED)
    ends = percentiles(_medians(held, rng) - _medians(other, rng))
    return Estimate(float(np.median(held) - np.median(other)), *ends, len(held) + len(other))


def bca(value: float, drawn: Floats, without: Floats, clips: npt.ArrayLike = 1) -> tuple[float, float]:
    """Ends of a bootstrap interval, corrected for bias and skew (BCa: Efron, JASA 82, 1987).

    `without` are the values with one clip left out, each standing for so many `clips`. NaN among either
    is left out.
    """
    drawn = drawn[~np.isnan(drawn)]
    normal = NormalDist()
    below = float((drawn < value - _TIE).mean() + (np.abs(drawn - value) <= _TIE).mean() / 2)
    if not 0 < below < 1:
        return percentiles(drawn)
    known = ~np.isnan(without)
    weight = np.broadcast_to(np.asarray(clips, np.float64), without.shape)[known]
    off = np.average(without[known], weights=weight) - without[known]
    spread = float((weight * off**2).sum())
    skew = float((weight * (off / np.sqrt(spread)) ** 3).sum()) / 6 if spread > 0 else 0.0
    bias = normal.inv_cdf(below)
    # Beyond a skew that only a handful of clips show, the correction turns round.
    ends = [bias + (bias + z) / max(1 - skew * (bias + z), 0.1) for z in (-Z, Z)]
    low, high = np.quantile(drawn, [normal.cdf(end) for end in ends]).tolist()
    return low, high


def percentiles(drawn: Floats) -> tuple[float, float]:
    """The ends between which 95 % of what was drawn lie."""
    low, high = np.quantile(drawn, (TAIL, 1 - TAIL)).tolist()
    return low, high


def _medians(ordered: Floats, rng: np.random.Generator) -> Floats:
    """Medians of resamples, without the resamples: each is one value, or the mean of two, whose rank among
    the values is that of the middle one of as many uniform numbers, which is a beta variable."""
    n = len(ordered)
    middle = (n + 1) // 2
    rank = rng.beta(middle, n - middle + 1, ROUNDS)
    lower: Floats = ordered[np.minimum((rank * n).astype(np.intp), n - 1)]
    if n % 2:
        return lower
    # The next of them is the least of the n - middle that lie above.
    rank = rank + (1 - rank) * rng.beta(1, n - middle, ROUNDS)
    upper: Floats = ordered[np.minimum((rank * n).astype(np.intp), n - 1)]
    medians: Floats = (lower + upper) / 2
    return medians
