"""What a finished release says of itself: its manifest, and whom nobody may hand out any more."""

from typing import Protocol

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest
from valor_data.revocation import Revocations


class Objects(Protocol):
    """The folder or object store that holds a release: what `valor_data.store.Store` is."""

    root: str
    is_local: bool

    def path(self, key: str) -> str:
        """Where an object lies."""

    def get_bytes(self, key: str) -> bytes:
        """A whole object."""

    def size(self, key: str) -> int:
        """Bytes of an object."""

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Some bytes of an object; fewer where it ends before."""


def manifest_of(store: Objects) -> Manifest:
    """The manifest of a release. Raises UserError where none lies there, FatalError for a broken one."""
    try:
        return Manifest.parse(store.get_bytes(layout.MANIFEST))
    except FileNotFoundError:
        raise UserError(
            f"{store.root}: no release there; give the folder or URL that holds {layout.MANIFEST}"
        ) from None
    except ValueError:
        raise FatalError(
            f"{store.path(layout.MANIFEST)}: not readable; run valor-data release verify {store.root}"
        ) from None


def revoked_of(store: Objects, said: Manifest) -> Revocations | None:
    """The list of what was taken down, which also a release may have whose manifest was written before.

    Raises FatalError where it is broken, or named and missing: then nobody can tell whom to leave out.
    """
    try:
        return Revocations.parse(store.get_bytes(layout.REVOKED))
    except FileNotFoundError as error:
        if said.revoked is None:
            return None
        fault: Exception = error
    except ValueError as error:
        fault = error
    what = "missing" if isinstance(fault, FileNotFoundError) else "not readable"
    raise FatalError(
        f"{store.path(layout.REVOKED)}: {what}; without it nobody may read the release: fetch it again"
    )
