"""Bytes by key under one root: a folder, or any fsspec URL (`s3://bucket/prefix`, `memory://x`).

A put is atomic: a reader sees the old object, or the new one whole. In a folder that is a
temporary name, fsync and rename; in an object store a single put. Keys are relative, use `/`, and
never leave the root.

Faults: a full disk is a FatalError; a missing bucket, credential, permission or fsspec backend a
UserError; an object store that does not answer a FatalError. Reading a key that is not there
raises FileNotFoundError, a key that leaves the root ValueError.
"""

import errno
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import fsspec

from valor_data import layout
from valor_data.errors import FatalError, UserError, ValorDataError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_EXTRAS = {"s3": "s3", "s3a": "s3"}


class Store:
    """The objects of one workspace. Pickles as its root alone, so that workers reopen it."""

    def __init__(self, root: str, filesystem: Any, base: str, is_local: bool) -> None:
        self.root = root
        """Absolute folder, or URL; `Store.open(root)` opens the same store again."""
        self.is_local = is_local
        """True: objects are files of this machine."""
        self._fs = filesystem
        self._base = base

    @classmethod
    def open(cls, root: str) -> "Store":
        """The store under a folder or fsspec URL; touches neither disk nor network.

        Raises UserError: no such backend (with the pip line), a file in place of the folder, or a
        password in the URL.
        """
        local = "://" not in root or root.startswith(("file://", "local://"))
        if not local and urlsplit(root).password:
            raise UserError("the workspace's URL holds a password; give it by environment or fsspec config")
        try:
            # A cached listing would hide what another process has written since.
            filesystem, base = fsspec.core.url_to_fs(root, use_listings_cache=False)
        except ImportError as error:
            scheme = root.split("://", maxsplit=1)[0]
            extra = _EXTRAS.get(scheme)
            mend = f"pip install 'valor-data[{extra}]'" if extra else str(error)
            raise UserError(f"{root}: {scheme}:// needs a backend that is not installed: {mend}") from error
        except ValueError as error:
            raise UserError(
                f"{root}: {error}; give a folder, or an fsspec URL such as s3://bucket/x"
            ) from error
        if local and Path(base).exists() and not Path(base).is_dir():
            raise UserError(f"{base} is a file; a workspace is a folder: give another name")
        root = base if local else filesystem.unstrip_protocol(base)
        return cls(root.rstrip("/") or "/", filesystem, base.rstrip("/"), local)

    def __reduce__(self) -> tuple[Callable[[str], "Store"], tuple[str]]:
        return Store.open, (self.root,)

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    @property
    def crosses_processes(self) -> bool:
        """False: the objects live in this process's memory, where no other finds them."""
        return not self.root.startswith("memory://")

    def path(self, key: str) -> str:
        """Where an object lies: a file's path, or its URL."""
        return f"{self.root.rstrip('/')}/{_checked(key)}"

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write an object, or replace it."""
        if self.is_local:
            with self._replacing(key) as temporary, temporary.open("wb") as file:
                file.write(data)
                _sync(file)
        else:
            with self._telling(key, writing=True):
                self._fs.pipe_file(self._inside(key), data)

    def put_file(self, key: str, path: Path) -> None:
        """Write a file's bytes as an object, or replace it. The file itself stays."""
        if self.is_local:
            with self._replacing(key) as temporary:
                shutil.copyfile(path, temporary)
                with temporary.open("rb+") as file:
                    _sync(file)
        else:
            path.stat()  # else its absence would read as a missing bucket
            with self._telling(key, writing=True):
                self._fs.put_file(str(path), self._inside(key))

    def link(self, source: str, key: str) -> None:
        """Make an object with the bytes of another, or replace it: a hard link in a folder (a copy where the
        disk has none), a copy that the server makes in an object store. Neither may be edited in place.

        Raises FileNotFoundError where the source is not there.
        """
        if not self.is_local:
            with self._telling(source):
                self._fs.cp_file(self._inside(source), self._inside(key))
            return
        path = Path(self._inside(source))
        path.stat()
        with self._replacing(key) as temporary:
            try:
                temporary.hardlink_to(path)
            except OSError:  # another disk, or a file system without links
                shutil.copyfile(path, temporary)
                with temporary.open("rb+") as file:
                    _sync(file)

    def create_exclusive(self, key: str, data: bytes) -> bool:
        """Write an object only where none is: True for exactly one of several callers.

        In a folder a reader may find it empty for the moment between creation and write.
        """
        with self._telling(key, writing=True):
            try:
                if not self.is_local:
                    self._fs.pipe_file(self._inside(key), data, mode="create")
                    return True
                target = Path(self._inside(key))
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as file:
                    try:
                        file.write(data)
                        _sync(file)
                    except OSError:
                        target.unlink()
                        raise
            except FileExistsError:
                return False
        return True

    def open_read(self, key: str) -> BinaryIO:
        """An object as a seekable stream of bytes."""
        with self._telling(key):
            if self.is_local:
                return Path(self._inside(key)).open("rb")
            return cast(BinaryIO, self._fs.open(self._inside(key), "rb"))

    def get_bytes(self, key: str) -> bytes:
        """A whole object."""
        with self._telling(key):
            if self.is_local:
                return Path(self._inside(key)).read_bytes()
            return cast(bytes, self._fs.cat_file(self._inside(key)))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Some bytes of an object, in one request; fewer where it ends before."""
        with self._telling(key):
            if self.is_local:
                with Path(self._inside(key)).open("rb", buffering=0) as file:
                    return os.pread(file.fileno(), length, offset)
            return cast(bytes, self._fs.cat_file(self._inside(key), start=offset, end=offset + length))

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        """An object as a file: itself in a folder, else a copy that lives as long as the `with`."""
        if self.is_local:
            path = Path(self._inside(key))
            path.stat()  # a missing object is told here, as it is for a remote store
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
            copy = Path(folder, key.rsplit("/", 1)[-1])
            with self._telling(key):
                self._fs.get_file(self._inside(key), str(copy))
            yield copy

    def signed(self, key: str, seconds: int) -> str:
        """An address by which anybody reads the object for a while. Raises UserError where the store signs
        none."""
        try:
            with self._telling(key):
                return str(self._fs.sign(self._inside(key), expiration=seconds))
        except NotImplementedError:
            raise UserError(f"{self.root}: this store signs no addresses") from None

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        with self._telling(key):
            return bool(self._fs.isfile(self._inside(key)))

    def size(self, key: str) -> int:
        """Bytes of an object."""
        with self._telling(key):
            return int(self._fs.size(self._inside(key)))

    def list(self, prefix: str) -> Iterator[str]:
        """Keys of the objects under a folder (`""`: all), sorted; never a temporary name."""
        folder = prefix.strip("/")
        base = self._inside(folder) if folder else self._base
        if self.is_local:
            with self._telling(folder):
                yield from _walk(Path(base or "/"), f"{folder}/" if folder else "")
            return
        with self._telling(folder, writing=True):
            found = self._fs.find(base)
        start = len(self._base) + 1
        yield from sorted(path[start:] for path in found if not _is_temporary(path.rsplit("/", 1)[-1]))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, and a folder that loses its last; one that is missing already is fine."""
        for key in keys:
            with self._telling(key), suppress(FileNotFoundError):
                if self.is_local:
                    file = Path(self._inside(key))
                    file.unlink()
                    if "/" in key:  # the root stays
                        with suppress(OSError):  # other objects lie in it
                            file.parent.rmdir()
                else:
                    self._fs.rm_file(self._inside(key))

    def sweep_temporary(self) -> int:
        """Remove what killed writers left half-written; their number. Only while no one else writes."""
        if not self.is_local:
            return 0  # a put that did not end left no object
        swept = 0
        for folder, _, names in os.walk(self._base or "/", followlinks=True):
            for name in filter(_is_temporary, names):
                Path(folder, name).unlink(missing_ok=True)
                swept += 1
        return swept

    def _inside(self, key: str) -> str:
        return f"{self._base}/{_checked(key)}"

    @contextmanager
    def _replacing(self, key: str) -> Iterator[Path]:
        target = Path(self._inside(key))
        temporary = target.with_name(layout.temporary_name())
        with self._telling(key, writing=True):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                yield temporary
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _telling(self, key: str, writing: bool = False) -> Iterator[None]:
        """Turn a fault of disk or object store into one line with the mend."""
        try:
            yield
        except (FileNotFoundError, FileExistsError) as error:
            if writing and not self.is_local and isinstance(error, FileNotFoundError):
                raise UserError(f"{self.root}: {error}; create the bucket, or name another") from error
            raise
        except OSError as error:
            raise self._explained(error, key) from error
        except _client_errors() as error:
            raise self._explained_remote(error) from error

    def _explained(self, error: OSError, key: str) -> ValorDataError:
        where = f"{self.root.rstrip('/')}/{key}"
        if error.errno in _FULL:
            return FatalError(f"{where}: the disk is full; free some space and run the command again")
        if error.errno in _REFUSED or isinstance(error, PermissionError):
            return UserError(f"{where}: not permitted ({error}); check owner and rights, or credentials")
        return FatalError(f"{where}: {error}; what is done is kept, run the command again")

    def _explained_remote(self, error: Exception) -> ValorDataError:
        if "redential" in type(error).__name__ or "Profile" in type(error).__name__:
            return UserError(f"{self.root}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        return FatalError(f"{self.root}: {error}; what is done is kept, run the command again")


def _client_errors() -> tuple[type[Exception], ...]:
    """The S3 client's own error tree, which is no OSError; empty where s3fs is not in use."""
    client = sys.modules.get("botocore.exceptions")
    return (client.BotoCoreError,) if client else ()


def _checked(key: str) -> str:
    parts = key.split("/")
    if "\\" in key or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{key!r} is no key: relative, `/` between its parts, no `..`, no backslash")
    return key


def _is_temporary(name: str) -> bool:
    return name.startswith(layout.TEMPORARY)


def _sync(file: io.BufferedIOBase | BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """Keys of the files below a folder in the order of whole keys, one folder in memory at a time."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in entries:
        if name.endswith("/"):
            yield from _walk(folder / name, prefix + name)
        elif not _is_temporary(name):
            yield prefix + name
