"""Which clips of which list are to be had, and why the others are not."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pyarrow as pa

from valor_data.errors import Reason
from valor_data.tables.engine import Connection, Engine, batches

_HELD = "250MB"
"""What the query may hold: the rows' strings come on top while they are written."""

# Clips of a workspace from before there was `list_members` count for the list that made or changed them.
_MEMBERS = """
CREATE TEMP VIEW members AS
SELECT list_name AS list, split, clip_id FROM list_members
UNION ALL
SELECT regexp_replace(c.made_by, '^list:', ''), s.split, c.clip_id
FROM clips AS c LEFT JOIN splits AS s USING (clip_id) ANTI JOIN list_members_rows USING (clip_id)
"""

_STATES = """
CREATE TEMP TABLE states AS
WITH ended AS (
    SELECT clip_id, max(made_at_us) AS at_us, max_by(status, made_at_us) AS status,
        arg_max_null(reason, made_at_us) AS reason
    FROM outcomes_rows WHERE stage = 'fetch/' || $profile GROUP BY clip_id
), kept AS (
    SELECT clip_id, max(made_at_us) AS at_us, arg_max_null(origin, made_at_us) AS origin
    FROM media_rows WHERE profile = $profile GROUP BY clip_id
), told AS (
    SELECT c.clip_id, e.reason, coalesce(k.origin, 'platform') AS origin,
        coalesce(e.at_us, k.at_us) AS at_us,
        CASE WHEN o.clip_id IS NOT NULL THEN 'missing'
             WHEN k.clip_id IS NOT NULL AND (e.clip_id IS NULL OR e.status = 'ok' OR e.at_us < k.at_us)
                 THEN 'available'
             WHEN e.clip_id IS NULL THEN 'not_tried'
             ELSE 'missing' END AS state,
        o.clip_id IS NOT NULL AS is_opted_out
    FROM (SELECT DISTINCT clip_id FROM clips_rows) AS c
    LEFT JOIN ended AS e USING (clip_id) LEFT JOIN kept AS k USING (clip_id)
    LEFT JOIN opted_out_clips AS o USING (clip_id)
), reasoned AS (
    SELECT clip_id, state, at_us, CASE WHEN state = 'available' THEN origin END AS origin,
        CASE WHEN is_opted_out THEN $opted_out
             WHEN state = 'missing' THEN coalesce(reason, $unknown) END AS reason
    FROM told
)
SELECT r.clip_id, r.state, r.reason, coalesce(n.kind, CASE WHEN r.reason IS NOT NULL THEN $unknown END)
    AS kind, strftime(make_timestamp(r.at_us), '%Y-%m-%dT%H:%M:%SZ') AS checked_at, r.origin
FROM reasoned AS r LEFT JOIN kinds AS n USING (reason)
"""

_ROWS = """
SELECT m.list, m.split, m.clip_id, c.video_id, c.start_ms, c.end_ms, s.state, s.reason, s.kind,
    s.checked_at, s.origin
FROM members AS m JOIN clips AS c USING (clip_id) JOIN states AS s USING (clip_id)
ORDER BY m.list, m.split NULLS LAST, m.clip_id
"""

_GROUPS = """
SELECT m.list, m.split, s.state, s.reason, s.kind, count(*) AS clips,
    min(s.checked_at) AS first_checked, max(s.checked_at) AS last_checked
FROM members AS m JOIN states AS s USING (clip_id)
GROUP BY ALL ORDER BY m.list, m.split NULLS LAST, s.state, clips DESC, s.reason
"""


class Group(NamedTuple):
    """Clips of one list and split that stand alike."""

    list: str
    split: str | None
    state: str
    """`available`, `missing` or `not_tried`."""
    reason: str | None
    kind: str | None
    clips: int
    first_checked: str | None
    """ISO 8601 in UTC; None where nobody has tried."""
    last_checked: str | None


class Availability(NamedTuple):
    """How a dataset stands, for one profile."""

    counts: dict[str, int]
    """State -> clips; a clip of two lists counts once."""
    groups: list[Group]
    """By list, split and state, the largest first."""
    rows: Iterator[pa.RecordBatch]
    """One row a list and clip, by list, split and clip; at least one batch."""


def availability(engine: Engine, profile: str) -> Availability:
    """What of every list is there. The same tables give the same rows."""

    def produce(con: Connection) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist([], schema=con.sql(f"{_ROWS} LIMIT 0").to_arrow_table().schema)
        yield from batches(con, _ROWS)

    (counts, groups), rows = engine.open(_TABLES, partial(_prepare, profile), produce, memory=_HELD)
    return Availability(counts, groups, rows)


def standing(engine: Engine, profile: str) -> tuple[dict[str, int], list[Group]]:
    """The counts and groups alone."""
    return engine.run(_TABLES, partial(_prepare, profile))


def _prepare(profile: str, con: Connection) -> tuple[dict[str, int], list[Group]]:
    con.register("kinds", _kinds())
    con.execute(_MEMBERS)
    params = {"profile": profile, "opted_out": Reason.OPTED_OUT.value, "unknown": Reason.UNKNOWN.value}
    con.execute(_STATES, params)
    found = con.execute("SELECT state, count(*) FROM states GROUP BY state").fetchall()
    counts = {"available": 0, "missing": 0, "not_tried": 0, **dict(found)}
    return counts, [Group(*row) for row in con.execute(_GROUPS).fetchall()]


_TABLES = ("clips", "list_members", "splits", "outcomes", "media", "videos", "opt_outs")


def _kinds() -> pa.Table:
    return pa.table(
        {
            "reason": pa.array([reason.value for reason in Reason], pa.string()),
            "kind": pa.array([reason.kind.value for reason in Reason], pa.string()),
        }
    )
