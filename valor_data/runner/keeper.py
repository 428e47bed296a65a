"""A tiny process that outlives the runner by a moment and kills what the runner left behind.

The runner may die without a word (SIGKILL, out of memory), and then nobody would end its workers
and their ffmpeg, nor remove their scratch files. Each worker leads a process group of its own; the
runner writes `+<group>` and `-<group>` lines to this process, whose input ends exactly when the
runner is gone.

Run as a script with the scratch folder, without the package: it starts fast, stays small, never hangs.
With a second argument it leaves its parent first, which otherwise might take it along.
"""

import contextlib
import os
import shutil
import signal
import sys
import time


def main(scratch: str) -> None:
    """Read group lines until the runner is gone; then kill the groups that are left, and clear up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin.buffer:
        group = abs(int(line))
        groups.add(group) if line.startswith(b"+") else groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(200):  # processes that were just killed may still hold or make a file
        shutil.rmtree(scratch, ignore_errors=True)
        if not os.path.exists(scratch):  # noqa: PTH110 (pathlib would double this script's start)
            break
        time.sleep(0.05)


if __name__ == "__main__":
    if len(sys.argv) > 2 and os.fork():
        os._exit(0)
    main(sys.argv[1])
