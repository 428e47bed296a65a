"""HLS playlists (RFC 8216): every address in them turned into one of ours, and their segments."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urljoin

_URI = re.compile(r'\bURI="([^"]*)"')
_LENGTH = re.compile(r"#EXTINF:\s*([\d.]+)")
_TARGET = re.compile(r"#EXT-X-TARGETDURATION:\s*(\d+)")
_BEYOND = re.compile(
    r"#EXT-X-(STREAM-INF|I-FRAMES-ONLY|DISCONTINUITY(?!-SEQUENCE)|BYTERANGE|GAP|PART|SKIP|KEY:(?!.*METHOD=NONE))"
)
MOST_BYTES = 16 << 20


class Segment(NamedTuple):
    """A stretch of a presentation."""

    url: str
    start_us: int
    """By the list's own lengths, from its beginning."""
    length_us: int


class Segments(NamedTuple):
    """A presentation that is over and has one clock."""

    head_url: str | None
    """What a decoder needs first."""
    segments: tuple[Segment, ...]
    target_s: int


class Stretch(NamedTuple):
    """Bytes of a segment, as a reader shall ask for them."""

    address: str
    length_us: int
    start: int
    end: int
    """The byte behind the last."""


def is_playlist(text: bytes) -> bool:
    """Whether bytes begin as a playlist does (4.3.1.1)."""
    return text.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"#EXTM3U")


def rewritten(text: str, base: str, address: Callable[[str], str]) -> str:
    """The playlist with `address(url)` in place of each URL, which is made absolute against `base`."""

    def ours(match: re.Match[str]) -> str:
        return f'URI="{_mapped(match[1], base, address)}"'

    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            lines.append(_URI.sub(ours, line))
        elif line.strip():
            lines.append(_mapped(line.strip(), base, address))
    return "\n".join([*lines, ""])


def segments_of(text: str, base: str) -> Segments | None:
    """The segments of a playlist; None where it is a list of lists, still grows, is encrypted, or its
    segments are parts of files or stand on more than one clock."""
    heads = {match[1] for line in text.splitlines() if line.startswith("#EXT-X-MAP:")
             for match in _URI.finditer(line)}  # fmt: skip
    target = _TARGET.search(text)
    if _BEYOND.search(text) or "#EXT-X-ENDLIST" not in text or len(heads) > 1 or not target:
        return None
    segments: list[Segment] = []
    start_us = length_us = 0
    for line in text.splitlines():
        if match := _LENGTH.match(line):
            length_us = round(1e6 * float(match[1]))
        elif line.strip() and not line.startswith("#"):
            segments.append(Segment(urljoin(base, line.strip()), start_us, length_us))
            start_us += length_us
    head = urljoin(base, heads.pop()) if heads else None
    return Segments(head, tuple(segments), int(target[1])) if len(segments) > 1 else None


def written(head: str | None, stretches: Sequence[Stretch], target_s: int) -> str:
    """A playlist of stretches of segments, read one behind the other."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target_s}"]
    lines += [f'#EXT-X-MAP:URI="{head}"'] if head else []
    for one in stretches:
        lines += [
            f"#EXTINF:{one.length_us / 1e6:.6f},",
            f"#EXT-X-BYTERANGE:{one.end - one.start}@{one.start}",
        ]
        lines += [one.address]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def _mapped(uri: str, base: str, address: Callable[[str], str]) -> str:
    return uri if uri.startswith("data:") else address(urljoin(base, uri))
