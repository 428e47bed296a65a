"""Lists of questions in their forms, matched with clips, and answered."""

import json
from pathlib import Path

import pytest
import torch

from tests.train import processes
from valor_data.errors import UserError
from valor_data.train import answers, questions
from valor_data.train.answers import Answered, Asker
from valor_data.train.batch import Item
from valor_data.train.model import Clips, Seen, Valor
from valor_data.train.questions import Question
from valor_data.train.words import Words

FLAT = {
    "caption": "A cat meows.", "video_id": "-uGHAvfqs2I", "question": "How often does the cat meow?",
    "options": ["Three times", "Twice", "Once", "Never"], "correct_answer_idx": 1,
    "rephrased_answers": ["The cat meows twice", "Two meows"], "quality_rating": "obvious",
    "modality": "audio", "category": "count", "source_tags": ["audio"], "id": 7, "oid": 3, "model": "gpt4o",
}  # fmt: skip
CSV = (
    "video_id,start_time,end_time,caption,type,mode,question,answer_1,answer_2,answer_3,"
    "mcq_1,mcq_2,mcq_3,mcq_4,correct_mcq\n"
    'Sv9fcuRfk2o,70.000,80.000,"Two men, drinking.",count,both,How many men?,two men,2 men,a pair,'
    "no one,two,three,one,1\n"
)


def read(folder: Path, text: str) -> list[Question]:
    (folder / "list").write_text(text, encoding="utf-8")
    return questions.read(str(folder / "list"))


def test_every_form_gives_the_same_question(tmp_path: Path) -> None:
    expected = Question(
        "7", "-uGHAvfqs2I", "How often does the cat meow?",
        ("twice", "the cat meows twice", "two meows"), "audio",
    )  # fmt: skip
    one = {name: value for name, value in FLAT.items() if name != "video_id"}
    together = {"video_id": "-uGHAvfqs2I", "caption": "A cat meows.", "prompt": "...", "questions": [one]}
    for text in (
        json.dumps([FLAT]),
        json.dumps(FLAT) + "\n\n",
        json.dumps(FLAT, indent=1),
        json.dumps([together]),
        json.dumps(together),
        "\ufeff" + json.dumps([FLAT]),
    ):
        assert read(tmp_path, text) == [expected], text


def test_the_first_avqa_is_read(tmp_path: Path) -> None:
    (found,) = read(tmp_path, CSV)
    assert found.clip == "Sv9fcuRfk2o_70.000_80.000"
    assert found.answers == ("two", "two men", "2 men", "a pair")
    assert found.modality == "audio-visual"
    assert found.number == "1"


def test_plain_lines_and_valors_own_form_are_read(tmp_path: Path) -> None:
    plain = '{"clip": "a_0_1000", "question": "What barks?", "answer": "A dog."}\n' * 2
    assert [one.answers for one in read(tmp_path, plain)] == [("a dog",)] * 2
    assert read(tmp_path, plain)[0].modality == "not stated"
    own = {
        "a_0.000_1.000": [{"question": "What barks?", "answer": "dog"}] * 2,
        "b": {"question": "Q", "answer": "x"},
    }
    found = read(tmp_path, json.dumps(own))
    assert [(one.clip, one.number) for one in found] == [
        ("a_0.000_1.000", "1"),
        ("a_0.000_1.000", "2"),
        ("b", "3"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[{"video_id": "a", "question": "Q?"}]', "row 1: it lacks answers"),
        ('[{"clip": "a", "question": "Q?", "answer": "..."}]', "row 1: it lacks answers"),
        (
            '{"clip": "a", "answer": "x", "question": "Q"}\n{"question": "Q"}',
            "row 2: it lacks clip and answers",
        ),
        ("[1]", "row 1: '1' is no question"),
        ("[]", "holds no questions"),
        ("", "holds no questions"),
        ('[{"a": 1}', "not readable as JSON"),
        ('{"clip": "a", "question": "Q", "answer": "x"}\n{"clip": ', "not readable as JSON"),
    ],
)
def test_a_broken_list_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not readable"):
        questions.read(str(tmp_path / "none"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="not readable"):
        questions.read(str(tmp_path / "bytes"))


def test_questions_without_an_answer_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "list").write_text('{"clip": "a", "question": "Q?"}\n{"clip": "a", "answer": "x"}\n')
    with pytest.raises(UserError, match=r"^here .*: row 2: it lacks question; mend"):
        questions.read(str(tmp_path / "list"), "here", unanswered=True)
    (tmp_path / "list").write_text('{"clip": "a", "question": "Q?"}\n')
    (found,) = questions.read(str(tmp_path / "list"), unanswered=True)
    assert found.answers == ()


def test_keys_of_other_peoples_tars_are_names_too() -> None:
    found, missing = questions.by_clip([Question("1", "a b", "Q", ("x",), "audio")], ["a b", "c"])
    assert list(found) == ["a b"]
    assert not missing


def test_clips_are_found_by_each_of_their_names() -> None:
    def about(number: str, clip: str) -> Question:
        return Question(number, clip, "Q", ("x",), "audio")

    clips = [
        "Ab_3-xyZ01Q_30000_40000",
        "-uGHAvfqs2I_0_10000",
        "twice000000_0_10000",
        "twice000000_10000_20000",
    ]
    asked = [
        about("1", "Ab_3-xyZ01Q_30000_40000"), about("2", "Ab_3-xyZ01Q_30.000_40.000"),
        about("3", "-uGHAvfqs2I"), about("4", "twice000000"),
        about("5", "elsewhere00"), about("6", "twice000000_10.0_20.0"),
    ]  # fmt: skip
    found, missing = questions.by_clip(asked, clips)
    assert {clip: [one.number for one in some] for clip, some in found.items()} == {
        "Ab_3-xyZ01Q_30000_40000": ["1", "2"],
        "-uGHAvfqs2I_0_10000": ["3"],
        "twice000000_10000_20000": ["6"],
    }
    assert missing == {
        "4": "video twice000000 has 2 clips in the split",
        "5": "no clip elsewhere00 in the split",
    }


@pytest.fixture(scope="module")
def model() -> Valor:
    """Sharper than random weights are, and it looks at the clip as much as at the question."""
    made = processes.model().eval()
    with torch.no_grad():
        made.bert.words.weight.mul_(30)
        for block in made.bert.layers():
            block.cross.out.weight.mul_(40)
        vocabulary = words().vocabulary
        made.bert.head_bias[vocabulary.last] = -10  # some words before the end
        made.bert.head_bias[vocabulary.size :] = -1e4
    return made


def words() -> Words:
    return Words.of((f"{one} what is heard here" for one in "abcdefghijklm"), 60)


def seen_by(model: Valor, rows: int) -> Seen:
    generator = torch.Generator().manual_seed(4)
    frames = torch.randint(0, 256, (rows, 2, 32, 32, 3), generator=generator, dtype=torch.uint8)
    sound = torch.randn(rows, 1, 32, 32, generator=generator)
    has_audio = torch.ones(rows, dtype=torch.bool)
    has_audio[1] = False
    with torch.no_grad():
        return model.see(Clips(frames, torch.ones(rows, dtype=torch.bool), sound, has_audio, False))


def test_answers_depend_on_clip_and_question_and_not_on_their_neighbours(
    model: Valor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def about(clip: str, number: str, text: str) -> Question:
        return Question(number, clip, text, ("x",), "audio")

    asked = {
        clip: [about(clip, f"{clip}1", "what is heard"), about(clip, f"{clip}2", "a b c d e f")]
        for clip in ("p", "q", "r")
    }
    items = [Item(clip, None, None, ("x",)) for clip in asked]
    seen = seen_by(model, 3)

    def ask() -> list[Answered]:
        asker = Asker(model, words(), asked, most=8)
        asker.ask(seen, items)
        return asker.answers()

    together = ask()
    assert [one.question.number for one in together] == ["p1", "p2", "q1", "q2", "r1", "r2"]
    assert all(
        one.said_alone == other.said_alone for one, other in zip(together[::2], together[2::2], strict=False)
    )
    said = [one.said for one in together]
    assert len(set(said[::2])) > 1  # the clip counts
    assert said[0] != said[1] or said[4] != said[5]  # and the question does
    assert any(one.said != one.said_alone for one in together)
    monkeypatch.setattr(answers, "_AT_A_TIME", 1)
    assert ask() == together


def test_accuracy_by_modality_stands_beside_what_sees_nothing() -> None:
    def one(number: int, modality: str, right: str, said: str, alone: str) -> Answered:
        return Answered(
            Question(str(number), "v", "Q", (right, "x y"), modality), f"clip{number // 2}", said, alone
        )

    found = answers.accuracies(
        [
            one(0, "audio", "dog", "Dog!", "dog"),
            one(1, "audio", "dog", "a dog", "cat"),
            one(2, "visual", "dog", "X, y.", "dog"),
            one(3, "visual", "red", "red", "dog"),
        ]
    )
    assert {name: told.model.value for name, told in found.items()} == {"all": 75, "audio": 50, "visual": 100}
    assert {name: told.text_alone.value for name, told in found.items()} == {
        "all": 50,
        "audio": 50,
        "visual": 50,
    }
    assert {name: told.commonest.value for name, told in found.items()} == {
        "all": 100,
        "audio": 100,
        "visual": 100,
    }
    assert found["all"].clips == 2
    assert found["all"].questions == 4
    assert found["all"].gain.interval.value == 25
