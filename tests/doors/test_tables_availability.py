"""The availability manifest: every clip of every list once, with the truth about each."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.fakes import rows
from valor_data import chain
from valor_data.errors import UserError
from valor_data.recipe import Recipe
from valor_data.records import ListMember, OptOut
from valor_data.tables import MergeCounts, Tables
from valor_data.tables.availability import Availability

RECIPE = Recipe(name="tiny")
PROFILE = RECIPE.profile
STAGE = f"fetch/{PROFILE}"
COLUMNS = [
    "list", "split", "clip_id", "official_id", "video_id", "start_ms", "end_ms", "state", "reason", "kind",
    "checked_at", "origin",
]  # fmt: skip


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables.open(str(tmp_path / "w"))


def merge(tables: Tables, name: str, *numbers: int, split: str | None = None) -> MergeCounts:
    with tables.segment_staging() as staged:
        staged.add(rows.segment(number) for number in numbers)
        return staged.merge(name, "people", "en", split)


def states(found: Availability) -> dict[tuple[str, str], tuple[str, str | None, str | None]]:
    return {
        (row["list"], row["clip_id"]): (row["state"], row["reason"], row["kind"])
        for batch in found.rows
        for row in batch.to_pylist()
    }


def publish(tmp_path: Path, name: str = "out") -> Path:
    made = chain.status(
        RECIPE, chain.Options(workspace=str(tmp_path / "w")), availability=str(tmp_path / name)
    )
    assert sorted(Path(path).name for path in made.outputs) == sorted(
        path.name for path in (tmp_path / name).iterdir()
    )
    return tmp_path / name


def test_a_clip_stands_in_every_list_that_names_it(tables: Tables) -> None:
    merge(tables, "a.csv", 0, 1, split="train")
    merge(tables, "b.csv", 1, 2, split="test")
    members = {(row.list_name, row.clip_id): row.split for row in tables.rows(ListMember)}
    assert members == {
        ("a.csv", rows.clip_id(0)): "train",
        ("a.csv", rows.clip_id(1)): "train",
        ("b.csv", rows.clip_id(1)): "test",
        ("b.csv", rows.clip_id(2)): "test",
    }


def test_a_list_that_comes_again_adds_no_member_but_may_move_one(tables: Tables, tmp_path: Path) -> None:
    merge(tables, "a.csv", 0, 1, split="train")
    merge(tables, "a.csv", 0, 1, split="train")
    assert len(list((tmp_path / "w" / "tables" / "list_members").iterdir())) == 1
    merge(tables, "a.csv", 0, split="val")
    assert [row.split for row in tables.rows(ListMember)] == ["val", "train"]


def test_captions_alone_make_no_member(tables: Tables) -> None:
    merge(tables, "a.csv", 0)
    with tables.segment_staging() as staged:
        staged.add([rows.segment(0, captions=(("", "one"),))])
        staged.merge_captions("captions.csv", "people", "en")
    assert {row.list_name for row in tables.rows(ListMember)} == {"a.csv"}


def test_every_clip_has_one_of_three_states(tables: Tables) -> None:
    merge(tables, "a.csv", *range(8))
    tables.append([rows.media(n, profile=PROFILE) for n in (0, 4, 5)])
    tables.append(
        [
            rows.outcome(0, stage=STAGE),
            rows.outcome(1, "rejected", reason="private", stage=STAGE),
            rows.outcome(2, "failed", reason="bot_check", stage=STAGE),
            rows.outcome(3, "rejected", reason="removed", stage="fetch/other"),
            rows.outcome(4, "failed", reason="lost", stage=STAGE),
        ]
    )
    tables.append([OptOut(scope="video", value=rows.clip(6).video_id, made_by="opt_out:x")])
    found = tables.availability(PROFILE)
    assert found.counts == {"available": 2, "missing": 5, "not_tried": 1}
    assert states(found) == {
        ("a.csv", rows.clip_id(0)): ("available", None, None),
        ("a.csv", rows.clip_id(1)): ("missing", "private", "permanent"),
        ("a.csv", rows.clip_id(2)): ("missing", "bot_check", "host"),
        ("a.csv", rows.clip_id(3)): ("not_tried", None, None),
        ("a.csv", rows.clip_id(4)): ("missing", "lost", "transient"),
        ("a.csv", rows.clip_id(5)): ("available", None, None),  # killed between media and ledger
        ("a.csv", rows.clip_id(6)): ("missing", "opted_out", "policy"),
        ("a.csv", rows.clip_id(7)): ("missing", "opted_out", "policy"),
    }


def test_a_clip_that_came_back_is_available(tables: Tables) -> None:
    merge(tables, "a.csv", 0)
    tables.append([rows.outcome(0, "failed", reason="timeout", stage=STAGE)])
    tables.append([rows.media(0, profile=PROFILE)])
    assert tables.availability(PROFILE).counts["available"] == 1
    tables.append([rows.outcome(0, stage=STAGE)])
    ((state, reason, _),) = states(tables.availability(PROFILE)).values()
    assert (state, reason) == ("available", None)


def test_a_workspace_from_before_there_were_members_is_told_by_what_made_its_clips(tables: Tables) -> None:
    merge(tables, "new.csv", 0)
    tables.append([rows.clip(2, made_by="list:old.csv")])
    found = tables.availability(PROFILE)
    assert {key[0] for key in states(found)} == {"new.csv", "old.csv"}


def test_the_files_say_the_same_and_repeat_byte_for_byte(tables: Tables, tmp_path: Path) -> None:
    merge(tables, "b.csv", 3, 1, split="test")
    merge(tables, "a.csv", 1, 0)
    tables.append([rows.media(1, profile=PROFILE, origin="mirror:copy"), rows.media(3, profile=PROFILE)])
    tables.append([rows.outcome(1, stage=STAGE)])
    tables.append([rows.outcome(0, "rejected", reason="private", message="/secret/path", stage=STAGE)])
    first, second = publish(tmp_path), publish(tmp_path, "again")
    for name in ("availability.parquet", "availability.csv", "availability.html"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert b"secret" not in (first / name).read_bytes()
        assert str(tmp_path).encode() not in (first / name).read_bytes()
    parquet = pq.read_table(first / "availability.parquet").to_pandas()
    assert list(parquet.columns) == COLUMNS
    assert parquet["clip_id"].tolist() == [rows.clip_id(n) for n in (0, 1, 1, 3)]
    assert parquet["list"].tolist() == ["a.csv", "a.csv", "b.csv", "b.csv"]
    assert parquet["origin"].fillna("").tolist() == ["", "mirror:copy", "mirror:copy", "platform"]
    assert parquet["official_id"][0] == "-_000000000_0.000_10.000"
    assert parquet["checked_at"].dropna().str.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").all()
    csv = pd.read_csv(first / "availability.csv")
    for column in COLUMNS:
        assert csv[column].fillna("").astype(str).tolist() == parquet[column].fillna("").astype(str).tolist()


def test_the_counts_are_of_clips_and_not_of_rows(tables: Tables, tmp_path: Path) -> None:
    merge(tables, "a.csv", 0, 1)
    merge(tables, "b.csv", 1, 2)
    tables.append([rows.media(1, profile=PROFILE)])
    made = chain.status(
        RECIPE, chain.Options(workspace=str(tmp_path / "w")), availability=str(tmp_path / "out")
    )
    counts = json.loads(made.model_dump_json())["counts"]
    assert (counts["available"], counts["missing"], counts["not_tried"]) == (1, 0, 2)


class _Page(HTMLParser):
    """What of a page matters: its tags, its text, whether all that opens closes."""

    VOID = frozenset({"meta", "link", "br", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str | None] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_stands_alone_and_tells_each_list_split_and_reason(tables: Tables, tmp_path: Path) -> None:
    merge(tables, "<b>a&b.csv", *range(6), split="test")
    tables.append([rows.media(n, profile=PROFILE) for n in range(3)])
    tables.append([rows.outcome(3, "rejected", reason="private", stage=STAGE)])
    text = (publish(tmp_path) / "availability.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []
    assert page.addresses == ["#main"]  # nothing is loaded from anywhere
    assert "url(" not in text
    assert "@import" not in text
    assert "script" not in page.tags
    assert {"header", "main", "footer", "caption", "h1"} <= set(page.tags)
    assert page.tags.count("caption") == page.tags.count("table") == 2
    assert 'lang="en"' in text
    assert "<b>a&b.csv, test" in page.text
    assert "3 of 6 clips (50.0 %)" in page.text
    assert "private" in page.text
    assert "gone, or closed for good" in page.text
    assert "tiny" in page.text


def test_no_list_is_told_with_the_mend(tables: Tables, tmp_path: Path) -> None:
    tables.append([OptOut(scope="video", value="x", made_by="opt_out:x")])
    with pytest.raises(UserError, match="run 'valor-data fetch' first"):
        chain.status(RECIPE, chain.Options(workspace=str(tmp_path / "w")), availability=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
