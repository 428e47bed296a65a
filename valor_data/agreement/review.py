"""What a second stage of checkers is worth: how well they see, and what a rule of review makes of it.

Assumed where probabilities are computed: all checkers see equally well; given whether a caption is good
or bad they judge independently (`overlap` tells whether they do); a caption sent back is written anew,
as often bad as the first time, and checked anew, as often as it takes.
"""

from collections.abc import Iterable, Mapping
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valor_data.agreement.rates import SEED, Estimate, clustered_share, combined, share

_SHUFFLES = 2000
_SELDOM = 1e-9


class Check(NamedTuple):
    """One checker's word on one caption."""

    caption_id: str
    checker: str
    rejected: bool


class Quality(NamedTuple):
    """How well a checker tells known bad captions from known good ones."""

    sensitivity: Estimate | None
    """Share of bad captions that are rejected; None where none was seen."""
    specificity: Estimate | None
    """Share of good captions that are accepted; None where none was seen."""


class Rule(NamedTuple):
    """Send back where more than `tolerated` of the checkers reject."""

    checkers: int
    tolerated: int
    in_turn: bool = False
    """One after another, until the outcome is settled; with 3 and 1 the third only where two disagree."""


VALOR = Rule(3, 1)
"""The paper's second stage."""
RULES = (Rule(1, 0), Rule(2, 0), VALOR, Rule(3, 0), Rule(3, 1, in_turn=True))


class Expected(NamedTuple):
    """What a rule comes to."""

    rule: Rule
    bad_passes: float
    """Chance that a bad caption passes one review."""
    good_sent_back: float
    """Chance that a good caption does not."""
    residual: float
    """Share of bad captions among those accepted in the end."""
    written: float
    """Captions written for each that is accepted."""
    checks: float
    """Checks made for each caption that is accepted, those of the rounds before included."""


class Overlap(NamedTuple):
    """How often all checkers of a caption said the same, against what independent ones would."""

    captions: int
    """With two checks or more."""
    observed: float
    expected: float
    p_value: float
    """Chance that independent checkers say the same at least so often."""


def quality(checks: Iterable[Check], bad: Mapping[str, bool]) -> dict[str, Quality]:
    """Each checker's quality, with Wilson's intervals. `bad` tells of gold captions; others are skipped."""
    right: dict[str, tuple[list[bool], list[bool]]] = {}
    for caption_id, words in _by_caption(checks).items():
        if caption_id in bad:
            for checker, rejected in words.items():
                of_good_and_bad = right.setdefault(checker, ([], []))
                of_good_and_bad[bad[caption_id]].append(rejected == bad[caption_id])
    return {
        checker: Quality(share(sum(of_bad), len(of_bad)), share(sum(of_good), len(of_good)))
        for checker, (of_good, of_bad) in sorted(right.items())
    }


def pooled_quality(checks: Iterable[Check], bad: Mapping[str, bool]) -> Quality:
    """All checkers' quality together. Several checks of one caption are not taken for independent."""
    right: tuple[list[int], list[int]] = ([], [])
    made: tuple[list[int], list[int]] = ([], [])
    for caption_id, words in _by_caption(checks).items():
        if caption_id in bad:
            is_bad = bad[caption_id]
            right[is_bad].append(sum(rejected == is_bad for rejected in words.values()))
            made[is_bad].append(len(words))
    return Quality(clustered_share(right[True], made[True]), clustered_share(right[False], made[False]))


def expected(rule: Rule, sensitivity: float, specificity: float, bad_share: float) -> Expected | None:
    """What a rule comes to, given how checkers see and what share of what is written is bad.

    None where it would accept less than one of a thousand million. ValueError for a number that is no
    share, or a rule that can never send back.
    """
    if not all(0 <= one <= 1 for one in (sensitivity, specificity, bad_share)):
        raise ValueError("sensitivity, specificity and bad_share lie between 0 and 1")
    if not 0 <= rule.tolerated < rule.checkers:
        raise ValueError(f"{rule.checkers} checkers cannot tolerate {rule.tolerated} rejections")
    bad_passes = _at_most(rule.tolerated, rule.checkers, sensitivity)
    good_passes = _at_most(rule.tolerated, rule.checkers, 1 - specificity)
    accepted = bad_share * bad_passes + (1 - bad_share) * good_passes
    if accepted < _SELDOM:
        return None
    checks = bad_share * _checks(rule, sensitivity) + (1 - bad_share) * _checks(rule, 1 - specificity)
    return Expected(
        rule, bad_passes, 1 - good_passes, bad_share * bad_passes / accepted, 1 / accepted, checks / accepted
    )


def compare(
    sensitivity: float, specificity: float, bad_share: float, rules: Iterable[Rule] = RULES
) -> list[Expected]:
    """A row a rule; rules that would accept nothing are left out."""
    found = (expected(rule, sensitivity, specificity, bad_share) for rule in rules)
    return [row for row in found if row is not None]


def bad_share(rejected: Estimate, found: Quality) -> Estimate | None:
    """What share of bad captions makes for such a share of rejections by such checkers (Rogan & Gladen,
    American Journal of Epidemiology 107, 1978), with the doubt of all three. None where one is not known, or
    checks tell nothing."""
    if found.sensitivity is None or found.specificity is None:
        return None
    return combined(_bad_share, (rejected, found.sensitivity, found.specificity))


def left_bad(rule: Rule, rejected: Estimate, found: Quality) -> Estimate | None:
    """`residual` of a rule, where the share of bad captions is told by `bad_share`: it hangs on how well
    checkers see, so the doubt of that moves both at once. None as there, or where a rule accepts nothing."""
    if found.sensitivity is None or found.specificity is None:
        return None

    def left(*known: float) -> float | None:
        bad = _bad_share(*known)
        row = None if bad is None else expected(rule, known[1], known[2], bad)
        return None if row is None else row.residual

    return combined(left, (rejected, found.sensitivity, found.specificity))


def _bad_share(rejected: float, sensitivity: float, specificity: float) -> float | None:
    sees = sensitivity + specificity - 1
    return min(1.0, max(0.0, (rejected + specificity - 1) / sees)) if sees > 0 else None


def passing(rule: Rule, checks: Iterable[Check]) -> Estimate | None:
    """Share of captions that a rule passes in one review, counted: independence is not assumed.

    Of captions with more checks than the rule asks for, every choice among them counts alike; those with
    fewer are skipped, and None is for no caption. Interval: Wilson's. Give it captions that are all known
    bad, or all known good, and set the result beside `expected`.
    """
    passed = []
    for words in _by_caption(checks).values():
        made, rejected = len(words), sum(words.values())
        if made >= rule.checkers:
            ways = sum(
                comb(rejected, count) * comb(made - rejected, rule.checkers - count)
                for count in range(rule.tolerated + 1)
            )
            passed.append(ways / comb(made, rule.checkers))
    return clustered_share(passed, np.ones(len(passed)))


def overlap(checks: Iterable[Check]) -> Overlap | None:
    """Whether checkers judge independently, told from captions that are all known bad, or all known good.

    Of a mixture of both even independent checkers agree more often than chance. Each checker's words are
    shuffled over the captions that this one saw, so that rates stay (permutation test with a fixed seed).
    None where no caption has two checks.
    """
    captions = [words for words in _by_caption(checks).values() if len(words) > 1]
    if not captions:
        return None
    checker = np.unique([one for words in captions for one in words], return_inverse=True)[1]
    rejected = np.array([said for words in captions for said in words.values()], np.int64)
    size = np.array([len(words) for words in captions])
    starts = np.cumsum(size) - size
    own = np.argsort(checker, kind="stable")
    rng = np.random.default_rng(SEED)
    drawn, shuffled = np.empty(_SHUFFLES), np.empty_like(rejected)
    for turn in range(_SHUFFLES):
        shuffled[own] = rejected[np.argsort(checker + rng.random(len(checker)))]
        drawn[turn] = _all_agree(np.add.reduceat(shuffled, starts), size)
    observed = _all_agree(np.add.reduceat(rejected, starts), size)
    at_least = int((drawn >= observed - 1e-12).sum())
    return Overlap(len(captions), observed, float(drawn.mean()), (at_least + 1) / (_SHUFFLES + 1))


def _by_caption(checks: Iterable[Check]) -> dict[str, dict[str, bool]]:
    """Caption -> checker -> whether it was rejected; the last word stands."""
    words: dict[str, dict[str, bool]] = {}
    for check in checks:
        words.setdefault(check.caption_id, {})[check.checker] = check.rejected
    return words


def _all_agree(rejected: npt.NDArray[np.int64], size: npt.NDArray[np.int64]) -> float:
    return float(((rejected == 0) | (rejected == size)).mean())


def _at_most(tolerated: int, checkers: int, rejects: float) -> float:
    """Chance that no more than so many checkers reject, where each does with that chance."""
    terms = (
        comb(checkers, count) * rejects**count * (1 - rejects) ** (checkers - count)
        for count in range(tolerated + 1)
    )
    return sum(terms)


def _checks(rule: Rule, rejects: float) -> float:
    """Checks made in one review: each that is asked for while the outcome is open."""
    if not rule.in_turn:
        return rule.checkers
    enough = rule.checkers - rule.tolerated  # acceptances settle it
    return sum(
        comb(made, count) * rejects**count * (1 - rejects) ** (made - count)
        for made in range(rule.checkers)
        for count in range(min(made, rule.tolerated) + 1)
        if made - count < enough
    )
