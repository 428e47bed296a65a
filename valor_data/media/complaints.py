"""What ffmpeg's words mean: its log lines as reasons. The table is data, with a true line for each row."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from valor_data.errors import (
    FatalError,
    ItemError,
    Reason,
    RetryableError,
    ValorDataError,
    clip_error,
    without_secrets,
)


class Complaint(NamedTuple):
    """A pattern of one log line, and what it says about the clip."""

    pattern: str
    reason: Reason | None
    """None: the disk is full, so the run stops."""
    example: str


NETWORK = (
    Complaint(r"HTTP error 404|HTTP error 410", Reason.NOT_FOUND, "[http @ 0x1] HTTP error 410 Gone"),
    Complaint(r"HTTP error 40[13]", Reason.FORBIDDEN, "[https @ 0x1] HTTP error 403 Forbidden"),
    Complaint(r"HTTP error 429", Reason.RATE_LIMITED, "[https @ 0x1] HTTP error 429 Too Many Requests"),
    Complaint(r"HTTP error 5\d\d", Reason.SERVER_ERROR, "[http @ 0x1] HTTP error 503 Service Unavailable"),
    Complaint(r"HTTP error 451", Reason.GEO_BLOCKED, "[http @ 0x1] HTTP error 451 Legal Reasons"),
    Complaint(r"HTTP error 4\d\d", Reason.NOT_FOUND, "[http @ 0x1] HTTP error 400 Bad Request"),
    Complaint(
        r"(Stream ends|ended) prematurely", Reason.TRUNCATED,
        "[http @ 0x1] Stream ends prematurely at 2000, should be 820410",
    ),
    Complaint(
        r"timed out|ETIMEDOUT", Reason.TIMEOUT, "[in#0 @ 0x1] Error opening input: Connection timed out",
    ),
    Complaint(
        r"Connection (refused|reset)|Broken pipe|Network is unreachable|No route to host|Failed to resolve"
        r"|error in the (push|pull) function|(TLS|SSL)_?.*(fail|error)|certificate",
        Reason.TRANSPORT,
        "[tcp @ 0x1] Connection to tcp://127.0.0.1:42125 failed: Connection refused",
    ),
)  # fmt: skip
"""What the way to the bytes can suffer. Tried in order, over all lines, before `MEDIA`."""

MEDIA = (
    Complaint(
        r"No space left on device|Disk quota exceeded", None,
        "[out#0/mp4 @ 0x1] Error writing trailer: No space left on device",
    ),
    Complaint(
        r"\bencrypted\b|Incorrect or missing decryption key|[Uu]nsupported encryption", Reason.DRM,
        "[mov,mp4 @ 0x1] encrypted media stream, no decryption key",
    ),
    Complaint(
        r"no decoder found|Decoder .*not found|Unknown decoder|Could not find codec parameters"
        r"|not implemented|Nothing was written into output file|unknown codec|Not yet implemented",
        Reason.UNSUPPORTED_FORMAT,
        "Decoding requested, but no decoder found for: none",
    ),
    Complaint(
        r"matches no streams|does not contain any stream", Reason.NO_VIDEO,
        "Stream map '0:V:0' matches no streams.",
    ),
    Complaint(
        r"moov atom not found|Invalid data found|error reading header|partial file|corrupt"
        r"|Error (while )?decoding",
        Reason.CORRUPT,
        "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x1] moov atom not found",
    ),
    Complaint(
        r"Input/output error|End of file|Error reading HTTP response", Reason.TRANSPORT,
        "[in#0 @ 0x1] Error opening input: Input/output error",
    ),
)  # fmt: skip
"""What the bytes or this machine can suffer."""

_PREFIX = re.compile(r"^\[[^\]]*\]\s*")
_SUMMARY = re.compile(r"^(Error opening input files?|Error opening input file .*|Conversion failed!|Exiting)")
_LONGEST = 400


def error_of(log: Sequence[str]) -> ValorDataError:
    """The error that a failed run's log amounts to, with the telling lines word for word."""
    for table in (NETWORK, MEDIA):
        found = _first(table, log)
        if found:
            complaint, line = found
            if complaint.reason is None:
                return FatalError(_words([line]))
            return clip_error(complaint.reason, _words([line, *_closing(log)]))
    return RetryableError(Reason.UNKNOWN, _words(_closing(log) or list(log[-2:])) or "ffmpeg said nothing")


def no_frame(log: Sequence[str]) -> ValorDataError:
    """The error of a run that ended well, although no frame of the picture was decoded."""
    found = _first(NETWORK, log) or _first(MEDIA, log)
    return error_of(log) if found else ItemError(Reason.CORRUPT, "no frame of the picture could be decoded")


def unfinished(log: Sequence[str]) -> str:
    """What ffmpeg was at when its time was up."""
    return _words(["ffmpeg did not finish in time", *log[-1:]])


def interrupted(log: Sequence[str]) -> ItemError | RetryableError | None:
    """The fault of the way to the bytes that the log of a run with exit code 0 tells of, if any."""
    found = _first(NETWORK, log)
    if not found or found[0].reason is None:
        return None
    return clip_error(found[0].reason, _words([found[1]]))


def _first(table: Sequence[Complaint], log: Sequence[str]) -> tuple[Complaint, str] | None:
    for complaint in table:
        pattern = re.compile(complaint.pattern)
        for line in log:
            if pattern.search(line):
                return complaint, line
    return None


def _closing(log: Sequence[str]) -> list[str]:
    """ffmpeg's own last word on why it stopped."""
    return [line for line in log if "Error opening input:" in line or "Error during demuxing" in line][-1:]


def _words(lines: Sequence[str]) -> str:
    bare = [_PREFIX.sub("", _PREFIX.sub("", line)) for line in lines]
    return without_secrets("; ".join(dict.fromkeys(filter(None, bare))))[:_LONGEST]
