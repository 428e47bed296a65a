"""The graph of a cut: inputs over HTTP, filters on picture and sound, encoders that repeat to the byte."""

from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import ffmpeg

from valor_data import recipe
from valor_data.media.transcript import FRAME_FORMAT

IDLE_S = 300
"""Silence behind an address after which a read has failed; who reads there has a patience of its own."""
_REQUEST_BYTES = 1 << 16
"""What is asked for at once is on its way before anybody can say that it is not needed."""
_PROTOCOLS = "http,tcp,crypto,data"
_RATES = "48000|44100|32000|24000|22050|16000|12000|11025|8000"
_TICKS = "1/90000"
_NEAR_S, _FLASH_S = 0.05, 0.005


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
    gop: int = 250
    """Most frames from one keyframe to the next."""


def encoding_of(fetch: recipe.Fetch) -> Encoding:
    """The encoding that a recipe asks for."""
    small = fetch.profile == "small"
    return Encoding(
        fetch.max_height,
        fetch.crf,
        fetch.audio_kbps,
        fetch.short_side if small else None,
        fetch.fps if small else None,
        fetch.gop if small else 250,
    )


class Source(NamedTuple):
    """Where the bytes are."""

    video_url: str
    """Address on this machine, or path, of the picture, or of picture and sound together."""
    audio_url: str | None = None
    """Address of the sound where it comes apart."""
    shifts_us: tuple[int | None, ...] = (None, None)
    """For each: a file that holds little more than the span, and is read from its beginning on; its first
    picture (of sound: its first sample) comes so much later than that of the whole. None: it is the whole,
    to be sought in."""

    @property
    def urls(self) -> tuple[str, ...]:
        """One or two."""
        return (self.video_url, self.audio_url) if self.audio_url else (self.video_url,)


class Way(Enum):
    """How the first frame of the clip is found."""

    SEEK = "seek"  # decoding ends up at the start: the first frame after it is the one, shown from 0 on
    AHEAD = "ahead"  # decoding begins well before: the frame that is on screen at the start is the one
    WHOLE = "whole"  # the clip starts where the video does


class Span(NamedTuple):
    """What to read of each input, microseconds."""

    seeks_us: tuple[int, ...]
    """Where each input is sought; 0: not at all."""
    starts_us: tuple[int, ...]
    """When the clip begins, on the input's own clock from its start."""
    length_us: int
    way: Way
    reads_on: bool
    """Read on past the end until ffmpeg is asked to end; without that it could end in no order once only
    sound is waited for that never comes."""


def arguments(source: Source, span: Span, encoding: Encoding, out: Path, stats: Path) -> list[str]:
    """ffmpeg's arguments: write the span to `out`, and a line for each frame of the picture to `stats`."""
    inputs = [
        ffmpeg.input(address(url), **reading(url), **_seeking(seek_us), threads=1)
        for url, seek_us in zip(source.urls, span.seeks_us, strict=True)
    ]
    # One input is left to ffmpeg's own choice: the largest picture that has frames, the main sound.
    chosen = inputs if len(inputs) == 1 else [inputs[0]["V:0"], inputs[1]["a:0?"]]
    output = ffmpeg.output(
        *chosen,
        str(out.absolute()),
        format="mp4",
        vf=",".join(_picture(span, encoding)),
        af=",".join(_sound(span)),
        sn=None,
        dn=None,
        map_metadata=-1,
        map_chapters=-1,
        threads=1,
        movflags="+faststart",
        fflags="+bitexact",
        video_track_timescale=90000,
        **{
            "c:v": "libx264", "preset:v": "veryfast", "crf:v": encoding.crf, "g:v": encoding.gop,
            "pix_fmt:v": "yuv420p",
            "fps_mode:v": "vfr", "enc_time_base:v": "1:90000", "flags:v": "+bitexact",
            "c:a": "aac", "b:a": f"{encoding.audio_kbps}k", "flags:a": "+bitexact",
            "stats_enc_pre:v": str(stats), "stats_enc_pre_fmt:v": FRAME_FORMAT,
        },
    )  # fmt: skip
    if span.reads_on:
        # Packets that somebody takes are what keeps the reader where it can be told to end.
        output = ffmpeg.merge_outputs(output, ffmpeg.output(inputs[0]["V:0"], "-", format="null", c="copy"))
    # After a seek ffmpeg rounds its clock to ticks, which are whole frames in AVI, and takes a seek that
    # failed for a jump of the clock: another span, without a word. Without one a jump is a true jump.
    clock = ["-copyts", "-start_at_zero"] if any(span.seeks_us) else []
    return [*clock, "-filter_threads", "1", *ffmpeg.get_args(output, overwrite_output=True)]


def _picture(span: Span, encoding: Encoding) -> list[str]:
    # A finer clock first, for some containers count time in whole frames.
    filters = [f"settb={_TICKS}", f"setpts=PTS-{_s(span.starts_us[0])}/TB"] if span.starts_us[0] else []
    if span.way is Way.SEEK:
        # That frame is up to one frame late; shown from 0 on, it leaves no empty screen.
        filters += [f"trim=start=0:end={_s(span.length_us)}", r"setpts=if(eq(N\,0)\,0\,PTS)"]
    elif span.way is Way.WHOLE:
        filters += [f"trim=end={_s(span.length_us)}", rf"setpts=if(eq(N\,0)*lt(T\,{_NEAR_S})\,0\,PTS)"]
    else:
        # `-fps_mode vfr` drops what ends before 0 and clips what begins before it; a frame whose end lies
        # on the start but for the rounding of clocks must not flash up.
        late = rf"if(lte(T\,{_FLASH_S})\,0\,PTS)"
        filters += [f"trim=end={_s(span.length_us)}", rf"setpts=if(lt(T\,0)\,PTS-{_FLASH_S}/TB\,{late})"]
    if encoding.fps is not None:
        most = f"{encoding.fps:g}"
        filters += [rf"fps=fps=if(gt(source_fps\,0)\,min(source_fps\,{most})\,{most}):start_time=0"]
    if encoding.short_side is None:
        return [*filters, "crop=w=max(2\\,trunc(iw/2)*2):h=max(2\\,trunc(ih/2)*2)"]
    side = encoding.short_side // 2 * 2
    width = rf"if(lt(iw\,ih)\,min({side}\,trunc(iw/2)*2)\,-2)"
    height = rf"if(lt(iw\,ih)\,-2\,min({side}\,trunc(ih/2)*2))"
    return [*filters, f"scale=w={width}:h={height}:flags=bicubic+accurate_rnd+bitexact"]


def _sound(span: Span) -> list[str]:
    shift = f"asetpts=PTS-{_s(span.starts_us[-1])}/TB," if span.starts_us[-1] else ""
    # The log tells when the first sample came, for holes become silence, at the start and within: else
    # all that follows would come early.
    first = "asplit[all][one];[one]atrim=end_sample=1,ashowinfo,anullsink;[all]aresample=async=1:first_pts=0"
    return [
        f"{shift}atrim=start=0:end={_s(span.length_us)}",
        first,
        f"aformat=sample_rates={_RATES}:channel_layouts=mono|stereo",
    ]


def _s(us: int) -> str:
    return f"{us / 1e6:.6f}"


def address(url: str) -> str:
    """What ffmpeg takes for the same address or path, whatever characters it holds."""
    return url if "://" in url else f"file:{Path(url).absolute()}"


def _seeking(seek_us: int) -> dict[str, Any]:
    # The filters trim, on a finer clock.
    return {"ss": _s(seek_us), "noaccurate_seek": None} if seek_us else {}


def in_process(url: str) -> dict[str, Any]:
    """The same for PyAV, whose libraries give up where a bounded request ends."""
    if "://" not in url:
        return {"protocol_whitelist": "file"}
    return {
        "protocol_whitelist": _PROTOCOLS,  # a remote playlist must not read local files
        "rw_timeout": IDLE_S * 1_000_000,
    }


def reading(url: str) -> dict[str, Any]:
    """ffmpeg's input options for an address or a local path."""
    if "://" not in url:
        return {"protocol_whitelist": "file"}
    options: dict[str, Any] = in_process(url) | {
        "initial_request_size": _REQUEST_BYTES,
        "request_size": _REQUEST_BYTES,
    }
    if urlsplit(url).path.endswith(".m3u8"):
        options |= {"seg_max_retry": 0, "http_multiple": 0}  # no segment that the span does not need
    return options
