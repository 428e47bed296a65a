"""Drafts by a model: what is made wrong in some of them, and how they are shown. Pure."""

import hashlib
import re
from typing import NamedTuple
from xml.etree import ElementTree

from valor_data.records import LabelTask
from valor_data.text import bases, words
from valor_data.text.naming import named

_NOUNS = (
    ("dog", "cat", "horse", "cow", "goat", "pig", "bird", "duck", "lion"),
    ("man", "woman"),
    ("men", "women"),
    ("boy", "girl"),
    ("car", "truck", "bus", "train", "boat", "plane", "bicycle", "motorcycle", "helicopter"),
    ("guitar", "piano", "violin", "drum", "flute", "trumpet", "harp", "saxophone"),
    ("table", "chair", "sofa", "bed", "door", "window"),
    ("mountain", "river", "beach", "forest", "street", "bridge"),
)
_VERBS = (
    ("bark", "meow", "growl", "howl", "moo", "chirp"),
    ("laugh", "shout", "whisper", "cough", "scream", "sneeze", "whistle"),
    ("thunder", "rain"),
)
"""Words of the lexicon that stand for one another, all regular. Each begins with a consonant, for `a` may
stand before it."""
_FAMILY_OF = {word: family for family in (*_NOUNS, *_VERBS) for word in family}
_TOLD = "A draft by a machine may stand here, and may be wrong: trust your own eyes and ears."
_WORD = re.compile(r"(?<![\w'\u2019])[A-Za-z]+(?![\w'\u2019])")


class Planted(NamedTuple):
    """A draft, and the wrong word in it."""

    text: str
    word: str


class _Place(NamedTuple):
    """A word of a draft that others can stand for."""

    start: int
    end: int
    ending: int
    """Which form it has."""
    others: tuple[str, ...]


def plant(draft: str, drawn: str) -> Planted | None:
    """The draft with one named sound or thing replaced by another of its kind; chance hangs on `drawn`. None
    where it names nothing that can be replaced so."""
    said = words(draft)
    tells = named(said)
    taken = {base for word in said for base in bases(word)} | tells.sounds | tells.things
    places = _places(draft, taken)
    if not places:
        return None
    place = places[_chance(drawn, "place") % len(places)]
    other = _forms(place.others[_chance(drawn, "word") % len(place.others)])[place.ending]
    old = draft[place.start : place.end]
    shown = other.capitalize() if old[0].isupper() else other
    return Planted(f"{draft[: place.start]}{shown}{draft[place.end :]}", other)


def keeps_planted(task: LabelTask, text: str) -> bool:
    """Whether the wrong word of its draft still stands in a caption."""
    return bool(task.planted) and task.planted in words(text)


def with_draft(config: str) -> str:
    """The caption page's config with the draft in its field, and a line that says so in both arms."""
    root = ElementTree.fromstring(config)
    for parent in root.iter():
        for place, field in enumerate(list(parent)):
            if field.tag == "TextArea" and field.get("name") == "caption":
                field.set("value", "$draft")
                parent.insert(place, ElementTree.Element("Header", {"value": _TOLD, "size": "6"}))
    return ElementTree.tostring(root, encoding="unicode")


def _places(draft: str, taken: set[str]) -> list[_Place]:
    found: dict[str, list[_Place]] = {}
    for match in _WORD.finditer(draft):
        word = match[0].lower()
        base = next((one for one in bases(word) if one in _FAMILY_OF), None)
        if base is None:
            continue
        forms, others = _forms(base), tuple(one for one in _FAMILY_OF[base] if one not in taken)
        if word in forms and others:
            found.setdefault(base, []).append(_Place(*match.span(), forms.index(word), others))
    # Of a word that comes back all would have to be changed.
    return [places[0] for places in found.values() if len(places) == 1]


def _forms(base: str) -> tuple[str, ...]:
    """Base form, with -s, and of a verb with -ing and -ed."""
    many = f"{base}es" if base.endswith(("s", "ch")) else f"{base}s"
    stem = base.removesuffix("e")
    verb = any(base in family for family in _VERBS)
    return (base, many, f"{stem}ing", f"{stem}ed") if verb else (base, many)


def _chance(drawn: str, what: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{what}\0{drawn}".encode()).digest()[:8], "big")
