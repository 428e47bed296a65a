"""Prints and embeddings of the clips that may be shown, a few at a time, and who they belong to."""

from collections.abc import Collection, Iterator

import pyarrow as pa

from valor_data.records import TABLES
from valor_data.tables.engine import Connection, Engine

SHOWN = """
ANTI JOIN opted_out_clips AS o ON o.clip_id = x.clip_id
ANTI JOIN quarantined_clips AS q ON q.clip_id = x.clip_id
ANTI JOIN retracted_clips AS r ON r.clip_id = x.clip_id
"""
_CAPTIONS = """
SELECT clip_id, min_by(text, caption_id) FROM releasable_captions
WHERE clip_id IN (SELECT unnest($clips::VARCHAR[])) GROUP BY clip_id
"""


def each_print(engine: Engine) -> Iterator[pa.RecordBatch]:
    """`clip_id, picture, sound` of the current bytes of every clip that may be shown, by clip_id."""
    sql = f"SELECT x.clip_id, x.picture, x.sound FROM current_prints AS x {SHOWN} ORDER BY x.clip_id"
    return engine.stream_by_clip(sql)


def each_embedding(engine: Engine, kind: str, model: str) -> Iterator[pa.RecordBatch]:
    """`clip_id, vector` of one kind by one model, of every clip that may be shown, by clip_id."""
    which = "WHERE x.kind = $kind AND x.model = $model"
    sql = f"SELECT x.clip_id, x.vector FROM embeddings AS x {SHOWN} {which} ORDER BY x.clip_id"
    return engine.stream_by_clip(sql, {"kind": kind, "model": model})


def first_captions(engine: Engine, clips: Collection[str]) -> dict[str, str]:
    """The first releasable caption of those of some clips that have one."""

    def work(con: Connection) -> dict[str, str]:
        return dict(con.execute(_CAPTIONS, {"clips": list(clips)}).fetchall())

    return engine.run(list(TABLES), work)
