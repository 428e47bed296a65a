"""From the address of a video to the addresses of its bytes, and to what the platform says of it.

yt-dlp extracts, in this process, by one object that is used again and again; it never downloads.
What it raises becomes a `Reason` through the tables in `reasons`.
"""

from dataclasses import dataclass
from typing import Any

from yt_dlp import YoutubeDL
from yt_dlp.utils import YoutubeDLError
from yt_dlp.version import __version__

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.recipe import Access, Fetch
from valor_data.resolve import dash
from valor_data.resolve.access import access_settings
from valor_data.resolve.formats import Choice, Stream, choose
from valor_data.resolve.reasons import error_of, explained, words_of
from valor_data.resolve.youtube import deno_path, has_token_provider, javascript_runtime, solver_versions

__all__ = [
    "VERSION", "Choice", "Resolved", "Resolver", "Stream", "choose", "has_token_provider",
    "javascript_runtime", "solver_versions",
]  # fmt: skip

VERSION = f"yt-dlp@{__version__}"
_TIMEOUT_S = 20


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
    licence_evidence: str | None
    """Where the claim stands."""
    duration_ms: int | None
    is_live: bool
    streams: tuple[Stream, ...]
    """One with the picture, with or without sound; or the picture and the sound."""
    condition: str | None
    """Why they are not what the recipe wants; see `Media.condition`."""
    made_by: str = VERSION


class Resolver:
    """Resolves one address after another; one a worker, not shared."""

    versions = VERSION

    def __init__(self, fetch: Fetch, access: Access) -> None:
        """Raises UserError, naming the key, for access that is missing or not readable."""
        dash.install()
        self._fetch = fetch
        self._log = _Log()
        self._ydl = YoutubeDL(_settings(self._log, access), auto_init="no_verbose_header")

    def resolve(self, url: str) -> Resolved:
        """The video at an address, with the smallest streams that serve.

        Raises ItemError or RetryableError with the reason and the platform's own words.
        """
        self._log.lines.clear()
        try:
            info = self._ydl.extract_info(url, download=False)
        except YoutubeDLError as error:
            raise explained(error_of(error), self._log.lines) from error
        if not info:
            raise RetryableError(Reason.UNKNOWN, self._log.last or "yt-dlp found nothing")
        if info.get("_type", "video") != "video":
            mend = "list its videos one by one"
            raise ItemError(Reason.UNSUPPORTED_URL, f"the address is a list of videos, not one video; {mend}")
        live = info.get("live_status")
        if live == "is_upcoming":
            raise RetryableError(Reason.UPCOMING, "the platform announces it for later")
        if info.get("is_live") or live in ("is_live", "post_live"):
            raise RetryableError(Reason.LIVE, "the platform still transmits or processes it")
        try:
            choice = choose(info.get("formats") or [info], self._fetch, self._cookies)
        except (ItemError, RetryableError) as error:
            raise explained(error, self._log.lines) from error
        duration, licence = info.get("duration"), info.get("license")
        return Resolved(
            webpage_url=info.get("webpage_url") or url,
            extractor=info["extractor"],
            title=info.get("title"),
            channel_id=info.get("channel_id") or info.get("uploader_id"),
            # A bare file's date is that of its last change.
            upload_date=None if info.get("direct") else info.get("upload_date"),
            licence=licence,
            licence_evidence=f"{info['extractor']}: license" if licence else None,
            duration_ms=None if duration is None else round(duration * 1000),
            is_live=False,
            streams=choice.streams,
            condition=choice.condition,
        )

    def _cookies(self, url: str) -> str | None:
        """The Cookie header that belongs to an address."""
        found = self._ydl.cookiejar.get_cookie_header(url)
        return str(found) if found else None


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


def _settings(log: _Log, access: Access) -> dict[str, Any]:
    """The closed list of yt-dlp's options that we set; no user configuration is read."""
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
        "allow_unplayable_formats": False,
        "js_runtimes": {"deno": {"path": deno_path()}},
        **access_settings(access),
    }
