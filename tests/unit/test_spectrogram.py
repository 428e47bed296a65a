"""A sound as a picture."""

import numpy as np

from valor_data.signals.spectrogram import spectrogram

RATE = 16_000


def test_a_tone_shines_at_its_pitch_and_when_it_sounds() -> None:
    time = np.arange(2 * RATE) / RATE
    sound = np.where(time >= 1, np.sin(2 * np.pi * 1000 * time), 0).astype(np.float32)
    seen = spectrogram(sound, RATE, 100, 80)
    assert (seen.shape, seen.dtype) == ((80, 100, 3), np.uint8)
    light = seen.sum(axis=2)
    assert light[:, :40].max() < 20  # black
    row = 79 - int(80 * np.log(1000 / 50) / np.log(8000 / 50))
    assert abs(int(light[:, 80].argmax()) - row) <= 1


def test_silence_and_a_click_are_pictures_too() -> None:
    for sound in (np.zeros(RATE), np.zeros(10), np.full(RATE, np.nan)):
        assert spectrogram(sound.astype(np.float32), RATE, 20, 10).max() <= 4
