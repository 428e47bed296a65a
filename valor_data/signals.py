"""Numbers from arrays of samples: pure numpy, no I/O.

Samples are floats with full scale at 1.0 and may lie above it (decoders of lossy codecs
overshoot). Levels are in dBFS: a sample of 1.0 is 0 dBFS, and so is the RMS of a full-scale
square wave. Suffixes: C channels, T samples of one channel, W windows.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]

FLOOR_DBFS = -120.0
"""What digital silence reads: below the noise of 16-bit sound, and finite."""
WINDOW_MS = 100
"""Length of the windows that silence is told by."""
SILENT_DBFS = -60.0
"""A window whose RMS lies below it is silent."""
CLIPPED = 0.999
"""Absolute sample values from here on count as clipped."""

_BLAS_SAMPLES = 8192


class Levels(NamedTuple):
    """What one window of samples amounts to."""

    samples: int
    """Number of samples, all channels counted."""
    peak: float
    """Largest absolute sample, linear."""
    mean_square: float
    """Mean of the squared samples over all channels, linear."""
    clipped: int
    """Samples whose absolute value is at least `CLIPPED`."""
    finite: bool
    """False where a sample is infinite or no number; such samples count as 0."""


def levels(samples: Samples) -> Levels:
    """The levels of one window of samples, of any shape and order of channels."""
    flat: Samples = samples.reshape(-1)
    if not flat.size:
        return Levels(0, 0.0, 0.0, 0, True)
    energy = _energy(flat)
    finite = math.isfinite(energy)
    if not finite:
        flat = np.nan_to_num(flat, nan=0.0, posinf=0.0, neginf=0.0)
        energy = _energy(flat)
    peak = float(max(flat.max(), -flat.min()))
    clipped = int(np.count_nonzero(np.abs(flat) >= CLIPPED)) if peak >= CLIPPED else 0
    return Levels(flat.size, peak, energy / flat.size, clipped, finite)


def _energy(flat: Samples) -> float:
    """Sum of squares. In parts: BLAS starts threads for long vectors, and a worker owns one core."""
    parts = (flat[start : start + _BLAS_SAMPLES] for start in range(0, flat.size, _BLAS_SAMPLES))
    return float(sum(np.dot(part, part) for part in parts))


def dbfs(amplitude: float) -> float:
    """A linear amplitude (peak or RMS, 1.0 = full scale) in dB, to 0.001 dB, at least `FLOOR_DBFS`."""
    return round(max(FLOOR_DBFS, 20 * math.log10(amplitude)), 3) if amplitude > 0 else FLOOR_DBFS


def sample_peak_dbfs(levels_W: Sequence[Levels]) -> float | None:
    """Largest absolute sample of all windows, dBFS; None without samples. Not the true peak."""
    return dbfs(max(window.peak for window in levels_W)) if levels_W else None


def silent_share(levels_W: Sequence[Levels]) -> float | None:
    """Share (0-1) of windows whose RMS over all channels lies below `SILENT_DBFS`; None without any."""
    if not levels_W:
        return None
    silent = 10 ** (SILENT_DBFS / 10)
    return sum(window.mean_square < silent for window in levels_W) / len(levels_W)


def clipped_share(levels_W: Sequence[Levels]) -> float | None:
    """Share (0-1) of samples at or above `CLIPPED`, over all channels; None without samples."""
    total = sum(window.samples for window in levels_W)
    return sum(window.clipped for window in levels_W) / total if total else None
