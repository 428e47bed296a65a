"""Markdown in which what others wrote stays text: no markup, no HTML, no change of direction."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

_UNPRINTABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
"""Line ends and what no text shows; as in YAML, which holds none of it unquoted."""
_DIRECTING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKUP = re.compile(r"([\\`*_\[\]{}|~#!])")
_LONGEST = 200


def plain(text: object) -> str:
    """Text on one line, without what cannot be shown or turns what follows round."""
    return " ".join(_DIRECTING.sub("", _UNPRINTABLE.sub(" ", str(text))).split())


def shown(text: object) -> str:
    """Anybody's text as text, cut where it is long."""
    told = plain(text)
    told = told if len(told) <= _LONGEST else f"{told[: _LONGEST - 1]}…"
    return _MARKUP.sub(r"\\\1", escape(told, quote=False))


def listed(counts: Mapping[str, int] | Iterable[tuple[str, int]], most: int = 20) -> str:
    """`name 3, other 2`; more than `most` are counted, not named."""
    items = list(counts.items() if isinstance(counts, Mapping) else counts)
    told = [f"{shown(name)} {number:,}" for name, number in items[:most]]
    left = len(items) - most
    return ", ".join([*told, *([f"and {left:,} more"] if left > 0 else [])]) or "none"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table; cells are Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def size(count: int) -> str:
    """Bytes as people read them: 1.234 GB."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min((len(str(count)) - 1) // 3, len(units) - 1)
    return f"{count / 1000**power:.4g} {units[power]}"
