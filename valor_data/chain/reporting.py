"""What a workspace holds: its funnel, and all of it on one page."""

from valor_data.chain.notes import DEFAULTS, Notes, Options, reading, root_of, take_funnel
from valor_data.recipe import Recipe
from valor_data.records import Answer, Report
from valor_data.stages import annotate
from valor_data.stages import availability as publishing
from valor_data.stages import optout as opting_out
from valor_data.stages import report as reporting


def status(recipe: Recipe, options: Options = DEFAULTS, *, availability: str | None = None) -> Report:
    """The funnel so far, with reasons; with `availability`, a folder or URL, also the manifest of what is
    there, to publish."""
    notes = Notes("status", root_of(recipe, options))
    with reading(recipe, options) as workspace:
        take_funnel(workspace, notes)
        if availability is not None:
            published = publishing.publish(workspace, availability)
            notes.counts |= published.counts
            notes.outputs += published.outputs
    return notes.report()


def report(recipe: Recipe, options: Options = DEFAULTS) -> Report:
    """The state of a workspace as one HTML page in it: funnel, measures, captions, clips to look at. It needs
    nothing beside itself but the clips, to play them.

    No lock is taken: a run may go on meanwhile.
    """
    notes = Notes("report", root_of(recipe, options))
    with reading(recipe, options) as workspace:
        asked = workspace.tables.has_rows(Answer.table)
        annotating = annotate.agree(workspace).panel() if asked else ""
        made = reporting.report(workspace, opting_out.unheeded(workspace), annotating)
        notes.counts |= made.counts
        for reasons in made.reasons.values():
            notes.reasons.update(reasons)
        notes.outputs.append(made.page)
    return notes.report()
