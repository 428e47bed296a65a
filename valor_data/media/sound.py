"""The sound of one clip, from one open and one decode in this process.

Decoded frames go through libavfilter's `ebur128`, which weighs and gates them after EBU R128 and
hands the very samples on in windows of 100 ms; peak, silence and clipping are counted on those.
A process per clip would cost more than twice as much CPU. Parallel work takes processes, not
threads: PyAV's threads fight over the interpreter.
"""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph

from valor_data import signals
from valor_data.errors import ItemError, Reason

_BLOCK_MS = 400
"""Shortest sound that has a loudness: one gating block of EBU R128."""
_DRAIN_MS = 1000
"""Sound held in the filter before its windows are taken: asking after every frame costs a fifth more."""
_INTEGRATED = "lavfi.r128.I"


class AudioNumbers(NamedTuple):
    """Numbers of a clip's sound: the fields of `records.AudioMeasures`, defined there."""

    has_audio: bool
    duration_ms: int | None = None
    loudness_lufs: float | None = None
    sample_peak_dbfs: float | None = None
    silent_share: float | None = None
    clipped_share: float | None = None
    channels: int | None = None
    sample_rate: int | None = None
    decode_errors: int = 0


def measure_audio(path: Path) -> AudioNumbers:
    """The numbers of a media file's first audio stream.

    Packets that fail to decode are counted and passed over. Without an audio stream, or when no
    frame of it decodes, `has_audio` is False and the numbers are None. At most about a second of
    samples is held. Raises ItemError(CORRUPT) for a file that is no media file.
    """
    try:
        # An absolute path cannot be taken for a protocol (`a:b.mp4`); tags need not be UTF-8.
        container = av.open(str(path.absolute()), metadata_errors="replace")
    except FileNotFoundError:
        raise
    except av.error.FFmpegError as error:
        raise ItemError(Reason.CORRUPT, error.strerror or str(error)) from error
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None or stream.codec_context is None:  # no stream, or no decoder for it
            return AudioNumbers(has_audio=False)
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        decoder = _Decoder(container, stream)
        meter = None
        for frame in decoder:
            try:
                meter = meter or _Meter(frame)
                meter.add(frame)
            except av.error.FFmpegError:  # broken into a form that nothing takes, such as no rate at all
                decoder.errors += 1
        numbers = meter.numbers() if meter else AudioNumbers(has_audio=False)
        return numbers._replace(decode_errors=decoder.errors)


class _Decoder:
    """The frames of one stream; `errors` counts the packets that gave none because they are broken."""

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container = container
        self._stream = stream
        self.errors = 0

    def __iter__(self) -> Iterator[AudioFrame]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:  # the container breaks off: what came before it stands
                self.errors += 1
                packet = None
            try:
                # None drains the decoder; a demuxer that ends well sends its own empty packet.
                yield from self._stream.codec_context.decode(packet)
            except av.error.EOFError:
                pass  # drained already
            except av.error.FFmpegError:
                self.errors += 1
            if packet is None:
                return


class _Meter:
    """A filter graph that reads the loudness, and the levels of the windows that leave it."""

    def __init__(self, first: AudioFrame) -> None:
        self._form = (first.format.name, first.layout, first.sample_rate)
        self._channels = first.layout.nb_channels
        self._rate = first.sample_rate
        self._resampler: AudioResampler | None = None
        self._foreign: tuple[str, str, int] | None = None  # the form that it takes
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_abuffer(
            format=first.format,
            layout=first.layout,
            sample_rate=self._rate,
            time_base=Fraction(1, self._rate),
        )
        # `metadata` cuts the sound into windows of 100 ms and writes the running loudness on them.
        meter = self._graph.add("ebur128", "metadata=1:dualmono=1:framelog=quiet")
        self._sink = self._graph.add("abuffersink")
        self._graph.link_nodes(self._source, meter, self._sink)
        self._graph.configure()
        self._most = self._rate * _DRAIN_MS // 1000
        self._waiting = 0
        self._samples = 0
        self._levels: list[signals.Levels] = []
        self._last: AudioFrame | None = None

    def add(self, frame: AudioFrame) -> None:
        """Take one more frame."""
        frame.pts = None  # jumps of a broken clock are no matter of loudness
        try:
            self._source.push(frame)
        except av.error.ArgumentError:  # the form changed on the way
            for alike in self._alike(frame):
                self._source.push(alike)
        self._waiting += frame.samples
        if self._waiting >= self._most:
            self._drain()

    def numbers(self) -> AudioNumbers:
        """The numbers of all frames so far; the end of the sound."""
        for alike in self._rest():
            self._source.push(alike)
        self._source.push(None)
        self._drain()
        if not self._samples:
            return AudioNumbers(has_audio=False)
        return AudioNumbers(
            has_audio=True,
            duration_ms=round(self._samples * 1000 / self._rate),
            loudness_lufs=self._integrated(),
            sample_peak_dbfs=signals.sample_peak_dbfs(self._levels),
            silent_share=signals.silent_share(self._levels),
            clipped_share=signals.clipped_share(self._levels),
            channels=self._channels,
            sample_rate=self._rate,
        )

    def _alike(self, frame: AudioFrame) -> list[AudioFrame]:
        """The frame in the form of the first one, after what an older resampler still held."""
        own = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is not None and self._foreign == own:
            return self._resampler.resample(frame)
        rest = self._rest()
        form, layout, rate = self._form
        resampler = AudioResampler(format=form, layout=layout, rate=rate)
        alike = resampler.resample(frame)
        self._resampler, self._foreign = resampler, own  # not before: it may have refused the frame
        return rest + alike

    def _rest(self) -> list[AudioFrame]:
        """What the resampler still holds; it is done with."""
        rest = self._resampler.resample(None) if self._resampler else []
        self._resampler = None
        return [frame for frame in rest if frame is not None]  # one that has nothing to do hands None back

    def _drain(self) -> None:
        """Take the levels of the windows that are ready; their samples are let go."""
        self._waiting = 0
        while True:
            try:
                window = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(window, AudioFrame)
            count = window.samples * self._channels
            self._levels.append(
                signals.levels(np.frombuffer(memoryview(window.planes[0]), np.float64, count))
            )
            self._samples += window.samples
            if window.samples == self._rate // 10:  # a shorter rest at the end carries no loudness
                self._last = window

    def _integrated(self) -> float | None:
        """The last running value, which is that of the whole; None where it is not defined."""
        if self._last is None or self._samples * 1000 < self._rate * _BLOCK_MS:
            return None
        if not all(window.finite for window in self._levels):  # the filter's memory is spoilt from there on
            return None
        value = float(self._last.metadata[_INTEGRATED])
        return value if math.isfinite(value) else None
