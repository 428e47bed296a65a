"""What a model has not looked at yet: clips without its caption or its vectors, captions without theirs."""

from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

import pyarrow as pa

from valor_data.records import TABLES
from valor_data.tables.alike import SHOWN
from valor_data.tables.engine import Connection, Engine

State = Literal["missing", "there", "barred", "unknown"]

_CAPTIONS = """
SELECT clip_id, max(made_at_us) FILTER (made_by = $made_by) AS at, max(revision) AS revision
FROM captions WHERE origin = 'model' AND author = $author AND external_id = '' GROUP BY clip_id
"""
_EMBEDDINGS = """
SELECT clip_id, max(made_at_us) AS at, 0 AS revision
FROM embeddings WHERE model = $made_by AND kind <> 't' AND $author IS NULL GROUP BY clip_id
"""
# What was made of older bytes is made again.
_STANDING = """
WITH x AS (SELECT DISTINCT unnest($clips::VARCHAR[]) AS clip_id),
made AS (FROM ({made}) SEMI JOIN x USING (clip_id)),
bytes AS (SELECT clip_id, max(made_at_us) AS at FROM media SEMI JOIN x USING (clip_id) GROUP BY clip_id),
may AS (SELECT x.clip_id FROM x {shown})
SELECT x.clip_id,
    CASE WHEN x.clip_id NOT IN (SELECT clip_id FROM may) THEN 'barred'
         WHEN x.clip_id NOT IN (SELECT clip_id FROM clips_rows) THEN 'unknown'
         WHEN made.at >= coalesce(bytes.at, 0) THEN 'there'
         ELSE 'missing' END,
    coalesce(made.revision, 0)
FROM x LEFT JOIN made USING (clip_id) LEFT JOIN bytes USING (clip_id)
"""
# A caption is as new as its last fix.
_UNTOLD = f"""
WITH fixes AS (
    SELECT caption_id, max(made_at_us) AS at FROM reviews WHERE decision = 'fix' GROUP BY caption_id
),
x AS (
    SELECT c.clip_id, c.text, greatest(c.made_at_us, coalesce(f.at, 0)) AS at
    FROM releasable_captions AS c LEFT JOIN fixes AS f USING (caption_id)
    QUALIFY row_number() OVER (PARTITION BY c.clip_id ORDER BY c.caption_id) = 1
)
SELECT x.clip_id, x.text FROM x {SHOWN}
LEFT JOIN (FROM embeddings WHERE model = $model AND kind = 't') AS e ON e.clip_id = x.clip_id
WHERE e.clip_id IS NULL OR e.made_at_us < x.at
ORDER BY x.clip_id
"""
_EMBEDDED = """
SELECT model, max(len(vector))::BIGINT, count(DISTINCT clip_id) FROM embeddings
WHERE model <> $model GROUP BY model ORDER BY model
"""


class Standing(NamedTuple):
    """Where a clip stands with a model."""

    state: State
    """`barred`: opted out, in quarantine or taken down; `unknown`: in no list of this workspace; `there`:
    made of the clip's newest bytes."""
    revision: int
    """Of the caption by the same author; 0: there is none."""


class OtherModel(NamedTuple):
    """A model whose embeddings are there too."""

    model: str
    width: int
    clips: int


def standing(
    engine: Engine, clips: Collection[str], made_by: str, author: str | None = None
) -> dict[str, Standing]:
    """Where each of some clips stands: by captions of an author, or by vectors where none is named."""
    sql = _STANDING.format(made=_EMBEDDINGS if author is None else _CAPTIONS, shown=SHOWN)
    params = {"clips": list(clips), "made_by": made_by, "author": author}

    def work(con: Connection) -> dict[str, Standing]:
        return {
            clip: Standing(state, revision) for clip, state, revision in con.execute(sql, params).fetchall()
        }

    return engine.run(list(TABLES), work)


def untold(engine: Engine, model: str) -> Iterator[pa.RecordBatch]:
    """`clip_id, text` of the first releasable caption of every clip that may be shown and whose caption the
    model has not put in its space as it stands, by clip_id."""
    return engine.stream_by_clip(_UNTOLD, {"model": model})


def other_models(engine: Engine, model: str) -> list[OtherModel]:
    """Whose embeddings there are beside a model's."""

    def work(con: Connection) -> list[OtherModel]:
        return [OtherModel(*row) for row in con.execute(_EMBEDDED, {"model": model}).fetchall()]

    return engine.run(["embeddings"], work)
