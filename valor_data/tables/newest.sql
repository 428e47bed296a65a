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
