"""AdamW with the right weights free of decay, and the learning rate of a step."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from valor_data.train.config import OptimConfig

_EPS = 1e-6


def groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices of layers decay; what has one dimension (biases, norms, the temperature) and embeddings do
    not."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        learned_place = any(part in name for part in ("places", "positions", "kinds", "first"))
        plain = parameter.ndim < 2 or id(parameter) in tables or learned_place
        (free if plain else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def adamw(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """The optimizer, its rate to be set before each step."""
    first, second = config.betas
    return torch.optim.AdamW(
        groups(model, config.weight_decay), lr=config.rate, betas=(first, second), eps=_EPS, fused=True
    )


def rate_at(step: int, config: OptimConfig) -> float:
    """The learning rate of a step, counted from 0."""
    warm = math.ceil(config.warm_up * config.steps)
    if step < warm:
        return config.rate * (step + 1) / warm
    return config.rate * (config.steps - step) / max(1, config.steps - warm)
