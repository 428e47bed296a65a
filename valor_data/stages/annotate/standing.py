"""What stands in the tables: which clips may be shown, what was asked, and what people said."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from valor_data.records import Answer, Caption, CaptionFault, LabelTask, Origin, Qualified, Review
from valor_data.stages.annotate import qualifying
from valor_data.stages.annotate.asking import Clip, Known
from valor_data.workspace import Workspace


class Shown(NamedTuple):
    """A clip that may be shown, and where it lies."""

    clip: Clip
    object_key: str
    fps: float


def shown_clips(workspace: Workspace) -> Iterator[Shown]:
    """Kept clips, by clip_id, that nobody opted out and that are not in quarantine."""
    recipe = workspace.recipe
    drafts = _drafts(workspace)
    batches = workspace.tables.releasable(
        recipe.profile,
        recipe.rules_digest,
        recipe.review.checkers,
        recipe.review.max_rejects,
        require_caption=False,
    )
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("clip_id", "labels", "captions", "object_key", "fps"))
        for clip_id, labels, captions, key, fps in zip(*columns, strict=True):
            imported = any(one["origin"] == Origin.IMPORTED for one in captions)
            yield Shown(Clip(clip_id, tuple(labels), imported, drafts.get(clip_id, "")), key, fps)


def _drafts(workspace: Workspace) -> dict[str, str]:
    """clip_id -> the caption of the recipe's model, the first by caption_id."""
    author = workspace.recipe.annotate.drafts
    found: dict[str, str] = {}
    if author is not None:
        for row in workspace.tables.rows(Caption, origin=Origin.MODEL, author=author):
            if row.text and not row.deleted:
                found.setdefault(row.clip_id, row.text)
    return found


def known(workspace: Workspace) -> Known:
    """All that annotators have said."""
    tables = workspace.tables
    answers: dict[str, list[Answer]] = defaultdict(list)
    for answer in sorted(tables.rows(Answer), key=lambda row: (row.answered_at_us, row.answer_id)):
        if not answer.deleted:
            answers[answer.task_id].append(answer)
    reviews: dict[str, list[Review]] = defaultdict(list)
    for review in tables.rows(Review):
        if not review.deleted:
            reviews[review.caption_id].append(review)
    tasks = standing_tasks(workspace).values()
    waiting: set[str] = set()
    out: set[str] = set()
    if workspace.recipe.annotate.qualify:
        test, rows = qualifying.read(qualifying.file_of(workspace.recipe)), results(workspace)
        people = {answer.annotator for said in answers.values() for answer in said}
        not_passed = {one for one in people if not (one in rows and rows[one].passed)}
        out = {one for one in not_passed if qualifying.is_out(test, rows.get(one))}
        waiting = not_passed - out
    return Known(
        answers,
        {row.caption_id: row for row in tables.rows(Caption, origin=Origin.HUMAN)},
        {row.caption_id: row for row in tables.rows(CaptionFault)},
        reviews,
        {row.task_id: row for row in tasks if not row.withdrawn or row.task_id in answers},
        waiting,
        out,
    )


def results(workspace: Workspace) -> dict[str, Qualified]:
    """How each person stands in the test."""
    return {row.annotator: row for row in workspace.tables.rows(Qualified)}


def standing_tasks(workspace: Workspace) -> dict[str, LabelTask]:
    """What was asked, by task_id."""
    return {row.task_id: row for row in workspace.tables.rows(LabelTask)}
