"""The test before the work and a model's drafts, on a real server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.annotate.conftest import Studio
from tests.annotate.test_loop import GOOD, Loop, Made, Person, make  # noqa: F401 (a fixture)
from tests.annotate.test_page import work  # noqa: F401 (a fixture)
from tests.fakes import rows
from valor_data import chain, layout
from valor_data.errors import UserError
from valor_data.labelstudio.config import label_config
from valor_data.records import Answer, LabelTask, Qualified, Quarantine, Review
from valor_data.stages.annotate.drafting import with_draft
from valor_data.stages.fetch.stage import sweep
from valor_data.workspace import Workspace

CIRCLE = {
    "caption": "A red circle bounces off a wall while a drum beats steadily in a room.",
    "heard": ["impact"],
}
SQUARE = {
    "caption": "A blue square slides from left to right, and nothing is heard at all.",
    "heard": ["silence"],
}
SCENES = (["red circle", "drum beats", 0], ["blue square", None, 3])
MODEL = "model:parrot"
DRAFT = "A dog barks at a door."


@pytest.fixture(scope="module")
def people(studio: Studio) -> Iterator[list[Person]]:
    """Three who are new."""
    found = [Person(studio, f"novice{number}@example.org") for number in range(3)]
    yield found
    for person in found:
        person.close()


def the_test(folder: Path, **changes: Any) -> str:
    """A folder with a test of two tasks, both to be passed."""
    raw = json.loads(layout.asset("annotation", "qualification.json").read_text())
    raw |= {"pass_mark": 1, "tasks": [raw["tasks"][0], raw["tasks"][3]], **changes}
    (folder / "pages").mkdir(exist_ok=True)
    (folder / "pages" / "qualification.json").write_text(json.dumps(raw))
    return str(folder / "pages")


@pytest.fixture
def gated(make: Made, tmp_path: Path) -> Loop:  # noqa: F811
    """A loop in which only those count who passed."""
    return make(2, annotate={"qualify": True, "pages": the_test(tmp_path)}, review={"checkers": 1})


def takes(
    loop: Loop, person: Person, first: dict[str, Any], second: dict[str, Any], attempt: int = 1
) -> list[int]:
    """Answer the test; the annotations."""
    there = loop.tasks("qualify" if attempt == 1 else f"qualify, attempt {attempt}")
    asked = loop.tables.rows(LabelTask, stage="qualify", turn=attempt)
    scene = {row.clip_id: there[row.task_id] for row in asked}
    ids = [layout.clip_id(f"qualify-{layout.digest(one)[:16]}", 0, 10_000) for one in SCENES]
    return [person.answer(scene[own], **said) for own, said in zip(ids, (first, second), strict=True)]


def waiting(loop: Loop) -> int:
    return loop.pull()["waiting"]


def results(loop: Loop) -> list[tuple[int, int, bool]]:
    return [(row.attempts, row.passed_tasks, row.passed) for row in loop.tables.rows(Qualified)]


def test_captions_wait_until_their_author_passes(gated: Loop, people: list[Person]) -> None:
    assert gated.push() == {"tasks": 4, "new": 4, "withdrawn": 0}
    assert gated.push() == {"tasks": 4, "new": 0, "withdrawn": 0}
    first, second = gated.tasks().values()
    people[0].answer(first, caption=GOOD)
    people[1].answer(second, caption=GOOD)
    report = chain.pull(gated.recipe, gated.options)
    assert (report.counts["answers"], report.counts["new_captions"], report.counts["waiting"]) == (2, 0, 2)
    assert any("2 captions and checks wait" in told for told in report.warnings)
    assert gated.push()["new"] == 0  # nobody else is asked meanwhile
    assert (gated.captions(), results(gated)) == ([], [])

    takes(gated, people[0], CIRCLE, SQUARE)
    counts = gated.pull()
    assert (counts["passed"], counts["new_captions"], counts["waiting"]) == (1, 1, 1)
    assert results(gated) == [(1, 2, True)]
    assert [(row.text, row.revision) for row in gated.captions()] == [(GOOD, 1)]
    assert {row.heard for row in gated.tables.rows(Answer)} == {(), ("impact",), ("silence",)}
    counts = gated.pull()
    assert (counts["answers"], counts["new_captions"], counts["passed"]) == (0, 0, 0)

    assert gated.push()["new"] == 0
    assert gated.push(review=True)["new"] == 1
    check = next(iter(gated.tasks("review").values()))
    people[1].answer(check, verdict="accept")
    assert waiting(gated) == 2
    assert gated.accepted() == []
    takes(gated, people[1], CIRCLE, SQUARE)
    counts = gated.pull()
    assert (counts["new_captions"], counts["new_reviews"], counts["waiting"]) == (1, 1, 0)
    assert [row.decision for row in gated.tables.rows(Review)] == ["accept"]
    assert gated.accepted() == [GOOD]


def test_a_second_attempt_is_a_project_of_its_own_and_the_last(gated: Loop, people: list[Person]) -> None:
    gated.push()
    person = people[0]
    task = next(iter(gated.tasks().values()))
    person.answer(task, caption=GOOD)
    wrong = {**SQUARE, "heard": ["music"]}
    made = takes(gated, person, CIRCLE, wrong)
    assert gated.tasks("qualify, attempt 2") == {}
    assert waiting(gated) == 1
    assert results(gated) == [(1, 1, False)]
    person.change(made[1], **SQUARE)  # too late
    assert waiting(gated) == 1
    assert results(gated) == [(1, 1, False)]

    assert gated.push()["new"] == 2
    assert len(gated.tasks("qualify, attempt 2")) == 2
    again = takes(gated, person, CIRCLE, {**SQUARE, "flags": ["not_sure"]}, attempt=2)
    counts = gated.pull()
    assert (counts["passed"], counts["waiting"]) == (0, 1)
    assert results(gated) == [(2, 1, False)]
    person.change(again[1], **SQUARE)
    assert waiting(gated) == 1
    assert gated.push()["new"] == 1  # who is out is waited for no more: somebody else is asked
    (other,) = [row for row in gated.asked() if row.stage == "caption" and row.turn == 2]
    assert other.not_for
    assert gated.captions() == []


def test_a_second_attempt_that_passes_and_deleted_answers(gated: Loop, people: list[Person]) -> None:
    gated.push()
    person = people[2]
    for task in gated.tasks().values():
        last = person.answer(task, caption=GOOD)
    _, second = takes(gated, person, CIRCLE, SQUARE)
    person.delete(second)
    assert waiting(gated) == 2
    assert results(gated) == []  # not whole
    there = gated.tasks("qualify")
    asked = gated.tables.rows(LabelTask, stage="qualify")
    silent = next(row for row in asked if row.clip_id.startswith(f"qualify-{layout.digest(SCENES[1])[:16]}"))
    person.answer(there[silent.task_id], caption="Too few words.", heard=["silence"])
    assert waiting(gated) == 2
    assert results(gated) == [(1, 1, False)]
    person.delete(last)
    gated.push()
    made = takes(gated, person, CIRCLE, SQUARE, attempt=2)
    counts = gated.pull()
    assert (counts["passed"], counts["waiting"], counts["new_captions"]) == (1, 0, 1)
    assert results(gated) == [(2, 2, True)]
    for one in made:
        person.delete(one)
    gated.pull()
    assert results(gated) == [(2, 2, True)]  # what was judged stands


def test_who_fails_takes_no_place_and_may_be_let_in_once_more(gated: Loop, people: list[Person]) -> None:
    writer, clumsy, checker = people
    gated.push()
    writer.answer(next(iter(gated.tasks().values())), caption=GOOD)
    takes(gated, writer, CIRCLE, SQUARE)
    gated.pull()
    gated.push(review=True)
    clumsy.answer(next(iter(gated.tasks("review").values())), verdict="reject", reasons=["wrong"])
    wrong = {**SQUARE, "heard": ["music"]}
    takes(gated, clumsy, CIRCLE, wrong)
    gated.pull()
    assert gated.push(review=True)["new"] == 0  # there is a second attempt, so the check may count yet
    gated.push()
    takes(gated, clumsy, CIRCLE, wrong, attempt=2)
    gated.pull()
    (out,) = [row.annotator for row in gated.tables.rows(Qualified) if not row.passed]

    assert gated.push(review=True)["new"] == 1
    (again,) = gated.tasks("review, again").values()
    assert out in shown(gated, again)["not_for"]
    takes(gated, checker, CIRCLE, SQUARE)
    checker.answer(again, verdict="accept")
    gated.pull()
    assert gated.accepted() == [GOOD]
    assert [row.decision for row in gated.tables.rows(Review)] == ["accept"]

    assert chain.readmit(gated.recipe, gated.options, out).counts["attempt"] == 3
    assert gated.push()["new"] == 2
    takes(gated, clumsy, CIRCLE, SQUARE, attempt=3)
    counts = gated.pull()
    assert (counts["passed"], counts["new_reviews"], counts["waiting"]) == (1, 1, 0)
    with pytest.raises(UserError, match="has passed the test; there is nothing to annul"):
        chain.readmit(gated.recipe, gated.options, out)
    with pytest.raises(UserError, match="nobody of that pseudonym was judged"):
        chain.readmit(gated.recipe, gated.options, "ann-00000000")


def test_no_gate_lets_through_what_waited(gated: Loop, people: list[Person], tmp_path: Path) -> None:
    gated.push()
    people[0].answer(next(iter(gated.tasks().values())), caption=GOOD)
    assert waiting(gated) == 1
    gated.recipe = gated.recipe.model_copy(
        update={"annotate": gated.recipe.annotate.model_copy(update={"qualify": False})}
    )
    assert gated.pull()["new_captions"] == 1
    assert gated.tasks("qualify") == {}


def test_an_unsafe_flag_in_the_test_takes_nothing_from_anybody(gated: Loop, people: list[Person]) -> None:
    gated.push()
    takes(gated, people[0], {"flags": ["unsafe"]}, SQUARE)
    assert gated.pull()["unsafe"] == 0
    assert list(gated.tables.rows(Quarantine)) == []
    assert len(gated.tasks("qualify")) == 2


def test_a_clip_of_the_workspace_and_a_fault_are_told(make: Made, tmp_path: Path) -> None:  # noqa: F811
    own = {"clip": {"clip_id": rows.clip_id(0)}, "heard": ["animal"], "must_name": [["dog"]]}
    loop = make(1, annotate={"qualify": True, "pages": the_test(tmp_path, tasks=[own])})
    assert loop.push()["new"] == 2
    assert len(loop.tasks("qualify")) == 1
    the_test(tmp_path, tasks=[{**own, "heard": ["bell"]}])
    with pytest.raises(UserError, match=r"task 1: key 'heard': 'bell' is no box of the page; add it"):
        loop.push()
    the_test(tmp_path, tasks=[{**own, "clip": {"clip_id": "elsewhere_0_10000"}}])
    with pytest.raises(
        UserError, match=r"task 1: key 'clip': elsewhere_0_10000 is no clip that may be shown"
    ):
        loop.push()
    the_test(tmp_path, tasks=[{**own, "clip": {"visual": "red circle", "sound": "drums"}}])
    with pytest.raises(UserError, match=r"task 1: key 'clip': nothing is called 'drums'; known: "):
        loop.push()


def test_its_clips_are_served(gated: Loop, studio: Studio) -> None:
    annotate = gated.recipe.annotate.model_copy(update={"media": "files", "media_url": None})
    gated.recipe = gated.recipe.model_copy(update={"annotate": annotate})
    root = studio.server.clips.parent
    gated.options = gated.options._replace(workspace=str(root))
    gated.push()
    for own in gated.tasks("qualify").values():
        video = shown(gated, own)["video"]
        part = {"Range": "bytes=0-99"}
        assert (
            studio.http.get(f"{studio.server.login.url}{video}", headers=part, timeout=60).status_code == 206
        )
    shutil.rmtree(root / "clips" / layout.QUALIFY)  # the folder is that of other tests too


def test_no_sweep_takes_its_clips(gated: Loop) -> None:
    gated.push()
    clips = Path(str(gated.options.workspace)) / "clips"
    kept = sorted((clips / layout.QUALIFY).rglob("*.mp4"))
    assert len(kept) == 2
    lost = clips / "exact-0" / "00" / "x_0_1.mp4"
    lost.parent.mkdir(parents=True)
    lost.touch()
    with Workspace.open(gated.recipe, gated.options.workspace, write=True) as workspace:
        assert sweep(workspace) == 1
    assert sorted(clips.rglob("*.mp4")) == kept
    kept[0].unlink()
    gated.push()
    assert sorted(clips.rglob("*.mp4")) == kept


def drafted(make: Made, clips: int = 2, **annotate: Any) -> Loop:  # noqa: F811
    """A loop with a model's caption of each clip."""
    loop = make(clips, annotate={"drafts": MODEL, "undrafted_share": 0, "planted_share": 0, **annotate})
    with Workspace.open(loop.recipe, loop.options.workspace, write=True) as workspace:
        workspace.tables.append(
            [
                rows.caption(
                    number,
                    DRAFT,
                    caption_id=layout.caption_id(rows.clip_id(number), "model", MODEL, ""),
                    author=MODEL,
                    origin="model",
                )
                for number in range(clips)
            ]
        )
    return loop


def shown(loop: Loop, own: int) -> dict[str, Any]:
    data: dict[str, Any] = loop.studio.get(f"/api/tasks/{own}")["data"]
    return data


def test_drafts_stand_in_a_project_of_their_own_and_come_back_as_captions(
    make: Made,  # noqa: F811
    people: list[Person],
) -> None:
    loop = drafted(make)
    assert loop.push() == {"tasks": 2, "new": 2, "withdrawn": 0}
    assert loop.push()["new"] == 0
    assert loop.tasks() == {}
    one, two = loop.tasks("drafts").values()
    assert shown(loop, one)["draft"] == DRAFT
    people[0].answer(one, caption=DRAFT)
    people[0].answer(two, caption=GOOD)
    assert loop.pull()["new_captions"] == 2
    assert {row.origin for row in loop.captions()} == {"human"}
    assert loop.push()["new"] == 0
    effect = chain.agreement(loop.recipe, loop.options).drafts
    assert (effect.drafted, effect.free) == (2, 0)
    assert effect.unchanged is not None
    assert effect.unchanged.value == 0.5
    assert loop.push(review=True)["new"] == 2


def test_a_planted_word_is_caught_or_becomes_no_caption(make: Made, people: list[Person]) -> None:  # noqa: F811
    loop = drafted(make, planted_share=1)
    loop.push()
    asked = {row.task_id: row for row in loop.asked()}
    (own, caught), (other, missed) = loop.tasks("drafts").items()
    data = shown(loop, missed)
    assert data["draft"] == asked[other].draft != DRAFT
    assert "planted" not in data
    people[0].answer(caught, caption=DRAFT)
    annotation = people[0].answer(missed, caption=data["draft"])
    assert loop.pull()["new_captions"] == 1
    assert [row.clip_id for row in loop.captions()] == [asked[own].clip_id]
    found = chain.agreement(loop.recipe, loop.options)
    assert found.drafts.caught is not None
    assert (found.drafts.caught.value, found.drafts.caught.n) == (0.5, 2)
    assert "DRAFTS" in "\n".join(found.lines())
    assert loop.push()["new"] == 1
    (again,) = [row for row in loop.asked() if row.turn == 2]
    assert (again.stage, again.clip_id, again.draft) == ("caption", asked[other].clip_id, "")
    people[0].change(annotation, caption=DRAFT)
    assert loop.pull()["new_captions"] == 1


def test_both_arms_are_compared(make: Made, people: list[Person]) -> None:  # noqa: F811
    loop = drafted(make, 12, undrafted_share=0.5)
    loop.push()
    asked = {row.task_id: row for row in loop.asked()}
    there = loop.tasks("drafts")
    assert {shown(loop, there[own])["draft"] for own in asked} == {"", DRAFT}
    for own, task in asked.items():
        people[0].answer(there[own], caption=f"{DRAFT[:-1]} again." if task.draft else GOOD)
    loop.pull()
    effect = chain.agreement(loop.recipe, loop.options).drafts
    assert effect.drafted + effect.free == 12
    assert effect.drafted == sum(bool(task.draft) for task in asked.values())
    assert effect.length_words is not None
    assert effect.length_words.value == 7 - 10
    assert effect.caught is None


def test_what_was_asked_without_a_draft_stays_so(make: Made) -> None:  # noqa: F811
    loop = drafted(make)
    wanted = loop.recipe
    loop.recipe = wanted.model_copy(update={"annotate": wanted.annotate.model_copy(update={"drafts": None})})
    assert loop.push()["new"] == 2
    loop.recipe = wanted
    loop.more(1)
    assert loop.push() == {"tasks": 3, "new": 1, "withdrawn": 0}
    assert loop.tasks("drafts") == {}
    assert len(loop.tasks()) == 3


@pytest.mark.slow
def test_a_draft_stands_in_the_field_and_is_edited(studio: Studio, work: Any) -> None:  # noqa: F811
    project = studio.project(with_draft(label_config("caption")), draft=DRAFT)
    with work(project) as hands:
        hands.wait(f"document.querySelector('textarea[name^=caption]')?.value === '{DRAFT}'")
        hands.see("draft")
        hands.press("Escape", "c")
        hands.type(" It runs.")
        hands.page.reload()
        hands.ready()
        hands.wait(f"document.querySelector('textarea[name^=caption]')?.value === '{DRAFT} It runs.'")
        hands.submit()
        hands.ready()
        hands.wait(f"document.querySelector('textarea[name^=caption]')?.value === '{DRAFT}'")
        hands.submit()
        hands.ready()
        hands.press("Escape", "c", "Control+A")
        hands.type(GOOD)
        hands.submit()
    texts = [said["caption"]["text"] for said in studio.answers(project)]
    assert texts == [[f"{DRAFT} It runs."], [DRAFT], [GOOD]]


@pytest.mark.slow
def test_without_a_draft_the_field_is_empty_and_wants_words(studio: Studio, work: Any) -> None:  # noqa: F811
    project = studio.project(with_draft(label_config("caption")), draft="")
    with work(project) as hands:
        hands.wait("document.activeElement.name === 'caption'")
        assert hands.page.input_value("textarea[name=caption]") == ""
        hands.press("Control+Enter")
        hands.page.wait_for_selector("text=Write the caption, or tick what is wrong")
        hands.page.locator(".ant-modal button").first.click()
        hands.page.wait_for_selector(".ant-modal", state="hidden")
        hands.press("Escape", "c")
        hands.type(GOOD)
        hands.submit()
    assert [said["caption"]["text"] for said in studio.answers(project)] == [[GOOD]]
