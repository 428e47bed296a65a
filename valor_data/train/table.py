"""Scores in lines of at most 100 characters for people, and in plain values for programs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from valor_data.train.answers import Accuracy
from valor_data.train.evaluate import CAPTIONS
from valor_data.train.ground import Coverage, Encoder, Statement
from valor_data.train.intervals import Interval
from valor_data.train.scores import Against, Figures, Told

_NAME, _CELL = 7, 18
_A_ROW = 5
"""Cells of a row."""
_MOST_KINDS = 5


def lines(told: Told) -> Iterator[str]:
    """What a person wants to see, with the ground before the figures."""
    of = told.ground
    yield f"release   {of.name} {of.version}, {of.split}"
    yield f"content   sha256 {of.content_sha256}"
    if told.attested:
        yield from _attested(told.attested, of.content_sha256)
    for coverage in told.coverage:
        yield _covered(coverage)
    for name, encoder in told.encoders.items():
        yield _began(name, encoder)
    yield ""
    weighed = ", weighed by dual softmax" if told.dual_softmax else ""
    yield f"value (95 % interval, 1000 draws of clips){weighed}"
    for name, figures in {"": told.whole, **told.subsets}.items():
        yield from _figures(name, figures)
    yield from (f"left out: {why}" for why in told.left_out)
    if told.accuracy:
        yield from _answers(told)
    if told.against:
        yield from _beside(told.against)


def plain(value: Any) -> Any:
    """The same in dicts, lists and numbers, which JSON can hold."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def _attested(said: Statement, scored: str) -> Iterator[str]:
    yield f"attested  sha256 {said.sha256}"
    same = "this release" if said.content_sha256 == scored else said.release
    others = f"; {len(said.others)} of the clips scored here are not" if said.others else ""
    yield f"          {said.equivalent:,} of {said.clips:,} clips of {same} equivalent{others}"


def _covered(coverage: Coverage) -> str:
    share = 100 * coverage.scored / max(1, coverage.clips)
    kinds = [f"{count:,} {why}" for why, count in coverage.kinds().items()]
    shown = kinds[:_MOST_KINDS] + (["others"] if len(kinds) > _MOST_KINDS else [])
    why = f": {', '.join(shown)}" if kinds else ""
    return f"coverage  {coverage.scored:,} of {coverage.clips:,} clips of {coverage.of} ({share:.1f} %){why}"


def _began(name: str, encoder: Encoder) -> str:
    if not encoder.weights:
        return f"{name:<8}  began from random weights"
    return f"{name:<8}  began from {encoder.weights}, which saw: {encoder.saw}"


def _figures(name: str, figures: Figures) -> Iterator[str]:
    yield ""
    title = f"subset {name}" if name else "all"
    yield f"{title}: {figures.clips:,} clips, {figures.captions:,} captions"
    heads: tuple[str, ...] = ()
    for kind, table in figures.tables.items():
        cells = list(table.items())
        if kind == CAPTIONS:
            yield "captions, x100"
        for some in (cells[start : start + _A_ROW] for start in range(0, len(cells), _A_ROW)):
            if heads != (heads := tuple(figure for figure, _ in some)):
                yield " " * _NAME + "".join(f"{head:>{_CELL}}" for head in heads)
            row = kind if kind != CAPTIONS else ""
            yield f"{row:<{_NAME}}" + "".join(f"{_cell(value):>{_CELL}}" for _, value in some)


def _cell(value: Interval) -> str:
    return f"{_number(value.value)} ({_number(value.low)}-{_number(value.high)})"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"


def _answers(told: Told) -> Iterator[str]:
    yield ""
    left = f"; {len(told.unanswered):,} not asked" if told.unanswered else ""
    yield f"questions, right word for word{left}"
    heads = ("questions", "answered right", "without the clip", "commonest", "clip brings, p")
    yield " " * 12 + "".join(f"{head:>{_CELL - (head == 'questions') * 8}}" for head in heads)
    for modality, found in told.accuracy.items():
        yield _accuracy(modality, found)
    yield f"commonest answer (of these very questions): {told.commonest!r}"


def _accuracy(modality: str, found: Accuracy) -> str:
    gain = f"{found.gain.interval.value:+.1f}, {found.gain.p_value:.3f}"
    cells = [*map(_cell, (found.model, found.text_alone, found.commonest)), gain]
    return f"{modality:<12}{found.questions:>{_CELL - 8},}" + "".join(f"{cell:>{_CELL}}" for cell in cells)


def _beside(against: Against) -> Iterator[str]:
    yield ""
    name = "/".join(Path(against.checkpoint).parts[-3:])
    yield f"beside {name}, over {against.clips:,} clips that both could score"
    yield f"{'':<24}{'other':>10}{'this':>10}{'difference (95 %)':>28}{'p':>10}"
    for kind, table in against.tables.items():
        for name, one in table.items():
            middle = one.difference.interval
            told = f"{middle.value:+.2f} ({middle.low:+.2f} to {middle.high:+.2f})"
            yield (
                f"{name if kind == CAPTIONS else f'{kind} {name}':<24}{one.other:>10.2f}{one.this:>10.2f}"
                f"{told:>28}{one.difference.p_value:>10.3f}"
            )
