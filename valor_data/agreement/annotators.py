"""How fast and how well each annotator works, and whose rate is not that of the others."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from valor_data.agreement.exact import fisher
from valor_data.agreement.rates import Estimate, median, share

PAUSE = 3
"""A lead time of more than so many medians holds a pause."""


class Work(NamedTuple):
    """One caption handed in."""

    annotator: str
    clip_id: str
    lead_ms: int | None = None
    """From opening the task to handing it in; None where not known."""
    accepted: bool | None = None
    """What the check said; None where there was none."""
    gold_right: bool | None = None
    """Whether a task with a known answer was met; None for any other task."""


class Standing(NamedTuple):
    """One annotator's work."""

    annotator: str
    captions: int
    lead_s: Estimate | None
    """Median seconds for a caption; None for fewer than two that tell theirs."""
    per_hour: float | None
    """Captions an hour of work; None where no time is told."""
    accepted: Estimate | None
    """Share of checked captions that were accepted."""
    gold: Estimate | None
    """Share of gold tasks that were met."""


class Outlier(NamedTuple):
    """Someone whose rate differs from that of all others by more than chance."""

    annotator: str
    rate: float
    others: float
    """Rate of all others together."""
    p_value: float
    """Chance of at least such a difference with equal rates, corrected for the number of people (Holm)."""


def standings(rows: Iterable[Work]) -> list[Standing]:
    """All annotators by name; shares with Wilson's intervals, medians with bootstrap ones.

    For captions per hour, a lead time of more than three of the annotator's medians counts as three: a
    page left open over lunch weighs no more than a slow caption.
    """
    by_annotator: dict[str, list[Work]] = {}
    for row in rows:
        by_annotator.setdefault(row.annotator, []).append(row)
    found = []
    for annotator, own in sorted(by_annotator.items()):
        leads_s = [row.lead_ms / 1000 for row in own if row.lead_ms is not None]
        checked = [row.accepted for row in own if row.accepted is not None]
        gold = [row.gold_right for row in own if row.gold_right is not None]
        found.append(
            Standing(
                annotator,
                len(own),
                median(leads_s),
                _per_hour(leads_s),
                share(sum(checked), len(checked)),
                share(sum(gold), len(gold)),
            )
        )
    return found


def outliers(counts: Mapping[str, tuple[int, int]], level: float = 0.05) -> list[Outlier]:
    """Whose share differs from that of all others, least likely first.

    `counts` are hits and answers of each, such as captions accepted of those checked. Fisher's exact test
    of each against all others, corrected by Holm's steps (Scandinavian Journal of Statistics 6, 1979):
    with equal rates, anybody at all is named in at most `level` of the cases. One who did much of all work
    and differs moves the others' rate too: look at the first of the list first.
    """
    hits, answers = (sum(one[place] for one in counts.values()) for place in (0, 1))
    tested = []
    for annotator, (own_hits, own) in sorted(counts.items()):
        if own and answers - own:
            rest = answers - own
            p_value = fisher(own_hits, own, hits - own_hits, rest)
            tested.append(Outlier(annotator, own_hits / own, (hits - own_hits) / rest, p_value))
    tested.sort(key=lambda one: one.p_value)
    found, corrected = [], 0.0
    for place, one in enumerate(tested):
        corrected = max(corrected, min(1.0, one.p_value * (len(tested) - place)))
        if corrected < level:
            found.append(one._replace(p_value=corrected))
    return found


def _per_hour(leads_s: list[float]) -> float | None:
    if not leads_s:
        return None
    worked_s = float(np.minimum(leads_s, PAUSE * np.median(leads_s)).sum())
    return len(leads_s) * 3600 / worked_s if worked_s > 0 else None
