"""What rules ask of the measured clips: current bytes, newest versions, only the columns asked for."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes import rows
from valor_data.records import (
    AvMeasures,
    Leak,
    Neighbour,
    Record,
    SafetyMeasures,
    SpeechMeasures,
    TagMeasures,
    VideoMeasures,
)
from valor_data.tables import Tables


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    made = Tables.open(str(tmp_path / "w"))
    made.append([rows.media(number) for number in range(4)])
    made.append([rows.audio(number) for number in range(3)])
    return made


def column(tables: Tables, metric: str, **more: Any) -> list[object]:
    """A metric of clips 0 to 2, in their order."""
    found = tables.measured(rows.PROFILE, [metric], **more).sort_by("clip_id")
    assert found.column_names == ["clip_id", metric]
    assert found["clip_id"].to_pylist() == [rows.clip_id(number) for number in range(3)]
    values: list[object] = found[metric].to_pylist()
    return values


def of(record: type[Record], number: int, **facts: object) -> Record:
    bare = {"clip_id": rows.clip_id(number), "media_sha256": "0" * 64, "made_by": "test@1"}
    return record.model_validate(bare | facts)


def test_nothing_is_measured_in_a_new_workspace(tmp_path: Path) -> None:
    assert Tables.open(str(tmp_path / "new")).measured(rows.PROFILE, ["loudness_lufs"]).num_rows == 0


def test_the_newest_version_of_the_current_bytes_counts(tables: Tables) -> None:
    tables.append([rows.audio(0, loudness_lufs=-10.0, made_by="audio@10")])
    tables.append([rows.audio(0, loudness_lufs=-9.0, made_by="audio@9")])
    tables.append([rows.audio(1, sha="f", loudness_lufs=-1.0), rows.audio(2, loudness_lufs=None)])
    tables.append([rows.audio(9)])  # no media
    assert column(tables, "loudness_lufs") == [-10.0, -20.0, None]
    tables.append([rows.media(1, sha="f")])
    assert column(tables, "loudness_lufs") == [-10.0, -1.0, None]
    assert tables.measured("exact-00000000", ["loudness_lufs"]).num_rows == 0


def test_what_was_never_measured_is_null(tables: Tables) -> None:
    assert column(tables, "still_share") == [None] * 3
    tables.append([of(VideoMeasures, 0, has_video=True, still_share=0.5)])
    tables.append([of(VideoMeasures, 1, media_sha256="f" * 64, has_video=True, still_share=0.7)])
    assert column(tables, "still_share") == [0.5, None, None]
    assert column(tables, "has_video") == [True, None, None]


def test_every_table_has_its_metrics(tables: Tables) -> None:
    tables.append([of(AvMeasures, 1, start_skew_ms=3.0)])
    tables.append([of(SpeechMeasures, 1, speech_share=0.25)])
    tables.append([of(SafetyMeasures, 1, text_share=0.5)])
    tables.append([rows.audio(1, sound_complaint="it breaks off")])
    for metric, value in [("start_skew_ms", 3.0), ("speech_share", 0.25), ("text_share", 0.5)]:
        assert column(tables, metric) == [None, value, None]
    assert column(tables, "sound_complaint") == [None, "it breaks off", None]
    assert column(tables, "width") == [640] * 3
    assert column(tables, "av_skew_ms") == [None] * 3


def test_a_class_that_is_not_among_the_kept_ones_scores_nothing(tables: Tables) -> None:
    tables.append(
        [of(TagMeasures, 0, tags=("Dog", "Musical 'O'"), tag_scores=(0.5, 0.25)), of(TagMeasures, 1)]
    )
    assert column(tables, "tag.Dog") == [0.5, 0.0, None]
    assert column(tables, "tag.dog") == [0.5, 0.0, None]
    assert column(tables, "tag.Musical 'O'") == [0.25, 0.0, None]
    assert column(tables, "tag.Cat") == [0.0, 0.0, None]


def test_label_agreement_is_the_best_score_of_a_clips_own_labels(tables: Tables) -> None:
    tables.append([rows.clip(0, labels=("cat", "DOG", "Bird")), rows.clip(1), rows.clip(2, labels=("Cat",))])
    tags = {"tags": ("Dog", "Bird"), "tag_scores": (0.5, 0.75)}
    tables.append([of(TagMeasures, 0, **tags), of(TagMeasures, 1, **tags)])
    assert column(tables, "label_agreement") == [0.75, None, None]
    tables.append([of(TagMeasures, 2, **tags)])
    assert column(tables, "label_agreement") == [0.75, None, 0.0]


def test_a_clip_tells_the_group_that_it_stands_in(tables: Tables) -> None:
    def group(number: int, kind: str, first: int, size: int = 2) -> Record:
        return Neighbour.model_validate(
            {
                "clip_id": rows.clip_id(number),
                "kind": kind,
                "representative": rows.clip_id(first),
                "size": size,
                "made_by": "test@1",
            }
        )

    first = rows.clip_id(0)
    assert column(tables, "duplicate") == [None] * 3
    tables.append([group(0, "both", 0), group(1, "both", 0), group(2, "audio", 0)])
    assert column(tables, "duplicate") == [first, first, None]
    assert column(tables, "shares_sound") == [None, None, first]
    assert column(tables, "shares_picture") == [None] * 3
    tables.append([group(1, "both", 1, size=1)])  # it left its group
    assert column(tables, "duplicate") == [first, None, None]


def test_the_strongest_leak_into_the_asked_benchmarks_counts(tables: Tables) -> None:
    def leak(benchmark: str, how: str) -> Record:
        return Leak.model_validate(
            {"clip_id": rows.clip_id(1), "benchmark": benchmark, "how": how, "match": "x", "made_by": "t@1"}
        )

    tables.append([leak("it's", "print"), leak("other", "video"), leak("third", "clip")])
    assert column(tables, "leak", benchmarks=["it's", "other"]) == ["none", "video", "none"]
    assert column(tables, "leak", benchmarks=["it's"]) == ["none", "print", "none"]
    assert column(tables, "leak") == ["none"] * 3
    assert column(tables, "leak.it's") == ["none", "print", "none"]


def test_labels_and_one_clip_can_be_asked_for(tables: Tables) -> None:
    tables.append([rows.clip(0, labels=("old",)), rows.clip(1)])
    tables.append([rows.clip(0, labels=("a", "b"))])
    found = tables.measured(rows.PROFILE, [], labels=True).sort_by("clip_id").to_pylist()
    assert [row["labels"] for row in found] == [["a", "b"], [], []]
    metrics = ["has_audio", "duplicate", "leak", "tag.Dog", "height"]
    (one,) = tables.measured(rows.PROFILE, metrics, clip_id=rows.clip_id(2)).to_pylist()
    assert one == {
        "clip_id": rows.clip_id(2),
        "has_audio": True,
        "duplicate": None,
        "leak": "none",
        "tag.Dog": None,
        "height": 360,
    }
