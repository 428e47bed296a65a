"""Near-duplicates and leaks from real files to the tables: found, typed, taken back, not done twice."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import rows
from numpy.typing import NDArray

from valor_data import layout
from valor_data.errors import UserError
from valor_data.media.write import write_video
from valor_data.recipe import Recipe, parse
from valor_data.records import Leak, Media, Neighbour, OptOut
from valor_data.runner import run_stage
from valor_data.stages import neighbours as module
from valor_data.stages.measure import MeasureStage
from valor_data.stages.neighbours import Found, compare
from valor_data.workspace import Workspace

RATE, FPS, SECONDS = 22_050, 20, 6


def recipe(**sections: Any) -> Recipe:
    return parse({"name": "trial", "rules": [], **sections}, "trial.toml")


def pictures(seed: int, size: int = 1) -> list[NDArray[np.uint8]]:
    """Patches that drift and blink, each seed in its own way."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(40, 220, (9, 16, 3))
    drift = np.cumsum(rng.integers(-3, 4, SECONDS * FPS))
    blink = np.repeat(rng.integers(-30, 30, SECONDS * 2), FPS // 2)
    frames = []
    for step in range(SECONDS * FPS):
        shown = np.clip(patches + blink[step], 0, 255).astype(np.uint8)
        frames.append(
            np.roll(np.kron(shown, np.ones((16 * size, 16 * size, 1), np.uint8)), drift[step] * size, axis=1)
        )
    return frames


def sound(seed: int) -> NDArray[np.float32]:
    """Bursts of tones and noise, each seed in its own way."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(SECONDS * 4):
        times = np.arange(RATE // 4) / RATE
        tone = np.sin(2 * np.pi * rng.uniform(200, 3000) * times) * np.exp(-times * rng.uniform(2, 15))
        parts.append(rng.uniform(0.05, 0.5) * tone + 0.01 * rng.standard_normal(len(times)))
    return np.concatenate(parts)[None].astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One clip; the same at half the size; its picture under other sound; its sound under another picture;
    a clip of its own."""
    folder = tmp_path_factory.mktemp("files")
    made = [
        (pictures(0, 2), 0),
        (pictures(0, 1), 0),
        (pictures(0, 2), 1),
        (pictures(1, 2), 0),
        (pictures(2, 1), 2),
    ]
    for number, (frames, heard) in enumerate(made):
        write_video(folder / f"{number}.mp4", frames, FPS, sound(heard), RATE)
    return [(folder / f"{number}.mp4").read_bytes() for number in range(len(made))]


def fill(root: Path, made: Recipe, contents: list[bytes], first: int = 0) -> None:
    """A workspace with measured clips as if they had been fetched."""
    with Workspace.open(made, str(root), write=True) as workspace:
        media: list[Media] = []
        for number, content in enumerate(contents, first):
            key = layout.object_key(made.profile, rows.clip_id(number))
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(content)
            sha = hashlib.sha256(content).hexdigest()
            media.append(rows.media(number, profile=made.profile, object_key=key, sha256=sha))
        workspace.tables.append(rows.clip(number) for number in range(first, first + len(contents)))
        workspace.tables.append(media)
        stage = MeasureStage(made, workspace.root)
        run_stage(stage, workspace, engine="inline", workers=1, limit=None, progress=False)


def compared(root: Path, made: Recipe) -> Found:
    with Workspace.open(made, str(root), write=True) as workspace:
        return compare(workspace)


def groups(root: Path) -> set[tuple[str, str, str, int]]:
    with Workspace.open(recipe(), str(root), write=False) as workspace:
        found = workspace.tables.rows(Neighbour)
        return {(row.kind, row.clip_id, row.representative, row.size) for row in found if row.size > 1}


def leaks(root: Path) -> set[tuple[str, str, str, str]]:
    with Workspace.open(recipe(), str(root), write=False) as workspace:
        found = workspace.tables.rows(Leak)
        return {(row.clip_id, row.benchmark, row.how, row.match) for row in found if row.how != "none"}


def test_groups_are_typed_and_a_shared_sound_is_no_duplicate(files: list[bytes], tmp_path: Path) -> None:
    fill(tmp_path, recipe(), files)
    found = compared(tmp_path, recipe())
    ids = [rows.clip_id(number) for number in range(5)]
    first = ids[0]
    assert groups(tmp_path) == {
        *(("both", clip, first, 2) for clip in ids[:2]),
        *(("video", clip, first, 3) for clip in ids[:3]),
        *(("audio", clip, first, 3) for clip in (ids[0], ids[1], ids[3])),
    }
    assert found.duplicates == 1


def test_what_has_not_changed_is_not_compared_again(
    files: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, recipe(), files[:2])
    before = compared(tmp_path, recipe())
    monkeypatch.setattr(module.neighbours, "near_duplicates", lambda *_: pytest.fail("compared again"))
    assert compared(tmp_path, recipe()) == before


def test_a_clip_whose_owner_opts_out_stands_for_nobody(files: list[bytes], tmp_path: Path) -> None:
    fill(tmp_path, recipe(), [files[4], files[2], files[0], files[1]])
    assert compared(tmp_path, recipe()).duplicates == 1
    video = layout.parse_clip_id(rows.clip_id(2)).video_id  # clips 2 and 3 are of one video
    with Workspace.open(recipe(), str(tmp_path), write=True) as workspace:
        workspace.tables.append([OptOut(scope="video", value=video, made_by="opt_out:x")])
    assert compared(tmp_path, recipe()).duplicates == 0
    assert groups(tmp_path) == set()


def test_a_benchmark_leaks_by_span_by_video_and_by_print(files: list[bytes], tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    fill(ours, recipe(), [files[0], files[4], files[3]])
    fill(theirs, recipe(), [files[1]], first=20)  # the first of ours under another id and at another size
    listed = tmp_path / "test.csv"
    span = layout.parse_clip_id(rows.clip_id(1))
    listed.write_text(
        f"video_id,start,end\n{span.video_id},{span.start_ms / 1000 + 9},{span.end_ms / 1000 + 9}\n"
    )
    made = recipe(
        benchmarks=[
            {"name": "by list", "path": str(listed)},
            {"name": "by print", "workspace": str(theirs)},
        ]
    )
    found = compared(ours, made)
    video = span.video_id  # clips 0 and 1 are of one video
    overlapping = layout.clip_id(video, span.start_ms + 9000, span.end_ms + 9000)
    assert leaks(ours) == {
        (rows.clip_id(0), "by list", "video", video),
        (rows.clip_id(1), "by list", "clip", overlapping),
        (rows.clip_id(0), "by print", "print", rows.clip_id(20)),
    }
    assert found.leaked == 2
    # A list that changes is compared again, and what it no longer names is taken back.
    listed.write_text("video_id,start,end\nnever-seen0,0,10\nno id,0,10\n")
    found = compared(ours, made)
    assert found.leaked == 1
    assert found.warnings[0].startswith("benchmark 'by list': test.csv: 1 of 2 rows refused; line 3: ")
    assert {name for _, name, _, _ in leaks(ours)} == {"by print"}


def test_a_benchmark_that_is_not_there_is_the_users_mistake(files: list[bytes], tmp_path: Path) -> None:
    fill(tmp_path, recipe(), files[:1])
    lost = recipe(benchmarks=[{"name": "x", "workspace": str(tmp_path / "lost")}])
    with pytest.raises(UserError, match="no workspace there"):
        compared(tmp_path, lost)
    (tmp_path / "bad.csv").write_text("video_id,start,end\nno id,0,10\n")
    with pytest.raises(UserError, match=r"benchmark 'x': bad\.csv: 1 of 1 rows refused; line 2"):
        compared(tmp_path, recipe(benchmarks=[{"name": "x", "path": str(tmp_path / "bad.csv")}]))
    with pytest.raises(UserError, match=r"gone\.csv"):
        compared(tmp_path, recipe(benchmarks=[{"name": "x", "path": str(tmp_path / "gone.csv")}]))
