"""The processes that train together: one alone, or those that torchrun started; and how they share a
model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint import state_dict as sharing
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from valor_data.errors import UserError
from valor_data.train.batch import Share
from valor_data.train.blocks import PreNormBlock
from valor_data.train.config import OptimConfig

_WHOLE = sharing.StateDictOptions(full_state_dict=True, cpu_offload=True)
_WHOLE_IN = sharing.StateDictOptions(full_state_dict=True)


class Place(NamedTuple):
    """Where this process stands among those that train together."""

    share: Share
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.share.rank == 0

    def any(self, asked: bool) -> bool:
        """Whether any process was asked: signals reach them at different moments."""
        if self.share.world == 1:
            return asked
        answer = torch.tensor(int(asked), device=self.device)
        dist.all_reduce(answer, dist.ReduceOp.MAX)
        return bool(answer.item())

    def gathered(self, value: Any) -> list[Any]:
        """Everybody's value, by rank."""
        if self.share.world == 1:
            return [value]
        values: list[Any] = [None] * self.share.world
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until all are here."""
        if self.share.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str) -> Iterator[Place]:
    """Join the others, if there are any. `device` is `auto`, `cpu` or `cuda`.

    Raises UserError where a GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise UserError('device = "cuda", but torch sees no GPU; take device = "cpu", or mend the driver')
    world, local = (
        int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
    )
    here = torch.device("cpu")
    if has_gpu and device != "cpu":
        here = torch.device("cuda", local)
        torch.cuda.set_device(here)
    if world == 1:
        yield Place(Share(), here)
        return
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield Place(Share(dist.get_rank(), world), here)
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, config: OptimConfig, place: Place) -> nn.Module:
    """The model as it is trained: compiled, its gradients exchanged (DDP), or its weights shared (FSDP2)."""
    if config.compile:
        for block in model.modules():
            if isinstance(block, PreNormBlock):
                block.compile()
    if place.share.world == 1:
        return model
    if config.fsdp:
        for block in model.modules():
            if isinstance(
                block, PreNormBlock
            ):  # BERT's parts are called one by one, so it is shared as a whole
                fully_shard(block)
        fully_shard(model)
        for name in ("see", "compare_text", "compare_clips", "scores", "look"):  # what validation calls
            register_fsdp_forward_method(model, name)
        return model
    return DistributedDataParallel(model, device_ids=[place.device] if place.device.type == "cuda" else None)


def states(model: nn.Module, optimizer: torch.optim.Optimizer, place: Place) -> tuple[dict[str, Any], Any]:
    """Weights and optimizer, whole, on the host."""
    if place.share.world == 1:
        return dict(model.state_dict()), optimizer.state_dict()
    weights = sharing.get_model_state_dict(model, options=_WHOLE)
    return weights, sharing.get_optimizer_state_dict(model, optimizer, options=_WHOLE)


def restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, weights: dict[str, Any], state: Any, place: Place
) -> None:
    """Put them back."""
    if place.share.world == 1:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        return
    sharing.set_model_state_dict(model, weights, options=_WHOLE_IN)
    sharing.set_optimizer_state_dict(model, optimizer, state, options=_WHOLE_IN)
