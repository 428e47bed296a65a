"""What rules, neighbours and people say of a clip, and what came of it."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from valor_data.records.row import ClipId, Record, Sha256, Words


class Neighbour(Record):
    """A clip stands in a group of near-duplicates."""

    table = "neighbours"
    key = ("clip_id", "kind")

    clip_id: ClipId
    kind: Literal["audio", "video", "both"]
    """What is the same; `both` is a duplicate clip, `audio` alone may be a shared music bed."""
    representative: ClipId
    """The clip that stands for the group; of itself: the same id."""
    size: int
    """Clips of the group; 1: it stands in none any more."""


class Leak(Record):
    """A clip of ours is in somebody's benchmark."""

    table = "leaks"
    key = ("clip_id", "benchmark")

    clip_id: ClipId
    benchmark: str
    """Name of the benchmark in the recipe."""
    how: Literal["clip", "video", "print", "none"]
    """A span of the same video that overlaps it, another span of that video, the same sound and picture
    under another id, or not any more."""
    match: str
    """The benchmark's clip or video."""


class SubsetMember(Record):
    """A clip of ours stands in a list that the recipe names as a subset."""

    table = "subset_members"
    key = ("subset", "clip_id")

    subset: str
    """Its name in the recipe."""
    clip_id: ClipId
    member: bool = True
    """False: not any more."""


class Compared(Record):
    """What was last compared with what, lest the same be done again."""

    table = "comparisons"
    key = ("what",)

    what: Literal["neighbours", "leaks", "subsets"]
    digest: str
    """Names the prints and the benchmarks."""


class Quarantine(Record):
    """A clip that nobody shall be shown, and why. It is kept out of everything downstream."""

    table = "quarantine"
    key = ("clip_id", "cause")

    clip_id: ClipId
    cause: Literal["hash_list", "nsfw", "text", "person"]
    detail: str = ""
    """The entry or number against the limit; never a person's name."""
    lifted: bool = False
    """True: a person found it harmless, or the limits of the recipe have moved (`made_by` says which)."""


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
    """The author's own id of this caption, where it has one; of our annotators', the task."""
    lead_ms: int | None = None
    """Time that its author took, as far as it is known."""
    revision: int = 1
    deleted: bool = False


class Review(Record):
    """One checker's word on one revision of a caption, never by who wrote it."""

    table = "reviews"
    key = ("caption_id", "reviewer")
    history = True

    caption_id: str
    reviewer: str
    """Pseudonym."""
    decision: Literal["accept", "fix", "reject"]
    reasons: Words = ()
    revision: int = 1
    """The caption's revision that was shown."""
    text: str = ""
    """`fix`: the corrected caption, which counts from then on."""
    deleted: bool = False


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
