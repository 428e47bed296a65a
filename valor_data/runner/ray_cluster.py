"""The Ray cluster of a run: one that is there, or one that is started for it."""

import logging
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from valor_data.errors import UserError
from valor_data.runner.engines import usable_cores
from valor_data.runner.scratch import Scratch

_STORE_BYTES = 80 << 20  # answers are small; Ray refuses less than 75 MiB
_MOST_FOLDER = 20  # letters: Ray's sockets lie deep below it, and the kernel takes addresses of 107
_REACH_SECONDS = 5.0


def load() -> Any:
    """Ray's module. Raises UserError with the mend where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise UserError(f"engine 'ray': {error}; install it with pip install 'valor-data[ray]'") from None


@contextmanager
def joined(workers: int | None) -> Iterator[None]:
    """Inside, this process drives the cluster that `address` names, else one that is started here with
    a CPU for each of `workers` (None: of the usable cores) and ends with the block.

    A connection that stands already is used and kept. Raises UserError where the cluster cannot be had.
    """
    ray = load()
    if ray.is_initialized():
        yield
        return
    found = address()
    with ExitStack() as stack:
        settings: dict[str, Any] = {"address": found}
        if found is None:
            scratch = Scratch(_short_folder())
            stack.callback(scratch.close)
            settings = {
                "address": "local",
                "num_cpus": workers or usable_cores(),
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
                "_temp_dir": scratch.folder,
            }
        stack.callback(ray.shutdown)
        with _own_sigterm():
            try:
                ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
                raise UserError(f"engine 'ray', {found or 'a cluster of its own'}: {error}") from error
        yield


def address() -> str | None:
    """The cluster to join: that of RAY_ADDRESS, else the one that `ray start` left on this machine; None:
    neither is there. Raises UserError where nobody answers at RAY_ADDRESS.

    (Ray's own search also takes a cluster that another run started for itself alone.)
    """
    if named := os.environ.get("RAY_ADDRESS"):
        if not _answers(named):
            raise UserError(
                f"RAY_ADDRESS={named}: nobody answers there; mend it, or unset it to start locally"
            )
        return named
    known = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    with suppress(OSError):
        started = known.read_text().strip()  # stays behind where a machine stops without `ray stop`
        return started if _answers(started) else None
    return None


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        return True  # `auto`, `local` and Ray's other forms are for Ray to judge
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()
    except OSError:
        return False
    return True


def _short_folder() -> str | None:
    return None if len(tempfile.gettempdir()) <= _MOST_FOLDER else f"{os.sep}tmp"


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray would answer SIGTERM with an exit; it keeps the answer that it has."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if current_thread() is main_thread():
            signal.signal(signal.SIGTERM, former)
