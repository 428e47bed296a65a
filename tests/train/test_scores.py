"""Ranks, intervals and caption scores of known cases."""

import math

import numpy as np
import pytest
import torch

from tests.train import processes
from valor_data.train import retrieval
from valor_data.train.intervals import difference, interval
from valor_data.train.model import Compared
from valor_data.train.retrieval import all_scores, dual_softmax, ranks, told


def test_ranks_of_a_known_table() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.5], [0.1, 0.2, 0.2], [0.4, 0.5, 0.3]], np.float32)
    found = ranks(scores, np.array([0, 1, 2, 1]))
    assert found.clips_Q.tolist() == [1, 3, 2, 1]  # the third ties with another clip, and loses
    assert found.texts_B.tolist() == [1, 1, 4]  # clip 1 has two texts, and its better one stands first


def test_what_is_told_of_ranks() -> None:
    figures = told(np.array([1, 2, 6, 40]))
    assert figures["R@1"] == 25
    assert figures["R@5"] == 50
    assert figures["R@10"] == 75
    assert figures["median rank"] == 4
    assert figures["nDCG@10"] == pytest.approx(25 * (1 + 1 / math.log2(3) + 1 / math.log2(7)))


def test_a_model_that_cannot_tell_finds_nothing() -> None:
    assert told(ranks(np.zeros((20, 20), np.float32), np.arange(20)).clips_Q)["R@10"] == 0


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
    assert ranks(dual_softmax(scores, 0.05), np.array([1, 0, 2])).clips_Q.tolist() == [1, 1, 1]


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(100):
        found = interval(rng.normal(3, 1, size=200), seed=seed)
        held += found.low <= 3 <= found.high
    assert 88 <= held <= 100


def test_a_paired_difference_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 10, size=300)
    first, second = hard + rng.normal(0, 0.5, 300), hard + 0.3 + rng.normal(0, 0.5, 300)
    assert interval(first).high > interval(second).low
    found = difference(first, second)
    assert found.interval.low > 0
    assert found.p_value < 0.01
    assert difference(first, first).p_value == 1


def test_caption_scores_of_known_sentences() -> None:
    sentences = pytest.importorskip("valor_data.train.sentences")
    pytest.importorskip("pycocoevalcap")
    references = {
        "a": ["A dog barks, beside a red car."],
        "b": ["Rain falls on a roof while a man talks."],
        "c": ["A woman sings and plays the guitar on a stage."],
    }
    same = sentences.caption_scores({clip: told[0] for clip, told in references.items()}, references)
    assert same["ROUGE-L"] == pytest.approx([100] * 3)
    assert same["BLEU-4"] == pytest.approx([100] * 3, abs=0.1)
    assert same["CIDEr"].mean() == pytest.approx(1000, abs=1)
    other = {"a": "a dog barks", "b": "a cat sleeps", "c": "a woman sings on a stage"}
    assert sentences.corpus_bleu(other, references)["BLEU-1"] < 60
    found = sentences.caption_scores(other, references)
    assert found["CIDEr"][1] < found["CIDEr"][2]
