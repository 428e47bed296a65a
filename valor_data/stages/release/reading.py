"""A release as it lies somewhere: its manifest, or one line that says why there is none."""

from valor_data import layout
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.store import Store


def manifest_of(store: Store) -> Manifest:
    """What a finished release says of itself. Raises UserError where none lies there."""
    try:
        return Manifest.parse(store.get_bytes(layout.MANIFEST))
    except FileNotFoundError:
        raise UserError(
            f"{store.root}: no finished release there; give the folder or URL that holds {layout.MANIFEST}"
        ) from None
    except ValueError:
        raise UserError(
            f"{store.path(layout.MANIFEST)}: not readable; see 'valor-data release verify {store.root}'"
        ) from None
