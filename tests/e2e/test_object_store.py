"""The same chain with its workspace in an object store on loopback: same commands, same release."""

import json

import fsspec
import pytest

from tests.e2e.conftest import Finished, Served, report, valor

pytestmark = pytest.mark.slow


def test_the_chain_runs_in_an_object_store(served: Served, finished: Finished, s3_root: str) -> None:
    workspace = f"{s3_root}/demo"
    place = ("--workspace", workspace)
    done = report("run", str(finished.recipe), *place)
    assert done["counts"] | {"new": 0} == finished.report["counts"] | {"new": 0}
    filesystem = fsspec.filesystem("s3")
    remote = json.loads(filesystem.cat_file(f"{workspace}/releases/demo-0.1.0/manifest.json"))
    local = json.loads((finished.release / "manifest.json").read_text())
    assert remote == local
    assert report("release", "verify", f"{workspace}/releases/demo-0.1.0", "--deep")["ok"] is True
    rows = report("catalog", "sql", "select count(*) as clips from catalog where kept", *place)
    assert rows == [{"clips": done["counts"]["kept"]}]
    assert report("fetch", str(finished.recipe), *place)["counts"]["new"] == 0
    left = [key for key in filesystem.find(workspace) if "lock" in key]
    assert [key for key in left if not key.endswith("/valor.lock")] == []  # that one is part of the release


def test_a_bucket_that_is_not_there_is_the_users_mistake(finished: Finished, s3_root: str) -> None:
    told = valor("fetch", str(finished.recipe), "--workspace", "s3://no-such-bucket/x", code=2)
    assert "bucket" in told
