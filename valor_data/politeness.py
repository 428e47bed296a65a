"""How often and how many at once a host is asked, as state that runs by a clock given from outside.

One process hands out all work, also to other machines, so one `Hosts` holds for all workers. Times
are seconds of any clock that does not go back.
"""

import email.utils
import math
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from valor_data.errors import ItemError, Kind, Reason, RetryableError
from valor_data.recipe import POLITE, Host

_YOUTUBE = ("youtube.com", "youtu.be", "youtube-nocookie.com", "googlevideo.com", "ytimg.com")
_WALL = 30
"""Videos in a row that a host refused one way or fails to explain, none served, before that is a block."""


def site(url: str) -> str:
    """The host whose patience an address uses up: all of YouTube's are one; with the port where one is
    given. Empty for what is no address."""
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        return ""
    if any(name == one or name.endswith(f".{one}") for one in _YOUTUBE):
        return "youtube.com"
    return f"{name}:{port}" if port else name


def retry_after_s(value: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, in either of its forms (RFC 9110 10.2.3)."""
    if not value:
        return None
    value = value.strip()
    if value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        due = email.utils.parsedate_to_datetime(value).timestamp()
        return max(0.0, due - (time.time() if now is None else now))
    return None


class Stopped(NamedTuple):
    """A host that blocks us, and in which words."""

    reason: Reason
    message: str

    def told(self, host: str, untried: int) -> str:
        """What it means, and what a person may do."""
        return (
            f"{host} blocks us ({self.reason}: {self.message}). It was asked nothing more: {untried} "
            "clips were left untried, all that is done is saved, and the same command goes on from here. The "
            "block is on this address or account, not on the clips. You may wait some hours; ask more slowly "
            "([[hosts]] videos_per_hour, sleep_s); ask as somebody signed in, or from elsewhere ([access] "
            "cookies, proxy, pot_provider); or go on after a cool-down by your own decision ([[hosts]] "
            'on_block = "wait")'
        )


@dataclass
class _State:
    """What is known of one host."""

    policy: Host
    tokens: float
    filled_at: float
    rest_until: float = -math.inf
    cool_until: float = -math.inf
    active: int = 0
    blocks: int = 0
    """Requests to slow down since the last success."""
    slowed_at: float = -math.inf
    """When the last of them was heard."""
    walled: int = 0
    """Refusals without a word of why, since the last success."""
    stopped: Stopped | None = None


@dataclass
class Hosts:
    """The state of all hosts. A recipe's rows count before the defaults."""

    policies: Sequence[Host] = POLITE
    dice: random.Random = field(default_factory=random.Random)
    _states: dict[str, _State] = field(default_factory=dict)

    def policy(self, host: str) -> Host:
        """The row of the longest name that fits; of equals the first."""
        bare = host.partition(":")[0]
        fitting = [
            row
            for row in (*self.policies, *POLITE)
            if row.host in ("*", host, bare) or bare.endswith(f".{row.host}")
        ]
        return max(fitting, key=lambda row: 0 if row.host == "*" else len(row.host))

    def ready_at(self, host: str, now: float) -> float:
        """From when on a video of the host may begin; inf while that hangs on the end of another, or
        where the host is stopped."""
        state = self._state(host, now)
        if state.stopped or state.active >= state.policy.connections:
            return math.inf
        return max(now, state.rest_until, state.cool_until, self._token_at(state, now))

    def begin(self, host: str, now: float) -> None:
        """A video of the host begins."""
        state = self._state(host, now)
        self._fill(state, now)
        state.tokens -= 1
        state.active += 1
        state.rest_until = now + self.dice.uniform(*state.policy.sleep_s)

    def end(self, host: str, now: float) -> None:
        """A video of the host has ended, however."""
        self._state(host, now).active -= 1

    def heard(self, host: str, error: ItemError | RetryableError | None, begun: float, now: float) -> None:
        """How a visit that began at `begun` went; None: well. What was under way when the host asked to
        slow down says nothing new about that."""
        state = self._state(host, now)
        news = begun > state.slowed_at
        if error is None:
            state.walled = 0
            if news:
                state.blocks = 0
        elif error.reason.kind is Kind.HOST:
            self._blocked(state, error, now, news)
        elif error.retry_after_s:
            state.cool_until = max(
                state.cool_until, now + min(error.retry_after_s, state.policy.most_cool_down_s)
            )
        elif error.reason in (Reason.FORBIDDEN, Reason.UNKNOWN):
            state.walled += 1
            if state.walled >= _WALL:
                self._block(state, error, now)
        else:
            state.walled = 0

    def stopped(self, host: str) -> Stopped | None:
        """Why the host is asked nothing more."""
        state = self._states.get(host)
        return state.stopped if state else None

    def _blocked(self, state: _State, error: ItemError | RetryableError, now: float, news: bool) -> None:
        asked_s = error.retry_after_s or 0.0  # "after 0 s" comes of a clock that is wrong
        final = error.reason is Reason.BOT_CHECK or asked_s > state.policy.most_cool_down_s
        if news:
            state.slowed_at = now
            doubled_s = state.policy.cool_down_s * 2.0**state.blocks
            rest_s = asked_s or min(doubled_s, state.policy.most_cool_down_s)
            state.blocks += 1
            final = final or state.blocks >= state.policy.blocks
        else:
            rest_s = asked_s
        state.cool_until = max(state.cool_until, now + rest_s)
        if final:
            self._block(state, error, now)

    def _block(self, state: _State, error: ItemError | RetryableError, now: float) -> None:
        if state.policy.on_block == "stop":
            state.stopped = state.stopped or Stopped(error.reason, error.message)
        state.walled = 0
        state.cool_until = max(state.cool_until, now + state.policy.most_cool_down_s)

    def _state(self, host: str, now: float) -> _State:
        if host not in self._states:
            policy = self.policy(host)
            self._states[host] = _State(policy, policy.burst, now)
        return self._states[host]

    def _fill(self, state: _State, now: float) -> None:
        per_hour = state.policy.videos_per_hour
        if per_hour is None:
            state.tokens = state.policy.burst
        else:
            came = max(0.0, now - state.filled_at) * per_hour / 3600
            state.tokens = min(state.policy.burst, state.tokens + came)
        state.filled_at = max(now, state.filled_at)

    def _token_at(self, state: _State, now: float) -> float:
        self._fill(state, now)
        per_hour = state.policy.videos_per_hour
        if per_hour is None or state.tokens >= 1 - 1e-9:
            return now
        return now + (1 - state.tokens) * 3600 / per_hour
