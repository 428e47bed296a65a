"""The proof's footage: many draws of every pair of the grammar to learn from, and one unseen draw of each.

The grammar's shapes are only seen, its sounds only heard. No draw is another: beside what `scenes` draws
(place, size, pace, way, background), each has its own light, side, pitch, moment, loudness and noise.
Same arguments, same bytes.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data import layout
from valor_data.media.write import write_video
from valor_data.scenes import SAMPLE_RATE, SOUNDS, VISUALS, Scene, frames, make_scene, pairs, samples

SECONDS = 1.6
FPS = 4
_UNSEEN = 1_000_000
"""First seed of the unseen draws. Rate, steps and batch were chosen on others."""
_SENTENCES = (
    "{shape} moves about, with {sound} in the air",
    "while {shape} moves about, you can hear {sound}",
    "{sound} can be heard as {shape} moves about",
)


class Draw(NamedTuple):
    """One clip to be rendered."""

    video_id: str
    scene: Scene


def to_learn(draws: int) -> list[Draw]:
    """`draws` clips of each of the 64 pairs."""
    seeded = enumerate(pairs() * draws)
    return [_draw("learn", make_scene(visual, sound, seed, SECONDS)) for seed, (visual, sound) in seeded]


def unseen() -> list[Draw]:
    """One clip of each pair, of draws that none of `to_learn` is.

    Nothing to be seen says which of the eight clips that share a shape a caption is of, and nothing to be
    heard which of the eight that share a sound.
    """
    seeded = enumerate(pairs(), start=_UNSEEN)
    return [_draw("unseen", make_scene(*pair, seed, SECONDS)) for seed, pair in seeded]


def write(folder: Path, draws: Sequence[Draw], path: Path) -> None:
    """Render clips into `folder` as `<clip_id>.mp4`, and a segment list with true captions to `path`."""
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video_id", "url", "start", "end", "caption", "labels"))
        for draw in draws:
            clip_id = layout.clip_id(draw.video_id, 0, round(1000 * SECONDS))
            rng = np.random.default_rng(list(draw.video_id.encode()))
            sound = heard(draw.scene, rng)[None]
            write_video(folder / f"{clip_id}.mp4", seen(draw.scene, rng), FPS, sound, SAMPLE_RATE, gop=FPS)
            labels = f"{draw.scene.visual};{draw.scene.sound}"
            url = f"https://rendered.invalid/{draw.video_id}.mp4"
            writer.writerow((draw.video_id, url, 0, SECONDS, said(draw.scene), labels))


def said(scene: Scene, visual: str = "", sound: str = "") -> str:
    """A sentence that is true of a scene and names its two parts; or others in their place, by name."""
    rng = random.Random(f"said {scene.seed}")
    shape = rng.choice(VISUALS[visual or scene.visual].phrases)
    heard = rng.choice(SOUNDS[sound or str(scene.sound)].phrases)
    return rng.choice(_SENTENCES).format(shape=shape, sound=heard)


def seen(scene: Scene, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """The scene's pictures in a light of their own, turned left to right by chance."""
    light = rng.uniform(0.8, 1.0) * rng.uniform(0.94, 1.0, size=3)
    mirrored = rng.random() < 0.5
    for picture in frames(scene, FPS):
        turned = picture[:, ::-1] if mirrored else picture
        yield (turned * light).astype(np.uint8)


def heard(scene: Scene, rng: np.random.Generator) -> NDArray[np.float32]:
    """The scene's sound from a moment on, its pitch and pace up to 6 % off, softer or louder, with a little
    noise: T samples."""
    pace, first = rng.uniform(0.94, 1.06), rng.uniform(0.1, SECONDS)
    long = samples(replace(scene, seconds=first + 1.1 * SECONDS))
    count = round(SECONDS * SAMPLE_RATE)
    places = first * SAMPLE_RATE + pace * np.arange(count)
    sound = np.interp(places, np.arange(len(long)), long)
    noise = rng.standard_normal(count) * 10 ** rng.uniform(-3.0, -2.3)
    sound *= 10 ** rng.uniform(-0.5, 0.2)
    noisy: NDArray[np.float32] = (sound + noise).astype(np.float32)
    return noisy


def _draw(kind: str, scene: Scene) -> Draw:
    visual, sound = list(VISUALS).index(scene.visual), list(SOUNDS).index(str(scene.sound))
    return Draw(f"{kind}-{visual}{sound}-{scene.seed}", scene)
