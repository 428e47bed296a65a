"""A segment list on its way into `clips`, `list_members`, `splits` and `captions`, in constant memory.

Rows wait in a temporary Parquet file on this machine; one merge then groups them by clip.
Merging the same list again writes nothing.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from valor_data import layout
from valor_data.records import TABLES, Origin, Segment
from valor_data.schema import arrow_schema
from valor_data.tables.engine import Connection, Engine, quoted
from valor_data.tables.parts import ROW_GROUP, Parts, PartWriter

_BATCH = 32_768
_BUCKET = 200_000
"""Rows that are merged at a time."""
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

# What was taken down is passed over. Rows of the same clip become one: url and source of the first, labels
# and captions of all.
_LISTED = """
CREATE OR REPLACE TEMP TABLE own AS FROM staged WHERE {bucket}
    AND clip_id NOT IN (SELECT value FROM tombstones_rows WHERE scope = 'clip')
    AND video_id NOT IN (SELECT value FROM tombstones_rows WHERE scope = 'video');

CREATE OR REPLACE TEMP TABLE listed AS
WITH repeated AS (
    SELECT clip_id FROM own GROUP BY clip_id HAVING count(*) > 1
), grouped AS (
    SELECT * EXCLUDE (place) FROM own ANTI JOIN repeated USING (clip_id)
    UNION ALL BY NAME
    SELECT
        clip_id, min_by(source, place) AS source, any_value(video_id) AS video_id,
        any_value(start_ms) AS start_ms, any_value(end_ms) AS end_ms, min_by(url, place) AS url,
        flatten(list(labels ORDER BY place)) AS labels, flatten(list(captions ORDER BY place)) AS captions,
        min_by(split, place) FILTER (split IS NOT NULL) AS split,
        min_by(licence, place) FILTER (licence IS NOT NULL) AS licence
    FROM own SEMI JOIN repeated USING (clip_id) GROUP BY clip_id
)
SELECT l.* REPLACE (list_filter(l.labels, lambda x, i: list_position(l.labels, x) = i) AS labels),
    c.clip_id IS NOT NULL AS is_known, c.source AS old_source, c.url AS old_url, c.labels AS old_labels,
    c.licence AS old_licence
FROM grouped AS l LEFT JOIN (
    FROM clips_rows WHERE {bucket}
    QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC) = 1
) AS c USING (clip_id)
"""

_CLIPS = """
WITH compared AS (
    SELECT *, list_filter(labels, lambda x: NOT list_contains(coalesce(old_labels, []), x)) AS more
    FROM listed
)
SELECT
    clip_id, source, video_id, start_ms, end_ms, url, coalesce(old_labels, []) || more AS labels,
    coalesce(old_licence, licence) AS licence, $made_by AS made_by
FROM compared
WHERE NOT is_known OR url <> old_url OR len(more) > 0 OR (old_licence IS NULL AND licence IS NOT NULL)
"""

_SPLITS = """
SELECT l.clip_id, coalesce(l.split, $fallback) AS split, $made_by AS made_by
FROM listed AS l LEFT JOIN (
    FROM splits_rows WHERE {bucket}
    QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC) = 1
) AS s USING (clip_id)
WHERE coalesce(l.split, $fallback) IS NOT NULL
  AND (s.split IS DISTINCT FROM coalesce(l.split, $fallback) OR NOT starts_with(s.made_by, 'list:'))
"""

# Also of clips that stood there before: they are in this list too.
_MEMBERS = """
SELECT $list_name AS list_name, l.clip_id, coalesce(l.split, $fallback) AS split, $made_by AS made_by
FROM listed AS l LEFT JOIN (
    FROM list_members_rows WHERE list_name = $list_name AND {bucket}
    QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC) = 1
) AS m USING (clip_id)
WHERE m.clip_id IS NULL OR m.split IS DISTINCT FROM coalesce(l.split, $fallback)
"""

# Distinct texts of a clip in line order; those without an id of their own are numbered "", "2", "3".
_TEXTS = """
WITH told AS (
    SELECT clip_id, unnest(captions, recursive := true), generate_subscripts(captions, 1) AS place
    FROM listed WHERE len(captions) > 0 AND (is_known OR $unknown_too)
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
), standing AS (
    SELECT caption_id, max_by(text, made_at_us) AS text, max_by(revision, made_at_us) AS revision,
        max_by(deleted, made_at_us) AS deleted,
        max_by(text, made_at_us) FILTER (made_by = $made_by) AS given_text
    FROM captions_rows WHERE {bucket} GROUP BY caption_id
)
SELECT
    g.caption_id, g.clip_id, g.text, $author AS author, $origin AS origin, $language AS language,
    'av' AS modalities_seen, g.external_id, NULL::BIGINT AS lead_ms,
    coalesce(s.revision, 0) + 1 AS revision, false AS deleted, $made_by AS made_by
FROM given AS g LEFT JOIN standing AS s USING (caption_id)
WHERE s.caption_id IS NULL
   OR (NOT coalesce(s.deleted, false) AND s.text <> g.text AND s.given_text IS DISTINCT FROM g.text)
"""


class MergeCounts(NamedTuple):
    """What a list held, and what of it was news."""

    rows: int
    """Rows staged."""
    clips: int
    """Distinct clips among them, without those that were taken down."""
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

    def __init__(self, parts: Parts, engine: Engine, folder: Path) -> None:
        self._parts = parts
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
        """Write what the list adds to `clips`, `list_members`, `splits` and `captions`, a part each.

        `author` is who wrote the captions; `model:<name>` marks them as a model's. A row without a
        split gets `default_split`.
        """
        made_by = f"list:{list_name}"
        split_of = {"fallback": default_split, "made_by": made_by}

        def work(con: Connection) -> MergeCounts:
            with (
                self._part("clips") as clips,
                self._part("list_members") as members,
                self._part("splits") as splits,
                self._part("captions") as captions,
            ):
                rows = listed = known = 0
                for bucket in self._buckets(con):
                    rows += _count(con, "own")
                    listed += _count(con, "listed")
                    known += _count(con, "listed WHERE is_known")
                    _copy(con, _CLIPS, {"made_by": made_by}, clips)
                    _copy(con, _MEMBERS.format(bucket=bucket), {"list_name": list_name, **split_of}, members)
                    _copy(con, _SPLITS.format(bucket=bucket), split_of, splits)
                    self._captions(con, bucket, captions, made_by, author, language, unknown_too=True)
            return MergeCounts(self._rows, listed, rows - listed, listed - known, captions.rows)

        return self._engine.run(["clips", "list_members", "splits", "captions", "tombstones"], work)

    def merge_captions(self, list_name: str, author: str, language: str) -> CaptionCounts:
        """Write only the captions, and only those of clips that stand in `clips`."""
        made_by = f"list:{list_name}"

        def work(con: Connection) -> CaptionCounts:
            with self._part("captions") as captions:
                unknown = 0
                for bucket in self._buckets(con):
                    unknown += _count(con, "listed WHERE NOT is_known")
                    self._captions(con, bucket, captions, made_by, author, language, unknown_too=False)
            return CaptionCounts(captions.rows, unknown)

        return self._engine.run(["clips", "captions", "tombstones"], work)

    def close(self) -> None:
        """Close the staging file; a merge does so too."""
        self._file.close()

    def _buckets(self, con: Connection) -> Iterator[str]:
        """Make the relation `listed`, one row a clip with what stands of it, for a share of the clips
        at a time, so that memory does not grow with the list; yields the condition for the share."""
        self._flush()
        self.close()
        con.execute(f"CREATE VIEW staged AS FROM {quoted(str(self._folder / 'staged.parquet'))}")
        buckets = self._rows // _BUCKET + 1
        for number in range(buckets):
            bucket = f"hash(clip_id) % {buckets} = {number}"
            con.execute(_LISTED.format(bucket=bucket))
            yield bucket

    def _part(self, table: str) -> AbstractContextManager[PartWriter]:
        return self._parts.writing(table, arrow_schema(TABLES[table]))

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

    def _captions(
        self,
        con: Connection,
        bucket: str,
        part: PartWriter,
        made_by: str,
        author: str,
        language: str,
        *,
        unknown_too: bool,
    ) -> None:
        origin = Origin.MODEL if author.startswith("model:") else Origin.IMPORTED
        texts: pa.Table = con.sql(_TEXTS, params={"unknown_too": unknown_too}).to_arrow_table()
        pairs = zip(texts["clip_id"].to_pylist(), texts["external_id"].to_pylist(), strict=True)
        ids = [layout.caption_id(str(clip), origin, author, str(given)) for clip, given in pairs]
        con.register("texts", texts.append_column("caption_id", pa.array(ids, pa.string())))
        params = {"made_by": made_by, "author": author, "origin": origin, "language": language}
        _copy(con, _CAPTIONS.format(bucket=bucket), params, part)
        con.unregister("texts")


@contextmanager
def segment_staging(parts: Parts, engine: Engine) -> Iterator[SegmentStaging]:
    """A staging place on this machine that is gone when the `with` ends."""
    with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
        staging = SegmentStaging(parts, engine, Path(folder))
        try:
            yield staging
        finally:
            staging.close()


def _count(con: Connection, relation: str) -> int:
    ((count,),) = con.execute(f"SELECT count(*) FROM {relation}").fetchall()
    return int(count)


def _copy(con: Connection, sql: str, params: Mapping[str, object], part: PartWriter) -> None:
    for batch in con.sql(sql, params=params).to_arrow_reader(ROW_GROUP):
        part.write(batch)
