"""What a model can do on a split of a release: retrieval by each group, captions beside people's.

Shapes: Q captions, B clips, N tokens, C width of the common space.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from valor_data.errors import UserError
from valor_data.shards import ReleaseReader
from valor_data.train import intervals, retrieval, sentences
from valor_data.train.batch import Decoder, Item, encode, together
from valor_data.train.config import DataConfig, Pretrain
from valor_data.train.generate import generate
from valor_data.train.intervals import Interval
from valor_data.train.model import GROUPS, Compared, GroupName, Seen, Valor
from valor_data.train.words import Words

_CLIPS_AT_A_TIME = 16
_TEXTS_AT_A_TIME = 256


class Encoded(NamedTuple):
    """A split in the common space, on the host."""

    clip_ids: list[str]
    captions: list[str]
    clip_of_Q: retrieval.Ints
    """Which clip a caption belongs to."""
    clips: dict[GroupName, Compared]
    texts: Compared
    faults: dict[str, str]
    """clip_id -> why it could not be read; such clips are not among the others."""
    truncated: int
    """Captions that lost their end."""


class Told(NamedTuple):
    """Scores of a split."""

    clips: int
    captions: int
    missing: dict[str, str]
    """clip_id -> why it was not scored."""
    retrieval: dict[str, dict[str, Interval]]
    """`T-AV` and the like, `AV-T` for the other way -> figure -> value with its interval."""
    captioning: dict[str, Interval]
    written: dict[str, str]
    """clip_id -> the model's caption."""


def evaluate(
    model: Valor,
    config: Pretrain,
    words: Words,
    reader: ReleaseReader,
    *,
    captions: bool = True,
    only: frozenset[str] | None = None,
    dual_softmax: bool = False,
    progress: bool = True,
) -> Told:
    """Score a model on a split; `only` names the clips that count.

    Each caption is a query. Raises UserError for a split without captions.
    """
    model.eval()
    encoded, written = encode_split(
        model, config, words, reader, captions=captions, only=only, progress=progress
    )
    if not encoded.captions:
        raise UserError("nothing to evaluate: no clip of this split has a caption and can be read")
    found: dict[str, dict[str, Interval]] = {}
    for name, clips in encoded.clips.items():
        scores = retrieval.all_scores(model, encoded.texts, clips)
        if dual_softmax:
            scores = retrieval.dual_softmax(scores, model.temperature.item())
        ranks = retrieval.ranks(scores, encoded.clip_of_Q)
        side = _SIDES[name]
        found[f"T-{side}"] = _with_intervals(ranks.clips_Q)
        found[f"{side}-T"] = _with_intervals(ranks.texts_B)
    return Told(
        len(encoded.clip_ids),
        len(encoded.captions),
        encoded.faults,
        found,
        _captioning(encoded, written) if captions else {},
        written,
    )


_SIDES: dict[GroupName, str] = {"tv": "V", "ta": "A", "tva": "AV"}


def recall(model: Valor, config: Pretrain, words: Words, readers: Sequence[ReleaseReader]) -> float:
    """The mean of R@1, R@5 and R@10 over all groups and releases, by which a checkpoint is chosen."""
    figures = []
    for reader in readers:
        told = evaluate(model, config, words, reader, captions=False, progress=False)
        for side in _SIDES.values():
            by_name = told.retrieval.get(f"T-{side}", {})
            figures += [by_name[f"R@{at}"].value for at in retrieval.AT if by_name]
    return float(np.mean(figures))


@torch.no_grad()
def encode_split(
    model: Valor,
    config: Pretrain,
    words: Words,
    reader: ReleaseReader,
    *,
    captions: bool,
    only: frozenset[str] | None,
    progress: bool,
) -> tuple[Encoded, dict[str, str]]:
    """A split in the common space; with `captions` also what the model says of each clip."""
    data = config.data
    decoder = Decoder(data, config.model, seed=0)
    device = model.temperature.device
    clip_ids: list[str] = []
    theirs: list[str] = []
    clip_of: list[int] = []
    faults: dict[str, str] = {}
    written: dict[str, str] = {}
    parts: dict[GroupName, list[Compared]] = {}
    shown = [number for number in range(len(reader)) if only is None or reader[number].key in only]
    bar = tqdm(total=len(shown), desc="evaluate", unit="clip", disable=None if progress else True)
    with bar:
        for items in _in_groups(reader, shown, decoder):
            bar.update(len(items))
            readable = [item for item in items if item.captions]
            faults |= {item.clip_id: item.fault or "no caption" for item in items if not item.captions}
            if not readable:
                continue
            for item in readable:
                clip_of += [len(clip_ids)] * len(item.captions)
                clip_ids.append(item.clip_id)
                theirs += item.captions
            seen = model.see(together(readable, data, config.model).to(device))
            for name, compared in model.compare_clips(seen).items():
                parts.setdefault(name, []).append(Compared(*(part.cpu() for part in compared)))
            if captions:
                written |= _said(model, words, seen, readable)
    clips = {
        name: Compared(*(torch.cat(part) for part in zip(*some, strict=True))) for name, some in parts.items()
    }
    texts, truncated = _encode_texts(model, words, theirs, data, device)
    return Encoded(clip_ids, theirs, np.array(clip_of, np.int64), clips, texts, faults, truncated), written


def _in_groups(reader: ReleaseReader, numbers: Sequence[int], decoder: Decoder) -> Iterator[list[Item]]:
    for start in range(0, len(numbers), _CLIPS_AT_A_TIME):
        samples = (reader[number] for number in numbers[start : start + _CLIPS_AT_A_TIME])
        yield [decoder(sample.key, sample.members) for sample in samples]


def _said(model: Valor, words: Words, seen: Seen, items: Sequence[Item]) -> dict[str, str]:
    """Captions by the group of all that a clip has."""
    _, joins = model.look(seen)
    said: dict[str, str] = {}
    for name in reversed(GROUPS):  # both senses first
        if name not in joins:
            continue
        rows = [row for row in joins[name].nonzero().flatten().tolist() if items[row].clip_id not in said]
        if rows:
            texts = generate(model, seen.rows(torch.tensor(rows)), words.vocabulary, name)
            said |= {items[row].clip_id: words.join(text.ids) for row, text in zip(rows, texts, strict=True)}
    return said


def _encode_texts(
    model: Valor, words: Words, captions: Sequence[str], data: DataConfig, device: torch.device
) -> tuple[Compared, int]:
    parts: list[Compared] = []
    truncated = 0
    for start in range(0, len(captions), _TEXTS_AT_A_TIME):
        texts, cut = encode(words, captions[start : start + _TEXTS_AT_A_TIME], data.words, fixed=True)
        truncated += cut
        compared = model.compare_text(type(texts)(*(part.to(device) for part in texts)))
        parts.append(Compared(*(part.cpu() for part in compared)))
    if not parts:
        return Compared(torch.empty(0), torch.empty(0), torch.empty(0)), 0
    return Compared(*(torch.cat(part) for part in zip(*parts, strict=True))), truncated


def _with_intervals(ranks: retrieval.Ints) -> dict[str, Interval]:
    """Every figure of some ranks, resampled over queries."""

    def of(name: str) -> Interval:
        return intervals.interval(
            ranks.astype(np.float64), lambda draws: np.array([retrieval.told(draw)[name] for draw in draws])
        )

    return {name: of(name) for name in retrieval.told(ranks)}


def _captioning(encoded: Encoded, written: dict[str, str]) -> dict[str, Interval]:
    references: dict[str, list[str]] = {}
    for caption, clip in zip(encoded.captions, encoded.clip_of_Q.tolist(), strict=True):
        references.setdefault(encoded.clip_ids[clip], []).append(caption)
    by_clip = sentences.caption_scores(written, references)
    found = {name: intervals.interval(values) for name, values in by_clip.items()}
    for name, whole in sentences.corpus_bleu(
        written, references
    ).items():  # the usual figure, of the whole set
        found[name] = found[name]._replace(value=whole)
    return found
