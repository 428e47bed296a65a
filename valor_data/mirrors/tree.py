"""Mirrors that are a tree of files: a folder, or a prefix of an object store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from valor_data.errors import UserError, without_secrets
from valor_data.mirrors.names import Names, key_of, media_stem, stems
from valor_data.mirrors.places import Place, nothing_at, reaching, telling
from valor_data.mirrors.scratch import Got, Scratch
from valor_data.recipe import Mirror
from valor_data.records import Clip


class Tree:
    """Files of any depth, keyed by their base name. The first in sorted order of several counts."""

    def __init__(self, mirror: Mirror, label: str, scratch: Scratch) -> None:
        self.remarks: list[str] = []
        self._mirror, self._label, self._scratch = mirror, label, scratch
        self._place = Place.at(mirror.at, label)
        with reaching(label, mirror.at):
            if not self._place.filesystem.isdir(self._place.path):
                raise nothing_at(label, mirror.at)

    @contextmanager
    def find(self, clip: Clip) -> Iterator[Got | None]:
        """The clip's file, in place where it is local; None where the tree lacks it."""
        for stem in stems(clip, self._mirror.holds):
            names = self._names.find(stem)
            for name in names:
                note = name if len(names) == 1 else f"{name} (first of {len(names)})"
                if self._place.is_local:
                    path = Path(self._place.path, name)
                    if _has_bytes(path):
                        yield Got(path, note)
                        return
                    continue
                with self._scratch.folder() as folder:
                    path = folder / f"video{Path(name).suffix}"
                    copied = self._place.copy(f"{self._place.path}/{name}", path, self._scratch)
                    if copied and path.stat().st_size:
                        yield Got(path, note)
                        return
        yield None

    def close(self) -> None:
        """Nothing stays open between two clips."""

    @cached_property
    def _names(self) -> Names:
        self._refused = 0
        with telling(self._label):
            found = self._local() if self._place.is_local else map(self._place.name, self._place.files())
            holds = self._mirror.holds
            made = Names((key, name) for name in found if (key := key_of(name, holds)) is not None)
        if self._refused:
            told = f"links that leave the folder are refused ({self._refused}); name the folder they lead to"
            self.remarks = [f"{self._label}: {told}"]
        if not made:
            told = "; ".join(["no media file is in it", *self.remarks])
            raise UserError(f"{self._label} = {without_secrets(self._mirror.at)!r}: {told}")
        return made

    def _local(self) -> Iterator[str]:
        """Paths of media files below the root in the order of whole paths; no hidden ones."""
        root = Path(self._place.path)
        inside = f"{os.path.realpath(root).rstrip('/')}/"
        waiting = [""]
        while waiting:
            name = waiting.pop()
            if name and not name.endswith("/"):
                yield name
                continue
            try:
                with os.scandir(root / name) as entries:
                    waiting += sorted(self._wanted(entries, name, inside), reverse=True)
            except PermissionError as error:
                raise UserError(f"{self._label}: {name}: not permitted; check owner and rights") from error

    def _wanted(self, entries: Iterator["os.DirEntry[str]"], folder: str, inside: str) -> Iterator[str]:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder:
                yield f"{folder}{entry.name}/"
            elif not entry.is_symlink():
                if media_stem(entry.name) is not None:
                    yield folder + entry.name
            elif not f"{os.path.realpath(entry.path)}/".startswith(inside):
                self._refused += 1
            elif media_stem(entry.name) is not None and entry.is_file():
                yield folder + entry.name  # a linked folder inside the root is met where it lies


def _has_bytes(path: Path) -> bool:
    """False for what a download that failed leaves behind, and for what is gone since the listing."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
