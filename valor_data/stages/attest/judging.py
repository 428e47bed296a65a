"""A clip of a release against somebody's copy of it: by bytes, else by prints."""

from enum import StrEnum
from typing import NamedTuple

from valor_data import prints
from valor_data.offsets import shift

_IN_STEP_MS = 125
"""An offset under half a step of the picture is none, nor is a change of the sound's lag that few notice."""


class State(StrEnum):
    """What a copy is."""

    EQUIVALENT = "equivalent"  # the same bytes, or the same sound and picture
    SHIFTED = "shifted"  # the same, at another time
    SWAPPED = "swapped"  # sound, picture or both of another clip of the release
    DIFFERENT = "different"  # something else
    UNDECIDED = "undecided"  # other bytes, and nothing that prints tell apart: silence, black, no prints
    MISSING = "missing"
    UNREADABLE = "unreadable"


class Locked(NamedTuple):
    """A clip as the lock tells of it."""

    clip_id: str
    sha256: str
    sound_sha256: str | None
    media_sha256: str | None
    av_skew_ms: float | None
    sound: bytes | None
    picture: bytes | None


class Seen(NamedTuple):
    """What was seen of a copy."""

    same_bytes: bool
    sound: bytes | None = None
    picture: bytes | None = None
    av_skew_ms: float | None = None
    """First sound less first picture, on the copy's own clock."""


class Judged(NamedTuple):
    """What became of a clip."""

    clip_id: str
    state: State
    told: str = ""
    """In words: how far it is shifted, what is swapped or differs."""
    picture_ms: int | None = None
    """How much later than the clip the copy's picture begins; None: not shifted, or no picture to tell."""
    sound_ms: int | None = None


def judge(clip: Locked, copy: Seen) -> Judged:
    """Same, shifted or different; that a copy is another clip is not told here."""
    if copy.same_bytes:
        return Judged(clip.clip_id, State.EQUIVALENT)
    pairs = ((clip.sound, copy.sound), (clip.picture, copy.picture))
    if clip.media_sha256 is None or all(one is None and other is None for one, other in pairs):
        return Judged(clip.clip_id, State.UNDECIDED, "other bytes, and no prints to compare")
    hears, sees = same(clip.sound, copy.sound), same(clip.picture, copy.picture)
    later_ms = _skewed(clip, copy)
    if hears is not False and sees is not False:
        if not later_ms:
            return Judged(clip.clip_id, State.EQUIVALENT)
        return _shifted(clip.clip_id, 0, later_ms)
    found = shift(clip.sound, clip.picture, copy.sound, copy.picture)
    sound_ms = 0 if found.sound_ms is None and hears else found.sound_ms
    picture_ms = 0 if found.picture_ms is None and sees else found.picture_ms
    fits = (hears is None or sound_ms is not None) and (sees is None or picture_ms is not None)
    moved = any(abs(ms) > _IN_STEP_MS for ms in (sound_ms, picture_ms) if ms is not None)
    if fits and (moved or later_ms):
        return _shifted(clip.clip_id, picture_ms, None if sound_ms is None else sound_ms + later_ms)
    return Judged(clip.clip_id, State.DIFFERENT, _difference(clip, copy, sound_ms, picture_ms, fits=fits))


def same(one: bytes | None, other: bytes | None) -> bool | None:
    """Whether two prints match; None where neither is there. Prints of two versions match none."""
    if one is None and other is None:
        return None
    if one is None or other is None or one[0] != other[0]:
        return False
    limit = prints.SAME_SOUND if one[0] == prints.SOUND.tag else prints.SAME_PICTURE
    return prints.distance(one, other) <= limit


def _skewed(clip: Locked, copy: Seen) -> int:
    """By how much the container starts the sound later, against the picture, than the clip's did."""
    if clip.av_skew_ms is None or copy.av_skew_ms is None:
        return 0
    later_ms = round(copy.av_skew_ms - clip.av_skew_ms)
    return later_ms if abs(later_ms) > _IN_STEP_MS else 0


def _shifted(clip_id: str, picture_ms: int | None, sound_ms: int | None) -> Judged:
    if picture_ms is None or sound_ms is None or abs(picture_ms - sound_ms) <= 2 * _IN_STEP_MS:
        told = f"begins {sound_ms if sound_ms is not None else picture_ms:+d} ms into the clip"
    else:
        told = f"picture begins {picture_ms:+d} ms, sound {sound_ms:+d} ms into the clip"
    return Judged(clip_id, State.SHIFTED, told, picture_ms, sound_ms)


def _difference(clip: Locked, copy: Seen, sound_ms: int | None, picture_ms: int | None, *, fits: bool) -> str:
    if fits:
        return "it is longer or shorter"
    if copy.sound is None and clip.sound is not None and picture_ms is not None:
        return "the picture is the same, the sound is missing"
    if picture_ms is not None and sound_ms is None:
        return "the picture is the same, the sound another"
    if sound_ms is not None and picture_ms is None:
        return "the sound is the same, the picture another"
    return "sound and picture are others"
