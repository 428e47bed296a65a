"""What is wrong with one caption."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from valor_data.recipe.captions import Captions, FaultKind
from valor_data.text.artefacts import artefact
from valor_data.text.naming import named
from valor_data.text.words import bases, words

_QUOTES = "\"'\u201d\u2019\xbb"
_CLOSING = _QUOTES + ")]}*"
_ENDED = tuple(".!?\u2026\u3002\uff01\uff1f\u0964\u061f")
_OPEN_END = re.compile("[,;:([{\u3001\uff0c\uff1a\u060c-]$|\\s[\u2013\u2014]$")
"""How a sentence never ends."""
_DANGLING = frozenset((
    "a", "an", "the", "and", "or", "but", "nor", "that", "which", "whose", "because", "although", "whereas",
    "if", "than", "of", "his", "its", "their", "my", "our", "your", "is", "are", "was", "were", "be", "been",
    "into", "onto", "from", "with", "among", "during", "as",
))  # fmt: skip
"""Words that wait for another one. `In`, `on`, `by`, `her` and the like may end a sentence."""
_NEVER_LAST = frozenset(("a", "an", "the", "and", "or", "but", "nor", "whose", "because", "although"))
"""Those that wait for another one even before a full stop."""
_PAIRS = (("\u201c", "\u201d"), ("(", ")"), ("[", "]"), ("\u300c", "\u300d"), ("\u300a", "\u300b"))
_NO_INCHES = re.compile(r'(?<!\d)"')
_UNTELLING = frozenset((
    "a", "an", "the", "and", "or", "of", "with", "in", "on", "to", "is", "are", "was", "were", "sound",
    "sounds", "some", "etc",
))  # fmt: skip
"""Words that a list of labels may be joined by."""


class Fault(NamedTuple):
    """One thing that is wrong."""

    kind: FaultKind
    detail: str
    """What shows it, for the author's eyes: `3 words, at least 4 are asked for`."""


def faults(
    text: str,
    *,
    rules: Captions,
    hints: Sequence[str] = (),
    language_of: Callable[[str], str] | None = None,
) -> tuple[Fault, ...]:
    """What is wrong with a caption, in the order of `FaultKind`, one of a kind; empty for a good one.

    `hints` are the labels that the author was shown. `language_of` gives the ISO 639 code of a text's
    language, or an empty string where it is not sure; without it no language is wrong.

    empty           nothing to be seen in it
    digits          no letter in it: digits, punctuation, symbols. Nothing more is told of it
    too_short       fewer words than `rules.min_words`
    too_long        more words than `rules.max_words`
    cut             breaks off in mid-sentence, see below
    artefact        holds what no person writes into a caption, see `artefacts`
    copied          most of its telling words stand in the hints
    wrong_language  it is not `rules.language`
    no_sound        names no sound
    nothing_seen    names nothing to be seen; both are for English only

    A caption is cut where it ends in a comma, a colon, a hyphen or an opening bracket; in a word that waits
    for another one (`the`, `and`; `with` where no full stop follows); in a beginning of the word before
    it (`a ding-d`); or inside quotes or brackets. A missing full stop alone is no fault: of the 153 captions
    of VALOR-32K that lack one, half are complete.
    """
    said = words(text)
    if not any(char.isalpha() for word in said for char in word):
        return (_wordless(text),)
    found = []
    if len(said) < rules.min_words:
        found.append(Fault("too_short", f"{len(said)} words, at least {rules.min_words} are asked for"))
    if len(said) > rules.max_words:
        found.append(Fault("too_long", f"{len(said)} words, at most {rules.max_words} are asked for"))
    told: list[tuple[FaultKind, str | None]] = [
        ("cut", _cut(text, said)),
        ("artefact", artefact(text, said)),
        ("copied", _copied(said, hints, rules.copied_share)),
    ]
    spoken = _primary(language_of(text)) if language_of else ""
    if spoken and spoken != _primary(rules.language):
        told.append(("wrong_language", f"{spoken}, not {_primary(rules.language)}"))
    elif _primary(rules.language) == "en":
        sounds, heard, things, looks = named(said)
        told.append(("no_sound", None if sounds or heard else "it names no sound"))
        told.append(("nothing_seen", None if things or looks else "it names nothing that is seen"))
    return (*found, *(Fault(kind, detail) for kind, detail in told if detail))


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


def _wordless(text: str) -> Fault:
    shown = "".join(char for char in text if unicodedata.category(char)[0] not in "CZ")
    if not shown:
        return Fault("empty", "there is nothing in it")
    return Fault("digits", f"no letter in it: {shown[:40]}")


def _cut(text: str, said: Sequence[str]) -> str | None:
    """How it shows that the text breaks off; None: it does not."""
    end = text.rstrip()
    if _OPEN_END.search(end.rstrip(_QUOTES)):
        return f"it ends in {end[-12:]!r}"
    bare = end.rstrip(_CLOSING).rstrip()
    ended = bare.endswith(_ENDED)
    last = said[-1]
    if last in _NEVER_LAST or (not ended and last in _DANGLING):
        return f"it ends in {last!r}"
    if not ended and len(said) > 1 and len(last) < len(said[-2]) and said[-2].startswith(last):
        return f"it ends in {said[-2]!r}, {last!r}"
    for opening, closing in _PAIRS:
        if end.count(opening) > end.count(closing):
            return f"{opening} is not closed"
    if end.count('"') % 2 and len(_NO_INCHES.findall(end)) % 2:
        return "a quote is not closed"
    return None


def _copied(said: Sequence[str], hints: Sequence[str], share: float) -> str | None:
    if not hints:
        return None
    shown = {base for hint in hints for word in words(hint) for base in bases(word)}
    telling = [word for word in said if word not in _UNTELLING]
    copied = [word for word in telling if not shown.isdisjoint(bases(word))]
    if copied and len(copied) >= share * len(telling):
        return f"{len(copied)} of {len(telling)} words stand in the hints"
    return None
