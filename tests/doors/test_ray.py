"""Workers on a Ray cluster under fire. One cluster, which the engine starts and ends, serves the file."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fakes.memory_tables import MemoryWorkspace
from fakes.stages import Piece, ScriptedStage, SplittingStage

from valor_data.errors import FatalError, Reason, UserError
from valor_data.recipe import Recipe
from valor_data.records import Outcome, SplitOf, Status
from valor_data.runner import Done, Tally, engines, ray_cluster, run_stage
from valor_data.runner.engines import Job
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.ray_engine import RayEngine
from valor_data.store import Store
from valor_data.workspace import Workspace

TESTS = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


class RayWorkspace(MemoryWorkspace):
    """One that all machines reach, unless a test says otherwise."""

    def __init__(self, store: Any = SimpleNamespace(is_local=False)) -> None:  # noqa: B008 (no state)
        super().__init__()
        self.store = store


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster with two CPUs; afterwards no process of it and no file is left."""
    tmp_path_factory.getbasetemp()  # settled before temporary files move
    folder = tempfile.mkdtemp(prefix="vd", dir=f"{os.sep}tmp")  # Ray's sockets want a short one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv("TMPDIR", folder)
        patch.delenv("RAY_ADDRESS", raising=False)
        with ray_cluster.joined(2):
            yield ray_cluster.load().get_runtime_context().gcs_address
            started = psutil.Process().children(recursive=True)
            assert len(started) > 3
        _until(lambda: not any(_runs(process.pid) for process in started))
    with suppress(AssertionError):
        _until(lambda: not any(Path(folder).iterdir()))
    assert sorted(path.name for path in Path(folder).iterdir()) == []
    shutil.rmtree(folder)


def _run(stage: Any, workspace: Any, workers: int | None = 2, engine: str = "ray") -> Tally:
    return run_stage(stage, workspace, engine=engine, workers=workers, limit=None, progress=False)


def _stage(folder: Path, *groups: Sequence[Piece], **settings: Any) -> ScriptedStage:
    return ScriptedStage(str(folder), groups, **settings)


def _until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_every_engine_gives_the_same_tables(tmp_path: Path) -> None:
    scripts = [("ok",), ("empty",), ("reject",), ("retry", "retry"), ("retry",) * 9, ("later",), ("raise",)]
    groups = [[Piece(f"v{g}_{i}_9", scripts[(g + i) % len(scripts)]) for i in range(3)] for g in range(7)]
    found = {}
    for engine in ("inline", "local", "ray"):
        (folder := tmp_path / engine).mkdir()
        with Workspace.open(Recipe(name="same"), str(folder / "workspace"), write=True) as workspace:
            tally = _run(SplittingStage(str(folder), groups), workspace, engine=engine)
            ledger = {
                row.clip_id: (row.status, row.reason, row.attempts) for row in workspace.tables.rows(Outcome)
            }
            values = {row.clip_id for row in workspace.tables.rows(SplitOf)}
            assert workspace.store.sweep_temporary() == 0
        found[engine] = ledger, values, (tally.ok, tally.rejected, tally.failed, tally.reasons)
    assert len(found["ray"][0]) == 21
    assert found["inline"] == found["local"] == found["ray"]


def test_a_worker_killed_in_the_midst_loses_nothing_and_repeats_at_most_its_call(tmp_path: Path) -> None:
    groups = [[Piece(f"v{i}_{j}_9", ("ok:0.03",)) for j in range(3)] for i in range(40)]
    groups[0][0] = Piece("v0_0_9", ("meet:2",))  # both are at work before one dies
    killed: list[Path] = []

    def kill() -> None:
        _until(lambda: len(list(tmp_path.glob("worker-*"))) == 2)
        _until(lambda: len(list(tmp_path.glob("*.tries"))) > 20)
        worker = next(tmp_path.glob("worker-*"))
        os.kill(int(worker.name.split("-")[1]), signal.SIGKILL)
        killed.append(worker)

    killer = threading.Thread(target=kill)
    killer.start()
    with Workspace.open(Recipe(name="killed"), str(tmp_path / "workspace"), write=True) as workspace:
        tally = _run(SplittingStage(str(tmp_path), groups), workspace)
        killer.join()
        outcomes = list(workspace.tables.rows(Outcome))
        values = Counter(row.clip_id for row in workspace.tables.rows(SplitOf))
        written = workspace.tables.sql("select count(*) as rows from outcomes").to_pylist()
    assert killed
    assert killed[0].exists(), "it was closed in order: the kill came too late to show anything"
    assert (tally.ok, len(outcomes), len(values), set(values.values())) == (120, 120, 120, {1})
    assert written == [{"rows": 120}]
    assert {row.status for row in outcomes} == {Status.OK}
    tries = sum(path.stat().st_size for path in tmp_path.glob("*.tries"))
    assert 120 <= tries <= 123


@pytest.mark.parametrize(("act", "told"), [("die", "unexpectedly exits"), ("exit", "exit code 7")])
def test_a_dead_worker_costs_only_the_clip_that_killed_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], act: str, told: str
) -> None:
    workspace = RayWorkspace()
    group = [Piece("a_0_9"), Piece("poison_0_9", (act,) * 9), Piece("c_0_9")]
    tally = _run(_stage(tmp_path, group, [Piece("e_0_9")], attempts=2), workspace)
    assert (tally.ok, tally.failed) == (3, 1)
    row = workspace.ledger["poison_0_9"]
    assert (row.reason, row.attempts) == (Reason.WORKER_DIED, 2)
    assert told in row.message
    assert "\n" not in row.message
    assert len(list(tmp_path.glob("worker-*"))) >= 3  # one for each death: those that died were replaced
    assert capfd.readouterr().out == ""  # stdout belongs to the command's result


def test_a_time_limit_ends_c_code_and_its_child_process(tmp_path: Path) -> None:
    workspace = RayWorkspace()
    group = [Piece("a_0_9"), Piece("hang_0_9", ("hang",) * 9), Piece("c_0_9")]
    tally = _run(_stage(tmp_path, group, seconds=3.0, attempts=1), workspace)
    assert (tally.ok, tally.failed) == (2, 1)
    assert workspace.ledger["hang_0_9"].reason is Reason.TIMEOUT
    child = int((tmp_path / "child").read_text())
    _until(lambda: not _runs(child))


def test_the_wait_for_a_worker_is_no_time_of_the_task(tmp_path: Path) -> None:
    """More workers than the cluster has room for: what they would do, others do."""
    stage = _stage(tmp_path, *[[Piece(f"v{i}_0_9", ("ok:0.7",))] for i in range(8)], seconds=2.0)
    assert _run(stage, RayWorkspace(), workers=4).ok == 8
    assert len(list(tmp_path.glob("worker-*-closed"))) == 2


def test_a_cluster_without_room_for_more_is_no_failed_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third worker finds no CPU while two are at work; one of them takes its job."""
    acts = {"a_0_9": ("ok:3",), "b_0_9": ("ok:3",), "c_0_9": ()}
    jobs = {clip: Job((Piece(clip, act),), 60.0) for clip, act in acts.items()}
    workspace: Any = RayWorkspace()
    with Interrupts() as interrupts, RayEngine(_stage(tmp_path), 3, interrupts, workspace) as engine:
        happened: list[Any] = []
        for clip in ("a_0_9", "b_0_9"):
            engine.submit(jobs[clip])
        while not all((tmp_path / f"{clip}.tries").exists() for clip in ("a_0_9", "b_0_9")):
            happened += engine.wait(0.1)
        monkeypatch.setattr(engines, "START_SECONDS", 0.5)
        assert engine.free == 1
        engine.submit(jobs["c_0_9"])
        while len(happened) < 6:
            happened += engine.wait(0.1)
        assert engine.free == 2
    assert sorted(event.clip_id for _, event in happened if isinstance(event, Done)) == [*acts]


def test_one_worker_a_cpu_and_no_more_than_work(tmp_path: Path) -> None:
    _run(_stage(tmp_path, [Piece("a_0_9")]), RayWorkspace(), workers=None)
    assert [path.name.endswith("-closed") for path in tmp_path.glob("worker-*")] == [True]


def test_a_value_that_cannot_travel_is_a_fault_of_its_clip(tmp_path: Path) -> None:
    workspace = RayWorkspace()
    group = [Piece("a_0_9"), Piece("b_0_9", ("lambda",) * 3)]
    assert (_run(_stage(tmp_path, group), workspace).ok, len(workspace.saved)) == (1, 1)
    assert "pickle" in workspace.ledger["b_0_9"].message


@pytest.mark.parametrize(("act", "error"), [("user", UserError), ("fatal", FatalError)])
def test_a_stop_in_a_worker_is_raised_in_the_driver(tmp_path: Path, act: str, error: type[Exception]) -> None:
    workspace = RayWorkspace()
    groups = [[Piece("a_0_9")], [Piece("b_0_9", (act,))], [Piece("c_0_9", ("ok:60",))]]
    with pytest.raises(error):
        _run(_stage(tmp_path, *groups), workspace, workers=1)
    assert set(workspace.ledger) == set(workspace.saved) == {"a_0_9"}


class Unopenable(ScriptedStage):
    """Its worker cannot open."""

    def open_worker(self) -> Any:
        if self.name == "user":
            raise UserError("no ffmpeg; pip install it")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [("user", UserError, "no ffmpeg"), ("killed", FatalError, "3 workers in a row could not start: .*exits")],
)
def test_a_worker_that_cannot_open_stops_the_run(
    tmp_path: Path, name: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        _run(Unopenable(str(tmp_path), [[Piece("a_0_9")]], name=name), RayWorkspace(), workers=1)


class ElsewhereStore(Store):
    """A folder that other machines do not see: what this one writes there, they lack."""

    def put_bytes(self, key: str, data: bytes) -> None: ...


def test_a_workspace_that_a_worker_does_not_see_is_the_users_error(tmp_path: Path) -> None:
    seen = RayWorkspace(Store.open(str(tmp_path)))
    assert _run(_stage(tmp_path, [Piece("a_0_9")]), seen).ok == 1
    elsewhere = RayWorkspace(ElsewhereStore.open(str(tmp_path)))
    with pytest.raises(UserError, match=r"does not see the workspace .* all nodes of the cluster reach"):
        _run(_stage(tmp_path, [Piece("b_0_9")]), elsewhere)


_SCRIPT = """
import json, sys
from fakes.stages import Piece, ScriptedStage
from doors.test_ray import RayWorkspace
from valor_data.runner import Interrupted, run_stage
groups = [[Piece("a_0_9")], [Piece("b_0_9", ("hang",))]]
workspace = RayWorkspace()
try:
    run_stage(
        ScriptedStage(sys.argv[1], groups), workspace, engine="ray", workers=2, limit=None, progress=False
    )
except Interrupted:
    print(json.dumps(sorted(workspace.ledger)))
    sys.exit(130)
"""


@pytest.fixture
def script(tmp_path: Path, cluster: str) -> Iterator[subprocess.Popen[str]]:
    """A run of another process on the same cluster; one of its workers hangs, with a child."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _SCRIPT, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TESTS), "RAY_ADDRESS": cluster},
        start_new_session=True,
    )
    _until((tmp_path / "child").exists)
    _until((tmp_path / "a_0_9.tries").exists)
    time.sleep(0.5)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_what_is_finished_and_ends_only_its_own(
    script: subprocess.Popen[str], tmp_path: Path, number: int
) -> None:
    os.killpg(script.pid, number)
    out, err = script.communicate(timeout=30)
    assert (script.returncode, json.loads(out), err) == (130, ["a_0_9"], "")
    child = int((tmp_path / "child").read_text())
    _until(lambda: not _runs(child))
    assert ray_cluster.load().cluster_resources()["CPU"] == 2


def test_a_killed_driver_leaves_no_worker(script: subprocess.Popen[str], tmp_path: Path) -> None:
    pids = [int(path.name.split("-")[1]) for path in tmp_path.glob("worker-*")]
    script.kill()
    _until(lambda: not any(_runs(pid) for pid in [*pids, int((tmp_path / "child").read_text())]))


def test_ray_that_is_not_installed_is_told_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'valor-data\[ray\]'"):
        _run(_stage(tmp_path, [Piece("a_0_9")]), RayWorkspace())


def test_the_cluster_of_the_environment_comes_first_and_must_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: str
) -> None:
    left = tmp_path / "ray" / "ray_current_cluster"
    left.parent.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert ray_cluster.address() is None
    left.write_text(cluster)  # as `ray start` does
    assert ray_cluster.address() == cluster
    left.write_text("127.0.0.1:1")  # and it stopped since
    assert ray_cluster.address() is None
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    assert ray_cluster.address() == cluster
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match="nobody answers there"):
        ray_cluster.address()
