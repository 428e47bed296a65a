"""A kill between any two writes, and SIGKILL at random; resumed to the same end, with nothing left over."""

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
from tests.fakes import footage
from tests.fakes.media_server import MediaServer, Weather
from valor_data.scenes import make_scene, pairs, render_clip
from valor_data.tables import Tables

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe of two short clips, one of them silent, on a host where three requests in ten fail."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "media").mkdir()
    rows = ["video_id,url,start,end,caption"]
    with MediaServer(folder / "media") as server:
        server.weather = Weather(share=0.3, seed=3)
        for number, (visual, sound) in enumerate(pairs()[:2]):
            scene = make_scene(visual, sound if number else None, seed=number, seconds=2.5)
            render_clip(folder / "media" / f"{number}.mp4", scene)
            rows.append(f"clip-{number},{server.url(f'{number}.mp4')},0,2.5,Clip number {number} is seen.")
        (folder / "list.csv").write_text("\n".join(rows) + "\n")
        recipe = write_recipe(folder, folder / "list.csv")
        patient = "transient = 8\nfirst_wait_s = 0.01"
        recipe.write_text(recipe.read_text().replace("transient = 2", patient))
        yield recipe


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
    assert len(runs) > 10, "the chain writes more often than that"
    assert len({run["digest"] for run in runs}) == 1
    assert {run["kept"] for run in runs} == {1}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if ".tmp-" in path.name or ".progress" in path.parts] == []
    for workspace in tmp_path.iterdir():
        assert len(list((workspace / "clips").rglob("*.mp4"))) == 2


class Fetching:
    """Fetches of one list, each into a workspace of its own, in processes that may be killed."""

    def __init__(self, recipe: Path, scratch: Path) -> None:
        self.recipe, self.scratch = recipe, scratch
        scratch.mkdir()

    def start(self, workspace: Path) -> subprocess.Popen[bytes]:
        words = ("fetch", str(self.recipe), "--workspace", str(workspace), "--workers", "2")
        return subprocess.Popen(
            [sys.executable, "-m", "valor_data", *words],
            env={**os.environ, **ENVIRONMENT, "TMPDIR": str(self.scratch)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def to_the_end(self, workspace: Path) -> None:
        assert self.start(workspace).wait(timeout=120) == 0


def test_a_fetch_killed_at_twenty_random_moments_ends_as_if_it_never_was(tmp_path: Path) -> None:
    """Every other time its workers are killed with it. A fetch that outran its killer is followed by one
    into a fresh workspace; what was killed is begun anew, as often as it takes."""
    seed = 11
    rng = random.Random(seed)
    media = tmp_path / "media"
    media.mkdir()
    footage.make(media / "clip.mp4", 3, size=(160, 90), muxer=("-movflags", "+faststart"))
    rows = ["video_id,url,start,end"]
    with MediaServer(media) as server:
        for number in range(10):
            os.link(media / "clip.mp4", media / f"{number}.mp4")
            rows.append(f"v{number},{server.url(f'{number}.mp4')},0.5,1.5")
        (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
        recipe = tmp_path / "kill.toml"
        lines = '[[segments.lists]]\npath = "list.csv"\n[retry]\ntransient = 8\nfirst_wait_s = 0.05\n'
        recipe.write_text(f'name = "kill"\n{lines}')
        fetching = Fetching(recipe, tmp_path / "scratch")
        begun = time.monotonic()
        fetching.to_the_end(tmp_path / "whole")
        usual_s = time.monotonic() - begun
        whole = _media(tmp_path / "whole")
        assert len(whole) == 10
        server.weather = Weather(share=0.1, seed=seed)
        workspaces = [tmp_path / "w0"]
        amid_work = 0
        for kill in range(20):
            run = fetching.start(workspaces[-1])
            moment_s = rng.uniform(0.1, 1.05) * usual_s
            print(f"seed {seed}, kill {kill}: after {moment_s:.2f} s of {usual_s:.2f} s")
            try:
                assert run.wait(moment_s) == 0
                workspaces.append(tmp_path / f"w{len(workspaces)}")
            except subprocess.TimeoutExpired:
                (os.killpg if kill % 2 else os.kill)(run.pid, signal.SIGKILL)
                run.wait()
                amid_work += any(workspaces[-1].rglob("*.mp4"))
        assert amid_work > 0
        fetching.to_the_end(workspaces[-1])
    for workspace in workspaces:
        assert _media(workspace) == whole
        query = "select stage, clip_id, count(*) from outcomes group by all having count(*) > 1"
        assert Tables.open(str(workspace)).sql(query).num_rows == 0
        objects = {str(path.relative_to(workspace)) for path in (workspace / "clips").rglob("*.mp4")}
        assert {key for _, key, _ in whole} == objects
        left = [path for path in workspace.rglob("*") if ".tmp-" in path.name or ".progress" in path.parts]
        assert left == []


def _media(workspace: Path) -> list[tuple[str, str, str]]:
    """(clip, object, digest of its bytes) of every row, so that a row that stands twice shows."""
    rows = Tables.open(str(workspace)).sql("select clip_id, object_key, sha256 from media order by all")
    return [(row["clip_id"], row["object_key"], row["sha256"]) for row in rows.to_pylist()]


def test_kills_at_random_moments_lose_and_double_nothing(served: Served, tmp_path: Path) -> None:
    """The local pool, workers and all, killed five times; then one run to the end."""
    recipe = write_recipe(tmp_path, served.listed)
    workspace = tmp_path / "workspace"
    rng = random.Random(7)
    for _ in range(5):
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
