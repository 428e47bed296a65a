"""From releases to batches: which clips a step takes, what is decoded of them, how they stand together.

The clips of step s, their frames and their hidden words follow from the seed and s alone. So a run that
is taken up in the middle goes on with the very batch that came next, on any number of workers.
"""

import json
import signal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from valor_data.errors import FatalError, ItemError, UserError
from valor_data.media.take import take_frames, take_sound
from valor_data.signals.fbank import log_mel
from valor_data.train.asked import Asking
from valor_data.train.config import DataConfig, ModelConfig, Source
from valor_data.train.masking import ANSWER_SHARE, SHARE, Dice, Masked, mask_words
from valor_data.train.model import Clips, Texts
from valor_data.train.sampling import pick, slices
from valor_data.train.sources import Reader, open_source
from valor_data.train.words import Words

Ints = NDArray[Any]
_PICTURES = ("mp4", "webm", "mkv", "mov", "avi")
_SOUNDS = ("flac", "wav", "mp3", "m4a", "ogg", "opus")
"""Suffixes of members that hold them; sound may also lie in the picture's file."""


class Draw(NamedTuple):
    """A clip's turn."""

    source: int
    number: int
    """Of the clip in its release, or of the question in its list."""
    turn: int | None
    """Its number among all turns of the run, from which its random frames follow; None: the middle ones."""


class Item(NamedTuple):
    """One clip, decoded."""

    clip_id: str
    frames_FHWC: NDArray[np.uint8] | None
    slices_ATM: NDArray[np.float32] | None
    captions: tuple[str, ...]
    """Or the right answers to its question."""
    fault: str = ""
    """Why it could not be read; such a clip takes part in nothing."""
    question: str = ""


class Batch(NamedTuple):
    """What a step learns from."""

    clips: Clips
    texts: Texts
    masked: Masked
    clip_ids: list[str]
    faults: dict[str, str]
    """clip_id -> why it could not be read."""
    truncated: int
    """Captions, questions and answers that lost their end."""
    prompt: Texts | None
    """Questions, to which the texts are answers; None: the texts are captions."""

    def to(self, device: torch.device) -> "Batch":
        """The same with its tensors on a device; the host does not wait where they are pinned."""

        def moved(part: Any) -> Any:
            return part.to(device, non_blocking=True) if isinstance(part, Tensor) else part

        clips = self.clips.to(device)
        texts, masked = self.texts.to(device), Masked(*map(moved, self.masked))
        prompt = self.prompt and self.prompt.to(device)
        return self._replace(clips=clips, texts=texts, masked=masked, prompt=prompt)


class Schedule:
    """Which clips, or questions about clips, each step of a run takes.

    The sources take turns by their weights; each goes through all it has in a new order before one comes
    again. A source smaller than a batch fills it with clips of the next round.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], batch: int, seed: int) -> None:
        """Raises UserError for a release without clips."""
        if not all(sizes):
            raise UserError(f"data.sources: release {sizes.index(0) + 1} has no clip in its split")
        self._sizes, self._batch, self._seed = tuple(sizes), batch, seed
        self._shares = np.cumsum(np.asarray(weights) / sum(weights))
        self._chosen: Ints = np.empty(0, np.int64)
        self._orders: dict[tuple[int, int], Ints] = {}

    def step(self, number: int) -> list[Draw]:
        """The clips of a step, counted from 0."""
        source = int(self._sources(number)[number])
        before = int((self._sources(number)[:number] == source).sum())
        turns = range(before * self._batch, (before + 1) * self._batch)
        return [
            Draw(source, int(self._order(source, turn // self._sizes[source])[turn % self._sizes[source]]),
                 number * self._batch + place)
            for place, turn in enumerate(turns)
        ]  # fmt: skip

    def _sources(self, number: int) -> Ints:
        if number >= len(self._chosen):
            drawn = np.random.default_rng([self._seed, 1]).random(max(1024, 2 * number + 1))
            self._chosen = np.searchsorted(self._shares, drawn, side="right").clip(max=len(self._sizes) - 1)
        return self._chosen

    def _order(self, source: int, epoch: int) -> Ints:
        if (source, epoch) not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key[1] >= epoch - 1}
            rng = np.random.default_rng([self._seed, 2, source, epoch])
            self._orders[source, epoch] = rng.permutation(self._sizes[source])
        return self._orders[source, epoch]


class Decoder:
    """Makes an item of a sample: of our index, or of plain webdataset's dicts without their `__` keys."""

    def __init__(self, data: DataConfig, model: ModelConfig, seed: int) -> None:
        self._data, self._model, self._seed = data, model, seed

    def __call__(self, clip_id: str, members: Mapping[str, bytes], turn: int | None = None) -> Item:
        """Random frames and slices for a turn, the middle ones without. A broken clip is an item with a
        fault."""
        try:
            rng = None if turn is None else np.random.default_rng([self._seed, 3, turn])
            return Item(clip_id, self._frames(members, rng), self._sound(members, rng), captions_of(members))
        except (ItemError, FatalError, KeyError, ValueError) as error:
            return Item(clip_id, None, None, (), f"{type(error).__name__}: {error}")

    def _frames(self, members: Mapping[str, bytes], rng: np.random.Generator | None) -> Any:
        wanted, side = self._data.frames, self._model.vision.resolution
        file = _first(members, _PICTURES)
        return None if file is None else take_frames(file, lambda count: pick(count, wanted, rng), side)

    def _sound(self, members: Mapping[str, bytes], rng: np.random.Generator | None) -> Any:
        samples = self.heard(members)
        return None if samples is None else self.cut(samples, rng)

    def heard(self, members: Mapping[str, bytes]) -> NDArray[np.float32] | None:
        """All samples of a clip's sound; None where it has none. Raises ItemError for a broken one."""
        file = _first(members, (*_SOUNDS, *_PICTURES))
        return None if file is None else take_sound(file, self._data.sample_rate)

    def cut(
        self, samples: NDArray[np.float32], rng: np.random.Generator | None = None
    ) -> NDArray[np.float32] | None:
        """Slices of a sound's spectrum: random ones, or without `rng` the middle ones; None of next to
        nothing."""
        mels = log_mel(samples, self._data.sample_rate, self._model.audio.mel_bins)
        if not len(mels):
            return None
        cut = slices(mels, self._model.audio.slice_frames)
        return cut[pick(len(cut), self._data.slices, rng)]


def captions_of(members: Mapping[str, bytes]) -> tuple[str, ...]:
    """Those of the facts in `json`; of a sample that is not of a release of ours, its `txt`.

    Raises ValueError for what is no JSON, KeyError for facts of another form.
    """
    facts = json.loads(members["json"]) if "json" in members else None
    if isinstance(facts, dict) and "captions" in facts:
        listed = facts["captions"]
        if not isinstance(listed, list):
            raise ValueError("json: captions is no list")
        return tuple(str(one["text"]) if isinstance(one, dict) else str(one) for one in listed)
    return (members["txt"].decode("utf-8", "replace"),) if "txt" in members else ()


def _first(members: Mapping[str, bytes], suffixes: Sequence[str]) -> bytes | None:
    return next((members[suffix] for suffix in suffixes if suffix in members), None)


class ClipSet(Dataset[Item]):
    """The clips of all sources, by draw; of a source with questions, the question's clip with it."""

    def __init__(
        self, readers: Sequence[Reader], decoder: Decoder, asked: Sequence[Asking | None] | None = None
    ) -> None:
        self._readers, self._decoder = readers, decoder
        self._asked = asked or [None] * len(readers)

    @property
    def sizes(self) -> list[int]:
        """Clips, or questions, of each source."""
        pairs = zip(self._readers, self._asked, strict=True)
        return [len(reader if asking is None else asking.items) for reader, asking in pairs]

    def __getitem__(self, draw: Draw) -> Item:
        reader, asking = self._readers[draw.source], self._asked[draw.source]
        one = None if asking is None else asking.items[draw.number]
        sample = reader[draw.number if one is None else one.clip]
        item = self._decoder(sample.key, sample.members, draw.turn)
        if one is None:
            return item
        return item._replace(captions=() if item.fault else one.answers, question=one.text)


def open_releases(sources: Iterable[Source]) -> list[Reader]:
    """A reader for each source. Raises UserError where nothing lies there."""
    return [open_source(source) for source in sources]


class Collate:
    """Puts items together, all of captions or all of questions; pads texts to the longest of the batch, or
    captions all to `fixed` words."""

    def __init__(self, data: DataConfig, model: ModelConfig, words: Words, seed: int, *, fixed: bool) -> None:
        self._data, self._model, self._words, self._seed = data, model, words, seed
        self._fixed = fixed or model.parity == "released"  # its scores look at pads: as many as there

    def __call__(self, items: Sequence[Item], step: int, share: "Share") -> Batch:
        """The share of a step's batch; captions, or answers, and hidden words are drawn by the step, whoever
        has them."""
        most = self._data.words + 2
        asked = [item.question for item in items if item.question]
        dice = Dice((self._seed, 4, step), len(items) * share.world, len(items) * share.rank, most)
        places = dice.roll(0, len(items), 1).squeeze(1).tolist()
        items = [item if item.captions else _left_out(item) for item in items]
        chosen = [
            item.captions[int(place * len(item.captions))] if item.captions else ""
            for item, place in zip(items, places, strict=True)
        ]
        fixed = self._fixed and not asked  # answers are compared with nothing
        texts, truncated = encode(self._words, chosen, self._data.words, fixed=fixed)
        dice = dice._replace(seed=(self._seed, 5, step))
        share_of_words = ANSWER_SHARE if asked else SHARE
        masked = mask_words(texts.words_BL, self._words.vocabulary, dice, share_of_words)
        prompt, cut = encode(self._words, asked, self._data.words) if asked else (None, 0)
        return Batch(
            together(items, self._data, self._model),
            texts,
            masked,
            [item.clip_id for item in items],
            {item.clip_id: item.fault for item in items if item.fault},
            truncated + cut,
            prompt,
        )


def _left_out(item: Item) -> Item:
    """A clip about which nothing is said takes part in nothing."""
    return Item(item.clip_id, None, None, (), item.fault or "no caption", item.question)


def encode(words: Words, captions: Sequence[str], most: int, *, fixed: bool = False) -> tuple[Texts, int]:
    """Texts as ids with pads at their ends; and how many lost their end."""
    cut = [words.cut(caption, most) for caption in captions]
    length = most + 2 if fixed else max(len(one.ids) for one in cut)
    pad = words.vocabulary.pad
    ids_BL = torch.tensor([one.ids + [pad] * (length - len(one.ids)) for one in cut])
    mask_BL = ids_BL != pad
    return Texts(ids_BL, mask_BL, mask_BL.flatten().nonzero().squeeze(1)), sum(one.truncated for one in cut)


def together(items: Sequence[Item], data: DataConfig, model: ModelConfig) -> Clips:
    """Picture and sound of items; zeros, and a mask that says so, where one is missing."""
    side, audio = model.vision.resolution, model.audio
    frames, has_video = _stacked(
        [item.frames_FHWC for item in items], (data.frames, side, side, 3), torch.uint8
    )
    mels, has_audio = _stacked(
        [item.slices_ATM for item in items], (data.slices, audio.slice_frames, audio.mel_bins), torch.float32
    )
    return Clips(frames, has_video, mels, has_audio, bool((has_video & has_audio).all()))


def _stacked(
    found: Sequence[NDArray[Any] | None], shape: tuple[int, ...], kind: torch.dtype
) -> tuple[Tensor, Tensor]:
    stacked = torch.zeros(len(found), *shape, dtype=kind)
    for row, one in enumerate(found):
        if one is not None:
            stacked[row] = torch.from_numpy(one)
    return stacked, torch.tensor([one is not None for one in found])


class _Steps(Dataset[Batch]):
    """A batch by the number of its step."""

    def __init__(self, clips: ClipSet, schedule: Schedule, collate: Collate, share: "Share") -> None:
        self._clips, self._schedule, self._collate, self._share = clips, schedule, collate, share

    def __getitem__(self, step: int) -> Batch:
        draws = self._share.of(self._schedule.step(step))
        return self._collate([self._clips[draw] for draw in draws], step, self._share)


class Share(NamedTuple):
    """The part of each step that one of several processes takes."""

    rank: int = 0
    world: int = 1

    def of(self, draws: list[Draw]) -> list[Draw]:
        """Its draws of a step's."""
        size = len(draws) // self.world
        return draws[self.rank * size : (self.rank + 1) * size]


def _leave_ctrl_c(_: int) -> None:
    """To the process that trains, which ends its workers when it has saved."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def batches(
    clips: ClipSet,
    schedule: Schedule,
    collate: Collate,
    steps: Iterable[int],
    *,
    workers: int,
    share: Share,
    pinned: bool = False,
) -> Iterable[Batch]:
    """The batches of some steps, in their order, decoded ahead by `workers` processes."""
    loader: Iterable[Batch] = DataLoader(
        _Steps(clips, schedule, collate, share),
        batch_size=None,
        sampler=list(steps),
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_leave_ctrl_c,
        generator=torch.Generator(),  # or it would draw from the one that dropout draws from
    )
    return loader
