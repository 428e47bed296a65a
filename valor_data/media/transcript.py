"""What a run of ffmpeg says about its inputs, and what its per-frame statistics say about its output."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from valor_data.media.ffmpeg import Line

FRAME_FORMAT = "{n} {ni} {pts} {tb} {ptsi} {tbi}"
"""For `-stats_enc_pre_fmt`: what `frames_of` reads."""

_INPUT = re.compile(r"^Input #(\d+), ([\w,]+), from")
_START = re.compile(r"^  Duration: .*?, start: (-?[\d.]+)")
_STREAM = re.compile(r"^\s+Stream #(\d+):(\d+).*?: (Video|Audio): (.*)$")
_MAPPED = re.compile(r"^\s+Stream #(\d+):(\d+) -> #0:(\d+) ")
_OWN_START = re.compile(r", start (-?[\d.]+)")
_FPS = re.compile(r", ([\d.]+)(k?) fps")
_SOUND = re.compile(r"ashowinfo.* n:0 .*pts_time:(-?[\d.e-]+)")
_JUMPY = ("hls", "mpegts", "mpeg")
_NO_STAMP = str(-(1 << 63))
_DECODED = re.compile(r"Input stream #(\d+):(\d+) \(video\):.*?; (\d+) frames decoded; (\d+) decode errors")


class StreamLine(NamedTuple):
    """One stream of one input."""

    input: int
    number: int
    kind: str
    """`Video` or `Audio`."""
    start_s: float
    fps: float | None
    cover: bool
    """A picture that belongs to the file, not to its time."""
    text: str


class Transcript(NamedTuple):
    """The log of one run, read."""

    formats: tuple[str, ...]
    """Demuxer of each input, such as `hls`."""
    starts_s: tuple[float, ...]
    """Start of each input's clock."""
    streams: tuple[StreamLine, ...]
    picture: StreamLine | None
    """The stream that the picture is made of."""
    decoded: int
    """Frames of the picture that were decoded."""
    sound_ms: float | None
    """Clip time of the first decoded sample of the span."""
    ended: bool
    """An input was read to its end."""
    clock_jumps: bool
    """The container's clock may jump, and it went back or the reading stopped short of the end."""


def transcript(log: Sequence[Line]) -> Transcript:
    """Reads a log, whole or as far as it has come."""
    formats: list[str] = []
    starts: list[float] = []
    streams: list[StreamLine] = []
    chosen: list[tuple[int, int]] = []
    decoded: dict[tuple[int, int], int] = {}
    ended = disordered = False
    sound_ms = None
    inside = True  # of the part on inputs; outputs look alike
    for _, line in log:
        if match := _INPUT.match(line):
            formats.append(match[2])
            starts.append(0.0)
        elif line.startswith(("Output #", "Stream mapping:")):
            inside = False
        elif inside and starts and (match := _START.match(line)):
            starts[-1] = float(match[1])
        elif inside and starts and (match := _STREAM.match(line)):
            streams.append(_stream(match, starts[-1]))
        elif match := _MAPPED.match(line):
            chosen.append((int(match[1]), int(match[2])))
        elif match := _DECODED.search(line):
            decoded[int(match[1]), int(match[2])] = int(match[3])
        elif match := _SOUND.search(line):
            sound_ms = 1000 * float(match[1])
        ended |= line.endswith("EOF while reading input")
        disordered |= line.endswith("out of order")
    pictures = [s for s in streams if s.kind == "Video" and not s.cover]
    picture = next((s for s in pictures if (s.input, s.number) in chosen), None)
    count = decoded.get((picture.input, picture.number), 0) if picture else 0
    jumps = any(form in _JUMPY for form in formats) and (disordered or not ended)
    return Transcript(tuple(formats), tuple(starts), tuple(streams), picture, count, sound_ms, ended, jumps)


def _stream(match: re.Match[str], clock_start_s: float) -> StreamLine:
    text = match[4]
    start = _OWN_START.search(text)
    fps = _FPS.search(text)
    return StreamLine(
        int(match[1]),
        int(match[2]),
        match[3],
        # ffmpeg leaves out a start that equals 0 only, never one that equals the input's.
        float(start[1]) if start else 0.0,
        float(fps[1]) * (1000 if fps[2] else 1) if fps else None,
        "(attached pic)" in text,
        text,
    )


class Frames(NamedTuple):
    """What `-stats_enc_pre` wrote for one stream."""

    shown: int = 0
    source_ms: tuple[float, ...] = ()
    """Source time, on ffmpeg's clock after its seek, of the first frames (at most two); nan where the
    container has no time stamps."""
    clip_ms: tuple[float, ...] = ()
    """Clip time of the same frames."""
    last_ms: float = 0.0
    """Clip time of the last frame."""
    decoded_before: int = 0
    """Frames of the input that came before the first of these."""


def frames_of(stats: Path) -> Frames:
    """The per-frame statistics of one stream, written with `FRAME_FORMAT`."""
    rows = [line.split() for line in stats.read_text().splitlines()] if stats.exists() else []
    if not rows:
        return Frames()
    return Frames(
        len(rows),
        tuple(_ms(row[4], row[5]) for row in rows[:2]),
        tuple(_ms(row[2], row[3]) for row in rows[:2]),
        _ms(rows[-1][2], rows[-1][3]),
        int(rows[0][1]),
    )


def _ms(count: str, base: str) -> float:
    if count == _NO_STAMP or base == "0/1":
        return math.nan
    return float(int(count) * Fraction(base) * 1000)
