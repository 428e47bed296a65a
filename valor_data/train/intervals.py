"""How sure a score is: percentile bootstrap over clips (Efron 1979), and over pairs of scores of them.

What belongs to one clip (its captions, its questions) is drawn together, for it is no independent evidence.
Intervals and p values are each figure's own: nothing is corrected for how many are looked at.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_DRAWS = 1000
_LEVEL = 0.95
_NOTHING = 1e-6
"""A difference below it is none: what coco-caption adds against division by zero is as large."""


def mean(values_N: Floats) -> float:
    """The usual figure."""
    return float(values_N.mean())


class Measure(NamedTuple):
    """What a figure is made of: numbers by item, and how they become one."""

    values_N: Floats
    """An item a row; what is more than one number by item is (N, ...)."""
    clips_N: Sequence[str]
    """The clip that an item belongs to."""
    figure: Callable[[Floats], float] = mean
    """Of some items' numbers; items may come several times."""


class Interval(NamedTuple):
    """A figure, and where 95 % of resampled test sets put it."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """Second less first, over the same items."""

    interval: Interval
    p_value: float
    """Two-sided: how often resampling turns the sign, or meets zero; never below 2 in 1001."""


def interval(measure: Measure, seed: int = 0) -> Interval:
    """A figure with what resampled clips make of it."""
    values_N, figure = measure.values_N, measure.figure
    drawn = [figure(values_N[rows]) for rows in _drawn(tuple(measure.clips_N), seed)]
    return Interval(figure(values_N), *_middle(drawn))


def difference(first: Measure, second: Measure, seed: int = 0) -> Difference:
    """How far two models lie apart in a figure, item by item. Raises UserError where the items differ."""
    if list(first.clips_N) != list(second.clips_N):
        raise UserError("two scores can be compared only over the same clips, in the same order")
    drawn_D = np.array(
        [
            second.figure(second.values_N[rows]) - first.figure(first.values_N[rows])
            for rows in _drawn(tuple(first.clips_N), seed)
        ]
    )
    apart = second.figure(second.values_N) - first.figure(first.values_N)
    against = min(int((drawn_D <= _NOTHING).sum()), int((drawn_D >= -_NOTHING).sum()))
    return Difference(Interval(apart, *_middle(drawn_D)), min(1.0, 2 * (1 + against) / (1 + _DRAWS)))


def _middle(drawn: Sequence[float] | Floats) -> tuple[float, float]:
    low, high = np.quantile(np.asarray(drawn), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


@lru_cache(maxsize=1)  # the figures of a table are over the same items
def _drawn(clips_N: tuple[str, ...], seed: int) -> list[Ints]:
    """Items of clips drawn with replacement, all of a clip whenever it is drawn."""
    rng = np.random.default_rng(seed)
    _, clip_N = np.unique(np.asarray(clips_N), return_inverse=True)
    order_N = np.argsort(clip_N, kind="stable").astype(np.int32)
    counts_C = np.bincount(clip_N)
    starts_C = np.cumsum(counts_C) - counts_C
    clips = len(counts_C)
    drawn = []
    for _ in range(_DRAWS):
        chosen_C = rng.integers(clips, size=clips)
        sizes_C = counts_C[chosen_C]
        # Places in `order_N`: each chosen clip's first, and what follows it.
        firsts = np.repeat(starts_C[chosen_C] - (np.cumsum(sizes_C) - sizes_C), sizes_C)
        drawn.append(order_N[firsts + np.arange(len(firsts))])
    return drawn
