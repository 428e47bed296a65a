"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import NoReturn, Self

from tqdm import tqdm

from valor_data.runner.stage import Tally

LINE_SECONDS = 30.0


class Progress:
    """Shows a tally as it grows, with rate and estimated end."""

    def __init__(self, name: str, total: int, *, shown: bool) -> None:
        self._name, self._total, self._shown = name, total, shown
        self._started = self._last_line = time.monotonic()
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> Self:
        if self._shown and sys.stderr.isatty():
            self._bar = tqdm(
                total=self._total, desc=self._name, unit="clip", file=sys.stderr, dynamic_ncols=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, tally: Tally) -> None:
        """One more clip has left the stage."""
        if self._bar is not None:
            self._bar.set_postfix(ok=tally.ok, rejected=tally.rejected, failed=tally.failed, refresh=False)
            self._bar.update()
        elif self._shown and time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            rate = tally.done / (self._last_line - self._started)
            left = max(0, self._total - tally.done) / rate
            counts = f"{tally.ok} ok, {tally.rejected} rejected, {tally.failed} failed"
            sys.stderr.write(
                f"{self._name}: {tally.done} of {self._total} clips ({counts}), "
                f"{rate:.2g}/s, {left / 60:.0f} min left\n"
            )
