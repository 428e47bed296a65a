"""CPU of finding speech, beside bare decoding of the same sound.

    python benchmarks/speech.py [FOLDER]

FOLDER holds clips (those with sound are taken); without it twenty clips of ten seconds are made. Needs
the extra `models`. Sides run in turn, A B A B, over the same files, page-cached; figures are CPU seconds
of this process, and the median of the ratios of neighbours. The network hears samples that were decoded
and resampled before, so its side is the network alone.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from valor_data.errors import UserError
from valor_data.media.write import write_video
from valor_data.scenes import FPS, SAMPLE_RATE, frames, make_scene, pairs, samples
from valor_data.scorers.speech import RATE, SpeechFinder

ROUNDS, CLIPS, MOST_DECODES = 5, 20, 3.0


def bare_decode(path: Path) -> None:
    """What any measure of sound must pay: PyAV, native format."""
    with av.open(str(path)) as container:
        for _ in container.decode(audio=0):
            pass


def sound(path: Path) -> NDArray[np.float32]:
    """The first audio stream as the network takes it: mono, 16 kHz; empty without one."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    parts = [np.zeros(0, np.float32)]
    with av.open(str(path)) as container:
        if container.streams.audio:
            for frame in [*container.decode(audio=0), None]:
                if frame is not None:
                    frame.pts = None
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame) if part]
    return np.concatenate(parts)


def cpu_seconds(work: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """CPU that the work on all inputs takes."""
    before = time.process_time()
    for given in inputs:
        work(given)
    return time.process_time() - before


def main() -> int:
    """Print the ratio; 1 where its bound is missed."""
    try:
        finder = SpeechFinder()
    except UserError as error:
        print(f"skipped: {error}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(sys.argv[1]) if len(sys.argv) > 1 else made_clips(Path(folder))
        sounds = {path: sound(path) for path in sorted(source.iterdir())}
        sounds = {path: samples for path, samples in sounds.items() if samples.size}
        seconds = sum(samples.size for samples in sounds.values()) / RATE
        finder.find(next(iter(sounds.values())))  # the first call plans the network
        bare, ours = [], []
        for _ in range(ROUNDS):
            bare.append(cpu_seconds(bare_decode, sounds))
            ours.append(cpu_seconds(finder.find, sounds.values()))
    reached = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    print(f"{len(sounds)} clips, {seconds:.0f} s of sound, {ROUNDS} rounds")
    met = reached <= MOST_DECODES
    print(f"speech / bare decode {reached:.2f}  (<= {MOST_DECODES:.2f}) {'ok' if met else 'MISSED'}")
    for name, rounds in (("decode", bare), ("speech", ours)):
        taken = statistics.median(rounds)
        print(f"{name}: {taken / len(sounds) * 1000:.1f} ms a clip, {seconds / taken:.0f} x real time a core")
    return 0 if met else 1


def made_clips(folder: Path) -> Path:
    """A folder of stereo clips: a scene's sound with noise, for pure tones would decode unlike real sound."""
    rng = np.random.default_rng(0)
    for index, (visual, kind) in enumerate(pairs()[:CLIPS]):
        scene = make_scene(visual, kind, index)
        sounding = samples(scene)
        noise = 0.02 * rng.standard_normal((2, len(sounding)), np.float32)
        write_video(folder / f"{index}.mp4", frames(scene), FPS, sounding + noise, SAMPLE_RATE)
    return folder


if __name__ == "__main__":
    sys.exit(main())
