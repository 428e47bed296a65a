"""SIGKILL between any two writes, and at random; resumed to the same release, with nothing left over."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ENVIRONMENT, Served, report, write_recipe
from valor_data.demo.footage import render_clip
from valor_data.demo.scenes import make_scene, pairs
from valor_data.demo.server import serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe of two short clips, one of them silent."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "media").mkdir()
    rows = ["video_id,url,start,end,caption"]
    with serve(folder / "media") as base_url:
        for number, (visual, sound) in enumerate(pairs()[:2]):
            scene = make_scene(visual, sound if number else None, seed=number, seconds=2.5)
            render_clip(folder / "media" / f"{number}.mp4", scene)
            rows.append(f"clip-{number},{base_url}/{number}.mp4,0,2.5,Clip number {number} is seen.")
        (folder / "list.csv").write_text("\n".join(rows) + "\n")
        yield write_recipe(folder, folder / "list.csv")


def test_a_kill_between_any_two_writes_resumes_to_the_same_release(small: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_run.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(small), str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT},
        timeout=580,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    runs = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(runs) > 15, "the chain writes more often than that"
    assert len({run["digest"] for run in runs}) == 1
    assert {run["kept"] for run in runs} == {1}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if ".tmp-" in path.name or ".progress" in path.parts] == []
    for workspace in tmp_path.iterdir():
        assert len(list((workspace / "clips").rglob("*.mp4"))) == 2


def test_kills_at_random_moments_lose_and_double_nothing(served: Served, tmp_path: Path) -> None:
    """The local pool, workers and all, killed eight times; then one run to the end."""
    recipe = write_recipe(tmp_path, served.listed)
    workspace = tmp_path / "workspace"
    rng = random.Random(7)
    for _ in range(8):
        run = subprocess.Popen(
            [sys.executable, "-m", "valor_data", "run", str(recipe)],
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.5, 6.0))
        run.send_signal(signal.SIGKILL)
        run.wait()
    done = report("run", str(recipe))
    whole = write_recipe(tmp_path / "whole", served.listed)
    assert done["ok"] is True
    report("run", str(whole))
    assert _digest(workspace) == _digest(tmp_path / "whole" / "workspace")
    media = report("catalog", "sql", "select object_key from media", "--workspace", str(workspace))
    objects = {str(path.relative_to(workspace)) for path in (workspace / "clips").rglob("*.mp4")}
    assert {row["object_key"] for row in media} == objects
    assert not [path for path in workspace.rglob("*") if ".tmp-" in path.name]


def _digest(workspace: Path) -> str:
    manifest = workspace / "releases" / "demo-0.1.0" / "manifest.json"
    return str(json.loads(manifest.read_text())["content_sha256"])
