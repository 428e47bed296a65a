"""Which split a video belongs to, by a stable hash: adding videos never moves an old one."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

CAREFUL = ("test", "val", "train")
"""The splits, the one that a leak would hurt most first."""


class Assignment(NamedTuple):
    """A split for every video."""

    splits: dict[str, str]
    """video_id -> split; a video that no split may hold is absent."""
    mixed: list[str]
    """Videos that were given several splits; each went to the most careful one."""


def assign(
    videos: Iterable[str],
    given: Mapping[str, Collection[str]],
    shares: Mapping[str, float],
    seed: int,
    *,
    drawn: Mapping[str, Collection[str]] | None = None,
    labels: Mapping[str, Collection[str]] | None = None,
    barred: Mapping[str, Collection[str]] | None = None,
) -> Assignment:
    """Splits by video: as given where a list says so, as drawn where an earlier run did, else by hash.

    `given` and `drawn` map a video to the splits of its clips; `shares` maps train, val and test to parts of
    one. A video's place in [0, 1) is a hash of seed and video_id, so it depends on no other video. With
    `labels`, which maps videos to theirs, each label is spread by the shares as far as whole videos allow,
    the rarest first; what was drawn before counts, and is not moved. `barred` maps a video to splits that
    must not hold it: it goes to another; one that stands in such a split, or has none left, is absent.
    """
    drawn, barred = drawn or {}, barred or {}
    fixed: dict[str, str] = {}
    standing: dict[str, str] = {}
    mixed: list[str] = []
    free: list[str] = []
    for video in videos:
        said = given.get(video) or drawn.get(video)
        if not said:
            free.append(video)
            continue
        stands = fixed if video in given else standing
        stands[video] = next(split for split in CAREFUL if split in said)
        if len(set(said)) > 1:
            mixed.append(video)
    if labels is None:
        new = _by_hash(free, shares, seed, barred)
    else:
        new = _by_label(free, standing, labels, shares, seed, barred)
    before = (fixed | standing).items()
    splits = {video: split for video, split in before if split not in barred.get(video, ())}
    return Assignment(splits | {video: split for video, split in new.items() if split is not None}, mixed)


def position(seed: int, name: str) -> float:
    """The place of a name in [0, 1): 53 bits of sha256(seed, name)."""
    digest = hashlib.sha256(b"%d\0%b" % (seed, name.encode())).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def _by_hash(
    free: Iterable[str], shares: Mapping[str, float], seed: int, barred: Mapping[str, Collection[str]]
) -> dict[str, str | None]:
    usual = _edges(shares, ())
    new: dict[str, str | None] = {}
    for video in free:
        edges = _edges(shares, barred[video]) if video in barred else usual
        place = position(seed, video)
        new[video] = next((split for split, edge in edges if place < edge), None)
    return new


def _edges(shares: Mapping[str, float], barred: Collection[str]) -> list[tuple[str, float]]:
    """The splits that are open, each with the end of its part of [0, 1)."""
    open_to = [split for split in reversed(CAREFUL) if shares[split] and split not in barred]
    whole, edge = sum(shares[split] for split in open_to), 0.0
    edges = []
    for split in open_to:
        edge += shares[split] / whole
        edges.append((split, edge if split != open_to[-1] else 1.0))  # sums are rounded
    return edges


def _by_label(
    free: Iterable[str],
    standing: Mapping[str, str],
    labels: Mapping[str, Collection[str]],
    shares: Mapping[str, float],
    seed: int,
    barred: Mapping[str, Collection[str]],
) -> dict[str, str | None]:
    """One video after the other goes to the split that lacks most of its rarest label. Where none lacks a
    whole video of that, for a few cannot be shared, it goes to the one that lacks most of all videos."""
    counts: Counter[str | None] = Counter(
        label for video in (*standing, *free) for label in labels.get(video, ())
    )
    held: Counter[tuple[str | None, str]] = Counter(
        (label, split) for video, split in standing.items() for label in labels.get(video, ())
    )
    filled = Counter(standing.values())
    by_rarest: dict[str | None, list[str]] = defaultdict(list)
    for video in free:
        rarest = min(labels.get(video, ()), key=lambda label: (counts[label], label), default=None)
        by_rarest[rarest].append(video)
    new: dict[str, str | None] = {}
    for rarest in sorted(by_rarest, key=lambda label: (label is None, counts[label], label or "")):
        for video in sorted(by_rarest[rarest], key=lambda video: position(seed, video)):
            open_to = [split for split in CAREFUL if shares[split] and split not in barred.get(video, ())]
            new[video] = split = max(
                open_to,
                key=lambda split: (
                    *_need(shares[split] * counts[rarest], held[rarest, split]),
                    shares[split] * (filled.total() + 1) - filled[split],
                ),
                default=None,
            )
            if split is not None:
                filled[split] += 1
                held.update((label, split) for label in labels.get(video, ()))
    return new


def _need(wanted: float, held: int) -> tuple[int, bool]:
    """How many whole videos a split lacks of what it shall hold, and whether one more is not too many."""
    rounded = round(wanted, 6)  # a share of a count may lie a hair below a whole
    return max(0, math.floor(rounded) - held), held < math.ceil(rounded)
