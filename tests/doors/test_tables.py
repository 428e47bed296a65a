"""Rows go into Parquet parts and the latest of each key comes out."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import rows
from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.records import TABLES, Clip, Media, Outcome, Record, Review
from valor_data.schema import arrow_schema
from valor_data.store import Store
from valor_data.tables import Tables


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables.open(str(tmp_path / "w"))


@pytest.fixture(params=["folder", "memory", "s3"])
def any_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    if request.param == "folder":
        yield Tables.open(str(tmp_path / "it's [a]* ?folder"))
    elif request.param == "s3":
        yield Tables.open(f"{request.getfixturevalue('s3_root')}/some where/-x")
    else:
        memory = fsspec.filesystem("memory")
        memory.store.clear()
        yield Tables.open("memory://top/inner")
        memory.store.clear()


def parts(root: Path, table: str) -> list[str]:
    folder = root / layout.table_prefix(table)
    return sorted(path.name for path in folder.glob("*.parquet"))


def test_the_latest_row_of_a_key_wins(any_tables: Tables) -> None:
    tables = any_tables
    assert tables.append([rows.clip(1), rows.clip(2)]) == 2
    assert tables.append([rows.clip(2, labels=("Dog", "Bark"))]) == 1
    found = {clip.clip_id: clip for clip in tables.rows(Clip)}
    assert list(found) == [rows.clip_id(1), rows.clip_id(2)]
    assert found[rows.clip_id(2)].labels == ("Dog", "Bark")
    assert found[rows.clip_id(2)].made_at_us > found[rows.clip_id(1)].made_at_us > 10**15
    assert tables.count("clips") == 2
    assert tables.read("clips")["labels"].map(list).to_list() == [[], ["Dog", "Bark"]]
    for _ in range(9):
        tables.append([rows.clip(1, labels=("Cat",))])
    tables.compact()
    assert [clip.labels for clip in tables.rows(Clip)] == [("Cat",), ("Dog", "Bark")]
    assert tables.sql("SELECT count(*) AS n FROM clips").to_pylist() == [{"n": 2}]
    assert tables.write_catalog(layout.CATALOG) == 2


@pytest.mark.parametrize("table", TABLES)
def test_a_table_without_a_part_is_empty_and_has_its_columns(tables: Tables, table: str) -> None:
    names = arrow_schema(TABLES[table]).names
    assert tables.count(table) == 0
    assert list(tables.rows(TABLES[table])) == []
    assert list(tables.read(table).columns) == names
    assert tables.sql(f"FROM {table}").column_names == names


def test_an_empty_append_makes_no_part(tables: Tables, tmp_path: Path) -> None:
    assert tables.append([]) == 0
    assert tables.append_arrow("outcomes", arrow_schema(Outcome).empty_table()) == 0
    assert parts(tmp_path / "w", "outcomes") == []


def test_of_one_appends_rows_with_the_same_key_the_last_counts(tables: Tables) -> None:
    assert tables.append([rows.clip(1), rows.clip(2), rows.clip(1, labels=("Last",))]) == 2
    assert [clip.labels for clip in tables.rows(Clip, clip_id=rows.clip_id(1))] == [("Last",)]


def test_rows_of_two_tables_are_refused(tables: Tables) -> None:
    with pytest.raises(ValueError, match="one table"):
        tables.append([rows.clip(1), rows.media(1)])
    assert tables.count("clips") == 0


def test_rows_can_be_asked_by_columns(tables: Tables) -> None:
    tables.append([rows.media(1), rows.media(2, width=100), rows.media(2, profile="small-1", width=100)])
    assert [m.profile for m in tables.rows(Media, width=100)] == [rows.PROFILE, "small-1"]
    assert [m.clip_id for m in tables.rows(Media, audio_codec=None, width=640)] == [rows.clip_id(1)]
    assert list(tables.rows(Outcome, status=rows.outcome(1).status)) == []
    with pytest.raises(ValueError, match="no column 'widht'"):
        list(tables.rows(Media, widht=1))


def test_a_filter_sees_the_latest_row_only(tables: Tables) -> None:
    tables.append([rows.outcome(1, "failed")])
    tables.append([rows.outcome(1, "ok")])
    assert list(tables.rows(Outcome, status="failed")) == []


def test_every_record_comes_back_as_it_was(tables: Tables) -> None:
    made: list[Record] = [
        rows.clip(1, labels=("Ünicode, 'quoted'",), licence="cc-by"),
        rows.media(1, audio_codec="aac", sample_rate=44100, av_skew_ms=-3.25, bytes_read=7),
        rows.outcome(1, "rejected", reason="private", message="a\nb"),
        rows.audio(1, silent_share=0.5, loudness_lufs=None),
        rows.caption(1, "한국어 caption"),
        rows.review("c", "r1", "reject"),
    ]
    for record in made:
        tables.append([record])
        (back,) = tables.rows(type(record))
        assert back.model_copy(update={"made_at_us": 0}) == record


def test_a_clock_that_steps_back_does_not_revive_old_rows(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now)
    tables.append([rows.clip(1, labels=("first",))])
    monkeypatch.setattr(time, "time_ns", lambda: now - 3600 * 10**9)
    tables.append([rows.clip(1, labels=("second",))])
    again = Tables.open(str(tmp_path / "w"))
    again.append([rows.clip(1, labels=("third",))])
    again.append([rows.outcome(1)])
    assert [clip.labels for clip in again.rows(Clip)] == [("third",)]
    (clip,), (outcome,) = again.rows(Clip), again.rows(Outcome)
    assert outcome.made_at_us > clip.made_at_us  # stamps order all tables, not one


def test_part_names_begin_with_the_stamp_of_their_rows(tables: Tables, tmp_path: Path) -> None:
    tables.append([rows.clip(1)])
    (name,) = parts(tmp_path / "w", "clips")
    (clip,) = tables.rows(Clip)
    assert int(name.split("-")[0]) == clip.made_at_us
    assert len(name.split("-")[0]) == 20


def test_parts_are_zstd_with_the_records_schema(tables: Tables, tmp_path: Path) -> None:
    tables.append([rows.media(1)])
    folder = tmp_path / "w" / layout.table_prefix("media")
    with pq.ParquetFile(folder / parts(tmp_path / "w", "media")[0]) as file:
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        assert file.schema_arrow.names == arrow_schema(Media).names
        assert not file.schema_arrow.field("clip_id").nullable


def test_append_arrow_takes_columns_in_any_order_and_stamps_them(tables: Tables) -> None:
    schema = arrow_schema(Review)
    table = pa.table(
        {
            "made_by": ["x", "x", "x"],
            "decision": ["accept", "fix", "reject"],
            "reviewer": ["a", "b", "a"],
            "reasons": [[], ["typo"], ["wrong"]],
            "caption_id": ["c", "c", "c"],
            "revision": [1, 1, 1],
            "text": ["", "mended", ""],
            "deleted": [False, False, False],
            "made_at_us": [1, 2, 3],
        }
    )
    assert tables.append_arrow("reviews", table) == 2
    assert [(r.reviewer, r.decision, r.reasons) for r in tables.rows(Review)] == [
        ("a", "reject", ("wrong",)),
        ("b", "fix", ("typo",)),
    ]
    assert all(r.made_at_us > 10**15 for r in tables.rows(Review))
    with pytest.raises(ValueError, match="'decision' with null"):
        tables.append_arrow("reviews", table.set_column(1, "decision", pa.nulls(3, pa.string())))
    with pytest.raises(KeyError):
        tables.append_arrow("reviews", table.drop_columns(["reasons"]))
    assert schema.names[-2:] == ["made_by", "made_at_us"]


def write_part(root: Path, table: str, stamp: int, columns: dict[str, list[object]]) -> None:
    folder = root / layout.table_prefix(table)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"{stamp:020d}-00000000.parquet")


def test_parts_from_before_and_after_a_column_existed(tables: Tables, tmp_path: Path) -> None:
    """An old part lacks `labels` and `licence`; one of a later version has `mood`."""
    base = {"source": ["youtube"], "start_ms": [0], "end_ms": [1], "url": ["u"], "made_by": ["x"]}
    write_part(
        tmp_path / "w", "clips", 5, {"clip_id": ["a_0_1"], "video_id": ["a"], **base, "made_at_us": [5]}
    )
    (old,) = tables.rows(Clip)
    assert (old.labels, old.licence) == ((), None)
    assert tables.sql("SELECT labels, licence FROM clips").to_pylist() == [{"labels": [], "licence": None}]
    write_part(
        tmp_path / "w",
        "clips",
        6,
        {"clip_id": ["b_0_1"], "video_id": ["b"], **base, "mood": ["glad"], "made_at_us": [6]},
    )
    assert tables.sql("SELECT clip_id, mood FROM clips ORDER BY 1").to_pylist() == [
        {"clip_id": "a_0_1", "mood": None},
        {"clip_id": "b_0_1", "mood": "glad"},
    ]
    for number in range(10):
        tables.append([rows.clip(number)])
    before = tables.sql("FROM clips ORDER BY clip_id").to_pylist()
    tables.compact()
    assert len(parts(tmp_path / "w", "clips")) == 1
    assert tables.sql("FROM clips ORDER BY clip_id").to_pylist() == before
    assert len(list(tables.rows(Clip))) == 12


@pytest.mark.parametrize("harm", ["cut", "garbage", "empty"])
def test_a_corrupt_part_stops_with_its_name_and_the_mend(tables: Tables, tmp_path: Path, harm: str) -> None:
    tables.append([rows.clip(number) for number in range(1000)])
    tables.append([rows.clip(1)])
    folder = tmp_path / "w" / layout.table_prefix("clips")
    name = parts(tmp_path / "w", "clips")[0]
    whole = (folder / name).read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "garbage": whole[:4] + b"\xff" * 3000 + whole[3004:],
        "empty": b"",
    }
    (folder / name).write_bytes(harmed[harm])
    asked = (lambda: list(tables.rows(Clip)), lambda: tables.read("clips"), lambda: tables.sql("FROM clips"))
    for ask in asked:
        with pytest.raises(FatalError, match=f"{name}: corrupt part .*restore it") as told:
            ask()
        assert "\n" not in str(told.value)


def test_a_corrupt_manifest_stops_with_its_name(tables: Tables, tmp_path: Path) -> None:
    tables.append([rows.clip(1)])
    (tmp_path / "w" / layout.table_prefix("clips") / layout.MANIFEST).write_text(json.dumps([1]))
    with pytest.raises(FatalError, match=r"clips/manifest\.json: not readable"):
        tables.count("clips")


def test_a_root_without_backend_is_told() -> None:
    with pytest.raises(UserError, match="zork"):
        Tables.open("zork://x")


def test_what_a_killed_append_leaves_is_unseen_and_swept(tables: Tables, tmp_path: Path) -> None:
    tables.append([rows.clip(1)])
    folder = tmp_path / "w" / layout.table_prefix("clips")
    (folder / layout.temporary_name()).write_bytes(b"PAR1half")
    assert tables.count("clips") == 1
    assert Store.open(str(tmp_path / "w")).sweep_temporary() == 1
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]


def test_a_stream_that_is_dropped_half_way_leaves_nothing(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spill))
    tables.append([rows.clip(number) for number in range(40_000)])
    stream = tables.rows(Clip)
    next(stream)
    del stream
    count, videos = tables.unfetched(rows.FETCH, frozenset())
    assert count == 40_000
    assert len(next(videos)) == 2
    del videos
    assert list(spill.iterdir()) == []
