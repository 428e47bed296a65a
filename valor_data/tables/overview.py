"""What a report tells of a workspace: counts of labels, splits and terms, and clips drawn to look at."""

from collections.abc import Collection
from typing import NamedTuple

import pyarrow as pa

from valor_data.records import TABLES, OptOut
from valor_data.tables.engine import Connection, Engine
from valor_data.tables.statistics import Statistics, counted

_LABELS = 30
"""Labels that are told of, the most frequent ones."""
_LONGEST = 2000
"""Letters of a caption that leave the tables."""

_STANDING = """
CREATE TEMP TABLE standing AS
SELECT c.clip_id, c.video_id, c.licence, s.split, coalesce(v.kept, false) AS kept, v.reason, v.detail,
    coalesce(t.captioned, false) AS captioned
FROM (
    SELECT clip_id, max_by(video_id, made_at_us) AS video_id, max_by(licence, made_at_us) AS licence
    FROM clips_rows GROUP BY clip_id
) AS c
LEFT JOIN (
    SELECT clip_id, max_by(split, made_at_us) AS split FROM splits_rows GROUP BY clip_id
) AS s USING (clip_id)
LEFT JOIN (
    SELECT v.clip_id, v.kept, v.reason, v.detail FROM verdicts AS v
    SEMI JOIN (FROM media WHERE profile = $profile) USING (clip_id) WHERE rules_digest = $rules_digest
) AS v USING (clip_id)
LEFT JOIN (SELECT DISTINCT clip_id, true AS captioned FROM told) AS t USING (clip_id)
ANTI JOIN hidden USING (clip_id)
"""

_WISH = OptOut.key
# Who is shown to nobody: by a wish, a takedown or a quarantine, and by what the caller knows.
_HIDDEN = """
CREATE TEMP TABLE hidden AS
SELECT clip_id FROM opted_out_clips UNION SELECT clip_id FROM quarantined_clips
UNION SELECT clip_id FROM retracted_clips UNION SELECT clip_id FROM barred
UNION SELECT clip_id FROM clips_rows WHERE video_id IN (
    SELECT value FROM wishes WHERE scope = 'video' UNION
    SELECT video_id FROM videos_rows WHERE channel_id IN (SELECT value FROM wishes WHERE scope = 'channel'))
"""

# Whether there is any caption is all that is asked of them here.
_SHOWN = """
CREATE TEMP TABLE shown AS
SELECT c.clip_id, c.video_id, c.start_ms, c.end_ms, c.labels, c.source, s.split, s.kept,
    if(s.captioned, [true], []) AS captions
FROM clips AS c JOIN standing AS s USING (clip_id)
"""

_LABELLED = """
SELECT label, count(*) AS clips, count(*) FILTER (kept) AS kept
FROM (SELECT DISTINCT clip_id, kept, unnest(labels) AS label FROM shown)
GROUP BY label ORDER BY clips DESC, label
"""

_SPLITS = """
SELECT coalesce(split, '') AS name, count(*) AS clips, count(*) FILTER (kept),
    count(*) FILTER (kept AND captioned)
FROM standing GROUP BY name
ORDER BY list_position(['train', 'val', 'test', ''], name)
"""

_LICENCES = """
SELECT coalesce(v.licence, s.licence, '') AS name, count(*) AS clips
FROM standing AS s LEFT JOIN videos AS v USING (video_id) WHERE kept
GROUP BY name ORDER BY clips DESC, name
"""

_ORIGINS = """
SELECT coalesce(m.origin, 'platform') AS name, count(*) AS clips
FROM media AS m SEMI JOIN standing USING (clip_id)
WHERE m.profile = $profile GROUP BY name ORDER BY clips DESC, name
"""

# The seed and nothing else says who is drawn. md5: DuckDB's own hash may change with its version.
_DRAWN = """
SELECT s.clip_id, s.kept, coalesce(s.reason, '') AS reason, coalesce(s.detail, '') AS detail,
    s.split, m.object_key, c.start_ms, c.end_ms, c.labels,
    (SELECT left(min_by(t.text, caption_id), $longest) FROM told AS t WHERE t.clip_id = s.clip_id) AS caption
FROM (
    FROM standing WHERE kept OR reason <> ''
    QUALIFY row_number() OVER (PARTITION BY kept, reason ORDER BY md5($seed || clip_id))
        <= if(kept, $kept, $rejected)
) AS s
JOIN shown AS c USING (clip_id) JOIN (FROM media WHERE profile = $profile) AS m USING (clip_id)
ORDER BY s.kept DESC, s.reason, md5($seed || s.clip_id)
"""


class Drawn(NamedTuple):
    """A clip to look at."""

    clip_id: str
    kept: bool
    reason: str
    """Why it is rejected; empty when kept."""
    detail: str
    split: str | None
    object_key: str
    start_ms: int
    end_ms: int
    labels: tuple[str, ...]
    caption: str | None
    """The first that a release may hold, cut to 2,000 letters."""


class Overview(NamedTuple):
    """The clips of a workspace that may be shown, for one profile and one set of rules."""

    statistics: Statistics
    labels: list[tuple[str, int, int]]
    """The most frequent: name, clips, and those of them that are kept."""
    label_count: int
    splits: list[tuple[str, int, int, int]]
    """Split (empty: none), clips, kept, kept with a caption."""
    licences: list[tuple[str, int]]
    """Licence as stated (empty: nothing is) and kept clips."""
    origins: list[tuple[str, int]]
    """Where the media came from, and clips."""
    drawn: list[Drawn]
    """Kept ones first, then by reason."""


class Asked(NamedTuple):
    """Whose overview, and how many clips to draw of it."""

    profile: str
    rules_digest: str
    checkers: int
    max_rejects: int
    seed: int
    kept: int
    """Clips to draw among the kept ones."""
    rejected: int
    """Clips to draw for each reason."""


def overview(engine: Engine, asked: Asked, barred: Collection[str], wishes: Collection[OptOut]) -> Overview:
    """All of it, without clips that were taken down, opted out or lie in quarantine, without the `barred`
    ones, and without those of `wishes` that the tables do not have yet."""

    def work(con: Connection) -> Overview:
        con.register("barred", pa.table({"clip_id": pa.array(sorted(barred), pa.string())}))
        given = {name: pa.array([getattr(wish, name) for wish in wishes], pa.string()) for name in _WISH}
        con.register("wishes", pa.table(given))
        rule = {"checkers": asked.checkers, "max_rejects": asked.max_rejects}
        con.execute("CREATE TEMP TABLE told AS FROM captions_accepted($checkers, $max_rejects)", rule)
        con.execute(_HIDDEN)
        con.execute(_STANDING, {"profile": asked.profile, "rules_digest": asked.rules_digest})
        con.execute("DELETE FROM told WHERE clip_id NOT IN (SELECT clip_id FROM standing)")
        con.execute(_SHOWN)
        labels = con.execute(_LABELLED).fetchall()
        drawn = con.execute(
            _DRAWN,
            {
                "seed": str(asked.seed),
                "kept": asked.kept,
                "rejected": asked.rejected,
                "profile": asked.profile,
                "longest": _LONGEST,
            },
        ).fetchall()
        return Overview(
            statistics=counted(con),
            labels=labels[:_LABELS],
            label_count=len(labels),
            splits=con.execute(_SPLITS).fetchall(),
            licences=con.execute(_LICENCES).fetchall(),
            origins=con.execute(_ORIGINS, {"profile": asked.profile}).fetchall(),
            drawn=[Drawn(*row)._replace(labels=tuple(row[8])) for row in drawn],
        )

    return engine.run(list(TABLES), work)
