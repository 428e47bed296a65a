"""Who asks, as yt-dlp's options: cookies, proxy, YouTube's clients and tokens."""

import http.cookiejar
import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.cookies import YoutubeDLCookieJar

from valor_data.errors import UserError
from valor_data.recipe import Access

_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def access_settings(access: Access) -> dict[str, Any]:
    """Options for `YoutubeDL`. Raises UserError, naming the key, for what is missing or not readable."""
    settings: dict[str, Any] = {}
    if access.cookies:
        settings["cookiefile"] = _cookies(access.cookies)
    if access.proxy:
        settings["proxy"] = _proxy(access.proxy)
    if access.source_address:
        settings["source_address"] = access.source_address
    if access.sleep_requests_s:
        settings["sleep_interval_requests"] = access.sleep_requests_s
    youtube: dict[str, list[str]] = {}
    if access.player_clients:
        youtube["player_client"] = list(access.player_clients)
    if access.po_token_env:
        youtube["po_token"] = _variable("po_token_env", access.po_token_env).split(",")
    if youtube:
        settings["extractor_args"] = {"youtube": youtube}
    if access.pot_provider:
        provider = {"youtubepot-bgutilhttp": {"base_url": [access.pot_provider]}}
        settings["extractor_args"] = settings.get("extractor_args", {}) | provider
    return settings


def _cookies(path: str) -> Any:
    """The cookies of a file as an open stream of their text: yt-dlp writes back to a path, and a
    person's file must stay as it is."""
    jar = YoutubeDLCookieJar(path)
    try:
        jar.load(ignore_discard=True, ignore_expires=True)
        return io.StringIO(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"access.cookies: {path}: no such file; export cookies.txt from a browser") from None
    except (http.cookiejar.LoadError, OSError, UnicodeDecodeError, ValueError):
        raise UserError(
            f"access.cookies: {path} is no cookies.txt in Netscape format; export it anew from a browser"
        ) from None


def _proxy(given: str) -> str:
    proxy = _variable("proxy", given.removeprefix("env:")) if given.startswith("env:") else given
    parts = urlsplit(proxy)
    if parts.scheme not in _PROXIES or not parts.hostname:
        raise UserError("access.proxy is no http://host:port or socks5://host:port")
    if parts.password and proxy == given:
        raise UserError("access.proxy holds a password; put the address in a variable and write env:NAME")
    return proxy


def _variable(key: str, name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UserError(f"access.{key} names the variable {name}, which is not set; set it or drop the key")
    return value
