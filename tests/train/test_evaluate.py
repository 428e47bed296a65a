"""What `evaluate` tells beside the figures of a checkpoint: parts, another checkpoint, ground, coverage."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.test_release import PREFIX, clip_id, fill, opened, recipe
from tests.train.conftest import config
from valor_data import chain, layout
from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.records import Report, SubsetMember
from valor_data.scenes import make_scene, pairs, render_clip
from valor_data.stages.shard import write_release
from valor_data.train import ground, meteor, use
from valor_data.train.config import AudioConfig, ModelConfig, TextConfig, VisionConfig

EVAL = {clip_id(video, part) for video in range(4) for part in (0, 1)}
BROKEN = clip_id(1, 0)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Without Java, which takes seconds to start; METEOR has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meteor, "lacks", lambda: "no Java here")
        yield


@pytest.fixture(scope="module")
def subsets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 clips, the first eight of them in a subset; one broken, two without sound."""
    folder = tmp_path_factory.mktemp("subsets")
    mp4s = []
    for number, (visual, sound) in enumerate(pairs()[:14]):
        render_clip(
            folder / "clip.mp4", make_scene(visual, sound, seconds=1.0), channels=number % 12 > 0, fps=4
        )
        mp4s.append((folder / "clip.mp4").read_bytes())
    mp4s[2] = b"no film"
    with opened(folder / "w", recipe(split={"train": 0.0, "val": 0.0, "test": 1.0})) as workspace:
        fill(workspace, mp4s)
        workspace.tables.append(
            [SubsetMember(subset="eval", clip_id=clip, member=True, made_by="x") for clip in sorted(EVAL)]
        )
        write_release(workspace, progress=False)
    return folder / "w" / PREFIX


@pytest.fixture(scope="module")
def runs(release: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two checkpoints that differ."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for number, rate in enumerate((1e-3, 3e-2)):
        out = folder / f"run{number}"
        use.pretrain(config(release, out, steps=3, rate=rate, save_every=3), progress=False)
        made.append(str(out / "checkpoints" / "step-00000003"))
    return made


def evaluate(
    checkpoint: str, release: Path, split: str = "test", subset: str | None = None, **more: object
) -> Report:
    return chain.evaluate(checkpoint, str(release), split, subset, progress=False, **more)  # type: ignore[arg-type]


def test_figures_of_a_subset_are_those_of_its_clips_alone(runs: list[str], subsets: Path) -> None:
    whole = evaluate(runs[0], subsets)
    alone = evaluate(runs[0], subsets, "test", "eval")
    assert whole.counts["clips"] == 12
    assert alone.counts["clips"] == len(EVAL) - 1
    assert whole.details["subsets"] == {"eval": alone.details["whole"]}
    assert whole.details["whole"] != alone.details["whole"]
    assert alone.details["subsets"] == {}
    assert "subset eval: 7 clips, 14 captions" in whole.plan


def test_clips_without_sound_are_no_part_of_t_a(runs: list[str], subsets: Path) -> None:
    """R@10 of twelve clips may fail; of the sounding ten it cannot."""
    tables = evaluate(runs[0], subsets).details["whole"]["tables"]
    assert tables["T-A"]["R@10"]["value"] == 100
    assert tables["T-A"]["median rank"]["high"] <= 10
    assert set(tables) == {"T-V", "V-T", "T-A", "A-T", "T-AV", "AV-T", "captions"}
    assert {"BLEU-4", "ROUGE-L", "CIDEr"} <= set(tables["captions"])


def test_a_checkpoint_beside_itself_is_no_different(runs: list[str], subsets: Path) -> None:
    found = evaluate(runs[0], subsets, against=runs[0]).details["against"]
    assert found["clips"] == 12
    for table in found["tables"].values():
        for beside in table.values():
            assert beside["this"] == beside["other"]
            assert beside["difference"] == {"interval": {"value": 0, "low": 0, "high": 0}, "p_value": 1}


def test_another_checkpoint_is_compared_clip_by_clip(runs: list[str], subsets: Path) -> None:
    first, second = (evaluate(run, subsets).details["whole"]["tables"] for run in runs)
    report = evaluate(runs[1], subsets, against=runs[0])
    there = report.details["against"]["tables"]
    for kind, table in there.items():
        for name, beside in table.items():
            assert beside["other"] == pytest.approx(first[kind][name]["value"])
            assert beside["this"] == pytest.approx(second[kind][name]["value"])
            middle = beside["difference"]["interval"]
            assert middle["value"] == pytest.approx(beside["this"] - beside["other"])
            assert middle["low"] - 1e-9 <= middle["value"] <= middle["high"] + 1e-9
    assert any(line.startswith("T-AV R@1 ") for line in report.plan)
    back = evaluate(runs[0], subsets, against=runs[1]).details["against"]["tables"]
    assert back["T-AV"]["nDCG@10"]["difference"]["interval"]["value"] == pytest.approx(
        -there["T-AV"]["nDCG@10"]["difference"]["interval"]["value"]
    )


def test_dual_softmax_changes_retrieval_alone(runs: list[str], subsets: Path) -> None:
    plain = evaluate(runs[0], subsets).details["whole"]["tables"]
    weighed = evaluate(runs[0], subsets, dual_softmax=True)
    tables = weighed.details["whole"]["tables"]
    assert tables["captions"] == plain["captions"]
    assert tables["T-AV"] != plain["T-AV"]
    assert any("weighed by dual softmax" in line for line in weighed.plan)


def test_what_it_was_scored_on_is_told(runs: list[str], subsets: Path, tmp_path: Path) -> None:
    said = Manifest.parse((subsets / "manifest.json").read_bytes())
    statement = {
        "format": 1,
        "release": {"name": "tiny", "version": "0.1.0", "content_sha256": said.content_sha256},
        "clips": 13, "counts": {"equivalent": 11, "shifted": 2},
        "others": [{"clip_id": BROKEN, "state": "shifted"}, {"clip_id": clip_id(0, 0), "state": "shifted"}],
    }  # fmt: skip
    sealed = {**statement, "sha256_of_the_rest": layout.digest(statement)}
    (tmp_path / "tiny.attested.json").write_text(json.dumps(sealed))
    official = [{"video_id": f"{name}_20.000_30.000", "desc": "x"} for name in ("CEfOX4fYlsY", "26OpBUZbdPw")]
    (tmp_path / "desc_test.json").write_text(json.dumps(official))
    report = evaluate(
        runs[0], subsets,
        attested=str(tmp_path / "tiny.attested.json"), expected=str(tmp_path / "desc_test.json"),
    )  # fmt: skip
    told = "\n".join(report.plan)
    assert f"content   sha256 {said.content_sha256}" in told
    assert f"attested  sha256 {sealed['sha256_of_the_rest']}" in told
    assert "11 of 13 clips of this release equivalent; 1 of the clips scored here are not" in told
    assert "coverage  12 of 13 clips of split test (92.3 %): 1 unreadable" in told
    assert "coverage  0 of 2 clips of desc_test.json (0.0 %): 2 not in the release" in told
    assert "left out: METEOR: no Java here" in told
    assert max(map(len, report.plan)) <= 98  # two more stand before each
    assert report.details["coverage"][0]["missing"][BROKEN].startswith("unreadable: ")

    changed = {**sealed, "clips": 12}
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    for file, why in (
        ("changed.json", "it was changed"),
        ("desc_test.json", "no statement"),
        ("none", "not readable"),
    ):
        with pytest.raises(UserError, match=why):
            evaluate(runs[0], subsets, attested=str(tmp_path / file))


def test_a_list_tells_where_its_missing_clips_are(release: Path, subsets: Path) -> None:
    wanted = [clip_id(0, 0), clip_id(2, 0), BROKEN, clip_id(6, 0), clip_id(9, 0)]
    found = ground.of_list("x", wanted, str(subsets), "test", [clip_id(0, 0)], {BROKEN: "no caption"})
    assert found.missing == {
        BROKEN: "no caption",
        clip_id(2, 0): "outside the subset",
        clip_id(6, 0): "outside the subset",
        clip_id(9, 0): "not in the release",
    }
    assert (found.clips, found.scored) == (5, 1)
    assert found.kinds() == {"outside the subset": 2, "no caption": 1, "not in the release": 1}
    elsewhere = ground.of_list("x", [clip_id(0, 0)], str(release), "test", [], {})
    assert elsewhere.missing == {clip_id(0, 0): "in train"}


def test_questions_are_answered_in_the_same_pass(runs: list[str], subsets: Path, tmp_path: Path) -> None:
    rows = [
        {"clip": clip_id(0, 0), "question": "What barks?", "answer": "dog", "modality": "audio"},
        {"clip": layout.official_id(clip_id(4, 1)), "question": "What?", "answer": "x", "modality": "both"},
        {"clip": BROKEN, "question": "What?", "answer": "x"},
        {"clip": "elsewhere00_0_1000", "question": "What?", "answer": "x"},
    ]
    (tmp_path / "q.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    report = evaluate(runs[0], subsets, questions=str(tmp_path / "q.jsonl"), against=runs[1])
    assert report.counts["questions"] == 2
    details = report.details
    assert set(details["unanswered"]) == {"3", "4"}
    assert {name: told["questions"] for name, told in details["accuracy"].items()} == {
        "all": 2, "audio": 1, "audio-visual": 1,
    }  # fmt: skip
    assert {one["question"]["number"]: one["clip_id"] for one in details["answers"]} == {
        "1": clip_id(0, 0), "2": clip_id(4, 1),
    }  # fmt: skip
    assert set(details["against"]["tables"]["questions"]) == {"all", "audio", "audio-visual"}
    assert max(map(len, report.plan)) <= 98
    (tmp_path / "none.jsonl").write_text(f"{json.dumps(rows[3])}\n")
    with pytest.raises(UserError, match="none is about a clip of this split"):
        evaluate(runs[0], subsets, questions=str(tmp_path / "none.jsonl"))


def test_captions_are_compared_by_a_sentence_model(runs: list[str], subsets: Path, tmp_path: Path) -> None:
    sentence_model(tmp_path)
    tables = evaluate(runs[0], subsets, sentences=str(tmp_path)).details["whole"]["tables"]
    found = tables["captions"]["sentence cosine"]
    assert -100 <= found["low"] <= found["value"] <= found["high"] <= 100
    with pytest.raises(UserError, match="no sentence model there") as caught:
        evaluate(runs[0], subsets, sentences=str(tmp_path / "none"))
    assert "\n" not in str(caught.value)


def test_a_sentence_is_the_mean_of_its_words(tmp_path: Path) -> None:
    """Held against the same model by hand, one sentence at a time."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from valor_data.train.meaning import Meaning

    sentence_model(tmp_path)
    meaning = Meaning(str(tmp_path), torch.device("cpu"))
    written = {"a": "a dog barks", "b": "red"}
    references = {"a": ["a dog barks"], "b": ["the red car is red", "a dog"]}
    found = meaning(written, references)
    assert found[0] == pytest.approx(1)
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    words = transformers.AutoTokenizer.from_pretrained(tmp_path)

    def one(text: str) -> object:
        with torch.no_grad():
            states = model(**words(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        return states / states.norm()

    cosines = [float(one("red") @ one(text)) for text in references["b"]]  # type: ignore[operator]
    assert found[1] == pytest.approx(sum(cosines) / 2, abs=1e-5)


def sentence_model(folder: Path) -> None:
    """A BERT of random weights, with its words."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "barks", "red", "car", "the", "is"]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(vocab_size=12, **sizes)).save_pretrained(folder)


def test_what_encoders_saw_before_is_told() -> None:
    model = ModelConfig(
        vision=VisionConfig(weights="openai/clip-vit-base-patch16"),
        audio=AudioConfig(weights="a/folder/ast-finetuned-audioset-10-10-0.4593/"),
        text=TextConfig(weights="mine"),
    )
    found = ground.encoders(model)
    assert found["picture"] == (
        "clip-vit-base-patch16", "400 million pairs of picture and text from the web (WIT, not public)"
    )  # fmt: skip
    assert found["sound"].saw.startswith("AudioSet's train lists")
    assert found["sound"].saw.endswith("not its eval list")
    assert found["text"] == ("mine", "not known here; its own card tells")
    assert ground.encoders(ModelConfig())["text"] == ("", "")


def test_what_is_wrong_is_told_before_any_clip_is_looked_at(
    runs: list[str], subsets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valor_data.train.evaluate.score", lambda *_, **__: pytest.fail("looked at clips"))
    with pytest.raises(UserError, match=r": no checkpoint there: it lacks config\.json"):
        evaluate(runs[0], subsets, against=str(tmp_path))
    shutil.copytree(runs[0], tmp_path / "cut")
    weights = (tmp_path / "cut" / "model.safetensors").read_bytes()
    (tmp_path / "cut" / "model.safetensors").write_bytes(weights[:-9])
    with pytest.raises(UserError, match=r"cut/model\.safetensors: not readable as a checkpoint"):
        evaluate(runs[0], subsets, against=str(tmp_path / "cut"))
    with pytest.raises(UserError, match=r"--questions .*: not readable"):
        evaluate(runs[0], subsets, questions=str(tmp_path / "none"))
    with pytest.raises(UserError, match="no clip of this split is in a subset 'x'; it has: eval"):
        evaluate(runs[0], subsets, "test", "x")
    (tmp_path / "desc_val.json").write_text('[{"video_id": "CEfOX4fYlsY_20.000_30.000", "desc": "x"}]')
    with pytest.raises(UserError, match="none of its 1 clips is of split test"):
        evaluate(runs[0], subsets, expected=str(tmp_path / "desc_val.json"))
