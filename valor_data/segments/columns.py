"""What the field calls a column, a split and a label: tables to read and to extend."""

import csv
import re
from collections.abc import Iterable
from functools import cache

from valor_data import layout

COLUMNS: dict[str, tuple[str, ...]] = {
    "clip_id": ("clip_id", "segment_id"),
    "video_id": ("video_id", "youtube_id", "ytid", "yid", "yt_id", "youtube_key", "vid", "video"),
    "url": ("url", "video_url", "youtube_url", "webpage_url", "video_link", "link", "href"),
    "start": (
        "start", "start_time", "start_seconds", "start_second", "start_sec", "start_s",
        "start_time_seconds", "t_start",
        "time_start", "begin", "begin_time",
    ),
    "start_ms": ("start_ms", "start_time_ms", "start_millis", "start_milliseconds"),
    "end": (
        "end", "end_time", "end_seconds", "end_second", "end_sec", "end_s", "t_end",
        "end_time_seconds", "time_end", "stop", "stop_time",
    ),
    "end_ms": ("end_ms", "end_time_ms", "end_millis", "end_milliseconds"),
    "duration": (
        "duration", "duration_seconds", "duration_sec", "duration_s", "clip_duration", "length",
        "length_seconds", "length_sec", "length_s",
    ),
    "duration_ms": ("duration_ms", "length_ms"),
    "caption": ("caption", "desc", "description", "text", "sentence"),
    "captions": ("captions", "descs", "descriptions", "texts", "sentences", "encap"),
    "caption_id": ("caption_id", "audiocap_id", "sentence_id", "sen_id", "external_id"),
    "labels": (
        "labels", "label", "positive_labels", "label_names", "display_names", "classes", "class",
        "categories", "category", "tags",
    ),
    "split": ("split", "subset", "partition", "set"),
    "licence": ("licence", "license"),
}  # fmt: skip
"""Our name -> the names it goes by, the surest first. Case, spaces, `_`, `-` and dots do not count.

Of several that stand in one list the first here is read and the others are ignored. `caption_1`,
`caption 2`, `desc3`... (any name of `caption` with a number) are all read.
"""

SPLITS: dict[str, tuple[str, ...]] = {
    "train": (
        "train",
        "training",
        "tr",
        "trn",
        "balanced_train",
        "unbalanced_train",
        "bal_train",
        "unbal_train",
    ),
    "val": ("val", "valid", "validation", "validate", "dev", "development"),
    "test": ("test", "testing", "tst", "eval", "evaluation"),
}
"""Our split -> what lists call it, in any case."""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_COLUMN_OF = {
    _plain(name): (ours, rank) for ours, names in COLUMNS.items() for rank, name in enumerate(names)
}
_SPLIT_OF = {_plain(name): ours for ours, names in SPLITS.items() for name in names}
_NUMBERED = re.compile(r"^([a-z]+)(\d+)$")


def recognise(header: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """({our name: the header's name}, names that nobody reads).

    Numbered captions keep their numbers: `caption_1` is our `caption1`.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    ignored: list[str] = []
    for name in header:
        plain = _plain(name)
        ours, rank = _COLUMN_OF.get(plain, ("", 0))
        numbered = _NUMBERED.match(plain)
        if not ours and numbered and _COLUMN_OF.get(numbered[1], ("", 0))[0] == "caption":
            ours = f"caption{int(numbered[2])}"
        if ours:
            found.setdefault(ours, []).append((rank, name))
        else:
            ignored.append(name)
    chosen = {ours: min(names)[1] for ours, names in found.items()}
    ignored += [name for ours, names in found.items() for _, name in names if name != chosen[ours]]
    return chosen, tuple(ignored)


def split_of(text: str) -> str | None:
    """`Validation` -> `val`; None for a word that names no split."""
    return _SPLIT_OF.get(_plain(text))


@cache
def label_names() -> dict[str, str]:
    """AudioSet's machine ids -> display names."""
    with layout.asset("labels", "audioset.csv").open(encoding="utf-8", newline="") as file:
        return {row["mid"]: row["display_name"] for row in csv.DictReader(file)}
