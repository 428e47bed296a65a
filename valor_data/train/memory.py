"""How much memory a run takes: weights, gradients, optimizer, and what forward keeps for backward.

Kept for a token of a block, in widths: the stream's norms keep their inputs (fp32); products keep theirs, and
attention its queries, keys, values and result (the precision's bytes). With checkpointing a block keeps its
input alone, and the largest block is there whole once more while it is computed again. What comes and goes
between is not counted: on a CPU the peak was a seventh higher.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from valor_data.train.config import ModelConfig, Pretrain, Tower, VisionConfig
from valor_data.train.losses import CHUNK_ELEMENTS
from valor_data.train.scale import Pass, tokens

_ONEDNN, _ONEDNN_AGAIN = 0.7, 0.3
"""Of the activations, what a CPU's layers keep besides, as copies in oneDNN's form (seen with four layers of
256); the second with checkpointing."""
_STREAM = 4
"""Bytes of a number of the residual stream, in every precision."""


class Weights(NamedTuple):
    """Numbers of a model that are learned."""

    all: int
    blocks: int
    """Those of them in the blocks of picture and sound, which FSDP shares block by block; the rest stands
    together."""
    largest_block: int


class Need(NamedTuple):
    """Bytes on one device."""

    weights: float
    gradients: float
    optimizer: float
    exchange: float
    """Whole weights and gradients that FSDP gathers for a while, and weights in half precision."""
    activations: float

    @property
    def fixed(self) -> float:
        """What no smaller batch takes away."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        return sum(self)


def need(config: Pretrain, weights: Weights, size: Pass, world: int = 1, *, cpu: bool = False) -> Need:
    """What one of `world` devices must hold."""
    low = 4 if config.optim.precision == "fp32" else 2
    half = weights.all * low if low < 4 else 0
    kept = sum(activations(config, size, cpu=cpu).values())
    if cpu and low == 4 and torch.backends.mkldnn.enabled:
        kept *= 1 + (_ONEDNN_AGAIN if config.optim.checkpointing else _ONEDNN)
    if not (config.optim.fsdp and world > 1):
        return Need(4 * weights.all, 4 * weights.all, 8 * weights.all, half, kept)
    own = weights.all / world
    standing = weights.all - weights.blocks + 2 * weights.largest_block  # one works, the next is on its way
    return Need(4 * own, 4 * own, 8 * own, standing * (4 + 4 + (low if low < 4 else 0)), kept)


def activations(config: Pretrain, size: Pass, *, cpu: bool = False, whole: bool = False) -> dict[str, float]:
    """Bytes that a pass keeps, by part; `whole`: as if without checkpointing.

    `cpu`: dropout there keeps its numbers in full, and attention with dropout all its products. A tower of
    Hugging Face is taken for a ViT of the config's sizes.
    """
    model, settings = config.model, config.optim
    low = 4 if settings.precision == "fp32" else 2
    again = settings.checkpointing and not whole
    vision, audio, text = model.vision, model.audio, model.text
    frame, piece = tokens(model)
    number = low if cpu else 1
    heard, said = number * (audio.dropout > 0), number * (text.dropout > 0)
    sound = _pre_norm(audio.width, audio.mlp_width, piece, low, heard)
    if cpu and audio.dropout:
        sound += _products(audio, piece, piece)
    row, wide = _Row(size.words, size.padded), cpu and text.dropout > 0
    word = _inward(text, row, low, said, wide) + _mlp(text, size.words, low, said)
    images = 3 * vision.resolution**2 * low + 2 * frame * vision.width * _STREAM
    spectra = audio.mel_bins * audio.slice_frames * low + piece * audio.width * (_STREAM + heard)
    seen = [
        (blocks, count * width, _pre_norm(width, round(width * vision.mlp_ratio), count, low, 0))
        for blocks, count, width in _stages(vision, frame)
    ]
    return {
        "vision": size.clips * size.frames * (images + _layers(seen, again)),
        "audio": size.clips
        * size.slices
        * (spectra + _layers([(audio.layers, piece * audio.width, sound)], again)),
        "text": size.clips * (text.layers * word + size.padded * text.width * (_STREAM + low)),
        "mga": _mga(size, model),
        "mgc": size.clips * _mgc(model, size, low, again, said, wide),
    }


def _stages(vision: VisionConfig, frame: int) -> list[tuple[int, int, int]]:
    """Blocks, tokens of a frame and width: of a ViT one stage, of Swin four."""
    if vision.kind != "swin":
        return [(vision.layers, frame, vision.width)]
    depths = (2, 2, vision.layers - 6, 2)
    return [(depth, frame * 4 ** (3 - at), vision.width >> (3 - at)) for at, depth in enumerate(depths)]


def _layers(stages: Sequence[tuple[int, int, float]], again: bool) -> float:
    """Of blocks, with the numbers that go into each and the bytes that it keeps."""
    if again:
        return sum(blocks * into * _STREAM for blocks, into, _ in stages) + max(kept for *_, kept in stages)
    return sum(blocks * kept for blocks, _, kept in stages)


class _Row(NamedTuple):
    """A caption's words, and its length with pads."""

    words: float
    padded: float


def _pre_norm(width: int, hidden: int, count: float, low: int, noise: int) -> float:
    return count * (width * (2 * _STREAM + 6 * low + 2 * noise) + 2 * hidden * low)


def _inward(text: Tower, row: _Row, low: int, noise: int, products: bool) -> float:
    """Self-attention and its norm; of a norm's result the next product keeps a copy in its own bytes."""
    kept = text.width * (row.words * (_STREAM + 5 * low + noise) + row.padded * 4 * low)
    return kept + (_products(text, row.padded, row.padded) if products else 0)


def _cross(text: Tower, row: _Row, low: int, noise: int) -> float:
    return text.width * (row.words * (_STREAM + 3 * low + noise) + row.padded * 2 * low)


def _mlp(text: Tower, words: float, low: int, noise: int) -> float:
    return words * (text.width * (_STREAM + low + noise) + 2 * text.mlp_width * low)


def _products(tower: Tower, queries: float, keys: float) -> float:
    """What attention with dropout keeps, in fp32, where it is not fused: products, noise, and both."""
    return 3 * tower.heads * queries * keys * _STREAM


def _mga(size: Pass, model: ModelConfig) -> float:
    """Products of the groups in fp32, with the masks of both sides; large ones come in pieces."""
    products = size.everyone**2 * size.padded * (2 * (size.frames + size.slices))
    return min(products, 2 * CHUNK_ELEMENTS) * 6 + size.everyone * model.contra_dim * size.padded * 12


def _mgc(model: ModelConfig, size: Pass, low: int, again: bool, noise: int, wide: bool) -> float:
    """The decoder: keys and values of all layers, three groups of words, logits of the hidden ones in fp32
    (kept, and their gradient)."""
    text, groups, row = model.text, 3, _Row(size.words, size.padded)
    D, K = text.width, size.frames * tokens(model)[0] + size.slices * tokens(model)[1]
    copies = text.layers if low < 4 else 1
    projected = text.layers * 2 * 2 * K * D * low + copies * K * D * low
    inward = _inward(text, row, low, noise, wide)
    products = _products(text, size.padded, 2 * K) if wide else 0

    def finish(words: float) -> float:
        kept = _cross(text, _Row(words, size.padded), low, noise) + _mlp(text, words, low, noise)
        return groups * kept + products

    last = text.layers - 1
    decoded = inward + last * (groups * inward + finish(size.words)) + finish(size.masked)
    if again:
        block = groups * inward + finish(size.words)
        decoded = text.layers * groups * size.words * D * _STREAM + block
    predicted = groups * size.masked * (D * (3 * low + _STREAM) + 2 * text.vocabulary * _STREAM)
    return projected + decoded + predicted
