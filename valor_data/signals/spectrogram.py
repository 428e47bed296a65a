"""A sound as a picture: time to the right, pitch upwards, loudness as brightness."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_WINDOW = 1024
_LOWEST_HZ = 50.0
_RANGE_DB = 80.0
_SCALE = np.array(
    [
        (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51),
        (249, 140, 10), (249, 201, 50), (252, 255, 164),
    ],
    np.float64,
)  # fmt: skip
"""Colours of even steps of brightness, from dark to light."""


def spectrogram(sound_T: NDArray[np.float32], rate: int, width: int, height: int) -> NDArray[np.uint8]:
    """The picture of mono samples, (height, width, 3) in RGB.

    Pitch runs by octaves from 50 Hz to half the rate; the loudest spot is the brightest, and what lies 80 dB
    below it is black. Silence, and fewer samples than a window of 1024, are black altogether.
    """
    power_FT = np.zeros((height, width))
    if len(sound_T) >= _WINDOW:
        starts = np.linspace(0, len(sound_T) - _WINDOW, width).astype(np.intp)
        windows = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(sound_T), _WINDOW)[starts]
        spectrum = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), axis=1)) ** 2
        hertz = np.geomspace(_LOWEST_HZ, rate / 2, height + 1)
        bins = np.minimum((hertz * _WINDOW / rate).astype(np.intp), spectrum.shape[1] - 1)
        for row, (low, high) in enumerate(pairwise(bins)):
            power_FT[row] = spectrum[:, low : max(high, low + 1)].max(axis=1)
    loudest = power_FT.max()
    level = np.zeros_like(power_FT)
    if loudest > 0:
        level = 1 + 10 * np.log10(np.maximum(power_FT / loudest, 1e-12)) / _RANGE_DB
    at = np.clip(level[::-1], 0, 1) * (len(_SCALE) - 1)
    steps = np.arange(len(_SCALE))
    coloured = np.stack([np.interp(at, steps, _SCALE[:, part]) for part in range(3)], axis=-1)
    return coloured.round().astype(np.uint8)
