"""What the runner costs per task, beside bare process pools, and who survives a killed worker.

    python benchmarks/runner_overhead.py

Rows: wall milliseconds per task beyond the ideal (task length / workers), start-up left out, for tasks
of nothing and of 50 ms; the last column is how many of 6 runs gave every answer although one worker
was killed at a random moment. `valor-data` includes retries, time limit, batches and ledger rows.
"""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import pebble
import psutil

from valor_data.errors import Reason
from valor_data.runner import Done, Patience, Task, run_stage

WORKERS = 2
SPAWN = multiprocessing.get_context("spawn")
ROUNDS = 6


class Nap(NamedTuple):
    """A task that sleeps."""

    clip_id: str
    seconds: float


def work(nap: Nap) -> str:
    """Do it."""
    if nap.seconds:
        time.sleep(nap.seconds)
    return nap.clip_id


_PATIENCE = Patience()


@dataclass
class Naps:
    """The naps as a stage."""

    naps: Sequence[Nap]
    name: str = "naps"
    patience: Patience = _PATIENCE

    def tries(self, reason: Reason) -> int:
        return 3

    def host(self, task: Task[Nap]) -> None:
        """Naps bother nobody."""

    def __getstate__(self) -> dict[str, Any]:
        return {"naps": ()}  # as in a real stage, the tasks do not travel with it

    def seconds_limit(self, task: Task[Nap]) -> float:
        return 60.0

    def todo(self, workspace: Any) -> tuple[int, Iterator[Task[Nap]]]:
        return len(self.naps), (Task((nap,)) for nap in self.naps)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Nap]], Iterator[Done[str]]]]:
        yield lambda items: (Done(nap.clip_id, work(nap)) for nap in items)

    def save(self, workspace: Any, values: Sequence[str]) -> None:
        workspace.saved.extend(values)


class Sink:
    """A workspace that keeps nothing but counts."""

    def __init__(self) -> None:
        self.saved: list[str] = []
        self.tables = self

    def require_lock(self) -> None: ...

    def append(self, rows: Sequence[Any]) -> int:
        return len(rows)


def ours(naps: Sequence[Nap]) -> int:
    """run_stage as a stage's author calls it."""
    sink: Any = Sink()
    run_stage(Naps(naps), sink, engine="local", workers=WORKERS, limit=None, progress=False)
    return len(sink.saved)


def executor(naps: Sequence[Nap]) -> int:
    """The standard library's pool; it knows no time limit."""
    with ProcessPoolExecutor(WORKERS, mp_context=SPAWN) as pool:
        return _answers([pool.submit(work, nap) for nap in naps])


def pebbles(naps: Sequence[Nap]) -> int:
    """pebble's pool with a time limit per task."""
    pool = pebble.ProcessPool(WORKERS, context=SPAWN)
    try:
        return _answers([pool.schedule(work, (nap,), timeout=60) for nap in naps])
    finally:
        pool.stop()
        pool.join()


def _answers(futures: Sequence[Any]) -> int:
    """Answered tasks; a task that died with its worker would be sent again, so it counts."""
    answered = 0
    for future in futures:
        try:
            future.result(timeout=5)
            answered += 1
        except pebble.ProcessExpired:
            answered += 1
        except (FutureTimeout, RuntimeError):  # stuck, or the pool broke
            return answered
    return answered


POOLS: dict[str, Callable[[Sequence[Nap]], int]] = {
    "valor-data local": ours,
    "pebble": pebbles,
    "ProcessPoolExecutor": executor,
}


def _overhead(pool: Callable[[Sequence[Nap]], int], tasks: int, seconds: float) -> float:
    """Milliseconds per task beyond the ideal; start-up is taken out as the time of a short run."""
    spans = []
    for size in (WORKERS, WORKERS + tasks):
        naps = [Nap(f"v{i}_0_9", seconds) for i in range(size)]
        started = time.perf_counter()
        assert pool(naps) == size
        spans.append(time.perf_counter() - started)
    return (spans[1] - spans[0] - tasks * seconds / WORKERS) / tasks * 1e3


def _survived(pool: Callable[[Sequence[Nap]], int]) -> int:
    """Rounds in which every task was answered although one worker was killed."""
    whole = 0
    for seed in range(ROUNDS):
        naps = [Nap(f"v{i}_0_9", 0.0005) for i in range(4000)]
        with _killing_one_worker(seed):
            whole += pool(naps) == len(naps)
    return whole


@contextmanager
def _killing_one_worker(seed: int) -> Iterator[None]:
    over, moment = threading.Event(), random.Random(seed)

    def kill() -> None:
        over.wait(moment.uniform(0.5, 0.9))
        workers = [p for p in psutil.Process().children() if _computes(p.cmdline())]
        moment.choice(workers).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()


def _computes(command: list[str]) -> bool:
    return "-c" in command and "resource_tracker" not in str(command)


def main() -> None:
    """Print the table."""
    print(f"{'pool':22}{'no-op ms':>10}{'ratio':>8}{'50 ms +ms':>11}{'ratio':>8}{'whole after a kill':>20}")
    base: tuple[float, float] | None = None
    for name, pool in POOLS.items():
        cost = _overhead(pool, 5000, 0.0), _overhead(pool, 200, 0.05)
        base = base or cost
        ratios = [mine / other for mine, other in zip(base, cost, strict=True)]
        print(
            f"{name:22}{cost[0]:10.3f}{ratios[0]:8.2f}{cost[1]:11.2f}{ratios[1]:8.2f}"
            f"{_survived(pool):>17}/{ROUNDS}",
            flush=True,
        )


if __name__ == "__main__":
    from runner_overhead import main as run  # workers import the stage from a module, not from a script

    run()
