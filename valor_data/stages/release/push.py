"""`release push`: a release copied to another place, file by file, each read back before it counts."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from tqdm import tqdm

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.manifest import FileEntry, Manifest
from valor_data.shards import manifest_of
from valor_data.store import Store

_NOTES = ".pushed/"
"""Where the target remembers which files were read back; gone when the release is whole."""
_GROWING = (layout.REVOKED, layout.SUPERSEDED)
"""What a takedown adds to a release that stands: brought up to date by every push."""
_CHUNK = 1 << 20


class Pushed(NamedTuple):
    """A release that stands at its target."""

    url: str
    counts: dict[str, int]
    """`files` and `bytes` of the release; `copied` and `skipped` files of this run."""


def push(release: str, url: str, progress: bool = True) -> Pushed:
    """Copy a release, a folder or URL, to a folder or fsspec URL that will be the release's own.

    Shards and papers first, the manifest last. A file counts when its bytes, read back, have the manifest's
    sha256; a note beside it says so, and a push that was killed goes on after the last one. Raises UserError
    where something else stands at the target, or the target in the release; FatalError where bytes differ.
    """
    source, target = Store.open(release), Store.open(url)
    if source.root == target.root:
        raise UserError(f"{url}: the release lies there already; name another place")
    if target.root.startswith(f"{source.root}/"):  # its files would be strangers to the release around them
        raise UserError(f"{url}: lies inside the release; name another place")
    said = manifest_of(source)
    entries = [*said.shards, *said.files]
    standing = _standing(target, said, entries)
    copied = 0
    with tqdm(
        total=sum(entry.bytes for entry in entries),
        desc="push",
        unit="B",
        unit_scale=True,
        disable=None if progress else True,
    ) as bar:
        for entry in entries:
            if entry.path not in standing:
                _copy(source, target, entry, bar)
                copied += 1
            else:
                bar.update(entry.bytes)
    for path in _GROWING:
        if source.exists(path):
            target.put_bytes(path, source.get_bytes(path))
    target.put_bytes(layout.MANIFEST, source.get_bytes(layout.MANIFEST))
    target.delete(list(target.list(_NOTES)))
    counts = {
        "files": len(entries) + 1,
        "bytes": sum(entry.bytes for entry in entries),
        "copied": copied,
        "skipped": len(entries) - copied,
    }
    return Pushed(target.root, counts)


def _standing(target: Store, said: Manifest, entries: list[FileEntry]) -> set[str]:
    """Paths of the files that an earlier push brought whole. Raises UserError where others stand there."""
    found = set(target.list(""))
    if layout.MANIFEST in found:
        there = manifest_of(target)
        if there != said:
            raise UserError(
                f"{target.root} holds another release, {there.name} {there.version} "
                f"({there.content_sha256[:12]}); name an empty place"
            )
    expected = {entry.path for entry in entries} | {layout.MANIFEST, *_GROWING}
    foreign = sorted(path for path in found - expected if not path.startswith(_NOTES))
    if foreign:
        raise UserError(
            f"{target.root} holds files of something else, such as {foreign[0]}; name an empty place"
        )
    return {
        entry.path
        for entry in entries
        if entry.path in found
        and (layout.MANIFEST in found or _note(entry) in found)
        and target.size(entry.path) == entry.bytes
    }


def _note(entry: FileEntry) -> str:
    """Names path and content, so that it vouches for nothing else."""
    return f"{_NOTES}{layout.digest([entry.path, entry.sha256])}"


def _copy(source: Store, target: Store, entry: FileEntry, bar: "tqdm[Any]") -> None:
    target.delete([_note(entry)])
    try:
        with source.local(entry.path) as path:
            target.put_file(entry.path, path)
    except FileNotFoundError:
        raise FatalError(f"{source.path(entry.path)}: missing; see 'valor-data release verify'") from None
    if _sha256(target, entry.path, bar) != entry.sha256:
        target.delete([entry.path])
        at_fault = source if _sha256(source, entry.path) != entry.sha256 else target
        mend = "see 'valor-data release verify'" if at_fault is source else "run the command again"
        raise FatalError(f"{at_fault.path(entry.path)}: its bytes are not those of the manifest; {mend}")
    target.put_bytes(_note(entry), b"")


def _sha256(store: Store, key: str, bar: "tqdm[Any] | None" = None) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(store, key):
        digest.update(chunk)
        if bar is not None:
            bar.update(len(chunk))
    return digest.hexdigest()


def _chunks(store: Store, key: str) -> Iterator[bytes]:
    with store.open_read(key) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
