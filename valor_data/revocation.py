"""The revocation list of a dataset: which clips no reader may hand out any more, without their names.

    {"clips": ["<24 hex>", ...], "format": 1, "key": "<64 hex>", "videos": ["<24 hex>", ...]}

Each entry is HMAC-SHA256 under the dataset's key, cut to 96 bits: of a clip_id, or of a video_id where
the whole video goes, also clips of it that nobody has cut yet. The key is drawn once a dataset and stays,
so that the list of a later version holds that of an earlier one, entry by entry.

What that protects from: nobody reads the removed ids off the file, no search engine finds it by them, and
an id that cannot be guessed stays unknown. What it does not: the key stands in the file, for readers need
it, so whoever has a list of candidates (an older version, AudioSet's public lists) can test each of them.
A list that readers can check has no stronger form; what truly hides a removal is not to have released.
"""

import hmac
import json
import secrets
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

_HEX = 24  # 96 bits: of 10^6 clips against 10^5 entries one is refused wrongly once in 10^17 datasets

Keyed = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_HEX}}}$")]


class Revocations(BaseModel):
    """Keyed hashes of what was taken down. Immutable: `add` gives a longer one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    clips: frozenset[Keyed] = frozenset()
    videos: frozenset[Keyed] = frozenset()

    @classmethod
    def fresh(cls) -> Self:
        """An empty list under a key drawn now."""
        return cls(key=secrets.token_hex(32))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the bytes of `revoked.json`. Raises ValueError for what is none."""
        return cls.model_validate_json(data)

    def render(self) -> bytes:
        """The bytes of `revoked.json`; the same entries under the same key give the same bytes."""
        said = {
            "format": self.format,
            "key": self.key,
            "clips": sorted(self.clips),
            "videos": sorted(self.videos),
        }
        return f"{json.dumps(said, indent=1, sort_keys=True)}\n".encode()

    def add(self, clips: Iterable[str] = (), videos: Iterable[str] = ()) -> Self:
        """This list and clips by clip_id, and whole videos by video_id."""
        return self.model_copy(
            update={
                "clips": self.clips.union(self._hash("clip", one) for one in clips),
                "videos": self.videos.union(self._hash("video", one) for one in videos),
            }
        )

    def holds(self, clip_id: str) -> bool:
        """Whether a clip was taken down, by itself or with its video."""
        if self.clips and self._hash("clip", clip_id) in self.clips:
            return True
        # From the right, as `layout` takes ids apart; of what is no clip id nothing stands in the list.
        return bool(self.videos) and self._hash("video", clip_id.rsplit("_", 2)[0]) in self.videos

    def __len__(self) -> int:
        return len(self.clips) + len(self.videos)

    def _hash(self, kind: str, one: str) -> str:
        return hmac.digest(bytes.fromhex(self.key), f"{kind}\0{one}".encode(), "sha256").hex()[:_HEX]
