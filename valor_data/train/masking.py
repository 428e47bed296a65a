"""Which words of a caption or an answer are hidden: on the host, all rows at once."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SHARE = 0.6
"""Of the words of a caption that are to be predicted (VALOR section 3.2.2)."""
ANSWER_SHARE = 0.99
"""Of the words of an answer (released code)."""
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


class Dice(NamedTuple):
    """Random numbers for the rows of a batch, of which several processes may each hold some: what a row gets
    does not depend on who else is there, nor on how far the batch is padded."""

    seed: tuple[int, ...]
    rows: int
    """Of the whole batch."""
    first: int = 0
    """The first of these rows in it."""
    most: int = 512
    """Numbers a row, at least as many as it has words."""

    def roll(self, throw: int, rows: int, length: int) -> Tensor:
        """Numbers from 0 to 1, (rows, length); others for every throw."""
        drawn = np.random.default_rng([*self.seed, throw]).random((self.rows, self.most), np.float32)
        return torch.from_numpy(drawn[self.first : self.first + rows, :length])


def mask_words(words_BL: Tensor, vocabulary: Vocabulary, dice: Dice, share: float = SHARE) -> Masked:
    """Choose each word but [CLS] with probability `share`, at least one a row; of the chosen, 80 % become
    [MASK], 10 % a random word, 10 % stay. A row without words gets none."""
    rows, length = words_BL.shape
    fate, other = dice.roll(0, rows, length), dice.roll(1, rows, length)
    random_BL = vocabulary.ordinary + (other * (vocabulary.size - vocabulary.ordinary)).long()
    may = (words_BL != vocabulary.pad) & (words_BL != vocabulary.first)
    chosen = torch.zeros_like(may)
    empty, throw = may.any(1), 2
    while empty.any():  # a row is drawn again until it has one
        drawn = dice.roll(throw, rows, length) < share
        chosen = torch.where(empty[:, None], drawn & may, chosen)
        empty &= ~chosen.any(1)
        throw += 1
    hidden = torch.where(
        fate < _MASKED, vocabulary.mask, torch.where(fate < _MASKED + _RANDOM, random_BL, words_BL)
    )
    places = chosen.flatten().nonzero().squeeze(1)
    return Masked(torch.where(chosen, hidden, words_BL), places, words_BL.flatten()[places])
