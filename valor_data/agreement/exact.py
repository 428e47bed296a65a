"""Exact intervals and tests of counts: sums of binomial and hypergeometric terms, no approximation."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from valor_data.agreement.rates import TAIL, Floats

_HALVINGS = 60
_SAME = 1 + 1e-7
"""Probabilities closer than this are equal but for rounding."""


def clopper_pearson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share of an endless population (Clopper & Pearson, Biometrika 26, 1934).

    Holds the truth at least so often. 0 to 1 where nothing was counted. ValueError where hits > of.
    """
    if not 0 <= hits <= of:
        raise ValueError(f"{hits} hits of {of}")
    up, down = np.arange(hits, of + 1), np.arange(hits + 1)
    low = 0.0 if not hits else _rising(lambda share: _binomial(up, of, share))
    high = 1.0 if hits == of else 1 - _rising(lambda share: _binomial(down, of, 1 - share))
    return low, high


def in_population(hits: int, drawn: int, population: int) -> tuple[int, int]:
    """95 % bounds of the number in a population of which `hits` are in a sample drawn without return.

    Each bound leaves at most 2.5 % to the hypergeometric tail beyond what was seen (Buonaccorsi,
    American Statistician 41, 1987). ValueError where the counts do not fit in one another.
    """
    if not 0 <= hits <= drawn <= population:
        raise ValueError(f"{hits} hits of {drawn} drawn from {population}")
    up, down = np.arange(hits, drawn + 1), np.arange(hits + 1)
    least, most = hits, population - drawn + hits
    low, high = least, most
    while low < high:
        middle = (low + high) // 2
        if hypergeometric(up, drawn, middle, population).sum() > TAIL:
            high = middle
        else:
            low = middle + 1
    first, low, high = low, least, most
    while low < high:
        middle = (low + high + 1) // 2
        if hypergeometric(down, drawn, middle, population).sum() > TAIL:
            low = middle
        else:
            high = middle - 1
    return first, low


def fisher(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Chance that two equal shares come out at least so unlike (Fisher's exact test, two-sided)."""
    marked, population = hits + other_hits, of + other_of
    support = np.arange(max(0, marked - other_of), min(of, marked) + 1)
    chance = hypergeometric(support, of, marked, population)
    seen = chance[hits - support[0]]
    return min(1.0, float(chance[chance <= seen * _SAME].sum()))


def hypergeometric(found: npt.NDArray[np.intp], drawn: int, marked: int, population: int) -> Floats:
    """Chance of each number of marked ones among `drawn` of a population without return."""
    logs = _log_factorials(population)
    chance = np.zeros(len(found))
    able = (found <= marked) & (drawn - found <= population - marked)
    x = found[able]
    chance[able] = np.exp(
        (logs[marked] - logs[x] - logs[marked - x])
        + (logs[population - marked] - logs[drawn - x] - logs[population - marked - drawn + x])
        - (logs[population] - logs[drawn] - logs[population - drawn])
    )
    return chance


def _binomial(found: npt.NDArray[np.intp], of: int, share: float) -> float:
    logs = _log_factorials(of)
    terms = logs[of] - logs[found] - logs[of - found]
    return float(np.exp(terms + found * np.log(share) + (of - found) * np.log1p(-share)).sum())


def _rising(tail: Callable[[float], float]) -> float:
    """Where a tail that rises with the share reaches what an interval leaves out."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if tail(middle) > TAIL else (middle, high)
    return (low + high) / 2


@lru_cache(maxsize=4)
def _log_factorials(most: int) -> Floats:
    logs: Floats = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, most + 1)))))
    return logs
