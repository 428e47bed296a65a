"""HLS playlists: every address in them turned into one of ours."""

import re
from collections.abc import Callable
from urllib.parse import urljoin

_URI = re.compile(r'\bURI="([^"]*)"')
MOST_BYTES = 16 << 20


def is_playlist(text: bytes) -> bool:
    """Whether bytes begin as a playlist does (RFC 8216 4.3.1.1)."""
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


def _mapped(uri: str, base: str, address: Callable[[str], str]) -> str:
    return uri if uri.startswith("data:") else address(urljoin(base, uri))
