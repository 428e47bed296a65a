"""Cut a span out of a video, by address, into one small mp4: the first frame and the first sample
of the clip lie on the asked start, and the same span gives the same bytes.

Only the span is read and encoded anew. What the clip truly shows is checked against the frames'
own time stamps in the source, for a demuxer that lands behind the asked start (transport streams,
containers from a host without ranges) ends without an error. A late first frame makes the cut
start over from further ahead, at last from the beginning.
"""

import errno
import itertools
import math
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import FatalError, ItemError, Reason, RetryableError, ValorDataError
from valor_data.media import complaints, graph
from valor_data.media.ffmpeg import End, Line, Run, run
from valor_data.media.graph import Encoding, Source, Span, Way, encoding_of
from valor_data.media.probe import is_encrypted
from valor_data.media.transcript import Frames, Transcript, frames_of, transcript

__all__ = ["Cut", "Encoding", "Source", "cut", "encoding_of"]

_AHEAD_US = 10_000_000
"""How far ahead of the asked start the second try begins: longer than most distances of keyframes."""
_DELAY_FRAMES, _DELAY_US = 4, (150_000, 400_000)
"""A picture that starts up to four frames, or so many microseconds at least and at most, after its
container's clock was delayed by its coding (B-frames without an edit list, AAC priming): spans count
from the picture then. More is a true late start."""
_TICK_US = 1000
_TORN_US = 5_000
"""How far the clocks of picture and sound may be apart without a new start."""
_LAND_LATE = ("mpegts", "mpeg")
"""Demuxers that seek to a packet, not to a keyframe."""
_HOLE_MS = 70.0
"""Sound that may be missing after a seek, and is silence then: a decoder needs a packet to get going, which
shows where a span begins on a keyframe. More makes the cut look again from further ahead."""
_DAMAGED_SHARE = 0.5
"""More corrupt frames than that are no picture; after a seek they may come from a decoder that missed what
stands at the beginning of the stream only."""
_LOST = (
    Reason.CORRUPT, Reason.UNSUPPORTED_FORMAT, Reason.NO_VIDEO, Reason.TRUNCATED, Reason.TRANSPORT,
)  # fmt: skip
"""What a demuxer may find in a stream that it cannot seek in, although the file is sound."""
_JUMP_MS = 1000.0
"""A clip that lacks more than this is looked at again where the clock of the source seems to jump."""
_WAIT_S = 2.0
"""How long the sound may take to end once the picture has: where it ends early, ffmpeg would read on
to the end of the file in search of it."""


class Cut(NamedTuple):
    """What a cut did, told by the time stamps of the source."""

    start_error_ms: float
    """Source time of the first shown frame minus the asked start."""
    frames: int
    tries: int
    """Runs of ffmpeg that it took."""


def cut(
    source: Source, start_ms: int, end_ms: int, encoding: Encoding, out: Path, seconds_limit: float
) -> Cut:
    """Write the span [start_ms, end_ms) of a video to `out` (mp4 with H.264, and AAC if it sounds).

    Times count from the first picture. Where the source ends early the clip is shorter. Raises
    ItemError or RetryableError with the reason, FatalError on a full disk; then `out` does not exist.
    """
    until = time.monotonic() + seconds_limit
    try:
        with tempfile.TemporaryDirectory(prefix="cut-", dir=out.parent) as scratch:
            job = _Job(source, start_ms * 1000, end_ms * 1000, encoding, out, Path(scratch), until)
            return job.do()
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(f"{out.parent}: {error.strerror}") from error
        raise


class _Opened(NamedTuple):
    """What the opening of a source told of its clock."""

    delays_us: tuple[int, ...]
    """For each input, how much later than asked a span begins, so that it counts from the first picture."""
    spare_us: float = 0.0
    """A delay of less changes nothing."""
    lands_late: bool = False
    """After a seek its demuxer begins anywhere, not at a keyframe at or ahead of it."""

    def asks_again(self, span: Span) -> bool:
        """Whether a run that knew nothing of this must start over."""
        if self.lands_late and span.way is Way.SEEK:
            return True
        torn_us = max(self.delays_us) - min(self.delays_us)
        return torn_us > _TORN_US or (max(self.delays_us) > 0 and max(self.delays_us) >= self.spare_us)


class _Seen(NamedTuple):
    """One run of ffmpeg, read."""

    run: Run
    said: Transcript
    picture: Frames
    way: Way
    error_ms: float
    """Source time of the first frame minus the asked start; nan without a frame."""
    frame_ms: float
    """How long a frame lasts."""
    damaged_share: float
    """Share of the decoded frames that the decoder calls corrupt."""
    short_ms: float
    """What the picture lacks of the asked length."""

    @property
    def refused(self) -> ValorDataError | None:
        """The error of a run that came to nothing, as another start would too."""
        streams = self.said.streams
        if streams and all(stream.kind == "Audio" or stream.cover for stream in streams):
            words = "; ".join(stream.text for stream in streams)
            return ItemError(Reason.NO_VIDEO, f"there is no picture, only {words[:300]}")
        if self.run.code:
            return complaints.error_of(self.run.log)
        return None if self.said.picture else complaints.no_picture(self.run.log)

    @property
    def passed_over(self) -> bool:
        """A start from further ahead may show frames or samples that this one missed, or mend them."""
        if self.short_ms > _JUMP_MS and self.said.clock_jumps:
            return True
        if not self.picture.shown:
            return self.way is Way.SEEK or not self.said.ended or not self.said.decoded
        late = self.error_ms > self.frame_ms * 1.05 + 1
        if self.way is Way.SEEK:
            hole_ms = self.said.sound_ms or 0.0
            return late or hole_ms > _HOLE_MS or self.damaged_share > 0
        return (late and self.picture.decoded_before == 0) or self.damaged_share > _DAMAGED_SHARE


class _Job:
    """One cut, as a ladder of tries."""

    def __init__(
        self, source: Source, start_us: int, end_us: int, encoding: Encoding,
        out: Path, scratch: Path, until: float,
    ) -> None:  # fmt: skip
        self._source, self._start_us, self._length_us = source, start_us, end_us - start_us
        self._encoding, self._out, self._scratch, self._until = encoding, out, scratch, until
        self._opened: _Opened | None = None
        self._sound_ends_early = False
        self._tries = 0

    def do(self) -> Cut:
        """Begin further and further ahead of the asked start, as long as that may show more."""
        # What holds only the span is read from its beginning on in any case.
        sought = self._source.shifts_us[0] is None
        rungs = sorted({0, min(_AHEAD_US, self._start_us), self._start_us}) if sought else [0]
        ahead_us = 0
        while True:
            seen = self._try(ahead_us)
            refused = seen.refused
            if refused and getattr(refused, "reason", None) not in _LOST:
                raise refused
            if not refused and not seen.passed_over:
                return self._judge(seen)
            if refused:
                raise self._named(refused)
            higher = [rung for rung in rungs if rung > max(ahead_us, self._least_ahead_us)]
            if not higher:
                return self._judge(seen)
            ahead_us = higher[0]

    @property
    def _shifts_us(self) -> tuple[int | None, ...]:
        return self._source.shifts_us[: len(self._source.urls)]

    @property
    def _least_ahead_us(self) -> int:
        return min(_AHEAD_US, self._start_us) if self._opened and self._opened.lands_late else 0

    def _judge(self, seen: _Seen) -> Cut:
        picture = seen.picture
        if seen.damaged_share > _DAMAGED_SHARE or not seen.said.decoded:
            raise self._named(complaints.no_picture(seen.run.log))
        if not picture.shown:
            raise ItemError(Reason.PAST_END, f"no picture at or after {self._start_us // 1000} ms")
        return Cut(round(seen.error_ms, 3), picture.shown, self._tries)

    def _named(self, error: ValorDataError) -> ValorDataError:
        """The error, or where the bytes are encrypted that: to a decoder they are noise."""
        if getattr(error, "reason", None) in (Reason.CORRUPT, Reason.UNSUPPORTED_FORMAT):
            for url in self._source.urls:
                if is_encrypted(graph.address(url), graph.in_process(url)):
                    return ItemError(Reason.DRM, f"the media are encrypted; {error}")
        return error

    def _try(self, ahead_us: int) -> _Seen:
        self._tries += 1
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise RetryableError(Reason.TIMEOUT, f"no time was left after {self._tries - 1} runs of ffmpeg")
        span = self._span(ahead_us)
        opened: list[Line] = []
        damaged = 0
        picture_done = False

        def watch(line: Line) -> End | None:
            nonlocal damaged, picture_done
            if self._opened is None:
                opened.append(line)
                if "-> #0:" in line.text:
                    self._opened = _opened(transcript(opened), self._shifts_us)
                    return End(0, in_order=False) if self._opened.asks_again(span) else None
            damaged += line.text.endswith("corrupt decoded frame")
            picture_done |= line.text.startswith("[vf#") and line.text.endswith("All consumers returned EOF")
            return End(_WAIT_S, in_order=self._sound_ends_early) if picture_done else None

        stats = self._scratch / "frames"
        stats.unlink(missing_ok=True)
        result = run(graph.arguments(self._source, span, self._encoding, self._out, stats), left_s, watch)
        if result.timed_out:
            raise RetryableError(Reason.TIMEOUT, complaints.unfinished(result.log))
        if result.killed:
            self._sound_ends_early = picture_done
            return self._try(ahead_us)
        said = transcript(result.log)
        picture = frames_of(stats)
        usual = 1000 / said.picture.fps if said.picture and said.picture.fps else 1.0
        between = [b - a for a, b in itertools.pairwise(picture.source_ms) if b > a]
        frame_ms = max(usual, *between, 1.0)
        error_ms = math.nan
        if picture.shown:
            error_ms = picture.source_ms[0] - self._span(ahead_us).starts_us[0] / 1000
            if math.isnan(error_ms):  # no time stamps in the container: ffmpeg's reckoning in the clip
                error_ms = picture.clip_ms[-1] - (len(picture.clip_ms) - 1) * frame_ms
        damaged_share = damaged / said.decoded if said.decoded else 0.0
        short_ms = self._length_us / 1000 - (picture.last_ms + frame_ms if picture.shown else 0.0)
        return _Seen(result, said, picture, span.way, error_ms, frame_ms, damaged_share, short_ms)

    def _span(self, ahead_us: int) -> Span:
        opened = self._opened or _Opened((0,) * len(self._source.urls))
        ahead_us = max(ahead_us, self._least_ahead_us)
        shifts = self._shifts_us
        starts = tuple(
            self._start_us + delay - (shift or 0)
            for delay, shift in zip(opened.delays_us, shifts, strict=True)
        )
        whole = ahead_us == self._start_us
        seeks = tuple(
            0 if whole or shift is not None else max(0, start - ahead_us)
            for start, shift in zip(starts, shifts, strict=True)
        )
        read_whole = shifts[0] is not None
        way = Way.WHOLE if self._start_us == 0 else Way.AHEAD if ahead_us or read_whole else Way.SEEK
        return Span(seeks, starts, self._length_us, way, self._sound_ends_early)


def _opened(said: Transcript, shifts_us: tuple[int | None, ...]) -> _Opened:
    picture = said.picture
    if not picture:
        return _Opened((0,) * len(said.starts_s))
    delay_us = round(1e6 * (picture.start_s - said.starts_s[picture.input]))
    frame_us = 1e6 / picture.fps if picture.fps else 0.0
    most_us = min(max(_DELAY_FRAMES * frame_us, _DELAY_US[0]), _DELAY_US[1])
    spare_us = frame_us  # the first frame at or after the start is taken, after a seek
    if shifts_us[0] is not None:
        spare_us = _TICK_US
    elif delay_us > most_us:
        delay_us = 0
    # Whole milliseconds, rounded down, lest a frame that lies on the start be passed over.
    delay_us = max(0, delay_us // _TICK_US * _TICK_US)
    lands_late = any(form in _LAND_LATE for form in said.formats)
    if len(said.starts_s) == 1:
        return _Opened((delay_us,), spare_us, lands_late)
    # Renditions of one HLS presentation share a clock; of other pairs each begins at its own start.
    shared = all(form == "hls" for form in said.formats)
    begins_us = [1e6 * start - (shift or 0) for start, shift in zip(said.starts_s, shifts_us, strict=True)]
    apart_us = delay_us + round(begins_us[0] - begins_us[1]) if shared else 0
    return _Opened((delay_us, apart_us), spare_us, lands_late)
