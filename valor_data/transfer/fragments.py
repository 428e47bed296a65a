"""Fragmented files: where each fragment lies and when it begins, from the index or from the fragments.

ISO/IEC 14496-12 8.16.3 (segment index box), 8.8.12 (track fragment decode time); Matroska clusters.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from valor_data.transfer.body import Readable

_MOST_HEAD = 8 << 20
_FTYP, _EBML = b"ftyp", b"\x1aE\xdf\xa3"
_CONTAINERS = (b"moov", b"trak", b"mdia", b"moof", b"traf")


class Fragment(NamedTuple):
    """One fragment of a file."""

    offset: int
    length: int
    start_us: int
    """When its first frame is shown, on the clock of the file."""


class Index(NamedTuple):
    """A fragmented file of one track."""

    head_length: int
    """Bytes before the index: what a decoder needs first."""
    fragments: tuple[Fragment, ...]


class _Box(NamedTuple):
    kind: bytes
    start: int
    body: int
    """Offset of its content."""
    end: int


def index_of(file: Readable) -> Index | None:
    """The index of a fragmented mp4 of one track; None where the file is another, or has no index."""
    if file.read(4, 4) != _FTYP:
        return None
    tracks, first = 0, None
    for box in _boxes(file, 0, min(file.size, _MOST_HEAD)):
        if box.kind == b"moov":
            if not any(inner.kind == b"mvex" for inner in _boxes(file, box.body, box.end)):
                return None
            tracks = sum(inner.kind == b"trak" for inner in _boxes(file, box.body, box.end))
        elif box.kind == b"sidx":
            first = first or box
            break
        elif box.kind in (b"mdat", b"moof"):
            break
    if not first or tracks != 1:
        return None
    fragments = tuple(_references(file, first, 0))
    return Index(first.start, fragments) if len(fragments) > 1 else None


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


def timescale_of(head: Readable) -> int | None:
    """Ticks a second of the one track in an initialisation segment."""
    for box in _walk(head, 0, head.size):
        if box.kind == b"mdhd":
            data = head.read(box.body, 32)
            return int(struct.unpack_from(">I", data, 20 if data[0] else 12)[0])
    return None


def start_us_of(fragment: Readable, timescale: int | None) -> int | None:
    """When a fragment begins by its own word; None where it does not say."""
    if fragment.read(0, 4) == _EBML or fragment.read(0, 4) == b"\x1fC\xb6u":
        return _cluster_us(fragment.read(0, 4096))
    if not timescale:
        return None
    for box in _walk(fragment, 0, min(fragment.size, _MOST_HEAD)):
        if box.kind == b"tfdt":
            data = fragment.read(box.body, 12)
            ticks = struct.unpack_from(">Q" if data[0] else ">I", data, 4)[0]
            return int(ticks * 1_000_000 // timescale)
        if box.kind == b"mdat":
            break
    return None


def _cluster_us(data: bytes) -> int | None:
    """The time of the first cluster, in the usual ticks of a millisecond."""
    cluster = data.find(b"\x1fC\xb6u")
    at = data.find(b"\xe7", cluster + 4) if cluster >= 0 else -1
    if at < 0 or at + 1 >= len(data) or not 0x81 <= data[at + 1] <= 0x88:
        return None
    size = data[at + 1] - 0x80
    return int.from_bytes(data[at + 2 : at + 2 + size], "big") * 1000


def covering(starts_us: Sequence[int], start_us: int, end_us: int, spare: int = 0) -> range:
    """Numbers of the fragments that hold [start_us, end_us); `spare` more of them ahead."""
    first = max(0, sum(start <= start_us for start in starts_us) - 1 - spare)
    last = max(first + 1, sum(start < end_us for start in starts_us))
    return range(first, last)


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
