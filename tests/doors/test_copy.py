"""Copied packets show exactly the span, or the copy is refused with its reason."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from tests.fakes import footage
from tests.fakes.media_server import MediaServer
from tests.fakes.remote import source_of
from valor_data.errors import ItemError, Reason
from valor_data.media.copy import copy
from valor_data.media.cut import Cut, Source, cut, encoding_of
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.media.probe import probe
from valor_data.recipe import Access, Fetch
from valor_data.transfer import Gateway, Remote

SECONDS = 30
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof+global_sidx"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaServer]:
    folder = tmp_path_factory.mktemp("media")
    base = footage.make(folder / "fast.mp4", SECONDS, muxer=("-movflags", "+faststart"))
    for name in ("last.mp4", "a.mkv", "a.ts", "a.avi"):
        footage.remux(base, folder / name)
    footage.remux(base, folder / "picture.mp4", "-an")
    footage.remux(base, folder / "sound.m4a", "-vn")
    footage.remux(base, folder / "picture-fragments.mp4", "-an", "-movflags", _FRAGMENTS)
    plain = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "50", "-c:a", "aac")
    footage.make(folder / "plain.mp4", SECONDS, codecs=plain)
    footage.make(folder / "mute.mp4", SECONDS, sound=False)
    with MediaServer(folder) as running:
        yield running


def _copy(remotes: list[Remote], start_ms: int, end_ms: int, out: Path) -> Cut:
    with (
        Gateway(out.parent, Access(), 4000) as gateway,
        gateway.video(remotes) as transfer,
        transfer.span(start_ms, end_ms) as span,
    ):
        return copy(source_of(span), start_ms, end_ms, out, 60.0)


@pytest.mark.parametrize("start_ms", [0, 12_000, 13_370])
@pytest.mark.parametrize(
    "names", ["fast.mp4", "last.mp4", "a.mkv", "a.ts", "plain.mp4", "picture.mp4 sound.m4a",
              "picture-fragments.mp4 sound.m4a"]
)  # fmt: skip
def test_a_copy_shows_exactly_the_span(
    names: str, start_ms: int, server: MediaServer, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    done = _copy([Remote(server.url(name)) for name in names.split()], start_ms, start_ms + 3000, out)
    seen = footage.read(out, SECONDS)
    times, numbers = zip(*seen.frames, strict=True)
    assert list(numbers) == list(range(numbers[0], numbers[0] + 75))
    assert done.frames == 75
    assert times[0] == 0
    assert 0 <= numbers[0] * 40 - start_ms <= 40
    assert done.start_error_ms == pytest.approx(numbers[0] * 40 - start_ms, abs=1)
    assert abs(probe(out).duration_ms - 3000) <= 41
    assert seen.sound_start_s is not None
    assert abs(numbers[-1] * 0.04 - times[-1] - seen.sound_start_s) < 0.02
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_nothing_is_encoded(server: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    _copy([Remote(server.url("fast.mp4"))], 13_370, 16_370, out)
    with av.open(str(out)) as clip, av.open(str(server.folder / "fast.mp4")) as source:
        whole = {bytes(packet) for packet in source.demux(video=0)}
        assert {bytes(packet) for packet in clip.demux(video=0)} <= whole


def test_a_container_that_gives_no_exact_copy_is_told(server: MediaServer, tmp_path: Path) -> None:
    with pytest.raises(ItemError) as caught:
        _copy([Remote(server.url("a.avi"))], 12_000, 15_000, tmp_path / "clip.mp4")
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
    assert "'exact' serves" in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_codec_that_mp4_does_not_hold_is_told(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    make = ["-f", "lavfi", "-i", "testsrc2=s=64x64:d=4", "-c:v", "ffv1", str(source)]
    subprocess.run([ffmpeg_path(), "-v", "error", *make], check=True)
    with pytest.raises(ItemError) as caught:
        copy(Source(str(source)), 1000, 2000, tmp_path / "clip.mp4", 60)
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT


def test_a_span_over_the_end_gives_what_there_is_and_one_past_it_is_rejected(
    server: MediaServer, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    assert _copy([Remote(server.url("mute.mp4"))], 28_000, 38_000, out).frames == 50
    assert probe(out).duration_ms == 2000
    with pytest.raises(ItemError) as caught:
        _copy([Remote(server.url("mute.mp4"))], 31_000, 32_000, out)
    assert caught.value.reason is Reason.PAST_END


def test_small_keeps_the_distance_of_keyframes(server: MediaServer, tmp_path: Path) -> None:
    small = encoding_of(Fetch(profile="small", gop=6, fps=12.0))
    source = Source(str(server.folder / "fast.mp4"))
    cut(source, 0, 3000, small, tmp_path / "clip.mp4", 60)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        keys = [packet.is_keyframe for packet in clip.demux(video=0) if packet.size]
    assert max(len(run) for run in "".join("K" if key else "." for key in keys).split("K")) <= 5
