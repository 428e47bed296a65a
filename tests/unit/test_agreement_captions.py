"""Captions beside one another, and beside their drafts."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data.agreement import (
    Drafted,
    Text,
    caption_agreement,
    chrf,
    edit_distance,
    effect_of_drafts,
    set_f1,
    words,
)


@pytest.mark.parametrize(
    ("first", "second", "score"),
    # sacrebleu 2.6.0, CHRF(char_order=6, word_order=0, beta=1, lowercase=True).sentence_score, over 100.
    [
        (
            "A dog barks while a man talks in a kitchen.",
            "In the kitchen a man is speaking and a dog barks loudly.",
            0.41793467202774903,
        ),
        ("A woman sings on stage.", "a woman sings on a stage", 0.774646993300244),
        ("Rain", "Thunder and heavy rain on a tin roof", 0.16413104653812366),
        ("ab", "ab cd", 0.5882352941176471),
        ("两个人在厨房里说话", "厨房里有人说话,狗在叫", 0.19306890607563423),
        ("cat", "dog", 0.0),
    ],
)
def test_chrf_as_sacrebleu_finds(first: str, second: str, score: float) -> None:
    assert chrf(first, second) == pytest.approx(score)


texts = st.text("ab c", max_size=12)


@given(texts, texts)
def test_chrf_is_symmetric_and_bound(first: str, second: str) -> None:
    assert chrf(first, second) == pytest.approx(chrf(second, first))
    assert 0 <= chrf(first, second) <= 1 + 1e-12
    assert chrf(first, first) == pytest.approx(float(bool(first.split())))


def by_table(first: Sequence[str], second: Sequence[str]) -> int:
    """Wagner and Fischer's way."""
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        above, row = row, [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


some_words = st.lists(st.sampled_from(["a", "dog", "barks", "rain"]), max_size=80)


@given(some_words, some_words)
def test_edit_distance_is_that_of_the_table(first: list[str], second: list[str]) -> None:
    longer = max(len(first), len(second), 1)
    assert edit_distance(first, second) == by_table(first, second) / longer
    assert edit_distance(second, first) == edit_distance(first, second)
    assert edit_distance(first, first) == 0


def test_known_edit_distances() -> None:
    """By letters: kitten to sitting takes 3, intention to execution 5 (Jurafsky and Martin)."""
    assert edit_distance("kitten", "sitting") == pytest.approx(3 / 7)
    assert edit_distance("intention", "execution") == pytest.approx(5 / 9)


def test_words() -> None:
    assert words("A dog's bark, then: RAIN_fall!") == ["a", "dog's", "bark", "then", "rain", "fall"]
    assert words("狗在叫 loudly") == ["狗", "在", "叫", "loudly"]
    assert words(" ... ") == []


sets = st.frozensets(st.sampled_from("abcd"))


@given(sets, sets)
def test_set_f1(first: frozenset[str], second: frozenset[str]) -> None:
    found = set_f1(first, second)
    assert found == set_f1(second, first)
    assert (found == 1) == (first == second)
    if first and second:
        precision, recall = len(first & second) / len(first), len(first & second) / len(second)
        assert found * (precision + recall) == pytest.approx(2 * precision * recall)


def captions(count: int) -> list[Text]:
    """Two annotators name each clip's own sound in words of their own."""
    return [
        Text(f"{clip:04}", who, f"{start} {'abcdefghij'[clip % 10] * 9}", frozenset("abcdefghij"[clip % 10]))
        for clip in range(count)
        for who, start in (("x", "there is a"), ("y", "we hear some"))
    ]


def test_captions_of_one_clip_are_more_alike_than_others() -> None:
    rows = captions(35)
    found = caption_agreement(rows)
    assert caption_agreement(rows[::-1]) == found
    assert found.pairs == 35
    assert found.chrf.same_clip is not None
    assert found.chrf.other_clip is not None
    assert found.chrf.same_clip.low > 0.3 > 0.2 > found.chrf.other_clip
    assert found.sounds_f1 == ((1, 1, 1, 35), 0)
    assert found.things_f1 == (None, None)
    assert found.edit_distance.same_clip == pytest.approx((0.75, 0.75, 0.75, 35))
    assert found.edit_distance.other_clip == 1


def test_pairs_weigh_by_clip() -> None:
    rows = [Text("1", who, "a dog") for who in "vwxyz"] + [Text("2", "v", "a dog"), Text("2", "w", "the cat")]
    found = caption_agreement(rows)
    assert found.pairs == 11
    assert found.edit_distance.same_clip is not None
    assert found.edit_distance.same_clip.value == pytest.approx(0.5)
    assert found.edit_distance.same_clip.n == 2


@pytest.mark.parametrize("rows", [[], captions(1)[:1], captions(1), captions(5)[::2]])
def test_too_few_captions_are_none(rows: list[Text]) -> None:
    found = caption_agreement(rows)
    assert found.chrf.same_clip is None
    assert (found.chrf.other_clip is None) == (len(rows) < 3)


def test_empty_captions() -> None:
    found = caption_agreement([Text(clip, who, "") for clip in "ab" for who in "xy"])
    assert found.chrf == ((0, 0, 0, 2), 0)
    assert found.edit_distance == ((0, 0, 0, 2), 0)


def test_intervals_over_clips_hold_the_truth() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        share = rng.beta(3, 2, 60)  # clips differ in how hard they are
        hits = rng.random((60, 5)) < share[:, None]
        rows = [
            Text(str(clip), who, " ".join(line))
            for clip, hit in enumerate(hits)
            for who, line in (("x", list("abcde")), ("y", np.where(hit, list("abcde"), "-z-").tolist()))
        ]
        found = caption_agreement(rows).edit_distance.same_clip
        assert found is not None
        held += found.low <= 0.4 <= found.high
    print("captions", held / 300)
    assert held / 300 >= 0.93


# Drafts


def test_arms() -> None:
    drafted = [
        Drafted(f"d{n}", "x", "A dog barks loudly.", "a dog barks", faulty=n < 2, lead_ms=20_000 + n)
        for n in range(10)
    ]
    kept = [Drafted(f"k{n}", "y", "A dog barks!", "a dog barks", faulty=None) for n in range(5)]
    free = [
        Drafted(f"f{n}", "x", "A dog barks at a cat", None, faulty=n < 6, lead_ms=50_000 + n)
        for n in range(10)
    ]
    planted = [
        Drafted(f"p{n}", "x", "a dog barks" if n < 3 else "a cat barks", "A cat barks", planted="cat")
        for n in range(4)
    ]
    found = effect_of_drafts([*drafted, *kept, *free, *planted])
    assert (found.drafted, found.free) == (15, 10)
    assert found.edits is not None
    assert (found.edits[0.0], found.edits[0.5], found.edits[1.0]) == (0, 0.25, 0.25)
    assert found.unchanged is not None
    assert found.unchanged.value == pytest.approx(1 / 3)
    assert found.caught is not None
    assert (found.caught.value, found.caught.n) == (0.75, 4)
    assert found.faulty is not None
    assert found.faulty.value == pytest.approx(-0.4)
    assert found.faulty.low < -0.4 < found.faulty.high
    assert found.length_words is not None
    assert found.length_words.value == -2
    assert found.lead_s is not None
    assert found.lead_s.value == pytest.approx(-30)


def test_no_arms() -> None:
    assert effect_of_drafts([]) == (0, 0, None, None, None, None, None, None)
    one = effect_of_drafts([Drafted("1", "x", "", "")])
    assert one.edits is not None
    assert set(one.edits.values()) == {0.0}
    assert one.unchanged is not None
    assert all(map(math.isfinite, one.unchanged))


def test_planted_words_must_be_in_the_draft() -> None:
    with pytest.raises(ValueError, match="c1: the draft lacks the planted words 'green cat'"):
        effect_of_drafts([Drafted("c1", "x", "a cat", "a green, a cat", planted="green cat")])
