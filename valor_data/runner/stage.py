"""What a stage is, and what a run of it gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.politeness import Stopped

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
    """Kept also beside an error that is final: what was found out all the same."""
    error: ItemError | RetryableError | None = None
    left: bool = False
    """True: the stage leaves the clip to another; the ledger says nothing of it. An error beside it is why,
    and is told in the tally."""


class Patience(NamedTuple):
    """How long a clip waits between its tries, seconds."""

    first_wait_s: float = 1.0
    """Mean wait before the second try; it doubles with each further one, with jitter."""
    longest_wait_s: float = 30.0
    """Longest mean wait."""


class Work(Protocol):
    """What an engine asks of a stage. With the engine `local` it is pickled: recipe and URLs only."""

    def open_worker(self) -> AbstractContextManager[Callable[[Sequence[Any]], Iterable[Done[Any]]]]:
        """Opened once per worker process: the function that does one task."""


class Stage(Protocol[ItemT, ValueT]):
    """Work on clips. With the engine `local` the stage itself is pickled: recipe and URLs only."""

    @property
    def name(self) -> str:
        """The ledger's name of the stage and of what it makes."""

    @property
    def patience(self) -> Patience:
        """The waits between tries."""

    def tries(self, reason: Reason) -> int:
        """Most tries of a clip in one run, its last error being of this reason."""

    def host(self, task: Task[ItemT]) -> str | None:
        """The host that a task bothers, whose pace is kept; None: none."""

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
    left: Counter[str] = field(default_factory=Counter)
    """Reason to number of clips that the stage met a fault with and left to another."""
    stopped: dict[str, Stopped] = field(default_factory=dict)
    """Hosts that block us, and in which words."""
    untried: Counter[str] = field(default_factory=Counter)
    """Host to number of clips that were not asked for, because it is stopped; the ledger has no row."""
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def done(self) -> int:
        """Clips that have left the stage."""
        return self.ok + self.rejected + self.failed

    def __add__(self, other: Self) -> Tally:
        """Both together, one run after the other."""
        return Tally(
            ok=self.ok + other.ok,
            rejected=self.rejected + other.rejected,
            failed=self.failed + other.failed,
            reasons=self.reasons + other.reasons,
            unknown=self.unknown + other.unknown,
            left=self.left + other.left,
            stopped=self.stopped | other.stopped,
            untried=self.untried + other.untried,
            seconds=self.seconds + other.seconds,
            interrupted=self.interrupted or other.interrupted,
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: all that was finished is saved, and `tally` counts it."""

    def __init__(self, tally: Tally) -> None:
        super().__init__("interrupted; all that was finished is saved")
        self.tally = tally
