"""Ctrl-C and SIGTERM, held back while something is being saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


class Interrupts:
    """Turns SIGINT and SIGTERM into a KeyboardInterrupt at places that can bear it.

    Elsewhere the signal is remembered until the next `check()`; a second one is not held back.
    Outside the main thread Python delivers no signals, and this does nothing.
    """

    def __init__(self) -> None:
        self._asked = False
        self._allowed = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if one was asked for."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside, the signal raises at once."""
        self._allowed = True
        try:
            self.check()
            yield
        finally:
            self._allowed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again or self._allowed:
            raise KeyboardInterrupt
