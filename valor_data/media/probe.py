"""What a media file is, read from its packets and its first decoded frames, in this process.

Headers are not believed where packets can tell: durations, rates and counts come from the time
stamps of the packets that an edit list leaves visible.
"""

import contextlib
import itertools
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from valor_data.errors import ItemError, Reason

_ENOUGH_PACKETS = 64


class Probe(NamedTuple):
    """A media file in numbers. Times count on the file's own clock."""

    container: str
    """Name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    duration_ms: int
    """Longest stream, from its first visible packet to the end of its last."""
    video_codec: str | None
    """None: no picture (cover art is none)."""
    width: int
    """As displayed: turned where the file says so; 0 without a picture."""
    height: int
    fps: float
    """Visible frames divided by their duration; 0 where that has no meaning."""
    frames: int
    """Visible frames."""
    audio_codec: str | None
    sample_rate: int | None
    channels: int | None
    first_frame_ms: float | None
    """When the first frame is shown; None when none decodes."""
    first_audio_ms: float | None
    """When the first sample is heard, behind the encoder's priming; None when none decodes."""


def probe(path: Path) -> Probe:
    """The numbers of a file. Raises ItemError: CORRUPT, DRM, or UNSUPPORTED_FORMAT for a codec without
    a decoder here."""
    try:
        # An absolute path cannot be taken for a protocol (`a:b.mp4`).
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            return _read(container)
    except av.error.FFmpegError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ItemError(Reason.CORRUPT, _words(path, error)) from error


def is_encrypted(address: str, options: Mapping[str, Any]) -> bool:
    """Whether the first packets at an address are encrypted; False also when it cannot be read."""
    try:
        settings = {name: str(value) for name, value in options.items()}
        with av.open(address, options=settings, metadata_errors="replace") as container:
            packets = itertools.islice(container.demux(), _ENOUGH_PACKETS)
            return any(packet.has_sidedata("encryption_info") for packet in packets)
    except (av.error.FFmpegError, OSError):
        return False


class _Track:
    """One stream while its packets go by."""

    def __init__(self, stream: VideoStream | AudioStream) -> None:
        if stream.codec_context is None:
            raise ItemError(Reason.UNSUPPORTED_FORMAT, f"no decoder for the {stream.type} stream")
        stream.codec_context.thread_count = 1
        self.codec = stream.codec_context.codec.canonical_name
        self.first: VideoFrame | AudioFrame | None = None
        self.packets = 0
        self._time_base = stream.time_base
        self._start: int | None = None
        self._last: tuple[int, int] | None = None

    def see(self, packet: "Packet[Any]") -> None:
        """Take note of one packet; decode it while no frame has come."""
        if self.first is None and packet.has_sidedata("encryption_info"):
            raise ItemError(Reason.DRM, f"the {packet.stream.type} stream is encrypted")
        if packet.size and not packet.is_discard:
            self.packets += 1
            if packet.pts is not None:
                self._start = packet.pts if self._start is None else min(self._start, packet.pts)
                # Only the last shown packet's duration counts: with B-frames in mp4 a packet's duration
                # is the distance to the next one stored, not the next one shown.
                self._last = max(self._last or (packet.pts, 0), (packet.pts, packet.duration or 0))
        if self.first is None:
            # A broken packet is passed over; a later one may decode.
            with contextlib.suppress(av.error.FFmpegError):
                frame = next(iter(packet.decode()), None)
                self.first = frame if isinstance(frame, VideoFrame | AudioFrame) else None

    @property
    def seconds(self) -> Fraction:
        """From the first visible packet to the end of the last."""
        if self._start is None or self._last is None or self._time_base is None:
            return Fraction(0)
        return (sum(self._last) - self._start) * self._time_base

    @property
    def first_ms(self) -> float | None:
        """When its first frame is due."""
        if self.first is None or self.first.time is None:
            return None
        return round(float(self.first.time) * 1000, 3)


def _read(container: InputContainer) -> Probe:
    video = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    audio = container.streams.audio
    streams: list[VideoStream | AudioStream] = [*video[:1], *audio[:1]]
    tracks = {stream.index: _Track(stream) for stream in streams}
    if tracks:
        # At the end comes one empty packet a stream, which drains its decoder.
        for packet in container.demux(streams):
            tracks[packet.stream.index].see(packet)
    picture = tracks[video[0].index] if video else None
    sound = tracks[audio[0].index] if audio else None
    alive = [track for track in tracks.values() if track.first] or list(tracks.values())
    seconds = picture.seconds if picture else Fraction(0)
    width, height = _displayed(video[0], picture.first) if picture else (0, 0)
    return Probe(
        container=container.format.name,
        duration_ms=round(1000 * max((track.seconds for track in alive), default=Fraction(0))),
        video_codec=picture.codec if picture else None,
        width=width,
        height=height,
        fps=round(float(picture.packets / seconds), 6) if picture and seconds else 0.0,
        frames=picture.packets if picture else 0,
        audio_codec=sound.codec if sound else None,
        sample_rate=audio[0].sample_rate if sound else None,
        channels=audio[0].channels if sound else None,
        first_frame_ms=picture.first_ms if picture else None,
        first_audio_ms=sound.first_ms if sound else None,
    )


def _displayed(stream: VideoStream, frame: VideoFrame | AudioFrame | None) -> tuple[int, int]:
    if not isinstance(frame, VideoFrame):
        return stream.width, stream.height
    return (frame.height, frame.width) if frame.rotation % 180 else (frame.width, frame.height)


def _words(path: Path, error: Exception) -> str:
    """What the library says: the log of a second opening names the cause, the error only its class."""
    level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as lines, av.open(str(path.absolute()), metadata_errors="replace"):
            pass
    except av.error.FFmpegError:
        pass
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip_repeated)
    said = dict.fromkeys(text.strip() for _, _, text in lines)
    return "; ".join([*said, getattr(error, "strerror", None) or str(error)])
