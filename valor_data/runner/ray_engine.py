"""Tasks on a Ray cluster: an actor is a worker, a call is a job, its answers come back as one batch.

The driver hands out all work and writes all tables, as with the local pool; Ray moves bytes, finds
room for workers and tells of those that died. It neither restarts an actor nor repeats a call by
itself, for the ledger counts tries.
"""

import os
import pickle
import re
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from valor_data import layout
from valor_data.errors import FatalError, Reason, RetryableError, UserError
from valor_data.runner import engines, ray_cluster
from valor_data.runner.engines import Job
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.scratch import Scratch, in_own_group
from valor_data.runner.stage import Stage
from valor_data.runner.worker import Do, Ended, Event, Stop, answers, opened, packed

if TYPE_CHECKING:
    from valor_data.workspace import Workspace


class RayWorker:
    """The actor: what a worker process of the local pool is, on whatever machine."""

    def __init__(self) -> None:
        self._scratch = Scratch(apart=True)  # Ray kills the children of what it kills
        self._scratch.guard(in_own_group())
        os.environ["TMPDIR"] = tempfile.tempdir = self._scratch.folder
        self._handles = ExitStack()
        self._do: Do | None = None

    def open(self, stage: bytes, beacon: str | None) -> bytes:
        """Open the stage; no event, or the Stop that ends the run.

        `beacon` is a file in the workspace's folder, where that is one.
        """
        if beacon and not Path(beacon).exists():
            return packed([Stop(UserError(_unseen(str(Path(beacon).parent))))])
        do = opened(stage, self._handles)
        if isinstance(do, Stop):
            return packed([do])
        self._do = do
        return packed([])

    def do(self, items: bytes) -> bytes:
        """The events of one call."""
        assert self._do is not None
        return packed(list(answers(self._do, pickle.loads(items))))

    def close(self) -> None:
        """Close what was opened."""
        self._handles.close()


def _unseen(folder: str) -> str:
    return (
        f"engine 'ray': {socket.gethostname()} does not see the workspace {folder}; name one with "
        "--workspace that all nodes of the cluster reach: a shared folder, or s3://..."
    )


@dataclass(eq=False)
class _Seat:
    """One actor, seen from the driver."""

    actor: Any
    deadline: float
    ready: bool = False
    job: Job | None = None


class RayEngine:
    """Actors, started as jobs need them, one per CPU of the cluster where their number is not given;
    each is killed at its job's time limit."""

    def __init__(
        self,
        stage: Stage[Any, Any],
        workers: int | None,
        interrupts: Interrupts,
        workspace: "Workspace",
    ) -> None:
        self._ray = ray_cluster.load()
        self._stage = engines.packed_stage(stage, "ray")
        self._workers = workers
        self._store = workspace.store
        self._open = ExitStack()
        self._seats: list[_Seat] = []
        self._called: dict[Any, _Seat] = {}  # by the answer that is awaited
        self._jobs: deque[Job] = deque()  # submitted, and no worker has them yet
        self._failed_starts = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack, engines.starting():
            # Ray tells of dead workers on stdout, which belongs to the command's result.
            stack.enter_context(redirect_stdout(sys.stderr))
            stack.enter_context(ray_cluster.joined(self._workers))
            self._beacon = stack.enter_context(self._lit())
            self._most = self._workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            variables = engines.ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._actor = self._ray.remote(RayWorker).options(
                num_cpus=1, max_restarts=0, max_task_retries=0, runtime_env={"env_vars": variables}
            )
            self._open = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            try:
                if kind is None:
                    self._let_go()
            finally:
                for seat in list(self._seats):
                    self._remove(seat)

    @property
    def free(self) -> int:
        return self._most - len(self._jobs) - sum(seat.job is not None for seat in self._seats)

    def submit(self, job: Job) -> None:
        self._jobs.append(job)
        self._hand_out()

    def wait(self, seconds: float) -> list[tuple[Job, Event]]:
        now = time.monotonic()
        deadlines = (seat.deadline for seat in self._called.values())
        until = min([now + min(seconds, engines.WAKE_SECONDS), *deadlines])
        happened: list[tuple[Job, Event]] = []
        for answer in self._answered(max(0.0, until - now)):
            happened += self._hear(self._called.pop(answer), answer)
        now = time.monotonic()
        for seat in list(self._called.values()):
            if now > seat.deadline:
                happened += self._end_late(seat)
        self._hand_out()
        return happened

    def _answered(self, seconds: float) -> list[Any]:
        awaited = list(self._called)
        if not awaited:
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait(awaited, num_returns=1, timeout=seconds)
        if ready and len(awaited) > 1:
            ready, _ = self._ray.wait(awaited, num_returns=len(awaited), timeout=0)
        return list(ready)

    def _hear(self, seat: _Seat, answer: Any) -> list[tuple[Job, Event]]:
        try:
            events: list[Event] = pickle.loads(self._ray.get(answer))
        except self._ray.exceptions.RayError as error:
            return self._mourn(seat, _told(error))
        job, seat.job = seat.job, None
        if job:
            return [(job, event) for event in events]
        seat.ready, self._failed_starts = True, 0
        for event in events:
            assert isinstance(event, Stop)
            raise event.error
        return []

    def _mourn(self, seat: _Seat, why: str) -> list[tuple[Job, Event]]:
        """A worker that died by itself, or with its machine."""
        self._remove(seat)
        if seat.job:
            died = RetryableError(Reason.WORKER_DIED, f"the worker process ended: {why}")
            return [(seat.job, Ended(died, blameless=True))]
        self._count_failed_start(why)
        return []

    def _end_late(self, seat: _Seat) -> list[tuple[Job, Event]]:
        self._remove(seat)
        if seat.job:
            return [(seat.job, engines.late(seat.job))]
        if any(other.ready for other in self._seats):
            self._most = len(self._seats)  # the cluster has no room for more
        else:
            self._count_failed_start(f"not ready in {engines.START_SECONDS:g} s; has the cluster a free CPU?")
        return []

    def _count_failed_start(self, why: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= engines.START_TRIES:
            raise FatalError(f"{engines.START_TRIES} workers in a row could not start: {why}")

    def _hand_out(self) -> None:
        """Jobs to the idle; for what is left over, workers."""
        for seat in self._seats:
            if self._jobs and seat.ready and seat.job is None:
                seat.job = self._jobs.popleft()
                seat.deadline = time.monotonic() + seat.job.seconds
                self._called[seat.actor.do.remote(pickle.dumps(seat.job.items))] = seat
        while len(self._seats) < self._most and len(self._jobs) > sum(not seat.ready for seat in self._seats):
            seat = _Seat(self._actor.remote(), time.monotonic() + engines.START_SECONDS)
            self._seats.append(seat)
            self._called[seat.actor.open.remote(self._stage, self._beacon)] = seat

    def _remove(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        self._called = {answer: other for answer, other in self._called.items() if other is not seat}
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(seat.actor)

    def _let_go(self) -> None:
        """Let the workers, which are all idle now, close what they opened."""
        closing = [seat.actor.close.remote() for seat in self._seats if seat.ready]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=engines.QUIT_SECONDS)

    @contextmanager
    def _lit(self) -> Iterator[str | None]:
        """A file in the workspace's folder by which workers know that it is the same; None for a URL."""
        if not self._store.is_local:
            yield None
            return
        name = layout.temporary_name()  # swept, should it be left behind
        self._store.put_bytes(name, b"")
        try:
            yield str(Path(self._store.root, name))
        finally:
            self._store.delete([name])


def _told(error: Exception) -> str:
    """Ray's explanation without its advice, in one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    detail = re.search(r"exit detail: (.+?)(?: Some common causes|$)", lines[-1])
    return re.sub(r"\x1b\[[\d;]*m", "", detail[1] if detail else lines[-1])
