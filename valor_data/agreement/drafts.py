"""What a draft does to a caption: captions written from one beside captions written from nothing."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from valor_data.agreement.captions import edit_distance, words
from valor_data.agreement.rates import Estimate, difference_of_medians, difference_of_shares, share

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class Drafted(NamedTuple):
    """A caption, and the draft that its writer was shown."""

    clip_id: str
    annotator: str
    text: str
    draft: str | None
    """None in the arm without drafts."""
    planted: str = ""
    """Wrong words put into the draft on purpose."""
    faulty: bool | None = None
    """What a check or gold said of the caption; None where nobody looked."""
    lead_ms: int | None = None


class DraftEffect(NamedTuple):
    """Drafts with planted words tell only of `caught`. Each None where there is nothing to tell it from."""

    drafted: int
    """Captions, as in the next; the planted ones left out."""
    free: int
    edits: dict[float, float] | None
    """Quantile -> edit distance from draft to caption, in words over those of the longer, 0 to 1."""
    unchanged: Estimate | None
    """Share of drafts handed in as they were, but for case and punctuation."""
    caught: Estimate | None
    """Share of planted words that are not in the caption."""
    faulty: Estimate | None
    """Share of faulty captions with drafts less that without."""
    length_words: Estimate | None
    """Median words with drafts less that without."""
    lead_s: Estimate | None
    """Median seconds with drafts less that without."""


def effect_of_drafts(rows: Iterable[Drafted]) -> DraftEffect:
    """Compare the arms. Intervals hold for these annotators, given that clips were dealt out at random.

    Wilson's for a share, Newcombe's for a difference of shares, bootstrap for one of medians. ValueError
    where planted words are not in their draft.
    """
    rows = list(rows)
    planted = [row for row in rows if row.planted]
    for row in planted:
        if not _holds(words(row.draft or ""), words(row.planted)):
            raise ValueError(f"{row.clip_id}: the draft lacks the planted words '{row.planted}'")
    caught = sum(not _holds(words(row.text), words(row.planted)) for row in planted)
    drafted = [row for row in rows if row.draft is not None and not row.planted]
    free = [row for row in rows if row.draft is None]
    edits = [edit_distance(words(row.draft or ""), words(row.text)) for row in drafted]
    judged, others = ([row.faulty for row in arm if row.faulty is not None] for arm in (drafted, free))
    return DraftEffect(
        len(drafted),
        len(free),
        dict(zip(QUANTILES, np.quantile(edits, QUANTILES).tolist(), strict=True)) if edits else None,
        share(edits.count(0.0), len(edits)),
        share(caught, len(planted)),
        difference_of_shares(sum(judged), len(judged), sum(others), len(others)),
        difference_of_medians(*([len(words(row.text)) for row in arm] for arm in (drafted, free))),
        difference_of_medians(
            *([row.lead_ms / 1000 for row in arm if row.lead_ms is not None] for arm in (drafted, free))
        ),
    )


def _holds(text: Sequence[str], run: Sequence[str]) -> bool:
    starts = range(len(text) - len(run) + 1)
    return bool(run) and any(text[start : start + len(run)] == run for start in starts)
