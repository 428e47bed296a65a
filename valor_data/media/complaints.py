"""What ffmpeg's words mean: a log as an error with its reason. The tables are data, a true line a row."""

import re
from collections.abc import Iterator, Sequence
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
from valor_data.media.ffmpeg import Line


class Complaint(NamedTuple):
    """A pattern of one line, and what it says about the clip."""

    pattern: str
    reason: Reason | None
    """None: the disk is full, so the run stops."""
    example: str


MEDIA = (
    Complaint(
        r"No space left on device|Disk quota exceeded", None,
        "[out#0/mp4 @ 0x1] Error writing trailer: No space left on device",
    ),
    Complaint(
        r"encrypt|decryption key", Reason.DRM,
        "[in#0 @ 0x1] hit EOF while reading sub-sample encryption info",
    ),
    Complaint(
        r"no decoder found|Decoder .*not found|Unknown decoder|unknown codec|[Nn]ot (yet )?implemented"
        r"|while opening encoder|[Ee]rror reinitializing filters|Impossible to convert",
        Reason.UNSUPPORTED_FORMAT,
        "[aist#0:0/none @ 0x1] Decoding requested, but no decoder found for: none",
    ),
    Complaint(
        r"Output file does not contain any stream|matches no streams", Reason.NO_VIDEO,
        "[out#0/mp4 @ 0x1] Output file does not contain any stream",
    ),
    Complaint(
        r"Error opening input: (Input/output error|End of file)|Error during demuxing: Input/output error",
        Reason.TRANSPORT,
        "[in#0 @ 0x1] Error opening input: Input/output error",
    ),
    Complaint(
        r"moov atom not found|[Ii]nvalid (data|NAL|nal|.*found)|error (reading|while|splitting)|partial file"
        r"|[Cc]orrupt|[Dd]amaged|[Mm]issing|[Tt]runcated|no frame|out of range|contradict|unspecified"
        r"|track id unknown|[Ee]rror (during demuxing|submitting|while decoding)",
        Reason.CORRUPT,
        "[in#0 @ 0x1] moov atom not found",
    ),
)  # fmt: skip
"""What the bytes, or this machine, can suffer. What the way to the bytes suffers, the transfer door tells."""

_SPEAKER = re.compile(r"^(\[[^\]]*\] )+")
_ECHO = re.compile(r"^(\[[^\]]*\] )?(Error opening (input|output)( files?)?[ :]|Conversion failed!)")
_LONGEST = 400
_MOST_LINES = 4


def error_of(log: Sequence[Line]) -> ValorDataError:
    """The error that a failed run's log amounts to, in ffmpeg's own words."""
    found = _first(log)
    if not found:
        return RetryableError(Reason.UNKNOWN, _words(_errors(log) or [line.text for line in log[-2:]]))
    complaint, text = found
    errors = _errors(log)
    words = _words(errors if text in errors else [text, *errors])
    return FatalError(words) if complaint.reason is None else clip_error(complaint.reason, words)


def no_picture(log: Sequence[Line]) -> ValorDataError:
    """The error of a run that ended in order although not one frame of the picture could be decoded."""
    if _first(log):
        return error_of(log)
    return ItemError(Reason.CORRUPT, "no frame of the picture could be decoded")


def unfinished(log: Sequence[Line]) -> str:
    """What ffmpeg was at when its time was up."""
    return _words(["ffmpeg did not finish in time", *(_errors(log) or [line.text for line in log[-1:]])])


def _first(log: Sequence[Line]) -> tuple[Complaint, str] | None:
    lines = [line.text for line in log if line.level in ("fatal", "error", "warning")]
    for complaint in MEDIA:
        pattern = re.compile(complaint.pattern)
        for text in lines:
            if pattern.search(text):
                return complaint, text
    return None


def _errors(log: Sequence[Line]) -> list[str]:
    """Lines of error, those that only repeat the cause left out where there is another."""
    texts = [line.text for line in log if line.level in ("fatal", "error")]
    return [text for text in texts if not _ECHO.match(text)] or texts[:1]


def _words(lines: Sequence[str]) -> str:
    return without_secrets("; ".join(_distinct(lines)))[:_LONGEST]


def _distinct(lines: Sequence[str]) -> Iterator[str]:
    bare = dict.fromkeys(_SPEAKER.sub("", line).strip() for line in lines)
    yield from [line for line in bare if line][:_MOST_LINES]
