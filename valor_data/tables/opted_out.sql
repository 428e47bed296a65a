-- Videos that somebody wants left out: by their own ids, or because their channel opted out. A video that
-- was ever seen in the channel counts, whatever the platform says since.
CREATE VIEW opted_out_videos AS
SELECT value AS video_id, NULL::VARCHAR AS channel_id FROM opt_outs_rows WHERE scope = 'video'
UNION
SELECT video_id, channel_id FROM videos_rows
WHERE channel_id IN (SELECT value FROM opt_outs_rows WHERE scope = 'channel');

CREATE VIEW opted_out_clips AS
SELECT DISTINCT clip_id FROM clips_rows SEMI JOIN opted_out_videos USING (video_id);
