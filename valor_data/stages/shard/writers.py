"""The shards of a plan, written by several processes at once; each shard is whole or not there.

A process reads, checks and copies media, which is all the work there is; this one hands out shards and notes
which are finished. Which process writes a shard, and how many there are, shows in no byte.
"""

import hashlib
import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from valor_data.errors import FatalError, Reason
from valor_data.manifest import ShardEntry
from valor_data.runner.engines import InlineEngine, Job, LocalEngine, usable_cores
from valor_data.runner.interrupts import Interrupts
from valor_data.runner.stage import Done
from valor_data.runner.worker import Ended, Event, Stop
from valor_data.shards import ShardInfo, ShardWriter
from valor_data.stages.shard.plan import Member, Plan, PlannedShard, each, media_members, texts
from valor_data.store import Store
from valor_data.workspace import Workspace

PROGRESS = ".progress/"
"""Where notes of finished shards lie until the release is."""
_TRIES = 3
_WORTH_A_PROCESS = 256_000_000
"""Bytes of shards below which another process costs more than it saves: it takes a second to start."""
_PATIENCE_S, _SLOWEST_BYTES_A_S = 600.0, 100_000


@dataclass(frozen=True)
class _Task:
    """One shard to write, as it travels to a process."""

    clip_id: str
    """The path of the shard: the runner calls every item's name so."""
    facts: pa.Table
    object_keys: pa.Table


class _Writing:
    """What a writer process does: whole shards from one store into another."""

    def __init__(self, media: Store, release: Store) -> None:
        self._media, self._release = media, release

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[_Task]], Iterable[Done[ShardInfo]]]]:
        """The function that writes shards."""
        yield self._write

    def _write(self, tasks: Sequence[_Task]) -> Iterator[Done[ShardInfo]]:
        for task in tasks:
            keys = task.object_keys.to_pylist()
            with placing(self._release, task.clip_id) as out, ShardWriter(out) as writer:
                for facts, of_clip in zip(each(task.facts), keys, strict=True):
                    media = media_members(facts, of_clip)
                    held = [(member.suffix, _content(self._media, member)) for member in media]
                    writer.add(facts["clip_id"], [*held, *texts(facts)])
            yield Done(task.clip_id, writer.info)


def write_shards(
    workspace: Workspace,
    store: Store,
    facts: pa.Table,
    object_keys: pa.Table,
    plan: Plan,
    workers: int | None,
    progress: bool,
) -> list[ShardEntry]:
    """Every shard of the plan, in its order; those that an earlier run finished are not written again.

    `workers` processes, or as many as there are cores and work for; this process alone where the stores
    are in its memory. Raises FatalError for media that are gone or changed, a full disk, and a shard whose
    writer dies again and again; what is finished by then is noted.
    """
    with tqdm(
        total=plan.counts["clips"], desc="shard", unit="clip", disable=None if progress else True
    ) as bar:
        run = _Run(workspace, store, facts, object_keys, plan, bar)
        run.loop(run.writers(workers))
        return [
            ShardEntry(path=shard.path, split=shard.split, **run.finished[shard.path]._asdict())
            for shard in plan.shards
        ]


class _Run:
    """What is written, what is being written, and what waits."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        facts: pa.Table,
        object_keys: pa.Table,
        plan: Plan,
        bar: "tqdm[Any]",
    ) -> None:
        self._workspace, self._store, self._bar = workspace, store, bar
        # Rows are taken out of one piece in no time, out of a hundred in a hundred times that.
        self._facts, self._object_keys = facts.combine_chunks(), object_keys.combine_chunks()
        self.finished: dict[str, ShardInfo] = {}
        self._waiting: deque[PlannedShard] = deque()
        self._running: dict[Job, PlannedShard] = {}
        self._deaths: dict[str, int] = {}
        for shard in plan.shards:
            info = _noted(store, shard)
            if info is None:
                self._waiting.append(shard)
            else:
                self._finish(shard, info)

    def writers(self, asked: int | None) -> int:
        """How many processes to start; 1: none, this one writes."""
        if not (self._store.crosses_processes and self._workspace.store.crosses_processes):
            return 1
        worth = 1 + sum(shard.bytes for shard in self._waiting) // _WORTH_A_PROCESS
        return min(asked or min(usable_cores(), worth), max(1, len(self._waiting)))

    def loop(self, writers: int) -> None:
        """Until no shard waits."""
        if not self._waiting:
            return
        engine = LocalEngine if writers > 1 else InlineEngine
        writing = _Writing(self._workspace.store, self._store)
        try:
            with Interrupts() as interrupts, engine(writing, writers, interrupts, self._workspace) as pool:
                while self._waiting or self._running:
                    interrupts.check()
                    while self._waiting and pool.free:
                        shard = self._waiting.popleft()
                        job = self._job(shard)
                        self._running[job] = shard
                        pool.submit(job)
                    for job, event in pool.wait(1.0):
                        self._hear(job, event)
        finally:  # a writer that died, or was ended for another's fault, left its shard half-written
            self._store.sweep_temporary()

    def _job(self, shard: PlannedShard) -> Job:
        self._workspace.require_lock()
        task = _Task(shard.path, self._facts.take(shard.rows), self._object_keys.take(shard.rows))
        return Job((task,), _PATIENCE_S + shard.bytes / _SLOWEST_BYTES_A_S)

    def _hear(self, job: Job, event: Event) -> None:
        match event:
            case Stop(error):
                raise error
            case Done(value=ShardInfo() as info):
                shard = self._running[job]
                self._store.put_bytes(_note(shard), json.dumps(info._asdict()).encode())
                self._finish(shard, info)
            case Ended(error):
                shard = self._running.pop(job)
                if error is not None and shard.path not in self.finished:
                    self._again(shard, error)

    def _again(self, shard: PlannedShard, error: Exception) -> None:
        deaths = self._deaths[shard.path] = self._deaths.get(shard.path, 0) + 1
        ended = getattr(error, "reason", None) in (Reason.WORKER_DIED, Reason.TIMEOUT)
        if not ended or deaths == _TRIES:
            raise FatalError(
                f"{self._store.path(shard.path)}: {error}; what is finished is kept, run the command again"
            )
        self._waiting.append(shard)

    def _finish(self, shard: PlannedShard, info: ShardInfo) -> None:
        self.finished[shard.path] = info
        self._bar.update(info.samples)


def sweep(store: Store, plan: Plan) -> None:
    """Remove what an unfinished release of another plan, or a killed writer, has left.

    A note must go before its shard is replaced, or it would vouch for other bytes.
    """
    store.sweep_temporary()
    notes = {_note(shard) for shard in plan.shards}
    store.delete([key for key in store.list(PROGRESS) if key not in notes])
    planned = {shard.path for shard in plan.shards}
    for split in plan.splits:
        store.delete([key for key in store.list(f"{split}/") if key not in planned])


def _note(shard: PlannedShard) -> str:
    return f"{PROGRESS}{shard.digest}.json"


def _noted(store: Store, shard: PlannedShard) -> ShardInfo | None:
    """What an earlier run noted of this very shard."""
    try:
        info = ShardInfo(**json.loads(store.get_bytes(_note(shard))))
        return info if store.size(shard.path) == info.bytes else None
    except FileNotFoundError:
        return None


@contextmanager
def placing(store: Store, key: str) -> Iterator[Path]:
    """A path to write an object to: its own in a folder, else a scratch file that is put after."""
    if store.is_local:
        path = Path(store.path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="valor-data-") as scratch:
        path = Path(scratch, "object")
        yield path
        store.put_file(key, path)


def _content(store: Store, member: Member) -> bytes:
    where = store.path(member.object_key)
    try:
        data = store.get_bytes(member.object_key)
    except FileNotFoundError:
        raise FatalError(f"{where}: gone from the store; run valor-data fetch, which gets it again") from None
    if len(data) != member.bytes or hashlib.sha256(data).hexdigest() != member.sha256:
        raise FatalError(
            f"{where}: its bytes changed since it was fetched; put the right file back, then run again"
        )
    return data
