"""From segments to clips that are known and judged."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from valor_data import layout
from valor_data.chain.notes import (
    DEFAULTS,
    Notes,
    Options,
    reading,
    run_in,
    take_funnel,
    writing,
)
from valor_data.chain.plan import list_into, plan
from valor_data.errors import Reason, UserError
from valor_data.politeness import Hosts
from valor_data.recipe import Recipe, check_reasons
from valor_data.recipe import metric as known_metric
from valor_data.records import OptOut, Report
from valor_data.runner import Tally
from valor_data.stages import decide as deciding
from valor_data.stages import doctor as examining
from valor_data.stages import fetch as fetching
from valor_data.stages import measure
from valor_data.stages import neighbours as comparing
from valor_data.stages import optout as opting_out
from valor_data.stages import quarantine as quarantining
from valor_data.stages import retract as retracting
from valor_data.workspace import Workspace


def init(folder: str, name: str = "starter") -> Report:
    """A dataset folder with a recipe of `pipelines/` to edit, and its segment list where it ships one.

    Raises UserError where the folder holds a recipe of that name, or no such recipe ships.
    """
    notes = Notes("init", folder)
    source = layout.asset("pipelines", f"{name}.toml")
    if not source.exists():
        known = ", ".join(sorted(path.stem for path in layout.asset("pipelines").glob("*.toml")))
        raise UserError(f"no recipe {name!r} ships with valor-data; known: {known}")
    for file in (source, *source.parent.glob(f"{name}-segments.*")):
        target = Path(folder, file.name)
        if target.exists():
            raise UserError(f"{target} exists; choose another folder or remove it")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        notes.outputs.append(str(target))
    return notes.report()


def doctor(workspace: str) -> list[examining.Check]:
    """Is this machine fit for the chain?"""
    return examining.examine(workspace)


def fetch(recipe: Recipe, options: Options = DEFAULTS, *, retry: tuple[str, ...] | None = None) -> Report:
    """Segment lists to clips in the store.

    `retry` replaces the recipe's `retry.again`: the reasons, and classes of reasons, for which lost
    clips are asked for again. Raises UserError for a word that is neither.
    """
    try:
        again = check_reasons(recipe.retry.again if retry is None else retry)
    except ValueError as error:
        raise UserError(f"--retry: {error}") from None
    if options.dry_run:
        return plan("fetch", recipe, options, again)
    with writing("fetch", recipe, options) as (workspace, notes):
        list_into(workspace, notes)
        opting_out.load(workspace)
        retracting.reject_in_ledger(workspace)
        if workspace.unclean:
            fetching.sweep(workspace)
        before, _ = workspace.tables.funnel(recipe.profile, recipe.rules_digest)
        standing = before["fetched"] + before["unavailable"]
        notes.tally(_fetch(recipe, workspace, options, again), recipe.max_fault_share, standing)
        notes.reasons.update(
            take_funnel(workspace, notes, "listed", "fetched", "failed", "unavailable")["fetch"]
        )
    return notes.report()


def _fetch(recipe: Recipe, workspace: Workspace, options: Options, again: frozenset[Reason]) -> Tally:
    """From the mirrors that come first, then from the platform at the pace that its hosts bear."""
    channels = frozenset(row.value for row in workspace.tables.rows(OptOut, scope="channel"))
    found = Tally()
    if any(mirror.when == "before" for mirror in recipe.mirrors):
        stage = fetching.FetchStage(
            recipe, workspace.root, again=again, closed_channels=channels, from_mirrors=True
        )
        found = run_in(stage, workspace, options)
    left = None if options.limit is None else options.limit - found.ok
    if left == 0:
        return found
    stage = fetching.FetchStage(recipe, workspace.root, again=again, closed_channels=channels)
    return found + run_in(stage, workspace, options._replace(limit=left), Hosts(recipe.hosts))


def filter(recipe: Recipe, options: Options = DEFAULTS, *, decide_only: bool = False) -> Report:
    """Measure what is not measured, then judge every measured clip by the recipe's rules."""
    if options.dry_run:
        return plan("filter", recipe, options)
    with writing("filter", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        if not decide_only:
            stage = measure.MeasureStage(recipe, workspace.root)
            before, _ = workspace.tables.funnel(recipe.profile, recipe.rules_digest)
            notes.tally(run_in(stage, workspace, options), recipe.max_fault_share, before["measured"])
            notes.reasons.update(take_funnel(workspace, notes, "measured")["measure"])
            found = comparing.compare(workspace)
            notes.counts |= {"duplicates": found.duplicates, "leaked": found.leaked}
            notes.warnings += found.warnings
        else:
            notes.warnings += deciding.unmade(workspace)
        notes.counts["quarantined"] = quarantining.quarantine(workspace)
        decision = deciding.decide(workspace)
        if decision.measured == 0:
            raise UserError(f"{workspace.root}: no clip to judge; run 'valor-data fetch' first")
        notes.counts |= {
            "measured": decision.measured,
            "kept": decision.kept,
            "rejected": decision.measured - decision.kept,
        }
        notes.reasons.update(decision.reasons)
        notes.warnings += decision.alarms
    return notes.report()


def explain(recipe: Recipe, options: Options, clip_id: str) -> list[str]:
    """Why a clip is kept or rejected: its fetch, its numbers and every rule, a line each."""
    with reading(recipe, options) as workspace:
        return deciding.explain(workspace, clip_id)


def tune(recipe: Recipe, options: Options, metric: str) -> deciding.Tuning:
    """How a metric is spread over the measured clips, and what thresholds would drop; no verdict is written.

    Raises UserError for a metric that there is not.
    """
    try:
        known_metric(metric)
    except ValueError as error:
        raise UserError(f"--tune: {error}") from None
    with reading(recipe, options) as workspace:
        return deciding.tune(workspace, metric)


def diff(recipe: Recipe, options: Options, other: Recipe) -> deciding.Comparison:
    """Which measured clips change side under another recipe's rules and balance; no verdict is written.

    Raises UserError for a recipe of other media.
    """
    if other.profile != recipe.profile:
        raise UserError(
            f"--diff: the other recipe is about media of profile {other.profile}, this one about "
            f"{recipe.profile}; give both the same [fetch]"
        )
    with reading(recipe, options) as workspace:
        return deciding.compare(workspace, other)


def quarantine(recipe: Recipe, options: Options, clips: Sequence[str], *, lift: bool = False) -> Report:
    """A person's word that clips are unsafe, or with `lift` that they were looked at and are harmless."""
    with writing("quarantine", recipe, options) as (workspace, notes):
        quarantining.by_hand(workspace, clips, lift=lift)
        notes.counts["quarantined"] = quarantining.quarantine(workspace)
        deciding.decide(workspace)
    return notes.report()
