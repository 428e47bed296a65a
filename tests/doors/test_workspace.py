"""Who may write a workspace, on a disk and in object stores; and runs that are killed and resumed."""

import errno
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fakes.stages import Piece, SplittingStage

from valor_data import workspace as module
from valor_data.errors import FatalError, UserError
from valor_data.recipe import Recipe
from valor_data.records import Outcome, Report, SplitOf
from valor_data.runner import run, run_stage
from valor_data.store import Store
from valor_data.tables import Tables
from valor_data.workspace import Workspace

TESTS = Path(__file__).parents[1]
RECIPE = Recipe(name="trial")


def _write(root: str, *, take_over: bool = False) -> Any:
    return Workspace.open(RECIPE, root, write=True, take_over=take_over)


@pytest.fixture(params=["memory", "s3"])
def remote(request: pytest.FixtureRequest) -> str:
    base = "memory://lock" if request.param == "memory" else request.getfixturevalue("s3_root")
    return f"{base}/{uuid4().hex}"


@pytest.fixture(params=["folder", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "set")
    base = "memory://lock" if request.param == "memory" else request.getfixturevalue("s3_root")
    return f"{base}/{uuid4().hex}"


def test_one_writer_at_a_time_and_any_number_of_readers(root: str) -> None:
    with _write(root) as first:
        told = rf"process {os.getpid()} on .+ \(since .+ UTC\) is writing there; wait"
        with pytest.raises(UserError, match=told), _write(root):
            pass
        with Workspace.open(RECIPE, root, write=False) as reader:
            assert reader.root == first.root
            with pytest.raises(RuntimeError, match="reading"):
                reader.require_lock()
        first.require_lock()
    with _write(root) as second:
        second.require_lock()


def test_the_next_writer_knows_whether_the_last_one_ended_well(root: str) -> None:
    with _write(root) as workspace:
        assert not workspace.unclean
    with suppress(KeyboardInterrupt), _write(root) as workspace:
        assert not workspace.unclean
        raise KeyboardInterrupt
    with _write(root) as workspace:
        assert workspace.unclean
    with _write(root) as workspace:
        assert not workspace.unclean


def test_store_tables_and_reports_lie_under_the_root(root: str) -> None:
    with _write(root) as workspace:
        workspace.tables.append([SplitOf(clip_id="v_0_9", split="val", made_by="test")])
        key = workspace.save_report(Report(command="catalog build", counts={"rows": 1}))
        assert key == f"runs/{workspace.run_id}-catalog-build.json"
    with Workspace.open(RECIPE, root, write=False) as reader:
        assert reader.tables.count("splits") == 1
        assert json.loads(reader.store.get_bytes(key))["counts"] == {"rows": 1}


def test_the_root_is_the_option_or_else_the_recipes(tmp_path: Path) -> None:
    recipe = Recipe(name="trial", workspace=str(tmp_path / "own"))
    with Workspace.open(recipe, None, write=True) as workspace:
        assert workspace.root == str(tmp_path / "own")
    with Workspace.open(recipe, str(tmp_path / "other"), write=True) as workspace:
        assert workspace.root == str(tmp_path / "other")
    with pytest.raises(UserError, match="--workspace"), Workspace.open(RECIPE, None, write=False):
        pass


def test_a_root_that_cannot_serve_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root, told in {
        str(tmp_path / "no" / "such"): f"mkdir -p {tmp_path / 'no'}",
        str(tmp_path / "file"): "is a file",
        "/proc/valor": "not writable",
        "nonsense://x": "nonsense",
    }.items():
        with pytest.raises(UserError, match=told) as caught, _write(root):
            pass
        assert "\n" not in str(caught.value)
    with (
        pytest.raises(UserError, match="no workspace there"),
        Workspace.open(RECIPE, "/nowhere", write=False),
    ):
        pass


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="has no locks"), _write(str(tmp_path / "set")):
        pass


def test_a_full_disk_is_fatal_and_leaves_the_lock_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(FatalError, match="No space"), _write(str(tmp_path / "set")):
            pass
    with _write(str(tmp_path / "set")) as workspace:
        assert not workspace.unclean


def test_a_lock_that_somebody_removed_stops_the_writer(root: str) -> None:
    with suppress(FatalError), _write(root) as workspace:
        workspace.store.delete([".lock", "lock.json"])
        with pytest.raises(FatalError, match="removed the lock") as caught:
            workspace.require_lock()
        raise caught.value


def test_a_killed_writer_frees_the_lock_and_leaves_word(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from valor_data.recipe import Recipe
        from valor_data.workspace import Workspace
        with Workspace.open(Recipe(name="trial"), sys.argv[1], write=True):
            print("open", flush=True)
            time.sleep(60)
        """
    )
    root = str(tmp_path / "set")
    with subprocess.Popen([sys.executable, "-c", script, root], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match=f"process {holder.pid} on"), _write(root):
            pass
        holder.kill()
        holder.wait()
    with _write(root) as workspace:
        assert workspace.unclean


def _age(root: str, seconds: float) -> None:
    """Make the lock's last sign of life older."""
    store = Store.open(root)
    content = json.loads(store.get_bytes("lock.json"))
    store.put_bytes("lock.json", json.dumps({**content, "beat": time.time() - seconds}).encode())


def test_a_silent_remote_writer_may_be_taken_over_and_then_stops(remote: str) -> None:
    with suppress(FatalError), _write(remote) as first:
        with pytest.raises(UserError, match=r"try again in (5\d|60) s"), _write(remote, take_over=True):
            pass
        _age(remote, 75)
        with pytest.raises(UserError, match="silent for 75 s; if it is dead, run again with --take-over"):
            _write(remote).__enter__()
        with _write(remote, take_over=True) as second:
            assert second.unclean
            second.require_lock()
            with pytest.raises(FatalError, match="has taken this workspace over") as caught:
                first.require_lock()
            raise caught.value
    with _write(remote) as third:
        assert third.unclean  # both left by an exception


def test_a_remote_writer_gives_signs_of_life(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.05)
    with _write(remote) as workspace:
        _age(remote, 1000)
        end = time.monotonic() + 10
        while time.time() - json.loads(workspace.store.get_bytes("lock.json"))["beat"] > 5:
            assert time.monotonic() < end
            time.sleep(0.02)
    assert not list(Store.open(remote).list(""))


def _groups(videos: int) -> list[list[Piece]]:
    return [[Piece(f"v{v}_{c}_9", ("ok:0.01",)) for c in range(2)] for v in range(videos)]


def test_a_crash_between_rows_and_ledger_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BATCH_CLIPS", 4)
    stage = SplittingStage(str(tmp_path), _groups(6))
    real, batches = Tables.append, []

    def crash(self: Tables, rows: Any) -> int:
        rows = list(rows)
        batches.append(len(rows))
        if isinstance(rows[0], Outcome) and len(batches) == 4:
            raise FatalError("power cut")
        return real(self, rows)

    root = str(tmp_path / "set")
    with monkeypatch.context() as patched:
        patched.setattr(Tables, "append", crash)
        with pytest.raises(FatalError), _write(root) as workspace:
            run_stage(stage, workspace, engine="inline", workers=None, limit=None, progress=False)
    with _write(root) as workspace:
        assert workspace.unclean
        assert (workspace.tables.count("splits"), workspace.tables.count("outcomes")) == (8, 4)
        run_stage(stage, workspace, engine="inline", workers=None, limit=None, progress=False)
        assert (workspace.tables.count("splits"), workspace.tables.count("outcomes")) == (12, 12)


_RUN = textwrap.dedent(
    """
    import sys
    from fakes.stages import Piece, SplittingStage
    from valor_data.recipe import Recipe
    from valor_data.runner import run, run_stage
    from valor_data.workspace import Workspace
    run.BATCH_CLIPS = 8
    folder, root, number = sys.argv[1:]
    groups = [[Piece(f"v{v}_{c}_9", ("ok:0.01",)) for c in range(2)] for v in range(int(number))]
    with Workspace.open(Recipe(name="trial"), root, write=True) as workspace:
        stage = SplittingStage(folder, groups)
        run_stage(stage, workspace, engine="local", workers=2, limit=None, progress=False)
    """
)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_rows(tmp_path: Path) -> None:
    moment, root, videos = random.Random(7), str(tmp_path / "set"), 150
    command = [sys.executable, "-c", _RUN, str(tmp_path), root, str(videos)]
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    kills = 0
    while True:
        child = subprocess.Popen(command, env=environment)
        try:
            # Longer each time, so that a slow machine gets to the end too.
            assert child.wait(moment.uniform(0.5, 1.0) * (1 + kills / 8)) == 0
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
    assert kills >= 3
    expected = {piece.clip_id for group in _groups(videos) for piece in group}
    tables = Tables.open(root)
    assert {row.clip_id for row in tables.rows(SplitOf)} == expected
    assert {row.clip_id for row in tables.rows(Outcome)} == expected
    assert tables.count("splits") == tables.count("outcomes") == len(expected)
