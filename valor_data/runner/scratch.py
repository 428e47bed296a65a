"""A folder for temporary files that goes away with the process that made it, however that one ends."""

import os
import secrets
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_KEEPER = str(Path(__file__).with_name("keeper.py"))


class Scratch:
    """The folder, and the process groups that shall not outlive its maker.

    With `apart` the process that watches is no child of this one, so that whoever ends this one
    with its children spares it.
    """

    def __init__(self, within: str | None = None, *, apart: bool = False) -> None:
        self.folder = str(Path(within or tempfile.gettempdir(), f"valor-data-{secrets.token_hex(8)}"))
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", _KEEPER, self.folder, *(["apart"] if apart else [])],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        if apart:
            self._keeper.wait()  # who watches has left this process
        Path(self.folder).mkdir(mode=0o700)  # not before: this process may be ended at any moment

    def guard(self, group: int) -> None:
        """This process group ends when this process does."""
        self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """This process group has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the groups that are left, and remove the folder."""
        self._keeper.communicate()  # ends with its input

    def _tell(self, line: str) -> None:
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed it; the run does not need it to do well
            self._keeper.stdin.write(line.encode())
            self._keeper.stdin.flush()


def in_own_group() -> int:
    """This process as the leader of a process group, so that its children end with it; the group."""
    if os.getpgrp() != os.getpid():
        os.setpgrp()
    return os.getpgrp()
