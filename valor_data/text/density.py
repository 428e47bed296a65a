"""Audio concept density: how much of what captions say is said of sounds."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal, NamedTuple

from valor_data.text.naming import Lexicon, audioset_names, concepts_of
from valor_data.text.words import bases, words

Matching = Literal["forms", "words", "letters"]


class Density(NamedTuple):
    """Counts over a whole set of captions."""

    concepts: int
    words: int

    @property
    def share(self) -> float:
        """Concepts per word (0-1); 0 for captions without words."""
        return self.concepts / self.words if self.words else 0.0


@cache
def concepts() -> frozenset[str]:
    """AudioSet's audio concepts: the 632 names of its ontology, split at commas, as `words` gives them
    with one space between.

    They are 724; the paper counts 759 and does not say how. Parentheses are stripped, what stands in them
    stays: `bark` and `bow wow` are concepts, and so is `whimper dog`, which no caption ever says.
    """
    parts = (part for name in audioset_names() for part in name.split(","))
    return frozenset(" ".join(words(part)) for part in parts) - {""}


def density(captions: Iterable[str], matching: Matching = "forms") -> Density:
    """The audio concept density of captions after VALOR section 3.4, Eq. 1: N_AC / N_W.

    N_W is the number of words of all captions. N_AC sums over the captions the number of different
    concepts found in each; one that is said twice in a caption counts once. The paper leaves open what
    finding is:

    forms    the concept's words follow one another, each as such or in a regular form (`barked`); of
             concepts that begin at one word the longest counts
    words    its words follow one another unchanged; of concepts that overlap each counts
    letters  its letters follow one another, be it inside other words (`ass` in `glass`); each counts

    VALOR-32K has 8.9 % by forms, 6.7 % by words and 12.1 % by letters; the paper says 9.1 %. Of AudioCaps
    (test and val) 24.4, 15.8 and 29.0 %, and the paper says 17.3 %: none of them is the paper's way.
    """
    found = counted = 0
    for caption in captions:
        said = words(caption)
        counted += len(said)
        found += _FINDING[matching](said)
    return Density(found, counted)


def _as_forms(said: Sequence[str]) -> int:
    return len(concepts_of([bases(word) for word in said], _lexicon()))


def _as_words(said: Sequence[str]) -> int:
    runs = {
        " ".join(said[start : start + length])
        for length in _lengths()
        for start in range(len(said) - length + 1)
    }
    return len(runs & concepts())


def _as_letters(said: Sequence[str]) -> int:
    text = " ".join(said)
    return sum(concept in text for concept in concepts())


_FINDING = {"forms": _as_forms, "words": _as_words, "letters": _as_letters}


@cache
def _lexicon() -> Lexicon:
    return Lexicon.of((concept, concept) for concept in sorted(concepts()))


@cache
def _lengths() -> tuple[int, ...]:
    """In how many words concepts come."""
    return tuple(sorted({concept.count(" ") + 1 for concept in concepts()}))
