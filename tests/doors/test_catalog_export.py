"""`catalog build`, `stats`, `export` and `similar`: what they say, and that others read what they write."""

import errno
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.fakes import rows
from valor_data import chain, layout, prints, segments
from valor_data.cli import rows as printing
from valor_data.errors import FatalError, UserError
from valor_data.recipe import ListSpec
from valor_data.records import Embedding, Prints, Segment, SplitOf, Verdict
from valor_data.stages.catalog import Form, lines
from valor_data.tables import Tables

TEXTS = [
    (0, "A dog barks."), (0, "كلب ينبح"), (1, 'Rain, \u202e <b>bold</b>\0 and a\nline; "quoted"'),
    (2, "A dog barks."), (4, "A cat without a split."), (5, "Rejected."),
]  # fmt: skip
SPLITS = {0: "train", 1: "val", 2: "test", 5: "train"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("w")
    tables = Tables.open(str(folder))
    tables.append([rows.clip(n, labels=("Dog", "Child speech, kid speaking")) for n in range(7)])
    tables.append([rows.caption(n, text) for n, text in TEXTS])
    tables.append([SplitOf(clip_id=rows.clip_id(n), split=split, made_by="x") for n, split in SPLITS.items()])
    tables.append([Verdict(clip_id=rows.clip_id(5), rules_digest="r", kept=False, made_by="rules@1")])
    tables.append([rows.media(n) for n in range(4)])
    for n in range(4):
        path = folder / layout.object_key(rows.PROFILE, rows.clip_id(n))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"media %d" % n)
    tables.write_catalog(layout.CATALOG)
    return str(folder)


def exported(root: str, form: Form, out: Path, **more: bool) -> Path:
    report = chain.catalog_export(root, form, str(out), **more)
    assert report.counts["captions"] == (4 if more else 5)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return out


def read_back(path: Path) -> Iterator[tuple[str, str | None, list[str]]]:
    reader = segments.open_list(ListSpec(path=str(path)), 10, addresses=False)
    for row in reader:
        assert isinstance(row, Segment), row
        yield row.clip_id, row.split or reader.split, [text for _, text in row.captions]


def wanted() -> dict[str, tuple[str | None, set[str]]]:
    told: dict[str, tuple[str | None, set[str]]] = {}
    for n, text in TEXTS[:-1]:
        told.setdefault(rows.clip_id(n), (SPLITS.get(n), set()))[1].add(text)
    return told


def gathered(paths: list[Path]) -> dict[str, tuple[str | None, set[str]]]:
    told: dict[str, tuple[str | None, set[str]]] = {}
    for path in paths:
        for clip, split, texts in read_back(path):
            told.setdefault(clip, (split, set()))[1].update(texts)
    return told


def test_the_official_files_are_read_back_as_the_same_clips(root: str, tmp_path: Path) -> None:
    packed = exported(root, Form.VALOR, tmp_path / "annotations.zip")
    with zipfile.ZipFile(packed) as file:
        file.extractall(tmp_path / "plain")
    folder = tmp_path / "plain"
    assert gathered(sorted(folder.glob("desc*.json"))) == wanted()
    assert json.loads((folder / "test_id.json").read_text()) == [layout.official_id(rows.clip_id(2))]
    mapper = json.loads((folder / "txt_mapper.json").read_text())
    assert mapper[layout.official_id(rows.clip_id(2))] == "A dog barks."
    assert len(mapper[layout.official_id(rows.clip_id(0))]) == 2
    said = json.loads((folder / "capanno_test.json").read_text())["annotations"]
    assert said == [{"video_id": layout.official_id(rows.clip_id(2)), "caption": "A dog barks."}]
    (tmp_path / "again").mkdir()
    again = exported(root, Form.VALOR, tmp_path / "again" / "a.zip")
    assert again.read_bytes() == packed.read_bytes()


@pytest.mark.parametrize(("form", "name"), [(Form.CSV, "a.csv"), (Form.JSONL, "a.jsonl")])
def test_lists_are_read_back_as_the_same_clips(root: str, tmp_path: Path, form: Form, name: str) -> None:
    assert gathered([exported(root, form, tmp_path / name)]) == wanted()


def test_labels_with_a_semicolon_stay_whole_in_a_list(tmp_path: Path) -> None:
    folder, out = tmp_path / "w", tmp_path / "a.csv"
    labels = ("Knock; tap", "[other]", "Dog")
    Tables.open(str(folder)).append([rows.clip(0, labels=labels)])
    Tables.open(str(folder)).append([rows.caption(0, "A dog barks.")])
    chain.catalog_export(str(folder), Form.CSV, str(out))
    (read,) = segments.open_list(ListSpec(path=str(out)), 10, addresses=False)
    assert isinstance(read, Segment)
    assert read.labels == labels


def test_a_place_that_nobody_may_write_to_is_told_by_its_own_name(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", ".tmp-1234")

    monkeypatch.setattr(Path, "touch", closed)
    out = tmp_path / "a.csv"
    with pytest.raises(UserError, match=r"^--out \S*/a\.csv: nothing can be written to .*Read-only"):
        chain.catalog_export(root, Form.CSV, str(out))
    with pytest.raises(UserError, match="nothing can be written"):
        printing.write(pa.table({"n": [1]}), str(out))


def test_rows_that_cannot_be_written_leave_the_file_that_was(tmp_path: Path) -> None:
    old = tmp_path / "a.csv"
    old.write_text("old")

    def full(_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(printing, "_cell", full)
        with pytest.raises(FatalError, match=r"a\.csv: the disk is full"):
            printing.write(pa.table({"n": [1]}), str(old))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    printing.write(pa.table({"n": [1]}), str(old))
    assert old.read_text() == "n\n1\n"


def test_what_signs_an_address_is_in_no_export(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    Tables.open(str(folder)).append([rows.clip(0, url="https://a.example/v.mp4?X-Amz-Signature=5ecret")])
    Tables.open(str(folder)).append([rows.caption(0, "A dog barks.")])
    for form, name in ((Form.CSV, "a.csv"), (Form.JSONL, "a.jsonl"), (Form.COCO, "a.json"), (Form.HF, "hf")):
        chain.catalog_export(str(folder), form, str(tmp_path / name))
    said = (tmp_path / "a.csv").read_text() + (tmp_path / "a.jsonl").read_text()
    said += (tmp_path / "a.json").read_text()
    said += str(pq.read_table(tmp_path / "hf" / "data")["url"].to_pylist())
    assert said.count("https://a.example/v.mp4") == 4
    assert "5ecret" not in said


def test_datasets_reads_the_folders(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    folder = exported(root, Form.HF, tmp_path / "a" / "plain")
    read = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    counts = {name: split.num_rows for name, split in read.items()}
    assert counts == {"train": 1, "val": 1, "test": 1, "unsplit": 1}
    assert [said["text"] for said in read["val"][0]["captions"]] == [TEXTS[2][1]]
    folder = exported(root, Form.HF, tmp_path / "b" / "media", media=True)
    read = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    test = read["test"].cast_column("video", datasets.Video(decode=False))
    assert Path(test[0]["video"]["path"]).read_bytes() == b"media 2"
    assert test[0]["captions"] == ["A dog barks."]


def test_coco_is_whole_and_its_ids_stay(root: str, tmp_path: Path) -> None:
    read = json.loads(exported(root, Form.COCO, tmp_path / "a.json").read_text())
    image = {one["id"]: one["clip_id"] for one in read["images"]}
    assert len(image) == 4
    said = {(image[one["image_id"]], one["caption"]) for one in read["annotations"]}
    assert said == {(rows.clip_id(n), text) for n, text in TEXTS[:-1]}
    assert len({one["id"] for one in read["annotations"]}) == 5
    assert min(image) > 0
    assert max(image) < 2**53


def test_what_cannot_be_exported_is_told_and_leaves_nothing(root: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for form, name, media, told in (
        (Form.CSV, "a.txt", False, "end the name in .csv"),
        (Form.VALOR, "there", False, "folder is there already"),
        (Form.COCO, "no/a.json", False, "no folder"),
        (Form.CSV, "a.csv", True, "--media goes with"),
    ):
        with pytest.raises(UserError, match=told):
            chain.catalog_export(root, form, str(tmp_path / name), media=media)
    empty = Tables.open(str(tmp_path / "w"))
    empty.append([rows.clip(0)])
    with pytest.raises(UserError, match="no captioned clip"):
        chain.catalog_export(str(tmp_path / "w"), Form.VALOR, str(tmp_path / "x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "w"]


def test_statistics_count_what_there_is(root: str, tmp_path: Path) -> None:
    told = chain.stats(root, page=tmp_path / "s.html")
    assert (told.clips, told.captioned, told.captions, told.seconds) == (7, 5, 6, 70.0)
    assert told.labels == (("Child speech, kid speaking", 7), ("Dog", 7))
    assert dict(told.splits) == {"train": 2, "val": 1, "test": 1, "": 3}
    assert dict(told.sounds_named)["bark"] == 2
    assert sum(told.lengths.counts) == 6
    assert json.loads(json.dumps(told.as_json()))["durations"]["counts"][-1] == 7
    assert any(line.split() == ["captions", "6"] for line in lines(told))
    page = (tmp_path / "s.html").read_text()
    assert "<svg" in page
    assert "Child speech, kid speaking" in page
    assert [path.name for path in tmp_path.iterdir()] == ["s.html"]


def test_one_query_serves_every_reader(root: str) -> None:
    """What the README shows."""
    path = f"{root}/{layout.CATALOG}"
    captioned = {rows.clip_id(n) for n, _ in TEXTS}
    assert set(duckdb.sql(f"SELECT clip_id FROM '{path}' WHERE captions <> []").df()["clip_id"]) == captioned
    lazily = pl.scan_parquet(path).filter(pl.col("captions").list.len() > 0)
    assert set(lazily.collect()["clip_id"]) == captioned
    frame = pd.read_parquet(path, columns=["clip_id", "caption"])
    assert set(frame[frame["caption"].notna()]["clip_id"]) == captioned
    one = ds.dataset(path).to_table(filter=ds.field("clip_id") == rows.clip_id(1), columns=["captions"])
    assert one["captions"].to_pylist()[0][0]["text"] == TEXTS[2][1]
    file = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert file.has_offset_index
    assert file.compression == "ZSTD"


def print_of(seed: int, noise: float = 0.0) -> bytes:
    rng, more = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    luma = rng.integers(0, 256, (40, prints.HEIGHT // 6, prints.WIDTH // 8)).repeat(6, 1).repeat(8, 2)
    made = prints.picture(np.clip(luma + noise * more.standard_normal(luma.shape), 0, 255).astype(np.uint8))
    assert made is not None
    return made


def test_similar_clips_by_print_and_by_embedding(tmp_path: Path) -> None:
    tables = Tables.open(str(tmp_path))
    tables.append([rows.clip(n) for n in range(9)])
    tables.append([rows.media(n) for n in range(8)])
    tables.append([rows.caption(1, "The same again.")])
    with pytest.raises(UserError, match="valor-data filter"):
        chain.similar(rows.clip_id(0), str(tmp_path), 3)
    seen = {0: print_of(0), 1: print_of(0, 3.0), **{n: print_of(n) for n in range(2, 7)}, 7: None}
    tables.append(
        Prints(clip_id=rows.clip_id(n), media_sha256="0" * 64, picture=picture, made_by="prints@1")
        for n, picture in seen.items()
    )
    found = chain.similar(rows.clip_id(0), str(tmp_path), 3).to_pylist()
    assert len(found) == 3
    nearest = [found[0][name] for name in ("clip_id", "by", "caption")]
    assert nearest == [rows.clip_id(1), "both", "The same again."]
    assert found[0]["picture"] < 0.3 < found[1]["picture"]
    assert found[1]["by"] == "print"
    with pytest.raises(UserError, match="black and silent"):
        chain.similar(rows.clip_id(7), str(tmp_path), 3)
    with pytest.raises(UserError, match="no clip"):
        chain.similar("x_0_1", str(tmp_path), 3)
    tables.append(
        Embedding(clip_id=rows.clip_id(n), kind="av", model="m@1", vector=(1.0, float(n - 7)), made_by="m@1")
        for n in range(5, 9)
    )
    found = chain.similar(rows.clip_id(7), str(tmp_path), 2).to_pylist()
    assert [(one["clip_id"], one["by"], one["cosine"]) for one in found] == [
        (rows.clip_id(8), "av m@1", 0.7071),
        (rows.clip_id(6), "av m@1", 0.7071),
    ]
