"""Lists, clips, videos, media, and the ledger of what was done."""

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from valor_data.errors import Reason
from valor_data.records.row import ClipId, Ms, Record, Sha256, Words


class Clip(Record):
    """A span of one video: identity and provenance, nothing that anybody thinks of it."""

    table = "clips"
    key = ("clip_id",)

    clip_id: ClipId
    """`<video_id>_<start_ms>_<end_ms>`."""
    source: str
    """Where the video lives: `youtube`, or `url` for any other address."""
    video_id: str
    """YouTube id, the list's own id, or a slug with a hash of the address."""
    start_ms: Ms
    """First millisecond of the span, from the start of the video."""
    end_ms: Ms
    """End of the span, exclusive."""
    url: str
    """Page or media address that yt-dlp resolves."""
    labels: Words = ()
    """Label names of the list (AudioSet display names where the list gives their ids)."""
    licence: str | None = None
    """Licence as the list claims it; nobody checked it."""

    @model_validator(mode="after")
    def _span_is_not_empty(self) -> Self:
        if self.end_ms <= self.start_ms:
            raise ValueError(f"end_ms {self.end_ms} is not after start_ms {self.start_ms}")
        return self


class Segment(NamedTuple):
    """One good row of a segment list on its way into the tables (`clips`, `captions`, `splits`)."""

    line: int
    """Line number in the file, from 1."""
    clip_id: str
    source: str
    video_id: str
    start_ms: int
    end_ms: int
    url: str
    labels: tuple[str, ...] = ()
    captions: tuple[tuple[str, str], ...] = ()
    """(external_id, text); the id is empty where the list gives none."""
    split: str | None = None
    licence: str | None = None
    """Licence as the list claims it."""


class SegmentList(Record):
    """One segment list that was read to its end: the head of the funnel."""

    table = "lists"
    key = ("list_id",)

    list_id: str
    """Hash of the list's content and of the settings it was read with."""
    name: str
    """File name without its folder."""
    form: str
    """The form it was recognised as, such as `audioset-csv`."""
    rows: int
    """Rows that hold data; comments, header and empty lines are none."""
    clips: int
    """Distinct clips in it."""
    duplicates: int
    """Rows merged into another row of the same clip."""
    bad_rows: int
    """Rows refused; each stands in `bad_rows`."""


class BadRow(Record):
    """A row of a segment list that could not be read, and why."""

    table = "bad_rows"
    key = ("list_id", "line")

    list_id: str
    line: int
    """Line number in the file, from 1 (row number for JSON arrays and Parquet)."""
    reason: str
    text: str
    """The row as it stands, cut to 200 characters."""


class ListMember(Record):
    """A clip stands in a list: availability is told by list and split."""

    table = "list_members"
    key = ("list_name", "clip_id")

    list_name: str
    """File name of the list, without its folder."""
    clip_id: ClipId
    split: str | None = None
    """Split that the list itself gives, or that the recipe gives the list."""


class OptOut(Record):
    """Somebody's wish that a video, or all of a channel, stays out. It is never forgotten."""

    table = "opt_outs"
    key = ("scope", "value")

    scope: Literal["video", "channel"]
    value: str
    """`video_id` or `channel_id`."""


class Tombstone(Record):
    """A clip, or a whole video, was taken down at somebody's request and never comes back. The one row that
    a takedown leaves behind; no part of any release."""

    table = "tombstones"
    key = ("scope", "value")

    scope: Literal["clip", "video"]
    """`video`: also clips of it that nobody has listed yet."""
    value: str
    """`clip_id` or `video_id`."""
    reason: str
    """Why, in the words of who handled the request; never a person's name."""
    requested_at_us: int
    """When the request came in, microseconds since 1970 UTC."""
    done_at_us: int = 0
    """When the last copy in this workspace was gone; 0: not yet."""


class Video(Record):
    """What the platform says of a video at the time it was resolved."""

    table = "videos"
    key = ("video_id",)

    video_id: str
    webpage_url: str
    extractor: str
    """Name of the yt-dlp extractor that answered."""
    title: str | None = None
    channel_id: str | None = None
    upload_date: str | None = None
    """`YYYYMMDD`, as the platform states it."""
    licence: str | None = None
    """Licence as claimed by the platform; nobody checked it."""
    licence_evidence: str | None = None
    """Where the claim stands, such as `youtube: license`."""
    training: str | None = None
    """The platform's machine-readable permission for training: `all`, `none`, or the parties that may;
    None: not stated, or not asked."""
    training_evidence: str | None = None
    """Who was asked, such as `videoTrainability`."""
    signals: Words | None = None
    """AI preferences that the host states, such as `robots.txt: ai-train=no`; None: not asked."""
    duration_ms: Ms | None = None


class Media(Record):
    """One encoded clip in the store, measured on the file itself, never copied from the request."""

    table = "media"
    key = ("clip_id", "profile")

    clip_id: ClipId
    profile: str
    """`<name>-<8 hex>`: the hex digits are a hash of all settings that shape the bytes."""
    object_key: str
    """Where it lies in the workspace's store."""
    sha256: Sha256
    bytes: int
    duration_ms: Ms
    """Longest stream of the encoded clip."""
    video_codec: str
    width: int
    height: int
    fps: float
    """Mean frames per second."""
    audio_codec: str | None = None
    """None: the source has no audio track."""
    sample_rate: int | None = None
    channels: int | None = None
    start_error_ms: float | None
    """First shown frame minus asked start; under one frame for an exact cut. None: somebody else cut the
    clip (a mirror), and where it began is only their word."""
    av_skew_ms: float | None = None
    """First audio sample minus first shown frame, on the clip's own clock; None without audio."""
    short_ms: Ms = 0
    """Asked length that the source could not give because it ends earlier."""
    bytes_read: int | None = None
    """Bytes drawn from the source for this clip, where known; what clips of one video share counts for
    the first."""
    format_ids: str = ""
    """The platform's ids of the formats used, joined by `+`."""
    condition: str | None = None
    """Why the formats are not those that the recipe wants: `combined_only`, `segmented_only`,
    `above_max_height`, `other_codec`; None: they are."""
    origin: str | None = None
    """Where the bytes came from: `platform`, or `mirror:<name>`."""


class Derived(Record):
    """The small media that a training set holds in place of a clip, made from its bytes: a silent mp4 and the
    sound. They begin at the same instant, the clip's first frame."""

    table = "derived"
    key = ("clip_id", "profile")

    clip_id: ClipId
    profile: str
    """`train-<8 hex>`: the hex digits are a hash of all settings, and of the profile of the media."""
    media_sha256: Sha256
    """Of the media that they are made from; where that changed since, this row is stale."""
    duration_ms: Ms
    """Length of the clip's picture, or of its sound where it has none; the sound lasts as long."""
    object_key: str | None = None
    """Where the mp4 lies; None, as all else of the picture: the clip has none that decodes."""
    sha256: Sha256 | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    """Frames per second, evenly spaced."""
    sound_key: str | None = None
    """Where the flac lies; None, as all else of the sound: the clip has none that decodes."""
    sound_sha256: Sha256 | None = None
    sound_bytes: int | None = None
    """Size of the flac."""
    sample_rate: int | None = None
    """Samples per second, mono."""


class Status(StrEnum):
    """How an item left a stage."""

    OK = "ok"
    REJECTED = "rejected"  # final
    FAILED = "failed"  # may be tried again


class Outcome(Record):
    """The ledger: how a clip left a stage. Written after all else of its batch."""

    table = "outcomes"
    key = ("stage", "clip_id")

    stage: str
    """Name of the stage and of what it makes, such as `fetch/exact-1f2e3d4c`."""
    clip_id: str
    status: Annotated[Status, Field(strict=False)]
    reason: Annotated[Reason | None, Field(strict=False)] = None
    message: str = ""
    """The original words, never a paraphrase; secrets are taken out."""
    attempts: int = 1
    """Tries of the run that wrote the row."""
