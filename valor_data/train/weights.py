"""Weights of Hugging Face's BERT, CLIP and AST for our towers, by name or folder.

`transformers` opens them, for it knows every form they were ever saved in; here they only get our names.
"""

from collections.abc import Iterator, Mapping
from typing import Any

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


def _bert(found: Weights, layers: int) -> Iterator[tuple[str, Tensor]]:
    yield "words.weight", found["bert.embeddings.word_embeddings.weight"]
    yield "positions.weight", found["bert.embeddings.position_embeddings.weight"]
    yield "kinds", found["bert.embeddings.token_type_embeddings.weight"]
    yield from _renamed(found, "bert.embeddings.LayerNorm", "norm")
    for layer in range(layers):
        theirs, ours = f"bert.encoder.layer.{layer}", f"blocks.{layer}"
        yield from _fused(
            found, f"{theirs}.attention.self", ("query", "key", "value"), f"{ours}.attention.qkv"
        )
        for part, name in (
            ("attention.output.dense", "attention.out"),
            ("attention.output.LayerNorm", "norm1"),
            ("intermediate.dense", "mlp.into"),
            ("output.dense", "mlp.out"),
            ("output.LayerNorm", "norm2"),
        ):
            yield from _renamed(found, f"{theirs}.{part}", f"{ours}.{name}")
    yield from _renamed(found, "cls.predictions.transform.dense", "head")
    yield from _renamed(found, "cls.predictions.transform.LayerNorm", "head_norm")
    yield "head_bias", found["cls.predictions.bias"]


def _clip(found: Weights, layers: int) -> Iterator[tuple[str, Tensor]]:
    yield "first", found["embeddings.class_embedding"]
    yield "patches.weight", found["embeddings.patch_embedding.weight"]
    yield "positions", found["embeddings.position_embedding.weight"]
    yield from _renamed(found, "pre_layrnorm", "norm_before")
    yield from _renamed(found, "post_layernorm", "norm_after")
    for layer in range(layers):
        theirs, ours = f"encoder.layers.{layer}", f"blocks.{layer}"
        yield from _fused(
            found, f"{theirs}.self_attn", ("q_proj", "k_proj", "v_proj"), f"{ours}.attention.qkv"
        )
        for part, name in (
            ("self_attn.out_proj", "attention.out"),
            ("layer_norm1", "norm1"),
            ("layer_norm2", "norm2"),
            ("mlp.fc1", "mlp.into"),
            ("mlp.fc2", "mlp.out"),
        ):
            yield from _renamed(found, f"{theirs}.{part}", f"{ours}.{name}")


def _ast(found: Weights, layers: int, first_tokens: int) -> Iterator[tuple[str, Tensor]]:
    firsts = torch.cat([found["embeddings.cls_token"][0], found["embeddings.distillation_token"][0]])
    yield "first", firsts[:first_tokens]
    positions = found["embeddings.position_embeddings"][0]
    yield "positions", torch.cat([positions[:first_tokens], positions[2:]])
    yield from _renamed(found, "embeddings.patch_embeddings.projection", "patches")
    yield from _renamed(found, "layernorm", "norm_after")
    for layer in range(layers):
        theirs, ours = f"layers.{layer}", f"blocks.{layer}"
        yield from _fused(
            found, f"{theirs}.attention", ("q_proj", "k_proj", "v_proj"), f"{ours}.attention.qkv"
        )
        for part, name in (
            ("attention.o_proj", "attention.out"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("mlp.fc1", "mlp.into"),
            ("mlp.fc2", "mlp.out"),
        ):
            yield from _renamed(found, f"{theirs}.{part}", f"{ours}.{name}")


def _renamed(found: Weights, theirs: str, ours: str) -> Iterator[tuple[str, Tensor]]:
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", found[f"{theirs}.{kind}"]


def _fused(found: Weights, theirs: str, parts: tuple[str, ...], ours: str) -> Iterator[tuple[str, Tensor]]:
    for kind in ("weight", "bias"):
        yield f"{ours}.{kind}", torch.cat([found[f"{theirs}.{part}.{kind}"] for part in parts])


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
