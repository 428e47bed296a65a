"""What share of a release is bad, from a random sample that was looked at closely."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from valor_data.agreement.exact import clopper_pearson, in_population
from valor_data.agreement.rates import Estimate


class Stratum(NamedTuple):
    """A part of a population and the random sample drawn from it."""

    bad: int
    audited: int
    population: int


def residual(bad: int, audited: int, population: int | None = None) -> Estimate | None:
    """Share of bad captions with an exact interval; None where none was audited.

    Hypergeometric where the population is told, so that an audit of all has no doubt left; else
    Clopper-Pearson. ValueError where the counts do not fit in one another.
    """
    if population is None:
        low, high = clopper_pearson(bad, audited)
    else:
        least, most = in_population(bad, audited, population)
        low, high = least / max(1, population), most / max(1, population)
    return Estimate(bad / audited, low, high, audited) if audited else None


def stratified(strata: Sequence[Stratum]) -> Estimate | None:
    """Share of bad captions of all strata together, each weighed by its population.

    The distance from each stratum's share to its exact bounds is added up in squares (MOVER: Zou & Donner,
    Statistics in Medicine 27, 2008). Holds the truth at least about as often as it says, most so with many
    strata where nothing bad was found. None where nothing was audited, or a stratum that has captions was
    not: nothing is known of it.
    """
    strata = [stratum for stratum in strata if stratum.population]
    population = sum(stratum.population for stratum in strata)
    value = down = up = 0.0
    for stratum in strata:
        found = residual(*stratum)
        if found is None:
            return None
        weight = stratum.population / population
        value += weight * found.value
        down += (weight * (found.value - found.low)) ** 2
        up += (weight * (found.high - found.value)) ** 2
    if not strata:
        return None
    audited = sum(stratum.audited for stratum in strata)
    return Estimate(value, max(0.0, value - sqrt(down)), min(1.0, value + sqrt(up)), audited)
