"""Fingerprints of a clip's picture and of its sound that another encoding leaves alone: numpy only.

A print says two things. Its *looks* are mean pictures, or mean spectra, of two seconds each. Its
*course* is what changes faster: brightness of a few cells, or level of a few bands, less their mean
over the two seconds around each step. Sizes, codecs, bitrates, gain and colour ranges alter both but
little, whereas another moment of the very same scene has its looks and not its course.

The likeness of two prints is the correlation of their courses, with the likeness of their looks as
ballast that weighs as much as a course of noise does: of prints that hardly change the looks decide.
Looks that are unlike never match, however alike the courses are.
So a still picture matches itself at any shift, and a hum or a beat does where it repeats itself; no
print could tell them apart. Prints begin where their clips begin; the shorter is compared with the
start of the longer.

Suffixes: T steps of the picture, a quarter of a second each, H rows, W columns; in sounds W windows of
100 ms and F frequencies; S steps of either, V values of a step, L looks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PICTURES_A_SECOND = 4
"""Frames of the picture that a print takes."""
HEIGHT, WIDTH = 36, 64
"""Size to which each frame is scaled, whatever its own."""
WINDOW_MS = 100
"""Length of the windows of sound."""
SAME_PICTURE = 0.6
"""Pictures match up to this distance."""
SAME_SOUND = 0.52
"""Sounds match up to this distance."""
HEAD = 3
"""Bytes before the looks: the tag, and the number of steps in two, little endian."""

_ROWS, _COLUMNS = 6, 8  # of the cells of a picture
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 20, 150.0, 3400.0  # 8 kHz sound carries these too
_LEVEL = 0.5  # grey levels: coding shifts the mean of a cell by less
_DECIBEL = 2.0  # and the level of a band by about as much
_FLAT = 4.0  # grey levels: a picture of less contrast is none
_SILENT = 10**-6.5  # mean square of the loudest window: sound below -65 dBFS is none
_BAND_FLOOR, _FLOOR = 0.01, 0.01  # of a band's mean power, of all bands' mean: coding fills what lies below
_LOOK_S = 2
_MOST = 7  # largest value of four bits
_MOST_STEPS = 0xFFFF
_SHORTER, _SHORTER_S = 0.8, 0.5  # the least share of the longer print, less this, that the shorter has


class Form(NamedTuple):
    """What the prints of one kind are made of."""

    tag: int
    """First byte: kind and version. Prints of different tags cannot be compared."""
    values: int
    """Values of a step: two a byte in the course, one a byte in the looks."""
    steps_a_second: int
    reach: int
    """Steps before and after a step that its mean is taken over."""
    ballast: float
    """Squared value of a course of noise."""
    restless: float
    """The same, beyond that, of a course whose steps follow one another without any order."""
    unit: float
    """Grey levels, or dB, that one in the looks stands for."""
    unlike: float
    """Grey levels, or dB, from which on looks are unlike."""
    alike: float
    """Likeness that the looks of a match have at least: two pictures may move alike and show other things.
    Codings of one clip had 0.25 and more in pictures, 0.52 in sounds."""

    @property
    def look_steps(self) -> int:
        """Steps that a look is the mean of."""
        return _LOOK_S * self.steps_a_second


PICTURE = Form(
    tag=0x11,
    values=_ROWS * _COLUMNS,
    steps_a_second=PICTURES_A_SECOND,
    reach=4,
    ballast=0.15,
    restless=0.7,
    unit=1.0,
    unlike=4.0,
    alike=0.1,
)
SOUND = Form(
    tag=0x21,
    values=_BANDS,
    steps_a_second=1000 // WINDOW_MS,
    reach=10,
    ballast=0.3,
    restless=0.0,
    unit=0.5,
    unlike=8.0,
    alike=0.25,
)
_FORMS = {form.tag: form for form in (PICTURE, SOUND)}


class Print(NamedTuple):
    """A print taken apart."""

    form: Form
    looks_LV: Floats
    """Grey levels, or dB above the faintest that is told."""
    course_SV: Floats
    """Whole numbers from -7 to 7."""


def picture(luma_THW: NDArray[np.uint8]) -> bytes | None:
    """The print of a picture; None for one without any contrast, such as black.

    `luma_THW` holds, for each quarter of a second from the clip's start on, the mean of the frames shown
    around it, scaled to 36 x 64 by area, as grey levels. About 1.1 KB for ten seconds.
    """
    if not len(luma_THW):
        return None
    luma_THW = luma_THW[:_MOST_STEPS]
    columns = luma_THW.reshape(-1, HEIGHT, _COLUMNS, WIDTH // _COLUMNS).sum(axis=3, dtype=np.uint16)
    sums = columns.reshape(-1, _ROWS, HEIGHT // _ROWS, _COLUMNS).sum(axis=2, dtype=np.uint16)
    cells_TV: Floats = sums.reshape(len(sums), -1) / np.float32(HEIGHT * WIDTH // PICTURE.values)
    course = _course(cells_TV, PICTURE.reach)
    values = np.sign(course) * np.log2(1 + np.abs(course) / _LEVEL)
    looks = _looks(cells_TV, PICTURE)
    if float(looks.std(axis=1).max()) < _FLAT and float(np.square(values).mean()) < PICTURE.ballast:
        return None
    return _packed(PICTURE, looks, values)


def sound(power_WF: Floats, hertz_F: NDArray[np.floating]) -> bytes | None:
    """The print of a sound; None for silence, and for less than one window.

    `power_WF` holds power spectra of windows of 100 ms that follow one another from the clip's start
    on, all channels mixed, weighed by `signals.sound.fade`, whose bins sum to the mean square of the
    window (full scale 1); `hertz_F` the bins' frequencies, of which those above 3.4 kHz may be missing.
    About 1.1 KB for ten seconds.
    """
    power_WF = power_WF[:_MOST_STEPS]
    low, high = np.searchsorted(hertz_F, (_LOWEST_HZ, _HIGHEST_HZ))
    edges = np.searchsorted(hertz_F[low:high], _mel_edges()[:-1])
    if not len(power_WF) or high - low <= _BANDS:
        return None
    bands_WV = np.add.reduceat(power_WF[:, low:high], edges, axis=1)
    if float(bands_WV.sum(axis=1).max()) < _SILENT:
        return None
    mean = bands_WV.mean(axis=0)
    whole = float(mean.mean())
    level = 10 * np.log10(bands_WV + (_BAND_FLOOR * mean + _FLOOR * whole))
    power_LV = _looks(bands_WV, SOUND)
    looks = 10 * np.log10(power_LV + 0.1 * _FLOOR * whole)
    course = _course(level.astype(np.float32), SOUND.reach)
    values = 2 * np.sign(course) * np.log2(1 + np.abs(course) / _DECIBEL)
    return _packed(SOUND, looks - looks.min(), values)


def distance(one: bytes, other: bytes) -> float:
    """How far apart two prints of one kind are: 0 for equal ones, 1 and more for unrelated ones.

    1 minus their likeness, and up to twice that below two seconds. Prints whose lengths differ by more
    than a fifth and half a second are 1 apart at least. Raises ValueError for prints of different kinds or
    versions.
    """
    if one[0] != other[0]:
        raise ValueError(f"prints of kinds {one[0]:#x} and {other[0]:#x} cannot be compared")
    return between(unpack(one), unpack(other))


def between(one: Print, other: Print) -> float:
    """`distance` of prints already taken apart."""
    form = one.form
    steps, longer = sorted((len(one.course_SV), len(other.course_SV)))
    if steps < _SHORTER * longer - _SHORTER_S * form.steps_a_second:
        return 1.0
    a, b = one.course_SV[:steps].ravel(), other.course_SV[:steps].ravel()
    restless = (_restless(form, one.course_SV) + _restless(form, other.course_SV)) / 2
    ballast = (form.ballast + form.restless * restless) * a.size
    looks = _looks_alike(one, other)
    together = float(a @ b) + ballast * looks
    apart = 1 - together / float(np.sqrt((float(a @ a) + ballast) * (float(b @ b) + ballast)))
    if steps >= form.look_steps and looks < form.alike:  # the look of less is that of one moment
        return max(1.0, apart)
    # Few steps are alike by chance: what is shorter than a look must be more alike.
    return apart * max(1.0, 2 - steps / form.look_steps)


def same_picture(one: bytes | None, other: bytes | None) -> bool:
    """Whether two pictures match; one without a print matches none."""
    return one is not None and other is not None and distance(one, other) <= SAME_PICTURE


def same_sound(one: bytes | None, other: bytes | None) -> bool:
    """Whether two sounds match; one without a print matches none."""
    return one is not None and other is not None and distance(one, other) <= SAME_SOUND


def unpack(packed: bytes) -> Print:
    """A print taken apart. Raises ValueError for bytes that are none."""
    form = _FORMS.get(packed[0]) if packed else None
    if form is None:
        raise ValueError("not a print of this version")
    steps = int.from_bytes(packed[1:HEAD], "little")
    looks = -(-steps // form.look_steps)
    if len(packed) != HEAD + looks * form.values + steps * form.values // 2:
        raise ValueError(f"a print of {steps} steps cannot be {len(packed)} bytes long")
    raw = np.frombuffer(packed, np.uint8)[HEAD:]
    looks_LV = raw[: looks * form.values].reshape(looks, form.values) * np.float32(form.unit)
    return Print(form, looks_LV, values_of(raw[looks * form.values :]).reshape(steps, form.values))


def values_of(raw: NDArray[np.uint8]) -> Floats:
    """Bytes of courses as values, whole numbers from -7 to 7: twice as many in the last dimension."""
    values: Floats = np.stack((raw >> 4, raw & 0xF), axis=-1).astype(np.float32) - 8
    return values.reshape(*raw.shape[:-1], -1)


def _packed(form: Form, looks_LV: Floats, values_SV: Floats) -> bytes:
    looks = np.clip(np.round(looks_LV / form.unit), 0, 255).astype(np.uint8)
    whole = (np.clip(np.round(values_SV), -_MOST, _MOST) + 8).astype(np.uint8).ravel()
    course = (whole[::2] << 4 | whole[1::2]).astype(np.uint8)
    return bytes([form.tag]) + len(values_SV).to_bytes(2, "little") + looks.tobytes() + course.tobytes()


def _looks(values_SV: Floats, form: Form) -> Floats:
    """Means over two seconds each, the last over what is left."""
    starts = np.arange(0, len(values_SV), form.look_steps)
    counts = np.diff(starts, append=len(values_SV)).astype(np.float32)
    looks: Floats = (np.add.reduceat(values_SV, starts, axis=0) / counts[:, None]).astype(np.float32)
    return looks


def _course(values_SV: Floats, reach: int) -> Floats:
    """Values less their mean over the steps around, smoothed a little.

    Encodings show frames up to a third of a step early or late and sounds half a window; smoothing
    by (1, 2, 1) / 4 makes little of that. The mean reaches as far as makes a change look unlike, not
    alike, a second later.
    """
    padded = np.concatenate((values_SV[:1], values_SV, values_SV[-1:]))
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    sums = np.zeros((len(smooth) + 1, smooth.shape[1]), np.float64)
    np.cumsum(smooth, axis=0, out=sums[1:])
    steps = np.arange(len(smooth))
    first, end = np.maximum(steps - reach, 0), np.minimum(steps + reach + 1, len(smooth))
    around = (sums[end] - sums[first]) / (end - first)[:, None]
    course: Floats = (smooth - around).astype(np.float32)
    return course


def _restless(form: Form, course_SV: Floats) -> float:
    """How little a step has of the one before: 0 for what moves, 1 for what is new with each frame.

    Of water or leaves another encoding shows other frames, even a twentieth of a second apart.
    """
    if len(course_SV) <= 2 * form.reach:  # less than a mean is taken over: any course seems to turn round
        return 0.0
    before, after = course_SV[:-1].ravel(), course_SV[1:].ravel()
    whole = float(np.square(course_SV).sum())
    return float(np.clip((0.5 - float(before @ after) / max(1.0, whole)) / 0.1, 0, 1))


def _looks_alike(one: Print, other: Print) -> float:
    """1 for equal looks, less the more they differ, 0 for unlike ones; gain and brightness aside."""
    form = one.form
    looks = min(len(one.looks_LV), len(other.looks_LV))
    if looks > 1 and len(one.course_SV) != len(other.course_SV):
        looks -= 1  # the last of the shorter one is a mean over less
    a, b = one.looks_LV[:looks], other.looks_LV[:looks]
    a, b = a - a.mean(), b - b.mean()
    # Contrast may differ; the gain of a sound went with the mean of its dB.
    contrast = float(np.clip(_rms(a) / max(1e-6, _rms(b)), 0.8, 1.25)) ** 0.5 if form is PICTURE else 1.0
    apart = _rms(a / contrast - b * contrast)
    # What goes on for long is met a second later where it was not: half as far from itself as two are.
    change = max(_rms(np.diff(a, axis=0)), _rms(np.diff(b, axis=0))) if looks > 1 else 0.0
    return max(0.0, 1 - apart / (form.unlike + 0.25 * change))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _mel_edges() -> NDArray[np.float64]:
    """Edges of the bands, Hz: equally far apart on the mel scale."""
    lowest, highest = (1127 * np.log1p(hertz / 700) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges: NDArray[np.float64] = 700 * np.expm1(np.linspace(lowest, highest, _BANDS + 1) / 1127)
    return edges
