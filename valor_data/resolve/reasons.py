"""What yt-dlp's exceptions and warnings mean: by type, by sentence, by HTTP status, in this order."""

import re
from collections.abc import Iterator, Sequence

from yt_dlp.networking.exceptions import (
    HTTPError,
    IncompleteRead,
    NoSupportingHandlers,
    TransportError,
    UnsupportedRequest,
)
from yt_dlp.utils import ExtractorError, GeoRestrictedError, UnsupportedError, UserNotLive, YoutubeDLError

from valor_data.errors import (
    ItemError,
    Kind,
    Reason,
    RetryableError,
    clip_error,
    reason_of_status,
    without_secrets,
)
from valor_data.politeness import retry_after_s
from valor_data.resolve.sentences import MENDS, SENTENCES

TYPES: tuple[tuple[type[Exception], Reason], ...] = (
    (GeoRestrictedError, Reason.GEO_BLOCKED),
    (UnsupportedError, Reason.UNSUPPORTED_URL),
    (UserNotLive, Reason.LIVE),
)
"""Extraction errors whose type says it all; tried before the sentences."""

TRANSPORTS: tuple[tuple[type[Exception], Reason], ...] = (
    (IncompleteRead, Reason.TRUNCATED),
    (TransportError, Reason.TRANSPORT),
    (NoSupportingHandlers, Reason.UNSUPPORTED_URL),
    (UnsupportedRequest, Reason.UNSUPPORTED_URL),
)
"""Faults of the way. Their words name hosts and paths, so that no sentence is looked for in them."""

_ADDRESS = re.compile(r"[a-z]+://\S+")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_BOILERPLATE = re.compile(r"[;.]?\s*please report this issue on .*", re.IGNORECASE | re.DOTALL)
_NOISE = r"(Falling back on|Forcing) generic|Please report|attempting impersonation"
_LONGEST = 500
_LONGEST_TOLD = 800


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


def explained(error: ItemError | RetryableError, warnings: Sequence[str]) -> ItemError | RetryableError:
    """The error with what yt-dlp warned of just before it, where that tells the cause or the mend.

    An error that nobody named takes its reason from a host's refusal or a fault of the way that was only
    warned of: yt-dlp gives up on each of YouTube's clients with a warning, and then says that none answered.
    """
    told = [words for line in warnings if (words := words_of(line)) and words not in error.message]
    told = [words for words in dict.fromkeys(told) if not re.search(_NOISE, words)]
    reason = error.reason
    if reason is Reason.UNKNOWN:
        reason = next((found for words in told if (found := _reason_told(words))), reason)
    elif reason.kind in (Kind.LOGIN, Kind.HOST):
        told = [words for words in told if mends_of(words)]
    else:
        return error
    mends = mends_of("; ".join([error.message, *told]))
    if not told and not mends:
        return error
    message = "; ".join([error.message, *told])[:_LONGEST_TOLD]
    return clip_error(reason, "; ".join([message, *mends]), error.retry_after_s)


def mends_of(words: str) -> list[str]:
    """What a person may do about what the words tell of."""
    return [mend for pattern, mend in MENDS if re.search(pattern, words, re.IGNORECASE)]


def _reason_of(chain: Sequence[BaseException], words: str) -> Reason:
    for kind, reason in TYPES:
        if any(isinstance(cause, kind) for cause in chain):
            return reason
    for kind, reason in TRANSPORTS:
        if any(isinstance(cause, kind) for cause in chain):
            slow = reason is Reason.TRANSPORT and re.search(r"timed? ?out", words, re.IGNORECASE)
            return Reason.TIMEOUT if slow else reason
    # Without the prefix, which holds the video's id: ids, addresses and status lines may read like sentences.
    said = next((cause.orig_msg for cause in chain if isinstance(cause, ExtractorError)), words)
    https = [cause for cause in chain if isinstance(cause, HTTPError)]
    for cause in https:
        said = said.replace(str(cause), "")
    if (found := _sentence(said)) is not None:
        return found
    for cause in https:
        return Reason.SERVER_ERROR if cause.redirect_loop else reason_of_status(cause.status)
    return Reason.UNKNOWN


def _sentence(said: str) -> Reason | None:
    bare = _ADDRESS.sub("", said)
    fitting = (row.reason for row in SENTENCES if re.search(row.pattern, bare, re.IGNORECASE))
    return next(fitting, None)


def _reason_told(warning: str) -> Reason | None:
    """The reason in a warning, where it is the host's or the way's; what it says of some formats is none."""
    status = re.search(r"HTTP Error (\d{3})", warning)
    reason = reason_of_status(int(status[1])) if status else _sentence(warning)
    return reason if reason and reason.kind in (Kind.HOST, Kind.TRANSIENT) else None


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
