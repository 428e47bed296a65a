"""PDQ, the picture hash that programmes against abuse share lists in: 256 bits, from numpy alone.

Written after the published description of the algorithm. The luminance is smoothed by two rounds of a
box filter as wide as 1/128 of the picture, taken at 64 x 64 points, turned into 16 x 16 cosine
coefficients, and each coefficient compared with their median. Smoothing and taking points are linear, so
both are one small weighted sum a side, and no full-size picture is filtered.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_QUALITY = 50
"""Hashes of pictures with less detail match at random: the programmes do not use them."""
_POINTS, _COEFFICIENTS = 64, 16
_LEAST_SIDE_PX = 5
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Pdq(NamedTuple):
    """The hash of one picture."""

    bits: bytes
    """32 bytes; their hex digits are the hash as lists spell it."""
    quality: int
    """0 (flat) to 100 (rich in detail)."""


def pdq(picture: NDArray[np.uint8]) -> Pdq:
    """The hash of an RGB picture (H, W, 3). One less than 5 pixels high or wide has quality 0."""
    height, width = picture.shape[:2]
    if min(height, width) < _LEAST_SIDE_PX:
        return Pdq(bytes(32), 0)
    luma = np.einsum("hwc,c->hw", picture, _LUMA, dtype=np.float32)
    rows, row_weights = _taps(height)
    columns, column_weights = _taps(width)
    by_rows = np.einsum("pkw,pk->pw", luma[rows], row_weights)
    points = np.einsum("rpk,pk->rp", by_rows[:, columns], column_weights)
    waves = _waves()
    coefficients = (waves @ points @ waves.T).reshape(-1)
    lower_median = np.partition(coefficients, coefficients.size // 2 - 1)[coefficients.size // 2 - 1]
    # The first coefficient is the hash's last bit.
    return Pdq(np.packbits(coefficients[::-1] > lower_median).tobytes(), _quality(points))


def _quality(points: NDArray[np.float32]) -> int:
    """Steps between neighbours in whole percents of full scale, summed; 9000 of them are the best."""
    steps = sum(int(np.abs(np.trunc(np.diff(points, axis=axis) * (100 / 255))).sum()) for axis in (0, 1))
    return min(100, steps // 90)


@lru_cache(maxsize=64)
def _taps(side: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each of the 64 points of a side: which of its pixels make it (P, K), and by what weight (P, K)."""
    wide = -(-side // (2 * _POINTS))
    right = (wide + 2) // 2  # the box reaches so far, itself included, and to the left what is left of it
    left = wide - right
    box = np.zeros((side, side))
    for pixel in range(side):
        window = slice(max(0, pixel - left), pixel + right)
        box[pixel, window] = 1 / len(range(*window.indices(side)))
    at = ((np.arange(_POINTS) + 0.5) * side / _POINTS).astype(int)
    first = np.maximum(0, at - 2 * left)
    count = min(side, 2 * wide - 1)
    pixels = np.minimum(first[:, None] + np.arange(count), side - 1)
    weights = np.zeros((_POINTS, count), np.float32)
    for point, pixel in enumerate(at):
        twice = box[max(0, pixel - left) : pixel + right].mean(axis=0)
        reach = twice[first[point] : first[point] + count]
        weights[point, : len(reach)] = reach
    return pixels, weights


@lru_cache(maxsize=1)
def _waves() -> NDArray[np.float32]:
    """The cosine transform's rows 1 to 16 (C, P): row 0, the mean brightness, does not count."""
    frequencies, points = np.arange(1, _COEFFICIENTS + 1), np.arange(_POINTS)
    angles = np.pi / (2 * _POINTS) * frequencies[:, None] * (2 * points + 1)
    waves: NDArray[np.float32] = (np.sqrt(2 / _POINTS) * np.cos(angles)).astype(np.float32)
    return waves
