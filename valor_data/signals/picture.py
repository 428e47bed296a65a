"""Small frames to numbers."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

GRID_S = 0.25
"""Time from one frame of the grid to the next."""
ROWS, COLUMNS = 36, 64
"""Size of its frames."""
STILL_MEAN, STILL_MOST = 0.003, 0.04
"""Two frames look the same where light changes by less than the one in the mean and the other anywhere."""

_DARK, _BRIGHT, _NEARLY_ALL = 0.1, 0.9, 0.98
_BAR = 0.1
_CUT_CHANGED, _CUT_BY, _CUT_TIMES = 0.5, 0.06, 3.0
_BLOCK = 8


class Detail(NamedTuple):
    """What is read from one frame at full size."""

    sharpness: float
    blockiness: float | None


class Picture(NamedTuple):
    """All that is kept of a clip's picture."""

    light_THV: Bytes
    """Light on the grid, 0 black, 255 white, `ROWS` by `COLUMNS` whatever the aspect."""
    mean_THV: Bytes
    """The same, each the mean of the decoded frames that are nearer to its moment than to another: what two
    encodings have in common that show different frames."""
    saturation_T: NDArray[np.float32]
    """Mean distance from grey of a frame a second, 0-1."""
    details: tuple[Detail, ...]
    """Of a few frames of the grid."""
    first_ms: float | None
    """When the first frame is shown, on the clip's clock."""
    duration_ms: int
    """From the first shown frame to the end of the last."""
    frames: int
    """Frames that are shown in it, whether or not they were decoded."""
    aspect: float
    """Displayed width over height."""


def change_T(light_THV: Bytes) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """From each frame to the next: mean change of light (0-1), largest change, and the share of the picture
    that changes by more than 0.06."""
    step_THV = np.abs(np.diff(light_THV.astype(np.int16), axis=0))
    return (
        step_THV.mean(axis=(1, 2), dtype=np.float32) / 255,
        step_THV.max(axis=(1, 2), initial=0).astype(np.float32) / 255,
        (step_THV > _CUT_BY * 255).mean(axis=(1, 2), dtype=np.float32),
    )


def motion(light_THV: Bytes) -> float | None:
    """Mean change of light from frame to frame, 0-1; None below two frames."""
    return round(float(change_T(light_THV)[0].mean()), 5) if len(light_THV) > 1 else None


def still_share(light_THV: Bytes) -> float | None:
    """Share (0-1) of neighbours that look the same; None below two frames."""
    if len(light_THV) < 2:
        return None
    mean_T, most_T, _ = change_T(light_THV)
    return float(((mean_T < STILL_MEAN) & (most_T < STILL_MOST)).mean())


def scene_cuts(light_THV: Bytes) -> int | None:
    """Neighbours between which most of the picture changes at once, and far more than around them; None
    below two frames."""
    if len(light_THV) < 2:
        return None
    mean_T, _, changed_T = change_T(light_THV)
    cuts = 0
    for place in np.flatnonzero(changed_T > _CUT_CHANGED).tolist():
        around = np.delete(mean_T[max(0, place - 4) : place + 5], min(place, 4))
        usual = float(np.median(around)) if len(around) else 0.0
        cuts += bool(mean_T[place] > _CUT_TIMES * usual)
    return cuts


def black_share(light_THV: Bytes) -> float:
    """Share (0-1) of frames that are almost all black."""
    return float(((light_THV < _DARK * 255).mean(axis=(1, 2)) >= _NEARLY_ALL).mean())


def white_share(light_THV: Bytes) -> float:
    """Share (0-1) of frames that are almost all white."""
    return float(((light_THV > _BRIGHT * 255).mean(axis=(1, 2)) >= _NEARLY_ALL).mean())


def brightness(light_THV: Bytes) -> float:
    """Mean light, 0-1."""
    return round(float(light_THV.mean()) / 255, 4)


def contrast(light_THV: Bytes) -> float:
    """Standard deviation of light within a frame, mean over the frames, 0-0.5."""
    return round(float(light_THV.std(axis=(1, 2), dtype=np.float32).mean()) / 255, 4)


def letterbox_share(light_THV: Bytes) -> float | None:
    """Share (0-1) of the picture in bars that stay black all the time; None where all of it does."""
    lit_HV = light_THV.max(axis=0) >= _BAR * 255
    rows = np.flatnonzero(lit_HV.mean(axis=1) > 0.05)
    columns = np.flatnonzero(lit_HV.mean(axis=0) > 0.05)
    if not len(rows) or not len(columns):
        return None
    height, width = lit_HV.shape
    inside = int(rows[-1] - rows[0] + 1) * int(columns[-1] - columns[0] + 1)
    return float(round(1 - inside / (height * width), 4))


def saturation(chroma_2HV: Bytes) -> float:
    """Mean distance from grey of one frame's two planes of chroma, 0-1 (1: the corner of the range)."""
    off = chroma_2HV.astype(np.float32) - 128
    return float(np.sqrt(np.square(off).sum(axis=0)).mean()) / 181


def detail(light_HV: NDArray[Any]) -> Detail:
    """Sharpness and blocks of one frame at full size, light 0-255, its corner on the codec's grid."""
    light = light_HV.astype(np.int16)
    across, down = np.abs(np.diff(light, axis=1)), np.abs(np.diff(light, axis=0))
    sharp = 0.0
    if min(light.shape) > 2:
        middle = light[1:-1, 1:-1]
        bent = 4 * middle - light[:-2, 1:-1] - light[2:, 1:-1] - light[1:-1, :-2] - light[1:-1, 2:]
        sharp = float(bent.var(dtype=np.float32)) / 255**2 * 1000
    on = [across[:, _BLOCK - 1 :: _BLOCK], down[_BLOCK - 1 :: _BLOCK]]
    if not all(steps.size for steps in on):
        return Detail(round(sharp, 3), None)
    on_sum, on_count = sum(int(s.sum()) for s in on), sum(s.size for s in on)
    rest_sum = int(across.sum()) + int(down.sum()) - on_sum
    rest = rest_sum / (across.size + down.size - on_count)
    if rest < 0.05:  # one colour: nothing to compare with
        return Detail(round(sharp, 3), None)
    return Detail(round(sharp, 3), round(on_sum / on_count / rest, 3))
