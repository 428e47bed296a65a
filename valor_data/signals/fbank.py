"""Log-mel filter banks as Kaldi computes them, which AST and VALOR were trained on."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LOWEST_HZ = 20.0
_PREEMPHASIS = np.float32(0.97)
_FLOOR = np.float32(np.finfo(np.float32).eps)
_FRAMES_AT_A_TIME = 2048

Floats = NDArray[np.float32]


def log_mel(samples_N: Floats, sample_rate: int, bins: int = 64) -> Floats:
    """Mono samples to (T, bins) natural logs of mel energies: 25 ms windows (Hann) every 10 ms, snipped at
    the edges; without any window none. Equal to Kaldi's `compute-fbank-feats` with htk_compat, without
    energy and
    dither. (VALOR's code takes the mean of the clip off first; each window's own goes anyway.)
    """
    window, shift = round(0.025 * sample_rate), sample_rate // 100
    padded = 1 << (window - 1).bit_length()
    count = max(0, 1 + (len(samples_N) - window) // shift)
    found = np.empty((count, bins), np.float32)
    if not count:
        return found
    samples_N = np.asarray(samples_N, np.float32)
    frames_TW = np.lib.stride_tricks.sliding_window_view(samples_N, window)[::shift][:count]
    hann_W = np.hanning(window).astype(np.float32)
    banks = _banks(sample_rate, padded, bins)
    for start in range(0, count, _FRAMES_AT_A_TIME):  # a long clip must not leave the cache
        x_TW = frames_TW[start : start + _FRAMES_AT_A_TIME]
        x_TW = x_TW - x_TW.mean(axis=1, keepdims=True)
        x_TW[:, 1:] -= _PREEMPHASIS * x_TW[:, :-1]
        x_TW[:, 0] -= _PREEMPHASIS * x_TW[:, 0]
        x_TW *= hann_W
        power_TF = (np.abs(np.fft.rfft(x_TW, padded)[:, :-1]) ** 2).astype(np.float32)
        found[start : start + _FRAMES_AT_A_TIME] = np.log(np.maximum(banks.energies(power_TF), _FLOOR))
    return found


class _Banks(NamedTuple):
    """Triangles on the mel scale. Between two edges one rises and the one before it falls, so each frequency
    is under two at most. (A product with all of them starts threads, which fight with those of other workers:
    12 ms a clip in place of 1.)"""

    rises_F: Floats
    falls_F: Floats
    starts_S: NDArray[np.intp]
    """First frequency of each of the M + 1 stretches between edges; of an empty one any."""
    empty_S: NDArray[np.bool_]
    """Stretches without any."""

    def energies(self, power_TF: Floats) -> Floats:
        """Sums of power under each triangle, (T, M)."""
        rising_TS, falling_TS = (
            np.add.reduceat(power_TF * side_F, self.starts_S, axis=1)
            for side_F in (self.rises_F, self.falls_F)
        )
        rising_TS[:, self.empty_S] = falling_TS[:, self.empty_S] = 0.0
        energies_TM: Floats = rising_TS[:, :-1] + falling_TS[:, 1:]
        return energies_TM


@lru_cache(maxsize=8)
def _banks(sample_rate: int, padded: int, bins: int) -> _Banks:
    """From 20 Hz to half the rate."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(sample_rate / 2), bins + 2)
    places_F = _mel(np.arange(padded // 2) * (sample_rate / padded))
    stretch_F = np.searchsorted(edges, places_F, side="right") - 1
    is_under_F = stretch_F >= 0
    left_F, right_F = edges[stretch_F], edges[np.minimum(stretch_F + 1, bins + 1)]
    rises_F = np.where(is_under_F, (places_F - left_F) / (right_F - left_F), 0.0)
    falls_F = np.where(is_under_F, 1.0 - rises_F, 0.0)
    starts_S = np.searchsorted(places_F, edges[:-1])
    empty_S = np.diff(starts_S, append=len(places_F)) == 0
    first_S = np.minimum(starts_S, len(places_F) - 1)
    return _Banks(rises_F.astype(np.float32), falls_F.astype(np.float32), first_S, empty_S)


def _mel(hz: float | NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))
