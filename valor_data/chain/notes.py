"""What all commands share: the options of a run, the notes that become a Report, an open workspace."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from valor_data.politeness import Hosts
from valor_data.recipe import Recipe
from valor_data.records import Report
from valor_data.runner import Stage, Tally, run_stage
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


class Notes:
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
        self.details: dict[str, Any] = {}

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
            details=self.details,
        )


def run_in(
    stage: Stage[Any, Any], workspace: Workspace, options: Options, hosts: Hosts | None = None
) -> Tally:
    return run_stage(
        stage,
        workspace,
        engine=options.engine,
        workers=options.workers,
        limit=options.limit,
        progress=options.progress,
        hosts=hosts,
    )


def take_funnel(workspace: Workspace, notes: Notes, *names: str) -> dict[str, dict[str, int]]:
    """Take counts of the funnel into the notes (all of them and all reasons, if none is named); the
    reasons of each stage."""
    recipe = workspace.recipe
    rule = (recipe.review.checkers, recipe.review.max_rejects)
    counts, reasons = workspace.tables.funnel(recipe.profile, recipe.rules_digest, *rule)
    notes.counts |= {name: counts[name] for name in names or counts}
    if not names:
        for stage_reasons in reasons.values():
            notes.reasons.update(stage_reasons)
    return reasons


def root_of(recipe: Recipe, options: Options) -> str:
    return options.workspace or recipe.workspace or f"./{recipe.name}"


@contextmanager
def writing(command: str, recipe: Recipe, options: Options) -> Iterator[tuple[Workspace, Notes]]:
    notes = Notes(command, root_of(recipe, options))
    with Workspace.open(recipe, notes.workspace, write=True, take_over=options.take_over) as workspace:
        try:
            yield workspace, notes
        except BaseException:
            notes.ok = False
            raise
        finally:
            workspace.save_report(notes.report())


@contextmanager
def reading(recipe: Recipe, options: Options) -> Iterator[Workspace]:
    with Workspace.open(recipe, root_of(recipe, options), write=False) as workspace:
        yield workspace
