"""Two releases compared; a release carried elsewhere, through kills and what stands in the way."""

import errno
import hashlib
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.doors.test_release import Killed, captions_of, clip_id, fill, flip, mp4s, opened, recipe
from valor_data import layout
from valor_data.cli import app
from valor_data.cli.release import where_they_differ
from valor_data.errors import FatalError, UserError
from valor_data.records import AudioMeasures, Media, SplitOf, Verdict
from valor_data.stages.measure import of_file
from valor_data.stages.release import Change, diff, push, verify
from valor_data.stages.shard import write_release
from valor_data.store import Store

__all__ = ["mp4s"]  # a fixture


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, mp4s: list[bytes]) -> Path:
    """The folder of two versions, and of a third that is the second without media."""
    root = tmp_path_factory.mktemp("versions")
    with opened(root) as workspace:
        fill(workspace, mp4s)
        write_release(workspace, progress=False)
        tables = workspace.tables
        digest = workspace.recipe.rules_digest
        tables.append([Verdict(clip_id=clip_id(0, 0), rules_digest=digest, kept=False, made_by="rules@1")])
        tables.append([Verdict(clip_id=clip_id(6, 1), rules_digest=digest, kept=True, made_by="rules@1")])
        tables.append(captions_of(clip_id(1, 0), "A dog <b>barks</b>.", "second"))
        tables.append([SplitOf(clip_id=clip_id(2, part), split="val", made_by="list:x") for part in (0, 1)])
        old = next(tables.rows(Media, clip_id=clip_id(3, 0)))
        other = mp4s[0] + bytes(10)
        workspace.store.put_bytes(old.object_key, other)
        sha256 = hashlib.sha256(other).hexdigest()
        tables.append([old.model_copy(update={"sha256": sha256, "bytes": len(other)})])
        tables.append(
            [AudioMeasures(clip_id=clip_id(3, 0), media_sha256=sha256, has_audio=True, made_by="audio@1")]
        )
    for version, payload in (("0.2.0", "video"), ("0.3.0", "ids")):
        with opened(root, recipe(release={"version": version}, shard={"payload": payload})) as workspace:
            write_release(workspace, progress=False)
    return root / "releases"


def test_a_difference_is_told_clip_by_clip(versions: Path) -> None:
    with diff(str(versions / "tiny-0.1.0"), str(versions / "tiny-0.2.0")) as found:
        changes = list(found.changes)
    assert found.counts == {
        "same": 8, "added": 1, "removed": 1, "captions": 1, "media": 1, "split": 2, "labels": 0,
    }  # fmt: skip
    assert changes == sorted(changes)
    assert {(one.clip_id, one.change) for one in changes} == {
        (clip_id(0, 0), "removed"),
        (clip_id(1, 0), "captions"),
        (clip_id(2, 0), "split"),
        (clip_id(2, 1), "split"),
        (clip_id(3, 0), "media"),
        (clip_id(6, 1), "added"),
    }
    (text,) = [one for one in changes if one.change == "captions"]
    assert set(text.new) == {"A dog <b>barks</b>.", "second"}
    assert Change(clip_id(2, 0), "split", ["train"], ["val"]) in changes
    assert "content_sha256" in found.said
    assert not found.contradicts


def test_what_is_the_same_without_media_is_told_as_that(versions: Path) -> None:
    with diff(str(versions / "tiny-0.2.0"), str(versions / "tiny-0.3.0")) as found:
        assert list(found.changes) == []
    assert found.said["payload"] == ("video", "ids")
    assert found.counts["same"] == 13


def test_the_command_tells_people_and_programs(versions: Path) -> None:
    words = ["release", "diff", str(versions / "tiny-0.1.0"), str(versions / "tiny-0.2.0")]
    told = CliRunner().invoke(app, words)
    assert "A dog <b>barks</b>." in told.stdout
    assert "added                1" in told.stdout
    said = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert (said["ok"], said["counts"]["split"], len(said["changes"])) == (True, 2, 6)


def test_long_texts_are_told_from_where_they_differ() -> None:
    alike = "A man in a red coat walks a large dog along the harbour while gulls cry and "
    before, after = where_they_differ(f"{alike}a bell rings.", f"{alike}an engine starts.")
    assert (before, after) == ("…gulls cry and a bell rings.", "…gulls cry and an engine starts.")
    assert where_they_differ("short", "shirt") == ("short", "shirt")


def test_two_releases_of_one_version_and_broken_ones_are_told(versions: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "a", tmp_path / "b"
    shutil.copytree(versions / "tiny-0.1.0", first)
    shutil.copytree(versions / "tiny-0.2.0", other)
    said = json.loads((other / "manifest.json").read_bytes())
    said.pop("sha256_of_the_rest")
    said["version"] = "0.1.0"
    sealed = {**said, "sha256_of_the_rest": layout.digest(said)}
    (other / "manifest.json").write_text(
        json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )
    with diff(str(first), str(other)) as found:
        assert found.contradicts
    with pytest.raises(UserError, match=r"holds another release, tiny 0\.1\.0"):
        push(str(other), str(first), progress=False)
    path = other / "catalog.parquet"
    whole = path.read_bytes()
    for broken in (whole[:-50], whole[: len(whole) // 2], b""):
        path.write_bytes(broken)
        with (
            pytest.raises(UserError, match=r"catalog.parquet: not a readable catalog"),
            diff(str(first), str(other)),
        ):
            pass
    half = bytearray(whole)
    half[100:4000] = bytes(3900)
    path.write_bytes(half)
    with (
        pytest.raises(UserError, match=r"b/catalog.parquet: not a readable"),
        diff(str(first), str(other)) as found,
    ):
        list(found.changes)
    pq.write_table(pq.read_table(first / "catalog.parquet").drop_columns(["labels"]), path)
    with pytest.raises(UserError, match="no column 'labels'"), diff(str(first), str(other)):
        pass
    (other / "manifest.json").unlink()
    with pytest.raises(UserError, match="no release there"), diff(str(first), str(other)):
        pass


def test_a_killed_push_goes_on_and_ends_whole(versions: Path, tmp_path: Path) -> None:
    release, target = versions / "tiny-0.1.0", tmp_path / "there"
    whole = {path.relative_to(release): path.read_bytes() for path in release.rglob("*") if path.is_file()}
    before = Store.put_file
    left = 3

    def dies(self: Store, key: str, path: Path) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        before(self, key, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "put_file", dies)
        with pytest.raises(Killed):
            push(str(release), f"file://{target}", progress=False)
    assert not (target / "manifest.json").exists()
    assert verify(str(target)).problems == [
        "manifest.json: missing: the release is not finished; run 'valor-data shard' again"
    ]
    pushed = push(str(release), f"file://{target}", progress=False)
    assert (pushed.counts["skipped"], pushed.counts["copied"]) == (3, len(whole) - 4)
    assert {
        path.relative_to(target): path.read_bytes() for path in target.rglob("*") if path.is_file()
    } == whole
    again = push(str(release), str(target), progress=False)
    assert (again.counts["copied"], again.counts["skipped"]) == (0, len(whole) - 1)


def test_a_full_disk_is_told_and_the_push_goes_on_later(versions: Path, tmp_path: Path) -> None:
    release, target = versions / "tiny-0.1.0", tmp_path / "there"
    before = Path.replace
    shards = 2

    def full(self: Path, name: Path) -> Path:
        nonlocal shards
        shards -= name.suffix == ".tar"
        if shards < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return before(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(FatalError, match=r"\.tar: the disk is full"):
            push(str(release), str(target), progress=False)
    assert not (target / "manifest.json").exists()
    assert push(str(release), str(target), progress=False).counts["skipped"] == 2
    assert verify(str(target)).problems == []


def test_a_push_brings_no_broken_file_and_takes_nothing_over(versions: Path, tmp_path: Path) -> None:
    release, target = tmp_path / "here", tmp_path / "there"
    shutil.copytree(versions / "tiny-0.1.0", release)
    shard = next(release.glob("train/*.tar"))
    flip(shard, 700)
    with pytest.raises(
        FatalError, match=rf"here/train/{shard.name}: its bytes are not those of the manifest"
    ):
        push(str(release), str(target), progress=False)
    assert not (target / "train" / shard.name).exists()
    flip(shard, 700)
    (target / "mine.txt").write_text("x")
    with pytest.raises(UserError, match=r"files of something else, such as mine\.txt"):
        push(str(release), str(target), progress=False)
    with pytest.raises(UserError, match="lies there already"):
        push(str(release), str(release), progress=False)
    with pytest.raises(UserError, match="lies inside the release"):
        push(str(release), str(release / "copy"), progress=False)
    assert not (release / "copy").exists()
    with pytest.raises(UserError) as refused:
        push(str(release), "s3://key:SECRET@bucket/x", progress=False)
    assert "SECRET" not in str(refused.value)
    (target / "mine.txt").unlink()
    push(str(release), str(target), progress=False)
    assert verify(str(target)).problems == []


def test_an_object_store_holds_the_same(versions: Path, s3_root: str) -> None:
    url = f"{s3_root}/sets/tiny-0.1.0"
    pushed = push(str(versions / "tiny-0.1.0"), url, progress=False)
    assert pushed.counts["copied"] == pushed.counts["files"] - 1
    assert verify(url).problems == []
    with diff(url, str(versions / "tiny-0.2.0")) as found:
        assert found.counts["added"] == 1
    assert push(str(versions / "tiny-0.1.0"), url, progress=False).counts["copied"] == 0


def test_a_closer_look_measures_again(versions: Path) -> None:
    result = verify(str(versions / "tiny-0.1.0"), deep=True, measure=of_file)
    # What the fixture recorded of its films was made up.
    assert sum("loudness_lufs is " in problem for problem in result.problems) == 13
