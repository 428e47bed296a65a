"""What annotators are asked next: from what was asked and answered, the same at every push."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data import recipe
from valor_data.recipe import Recipe
from valor_data.records import Answer, Caption, CaptionFault, LabelTask, Origin, Review
from valor_data.stages.annotate import asking
from valor_data.stages.annotate.asking import Clip, Known, caption_id, caption_tasks, draws, review_tasks

CLIP = Clip("v_0_10000", ("Dog",), captioned=False)
GOOD = "A dog barks while it runs."


def made(**raw: Any) -> Recipe:
    return recipe.parse({"name": "made", **raw}, "made.toml")


class World:
    """What people said so far."""

    def __init__(self, chosen: Recipe) -> None:
        self.recipe = chosen
        self.answers: dict[str, list[Answer]] = {}
        self.captions: dict[str, Caption] = {}
        self.faults: dict[str, CaptionFault] = {}
        self.reviews: dict[str, list[Review]] = {}
        self.tasks: dict[str, LabelTask] = {}
        self.waiting: set[str] = set()
        self.out: set[str] = set()

    @property
    def known(self) -> Known:
        return Known(
            self.answers, self.captions, self.faults, self.reviews, self.tasks, self.waiting, self.out
        )

    def asked(self, clip: Clip = CLIP) -> list[LabelTask]:
        return list(caption_tasks(self.recipe, clip, self.known))

    def checks(self) -> list[LabelTask]:
        return list(review_tasks(self.recipe, list(self.captions.values()), self.known))

    def answer(self, task: LabelTask, annotator: str, text: str = GOOD) -> Caption | None:
        facts = {
            "task_id": task.task_id,
            "clip_id": task.clip_id,
            "annotator": annotator,
            "made_by": "pull@1",
        }
        given = Answer.model_validate({"answer_id": f"{task.task_id}{annotator}", "text": text, **facts})
        self.answers.setdefault(task.task_id, []).append(given)
        self.tasks[task.task_id] = task
        if not text:
            return None
        own = caption_id(task, given)
        self.captions[own] = Caption(
            caption_id=own,
            clip_id=task.clip_id,
            text=text,
            author=annotator,
            origin=Origin.HUMAN,
            made_by="p",
        )
        return self.captions[own]

    def checked(self, task: LabelTask, annotator: str, verdict: str = "accept") -> None:
        """Somebody's word in a task; what it counts for is said by `review`."""
        facts = {"task_id": task.task_id, "clip_id": task.clip_id, "annotator": annotator, "made_by": "p"}
        given = Answer.model_validate(
            {"answer_id": f"{task.task_id}{annotator}", "verdict": verdict, **facts}
        )
        self.answers.setdefault(task.task_id, []).append(given)

    def review(self, caption: Caption, decision: str, *reviewers: str) -> None:
        for name in reviewers:
            facts = {"caption_id": caption.caption_id, "reviewer": name, "decision": decision, "made_by": "p"}
            self.reviews.setdefault(caption.caption_id, []).append(
                Review.model_validate({**facts, "revision": caption.revision})
            )


def turns(tasks: Sequence[LabelTask]) -> list[tuple[str, int, int, str]]:
    return [(task.mode, task.slot, task.turn, task.not_for) for task in tasks]


def test_one_question_until_it_is_answered_and_no_more_after() -> None:
    world = World(made())
    (task,) = world.asked()
    assert turns([task]) == [("av", 0, 1, "")]
    world.answer(task, "ann-1")
    assert world.asked() == [task]


def test_a_clip_with_an_imported_caption_is_asked_only_when_the_recipe_says_so() -> None:
    captioned = CLIP._replace(captioned=True)
    assert World(made()).asked(captioned) == []
    assert len(World(made(annotate={"captioned_too": True})).asked(captioned)) == 1


@pytest.mark.parametrize("bad", ["no text", "faulty", "rejected"])
def test_what_does_not_serve_goes_to_others_and_ends(bad: str) -> None:
    world = World(made(review={"checkers": 3, "max_rejects": 1}))
    for turn in range(1, asking.MOST_TURNS + 1):
        tasks = world.asked()
        assert len(tasks) == turn
        assert tasks[-1].not_for == ",".join(f"ann-{n}" for n in range(1, turn))
        caption = world.answer(tasks[-1], f"ann-{turn}", "" if bad == "no text" else GOOD)
        if bad == "faulty":
            assert caption
            world.faults[caption.caption_id] = CaptionFault(
                caption_id=caption.caption_id, revision=1, faults=("cut",), sends_back=True, made_by="t"
            )
        elif bad == "rejected":
            assert caption
            world.review(caption, "reject", "c1")
            assert len(world.asked()) == turn  # one of three may say no
            world.review(caption, "reject", "c2")
    assert len(world.asked()) == asking.MOST_TURNS


def test_a_new_revision_is_judged_anew() -> None:
    world = World(made(review={"checkers": 1}))
    (task,) = world.asked()
    caption = world.answer(task, "ann-1")
    assert caption
    (check,) = world.checks()
    assert (check.revision, check.not_for) == (1, "ann-1")
    world.review(caption, "reject", "c1")
    assert len(world.asked()) == 2
    world.captions[caption.caption_id] = caption.model_copy(update={"revision": 2})
    assert len(world.asked()) == 1
    (again,) = world.checks()
    assert again.revision == 2
    assert again.task_id != check.task_id


def test_second_tasks_of_a_clip_wait_and_leave_its_author_out() -> None:
    asked = {"overlap_share": 1.0, "muted_share": 1.0, "screen_off_share": 1.0}
    world = World(made(annotate=asked))
    (first,) = world.asked()
    world.answer(first, "ann-1")
    assert turns(world.asked()) == [
        ("av", 0, 1, ""), ("av", 1, 1, "ann-1"), ("muted", 0, 1, "ann-1"), ("screen-off", 0, 1, "ann-1"),
    ]  # fmt: skip
    second = world.asked()[1]
    world.answer(second, "ann-2")
    assert turns(world.asked())[2:] == [("muted", 0, 1, "ann-1,ann-2"), ("screen-off", 0, 1, "ann-1,ann-2")]
    assert len({task.task_id for task in world.asked()}) == 4


def test_gold_shows_another_clips_caption_and_keeps_both_authors_away() -> None:
    world = World(made(review={"checkers": 1, "gold_share": 0.5}))
    for number in range(40):
        clip = Clip(f"v_{number}0000_{number + 1}0000", (), captioned=False)
        world.answer(world.asked(clip)[0], f"ann-{number}")
    checks = world.checks()
    gold = [task for task in checks if task.kind == "gold"]
    assert 5 < len(gold) < 35
    for task in gold:
        caption = world.captions[task.caption_id]
        assert caption.clip_id != task.clip_id
        shown = next(one for one in world.captions.values() if one.clip_id == task.clip_id)
        assert set(task.not_for.split(",")) == {caption.author, shown.author}
        assert task.expected == "reject"
    assert len({task.task_id for task in checks}) == len(checks)


def test_the_audit_draws_from_what_was_accepted_and_asks_others() -> None:
    world = World(made(review={"checkers": 1, "audit_share": 1.0}))
    (task,) = world.asked()
    caption = world.answer(task, "ann-1")
    assert caption
    assert [check.kind for check in world.checks()] == ["work"]
    world.review(caption, "accept", "c1")
    audit = world.checks()[1]
    assert (audit.kind, audit.not_for) == ("audit", "ann-1,c1")


def test_good_gold_is_what_two_and_all_have_accepted_and_comes_after_the_audit() -> None:
    world = World(made(review={"checkers": 1, "audit_share": 1.0, "good_gold_share": 1.0}))
    (task,) = world.asked()
    caption = world.answer(task, "ann-1")
    assert caption
    world.review(caption, "accept", "c1")
    audit = world.checks()[-1]
    assert [check.kind for check in world.checks()] == ["work", "audit"]  # one alone may be wrong
    world.out = {"c0"}
    world.checked(audit, "c0")
    world.checked(audit, "ann-1")
    assert [check.kind for check in world.checks()] == ["work", "audit"]  # these do not count
    world.checked(audit, "c2")
    good = world.checks()[-1]
    assert (good.kind, good.expected, good.not_for) == ("gold", "accept", "ann-1,c1,c2")
    world.checked(audit, "c3", "fix")
    assert [check.kind for check in world.checks()] == ["work", "audit"]


def test_a_place_that_somebody_took_in_vain_is_given_to_one_other() -> None:
    world = World(made(review={"checkers": 3, "max_rejects": 1}))
    (task,) = world.asked()
    caption = world.answer(task, "ann-1")
    assert caption
    (check,) = world.checks()
    world.waiting = {"c1"}
    for name in ("c1", "c2", "c3"):
        world.checked(check, name)
    world.review(caption, "accept", "c2", "c3")
    assert world.checks() == [check]  # c1 may pass yet
    world.waiting, world.out = set(), {"c1"}
    again = world.checks()[1]
    assert (again.kind, again.slot, again.not_for) == ("work", 1, "ann-1,c1,c2,c3")
    assert again.task_id != check.task_id
    world.out |= {"c4"}
    world.checked(again, "c4")
    assert [one.slot for one in world.checks()] == [0, 1, 2]
    world.checked(world.checks()[2], "c5")
    world.review(caption, "accept", "c5")
    assert [one.slot for one in world.checks()] == [0, 1, 2]  # three have said yes
    world.review(caption, "reject", "c6", "c7")
    assert world.checks() == [check]


@given(st.integers(0, 5), st.text(min_size=1, max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(seed: int, clip: str, one: float, two: float) -> None:
    small, large = sorted((one, two))
    assert draws(seed, "x", clip, large) or not draws(seed, "x", clip, small)
    assert not draws(seed, "x", clip, 0.0)
    assert draws(seed, "x", clip, 1.0)


def test_hints_are_for_half_of_the_tasks_and_the_same_at_every_push() -> None:
    world = World(made(annotate={"hints": "random"}))
    clips = [CLIP._replace(clip_id=f"v_{number}_9999999") for number in range(400)]
    shown = [world.asked(clip)[0].hints for clip in clips]
    assert 150 < shown.count(("Dog",)) < 250
    assert shown == [world.asked(clip)[0].hints for clip in clips]
    assert World(made()).asked()[0].hints == ()
