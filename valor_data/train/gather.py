"""Every process's rows, with gradients that are those of one process with the whole batch."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def everyone(rows: Tensor) -> Tensor:
    """The rows of all processes, in their order; without a process group, the rows.

    Rows must be as long in every process. Each process computes the whole loss of the gathered rows, and
    the backward pass sums what they all ask of a row: DDP's mean over the processes then gives the
    gradient of one process with the whole batch. (The released code hands each process its own share
    alone, so that its encoders learn more slowly the more processes there are.)
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return rows
    gathered: Tensor = _Gathered.apply(rows)
    return gathered


class _Gathered(torch.autograd.Function):
    """Rows of all going forward; going back, the sum of what all ask of one's own."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        pieces = [torch.empty_like(rows, memory_format=torch.contiguous_format)
                  for _ in range(dist.get_world_size())]  # fmt: skip
        dist.all_gather(pieces, rows.contiguous())
        context.count = len(rows)
        return torch.cat(pieces)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()  # the sum is made in place
        dist.all_reduce(whole)
        first = dist.get_rank() * context.count
        return whole[first : first + context.count]
