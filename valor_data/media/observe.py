"""One clip, opened once and decoded once, for all who measure it.

Sound and picture are decoded in this process as their packets come: a process per clip would cost more
than twice the CPU. Parallel work takes processes, not threads: PyAV's threads fight over the
interpreter. Of the picture only frames that others build on are decoded (H.264 and its kin skip the rest
unread), which spares a third.
"""

import hashlib
from collections.abc import Callable
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
from av.video.stream import VideoStream
from numpy.typing import NDArray

from valor_data.errors import ItemError, Reason
from valor_data.media.picture import PictureMeter
from valor_data.media.sound import SoundMeter
from valor_data.signals.picture import Picture
from valor_data.signals.sound import Sound

VOICE_RATE = 16_000
"""Samples a second of `Observation.voice_T`: what speech and sound models take."""

_MANY_FRAMES = 20
"""Frames a second from which on some may be passed over: of fewer, none stood near a moment of the grid."""

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
        try:
            return observer.observation(said)
        finally:
            observer.let_go()


class _Track:
    """One stream while it is decoded."""

    def __init__(
        self,
        stream: Stream,
        take: "Callable[[Any], None]",
        see: "Callable[[Packet[Any]], None] | None" = None,
    ) -> None:
        context = stream.codec_context
        context.thread_count = 1
        self.codec = context.codec.name
        self.errors = 0
        self._decode, self._take, self._see = context.decode, take, see

    def feed(self, packet: "Packet[Any] | None") -> None:
        """Decode a packet, or with None what is left, and hand its frames on."""
        if self._see is not None and packet is not None:
            self._see(packet)
        try:
            frames = self._decode(packet)
        except av.error.EOFError:
            return  # drained already
        except av.error.FFmpegError:
            self.errors += 1
            return
        for frame in frames:
            try:
                self._take(frame)
            except av.error.FFmpegError:  # broken into a form that nothing takes, such as no rate at all
                self.errors += 1


class _Observer:
    """The streams of one container while they are decoded."""

    def __init__(self, container: InputContainer, wanted: Wanted) -> None:
        self._container = container
        self._wanted = wanted
        self._meter: SoundMeter | None = None
        self._voice: AudioResampler | None = None
        self._voice_parts: list[NDArray[np.float32]] = []
        self._pictures: PictureMeter | None = None
        self._sound: _Track | None = None
        self._picture: _Track | None = None
        self._tracks: dict[int, _Track] = {}
        # A stream without a decoder has no codec context.
        sound = next(iter(container.streams.audio), None) if wanted.sound or wanted.voice else None
        if sound is not None and sound.codec_context is not None:
            self._sound = self._tracks[sound.index] = _Track(sound, self._hear)
        shown = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
        picture = next(shown, None) if wanted.picture or wanted.stills else None
        if picture is not None and picture.codec_context is not None:
            if float(picture.average_rate or 0) >= _MANY_FRAMES:
                picture.codec_context.skip_frame = "NONREF"
            self._pictures = PictureMeter(picture, stills=wanted.stills)
            track = _Track(picture, self._pictures.add, self._pictures.see)
            self._picture = self._tracks[picture.index] = track
        for stream in container.streams:
            if stream.index not in self._tracks:
                stream.discard = av.stream.Discard.all

    def run(self) -> None:
        """Decode to the end."""
        if not self._tracks:
            return
        packets = self._container.demux([self._container.streams[index] for index in self._tracks])
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the container breaks off: what came before it stands
                for track in self._tracks.values():
                    track.errors += 1
                packet = None
            if packet is None:
                break
            if packet.size:  # an empty one at the end says which stream to drain; all of them are below
                self._tracks[packet.stream_index].feed(packet)
        for track in self._tracks.values():
            track.feed(None)

    def _hear(self, frame: AudioFrame) -> None:
        if self._wanted.voice:
            self._voice = self._voice or AudioResampler(format="flt", layout="mono", rate=VOICE_RATE)
            self._keep_voice(self._voice.resample(frame))
        if self._wanted.sound:
            self._meter = self._meter or SoundMeter(frame)
            self._meter.add(frame)

    def _keep_voice(self, frames: list[AudioFrame]) -> None:
        self._voice_parts += [frame.to_ndarray()[0] for frame in frames if frame is not None]

    def let_go(self) -> None:
        """Cut the ring of tracks and this, which would keep a clip's buffers until the collector comes."""
        self._tracks.clear()
        self._sound = self._picture = None

    def observation(self, said: list[tuple[int, str, str]]) -> Observation:
        """All that was seen and heard; `said` are the library's messages."""
        if self._voice is not None:
            self._keep_voice(self._voice.resample(None))
        sound, picture = self._sound, self._picture
        return Observation(
            sound=self._meter.finish() if self._meter else None,
            picture=self._pictures.finish() if self._pictures else None,
            voice_T=np.concatenate(self._voice_parts) if self._voice_parts else None,
            stills=tuple(self._pictures.stills) if self._pictures else (),
            sound_errors=sound.errors if sound else 0,
            picture_errors=picture.errors if picture else 0,
            sound_complaint=_first_words(said, picture) if sound else None,
            picture_complaint=_first_words(said, sound) if picture else None,
        )


def _first_words(said: list[tuple[int, str, str]], other: _Track | None) -> str | None:
    """The first message that is not the other stream's."""
    for _, name, text in said:
        if text.strip() and (other is None or name != other.codec):
            return f"{name}: {text.strip()}"[:200]
    return None
