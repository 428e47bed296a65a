"""What hosts do to a reader is named; no byte is drawn twice; spans of pieces are exact."""

import http.client
import struct
import subprocess
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.fakes import footage
from tests.fakes.exactness import assert_exact
from tests.fakes.media_server import Fault, MediaServer
from tests.fakes.remote import source_of
from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.media.cut import Cut, Encoding, cut
from valor_data.media.ffmpeg import ffmpeg_path
from valor_data.recipe import Access
from valor_data.transfer import Gateway, Remote, body, upstream

SECONDS = 30
EXACT = Encoding(480, 23, 128, None, None)
_FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov+delay_moov+default_base_moof+global_sidx")
_HLS = ("-f", "hls", "-hls_time", "4", "-hls_list_size", "0")
_VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "50", "-c:a", "libopus")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One planted video as every kind of pieces."""
    folder = tmp_path_factory.mktemp("pieces")
    base = footage.make(folder / "fast.mp4", SECONDS, muxer=("-movflags", "+faststart"))
    webm = footage.make(folder / "a.webm", SECONDS, codecs=_VP8)
    footage.remux(base, folder / "picture.mp4", "-an", *_FRAGMENTS)
    footage.remux(base, folder / "sound.m4a", "-vn", *_FRAGMENTS, "-frag_duration", "4000000")
    footage.remux(base, folder / "both.mp4", *_FRAGMENTS)
    _nest_index(folder / "picture.mp4", folder / "nested.mp4")
    footage.remux(base, folder / "hls.m3u8", *_HLS)
    footage.remux(base, folder / "fmp4.m3u8", *_HLS, "-hls_segment_type", "fmp4")
    renditions = ("-var_stream_map", "v:0,agroup:a a:0,agroup:a")
    footage.remux(base, folder / "part%v.m3u8", *_HLS, *renditions)
    for name, source, option, kind in (
        ("lp", base, "-an", "mp4"), ("ls", base, "-vn", "mp4"),
        ("wp", webm, "-an", "webm"), ("ws", webm, "-vn", "webm"),
    ):  # fmt: skip
        listed = ("-f", "dash", "-seg_duration", "4", "-use_template", "0", "-dash_segment_type", kind)
        names = ("-init_seg_name", f"{name}-init.{kind}", "-media_seg_name", f"{name}-$Number$.{kind}")
        footage.remux(source, folder / f"{name}.mpd", option, *listed, *names)
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[MediaServer]:
    with MediaServer(folder) as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path, Access(), 1) as running:
        yield running
    assert [path for path in tmp_path.iterdir() if path.name.startswith("transfer-")] == []


def _nest_index(source: Path, path: Path) -> None:
    """The same file with an index of two indexes, whose numbers take 64 bits."""
    data = source.read_bytes()
    at = data.index(b"sidx") - 4
    (size,) = struct.unpack_from(">I", data, at)
    wide = data[at + 8] == 1
    head = data[at + 12 : at + 20]
    time, first = struct.unpack_from(">QQ" if wide else ">II", data, at + 20)
    begun = at + (36 if wide else 28)
    (count,) = struct.unpack_from(">H", data, begun + 2)
    rows = [struct.unpack_from(">III", data, begun + 4 + 12 * n) for n in range(count)]
    half = count // 2

    def index(time: int, first: int, rows: Sequence[tuple[int, int, int]]) -> bytes:
        packed = b"".join(struct.pack(">III", *row) for row in rows)
        content = head + struct.pack(">QQHH", time, first, 0, len(rows)) + packed
        return struct.pack(">I4sI", len(content) + 12, b"sidx", 1 << 24) + content

    halves = [rows[:half], rows[half:]]
    sizes = [len(index(0, 0, part)) for part in halves]
    lengths = [sum(row[1] for row in part) for part in halves]
    # Each index lies ahead of what it names, the second behind the fragments of the first.
    bodies = [sum(row[0] & 0x7FFFFFFF for row in part) for part in halves]
    outer = index(
        time, 0, [(1 << 31 | own + inside, length, 1 << 31)
                  for own, inside, length in zip(sizes, bodies, lengths, strict=True)]
    )  # fmt: skip
    start = at + size + first
    path.write_bytes(
        data[:at] + outer + index(time, 0, halves[0]) + data[start : start + bodies[0]]
        + index(time + lengths[0], 0, halves[1]) + data[start + bodies[0] : start + sum(bodies)]
    )  # fmt: skip


def _remote(server: MediaServer, name: str) -> Remote:
    if name.endswith(".m3u8"):
        return Remote(server.url(name), kind="hls")
    if "." in name:
        return Remote(server.url(name))
    kind = "webm" if name[0] == "w" else "mp4"
    count = len(list(server.folder.glob(f"{name}-[0-9]*.{kind}")))
    head: tuple[str, float | None] = (server.url(f"{name}-init.{kind}"), None)
    media = [(server.url(f"{name}-{number}.{kind}"), 4.0) for number in range(1, count + 1)]
    return Remote(head[0], (), (head, *media), "fragments")


# Pieces


@pytest.mark.parametrize("start_ms", [2010, 8000, 13_370])
@pytest.mark.parametrize(
    "names", ["picture.mp4 sound.m4a", "nested.mp4 sound.m4a", "both.mp4", "lp ls", "wp ws", "hls.m3u8",
              "fmp4.m3u8", "part0.m3u8 part1.m3u8"]
)  # fmt: skip
def test_a_span_of_pieces_is_exact(
    names: str, start_ms: int, server: MediaServer, gateway: Gateway, tmp_path: Path
) -> None:
    remotes = [_remote(server, name) for name in names.split()]
    out, end_ms = tmp_path / "clip.mp4", start_ms + 3000
    with gateway.video(remotes) as video, video.span(start_ms, end_ms) as span:
        assert None not in [shift_us for _, shift_us in span.source]
        done = cut(source_of(span), start_ms, end_ms, EXACT, out, 60)
    assert_exact(out, start_ms, end_ms, SECONDS)
    assert abs(done.start_error_ms) <= 40


def test_the_start_and_the_end_of_pieces(server: MediaServer, gateway: Gateway, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    with gateway.video([_remote(server, "picture.mp4"), _remote(server, "sound.m4a")]) as video:
        with video.span(0, 3000) as span:
            cut(source_of(span), 0, 3000, EXACT, out, 60)
        assert_exact(out, 0, 3000, SECONDS)
        with video.span(28_000, 38_000) as span:
            assert cut(source_of(span), 28_000, 38_000, EXACT, out, 60).frames == 50
        with pytest.raises(ItemError) as caught, video.span(40_000, 42_000) as span:
            cut(source_of(span), 40_000, 42_000, EXACT, out, 60)
    assert caught.value.reason is Reason.PAST_END


# Bytes


def _cut(video: object, start_ms: int, out: Path) -> tuple[Cut, int]:
    with video.span(start_ms, start_ms + 3000) as span:  # type: ignore[attr-defined]
        return cut(source_of(span), start_ms, start_ms + 3000, EXACT, out, 60), span.bytes_read


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of many bytes: 90 seconds at about 900 kbit a second, a keyframe every four."""
    folder = tmp_path_factory.mktemp("busy")
    base = folder / "fast.mp4"
    noise = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=90,noise=alls=20:allf=t")
    tone = ("-f", "lavfi", "-i", "anoisesrc=d=90:a=0.2:r=44100")
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-b:v", "900k", "-g", "100", "-c:a", "aac")
    subprocess.run(
        [
            ffmpeg_path(),
            "-v",
            "error",
            "-nostdin",
            *noise,
            *tone,
            *codecs,
            "-movflags",
            "+faststart",
            str(base),
        ],
        check=True,
    )
    footage.remux(base, folder / "picture.mp4", "-an", *_FRAGMENTS)
    footage.remux(base, folder / "sound.m4a", "-vn", *_FRAGMENTS, "-frag_duration", "8000000")
    footage.remux(base, folder / "hls.m3u8", *_HLS)
    return folder


@pytest.mark.parametrize("names", ["fast.mp4", "picture.mp4 sound.m4a", "hls.m3u8"])
def test_little_more_than_the_span_is_read(names: str, busy: Path, gateway: Gateway, tmp_path: Path) -> None:
    # From the keyframe at 40 s to the end at 52 s, of 90 s.
    share = 12 / 90 * sum((busy / name).stat().st_size for name in ("picture.mp4", "sound.m4a"))
    with (
        MediaServer(busy) as server,
        gateway.video([_remote(server, name) for name in names.split()]) as video,
    ):
        with video.span(42_000, 52_000) as span:
            cut(source_of(span), 42_000, 52_000, EXACT, tmp_path / "clip.mp4", 60)
        assert span.bytes_read == pytest.approx(server.bytes_sent, rel=0.02)
        assert server.bytes_sent < 1.4 * (share + 60_000)
        longest = max(_asked(headers) for _, headers in server.headers)
        assert longest <= body.MOST_BYTES


def _asked(headers: dict[str, str]) -> int:
    """Bytes of the range that a request asked for."""
    start, end = headers["Range"].removeprefix("bytes=").split("-")
    return int(end) - int(start) + 1


def test_the_clips_of_a_video_share_what_was_read(
    server: MediaServer, gateway: Gateway, tmp_path: Path
) -> None:
    with gateway.video([_remote(server, "fast.mp4")]) as video:
        _, first = _cut(video, 8000, tmp_path / "clip.mp4")
        _, again = _cut(video, 8000, tmp_path / "clip.mp4")
    assert first > 2 * body.FIRST_BYTES
    # ffmpeg reads ahead until it hangs up, which may be a piece later than before.
    assert again <= body.FIRST_BYTES


def test_a_host_without_ranges_is_asked_once_a_video(folder: Path, gateway: Gateway, tmp_path: Path) -> None:
    with MediaServer(folder, ranges=False) as server:
        with gateway.video([_remote(server, "fast.mp4")]) as video:
            for start_ms in (1000, 20_000, 8000):
                _cut(video, start_ms, tmp_path / "clip.mp4")
        assert server.requests["fast.mp4"] == 1


def test_a_giant_is_read_in_parts_and_in_little_memory(
    server: MediaServer, gateway: Gateway, tmp_path: Path
) -> None:
    server.sizes["fast.mp4"] = 50 * 10**9
    tracemalloc.start()
    try:
        with gateway.video([_remote(server, "fast.mp4")]) as video:
            _cut(video, 8000, tmp_path / "clip.mp4")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert_exact(tmp_path / "clip.mp4", 8000, 11_000, SECONDS)


# Faults


def _read(gateway: Gateway, remote: Remote) -> bytes:
    """All of a file, as a reader on this machine draws it. Raises what the span raises."""
    with gateway.video([remote]) as video, video.span(0, 1000) as span:
        try:
            with urllib.request.urlopen(span.source[0][0]) as answer:
                data: bytes = answer.read()
        except urllib.error.HTTPError as error:
            error.close()
            return b""
        except http.client.IncompleteRead:
            return b""
        return data


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(status=401), Reason.LOGIN_REQUIRED),
        (Fault(status=403), Reason.FORBIDDEN),
        (Fault(status=404), Reason.NOT_FOUND),
        (Fault(status=410), Reason.NOT_FOUND),
        (Fault(status=429), Reason.RATE_LIMITED),
        (Fault(status=451), Reason.GEO_BLOCKED),
        (Fault(status=500), Reason.SERVER_ERROR),
        (Fault(status=503), Reason.SERVER_ERROR),
        (Fault(redirect="/fast.mp4"), Reason.SERVER_ERROR),
        (Fault(reset=True), Reason.TRANSPORT),
        (Fault(shift=100), Reason.TRANSPORT),
        (Fault(html=True), Reason.NOT_MEDIA),
        (Fault(html=True, content_type="video/mp4"), Reason.NOT_MEDIA),
        (Fault(truncate=100), Reason.TRUNCATED),
        (Fault(no_range=True, truncate=100), Reason.TRUNCATED),
        (Fault(no_range=True, promise=5000), Reason.TRUNCATED),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_fault_is_named_where_it_happens(
    fault: Fault, reason: Reason, server: MediaServer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_WAIT_S", 0.01)
    server.faults["fast.mp4"] = fault
    with pytest.raises((ItemError, RetryableError)) as caught:
        _read(gateway, Remote(server.url("fast.mp4") + "?sig=SECRET"))
    assert caught.value.reason is reason
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("at_a_date", [False, True])
def test_how_long_a_host_wants_to_rest_is_kept(
    status: int, at_a_date: bool, server: MediaServer, gateway: Gateway
) -> None:
    wish = formatdate(time.time() + 90, usegmt=True) if at_a_date else "90"
    server.faults["fast.mp4"] = Fault(status=status, retry_after=wish)
    with pytest.raises(RetryableError) as caught:
        _read(gateway, _remote(server, "fast.mp4"))
    assert caught.value.retry_after_s == pytest.approx(90, abs=3)
    assert server.requests["fast.mp4"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, times=2), Fault(reset=True, times=2), Fault(truncate=70_000, times=6),
        Fault(reset_after=70_000, times=3), Fault(promise=900), Fault(promise=-900, times=3),
        Fault(content_type="text/html"), Fault(no_range=True, content_type="text/plain"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_passes_is_healed(
    fault: Fault, server: MediaServer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_WAIT_S", 0.01)
    server.faults["fast.mp4"] = fault
    assert _read(gateway, _remote(server, "fast.mp4")) == (server.folder / "fast.mp4").read_bytes()


def test_a_page_in_place_of_media_is_told_by_its_title(server: MediaServer, gateway: Gateway) -> None:
    server.pages["x.mp4"] = "<!-- hello --><html><title>Are you\n a robot?</title></html>"
    with pytest.raises(ItemError, match=r"Are you a robot\?") as caught:
        _read(gateway, _remote(server, "x.mp4"))
    assert caught.value.reason is Reason.NOT_MEDIA


@pytest.mark.parametrize(
    "fault", [Fault(stall=5000), Fault(drip=0.2), Fault(drip_head=0.05)], ids=lambda value: str(value)[:60]
)
def test_a_host_that_all_but_stalls_is_a_timeout(
    fault: Fault, server: MediaServer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "HEAD_S", 1.0)
    monkeypatch.setattr(upstream, "SLOW_S", 1.0)
    monkeypatch.setattr(upstream, "SLOWEST_BYTES_S", 50_000)
    monkeypatch.setattr(upstream, "IDLE_S", 1.0)
    monkeypatch.setattr(body, "_WAIT_S", 0.01)
    server.faults["fast.mp4"] = fault
    begun = time.monotonic()
    with Gateway(gateway._scratch, Access(), 1) as impatient, pytest.raises(RetryableError) as caught:
        _read(impatient, _remote(server, "fast.mp4"))
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - begun < 8


def test_a_giant_that_comes_in_one_piece_only_is_left_alone(server: MediaServer, gateway: Gateway) -> None:
    server.sizes["fast.mp4"] = 50 * 10**9
    server.faults["fast.mp4"] = Fault(no_range=True)
    with pytest.raises(ItemError) as caught:
        _read(gateway, _remote(server, "fast.mp4"))
    assert caught.value.reason is Reason.TOO_LARGE
    assert server.bytes_sent < 10_000_000


def test_a_fault_of_one_clip_does_not_stay(server: MediaServer, gateway: Gateway, tmp_path: Path) -> None:
    with gateway.video([_remote(server, "hls.m3u8")]) as video:
        server.faults["hls2.ts"] = Fault(status=503, retry_after="1", times=1)
        with pytest.raises(RetryableError) as caught:
            _cut(video, 8100, tmp_path / "clip.mp4")
        assert caught.value.reason is Reason.SERVER_ERROR
        _cut(video, 8100, tmp_path / "clip.mp4")
    assert_exact(tmp_path / "clip.mp4", 8100, 11_100, SECONDS)


# Who may read what


def test_cookies_go_to_their_own_host_only(server: MediaServer, gateway: Gateway, tmp_path: Path) -> None:
    with MediaServer(server.folder) as other:
        text = (server.folder / "hls.m3u8").read_text()
        lines = [other.url(line) if line and line[0] != "#" else line for line in text.splitlines()]
        server.pages["away.m3u8"] = "\n".join(lines)
        headers = (("Cookie", "a=b"), ("User-Agent", "valor/1"))
        remote = Remote(server.url("away.m3u8"), headers, kind="hls")
        with gateway.video([remote]) as video:
            _cut(video, 8000, tmp_path / "clip.mp4")
        assert all(sent["Cookie"] == "a=b" for _, sent in server.headers)
        assert all("Cookie" not in sent and sent["User-Agent"] == "valor/1" for _, sent in other.headers)
        assert other.headers


def _status(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_only_who_knows_the_address_is_answered(server: MediaServer, gateway: Gateway) -> None:
    with gateway.video([_remote(server, "fast.mp4")]) as video, video.span(0, 1000) as span:
        address = span.source[0][0]
        token = address.split("/")[3]
        assert _status(address) == 200
        assert _status(address.replace(token, "0" * 16)) == 404
    assert _status(address) == 404


def test_a_proxy_carries_what_is_read(server: MediaServer, tmp_path: Path) -> None:
    proxy = server.url("").rstrip("/")
    with Gateway(tmp_path, Access(proxy=proxy), 1) as gateway:
        data = _read(gateway, Remote("http://video.invalid/fast.mp4"))
    assert data == (server.folder / "fast.mp4").read_bytes()
