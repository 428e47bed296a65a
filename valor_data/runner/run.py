"""The one loop: tasks from the stage to the engine, answers to the tables."""

import heapq
import random
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from valor_data import __version__
from valor_data.errors import ItemError, Kind, Reason, RetryableError, UserError
from valor_data.records import Outcome, Status
from valor_data.runner.engines import ENGINES, Engine, Job, usable_cores
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.progress import Progress
from valor_data.runner.stage import Done, Interrupted, Stage, Tally, Task
from valor_data.runner.worker import Ended, Stop

if TYPE_CHECKING:
    from valor_data.workspace import Workspace

BATCH_CLIPS = 256
BATCH_SECONDS = 10.0
"""Results are saved by so many, or when the oldest is so old: what a crash can cost."""
BACK_OFF_SECONDS = 1.0
"""Mean wait before the second try; it doubles with each further one."""
_LONGEST_BACK_OFF = 30.0
_MOST_WAITING = 64  # jobs that back off before no new task is drawn
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
) -> Tally:
    """Do what `stage` finds missing in `workspace`; every clip that leaves it gets a ledger row.

    At most `limit` clips. Raises Interrupted on Ctrl-C or SIGTERM, and the UserError or FatalError
    that a worker or a save raised; what was finished by then is saved, and no process remains.
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
                ENGINES[engine](stage, workers or usable_cores(), interrupts) as pool,
            ):
                _Run(stage, workspace, pool, interrupts, _first(tasks, limit), tally, shown).loop()
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


@dataclass
class _Call:
    """One call on some items and what is still open of it."""

    job: Job
    tries: dict[str, int]
    """Tries before this call, over all runs."""
    open: dict[str, Any]
    again: list[Any] = field(default_factory=list)


class _Run:
    """The state of one run: what is running, what backs off, what is not saved yet."""

    def __init__(
        self,
        stage: Stage[Any, Any],
        workspace: "Workspace",
        pool: Engine,
        interrupts: Interrupts,
        fresh: Iterator[Task[Any]],
        tally: Tally,
        shown: Progress,
    ) -> None:
        self._stage, self._workspace, self._pool = stage, workspace, pool
        self._interrupts, self._fresh, self._tally, self._shown = interrupts, fresh, tally, shown
        self._running: dict[Job, _Call] = {}
        self._ready: deque[_Call] = deque()
        self._waiting: list[tuple[float, int, _Call]] = []
        self._ticket = count()
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
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._waiting)[2])
        while self._pool.free and (call := self._next_call()):
            self._running[call.job] = call
            self._pool.submit(call.job)
        return bool(self._running or self._waiting)

    def _next_call(self) -> _Call | None:
        if self._ready:
            return self._ready.popleft()
        if len(self._waiting) >= _MOST_WAITING:
            return None
        with self._interrupts.allowed():
            task = next(self._fresh, None)
        return self._call(task.items, {}) if task else None

    def _call(self, items: Sequence[Any], tries: Mapping[str, int]) -> _Call:
        task = Task(tuple(items))
        job = Job(task.items, self._stage.seconds_limit(task))
        opened = {item.clip_id: item for item in items}
        return _Call(job, {clip_id: tries.get(clip_id, 0) for clip_id in opened}, opened)

    def _patience(self) -> float:
        until = [1.0]
        if self._waiting:
            until.append(self._waiting[0][0] - time.monotonic())
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
            self._ready.extend(self._call([item], call.tries) for item in call.open.values())
        elif event.error:
            for clip_id in list(call.open):
                self._settle(call, Done(clip_id, error=event.error))
        if call.again:
            self._back_off(self._call(call.again, call.tries))

    def _settle(self, call: _Call, done: Done[Any]) -> None:
        item = call.open.pop(done.clip_id)
        call.tries[done.clip_id] += 1
        tries, error = call.tries[done.clip_id], done.error
        if isinstance(error, RetryableError) and tries < self._stage.attempts and _may_pass_soon(error):
            call.again.append(item)
            return
        if error is None and done.value is not None:
            self._values.append(done.value)
        self._record(done.clip_id, error, tries)

    def _back_off(self, call: _Call) -> None:
        mean = min(_LONGEST_BACK_OFF, BACK_OFF_SECONDS * 2 ** (max(call.tries.values()) - 1))
        due = time.monotonic() + mean * random.uniform(0.5, 1.5)
        heapq.heappush(self._waiting, (due, next(self._ticket), call))

    def _record(self, clip_id: str, error: ItemError | RetryableError | None, tries: int) -> None:
        message = _without_secrets(error.message)[:_MOST_MESSAGE] if error else ""
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


def _may_pass_soon(error: RetryableError) -> bool:
    return error.reason.kind not in (Kind.HOST, Kind.LATER)


def _without_secrets(message: str) -> str:
    """The message without user names, passwords and signed parameters of URLs."""
    bare = re.sub(r"(\w+://)[^/\s@'\"]+@", r"\1", message)
    return re.sub(r"(\w+://[^\s?'\"]+\?)(?!v=[\w-]+(?:[\s'\"]|$))[^\s'\"]+", r"\1...", bare)
