"""Real clips of many kinds, served on loopback and sent through fetch and filter."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import report, write_recipe
from tests.fakes.media_server import MediaServer
from valor_data.errors import Reason

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _chain(folder: Path, files: list[Path], root: Path) -> dict[str, dict[str, object]]:
    """Fetch and filter the first ten seconds of each file; the catalog's row of each, by file name."""
    listed = folder / "list.csv"
    with MediaServer(root) as server, listed.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["video_id", "url", "start", "end"])
        names = {f"f{number}": path.name for number, path in enumerate(files)}
        for number, path in enumerate(files):
            writer.writerow([f"f{number}", server.url(str(path.relative_to(root))), 0, 10])
        file.flush()
        recipe = write_recipe(folder, listed, fetch=["clip_seconds_limit = 60.0"])
        report("fetch", str(recipe))
    report("filter", str(recipe))
    rows = report("catalog", "sql", "select * from catalog", "--workspace", str(folder / "workspace"))
    return {names[row["video_id"]]: row for row in rows}


def test_every_odd_file_ends_well(real_data: Path, tmp_path: Path) -> None:
    """A measured clip, or a rejection with a reason of the list and the tool's own words."""
    files = sorted(path for path in (real_data / "odd").iterdir() if path.is_file())
    rows = _chain(tmp_path, files, real_data)
    assert len(rows) == len(files)
    for name, row in sorted(rows.items()):
        print(f"{name:<60} {row['fetch_status']:<9} {row['fetch_reason'] or row['verdict_reason'] or 'kept'}")
        if row["fetch_status"] == "ok":
            assert row["kept"] is not None
            assert row["width"] > 0
        else:
            assert row["fetch_status"] == "rejected", (name, row["fetch_message"])
            assert row["fetch_reason"] in set(Reason) - {Reason.UNKNOWN}, (name, row["fetch_message"])
            assert len(str(row["fetch_message"])) > 10


def test_audible_silent_and_mute_clips_are_told_apart(real_data: Path, tmp_path: Path) -> None:
    audible = sorted((real_data / "clips_av").glob("*"), key=lambda path: path.stat().st_size)[:6]
    pairs = [json.loads(line) for line in (real_data / "valor_pairs.jsonl").read_text().splitlines()]
    captioned = [real_data / str(pair.get("file") or pair.get("path")) for pair in pairs]
    captioned = [path for path in captioned if path.exists() and path not in audible]
    silent = sorted((real_data / "clips_silent").glob("*"))
    mute = sorted((real_data / "clips_noaudio").glob("*"))[:4]
    rows = _chain(tmp_path, [*audible, *captioned, *silent, *mute], real_data)
    assert {rows[path.name]["verdict_reason"] for path in mute} == {"no_audio"}
    assert {rows[path.name]["verdict_reason"] for path in silent} == {"inaudible"}
    for path in [*audible, *captioned]:
        row = rows[path.name]
        assert row["kept"] or row["verdict_reason"] == "too_short", (path.name, row["verdict_detail"])


def test_exact_cuts_are_exact_on_real_clips(real_data: Path, tmp_path: Path) -> None:
    names = ["torchvision__R6llTwEh07w.mp4", "decord__flipping_a_pancake.mkv", "tika__testVideoMp4.mp4"]
    rows = _chain(tmp_path, [real_data / "clips_av" / name for name in names], real_data)
    for name, row in rows.items():
        frame_ms = 1000 / float(str(row["fps"]))
        assert abs(float(str(row["start_error_ms"]))) <= frame_ms, name
        assert abs(float(str(row["av_skew_ms"]))) <= max(20, frame_ms), name
        assert abs(int(str(row["duration_ms"])) - 10_000) <= frame_ms + 30, name


def test_the_demo_takes_a_folder_of_your_own_videos(real_data: Path, tmp_path: Path) -> None:
    from valor_data.demo import story

    media = tmp_path / "my videos"
    media.mkdir()
    for name in ("Diff-Foley__car.mp4", "FoleyCrafter__avsync__1.mp4", "moviepy__chaplin.mp4"):
        shutil.copy(real_data / "clips_av" / name, media / name)
    (media / "Diff-Foley__car.txt").write_text("A drag car races down a strip, its engine roaring.\n")
    story.tell_of(str(media), str(tmp_path / "told"))
    release = tmp_path / "told" / "workspace" / "releases" / "media-0.1.0"
    manifest = json.loads((release / "manifest.json").read_text())
    assert manifest["counts"]["captions"] == 1
    assert manifest["counts"]["without_caption"] == 2
    assert "- Clips without a caption: 2." in (release / "README.md").read_text()
