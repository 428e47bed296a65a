"""A release without media, from which somebody else fetches the clips again."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Finished, Served, report, write_recipe


@pytest.mark.slow
def test_clips_come_back_from_a_release_without_media(
    served: Served, finished: Finished, tmp_path: Path
) -> None:
    shutil.copytree(finished.workspace, tmp_path / "workspace")
    recipe = write_recipe(tmp_path, served.listed, shard=['payload = "ids"'], release=['version = "0.2.0"'])
    made = report("shard", str(recipe))
    release = tmp_path / "workspace" / made["outputs"][0]
    assert not list(release.rglob("*.tar"))
    assert report("release", "verify", str(release), "--deep")["ok"]
    told = report("release", "diff", str(finished.release), str(release))
    assert told["changes"] == []
    again = write_recipe(tmp_path / "again", release / "catalog.parquet")
    fetched = report("fetch", str(again))
    rows = pq.read_table(release / "catalog.parquet").to_pylist()
    assert fetched["counts"]["listed"] == fetched["counts"]["fetched"] == len(rows)
    known = report(
        "catalog", "sql", "select clip_id, text, split from captions join splits using (clip_id)",
        "--workspace", str(tmp_path / "again" / "workspace"),
    )  # fmt: skip
    assert {(one["clip_id"], one["text"], one["split"]) for one in known} == {
        (row["clip_id"], caption["text"], row["split"]) for row in rows for caption in row["captions"]
    }
