"""Columns and labels for tests of rules, from plain values."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from valor_data.rules import YES_NO, Column, Labels


def column(values: Sequence[Any]) -> Column:
    """From numbers, or words, or true and false; None: not defined."""
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, bool) for value in there):
        return Column(np.array([np.nan if value is None else float(value) for value in values]), YES_NO)
    if any(isinstance(value, str) for value in there):
        words = tuple(sorted(set(there)))
        places = {word: float(place) for place, word in enumerate(words)}
        return Column(np.array([places.get(value, np.nan) for value in values]), words)
    return Column(np.array(values, dtype=np.float64))


def labels(of_clips: Iterable[Collection[str]]) -> Labels:
    """From the labels of each clip."""
    listed = [sorted(set(words)) for words in of_clips]
    names = tuple(sorted({word for words in listed for word in words}))
    pairs = [(clip, names.index(word)) for clip, words in enumerate(listed) for word in words]
    found = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return Labels(names, found[:, 0], found[:, 1])
