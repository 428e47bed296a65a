"""Transformer blocks: pre-norm for picture and sound, post-norm with cross-attention for text.

Shapes: B rows, L tokens, D width, H heads, K tokens that are looked at.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's approximation of GELU."""
    return x * torch.sigmoid(1.702 * x)


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


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence to itself, with fused projections."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BLD: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """`mask` is true where a query may look, and broadcasts to (B, H, L, L); or all earlier ones."""
        q, k, v = (_heads(part, self.heads) for part in self.qkv(x_BLD).chunk(3, dim=-1))
        dropout = self.dropout if self.training else 0.0
        looked = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=causal)
        projected: Tensor = self.out(_merged(looked))
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
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def project(self, seen_BKD: Tensor) -> KeysValues:
        """Keys and values of what is looked at."""
        keys, values = self.kv(seen_BKD).chunk(2, dim=-1)
        return KeysValues(_heads(keys, self.heads), _heads(values, self.heads))

    def forward(self, x_BLD: Tensor, groups: "Sequence[Group]") -> Tensor:
        """Rows of `x_BLD` belong to the groups in turn, as many to each as it has."""
        dropout = self.dropout if self.training else 0.0
        queries = _heads(self.q(x_BLD), self.heads)
        looked = [
            F.scaled_dot_product_attention(
                q, group.seen.keys_BHKD, group.seen.values_BHKD, group.mask, dropout
            )
            for q, group in zip(queries.split([len(g.seen[0]) for g in groups]), groups, strict=True)
        ]
        projected: Tensor = self.out(_merged(torch.cat(looked) if len(looked) > 1 else looked[0]))
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
        self.into = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, width)
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

    def look_inward(self, x_BLD: Tensor, mask: Tensor | None, *, causal: bool = False) -> Tensor:
        """The first part: self-attention."""
        y: Tensor = self.norm1(x_BLD + self.dropout(self.attention(x_BLD, mask, causal=causal)))
        return y

    def extend(self, x_BLD: Tensor, past: KeysValues, mask: Tensor) -> tuple[Tensor, KeysValues]:
        """`look_inward` for words that follow on others."""
        attended, known = self.attention.extend(x_BLD, past, mask)
        return self.norm1(x_BLD + attended), known

    def finish(self, x_BLD: Tensor, groups: Sequence[Group]) -> Tensor:
        """The rest: cross-attention where there are groups, then the MLP."""
        if groups:
            x_BLD = self.norm_cross(x_BLD + self.dropout(self.cross(x_BLD, groups)))
        y: Tensor = self.norm2(x_BLD + self.dropout(self.mlp(x_BLD)))
        return y
