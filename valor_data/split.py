"""Which split a video belongs to, by a stable hash: adding videos never moves an old one."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

CAREFUL = ("test", "val", "train")
"""The splits, the one that a leak would hurt most first."""


class Assignment(NamedTuple):
    """A split for every video."""

    splits: dict[str, str]
    """video_id -> split."""
    mixed: list[str]
    """Videos that were given several splits; each went to the most careful one."""


def assign(
    videos: Iterable[str], given: Mapping[str, Collection[str]], shares: Mapping[str, float], seed: int
) -> Assignment:
    """Splits by video: as given where a list (or an earlier run) says so, else by hash and share.

    `given` maps a video to the splits of its clips; `shares` maps train, val and test to parts of
    one. A video's place in [0, 1) is a hash of seed and video_id, so it depends on no other video.
    """
    first, second = shares["train"], shares["train"] + shares["val"]
    if not shares["test"]:
        second = 1.0  # a sum just below one must not open a split of share zero
        first = first if shares["val"] else 1.0
    splits: dict[str, str] = {}
    mixed: list[str] = []
    for video in videos:
        said = given.get(video)
        if said:
            splits[video] = next(split for split in CAREFUL if split in said)
            if len(set(said)) > 1:
                mixed.append(video)
        else:
            place = position(seed, video)
            splits[video] = "train" if place < first else "val" if place < second else "test"
    return Assignment(splits, mixed)


def position(seed: int, name: str) -> float:
    """The place of a name in [0, 1): 53 bits of sha256(seed, name)."""
    digest = hashlib.sha256(b"%d\0%b" % (seed, name.encode())).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)
