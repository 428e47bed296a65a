"""Which frames and which slices of sound stand for a clip (VALOR section 4.1, by the released code)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def pick(count: int, wanted: int, rng: np.random.Generator | None = None) -> list[int]:
    """`wanted` of `count` things in order: one of each of `wanted` contiguous parts of near-equal size,
    larger
    ones first; a random one, or the lower middle without `rng`. Too few things: the last one stands in."""
    places = list(range(count)) + [count - 1] * (wanted - count)
    size, larger = divmod(len(places), wanted)
    picked, start = [], 0
    for part in range(wanted):
        length = size + (part < larger)
        picked.append(
            places[start + (int(rng.integers(length)) if rng is not None else (length + 1) // 2 - 1)]
        )
        start += length
    return picked


def slices(mels_TM: Floats, length: int) -> Floats:
    """A spectrogram in (S, length, M) slices, the last filled up with zeros, as VALOR does before it
    normalises.

    Where the length divides T, the released code adds a slice of zeros; this does not.
    """
    frames, bins = mels_TM.shape
    count = -(-frames // length)
    filled = np.zeros((count * length, bins), np.float32)
    filled[:frames] = mels_TM
    return filled.reshape(count, length, bins)
