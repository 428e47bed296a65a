"""Which of many clips are alike, by their prints, without comparing each with each: numpy only.

A print becomes a direction whose angle to another print's direction tells how alike the two are: its
course and its looks, weighed as `prints` weighs them and projected at random to a few numbers. Which
of these is largest after a random turn is a word that prints alike tend to share. Clips that share
two such words are candidates; the signs of their numbers sift these, and the prints decide. Work
grows as the clips do: in a bucket that many clips share, each is compared with the few that follow it
when the bucket is ordered by two words more.

All is laid out by clip_id, so results do not depend on the order of the clips. Two clips match as
`both` where each kind of print that either has is there on both sides and matches, so clips without
any sound need match in the picture alone; as `video` or `audio` where picture or sound matches.

Suffixes: N clips, M words, P candidate pairs, B parts of 64 signs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from valor_data import prints
from valor_data.prints import PICTURE, SOUND, Floats, Form

Kind = Literal["both", "audio", "video"]
Indices = NDArray[np.int64]
Pairs = tuple[Indices, Indices]

_NUMBERS = 256
"""Numbers of a direction."""
_WORDS = 24
"""Words of a print: 276 pairs of two."""
_NEAR = 16
"""Clips of a bucket that each is compared with."""
_SIGNS = 100
"""Signs that may differ: of 256, about 85 do between prints half alike, and 128 +- 8 between others."""
_SECONDS = 10
"""As much of a print goes into its direction."""
_CHUNK = 8192
_INDEX_BITS = 28  # of a sorted key; a pair of words takes the 18 above


@dataclass(frozen=True)
class Prints:
    """Prints of one kind, one a clip, end to end: the form in which a million of them are held."""

    offsets: Indices
    """Where each begins, and at last where the last one ends. A clip without a print takes no byte."""
    buffer: NDArray[np.uint8]

    @classmethod
    def of(cls, each: Iterable[bytes | None]) -> "Prints":
        """Prints as they come; None for a clip without one."""
        buffer, ends = bytearray(), [0]
        for one in each:
            buffer += one or b""
            ends.append(len(buffer))
        return cls(np.array(ends, np.int64), np.frombuffer(buffer, np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of_clip(self, clip: int) -> bytes | None:
        """The print of the clip of that number."""
        first, end = self.offsets[clip], self.offsets[clip + 1]
        return self.buffer[first:end].tobytes() if end > first else None


class Duplicate(NamedTuple):
    """A clip of a group of near-duplicates; each group has at least two."""

    clip_id: str
    representative: str
    """The smallest clip_id of the group: its own for the representative itself."""
    kind: Kind


class Leak(NamedTuple):
    """A clip that matches a clip of a benchmark."""

    clip_id: str
    benchmark_id: str
    kind: Kind


def near_duplicates(clip_ids: Sequence[str], pictures: Prints, sounds: Prints) -> list[Duplicate]:
    """The groups of near-duplicates, sorted by kind, representative and clip_id.

    A group is a connected component: of matches in picture and sound (`both`), in sound (`audio`), in
    picture (`video`). The latter two are told where they join clips that are not one `both` group,
    such as a music bed under several pictures; so a clip may be in a group of each kind. All three
    arguments have one entry a clip; clip_ids are unique.
    """
    order = np.array(sorted(range(len(clip_ids)), key=clip_ids.__getitem__), np.int64)
    sides = [Side(PICTURE, pictures, order), Side(SOUND, sounds, order)]
    graphs = [Components(len(order)), Components(len(order))]
    both = Components(len(order))
    for which, side in enumerate(sides):
        other = sides[1 - which]
        failed = _Seen()
        for i, j in side.candidates():
            fresh = both.apart(i, j)
            i, j = i[fresh], j[fresh]
            # Where they are joined in this one, only the other can tell more.
            fresh = graphs[which].apart(i, j) | other.near(i, j) | other.lacks(i, j)
            i, j = failed.drop(i[fresh], j[fresh])
            matched = side.match(i, j)
            failed.add(i[~matched], j[~matched])
            i, j = i[matched], j[matched]
            graphs[which].join(i, j)
            alike = other.lacks(i, j) | other.match(i, j)
            for joined in (graphs[1 - which], both):
                joined.join(i[alike], j[alike])
            failed.add(i[~alike], j[~alike])  # nothing more is to be known of them
    names = [clip_ids[clip] for clip in order.tolist()]
    found = [Duplicate(names[i], names[root], "both") for i, root in both.grouped()]
    found += [Duplicate(names[i], names[root], "video") for i, root in graphs[0].grouped(beyond=both)]
    found += [Duplicate(names[i], names[root], "audio") for i, root in graphs[1].grouped(beyond=both)]
    return sorted(found, key=lambda row: (row.kind, row.representative, row.clip_id))


def leaks(
    clip_ids: Sequence[str],
    pictures: Prints,
    sounds: Prints,
    benchmark_ids: Sequence[str],
    benchmark_pictures: Prints,
    benchmark_sounds: Prints,
) -> list[Leak]:
    """The clips that match a clip of a benchmark, sorted by clip, benchmark clip and kind.

    Each pair is told once, with what matches. Prints and ids as in `near_duplicates`.
    """
    clips = len(clip_ids)
    ids = [*clip_ids, *benchmark_ids]
    order = np.array(sorted(range(len(ids)), key=lambda n: (ids[n], n >= clips)), np.int64)
    is_benchmark = order >= clips
    sides = [
        Side(PICTURE, _joined(pictures, benchmark_pictures), order),
        Side(SOUND, _joined(sounds, benchmark_sounds), order),
    ]
    found: dict[tuple[int, int], Kind] = {}
    seen = _Seen()
    for side in sides:
        for i, j in side.candidates(is_benchmark):
            i, j = seen.drop(i, j)
            seen.add(i, j)
            seeing, hearing = (other.match(i, j) for other in sides)
            whole = (seeing | sides[0].lacks(i, j)) & (hearing | sides[1].lacks(i, j))
            for n in np.flatnonzero(seeing | hearing).tolist():
                kind: Kind = "both" if whole[n] else "video" if seeing[n] else "audio"
                clip, other_clip = (i[n], j[n]) if is_benchmark[j[n]] else (j[n], i[n])
                found[int(order[clip]), int(order[other_clip])] = kind
    return sorted(Leak(ids[clip], ids[benchmark], kind) for (clip, benchmark), kind in found.items())


def _joined(some: Prints, more: Prints) -> Prints:
    offsets = np.concatenate((some.offsets, more.offsets[1:] + some.offsets[-1]))
    return Prints(offsets, np.concatenate((some.buffer, more.buffer)))


class Side:
    """One kind of print of all clips, in the order in which they are compared."""

    def __init__(self, form: Form, held: Prints, order: Indices) -> None:
        if len(held) != len(order):
            raise ValueError(f"{len(held)} prints of {len(order)} clips")
        self._form = form
        self._held = held
        self._order = order
        self._same = prints.SAME_PICTURE if form is PICTURE else prints.SAME_SOUND
        self.has_N = held.offsets[order + 1] > held.offsets[order]
        self._with = np.flatnonzero(self.has_N)
        self._words_MN = np.zeros((_WORDS, len(self._with)), np.uint16)
        self._signs_BN = np.zeros((_NUMBERS // 64, len(order)), np.uint64)
        random = np.random.default_rng(form.tag)
        steps = _SECONDS * form.steps_a_second
        width = (steps + steps // form.look_steps) * form.values
        # Signs of numbers of their own: those that share words by chance have numbers alike by chance.
        planes = random.standard_normal((2, width, _NUMBERS), np.float32)
        turns = random.standard_normal((_WORDS, _NUMBERS, _NUMBERS), np.float32)
        for start in range(0, len(self._with), _CHUNK):
            clips = self._with[start : start + _CHUNK]
            found = directions(form, held, order[clips])
            signs_NB = np.packbits(found @ planes[1] > 0, axis=1).view(np.uint64)
            self._signs_BN[:, clips] = signs_NB.T
            numbers = found @ planes[0]
            for word, turn in enumerate(turns):
                turned = numbers @ turn
                largest = np.abs(turned).argmax(axis=1)
                positive = np.take_along_axis(turned, largest[:, None], axis=1)[:, 0] > 0
                self._words_MN[word, start : start + _CHUNK] = 2 * largest + positive

    def candidates(self, is_benchmark: NDArray[np.bool_] | None = None) -> Iterator[Pairs]:
        """Pairs i < j that share a bucket and nearly all signs, bucket by bucket of two words.

        With `is_benchmark` only pairs of which one is. Pairs come again in other buckets.
        """
        index = np.arange(len(self._with), dtype=np.uint64)
        for first, second in combinations(range(_WORDS), 2):
            bucket = self._pair(first, second)
            more = self._pair((second + 1) % _WORDS, (first + 2) % _WORDS)
            key = bucket << np.uint64(46) | more << np.uint64(_INDEX_BITS) | index
            key.sort()
            place = self._with[(key & np.uint64((1 << _INDEX_BITS) - 1)).astype(np.int64)]
            bucket = key >> np.uint64(46)
            signs_BN = self._signs_BN[:, place]  # in this order, so that those of a pair lie close
            # Neighbours first: what they join need not be compared across.
            for steps in (range(1, 2), range(2, _NEAR + 1)):
                found = [_together(bucket, signs_BN, step) for step in steps]
                i, j = (place[np.concatenate(ends)] for ends in zip(*found, strict=True))
                if is_benchmark is not None:
                    crossing = is_benchmark[i] != is_benchmark[j]
                    i, j = i[crossing], j[crossing]
                yield np.minimum(i, j), np.maximum(i, j)

    def near(self, i_P: Indices, j_P: Indices) -> NDArray[np.bool_]:
        """Where both have a print and few signs differ."""
        near: NDArray[np.bool_] = self.has_N[i_P] & self.has_N[j_P] & _near(self._signs_BN, i_P, j_P)
        return near

    def lacks(self, i_P: Indices, j_P: Indices) -> NDArray[np.bool_]:
        """Where neither has a print."""
        neither: NDArray[np.bool_] = ~(self.has_N[i_P] | self.has_N[j_P])
        return neither

    def match(self, i_P: Indices, j_P: Indices) -> NDArray[np.bool_]:
        """Where the prints themselves match, asked of those that are near."""
        matched = self.near(i_P, j_P)
        asked = np.flatnonzero(matched)
        found = map(self._matches, i_P[asked].tolist(), j_P[asked].tolist())
        matched[asked] = np.fromiter(found, np.bool_, len(asked))
        return matched

    def _matches(self, i: int, j: int) -> bool:
        one, other = (self._held.of_clip(int(self._order[clip])) for clip in (i, j))
        return one is not None and other is not None and prints.distance(one, other) <= self._same

    def _pair(self, first: int, second: int) -> NDArray[np.uint64]:
        pair: NDArray[np.uint64] = self._words_MN[first].astype(np.uint64) << np.uint64(9)
        pair |= self._words_MN[second]
        return pair


def _together(bucket_N: NDArray[np.uint64], signs_BN: NDArray[np.uint64], step: int) -> Pairs:
    """Places, `step` apart in one bucket, whose signs are near."""
    here = np.flatnonzero(bucket_N[:-step] == bucket_N[step:])
    here = here[_near(signs_BN, here, here + step)]
    return here, here + step


def _near(signs_BN: NDArray[np.uint64], i_P: Indices, j_P: Indices) -> NDArray[np.bool_]:
    """Where few signs differ."""
    differ = np.zeros(len(i_P), np.uint16)
    for signs_N in signs_BN:  # a sum along so short an axis would cost more than all the rest
        differ += np.bitwise_count(signs_N[i_P] ^ signs_N[j_P])
    near: NDArray[np.bool_] = differ <= _SIGNS
    return near


def directions(form: Form, held: Prints, clips: Indices) -> Floats:
    """Rows of length 1, one a clip with a print, whose product tells how alike their first seconds are."""
    most = _SECONDS * form.steps_a_second
    start = held.offsets[clips]
    steps = held.buffer[start + 1].astype(np.int64) | held.buffer[start + 2].astype(np.int64) << 8
    looks = -(-steps // form.look_steps)
    start = start + prints.HEAD
    raw_looks = _rows(held.buffer, start, looks * form.values, most // form.look_steps * form.values)
    there = raw_looks >= 0
    looks_NV = np.where(there, raw_looks, 0).astype(np.float32)
    count = np.maximum(1, there.sum(axis=1, keepdims=True))
    looks_NV = np.where(there, looks_NV - looks_NV.sum(axis=1, keepdims=True) / count, 0)
    start = start + looks * form.values
    half = form.values // 2
    raw = _rows(held.buffer, start, steps * half, most * half)
    course_NV = prints.values_of(np.where(raw >= 0, raw, 0x88).astype(np.uint8))
    ballast = form.ballast * form.values * np.minimum(steps, most)[:, None]
    length = np.sqrt(np.square(looks_NV).sum(axis=1, keepdims=True))
    whole = np.concatenate((course_NV, looks_NV * (np.sqrt(ballast) / np.maximum(length, 1e-6))), axis=1)
    norm = np.sqrt(np.square(whole).sum(axis=1, keepdims=True))
    rows: Floats = (whole / np.maximum(norm, 1e-6)).astype(np.float32)
    return rows


def _rows(buffer: NDArray[np.uint8], start: Indices, lengths: Indices, width: int) -> NDArray[np.int16]:
    """The bytes from each start on, -1 behind its length."""
    places = np.arange(width)
    inside = places < np.minimum(lengths, width)[:, None]
    found = buffer[np.where(inside, start[:, None] + places, 0)]
    return np.where(inside, found.astype(np.int16), np.int16(-1))


class Components:
    """Connected components of the clips, each named by its smallest."""

    def __init__(self, clips: int) -> None:
        self._root = np.arange(clips)

    def apart(self, i_P: Indices, j_P: Indices) -> NDArray[np.bool_]:
        """Where the two are in different components."""
        apart: NDArray[np.bool_] = self._root[i_P] != self._root[j_P]
        return apart

    def join(self, i_P: Indices, j_P: Indices) -> None:
        """Join the components of the two of each pair."""
        for i, j in zip(i_P.tolist(), j_P.tolist(), strict=True):
            low, high = sorted((self._find(i), self._find(j)))
            self._root[high] = low
        if len(i_P):
            while not np.array_equal(flat := self._root[self._root], self._root):
                self._root = flat

    def grouped(self, beyond: "Components | None" = None) -> Iterator[tuple[int, int]]:
        """Each clip of a group of two or more, and the group's smallest.

        With `beyond` no group that lies within one component of that.
        """
        outer = np.arange(len(self._root)) if beyond is None else beyond._root
        wide = np.zeros(len(self._root), np.bool_)
        wide[self._root[outer != outer[self._root]]] = True
        for clip in np.flatnonzero(wide[self._root]).tolist():
            yield clip, int(self._root[clip])

    def _find(self, clip: int) -> int:
        while (root := int(self._root[clip])) != clip:
            self._root[clip] = self._root[root]
            clip = root
        return clip


class _Seen:
    """Pairs already judged."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.int64)
        self._new: list[Indices] = []

    def drop(self, i_P: Indices, j_P: Indices) -> Pairs:
        """The pairs that are not among them."""
        self._settle()
        keys = i_P << 32 | j_P
        place = np.searchsorted(self._keys, keys)
        place[place == len(self._keys)] = 0
        fresh = self._keys[place] != keys if len(self._keys) else np.ones(len(keys), np.bool_)
        return i_P[fresh], j_P[fresh]

    def add(self, i_P: Indices, j_P: Indices) -> None:
        """Take the pairs among them."""
        self._new.append(i_P << 32 | j_P)

    def _settle(self) -> None:
        self._keys = np.union1d(self._keys, np.concatenate([self._keys[:0], *self._new]))
        self._new.clear()
