"""When a piece of a stream begins by its own word, and which piece a span is read from."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

_SLACK_US = 250_000
"""Lists round their times; a piece that they place so little behind a start is asked itself."""
_HOLE_US = 50_000
"""Sound may begin so much behind the picture's start and be silence until then."""
_DRIFT_US, _DRIFT_SHARE = 2_000_000, 0.01
"""A piece that begins further from where its list places it than this stands on another clock."""
_LATE_PICTURE_US = 150_000
"""A picture that follows the sound by more is a true late start, and a span then counts from the sound."""


class Clock(NamedTuple):
    """When the first picture and the first sound of a piece are due, microseconds on the stream's clock."""

    picture_us: int | None
    sound_us: int | None
    opens: bool = True
    """Its first picture can be decoded without what came before."""

    @property
    def first_us(self) -> int | None:
        """The first picture; the first sound where there is none."""
        return self.picture_us if self.picture_us is not None else self.sound_us


def first_piece(
    listed_us: Sequence[int], start_us: int, clock_of: Callable[[int], Clock | None]
) -> tuple[int, int] | None:
    """(number, how much later than the stream's first picture it begins) of the piece to read a span from:
    the last one that can be decoded from its beginning on and has begun at the start.

    `listed_us` says where to look; None where the pieces do not tell their times, or others than listed.
    """
    origin = clock_of(0)
    if origin is None or origin.first_us is None:
        return None
    if origin.sound_us is not None and origin.first_us - origin.sound_us > _LATE_PICTURE_US:
        return None
    number = max(0, sum(listed <= start_us + _SLACK_US for listed in listed_us) - 1)
    while True:
        clock = clock_of(number)
        if clock is None or clock.first_us is None:
            return None
        begun_us = clock.first_us - origin.first_us
        if abs(begun_us - listed_us[number]) > _DRIFT_US + _DRIFT_SHARE * listed_us[number]:
            return None
        if number == 0 or _serves(clock, origin.first_us, start_us):
            return number, begun_us
        number -= 1


def _serves(clock: Clock, origin_us: int, start_us: int) -> bool:
    """Whether a span from `start_us` can be read from here on."""
    in_time = clock.first_us is not None and clock.first_us - origin_us <= start_us
    heard = clock.sound_us is None or clock.sound_us - origin_us <= start_us + _HOLE_US
    return clock.opens and in_time and heard
