"""Which of a platform's formats to read: the smallest that serve, and a name for an odd choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urljoin

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.recipe import Fetch

_KINDS: Mapping[str, Literal["file", "hls", "fragments"]] = {
    "http": "file", "https": "file", "m3u8": "hls", "m3u8_native": "hls", "http_dash_segments": "fragments",
}  # fmt: skip
"""Protocols that the transfer door reads, by yt-dlp's names."""


@dataclass(frozen=True)
class Stream:
    """One stream and where its bytes are."""

    url: str
    http_headers: Mapping[str, str]
    format_id: str
    kind: Literal["file", "hls", "fragments"]
    ext: str
    has_video: bool
    has_audio: bool
    """Both are True where the platform does not say."""
    height: int | None = None
    vcodec: str | None = None
    """As the platform names it, such as `avc1.4d401e`."""
    filesize: int | None = None
    """Bytes; an estimate where the platform gives no better."""
    fragments: tuple[tuple[str, float | None], ...] = ()
    """`fragments`: (address, seconds) of each; the first without seconds is what a decoder needs first."""


@dataclass(frozen=True)
class Choice:
    """What to read, and why it is not what the recipe wants."""

    streams: tuple[Stream, ...]
    """One with the picture, with or without sound; or the picture and the sound."""
    condition: str | None
    """See `Media.condition`."""


def choose(
    formats: Sequence[Mapping[str, Any]],
    fetch: Fetch,
    cookies: Callable[[str], str | None] = lambda url: None,
) -> Choice:
    """The formats that serve, out of yt-dlp's list (worst first).

    The best picture up to `max_height`, of the first wanted codec that there is, with the best sound
    beside it; else the best combined one; else the smallest there is. Plain files come before lists of
    segments. Unknown codecs and heights get the benefit of the doubt. `cookies` gives the header's text
    for an address. Raises ItemError NO_VIDEO, DRM, or NO_AUDIO where the recipe requires sound.
    """
    streams = [stream for found in _readable(formats) if (stream := _stream(found, cookies))]
    pictures = [stream for stream in streams if stream.has_video]
    sounds = [stream for stream in streams if stream.has_audio and not stream.has_video]
    if not pictures:
        raise _nothing(formats, streams)
    if fetch.audio_required and not sounds and not any(stream.has_audio for stream in pictures):
        raise ItemError(Reason.NO_AUDIO, "the platform offers no sound, and the recipe requires it")
    best = min(
        ((*_rank(picture, sounds, fetch), -number), picture) for number, picture in enumerate(pictures)
    )[1]
    chosen = (best,) if best.has_audio or not sounds else (best, _best_sound(sounds, best))
    return Choice(chosen, _condition(chosen, pictures, sounds, fetch))


def _rank(picture: Stream, sounds: Sequence[Stream], fetch: Fetch) -> tuple[float, ...]:
    """Smaller is better; of equals yt-dlp's favourite, which stands last."""
    height = picture.height or 0
    too_high = height > fetch.max_height
    silent = not picture.has_audio and not sounds
    whole = picture.has_audio and bool(sounds)
    return (
        silent and fetch.audio_required,
        _codec_rank(picture, fetch),
        too_high,
        picture.kind != "file",
        silent,
        whole,
        height if too_high else -height,
    )


def _codec_rank(picture: Stream, fetch: Fetch) -> int:
    if not fetch.codecs or not picture.vcodec:
        return 0
    places = (n for n, codec in enumerate(fetch.codecs) if picture.vcodec.startswith(codec))
    return next(places, len(fetch.codecs))


def _best_sound(sounds: Sequence[Stream], picture: Stream) -> Stream:
    plain = [sound for sound in sounds if sound.kind == picture.kind] or sounds
    return plain[-1]


def _condition(
    chosen: Sequence[Stream], pictures: Sequence[Stream], sounds: Sequence[Stream], fetch: Fetch
) -> str | None:
    picture = chosen[0]
    if fetch.codecs and picture.vcodec and _codec_rank(picture, fetch) == len(fetch.codecs):
        return "other_codec"
    if (picture.height or 0) > fetch.max_height:
        return "above_max_height"
    if any(stream.kind != "file" for stream in chosen):
        return "segmented_only"
    only_one = len(pictures) == 1 and not sounds and picture.height is not None and picture.has_audio
    return "combined_only" if only_one else None


def _nothing(formats: Sequence[Mapping[str, Any]], streams: Sequence[Stream]) -> ItemError | RetryableError:
    if streams:
        return ItemError(Reason.NO_VIDEO, "the platform offers sound only")
    if any(found.get("has_drm") for found in formats):
        return ItemError(Reason.DRM, "every format is DRM protected")
    return RetryableError(
        Reason.UNKNOWN, "the platform offers nothing to play, only images or nothing at all"
    )


def _readable(formats: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Formats that can be read; those of another colour space, or dubbed, only if there is no other."""
    good = [
        f for f in formats if f.get("url") and not f.get("has_drm") and f.get("protocol", "https") in _KINDS
    ]
    plain = [f for f in good if f.get("dynamic_range") in (None, "SDR")]
    good = plain if any(f.get("vcodec") != "none" for f in plain) else good
    liked = max((_liking(f) for f in good if f.get("acodec") != "none"), default=-1)
    return [f for f in good if f.get("acodec") == "none" or _liking(f) == liked or f.get("vcodec") != "none"]


def _liking(found: Mapping[str, Any]) -> int:
    """How much of an original a format's language is; yt-dlp gives 10 to the original, -1 where unknown."""
    return int(found.get("language_preference") or -1)


def _stream(found: Mapping[str, Any], cookies: Callable[[str], str | None]) -> Stream | None:
    has_video, has_audio = found.get("vcodec") != "none", found.get("acodec") != "none"
    if not has_video and not has_audio:
        return None  # images
    size = found.get("filesize") or found.get("filesize_approx")
    headers = dict(found.get("http_headers") or {})
    if cookie := cookies(found["url"]):
        headers["Cookie"] = cookie
    kind = _KINDS[found.get("protocol", "https")]
    return Stream(
        url=found["url"],
        http_headers=headers,
        format_id=str(found.get("format_id", "")),
        kind=kind,
        ext=found.get("ext") or "",
        has_video=has_video,
        has_audio=has_audio,
        height=found.get("height"),
        vcodec=found.get("vcodec"),
        filesize=int(size) if size else None,
        fragments=_fragments(found) if kind == "fragments" else (),
    )


def _fragments(found: Mapping[str, Any]) -> tuple[tuple[str, float | None], ...]:
    base = found.get("fragment_base_url") or found.get("manifest_url") or found["url"]
    return tuple(
        (one.get("url") or urljoin(base, one["path"]), one.get("duration")) for one in found["fragments"]
    )
