"""How one metric is spread over the clips, and what a threshold would drop."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from valor_data.recipe import Rule
from valor_data.rules.columns import Column

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_STEPS = 20
"""About so many thresholds, and bars, are shown."""


class Bar(NamedTuple):
    """Clips from one value to the next; the last bar holds its end too."""

    low: float
    high: float
    clips: int


class Drop(NamedTuple):
    """What a threshold would do: clips below it go by `min`, above it by `max`."""

    at: float
    below: int
    above: int


class Threshold(NamedTuple):
    """One number in a rule."""

    reason: str
    end: str
    """`min` or `max`."""
    at: float


class Spread(NamedTuple):
    """One metric over all clips."""

    clips: int
    undefined: int
    """Clips for which it is not defined, or was never measured."""
    quantiles: dict[float, float]
    """Share of the defined values -> the value up to which they go. Empty for words."""
    bars: list[Bar]
    drops: list[Drop]
    """By threshold, round ones and those asked for."""
    words: dict[str, int]
    """Word, or true and false -> clips; empty for numbers."""

    def share(self, clips: int) -> float:
        """Of all clips."""
        return clips / self.clips if self.clips else 0.0


def thresholds(rules: Iterable[Rule], metric: str) -> list[Threshold]:
    """Where some rules stand on a metric."""
    return [
        Threshold(rule.reason, end, at)
        for rule in rules
        for leaf in rule.leaves()
        if leaf.metric == metric
        for end, at in (("min", leaf.min), ("max", leaf.max))
        if at is not None
    ]


def spread(column: Column, thresholds: Sequence[float] = ()) -> Spread:
    """The spread of a column; `thresholds` are told of besides the round ones."""
    values = np.sort(column.values[~np.isnan(column.values)])
    clips, undefined = len(column.values), len(column.values) - len(values)
    if column.words:
        counted = np.bincount(values.astype(np.intp), minlength=len(column.words)).tolist()
        words = dict(zip(column.words, counted, strict=True))
        return Spread(clips, undefined, {}, [], [], words)
    if not len(values):
        return Spread(clips, undefined, {}, [], [], {})
    edges = round_steps(float(values[0]), float(values[-1]))
    heights = np.diff(np.searchsorted(values, edges[:-1]), append=len(values)).tolist()
    told = sorted({*edges, *thresholds})
    below = np.searchsorted(values, told, side="left").tolist()
    above = (len(values) - np.searchsorted(values, told, side="right")).tolist()
    return Spread(
        clips,
        undefined,
        {share: float(np.quantile(values, share, method="inverted_cdf")) for share in QUANTILES},
        [Bar(*bar) for bar in zip(edges[:-1], edges[1:], heights, strict=True)],
        [Drop(*drop) for drop in zip(told, below, above, strict=True)],
        {},
    )


def round_steps(low: float, high: float) -> list[float]:
    """Round numbers in even steps from at or below `low` to above or at `high`: about 20, 2 at least."""
    width = (high - low) / _STEPS or max(abs(high), 1.0) / _STEPS
    power = 10.0 ** np.floor(np.log10(width))
    step = float(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width))
    first, last = int(np.floor(low / step)), int(np.ceil(high / step))
    # A number next to nothing vanishes in the quotient.
    first, last = first - (first * step > low), last + (last * step < high)
    # Through the decimal form, for 3 * 0.1 is not 0.3.
    return [float(f"{number * step:.12g}") for number in range(first, max(last, first + 1) + 1)]
