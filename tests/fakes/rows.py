"""Records for tests: sound ones, of which a test changes what it is about."""

from valor_data import layout
from valor_data.records import AudioMeasures, Caption, Clip, Media, Outcome, Review, Segment, Status

PROFILE = "exact-12345678"
FETCH = f"fetch/{PROFILE}"
MEASURE = f"measure/{PROFILE}"


def clip_id(number: int) -> str:
    """Ids that begin with `-` and hold `_`, as YouTube's do; two clips a video."""
    return layout.clip_id(f"-_{number // 2:09d}", number % 2 * 10_000, number % 2 * 10_000 + 10_000)


def segment(number: int, **changes: object) -> Segment:
    span = layout.parse_clip_id(clip_id(number))
    url = layout.youtube_url(span.video_id)
    made = Segment(number + 1, clip_id(number), "youtube", span.video_id, span.start_ms, span.end_ms, url)
    return made._replace(**changes)


def clip(number: int, **changes: object) -> Clip:
    span = layout.parse_clip_id(clip_id(number))
    facts = {
        "clip_id": clip_id(number),
        "source": "youtube",
        "video_id": span.video_id,
        "start_ms": span.start_ms,
        "end_ms": span.end_ms,
        "url": layout.youtube_url(span.video_id),
        "made_by": "list:test",
    }
    return Clip.model_validate(facts | changes)


def media(number: int, sha: str = "0", **changes: object) -> Media:
    facts = {
        "clip_id": clip_id(number),
        "profile": PROFILE,
        "object_key": layout.object_key(PROFILE, clip_id(number)),
        "sha256": sha * 64,
        "bytes": 1000,
        "duration_ms": 10_000,
        "video_codec": "h264",
        "width": 640,
        "height": 360,
        "fps": 25.0,
        "start_error_ms": 0.5,
        "made_by": "fetch@1",
    }
    return Media.model_validate(facts | changes)


def outcome(number: int, status: str = "ok", **changes: object) -> Outcome:
    facts = {"stage": FETCH, "clip_id": clip_id(number), "status": Status(status), "made_by": "fetch@1"}
    return Outcome.model_validate(facts | changes)


def audio(number: int, sha: str = "0", **changes: object) -> AudioMeasures:
    facts = {
        "clip_id": clip_id(number),
        "media_sha256": sha * 64,
        "has_audio": True,
        "loudness_lufs": -20.0,
        "made_by": "audio@2",
    }
    return AudioMeasures.model_validate(facts | changes)


def caption(number: int, text: str, **changes: object) -> Caption:
    facts = {
        "caption_id": layout.caption_id(clip_id(number), "imported", "people", text),
        "clip_id": clip_id(number),
        "text": text,
        "author": "people",
        "origin": "imported",
        "made_by": "list:test",
    }
    return Caption.model_validate(facts | changes)


def review(caption_id: str, reviewer: str, decision: str) -> Review:
    return Review.model_validate(
        {"caption_id": caption_id, "reviewer": reviewer, "decision": decision, "made_by": "label-studio"}
    )
