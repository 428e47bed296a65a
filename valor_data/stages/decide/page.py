"""The spread of a metric as one HTML file that needs nothing beside itself."""

from collections.abc import Mapping
from html import escape

from valor_data.rules import Spread

_WIDTH, _HEIGHT, _FOOT, _SIDE = 880, 260, 28, 20

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: light-dark(#222, #ddd); --bar: #4a7fb5; --mark: #c2410c; }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); }}
body {{ max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; }}
svg text {{ font-size: 12px; fill: var(--ink); text-anchor: middle; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .15rem .9rem; text-align: right; border-bottom: 1px solid #8884; }}
td b {{ color: var(--mark); font-weight: normal; }}
</style>
<h1>{title}</h1>
<p>{clips:,} measured clips; {undefined:,} of them without a value, which a rule rejects too, unless it says
<code>missing = "keep"</code>.</p>
{body}
</html>
"""


def page(metric: str, found: Spread, marks: Mapping[float, str]) -> str:
    """The page; `marks` says which threshold is whose."""
    body = _numbers(found, marks) if found.bars else _words(found)
    return _PAGE.format(title=escape(metric), clips=found.clips, undefined=found.undefined, body=body)


def _numbers(found: Spread, marks: Mapping[float, str]) -> str:
    quantiles = _table(
        [f"{share:.0%}" for share in found.quantiles],
        [[f"{value:.5g}" for value in found.quantiles.values()]],
    )
    rows = [
        [
            f"{drop.at:.6g}",
            f"{drop.below:,}",
            f"{found.share(drop.below):.2%}",
            f"{drop.above:,}",
            f"{found.share(drop.above):.2%}",
            f"<b>{escape(marks.get(drop.at, ''))}</b>",
        ]
        for drop in found.drops
    ]
    drops = _table(["threshold", "min drops", "share", "max drops", "share", "rule"], rows)
    return f"{_svg(found, marks)}\n<h2>Quantiles</h2>\n{quantiles}\n<h2>Thresholds</h2>\n{drops}"


def _words(found: Spread) -> str:
    rows = [[escape(word), f"{clips:,}", f"{found.share(clips):.2%}"] for word, clips in found.words.items()]
    return _table(["value", "clips", "share"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = "".join(f"<th>{cell}</th>" for cell in head)
    lines = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<tr>{cells}</tr>\n{lines}\n</table>"


def _svg(found: Spread, marks: Mapping[float, str]) -> str:
    low, high = found.bars[0].low, found.bars[-1].high
    most = max(bar.clips for bar in found.bars)

    def across(value: float) -> float:
        return _SIDE + (_WIDTH - 2 * _SIDE) * (value - low) / (high - low)

    parts = []
    for bar in found.bars:
        tall = (_HEIGHT - 20) * bar.clips / most
        left, right = across(bar.low), across(bar.high)
        parts.append(
            f'<rect x="{left:.1f}" y="{_HEIGHT - tall:.1f}" width="{right - left - 1:.1f}" '
            f'height="{tall:.1f}" fill="var(--bar)">'
            f"<title>{bar.low:.6g} to {bar.high:.6g}: {bar.clips:,}</title></rect>"
        )
    every = max(1, len(found.bars) // 10)
    edges = [*(bar.low for bar in found.bars), high]
    parts += [f'<text x="{across(x):.1f}" y="{_HEIGHT + 16}">{x:.6g}</text>' for x in edges[::every]]
    for at, told in marks.items():
        if low <= at <= high:
            x = across(at)
            parts.append(
                f'<path d="M{x:.1f} 16V{_HEIGHT}" stroke="var(--mark)" stroke-dasharray="5 3"/>'
                f'<text x="{x:.1f}" y="12">{escape(told)}</text>'
            )
    inside = "\n".join(parts)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img">\n{inside}\n</svg>'
