"""Numbers from samples: known signals read what the textbook says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from valor_data import signals

RATE = 48_000
WINDOW = RATE // 10
TIMES = np.arange(WINDOW) / RATE


def test_a_full_scale_sine_peaks_at_0_dbfs_and_has_an_rms_of_minus_3() -> None:
    level = signals.levels(np.sin(2 * np.pi * 1000 * TIMES))
    assert signals.sample_peak_dbfs([level]) == pytest.approx(0.0, abs=1e-3)
    assert signals.dbfs(math.sqrt(level.mean_square)) == pytest.approx(-3.01, abs=0.01)


def test_digital_silence_reads_the_floor_and_is_all_silent() -> None:
    levels = [signals.levels(np.zeros((2, WINDOW), np.float32))] * 5
    assert signals.sample_peak_dbfs(levels) == -120.0
    assert signals.silent_share(levels) == 1.0
    assert signals.clipped_share(levels) == 0.0


@pytest.mark.parametrize(("dbfs", "share"), [(-59.9, 0.0), (-60.1, 1.0)])
def test_silence_begins_below_minus_60_dbfs_rms(dbfs: float, share: float) -> None:
    square = np.where(np.arange(WINDOW) % 2, 1.0, -1.0) * 10 ** (dbfs / 20)
    assert signals.silent_share([signals.levels(square)]) == share


def test_silence_is_told_over_all_channels_together() -> None:
    one_side = np.zeros((2, WINDOW))
    one_side[0] = 0.0013  # -57.7 dBFS alone, -60.7 over both
    assert signals.silent_share([signals.levels(one_side[0])]) == 0.0
    assert signals.silent_share([signals.levels(one_side)]) == 1.0


def test_the_silent_share_counts_windows() -> None:
    loud, quiet = signals.levels(np.full(WINDOW, 0.1)), signals.levels(np.zeros(WINDOW))
    assert signals.silent_share([loud, quiet, quiet, loud]) == 0.5


def test_clipped_samples_are_counted_at_both_rails_and_above() -> None:
    samples = np.array([1.0, -1.0, 0.999, 1.3, 0.998, 0.0, 0.0, 0.0])
    assert signals.clipped_share([signals.levels(samples)]) == 0.5


def test_the_clipped_share_weighs_samples_not_windows() -> None:
    full, rest = signals.levels(np.ones(900)), signals.levels(np.zeros(100))
    assert signals.clipped_share([full, rest]) == 0.9


def test_without_samples_there_is_no_number() -> None:
    assert signals.sample_peak_dbfs([]) is None
    assert signals.silent_share([]) is None
    assert signals.clipped_share([]) is None
    assert signals.clipped_share([signals.levels(np.zeros(0))]) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_told_and_count_as_nothing(bad: float) -> None:
    level = signals.levels(np.array([0.5, bad, -0.25, 0.0]))
    assert not level.finite
    assert (level.peak, level.mean_square, level.clipped) == (0.5, 0.3125 / 4, 0)


@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 50)), elements=st.floats(-4, 4)))
def test_levels_agree_with_their_definitions(samples_CT: np.ndarray) -> None:
    level = signals.levels(samples_CT)
    assert level.samples == samples_CT.size
    assert level.peak == np.abs(samples_CT).max()
    assert level.mean_square == pytest.approx(np.mean(samples_CT**2))
    assert level.clipped == np.sum(np.abs(samples_CT) >= signals.CLIPPED)
    assert level == signals.levels(samples_CT.T.copy())._replace(mean_square=level.mean_square)


@given(st.floats(0, 100))
def test_decibels_are_finite_and_never_below_the_floor(amplitude: float) -> None:
    assert signals.FLOOR_DBFS <= signals.dbfs(amplitude) <= 40.0
