"""The bytes behind addresses: drawn in bounded ranges, each at most once, kept in a scratch file."""

import bisect
import itertools
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.transfer.upstream import Answer, Fault, Upstream

FIRST_BYTES = 1 << 16
"""Drawn first: enough for most heads, and to see that the bytes are media."""
MOST_BYTES = 1 << 21
"""Largest range asked of a host: platforms throttle long ones, and a reader waits for all of it."""
_GROWTH = 4
"""A range is at most this part of what was read in a row before it, so that little is read in vain."""
_TRIES = 4
_WAIT_S = 0.5
_PAGE = re.compile(rb"^(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)\b", re.IGNORECASE)
_MARKUP = re.compile(rb"^(\xef\xbb\xbf)?\s*<[a-z!?]", re.IGNORECASE)
_CALLED_PAGE = re.compile(r"(text/html|application/xhtml\+xml)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


class Readable(Protocol):
    """Bytes that can be read anywhere."""

    def read(self, start: int, length: int, until: int | None = None) -> bytes:
        """The bytes from `start`, fewer at the end. Up to `until` all will be asked for, and may be drawn
        together; None: who knows. Raises ItemError or RetryableError."""

    @property
    def size(self) -> int:
        """Bytes in all."""


class Body:
    """One file behind one address. Read by several threads; a fault, once met, stays."""

    def __init__(
        self, upstream: Upstream, url: str, headers: Mapping[str, str], path: Path, most_bytes: int
    ) -> None:
        self._upstream, self._sent, self._most = upstream, headers, most_bytes
        self._asked_url = url
        self.url = url
        """Where redirects led, once it was read."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        self._path = path
        self._held = _Held()
        self._lock = threading.Lock()
        self._file_lock = threading.Lock()
        self._closed = False
        self._row = (0, 0)
        """The stretch that was drawn in a row last."""
        self._size: int | None = None
        self._whole = False
        self.fault: Fault | None = None
        self.headers: Mapping[str, str] = {}
        """Of the first answer, with lower-case names."""
        self.bytes_read = 0

    @property
    def size(self) -> int:
        with self._lock:
            self._begin()
            assert self._size is not None
            return self._size

    def read(self, start: int, length: int, until: int | None = None) -> bytes:
        """See `Readable`."""
        with self._lock:
            self._begin()
            assert self._size is not None
            end = min(start + length, self._size)
            while gap := self._held.gap(start, end):
                self._guarded(gap[0], self._stretched(*gap, until))
                end = min(end, self._size)  # a host may have promised more than it has
            with self._file_lock:
                self._check_open()
                return os.pread(self._file, max(0, end - start), start)

    def text(self, most_bytes: int) -> str:
        """All of it, as UTF-8. Raises ItemError where it is longer than `most_bytes`."""
        if self.size > most_bytes:
            raise ItemError(Reason.TOO_LARGE, f"a list of {self.size} bytes")
        return self.read(0, self.size).decode("utf-8", "replace")

    def close(self) -> None:
        """Let go of the scratch file; a thread that still draws fails at its next block."""
        with self._file_lock:
            self._closed = True
            os.close(self._file)
        self._path.unlink(missing_ok=True)

    def _check_open(self) -> None:
        # Its number may be another file's by now.
        if self._closed:
            raise RetryableError(Reason.TRANSPORT, "nobody waits for these bytes any more")

    def _stretched(self, start: int, end: int, until: int | None) -> int:
        """Where a range from `start` ends that shall reach `end` at least: where nobody knows better,
        further the longer it has been read in a row, but not into what has come."""
        if start != self._row[1]:
            self._row = (start, start)
        if until is None:
            until = start + (start - self._row[0]) // _GROWTH
        assert self._size is not None
        end = min(max(end, start + FIRST_BYTES, min(until, start + MOST_BYTES)), self._size)
        gap = self._held.gap(start, end)
        return gap[1] if gap else end

    def _begin(self) -> None:
        if self.fault:
            raise self.fault
        if self._size is None:
            self._guarded(0, FIRST_BYTES)

    def _guarded(self, start: int, end: int) -> None:
        """Draw a range, as often as it takes; what has come is not asked for again."""
        turn = 0
        try:
            while True:
                begun = start
                try:
                    start = self._draw(start, end)
                    if start >= min(end, self._size if self._size is not None else end):
                        self._row = (min(self._row[0], begun), start)
                        return
                    raise RetryableError(
                        Reason.TRUNCATED, f"the body broke off at byte {start} of {self._size}"
                    )
                except RetryableError as error:
                    start = self._held.end_of(begun)
                    # A host that breaks off after each few blocks gets on.
                    turn = 1 if start - begun >= FIRST_BYTES else turn + 1
                    passes = error.reason in (Reason.TRUNCATED, Reason.TRANSPORT, Reason.SERVER_ERROR)
                    if not passes or turn >= _TRIES or error.retry_after_s or self._closed:
                        raise
                    time.sleep(_WAIT_S * turn)
        except (ItemError, RetryableError) as error:
            self.fault = error
            raise

    def _draw(self, start: int, end: int) -> int:
        """One request; where its body ended."""
        if self._whole:
            start = 0
        self._check_open()
        with self._upstream.get(self._asked_url, self._sent, start, end) as answer:
            self.headers = self.headers or answer.headers
            self.url = answer.url
            if answer.whole:
                return self._spool(answer)
            self._whole = False
            if answer.promised and None not in (self._size, answer.size) and answer.size != self._size:
                raise RetryableError(
                    Reason.TRANSPORT, f"the file had {self._size} bytes, and now has {answer.size}"
                )
            self._size = answer.size if answer.size is not None else self._size
            at = self._take(answer, start, end)
            if answer.promised == 0 and self._size is None:
                self._size = start
            if self._size is None:  # `Content-Range: bytes 0-9/*`: the end shows where ranges end
                if at < end:
                    self._size = at
                else:
                    raise RetryableError(Reason.TRANSPORT, "the host does not say how long the file is")
            return at

    def _spool(self, answer: Answer) -> int:
        """All of it, from a host that knows no ranges."""
        self._whole = True
        if answer.promised is not None and answer.promised > self._most:
            raise ItemError(
                Reason.TOO_LARGE,
                f"the host sends no parts of its file, and the whole has {answer.promised} bytes "
                f"(fetch.most_mb allows {self._most // 1_000_000})",
            )
        at = self._take(answer, 0, self._most)
        if answer.promised is not None and at < answer.promised:
            raise RetryableError(Reason.TRUNCATED, f"{at} of {answer.promised} bytes came")
        self._size = at
        return at

    def _take(self, answer: Answer, at: int, end: int) -> int:
        for block in answer.blocks:
            if at == 0:
                _refuse_page(block, answer.headers)
            kept = block[: end - at]
            with self._file_lock:
                self._check_open()
                os.pwrite(self._file, kept, at)
            self._held.add(at, at + len(kept))
            self.bytes_read += len(block)
            at += len(kept)
            if at >= end and answer.whole and at != answer.promised:
                raise ItemError(Reason.TOO_LARGE, f"more than {end} bytes, and the host sends no parts")
            if at >= end:  # a host may send more than was asked for
                break
        return at


class Part(NamedTuple):
    """A stretch of a body."""

    body: Readable
    offset: int
    length: int
    needed: int
    """Bytes from its beginning that surely will be asked for."""


class Joined:
    """Stretches of bodies, one behind the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [part for part in parts if part.length]
        self._ends = list(itertools.accumulate(part.length for part in self._parts))
        self.size = self._ends[-1] if self._ends else 0

    def read(self, start: int, length: int, until: int | None = None) -> bytes:
        """See `Readable`."""
        end = min(start + length, self.size)
        return b"".join(self._pieces(start, end))

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        number = bisect.bisect_right(self._ends, start)
        while start < end:
            part, stop = self._parts[number], self._ends[number]
            inside = start - (stop - part.length)
            wanted = min(end, stop) - start
            piece = part.body.read(part.offset + inside, wanted, part.offset + part.needed)
            if len(piece) < wanted:
                raise RetryableError(Reason.TRUNCATED, "a fragment is shorter than its index says")
            yield piece
            start += wanted
            number += 1


class _Held:
    """Which bytes have come, as disjoint stretches in order."""

    def __init__(self) -> None:
        self._stretches: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        """These have come."""
        if start >= end:
            return
        kept = []
        for one in self._stretches:
            if one[1] < start or one[0] > end:
                kept.append(one)
            else:
                start, end = min(start, one[0]), max(end, one[1])
        self._stretches = sorted([*kept, (start, end)])

    def gap(self, start: int, end: int) -> tuple[int, int] | None:
        """The first stretch of [start, end) that has not come."""
        for one in self._stretches:
            if one[0] <= start < one[1]:
                start = one[1]
        if start >= end:
            return None
        return start, min([end, *(one[0] for one in self._stretches if one[0] > start)])

    def end_of(self, start: int) -> int:
        """Up to where all has come from `start` on."""
        return next((end for begun, end in self._stretches if begun <= start < end), start)


def _refuse_page(block: bytes, headers: Mapping[str, str]) -> None:
    """Raises ItemError(NOT_MEDIA) for a web page, whatever it calls itself; media may call themselves a
    page."""
    kind = headers.get("content-type", "no content type")
    if not _PAGE.match(block[:512]) and not (_CALLED_PAGE.match(kind) and _MARKUP.match(block[:512])):
        return
    title = _TITLE.search(block)
    named = " ".join(title[1].decode("utf-8", "replace").split())[:120] if title else "without a title"
    raise ItemError(Reason.NOT_MEDIA, f"the host sent a web page ({named}; {kind}) in place of media")
