"""Reasons have a kind, errors survive a process border, and secrets stay out of messages."""

import pickle

import pytest

from valor_data.errors import ItemError, Kind, Reason, RetryableError, clip_error, without_secrets


@pytest.mark.parametrize("reason", Reason)
def test_the_class_of_an_error_fits_its_reason(reason: Reason) -> None:
    error = clip_error(reason, "said the host")
    final = reason.kind in (Kind.PERMANENT, Kind.LOGIN, Kind.OURS, Kind.POLICY)
    assert type(error) is (ItemError if final else RetryableError)
    again = pickle.loads(pickle.dumps(clip_error(reason, "said the host", 7.0)))
    assert again.retry_after_s == 7
    assert (type(again), again.reason, again.message) == (type(error), reason, "said the host")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Unsupported URL: https://x.example/a?sig=S&id=4", "Unsupported URL: https://x.example/a?...&id=4"),
        ("https://www.youtube.com/watch?v=abc&token=S", "https://www.youtube.com/watch?v=abc&..."),
        ("https://me:S@x.example/a", "https://x.example/a"),
        (
            "https://x.example/a/signature/S/sparams/ip/b.m3u8",
            "https://x.example/a/signature/.../sparams/ip/b.m3u8",
        ),
        ("Cookie: a=S; b=S", "Cookie: ..."),
        ("authorization: Bearer S", "authorization: ..."),
        ("po_token=S, refused", "po_token=..., refused"),
        ("What? No & never", "What? No & never"),
        ("moov atom not found", "moov atom not found"),
    ],
)
def test_secrets_are_taken_out_and_nothing_else(text: str, clean: str) -> None:
    assert without_secrets(text) == clean
