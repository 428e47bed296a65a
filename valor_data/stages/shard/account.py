"""What a release gives account of: the numbers that card, Croissant file and changelog tell."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from valor_data import layout
from valor_data.agreement import Estimate, residual
from valor_data.manifest import Manifest, Parent
from valor_data.recipe import Recipe
from valor_data.records import Release
from valor_data.stages.shard.plan import Plan
from valor_data.store import Store
from valor_data.tables import Group, Statistics, statistics
from valor_data.tables.differences import differences
from valor_data.tables.provenance import Provenance
from valor_data.workspace import Workspace


class Before(NamedTuple):
    """The version that this one follows."""

    parent: Parent
    manifest: Manifest | None
    """None: its files are gone from the workspace."""
    changes: dict[str, int]
    """Clips by what happened to them since; empty where its files are gone."""
    changelog: str
    """What it told of the versions before it."""


class Account(NamedTuple):
    """All numbers of a release."""

    recipe: Recipe
    plan: Plan
    statistics: Statistics
    provenance: Provenance
    funnel: dict[str, int]
    reasons: dict[str, dict[str, int]]
    """Stage -> reason -> clips that it kept out."""
    availability: list[Group]
    """How the clips of each list and split stand."""
    audit: Estimate | None
    """Share of bad captions among those of our annotators; None: not measured."""
    no_audio: int
    """Clips without an audio track."""
    short: int
    """Clips that end before their span does."""
    before: Before | None

    @property
    def folder(self) -> str:
        """Name of the release's folder."""
        return (
            layout.release_prefix(self.recipe.name, self.recipe.release.version)
            .rstrip("/")
            .rpartition("/")[2]
        )

    @property
    def title(self) -> str:
        """Its title, or else its name."""
        return self.recipe.release.title or self.recipe.name


def give_account(workspace: Workspace, store: Store, facts: pa.Table, plan: Plan) -> Account:
    """Gather the numbers; the catalog of the release stands in `store` already."""
    recipe, tables = workspace.recipe, workspace.tables
    review = recipe.review
    funnel, reasons = tables.funnel(recipe.profile, recipe.rules_digest, review.checkers, review.max_rejects)
    _, availability = tables.available(recipe.profile)
    known = tables.provenance(facts)
    with store.local(layout.CATALOG) as catalog:
        numbers = statistics(str(catalog))
        before = _before(workspace, str(catalog))
    return Account(
        recipe=recipe,
        plan=plan,
        statistics=numbers,
        provenance=known,
        funnel=funnel,
        reasons=reasons,
        availability=availability,
        audit=residual(known.bad, known.audited, known.human_captions),
        no_audio=facts["audio_codec"].null_count,
        short=int(np.count_nonzero(facts["short_ms"].to_numpy() > 0)),
        before=before,
    )


def parent_of(workspace: Workspace) -> Parent | None:
    """The greatest earlier version of this release that the workspace wrote; None: there is none."""
    recipe = workspace.recipe
    own = _numbers(recipe.release.version)
    earlier = [row for row in workspace.tables.rows(Release, name=recipe.name) if _numbers(row.version) < own]
    if not earlier:
        return None
    last = max(earlier, key=lambda row: _numbers(row.version))
    return Parent(name=last.name, version=last.version, content_sha256=last.content_sha256)


def _before(workspace: Workspace, catalog: str) -> Before | None:
    parent = parent_of(workspace)
    if parent is None:
        return None
    store = Store.open(workspace.store.path(layout.release_prefix(parent.name, parent.version).rstrip("/")))
    try:
        said = Manifest.parse(store.get_bytes(layout.MANIFEST))
        with store.local(layout.CATALOG) as old, differences(str(old), catalog) as found:
            changes: Mapping[str, int] = found.counts
    except (FileNotFoundError, ValueError):
        return Before(parent, None, {}, "")
    try:
        changelog = store.get_bytes(layout.CHANGELOG).decode()
    except FileNotFoundError:  # an older release has none
        changelog = ""
    return Before(parent, said, dict(changes), changelog)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
