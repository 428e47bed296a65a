"""From the address of a video to the addresses of its bytes, and to what the platform says of it.

yt-dlp extracts, in this process, by one object that is used again and again; it never downloads.
What it raises becomes a `Reason` through the tables in `reasons`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import deno  # type: ignore[import-untyped]
from yt_dlp import YoutubeDL
from yt_dlp.utils import YoutubeDLError
from yt_dlp.utils._jsruntime import DenoJsRuntime
from yt_dlp.version import __version__

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.resolve.reasons import error_of, words_of

VERSION = f"yt-dlp@{__version__}"
_TIMEOUT_S = 20
_READABLE = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments")
"""Protocols that the media door reads."""


@dataclass(frozen=True)
class Stream:
    """One address to read from."""

    url: str
    http_headers: Mapping[str, str]
    format_id: str
    protocol: str
    """`https`, `m3u8_native`, ..., as yt-dlp names them."""
    ext: str
    has_video: bool
    has_audio: bool
    """Both are True where the platform does not say."""
    height: int | None = None
    filesize: int | None = None
    """Bytes; an estimate where the platform gives no better."""


@dataclass(frozen=True)
class Resolved:
    """What a platform says of one video, and where its bytes are for now: addresses age."""

    webpage_url: str
    extractor: str
    title: str | None
    channel_id: str | None
    upload_date: str | None
    """`YYYYMMDD`."""
    licence: str | None
    """As claimed."""
    duration_ms: int | None
    is_live: bool
    streams: tuple[Stream, ...]
    """One with the picture, with or without sound; or the picture and the sound."""
    made_by: str = VERSION


class Resolver:
    """Resolves one address after another; one a worker, not shared."""

    versions = VERSION

    def __init__(self, max_height: int) -> None:
        self._max_height = max_height
        self._log = _Log()
        self._ydl = YoutubeDL(_settings(self._log), auto_init="no_verbose_header")

    def resolve(self, url: str) -> Resolved:
        """The video at an address, with the smallest streams that serve.

        Raises ItemError or RetryableError with the reason and the platform's own words.
        """
        self._log.lines.clear()
        try:
            info = self._ydl.extract_info(url, download=False)
        except YoutubeDLError as error:
            raise error_of(error) from error
        if not info:
            raise RetryableError(Reason.UNKNOWN, self._log.last or "yt-dlp found nothing")
        if info.get("_type", "video") != "video":
            raise ItemError(Reason.UNSUPPORTED_URL, "the address is a list of videos, not one video")
        live = info.get("live_status")
        if live == "is_upcoming":
            raise RetryableError(Reason.UPCOMING, "the platform announces it for later")
        if info.get("is_live") or live in ("is_live", "post_live"):
            raise RetryableError(Reason.LIVE, "the platform still transmits or processes it")
        duration = info.get("duration")
        return Resolved(
            webpage_url=info.get("webpage_url") or url,
            extractor=info["extractor"],
            title=info.get("title"),
            channel_id=info.get("channel_id") or info.get("uploader_id"),
            # A bare file's date is that of its last change.
            upload_date=None if info.get("direct") else info.get("upload_date"),
            licence=info.get("license"),
            duration_ms=None if duration is None else round(duration * 1000),
            is_live=False,
            streams=choose(info.get("formats") or [info], self._max_height),
        )


def choose(formats: Sequence[Mapping[str, Any]], max_height: int) -> tuple[Stream, ...]:
    """The smallest formats that serve, out of yt-dlp's list (worst first).

    The best picture up to `max_height` with the best sound beside it; else the best combined one up
    to it; else the smallest there is. Unknown codecs and heights get the benefit of the doubt.
    Raises ItemError(NO_VIDEO) where no format holds a picture.
    """
    streams = [stream for stream in map(_stream, _readable(formats)) if stream]
    pictures = [stream for stream in streams if stream.has_video]
    if not pictures:
        if streams:
            raise ItemError(Reason.NO_VIDEO, "the platform offers sound only")
        raise RetryableError(
            Reason.UNKNOWN, "the platform offers nothing to play, only images or nothing at all"
        )
    sounds = [stream for stream in streams if stream.has_audio and not stream.has_video]
    fitting = [stream for stream in pictures if (stream.height or 0) <= max_height]
    silent = _largest([stream for stream in fitting if not stream.has_audio])
    whole = _largest([stream for stream in fitting if stream.has_audio])
    if silent and sounds:
        return (silent, sounds[-1])
    if chosen := whole or silent:
        return (chosen,)
    smallest = min(pictures, key=lambda stream: (stream.height or 0, not stream.has_audio))
    return (smallest,) if smallest.has_audio or not sounds else (smallest, sounds[-1])


def javascript_runtime() -> str | None:
    """`<path> <version>` of the JavaScript runtime that YouTube needs; None without a usable one."""
    info = DenoJsRuntime(path=_deno_path()).info
    return f"{info.path} {info.version}" if info and info.supported else None


def _deno_path() -> str | None:
    try:
        return str(deno.find_deno_bin())
    except FileNotFoundError:
        return None  # then yt-dlp looks on PATH


class _Log:
    """Takes what yt-dlp would print."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def debug(self, message: str) -> None:
        """Progress; nobody reads it."""

    info = debug

    def warning(self, message: str) -> None:
        """Kept until the next address."""
        self.lines.append(message)

    error = warning

    @property
    def last(self) -> str:
        return words_of(self.lines[-1]) if self.lines else ""


def _settings(log: _Log) -> dict[str, Any]:
    return {
        "logger": log,
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "cachedir": False,
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "lazy_playlist": True,
        "playlist_items": "1",
        "default_search": "error",
        "socket_timeout": _TIMEOUT_S,
        "extractor_retries": 1,  # the runner tries again, with patience
        "geo_bypass": False,  # a made-up X-Forwarded-For is no honest request
        "format": lambda context: iter(context["formats"][-1:]),  # `choose` does it
        "js_runtimes": {"deno": {"path": _deno_path()}},
    }


def _readable(formats: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Formats that the media door can read; those of another colour space only if there is no other."""
    good = [f for f in formats if f.get("url") and f.get("protocol", "https") in _READABLE]
    plain = [f for f in good if f.get("dynamic_range") in (None, "SDR")]
    return plain if any(f.get("vcodec") != "none" for f in plain) else good


def _stream(found: Mapping[str, Any]) -> Stream | None:
    has_video, has_audio = found.get("vcodec") != "none", found.get("acodec") != "none"
    if not has_video and not has_audio:
        return None  # images
    segments = found.get("protocol") == "http_dash_segments"
    size = found.get("filesize") or found.get("filesize_approx")
    return Stream(
        url=found["manifest_url"] if segments and found.get("manifest_url") else found["url"],
        http_headers=dict(found.get("http_headers") or {}),
        format_id=str(found.get("format_id", "")),
        protocol=found.get("protocol", "https"),
        ext=found.get("ext") or "",
        has_video=has_video,
        has_audio=has_audio,
        height=found.get("height"),
        filesize=int(size) if size else None,
    )


def _largest(streams: Sequence[Stream]) -> Stream | None:
    """The greatest height; of equals yt-dlp's favourite, which stands last."""
    return max(reversed(streams), key=lambda stream: stream.height or 0, default=None)
