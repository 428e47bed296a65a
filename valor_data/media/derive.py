"""A clip to the small pair that training reads: a silent mp4 of evenly spaced frames, and its sound as flac.

Both begin when the clip's first frame is shown, whatever the container's clock says, and end together. One
pass in this process, one thread an encoder: the same clip gives the same bytes.
"""

import errno
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Disposition
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from valor_data.errors import FatalError, ItemError, Reason
from valor_data.recipe import Derive

_TICK_S = 0.001
"""Containers round their clocks: a frame that comes so little late is on time."""
_TORN_S = 0.05
"""A gap in the time stamps of the sound that is a gap in the sound."""
_X264 = {"preset": "veryfast", "tune": "fastdecode", "bf": "0", "sc_threshold": "0"}
"""No CABAC and no loop filter: twice as fast to decode, for a twelfth more bytes. No B-frames, so that no
reader needs an edit list; keyframes where they are expected."""
_MP4 = {"movflags": "+faststart", "fflags": "+bitexact"}
_FLAC = {"fflags": "+bitexact", "metadata_header_padding": "0"}
_RGB, _UNSPECIFIED, _LIMITED = 0, 2, 1
"""Values of ffmpeg's colour spaces and ranges."""
_TURNS = {90: ["cclock"], -90: ["clock"], 180: ["clock", "clock"], -180: ["clock", "clock"]}
"""Degrees counter-clockwise -> `transpose` filters."""


class Picture(NamedTuple):
    """The mp4 that was written."""

    width: int
    height: int
    frames: int


class Pair(NamedTuple):
    """What was written."""

    picture: Picture | None
    """None: no frame of the clip decodes, and there is no mp4."""
    has_sound: bool
    """False: no sample of the clip decodes, and there is no flac."""
    duration_ms: int
    """Of the clip's picture, or of its sound where there is none."""


def derive(source: Path, settings: Derive, most_ms: int, mp4: Path, flac: Path) -> Pair:
    """Write the pair of a clip, at most `most_ms` of it; packets that do not decode are passed over.

    Frame k is what the clip shows at k / fps seconds. Holes in the sound, and what it lacks at its beginning
    or end, are silence. Raises ItemError(CORRUPT) where nothing decodes, FatalError on a full disk.
    """
    try:
        # An absolute path cannot be taken for a protocol (`a:b.mp4`); tags need not be UTF-8.
        with av.open(str(source.absolute()), metadata_errors="replace") as container:
            return _derived(container, settings, most_ms / 1000, mp4, flac)
    except FileNotFoundError:
        raise
    except av.error.FFmpegError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(f"{mp4.parent}: {error.strerror}; free some space") from error
        raise ItemError(Reason.CORRUPT, error.strerror or str(error)) from error


def _derived(container: InputContainer, settings: Derive, most_s: float, mp4: Path, flac: Path) -> Pair:
    shown = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    sounds = _Sounds(settings.sample_rate)
    with _Pictures(settings, most_s, mp4, shown[0] if shown else None) as pictures:
        for frame in _frames(container, [*shown[:1], *container.streams.audio[:1]]):
            if isinstance(frame, VideoFrame):
                pictures.add(frame)
            elif isinstance(frame, AudioFrame):
                sounds.add(frame)
            if pictures.full and sounds.end_s >= pictures.start_s + most_s:
                break
        made, length_s = pictures.finish()
    sounds.end_run()
    if made is None:
        length_s = min(sounds.end_s - sounds.start_s, most_s)
    if made is None and not sounds.runs:
        raise ItemError(Reason.CORRUPT, "neither a frame nor a sample decodes")
    if sounds.runs:
        start_s = sounds.start_s if made is None else pictures.start_s
        _write_sound(flac, sounds.between(start_s, length_s), settings.sample_rate)
    return Pair(made, bool(sounds.runs), round(1000 * length_s))


def _frames(container: InputContainer, streams: Sequence[VideoStream | AudioStream]) -> Iterator[Any]:
    """Whatever decodes, in the order of the file; to the end, or to where the file breaks off."""
    decoders = {s.index: s for s in streams if s.codec_context is not None}  # None: there is no decoder
    for stream in decoders.values():
        stream.codec_context.thread_count = 1
    packets = container.demux(list(decoders.values())) if decoders else iter(())
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            packet = None
        if packet is None:
            break
        if packet.size:  # an empty one says that its stream is at its end
            yield from _decoded(decoders[packet.stream_index], packet)
    for stream in decoders.values():
        yield from _decoded(stream, None)


def _decoded(stream: VideoStream | AudioStream, packet: "Packet[Any] | None") -> Iterator[Any]:
    try:
        for frame in stream.decode(packet):
            frame.time_base = stream.time_base  # which the last frames come without
            yield frame
    except av.error.FFmpegError:
        return


class _Pictures:
    """Frames on their way into the mp4. The file is made with the first of them."""

    def __init__(self, settings: Derive, most_s: float, path: Path, stream: VideoStream | None) -> None:
        self.start_s = 0.0
        """When the first frame is shown, on the clip's own clock."""
        self._settings, self._path, self._stream = settings, path, stream
        self._most_s = most_s
        self._most = math.ceil((most_s - _TICK_S) * settings.fps)
        self._written = 0
        self._waiting: VideoFrame | None = None
        self._due_s = self._lasts_s = 0.0
        self._step_s = 1 / float((stream and stream.average_rate) or settings.fps)
        self._writer: _PictureWriter | None = None

    def __enter__(self) -> "_Pictures":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer:
            self._writer.close()

    @property
    def full(self) -> bool:
        """Nothing more is wanted, if there is anything at all."""
        return self._stream is None or self._written == self._most

    def add(self, frame: VideoFrame) -> None:
        """Take the next frame; the one before it is shown until then."""
        if self._waiting is None:
            self.start_s = frame.time or 0.0
        else:
            due_s = self._due_s + self._step_s if frame.time is None else frame.time - self.start_s
            self._step_s = due_s - self._due_s if due_s > self._due_s else self._step_s
            self._due_s = max(due_s, self._due_s)
            self._show_until(self._due_s)
        self._waiting = frame
        # Taken now: a frame that needs no scaling is itself given the times of the grid.
        self._lasts_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0

    def finish(self) -> tuple[Picture | None, float]:
        """What was written, and how long the clip's picture lasts, seconds."""
        if self._waiting is None:
            return None, 0.0
        length_s = min(self._due_s + (self._lasts_s or self._step_s), self._most_s)
        self._show_until(max(length_s, _TICK_S))
        assert self._writer
        self._writer.finish()
        return Picture(self._writer.width, self._writer.height, self._written), length_s

    def _show_until(self, until_s: float) -> None:
        """Write the waiting frame at every moment of the grid before the next one is due."""
        frame = self._waiting
        assert frame
        while self._written < self._most and self._written / self._settings.fps < until_s - _TICK_S:
            if self._writer is None:
                self._writer = _PictureWriter(self._path, self._settings, frame, self._stream)
            self._writer.write(frame, self._written)
            self._written += 1


class _PictureWriter:
    """The mp4, open for writing: all frames in the size of the first."""

    def __init__(self, path: Path, settings: Derive, frame: VideoFrame, stream: VideoStream | None) -> None:
        self._size = _size(frame, stream, settings.short_side)
        self._turn = _Turn(self._size, frame.rotation) if frame.rotation in _TURNS else None
        self.width, self.height = self._size[::-1] if frame.rotation in (90, -90) else self._size
        self._tick = Fraction(1, settings.fps)
        self._file: OutputContainer = av.open(str(path.absolute()), "w", format="mp4", options=_MP4)
        options = {**_X264, "crf": str(settings.crf)}
        self._out: VideoStream = self._file.add_stream("libx264", rate=settings.fps, options=options)
        self._out.width, self._out.height, self._out.pix_fmt = self.width, self.height, "yuv420p"
        self._out.gop_size, self._out.codec_context.thread_count = settings.gop, 1
        self._colours = frame.colorspace if frame.colorspace != _RGB else _UNSPECIFIED
        context = self._out.codec_context
        context.color_range, context.colorspace = _LIMITED, self._colours
        context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc

    def write(self, frame: VideoFrame, place: int) -> None:
        width, height = self._size
        small = frame.reformat(
            width, height, "yuv420p",
            interpolation="BICUBIC", dst_color_range=_LIMITED, threads=1,
        )  # fmt: skip
        if self._turn:
            small = self._turn.turned(small)
        small.pts, small.time_base, small.pict_type = place, self._tick, 0
        self._file.mux(self._out.encode(small))

    def finish(self) -> None:
        self._file.mux(self._out.encode(None))

    def close(self) -> None:
        self._file.close()


def _size(frame: VideoFrame, stream: VideoStream | None, short_side: int) -> tuple[int, int]:
    """Even width and height of square pixels, before any turn: as stored or smaller, never larger."""
    shape = float((stream and stream.sample_aspect_ratio) or 1)
    width, height = frame.width * min(shape, 1.0), frame.height / max(shape, 1.0)
    scale = min(1.0, short_side / min(width, height))
    return _even(width * scale), _even(height * scale)


def _even(pixels: float) -> int:
    return max(2, int(pixels + 1e-6) // 2 * 2)


class _Turn:
    """Frames set upright."""

    def __init__(self, size: tuple[int, int], degrees: int) -> None:
        self._graph = Graph()
        form, tick = VideoFormat("yuv420p", *size), Fraction(1, 1)
        nodes = [self._graph.add_buffer(width=size[0], height=size[1], format=form, time_base=tick)]
        nodes += [self._graph.add("transpose", f"dir={way}") for way in _TURNS[degrees]]
        self._graph.link_nodes(*nodes, self._graph.add("buffersink")).configure()

    def turned(self, frame: VideoFrame) -> VideoFrame:
        self._graph.vpush(frame)
        return self._graph.vpull()


class _Run(NamedTuple):
    """Sound without a hole."""

    start_s: float
    blocks: list[NDArray[np.int16]]


class _Sounds:
    """Samples on their way into the flac, with the times of the container."""

    def __init__(self, rate: int) -> None:
        self.runs: list[_Run] = []
        self.end_s = -math.inf
        """Where the sound has come to, on the clip's own clock."""
        self._rate = rate
        self._resampler: AudioResampler | None = None
        self._form: tuple[object, ...] = ()

    @property
    def start_s(self) -> float:
        return self.runs[0].start_s if self.runs else 0.0

    def add(self, frame: AudioFrame) -> None:
        """Take the next frame; one of a form that nobody can use is a hole."""
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if not frame.samples or not frame.sample_rate:
            return
        start_s = frame.time if frame.time is not None else max(self.end_s, 0.0)
        if form != self._form or abs(start_s - self.end_s) > _TORN_S:
            self.end_run()
            self._resampler = AudioResampler(format="s16", layout="mono", rate=self._rate)
            self._form, self.end_s = form, start_s
            self.runs.append(_Run(start_s, []))
        self.end_s += frame.samples / frame.sample_rate
        self._keep(frame)

    def end_run(self) -> None:
        """Draw what the resampler still holds."""
        if self._resampler and self.runs[-1].blocks:
            self._keep(None)
        self._resampler = None

    def between(self, start_s: float, length_s: float) -> NDArray[np.int16]:
        """The samples from a moment on; silence where there are none."""
        sound_T = np.zeros(max(1, round(length_s * self._rate)), np.int16)
        for run in self.runs:
            samples_T = np.concatenate(run.blocks) if run.blocks else sound_T[:0]
            place = round((run.start_s - start_s) * self._rate)
            samples_T, place = samples_T[max(0, -place) :], max(0, place)
            room_T = sound_T[place : place + len(samples_T)]
            room_T[:] = samples_T[: len(room_T)]
        return sound_T

    def _keep(self, frame: AudioFrame | None) -> None:
        assert self._resampler
        self.runs[-1].blocks.extend(part.to_ndarray()[0] for part in self._resampler.resample(frame))


def _write_sound(path: Path, sound_T: NDArray[np.int16], rate: int) -> None:
    with av.open(str(path.absolute()), "w", format="flac", options=_FLAC) as file:
        stream = file.add_stream("flac", rate=rate, layout="mono", options={"flags": "+bitexact"})
        stream.codec_context.thread_count = 1
        frame = AudioFrame.from_ndarray(sound_T[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
