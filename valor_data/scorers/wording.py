"""How much of a picture is writing: subtitles, logos, channel names burnt into it.

RapidOCR's detector (PaddleOCR's, Apache-2.0) says where there is writing; nothing is read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.scorers import packages

_LONGEST = 640
"""Pixels of the longer side that the detector sees at most."""
_STEP = 32
"""Sides must be a multiple of it."""
_INK = 0.3
"""Probability from which a pixel belongs to writing."""
_SURE = 0.5
"""Mean probability that the box around a core needs: a line of writing fills its box, a seam does not."""
_GROWTH = 1.6
"""The network marks the core of a line; the line is larger by area x this / perimeter on every side."""
_LEAST_PX = 3  # a core less high or wide is noise
_MOST = 0.25
"""Share of the picture's shorter side that a core's shorter side may take. The network takes some whole
pictures, flat or blurred, for one huge letter; what is burnt in comes in lines."""


class Wording(NamedTuple):
    """Shares (0-1) of the picture's area."""

    mean: float
    """Inside boxes of writing, the mean over the frames; 0 without frames."""
    lasting: float
    """Inside boxes of writing in every frame: what is burnt in stays, a sign in the scene passes by."""


class WordingFinder:
    """The detector, opened. Raises UserError where its packages are missing."""

    def __init__(self) -> None:
        weights = packages.file_in("rapidocr", "models/*det*.onnx", "safety")
        self._cv = packages.load("cv2", "safety")
        self._cv.setNumThreads(1)
        self._session = packages.session(weights)
        self._takes = self._session.get_inputs()[0].name
        self.name = weights.stem
        self.fingerprint = packages.fingerprint([weights])

    def measure(self, frames: Sequence[NDArray[np.uint8]]) -> Wording:
        """The writing in a clip's RGB frames (H, W, 3), all of one size."""
        if not frames:
            return Wording(0.0, 0.0)
        boxed = np.stack([self.boxes(frame) for frame in frames])
        return Wording(float(boxed.mean()), float(boxed.all(axis=0).mean()))

    def boxes(self, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """True inside the upright boxes around writing, at the detector's scale of the picture."""
        height, width = frame.shape[:2]
        scale = min(1.0, _LONGEST / max(height, width))
        high, wide = (max(_STEP, round(side * scale / _STEP) * _STEP) for side in (height, width))
        seen = self._cv.resize(frame, (wide, high), interpolation=self._cv.INTER_AREA)
        # The network learnt on pictures in OpenCV's order of colours.
        pixels = seen[:, :, ::-1].astype(np.float32) / 127.5 - 1.0
        ink = self._session.run(None, {self._takes: pixels.transpose(2, 0, 1)[None]})[0][0, 0]
        cores = (ink > _INK).astype(np.uint8)
        count, _, stats, _ = self._cv.connectedComponentsWithStats(cores)
        boxed = np.zeros(cores.shape, np.bool_)
        for label in range(1, count):
            left, top, across, down = (int(value) for value in stats[label][:4])
            if not _LEAST_PX <= min(across, down) <= _MOST * min(high, wide):
                continue
            window = np.s_[top : top + down, left : left + across]
            if ink[window].mean() < _SURE:
                continue
            grow = round(across * down * _GROWTH / (2 * (across + down)))
            boxed[max(0, top - grow) : top + down + grow, max(0, left - grow) : left + across + grow] = True
        return boxed
