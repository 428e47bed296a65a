"""A segment list on its way into `clips`, `splits` and `captions`, in constant memory.

Rows wait in a temporary Parquet file on this machine; one merge then groups them by clip.
Merging the same list again writes nothing.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.records import Origin, Segment
from valor_data.tables.engine import Connection, Engine, quoted

_BATCH = 32_768
_TEXT: pa.DataType = pa.struct([("external_id", pa.string()), ("text", pa.string())])
_COLUMNS: dict[str, pa.DataType] = {
    "place": pa.int64(),
    "clip_id": pa.string(),
    "source": pa.string(),
    "video_id": pa.string(),
    "start_ms": pa.int64(),
    "end_ms": pa.int64(),
    "url": pa.string(),
    "labels": pa.list_(pa.string()),
    "captions": pa.list_(_TEXT),
    "split": pa.string(),
    "licence": pa.string(),
}
_STAGED = pa.schema(_COLUMNS)

# Rows of the same clip become one: url and source of the first, labels and captions of all.
_GROUPED = """
CREATE TEMP TABLE repeated AS SELECT clip_id, count(*) AS times FROM staged GROUP BY clip_id HAVING times > 1;

CREATE TEMP VIEW grouped AS
SELECT * EXCLUDE (place) FROM staged ANTI JOIN repeated USING (clip_id)
UNION ALL BY NAME
SELECT
    clip_id, min_by(source, place) AS source, any_value(video_id) AS video_id,
    any_value(start_ms) AS start_ms, any_value(end_ms) AS end_ms, min_by(url, place) AS url,
    flatten(list(labels ORDER BY place)) AS labels, flatten(list(captions ORDER BY place)) AS captions,
    min_by(split, place) FILTER (split IS NOT NULL) AS split,
    min_by(licence, place) FILTER (licence IS NOT NULL) AS licence
FROM staged SEMI JOIN repeated USING (clip_id) GROUP BY clip_id;

CREATE TEMP VIEW listed AS
SELECT * REPLACE (list_filter(labels, lambda x, i: list_position(labels, x) = i) AS labels) FROM grouped;
"""

_CLIPS = """
WITH compared AS (
    SELECT l.*, c.clip_id IS NULL AS is_new, c.source AS old_source, c.url AS old_url,
        c.labels AS old_labels, c.licence AS old_licence,
        list_filter(l.labels, lambda x: NOT list_contains(coalesce(c.labels, []), x)) AS more
    FROM listed AS l LEFT JOIN clips AS c USING (clip_id)
)
SELECT
    clip_id, coalesce(old_source, source) AS source, video_id, start_ms, end_ms,
    coalesce(old_url, url) AS url, coalesce(old_labels, []) || more AS labels,
    coalesce(old_licence, licence) AS licence, ? AS made_by
FROM compared WHERE is_new OR len(more) > 0 OR (old_licence IS NULL AND licence IS NOT NULL)
"""

_SPLITS = """
SELECT l.clip_id, coalesce(l.split, $fallback) AS split, $made_by AS made_by
FROM listed AS l LEFT JOIN splits AS s USING (clip_id)
WHERE coalesce(l.split, $fallback) IS NOT NULL
  AND (s.split IS DISTINCT FROM coalesce(l.split, $fallback) OR NOT starts_with(s.made_by, 'list:'))
"""

# Distinct texts of a clip in line order; those without an id of their own are numbered "", "2", "3".
_TEXTS = """
WITH told AS (
    SELECT clip_id, unnest(captions, recursive := true), generate_subscripts(captions, 1) AS place
    FROM {listed} WHERE len(captions) > 0
), distinct_texts AS (
    FROM told QUALIFY row_number() OVER (PARTITION BY clip_id, text ORDER BY place) = 1
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY clip_id, external_id = '' ORDER BY place) AS number
    FROM distinct_texts
)
SELECT clip_id, text, place,
    CASE WHEN external_id <> '' THEN external_id WHEN number = 1 THEN '' ELSE number::VARCHAR END
        AS external_id
FROM numbered
"""

# A text counts as changed when the list changed it: an edit made since by a person stands, and so
# does a deletion.
_CAPTIONS = """
WITH given AS (
    FROM texts QUALIFY row_number() OVER (PARTITION BY caption_id ORDER BY place DESC) = 1
), earlier AS (
    SELECT caption_id, max_by(text, made_at_us) AS text FROM captions_rows WHERE made_by = $made_by
    GROUP BY caption_id
)
SELECT
    g.caption_id, g.clip_id, g.text, $author AS author, $origin AS origin, $language AS language,
    'av' AS modalities_seen, g.external_id, coalesce(c.revision, 0) + 1 AS revision, false AS deleted,
    $made_by AS made_by
FROM given AS g LEFT JOIN captions AS c USING (caption_id) LEFT JOIN earlier AS e USING (caption_id)
WHERE c.caption_id IS NULL
   OR (NOT c.deleted AND c.text <> g.text AND e.text IS DISTINCT FROM g.text)
"""


class MergeCounts(NamedTuple):
    """What a list held, and what of it was news."""

    rows: int
    """Rows staged."""
    clips: int
    """Distinct clips among them."""
    duplicates: int
    """Rows merged into another row of the same clip."""
    new_clips: int
    """Clips that no list had named before."""
    captions: int
    """Caption rows written: new ones, and new revisions of those whose text the list changed."""


class CaptionCounts(NamedTuple):
    """What a file of captions gave to clips that are known already."""

    captions: int
    """Caption rows written: new ones, and new revisions of those whose text the file changed."""
    unknown_clips: int
    """Distinct clips of the file that stand in no list; their captions stay out."""


class SegmentStaging:
    """The rows of one list, gathered by `add` and made into table rows by one merge."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._file = pq.ParquetWriter(str(folder / "staged.parquet"), _STAGED, compression="lz4")
        self._rows = 0
        self._waiting: list[Segment] = []

    def add(self, segments: Iterable[Segment]) -> None:
        """Stage rows; only a batch of them is in memory at a time."""
        for segment in segments:
            self._waiting.append(segment)
            if len(self._waiting) == _BATCH:
                self._flush()

    def merge(self, list_name: str, author: str, language: str, default_split: str | None) -> MergeCounts:
        """Write what the list adds to `clips`, `splits` and `captions`, a part each.

        `author` is who wrote the captions; `model:<name>` marks them as a model's. A row without a
        split gets `default_split`.
        """

        def work(con: Connection) -> MergeCounts:
            clips = self._group(con)
            news = _count(con, "listed ANTI JOIN clips USING (clip_id)")
            made_by = f"list:{list_name}"
            self._engine.write(con, "clips", _CLIPS, [made_by])
            self._engine.write(con, "splits", _SPLITS, {"fallback": default_split, "made_by": made_by})
            captions = self._captions(con, "listed", made_by, author, language)
            return MergeCounts(self._rows, clips, self._rows - clips, news, captions)

        return self._engine.run(["clips", "splits", "captions"], work)

    def merge_captions(self, list_name: str, author: str, language: str) -> CaptionCounts:
        """Write only the captions, and only those of clips that stand in `clips`."""

        def work(con: Connection) -> CaptionCounts:
            self._group(con)
            unknown = _count(con, "listed ANTI JOIN clips USING (clip_id)")
            known = "(FROM listed SEMI JOIN clips USING (clip_id))"
            captions = self._captions(con, known, f"list:{list_name}", author, language)
            return CaptionCounts(captions, unknown)

        return self._engine.run(["clips", "captions"], work)

    def close(self) -> None:
        """Close the staging file; a merge does so too."""
        self._file.close()

    def _group(self, con: Connection) -> int:
        """Make the relation `listed` of the staged rows, one row a clip; the number of clips."""
        self._flush()
        self.close()
        con.execute(f"CREATE VIEW staged AS FROM {quoted(str(self._folder / 'staged.parquet'))}")
        con.execute(_GROUPED)
        ((repeated, rows),) = con.execute("SELECT count(*), coalesce(sum(times), 0) FROM repeated").fetchall()
        return self._rows - int(rows) + int(repeated)

    def _flush(self) -> None:
        if not self._waiting:
            return
        batch, self._waiting = self._waiting, []
        columns: dict[str, list[Any]] = {
            name: list(column) for name, column in zip(Segment._fields, zip(*batch, strict=True), strict=True)
        }
        columns["place"] = list(range(self._rows, self._rows + len(batch)))
        columns["captions"] = [
            [{"external_id": given, "text": text} for given, text in row] for row in columns["captions"]
        ]
        arrays = [pa.array(columns[field.name], field.type) for field in _STAGED]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=_STAGED))
        self._rows += len(batch)

    def _captions(self, con: Connection, listed: str, made_by: str, author: str, language: str) -> int:
        origin = Origin.MODEL if author.startswith("model:") else Origin.IMPORTED
        path = self._folder / "texts.parquet"
        reader = con.sql(_TEXTS.format(listed=listed)).to_arrow_reader(_BATCH)
        schema = reader.schema.append(pa.field("caption_id", pa.string()))
        with pq.ParquetWriter(str(path), schema, compression="lz4") as file:
            for batch in reader:
                pairs = zip(batch["clip_id"].to_pylist(), batch["external_id"].to_pylist(), strict=True)
                ids = [layout.caption_id(clip, origin, author, given) for clip, given in pairs]
                file.write_batch(batch.append_column("caption_id", pa.array(ids, pa.string())))
        con.execute(f"CREATE VIEW texts AS FROM {quoted(str(path))}")
        params = {"made_by": made_by, "author": author, "origin": origin, "language": language}
        return self._engine.write(con, "captions", _CAPTIONS, params)


@contextmanager
def segment_staging(engine: Engine) -> Iterator[SegmentStaging]:
    """A staging place on this machine that is gone when the `with` ends."""
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
        staging = SegmentStaging(engine, Path(folder))
        try:
            yield staging
        finally:
            staging.close()


def _count(con: Connection, relation: str) -> int:
    ((count,),) = con.execute(f"SELECT count(*) FROM {relation}").fetchall()
    return int(count)
