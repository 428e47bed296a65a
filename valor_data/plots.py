"""Small plots as SVG text: a histogram, bars of named things, curves.

The text stands alone as an `.svg` file, or inline in a page: it brings its own colours for light and dark,
which a page's custom properties `--ink`, `--quiet`, `--line`, `--bar`, `--mark` and `--plot` (the ground)
replace. It says in words what it shows, needs nothing beside itself, and the same numbers give the same text.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from valor_data.page import escaped, number

_WIDTH, _HEIGHT = 400, 130
_LEFT, _RIGHT, _FOOT = 48, 24, 38
_LINE = 15
"""From one line of text to the next."""
_LETTER = 6.9
"""A letter's width, about."""
_ENDS = 44
"""Room for the names of curves, beyond their ends."""
_DASHES = ("none", "7 3", "2 3", "9 3 2 3")
_ROW, _NAME, _VALUE = 20, 150, 72
_LONGEST = 100
"""Letters of a name that are told."""
_LIGHT, _DARK = (
    f".plot{{color:var(--ink,{ink});background:var(--plot,{paper})}}.plot .b{{fill:var(--bar,{bar})}}"
    f".plot .l{{stroke:var(--line,{line})}}.plot .c{{stroke:var(--bar,{bar});fill:none;stroke-width:1.5}}"
    f".plot .m{{stroke:var(--mark,{mark})}}"
    f".plot .n{{fill:var(--mark,{mark})}}.plot .q{{fill:var(--quiet,{quiet})}}"
    for ink, quiet, line, bar, mark, paper in (
        ("#1b1d22", "#565b66", "#d5d7dd", "#3f74ad", "#b0400f", "#fff"),
        ("#eceef2", "#a9aeba", "#363a44", "#79abdf", "#f0935a", "#15171b"),
    )
)
_STYLE = (
    ".plot{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}.plot text{fill:currentColor;"
    f"unicode-bidi:plaintext}}{_LIGHT}@media(prefers-color-scheme:dark){{{_DARK}}}"
)


class Mark(NamedTuple):
    """A vertical line across a histogram, such as a threshold."""

    at: float
    label: str


def histogram(
    title: str,
    edges: Sequence[float],
    counts: Sequence[int],
    *,
    unit: str = "",
    of: str = "clips",
    marks: Iterable[Mark] = (),
    missing: int = 0,
) -> str:
    """A histogram as SVG text.

    `counts[i]` things lie between `edges[i]` and `edges[i + 1]`, which rise; `unit` is theirs, and `of` names
    what is counted. A mark beyond the edges stands at the nearer end, with an arrow. `missing` things have no
    value: words tell of them. Raises ValueError where edges and counts do not fit together.
    """
    pairs = list(pairwise(edges))
    if counts and (len(pairs) != len(counts) or any(left >= right for left, right in pairs)):
        raise ValueError(f"{len(counts)} counts need {len(counts) + 1} edges that rise")
    lost = f"{missing:,} {of} without a value"
    if not any(counts):
        return _svg(title, lost, 40, [_text(_WIDTH / 2, 24, "no value", "middle", "q")])
    low, high, most = edges[0], edges[-1], max(counts)

    def across(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    lines = _placed([(mark, across(min(max(mark.at, low), high))) for mark in marks], low, high)
    foot = 22 + _LINE * (1 + max((line.row for line in lines), default=-1)) + _HEIGHT
    parts = [_text(2, 12, of, "start", "q")]
    for tick in _ticks(0, most, 3):
        y = foot - _HEIGHT * tick / most
        parts += [f'<path class="l" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>']
        parts += [_text(_LEFT - 6, y + 4, _short(tick), "end", "q")]
    for (left, right), count in zip(pairs, counts, strict=True):
        if count:
            tall = max(1.0, _HEIGHT * count / most)  # a few among very many are seen too
            wide = max(across(right) - across(left) - 1, 0.5)
            parts.append(
                f'<rect class="b" x="{across(left):.1f}" y="{foot - tall:.1f}" width="{wide:.1f}" '
                f'height="{tall:.1f}"><title>{number(left)} to {number(right)}: {count:,}</title></rect>'
            )
    parts += [_text(across(tick), foot + 16, _short(tick), "middle", "q") for tick in _ticks(low, high, 5)]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, foot + 32, unit or "value", "middle", "q"))
    for line in lines:
        y = 12 + _LINE * (line.row + 1)
        parts.append(f'<path class="m" stroke-dasharray="5 3" d="M{line.x:.1f} {y + 3}V{foot}"/>')
        parts.append(_text(line.x + (-3 if line.anchor == "end" else 3), y, line.label, line.anchor, "n"))
    told = f"{sum(counts):,} {of} from {number(low)} to {number(high)} {unit}".rstrip()
    told += f"; {lost}" if missing else ""
    return _svg(title, "; ".join([told, *(f"line: {line.label}" for line in lines)]), foot + _FOOT, parts)


def bars(title: str, rows: Iterable[tuple[str, int]], *, of: str = "clips") -> str:
    """Named counts as SVG text, a bar each, in the order given; `of` names what is counted."""
    listed = list(rows)
    most = max((count for _, count in listed), default=0) or 1
    room = _WIDTH - _NAME - _VALUE - 8
    parts = []
    for place, (name, count) in enumerate(listed):
        y = 6 + _ROW * place
        wide = max(1.0, room * count / most) if count else 0
        told = f"<title>{escaped(name, _LONGEST)}: {count:,}</title>"
        parts.append(
            f"<g>{told}{_text(_NAME - 6, y + 12, _cut(name, _NAME - 6), 'end')}"
            f'<rect class="b" x="{_NAME}" y="{y}" width="{wide:.1f}" height="{_ROW - 5}"/>'
            f"{_text(_NAME + wide + 5, y + 12, f'{count:,}', 'start', 'q')}</g>"
        )
    if not listed:
        parts.append(_text(_WIDTH / 2, 24, f"no {of}", "middle", "q"))
    foot = 6 + _ROW * max(1, len(listed))
    parts.append(_text(_NAME, foot + 14, of, "start", "q"))
    told = "; ".join(f"{_cut(name, 40 * _LETTER)}: {count:,}" for name, count in listed)
    return _svg(title, f"{of}: {told or 'none'}", foot + 22, parts)


def curves(
    title: str, places: Sequence[float], series: Mapping[str, Sequence[float]], *, unit: str, of: str
) -> str:
    """Curves over places that rise, as SVG text, at most four; each is named where it ends. `unit` is of the
    places, and `of` says what is shown.

    Raises ValueError where a curve has more or fewer values than there are places, or there is nothing.
    """
    if len(places) < 2 or not series or any(len(values) != len(places) for values in series.values()):
        raise ValueError(f"curves need two places, and a value at each of the {len(places)}")
    if len(series) > len(_DASHES):
        raise ValueError(f"{len(series)} curves cannot be told apart; give at most {len(_DASHES)}")
    low, high, most = places[0], places[-1], max(map(max, series.values()))
    right, foot = _WIDTH - _RIGHT - _ENDS, 22 + _HEIGHT

    def across(place: float) -> float:
        return _LEFT + (right - _LEFT) * (place - low) / (high - low)

    def down(value: float) -> float:
        return foot - _HEIGHT * value / most

    parts = [_text(2, 12, of, "start", "q")]
    for tick in _ticks(0, most, 3):
        parts += [f'<path class="l" d="M{_LEFT} {down(tick):.1f}H{right}"/>']
        parts += [_text(_LEFT - 6, down(tick) + 4, _short(tick), "end", "q")]
    taken = -math.inf
    for dash, (name, values) in sorted(
        zip(_DASHES, series.items(), strict=False), key=lambda item: down(item[1][1][-1])
    ):
        path = "L".join(
            f"{across(place):.1f} {down(value):.1f}" for place, value in zip(places, values, strict=True)
        )
        taken = max(down(values[-1]) + 4, taken + _LINE)
        parts.append(
            f'<path class="c" stroke-dasharray="{dash}" d="M{path}"><title>{escaped(name)}</title></path>'
        )
        parts.append(_text(right + 4, taken, name, "start"))
    parts += [_text(across(tick), foot + 16, _short(tick), "middle", "q") for tick in _ticks(low, high, 5)]
    parts.append(_text((_LEFT + right) / 2, foot + 32, unit, "middle", "q"))
    ends = (f"{name} from {number(values[0])} to {number(values[-1])}" for name, values in series.items())
    return _svg(
        title, f"{of} over {number(low)} to {number(high)} {unit}: {'; '.join(ends)}", foot + _FOOT, parts
    )


class _Line(NamedTuple):
    x: float
    label: str
    anchor: str
    row: int


def _placed(marks: Iterable[tuple[Mark, float]], low: float, high: float) -> list[_Line]:
    """Marks with their labels on the side that has room, on the first row where none is in the way."""
    lines: list[_Line] = []
    ends: list[float] = []  # of each row, how far it is taken
    for mark, x in sorted(marks, key=lambda item: (item[1], item[0])):
        label = _cut(mark.label, (_WIDTH - 2 * _RIGHT))
        label = f"← {label}" if mark.at < low else f"{label} →" if mark.at > high else label
        length = len(label) * _LETTER
        anchor = "start" if x + length < _WIDTH else "end"
        begin = x if anchor == "start" else x - length
        row = next((place for place, end in enumerate(ends) if end < begin), len(ends))
        ends[row : row + 1] = [begin + length + _LETTER]
        lines.append(_Line(x, label, anchor, row))
    return lines


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers in even steps within both ends."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [
        float(f"{place * step:.12g}") for place in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]


def _short(value: float) -> str:
    """A number that fits at an axis: 12k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if letter == "k" else 1):
            return f"{value / size:g}{letter}"
    return number(value)


def _cut(text: str, room: float) -> str:
    letters = int(room / _LETTER)
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text{shown} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'


def _svg(title: str, told: str, height: int, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    name = hashlib.sha256(f"{title}\0{told}\0{inside}".encode(errors="replace")).hexdigest()[:10]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" aria-labelledby="t{name} d{name}">'
        f'<title id="t{name}">{escaped(title, _LONGEST)}</title><desc id="d{name}">{escaped(told)}</desc>'
        f"<style>{_STYLE}</style>\n{inside}\n</svg>"
    )
