"""Every process's rows, with gradients that are those of one process with the whole batch."""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather


def everyone(rows: Tensor) -> Tensor:
    """The rows of all processes, in their order; without a process group, the rows.

    Rows must be as long in every process. Each process computes the whole loss of the gathered rows, and
    the backward pass sums what they all ask of a row: DDP's mean over the processes then gives the
    gradient of one process with the whole batch. (The released code hands each process its own share
    alone, so that its encoders learn more slowly the more processes there are.)
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return rows
    if not rows.is_floating_point():
        pieces = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(pieces, rows.contiguous())
        return torch.cat(pieces)
    return torch.cat(all_gather(rows.contiguous()))
