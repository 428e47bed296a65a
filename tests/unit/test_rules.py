"""Rules: what breaks, which reason wins, what a missing number does; the cap on labels; the spread."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.columns import column
from tests.fakes.columns import labels as labels_of
from valor_data import rules
from valor_data.recipe import Condition, Rule
from valor_data.rules import Cap, Column, Labels, Verdicts

QUIET = Rule(metric="loudness_lufs", min=-55.0, reason="inaudible")
SOUND = Rule(metric="has_audio", equals=True, reason="no_audio")
NUMBER = st.none() | st.integers(-8, 8).map(float)


def columns(loudness: list[float | None], sound: list[bool | None] | None = None) -> dict[str, Column]:
    return {
        "loudness_lufs": column(loudness),
        "has_audio": column([True] * len(loudness) if sound is None else sound),
    }


def decided(
    known: dict[str, Column], asked: list[Rule], clips: int, labels: Labels | None = None
) -> Verdicts:
    return rules.decide(known, asked, Verdicts(clips), labels or rules.NO_LABELS)


def reasons(verdicts: Verdicts) -> list[str]:
    return [verdicts.reasons[code] for code in verdicts.code]


class TestOneRule:
    def test_a_clip_is_kept_when_no_rule_breaks(self) -> None:
        verdicts = decided(columns([-20.0, -70.0, -55.0]), [SOUND, QUIET], 3)
        assert verdicts.kept.tolist() == [True, False, True]
        assert reasons(verdicts) == ["", "inaudible", ""]
        assert verdicts.detail.tolist() == ["", "loudness_lufs -70 < -55", ""]
        assert verdicts.counts() == {"inaudible": 1}

    def test_the_first_broken_rule_gives_the_reason_and_every_rule_is_counted(self) -> None:
        verdicts = decided(columns([None, -70.0], [False, True]), [SOUND, QUIET], 2)
        assert reasons(verdicts) == ["no_audio", "inaudible"]
        assert verdicts.detail[0] == "has_audio is false, not true"
        assert verdicts.dropped == {"no_audio: has_audio = true": 1, "inaudible: loudness_lufs >= -55": 2}

    def test_what_is_said_before_the_rules_stands(self) -> None:
        verdicts = Verdicts(2)
        verdicts.reject(np.array([0]), "opted_out", ["asked for it"])
        rules.decide(columns([-70.0, -70.0]), [QUIET], verdicts)
        assert reasons(verdicts) == ["opted_out", "inaudible"]
        assert verdicts.detail[0] == "asked for it"

    def test_a_missing_number_can_be_let_through(self) -> None:
        lenient = QUIET.model_copy(update={"missing": "keep"})
        assert decided(columns([None]), [lenient], 1).kept.tolist() == [True]
        strict = decided(columns([None]), [QUIET], 1)
        assert strict.detail.tolist() == ["loudness_lufs is not defined for this clip"]

    def test_words_are_compared(self) -> None:
        rule = Rule(metric="leak", equals="none", reason="leak")
        verdicts = decided({"leak": column(["none", "print", None])}, [rule], 3)
        assert verdicts.detail.tolist() == [
            "",
            "leak is print, not none",
            "leak is not defined for this clip",
        ]
        absent = decided({"leak": column(["print", "print"])}, [rule], 2)
        assert not absent.kept.any()

    def test_no_clip_gives_no_verdict(self) -> None:
        assert decided(columns([]), [SOUND, QUIET], 0).detail.tolist() == []

    @given(values=st.lists(NUMBER, max_size=30), ends=st.tuples(NUMBER, NUMBER))
    def test_kept_is_what_a_plain_loop_would_keep(
        self, values: list[float | None], ends: tuple[float | None, float | None]
    ) -> None:
        low, high = sorted(end or 0.0 for end in ends)
        rule = Rule(metric="loudness_lufs", min=low, max=high, reason="out")
        verdicts = decided(columns(values), [rule], len(values))
        assert verdicts.kept.tolist() == [v is not None and low <= v <= high for v in values]
        assert [bool(told) for told in verdicts.detail] == [not kept for kept in verdicts.kept]


class TestTogether:
    LOUD = Condition(metric="loudness_lufs", min=-55.0)
    EVENT = Condition(metric="momentary_max_lufs", min=-45.0)
    KNOWN = {  # noqa: RUF012
        "loudness_lufs": column([-60.0, -60.0, -20.0, None]),
        "momentary_max_lufs": column([-50.0, -40.0, -50.0, -50.0]),
    }

    def test_any_is_kept_by_one_and_names_all_that_failed(self) -> None:
        rule = Rule(reason="inaudible", any=(self.LOUD, self.EVENT))
        verdicts = decided(self.KNOWN, [rule], 4)
        assert verdicts.kept.tolist() == [False, True, True, False]
        assert verdicts.detail[0] == "loudness_lufs -60 < -55 and momentary_max_lufs -50 < -45"
        assert verdicts.detail[3].startswith("loudness_lufs is not defined for this clip and ")
        assert rules.describe(rule) == "inaudible: loudness_lufs >= -55 or momentary_max_lufs >= -45"

    def test_all_is_kept_by_all_and_names_the_first_that_failed(self) -> None:
        verdicts = decided(self.KNOWN, [Rule(reason="weak", all=(self.EVENT, self.LOUD))], 4)
        assert verdicts.kept.tolist() == [False] * 4
        assert verdicts.detail[:2].tolist() == ["momentary_max_lufs -50 < -45", "loudness_lufs -60 < -55"]

    def test_one_may_stand_in_the_other(self) -> None:
        both = Condition(all=(self.LOUD, self.EVENT))
        rule = Rule(reason="x", any=(both, Condition(metric="loudness_lufs", max=-60.0)))
        assert rules.describe(rule).startswith("x: (loudness_lufs >= -55 and momentary_max_lufs >= -45) or ")
        assert decided(self.KNOWN, [rule], 4).kept.tolist() == [True, True, False, False]

    def test_a_label_spares_a_clip(self) -> None:
        rule = Rule(reason="inaudible", except_labels=("silence",), metric="loudness_lufs", min=-55.0)
        labels = labels_of([["Music"], ["Silence", "Music"], [], ["SILENCE"]])
        verdicts = decided(self.KNOWN, [rule], 4, labels)
        assert verdicts.kept.tolist() == [False, True, True, True]
        assert verdicts.dropped == {"inaudible: loudness_lufs >= -55, except silence": 1}

    @given(
        clips=st.lists(st.tuples(NUMBER, NUMBER, st.sets(st.sampled_from("ab"))), max_size=12),
        rule=st.builds(
            lambda parts, kind, spared: Rule.model_validate(
                {"reason": "r", kind: parts, "except_labels": spared}
            ),
            st.lists(
                st.deferred(
                    lambda: st.one_of(
                        _LEAF,
                        st.lists(_LEAF, min_size=1, max_size=3).flatmap(
                            lambda parts: st.sampled_from([{"all": parts}, {"any": parts}])
                        ),
                    )
                ),
                min_size=1,
                max_size=3,
            ),
            st.sampled_from(["all", "any"]),
            st.none() | st.just(("A",)),
        ),
    )
    def test_it_is_what_a_plain_loop_says(self, clips: list[Any], rule: Rule) -> None:
        known = {name: column([clip[place] for clip in clips]) for place, name in enumerate(_NAMES)}
        verdicts = decided(known, [rule], len(clips), labels_of([clip[2] for clip in clips]))
        for clip, kept, detail in zip(clips, verdicts.kept, verdicts.detail, strict=True):
            spared = rule.except_labels is not None and "a" in clip[2]
            assert kept == (spared or _holds(rule, clip))
            assert bool(detail) != kept


_NAMES = ("loudness_lufs", "silent_share")
_LEAF = st.builds(
    lambda metric, missing, end, at: {"metric": metric, "missing": missing, end: at},
    st.sampled_from(_NAMES),
    st.sampled_from(["keep", "reject"]),
    st.sampled_from(["min", "max"]),
    st.integers(-8, 8),
)


def _holds(condition: Condition, clip: Any) -> bool:
    if condition.all:
        return all(_holds(part, clip) for part in condition.all)
    if condition.any:
        return any(_holds(part, clip) for part in condition.any)
    value = clip[_NAMES.index(str(condition.metric))]
    if value is None:
        return condition.missing == "keep"
    if condition.min is not None:
        return bool(value >= condition.min)
    return bool(value <= condition.max)


CLIPS = st.lists(st.sets(st.sampled_from("abcd")), max_size=40)


def capped(labels: list[set[str]], per_label: int, seed: int = 0, order: list[int] | None = None) -> Cap:
    """The cap over clips named by their place in `labels`, handed over in some order."""
    order = order if order is not None else list(range(len(labels)))
    given_labels = labels_of([labels[place] for place in order])
    return rules.over_the_cap(
        np.ones(len(labels), dtype=np.bool_),
        given_labels,
        lambda places: [f"clip-{order[place]}" for place in places],
        per_label,
        seed,
    )


class TestBalance:
    @given(labels=CLIPS, per_label=st.integers(1, 6))
    def test_every_label_gets_its_clips_and_no_clip_stays_that_none_needs(
        self, labels: list[set[str]], per_label: int
    ) -> None:
        cap = capped(labels, per_label)
        before = Counter(label for words in labels for label in words)
        kept = [words for place, words in enumerate(labels) if place not in set(cap.over.tolist())]
        after = Counter(label for words in kept for label in words)
        assert all(after[label] >= min(per_label, before[label]) for label in before)
        assert sum(bool(words) for words in kept) <= sum(min(per_label, size) for size in before.values())
        assert all(
            label in labels[place] and after[label] >= per_label
            for place, label in zip(cap.over, cap.rarest, strict=True)
        )
        assert cap.unlabelled == labels.count(set())

    @given(
        labels=st.lists(st.sampled_from("abcd").map(lambda label: {label}), max_size=40), n=st.integers(1, 6)
    )
    def test_a_label_without_company_ends_at_the_cap(self, labels: list[set[str]], n: int) -> None:
        over = capped(labels, n).over
        assert len(over) == sum(max(0, labels.count({label}) - n) for label in "abcd")

    def test_clips_in_less_frequent_company_come_first(self) -> None:
        labels = [{"rare", "music"}] * 8 + [{"rare", "dog"}] * 4 + [{"rare"}] * 4 + [{"music"}] * 90
        labels += [{"dog"}] * 20
        over = set(capped(labels, 8).over.tolist())
        rare = [words for place, words in enumerate(labels) if place not in over and "rare" in words]
        assert rare.count({"rare"}) == rare.count({"rare", "dog"}) == 4

    @given(labels=CLIPS, per_label=st.integers(1, 6), dice=st.randoms())
    def test_the_order_of_the_clips_does_not_matter(
        self, labels: list[set[str]], per_label: int, dice: Any
    ) -> None:
        order = list(range(len(labels)))
        dice.shuffle(order)
        one, other = capped(labels, per_label), capped(labels, per_label, order=order)
        assert set(one.over.tolist()) == {order[place] for place in other.over.tolist()}
        assert sorted(one.rarest) == sorted(other.rarest)

    def test_a_seed_draws_other_clips_and_a_growing_set_keeps_most(self) -> None:
        labels = [{"a"} for _ in range(400)]
        first = set(range(400)) - set(capped(labels, 100).over.tolist())
        again = set(range(400)) - set(capped(labels, 100, seed=1).over.tolist())
        grown = set(range(440)) - set(capped([*labels, *labels[:40]], 100).over.tolist())
        assert len(first) == len(again) == len(grown) == 100
        assert len(first & again) < 50 < 80 < len(first & grown)

    def test_a_rejected_clip_counts_for_no_label(self) -> None:
        kept = np.array([True, False, True])
        cap = rules.over_the_cap(kept, labels_of([["a"], ["a"], ["a"]]), lambda p: [str(n) for n in p], 1, 0)
        assert len(cap.over) == 1
        assert 1 not in cap.over
        assert cap.rarest == ["a"]


class TestSpread:
    @given(
        values=st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(-5, 5).map(float), max_size=40),
        asked=st.lists(st.floats(-1e3, 1e3), max_size=3),
    )
    def test_it_is_what_a_plain_count_says(self, values: list[float | None], asked: list[float]) -> None:
        found = rules.spread(column(values), asked)
        there = [value for value in values if value is not None]
        assert (found.clips, found.undefined) == (len(values), len(values) - len(there))
        if not there:
            assert found.bars == found.drops == []
            return
        assert sum(bar.clips for bar in found.bars) == len(there)
        assert found.bars[0].low <= min(there)
        assert found.bars[-1].high >= max(there)
        for bar in found.bars[:-1]:
            assert bar.clips == sum(bar.low <= value < bar.high for value in there)
        assert set(asked) <= {drop.at for drop in found.drops}
        for drop in found.drops:
            assert drop.below == sum(value < drop.at for value in there)
            assert drop.above == sum(value > drop.at for value in there)
        assert found.quantiles[0.0] == min(there)
        assert found.quantiles[1.0] == max(there)
        assert found.quantiles[0.5] == sorted(there)[(len(there) + 1) // 2 - 1]

    @pytest.mark.parametrize("values", [[5e-324, -21.0], [-5e-324, 21.0]])
    def test_numbers_next_to_nothing_lie_between_the_edges(self, values: list[float]) -> None:
        bars = rules.spread(column(values)).bars
        assert bars[0].low <= min(values)
        assert bars[-1].high >= max(values)

    def test_thresholds_are_round(self) -> None:
        found = rules.spread(column([-70.0, -3.0]))
        assert [drop.at for drop in found.drops] == [float(at) for at in range(-70, 5, 5)]
        assert [drop.at for drop in rules.spread(column([0.0, 1.0])).drops][3] == 0.15

    def test_words_are_counted(self) -> None:
        found = rules.spread(column([True, False, True, None]))
        assert found.words == {"false": 1, "true": 2}
        assert found.undefined == 1

    @pytest.mark.parametrize("value", [0.0, 5.0, -1e-9, 1e12])
    def test_one_value_has_one_bar(self, value: float) -> None:
        found = rules.spread(column([value, value]))
        assert sum(bar.clips for bar in found.bars) == 2
        assert len(found.bars) <= 2


# Groups


def _beside(groups: list[float], kept: list[bool], rank: list[int] | None = None) -> list[bool]:
    places = np.array(range(len(groups)) if rank is None else rank)
    column = rules.beside_another(np.array(groups), places, np.array(kept, dtype=np.bool_))
    return [bool(value) for value in column.values]


def test_the_first_kept_clip_of_a_group_stands_for_it() -> None:
    nan = math.nan
    assert _beside([0, 0, 1, nan, 1], [True] * 5) == [False, True, False, False, True]
    assert _beside([0, 0, 1, nan, 1], [False, True, True, True, True]) == [True, False, False, False, True]
    assert _beside([0, 0], [False, False]) == [False, True]
    assert _beside([0, 0], [True, True], rank=[1, 0]) == [True, False]
    assert _beside([], []) == []


@given(st.lists(st.tuples(st.none() | st.integers(0, 4), st.booleans()), max_size=30))
def test_each_group_with_a_kept_clip_has_just_one_that_stands(clips: list[tuple[int | None, bool]]) -> None:
    groups = [math.nan if group is None else float(group) for group, _ in clips]
    beside = _beside(groups, [kept for _, kept in clips])
    for group in {group for group, _ in clips}:
        stand = [n for n, (one, _) in enumerate(clips) if one == group and not beside[n]]
        if group is None:
            assert len(stand) == sum(one is None for one, _ in clips)
        else:
            kept = [n for n, (one, is_kept) in enumerate(clips) if one == group and is_kept]
            assert stand == [
                min(kept) if kept else min(n for n, (one, _) in enumerate(clips) if one == group)
            ]
