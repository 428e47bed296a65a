"""Some frames and the sound of a clip in memory, as a trainer wants them: upright RGB squares, mono samples.

Only those groups of pictures are decoded in which a wanted frame lies.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from valor_data.errors import ItemError, Reason

Frames = NDArray[np.uint8]
Samples = NDArray[np.float32]


class _Shown(NamedTuple):
    """A frame that is shown."""

    pts: int
    group: int
    """Number of its group of pictures, in the order in which they are stored."""


def take_frames(data: bytes, choose: Callable[[int], Sequence[int]], side: int) -> Frames | None:
    """Frames of a video file as (T, side, side, 3) uint8 RGB, squeezed into a square, one for each number
    that
    `choose` gives of the count of shown frames; None where it has no picture.

    Raises ItemError (`corrupt`) where the file, or a chosen frame, cannot be decoded.
    """
    try:
        with av.open(io.BytesIO(data), "r") as container:
            if not container.streams.video:
                return None
            stream = container.streams.video[0]
            stream.thread_count = 1  # loaders have processes enough
            packets = [packet for packet in container.demux(stream) if packet.size]
            return _decode(stream, packets, choose, side)
    except av.error.FFmpegError as error:
        raise ItemError(Reason.CORRUPT, f"picture: {error.strerror}") from None


def _decode(
    stream: Any, packets: Sequence["Packet[Any]"], choose: Callable[[int], Sequence[int]], side: int
) -> Frames | None:
    groups: list[list[Packet[Any]]] = []
    shown = []
    for packet in packets:
        if packet.is_keyframe or not groups:
            groups.append([])
        groups[-1].append(packet)
        if packet.pts is not None and not packet.is_discard and packet.pts >= 0:
            shown.append(_Shown(packet.pts, len(groups) - 1))
    if not shown:
        return None
    shown.sort()
    chosen = [shown[number] for number in choose(len(shown))]
    wanted = {one.pts for one in chosen}
    squares: dict[int, Frames] = {}
    reformat = VideoReformatter()

    def keep(frames: Sequence[VideoFrame]) -> None:
        for frame in frames:
            if frame.pts in wanted and frame.pts not in squares:
                squares[frame.pts] = square(frame, side, reformat)

    context = stream.codec_context
    for number in sorted({one.group for one in chosen}):
        needed = {one.pts for one in chosen if one.group == number}
        for packet in groups[number]:
            keep(context.decode(packet))
            if needed <= squares.keys():
                break
        else:
            keep(context.decode(None))
        context.flush_buffers()
    if wanted - squares.keys():
        _decode_all(context, packets, keep)
    if wanted - squares.keys():
        raise ItemError(Reason.CORRUPT, "picture: a frame that the file lists does not decode")
    return np.stack([squares[one.pts] for one in chosen])


def _decode_all(
    context: Any, packets: Sequence["Packet[Any]"], keep: Callable[[Sequence[VideoFrame]], None]
) -> None:
    """The slow way, for files whose groups do not stand alone."""
    for packet in packets:
        keep(context.decode(packet))
    keep(context.decode(None))
    context.flush_buffers()


def square(frame: VideoFrame, side: int, reformat: VideoReformatter) -> Frames:
    """A frame squeezed into (side, side, 3) uint8 RGB, full range, upright."""
    scaled = reformat.reformat(
        frame,
        width=side,
        height=side,
        format="rgb24",
        interpolation=Interpolation.BILINEAR,
        dst_color_range=ColorRange.JPEG,
    )
    square: Frames = scaled.to_ndarray().astype(np.uint8, copy=False)
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(square, turns)) if turns else square


def take_sound(data: bytes, sample_rate: int) -> Samples | None:
    """All sound of a media file as mono samples at a rate; None where it has none.

    Raises ItemError (`corrupt`) where it cannot be decoded.
    """
    try:
        with av.open(io.BytesIO(data), "r") as container:
            if not container.streams.audio:
                return None
            resampler = AudioResampler(format="fltp", layout="mono", rate=sample_rate)
            pieces = []
            for frame in container.decode(container.streams.audio[0]):
                frame.pts = None
                pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except av.error.FFmpegError as error:
        raise ItemError(Reason.CORRUPT, f"sound: {error.strerror}") from None
    return np.concatenate(pieces) if pieces else None
