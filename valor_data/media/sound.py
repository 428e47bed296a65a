"""The sound of a clip, gathered from its decoded frames.

Frames go through libavfilter's `ebur128`, which weighs and gates them after EBU R128 and hands the very
samples on in windows of 100 ms; levels, spectra and peaks are read from those.
"""

import math
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph
from numpy.typing import NDArray

from valor_data.signals import peak
from valor_data.signals import sound as sounds

_BLOCK_MS = 400
"""Shortest sound that has a loudness: one gating block of EBU R128."""
_DRAIN_MS = 1000
"""Sound held in the filter before its windows are taken: asking after every frame costs a fifth more."""
_INTEGRATED, _MOMENTARY = "lavfi.r128.I", "lavfi.r128.M"


class SoundMeter:
    """A filter graph that reads the loudness, and the windows that leave it. About a second of samples is
    held at most."""

    def __init__(self, first: AudioFrame) -> None:
        self._form = (first.format.name, first.layout, first.sample_rate)
        self._channels = first.layout.nb_channels
        self._rate = first.sample_rate
        self._window = self._rate * sounds.WINDOW_MS // 1000
        self._first_ms = None if first.time is None else round(float(first.time) * 1000, 3)
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
        self._windows: list[sounds.Windows] = []
        self._spectra: list[sounds.Spectra] = []
        self._peak = peak.TruePeak()
        self._last: AudioFrame | None = None
        self._momentary = -math.inf

    def add(self, frame: AudioFrame) -> None:
        """Take one more frame. Raises av.error.FFmpegError for a form that nothing takes."""
        frame.pts = None  # jumps of a broken clock are no matter of loudness
        try:
            self._source.push(frame)
        except av.error.ArgumentError:  # the form changed on the way
            for alike in self._alike(frame):
                self._source.push(alike)
        self._waiting += frame.samples
        if self._waiting >= self._most:
            self._drain()

    def finish(self) -> sounds.Sound | None:
        """What all frames amount to; None where they hold no sample."""
        for alike in self._rest():
            self._source.push(alike)
        self._source.push(None)
        self._drain()
        if not self._windows:
            return None
        return sounds.Sound(
            rate=self._rate,
            windows=sounds.joined_windows(self._windows),
            spectra=sounds.joined_spectra(self._spectra),
            first_ms=self._first_ms,
            loudness_lufs=self._loudness(float(self._last.metadata[_INTEGRATED])) if self._last else None,
            momentary_max_lufs=self._loudness(self._momentary),
            true_peak=self._peak.highest,
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
        """Take the windows that are ready; their samples are let go."""
        self._waiting = 0
        ready: list[NDArray[np.float32]] = []
        while True:
            try:
                window = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            assert isinstance(window, AudioFrame)
            count = window.samples * self._channels
            flat = np.frombuffer(memoryview(window.planes[0]), np.float64, count)
            samples_CT = flat.reshape(-1, self._channels).T.astype(np.float32, order="C")
            if window.samples == self._window:
                ready.append(samples_CT)
                self._last = window
                self._momentary = max(self._momentary, float(window.metadata[_MOMENTARY]))
            else:  # the rest at the end; it carries no loudness
                self._take(ready)
                ready = []
                self._take([samples_CT])
        self._take(ready)

    def _take(self, windows: list[NDArray[np.float32]]) -> None:
        if not windows:
            return
        samples_NCT = np.stack(windows)
        levels = sounds.windows(samples_NCT)
        self._windows.append(levels)
        self._peak.add(samples_NCT)
        if samples_NCT.shape[2] < self._window:
            if self._spectra:  # a rest beside whole windows says nothing more
                return
            missing = self._window - samples_NCT.shape[2]
            samples_NCT = np.pad(samples_NCT, ((0, 0), (0, 0), (0, missing)))
        self._spectra.append(sounds.spectra(samples_NCT, self._rate, ~levels.silent_W))

    def _loudness(self, value: float) -> float | None:
        """The value; None where it is not defined."""
        samples = sum(int(part.samples_W.sum()) for part in self._windows)
        if samples * 1000 < self._rate * _BLOCK_MS:
            return None
        if not all(part.finite_W.all() for part in self._windows):  # the filter's memory is spoilt
            return None
        return value if math.isfinite(value) else None
