"""The numbers and words that rules may name, where each lies, and what makes a recipe have it.

Fields of the measures' records and of `media` by their own names, and beside them

    tag.<Class>       score of a class that the tagger heard; 0 where it is not among the kept ones
    label_agreement   largest score among the clip's own labels
    duplicate         another clip stands for this one: same sound and picture; which one of a group stands
                      is settled among those that the other rules keep
    shares_sound, shares_picture   the same for one of the two
    leak              how the clip stands in a benchmark: none, print, video, clip; `leak.<name>` for one
"""

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from valor_data.records import MEASURES, Leak, Media, Neighbour, Record, TagMeasures

Kind = Literal["number", "yes_no", "words"]
TAG, LEAK = "tag.", "leak."
LEAK_WORDS: tuple[str, ...] = get_args(Leak.model_fields["how"].annotation)
_OF_MEDIA = ("width", "height", "fps", "av_skew_ms", "short_ms", "start_error_ms", "bytes")
_ALWAYS = ("media", "audio_measures")
_KEYS = {*Record.model_fields, "clip_id", "media_sha256"}


class Metric(NamedTuple):
    """One thing that a rule may name."""

    kind: Kind
    table: str
    """The table that tells it."""


def _kind(annotation: Any) -> Kind | None:
    """The kind of a record's field; None for one that no rule can ask, such as a list."""
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    plain = {bool: "yes_no", int: "number", float: "number", str: "words"}
    if annotation in plain:
        return plain[annotation]  # type: ignore[return-value]
    if get_origin(annotation) is tuple:
        return None
    return next((found for part in get_args(annotation) if (found := _kind(part))), None)


def _fields(record: type[Record], names: Sequence[str]) -> dict[str, Metric]:
    kinds = {name: _kind(record.model_fields[name].annotation) for name in names}
    return {name: Metric(kind, record.table) for name, kind in kinds.items() if kind}


METRICS: dict[str, Metric] = {
    **{
        name: metric
        for record in MEASURES
        for name, metric in _fields(record, [n for n in record.model_fields if n not in _KEYS]).items()
    },
    **_fields(Media, _OF_MEDIA),
    "label_agreement": Metric("number", TagMeasures.table),
    "duplicate": Metric("yes_no", Neighbour.table),
    "shares_sound": Metric("yes_no", Neighbour.table),
    "shares_picture": Metric("yes_no", Neighbour.table),
    "leak": Metric("words", Leak.table),
}
"""All but `tag.<Class>` and `leak.<name>`, which `metric` knows too."""


GROUPS = frozenset(name for name, metric in METRICS.items() if metric.table == Neighbour.table)
"""Those that tell of a group: they depend on what becomes of its other clips."""


def metric(name: str) -> Metric:
    """What a name means. Raises ValueError with the nearest known name."""
    if name in METRICS:
        return METRICS[name]
    if name.startswith(TAG) and len(name) > len(TAG):
        return Metric("number", TagMeasures.table)
    if name.startswith(LEAK) and len(name) > len(LEAK):
        return Metric("words", Leak.table)
    known = [*METRICS, f"{TAG}<Class>", f"{LEAK}<benchmark>"]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    raise ValueError(f"rule on {name!r}: no such measure; {mend}")


def needs(name: str) -> str | None:
    """Which measurer must run for it, as `measure.also` spells it; `safety` and `benchmarks` for those
    parts of a recipe; None: it always runs."""
    table = metric(name).table
    if table in _ALWAYS:
        return None
    return {
        "tag_measures": "tags",
        "neighbours": "prints",
        "leaks": "benchmarks",
    }.get(table, table.removesuffix("_measures"))
