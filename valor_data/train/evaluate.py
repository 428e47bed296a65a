"""What a model can do on a split of a release: retrieval by each group, captions beside people's, answers.

One pass over the clips gives what all figures follow from, of all clips or of some. A group's retrieval is
among the clips that have what it looks at: clips without sound are no part of T-A; T-AV has all.

Shapes: Q captions, B clips, N tokens, C width of the common space.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from valor_data.errors import UserError
from valor_data.train import retrieval, sentences
from valor_data.train.answers import Asker
from valor_data.train.batch import Decoder, Item, encode, together
from valor_data.train.config import DataConfig, Pretrain
from valor_data.train.generate import at_once, by_senses, generate
from valor_data.train.intervals import Measure
from valor_data.train.model import Compared, GroupName, Seen, Texts, Valor
from valor_data.train.sources import Reader
from valor_data.train.words import Words

_CLIPS_AT_A_TIME = 16
_TEXTS_AT_A_TIME = 256
_SIDES: dict[GroupName, str] = {"tv": "V", "ta": "A", "tva": "AV"}
_NOTHING = Compared(torch.empty(0), torch.empty(0), torch.empty(0))
CAPTIONS = "captions"
"""Name of the table of caption scores, beside `T-AV` and the like."""


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


class Group(NamedTuple):
    """Retrieval by one group."""

    scores_QB: retrieval.Floats
    has_B: NDArray[np.bool_]
    """Clips that have something to be found by."""


class Scored(NamedTuple):
    """What a pass over a split gave."""

    clip_ids: list[str]
    captions: list[str]
    clip_of_Q: retrieval.Ints
    groups: dict[GroupName, Group]
    faults: dict[str, str]
    truncated: int
    written: dict[str, str]
    """clip_id -> the model's caption."""
    told: dict[str, Measure]
    """Of the captions, what does not depend on which other clips there are."""
    left_out: list[str]
    """Figures of captions that could not be had, and why."""


Table = dict[str, Measure]
"""The figures of one kind, by name."""


class Part(NamedTuple):
    """Figures of some clips of a split."""

    clips: int
    captions: int
    tables: dict[str, Table]
    """`T-AV` and the like, `AV-T` for the other way, and `captions`."""


def score(
    model: Valor,
    config: Pretrain,
    words: Words,
    reader: Reader,
    *,
    captions: bool = True,
    only: Collection[str] | None = None,
    nearness: sentences.Nearness | None = None,
    asker: Asker | None = None,
    progress: bool = True,
) -> Scored:
    """One pass of a model over a split, or over the clips of it that `only` names.

    Each caption is a query. Raises UserError for a split without captions.
    """
    if captions:
        sentences.check()
    model.eval()
    encoded, written = encode_split(
        model, config, words, reader, captions=captions, only=only, asker=asker, progress=progress
    )
    if not encoded.captions:
        raise UserError("nothing to evaluate: no clip of this split has a caption and can be read")
    groups = {
        name: Group(retrieval.all_scores(model, encoded.texts, clips), clips.mask_BN.any(dim=1).numpy())
        for name, clips in encoded.clips.items()
    }
    encoded = encoded._replace(clips={}, texts=_NOTHING)  # a third of a gigabyte, before METEOR takes as much
    told: dict[str, Measure] = {}
    left_out: list[str] = []
    if captions:
        told, left_out = sentences.measures(written, _references(encoded), nearness)
    return Scored(
        encoded.clip_ids, encoded.captions, encoded.clip_of_Q, groups, encoded.faults, encoded.truncated,
        written, told, left_out,
    )  # fmt: skip


def part(scored: Scored, only: Collection[str] | None = None, *, dual_softmax: float | None = None) -> Part:
    """The figures of all clips of a pass, or of those that `only` names, which are then found among one
    another and weighed by one another alone. `dual_softmax`: the model's temperature, to weigh scores so."""
    in_B = np.array([only is None or clip in only for clip in scored.clip_ids], bool)
    tables: dict[str, Table] = {}
    for name, group in scored.groups.items():
        tables |= _found(scored, group, in_B & group.has_B, _SIDES[name], dual_softmax)
    written = {clip: text for clip, text in scored.written.items() if only is None or clip in only}
    if written:
        rows = [row for row, clip in enumerate(scored.written) if clip in written]
        tables[CAPTIONS] = {
            name: Measure(told.values_N[rows], list(written), told.figure)
            for name, told in scored.told.items()
        }
        tables[CAPTIONS]["CIDEr"] = sentences.cider(written, _references(scored))
    return Part(int(in_B.sum()), int(in_B[scored.clip_of_Q].sum()), tables)


def recall(model: Valor, config: Pretrain, words: Words, readers: Sequence[Reader]) -> float:
    """The mean of R@1, R@5 and R@10 over all groups and releases, by which a checkpoint is chosen."""
    figures = []
    for reader in readers:
        tables = part(score(model, config, words, reader, captions=False, progress=False)).tables
        for side in _SIDES.values():
            table = tables.get(f"T-{side}", {})
            measured = (table[f"R@{at}"] for at in retrieval.AT if table)
            figures += [measure.figure(measure.values_N) for measure in measured]
    return float(np.mean(figures))


def _found(
    scored: Scored, group: Group, in_B: NDArray[np.bool_], side: str, dual_softmax: float | None
) -> dict[str, Table]:
    """Retrieval in both directions among some clips."""
    if not in_B.any():
        return {}
    in_Q = in_B[scored.clip_of_Q]
    scores = group.scores_QB if in_B.all() else group.scores_QB[np.ix_(in_Q, in_B)]
    clip_of_Q = (np.cumsum(in_B) - 1)[scored.clip_of_Q[in_Q]]
    clip_ids = [clip for clip, within in zip(scored.clip_ids, in_B, strict=True) if within]
    ranks = retrieval.ranks(scores, clip_of_Q, dual_softmax)
    return {
        f"T-{side}": retrieval.measures(ranks.clips_Q, [clip_ids[clip] for clip in clip_of_Q]),
        f"{side}-T": retrieval.measures(ranks.texts_B, clip_ids),
    }


@torch.no_grad()
def encode_split(
    model: Valor,
    config: Pretrain,
    words: Words,
    reader: Reader,
    *,
    captions: bool,
    only: Collection[str] | None,
    asker: Asker | None = None,
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
            if asker is not None:
                asker.ask(seen, readable)
    clips = {
        name: Compared(*(torch.cat(part) for part in zip(*some, strict=True))) for name, some in parts.items()
    }
    texts, truncated = _encode_texts(model, words, theirs, data, device)
    # In the order of the clips, for what has one sense only was written later.
    written = {clip: written[clip] for clip in clip_ids if clip in written}
    return Encoded(clip_ids, theirs, np.array(clip_of, np.int64), clips, texts, faults, truncated), written


def _in_groups(reader: Reader, numbers: Sequence[int], decoder: Decoder) -> Iterator[list[Item]]:
    for start in range(0, len(numbers), _CLIPS_AT_A_TIME):
        samples = (reader[number] for number in numbers[start : start + _CLIPS_AT_A_TIME])
        yield [decoder(sample.key, sample.members) for sample in samples]
        reader.close()  # or what was read of its files would count as ours


def _said(model: Valor, words: Words, seen: Seen, items: Sequence[Item]) -> dict[str, str]:
    """Captions by the group of all that a clip has."""
    said: dict[str, str] = {}
    most = at_once(model, seen)
    for name, rows in by_senses(seen).items():
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            of_clips = seen.rows(torch.tensor(some, device=seen.has_video_B.device))
            texts = generate(model, of_clips, words.vocabulary, name)
            said |= {items[row].clip_id: words.join(text.ids) for row, text in zip(some, texts, strict=True)}
    return said


def _encode_texts(
    model: Valor, words: Words, captions: Sequence[str], data: DataConfig, device: torch.device
) -> tuple[Compared, int]:
    """All captions, written into place, for a list of pieces and their sum would be held at once."""
    count, length = len(captions), data.words + 2
    features = torch.empty(count, length, model.config.contra_dim)
    mask, weights = torch.empty(count, length, dtype=torch.bool), torch.empty(count, length)
    truncated = 0
    for start in range(0, count, _TEXTS_AT_A_TIME):
        some = slice(start, start + _TEXTS_AT_A_TIME)
        texts, cut = encode(words, captions[some], data.words, fixed=True)
        truncated += cut
        compared = model.compare_text(Texts(texts.words_BL.to(device), texts.mask_BL.to(device)))
        features[some], mask[some], weights[some] = (part.cpu() for part in compared)
    return Compared(features, mask, weights), truncated


def _references(of: Encoded | Scored) -> dict[str, list[str]]:
    """clip_id -> what people said."""
    references: dict[str, list[str]] = {}
    for caption, clip in zip(of.captions, of.clip_of_Q.tolist(), strict=True):
        references.setdefault(of.clip_ids[clip], []).append(caption)
    return references
