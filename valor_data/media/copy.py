"""Copy a span out of a video, packets as they are, into one small mp4 whose edit lists show exactly the
span: the packets from the keyframe on lie in the file, hidden.

Nothing is decoded or encoded anew. Whether the result shows what was asked is measured on the result;
where it does not, or where the codecs have no place in an mp4, the clip is refused.
"""

import errno
import heapq
import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition

from valor_data.errors import FatalError, ItemError, Reason, RetryableError, without_secrets
from valor_data.media import graph
from valor_data.media.cut import Cut
from valor_data.media.edits import show_only
from valor_data.media.graph import Source
from valor_data.media.probe import probe

_FITS = frozenset({
    "h264", "hevc", "av1", "vp9", "mpeg4", "aac", "mp3", "opus", "ac3", "eac3", "flac", "alac",
})  # fmt: skip
"""Codecs that an mp4 holds and common readers expect there."""
_TIMED = ("mov", "matroska", "mpegts", "hls", "flv")
"""Demuxers whose times of packets are those of the file; others make them up."""
_AHEAD_S = (0.0, 1.0, 10.0)
"""How far ahead of the start to look for a keyframe, one after another; at last from the beginning."""
_WARM_UP_S = 0.1
"""Sound kept ahead of the start, for its decoder to get going."""
_MOST_SKEW_MS = 20.0
_TAIL_S = 0.1
"""Kept behind the end, hidden: what the last shown frames may refer to."""
_TICK_S = 0.001
_LONE_S = 5.0
"""Read so far behind the end for a stream that may have ended early."""
_OPTIONS = {
    "movflags": "+faststart", "use_editlist": "1", "avoid_negative_ts": "disabled",
    "movie_timescale": "90000", "fflags": "+bitexact",
}  # fmt: skip


class _Track(NamedTuple):
    """A stream to copy."""

    stream: Any
    tick_s: float
    origin_s: float
    """Its clock when the first picture of the video is shown."""

    def time_s(self, ticks: int) -> float:
        """Time from the first picture."""
        return ticks * self.tick_s - self.origin_s


class _Written(NamedTuple):
    """What was written."""

    first_s: float
    """Time of the first frame at or after the start."""
    frame_s: float
    """How long a frame lasts there."""
    frames: int
    """Frames from it on to the end."""
    length_s: float
    """Up to the end of the last of them."""


def copy(source: Source, start_ms: int, end_ms: int, out: Path, seconds_limit: float) -> Cut:
    """Write the span [start_ms, end_ms) of a video to `out` (mp4 with the source's own packets).

    Times count from the first picture; the clip begins with the first frame at or after the start. Where the
    source ends early the clip is shorter. Raises ItemError (UNSUPPORTED_FORMAT where no frame-exact copy is
    possible) or RetryableError with the reason, FatalError on a full disk; then `out` does not exist.
    """
    until = time.monotonic() + seconds_limit
    try:
        return _laddered(source, start_ms / 1000, end_ms / 1000, out, until)
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(f"{out.parent}: {error.strerror}") from error
        if isinstance(error, av.error.FFmpegError):
            raise _named(error) from error
        raise


def _laddered(source: Source, start_s: float, end_s: float, out: Path, until: float) -> Cut:
    """Read from further and further ahead of the start, as long as the result is not what was asked."""
    sought = source.shifts_us[0] is None
    rungs = [*(ahead for ahead in _AHEAD_S if sought and ahead < start_s), None]
    for number, ahead_s in enumerate(rungs, 1):
        try:
            return _copied(source, start_s, end_s, out, until, ahead_s)._replace(tries=number)
        except ItemError as error:
            if error.reason is not Reason.UNSUPPORTED_FORMAT or ahead_s is None:
                raise
    raise AssertionError("the last rung returns or raises")


def _copied(
    source: Source, start_s: float, end_s: float, out: Path, until: float, ahead_s: float | None
) -> Cut:
    with ExitStack() as opened:
        inputs = [opened.enter_context(_open(url, until)) for url in source.urls]
        tracks = _tracks(inputs, source)
        if ahead_s is not None:
            for track in tracks[: len(inputs)]:
                at_s = start_s - ahead_s - (0.0 if track is tracks[0] else _WARM_UP_S) + track.origin_s
                track.stream.container.seek(round(at_s / track.tick_s), stream=track.stream)
        written = _write(inputs, tracks, start_s, end_s, out, until)
    show_only(out, written.first_s - start_s, written.length_s)
    return _measured(out, written, start_s)


def _open(url: str, until: float) -> InputContainer:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise RetryableError(Reason.TIMEOUT, "no time was left to copy")
    options = {name: str(value) for name, value in graph.in_process(url).items()}
    return av.open(graph.address(url), options=options, metadata_errors="replace", timeout=left_s)


def _tracks(inputs: list[InputContainer], source: Source) -> list[_Track]:
    for form in (one.format.name for one in inputs):
        if not form.startswith(_TIMED):
            raise _unfit(f"{form} does not tell when each packet is shown")
    pictures = [s for s in inputs[0].streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise ItemError(Reason.NO_VIDEO, "there is no picture")
    streams: list[Any] = [max(pictures, key=lambda s: s.width * s.height), *inputs[-1].streams.audio[:1]]
    for stream in streams:
        codec = stream.codec_context.codec.canonical_name if stream.codec_context else "its codec"
        if codec not in _FITS:
            raise _unfit(f"{codec} has no place in an mp4")
    origins_s = [_begin_s(streams[0]) - (source.shifts_us[0] or 0) / 1e6] * len(streams)
    # Renditions of one HLS presentation share a clock; of other pairs each begins at its own start.
    if len(inputs) == len(streams) > 1 and any(one.format.name != "hls" for one in inputs):
        origins_s[1] = _begin_s(streams[1]) - (source.shifts_us[1] or 0) / 1e6
    return [_Track(s, float(s.time_base), origin) for s, origin in zip(streams, origins_s, strict=True)]


def _begin_s(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _write(
    inputs: list[InputContainer], tracks: list[_Track], start_s: float, end_s: float, out: Path, until: float
) -> _Written:
    """Write what the span takes, its start at time 0."""
    feeds = [_of_span(inputs[0], tracks if len(inputs) == 1 else tracks[:1], start_s, end_s, until)]
    if len(inputs) == len(tracks) > 1:
        feeds.append(_of_span(inputs[1], tracks[1:], start_s, end_s, until))
    shown: list[float] = []
    with av.open(str(out.absolute()), "w", format="mp4", options=_OPTIONS) as writer:
        copies = {id(track): writer.add_stream_from_template(track.stream) for track in tracks}
        for track, packet in heapq.merge(*feeds, key=lambda one: one[0].time_s(one[1].dts or 0)):
            assert packet.pts is not None
            assert packet.dts is not None
            if track is tracks[0]:
                shown.append(track.time_s(packet.pts))
            zero = round((start_s + track.origin_s) / track.tick_s)
            packet.pts, packet.dts = packet.pts - zero, packet.dts - zero
            packet.stream = copies[id(track)]
            writer.mux_one(packet)
    return _spanned(sorted(shown), start_s, end_s)


def _spanned(shown_s: list[float], start_s: float, end_s: float) -> _Written:
    if not shown_s:
        raise _unfit("no keyframe was found")
    between = [b - a for a, b in itertools.pairwise(shown_s) if b > a]
    frame_s = min(between, default=0.04)
    if shown_s[-1] + frame_s <= start_s:
        raise ItemError(Reason.PAST_END, f"no picture at or after {start_s:.3f} s")
    first_s = next((due for due in shown_s if due > start_s - _TICK_S), shown_s[-1])
    if abs(first_s - start_s) > frame_s + _TICK_S:
        raise _unfit(f"the nearest frame that can be decoded is {1000 * (first_s - start_s):.0f} ms off")
    kept = [due for due in shown_s if first_s <= due < first_s + end_s - start_s - frame_s / 2]
    return _Written(first_s, frame_s, len(kept), min(kept[-1] + frame_s - first_s, end_s - start_s))


def _of_span(
    container: InputContainer, tracks: list[_Track], start_s: float, end_s: float, until: float
) -> Iterator[tuple[_Track, "Packet[Any]"]]:
    """Packets from a keyframe of the picture on, and of the sound from a little ahead of the start on, until
    all that is shown has come."""
    going = {track.stream.index: track for track in tracks}
    waiting: dict[int, list[Packet[Any]]] = {index: [] for index in going}
    opened: set[int] = set()
    for packet in container.demux([track.stream for track in tracks]):
        if time.monotonic() > until:
            raise RetryableError(Reason.TIMEOUT, "no time was left to copy")
        index = packet.stream.index
        track = going.get(index)
        if track is None or not packet.size:
            continue
        if packet.has_sidedata("encryption_info"):
            raise ItemError(Reason.DRM, "the media are encrypted")
        if packet.pts is None:
            raise _unfit("the container does not tell when its packets are shown")
        if track.stream.type == "video":
            if index not in opened and not packet.is_keyframe:
                continue
        elif track.time_s(packet.pts) < start_s - _WARM_UP_S:
            continue
        opened.add(index)
        if packet.dts is None:
            waiting[index].append(packet)
            continue
        yield from ((track, one) for one in _dated(waiting[index], packet.dts))
        waiting[index] = []
        decoded_s = track.time_s(packet.dts)
        yield track, packet  # whose times the writer then changes
        if decoded_s > end_s + _TAIL_S:
            del going[index]
        if not going or decoded_s > end_s + _LONE_S:
            break
    if any(waiting.values()):
        raise _unfit("the container does not tell when its packets are decoded")


def _dated(packets: "list[Packet[Any]]", before: int) -> "list[Packet[Any]]":
    """Packets that came without a time to decode ahead of the first that has one, one after another."""
    for packet in reversed(packets):
        before -= max(1, packet.duration or 1)
        packet.dts = before
    return packets


def _measured(out: Path, written: _Written, start_s: float) -> Cut:
    """What the file shows, or why it is not what was asked."""
    seen = probe(out)
    if seen.first_frame_ms is None:
        raise ItemError(Reason.CORRUPT, "no frame of the picture could be decoded")
    if abs(seen.first_frame_ms) > 1 or seen.frames != written.frames:
        raise _unfit(
            f"{seen.frames} frames from {seen.first_frame_ms:.0f} ms on would be shown, not {written.frames}"
        )
    skew_ms = (seen.first_audio_ms or 0.0) - seen.first_frame_ms
    if abs(skew_ms) > _MOST_SKEW_MS:
        raise _unfit(f"the sound would begin {skew_ms:.0f} ms beside the picture")
    return Cut(round(1000 * (written.first_s - start_s), 3), written.frames, 1)


def _unfit(why: str) -> ItemError:
    return ItemError(
        Reason.UNSUPPORTED_FORMAT,
        f"no frame-exact copy: {why}; fetch.profile = 'exact' serves, which encodes the span anew",
    )


def _named(error: av.error.FFmpegError) -> ItemError | RetryableError:
    """The library's error as ours."""
    words = without_secrets(error.strerror or str(error))
    if isinstance(error, av.error.HTTPError | ConnectionError):
        return RetryableError(Reason.TRANSPORT, words)
    if isinstance(error, av.error.ExitError | TimeoutError):
        return RetryableError(Reason.TIMEOUT, words)
    return ItemError(Reason.CORRUPT, words)
