"""What a release says of itself: card, changelog, Croissant file, manifest; as others read them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest
import yaml

from tests.doors.test_release import PREFIX, captions_of, clip_id, fill, mp4s, opened, recipe
from valor_data import layout
from valor_data.manifest import Manifest
from valor_data.records import Answer, Caption, Clip, LabelTask, Origin, Review, Verdict, Video
from valor_data.segments.rows import Rows
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release

__all__ = ["mp4s"]  # a fixture

HOSTILE = '<script>alert(1)</script> | `x` [y](javascript:z)\n## Hostile \u202e\0 "q"'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, mp4s: list[bytes]) -> Path:
    """A release in which every text that people give tries to be something else."""
    root = tmp_path_factory.mktemp("hostile")
    told = {
        "title": HOSTILE,
        "licence": HOSTILE,
        "contact": HOSTILE,
        "creators": [HOSTILE],
        "date": "2026-11-27",
    }
    asked = recipe(release={**told, "citation": "@misc{x,\n```\n}"}, shard={"require_caption": False})
    with opened(root, asked) as workspace:
        fill(workspace, mp4s, captioned=lambda number: number % 3 > 0)
        first = next(workspace.tables.rows(Clip, clip_id=clip_id(0, 0)))
        workspace.tables.append([first.model_copy(update={"labels": (HOSTILE, "Dog"), "source": HOSTILE})])
        workspace.tables.append(
            captions_of(clip_id(0, 0), HOSTILE, "\u0645\u0631\u062d\u0628\u0627", "long " * 200_000)
        )
        video = Video(
            video_id="-v_00", webpage_url="x", extractor="x", licence=HOSTILE, title=HOSTILE, made_by="x"
        )
        workspace.tables.append([video])
        write_release(workspace, progress=False)
    return root / PREFIX


def test_the_front_matter_is_yaml_and_text_stays_text(hostile: Path) -> None:
    card = (hostile / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    said = yaml.safe_load(front)
    assert said["license"] == "other"
    assert said["license_name"].startswith("<script>")
    assert said["language"] == ["en"]
    assert [part["split"] for part in said["configs"][0]["data_files"]] == ["train", "test"]
    assert "<script" not in body
    assert not [char for char in body if char in "\0\u202e"]
    assert not [line for line in body.splitlines() if line.startswith("## Hostile")]
    assert "](javascript" not in body.replace("\\]", "")
    assert body.count("```") % 2 == 0
    for table in (part for part in body.split("\n\n") if part.startswith("|")):
        assert len({row.count("|") - row.count("\\|") for row in table.splitlines()}) == 1, table
    for plot in hostile.glob("plots/*.svg"):
        assert "<script" not in plot.read_text()
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=hostile, check=False)
    assert checked.returncode == 0
    for name in ("durations", "lengths", "labels", "sounds"):
        assert f"](plots/{name}.svg)" in body
        assert (hostile / "plots" / f"{name}.svg").read_bytes().startswith(b"<svg")


def test_poor_texts_are_told_in_a_line_each(hostile: Path) -> None:
    result = verify(str(hostile), deep=True, leaks={clip_id(0, 0): "somebody's"})
    assert result.problems == []
    assert not [note for note in result.notes if not note.isprintable()]
    told = "\n".join(result.notes)
    for words in (
        "captions: control characters, such as NUL: 9, such as ",
        "captions: marks that turn the direction of writing: 9, ",
        "captions: longer than 10,000 letters: 1, ",
        "clips that somebody's holds too: 1, such as -v_00_0_10000",
    ):
        assert words in told


def test_a_language_that_is_no_code_is_told_and_stops_nothing(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path, recipe()) as workspace:
        fill(workspace, mp4s)
        strange = captions_of(clip_id(1, 0), "Somebody sings.")
        workspace.tables.append([one.model_copy(update={"language": "klingon!!"}) for one in strange])
        write_release(workspace, progress=False)
    result = verify(str(tmp_path / PREFIX), deep=True)
    assert result.problems == []
    assert "captions: a language that is no ISO 639 code: 1, such as " in "\n".join(result.notes)


# Its own deprecations are no business of ours.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_mlcroissant_validates_it_and_loads_every_record(hostile: Path) -> None:
    dataset = mlcroissant.Dataset(jsonld=str(hostile / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert str(dataset.metadata.ctx.conforms_to.value).endswith("/croissant/1.1")
    loaded = {one["clips/clip_id"].decode(): one for one in dataset.records("clips")}
    wanted = {row["clip_id"]: row for row in pq.read_table(hostile / "catalog.parquet").to_pylist()}
    assert loaded.keys() == wanted.keys()
    for clip, row in wanted.items():
        one = loaded[clip]
        assert (one["clips/start_ms"], one["clips/fps"]) == (row["start_ms"], row["fps"])
        assert [label.decode() for label in one["clips/labels"]] == row["labels"]
        assert one["clips/caption"] == (row["caption"].encode() if row["caption"] else None)
        assert one["clips/shard"].decode() == row["shard"]
    said = json.loads((hostile / "croissant.json").read_text())
    answered = {name for name in said if name.startswith("rai:")}
    card = (hostile / "README.md").read_text()
    unstated = card.split("that nobody stated: ")[1].splitlines()[0].rstrip(".").split(", ")
    assert "rai:annotatorDemographics" in unstated
    assert len(answered) + len(unstated) == 20
    assert not answered & set(unstated)
    hashes = {file["contentUrl"]: file["sha256"] for file in said["distribution"] if "sha256" in file}
    made = Manifest.parse((hostile / "manifest.json").read_bytes())
    assert {shard.path: shard.sha256 for shard in made.shards}.items() <= hashes.items()


def test_a_version_tells_what_changed_since_its_parent(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        first = write_release(workspace, progress=False)
        gone, digest = clip_id(1, 0), workspace.recipe.rules_digest
        verdict = Verdict(clip_id=gone, rules_digest=digest, kept=False, reason="loud", made_by="rules@1")
        workspace.tables.append([verdict])
        workspace.tables.append(captions_of(clip_id(0, 0), "A dog barks near the water."))
    with opened(tmp_path, recipe(release={"version": "0.10.0", "licence": "CC0-1.0"})) as workspace:
        write_release(workspace, progress=False)
    folder = tmp_path / "releases" / "tiny-0.10.0"
    made = Manifest.parse((folder / "manifest.json").read_bytes())
    assert [(parent.version, parent.content_sha256) for parent in made.parents] == [
        ("0.1.0", first.content_sha256)
    ]
    text = (folder / "CHANGELOG.md").read_text()
    assert text.index("## 0.10.0") < text.index("## 0.1.0")
    for line in (
        "- clips removed: 1",
        "- clips with other captions: 1",
        "- licence: `CC-BY-4.0` → `CC0-1.0`",
        "First version.",
    ):
        assert line in text.splitlines()
    assert gone not in text
    assert "It follows 0.1.0" in (folder / "README.md").read_text()
    assert verify(str(folder)).problems == []


def test_a_manifest_from_before_a_key_was_known_reads(hostile: Path) -> None:
    said = json.loads((hostile / "manifest.json").read_bytes())
    for key in ("parents", "revoked", "sha256_of_the_rest"):
        said.pop(key, None)
    sealed = {**said, "sha256_of_the_rest": layout.digest(said)}
    text = f"{json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False)}\n"
    assert Manifest.parse(text.encode()).parents == ()
    with pytest.raises(ValueError, match="digest"):
        Manifest.parse(text.replace('"version": "0.1.0"', '"version": "0.1.1"').encode())


def test_an_audit_is_told_with_its_interval(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s, captioned=lambda number: False)
        rows: dict[str, list[Any]] = {"captions": [], "reviews": [], "label_tasks": [], "answers": []}
        for number in range(10):
            clip = clip_id(number, 0) if number < 6 else clip_id(number - 6, 1)
            one, ann = f"{number:024x}", f"ann-{number % 2}"
            rows["captions"].append(
                Caption(
                    caption_id=one, clip_id=clip, text="A dog barks near the water.", author=ann,
                    origin=Origin.HUMAN, made_by="x",
                )
            )  # fmt: skip
            rows["reviews"].append(Review(caption_id=one, reviewer="chk", decision="accept", made_by="x"))
            if number < 5:
                task = LabelTask(
                    task_id=f"t{number}", clip_id=clip, stage="review", kind="audit", caption_id=one,
                    revision=1, not_for=ann, made_by="x",
                )  # fmt: skip
                rows["label_tasks"].append(task)
                for who, verdict in (("chk-2", "reject" if number == 0 else "accept"), (ann, "reject")):
                    rows["answers"].append(
                        Answer(
                            answer_id=f"a{number}{who}", task_id=task.task_id, clip_id=clip, annotator=who,
                            verdict=verdict, made_by="x",
                        )
                    )  # fmt: skip
        for several in rows.values():
            workspace.tables.append(several)
        write_release(workspace, progress=False)
    card = " ".join((tmp_path / PREFIX / "README.md").read_text().split())
    # One of five: what its own author said of it does not count. Of ten, one to five are bad.
    assert "20.0% among the 10 of our annotators (95 % interval 10.0% to 50.0%), from 5" in card
    assert "10 captions were written by 2 annotators" in card
    assert "1 checkers made 10 checks" in card


def test_a_release_without_media_gives_back_its_clips(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path, recipe(shard={"payload": "ids"})) as workspace:
        fill(workspace, mp4s)
        made = write_release(workspace, progress=False)
    folder = tmp_path / PREFIX
    assert (made.counts["released"], made.counts["shards"]) == (13, 0)
    assert not list(folder.rglob("*.tar"))
    result = verify(str(folder), deep=True)
    assert result.problems == []
    assert result.counts["released"] == 13
    front = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    assert front["configs"][0]["data_files"] == [{"split": "all", "path": "catalog.parquet"}]
    for row in pq.read_table(folder / "catalog.parquet").to_pylist():
        segment = Rows(10).from_columns(1, row)
        assert (segment.clip_id, segment.labels, segment.split) == (
            row["clip_id"],
            tuple(row["labels"]),
            row["split"],
        )
        assert [one for one, _ in segment.captions] == [said["caption_id"] for said in row["captions"]]
    path = folder / "catalog.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    assert [problem.split(": ")[0] for problem in verify(str(folder)).problems] == ["catalog.parquet"]
