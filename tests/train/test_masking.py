"""Which words MGC hides."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from valor_data.train.masking import SHARE, Dice, Vocabulary, mask_words

BERT = Vocabulary(size=30_522, pad=0, first=101, last=102, mask=103, ordinary=106)


def captions(lengths: list[int]) -> torch.Tensor:
    words = torch.zeros(len(lengths), max(lengths) + 2, dtype=torch.long)
    for row, length in enumerate(lengths):
        words[row, 0] = BERT.first
        words[row, 1 : length + 1] = torch.arange(1000, 1000 + length)
        words[row, length + 1] = BERT.last
    return words


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(0, 2**31))
def test_every_caption_hides_a_word_and_never_its_beginning_or_a_pad(lengths: list[int], seed: int) -> None:
    words = captions(lengths)
    masked = mask_words(words, BERT, Dice((seed,), len(lengths)))
    rows = masked.chosen_M // words.shape[1]
    assert set(rows.tolist()) == set(range(len(lengths)))
    assert torch.equal(masked.truth_M, words.flatten()[masked.chosen_M])
    assert not ((masked.truth_M == BERT.pad) | (masked.truth_M == BERT.first)).any()
    changed = masked.words_BL != words
    assert set(changed.flatten().nonzero().squeeze(1).tolist()) <= set(masked.chosen_M.tolist())


def test_shares_are_those_of_the_paper_and_the_code() -> None:
    words = captions([38] * 4000)
    masked = mask_words(words, BERT, Dice((1,), 4000))
    candidates = 39 * 4000
    assert abs(len(masked.truth_M) / candidates - SHARE) < 0.005
    shown = masked.words_BL.flatten()[masked.chosen_M]
    hidden, same = (shown == BERT.mask), (shown == masked.truth_M)
    assert abs(hidden.float().mean().item() - 0.8) < 0.005
    assert abs(same.float().mean().item() - 0.1) < 0.005
    others = shown[~hidden & ~same]
    assert others.min() >= BERT.ordinary
    assert others.max() < BERT.size
    assert (masked.truth_M == BERT.last).float().mean() > 0.02  # stopping is learned too


def test_the_same_seed_hides_the_same_words() -> None:
    words = captions([5, 9])
    first, second = (mask_words(words, BERT, Dice((3,), 2)) for _ in range(2))
    assert torch.equal(first.words_BL, second.words_BL)


def test_a_share_of_a_batch_hides_what_the_whole_batch_hides() -> None:
    words = captions([5, 9, 1, 7])
    whole = mask_words(words, BERT, Dice((3,), 4))
    share = mask_words(words[2:, :10], BERT, Dice((3,), 4, first=2))
    assert torch.equal(share.words_BL, whole.words_BL[2:, :10])
