"""The spread of a metric as one HTML file that needs nothing beside itself."""

from collections.abc import Mapping, Sequence

from valor_data.page import escaped, share, table
from valor_data.page import page as whole
from valor_data.plots import Mark, bars, histogram
from valor_data.rules import Spread

_STYLE = "figure { max-width: 34rem; margin: 0; } figure svg { width: 100%; } td b { color: var(--mark); }\n"


def page(metric: str, found: Spread, marks: Mapping[float, str]) -> str:
    """The page; `marks` says which threshold is whose."""
    lead = (
        f"{found.clips:,} measured clips; {found.undefined:,} of them without a value, which a rule rejects "
        'too, unless it says <code>missing = "keep"</code>.'
    )
    return whole(
        metric, lead, _numbers(metric, found, marks) if found.bars else _words(metric, found), style=_STYLE
    )


def _numbers(metric: str, found: Spread, marks: Mapping[float, str]) -> str:
    drawn = histogram(
        metric,
        [*(bar.low for bar in found.bars), found.bars[-1].high],
        [bar.clips for bar in found.bars],
        marks=[Mark(*mark) for mark in marks.items()],
        missing=found.undefined,
    )
    quantiles = [["value", *(f"{value:.5g}" for value in found.quantiles.values())]]
    rows = [
        [
            f"{drop.at:.6g}",
            f"{drop.below:,}",
            share(drop.below, found.clips),
            f"{drop.above:,}",
            share(drop.above, found.clips),
            f"<b>{escaped(marks.get(drop.at, ''))}</b>",
        ]
        for drop in found.drops
    ]
    parts = [
        f"<figure>{drawn}</figure>",
        table("Quantiles", ["share", *(f"{at:.0%}" for at in found.quantiles)], quantiles),
        table("Thresholds", ["threshold", "min drops", "share", "max drops", "share", "rule"], rows),
    ]
    return "\n".join(parts)


def _words(metric: str, found: Spread) -> str:
    rows: list[Sequence[str]] = [
        [escaped(word), f"{clips:,}", share(clips, found.clips)] for word, clips in found.words.items()
    ]
    return f"<figure>{bars(metric, found.words.items())}</figure>\n" + table(
        "Words", ["value", "clips", "share"], rows
    )
