"""The pool of worker processes under fire: killed workers, hanging C code, Ctrl-C, a killed parent."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from fakes.memory_tables import MemoryWorkspace
from fakes.stages import Piece, ScriptedStage

from valor_data.errors import FatalError, Reason, UserError
from valor_data.records import Status
from valor_data.runner import Tally, engines, run_stage

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; afterwards it is empty, and no process is left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert psutil.Process().children(recursive=True) == []
    assert list(folder.iterdir()) == []


def _run(stage: Any, workspace: Any, workers: int = 2) -> Tally:
    return run_stage(stage, workspace, engine="local", workers=workers, limit=None, progress=False)


def _stage(folder: Path, *groups: Sequence[Piece], **settings: Any) -> ScriptedStage:
    return ScriptedStage(str(folder), groups, **settings)


def _until(true: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_what_a_stage_leaves_with_a_fault_stays_left_on_its_way_from_a_worker(tmp_path: Path) -> None:
    """Else a broken copy in a mirror would be the clip's last word, and the platform never be asked."""
    workspace = MemoryWorkspace()
    tally = _run(_stage(tmp_path, [Piece("a_0_9"), Piece("b_0_9", ("leave-broken",))]), workspace)
    assert (tally.done, tally.left) == (1, {"corrupt": 1})
    assert list(workspace.ledger) == ["a_0_9"]


def test_all_is_done_in_several_workers_which_are_closed(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    stage = _stage(tmp_path, *[[Piece(f"v{i}_0_9", ("ok:0.05",)), Piece(f"v{i}_9_19")] for i in range(20)])
    tally = _run(stage, workspace)
    assert tally.ok == 40
    assert set(workspace.saved) == set(workspace.ledger)
    workers = [path.name for path in tmp_path.glob("worker-*")]
    assert len(workers) == 2
    assert all(name.endswith("-closed") for name in workers)


def test_no_more_workers_than_work(tmp_path: Path) -> None:
    _run(_stage(tmp_path, [Piece("a_0_9")]), MemoryWorkspace(), workers=8)
    assert len(list(tmp_path.glob("worker-*"))) == 1


@pytest.mark.parametrize(
    ("act", "told"), [("die", "SIGKILL"), ("segfault", "SIGSEGV"), ("exit", "exit status 7")]
)
def test_a_dead_worker_costs_only_the_clip_that_killed_it(tmp_path: Path, act: str, told: str) -> None:
    workspace = MemoryWorkspace()
    group = [Piece("a_0_9"), Piece("poison_0_9", (act,) * 9), Piece("c_0_9"), Piece("d_0_9")]
    tally = _run(_stage(tmp_path, group, [Piece("e_0_9")], attempts=2), workspace)
    assert (tally.ok, tally.failed) == (4, 1)
    row = workspace.ledger["poison_0_9"]
    assert (row.reason, row.attempts) == (Reason.WORKER_DIED, 2)
    assert told in row.message
    assert {row.attempts for clip, row in workspace.ledger.items() if clip != "poison_0_9"} == {1}


def test_a_worker_that_dies_once_is_forgiven(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    _run(_stage(tmp_path, [Piece("a_0_9", ("die", "die"))]), workspace)
    row = workspace.ledger["a_0_9"]
    assert (row.status, row.attempts) == (Status.OK, 3)


def test_a_time_limit_ends_c_code_and_its_child_process(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    group = [Piece("a_0_9"), Piece("hang_0_9", ("hang",) * 9), Piece("c_0_9")]
    started = time.monotonic()
    tally = _run(_stage(tmp_path, group, seconds=1.0, attempts=1), workspace)
    assert time.monotonic() - started < 10
    assert (tally.ok, tally.failed) == (2, 1)
    assert workspace.ledger["hang_0_9"].reason is Reason.TIMEOUT
    assert not _runs(int((tmp_path / "child").read_text()))


def test_the_time_limit_counts_from_the_start_of_the_task(tmp_path: Path) -> None:
    stage = _stage(tmp_path, *[[Piece(f"v{i}_0_9", ("ok:0.4",))] for i in range(6)], seconds=1.0)
    assert _run(stage, MemoryWorkspace(), workers=1).ok == 6


def test_a_call_that_waits_for_a_worker_costs_no_work(tmp_path: Path) -> None:
    """The clips of a call that failed are due at once; while the one worker is busy the parent sleeps."""
    group = [Piece("a_0_9", ("raise", "ok:2")), Piece("b_0_9")]
    before = time.process_time()
    assert _run(_stage(tmp_path, group), MemoryWorkspace(), workers=1).ok == 2
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_workers_killed_at_any_moment_lose_nothing(tmp_path: Path, seed: int) -> None:
    killer = subprocess.Popen([sys.executable, "-c", _KILLER, str(tmp_path), str(seed)])
    try:
        _until((tmp_path / "killer").exists, seconds=60)  # or a busy machine is done before it begins
        workspace = MemoryWorkspace()
        stage = _stage(
            tmp_path,
            *[[Piece(f"v{i}_0_9", ("ok:0.001",)), Piece(f"v{i}_9_19")] for i in range(2000)],
            attempts=50,
        )
        tally = _run(stage, workspace)
    finally:
        killer.kill()
        killer.wait()
    assert tally.ok == 4000 == len(workspace.saved) == len(workspace.ledger)
    assert len(list(tmp_path.glob("worker-*"))) > 3


_KILLER = textwrap.dedent(
    """
    import os, random, sys, time
    from pathlib import Path
    import psutil
    parent, folder, moment = psutil.Process(os.getppid()), Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    Path(folder, "killer").touch()
    for _ in range(6):
        time.sleep(moment.uniform(0.2, 0.5))
        # Those that are open: three killed at their start would rightly end the run.
        workers = [child for child in parent.children() if Path(folder, f"worker-{child.pid}").exists()]
        if workers:
            moment.choice(workers).kill()
    """
)


@pytest.mark.parametrize(("act", "error"), [("user", UserError), ("fatal", FatalError)])
def test_a_stop_in_a_worker_is_raised_in_the_parent(tmp_path: Path, act: str, error: type[Exception]) -> None:
    workspace = MemoryWorkspace()
    groups = [[Piece("a_0_9")], [Piece("b_0_9", (act,))], [Piece("c_0_9", ("ok:60",))]]
    with pytest.raises(error):
        _run(_stage(tmp_path, *groups), workspace, workers=1)
    assert set(workspace.ledger) == set(workspace.saved) == {"a_0_9"}


def test_a_value_that_cannot_travel_is_a_fault_of_its_clip(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    tally = _run(
        _stage(tmp_path, [Piece("a_0_9"), Piece("b_0_9", ("lambda",) * 3), Piece("c_0_9")]), workspace
    )
    assert (tally.ok, tally.failed) == (2, 1)
    assert "pickle" in workspace.ledger["b_0_9"].message


class Unopenable(ScriptedStage):
    """Its worker cannot open."""

    def open_worker(self) -> Any:
        match self.name:
            case "user":
                raise UserError("no ffmpeg; pip install it")
            case "bug":
                raise ZeroDivisionError("a bug")
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("user", UserError, "no ffmpeg"),
        ("bug", FatalError, "cannot start: ZeroDivisionError: a bug"),
        ("killed", FatalError, "3 workers in a row could not start: ended by signal SIGKILL"),
    ],
)
def test_a_worker_that_cannot_open_stops_the_run(
    tmp_path: Path, name: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        _run(Unopenable(str(tmp_path), [[Piece("a_0_9")]], name=name), MemoryWorkspace())


def test_a_worker_that_never_gets_ready_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "START_SECONDS", 0.001)
    with pytest.raises(FatalError, match="not ready"):
        _run(_stage(tmp_path, [Piece("a_0_9")]), MemoryWorkspace())


_SCRIPT = """
import sys, json
from fakes.memory_tables import MemoryWorkspace
from fakes.stages import Piece, ScriptedStage
from valor_data.runner import Interrupted, run_stage
folder, act = sys.argv[1:]
groups = [[Piece("a_0_9"), Piece("b_0_9", (act,))], [Piece("c_0_9", (act,))]]
workspace = MemoryWorkspace()
try:
    run_stage(ScriptedStage(folder, groups), workspace, engine="local", workers=2, limit=None, progress=False)
except Interrupted:
    print(json.dumps(sorted(workspace.ledger)))
    sys.exit(130)
"""  # no `if __name__ == "__main__"`: a plain script serves as well


@pytest.fixture
def script(tmp_path: Path, scratch: Path) -> Iterator[subprocess.Popen[str]]:
    """A run in a process group of its own, whose two workers hang with a child each."""
    environment = os.environ | {"PYTHONPATH": str(TESTS), "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _SCRIPT, str(tmp_path), "hang"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    _until((tmp_path / "c_0_9.tries").exists)
    _until((tmp_path / "b_0_9.tries").exists)
    _until((tmp_path / "child").exists)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_what_is_finished_and_leaves_no_process(
    script: subprocess.Popen[str], number: int
) -> None:
    below = psutil.Process(script.pid).children(recursive=True)
    assert len(below) >= 4  # keeper, workers, children
    os.killpg(script.pid, number)  # as a terminal does: to all of the foreground group
    out, err = script.communicate(timeout=20)
    assert (script.returncode, json.loads(out), err) == (130, ["a_0_9"], "")
    assert [process for process in below if _runs(process.pid)] == []


def test_a_killed_parent_leaves_no_process_and_no_scratch_file(
    script: subprocess.Popen[str], scratch: Path
) -> None:
    below = psutil.Process(script.pid).children(recursive=True)
    assert any(scratch.iterdir())
    script.kill()
    _until(lambda: not any(_runs(process.pid) for process in below))
    _until(lambda: not any(scratch.iterdir()))


def test_a_stage_of_the_running_script_is_refused_with_the_mend(tmp_path: Path) -> None:
    source = "from fakes.stages import ScriptedStage\nclass Mine(ScriptedStage): pass\n" + _SCRIPT.replace(
        "ScriptedStage(folder", "Mine(folder"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path), "ok"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        check=False,
    )
    assert "UserError: engine 'local': workers cannot import Mine" in done.stderr
