"""Which of a platform's formats to read: the smallest that serve, and a name for an odd choice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """One stream and where its bytes are. Addresses may be signed and headers hold cookies: no repr tells
    them."""

    url: str = field(repr=False)
    http_headers: Mapping[str, str] = field(repr=False)
    format_id: str
    kind: Literal["file", "hls", "fragments"]
    ext: str
    has_video: bool
    has_audio: bool
    """Both are True where the platform does not say."""
    height: int | None = None
    vcodec: str | None = None
    """As the platform names it, such as `avc1.4d401e`; None: not told, or no picture."""
    filesize: int | None = None
    """Bytes; an estimate where the platform gives no better."""
    fragments: tuple[tuple[str, float | None], ...] = field(default=(), repr=False)
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

    The best picture up to `max_height`, else the smallest there is; under that bound one of the first
    wanted codec, and a plain file before a list of segments; of equals a picture with the best sound
    beside it before a combined one. Unknown codecs and heights get the benefit of the doubt, and sound
    is not a dubbed one. `cookies` gives the header's text for an address. Raises ItemError NO_VIDEO, DRM,
    UNSUPPORTED_FORMAT, or NO_AUDIO where the recipe requires sound.
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
        too_high,
        _codec_rank(picture, fetch),
        picture.kind != "file",
        silent,
        height if too_high else -height,
        whole,
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
    media = [found for found in formats if not _is_image(found)]
    if media:
        told = ", ".join(sorted({str(found.get("protocol")) for found in media}))
        return ItemError(Reason.UNSUPPORTED_FORMAT, f"none of the platform's formats can be read ({told})")
    return RetryableError(
        Reason.UNKNOWN, "the platform offers nothing to play, only images or nothing at all"
    )


def _readable(formats: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Formats that can be read; those of another colour space, or dubbed, only if there is no other."""
    good = [
        f for f in formats
        if f.get("url") and not f.get("has_drm") and not _is_image(f) and _kind(f) and _has_times(f)
    ]  # fmt: skip
    best = max((_liking(f) for f in good if f.get("acodec") != "none"), default=-1)
    for unwanted in (_is_hdr, lambda f: _is_dubbed(f, best)):
        wanted = [f for f in good if not unwanted(f)]
        good = wanted if any(f.get("vcodec") != "none" for f in wanted) else good
    return good


def _is_image(found: Mapping[str, Any]) -> bool:
    return found.get("vcodec") == "none" and found.get("acodec") == "none"


def _is_hdr(found: Mapping[str, Any]) -> bool:
    return found.get("dynamic_range") not in (None, "SDR")


def _is_dubbed(found: Mapping[str, Any], best: int) -> bool:
    """Whether the sound's language is told and is not the one the platform likes best."""
    return found.get("acodec") != "none" and bool(found.get("language")) and _liking(found) < best


def _liking(found: Mapping[str, Any]) -> int:
    """How much of an original a format's language is; yt-dlp gives 10 to the original, -1 where unknown."""
    liking = found.get("language_preference")
    return -1 if liking is None else int(liking)


def _kind(found: Mapping[str, Any]) -> Literal["file", "hls", "fragments"] | None:
    """How its bytes are had. Fragments without times are ranges of the one file behind the address."""
    kind = _KINDS.get(found.get("protocol") or "https")
    ranges = kind == "fragments" and not any(one.get("duration") for one in found.get("fragments") or ())
    return "file" if ranges and found["url"] != found.get("manifest_url") else kind


def _has_times(found: Mapping[str, Any]) -> bool:
    """Whether it is told when each fragment is shown; else a span cannot be found (several periods, each
    with a head of its own, or a bare list)."""
    if _kind(found) != "fragments":
        return True
    fragments = list(found.get("fragments") or ())
    return len(fragments) > 1 and all(one.get("duration") for one in fragments[1:])


def _stream(found: Mapping[str, Any], cookies: Callable[[str], str | None]) -> Stream | None:
    has_video, has_audio = found.get("vcodec") != "none", found.get("acodec") != "none"
    kind = _kind(found)
    if kind is None:
        return None
    size = found.get("filesize") or found.get("filesize_approx")
    headers = dict(found.get("http_headers") or {})
    if cookie := cookies(found["url"]):
        headers["Cookie"] = cookie
    return Stream(
        url=found["url"],
        http_headers=headers,
        format_id=str(found.get("format_id", "")),
        kind=kind,
        ext=found.get("ext") or "",
        has_video=has_video,
        has_audio=has_audio,
        height=found.get("height"),
        vcodec=found.get("vcodec") if has_video else None,
        filesize=int(size) if size else None,
        fragments=_fragments(found) if kind == "fragments" else (),
    )


def _fragments(found: Mapping[str, Any]) -> tuple[tuple[str, float | None], ...]:
    base = found.get("fragment_base_url") or found.get("manifest_url") or found["url"]
    return tuple(
        (one.get("url") or urljoin(base, one["path"]), one.get("duration")) for one in found["fragments"]
    )
