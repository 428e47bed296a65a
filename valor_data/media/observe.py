"""One clip, opened once and decoded once, for all who measure it.

Sound and picture are decoded in this process as their packets come: a process per clip would cost more
than twice the CPU. Parallel work takes processes, not threads: PyAV's threads fight over the
interpreter. Of the picture only frames that others build on are decoded (H.264 and its kin skip the rest
unread), which spares a third.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from valor_data.errors import ItemError, Reason
from valor_data.media.picture import PictureMeter
from valor_data.media.sound import SoundMeter
from valor_data.signals.picture import Picture
from valor_data.signals.sound import Sound

VOICE_RATE = 16_000
"""Samples a second of `Observation.voice_T`: what speech and sound models take."""

Stream = AudioStream | VideoStream


class Wanted(NamedTuple):
    """What a pass shall gather."""

    sound: bool = False
    picture: bool = False
    voice: bool = False
    """Mono samples at `VOICE_RATE`."""
    stills: bool = False
    """A few frames in colour."""
    md5: bool = False
    """The file's own digest, which lists of known files go by."""

    def __or__(self, other: "Wanted") -> "Wanted":
        """What both want."""
        return Wanted(*(one or two for one, two in zip(self, other, strict=True)))


class Observation(NamedTuple):
    """What a clip holds. A stream that is missing, or of which nothing decodes, is None."""

    sound: Sound | None = None
    picture: Picture | None = None
    voice_T: NDArray[np.float32] | None = None
    stills: tuple[NDArray[np.uint8], ...] = ()
    """(H, W, 3) in RGB, upright."""
    md5: str | None = None
    """32 hex digits."""
    sound_errors: int = 0
    """Packets that the decoder refused, and frames in no usable form."""
    picture_errors: int = 0
    sound_complaint: str | None = None
    """The first words that the decoder, or the reader of the file, had about the stream."""
    picture_complaint: str | None = None


def observe(path: Path, wanted: Wanted) -> Observation:
    """Decode what is wanted of a media file.

    Packets that fail to decode are counted and passed over. Raises ItemError(CORRUPT) for a file that is
    no media file.
    """
    level, skip_repeated = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as said:
            seen = _read(path, wanted, said)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip_repeated)
    if not wanted.md5:
        return seen
    with path.open("rb") as file:
        return seen._replace(md5=hashlib.file_digest(file, "md5").hexdigest())


def _read(path: Path, wanted: Wanted, said: list[tuple[int, str, str]]) -> Observation:
    try:
        # An absolute path cannot be taken for a protocol (`a:b.mp4`); tags need not be UTF-8.
        container = av.open(str(path.absolute()), metadata_errors="replace")
    except FileNotFoundError:
        raise
    except av.error.FFmpegError as error:
        raise ItemError(Reason.CORRUPT, error.strerror or str(error)) from error
    with container:
        observer = _Observer(container, wanted)
        observer.run()
        return observer.observation(said)


class _Observer:
    """The streams of one container while they are decoded."""

    def __init__(self, container: InputContainer, wanted: Wanted) -> None:
        self._container = container
        # A stream without a decoder has no codec context.
        sound = next(iter(container.streams.audio), None) if wanted.sound or wanted.voice else None
        shown = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        picture = next(shown, None) if wanted.picture or wanted.stills else None
        self._sound = sound if sound is not None and sound.codec_context is not None else None
        self._picture = picture if picture is not None and picture.codec_context is not None else None
        self._wanted = wanted
        self._meter: SoundMeter | None = None
        self._voice: AudioResampler | None = None
        self._voice_parts: list[NDArray[np.float32]] = []
        self._pictures: PictureMeter | None = None
        self._errors: dict[int, int] = {}
        self._names = {s.index: s.codec_context.codec.name for s in self._streams}
        if self._picture is not None:
            self._pictures = PictureMeter(self._picture, stills=wanted.stills)
            self._picture.codec_context.skip_frame = "NONREF"
        for stream in container.streams:
            if stream in self._streams:
                stream.codec_context.thread_count = 1
                self._errors[stream.index] = 0
            else:
                stream.discard = av.stream.Discard.all

    @property
    def _streams(self) -> list[Stream]:
        return [stream for stream in (self._sound, self._picture) if stream is not None]

    def run(self) -> None:
        """Decode to the end."""
        for stream, frame in self._frames():
            try:
                if isinstance(frame, AudioFrame):
                    self._hear(frame)
                elif self._pictures is not None:
                    self._pictures.add(frame)
            except av.error.FFmpegError:  # broken into a form that nothing takes, such as no rate at all
                self._errors[stream.index] += 1

    def _frames(self) -> Iterator[tuple[Stream, AudioFrame | VideoFrame]]:
        if not self._streams:
            return
        packets = self._container.demux(self._streams)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the container breaks off: what came before it stands
                for stream in self._streams:
                    self._errors[stream.index] += 1
                packet = None
            if packet is None:
                break
            of = self._picture if packet.stream is self._picture else self._sound
            assert of is not None
            if of is self._picture and self._pictures is not None:
                self._pictures.see(packet)
            yield from ((of, frame) for frame in self._decoded(of, packet))
        for stream in self._streams:  # a demuxer that ends well has drained them; one that broke off has not
            yield from ((stream, frame) for frame in self._decoded(stream, None))

    def _decoded(self, stream: Stream, packet: "Packet[Any] | None") -> list[AudioFrame | VideoFrame]:
        try:
            return list(stream.codec_context.decode(packet))
        except av.error.EOFError:
            return []  # drained already
        except av.error.FFmpegError:
            self._errors[stream.index] += 1
            return []

    def _hear(self, frame: AudioFrame) -> None:
        if self._wanted.voice:
            self._voice = self._voice or AudioResampler(format="flt", layout="mono", rate=VOICE_RATE)
            self._keep_voice(self._voice.resample(frame))
        if self._wanted.sound:
            self._meter = self._meter or SoundMeter(frame)
            self._meter.add(frame)

    def _keep_voice(self, frames: list[AudioFrame]) -> None:
        self._voice_parts += [frame.to_ndarray()[0] for frame in frames if frame is not None]

    def observation(self, said: list[tuple[int, str, str]]) -> Observation:
        """All that was seen and heard, while the container is open; `said` are the library's messages."""
        if self._voice is not None:
            self._keep_voice(self._voice.resample(None))
        sound, picture = self._sound, self._picture
        return Observation(
            sound=self._meter.finish() if self._meter else None,
            picture=self._pictures.finish() if self._pictures else None,
            voice_T=np.concatenate(self._voice_parts) if self._voice_parts else None,
            stills=tuple(self._pictures.stills) if self._pictures else (),
            sound_errors=self._errors[sound.index] if sound else 0,
            picture_errors=self._errors[picture.index] if picture else 0,
            sound_complaint=self._first_words(said, sound, picture) if sound else None,
            picture_complaint=self._first_words(said, picture, sound) if picture else None,
        )

    def _first_words(
        self, said: list[tuple[int, str, str]], stream: Stream, other: Stream | None
    ) -> str | None:
        """The first message that is not the other stream's."""
        foreign = self._names[other.index] if other is not None else None
        for _, name, text in said:
            if name != foreign and text.strip():
                return f"{name}: {text.strip()}"[:200]
        return None
