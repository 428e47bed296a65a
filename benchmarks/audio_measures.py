"""CPU of measuring a clip's sound, beside bare decoding and beside one ffmpeg process per clip.

    python benchmarks/audio_measures.py [FOLDER]

FOLDER holds clips (those with sound are taken); without it sixty clips of ten seconds are made.
Sides run in turn, A B A B, over the same files, page-cached; figures are CPU seconds (user +
system, children included), and the median of the ratios of neighbours. Two workers are compared
with one by wall time, the pools warm, beside a pure loop, which says what the machine has to give
(under 2 where other programs keep the cores busy), and by the workers' own CPU seconds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from valor_data.demo.scenes import FPS, SAMPLE_RATE, frames, make_scene, pairs, samples
from valor_data.media.sound import measure_audio
from valor_data.media.write import write_video

ROUNDS, CLIPS, REPEATS = 5, 60, 3
MOST_DECODES, LEAST_PROCESSES, LEAST_GAIN = 2.5, 2.0, 1.8


def bare_decode(path: Path) -> None:
    """What any measure must pay: PyAV, native format."""
    with av.open(str(path)) as container:
        for _ in container.decode(audio=0):
            pass


def ffmpeg_process(path: Path) -> None:
    """Loudness as a shell loop would take it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-nostats", "-v", "info", "-i", str(path), "-vn"]
    chain = "ebur128=dualmono=true:framelog=quiet"
    subprocess.run([*command, "-af", chain, "-f", "null", "-"], check=True, capture_output=True)


def cpu_seconds(work: Callable[[Path], object], clips: list[Path]) -> float:
    """CPU that the work on all clips takes, children included."""
    before = sum(os.times()[:4])
    for clip in clips:
        work(clip)
    return sum(os.times()[:4]) - before


def cpu_of_one(clip: Path) -> float:
    """CPU seconds of measuring one clip, inside a worker."""
    before = time.process_time()
    measure_audio(clip)
    return time.process_time() - before


def cpu_of_a_loop(_: Path) -> float:
    """CPU seconds of a loop that waits for nothing and shares nothing, about as long as a clip takes."""
    before = time.process_time()
    sum(range(1_000_000))
    return time.process_time() - before


def pool_seconds(
    pool: ProcessPoolExecutor, work: Callable[[Path], float], clips: list[Path]
) -> tuple[float, float]:
    """Wall time until the pool has done the work on all clips, and the CPU that its workers took."""
    before = time.perf_counter()
    cpu = sum(pool.map(work, clips, chunksize=4))
    return time.perf_counter() - before, cpu


def main() -> int:
    """Print the ratios; 1 where a bound is missed."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(sys.argv[1]) if len(sys.argv) > 1 else made_clips(Path(folder))
        numbers = {path: measure_audio(path) for path in sorted(source.iterdir())}
        clips = [path for path, measured in numbers.items() if measured.has_audio]
        seconds = sum(numbers[path].duration_ms or 0 for path in clips) / 1000
        print(f"{len(clips)} clips, {seconds:.0f} s of sound, {ROUNDS} rounds")
        bare, ours, processes = [], [], []
        for _ in range(ROUNDS):
            bare.append(cpu_seconds(bare_decode, clips))
            ours.append(cpu_seconds(measure_audio, clips))
            processes.append(cpu_seconds(ffmpeg_process, clips))
        gains: dict[Callable[[Path], float], list[tuple[float, float]]] = {cpu_of_one: [], cpu_of_a_loop: []}
        with ProcessPoolExecutor(1) as single, ProcessPoolExecutor(2) as double:
            for _ in range(ROUNDS + 1):
                for work, rounds in gains.items():
                    wall_one, cpu_one = pool_seconds(single, work, clips * REPEATS)
                    wall_two, cpu_two = pool_seconds(double, work, clips * REPEATS)
                    rounds.append((wall_one / wall_two, 2 * cpu_one / cpu_two))
    # The first round warms the pools.
    wall, cpu = (statistics.median(column) for column in zip(*gains[cpu_of_one][1:], strict=True))
    loop, _ = (statistics.median(column) for column in zip(*gains[cpu_of_a_loop][1:], strict=True))
    rows = [
        ("ours / bare decode", ratio(ours, bare), "<=", MOST_DECODES),
        ("ffmpeg process / ours", ratio(processes, ours), ">=", LEAST_PROCESSES),
        (f"two workers, wall (loop {loop:.2f})", wall, ">=", LEAST_GAIN * min(loop, 2) / 2),
        ("two workers, by CPU", cpu, ">=", LEAST_GAIN),
    ]
    for name, reached, sign, bound in rows:
        met = reached <= bound if sign == "<=" else reached >= bound
        print(f"{name:30} {reached:5.2f}  ({sign} {bound:.2f}) {'ok' if met else 'MISSED'}")
    print(f"CPU per clip: bare {each(bare, clips)} ms, ours {each(ours, clips)} ms", end="")
    print(
        f", process {each(processes, clips)} ms; {seconds / statistics.median(ours):.0f} x real time a core"
    )
    return 0 if all(r <= b if s == "<=" else r >= b for _, r, s, b in rows) else 1


def ratio(above: list[float], below: list[float]) -> float:
    """Median of the ratios of neighbouring rounds."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def each(rounds: list[float], clips: list[Path]) -> str:
    """Median milliseconds a clip."""
    return f"{statistics.median(rounds) / len(clips) * 1000:.1f}"


def made_clips(folder: Path) -> Path:
    """A folder of stereo clips. Pure tones would decode unlike real sound: each mixes two and noise."""
    rng = np.random.default_rng(0)
    for index, (visual, sound) in enumerate(pairs()[:CLIPS]):
        scene = make_scene(visual, sound, index)
        mixed = samples(scene) + samples(replace(scene, sound="drum beats"))
        noise = rng.standard_normal((2, len(mixed)), np.float32)
        write_video(folder / f"{index}.mp4", frames(scene), FPS, mixed + 0.02 * noise, SAMPLE_RATE)
    return folder


if __name__ == "__main__":
    sys.exit(main())
