"""What is to do, in the order in which it may be done: fresh tasks, tasks that back off, hosts that rest."""

import heapq
import math
import random
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from valor_data.errors import ItemError, Kind, Reason, RetryableError, without_secrets
from valor_data.politeness import Hosts
from valor_data.runner.engines import Job
from valor_data.runner.stage import Stage, Tally, Task

_MOST_HELD = 256
"""Calls that wait, for their host or for another try, before no new task is drawn."""

Error = ItemError | RetryableError


@dataclass
class Call:
    """One call on some items and what is still open of it."""

    job: Job
    host: str | None
    tries: dict[str, int]
    """Tries before this call, of this run."""
    open: dict[str, Any]
    errors: dict[str, Error] = field(default_factory=dict)
    """The last error of items that were tried before."""
    again: dict[str, Any] = field(default_factory=dict)
    """Items to try once more, by clip_id."""
    begun: float = 0.0
    heard: set[Reason | None] = field(default_factory=set)
    """What the host was already told to have answered: a call is one visit, however many clips it holds."""


class Schedule:
    """Hands out calls; hears how they ended; knows when the next one may begin."""

    def __init__(
        self, stage: Stage[Any, Any], fresh: Iterator[Task[Any]], hosts: Hosts, tally: Tally
    ) -> None:
        self._stage, self._fresh, self._hosts, self._tally = stage, fresh, hosts, tally
        self._drawn = False
        self._held: dict[str | None, deque[Call]] = {}
        self._backing_off: list[tuple[float, int, Call]] = []
        self._ticket = count()
        self._given_up: list[tuple[str, Error, int]] = []

    @property
    def empty(self) -> bool:
        """Nothing is left to hand out, now or later."""
        return self._drawn and not self._backing_off and not self._held

    def next(self) -> Call | None:
        """The next call that may begin now, which it then does."""
        now = time.monotonic()
        while self._backing_off and self._backing_off[0][0] <= now:
            self._hold(heapq.heappop(self._backing_off)[2], first=True)
        call = self._ready(now)
        while call is None and not self._drawn and self._waiting < _MOST_HELD:
            task = next(self._fresh, None)
            if task is None:
                self._drawn = True
                break
            host = self._stage.host(task)
            if host and self._hosts.stopped(host):
                self._tally.untried[host] += len(task.items)
                continue
            self._hold(self._call(task.items, host, {}, {}))
            call = self._ready(now)
        if call and call.host:
            call.begun = now
            self._hosts.begin(call.host, now)
        return call

    def next_in(self) -> float:
        """Seconds until a call that waits may begin; inf where that hangs on the end of another."""
        now = time.monotonic()
        dues = [self._ready_at(host, now) for host in self._held]
        dues += [due for due, *_ in self._backing_off[:1]]
        return max(0.0, min(dues, default=math.inf) - now)

    def heard(self, call: Call, item: Any, error: Error | None) -> bool:
        """How an item ended; True: it is tried again, later."""
        reason = error.reason if error else None
        if call.host and reason not in call.heard:
            call.heard.add(reason)
            self._hosts.heard(call.host, error, call.begun, time.monotonic())
            if stopped := self._hosts.stopped(call.host):
                told = without_secrets(stopped.message)
                self._tally.stopped[call.host] = stopped._replace(message=told)
        tried_again = isinstance(error, RetryableError) and self._may_pass(call, item.clip_id, error)
        if tried_again:
            assert error
            call.again[item.clip_id], call.errors[item.clip_id] = item, error
        return tried_again

    def ended(self, call: Call) -> None:
        """A call is over; what it has to do again is put back."""
        if call.host:
            self._hosts.end(call.host, time.monotonic())
            if self._hosts.stopped(call.host):
                self._drop(call.host)
        if call.again:
            again = self._call(list(call.again.values()), call.host, call.tries, call.errors)
            due = time.monotonic() + max(self._wait_s(call, clip_id) for clip_id in call.again)
            heapq.heappush(self._backing_off, (due, next(self._ticket), again))

    def split(self, call: Call) -> None:
        """Put back each open item of a call as a call of its own."""
        for item in call.open.values():
            self._hold(self._call([item], call.host, call.tries, call.errors))
        call.open = {}

    def given_up(self) -> Iterator[tuple[str, Error, int]]:
        """Items whose next try will not come, since their host is stopped: id, last error, tries."""
        given_up, self._given_up = self._given_up, []
        yield from given_up

    def _may_pass(self, call: Call, clip_id: str, error: RetryableError) -> bool:
        if call.tries[clip_id] >= self._stage.tries(error.reason) or error.reason.kind is Kind.LATER:
            return False
        if call.host is None:
            return True
        longest_s = self._hosts.policy(call.host).most_cool_down_s
        return not self._hosts.stopped(call.host) and (error.retry_after_s or 0) <= longest_s

    def _wait_s(self, call: Call, clip_id: str) -> float:
        error, tries = call.errors[clip_id], call.tries[clip_id]
        if error.reason.kind is Kind.EXPIRED and tries == 1:
            return 0.0  # another resolution is what it needs
        first_s, longest_s = self._stage.patience
        mean_s = min(longest_s, first_s * 2.0 ** (tries - 1))
        return max(mean_s * random.uniform(0.5, 1.5), error.retry_after_s or 0.0)

    def _call(
        self,
        items: Sequence[Any],
        host: str | None,
        tries: Mapping[str, int],
        errors: Mapping[str, Error],
    ) -> Call:
        task = Task(tuple(items))
        opened = {item.clip_id: item for item in items}
        return Call(
            Job(task.items, self._stage.seconds_limit(task)),
            host,
            {clip_id: tries.get(clip_id, 0) for clip_id in opened},
            opened,
            {clip_id: error for clip_id, error in errors.items() if clip_id in opened},
        )

    def _hold(self, call: Call, *, first: bool = False) -> None:
        if call.host and self._hosts.stopped(call.host):
            self._leave(call)
            return
        calls = self._held.setdefault(call.host, deque())
        calls.appendleft(call) if first else calls.append(call)

    def _ready(self, now: float) -> Call | None:
        for host, calls in self._held.items():
            if self._ready_at(host, now) <= now:
                call = calls.popleft()
                if not calls:
                    del self._held[host]  # lists may name very many hosts
                return call
        return None

    def _ready_at(self, host: str | None, now: float) -> float:
        return self._hosts.ready_at(host, now) if host else now

    @property
    def _waiting(self) -> int:
        return len(self._backing_off) + sum(map(len, self._held.values()))

    def _drop(self, host: str) -> None:
        """Leave what waits for a stopped host."""
        for call in self._held.pop(host, ()):
            self._leave(call)
        for _, _, call in (one for one in self._backing_off if one[2].host == host):
            self._leave(call)
        self._backing_off = [one for one in self._backing_off if one[2].host != host]
        heapq.heapify(self._backing_off)

    def _leave(self, call: Call) -> None:
        assert call.host
        for clip_id in call.open:
            if clip_id in call.errors:
                self._given_up.append((clip_id, call.errors[clip_id], call.tries[clip_id]))
            else:
                self._tally.untried[call.host] += 1
