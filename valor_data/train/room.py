"""Whether a run has room: said before it begins, and where memory ran out after all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from valor_data.errors import UserError
from valor_data.train.cost import GIB, Bill
from valor_data.train.devices import free_bytes

_CPU_ASKED_TOO_MUCH = "can't allocate memory"
_SHARED = "shared memory"


def check(bill: Bill, device: torch.device) -> str:
    """A line of warning where a device has less memory left than a run is estimated to take, else nothing.

    Raises UserError where it has less than weights, gradients and optimizer take, of which no batch is small
    enough.
    """
    free = _left(device)
    if bill.need.total <= free:
        return ""
    line = f"memory: {_estimate(bill)}, and {device} has {free / GIB:.2f} GiB left; {mend(bill)}"
    if bill.need.fixed > free:
        raise UserError(line)
    return line


@contextmanager
def explained(bill: Bill, device: torch.device) -> Iterator[None]:
    """Turn torch's words about memory that ran out into one line with the estimate and the mend."""
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if _SHARED in said:
            raise UserError(
                f"shared memory ran out: workers hand over up to {bill.on_way_bytes / GIB:.2f} GiB of "
                "batches; enlarge /dev/shm (in a container: --shm-size), or lower data.workers"
            ) from error
        if isinstance(error, torch.OutOfMemoryError) or _CPU_ASKED_TOO_MUCH in said:
            raise UserError(f"memory ran out on {device}: {_estimate(bill)}; {mend(bill)}") from error
        raise


def mend(bill: Bill) -> str:
    """What makes a run smaller: the first that its config does not do yet."""
    settings = bill.config.optim
    if bill.need.fixed > bill.need.activations:
        if bill.world > 1 and not settings.fsdp:
            return "share weights and optimizer by optim.fsdp = true"
        return "take a smaller [model], or more processes with optim.fsdp = true"
    if not settings.checkpointing:
        return "set optim.checkpointing = true"
    if settings.precision == "fp32" and bill.config.device != "cpu":
        return 'set optim.precision = "bf16"'
    return (
        f"set optim.accumulate = {2 * settings.accumulate} (MGA then tells fewer clips apart), lower "
        "data.batch, or take more processes"
    )


def _estimate(bill: Bill) -> str:
    return f"this config is estimated at {bill.memory_line}"


def _left(device: torch.device) -> float:
    """What one process may take; processes of one machine share its memory."""
    free = free_bytes(device)
    return free if device.type == "cuda" else free / int(os.environ.get("LOCAL_WORLD_SIZE", 1))
