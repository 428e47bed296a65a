"""Windows of samples to levels and spectra, and those to numbers."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating[Any]]
Floats = NDArray[np.floating[Any]]

FLOOR_DBFS = -120.0
"""What digital silence reads: below the noise of 16-bit sound, and finite."""
WINDOW_MS = 100
"""Length of the windows."""
SILENT_DBFS = -60.0
"""A window whose RMS lies below it is silent."""
CLIPPED = 0.999
"""Absolute sample values from here on count as clipped."""
VOICE_HZ = 3400.0
"""Up to here the spectrum of every window is kept: what the poorest recording carries too."""
BANDS = 64
"""Bands of equal width from 0 Hz to half the sample rate."""

_FADED = 0.125
"""Share of a window that fades in, and out."""
_BANDWIDTH_DB = 70.0
_MOST_SNR_DB = 90.0


class Windows(NamedTuple):
    """What windows of samples amount to, an entry each."""

    samples_W: NDArray[np.int64]
    """Samples of one channel."""
    peak_W: Floats
    """Largest absolute sample, linear."""
    clipped_W: NDArray[np.int64]
    """Samples of all channels whose absolute value is at least `CLIPPED`."""
    finite_W: NDArray[np.bool_]
    """False where a sample is infinite or no number; such samples count as 0."""
    mean_WC: Floats
    """Mean sample of each channel."""
    square_WC: Floats
    """Mean squared sample of each channel, linear."""
    product_W: Floats
    """Mean product of the first two channels; of one channel, its mean square."""

    @property
    def square_W(self) -> Floats:
        """Mean squared sample over all channels, linear."""
        mean_W: Floats = self.square_WC.mean(axis=1)
        return mean_W

    @property
    def silent_W(self) -> NDArray[np.bool_]:
        """Windows whose RMS over all channels lies below `SILENT_DBFS`."""
        return self.square_W < 10 ** (SILENT_DBFS / 10)


class Spectra(NamedTuple):
    """Power spectra of whole windows of the mono mix; the bins of a window sum to its mean square."""

    sum_F: Floats
    """Sum over about every fourth window that is not silent, weighed by a Hann window."""
    summed: int
    """Number of those."""
    voice_WF: Floats
    """Every window, weighed by `fade`, bins up to `VOICE_HZ`."""
    bands_WB: Floats
    """Every window, weighed likewise, mean power of a bin in each of `BANDS` bands."""


class Sound(NamedTuple):
    """All that is kept of a clip's sound."""

    rate: int
    """Samples a second."""
    windows: Windows
    spectra: Spectra
    first_ms: float | None
    """When the first sample is heard, on the clip's clock."""
    loudness_lufs: float | None
    momentary_max_lufs: float | None
    true_peak: float | None
    """Linear; None where it was not looked for."""

    @property
    def hertz_F(self) -> Floats:
        """Frequency of each bin of `spectra.sum_F`; its beginning is that of `voice_WF`."""
        return np.fft.rfftfreq(self.rate * WINDOW_MS // 1000, 1 / self.rate)

    @property
    def duration_ms(self) -> int:
        return round(int(self.windows.samples_W.sum()) * 1000 / self.rate)


def windows(samples_NCT: Samples) -> Windows:
    """The levels of windows of one length. Samples that are no numbers are set to 0 in the argument."""
    count, channels, length = samples_NCT.shape
    # One number tells of all: a sample that is none spoils the sum.
    power_NC = np.vecdot(samples_NCT, samples_NCT)
    finite_W = np.isfinite(power_NC).all(axis=1)
    if not finite_W.all():
        np.nan_to_num(samples_NCT, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        power_NC = np.vecdot(samples_NCT, samples_NCT)
    peak_W = np.maximum(samples_NCT.max(axis=(1, 2), initial=0.0), -samples_NCT.min(axis=(1, 2), initial=0.0))
    clipped_W = np.zeros(count, np.int64)
    for index in np.flatnonzero(peak_W >= CLIPPED):
        clipped_W[index] = np.count_nonzero(np.abs(samples_NCT[index]) >= CLIPPED)
    return Windows(
        samples_W=np.full(count, length, np.int64),
        peak_W=peak_W,
        clipped_W=clipped_W,
        finite_W=finite_W,
        mean_WC=np.vecdot(samples_NCT, np.ones(length, np.float32)) / np.float32(length),
        square_WC=power_NC / length,
        product_W=np.vecdot(samples_NCT[:, 0], samples_NCT[:, min(1, channels - 1)]) / length,
    )


def spectra(samples_NCT: Samples, rate: int, heard_N: NDArray[np.bool_]) -> Spectra:
    """The spectra of windows of `WINDOW_MS`; `heard_N` says which are not silent."""
    channels, length = samples_NCT.shape[1:]
    mono_NT = samples_NCT[:, 0] / np.float32(channels)
    for channel in range(1, channels):  # a sum along so short an axis would cost ten times as much
        mono_NT += samples_NCT[:, channel] / np.float32(channels)
    power_NF = _power(mono_NT * _scaled(fade, length))
    # Where the sound ends is told by a window that smears less, and every fourth one is enough.
    some = np.flatnonzero(heard_N)[::4]
    clear_NF = _power(mono_NT[some] * _scaled(_hann, length))
    edges = _edges(power_NF.shape[1])
    return Spectra(
        sum_F=clear_NF.sum(axis=0, dtype=np.float64),
        summed=len(clear_NF),
        voice_WF=power_NF[:, : 1 + int(VOICE_HZ * length / rate)].copy(),
        bands_WB=(np.add.reduceat(power_NF, edges[:-1], axis=1) / np.diff(edges)).astype(np.float32),
    )


@functools.lru_cache(maxsize=4)
def fade(length: int) -> Floats:
    """Weights that fade in and out over an eighth of the window at each end.

    Flat but for that: whatever a window passes over is lost to an encoding whose sound lies half a window
    aside. A Hann window leaves steady noise, shifted by 50 ms, nothing to know it by.
    """
    place = (np.arange(length) + 0.5) / max(1, length)
    near = np.minimum(1, np.minimum(place, 1 - place) / _FADED)
    weights: Floats = np.square(np.sin(np.pi / 2 * near)).astype(np.float32)
    return weights


@functools.lru_cache(maxsize=4)
def _hann(length: int) -> Floats:
    return np.hanning(length).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _scaled(window: Callable[[int], Floats], length: int) -> Floats:
    """Weights with which the power of all bins sums to the mean square of the samples."""
    weights = window(length)
    return weights / np.float32(math.sqrt(length * float(np.square(weights).sum()) / 2))


@functools.lru_cache(maxsize=4)
def _edges(bins: int) -> NDArray[np.int_]:
    """Where each band begins, and where the last one ends."""
    return np.linspace(0, bins, min(BANDS, bins) + 1).astype(int)


def _power(weighed_NT: Floats) -> Floats:
    bins_NF = np.fft.rfft(weighed_NT)
    power_NF: Floats = np.square(bins_NF.real) + np.square(bins_NF.imag)
    return power_NF


def joined_windows(parts: Sequence[Windows]) -> Windows:
    """The windows of all parts, one after the other."""
    return Windows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def joined_spectra(parts: Sequence[Spectra]) -> Spectra:
    """The spectra of all parts, one after the other."""
    return Spectra(
        sum_F=np.sum([part.sum_F for part in parts], axis=0),
        summed=sum(part.summed for part in parts),
        voice_WF=np.concatenate([part.voice_WF for part in parts]),
        bands_WB=np.concatenate([part.bands_WB for part in parts]),
    )


def dbfs(amplitude: float) -> float:
    """A linear amplitude (peak or RMS, 1.0 = full scale) in dB, to 0.001 dB, at least `FLOOR_DBFS`."""
    return round(max(FLOOR_DBFS, 20 * math.log10(amplitude)), 3) if amplitude > 0 else FLOOR_DBFS


def sample_peak_dbfs(sound: Windows) -> float:
    """Largest absolute sample, dBFS. Not the true peak."""
    return dbfs(float(sound.peak_W.max()))


def silent_share(sound: Windows) -> float:
    """Share (0-1) of silent windows."""
    return float(sound.silent_W.mean())


def longest_silence_ms(sound: Windows, rate: int) -> int:
    """Longest run of silent windows."""
    longest = run = 0
    for silent, samples in zip(sound.silent_W.tolist(), sound.samples_W.tolist(), strict=True):
        run = run + samples if silent else 0
        longest = max(longest, run)
    return round(longest * 1000 / rate)


def clipped_share(sound: Windows) -> float:
    """Share (0-1) of samples at or above `CLIPPED`, over all channels."""
    return int(sound.clipped_W.sum()) / (int(sound.samples_W.sum()) * sound.mean_WC.shape[1])


def dc_offset(sound: Windows) -> float:
    """Mean sample of the channel where it lies farthest from zero, full scale 1."""
    mean_C = np.average(sound.mean_WC, axis=0, weights=sound.samples_W)
    return round(float(mean_C[np.abs(mean_C).argmax()]), 6)


def stereo_correlation(sound: Windows) -> float | None:
    """Correlation of the first two channels, -1 to 1; None for one channel, or where one is silent."""
    if sound.mean_WC.shape[1] < 2:
        return None
    weights = sound.samples_W
    mean_C = np.average(sound.mean_WC[:, :2], axis=0, weights=weights)
    variance_C = np.average(sound.square_WC[:, :2], axis=0, weights=weights) - mean_C**2
    if variance_C.min() < 10 ** (2 * FLOOR_DBFS / 20):
        return None
    covariance = np.average(sound.product_W, weights=weights) - mean_C[0] * mean_C[1]
    return round(float(np.clip(covariance / math.sqrt(variance_C[0] * variance_C[1]), -1, 1)), 4)


def snr_db(sound: Windows) -> float | None:
    """Level from the 10th to the 95th percentile of the windows' RMS, dB, at most 90; None where all
    is silent."""
    if sound.silent_W.all():
        return None
    floor = 10 ** (FLOOR_DBFS / 10)
    level_W = 10 * np.log10(np.maximum(sound.square_W, floor))
    quiet, loud = np.percentile(level_W, [10, 95])
    return round(min(_MOST_SNR_DB, float(loud - quiet)), 2)


def bandwidth_hz(found: Spectra, hertz_F: Floats) -> float | None:
    """Highest frequency whose mean power lies within 70 dB of the strongest third of an octave (mean power
    a bin); None where all is silent."""
    if not found.summed:
        return None
    edges_hz = 50 * 2 ** (np.arange(0, 3 * 9 + 1) / 3)
    edges = np.unique(np.searchsorted(hertz_F, edges_hz[edges_hz < hertz_F[-1]]))
    edges = edges[edges < len(hertz_F)]
    power_F = found.sum_F / found.summed
    strongest = float((np.add.reduceat(power_F, edges) / np.diff(edges, append=len(power_F))).max())
    # One bin may be a spur: three neighbours together carry the sound or do not.
    smooth_F = np.convolve(power_F, np.full(3, 1 / 3), mode="same")
    above = np.flatnonzero(smooth_F > strongest * 10 ** (-_BANDWIDTH_DB / 10))
    return round(float(hertz_F[above[-1]]), 1) if len(above) else None


def spectral_flatness(found: Spectra, sound: Windows, rate: int) -> float | None:
    """Geometric over arithmetic mean of the bands' power up to the bandwidth, 0-1: the median of the
    windows that are not silent; None where all are."""
    nyquist_hz = rate / 2
    upper_hz = bandwidth_hz(found, np.linspace(0, nyquist_hz, len(found.sum_F)))
    if upper_hz is None:
        return None
    most = max(2, math.ceil(upper_hz / nyquist_hz * found.bands_WB.shape[1]))
    heard_WB = found.bands_WB[: len(sound.silent_W)][~sound.silent_W[: len(found.bands_WB)], :most]
    if not len(heard_WB):
        return None
    floored_WB = np.maximum(heard_WB.astype(np.float64), 1e-20)
    flatness_W = np.exp(np.log(floored_WB).mean(axis=1)) / floored_WB.mean(axis=1)
    return round(float(np.median(flatness_W)), 4)
