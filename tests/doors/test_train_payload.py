"""The payload `train` on its way into a release: derived once, anew when its media change, verified."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.fakes import rows
from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.errors import Reason, UserError
from valor_data.manifest import Manifest
from valor_data.media.write import write_video
from valor_data.recipe import Recipe
from valor_data.records import (
    Caption,
    Clip,
    Derived,
    Media,
    Origin,
    Outcome,
    Record,
    SplitOf,
    SubsetMember,
    Verdict,
)
from valor_data.runner import Tally, run_stage
from valor_data.shards import read_samples
from valor_data.stages.derive import DeriveStage
from valor_data.stages.fetch import sweep
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release
from valor_data.workspace import Workspace

RECIPE = Recipe.model_validate(
    {"name": "small", "shard": {"payload": "train"}, "derive": {"short_side": 32, "sample_rate": 8000}}
)


def film(path: Path, grey: int, sound: bool) -> bytes:
    frames = (np.full((48, 64, 3), 40 + grey + number, np.uint8) for number in range(10))
    tone = np.sin(np.arange(44100) / 10).astype(np.float32)[None] / 2
    write_video(path, frames, 10, tone if sound else None)
    return path.read_bytes()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """With sound, without, and none at all."""
    folder = tmp_path_factory.mktemp("films")
    return [film(folder / "0.mp4", 0, True), film(folder / "1.mp4", 60, False), b"no film" * 1000]


@contextmanager
def opened(root: Path, made_with: Recipe = RECIPE) -> Iterator[Workspace]:
    with Workspace.open(made_with, str(root), write=True) as workspace:
        yield workspace


def put(workspace: Workspace, number: int, mp4: bytes, kept: bool = True) -> None:
    """A clip that is fetched, judged and captioned."""
    clip = rows.clip_id(number)
    key = layout.object_key(workspace.recipe.profile, clip)
    workspace.store.put_bytes(key, mp4)
    span = layout.parse_clip_id(clip)
    made: list[Record] = [
        Clip(clip_id=clip, source="youtube", video_id=span.video_id, start_ms=span.start_ms,
             end_ms=span.end_ms, url="https://x.org/", made_by="list:x"),
        Media(clip_id=clip, profile=workspace.recipe.profile, object_key=key, bytes=len(mp4),
              duration_ms=1000, sha256=hashlib.sha256(mp4).hexdigest(), video_codec="h264",
              width=64, height=48, fps=10.0,
              audio_codec="aac", sample_rate=44100, channels=1, start_error_ms=0.0, made_by="x"),
        Verdict(clip_id=clip, rules_digest=workspace.recipe.rules_digest, kept=kept, made_by="rules@1"),
        Caption(caption_id=f"c{number}", clip_id=clip, text="A hum.", author="x", origin=Origin.IMPORTED,
                made_by="x"),
        SplitOf(clip_id=clip, split="train", made_by="list:x"),
    ]  # fmt: skip
    for row in made:
        workspace.tables.append([row])


def run(workspace: Workspace, engine: str = "inline") -> Tally:
    stage = DeriveStage(workspace.recipe, workspace.root)
    return run_stage(stage, workspace, engine=engine, workers=2, limit=None, progress=False)


def counts(tally: Tally) -> tuple[int, int, int]:
    return tally.ok, tally.rejected, tally.failed


def test_pairs_are_derived_and_released(tmp_path: Path, films: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        for number, mp4 in enumerate(films):
            put(workspace, number, mp4)
        put(workspace, 3, films[0], kept=False)
        workspace.tables.append([SubsetMember(subset="eval", clip_id=rows.clip_id(0), made_by="x")])
        tally = run(workspace, "local")
        assert counts(tally) == (2, 1, 0)
        assert tally.reasons == {Reason.CORRUPT: 1}
        assert counts(run(workspace)) == (0, 0, 0)
        made = write_release(workspace, progress=False)
        derived = {row.clip_id: row for row in workspace.tables.rows(Derived)}
        media = {row.clip_id: row for row in workspace.tables.rows(Media)}
    assert made.counts["released"] == 2
    assert any("1 clips are left out" in line for line in made.warnings)
    release = tmp_path / made.prefix
    (shard,) = release.glob("*/*.tar")
    with shard.open("rb") as file:
        samples = {one.key: one.members for one in read_samples(file, shard.name)}
    whole, mute = (samples[rows.clip_id(number)] for number in (0, 1))
    assert list(whole) == ["mp4", "flac", "json", "txt"]
    assert list(mute) == ["mp4", "json", "txt"]
    told = json.loads(whole["json"])
    assert [told[name] for name in ("width", "height", "fps", "sample_rate", "channels")] == [
        42,
        32,
        4.0,
        8000,
        1,
    ]
    assert (told["video_codec"], told["audio_codec"], told["duration_ms"]) == ("h264", "flac", 1000)
    for suffix, sha256, size in (("mp4", "sha256", "bytes"), ("flac", "sound_sha256", "sound_bytes")):
        assert told[sha256] == hashlib.sha256(whole[suffix]).hexdigest()
        assert told[size] == len(whole[suffix])
    assert told["media_sha256"] == media[rows.clip_id(0)].sha256 == derived[rows.clip_id(0)].media_sha256
    silent = json.loads(mute["json"])
    assert (told["subsets"], silent["subsets"]) == (["eval"], [])
    assert [silent[name] for name in ("audio_codec", "sound_sha256", "sample_rate")] == [None, None, None]
    catalog = pq.read_table(release / "catalog.parquet")
    assert sorted(catalog["sound_bytes"].to_pylist(), key=str) == sorted([len(whole["flac"]), None], key=str)
    said = Manifest.parse((release / "manifest.json").read_bytes())
    assert (said.payload, said.derive["sample_rate"]) == ("train", 8000)
    assert said.subsets == {"eval": {"train": 1, "val": 0, "test": 0}}
    card = (release / "README.md").read_text()
    assert "| eval | 1 | 0 | 0 |" in card
    assert f"`{RECIPE.derived_profile}`" in card
    checked = verify(str(release), deep=True)
    assert checked.problems == []
    assert checked.counts["decoded"] == 2


def test_one_command_derives_and_releases(tmp_path: Path, films: list[bytes]) -> None:
    """And a byte of the sound that flips afterwards is found."""
    options = Options(workspace=str(tmp_path), engine="inline", progress=False, limit=1)
    with opened(tmp_path) as workspace:
        put(workspace, 2, films[2])
    with pytest.raises(UserError, match="of no kept clip could the payload be derived"):
        chain.shard(RECIPE, options)
    with opened(tmp_path) as workspace:
        put(workspace, 0, films[0])
        put(workspace, 1, films[1])
    made = chain.shard(RECIPE, options)
    assert (made.ok, made.counts["derived"], made.counts["released"]) == (True, 2, 2)
    release = tmp_path / made.outputs[0]
    (shard,) = release.glob("*/*.tar")
    data = bytearray(shard.read_bytes())
    data[data.index(b"fLaC") + 200] ^= 1
    shard.write_bytes(bytes(data))
    assert any(".flac: sha256 differs" in line for line in verify(str(release), deep=True).problems)


def test_what_changed_or_went_is_derived_again(tmp_path: Path, films: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        put(workspace, 0, films[0])
        put(workspace, 1, films[1])
        run(workspace)
        put(workspace, 0, films[1])  # fetched again, other bytes
        assert counts(run(workspace)) == (1, 0, 0)
        (row,) = workspace.tables.rows(Derived, clip_id=rows.clip_id(0))
        assert row.sound_key is None
        assert row.object_key
        workspace.store.delete([row.object_key])
        sweep(workspace)
        (lost,) = (one for one in workspace.tables.rows(Outcome) if one.reason is Reason.LOST)
        assert lost.stage == f"derive/{workspace.recipe.derived_profile}"
        assert counts(run(workspace)) == (1, 0, 0)
        assert workspace.store.exists(row.object_key)
        assert counts(run(workspace)) == (0, 0, 0)


def test_other_settings_are_another_profile() -> None:
    other = RECIPE.model_copy(update={"derive": RECIPE.derive.model_copy(update={"sample_rate": 22050})})
    assert other.derived_profile != RECIPE.derived_profile
    assert layout.is_derived(other.derived_profile)
    assert other.profile == RECIPE.profile
