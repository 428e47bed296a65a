"""Which first questions come with a draft, what is planted in it, and that nothing is asked twice."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.fakes import rows
from valor_data import recipe
from valor_data.labelstudio.config import label_config
from valor_data.recipe import Recipe
from valor_data.records import Answer, Caption, LabelTask
from valor_data.stages.annotate.asking import Clip, Known, caption_id, caption_tasks
from valor_data.stages.annotate.drafting import _FAMILY_OF, keeps_planted, plant, with_draft
from valor_data.text import words
from valor_data.text.naming import named

DRAFT = "A dog barks at a man in front of a door."
NOTHING = Known({}, {}, {}, {}, {}, ())


def made(**annotate: Any) -> Recipe:
    raw = {"name": "made", "rules": [], "annotate": {"drafts": "model:x", **annotate}}
    return recipe.parse(raw, "made.toml")


def asked(chosen: Recipe, clips: int = 1, draft: str = DRAFT, known: Known = NOTHING) -> list[LabelTask]:
    shown = [Clip(rows.clip_id(n), (), captioned=False, draft=draft) for n in range(clips)]
    return [task for clip in shown for task in caption_tasks(chosen, clip, known)]


def answered(task: LabelTask, text: str = DRAFT, known: Known = NOTHING, **of_caption: Any) -> Known:
    """As after a pull of one answer to the task."""
    facts = {"answer_id": "a" * 24, "task_id": task.task_id, "clip_id": task.clip_id, "annotator": "ann-a"}
    said = Answer.model_validate({**facts, "text": text, "made_by": "pull@1"})
    own = caption_id(task, said)
    made_of = rows.caption(0, text, caption_id=own, clip_id=task.clip_id, author="ann-a", origin="human")
    captions: dict[str, Caption] = {own: made_of} if of_caption.get("kept", True) else {}
    return known._replace(answers={task.task_id: [said]}, captions=captions, asked={task.task_id: task})


def test_a_clip_with_a_draft_is_asked_for_once_in_the_stage_of_drafts() -> None:
    tasks = asked(made(), 2000)
    assert {task.stage for task in tasks} == {"draft"}
    assert len({task.task_id for task in tasks}) == 2000
    assert asked(made(), 2000) == tasks
    free = sum(not task.draft for task in tasks) / 2000
    planted = sum(bool(task.planted) for task in tasks) / sum(bool(task.draft) for task in tasks)
    assert free == pytest.approx(0.2, abs=0.03)
    assert planted == pytest.approx(0.05, abs=0.02)
    assert not any(task.planted for task in tasks if not task.draft)
    assert all((task.draft == DRAFT) != bool(task.planted) for task in tasks if task.draft)


def test_without_a_draft_all_is_as_it_was() -> None:
    (plain,) = asked(made(), draft="")
    assert (plain.stage, plain.draft) == ("caption", "")
    (same,) = caption_tasks(
        recipe.parse({"name": "made", "rules": []}, "x"), Clip(rows.clip_id(0), (), False), NOTHING
    )
    assert plain == same


def test_what_was_asked_stays_as_it_was_asked() -> None:
    (plain,) = asked(made(), draft="")
    assert asked(made(), known=NOTHING._replace(asked={plain.task_id: plain})) == [plain]
    (drafted,) = asked(made(undrafted_share=0, planted_share=0))
    stands = NOTHING._replace(asked={drafted.task_id: drafted})
    assert asked(made(undrafted_share=1), draft="Another draft.", known=stands) == [drafted]
    assert asked(made(), draft="", known=stands) == [drafted]


def test_later_turns_and_other_modes_come_without() -> None:
    chosen = made(undrafted_share=0, planted_share=0, muted_share=1, overlap_share=1)
    (first,) = asked(chosen)
    more = asked(chosen, known=answered(first))
    assert more[0] == first
    assert [(t.stage, t.mode, t.slot, t.not_for) for t in more[1:]] == [
        ("caption", "av", 1, "ann-a"), ("caption", "muted", 0, "ann-a"),
    ]  # fmt: skip
    again = asked(made(undrafted_share=0), known=answered(first, kept=False))
    assert [(t.stage, t.turn, t.draft, t.not_for) for t in again[1:]] == [("caption", 2, "", "ann-a")]


def test_the_caption_of_somebody_who_may_still_pass_is_waited_for() -> None:
    (first,) = asked(made())
    known = answered(first, kept=False)
    assert len(asked(made(), known=known)) == 2
    assert asked(made(), known=known._replace(waiting={"ann-a"})) == [first]


def test_a_planted_word_is_wrong_and_fits() -> None:
    seen = set()
    for drawn in range(200):
        planted = plant(DRAFT, str(drawn))
        assert planted is not None
        assert planted == plant(DRAFT, str(drawn))
        before, after = words(DRAFT), words(planted.text)
        (place,) = [n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
        assert after[place] == planted.word
        old, new = named(before), named(after)
        assert (old.sounds | old.things) != (new.sounds | new.things)
        seen.add((before[place], planted.word))
    assert {old for old, _ in seen} == {"dog", "barks", "man", "door"}
    assert ("barks", "meows") in seen


@pytest.mark.parametrize(
    ("draft", "old", "wrong"),
    [
        ("Horses run.", "Horses", {"Dogs", "Cats", "Cows", "Goats", "Pigs", "Birds", "Ducks", "Lions"}),
        (
            "It is whistling.",
            "whistling",
            {"laughing", "shouting", "whispering", "coughing", "screaming", "sneezing"},
        ),
        (
            "Somebody sneezed.",
            "sneezed",
            {"laughed", "shouted", "whispered", "coughed", "screamed", "whistled"},
        ),
        ("Men talk.", "Men", {"Women"}),
        ("It thundered.", "thundered", {"rained"}),
    ],
)
def test_forms_and_capitals_are_kept(draft: str, old: str, wrong: set[str]) -> None:
    found = [plant(draft, str(drawn)) for drawn in range(100)]
    assert {one.text for one in found if one} == {draft.replace(old, new) for new in wrong}


@pytest.mark.parametrize(
    "draft", ["", "Blue light.", "A man and a woman talk.", "A dog and another dog.", "The dog's bone."]
)
def test_nothing_is_planted_where_it_would_not_be_wrong_or_told(draft: str) -> None:
    assert plant(draft, "x") is None


def test_every_word_that_is_planted_is_in_the_lexicon() -> None:
    for word in _FAMILY_OF:
        tells = named([word])
        assert tells.sounds | tells.things, word


def test_a_planted_word_that_stays_is_seen() -> None:
    task = LabelTask(
        task_id="t", clip_id="x_0_1", stage="draft", draft="A cat.", planted="cat", made_by="asking@1"
    )
    assert keeps_planted(task, "There: a CAT!")
    assert not keeps_planted(task, "A caterpillar.")
    assert not keeps_planted(task.model_copy(update={"planted": ""}), "A cat.")


def test_the_page_of_drafts_is_the_caption_page_with_a_filled_field() -> None:
    plain, drafted = label_config("caption"), with_draft(label_config("caption"))
    (field,) = ElementTree.fromstring(drafted).iter("TextArea")
    assert field.attrib.pop("value") == "$draft"
    told = re.search(r'<Header value="A draft by a machine may [^>]*>', drafted)
    assert told
    assert drafted.replace(' value="$draft"', "").replace(told[0], "") == plain
