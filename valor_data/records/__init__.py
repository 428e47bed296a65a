"""Every fact that valor-data keeps, as small closed records.

A `Clip` is identity and span. What a machine or a person thinks of it is a record of its own,
keyed by `clip_id` and stamped with `made_by` (who said so) and `made_at_us` (when; written by the
tables at save). One declaration here gives the Arrow schema, the JSON Schema in `schemas/` and
the catalog's views. Whole numbers carry their unit in the name; there are no float seconds.

row       what every record has in common
clips     lists, clips, videos, media and the ledger
measures  numbers of a clip, by one measurer each
words     verdicts, captions, reviews, splits, releases: what rules and people say
annotating   what annotators are asked, and what they answer
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from valor_data.records.annotating import Answer, CaptionFault, Flag, LabelTask, Mode, Qualified
from valor_data.records.clips import (
    BadRow,
    Clip,
    Derived,
    ListMember,
    Media,
    OptOut,
    Outcome,
    Segment,
    SegmentList,
    Status,
    Tombstone,
    Video,
)
from valor_data.records.measures import (
    AudioMeasures,
    AvMeasures,
    Embedding,
    Measures,
    Necessity,
    Prints,
    SafetyMeasures,
    SpeechMeasures,
    TagMeasures,
    VideoMeasures,
)
from valor_data.records.row import ClipId, Ms, Record, Sha256, Share, Words
from valor_data.records.words import (
    Caption,
    Compared,
    Leak,
    Neighbour,
    Origin,
    Quarantine,
    Release,
    Review,
    SplitOf,
    SubsetMember,
    Verdict,
)

__all__ = [
    "MEASURES", "TABLES", "Answer", "AudioMeasures", "AvMeasures", "BadRow", "Caption", "CaptionFault",
    "Clip", "ClipId", "Compared", "Derived", "Embedding", "Flag", "LabelTask", "Leak", "ListMember",
    "Measures", "Media", "Mode", "Ms", "Necessity", "Neighbour", "OptOut", "Origin", "Outcome", "Prints",
    "Qualified",
    "Quarantine", "Record", "Release", "Report", "Review", "SafetyMeasures", "Segment", "SegmentList",
    "Sha256",
    "Share", "SpeechMeasures", "SplitOf", "Status", "SubsetMember", "TagMeasures", "Tombstone", "Verdict",
    "Video",
    "VideoMeasures", "Words",
]  # fmt: skip


TABLES: dict[str, type[Record]] = {
    record.table: record
    for record in (
        Clip, SegmentList, ListMember, BadRow, OptOut, Tombstone, Video, Media, Derived, Outcome,
        AudioMeasures, VideoMeasures, AvMeasures, SpeechMeasures, TagMeasures, SafetyMeasures, Prints,
        Neighbour, Leak, Compared, Embedding, Necessity, Quarantine, Verdict,
        Caption, CaptionFault, LabelTask, Answer, Qualified, Review, SplitOf, SubsetMember, Release,
    )
}  # fmt: skip
"""Every record by the name of its table."""

MEASURES: tuple[type[Measures], ...] = (
    AudioMeasures, VideoMeasures, AvMeasures, SpeechMeasures, TagMeasures, SafetyMeasures, Prints,
)  # fmt: skip
"""What measurers make."""


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
    """What is told beside the counts, a line each: of a dry run bytes, and hours by host; of splits the
    labels that they spread worst."""
    warnings: tuple[str, ...] = ()
    """What a person should look at; the command went on all the same."""
    details: dict[str, Any] = {}
    """All that was found, where the lines above show a part of it: of `evaluate` every figure and caption."""
