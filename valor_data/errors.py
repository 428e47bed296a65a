"""The exception tree and the closed list of reasons.

The class of an error is the runner's instruction:

    ValorDataError
    |- UserError        the person's input is wrong: told in one line, exit code 2
    |- ItemError        this clip is rejected, for a `Reason`; the run goes on
    |- RetryableError   this clip failed, for a `Reason`; it may work later
    `- FatalError       stop now, keep all that is done (disk full, corrupt part); exit code 1
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Kind(StrEnum):
    """What a reason means for the next step."""

    PERMANENT = "permanent"  # asking again gives the same answer
    LOGIN = "login"  # may work with cookies
    HOST = "host"  # the host blocks this visitor, not this clip
    EXPIRED = "expired"  # the media URL aged: resolve once more
    TRANSIENT = "transient"  # try again soon
    LATER = "later"  # try again in hours or days
    OURS = "ours"  # the bytes came; they cannot serve
    POLICY = "policy"  # the recipe's own rules on rights forbid it
    UNKNOWN = "unknown"  # nobody named it yet: it is listed in the report


class Reason(StrEnum):
    """Why a clip is not there. Closed: stages, tables and reports know no other word."""

    PRIVATE = "private"
    REMOVED = "removed"
    TERMINATED = "terminated"
    COPYRIGHT = "copyright"
    MEMBERS_ONLY = "members_only"
    DRM = "drm"
    GEO_BLOCKED = "geo_blocked"
    NOT_FOUND = "not_found"
    UNSUPPORTED_URL = "unsupported_url"
    LOGIN_REQUIRED = "login_required"
    AGE_RESTRICTED = "age_restricted"
    BOT_CHECK = "bot_check"
    RATE_LIMITED = "rate_limited"
    FORBIDDEN = "forbidden"
    SERVER_ERROR = "server_error"
    TRANSPORT = "transport"
    TIMEOUT = "timeout"
    TRUNCATED = "truncated"
    WORKER_DIED = "worker_died"
    LOST = "lost"
    UPCOMING = "upcoming"
    LIVE = "live"
    UNSUPPORTED_FORMAT = "unsupported_format"
    CORRUPT = "corrupt"
    NO_VIDEO = "no_video"
    NO_AUDIO = "no_audio"
    NOT_MEDIA = "not_media"
    TOO_LARGE = "too_large"
    PAST_END = "past_end"
    DISK = "disk"
    OPTED_OUT = "opted_out"
    RETRACTED = "retracted"
    NOT_PERMITTED = "not_permitted"
    UNKNOWN = "unknown"

    @property
    def kind(self) -> Kind:
        """The class of this reason, which decides on retries."""
        return _KINDS[self]


_KINDS = {
    Reason.PRIVATE: Kind.PERMANENT,
    Reason.REMOVED: Kind.PERMANENT,
    Reason.TERMINATED: Kind.PERMANENT,
    Reason.COPYRIGHT: Kind.PERMANENT,
    Reason.MEMBERS_ONLY: Kind.PERMANENT,
    Reason.DRM: Kind.PERMANENT,
    Reason.GEO_BLOCKED: Kind.PERMANENT,
    Reason.NOT_FOUND: Kind.PERMANENT,
    Reason.UNSUPPORTED_URL: Kind.PERMANENT,
    Reason.LOGIN_REQUIRED: Kind.LOGIN,
    Reason.AGE_RESTRICTED: Kind.LOGIN,
    Reason.BOT_CHECK: Kind.HOST,
    Reason.RATE_LIMITED: Kind.HOST,
    Reason.FORBIDDEN: Kind.EXPIRED,
    Reason.SERVER_ERROR: Kind.TRANSIENT,
    Reason.TRANSPORT: Kind.TRANSIENT,
    Reason.TIMEOUT: Kind.TRANSIENT,
    Reason.TRUNCATED: Kind.TRANSIENT,
    Reason.WORKER_DIED: Kind.TRANSIENT,
    Reason.LOST: Kind.TRANSIENT,
    Reason.UPCOMING: Kind.LATER,
    Reason.LIVE: Kind.LATER,
    Reason.UNSUPPORTED_FORMAT: Kind.OURS,
    Reason.CORRUPT: Kind.OURS,
    Reason.NO_VIDEO: Kind.OURS,
    Reason.NO_AUDIO: Kind.OURS,
    Reason.NOT_MEDIA: Kind.OURS,
    Reason.TOO_LARGE: Kind.OURS,
    Reason.PAST_END: Kind.OURS,
    Reason.DISK: Kind.OURS,
    Reason.OPTED_OUT: Kind.POLICY,
    Reason.RETRACTED: Kind.POLICY,
    Reason.NOT_PERMITTED: Kind.POLICY,
    Reason.UNKNOWN: Kind.UNKNOWN,
}


STATUSES = {
    401: Reason.LOGIN_REQUIRED, 402: Reason.MEMBERS_ONLY, 403: Reason.FORBIDDEN, 404: Reason.NOT_FOUND,
    407: Reason.TRANSPORT, 408: Reason.TIMEOUT, 410: Reason.NOT_FOUND, 429: Reason.RATE_LIMITED,
    451: Reason.GEO_BLOCKED,
}  # fmt: skip
"""HTTP statuses that say why an answer does not hold what was asked for."""


def reason_of_status(status: int) -> Reason:
    """The reason in an HTTP status; 5xx is `server_error`, what nobody named `unknown`."""
    return Reason.SERVER_ERROR if status >= 500 else STATUSES.get(status, Reason.UNKNOWN)


class ValorDataError(Exception):
    """Every error that this package raises on purpose."""


class UserError(ValorDataError):
    """The person's input is wrong. The message names file, line or key, and the mend."""


class FatalError(ValorDataError):
    """The run stops now; what is done is kept."""


class _ClipError(ValorDataError):
    """An error of one clip: a reason of the closed list, the original message, and how long the host
    asked to be left alone, where it did (seconds, from Retry-After)."""

    def __init__(self, reason: Reason, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason, message, retry_after_s)  # all in args, so that it survives pickling
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class ItemError(_ClipError):
    """This clip is rejected; asking again would give the same answer."""


class RetryableError(_ClipError):
    """This clip failed for now; the runner backs off and tries again."""


def clip_error(
    reason: Reason, message: str, retry_after_s: float | None = None
) -> ItemError | RetryableError:
    """The error whose class fits the reason's kind: what may work later is retryable."""
    final = reason.kind in (Kind.PERMANENT, Kind.OURS, Kind.LOGIN, Kind.POLICY)
    return (ItemError if final else RetryableError)(reason, message, retry_after_s)


@contextmanager
def full_disk_told(where: str) -> Iterator[None]:
    """Turn a full disk into a FatalError that names the place and the mend."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        told = f"{where}: the disk is full; free some space and run the command again"
        raise FatalError(told) from error


_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_IN_ADDRESS = (
    (re.compile(r"(?<=://)[^/@]+@"), ""),
    # Of a query only what names the video is kept: the rest may sign or identify.
    (re.compile(r"(?<=[?&])(?!(?:v|id|list)=)[^&#]+(?:&(?!(?:v|id|list)=)[^&#]+)*"), "..."),
    (re.compile(r"(?i)(/(?:l?sig|signature|token|key|auth)/)[^/]+"), r"\1..."),
)
_IN_TEXT = (
    (re.compile(r"(?i)\b((?:set-)?cookie|(?:proxy-)?authorization)(\s*[:=]\s*)[^\r\n]+"), r"\1\2..."),
    (re.compile(r"(?i)\b((?:po_?|access_|refresh_)?token|signature|password)(\s*=\s*)[^\s,;&]+"), r"\1\2..."),
)


def without_secrets(text: str) -> str:
    """The text with signatures, cookies, passwords and tokens replaced by `...`; the rest word for word."""

    def clean(match: re.Match[str]) -> str:
        address = match[0]
        for pattern, kept in _IN_ADDRESS:
            address = pattern.sub(kept, address)
        return address

    text = _ADDRESS.sub(clean, text)
    for pattern, kept in _IN_TEXT:
        text = pattern.sub(kept, text)
    return text
