"""Prints: another coding matches, another moment does not, and nothing is made of nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from valor_data import prints
from valor_data.signals.sound import fade

SECOND = 4
RATE = 16_000
SEEDS = st.integers(0, 10_000)


def scene(seconds: float, seed: int, wobble: float = 25.0) -> NDArray[np.float64]:
    """Still ground, and three soft spots that wander over it; 36 x 64, quarter seconds."""
    rng = np.random.default_rng(seed)
    steps = int(seconds * SECOND)
    ground = np.kron(rng.uniform(40, 200, (6, 8)), np.ones((6, 8)))
    paths = np.cumsum(rng.normal(0, wobble / 10, (steps + 8, 3, 2)), axis=0)[8:]
    rows, columns = np.mgrid[:36, :64]
    shown = np.repeat(ground[None], steps, axis=0)
    for spot in range(3):
        y = 18 + 14 * np.sin(paths[:, spot, 0] / 6)[:, None, None]
        x = 32 + 28 * np.sin(paths[:, spot, 1] / 6)[:, None, None]
        shown += wobble * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 40)
    return shown


def coded(picture: NDArray[np.float64], seed: int, noise: float = 2.0) -> NDArray[np.uint8]:
    """As another codec shows it: contrast, brightness, noise, blocks."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.normal(0, noise / 2, (len(picture), 9, 16)), np.ones((4, 4)))
    off = picture * 0.93 + 6 + rng.normal(0, noise, picture.shape) + blocks
    return np.clip(np.round(off), 0, 255).astype(np.uint8)


def noise(seconds: float, seed: int) -> NDArray[np.float64]:
    """A waterfall: the same all the time, and never the same."""
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))


def syllables(seconds: float, seed: int) -> NDArray[np.float64]:
    """Noise that swells and fades four times a second, in changing colours."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    said = np.zeros(len(time))
    knots = np.arange(0, seconds + 1, 0.25)
    for hertz in (250, 500, 900, 1500, 2500):
        loud = np.interp(time, knots, rng.uniform(0, 1, len(knots)) ** 3)
        said += loud * np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6))
    return 0.1 * said + 0.001 * rng.standard_normal(len(time))


def spectra(
    samples: NDArray[np.float64], rate: int = RATE
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    length = rate // 10
    windows = samples[: len(samples) // length * length].reshape(-1, length)
    weights = fade(length)
    power = np.abs(np.fft.rfft(windows * weights)) ** 2 * 2 / (length * np.square(weights).sum())
    return power.astype(np.float32), np.fft.rfftfreq(length, 1 / rate)


def heard(samples: NDArray[np.float64]) -> bytes:
    found = prints.sound(*spectra(samples))
    assert found is not None
    return found


def seen(luma: NDArray[np.uint8]) -> bytes:
    found = prints.picture(luma)
    assert found is not None
    return found


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, seconds=st.sampled_from([2.0, 5.0, 10.0]))
def test_a_picture_coded_otherwise_matches_and_the_moment_after_does_not(seed: int, seconds: float) -> None:
    whole = scene(2 * seconds + 1, seed)
    steps = int(seconds * SECOND)
    here = seen(coded(whole[:steps], 1))
    assert prints.same_picture(here, seen(coded(whole[:steps], 2)))
    assert not prints.same_picture(here, seen(coded(whole[steps : 2 * steps], 2)))
    if seconds >= 5:
        assert not prints.same_picture(here, seen(coded(whole[SECOND : steps + SECOND], 2)))


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, make=st.sampled_from([noise, syllables]))
def test_a_sound_coded_otherwise_matches_and_the_moment_after_does_not(seed: int, make: object) -> None:
    assert make in (noise, syllables)
    whole = make(11, seed)  # type: ignore[operator]
    rng = np.random.default_rng(seed + 1)
    for shift_ms in (0, 10, 25, 50):
        start = shift_ms * RATE // 1000
        other = 0.5 * whole[start : start + 5 * RATE]
        other = other + 0.003 * rng.standard_normal(len(other))
        assert prints.same_sound(heard(whole[: 5 * RATE]), heard(other)), shift_ms
    for start in (RATE, 5 * RATE):
        assert not prints.same_sound(heard(whole[: 5 * RATE]), heard(whole[start : start + 5 * RATE]))


def test_other_scenes_and_other_sounds_do_not_match() -> None:
    pictures = [seen(coded(scene(5, seed), seed)) for seed in range(8)]
    sounds = [heard(make(5, seed)) for seed in range(4) for make in (noise, syllables)]
    for same, found in ((prints.same_picture, pictures), (prints.same_sound, sounds)):
        for place, one in enumerate(found):
            assert [same(one, other) for other in found] == [place == n for n in range(len(found))]


def test_a_slide_show_is_known_by_the_moments_of_its_slides() -> None:
    slides = np.concatenate([np.repeat(scene(0.25, seed), 14, axis=0) for seed in range(5)])
    here = seen(coded(slides[:40], 1))
    late = slides.copy()
    late[14::14] = slides[13:-1:14]  # each slide shown a step late
    assert prints.same_picture(here, seen(coded(late[:40], 2)))
    assert not prints.same_picture(here, seen(coded(slides[4:44], 2)))


def test_what_moves_slowly_and_evenly_is_known_by_where_it_is() -> None:
    wide = np.kron(np.random.default_rng(4).uniform(0, 255, (3, 40)), np.ones((12, 12)))
    pan = np.stack([wide[:, 3 * step : 3 * step + 64] for step in range(60)])
    assert prints.same_picture(seen(coded(pan[:40], 1)), seen(coded(pan[:40], 2)))
    assert not prints.same_picture(seen(coded(pan[:40], 1)), seen(coded(pan[4:44], 2)))


def test_a_still_and_a_hum_match_themselves_at_any_shift_and_no_others() -> None:
    still = np.repeat(scene(0.25, 1), 48, axis=0)
    assert prints.same_picture(seen(coded(still[:40], 1, 0.5)), seen(coded(still[4:44], 2, 0.5)))
    other = np.repeat(scene(0.25, 2), 40, axis=0)
    assert not prints.same_picture(seen(coded(still[:40], 1, 0.5)), seen(coded(other, 2, 0.5)))
    time = np.arange(6 * RATE) / RATE
    hum = 0.1 * np.sin(2 * np.pi * 200 * time)
    assert prints.same_sound(heard(hum[: 5 * RATE]), heard(hum[RATE:]))
    assert not prints.same_sound(heard(hum[: 5 * RATE]), heard(0.1 * np.sin(2 * np.pi * 1000 * time)[RATE:]))


def test_the_rate_of_a_sound_does_not_matter() -> None:
    whole = syllables(5, 3)
    slow = whole[::2] + 0  # nothing of it lies above 3.4 kHz but noise
    power, hertz = spectra(slow, RATE // 2)
    assert prints.same_sound(heard(whole), prints.sound(power, hertz))


def test_nothing_has_no_print_and_matches_nothing() -> None:
    rng = np.random.default_rng(0)
    black = np.full((40, 36, 64), 16, np.uint8)
    assert prints.picture(black) is None
    assert prints.picture(coded(black.astype(np.float64), 1, 0.7)) is None
    assert prints.picture(np.zeros((0, 36, 64), np.uint8)) is None
    hertz = np.fft.rfftfreq(RATE // 10, 1 / RATE)
    assert prints.sound(*spectra(np.zeros(5 * RATE))) is None
    assert prints.sound(*spectra(1e-4 * rng.standard_normal(5 * RATE))) is None
    assert prints.sound(np.zeros((0, len(hertz)), np.float32), hertz) is None
    some = seen(coded(scene(5, 1), 1))
    for same in (prints.same_picture, prints.same_sound):
        assert not same(None, None)
        assert not same(None, some)
        assert not same(some, None)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 120.0])
def test_short_clips_and_long_ones(seconds: float) -> None:
    shown, said = scene(seconds, 5), syllables(seconds, 5)
    assert prints.same_picture(seen(coded(shown, 1)), seen(coded(shown, 2)))
    assert not prints.same_picture(seen(coded(shown, 1)), seen(coded(scene(seconds, 6), 2)))
    assert prints.same_sound(heard(said), heard(0.7 * said))
    assert not prints.same_sound(heard(said), heard(syllables(seconds, 6)))


def test_a_clip_a_bit_shorter_matches_and_half_of_it_does_not() -> None:
    shown, said = scene(10, 5), syllables(10, 5)
    assert prints.same_picture(seen(coded(shown, 1)), seen(coded(shown[:37], 2)))
    assert not prints.same_picture(seen(coded(shown, 1)), seen(coded(shown[:20], 2)))
    assert prints.same_sound(heard(said), heard(said[: 9 * RATE]))
    assert not prints.same_sound(heard(said), heard(said[: 5 * RATE]))


@given(seed=SEEDS, steps=st.integers(1, 60))
@settings(deadline=None, max_examples=30)
def test_distance_is_nought_to_itself_and_the_same_both_ways(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (seen(rng.integers(0, 256, (steps, 36, 64), np.uint8)) for _ in range(2))
    assert prints.distance(one, one) == pytest.approx(0, abs=1e-5)
    assert prints.distance(one, other) == pytest.approx(prints.distance(other, one), abs=1e-5)
    assert len(prints.unpack(one).course_SV) == steps


def test_a_print_of_ten_seconds_is_small() -> None:
    assert len(seen(coded(scene(10, 1), 1))) < 1250
    assert len(heard(syllables(10, 1))) < 1150


def test_what_cannot_be_compared_is_refused() -> None:
    shown, said = seen(coded(scene(1, 1), 1)), heard(noise(1, 1))
    with pytest.raises(ValueError, match="cannot be compared"):
        prints.distance(shown, said)
    for broken in (b"", b"\x99" + shown[1:]):
        with pytest.raises(ValueError, match="not a print of this version"):
            prints.unpack(broken)
    with pytest.raises(ValueError, match="a print of 4 steps cannot be"):
        prints.unpack(shown[:-1])


def test_other_pictures_that_move_alike_do_not_match() -> None:
    """A bright spot on one path, in front of two backgrounds."""
    rng = np.random.default_rng(0)
    backgrounds = [np.kron(rng.integers(40, 160, (6, 8)), np.ones((6, 8))) for _ in range(2)]
    shown = []
    for background in backgrounds:
        luma = np.repeat(background[None], 40, axis=0)
        for step in range(40):
            column = int(30 + 25 * np.sin(step / 5))
            luma[step, 12:24, column : column + 8] = 230
        shown.append(seen(luma.astype(np.uint8)))
    assert not prints.same_picture(*shown)
    assert prints.same_picture(shown[0], shown[0])
