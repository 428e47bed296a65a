"""Weights of Hugging Face's BERT, CLIP and AST for our towers, by name or folder.

`transformers` opens them, for it knows every form they were ever saved in; here they only get our names.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from valor_data.errors import UserError
from valor_data.train.towers import Ast, Bert, ClipVision

Weights = Mapping[str, Tensor]


def load_bert(bert: Bert, source: str) -> None:
    """Fill a BERT; its cross-attention stays as it is, for no released BERT has one.

    Raises UserError where `source` cannot be opened or has other sizes.
    """
    found = _opened("AutoModelForMaskedLM", source).state_dict()
    _fill(bert, dict(_bert(found, len(bert.blocks))), source, own=("cross",))


def load_clip(tower: ClipVision, source: str) -> None:
    """Fill CLIP's picture tower; its positions are resized to our number of patches."""
    found = _opened("CLIPVisionModel", source).state_dict()
    wanted = dict(_clip(found, len(tower.blocks)))
    side = round((len(tower.positions) - 1) ** 0.5)
    wanted["positions"] = _resized(wanted["positions"], 1, None, (side, side))
    _fill(tower, wanted, source)


def load_ast(tower: Ast, source: str) -> None:
    """Fill AST; its positions, trained on 128 bins with overlap, are resized to our grid of patches."""
    model = _opened("ASTModel", source)
    sizes = model.config
    wanted = dict(_ast(model.state_dict(), len(tower.blocks), len(tower.first)))
    grid = (
        (sizes.num_mel_bins - sizes.patch_size) // sizes.frequency_stride + 1,
        (sizes.max_length - sizes.patch_size) // sizes.time_stride + 1,
    )
    wanted["positions"] = _resized(wanted["positions"], len(tower.first), grid, tower.grid)
    _fill(tower, wanted, source)


def open_vision(source: str) -> Any:
    """Any picture tower of Hugging Face, by name or folder; of a model with two towers, its picture side."""
    model = _opened("AutoModel", source)
    return getattr(model, "vision_model", model)


def vision_norm(source: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of RGB that the model was trained with, of values from 0 to 1."""
    processor = _opened("AutoImageProcessor", source)
    return torch.tensor(processor.image_mean), torch.tensor(processor.image_std)


class _Block(NamedTuple):
    """How Hugging Face names the parts of a block."""

    prefix: str
    """Of a block, by its number."""
    qkv: tuple[str, str, str]
    """Projections that ours fuses."""
    parts: tuple[str, ...]
    """Theirs of `_PARTS`."""


_PARTS = ("attention.out", "norm1", "norm2", "mlp.into", "mlp.out")
_BERT = _Block(
    "bert.encoder.layer.{}",
    ("attention.self.query", "attention.self.key", "attention.self.value"),
    (
        "attention.output.dense",
        "attention.output.LayerNorm",
        "output.LayerNorm",
        "intermediate.dense",
        "output.dense",
    ),
)
_CLIP = _Block(
    "encoder.layers.{}",
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.out_proj", "layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
)
_AST = _Block(
    "layers.{}",
    ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    ("attention.o_proj", "layernorm_before", "layernorm_after", "mlp.fc1", "mlp.fc2"),
)


def _bert(found: Weights, layers: int) -> Iterator[tuple[str, Tensor]]:
    yield "words.weight", found["bert.embeddings.word_embeddings.weight"]
    yield "positions.weight", found["bert.embeddings.position_embeddings.weight"]
    yield "kinds", found["bert.embeddings.token_type_embeddings.weight"]
    yield "head_bias", found["cls.predictions.bias"]
    yield from _renamed(found, "bert.embeddings.LayerNorm", "norm")
    yield from _renamed(found, "cls.predictions.transform.dense", "head")
    yield from _renamed(found, "cls.predictions.transform.LayerNorm", "head_norm")
    yield from _blocks(found, _BERT, layers)


def _clip(found: Weights, layers: int) -> Iterator[tuple[str, Tensor]]:
    yield "first", found["embeddings.class_embedding"]
    yield "patches.weight", found["embeddings.patch_embedding.weight"]
    yield "positions", found["embeddings.position_embedding.weight"]
    yield from _renamed(found, "pre_layrnorm", "norm_before")
    yield from _renamed(found, "post_layernorm", "norm_after")
    yield from _blocks(found, _CLIP, layers)


def _ast(found: Weights, layers: int, first_tokens: int) -> Iterator[tuple[str, Tensor]]:
    firsts = torch.cat([found["embeddings.cls_token"][0], found["embeddings.distillation_token"][0]])
    positions = found["embeddings.position_embeddings"][0]
    yield "first", firsts[:first_tokens]
    yield "positions", torch.cat([positions[:first_tokens], positions[2:]])
    yield from _renamed(found, "embeddings.patch_embeddings.projection", "patches")
    yield from _renamed(found, "layernorm", "norm_after")
    yield from _blocks(found, _AST, layers)


def _blocks(found: Weights, block: _Block, layers: int) -> Iterator[tuple[str, Tensor]]:
    for layer in range(layers):
        theirs, ours = block.prefix.format(layer), f"blocks.{layer}"
        for kind in ("weight", "bias"):
            fused = [found[f"{theirs}.{part}.{kind}"] for part in block.qkv]
            yield f"{ours}.attention.qkv.{kind}", torch.cat(fused)
        for part, name in zip(block.parts, _PARTS, strict=True):
            yield from _renamed(found, f"{theirs}.{part}", f"{ours}.{name}")


def _renamed(found: Weights, theirs: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", found[f"{theirs}.{kind}"]


def _resized(
    positions_ND: Tensor, first: int, grid: tuple[int, int] | None, wanted: tuple[int, int]
) -> Tensor:
    """Positions of a grid of patches for another grid, bilinearly; the first tokens keep theirs."""
    side = round((len(positions_ND) - first) ** 0.5)
    rows, columns = grid or (side, side)
    if (rows, columns) == wanted:
        return positions_ND
    patches_1DRC = positions_ND[first:].T.reshape(1, -1, rows, columns)
    resized = F.interpolate(patches_1DRC, wanted, mode="bilinear", align_corners=False)
    return torch.cat([positions_ND[:first], resized.flatten(2)[0].T])


def _opened(kind: str, source: str) -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(
            f"{source}: pretrained weights need transformers: pip install 'valor-data[hf]'"
        ) from None
    try:
        return getattr(transformers, kind).from_pretrained(source)
    except (OSError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise UserError(f"{source}: no weights of a {kind} there: {told}") from None


def _fill(tower: nn.Module, wanted: Weights, source: str, own: tuple[str, ...] = ()) -> None:
    standing = tower.state_dict()
    for name, value in wanted.items():
        if standing[name].shape != value.shape:
            raise UserError(
                f"{source}: {name} is {tuple(value.shape)} there and {tuple(standing[name].shape)} in the "
                "config; give the model's own width, layers, heads and patch in [model]"
            )
    missing = [name for name in standing if name not in wanted and not any(part in name for part in own)]
    assert not missing, missing
    tower.load_state_dict({**standing, **wanted})
