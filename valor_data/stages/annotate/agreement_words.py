"""Numbers about captions: what each sense gives, what shown labels do, and what it all costs. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np

from valor_data.agreement import Estimate, clustered_share, mean
from valor_data.agreement.annotators import PAUSE
from valor_data.records import Caption
from valor_data.stages.annotate.agreement_rows import Gathered, Said
from valor_data.text import bases, density, words
from valor_data.text.naming import named

SENSES = ("av", "v", "a")
MOST_COUNTED = 20_000
"""Captions of each sense that are looked into; more would make no number surer that a person acts on."""
_JOINING = frozenset(("a", "an", "and", "by", "for", "in", "of", "on", "or", "the", "to", "with"))
"""Words of labels that tell nothing."""


class Sense(NamedTuple):
    """Captions whose authors had the same senses. Sounds, things and density are None for a language other
    than English, and each number is None for fewer than two captions."""

    senses: str
    """`av`, `v` or `a`."""
    captions: int
    words: Estimate | None
    """Mean a caption."""
    sounds: Estimate | None
    """Different sounds named, mean a caption."""
    things: Estimate | None
    """Different things named, mean a caption."""
    density: Estimate | None
    """Audio concepts per word, over all captions."""


class Hinted(NamedTuple):
    """Captions whose authors were shown the clip's labels, or were not."""

    captions: int
    words: Estimate | None
    sounds: Estimate | None
    from_labels: Estimate | None
    """Share of their words that stand in the clip's labels, in any regular form."""


class Hints(NamedTuple):
    """What showing labels does, told from captions by eye and ear of clips that have labels."""

    shown: Hinted
    hidden: Hinted
    difference: Hinted
    """Shown less hidden; `captions` are both."""


class Cost(NamedTuple):
    """Hours of work, and what is left. A time of more than three of a person's medians counts as three;
    an answer without a time counts as the mean of those with one."""

    caption_hours: float | None
    """Skipped and flagged clips cost time too. None where no time is told, here and below."""
    check_hours: float | None
    answers: int
    untimed: int
    """Answers without a time."""
    captions_per_hour: float | None
    checks_per_hour: float | None
    accepted: int
    hours_per_accepted: float | None
    """All hours, those for rejected captions too, over accepted captions."""
    waiting: int
    """Clips that wait for an accepted caption by eye and ear."""
    hours_left: float | None
    """For those, at all hours so far over the clips that have one."""
    wage: float | None
    """For an hour, of the recipe."""
    currency: str
    """As the recipe names it."""

    def paid(self, hours: float | None) -> float | None:
        """What so many hours cost; None without a wage."""
        return None if hours is None or self.wage is None else hours * self.wage

    def hours_of(self, written: float, checks: float) -> float | None:
        """Hours for so many captions and checks, at the pace so far."""
        if not self.captions_per_hour or not self.checks_per_hour:
            return None
        return written / self.captions_per_hour + checks / self.checks_per_hour


class Counted(NamedTuple):
    """What stands in one caption."""

    words: int
    sounds: int
    things: int
    concepts: int
    """Audio concepts."""
    from_labels: int
    """Words that stand in the clip's labels."""


def count(gathered: Gathered) -> dict[str, Counted]:
    """caption_id -> what stands in it, for at most `MOST_COUNTED` captions of each sense."""
    found = {}
    for row in _drawn(gathered.captions):
        said = words(row.text)
        tells = named(said)
        labels = _label_words(_labels(gathered, row))
        copied = sum(not labels.isdisjoint(bases(word)) for word in said) if labels else 0
        concepts = density([row.text]).concepts
        found[row.caption_id] = Counted(len(said), len(tells.sounds), len(tells.things), concepts, copied)
    return found


def senses(gathered: Gathered, counts: Mapping[str, Counted]) -> list[Sense]:
    """See `Sense`; those without a caption are left out."""
    found = []
    for one in SENSES:
        captions = [row.caption_id for row in gathered.captions if row.modalities_seen == one]
        own = [counts[caption] for caption in captions if caption in counts]
        if own:
            said, sounds, things, concepts, _ = (np.array(column) for column in zip(*own, strict=True))
            told = gathered.english
            found.append(
                Sense(
                    one,
                    len(captions),
                    mean(said),
                    mean(sounds) if told else None,
                    mean(things) if told else None,
                    clustered_share(concepts, said) if told and len(said) > 1 else None,
                )
            )
    return found


def hints(gathered: Gathered, counts: Mapping[str, Counted]) -> Hints:
    """See `Hints`."""
    arms: tuple[list[Counted], list[Counted]] = ([], [])
    for row in gathered.captions:
        task = gathered.tasks.get(row.external_id)
        by_both = row.modalities_seen == "av" and row.caption_id in counts
        if task is not None and by_both and _labels(gathered, row):
            arms[not task.hints].append(counts[row.caption_id])
    shown, hidden = (_hinted(arm, told=gathered.english) for arm in arms)
    pairs = zip(shown[1:], hidden[1:], strict=True)
    less = Hinted(shown.captions + hidden.captions, *(_less(one, other) for one, other in pairs))
    return Hints(shown, hidden, less)


def cost(gathered: Gathered) -> Cost:
    """See `Cost`."""
    caption_hours, check_hours = _hours(gathered.written), _hours(gathered.checked)
    spent = (caption_hours or 0) + (check_hours or 0) or None
    answers = [*gathered.written, *gathered.checked]
    accepted = sum(gathered.accepted.values())
    clips = {
        row.clip_id
        for row in gathered.captions
        if row.modalities_seen == "av" and gathered.accepted.get(row.caption_id)
    }
    return Cost(
        caption_hours,
        check_hours,
        len(answers),
        sum(not one.answer.lead_ms for one in answers),
        len(gathered.captions) / caption_hours if caption_hours else None,
        len(gathered.checked) / check_hours if check_hours else None,
        accepted,
        spent / accepted if spent and accepted else None,
        gathered.waiting,
        spent / len(clips) * gathered.waiting if spent and clips else None,
        gathered.recipe.annotate.wage_per_hour,
        gathered.recipe.annotate.currency,
    )


def _hours(said: Sequence[Said]) -> float | None:
    leads: dict[str, list[int]] = {}
    for _, answer in said:
        if answer.lead_ms:
            leads.setdefault(answer.annotator, []).append(answer.lead_ms)
    timed = sum(map(len, leads.values()))
    if not timed:
        return None
    worked_ms = sum(float(np.minimum(own, PAUSE * np.median(own)).sum()) for own in leads.values())
    return worked_ms / 3_600_000 * len(said) / timed


def _hinted(own: Sequence[Counted], *, told: bool) -> Hinted:
    said = [one.words for one in own]
    return Hinted(
        len(own),
        mean(said),
        mean([one.sounds for one in own]) if told else None,
        clustered_share([one.from_labels for one in own], said) if len(own) > 1 else None,
    )


def _drawn(captions: Sequence[Caption]) -> list[Caption]:
    """Their ids are hashes, so the first by id are a random sample."""
    ordered = sorted(captions, key=lambda row: row.caption_id)
    return [
        row for one in SENSES for row in [row for row in ordered if row.modalities_seen == one][:MOST_COUNTED]
    ]


def _labels(gathered: Gathered, caption: Caption) -> tuple[str, ...]:
    """What was shown of them, else the clip's own."""
    task = gathered.tasks.get(caption.external_id)
    return (task.hints if task else ()) or gathered.labels.get(caption.clip_id, ())


@lru_cache(maxsize=4096)
def _label_words(labels: tuple[str, ...]) -> frozenset[str]:
    return frozenset(base for label in labels for word in words(label) for base in bases(word)) - _JOINING


def _less(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """A number less another that does not hang on it; what each one's interval does to the difference is
    added up in squares (MOVER: Zou & Donner, Statistics in Medicine 27, 2008)."""
    if one is None or other is None:
        return None
    value = one.value - other.value
    down = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    up = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Estimate(value, value - down, value + up, one.n + other.n)
