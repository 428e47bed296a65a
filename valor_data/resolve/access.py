"""Who asks, as yt-dlp's options: cookies, proxy, YouTube's clients and tokens.

All of it is checked here, since yt-dlp would only warn, and some of its warnings repeat a secret.
"""

import difflib
import http.cookiejar
import io
import ipaddress
import re
from pathlib import Path
from typing import Any

from yt_dlp.cookies import YoutubeDLCookieJar

from valor_data.errors import UserError
from valor_data.recipe import Access, from_environment
from valor_data.resolve.youtube import has_token_provider, player_clients

_HEAD = "# Netscape HTTP Cookie File\n"


def access_settings(access: Access) -> dict[str, Any]:
    """Options for `YoutubeDL`. Raises UserError, naming the key, for what is missing or not readable."""
    settings: dict[str, Any] = {}
    if access.cookies:
        settings["cookiefile"] = _cookies(access.cookies)
    if proxy := access.proxy_address():
        settings["proxy"] = proxy
    if access.source_address:
        settings["source_address"] = _address(access.source_address)
    if access.sleep_requests_s:
        settings["sleep_interval_requests"] = access.sleep_requests_s
    youtube: dict[str, list[str]] = {}
    if access.player_clients:
        youtube["player_client"] = [_client(name) for name in access.player_clients]
    if access.po_token_env:
        youtube["po_token"] = _tokens(access.po_token_env)
    if youtube:
        settings["extractor_args"] = {"youtube": youtube}
    if access.pot_provider:
        if not has_token_provider():
            raise UserError(
                "access.pot_provider needs yt-dlp's plug-in: pip install bgutil-ytdlp-pot-provider"
            )
        provider = {"youtubepot-bgutilhttp": {"base_url": [access.pot_provider]}}
        settings["extractor_args"] = settings.get("extractor_args", {}) | provider
    return settings


def _cookies(path: str) -> io.StringIO:
    """The cookies of a file as an open stream of their text: yt-dlp writes back to a path, and a
    person's file must stay as it is."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        lines = [f"{line}\n" for line in text.split("\n") if _is_cookie(line)]
        cookies = "".join([_HEAD, *lines])
        YoutubeDLCookieJar(io.StringIO(cookies)).load(ignore_discard=True, ignore_expires=True)
    except FileNotFoundError:
        raise UserError(f"access.cookies: {path}: no such file; export cookies.txt from a browser") from None
    except (http.cookiejar.LoadError, OSError, ValueError):
        lines = []
    if not lines:
        raise UserError(
            f"access.cookies: {path} is no cookies.txt in Netscape format; export it anew from a browser"
        )
    return io.StringIO(cookies)


def _is_cookie(line: str) -> bool:
    """Whether a line holds a cookie. What holds none is left out, lest yt-dlp print it."""
    fields = line.split("\t")
    comment = line.startswith("#") and not line.startswith("#HttpOnly_")
    return len(fields) == 7 and not comment and re.fullmatch(r"(\d+(\.\d+)?)?", fields[4]) is not None


def _client(name: str) -> str:
    known = player_clients()
    if name.removeprefix("-") not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        mend = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise UserError(f"access.player_clients: yt-dlp knows no client {name!r}; {mend}")
    return name


def _tokens(variable: str) -> list[str]:
    tokens = [token.strip() for token in from_environment("access.po_token_env", variable).split(",")]
    if not all(re.fullmatch(r"\w+(\.\w+)?\+[\w%=-]+", token) for token in tokens):
        raise UserError(
            f"access.po_token_env: {variable} does not hold CLIENT.CONTEXT+TOKEN, several of them with commas"
        )
    return tokens


def _address(given: str) -> str:
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise UserError(
            f"access.source_address: {given!r} is no IP address; give one of this machine"
        ) from None
