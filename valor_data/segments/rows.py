"""One row's values -> a `Segment`, or a ValueError that says why not."""

import ast
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urldefrag, urlsplit

from valor_data import layout
from valor_data.records import Segment
from valor_data.segments import columns, encodings
from valor_data.segments.delimited import EXCEL_ERROR

_CLOCK = re.compile(r"(?:(?:(\d+):)?([0-5]?\d)|(\d+)):([0-5]?\d(?:[.,]\d+)?)", re.ASCII)
_PLAYER_TIME = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d+)?)s?)?", re.ASCII)
_WHOLE = re.compile(r"(\d{1,15})(?:\.0*)?", re.ASCII)  # pandas turns whole numbers with gaps into floats
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_MID = re.compile(r"/[a-z]/[A-Za-z0-9_]+")
_TEXT_KEPT = 200
_REASON_KEPT = 300
_LONGEST_MS = 10_000_000_000

Captions = tuple[tuple[str, str], ...]


class Bad(NamedTuple):
    """A row that could not be read."""

    line: int
    """Line number in the file, from 1 (row number in JSON lists and Parquet)."""
    reason: str
    text: str
    """The row as it stands, cut to 200 characters."""


def bad(line: int, reason: object, text: str) -> Bad:
    """A bad row whose text can be saved and printed, whatever bytes it had."""
    cut = text[: 2 * _TEXT_KEPT].strip()[:_TEXT_KEPT]
    return Bad(line, str(reason)[:_REASON_KEPT], _HALF_PAIR.sub("\ufffd", cut))


class Rows:
    """Makes segments for one list. `seconds`: length of a clip that has no end.

    With `addresses` false a video may be named by an id alone that is not YouTube's; `url` is then
    empty: enough for captions of clips that are known already.
    """

    def __init__(self, seconds: float, *, addresses: bool = True) -> None:
        self._length_ms = layout.milliseconds(seconds)
        self._addresses = addresses
        self._label_names = columns.label_names()

    def segment(
        self,
        line: int,
        video_id: str,
        start_ms: int,
        end_ms: int | None,
        *,
        url: str = "",
        labels: tuple[str, ...] = (),
        captions: Captions = (),
        split: str | None = None,
        licence: str | None = None,
    ) -> Segment:
        """A segment of a video that is named by id, address or both."""
        if end_ms is None:
            end_ms = start_ms + self._length_ms
        if end_ms <= start_ms:
            raise ValueError(f"end {end_ms / 1000:g} s is not after start {start_ms / 1000:g} s")
        if not url and layout.YOUTUBE_ID.match(video_id):
            source, url = "youtube", layout.youtube_url(video_id)
        else:
            source, video_id, url = self._place(video_id, url)
        clip = layout.clip_id(video_id, start_ms, end_ms)
        return Segment(line, clip, source, video_id, start_ms, end_ms, url, labels, captions, split, licence)

    def official(self, line: int, name: object, captions: Captions = ()) -> Segment:
        """A segment that an id in VALOR's form names (`x-2Abohj8VY_30.000_40.000`)."""
        return self.segment(line, *layout.parse_official_id(text_of(name, "id")), captions=captions)

    def from_columns(self, line: int, cells: Mapping[str, Any]) -> Segment:
        """A segment from values under our column names (`columns.COLUMNS`); what misses is absent."""
        video_id, url = text_of(cells.get("video_id"), "video id"), text_of(cells.get("url"), "url")
        if not url and "://" in video_id:
            video_id, url = "", video_id
        start_ms = _moment(cells, "start")
        end_ms = _moment(cells, "end")
        if start_ms is None:
            video_id, start_ms, named_end = _span_of(cells, video_id, url)
            end_ms = end_ms if end_ms is not None else named_end
        if end_ms is None and (duration_ms := _moment(cells, "duration")) is not None:
            end_ms = start_ms + duration_ms
        return self.segment(
            line,
            video_id,
            start_ms,
            end_ms,
            url=url,
            labels=self.labels(cells.get("labels")),
            captions=_captions(cells),
            split=_split(cells.get("split")),
            licence=text_of(cells.get("licence"), "licence") or None,
        )

    def mids(self, text: str) -> tuple[str, ...]:
        """AudioSet's comma list of machine ids as display names; what is unknown stays as it is."""
        if not text.isascii():
            text = text_of(text, "label list")
        name = self._label_names.get
        return tuple([name(mid, mid) for part in text.split(",") if (mid := part.strip())])

    def labels(self, value: object) -> tuple[str, ...]:
        """A list, its text in JSON, or names between `;` or `|`; machine ids also between commas."""
        if value is None or value == "":
            return ()
        parts = _as_list(value)
        if parts is None:
            text = text_of(value, "label")
            commas = [part.strip() for part in text.split(",")]
            parts = commas if all(map(_MID.fullmatch, commas)) else re.split(r"[;|]", text)
        names = [text_of(part, "label") for part in parts]
        return tuple(self._label_names.get(name, name) for name in names if name)

    def _place(self, video_id: str, url: str) -> tuple[str, str, str]:
        """(source, video_id, url). YouTube's id wins where the address has one."""
        for text in (video_id, url):
            if text[:1] == "=" or EXCEL_ERROR.match(text):
                raise ValueError(
                    f"{text!r}: a spreadsheet took the id for a formula; restore the original id"
                )
        if not url:
            if not video_id:
                raise ValueError("no video id and no url")
            if not self._addresses:
                return "url", layout.video_id("url", video_id), ""
            if layout.youtube_id(video_id) is None:
                raise ValueError(f"{video_id!r} is not a YouTube id and there is no url")
            video_id, url = "", video_id
        youtube = url if layout.YOUTUBE_ID.match(url) else layout.youtube_id(url)
        if youtube:
            if layout.YOUTUBE_ID.match(video_id) and video_id != youtube:
                raise ValueError(f"the video id is {video_id!r}, but the url names {youtube!r}")
            return "youtube", youtube, layout.youtube_url(youtube)
        _check_address(url)
        url, fragment = urldefrag(url)
        if fragment and not fragment.startswith("t="):  # a time is the clip's business, not the video's
            url = f"{url}#{fragment}"
        return "url", layout.video_id("url", video_id or url), url


def address_span(url: str) -> tuple[int | None, int | None]:
    """(start, end) that an address names in `t`, `start`, `end` or `#t=start,end`; milliseconds."""
    if "=" not in url:
        return None, None
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    fragment = parse_qs(parts.fragment).get("t", [""])[0].removeprefix("npt:").split(",")
    starts = [*query.get("t", []), *query.get("start", []), fragment[0]]
    ends = [*query.get("end", []), *fragment[1:2]]
    return _first_time(starts), _first_time(ends)


def _first_time(texts: list[str]) -> int | None:
    for text in texts:
        match = _PLAYER_TIME.fullmatch(text)
        if text and match:
            hours, minutes, seconds = match.groups(default="0")
            return layout.milliseconds(int(hours) * 3600 + int(minutes) * 60 + float(seconds))
    return None


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme.lower() in ("http", "https"):
        if not parts.hostname:
            raise ValueError(f"{url!r} names no host")
    elif "://" in url and parts.scheme != "file":
        raise ValueError(f"{url!r}: only http and https addresses can be fetched")
    elif parts.scheme == "file" or url[:1] in "/.~\\" or re.match(r"[A-Za-z]:[\\/]", url):
        raise ValueError(f"{url!r} is a file, not an address; serve it over http, or name a mirror")
    else:
        raise ValueError(f"{url!r} is no address; it begins with http:// or https://")


@lru_cache(maxsize=65_536)
def time_ms(text: str) -> int:
    """Seconds, `MM:SS` or `HH:MM:SS.mmm` as whole milliseconds. Raises ValueError."""
    clock = _CLOCK.fullmatch(text.strip())
    if not clock:
        return layout.milliseconds(text)
    hours, minutes, long_minutes, seconds = clock.groups(default="0")
    total_ms = (int(hours) * 3600 + int(minutes) * 60 + int(long_minutes) * 60) * 1000
    return _in_range(total_ms + layout.milliseconds(seconds.replace(",", ".")), text)


def text_of(value: object, what: str) -> str:
    """A value as text without outer spaces; empty for none. Raises ValueError for bytes that are no text."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"the {what} is no text but a {type(value).__name__}")
    if not value.isascii() and (half := _HALF_PAIR.search(value)):
        damage = (
            "bytes that are not valid in the list's encoding"
            if half[0] == encodings.BAD_BYTE
            else "half a character"
        )
        raise ValueError(f"the {what} holds {damage}")
    return value.strip()


def _moment(cells: Mapping[str, Any], name: str) -> int | None:
    """`<name>_ms` or `<name>` in milliseconds; None where the cell is absent or empty."""
    exact = cells.get(f"{name}_ms")
    if exact is not None and exact != "":
        whole = _WHOLE.fullmatch(str(exact).strip())
        if not whole:
            raise ValueError(f"{name} {exact!r} is no whole number of milliseconds")
        return _in_range(int(whole[1]), exact)
    value = cells.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        return time_ms(value) if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} {value!r} is no time")
    return layout.milliseconds(value)


def _in_range(value_ms: int, shown: object) -> int:
    if not 0 <= value_ms < _LONGEST_MS:
        raise ValueError(f"{shown!r} is no time between 0 and 10,000,000 seconds")
    return value_ms


def _span_of(cells: Mapping[str, Any], video_id: str, url: str) -> tuple[str, int, int | None]:
    """(video_id, start, end) of a row without a start: from a clip id, an id in VALOR's form, the
    address, or else the video's beginning (unless the list has starts and this row lacks its own)."""
    clip = text_of(cells.get("clip_id"), "clip id")
    if clip:
        try:
            return layout.parse_official_id(clip) if "." in clip else layout.parse_clip_id(clip)
        except ValueError:
            if not video_id and not url:
                raise
    if video_id and not layout.YOUTUBE_ID.match(video_id) and not url:
        try:
            return layout.parse_official_id(video_id)
        except ValueError:
            pass  # then it is an address, or refused as no YouTube id
    start_ms, end_ms = address_span(url or video_id)
    if start_ms is None and ("start" in cells or "start_ms" in cells):
        raise ValueError("no start")
    return video_id, start_ms or 0, end_ms


def _captions(cells: Mapping[str, Any]) -> Captions:
    numbered = sorted((int(name[7:]), name) for name in cells if name[:7] == "caption" and name[7:].isdigit())
    several = cells.get("captions")
    listed = _as_list(several)
    if listed and all(isinstance(one, dict) for one in listed):
        # Of a catalog of ours, whose `caption` is one of them.
        told = (
            (text_of(one.get("caption_id"), "caption id"), text_of(one.get("text"), "caption"))
            for one in listed
        )
        return tuple(one for one in told if one[1])
    values = [cells.get("caption"), *(cells[name] for _, name in numbered), *(listed or [several])]
    texts = [text for value in values if (text := text_of(value, "caption"))]
    external = text_of(cells.get("caption_id"), "caption id") if len(texts) == 1 else ""
    return tuple((external, text) for text in texts)


def captions_of(value: object) -> Captions:
    """A caption or a list of them, without ids."""
    values = value if isinstance(value, list) else [value]
    return tuple(("", text) for one in values if (text := text_of(one, "caption")))


def _split(value: object) -> str | None:
    text = text_of(value, "split")
    if not text:
        return None
    known = columns.split_of(text)
    if known is None:
        raise ValueError(f"unknown split {text!r}; known: {', '.join(columns.SPLITS)} and their synonyms")
    return known


def _as_list(value: object) -> list[Any] | None:
    """A list, or the list that a text writes in JSON or as Python does (pandas saves them so)."""
    if isinstance(value, list):
        return value
    if not isinstance(value, str) or not value.startswith("[") or not value.endswith("]"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None
