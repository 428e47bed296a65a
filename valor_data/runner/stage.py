"""What a stage is, and what a run of it gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from valor_data.errors import ItemError, RetryableError

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace


class Item(Protocol):
    """Anything that belongs to one clip; it is pickled on its way to a worker."""

    @property
    def clip_id(self) -> str: ...


ItemT = TypeVar("ItemT", bound=Item)
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Task(Generic[ItemT]):
    """Items that one call works on together, such as the clips of one video."""

    items: tuple[ItemT, ...]


@dataclass(frozen=True)
class Done(Generic[ValueT]):
    """How one clip left the worker: with an error, or well (the value may be None)."""

    clip_id: str
    value: ValueT | None = None
    error: ItemError | RetryableError | None = None


class Stage(Protocol[ItemT, ValueT]):
    """Work on clips. With the engine `local` the stage itself is pickled: recipe and URLs only."""

    @property
    def name(self) -> str:
        """The ledger's name of the stage and of what it makes."""

    @property
    def attempts(self) -> int:
        """Most tries per clip in one run."""

    def seconds_limit(self, task: Task[ItemT]) -> float:
        """Wall-clock limit of one call on this task, seconds."""

    def todo(self, workspace: Workspace) -> tuple[int, Iterator[Task[ItemT]]]:
        """How many items are missing or stale, and the tasks that hold them, drawn as workers get free."""

    def open_worker(self) -> AbstractContextManager[Callable[[Sequence[ItemT]], Iterable[Done[ValueT]]]]:
        """Opened once per worker process: the function that does one task.

        It answers once for every item, best as soon as that item is done: what was answered
        outlives a crash or time-out of the rest. An ItemError or RetryableError that it raises
        instead holds for all items not yet answered; UserError and FatalError stop the run.
        """

    def save(self, workspace: Workspace, values: Sequence[ValueT]) -> None:
        """Keep one batch, in the parent. The runner writes the ledger afterwards."""


@dataclass
class Tally:
    """What a run did, in clips."""

    ok: int = 0
    rejected: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Reason to number of clips, rejected and failed ones."""
    unknown: list[str] = field(default_factory=list)
    """`<clip_id>: <message>` of the first faults that nobody named yet."""
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def done(self) -> int:
        """Clips that have left the stage."""
        return self.ok + self.rejected + self.failed


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: all that was finished is saved, and `tally` counts it."""

    def __init__(self, tally: Tally) -> None:
        super().__init__("interrupted; all that was finished is saved")
        self.tally = tally
