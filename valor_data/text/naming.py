"""Which sounds and which things a caption names, by English word lists that lie in `lexicon/`."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

from valor_data.text.words import bases, words

_PLAYING = frozenset(
    {"play", "perform", "performance", "beat", "blow", "blew", "tune", "practise", "practice", "sound"}
)
"""What is done with an instrument that is heard."""


class Lexicon(NamedTuple):
    """Concepts and the words that they are told by."""

    single: dict[str, str]
    """Word -> concept."""
    phrases: dict[str, list[tuple[tuple[str, ...], str]]]
    """First word -> phrases of two words or more and their concepts, the longest phrase first."""

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]]) -> "Lexicon":
        """Words or phrases, each with the concept it tells."""
        lexicon = cls({}, {})
        for told, concept in entries:
            parts = tuple(told.split())
            if len(parts) == 1:
                lexicon.single[parts[0]] = concept
            else:
                lexicon.phrases.setdefault(parts[0], []).append((parts, concept))
        for phrases in lexicon.phrases.values():
            phrases.sort(key=lambda entry: -len(entry[0]))
        return lexicon


class Named(NamedTuple):
    """What a caption names."""

    sounds: set[str]
    heard: set[str]
    """Words that tell of some sound and do not say which: `sound`, `hear`, `loud`."""
    things: set[str]
    looks: set[str]
    """Colours, postures, movements: no things, yet only eyes can tell them."""


def sounds_named(text: str) -> set[str]:
    """The sounds that an English caption names, each by one word whatever its form: `barked` is `bark`.

    An instrument is a sound where somebody plays it, and `music` is another.
    """
    return named(words(text)).sounds


def things_named(text: str) -> set[str]:
    """The visible things (beings, objects, places) that an English caption names, each by one word."""
    return named(words(text)).things


def named(found: Sequence[str]) -> Named:
    """What is named by the words of a caption, as `words` gives them."""
    forms = [bases(word) for word in found]
    sounds = concepts_of(forms, _lexicon("sounds"))
    instruments = concepts_of(forms, _lexicon("instruments"))
    things = concepts_of(forms, _lexicon("things"))
    if instruments and any(_PLAYING.intersection(form) for form in forms):
        sounds |= instruments | {"music"}
    return Named(
        sounds,
        concepts_of(forms, _lexicon("hearing")),
        things | instruments,
        concepts_of(forms, _lexicon("seeing")),
    )


@cache
def audioset_names() -> tuple[str, ...]:
    """The names of AudioSet's 632 classes, in the order of its ontology."""
    return tuple(_lines("audioset"))


def concepts_of(forms: Sequence[tuple[str, ...]], lexicon: Lexicon) -> set[str]:
    """The concepts told by words, each given with its `bases`. From the left, the longest phrase first."""
    found = set()
    place = 0
    while place < len(forms):
        told = _told_at(forms, place, lexicon)
        if told:
            found.add(told[1])
        place += told[0] if told else 1
    return found


def _told_at(forms: Sequence[tuple[str, ...]], place: int, lexicon: Lexicon) -> tuple[int, str] | None:
    """How many words from the place on tell a concept, and which."""
    for base in forms[place]:
        for phrase, concept in lexicon.phrases.get(base, ()):
            if _stands(phrase, forms, place):
                return len(phrase), concept
        if base in lexicon.single:
            return 1, lexicon.single[base]
    return None


def _stands(phrase: tuple[str, ...], forms: Sequence[tuple[str, ...]], place: int) -> bool:
    """Whether the phrase's words follow one another from the place on."""
    if place + len(phrase) > len(forms):
        return False
    return all(part in forms[place + n] for n, part in enumerate(phrase))


@cache
def _lexicon(name: str) -> Lexicon:
    return Lexicon.of(_entries(name))


def _entries(name: str) -> Iterator[tuple[str, str]]:
    """What the lines of a word list say: `lexicon/README.md` tells their form."""
    for line in _lines(name):
        concept, colon, others = line.partition(":")
        for told in (concept, *others.split(",")) if colon else line.split(","):
            yield told.strip(), concept if colon else told.strip()


def _lines(name: str) -> Iterator[str]:
    text = (resources.files("valor_data.text") / "lexicon" / f"{name}.txt").read_text("utf-8")
    return (line for line in text.splitlines() if line and not line.startswith("#"))
