"""A release read by others (webdataset, Hugging Face, Energon) and by its own index."""

import json
import os
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.doors.test_release import PREFIX, fill, opened, recipe, shard_paths
from valor_data import layout, manifest
from valor_data.errors import FatalError, UserError
from valor_data.manifest import Manifest
from valor_data.revocation import Revocations
from valor_data.shards import Index, ReleaseReader, Sample, ShardCheck, read_samples
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release
from valor_data.store import Store

MEDIA = [f"{number}".encode() * (700 * number + 1) for number in range(1, 4)]
"""No films: nobody here decodes them."""
FEW = recipe(shard={"require_caption": False})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of 13 clips in some shards; those of one training video have no caption."""
    root = tmp_path_factory.mktemp("made")
    with opened(root, FEW) as workspace:
        fill(workspace, MEDIA, captioned=lambda number: number > 1)
        write_release(workspace, progress=False)
    return root / PREFIX


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return Path(shutil.copytree(made, tmp_path / "release"))


def reader(release: Path | str, split: manifest.SplitName | None = None, **options: object) -> ReleaseReader:
    return ReleaseReader(Store.open(str(release)), split, **options)  # type: ignore[arg-type]


def streamed(release: Path, split: str = "*") -> list[Sample]:
    """Every sample, by reading all shards to their end."""
    found = []
    for path in shard_paths(release):
        if split in ("*", path.parent.name):
            with path.open("rb") as file:
                found += read_samples(file, path.name)
    return found


def whole(sample: Sample) -> Sample:
    return Sample(sample.key, dict(sample.members))


def test_the_index_gives_what_the_stream_gives(made: Path) -> None:
    wanted = streamed(made)
    with reader(made, hashed=True) as found:
        assert [whole(one) for one in found] == wanted
        assert len(found) == 13
        assert [whole(found.by_id(one.key)) for one in reversed(wanted)] == wanted[::-1]
        assert whole(found[-1]) == wanted[-1]
        with pytest.raises(IndexError):
            found[13]
        bare = next(one for one in found if "txt" not in one.members)
        assert set(bare.members) == {"mp4", "json"}
        assert bare.members.get("txt") is None
    for split in ("train", "test"):
        assert [whole(one) for one in reader(made, split)] == streamed(made, split)


def test_a_shuffled_order_is_the_seeds_and_workers_share_it(made: Path) -> None:
    train = reader(made, "train")
    keys = [one.key for one in train.shuffled(3)]
    assert sorted(keys) == sorted(one.key for one in train)
    assert keys == [one.key for one in reader(made, "train").shuffled(3)]
    assert keys != [one.key for one in train.shuffled(4)]
    shares = [[one.key for one in train.shuffled(3, part, 2)] for part in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(keys)
    assert train.order(3).tolist() == np.random.RandomState(3).permutation(len(train)).tolist()


def test_workers_get_readers_of_their_own(made: Path) -> None:
    first = reader(made, "test", hashed=True)
    wanted = [whole(one) for one in first]  # its shards are open now
    assert [whole(one) for one in pickle.loads(pickle.dumps(first))] == wanted


def test_more_shards_than_may_be_open_are_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valor_data.shards.access._MOST_OPEN", 1)
    found = reader(made)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert sorted(one.key for one in found.shuffled(0) if one.members["json"]) == sorted(
        one.key for one in streamed(made)
    )
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_clips_that_were_taken_down_are_refused(release: Path) -> None:
    keys = [one.key for one in reader(release)]
    listed = Revocations.fresh().add([keys[2], keys[5]])
    later = reader(release, revoked=listed)
    (release / layout.REVOKED).write_bytes(Revocations.fresh().add([keys[2], keys[5]]).render())
    for found in (later, reader(release), pickle.loads(pickle.dumps(later))):
        assert [one.key for one in found] == [key for key in keys if key not in (keys[2], keys[5])]
        with pytest.raises(UserError, match="taken down"):
            found.by_id(keys[5])
    (release / layout.REVOKED).write_bytes(b"{}")
    with pytest.raises(FatalError, match=r"revoked\.json: not readable"):
        reader(release)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def unlisted(release: Path) -> None:
    said = Manifest.parse((release / layout.MANIFEST).read_bytes())
    files = tuple(entry for entry in said.files if entry.path != layout.INDEX)
    (release / layout.MANIFEST).write_bytes(said.model_copy(update={"files": files}).render())


FAULTS: list[tuple[Callable[[Path], object], str]] = [
    (lambda release: shard_paths(release)[0].unlink(), r"train-000000\.tar: missing"),
    (
        lambda release: os.truncate(shard_paths(release)[0], 4096),
        r"train-000000\.tar: 4096 bytes, not \d+: cut",
    ),
    (lambda release: flip(shard_paths(release)[0], 3), r"train-000000\.tar: no .*\.mp4 at byte 512"),
    (lambda release: flip(shard_paths(release)[0], 600), r"\.mp4: sha256 differs"),
    (lambda release: (release / layout.INDEX).unlink(), r"index\.arrow: missing"),
    (lambda release: os.truncate(release / layout.INDEX, 100), r"index\.arrow: not a readable index"),
    (lambda release: (release / layout.INDEX).write_bytes(b""), r"index\.arrow: not a readable index"),
    (lambda release: (release / layout.MANIFEST).unlink(), "no release there"),
    (lambda release: flip(release / layout.MANIFEST, 40), r"manifest\.json: not readable"),
    (unlisted, r"index\.arrow: this release has none"),
]


@pytest.mark.parametrize(("fault", "told"), FAULTS)
def test_what_is_broken_is_told_in_one_line(
    release: Path, fault: Callable[[Path], object], told: str
) -> None:
    fault(release)
    with pytest.raises((FatalError, UserError), match=told) as raised:
        [dict(one.members) for one in reader(release, hashed=True)]
    assert "\n" not in str(raised.value)


def test_an_index_of_another_release_is_refused(release: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "other", recipe(shard={"samples": 2})) as workspace:
        fill(workspace, MEDIA)
        write_release(workspace, progress=False)
    shutil.copy(tmp_path / "other" / PREFIX / layout.INDEX, release / layout.INDEX)
    with pytest.raises(FatalError, match="index of another release"):
        reader(release)


def test_any_flipped_byte_of_an_index_is_found_or_harmless(release: Path) -> None:
    """No crash, no other clip's bytes: an error in one line, or what the stream gives."""
    wanted = {one.key: one for one in streamed(release)}
    path = release / layout.INDEX
    right = path.read_bytes()
    for at in range(0, len(right), 41):
        path.write_bytes(right[:at] + bytes([right[at] ^ 0xFF]) + right[at + 1 :])
        try:
            found = [whole(one) for one in reader(release)]
        except (FatalError, KeyError):
            continue
        assert all(wanted[one.key].members.items() >= one.members.items() for one in found)


def lengths_of(sample: Sample) -> dict[str, int]:
    return {suffix: len(data) for suffix, data in sample.members.items()}


def test_the_index_is_held_against_the_shards(made: Path) -> None:
    index = Index.mapped(made / layout.INDEX, layout.INDEX)
    for path in shard_paths(made):
        with path.open("rb") as file:
            samples = list(read_samples(file, path.name))
        shard = str(path.relative_to(made))
        check = ShardCheck(index, shard)
        assert [check.fault(one.key, lengths_of(one)) for one in samples] == [None] * len(samples)
        assert check.unseen == 0
        check = ShardCheck(index, shard)
        key, lengths = samples[0].key, lengths_of(samples[0])
        assert "says otherwise" in str(check.fault(key, lengths | {"json": 2}))
        if len(samples) > 1:
            assert f"names {samples[1].key}" in str(check.fault(key, lengths))
            assert check.unseen == len(samples) - 2
        assert "has no row" in str(ShardCheck(index, "train/none.tar").fault(key, lengths))


def test_the_index_is_a_plain_arrow_file(made: Path) -> None:
    """Any program cuts a clip out of a shard by it."""
    table = pa.ipc.open_file(made / layout.INDEX).read_all()
    row = table.to_pylist()[4]
    with (made / row["shard"]).open("rb") as file:
        file.seek(row["json_offset"])
        assert json.loads(file.read(row["json_bytes"]))["clip_id"] == row["clip_id"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves the file open
def test_plain_webdataset_reads_it(made: Path) -> None:
    import webdataset

    urls = sorted(map(str, made.glob("train/*.tar")))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [(one["__key__"], one["mp4"]) for one in samples] == [
        (one.key, one.members["mp4"]) for one in streamed(made, "train")
    ]


def test_hugging_face_reads_it(made: Path, tmp_path: Path) -> None:
    """All splits at once, samples without a caption or a measure too: the card tells the types."""
    datasets = pytest.importorskip("datasets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves files open, and says so at some later moment
        loaded = datasets.load_dataset(str(made), cache_dir=str(tmp_path))
        assert set(loaded) == {"train", "test"}
        for split in ("train", "test"):
            raw = loaded[split].cast_column("mp4", datasets.Video(decode=False))
            got = [(one["__key__"], one["mp4"]["bytes"], one["txt"], one["json"]) for one in raw]
            wanted = [(one.key, dict(one.members)) for one in streamed(made, split)]
            assert got == [
                (key, held["mp4"], held["txt"].decode() if "txt" in held else None, json.loads(held["json"]))
                for key, held in wanted
            ]


def test_what_energon_wants_lies_there(made: Path) -> None:
    """Its layout, as its own `prepare` writes it for these shards."""
    said = Manifest.parse((made / layout.MANIFEST).read_bytes())
    meta = made / ".nv-meta"
    assert json.loads((meta / ".info.json").read_text()) == {
        "shard_counts": {shard.path: shard.samples for shard in said.shards}
    }
    assert json.loads((meta / "split.yaml").read_text())["split_parts"]["test"] == ["test/test-000000.tar"]
    for path in shard_paths(made):
        starts = np.frombuffer(Path(f"{path}.idx").read_bytes(), "<u8").tolist()
        data = path.read_bytes()
        keys = [data[start : start + 100].split(b".mp4\0")[0].decode() for start in starts[:-1]]
        with path.open("rb") as file:
            assert keys == [one.key for one in read_samples(file, path.name)]
        assert starts[-1] == len(data) - 1024
    assert verify(str(made), sample=0).problems == []


def test_energon_reads_it(made: Path) -> None:
    energon = pytest.importorskip("megatron.energon")

    def cook(sample: dict[str, bytes]) -> dict[str, bytes]:
        return {**energon.basic_sample_keys(sample), "mp4": sample["mp4"]}

    class Encoder(energon.DefaultTaskEncoder):  # type: ignore[misc, name-defined]
        cookers = (energon.Cooker(energon.stateless(cook)),)
        decoder = None

    config = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = energon.get_val_dataset(
        made, split_part="test", worker_config=config, batch_size=None, task_encoder=Encoder()
    )
    got = {one["__key__"]: one["mp4"] for one in energon.get_loader(dataset)}
    assert got == {one.key: one.members["mp4"] for one in streamed(made, "test")}


def test_an_object_store_is_written_by_processes_and_read_by_ranges(tmp_path: Path, s3_root: str) -> None:
    with opened(tmp_path / "here") as workspace:
        fill(workspace, MEDIA)
        here = write_release(workspace, progress=False)
    with opened(f"{s3_root}/w") as workspace:
        fill(workspace, MEDIA)
        assert write_release(workspace, progress=False, workers=2).content_sha256 == here.content_sha256
    remote, local = reader(f"{s3_root}/w/{PREFIX}"), reader(tmp_path / "here" / PREFIX)
    assert [whole(one) for one in remote.shuffled(1)] == [whole(one) for one in local.shuffled(1)]
    Store.open(f"{s3_root}/w/{PREFIX}").delete(["train/train-000000.tar"])
    with pytest.raises(FatalError, match=r"train-000000\.tar: missing"):
        dict(remote[0].members)
