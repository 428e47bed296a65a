"""What platforms and hosts state, for machines, of what may be done with their media.

Asked once per host and per video, in bounded time and size; who does not answer has stated nothing. Read
are robots.txt (`Content-Signal`, `Content-Usage`: the drafts on AI preferences), `/.well-known/tdmrep.json`
and `tdm-reservation` (W3C TDM Reservation Protocol), `X-Robots-Tag` with `noai`, `noimageai` or `noml`,
and YouTube's videoTrainability (Data API v3). That robots.txt shuts out a crawler by name is no such
statement.
"""

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from valor_data.recipe import Access, Rights
from valor_data.rights import STATES_NOTHING

_SILENCE_S = 10.0
_LIMIT_S = 20.0
"""For one answer, however busily it drips."""
_MOST_BYTES = 512 * 1024  # what RFC 9309 wants a robots.txt to be read up to
_KEPT = 4096
_REST_S = 600.0
"""For which YouTube is not asked after it refused to answer at all (quota, key)."""
_PREFERENCES = re.compile(r"\s*(ai-train|train-ai|train-genai)\s*=\s*(yes|no|y|n)\s*", re.IGNORECASE)
_TAGS = ("noai", "noimageai", "noml")
_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
"""Directives of X-Robots-Tag that have a colon; another word before a colon is a crawler's name."""


class Consent:
    """Asks, and remembers the answers; one a worker."""

    def __init__(self, access: Access, rights: Rights) -> None:
        self._rights = rights
        self._key = os.environ.get(rights.youtube_key_env, "")
        self._session = _session(access)
        self._of_host = lru_cache(_KEPT)(self._ask_host)
        self._of_video = lru_cache(_KEPT)(self._ask_youtube)
        self._asks_again_at = 0.0

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
        evidence) where it was asked in vain, (None, None) where nobody was.

        YouTube is asked where there is a key, or where the recipe requires an answer: by its documents it
        wants no key for this.
        """
        if source != "youtube" or not (self._key or self._rights.training == "require"):
            return None, None
        if time.monotonic() < self._asks_again_at:
            return None, "videoTrainability: not asked, for it refused to answer"
        return self._of_video(video_id)

    def _ask_host(self, root: str) -> tuple[str, str]:
        return self._text(f"{root}/robots.txt"), self._text(f"{root}/.well-known/tdmrep.json")

    def _text(self, url: str) -> str:
        status, body = self._get(url)
        return body.decode("utf-8-sig", "replace") if status == 200 else ""

    def _ask_youtube(self, video_id: str) -> tuple[str | None, str | None]:
        status, body = self._get(
            f"{self._rights.youtube_api}/videoTrainability",
            params={"id": video_id},
            # As a header, so that no error's address can hold the key; and so it must not be redirected.
            headers={"X-Goog-Api-Key": self._key} if self._key else {},
            allow_redirects=False,
        )
        if status in (401, 403, 429):
            self._asks_again_at = time.monotonic() + _REST_S
        if status != 200:
            told = f"HTTP error {status}" if status else "no answer"
            return None, f"videoTrainability: {told}"
        answer = _json(body)
        permitted = answer.get("permitted") if isinstance(answer, dict) else None
        parties = [permitted] if isinstance(permitted, str) else permitted
        if not isinstance(parties, list) or not parties:
            return None, STATES_NOTHING
        return ",".join(sorted(str(party) for party in parties)), "videoTrainability"

    def _get(self, url: str, **options: Any) -> tuple[int | None, bytes]:
        """Status and body of an answer; (None, b"") where none came whole in time."""
        answers: list[tuple[int, bytes]] = []
        # A read's limit begins anew with every byte; only who waits from outside is sure to get away.
        asking = threading.Thread(target=self._read, args=(url, options, answers), daemon=True)
        asking.start()
        asking.join(_LIMIT_S)
        return answers[0] if answers else (None, b"")

    def _read(self, url: str, options: dict[str, Any], answers: list[tuple[int, bytes]]) -> None:
        until, body = time.monotonic() + _LIMIT_S, b""
        with (
            suppress(requests.RequestException, OSError, ValueError),
            self._session.get(url, timeout=_SILENCE_S, stream=True, **options) as got,
        ):
            for block in got.iter_content(1 << 14):
                body += block
                if len(body) >= _MOST_BYTES:
                    break
                if time.monotonic() > until:
                    return
            answers.append((got.status_code, body[:_MOST_BYTES]))


def _session(access: Access) -> requests.Session:
    """As the recipe's access asks."""
    session = requests.Session()
    if proxy := access.proxy_address():
        session.proxies = {"http": proxy, "https": proxy}
        session.trust_env = False  # else the environment's proxy would come first
    if access.source_address:
        for scheme in ("http://", "https://"):
            session.mount(scheme, _From(access.source_address))
    return session


class _From(HTTPAdapter):
    """Asks from one local address."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, source_address=(self._address, 0))


def _in_robots(text: str, path: str) -> Iterator[str]:
    """Preferences of the groups for everybody, and of what stands before the first group. Where a rule
    names a path, the longest that fits counts."""
    everybody, in_names = True, False
    best: dict[str, tuple[int, str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            everybody = value == "*" or (everybody and in_names)
            in_names = True
            continue
        in_names = False
        if name not in ("content-signal", "content-usage") or not everybody:
            continue
        pattern, _, rest = value.partition(" ") if value.startswith("/") else ("", "", value)
        if not _fits(pattern, path):
            continue
        for use, answer in _preferences(rest):
            length, known = best.get(use, (-1, ""))
            if len(pattern) > length or (len(pattern) == length and known.startswith("y")):
                best[use] = (len(pattern), answer)
    yield from (f"robots.txt: {use}={answer}" for use, (_, answer) in best.items())


def _preferences(value: str) -> Iterator[tuple[str, str]]:
    for one in re.split(r"[,;]", value):
        if match := _PREFERENCES.fullmatch(one):
            yield match[1].lower(), match[2].lower()


def _fits(pattern: str, path: str) -> bool:
    """Whether a path begins as a pattern of robots.txt says: `*` for anything, `$` for the end."""
    to_end = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not rest:
        return not to_end or path == first
    at = len(first)
    *middle, last = rest
    for part in middle:  # by hand: a pattern of many stars could keep a regular expression busy for hours
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return path.endswith(last) and len(path) - len(last) >= at if to_end else path.find(last, at) >= 0


def _in_tdmrep(text: str, path: str) -> Iterator[str]:
    """The first rule that fits the path."""
    rules = _json(text.encode()) if text else []
    for rule in rules if isinstance(rules, list) else []:
        location = rule.get("location") if isinstance(rule, dict) else None
        if isinstance(location, str) and location and _fits(location, path):
            reserved = str(rule.get("tdm-reservation"))
            if reserved in ("0", "1"):
                yield f"tdmrep.json: tdm-reservation={reserved}"
            return


def _json(body: bytes) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(body)
    return None


def _in_headers(headers: Mapping[str, str]) -> Iterator[str]:
    if (reserved := headers.get("tdm-reservation", "").strip()) in ("0", "1"):
        yield f"header: tdm-reservation={reserved}"
    for directive in headers.get("x-robots-tag", "").lower().split(","):
        name, colon, _ = directive.partition(":")
        if colon and name.strip() not in _WITH_VALUE:
            break  # the rest is said to one crawler
        if directive.strip() in _TAGS:
            yield f"header: {directive.strip()}"
    for name in ("content-signal", "content-usage"):
        yield from (f"header: {use}={answer}" for use, answer in _preferences(headers.get(name, "")))
