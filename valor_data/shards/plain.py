"""Tar shards of anybody, by number: their headers are walked once, and the index stands in memory.

The rules are webdataset's: members of one base name (up to the first dot) that follow one another are one
sample, the rest of the name, in small letters, is its suffix. Exact shuffling and going on in the middle then
work as with an index of ours, which a shuffling stream cannot give. USTAR, GNU and PAX tars are read.
(Python's tarfile ends without a word at a header that is broken in the middle: samples would be missing.)
"""

import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest
from valor_data.revocation import Revocations
from valor_data.shards import tar
from valor_data.shards.access import Shard, Shards
from valor_data.shards.reader import Sample
from valor_data.shards.standing import Objects

_AHEAD = 4 << 20
"""Bytes that a request to an object store takes: samples are smaller, so requests are few."""
_THREADS = 8
_REGULAR = (b"0", b"\0", b"7")
_PAX = re.compile(rb"\d+ (path|size)=([^\n]*)\n")

Read = Callable[[int, int], bytes]
"""Bytes of a shard by offset and length; fewer at its end."""


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    offset: int
    """Of its content."""
    bytes: int
    check: int
    """CRC-32 of its header, by which a reader sees that it is still the one."""


class _Found(NamedTuple):
    """Members of a sample of one shard."""

    key: str
    suffixes: tuple[str, ...]
    members: tuple[Member, ...]


class TarReader:
    """The samples of tar shards, by number, in the order of the shards.

    `manifest` and `revoked` are those of a release that has no index: whom its list names is passed over.
    Raises UserError for a shard that is not there, FatalError for one that is broken or holds a key twice.
    Pickles with its index; may be used by a forked process, not by two threads at once.
    """

    def __init__(
        self,
        places: Sequence[tuple[Objects, str]],
        *,
        manifest: Manifest | None = None,
        revoked: Revocations | None = None,
    ) -> None:
        self.manifest = manifest
        with ThreadPoolExecutor(_THREADS) as pool:
            remote = any(not store.is_local for store, _ in places)
            walked = list((pool.map if remote else map)(_walked, places))
        self._access = Shards([shard for shard, _ in walked])
        kinds: dict[tuple[str, ...], int] = {}
        self._keys: list[str] = []
        self._kinds, self._shard_of, self._first = array("H"), array("L"), array("Q", [0])
        self._offsets, self._bytes, self._checks = array("Q"), array("Q"), array("L")
        for number, (_, found) in enumerate(walked):
            for sample in found:
                if revoked is None or not revoked.holds(sample.key):
                    self._keys.append(sample.key)
                    self._kinds.append(kinds.setdefault(sample.suffixes, len(kinds)))
                    self._shard_of.append(number)
                    self._offsets.extend(member.offset for member in sample.members)
                    self._bytes.extend(member.bytes for member in sample.members)
                    self._checks.extend(member.check for member in sample.members)
                    self._first.append(len(self._offsets))
        self._suffixes = list(kinds)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: int) -> Sample:
        return Sample(self._keys[number], _Members(self, number))

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def close(self) -> None:
        """Let go of the shards that are open."""
        self._access.close()

    def suffixes(self, number: int) -> tuple[str, ...]:
        """Of the members of a sample."""
        return self._suffixes[self._kinds[number]]

    def member(self, number: int, suffix: str) -> bytes:
        """The content of a member of a sample. Raises KeyError where it has none, FatalError where the shard
        is no longer what it was when its headers were walked."""
        suffixes = self.suffixes(number)
        if suffix not in suffixes:
            raise KeyError(suffix)
        place = self._first[number] + suffixes.index(suffix)
        offset, length, shard = self._offsets[place], self._bytes[place], self._shard_of[number]
        header, data = self._access.member(shard, offset, length)
        if zlib.crc32(header) != self._checks[place] or len(data) < length:
            raise FatalError(f"{self._access[shard].path}: changed while it was in use; start again")
        return data


class _Members(Mapping[str, bytes]):
    """The members of a sample, each read when it is asked for."""

    __slots__ = ("_number", "_reader")

    def __init__(self, reader: TarReader, number: int) -> None:
        self._reader, self._number = reader, number

    def __getitem__(self, suffix: str) -> bytes:
        return self._reader.member(self._number, suffix)

    def __contains__(self, suffix: object) -> bool:
        return suffix in self._reader.suffixes(self._number)

    def __iter__(self) -> Iterator[str]:
        return iter(self._reader.suffixes(self._number))

    def __len__(self) -> int:
        return len(self._reader.suffixes(self._number))


def _walked(place: tuple[Objects, str]) -> tuple[Shard, list[_Found]]:
    store, key = place
    name = store.path(key)
    try:
        shard = Shard(store, key, store.size(key))
    except FileNotFoundError:
        raise UserError(f"{name}: no such shard") from None
    if shard.bytes < tar.EMPTY_BYTES:
        raise FatalError(f"{name}: cut short at byte {shard.bytes}")
    shards = Shards([shard])
    try:
        read: Read = (lambda at, length: shards.read(0, at, length)) if store.is_local else _ahead(shards)
        return shard, list(_samples(members(read, shard.bytes, name), name))
    finally:
        shards.close()


def _ahead(shards: Shards) -> Read:
    """Reads large pieces and serves small ones from them; what lies far ahead is skipped."""
    start, piece = 0, b""

    def read(at: int, length: int) -> bytes:
        nonlocal start, piece
        if not start <= at <= at + length <= start + len(piece):
            start, piece = at, shards.read(0, at, max(length, min(_AHEAD, shards[0].bytes - at)))
        return piece[at - start : at - start + length]

    return read


def members(read: Read, size: int, name: str) -> Iterator[Member]:
    """The files of a tar of `size` bytes. Raises FatalError, beginning with `name`, for a broken one."""
    at, said = 0, dict[str, bytes]()
    while any(header := read(at, tar.BLOCK)):
        length = _number(header[124:136])
        if "size" in said:
            length = _number(said["size"], 10)
        if length is None or len(header) < tar.BLOCK or not _sums_up(header):
            raise FatalError(f"{name}: broken or foreign member at byte {at}")
        start, kind = at + tar.BLOCK, header[156:157]
        at = start + tar.padded(length)
        if at > size:
            raise FatalError(f"{name}: cut short at byte {size}")
        if kind == b"L":  # GNU: the next member's long name
            said["path"] = read(start, length).rstrip(b"\0")
        elif kind == b"x":  # PAX: what the next member's header has no room for
            said |= {match[1].decode(): match[2] for match in _PAX.finditer(read(start, length))}
        elif kind not in (b"g", b"K"):
            if kind in _REGULAR:
                path = said.get("path") or _path(header)
                yield Member(path.decode("utf-8", "replace"), start, length, zlib.crc32(header))
            said = {}
    if len(header) < tar.BLOCK:
        raise FatalError(f"{name}: cut short at byte {size}")


def _samples(found: Iterator[Member], name: str) -> Iterator[_Found]:
    seen: set[str] = set()
    key, suffixes, each = "", list[str](), list[Member]()
    for member in found:
        folder, slash, file = member.name.rpartition("/")
        stem, dot, suffix = file.partition(".")
        if not (stem and dot):
            continue
        if folder + slash + stem != key:
            if each:
                yield _Found(key, tuple(suffixes), tuple(each))
            key, suffixes, each = folder + slash + stem, [], []
            if key in seen:
                raise FatalError(f"{name}: key {key} comes twice")
            seen.add(key)
        if suffix.lower() in suffixes:
            raise FatalError(f"{name}: {member.name} comes twice")
        suffixes.append(suffix.lower())
        each.append(member)
    if each:
        yield _Found(key, tuple(suffixes), tuple(each))


def _number(field: bytes, base: int = 8) -> int | None:
    """A field of a header: digits, or (GNU, from 8 GiB on) a number of 95 bits."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", base)
    except ValueError:
        return None


def _sums_up(header: bytes) -> bool:
    wanted = _number(header[148:156])
    return wanted == sum(header[:148]) + 8 * ord(" ") + sum(header[156:])


def _path(header: bytes) -> bytes:
    name, prefix = (header[a:b].split(b"\0", 1)[0] for a, b in ((0, 100), (345, 500)))
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name
