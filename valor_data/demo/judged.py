"""What a trained model makes of the grammar's unseen clips, beside what the grammar says it must.

Shapes: Q captions, B clips, R spoilt forms of a clip.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from valor_data import layout
from valor_data.demo.draws import Draw, said
from valor_data.scenes import SOUNDS, VISUALS
from valor_data.train import evaluate, necessity, retrieval
from valor_data.train.model import Compared
from valor_data.train.necessity import Needs, Taken
from valor_data.train.sources import Reader
from valor_data.train.use import Opened
from valor_data.train.words import clean

Expected = Literal["stays", "flips", "either"]
Changed = Literal["sound", "shape"]
GROUPS = ("T-V", "T-A", "T-AV", "T-AV, sound removed")
AT = (1, 5, 10)
_OTHER_SHAPE, _OTHER_SOUND = 3, 5
"""Steps to the clip that lends its sound, or its picture, and shares nothing else."""


class Hits(NamedTuple):
    """How many captions find their clip."""

    of: int
    at: dict[int, int]
    """Place -> captions whose clip stands at it or before."""


class Preference(NamedTuple):
    """Of a clip, spoilt in one way, a caption that is true of it as it was beside one with a part changed."""

    spoilt: str
    changed: Changed
    expected: Expected
    """What the grammar says of the preference for the first."""
    margin: float
    """Score of the first less that of the other."""


class Row(NamedTuple):
    """All preferences of a kind."""

    spoilt: str
    changed: Changed
    expected: Expected
    pairs: int
    share: float
    """Of them that are as expected; where either may be, that are for the first."""


class Naming(NamedTuple):
    """How many generated captions name the parts of their clip."""

    of: int
    shape: int
    sound: int
    both: int


class Judged(NamedTuple):
    """All that is asked of a model."""

    hits: dict[str, Hits]
    naming: Naming
    rows: list[Row]
    flips_auc: float
    needs: list[Needs]


def judge(opened: Opened, reader: Reader, draws: Sequence[Draw]) -> Judged:
    """What a model makes of the draws, which the reader's clips are."""
    taken = necessity.take(opened, reader, progress=False)
    _, written = evaluate.encode_split(*opened, reader, captions=True, only=None, progress=False)
    found = preferences(opened, taken, draws)
    needs = necessity.needs_of(opened, taken)
    return Judged(hits(opened, taken), naming(written, draws), table(found), flips_auc(found), needs)


def hits(opened: Opened, taken: Taken) -> dict[str, Hits]:
    """By group: captions among all clips; ties count as the last. Where the sound is removed it is masked."""
    texts = necessity.texts(opened, [captions[0] for captions in taken.captions])
    none = taken.audio._replace(mask_BN=taken.audio.mask_BN & False)
    sides = (
        taken.video,
        taken.audio,
        necessity.beside(taken.video, taken.audio),
        necessity.beside(taken.video, none),
    )
    own = np.arange(len(taken.clip_ids))
    found = {}
    for name, clips in zip(GROUPS, sides, strict=True):
        places = retrieval.ranks(retrieval.all_scores(opened.model, texts, clips), own).clips_Q
        found[name] = Hits(len(places), {at: int((places <= at).sum()) for at in AT})
    return found


def naming(written: Mapping[str, str], draws: Iterable[Draw]) -> Naming:
    """Captions that hold a phrase of the grammar for the clip's shape, and for its sound."""
    shapes, sounds, both, count = 0, 0, 0, 0
    for draw in draws:
        text = written[_clip_id(draw)]
        shape = _holds(text, VISUALS[draw.scene.visual].phrases)
        sound = _holds(text, SOUNDS[str(draw.scene.sound)].phrases)
        shapes, sounds, both, count = shapes + shape, sounds + sound, both + (shape and sound), count + 1
    return Naming(count, shapes, sounds, both)


def preferences(opened: Opened, taken: Taken, draws: Sequence[Draw]) -> list[Preference]:
    """Every unseen clip in every spoilt form, its caption beside those of another sound or shape."""
    by_pair = {(draw.scene.visual, draw.scene.sound): draw for draw in draws}
    place = {clip_id: number for number, clip_id in enumerate(taken.clip_ids)}
    where = {pair: place[_clip_id(draw)] for pair, draw in by_pair.items()}
    return [one for draw in draws for one in _of_clip(opened, taken, draw, where)]


def table(found: Sequence[Preference]) -> list[Row]:
    """A row for each way of spoiling and each changed part, in the order in which they come."""
    kinds = list(dict.fromkeys((one.spoilt, one.changed, one.expected) for one in found))
    return [
        Row(*kind, len(margins), _share(margins if kind[2] != "flips" else [-margin for margin in margins]))
        for kind in kinds
        for margins in [[one.margin for one in found if one[:3] == kind]]
    ]


def flips_auc(found: Iterable[Preference]) -> float:
    """How often a preference that must flip has a smaller margin than one that must stay: 1, where and only
    where the grammar says so; 0.5, by chance."""
    by_kind: dict[Expected, list[float]] = {"stays": [], "flips": [], "either": []}
    for one in found:
        by_kind[one.expected].append(one.margin)
    stays, flips = np.sort(by_kind["stays"]), np.array(by_kind["flips"])
    below = len(stays) - np.searchsorted(stays, flips, side="right")
    same = np.searchsorted(stays, flips, side="right") - np.searchsorted(stays, flips, side="left")
    return float((below + same / 2).mean() / len(stays))


class _Form(NamedTuple):
    """A clip as it is compared."""

    spoilt: str
    """In which way."""
    lent: str
    """What another clip brings: the name of a shape or a sound that its own is replaced by."""
    video: Compared
    audio: Compared


def _of_clip(
    opened: Opened, taken: Taken, draw: Draw, where: Mapping[tuple[str, str | None], int]
) -> Iterator[Preference]:
    scene, own = draw.scene, where[draw.scene.visual, draw.scene.sound]
    shape, sound = scene.visual, str(scene.sound)
    shapes, sounds = _turned(list(VISUALS), shape), _turned(list(SOUNDS), sound)
    captions = [said(scene)]
    captions += [said(scene, sound=other) for other in sounds[1:]]
    captions += [said(scene, visual=other) for other in shapes[1:]]
    of_sound = [where[shapes[_OTHER_SHAPE], other] for other in sounds]
    of_shape = [where[other, sounds[_OTHER_SOUND]] for other in shapes]
    still, heard = necessity.rows(taken.video, [own]), necessity.rows(taken.audio, [own])

    def lent(side: Compared, names: Sequence[str], clips: Sequence[int]) -> Iterator[tuple[str, Compared]]:
        return zip(names[1:], (necessity.rows(side, [clip]) for clip in clips[1:]), strict=True)

    alike_sound, alike_shape = (
        necessity.rows(taken.audio, of_sound[:1]),
        necessity.rows(taken.video, of_shape[:1]),
    )
    forms = [
        _Form("nothing", "", still, heard),
        *(_Form("sound shifted in time", "", still, necessity.rows(side, [own])) for side in taken.shifted),
        _Form("sound of another clip that sounds alike", "", still, alike_sound),
        _Form("picture of another clip that looks alike", "", alike_shape, heard),
        *(_Form("sound swapped", name, still, one) for name, one in lent(taken.audio, sounds, of_sound)),
        *(_Form("picture swapped", name, one, heard) for name, one in lent(taken.video, shapes, of_shape)),
        _Form("sound muted", "", still, necessity.rows(taken.muted, [own])),
        _Form("picture blanked", "", necessity.rows(taken.blank, [own]), heard),
    ]
    texts = necessity.texts(opened, captions)
    video, audio = (
        necessity.joined([form.video for form in forms]),
        necessity.joined([form.audio for form in forms]),
    )
    scores_QR = necessity.scores(opened.model, texts, video, audio)
    changes: list[tuple[Changed, str]] = [("sound", other) for other in sounds[1:]]
    changes += [("shape", other) for other in shapes[1:]]
    for row, form in enumerate(forms):
        for number, (changed, other) in enumerate(changes, 1):
            expected = _expected(form.spoilt, form.lent, changed, other)
            if expected:
                margin = float(scores_QR[0, row] - scores_QR[number, row])
                yield Preference(form.spoilt, changed, expected, margin)


def _expected(spoilt: str, lent: str, changed: Changed, other: str) -> Expected | None:
    """None: the grammar says nothing, for what is seen or heard is neither what the captions say."""
    spoils_sound = spoilt in ("sound swapped", "sound muted")
    if spoilt not in ("sound swapped", "sound muted", "picture swapped", "picture blanked"):
        return "stays"
    if spoils_sound != (changed == "sound"):
        return "stays"
    if not lent:
        return "either"
    return "flips" if lent == other else None


def _turned(names: Sequence[str], first: str) -> list[str]:
    at = names.index(first)
    return [*names[at:], *names[:at]]


def _share(margins: Sequence[float]) -> float:
    values = np.array(margins)
    return float(((values > 0) + 0.5 * (values == 0)).mean())


def _holds(text: str, phrases: Iterable[str]) -> bool:
    return any(clean(phrase) in text for phrase in phrases)


def _clip_id(draw: Draw) -> str:
    return layout.clip_id(draw.video_id, 0, round(1000 * draw.scene.seconds))
