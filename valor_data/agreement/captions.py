"""How alike captions are that different people wrote of one clip. No model is asked."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from valor_data.agreement.rates import Estimate, mean

ORDER = 6
"""Longest run of characters that `chrf` counts."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:['\u2019][^\W_]+)*")


class Text(NamedTuple):
    """A caption, and what it names where somebody looked: sounds and things."""

    clip_id: str
    annotator: str
    text: str
    sounds: frozenset[str] | None = None
    things: frozenset[str] | None = None


class Alike(NamedTuple):
    """Mean over clips of the mean over pairs of annotators, and what captions of different clips reach."""

    same_clip: Estimate | None
    """None for fewer than two clips with two captions."""
    other_clip: float | None
    """Each clip's first caption beside another clip's last; None for fewer than two clips."""


class CaptionAgreement(NamedTuple):
    """0 to 1 each; intervals are bootstraps over clips."""

    pairs: int
    chrf: Alike
    edit_distance: Alike
    """Less is more alike."""
    sounds_f1: Alike
    things_f1: Alike


def words(text: str) -> list[str]:
    """Words in small letters without punctuation; each Chinese or Japanese character is one."""
    return _WORD.findall(text.casefold())


def set_f1(first: frozenset[str], second: frozenset[str]) -> float:
    """Harmonic mean of the shares of either set that the other holds, 0 to 1; 1 where both are empty."""
    if not first and not second:
        return 1.0
    return 2 * len(first & second) / (len(first) + len(second))


def chrf(first: str, second: str) -> float:
    """Likeness by runs of 1 to 6 characters, 0 to 1 (chrF: Popović, WMT 2015).

    In sacrebleu's words `chrF1|case:lc|eff:yes|nc:6|nw:0|space:no`, over 100. beta is 1, so neither text
    is the reference and the order of the two plays no part. 0 where a text is empty.
    """
    precision = recall = 0.0
    one, other = ("".join(text.lower().split()) for text in (first, second))
    orders = min(ORDER, len(one), len(other))
    for length in range(1, orders + 1):
        runs, others = _runs(one, length), _runs(other, length)
        # Far quicker than the & of two counters.
        common = sum(min(runs[run], others[run]) for run in runs.keys() & others.keys())
        precision += common / (len(one) - length + 1)
        recall += common / (len(other) - length + 1)
    if not precision:
        return 0.0
    return 2 * precision * recall / (precision + recall) / orders


def _runs(text: str, length: int) -> Counter[str]:
    return Counter([text[start : start + length] for start in range(len(text) - length + 1)])


def edit_distance(first: Sequence[str], second: Sequence[str]) -> float:
    """Words to put in, take out or replace, over the words of the longer text: 0 to 1; 0 where both lack any.

    The whole column of the table of distances is held in the bits of two integers, as steps up and
    steps down (Myers, JACM 46, 1999; Hyyrö, 2003).
    """
    if not first or not second:
        return float(bool(first) or bool(second))
    every = (1 << len(first)) - 1
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    last = 1 << len(first) - 1
    up, down, edits = every, 0, len(first)
    for word in second:
        here = places.get(word, 0)
        level = (((here & up) + up) ^ up) | here | down
        right_up = down | (~(level | up) & every)
        right_down = up & level
        if right_up & last:
            edits += 1
        elif right_down & last:
            edits -= 1
        right_up = right_up << 1 | 1
        right_down <<= 1
        up = (right_down | ~(level | right_up)) & every
        down = right_up & level & every
    return edits / max(len(first), len(second))


def caption_agreement(rows: Iterable[Text]) -> CaptionAgreement:
    """How alike the captions of one clip are, beside those of different clips.

    Rows in any order; the last of an annotator on a clip stands. Sounds and things are compared where
    both captions have them.
    """
    by_clip: dict[str, dict[str, Text]] = {}
    for row in rows:
        by_clip.setdefault(row.clip_id, {})[row.annotator] = row
    clips = [
        [by_clip[clip_id][annotator] for annotator in sorted(by_clip[clip_id])] for clip_id in sorted(by_clip)
    ]
    within = [list(combinations(clip, 2)) for clip in clips if len(clip) > 1]
    half = len(clips) // 2  # neighbours may be of one video
    across = [[(one[0], other[-1])] for one, other in zip(clips, clips[half:] + clips[:half], strict=True)]
    same, other = ([_scores(pairs) for pairs in groups] for groups in (within, across))
    alike = []
    for measure in range(4):
        values, others = (
            [score for scores in group if (score := scores[measure]) is not None] for group in (same, other)
        )
        by_chance = mean(others)
        alike.append(Alike(mean(values), by_chance and by_chance.value))
    return CaptionAgreement(sum(map(len, within)), *alike)


def _scores(pairs: Sequence[tuple[Text, Text]]) -> list[float | None]:
    """Means over the pairs of a clip of chrF, edit distance, F1 of sounds and of things."""
    found: tuple[list[float], ...] = ([], [], [], [])
    for one, other in pairs:
        found[0].append(chrf(one.text, other.text))
        found[1].append(edit_distance(words(one.text), words(other.text)))
        if one.sounds is not None and other.sounds is not None:
            found[2].append(set_f1(one.sounds, other.sounds))
        if one.things is not None and other.things is not None:
            found[3].append(set_f1(one.things, other.things))
    return [sum(values) / len(values) if values else None for values in found]
