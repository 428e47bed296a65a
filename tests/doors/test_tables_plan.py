"""`fetch --dry-run`: what is to do, exactly, and what it will cost; nothing is written."""

from pathlib import Path

import pytest

from tests.fakes import rows
from valor_data import chain, recipe
from valor_data.recipe import Host, Recipe
from valor_data.records import Outcome, Report, Video
from valor_data.stages.listing import list_segments
from valor_data.tables import Tables
from valor_data.workspace import Workspace

VIDEOS = ["aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc", "-2Abohj8VYQ"]


@pytest.fixture
def made(tmp_path: Path) -> Recipe:
    """A recipe on a list of four YouTube videos with two clips each, and one video elsewhere."""
    lines = [f"https://youtu.be/{video},{start},{start + 10}" for video in VIDEOS for start in (0, 30)]
    lines.append("https://media.example.org:8080/a.mp4,0,4.5")
    listed = tmp_path / "list.csv"
    listed.write_text("url,start,end\n" + "\n".join(lines) + "\n")
    (tmp_path / "r.toml").write_text('name = "r"\nworkspace = "w"\n[[segments.lists]]\npath = "list.csv"\n')
    return recipe.load(str(tmp_path / "r.toml"))


def plan(made: Recipe, **options: object) -> Report:
    return chain.fetch(made, chain.Options(dry_run=True, **options))  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ended(tables: Tables, made: Recipe, video: str, status: str, reason: str | None = None) -> None:
    stage = f"fetch/{made.profile}"
    tables.append(
        Outcome.model_validate(
            {"stage": stage, "clip_id": f"{video}_{start}_{start + 10_000}", "status": status,
             "reason": reason, "made_by": "fetch@1"}
        )
        for start in (0, 30_000)
    )  # fmt: skip


def listed(made: Recipe) -> Tables:
    """The tables of the recipe's workspace once its list is read, with nothing fetched."""
    with Workspace.open(made, made.workspace, write=True) as workspace:
        list_segments(workspace)
    return Tables.open(str(made.workspace))


def test_without_a_workspace_everything_is_to_do_and_none_is_made(made: Recipe, tmp_path: Path) -> None:
    told = plan(made)
    assert (told.counts["listed"], told.counts["to_fetch"], told.counts["videos"]) == (9, 9, 5)
    assert 0 < told.counts["bytes_to_keep"] < told.counts["bytes_to_read"]
    assert not (tmp_path / "w").exists()
    assert any(line.startswith("youtube.com: 4 videos, 8 clips, about ") for line in told.plan)
    assert any(
        line.startswith("media.example.org:8080: 1 videos, 1 clips, no pace set") for line in told.plan
    )


def test_what_is_done_is_taken_off_exactly_and_the_workspace_stays_as_it_is(made: Recipe) -> None:
    tables = listed(made)
    ended(tables, made, VIDEOS[0], "ok")
    ended(tables, made, VIDEOS[1], "rejected", "private")
    ended(tables, made, VIDEOS[2], "failed", "timeout")
    before = files(Path(str(made.workspace)))
    told = plan(made)
    assert (told.counts["listed"], told.counts["to_fetch"], told.counts["videos"]) == (9, 5, 3)
    assert files(Path(str(made.workspace))) == before


def test_new_rows_of_a_list_and_compacted_tables_count_too(made: Recipe, tmp_path: Path) -> None:
    tables = listed(made)
    for video in VIDEOS[:3]:
        for _ in range(4):
            ended(tables, made, video, "ok")
    tables.compact()
    with (tmp_path / "list.csv").open("a") as file:
        file.write("https://youtu.be/ddddddddddd,0,10\n")
    assert plan(made).counts["to_fetch"] == 4
    assert tables.count("clips") == 9


def test_a_limit_and_a_wish_make_it_less(made: Recipe, tmp_path: Path) -> None:
    assert plan(made, limit=3).counts["videos"] == 2
    (tmp_path / "out.txt").write_text("-2Abohj8VYQ\nchannel:UCx\n")
    closed = made.model_copy(
        update={"rights": made.rights.model_copy(update={"opt_out": (str(tmp_path / "out.txt"),)})}
    )
    assert plan(closed).counts["to_fetch"] == 7
    tables = listed(made)
    facts = {"webpage_url": "u", "extractor": "youtube", "channel_id": "UCx", "made_by": "x"}
    tables.append([Video.model_validate({"video_id": VIDEOS[0], **facts})])
    assert plan(closed).counts["to_fetch"] == 5
    assert tables.count("opt_outs") == 0


def test_hours_follow_the_recipes_pace(made: Recipe) -> None:
    slow = made.model_copy(update={"hosts": (Host(host="youtube.com", videos_per_hour=1),)})
    assert "about 3.0 hours at 1 videos an hour, 8 at a time" in " ".join(plan(slow).plan)


def test_bytes_follow_what_the_workspace_has_seen(made: Recipe) -> None:
    tables = listed(made)
    clip = f"{VIDEOS[0]}_0_10000"
    media = rows.media(0, profile=made.profile, bytes=1_000_000, bytes_read=3_000_000, duration_ms=10_000)
    tables.append([media.model_copy(update={"clip_id": clip})])
    told = plan(made)
    assert told.counts["bytes_to_keep"] == 100 * told.counts["bytes_to_read"] // 300
    assert "as the 1 clips so far" in told.plan[0]


def test_tables_in_an_object_store_are_copied_as_they_are_in_force(tmp_path: Path, s3_root: str) -> None:
    tables = Tables.open(f"{s3_root}/w")
    for number in range(10):
        tables.append([rows.outcome(0, "failed", reason="timeout"), rows.outcome(number + 1)])
    tables.compact()
    tables.append([rows.outcome(0)])
    tables.copy_to(str(tmp_path / "copy"), ("outcomes", "clips"))
    copy = Tables.open(str(tmp_path / "copy"))
    assert list(copy.rows(Outcome)) == list(tables.rows(Outcome))
    assert copy.count("clips") == 0
