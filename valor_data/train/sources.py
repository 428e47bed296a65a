"""What a config's source names, opened: a release, a folder of tars, or tars by a pattern."""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from valor_data import layout
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.shards import ReleaseReader, Sample, TarReader, manifest_of, revoked_of
from valor_data.store import Store
from valor_data.train.config import SEVERAL, Source

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Reader(Protocol):
    """Clips by number."""

    @property
    def manifest(self) -> Manifest | None:
        """What the release says of itself; None of plain tars."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...

    def close(self) -> None:
        """Let go of the files that are open; the next read opens them again."""


def open_source(source: Source) -> Reader:
    """The clips of a source.

    A release is read by its index; without one (an older version), and for plain tars, the headers of the
    tars are walked now. A folder without a manifest gives the tars of its folder `<split>`, else its own.
    Raises UserError where nothing lies there, or several releases do.
    """
    if source.is_pattern:
        return TarReader([_parted(address) for address in expand(source.release)])
    store = Store.open(source.release)
    if not store.exists(layout.MANIFEST):
        found = _tars(store, source)
        return TarReader([(store, key) for key in found])
    said = manifest_of(store)
    if any(entry.path == layout.INDEX for entry in said.files):
        return ReleaseReader(store, source.split)
    places = [(store, shard.path) for shard in said.shards if shard.split == source.split]
    return TarReader(places, manifest=said, revoked=revoked_of(store, said))


def expand(pattern: str) -> list[str]:
    """The addresses of a pattern: `{00..12}` counts, `{a,b}` lists, `::` joins, as in webdataset."""
    return [address for part in pattern.split(SEVERAL) for address in _spelled(part)]


def _spelled(pattern: str) -> Iterable[str]:
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    counted = _RANGE.fullmatch(braces[1])
    words: Iterable[str] = braces[1].split(",")
    if counted:
        first, last = counted[1], counted[2]
        words = (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
    before, after = pattern[: braces.start()], pattern[braces.end() :]
    return [before + word + rest for word in words for rest in _spelled(after)]


def _parted(address: str) -> tuple[Store, str]:
    folder, _, name = address.rpartition("/")
    return Store.open(folder or "/"), name


def _tars(store: Store, source: Source) -> list[str]:
    keys = list(store.list(""))
    within = [key for key in keys if key.rpartition("/")[2] == layout.MANIFEST]
    if within:
        one = store.path(within[0]).rpartition("/")[0]
        told = f"{store.root}: a folder of releases, and no release"
        raise UserError(f"{told}; name one of them, such as {one}")
    found = _directly(keys, f"{source.split}/") or _directly(keys, "")
    if not found:
        raise UserError(
            f"{store.root}: no release there; give the folder or URL that holds {layout.MANIFEST}, or tar "
            "shards, such as shards/{00..09}.tar"
        )
    return found


def _directly(keys: Iterable[str], folder: str) -> list[str]:
    """The tars of a folder, none of those below it."""
    within = (key for key in keys if key.startswith(folder) and "/" not in key.removeprefix(folder))
    return [key for key in within if key.endswith(".tar")]
