"""Mirrors that are tars, plain or WebDataset's: headers are walked once, bodies are read by their place."""

import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from valor_data.errors import Reason, RetryableError, UserError, without_secrets
from valor_data.mirrors.names import Names, key_of, stems
from valor_data.mirrors.places import EXACT, Place, nothing_at, reaching, telling
from valor_data.mirrors.scratch import BLOCK, Got, Scratch
from valor_data.recipe import Mirror
from valor_data.records import Clip

_BLOCK = tarfile.BLOCKSIZE
_PACKED = {b"\x1f\x8b": "gzip -d", b"BZh": "bzip2 -d", b"\xfd7zXZ": "xz -d", b"\x28\xb5\x2f\xfd": "zstd -d"}
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_INDEX_VERSION = "v1.2"  # the first of wds2idx that gives names
_AHEAD = 1 << 16  # bytes that a remote tar is asked for at a time while its headers are walked


class Member(NamedTuple):
    """A file in a tar: its name, where its bytes begin, and how many there are."""

    name: str
    offset: int
    size: int


class Tars:
    """Members of any depth, keyed by their base name. The first, in sorted order of tars, counts."""

    def __init__(self, mirror: Mirror, label: str, scratch: Scratch) -> None:
        self.remarks: list[str] = []
        self._mirror, self._label, self._scratch = mirror, label, scratch
        self._indexed: set[str] = set()
        with reaching(label, mirror.at):
            self._place, self._tars = _tars(mirror.at, label)
        for path in self._tars:
            if path.endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")):
                raise _packed(label, path, "the program that packed it")

    @contextmanager
    def find(self, clip: Clip) -> Iterator[Got | None]:
        """A copy of the clip's member; None where no tar has it."""
        for stem in stems(clip, self._mirror.holds):
            places = self._names.find(stem)
            for place in places:
                number, offset, size, name = place.split(" ", 3)
                tar = self._tars[int(number)]
                note = f"{_base(tar)}: {name}" + (f" (first of {len(places)})" if len(places) > 1 else "")
                with self._scratch.folder() as folder:
                    path = folder / f"video{Path(name).suffix}"
                    self._read(tar, Member(name, int(offset), int(size)), path)
                    yield Got(path, note)
                    return
        yield None

    def close(self) -> None:
        """Nothing stays open between two clips."""

    @cached_property
    def _names(self) -> Names:
        made = Names(self._pairs())
        if not made:
            told = "; ".join(["no media file is in it", *self.remarks])
            raise UserError(f"{self._label} = {without_secrets(self._mirror.at)!r}: {told}")
        return made

    def _pairs(self) -> Iterator[tuple[str, str]]:
        self.remarks.clear()  # of a walk that a fault ended
        for number, path in enumerate(self._tars):
            with telling(_base(path)):
                members = self._index(path) or self._walk(path)
                for member in members:
                    key = key_of(member.name, self._mirror.holds)
                    if key is not None and member.size > 0:
                        yield key, f"{number} {member.offset} {member.size} {member.name}"

    def _index(self, path: str) -> list[Member] | None:
        """The members that an index file beside the tar names (`x.tar.idx` or `x.idx`, by wds2idx)."""
        for beside in (f"{path}.idx", f"{path.removesuffix('.tar')}.idx"):
            if self._place.filesystem.isfile(beside):
                members = _members(self._place.filesystem.cat_file(beside))
                if members is not None:
                    self._indexed.add(path)
                    return members
                self.remarks.append(
                    f"{_base(beside)}: no index of {_INDEX_VERSION}; the tar is walked instead"
                )
        return None

    def _walk(self, path: str) -> Iterator[Member]:
        """The members before the end, or before the place where the tar is broken, which is remarked."""
        with self._place.open(path, block_size=_AHEAD, cache_type="readahead") as file:
            start = file.read(8)
            for magic, program in _PACKED.items():
                if start.startswith(magic):
                    raise _packed(self._label, path, program)
            end = file.seek(0, 2)
            file.seek(0)
            whole = 0
            try:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    while (member := tar.next()) is not None:
                        tar.members = []  # type: ignore[attr-defined]  # else a million of them stay
                        if member.size < 0 or member.offset_data + member.size > end:
                            break
                        whole = tar.offset
                        if member.isreg() and not member.issparse():
                            yield Member(member.name, member.offset_data, member.size)
            except (tarfile.TarError, ValueError, OverflowError):
                pass  # told below: what stands where the next header should
            file.seek(whole)
            if file.read(_BLOCK) != bytes(_BLOCK):
                told = "is cut short or broken" if whole else "is no tar"
                self.remarks.append(f"{_base(path)} {told} at byte {whole}; what stands before it serves")

    def _read(self, path: str, member: Member, to: Path) -> None:
        self._scratch.check_size(member.size, member.name)
        with telling(_base(path)), self._place.open(path, **EXACT) as file:
            if path in self._indexed:
                self._check(path, file, member)
            file.seek(member.offset)
            written = self._scratch.write(to, _pieces(file, member.size), member.name)
        if written != member.size:
            message = f"{_base(path)}: {member.name}: {written} of {member.size} bytes came"
            raise RetryableError(Reason.TRUNCATED, message)

    def _check(self, path: str, file: Any, member: Member) -> None:
        """An index of another state of the tar would hand out other bytes."""
        try:
            file.seek(member.offset - _BLOCK)
            header = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "surrogateescape")
            # A header before which a long name stands holds the beginning of it.
            fits = header.size == member.size and member.name.startswith(header.name[:90])
        except (tarfile.TarError, ValueError):
            fits = False
        if not fits:
            raise UserError(f"{self._label}: {_base(path)}: its index file is not of this tar; make it anew")


def _tars(at: str, label: str) -> tuple[Place, list[str]]:
    """Brace ranges and globs expanded, a folder to its tars. Raises UserError where one is missing."""
    paths: list[str] = []
    for pattern in _expanded(at):
        place = Place.at(pattern, label)
        if not pattern.endswith(".tar") and place.filesystem.isdir(place.path):
            found = [path for path in place.files() if path.endswith(".tar")]
        else:
            found = place.matching(place.path)
        if not found:
            raise nothing_at(label, pattern)
        paths += found
    return place, sorted(dict.fromkeys(paths))


def _expanded(pattern: str) -> list[str]:
    """`x-{000..002}.tar` -> its three names, numbers as wide as the first."""
    match = _RANGE.search(pattern)
    if not match:
        return [pattern]
    numbers = range(int(match[1]), int(match[2]) + 1)
    width = len(match[1])
    tails = _expanded(pattern[match.end() :])
    return [f"{pattern[: match.start()]}{number:0{width}d}{tail}" for number in numbers for tail in tails]


def _members(index: bytes) -> list[Member] | None:
    """What a wds2idx file names; None where it is of another version, or not to be read."""
    lines = index.decode("utf-8", "replace").splitlines()
    if not lines or lines[0].split(" ")[0] != _INDEX_VERSION:
        return None
    made = []
    for line in lines[1:]:
        parts = line.split(" ")
        if len(parts) % 4:  # a name with a space
            return None
        try:
            made += [
                Member(parts[i + 3], int(parts[i + 1]), int(parts[i + 2])) for i in range(0, len(parts), 4)
            ]
        except ValueError:
            return None
    return made


def _pieces(file: Any, size: int) -> Iterator[bytes]:
    while size and (piece := file.read(min(size, BLOCK))):
        size -= len(piece)
        yield piece


def _packed(label: str, path: str, program: str) -> UserError:
    mend = f"a compressed tar cannot be read by place; unpack it first ({program})"
    return UserError(f"{label}: {_base(path)}: {mend}")


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]
