"""What is missing or stale: the items of fetching and of measuring."""

from collections.abc import Iterator
from itertools import groupby

from valor_data.records import Clip, Media
from valor_data.tables.engine import Connection, Engine
from valor_data.tables.typed import records_with_attempts

_HELD = "250MB"
"""What a scan may hold: it stays open beside the workers for as long as the stage runs."""

# Only ids are kept of what is to do: rows are read again when they are handed out, in order.
_UNFETCHED = """
CREATE TEMP TABLE todo AS
WITH seen AS (
    SELECT clip_id, max_by(status, made_at_us) AS status, max_by(attempts, made_at_us) AS attempts
    FROM outcomes_rows WHERE stage = $stage GROUP BY clip_id
)
SELECT c.clip_id, max(c.made_at_us) AS made_at_us, coalesce(any_value(s.attempts), 0) AS attempts
FROM clips_rows AS c LEFT JOIN seen AS s USING (clip_id)
WHERE s.clip_id IS NULL OR (s.status = 'failed' AND s.attempts < $max_attempts)
GROUP BY c.clip_id
"""

_BY_VIDEO = """
SELECT c.*, t.attempts FROM clips_rows AS c JOIN todo AS t USING (clip_id, made_at_us)
ORDER BY c.video_id, c.start_ms, c.end_ms
"""

# A hash stands for the sha256: 8 bytes a clip in place of 64 letters.
_UNMEASURED = """
CREATE TEMP TABLE todo AS
WITH newest AS (
    SELECT clip_id, max(made_at_us) AS made_at_us, max_by(hash(sha256), made_at_us) AS sha
    FROM media_rows WHERE profile = $profile GROUP BY clip_id
), measured AS (
    SELECT clip_id, max_by(hash(media_sha256), made_at_us) AS sha
    FROM {measures}_rows WHERE made_by = $made_by GROUP BY clip_id
), unmeasured AS (
    FROM newest ANTI JOIN measured USING (clip_id, sha)
), seen AS (
    SELECT clip_id, max(made_at_us) AS made_at_us, max_by(status, made_at_us) AS status,
        max_by(attempts, made_at_us) AS attempts
    FROM outcomes_rows SEMI JOIN unmeasured USING (clip_id) WHERE stage = $stage GROUP BY clip_id
)
SELECT u.clip_id, u.made_at_us, coalesce(s.attempts, 0) AS attempts
FROM unmeasured AS u
LEFT JOIN seen AS s ON s.clip_id = u.clip_id AND s.made_at_us > u.made_at_us AND s.status <> 'ok'
WHERE s.clip_id IS NULL OR (s.status = 'failed' AND s.attempts < $max_attempts)
"""

_BY_CLIP = """
SELECT m.*, t.attempts FROM media_rows AS m JOIN todo AS t USING (clip_id, made_at_us)
WHERE m.profile = $profile ORDER BY m.clip_id
"""


def unfetched(engine: Engine, stage: str, max_attempts: int) -> tuple[int, Iterator[list[tuple[Clip, int]]]]:
    """Clips that the stage has not seen, or that failed in it fewer than `max_attempts` times: their
    number, and by video all clips of it in one list, each with its attempts so far."""
    params = {"stage": stage, "max_attempts": max_attempts}
    count, batches = engine.prepared_stream(
        ["clips", "outcomes"],
        lambda con: _todo(con, _UNFETCHED, params),
        _BY_VIDEO,
        memory=_HELD,
    )
    items = records_with_attempts(Clip, batches)
    by_video = groupby(items, key=lambda item: item[0].video_id)
    return count, (list(clips) for _, clips in by_video)


def unmeasured(
    engine: Engine, profile: str, measure_table: str, made_by: str, stage: str, max_attempts: int
) -> tuple[int, Iterator[tuple[Media, int]]]:
    """Media of a profile whose very bytes `made_by` has not measured, and whose outcome of the stage,
    where it is newer than they, is not final: their number, and each with its attempts so far."""
    params = {"profile": profile, "made_by": made_by, "stage": stage, "max_attempts": max_attempts}
    sql = _UNMEASURED.format(measures=measure_table)
    count, batches = engine.prepared_stream(
        ["media", "outcomes", measure_table],
        lambda con: _todo(con, sql, params),
        _BY_CLIP,
        {"profile": profile},
        memory=_HELD,
    )
    return count, records_with_attempts(Media, batches)


def _todo(con: Connection, sql: str, params: dict[str, object]) -> int:
    ((count,),) = con.execute(sql, params).fetchall()
    return int(count)
