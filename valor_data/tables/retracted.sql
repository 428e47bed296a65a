-- Clips that were taken down: by their own ids, or with their whole video.
CREATE VIEW retracted_clips AS
SELECT value AS clip_id FROM tombstones_rows WHERE scope = 'clip'
UNION
SELECT clip_id FROM clips_rows
WHERE video_id IN (SELECT value FROM tombstones_rows WHERE scope = 'video');
