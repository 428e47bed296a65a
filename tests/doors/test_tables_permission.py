"""Wishes to opt out and policies on rights: who is left out, and that it is told why."""

import time
from pathlib import Path

import pytest

from tests.fakes import rows
from valor_data.errors import UserError
from valor_data.recipe import Recipe, Rights
from valor_data.records import OptOut, Outcome, Verdict, Video
from valor_data.stages import optout
from valor_data.tables import Tables
from valor_data.workspace import Workspace

VIDEO = "-_000000000"
CHANNEL = "UC0123456789abcdefghijkl"


def video(number: int, **facts: object) -> Video:
    made = {"webpage_url": "u", "extractor": "youtube", "made_by": "yt-dlp", **facts}
    return Video.model_validate({"video_id": rows.clip(number).video_id, **made})


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables.open(str(tmp_path / "w"))


def loaded(tmp_path: Path, *files: str) -> int:
    """What loading these files' text gives, in a workspace with six clips of three videos."""
    paths = []
    for number, text in enumerate(files):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(text)
    recipe = Recipe(name="x", rights=Rights(opt_out=tuple(map(str, paths))))
    with Workspace.open(recipe, str(tmp_path / "w"), write=True) as workspace:
        return optout.load(workspace)


@pytest.mark.parametrize(
    ("line", "scope", "value"),
    [
        ("-2Abohj8VYQ", "video", "-2Abohj8VYQ"),
        ("  -2Abohj8VYQ   # asked by mail", "video", "-2Abohj8VYQ"),
        ("https://www.youtube.com/watch?v=-2Abohj8VYQ&t=3", "video", "-2Abohj8VYQ"),
        ("youtu.be/-2Abohj8VYQ", "video", "-2Abohj8VYQ"),
        ("video:my-own_7", "video", "my-own_7"),
        (CHANNEL, "channel", CHANNEL),
        (f"channel:{CHANNEL}", "channel", CHANNEL),
        ("channel: 4711", "channel", "4711"),
        (f"https://www.youtube.com/channel/{CHANNEL}/videos", "channel", CHANNEL),
        ("video_id\n-2Abohj8VYQ", "video", "-2Abohj8VYQ"),
        (f"Channel_ID,why\n{CHANNEL},asked", "channel", CHANNEL),
        (f'"video_id";"channel_id"\n;"{CHANNEL}"', "channel", CHANNEL),
        ("video_id,channel_id\nmy-own_7,", "video", "my-own_7"),
        ("\n# nobody\n\n-2Abohj8VYQ", "video", "-2Abohj8VYQ"),
    ],
)
def test_a_wish_is_written_in_many_ways(
    tmp_path: Path, tables: Tables, line: str, scope: str, value: str
) -> None:
    loaded(tmp_path, line)
    (row,) = tables.rows(OptOut)
    assert (row.scope, row.value, row.made_by) == (scope, value, "opt_out:0.txt")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-2Abohj8VYQ\nnot an id", "0.txt:2: 'not an id'"),
        ("https://www.youtube.com/@somebody", "channel:<id>"),
        ("#NAME?", "spreadsheet"),
        ("video_id,channel_id\n-2Abohj8VYQ,UCx", "0.txt:2: names both"),
        ("video_id,channel_id\n,,", "neither"),
        (f"video_id\n{CHANNEL}", "is no video"),
        ("https://a b/c", "0.txt:1"),
        ("http://[", "0.txt:1"),
    ],
)
def test_a_bad_line_is_told_and_nothing_is_kept(tmp_path: Path, tables: Tables, text: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        loaded(tmp_path, text)
    assert told in str(caught.value)
    assert list(tables.rows(OptOut)) == []


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    recipe = Recipe(name="x", rights=Rights(opt_out=("nowhere.txt",)))
    with (
        pytest.raises(UserError, match=r"nowhere\.txt: not readable: No such file"),
        Workspace.open(recipe, str(tmp_path / "w"), write=True) as workspace,
    ):
        optout.load(workspace)


def test_an_address_stands_for_the_video_that_a_list_put_there(tmp_path: Path, tables: Tables) -> None:
    url = "https://example.org/a.mp4?x=1"
    tables.append([rows.clip(0, source="url", video_id="own-7", url=url), rows.clip(2)])
    assert loaded(tmp_path, f"{url}#t=10") == 1
    assert "own-7" in {row.value for row in tables.rows(OptOut)}


def test_clips_of_opted_out_videos_are_rejected_with_the_reason_and_not_fetched(
    tmp_path: Path, tables: Tables
) -> None:
    profile = Recipe(name="x").profile
    stage = f"fetch/{profile}"
    tables.append([rows.clip(number) for number in range(6)])
    tables.append([rows.outcome(1, stage=stage)])
    tables.append([video(2, channel_id=CHANNEL), video(4, channel_id="UCother")])
    assert loaded(tmp_path, VIDEO, f"channel:{CHANNEL}") == 4
    told = {row.clip_id: (str(row.reason), row.message, row.attempts) for row in tables.rows(Outcome)}
    channel_told = ("opted_out", f"its channel {CHANNEL} has opted out", 0)
    assert told == {
        rows.clip_id(0): ("opted_out", f"video {VIDEO} has opted out", 0),
        rows.clip_id(1): ("opted_out", f"video {VIDEO} has opted out", 0),
        rows.clip_id(2): channel_told,
        rows.clip_id(3): channel_told,
    }
    assert loaded(tmp_path, VIDEO) == 0  # told once; a line that is gone takes no wish back
    tables.append([rows.clip(2, labels=("new",))])  # nor does a list that changes the clip
    count, videos = tables.unfetched(stage, frozenset())
    assert [clip.clip_id for clips in videos for clip in clips] == [rows.clip_id(4), rows.clip_id(5)]
    assert count == 2
    counts, reasons = tables.funnel(profile, "rules")
    assert (counts["unavailable"], reasons["fetch"]) == (4, {"opted_out": 4})


def test_nothing_of_an_opted_out_video_is_measured_counted_or_released(tables: Tables) -> None:
    tables.append([rows.clip(number) for number in range(4)])
    tables.append([rows.media(number) for number in range(4)])
    tables.append([rows.audio(number) for number in (0, 2)])
    verdicts = [{"clip_id": rows.clip_id(n), "rules_digest": "r", "kept": True} for n in (0, 2)]
    tables.append([Verdict.model_validate({**one, "made_by": "rules@1"}) for one in verdicts])
    tables.append([OptOut(scope="video", value=VIDEO, made_by="opt_out:x")])
    found = tables.releasable(rows.PROFILE, "r", 1, 0, False)
    assert [clip for batch in found for clip in batch["clip_id"].to_pylist()] == [rows.clip_id(2)]
    count, todo = tables.unmeasured(rows.PROFILE, {"audio@2": "audio_measures"}, rows.MEASURE)
    assert (count, [media.clip_id for media, _ in todo]) == (1, [rows.clip_id(3)])
    counts, _ = tables.funnel(rows.PROFILE, "r")
    assert (counts["fetched"], counts["measured"], counts["kept"]) == (2, 1, 1)


def test_a_policy_bars_what_states_no_permission(tables: Tables) -> None:
    tables.append([rows.clip(number) for number in range(8)])
    tables.append([rows.media(number) for number in range(8)])
    tables.append([video(0, licence="CC BY 4.0"), video(2, licence="standard"), video(4, licence="CC BY")])
    tables.append([OptOut(scope="video", value=rows.clip(4).video_id, made_by="opt_out:x")])
    told = tables.barred(Rights(licence="require"), rows.PROFILE).to_pylist()
    assert [(row["clip_id"], row["reason"]) for row in told] == [
        *((rows.clip_id(number), "not_permitted") for number in (2, 3)),
        *((rows.clip_id(number), "opted_out") for number in (4, 5)),
        *((rows.clip_id(number), "not_permitted") for number in (6, 7)),  # nobody was asked
    ]
    assert "'standard'" in told[0]["detail"]
    assert "none stated" in told[-1]["detail"]
    assert tables.barred(Rights(), rows.PROFILE)["clip_id"].to_pylist() == [rows.clip_id(4), rows.clip_id(5)]
    (one,) = tables.barred(Rights(licence="require"), "other", rows.clip_id(2)).to_pylist()
    assert one["reason"] == "not_permitted"
    assert tables.barred(Rights(licence="require"), rows.PROFILE, rows.clip_id(0)).num_rows == 0


def test_signals_are_judged_as_they_were_stated(tables: Tables) -> None:
    tables.append([rows.clip(number) for number in range(6)])
    tables.append([rows.media(number) for number in range(6)])
    tables.append([video(0, signals=("robots.txt: ai-train=no",)), video(2, signals=())])
    (told, _) = tables.barred(Rights(signals="require"), rows.PROFILE).to_pylist()
    assert (told["clip_id"], told["reason"]) == (rows.clip_id(0), "not_permitted")
    assert "robots.txt: ai-train=no" in told["detail"]


def test_who_was_asked_since_is_known(tables: Tables) -> None:
    before_us = time.time_ns() // 1000
    tables.append([video(0)])
    assert tables.asked_since(before_us) == {VIDEO}
    assert tables.asked_since(before_us + 3_600_000_000) == set()
