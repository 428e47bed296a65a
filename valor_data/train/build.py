"""A model with its pretrained weights, from its config."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from valor_data.errors import UserError
from valor_data.train import weights
from valor_data.train.config import ModelConfig, VisionConfig
from valor_data.train.model import Valor
from valor_data.train.swin import SwinVision
from valor_data.train.towers import ClipVision


def build(config: ModelConfig, *, pretrained: bool = True) -> Valor:
    """The model; without `pretrained` its weights stay random, for a checkpoint is to fill them.

    Raises UserError for weights that are not there or do not fit.
    """
    model = Valor(config, _other_vision(config.vision, pretrained=pretrained))
    if not pretrained:
        return model
    if config.vision.weights and isinstance(model.vision, ClipVision):
        weights.load_clip(model.vision, config.vision.weights)
    if config.audio.weights:
        weights.load_ast(model.audio, config.audio.weights)
    if config.text.weights:
        weights.load_bert(model.bert, config.text.weights)
    return model


def outline(config: ModelConfig) -> Valor:
    """The model as shapes without numbers (torch's meta device): it takes no memory and no time.

    Raises UserError for a picture tower that is not there; one of Hugging Face is read for its shapes.
    """
    if config.vision.kind == "huggingface":
        vision = _other_vision(config.vision, pretrained=True)
        with torch.device("meta"):
            return Valor(config, vision).to("meta")
    with torch.device("meta"):
        return Valor(config, _other_vision(config.vision, pretrained=False))


def tower_flops(model: Valor, frames: int) -> float:
    """Operations of an outlined picture tower for a clip, counted on its shapes; 0 for CLIP's, for
    they follow from its config."""
    vision, side = model.config.vision, model.config.vision.resolution
    if vision.kind == "clip":
        return 0.0
    clip = torch.empty(1, frames, side, side, 3, dtype=torch.uint8, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.vision(clip)
    return float(counter.get_total_flops())


class HuggingFaceVision(nn.Module):
    """Any picture tower of Hugging Face, frame by frame; its first token stands for a frame."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.tower: Any = weights.open_vision(config.weights)
        sizes = self.tower.config
        width, side = sizes.hidden_size, getattr(sizes, "image_size", config.resolution)
        if width != config.width:
            raise UserError(f"{config.weights}: its width is {width}; say so in model.vision.width")
        if side != config.resolution:
            raise UserError(f"{config.weights}: it takes {side} pixels; say so in model.vision.resolution")
        mean, std = weights.vision_norm(config.weights)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean.view(3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(3, 1, 1), persistent=False)
        self.checkpointing = False

    def forward(self, frames_BFHWC: Tensor) -> Tensor:
        """uint8 frames (RGB) to tokens_BFSD."""
        rows, frames = frames_BFHWC.shape[:2]
        x = (frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        tokens: Tensor = self.tower(x).last_hidden_state
        return tokens.unflatten(0, (rows, frames))


def _other_vision(config: VisionConfig, *, pretrained: bool) -> nn.Module | None:
    if config.kind == "clip":
        return None
    if config.kind == "swin":
        return SwinVision(config if pretrained else config.model_copy(update={"weights": ""}))
    if not config.weights:
        raise UserError("model.vision.weights: name the model or folder that kind = 'huggingface' takes")
    return HuggingFaceVision(config)
