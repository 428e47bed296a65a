"""What a release says: `manifest.json`, and the facts of one clip in JSON and as a catalog row.

The facts of a clip are one flat dict: identity, span, labels, split, captions, and the numbers of its
media and measures under the names that the tables and the rules use. A shard holds them as canonical
JSON, `catalog.parquet` as a row. Nothing here holds a clock, a host or a path of a workspace, so that
the same inputs give the same bytes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

from valor_data import layout
from valor_data.records import Sha256

EXTRA_COLUMNS = ("caption", "shard", "shard_index")
"""Columns of the catalog beside the facts: first caption, and where the clip stands."""

Facts = dict[str, Any]
SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class FileEntry(_Part):
    """One file of a release."""

    path: str
    """Relative to the release."""
    sha256: Sha256
    bytes: int


class ShardEntry(FileEntry):
    """One shard of a release."""

    split: SplitName
    samples: int


class Parent(_Part):
    """A version that this one follows."""

    name: str
    version: str
    content_sha256: Sha256


class Manifest(_Part):
    """`manifest.json`: written last, so a folder that has one is complete."""

    format: Literal[1] = 1
    """Version of this form."""
    name: str
    version: str
    title: str
    licence: str
    payload: Literal["video", "train", "ids"]
    """Members of a sample: `video` is mp4, json, txt; `train` a small silent mp4, flac, json, txt; `ids`:
    there are no samples, the catalog tells where the clips are to be had."""
    counts: dict[str, int]
    """clips, videos, captions, without_caption, shards, bytes (of the shards); retracted, where any are."""
    splits: dict[SplitName, dict[str, int]]
    """Split -> the same counts."""
    shards: tuple[ShardEntry, ...]
    files: tuple[FileEntry, ...]
    """Every other file but the manifest itself."""
    content_sha256: Sha256
    """Digest over path and sha256 of every shard and of the catalog: same content, same digest."""
    plan_sha256: Sha256
    """Digest over all that was to be written: facts, captions, media, order, cut and card."""
    recipe_sha256: Sha256
    schema_sha256: Sha256
    profile: str
    rules_digest: str
    tool: str
    """Program and version."""
    subsets: dict[str, dict[SplitName, int]] = {}
    """Subset of the recipe -> split -> clips."""
    derive: dict[str, int] = {}
    """Settings of the payload `train`."""
    parents: tuple[Parent, ...] = ()
    """The version before, where the workspace knows one."""
    revoked: str | None = None
    """Path of the list, by keyed hash, of the clips that were taken down: `counts["retracted"]` of them by
    this
    version. Of all files it alone goes on growing in a release that stands, so no digest of it is here."""

    def render(self) -> bytes:
        """The bytes of `manifest.json`, which end in a digest over all else in it."""
        return _sealed(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the bytes of `manifest.json`. Raises ValueError, also when one of them was changed."""
        try:
            said = json.loads(data)
        except RecursionError as error:
            raise ValueError(str(error)) from None
        if not isinstance(said, dict):
            raise ValueError("no JSON object")
        said.pop("sha256_of_the_rest", None)
        made = cls.model_validate_json(json.dumps(said))
        if _sealed(said) != data:  # as it was written: an older one lacks newer keys
            raise ValueError("its digest does not fit: it was changed")
        return made


def _sealed(said: dict[str, Any]) -> bytes:
    sealed = {**said, "sha256_of_the_rest": layout.digest(said)}
    return f"{json.dumps(sealed, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()


class MediaFile(NamedTuple):
    """A media file of a sample, as its facts tell of it."""

    suffix: str
    sha256: str
    bytes: int


_MEDIA = {"mp4": ("sha256", "bytes"), "flac": ("sound_sha256", "sound_bytes")}
"""Suffix -> names of the facts that tell of the file; one that a sample lacks has no sha256."""

SUFFIXES = (*_MEDIA, "json", "txt")
"""Every member that a sample may have, in the order in which they stand."""


def media_files(facts: Facts) -> list[MediaFile]:
    """The media files that a sample holds beside its json and txt, in the order in which they stand."""
    return [
        MediaFile(suffix, facts[sha256], facts[size])
        for suffix, (sha256, size) in _MEDIA.items()
        if facts.get(sha256) is not None
    ]


def content_digest(files: Sequence[FileEntry]) -> str:
    """Digest of a release's content, from its shards and its catalog."""
    return layout.digest(sorted([file.path, file.sha256] for file in files))


def sums(files: Sequence[FileEntry]) -> str:
    """The text of `SHA256SUMS`, as `sha256sum -c` reads it, for all files but itself and the manifest."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))


def to_json(facts: Facts) -> bytes:
    """The `.json` member: keys sorted, UTF-8. Raises ValueError for a number that is not finite."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def first_caption(facts: Facts) -> str | None:
    """The text of the `.txt` member; None where the clip has no caption."""
    captions = facts["captions"]
    return str(captions[0]["text"]) if captions else None


def from_row(row: Mapping[str, Any]) -> Facts:
    """The facts in a row of the catalog."""
    return {name: value for name, value in row.items() if name not in EXTRA_COLUMNS}
