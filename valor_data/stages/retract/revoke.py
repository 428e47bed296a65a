"""Tombstones, the list that travels, and the notes in releases that hold what was taken down."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from valor_data import layout
from valor_data.manifest import Manifest
from valor_data.records import Tombstone
from valor_data.revocation import Revocations
from valor_data.stages.retract.request import Request
from valor_data.store import Store
from valor_data.workspace import Workspace

_BY = "retract@1"


class Standing(Protocol):
    """A complete release, as the stage that writes releases gives it."""

    @property
    def prefix(self) -> str: ...

    @property
    def store(self) -> Store: ...

    @property
    def manifest(self) -> Manifest: ...

    def clips(self) -> "pa.ChunkedArray[Any]": ...


class Gone(NamedTuple):
    """All that was ever taken down in a workspace."""

    clips: frozenset[str]
    videos: frozenset[str]

    def of(self, release: Standing) -> int:
        """How many clips of a release were taken down."""
        taken = pc.is_in(release.clips(), value_set=pa.array(sorted(self.clips), pa.string()))
        return len(taken.filter(taken))


def entomb(
    workspace: Workspace, request: Request, reason: str, requested_at_us: int | None
) -> tuple[int, Gone]:
    """Write a tombstone for all that is asked and has none, then the revocation list of the workspace; the
    number of clips that are taken down anew, and all that ever were. A second request changes nothing of the
    first. `requested_at_us`: when it came in; None: now."""
    tables = workspace.tables
    standing = {(row.scope, row.value) for row in tables.rows(Tombstone)}
    asked = [("clip", clip) for clip in sorted(request.clips)]
    asked += [("video", video) for video in sorted(request.videos)]
    asked_at_us = time.time_ns() // 1000 if requested_at_us is None else requested_at_us
    new = [
        Tombstone.model_validate(
            {"scope": scope, "value": value, "reason": reason, "requested_at_us": asked_at_us, "made_by": _BY}
        )
        for scope, value in asked
        if (scope, value) not in standing
    ]
    tables.append(new)
    gone = _gone(tables.rows(Tombstone))
    try:
        listed = Revocations.parse(workspace.store.get_bytes(layout.REVOKED))
    except FileNotFoundError:
        listed = Revocations.fresh()
    longer = listed.add(gone.clips, gone.videos)
    if longer != listed:
        workspace.store.put_bytes(layout.REVOKED, longer.render())
    return sum(row.scope == "clip" for row in new), gone


def open_requests(workspace: Workspace) -> tuple[list[Tombstone], Gone]:
    """What is taken down and of which copies may be left."""
    rows = list(workspace.tables.rows(Tombstone, done_at_us=0))
    return rows, _gone(rows)


def reject_in_ledger(workspace: Workspace) -> int:
    """The ledger's word on every clip that was taken down, for this recipe's profile; the number of new
    ones."""
    return workspace.tables.reject_retracted(f"fetch/{workspace.recipe.profile}", _BY)


def supersede(
    workspace: Workspace, releases: Iterable[Standing], newest: Standing | None, gone: Gone
) -> list[str]:
    """Put the revocation list into every release, and into those that hold what was taken down a note that
    names the version to use; the prefixes of those."""
    data = workspace.store.get_bytes(layout.REVOKED)
    held = []
    for one in releases:
        if not one.store.exists(layout.REVOKED) or one.store.get_bytes(layout.REVOKED) != data:
            one.store.put_bytes(layout.REVOKED, data)
        if count := gone.of(one):
            held.append(one.prefix)
            note = _note(one.manifest, newest.manifest if newest else None, count)
            one.store.put_bytes(layout.SUPERSEDED, note.encode())
    return held


def clear_away(workspace: Workspace, releases: Sequence[Standing]) -> None:
    """Delete whole releases. The note and the manifest go last: by these one that was cut short is known
    again, see `half_deleted`."""
    for one in releases:
        last = [f"{one.prefix}{name}" for name in (layout.CATALOG, layout.SUPERSEDED, layout.MANIFEST)]
        workspace.store.delete(
            [*(key for key in list(workspace.store.list(one.prefix)) if key not in last), *last]
        )


def half_deleted(release: Standing) -> bool:
    """Whether somebody began to delete a release and was killed."""
    return release.store.exists(layout.SUPERSEDED) and not release.store.exists(layout.CATALOG)


def close(workspace: Workspace, tombstones: Sequence[Tombstone]) -> int:
    """Note that no copy is left of what these stand for; seconds from the first of the requests to now."""
    now_us = time.time_ns() // 1000
    workspace.tables.append(row.model_copy(update={"done_at_us": now_us}) for row in tombstones)
    return max((now_us - row.requested_at_us for row in tombstones), default=0) // 1_000_000


def _gone(rows: Iterable[Tombstone]) -> Gone:
    listed = list(rows)
    return Gone(
        frozenset(row.value for row in listed if row.scope == "clip"),
        frozenset(row.value for row in listed if row.scope == "video"),
    )


def _note(old: Manifest, newest: Manifest | None, count: int) -> str:
    follower = newest if newest and newest.name == old.name and newest.version != old.version else None
    use = f"Use {follower.name} {follower.version} instead." if follower else "Use no copy of these clips."
    return (
        f"# {old.name} {old.version} is superseded\n\n"
        f"{count} of its clips were taken down at their owners' request. {use}\n\n"
        f"`{layout.REVOKED}` lists them by keyed hash; the readers of valor-data hand none of them out. "
        "Please delete this version and every copy of it.\n"
    )
