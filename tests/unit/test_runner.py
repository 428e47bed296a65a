"""The runner's loop with the inline engine and a workspace in memory."""

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.memory_tables import MemoryWorkspace
from fakes.stages import Piece, ScriptedStage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valor_data.errors import FatalError, Reason, UserError
from valor_data.politeness import Hosts
from valor_data.recipe import Host
from valor_data.records import Status
from valor_data.runner import Interrupted, Patience, Tally, run, run_stage, schedule


def _run(stage: Any, workspace: Any, limit: int | None = None) -> Tally:
    return run_stage(stage, workspace, engine="inline", workers=None, limit=limit, progress=False)


def _stage(folder: Path, *groups: Sequence[Piece], **settings: Any) -> ScriptedStage:
    return ScriptedStage(str(folder), groups, **settings)


def _expected(groups: Sequence[Sequence[Piece]], attempts: int) -> dict[str, tuple[Status, int]]:
    """What the ledger shall say, told clip by clip: nothing of queues, batches or processes."""
    expected = {}
    for group in groups:
        calls = [list(group)]
        acts = {piece.clip_id: list(piece.acts) for piece in group}
        tries = Counter[str]()
        while calls:
            call, again = calls.pop(), []
            for index, piece in enumerate(call):
                clip = piece.clip_id
                act = acts[clip].pop(0) if acts[clip] else "ok"
                if act == "raise" and len(call) > 1:
                    calls += [[left] for left in call[index:]]
                    break
                tries[clip] += 1
                if act in ("ok", "empty"):
                    expected[clip] = (Status.OK, tries[clip])
                elif act == "reject":
                    expected[clip] = (Status.REJECTED, tries[clip])
                elif act in ("host", "later") or tries[clip] >= attempts:
                    expected[clip] = (Status.FAILED, tries[clip])
                else:
                    again.append(piece)
            if again:
                calls.append(again)
    return expected


_ACTS = st.lists(st.sampled_from(["ok", "empty", "reject", "retry", "host", "later", "raise"]), max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scripts=st.lists(st.lists(_ACTS, min_size=1, max_size=4), max_size=5), attempts=st.integers(1, 4))
def test_ledger_tally_and_values_agree_with_a_simple_model(
    scripts: list[list[list[str]]], attempts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    groups = [
        [Piece(f"v{g}_{i}_9", tuple(acts)) for i, acts in enumerate(group)] for g, group in enumerate(scripts)
    ]
    workspace = MemoryWorkspace()
    tally = _run(_stage(tmp_path_factory.mktemp("tries"), *groups, attempts=attempts), workspace)

    expected = _expected(groups, attempts)
    found = {clip: (row.status, row.attempts) for clip, row in workspace.ledger.items()}
    assert found == expected
    by_status = Counter(status for status, _ in expected.values())
    assert (tally.ok, tally.rejected, tally.failed) == tuple(by_status[status] for status in Status)
    assert tally.done == len(expected)
    assert tally.reasons == Counter(row.reason.value for row in workspace.ledger.values() if row.reason)
    assert set(workspace.saved) <= {clip for clip, (status, _) in expected.items() if status is Status.OK}


def test_values_are_saved_before_the_ledger_and_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BATCH_CLIPS", 2)
    workspace = MemoryWorkspace()
    seen: list[tuple[int, int]] = []
    stage = _stage(tmp_path, *[[Piece(f"v_{i}_9")] for i in range(5)])
    monkeypatch.setattr(
        ScriptedStage,
        "save",
        lambda self, workspace, values: seen.append((len(values), len(workspace.ledger))),
    )
    _run(stage, workspace)
    assert seen == [(2, 0), (2, 2), (1, 4)]
    assert [len(batch) for batch in workspace.tables.appended] == [2, 2, 1]
    assert workspace.lock_checks == 4


def test_a_crash_between_values_and_ledger_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "BATCH_CLIPS", 2)
    workspace = MemoryWorkspace()
    stage = _stage(tmp_path, *[[Piece(f"v_{i}_9")] for i in range(6)])
    real = workspace.tables.append

    def crash(rows: Any) -> int:
        if len(workspace.tables.appended) == 1:
            raise FatalError("power cut")
        return real(rows)

    monkeypatch.setattr(workspace.tables, "append", crash)
    with pytest.raises(FatalError, match="power cut"):
        _run(stage, workspace)
    assert len(workspace.saved) == 4
    assert len(workspace.ledger) == 2

    monkeypatch.setattr(workspace.tables, "append", real)
    _run(stage, workspace)
    assert set(workspace.saved) == set(workspace.ledger) == {f"v_{i}_9" for i in range(6)}


def test_every_run_has_its_own_tries(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    pieces = [Piece("a_0_9", ("host", "host", "host", "host")), Piece("b_0_9", ("retry",) * 9)]
    stage = _stage(tmp_path, *[[piece] for piece in pieces], attempts=3)
    _run(stage, workspace)
    assert {clip: row.attempts for clip, row in workspace.ledger.items()} == {"a_0_9": 1, "b_0_9": 3}
    _run(stage, workspace)
    assert {clip: row.attempts for clip, row in workspace.ledger.items()} == {"a_0_9": 1, "b_0_9": 3}
    assert (stage.tried("a_0_9"), stage.tried("b_0_9")) == (2, 6)


def test_an_error_that_is_raised_holds_for_all_clips_not_yet_answered(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    group = [Piece("a_0_9"), Piece("b_0_9", ("raise-reject",)), Piece("c_0_9")]
    _run(_stage(tmp_path, group), workspace)
    assert {clip: row.reason for clip, row in workspace.ledger.items()} == {
        "a_0_9": None,
        "b_0_9": Reason.PRIVATE,
        "c_0_9": Reason.PRIVATE,
    }


def test_an_unforeseen_error_is_told_with_type_and_place(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    tally = _run(_stage(tmp_path, [Piece("a_0_9", ("raise",) * 3)]), workspace)
    row = workspace.ledger["a_0_9"]
    assert row.reason is Reason.UNKNOWN
    assert row.message.startswith("ValueError: unforeseen with a_0_9 (stages.py:")
    assert tally.unknown == [f"a_0_9: {row.message}"]
    assert (tally.failed, tally.done) == (1, 1)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("GET https://me:pw@host/x failed", "GET https://host/x failed"),
        ("403 for https://cdn/v?expire=1&sig=AAA, then gave up", "403 for https://cdn/v?... then gave up"),
        ("https://www.youtube.com/watch?v=abc_-123 is private", None),
        ("no URL: what? yes", None),
    ],
)
def test_secrets_of_urls_stay_out_of_the_ledger(tmp_path: Path, message: str, kept: str | None) -> None:
    workspace = MemoryWorkspace()
    stage = _stage(tmp_path, [Piece("a_0_9", (f"block {message}",))], hosts={"a_0_9": "h"})
    tally = _run(stage, workspace)
    assert workspace.ledger["a_0_9"].message == (kept or message)
    assert tally.stopped["h"].message == (kept or message)


def test_a_stage_that_forgets_a_clip_is_told(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    tally = _run(_stage(tmp_path, [Piece("a_0_9", ("silent",) * 3), Piece("b_0_9")]), workspace)
    assert (tally.ok, tally.failed) == (1, 1)
    assert "no answer" in workspace.ledger["a_0_9"].message


@pytest.mark.parametrize(
    ("act", "error"), [("user", UserError), ("fatal", FatalError), ("foreign", FatalError)]
)
def test_a_stop_keeps_what_is_done(tmp_path: Path, act: str, error: type[Exception]) -> None:
    workspace = MemoryWorkspace()
    stage = _stage(tmp_path, [Piece("a_0_9")], [Piece("b_0_9"), Piece("c_0_9", (act,))], [Piece("d_0_9")])
    with pytest.raises(error):
        _run(stage, workspace)
    assert set(workspace.ledger) == set(workspace.saved) == {"a_0_9", "b_0_9"}


def test_a_full_disk_at_save_writes_no_ledger_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, workspace: Any, values: Any) -> None:
        raise FatalError("the disk is full")

    monkeypatch.setattr(ScriptedStage, "save", full)
    workspace = MemoryWorkspace()
    with pytest.raises(FatalError, match="full"):
        _run(_stage(tmp_path, [Piece("a_0_9")]), workspace)
    assert workspace.tables.appended == []


def test_tasks_are_drawn_as_they_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = []
    stage = _stage(tmp_path, *[[Piece(f"v_{i}_9")] for i in range(50)])
    monkeypatch.setattr(run, "BATCH_CLIPS", 1)
    real = ScriptedStage.save

    def save(self: ScriptedStage, workspace: Any, values: Any) -> None:
        real(self, workspace, values)
        ahead.append(self.drawn - len(workspace.saved))

    monkeypatch.setattr(ScriptedStage, "save", save)
    _run(stage, MemoryWorkspace())
    assert max(ahead) <= 1


def test_clips_that_back_off_hold_new_ones_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_MOST_HELD", 3)
    groups = [[Piece(f"v_{i}_9", ("retry",))] for i in range(9)]
    stage = _stage(tmp_path, *groups, patience=Patience(0.2, 0.2))
    workspace = MemoryWorkspace()
    real, drawn = time.sleep, []
    monkeypatch.setattr(time, "sleep", lambda seconds: (drawn.append(stage.drawn), real(seconds)))
    assert _run(stage, workspace).ok == 9
    assert drawn[0] == 3


@pytest.mark.parametrize(("limit", "done"), [(0, 0), (1, 1), (3, 3), (99, 6)])
def test_a_limit_counts_clips_even_inside_a_group(tmp_path: Path, limit: int, done: int) -> None:
    groups = [[Piece(f"{video}_{i}_9") for i in range(2)] for video in "abc"]
    stage = _stage(tmp_path, *groups)
    assert _run(stage, MemoryWorkspace(), limit).done == done
    assert stage.drawn <= done + 1


def test_ctrl_c_in_the_midst_of_work_saves_what_is_finished(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    group = [Piece("a_0_9"), Piece("b_0_9", ("interrupt",)), Piece("c_0_9")]
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        _run(_stage(tmp_path, group), workspace)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert set(workspace.ledger) == set(workspace.saved) == {"a_0_9"}
    assert (caught.value.tally.ok, caught.value.tally.interrupted) == (1, True)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_save_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(run, "BATCH_CLIPS", 1)
    real = ScriptedStage.save

    def save(self: ScriptedStage, workspace: Any, values: Any) -> None:
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        real(self, workspace, values)

    monkeypatch.setattr(ScriptedStage, "save", save)
    workspace = MemoryWorkspace()
    with pytest.raises(Interrupted):
        _run(_stage(tmp_path, [Piece("a_0_9")], [Piece("b_0_9")]), workspace)
    assert set(workspace.ledger) == set(workspace.saved) == {"a_0_9"}


def test_a_time_limit_ends_a_call_and_spares_the_other_clips(tmp_path: Path) -> None:
    workspace = MemoryWorkspace()
    group = [Piece("a_0_9"), Piece("b_0_9", ("ok:30",) * 9), Piece("c_0_9")]
    tally = _run(_stage(tmp_path, group, seconds=0.1, attempts=2), workspace)
    assert workspace.ledger["b_0_9"].reason is Reason.TIMEOUT
    assert workspace.ledger["b_0_9"].attempts == 2
    assert (tally.ok, tally.failed) == (2, 1)


def test_workers_are_closed(tmp_path: Path) -> None:
    _run(_stage(tmp_path, [Piece("a_0_9")]), MemoryWorkspace())
    assert [path.name for path in tmp_path.glob("worker-*")] == [f"worker-{os.getpid()}-closed"]


def test_without_a_terminal_progress_is_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("valor_data.runner.progress.LINE_SECONDS", 0.0)
    stage = _stage(tmp_path, [Piece("a_0_9")], [Piece("b_0_9", ("reject",))])
    run_stage(stage, MemoryWorkspace(), engine="inline", workers=None, limit=None, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scripted: 2 of 2 clips (1 ok, 1 rejected, 0 failed)" in err.splitlines()[-1]


@pytest.mark.parametrize(("engine", "workers"), [("rey", None), ("inline", 0)])
def test_wrong_options_are_the_users_error(tmp_path: Path, engine: str, workers: int | None) -> None:
    with pytest.raises(UserError):
        run_stage(
            _stage(tmp_path), MemoryWorkspace(), engine=engine, workers=workers, limit=None, progress=False
        )


def test_nothing_to_do_is_done_at_once(tmp_path: Path) -> None:
    assert _run(_stage(tmp_path), MemoryWorkspace()).done == 0


# Hosts


def test_a_host_that_blocks_is_left_alone_and_the_others_are_served(tmp_path: Path) -> None:
    """The clip that met the block is recorded; what was not asked for has no row and comes next time."""
    bad = [[Piece(f"bad{i}_0_9", ("host",) if i == 1 else ())] for i in range(6)]
    good = [[Piece(f"good{i}_0_9")] for i in range(6)]
    groups = [group for pair in zip(bad, good, strict=True) for group in pair]
    hosts = {piece.clip_id: piece.clip_id.split("_")[0].rstrip("0123456789") for (piece,) in groups}
    stage = _stage(tmp_path, *groups, hosts=hosts)
    workspace = MemoryWorkspace()
    tally = _run(stage, workspace)
    assert tally.stopped["bad"].reason is Reason.BOT_CHECK
    assert tally.untried == {"bad": 4}
    assert (tally.ok, tally.failed) == (7, 1)
    assert {clip for clip, row in workspace.ledger.items() if row.status is Status.FAILED} == {"bad1_0_9"}
    assert _run(_stage(tmp_path, *groups, hosts=hosts), workspace).ok == 5


def test_a_rest_that_a_host_asks_for_is_honoured(tmp_path: Path) -> None:
    stage = _stage(
        tmp_path, [Piece("a_0_9", ("slow:0.4",))], [Piece("b_0_9")],
        hosts={"a_0_9": "h", "b_0_9": "h"}, host_tries=2,
    )  # fmt: skip
    begun = time.monotonic()
    assert _run(stage, MemoryWorkspace()).ok == 2
    assert time.monotonic() - begun >= 0.4


def test_a_slow_host_does_not_hold_up_another(tmp_path: Path) -> None:
    """With one connection and a rest of seconds the second clip of `slow` waits; `fast` does not."""
    groups = [[Piece(name)] for name in ("slow1_0_9", "slow2_0_9", "fast1_0_9", "fast2_0_9")]
    hosts = {piece.clip_id: piece.clip_id[:4] for (piece,) in groups}
    stage = _stage(tmp_path, *groups, hosts=hosts)
    workspace = MemoryWorkspace()
    pace = Hosts((Host(host="slow", sleep_s=(0.3, 0.3)),))
    run_stage(stage, workspace, engine="inline", workers=None, limit=None, progress=False, hosts=pace)
    assert list(workspace.ledger)[-1] == "slow2_0_9"
    assert len(workspace.ledger) == 4


def test_a_video_of_many_clips_is_one_visit_to_its_host(tmp_path: Path) -> None:
    """Forty clips without a word of why are a wall only where they are forty videos."""
    clips = [Piece(f"v_{i}_99", ("raise-forbidden",)) for i in range(40)]
    together = _stage(tmp_path, clips, hosts={clip.clip_id: "h" for clip in clips}, attempts=1)
    assert _run(together, MemoryWorkspace()).stopped == {}
    (tmp_path / "apart").mkdir()
    apart = _stage(
        tmp_path / "apart",
        *[[clip] for clip in clips],
        hosts={clip.clip_id: "h" for clip in clips},
        attempts=1,
    )
    tally = _run(apart, MemoryWorkspace())
    assert tally.stopped["h"].reason is Reason.FORBIDDEN
    assert (tally.failed, tally.untried["h"]) == (30, 10)


def test_a_rest_is_no_time_of_the_task(tmp_path: Path) -> None:
    groups = [[Piece(f"v{i}_0_9")] for i in range(3)]
    hosts = {piece.clip_id: "h" for (piece,) in groups}
    stage = _stage(tmp_path, *groups, hosts=hosts, seconds=0.3)
    pace = Hosts((Host(host="h", sleep_s=(0.5, 0.5)),))
    tally = run_stage(
        stage, MemoryWorkspace(), engine="inline", workers=None, limit=None, progress=False, hosts=pace
    )
    assert tally.ok == 3


def test_what_a_refused_clip_found_out_is_kept(tmp_path: Path) -> None:
    stage = _stage(tmp_path, [Piece("a_0_9", ("reject-with-value",))])
    workspace = MemoryWorkspace()
    assert _run(stage, workspace).rejected == 1
    assert list(workspace.saved) == ["a_0_9"]


def test_what_a_stage_leaves_has_no_row(tmp_path: Path) -> None:
    pieces = [Piece("a_0_9", ("leave",)), Piece("b_0_9"), Piece("c_0_9", ("leave-broken",))]
    stage = _stage(tmp_path, pieces)
    workspace = MemoryWorkspace()
    tally = _run(stage, workspace)
    assert (tally.done, tally.left) == (1, {"corrupt": 1})
    assert list(workspace.ledger) == ["b_0_9"]
