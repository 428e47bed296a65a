"""The text of captions, checked as they come: what is wrong is kept beside each, and some go back."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from valor_data import layout, text
from valor_data.recipe import FaultKind
from valor_data.records import Caption, CaptionFault, LabelTask, Origin
from valor_data.scorers.language import LanguageFinder
from valor_data.stages.annotate.standing import standing_tasks
from valor_data.workspace import Workspace

_SENSES = {"no_sound": "v", "nothing_seen": "a"}
"""Faults that are none where the author had but one sense, and which."""


class Checked(NamedTuple):
    """What the texts are like."""

    faulty: dict[str, int]
    """Fault -> captions that have it."""
    back: int
    """Captions that somebody else is asked for again."""


def check(workspace: Workspace, *, languages: bool) -> Checked:
    """Check the captions of our annotators that changed since, all of them where the recipe's rules changed;
    and which say the same of several clips.

    `languages`: tell the language too (extra `text`; UserError where it is missing).
    """
    rules, tables = workspace.recipe.captions, workspace.tables
    captions = [row for row in tables.rows(Caption, origin=Origin.HUMAN) if not row.deleted]
    standing = {row.caption_id: row for row in tables.rows(CaptionFault)}
    made_by = f"text-{layout.digest([rules.model_dump(), languages])[:8]}@1"
    clips = {caption.caption_id: caption.clip_id for caption in captions}
    repeats = {
        one
        for repeat in text.repeated((caption.caption_id, caption.text) for caption in captions)
        if len({clips[one] for one in repeat.ids}) > 1
        for one in repeat.ids
    }
    fresh = [one for one in captions if not _is_checked(standing.get(one.caption_id), one, made_by)]
    tasks = standing_tasks(workspace) if fresh else {}
    language_of: Callable[[str], str] | None = LanguageFinder().language_of if languages and fresh else None
    own: dict[str, list[FaultKind]] = {}
    for caption in fresh:
        hints = _hints(tasks.get(caption.external_id))
        found = text.faults(caption.text, rules=rules, hints=hints, language_of=language_of)
        own[caption.caption_id] = [
            one.kind for one in found if _SENSES.get(one.kind) != caption.modalities_seen
        ]
    rows = []
    for caption in captions:
        old = standing.get(caption.caption_id)
        kinds = own.get(caption.caption_id)
        if kinds is None:
            kinds = [kind for kind in old.faults if kind != "repeated"] if old else []  # type: ignore[misc]
        if caption.caption_id in repeats:
            kinds = [*kinds, "repeated"]
        if caption.caption_id not in own and old and old.faults == tuple(kinds):
            continue
        row = CaptionFault(
            caption_id=caption.caption_id,
            revision=caption.revision,
            faults=tuple(kinds),
            sends_back=any(kind in rules.send_back for kind in kinds),
            made_by=made_by,
        )
        standing[caption.caption_id] = row
        rows.append(row)
    tables.append(rows)
    current = [standing[caption.caption_id] for caption in captions]
    counted = Counter(kind for row in current for kind in row.faults)
    return Checked(dict(counted.most_common()), sum(row.sends_back for row in current))


def _is_checked(row: CaptionFault | None, caption: Caption, made_by: str) -> bool:
    return row is not None and (row.revision, row.made_by) == (caption.revision, made_by)


def _hints(task: LabelTask | None) -> tuple[str, ...]:
    return task.hints if task else ()
