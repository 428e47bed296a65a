"""What was taken down, and the rewriting of parts that leaves no row of it: the one exception to parts
being immutable."""

from collections.abc import Collection, Mapping
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from valor_data.errors import Reason
from valor_data.records import TABLES
from valor_data.tables.engine import Connection, Engine
from valor_data.tables.parts import Parts, row_groups

_KEEP = ("tombstones", "opt_outs")
"""Tables that say who is kept out."""

_REJECTED = """
SELECT $stage AS stage, t.value AS clip_id, 'rejected' AS status, $reason AS reason,
    'taken down' AS message, 0 AS attempts, $made_by AS made_by
FROM tombstones AS t
LEFT JOIN (
    SELECT clip_id, arg_max_null(reason, made_at_us) AS reason FROM outcomes_rows
    WHERE stage = $stage GROUP BY clip_id
) AS s ON s.clip_id = t.value
WHERE t.scope = 'clip' AND s.reason IS DISTINCT FROM $reason
"""

_OF_CLIPS = "SELECT DISTINCT caption_id FROM captions_rows SEMI JOIN gone USING (clip_id)"
# What is known of a video goes with its last clip.
_LEFT_EMPTY = """
SELECT video_id FROM videos_rows SEMI JOIN gone_videos USING (video_id)
UNION
SELECT DISTINCT video_id FROM clips_rows SEMI JOIN gone USING (clip_id)
EXCEPT
SELECT video_id FROM clips_rows ANTI JOIN gone USING (clip_id) ANTI JOIN gone_videos USING (video_id)
"""
_NAMING = """
SELECT DISTINCT text FROM bad_rows_rows AS b
JOIN (SELECT DISTINCT regexp_replace(clip_id, '_[0-9]+_[0-9]+$', '') AS video_id FROM gone) AS v
    ON length(v.video_id) >= 8 AND contains(b.text, v.video_id)  -- a shorter id stands in many rows by chance
"""


class Listed(NamedTuple):
    """What the tables know of ids that a request names."""

    clips: set[str]
    """Those of the asked clips that are listed or taken down already."""
    of_videos: dict[str, set[str]]
    """The listed or taken-down clips of each asked video; a video without any is absent."""


def listed(engine: Engine, clips: Collection[str], videos: Collection[str]) -> Listed:
    """Which of some clips and videos the workspace knows."""

    def work(con: Connection) -> Listed:
        con.register("asked", _column("clip_id", clips))
        con.register("asked_videos", _column("video_id", videos))
        known = """
            (SELECT clip_id, video_id FROM clips_rows
             UNION SELECT value, regexp_replace(value, '_[0-9]+_[0-9]+$', '') FROM tombstones_rows
                WHERE scope = 'clip')
            """
        found = con.execute(f"SELECT clip_id FROM {known} SEMI JOIN asked USING (clip_id)").fetchall()
        of_videos: dict[str, set[str]] = {}
        rows = con.execute(f"SELECT video_id, clip_id FROM {known} SEMI JOIN asked_videos USING (video_id)")
        for video, clip in rows.fetchall():
            of_videos.setdefault(video, set()).add(clip)
        return Listed({clip for (clip,) in found}, of_videos)

    return engine.run(["clips", "tombstones"], work)


def reject_retracted(engine: Engine, stage: str, made_by: str) -> int:
    """Write the ledger's word on the clips that were taken down, where it says anything else yet; the
    number of new rows."""
    params = {"stage": stage, "made_by": made_by, "reason": Reason.RETRACTED.value}
    return engine.run(
        ["tombstones", "outcomes"], lambda con: engine.write(con, "outcomes", _REJECTED, params)
    )


def purge(
    parts: Parts, engine: Engine, clips: Collection[str], videos: Collection[str], spare: Collection[str] = ()
) -> dict[str, int]:
    """Rewrite every part that holds a row of these clips, or of these videos, without it; table -> rows
    that went. Tables of `spare` stay as they are.

    Revisions, reviews and faults of the clips' captions go too, what is known of a video with its last
    clip, and refused list rows that name one of the videos. A table changes in one step, `clips` last of
    all, so a purge that was cut short does the rest when it is run again.
    """
    captions, left_empty, naming = engine.run(
        ["clips", "videos", "captions", "bad_rows"], lambda con: _related(con, clips, videos)
    )
    wanted: dict[str, dict[str, Collection[str]]] = {
        "reviews": {"caption_id": captions},
        "caption_faults": {"caption_id": captions},
        "videos": {"video_id": left_empty},
        "bad_rows": {"text": naming},
        "neighbours": {"clip_id": clips, "representative": clips},
    }
    last = ("captions", "clips")
    of_clips = [name for name, record in TABLES.items() if "clip_id" in record.model_fields]
    for name in [*(one for one in of_clips if one not in last), *last]:
        wanted.setdefault(name, {"clip_id": clips})
    order = sorted(wanted, key=lambda name: last.index(name) + 1 if name in last else 0)
    left_out = {*_KEEP, *spare}
    return {
        name: gone
        for name in order
        if name not in left_out and (gone := _without(parts, engine, name, wanted[name]))
    }


def _related(
    con: Connection, clips: Collection[str], videos: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """Caption ids of the clips, videos that keep no other clip, texts of refused rows that name them."""
    con.register("gone", _column("clip_id", clips))
    con.register("gone_videos", _column("video_id", videos))
    captions, empty, naming = (
        [str(value) for (value,) in con.execute(sql).fetchall()] for sql in (_OF_CLIPS, _LEFT_EMPTY, _NAMING)
    )
    return captions, empty, naming


def _without(parts: Parts, engine: Engine, table: str, columns: Mapping[str, Collection[str]]) -> int:
    """Put one part in place of those that hold rows with such values; the number of rows that went."""
    parts.clear_leftovers(table)
    names = parts.live(table)
    if not names or not any(columns.values()):
        return 0
    doomed = reduce(
        lambda one, other: one | other,
        (pc.field(name).isin(pa.array(sorted(values), pa.string())) for name, values in columns.items()),
    )
    whole = engine.dataset(table, names)
    found = {name: engine.dataset(table, [name], whole.schema).count_rows(filter=doomed) for name in names}
    touched = [name for name, rows in found.items() if rows]
    if not touched:
        return 0
    import pyarrow.dataset as ds  # late: it loads pandas

    # Arrow would read far ahead of what is written, and hold the bytes of a whole part.
    kept = engine.dataset(table, touched, whole.schema).scanner(
        filter=~doomed,
        batch_readahead=1,
        fragment_readahead=1,
        fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False),
    )
    with parts.compacting(table, whole.schema, touched) as part:
        for group in row_groups(kept.to_batches()):
            part.write(group)
    return sum(found.values())


def _column(name: str, values: Collection[str]) -> pa.Table:
    return pa.table({name: pa.array(sorted(values), pa.string())})
