"""One sample after the other: does it tell of the clip that it is, and of no other?"""

import hashlib
import json
import tempfile
from pathlib import Path

from valor_data import layout, manifest
from valor_data.errors import ItemError
from valor_data.manifest import Facts
from valor_data.media.check import decodes
from valor_data.shards.walk import Outline
from valor_data.stages.release.deep import Deep
from valor_data.stages.release.problems import Problems, first_line


class Samples:
    """What is known of the samples so far: their keys, and the split of each video."""

    def __init__(self, problems: Problems, deep: Deep | None) -> None:
        self.seen: set[str] = set()
        self.split_of: dict[str, str] = {}
        self._leaked: set[str] = set()
        self._problems, self._deep = problems, deep

    def check(self, one: Outline, split: str, where: str, *, decode: bool) -> bool:
        """Look at a sample; False where it cannot be told which clip it is. `decode`: its media too."""
        video = self.place(one.key, split, where)
        if video is None:
            return False
        try:
            facts = json.loads(one.members["json"])
            caption = manifest.first_caption(facts)
            text = None if caption is None else caption.encode()
            media = manifest.media_files(facts)
            captions, said, of_split = (
                len(facts["captions"]),
                (facts["clip_id"], facts["video_id"]),
                facts["split"],
            )
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            self._problems.tell(f"{where}.json: not readable: {type(error).__name__}: {first_line(error)}")
            return True
        self._problems.counts["captions"] += captions
        if said != (one.key, video):
            self._problems.tell(f"{where}.json: tells of another clip, {said[0]} of video {said[1]}")
        if of_split != split:
            self._problems.tell(f"{where}.json: says split {of_split}, stands in {split}")
        if one.members.get("txt") != text:
            self._problems.tell(f"{where}.txt: is not the first caption of its json")
        for file in media:
            self._media(one, file, where)
        if decode or self._deep is not None:
            self._decode(one, media, facts, where)
        if self._deep is not None:
            self._deep.look_at(facts)
        return True

    def place(self, key: str, split: str, where: str) -> str | None:
        """Count a clip and its video; the video's id, or None where the key is no clip_id."""
        self._problems.counts["released"] += 1
        try:
            video = layout.parse_clip_id(key).video_id
        except ValueError:
            self._problems.tell(f"{where}: the key is no clip_id")
            return None
        if key in self.seen:
            self._problems.tell(f"{where}: the key stands in the release twice")
        self.seen.add(key)
        if self.split_of.setdefault(video, split) != split and video not in self._leaked:
            self._leaked.add(video)
            self._problems.tell(
                f"{where}: a leak: video {video} stands in {self.split_of[video]} and {split}"
            )
        return video

    def texts(self, facts: Facts) -> None:
        """Look at the facts of a clip without media."""
        self._problems.counts["captions"] += len(facts["captions"])
        if self._deep is not None:
            self._deep.look_at(facts)

    def _media(self, one: Outline, file: manifest.MediaFile, where: str) -> None:
        data = one.members.get(file.suffix)
        if data is None:  # its shard is as it was written, which is when its hash was looked at
            if one.lengths.get(file.suffix) != file.bytes:
                self._problems.tell(f"{where}.{file.suffix}: has not the length that its json says")
        elif hashlib.sha256(data).hexdigest() != file.sha256:
            self._problems.tell(f"{where}.{file.suffix}: sha256 differs from the one in its json")

    def _decode(self, one: Outline, media: list[manifest.MediaFile], facts: Facts, where: str) -> None:
        self._problems.counts["decoded"] += 1
        for suffix in (file.suffix for file in media if file.suffix in one.members):
            with tempfile.NamedTemporaryFile(prefix="valor-data-", suffix=f".{suffix}") as file:
                file.write(one.members[suffix])
                file.flush()
                try:
                    decodes(Path(file.name), "audio" if suffix == "flac" else "video")
                except ItemError as error:
                    self._problems.tell(f"{where}.{suffix}: does not decode: {error}")
                    return
                # The numbers of a derived file's facts are of what it was made of.
                if self._deep is not None and "media_sha256" not in facts:
                    self._deep.measure(Path(file.name), facts, where)


def place_digest(shard: str, index: int, facts: bytes) -> bytes:
    """Enough to tell a million clips apart, small enough to hold for all of them."""
    return hashlib.sha256(b"%b\0%d\0%b" % (shard.encode(), index, facts)).digest()[:16]
