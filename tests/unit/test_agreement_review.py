"""The second stage and the people in it."""

import math
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data.agreement import (
    RULES,
    VALOR,
    Check,
    Estimate,
    Expected,
    Outlier,
    Quality,
    Rule,
    Work,
    bad_share,
    compare,
    expected,
    left_bad,
    outliers,
    overlap,
    passing,
    pooled_quality,
    quality,
    share,
    standings,
)

shares = st.floats(0.0, 1.0)


def checked(rejects: float, captions: int, rng: np.random.Generator, spread: bool = False) -> list[Check]:
    """Three checkers' words; with `spread` some captions are harder than others, for all of them."""
    chance = rng.beta(rejects, 1 - rejects, (captions, 1)) if spread else rejects
    rejected = rng.random((captions, 3)) < chance
    return [Check(f"{place}", f"k{who}", bool(said)) for (place, who), said in np.ndenumerate(rejected)]


def test_quality_of_checkers() -> None:
    bad = {"b1": True, "b2": True, "g1": False, "g2": False}
    checks = [
        Check("b1", "x", True), Check("b2", "x", False), Check("g1", "x", False), Check("g2", "x", False),
        Check("b1", "y", True), Check("other", "y", True),
    ]  # fmt: skip
    found = quality(checks, bad)
    assert found["x"].sensitivity is not None
    assert found["x"].specificity is not None
    assert (found["x"].sensitivity.value, found["x"].specificity.value) == (0.5, 1.0)
    assert found["y"].sensitivity is not None
    assert found["y"].sensitivity[:1] == (1.0,)
    assert found["y"].specificity is None
    pooled = pooled_quality(checks, bad)
    assert pooled.sensitivity is not None
    assert pooled.sensitivity.value == pytest.approx(2 / 3)
    assert pooled.sensitivity.n == 3
    assert quality([], bad) == {}
    assert pooled_quality([], bad) == (None, None)


def test_pooled_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    for spread in (False, True):
        held = 0
        for _ in range(400):
            checks = checked(0.75, 100, rng, spread)
            found = pooled_quality(checks, dict.fromkeys({check.caption_id for check in checks}, True))
            assert found.sensitivity is not None
            held += found.sensitivity.low <= 0.75 <= found.sensitivity.high
        print("pooled", spread, held / 400)
        assert held / 400 >= 0.93


def test_the_paper_s_rule() -> None:
    """By hand: a bad caption passes with two or three misses, a good one falls by as many false alarms."""
    found = expected(VALOR, 0.8, 0.9, 0.2)
    assert found is not None
    bad_passes, good_falls = 3 * 0.8 * 0.2**2 + 0.2**3, 3 * 0.1**2 * 0.9 + 0.1**3
    accepted = 0.2 * bad_passes + 0.8 * (1 - good_falls)
    assert found.rule == VALOR
    assert found[1:] == pytest.approx(
        (bad_passes, good_falls, 0.2 * bad_passes / accepted, 1 / accepted, 3 / accepted)
    )


@given(st.sampled_from([*RULES, Rule(5, 2, True), Rule(4, 0, True)]), shares, shares, shares)
def test_a_rule_is_bound(rule: Rule, sensitivity: float, specificity: float, bad: float) -> None:
    found = expected(rule, sensitivity, specificity, bad)
    if found is None:
        return
    assert all(map(math.isfinite, found[1:]))
    assert 0 <= found.residual <= 1
    assert found.written >= 1 - 1e-9
    least = rule.checkers - rule.tolerated if rule.in_turn else rule.checkers
    assert found.checks >= min(least, rule.tolerated + 1) * (1 - 1e-9)
    same = expected(rule._replace(in_turn=not rule.in_turn), sensitivity, specificity, bad)
    assert same is not None
    assert same[1:5] == found[1:5]  # the outcome is the same, only the cost is not
    if sensitivity + specificity >= 1:
        assert found.residual <= bad + 1e-9


def test_sharper_checkers_leave_less() -> None:
    left = [expected(VALOR, sight, 0.9, 0.2) for sight in (0.1, 0.4, 0.7, 1.0)]
    residuals = [found.residual for found in left if found is not None]
    assert residuals == sorted(residuals, reverse=True)
    assert residuals[-1] == 0


def test_rules_side_by_side() -> None:
    rows = {row.rule: row for row in compare(0.8, 0.9, 0.2)}
    assert list(rows) == list(RULES)
    strictest, loosest = rows[Rule(3, 0)], rows[VALOR]
    assert strictest.residual < rows[Rule(2, 0)].residual < rows[Rule(1, 0)].residual
    assert strictest.written > loosest.written
    in_turn = rows[Rule(3, 1, in_turn=True)]
    assert in_turn.residual == loosest.residual
    # Two agree with chance s^2 + (1-s)^2, else a third is asked.
    asked = 0.2 * (2 + 2 * 0.8 * 0.2) + 0.8 * (2 + 2 * 0.9 * 0.1)
    assert in_turn.checks == pytest.approx(asked * in_turn.written)


def test_a_simulated_loop_comes_to_what_is_expected() -> None:
    rng = np.random.default_rng(2)
    for rule in RULES:
        found = expected(rule, 0.7, 0.85, 0.3)
        assert found is not None
        open_, written, checks, accepted_bad, count = 20_000, 0, 0, 0, 20_000
        while open_:
            bad = rng.random(open_) < 0.3
            said = rng.random((open_, rule.checkers)) < np.where(bad, 0.7, 0.15)[:, None]
            sent_back = said.sum(axis=1) > rule.tolerated
            made = np.full(open_, rule.checkers)
            if rule.in_turn:
                made = np.where(said[:, 0] == said[:, 1], 2, 3)
            written, checks = written + open_, checks + int(made.sum())
            accepted_bad += int((bad & ~sent_back).sum())
            open_ = int(sent_back.sum())
        assert accepted_bad / count == pytest.approx(found.residual, abs=0.01)
        assert written / count == pytest.approx(found.written, rel=0.02)
        assert checks / count == pytest.approx(found.checks, rel=0.02)


def test_rules_without_sense() -> None:
    assert expected(VALOR, 1.0, 0.0, 0.5) is None
    assert compare(1.0, 0.0, 0.5) == []
    with pytest.raises(ValueError, match="2 checkers cannot tolerate 2"):
        expected(Rule(2, 2), 0.8, 0.9, 0.2)
    with pytest.raises(ValueError, match="between 0 and 1"):
        expected(VALOR, 1.2, 0.9, 0.2)


def test_what_is_left_has_the_doubt_of_its_parts() -> None:
    rng = np.random.default_rng(7)
    for rule in (VALOR, Rule(2, 0)):
        truth = expected(rule, 0.75, 0.9, 0.15)
        assert truth is not None
        held = 0
        for _ in range(1000):
            no = 0.15 * 0.75 + 0.85 * (1 - 0.9)
            seen, sound, rejected = (
                share(int(rng.binomial(n, p)), n) for n, p in ((120, 0.75), (150, 0.9), (400, no))
            )
            assert rejected is not None
            found = left_bad(rule, rejected, Quality(seen, sound))
            assert found is not None
            held += found.low <= truth.residual <= found.high
        print("left bad", rule, held / 1000)
        assert held / 1000 >= 0.93
    some = Estimate(0.1, 0, 0.2, 9)
    for unknown in (Quality(None, share(1, 2)), Quality(share(9, 9), None)):
        assert left_bad(VALOR, some, unknown) is None
        assert bad_share(some, unknown) is None
    assert bad_share(some, Quality(share(0, 9), share(0, 9))) is None  # checks that tell nothing
    blind = bad_share(Estimate(0.5, 0.4, 0.6, 9), Quality(share(5, 8), share(5, 8)))
    assert blind is not None
    assert (blind.low, blind.high) == (0.0, 1.0)  # at an end of theirs, checks tell nothing
    perfect = Quality(Estimate(1, 1, 1, 50), Estimate(1, 1, 1, 50))
    assert bad_share(some, perfect) == pytest.approx(some)


def test_dependence_shows() -> None:
    rng = np.random.default_rng(3)
    apart, together = overlap(checked(0.7, 300, rng)), overlap(checked(0.7, 300, rng, spread=True))
    assert apart is not None
    assert together is not None
    assert apart.expected == pytest.approx(0.7**3 + 0.3**3, abs=0.05)
    assert apart.p_value > 0.05
    assert together.observed > together.expected + 0.1
    assert together.p_value < 0.001


def test_independent_checkers_are_seldom_accused() -> None:
    rng = np.random.default_rng(4)
    found = [overlap(checked(0.6, 40, rng)) for _ in range(40)]
    accused = sum(one is not None and one.p_value < 0.05 for one in found)
    assert accused <= 6  # with 2 to be expected; 7 or more come once in 300


def test_no_overlap_is_none() -> None:
    assert overlap([]) is None
    assert overlap([Check("1", "x", True), Check("2", "y", True)]) is None
    agreed = overlap([Check("1", "x", True), Check("1", "y", True)])
    assert agreed == (1, 1, 1, 1)


def test_passing_is_counted() -> None:
    rng = np.random.default_rng(5)
    for rule in RULES:
        found = passing(rule, checked(0.8, 3000, rng))
        assert found is not None
        computed = expected(rule, 0.8, 0.9, 0.2)
        assert isinstance(computed, Expected)
        assert found.value == pytest.approx(computed.bad_passes, abs=0.03)
    # Of four checks two reject: one of the six pairs holds no rejection.
    four = [Check(caption, f"k{n}", n < 2) for caption in "ab" for n in range(4)]
    some = passing(Rule(2, 0), four)
    assert some is not None
    assert (some.value, some.n) == (1 / comb(4, 2), 2)
    assert 0 < some.low < some.value < some.high < 1
    none = passing(VALOR, [Check(str(n), f"k{who}", True) for n in range(20) for who in range(3)])
    assert none == share(0, 20)
    assert passing(VALOR, [Check("1", "x", True)]) is None


# People


def test_standings() -> None:
    work = [Work("x", str(n), lead_ms=60_000, accepted=n < 8, gold_right=True) for n in range(10)]
    lunch = Work("x", "10", lead_ms=3_600_000)
    found = standings([*work, lunch, Work("y", "1")])
    assert [one.annotator for one in found] == ["x", "y"]
    x, y = found
    assert x.captions == 11
    assert x.lead_s is not None
    assert x.lead_s.value == 60
    assert x.per_hour == pytest.approx(11 * 60 / 13)  # lunch counts three minutes
    assert x.accepted is not None
    assert x.accepted.value == 0.8
    assert x.gold is not None
    assert (x.gold.value, x.gold.high) == (1, 1)
    assert y == ("y", 1, None, None, None, None)
    assert standings([Work("z", "1", lead_ms=0)])[0].per_hour is None
    assert standings([]) == []


def test_outliers() -> None:
    counts = {f"a{n}": (90 + n % 5, 100) for n in range(20)} | {"lax": (100, 100), "bad": (60, 100)}
    found = outliers(counts)
    assert [one.annotator for one in found] == ["bad", "lax"]
    bad = found[0]
    assert isinstance(bad, Outlier)
    assert bad.rate == 0.6
    assert bad.others == pytest.approx((sum(hits for hits, _ in counts.values()) - 60) / 2100)
    assert bad.p_value < 1e-10


def test_outliers_of_nothing() -> None:
    assert outliers({}) == outliers({"x": (0, 0)}) == outliers({"x": (3, 9), "y": (0, 0)}) == []


def test_equal_people_are_seldom_named() -> None:
    rng = np.random.default_rng(6)
    named = sum(
        bool(outliers({str(n): (int(hits), 60) for n, hits in enumerate(rng.binomial(60, 0.85, 15))}))
        for _ in range(400)
    )
    print("named", named / 400)
    assert named / 400 <= 0.07
