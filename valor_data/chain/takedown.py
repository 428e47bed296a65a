"""Clips taken down for good; and whether somebody's copies are those of a release."""

from pathlib import Path

from valor_data import layout, search
from valor_data.chain.captions import open_studio
from valor_data.chain.notes import DEFAULTS, Notes, Options, writing
from valor_data.errors import UserError, ValorDataError
from valor_data.recipe import Recipe
from valor_data.records import LabelTask, Report
from valor_data.stages import annotate
from valor_data.stages import attest as attesting
from valor_data.stages import retract as retracting
from valor_data.stages import shard as sharding
from valor_data.workspace import Workspace


def retract(
    recipe: Recipe,
    options: Options = DEFAULTS,
    *,
    ids: str,
    reason: str,
    requested: str | None = None,
    delete_old: bool = False,
) -> Report:
    """Take down the clips that the file `ids` names: tombstones first, then a patch version of the newest
    release without them, then every copy in the workspace. Run again after a kill, it does what is left.

    `requested`: when the request came in, ISO 8601; else now. `delete_old`: releases that hold such clips are
    deleted, not only marked. Raises UserError for a line that names nothing here, before anything is written.
    """
    if not reason.strip():
        raise UserError("--reason: say why, for your own records; name no person")
    requested_at_us = retracting.moment_us(requested) if requested else None
    with writing("release retract", recipe, options) as (workspace, notes):
        found = sharding.standing_releases(workspace)
        retracting.clear_away(workspace, [one for one in found if retracting.half_deleted(one)])
        releases = [one for one in found if one.store.exists(layout.MANIFEST)]
        released = {str(clip) for one in releases for clip in one.clips().to_pylist()}
        request = retracting.read_request(workspace, Path(ids), released)
        new, gone = retracting.entomb(workspace, request, reason, requested_at_us)
        notes.counts |= {"asked": len(request.clips), "new": new, "retracted": len(gone.clips)}
        _release(workspace, notes, releases, gone, delete_old=delete_old)
        _purge(workspace, notes)
    return notes.report()


def attest(
    release: str, copies: str, options: Options = DEFAULTS, *, out: str | None = None
) -> tuple[Report, attesting.Attested]:
    """Which clips of a release somebody's copies hold, in whatever bytes: copies in another release, a
    workspace or a folder. The statement is written to `out`, else to `<name>-<version>.attested.json`
    here."""
    notes = Notes("release attest", copies)
    found = attesting.attest(release, copies, workers=options.workers, progress=options.progress)
    said = found.said
    path = Path(out or f"{said['release']['name']}-{said['release']['version']}.attested.json")
    attesting.write(found, path)
    notes.outputs.append(str(path))
    notes.counts |= {"clips": said["clips"], **said["counts"]}
    notes.counts |= {"retracted": found.retracted} if found.retracted else {}
    if found.unnamed:
        notes.warnings.append(f"passed over, for their names are no clip ids: {found.unnamed} files")
    return notes.report(), found


def _release(
    workspace: Workspace,
    notes: Notes,
    releases: list[sharding.Standing],
    gone: retracting.Gone,
    *,
    delete_old: bool,
) -> None:
    """A patch version where the newest release holds what is gone; the others are marked, or deleted."""
    own = [one for one in releases if one.manifest.name == workspace.recipe.name]
    newest = own[-1] if own else None
    if newest and gone.of(newest):
        patched = sharding.patch_release(workspace, newest, gone.clips)
        newest = patched.release
        releases = [*releases, newest]
        notes.outputs.append(newest.prefix)
        notes.counts |= {
            "removed": patched.removed,
            "released": newest.manifest.counts["clips"],
            "rewritten": patched.rewritten,
            "linked": patched.linked,
        }
    if newest:
        sharding.record(workspace, newest.manifest)  # one that was killed right after its manifest has no row
    held = retracting.supersede(workspace, releases, newest, gone)
    doomed = [one for one in releases if one.prefix in held]
    for one in doomed:
        search.forget(one.store.root)
    notes.counts["superseded"] = len(doomed)
    if delete_old:
        retracting.clear_away(workspace, doomed)
        notes.counts["deleted"] = len(doomed)
    else:
        notes.warnings += [
            f"{one.prefix.rstrip('/')} still holds clips that were taken down; --delete-old deletes it"
            for one in doomed
        ]


def _purge(workspace: Workspace, notes: Notes) -> None:
    """Every copy in the workspace, the annotation server's too; then the tombstones say that it is done."""
    tombstones, gone = retracting.open_requests(workspace)
    if not tombstones:
        return
    left = ""
    if annotate.tasks_taken_down(workspace):
        try:
            with open_studio(workspace) as studio:
                notes.counts["withdrawn"] = annotate.take_down(workspace, studio)
        except ValorDataError as error:
            left = str(error)
    purged = retracting.purge(workspace, gone, spare=(LabelTask.table,) if left else ())
    retracting.reject_in_ledger(workspace)
    search.forget(workspace.store.root)
    if workspace.store.exists(layout.CATALOG):
        workspace.tables.write_catalog(layout.CATALOG)
    notes.counts |= {
        "objects": purged.objects,
        "exports": purged.exports,
        "pages": purged.pages,
        "rows": sum(purged.rows.values()),
    }
    if left:
        notes.ok = False
        notes.warnings.append(
            f"tasks of these clips may stand on the annotation server ({left}); run the same command again "
            "when it answers"
        )
        return
    notes.counts["seconds_since_request"] = retracting.close(workspace, tombstones)
