"""What a checkpoint looks at beside training: a person's own files, clips of a release, clips of a store.

A film of any length is one clip: its frames are the middle ones of as many equal parts of it as the model
sees frames, and so are its slices of sound. Worker processes decode, some clips ahead; the parent holds a
few batches.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from valor_data.errors import FatalError, ItemError
from valor_data.media.film import film_frames, film_sound
from valor_data.shards import ReleaseReader
from valor_data.signals.fbank import log_mel
from valor_data.store import Store
from valor_data.train.batch import Decoder, Item, together
from valor_data.train.config import DataConfig, ModelConfig, Pretrain
from valor_data.train.model import Clips
from valor_data.train.sampling import pick, slices

AT_A_TIME = 16
"""Clips that are looked at together."""


class Task(NamedTuple):
    """A clip that is to be looked at."""

    name: str
    """Path of a file, or clip_id."""
    place: str | int
    """Path of a file, number in a release, or key in a store."""
    source: int = 0
    """Which of the sources has it."""


Source = Callable[[Task], Item]
"""Decodes a task of its own. What cannot be read is an item with a fault."""


class Films:
    """Files of a person's own."""

    def __init__(self, config: Pretrain) -> None:
        self._config = config

    def __call__(self, task: Task) -> Item:
        path, data, model = Path(str(task.place)), self._config.data, self._config.model
        try:
            frames = film_frames(path, lambda count: pick(count, data.frames), model.vision.resolution)
            return Item(task.name, frames, _film_slices(path, data, model), ())
        except (ItemError, OSError, ValueError) as error:
            return Item(task.name, None, None, (), _told(error))


class Released:
    """Clips of a release; by number."""

    def __init__(self, reader: ReleaseReader, config: Pretrain) -> None:
        self._reader, self._decoder = reader, Decoder(config.data, config.model, seed=0)

    def __call__(self, task: Task) -> Item:
        assert isinstance(task.place, int)
        sample = self._reader[task.place]
        return self._decoder(sample.key, sample.members)


class Stored:
    """Clips of a workspace, by the keys of their objects."""

    def __init__(self, store: Store, config: Pretrain) -> None:
        self._store, self._process = store, os.getpid()
        self._decoder = Decoder(config.data, config.model, seed=0)

    def __call__(self, task: Task) -> Item:
        if self._process != os.getpid():  # a client of an object store does not outlive a fork
            self._store, self._process = copy(self._store), os.getpid()
        try:
            clip = self._store.get_bytes(str(task.place))
        except FileNotFoundError:
            return Item(task.name, None, None, (), f"{task.place}: no such object; fetch it again")
        return self._decoder(task.name, {"mp4": clip, "json": b'{"captions": []}'})


class Lot(NamedTuple):
    """Some clips, decoded, that can be looked at together."""

    names: list[str]
    captions: list[tuple[str, ...]]
    clips: Clips | None
    """None where none can be read."""
    faults: dict[str, str]
    """Name -> why it could not be read; such clips are not among the others."""


def look(
    config: Pretrain, sources: Sequence[Source], tasks: Iterable[Task], *, workers: int, pinned: bool = False
) -> Iterator[Lot]:
    """The tasks in their order, decoded ahead by `workers` processes (0: by this one). Tasks are asked for as
    they are needed. Raises FatalError where a worker died."""
    loader: Iterable[Lot] = DataLoader(
        _Items(sources),
        batch_sampler=_Lots(tasks),
        collate_fn=partial(_lot, data=config.data, model=config.model),
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # or it would draw from the one of everybody
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise FatalError(
            f"a process that decodes clips has died: {str(error).splitlines()[0]}; what is done is kept"
        ) from error


class _Lots:
    """Tasks by the lot, asked for lazily: a million of them are never in memory."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = tasks

    def __iter__(self) -> Iterator[list[Task]]:
        tasks = iter(self._tasks)
        while lot := list(islice(tasks, AT_A_TIME)):
            yield lot


class _Items(Dataset[Item]):
    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def __getitem__(self, task: Task) -> Item:
        return self._sources[task.source](task)


def _lot(items: Sequence[Item], data: DataConfig, model: ModelConfig) -> Lot:
    there = [item for item in items if item.frames_FHWC is not None or item.slices_ATM is not None]
    return Lot(
        [item.clip_id for item in there],
        [item.captions for item in there],
        together(there, data, model) if there else None,
        {
            item.clip_id: item.fault or "neither picture nor sound in it"
            for item in items
            if item.frames_FHWC is None and item.slices_ATM is None
        },
    )


def _film_slices(path: Path, data: DataConfig, model: ModelConfig) -> NDArray[np.float32] | None:
    """Only the slices that are picked are ever held: a slice's spectrum hangs on its own samples alone."""
    rate, length = data.sample_rate, model.audio.slice_frames
    window, shift = round(0.025 * rate), rate // 100
    picked: list[int] = []

    def choose(count: int) -> list[range]:
        frames = max(0, 1 + (count - window) // shift)
        if frames:
            picked.extend(pick(-(-frames // length), data.slices))
        own = sorted(set(picked))
        return [range(one * length * shift, ((one + 1) * length - 1) * shift + window) for one in own]

    sounds = film_sound(path, rate, choose)
    if not sounds:
        return None
    of = dict(zip(sorted(set(picked)), sounds, strict=True))
    cut = {one: slices(log_mel(sound, rate, model.audio.mel_bins), length)[0] for one, sound in of.items()}
    return np.stack([cut[one] for one in picked])


def _told(error: Exception) -> str:
    return f"not readable as picture and sound: {error.message if isinstance(error, ItemError) else error}"


def workers_for(many: int, wanted: int | None) -> int:
    """Worker processes for so many clips: none where one lot holds them all, else those that are wanted, else
    one a core; never more than there are lots."""
    cores: Any = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 0 if many <= AT_A_TIME else min(wanted or cores or 1, -(-many // AT_A_TIME))
