"""Shares, means, medians and audits: published values, other libraries', and how often intervals hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data.agreement import (
    Estimate,
    Stratum,
    clopper_pearson,
    clustered_share,
    difference_of_medians,
    difference_of_shares,
    fisher,
    in_population,
    mean,
    median,
    newcombe,
    residual,
    share,
    stratified,
    wilson,
)

ENOUGH = 0.93


@pytest.mark.parametrize(
    ("hits", "of", "score", "exact"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), pp. 857-872, table I, to four digits.
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
        # statsmodels 0.15.0, proportion_confint.
        (0, 10, (0.0, 0.2775328), (0.0, 0.3084971)),
        (10, 10, (0.7224672, 1.0), (0.6915029, 1.0)),
    ],
)
def test_share(hits: int, of: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    found = share(hits, of)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(score, abs=5e-5)
    assert clopper_pearson(hits, of) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "ends"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), pp. 873-890, table II, method 10.
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        # statsmodels 0.15.0, confint_proportions_2indep.
        ((0, 20, 0, 10), (-0.2775328, 0.1611251)),
    ],
)
def test_difference_of_shares(counts: tuple[int, int, int, int], ends: tuple[float, float]) -> None:
    found = difference_of_shares(*counts)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(ends, abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "ends"),
    # scipy 1.12.0, hypergeom: every number that neither tail of 2.5 % rules out.
    [
        ((3, 50, 500), (8, 80)),
        ((0, 100, 1000), (0, 34)),
        ((10, 20, 40), (14, 26)),
        ((5, 5, 30), (16, 30)),
        ((7, 7, 7), (7, 7)),
        ((0, 0, 9), (0, 9)),
    ],
)
def test_number_in_a_population(counts: tuple[int, int, int], ends: tuple[int, int]) -> None:
    assert in_population(*counts) == ends


@pytest.mark.parametrize(
    ("counts", "chance"),
    # The lady tasting tea (Fisher, 1935); then scipy 1.12.0, fisher_exact.
    [
        ((3, 4, 1, 4), 0.4857),
        ((8, 10, 1, 6), 0.0349650),
        ((3, 50, 40, 200), 0.0200600),
        ((0, 5, 0, 7), 1.0),
        ((12, 30, 300, 900), 0.4384655),
    ],
)
def test_fisher(counts: tuple[int, int, int, int], chance: float) -> None:
    assert fisher(*counts) == pytest.approx(chance, abs=5e-5)
    assert fisher(*counts[2:], *counts[:2]) == pytest.approx(chance, abs=5e-5)


counts = st.integers(0, 200).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(counts, counts)
def test_shares_are_bound_and_mirrored(one: tuple[int, int], other: tuple[int, int]) -> None:
    low, high = map(float, wilson(*one))
    assert 0 <= low <= high <= 1
    other_low, other_high = map(float, wilson(one[1] - one[0], one[1]))
    assert (1 - other_high, 1 - other_low) == pytest.approx((low, high))
    least, most = clopper_pearson(*one)
    assert 0 <= least <= most <= 1
    down, up = map(float, newcombe(*one, *other))
    assert -1 - 1e-12 <= down <= up <= 1 + 1e-12
    assert tuple(map(float, newcombe(*other, *one))) == pytest.approx((-up, -down))
    found = difference_of_shares(*one, *other)
    assert (found is None) == (one[1] == 0 or other[1] == 0)
    assert found is None or found.low - 1e-12 <= found.value <= found.high + 1e-12


def test_many_at_a_time() -> None:
    low, high = wilson([0, 81, 0], [0, 263, 10])
    assert low == pytest.approx([0, 0.25529, 0], abs=5e-6)
    assert high == pytest.approx([1, 0.36621, 0.27753], abs=5e-6)
    down, up = newcombe([56, 0], [70, 0], [48, 3], [80, 4])
    assert (down[0], up[0]) == pytest.approx((0.05243, 0.33387), abs=5e-6)
    assert (down[1], up[1]) == (-1, 1)


def test_nothing_counted_is_none() -> None:
    assert share(0, 0) is clustered_share([], []) is clustered_share([0], [0]) is None
    assert difference_of_shares(0, 0, 1, 2) is difference_of_shares(1, 2, 0, 0) is None
    assert mean([]) is mean([1.0]) is median([]) is median([1.0]) is None
    assert difference_of_medians([1.0, 2.0], [1.0]) is None
    assert residual(0, 0) is residual(0, 0, 10) is residual(0, 0, 0) is None
    assert stratified([]) is stratified([Stratum(0, 0, 0)]) is None
    assert stratified([Stratum(1, 10, 100), Stratum(0, 0, 5)]) is None
    assert clopper_pearson(0, 0) == (0, 1)


def test_more_hits_than_counted() -> None:
    with pytest.raises(ValueError, match="between 0"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="3 hits of 2"):
        clopper_pearson(3, 2)
    with pytest.raises(ValueError, match="3 hits of 3 drawn from 2"):
        residual(3, 3, 2)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_means_and_medians_are_bound(values: list[float]) -> None:
    for found in (mean(values), median(values)):
        assert found is not None
        assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6
        assert all(map(math.isfinite, found))
    backwards = median(values[::-1])
    assert backwards == median(values)


def test_medians_of_resamples_need_no_resamples() -> None:
    rng = np.random.default_rng(2)
    for count in (9, 10):
        values = rng.lognormal(size=count)
        found = median(values)
        drawn = np.median(values[rng.integers(0, count, (200_000, count))], axis=1)
        assert found is not None
        middle = np.median(drawn)
        assert found.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.15 * middle)
        assert found.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.15 * middle)


def test_answers_of_one_group_are_not_many() -> None:
    apart, together = clustered_share([1, 0] * 50, [1] * 100), clustered_share([10, 0] * 5, [10] * 10)
    assert apart is not None
    assert together is not None
    assert apart[:3] == pytest.approx(share(50, 100)[:3], abs=0.002)
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert clustered_share([10], [10])[:3] == share(1, 1)[:3]


def holds(found: Estimate | None, truth: float) -> bool:
    return found is not None and found.low - 1e-12 <= truth <= found.high + 1e-12


def test_intervals_of_shares_hold_the_truth() -> None:
    """Over true shares of all sizes: a single one may lie badly between the few ends that are possible."""
    rng = np.random.default_rng(3)
    for of in (30, 200):
        truth, other_truth = rng.uniform(0.02, 0.98, (2, 20_000))
        hits, other = rng.binomial(of, truth), rng.binomial(2 * of, other_truth)
        low, high = wilson(hits, of)
        down, up = newcombe(hits, of, other, 2 * of)
        exact = np.array([clopper_pearson(count, of) for count in range(of + 1)])[hits]
        held = [
            np.mean((low <= truth) & (truth <= high)),
            np.mean((down <= truth - other_truth) & (truth - other_truth <= up)),
            np.mean((exact[:, 0] <= truth) & (truth <= exact[:, 1])),
        ]
        print("Wilson, Newcombe, Clopper-Pearson", of, held)
        assert min(held) >= 0.945


def test_intervals_of_means_and_medians_hold_the_truth() -> None:
    rng = np.random.default_rng(4)
    held = np.zeros(3)
    for _ in range(600):
        values, others = rng.lognormal(0, 0.5, 80), rng.lognormal(0.3, 0.5, 61)
        held += [
            holds(mean(values), math.exp(0.125)),
            holds(median(values), 1),
            holds(difference_of_medians(values, others), 1 - math.exp(0.3)),
        ]
    print("mean, median, difference of medians", held / 600)
    assert (held / 600 >= ENOUGH).all()


def test_intervals_of_groups_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(2000):
        sizes = rng.integers(1, 6, 80)
        own = rng.beta(4, 1, 80)  # each group has a rate of its own
        held += holds(clustered_share(rng.binomial(sizes, own), sizes), 0.8)
    print("groups", held / 2000)
    assert held / 2000 >= ENOUGH


def test_audits_hold_the_truth() -> None:
    rng = np.random.default_rng(6)
    bad, populations, audited = (30, 6, 200), (2000, 400, 1000), (100, 60, 80)
    held = np.zeros(2)
    for _ in range(1000):
        drawn = [
            int(rng.hypergeometric(marked, population - marked, count))
            for marked, population, count in zip(bad, populations, audited, strict=True)
        ]
        strata = [Stratum(*row) for row in zip(drawn, audited, populations, strict=True)]
        held += [holds(stratified(strata), 236 / 3400), holds(residual(drawn[1], 60, 400), 6 / 400)]
    print("stratified, hypergeometric", held / 1000)
    assert (held / 1000 >= 0.945).all()


def test_an_audit_of_all_leaves_no_doubt() -> None:
    assert residual(2, 50, 50) == (0.04, 0.04, 0.04, 50)
    whole = stratified([Stratum(2, 50, 50), Stratum(0, 30, 30)])
    assert whole == pytest.approx((2 / 80, 2 / 80, 2 / 80, 80))


def test_one_stratum_is_no_stratum() -> None:
    assert stratified([Stratum(3, 50, 500)]) == pytest.approx(residual(3, 50, 500))


def test_a_million_captions() -> None:
    found = residual(12, 1000, 1_180_000)
    endless = residual(12, 1000)
    assert found is not None
    assert found == pytest.approx(endless, abs=1e-4)
