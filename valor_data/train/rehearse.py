"""A run without its training: everything is opened, a few clips are decoded, and the bill is told."""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import torch

from valor_data.errors import UserError
from valor_data.manifest import Manifest
from valor_data.shards import Sample
from valor_data.train import parallel, room, use
from valor_data.train.asked import Asking, askings, left_out, tally
from valor_data.train.batch import Decoder, captions_of, open_releases
from valor_data.train.config import Pretrain, Source
from valor_data.train.cost import GIB, Bill, Data, Payload, assumed, bill
from valor_data.train.devices import A100, H100, Device, here
from valor_data.train.scale import Work
from valor_data.train.sources import Reader
from valor_data.train.words import Cut, Words

_LOOKED_AT = 256
"""Clips whose captions are cut into word pieces."""
_DECODED = 8


class Found(NamedTuple):
    """What the releases of a config hold."""

    clips: int
    captions: int
    looked_at: int
    """Clips on which the figures below stand."""
    truncated: int
    """Captions of them, and questions and answers of some, that lose their end."""
    asked: tuple[float, float] | None
    """Word pieces of a question and of an answer, where a source has some."""
    unreadable: dict[str, str]
    """clip_id -> why, of the clips that were decoded."""
    data: Data
    payload: Payload
    """As the clips come."""


class Rehearsal(NamedTuple):
    """What `--dry-run` tells."""

    counts: dict[str, int]
    lines: tuple[str, ...]
    warnings: tuple[str, ...]
    details: dict[str, Any]
    """Every figure."""


def rehearse(config: Pretrain) -> Rehearsal:
    """Open releases and vocabulary of a config, and tell what its run would take.

    Raises UserError for what would stop the run itself: a release that is none or holds no caption, a
    vocabulary of another size, towers that are not there. A GPU is not needed, though the run may need one.
    """
    place = parallel.device_of("auto")
    readers, beside = open_releases(config.data.sources), use.open_validation(config)
    config, words = use.with_words(config)
    asked = askings(config.data.sources, readers)
    found = look(config, readers, asked, words)
    world = int(os.environ.get("WORLD_SIZE", 1))
    made = bill(config, world, pieces=found.data.pieces, cpu=place.type == "cpu")
    speeds = [_speed(made, found, device) for device in (here(place), H100, A100) if device]
    counts = {
        "clips": found.clips,
        "captions": found.captions,
        **tally(asked),
        "validation_clips": sum(map(len, beside)),
        "vocabulary": words.vocabulary.size,
        "parameters": made.weights.all,
        "flops_a_clip": round(made.flops_a_clip()),
        "bytes_a_clip": round(found.data.bytes),
        "memory_bytes": round(made.need.total),
        "steps": config.optim.steps,
    }
    told = [*left_out(asked), *(f"{clip}: {fault}" for clip, fault in found.unreadable.items())]
    if short := _short_of(made, place):
        told.append(short)
    details = {
        "flops_a_clip": {name: asdict(work) for name, work in _each(made).items()},
        "memory_bytes": made.need._asdict(),
        "data": {"payload": found.payload, "looked_at": found.looked_at, **found.data._asdict()},
        "devices": {speed.device: speed._asdict() for speed in speeds if speed},
    }
    lines = [*_lines(made, found), *(_told(speed, made, found) for speed in speeds if speed)]
    return Rehearsal(counts, tuple(lines), tuple(told), details)


def look(config: Pretrain, readers: Sequence[Reader], asked: Sequence[Asking | None], words: Words) -> Found:
    """Count clips and captions, cut some captions and questions, decode a few clips.

    Raises UserError where captions are to be learned and no clip has one.
    """
    telling = [
        (source, reader)
        for source, reader, asking in zip(config.data.sources, readers, asked, strict=True)
        if asking is None
    ]
    clips = sum(len(reader) for _, reader in telling) + sum(one.clips for one in asked if one)
    told = _spread([reader for _, reader in telling], _LOOKED_AT)
    most = config.data.words
    cut = [words.cut(text, most) for sample in told for text in captions_of(sample.members)]
    if telling and not cut:
        raise UserError(
            f"data.sources: none of {len(told)} clips has a caption, and there is nothing to learn; "
            "see shard.require_caption"
        )
    every = [one for asking in asked if asking for one in asking.items]
    some = every[:: max(1, len(every) // _LOOKED_AT)]
    questions = [words.cut(one.text, most) for one in some]
    answers = [words.cut(answer, most) for one in some for answer in one.answers]
    samples = _spread(readers, _LOOKED_AT)
    decoded = samples[:: max(1, len(samples) // _DECODED)]
    decoder = Decoder(config.data, config.model, config.optim.seed)
    begun = time.process_time()
    items = [decoder(sample.key, sample.members, turn) for turn, sample in enumerate(decoded)]
    seconds = (time.process_time() - begun) / len(decoded)
    size = sum(len(sample.members[suffix]) for sample in decoded for suffix in sample.members) / len(decoded)
    return Found(
        clips,
        _captions(telling, len(cut) / max(1, len(told))),
        len(samples),
        sum(one.truncated for one in (*cut, *questions, *answers)),
        (_pieces(questions), _pieces(answers)) if some else None,
        {item.clip_id: item.fault for item in items if item.fault},
        Data(size, seconds, _pieces(cut or answers)),
        "train" if any("flac" in sample.members for sample in decoded) else "video",
    )


def _spread(readers: Sequence[Reader], most: int) -> list[Sample]:
    places = [
        (reader, number)
        for reader in readers
        for number in range(0, len(reader), max(1, len(reader) // most))
    ]
    return [reader[number] for reader, number in places[:: max(1, len(places) // most)]]


def _pieces(cut: Sequence[Cut]) -> float:
    """The mean of word pieces of some texts."""
    return sum(len(one.ids) - 2 for one in cut) / len(cut)


def _captions(telling: Sequence[tuple[Source, Reader]], mean: float) -> int:
    """As manifests count them; of plain tars, by the mean of those looked at."""
    return sum(
        round(len(reader) * mean) if (said := reader.manifest) is None else _said(said, source)
        for source, reader in telling
    )


def _said(said: Manifest, source: Source) -> int:
    return said.splits.get(source.split, {}).get("captions", 0)


def _each(made: Bill) -> dict[str, Work]:
    """Work of one clip."""
    clips = made.clips / made.config.optim.accumulate / made.world
    return {name: work * (1 / clips) for name, work in made.parts.items()}


def _lines(made: Bill, found: Found) -> list[str]:
    config, data = made.config, found.data
    lines = [
        f"of {found.looked_at} clips: {data.pieces:.1f} word pieces a caption, {found.truncated} captions "
        f"cut at {config.data.words}; {data.decode_s * 1000:.1f} ms of a core a clip "
        f"(payload {found.payload})",
        f"{'GFLOP a clip':<16}{'forward':>10}{'backward':>10}{'again':>10}",
    ]
    for name, work in _each(made).items():
        three = (work.forward, work.backward, work.again)
        lines.append(f"  {name:<14}" + "".join(f"{value / 1e9:>10.3f}" for value in three))
    if found.asked is not None:
        question, answer = found.asked
        gigaflop = made.flops_a_clip(answer, question) / 1e9
        lines.append(
            f"a step on questions takes {gigaflop:.3f} GFLOP a clip ({question:.1f} word pieces a question, "
            f"{answer:.1f} an answer); all else here is of steps on captions"
        )
    lines.append(f"memory a device: {made.memory_line}")
    if config.data.workers:
        lines.append(
            f"batches on their way, in shared memory: up to {made.on_way_bytes / GIB:.2f} GiB a process"
        )
    if config.optim.fsdp and made.world == 1:
        shared = (bill(config, many, pieces=data.pieces) for many in (2, 8))
        lines += [f"  over {one.world} devices: {one.memory_line}" for one in shared]
    return lines


class Speed(NamedTuple):
    """What a device would do, and what it asks of loaders."""

    device: str
    step_s: float
    hours: float
    """Of all steps."""
    clips_per_s: float
    """Of one device."""
    loader_cores: float
    """For each device, by what was measured here."""
    read_bytes_per_s: float


def _speed(made: Bill, found: Found, device: Device) -> Speed | None:
    step, rate = made.step_s(device), made.rate(device)
    if step is None or rate is None:
        return None
    hours = step * made.config.optim.steps / 3600
    data = found.data
    return Speed(device.name, step, hours, rate, rate * data.decode_s, rate * data.bytes)


def _told(speed: Speed, made: Bill, found: Found) -> str:
    other: Payload = "video" if found.payload == "train" else "train"
    cores = speed.clips_per_s * assumed(other, made.config.data.frames).decode_s
    step = f"{speed.step_s:.2f} s" if speed.step_s >= 1 else f"{speed.step_s * 1000:.2f} ms"
    return (
        f"{speed.device}: {step} a step, {speed.clips_per_s:,.1f} clips/s, {speed.hours:,.2f} h in all; "
        f"loaders {speed.loader_cores:.2f} cores and {speed.read_bytes_per_s / 1e6:,.1f} MB/s "
        f"(payload {other}: about {cores:.2f} cores)"
    )


def _short_of(made: Bill, device: torch.device) -> str:
    """What `pretrain` would say of memory: there it may be an error."""
    try:
        return room.check(made, device)
    except UserError as error:
        return str(error)
