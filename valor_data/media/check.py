"""Does a file decode from its first to its last frame?"""

from pathlib import Path
from typing import Literal

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from valor_data.errors import ItemError, Reason


def decodes(path: Path, least: Literal["video", "audio"] = "video") -> None:
    """Decode every frame of the picture and of the sound, of which `least` must be there. Raises ItemError
    naming what fails."""
    try:
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            if not getattr(container.streams, least):
                reason = Reason.NO_VIDEO if least == "video" else Reason.NO_AUDIO
                raise ItemError(reason, f"no {least} stream")
            streams = [*container.streams.video[:1], *container.streams.audio[:1]]
            frames = {stream.type: 0 for stream in streams}
            for stream in streams:
                if stream.codec_context is None:
                    raise ItemError(Reason.UNSUPPORTED_FORMAT, f"no decoder for its {stream.type}")
                stream.codec_context.options = {
                    "err_detect": "explode"
                }  # else what is broken is painted over
            for packet in container.demux(streams):
                for frame in packet.decode():
                    if not isinstance(frame, AudioFrame | VideoFrame) or frame.is_corrupt:
                        raise ItemError(Reason.CORRUPT, f"a broken {packet.stream.type} frame")
                    frames[packet.stream.type] += 1
    except (av.error.FFmpegError, ValueError) as error:
        raise ItemError(Reason.CORRUPT, getattr(error, "strerror", None) or str(error)) from None
    for kind, count in frames.items():
        if not count:
            raise ItemError(Reason.CORRUPT, f"no {kind} frame decodes")
