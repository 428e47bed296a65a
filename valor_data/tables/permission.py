"""Who is to be left out: wishes to opt out, and what a recipe's policy on rights makes of what was stated."""

import json
from collections.abc import Collection

import pyarrow as pa

from valor_data import rights as policies
from valor_data.errors import Reason
from valor_data.recipe import Rights
from valor_data.records import Video
from valor_data.tables.engine import Connection, Engine

_SIGNALS = ("licence", "licence_evidence", "training", "training_evidence", "signals")
_WORDS = f"to_json(struct_pack({', '.join(f'{name} := v.{name}' for name in _SIGNALS)}))::VARCHAR"

_WISHES = """
SELECT video_id,
    CASE WHEN count(*) = count(channel_id) THEN 'its channel ' || min(channel_id)
        ELSE 'video ' || video_id END || ' has opted out' AS detail
FROM opted_out_videos GROUP BY video_id
"""

_REJECTED = f"""
SELECT $stage AS stage, c.clip_id, 'rejected' AS status, $reason AS reason, w.detail AS message,
    0 AS attempts, $made_by AS made_by
FROM (SELECT DISTINCT clip_id, video_id FROM clips_rows SEMI JOIN opted_out_videos USING (video_id)) AS c
JOIN ({_WISHES}) AS w USING (video_id)
LEFT JOIN (
    SELECT clip_id, arg_max_null(reason, made_at_us) AS reason FROM outcomes_rows
    WHERE stage = $stage GROUP BY clip_id
) AS s USING (clip_id)
WHERE s.reason IS DISTINCT FROM $reason
"""

# Very many videos state few different things: only those are judged, one by one.
_STATED = f"""
CREATE TEMP TABLE stated AS
SELECT c.clip_id, c.video_id, {_WORDS} AS words
FROM (SELECT DISTINCT clip_id, video_id FROM clips_rows WHERE {{which}}) AS c
LEFT JOIN videos AS v USING (video_id)
"""

_WISHED = """
CREATE TEMP TABLE stated AS
SELECT DISTINCT clip_id, video_id, NULL::VARCHAR AS words
FROM clips_rows SEMI JOIN opted_out_videos USING (video_id) WHERE {which}
"""

_BARRED = f"""
SELECT s.clip_id, CASE WHEN w.detail IS NULL THEN $not_permitted ELSE $opted_out END AS reason,
    coalesce(w.detail, j.detail) AS detail
FROM stated AS s LEFT JOIN ({_WISHES}) AS w USING (video_id) LEFT JOIN judged AS j USING (words)
WHERE w.detail IS NOT NULL OR j.detail IS NOT NULL
ORDER BY s.clip_id
"""

_ASKED_SINCE = """
SELECT video_id FROM videos_rows GROUP BY video_id HAVING max(made_at_us) >= $since_us
"""


def reject_opted_out(engine: Engine, stage: str, made_by: str) -> int:
    """Write the ledger's word on the clips whose owners opted out, where it says anything else yet; the
    number of new rows."""
    params = {"stage": stage, "made_by": made_by, "reason": Reason.OPTED_OUT.value}
    return engine.run(
        ["clips", "outcomes", "videos", "opt_outs"],
        lambda con: engine.write(con, "outcomes", _REJECTED, params),
    )


def barred(engine: Engine, rights: Rights, profile: str, clip_id: str | None = None) -> pa.Table:
    """Clips that may not be used, by `clip_id` with `reason` and `detail`: of those that have media of
    the profile, or the one that is named, whether or not it has any."""
    if clip_id is None:
        which, params = "clip_id IN (SELECT clip_id FROM media_rows WHERE profile = $of)", {"of": profile}
    else:
        which, params = "clip_id = $of", {"of": clip_id}

    def work(con: Connection) -> pa.Table:
        con.execute((_STATED if rights.asks else _WISHED).format(which=which), params)
        words = [said for (said,) in con.execute("SELECT DISTINCT words FROM stated").fetchall()]
        con.register("judged", _judged(rights, words if rights.asks else []))
        reasons = {"opted_out": Reason.OPTED_OUT.value, "not_permitted": Reason.NOT_PERMITTED.value}
        found: pa.Table = con.sql(_BARRED, params=reasons).to_arrow_table()
        return found

    return engine.run(["clips", "media", "videos", "opt_outs"], work)


def asked_since(engine: Engine, since_us: int) -> set[str]:
    """Videos whose platform was asked at or after a moment, microseconds since 1970 UTC."""
    batches = engine.stream(["videos"], _ASKED_SINCE, {"since_us": since_us})
    return {str(video) for batch in batches for video in batch["video_id"].to_pylist()}


def videos_at(engine: Engine, addresses: Collection[str]) -> dict[str, set[str]]:
    """The videos that lie at addresses, by address; those that no list names are absent."""

    def work(con: Connection) -> dict[str, set[str]]:
        con.register("wanted", pa.table({"url": pa.array(sorted(addresses), pa.string())}))
        found: dict[str, set[str]] = {}
        rows = con.execute("SELECT DISTINCT url, video_id FROM clips_rows SEMI JOIN wanted USING (url)")
        for url, video in rows.fetchall():
            found.setdefault(url, set()).add(video)
        return found

    return engine.run(["clips"], work) if addresses else {}


def _judged(rights: Rights, statements: list[str]) -> pa.Table:
    """Those statements that the policy refuses, each with why."""
    judged = {words: policies.refused(rights, _video(words)) for words in statements}
    refused = {words: why for words, why in judged.items() if why}
    return pa.table(
        {
            "words": pa.array(list(refused), pa.string()),
            "detail": pa.array(list(refused.values()), pa.string()),
        }
    )


def _video(words: str) -> Video:
    """A video of which only this is known."""
    stated = json.loads(words)
    return Video(video_id="", webpage_url="", extractor="", made_by="", **stated)
