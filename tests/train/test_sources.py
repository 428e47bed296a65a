"""Releases without an index and plain tars: the same batches as by our index."""

import io
import json
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.train.conftest import config
from tests.train.test_loop import ALONE, weights
from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest
from valor_data.revocation import Revocations
from valor_data.shards import TarReader
from valor_data.store import Store
from valor_data.train.batch import Batch, ClipSet, Collate, Decoder, Schedule, Share, batches, open_releases
from valor_data.train.config import Pretrain, Source, load
from valor_data.train.loop import pretrain
from valor_data.train.sources import expand, open_source
from valor_data.train.words import Words


@pytest.fixture(scope="session")
def words(release: Path) -> Words:
    return Words.of((sample.members["txt"].decode() for sample in opened(str(release))), 80)


def opened(release: str) -> TarReader:
    reader = open_source(Source(release=release))
    return reader  # type: ignore[return-value]


def of(release: Path, source: str, **data: object) -> Pretrain:
    made = config(release, release)
    sources = (Source(release=source),)
    return made.model_copy(update={"data": made.data.model_copy(update={"sources": sources, **data})})


def taken(made: Pretrain, words: Words, steps: range, workers: int = 0) -> list[Batch]:
    readers = open_releases(made.data.sources)
    clips = ClipSet(readers, Decoder(made.data, made.model, 7))
    schedule = Schedule([len(reader) for reader in readers], [1.0], made.data.batch, 7)
    collate = Collate(made.data, made.model, words, 7, fixed=False)
    return list(batches(clips, schedule, collate, steps, workers=workers, share=Share()))


def bare(release: Path, folder: Path) -> Path:
    """The shards alone."""
    shutil.copytree(release / "train", folder / "train")
    return folder


def without_index(release: Path, folder: Path) -> Path:
    """As a release was before it had an index."""
    shutil.copytree(release, folder, dirs_exist_ok=True)
    (folder / layout.INDEX).unlink()
    said = Manifest.parse((folder / layout.MANIFEST).read_bytes())
    files = tuple(entry for entry in said.files if entry.path != layout.INDEX)
    (folder / layout.MANIFEST).write_bytes(said.model_copy(update={"files": files}).render())
    return folder


def pattern(folder: Path) -> str:
    last = len(list((folder / "train").glob("*.tar"))) - 1
    return f"{folder}/train/train-{{000000..{last:06d}}}.tar"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "form",
    [
        lambda release, folder: str(bare(release, folder)),
        lambda release, folder: pattern(bare(release, folder)),
        lambda release, folder: str(without_index(release, folder)),
    ],
    ids=["folder", "pattern", "no index"],
)
def test_the_same_batches_as_by_our_index(
    release: Path, words: Words, tmp_path: Path, form: Callable[[Path, Path], str], workers: int
) -> None:
    expected = taken(of(release, str(release)), words, range(2, 7))
    found = taken(of(release, form(release, tmp_path / "x")), words, range(2, 7), workers)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.clip_ids == theirs.clip_ids
        assert ours.faults == theirs.faults
        pairs = zip(parts(ours), parts(theirs), strict=True)
        assert all(torch.equal(torch.as_tensor(one), torch.as_tensor(other)) for one, other in pairs)


def test_a_folder_of_releases_is_no_source(release: Path) -> None:
    with pytest.raises(UserError, match=r"a folder of releases.*such as .*tiny-0\.1\.0"):
        open_source(Source(release=str(release.parent)))


def parts(batch: Batch) -> tuple[object, ...]:
    return (*batch.clips, *batch.texts, *batch.masked)


def test_an_object_store_gives_the_same_samples(release: Path) -> None:
    store = Store.open("memory://plain-shards")
    keys = sorted(path.name for path in (release / "train").glob("*.tar"))
    for key in keys:
        store.put_bytes(f"train/{key}", (release / "train" / key).read_bytes())
    local, remote = opened(str(release)), opened("memory://plain-shards")
    assert len(remote) == len(local)
    for ours, theirs in zip(remote, local, strict=True):
        assert ours.key == theirs.key
        assert dict(ours.members) == dict(theirs.members)


def test_a_run_on_plain_tars_goes_on_with_the_same_bits(release: Path, words: Words, tmp_path: Path) -> None:
    folder = str(bare(release, tmp_path / "x"))
    whole = of(release, str(release)).model_copy(update={"out": str(tmp_path / "whole")})
    pretrain(whole, words, ALONE, progress=False)
    halved = of(release, folder).model_copy(update={"out": str(tmp_path / "halved")})
    first = halved.model_copy(update={"optim": halved.optim.model_copy(update={"save_every": 3})})
    pretrain(first, words, ALONE, progress=False)
    shutil.rmtree(tmp_path / "halved/checkpoints/step-00000006")
    pretrain(halved, words, ALONE, progress=False)
    expected = weights(tmp_path / "whole")
    for name, value in weights(tmp_path / "halved").items():
        assert torch.equal(value, expected[name]), name


def test_whom_an_old_release_revokes_is_passed_over(release: Path, tmp_path: Path) -> None:
    folder = without_index(release, tmp_path / "x")
    keys = [sample.key for sample in opened(str(folder))]
    (folder / layout.REVOKED).write_bytes(Revocations.fresh().add(keys[:2]).render())
    assert [sample.key for sample in opened(str(folder))] == keys[2:]


def written(path: Path, members: dict[str, bytes], form: int) -> Path:
    with tarfile.open(path, "w", format=form) as file:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
        for name, data in members.items():
            made = tarfile.TarInfo(name)
            made.size = len(data)
            file.addfile(made, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_other_writers_are_read(tmp_path: Path, form: int) -> None:
    """Long names, folders, large letters, and a file without a suffix: grouped as by webdataset."""
    long = "deep/" + "x" * (90 if form == tarfile.USTAR_FORMAT else 180)
    members = {
        "a.MP4": b"1" * 700,
        "a.txt": b"words",
        "README": b"-",
        f"{long}.mp4": b"2",
        f"{long}.x.json": b"{}",
    }
    path = written(tmp_path / "a.tar", members, form)
    found = opened(str(path))
    assert [(sample.key, dict(sample.members)) for sample in found] == [
        ("a", {"mp4": b"1" * 700, "txt": b"words"}),
        (long, {"mp4": b"2", "x.json": b"{}"}),
    ]
    again = pickle.loads(pickle.dumps(found))
    assert again[1].members["mp4"] == b"2"
    assert "flac" not in again[1].members


def test_captions_of_other_writers_stand_in_txt(release: Path, words: Words, tmp_path: Path) -> None:
    mp4 = next(one for one in opened(str(release)) if "_00_" in one.key).members["mp4"]
    members = {"a.mp4": mp4, "a.txt": b"a dog barks", "b.mp4": mp4, "b.json": json.dumps({"fps": 4}).encode()}
    path = written(tmp_path / "a.tar", members, tarfile.PAX_FORMAT)
    (batch,) = taken(of(release, str(path), batch=2), words, range(1))
    by_id = dict(zip(batch.clip_ids, batch.clips.has_video_B.tolist(), strict=True))
    assert by_id == {"a": True, "b": False}  # nothing is said of b


def cut(data: bytes) -> bytes:
    return data[:-3000]


def flipped(data: bytes) -> bytes:
    return data[:100] + b"x" + data[101:]


def doubled(data: bytes) -> bytes:
    return data[:-1024] + data


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (cut, "cut short at byte"),
        (flipped, "broken or foreign member at byte 0"),
        (lambda data: b"", "cut short at byte 0"),
        (lambda data: b"plain text, and no tar at all\n" * 100, "broken or foreign member at byte 0"),
    ],
)
def test_a_broken_tar_is_told_in_one_line(
    release: Path, tmp_path: Path, harm: Callable[[bytes], bytes], told: str
) -> None:
    folder = bare(release, tmp_path / "x")
    path = sorted((folder / "train").glob("*.tar"))[0]
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(FatalError, match=told) as caught:
        opened(str(folder))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_key_that_comes_back_is_refused(tmp_path: Path) -> None:
    names = ["a.mp4", "b.mp4", "a.txt"]
    path = written(tmp_path / "a.tar", dict.fromkeys(names, b"x"), tarfile.PAX_FORMAT)
    with pytest.raises(FatalError, match="key a comes twice"):
        opened(str(path))


def test_a_tar_that_changes_while_it_is_read_is_told(release: Path, tmp_path: Path) -> None:
    folder = bare(release, tmp_path / "x")
    reader = opened(str(folder))
    path = sorted((folder / "train").glob("*.tar"))[0]
    data = path.read_bytes()
    path.write_bytes(bytes(len(data)))
    with pytest.raises(FatalError, match="changed while it was in use"):
        _ = reader[0].members["mp4"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no release there; give the folder or URL that holds"):
        opened(str(tmp_path / "empty"))
    with pytest.raises(UserError, match="no such shard"):
        opened(f"{tmp_path}/{{00..03}}.tar")


def test_patterns_count_list_and_join() -> None:
    assert expand("s3://b/{08..11}.tar") == [f"s3://b/{number}.tar" for number in ("08", "09", "10", "11")]
    assert expand("{a,b}/{0..1}.tar::c.tar") == ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar", "c.tar"]


def test_patterns_count_from_the_config(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'name = "c"\n[data]\nsources = [{ release = "x/{0..1}.tar::s3://b/y.tar" }]\n[optim]\nsteps = 1\n'
    )
    assert (
        load(str(tmp_path / "c.toml")).data.sources[0].release == f"{tmp_path}/x/{{0..1}}.tar::s3://b/y.tar"
    )
