"""Segment lists become clips, splits and captions; the same list again changes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import rows
from valor_data import layout
from valor_data.records import Caption, Clip, Segment, SplitOf
from valor_data.tables import CaptionCounts, MergeCounts, Tables, staging


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables.open(str(tmp_path / "w"))


def merge(
    tables: Tables, *segments: Segment, name: str = "a.csv", author: str = "people", split: str | None = None
) -> MergeCounts:
    with tables.segment_staging() as staged:
        staged.add(segments)
        return staged.merge(name, author, "en", split)


def texts(tables: Tables) -> dict[str, str]:
    return {caption.external_id: caption.text for caption in tables.rows(Caption)}


def test_rows_of_a_clip_become_one(tables: Tables) -> None:
    counts = merge(
        tables,
        rows.segment(1, labels=("Dog", "Bark", "Dog"), captions=(("", "one"), ("", "two"))),
        rows.segment(2),
        rows.segment(
            1, url="other", labels=("Cat", "Bark"), captions=(("", "two"), ("", "three")), split="val"
        ),
    )
    assert counts == MergeCounts(rows=3, clips=2, duplicates=1, new_clips=2, captions=3)
    first, second = tables.rows(Clip)
    assert first.labels == ("Dog", "Bark", "Cat")
    assert first.url == rows.segment(1).url
    assert (first.made_by, second.labels) == ("list:a.csv", ())
    assert [(s.clip_id, s.split, s.made_by) for s in tables.rows(SplitOf)] == [
        (rows.clip_id(1), "val", "list:a.csv")
    ]


def test_captions_without_an_id_are_numbered_in_line_order(tables: Tables) -> None:
    merge(
        tables,
        rows.segment(1, captions=(("", "one"), ("77", "given"), ("", "two"))),
        rows.segment(1, captions=(("", "one"), ("", "three"))),
    )
    assert texts(tables) == {"": "one", "77": "given", "2": "two", "3": "three"}
    for caption in tables.rows(Caption):
        made = layout.caption_id(rows.clip_id(1), "imported", "people", caption.external_id)
        assert caption.caption_id == made
        assert (caption.origin, caption.language, caption.revision) == ("imported", "en", 1)


def test_a_models_captions_are_marked(tables: Tables) -> None:
    merge(tables, rows.segment(1, captions=(("", "one"),)), author="model:tiny")
    (caption,) = tables.rows(Caption)
    assert caption.origin == "model"
    assert caption.caption_id == layout.caption_id(rows.clip_id(1), "model", "model:tiny", "")


def test_the_same_list_again_changes_nothing(tables: Tables, tmp_path: Path) -> None:
    segments = [
        rows.segment(n % 7, labels=(f"l{n}",), captions=(("", f"t{n}"),), split="test", licence="by")
        for n in range(20)
    ]
    merge(tables, *segments)
    before = sorted(path.name for path in (tmp_path / "w").rglob("*.parquet"))
    assert merge(tables, *segments) == MergeCounts(20, 7, 13, 0, 0)
    assert sorted(path.name for path in (tmp_path / "w").rglob("*.parquet")) == before


def test_an_empty_list_is_a_list(tables: Tables) -> None:
    assert merge(tables) == MergeCounts(0, 0, 0, 0, 0)
    assert tables.count("clips") == 0


def test_another_list_adds_labels_and_a_licence_and_mends_the_address(tables: Tables) -> None:
    merge(tables, rows.segment(1, labels=("Dog",)), rows.segment(2, labels=("Cat",)))
    counts = merge(
        tables,
        rows.segment(1, labels=("Bark", "Dog"), url="elsewhere"),
        rows.segment(2, licence="cc-by"),
        rows.segment(3),
        name="b.csv",
    )
    assert counts == MergeCounts(3, 3, 0, 1, 0)
    first, second, third = tables.rows(Clip)
    assert (first.labels, first.url, first.made_by) == (("Dog", "Bark"), "elsewhere", "list:b.csv")
    assert (second.labels, second.licence) == (("Cat",), "cc-by")
    assert third.made_by == "list:b.csv"
    assert merge(tables, rows.segment(2), name="b.csv").new_clips == 0  # says nothing of the licence
    assert [clip.licence for clip in tables.rows(Clip, clip_id=rows.clip_id(2))] == ["cc-by"]


def test_a_lists_split_stands_over_an_assigned_one(tables: Tables) -> None:
    tables.append([SplitOf(clip_id=rows.clip_id(n), split="train", made_by="split@1") for n in (1, 2)])
    merge(tables, rows.segment(1), rows.segment(2, split="test"), split="train")
    assert [(s.split, s.made_by) for s in tables.rows(SplitOf)] == [
        ("train", "list:a.csv"),
        ("test", "list:a.csv"),
    ]
    merge(tables, rows.segment(1), rows.segment(2), name="b.csv")  # says nothing of splits
    assert {s.made_by for s in tables.rows(SplitOf)} == {"list:a.csv"}


def test_a_changed_text_is_a_new_revision(tables: Tables) -> None:
    merge(tables, rows.segment(1, captions=(("7", "old"),)))
    assert merge(tables, rows.segment(1, captions=(("7", "new"),))).captions == 1
    (caption,) = tables.rows(Caption)
    assert (caption.text, caption.revision) == ("new", 2)


def test_a_persons_edit_and_a_deletion_stand_when_the_list_is_read_again(tables: Tables) -> None:
    segment = rows.segment(1, captions=(("1", "as listed"), ("2", "unwanted")))
    merge(tables, segment)
    edited, deleted = sorted(tables.rows(Caption), key=lambda caption: caption.external_id)
    tables.append([edited.model_copy(update={"text": "edited", "revision": 2, "made_by": "annotator"})])
    tables.append([deleted.model_copy(update={"deleted": True, "revision": 2, "made_by": "takedown"})])
    assert merge(tables, segment).captions == 0
    merge(tables, rows.segment(1, captions=(("2", "unwanted, reworded"),)))
    assert {(c.text, c.deleted) for c in tables.rows(Caption)} == {("edited", False), ("unwanted", True)}


def test_captions_alone_go_to_known_clips_only(tables: Tables) -> None:
    merge(tables, rows.segment(1), rows.segment(2))
    with tables.segment_staging() as staged:
        staged.add([rows.segment(1, captions=(("", "known"),), labels=("not taken",), split="test")])
        staged.add([rows.segment(n, captions=(("", "unknown"),)) for n in (5, 5, 6)])
        assert staged.merge_captions("c.csv", "people", "ko") == CaptionCounts(captions=1, unknown_clips=2)
    assert [(c.text, c.language) for c in tables.rows(Caption)] == [("known", "ko")]
    assert tables.count("clips") == 2
    assert tables.count("splits") == 0


def test_a_merge_that_dies_leaves_a_list_that_can_be_read_again(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = [rows.segment(n, captions=(("", f"t{n}"),), split="val") for n in range(5)]
    replace, calls = Path.replace, [0]

    def dies(path: Path, target: str) -> Path:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            merge(tables, *segments)
    merge(tables, *segments)
    assert (tables.count("clips"), tables.count("splits"), tables.count("captions")) == (5, 5, 5)


LINES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.lists(st.sampled_from("abc"), max_size=3),
        st.lists(st.sampled_from(["x", "y", "z"]), max_size=3),
        st.sampled_from([None, "train", "test"]),
    ),
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(LINES, st.integers(1, 3))
def test_merging_is_grouping_whatever_the_bucket(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[int, list[str], list[str], str | None]],
    bucket: int,
) -> None:
    tables = Tables.open(str(tmp_path_factory.mktemp("w")))
    labels: dict[str, dict[str, None]] = {}
    told: dict[str, dict[str, None]] = {}
    splits: dict[str, str] = {}
    segments = []
    for number, words, captions, split in lines:
        pairs = tuple(("", text) for text in captions)
        segments.append(rows.segment(number, labels=tuple(words), captions=pairs, split=split))
        clip = rows.clip_id(number)
        labels.setdefault(clip, {}).update(dict.fromkeys(words))
        told.setdefault(clip, {}).update(dict.fromkeys(captions))
        if split:
            splits.setdefault(clip, split)
    whole, staging._BUCKET = staging._BUCKET, bucket
    try:
        counts = merge(tables, *segments)
        assert counts.clips == counts.new_clips == len(labels)
        assert counts.captions == sum(map(len, told.values()))
        assert {c.clip_id: list(c.labels) for c in tables.rows(Clip)} == {
            k: list(v) for k, v in labels.items()
        }
        assert {s.clip_id: s.split for s in tables.rows(SplitOf)} == splits
        for clip, given_texts in told.items():
            found = {c.external_id or "1": c.text for c in tables.rows(Caption, clip_id=clip)}
            assert [found[key] for key in sorted(found)] == list(given_texts)
        assert merge(tables, *segments)[3:] == (0, 0)
    finally:
        staging._BUCKET = whole


_MANY = """
import sys
from valor_data.records import Segment
from valor_data.tables import Tables

def segments(count):
    for n in range(count):
        video = f"{n * 2654435761 % 2**32:011d}"
        labels = ("Speech", "Music", f"label {n % 500}")
        url = "https://www.youtube.com/watch?v=" + video
        yield Segment(n, f"{video}_30000_40000", "youtube", video, 30000, 40000, url, labels)

tables = Tables.open(sys.argv[1])
for turn in range(2):
    with tables.segment_staging() as staged:
        staged.add(segments(1_000_000))
        print(*staged.merge("balanced.csv", "people", "en", "train"))
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.slow
def test_a_million_rows_in_bounded_memory(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _MANY, str(tmp_path / "w")]
    ran = subprocess.run(words, check=True, capture_output=True, text=True, timeout=280)
    first, again, peak_mb = ran.stdout.splitlines()
    assert first == "1000000 1000000 0 1000000 0"
    assert again == "1000000 1000000 0 0 0"
    assert int(peak_mb) < 600
