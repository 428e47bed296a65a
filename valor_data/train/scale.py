"""What a config costs, from its shapes alone: floating-point operations, bytes, seconds.

Counted are the products of matrices, a multiplication and an addition each: what a device's peak is given in,
and all but a thousandth of the work. Backward asks for two products where forward has one (gradients of both
factors), and for one where the input is data. What checkpointing computes again is `again`: a device does it,
but it trains nobody, so MFU leaves it out.

Shapes: S tokens of a frame or slice, L words, K tokens that the decoder looks at, D width, H width between.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from valor_data.train.config import AudioConfig, ModelConfig, Pretrain, Tower, VisionConfig
from valor_data.train.devices import Device
from valor_data.train.losses import CHUNK_ELEMENTS
from valor_data.train.masking import ANSWER_SHARE, SHARE

MATMUL_SHARE = 0.5
"""Of a device's peak that products of matrices reach, as an estimate takes it: large ones do 0.6 to 0.7, and
norms, activations and starts of kernels stand between them."""
BANDWIDTH_SHARE = 0.8
_TF32_SHARE = 0.5
"""Of the peak in half precision, for MGA's scores, which stay in fp32."""
_MOVES = 5
"""A tensor that is kept for the backward pass is written and read going forward, read going back, and its
gradient written and read."""
_ADAMW_BYTES = 36
"""Moved for a weight by clipping and AdamW: 4 bytes of gradient read twice, weight and two moments read and
written, gradient read."""


class Pass(NamedTuple):
    """What a process computes at once."""

    clips: float
    """Of this process."""
    everyone: float
    """Clips of all processes, which MGA compares with one another."""
    frames: int
    slices: int
    words: float
    """Of a caption with [CLS] and [SEP], or of a question and its answer together."""
    padded: float
    """The same with pads, on which attention and MGA work."""
    masked: float
    """Words of a caption, or an answer, that are predicted."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations."""

    forward: float
    backward: float
    again: float = 0.0
    """Those of forward that checkpointing repeats."""

    def __mul__(self, times: float) -> "Work":
        return Work(self.forward * times, self.backward * times, self.again * times)

    def __add__(self, other: "Work") -> "Work":
        return Work(self.forward + other.forward, self.backward + other.backward, self.again + other.again)

    @property
    def trained(self) -> float:
        """Forward and backward: what MFU counts."""
        return self.forward + self.backward


def pass_of(
    config: Pretrain, world: int = 1, pieces: float | None = None, asked: float | None = None
) -> Pass:
    """The pass of one of `world` processes; `pieces` is the mean of word pieces of a caption, else all have
    as many as the config allows. `asked`: of a question, to which texts of `pieces` are answers."""
    data = config.data
    everyone = data.batch / config.optim.accumulate
    said = data.words if pieces is None else min(pieces, data.words)
    if asked is not None:
        both, hidden = said + 2 + asked + 2, ANSWER_SHARE * (said + 1)
        return Pass(everyone / world, everyone, data.frames, data.slices, both, both, hidden)
    return Pass(
        everyone / world, everyone, data.frames, data.slices, said + 2, data.words + 2, SHARE * (said + 1)
    )


def flops(
    model: ModelConfig, size: Pass, *, checkpointing: bool = False, tower: float = 0.0, asks: bool = False
) -> dict[str, Work]:
    """What a pass costs by tower and objective: `vision`, `audio`, `text`, `mga`, `mgc`; or where it `asks`
    questions, `vision`, `audio`, `qa`.

    `tower`: what a clip costs in a picture tower that is not CLIP's, of which only a run over its shapes
    tells (`build.tower_flops`).
    """
    clips = size.clips
    vision = _encoder(model.vision, 1, 3, checkpointing, dropout=0) * size.frames
    if model.vision.kind != "clip":
        vision = Work(tower, 2 * tower, tower if checkpointing else 0)
    audio = _encoder(model.audio, model.audio.first_tokens, 1, checkpointing, model.audio.dropout)
    seen = {"vision": vision * clips, "audio": audio * size.slices * clips}
    if asks:  # question and answer go through the decoder as a caption does
        return seen | {"qa": _mgc(model, size, checkpointing) * clips}
    return seen | {
        "text": _linear(model.text.layers * _block(model.text, size.words, size.padded)) * clips,
        "mga": _mga(model, size),
        "mgc": _mgc(model, size, checkpointing) * clips,
    }


def total(parts: dict[str, Work]) -> Work:
    """Of all parts."""
    return sum(parts.values(), Work(0, 0))


def step_seconds(
    config: Pretrain,
    parts: dict[str, Work],
    kept: dict[str, float],
    weights: float,
    device: Device,
    world: int,
) -> float | None:
    """Seconds of an update on `world` devices, each with its passes; None where the device's peak in the
    config's precision is not known.

    By part the longer of its operations at `MATMUL_SHARE` of the peak and its traffic at `BANDWIDTH_SHARE` of
    the bandwidth; then the traffic of AdamW over `weights`. `kept`: bytes that a part keeps for its backward
    pass without checkpointing.
    """
    precision = config.optim.precision
    known = device.peak(precision)
    if known is None:
        return None
    peak, bandwidth = known * MATMUL_SHARE, device.bandwidth * BANDWIDTH_SHARE
    slower = {"mga": 1 if precision == "fp32" else _TF32_SHARE}
    own = weights / world if config.optim.fsdp else weights
    passes = sum(
        max((work.trained + work.again) / (peak * slower.get(name, 1)), _MOVES * kept[name] / bandwidth)
        for name, work in parts.items()
    )
    return config.optim.accumulate * passes + _ADAMW_BYTES * own / bandwidth


def patches(config: VisionConfig | AudioConfig) -> int:
    """Of a frame, or of a slice."""
    if isinstance(config, VisionConfig):
        return (config.resolution // config.patch) ** 2
    return (config.mel_bins // config.patch) * (config.slice_frames // config.patch)


def tokens(model: ModelConfig) -> tuple[int, int]:
    """Of a frame and of a slice, as the decoder sees them."""
    vision = model.vision
    seen = (vision.resolution // 32) ** 2 if vision.kind == "swin" else 1 + patches(vision)
    return seen, model.audio.first_tokens + patches(model.audio)


def _linear(forward: float) -> Work:
    return Work(forward, 2 * forward)


def _attention(tower: Tower, words: float, padded: float) -> float:
    """Projections, scores and sums of a self-attention of a row."""
    D = tower.width
    return 2 * words * D * 4 * D + 4 * padded * padded * D


def _mlp(tower: Tower, words: float) -> float:
    return 4 * words * tower.width * tower.mlp_width


def _block(tower: Tower, words: float, padded: float) -> float:
    return _attention(tower, words, padded) + _mlp(tower, words)


def _encoder(
    tower: VisionConfig | AudioConfig, first: int, channels: int, checkpointing: bool, dropout: float
) -> Work:
    count = first + patches(tower)
    cut = 2 * patches(tower) * channels * tower.patch**2 * tower.width
    block = _block(tower, count, count)
    # The last product of a block is not needed again, but where dropout follows it.
    again = block if dropout else block - _mlp(tower, count) / 2
    forward = cut + tower.layers * block
    backward = cut + 2 * tower.layers * block  # data needs no gradient
    return Work(forward, backward, tower.layers * again if checkpointing else 0)


def _mga(model: ModelConfig, size: Pass) -> Work:
    """Into the common space, token weights, and every text beside every clip of everybody."""
    C, everyone, words = model.contra_dim, size.everyone, size.padded
    sides = (
        (words, model.text.width),
        (size.frames, model.vision.width),
        (size.slices, model.audio.width),
    )
    into = sum(2 * tokens * width * C for tokens, width in sides)
    weigh = sum(tokens for tokens, _ in sides) * (2 * C if model.parity == "paper" else 2 * C * C + 2 * C)
    found = _linear((into + weigh) * size.clips)
    for group in (size.frames, size.slices, size.frames + size.slices):
        scores = 2 * everyone * everyone * (words * group * C + words + group)
        chunked = everyone * words * everyone * group > CHUNK_ELEMENTS
        found += Work(scores, 2 * scores, scores if chunked else 0)
    return found


def _mgc(model: ModelConfig, size: Pass, checkpointing: bool) -> Work:
    """A clip's tokens fitted and projected, three captions decoded beside them, hidden words predicted."""
    text, groups = model.text, 3
    D, last = text.width, text.layers - 1
    looked = tuple(_looked_at(model, size))
    fitted = sum(
        2 * count * tower.width * D
        for count, tower in zip(looked, (model.vision, model.audio), strict=True)
        if tower.width != D
    )
    projected = text.layers * 2 * sum(looked) * D * 2 * D
    # In the first block words have seen no clip yet: once for all groups. The last goes on with hidden ones.
    inward = (1 + groups * last) * _attention(text, size.words, size.padded)
    finished = last * size.words + size.masked
    cross = groups * 2 * finished * D * 2 * D + text.layers * 4 * size.padded * 2 * sum(looked) * D
    decoded = inward + cross + groups * _mlp(text, finished)
    predicted = groups * 2 * size.masked * D * (D + text.vocabulary)
    work = _linear(fitted + projected + decoded + predicted)
    return replace(work, again=decoded if checkpointing else 0)


def _looked_at(model: ModelConfig, size: Pass) -> Iterator[int]:
    frame, piece = tokens(model)
    yield size.frames * frame
    yield size.slices * piece
