"""Copies of what does not lie on this machine as a file of its own: bounded, whole, and gone afterwards."""

import errno
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from valor_data.errors import FatalError, ItemError, Reason, RetryableError

BLOCK = 1 << 22


class Got(NamedTuple):
    """What a mirror has of a clip."""

    path: Path
    note: str
    """Where in the mirror it lies."""
    audio: Path | None = None


class Scratch:
    """Where copies go, how large one may be (MB), and how long it may take (s)."""

    def __init__(self, folder: Path, most_mb: int, limit_s: float) -> None:
        self.most_mb, self.limit_s = most_mb, limit_s
        self._folder = folder

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder that goes, with all in it, when the `with` ends."""
        with tempfile.TemporaryDirectory(prefix="mirror-", dir=self._folder) as made:
            yield Path(made)

    def write(self, path: Path, pieces: Iterable[bytes], what: str) -> int:
        """Bytes written. Raises ItemError `too_large`, RetryableError `timeout`, FatalError (full disk)."""
        written = 0
        deadline = time.monotonic() + self.limit_s
        with telling_of_disk(path.name), path.open("wb") as file:
            for piece in pieces:
                written += len(piece)
                self.check_size(written, what)
                file.write(piece)
                if time.monotonic() > deadline:
                    raise RetryableError(Reason.TIMEOUT, f"{what}: not here after {self.limit_s:g} s")
        return written

    def check_size(self, size: int, what: str) -> None:
        """Raises ItemError `too_large` above the limit."""
        if size > self.most_mb * 1_000_000:
            raise ItemError(Reason.TOO_LARGE, f"{what}: more than {self.most_mb} MB")


@contextmanager
def telling_of_disk(name: str) -> Iterator[None]:
    """A full disk stops the run; other faults pass."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"{name}: the disk is full; free some space and run the command again"
            raise FatalError(message) from error
        raise
