"""The one loop: tasks from the stage to the engine, answers to the tables."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from valor_data import __version__
from valor_data.errors import ItemError, Reason, RetryableError, UserError, without_secrets
from valor_data.politeness import Hosts
from valor_data.records import Outcome, Status
from valor_data.runner.engines import Engine, InlineEngine, Job, LocalEngine
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.progress import Progress
from valor_data.runner.ray_engine import RayEngine
from valor_data.runner.schedule import Call, Schedule
from valor_data.runner.stage import Done, Interrupted, Stage, Tally, Task
from valor_data.runner.worker import Ended, Stop

if TYPE_CHECKING:
    from valor_data.workspace import Workspace

Open = Callable[[Stage[Any, Any], int | None, Interrupts, "Workspace"], AbstractContextManager[Engine]]
ENGINES: dict[str, Open] = {"inline": InlineEngine, "local": LocalEngine, "ray": RayEngine}
"""Every engine by its name on the command line."""
BATCH_CLIPS = 256
BATCH_SECONDS = 10.0
"""Results are saved by so many, or when the oldest is so old: what a crash can cost."""
_MOST_MESSAGE = 2000
_MOST_UNKNOWN = 10


def run_stage(
    stage: Stage[Any, Any],
    workspace: "Workspace",
    *,
    engine: str,
    workers: int | None,
    limit: int | None,
    progress: bool,
    hosts: Hosts | None = None,
) -> Tally:
    """Do what `stage` finds missing in `workspace`; every clip that leaves it gets a ledger row.

    At most `limit` clips. `hosts` keeps the pace of the hosts that tasks bother; a host that blocks us
    is asked nothing more, and `Tally.stopped` says so. Raises Interrupted on Ctrl-C or SIGTERM, and the
    UserError or FatalError that a worker or a save raised; what was finished by then is saved, and no
    process remains.
    """
    if engine not in ENGINES:
        raise UserError(f"unknown engine {engine!r}; known: {', '.join(sorted(ENGINES))}")
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: give at least 1")
    workspace.require_lock()
    started = time.monotonic()
    tally = Tally()
    try:
        with Interrupts() as interrupts:
            with interrupts.allowed():
                total, tasks = stage.todo(workspace)
            total = total if limit is None else min(total, limit)
            with (
                Progress(stage.name, total, shown=progress) as shown,
                ENGINES[engine](stage, workers, interrupts, workspace) as pool,
            ):
                schedule = Schedule(stage, _first(tasks, limit), hosts or Hosts(), tally)
                _Run(stage, workspace, pool, interrupts, schedule, tally, shown).loop()
    except KeyboardInterrupt:
        tally.interrupted = True
        tally.seconds = time.monotonic() - started
        raise Interrupted(tally) from None
    tally.seconds = time.monotonic() - started
    return tally


def _first(tasks: Iterator[Task[Any]], limit: int | None) -> Iterator[Task[Any]]:
    if limit is None:
        yield from tasks
        return
    while limit > 0 and (task := next(tasks, None)):
        yield Task(task.items[:limit])
        limit -= len(task.items)


class _Run:
    """The state of one run: what is running and what is not saved yet."""

    def __init__(
        self,
        stage: Stage[Any, Any],
        workspace: "Workspace",
        pool: Engine,
        interrupts: Interrupts,
        schedule: Schedule,
        tally: Tally,
        shown: Progress,
    ) -> None:
        self._stage, self._workspace, self._pool = stage, workspace, pool
        self._interrupts, self._schedule, self._tally, self._shown = interrupts, schedule, tally, shown
        self._running: dict[Job, Call] = {}
        self._values: list[Any] = []
        self._outcomes: list[Outcome] = []
        self._oldest = 0.0

    def loop(self) -> None:
        """Until nothing is left to do. However it ends, what is finished is saved."""
        try:
            while self._feed():
                stop: Stop | None = None
                for job, event in self._pool.wait(self._patience()):
                    if isinstance(event, Stop):
                        stop = event
                    else:
                        self._hear(job, event)
                if stop:
                    raise stop.error
                self._interrupts.check()
                if len(self._outcomes) >= BATCH_CLIPS or self._age() >= BATCH_SECONDS:
                    self._save()
        finally:
            self._save()

    def _feed(self) -> bool:
        """Give the engine what it can take. False: nothing is left to do or to wait for."""
        while self._pool.free:
            with self._interrupts.allowed():
                call = self._schedule.next()
            if call is None:
                break
            self._running[call.job] = call
            self._pool.submit(call.job)
        for clip_id, error, tries in self._schedule.given_up():
            self._record(clip_id, error, tries)
        return bool(self._running) or not self._schedule.empty

    def _patience(self) -> float:
        until = [1.0]
        if self._pool.free:  # else a call that is ready still waits for a worker
            until.append(self._schedule.next_in())
        if self._outcomes:
            until.append(BATCH_SECONDS - self._age())
        return max(0.0, min(until))

    def _hear(self, job: Job, event: Done[Any] | Ended) -> None:
        call = self._running[job]
        if isinstance(event, Done):
            self._settle(call, event)
            return
        del self._running[job]
        if event.error and event.blameless and len(job.items) > 1:
            # One clip killed the call of several; alone, it can only harm itself.
            self._schedule.split(call)
        elif event.error:
            for clip_id in list(call.open):
                self._settle(call, Done(clip_id, error=event.error))
        self._schedule.ended(call)

    def _settle(self, call: Call, done: Done[Any]) -> None:
        item = call.open.pop(done.clip_id)
        if done.left:
            if done.error:
                self._tally.left[done.error.reason.value] += 1
            return
        call.tries[done.clip_id] += 1
        if self._schedule.heard(call, item, done.error):
            return
        if done.value is not None:
            self._values.append(done.value)
        self._record(done.clip_id, done.error, call.tries[done.clip_id])

    def _record(self, clip_id: str, error: ItemError | RetryableError | None, tries: int) -> None:
        message = without_secrets(error.message)[:_MOST_MESSAGE] if error else ""
        match error:
            case None:
                status = Status.OK
                self._tally.ok += 1
            case ItemError():
                status = Status.REJECTED
                self._tally.rejected += 1
            case _:
                status = Status.FAILED
                self._tally.failed += 1
        if error:
            self._tally.reasons[error.reason.value] += 1
            if error.reason is Reason.UNKNOWN and len(self._tally.unknown) < _MOST_UNKNOWN:
                self._tally.unknown.append(f"{clip_id}: {message}")
        self._shown.update(self._tally)
        if not self._outcomes:
            self._oldest = time.monotonic()
        self._outcomes.append(
            Outcome(
                made_by=f"valor-data@{__version__}",
                stage=self._stage.name,
                clip_id=clip_id,
                status=status,
                reason=error.reason if error else None,
                message=message,
                attempts=tries,
            )
        )

    def _age(self) -> float:
        return time.monotonic() - self._oldest if self._outcomes else 0.0

    def _save(self) -> None:
        """Values first, the ledger last: a crash in between costs work, never a clip."""
        values, outcomes = self._values, self._outcomes
        self._values, self._outcomes = [], []
        if outcomes:
            self._workspace.require_lock()
            if values:
                self._stage.save(self._workspace, values)
            self._workspace.tables.append(outcomes)
