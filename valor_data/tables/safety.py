"""What stands against showing clips to anybody, as numbers, and what was made of them before."""

import pyarrow as pa

from valor_data.tables.engine import Connection, Engine

# Of the current bytes the recipe's own numbers, else the newest; a clip that nobody looked at yet has its
# digest all the same.
_NUMBERS = """
WITH looked AS (
    SELECT clip_id, media_sha256,
        max_by(struct_pack(nsfw_score, text_share, pdq_hashes, md5), (made_by = $made_by, made_at_us)) AS told
    FROM safety_measures_rows GROUP BY ALL
)
SELECT m.clip_id, m.sha256, s.clip_id IS NOT NULL AS looked_at,
    s.told.nsfw_score, s.told.text_share, s.told.pdq_hashes, s.told.md5
FROM media AS m LEFT JOIN looked AS s ON s.clip_id = m.clip_id AND s.media_sha256 = m.sha256
WHERE m.profile = $profile ORDER BY m.clip_id
"""


def safety(engine: Engine, profile: str, made_by: str) -> pa.Table:
    """By clip_id, for all media of a profile: `sha256, looked_at` (whether anybody measured these bytes),
    `nsfw_score, text_share, pdq_hashes, md5`. `made_by`: whose numbers count before others'."""

    def work(con: Connection) -> pa.Table:
        found: pa.Table = con.sql(_NUMBERS, params={"profile": profile, "made_by": made_by}).to_arrow_table()
        return found

    return engine.run(["media", "safety_measures"], work)
