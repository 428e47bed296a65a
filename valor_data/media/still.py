"""A picture as the bytes of a JPEG file."""

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray


def jpeg(picture_HWC: NDArray[np.uint8], longest: int, *, quality: int = 6) -> bytes:
    """An RGB picture, scaled down until no side is longer than `longest`, as JPEG.

    `quality` runs from 2, the best, to 31. The same picture gives the same bytes.
    """
    height, width, _ = picture_HWC.shape
    scale = min(1.0, longest / max(height, width))
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture_HWC), format="rgb24").reformat(
        width=max(2, round(width * scale / 2) * 2),
        height=max(2, round(height * scale / 2) * 2),
        format="yuvj420p",
        interpolation="AREA",
    )
    codec = av.CodecContext.create("mjpeg", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "yuvj420p"
    codec.time_base = Fraction(1, 25)  # any: the encoder wants one
    codec.qmin = codec.qmax = quality
    codec.thread_count = 1
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
