"""Words of a caption in any script, and what they may be regular forms of."""

import re
import unicodedata
from functools import lru_cache

_APOSTROPHES = str.maketrans("\u2019\u02bc\uff07`", "''''")
_LONGEST = 40
"""Letters of a word that is still looked up: longer ones are no English, and would fill the memory."""
_ASCII = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
_ANY = re.compile(r"[^\s']+(?:'[^\s']+)*")
_NO_E = re.compile(r"[^aeiou]*[aeiouy][^aeiouwxy]")
"""A stem that only an e makes a word of: `cared` is a form of `care`, for one of `car` doubles the r."""
_VOWEL = re.compile(r"[aeiouy]")


class _Separating(dict[int, str]):
    """Code point -> what stands for it once only letters, digits, marks and apostrophes are left.

    Ideographs and kana stand alone, for their scripts put no space between words.
    """

    def __missing__(self, point: int) -> str:
        char = chr(point)
        if char == "'":
            kept = char
        elif unicodedata.category(char)[0] not in "LNM":
            kept = " "
        elif unicodedata.name(char, "").startswith(("CJK ", "HIRAGANA ", "KATAKANA ")):
            kept = f" {char} "
        else:
            kept = char
        self[point] = kept
        return kept


_SEPARATING = _Separating()


def words(text: str) -> list[str]:
    """The words in order, case folded, in compatibility form (NFKC): runs of letters, digits and marks.

    A hyphen parts words, an apostrophe inside a word does not; each Chinese or Japanese character is a
    word, and so is a run of Thai. Punctuation, symbols and emoji are no words.
    """
    if text.isascii():
        return _ASCII.findall(text.lower().replace("`", "'").replace("_", " "))
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    return _ANY.findall(folded.translate(_SEPARATING))


def bases(word: str) -> tuple[str, ...]:
    """The word itself, then what it may be a regular English form of, the likeliest first.

    `humming` gives `humming, hum, humm, humme`: whoever looks words up takes the first that is known.
    """
    return _bases(word) if len(word) <= _LONGEST else (word,)


@lru_cache(maxsize=1 << 16)
def _bases(word: str) -> tuple[str, ...]:
    found = [word]
    if word.endswith(("'s", "s'")):
        word = word.removesuffix("'").removesuffix("'s")
        found.append(word)
    if word.endswith("ies") and len(word) > 4:
        found += [word[:-3] + "y", word[:-1]]
    elif word.endswith("ves"):
        found += [word[:-1], word[:-3] + "f", word[:-3] + "fe"]
    elif word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        found += [word[:-1], word[:-2]] if word.endswith("es") else [word[:-1]]
    elif word.endswith("ied") and len(word) > 4:
        found += [word[:-3] + "y", word[:-1]]
    elif word.endswith(("ing", "ed")):
        found += _without_ending(word.removesuffix("ing") if word.endswith("ing") else word[:-2])
    return tuple(dict.fromkeys(found))


def _without_ending(stem: str) -> list[str]:
    if len(stem) < 2 or not _VOWEL.search(stem):
        return []
    if stem[-1] == stem[-2] and stem[-1] not in "aeiouls":
        return [stem[:-1], stem, stem + "e"]
    if _NO_E.fullmatch(stem):
        return [stem + "e"]
    return [stem, stem + "e"]
