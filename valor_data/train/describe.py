"""What a checkpoint says of clips, and where it puts them and texts in its common space.

One vector stands for a clip's group (picture, sound, both) or a text: the mean of its tokens by the weights
that the model has learned for them, of length one. MGA's own score is finer: each token looks for its best
partner, so it needs all tokens of both sides. On 64 unseen scenes that differ by one shape or one sound, a
model that finds every one by its score finds 83 in 100 by vectors (98 among the first five; rank
correlation 0.90); by plain means 41, by the token of [CLS] 5.

Shapes: B clips or texts, N tokens, C width of the common space.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from valor_data.errors import UserError
from valor_data.train import checkpoint, losses, use
from valor_data.train.batch import encode
from valor_data.train.generate import NO_NUMBERS, generate
from valor_data.train.looking import Lot, Source, Task, look
from valor_data.train.model import Compared, GroupName, Seen
from valor_data.train.use import Opened
from valor_data.train.words import clean

Kind = Literal["v", "a", "av", "t"]
Senses = Literal["v", "a", "av"]
_SENSES: dict[GroupName, Senses] = {"tv": "v", "ta": "a", "tva": "av"}
_TEXTS_AT_A_TIME = 256


class Said(NamedTuple):
    """A model's caption."""

    name: str
    """Path of a file, or clip_id."""
    text: str
    senses: Senses
    """What it was written by: all that the clip has."""


class Placed(NamedTuple):
    """A clip, or a text, in the common space."""

    name: str
    vectors: dict[Kind, NDArray[np.float32]]
    """Of length one; `v` of the picture, `a` of the sound, `av` of both where it has both, `t` of its first
    caption where it came with one, or of a text."""
    cut: bool = False
    """A text whose end is lost, for the model takes no more words."""


class Unread(NamedTuple):
    """What could not be read."""

    name: str
    why: str


class Model(NamedTuple):
    """A checkpoint that is ready to describe."""

    opened: Opened
    name: str
    identity: str
    """Name, and a hash of weights, config and vocabulary: vectors of different ones cannot be compared."""

    @property
    def author(self) -> str:
        """Of its captions. Without the hash: what a later checkpoint says edits what this one said."""
        return f"model:{self.name}"

    @property
    def width(self) -> int:
        """Of its vectors."""
        return self.opened.config.model.contra_dim


def open_model(folder: str) -> Model:
    """A checkpoint and its identity. Raises UserError where there is none."""
    opened = use.open_checkpoint(folder)
    return Model(opened, opened.config.name, checkpoint.identity(Path(folder)))


class Looked(NamedTuple):
    """Some clips, and what the encoders see of them."""

    lot: Lot
    seen: Seen | None
    """None where nothing of the lot can be read."""


def looked_at(
    model: Model,
    sources: Sequence[Source],
    tasks: Iterable[Task],
    *,
    workers: int = 0,
    total: int | None = None,
    progress: bool = False,
) -> Iterator[Looked]:
    """The tasks in their order, some at a time, decoded by `workers` processes; `total` is for the bar
    alone."""
    valor = model.opened.model
    device = valor.temperature.device
    lots = look(model.opened.config, sources, tasks, workers=workers, pinned=device.type == "cuda")
    with tqdm(total=total, desc="look", unit="clip", disable=None if progress else True) as bar:
        for lot in lots:
            with torch.no_grad():
                seen = valor.see(lot.clips.to(device)) if lot.clips else None
            yield Looked(lot, seen)
            bar.update(len(lot.names) + len(lot.faults))


def captions(model: Model, looked: Iterable[Looked]) -> Iterator[Said | Unread]:
    """A caption of each clip, by beam search over all that it has."""
    opened = model.opened
    for lot, seen in looked:
        yield from map(Unread, lot.faults.keys(), lot.faults.values())
        said: dict[int, Said] = {}
        for group, rows in _rows_by_group(seen).items():
            own = [row for row in rows if row not in said]
            if own and seen is not None:
                some = seen.rows(torch.tensor(own, device=seen.has_video_B.device))
                for row, written in zip(
                    own, generate(opened.model, some, opened.words.vocabulary, group), strict=True
                ):
                    said[row] = Said(lot.names[row], opened.words.join(written.ids), _SENSES[group])
        yield from (said[row] for row in sorted(said))


@torch.no_grad()
def _placed(model: Model, lot: Lot, seen: Seen) -> list[Placed]:
    found: list[dict[Kind, NDArray[np.float32]]] = [{} for _ in lot.names]
    compared = model.opened.model.compare_clips(seen)
    for group, rows in reversed(_rows_by_group(seen).items()):
        vectors_BC = vectors(compared[group]).cpu().numpy()
        for row in rows:
            found[row][_SENSES[group]] = vectors_BC[row]
    told = [row for row, captioned in enumerate(lot.captions) if captioned]
    texts_BC, _ = text_embeddings(model, [lot.captions[row][0] for row in told])
    for row, vector_C in zip(told, texts_BC, strict=True):
        found[row]["t"] = vector_C
    return list(map(Placed, lot.names, found))


def embeddings(model: Model, looked: Iterable[Looked]) -> Iterator[Placed | Unread]:
    """The vectors of each clip."""
    for lot, seen in looked:
        yield from map(Unread, lot.faults.keys(), lot.faults.values())
        if seen is not None:
            yield from _placed(model, lot, seen)


def text_embeddings(model: Model, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
    """Texts in the common space, (B, C) of length one; and how many of them lost their end."""
    opened = model.opened
    device = opened.model.temperature.device
    most = opened.config.data.words
    found = [np.empty((0, model.width), np.float32)]
    truncated = 0
    for start in range(0, len(texts), _TEXTS_AT_A_TIME):
        words, cut = encode(opened.words, texts[start : start + _TEXTS_AT_A_TIME], most)
        truncated += cut
        with torch.no_grad():
            compared = opened.model.compare_text(words.to(device))
            found.append(vectors(compared).cpu().numpy())
    return np.concatenate(found), truncated


def texts_placed(model: Model, texts: Iterable[str]) -> Iterator[Placed]:
    """Each text in the common space."""
    for text in texts:
        (vector_C,), truncated = text_embeddings(model, [text])
        yield Placed(text, {"t": vector_C}, truncated > 0)


def check_text(text: str) -> None:
    """Raises UserError for a text without any word."""
    if not clean(text):
        raise UserError(f"--text {text!r}: no word in it")


def vectors(compared: Compared) -> Tensor:
    """The one vector that stands for the tokens of each row, (B, C) of length one: their mean by the learned
    weights. Pads have no weight; a row of pads alone gives zeros. Raises UserError for what is no number."""
    weights_BN = losses.token_weights(compared.weights_BN, compared.mask_BN)
    sums_BC = torch.einsum("bn,bnc->bc", weights_BN, compared.features_BNC.float())
    if not bool(sums_BC.isfinite().all()):
        raise UserError(NO_NUMBERS)
    return F.normalize(sums_BC, dim=-1)


def _rows_by_group(seen: Seen | None) -> dict[GroupName, list[int]]:
    """Which clips have what a group needs; both senses first."""
    if seen is None:
        return {}
    has: dict[GroupName, Tensor] = {
        "tva": seen.has_video_B & seen.has_audio_B,
        "ta": seen.has_audio_B,
        "tv": seen.has_video_B,
    }
    return {group: mask_B.nonzero().flatten().tolist() for group, mask_B in has.items()}
