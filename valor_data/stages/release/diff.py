"""`release diff`: what one release has that another has not."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from valor_data import layout
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.shards import manifest_of
from valor_data.store import Store
from valor_data.tables.differences import differences

_SAID = (
    "title", "licence", "payload", "profile", "rules_digest", "recipe_sha256", "schema_sha256", "tool",
    "content_sha256",
)  # fmt: skip


class Change(NamedTuple):
    """One thing that happened to one clip."""

    clip_id: str
    change: str
    """`added`, `removed`, or what of it changed: `captions`, `media`, `split`, `labels`."""
    old: list[str]
    """Texts, sha256, split or labels; of an added or removed clip its split."""
    new: list[str]


class Diff(NamedTuple):
    """Two releases, compared."""

    old: Manifest
    new: Manifest
    said: dict[str, tuple[str, str]]
    """What their manifests say otherwise, both words."""
    counts: dict[str, int]
    """Clips that are `same`, `added`, `removed`, or differ in `captions`, `media`, `split`, `labels`."""
    changes: Iterator[Change]
    """By clip_id, then change."""

    @property
    def contradicts(self) -> bool:
        """Whether two releases of one name and version hold different content."""
        named = (self.old.name, self.old.version) == (self.new.name, self.new.version)
        return named and self.old.content_sha256 != self.new.content_sha256


@contextmanager
def diff(old: str, new: str) -> Iterator[Diff]:
    """Compare two releases, folders or fsspec URLs, with media or without; `changes` may be read as long as
    the `with` lasts. Raises UserError where one is no finished release or its catalog cannot be read."""
    stores = [Store.open(place) for place in (old, new)]
    before, after = (manifest_of(store) for store in stores)
    said = {
        name: (str(getattr(before, name)), str(getattr(after, name)))
        for name in _SAID
        if getattr(before, name) != getattr(after, name)
    }
    with ExitStack() as stack:
        paths = [str(stack.enter_context(_catalog(store))) for store in stores]
        found = stack.enter_context(differences(*paths))
        changes = (
            Change(*values)
            for batch in found.rows
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        )
        yield Diff(before, after, said, found.counts, changes)


@contextmanager
def _catalog(store: Store) -> Iterator[Path]:
    try:
        with store.local(layout.CATALOG) as path:
            yield path
    except FileNotFoundError:
        raise UserError(f"{store.path(layout.CATALOG)}: missing; see 'valor-data release verify'") from None
