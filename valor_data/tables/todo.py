"""What is missing or stale: the items of fetching and of measuring."""

from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from valor_data.errors import Reason
from valor_data.records import Clip, Media
from valor_data.tables.engine import Connection, Engine, batches
from valor_data.tables.typed import records

_HELD = "250MB"
"""What a scan may hold: it stays open beside the workers for as long as the stage runs."""

# Only ids are kept of what is to do: rows are read again when they are handed out, in order.
_UNFETCHED = """
CREATE TEMP TABLE todo AS
WITH seen AS (
    SELECT clip_id, max_by(status, made_at_us) AS status, max(made_at_us) AS ended_at_us,
        arg_max_null(reason, made_at_us) AS reason
    FROM outcomes_rows WHERE stage = $stage GROUP BY clip_id
), newest AS (
    SELECT clip_id, max(made_at_us) AS made_at_us
    FROM clips_rows ANTI JOIN opted_out_videos USING (video_id) ANTI JOIN retracted_clips USING (clip_id)
    GROUP BY clip_id
)
SELECT c.clip_id, c.made_at_us
FROM newest AS c LEFT JOIN seen AS s USING (clip_id)
WHERE s.clip_id IS NULL
   OR (s.status <> 'ok' AND (s.reason IS NULL OR list_contains($again, s.reason)))
   OR (s.status = 'rejected' AND s.ended_at_us < c.made_at_us)  -- a list has changed the clip since
"""

_BY_VIDEO = """
SELECT c.* FROM clips_rows AS c JOIN todo AS t USING (clip_id, made_at_us)
ORDER BY c.video_id, c.start_ms, c.end_ms
"""

# A video bothers the host of its first clip's address.
_BY_HOST = f"""
WITH by_video AS (
    SELECT video_id, min_by(url, start_ms) AS url, count(*) AS clips, sum(end_ms - start_ms) AS span_ms
    FROM ({_BY_VIDEO} LIMIT {{limit}}) GROUP BY video_id
)
SELECT regexp_extract(url, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)', 1) AS host,
    count(*) AS videos, sum(clips)::BIGINT AS clips, sum(span_ms)::BIGINT AS span_ms
FROM by_video GROUP BY host ORDER BY videos DESC, host
"""

_SIZES = """
SELECT count(*), coalesce(sum(duration_ms), 0)::BIGINT, coalesce(sum(bytes), 0)::BIGINT,
    coalesce(sum(duration_ms) FILTER (bytes_read IS NOT NULL), 0)::BIGINT,
    coalesce(sum(bytes_read), 0)::BIGINT
FROM media_rows WHERE profile = ?
"""

# A hash stands for the sha256: 8 bytes a clip in place of 64 letters. A bit stands for a measurer.
_UNMEASURED = """
CREATE TEMP TABLE todo AS
WITH newest AS (
    SELECT clip_id, max(made_at_us) AS made_at_us, max_by(hash(sha256), made_at_us) AS sha
    FROM media_rows ANTI JOIN opted_out_clips USING (clip_id) WHERE profile = $profile GROUP BY clip_id
), seen AS (
    SELECT clip_id, sha, bit_or(measurer) AS measurers FROM ({seen}) GROUP BY ALL
), unmeasured AS (
    SELECT n.clip_id, n.made_at_us, xor($all, coalesce(s.measurers, 0)) AS missing
    FROM newest AS n LEFT JOIN seen AS s USING (clip_id, sha) WHERE missing <> 0
), ended AS (
    SELECT clip_id, max(made_at_us) AS made_at_us, max_by(status, made_at_us) AS status
    FROM outcomes_rows SEMI JOIN unmeasured USING (clip_id) WHERE stage = $stage GROUP BY clip_id
)
SELECT u.clip_id, u.made_at_us, u.missing
FROM unmeasured AS u
ANTI JOIN ended AS e ON e.clip_id = u.clip_id AND e.made_at_us > u.made_at_us AND e.status = 'rejected'
"""

# Only who measured last has measured: after two models the first one's words would not be the newest.
_SEEN_BY = """
SELECT clip_id, max_by(hash(media_sha256), made_at_us) AS sha, {bit}::BIGINT AS measurer
FROM {table}_rows GROUP BY clip_id HAVING max_by(made_by, made_at_us) = {by}
"""

_BY_CLIP = """
SELECT m.*, t.missing FROM media_rows AS m JOIN todo AS t USING (clip_id, made_at_us)
WHERE m.profile = $profile ORDER BY m.clip_id
"""


class HostWork(NamedTuple):
    """What is to fetch from one host."""

    host: str
    """Host of the clips' addresses, with its port where they give one; empty for what has no host."""
    videos: int
    clips: int
    span_ms: int
    """Asked length of all clips together."""


class Sizes(NamedTuple):
    """What the clips of a profile took so far."""

    clips: int
    kept_ms: int
    bytes_kept: int
    read_ms: int
    """Length of the clips of which it is known what was read for them."""
    bytes_read: int


def unfetched(engine: Engine, stage: str, again: Collection[Reason]) -> tuple[int, Iterator[list[Clip]]]:
    """Clips that the stage has not seen, that it lost for a reason of `again`, or that it rejected before
    a list changed them, without those of opted-out videos and those taken down: their number, and by video
    all clips of it in
    one list."""
    params = _unfetched_params(stage, again)
    count, found = engine.open(
        _TO_FETCH,
        lambda con: _todo(con, _UNFETCHED, params),
        lambda con: batches(con, _BY_VIDEO),
        memory=_HELD,
    )
    by_video = groupby(records(Clip, found), key=lambda clip: clip.video_id)
    return count, (list(clips) for _, clips in by_video)


def work_by_host(
    engine: Engine, stage: str, again: Collection[Reason], limit: int | None
) -> tuple[int, list[HostWork]]:
    """The number of clips that `unfetched` would give, and what that means for each host; with `limit`
    only of the first so many."""
    params = _unfetched_params(stage, again)

    def work(con: Connection) -> tuple[int, list[HostWork]]:
        count = _todo(con, _UNFETCHED, params)
        asked = count if limit is None else min(limit, count)
        rows = con.execute(_BY_HOST.format(limit=asked)).fetchall()
        return asked, [HostWork(*row) for row in rows]

    return engine.run(_TO_FETCH, work)


def sizes(engine: Engine, profile: str) -> Sizes:
    """What fetching this profile took so far."""

    def work(con: Connection) -> Sizes:
        return Sizes(*con.execute(_SIZES, [profile]).fetchall()[0])

    return engine.run(["media"], work)


def unmeasured(
    engine: Engine, profile: str, measurers: Mapping[str, str], stage: str
) -> tuple[int, Iterator[tuple[Media, tuple[str, ...]]]]:
    """Media of a profile whose very bytes some of the `measurers` (`made_by` -> table) have not measured,
    and which the stage has not rejected since they were made, without those of opted-out videos: their
    number, and each with the `made_by` of those measurers."""
    names = list(measurers)
    sql, params, tables = _unmeasured(profile, measurers, stage)
    count, found = engine.open(
        tables,
        lambda con: _todo(con, sql, params),
        lambda con: batches(con, _BY_CLIP, {"profile": profile}),
        memory=_HELD,
    )

    def rows() -> Iterator[tuple[Media, tuple[str, ...]]]:
        for batch in found:
            missing = batch["missing"].to_numpy()
            for media, bits in zip(records(Media, [batch]), missing, strict=True):
                yield media, tuple(name for bit, name in enumerate(names) if int(bits) >> bit & 1)

    return count, rows()


def count_unmeasured(engine: Engine, profile: str, measurers: Mapping[str, str], stage: str) -> int:
    """How many `unmeasured` would give."""
    sql, params, tables = _unmeasured(profile, measurers, stage)
    return engine.run(tables, lambda con: _todo(con, sql, params))


def _unmeasured(
    profile: str, measurers: Mapping[str, str], stage: str
) -> tuple[str, dict[str, object], list[str]]:
    """The query, its parameters, and the tables that it reads."""
    by = {f"by{bit}": name for bit, name in enumerate(measurers)}
    params: dict[str, object] = {"profile": profile, "stage": stage, "all": 2 ** len(by) - 1, **by}
    seen = " UNION ALL ".join(
        _SEEN_BY.format(bit=2**bit, table=table, by=f"$by{bit}")
        for bit, table in enumerate(measurers.values())
    )
    tables = ["media", "outcomes", "clips", "videos", "opt_outs", *dict.fromkeys(measurers.values())]
    return _UNMEASURED.format(seen=seen), params, tables


_TO_FETCH = ("clips", "outcomes", "videos", "opt_outs", "tombstones")


def _unfetched_params(stage: str, again: Collection[Reason]) -> dict[str, object]:
    return {"stage": stage, "again": [reason.value for reason in again]}


def _todo(con: Connection, sql: str, params: dict[str, object]) -> int:
    ((count,),) = con.execute(sql, params).fetchall()
    return int(count)
