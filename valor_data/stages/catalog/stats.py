"""What a catalog holds, in numbers: for people, and as a page with plots."""

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

from valor_data import page as html
from valor_data import plots
from valor_data.outfile import replaced
from valor_data.stages.catalog.source import open_source
from valor_data.tables import Counts, Histogram, Statistics, statistics

_SHOWN = 12
_ON_PAGE = 40
_BAR, _LINES = 30, 16
_COUNTED = {
    "labels": "clips", "sounds_named": "captions", "vocabulary": "times", "splits": "clips",
    "languages": "captions", "origins": "captions", "authors": "captions", "modalities": "captions",
    "sources": "clips",
}  # fmt: skip
"""What `Statistics` counts by name, and what of."""
_TITLES = {"sounds_named": "sounds named", "vocabulary": "words", "modalities": "shown to the author"}


def stats(root: str, page: Path | None) -> Statistics:
    """The numbers of the catalog of a workspace or release; with `page` also as one HTML file with plots.

    Raises UserError where the file cannot be written, and where no catalog is.
    """
    with ExitStack() as stack:
        out = stack.enter_context(replaced(page, ".html")) if page else None
        source = stack.enter_context(open_source(root))
        told = statistics(str(source.path))
        if out:
            _write(told, source.name, out)
    return told


def lines(told: Statistics) -> list[str]:
    """The numbers for a terminal."""
    found = [f"{name:<32} {value:>12}" for name, value in _facts(told)]
    for histogram in (told.lengths, told.durations):
        found += ["", f"{histogram.name}, {histogram.unit}", *_drawn(histogram)]
    for field, of in _COUNTED.items():
        counts: Counts = getattr(told, field)
        if counts:
            found += ["", f"{_TITLES.get(field, field)} ({len(counts):,}), {of}"]
            found += [f"  {_plain(name):<40} {count:>10,}" for name, count in counts[:_SHOWN]]
    return found


def _write(told: Statistics, name: str, path: Path) -> None:
    rows = [(html.escaped(fact), html.escaped(value)) for fact, value in _facts(told)]
    lengths, durations = told.lengths, told.durations
    drawn = [
        plots.histogram(
            "Words of each caption", lengths.edges, lengths.counts, unit=lengths.unit, of="captions"
        ),
        plots.histogram("Seconds of each clip", durations.edges, durations.counts, unit=durations.unit),
    ]
    for field, of in _COUNTED.items():
        counts: Counts = getattr(told, field)
        if counts:
            drawn.append(plots.bars(_TITLES.get(field, field).capitalize(), _named(counts[:_ON_PAGE]), of=of))
    facts = html.table("In numbers", ["", "value"], rows, hidden=True)
    body = "\n".join([facts, *(f"<figure>{plot}</figure>" for plot in drawn)])
    text = html.page(f"{name}: statistics", f"{told.captions:,} captions of {told.clips:,} clips", body)
    path.write_text(text, encoding="utf-8")


def _facts(told: Statistics) -> list[tuple[str, str]]:
    mean = told.words / told.captions if told.captions else 0.0
    sampled = f" of {told.sampled:,} drawn" if told.sampled < told.captions else ""
    return [
        ("clips", f"{told.clips:,}"),
        ("videos", f"{told.videos:,}"),
        ("hours", f"{told.seconds / 3600:,.1f}"),
        ("clips with a caption", f"{told.captioned:,}"),
        ("captions", f"{told.captions:,}"),
        ("words", f"{told.words:,}"),
        ("words a caption", f"{mean:.2f}"),
        ("different words", f"{told.distinct_words:,}"),
        (f"captions that name a sound{sampled}", html.share(told.naming_a_sound, told.sampled or 1)),
        (f"audio concepts a word{sampled}", f"{100 * told.concept_density:.1f} %"),
    ]


def _named(counts: Counts) -> list[tuple[str, int]]:
    return [(name or "none", count) for name, count in counts]


def _drawn(histogram: Histogram) -> list[str]:
    """At most so many lines as `_LINES`, each of as many bins."""
    width = -(-len(histogram.counts) // _LINES)
    edges = [*histogram.edges[:-1:width], histogram.edges[-1]]
    firsts = range(0, len(histogram.counts), width)
    counts = [sum(histogram.counts[first : first + width]) for first in firsts]
    most = max(counts) or 1
    return [
        f"  {left:>6g} to {right:<6g} {count:>10,} {'#' * -(-_BAR * count // most)}".rstrip()
        for (left, right), count in zip(pairwise(edges), counts, strict=True)
    ]


def _plain(name: str) -> str:
    """A name without what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else "?" for char in name)[:40] or "none"
