"""The library twins of the commands: each strings stages together and returns a `Report`.

recipe = valor_data.recipe.load("pipelines/demo.toml")
report = valor_data.chain.fetch(recipe, Options(workers=2))
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from valor_data import layout
from valor_data.errors import Reason, UserError
from valor_data.politeness import Hosts
from valor_data.recipe import ListSpec, Recipe, check_reasons
from valor_data.recipe import metric as known_metric
from valor_data.records import OptOut, Report
from valor_data.runner import Stage, Tally, run_stage
from valor_data.stages import availability as publishing
from valor_data.stages import decide as deciding
from valor_data.stages import doctor as examining
from valor_data.stages import estimate as estimating
from valor_data.stages import fetch as fetching
from valor_data.stages import importing, listing, measure
from valor_data.stages import neighbours as comparing
from valor_data.stages import optout as opting_out
from valor_data.stages import quarantine as quarantining
from valor_data.stages import release as releasing
from valor_data.stages import shard as sharding
from valor_data.store import Store
from valor_data.tables import Tables
from valor_data.workspace import Workspace


class Options(NamedTuple):
    """What belongs to one run and not to the dataset."""

    workspace: str | None = None
    """Folder or fsspec URL; else the recipe's."""
    workers: int | None = None
    """Worker processes; None: one per core."""
    engine: Literal["local", "inline", "ray"] = "local"
    limit: int | None = None
    """At most so many clips in this run."""
    dry_run: bool = False
    """Say what would be done; write nothing."""
    take_over: bool = False
    """Take the lock of a remote workspace whose writer stopped beating."""
    progress: bool = True


DEFAULTS = Options()


_FUNNEL = (
    "listed", "duplicate", "bad_rows", "to_fetch", "fetched", "failed", "unavailable", "to_measure",
    "measured", "kept", "rejected", "captioned", "accepted", "released", "retracted",
)  # fmt: skip


def _funnel_place(name: str) -> int:
    """Counts are told in the order of the funnel; what is not of it comes after."""
    return _FUNNEL.index(name) if name in _FUNNEL else len(_FUNNEL)


class _Notes:
    """What a command gathers on its way to a Report."""

    def __init__(self, command: str, workspace: str) -> None:
        self.command, self.workspace = command, workspace
        self.started = time.monotonic()
        self.ok = True
        self.counts: dict[str, int] = {}
        self.reasons: Counter[str] = Counter()
        self.outputs: list[str] = []
        self.plan: tuple[str, ...] = ()
        self.warnings: list[str] = []

    def tally(self, tally: Tally, max_fault_share: float, standing: int) -> None:
        """What a stage did in this run, and whether too many failed: of all clips that it has ever
        done (`standing` before this run), lest the few that always fail stop a run that retries them."""
        self.counts["new"] = tally.ok
        self.warnings += [f"unknown fault: {message}" for message in tally.unknown]
        if tally.left:
            told = ", ".join(f"{reason} {count}" for reason, count in tally.left.most_common())
            self.warnings.append(f"copies in mirrors that could not serve, so the platform was asked: {told}")
        for host, stopped in tally.stopped.items():
            self.ok = False
            self.warnings.append(stopped.told(host, tally.untried[host]))
        done = tally.done + standing
        if tally.failed > max_fault_share * done:
            self.ok = False
            self.warnings.append(
                f"{tally.failed} of {done} clips failed, more than max_fault_share = "
                f"{max_fault_share:g}; what is done is kept, and the same command tries the failed ones again"
            )

    def report(self) -> Report:
        return Report(
            command=self.command,
            ok=self.ok,
            workspace=self.workspace,
            counts={name: self.counts[name] for name in sorted(self.counts, key=_funnel_place)},
            reasons=dict(self.reasons.most_common()),
            seconds=round(time.monotonic() - self.started, 3),
            outputs=tuple(self.outputs),
            plan=self.plan,
            warnings=tuple(self.warnings),
        )


def init(folder: str, name: str = "starter") -> Report:
    """A dataset folder with a recipe of `pipelines/` to edit, and its segment list where it ships one.

    Raises UserError where the folder holds a recipe of that name, or no such recipe ships.
    """
    notes = _Notes("init", folder)
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
        return _plan("fetch", recipe, options, again)
    with _writing("fetch", recipe, options) as (workspace, notes):
        _list(workspace, notes)
        opting_out.load(workspace)
        if workspace.unclean:
            fetching.sweep(workspace)
        before, _ = workspace.tables.funnel(recipe.profile, recipe.rules_digest)
        standing = before["fetched"] + before["unavailable"]
        notes.tally(_fetch(recipe, workspace, options, again), recipe.max_fault_share, standing)
        notes.reasons.update(_funnel(workspace, notes, "listed", "fetched", "failed", "unavailable")["fetch"])
    return notes.report()


def _fetch(recipe: Recipe, workspace: Workspace, options: Options, again: frozenset[Reason]) -> Tally:
    """From the mirrors that come first, then from the platform at the pace that its hosts bear."""
    channels = frozenset(row.value for row in workspace.tables.rows(OptOut, scope="channel"))
    found = Tally()
    if any(mirror.when == "before" for mirror in recipe.mirrors):
        stage = fetching.FetchStage(
            recipe, workspace.root, again=again, closed_channels=channels, from_mirrors=True
        )
        found = _run(stage, workspace, options)
    left = None if options.limit is None else options.limit - found.ok
    if left == 0:
        return found
    stage = fetching.FetchStage(recipe, workspace.root, again=again, closed_channels=channels)
    return found + _run(stage, workspace, options._replace(limit=left), Hosts(recipe.hosts))


def filter(recipe: Recipe, options: Options = DEFAULTS, *, decide_only: bool = False) -> Report:
    """Measure what is not measured, then judge every measured clip by the recipe's rules."""
    if options.dry_run:
        return _plan("filter", recipe, options)
    with _writing("filter", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        if not decide_only:
            stage = measure.MeasureStage(recipe, workspace.root)
            before, _ = workspace.tables.funnel(recipe.profile, recipe.rules_digest)
            notes.tally(_run(stage, workspace, options), recipe.max_fault_share, before["measured"])
            notes.reasons.update(_funnel(workspace, notes, "measured")["measure"])
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
    with _reading(recipe, options) as workspace:
        return deciding.explain(workspace, clip_id)


def tune(recipe: Recipe, options: Options, metric: str) -> deciding.Tuning:
    """How a metric is spread over the measured clips, and what thresholds would drop; no verdict is written.

    Raises UserError for a metric that there is not.
    """
    try:
        known_metric(metric)
    except ValueError as error:
        raise UserError(f"--tune: {error}") from None
    with _reading(recipe, options) as workspace:
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
    with _reading(recipe, options) as workspace:
        return deciding.compare(workspace, other)


def quarantine(recipe: Recipe, options: Options, clips: Sequence[str], *, lift: bool = False) -> Report:
    """A person's word that clips are unsafe, or with `lift` that they were looked at and are harmless."""
    with _writing("quarantine", recipe, options) as (workspace, notes):
        quarantining.by_hand(workspace, clips, lift=lift)
        notes.counts["quarantined"] = quarantining.quarantine(workspace)
        deciding.decide(workspace)
    return notes.report()


def import_captions(recipe: Recipe, options: Options = DEFAULTS, *, spec: ListSpec | None = None) -> Report:
    """Captions of one file, or else of the recipe's own lists, as `Caption` rows."""
    specs = (spec,) if spec else recipe.segments.lists
    with _writing("annotate import", recipe, options) as (workspace, notes):
        captions = unknown = bad = 0
        for one in specs:
            imported = importing.import_captions(workspace, one)
            captions += imported.captions
            unknown += imported.unknown_clips
            bad += len(imported.bad_rows)
            notes.warnings += [f"{Path(one.path).name}:{row}" for row in imported.bad_rows[:20]]
            if imported.unknown_clips:
                notes.warnings.append(
                    f"{Path(one.path).name}: {imported.unknown_clips} clips are in no list of this "
                    "workspace; their captions stay out"
                )
        notes.counts |= {"new_captions": captions, "unknown_clips": unknown, "bad_rows": bad}
        _funnel(workspace, notes, "captioned", "accepted")
    return notes.report()


def catalog_build(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Compact the tables and write `catalog.parquet`, one row a clip."""
    with _writing("catalog build", recipe, options) as (workspace, notes):
        workspace.tables.compact()
        notes.counts["rows"] = workspace.tables.write_catalog(layout.CATALOG)
        notes.outputs.append(layout.CATALOG)
    return notes.report()


def sql(query: str, workspace: str) -> pa.Table:
    """One SELECT over the catalog's views; it can read nothing else and write nothing.

    Raises UserError where no workspace is, and for a query that is refused or wrong.
    """
    if not any(Store.open(workspace).list(layout.TABLES)):
        raise UserError(f"{workspace}: no workspace there; name one with --workspace")
    return Tables.open(workspace).sql(query)


def shard(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """Kept, captioned and split clips to a release."""
    with _writing("shard", recipe, options) as (workspace, notes):
        opting_out.load(workspace)
        asked_again = partial(fetching.restated, recipe, workspace.root)
        made = sharding.write_release(workspace, progress=options.progress, recheck=asked_again)
        notes.counts |= made.counts
        notes.reasons.update(made.reasons)
        notes.outputs.append(made.prefix)
        notes.warnings += made.warnings
    return notes.report()


def verify(release: str, *, deep: bool = False) -> Report:
    """Check a release folder or URL against its manifest; `deep` decodes every clip."""
    notes = _Notes("release verify", release)
    result = releasing.verify(release, deep=deep)
    notes.ok = result.ok
    notes.counts |= result.counts
    notes.warnings += result.problems
    return notes.report()


def run(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """The whole chain of a recipe; each step does only what is missing."""
    if options.dry_run:
        return _plan("run", recipe, options)
    notes = _Notes("run", _root(recipe, options))
    for step in (fetch, filter, catalog_build, shard):
        report = step(recipe, options)
        notes.outputs += report.outputs
        notes.warnings += report.warnings
        if not report.ok:
            notes.ok = False
            break
    else:
        checked = verify(f"{notes.workspace.rstrip('/')}/{notes.outputs[-1]}")
        notes.ok = checked.ok
        notes.warnings += checked.warnings
    standing = status(recipe, options)
    notes.counts |= standing.counts
    notes.reasons.update(standing.reasons)
    return notes.report()


def status(recipe: Recipe, options: Options = DEFAULTS, *, availability: str | None = None) -> Report:
    """The funnel so far, with reasons; with `availability`, a folder or URL, also the manifest of what is
    there, to publish."""
    notes = _Notes("status", _root(recipe, options))
    with _reading(recipe, options) as workspace:
        _funnel(workspace, notes)
        if availability is not None:
            published = publishing.publish(workspace, availability)
            notes.counts |= published.counts
            notes.outputs += published.outputs
    return notes.report()


def _plan(command: str, recipe: Recipe, options: Options, again: frozenset[Reason] | None = None) -> Report:
    """What a command would do: counts, and no write anywhere in the workspace. The lists are read, and the
    work is asked for, as in earnest, but over a copy of the tables that say what is done."""
    notes = _Notes(command, _root(recipe, options))
    tables = Tables.open(notes.workspace)
    if again is None:
        again = check_reasons(recipe.retry.again)
    with tempfile.TemporaryDirectory(prefix="valor-data-plan-") as scratch:
        tables.copy_to(scratch, ("clips", "lists", "outcomes", "videos", "opt_outs"))
        with Workspace.open(recipe, scratch, write=True) as trial:
            _list(trial, notes)
            opting_out.load(trial)
            notes.counts["listed"] = trial.tables.count("clips")
            to_fetch, work = trial.tables.work_by_host(f"fetch/{recipe.profile}", again, options.limit)
    notes.counts["to_fetch"] = to_fetch
    if tables.count("clips"):
        wanted = {one.made_by: one.record.table for one in measure.measurers(recipe)}
        stage = measure.MeasureStage(recipe, notes.workspace).name
        notes.counts["to_measure"] = tables.count_unmeasured(recipe.profile, wanted, stage)
    if command != "filter":
        planned = estimating.estimate(recipe, work, tables.sizes(recipe.profile))
        notes.plan = planned.lines
        notes.counts |= {
            "videos": planned.videos,
            "bytes_to_read": planned.bytes_to_read,
            "bytes_to_keep": planned.bytes_to_keep,
        }
    return notes.report()


def _list(workspace: Workspace, notes: _Notes) -> None:
    lists = listing.list_segments(workspace)
    notes.counts["duplicate"] = sum(one.duplicates for one in lists)
    notes.counts["bad_rows"] = sum(one.bad_rows for one in lists)
    for one in lists:
        if one.bad_rows:
            notes.warnings.append(
                f"{one.name}: {one.bad_rows} of {one.rows} rows refused; see them with "
                "catalog sql 'select line, reason, text from bad_rows'"
            )


def _run(stage: Stage[Any, Any], workspace: Workspace, options: Options, hosts: Hosts | None = None) -> Tally:
    return run_stage(
        stage,
        workspace,
        engine=options.engine,
        workers=options.workers,
        limit=options.limit,
        progress=options.progress,
        hosts=hosts,
    )


def _funnel(workspace: Workspace, notes: _Notes, *names: str) -> dict[str, dict[str, int]]:
    """Take counts of the funnel into the notes (all of them and all reasons, if none is named); the
    reasons of each stage."""
    counts, reasons = workspace.tables.funnel(workspace.recipe.profile, workspace.recipe.rules_digest)
    notes.counts |= {name: counts[name] for name in names or counts}
    if not names:
        for stage_reasons in reasons.values():
            notes.reasons.update(stage_reasons)
    return reasons


def _root(recipe: Recipe, options: Options) -> str:
    return options.workspace or recipe.workspace or f"./{recipe.name}"


@contextmanager
def _writing(command: str, recipe: Recipe, options: Options) -> Iterator[tuple[Workspace, _Notes]]:
    notes = _Notes(command, _root(recipe, options))
    with Workspace.open(recipe, notes.workspace, write=True, take_over=options.take_over) as workspace:
        try:
            yield workspace, notes
        except BaseException:
            notes.ok = False
            raise
        finally:
            workspace.save_report(notes.report())


@contextmanager
def _reading(recipe: Recipe, options: Options) -> Iterator[Workspace]:
    with Workspace.open(recipe, _root(recipe, options), write=False) as workspace:
        yield workspace
