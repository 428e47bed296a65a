"""Retrieval between texts and clips: all scores in bounded memory, ranks, and what is told of them.

Shapes: Q texts, B clips; `clip_of_Q` says which clip a text belongs to.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from valor_data.train.intervals import Measure, mean
from valor_data.train.model import Compared, Valor

Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Ints = NDArray[np.int64]

_TEXTS_AT_A_TIME = 64
AT = (1, 5, 10)
"""Places up to which the right answer is looked for."""


class Ranks(NamedTuple):
    """Where the right answer stood, by query; the first place is 1."""

    clips_Q: Ints
    """Text to clip: of its clip, by text."""
    texts_B: Ints
    """Clip to text: of the best of its texts, by clip that has any."""


@torch.no_grad()
def all_scores(model: Valor, texts: Compared, clips: Compared) -> Floats:
    """Every text beside every clip, (Q, B) in fp32, some texts at a time."""
    device = model.temperature.device
    clips = Compared(*(part.to(device) for part in clips))
    found = np.empty((len(texts.features_BNC), len(clips.features_BNC)), np.float32)
    for start in range(0, len(found), _TEXTS_AT_A_TIME):
        some = Compared(*(part[start : start + _TEXTS_AT_A_TIME].to(device) for part in texts))
        scores = model.scores(some, clips)
        found[start : start + _TEXTS_AT_A_TIME] = scores.float().cpu().numpy()
    return found


def dual_softmax(scores_QB: Floats, temperature: float) -> Floats:
    """Scores weighed by how much each clip prefers the text to all others, or with the matrix turned, each
    text the clip (VALOR section 5.1; it uses all queries at once, so it suits no single search)."""
    logits_QB = np.divide(scores_QB, np.float32(temperature))
    logits_QB -= logits_QB.max(axis=0)
    np.exp(logits_QB, out=logits_QB)
    logits_QB /= logits_QB.sum(axis=0)
    logits_QB *= scores_QB
    logits_QB *= len(scores_QB)
    return logits_QB


def ranks(scores_QB: Floats, clip_of_Q: Ints, temperature: float | None = None) -> Ranks:
    """Where right answers stand; with a temperature, by scores that are weighed by `dual_softmax`, each
    direction by its own.

    Of what scores the same, or is no number, the right answer counts as the last: a model that cannot tell
    gains nothing.
    """
    if temperature is None:
        return Ranks(_clips(scores_QB, clip_of_Q), _texts(scores_QB, clip_of_Q))
    other_way = dual_softmax(scores_QB.T, temperature).T
    return Ranks(_clips(dual_softmax(scores_QB, temperature), clip_of_Q), _texts(other_way, clip_of_Q))


def _clips(scores_QB: Floats, clip_of_Q: Ints) -> Ints:
    true_Q = scores_QB[np.arange(len(scores_QB)), clip_of_Q]
    # Not `>=`, to which what is no number would stand below all others.
    return np.array([(~(row < true)).sum() for row, true in zip(scores_QB, true_Q, strict=True)], np.int64)


def _texts(scores_QB: Floats, clip_of_Q: Ints) -> Ints:
    texts_B = []
    for clip in np.unique(clip_of_Q):
        own = clip_of_Q == clip
        best = scores_QB[own, clip].max()
        texts_B.append(1 + int((~(scores_QB[~own, clip] < best)).sum()))
    return np.array(texts_B, np.int64)


def told(found: Ints) -> dict[str, float]:
    """R@1, R@5, R@10 in percent, median rank, and nDCG@10 with one right answer."""
    return {name: figure(values) for name, (values, figure) in _figures(found).items()}


def measures(found: Ints, clips: Sequence[str]) -> dict[str, Measure]:
    """The same figures for intervals and comparisons; `clips` says which clip each rank belongs to."""
    return {name: Measure(values, clips, figure) for name, (values, figure) in _figures(found).items()}


def _figures(found: Ints) -> dict[str, tuple[Floats64, Callable[[Floats64], float]]]:
    shares = {f"R@{at}": (100 * (found <= at).astype(np.float64), mean) for at in AT}
    gain = 100 * np.where(found <= 10, 1 / np.log2(1 + found), 0.0)
    return {**shares, "median rank": (found.astype(np.float64), _median), "nDCG@10": (gain, mean)}


def _median(values_N: Floats64) -> float:
    return float(np.median(values_N))
