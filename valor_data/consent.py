"""What platforms and hosts state, for machines, of what may be done with their media.

Asked once per host and per video; a host that does not answer has stated nothing. Read are
robots.txt (`Content-Signal`, `Content-Usage`: the drafts on AI preferences), `/.well-known/tdmrep.json`
and `tdm-reservation` (W3C TDM Reservation Protocol), `X-Robots-Tag` with `noai`, `noimageai` or `noml`,
and YouTube's videoTrainability (Data API v3).
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import urlsplit

import requests

from valor_data.recipe import Access, Rights

_TIMEOUT_S = 10.0
_MOST_BYTES = 512 * 1024  # what RFC 9309 wants a robots.txt to be read up to
_HOSTS = 4096
_PREFERENCES = re.compile(r"^\s*(ai-train|train-ai)\s*=\s*(yes|no|y|n)\s*$", re.IGNORECASE)
_TAGS = ("noai", "noimageai", "noml")


class Consent:
    """Asks, and remembers the answers; one a worker."""

    def __init__(self, access: Access, rights: Rights) -> None:
        self._rights = rights
        self._key = os.environ.get(rights.youtube_key_env, "")
        self._session = requests.Session()
        proxy = access.proxy
        if proxy and proxy.startswith("env:"):
            proxy = os.environ.get(proxy.removeprefix("env:"))
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}
        self._of_host = lru_cache(_HOSTS)(self._ask_host)
        self._of_video = lru_cache(_HOSTS)(self._ask_youtube)

    def signals(self, url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
        """AI preferences that the host of an address states, with where (`robots.txt: ai-train=no`), and
        those in the headers (lower-case names) of its answer."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            return ()
        robots, tdm = self._of_host(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
        path = parts.path or "/"
        found = [*_in_robots(robots, path), *_in_tdmrep(tdm, path), *_in_headers(headers)]
        return tuple(dict.fromkeys(found))

    def training(self, video_id: str, source: str) -> tuple[str | None, str | None]:
        """(permission, who was asked): `all`, `none`, or the parties that may train on a video; (None,
        evidence) where it was asked in vain, (None, None) where nobody can be asked."""
        if source != "youtube" or not self._key:
            return None, None
        return self._of_video(video_id)

    def _ask_host(self, root: str) -> tuple[str, str]:
        return self._text(f"{root}/robots.txt"), self._text(f"{root}/.well-known/tdmrep.json")

    def _text(self, url: str) -> str:
        with (
            suppress(requests.RequestException),
            self._session.get(url, timeout=_TIMEOUT_S, stream=True) as got,
        ):
            if got.status_code == 200:
                return got.raw.read(_MOST_BYTES, decode_content=True).decode("utf-8", "replace")
        return ""

    def _ask_youtube(self, video_id: str) -> tuple[str | None, str | None]:
        try:
            # The key goes as a header, so that no error's address can hold it.
            with self._session.get(
                f"{self._rights.youtube_api}/videoTrainability",
                params={"id": video_id},
                headers={"X-Goog-Api-Key": self._key},
                timeout=_TIMEOUT_S,
            ) as got:
                if got.status_code != 200:
                    return None, f"videoTrainability: HTTP error {got.status_code}"
                permitted = got.json().get("permitted")
        except (requests.RequestException, ValueError) as error:
            return None, f"videoTrainability: {type(error).__name__}"
        if not isinstance(permitted, list) or not permitted:
            return None, "videoTrainability: no answer on it"
        return ",".join(sorted(str(party) for party in permitted)), "videoTrainability"


def _in_robots(text: str, path: str) -> Iterator[str]:
    """Preferences of the groups for everybody; a value may begin with the path that it holds for."""
    everybody, in_rules = True, False  # what stands before the first group holds for all
    for line in text.splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            everybody = value == "*" or (everybody and not in_rules)
            in_rules = False
            continue
        in_rules |= bool(name)
        if name in ("content-signal", "content-usage") and everybody:
            yield from (f"robots.txt: {one}" for one in _preferences(value, path))


def _preferences(value: str, path: str) -> Iterator[str]:
    if value.startswith("/"):
        prefix, _, value = value.partition(" ")
        if not path.startswith(prefix):
            return
    for one in re.split(r"[,;]", value):
        if match := _PREFERENCES.match(one):
            yield f"{match[1].lower()}={match[2].lower()}"


def _in_tdmrep(text: str, path: str) -> Iterator[str]:
    with suppress(ValueError):
        rules = json.loads(text) if text else []
        for rule in rules if isinstance(rules, list) else []:
            location = str(rule.get("location", "")) if isinstance(rule, dict) else ""
            if location and (path.startswith(location.rstrip("*$")) or fnmatchcase(path, location)):
                yield f"tdmrep.json: tdm-reservation={rule.get('tdm-reservation', 0)}"
                return


def _in_headers(headers: Mapping[str, str]) -> Iterator[str]:
    if headers.get("tdm-reservation", "").strip() in ("0", "1"):
        yield f"header: tdm-reservation={headers['tdm-reservation'].strip()}"
    for word in re.split(r"[,:]", headers.get("x-robots-tag", "").lower()):
        if word.strip() in _TAGS:
            yield f"header: {word.strip()}"
    for name in ("content-signal", "content-usage"):
        yield from (f"header: {one}" for one in _preferences(headers.get(name, ""), ""))
