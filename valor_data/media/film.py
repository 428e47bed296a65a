"""Some frames and some stretches of sound of a file on disk, however long: memory does not grow with it.

The same frames and samples as `take` gives of a clip in memory; of a film of hours only what is asked for is
held, at the price of reading its packets twice.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from valor_data.errors import ItemError, Reason
from valor_data.media.take import Frames, Samples, square

Choose = Callable[[int], Sequence[int]]


class _Shown(NamedTuple):
    """The frames of a file, by its packets."""

    pts: list[int]
    """Of those that are shown, in order; empty where packets do not tell."""
    starts: list[int]
    """Of those from which decoding may begin."""


def film_frames(path: Path, choose: Choose, side: int) -> Frames | None:
    """Frames of a film as (T, side, side, 3) uint8 RGB, squeezed into a square, one for each number that
    `choose` gives of the count of its frames; None where it has no picture (cover art is none).

    Raises ItemError (`corrupt`) where the file, or a chosen frame, cannot be decoded.
    """
    with _opened(path, "picture") as container:
        stream = _picture(container)
        if stream is None:
            return None
        shown = _shown(container, stream)
    if not shown.pts:
        return _by_counting(path, choose, side)
    wanted = [shown.pts[number] for number in choose(len(shown.pts))]
    squares = _sought(path, shown, sorted(set(wanted)), side)
    if len(squares) < len(set(wanted)):  # a file whose index or key frames are not to be trusted
        squares = _read_through(path, lambda frame, _: frame.pts, set(wanted), side)
    if len(squares) < len(set(wanted)):
        raise ItemError(Reason.CORRUPT, "picture: a frame that the file lists does not decode")
    return np.stack([squares[pts] for pts in wanted])


def film_sound(
    path: Path, sample_rate: int, choose: Callable[[int], Sequence[range]]
) -> list[Samples] | None:
    """Stretches of a film's sound as mono samples at a rate, one for each range that `choose` gives of the
    number of all samples; None where it has no sound.

    Raises ItemError (`corrupt`) where it cannot be decoded.
    """
    count = sum(len(piece) for piece in _samples(path, sample_rate))
    if not count:
        return None
    wanted = list(choose(count))
    held: list[list[Samples]] = [[] for _ in wanted]
    start, last = 0, max((one.stop for one in wanted), default=0)
    for piece in _samples(path, sample_rate):
        for one, parts in zip(wanted, held, strict=True):
            first, stop = max(one.start, start), min(one.stop, start + len(piece))
            if first < stop:
                parts.append(piece[first - start : stop - start].copy())
        start += len(piece)
        if start >= last:
            break
    return [np.concatenate([np.empty(0, np.float32), *parts]) for parts in held]


@contextmanager
def _opened(path: Path, what: str) -> Iterator[InputContainer]:
    """A file and nothing else: what it names, as a playlist does, must be files too."""
    options = {"protocol_whitelist": "file"}
    try:
        # An absolute path cannot be taken for a protocol (`a:b.mp4`).
        with av.open(str(path.absolute()), "r", options=options, metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:
        raise ItemError(Reason.CORRUPT, f"{what}: {error.strerror}") from None


def _picture(container: InputContainer) -> VideoStream | None:
    shown = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    stream = next(shown, None)
    if stream is not None:
        if stream.codec_context is None:
            raise ItemError(Reason.UNSUPPORTED_FORMAT, "no decoder for its picture")
        stream.thread_count = 1  # loaders have processes enough
    return stream


def _shown(container: InputContainer, stream: VideoStream) -> _Shown:
    pts, starts = [], []
    for packet in container.demux(stream):
        if packet.size and packet.pts is not None:
            if packet.is_keyframe:
                starts.append(packet.pts)
            if not packet.is_discard and packet.pts >= 0:
                pts.append(packet.pts)
    return _Shown(sorted(pts), sorted(starts))


def _sought(path: Path, shown: _Shown, wanted: Sequence[int], side: int) -> dict[int, Frames]:
    """pts -> square, of those that are found behind the key frame before them."""
    squares: dict[int, Frames] = {}
    reformat = VideoReformatter()
    with _opened(path, "picture") as container:
        stream = _picture(container)
        assert stream is not None
        frames: Iterator[Any] = iter(())
        group = -1
        for pts in wanted:
            own = bisect_right(shown.starts, pts)
            if own != group:
                group = own
                try:
                    container.seek(pts, stream=stream)
                except av.error.FFmpegError:
                    return squares
                frames = container.decode(stream)
            for frame in frames:
                if frame.pts == pts:
                    squares[pts] = square(frame, side, reformat)
                if frame.pts is not None and frame.pts >= pts:
                    break
    return squares


def _by_counting(path: Path, choose: Choose, side: int) -> Frames | None:
    """For files whose packets have no times, such as some AVI: the frames are counted as they decode."""
    count = sum(1 for _ in _decoded(path))
    if not count:
        return None
    numbers = list(choose(count))
    squares = _read_through(path, lambda _, number: number, set(numbers), side)
    return np.stack([squares[number] for number in numbers])


def _read_through(
    path: Path, name: Callable[[VideoFrame, int], int | None], wanted: set[int], side: int
) -> dict[int, Frames]:
    """Squares of frames by their names; from the first frame to the last that is wanted."""
    squares: dict[int, Frames] = {}
    reformat = VideoReformatter()
    for number, frame in enumerate(_decoded(path)):
        named = name(frame, number)
        if named in wanted and named not in squares:
            squares[named] = square(frame, side, reformat)
            if len(squares) == len(wanted):
                break
    return squares


def _decoded(path: Path) -> Iterator[VideoFrame]:
    with _opened(path, "picture") as container:
        stream = _picture(container)
        assert stream is not None
        yield from container.decode(stream)


def _samples(path: Path, sample_rate: int) -> Iterator[Samples]:
    with _opened(path, "sound") as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise ItemError(Reason.UNSUPPORTED_FORMAT, "no decoder for its sound")
        resampler = AudioResampler(format="fltp", layout="mono", rate=sample_rate)
        for frame in container.decode(stream):
            frame.pts = None
            yield from (piece.to_ndarray()[0] for piece in resampler.resample(frame))
        yield from (piece.to_ndarray()[0] for piece in resampler.resample(None))
