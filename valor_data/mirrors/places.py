"""Files by fsspec: of this machine or of an object store, with faults that name the mirror."""

import glob
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import fsspec

from valor_data.errors import Reason, RetryableError, UserError, clip_error, without_secrets
from valor_data.mirrors.scratch import Scratch, telling_of_disk

_PIP = {"hf": "huggingface_hub", "s3": "'valor-data[s3]'", "s3a": "'valor-data[s3]'"}
EXACT = {"cache_type": "none"}
"""For `Place.open`: ask a remote file for what is read and no more."""
# Clients whose errors are no OSError.
_CLIENTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("huggingface_hub.errors", "HfHubHTTPError"),
    ("aiohttp", "ClientError"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
)


class Place(NamedTuple):
    """A path of one file system."""

    filesystem: Any
    path: str
    is_local: bool

    @classmethod
    def at(cls, at: str, label: str) -> "Place":
        """The place that a recipe names; not asked yet. Raises UserError that begins with `label`."""
        if "://" not in at:
            return cls(fsspec.filesystem("file"), str(Path(at).absolute()), True)
        if urlsplit(at).password:
            raise UserError(f"{label} holds a password; give it by environment or fsspec config")
        told, scheme = without_secrets(at), at.split("://", 1)[0]
        try:
            filesystem, path = fsspec.core.url_to_fs(at)
        except ImportError as error:
            mend = f"pip install {_PIP[scheme]}" if scheme in _PIP else str(error)
            raise UserError(f"{label} = {told!r}: {scheme}:// needs a backend: {mend}") from error
        except ValueError as error:
            raise UserError(
                f"{label} = {told!r}: {error}; give an fsspec URL such as s3://bucket/x"
            ) from error
        return cls(filesystem, path.rstrip("/"), scheme in ("file", "local"))

    def name(self, path: str) -> str:
        """A path below this place, relative to it."""
        return path.removeprefix(self.path).lstrip("/") or path.rsplit("/", 1)[-1]

    def files(self) -> list[str]:
        """All files below, in sorted order."""
        return sorted(self.filesystem.find(self.path))

    def open(self, path: str, **settings: Any) -> Any:
        """A file as a seekable stream."""
        if self.is_local:
            return Path(path).open("rb", buffering=0)
        return self.filesystem.open(path, "rb", **settings)

    def matching(self, pattern: str) -> list[str]:
        """Files that a glob pattern names; a file with just that name comes first."""
        if self.filesystem.isfile(pattern):
            return [pattern]
        return sorted(self.filesystem.glob(pattern)) if glob.has_magic(pattern) else []

    def copy(self, path: str, to: Path, scratch: Scratch) -> bool:
        """Whether a file is there; if so, all its bytes are in `to`. Raises ItemError, RetryableError."""
        what = self.name(path)
        with telling(what):
            try:
                size = self.filesystem.size(path)
                scratch.check_size(size or 0, what)
                with telling_of_disk(to.name):
                    self.filesystem.get_file(path, str(to))
            except FileNotFoundError:
                return False
        if size is not None and to.stat().st_size != size:
            message = f"{what}: {to.stat().st_size} of {size} bytes came"
            raise RetryableError(Reason.TRUNCATED, message)
        return True


@contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn a fault of a file system into the error of a clip."""
    try:
        yield
    except _faults() as error:
        raise clip_error(_reason_of(error), without_secrets(f"{what}: {error}")) from error


@contextmanager
def reaching(label: str, at: str) -> Iterator[None]:
    """At opening every fault is for the person to mend."""
    try:
        yield
    except FileNotFoundError as error:
        raise nothing_at(label, at) from error
    except _faults() as error:
        words = without_secrets(f"not reached ({error}); check address, credentials and network")
        raise UserError(f"{label} = {without_secrets(at)!r}: {words}") from error


def nothing_at(label: str, at: str) -> UserError:
    """The error of a mirror that is not there."""
    return UserError(
        f"{label} = {without_secrets(at)!r}: nothing is there; check the path, or drop the mirror"
    )


def _faults() -> tuple[type[Exception], ...]:
    modules = ((sys.modules.get(module), name) for module, name in _CLIENTS)
    return (OSError, *(getattr(module, name) for module, name in modules if module))


def _reason_of(error: Exception) -> Reason:
    if isinstance(error, FileNotFoundError):
        return Reason.LOST
    if isinstance(error, PermissionError):
        return Reason.FORBIDDEN
    return Reason.TIMEOUT if isinstance(error, TimeoutError) else Reason.TRANSPORT
