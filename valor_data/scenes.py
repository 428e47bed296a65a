"""A grammar of scenes: coloured shapes that are only seen, sounds that are only heard, true captions.

Shape and sound pair freely (8 x 8), so whoever describes a scene rightly has both seen and heard
it. Everything repeats every few seconds: a caption is true of any stretch of its scene. Drawn in
numpy, the same each time for the same scene. For the demo, the annotators' test, tests and benchmarks.
"""

import random
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data.media.write import write_video

Floats = NDArray[np.floating[Any]]
Picture = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 320, 240, 12
SAMPLE_RATE = 44100
_FADE_S = 0.02
_RMS = 0.1  # every sound is about as loud as every other: -20 dBFS


class Visual(NamedTuple):
    """A shape of one colour."""

    phrases: tuple[str, ...]
    colour: tuple[int, int, int]
    inside: Callable[[Floats, Floats], Floats]
    """Depth inside the outline at (x right, y up), in radii; negative outside."""


def _star(x: Floats, y: Floats) -> Floats:
    radius, fifth = np.hypot(x, y), 2 * np.pi / 5
    angle = np.abs(np.mod(np.arctan2(x, y) + fifth / 2, fifth) - fifth / 2)
    dent_x, dent_y = 0.45 * np.cos(fifth / 2), 0.45 * np.sin(fifth / 2)
    side_x, side_y = dent_x - 1, dent_y
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    depth: Floats = (across * side_x - (along - 1) * side_y) / np.hypot(side_x, side_y)
    return depth


def _triangle(x: Floats, y: Floats) -> Floats:
    return 0.5 - np.maximum(-y, np.abs(x) * 0.866 + y * 0.5)


def _cross(x: Floats, y: Floats) -> Floats:
    x, y = np.abs(x), np.abs(y)
    depth: Floats = np.maximum(np.minimum(0.3 - x, 0.95 - y), np.minimum(0.95 - x, 0.3 - y))
    return depth


def _heart(x: Floats, y: Floats) -> Floats:
    depth: Floats = 0.8 * (1 - np.hypot(1.1 * x, 1.25 * (y + 0.1) - 0.9 * np.sqrt(np.abs(x))))
    return depth


VISUALS: dict[str, Visual] = {
    "red circle": Visual(
        ("a red circle", "a round red disc"), (225, 30, 35), lambda x, y: 1 - np.hypot(x, y)
    ),
    "blue square": Visual(
        ("a blue square", "a square in bright blue"),
        (35, 80, 240),
        lambda x, y: 0.85 - np.maximum(np.abs(x), np.abs(y)),
    ),
    "green triangle": Visual(("a green triangle", "a triangle in green"), (30, 190, 60), _triangle),
    "yellow star": Visual(("a yellow star", "a five-pointed yellow star"), (250, 225, 30), _star),
    "white ring": Visual(
        ("a white ring", "a ring in white"), (250, 250, 250), lambda x, y: 0.28 - np.abs(np.hypot(x, y) - 0.7)
    ),
    "orange cross": Visual(("an orange cross", "an upright orange cross"), (255, 140, 0), _cross),
    "purple diamond": Visual(
        ("a purple diamond", "a tall purple diamond"),
        (150, 40, 200),
        lambda x, y: 0.55 * (1 - np.abs(x) * 1.6 - np.abs(y)),
    ),
    "pink heart": Visual(("a pink heart", "a heart in pink"), (255, 120, 185), _heart),
}
"""What is only seen, by name."""


class Sound(NamedTuple):
    """A sound that repeats for as long as it is wanted."""

    phrases: tuple[str, ...]
    wave: Callable[[Floats, np.random.Generator], Floats]
    """Samples at the given seconds; loudness is evened out afterwards."""


def _tone(hertz: float, t: Floats) -> Floats:
    wave: Floats = np.sin(2 * np.pi * hertz * t)
    return wave


def _chirp(t: Floats) -> Floats:
    low, high, period = 300.0, 2400.0, 2.0
    phase = np.mod(t, period)
    rise = np.log(high / low) / period
    return _tone(low, np.expm1(phase * rise) / rise)


def _drum(t: Floats, rng: np.random.Generator) -> Floats:
    since = np.mod(t, 0.5)
    body: Floats = _tone(1, 60 * since + 4 * (1 - np.exp(-30 * since))) * np.exp(-14 * since)
    click: Floats = rng.standard_normal(len(t), np.float32) * np.exp(-120 * since)
    return body + 0.3 * click


def _chord(t: Floats) -> Floats:
    notes = [_tone(pitch, t) + 0.3 * _tone(2 * pitch, t) for pitch in (261.63, 329.63, 392.0)]
    return notes[0] + notes[1] + notes[2]


SOUNDS: dict[str, Sound] = {
    "low hum": Sound(
        ("a low steady hum", "a deep humming tone"),
        lambda t, _: _tone(90, t) + 0.6 * _tone(180, t) + 0.3 * _tone(270, t),
    ),
    "high beeps": Sound(
        ("a series of high beeps", "short high-pitched beeps"),
        lambda t, _: _tone(1800, t) * (np.mod(t, 0.5) < 0.18),
    ),
    "rising sweep": Sound(
        ("a tone that rises again and again", "a sweep that keeps rising in pitch"), lambda t, _: _chirp(t)
    ),
    "drum beats": Sound(("a steady drum beat", "regular drum beats"), _drum),
    "noise bursts": Sound(
        ("bursts of hissing noise", "a hiss of noise that comes and goes"),
        lambda t, rng: rng.standard_normal(len(t), np.float32) * (np.mod(t, 0.9) < 0.45),
    ),
    "siren": Sound(
        ("a two-tone siren", "a siren that alternates between two notes"),
        lambda t, _: np.where(np.mod(t, 1.2) < 0.6, _tone(500, t), _tone(750, t)),
    ),
    "trill": Sound(
        ("a fast high trill", "a bird-like trill"),
        lambda t, _: np.sin(2 * np.pi * 3200 * t + 30 * _tone(9, t)),
    ),
    "chord": Sound(
        ("a sustained organ chord", "a calm held chord"),
        lambda t, _: _chord(t),
    ),
}
"""What is only heard, by name."""


class Motion(NamedTuple):
    """A movement that repeats every few seconds."""

    phrases: tuple[str, ...]
    place: Callable[[float], tuple[float, float, float]]
    """At turns of its period: x and y from -1 to 1 (right, up) and the size as a factor."""


def _zigzag(turns: float) -> float:
    return 4 * abs(turns % 1 - 0.5) - 1


MOTIONS: dict[str, Motion] = {
    "bounce": Motion(
        ("bounces off the edges", "bounces around"), lambda n: (_zigzag(n), _zigzag(n * 1.37 + 0.2), 1.0)
    ),
    "circle": Motion(
        ("moves round in circles", "circles round and round"),
        lambda n: (0.7 * np.cos(2 * np.pi * n), 0.7 * np.sin(2 * np.pi * n), 1.0),
    ),
    "glide": Motion(
        ("glides from side to side", "moves left and right"), lambda n: (np.sin(2 * np.pi * n), 0.0, 1.0)
    ),
    "hop": Motion(
        ("hops up and down", "jumps up and down"),
        lambda n: (0.0, 1.6 * abs(np.sin(2 * np.pi * n)) - 0.8, 1.0),
    ),
    "pulse": Motion(
        ("grows and shrinks", "swells and shrinks in turn"),
        lambda n: (0.0, 0.0, 1 + 0.45 * np.sin(2 * np.pi * n)),
    ),
    "eight": Motion(
        ("traces a figure of eight", "moves along a figure of eight"),
        lambda n: (0.9 * np.sin(2 * np.pi * n), 0.7 * np.sin(4 * np.pi * n), 1.0),
    ),
}
"""How a shape moves, by name."""


class Background(NamedTuple):
    """A muted picture behind the shape; none has a shape's colour."""

    phrases: tuple[str, ...]
    paint: Callable[[random.Random], Picture]
    drift: tuple[int, int] = (0, 0)
    """Pixels a second, right and down."""


def _grey(values_HW: NDArray[np.generic]) -> Picture:
    return np.repeat(values_HW.astype(np.uint8)[..., None], 3, axis=2)


def _checks(_: random.Random) -> Picture:
    y, x = np.indices((HEIGHT, WIDTH)) // 40
    return _grey(np.where((x + y) % 2, 75, 115))


def _dots(rng: random.Random) -> Picture:
    field = np.zeros((HEIGHT, WIDTH))
    for _ in range(60):
        y, x = rng.randrange(HEIGHT - 2), rng.randrange(WIDTH - 2)
        field[y : y + 2, x : x + 2] = 235
    return _grey(field)


def _bricks(_: random.Random) -> Picture:
    y, x = np.indices((HEIGHT, WIDTH))
    joint = (y % 24 < 2) | ((x + 24 * (y // 24 % 2)) % 48 < 2)
    return np.where(joint[..., None], (150, 140, 130), (96, 56, 40)).astype(np.uint8)


BACKGROUNDS: dict[str, Background] = {
    "dark": Background(
        ("a plain dark background", "a plain dark grey wall"), lambda _: _grey(np.full((HEIGHT, WIDTH), 42))
    ),
    "checks": Background(("a drifting grey checkerboard", "a checkerboard in grey"), _checks, (20, 10)),
    "stripes": Background(
        ("sliding grey stripes", "dark stripes that slide sideways"),
        lambda _: _grey(np.where(np.indices((HEIGHT, WIDTH))[1] // 20 % 2, 60, 95)),
        (30, 0),
    ),
    "dots": Background(
        ("a black sky with drifting white dots", "small white dots on black"), _dots, (-15, 8)
    ),
    "bricks": Background(("a brown brick wall", "a wall of brown bricks"), _bricks),
    "gradient": Background(
        ("a grey wall that is darker at the bottom", "a grey background that darkens downwards"),
        lambda _: _grey(np.linspace(150, 40, HEIGHT)[:, None].repeat(WIDTH, 1)),
    ),
}
"""What lies behind, by name."""


@dataclass(frozen=True)
class Scene:
    """Some seconds with one shape and one sound."""

    visual: str
    """Name in VISUALS."""
    sound: str | None
    """Name in SOUNDS; None: silence."""
    background: str = "dark"
    motion: str = "bounce"
    seconds: float = 10.0
    seed: int = 0
    """Chooses size, pace and wording."""
    words: str = ""
    """Said by a voice over the sound; needs espeak-ng or espeak."""


def make_scene(
    visual: str, sound: str | None, seed: int = 0, seconds: float = 10.0, words: str = ""
) -> Scene:
    """A scene of this shape and sound; the seed chooses background and movement."""
    rng = random.Random(f"scene {visual} {sound} {seed}")
    return Scene(
        visual, sound, rng.choice(list(BACKGROUNDS)), rng.choice(list(MOTIONS)), seconds, seed, words
    )


def pairs() -> list[tuple[str, str]]:
    """Every (visual, sound), 64 in all."""
    return list(product(VISUALS, SOUNDS))


def caption(scene: Scene) -> str:
    """One or two English sentences that are true of the scene; the seed chooses the words."""
    rng = random.Random(f"caption {scene}")
    shape = rng.choice(VISUALS[scene.visual].phrases)
    moves = rng.choice(MOTIONS[scene.motion].phrases)
    behind = rng.choice(BACKGROUNDS[scene.background].phrases)
    if scene.sound is None and not scene.words:
        return _sentence(f"{shape} {moves} in front of {behind}, and no sound is heard")
    voice = f'a voice says "{scene.words}"' if scene.words else ""
    if scene.sound is None:
        return _sentence(f"{shape} {moves} in front of {behind} while {voice}")
    sound = rng.choice(SOUNDS[scene.sound].phrases)
    text = rng.choice(
        (
            f"{shape} {moves} in front of {behind}, with {sound} in the air",
            f"while {shape} {moves} in front of {behind}, you can hear {sound}",
            f"{sound} can be heard as {shape} {moves} before {behind}",
            f"in front of {behind}, {shape} {moves} to the sound of {sound}",
        )
    )
    return _sentence(text) + (f" {_sentence(voice)}" if voice else "")


def frames(scene: Scene, fps: int = FPS) -> Iterator[Picture]:
    """The scene's pictures, HEIGHT x WIDTH x RGB."""
    rng = random.Random(f"picture {scene.seed}")
    look, motion, background = VISUALS[scene.visual], MOTIONS[scene.motion], BACKGROUNDS[scene.background]
    radius, period, start = rng.uniform(36, 46), rng.uniform(2.5, 4.0), rng.random()
    wall, colour = background.paint(rng), np.array(look.colour, np.float32)
    most = 1.5 * radius  # no motion makes a shape larger
    for index in range(round(scene.seconds * fps)):
        seconds = index / fps
        picture = wall.copy()
        if background.drift != (0, 0):
            right, down = (round(speed * seconds) for speed in background.drift)
            picture = np.roll(wall, (down, right), (0, 1))
        x, y, size = motion.place(seconds / period + start)
        centre_x = WIDTH / 2 + x * (WIDTH / 2 - radius)
        centre_y = HEIGHT / 2 - y * (HEIGHT / 2 - radius)
        left, top = max(0, int(centre_x - most)), max(0, int(centre_y - most))
        patch = picture[top : int(centre_y + most) + 1, left : int(centre_x + most) + 1]
        scale = radius * size
        along = (np.arange(left, left + patch.shape[1], dtype=np.float32) - centre_x) / scale
        up = (centre_y - np.arange(top, top + patch.shape[0], dtype=np.float32)) / scale
        depth = look.inside(along[None, :], up[:, None]) * scale
        cover = np.clip(depth + 0.5, 0, 1)[..., None]
        patch[:] = (patch + cover * (colour - patch)).astype(np.uint8)
        yield picture


def samples(scene: Scene, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """The scene's sound: T samples, full scale at 1.0; exact zeros where it is silent."""
    count = round(scene.seconds * sample_rate)
    mono: Floats = np.zeros(count, np.float32)
    if scene.sound is not None:
        rng = np.random.default_rng(scene.seed)
        mono = SOUNDS[scene.sound].wave(np.arange(count) / sample_rate, rng).astype(np.float32)
        mono *= _RMS / np.sqrt(np.mean(mono**2))
    if scene.words:
        mono = _over(mono, _speech(scene.words, sample_rate), sample_rate)
    ramp = np.minimum(np.arange(count), np.arange(count)[::-1]) / (_FADE_S * sample_rate)
    faded: NDArray[np.float32] = (mono * np.clip(ramp, 0, 1)).astype(np.float32)
    return faded


def synthesiser() -> str | None:
    """Path of the speech synthesiser, or None where there is none."""
    return shutil.which("espeak-ng") or shutil.which("espeak")


def _speech(words: str, sample_rate: int) -> Floats:
    program = synthesiser()
    if program is None:
        raise FileNotFoundError("no espeak-ng and no espeak on PATH")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "speech.wav")
        subprocess.run([program, "-w", str(target), "--", words], check=True, capture_output=True, timeout=60)
        with wave.open(str(target)) as file:
            own_rate = file.getframerate()
            voice = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    times = np.arange(int(len(voice) * sample_rate / own_rate)) / sample_rate
    resampled: Floats = np.interp(times, np.arange(len(voice)) / own_rate, voice)
    return resampled


def _over(mono: Floats, voice: Floats, sample_rate: int) -> Floats:
    """The voice over the softened sound, said every four seconds or after a breath."""
    mixed = mono * 0.3
    voice = voice * (0.7 / max(float(np.abs(voice).max()), 1e-6))
    step = max(4 * sample_rate, len(voice) + sample_rate // 2)
    for start in range(sample_rate // 2, len(mono), step):
        part = voice[: len(mono) - start]
        mixed[start : start + len(part)] += part
    return mixed


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def render_clip(path: Path, scene: Scene, channels: int = 1, fps: int = FPS) -> None:
    """Write one scene to an mp4; see `render_source`."""
    render_source(path, [scene], channels, fps)


def render_source(path: Path, scenes: Sequence[Scene], channels: int = 1, fps: int = FPS) -> None:
    """Write scenes, one after the other, to one mp4 with a keyframe at least every four seconds.

    `channels`: 1 mono, 2 the same on both sides, 0 no audio track.
    """
    sound = None
    if channels:
        sound = np.tile(np.concatenate([samples(scene) for scene in scenes]), (channels, 1))
    pictures = chain.from_iterable(frames(scene, fps) for scene in scenes)
    write_video(path, pictures, fps, sound, SAMPLE_RATE, gop=4 * fps)
