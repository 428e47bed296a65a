"""Scores of generated captions beside those of people: BLEU, ROUGE-L and CIDEr by the usual evaluation code,
METEOR where there is Java, and cosines of sentence embeddings where a model is named.

What differs from coco-caption: it cuts sentences with Stanford's PTB tokenizer (Java); here they are
lower-cased, freed of ASCII punctuation and cut at spaces, as the model writes them. So a contraction or a
possessive (`it's`, `man's`) is one word here and two there; the model, which never writes an apostrophe,
is not held to it. On VALOR-32K's test captions 385 of 3,491 references are cut otherwise; beside captions of
which half the words are right that lifts BLEU and ROUGE-L by 0.3 to 0.5, METEOR by 0.3, CIDEr by 2 in 100.
SPICE is left out.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.train import meteor
from valor_data.train.intervals import Measure, mean
from valor_data.train.words import clean

Floats = NDArray[np.float64]
Nearness = Callable[[Mapping[str, str], Mapping[str, Sequence[str]]], Floats]
"""How near captions are to their references in meaning, from -1 to 1, in the order of the captions."""
_ORDERS = 4
_SMALL, _TINY = 1e-9, 1e-15
"""What coco-caption adds so that nothing is divided by zero."""


def measures(
    written: Mapping[str, str], references: Mapping[str, Sequence[str]], nearness: Nearness | None = None
) -> tuple[dict[str, Measure], list[str]]:
    """Name -> what a figure is made of, x100, an item a clip in the order of `written`; each clip needs a
    reference. The items of some clips are those that the clips alone would have. And which figures are left
    out, and why: METEOR, where there is no Java or it fails.

    BLEU and METEOR are of the whole set, as usual, and not means over clips. `sentence cosine`, the mean over
    a clip's references, is there where there is a `nearness`.
    """
    bleu, _, rouge = _scorers()
    ours, theirs = _cut(written, references)
    clips = list(written)
    counts = _ngrams(bleu, ours, theirs)
    orders = range(1, _ORDERS + 1)
    found = {f"BLEU-{order}": Measure(counts, clips, partial(_bleu, order=order)) for order in orders}
    left_out = []
    try:
        matches = meteor.matches({clip: text for clip, (text,) in ours.items()}, theirs)
        found["METEOR"] = Measure(matches, clips, meteor.score)
    except UserError as error:
        left_out.append(f"METEOR: {error}")
    found["ROUGE-L"] = Measure(100 * np.asarray(rouge.Rouge().compute_score(theirs, ours)[1]), clips, mean)
    if nearness is not None:
        found["sentence cosine"] = Measure(100 * nearness(written, references), clips, mean)
    return found, left_out


def check() -> None:
    """Raises UserError where captions cannot be scored here."""
    _scorers()


def cider(written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> Measure:
    """CIDEr x100, an item a clip. It weighs words by how few of these references have them, so it belongs to
    this set of clips."""
    _, scorer, _ = _scorers()
    ours, theirs = _cut(written, references)
    return Measure(100 * np.asarray(scorer.Cider().compute_score(theirs, ours)[1]), list(written), mean)


def _ngrams(bleu_scorer: Any, ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> Floats:
    """By clip: words written, words of the nearest reference, n-grams by order, and how many are right."""
    scorer = bleu_scorer.BleuScorer(n=_ORDERS)
    for clip, (text,) in ours.items():
        scorer += (text, theirs[clip])
    rows = []
    for one in scorer.ctest:
        length = one["testlen"]
        nearest = min((abs(other - length), other) for other in one["reflen"])[1]
        rows.append([length, nearest, *one["guess"], *one["correct"]])
    return np.array(rows, np.float64).reshape(len(rows), 2 + 2 * _ORDERS)


def _bleu(counts_NS: Floats, order: int) -> float:
    sums_S = counts_NS.sum(axis=0)
    length, nearest = sums_S[:2]
    guesses, right = sums_S[2 : 2 + order], sums_S[2 + _ORDERS : 2 + _ORDERS + order]
    precision = float(np.prod((right + _TINY) / (guesses + _SMALL))) ** (1 / order)
    ratio = (length + _TINY) / (nearest + _SMALL)
    return float(100 * precision * (np.exp(1 - 1 / ratio) if ratio < 1 else 1.0))


def _cut(
    written: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    ours = {clip: [clean(text)] for clip, text in written.items()}
    return ours, {clip: [clean(text) for text in references[clip]] for clip in written}


def _scorers() -> tuple[Any, Any, Any]:
    try:
        from pycocoevalcap.bleu import bleu_scorer
        from pycocoevalcap.cider import cider
        from pycocoevalcap.rouge import rouge
    except ImportError:
        raise UserError("caption scores need pycocoevalcap: pip install 'valor-data[train]'") from None
    return bleu_scorer, cider, rouge
