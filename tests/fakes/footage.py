"""Small videos with planted signals, and readers of what was planted.

Picture: the frame's number in 16 black and white bars (most significant left), over a grey that
changes. Sound: a tone whose pitch jumps every 50 ms in an order that never repeats, so that any
stretch of it tells its own time. Both survive lossy coding.
"""

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

RATE = 44_100
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2", "-c:a", "aac")
_BITS = 16


class Planted(NamedTuple):
    """What a clip shows and plays, read back from its decoded content."""

    frames: list[tuple[float, int]]
    """(presentation time in s, planted frame number) of each frame."""
    sound_start_s: float | None
    """Time in the source of what sounds at the clip's time 0."""
    audio_pts_s: float | None
    """Presentation time of the first decoded sample."""
    audio_seconds: float


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Grey picture (height, width) with the number in bars."""
    image = np.full((height, width), 64 + number * 5 % 128, np.uint8)
    edges = np.linspace(0, width, _BITS + 1).astype(int)
    for bit in range(_BITS):
        white = number >> (_BITS - 1 - bit) & 1
        image[height // 4 : -height // 4, edges[bit] : edges[bit + 1]] = 235 * white
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    """The number that `picture` drew."""
    height, width = image.shape
    edges = np.linspace(0, width, _BITS + 1)
    row = image[int(height * 0.4) : int(height * 0.6)]
    value = 0
    for bit in range(_BITS):
        third = (edges[bit + 1] - edges[bit]) / 3
        left, right = int(edges[bit] + third), int(edges[bit + 1] - third)
        value = value << 1 | int(row[:, left : max(right, left + 1)].mean() > 118)
    return value


@lru_cache(maxsize=4)
def tone(seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """The planted sound, mono in [-0.5, 0.5]."""
    steps = np.random.default_rng(7).integers(6, 60, int(seconds * 20) + 1) * 50.0
    frequency = np.repeat(steps, rate // 20)[: int(seconds * rate)]
    return (0.5 * np.sin(2 * np.pi * np.cumsum(frequency) / rate)).astype(np.float32)


def make(
    path: Path,
    seconds: float,
    *,
    fps: Fraction | int = 25,
    size: tuple[int, int] = (320, 180),
    sound: bool = True,
    codecs: Sequence[str] = H264,
    muxer: Sequence[str] = (),
) -> Path:
    """Renders a source video with both signals; the muxer options come last."""
    width, height = size
    count = round(seconds * fps)
    wav = path.with_suffix(".planted.f32")
    wav.write_bytes(tone(seconds).tobytes())
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin",
        "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0",
    ]  # fmt: skip
    if sound:
        command += ["-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", str(wav)]
    command += ["-pix_fmt", "yuv420p", "-threads", "1", *codecs, *muxer, str(path)]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert encoder.stdin
    for number in range(count):
        encoder.stdin.write(picture(number, width, height).tobytes())
    encoder.stdin.close()
    assert encoder.wait() == 0, f"ffmpeg could not make {path.name}"
    wav.unlink()
    return path


def remux(source: Path, path: Path, *options: str) -> Path:
    """The same packets in another container."""
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-nostdin", "-i", str(source),
         "-map", "0", "-c", "copy", *options, str(path)],
        check=True,
    )  # fmt: skip
    return path


def read(path: Path, source_seconds: float) -> Planted:
    """Decodes a clip and reads its planted signals."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = container.decode(stream)
        frames = [(float(f.time or 0), number_in(f.to_ndarray(format="gray"))) for f in pictures]
    pts, samples = sound_of(path)
    if samples is None:
        return Planted(frames, None, None, 0.0)
    start = find(samples, tone(source_seconds)) - pts
    return Planted(frames, start, pts, len(samples) / RATE)


def sound_of(path: Path) -> tuple[float, NDArray[np.float32] | None]:
    """(time of the first sample in s, samples as mono at RATE); None without sound."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0.0, None
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        first: float | None = None
        parts: list[NDArray[Any]] = []
        for frame in container.decode(container.streams.audio[0]):
            first = float(frame.time or 0) if first is None else first
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return (first or 0.0, np.concatenate(parts)) if parts else (0.0, None)


def find(samples: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Second of `reference` at which `samples` begin, by cross-correlation."""
    skip = RATE // 4  # encoders need a moment
    piece = samples[skip : skip + RATE * 2]
    size = 1 << int(np.ceil(np.log2(len(reference) + len(piece))))
    spectrum = np.fft.rfft(reference, size) * np.conj(np.fft.rfft(piece, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)[: len(reference)]))
    return (lag - skip) / RATE
