"""CPU of measuring a clip, beside bare decoding, one ffmpeg process per clip, and the usual RMS filters.

    python benchmarks/measures.py [FOLDER] [--many N]

FOLDER holds clips (those with sound and picture are taken); without it sixty clips of ten seconds are made.
Sides run in turn, A B A B, over the same files, page-cached; figures are CPU seconds (user + system, children
included), and the median of the ratios of neighbours. The codec floor decodes the frames that the measures
need, sound too, and does nothing with them. Two workers are compared with one by wall time, the pools warm,
beside a pure loop, which says what the machine has to give (under 2 where other programs keep the cores
busy), and by the workers' own CPU seconds. `--many` measures so many clips in one process and prints its
memory on the way. librosa and pydub are taken where they are installed.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import psutil

from valor_data.errors import ItemError
from valor_data.media.observe import Observation, Wanted, observe
from valor_data.media.write import write_video
from valor_data.scenes import FPS, SAMPLE_RATE, frames, make_scene, pairs, samples
from valor_data.stages.measure import numbers

ROUNDS, CLIPS = 3, 60
MOST_SOUND, MOST_BOTH, LEAST_PROCESSES, LEAST_GAIN, MOST_MB = 3.5, 1.25, 2.0, 1.8, 400


def sound(path: Path) -> Observation:
    """All measures of the sound."""
    seen = observe(path, Wanted(sound=True))
    numbers.audio(seen)
    return seen


def everything(path: Path) -> Observation:
    """All measures that need no model, prints too."""
    seen = observe(path, Wanted(sound=True, picture=True))
    for fields in (numbers.audio, numbers.video, numbers.av, numbers.fingerprints):
        fields(seen)
    return seen


def bare_sound(path: Path) -> None:
    """What any measure of sound must pay: PyAV, native format."""
    with av.open(str(path)) as container:
        for _ in container.decode(audio=0):
            pass


def codec_floor(path: Path) -> None:
    """What any measure of both must pay: the frames that others build on, and the sound."""
    with av.open(str(path)) as container:
        streams = [container.streams.audio[0], container.streams.video[0]]
        for stream in streams:
            stream.codec_context.thread_count = 1
        if float(streams[1].average_rate or 0) >= 20:
            streams[1].codec_context.skip_frame = "NONREF"
        for packet in container.demux(streams):
            packet.decode()


def every_frame(path: Path) -> None:
    """What a tool pays that passes no frame over."""
    with av.open(str(path)) as container:
        streams = [container.streams.audio[0], container.streams.video[0]]
        for stream in streams:
            stream.codec_context.thread_count = 1
        for packet in container.demux(streams):
            packet.decode()


def ffmpeg_process(path: Path) -> None:
    """Loudness as a shell loop would take it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-nostats", "-v", "info", "-i", str(path), "-vn"]
    chain = "ebur128=dualmono=true:framelog=quiet"
    subprocess.run([*command, "-af", chain, "-f", "null", "-"], check=True, capture_output=True)


def by_librosa(path: Path) -> float:
    """Loudness as scripts take it: samples through ffmpeg to a file, librosa's RMS over it."""
    import librosa

    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(path), "-vn"]
        subprocess.run([*command, wav.name], check=True)
        samples_T, _ = librosa.load(wav.name, sr=None)
    return float(librosa.feature.rms(y=samples_T).mean())


def by_pydub(path: Path) -> float:
    """Loudness as scripts take it: pydub's dBFS, which runs ffmpeg."""
    from pydub import AudioSegment

    AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()
    return float(AudioSegment.from_file_using_temporary_files(str(path), "mp4").dBFS)


def cpu_seconds(work: Callable[[Path], object], clips: list[Path]) -> float:
    """CPU that the work on all clips takes, children included."""
    before = sum(os.times()[:4])
    for clip in clips:
        work(clip)
    return sum(os.times()[:4]) - before


def cpu_of_one(work: Callable[[Path], object], clip: Path) -> float:
    """CPU seconds of one clip, inside a worker."""
    before = time.process_time()
    work(clip)
    return time.process_time() - before


def loop(_: Path) -> None:
    """Work that waits for nothing and shares nothing, about as long as a clip takes."""
    sum(range(3_000_000))


def pool_seconds(
    pool: ProcessPoolExecutor, work: Callable[[Path], object], clips: list[Path]
) -> tuple[float, float]:
    """Wall time until the pool has done the work on all clips, and the CPU that its workers took."""
    before = time.perf_counter()
    cpu = sum(pool.map(partial(cpu_of_one, work), clips, chunksize=4))
    return time.perf_counter() - before, cpu


def gain(work: Callable[[Path], object], clips: list[Path]) -> tuple[float, float]:
    """How much faster two workers are than one, by wall and by their own CPU."""
    rounds = []
    with ProcessPoolExecutor(1) as single, ProcessPoolExecutor(2) as double:
        for _ in range(4):
            wall_one, cpu_one = pool_seconds(single, work, clips)
            wall_two, cpu_two = pool_seconds(double, work, clips)
            rounds.append((wall_one / wall_two, 2 * cpu_one / cpu_two))
    wall, cpu = (statistics.median(column) for column in zip(*rounds[1:], strict=True))  # the first one warms
    return wall, cpu


def main() -> int:
    """Print the ratios; 1 where a bound is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--many", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(chosen.folder) if chosen.folder else made_clips(Path(made))
        clips = [path for path in sorted(folder.iterdir()) if is_whole(path)]
        if chosen.many:
            return 0 if memory(clips, chosen.many) else 1
        return 0 if compare(clips) else 1


def compare(clips: list[Path]) -> bool:
    """Print the table; whether every bound is held."""
    heard = [seen.sound.duration_ms for path in clips if (seen := sound(path)).sound]
    seconds = sum(heard) / 1000
    print(f"{len(clips)} clips, {seconds:.0f} s, {ROUNDS} rounds")
    sides: dict[str, Callable[[Path], object]] = {
        "bare sound": bare_sound, "sound": sound, "floor": codec_floor, "both": everything,
        "every frame": every_frame,
        "process": ffmpeg_process,
    }  # fmt: skip
    peers = {"librosa": by_librosa, "pydub": by_pydub}
    sides |= {name: work for name, work in peers.items() if importlib.util.find_spec(name)}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, work in sides.items():
            taken[name].append(cpu_seconds(work, clips))
    few = clips[:30]
    wall, cpu = gain(everything, few)
    loop_wall, _ = gain(loop, few)
    rows = [
        ("sound / bare decode", ratio(taken, "sound", "bare sound"), "<=", MOST_SOUND),
        ("sound and picture / floor", ratio(taken, "both", "floor"), "<=", MOST_BOTH),
        ("the same / decoding every frame", ratio(taken, "both", "every frame"), "<=", 1.0),
        ("ffmpeg process / our sound", ratio(taken, "process", "sound"), ">=", LEAST_PROCESSES),
        (f"two workers, wall (loop {loop_wall:.2f})", wall, ">=", LEAST_GAIN * min(loop_wall, 2) / 2),
        ("two workers, by CPU", cpu, ">=", LEAST_GAIN),
    ]
    rows += [
        (f"{name} / our sound", ratio(taken, name, "sound"), ">=", 1.0) for name in peers if name in taken
    ]
    held = True
    for name, reached, sign, bound in rows:
        met = reached <= bound if sign == "<=" else reached >= bound
        held = held and met
        print(f"{name:34} {reached:6.2f}  ({sign} {bound:.2f}) {'ok' if met else 'MISSED'}")
    for name, rounds in taken.items():
        each = statistics.median(rounds)
        print(
            f"  {name:12} {1000 * each / len(clips):7.1f} ms a clip {seconds / each:7.0f} x real time a core"
        )
    return held


def memory(clips: list[Path], many: int) -> bool:
    """Print the memory of one process on its way through many clips; whether it stays flat and small."""
    process, seen = psutil.Process(), []
    for number in range(many):
        everything(clips[number % len(clips)])
        if number % (many // 10) == 0 or number + 1 == many:
            seen.append(process.memory_info().rss / 2**20)
            print(f"{number + 1:6} clips  {seen[-1]:6.0f} MB")
    flat = seen[-1] - seen[1] < 20
    print(f"under {MOST_MB} MB: {max(seen) < MOST_MB}, flat: {flat}")
    return max(seen) < MOST_MB and flat


def ratio(taken: dict[str, list[float]], above: str, below: str) -> float:
    """Median of the ratios of neighbouring rounds."""
    return statistics.median(a / b for a, b in zip(taken[above], taken[below], strict=True))


def is_whole(path: Path) -> bool:
    """Whether a file holds sound and picture."""
    try:
        seen = everything(path)
    except ItemError:
        return False
    return seen.sound is not None and seen.picture is not None


def made_clips(folder: Path) -> Path:
    """A folder of stereo clips. Pure tones would decode unlike real sound: each mixes two and noise."""
    rng = np.random.default_rng(0)
    for index, (visual, kind) in enumerate(pairs()[:CLIPS]):
        scene = make_scene(visual, kind, index)
        mixed = samples(scene) + samples(replace(scene, sound="drum beats"))
        noise = rng.standard_normal((2, len(mixed)), np.float32)
        write_video(folder / f"{index}.mp4", frames(scene), FPS, mixed + 0.02 * noise, SAMPLE_RATE)
    return folder


if __name__ == "__main__":
    sys.exit(main())
