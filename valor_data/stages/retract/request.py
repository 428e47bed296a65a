"""A request for takedown: a file of ids, one a line, read against the clips that there are."""

import re
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from valor_data import layout
from valor_data.errors import UserError
from valor_data.workspace import Workspace

_VIDEO = "video:"
_KNOWN = "a line is a clip_id, an official id (<video_id>_<start>_<end> in seconds), or video:<video_id>"


class Request(NamedTuple):
    """What shall go."""

    clips: frozenset[str]
    """All clips, those of the videos among them."""
    videos: frozenset[str]
    """Videos that go as a whole, with clips of them that nobody has listed yet."""


def read_request(workspace: Workspace, path: Path, released: Collection[str]) -> Request:
    """The clips and videos that a file names; `#` begins a remark. `released` are clips of standing releases,
    which may be more than the tables list.

    Raises UserError that names the file and the first line that is no id, or that names nothing that is
    listed, released or taken down.
    """
    lines = _lines(path)
    spellings = {number: _spellings(line) for number, line in lines if not line.startswith(_VIDEO)}
    videos = {number: line.removeprefix(_VIDEO).strip() for number, line in lines if line.startswith(_VIDEO)}
    known = workspace.tables.listed(
        {clip for some in spellings.values() for clip in some}, set(videos.values())
    )
    released_of: dict[str, set[str]] = {video: set() for video in videos.values()}
    for clip in released if videos else ():
        video = layout.parse_clip_id(clip).video_id
        if video in released_of:
            released_of[video].add(clip)
    clips: set[str] = set()
    for number, line in lines:
        if number in videos:
            found = known.of_videos.get(videos[number], set()) | released_of[videos[number]]
        else:
            some = spellings[number]
            if not some:
                raise UserError(f"{path}:{number}: {line!r} is no id: {_KNOWN}")
            found = {clip for clip in some if clip in known.clips or clip in released}
        if not found:
            raise UserError(
                f"{path}:{number}: {line!r} is nowhere in {workspace.root}: no list, no release and no "
                f"earlier request names it; {_KNOWN}"
            )
        clips |= found
    return Request(frozenset(clips), frozenset(videos.values()))


def moment_us(text: str) -> int:
    """Microseconds since 1970 UTC of a day or moment in ISO 8601, of the day's start where no time is given,
    in UTC where no zone is. Raises UserError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"--requested {text}: give a day such as 2026-11-20, or a moment in ISO 8601"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise UserError(f"--requested {text}: lies in the future")
    return round(moment.timestamp() * 1_000_000)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: not readable: {why}; check --ids") from None
    told = [(number, _without_remark(line)) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in told if line]
    if not lines:
        raise UserError(f"{path}: no id in it; {_KNOWN}")
    return lines


def _without_remark(line: str) -> str:
    line = line.strip()
    return "" if line.startswith("#") else re.split(r"\s#", line, maxsplit=1)[0].rstrip()


def _spellings(line: str) -> set[str]:
    """The clips that an id may mean: 30_40 may be milliseconds, or seconds in the official form."""
    found: set[str] = set()
    for read in (layout.parse_clip_id, layout.parse_official_id):
        try:
            found.add(layout.clip_id(*read(line)))
        except ValueError:
            continue
    return found
