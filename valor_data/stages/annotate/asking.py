"""What annotators are to be asked next, from what was asked and answered: pure, and the same at every push.

Every question has an id made of all that makes it this question, so a push that is repeated asks nothing
twice. Who wrote a caption gets no other task of that clip: not its check, nor the same with the sound off,
nor a second try. So those come once the first answer is there.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from valor_data import layout
from valor_data.recipe import Recipe
from valor_data.records import Answer, Caption, CaptionFault, LabelTask, Mode, Origin, Review
from valor_data.stages.annotate.drafting import plant

MOST_TURNS = 3
"""So many people are asked for a caption that others keep rejecting; then the clip is left alone."""
ASKED_BY = "asking@1"


class Clip(NamedTuple):
    """A clip that may be shown."""

    clip_id: str
    labels: tuple[str, ...]
    captioned: bool
    """Whether a caption came with a list."""
    draft: str = ""
    """A model's caption that may be offered to its first writer."""


class Known(NamedTuple):
    """What annotators have said so far."""

    answers: Mapping[str, Sequence[Answer]]
    """task_id -> the standing answers, the oldest first."""
    captions: Mapping[str, Caption]
    """caption_id -> its standing revision; those of our annotators."""
    faults: Mapping[str, CaptionFault]
    reviews: Mapping[str, Sequence[Review]]
    """caption_id -> reviews of whatever revision."""
    asked: Mapping[str, LabelTask]
    """task_id -> what stands on the server, or was answered."""
    waiting: Collection[str]
    """Who has not passed the test and still may: what they say is waited for."""
    out: Collection[str] = frozenset()
    """Who has failed it for good: what they say counts neither way."""


def draws(seed: int, what: str, clip_id: str, share: float) -> bool:
    """Whether a clip falls into a share: by hash, so that more clips do not move it."""
    drawn = hashlib.sha256(f"{seed}\0{what}\0{clip_id}".encode()).digest()[:8]
    return int.from_bytes(drawn, "big") < share * 2**64


def caption_tasks(recipe: Recipe, clip: Clip, known: Known) -> Iterator[LabelTask]:
    """All questions for captions of a clip up to now, those that are answered too."""
    asked = recipe.annotate
    if clip.captioned and not asked.captioned_too:
        return
    writers: list[str] = []
    yield from _turns(recipe, clip, known, "av", 0, writers)
    if not writers:
        return
    extra: tuple[tuple[Mode, int, str, float], ...] = (
        ("av", 1, "overlap", asked.overlap_share),
        ("muted", 0, "muted", asked.muted_share),
        ("screen-off", 0, "screen-off", asked.screen_off_share),
    )
    for mode, slot, what, share in extra:
        if draws(asked.seed, what, clip.clip_id, share):
            yield from _turns(recipe, clip, known, mode, slot, writers)


def review_tasks(recipe: Recipe, captions: Sequence[Caption], known: Known) -> Iterator[LabelTask]:
    """A check of each standing caption that is worth one, gold ones between them, and the audit.

    Gold: the clip of one caption with the text of another clip's, which must be rejected; and a caption that
    all have accepted who checked it, two or more with those of its audit, which must be accepted.
    """
    seed, asked = recipe.annotate.seed, recipe.review
    worth = [one for one in captions if not _goes_back(one, known)]
    for place, caption in enumerate(worth):
        yield from _checks(recipe, caption, known)
        if draws(seed, "gold", caption.clip_id, asked.gold_share):
            other = _stranger(worth, place)
            if other is not None:
                yield _review(
                    other, "gold", expected="reject", shown_on=caption.clip_id, not_for=[caption.author]
                )
        if not is_accepted(recipe, caption, known):
            continue
        said = [(one.reviewer, str(one.decision)) for one in _of_revision(caption, known)]
        if draws(seed, "audit", caption.clip_id, asked.audit_share):
            audit = _review(caption, "audit", not_for=[name for name, _ in said])
            yield audit
            audited = [
                (one.annotator, one.verdict)
                for one in known.answers.get(audit.task_id, ())
                if one.annotator not in {*known.waiting, *known.out, *audit.not_for.split(",")}
            ]
            if not audited:
                continue  # who audits it comes before who must accept it
            said += audited
        is_good = len(said) > 1 and all(verdict == "accept" for _, verdict in said)
        if is_good and draws(seed, "good gold", caption.clip_id, asked.good_gold_share):
            yield _review(caption, "gold", expected="accept", not_for=[name for name, _ in said])


def _checks(recipe: Recipe, caption: Caption, known: Known) -> Iterator[LabelTask]:
    """The check of a caption; and for each place in it that was taken by somebody whose word counts neither
    way, such as one who failed the test, a check by one other, one after another."""
    task = _review(caption, "work")
    yield task
    counted = {one.reviewer for one in _of_revision(caption, known)} | set(known.waiting)
    seen: list[str] = []
    lost = slot = 0
    while True:
        given = [one.annotator for one in known.answers.get(task.task_id, ()) if not one.skipped]
        seen += given
        void = sum(name not in counted for name in given)
        lost += void if slot == 0 else void - 1
        if not lost or (slot and not given) or is_rejected(recipe, caption, known):
            return
        slot += 1
        task = _review(caption, "work", slot=slot, not_for=seen)
        yield task


def is_accepted(recipe: Recipe, caption: Caption, known: Known) -> bool:
    """Whether enough checkers have seen this revision and few enough said no."""
    reviews = _of_revision(caption, known)
    return len(reviews) >= recipe.review.checkers and not is_rejected(recipe, caption, known)


def is_rejected(recipe: Recipe, caption: Caption, known: Known) -> bool:
    """Whether more checkers said no to this revision than the recipe bears."""
    rejects = sum(review.decision == "reject" for review in _of_revision(caption, known))
    return rejects > recipe.review.max_rejects


def _turns(
    recipe: Recipe, clip: Clip, known: Known, mode: Mode, slot: int, writers: list[str]
) -> Iterator[LabelTask]:
    """One question, and again to others as long as its answers do not serve; `writers` grows."""
    for turn in range(1, MOST_TURNS + 1):
        task = _caption_task(recipe, clip, mode, slot, turn, writers)
        if (mode, slot, turn) == ("av", 0, 1) and task.task_id not in known.asked:
            task = _drafted(recipe, clip, task, known)
        yield task
        answers = known.answers.get(task.task_id, ())
        writers += [one.annotator for one in answers if one.annotator not in writers]
        if not answers or _serves(recipe, task, answers[0], known):
            return


def _caption_task(
    recipe: Recipe, clip: Clip, mode: Mode, slot: int, turn: int, writers: Collection[str]
) -> LabelTask:
    asked = recipe.annotate
    task_id = layout.digest(["caption", clip.clip_id, mode, slot, turn])[:24]
    shown = asked.hints == "on" or (asked.hints == "random" and draws(asked.seed, "hints", task_id, 0.5))
    return LabelTask(
        task_id=task_id,
        clip_id=clip.clip_id,
        stage="caption",
        mode=mode,
        slot=slot,
        turn=turn,
        not_for=",".join(writers),
        hints=clip.labels if shown else (),
        made_by=ASKED_BY,
    )


def _drafted(recipe: Recipe, clip: Clip, plain: LabelTask, known: Known) -> LabelTask:
    """The first question with a draft, or in the arm without; as it is where the clip has no draft. One that
    was asked stays as it was asked."""
    seed, task_id = recipe.annotate.seed, layout.digest(["draft", clip.clip_id])[:24]
    if task_id in known.asked:
        return known.asked[task_id]
    if not clip.draft:
        return plain
    task = plain.model_copy(update={"task_id": task_id, "stage": "draft"})
    if draws(seed, "undrafted", clip.clip_id, recipe.annotate.undrafted_share):
        return task
    planted = None
    if draws(seed, "planted", clip.clip_id, recipe.annotate.planted_share):
        planted = plant(clip.draft, clip.clip_id)
    text, word = planted or (clip.draft, "")
    return task.model_copy(update={"draft": text, "planted": word})


def _serves(recipe: Recipe, task: LabelTask, answer: Answer, known: Known) -> bool:
    """Whether a caption came of it that nobody has said no to, or may still come."""
    caption = known.captions.get(caption_id(task, answer))
    if caption is None and answer.annotator in known.waiting:
        return True
    if caption is None or caption.deleted:
        return False
    return not _goes_back(caption, known) and not is_rejected(recipe, caption, known)


def caption_id(task: LabelTask, answer: Answer) -> str:
    """The id of the caption that an answer holds."""
    return layout.caption_id(task.clip_id, Origin.HUMAN, answer.annotator, task.task_id)


def _goes_back(caption: Caption, known: Known) -> bool:
    fault = known.faults.get(caption.caption_id)
    return fault is not None and fault.sends_back and fault.revision == caption.revision


def _of_revision(caption: Caption, known: Known) -> list[Review]:
    return [one for one in known.reviews.get(caption.caption_id, ()) if one.revision == caption.revision]


def _review(
    caption: Caption,
    kind: Literal["work", "gold", "audit"],
    *,
    expected: Literal["accept", "reject", ""] = "",
    shown_on: str = "",
    slot: int = 0,
    not_for: Sequence[str] = (),
) -> LabelTask:
    clip = shown_on or caption.clip_id
    apart = dict.fromkeys([caption.author, *not_for])
    own: list[object] = ["review", kind, clip, caption.caption_id, caption.revision]
    return LabelTask(
        task_id=layout.digest([*own, slot] if slot else own)[:24],
        clip_id=clip,
        stage="review",
        slot=slot,
        kind=kind,
        expected=expected,
        caption_id=caption.caption_id,
        revision=caption.revision,
        not_for=",".join(apart),
        made_by=ASKED_BY,
    )


def _stranger(captions: Sequence[Caption], place: int) -> Caption | None:
    """The next caption of another clip."""
    count, clip = len(captions), captions[place].clip_id
    others = (captions[(place + step) % count] for step in range(1, count))
    return next((one for one in others if one.clip_id != clip), None)
