"""A stage whose clips do as they are told, try by try: for tests of the runner and its engines."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from valor_data.errors import FatalError, ItemError, Kind, Reason, RetryableError, UserError
from valor_data.records import Outcome, SplitOf
from valor_data.runner import Done, Patience, Task

if TYPE_CHECKING:
    from valor_data.workspace import Workspace


_AT_ONCE = Patience(0.0, 0.0)


class Piece(NamedTuple):
    """A clip and what it does at its first try, its second, ...; afterwards it is `ok`."""

    clip_id: str
    acts: tuple[str, ...] = ()


@dataclass
class ScriptedStage:
    """`folder` counts the tries in files, so that worker processes share the count."""

    folder: str
    groups: Sequence[Sequence[Piece]]
    attempts: int = 3
    seconds: float = 30.0
    name: str = "scripted"
    patience: Patience = _AT_ONCE
    hosts: Mapping[str, str] = field(default_factory=dict)
    """clip_id to the host that it bothers; others bother none."""
    host_tries: int = 1
    drawn: int = field(default=0, compare=False)

    def tries(self, reason: Reason) -> int:
        return self.host_tries if reason.kind is Kind.HOST else self.attempts

    def host(self, task: Task[Piece]) -> str | None:
        return self.hosts.get(task.items[0].clip_id)

    def seconds_limit(self, task: Task[Piece]) -> float:
        return self.seconds

    def todo(self, workspace: Any) -> tuple[int, Iterator[Task[Piece]]]:
        pieces = [piece for group in self.groups for piece in group]
        left = workspace.open_clips([piece.clip_id for piece in pieces])
        return len(left), self._tasks(left)

    def _tasks(self, left: set[str]) -> Iterator[Task[Piece]]:
        for group in self.groups:
            items = tuple(piece for piece in group if piece.clip_id in left)
            if items:
                self.drawn += len(items)
                yield Task(items)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Piece]], Iterable[Done[str]]]]:
        opened = Path(self.folder, f"worker-{os.getpid()}")
        opened.touch()
        yield self._do
        opened.rename(opened.with_name(opened.name + "-closed"))

    def _do(self, items: Sequence[Piece]) -> Iterator[Done[str]]:
        for piece in items:
            tries = Path(self.folder, f"{piece.clip_id}.tries")
            before = tries.stat().st_size if tries.exists() else 0
            with tries.open("ab") as file:
                file.write(b".")
            act = piece.acts[before] if before < len(piece.acts) else "ok"
            done = _act(act, piece.clip_id, self.folder)
            if done is not None:
                yield done

    def save(self, workspace: Any, values: Sequence[str]) -> None:
        workspace.saved.update(dict.fromkeys(values))

    def tried(self, clip_id: str) -> int:
        return Path(self.folder, f"{clip_id}.tries").stat().st_size


@dataclass
class SplittingStage(ScriptedStage):
    """The same over real tables: every clip that is ok gets a row in `splits`."""

    name: str = "splitting"

    def todo(self, workspace: Workspace) -> tuple[int, Iterator[Task[Piece]]]:
        ledger = {row.clip_id: row for row in workspace.tables.rows(Outcome, stage=self.name)}
        left = {piece.clip_id: 0 for group in self.groups for piece in group if piece.clip_id not in ledger}
        return len(left), self._tasks(left)

    def save(self, workspace: Workspace, values: Sequence[str]) -> None:
        workspace.tables.append(SplitOf(clip_id=clip, split="train", made_by="test") for clip in values)


def _act(act: str, clip_id: str, folder: str) -> Done[Any] | None:
    if act.startswith("block "):
        return Done(clip_id, error=RetryableError(Reason.BOT_CHECK, act.removeprefix("block ")))
    match act.split(":"):
        case ["ok"]:
            return Done(clip_id, value=clip_id)
        case ["ok", seconds]:
            time.sleep(float(seconds))
            return Done(clip_id, value=clip_id)
        case ["meet", workers]:
            while len(list(Path(folder).glob("worker-*"))) < int(workers):
                time.sleep(0.01)
            return Done(clip_id, value=clip_id)
        case ["empty"]:
            return Done(clip_id)
        case ["reject"]:
            return Done(clip_id, error=ItemError(Reason.CORRUPT, "told to"))
        case ["retry"]:
            return Done(clip_id, error=RetryableError(Reason.TRANSPORT, "told to"))
        case ["host"]:
            return Done(clip_id, error=RetryableError(Reason.BOT_CHECK, "told to"))
        case ["slow", rest_s]:
            return Done(clip_id, error=RetryableError(Reason.RATE_LIMITED, "told to", float(rest_s)))
        case ["reject-with-value"]:
            return Done(clip_id, clip_id, ItemError(Reason.NOT_PERMITTED, "told to"))
        case ["leave-broken"]:
            return Done(clip_id, error=ItemError(Reason.CORRUPT, "told to"), left=True)
        case ["leave"]:
            return Done(clip_id, left=True)
        case ["later"]:
            return Done(clip_id, error=RetryableError(Reason.LIVE, "told to"))
        case ["raise"]:
            raise ValueError(f"unforeseen with {clip_id}")
        case ["raise-forbidden"]:
            raise RetryableError(Reason.FORBIDDEN, "the whole video")
        case ["raise-reject"]:
            raise ItemError(Reason.PRIVATE, "the whole video")
        case ["user"]:
            raise UserError("no such thing")
        case ["fatal"]:
            raise FatalError("disk full")
        case ["silent"]:
            return None
        case ["foreign"]:
            return Done("nobody")
        case ["lambda"]:
            return Done(clip_id, value=lambda: None)
        case ["die"]:
            os.kill(os.getpid(), signal.SIGKILL)
        case ["exit"]:
            raise SystemExit(7)
        case ["segfault"]:
            ctypes.string_at(0)
        case ["hang"]:
            child = subprocess.Popen(["sleep", "60"])
            Path(folder, "child").write_text(str(child.pid))
            ctypes.PyDLL(None).sleep(60)  # holds the interpreter's lock: no Python code runs meanwhile
        case ["interrupt"]:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
    raise AssertionError(f"{act} came back")
