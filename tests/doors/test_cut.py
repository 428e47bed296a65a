"""Cuts are exact for every container, with and without ranges, and every fault has its true reason."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import psutil
import pytest

from tests.fakes import footage
from tests.fakes.exactness import assert_exact
from tests.fakes.media_server import Fault, MediaServer
from tests.fakes.remote import cut_remote
from valor_data import recipe
from valor_data.errors import FatalError, ItemError, Reason, RetryableError, ValorDataError
from valor_data.media.complaints import MEDIA, error_of
from valor_data.media.cut import Encoding, Source, cut, encoding_of
from valor_data.media.ffmpeg import Line
from valor_data.media.probe import Probe, probe
from valor_data.transfer import Remote, upstream

SECONDS = 30
EXACT = Encoding(480, 23, 128, None, None)
LIMIT = 60.0
START_MS, END_MS = 13_370, 16_370
FRAME_S = 0.04

_VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "50", "-c:a", "libopus")
_MPEG4 = ("-c:v", "mpeg4", "-g", "50", "-q:v", "4")
_HLS = ("-f", "hls", "-hls_time", "4", "-hls_list_size", "0")
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof"
_FOLDED = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "600", "-c:a", "aac")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One planted source in every container."""
    folder = tmp_path_factory.mktemp("media")
    base = footage.make(folder / "fast.mp4", SECONDS, muxer=("-movflags", "+faststart"))
    for name in ("last.mp4", "a.mkv", "a.ts", "a.flv", "a.mov"):
        footage.remux(base, folder / name)
    footage.remux(base, folder / "offset.mkv", "-output_ts_offset", "5.3")
    footage.remux(base, folder / "frag.mp4", "-movflags", _FRAGMENTS)
    footage.remux(base, folder / "sidx.mp4", "-movflags", _FRAGMENTS + "+global_sidx")
    footage.remux(base, folder / "hls.m3u8", *_HLS)
    footage.remux(base, folder / "fmp4.m3u8", *_HLS, "-hls_segment_type", "fmp4")
    footage.remux(base, folder / "picture.mp4", "-an")
    footage.remux(base, folder / "sound.m4a", "-vn")
    footage.remux(base, folder / "part%v.m3u8", *_HLS, "-var_stream_map", "v:0,agroup:a a:0,agroup:a")
    footage.make(folder / "plain.mp4", SECONDS, codecs=(*_FOLDED[:4], "-g", "50", "-bf", "0", "-c:a", "aac"))
    footage.make(folder / "a.webm", SECONDS, codecs=_VP8)
    footage.remux(folder / "a.webm", folder / "picture.webm", "-an")
    footage.remux(folder / "a.webm", folder / "sound.webm", "-vn")
    footage.make(folder / "a.avi", SECONDS, codecs=(*_MPEG4, "-c:a", "pcm_s16le"))
    footage.make(folder / "mp3.avi", SECONDS, codecs=(*_MPEG4, "-c:a", "libmp3lame"))
    footage.make(folder / "a.mpg", SECONDS, codecs=("-c:v", "mpeg2video", "-q:v", "4", "-c:a", "mp2"))
    return folder


@pytest.fixture(scope="module")
def ranged(media: Path) -> Iterator[MediaServer]:
    with MediaServer(media) as server:
        yield server


@pytest.fixture(scope="module")
def rangeless(media: Path) -> Iterator[MediaServer]:
    with MediaServer(media, ranges=False) as server:
        yield server


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, ranged: MediaServer) -> Iterator[None]:
    """No fault outlives a test; nothing but the clip is ever left behind."""
    ranged.faults.clear()
    ranged.reset_counts()
    yield
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("cut-")] == []


NAMES = (
    "fast.mp4", "last.mp4", "a.mkv", "offset.mkv", "a.webm", "a.ts", "a.flv", "a.mov", "a.avi", "mp3.avi",
    "a.mpg", "frag.mp4", "sidx.mp4", "hls.m3u8", "fmp4.m3u8",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start_ms", [0, START_MS])
def test_a_cut_is_exact(name: str, start_ms: int, ranged: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    done = cut_remote(ranged.url(name), start_ms, start_ms + 3000, EXACT, out, LIMIT)
    # An AVI whose mp3 is delayed begins with an empty frame.
    if (name, start_ms) != ("mp3.avi", 0):
        assert_exact(out, start_ms, start_ms + 3000, SECONDS)
    assert abs(done.start_error_ms) <= 40
    seen = probe(out)
    assert (seen.first_frame_ms, seen.first_audio_ms) == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_is_exact_without_ranges(name: str, rangeless: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    cut_remote(rangeless.url(name), START_MS, END_MS, EXACT, out, LIMIT)
    assert_exact(out, START_MS, END_MS, SECONDS)


@pytest.mark.parametrize("name", ["fast.mp4", "a.mkv", "a.webm", "a.ts", "hls.m3u8", "plain.mp4"])
def test_a_start_on_a_keyframe(name: str, ranged: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    done = cut_remote(ranged.url(name), 12_000, 15_000, EXACT, out, LIMIT)
    seen = assert_exact(out, 12_000, 15_000, SECONDS)
    assert seen.frames[0] == (0, 300)
    assert done.start_error_ms < 1
    assert probe(out).first_audio_ms == 0


def test_moov_at_the_end_without_ranges_from_the_start(rangeless: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    cut_remote(rangeless.url("last.mp4"), 0, 3000, EXACT, out, LIMIT)
    assert_exact(out, 0, 3000, SECONDS)


@pytest.mark.parametrize(
    ("picture", "sound"),
    [("picture.mp4", "sound.m4a"), ("picture.webm", "sound.webm"), ("picture.mp4", "sound.webm"),
     ("part0.m3u8", "part1.m3u8")],
)  # fmt: skip
def test_picture_and_sound_from_two_addresses(
    picture: str, sound: str, ranged: MediaServer, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    cut_remote([Remote(ranged.url(picture)), Remote(ranged.url(sound))], START_MS, END_MS, EXACT, out, LIMIT)
    assert_exact(out, START_MS, END_MS, SECONDS)


def test_a_broadcast_frame_rate(tmp_path: Path, media: Path) -> None:
    fps = Fraction(30_000, 1001)
    source = footage.make(media / "ntsc.mp4", SECONDS, fps=fps)
    out = tmp_path / "clip.mp4"
    cut(Source(str(source)), START_MS, END_MS, EXACT, out, LIMIT)
    assert_exact(out, START_MS, END_MS, SECONDS, fps)


@pytest.mark.parametrize("name", ["a.ts", "frag.mp4", "a.mkv"])
def test_keyframes_further_apart_than_the_second_try_reaches(name: str, media: Path, tmp_path: Path) -> None:
    base = media / "sparse.mp4"
    if not base.exists():
        footage.make(base, SECONDS, codecs=_FOLDED)
    folder = tmp_path / "served"
    folder.mkdir()
    footage.remux(base, folder / name, *(("-movflags", _FRAGMENTS) if name == "frag.mp4" else ()))
    with MediaServer(folder) as server:
        out = tmp_path / "clip.mp4"
        cut_remote(server.url(name), 21_230, 23_230, EXACT, out, LIMIT)
    assert_exact(out, 21_230, 23_230, SECONDS)


def test_the_same_span_gives_the_same_bytes(ranged: MediaServer, tmp_path: Path) -> None:
    digests = set()
    for name in ("one.mp4", "two.mp4"):
        cut_remote(ranged.url("fast.mp4"), START_MS, END_MS, EXACT, tmp_path / name, LIMIT)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_many_cuts_leave_nothing_open(media: Path, tmp_path: Path) -> None:
    def cut_some(times: int) -> None:
        for _ in range(times):
            cut(Source(str(media / "a.avi")), 1000, 1200, EXACT, tmp_path / "clip.mp4", LIMIT)

    process = psutil.Process()
    cut_some(2)
    files = process.num_fds()
    cut_some(10)
    assert process.num_fds() == files
    assert process.children(recursive=True) == []


def test_only_the_span_is_read(ranged: MediaServer, media: Path, tmp_path: Path) -> None:
    long = media / "long.mp4"
    footage.make(
        long, 120, muxer=("-movflags", "+faststart"), codecs=(*_FOLDED[:4], "-g", "50", "-c:a", "aac")
    )
    cut_remote(ranged.url("long.mp4"), 60_000, 62_000, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert ranged.bytes_sent < 0.4 * long.stat().st_size


# What a source may be


def test_small_scales_and_thins_and_stays_in_sync(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    small = Encoding(480, 23, 64, 96, 12.0)
    cut(Source(str(media / "fast.mp4")), START_MS, END_MS, small, out, LIMIT)
    seen, planted = probe(out), footage.read(out, SECONDS)
    assert (seen.width, seen.height) == (170, 96)
    assert seen.fps == pytest.approx(12, abs=0.2)
    assert abs(seen.duration_ms - 3000) <= 84
    assert planted.sound_start_s == pytest.approx(START_MS / 1000, abs=0.02)
    assert all(abs(n / 25 - t - START_MS / 1000) <= 1 / 12 for t, n in planted.frames)
    assert (seen.first_frame_ms, seen.first_audio_ms) == (0, 0)


def test_small_never_enlarges(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    cut(Source(str(media / "fast.mp4")), 0, 1000, Encoding(480, 23, 64, 256, 60.0), out, LIMIT)
    assert (probe(out).width, probe(out).height, probe(out).frames) == (320, 180, 25)


def test_encoding_of_the_two_profiles() -> None:
    assert encoding_of(recipe.Fetch()) == Encoding(480, 23, 128, None, None)
    assert encoding_of(recipe.Fetch(profile="small", short_side=128, fps=4.0)) == Encoding(
        480, 23, 128, 128, 4.0
    )


def _lavfi(path: Path, *options: str) -> Path:
    """A small file made by ffmpeg's own generators."""
    from valor_data.media.ffmpeg import ffmpeg_path

    subprocess.run([ffmpeg_path(), "-v", "error", "-y", "-nostdin", *options, str(path)], check=True)
    return path


_PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2")
_TONE = ("-f", "lavfi", "-i", "sine=d=2")
_FAST = ("-c:v", "libx264", "-preset", "ultrafast")


def _cut_of(source: Path, tmp_path: Path, start_ms: int = 0, end_ms: int = 1000) -> Probe:
    cut(Source(str(source)), start_ms, end_ms, EXACT, tmp_path / "clip.mp4", LIMIT)
    return probe(tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    ("layout", "rate", "channels", "kept"),
    [("mono", 16000, 1, 16000), ("stereo", 44100, 2, 44100), ("5.1", 48000, 2, 48000),
     ("stereo", 96000, 2, 48000), ("mono", 8000, 1, 8000), ("7.1", 48000, 2, 48000)],
)  # fmt: skip
def test_sound_keeps_its_rate_and_is_stereo_at_most(
    layout: str, rate: int, channels: int, kept: int, tmp_path: Path
) -> None:
    noise = ("-f", "lavfi", "-i", f"anoisesrc=d=2:r={rate},aformat=channel_layouts={layout}")
    source = _lavfi(tmp_path / "in.mkv", *_PICTURE, *noise, *_FAST, "-c:a", "pcm_s16le")
    seen = _cut_of(source, tmp_path)
    assert (seen.channels, seen.sample_rate, seen.audio_codec) == (channels, kept, "aac")


def test_without_sound_the_clip_has_none(tmp_path: Path) -> None:
    seen = _cut_of(_lavfi(tmp_path / "in.mp4", *_PICTURE, *_FAST), tmp_path)
    assert (seen.audio_codec, seen.frames) == (None, 25)


def test_sound_only_has_no_video(tmp_path: Path) -> None:
    with pytest.raises(ItemError) as caught:
        _cut_of(_lavfi(tmp_path / "in.m4a", *_TONE), tmp_path)
    assert caught.value.reason is Reason.NO_VIDEO
    assert "aac" in caught.value.message


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    cover = ("-map", "0", "-map", "1", "-frames:v", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic")
    source = _lavfi(tmp_path / "in.m4a", *_PICTURE, *_TONE, *cover)
    with pytest.raises(ItemError) as caught:
        _cut_of(source, tmp_path)
    assert caught.value.reason is Reason.NO_VIDEO


def test_the_largest_picture_and_nothing_else_is_taken(tmp_path: Path) -> None:
    words = tmp_path / "in.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    source = _lavfi(
        tmp_path / "in.mkv", "-f", "lavfi", "-i", "color=s=64x48:d=2", *_PICTURE, *_TONE, "-i", str(words),
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", *_FAST, "-disposition:v", "0",
    )  # fmt: skip
    seen = _cut_of(source, tmp_path)
    assert (seen.width, seen.height) == (160, 120)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize(
    ("size", "kept"), [("161x121", (160, 120)), ("162x3", (162, 2)), ("160x122", (160, 122))]
)
def test_odd_sizes_lose_one_line(size: str, kept: tuple[int, int], tmp_path: Path) -> None:
    picture = ("-f", "lavfi", "-i", f"testsrc2=s={size}:d=1")
    seen = _cut_of(_lavfi(tmp_path / "in.mkv", *picture, "-c:v", "ffv1"), tmp_path)
    assert (seen.width, seen.height) == kept


def test_a_turned_picture_is_upright(tmp_path: Path) -> None:
    flat = _lavfi(tmp_path / "flat.mp4", *_PICTURE, *_FAST)
    turned = _lavfi(tmp_path / "in.mp4", "-display_rotation", "90", "-i", str(flat), "-c", "copy")
    assert (probe(turned).width, probe(turned).height) == (120, 160)
    seen = _cut_of(turned, tmp_path)
    assert (seen.width, seen.height) == (120, 160)


def test_ten_bits_become_eight(tmp_path: Path) -> None:
    source = _lavfi(tmp_path / "in.mkv", *_PICTURE, "-pix_fmt", "yuv420p10le", *_FAST)
    _cut_of(source, tmp_path)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"


def test_the_frame_on_screen_at_the_start_is_kept_where_frames_are_rare(tmp_path: Path) -> None:
    # Frames 0-24, then one that stays for two seconds, then frames again.
    source = footage.make(tmp_path / "cfr.mp4", 6, sound=False)
    rare = _lavfi(
        tmp_path / "in.mp4", "-i", str(source), "-vf", r"select=lte(n\,25)+gte(n\,75)", "-fps_mode", "vfr",
        *_FAST, "-g", "10",
    )  # fmt: skip
    cut(Source(str(rare)), 2000, 4000, EXACT, tmp_path / "clip.mp4", LIMIT)
    frames = footage.read(tmp_path / "clip.mp4", 6).frames
    assert frames[0] == (0, 25)
    assert frames[1] == (pytest.approx(1.0, abs=0.001), 75)


def test_sound_that_ends_early_does_not_cost_the_rest_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    noise = ("-f", "lavfi", "-i", "nullsrc=s=320x240:r=25:d=40,geq=random(1)*255:128:128")
    tone = ("-f", "lavfi", "-i", "sine=d=3")
    _lavfi(folder / "a.mp4", *noise, *tone, *_FAST, "-g", "25", "-b:v", "3M", "-movflags", "+faststart")
    with MediaServer(folder, bytes_per_second=1_000_000) as server:
        cut_remote(server.url("a.mp4"), 1000, 4000, EXACT, tmp_path / "clip.mp4", LIMIT)
        assert server.bytes_sent < 0.6 * (folder / "a.mp4").stat().st_size
    seen = probe(tmp_path / "clip.mp4")
    assert (seen.frames, seen.duration_ms) == (75, 3000)
    assert footage.sound_of(tmp_path / "clip.mp4")[1] is not None


def test_holes_in_the_sound_do_not_move_what_follows(tmp_path: Path, media: Path) -> None:
    source = _lavfi(
        tmp_path / "in.mkv", "-i", str(media / "fast.mp4"), "-c:v", "copy", "-c:a", "pcm_s16le",
        "-af", "aselect='not(between(t,2,2.5))'",
    )  # fmt: skip
    cut(Source(str(source)), 1000, 6000, EXACT, tmp_path / "clip.mp4", LIMIT)
    pts, samples = footage.sound_of(tmp_path / "clip.mp4")
    assert samples is not None
    reference = footage.tone(SECONDS)
    tail = samples[-footage.RATE :]
    seconds = footage.find(tail, reference)
    assert seconds == pytest.approx(1 + pts + (len(samples) - footage.RATE) / footage.RATE, abs=0.02)


@pytest.mark.parametrize(("start_ms", "end_ms"), [(25_370, 28_370), (18_500, 22_500), (0, 3000)])
def test_a_presentation_whose_clock_begins_anew(
    start_ms: int, end_ms: int, media: Path, tmp_path: Path
) -> None:
    # Twenty seconds, a break as before and after an advertisement, then the rest with its clock from zero.
    folder = tmp_path / "served"
    folder.mkdir()
    for part, begin in (("a", "0"), ("b", "20")):
        options = ("-hls_segment_filename", str(folder / f"{part}%d.ts"), *_HLS)
        piece = _lavfi(
            tmp_path / f"{part}.mp4", "-ss", begin, "-i", str(media / "fast.mp4"), "-t", "20", *_FAST
        )
        footage.remux(piece, folder / f"{part}.m3u8", *options)
    first = (folder / "a.m3u8").read_text().replace("#EXT-X-ENDLIST\n", "#EXT-X-DISCONTINUITY\n")
    rest = (folder / "b.m3u8").read_text()
    (folder / "all.m3u8").write_text(first + rest[rest.index("#EXTINF") :])
    with MediaServer(folder) as server:
        cut_remote(server.url("all.m3u8"), start_ms, end_ms, EXACT, tmp_path / "clip.mp4", LIMIT)
    frames = footage.read(tmp_path / "clip.mp4", SECONDS).frames
    assert abs(frames[0][1] / 25 - start_ms / 1000) <= 0.2
    assert len(frames) == pytest.approx((end_ms - start_ms) / 40, abs=4)


# Where the source ends


def test_a_span_over_the_end_gives_what_there_is(ranged: MediaServer, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    done = cut_remote(ranged.url("a.mkv"), 28_000, 38_000, EXACT, out, LIMIT)
    assert done.frames == 50
    assert abs(probe(out).duration_ms - 2000) <= 40


@pytest.mark.parametrize("name", ["fast.mp4", "a.mkv", "a.ts", "hls.m3u8", "frag.mp4", "a.avi", "a.mpg"])
@pytest.mark.parametrize("start_ms", [30_500, 300_000])
def test_a_span_past_the_end_is_rejected(
    name: str, start_ms: int, ranged: MediaServer, tmp_path: Path
) -> None:
    with pytest.raises(ItemError) as caught:
        cut_remote(ranged.url(name), start_ms, start_ms + 2000, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert caught.value.reason is Reason.PAST_END
    assert not (tmp_path / "clip.mp4").exists()


# Faults


@pytest.mark.parametrize(
    ("fault", "reason", "error"),
    [
        (Fault(status=404), Reason.NOT_FOUND, ItemError),
        (Fault(status=410), Reason.NOT_FOUND, ItemError),
        (Fault(status=403), Reason.FORBIDDEN, RetryableError),
        (Fault(status=429, retry_after="7"), Reason.RATE_LIMITED, RetryableError),
        (Fault(status=500), Reason.SERVER_ERROR, RetryableError),
        (Fault(status=503), Reason.SERVER_ERROR, RetryableError),
        (Fault(reset=True), Reason.TRANSPORT, RetryableError),
        (Fault(redirect="/fast.mp4"), Reason.SERVER_ERROR, RetryableError),
        (Fault(html=True), Reason.NOT_MEDIA, ItemError),
    ],
    ids=lambda value: None if isinstance(value, type) else str(value)[:30],
)
def test_a_fault_of_the_host_is_named(
    fault: Fault, reason: Reason, error: type[ValorDataError], ranged: MediaServer, tmp_path: Path
) -> None:
    ranged.faults["fast.mp4"] = fault
    with pytest.raises(error) as caught:
        cut_remote(ranged.url("fast.mp4") + "?sig=SECRET", START_MS, END_MS, EXACT, tmp_path / "c.mp4", LIMIT)
    assert caught.value.reason is reason  # type: ignore[attr-defined]
    assert caught.value.message  # type: ignore[attr-defined]
    assert "SECRET" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens(tmp_path: Path) -> None:
    with MediaServer(tmp_path) as server:
        url = server.url("a.mp4")
    with pytest.raises(RetryableError) as caught:
        cut_remote(url, 0, 1000, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert caught.value.reason is Reason.TRANSPORT
    assert "refused" in caught.value.message


def test_a_body_that_breaks_off_is_read_on(ranged: MediaServer, tmp_path: Path) -> None:
    ranged.faults["fast.mp4"] = Fault(truncate=150_000, times=4)
    cut_remote(ranged.url("fast.mp4"), START_MS, END_MS, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert_exact(tmp_path / "clip.mp4", START_MS, END_MS, SECONDS)


@pytest.mark.parametrize("name", ["fast.mp4", "last.mp4", "a.mkv", "a.ts", "a.webm"])
def test_a_body_that_breaks_off_without_ranges_is_truncated(
    name: str, rangeless: MediaServer, tmp_path: Path
) -> None:
    rangeless.faults[name] = Fault(truncate=200_000)
    try:
        with pytest.raises(RetryableError) as caught:
            cut_remote(rangeless.url(name), START_MS, END_MS, EXACT, tmp_path / "clip.mp4", LIMIT)
    finally:
        rangeless.faults.clear()
    assert caught.value.reason is Reason.TRUNCATED


@pytest.mark.parametrize(("status", "reason"), [(503, Reason.SERVER_ERROR), (404, Reason.NOT_FOUND)])
def test_a_missing_piece_of_hls_is_no_short_clip(
    status: int, reason: Reason, ranged: MediaServer, tmp_path: Path
) -> None:
    ranged.faults["hls3.ts"] = Fault(status=status)
    with pytest.raises(ValorDataError) as caught:
        cut_remote(ranged.url("hls.m3u8"), 10_000, 15_000, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert caught.value.reason is reason  # type: ignore[attr-defined]


def test_a_stalled_host_is_a_timeout_and_leaves_no_process(
    ranged: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "IDLE_S", 1.5)
    ranged.faults["fast.mp4"] = Fault(stall=5_000)
    begun = time.monotonic()
    with pytest.raises(RetryableError) as caught:
        cut_remote(ranged.url("fast.mp4"), START_MS, END_MS, EXACT, tmp_path / "clip.mp4", LIMIT)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - begun < 5
    assert psutil.Process().children(recursive=True) == []
    assert list(tmp_path.iterdir()) == []


def test_ffmpeg_ends_with_its_worker(ranged: MediaServer, tmp_path: Path) -> None:
    ranged.faults["fast.mp4"] = Fault(stall=5_000)
    program = (
        "import sys; from pathlib import Path; from valor_data.media.cut import *\n"
        "cut(Source(sys.argv[1]), 0, 9000, Encoding(480, 23, 128, None, None), Path(sys.argv[2]), 60)"
    )
    worker = psutil.Popen([sys.executable, "-c", program, ranged.url("fast.mp4"), str(tmp_path / "clip.mp4")])
    try:
        ffmpeg = _wait_for_child(worker)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    with contextlib.suppress(psutil.NoSuchProcess):
        ffmpeg.wait(timeout=5)
    assert not psutil.pid_exists(ffmpeg.pid) or ffmpeg.status() == psutil.STATUS_ZOMBIE
    for left in tmp_path.iterdir():
        if left.is_dir():
            left.rmdir() if not any(left.iterdir()) else [*map(os.unlink, left.iterdir()), left.rmdir()]


def _wait_for_child(worker: psutil.Process) -> psutil.Process:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in worker.children():
            if "ffmpeg" in child.name():
                return child
        time.sleep(0.02)
    raise AssertionError("ffmpeg did not start")


def test_a_full_disk_is_fatal(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    out.symlink_to("/dev/full")
    with pytest.raises(FatalError, match="No space left"):
        cut(Source(str(media / "fast.mp4")), 0, 3000, EXACT, out, LIMIT)
    assert list(tmp_path.iterdir()) == []


def test_a_remote_playlist_reads_no_local_file(tmp_path: Path, media: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    local = media / "a.ts"
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:40\n#EXTINF:30,\n{}\n#EXT-X-ENDLIST\n"
    (folder / "evil.m3u8").write_text(lines.format(local.as_uri()))
    with MediaServer(folder) as server, pytest.raises(ValorDataError):
        cut_remote(server.url("evil.m3u8"), 0, 3000, EXACT, tmp_path / "clip.mp4", LIMIT)


def test_encrypted_media_are_named_as_such(tmp_path: Path) -> None:
    key = "0123456789abcdef0123456789abcdef"
    source = _lavfi(
        tmp_path / "in.mp4", *_PICTURE, *_TONE, *_FAST, "-encryption_scheme", "cenc-aes-ctr",
        "-encryption_key", key, "-encryption_kid", key,
    )  # fmt: skip
    with pytest.raises(ItemError) as caught:
        _cut_of(source, tmp_path)
    assert caught.value.reason is Reason.DRM
    with pytest.raises(ItemError) as caught:
        probe(source)
    assert caught.value.reason is Reason.DRM


def test_headers_are_sent(ranged: MediaServer, tmp_path: Path) -> None:
    headers = (("User-Agent", "valor/1"), ("Referer", "http://x.example/"), ("Accept-Encoding", "gzip"))
    cut_remote([Remote(ranged.url("fast.mp4"), headers)], 0, 1000, EXACT, tmp_path / "clip.mp4", LIMIT)
    for _, sent in ranged.headers:
        assert sent["User-Agent"] == "valor/1"
        assert sent["Referer"] == "http://x.example/"
        assert sent["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("complaint", MEDIA, ids=lambda c: c.example)
def test_each_row_of_the_table_names_its_own_example(complaint: object) -> None:
    error = error_of([Line("error", complaint.example)])  # type: ignore[attr-defined]
    assert getattr(error, "reason", None) == complaint.reason  # type: ignore[attr-defined]
