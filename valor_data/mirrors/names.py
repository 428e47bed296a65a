"""How people spell the name of a clip, and an index of a million such names that stays small.

Times are never parsed out of names: `<id>_30_40` may mean seconds or milliseconds. From the clip
come the few names that it may have, the most precise first, and those are looked up.
"""

import re
from array import array
from collections.abc import Iterable
from typing import Literal

import numpy as np

from valor_data import layout
from valor_data.records import Clip

SUFFIXES = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".ts")
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac")
# yt-dlp's own way to name a file: `Title [id].mp4`.
_TITLED = re.compile(r" \[([A-Za-z0-9_-]{1,64})\]\Z")


def stems(clip: Clip, holds: Literal["clips", "videos"]) -> list[str]:
    """File names without suffix that this clip may have, the most precise first; of a whole video the id."""
    if holds == "videos":
        return [clip.video_id]
    video, spans = clip.video_id, (clip.start_ms, clip.end_ms)
    start, end = (str(ms / 1000) for ms in spans)  # 30.0, 30.5
    short_start, short_end = start.removesuffix(".0"), end.removesuffix(".0")
    found = [
        clip.clip_id,
        layout.official_id(clip.clip_id),
        f"{video}_{start}_{end}",
        f"{video}_{short_start}_{short_end}",
    ]
    if all(ms % 1000 == 0 for ms in spans):
        whole, last = (ms // 1000 for ms in spans)
        found.append(f"{video}_{whole:06d}_{last:06d}")
        if layout.YOUTUBE_ID.match(video):  # else `a` from 1 to 2 s reads like `a_1` from 2 s on
            found += [f"{video}_{whole:06d}", f"{video}_{whole}"]
    return list(dict.fromkeys(found))


def media_stem(name: str, suffixes: tuple[str, ...] = SUFFIXES) -> str | None:
    """Base name without its media suffix; None where it has none, or the file is hidden.

    Cuts the known suffix alone: an official id holds dots itself.
    """
    base = name.rsplit("/", 1)[-1]
    for suffix in suffixes:
        if base[-len(suffix) :].lower() == suffix:
            return None if base.startswith(".") else base[: -len(suffix)]
    return None


def key_of(name: str, holds: Literal["clips", "videos"]) -> str | None:
    """What a media file is found by: its stem; of a whole video the id that yt-dlp puts behind a title."""
    stem = media_stem(name)
    titled = _TITLED.search(stem) if stem is not None and holds == "videos" else None
    return titled[1] if titled else stem


class Names:
    """Stem -> places, in the order in which they came: about 130 bytes a name."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        hashes, ends, text = array("q"), array("Q", [0]), bytearray()
        for stem, place in pairs:
            hashes.append(hash(stem))
            text += _bytes(f"{stem}\0{place}")
            ends.append(len(text))
        keys = np.array(hashes, dtype=np.int64)
        self._order = np.argsort(keys, kind="stable")  # equal stems stay in the order of their places
        self._hashes = keys[self._order]
        self._ends, self._text = ends, bytes(text)

    def __len__(self) -> int:
        return len(self._hashes)

    def find(self, stem: str) -> list[str]:
        """All places of this stem; none where it is unknown."""
        first, last = (
            int(np.searchsorted(self._hashes, hash(stem), side=side)) for side in ("left", "right")
        )
        start = _bytes(f"{stem}\0")
        entries = (self._text[self._ends[at] : self._ends[at + 1]] for at in self._order[first:last])
        return [_text(entry[len(start) :]) for entry in entries if entry.startswith(start)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # file names need not be UTF-8


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
