"""Video Swin of torchvision as VALOR uses it: tokens of a frame in the light of its neighbours.

torchvision is imported here and nowhere else, and only for a config that asks for it.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from valor_data.errors import UserError
from valor_data.train.config import VisionConfig

_SIZES: Mapping[tuple[int, int], str] = {(768, 12): "t", (768, 24): "s", (1024, 24): "b"}
"""Width of the last stage and blocks of all stages -> torchvision's letter."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHRINKS = 32
"""Pixels to a token, along a side."""


class SwinVision(nn.Module):
    """Video Swin (VALOR section 4.1, base).

    Its patches are two frames deep. VALOR moves them by one frame at a time, with a black one put after the
    last, so that as many maps come out as frames went in; each is a frame's tokens, and their mean stands for
    the frame.
    """

    has_first = False
    """No token stands for a frame: the mean of all does."""

    def __init__(self, config: VisionConfig) -> None:
        """Raises UserError where torchvision is missing, or knows no such size or weights."""
        super().__init__()
        size = _SIZES.get((config.width, config.layers))
        if size is None:
            known = ", ".join(f"{width} and {layers}" for width, layers in _SIZES)
            raise UserError(
                f"model.vision: no Video Swin has width {config.width} and {config.layers} layers; "
                f"there are {known}"
            )
        if config.resolution % _SHRINKS:
            raise UserError(f"model.vision.resolution: a multiple of {_SHRINKS} for kind = 'swin'")
        self.tower: Any = _opened(f"swin3d_{size}", config.weights)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1, 1), persistent=False)
        self.checkpointing = False

    def forward(self, frames_BFHWC: Tensor) -> Tensor:
        """uint8 frames (RGB) to tokens_BFSD."""
        x_BCFHW = (frames_BFHWC.permute(0, 4, 1, 2, 3).float() / 255 - self.mean) / self.std
        cut = self.tower.patch_embed
        x_BCFHW = F.pad(x_BCFHW, (0, 0, 0, 0, 0, cut.proj.kernel_size[0] - 1))
        patched = F.conv3d(x_BCFHW, cut.proj.weight, cut.proj.bias, stride=(1, *cut.proj.stride[1:]))
        x_BFHWD = patched.permute(0, 2, 3, 4, 1)
        x_BFHWD = self.tower.pos_drop(x_BFHWD if cut.norm is None else cut.norm(x_BFHWD))
        again = self.checkpointing and self.training
        for part in self.tower.features:
            for block in part if isinstance(part, nn.Sequential) else (part,):
                x_BFHWD = checkpoint(block, x_BFHWD, use_reentrant=False) if again else block(x_BFHWD)
        tokens: Tensor = self.tower.norm(x_BFHWD).flatten(2, 3)
        return tokens


def _opened(name: str, weights: str) -> Any:
    """A model of torchvision without its classifier; weights by their name, of a file, or random."""
    try:
        videos = importlib.import_module("torchvision.models.video")
    except ImportError:
        raise UserError(
            "model.vision.kind: 'swin' needs torchvision, of the release that fits your torch: "
            "pip install torchvision"
        ) from None
    file = weights if Path(weights).is_file() else ""
    try:
        tower = getattr(videos, name)(weights=None if file or not weights else weights)
        if file:
            tower.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except (KeyError, ValueError, RuntimeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"model.vision.weights: {weights}: not weights of {name}: {told}") from None
    tower.head = nn.Identity()  # or DDP would wait for gradients that never come
    return tower
