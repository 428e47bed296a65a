"""What a catalog holds, in numbers: of a workspace's or of a release's `catalog.parquet`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from valor_data import text
from valor_data.tables.engine import Connection, batches, connect, quoted

SAMPLE = 100_000
"""Captions whose sounds are looked for; of more, so many are drawn, always the same."""
HIDING = ("opted_out", "quarantined")
"""Columns of a workspace's catalog that keep a clip from being shown; a release holds no such clip."""
_BINS = 40
_WIDTHS = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
_WORDS_TOLD = 100
_WHOLE = """
SELECT count(*), count(DISTINCT video_id), coalesce(sum(end_ms - start_ms), 0) / 1000,
    count(*) FILTER (captions <> [])
FROM shown
"""
# By hash, so that a caption added moves few others in or out.
_DRAWN = f"FROM told ORDER BY hash(caption_id) LIMIT {SAMPLE}"

Counts = tuple[tuple[str, int], ...]
"""Names and how often each, most first, then by name."""


class Histogram(NamedTuple):
    """How one number is spread."""

    name: str
    unit: str
    edges: tuple[float, ...]
    """One more than `counts`, rising; a bin holds its lower edge, the last one also all beyond."""
    counts: tuple[int, ...]
    missing: int = 0
    """Clips or captions of which the number is not known."""


@dataclass(frozen=True)
class Statistics:
    """Counts over the clips of a catalog that may be shown: no one's wish and no quarantine is against it."""

    clips: int
    videos: int
    seconds: float
    """Length of all clips together, as listed."""
    captioned: int
    """Clips with a caption that may be released."""
    captions: int
    words: int
    distinct_words: int
    """Different words, case folded."""
    sampled: int
    """Captions that were read for sounds: all, or as many as `SAMPLE`."""
    naming_a_sound: int
    """Of those sampled."""
    concept_density: float
    """Audio concepts per word (0-1) of those sampled, after VALOR's Eq. 1."""
    lengths: Histogram
    """Words of each caption."""
    durations: Histogram
    """Seconds of each clip."""
    vocabulary: Counts
    """The most frequent words."""
    labels: Counts
    sounds_named: Counts
    """Captions that name each sound, of those sampled; English only."""
    languages: Counts
    origins: Counts
    authors: Counts
    """Captions by pseudonym, list or model."""
    modalities: Counts
    """Captions by what their authors were shown."""
    splits: Counts
    """Clips; an empty name stands for those without a split."""
    sources: Counts
    """Clips by where their videos live."""

    def as_json(self) -> dict[str, Any]:
        """The same as one JSON object; histograms as objects."""
        said = asdict(self)
        for name in ("lengths", "durations"):
            said[name] = getattr(self, name)._asdict()
        return said


def statistics(catalog: str) -> Statistics:
    """The numbers of a `catalog.parquet`, a file on this machine. Memory does not grow with it, but for
    the different words in it."""
    known = pq.read_schema(catalog).names
    shown = " AND ".join(f"NOT {name}" for name in HIDING if name in known) or "true"
    with connect() as con:
        con.execute(f"CREATE VIEW shown AS FROM read_parquet({quoted(catalog)}) WHERE {shown}")
        con.execute("CREATE VIEW told AS SELECT unnest(captions, recursive := true) FROM shown")
        return counted(con)


def counted(con: Connection) -> Statistics:
    """The same of a connection with `shown`, the clips, and `told`, their captions, in the columns of a
    catalog."""
    (whole,) = con.execute(_WHOLE).fetchall()
    said = _said(con)
    spans = con.execute(
        "SELECT (end_ms - start_ms) / 1000 AS s, count(*) FROM shown GROUP BY s ORDER BY s"
    ).fetchall()
    durations = np.repeat(np.array([s for s, _ in spans], np.float64), [clips for _, clips in spans])
    return Statistics(
        clips=whole[0],
        videos=whole[1],
        seconds=whole[2],
        captioned=whole[3],
        **said,
        durations=_histogram("durations", "s", durations),
        labels=_counts(con, "SELECT unnest(labels) AS name FROM shown"),
        languages=_counts(con, "SELECT language AS name FROM told"),
        origins=_counts(con, "SELECT origin AS name FROM told"),
        authors=_counts(con, "SELECT author AS name FROM told"),
        modalities=_counts(con, "SELECT modalities_seen AS name FROM told"),
        splits=_counts(con, "SELECT coalesce(split, '') AS name FROM shown"),
        sources=_counts(con, "SELECT source AS name FROM shown"),
    )


def _said(con: Connection) -> dict[str, Any]:
    """What the words of the captions say, by the fields of `Statistics`."""
    ((captions,),) = con.execute("SELECT count(*) FROM told").fetchall()
    vocabulary: Counter[str] = Counter()
    lengths: list[NDArray[np.float64]] = [np.zeros(0)]
    for batch in batches(con, "SELECT text FROM told"):
        found = [text.words(str(caption)) for caption in batch["text"].to_pylist()]
        lengths.append(np.fromiter(map(len, found), np.float64, len(found)))
        for each in found:
            vocabulary.update(each)
    length = np.concatenate(lengths)
    sample = "FROM told" if captions <= SAMPLE else _DRAWN
    sounds: Counter[str] = Counter()
    sampled = naming = concepts = words = 0
    for batch in batches(con, f"SELECT text, language {sample}"):
        for caption, language in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            named = text.sounds_named(caption) if language.partition("-")[0] == "en" else set()
            sounds.update(named)
            sampled, naming = sampled + 1, naming + bool(named)
        density = text.density(map(str, batch["text"].to_pylist()))
        concepts, words = concepts + density.concepts, words + density.words
    return {
        "captions": captions,
        "words": int(length.sum()),
        "distinct_words": len(vocabulary),
        "sampled": sampled,
        "naming_a_sound": naming,
        "concept_density": concepts / words if words else 0.0,
        "lengths": _histogram("lengths", "words", length),
        "vocabulary": _ranked(vocabulary.items())[:_WORDS_TOLD],
        "sounds_named": _ranked(sounds.items()),
    }


def _counts(con: Connection, sql: str) -> Counts:
    return _ranked(con.execute(f"SELECT name, count(*) FROM ({sql}) GROUP BY name").fetchall())


def _ranked(counted: Iterable[tuple[str, int]]) -> Counts:
    return tuple(sorted(counted, key=lambda one: (-one[1], one[0])))


def _histogram(name: str, unit: str, values: NDArray[np.float64]) -> Histogram:
    """Bins of a round width from 0 on, among which all but a thousandth of the values lie."""
    if not len(values):
        return Histogram(name, unit, (0.0, 1.0), (0,))
    most = float(np.quantile(values, 0.999))
    width = next(width for width in _WIDTHS if width * _BINS > most)
    edges = np.arange(0, int(most // width) + 2) * width
    counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
    return Histogram(name, unit, tuple(edges.astype(float).tolist()), tuple(counts.tolist()))
