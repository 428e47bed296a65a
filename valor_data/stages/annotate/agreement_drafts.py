"""What a model's drafts do to captions: the numbers, and the section that tells them."""

from valor_data.agreement import Drafted, DraftEffect, effect_of_drafts
from valor_data.stages.annotate.agreement_cells import Section, Table, cells, number_cell, share_cell
from valor_data.stages.annotate.agreement_rows import Gathered
from valor_data.stages.annotate.asking import caption_id

_MIDDLE, _MOST = 0.5, 0.95


def drafting(gathered: Gathered) -> DraftEffect:
    """Captions of the project of drafts, with one and without. Faulty is what checks rejected."""
    rows = []
    for task, answer in gathered.written:
        if task.stage == "draft" and answer.text and not answer.skipped:
            accepted = gathered.accepted.get(caption_id(task, answer))
            rows.append(
                Drafted(
                    task.clip_id,
                    answer.annotator,
                    answer.text,
                    task.draft or None,
                    task.planted,
                    None if accepted is None else not accepted,
                    answer.lead_ms or None,
                )
            )
    return effect_of_drafts(rows)


def told(found: DraftEffect) -> Section:
    """For people."""
    rows = [
        cells("captions from a draft, planted ones left out", f"{found.drafted:,}"),
        cells("captions without", f"{found.free:,}"),
        cells("drafts handed in as they were", share_cell(found.unchanged)),
        cells("planted wrong words caught", share_cell(found.caught)),
    ]
    if found.edits:
        changed = f"{found.edits[_MIDDLE]:.2f}, {found.edits[_MOST]:.2f}"
        rows.insert(3, cells("words changed of all, median and 95 of 100 (0 to 1)", changed))
    tables = [Table(("drafts", "number"), rows)]
    if found.drafted and found.free:
        less = [
            cells("seconds, median", number_cell(found.lead_s, 1)),
            cells("words, median", number_cell(found.length_words, 1)),
            cells("rejected by checks", share_cell(found.faulty, drawn=False)),
        ]
        tables.append(Table(("with a draft less without", "difference"), less))
    nothing = not (found.drafted or found.free or found.caught)
    notes = []
    if nothing:
        notes.append(
            "no caption was written from a draft: 'annotate import' a model's captions with --author "
            "model:<name>, set annotate.drafts to that, then 'annotate push'"
        )
    elif not (found.drafted and found.free):
        notes.append("captions with and without a draft are not both there: see annotate.undrafted_share")
    if not nothing and found.caught is None:
        notes.append(
            "no draft with a planted wrong word came back, so nobody knows whether drafts are read: see "
            "annotate.planted_share"
        )
    about = (
        "People take over what they are given. A difference whose interval leaves out 0 is what drafts did. "
        "A text that keeps its planted wrong word becomes no caption: somebody else is asked."
    )
    return Section("Drafts", about, [] if nothing else tables, notes)
