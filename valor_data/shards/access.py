"""The bytes of shards by place: of files through maps of memory, of objects by ranges."""

import mmap
import os
from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import FatalError
from valor_data.shards import tar
from valor_data.shards.standing import Objects

_MOST_OPEN = 256


class Shard(NamedTuple):
    """Where a shard lies, and how long it is."""

    store: Objects
    key: str
    bytes: int

    @property
    def path(self) -> str:
        """As a person finds it."""
        return self.store.path(self.key)


class Shards:
    """Shards that are read here and there. May be used by a forked process; not by two threads at once."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = list(shards)
        self._process = os.getpid()
        self._open: OrderedDict[int, mmap.mmap] = OrderedDict()

    def __reduce__(self) -> tuple[type["Shards"], tuple[list[Shard]]]:
        return Shards, (self._shards,)

    def __getitem__(self, number: int) -> Shard:
        return self._shards[number]

    def __len__(self) -> int:
        return len(self._shards)

    def close(self) -> None:
        """Let go of the files that are open; the next read opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def member(self, number: int, offset: int, length: int) -> tuple[bytes, bytes]:
        """Header and content of the member whose content begins at an offset; fewer bytes where the shard
        ends before. Raises FatalError for one that is missing, or has another length than it had."""
        if self._shards[number].store.is_local:
            mapped = self._mapped(number)  # less than half the cost of reads
            return mapped[offset - tar.BLOCK : offset], mapped[offset : offset + length]
        both = self._fetched(number, offset - tar.BLOCK, tar.BLOCK + length)
        return both[: tar.BLOCK], both[tar.BLOCK :]

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Some bytes of a shard; fewer at its end. Raises FatalError as `member` does."""
        if self._shards[number].store.is_local:
            return self._mapped(number)[offset : offset + length]
        return self._fetched(number, offset, length)

    def _fetched(self, number: int, offset: int, length: int) -> bytes:
        if self._process != os.getpid():  # a client of an object store does not outlive a fork
            own: dict[int, Objects] = {}
            for place, each in enumerate(self._shards):
                store = own.setdefault(id(each.store), copy(each.store))
                self._shards[place] = each._replace(store=store)
            self._process = os.getpid()
        shard = self._shards[number]
        try:
            return shard.store.get_range(shard.key, offset, length)
        except FileNotFoundError:
            raise _missing(shard) from None

    def _mapped(self, number: int) -> mmap.mmap:
        mapped = self._open.get(number)
        if mapped is not None:
            self._open.move_to_end(number)
            return mapped
        shard = self._shards[number]
        try:
            with Path(shard.path).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size != shard.bytes:  # beyond its end lies a signal that kills
                    raise FatalError(
                        f"{shard.path}: {size} bytes, not {shard.bytes}: cut, or of another release"
                    )
                mapped = mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ)
        except FileNotFoundError:
            raise _missing(shard) from None
        self._open[number] = mapped
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return mapped


def _missing(shard: Shard) -> FatalError:
    return FatalError(f"{shard.path}: missing; fetch the release again")
