"""The ffmpeg binary of the wheel: where it is, which it is, and running it without leftovers.

A run has its own process group, its own time limit, and ends with this process however that ends.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import av
import imageio_ffmpeg

from valor_data.errors import UserError

_MEND = "pip install --force-reinstall imageio-ffmpeg"
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_INTERRUPTED = 255
"""ffmpeg's exit code after SIGINT, when all that it wrote is in order."""
_LEVEL = re.compile(r"((?:\[[^\]]*@ 0x[0-9a-f]+\] )*)\[(fatal|error|warning|info|verbose)\] ?(.*)")
_LINES_KEPT = 400
"""Lines of log kept from each end: a broken file can complain about every packet."""


class Line(NamedTuple):
    """One line of ffmpeg's log."""

    level: str
    """`fatal`, `error`, `warning`, `info` or `verbose`."""
    text: str
    """The line without its level, with the parts of ffmpeg that speak before it."""


class End(NamedTuple):
    """A wish of `watch` that a run ends."""

    after_s: float
    in_order: bool
    """True: as if asked at the keyboard, so that the output is whole; False: killed."""


class Run(NamedTuple):
    """How a run of ffmpeg ended."""

    code: int
    """0 also where `watch` ended it in order."""
    log: tuple[Line, ...]
    """Its log; the middle of a long one is left out."""
    timed_out: bool
    killed: bool
    """`watch` had it killed."""


@lru_cache(maxsize=1)
def ffmpeg_path() -> str:
    """Path of the ffmpeg binary. Raises UserError with the mend when there is none."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise UserError(f"no ffmpeg binary in this Python: {_MEND}") from error


@lru_cache(maxsize=1)
def tool_versions() -> str:
    """Versions of what shapes the bytes of a clip, such as `ffmpeg@n9.0.2 av@18.1.0`."""
    answer = subprocess.run([ffmpeg_path(), "-version"], capture_output=True, text=True, check=True)
    version = answer.stdout.split()[2]
    return f"ffmpeg@{version} av@{av.__version__}"


def run(
    arguments: Sequence[str],
    seconds_limit: float,
    watch: Callable[[Line], End | None] = lambda line: None,
) -> Run:
    """Run ffmpeg to its end, or to the limit of wall-clock seconds.

    `watch` sees each line of the log; its first answer ends the run. No process is left behind: it is
    killed at the limit and on any exception.
    """
    process = _started(
        [ffmpeg_path(), "-hide_banner", "-nostdin", "-nostats", "-v", "level+verbose", *arguments]
    )
    fired: list[str] = []

    def end(why: str, number: signal.Signals) -> None:
        fired.append(why)
        _signal(process, number)

    timers = [threading.Timer(seconds_limit, end, ("late", signal.SIGKILL))]
    timers[0].start()
    head: list[Line] = []
    tail: list[Line] = []
    level = "info"
    try:
        assert process.stderr
        for text in process.stderr:
            line = _line(text.rstrip(), level)
            level = line.level
            (head if len(head) < _LINES_KEPT else tail).append(line)
            del tail[:-_LINES_KEPT]
            wish = watch(line)
            if wish and len(timers) == 1:
                how = ("ended", signal.SIGINT) if wish.in_order else ("killed", signal.SIGKILL)
                timers.append(threading.Timer(wish.after_s, end, how))
                timers[1].start()
        code = process.wait()
    finally:
        for timer in timers:
            timer.cancel()
        _signal(process, signal.SIGKILL)
        process.wait()
        if process.stderr:
            process.stderr.close()
    ended = code == _INTERRUPTED and "ended" in fired
    killed = code == -signal.SIGKILL
    return Run(0 if ended else code, (*head, *tail), killed and "late" in fired, killed and "killed" in fired)


def _started(command: list[str]) -> subprocess.Popen[str]:
    parent = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 and later warn of threads; what the child does before its start takes no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # Ctrl-C reaches this process, which then ends the run itself
            preexec_fn=(lambda: _die_with(parent)) if _LIBC else None,
        )


def _line(text: str, level: str) -> Line:
    """A line taken apart; one without a level of its own goes on with the level before it."""
    match = _LEVEL.match(text)
    return Line(match[2], match[1] + match[3]) if match else Line(level, text)


def _die_with(parent: int) -> None:
    """In the child: ask Linux for SIGKILL when the starting thread ends, however it ends."""
    assert _LIBC
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the request
        os._exit(1)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
