"""Clips that look or sound like one, by fingerprint, and clips that lie beside it in a model's space.

All prints are compared as directions, which is one product of matrices for thousands of them; the prints
themselves then judge the few that are nearest. What does not fit is forgotten: memory does not grow with the
clips.
"""

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from valor_data import layout, neighbours, prints
from valor_data.errors import UserError
from valor_data.prints import PICTURE, SOUND, Form
from valor_data.records import Clip, Embedding
from valor_data.store import Store
from valor_data.tables import Tables

_CHUNK = 2_048
_JUDGED = 8
"""For each clip asked for, so many of the nearest directions are judged by their prints."""


class Alike(NamedTuple):
    """A clip that is like the one asked for."""

    clip_id: str
    by: str
    """`both`, `video` or `audio`: the prints of these match. `print`: none does, yet they are the nearest.
    `v`, `a`, `av` or `t` and the model: the kind of embedding."""
    picture: float | None
    """Distance of the pictures: 0 for equal ones, 1 and more for unrelated ones."""
    sound: float | None
    cosine: float | None
    """Of the angle between two embeddings: 1 for the same direction, 0 for unrelated ones."""
    caption: str | None


class _Prints(NamedTuple):
    clip_id: str
    picture: bytes | None
    sound: bytes | None


def similar(root: str, clip_id: str, limit: int) -> list[Alike]:
    """The clips nearest to one: `limit` of them by prints, and as many for each of its embeddings.

    Raises UserError where no workspace is, for a clip that it does not know, and for one that has neither
    prints nor embeddings.
    """
    if not any(Store.open(root).list(layout.TABLES)):
        raise UserError(f"{root}: no workspace there; name one with --workspace (a release holds no prints)")
    tables = Tables.open(root)
    if not any(True for _ in tables.rows(Clip, clip_id=clip_id)):
        raise UserError(f"no clip {clip_id!r} in {root}; it is written <video_id>_<start_ms>_<end_ms>")
    own = next((one for one in _prints(tables) if one.clip_id == clip_id), None)
    embeddings = list(tables.rows(Embedding, clip_id=clip_id))
    if not embeddings and (own is None or own.picture is own.sound is None):
        raise UserError(
            f"{clip_id} has no fingerprint: 'valor-data filter RECIPE' makes them"
            if own is None
            else f"{clip_id} is black and silent: it has no fingerprint to compare"
        )
    found = _by_prints(tables, own, limit) if own is not None else []
    for one in embeddings:
        found += _by_embedding(tables, one, limit)
    told = tables.first_captions({one.clip_id for one in found})
    return [one._replace(caption=told.get(one.clip_id)) for one in found]


def _prints(tables: Tables) -> Iterator[_Prints]:
    for batch in tables.each_print():
        columns = (batch[name].to_pylist() for name in _Prints._fields)
        yield from map(_Prints, *columns)


def _by_prints(tables: Tables, own: _Prints, limit: int) -> list[Alike]:
    near: dict[str, _Prints] = {}
    for form, name in ((PICTURE, "picture"), (SOUND, "sound")):
        mine = getattr(own, name)
        if mine is not None:
            near |= {one.clip_id: one for one in _nearest(tables, form, name, mine, _JUDGED * limit)}
    near.pop(own.clip_id, None)
    judged = [_judged(own, one) for one in near.values()]
    return heapq.nsmallest(limit, judged, key=lambda one: (_far(one), one.clip_id))


def _nearest(tables: Tables, form: Form, name: str, mine: bytes, many: int) -> list[_Prints]:
    direction = neighbours.directions(form, neighbours.Prints.of([mine]), np.zeros(1, np.int64))[0]
    best: list[tuple[float, _Prints]] = []
    waiting: list[_Prints] = []

    def compare() -> None:
        held = neighbours.Prints.of(getattr(one, name) for one in waiting)
        rows = neighbours.directions(form, held, np.arange(len(waiting)))
        scored = zip((rows @ direction).tolist(), waiting, strict=True)
        best[:] = heapq.nlargest(many, [*best, *scored], key=lambda one: (one[0], one[1].clip_id))
        waiting.clear()

    for one in _prints(tables):
        theirs = getattr(one, name)
        if theirs is not None and theirs[0] == mine[0]:
            waiting.append(one)
        if len(waiting) == _CHUNK:
            compare()
    if waiting:
        compare()
    return [one for _, one in best]


def _judged(own: _Prints, other: _Prints) -> Alike:
    picture = _distance(own.picture, other.picture)
    sound = _distance(own.sound, other.sound)
    same_picture = picture is not None and picture <= prints.SAME_PICTURE
    same_sound = sound is not None and sound <= prints.SAME_SOUND
    lacking = own.picture is other.picture is None, own.sound is other.sound is None
    whole = (same_picture or lacking[0]) and (same_sound or lacking[1])
    by = "both" if whole else "video" if same_picture else "audio" if same_sound else "print"
    return Alike(other.clip_id, by, picture, sound, None, None)


def _distance(one: bytes | None, other: bytes | None) -> float | None:
    if one is None or other is None or one[0] != other[0]:
        return None
    return round(prints.distance(one, other), 4)


def _far(one: Alike) -> float:
    """Mean distance of what both have; what matches as a whole comes before all else."""
    known = [far for far in (one.picture, one.sound) if far is not None]
    return sum(known) / len(known) - (10 if one.by == "both" else 0)


def _by_embedding(tables: Tables, own: Embedding, limit: int) -> list[Alike]:
    direction = np.array(own.vector, np.float32)
    direction /= max(float(np.linalg.norm(direction)), 1e-12)
    best: list[tuple[float, str]] = []
    for batch in tables.each_embedding(own.kind, own.model):
        clips = [str(clip) for clip in batch["clip_id"].to_pylist()]
        rows = _matrix(batch, len(direction), own.model)
        length = np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
        scored = zip((rows @ direction / length).tolist(), clips, strict=True)
        best = heapq.nlargest(limit, [*best, *(one for one in scored if one[1] != own.clip_id)])
    by = f"{own.kind} {own.model}"
    return [Alike(clip, by, None, None, round(cosine, 4), None) for cosine, clip in best]


def _matrix(batch: pa.RecordBatch, width: int, model: str) -> NDArray[np.float32]:
    vectors: Any = batch["vector"]
    flat: NDArray[np.float32] = vectors.flatten().to_numpy(zero_copy_only=False)
    if len(flat) != width * batch.num_rows:
        raise UserError(f"embeddings of {model} have different lengths; make them again with one model")
    return flat.reshape(batch.num_rows, width)
