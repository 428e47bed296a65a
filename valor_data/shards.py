"""The door to WebDataset shards: plain tar files in which the files of one base name are one sample.

A shard is USTAR without extensions: a 512-byte header per member, data padded to 512, two zero
blocks at the end. Owner, mode and time are constants, so the same samples give the same bytes.
Writing needs nothing but the headers; reading goes through webdataset, then checks what it passes
over in silence: a cut tail, a broken header, a key that comes back.
"""

import errno
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from valor_data import layout
from valor_data.errors import FatalError

_BLOCK = 512
_RECORD = 20 * _BLOCK  # other writers pad a tar to this
_END = bytes(2 * _BLOCK)
EMPTY_BYTES = len(_END)
"""Bytes of a shard without samples."""
_LARGEST = 8**11 - 1  # USTAR's size field has eleven octal digits: 8 GiB
_ZEROS = bytes(_BLOCK)


class ShardInfo(NamedTuple):
    """A finished shard."""

    sha256: str
    bytes: int
    samples: int


class Sample(NamedTuple):
    """One clip in a shard: suffix (`mp4`, `json`, `txt`) -> content."""

    key: str
    members: dict[str, bytes]


class Readable(Protocol):
    """What `read_samples` reads from: any binary stream."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""


def sample_bytes(lengths: Iterable[int]) -> int:
    """Bytes that a sample with members of these lengths takes in a shard."""
    return sum(_BLOCK + length + -length % _BLOCK for length in lengths)


def _template() -> bytes:
    header = bytearray(_BLOCK)
    header[100:108] = b"0000644\0"  # mode
    header[108:124] = b"0000000\0" * 2  # uid, gid
    header[136:148] = b"00000000000\0"  # mtime
    header[148:156] = b" " * 8  # the checksum counts its own field as spaces
    header[156:157] = b"0"  # a regular file
    header[257:265] = b"ustar\00000"  # magic and version; all else stays empty
    return bytes(header)


_TEMPLATE = _template()
_TEMPLATE_SUM = sum(_TEMPLATE)


def _header(name: bytes, size: int) -> bytes:
    digits = b"%011o" % size
    checksum = b"%06o\0 " % (_TEMPLATE_SUM + sum(name) + sum(digits))
    return b"".join(
        (name.ljust(100, b"\0"), _TEMPLATE[100:124], digits, _TEMPLATE[135:148], checksum, _TEMPLATE[156:])
    )


class ShardWriter:
    """Writes one shard under a temporary name and gives it its own when the `with` block ends well.

    `info` stands after that. A block that raises leaves no file. Refusals (a key that is no
    clip_id or comes twice, a sample without members, a member over 8 GiB) are FatalErrors.
    """

    info: ShardInfo

    def __init__(self, out: Path) -> None:
        self._out = out
        self._temporary = out.with_name(layout.temporary_name())
        self._keys: set[str] = set()
        self._bytes = 0
        self._sha256 = hashlib.sha256()

    def __enter__(self) -> Self:
        with self._telling():
            self._fd = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            os.close(self._fd)
            self._temporary.unlink(missing_ok=True)

    def add(self, key: str, members: Sequence[tuple[str, bytes]]) -> None:
        """Append one sample: (suffix, content) in the order in which they shall stand."""
        try:
            layout.parse_clip_id(key)
        except ValueError as error:
            raise FatalError(f"{self._out}: bad key: {error}") from None
        if key in self._keys:
            raise FatalError(f"{self._out}: key {key} comes twice")
        if len({suffix for suffix, _ in members}) < max(1, len(members)):
            raise FatalError(f"{self._out}: sample {key} needs members, each suffix once")
        pieces: list[bytes] = []
        for name, (_, data) in zip(layout.member_names(key, [s for s, _ in members]), members, strict=True):
            size = len(data)
            if size > _LARGEST:
                raise FatalError(f"{self._out}: {name} has {size} bytes; a tar member holds {_LARGEST}")
            pieces += (_header(name.encode(), size), data, _ZEROS[: -size % _BLOCK])
        self._write(pieces)
        self._keys.add(key)

    def _write(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._sha256.update(piece)
        left = sum(map(len, pieces))
        self._bytes += left
        with self._telling():
            while left:
                written = os.writev(self._fd, pieces)
                left -= written
                if left:  # a signal, or more than Linux's 2 GiB a call
                    pieces = _after(pieces, written)

    def _finish(self) -> None:
        self._write([_END])
        with self._telling():
            os.fsync(self._fd)
            self._temporary.replace(self._out)
        self.info = ShardInfo(self._sha256.hexdigest(), self._bytes, len(self._keys))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            mend = "the disk is full; free some space" if full else f"{error.strerror}; mend it"
            raise FatalError(f"{self._out}: {mend} and run the command again") from error


def _after(pieces: list[bytes], count: int) -> list[Any]:
    """What is left of the pieces once `count` bytes are written."""
    rest: list[Any] = []
    for piece in pieces:
        if count < len(piece):
            rest.append(memoryview(piece)[count:])
        count = max(0, count - len(piece))
    return rest


def read_samples(file: Readable, name: str, needs: Collection[str] = ()) -> Iterator[Sample]:
    """Every sample of a shard, in order, in memory one at a time; reads the stream to its end.

    Raises FatalError that begins with `name` for whatever is no whole plain shard: broken or cut
    tar, a key that comes back, a sample without a member that `needs` names.
    """
    stream = _Tail(file)
    # Here, for it imports torch where that is installed, which takes a second.
    from webdataset import tariterators

    members = _Members(tariterators.tar_file_expander([{"url": name, "stream": stream}]))
    keys: set[str] = set()
    samples = tariterators.group_by_keys(members)
    checked = False
    while True:
        try:
            raw = next(samples, None)
        except (FatalError, MemoryError):
            raise
        except Exception as error:  # tarfile and webdataset raise whatever the broken bytes lead to
            words = str(error.args[0] if error.args else error).split(" @ ")[0]
            raise FatalError(f"{name}: not a readable tar: {words}") from None
        if members.ended and not checked:  # before its last sample: a broken tar ends with half a one
            checked = True
            fault = stream.fault_after(members.end)
            if fault:
                raise FatalError(f"{name}: {fault}")
        if raw is None:
            return
        key = raw["__key__"]
        sample = Sample(key, {suffix: data for suffix, data in raw.items() if not suffix.startswith("__")})
        if key in keys:
            raise FatalError(f"{name}: key {key} comes twice")
        keys.add(key)
        for suffix in needs:
            if suffix not in sample.members:
                raise FatalError(f"{name}: {key} has no .{suffix}")
        yield sample


class _Members:
    """Passes webdataset's members on and adds up where the next header must stand."""

    def __init__(self, members: Iterator[dict[str, Any]]) -> None:
        self._members = members
        self.end = 0
        self.ended = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for member in self._members:
            if member:
                self.end += sample_bytes([len(member["data"])])
            else:  # webdataset's mark after the last
                self.ended = True
            yield member


class _Tail:
    """A stream that remembers its last chunk, for tarfile reads ahead and stops without a word."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._chunk = b""
        self._start = 0

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0 and (piece := self._file.read(size)):
            pieces.append(piece)
            size -= len(piece)
        self._start += len(self._chunk)
        self._chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._chunk

    def fault_after(self, end: int) -> str | None:
        """What is wrong with the bytes after the last member, which ends at `end`."""
        rest = self._chunk[max(0, end - self._start) :]
        foreign = end < self._start or any(rest)
        length = len(rest)
        while chunk := self._file.read(1 << 20):
            length += len(chunk)
            foreign = foreign or chunk.count(0) < len(chunk)
        if foreign or length > _RECORD:
            return f"broken or foreign member at byte {end}"
        if length < len(_END):
            return f"cut short at byte {end + length}"
        return None
