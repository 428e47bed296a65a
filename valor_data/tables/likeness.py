"""Prints of clips, and which clips lie in videos of a benchmark."""

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from valor_data.tables.engine import Connection, Engine

# A clip whose owner opted out shall stand for nobody.
_PRINTS = """
CREATE TEMP TABLE current AS
SELECT p.clip_id, {columns}
FROM prints AS p
JOIN media AS m ON m.clip_id = p.clip_id AND m.sha256 = p.media_sha256
ANTI JOIN opted_out_clips AS o ON o.clip_id = p.clip_id
WHERE $profile IS NULL OR m.profile = $profile
QUALIFY row_number() OVER (PARTITION BY p.clip_id ORDER BY p.made_at_us DESC, p.made_by DESC) = 1
"""

_BETWEEN = """
SELECT clip_id, media_sha256, sound, picture
FROM prints_rows WHERE clip_id BETWEEN $first AND $last
QUALIFY row_number() OVER (
    PARTITION BY clip_id, media_sha256 ORDER BY made_at_us DESC, made_by DESC) = 1
ORDER BY clip_id, media_sha256
"""

_SHARED = """
WITH pairs AS (
    SELECT c.clip_id, video_id, b.clip_id AS theirs,
        c.start_ms < b.end_ms AND b.start_ms < c.end_ms AS same_time
    FROM clips AS c JOIN benchmark AS b USING (video_id)
)
SELECT clip_id, CASE WHEN bool_or(same_time) THEN 'clip' ELSE 'video' END AS how,
    coalesce(min(theirs) FILTER (same_time), min(video_id)) AS match
FROM pairs GROUP BY clip_id ORDER BY clip_id
"""

_TABLES = ("prints", "media", "clips", "videos", "opt_outs")


class BenchmarkClip(NamedTuple):
    """A span of a video that a model will be tested on."""

    clip_id: str
    video_id: str
    start_ms: int
    end_ms: int


def prints_digest(engine: Engine, profile: str | None) -> str:
    """What names the prints that `prints` would give; it changes when any of them does."""

    def work(con: Connection) -> str:
        con.execute(_PRINTS.format(columns="p.media_sha256, p.made_by"), {"profile": profile})
        sql = "SELECT count(*), coalesce(bit_xor(hash(clip_id, media_sha256, made_by)), 0) FROM current"
        ((count, mixed),) = con.execute(sql).fetchall()
        return f"{count}-{mixed:016x}"

    return engine.run(_TABLES, work)


def prints(engine: Engine, profile: str | None) -> pa.Table:
    """`clip_id, sound, picture` of the current bytes of each clip, of one profile or whatever it has."""

    def work(con: Connection) -> pa.Table:
        con.execute(_PRINTS.format(columns="p.sound, p.picture"), {"profile": profile})
        sql = "SELECT clip_id, sound, picture FROM current ORDER BY clip_id"
        found: pa.Table = con.sql(sql).to_arrow_table()
        return found

    return engine.run(_TABLES, work)


def prints_between(engine: Engine, first: str, last: str) -> pa.Table:
    """`clip_id, media_sha256, sound, picture` of the clips from `first` to `last`, of all bytes of theirs
    that were ever printed."""

    def work(con: Connection) -> pa.Table:
        found: pa.Table = con.sql(_BETWEEN, params={"first": first, "last": last}).to_arrow_table()
        return found

    return engine.run(["prints"], work)


def shared_videos(engine: Engine, benchmark: Iterable[BenchmarkClip]) -> pa.Table:
    """`clip_id, how, match` of our clips whose videos a benchmark uses: `clip` where the spans overlap, and
    one of the benchmark's clips; else `video`, and its id."""
    types = (pa.string(), pa.string(), pa.int64(), pa.int64())
    rows = list(benchmark)
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(types)]
    listed = pa.Table.from_arrays(columns, names=list(BenchmarkClip._fields))

    def work(con: Connection) -> pa.Table:
        con.register("benchmark", listed)
        found: pa.Table = con.sql(_SHARED).to_arrow_table()
        return found

    return engine.run(["clips"], work)
