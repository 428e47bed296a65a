"""The whole chain from outside: every row of the demo's list ends where it should, and stays there."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import webdataset

from tests.e2e.conftest import Finished, Served, report, valor, write_recipe
from valor_data import layout
from valor_data.demo.footage import Row

pytestmark = pytest.mark.slow


def clip_id(row: Row) -> str:
    return layout.clip_id(row.video_id, round(row.start * 1000), round(row.end * 1000))


def contents(folder: Path) -> dict[str, str]:
    """Every file of a release by its digest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_every_row_ends_where_it_should(served: Served, finished: Finished) -> None:
    query = "select clip_id, fetch_status, fetch_reason, kept, verdict_reason, short_ms, caption from catalog"
    found = {
        row["clip_id"]: row for row in report("catalog", "sql", query, "--workspace", str(finished.workspace))
    }
    for row in served.footage.rows:
        clip = found[clip_id(row)]
        if row.expected in ("kept", "short", "duplicate"):
            assert clip["kept"] is True, row
            assert clip["caption"] == row.caption
            assert (clip["short_ms"] > 0) == (row.expected == "short")
        elif row.expected in ("inaudible", "no_audio"):
            assert (clip["kept"], clip["verdict_reason"]) == (False, row.expected), row
        else:
            assert (clip["fetch_status"], clip["fetch_reason"]) == ("rejected", row.expected), row
            assert clip["kept"] is None


def test_the_report_is_the_funnel(served: Served, finished: Finished) -> None:
    rows = served.footage.rows
    expected = [row.expected for row in rows]
    kept = expected.count("kept") + expected.count("short")
    counts = finished.report["counts"]
    assert finished.report["ok"] is True
    assert counts["listed"] == len(rows) - 1
    assert counts["duplicate"] == 1
    assert counts["bad_rows"] == 0
    assert counts["kept"] == counts["released"] == kept
    assert finished.report["reasons"] == {
        reason: expected.count(reason)
        for reason in ("not_found", "corrupt", "past_end", "no_audio", "inaudible")
    }
    status = report("status", str(finished.recipe))
    assert status["counts"]["released"] == status["counts"]["captioned"] == kept


def test_a_second_run_finds_nothing_to_do(finished: Finished, tmp_path: Path) -> None:
    before = contents(finished.release)
    again = report("run", str(finished.recipe))
    assert again["counts"]["failed"] == 0
    assert contents(finished.release) == before
    fetched = report("fetch", str(finished.recipe), "--dry-run")["counts"]
    assert fetched["to_fetch"] == 0


def test_the_release_repeats_byte_for_byte(finished: Finished, served: Served, tmp_path: Path) -> None:
    """From the same list in another folder, with other workers: other run, same bytes."""
    recipe = write_recipe(tmp_path, served.listed)
    report("run", str(recipe), "--workers", "1")
    assert contents(tmp_path / "workspace" / "releases" / "demo-0.1.0") == contents(finished.release)


# webdataset leaves the last shard to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_plain_tools_read_the_release(finished: Finished, served: Served) -> None:
    shards = sorted(str(path) for path in finished.release.glob("*/*.tar"))
    samples = {s["__key__"]: s for s in webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)}
    kept = {clip_id(row): row for row in served.footage.rows if row.expected in ("kept", "short")}
    assert set(samples) == set(kept)
    for key, row in kept.items():
        assert samples[key]["txt"].decode() == row.caption
        assert json.loads(samples[key]["json"])["labels"] == list(row.labels)
        assert samples[key]["mp4"][4:8] == b"ftyp"
    catalog = pd.read_parquet(finished.release / "catalog.parquet")
    assert set(catalog["clip_id"]) == set(kept)
    assert catalog.groupby("video_id")["split"].nunique().max() == 1
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=finished.release, capture_output=True
    )
    assert checked.returncode == 0, checked.stderr


def test_verify_accepts_a_whole_release_and_names_what_is_broken(finished: Finished, tmp_path: Path) -> None:
    assert report("release", "verify", str(finished.release), "--deep")["ok"] is True
    broken = tmp_path / "broken"
    shutil.copytree(finished.release, broken)
    shard = next(broken.glob("train/*.tar"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    told = report("release", "verify", str(broken), code=1)
    assert told["ok"] is False
    assert any(shard.name in line for line in told["warnings"])


def test_a_new_threshold_decodes_nothing(finished: Finished, served: Served, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(finished.workspace, workspace)
    shutil.rmtree(workspace / "clips")
    recipe = write_recipe(tmp_path, served.listed)
    recipe.write_text(recipe.read_text().replace("min = -60.0", "min = -1.0"))
    done = report("filter", str(recipe), "--decide-only")
    assert done["counts"]["kept"] == 0
    assert done["reasons"]["inaudible"] == done["counts"]["measured"] - 1  # the one without audio comes first
    assert any("max_drop_share" in warning for warning in done["warnings"])


def test_explain_tells_all_that_led_to_a_verdict(served: Served, finished: Finished) -> None:
    for expected, line in [("inaudible", "rejected: inaudible"), ("kept", "kept"), ("past_end", "none yet")]:
        row = next(row for row in served.footage.rows if row.expected == expected)
        told = valor("filter", str(finished.recipe), "--explain", clip_id(row))
        assert line in told.splitlines()[-1]
    dashed = next(row for row in served.footage.rows if row.video_id.startswith("-"))
    official = layout.official_id(clip_id(dashed))
    assert clip_id(dashed) in valor("filter", str(finished.recipe), "--explain", official)
    assert "no such clip" in valor("filter", str(finished.recipe), "--explain", "nobody_0_10", code=2)


def test_rows_come_as_table_csv_json_and_parquet(finished: Finished, tmp_path: Path) -> None:
    query = "select split, count(*) as clips from catalog where kept group by split order by split"
    place = ("--workspace", str(finished.workspace))
    rows = report("catalog", "sql", query, *place)
    assert [row["split"] for row in rows] == ["test", "train", "val"]
    csv = valor("catalog", "sql", query, *place, "--csv").splitlines()
    assert csv[0] == "split,clips"
    assert len(csv) == 4
    assert "(3 rows)" in valor("catalog", "sql", query, *place)
    valor("catalog", "sql", query, *place, "--out", "rows.parquet", cwd=tmp_path)
    assert pd.read_parquet(tmp_path / "rows.parquet").to_dict("records") == rows
    assert "SELECT" in valor("catalog", "sql", "drop table clips", *place, code=2)
    assert ".parquet" in valor("catalog", "sql", query, *place, "--out", "rows.xls", code=2)


def test_captions_can_come_later_and_be_mended(served: Served, tmp_path: Path) -> None:
    """A list without captions, a file with captions, then the same file with one text changed."""
    row = served.footage.rows[0]
    (tmp_path / "bare.csv").write_text(
        f"video_id,url,start,end\n{row.video_id},{served.base_url}/{row.file},{row.start},{row.end}\n"
    )
    recipe = write_recipe(tmp_path, tmp_path / "bare.csv")
    report("fetch", str(recipe))
    report("filter", str(recipe))
    assert "caption" in valor("shard", str(recipe), code=2)
    captions = tmp_path / "captions.csv"

    def write(text: str) -> None:
        captions.write_text(
            f"video_id,url,start,end,caption\n{row.video_id},{served.base_url}/{row.file},{row.start},{row.end},{text}\n"
            f"stranger,http://127.0.0.1:1/x.mp4,0,10,A clip that nobody listed.\n"
        )

    write("A shape moves.")
    told = valor("annotate", "import", str(recipe), str(captions), "--language", "klingon!!", code=2)
    assert "captions.csv: key 'language': 'klingon!!' is no ISO 639 code, such as en or pt-BR" in told
    first = report("annotate", "import", str(recipe), str(captions), "--author", "tester")
    assert first["counts"]["new_captions"] == 1
    assert first["counts"]["unknown_clips"] == 1
    write("A shape moves and a sound is heard.")
    report("annotate", "import", str(recipe), str(captions), "--author", "tester")
    found = report(
        "catalog",
        "sql",
        "select text, revision, author from captions",
        "--workspace",
        str(tmp_path / "workspace"),
    )
    assert found == [{"text": "A shape moves and a sound is heard.", "revision": 2, "author": "tester"}]
    both = f'{recipe.read_text()}\n[[segments.lists]]\npath = "{captions}"\n'
    (tmp_path / "both.toml").write_text(both)
    told = report("annotate", "import", str(tmp_path / "both.toml"))  # a list may lack captions
    assert told["counts"]["new_captions"] == 1
    assert report("shard", str(recipe))["counts"]["released"] == 1
