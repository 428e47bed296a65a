"""What yt-dlp says, and what it means."""

import email.utils
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UserNotLive

from tests.fakes.media_server import Fault, MediaServer
from valor_data.errors import STATUSES, Kind, Reason, RetryableError, clip_error
from valor_data.recipe import Access, Fetch
from valor_data.resolve import Resolver
from valor_data.resolve.reasons import error_of, explained
from valor_data.resolve.sentences import SENTENCES, Sentence


@pytest.mark.parametrize(
    ("sentence", "example"),
    [(s, e) for s in SENTENCES for e in s.examples],
    ids=[e[:60] for s in SENTENCES for e in s.examples],
)
def test_each_sentence_is_caught_by_its_own_row(sentence: Sentence, example: str) -> None:
    first = next(row for row in SENTENCES if re.search(row.pattern, example, re.IGNORECASE))
    assert first is sentence
    error = _as_downloaded(ExtractorError(example, video_id="private video", expected=True))
    assert error_of(error).reason is sentence.reason


def _as_downloaded(cause: Exception) -> DownloadError:
    """The way yt-dlp hands an extractor's error on."""
    try:
        raise cause
    except type(cause):
        return DownloadError(f"\x1b[0;31mERROR:\x1b[0m {cause}", sys.exc_info())


def _http(status: int) -> HTTPError:
    class Response:
        def __init__(self) -> None:
            self.status, self.reason = status, "said the host"
            self.headers = {"Retry-After": "7"}

        def close(self) -> None:
            pass

    return HTTPError(Response())


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (GeoRestrictedError("Not here", countries=["US"]), Reason.GEO_BLOCKED),
        (UserNotLive(), Reason.LIVE),
        (TransportError("Connection reset by peer"), Reason.TRANSPORT),
        (TransportError("The read operation timed out"), Reason.TIMEOUT),
        (IncompleteRead(100, 900), Reason.TRUNCATED),
        (ExtractorError("A wrapped fault", cause=_http(503)), Reason.SERVER_ERROR),
        (ExtractorError("A sentence that nobody knows", expected=True), Reason.UNKNOWN),
        *(
            (ExtractorError("A wrapped fault", cause=_http(status)), reason)
            for status, reason in STATUSES.items()
        ),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_types_and_statuses(cause: Exception, reason: Reason) -> None:
    error = error_of(_as_downloaded(cause))
    assert error.reason is reason
    assert error.retry_after_s == (7 if "HTTPError" in repr(cause) else None)


def test_the_words_are_kept_without_their_trappings() -> None:
    plea = "; please report this issue on  https://github.com/x/issues?q= , filling out the template"
    error = error_of(DownloadError(f"\x1b[0;31mERROR:\x1b[0m [x] 1: No video formats found!{plea}"))
    assert error.message == "[x] 1: No video formats found!"
    assert isinstance(error, RetryableError)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        # An id, a host or a path may read like a sentence.
        ("'https://x.example/private video' is not a valid URL", Reason.UNSUPPORTED_URL),
        ("Unsupported URL: https://premium.example/captcha", Reason.UNSUPPORTED_URL),
        ("This video is unavailable", Reason.REMOVED),
        # Of these nobody knows whether the video, yt-dlp or this visitor is at fault.
        ("This video is not available", Reason.UNKNOWN),
        ("Failed to extract any player response", Reason.UNKNOWN),
        ("No video formats found!", Reason.UNKNOWN),
        ("An extractor error has occurred. (caused by KeyError('x'))", Reason.UNKNOWN),
        ("Video data not found in the page", Reason.UNKNOWN),
        ("Unable to extract video ID from webpage", Reason.UNKNOWN),
        # Sentences in other scripts and tongues stay as they are.
        ("这个视频不可用", Reason.UNKNOWN),
        ("Это видео недоступно", Reason.UNKNOWN),
    ],
)
def test_what_is_not_certain_stays_unknown(said: str, reason: Reason) -> None:
    error = error_of(_as_downloaded(ExtractorError(said, expected=True)))
    assert error.reason is reason
    assert said.partition("https")[0] in error.message


def test_words_of_the_way_are_no_sentence_of_the_platform() -> None:
    said = "Unable to download webpage: HTTPSConnection(host='premium.example'): Failed to resolve"
    cause = TransportError("private video: Failed to resolve 'premium.example'")
    assert error_of(_as_downloaded(ExtractorError(said, cause=cause))).reason is Reason.TRANSPORT
    late = TransportError("HTTPSConnection(host='private.example'): Read timed out.")
    assert error_of(_as_downloaded(ExtractorError(str(late), cause=late))).reason is Reason.TIMEOUT


def test_a_status_line_is_no_sentence_of_the_platform() -> None:
    cause = _http(404)
    cause.reason = cause.msg = "Captcha"
    said = f"Unable to download webpage: {cause}"
    assert error_of(_as_downloaded(ExtractorError(said, cause=cause))).reason is Reason.NOT_FOUND


def test_every_reason_that_a_platform_may_give_has_an_example() -> None:
    told = {row.reason for row in SENTENCES} | set(STATUSES.values())
    of_platforms = {
        reason for reason in Reason if reason.kind in (Kind.PERMANENT, Kind.LOGIN, Kind.HOST, Kind.LATER)
    }
    assert of_platforms <= told
    assert all(row.examples for row in SENTENCES)


# How long to wait


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MediaServer]:
    (tmp_path / "v.mp4").write_bytes(b"x")
    with MediaServer(tmp_path) as running:
        yield running


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_passed_on_in_both_its_forms(status: int, as_date: bool, server: MediaServer) -> None:
    asked = email.utils.formatdate(time.time() + 90, usegmt=True) if as_date else "90"
    server.faults["v.mp4"] = Fault(status=status, retry_after=asked)
    with pytest.raises(RetryableError) as caught:
        Resolver(Fetch(), Access()).resolve(server.url("v.mp4"))
    assert caught.value.retry_after_s == pytest.approx(90, abs=5)
    assert caught.value.reason is (Reason.RATE_LIMITED if status == 429 else Reason.SERVER_ERROR)


# What was warned of before


NO_ANSWER = "[youtube] jNQXAC9IVRw: Failed to extract any player response"
NO_FORMATS = "[youtube] jNQXAC9IVRw: No video formats found!"


@pytest.mark.parametrize(
    ("message", "warning", "reason", "told"),
    [
        (NO_ANSWER, "[youtube] Unable to download API page: HTTP Error 429: Too Many Requests",
         Reason.RATE_LIMITED, "HTTP Error 429"),
        (NO_ANSWER, "[youtube] Unable to download API page: HTTP Error 503: Unavailable",
         Reason.SERVER_ERROR, "HTTP Error 503"),
        (NO_ANSWER, "[youtube] The read operation timed out. Retrying (1/1)...", Reason.TIMEOUT, "timed out"),
        (NO_ANSWER, "[youtube] Sign in to confirm you're not a bot", Reason.BOT_CHECK, "not a bot"),
        (NO_ANSWER, "[youtube] something new", Reason.UNKNOWN, "something new; a newer yt-dlp"),
        (NO_FORMATS, "[youtube] jNQXAC9IVRw: n challenge solving failed: Some formats may be missing. Ensure "
         "you have a supported JavaScript runtime", Reason.UNKNOWN, "'valor-data doctor' tells"),
        (NO_FORMATS, "[youtube] jNQXAC9IVRw: Signature solving failed: Some formats may be missing",
         Reason.UNKNOWN, "'valor-data doctor'"),
        (NO_FORMATS, "[youtube] jNQXAC9IVRw: web client https formats require a GVS PO Token which was not "
         "provided", Reason.UNKNOWN, "access.pot_provider"),
        (NO_FORMATS, "[youtube] Some tv client https formats have been skipped as they are DRM protected",
         Reason.UNKNOWN, "DRM protected"),
        (NO_FORMATS, "[youtube] The provided YouTube account cookies are no longer valid.", Reason.UNKNOWN,
         "export the cookies anew"),
    ],
)  # fmt: skip
def test_a_warning_that_explains_a_dark_error_is_told(
    message: str, warning: str, reason: Reason, told: str
) -> None:
    error = explained(RetryableError(Reason.UNKNOWN, message), ["[generic] Falling back on generic", warning])
    assert error.reason is reason
    assert error.message.startswith(message)
    assert told in error.message
    assert "Falling back" not in error.message


def test_cookies_that_ran_out_explain_a_bot_check_too() -> None:
    error = clip_error(Reason.BOT_CHECK, "Sign in to confirm you're not a bot", 60)
    told = explained(error, ["cookies are no longer valid", "a warning of something else"])
    assert told.reason is Reason.BOT_CHECK
    assert told.retry_after_s == 60
    assert "export the cookies anew" in told.message
    assert "something else" not in told.message


def test_what_explains_itself_is_left_alone() -> None:
    error = clip_error(Reason.PRIVATE, "Private video")
    assert explained(error, ["n challenge solving failed: no JavaScript runtime"]) is error
    unknown = clip_error(Reason.UNKNOWN, "A sentence that nobody knows")
    assert explained(unknown, []) is unknown


def test_what_is_added_is_bounded_and_holds_no_secret() -> None:
    lines = [f"warning {n} https://x.example/v?signature=SECRET {'x' * 300}" for n in range(100)]
    told = explained(RetryableError(Reason.UNKNOWN, "dark"), lines)
    assert len(told.message) < 1000
    assert "SECRET" not in told.message
