"""Lists of hashes of known bad media, as hotlines and trusted programmes hand them out.

A text file: one entry a line, `#` begins a comment, the type stands before the hash:

    # supplied by ...
    pdq:<64 hex digits>        a picture's PDQ hash
    sha256:<64 hex digits>     a media file's digest
    md5:<32 hex digits>

or a CSV file whose header has the columns `type` and `hash`. A million entries take some 60 MB of
memory, a few seconds to read, and under ten milliseconds to search.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from valor_data.errors import UserError
from valor_data.scorers.pdq import LEAST_QUALITY, Pdq

MOST_DISTANCE = 31
"""Bits that two PDQ hashes of one picture may differ in."""

_DIGITS = {"pdq": 64, "sha256": 64, "md5": 32}
_AT_ONCE = 1 << 14  # hashes compared in one go: small enough to stay in the cache


class Entry(NamedTuple):
    """One entry of a list."""

    kind: str
    """`pdq`, `sha256` or `md5`."""
    hash: str
    """Its hex digits, in small letters."""
    line: int
    """Where it stands in the list, from 1."""


class HashList:
    """The entries of a list, packed for searching."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        packed = {kind: bytearray() for kind in _DIGITS}
        lines: dict[str, list[int]] = {kind: [] for kind in _DIGITS}
        for entry in entries:
            packed[entry.kind] += bytes.fromhex(entry.hash)
            lines[entry.kind].append(entry.line)
        self._exact = {kind: _Exact(kind, packed[kind], lines[kind]) for kind in ("sha256", "md5")}
        self._pictures = np.frombuffer(bytes(packed["pdq"]), np.uint64).reshape(-1, 4)
        self._picture_lines = np.array(lines["pdq"], np.int64)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The list in a file. Raises UserError that names the first line which is no entry, and the mend."""
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                return cls(_entries(path, file))
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; name a list of hashes") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{path}: not a text file; save the list as UTF-8 text ({error})") from error

    def __len__(self) -> int:
        return len(self._pictures) + sum(len(exact) for exact in self._exact.values())

    def match_bytes(self, sha256: str | None = None, md5: str | None = None) -> Entry | None:
        """The entry of a file with these digests (hex), SHA-256 first; None where there is none."""
        for kind, digest in (("sha256", sha256), ("md5", md5)):
            if digest is not None and (entry := self._exact[kind].find(digest)):
                return entry
        return None

    def match_picture(self, picture: Pdq) -> tuple[Entry, int] | None:
        """The nearest entry within 31 bits of a picture's hash, and how many bits they differ in.

        None where there is none, or where the picture has too little detail for its hash to mean anything.
        """
        if picture.quality < LEAST_QUALITY:
            return None
        words = np.frombuffer(picture.bits, np.uint64)
        best, distance = -1, MOST_DISTANCE + 1
        for start in range(0, len(self._pictures), _AT_ONCE):
            differing = np.bitwise_count(self._pictures[start : start + _AT_ONCE] ^ words)
            bits = differing.view(np.uint32).reshape(-1)  # four counts in one number: cheaper to sum
            bits = (bits & 0xFF) + (bits >> 8 & 0xFF) + (bits >> 16 & 0xFF) + (bits >> 24)
            nearest = int(bits.argmin())
            if bits[nearest] < distance:
                best, distance = start + nearest, int(bits[nearest])
        if best < 0:
            return None
        digits, line = self._pictures[best].tobytes().hex(), int(self._picture_lines[best])
        return Entry("pdq", digits, line), distance


class _Exact:
    """Digests of one kind, sorted by their first eight bytes."""

    def __init__(self, kind: str, packed: bytearray, lines: list[int]) -> None:
        digests = np.frombuffer(bytes(packed), np.uint8).reshape(-1, _DIGITS[kind] // 2)
        heads = np.ascontiguousarray(digests[:, :8]).view(np.uint64).reshape(-1)
        order = np.argsort(heads, kind="stable")
        self._kind, self._heads = kind, heads[order]
        self._digests, self._lines = digests[order], np.array(lines, np.int64)[order]

    def __len__(self) -> int:
        return len(self._heads)

    def find(self, digest: str) -> Entry | None:
        wanted = bytes.fromhex(digest)
        head = np.frombuffer(wanted[:8], np.uint64)[0]
        first = int(np.searchsorted(self._heads, head))
        while first < len(self._heads) and self._heads[first] == head:
            if self._digests[first].tobytes() == wanted:
                return Entry(self._kind, digest.lower(), int(self._lines[first]))
            first += 1
        return None


def _entries(path: Path, lines: Iterable[str]) -> Iterator[Entry]:
    columns: tuple[int, int] | None = None
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        if columns is None and "," in text and ":" not in text:
            header = [name.strip().lower() for name in next(csv.reader([text]))]
            if not {"type", "hash"} <= set(header):
                raise UserError(f"{path}:{number}: a CSV list needs a header with the columns type,hash")
            columns = header.index("type"), header.index("hash")
            continue
        if columns is None:
            kind, _, digits = text.partition(":")
        else:
            row = [*next(csv.reader([text])), *[""] * (max(columns) + 1)]
            kind, digits = row[columns[0]], row[columns[1]]
        yield _entry(kind.strip().lower(), digits.strip().lower(), f"{path}:{number}", number)


def _entry(kind: str, digits: str, where: str, line: int) -> Entry:
    if kind not in _DIGITS:
        raise UserError(f"{where}: {kind[:20]!r} is no type of hash; write pdq:…, sha256:… or md5:…")
    if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS[kind]}}}", digits):
        raise UserError(f"{where}: a {kind} hash has {_DIGITS[kind]} hex digits; correct or remove the line")
    return Entry(kind, digits, line)
