"""Sound and picture beside each other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.signals import picture as pictures
from valor_data.signals import sound as sounds

_MOST_LAG = 2  # steps of the grid: half a second
_LEAST_FRAMES = 9  # two seconds


class Coupling(NamedTuple):
    """How rises of sound level go with motion."""

    correlation: float
    lag_ms: int
    """Positive where the sound comes later."""


def onsets_T(found: sounds.Windows, rate: int, later_s: float, count: int) -> NDArray[np.float64]:
    """Strongest rise of level, dB, within each of `count` steps of the pictures' grid, which the sound
    begins `later_s` behind."""
    level_W = 10 * np.log10(np.maximum(found.square_W, 10 ** (sounds.SILENT_DBFS / 10)))
    rise_W = np.maximum(np.diff(level_W, prepend=level_W[:1]), 0)
    starts_s = (np.cumsum(found.samples_W) - found.samples_W) / rate + later_s
    slots = np.floor(starts_s / pictures.GRID_S).astype(int)
    inside = (slots >= 0) & (slots < count)
    rise_T = np.zeros(count)
    np.maximum.at(rise_T, slots[inside], rise_W[inside])
    return rise_T


def coupling(sound: sounds.Sound, picture: pictures.Picture) -> Coupling | None:
    """The largest correlation of onsets and motion over lags of up to half a second; None where one of
    them never changes, or for less than two seconds."""
    if len(picture.light_THV) < _LEAST_FRAMES:
        return None
    motion_T = pictures.change_T(picture.light_THV)[0].astype(np.float64)
    later_s = ((sound.first_ms or 0.0) - (picture.first_ms or 0.0)) / 1000
    rise_T = onsets_T(sound.windows, sound.rate, later_s, len(motion_T))
    best: Coupling | None = None
    for lag in range(-_MOST_LAG, _MOST_LAG + 1):
        seen = motion_T[max(0, -lag) : len(motion_T) - max(0, lag)]
        heard = rise_T[max(0, lag) : len(rise_T) - max(0, -lag)]
        if seen.std() < 1e-6 or heard.std() < 1e-6:
            continue
        value = float(np.corrcoef(seen, heard)[0, 1])
        if best is None or value > best.correlation:
            best = Coupling(round(value, 4), round(lag * pictures.GRID_S * 1000))
    return best
