"""How often prints match that should, and match that should not, against the threshold.

    python benchmarks/prints.py [FOLDER] [--csv FILE] [--seconds 4.5]

FOLDER holds clips; without it clips are made. Of each clip three windows are cut: from its start, from
a second later, and the one that follows. Each is coded anew in every setting of `SETTINGS`. Wanted: two
codings of one window match. Not wanted: the start and the window a second later, the start and the
window that follows, the start and another clip's. Windows that the shift leaves as they are, a still
or a steady tone, are counted apart, by the decoded frames and spectra themselves: no print could tell
them apart. `both` matches where picture and sound do, or the one that either side has.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from valor_data import prints
from valor_data.media.observe import Wanted, observe
from valor_data.media.write import write_video
from valor_data.scenes import FPS, SAMPLE_RATE, frames, make_scene, pairs, samples

SETTINGS = {
    "h264-144p": (".mp4", "-vf scale=-2:144 -r 15 -c:v libx264 -crf 35", "-c:a aac -b:a 32k -ac 1 -ar 22050"),
    "vp9-240p": (".webm", "-vf scale=-2:240 -c:v libvpx-vp9 -cpu-used 8 -deadline realtime -b:v 150k",
                 "-c:a libopus -b:a 32k"),
    "mpeg4-360p": (".mp4", "-vf scale=-2:360 -r 30 -c:v mpeg4 -q:v 12 -bf 2", "-c:a libmp3lame -b:a 64k"),
    "av1-240p": (".mp4", "-vf scale=-2:240 -c:v libsvtav1 -preset 12 -crf 50", "-c:a libopus -b:a 48k"),
    "h264-480p": (".mp4", "-vf scale=-2:480 -r 25 -c:v libx264 -crf 23", "-c:a aac -b:a 64k -ar 16000"),
}  # fmt: skip
WINDOWS = ("start", "later", "next")
STEPS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
"""Thresholds of the curves, from those of `prints`."""
MADE = 24
LEAST, MOST = 0.995, 0.005


class Seen(NamedTuple):
    """What prints are made of."""

    luma_THW: NDArray[np.uint8]
    power_WF: NDArray[np.float32]
    hertz_F: NDArray[np.float64]


class Window(NamedTuple):
    """One coding of one window of a clip."""

    seen: Seen
    picture: prints.Print | None
    sound: prints.Print | None


Clip = dict[tuple[str, str], Window]
"""Window and setting -> its coding."""


def see(path: Path) -> Seen:
    """What the product's own pass gathers of a file."""
    found = observe(path, Wanted(sound=True, picture=True))
    light = found.picture.mean_THV if found.picture else np.zeros((0, prints.HEIGHT, prints.WIDTH), np.uint8)
    if found.sound is None:
        return Seen(light, np.zeros((0, 1), np.float32), np.zeros(1))
    return Seen(light, found.sound.spectra.voice_WF, found.sound.hertz_F)


def cut(job: tuple[Path, float, float, str, Path]) -> Path | None:
    """Code a window of a clip in a setting; None where the clip has no such window."""
    source, start, seconds, setting, folder = job
    suffix, video, audio = SETTINGS[setting]
    out = folder / f"{source.stem}-{start:.2f}-{setting}{suffix}"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        "-ss",
        f"{start}",
        "-i",
        str(source),
    ]
    command += ["-t", f"{seconds}", "-map", "0:v:0?", "-map", "0:a:0?", "-threads", "1"]
    done = subprocess.run([*command, *video.split(), *audio.split(), str(out)], capture_output=True)
    return out if done.returncode == 0 and out.exists() else None


def seconds_of(path: Path) -> float:
    """Length of a file; 0 where none is told."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base


def coded(source: Path, seconds: float, folder: Path) -> Clip:
    """Every window of a clip in every setting."""
    long = seconds_of(source)
    seconds = min(seconds, long)
    starts = {"start": 0.0, "later": 1.0, "next": seconds}
    keys = [
        (name, setting) for name, at in starts.items() if at + seconds <= long + 0.1 for setting in SETTINGS
    ]
    with ThreadPoolExecutor(2) as pool:
        jobs = ((source, starts[name], seconds, setting, folder) for name, setting in keys)
        files = list(pool.map(cut, jobs))
    found = {}
    for key, file in zip(keys, files, strict=True):
        if file is not None:
            seen = see(file)
            made = prints.picture(seen.luma_THW), prints.sound(seen.power_WF, seen.hertz_F)
            found[key] = Window(seen, *(prints.unpack(one) if one else None for one in made))
            file.unlink()
    return found


def unmoved(one: Seen, other: Seen) -> tuple[bool, bool]:
    """Whether picture and sound are what they were: to two grey levels, to two dB where it is loud."""
    steps = min(len(one.luma_THW), len(other.luma_THW))
    off = one.luma_THW[:steps].astype(np.float32) - other.luma_THW[:steps]
    still = bool(steps and np.sqrt(np.square(off).mean()) < 2)
    steps = min(len(one.power_WF), len(other.power_WF))
    width = int(np.searchsorted(one.hertz_F, 3400))
    a, b = one.power_WF[:steps, 10:width], other.power_WF[:steps, 10:width]
    if a.size == 0 or a.shape != b.shape:
        return still, False
    top = np.maximum(a, b)
    loud = (top > 0.01 * top.max(axis=1, keepdims=True)) & (top > 1e-4 * top.max())
    steady = loud.any() and np.median(np.abs(np.log10((a[loud] + 1e-12) / (b[loud] + 1e-12)))) < 0.2
    return still, bool(steady)


def apart(one: prints.Print | None, other: prints.Print | None) -> float | None:
    """Distance of two prints; None where neither is, infinite where one is not."""
    if one is None and other is None:
        return None
    return prints.between(one, other) if one and other else np.inf


def made(folder: Path) -> Path:
    """A folder of clips. What repeats itself each second would match a second later: noise is mixed in."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index, (visual, sound) in enumerate(pairs()[:MADE]):
        scene = make_scene(visual, sound, index)
        mono = samples(scene)
        swell = np.interp(
            np.arange(len(mono)), np.arange(0, len(mono) + 6000, 6000), rng.random(len(mono) // 6000 + 2)
        )
        mixed = mono * swell + 0.02 * rng.standard_normal(len(mono))
        write_video(folder / f"{index}.mp4", frames(scene), FPS, mixed[None].astype(np.float32), SAMPLE_RATE)
    return folder


def is_twin(clip: Clip, another: Clip) -> bool:
    """Whether two clips match in both in every setting: the same footage under two names, or a fault that
    shows wherever it is looked for; `main` tells their names, for eyes to judge."""
    pairs = [(clip.get(("start", s)), another.get(("start", s))) for s in SETTINGS]
    return all(
        one is not None
        and other is not None
        and (apart(one.picture, other.picture) or 0) <= prints.SAME_PICTURE
        and (apart(one.sound, other.sound) or 0) <= prints.SAME_SOUND
        for one, other in pairs
    )


def compared(
    clips: list[Clip],
) -> Iterator[tuple[str, float | None, float | None, bool, bool]]:
    """Case, distances of picture and sound, and whether the shift left them as they were."""
    settings = list(SETTINGS)
    for place, clip in enumerate(clips):
        another = clips[(place + 1) % len(clips)]
        twins = is_twin(clip, another)
        for n, setting in enumerate(settings):
            here = clip.get(("start", setting))
            if here is None:
                continue
            for m, other_setting in enumerate(settings):
                cases = [] if twins else [("another", another.get(("start", other_setting)))]
                cases += [(name, clip.get((name, other_setting))) for name in WINDOWS[1:]]
                if n < m:
                    cases.append(("same", clip.get(("start", other_setting))))
                for case, there in cases:
                    if there is None:
                        continue
                    reference = clip.get((case, setting)) if case in WINDOWS else None
                    unchanged = unmoved(here.seen, reference.seen) if reference else (False, False)
                    distances = apart(here.picture, there.picture), apart(here.sound, there.sound)
                    yield case, *distances, *unchanged


def main() -> int:
    """Print the curves; 1 where a bound is missed at the thresholds that `prints` has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--seconds", type=float, default=4.5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        source = asked.folder or made(Path(scratch) / "made")
        named = {path.name: coded(path, asked.seconds, Path(scratch)) for path in sorted(source.iterdir())}
    named = {name: clip for name, clip in named.items() if clip}
    clips, names = list(named.values()), list(named)
    for place, name in enumerate(names):
        following = (place + 1) % len(names)
        if is_twin(clips[place], clips[following]):
            print(f"{name} and {names[following]} match in every setting: the same footage? Not counted.")
    off: dict[tuple[str, str], list[float]] = defaultdict(list)
    alike = 0
    for case, seeing, hearing, still, steady in compared(clips):
        told = []
        if seeing is not None:
            told.append(seeing - prints.SAME_PICTURE)
            if not still:
                off["picture", case].append(told[-1])
        if hearing is not None:
            told.append(hearing - prints.SAME_SOUND)
            if not steady:
                off["sound", case].append(told[-1])
        if (still or seeing is None) and (steady or hearing is None):
            alike += bool(told)
        else:
            off["both", case].append(max(told))
    print(f"{len(clips)} clips, windows of {asked.seconds:g} s, {len(SETTINGS)} settings", end="; ")
    print(f"{alike} pairs that the shift left as they were are not counted")
    print(f"match rate by threshold, from {prints.SAME_PICTURE} (picture) and {prints.SAME_SOUND} (sound)")
    print(f"{'':8} {'case':8} {'pairs':>6} " + " ".join(f"{step:+7.2f}" for step in STEPS))
    rows, missed = [], False
    for (what, case), values in sorted(off.items()):
        rates = [float((np.array(values) <= step).mean()) for step in STEPS]
        now = rates[STEPS.index(0.0)]
        good = now >= LEAST if case == "same" else now <= MOST
        missed |= what == "both" and not good
        verdict = "" if good else "MISSED"
        print(f"{what:8} {case:8} {len(values):6} " + " ".join(f"{rate:7.4f}" for rate in rates), verdict)
        rows += [(what, case, len(values), step, rate) for step, rate in zip(STEPS, rates, strict=True)]
    if asked.csv:
        with asked.csv.open("w", newline="") as out:
            csv.writer(out).writerows([("what", "case", "pairs", "off_threshold", "rate"), *rows])
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
