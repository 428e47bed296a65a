-- Views over the tables' views and over those of `newest.sql`.

-- Clips that nobody shall be shown, and why.
CREATE VIEW quarantined_clips AS
SELECT clip_id, string_agg(cause, ', ' ORDER BY cause) AS causes
FROM quarantine WHERE NOT lifted GROUP BY clip_id;

-- The subsets that each clip stands in.
CREATE VIEW subsets_of_clips AS
SELECT clip_id, list(subset ORDER BY subset) AS subsets FROM subset_members WHERE member GROUP BY clip_id;

-- Captions that a release may hold: imported ones, and our annotators' once enough checkers have
-- seen them as they stand and few enough said no (a fix is a yes, and its text counts). Never a model's, never
-- a deleted one, never one whose text goes back to an annotator.
CREATE MACRO captions_accepted(checkers, max_rejects) AS TABLE
SELECT c.* REPLACE (coalesce(r.fixed, c.text) AS text)
FROM captions AS c
LEFT JOIN (
    SELECT caption_id, revision, count(*) AS reviews, count(*) FILTER (decision = 'reject') AS rejects,
        max_by(text, made_at_us) FILTER (decision = 'fix' AND text <> '') AS fixed
    FROM reviews WHERE NOT deleted GROUP BY caption_id, revision
) AS r USING (caption_id, revision)
ANTI JOIN (FROM caption_faults WHERE sends_back) AS f USING (caption_id, revision)
WHERE NOT c.deleted
  AND (c.origin = 'imported'
       OR (c.origin = 'human' AND coalesce(r.reviews, 0) >= checkers AND coalesce(r.rejects, 0) <= max_rejects));

-- The same by a recipe's defaults: one checker, no rejection.
CREATE VIEW releasable_captions AS
FROM captions_accepted(1, 0);

-- The funnel of one profile and one set of rules, in one row.
CREATE MACRO funnel_of(of_profile, of_rules, checkers, max_rejects) AS TABLE
WITH
own_media AS (FROM media ANTI JOIN opted_out_clips USING (clip_id) WHERE profile = of_profile),
own_fetches AS (FROM outcomes WHERE stage = 'fetch/' || of_profile),
own_measures AS (
    SELECT DISTINCT a.clip_id FROM audio_measures AS a
    JOIN own_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
),
judged AS (FROM verdicts SEMI JOIN own_measures USING (clip_id) WHERE rules_digest = of_rules),
current_lists AS (FROM lists QUALIFY row_number() OVER (PARTITION BY name ORDER BY made_at_us DESC) = 1),
accepted AS (FROM captions_accepted(checkers, max_rejects))
SELECT
    (SELECT count(*) FROM clips) AS listed,
    (SELECT coalesce(sum(duplicates), 0)::BIGINT FROM current_lists) AS duplicate,
    (SELECT coalesce(sum(bad_rows), 0)::BIGINT FROM current_lists) AS bad_rows,
    (SELECT count(*) FROM own_media) AS fetched,
    (SELECT count(*) FROM own_fetches WHERE status = 'failed') AS failed,
    (SELECT count(*) FROM own_fetches WHERE status = 'rejected' AND reason IS DISTINCT FROM 'retracted')
        AS unavailable,
    (SELECT count(*) FROM own_measures) AS measured,
    (SELECT count(*) FROM judged WHERE kept) AS kept,
    (SELECT count(*) FROM judged WHERE NOT kept) AS rejected,
    (SELECT count(*) FROM judged SEMI JOIN accepted USING (clip_id) WHERE kept) AS captioned,
    (SELECT count(*) FROM accepted) AS accepted,
    (SELECT coalesce(max_by(clips, made_at_us), 0)::BIGINT FROM releases) AS released,
    (SELECT count(*) FROM tombstones WHERE scope = 'clip') AS retracted;

-- Why clips are not there, for one profile and one set of rules.
CREATE MACRO reasons_of(of_profile, of_rules) AS TABLE
SELECT
    split_part(split_part(stage, '/', 1), '@', 1) AS stage, status, coalesce(reason, 'unknown') AS reason,
    count(DISTINCT clip_id) AS clips
FROM outcomes
WHERE status <> 'ok' AND split_part(stage, '/', 2) = of_profile
GROUP BY ALL
UNION ALL
SELECT 'filter', 'rejected', reason, count(*)
FROM verdicts
SEMI JOIN (
    SELECT a.clip_id FROM audio_measures AS a
    JOIN media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256 AND m.profile = of_profile
) AS seen USING (clip_id)
ANTI JOIN opted_out_clips USING (clip_id)  -- the ledger tells of them
WHERE rules_digest = of_rules AND NOT kept
GROUP BY reason;

-- The funnel of what was worked on last.
CREATE VIEW funnel AS
FROM funnel_of(
    (SELECT max_by(split_part(stage, '/', 2), made_at_us) FROM newest_fetches),
    (SELECT max_by(rules_digest, made_at_us) FROM verdicts), 1, 0);

CREATE VIEW reasons AS
FROM reasons_of(
    (SELECT max_by(split_part(stage, '/', 2), made_at_us) FROM newest_fetches),
    (SELECT max_by(rules_digest, made_at_us) FROM verdicts));

-- One row a clip with all that is known of it; `caption` and `captions` are those that a release may hold, in the
-- form of a release's own catalog.
CREATE VIEW catalog AS
WITH told AS (
    SELECT clip_id, list(struct_pack(
        caption_id := caption_id, text := text, author := author, origin := origin,
        language := language, modalities_seen := modalities_seen) ORDER BY caption_id) AS captions
    FROM releasable_captions GROUP BY clip_id
)
SELECT
    c.clip_id,
    format('{}_{}.{:03d}_{}.{:03d}', c.video_id,
        c.start_ms // 1000, c.start_ms % 1000, c.end_ms // 1000, c.end_ms % 1000) AS official_id,
    c.source, c.video_id, c.start_ms, c.end_ms, c.url, c.labels, c.licence,
    s.split, coalesce(u.subsets, []) AS subsets,
    t.captions[1].text AS caption, coalesce(t.captions, []) AS captions,
    v.kept, v.reason AS verdict_reason, v.detail AS verdict_detail,
    q.clip_id IS NOT NULL AS quarantined, q.causes AS quarantined_for,
    o.clip_id IS NOT NULL AS opted_out,
    f.status AS fetch_status, f.reason AS fetch_reason, f.message AS fetch_message,
    m.* EXCLUDE (clip_id, made_by, made_at_us),
    a.* EXCLUDE (clip_id, made_by, made_at_us, media_sha256, duration_ms, channels, sample_rate),
    a.duration_ms AS audio_duration_ms,
    p.* EXCLUDE (clip_id, made_by, made_at_us, media_sha256),
    b.* EXCLUDE (clip_id, made_by, made_at_us, media_sha256),
    h.* EXCLUDE (clip_id, made_by, made_at_us, media_sha256),
    g.* EXCLUDE (clip_id, made_by, made_at_us, media_sha256),
    e.nsfw_score, e.text_share,
    n.representative AS duplicate_of,
    d.title, d.channel_id, d.upload_date, d.licence AS platform_licence, d.duration_ms AS video_duration_ms
FROM clips AS c
LEFT JOIN newest_media AS m USING (clip_id)
LEFT JOIN newest_fetches AS f USING (clip_id)
LEFT JOIN current_audio AS a USING (clip_id)
LEFT JOIN current_video AS p USING (clip_id)
LEFT JOIN current_av AS b USING (clip_id)
LEFT JOIN current_speech AS h USING (clip_id)
LEFT JOIN current_tag AS g USING (clip_id)
LEFT JOIN current_safety AS e USING (clip_id)
LEFT JOIN neighbours AS n ON n.clip_id = c.clip_id AND n.kind = 'both' AND n.representative <> c.clip_id
LEFT JOIN quarantined_clips AS q ON q.clip_id = c.clip_id
LEFT JOIN opted_out_clips AS o ON o.clip_id = c.clip_id
LEFT JOIN newest_verdicts AS v USING (clip_id)
LEFT JOIN splits AS s USING (clip_id)
LEFT JOIN subsets_of_clips AS u ON u.clip_id = c.clip_id
LEFT JOIN told AS t USING (clip_id)
LEFT JOIN videos AS d USING (video_id)
ANTI JOIN retracted_clips AS x ON x.clip_id = c.clip_id;
