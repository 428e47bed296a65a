"""Which words of a caption are hidden for MGC: on the host, all rows at once."""

from typing import NamedTuple

import torch
from torch import Tensor

SHARE = 0.6
"""Of the words of a caption that are to be predicted (VALOR section 3.2.2)."""
_MASKED, _RANDOM = 0.8, 0.1
"""Of the chosen words; the rest stands as it was (released code; the paper masks them all)."""


class Vocabulary(NamedTuple):
    """What masking must know of a vocabulary."""

    size: int
    pad: int
    first: int
    """[CLS]: never chosen."""
    last: int
    """[SEP]: may be chosen, for so a model learns to stop."""
    mask: int
    ordinary: int
    """The first id that is a word: 106 in BERT's vocabulary."""


class Masked(NamedTuple):
    """Captions with hidden words; M of them in the whole batch."""

    words_BL: Tensor
    chosen_M: Tensor
    """Places in the flattened batch, row by row."""
    truth_M: Tensor


def mask_words(
    words_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator, share: float = SHARE
) -> Masked:
    """Choose each word but [CLS] with probability `share`, at least one a row; of the chosen, 80 % become
    [MASK], 10 % a random word, 10 % stay. A row without words gets none."""
    may = (words_BL != vocabulary.pad) & (words_BL != vocabulary.first)
    chosen = torch.zeros_like(may)
    empty = may.any(1)
    while empty.any():  # a row is drawn again until it has one
        drawn = torch.rand(may.shape, generator=generator) < share
        chosen = torch.where(empty[:, None], drawn & may, chosen)
        empty &= ~chosen.any(1)
    fate = torch.rand(may.shape, generator=generator)
    other = torch.randint(vocabulary.ordinary, vocabulary.size, may.shape, generator=generator)
    hidden = torch.where(
        fate < _MASKED, vocabulary.mask, torch.where(fate < _MASKED + _RANDOM, other, words_BL)
    )
    places = chosen.flatten().nonzero().squeeze(1)
    return Masked(torch.where(chosen, hidden, words_BL), places, words_BL.flatten()[places])
