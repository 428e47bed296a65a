"""Agreement on choices and on sets: published values, other libraries' values, and what must always hold."""

import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data.agreement import (
    Choice,
    Estimate,
    Labelled,
    Ratings,
    agreement,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    masi,
    masi_alpha,
    same,
)

Measure = Callable[[Ratings], Estimate | None]
MEASURES: list[Measure] = [same, fleiss_kappa, gwet_ac1, krippendorff_alpha]


def rated(*clips: str, classes: tuple[str, ...] = ()) -> Ratings:
    """A word a clip, a letter a rater, a dot where the rater did not answer."""
    return Ratings.of(rows_of(clips), classes)


def rows_of(clips: tuple[str, ...] | list[str]) -> list[Choice]:
    return [
        Choice(f"{place:05}", f"r{rater}", choice)
        for place, clip in enumerate(clips)
        for rater, choice in enumerate(clip)
        if choice != "."
    ]


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def pair(ratings: Ratings) -> Estimate | None:
    return cohen_kappa(ratings, "r0", "r1")


# Published examples


def test_fleiss_kappa_of_ten_subjects_by_fourteen_raters() -> None:
    """The worked example of Wikipedia's article on Fleiss' kappa: 0.210."""
    table = """0 0 0 0 14|0 2 6 4 2|0 0 3 5 6|0 3 9 2 0|2 2 8 1 1
               |7 7 0 0 0|3 2 6 3 0|2 5 3 2 2|6 5 2 1 0|0 2 2 3 7"""
    counts = [list(map(int, row.split())) for row in table.split("|")]
    ratings = rated(*("".join(c * n for c, n in zip("abcde", row, strict=True)) for row in counts))
    assert value(fleiss_kappa(ratings)) == pytest.approx(0.210, abs=0.0005)


def test_krippendorff_alpha_of_two_observers() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), binary data: 0.095."""
    ratings = rated(*map("".join, zip("0100000010", "1110010000", strict=True)))
    assert value(krippendorff_alpha(ratings)) == pytest.approx(0.095, abs=0.0005)


def test_four_raters_with_missing_answers() -> None:
    """Alpha 0.743: Krippendorff (2011). AC1 0.775 and kappa 0.761: the same data in Gwet's Handbook."""
    raters = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    ratings = rated(*map("".join, zip(*raters, strict=True)))
    assert value(krippendorff_alpha(ratings)) == pytest.approx(0.743, abs=0.0005)
    assert value(gwet_ac1(ratings)) == pytest.approx(0.775, abs=0.0005)
    assert value(fleiss_kappa(ratings)) == pytest.approx(0.761, abs=0.0005)


def test_kappa_falls_where_nearly_all_is_accepted_and_ac1_does_not() -> None:
    """The paradox of Feinstein and Cicchetti (J Clin Epidemiol 43, 1990): 85 % agree both times."""
    even = rated(*["aa"] * 40, *["ab"] * 9, *["ba"] * 6, *["bb"] * 45)
    skewed = rated(*["aa"] * 80, *["ab"] * 10, *["ba"] * 5, *["bb"] * 5)
    assert value(same(even)) == value(same(skewed)) == pytest.approx(0.85)
    assert value(pair(even)) == pytest.approx(0.70, abs=0.005)
    assert value(pair(skewed)) == pytest.approx(0.32, abs=0.005)
    assert value(gwet_ac1(even)) == pytest.approx(0.70, abs=0.005)
    assert value(gwet_ac1(skewed)) == pytest.approx(0.81, abs=0.005)
    worse = rated(*["aa"] * 95, *["ab"] * 3, *["ba"] * 2)
    assert value(pair(worse)) < 0 < 0.94 < value(gwet_ac1(worse))


# Other libraries

FORTY = (
    ".c.. ..bb ccc. cccc .bcb ca.b c.cc aa.. aaaa baca a.aa cccc .ccc aaac cc.b c.cc a..a ..ca a.ac b.b. "
    "cccc .aaa bbc. .b.. cc.c aaaa accc b... bbbb abbc .bb. bbbb babb cac. c.cc cb.c .ccc babb bbbb cbcc"
)


def test_as_other_libraries_find() -> None:
    """irrCAC 0.4.4 (AC1, Fleiss), krippendorff 0.9.0 (alpha), scikit-learn 1.9.1 (Cohen)."""
    ratings = rated(*FORTY.split())
    assert value(gwet_ac1(ratings)) == pytest.approx(0.59258832)
    assert value(fleiss_kappa(ratings)) == pytest.approx(0.57799659)
    assert value(krippendorff_alpha(ratings)) == pytest.approx(0.5711482195104547)
    assert value(pair(ratings)) == pytest.approx(0.4185393258426966)
    complete = rated(*(clip for clip in FORTY.split() if "." not in clip))
    assert value(fleiss_kappa(complete)) == pytest.approx(0.5808885163453479)  # statsmodels 0.15.0


TICKED = (
    "cr crs crs|m mr .|m . .|cdrs cds cdmrs|cdmr . dmr|. - cr|cm cd cdms|cms cm cm|mr ms m|"
    "mrs cms s|cm . -|cm ms .|. cms ms|c c c|. . cdm|. cmr cdr|cmr r cdr|d . .|"
    "d cs -|cdr cdrs cdrs|d d dm|cm cm cm|cs cms cs|. cdmrs cdrs"
)


def ticked(*clips: str) -> list[Labelled]:
    """A letter a label; a dash where a rater ticked nothing, a dot where there is no answer."""
    return [
        Labelled(f"{place:05}", f"r{rater}", frozenset(labels.replace("-", "")))
        for place, clip in enumerate(clips)
        for rater, labels in enumerate(clip.split())
        if labels != "."
    ]


def test_sets_as_nltk_finds() -> None:
    """nltk 3.10.4, AnnotationTask.alpha, with the exact thirds of the paper for its 0.67 and 0.33."""
    found = masi_alpha(ticked(*TICKED.split("|")))
    assert value(found) == pytest.approx(0.29546718576195763)
    assert found is not None
    assert found.n == 21


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("ab", "ab", 0), ("", "", 0), ("a", "b", 1), ("a", "", 1), ("a", "ab", 2 / 3), ("ab", "bc", 8 / 9)],
)
def test_masi_of_the_paper(first: str, second: str, distance: float) -> None:
    assert masi(frozenset(first), frozenset(second)) == pytest.approx(distance)
    assert masi(frozenset(second), frozenset(first)) == pytest.approx(distance)


# What always holds

clips = st.lists(st.text("abc.", min_size=3, max_size=3), max_size=12)


@settings(max_examples=60, deadline=None)
@given(clips, st.randoms(use_true_random=False), st.permutations("abc"))
def test_order_and_names_play_no_part(clips: list[str], random: Random, others: list[str]) -> None:
    rows = rows_of(clips)
    random.shuffle(rows)
    renamed = str.maketrans("abc", "".join(others))
    turned = rated(*(clip[::-1] for clip in reversed(clips)))
    relabelled = rated(*(clip.translate(renamed) for clip in clips))
    for measure in MEASURES:
        found = measure(rated(*clips))
        assert measure(Ratings.of(rows)) == found
        assert measure(turned) == found
        if found is None:
            assert measure(relabelled) is None
            continue
        assert value(measure(relabelled)) == pytest.approx(found.value)
        assert all(map(math.isfinite, found))
        assert found.low <= found.high <= 1
        assert found.value <= 1


@settings(max_examples=60, deadline=None)
@given(clips)
def test_cohen_is_symmetric_and_bound(clips: list[str]) -> None:
    ratings = rated(*clips, "aaa", "aba")
    found = pair(ratings)
    assert found is not None
    assert cohen_kappa(ratings, "r1", "r0") == found
    assert -1 <= found.low <= found.high <= 1
    assert -1 <= found.value <= 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12))
def test_total_agreement_is_one(said: list[str]) -> None:
    ratings = rated(*(choice * 3 for choice in said))
    sets = masi_alpha(ticked(*(f"{choice} {choice} {choice}" for choice in said)))
    for found in (*agreement(ratings), pair(ratings), sets):
        assert found is not None
        assert (found.value, found.high) == (1, 1)
        assert 0 <= found.low < 1
        assert found.n == len(said)


def test_total_agreement_on_few_clips_proves_little() -> None:
    few, many = (rated(*["aa", "bb"] * count) for count in (5, 500))
    for measure in (*MEASURES, pair):
        low, high = measure(few), measure(many)
        assert low is not None
        assert high is not None
        assert low.low < 0.75 < 0.98 < high.low
    # Where only one class was ever said, kappa tells nothing; AC1 does, knowing that there are two.
    one_class = rated(*["aa"] * 500, classes=("a", "b"))
    assert pair(one_class) == (1, 0, 1, 500)
    assert gwet_ac1(one_class).low > 0.98


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sets(st.sampled_from("abcd")), max_size=3), max_size=8))
def test_sets_hold_no_surprise(clips: list[list[set[str]]]) -> None:
    rows = [
        Labelled(str(place), str(rater), frozenset(labels))
        for place, clip in enumerate(clips)
        for rater, labels in enumerate(clip)
    ]
    found = masi_alpha(rows)
    assert masi_alpha(rows[::-1]) == pytest.approx(found)
    assert (found is None) == (sum(len(clip) > 1 for clip in clips) < 2)
    if found is not None:
        assert all(map(math.isfinite, found))
        assert found.low <= found.high <= 1


@settings(max_examples=40, deadline=None)
@given(clips)
def test_sets_of_one_label_are_choices(clips: list[str]) -> None:
    nominal = krippendorff_alpha(rated(*clips))
    sets = masi_alpha(ticked(*(" ".join(clip) for clip in clips)))
    assert (nominal is None) == (sets is None)
    if nominal is not None:
        assert value(sets) == pytest.approx(nominal.value)


def test_chance_is_about_zero() -> None:
    said = np.random.default_rng(1).choice(list("abc"), (5000, 3))
    ratings = rated(*map("".join, said))
    for measure in (fleiss_kappa, gwet_ac1, krippendorff_alpha, pair):
        assert value(measure(ratings)) == pytest.approx(0, abs=0.03)
    assert value(masi_alpha(ticked(*map(" ".join, said)))) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("clips", [(), ("...",), ("a..", ".b.", "..c"), ("aba", "a..")])
def test_too_little_to_compare_is_none(clips: tuple[str, ...]) -> None:
    assert agreement(rated(*clips)) == (None, None, None, None)
    assert masi_alpha(ticked(*(" ".join(clip) for clip in clips))) is None


def test_two_who_share_no_clip_and_one_unknown() -> None:
    ratings = rated("a..", ".b.")
    assert pair(ratings) is None
    with pytest.raises(KeyError, match="nobody"):
        cohen_kappa(ratings, "r0", "nobody")


def test_the_last_word_stands() -> None:
    rows = [Choice("1", "x", "a"), Choice("1", "y", "b"), Choice("1", "x", "b")]
    rows += [Choice("2", "x", "a"), Choice("2", "y", "a")]
    assert value(same(Ratings.of(rows))) == 1


# Intervals


def simulated(rng: np.random.Generator, count: int, shares: list[float], right: float) -> Ratings:
    """Three raters, a tenth of the answers missing; who does not know says anything."""
    truth = rng.choice(len(shares), (count, 1), p=shares)
    codes = np.where(rng.random((count, 3)) < right, truth, rng.integers(0, len(shares), (count, 3)))
    clip_N, rater_N = np.nonzero(rng.random((count, 3)) < 0.9)
    names = tuple("abc"[: len(shares)])
    return Ratings(("r0", "r1", "r2"), names, count, clip_N, rater_N, codes[clip_N, rater_N])


@pytest.mark.parametrize("measure", [*MEASURES, pair])
@pytest.mark.parametrize(
    ("shares", "right", "count"),
    [([0.6, 0.3, 0.1], 0.75, 150), ([0.95, 0.05], 0.9, 150), ([0.5, 0.5], 0.95, 50)],
    ids=["three classes", "nearly all accepted", "few and good"],
)
def test_intervals_hold_the_truth(measure: Measure, shares: list[float], right: float, count: int) -> None:
    rng = np.random.default_rng(5)
    truth = value(measure(simulated(rng, 300_000, shares, right)))
    held = 0
    for _ in range(300):
        found = measure(simulated(rng, count, shares, right))
        assert found is not None
        held += found.low <= truth <= found.high
    print(measure.__name__, shares, held / 300)
    assert held / 300 >= 0.93


def test_intervals_of_sets_hold_the_truth() -> None:
    rng = np.random.default_rng(6)

    def some(count: int) -> list[Labelled]:
        base = rng.random((count, 1, 3)) < 0.4
        found = base ^ (rng.random((count, 2, 3)) < 0.12)
        return ticked(
            *(" ".join("".join(np.array(list("abc"))[one]) or "-" for one in clip) for clip in found)
        )

    truth = value(masi_alpha(some(30_000)))
    held = 0
    for _ in range(200):
        found = masi_alpha(some(80))
        assert found is not None
        held += found.low <= truth <= found.high
    print("masi", held / 200)
    assert held / 200 >= 0.93
