"""Cut a span out of a video, by address, into one small mp4: the first frame and the first sample
of the clip lie on the asked start, and the same span gives the same bytes.

Only the span is read and encoded anew. What the clip truly shows is checked against the frames'
own time stamps in the source, for a demuxer that lands behind the asked start (transport streams,
containers from a server without ranges) exits without an error. A late first frame makes the cut
start over from further ahead, at last from the beginning.
"""

import errno
import http.client
import itertools
import math
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import urlsplit

import ffmpeg

from valor_data import recipe
from valor_data.errors import FatalError, ItemError, Reason, RetryableError, without_secrets
from valor_data.media import complaints
from valor_data.media.ffmpeg import Run, run
from valor_data.media.transcript import FRAME_FORMAT, Frames, Transcript, frames_of, transcript

_AHEAD_MS = 10_000
"""How far ahead of the asked start the second try begins: longer than most distances of keyframes."""
_DELAY_MS = 150.0
"""A picture that starts up to so much after its container's clock was delayed by its coding (B-frames
without an edit list, AAC priming): spans count from the picture then. More is a true late start."""
_LATE_SOUND_MS = 25.0
_WAIT_S = 3.0
"""How long sound may take to end once the picture has: where the sound ends early, ffmpeg would read
on to the end of the file in search of it."""
_IDLE_S = 20
_REQUEST_BYTES = 1 << 18
_PROTOCOLS = "http,https,tls,tcp,httpproxy,crypto,data"
_RATES = "48000|44100|32000|24000|22050|16000|12000|11025|8000"


class Encoding(NamedTuple):
    """How a clip is encoded."""

    max_height: int
    """Largest picture height asked of the platform; the cut itself never scales for it."""
    crf: int
    audio_kbps: int
    short_side: int | None
    """Pixels of the shorter side at most; None keeps the source's size."""
    fps: float | None
    """Frames per second at most; None keeps the source's frames and their times."""


def encoding_of(fetch: recipe.Fetch) -> Encoding:
    """The encoding that a recipe asks for."""
    small = fetch.profile == "small"
    return Encoding(
        fetch.max_height,
        fetch.crf,
        fetch.audio_kbps,
        fetch.short_side if small else None,
        fetch.fps if small else None,
    )


class _Stream(Protocol):
    @property
    def url(self) -> str: ...
    @property
    def http_headers(self) -> Mapping[str, str]: ...
    @property
    def has_video(self) -> bool: ...


class _Streams(Protocol):
    @property
    def streams(self) -> Sequence[_Stream]: ...


class Source(NamedTuple):
    """Where the bytes are."""

    video_url: str
    """Address, or path of a local file, of the picture, or of picture and sound together."""
    audio_url: str | None = None
    """Address of the sound where it comes apart."""
    headers: tuple[tuple[str, str], ...] = ()
    """HTTP headers that the host wants."""

    @classmethod
    def of(cls, resolved: _Streams) -> Self:
        """The source that a resolved video names: its picture, and its sound where that comes apart."""
        video, *audio = sorted(resolved.streams, key=lambda stream: not stream.has_video)
        return cls(video.url, audio[0].url if audio else None, tuple(video.http_headers.items()))


class Cut(NamedTuple):
    """What a cut did, told by the time stamps of the source."""

    start_error_ms: float
    """Source time of the first shown frame minus the asked start."""
    frames: int
    tries: int
    """Runs of ffmpeg that it took."""


def cut(
    source: Source, start_ms: int, end_ms: int, encoding: Encoding, out: Path, seconds_limit: float
) -> Cut:
    """Write the span [start_ms, end_ms) of a video to `out` (mp4 with H.264, and AAC if it sounds).

    Times count from the first picture. Where the source ends early the clip is shorter. Raises
    ItemError or RetryableError with the reason, FatalError on a full disk; then `out` does not exist.
    """
    until = time.monotonic() + seconds_limit
    try:
        with tempfile.TemporaryDirectory(prefix="cut-", dir=out.parent) as scratch:
            job = _Job(source, start_ms, end_ms - start_ms, encoding, out, Path(scratch), until)
            return job.do()
    except BaseException as error:
        out.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FatalError(f"{out.parent}: {error.strerror}") from error
        raise


class _Seen(NamedTuple):
    """One run of ffmpeg, read."""

    run: Run
    said: Transcript
    picture: Frames
    sound: Frames
    error_ms: float
    """Source time of the first frame minus the asked start; nan without a frame."""
    frame_ms: float
    """How long a frame lasts."""

    @property
    def late(self) -> bool:
        """The first frame is more than a frame behind the asked start."""
        return self.error_ms > self.frame_ms * 1.05 + 1

    @property
    def landed_late(self) -> bool:
        """Nothing was decoded ahead of a late first frame: the demuxer may have passed over frames."""
        return self.late and self.picture.decoded_before == 0


class _Job:
    """One cut, as a ladder of tries."""

    def __init__(
        self, source: Source, start_ms: int, length_ms: int, encoding: Encoding,
        out: Path, scratch: Path, until: float,
    ) -> None:  # fmt: skip
        self._source, self._start_ms, self._length_ms = source, start_ms, length_ms
        self._encoding, self._out, self._scratch, self._until = encoding, out, scratch, until
        self._shifts_ms: tuple[int, ...] | None = None
        self._tries = 0

    def do(self) -> Cut:
        """Climb until the first frame is where it should be, or the source has been seen whole."""
        rungs = sorted({0, min(_AHEAD_MS, self._start_ms), self._start_ms})
        for ahead_ms in rungs:
            last = ahead_ms == rungs[-1]
            seen = self._try(ahead_ms, exact=ahead_ms == 0 and not last)
            trouble = self._trouble(seen, first=ahead_ms == 0)
            if (trouble or seen.run.code) and self._copy_whole():
                return self.do()
            if last or not trouble:
                break
        return self._judge(seen)

    def _trouble(self, seen: _Seen, first: bool) -> bool:
        """Whether a start from further ahead may show more."""
        if seen.run.code or not seen.said.picture:
            return False
        if not seen.picture.shown:
            return seen.said.decoded == 0
        late_sound = seen.sound.shown > 0 and seen.sound.first_ms > _LATE_SOUND_MS
        return seen.late or late_sound if first else seen.landed_late

    def _judge(self, seen: _Seen) -> Cut:
        log, said = seen.run.log, seen.said
        if (
            said.streams
            and not said.picture
            and not any(s.kind == "Video" and not s.cover for s in said.streams)
        ):
            raise ItemError(Reason.NO_VIDEO, "; ".join(s.text for s in said.streams)[:200])
        if seen.run.code:
            raise complaints.error_of(log)
        short_ms = self._length_ms - (seen.picture.last_ms + seen.frame_ms if seen.picture.shown else 0)
        if short_ms > 2 * seen.frame_ms and (fault := complaints.interrupted(log)):
            raise fault
        if not seen.picture.shown:
            if said.decoded:
                raise ItemError(Reason.PAST_END, f"no picture at or after {self._start_ms} ms")
            raise complaints.no_frame(log)
        return Cut(round(seen.error_ms, 3), seen.picture.shown, self._tries)

    def _try(self, ahead_ms: int, exact: bool) -> _Seen:
        """One run. `exact`: the demuxer is trusted to land at or ahead of the start."""
        self._tries += 1
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise RetryableError(Reason.TIMEOUT, f"no time was left after {self._tries - 1} runs of ffmpeg")
        heard: list[str] = []
        again = False

        def watch(line: str) -> float | None:
            nonlocal again
            heard.append(line)
            if self._shifts_ms is None and "-> #0:" in line:
                self._shifts_ms = _shifts_ms(transcript(heard))
                again = any(self._shifts_ms)
                return 0.0 if again else None
            picture_done = line.startswith("[vist#") and "All consumers of this stream are done" in line
            return _WAIT_S if picture_done else None

        stats = [self._scratch / f"{kind}.stats" for kind in ("video", "audio")]
        for file in stats:
            file.unlink(missing_ok=True)
        seek_ms = [max(0, self._start_ms + shift - ahead_ms) for shift in self._shifts_ms or (0, 0)]
        into_ms = self._start_ms + (self._shifts_ms or (0,))[0] - seek_ms[0]
        result = run(self._arguments(seek_ms, into_ms, exact, stats), left_s, watch)
        if again and not result.timed_out:
            return self._try(ahead_ms, exact)
        if result.timed_out:
            raise RetryableError(Reason.TIMEOUT, complaints.unfinished(result.log))
        said = transcript(result.log)
        picture, sound = (frames_of(file) for file in stats)
        between = [b - a for a, b in itertools.pairwise(picture.source_ms)]
        usual = 1000 / said.picture.fps if said.picture and said.picture.fps else 0.0
        error_ms = picture.source_ms[0] - into_ms if picture.shown else math.nan
        return _Seen(result, said, picture, sound, error_ms, max(usual, *between, 1.0))

    def _arguments(
        self, seek_ms: Sequence[int], into_ms: int, exact: bool, stats: Sequence[Path]
    ) -> list[str]:
        """ffmpeg's arguments: seek to `seek_ms` in each input; the clip begins `into_ms` after that."""
        urls = [url for url in (self._source.video_url, self._source.audio_url) if url]
        inputs = [
            ffmpeg.input(_address(url), **_reading(url, self._source.headers), **_seeking(at), threads=1)
            for url, at in zip(urls, seek_ms, strict=False)
        ]
        # One input is left to ffmpeg's own choice: the largest picture that has frames, the main sound.
        chosen = inputs if len(inputs) == 1 else [inputs[0]["V:0"], inputs[1]["a:0?"]]
        output = ffmpeg.output(
            *chosen,
            str(self._out.absolute()),
            format="mp4",
            vf=",".join(self._picture_filters(into_ms, exact)),
            af=",".join(self._sound_filters(into_ms, exact)),
            sn=None,
            dn=None,
            map_metadata=-1,
            map_chapters=-1,
            threads=1,
            movflags="+faststart",
            fflags="+bitexact",
            video_track_timescale=90000,
            **{
                "c:v": "libx264", "preset:v": "veryfast", "crf:v": self._encoding.crf, "pix_fmt:v": "yuv420p",
                "fps_mode:v": "vfr", "enc_time_base:v": "1:90000", "flags:v": "+bitexact",
                "c:a": "aac", "b:a": f"{self._encoding.audio_kbps}k", "flags:a": "+bitexact",
                "stats_enc_pre:v": str(stats[0]), "stats_enc_pre_fmt:v": FRAME_FORMAT,
                "stats_enc_pre:a": str(stats[1]), "stats_enc_pre_fmt:a": FRAME_FORMAT,
            },
        )  # fmt: skip
        arguments: list[str] = ffmpeg.get_args(output, overwrite_output=True)
        return ["-v", "verbose", "-filter_threads", "1", *arguments]

    def _picture_filters(self, into_ms: int, exact: bool) -> list[str]:
        encoding = self._encoding
        filters = [f"setpts=PTS-{into_ms / 1000:.3f}/TB"] if into_ms else []
        if exact:
            # The first frame is up to a frame late; shown from the start on, it leaves no empty screen.
            filters += [f"trim=start=0:end={self._length_ms / 1000:.3f}", r"setpts=if(eq(N\,0)\,0\,PTS)"]
        else:
            # The frame that is on screen at the start stays: `-fps_mode vfr` clips what lies before 0.
            filters += [f"trim=end={self._length_ms / 1000:.3f}"]
        if encoding.fps is not None:
            rate = rf"if(gt(source_fps\,0)\,min(source_fps\,{encoding.fps:g})\,{encoding.fps:g})"
            filters += [f"fps=fps={rate}:start_time=0"]
        if encoding.short_side is not None:
            side = encoding.short_side // 2 * 2
            width = rf"if(lt(iw\,ih)\,min({side}\,trunc(iw/2)*2)\,-2)"
            height = rf"if(lt(iw\,ih)\,-2\,min({side}\,trunc(ih/2)*2))"
            return [*filters, f"scale=w={width}:h={height}:flags=bicubic+accurate_rnd+bitexact"]
        return [*filters, "crop=w=trunc(iw/2)*2:h=trunc(ih/2)*2:exact=0"]

    def _sound_filters(self, into_ms: int, exact: bool) -> list[str]:
        filters = [f"asetpts=PTS-{into_ms / 1000:.3f}/TB"] if into_ms else []
        # Holes in the sound become silence, else all that follows would come early.
        fill = "aresample=async=1" if exact else "aresample=async=1:first_pts=0"
        span = f"atrim=start=0:end={self._length_ms / 1000:.3f}"
        return [*filters, span, fill, f"aformat=sample_rates={_RATES}:channel_layouts=mono|stereo"]

    def _copy_whole(self) -> bool:
        """Put whole files in place of addresses on a host that knows no ranges; False: there is none.

        Demuxers that look for an index at the end, or seek by it, lose their way in such a stream.
        """
        urls = [self._source.video_url, self._source.audio_url]
        paths = [
            _copied(url, self._source.headers, self._scratch / f"whole{number}", self._until)
            if url and _is_plain(url)
            else None
            for number, url in enumerate(urls)
        ]
        if not any(paths):
            return False
        video, audio = (str(path) if path else url for path, url in zip(paths, urls, strict=True))
        assert video
        self._source = self._source._replace(video_url=video, audio_url=audio)
        return True


def _shifts_ms(said: Transcript) -> tuple[int, ...]:
    """How much later than asked each input's span begins, so that times count from the first picture."""
    if not said.picture:
        return (0, 0)
    delay_ms = 1000 * (said.picture.start_s - said.starts_s[said.picture.input])
    shift = math.floor(delay_ms + 1e-6) if 0 < delay_ms <= _DELAY_MS else 0
    if len(said.starts_s) == 1:
        return (shift,)
    # Renditions of one HLS presentation share a clock; other pairs each begin at their own start.
    shared = all(form == "hls" for form in said.formats)
    return (shift, shift + round(1000 * (said.starts_s[0] - said.starts_s[1])) if shared else 0)


def _address(url: str) -> str:
    return url if "://" in url else f"file:{Path(url).absolute()}"


def _is_plain(url: str) -> bool:
    """A file over HTTP, not a manifest."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and not parts.path.endswith((".m3u8", ".mpd"))


def _seeking(at_ms: int) -> dict[str, Any]:
    return {"ss": f"{at_ms / 1000:.3f}"} if at_ms else {}


def _reading(url: str, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    if "://" not in url:
        return {"protocol_whitelist": "file"}
    options: dict[str, Any] = {
        "protocol_whitelist": _PROTOCOLS,  # a remote playlist must not read local files
        "rw_timeout": _IDLE_S * 1_000_000,
        "request_size": _REQUEST_BYTES,
        "reconnect_max_retries": 2,
        "reconnect_delay_max": 2,
    }
    sent = {name.lower(): (name, value) for name, value in headers}
    sent.pop("accept-encoding", None)  # ffmpeg asks for the bytes as they are
    if "user-agent" in sent:
        options["user_agent"] = sent.pop("user-agent")[1]
    if sent:
        options["headers"] = "".join(f"{name}: {value}\r\n" for name, value in sent.values())
    return options


def _copied(url: str, headers: Sequence[tuple[str, str]], path: Path, until: float) -> Path | None:
    """The whole file, when the host answers a range with all of it; None when it honours ranges."""
    request = urllib.request.Request(url, headers={**dict(headers), "Range": "bytes=0-0"})
    request.headers.pop("Accept-encoding", None)
    try:
        with urllib.request.urlopen(request, timeout=_IDLE_S) as answer:
            if answer.status != http.client.OK:
                return None
            with path.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
                    if time.monotonic() > until:
                        raise RetryableError(Reason.TIMEOUT, "the host has no ranges; its file took too long")
            promised = answer.headers["Content-Length"]
            if promised and path.stat().st_size < int(promised):
                raise RetryableError(Reason.TRUNCATED, f"{path.stat().st_size} of {promised} bytes came")
    except urllib.error.HTTPError as error:
        raise complaints.error_of([f"HTTP error {error.code} {error.reason}"]) from error
    except TimeoutError as error:
        raise RetryableError(Reason.TIMEOUT, str(error)) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        raise RetryableError(Reason.TRANSPORT, without_secrets(str(error))) from error
    return path
