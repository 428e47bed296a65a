"""Scores of generated captions beside those of people: BLEU, ROUGE-L, CIDEr, by the usual evaluation code.

coco-caption cuts sentences with Stanford's PTB tokenizer, which needs Java; here they are lower-cased, freed
of ASCII punctuation and cut at spaces, as the model writes them. Contractions (`it's`, one word here,
two there) and hyphens are where the figures differ, by little. METEOR needs Java too, and is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.train.words import clean

Floats = NDArray[np.float64]


def caption_scores(written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
    """Name -> a score by clip, x100, in the order of `written`; each clip needs a reference.

    CIDEr weighs words by how few of these references have them, so it belongs to this set of clips.
    BLEU by clip is of the sentence (smoothed); `corpus_bleu` gives the usual figure of the set.
    """
    bleu, cider, rouge = _scorers()
    ours, theirs = _cut(written, references)
    _, by_length = bleu.Bleu(4).compute_score(theirs, ours, verbose=0)
    found = {f"BLEU-{order}": 100 * np.asarray(values) for order, values in enumerate(by_length, 1)}
    found["ROUGE-L"] = 100 * np.asarray(rouge.Rouge().compute_score(theirs, ours)[1])
    found["CIDEr"] = 100 * np.asarray(cider.Cider().compute_score(theirs, ours)[1])
    return found


def corpus_bleu(written: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """BLEU-1 to BLEU-4 of the whole set, x100."""
    bleu, _, _ = _scorers()
    ours, theirs = _cut(written, references)
    whole, _ = bleu.Bleu(4).compute_score(theirs, ours, verbose=0)
    return {f"BLEU-{order}": 100 * float(value) for order, value in enumerate(whole, 1)}


def _cut(
    written: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    ours = {clip: [clean(text)] for clip, text in written.items()}
    return ours, {clip: [clean(text) for text in references[clip]] for clip in written}


def _scorers() -> tuple[Any, Any, Any]:
    try:
        from pycocoevalcap.bleu import bleu
        from pycocoevalcap.cider import cider
        from pycocoevalcap.rouge import rouge
    except ImportError:
        raise UserError("caption scores need pycocoevalcap: pip install 'valor-data[train]'") from None
    return bleu, cider, rouge
