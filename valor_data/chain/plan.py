"""What a command would do."""

import tempfile

from valor_data.chain.notes import Notes, Options, root_of
from valor_data.errors import Reason
from valor_data.recipe import Recipe, check_reasons
from valor_data.records import BadRow, Report
from valor_data.stages import estimate as estimating
from valor_data.stages import listing, measure
from valor_data.stages import optout as opting_out
from valor_data.tables import Tables
from valor_data.workspace import Workspace


def plan(command: str, recipe: Recipe, options: Options, again: frozenset[Reason] | None = None) -> Report:
    """What a command would do: counts, and no write anywhere in the workspace. The lists are read, and the
    work is asked for, as in earnest, but over a copy of the tables that say what is done."""
    notes = Notes(command, root_of(recipe, options))
    tables = Tables.open(notes.workspace)
    if again is None:
        again = check_reasons(recipe.retry.again)
    with tempfile.TemporaryDirectory(prefix="valor-data-plan-") as scratch:
        tables.copy_to(
            scratch, ("clips", "lists", "bad_rows", "outcomes", "videos", "opt_outs", "tombstones")
        )
        with Workspace.open(recipe, scratch, write=True) as trial:
            list_into(trial, notes, trial=True)
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


def list_into(workspace: Workspace, notes: Notes, *, trial: bool = False) -> None:
    """Read the segment lists. One of which no row can be read is a fault, however well the rest goes. A trial
    keeps no bad rows that a query could show."""
    lists = listing.list_segments(workspace)
    notes.counts["duplicate"] = sum(one.duplicates for one in lists)
    notes.counts["bad_rows"] = sum(one.bad_rows for one in lists)
    for one in lists:
        if one.bad_rows:
            notes.ok = notes.ok and one.bad_rows < one.rows
            first = next(workspace.tables.rows(BadRow, list_id=one.list_id))  # rows come by line
            told = f"{one.name}: {one.bad_rows} of {one.rows} rows refused; line {first.line}: {first.reason}"
            if one.bad_rows > 1 and not trial:
                told += "; all of them: catalog sql 'select line, reason, text from bad_rows'"
            notes.warnings.append(told)
