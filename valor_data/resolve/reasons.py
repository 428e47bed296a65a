"""What yt-dlp's exceptions mean, as data: types, sentences of platforms, HTTP statuses.

The sentences are the platforms' own and change: a row is one pattern with true examples beside it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yt_dlp.networking.exceptions import (
    HTTPError,
    IncompleteRead,
    NoSupportingHandlers,
    TransportError,
    UnsupportedRequest,
)
from yt_dlp.utils import ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive, YoutubeDLError

from valor_data.errors import ItemError, Reason, RetryableError, clip_error, without_secrets
from valor_data.politeness import retry_after_s


class Sentence(NamedTuple):
    """What a platform says when it does not hand out a video."""

    pattern: str
    reason: Reason
    examples: tuple[str, ...]


SENTENCES = (
    Sentence(
        r"rate-limited by|content isn.t available, try again later|too many requests",
        Reason.RATE_LIMITED,
        (
            "This content isn't available, try again later. The current session has been rate-limited by "
            "YouTube for up to an hour.",
        ),
    ),
    Sentence(
        r"confirm you.?re not a (ro)?bot|captcha|unusual traffic|anti-bot|player responses are invalid",
        Reason.BOT_CHECK,
        (
            "Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies for the "
            "authentication.",
            "Video unavailable. YouTube is requiring a captcha challenge before playback",
            "All player responses are invalid. Your IP is likely being blocked by Youtube",
            "Got HTTP Error 403 caused by Cloudflare anti-bot challenge; see the documentation",
        ),
    ),
    Sentence(
        r"confirm your age|age.?restricted|age.?(verification|check|gate)|inappropriate for some users",
        Reason.AGE_RESTRICTED,
        (
            "Sign in to confirm your age. This video may be inappropriate for some users.",
            "This video is age-restricted and only available on YouTube",
        ),
    ),
    Sentence(
        r"members[- ]only|join this channel|available to this channel.s members|requires payment|purchase"
        r"|music premium|only available to (paying|subscribed)|subscribers only",
        Reason.MEMBERS_ONLY,
        (
            "Join this channel to get access to members-only content like this video, and other perks.",
            "This video is available to this channel's members on level: Supporter (or any higher level).",
            "This video requires payment to watch",
            "This video is only available to Music Premium members",
        ),
    ),
    Sentence(
        r"private video|video is private|this video has been set to private",
        Reason.PRIVATE,
        (
            "Private video. Sign in if you've been granted access to this video",
            "This video is private. If the owner of this video has granted you access, please sign in.",
        ),
    ),
    Sentence(
        r"(in|for) your (country|region|location)|from your location|geo.?(restrict|block)",
        Reason.GEO_BLOCKED,
        (
            "The uploader has not made this video available in your country",
            "Video unavailable. This video contains content from SME, who has blocked it in your country on "
            "copyright grounds",
            "This video is not available from your location due to geo restriction",
        ),
    ),
    Sentence(
        r"copyright (claim|grounds|infringement)|blocked it on copyright|contains content from",
        Reason.COPYRIGHT,
        (
            "Video unavailable. This video is no longer available due to a copyright claim by WMG",
            "This video contains content from UMG, who has blocked it on copyright grounds",
        ),
    ),
    Sentence(
        r"account .*(terminated|closed|suspended)|closed their .*account|channel .*(terminated|was deleted)",
        Reason.TERMINATED,
        (
            "Video unavailable. This video is no longer available because the YouTube account associated "
            "with this video has been terminated.",
            "This video is no longer available because the uploader has closed their YouTube account.",
        ),
    ),
    Sentence(
        r"live event will begin|premieres in|premiere will begin|is upcoming|stream .*not (yet )?started"
        r"|livestream will start|live event is scheduled|(live )?stream is offline",
        Reason.UPCOMING,
        (
            "This live event will begin in 3 days.",
            "Premieres in 45 minutes",
            "This live event is scheduled for 2026-12-01 20:00 (UTC)",
        ),
    ),
    Sentence(
        r"live stream recording is not available",
        Reason.REMOVED,
        ("This live stream recording is not available.",),
    ),
    Sentence(
        r"not currently live|is live now|video is live|is being processed|processing this video"
        r"|live (event|stream) has ended",
        Reason.LIVE,
        (
            "The channel is not currently live",
            "We're processing this video. Check back later.",
            "This live event has ended.",  # its recording may yet come
        ),
    ),
    Sentence(
        r"\bDRM\b|rights management",
        Reason.DRM,
        ("This video is DRM protected", "The requested site is known to use DRM protection."),
    ),
    Sentence(
        r"isn.t available\.?$",
        Reason.UNKNOWN,  # seen to come and go for one and the same video
        ("Video unavailable. This content isn\u2019t available.",),
    ),
    Sentence(
        r"has been removed|removed by the (uploader|user)|removed for violating|no longer available"
        r"|video (is )?unavailable|video is not available|does not exist|has been deleted|was deleted",
        Reason.REMOVED,
        (
            "Video unavailable. This video has been removed by the uploader",
            "This video has been removed for violating YouTube's Terms of Service",
            "Video unavailable",
            "This video is unavailable",
        ),
    ),
    Sentence(
        r"registered users|log ?in (required|to)|sign in|requires? (authentication|login)|account cookies",
        Reason.LOGIN_REQUIRED,
        (
            "This video is only available for registered users. Use --cookies, --username and --password",
            "Please sign in. Use --cookies-from-browser or --cookies for the authentication.",
        ),
    ),
    Sentence(
        r"requested format is not available",
        Reason.UNSUPPORTED_FORMAT,
        ("Requested format is not available. Use --list-formats for a list of available formats",),
    ),
    Sentence(
        r"is not a valid URL|file:// URLs|unsupported url|\bis an? (playlist|list of)|looks truncated",
        Reason.UNSUPPORTED_URL,
        (
            "'clip' is not a valid URL",
            "Unsupported URL: http://127.0.0.1:8000/page.html",
            "Incomplete YouTube ID N_708QY7Ob. URL https://www.youtube.com/watch?v=N_708QY7Ob looks truncated.",
        ),
    ),
    Sentence(
        r"page needs to be reloaded|an error occurred\. please try again|something went wrong",
        Reason.SERVER_ERROR,
        ("The page needs to be reloaded.", "An error occurred. Please try again later."),
    ),
    Sentence(r"timed? ?out", Reason.TIMEOUT, ("Unable to download webpage: The read operation timed out",)),
)
"""Tried in order, without regard to case; the first that fits names the reason."""

TYPES: tuple[tuple[type[Exception], Reason], ...] = (
    (GeoRestrictedError, Reason.GEO_BLOCKED),
    (UnsupportedError, Reason.UNSUPPORTED_URL),
    (UserNotLive, Reason.LIVE),
)
"""Extraction errors whose type says it all; tried before the sentences."""

STATUSES = {
    401: Reason.LOGIN_REQUIRED, 402: Reason.MEMBERS_ONLY, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT, 410: Reason.NOT_FOUND, 429: Reason.RATE_LIMITED, 451: Reason.GEO_BLOCKED,
}  # fmt: skip
"""HTTP statuses; 5xx is `server_error`. Tried after the sentences."""

TRANSPORTS: tuple[tuple[type[Exception], Reason], ...] = (
    (IncompleteRead, Reason.TRUNCATED),
    (TransportError, Reason.TRANSPORT),
    (NoSupportingHandlers, Reason.UNSUPPORTED_URL),
    (UnsupportedRequest, Reason.UNSUPPORTED_URL),
)
"""Faults of the way, tried last."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BOILERPLATE = re.compile(r"[;.]?\s*please report this issue on .*", re.IGNORECASE | re.DOTALL)
_LONGEST = 500


def error_of(error: YoutubeDLError) -> ItemError | RetryableError:
    """The error that an exception of yt-dlp amounts to, with the platform's own words."""
    words = words_of(str(error))
    chain = list(_causes(error))
    rest_s = None
    for cause in chain:
        if isinstance(cause, HTTPError):
            rest_s = rest_s or retry_after_s(cause.response.headers.get("Retry-After"))
            cause.close()  # yt-dlp leaves the answer open
    return clip_error(_reason_of(chain, words), words, rest_s)


def _reason_of(chain: Sequence[BaseException], words: str) -> Reason:
    for kind, reason in TYPES:
        if any(isinstance(cause, kind) for cause in chain):
            return reason
    # Without the prefix, which holds the video's id: an id may read like a sentence.
    said = next((cause.orig_msg for cause in chain if isinstance(cause, ExtractorError)), words)
    for sentence in SENTENCES:
        if re.search(sentence.pattern, said, re.IGNORECASE):
            return sentence.reason
    for cause in chain:
        if isinstance(cause, HTTPError):
            if cause.redirect_loop or cause.status >= 500:
                return Reason.SERVER_ERROR
            return STATUSES.get(cause.status, Reason.UNKNOWN)
    for kind, reason in TRANSPORTS:
        if any(isinstance(cause, kind) for cause in chain):
            return reason
    return Reason.UNKNOWN


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and all that it carries or comes from."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        carried = getattr(one, "exc_info", None) or (None, None)
        waiting += [carried[1], getattr(one, "cause", None), one.__cause__]


def words_of(text: str) -> str:
    """The original words, without colours, prefix, the plea for a report, and secrets."""
    bare = _BOILERPLATE.sub("", _ANSI.sub("", text)).removeprefix("ERROR:").strip()
    return without_secrets(bare)[:_LONGEST]
