"""Agreement on choices: one class a rater and clip, any number of raters, answers may be missing.

Each coefficient is 1 - D_o / D_e, observed over expected disagreement, and 1 where nothing but one
class was ever said. Its interval is a bootstrap over clips (BCa): clips with the same answers are
alike, so a resample is a draw of how many there are of each kind. Where no disagreement was seen a
resample shows none either; then the low end is what a share of clips in full disagreement as large as
the data allow (Clopper-Pearson) would leave of it, but not below 0. All are None for fewer than two
clips with two answers, for one shows no spread.

Suffixes: N answers, I clips, R raters, C classes, P kinds of clip, F features that add up over
clips, B resamples.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valor_data.agreement.rates import ROUNDS, SEED, TAIL, Estimate, Floats, bca

Parts = Callable[[Floats], tuple[Floats, Floats]]
"""Sums of features (B, F) -> D_o and D_e of each; NaN where no clip has two answers."""
_HELD = 1 << 22
"""Kinds of clip, over resamples, held at a time."""


class Choice(NamedTuple):
    """What one rater said of one clip."""

    clip_id: str
    annotator: str
    choice: str


@dataclass(frozen=True)
class Ratings:
    """The answers to one question, ordered by clip_id and rater."""

    raters: tuple[str, ...]
    classes: tuple[str, ...]
    clips: int
    clip_N: npt.NDArray[np.intp]
    """Number of the clip of each answer, from 0 on."""
    rater_N: npt.NDArray[np.intp]
    """Place in `raters`."""
    code_N: npt.NDArray[np.intp]
    """Place in `classes`."""

    @classmethod
    def of(cls, rows: Iterable[Choice], classes: Sequence[str] = ()) -> "Ratings":
        """From rows in any order; the last of a rater on a clip stands.

        `classes` that nobody chose count too, for `gwet_ac1` asks how many there are.
        """
        last = {(row.clip_id, row.annotator): row.choice for row in rows}
        answers = sorted(last)
        clips, clip_N = _numbered([clip_id for clip_id, _ in answers])
        raters, rater_N = _numbered([annotator for _, annotator in answers])
        said, code_N = _numbered([last[answer] for answer in answers], classes)
        return cls(raters, said, len(clips), clip_N, rater_N, code_N)


class Agreement(NamedTuple):
    """All that is said of one question; each None for fewer than two clips with two answers."""

    same: Estimate | None
    fleiss_kappa: Estimate | None
    gwet_ac1: Estimate | None
    krippendorff_alpha: Estimate | None


def agreement(ratings: Ratings) -> Agreement:
    """Every coefficient that takes any number of raters."""
    return Agreement(same(ratings), fleiss_kappa(ratings), gwet_ac1(ratings), krippendorff_alpha(ratings))


def cohen_kappa(ratings: Ratings, first: str, second: str) -> Estimate | None:
    """Agreement of two raters beyond what their own rates give by chance (Cohen, 1960).

    KeyError where one of them gave no answer. Near 0, however well they agree, where nearly all clips are
    of one class: read `gwet_ac1` beside it.
    """
    for rater in (first, second):
        if rater not in ratings.raters:
            raise KeyError(rater)
    pair_RI = np.full((2, ratings.clips), -1)
    # In one order, so that the same is drawn both ways.
    for code_I, rater in zip(pair_RI, sorted((first, second)), strict=True):
        own = ratings.rater_N == ratings.raters.index(rater)
        code_I[ratings.clip_N[own]] = ratings.code_N[own]
    row, column = pair_RI[:, (pair_RI >= 0).all(axis=0)]
    classes = len(ratings.classes)
    clips_P = np.bincount(row * classes + column)
    kinds = np.flatnonzero(clips_P)
    of_class = np.eye(classes)
    row, column = kinds // classes, kinds % classes
    features_PF = np.column_stack((np.ones(len(kinds)), row != column, of_class[row], of_class[column]))

    def parts(sums_BF: Floats) -> tuple[Floats, Floats]:
        shares_BF = sums_BF / sums_BF[:, :1]
        chance = (shares_BF[:, 2 : 2 + classes] * shares_BF[:, 2 + classes :]).sum(axis=1)
        return shares_BF[:, 1], 1 - chance

    return _coefficient(features_PF, clips_P[kinds], parts)


def same(ratings: Ratings) -> Estimate | None:
    """Share of pairs of answers to one clip that are the same, averaged over clips: no chance taken off."""

    def parts(sums_BF: Floats) -> tuple[Floats, Floats]:
        return _disagreement(sums_BF), np.ones(len(sums_BF))

    return _coefficient(*_by_clip(ratings), parts)


def fleiss_kappa(ratings: Ratings) -> Estimate | None:
    """Agreement beyond the chance that all raters' answers give together (Fleiss, 1971).

    With missing answers as Gwet, Handbook of Inter-Rater Reliability, 2014. Falls to 0 as Cohen's where
    nearly all is of one class.
    """

    def parts(sums_BF: Floats) -> tuple[Floats, Floats]:
        shares_BC = sums_BF[:, 3:] / sums_BF[:, 2:3]
        return _disagreement(sums_BF), 1 - np.square(shares_BC).sum(axis=1)

    return _coefficient(*_by_clip(ratings), parts)


def gwet_ac1(ratings: Ratings) -> Estimate | None:
    """Agreement beyond a chance that only clips hard to tell leave (Gwet, BJMSP 61, 2008).

    Holds where nearly all is of one class and kappa falls.
    """

    def parts(sums_BF: Floats) -> tuple[Floats, Floats]:
        shares_BC = sums_BF[:, 3:] / sums_BF[:, 2:3]
        chance = (shares_BC * (1 - shares_BC)).sum(axis=1) / max(1, len(ratings.classes) - 1)
        return _disagreement(sums_BF), 1 - chance

    return _coefficient(*_by_clip(ratings), parts)


def krippendorff_alpha(ratings: Ratings) -> Estimate | None:
    """Agreement beyond chance, made for missing answers and few clips (Krippendorff, Content Analysis).

    Nominal. Answers that stand alone on their clip are not counted.
    """
    tally_PC, clips_P = _kinds(ratings)
    paired = tally_PC.sum(axis=1) > 1
    tally_PC, clips_P = tally_PC[paired], clips_P[paired]
    answers_P = tally_PC.sum(axis=1)
    unlike_P = (np.square(answers_P) - np.square(tally_PC).sum(axis=1)) / np.maximum(1, answers_P - 1)
    features_PF = np.column_stack((np.ones(len(tally_PC)), answers_P, unlike_P, tally_PC))

    def parts(sums_BF: Floats) -> tuple[Floats, Floats]:
        answers_B = sums_BF[:, 1]
        unlike_B = np.square(answers_B) - np.square(sums_BF[:, 3:]).sum(axis=1)
        return sums_BF[:, 2] / answers_B, unlike_B / (answers_B * (answers_B - 1))

    return _coefficient(features_PF, clips_P, parts)


def _numbered(names: Sequence[str], more: Sequence[str] = ()) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """Each name once in order, and the place of each among them."""
    once = tuple(sorted({*names, *more}))
    place_of = {name: place for place, name in enumerate(once)}
    return once, np.array([place_of[name] for name in names], np.intp)


def _kinds(ratings: Ratings) -> tuple[Floats, npt.NDArray[np.intp]]:
    """How often each class was chosen, for each kind of clip that was answered; clips of that kind."""
    shape = ratings.clips, len(ratings.classes)
    place_N = ratings.clip_N * shape[1] + ratings.code_N
    tally_IC = np.bincount(place_N, minlength=shape[0] * shape[1]).reshape(shape)
    tally_PC, clips_P = np.unique(tally_IC[tally_IC.any(axis=1)], axis=0, return_counts=True)
    return tally_PC.astype(np.float64), clips_P


def _by_clip(ratings: Ratings) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Features by clip, as Gwet weighs them: has two answers, pairs unlike, one, share of each class."""
    tally_PC, clips_P = _kinds(ratings)
    answers_P = tally_PC.sum(axis=1)
    pairs_P = answers_P * (answers_P - 1)
    unlike_P = (np.square(answers_P) - np.square(tally_PC).sum(axis=1)) / np.maximum(1, pairs_P)
    shares_PC = tally_PC / answers_P[:, None]
    return np.column_stack((pairs_P > 0, unlike_P, np.ones(len(tally_PC)), shares_PC)), clips_P


def _disagreement(sums_BF: Floats) -> Floats:
    paired_B = sums_BF[:, 0]
    unlike_B: Floats = np.full(len(sums_BF), np.nan)
    np.divide(sums_BF[:, 1], paired_B, out=unlike_B, where=paired_B > 0)
    return unlike_B


def _coefficient(features_PF: Floats, clips_P: npt.NDArray[np.intp], parts: Parts) -> Estimate | None:
    """1 - D_o / D_e of all clips and its interval. The first feature tells clips with two answers."""
    sums_F = clips_P @ features_PF
    if not len(clips_P) or sums_F[0] < 2:
        return None
    clips, paired = int(clips_P.sum()), int(sums_F[0])
    observed, expected = parts(sums_F[None])
    value = float(_values(observed, expected)[0])
    if not observed[0]:
        return Estimate(value, untested(paired, float(expected[0])), 1.0, paired)
    rng = np.random.default_rng(SEED)
    step = max(1, _HELD // len(clips_P))
    drawn = []
    for start in range(0, ROUNDS, step):
        of_kind_BP = rng.multinomial(clips, clips_P / clips, min(step, ROUNDS - start))
        drawn.append(_values(*parts(of_kind_BP @ features_PF)))
    without_P = _values(*parts(sums_F - features_PF))
    return Estimate(value, *bca(value, np.concatenate(drawn), without_P, clips_P), paired)


def untested(clips: int, expected: float) -> float:
    """Low end of a coefficient where none of so many clips showed disagreement, given D_e."""
    unseen = 1 - TAIL ** (1 / clips)
    return max(0.0, 1 - unseen / expected) if expected > 0 else 0.0


def _values(observed: Floats, expected: Floats) -> Floats:
    told = ~(expected <= 0)  # true of NaN
    ratio = np.divide(observed, expected, out=np.zeros(len(observed)), where=told)
    return 1 - ratio
