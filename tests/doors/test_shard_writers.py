"""Shards written by several processes: the same bytes, whoever dies."""

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.doors.test_release import PREFIX, clip_id, content, fill, opened, recipe
from valor_data import layout
from valor_data.errors import FatalError
from valor_data.stages.release import verify
from valor_data.stages.shard import write_release

MEDIA = [bytes([number]) * 3_000_000 for number in range(3)]
ONE_EACH = recipe(shard={"samples": 1})
RUN = """
import sys
from tests.doors.test_shard_writers import ONE_EACH
from tests.doors.test_release import opened
from valor_data.stages.shard import write_release
with opened(sys.argv[1], ONE_EACH) as workspace:
    write_release(workspace, progress=False, workers=2)
"""


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process writes."""
    root = tmp_path_factory.mktemp("wanted")
    filled(root)
    with opened(root, ONE_EACH) as workspace:
        write_release(workspace, progress=False, workers=1)
    assert verify(str(root / PREFIX), sample=0).problems == []
    return content(root)


def filled(root: Path) -> Path:
    with opened(root, ONE_EACH) as workspace:
        fill(workspace, MEDIA)
    return root


def left_behind(root: Path) -> list[Path]:
    return [*root.rglob(f"{layout.TEMPORARY}*"), *root.rglob(".progress")]


def test_two_processes_write_what_one_writes(tmp_path: Path, wanted: dict[str, bytes]) -> None:
    with opened(filled(tmp_path), ONE_EACH) as workspace:
        write_release(workspace, progress=False, workers=2)
    assert content(tmp_path) == wanted
    assert not left_behind(tmp_path)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[psutil.Popen]:
    """A release that is being written by two processes, some of its shards finished."""
    run = psutil.Popen([sys.executable, "-c", RUN, str(filled(tmp_path))], cwd=Path(__file__).parents[2])
    until = time.monotonic() + 60
    while not list((tmp_path / PREFIX).glob(".progress/*.json")):
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.002)
    yield run
    if run.poll() is None:
        run.kill()
        run.wait()


def test_a_writer_that_is_killed_is_replaced(
    running: psutil.Popen, tmp_path: Path, wanted: dict[str, bytes]
) -> None:
    writers = [child for child in running.children() if any("worker" in word for word in child.cmdline())]
    assert len(writers) == 2
    writers[0].suspend()  # in the middle of something
    writers[0].kill()
    assert running.wait(60) == 0
    assert content(tmp_path) == wanted
    assert not left_behind(tmp_path)


def test_a_run_that_is_killed_is_taken_up(
    running: psutil.Popen, tmp_path: Path, wanted: dict[str, bytes]
) -> None:
    writers = running.children()
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    _, alive = psutil.wait_procs(writers, timeout=20)
    assert not alive
    whole = {path.stem: path.stat().st_mtime_ns for path in (tmp_path / PREFIX).glob("*/*.tar")}
    assert whole
    assert layout.MANIFEST not in content(tmp_path)
    with opened(tmp_path, ONE_EACH) as workspace:
        write_release(workspace, progress=False, workers=2)
    assert content(tmp_path) == wanted
    assert not left_behind(tmp_path)


def test_what_a_writer_finds_wrong_stops_the_run(tmp_path: Path) -> None:
    with opened(filled(tmp_path), ONE_EACH) as workspace:
        key = layout.object_key(ONE_EACH.profile, clip_id(3, 0))
        right = workspace.store.get_bytes(key)
        workspace.store.put_bytes(key, right[:-1])
        with pytest.raises(FatalError, match=f"{key}: its bytes changed"):
            write_release(workspace, progress=False, workers=2)
    assert layout.MANIFEST not in content(tmp_path)
    assert not list(tmp_path.rglob(f"{layout.TEMPORARY}*"))


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, wanted: dict[str, bytes]) -> None:
    right, written = os.writev, 0

    def until_full(descriptor: int, pieces: list[bytes]) -> int:
        nonlocal written
        written += 1
        if written == 9:
            os.write(descriptor, bytes(1000))
            raise OSError(errno.ENOSPC, "No space left on device")
        return right(descriptor, pieces)

    with opened(filled(tmp_path), ONE_EACH) as workspace:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "writev", until_full)
            with pytest.raises(FatalError, match=r"\.tar: the disk is full; free some space"):
                write_release(workspace, progress=False, workers=1)
        assert not list(tmp_path.rglob(f"{layout.TEMPORARY}*"))
        assert all(
            wanted[f"{path.parent.name}/{path.name}"] == path.read_bytes() for path in shards(tmp_path)
        )
        write_release(workspace, progress=False, workers=1)
    assert content(tmp_path) == wanted


def shards(root: Path) -> list[Path]:
    found = list((root / PREFIX).glob("*/*.tar"))
    assert found
    return found


def test_a_store_in_memory_is_written_by_this_process(tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}"
    with opened(root) as workspace:
        fill(workspace, [b"a", b"b", b"c"])
        made = write_release(workspace, progress=False, workers=2)
    assert made.counts["released"] == 13
    assert verify(f"{root}/{PREFIX}", sample=0).problems == []
