"""How sure a score is: percentile bootstrap over the test items (Efron 1979), and over pairs of them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DRAWS = 1000
_LEVEL = 0.95


class Interval(NamedTuple):
    """A figure, and where 95 % of resampled test sets put it."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """Second less first, over the same items."""

    interval: Interval
    p_value: float
    """Two-sided: how often resampling turns the sign, or meets zero."""


def _mean(values_DN: Floats) -> Floats:
    means: Floats = values_DN.mean(axis=-1)
    return means


def interval(values_N: Floats, figure: Callable[[Floats], Floats] = _mean, seed: int = 0) -> Interval:
    """Of a figure over items: `figure` takes it along the last axis."""
    drawn_D = np.concatenate([figure(draw[None]) for draw in _drawn(values_N, seed)])
    low, high = np.quantile(drawn_D, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(figure(values_N[None])[0]), float(low), float(high))


def difference(first_N: Floats, second_N: Floats, seed: int = 0) -> Difference:
    """Of the means of two models, item by item."""
    values_N = second_N - first_N
    drawn_D = np.array([draw.mean() for draw in _drawn(values_N, seed)])
    low, high = np.quantile(drawn_D, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    against = min(float((drawn_D <= 0).mean()), float((drawn_D >= 0).mean()))
    return Difference(Interval(float(values_N.mean()), float(low), float(high)), min(1.0, 2 * against))


def _drawn(values_N: Floats, seed: int) -> "list[Floats]":
    rng = np.random.default_rng(seed)
    return [values_N[rng.integers(len(values_N), size=len(values_N))] for _ in range(_DRAWS)]
