"""The parts of a recipe that say what to fetch, from where, how politely, and by whose leave."""

import difflib
import os
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from valor_data.errors import Kind, Reason, UserError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def _is_language(code: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*", code):
        raise ValueError(f"{code!r} is no ISO 639 code, such as en or pt-BR")
    return code


Language = Annotated[str, AfterValidator(_is_language)]
FORMS = (
    "audioset-csv", "valor-desc", "valor-ids", "valor-mapper", "audiocaps-csv", "vggsound-csv",
    "table", "jsonl", "parquet", "urls",
)  # fmt: skip
"""The forms of segment lists that `segments` reads."""


class Section(BaseModel):
    """A closed part of a recipe."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ListSpec(Section):
    """One segment list."""

    path: str
    """File or URL; a relative path counts from the recipe's folder."""
    form: str = "auto"
    """`auto` recognises it; or one of the forms in docs/format.md."""
    split: Literal["train", "val", "test"] | None = None
    """Split of every segment in it, where the list itself names none."""
    author: str | None = None
    """Author of its captions; else the list's name."""
    language: Language = "en"
    """Language of its captions."""
    encoding: str | None = None
    """Text encoding; else recognised."""

    @model_validator(mode="after")
    def _form_is_known(self) -> Self:
        if self.form not in ("auto", *FORMS):
            raise ValueError(f"unknown form {self.form!r}; known: auto, {', '.join(FORMS)}")
        return self


class Segments(Section):
    """What to fetch."""

    strict: bool = False
    """True: one bad row stops the run; else it is reported and counted."""
    seconds: Annotated[float, Field(gt=0)] = 10.0
    """Length of a clip where the list gives a start only (AudioSet's clips last 10 s)."""
    lists: Annotated[tuple[ListSpec, ...], Field(strict=False)] = ()


class Fetch(Section):
    """How clips are fetched and encoded."""

    profile: Literal["exact", "copy", "small"] = "exact"
    """`exact` keeps size and frame rate of the source; `small` scales and thins for space; `copy` takes
    the packets as they are where the container can show a frame-exact span of them."""
    max_height: Count = 480
    """Largest picture height asked of the platform."""
    codecs: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Picture codecs in the order wanted, by the beginning of their names (`avc1`, `vp9`, `av01`); none:
    whatever the platform likes best."""
    audio_required: bool = False
    """True: a video without sound is rejected before a byte of it is fetched."""
    short_side: Count = 256
    """`small`: pixels of the shorter side; never scaled up."""
    fps: Annotated[float, Field(gt=0)] = 12.0
    """`small`: frames per second, never more than the source has."""
    gop: Count = 250
    """`small`: most frames from one keyframe to the next."""
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    """x264's quality: lower is larger and better."""
    audio_kbps: Count = 128
    """AAC bit rate."""
    most_mb: Count = 4000
    """Largest file taken whole from a host that cannot send a part of it."""
    clip_seconds_limit: Annotated[float, Field(gt=0)] = 300.0
    """Wall-clock limit per clip, seconds; a video's limit is this times its clips."""


class Retry(Section):
    """How often and when a clip that failed is asked for again. Each run has its own tries."""

    transient: Count = 4
    """Tries in one run after faults that pass: 5xx, a broken connection, a time-out."""
    expired: Count = 2
    """Tries where a media address was refused: each resolves anew."""
    host: Count = 3
    """Tries where the host asked to slow down; each waits for its cool-down."""
    unknown: Count = 2
    """Tries after a fault that nobody named yet."""
    first_wait_s: Annotated[float, Field(ge=0)] = 1.0
    """Mean wait before the second try; it doubles with each further one, with jitter."""
    longest_wait_s: Annotated[float, Field(ge=0)] = 60.0
    """Longest mean wait."""
    again: Annotated[tuple[str, ...], Field(strict=False)] = (
        Kind.TRANSIENT, Kind.EXPIRED, Kind.HOST, Kind.LATER, Kind.UNKNOWN,
    )  # fmt: skip
    """Reasons, and classes of reasons, that a later run asks for again; `--retry` replaces them."""

    @model_validator(mode="after")
    def _words_are_known(self) -> Self:
        check_reasons(self.again)
        return self

    def tries(self, reason: Reason) -> int:
        """Most tries of a clip in one run, its last error being of this reason."""
        budgets = {
            Kind.TRANSIENT: self.transient, Kind.EXPIRED: self.expired, Kind.HOST: self.host,
            Kind.UNKNOWN: self.unknown,
        }  # fmt: skip
        return budgets.get(reason.kind, 1)


def check_reasons(words: tuple[str, ...]) -> frozenset[Reason]:
    """The reasons that words name: reasons, classes of them, or `all`. Raises ValueError for another."""
    kinds, reasons = {kind.value for kind in Kind}, {reason.value for reason in Reason}
    for word in words:
        if word not in kinds | reasons | {"all"}:
            near = difflib.get_close_matches(word, [*kinds, *reasons], n=1, cutoff=0.5)
            mend = f"did you mean {near[0]!r}?" if near else f"known classes: {', '.join(sorted(kinds))}, all"
            raise ValueError(f"no reason {word!r}; {mend}")
    return frozenset(reason for reason in Reason if {"all", reason.value, reason.kind.value} & set(words))


class Host(Section):
    """How politely one host is asked. The longest matching name counts; `*` is every other host."""

    host: str
    """Host name, also of its subdomains, such as `youtube.com`; or `*`."""
    videos_per_hour: Annotated[float, Field(gt=0)] | None = None
    """Videos begun in an hour, over all workers; None: no limit."""
    burst: Count = 1
    """Videos that may begin at once after a rest."""
    sleep_s: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]] = Field(
        default=(0.0, 0.0), strict=False
    )
    """Shortest and longest rest between two videos of the host, drawn at random."""
    connections: Count = 8
    """Videos of the host that are worked on at the same time, over all workers."""
    on_block: Literal["stop", "wait"] = "stop"
    """When the host blocks us: `stop` asks it nothing more in this run; `wait` goes on after a cool-down.
    Going on is a person's decision."""
    cool_down_s: Annotated[float, Field(gt=0)] = 60.0
    """Rest after the host asked to slow down without a Retry-After; it doubles with each further time."""
    most_cool_down_s: Annotated[float, Field(gt=0)] = 900.0
    """A host that asks for a longer rest than this has blocked us."""
    blocks: Count = 3
    """Times in a row that a host may ask to slow down before that is a block. A bot check is one at once."""

    @model_validator(mode="after")
    def _sleeps_in_order(self) -> Self:
        if self.sleep_s[0] > self.sleep_s[1]:
            raise ValueError(f"sleep_s = {list(self.sleep_s)}: give the shorter rest first")
        return self


_PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class Access(Section):
    """Who asks, and which way. Holds no secret itself, and does not shape the bytes."""

    cookies: str | None = None
    """A cookies.txt file (Netscape format); a relative path counts from the recipe's folder."""
    proxy: str | None = None
    """`http://host:port` or `socks5://host:port`; one with a password as `env:NAME` of a variable."""
    player_clients: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """YouTube's player clients that yt-dlp asks, such as `web`, `tv`; none: its own choice."""
    po_token_env: str | None = None
    """Environment variable with PO tokens (`CLIENT.CONTEXT+TOKEN`, comma apart)."""
    pot_provider: str | None = None
    """Base URL of a PO-token provider (the plug-in bgutil-ytdlp-pot-provider)."""
    source_address: str | None = None
    """Local address to ask from."""
    sleep_requests_s: Annotated[float, Field(ge=0)] = 0.0
    """Rest between the requests of one resolution."""

    def proxy_address(self) -> str | None:
        """The proxy that every door asks by, out of the environment where the recipe says so. Raises
        UserError for one that is not set, is no address, or stands in the recipe with its password."""
        if self.proxy is None:
            return None
        proxy = self.proxy
        if proxy.startswith("env:"):
            proxy = from_environment("access.proxy", proxy.removeprefix("env:"))
        try:
            parts = urlsplit(proxy)
            fits = parts.scheme in _PROXIES and bool(parts.hostname) and parts.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise UserError("access.proxy is no http://host:port or socks5://host:port")
        if parts.password and proxy == self.proxy:
            raise UserError("access.proxy holds a password; put the address in a variable and write env:NAME")
        # Names are looked up where the proxy stands.
        return proxy.replace("socks5://", "socks5h://", 1)


def from_environment(key: str, name: str) -> str:
    """The value of the variable that a key of the recipe names. Raises UserError where it is not set."""
    value = os.environ.get(name)
    if not value:
        raise UserError(f"{key} names the variable {name}, which is not set; set it or drop the key")
    return value


class Mirror(Section):
    """Another place that may hold the bytes, keyed by clip or by video."""

    kind: Literal["folder", "fsspec", "http", "tar", "huggingface"]
    at: str
    """`folder`: a folder tree; `fsspec`: its URL; `http`: a template with {video_id}, {clip_id},
    {official_id}, {start_s}, {end_s}; `tar`: tars, plain or WebDataset's, by path, URL, folder, glob or
    range (`x-{000..015}.tar`); `huggingface`: a dataset folder of Parquet files, or `hf://datasets/...`.
    A relative path counts from the recipe's folder."""
    holds: Literal["clips", "videos"] = "clips"
    """Ready clips, or whole videos to cut from."""
    when: Literal["before", "after"] = "before"
    """Tried before the platform is asked, or after it refused."""
    name: str = ""
    """What `Media.origin` calls it; else its kind."""


class Rights(Section):
    """What to do with each signal of what owners allow: `record` it, or `require` it to allow."""

    licence: Literal["record", "require"] = "record"
    licences: Annotated[tuple[str, ...], Field(strict=False)] = ("creative commons", "cc by", "public domain")
    """Claimed licences that `require` accepts: words that stand in them, without regard to case."""
    training: Literal["record", "require"] = "record"
    """`require`: only videos whose platform states that training is permitted (YouTube's
    videoTrainability; its key is read from the variable that `youtube_key_env` names)."""
    signals: Literal["record", "require"] = "record"
    """`require`: no video whose host states an AI preference against training (robots.txt, tdmrep.json,
    X-Robots-Tag)."""
    youtube_key_env: str = "YOUTUBE_API_KEY"
    youtube_api: str = "https://www.googleapis.com/youtube/v3"
    opt_out: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Files with one video id, channel id or address a line; honoured at fetch and at every later step."""
    recheck_days: Annotated[float, Field(ge=0)] = 30.0
    """A release asks again about rights that were read longer ago than this, where one is required."""

    @property
    def asks(self) -> bool:
        """Whether any signal is required."""
        return "require" in (self.licence, self.training, self.signals)


POLITE = (
    # The platform's own guidance for anonymous visitors: about 300 videos an hour, 5 to 10 s apart.
    Host(host="youtube.com", videos_per_hour=300, burst=5, sleep_s=(5.0, 10.0), connections=2),
    Host(host="*"),
)
"""What `hosts` holds beside what a recipe says."""
