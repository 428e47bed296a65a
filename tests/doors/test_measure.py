"""The measuring stage on real files: one decode for all, only what is missing, and nothing lost."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import rows

from valor_data import layout
from valor_data.errors import UserError
from valor_data.media.write import write_video
from valor_data.recipe import Recipe, parse
from valor_data.records import (
    MEASURES,
    Media,
    Outcome,
    Quarantine,
    SafetyMeasures,
)
from valor_data.runner import Tally, run_stage
from valor_data.stages.measure import MeasureStage
from valor_data.stages.measure import stage as module
from valor_data.stages.quarantine import by_hand, quarantine
from valor_data.workspace import Workspace

RATE = 16_000


def recipe(**sections: Any) -> Recipe:
    return parse({"name": "trial", "rules": [], **sections}, "trial.toml")


def media(profile: str, number: int, content: bytes) -> Media:
    return rows.media(
        number,
        profile=profile,
        object_key=layout.object_key(profile, rows.clip_id(number)),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three clips of three seconds: with sound, without, and one that is no clip."""
    folder = tmp_path_factory.mktemp("footage")
    rng = np.random.default_rng(0)
    patches = np.kron(rng.integers(50, 200, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    frames = [np.roll(patches, 3 * number, axis=1) for number in range(75)]
    sound = (0.1 * rng.standard_normal((1, 3 * RATE))).astype(np.float32)
    write_video(folder / "a.mp4", frames, 25, sound, RATE)
    write_video(folder / "b.mp4", frames[::-1], 25, None)
    whole = [(folder / name).read_bytes() for name in ("a.mp4", "b.mp4")]
    return [*whole, b"\0\0\0\x18ftypmp42" + bytes(5000)]


@pytest.fixture
def root(tmp_path: Path, footage: list[bytes]) -> str:
    """A workspace with those clips as if they had been fetched."""
    made = recipe()
    with Workspace.open(made, str(tmp_path / "set"), write=True) as workspace:
        for number, content in enumerate(footage):
            key = layout.object_key(made.profile, rows.clip_id(number))
            path = tmp_path / "set" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        workspace.tables.append([rows.clip(number) for number in range(len(footage))])
        workspace.tables.append([media(made.profile, n, content) for n, content in enumerate(footage)])
    return str(tmp_path / "set")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What each decode was asked for, in order."""
    asked: list[Any] = []
    real = module.observe

    def watched(path: Path, wanted: Any) -> Any:
        asked.append(wanted)
        return real(path, wanted)

    monkeypatch.setattr(module, "observe", watched)
    return asked


def measure(root: str, made: Recipe, engine: Any = "inline") -> Tally:
    with Workspace.open(made, root, write=True) as workspace:
        stage = MeasureStage(made, workspace.root)
        return run_stage(stage, workspace, engine=engine, workers=2, limit=None, progress=False)


def numbers(root: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of the measures' tables, without its time."""
    with Workspace.open(recipe(), root, write=False) as workspace:
        return {
            record.table: [row.model_dump(exclude={"made_at_us"}) for row in workspace.tables.rows(record)]
            for record in MEASURES
        }


def test_all_measurers_share_one_decode_and_a_later_one_measures_alone(
    root: str, decoded: list[Any], footage: list[bytes]
) -> None:
    sound_only = recipe(measure={"also": []})
    assert measure(root, sound_only).ok == 2
    assert len(decoded) == 3
    assert not any(wanted.picture for wanted in decoded)
    before = numbers(root)
    decoded.clear()
    assert measure(root, recipe()).ok == 2
    assert [(wanted.sound, wanted.picture) for wanted in decoded] == [
        (True, True)
    ] * 2  # av and prints hear too
    after = numbers(root)
    assert after["audio_measures"] == before["audio_measures"]
    assert [len(after[table]) for table in ("video_measures", "av_measures", "prints")] == [2, 2, 2]
    decoded.clear()
    assert measure(root, recipe()).done == 0
    assert decoded == []


def test_a_file_that_is_none_is_rejected_once_with_its_reason(root: str) -> None:
    tally = measure(root, recipe())
    assert (tally.ok, tally.rejected, dict(tally.reasons)) == (2, 1, {"corrupt": 1})
    with Workspace.open(recipe(), root, write=False) as workspace:
        (row,) = [row for row in workspace.tables.rows(Outcome) if row.status != "ok"]
    assert (row.clip_id, row.reason) == (rows.clip_id(2), "corrupt")
    assert measure(root, recipe()).done == 0


def test_what_a_clip_lacks_is_told_and_what_it_has_is_measured(root: str) -> None:
    measure(root, recipe())
    found = numbers(root)
    (sounding, mute) = found["audio_measures"]
    assert (sounding["has_audio"], mute["has_audio"], mute["loudness_lufs"]) == (True, False, None)
    assert all(row["has_video"] and row["motion"] > 0 for row in found["video_measures"])
    assert [row["duration_gap_ms"] is None for row in found["av_measures"]] == [False, True]
    assert [row["sound"] is None for row in found["prints"]] == [False, True]
    assert all(row["picture"] for row in found["prints"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_every_engine_gives_the_same_numbers(root: str, engine: str, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "other")
    measure(root, recipe())
    assert measure(str(tmp_path / "other"), recipe(), engine).ok == 2
    assert numbers(str(tmp_path / "other")) == numbers(root)


def test_bytes_that_change_are_measured_anew(root: str, footage: list[bytes]) -> None:
    made = recipe()
    measure(root, made)
    with Workspace.open(made, root, write=True) as workspace:
        Path(root, layout.object_key(made.profile, rows.clip_id(1))).write_bytes(footage[0])
        workspace.tables.append([media(made.profile, 1, footage[0])])
    assert measure(root, made).ok == 1
    sounding = numbers(root)["audio_measures"]
    assert sounding[0]["loudness_lufs"] == sounding[1]["loudness_lufs"]


def test_speech_and_tags_are_measured_by_the_models(root: str, real_data: Path, decoded: list[Any]) -> None:
    for package in ("onnxruntime", "silero_vad", "ai_edge_litert"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'valor-data[models]'")
    measure(root, recipe())
    decoded.clear()
    tagger = str(real_data / "models" / "yamnet.tflite")
    with_models = recipe(measure={"also": ["video", "av", "prints", "speech", "tags"], "tagger": tagger})
    assert measure(root, with_models).ok == 2
    assert [(wanted.sound, wanted.picture, wanted.voice) for wanted in decoded] == [(False, False, True)] * 2
    found = numbers(root)
    assert [row["speech_share"] for row in found["speech_measures"]] == [0.0, None]
    noisy, mute = found["tag_measures"]
    assert len(noisy["tags"]) == len(noisy["tag_scores"]) == 10
    assert mute["tags"] == ()
    assert noisy["made_by"].startswith("tags-yamnet")


def test_a_model_that_is_not_there_is_the_users_mistake(root: str, tmp_path: Path) -> None:
    lost = recipe(measure={"also": ["tags"], "tagger": str(tmp_path / "lost.tflite")})
    with pytest.raises(UserError, match=r"lost\.tflite"):
        measure(root, lost)


# Quarantine


def put_away(root: str, made: Recipe) -> dict[tuple[str, str], str]:
    """Measure and decide; what is in quarantine: (clip, cause) -> detail."""
    measure(root, made)
    with Workspace.open(made, root, write=True) as workspace:
        quarantine(workspace)
        return {
            (row.clip_id, row.cause): row.detail
            for row in workspace.tables.rows(Quarantine)
            if not row.lifted
        }


def test_a_clip_on_a_hash_list_is_put_away_by_its_bytes_or_its_looks(
    root: str, footage: list[bytes], tmp_path: Path
) -> None:
    exact, looks = tmp_path / "exact.txt", tmp_path / "looks.csv"
    exact.write_text(f"# known files\nmd5:{hashlib.md5(footage[0]).hexdigest()}\n")
    looks.write_text("type,hash\n")
    made = recipe(safety={"hash_lists": [str(exact), str(looks)]})
    assert put_away(root, made) == {(rows.clip_id(0), "hash_list"): "exact.txt line 2: md5"}
    # A list that grows decodes nothing again: the hashes of the pictures are numbers already.
    with Workspace.open(made, root, write=False) as workspace:
        (hashes,) = [row.pdq_hashes for row in workspace.tables.rows(SafetyMeasures, clip_id=rows.clip_id(1))]
    assert hashes
    near = bytearray.fromhex(hashes[0])
    near[0] ^= 0b111  # three bits apart
    looks.write_text(f"type,hash\npdq,{near.hex()}\n")
    exact.write_text("# emptied\n")
    found = put_away(root, made)
    assert found[rows.clip_id(1), "hash_list"] == "looks.csv line 2: pdq, 3 bits apart"
    looks.write_text("type,hash\n")
    assert put_away(root, made) == {}


def test_a_wrong_line_of_a_hash_list_stops_before_anything_is_written(root: str, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("sha256:abc\n")
    made = recipe(safety={"hash_lists": [str(listed)]})
    with pytest.raises(UserError, match=r"list\.txt"):
        put_away(root, made)


def test_a_persons_word_stands(root: str) -> None:
    made = recipe()
    with Workspace.open(made, root, write=True) as workspace:
        by_hand(workspace, [rows.clip_id(0)], lift=False)
        assert quarantine(workspace) == 1
        by_hand(workspace, [rows.clip_id(0)], lift=True)
        assert quarantine(workspace) == 0
        with pytest.raises(UserError, match="no such clip"):
            by_hand(workspace, [rows.clip_id(1), "never_0_1"], lift=False)
        with pytest.raises(UserError, match="not in quarantine"):
            by_hand(workspace, [rows.clip_id(1)], lift=True)
        assert quarantine(workspace) == 0


def test_what_a_person_found_harmless_is_not_put_away_again(
    root: str, footage: list[bytes], tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"sha256:{hashlib.sha256(footage[0]).hexdigest()}\n")
    made = recipe(safety={"hash_lists": [str(listed)]})
    assert put_away(root, made)
    with Workspace.open(made, root, write=True) as workspace:
        by_hand(workspace, [rows.clip_id(0)], lift=True)
    assert put_away(root, made) == {}


def test_a_recipe_that_says_nothing_of_safety_lets_nothing_go(
    root: str, footage: list[bytes], tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"sha256:{hashlib.sha256(footage[0]).hexdigest()}\n")
    away = put_away(root, recipe(safety={"hash_lists": [str(listed)]}))
    assert away
    assert put_away(root, recipe()) == away


def test_bytes_that_nobody_looked_at_let_nothing_go(root: str, footage: list[bytes], tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"md5:{hashlib.md5(footage[0]).hexdigest()}\n")
    made = recipe(safety={"hash_lists": [str(listed)]})
    away = put_away(root, made)
    assert away
    with Workspace.open(made, root, write=True) as workspace:  # fetched anew, not measured yet
        workspace.tables.append([media(made.profile, 0, footage[1])])
        assert quarantine(workspace) == 1
