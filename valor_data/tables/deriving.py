"""What is derived of the media of releasable clips, and what is not."""

from collections.abc import Iterator

import pyarrow as pa

from valor_data.recipe import Recipe
from valor_data.records import TABLES, Media
from valor_data.tables.engine import Connection, Engine, batches
from valor_data.tables.queries import MAY, RELEASABLE
from valor_data.tables.typed import records

# A row whose object the ledger knows to be gone since stands for nothing.
_UNDERIVED = f"""
CREATE TEMP TABLE todo AS
WITH told AS (
    SELECT DISTINCT clip_id FROM captions_accepted($checkers, $max_rejects)
), ended AS (
    SELECT clip_id, max(made_at_us) AS made_at_us, max_by(status, made_at_us) AS status
    FROM outcomes_rows WHERE stage = $stage GROUP BY clip_id
), done AS (
    SELECT d.clip_id, d.media_sha256 AS sha256
    FROM derived AS d LEFT JOIN ended AS e USING (clip_id)
    WHERE d.profile = $derived AND (coalesce(e.status, 'ok') = 'ok' OR e.made_at_us < d.made_at_us)
)
SELECT w.clip_id, w.made_at_us
FROM (SELECT m.clip_id, m.sha256, m.made_at_us FROM {RELEASABLE} WHERE {MAY}) AS w
ANTI JOIN done AS d ON d.clip_id = w.clip_id AND d.sha256 = w.sha256
ANTI JOIN ended AS e ON e.clip_id = w.clip_id AND e.made_at_us > w.made_at_us AND e.status = 'rejected'
"""

_BY_CLIP = """
SELECT m.* FROM media_rows AS m JOIN todo AS t USING (clip_id, made_at_us)
WHERE m.profile = $profile ORDER BY m.clip_id
"""

_DERIVED = """
SELECT d.* EXCLUDE (made_by, made_at_us),
    CASE WHEN d.sha256 IS NOT NULL THEN 'h264' END AS video_codec,
    CASE WHEN d.sound_sha256 IS NOT NULL THEN 'flac' END AS audio_codec,
    CASE WHEN d.sound_sha256 IS NOT NULL THEN 1::BIGINT END AS channels,
    CASE WHEN d.sha256 IS NOT NULL AND d.sound_sha256 IS NOT NULL THEN 0::DOUBLE END AS av_skew_ms
FROM derived AS d JOIN media AS m ON m.clip_id = d.clip_id AND m.sha256 = d.media_sha256
WHERE d.profile = $derived AND m.profile = $profile ORDER BY d.clip_id
"""


def underived(engine: Engine, recipe: Recipe, stage: str) -> tuple[int, Iterator[Media]]:
    """Media of the clips that a release may hold, from whose very bytes the recipe's `train` media are not
    made, and which the stage has not rejected since they were fetched: their number, and they by clip."""
    params: dict[str, object] = {
        "profile": recipe.profile,
        "rules_digest": recipe.rules_digest,
        "checkers": recipe.review.checkers,
        "max_rejects": recipe.review.max_rejects,
        "require_caption": recipe.shard.require_caption,
        "derived": recipe.derived_profile,
        "stage": stage,
    }

    def prepare(con: Connection) -> int:
        ((count,),) = con.execute(_UNDERIVED, params).fetchall()
        return int(count)

    count, found = engine.open(
        list(TABLES), prepare, lambda con: batches(con, _BY_CLIP, {"profile": recipe.profile})
    )
    return count, records(Media, found)


def derived(engine: Engine, recipe: Recipe) -> pa.Table:
    """What is derived of the current media by the recipe's settings, by clip: columns of `Derived`, and what
    else `Media` tells of a file."""

    def work(con: Connection) -> pa.Table:
        params = {"derived": recipe.derived_profile, "profile": recipe.profile}
        found: pa.Table = con.sql(_DERIVED, params=params).to_arrow_table()
        return found

    return engine.run(["derived", "media"], work)
