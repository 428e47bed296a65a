"""The only maker of ids, store keys, release paths and asset names.

    video_id   YouTube's id; or a list's own id where it fits the alphabet; or `<slug>-<12 hex>`
    clip_id    `<video_id>_<start_ms>_<end_ms>`, alphabet [A-Za-z0-9_-]: WebDataset ends a key at a dot
    official   `<video_id>_<start>_<end>` in seconds with three decimals, as VALOR and AudioSet write it

Ids are taken apart from the right, for YouTube's ids contain `_` and may begin with `-`.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

# \Z, for $ also matches before a line end; ASCII, for \d also matches the digits of other scripts.
YOUTUBE_ID = re.compile(r"^[A-Za-z0-9_-]{11}\Z")
_OWN_ID = re.compile(r"^[A-Za-z0-9_-]{1,64}\Z")  # 64 keeps every tar member name under USTAR's 100
_MS = r"(0|[1-9][0-9]{0,9})"  # one spelling of a number, so one clip id of a span
_CLIP_ID = re.compile(rf"^([A-Za-z0-9_-]{{1,64}})_{_MS}_{_MS}\Z")
_OFFICIAL_ID = re.compile(r"^(.+)_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)\Z", re.ASCII)
_LONGEST_S = 10_000_000
_YOUTUBE_HOSTS = ("youtube.com", "youtube-nocookie.com")

OBJECTS = "clips/"
DERIVED = "train"
"""How the profile of derived media begins."""
QUALIFY = "qualify"
"""The profile of clips that are rendered for the test before the work; no row names them."""
TABLES = "tables/"
RELEASES = "releases/"
MANIFEST = "manifest.json"
SHA256SUMS = "SHA256SUMS"
CATALOG = "catalog.parquet"
INDEX = "index.arrow"
CARD = "README.md"
CHANGELOG = "CHANGELOG.md"
CROISSANT = "croissant.json"
PLOTS = "plots/"
LOCK = "valor.lock"
REVOKED = "revoked.json"
SUPERSEDED = "SUPERSEDED.md"
"""The note that a takedown puts into the releases before its own."""
PEOPLE = "annotation/people.json"
"""The only link from a pseudonym to an account; never part of a release."""
PULLED = "annotation/pulled.json"
PULLS = "annotation/raw/"
AGREEMENT = "runs/agreement.html"
REPORT = "runs/report.html"
TEMPORARY = ".tmp-"
"""How the name of a file that is not whole yet begins; a killed writer leaves such files behind."""


class Span(NamedTuple):
    """A video and a stretch of it, in milliseconds; what a clip_id says."""

    video_id: str
    start_ms: int
    end_ms: int


def clip_id(video_id: str, start_ms: int, end_ms: int) -> str:
    """The id of a span. Raises ValueError when the parts cannot be read back from it."""
    made = f"{video_id}_{start_ms}_{end_ms}"
    if not _CLIP_ID.match(made):
        raise ValueError(f"{made!r} is no clip id: use [A-Za-z0-9_-] and whole milliseconds")
    return made


def parse_clip_id(text: str) -> Span:
    """The span that a clip_id names. Raises ValueError."""
    match = _CLIP_ID.match(text)
    if not match:
        raise ValueError(f"{text!r} is no clip id of the form <video_id>_<start_ms>_<end_ms>")
    return Span(match[1], int(match[2]), int(match[3]))


def official_id(clip: str) -> str:
    """`x-2Abohj8VY_30000_40000` -> `x-2Abohj8VY_30.000_40.000`."""
    span = parse_clip_id(clip)
    return f"{span.video_id}_{span.start_ms / 1000:.3f}_{span.end_ms / 1000:.3f}"


def parse_official_id(text: str) -> Span:
    """The span that an id in VALOR's form names. Raises ValueError."""
    match = _OFFICIAL_ID.match(text)
    if not match:
        raise ValueError(f"{text!r} is no id of the form <video_id>_<start>_<end>, in seconds")
    return Span(match[1], milliseconds(match[2]), milliseconds(match[3]))


def milliseconds(seconds: str | float) -> int:
    """Seconds, as a list writes them, to the nearest whole millisecond. Raises ValueError."""
    try:
        value_ms = float(seconds) * 1000
    except (ValueError, OverflowError):
        value_ms = -1.0
    spelt = not isinstance(seconds, str) or "_" not in seconds  # Python reads 1_0 as ten
    if not (spelt and 0 <= value_ms < _LONGEST_S * 1000 - 0.5):  # also refuses nan
        raise ValueError(f"{seconds!r} is no time in seconds between 0 and 10,000,000")
    return round(value_ms)


def youtube_id(url: str) -> str | None:
    """The YouTube id in an address, or None where it is no YouTube video."""
    try:
        parts = urlsplit(url if "//" in url.split("?")[0] else f"//{url}")
    except ValueError:  # such as http://[
        return None
    host = (parts.hostname or "").lower().removeprefix("www.")
    path = [p for p in parts.path.split("/") if p]
    found = None
    if host == "youtu.be":
        found = path[0] if path else None
    elif any(host == h or host.endswith(f".{h}") for h in _YOUTUBE_HOSTS):
        if path[:1] == ["watch"]:
            found = parse_qs(parts.query).get("v", [None])[0]
        elif len(path) > 1 and path[0] in ("shorts", "embed", "live", "v", "e"):
            found = path[1]
    return found if found and YOUTUBE_ID.match(found) else None


def youtube_url(video_id: str) -> str:
    """The watch page of a YouTube id."""
    return f"https://www.youtube.com/watch?v={video_id}"


def video_id(source: str, address: str) -> str:
    """The id of a video that is not YouTube's: the own id where it fits, else slug and hash.

    `address` is a URL or the id that the list gives. The slug (at most 24 characters of the last
    part of the path) is for people; the 12 hex digits of sha256(source, address) tell videos apart.
    """
    if "/" not in address and _OWN_ID.match(address):
        return address
    stem = Path(unquote(urlsplit(address).path)).stem or urlsplit(address).hostname or ""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", stem)[:24].strip("-")
    tail = hashlib.sha256(f"{source}\0{address}".encode()).hexdigest()[:12]
    return f"{slug}-{tail}" if slug else tail


def caption_id(clip: str, origin: str, author: str, external_id: str) -> str:
    """The id of a caption: 24 hex digits that stay when its text is edited."""
    return digest([clip, origin, author, external_id])[:24]


def digest(value: object) -> str:
    """sha256 over the canonical JSON of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def object_key(profile: str, clip: str, suffix: str = "mp4") -> str:
    """Store key of a clip's media: `clips/<profile>/<2 hex>/<clip_id>.mp4`."""
    fan_out = hashlib.sha256(clip.encode()).hexdigest()[:2]
    return f"{OBJECTS}{profile}/{fan_out}/{clip}.{suffix}"


def parse_object_key(key: str) -> tuple[str, str]:
    """(profile, clip_id) of a media object's key."""
    _, profile, _, name = key.split("/")
    return profile, name.rsplit(".", 1)[0]


def is_derived(profile: str) -> bool:
    """Whether objects of a profile are made from those of another."""
    return profile.startswith(f"{DERIVED}-")


def table_prefix(table: str) -> str:
    """Store prefix of a table's parts and manifest."""
    return f"{TABLES}{table}/"


def temporary_name() -> str:
    """A fresh file name that listings skip and the sweep removes."""
    return f"{TEMPORARY}{uuid.uuid4().hex}"


def run_key(run_id: str) -> str:
    """Store key of a run's Report."""
    return f"runs/{run_id}.json"


def pull_key(run_id: str, part: int) -> str:
    """Store key of what one pull got from the server, as it came."""
    return f"{PULLS}{run_id}-{part:03d}.json"


def tune_key(metric: str) -> str:
    """Store key of the page that shows how a metric is spread."""
    return f"runs/tune-{re.sub(r'[^A-Za-z0-9._-]+', '-', metric)}.html"


def release_prefix(name: str, version: str) -> str:
    """Store prefix of a release."""
    return f"{RELEASES}{name}-{version}/"


def shard_name(split: str, index: int) -> str:
    """Path of a shard inside a release, such as `train/train-000000.tar`."""
    return f"{split}/{split}-{index:06d}.tar"


def member_names(clip: str, suffixes: Sequence[str]) -> list[str]:
    """Names of a sample's files inside a shard."""
    return [f"{clip}.{suffix}" for suffix in suffixes]


def asset(*parts: str) -> Path:
    """A data file that ships with the package: `labels/...`; in a checkout also `pipelines/...`.

    The wheel carries `pipelines/` and `annotation/` inside the package; in a checkout they lie
    beside it, where people edit them.
    """
    inside = Path(str(resources.files("valor_data"))) / "assets"
    shipped = inside.joinpath(*parts)
    return shipped if shipped.exists() else inside.parents[1].joinpath(*parts)
