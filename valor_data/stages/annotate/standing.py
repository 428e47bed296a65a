"""What stands in the tables: which clips may be shown, what was asked, and what people said."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from valor_data.records import Answer, Caption, CaptionFault, LabelTask, Origin, Review
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
            yield Shown(Clip(clip_id, tuple(labels), imported), key, fps)


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
    return Known(
        answers,
        {row.caption_id: row for row in tables.rows(Caption, origin=Origin.HUMAN)},
        {row.caption_id: row for row in tables.rows(CaptionFault)},
        reviews,
    )


def standing_tasks(workspace: Workspace) -> dict[str, LabelTask]:
    """What was asked, by task_id."""
    return {row.task_id: row for row in workspace.tables.rows(LabelTask)}
