"""Numbers from small frames, and from sound and picture together: planted scenes read what they show."""

import numpy as np
import pytest
from numpy.typing import NDArray

from valor_data.signals import picture, sound, together

ROWS, COLUMNS = picture.ROWS, picture.COLUMNS
RATE = 16_000


def scene(seed: int) -> NDArray[np.uint8]:
    """A frame of soft random patches, neither black nor white."""
    patches = np.random.default_rng(seed).integers(60, 200, (6, 8))
    return np.kron(patches, np.ones((6, 8))).astype(np.uint8)


def frames(*pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack(pictures)


def panning(count: int = 40) -> NDArray[np.uint8]:
    return frames(*(np.roll(scene(0), 3 * step, axis=1) for step in range(count)))


def test_a_still_picture_with_coding_noise_is_still() -> None:
    rng = np.random.default_rng(0)
    steps = rng.choice([-1, 0, 1], (9, ROWS, COLUMNS), p=[0.1, 0.8, 0.1])
    noisy = (scene(0) + steps).astype(np.uint8)
    assert picture.still_share(noisy) == 1.0
    assert picture.motion(noisy) < 0.004
    assert picture.scene_cuts(noisy) == 0


def test_a_mouth_that_moves_in_a_still_picture_is_no_still() -> None:
    talking = [scene(0).copy() for _ in range(9)]
    for place, frame in enumerate(talking):
        frame[20:22, 30:33] = 60 + 60 * (place % 2)
    assert picture.still_share(frames(*talking)) == 0.0


def test_a_slide_show_is_mostly_still_and_has_a_cut_a_slide() -> None:
    slides = frames(*(scene(place // 8) for place in range(40)))
    assert picture.still_share(slides) == pytest.approx(35 / 39)
    assert picture.scene_cuts(slides) == 4


def test_a_pan_is_motion_and_no_cut() -> None:
    assert picture.scene_cuts(panning()) == 0
    assert picture.still_share(panning()) == 0.0
    cut = panning()
    cut[20:] = np.roll(frames(*(scene(1) for _ in range(20))), 3)
    assert picture.scene_cuts(cut) == 1


def test_one_frame_has_no_motion() -> None:
    one = frames(scene(0))
    assert (picture.motion(one), picture.still_share(one), picture.scene_cuts(one)) == (None, None, None)


def test_black_and_white_frames_are_counted() -> None:
    black, white = np.full_like(scene(0), 16), np.full_like(scene(0), 250)
    shown = frames(black, white, scene(0), black)
    assert (picture.black_share(shown), picture.white_share(shown)) == (0.5, 0.25)
    assert picture.letterbox_share(frames(black, black)) is None
    assert picture.brightness(frames(white)) == pytest.approx(250 / 255, abs=1e-3)


def test_bars_are_measured_and_a_dark_scene_is_none() -> None:
    boxed = panning()
    boxed[:, :4] = 4
    boxed[:, -5:] = 4
    assert picture.letterbox_share(boxed) == pytest.approx(9 / 36)
    pillars = panning()
    pillars[:, :, :8] = 0
    assert picture.letterbox_share(pillars) == pytest.approx(8 / 64)
    night = panning() // 4
    night[3, 10:20] = 200  # lit once: no bar
    assert picture.letterbox_share(night) < 0.01


def test_saturation_of_grey_and_of_a_pure_colour() -> None:
    assert picture.saturation(np.full((2, 4, 4), 128, np.uint8)) == 0.0
    assert picture.saturation(np.stack([np.full((4, 4), 255), np.full((4, 4), 255)]).astype(np.uint8)) > 0.9


def test_blocks_and_blur_are_seen_at_full_size() -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:96, 0:128]
    smooth = 120 + 60 * np.sin(rows / 17) * np.cos(columns / 13)
    grainy = smooth + rng.normal(0, 6, smooth.shape)
    blocky = np.kron(smooth[::8, ::8], np.ones((8, 8)))
    assert picture.detail(grainy).blockiness == pytest.approx(1.0, abs=0.05)
    assert picture.detail(blocky + rng.normal(0, 0.6, smooth.shape)).blockiness > 3
    assert picture.detail(smooth).sharpness < 0.1 < picture.detail(grainy).sharpness
    assert picture.detail(np.full((40, 40), 90)).blockiness is None
    assert picture.detail(np.full((1, 1), 90)) == (0.0, None)


def _clap(delay_s: float) -> sound.Sound:
    """Ten seconds of bursts at irregular moments."""
    line_T = np.random.default_rng(0).normal(0, 1e-3, 10 * RATE)
    for moment in _MOMENTS:
        start = round((moment + delay_s) * RATE)
        line_T[start : start + RATE // 10] += np.random.default_rng(1).normal(0, 0.3, RATE // 10)
    samples_NCT = line_T.reshape(-1, 1, RATE // 10).astype(np.float32)
    levels = sound.windows(samples_NCT)
    found = sound.spectra(samples_NCT, RATE, ~levels.silent_W)
    return sound.Sound(RATE, levels, found, 0.0, None, None, None)


_MOMENTS = (0.9, 2.4, 3.15, 5.4, 6.9, 7.65)


def _flash() -> picture.Picture:
    light = frames(*(scene(0) for _ in range(40)))
    for moment in _MOMENTS:
        light[round(moment / picture.GRID_S) :] ^= 64
    return picture.Picture(light, light, np.zeros(40, np.float32), (), 0.0, 10_000, 250, 1.78)


@pytest.mark.parametrize("delay_s", [0.0, 0.25, -0.5])
def test_sounds_that_go_with_motion_are_found_with_their_lag(delay_s: float) -> None:
    found = together.coupling(_clap(delay_s), _flash())
    assert found is not None
    assert found.correlation > 0.8
    assert found.lag_ms == pytest.approx(delay_s * 1000, abs=125)


def test_a_late_start_of_the_sound_is_taken_into_account() -> None:
    late = _clap(0.0)._replace(first_ms=250.0)
    found = together.coupling(late, _flash())
    assert found is not None
    assert found.lag_ms == 250


def test_nothing_that_changes_gives_no_correlation() -> None:
    still = _flash()._replace(light_THV=frames(*(scene(0) for _ in range(40))))
    assert together.coupling(_clap(0.0), still) is None
    short = _flash()._replace(light_THV=frames(*(scene(n) for n in range(5))))
    assert together.coupling(_clap(0.0), short) is None
