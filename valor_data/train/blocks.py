"""Transformer blocks: pre-norm for picture and sound, post-norm with cross-attention for text.

Shapes: B rows, L tokens, D width, H heads, K tokens that are looked at, W words of all rows. What a `Rows` is
given with has the words of all rows in one list, (W, D), in place of rows (B, L, D).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from valor_data.train.linear import Linear

Activation = Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU, x * sigmoid(1.702 x)."""
    return F.silu(x * 1.702) / 1.702


class Rows(NamedTuple):
    """Where words stand in padded rows. Attention needs rows; all else is done on the words alone."""

    rows: int
    length: int
    places_W: Tensor
    """In the flattened rows, each once."""

    def padded(self, x_WD: Tensor) -> Tensor:
        """Words in their rows, (B, L, D), zeros at pads."""
        flat = x_WD.new_zeros(self.rows * self.length, x_WD.shape[1]).index_copy(0, self.places_W, x_WD)
        return flat.view(self.rows, self.length, -1)

    def packed(self, x_BLD: Tensor) -> Tensor:
        """Words without their rows, (W, D)."""
        return x_BLD.flatten(0, 1)[self.places_W]

    def times(self, groups: int) -> "Rows":
        """As many copies of the rows, one after the other."""
        firsts_G1 = torch.arange(groups, device=self.places_W.device)[:, None] * (self.rows * self.length)
        return Rows(groups * self.rows, self.length, (firsts_G1 + self.places_W).flatten())


class KeysValues(NamedTuple):
    """What a cross-attention looks at, projected."""

    keys_BHKD: Tensor
    values_BHKD: Tensor

    def cat(self, other: "KeysValues") -> "KeysValues":
        """Both, one after the other."""
        return KeysValues(torch.cat([self[0], other[0]], dim=2), torch.cat([self[1], other[1]], dim=2))


def _heads(x_BLD: Tensor, heads: int) -> Tensor:
    B, L, D = x_BLD.shape
    return x_BLD.view(B, L, heads, D // heads).transpose(1, 2)


def _merged(x_BHLD: Tensor) -> Tensor:
    return x_BHLD.transpose(1, 2).flatten(2)


def _in_rows(x: Tensor, rows: Rows | None) -> Tensor:
    return x if rows is None else rows.padded(x)


def _out_of_rows(x_BLD: Tensor, rows: Rows | None) -> Tensor:
    return x_BLD if rows is None else rows.packed(x_BLD)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself, with fused projections."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, *, causal: bool = False, rows: Rows | None = None
    ) -> Tensor:
        """`mask` is true where a query may look, and broadcasts to (B, H, L, L); or all earlier ones."""
        qkv = _in_rows(self.qkv(x), rows)
        q, k, v = (_heads(part, self.heads) for part in qkv.chunk(3, dim=-1))
        dropout = self.dropout if self.training else 0.0
        looked = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)
        projected: Tensor = self.out(_out_of_rows(_merged(looked), rows))
        return projected

    def extend(self, x_BLD: Tensor, past: "KeysValues", mask: Tensor) -> "tuple[Tensor, KeysValues]":
        """The same for words that follow on others, whose keys and values are `past`; and those of all.

        `mask` is true where a query may look, and broadcasts to (B, H, L, past + L).
        """
        q, k, v = (_heads(part, self.heads) for part in self.qkv(x_BLD).chunk(3, dim=-1))
        known = past.cat(KeysValues(k, v))
        projected: Tensor = self.out(_merged(F.scaled_dot_product_attention(q, *known, mask)))
        return projected, known


class CrossAttention(nn.Module):
    """Multi-head attention to tokens of another kind; keys and values are projected once for many queries."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q = Linear(width, width)
        self.kv = Linear(width, 2 * width)
        self.out = Linear(width, width)

    def project(self, seen_BKD: Tensor) -> KeysValues:
        """Keys and values of what is looked at."""
        keys, values = self.kv(seen_BKD).chunk(2, dim=-1)
        return KeysValues(_heads(keys, self.heads), _heads(values, self.heads))

    def forward(self, x: Tensor, groups: "Sequence[Group]", rows: Rows | None = None) -> Tensor:
        """Rows belong to the groups in turn, as many to each as it has."""
        dropout = self.dropout if self.training else 0.0
        queries = _heads(_in_rows(self.q(x), rows), self.heads)
        looked = [
            F.scaled_dot_product_attention(
                q, group.seen.keys_BHKD, group.seen.values_BHKD, group.mask, dropout
            )
            for q, group in zip(queries.split([len(g.seen[0]) for g in groups]), groups, strict=True)
        ]
        merged = _merged(torch.cat(looked) if len(looked) > 1 else looked[0])
        projected: Tensor = self.out(_out_of_rows(merged, rows))
        return projected


class Group(NamedTuple):
    """What some rows look at in one layer."""

    seen: KeysValues
    mask: Tensor | None = None
    """True where a token stands, (B, 1, 1, K); None: all do."""


class Mlp(nn.Module):
    """Two layers with an activation between."""

    def __init__(self, width: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.into = Linear(width, hidden)
        self.out = Linear(hidden, width)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        y: Tensor = self.out(self.activation(self.into(x)))
        return y


class PreNormBlock(nn.Module):
    """As CLIP and AST have it: normalise, work, add."""

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Activation,
        norm_eps: float,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, norm_eps), nn.LayerNorm(width, norm_eps)
        self.attention = SelfAttention(width, heads, dropout)
        self.mlp = Mlp(width, hidden, activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Same shape as `x_BLD`."""
        x_BLD = x_BLD + self.dropout(self.attention(self.norm1(x_BLD)))
        return x_BLD + self.dropout(self.mlp(self.norm2(x_BLD)))


class PostNormBlock(nn.Module):
    """As BERT has it: work, add, normalise; between its two halves it may look at picture and sound."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads, dropout)
        self.cross = CrossAttention(width, heads, dropout)
        self.mlp = Mlp(width, hidden, F.gelu)
        self.norm1, self.norm_cross, self.norm2 = (nn.LayerNorm(width, 1e-12) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def look_inward(
        self, x: Tensor, mask: Tensor | None, *, causal: bool = False, rows: Rows | None = None
    ) -> Tensor:
        """The first part: self-attention."""
        y: Tensor = self.norm1(x + self.dropout(self.attention(x, mask, causal=causal, rows=rows)))
        return y

    def extend(self, x_BLD: Tensor, past: KeysValues, mask: Tensor) -> tuple[Tensor, KeysValues]:
        """`look_inward` for words that follow on others."""
        attended, known = self.attention.extend(x_BLD, past, mask)
        return self.norm1(x_BLD + attended), known

    def finish(self, x: Tensor, groups: Sequence[Group], rows: Rows | None = None) -> Tensor:
        """The rest: cross-attention where there are groups, then the MLP."""
        if groups:
            x = self.norm_cross(x + self.dropout(self.cross(x, groups, rows)))
        y: Tensor = self.norm2(x + self.dropout(self.mlp(x)))
        return y
