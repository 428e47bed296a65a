"""A mirror behind an address with the ids in it: one request a clip, nothing is listed."""

import string
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests
import urllib3

from valor_data import layout
from valor_data.errors import (
    Reason,
    RetryableError,
    UserError,
    clip_error,
    reason_of_status,
    without_secrets,
)
from valor_data.mirrors.names import SUFFIXES
from valor_data.mirrors.scratch import BLOCK, Got, Scratch
from valor_data.politeness import retry_after_s
from valor_data.recipe import Mirror
from valor_data.records import Clip

_IDS = {"video_id", "clip_id", "official_id"}
_FIELDS = _IDS | {"start_s", "end_s"}
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_LONGEST_SILENCE_S = 30.0


class Template:
    """Files by address. 404, 410 and a page in place of media mean that the clip is not there."""

    remarks: tuple[str, ...] = ()

    def __init__(self, mirror: Mirror, label: str, scratch: Scratch) -> None:
        self._mirror, self._scratch = mirror, scratch
        _check(mirror.at, label)
        self._session = requests.Session()
        self._session.max_redirects = 10
        self._session.headers["Accept-Encoding"] = "identity"  # else the length is not the file's

    @contextmanager
    def find(self, clip: Clip) -> Iterator[Got | None]:
        """A copy of the clip's file; None where the host has none. Raises ItemError, RetryableError."""
        address = self._mirror.at.format_map(_values(clip))
        suffix = Path(urlsplit(address).path).suffix
        told = without_secrets(address)
        with self._scratch.folder() as folder:
            path = folder / f"video{suffix if suffix.lower() in SUFFIXES else '.mp4'}"
            yield Got(path, told) if self._copied(address, path, told) else None

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()

    def _copied(self, address: str, path: Path, told: str) -> bool:
        silence_s = min(_LONGEST_SILENCE_S, self._scratch.limit_s)
        try:
            with self._session.get(address, stream=True, timeout=silence_s) as answer:
                if answer.status_code in _GONE:
                    return False
                if answer.status_code != HTTPStatus.OK:
                    raise _refusal(answer, told)
                length = answer.headers.get("Content-Length", "")
                if length.isdecimal():
                    self._scratch.check_size(int(length), told)
                pieces = _pieces(answer.raw)
                first = next(pieces, b"")
                if not first or _is_page(first, answer.headers.get("Content-Type", "")):
                    return False
                written = self._scratch.write(path, _chained(first, pieces), told)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise RetryableError(_reason_of(error), without_secrets(f"{told}: {error}")) from error
        if length.isdecimal() and written != int(length):
            raise RetryableError(Reason.TRUNCATED, f"{told}: {written} of {length} bytes came")
        return True


def _check(at: str, label: str) -> None:
    told = f"{label} = {without_secrets(at)!r}"
    try:
        fields = {name for _, name, form, _ in string.Formatter().parse(at) if name is not None or form}
    except ValueError as error:
        raise UserError(f"{told}: {error}; write a brace that is meant as one twice") from error
    known = ", ".join(f"{{{name}}}" for name in sorted(_FIELDS))
    if not fields <= _FIELDS or not fields & _IDS:
        raise UserError(f"{told}: a template names the clip by {known}")
    if not at.lower().startswith(("http://", "https://")):
        raise UserError(f"{told}: an address begins with http:// or https://; files are kind 'folder'")


def _values(clip: Clip) -> dict[str, str]:
    values = {
        "video_id": clip.video_id,
        "clip_id": clip.clip_id,
        "official_id": layout.official_id(clip.clip_id),
        "start_s": _seconds(clip.start_ms),
        "end_s": _seconds(clip.end_ms),
    }
    return {name: quote(value, safe="") for name, value in values.items()}


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}" if ms % 1000 else str(ms // 1000)


def _pieces(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body as it comes: a read that waits for a full block would hide a host that drips."""
    while piece := raw.read1(BLOCK):
        yield piece


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _is_page(first: bytes, kind: str) -> bool:
    """No container begins with markup or a JSON object; what the host calls it does not matter."""
    is_text = kind.startswith("text/") and first.isascii() and b"\0" not in first
    return is_text or first.lstrip()[:1] in (b"<", b"{")


def _refusal(answer: requests.Response, told: str) -> Exception:
    status = answer.status_code
    rest_s = retry_after_s(answer.headers.get("Retry-After"))
    return clip_error(reason_of_status(status), f"{told}: HTTP {status} {answer.reason}", rest_s)


def _reason_of(error: Exception) -> Reason:
    if isinstance(error, requests.TooManyRedirects):
        return Reason.SERVER_ERROR
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, urllib3.exceptions.IncompleteRead) or "IncompleteRead" in str(error):
        return Reason.TRUNCATED
    return Reason.TRANSPORT
