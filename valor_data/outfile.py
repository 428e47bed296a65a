"""A file or folder that a user asked for by name: whole, or not there."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valor_data import layout
from valor_data.errors import UserError, full_disk_told

_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def replaced(out: str | Path, *endings: str) -> Iterator[Path]:
    """A path to write to, which takes the name `out` when the block ends well; a file there is replaced.

    `endings`: suffixes of which `out` must have one. Raises UserError, before anything is written, for
    another suffix, a folder that is not there or that nobody may write to; FatalError for a full disk.
    """
    target = Path(out)
    if not target.absolute().parent.is_dir():
        raise UserError(f"--out {out}: no folder {target.parent}")
    if endings and target.suffix not in endings:
        raise UserError(f"--out {out}: end the name in {_any(endings)}")
    if target.is_dir():
        raise UserError(f"--out {out}: a folder is there already; name another, or remove it")
    temporary = target.with_name(f"{layout.temporary_name()}{target.suffix}")
    try:
        _try(temporary, out)
        with full_disk_told(str(out)):
            yield temporary
        temporary.replace(target)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


def _try(temporary: Path, out: str | Path) -> None:
    """Whether something can be written there, before the work begins."""
    try:
        with full_disk_told(str(out)):
            temporary.touch()
    except OSError as error:
        if error.errno not in _CLOSED:
            raise
        told = f"--out {out}: nothing can be written to {temporary.parent} ({error.strerror})"
        raise UserError(f"{told}; name another place") from None
    temporary.unlink()


def _any(endings: tuple[str, ...]) -> str:
    return f"{', '.join(endings[:-1])} or {endings[-1]}" if len(endings) > 1 else endings[0]
