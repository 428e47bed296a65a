"""The cap on each label: the clips that a flat set does without."""

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from valor_data.rules.columns import Bools, Labels, Places


class Cap(NamedTuple):
    """What a cap does to the kept clips."""

    over: Places
    """Clips that it drops."""
    rarest: list[str]
    """The rarest label of each of them, which has its clips without it."""
    unlabelled: int
    """Kept clips without a label, which no cap reaches."""


def over_the_cap(
    kept: Bools, labels: Labels, names_of: Callable[[Places], Sequence[str]], per_label: int, seed: int
) -> Cap:
    """Give each label, the rarest first, clips until it has `per_label` of them, those counted that a rarer
    label took before; clips in the least frequent company first, then by their hashes.

    A frequent label may end above the cap by the company that its clips keep: most rare sounds of AudioSet
    come with speech or music. Choosing by company halves that. Hashes and frequencies change little where
    a set grows, so few verdicts do. `names_of` gives the ids of clips at some places.
    """
    pairs = kept[labels.clip]
    clip, label = labels.clip[pairs], labels.label[pairs]
    sizes = np.bincount(label, minlength=len(labels.names))
    labelled = np.zeros(len(kept), dtype=np.bool_)
    labelled[clip] = True
    company = np.zeros(len(kept), dtype=np.intp)  # clips of each clip's most frequent label
    np.maximum.at(company, clip, sizes[label])
    clip = clip[np.lexsort((_turns(labelled, names_of, seed)[clip], company[clip], label))]
    ends = np.cumsum(sizes)
    # Names break ties, for places of names move when a label joins.
    order = sorted(range(len(sizes)), key=lambda place: (sizes[place], labels.names[place]))
    taken = np.zeros(len(kept), dtype=np.bool_)
    for place in order:
        members = clip[ends[place] - sizes[place] : ends[place]]
        free = members[~taken[members]]
        wanted = per_label - (len(members) - len(free))
        if wanted > 0:
            taken[free[:wanted]] = True
    over = np.flatnonzero(labelled & ~taken)
    return Cap(over, _rarest(labels, order, over, len(kept)), int((kept & ~labelled).sum()))


def _turns(chosen: Bools, names_of: Callable[[Places], Sequence[str]], seed: int) -> npt.NDArray[np.uint64]:
    """When it is a clip's turn: a hash of seed and id."""
    places = np.flatnonzero(chosen)
    key = b"%d" % seed
    hashes = [hashlib.blake2b(name.encode(), digest_size=8, key=key).digest() for name in names_of(places)]
    turns = np.zeros(len(chosen), dtype=np.uint64)
    turns[places] = np.frombuffer(b"".join(hashes), dtype=">u8")
    return turns


def _rarest(labels: Labels, order: Sequence[int], clips: Places, total: int) -> list[str]:
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    lowest = np.full(total, len(order), dtype=np.intp)
    np.minimum.at(lowest, labels.clip, rank[labels.label])
    return [labels.names[order[place]] for place in lowest[clips].tolist()]
