"""Copies of a release's clips: known again in other bytes, and told apart from what is not the same."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from valor_data import chain, layout
from valor_data.chain import Options
from valor_data.errors import FatalError, UserError
from valor_data.media.observe import Wanted, observe
from valor_data.media.write import write_video
from valor_data.recipe import Recipe
from valor_data.records import AudioMeasures, Clip, Media, Prints, Record, Verdict
from valor_data.stages.attest import Attested
from valor_data.stages.measure import numbers
from valor_data.stages.shard import write_release
from valor_data.workspace import Workspace

RATE, FPS, SECONDS = 44_100, 16, 8
RECIPE = Recipe.model_validate({"name": "held", "shard": {"require_caption": False, "samples": 3}})
RELEASE = "releases/held-0.1.0"
QUIET = Options(progress=False, workers=2)
SMALLER = ("-vf", "scale=-2:112", "-c:v", "mpeg4", "-b:v", "150k", "-c:a", "libmp3lame", "-b:a", "48k")


def encode(path: Path, *inputs_and_options: str | Path) -> None:
    words = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-nostdin",
        *map(str, inputs_and_options),
        str(path),
    ]
    subprocess.run(words, check=True)


def clip_of(number: int) -> str:
    return layout.clip_id(f"-v_{number:08d}", 30_000, 40_000)


def picture(seed: int) -> list[NDArray[np.uint8]]:
    """Patches that drift and blink, each seed in its own way."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(40, 220, (9, 16, 3))
    drift = np.cumsum(rng.integers(-3, 4, SECONDS * FPS))
    blink = np.repeat(rng.integers(-30, 30, SECONDS * 2), FPS // 2)
    shown = (np.clip(patches + light, 0, 255).astype(np.uint8) for light in blink)
    large = (np.kron(one, np.ones((16, 16, 1), np.uint8)) for one in shown)
    return [np.roll(one, shift, axis=1) for one, shift in zip(large, drift, strict=True)]


def sound(seed: int) -> NDArray[np.float32]:
    """Bursts of tones, each seed in its own way."""
    rng = np.random.default_rng(1000 + seed)
    parts = []
    for _ in range(SECONDS * 4):
        times = np.arange(RATE // 4) / RATE
        tone = np.sin(2 * np.pi * rng.uniform(200, 3000) * times) * np.exp(-times * rng.uniform(2, 15))
        parts.append(rng.uniform(0.05, 0.5) * tone + 0.01 * rng.standard_normal(len(times)))
    return np.concatenate(parts)[None].astype(np.float32)


def release_of(root: Path, clips: Mapping[str, Path]) -> Path:
    """A workspace with a release of these files, printed as `filter` prints them."""
    with Workspace.open(RECIPE, str(root), write=True) as workspace:
        rows: dict[str, list[Record]] = {}
        for clip, path in clips.items():
            data, span = path.read_bytes(), layout.parse_clip_id(clip)
            sha256, key = hashlib.sha256(data).hexdigest(), layout.object_key(RECIPE.profile, clip)
            workspace.store.put_bytes(key, data)
            seen = observe(path, Wanted(sound=True, picture=True))
            skew = numbers.av(seen).get("start_skew_ms")
            by: dict[str, Any] = {"clip_id": clip, "made_by": "x"}
            for row in (
                Clip(source="youtube", url=layout.youtube_url(span.video_id), **span._asdict(), **by),
                Media(
                    profile=RECIPE.profile, object_key=key, sha256=sha256, bytes=len(data), duration_ms=1,
                    video_codec="h264", width=1, height=1, fps=1.0, start_error_ms=0.0, av_skew_ms=skew, **by,
                ),
                AudioMeasures(media_sha256=sha256, has_audio=True, **by),
                Prints(media_sha256=sha256, **by, **numbers.fingerprints(seen)),
                Verdict(rules_digest=RECIPE.rules_digest, kept=True, **by),
            ):  # fmt: skip
                rows.setdefault(row.table, []).append(row)
        for several in rows.values():
            workspace.tables.append(several)
        write_release(workspace, progress=False)
    return root / RELEASE


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    paths = {clip_of(number): folder / f"{number}.mp4" for number in range(8)}
    for number, path in enumerate(paths.values()):
        write_video(path, picture(number), FPS, sound(number))
    return paths


@pytest.fixture(scope="module")
def release(films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release_of(tmp_path_factory.mktemp("attest") / "w", films)


def attested(release: Path, copies: Path, out: Path) -> tuple[dict[str, str], dict[str, Any], Attested]:
    """State of each clip, the statement as written, and all that was found."""
    report, found = chain.attest(str(release), str(copies), QUIET, out=str(out))
    said = json.loads(out.read_bytes())
    assert report.outputs == (str(out),)
    assert report.counts["clips"] == said["clips"] == len(found.judged)
    digest = said.pop("sha256_of_the_rest")
    assert digest == layout.digest(said)
    return {one.clip_id: one.state.value for one in found.judged}, said, found


def test_a_release_holds_a_lock_of_every_clip(release: Path, films: dict[str, Path]) -> None:
    rows = pq.read_table(release / layout.LOCK).to_pylist()
    assert [row["clip_id"] for row in rows] == sorted(films)
    assert all(row["sound"] and row["picture"] and row["av_skew_ms"] is not None for row in rows)
    assert rows[0]["sha256"] == hashlib.sha256(films[clip_of(0)].read_bytes()).hexdigest()
    assert f"  {layout.LOCK}\n" in (release / layout.SHA256SUMS).read_text()


def test_copies_are_known_for_what_they_are(release: Path, films: dict[str, Path], tmp_path: Path) -> None:
    path = [films[clip_of(number)] for number in range(8)]
    copies = tmp_path / "copies"
    (copies / "more").mkdir(parents=True)
    shutil.copy(path[0], copies / f"{clip_of(0)}.mp4")
    encode(copies / f"{layout.official_id(clip_of(1))}.mkv", "-i", path[1], *SMALLER)
    encode(copies / "more" / f"{clip_of(2)}.mkv", "-ss", "1", "-i", path[2], *SMALLER)
    both = ("-map", "0:v", "-map", "1:a")
    encode(copies / f"{clip_of(3)}.mkv", "-i", path[3], "-i", path[4], *both, *SMALLER)
    encode(copies / f"{clip_of(4)}.mkv", "-i", path[5], *SMALLER)
    (copies / f"{clip_of(5)}.mp4").write_bytes(b"no film")
    write_video(copies / f"{clip_of(6)}.mp4", picture(99), FPS, sound(99))
    (copies / "notes.txt").write_text("of my own")
    states, said, found = attested(release, copies, tmp_path / "said.json")
    told = {one.clip_id: one for one in found.judged}
    assert states == {
        clip_of(0): "equivalent",
        clip_of(1): "equivalent",
        clip_of(2): "shifted",
        clip_of(3): "swapped",
        clip_of(4): "swapped",
        clip_of(5): "unreadable",
        clip_of(6): "different",
        clip_of(7): "missing",
    }
    shifted = told[clip_of(2)]
    assert shifted.sound_ms == pytest.approx(1000, abs=60)
    assert shifted.picture_ms == pytest.approx(1000, abs=130)
    assert told[clip_of(3)].told == f"sound of {clip_of(4)}"
    assert told[clip_of(4)].told == f"is {clip_of(5)}"
    assert said["counts"] == {
        "equivalent": 2, "shifted": 1, "swapped": 2, "different": 1, "undecided": 0, "missing": 1,
        "unreadable": 1,
    }  # fmt: skip
    assert said["release"]["name"] == "held"
    assert str(tmp_path) not in (tmp_path / "said.json").read_text()
    assert found.unnamed == 1
    # Whoever has the lock and the statement can make its digest again.
    others = {one["clip_id"]: one["state"] for one in said["others"]}
    every = [[clip, others.get(clip, "equivalent")] for clip in sorted(films)]
    assert said["states_sha256"] == layout.digest(every)


def test_sound_that_the_container_starts_late_is_shifted(
    release: Path, films: dict[str, Path], tmp_path: Path
) -> None:
    copies, film = tmp_path / "copies", films[clip_of(0)]
    copies.mkdir()
    late = ("-i", film, "-itsoffset", "0.4", "-i", film, "-map", "0:v", "-map", "1:a", "-c", "copy")
    encode(copies / f"{clip_of(0)}.mkv", *late)
    states, _, found = attested(release, copies, tmp_path / "said.json")
    assert states[clip_of(0)] == "shifted"
    assert next(one for one in found.judged if one.clip_id == clip_of(0)).sound_ms == pytest.approx(
        400, abs=60
    )


def test_releases_and_workspaces_are_copies_too(release: Path, tmp_path: Path) -> None:
    for place in (release, release.parents[1]):
        states, _, _ = attested(release, place, tmp_path / "said.json")
        assert set(states.values()) == {"equivalent"}
        assert len(states) == 8


def test_a_place_without_copies_and_a_release_without_a_lock_are_told(release: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no copies there; give a release"):
        chain.attest(str(release), str(tmp_path), QUIET)
    with pytest.raises(UserError, match="no release there"):
        chain.attest(str(tmp_path), str(release), QUIET)
    old = tmp_path / "old"
    shutil.copytree(release, old)
    (old / layout.LOCK).unlink()
    with pytest.raises(UserError, match=r"has no valor\.lock"):
        chain.attest(str(old), str(release), QUIET)


def test_real_clips_in_other_codecs_and_sizes_are_equivalent(real_data: Path, tmp_path: Path) -> None:
    names = (
        "SpecVQGAN__video_00819.mp4",
        "SpecVQGAN__video_02542.mp4",
        "cav-mae__00W1lcxW-WU_40.000.mp4",
    )
    found = [path for path in sorted((real_data / "clips_av").iterdir()) if path.name in names]
    found += sorted(real_data.glob("clips_av/maskvat*"))[: 4 - len(found)]
    assert len(found) == 4
    films = {clip_of(number): path for number, path in enumerate(found)}
    release, copies = release_of(tmp_path / "w", films), tmp_path / "copies"
    copies.mkdir()
    encodings: list[tuple[str | Path, ...]] = [
        ("-i", found[0], *SMALLER),
        (
            "-i",
            found[1],
            "-vf",
            "scale=-2:180",
            "-r",
            "12",
            "-c:v",
            "libvpx",
            "-deadline",
            "realtime",
            "-c:a",
            "libvorbis",
        ),
        ("-ss", "1", "-i", found[2], "-vf", "scale=-2:144", "-c:v", "mpeg4", "-c:a", "aac", "-b:a", "32k"),
        ("-i", found[3], "-i", found[0], "-map", "0:v:0", "-map", "1:a:0", "-c:v", "mpeg4", "-c:a", "aac"),
    ]
    for number, options in enumerate(encodings):
        encode(copies / f"{clip_of(number)}.{'webm' if 'libvpx' in options else 'mkv'}", *options)
    states, _, told = attested(release, copies, tmp_path / "said.json")
    assert [states[clip] for clip in films] == ["equivalent", "equivalent", "shifted", "swapped"]
    assert next(one for one in told.judged if one.clip_id == clip_of(2)).sound_ms == pytest.approx(
        1000, abs=60
    )


def test_a_lock_of_another_version_attests_nothing(release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    lock = copy / layout.LOCK
    lock.write_bytes(lock.read_bytes() + b"x")
    with pytest.raises(FatalError, match=r"is not the one that manifest\.json names"):
        chain.attest(str(copy), str(release), QUIET, out=str(tmp_path / "said.json"))
    assert not (tmp_path / "said.json").exists()
