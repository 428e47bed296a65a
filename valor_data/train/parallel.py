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
_PART_IN = sharing.StateDictOptions(full_state_dict=True, strict=False)


class Place(NamedTuple):
    """Where this process stands among those that train together."""

    share: Share
    device: torch.device
    hosts: Any = None
    """The group through which hosts talk while GPUs work: by NCCL each question would wait until a GPU has
    done all that it was given. None: the processes' own group."""

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes and tells."""
        return self.share.rank == 0

    def any(self, asked: bool) -> bool:
        """Whether any process was asked: signals reach them at different moments."""
        if self.share.world == 1:
            return asked
        answer = torch.tensor(int(asked))
        dist.all_reduce(answer, dist.ReduceOp.MAX, group=self.hosts)
        return bool(answer.item())

    def gathered(self, value: Any) -> list[Any]:
        """Everybody's value, by rank."""
        if self.share.world == 1:
            return [value]
        values: list[Any] = [None] * self.share.world
        dist.all_gather_object(values, value, group=self.hosts)
        return values

    def wait(self) -> None:
        """Until all are here."""
        if self.share.world > 1:
            dist.barrier(group=self.hosts)


def device_of(asked: str) -> torch.device:
    """The device of this process; `asked` is `auto`, `cpu` or `cuda`.

    Raises UserError where a GPU is asked for and there is none, or fewer than processes.
    """
    has_gpu = torch.cuda.is_available()
    if asked == "cuda" and not has_gpu:
        raise UserError('device = "cuda", but torch sees no GPU; take device = "cpu", or mend the driver')
    if not has_gpu or asked == "cpu":
        return torch.device("cpu")
    local, count = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= count:
        raise UserError(f"torchrun: process {local} of this machine has no GPU; --nproc-per-node={count}")
    return torch.device("cuda", local)


@contextmanager
def joined(device: str) -> Iterator[Place]:
    """Join the others, if there are any. `device` is `auto`, `cpu` or `cuda`.

    Raises UserError where a GPU is asked for and there is none.
    """
    here, world = device_of(device), int(os.environ.get("WORLD_SIZE", 1))
    gpu = here.type == "cuda"
    if gpu:
        torch.cuda.set_device(here)
    if world == 1:
        yield Place(Share(), here)
        return
    # Told its device, NCCL need not guess it at the first barrier.
    dist.init_process_group("nccl" if gpu else "gloo", device_id=here if gpu else None)
    try:
        yield Place(Share(dist.get_rank(), world), here, dist.new_group(backend="gloo") if gpu else None)
    finally:
        dist.destroy_process_group()


def wrap(model: nn.Module, config: OptimConfig, place: Place, *, asks: bool) -> nn.Module:
    """The model as it is trained: compiled, its gradients exchanged (DDP), or its weights shared (FSDP2).
    `asks`: some steps learn answers, and have no use for what MGA alone takes.

    Shared weights are gathered in fp32 and rounded by autocast, as they are with DDP, so that both train the
    same model: FSDP2's own mixed precision would also round the stream between blocks.
    """
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
    return DistributedDataParallel(
        model,
        device_ids=[place.device] if place.device.type == "cuda" else None,
        forward_sync_buffers=False,  # they are constants: means and deviations of pictures
        gradient_as_bucket_view=True,  # or gradients would stand in memory twice
        find_unused_parameters=asks or len(config.groups) < 3,  # without a group a sense may be of no use
    )


def states(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], Any]:
    """Weights and optimizer, whole, on the host, by the names of weights: any number of processes may go on
    with them, however they share the model."""
    weights = sharing.get_model_state_dict(model, options=_WHOLE)
    return weights, sharing.get_optimizer_state_dict(model, optimizer, options=_WHOLE)


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, weights: dict[str, Any], state: Any) -> None:
    """Put them back; of a weight that has had no gradient yet, the optimizer knows nothing."""
    sharing.set_model_state_dict(model, weights, options=_WHOLE_IN)
    sharing.set_optimizer_state_dict(model, optimizer, state, options=_PART_IN)
    for name, weight in model.named_parameters():
        if name not in state["state"]:  # torch has made a first step with it, of no length
            optimizer.state.pop(weight, None)
