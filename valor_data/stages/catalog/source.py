"""The catalog of a workspace or of a release, as a file on this machine."""

import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.revocation import Revocations
from valor_data.shards import manifest_of, revoked_of
from valor_data.store import Store
from valor_data.tables import HIDING, Tables, made_of

_ROWS = 8_192


@dataclass(frozen=True)
class Source:
    """An open catalog."""

    store: Store
    """The workspace or the release."""
    locate: Callable[[], Path]
    digest: str
    """What names the content."""
    name: str
    version: str
    licence: str
    """Empty for a workspace, as is the version."""
    is_release: bool

    @cached_property
    def path(self) -> Path:
        """Its `catalog.parquet`; it may be gone after the `with`."""
        return self.locate()

    def rows(self, columns: Collection[str]) -> Iterator[pa.RecordBatch]:
        """Clips that may be shown, by clip_id, a few at a time; a column that the catalog lacks is absent."""
        with pq.ParquetFile(self.path) as file:
            known = set(file.schema_arrow.names)
            hiding = [name for name in HIDING if name in known]
            asked = [name for name in columns if name in known]
            for batch in file.iter_batches(_ROWS, columns=[*dict.fromkeys([*asked, *hiding])]):
                for name in hiding:
                    hidden: Any = batch[name]
                    batch = batch.filter(pc.invert(hidden))
                if batch.num_rows:
                    yield batch.select(asked)


@contextmanager
def open_source(root: str) -> Iterator[Source]:
    """The catalog of the workspace or the release that lies in a folder or at a URL.

    A workspace's `catalog.parquet` is taken while the tables are as they were when it was written; else the
    tables are asked into a file that goes again. Raises UserError where neither a workspace nor a release is.
    """
    store = Store.open(str(Path(root).expanduser()) if "://" not in root else root)
    with ExitStack() as stack:
        if store.exists(layout.MANIFEST):
            yield _release(store, stack)
        elif any(store.list(layout.TABLES)):
            yield _workspace(store, stack)
        else:
            raise UserError(f"{root}: no workspace and no release there; name one with --workspace")


def _release(store: Store, stack: ExitStack) -> Source:
    said = manifest_of(store)
    revoked = revoked_of(store, said)
    try:
        path = stack.enter_context(store.local(layout.CATALOG))
        pq.read_schema(path)
    except (pa.ArrowException, FileNotFoundError) as error:
        told = str(error).splitlines()[0]
        raise FatalError(
            f"{store.root}: no whole release ({told}); 'valor-data release verify' says more"
        ) from error
    digest = layout.digest([said.content_sha256, revoked.render().decode() if revoked else ""])
    if revoked is not None and len(revoked):
        path = _thinned(path, revoked, stack)
    return Source(store, lambda: path, digest, said.name, said.version, said.licence, True)


def _thinned(catalog: Path, revoked: Revocations, stack: ExitStack) -> Path:
    """The catalog without what was taken down since it was written, so that not even a count tells of it."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="valor-data-")), layout.CATALOG)
    with pq.ParquetFile(catalog) as file, pq.ParquetWriter(path, file.schema_arrow) as writer:
        for batch in file.iter_batches(_ROWS):
            kept = [not revoked.holds(str(clip)) for clip in batch["clip_id"].to_pylist()]
            writer.write_batch(batch.filter(pa.array(kept, pa.bool_())))
    return path


def _workspace(store: Store, stack: ExitStack) -> Source:
    tables = Tables.open(store.root)
    digest = tables.digest()
    name = store.root.rstrip("/").rsplit("/", 1)[-1]
    return Source(store, partial(_current, store, tables, digest, stack), digest, name, "", "", False)


def _current(store: Store, tables: Tables, digest: str, stack: ExitStack) -> Path:
    """The workspace's `catalog.parquet`, or a new one."""
    path = _fresh(store, stack, digest)
    if path is None:
        sys.stderr.write(
            f"{layout.CATALOG} is missing or older than the tables, which are read in its place and take "
            "longer: 'valor-data catalog build RECIPE' renews it\n"
        )
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="valor-data-")), layout.CATALOG)
        tables.write_catalog_file(path)
    return path


def _fresh(store: Store, stack: ExitStack, digest: str) -> Path | None:
    """The workspace's own `catalog.parquet`; None where it is missing, old or broken."""
    try:
        path = stack.enter_context(store.local(layout.CATALOG))
        return path if made_of(path) == digest else None
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None
