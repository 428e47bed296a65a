"""Edit lists of an mp4 (ISO/IEC 14496-12 8.6.6), set in place."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_CONTAINERS = (b"moov", b"trak", b"mdia", b"edts")
_MOST_INDEX = 64 << 20
_EMPTY = -1


class _Box(NamedTuple):
    kind: bytes
    body: int
    end: int


def show_only(path: Path, later_s: float, length_s: float) -> None:
    """Show of every track what comes from `later_s` after its present beginning on, for `length_s` at most.

    The file has its index first, and one edit a track (behind an empty one where the track begins late).
    """
    with path.open("r+b") as file:
        data = bytearray(file.read(_MOST_INDEX))
        movie_scale = 1
        for box in _walk(data, 0, len(data)):
            wide = data[box.body] == 1
            scale_at = box.body + (20 if wide else 12)
            if box.kind == b"mvhd":
                movie_scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
                _shorten(data, scale_at + 4, wide, round(length_s * movie_scale))
            elif box.kind == b"tkhd":
                _shorten(data, scale_at + 8, wide, round(length_s * movie_scale))
            elif box.kind == b"elst":
                edit = box
            elif box.kind == b"mdhd":  # behind its track's edits
                track_scale = int.from_bytes(data[scale_at : scale_at + 4], "big")
                _set(data, edit, later_s, length_s, movie_scale, track_scale)
            elif box.kind == b"moov":
                whole = box
        file.seek(0)
        file.write(data[: whole.end])


def _set(
    data: bytearray, edit: _Box, later_s: float, length_s: float, movie_scale: int, track_scale: int
) -> None:
    form = ">Qq" if data[edit.body] == 1 else ">Ii"
    step = struct.calcsize(form) + 4
    (count,) = struct.unpack_from(">I", data, edit.body + 4)
    begun, length = 0, round(length_s * movie_scale)
    for number in range(count):
        at = edit.body + 8 + step * number
        duration, media_time = struct.unpack_from(form, data, at)
        if media_time == _EMPTY:
            begun = max(0, duration - round(later_s * movie_scale))
            struct.pack_into(form, data, at, begun, _EMPTY)
        else:
            shifted = media_time + round(later_s * track_scale)
            struct.pack_into(form, data, at, min(duration, length - begun), max(0, shifted))


def _shorten(data: bytearray, at: int, wide: bool, length: int) -> None:
    form = ">Q" if wide else ">I"
    struct.pack_into(form, data, at, min(length, struct.unpack_from(form, data, at)[0]))


def _walk(data: bytearray, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            size, body = struct.unpack_from(">Q", data, body)[0], start + 16
        box = _Box(kind, body, start + size)
        yield box
        if kind in _CONTAINERS:
            yield from _walk(data, body, box.end)
        if size < 8:
            return
        start += size
