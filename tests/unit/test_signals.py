"""Numbers from samples: known signals read what the textbook says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from valor_data.signals import peak, sound

RATE = 48_000
WINDOW = RATE // 10
FLOATS = st.floats(-4, 4, width=32)


def windows_of(*channels_NT: NDArray[np.float64]) -> sound.Windows:
    """Levels of windows, one array (N, T) a channel."""
    return sound.windows(np.stack(channels_NT, axis=1).astype(np.float32))


def cut(line_T: NDArray[np.float64], length: int = WINDOW) -> NDArray[np.float64]:
    """A signal as whole windows."""
    return line_T[: len(line_T) // length * length].reshape(-1, length)


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE, amplitude: float = 1.0) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def spectra_of(line_T: NDArray[np.float64], rate: int = RATE) -> tuple[sound.Spectra, sound.Windows]:
    samples_NCT = cut(line_T, rate // 10)[:, None].astype(np.float32)
    levels = sound.windows(samples_NCT)
    return sound.spectra(samples_NCT, rate, ~levels.silent_W), levels


def bandwidth(line_T: NDArray[np.float64], rate: int = RATE) -> float | None:
    found, _ = spectra_of(line_T, rate)
    return sound.bandwidth_hz(found, np.fft.rfftfreq(rate // 10, 1 / rate))


def flatness(line_T: NDArray[np.float64]) -> float | None:
    return sound.spectral_flatness(*spectra_of(line_T), RATE)


def noise(seconds: float = 2.0, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.1


def test_a_full_scale_sine_peaks_at_0_dbfs_and_has_an_rms_of_minus_3() -> None:
    levels = windows_of(cut(sine(1000)))
    assert sound.sample_peak_dbfs(levels) == pytest.approx(0.0, abs=1e-3)
    assert sound.dbfs(math.sqrt(levels.square_W[0])) == pytest.approx(-3.01, abs=0.01)


def test_digital_silence_reads_the_floor_and_has_no_spectrum() -> None:
    nothing = np.zeros(WINDOW * 5)
    levels = windows_of(cut(nothing), cut(nothing))
    assert sound.sample_peak_dbfs(levels) == -120.0
    assert (sound.silent_share(levels), sound.longest_silence_ms(levels, RATE)) == (1.0, 500)
    assert (sound.clipped_share(levels), sound.dc_offset(levels)) == (0.0, 0.0)
    assert sound.snr_db(levels) is None
    assert sound.stereo_correlation(levels) is None
    assert bandwidth(nothing) is None
    assert flatness(nothing) is None


@pytest.mark.parametrize(("dbfs", "share"), [(-59.9, 0.0), (-60.1, 1.0)])
def test_silence_begins_below_minus_60_dbfs_rms(dbfs: float, share: float) -> None:
    square = np.where(np.arange(WINDOW) % 2, 1.0, -1.0) * 10 ** (dbfs / 20)
    assert sound.silent_share(windows_of(cut(square))) == share


def test_silence_is_told_over_all_channels_together() -> None:
    one = np.full((1, WINDOW), 0.0013)  # -57.7 dBFS alone, -60.7 over both
    assert sound.silent_share(windows_of(one)) == 0.0
    assert sound.silent_share(windows_of(one, np.zeros_like(one))) == 1.0


def test_the_longest_silence_is_one_run() -> None:
    loud = np.array([0, 1, 0, 0, 0, 1, 0, 0])[:, None] * np.full(WINDOW, 0.1)
    assert sound.longest_silence_ms(windows_of(loud), RATE) == 300
    assert sound.silent_share(windows_of(loud)) == 0.75


def test_the_share_of_clipped_samples_weighs_samples_not_windows() -> None:
    full, rest = windows_of(np.ones((1, 900))), windows_of(np.zeros((1, 100)))
    assert sound.clipped_share(sound.joined_windows([full, rest])) == 0.9
    both_rails = np.array([[1.0, -1.0, 0.999, 1.3, 0.998, 0.0, 0.0, 0.0]])
    assert sound.clipped_share(windows_of(both_rails)) == 0.5


@pytest.mark.parametrize("offset", [0.02, -0.02])
def test_the_dc_offset_is_that_of_the_worst_channel(offset: float) -> None:
    clean, shifted = cut(sine(1000, amplitude=0.3)), cut(sine(1000, amplitude=0.3) + offset)
    assert sound.dc_offset(windows_of(clean, shifted)) == pytest.approx(offset, abs=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_told_and_count_as_nothing(bad: float) -> None:
    levels = windows_of(np.array([[0.5, bad, -0.25, 0.0]]))
    assert not levels.finite_W[0]
    assert (levels.peak_W[0], levels.square_W[0], levels.clipped_W[0]) == (0.5, 0.3125 / 4, 0)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 50)), elements=FLOATS)
)
def test_levels_agree_with_their_definitions(samples_NCT: NDArray[np.float32]) -> None:
    levels = sound.windows(samples_NCT.copy())
    exact = samples_NCT.astype(np.float64)
    assert levels.peak_W.tolist() == np.abs(exact).max(axis=(1, 2)).tolist()
    assert levels.square_W == pytest.approx((exact**2).mean(axis=(1, 2)), abs=1e-5)
    assert levels.clipped_W.tolist() == (np.abs(samples_NCT) >= sound.CLIPPED).sum(axis=(1, 2)).tolist()
    assert levels.mean_WC == pytest.approx(exact.mean(axis=2), abs=1e-5)


def test_stereo_correlation_knows_mono_opposite_and_unrelated_channels() -> None:
    left, other = cut(noise()), cut(noise(seed=1))
    assert sound.stereo_correlation(windows_of(left, left)) == pytest.approx(1.0)
    assert sound.stereo_correlation(windows_of(left, 0.5 * left + 0.1)) == pytest.approx(1.0, abs=1e-3)
    assert sound.stereo_correlation(windows_of(left, -left)) == pytest.approx(-1.0)
    assert sound.stereo_correlation(windows_of(left, other)) == pytest.approx(0.0, abs=0.02)
    assert sound.stereo_correlation(windows_of(left)) is None
    assert sound.stereo_correlation(windows_of(left, np.zeros_like(left))) is None


def test_events_stand_above_a_background_by_their_level() -> None:
    background, event = noise(10.0) * 0.01, np.zeros(10 * RATE)
    event[4 * RATE : 6 * RATE] = noise(2.0, seed=1)
    assert sound.snr_db(windows_of(cut(background + event))) == pytest.approx(40, abs=1)
    assert sound.snr_db(windows_of(cut(background))) < 1
    assert sound.snr_db(windows_of(cut(event))) == 90.0  # over digital silence: as far as it goes


@pytest.mark.parametrize("limit", [3400, 4000, 8000, 16_000])
def test_the_bandwidth_is_where_the_sound_ends(limit: int) -> None:
    spectrum = np.fft.rfft(noise())
    spectrum[int(limit * 2) :] = 0
    assert bandwidth(np.fft.irfft(spectrum)) == pytest.approx(limit, abs=120)  # what the window smears


def test_the_bandwidth_of_a_tone_is_the_tone_and_of_noise_all_there_is() -> None:
    assert bandwidth(sine(1000)) == pytest.approx(1000, abs=150)
    assert bandwidth(noise()) == pytest.approx(RATE / 2, abs=50)


def test_noise_is_flat_and_hum_is_not() -> None:
    assert flatness(noise()) > 0.9
    assert flatness(sine(100, amplitude=0.3) + noise()[:RATE] * 1e-3) < 0.05


@pytest.mark.parametrize(("hertz", "phase"), [(12_000, np.pi / 4), (8_000, np.pi / 6), (997, 0.0)])
@pytest.mark.parametrize("dbfs", [-0.5, -2.0])
def test_the_true_peak_of_a_tone_is_its_amplitude(hertz: float, phase: float, dbfs: float) -> None:
    amplitude = 10 ** (dbfs / 20)
    line_T = amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE + phase)
    meter = peak.TruePeak()
    for part in cut(line_T):
        meter.add(part[None, None].astype(np.float32))
    assert meter.highest is not None
    # Four times oversampled: within 0.7 dB of a tone at a quarter of the rate (BS.1770-4 annex 2).
    assert sound.dbfs(meter.highest) == pytest.approx(dbfs, abs=0.1)


def test_the_true_peak_is_not_looked_for_where_it_does_not_matter() -> None:
    meter = peak.TruePeak()
    meter.add(cut(sine(997, amplitude=0.49))[:1, None].astype(np.float32))
    assert meter.highest is None
    meter.add(cut(sine(997, amplitude=0.6))[:1, None].astype(np.float32))
    assert meter.highest == pytest.approx(0.6, abs=1e-3)


def test_the_true_peak_of_one_channel_knows_nothing_of_the_other() -> None:
    """The end of one channel and the start of the next lie side by side, and no peak between them."""
    samples_NCT = np.zeros((3, 2, 100), np.float32)
    samples_NCT[-1, 0, -1] = samples_NCT[0, 1, 0] = 0.9
    meter = peak.TruePeak()
    meter.add(samples_NCT)
    assert meter.highest == pytest.approx(0.9)


def test_the_true_peak_between_two_stretches_is_seen() -> None:
    line_T = np.zeros(200, np.float32)
    line_T[99:101] = 0.9  # the highest point lies between the last sample of one and the first of the next
    whole, parted = peak.TruePeak(), peak.TruePeak()
    whole.add(line_T[None, None])
    parted.add(line_T[None, None, :100])
    parted.add(line_T[None, None, 100:])
    assert whole.highest is not None
    assert whole.highest > 1.0
    assert parted.highest == pytest.approx(whole.highest)
