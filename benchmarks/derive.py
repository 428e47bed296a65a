"""What the payload `train` spares a loader, and what it costs to make.

    python -m benchmarks.derive [FOLDER OF CLIPS]

Clips at 640x360, 25 frames a second, 10 s, 44.1 kHz stereo are rendered (a noisy moving picture, as dear
to code as footage), or a folder of real ones is taken. Each is derived once; then a loader's step is timed
on both, A B A B in one process, CPU seconds, medians: 8 frames spread over the clip, in RGB at 224 pixels,
and the whole sound as mono at 16 kHz.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from valor_data.media.derive import derive
from valor_data.recipe import Derive

CLIPS, ROUNDS, FRAMES = 4, 5, 8
SPEEDUP = 5.0
"""Least ratio that is expected."""


def rendered(folder: Path, count: int = CLIPS) -> list[Path]:
    """A few clips that differ."""
    paths = [folder / f"{number}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        picture = f"testsrc2=s=640x360:r=25:d=10,noise=alls=12:allf=t:all_seed={number}"
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture,
             "-f", "lavfi", "-i", f"anoisesrc=r=44100:d=10:a=0.2:c=pink:seed={number}", "-ac", "2",
             "-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-pix_fmt", "yuv420p", "-c:a", "aac",
             str(path)],
            check=True,
        )  # fmt: skip
    return paths


def load(picture: Path, sound: Path) -> int:
    """One step of a loader: bytes of what it hands on."""
    with av.open(str(picture)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        count = stream.frames
        wanted = {round((place + 0.5) * count / FRAMES - 0.5) for place in range(FRAMES)}
        taken = [
            frame.reformat(width=224, height=224, format="rgb24").to_ndarray()
            for number, frame in enumerate(container.decode(stream))
            if number in wanted
        ]
    parts = []
    if sound.exists():
        with av.open(str(sound)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
            for audio in container.decode(audio=0):
                parts += [part.to_ndarray() for part in resampler.resample(audio)]
            parts += [part.to_ndarray() for part in resampler.resample(None)]
    return sum(one.nbytes for one in (*taken, *parts))


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main(words: list[str]) -> int:
    """Entry: print the figures; 1 where the bound is missed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = sorted(Path(words[0]).iterdir()) if words else rendered(folder)
        pairs = [(clip, folder / f"{clip.stem}.d.mp4", folder / f"{clip.stem}.flac") for clip in clips]
        making = [seconds(lambda p=pair: derive(p[0], Derive(), 10_000, p[1], p[2])) for pair in pairs]  # type: ignore[misc]
        before, after = [], []
        for _ in range(ROUNDS):
            for clip, mp4, flac in pairs:
                before.append(seconds(lambda clip=clip: load(clip, clip)))  # type: ignore[misc]
                after.append(seconds(lambda mp4=mp4, flac=flac: load(mp4, flac)))  # type: ignore[misc]
        sizes = np.array([[path.stat().st_size if path.exists() else 0 for path in pair] for pair in pairs])
    whole, picture, sound = sizes.mean(axis=0) / 1000
    ratio = statistics.median(before) / statistics.median(after)
    print(
        f"{len(pairs)} clips: {whole:.0f} kB as fetched; derived {picture:.0f} kB + {sound:.0f} kB of sound"
    )
    print(f"making a pair: {statistics.median(making):.3f} s of CPU")
    print(f"a loader's step: {statistics.median(before):.4f} s, derived {statistics.median(after):.4f} s")
    ok = ratio >= SPEEDUP
    print(f"{ratio:.1f} times less; at least {SPEEDUP:g}: {'bound ok' if ok else 'MISSED'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
