"""Releases: written from real tables and media, checked by `verify`, read by others."""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valor_data import layout, manifest
from valor_data.errors import FatalError, UserError
from valor_data.manifest import FileEntry, Manifest
from valor_data.media.write import write_video
from valor_data.recipe import Recipe
from valor_data.records import AudioMeasures, Caption, Clip, Media, Origin, Record, Release, SplitOf, Verdict
from valor_data.shards import ShardWriter, read_samples
from valor_data.stages.release import VerifyResult, verify
from valor_data.stages.shard import ReleaseResult, write_release
from valor_data.store import Store
from valor_data.workspace import Workspace

RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "split": {"train": 0.5, "val": 0.25, "test": 0.25},
        "shard": {"samples": 4},
        "release": {"title": 'Tiny: a "test" set', "licence": "CC-BY-4.0"},
    }
)
PREFIX = "releases/tiny-0.1.0/"
VIDEOS = 7


@pytest.fixture(scope="module")
def mp4s(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three short films that differ."""
    folder = tmp_path_factory.mktemp("films")
    sound = np.sin(np.arange(4410) / 10).astype(np.float32)[None] / 2
    for grey in range(3):
        frames = (np.full((32, 32, 3), 40 * grey + number, np.uint8) for number in range(3))
        write_video(folder / f"{grey}.mp4", frames, 10, sound)
    return [(folder / f"{grey}.mp4").read_bytes() for grey in range(3)]


def recipe(**sections: dict[str, Any]) -> Recipe:
    raw = RECIPE.model_dump()
    for section, keys in sections.items():
        raw[section] = {**raw[section], **keys}
    return Recipe.model_validate(raw)


@contextmanager
def opened(root: str | Path, made_with: Recipe = RECIPE) -> Iterator[Workspace]:
    with Workspace.open(made_with, str(root), write=True) as workspace:
        yield workspace


def clip_id(video: int, part: int) -> str:
    return layout.clip_id(f"-v_{video:02d}", part * 10_000, part * 10_000 + 10_000)


def captions_of(clip: str, *texts: str) -> list[Caption]:
    return [
        Caption(
            caption_id=layout.caption_id(clip, "imported", "list", str(number)),
            clip_id=clip,
            text=text,
            author="list",
            origin=Origin.IMPORTED,
            external_id=str(number),
            made_by="list:x",
        )
        for number, text in enumerate(texts)
    ]


def fill(
    workspace: Workspace, mp4s: list[bytes], captioned: Callable[[int], bool] = lambda number: True
) -> None:
    """Seven videos of two clips; each fetched, measured and judged; the last one rejected."""
    rows: dict[str, list[Record]] = {}
    profile = workspace.recipe.profile
    for number in range(2 * VIDEOS):
        video, part = divmod(number, 2)
        clip, mp4 = clip_id(video, part), mp4s[number % len(mp4s)]
        key = layout.object_key(profile, clip)
        workspace.store.put_bytes(key, mp4)
        made: list[Record] = [
            Clip(
                clip_id=clip,
                source="youtube",
                video_id=f"-v_{video:02d}",
                start_ms=part * 10_000,
                end_ms=part * 10_000 + 10_000,
                url=f"https://www.youtube.com/watch?v=-v_{video:02d}",
                labels=("Dog", 'Bark, "loud"'),
                made_by="list:x",
            ),
            Media(
                clip_id=clip,
                profile=profile,
                object_key=key,
                sha256=hashlib.sha256(mp4).hexdigest(),
                bytes=len(mp4),
                duration_ms=300,
                video_codec="h264",
                width=32,
                height=32,
                fps=10.0,
                audio_codec="aac",
                sample_rate=44100,
                channels=1,
                start_error_ms=0.0,
                av_skew_ms=-0.5,
                short_ms=9_700 if number == 3 else 0,
                made_by="x",
            ),
            AudioMeasures(
                clip_id=clip,
                media_sha256=hashlib.sha256(mp4).hexdigest(),
                has_audio=True,
                duration_ms=100,
                loudness_lufs=-9.1 - number / 3,
                made_by="audio@1",
            ),
            Verdict(
                clip_id=clip,
                rules_digest=workspace.recipe.rules_digest,
                kept=number < 2 * VIDEOS - 1,
                made_by="rules@1",
            ),
        ]
        if captioned(number):
            made += captions_of(clip, f"Ein Hund bellt, {number} Ω \u202b<b>", "second\0\n")
        for row in made:
            rows.setdefault(row.table, []).append(row)
    for several in rows.values():
        workspace.tables.append(several)


def give_splits(workspace: Workspace, splits: dict[tuple[int, int], str]) -> None:
    workspace.tables.append(
        SplitOf.model_validate({"clip_id": clip_id(*clip), "split": split, "made_by": "list:official"})
        for clip, split in splits.items()
    )


def content(root: str | Path) -> dict[str, bytes]:
    store = Store.open(f"{root}/{PREFIX.rstrip('/')}")
    return {key: store.get_bytes(key) for key in store.list("")}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory, mp4s: list[bytes]) -> Path:
    """A workspace with a release, of which each test gets a copy."""
    root = tmp_path_factory.mktemp("made")
    with opened(root) as workspace:
        fill(workspace, mp4s)
        write_release(workspace, progress=False)
    return root


@pytest.fixture
def release(tmp_path: Path, made_once: Path) -> Path:
    """A release folder in its workspace."""
    shutil.copytree(made_once, tmp_path / "w")
    return tmp_path / "w" / PREFIX


def shard_paths(release: Path) -> list[Path]:
    return [path for split in manifest.SPLITS for path in sorted(release.glob(f"{split}/*.tar"))]


def test_a_release_holds_all_kept_clips_and_verifies(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        made = write_release(workspace, progress=False)
        (row,) = workspace.tables.rows(Release)
    assert made.prefix == PREFIX
    assert made.counts["released"] == 13
    assert made.counts["captions"] == 26
    assert made.counts["train"] + made.counts["val"] + made.counts["test"] == 13
    assert (row.clips, row.shards, row.content_sha256) == (13, made.counts["shards"], made.content_sha256)
    assert row.bytes == made.counts["bytes"] == sum(p.stat().st_size for p in shard_paths(tmp_path / PREFIX))
    result = verify(str(tmp_path / PREFIX))
    assert result.problems == []
    assert result.ok
    assert result.counts["released"] == 13
    assert result.counts["decoded"] == 13
    assert verify(str(tmp_path / PREFIX), sample=2).counts["decoded"] == 2
    assert verify(str(tmp_path / PREFIX), deep=True, sample=2).counts["decoded"] == 13


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, mp4s: list[bytes]) -> None:
    for name in ("a", "b"):
        with opened(tmp_path / name) as workspace:
            fill(workspace, mp4s)
            write_release(workspace, progress=False)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    text = b"".join(content(tmp_path / "a").values())
    assert str(tmp_path).encode() not in text


def test_a_release_that_stands_is_left_alone(release: Path, mp4s: list[bytes]) -> None:
    root = release.parents[1]
    before = {path: path.stat().st_mtime_ns for path in release.rglob("*")}
    with opened(root) as workspace:
        again = write_release(workspace, progress=False)
        assert len(list(workspace.tables.rows(Release))) == 1
    assert again.counts["released"] == 13
    assert {path: path.stat().st_mtime_ns for path in release.rglob("*")} == before
    with opened(root) as workspace:
        workspace.tables.append(captions_of(clip_id(0, 0), "changed"))
        with pytest.raises(UserError, match=r"raise \[release\] version .*0\.1\.0"):
            write_release(workspace, progress=False)
    with opened(root, recipe(release={"version": "0.1.1"})) as workspace:
        assert write_release(workspace, progress=False).prefix == "releases/tiny-0.1.1/"
    assert verify(str(release)).ok
    assert verify(str(root / "releases/tiny-0.1.1")).ok


def test_a_version_whose_files_are_gone_is_not_released_with_other_content(
    release: Path, mp4s: list[bytes]
) -> None:
    root = release.parents[1]
    was = content(root)
    shutil.rmtree(release)
    with opened(root) as workspace:
        write_release(workspace, progress=False)
    assert content(root) == was
    shutil.rmtree(release)
    with opened(root) as workspace:
        workspace.tables.append(captions_of(clip_id(0, 0), "changed"))
        with pytest.raises(UserError, match=r"0\.1\.0 was released before .* raise \[release\] version"):
            write_release(workspace, progress=False)
    assert not [path for path in release.rglob("*") if path.is_file()]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, write: int) -> Callable[[], int]:
    """Die before the write of that number; afterwards tell how many writes were made."""
    made = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            if made == write:
                raise Killed
            made += 1
            return function(*args, **kwargs)

        return run

    for name in ("put_bytes", "put_file", "delete"):
        monkeypatch.setattr(Store, name, counted(getattr(Store, name)))
    monkeypatch.setattr(ShardWriter, "_finish", counted(ShardWriter._finish))
    from valor_data.tables import Tables

    monkeypatch.setattr(Tables, "append", counted(Tables.append))
    return lambda: made


@pytest.mark.slow
def test_a_kill_before_any_write_is_taken_up(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path / "whole") as workspace:
        fill(workspace, mp4s)
        wanted = write_release(workspace, progress=False)
    with opened(tmp_path / "filled") as workspace:
        fill(workspace, mp4s)
    for write in range(1000):
        root = tmp_path / str(write)
        shutil.copytree(tmp_path / "filled", root)
        with pytest.MonkeyPatch.context() as patch, opened(root) as workspace:
            kill_at(patch, write)
            try:
                write_release(workspace, progress=False)
            except Killed:
                killed = True
            else:
                killed = False
        if not killed:
            break
        with opened(root) as workspace:
            resumed = write_release(workspace, progress=False)
            assert len(list(workspace.tables.rows(Release))) == 1
        assert resumed == wanted
        assert content(root) == content(tmp_path / "whole")
        assert not list((root / PREFIX).rglob(f"{layout.TEMPORARY}*"))
    assert write > 10


def test_finished_shards_are_not_written_again(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, 9)
            with pytest.raises(Killed):
                write_release(workspace, progress=False)
        before = {path: path.stat().st_mtime_ns for path in shard_paths(tmp_path / PREFIX)}
        assert len(before) >= 2
        write_release(workspace, progress=False)
    after = {path: path.stat().st_mtime_ns for path in shard_paths(tmp_path / PREFIX)}
    kept = [path for path in before if after[path] == before[path]]
    assert len(kept) >= len(before) - 1
    assert len(after) > len(before)


def test_leftovers_of_another_plan_go(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path, recipe(shard={"samples": 1})) as workspace:
        fill(workspace, mp4s)
        with pytest.MonkeyPatch.context() as patch:
            kill_at(patch, 25)
            with pytest.raises(Killed):
                write_release(workspace, progress=False)
        (tmp_path / PREFIX / "train" / f"{layout.TEMPORARY}x").write_bytes(b"half")
        many = len(shard_paths(tmp_path / PREFIX))
    with opened(tmp_path) as workspace:
        made = write_release(workspace, progress=False)
    assert made.counts["shards"] == len(shard_paths(tmp_path / PREFIX)) < many
    assert not (tmp_path / PREFIX / "train" / f"{layout.TEMPORARY}x").exists()
    assert verify(str(tmp_path / PREFIX)).problems == []


def test_shards_are_cut_by_count_and_by_size(tmp_path: Path, mp4s: list[bytes]) -> None:
    for name, cut, most in (("a", {"samples": 2}, 2), ("b", {"samples": 1000, "max_mb": 1}, 1)):
        large = [mp4 + bytes(600_000) for mp4 in mp4s]
        with opened(tmp_path / name, recipe(shard=cut)) as workspace:
            fill(workspace, large)
            write_release(workspace, progress=False)
        said = Manifest.parse((tmp_path / name / PREFIX / "manifest.json").read_bytes())
        assert max(shard.samples for shard in said.shards) == most
        assert sum(shard.samples for shard in said.shards) == 13


def test_clips_without_captions_are_released_when_allowed(tmp_path: Path, mp4s: list[bytes]) -> None:
    few = recipe(shard={"require_caption": True})
    with opened(tmp_path / "few", few) as workspace:
        fill(workspace, mp4s, captioned=lambda number: number % 3 == 0)
        assert write_release(workspace, progress=False).counts["released"] == 5
    with opened(tmp_path / "all", recipe(shard={"require_caption": False})) as workspace:
        fill(workspace, mp4s, captioned=lambda number: number % 3 == 0)
        made = write_release(workspace, progress=False)
    assert (made.counts["released"], made.counts["without_caption"]) == (13, 8)
    assert verify(str(tmp_path / "all" / PREFIX)).problems == []
    assert "- Clips without a caption: 8." in (tmp_path / "all" / PREFIX / "README.md").read_text()
    members = [set(one.members) for one in samples_of(tmp_path / "all" / PREFIX)]
    assert members.count({"mp4", "json"}) == 8
    assert members.count({"mp4", "json", "txt"}) == 5


def samples_of(release: Path) -> Iterator[Any]:
    for path in shard_paths(release):
        with path.open("rb") as file:
            yield from read_samples(file, path.name)


def test_lists_splits_hold_and_a_video_is_never_torn(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        give_splits(workspace, {(0, 0): "test", (1, 1): "val", (2, 0): "train", (2, 1): "test"})
        made = write_release(workspace, progress=False)
        rows = {row.clip_id: row for row in workspace.tables.rows(SplitOf)}
    catalog = pq.read_table(tmp_path / PREFIX / "catalog.parquet").to_pylist()
    split_of = {row["clip_id"]: row["split"] for row in catalog}
    assert {split_of[clip_id(0, part)] for part in (0, 1)} == {"test"}
    assert {split_of[clip_id(1, part)] for part in (0, 1)} == {"val"}
    assert {split_of[clip_id(2, part)] for part in (0, 1)} == {"test"}
    (torn,) = [warning for warning in made.warnings if not warning.startswith(layout.LOCK)]
    assert torn.startswith("-v_02: ")
    assert rows[clip_id(2, 0)].split == "train"  # the list's word stays in the table
    assert rows[clip_id(0, 1)].made_by == "hash@1"
    assert rows.keys() == split_of.keys()


def test_standing_splits_outlive_new_shares_but_not_a_lists_word(tmp_path: Path, mp4s: list[bytes]) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        write_release(workspace, progress=False)
        before = {row.clip_id: row.split for row in workspace.tables.rows(SplitOf)}
    moved = next(clip for clip, split in before.items() if split == "train" and clip != clip_id(6, 0))
    video = layout.parse_clip_id(moved).video_id
    later = recipe(release={"version": "0.2.0"}, split={"train": 0.0, "val": 0.0, "test": 1.0})
    with opened(tmp_path, later) as workspace:
        workspace.tables.append([SplitOf(clip_id=moved, split="val", made_by="list:official")])
        write_release(workspace, progress=False)
        after = {row.clip_id: row.split for row in workspace.tables.rows(SplitOf)}
    for clip, split in before.items():
        assert after[clip] == ("val" if layout.parse_clip_id(clip).video_id == video else split)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (0, "run 'valor-data fetch'"),
        (2, "run 'valor-data filter'"),
        (3, "run 'valor-data filter'"),
        (4, "the rules reject all 1 clips"),
        (5, "annotate import"),
    ],
)
def test_nothing_to_release_names_the_missing_step(
    tmp_path: Path, mp4s: list[bytes], steps: int, words: str
) -> None:
    clip = clip_id(0, 0)
    with opened(tmp_path / "full") as full:
        fill(full, mp4s)
        rows: list[Record] = [
            next(full.tables.rows(Clip, clip_id=clip)),
            next(full.tables.rows(Media, clip_id=clip)),
            next(full.tables.rows(AudioMeasures, clip_id=clip)),
            Verdict(clip_id=clip, rules_digest=RECIPE.rules_digest, kept=steps > 4, made_by="rules@1"),
        ]
    with opened(tmp_path / "w") as workspace:
        for row in rows[:steps]:
            workspace.tables.append([row])
        with pytest.raises(UserError, match=re.escape(words)):
            write_release(workspace, progress=False)
    assert not (tmp_path / "w" / PREFIX).exists()


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_media_that_changed_stop_the_release(tmp_path: Path, mp4s: list[bytes], fault: str) -> None:
    with opened(tmp_path) as workspace:
        fill(workspace, mp4s)
        key = layout.object_key(RECIPE.profile, clip_id(5, 0))
        right = workspace.store.get_bytes(key)
        if fault == "gone":
            workspace.store.delete([key])
        else:
            workspace.store.put_bytes(key, right[:-1] + b"!")
        with pytest.raises(FatalError, match=f"{key}: .*{fault}"):
            write_release(workspace, progress=False)
        assert not (tmp_path / PREFIX / "manifest.json").exists()
        assert verify(str(tmp_path / PREFIX)).problems == [
            "manifest.json: missing: the release is not finished; run 'valor-data shard' again"
        ]
        workspace.store.put_bytes(key, right)
        write_release(workspace, progress=False)
    assert verify(str(tmp_path / PREFIX)).ok


def test_others_read_it(release: Path) -> None:
    (first, *_) = shard_paths(release)
    # The library leaves the file open, so it is read in a process of its own.
    code = (
        "import sys, webdataset\n"
        "for one in webdataset.WebDataset(sys.argv[1], shardshuffle=False).decode():\n"
        "    print(one['__key__'], one['json']['clip_id'], len(one['mp4']), one['txt'][:3])\n"
    )
    done = subprocess.run([os.sys.executable, "-c", code, first], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 4
    assert all(
        key == said and int(size) > 500 and text in ("Ein", "sec") for key, said, size, text in lines
    ), lines
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=release, capture_output=True, text=True)
    assert checked.returncode == 0
    listed = {line.split(": ")[0] for line in checked.stdout.splitlines()}
    assert listed == {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()} - {
        "manifest.json",
        "SHA256SUMS",
    }
    query = re.search(r"```sql\n(.*?);\n```", (release / "README.md").read_text(), re.DOTALL)
    assert query
    rows = duckdb.sql(query[1].replace("'tiny-0.1.0/", f"'{release}/")).fetchall()
    assert sum(clips for _, clips, _ in rows) == 13


def test_json_catalog_and_txt_say_the_same(release: Path) -> None:
    rows = {row["clip_id"]: row for row in pq.read_table(release / "catalog.parquet").to_pylist()}
    assert list(rows) == sorted(rows)
    for one in samples_of(release):
        facts = json.loads(one.members["json"])
        row = rows[one.key]
        assert facts == manifest.from_row(row)
        assert facts["official_id"] == layout.official_id(one.key)
        assert facts["sha256"] == hashlib.sha256(one.members["mp4"]).hexdigest()
        assert row["caption"].encode() == one.members["txt"]
        assert [c["caption_id"] for c in facts["captions"]] == sorted(
            c["caption_id"] for c in facts["captions"]
        )
        assert row["shard"].startswith(f"{row['split']}/")
        assert not {"made_at_us", "object_key", "bytes_read"} & facts.keys()


# Broken releases: each is told in a line that names the file, and the key where there is one.


def rewrite_shard(path: Path, change: Callable[[list[Any]], list[Any]]) -> None:
    """Another content in a well-formed shard."""
    with path.open("rb") as file:
        samples = change(list(read_samples(file, path.name)))
    with ShardWriter(path) as writer:
        for key, members in samples:
            writer.add(key, list(members.items()))


def reseal(release: Path) -> None:
    """Make all hashes and counts fit again, as somebody would who hides a change."""
    said = json.loads((release / "manifest.json").read_bytes())
    for entry in [*said["shards"], *said["files"]]:
        if entry["path"] == "SHA256SUMS":
            continue
        data = (release / entry["path"]).read_bytes()
        entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    files = [
        FileEntry(**{k: e[k] for k in ("path", "sha256", "bytes")}) for e in [*said["shards"], *said["files"]]
    ]
    listed = [file for file in files if file.path != "SHA256SUMS"]
    (release / "SHA256SUMS").write_text(manifest.sums(listed))
    sums = (release / "SHA256SUMS").read_bytes()
    for entry in said["files"]:
        if entry["path"] == "SHA256SUMS":
            entry |= {"sha256": hashlib.sha256(sums).hexdigest(), "bytes": len(sums)}
    said["content_sha256"] = manifest.content_digest(
        [file for file in listed if file.path.endswith(".tar") or file.path == "catalog.parquet"]
    )
    write_manifest(release, said)


def write_manifest(release: Path, said: dict[str, Any]) -> None:
    said.pop("sha256_of_the_rest", None)
    made = Manifest.model_validate_json(json.dumps(said))
    (release / "manifest.json").write_bytes(made.render())


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def found(release: Path, *patterns: str) -> VerifyResult:
    """The result, in which every pattern matches one problem and no problem is left over."""
    result = verify(str(release))
    assert not result.ok
    assert result.counts["problems"] == len(result.problems) == len(patterns), result.problems
    for pattern in patterns:
        assert [p for p in result.problems if re.search(pattern, p)], (pattern, result.problems)
    assert not [problem for problem in result.problems if "\n" in problem]
    return result


def test_a_flipped_byte_in_media_is_found(release: Path) -> None:
    path = shard_paths(release)[0]
    flip(path, 600)
    key = next(samples_of(release)).key
    name = path.relative_to(release)
    result = verify(str(release))
    assert f"{name}: sha256 differs: its bytes changed" in result.problems
    assert f"{name}: {key}.mp4: sha256 differs from the one in its json" in result.problems


def test_a_flipped_header_is_found(release: Path) -> None:
    path = shard_paths(release)[0]
    flip(path, 512 + 512 * -(-len(next(samples_of(release)).members["mp4"]) // 512) + 20)
    found(release, rf"^{path.relative_to(release)}: broken or foreign", "^train/.*: sha256 differs")


@pytest.mark.parametrize("length", [0, 100, 1024, -1024, -1, 2048])
def test_a_truncated_shard_is_found(release: Path, length: int) -> None:
    path = shard_paths(release)[0]
    path.write_bytes(path.read_bytes()[:length])
    result = verify(str(release))
    assert all(problem.startswith(f"{path.relative_to(release)}: ") for problem in result.problems)
    assert any(" bytes, not " in problem for problem in result.problems)
    assert any("tar" in problem or "cut short" in problem for problem in result.problems)


def test_missing_and_foreign_files_are_found(release: Path) -> None:
    first = shard_paths(release)[0]
    first.unlink()
    (release / "train" / "extra.txt").write_text("x")
    (release / "README.md").unlink()
    found(
        release,
        f"^{first.relative_to(release)}: missing$",
        r"^train/extra\.txt: not in manifest\.json$",
        r"^README\.md: missing$",
    )


def test_a_swapped_caption_is_found(release: Path) -> None:
    path = shard_paths(release)[0]

    def swap(samples: list[Any]) -> list[Any]:
        samples[0].members["txt"], samples[1].members["txt"] = (
            samples[1].members["txt"],
            samples[0].members["txt"],
        )
        return samples

    rewrite_shard(path, swap)
    reseal(release)
    keys = [one.key for one, _ in zip(samples_of(release), range(2), strict=False)]
    name = path.relative_to(release)
    swapped = (rf"^{name}: {key}\.txt: is not the first caption" for key in keys)
    found(release, *swapped, "^index.arrow: says otherwise where the members of")


def test_facts_that_differ_from_the_catalog_are_found(release: Path) -> None:
    def edit(samples: list[Any]) -> list[Any]:
        facts = json.loads(samples[1].members["json"])
        facts["captions"][0]["text"] = "another"
        samples[1].members.update(json=manifest.to_json(facts), txt=b"another")
        return samples

    rewrite_shard(shard_paths(release)[0], edit)
    reseal(release)
    found(
        release,
        r"^train/train-000000\.tar: -v_\S+: facts or place differ from catalog\.parquet",
        "^index.arrow: says otherwise where the members of",
    )


def test_a_dropped_and_a_repeated_sample_are_found(release: Path) -> None:
    first, second = shard_paths(release)[:2]
    lost = next(samples_of(release)).key
    rewrite_shard(first, lambda samples: samples[1:])
    reseal(release)
    result = verify(str(release))
    assert f"catalog.parquet: {lost} is not in train/train-000000.tar" in result.problems
    assert "train/train-000000.tar: 3 samples, not 4" in result.problems
    assert "manifest.json: counts 13 clips, not 12" in result.problems
    again = next(samples_of(release))
    rewrite_shard(second, lambda samples: [*samples, again])
    reseal(release)
    assert (
        f"train/train-000001.tar: {again.key}: the key stands in the release twice"
        in verify(str(release)).problems
    )


def test_a_leak_between_splits_is_found(release: Path) -> None:
    shards = shard_paths(release)
    taken: list[Any] = []

    def take(samples: list[Any]) -> list[Any]:
        taken.append(samples[0])
        return samples[1:]

    train = next(path for path in shards if "train" in path.name)
    test = next(path for path in shards if "test" in path.name)
    rewrite_shard(train, take)
    rewrite_shard(test, lambda samples: [*samples, *taken])
    reseal(release)
    key = taken[0].key
    video = layout.parse_clip_id(key).video_id
    problems = verify(str(release)).problems
    assert any(f"a leak: video {video} stands in" in problem for problem in problems)
    assert f"{test.relative_to(release)}: {key}.json: says split train, stands in test" in problems


def test_media_that_do_not_decode_are_found(release: Path) -> None:
    def spoil(samples: list[Any]) -> list[Any]:
        for one in samples:
            mp4 = b"no film" + one.members["mp4"][7:]
            facts = json.loads(one.members["json"]) | {"sha256": hashlib.sha256(mp4).hexdigest()}
            one.members.update(mp4=mp4, json=manifest.to_json(facts))
        return samples

    rewrite_shard(shard_paths(release)[0], spoil)
    reseal(release)
    problems = verify(str(release), deep=True).problems
    assert sum("does not decode: corrupt: " in problem for problem in problems) == 4
    assert sum("differ from catalog" in problem for problem in problems) == 4
    assert len(problems) == 8


@pytest.mark.parametrize("length", [0, 4, 1000, -1, -200])
def test_a_truncated_catalog_is_found(release: Path, length: int) -> None:
    path = release / "catalog.parquet"
    path.write_bytes(path.read_bytes()[:length])
    found(release, r"^catalog\.parquet: \d+ bytes, not \d+$")
    reseal(release)
    found(release, r"^catalog\.parquet: not readable: ")


def test_a_catalog_that_misses_a_clip_or_a_column_is_found(release: Path) -> None:
    path = release / "catalog.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.concat_tables([table.slice(1), table.slice(5, 1)]), path)
    reseal(release)
    first, doubled = table["clip_id"][0].as_py(), table["clip_id"][5].as_py()
    found(release, rf"\.tar: {first}: not in catalog", rf"^catalog\.parquet: {doubled} stands twice")
    pq.write_table(table.drop_columns(["shard"]), path)
    reseal(release)
    found(release, r"^catalog\.parquet: not readable: 'shard'")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not readable"),
        ("[]", "not readable"),
        ("{", "not readable"),
        ("[" * 10_000, "not readable"),
        ("{}", "not readable: name: field required, and "),
        ('{"format": 2}', "not readable: format: input should be 1"),
    ],
)
def test_a_bad_manifest_is_found(release: Path, text: str, words: str) -> None:
    (release / "manifest.json").write_text(text)
    found(release, rf"^manifest\.json: {words}")


def test_a_manifest_that_lies_is_found(release: Path) -> None:
    said = json.loads((release / "manifest.json").read_bytes())

    def lie(change: Callable[[dict[str, Any]], None], *patterns: str) -> None:
        lied = json.loads(json.dumps(said))
        change(lied)
        write_manifest(release, lied)
        found(release, *patterns)

    lie(lambda m: m.update(content_sha256="0" * 64), "content_sha256 does not fit")
    lie(lambda m: m["counts"].update(captions=1), "counts 1 captions, not 26")
    lie(lambda m: m["splits"]["val"].update(clips=99), "counts 99 clips in val")
    lie(
        lambda m: m["files"].append({**m["files"][0], "path": "../../../secret"}),
        r"\.\./secret: missing",
        "SHA256SUMS: disagrees",
    )
    lie(lambda m: m["files"].append(m["files"][1]), r"names \S+ twice", "SHA256SUMS: disagrees")
    lie(
        lambda m: m.update(files=[f for f in m["files"] if f["path"] != "SHA256SUMS"]),
        "names no SHA256SUMS",
        "SHA256SUMS: not in",
    )


def test_any_flip_or_cut_is_found(release: Path) -> None:
    files = sorted(path for path in release.rglob("*") if path.is_file())
    rng = random.Random(0)
    for turn in range(60):
        path = files[turn % len(files)]
        whole = path.read_bytes()
        if turn % 3:
            flip(path, rng.randrange(len(whole)))
        else:
            path.write_bytes(whole[: rng.randrange(len(whole))])
        result = verify(str(release), sample=0)
        assert not result.ok
        assert any(problem.startswith(str(path.relative_to(release))) for problem in result.problems)
        path.write_bytes(whole)
    assert verify(str(release)).ok


def test_bad_json_in_a_shard_is_found(release: Path) -> None:
    surrogate = b'{"captions":[{"text":"\\ud800"}]}'
    for text in (b"", b"{", b"[]", b"[" * 10_000, b'{"captions":[]}', b"\xff", b"null", surrogate):

        def spoil(samples: list[Any], text: bytes = text) -> list[Any]:
            samples[2].members["json"] = text
            return samples

        rewrite_shard(shard_paths(release)[0], spoil)
        reseal(release)
        result = verify(str(release))
        assert any(re.search(r"train-000000\.tar: \S+\.json: not readable", p) for p in result.problems), text


def test_no_release_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no release there"):
        verify(str(tmp_path / "nothing"))


def released(root: str, mp4s: list[bytes]) -> ReleaseResult:
    with opened(root) as workspace:
        fill(workspace, mp4s)
        return write_release(workspace, progress=False)


def test_object_stores_hold_the_same_release(tmp_path: Path, mp4s: list[bytes], s3_root: str) -> None:
    here = released(str(tmp_path), mp4s)
    for root in (f"memory://{tmp_path.name}", f"{s3_root}/some/where"):
        assert released(root, mp4s) == here
        assert content(root) == content(tmp_path)
        assert verify(f"{root}/{PREFIX}").problems == []


def test_a_kill_in_an_object_store_is_taken_up(tmp_path: Path, mp4s: list[bytes]) -> None:
    here = released(str(tmp_path), mp4s)
    for write in range(1, 20, 4):
        root = f"memory://{tmp_path.name}-{write}"
        with opened(root) as workspace:
            fill(workspace, mp4s)
            with pytest.MonkeyPatch.context() as patch:
                kill_at(patch, write)
                with suppress(Killed):
                    write_release(workspace, progress=False)
            assert write_release(workspace, progress=False) == here
        assert content(root) == content(tmp_path)
