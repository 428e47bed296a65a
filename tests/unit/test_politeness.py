"""Hosts by a clock of our own: pace, rests, cool-downs, blocks."""

import math
import random
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.politeness import Hosts, retry_after_s, site
from valor_data.recipe import Host


def _hosts(**policy: object) -> Hosts:
    return Hosts((Host(host="*", **policy),), random.Random(1))  # type: ignore[arg-type]


def _limit(retry_after: float | None = None) -> RetryableError:
    return RetryableError(Reason.RATE_LIMITED, "slow down", retry_after)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.youtube.com/watch?v=x", "youtube.com"),
        ("https://youtu.be/x", "youtube.com"),
        ("https://rr3---sn-4g5e6nsz.googlevideo.com/videoplayback?x=1", "youtube.com"),
        ("https://notyoutube.com/", "notyoutube.com"),
        ("http://127.0.0.1:8000/a.mp4", "127.0.0.1:8000"),
        ("https://User:pw@Example.ORG/a", "example.org"),
        ("http://[", ""),
        ("no address", ""),
    ],
)
def test_whose_patience_an_address_uses_up(url: str, host: str) -> None:
    assert site(url) == host


def test_the_longest_name_counts_and_a_recipe_comes_before_the_defaults() -> None:
    rows = (Host(host="*", connections=3), Host(host="example.org", connections=4))
    hosts = Hosts((*rows, Host(host="a.example.org", connections=5), Host(host="youtube.com", burst=9)))
    found = [hosts.policy(name).connections for name in ("x.org", "b.example.org", "a.example.org:80")]
    assert found == [3, 4, 5]
    assert hosts.policy("youtube.com").burst == 9
    assert Hosts(()).policy("youtube.com").videos_per_hour == 300


@given(
    per_hour=st.floats(1, 10_000),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0, 5000), min_size=1, max_size=60),
)
def test_no_window_holds_more_than_the_pace_allows(per_hour: float, burst: int, gaps: list[float]) -> None:
    hosts = _hosts(videos_per_hour=per_hour, burst=burst, connections=1000)
    now, begun = 0.0, []
    for gap in gaps:
        now = max(now + gap, hosts.ready_at("h", now + gap))
        hosts.begin("h", now)
        begun.append(now)
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            allowed = burst + (begun[last] - begun[first]) * per_hour / 3600
            assert last - first + 1 <= allowed + 1e-6


def test_rests_are_drawn_between_their_bounds() -> None:
    hosts = _hosts(sleep_s=(5.0, 10.0))
    now, rests = 0.0, []
    for _ in range(200):
        hosts.begin("h", now)
        hosts.end("h", now)
        rests.append(hosts.ready_at("h", now) - now)
        now += rests[-1]
    assert 5 <= min(rests) < 5.5
    assert 9.5 < max(rests) <= 10


def test_connections_are_counted_over_all_workers() -> None:
    hosts = _hosts(connections=2)
    hosts.begin("h", 0)
    hosts.begin("h", 0)
    assert hosts.ready_at("h", 0) == math.inf
    assert hosts.ready_at("other", 0) == 0
    hosts.end("h", 1)
    assert hosts.ready_at("h", 1) == 1


def test_a_request_to_slow_down_cools_and_a_success_forgives() -> None:
    hosts = _hosts(cool_down_s=10, blocks=3)
    hosts.heard("h", _limit(), begun=0, now=1)
    assert hosts.ready_at("h", 2) == 11
    hosts.heard("h", _limit(), begun=20, now=20)
    assert hosts.ready_at("h", 20) == 40
    hosts.heard("h", None, begun=41, now=42)
    hosts.heard("h", _limit(7), begun=50, now=50)
    assert hosts.ready_at("h", 50) == 57
    hosts.heard("h", _limit(), begun=60, now=60)
    assert hosts.stopped("h") is None


def test_what_was_under_way_when_a_host_asked_to_slow_down_counts_no_second_time() -> None:
    """However late it comes in, also after the rest is over."""
    hosts = _hosts(cool_down_s=10, blocks=2)
    for now in (1.0, 1.0, 5.0, 30.0):
        hosts.heard("h", _limit(), begun=0.5, now=now)
    assert hosts.stopped("h") is None
    assert hosts.ready_at("h", 30) == 30
    hosts.heard("h", None, begun=0.9, now=31)  # and one that was served before forgives nothing
    hosts.heard("h", _limit(), begun=32, now=33)
    assert hosts.stopped("h")


@pytest.mark.parametrize("asked_s", [None, 0.0])
def test_rests_double_up_to_their_most(asked_s: float | None) -> None:
    """A Retry-After of nothing comes of a clock that is wrong; it is no leave to go on."""
    hosts = _hosts(cool_down_s=10, most_cool_down_s=35, blocks=9)
    rests = []
    for now in (100, 200, 300, 400):
        hosts.heard("h", _limit(asked_s), begun=now, now=now)
        rests.append(hosts.ready_at("h", now) - now)
    assert rests == [10, 20, 35, 35]


def test_too_many_requests_to_slow_down_are_a_block() -> None:
    hosts = _hosts(cool_down_s=10, blocks=2)
    hosts.heard("h", _limit(), begun=0, now=0)
    hosts.heard("h", _limit(), begun=11, now=11)
    stopped = hosts.stopped("h")
    assert stopped
    assert (stopped.reason, stopped.message) == (Reason.RATE_LIMITED, "slow down")
    assert hosts.ready_at("h", 1e9) == math.inf
    assert hosts.stopped("other") is None


def test_a_bot_check_and_a_rest_of_hours_are_blocks_at_once() -> None:
    for error in (RetryableError(Reason.BOT_CHECK, "not a bot?"), _limit(7200)):
        hosts = _hosts()
        hosts.heard("h", error, begun=0, now=0)
        assert hosts.stopped("h")


def test_going_on_is_a_persons_decision() -> None:
    hosts = _hosts(on_block="wait", most_cool_down_s=100)
    hosts.heard("h", RetryableError(Reason.BOT_CHECK, "not a bot?"), begun=0, now=0)
    assert hosts.stopped("h") is None
    assert hosts.ready_at("h", 0) == 100
    hosts.heard("h", _limit(7200), begun=100, now=100)  # and what the host asks for is honoured
    assert hosts.ready_at("h", 100) == 7300


def test_a_wall_of_refusals_without_a_reason_is_a_block_but_dead_links_are_none() -> None:
    hosts = _hosts()
    for second in range(200):
        hosts.heard("h", ItemError(Reason.NOT_FOUND, "gone"), second, second)
    assert hosts.stopped("h") is None
    for second in range(200, 230):
        hosts.heard("h", RetryableError(Reason.FORBIDDEN, "HTTP error 403"), second, second)
    stopped = hosts.stopped("h")
    assert stopped
    assert stopped.reason is Reason.FORBIDDEN


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), (" 120 ", 120), (formatdate(1_000_060, usegmt=True), 60), (formatdate(5), 0), ("soon", None),
     ("", None), (None, None), ("-5", None)],
)  # fmt: skip
def test_both_forms_of_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, now=1_000_000) == seconds
