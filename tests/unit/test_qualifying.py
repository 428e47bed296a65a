"""The test before the work: its file, what is right, and who has passed after which answers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from valor_data import layout
from valor_data.errors import UserError
from valor_data.records import Answer, Qualified
from valor_data.stages.annotate import qualifying
from valor_data.stages.annotate.qualifying import Test, faults, is_out, judge, read

RIGHT = (
    ("A red circle bounces around while a drum beats steadily in the background.", "impact"),
    ("A yellow star turns slowly on a dark ground while a siren wails.", "signal"),
    ("A pink heart moves up and down while a long organ chord sounds.", "music"),
    ("A blue square glides from left to right, and nothing is heard at all.", "silence"),
    ("A green triangle turns around itself and something beeps again and again.", "signal"),
)


@pytest.fixture
def test() -> Test:
    return read(layout.asset("annotation", qualifying.FILE))


def answer(task_id: str, text: str, heard: tuple[str, ...], **changes: Any) -> Answer:
    facts = {
        "answer_id": "0" * 24,
        "task_id": task_id,
        "clip_id": "x_0_10000",
        "annotator": "ann-a",
        "text": text,
        "heard": heard,
        "made_by": "pull@1",
    }
    return Answer.model_validate(facts | changes)


def attempt(test: Test, number: int = 1, wrong: int = 0, left_out: int = 0) -> dict[str, Answer]:
    """All tasks answered, but for the last ones; the first ones wrongly."""
    pairs = list(zip(test.questions(number), RIGHT, strict=True))[: len(RIGHT) - left_out]
    return {
        task.task_id: answer(task.task_id, text, ("speech",) if place < wrong else (heard,))
        for place, (task, (text, heard)) in enumerate(pairs)
    }


def written(tmp_path: Path, **changes: Any) -> Path:
    """The file that ships, changed in one task or at the top."""
    raw = json.loads(layout.asset("annotation", qualifying.FILE).read_text())
    of_task = {key: changes.pop(key) for key in list(changes) if key not in Test.model_fields}
    raw["tasks"][1] |= of_task
    path = tmp_path / "test.json"
    path.write_text(json.dumps(raw | changes))
    return path


def test_right_answers_are_right(test: Test) -> None:
    given = attempt(test).values()
    assert [faults(test, *pair) for pair in zip(test.tasks, given, strict=True)] == [[]] * len(test.tasks)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"heard": ("impact", "speech")}, "heard: impact+speech for impact"),
        ({"heard": ()}, "heard: none for impact"),
        ({"flags": ("not_sure",)}, "flags: not_sure for none"),
        ({"text": RIGHT[0][0].replace("red ", "dark ")}, "names no red"),
        ({"text": RIGHT[0][0].replace("circle", "square")}, "names no circle or disc or ball or dot"),
        ({"text": f"In this clip {RIGHT[0][0]}"}, "names clip"),
        ({"text": f"{RIGHT[0][0]} MEN and a Man."}, "names man"),
        ({"text": "A red ball, drums."}, "4 words for 10 to 40"),
        ({"text": f"{RIGHT[0][0]} {'so ' * 40}"}, "53 words for 10 to 40"),
        ({"skipped": True}, "skipped"),
    ],
    ids=str,
)
def test_each_fault_is_told(test: Test, said: dict[str, Any], told: str) -> None:
    good = answer("t", RIGHT[0][0], ("impact",))
    assert faults(test, test.tasks[0], good.model_copy(update=said)) == [told]


def test_words_are_whole_and_in_any_regular_form(test: Test) -> None:
    def names(text: str) -> list[str]:
        told = faults(test, test.tasks[0], answer("t", text, ("impact",)))
        return [one for one in told if one.startswith("names")]

    assert names("RED Discs bounce along while drums are knocking and thumping all the time.") == []
    assert names("A red disc and a snowman, a manual, a songbird and drumming all the time.") == []
    assert names("Two red dots and four songs while drums sound all the time here.") == ["names song"]
    loud = answer("t", "A yellow star and two fire engines that wail with a siren all day.", ("signal",))
    assert faults(test, test.tasks[1], loud) == ["names fire engine"]


def test_a_broken_clip_asks_for_no_caption(tmp_path: Path) -> None:
    path = written(tmp_path, flags=["broken"], heard=[], must_name=[], must_not_name=[])
    test = read(path)
    assert faults(test, test.tasks[1], answer("t", "", (), flags=("broken",))) == []
    assert faults(test, test.tasks[1], answer("t", "", ())) == ["flags: none for broken"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"must_naem": []}, "task 2: key 'must_naem': no such key; did you mean 'must_name'?"),
        ({"must_name": ["yellow"]}, "task 2: key 'must_name[1]': Input should be a valid"),
        ({"must_name": [[]]}, "task 2: key 'must_name[1]'"),
        ({"flags": ["noisy"]}, "task 2: key 'flags[1]': Input should be 'cannot_hear'"),
        ({"heard": []}, "task 2: heard is empty; give the boxes"),
        ({"flags": ["cannot_hear"]}, "task 2: with the flag cannot_hear nobody is asked what is heard"),
        ({"flags": ["broken"], "heard": []}, "task 2: with these flags there is no caption"),
        ({"clip": {"visual": "red circle", "clip_id": "a_0_1"}}, "task 2: key 'clip': give either"),
        ({"clip": {"clip_id": "no clip"}}, "task 2: key 'clip.clip_id': String should match"),
        (
            {"clip": {"visual": "red circle", "sound": "drum beats", "seed": 0}},
            "task 2 shows the clip of task 1",
        ),
        (
            {"clip": {"visual": "red circle", "noise": "x"}},
            "task 2: key 'clip.noise': no such key; take it out",
        ),
        ({"pass_mark": 80}, "key 'pass_mark': Input should be less than or equal to 1"),
        ({"attempts": 0}, "key 'attempts'"),
        ({"min_words": 50}, "min_words is more than max_words"),
        ({"tasks": []}, "key 'tasks'"),
    ],
    ids=str,
)
def test_a_faulty_file_is_told_with_task_and_key(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(UserError, match=re.escape(f"{path}: {told}")) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "test.json"
    with pytest.raises(UserError, match="not readable"):
        read(path)
    path.write_text('{"pass_mark": 1,\n oops')
    with pytest.raises(UserError, match=r"Invalid JSON.* at line 2"):
        read(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="key 'tasks': is missing; add it"):
        read(path)


def test_an_attempt_is_judged_when_it_is_whole(test: Test) -> None:
    assert judge(test, "ann-a", {}, None) is None
    assert judge(test, "ann-a", attempt(test, left_out=1), None) is None
    row = judge(test, "ann-a", attempt(test, wrong=1), None)
    assert row is not None
    assert (row.attempts, row.passed_tasks, row.tasks, row.passed) == (1, 4, 5, True)
    assert judge(test, "ann-a", attempt(test), row) is None


def test_what_was_judged_stands(test: Test) -> None:
    failed = judge(test, "ann-a", attempt(test, wrong=2), None)
    assert failed is not None
    assert not failed.passed
    assert judge(test, "ann-a", attempt(test), failed) is None  # mended afterwards
    gone = {own: one.model_copy(update={"deleted": True}) for own, one in attempt(test, wrong=2).items()}
    assert judge(test, "ann-a", gone, failed) is None
    assert not is_out(test, failed)


def test_a_deleted_answer_is_none(test: Test) -> None:
    said = attempt(test)
    own = next(iter(said))
    said[own] = said[own].model_copy(update={"deleted": True})
    assert judge(test, "ann-a", said, None) is None


def test_a_second_attempt_and_no_third(test: Test) -> None:
    failed = judge(test, "ann-a", attempt(test, wrong=2), None)
    passed = judge(test, "ann-a", attempt(test, wrong=2) | attempt(test, 2), failed)
    assert passed is not None
    assert (passed.attempts, passed.passed) == (2, True)
    out = judge(test, "ann-a", attempt(test, 2, wrong=5), failed)
    assert out is not None
    assert is_out(test, out)
    assert judge(test, "ann-a", attempt(test, 3), out) is None
    at_once = judge(test, "ann-a", attempt(test, wrong=5) | attempt(test, 2), None)
    assert isinstance(at_once, Qualified)
    assert (at_once.attempts, at_once.passed) == (2, True)


def test_questions_are_the_same_each_time_and_their_own_in_each_attempt(test: Test) -> None:
    first, again, second = test.questions(1), test.questions(1), test.questions(2)
    assert first == again
    assert len({one.task_id for one in (*first, *second)}) == 2 * len(test.tasks)
    assert [one.clip_id for one in first] == [one.clip_id for one in second]
