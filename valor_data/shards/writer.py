"""Shards, written: the same samples give the same bytes, and a writer that is killed leaves no shard."""

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from valor_data import layout
from valor_data.errors import FatalError
from valor_data.shards import tar

_ZEROS = bytes(tar.BLOCK)


class ShardInfo(NamedTuple):
    """A finished shard."""

    sha256: str
    bytes: int
    samples: int


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
            if size > tar.LARGEST:
                raise FatalError(f"{self._out}: {name} has {size} bytes; a tar member holds {tar.LARGEST}")
            pieces += (tar.header(name.encode(), size), data, _ZEROS[: -size % tar.BLOCK])
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
        self._write([tar.END])
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
