"""Agreement on answers that are sets, such as the sounds ticked for a clip."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valor_data.agreement.choices import untested
from valor_data.agreement.rates import ROUNDS, SEED, Estimate, Floats, bca

_ROWS = 256
"""Rows of the table of distances that are made at a time."""
_NOTHING = 1e-9
"""A sum of distances below this is 0 but for rounding."""


class Labelled(NamedTuple):
    """What one rater ticked for one clip; nothing ticked is an answer too."""

    clip_id: str
    annotator: str
    labels: frozenset[str]


def masi(first: frozenset[str], second: frozenset[str]) -> float:
    """Distance of two sets, 0 to 1 (Passonneau, LREC 2006): 1 - J * M.

    J is the share of all labels that are in both; M is 1 where the sets are equal, 2/3 where one holds the
    other, 1/3 where they overlap, 0 where they share nothing. Two empty sets are equal.
    """
    both = len(first & second)
    if first == second:
        return 0.0
    whole = 2 / 3 if both == min(len(first), len(second)) else 1 / 3
    return 1 - whole * both / len(first | second)


def masi_alpha(rows: Iterable[Labelled]) -> Estimate | None:
    """Krippendorff's alpha with the MASI distance; rows in any order, the last of a rater on a clip stands.

    Answers that stand alone on their clip are not counted; None for fewer than two clips with two answers.
    The interval is a bootstrap over clips (BCa); where no disagreement was seen, as in `choices`. Time grows
    with the square of how many different sets were ticked; 30,000 take a minute.
    """
    by_clip: dict[str, dict[str, frozenset[str]]] = {}
    for row in rows:
        by_clip.setdefault(row.clip_id, {})[row.annotator] = row.labels
    clips = [list(by_clip[clip_id].values()) for clip_id in sorted(by_clip) if len(by_clip[clip_id]) > 1]
    if len(clips) < 2:
        return None
    sets = sorted({labels for clip in clips for labels in clip}, key=sorted)
    code_of = {labels: code for code, labels in enumerate(sets)}
    answers_I = np.array([len(clip) for clip in clips], np.float64)
    codes_IR = np.full((len(clips), max(map(len, clips))), -1)
    for place, clip in enumerate(clips):
        codes_IR[place, : len(clip)] = [code_of[labels] for labels in clip]
    members_VL = _members(sets)
    apart_I = _apart(codes_IR, members_VL)
    between_I = apart_I / (answers_I - 1)

    def counts_of(codes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return np.bincount(codes.ravel() + 1, minlength=len(sets) + 1)[1:]  # the first: no answer

    counts, observed = [counts_of(codes_IR)], [between_I.sum()]
    rng = np.random.default_rng(SEED)
    for _ in range(ROUNDS):
        drawn = rng.integers(0, len(clips), len(clips))
        counts.append(counts_of(codes_IR[drawn]))
        observed.append(between_I[drawn].sum())
    counts_BV = np.array(counts, np.float64)
    weighed_BV = _weighed(counts_BV, members_VL)
    all_apart_B = (weighed_BV * counts_BV).sum(axis=1)
    values_B = _alpha(np.array(observed), all_apart_B, counts_BV.sum(axis=1))
    value = float(values_B[0])
    answers = float(answers_I.sum())
    if not observed[0]:
        expected = float(all_apart_B[0]) / (answers * (answers - 1))
        return Estimate(value, untested(len(clips), expected), 1.0, len(clips))
    by_answer_IR = np.where(codes_IR >= 0, weighed_BV[0][codes_IR], 0.0)
    all_apart_I = all_apart_B[0] - 2 * by_answer_IR.sum(axis=1) + apart_I
    without_I = _alpha(observed[0] - between_I, all_apart_I, answers - answers_I)
    return Estimate(value, *bca(value, values_B[1:], without_I), len(clips))


def _alpha(observed: Floats, apart: Floats, answers: Floats) -> Floats:
    """From sums over clips, over all pairs of answers, and answers; 1 where all answers are the same."""
    ratio = np.zeros(len(observed))
    np.divide(observed * (answers - 1), apart, out=ratio, where=apart > _NOTHING)
    return 1 - ratio


def _members(sets: list[frozenset[str]]) -> npt.NDArray[np.float32]:
    labels = {label: place for place, label in enumerate(sorted(frozenset().union(*sets)))}
    members_VL = np.zeros((len(sets), len(labels)), np.float32)
    for row, one in zip(members_VL, sets, strict=True):
        row[[labels[label] for label in one]] = 1
    return members_VL


def _distances(both: Floats, size: Floats, other_size: Floats) -> Floats:
    """MASI of sets of such sizes of which so many labels are in both."""
    least, most = np.minimum(size, other_size), np.maximum(size, other_size)
    whole = np.where(both == most, 3, np.where(both == least, 2, np.minimum(both, 1)))
    distances: Floats = 1 - whole / 3 * both / np.maximum(1, size + other_size - both)
    return np.where(most == 0, 0.0, distances)


def _apart(codes_IR: npt.NDArray[np.intp], members_VL: npt.NDArray[np.float32]) -> Floats:
    """Distances of the answers to each clip, every pair both ways."""
    size_V = members_VL.sum(axis=1).astype(np.float64)
    apart_I = np.zeros(len(codes_IR))
    for first in range(codes_IR.shape[1]):
        for second in range(first):
            pair = np.flatnonzero((codes_IR[:, first] >= 0) & (codes_IR[:, second] >= 0))
            for start in range(0, len(pair), 64 * _ROWS):
                clips = pair[start : start + 64 * _ROWS]
                one, other = codes_IR[clips, first], codes_IR[clips, second]
                both = (members_VL[one] * members_VL[other]).sum(axis=1).astype(np.float64)
                apart_I[clips] += 2 * _distances(both, size_V[one], size_V[other])
    return apart_I


def _weighed(counts_BV: Floats, members_VL: npt.NDArray[np.float32]) -> Floats:
    """Distances from each set to all answers of each resample, added up."""
    size_V = members_VL.sum(axis=1).astype(np.float64)
    weighed_BV = np.empty_like(counts_BV)
    for start in range(0, len(members_VL), _ROWS):
        rows = slice(start, start + _ROWS)
        both = (members_VL @ members_VL[rows].T).astype(np.float64)
        weighed_BV[:, rows] = counts_BV @ _distances(both, size_V[:, None], size_V[rows])
    return weighed_BV
