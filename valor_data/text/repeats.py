"""Captions that are the same but for case, spaces and punctuation."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from valor_data.text.words import words


class Repeat(NamedTuple):
    """A caption that is there more than once. In retrieval it is a question with several answers."""

    text: str
    """As the first of them has it."""
    ids: tuple[str, ...]
    """Whose it is, in the order given."""


def repeated(captions: Iterable[tuple[str, str]]) -> list[Repeat]:
    """Captions, given as (id, text), whose words are the same in the same order; the most frequent first,
    then as they came.

    Captions without any word are none: they are faulty by themselves.
    """
    texts: dict[str, str] = {}
    ids: dict[str, list[str]] = defaultdict(list)
    for name, text in captions:
        key = " ".join(words(text))
        if key:
            texts.setdefault(key, text)
            ids[key].append(name)
    found = [Repeat(texts[key], tuple(names)) for key, names in ids.items() if len(names) > 1]
    return sorted(found, key=lambda repeat: -len(repeat.ids))
