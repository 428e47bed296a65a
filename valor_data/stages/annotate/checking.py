"""The text of captions, checked as they come: what is wrong is kept beside each, and some go back."""

from collections.abc import Callable
from typing import NamedTuple

from valor_data import text
from valor_data.records import Caption, CaptionFault, LabelTask, Origin
from valor_data.scorers.language import LanguageFinder
from valor_data.stages.annotate.standing import standing_tasks
from valor_data.workspace import Workspace

_BY = "text@1"
_SENSES = {"no_sound": "v", "nothing_seen": "a"}
"""Faults that are none where the author had but one sense, and which."""


class Checked(NamedTuple):
    """What the texts are like."""

    faulty: dict[str, int]
    """Fault -> captions that have it."""
    back: int
    """Captions that somebody else is asked for again."""


def check(workspace: Workspace, *, languages: bool) -> Checked:
    """Check the captions of our annotators that changed, and which say the same of several clips.

    `languages`: tell the language too (extra `text`; UserError where it is missing).
    """
    rules, tables = workspace.recipe.captions, workspace.tables
    captions = [row for row in tables.rows(Caption, origin=Origin.HUMAN) if not row.deleted]
    standing = {row.caption_id: row for row in tables.rows(CaptionFault)}
    tasks = standing_tasks(workspace)
    language_of: Callable[[str], str] | None = (
        LanguageFinder().language_of if languages and captions else None
    )
    told = {
        one: repeat
        for repeat in text.repeated((c.caption_id, c.text) for c in captions)
        for one in repeat.ids
    }
    clips = {caption.caption_id: caption.clip_id for caption in captions}
    rows = []
    for caption in captions:
        hints = _hints(tasks.get(caption.external_id))
        found = [
            one.kind for one in text.faults(caption.text, rules=rules, hints=hints, language_of=language_of)
        ]
        kinds = [kind for kind in found if _SENSES.get(kind) != caption.modalities_seen]
        repeat = told.get(caption.caption_id)
        if repeat is not None and len({clips[one] for one in repeat.ids}) > 1:
            kinds.append("repeated")
        row = CaptionFault(
            caption_id=caption.caption_id,
            revision=caption.revision,
            faults=tuple(kinds),
            sends_back=any(kind in rules.send_back for kind in kinds),
            made_by=_BY,
        )
        old = standing.get(caption.caption_id)
        if (old is not None or kinds) and (old is None or _content(old) != _content(row)):
            rows.append(row)
        standing[caption.caption_id] = row
    tables.append(rows)
    counted: dict[str, int] = {}
    current = [standing[caption.caption_id] for caption in captions]
    for kind in (kind for row in current for kind in row.faults):
        counted[kind] = counted.get(kind, 0) + 1
    return Checked(counted, sum(row.sends_back for row in current))


def _hints(task: LabelTask | None) -> tuple[str, ...]:
    return task.hints if task else ()


def _content(row: CaptionFault) -> tuple[object, ...]:
    return row.revision, row.faults, row.sends_back
