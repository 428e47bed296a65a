-- Views of a valor-data workspace, made from the records by `make schemas`; do not edit.
--
-- To use them in plain DuckDB, first name the parts of the tables that your workspace has, such as
--   CREATE VIEW clips_parts AS FROM read_parquet('<workspace>/tables/clips/*.parquet', union_by_name = true);
-- then read this file. Every table has a view of its latest rows and one, <table>_rows, of all. A table
-- without parts is empty. After a compaction that was cut short a row may stand in two parts: the view of
-- the latest rows shows it once.

CREATE VIEW IF NOT EXISTS clips_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS source, NULL::VARCHAR AS video_id, NULL::BIGINT AS start_ms, NULL::BIGINT AS end_ms, NULL::VARCHAR AS url, NULL::VARCHAR[] AS labels, NULL::VARCHAR AS licence, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW clips_rows AS SELECT * REPLACE (coalesce(labels, []) AS labels) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS source, NULL::VARCHAR AS video_id, NULL::BIGINT AS start_ms, NULL::BIGINT AS end_ms, NULL::VARCHAR AS url, NULL::VARCHAR[] AS labels, NULL::VARCHAR AS licence, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM clips_parts);
CREATE VIEW clips AS FROM clips_rows
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS lists_parts AS SELECT NULL::VARCHAR AS list_id, NULL::VARCHAR AS name, NULL::VARCHAR AS form, NULL::BIGINT AS rows, NULL::BIGINT AS clips, NULL::BIGINT AS duplicates, NULL::BIGINT AS bad_rows, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW lists_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS list_id, NULL::VARCHAR AS name, NULL::VARCHAR AS form, NULL::BIGINT AS rows, NULL::BIGINT AS clips, NULL::BIGINT AS duplicates, NULL::BIGINT AS bad_rows, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM lists_parts);
CREATE VIEW lists AS FROM lists_rows
QUALIFY row_number() OVER (PARTITION BY list_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS list_members_parts AS SELECT NULL::VARCHAR AS list_name, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS split, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW list_members_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS list_name, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS split, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM list_members_parts);
CREATE VIEW list_members AS FROM list_members_rows
QUALIFY row_number() OVER (PARTITION BY list_name, clip_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS bad_rows_parts AS SELECT NULL::VARCHAR AS list_id, NULL::BIGINT AS line, NULL::VARCHAR AS reason, NULL::VARCHAR AS text, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW bad_rows_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS list_id, NULL::BIGINT AS line, NULL::VARCHAR AS reason, NULL::VARCHAR AS text, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM bad_rows_parts);
CREATE VIEW bad_rows AS FROM bad_rows_rows
QUALIFY row_number() OVER (PARTITION BY list_id, line ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS opt_outs_parts AS SELECT NULL::VARCHAR AS scope, NULL::VARCHAR AS value, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW opt_outs_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS scope, NULL::VARCHAR AS value, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM opt_outs_parts);
CREATE VIEW opt_outs AS FROM opt_outs_rows
QUALIFY row_number() OVER (PARTITION BY scope, value ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS tombstones_parts AS SELECT NULL::VARCHAR AS scope, NULL::VARCHAR AS value, NULL::VARCHAR AS reason, NULL::BIGINT AS requested_at_us, NULL::BIGINT AS done_at_us, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW tombstones_rows AS SELECT * REPLACE (coalesce(done_at_us, 0) AS done_at_us) FROM (
    SELECT NULL::VARCHAR AS scope, NULL::VARCHAR AS value, NULL::VARCHAR AS reason, NULL::BIGINT AS requested_at_us, NULL::BIGINT AS done_at_us, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM tombstones_parts);
CREATE VIEW tombstones AS FROM tombstones_rows
QUALIFY row_number() OVER (PARTITION BY scope, value ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS videos_parts AS SELECT NULL::VARCHAR AS video_id, NULL::VARCHAR AS webpage_url, NULL::VARCHAR AS extractor, NULL::VARCHAR AS title, NULL::VARCHAR AS channel_id, NULL::VARCHAR AS upload_date, NULL::VARCHAR AS licence, NULL::VARCHAR AS licence_evidence, NULL::VARCHAR AS training, NULL::VARCHAR AS training_evidence, NULL::VARCHAR[] AS signals, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW videos_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS video_id, NULL::VARCHAR AS webpage_url, NULL::VARCHAR AS extractor, NULL::VARCHAR AS title, NULL::VARCHAR AS channel_id, NULL::VARCHAR AS upload_date, NULL::VARCHAR AS licence, NULL::VARCHAR AS licence_evidence, NULL::VARCHAR AS training, NULL::VARCHAR AS training_evidence, NULL::VARCHAR[] AS signals, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM videos_parts);
CREATE VIEW videos AS FROM videos_rows
QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS media_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS profile, NULL::VARCHAR AS object_key, NULL::VARCHAR AS sha256, NULL::BIGINT AS bytes, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS video_codec, NULL::BIGINT AS width, NULL::BIGINT AS height, NULL::DOUBLE AS fps, NULL::VARCHAR AS audio_codec, NULL::BIGINT AS sample_rate, NULL::BIGINT AS channels, NULL::DOUBLE AS start_error_ms, NULL::DOUBLE AS av_skew_ms, NULL::BIGINT AS short_ms, NULL::BIGINT AS bytes_read, NULL::VARCHAR AS format_ids, NULL::VARCHAR AS condition, NULL::VARCHAR AS origin, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW media_rows AS SELECT * REPLACE (coalesce(short_ms, 0) AS short_ms, coalesce(format_ids, '') AS format_ids) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS profile, NULL::VARCHAR AS object_key, NULL::VARCHAR AS sha256, NULL::BIGINT AS bytes, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS video_codec, NULL::BIGINT AS width, NULL::BIGINT AS height, NULL::DOUBLE AS fps, NULL::VARCHAR AS audio_codec, NULL::BIGINT AS sample_rate, NULL::BIGINT AS channels, NULL::DOUBLE AS start_error_ms, NULL::DOUBLE AS av_skew_ms, NULL::BIGINT AS short_ms, NULL::BIGINT AS bytes_read, NULL::VARCHAR AS format_ids, NULL::VARCHAR AS condition, NULL::VARCHAR AS origin, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM media_parts);
CREATE VIEW media AS FROM media_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, profile ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS derived_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS profile, NULL::VARCHAR AS media_sha256, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS object_key, NULL::VARCHAR AS sha256, NULL::BIGINT AS bytes, NULL::BIGINT AS width, NULL::BIGINT AS height, NULL::DOUBLE AS fps, NULL::VARCHAR AS sound_key, NULL::VARCHAR AS sound_sha256, NULL::BIGINT AS sound_bytes, NULL::BIGINT AS sample_rate, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW derived_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS profile, NULL::VARCHAR AS media_sha256, NULL::BIGINT AS duration_ms, NULL::VARCHAR AS object_key, NULL::VARCHAR AS sha256, NULL::BIGINT AS bytes, NULL::BIGINT AS width, NULL::BIGINT AS height, NULL::DOUBLE AS fps, NULL::VARCHAR AS sound_key, NULL::VARCHAR AS sound_sha256, NULL::BIGINT AS sound_bytes, NULL::BIGINT AS sample_rate, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM derived_parts);
CREATE VIEW derived AS FROM derived_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, profile ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS outcomes_parts AS SELECT NULL::VARCHAR AS stage, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS status, NULL::VARCHAR AS reason, NULL::VARCHAR AS message, NULL::BIGINT AS attempts, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW outcomes_rows AS SELECT * REPLACE (coalesce(message, '') AS message, coalesce(attempts, 1) AS attempts) FROM (
    SELECT NULL::VARCHAR AS stage, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS status, NULL::VARCHAR AS reason, NULL::VARCHAR AS message, NULL::BIGINT AS attempts, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM outcomes_parts);
CREATE VIEW outcomes AS FROM outcomes_rows
QUALIFY row_number() OVER (PARTITION BY stage, clip_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS audio_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BOOLEAN AS has_audio, NULL::BIGINT AS duration_ms, NULL::DOUBLE AS loudness_lufs, NULL::DOUBLE AS momentary_max_lufs, NULL::DOUBLE AS sample_peak_dbfs, NULL::DOUBLE AS true_peak_dbtp, NULL::DOUBLE AS silent_share, NULL::BIGINT AS longest_silence_ms, NULL::DOUBLE AS clipped_share, NULL::DOUBLE AS dc_offset, NULL::DOUBLE AS bandwidth_hz, NULL::DOUBLE AS stereo_correlation, NULL::DOUBLE AS snr_db, NULL::DOUBLE AS spectral_flatness, NULL::BIGINT AS channels, NULL::BIGINT AS sample_rate, NULL::BIGINT AS decode_errors, NULL::VARCHAR AS sound_complaint, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW audio_measures_rows AS SELECT * REPLACE (coalesce(decode_errors, 0) AS decode_errors) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BOOLEAN AS has_audio, NULL::BIGINT AS duration_ms, NULL::DOUBLE AS loudness_lufs, NULL::DOUBLE AS momentary_max_lufs, NULL::DOUBLE AS sample_peak_dbfs, NULL::DOUBLE AS true_peak_dbtp, NULL::DOUBLE AS silent_share, NULL::BIGINT AS longest_silence_ms, NULL::DOUBLE AS clipped_share, NULL::DOUBLE AS dc_offset, NULL::DOUBLE AS bandwidth_hz, NULL::DOUBLE AS stereo_correlation, NULL::DOUBLE AS snr_db, NULL::DOUBLE AS spectral_flatness, NULL::BIGINT AS channels, NULL::BIGINT AS sample_rate, NULL::BIGINT AS decode_errors, NULL::VARCHAR AS sound_complaint, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM audio_measures_parts);
CREATE VIEW audio_measures AS FROM audio_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS video_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BOOLEAN AS has_video, NULL::BIGINT AS picture_ms, NULL::DOUBLE AS aspect, NULL::DOUBLE AS frames_per_second, NULL::BIGINT AS frames_seen, NULL::DOUBLE AS motion, NULL::DOUBLE AS still_share, NULL::DOUBLE AS black_share, NULL::DOUBLE AS white_share, NULL::BIGINT AS scene_cuts, NULL::DOUBLE AS sharpness, NULL::DOUBLE AS brightness, NULL::DOUBLE AS contrast, NULL::DOUBLE AS saturation, NULL::DOUBLE AS letterbox_share, NULL::DOUBLE AS blockiness, NULL::BIGINT AS picture_errors, NULL::VARCHAR AS picture_complaint, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW video_measures_rows AS SELECT * REPLACE (coalesce(frames_seen, 0) AS frames_seen, coalesce(picture_errors, 0) AS picture_errors) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BOOLEAN AS has_video, NULL::BIGINT AS picture_ms, NULL::DOUBLE AS aspect, NULL::DOUBLE AS frames_per_second, NULL::BIGINT AS frames_seen, NULL::DOUBLE AS motion, NULL::DOUBLE AS still_share, NULL::DOUBLE AS black_share, NULL::DOUBLE AS white_share, NULL::BIGINT AS scene_cuts, NULL::DOUBLE AS sharpness, NULL::DOUBLE AS brightness, NULL::DOUBLE AS contrast, NULL::DOUBLE AS saturation, NULL::DOUBLE AS letterbox_share, NULL::DOUBLE AS blockiness, NULL::BIGINT AS picture_errors, NULL::VARCHAR AS picture_complaint, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM video_measures_parts);
CREATE VIEW video_measures AS FROM video_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS av_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BIGINT AS duration_gap_ms, NULL::DOUBLE AS start_skew_ms, NULL::DOUBLE AS onset_motion_correlation, NULL::BIGINT AS onset_motion_lag_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW av_measures_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BIGINT AS duration_gap_ms, NULL::DOUBLE AS start_skew_ms, NULL::DOUBLE AS onset_motion_correlation, NULL::BIGINT AS onset_motion_lag_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM av_measures_parts);
CREATE VIEW av_measures AS FROM av_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS speech_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::DOUBLE AS speech_share, NULL::BIGINT[] AS speech_spans_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW speech_measures_rows AS SELECT * REPLACE (coalesce(speech_spans_ms, []) AS speech_spans_ms) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::DOUBLE AS speech_share, NULL::BIGINT[] AS speech_spans_ms, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM speech_measures_parts);
CREATE VIEW speech_measures AS FROM speech_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS tag_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::VARCHAR[] AS tags, NULL::DOUBLE[] AS tag_scores, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW tag_measures_rows AS SELECT * REPLACE (coalesce(tags, []) AS tags, coalesce(tag_scores, []) AS tag_scores) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::VARCHAR[] AS tags, NULL::DOUBLE[] AS tag_scores, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM tag_measures_parts);
CREATE VIEW tag_measures AS FROM tag_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS safety_measures_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::DOUBLE AS nsfw_score, NULL::DOUBLE AS text_share, NULL::VARCHAR[] AS pdq_hashes, NULL::VARCHAR AS md5, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW safety_measures_rows AS SELECT * REPLACE (coalesce(pdq_hashes, []) AS pdq_hashes) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::DOUBLE AS nsfw_score, NULL::DOUBLE AS text_share, NULL::VARCHAR[] AS pdq_hashes, NULL::VARCHAR AS md5, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM safety_measures_parts);
CREATE VIEW safety_measures AS FROM safety_measures_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS prints_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BLOB AS sound, NULL::BLOB AS picture, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW prints_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS media_sha256, NULL::BLOB AS sound, NULL::BLOB AS picture, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM prints_parts);
CREATE VIEW prints AS FROM prints_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS neighbours_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS representative, NULL::BIGINT AS size, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW neighbours_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS representative, NULL::BIGINT AS size, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM neighbours_parts);
CREATE VIEW neighbours AS FROM neighbours_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, kind ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS leaks_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS benchmark, NULL::VARCHAR AS how, NULL::VARCHAR AS match, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW leaks_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS benchmark, NULL::VARCHAR AS how, NULL::VARCHAR AS match, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM leaks_parts);
CREATE VIEW leaks AS FROM leaks_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, benchmark ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS comparisons_parts AS SELECT NULL::VARCHAR AS what, NULL::VARCHAR AS digest, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW comparisons_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS what, NULL::VARCHAR AS digest, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM comparisons_parts);
CREATE VIEW comparisons AS FROM comparisons_rows
QUALIFY row_number() OVER (PARTITION BY what ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS embeddings_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS model, NULL::FLOAT[] AS vector, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW embeddings_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS kind, NULL::VARCHAR AS model, NULL::FLOAT[] AS vector, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM embeddings_parts);
CREATE VIEW embeddings AS FROM embeddings_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, kind, model ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS necessities_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::DOUBLE AS needs_audio, NULL::DOUBLE AS needs_video, NULL::DOUBLE AS needs_timing, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW necessities_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::DOUBLE AS needs_audio, NULL::DOUBLE AS needs_video, NULL::DOUBLE AS needs_timing, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM necessities_parts);
CREATE VIEW necessities AS FROM necessities_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, made_by ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS quarantine_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS cause, NULL::VARCHAR AS detail, NULL::BOOLEAN AS lifted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW quarantine_rows AS SELECT * REPLACE (coalesce(detail, '') AS detail, coalesce(lifted, false) AS lifted) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS cause, NULL::VARCHAR AS detail, NULL::BOOLEAN AS lifted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM quarantine_parts);
CREATE VIEW quarantine AS FROM quarantine_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, cause ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS verdicts_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS rules_digest, NULL::BOOLEAN AS kept, NULL::VARCHAR AS reason, NULL::VARCHAR AS detail, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW verdicts_rows AS SELECT * REPLACE (coalesce(reason, '') AS reason, coalesce(detail, '') AS detail) FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS rules_digest, NULL::BOOLEAN AS kept, NULL::VARCHAR AS reason, NULL::VARCHAR AS detail, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM verdicts_parts);
CREATE VIEW verdicts AS FROM verdicts_rows
QUALIFY row_number() OVER (PARTITION BY clip_id, rules_digest ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS captions_parts AS SELECT NULL::VARCHAR AS caption_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS text, NULL::VARCHAR AS author, NULL::VARCHAR AS origin, NULL::VARCHAR AS language, NULL::VARCHAR AS modalities_seen, NULL::VARCHAR AS external_id, NULL::BIGINT AS lead_ms, NULL::BIGINT AS revision, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW captions_rows AS SELECT * REPLACE (coalesce(language, 'en') AS language, coalesce(modalities_seen, 'av') AS modalities_seen, coalesce(external_id, '') AS external_id, coalesce(revision, 1) AS revision, coalesce(deleted, false) AS deleted) FROM (
    SELECT NULL::VARCHAR AS caption_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS text, NULL::VARCHAR AS author, NULL::VARCHAR AS origin, NULL::VARCHAR AS language, NULL::VARCHAR AS modalities_seen, NULL::VARCHAR AS external_id, NULL::BIGINT AS lead_ms, NULL::BIGINT AS revision, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM captions_parts);
CREATE VIEW captions AS FROM captions_rows
QUALIFY row_number() OVER (PARTITION BY caption_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS caption_faults_parts AS SELECT NULL::VARCHAR AS caption_id, NULL::BIGINT AS revision, NULL::VARCHAR[] AS faults, NULL::BOOLEAN AS sends_back, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW caption_faults_rows AS SELECT * REPLACE (coalesce(faults, []) AS faults, coalesce(sends_back, false) AS sends_back) FROM (
    SELECT NULL::VARCHAR AS caption_id, NULL::BIGINT AS revision, NULL::VARCHAR[] AS faults, NULL::BOOLEAN AS sends_back, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM caption_faults_parts);
CREATE VIEW caption_faults AS FROM caption_faults_rows
QUALIFY row_number() OVER (PARTITION BY caption_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS label_tasks_parts AS SELECT NULL::VARCHAR AS task_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS stage, NULL::VARCHAR AS mode, NULL::BIGINT AS slot, NULL::BIGINT AS turn, NULL::VARCHAR AS kind, NULL::VARCHAR AS expected, NULL::VARCHAR AS caption_id, NULL::BIGINT AS revision, NULL::VARCHAR AS not_for, NULL::VARCHAR[] AS hints, NULL::VARCHAR AS draft, NULL::VARCHAR AS planted, NULL::BOOLEAN AS withdrawn, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW label_tasks_rows AS SELECT * REPLACE (coalesce(mode, 'av') AS mode, coalesce(slot, 0) AS slot, coalesce(turn, 1) AS turn, coalesce(kind, 'work') AS kind, coalesce(expected, '') AS expected, coalesce(caption_id, '') AS caption_id, coalesce(revision, 0) AS revision, coalesce(not_for, '') AS not_for, coalesce(hints, []) AS hints, coalesce(draft, '') AS draft, coalesce(planted, '') AS planted, coalesce(withdrawn, false) AS withdrawn) FROM (
    SELECT NULL::VARCHAR AS task_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS stage, NULL::VARCHAR AS mode, NULL::BIGINT AS slot, NULL::BIGINT AS turn, NULL::VARCHAR AS kind, NULL::VARCHAR AS expected, NULL::VARCHAR AS caption_id, NULL::BIGINT AS revision, NULL::VARCHAR AS not_for, NULL::VARCHAR[] AS hints, NULL::VARCHAR AS draft, NULL::VARCHAR AS planted, NULL::BOOLEAN AS withdrawn, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM label_tasks_parts);
CREATE VIEW label_tasks AS FROM label_tasks_rows
QUALIFY row_number() OVER (PARTITION BY task_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS answers_parts AS SELECT NULL::VARCHAR AS answer_id, NULL::VARCHAR AS task_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS annotator, NULL::VARCHAR AS text, NULL::VARCHAR[] AS flags, NULL::VARCHAR[] AS heard, NULL::VARCHAR AS verdict, NULL::VARCHAR[] AS reasons, NULL::VARCHAR[] AS odd, NULL::BIGINT[] AS event_spans_ms, NULL::VARCHAR[] AS event_senses, NULL::BOOLEAN AS skipped, NULL::BIGINT AS lead_ms, NULL::BIGINT AS answered_at_us, NULL::BIGINT AS revision, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW answers_rows AS SELECT * REPLACE (coalesce(text, '') AS text, coalesce(flags, []) AS flags, coalesce(heard, []) AS heard, coalesce(verdict, '') AS verdict, coalesce(reasons, []) AS reasons, coalesce(odd, []) AS odd, coalesce(event_spans_ms, []) AS event_spans_ms, coalesce(event_senses, []) AS event_senses, coalesce(skipped, false) AS skipped, coalesce(lead_ms, 0) AS lead_ms, coalesce(answered_at_us, 0) AS answered_at_us, coalesce(revision, 1) AS revision, coalesce(deleted, false) AS deleted) FROM (
    SELECT NULL::VARCHAR AS answer_id, NULL::VARCHAR AS task_id, NULL::VARCHAR AS clip_id, NULL::VARCHAR AS annotator, NULL::VARCHAR AS text, NULL::VARCHAR[] AS flags, NULL::VARCHAR[] AS heard, NULL::VARCHAR AS verdict, NULL::VARCHAR[] AS reasons, NULL::VARCHAR[] AS odd, NULL::BIGINT[] AS event_spans_ms, NULL::VARCHAR[] AS event_senses, NULL::BOOLEAN AS skipped, NULL::BIGINT AS lead_ms, NULL::BIGINT AS answered_at_us, NULL::BIGINT AS revision, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM answers_parts);
CREATE VIEW answers AS FROM answers_rows
QUALIFY row_number() OVER (PARTITION BY answer_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS qualifications_parts AS SELECT NULL::VARCHAR AS annotator, NULL::BIGINT AS attempts, NULL::BIGINT AS annulled, NULL::BIGINT AS passed_tasks, NULL::BIGINT AS tasks, NULL::BOOLEAN AS passed, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW qualifications_rows AS SELECT * REPLACE (coalesce(annulled, 0) AS annulled) FROM (
    SELECT NULL::VARCHAR AS annotator, NULL::BIGINT AS attempts, NULL::BIGINT AS annulled, NULL::BIGINT AS passed_tasks, NULL::BIGINT AS tasks, NULL::BOOLEAN AS passed, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM qualifications_parts);
CREATE VIEW qualifications AS FROM qualifications_rows
QUALIFY row_number() OVER (PARTITION BY annotator ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS reviews_parts AS SELECT NULL::VARCHAR AS caption_id, NULL::VARCHAR AS reviewer, NULL::VARCHAR AS decision, NULL::VARCHAR[] AS reasons, NULL::BIGINT AS revision, NULL::VARCHAR AS text, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW reviews_rows AS SELECT * REPLACE (coalesce(reasons, []) AS reasons, coalesce(revision, 1) AS revision, coalesce(text, '') AS text, coalesce(deleted, false) AS deleted) FROM (
    SELECT NULL::VARCHAR AS caption_id, NULL::VARCHAR AS reviewer, NULL::VARCHAR AS decision, NULL::VARCHAR[] AS reasons, NULL::BIGINT AS revision, NULL::VARCHAR AS text, NULL::BOOLEAN AS deleted, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM reviews_parts);
CREATE VIEW reviews AS FROM reviews_rows
QUALIFY row_number() OVER (PARTITION BY caption_id, reviewer ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS splits_parts AS SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS split, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW splits_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS clip_id, NULL::VARCHAR AS split, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM splits_parts);
CREATE VIEW splits AS FROM splits_rows
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS subset_members_parts AS SELECT NULL::VARCHAR AS subset, NULL::VARCHAR AS clip_id, NULL::BOOLEAN AS member, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW subset_members_rows AS SELECT * REPLACE (coalesce(member, true) AS member) FROM (
    SELECT NULL::VARCHAR AS subset, NULL::VARCHAR AS clip_id, NULL::BOOLEAN AS member, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM subset_members_parts);
CREATE VIEW subset_members AS FROM subset_members_rows
QUALIFY row_number() OVER (PARTITION BY subset, clip_id ORDER BY made_at_us DESC) = 1;

CREATE VIEW IF NOT EXISTS releases_parts AS SELECT NULL::VARCHAR AS name, NULL::VARCHAR AS version, NULL::VARCHAR AS content_sha256, NULL::BIGINT AS clips, NULL::BIGINT AS captions, NULL::BIGINT AS shards, NULL::BIGINT AS bytes, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false;
CREATE VIEW releases_rows AS SELECT * FROM (
    SELECT NULL::VARCHAR AS name, NULL::VARCHAR AS version, NULL::VARCHAR AS content_sha256, NULL::BIGINT AS clips, NULL::BIGINT AS captions, NULL::BIGINT AS shards, NULL::BIGINT AS bytes, NULL::VARCHAR AS made_by, NULL::BIGINT AS made_at_us WHERE false
    UNION ALL BY NAME FROM releases_parts);
CREATE VIEW releases AS FROM releases_rows
QUALIFY row_number() OVER (PARTITION BY name, version ORDER BY made_at_us DESC) = 1;

-- Videos that somebody wants left out: by their own ids, or because their channel opted out. A video that
-- was ever seen in the channel counts, whatever the platform says since.
CREATE VIEW opted_out_videos AS
SELECT value AS video_id, NULL::VARCHAR AS channel_id FROM opt_outs_rows WHERE scope = 'video'
UNION
SELECT video_id, channel_id FROM videos_rows
WHERE channel_id IN (SELECT value FROM opt_outs_rows WHERE scope = 'channel');

CREATE VIEW opted_out_clips AS
SELECT DISTINCT clip_id FROM clips_rows SEMI JOIN opted_out_videos USING (video_id);

-- Clips that were taken down: by their own ids, or with their whole video.
CREATE VIEW retracted_clips AS
SELECT value AS clip_id FROM tombstones_rows WHERE scope = 'clip'
UNION
SELECT clip_id FROM clips_rows
WHERE video_id IN (SELECT value FROM tombstones_rows WHERE scope = 'video');

-- Views over the tables' views. A macro is a view that takes parameters.

-- `audio@12` -> 12.
CREATE MACRO measurer_version(made_by) AS
coalesce(try_cast(regexp_extract(made_by, '@([0-9]+)$', 1) AS BIGINT), 0);

-- The newest encoding of each clip, of whatever profile.
CREATE VIEW newest_media AS
FROM media QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC, profile) = 1;

-- How the newest try to fetch each clip ended.
CREATE VIEW newest_fetches AS
FROM outcomes WHERE starts_with(stage, 'fetch/')
QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC, stage) = 1;

-- The newest verdict on each clip, by whatever rules.
CREATE VIEW newest_verdicts AS
FROM verdicts QUALIFY row_number() OVER (PARTITION BY clip_id ORDER BY made_at_us DESC, rules_digest) = 1;

CREATE VIEW current_audio AS
SELECT a.* FROM audio_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_video AS
SELECT a.* FROM video_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_av AS
SELECT a.* FROM av_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_speech AS
SELECT a.* FROM speech_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_tag AS
SELECT a.* FROM tag_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_safety AS
SELECT a.* FROM safety_measures AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

CREATE VIEW current_prints AS
SELECT a.* FROM prints AS a
JOIN newest_media AS m ON m.clip_id = a.clip_id AND m.sha256 = a.media_sha256
QUALIFY row_number() OVER (
    PARTITION BY a.clip_id ORDER BY measurer_version(a.made_by) DESC, a.made_at_us DESC) = 1;

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
