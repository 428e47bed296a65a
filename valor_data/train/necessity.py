"""Does a caption need the sound and the picture of its clip? What a model makes of clips that are spoilt.

A clip's sound is muted, replaced by that of other clips, shifted in time; its picture is blanked, replaced.
Each of these is a foil. If a caption tells of a sound, a model that has learned to listen likes the true
sound better than foils; if it does not, the model cannot tell. The share of foils that are liked less is an
AUC: 1 where the caption needs the true one, 0.5 where it makes no difference.

Shapes: B clips, Q captions, R rows that are compared with them, N tokens, C width of the common space.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from valor_data.train.batch import Decoder, Item, encode, together
from valor_data.train.model import Compared, Texts, Valor
from valor_data.train.sources import Reader
from valor_data.train.use import Opened

Floats = NDArray[np.float32]

SHIFTS = (0.25, 0.5, 0.75)
"""Shares of its length by which a sound is shifted; its end comes first then."""
OTHERS = 32
"""Other clips whose sounds and pictures stand in for the true ones."""
_CLIPS_AT_A_TIME = 16


class Taken(NamedTuple):
    """Clips in the common space, side by side with what is made of them."""

    clip_ids: list[str]
    captions: list[tuple[str, ...]]
    video: Compared
    audio: Compared
    blank: Compared
    """A black picture, one for each."""
    muted: Compared
    """Silence as long as its sound, one for each."""
    shifted: tuple[Compared, ...]
    """Its sound by each of SHIFTS."""
    faults: dict[str, str]
    """clip_id -> why it is not among them."""


class Needs(NamedTuple):
    """What the captions of a clip need; None where the clip lacks it, or nothing can stand in for it."""

    clip_id: str
    audio: float | None
    """Share of other sounds, silence among them, that its captions like less than the true one."""
    video: float | None
    """Share of other pictures, a black one among them, that they like less."""
    timing: float | None
    """Share of shifts of its sound that they like less; only a caption that tells when is hurt by a shift."""


def needs_of(opened: Opened, taken: Taken) -> list[Needs]:
    """What each clip needs, by the model's scores for picture and sound together.

    Foils come from the same clips: `OTHERS` of them, the same ones each time.
    """
    return [_needs_of(opened, taken, row) for row in range(len(taken.clip_ids))]


@torch.no_grad()
def take(
    opened: Opened, reader: Reader, only: frozenset[str] | None = None, *, progress: bool = True
) -> Taken:
    """Encode clips that have a caption, and what is made of their pictures and sounds."""
    decoder = Decoder(opened.config.data, opened.config.model, seed=0)
    names: list[str] = []
    captions: list[tuple[str, ...]] = []
    faults: dict[str, str] = {}
    parts: list[tuple[Compared, ...]] = []
    shown = [number for number in range(len(reader)) if only is None or reader[number].key in only]
    with tqdm(total=len(shown), desc="necessity", unit="clip", disable=None if progress else True) as bar:
        for start in range(0, len(shown), _CLIPS_AT_A_TIME):
            some = [_made(decoder, reader, number) for number in shown[start : start + _CLIPS_AT_A_TIME]]
            bar.update(len(some))
            faults |= {
                made[0].clip_id: made[0].fault or "no caption" for made in some if not made[0].captions
            }
            readable = [made for made in some if made[0].captions]
            if readable:
                names += [made[0].clip_id for made in readable]
                captions += [made[0].captions for made in readable]
                parts.append(tuple(_encoded(opened, readable)))
    whole = [joined(kind) for kind in zip(*parts, strict=True)]
    if not whole:
        nothing = Compared(torch.empty(0), torch.empty(0), torch.empty(0))
        return Taken(names, captions, nothing, nothing, nothing, nothing, (), faults)
    video, audio, blank, muted, *shifted = whole
    return Taken(names, captions, video, audio, blank, muted, tuple(shifted), faults)


def _made(decoder: Decoder, reader: Reader, number: int) -> list[Item]:
    """A clip; its picture black and its sound silent; its sound shifted."""
    sample = reader[number]
    item = decoder(sample.key, sample.members)
    samples = None if item.slices_ATM is None else decoder.heard(sample.members)
    black = None if item.frames_FHWC is None else np.zeros_like(item.frames_FHWC)

    def spoilt(sound: Floats | None) -> Item:
        return item._replace(frames_FHWC=black, slices_ATM=None if sound is None else decoder.cut(sound))

    if samples is None:
        return [item, *(spoilt(None) for _ in range(1 + len(SHIFTS)))]
    shifts = (round(share * len(samples)) for share in SHIFTS)
    return [item, spoilt(np.zeros_like(samples)), *(spoilt(np.roll(samples, shift)) for shift in shifts)]


def _encoded(opened: Opened, some: Sequence[Sequence[Item]]) -> Iterator[Compared]:
    """Picture and sound; black pictures and silences; shifted sounds."""
    model, config = opened.model, opened.config
    device = model.temperature.device
    for number, items in enumerate(zip(*some, strict=True)):
        seen = model.see(together(items, config.data, config.model).to(device))
        groups = model.compare_clips(seen)
        if number < 2:
            yield Compared(*(part.cpu() for part in groups["tv"]))
        yield Compared(*(part.cpu() for part in groups["ta"]))


@torch.no_grad()
def texts(opened: Opened, captions: Sequence[str]) -> Compared:
    """Captions in the common space."""
    device = opened.model.temperature.device
    words, _ = encode(opened.words, captions, opened.config.data.words)
    return opened.model.compare_text(Texts(words.words_BL.to(device), words.mask_BL.to(device)))


@torch.no_grad()
def scores(model: Valor, captions: Compared, video: Compared, audio: Compared) -> Floats:
    """Every caption beside every row of pictures with their sounds, (Q, R); a row that is masked is not
    looked at."""
    device = model.temperature.device
    both = Compared(*(part.to(device) for part in beside(video, audio)))
    found: Floats = model.scores(captions, both).float().cpu().numpy()
    return found


def beside(video: Compared, audio: Compared) -> Compared:
    """Pictures with their sounds, row by row: the group T-AV."""
    return Compared(*(torch.cat(pair, dim=1) for pair in zip(video, audio, strict=True)))


def rows(compared: Compared, numbers: Sequence[int]) -> Compared:
    """Of some clips."""
    wanted = torch.tensor(numbers, dtype=torch.long)
    return Compared(*(part[wanted] for part in compared))


def liked_less(scores_QR: Floats) -> float:
    """Share of rows that a caption likes less than the first; of what it likes the same, half counts."""
    true_Q1, foils_QR = scores_QR[:, :1], scores_QR[:, 1:]
    return float(((foils_QR < true_Q1) + 0.5 * (foils_QR == true_Q1)).mean())


def _needs_of(opened: Opened, taken: Taken, row: int) -> Needs:
    said = texts(opened, taken.captions[row])
    count = len(taken.clip_ids)
    others = np.random.default_rng([7, row]).permutation(np.delete(np.arange(count), row))[:OTHERS].tolist()

    def share(video: Sequence[Compared], audio: Sequence[Compared]) -> float:
        return liked_less(scores(opened.model, said, joined(video), joined(audio)))

    def with_it(side: Compared) -> list[int]:
        return [other for other in others if side.mask_BN[other].any()]

    own_video, own_audio = rows(taken.video, [row]), rows(taken.audio, [row])
    found: dict[str, float] = {}
    if own_audio.mask_BN.any():
        sounds = [own_audio, rows(taken.muted, [row]), rows(taken.audio, with_it(taken.audio))]
        found["audio"] = share([own_video] * sum(map(_count, sounds)), sounds)
        shifted = [own_audio, *(rows(side, [row]) for side in taken.shifted)]
        found["timing"] = share([own_video] * len(shifted), shifted)
    if own_video.mask_BN.any():
        pictures = [own_video, rows(taken.blank, [row]), rows(taken.video, with_it(taken.video))]
        found["video"] = share(pictures, [own_audio] * sum(map(_count, pictures)))
    return Needs(taken.clip_ids[row], found.get("audio"), found.get("video"), found.get("timing"))


def _count(compared: Compared) -> int:
    return len(compared.mask_BN)


def joined(some: Sequence[Compared]) -> Compared:
    """One after the other."""
    return Compared(*(torch.cat(part) for part in zip(*some, strict=True)))
