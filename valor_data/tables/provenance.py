"""Who stands behind the clips of a release, and what is known to be wrong with them."""

from typing import NamedTuple

import pyarrow as pa

from valor_data.tables.engine import Connection, Engine

_TABLES = (
    "videos", "captions", "reviews", "caption_faults", "label_tasks", "answers", "qualifications", "leaks",
    "lists",
)  # fmt: skip
_LICENCES = """
SELECT coalesce(v.licence, ''), count(*) FROM (SELECT DISTINCT video_id FROM clips_of) AS c
LEFT JOIN videos AS v USING (video_id) GROUP BY ALL ORDER BY 2 DESC, 1
"""
_OWN = """
CREATE TEMP TABLE own AS
SELECT c.caption_id, c.revision, c.origin, c.author FROM captions AS c
SEMI JOIN (SELECT unnest(captions).caption_id AS caption_id FROM clips_of) AS t USING (caption_id)
"""
_FAULTS = """
SELECT fault, count(*) FROM (
    SELECT unnest(f.faults) AS fault FROM caption_faults AS f JOIN own USING (caption_id, revision)
) GROUP BY fault ORDER BY 2 DESC, 1
"""
# Bad is what at least half of those who audit a caption reject, as in `annotate agreement`.
_AUDIT = """
WITH said AS (
    SELECT o.caption_id, count(*) AS checks, count(*) FILTER (a.verdict = 'reject') AS rejects
    FROM own AS o
    JOIN label_tasks AS t ON t.caption_id = o.caption_id AND t.revision = o.revision AND t.kind = 'audit'
    JOIN answers AS a ON a.task_id = t.task_id
    WHERE NOT a.deleted AND a.verdict <> '' AND NOT list_contains(string_split(t.not_for, ','), a.annotator)
    GROUP BY o.caption_id
)
SELECT count(*), count(*) FILTER (2 * rejects >= checks) FROM said
"""
_REVIEWS = """
SELECT count(*), count(DISTINCT reviewer) FROM reviews JOIN own USING (caption_id, revision) WHERE NOT deleted
"""
_LEAKS = """
SELECT benchmark, count(*) FROM leaks SEMI JOIN clips_of USING (clip_id) WHERE how <> 'none'
GROUP BY benchmark ORDER BY 1
"""


class Provenance(NamedTuple):
    """Counts over the clips of one release."""

    lists: tuple[str, ...]
    """Names of the segment lists of the workspace."""
    licences: dict[str, int]
    """Licence as the platform claims it -> videos, most first; an empty name: nobody stated one."""
    human_captions: int
    """Captions of our annotators."""
    annotators: int
    """Pseudonyms of those who wrote them."""
    reviews: int
    """Checks of the captions as they stand."""
    reviewers: int
    tested: int
    """People who took the test before the work; 0: there was none."""
    passed: int
    audited: int
    """Captions of our annotators that were looked at once more, at random."""
    bad: int
    """Of those."""
    faults: dict[str, int]
    """Kind of fault in a text -> captions; of captions that were checked."""
    leaks: dict[str, int]
    """Benchmark -> clips of the release that stand in it too."""


def provenance(engine: Engine, clips: pa.Table) -> Provenance:
    """What the tables know of a release's clips: `clip_id`, `video_id`, and `captions` with their ids."""

    def work(con: Connection) -> Provenance:
        con.register("clips_of", clips.select(["clip_id", "video_id", "captions"]))
        con.execute(_OWN)

        def counts(sql: str) -> dict[str, int]:
            return {str(name): int(count) for name, count in con.execute(sql).fetchall()}

        def numbers(sql: str) -> tuple[int, int]:
            ((first, second),) = con.execute(sql).fetchall()
            return int(first), int(second)

        lists = con.execute("SELECT DISTINCT name FROM lists ORDER BY name").fetchall()
        human, annotators = numbers("SELECT count(*), count(DISTINCT author) FROM own WHERE origin = 'human'")
        reviews, reviewers = numbers(_REVIEWS)
        tested, passed = numbers("SELECT count(*), count(*) FILTER (passed) FROM qualifications")
        audited, bad = numbers(_AUDIT)
        return Provenance(
            lists=tuple(name for (name,) in lists),
            licences=counts(_LICENCES),
            human_captions=human,
            annotators=annotators,
            reviews=reviews,
            reviewers=reviewers,
            tested=tested,
            passed=passed,
            audited=audited,
            bad=bad,
            faults=counts(_FAULTS),
            leaks=counts(_LEAKS),
        )

    return engine.run(list(_TABLES), work)
