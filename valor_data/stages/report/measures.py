"""How every measure is spread over the clips, with the rules' thresholds drawn in."""

from collections.abc import Mapping, Sequence

from valor_data.page import escaped, number, share
from valor_data.plots import Mark, bars, histogram
from valor_data.recipe import metric
from valor_data.records import TABLES
from valor_data.rules import Spread, Threshold

_UNITS = {
    "ms": "ms", "lufs": "LUFS", "dbfs": "dBFS", "dbtp": "dBTP", "db": "dB", "hz": "Hz", "share": "share",
    "rate": "Hz", "bytes": "bytes", "width": "pixels", "height": "pixels", "fps": "frames a second",
    "second": "frames a second", "correlation": "correlation",
}  # fmt: skip
"""By the last word of a measure's name."""
_TITLES = {
    "media": "Media", "audio_measures": "Sound", "video_measures": "Picture",
    "av_measures": "Sound and picture", "speech_measures": "Speech", "tag_measures": "Tags",
    "safety_measures": "Safety", "neighbours": "Near-duplicates", "leaks": "Leaks into benchmarks",
}  # fmt: skip
_LETTERS = 220


def measures(spreads: Mapping[str, Spread], thresholds: Mapping[str, Sequence[Threshold]]) -> str:
    """All measures as HTML, by the table that tells them."""
    if not any(found.clips for found in spreads.values()):
        return "<p>No clip is measured yet.</p>"
    by_table: dict[str, list[str]] = {}
    for name in spreads:
        by_table.setdefault(metric(name).table, []).append(name)
    parts, idle = [], []
    for table in sorted(by_table, key=lambda name: list(_TITLES).index(name)):
        told = [name for name in by_table[table] if _is_told(spreads[name]) or thresholds[name]]
        if not told:
            idle.append(_TITLES[table].lower())
            continue
        figures = "\n".join(_figure(name, spreads[name], thresholds[name]) for name in told)
        parts.append(f'<h3>{_TITLES[table]}</h3>\n<div class="plots">\n{figures}\n</div>')
    if idle:
        parts.append(f"<p>Without any value: {', '.join(idle)}.</p>")
    lead = (
        "<p>A dashed line is a threshold in a rule, with the share of the measured clips that lie beyond it; "
        "a rule of several parts, or one that spares labels, may drop fewer. "
        "A rule drops a clip without a value too, unless it says otherwise.</p>"
    )
    return "\n".join([lead, *parts])


def _is_told(found: Spread) -> bool:
    return found.undefined < found.clips


def _figure(name: str, found: Spread, thresholds: Sequence[Threshold]) -> str:
    if metric(name).kind == "number":
        beyond = {drop.at: {"min": drop.below, "max": drop.above} for drop in found.drops}
        marks = [
            Mark(one.at, f"{one.reason} {_SIGNS[one.end]} {one.at:g}: {_dropped(found, beyond, one)}")
            for one in thresholds
        ]
        edges = [bar.low for bar in found.bars] + [bar.high for bar in found.bars[-1:]]
        counts = [bar.clips for bar in found.bars]
        drawn = histogram(
            name,
            edges,
            counts,
            unit=_UNITS.get(name.rsplit("_", 1)[-1], ""),
            marks=marks,
            missing=found.undefined,
        )
    else:
        drawn = bars(name, found.words.items())
    told = "".join(f"<p>{line}</p>" for line in (_about(name), " ".join(_numbers(found))) if line)
    return f"<figure><figcaption><code>{escaped(name)}</code></figcaption>{drawn}{told}</figure>"


_SIGNS = {"min": "below", "max": "above"}


def _dropped(found: Spread, beyond: Mapping[float, Mapping[str, int]], one: Threshold) -> str:
    return share(beyond.get(one.at, {}).get(one.end, 0), found.clips)


def _about(name: str) -> str:
    """The first sentence of what the record says of it."""
    record = TABLES[metric(name).table]
    field = record.model_fields.get(name)
    words = " ".join((field.description or "").split()) if field else ""
    return (
        escaped(words.partition(" Bad:")[0].partition(". ")[0].rstrip(".") + ".", _LETTERS) if words else ""
    )


def _numbers(found: Spread) -> list[str]:
    told = []
    if found.quantiles:
        median, low, high = (number(found.quantiles[at]) for at in (0.5, 0.05, 0.95))
        told.append(f"Median {median}; nine of ten from {low} to {high}.")
        beyond = found.clips - found.undefined - sum(bar.clips for bar in found.bars)
        least, most = number(found.quantiles[0.0]), number(found.quantiles[1.0])
        told += [f"{beyond:,} lie beyond the axis, from {least} to {most}."] if beyond else []
    told += [f"{found.undefined:,} without a value."] if found.undefined else []
    return told
