"""A workspace on one page."""

from valor_data.chain.notes import DEFAULTS, Notes, Options, reading, root_of
from valor_data.recipe import Recipe
from valor_data.records import Answer, Report
from valor_data.stages import annotate
from valor_data.stages import optout as opting_out
from valor_data.stages import report as reporting


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
