"""What the stages ask of the tables: what is to do, what was measured, decided and may be released."""

from collections.abc import Collection
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fakes import rows
from valor_data import layout
from valor_data.errors import Reason
from valor_data.recipe import Retry, check_reasons
from valor_data.records import TABLES, Release, SegmentList, SplitOf, Verdict, Video
from valor_data.tables import Tables, catalog_sql, engine

RULES = "0123456789abcdef"


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables.open(str(tmp_path / "w"))


AGAIN = check_reasons(Retry().again)


def unfetched(tables: Tables, again: Collection[Reason] = AGAIN) -> list[list[str]]:
    count, videos = tables.unfetched(rows.FETCH, again)
    found = [[clip.clip_id for clip in clips] for clips in videos]
    assert count == sum(map(len, found))
    return found


def unmeasured(tables: Tables, made_by: str = "audio@2") -> list[str]:
    count, media = tables.unmeasured(rows.PROFILE, {made_by: "audio_measures"}, rows.MEASURE)
    found = [one.clip_id for one, _ in media]
    assert count == len(found)
    return found


def test_what_no_stage_has_seen_or_what_failed_is_unfetched(tables: Tables) -> None:
    assert unfetched(tables) == []
    tables.append([rows.clip(number) for number in range(6)])
    tables.append([rows.outcome(0), rows.outcome(1, "rejected", reason="private")])
    tables.append([rows.outcome(2, "failed", reason="timeout"), rows.outcome(3, stage="fetch/other")])
    assert unfetched(tables) == [[rows.clip_id(2), rows.clip_id(3)], [rows.clip_id(4), rows.clip_id(5)]]
    tables.append([rows.outcome(2, "ok")])
    assert unfetched(tables) == [[rows.clip_id(3)], [rows.clip_id(4), rows.clip_id(5)]]


def test_reasons_say_what_is_asked_for_again(tables: Tables) -> None:
    tables.append([rows.clip(number) for number in range(4)])
    tables.append([rows.outcome(0), rows.outcome(1, "rejected", reason="private")])
    tables.append([rows.outcome(2, "failed", reason="timeout"), rows.outcome(3, "failed", reason="live")])
    assert unfetched(tables, check_reasons(("later",))) == [[rows.clip_id(3)]]
    assert unfetched(tables, check_reasons(("private", "transient"))) == [
        [rows.clip_id(1)],
        [rows.clip_id(2)],
    ]
    assert unfetched(tables, frozenset()) == []
    assert sum(map(len, unfetched(tables, check_reasons(("all",))))) == 3


def test_unfetched_clips_come_as_they_stand_now(tables: Tables) -> None:
    tables.append([rows.clip(1)])
    tables.append([rows.clip(1, labels=("new",))])
    _, videos = tables.unfetched(rows.FETCH, AGAIN)
    assert [clip.labels for clips in videos for clip in clips] == [("new",)]


def test_all_clips_of_a_video_come_together_whatever_the_order_of_appends(tables: Tables) -> None:
    for number in (5, 0, 3, 1, 4, 2):
        tables.append([rows.clip(number)])
    assert unfetched(tables) == [[rows.clip_id(n), rows.clip_id(n + 1)] for n in (0, 2, 4)]


def test_media_are_unmeasured_until_these_very_bytes_are(tables: Tables) -> None:
    assert unmeasured(tables) == []
    tables.append([rows.media(1), rows.media(2), rows.media(3, profile="small-1")])
    assert unmeasured(tables) == [rows.clip_id(1), rows.clip_id(2)]
    tables.append([rows.audio(1)])
    tables.append([rows.outcome(1, stage=rows.MEASURE)])
    assert unmeasured(tables) == [rows.clip_id(2)]
    assert unmeasured(tables, "audio@3") == [rows.clip_id(1), rows.clip_id(2)]
    tables.append([rows.media(1, sha="1")])
    assert unmeasured(tables) == [rows.clip_id(1), rows.clip_id(2)]
    tables.append([rows.audio(1, sha="1")])
    assert unmeasured(tables) == [rows.clip_id(2)]
    tables.append([rows.media(1, sha="0")])  # back to bytes that were measured once
    assert unmeasured(tables) == [rows.clip_id(1), rows.clip_id(2)]


def test_a_rejection_stands_until_the_media_change(tables: Tables) -> None:
    tables.append([rows.media(1), rows.media(2)])
    tables.append(
        [rows.outcome(1, "rejected", stage=rows.MEASURE), rows.outcome(2, "failed", stage=rows.MEASURE)]
    )
    assert unmeasured(tables) == [rows.clip_id(2)]
    tables.append([rows.media(1, sha="1")])
    assert unmeasured(tables) == [rows.clip_id(1), rows.clip_id(2)]


def verdicts(*kept: bool, detail: str = "") -> pa.Table:
    return pa.table(
        {
            "clip_id": [rows.clip_id(number) for number in range(len(kept))],
            "kept": list(kept),
            "reason": ["" if keep else "inaudible" for keep in kept],
            "detail": [detail] * len(kept),
        }
    )


def test_only_verdicts_that_differ_are_written(tables: Tables) -> None:
    assert tables.save_verdicts(verdicts(True, False), RULES, "rules@1") == 2
    assert tables.save_verdicts(verdicts(True, False), RULES, "rules@1") == 0
    assert tables.save_verdicts(verdicts(True, True), RULES, "rules@1") == 1
    assert tables.save_verdicts(verdicts(True, True, detail="x"), RULES, "rules@1") == 2
    assert tables.save_verdicts(verdicts(True, True), "other", "rules@1") == 2
    assert [v.kept for v in tables.rows(Verdict, rules_digest=RULES)] == [True, True]


def worked_on(tables: Tables) -> None:
    """Six clips: 0 and 1 kept, 2 rejected, 3 not measured, 4 unavailable, 5 failed."""
    listed = {"form": "jsonl", "clips": 6, "made_by": "list:test"}
    tables.append(
        [
            SegmentList(list_id="a", name="a", rows=8, duplicates=1, bad_rows=1, **listed),
            SegmentList(list_id="b", name="b", rows=2, duplicates=2, bad_rows=0, **listed),
        ]
    )
    tables.append([rows.clip(n) for n in range(6)])
    tables.append(
        [Video(video_id=rows.clip(0).video_id, webpage_url="u", extractor="e", title="T", made_by="f")]
    )
    tables.append([rows.media(n) for n in range(4)] + [rows.media(5, profile="small-1")])
    tables.append(
        [rows.outcome(n) for n in range(4)]
        + [rows.outcome(4, "rejected", reason="private"), rows.outcome(5, "failed", reason="timeout")]
    )
    tables.append([rows.audio(n) for n in range(3)])
    tables.append([rows.outcome(3, "rejected", reason="corrupt", stage=rows.MEASURE)])
    tables.save_verdicts(verdicts(True, True, False), RULES, "rules@1")
    tables.append([rows.caption(0, "b"), rows.caption(0, "a"), rows.caption(2, "of a rejected clip")])
    tables.append([rows.caption(1, "m", origin="model", author="model:x")])
    tables.append([SplitOf(clip_id=rows.clip_id(0), split="val", made_by="list:test")])


def test_the_funnel_counts_every_step_and_reason(tables: Tables) -> None:
    counts, reasons = tables.funnel(rows.PROFILE, RULES)
    assert set(counts.values()) == {0}
    assert reasons == {"fetch": {}, "measure": {}, "filter": {}}
    worked_on(tables)
    counts, reasons = tables.funnel(rows.PROFILE, RULES)
    assert counts == {
        "listed": 6,
        "duplicate": 3,
        "bad_rows": 1,
        "fetched": 4,
        "failed": 1,
        "unavailable": 1,
        "measured": 3,
        "kept": 2,
        "rejected": 1,
        "captioned": 1,
        "accepted": 3,
        "released": 0,
        "retracted": 0,
    }
    assert reasons == {
        "fetch": {"private": 1, "timeout": 1},
        "measure": {"corrupt": 1},
        "filter": {"inaudible": 1},
    }
    assert tables.funnel("other", RULES)[0]["fetched"] == 0
    assert tables.funnel(rows.PROFILE, "other")[0]["kept"] == 0
    release = {
        "name": "d",
        "content_sha256": "0" * 64,
        "captions": 1,
        "shards": 1,
        "bytes": 1,
        "made_by": "x",
    }
    tables.append([Release(version="0.2.0", clips=2, **release)])
    tables.append([Release(version="0.1.0", clips=1, **release)])  # written later
    assert tables.funnel(rows.PROFILE, RULES)[0]["released"] == 1


def test_the_views_tell_the_same_of_what_was_worked_on_last(tables: Tables) -> None:
    worked_on(tables)
    counts, _ = tables.funnel(rows.PROFILE, RULES)
    assert tables.sql("FROM funnel").to_pylist() == [counts]
    found = {(r["stage"], r["reason"]): r["clips"] for r in tables.sql("FROM reasons").to_pylist()}
    assert found == {
        ("fetch", "private"): 1,
        ("fetch", "timeout"): 1,
        ("measure", "corrupt"): 1,
        ("filter", "inaudible"): 1,
    }


def releasable(tables: Tables, checkers: int = 1, max_rejects: int = 0, require: bool = True) -> list[dict]:
    batches = tables.releasable(rows.PROFILE, RULES, checkers, max_rejects, require)
    return pa.Table.from_batches(batches).to_pylist()


def test_kept_and_captioned_clips_are_releasable(tables: Tables) -> None:
    assert releasable(tables) == []
    worked_on(tables)
    (row,) = releasable(tables)
    assert row["clip_id"] == rows.clip_id(0)
    assert (row["split"], row["split_made_by"]) == ("val", "list:test")
    assert (row["object_key"], row["sha256"], row["start_error_ms"]) == (
        layout.object_key(rows.PROFILE, rows.clip_id(0)),
        "0" * 64,
        0.5,
    )
    assert row["measures"]["loudness_lufs"] == -20.0
    assert [c["text"] for c in row["captions"]] == sorted("ab", key=lambda t: rows.caption(0, t).caption_id)
    assert list(row["captions"][0]) == [
        "caption_id",
        "text",
        "author",
        "origin",
        "language",
        "modalities_seen",
    ]
    first, second = releasable(tables, require=False)
    assert (second["clip_id"], second["captions"], second["split"]) == (rows.clip_id(1), [], None)
    assert "made_by" not in first


def test_our_annotators_captions_need_their_checkers(tables: Tables) -> None:
    worked_on(tables)
    ours = rows.caption(1, "ours", origin="human", author="p1")
    tables.append([ours])

    def released(checkers: int, max_rejects: int) -> bool:
        return len(releasable(tables, checkers, max_rejects)) == 2

    assert not released(1, 0)
    assert released(0, 0)
    tables.append([rows.review(ours.caption_id, "c1", "accept"), rows.review(ours.caption_id, "c2", "fix")])
    assert released(2, 0)
    assert not released(3, 0)
    tables.append([rows.review(ours.caption_id, "c3", "reject")])
    assert not released(3, 0)
    assert released(3, 1)
    tables.append([rows.review(ours.caption_id, "c3", "accept")])
    assert released(3, 0)
    tables.append([ours.model_copy(update={"deleted": True, "revision": 2})])
    assert not released(0, 9)


def test_deleted_captions_leave(tables: Tables) -> None:
    worked_on(tables)
    for text in "ab":
        tables.append([rows.caption(0, text, deleted=True, revision=2)])
    assert releasable(tables) == []
    assert tables.sql("SELECT caption, captions FROM catalog WHERE captions <> []").num_rows == 1  # clip 2's


def test_the_catalog_has_one_row_a_clip(tables: Tables, tmp_path: Path) -> None:
    worked_on(tables)
    assert tables.write_catalog("catalog.parquet") == 6
    table = pq.read_table(tmp_path / "w" / "catalog.parquet")
    found = table.to_pylist()
    told = [rows.caption(0, text).caption_id for text in "ab"]
    by_people = {"author": "people", "origin": "imported", "language": "en", "modalities_seen": "av"}
    assert [row["clip_id"] for row in found] == [rows.clip_id(n) for n in range(6)]
    assert [row["fetch_status"] for row in found] == ["ok"] * 4 + ["rejected", "failed"]
    assert [row["kept"] for row in found] == [True, True, False, None, None, None]
    assert [len(row["captions"]) for row in found] == [2, 0, 1, 0, 0, 0]
    assert found[0]["captions"][0] == {"caption_id": min(told), "text": found[0]["caption"], **by_people}
    assert found[0]["official_id"] == layout.official_id(rows.clip_id(0))
    assert found[0]["caption"] == min("ab", key=lambda text: rows.caption(0, text).caption_id)
    assert (found[0]["title"], found[0]["split"], found[0]["loudness_lufs"]) == ("T", "val", -20.0)
    assert found[3]["loudness_lufs"] is None
    assert table.equals(tables.sql("FROM catalog ORDER BY clip_id").cast(table.schema))
    assert [path.name for path in (tmp_path / "w").iterdir() if path.is_file()] == ["catalog.parquet"]


def test_an_empty_catalog_has_its_columns(tables: Tables, tmp_path: Path) -> None:
    assert tables.write_catalog("catalog.parquet") == 0
    assert "loudness_lufs" in pq.read_schema(tmp_path / "w" / "catalog.parquet").names


def test_existing_objects_are_those_that_any_row_names(tables: Tables) -> None:
    assert tables.existing_objects() == set()
    worked_on(tables)
    named = {layout.object_key(rows.PROFILE, rows.clip_id(n)) for n in range(4)}
    assert tables.existing_objects() == named | {layout.object_key(rows.PROFILE, rows.clip_id(5))}


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_ranges_of_clips_give_what_one_query_gives(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    worked_on(tables)
    whole = releasable(tables, require=False)
    tables.write_catalog("whole.parquet")
    monkeypatch.setattr(engine, "_RANGE", size)
    assert releasable(tables, require=False) == whole
    assert tables.write_catalog("ranges.parquet") == 6
    one, other = (pq.read_table(tmp_path / "w" / f"{name}.parquet") for name in ("whole", "ranges"))
    assert one.equals(other)


def test_plain_duckdb_reads_a_workspace_by_the_generated_views(tables: Tables, tmp_path: Path) -> None:
    worked_on(tables)
    for _ in range(9):
        tables.append([rows.clip(0, labels=("later",))])
    tables.compact()
    con = duckdb.connect()
    folders = sorted((tmp_path / "w" / "tables").iterdir())
    for folder in folders:
        files = f"read_parquet('{folder}/*.parquet', union_by_name = true)"
        con.execute(f"CREATE VIEW {folder.name}_parts AS FROM {files}")
    con.execute(catalog_sql())
    assert 0 < len(folders) < len(TABLES)  # the others read as empty
    ours = tables.sql("FROM catalog ORDER BY clip_id").to_pylist()
    assert con.sql("FROM catalog ORDER BY clip_id").to_arrow_table().to_pylist() == ours
    assert con.sql("FROM funnel").to_arrow_table().to_pylist() == tables.sql("FROM funnel").to_pylist()
