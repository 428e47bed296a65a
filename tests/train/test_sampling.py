"""Frames and slices by segments, and log-mel bins as Kaldi's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data.signals.fbank import log_mel
from valor_data.train.sampling import pick, slices


def test_the_middle_of_each_part() -> None:
    assert pick(10, 4) == [1, 4, 6, 8]  # parts of 3, 3, 2, 2: lower middles
    assert pick(8, 8) == list(range(8))
    assert pick(2, 4) == [0, 1, 1, 1]
    assert pick(1, 1) == [0]


@given(st.integers(1, 300), st.integers(1, 32), st.integers(0, 99))
def test_a_random_one_of_each_part(count: int, wanted: int, seed: int) -> None:
    picked = pick(count, wanted, np.random.default_rng(seed))
    assert len(picked) == wanted
    assert picked == sorted(picked)
    assert picked[0] >= 0
    assert picked[-1] < count
    if count >= wanted:
        assert len(set(picked)) == wanted


def test_slices_hold_every_frame() -> None:
    mels = np.arange(1000 * 4, dtype=np.float32).reshape(1000, 4)
    found = slices(mels, 512)
    assert found.shape == (2, 512, 4)
    np.testing.assert_array_equal(found.reshape(-1, 4)[:1000], mels)
    assert not found.reshape(-1, 4)[1000:].any()
    assert slices(mels[:512], 512).shape == (1, 512, 4)
    assert slices(mels[:0], 512).shape == (0, 512, 4)


def chirp(rate: int) -> np.ndarray:
    t = np.arange(rate * 2) / rate
    noise = np.random.default_rng(7).standard_normal(len(t))
    samples = (0.3 * np.sin(2 * np.pi * 440 * t * (1 + 0.2 * t)) + 0.05 * noise + 0.01).astype(np.float32)
    samples[rate // 2 : rate // 2 + rate // 10] = 0.01
    return samples


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_log_mel_bins_are_kaldis(rate: int) -> None:
    """The stored values are torchaudio 2.11's `compliance.kaldi.fbank` of the same chirp, every tenth
    frame."""
    expected = np.load(Path(__file__).with_name("kaldi_fbank.npz"))[f"rate_{rate}"]
    found = log_mel(chirp(rate), rate)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[::10], expected, atol=1e-3)


def test_too_short_a_sound_has_no_frame_and_silence_has_the_floor() -> None:
    assert log_mel(np.zeros(100, np.float32), 16_000).shape == (0, 64)
    assert log_mel(np.zeros(16_000, np.float32), 16_000).shape == (98, 64)
    assert np.allclose(log_mel(np.zeros(16_000, np.float32), 16_000), np.log(np.finfo(np.float32).eps))
