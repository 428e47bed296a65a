"""The peak between samples (true peak, ITU-R BS.1770-4 annex 2): four times oversampled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MATTERS = 0.5
"""Sample peaks below it (-6 dBFS) are not looked behind: no sound overshoots so far that it would clip."""

_PHASES, _TAPS = 4, 12
_NEAR = 0.7
"""Only samples above this share of the highest so far are looked behind: a wave that rises by more than
3 dB over both its neighbours lies beyond half the sample rate."""


def _interpolator() -> NDArray[np.float32]:
    """Low-pass of half the band, a row of taps for each of three places between two samples."""
    places = np.arange(_TAPS) - (_TAPS // 2 - 1)
    rows = []
    for phase in range(1, _PHASES):
        times = places - phase / _PHASES
        window = np.i0(5.0 * np.sqrt(np.clip(1 - (times / (_TAPS / 2)) ** 2, 0, 1))) / np.i0(5.0)
        taps = np.sinc(times) * window
        rows.append(taps / taps.sum())
    return np.asarray(rows, np.float32)


class TruePeak:
    """The highest value, linear, of all channels so far; feed it stretches that follow one another."""

    def __init__(self) -> None:
        self._taps_PK = _interpolator()
        self._tail: NDArray[np.floating[Any]] | None = None
        self._highest = 0.0

    def add(self, samples_NCT: NDArray[np.floating[Any]]) -> None:
        """Take more windows of finite samples, one after the other."""
        channels, length = samples_NCT.shape[1:]
        top = float(max(samples_NCT.max(initial=0.0), -samples_NCT.min(initial=0.0)))
        if self._tail is not None:
            top = max(top, float(np.abs(self._tail).max(initial=0.0)))
        if top < max(MATTERS, _NEAR * self._highest) and length >= _TAPS:  # copy nothing
            self._tail = samples_NCT[-1, :, -_TAPS:].copy()
            return
        samples_CT = samples_NCT.transpose(1, 0, 2).reshape(channels, -1)
        if self._tail is not None:
            samples_CT = np.concatenate([self._tail, samples_CT], axis=1)
        self._tail = samples_CT[:, -_TAPS:]
        if top < max(MATTERS, _NEAR * self._highest) or samples_CT.shape[1] < _TAPS:
            return
        self._highest = max(self._highest, top)
        least = max(MATTERS, _NEAR * self._highest)
        line_T = samples_CT.reshape(-1)  # one channel behind the other: gaps that span two are left out below
        high = np.flatnonzero((line_T >= least) | (line_T <= -least))
        # Both gaps beside a high sample: the one before it and the one behind it.
        starts = np.unique(np.concatenate([high - 1, high])) - (_TAPS // 2 - 1)
        place = starts % samples_CT.shape[1]
        starts = starts[(starts >= 0) & (place <= samples_CT.shape[1] - _TAPS)]
        if len(starts):
            around_NK = np.lib.stride_tricks.sliding_window_view(line_T, _TAPS)[starts]
            self._highest = max(self._highest, float(np.abs(around_NK @ self._taps_PK.T).max()))

    @property
    def highest(self) -> float | None:
        """Linear, 1.0 = full scale; None where the samples stay below `MATTERS`."""
        return self._highest if self._highest >= MATTERS else None
