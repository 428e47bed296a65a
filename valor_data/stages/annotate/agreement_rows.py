"""What the numbers of agreement are made from: who said what, what came of it, and what is left to do."""

from collections.abc import Mapping
from typing import NamedTuple

from valor_data.recipe import Recipe
from valor_data.records import Answer, Caption, LabelTask, Review
from valor_data.stages.annotate.asking import Known, is_accepted, is_rejected
from valor_data.stages.annotate.standing import known, results, shown_clips, standing_tasks
from valor_data.workspace import Workspace


class Said(NamedTuple):
    """An answer that stands, and its question."""

    task: LabelTask
    answer: Answer


class Gathered(NamedTuple):
    """All rows that count; of a deleted answer, caption or review there is none."""

    recipe: Recipe
    written: list[Said]
    """Answers to questions for a caption, skipped ones too; by task, the oldest first."""
    checked: list[Said]
    """Checks, never by who wrote the caption."""
    captions: list[Caption]
    """Standing captions of our annotators."""
    tasks: Mapping[str, LabelTask]
    faults: Mapping[str, tuple[str, ...]]
    """caption_id -> what is wrong with the text as it stands; sound ones may be missing."""
    accepted: Mapping[str, bool]
    """caption_id -> what the checks of this revision came to; only for those that are settled."""
    reviews: Mapping[tuple[str, int], list[Review]]
    """Caption and revision -> its reviews."""
    labels: Mapping[str, tuple[str, ...]]
    """Labels of the clips that may be shown."""
    passed: Mapping[str, bool]
    """Person -> whether the test before the work is passed; who never took it is missing."""
    waiting: int
    """Clips that may be shown, for which a caption is wanted and none is accepted."""

    def counts(self, annotator: str) -> bool:
        """Whether this person's checks count: where there is a test, of those who have passed it."""
        return not self.recipe.annotate.qualify or self.passed.get(annotator, False)

    @property
    def english(self) -> bool:
        """Whether sounds and things can be told: the word lists are English."""
        return self.recipe.captions.language.partition("-")[0].lower() == "en"


def gather(workspace: Workspace) -> Gathered:
    """Read the tables."""
    recipe, said, tasks = workspace.recipe, known(workspace), standing_tasks(workspace)
    captions = [row for row in said.captions.values() if not row.deleted and row.text]
    written, checked = [], []
    for task_id, answers in said.answers.items():
        task = tasks.get(task_id)
        if task is None:
            continue
        for answer in answers:
            if task.stage in ("caption", "draft"):
                written.append(Said(task, answer))
            elif (
                task.stage == "review" and answer.verdict and answer.annotator not in task.not_for.split(",")
            ):
                checked.append(Said(task, answer))
    faults = {
        row.caption_id: fault.faults
        for row in captions
        if (fault := said.faults.get(row.caption_id)) and fault.revision == row.revision
    }
    reviews: dict[tuple[str, int], list[Review]] = {}
    for rows in said.reviews.values():
        for row in rows:
            reviews.setdefault((row.caption_id, row.revision), []).append(row)
    settled = {row.caption_id: _settled(recipe, row, said) for row in captions}
    accepted = {one: came for one, came in settled.items() if came is not None}
    done = {row.clip_id for row in captions if row.modalities_seen == "av" and accepted.get(row.caption_id)}
    labels, waiting = {}, 0
    for shown in shown_clips(workspace):
        clip = shown.clip
        labels[clip.clip_id] = clip.labels
        wanted = recipe.annotate.captioned_too or not clip.captioned
        waiting += wanted and clip.clip_id not in done
    passed = {name: row.passed for name, row in results(workspace).items()}
    return Gathered(
        recipe, written, checked, captions, tasks, faults, accepted, reviews, labels, passed, waiting
    )


def _settled(recipe: Recipe, caption: Caption, said: Known) -> bool | None:
    """Whether it is accepted; None where checks are missing, or its text went back before any."""
    if is_rejected(recipe, caption, said):
        return False
    fault = said.faults.get(caption.caption_id)
    if fault is not None and fault.sends_back and fault.revision == caption.revision:
        return None
    return True if is_accepted(recipe, caption, said) else None
