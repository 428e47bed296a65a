"""Fragmented files: where each fragment lies and when it begins, from the index and by its own word.

ISO/IEC 14496-12 8.16.3 (segment index), 8.8.7, 8.8.8, 8.8.12 (track fragment); Matroska clusters.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from valor_data.transfer.body import Readable
from valor_data.transfer.clock import Clock

_MOST_HEAD = 8 << 20
_FTYP, _EBML, _CLUSTER = b"ftyp", b"\x1aE\xdf\xa3", b"\x1fC\xb6u"
_CONTAINERS = (b"moov", b"trak", b"mdia", b"mvex")
_KEEPS_SYNC = 0x10000
"""A sample with this flag is no keyframe."""


class Fragment(NamedTuple):
    """One fragment of a file."""

    offset: int
    length: int
    start_us: int
    """When its first frame is shown by the index, on the clock of the file."""


class Track(NamedTuple):
    """A track of a fragmented file."""

    number: int
    kind: str
    """`vide` or `soun`."""
    timescale: int
    """Ticks a second."""
    flags: int
    """Of a sample that has none of its own."""


class Index(NamedTuple):
    """A fragmented file with an index."""

    head_length: int
    """Bytes before the index: what a decoder needs first."""
    tracks: tuple[Track, ...]
    fragments: tuple[Fragment, ...]


class _Box(NamedTuple):
    kind: bytes
    start: int
    body: int
    """Offset of its content."""
    end: int


def index_of(file: Readable) -> Index | None:
    """The index of a fragmented mp4; None where the file is another, or has none."""
    if file.read(4, 4) != _FTYP:
        return None
    indexes: list[_Box] = []
    tracks: tuple[Track, ...] = ()
    for box in _boxes(file, 0, min(file.size, _MOST_HEAD)):
        if box.kind == b"moov":
            tracks = tracks_of(file, box.end)
        elif box.kind == b"sidx":
            indexes.append(box)
        elif box.kind in (b"mdat", b"moof"):
            break
    if not indexes or not tracks:
        return None
    # Each track may have an index of its own; the picture's says where a decoder can begin.
    leading = {track.number for track in tracks if track.kind == "vide"} or {tracks[0].number}
    chosen = next((box for box in indexes if _number(file, box.body + 4) in leading), indexes[0])
    fragments = tuple(_references(file, chosen, 0))
    return Index(indexes[0].start, tracks, fragments) if len(fragments) > 1 else None


def _references(file: Readable, box: _Box, depth: int) -> Iterator[Fragment]:
    """What a segment index names; an index of indexes is followed."""
    data = file.read(box.body, box.end - box.body)
    version, timescale = data[0], struct.unpack_from(">I", data, 8)[0]
    if version == 0:
        (time, first), at = struct.unpack_from(">II", data, 12), 20
    else:
        (time, first), at = struct.unpack_from(">QQ", data, 12), 28
    (count,) = struct.unpack_from(">H", data, at + 2)
    offset = box.end + first
    for number in range(count):
        kind_size, duration, _ = struct.unpack_from(">III", data, at + 4 + 12 * number)
        size = kind_size & 0x7FFFFFFF
        if kind_size >> 31 and depth < 4:
            inner = next((b for b in _boxes(file, offset, offset + size) if b.kind == b"sidx"), None)
            if inner:
                yield from _references(file, inner, depth + 1)
        elif not kind_size >> 31:
            yield Fragment(offset, size, time * 1_000_000 // timescale)
        offset, time = offset + size, time + duration


def tracks_of(head: Readable, end: int) -> tuple[Track, ...]:
    """Picture and sound in what a decoder needs first; empty where the file is not fragmented."""
    kinds: list[list[int | str]] = []
    flags: dict[int, int] = {}
    for box in _walk(head, 0, end):
        if box.kind == b"tkhd":
            kinds.append([_number(head, box.body + (20 if head.read(box.body, 1) == b"\1" else 12)), "", 0])
        elif box.kind == b"mdhd" and kinds:
            kinds[-1][2] = _number(head, box.body + (20 if head.read(box.body, 1) == b"\1" else 12))
        elif box.kind == b"hdlr" and kinds:
            kinds[-1][1] = kinds[-1][1] or head.read(box.body + 8, 4).decode("latin-1")
        elif box.kind == b"trex":
            flags[_number(head, box.body + 4)] = _number(head, box.body + 20)
    tracks = (Track(int(n), str(kind), int(scale), flags.get(int(n), -1)) for n, kind, scale in kinds)
    return tuple(t for t in tracks if t.kind in ("vide", "soun") and t.timescale and t.flags >= 0)


def clock_of(fragment: Readable, tracks: Sequence[Track]) -> Clock | None:
    """When a fragment begins by its own word; None where it does not say."""
    first = fragment.read(0, 4)
    if first in (_EBML, _CLUSTER):
        us = _cluster_us(fragment.read(0, 4096))
        return None if us is None else Clock(us, None)
    for box in _boxes(fragment, 0, min(fragment.size, _MOST_HEAD)):
        if box.kind == b"moof":
            starts = [_run(fragment, traf, tracks) for traf in _boxes(fragment, box.body, box.end)
                      if traf.kind == b"traf"]  # fmt: skip
            known = {start[0].kind: start[1:] for start in starts if start}
            picture, sound = known.get("vide"), known.get("soun")
            if picture or sound:
                return Clock(picture and picture[0], sound and sound[0], picture is None or picture[1])
        elif box.kind == b"mdat":
            break
    return None


def _run(file: Readable, traf: _Box, tracks: Sequence[Track]) -> tuple[Track, int, bool] | None:
    """(track, when its first sample is shown, whether that is a keyframe) of a track fragment."""
    track, ticks, flags = None, None, 0
    for box in _boxes(file, traf.body, traf.end):
        told = _number(file, box.body) & 0xFFFFFF
        if box.kind == b"tfhd":
            number = _number(file, box.body + 4)
            track = next((one for one in tracks if one.number == number), None)
            flags = track.flags if track else 0
            if told & 0x20:
                skipped = sum(size for bit, size in ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)) if told & bit)
                flags = _number(file, box.body + 8 + skipped)
        elif box.kind == b"tfdt":
            wide = file.read(box.body, 1) == b"\1"
            ticks = int.from_bytes(file.read(box.body + 4, 8 if wide else 4), "big")
        elif box.kind == b"trun" and track and ticks is not None:
            at = box.body + 8 + (4 if told & 0x1 else 0)
            if told & 0x4:
                flags, at = _number(file, at), at + 4
            at += sum(4 for bit in (0x100, 0x200) if told & bit)
            if told & 0x400:
                flags, at = flags if told & 0x4 else _number(file, at), at + 4
            offset = struct.unpack(">i", file.read(at, 4))[0] if told & 0x800 else 0
            us = (ticks + offset) * 1_000_000 // track.timescale
            return track, us, not flags & _KEEPS_SYNC
    return None


def _cluster_us(data: bytes) -> int | None:
    """The time of the first cluster, in the usual ticks of a millisecond."""
    cluster = data.find(b"\x1fC\xb6u")
    at = data.find(b"\xe7", cluster + 4) if cluster >= 0 else -1
    if at < 0 or at + 1 >= len(data) or not 0x81 <= data[at + 1] <= 0x88:
        return None
    size = data[at + 1] - 0x80
    return int.from_bytes(data[at + 2 : at + 2 + size], "big") * 1000


def _number(file: Readable, at: int) -> int:
    return int.from_bytes(file.read(at, 4), "big")


def _walk(file: Readable, start: int, end: int) -> Iterator[_Box]:
    for box in _boxes(file, start, end):
        yield box
        if box.kind in _CONTAINERS:
            yield from _walk(file, box.body, box.end)


def _boxes(file: Readable, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        head = file.read(start, 16)
        if len(head) < 8:
            return
        size, kind, body = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1 and len(head) == 16:
            size, body = int.from_bytes(head[8:], "big"), start + 16
        elif size == 0:
            size = file.size - start
        if size < body - start:
            return
        yield _Box(kind, start, body, start + size)
        start += size
