"""How far a copy of a clip lies off the clip, by their prints: numpy only.

Courses of prints (see `prints`) are laid over one another at every offset up to half of the shorter one; the
best one counts where it is as alike as prints that match, and clearly more than others are. So a still
picture or a hum has no offset, for it is alike at any.

Suffixes: S steps, V values of a step, as in `prints`; L offsets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.prints import SAME_PICTURE, SAME_SOUND, SOUND, Floats, Print, unpack

_CLEARLY = 0.1
"""So much more alike than any offset beyond its neighbours must the best one be."""
_NEAR_MS = 500
"""Offsets so close to another are its neighbours: what is smooth is alike there too."""


class Shift(NamedTuple):
    """How much later than the clip sound and picture of the copy begin, milliseconds; earlier if negative.
    None: that one has no print on one side, or fits nowhere. To about 30 ms by sound, 100 ms by picture."""

    sound_ms: int | None
    picture_ms: int | None


def shift(
    sound: bytes | None, picture: bytes | None, copy_sound: bytes | None, copy_picture: bytes | None
) -> Shift:
    """Where sound and picture of a copy lie on those of the clip: at one offset, where both fit there well
    enough, else each where it fits best."""
    heard = _curve(sound, copy_sound)
    seen = _curve(picture, copy_picture)
    if heard is not None and seen is not None:
        joint = heard.alike_L + seen.at(heard.ms_L)
        best = int(joint.argmax())
        where_ms = int(heard.ms_L[best])
        beside = _Curve(heard.ms_L, joint, heard.least + seen.least)
        if (
            heard.alike_L[best] >= heard.least
            and seen.at(where_ms) >= seen.least
            and beside.peak() is not None
        ):
            return Shift(heard.fine(best), seen.fine(seen.nearest(where_ms)))
    return Shift(heard.peak() if heard else None, seen.peak() if seen else None)


class _Curve(NamedTuple):
    """How alike two courses are at each offset."""

    ms_L: NDArray[np.float64]
    alike_L: NDArray[np.float64]
    least: float
    """So alike are prints that match."""

    def at(self, ms: "NDArray[np.float64] | float") -> "NDArray[np.float64]":
        """How alike they are at other offsets; unlike beyond the ends."""
        return np.asarray(np.interp(ms, self.ms_L, self.alike_L, left=-1.0, right=-1.0))

    def peak(self) -> int | None:
        """The offset that is alike enough, and alone in it."""
        best = int(self.alike_L.argmax())
        away = np.abs(self.ms_L - self.ms_L[best]) > _NEAR_MS
        if self.alike_L[best] < self.least:
            return None
        if self.alike_L[away].max(initial=-1.0) > self.alike_L[best] - _CLEARLY:
            return None
        return self.fine(best)

    def nearest(self, ms: float) -> int:
        """The place of the largest value within a step of an offset."""
        near = np.flatnonzero(np.abs(self.ms_L - ms) <= self.ms_L[1] - self.ms_L[0])
        return int(near[self.alike_L[near].argmax()])

    def fine(self, place: int) -> int:
        """The offset at a place, by the parabola through its neighbours."""
        if not 0 < place < len(self.ms_L) - 1:
            return round(float(self.ms_L[place]))
        before, here, after = (float(self.alike_L[place + step]) for step in (-1, 0, 1))
        bend = before - 2 * here + after
        part = float(np.clip(0.5 * (before - after) / bend, -1, 1)) if bend < 0 else 0.0
        return round(float(self.ms_L[place] + part * (self.ms_L[1] - self.ms_L[0])))


def _curve(clip: bytes | None, copy: bytes | None) -> _Curve | None:
    """None where there is nothing to compare, or so little that a good part is alike by chance."""
    if clip is None or copy is None or clip[0] != copy[0]:
        return None
    one, other = unpack(clip), unpack(copy)
    form, reach = one.form, min(len(one.course_SV), len(other.course_SV)) // 2
    if reach < 2 * form.steps_a_second:
        return None
    lags = range(-reach, reach + 1)
    alike_L = np.array([_likeness(one, other, lag) for lag in lags])
    ms_L = np.array(lags) * (1000 / form.steps_a_second)
    return _Curve(ms_L, alike_L, 1 - (SAME_SOUND if form is SOUND else SAME_PICTURE))


def _likeness(one: Print, other: Print, lag: int) -> float:
    """Correlation of the courses where they lie over one another, the second one `lag` steps later."""
    start, end = max(0, lag), min(len(one.course_SV), lag + len(other.course_SV))
    a: Floats = one.course_SV[start:end].ravel()
    b: Floats = other.course_SV[start - lag : end - lag].ravel()
    still = one.form.ballast * a.size
    return float(a @ b) / float(np.sqrt((float(a @ a) + still) * (float(b @ b) + still)))
