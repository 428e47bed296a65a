"""A shard of ours walked and hashed in one pass that assembles only the members asked for.

It knows nothing but the exact form that `writer` gives. Whatever else it meets is "not plain": then
`read_samples` says what is wrong.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from valor_data.shards import tar
from valor_data.shards.reader import Readable

_CHUNK = 1 << 20
_OCTAL = b"01234567"


class Walked(NamedTuple):
    """A shard, read to its end."""

    sha256: str
    bytes: int
    samples: list["Outline"] | None
    """None: not plain."""


class Outline(NamedTuple):
    """A sample: how long its members are, and the content of those asked for."""

    key: str
    lengths: dict[str, int]
    members: dict[str, bytes]


def walk(file: Readable, wanted: Callable[[str, str], bool]) -> Walked:
    """Read a whole stream; `wanted(key, suffix)` says which members to keep. What is kept is in memory at
    once."""
    stream = _Stream(file)
    samples = _samples(stream, wanted)
    stream.drain()
    return Walked(stream.sha256.hexdigest(), stream.bytes, samples)


def _samples(stream: "_Stream", wanted: Callable[[str, str], bool]) -> list[Outline] | None:
    samples: list[Outline] = []
    keys: set[str] = set()
    while True:
        head = stream.take(tar.BLOCK)
        name, size = head[:100].rstrip(b"\0"), head[124:135]
        if not name:
            return samples if head + stream.take(2 * tar.BLOCK) == tar.END else None
        if size.strip(_OCTAL) or not size or tar.header(name, int(size, 8)) != head:
            return None
        key, dot, suffix = name.decode("ascii", "replace").partition(".")
        if not dot or "/" in key or "." in suffix:
            return None
        if not samples or samples[-1].key != key:
            if key in keys:
                return None
            keys.add(key)
            samples.append(Outline(key, {}, {}))
        sample, length = samples[-1], int(size, 8)
        if suffix in sample.lengths:
            return None
        sample.lengths[suffix] = length
        padded = tar.padded(length)
        if wanted(key, suffix):
            data = stream.take(padded)
            if len(data) < padded or any(data[length:]):
                return None
            sample.members[suffix] = data[:length]
        elif not stream.skip(padded):
            return None


class _Stream:
    """A stream that hashes what passes, chunk by chunk, whoever takes it."""

    def __init__(self, file: Readable) -> None:
        self._chunks = self._read(file)
        self._chunk, self._at = b"", 0
        self.sha256, self.bytes = hashlib.sha256(), 0

    def _read(self, file: Readable) -> Iterator[bytes]:
        while chunk := file.read(_CHUNK):
            self.sha256.update(chunk)
            self.bytes += len(chunk)
            yield chunk

    def take(self, count: int) -> bytes:
        """The next bytes; fewer at the end."""
        piece = self._chunk[self._at : self._at + count]
        self._at += len(piece)
        pieces = [piece]
        count -= len(piece)
        while count and self._next():
            piece = self._chunk[:count]
            self._at = len(piece)
            pieces.append(piece)
            count -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, count: int) -> bool:
        """Pass bytes over; whether there were as many."""
        while True:
            left = len(self._chunk) - self._at
            if count <= left:
                self._at += count
                return True
            count -= left
            if not self._next():
                return False

    def drain(self) -> None:
        """Read what is left."""
        while self._next():
            pass

    def _next(self) -> bool:
        self._chunk, self._at = next(self._chunks, b""), 0
        return bool(self._chunk)
