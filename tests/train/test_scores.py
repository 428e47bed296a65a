"""Ranks, intervals, comparisons and caption scores of known cases."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.train import processes
from valor_data.errors import UserError
from valor_data.train import meteor, retrieval
from valor_data.train.intervals import Measure, difference, interval, mean
from valor_data.train.model import Compared
from valor_data.train.retrieval import all_scores, dual_softmax, measures, ranks, told


def by_clip(values: np.ndarray) -> Measure:
    return Measure(values, [str(number) for number in range(len(values))])


def test_ranks_of_a_known_table() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.5], [0.1, 0.2, 0.2], [0.4, 0.5, 0.3]], np.float32)
    found = ranks(scores, np.array([0, 1, 2, 1]))
    assert found.clips_Q.tolist() == [1, 3, 2, 1]  # the third ties with another clip, and loses
    assert found.texts_B.tolist() == [1, 1, 4]  # clip 1 has two texts, and its better one stands first


def test_what_is_told_of_ranks() -> None:
    found = np.array([1, 2, 6, 40])
    figures = told(found)
    assert figures["R@1"] == 25
    assert figures["R@5"] == 50
    assert figures["R@10"] == 75
    assert figures["median rank"] == 4
    assert figures["nDCG@10"] == pytest.approx(25 * (1 + 1 / math.log2(3) + 1 / math.log2(7)))
    assert {name: interval(made).value for name, made in measures(found, list("abcd")).items()} == figures


def test_a_model_that_cannot_tell_finds_nothing() -> None:
    for same in (0, np.nan):
        found = ranks(np.full((20, 20), same, np.float32), np.arange(20))
        assert found.clips_Q.tolist() == found.texts_B.tolist() == [20] * 20


def test_texts_in_pieces_score_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)

    def side(rows: int, tokens: int) -> Compared:
        features = torch.nn.functional.normalize(torch.randn(rows, tokens, 8, generator=generator), dim=-1)
        raw = torch.randn(rows, tokens, generator=generator)
        return Compared(features, torch.ones(rows, tokens, dtype=torch.bool), raw)

    texts, clips, model = side(10, 5), side(6, 3), processes.model()
    whole = all_scores(model, texts, clips)
    monkeypatch.setattr(retrieval, "_TEXTS_AT_A_TIME", 3)
    np.testing.assert_allclose(all_scores(model, texts, clips), whole, atol=1e-6)


def test_dual_softmax_takes_a_clip_from_texts_that_all_want_it() -> None:
    scores = np.array([[0.9, 0.8, 0.1], [0.95, 0.1, 0.1], [0.94, 0.2, 0.9]], np.float32)
    assert ranks(scores, np.arange(3)).clips_Q.tolist() == [1, 3, 2]
    assert ranks(scores, np.array([1, 0, 2]), 0.05).clips_Q.tolist() == [1, 1, 1]
    assert ranks(dual_softmax(scores, 0.05), np.array([1, 0, 2])).clips_Q.tolist() == [1, 1, 1]
    # The other way clips choose among texts, weighed by what each text prefers.
    turned = ranks(np.ascontiguousarray(scores.T), np.array([1, 0, 2]), 0.05)
    assert turned.texts_B.tolist() == [1, 1, 1]
    assert ranks(np.ascontiguousarray(scores.T), np.array([1, 0, 2])).texts_B.tolist() != [1, 1, 1]


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(100):
        found = interval(by_clip(rng.normal(3, 1, size=200)), seed=seed)
        held += found.low <= 3 <= found.high
    assert 88 <= held <= 100


def test_captions_of_one_clip_are_no_more_evidence_than_one() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, size=100)
    once = interval(by_clip(values))
    five_times = Measure(np.repeat(values, 5), [str(number) for number in np.repeat(np.arange(100), 5)])
    clustered = interval(five_times)
    assert clustered.value == pytest.approx(once.value)
    assert clustered.low == pytest.approx(once.low)
    assert clustered.high == pytest.approx(once.high)
    naive = interval(by_clip(five_times.values_N))
    assert naive.high - naive.low < 0.6 * (clustered.high - clustered.low)


def test_clips_with_more_captions_weigh_more() -> None:
    measure = Measure(np.array([0.0, 1.0, 1.0, 1.0]), ["b", "a", "a", "a"])
    found = interval(measure)
    assert found == (0.75, 0.0, 1.0)  # both draws of one clip alone are among them


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 10, size=300)
    first, second = (
        by_clip(hard + rng.normal(0, 0.5, 300)),
        by_clip(hard + 0.3 + rng.normal(0, 0.5, 300)),
    )
    assert interval(first).high > interval(second).low
    found = difference(first, second)
    assert found.interval.low > 0
    assert found.interval.value == pytest.approx(mean(second.values_N) - mean(first.values_N))
    assert 0 < found.p_value < 0.01
    assert difference(second, first).interval.value == pytest.approx(-found.interval.value)
    assert difference(first, first).p_value == 1


def test_a_p_value_is_as_small_by_chance_as_it_says() -> None:
    rng = np.random.default_rng(4)
    pairs = [(by_clip(rng.normal(0, 1, 80)), by_clip(rng.normal(0, 1, 80))) for _ in range(100)]
    below = sum(difference(first, second).p_value < 0.1 for first, second in pairs)
    assert 3 <= below <= 20


def test_other_items_are_not_compared() -> None:
    with pytest.raises(UserError, match="only over the same clips"):
        difference(Measure(np.zeros(2), ["a", "b"]), Measure(np.zeros(2), ["a", "c"]))


REFERENCES = {
    "a": ["A dog barks, beside a red car."],
    "b": ["Rain falls on a roof while a man talks.", "It rains."],
    "c": ["A woman sings and plays the guitar on a stage."],
}
OTHER = {"a": "a dog barks", "b": "a cat sleeps", "c": "a woman sings on a stage"}


def test_caption_scores_of_known_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor, "lacks", lambda: "asked to be quick")
    sentences = pytest.importorskip("valor_data.train.sentences")
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    words = {clip: told[0] for clip, told in REFERENCES.items()}
    measured, left_out = sentences.measures(words, REFERENCES)
    assert left_out == ["METEOR: asked to be quick"]
    same = {name: interval(made).value for name, made in measured.items()}
    assert same["ROUGE-L"] == pytest.approx(100)
    assert same["BLEU-4"] == pytest.approx(100)
    assert interval(sentences.cider({"a": words["a"], "c": words["c"]}, REFERENCES)).value > 690
    found, _ = sentences.measures(OTHER, REFERENCES)
    # The whole set's BLEU is that of the usual code, and lies in its own interval.
    ours = {clip: [text] for clip, text in OTHER.items()}
    theirs = {clip: [" ".join(one.lower().translate(str.maketrans("", "", ".,")).split()) for one in told]
              for clip, told in REFERENCES.items()}  # fmt: skip
    expected, _ = bleu.Bleu(4).compute_score(theirs, ours, verbose=0)
    for order, value in enumerate(expected, 1):
        told = interval(found[f"BLEU-{order}"])
        assert told.value == pytest.approx(100 * value, rel=1e-9)
        assert told.low <= told.value <= told.high
    cider = sentences.cider(OTHER, REFERENCES)
    assert cider.values_N[1] < cider.values_N[2]
    assert set(found) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L"}


def test_meteor_is_left_out_with_a_word_where_there_is_no_java(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sentences = pytest.importorskip("valor_data.train.sentences")
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert meteor.lacks() == "no Java here"
    found, left_out = sentences.measures(OTHER, REFERENCES)
    assert "METEOR" not in found
    assert left_out == ["METEOR: no Java here"]


def test_java_that_fails_costs_meteor_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sentences = pytest.importorskip("valor_data.train.sentences")
    pytest.importorskip("pycocoevalcap")
    (tmp_path / "java").write_text("#!/bin/sh\necho 'no room for the heap' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found, left_out = sentences.measures(OTHER, REFERENCES)
    assert "ROUGE-L" in found
    assert left_out == ["METEOR: Java could not run it (no room for the heap)"]


def test_meteor_of_one_sentence_by_hand() -> None:
    """`a dog is barking near a red car` beside `a dog barks beside a red car`, as the program tells it:
    five words match, two of them function words, in two pieces."""
    row = np.array([8, 7, 3, 2, 3, 3, 2, 2, *[0] * 12, 2, 5, 5], np.float64)
    precision, recall = 2.75 / 4.5, 2.75 / 4.25
    balanced = 1 / (0.15 / precision + 0.85 / recall)
    assert meteor.score(row[None]) == pytest.approx(100 * balanced * (1 - 0.6 * 0.4**0.2))
    assert meteor.score(row[None]) == pytest.approx(32.09999318453433)  # what the program says
    assert meteor.score(np.zeros((1, 23))) == 0


@pytest.mark.slow
@pytest.mark.skipif(bool(meteor.lacks()), reason="METEOR needs Java")
def test_meteor_is_that_of_its_own_program() -> None:
    program = pytest.importorskip("pycocoevalcap.meteor.meteor").Meteor()
    written = {**OTHER, "b": "rain falls on a roof while a man talks"}
    references = {clip: [one.lower() for one in told] for clip, told in REFERENCES.items()}
    expected, by_clip = program.compute_score(references, {clip: [text] for clip, text in written.items()})
    for pipe in (program.meteor_p.stdout, program.meteor_p.stderr):  # which it leaves open
        pipe.close()
    found = meteor.matches({**written, "empty": ""}, {**references, "empty": ["a dog"]})
    assert meteor.score(found[:3]) == pytest.approx(100 * expected)
    assert [meteor.score(row[None]) for row in found] == pytest.approx([*(100 * one for one in by_clip), 0])
