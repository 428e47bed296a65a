"""CPU of measuring a clip's sound, beside bare decoding and beside one ffmpeg process per clip.

    python benchmarks/audio_measures.py [FOLDER]

FOLDER holds clips (those with sound are taken); without it 60 clips of ten seconds are rendered.
Sides run in turn, A B A B, over the same files, page-cached; figures are CPU seconds (user +
system, children included), and the median of the ratios of neighbours. Workers are compared by
wall time, each pool warm, over every clip several times.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import imageio_ffmpeg

from valor_data.demo.footage import render_clip
from valor_data.demo.scenes import make_scene, pairs
from valor_data.media.sound import measure_audio

ROUNDS, CLIPS, LEAST_TASKS = 7, 60, 400
MOST_DECODES, LEAST_PROCESSES, LEAST_WORKERS = 2.5, 2.0, 1.8


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


def wall_seconds(pool: ProcessPoolExecutor, clips: list[Path]) -> float:
    """Time until the pool has measured all clips."""
    before = time.perf_counter()
    for _ in pool.map(measure_audio, clips, chunksize=4):
        pass
    return time.perf_counter() - before


def main() -> int:
    """Print the ratios; 1 where a bound is missed."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(sys.argv[1]) if len(sys.argv) > 1 else rendered(Path(folder))
        clips = [path for path in sorted(source.iterdir()) if measure_audio(path).has_audio]
        seconds = sum(measure_audio(path).duration_ms or 0 for path in clips) / 1000
        print(f"{len(clips)} clips, {seconds:.0f} s of sound, {ROUNDS} rounds")
        bare, ours, processes = [], [], []
        for _ in range(ROUNDS):
            bare.append(cpu_seconds(bare_decode, clips))
            ours.append(cpu_seconds(measure_audio, clips))
            processes.append(cpu_seconds(ffmpeg_process, clips))
        tasks = clips * (LEAST_TASKS // len(clips) + 1)
        one, two = [], []
        with ProcessPoolExecutor(1) as single, ProcessPoolExecutor(2) as double:
            wall_seconds(single, clips), wall_seconds(double, clips)
            for _ in range(ROUNDS):
                one.append(wall_seconds(single, tasks))
                two.append(wall_seconds(double, tasks))
    rows = [
        ("ours / bare decode", ratio(ours, bare), "<=", MOST_DECODES),
        ("ffmpeg process / ours", ratio(processes, ours), ">=", LEAST_PROCESSES),
        ("one worker / two, wall", ratio(one, two), ">=", LEAST_WORKERS),
    ]
    for name, reached, sign, bound in rows:
        print(f"{name:26} {reached:5.2f}  ({sign} {bound})")
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


def rendered(folder: Path) -> Path:
    """A folder of rendered clips, mono and stereo."""
    for index, (visual, sound) in enumerate(pairs()[:CLIPS]):
        render_clip(folder / f"{index}.mp4", make_scene(visual, sound, index), channels=1 + index % 2)
    return folder


if __name__ == "__main__":
    sys.exit(main())
