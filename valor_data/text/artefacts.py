"""Traces in a caption of what is no caption: markup, broken encodings, machines, idle hands.

Every pattern is one that a text of any length is searched with in linear time: repeats are bounded, and
no two that follow one another can take the same characters.
"""

import re
from collections.abc import Sequence

_CONTROL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\ufeff\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]"
)
"""Control, replacement, private and surrogate characters and invisible spaces. The joiners and direction
marks that emoji, Persian or Arabic need are not among them."""
_MARKUP = (
    ("a tag", re.compile(r"</?[a-z][a-z0-9]{0,15}(?:\s[^<>]{0,200})?/?>", re.IGNORECASE)),
    ("an entity", re.compile(r"&(?:[a-z]{2,8}|#\d{2,6}|#x[0-9a-f]{2,6});", re.IGNORECASE)),
    (
        "markdown",
        re.compile(r"\*\*\w|\w\*\*|```|^ {0,3}#{1,6} |\]\(|(?<!\w)__\w|^ {0,3}[*\u2022\xb7-] ", re.MULTILINE),
    ),
    ("an address", re.compile(r"https?:/|\bwww\.\w|\w@\w[\w-]{0,60}\.[a-z]{2}", re.IGNORECASE)),
    (
        "a template",
        re.compile(r"\{[^{}]{0,60}\}|\{\{|<[|%]|%[sd]\b|\[[A-Z_ ]{3,30}\]|\[(?:insert|your) "),
    ),
    ("another script's comma", re.compile(r"[a-zA-Z][\uff0c\u3002\uff01\uff1f\uff1b\uff1a\u3001][a-zA-Z]")),
    ("an escape", re.compile(r"\\[nrt\"']|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}")),
)
_MACHINE = re.compile(
    r"\bas an ai\b|\b(?:ai|large|language) (?:language )?(?:model|assistant)\b(?! (?:train|car|plane|ship))"
    r"|\bi(?:'m| am) sorry\b.{0,3}\bbut i\b|\bi can(?:not|'t) (?:assist|help|provide|see|view|watch)\b"
    r"|\bhere(?:'s| is) (?:a|the|your) (?:\w{1,20} )?(?:caption|description)\b"
    r"|^\W{0,3}(?:(?:sure|certainly|of course)[,!] (?:here|i)\b|(?:caption|description|assistant|answer):)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"\b(?:TODO|FIXME|TBD|XXX)\b|(?i:\blorem ipsum\b)"
    r"|\A\s{0,9}(?i:n/?a|none|null|nan|undefined|unknown|tests?|placeholder)[\s.]{0,9}\Z"
)
_ROWS = re.compile(r"asdf|sdfg|dfgh|fghj|ghjk|hjkl|lkjh|kjhg|fdsa|zxcv|xcvb|cvbn|vcxz|qwer(?!ty)|rewq")
"""Four keys in a row that stand in no word. `qwerty` names a keyboard."""
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz]{7,}")
_LEAST_DIFFERENT = 5
"""Letters of a run of consonants: `pssssst` and `brrrrrr` are sounds."""
_MISREAD = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0178\u02c6\u02dc\u2013-\u2122]{1,3}")
"""UTF-8 read as Latin-1 or Windows-1252: a first byte and those that follow it."""
_PERIODS = ((1, 5), (2, 4), (3, 3), (4, 2), (5, 2), (6, 2), (7, 2), (8, 2))
"""Words of a phrase, and how often in a row it must stand. `Beep beep beep` is a sound, and so is `tick
tock tick tock tick tock`; nobody says four words twice."""


def artefact(text: str, said: Sequence[str]) -> str | None:
    """What betrays that the text is no caption as written by a person; None: nothing does.

    `said` are its words as `words` gives them.
    """
    control = _CONTROL.search(text)
    if control:
        return f"the character U+{ord(control[0]):04X}"
    for name, pattern in _MARKUP:
        hit = pattern.search(text)
        if hit:
            return f"{name}: {hit[0].strip()[:40]}"
    for name, pattern in (("a machine speaks", _MACHINE), ("a placeholder", _PLACEHOLDER)):
        hit = pattern.search(text)
        if hit:
            return f"{name}: {hit[0].strip()[:40]}"
    return _mojibake(text) or _mashed(said) or _repeated(said)


def _mojibake(text: str) -> str | None:
    if text.isascii():
        return None
    for hit in _MISREAD.finditer(text):
        for encoding in ("cp1252", "latin-1"):
            try:
                meant = hit[0].encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            return f"broken encoding: {hit[0]} for {meant}"
    return None


def _mashed(said: Sequence[str]) -> str | None:
    for word in said:
        if _ROWS.search(word):
            return f"keys in a row: {word[:40]}"
        run = _CONSONANTS.search(word)
        if run and len(set(run[0])) >= _LEAST_DIFFERENT:
            return f"no word: {word[:40]}"
    return None


def _repeated(said: Sequence[str]) -> str | None:
    for period, times in _PERIODS:
        run = 0
        for place in range(period, len(said)):
            run = run + 1 if said[place] == said[place - period] else 0
            if run == period * (times - 1):
                return f"said {times} times in a row: {' '.join(said[place - period + 1 : place + 1])[:40]}"
    return None
