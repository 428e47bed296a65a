"""The bill of a config: what a clip, a step and a device's memory come to."""

from typing import Literal, NamedTuple

import numpy as np

from valor_data.train import memory, scale
from valor_data.train.blocks import PreNormBlock
from valor_data.train.build import outline, tower_flops
from valor_data.train.config import Pretrain
from valor_data.train.devices import Device
from valor_data.train.memory import Need, Weights
from valor_data.train.model import Valor
from valor_data.train.scale import Work

GIB = 2**30
Payload = Literal["train", "video"]


class Data(NamedTuple):
    """What a clip asks of loaders."""

    bytes: float
    """Of its members."""
    decode_s: float
    """Seconds of a core for its frames, its spectrogram, and its captions."""
    pieces: float
    """Word pieces of a caption."""


_FRAMES = (1, 2, 4, 8)
_DECODE_MS = {"train": (13.8, 15.2, 17.2, 20.5), "video": (73.9, 97.9, 139.4, 160.7)}
"""CPU time of one core of an AMD EPYC for so many frames at 224 pixels and one slice at 22,050 Hz, clips of
10 s: means of eight real ones and of four rendered at 640x360; beyond eight frames as for eight."""
_BYTES = {"train": 527_000, "video": 973_000}
"""Of the same clips: 236 kB of picture and 291 kB of flac at 22,050 Hz, or the clip as fetched."""
PIECES = 20.0
"""Of a caption of VALOR-32K."""


def assumed(payload: Payload, frames: int) -> Data:
    """A clip of ten seconds, where no release is at hand."""
    return Data(_BYTES[payload], float(np.interp(frames, _FRAMES, _DECODE_MS[payload])) / 1000, PIECES)


class Bill(NamedTuple):
    """What a config costs on `world` devices."""

    config: Pretrain
    world: int
    weights: Weights
    tower: float
    """`build.tower_flops`."""
    parts: dict[str, Work]
    """Of one pass of one process."""
    kept: dict[str, float]
    """Bytes that a pass would keep for its backward pass without checkpointing, by part."""
    need: Need

    @property
    def clips(self) -> float:
        """Of a step, over all devices."""
        return self.config.data.batch

    def flops_a_clip(self, pieces: float | None = None, asked: float | None = None) -> float:
        """Forward and backward, without what checkpointing repeats; of captions of so many word pieces, or of
        answers to questions of `asked`."""
        parts = self.parts
        if pieces is not None:
            size = scale.pass_of(self.config, self.world, pieces, asked)
            parts = scale.flops(self.config.model, size, tower=self.tower, asks=asked is not None)
        passes = self.config.optim.accumulate * self.world
        return scale.total(parts).trained * passes / self.clips

    def step_s(self, device: Device) -> float | None:
        """Seconds of a step; None where the device's peak is not known."""
        return scale.step_seconds(self.config, self.parts, self.kept, self.weights.all, device, self.world)

    def rate(self, device: Device) -> float | None:
        """Clips a second of each device."""
        step = self.step_s(device)
        return None if step is None else self.clips / self.world / step

    @property
    def memory_line(self) -> str:
        """What the memory of a device is taken by, in GiB."""
        need = self.need
        parts = {
            "weights": need.weights,
            "gradients": need.gradients,
            "optimizer": need.optimizer,
            "copies and exchange": need.exchange,
            "activations": need.activations,
        }
        told = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts.items())
        return f"{need.total / GIB:.2f} GiB ({told})"

    @property
    def batch_bytes(self) -> float:
        """Of a process's decoded batch, which workers hand over in shared memory."""
        data, model = self.config.data, self.config.model
        frames = data.frames * model.vision.resolution**2 * 3
        sound = data.slices * model.audio.slice_frames * model.audio.mel_bins * 4
        return self.clips / self.config.optim.accumulate / self.world * (frames + sound)

    @property
    def on_way_bytes(self) -> float:
        """Of the batches that a process's workers may hold ready: two each."""
        return 2 * self.config.data.workers * self.batch_bytes


def bill(config: Pretrain, world: int = 1, *, pieces: float = PIECES, cpu: bool = False) -> Bill:
    """The bill of one of `world` processes. Raises UserError for towers that are not to be had."""
    model = outline(config.model)
    tower = tower_flops(model, config.data.frames)
    size = scale.pass_of(config, world, pieces)
    weights = weights_of(model)
    return Bill(
        config,
        world,
        weights,
        tower,
        scale.flops(config.model, size, checkpointing=config.optim.checkpointing, tower=tower),
        memory.activations(config, size, cpu=cpu, whole=True),
        memory.need(config, weights, size, world, cpu=cpu),
    )


def weights_of(model: Valor) -> Weights:
    """Numbers of a model, by how FSDP would share them."""
    blocks = [
        sum(weight.numel() for weight in block.parameters())
        for block in model.modules()
        if isinstance(block, PreNormBlock)
    ]
    every = sum(weight.numel() for weight in model.parameters())
    return Weights(every, sum(blocks), max(blocks, default=0))
