"""Where tasks are done: in this process, or in a pool of worker processes.

The pool has one socket per worker, no threads and no locks. (A shared task queue looks simpler, but
a worker that is killed while it holds the queue's lock or is half through a message takes the pool
with it.) Each worker leads a session of its own, so that it and its children (ffmpeg) die together.
"""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Protocol, Self

from valor_data.errors import FatalError, Reason, RetryableError, UserError
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.scratch import Scratch
from valor_data.runner.stage import Done, Work
from valor_data.runner.worker import Do, Ended, Event, Stop, answers

START_SECONDS = 120.0
"""Longest time that a worker may take to import and open what it needs."""
START_TRIES = 3
QUIT_SECONDS = 10.0
WAKE_SECONDS = 0.2
"""How late a Ctrl-C may be noticed."""
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from valor_data.runner.worker import main; main(int(sys.argv[1]))"
)
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(eq=False)
class Job:
    """One call on some items."""

    items: tuple[Any, ...]
    seconds: float
    """Wall-clock limit, from the moment a worker has it."""


class Engine(Protocol):
    """Does jobs; a context manager that leaves no process behind."""

    @property
    def free(self) -> int:
        """How many more jobs it takes now."""

    def submit(self, job: Job) -> None:
        """Begin a job; only while `free`."""

    def wait(self, seconds: float) -> list[tuple[Job, Event]]:
        """What happened; returns within about `seconds`, with nothing when nothing did."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...


class _TimeUp(BaseException):
    """Not an Exception: no library in between shall swallow it."""


class InlineEngine:
    """One job at a time in this process: for tests, debugging and tiny runs.

    The time limit is an alarm signal: it works in the main thread, and not against code that is
    stuck inside a C library.
    """

    def __init__(self, stage: Work, workers: int | None, interrupts: Interrupts, workspace: object) -> None:
        self._stage, self._interrupts = stage, interrupts
        self._worker = ExitStack()
        self._do: Do | None = None
        self._job: Job | None = None
        self._events: Iterator[Event] = iter(())
        self._deadline = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_worker()

    @property
    def free(self) -> int:
        return 0 if self._job else 1

    def submit(self, job: Job) -> None:
        if self._do is None:
            self._do = self._worker.enter_context(self._stage.open_worker())
        self._job, self._events = job, answers(self._do, job.items)
        self._deadline = time.monotonic() + job.seconds

    def wait(self, seconds: float) -> list[tuple[Job, Event]]:
        job = self._job
        if job is None:
            with self._interrupts.allowed():
                time.sleep(seconds)
            return []
        try:
            with self._interrupts.allowed(), _alarm(self._deadline - time.monotonic()):
                event = next(self._events)
        except _TimeUp:
            self._close_worker()  # what was cut off may have left its handles in any state
            event = late(job)
        if not isinstance(event, Done):
            self._job = None
        return [(job, event)]

    def _close_worker(self) -> None:
        self._do, self._events = None, iter(())
        self._worker.close()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _TimeUp inside when the time is over; without effect outside the main thread."""
    if current_thread() is not main_thread():
        yield
        return
    former = signal.signal(signal.SIGALRM, _time_up)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _time_up(number: int, frame: FrameType | None) -> None:
    raise _TimeUp


class _Worker:
    """One worker process, seen from the parent."""

    def __init__(self, stage: bytes, scratch: str) -> None:
        self._scratch = tempfile.mkdtemp(dir=scratch)
        self.socket, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), *sys.path],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # stdout belongs to the command's result
                env=os.environ | ONE_THREAD | {"TMPDIR": self._scratch},
                start_new_session=True,
            )
        self.ready = False
        self.job: Job | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self._send(stage)

    def give(self, job: Job) -> None:
        self.job = job
        if self.ready:
            self.deadline = time.monotonic() + job.seconds
        self._send(pickle.dumps(job.items))

    def hang_up(self) -> None:
        """Ask it to end."""
        self._send(pickle.dumps(None))

    def _send(self, message: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it died: its end of file says so in a moment
            self.socket.send_bytes(message)

    def kill(self) -> int:
        """End it, its children and its temporary files; the exit status."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        self.socket.close()
        shutil.rmtree(self._scratch, ignore_errors=True)  # the keeper tries once more
        return status


class LocalEngine:
    """A pool of worker processes, started as jobs need them; each job is killed at its time limit."""

    def __init__(self, stage: Work, workers: int | None, interrupts: Interrupts, workspace: object) -> None:
        self._stage = packed_stage(stage, "local")
        self._most = workers or usable_cores()
        self._workers: dict[object, _Worker] = {}  # by their sockets
        self._failed_starts = 0

    def __enter__(self) -> Self:
        with starting():
            self._scratch = Scratch()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._let_go()
        finally:
            for worker in list(self._workers.values()):
                self._bury(worker)
            self._scratch.close()

    @property
    def free(self) -> int:
        return self._most - sum(worker.job is not None for worker in self._workers.values())

    def submit(self, job: Job) -> None:
        idle = (worker for worker in self._workers.values() if worker.job is None)
        (next(idle, None) or self._start()).give(job)

    def wait(self, seconds: float) -> list[tuple[Job, Event]]:
        now = time.monotonic()
        busy = [worker for worker in self._workers.values() if worker.job]
        until = min([now + min(seconds, WAKE_SECONDS), *(worker.deadline for worker in busy)])
        happened: list[tuple[Job, Event]] = []
        for socket in wait([worker.socket for worker in self._workers.values()], max(0.0, until - now)):
            happened += self._hear(self._workers[socket])
        now = time.monotonic()
        for worker in busy:
            # An answer that lies in the socket came in time: the parent was busy elsewhere.
            if worker.job and now > worker.deadline and not worker.socket.poll():
                happened += self._end_late(worker)
        return happened

    def _hear(self, worker: _Worker) -> list[tuple[Job, Event]]:
        try:
            events: list[Event] = pickle.loads(worker.socket.recv_bytes())
        except (EOFError, ConnectionResetError):
            return self._mourn(worker)
        job = worker.job
        if not worker.ready:
            worker.ready, self._failed_starts = True, 0
            worker.deadline = time.monotonic() + (job.seconds if job else 0)
        if events and not isinstance(events[-1], Done):
            worker.job = None
        return [(job, event) for event in events] if job else []

    def _mourn(self, worker: _Worker) -> list[tuple[Job, Event]]:
        """A worker that died by itself, or by the kernel's hand for want of memory."""
        job, ready = worker.job, worker.ready
        with suppress(subprocess.TimeoutExpired):
            worker.process.wait(1.0)  # it hung up; let it say how it ended
        status = self._bury(worker)
        ending = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if job is None:
            return []
        if ready:
            died = RetryableError(Reason.WORKER_DIED, f"the worker process ended by {ending}")
            return [(job, Ended(died, blameless=True))]
        return self._start_again(job, f"ended by {ending}")

    def _end_late(self, worker: _Worker) -> list[tuple[Job, Event]]:
        job, ready = worker.job, worker.ready
        self._bury(worker)
        assert job is not None
        return [(job, late(job))] if ready else self._start_again(job, f"not ready in {START_SECONDS:g} s")

    def _start_again(self, job: Job, why: str) -> list[tuple[Job, Event]]:
        self._failed_starts += 1
        if self._failed_starts >= START_TRIES:
            return [(job, Stop(FatalError(f"{START_TRIES} workers in a row could not start: {why}")))]
        self.submit(job)
        return []

    def _start(self) -> _Worker:
        with starting():
            worker = _Worker(self._stage, self._scratch.folder)
        self._workers[worker.socket] = worker
        self._scratch.guard(worker.process.pid)
        return worker

    def _bury(self, worker: _Worker) -> int:
        del self._workers[worker.socket]
        worker.job = None
        status = worker.kill()
        self._scratch.release(worker.process.pid)
        return status

    def _let_go(self) -> None:
        """Let the workers, which are all idle now, close what they opened."""
        for worker in self._workers.values():
            worker.hang_up()
        until = time.monotonic() + QUIT_SECONDS
        for worker in self._workers.values():
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, until - time.monotonic()))


@contextmanager
def starting() -> Iterator[None]:
    """An OSError inside means that no worker can run here."""
    try:
        yield
    except OSError as error:
        raise FatalError(f"a worker process cannot start: {error}") from error


def late(job: Job) -> Ended:
    """The end of a job at its time limit."""
    return Ended(RetryableError(Reason.TIMEOUT, f"no answer within {job.seconds:g} s"), blameless=True)


def packed_stage(stage: Work, engine: str) -> bytes:
    """The stage as it travels to the workers. Raises UserError where they could not import it."""
    if type(stage).__module__ == "__main__":
        raise UserError(
            f"engine {engine!r}: workers cannot import {type(stage).__name__} from the script that runs; "
            "move it into a module of its own, or use the engine 'inline'"
        )
    return pickle.dumps(stage)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
