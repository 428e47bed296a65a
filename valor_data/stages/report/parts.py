"""The parts of the page but measures and clips, as HTML."""

from collections.abc import Iterable
from itertools import groupby
from typing import TypeVar

from valor_data import layout
from valor_data.page import escaped, number, share, table
from valor_data.plots import bars, histogram
from valor_data.stages.report.facts import Facts
from valor_data.tables import Statistics

_MOST = 20
"""Names in a plot of bars."""
_STEPS = ("listed", "fetched", "measured", "kept", "captioned", "released")
_STAGES = {
    "fetch": "Why clips were not fetched", "measure": "Why clips could not be measured",
    "filter": "Why clips were rejected",
}  # fmt: skip
T = TypeVar("T")
_SENSES = {"av": "heard and seen", "a": "heard only", "v": "seen only"}


def funnel(facts: Facts) -> str:
    """From listed to released, and why clips fell out."""
    listed = facts.counts["listed"]
    rows = []
    for name in _STEPS:
        clips = facts.counts[name]
        wide = 100 * clips / listed if listed else 0
        bar = f'<span class="bar" aria-hidden="true"><span style="width:{min(wide, 100):.2f}%"></span></span>'
        rows.append([f"{name}{bar}", f"{clips:,}", share(clips, listed)])
    told = table("Clips at each step", ["Step", "Clips", "Of the listed"], rows)
    extra = [f"{words}: {facts.counts[name]:,}" for name, words in _BESIDE.items() if facts.counts.get(name)]
    reasons = [
        _figure(bars(title, _first(facts.reasons[stage].items())), title)
        for stage, title in _STAGES.items()
        if facts.reasons.get(stage)
    ]
    return _plots([told, *reasons]) + (f"<p>Also: {'; '.join(extra)}.</p>" if extra else "")


_BESIDE = {
    "duplicate": "rows that name a clip again", "bad_rows": "rows that could not be read",
    "failed": "clips whose fetch failed and may come with the next run",
    "unavailable": "clips that are not to be had", "accepted": "captions that may be released",
    "retracted": "clips taken down",
}  # fmt: skip


def availability(facts: Facts) -> str:
    """What of each list is there, and by class why the rest is not."""
    rows = []
    for (name, split), found in groupby(facts.groups, key=lambda group: (group.list, group.split)):
        counted = {"available": 0, "missing": 0, "not_tried": 0}
        for group in found:
            counted[group.state] += group.clips
        total = sum(counted.values())
        shown = escaped(name if split is None else f"{name}, {split}", 120)
        rows.append(
            [shown, f"{total:,}", *(f"{n:,}" for n in counted.values()), share(counted["available"], total)]
        )
    head = ["List and split", "Clips", "Available", "Missing", "Not tried", "Share"]
    kinds: dict[str, int] = {}
    reasons: dict[tuple[str, str], int] = {}
    for group in facts.groups:
        if group.state == "missing":
            kind, reason = group.kind or "unknown", group.reason or "unknown"
            kinds[kind] = kinds.get(kind, 0) + group.clips
            reasons[kind, reason] = reasons.get((kind, reason), 0) + group.clips
    if not rows:
        return "<p>No list was read yet.</p>"
    parts = [table("What of each list and split is there", head, rows)]
    if kinds:
        parts.append(
            _plots([_figure(bars("Missing clips by class of reason", _ranked(kinds)), "Missing, by class")])
        )
        why = [[f"<code>{escaped(r)}</code>", escaped(k), f"{n:,}"] for (k, r), n in _ranked(reasons)]
        parts.append(table("Why clips are missing", ["Reason", "Class", "Clips"], why))
    return "\n".join([*parts, "<p><small>A clip that stands in two lists counts in both.</small></p>"])


def labels(facts: Facts) -> str:
    """The most frequent labels, among all clips and among the kept ones."""
    found = facts.overview.labels
    if not found:
        return "<p>The lists name no labels.</p>"
    kept = sorted(((name, kept) for name, _, kept in found), key=lambda one: (-one[1], one[0]))
    told = (
        f"<p>{facts.overview.label_count:,} labels; the {min(_MOST, len(found))} most frequent are shown.</p>"
    )
    return told + _plots(
        [
            _figure(
                bars("Labels of the listed clips", [(n, c) for n, c, _ in found[:_MOST]]), "Listed clips"
            ),
            _figure(bars("The same labels, kept clips", _first(kept)), "Kept clips"),
        ]
    )


def captions(said: Statistics) -> str:
    """Captions that a release may hold: how many, how long, in which languages, what they name."""
    if not said.captions:
        return "<p>There is no caption that a release may hold.</p>"
    told = {
        "Captions": f"{said.captions:,}",
        "Clips with one": f"{said.captioned:,}",
        "Words": f"{said.words:,}",
        "Words a caption": f"{said.words / said.captions:.1f}",
        "Different words": f"{said.distinct_words:,}",
    }
    if said.sampled:
        told["Captions that name a sound"] = share(said.naming_a_sound, said.sampled)
        told["Audio concepts a word"] = f"{said.concept_density:.3f}"
    lengths = histogram(
        "Words in a caption", said.lengths.edges, said.lengths.counts, unit=said.lengths.unit, of="captions"
    )
    senses = [(_SENSES.get(name, name), count) for name, count in said.modalities]
    plots = [
        _figure(lengths, "Words in a caption"),
        _figure(bars("Frequent words", said.vocabulary[:_MOST], of="times"), "Frequent words"),
        _figure(bars("Sounds named", said.sounds_named[:_MOST], of="captions"), "Sounds that captions name"),
        _figure(bars("Languages", _first(said.languages), of="captions"), "Languages"),
        _figure(bars("Origins", _first(said.origins), of="captions"), "Origins"),
        _figure(bars("Authors", _first(said.authors), of="captions"), "Authors: pseudonyms, lists"),
        _figure(bars("What the authors were shown", senses, of="captions"), "What the authors were shown"),
    ]
    return _dl(told) + _plots(plots)


def splits(facts: Facts) -> str:
    """Splits, sources and terms."""
    found, said = facts.overview, facts.overview.statistics
    rows = [
        [escaped(name or "none yet"), f"{clips:,}", f"{kept:,}", f"{told:,}"]
        for name, clips, kept, told in found.splits
    ]
    told = table("Clips by split", ["Split", "Listed", "Kept", "Kept and captioned"], rows)
    hours = _dl({"Videos": f"{said.videos:,}", "Hours listed": number(round(said.seconds / 3600, 2))})
    licences = [(name or "not stated", clips) for name, clips in found.licences]
    spans = histogram(
        "Length of the clips", said.durations.edges, said.durations.counts, unit=said.durations.unit
    )
    return hours + _plots(
        [
            told,
            _figure(spans, "Length of the clips, as listed"),
            _figure(bars("Sources", _first(said.sources)), "Where the videos live"),
            _figure(bars("Where the media came from", _first(found.origins)), "Where the media came from"),
            _figure(bars("Licences as stated", _first(licences)), "Licences of kept clips, as stated"),
        ]
    )


def releases(facts: Facts, base: str) -> str:
    """What was released, the newest first."""
    if not facts.releases:
        return "<p>Nothing is released yet.</p>"
    rows = [
        [
            f'<a href="{base}{layout.release_prefix(row.name, row.version)}{layout.CARD}">'
            f"{escaped(row.name)} {escaped(row.version)}</a>",
            f"{row.clips:,}",
            f"{row.captions:,}",
            f"{row.shards:,}",
            f"{row.bytes / 1e6:,.1f}",
            f"<code>{row.content_sha256[:16]}</code>",
        ]
        for row in facts.releases
    ]
    return table("Releases", ["Release", "Clips", "Captions", "Shards", "MB", "Content"], rows, hidden=True)


def _first(rows: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The first few, and the rest as one."""
    listed = list(rows)
    rest = sum(count for _, count in listed[_MOST:])
    return listed[:_MOST] + ([(f"{len(listed) - _MOST} others", rest)] if rest else [])


def _ranked(counts: dict[T, int]) -> list[tuple[T, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))


def _figure(drawn: str, title: str) -> str:
    return f"<figure><figcaption>{escaped(title)}</figcaption>{drawn}</figure>"


def _plots(figures: Iterable[str]) -> str:
    return f'<div class="plots">\n{chr(10).join(figures)}\n</div>'


def _dl(told: dict[str, str]) -> str:
    return (
        f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in told.items())}</dl>\n"
    )
