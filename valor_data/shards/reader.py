"""Shards, read from their first byte to their last; through webdataset, whose silence is then checked."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from valor_data.errors import FatalError
from valor_data.shards import tar


class Sample(NamedTuple):
    """One clip in a shard: suffix (`mp4`, `json`, `txt`) -> content."""

    key: str
    members: Mapping[str, bytes]


class Readable(Protocol):
    """What `read_samples` reads from: any binary stream."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""


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
                self.end += tar.sample_bytes([len(member["data"])])
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
        if foreign or length > tar.RECORD:
            return f"broken or foreign member at byte {end}"
        if length < tar.EMPTY_BYTES:
            return f"cut short at byte {end + length}"
        return None
