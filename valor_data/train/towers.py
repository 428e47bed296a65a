"""The three encoders: CLIP's picture tower, AST, and BERT that is encoder and decoder in one.

Shapes: B clips, F frames, A slices of sound, S tokens of a frame or slice, L words, D width.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from valor_data.train.blocks import Group, KeysValues, PostNormBlock, PreNormBlock, Rows, quick_gelu
from valor_data.train.config import AudioConfig, TextConfig, VisionConfig
from valor_data.train.linear import Linear, linear

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_AST_MEAN, _AST_STD = -4.2677393, 4.5689974
"""Of AudioSet's log-mel bins, as AST states them."""


class ClipVision(nn.Module):
    """CLIP's ViT over single frames; all tokens are kept and normalised (VALOR section 4.1)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, side = config.width, config.resolution // config.patch
        self.patches = nn.Conv2d(3, width, config.patch, stride=config.patch, bias=False)
        self.first = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(torch.randn(1 + side * side, width) * 0.02)
        self.norm_before, self.norm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.ModuleList(
            PreNormBlock(width, config.heads, config.mlp_width, activation=quick_gelu, norm_eps=1e-5)
            for _ in range(config.layers)
        )
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_CLIP_STD).view(3, 1, 1), persistent=False)
        self.checkpointing = False

    def forward(self, frames_BFHWC: Tensor) -> Tensor:
        """uint8 frames (RGB) to tokens_BFSD, CLS first."""
        B, frames = frames_BFHWC.shape[:2]
        x = (frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        tokens = self.norm_after(self.states(x))
        return tokens.unflatten(0, (B, frames))

    def states(self, images_BCHW: Tensor) -> Tensor:
        """Normalised images to the last block's states, before the last norm."""
        x_BSD = self.patches(images_BCHW).flatten(2).transpose(1, 2)
        first = self.first.to(x_BSD.dtype).expand(len(x_BSD), 1, -1)
        x_BSD = self.norm_before(torch.cat([first, x_BSD], dim=1) + self.positions)
        return _through(self.blocks, x_BSD, self.checkpointing and self.training)


class Ast(nn.Module):
    """Audio Spectrogram Transformer over slices, patches of 16 x 16 without overlap (VALOR section 4.1)."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        width, patch = config.width, config.patch
        self.grid = (config.mel_bins // patch, config.slice_frames // patch)
        tokens = self.grid[0] * self.grid[1]
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.first = nn.Parameter(torch.randn(config.first_tokens, width) * 0.02)
        self.positions = nn.Parameter(torch.randn(config.first_tokens + tokens, width) * 0.02)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            PreNormBlock(
                width,
                config.heads,
                config.mlp_width,
                activation=F.gelu,
                norm_eps=1e-12,
                dropout=config.dropout,
            )
            for _ in range(config.layers)
        )
        self.norm_after = nn.LayerNorm(width, 1e-12)
        self.checkpointing = False

    def forward(self, slices_BATM: Tensor) -> Tensor:
        """Log-mel slices (time by bins) to tokens_BASD, CLS first."""
        B, slices = slices_BATM.shape[:2]
        x = (slices_BATM.flatten(0, 1) - _AST_MEAN) / (2 * _AST_STD)
        return self.states(x).unflatten(0, (B, slices))

    def states(self, mels_BTM: Tensor) -> Tensor:
        """Normalised spectrograms to tokens_BSD; patches are numbered by bin, then by time."""
        x_BSD = self.patches(mels_BTM.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)
        first = self.first.to(x_BSD.dtype).expand(len(x_BSD), -1, -1)
        x_BSD = self.dropout(torch.cat([first, x_BSD], dim=1) + self.positions)
        states: Tensor = self.norm_after(_through(self.blocks, x_BSD, self.checkpointing and self.training))
        return states


class Bert(nn.Module):
    """One BERT for both: without groups an encoder of text, with groups a decoder that looks at clips."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width = config.width
        self.words = nn.Embedding(config.vocabulary, width)
        self.positions = nn.Embedding(config.positions, width)
        self.kinds = nn.Parameter(torch.randn(2, width) * 0.02)
        """Token types: of text, and of a question or task that is put before the decoder."""
        self.norm = nn.LayerNorm(width, 1e-12)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            PostNormBlock(width, config.heads, config.mlp_width, config.dropout) for _ in range(config.layers)
        )
        self.head = Linear(width, width)
        self.head_norm = nn.LayerNorm(width, 1e-12)
        self.head_bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.checkpointing = False

    def layers(self) -> Iterator[PostNormBlock]:
        """The blocks, from the words on."""
        for block in self.blocks:
            assert isinstance(block, PostNormBlock)
            yield block

    def embed(self, words_BL: Tensor, first: int = 0, *, prompt: bool = False) -> Tensor:
        """Embeddings of words that stand at positions from `first` on."""
        where_L = torch.arange(first, first + words_BL.shape[1], device=words_BL.device)
        # The head's gradient fills the whole matrix; these rows are added to it, not a second one of zeros.
        words_BLD = F.embedding(words_BL, self.words.weight, sparse=True)
        states_BLD = words_BLD + self.positions(where_L) + self.kinds[int(prompt)]
        embedded: Tensor = self.dropout(self.norm(states_BLD))
        return embedded

    def encode(self, words_BL: Tensor, mask_BL: Tensor, places_W: Tensor) -> Tensor:
        """States of a text that sees itself whole, zeros at pads; `mask_BL` is true at words, and `places_W`
        are their places in the flattened texts."""
        mask = mask_BL[:, None, None, :]
        rows = _rows(words_BL, places_W)
        x_WD = rows.packed(self.embed(words_BL))
        for block in self.layers():
            x_WD = block.finish(block.look_inward(x_WD, mask, rows=rows), ())
        return rows.padded(x_WD)

    def project(self, seen_BKD: Tensor) -> list[KeysValues]:
        """Keys and values of a clip's tokens for every layer."""
        return [block.cross.project(seen_BKD) for block in self.layers()]

    def decode(
        self, embedded_BLD: Tensor, groups: Sequence[Sequence[Group]], mask: Tensor | None = None
    ) -> Tensor:
        """States of the same texts beside each of G groups: (G * B, L, D), group by group.

        `groups` holds for every layer the groups. Each word sees itself and what stands before it, so that
        pads, which stand last, are seen by no word; or what `mask` says, (B, 1, L, L). The first
        self-attention, which sees no clip, is done once for all groups.
        """
        count = len(groups[0])
        x_BLD = embedded_BLD
        for number, (block, seen) in enumerate(zip(self.layers(), groups, strict=True)):
            x_BLD = self._decoded(block, x_BLD, mask, seen, _Course(copies=1 if number else count))
            if not number and mask is not None:
                mask = mask.repeat(count, 1, 1, 1)
        return x_BLD

    def decode_at(
        self,
        embedded_BLD: Tensor,
        groups: Sequence[Sequence[Group]],
        places_W: Tensor,
        chosen_M: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """States of chosen words, (G * M, D): as `decode`, but pads are not worked on, nor are other words in
        the last layer. `places_W` of words and `chosen_M` are places in the flattened texts."""
        count = len(groups[0])
        rows, chosen = _rows(embedded_BLD, places_W), _rows(embedded_BLD, chosen_M).times(count)
        all_rows = rows.times(count)
        x_WD = rows.packed(embedded_BLD)
        last = len(self.blocks) - 1
        for number, (block, seen) in enumerate(zip(self.layers(), groups, strict=True)):
            course = _Course(
                1 if number else count,
                all_rows if number else rows,
                all_rows,
                chosen if number == last else None,
            )
            x_WD = self._decoded(block, x_WD, mask, seen, course)
            if not number and mask is not None:
                mask = mask.repeat(count, 1, 1, 1)
        return x_WD

    def _decoded(
        self, block: PostNormBlock, x: Tensor, mask: Tensor | None, groups: Sequence[Group], course: "_Course"
    ) -> Tensor:
        if self.checkpointing and self.training:
            decoded: Tensor = checkpoint(_decode_block, block, x, mask, groups, course, use_reentrant=False)
            return decoded
        return _decode_block(block, x, mask, groups, course)

    def predict(self, states_MD: Tensor) -> Tensor:
        """Logits over the vocabulary, whose matrix is that of the word embeddings."""
        x_MD = self.head_norm(F.gelu(self.head(states_MD)))
        return linear(x_MD, self.words.weight, self.head_bias)


def _rows(texts: Tensor, places: Tensor) -> Rows:
    """Of texts (B, L, ...)."""
    rows, length = texts.shape[:2]
    return Rows(rows, length, places)


class _Course(NamedTuple):
    """How words go through a block of the decoder; without rows they come in rows."""

    copies: int
    """Of the words, after they have looked at one another: one for each group."""
    before: Rows | None = None
    """Before they are copied."""
    after: Rows | None = None
    """And then."""
    chosen: Rows | None = None
    """The words that go on to look at clips; None: all."""


def _decode_block(
    block: PostNormBlock, x: Tensor, mask: Tensor | None, groups: Sequence[Group], course: _Course
) -> Tensor:
    x = block.look_inward(x, mask, causal=mask is None, rows=course.before)
    if course.copies > 1:
        x = torch.cat([x] * course.copies)
    if course.after is None or course.chosen is None:
        return block.finish(x, groups, course.after)
    return block.finish(course.chosen.packed(course.after.padded(x)), groups, course.chosen)


def _through(blocks: nn.ModuleList, x: Tensor, checkpointing: bool) -> Tensor:
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if checkpointing else block(x)
    return x
