"""Log-mel filter banks as Kaldi computes them, which AST and VALOR were trained on."""

from functools import lru_cache
from typing import Any

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
    banks_FM = _banks(sample_rate, padded, bins)
    for start in range(0, count, _FRAMES_AT_A_TIME):  # a long clip must not leave the cache
        x_TW = frames_TW[start : start + _FRAMES_AT_A_TIME]
        x_TW = x_TW - x_TW.mean(axis=1, keepdims=True)
        x_TW[:, 1:] -= _PREEMPHASIS * x_TW[:, :-1]
        x_TW[:, 0] -= _PREEMPHASIS * x_TW[:, 0]
        x_TW *= hann_W
        power_TF = np.abs(np.fft.rfft(x_TW, padded)[:, :-1]) ** 2
        energies_TM = power_TF.astype(np.float32) @ banks_FM
        found[start : start + _FRAMES_AT_A_TIME] = np.log(np.maximum(energies_TM, _FLOOR))
    return found


@lru_cache(maxsize=8)
def _banks(sample_rate: int, padded: int, bins: int) -> Floats:
    """Triangles on the mel scale, (F, bins), from 20 Hz to half the rate."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(sample_rate / 2), bins + 2)
    places_F1 = _mel(np.arange(padded // 2) * (sample_rate / padded))[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (places_F1 - left) / (centre - left)
    falling = (right - places_F1) / (right - centre)
    banks_FM: Floats = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return banks_FM


def _mel(hz: float | NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0))
