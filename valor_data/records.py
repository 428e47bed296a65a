"""Every fact that valor-data keeps, as small closed records.

A `Clip` is identity and span. What a machine or a person thinks of it is a record of its own,
keyed by `clip_id` and stamped with `made_by` (who said so) and `made_at_us` (when; written by the
tables at save). One declaration here gives the Arrow schema, the JSON Schema in `schemas/` and
the catalog's views. Whole numbers carry their unit in the name; there are no float seconds.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from valor_data.errors import Reason

# A strict model refuses the string or list that Parquet hands back for an enum or a tuple.
Words = Annotated[tuple[str, ...], Field(strict=False)]
Ms = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClipId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+_\d+_\d+$")]


class Record(BaseModel):
    """A frozen, closed row. `key` names the columns whose latest row counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    history: ClassVar[bool] = False
    """True: compaction keeps every revision, not only the latest row of a key."""

    made_by: str
    """Who says so: a tool and its version (`audio@1`), a list, a person's pseudonym."""
    made_at_us: int = 0
    """When the row was saved, microseconds since 1970 UTC; 0 until it is."""


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


class AudioMeasures(Record):
    """Numbers of one clip's sound. None: not defined for this clip (no audio, too short)."""

    table = "audio_measures"
    key = ("clip_id", "made_by")

    clip_id: ClipId
    media_sha256: Sha256
    """The bytes that were measured; the row is stale when the clip's media change."""
    has_audio: bool
    """At least one audio frame decodes."""
    duration_ms: Ms | None = None
    """Decoded sound: samples divided by the sample rate."""
    loudness_lufs: float | None = None
    """Integrated loudness, LUFS (ITU-R BS.1770-4, EBU R128 gating); -70 is the gate, so silence
    reads -70. A mono clip counts as played on two loudspeakers (dual mono), so that it is not
    3 LU quieter than the same sound in stereo. None below one 400 ms block, or where samples are no
    numbers."""
    sample_peak_dbfs: float | None = None
    """Largest absolute sample, dB relative to full scale; -120 at digital silence."""
    silent_share: Share | None = None
    """Share of 100 ms windows (the last may be shorter) whose RMS over all channels lies below
    -60 dBFS."""
    clipped_share: Share | None = None
    """Share of samples at or above 0.999 of full scale."""
    channels: int | None = None
    sample_rate: int | None = None
    decode_errors: int = 0
    """Packets that the decoder refused, and frames in no usable form."""


class Verdict(Record):
    """What the recipe's rules say of a clip; made again in seconds when a threshold moves."""

    table = "verdicts"
    key = ("clip_id", "rules_digest")

    clip_id: ClipId
    rules_digest: str
    kept: bool
    reason: str = ""
    """Reason of the first rule that it breaks; empty when kept."""
    detail: str = ""
    """The number against the threshold, such as `loudness_lufs -70 < -55`."""


class Origin(StrEnum):
    """Where a caption comes from."""

    IMPORTED = "imported"  # written by people, elsewhere
    HUMAN = "human"  # written by our annotators
    MODEL = "model"  # never releasable


class Caption(Record):
    """One sentence or more about one clip. An edit or deletion is a new revision of the same id."""

    table = "captions"
    key = ("caption_id",)
    history = True

    caption_id: str
    """Hash of clip_id, origin, author and external_id."""
    clip_id: ClipId
    text: str
    author: str
    """Pseudonym, name of the list, or `model:<name>`; never a person's name."""
    origin: Annotated[Origin, Field(strict=False)]
    language: str = "en"
    modalities_seen: Literal["av", "a", "v"] = "av"
    """What the author was shown: audio and picture, sound only, picture only."""
    external_id: str = ""
    """The author's own id of this caption, where it has one."""
    revision: int = 1
    deleted: bool = False


class Review(Record):
    """One checker's word on one caption."""

    table = "reviews"
    key = ("caption_id", "reviewer")
    history = True

    caption_id: str
    reviewer: str
    decision: Literal["accept", "fix", "reject"]
    reasons: Words = ()


class SplitOf(Record):
    """The split of a clip. `made_by` starts with `list:` where a list fixes it."""

    table = "splits"
    key = ("clip_id",)

    clip_id: ClipId
    split: Literal["train", "val", "test"]


class Release(Record):
    """A release that was written to its end."""

    table = "releases"
    key = ("name", "version")

    name: str
    version: str
    content_sha256: Sha256
    """Digest over the sha256 of every shard and of the catalog: same content, same digest."""
    clips: int
    captions: int
    shards: int
    bytes: int


TABLES: dict[str, type[Record]] = {
    record.table: record
    for record in (
        Clip, SegmentList, ListMember, BadRow, OptOut, Video, Media, Outcome, AudioMeasures, Verdict,
        Caption, Review, SplitOf, Release,
    )
}  # fmt: skip
"""Every record by the name of its table."""


class Report(BaseModel):
    """What one command did; printed, and kept in `runs/`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    ok: bool = True
    workspace: str = ""
    counts: dict[str, int] = {}
    """The funnel's names (`listed`, `fetched`, `kept`, ...) to whole numbers."""
    reasons: dict[str, int] = {}
    """Reason to number of clips."""
    seconds: float = 0.0
    outputs: tuple[str, ...] = ()
    """What was written, as keys of the workspace or paths."""
    plan: tuple[str, ...] = ()
    """What a dry run foresees beside its counts, a line each: bytes, and hours by host."""
    warnings: tuple[str, ...] = ()
    """What a person should look at; the command went on all the same."""
