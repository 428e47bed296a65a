"""Encode pictures and samples to an mp4: H.264 and AAC, one thread, the same bytes each time.

Shapes: T frames, H height, W width, C channels (of colour in pictures, of sound in samples).
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

_X264 = {"preset": "superfast", "crf": "23", "bf": "2"}
_AAC_SAMPLES = 1024
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def write_video(
    path: Path,
    frames_THWC: Iterable[NDArray[np.uint8]],
    fps: int | Fraction,
    sound_CT: NDArray[np.float32] | None,
    sample_rate: int = 44100,
    gop: int = 250,
) -> None:
    """Write RGB frames of one size, with even sides, and their sound (1, 2 or 6 channels) to `path`.

    `sound_CT` holds samples with full scale at 1.0; None makes a file without an audio track.
    Pictures are drawn from the iterable as they are encoded. `gop` is the most frames from one
    keyframe to the next. The index stands first (faststart).
    """
    frames = iter(frames_THWC)
    first = next(frames)
    height, width, _ = first.shape
    # bitexact: no encoder version and no date in the file.
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path.absolute()), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=fps, options=_X264)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt, video.gop_size = width, height, "yuv420p", gop
        video.codec_context.thread_count = 1
        audio = None
        blocks: Iterator[AudioFrame] = iter(())
        if sound_CT is not None:
            audio = container.add_stream("aac", rate=sample_rate, layout=_LAYOUTS[len(sound_CT)])
            assert isinstance(audio, AudioStream)
            audio.codec_context.thread_count = 1
            blocks = _blocks(sound_CT, sample_rate)
        heard = 0.0
        # Sound keeps pace with the picture, for a muxer that waits long gives up interleaving.
        for index, picture in enumerate(chain([first], frames)):
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, 1 / Fraction(fps)
            container.mux(video.encode(frame))
            while audio is not None and heard * fps < index + 1:
                block = next(blocks, None)
                if block is None:
                    break
                heard += block.samples / sample_rate
                container.mux(audio.encode(block))
        if audio is not None:
            for block in blocks:
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
        container.mux(video.encode(None))


def _blocks(sound_CT: NDArray[np.float32], sample_rate: int) -> Iterator[AudioFrame]:
    layout = _LAYOUTS[len(sound_CT)]
    for start in range(0, sound_CT.shape[1], _AAC_SAMPLES):
        block = np.ascontiguousarray(sound_CT[:, start : start + _AAC_SAMPLES], dtype=np.float32)
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, start, Fraction(1, sample_rate)
        yield frame
