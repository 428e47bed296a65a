"""The worker's side: one task in, events out.

A worker of the local pool is a fresh interpreter (the parent's threads make a fork unsafe, and the
user's main module is not run again) that talks to the parent over one socket of its own. No lock is
shared between workers, so that one can be killed at any moment without harm to the others.
"""

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from valor_data.errors import FatalError, ItemError, Reason, RetryableError, UserError
from valor_data.runner.stage import Done

Do = Callable[[Sequence[Any]], Iterable[Done[Any]]]


@dataclass(frozen=True)
class Ended:
    """The call is over. `error` holds for all items that it did not answer."""

    error: ItemError | RetryableError | None = None
    blameless: bool = False
    """True: which of several items is at fault is not known, and each deserves a call of its own."""


@dataclass(frozen=True)
class Stop:
    """The run must end with this error."""

    error: UserError | FatalError


Event = Done[Any] | Ended | Stop


def answers(do: Do, items: Sequence[Any]) -> Iterator[Event]:
    """The events of one call: `Done` per item, then one `Ended` or `Stop`."""
    waiting = {item.clip_id for item in items}
    try:
        for done in do(items):
            if done.clip_id not in waiting:
                yield Stop(FatalError(f"the stage answered for {done.clip_id!r}, which nobody waits for"))
                return
            waiting.remove(done.clip_id)
            yield done
        missing = RetryableError(Reason.UNKNOWN, "the stage gave no answer for this clip")
        yield Ended(missing if waiting else None, blameless=False)
    except (ItemError, RetryableError) as error:
        yield Ended(error)
    except (UserError, FatalError) as error:
        yield Stop(error)
    except Exception as error:  # the one broad except: a fault that nobody named yet
        yield Ended(RetryableError(Reason.UNKNOWN, told(error)), blameless=True)


def told(error: BaseException) -> str:
    """Type, message and last frame of an unforeseen exception, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({Path(f.filename).name}:{f.lineno} in {f.name})" for f in frame)
    return f"{type(error).__name__}: {error}{place}"


def opened(stage: bytes, handles: ExitStack) -> Do | Stop:
    """What does a pickled stage's tasks; or why the run must end."""
    try:
        do: Do = handles.enter_context(pickle.loads(stage).open_worker())
        return do
    except (UserError, FatalError) as error:
        return Stop(error)
    except Exception as error:  # still the same one, before the first task
        return Stop(FatalError(f"a worker cannot start: {told(error)}"))


def main(descriptor: int) -> None:
    """Serve the parent at the other end of the socket until it hangs up."""
    os.set_inheritable(descriptor, False)  # a child that held it would hide this worker's death
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    with Connection(descriptor) as parent, ExitStack() as handles:
        try:
            do = opened(parent.recv_bytes(), handles)
            if isinstance(do, Stop):
                parent.send_bytes(packed([do]))
                return
            parent.send_bytes(packed([]))
            while items := pickle.loads(parent.recv_bytes()):
                _serve(parent, do, items)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the parent hung up


def _serve(parent: Connection, do: Do, items: Sequence[Any]) -> None:
    held: list[Event] = []  # the last answer travels with the end: one message for a task of one clip
    open_items = len(items)
    for event in answers(do, items):
        held.append(event)
        open_items -= 1
        if open_items > 0 or not isinstance(event, Done):
            parent.send_bytes(packed(held))
            held = []


def packed(events: list[Event]) -> bytes:
    """Events as they travel to the parent."""
    try:
        return pickle.dumps([_own(event) for event in events])
    except (pickle.PicklingError, TypeError, AttributeError):
        return pickle.dumps([_portable(event) for event in events])


def _own(event: Event) -> Event:
    """The event with errors of exactly our own classes: the parent may not know a subclass."""
    match event:
        case Stop(error):
            return Stop((UserError if isinstance(error, UserError) else FatalError)(str(error)))
        case Ended(ItemError() | RetryableError() as error, blameless):
            return Ended(_own_error(error), blameless)
        case Done(error=ItemError() | RetryableError() as error):
            return replace(event, error=_own_error(error))
    return event


def _own_error(error: ItemError | RetryableError) -> ItemError | RetryableError:
    kind = ItemError if isinstance(error, ItemError) else RetryableError
    return kind(error.reason, error.message, error.retry_after_s)


def _portable(event: Event) -> Event:
    """The event, or a fault in place of a value that cannot be pickled."""
    try:
        pickle.dumps(_own(event))
    except (pickle.PicklingError, TypeError, AttributeError) as fault:
        if isinstance(event, Done):
            return Done(event.clip_id, error=RetryableError(Reason.UNKNOWN, told(fault)))
    return _own(event)
