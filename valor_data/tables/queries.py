"""What sharding and reporting ask of the tables, and what deciding writes."""

from collections.abc import Iterator

import pyarrow as pa

from valor_data.records import TABLES
from valor_data.tables.engine import Connection, Engine

_MEASURES = ("audio_measures", "video_measures", "av_measures", "speech_measures", "tag_measures")
"""Tables of measures that a release tells of; their columns join by clip_id."""
_KEYS = ("clip_id", "media_sha256", "made_by", "made_at_us")
_FUNNEL = (
    "clips", "lists", "opt_outs", "videos", "outcomes", "media", "audio_measures", "verdicts", "captions",
    "reviews", "caption_faults", "releases", "tombstones",
)  # fmt: skip
"""Tables that the funnel counts."""


RELEASABLE = """
        verdicts AS v
        JOIN clips AS c USING (clip_id)
        JOIN media AS m USING (clip_id)
        LEFT JOIN told AS t USING (clip_id)
        ANTI JOIN opted_out_videos AS o ON o.video_id = c.video_id
        ANTI JOIN quarantined_clips AS q ON q.clip_id = c.clip_id
        ANTI JOIN retracted_clips AS x ON x.clip_id = c.clip_id
        """
"""The clips that a release may hold, where `told` has those with a caption: to be joined, and then asked."""
MAY = """v.kept AND v.rules_digest = $rules_digest AND m.profile = $profile
          AND (t.clip_id IS NOT NULL OR NOT $require_caption)"""
"""What is asked of them."""


def save_verdicts(engine: Engine, verdicts: pa.Table, rules_digest: str, made_by: str) -> int:
    """Write those verdicts (`clip_id, kept, reason, detail`) that are not the newest of their clip already;
    their number. So the newest verdicts are those of the rules that were asked last."""
    # A hash stands for what a verdict says: 8 bytes a clip in place of its words.
    sql = """
        WITH standing AS (
            SELECT clip_id, max_by(hash(rules_digest, kept, reason, detail), made_at_us) AS said
            FROM verdicts_rows GROUP BY clip_id
        )
        SELECT n.clip_id, $digest AS rules_digest, n.kept, n.reason, n.detail, $made_by AS made_by
        FROM given AS n
        ANTI JOIN standing AS v
            ON v.clip_id = n.clip_id AND v.said = hash($digest, n.kept, n.reason, n.detail)
        """

    def work(con: Connection) -> int:
        con.register("given", verdicts)
        return engine.write(con, "verdicts", sql, {"digest": rules_digest, "made_by": made_by})

    return engine.run(["verdicts"], work)


def funnel(
    engine: Engine, profile: str, rules_digest: str, checkers: int, max_rejects: int
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Counts by the funnel's names, and for each stage its reasons with numbers of clips, most first."""

    def work(con: Connection) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        sql = "FROM funnel_of(?, ?, ?, ?)"
        (counts,) = (
            con.sql(sql, params=[profile, rules_digest, checkers, max_rejects]).to_arrow_table().to_pylist()
        )
        sql = "SELECT stage, reason, sum(clips)::BIGINT AS clips FROM reasons_of(?, ?) GROUP BY ALL"
        rows = con.execute(f"{sql} ORDER BY clips DESC, reason", [profile, rules_digest]).fetchall()
        reasons: dict[str, dict[str, int]] = {"fetch": {}, "measure": {}, "filter": {}}
        for stage, reason, clips in rows:
            reasons.setdefault(stage, {})[reason] = clips
        return counts, reasons

    return engine.run(_FUNNEL, work)


def releasable(
    engine: Engine,
    profile: str,
    rules_digest: str,
    checkers: int,
    max_rejects: int,
    require_caption: bool,
) -> Iterator[pa.RecordBatch]:
    """One row per kept clip that no owner opted out, nobody took down and that is not in quarantine, by
    clip_id: columns of clip and media, `measures` (a struct), `split` and `split_made_by` (null where none is
    set), `subsets` (names in a list), `captions` (a list of structs by caption_id)."""
    packed = ", ".join(f"{name} := {column}" for column, name in _measure_columns())
    sql = f"""
        WITH told AS (
            SELECT clip_id, list(struct_pack(
                caption_id := caption_id, text := text, author := author, origin := origin,
                language := language, modalities_seen := modalities_seen) ORDER BY caption_id) AS captions
            FROM captions_accepted($checkers, $max_rejects) GROUP BY clip_id
        )
        SELECT
            c.* EXCLUDE (made_by, made_at_us), m.* EXCLUDE (clip_id, made_by, made_at_us),
            struct_pack({packed}) AS measures,
            s.split, s.made_by AS split_made_by, coalesce(b.subsets, []) AS subsets,
            coalesce(t.captions, []) AS captions
        FROM {RELEASABLE}
        {_measure_joins()}
        LEFT JOIN splits AS s USING (clip_id)
        LEFT JOIN subsets_of_clips AS b ON b.clip_id = c.clip_id
        WHERE {MAY}
        ORDER BY c.clip_id
        """
    params = {
        "profile": profile,
        "rules_digest": rules_digest,
        "checkers": checkers,
        "max_rejects": max_rejects,
        "require_caption": require_caption,
    }
    return engine.stream_by_clip(sql, params)


def existing_objects(engine: Engine) -> set[str]:
    """Keys of the objects that a row of `media` or `derived` names."""
    sql = """
        SELECT object_key AS key FROM media_rows
        UNION SELECT unnest([object_key, sound_key]) FROM derived_rows
        """
    batches = engine.stream(["media", "derived"], f"FROM ({sql}) WHERE key IS NOT NULL")
    return {str(key) for batch in batches for key in batch["key"].to_pylist()}


def classes_heard(engine: Engine) -> list[str]:
    """Every class that a tagger kept of any clip."""
    batches = engine.stream(["tag_measures"], "SELECT DISTINCT unnest(tags) AS class FROM tag_measures_rows")
    return [str(name) for batch in batches for name in batch["class"].to_pylist()]


def _measure_columns() -> list[tuple[str, str]]:
    """(`<table>.<column>`, name) of every measure."""
    return [
        (f"{table}_now.{name}", name)
        for table in _MEASURES
        for name in TABLES[table].model_fields
        if name not in _KEYS
    ]


def _measure_joins() -> str:
    """Joins of the newest version's measures, of the very bytes in `media AS m`."""
    return "\n".join(
        f"""LEFT JOIN (
            FROM {table}
            QUALIFY row_number() OVER (
                PARTITION BY clip_id, media_sha256
                ORDER BY measurer_version(made_by) DESC, made_at_us DESC) = 1
        ) AS {table}_now ON {table}_now.clip_id = m.clip_id AND {table}_now.media_sha256 = m.sha256"""
        for table in _MEASURES
    )
