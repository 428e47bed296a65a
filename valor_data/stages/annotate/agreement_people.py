"""Numbers about people: how far they agree, how each works, and what the rule of review is worth. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, get_args

from valor_data import layout
from valor_data.agreement import (
    RULES,
    Agreement,
    CaptionAgreement,
    Check,
    Choice,
    Estimate,
    Expected,
    Labelled,
    Outlier,
    Overlap,
    Quality,
    Ratings,
    Rule,
    Text,
    Work,
    agreement,
    bad_share,
    caption_agreement,
    clustered_share,
    compare,
    left_bad,
    masi_alpha,
    outliers,
    overlap,
    pooled_quality,
    quality,
    residual,
    share,
    standings,
)
from valor_data.records import Answer, Flag
from valor_data.stages.annotate.agreement_rows import Gathered
from valor_data.text import words
from valor_data.text.naming import named

MOST_COMPARED = 5000
"""Clips whose captions are compared letter by letter; of more, so many are drawn by hash."""


class Writing(NamedTuple):
    """Agreement of those who captioned the same clip in the same mode, first tries only: a second one is
    asked for only where the first was bad. Who was given a draft did not write alone, and is left out."""

    clips: int
    """With two answers or more."""
    flagged: dict[str, int]
    """Flag -> answers that have it."""
    flags: dict[str, Agreement]
    compared: int
    """Clips whose captions were compared."""
    captions: CaptionAgreement | None


class Checking(NamedTuple):
    """Agreement of those who checked the same caption as it stood."""

    captions: int
    """With two checks or more."""
    rejected: Agreement
    reasons: Estimate | None
    """Alpha with the MASI distance; who accepts gives none."""
    reasons_of_faulty: Estimate | None
    """The same among checkers who all found something wrong."""


class Writer(NamedTuple):
    """One annotator."""

    annotator: str
    captions: int
    lead_s: Estimate | None
    per_hour: float | None
    accepted: Estimate | None
    """Of those whose checks are settled."""
    faulty: Estimate | None
    """Share of captions with any fault of the text."""
    faults: dict[str, int]
    gold: Estimate | None
    """Share of checks with a known answer that this person got right."""
    passed: bool | None
    """The test before the work; None: not taken."""


class Checker(NamedTuple):
    """One checker."""

    annotator: str
    checks: int
    """Gold and audit among them."""
    lead_s: Estimate | None
    per_hour: float | None
    rejected: Estimate | None
    """Of the checks that are neither gold nor audit."""
    quality: Quality
    """From gold."""
    passed: bool | None
    """As above."""


class Reviewing(NamedTuple):
    """What the checks are worth."""

    gold: int
    """Checks with a known answer."""
    quality: Quality
    assumed: bool
    """Whether specificity was taken for 1, for no gold caption was a good one."""
    rejected: Estimate | None
    """Share of checks that reject, gold and audit left out."""
    bad_share: Estimate | None
    """Share of bad ones among the captions as written."""
    own: Rule
    rules: list[Expected]
    left: list[Estimate | None]
    """Share of bad captions among the accepted, a rule each."""
    overlap: Overlap | None
    """From gold captions that are bad."""
    accepted: int
    """Captions of our annotators that are accepted."""
    audit: Estimate | None
    """Share of bad captions among them, counted in the audit."""
    audit_seen_through: Estimate | None
    """The same, if auditors see no better than checkers do in gold; None where specificity is assumed."""


def writing(gathered: Gathered) -> Writing:
    """See `Writing`."""
    by_clip: dict[str, dict[str, Answer]] = {}
    for task, answer in gathered.written:
        if task.turn == 1 and not answer.skipped and not task.draft:
            by_clip.setdefault(f"{task.clip_id} {task.mode}", {})[answer.annotator] = answer
    both = {clip: answers for clip, answers in by_clip.items() if len(answers) > 1}
    said = [(clip, name, answer) for clip, answers in both.items() for name, answer in answers.items()]
    flags, flagged = {}, {}
    for flag in get_args(Flag):
        choices = [Choice(clip, name, _yes(flag in answer.flags)) for clip, name, answer in said]
        flagged[flag] = sum(choice.choice == "yes" for choice in choices)
        flags[flag] = agreement(Ratings.of(choices, ("no", "yes")))
    told = {
        clip: texts
        for clip, answers in both.items()
        if len(texts := {name: answer.text for name, answer in answers.items() if answer.text}) > 1
    }
    drawn = sorted(told, key=layout.digest)[:MOST_COMPARED]
    rows = [_text(gathered, clip, *one) for clip in drawn for one in told[clip].items()]
    return Writing(len(both), flagged, flags, len(drawn), caption_agreement(rows) if rows else None)


def checking(gathered: Gathered) -> Checking:
    """See `Checking`."""
    choices, labelled, faulty = [], [], []
    captions = 0
    for (caption, revision), reviews in gathered.reviews.items():
        if len(reviews) < 2:
            continue
        captions += 1
        for one in reviews:
            choices.append(Choice(f"{caption} {revision}", one.reviewer, _yes(one.decision == "reject")))
            row = Labelled(f"{caption} {revision}", one.reviewer, frozenset(one.reasons))
            labelled.append(row)
            if one.decision != "accept":
                faulty.append(row)
    rejected = agreement(Ratings.of(choices, ("no", "yes")))
    return Checking(captions, rejected, masi_alpha(labelled), masi_alpha(faulty))


def writers(gathered: Gathered) -> list[Writer]:
    """Every annotator of a standing caption, by name."""
    faults: dict[str, dict[str, int]] = {}
    faulty: dict[str, int] = {}
    for row in gathered.captions:
        kinds = gathered.faults.get(row.caption_id, ())
        faulty[row.author] = faulty.get(row.author, 0) + bool(kinds)
        own = faults.setdefault(row.author, {})
        for kind in kinds:
            own[kind] = own.get(kind, 0) + 1
    gold = _gold_right(gathered)
    works = (
        Work(row.author, row.clip_id, row.lead_ms or None, gathered.accepted.get(row.caption_id))
        for row in gathered.captions
    )
    return [
        Writer(
            one.annotator,
            one.captions,
            one.lead_s,
            one.per_hour,
            one.accepted,
            share(faulty[one.annotator], one.captions),
            dict(sorted(faults[one.annotator].items(), key=lambda item: (-item[1], item[0]))),
            share(*gold.get(one.annotator, (0, 0))),
            gathered.passed.get(one.annotator),
        )
        for one in standings(works)
    ]


def checkers(gathered: Gathered) -> list[Checker]:
    """Every checker, by name."""
    rejected: dict[str, tuple[int, int]] = {}
    for task, answer in gathered.checked:
        if task.kind == "work":
            no, made = rejected.get(answer.annotator, (0, 0))
            rejected[answer.annotator] = no + (answer.verdict == "reject"), made + 1
    qualities = quality(*_gold(gathered))
    works = (
        Work(answer.annotator, task.clip_id, answer.lead_ms or None) for task, answer in gathered.checked
    )
    return [
        Checker(
            one.annotator,
            one.captions,
            one.lead_s,
            one.per_hour,
            share(*rejected.get(one.annotator, (0, 0))),
            qualities.get(one.annotator, Quality(None, None)),
            gathered.passed.get(one.annotator),
        )
        for one in standings(works)
    ]


def differing(wrote: Iterable[Writer], checked: Iterable[Checker]) -> dict[str, list[Outlier]]:
    """What is compared -> whose share of it differs from that of all others beyond chance."""
    wrote, checked = list(wrote), list(checked)
    shares: dict[str, dict[str, Estimate | None]] = {
        "captions accepted": {one.annotator: one.accepted for one in wrote},
        "captions with a fault": {one.annotator: one.faulty for one in wrote},
        "checks that reject": {one.annotator: one.rejected for one in checked},
        "bad gold captions rejected": {one.annotator: one.quality.sensitivity for one in checked},
    }
    return {what: outliers(_counts(by_name)) for what, by_name in shares.items()}


def reviewing(gathered: Gathered) -> Reviewing:
    """See `Reviewing`. Where no good gold caption was checked, every rejection is taken for right, which
    makes for the largest share of bad captions that fits the rejections."""
    every, bad = _gold(gathered)
    gold = [one for one in every if gathered.counts(one.checker)]
    found = pooled_quality(gold, bad)
    made = [len(rows) for rows in gathered.reviews.values()]
    no = [sum(one.decision == "reject" for one in rows) for rows in gathered.reviews.values()]
    rejected = clustered_share(no, made)
    asked = gathered.recipe.review
    own = Rule(asked.checkers, asked.max_rejects)
    assumed = found.sensitivity is not None and found.specificity is None
    if found.sensitivity is not None and found.specificity is None:
        found = Quality(found.sensitivity, Estimate(1.0, 1.0, 1.0, found.sensitivity.n))
    bad_among = bad_share(rejected, found) if rejected else None
    rules: list[Expected] = []
    left: list[Estimate | None] = []
    if rejected and bad_among and found.sensitivity and found.specificity:
        among = [own] if own.tolerated < own.checkers and own not in RULES else []
        rules = compare(found.sensitivity.value, found.specificity.value, bad_among.value, (*among, *RULES))
        left = [left_bad(row.rule, rejected, found) for row in rules]
    accepted = sum(gathered.accepted.values())
    audit = _audit(gathered, accepted)
    return Reviewing(
        len(gold),
        found,
        assumed,
        rejected,
        bad_among,
        own,
        rules,
        left,
        overlap(one for one in gold if bad[one.caption_id]),
        accepted,
        audit,
        bad_share(audit, found) if audit and not assumed else None,
    )


def _audit(gathered: Gathered, accepted: int) -> Estimate | None:
    """Bad is what at least half of those who audit a caption reject."""
    standing = {row.caption_id: row.revision for row in gathered.captions}
    said: dict[str, list[bool]] = {}
    for task, answer in gathered.checked:
        current = standing.get(task.caption_id) == task.revision and gathered.accepted.get(task.caption_id)
        if task.kind == "audit" and current and gathered.counts(answer.annotator):
            said.setdefault(task.caption_id, []).append(answer.verdict == "reject")
    bad = sum(2 * sum(rejects) >= len(rejects) for rejects in said.values())
    return residual(bad, len(said), accepted)


def _gold(gathered: Gathered) -> tuple[list[Check], dict[str, bool]]:
    """Gold checks, and whether the caption that each shows is bad; by task, for the same caption is good on
    its own clip."""
    checks, bad = [], {}
    for task, answer in gathered.checked:
        if task.kind == "gold" and task.expected:
            checks.append(Check(task.task_id, answer.annotator, answer.verdict == "reject"))
            bad[task.task_id] = task.expected == "reject"
    return checks, bad


def _gold_right(gathered: Gathered) -> dict[str, tuple[int, int]]:
    """Person -> gold checks that were right, and all."""
    checks, bad = _gold(gathered)
    counts: dict[str, tuple[int, int]] = {}
    for check in checks:
        right, made = counts.get(check.checker, (0, 0))
        counts[check.checker] = right + (check.rejected == bad[check.caption_id]), made + 1
    return counts


def _counts(shares: Mapping[str, Estimate | None]) -> dict[str, tuple[int, int]]:
    return {name: (round(one.value * one.n), one.n) for name, one in shares.items() if one is not None}


def _text(gathered: Gathered, clip: str, name: str, said: str) -> Text:
    if not gathered.english:
        return Text(clip, name, said)
    tells = named(words(said))
    return Text(clip, name, said, frozenset(tells.sounds), frozenset(tells.things))


def _yes(said: bool) -> str:
    return "yes" if said else "no"
