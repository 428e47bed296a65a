"""Resolving: direct files, HLS, lists of formats, and the true reason of every refusal."""

import os
import pickle
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.cookies import YoutubeDLCookieJar
from yt_dlp.utils import LazyList

from tests.fakes import footage
from tests.fakes.media_server import Fault, MediaServer
from valor_data.errors import ItemError, Kind, Reason, RetryableError, UserError, ValorDataError
from valor_data.recipe import Access, Fetch
from valor_data.resolve import (
    VERSION,
    Resolved,
    Resolver,
    Stream,
    choose,
    javascript_runtime,
    solver_versions,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaServer]:
    folder = tmp_path_factory.mktemp("media")
    base = footage.make(folder / "a clip.mp4", 6)
    footage.remux(base, folder / "a.mkv")
    footage.remux(base, folder / "hls.m3u8", "-f", "hls", "-hls_list_size", "0")
    footage.remux(base, folder / "sound.m4a", "-vn")
    (folder / "blob.bin").write_bytes(base.read_bytes())
    (folder / "page.html").write_text("<!DOCTYPE html><html><title>x</title><body>no video</body></html>")
    with MediaServer(folder) as running:
        yield running


@pytest.fixture(autouse=True)
def _clean(server: MediaServer) -> Iterator[None]:
    yield
    server.faults.clear()
    server.reset_counts()


@pytest.fixture(scope="module")
def resolver() -> Resolver:
    return Resolver(Fetch(), Access())


def test_a_direct_file(resolver: Resolver, server: MediaServer) -> None:
    found = resolver.resolve(server.url("a clip.mp4"))
    assert found.extractor == "generic"
    assert found.webpage_url == server.url("a clip.mp4")
    assert found.made_by == VERSION
    assert found.upload_date is None
    (stream,) = found.streams
    assert (stream.url, stream.has_video, stream.has_audio) == (server.url("a clip.mp4"), True, True)
    assert stream.http_headers["User-Agent"]
    # Found by one request; the file itself is not drawn.
    assert sum(server.requests.values()) == 1


def test_a_file_of_unknown_type_is_media_all_the_same(resolver: Resolver, server: MediaServer) -> None:
    assert resolver.resolve(server.url("blob.bin")).streams[0].has_video


def test_hls_has_a_duration(resolver: Resolver, server: MediaServer) -> None:
    found = resolver.resolve(server.url("hls.m3u8"))
    assert found.duration_ms == pytest.approx(6000, abs=100)
    assert found.streams[0].kind == "hls"


def test_a_result_is_data(resolver: Resolver, server: MediaServer) -> None:
    found = resolver.resolve(server.url("a.mkv"))
    assert pickle.loads(pickle.dumps(found)) == found


def test_sound_only_is_no_video(resolver: Resolver, server: MediaServer) -> None:
    with pytest.raises(ItemError) as caught:
        resolver.resolve(server.url("sound.m4a"))
    assert caught.value.reason is Reason.NO_VIDEO


@pytest.mark.parametrize(
    ("fault", "reason", "error"),
    [
        (Fault(status=401), Reason.LOGIN_REQUIRED, ItemError),
        (Fault(status=403), Reason.FORBIDDEN, RetryableError),
        (Fault(status=404), Reason.NOT_FOUND, ItemError),
        (Fault(status=410), Reason.NOT_FOUND, ItemError),
        (Fault(status=429, retry_after="3600"), Reason.RATE_LIMITED, RetryableError),
        (Fault(status=451), Reason.GEO_BLOCKED, ItemError),
        (Fault(status=500), Reason.SERVER_ERROR, RetryableError),
        (Fault(status=503), Reason.SERVER_ERROR, RetryableError),
        (Fault(reset=True), Reason.TRANSPORT, RetryableError),
        (Fault(html=True), Reason.UNSUPPORTED_URL, ItemError),
    ],
    ids=lambda value: None if isinstance(value, type) else str(value)[:30],
)
def test_a_fault_of_the_host_is_named(
    fault: Fault, reason: Reason, error: type[ValorDataError], resolver: Resolver, server: MediaServer
) -> None:
    server.faults["a.mkv"] = fault
    with pytest.raises(error) as caught:
        resolver.resolve(server.url("a.mkv") + "?signature=SECRET")
    assert caught.value.reason is reason  # type: ignore[attr-defined]
    words = caught.value.message  # type: ignore[attr-defined]
    assert words
    assert "SECRET" not in words
    assert "report this issue" not in words
    assert not words.startswith("ERROR")


def test_a_redirect_in_a_circle(resolver: Resolver, server: MediaServer) -> None:
    server.faults["a.mkv"] = Fault(redirect="/a.mkv")
    with pytest.raises(RetryableError) as caught:
        resolver.resolve(server.url("a.mkv"))
    assert caught.value.reason.kind is Kind.TRANSIENT


@pytest.mark.parametrize("url", ["clip", "-x", "", "file:///etc/hostname", "a b c"])
def test_what_is_no_address(url: str, resolver: Resolver) -> None:
    with pytest.raises(ItemError) as caught:
        resolver.resolve(url)
    assert caught.value.reason is Reason.UNSUPPORTED_URL


def test_nobody_listens(resolver: Resolver, tmp_path: Path) -> None:
    with MediaServer(tmp_path) as gone:
        url = gone.url("a.mp4")
    with pytest.raises(RetryableError) as caught:
        resolver.resolve(url)
    assert caught.value.reason is Reason.TRANSPORT


def test_nothing_is_printed_and_nothing_written(server: MediaServer, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom valor_data.errors import ValorDataError\n"
        "from valor_data.recipe import Access, Fetch\nfrom valor_data.resolve import Resolver\n"
        "r = Resolver(Fetch(), Access())\n"
        "for url in sys.argv[1:]:\n"
        "    try: r.resolve(url)\n"
        "    except ValorDataError: pass\n"
    )
    config = tmp_path / "config" / "yt-dlp"
    config.mkdir(parents=True)
    (config / "config").write_text("--no-such-option\n")  # a person's own settings are none of ours
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "c"),
    }
    urls = [server.url("a.mkv"), server.url("page.html"), server.url("none.mp4"), "clip"]
    done = subprocess.run(
        [sys.executable, "-c", program, *urls],
        capture_output=True,
        cwd=tmp_path,
        check=True,
        env=os.environ | home,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config", "config", "yt-dlp"]


# Live and lists, as an extractor reports them


class _Reports:
    """Stands in for yt-dlp's object: reports what it was given."""

    def __init__(self, info: dict[str, Any] | None) -> None:
        self.info = info
        self.cookiejar = YoutubeDLCookieJar()

    def extract_info(self, url: str, download: bool) -> dict[str, Any] | None:
        assert not download
        return self.info


def _resolve(info: dict[str, Any] | None) -> Resolved:
    resolver = Resolver(Fetch(), Access())
    resolver._ydl = _Reports(info)
    return resolver.resolve("https://x.example/v")


VIDEO = {"id": "v", "extractor": "x", "formats": [{"url": "https://x.example/v.mp4", "format_id": "18"}]}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"live_status": "is_upcoming"}, Reason.UPCOMING),
        ({"is_live": True}, Reason.LIVE),
        ({"live_status": "is_live"}, Reason.LIVE),
        ({"live_status": "post_live"}, Reason.LIVE),
    ],
)
def test_what_is_not_over_comes_later(facts: dict[str, Any], reason: Reason) -> None:
    with pytest.raises(RetryableError) as caught:
        _resolve(VIDEO | facts)
    assert caught.value.reason is reason
    assert reason.kind is Kind.LATER


def test_a_list_of_videos_is_not_one_video() -> None:
    with pytest.raises(ItemError) as caught:
        _resolve({"_type": "playlist", "entries": [], "extractor": "x"})
    assert caught.value.reason is Reason.UNSUPPORTED_URL


def test_what_the_platform_says_is_kept() -> None:
    facts = {
        "title": "A title", "channel_id": "UC1", "upload_date": "20240102", "license": "CC BY",
        "duration": 61.5, "webpage_url": "https://x.example/w",
    }  # fmt: skip
    found = _resolve(VIDEO | facts)
    assert (found.title, found.channel_id, found.upload_date, found.licence) == (
        "A title", "UC1", "20240102", "CC BY",
    )  # fmt: skip
    assert (found.duration_ms, found.webpage_url, found.is_live) == (61_500, "https://x.example/w", False)


# Choice of formats


def _format(name: str, height: int | None, video: bool, audio: bool, **more: Any) -> dict[str, Any]:
    codecs = {"vcodec": "h264" if video else "none", "acodec": "aac" if audio else "none"}
    return (
        {"format_id": name, "url": f"https://x.example/{name}", "height": height, "ext": "mp4"}
        | codecs
        | more
    )


SOUND = [_format("139", None, False, True), _format("140", None, False, True)]
PICTURES = [_format(str(h), h, True, False) for h in (144, 240, 360, 480, 720)]
WHOLE = _format("18", 360, True, True)
IMAGES = _format("sb0", 90, False, False, protocol="mhtml")


@pytest.mark.parametrize(
    ("formats", "max_height", "chosen"),
    [
        ([IMAGES, *SOUND, WHOLE, *PICTURES], 480, ("480", "140")),
        ([IMAGES, *SOUND, WHOLE, *PICTURES], 400, ("360", "140")),
        ([*SOUND, *PICTURES], 100, ("144", "140")),
        ([*PICTURES, WHOLE], 480, ("18",)),
        ([_format("22", 720, True, True), _format("37", 1080, True, True)], 480, ("22",)),
        ([*PICTURES], 480, ("480",)),
        ([_format("0", None, True, True)], 480, ("0",)),
        ([*SOUND, _format("av1", 480, True, False), _format("vp9", 480, True, False)], 480, ("vp9", "140")),
        ([*SOUND, _format("hdr", 480, True, False, dynamic_range="HDR10"), PICTURES[2]], 480, ("360", "140")),
        ([*SOUND, _format("hdr", 480, True, False, dynamic_range="HDR10")], 480, ("hdr", "140")),
        ([_format("rtmp", 480, True, True, protocol="rtmp"), WHOLE], 480, ("18",)),
    ],
)
def test_the_smallest_that_serves(
    formats: list[dict[str, Any]], max_height: int, chosen: tuple[str, ...]
) -> None:
    assert (
        tuple(stream.format_id for stream in choose(formats, Fetch(max_height=max_height)).streams) == chosen
    )


def test_codecs_that_nobody_states_get_the_benefit_of_the_doubt() -> None:
    formats = [{"url": "https://x.example/v.mp4", "format_id": "mp4", "ext": "mp4"}]
    (stream,) = choose(formats, Fetch(codecs=("av01",), audio_required=True)).streams
    assert stream == Stream("https://x.example/v.mp4", {}, "mp4", "file", "mp4", True, True)


AVC, VP9 = (_format(name, 480, True, False, vcodec=f"{name}.4d401e") for name in ("avc1", "vp9"))
HLS = _format("hls", 480, True, True, protocol="m3u8_native")
VP9_HIGH = _format("vp9 high", 1080, True, False, vcodec="vp9.1")
ORIGINAL = HLS | {"format_id": "original", "language": "en", "language_preference": 10}
DUB = HLS | {"format_id": "dub", "language": "fr", "language_preference": -1}


def _fragments(name: str, *seconds: float | None) -> dict[str, Any]:
    """As an extractor gives a list of fragments: lazily, by path."""
    fragments = [{"path": f"{n}.m4s"} | ({"duration": s} if s else {}) for n, s in enumerate(seconds)]
    address = "https://x.example/m/a.mpd"
    return _format(name, 480, True, True, protocol="http_dash_segments", url=address) | {
        "fragments": LazyList(fragments), "manifest_url": address, "fragment_base_url": "https://x.example/m/",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("formats", "fetch", "chosen", "condition"),
    [
        ([*SOUND, AVC, VP9], {"codecs": ("avc1", "vp9")}, ("avc1", "140"), None),
        ([*SOUND, AVC, VP9], {"codecs": ("vp9",)}, ("vp9", "140"), None),
        ([*SOUND, AVC], {"codecs": ("av01",)}, ("avc1", "140"), "other_codec"),
        ([WHOLE], {}, ("18",), "combined_only"),
        ([WHOLE, *SOUND, *PICTURES], {}, ("480", "140"), None),
        ([HLS], {}, ("hls",), "segmented_only"),
        ([HLS, WHOLE], {}, ("18",), None),
        ([*SOUND, *PICTURES], {"max_height": 100}, ("144", "140"), "above_max_height"),
        ([*PICTURES, WHOLE], {"audio_required": True}, ("18",), None),
        (
            [*SOUND, _format("dub", None, False, True, language_preference=-10),
             _format("orig", None, False, True, language_preference=10), *PICTURES],
            {}, ("480", "orig"), None,
        ),
        ([_format("drm", 480, True, True, has_drm=True), WHOLE], {}, ("18",), "combined_only"),
        ([*SOUND, AVC, VP9_HIGH], {"codecs": ("vp9",)}, ("avc1", "140"), "other_codec"),
        ([*SOUND, PICTURES[0], WHOLE], {}, ("18",), None),
        ([DUB, HLS, *SOUND], {}, ("hls",), "segmented_only"),
        ([ORIGINAL, DUB], {}, ("original",), "segmented_only"),
        ([DUB], {}, ("dub",), "segmented_only"),
        ([_format("maybe", 480, True, True, has_drm="maybe"), WHOLE], {}, ("18",), "combined_only"),
        ([_format("live", 480, True, True, protocol="http_dash_segments_generator"), WHOLE], {}, ("18",),
         "combined_only"),
        ([_fragments("dash", None, 4.0, 4.0)], {}, ("dash",), "segmented_only"),
        ([_fragments("no head", 4.0, 4.0)], {}, ("no head",), "segmented_only"),
        ([_fragments("two periods", None, 4.0, None, 4.0), WHOLE], {}, ("18",), "combined_only"),
    ],
)  # fmt: skip
def test_the_recipe_chooses_and_what_is_odd_has_a_name(
    formats: list[dict[str, Any]], fetch: dict[str, Any], chosen: tuple[str, ...], condition: str | None
) -> None:
    choice = choose(formats, Fetch(**fetch))
    assert tuple(stream.format_id for stream in choice.streams) == chosen
    assert choice.condition == condition


@pytest.mark.parametrize(
    ("formats", "fetch", "reason"),
    [
        ([*PICTURES], {"audio_required": True}, Reason.NO_AUDIO),
        ([_format("drm", 480, True, True, has_drm=True)], {}, Reason.DRM),
        ([_format("maybe", 480, True, True, has_drm="maybe")], {}, Reason.DRM),
        ([*SOUND], {}, Reason.NO_VIDEO),
        ([_format("rtmp", 480, True, True, protocol="rtmp")], {}, Reason.UNSUPPORTED_FORMAT),
        ([_fragments("no times", None, None, None)], {}, Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_what_no_format_can_serve(
    formats: list[dict[str, Any]], fetch: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(ItemError) as caught:
        choose(formats, Fetch(**fetch))
    assert caught.value.reason is reason


def test_the_addresses_of_fragments_are_whole() -> None:
    (stream,) = choose([_fragments("dash", None, 4.0, 4.0)], Fetch()).streams
    assert stream.fragments == (
        ("https://x.example/m/0.m4s", None), ("https://x.example/m/1.m4s", 4.0),
        ("https://x.example/m/2.m4s", 4.0),
    )  # fmt: skip


def test_ranges_in_the_guise_of_fragments_are_the_file_that_they_are_of() -> None:
    url = "https://x.example/video"
    ranges = LazyList({"url": f"{url}?range={n}-{n + 9}"} for n in range(0, 100, 10))
    found = _format("137", 480, True, True, protocol="http_dash_segments", url=url) | {"fragments": ranges}
    choice = choose([found], Fetch())
    assert [(stream.kind, stream.url, stream.fragments) for stream in choice.streams] == [("file", url, ())]


@pytest.mark.parametrize(
    "how",
    [(), ("-use_timeline", "0"), ("-use_template", "0"), ("-use_template", "0", "-use_timeline", "0")],
    ids=["timeline", "template", "list of times", "list"],
)
def test_a_dash_manifest_names_its_fragments(how: tuple[str, ...], tmp_path: Path) -> None:
    """The first is what a decoder needs first; all addresses answer."""
    base = footage.make(tmp_path / "base.mp4", 12)
    footage.remux(base, tmp_path / "dash.mpd", "-f", "dash", "-seg_duration", "4", *how)
    with MediaServer(tmp_path) as dash:
        found = Resolver(Fetch(), Access()).resolve(dash.url("dash.mpd"))
        assert found.condition == "segmented_only"
        assert [stream.has_video for stream in found.streams] == [True, False]
        for stream in found.streams:
            urls = [url for url, _ in stream.fragments]
            assert stream.kind == "fragments"
            assert all(url.startswith(dash.url("")) for url in urls)
            for url in urls:
                with urllib.request.urlopen(url) as answer:
                    assert answer.read(16)
            assert stream.fragments[0][1] is None
            assert all(seconds for _, seconds in stream.fragments[1:])
            if "0" not in how:
                assert sum(seconds or 0 for _, seconds in stream.fragments) == pytest.approx(12, abs=0.5)


_RANGES = """<SegmentList timescale="1" duration="4"><Initialization range="0-99"/>
<SegmentURL {media} mediaRange="100-199"/><SegmentURL {media} mediaRange="200-299"/></SegmentList>"""
_FILE = "<BaseURL>whole.mp4</BaseURL>"
_MPD = """<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="{kind}"
mediaPresentationDuration="PT12S"><Period><AdaptationSet contentType="video"><Representation id="0"
mimeType="video/mp4" codecs="avc1.4d400c" width="320" height="180" bandwidth="1000">{inside}
</Representation></AdaptationSet></Period></MPD>"""


@pytest.mark.parametrize(
    "inside",
    [
        _FILE,
        _FILE + _RANGES.format(media=""),
        _RANGES.format(media='media="whole.mp4"'),
        _FILE + '<SegmentBase indexRange="100-199"><Initialization range="0-99"/></SegmentBase>',
    ],
    ids=["bare", "ranges", "ranges of a named file", "SegmentBase"],
)
def test_a_dash_manifest_of_one_file_a_stream_is_read_as_that_file(
    inside: str, resolver: Resolver, server: MediaServer
) -> None:
    server.pages["x/m.mpd"] = _MPD.format(kind="static", inside=inside)
    found = resolver.resolve(server.url("x/m.mpd"))
    (stream,) = found.streams
    assert (stream.kind, stream.url) == ("file", server.url("x/whole.mp4"))
    assert found.condition is None


def test_ffmpegs_manifest_of_one_file_a_stream(tmp_path: Path) -> None:
    base = footage.make(tmp_path / "base.mp4", 6)
    footage.remux(base, tmp_path / "dash.mpd", "-f", "dash", "-single_file", "1")
    with MediaServer(tmp_path) as dash:
        found = Resolver(Fetch(), Access()).resolve(dash.url("dash.mpd"))
        assert [(stream.kind, stream.has_video) for stream in found.streams] == [
            ("file", True), ("file", False),
        ]  # fmt: skip
        for stream in found.streams:
            with urllib.request.urlopen(stream.url) as answer:
                assert answer.read(8)[4:] == b"ftyp"


def test_a_manifest_that_still_grows_is_live(resolver: Resolver, server: MediaServer) -> None:
    server.pages["m.mpd"] = _MPD.format(kind="dynamic", inside=_FILE)
    with pytest.raises(RetryableError) as caught:
        resolver.resolve(server.url("m.mpd"))
    assert caught.value.reason is Reason.LIVE


# Who asks


def test_cookies_go_to_their_host_and_the_file_stays_as_it_is(server: MediaServer, tmp_path: Path) -> None:
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t2145916800\tsession\tSECRET\n"
    (tmp_path / "cookies.txt").write_text(text)
    resolver = Resolver(Fetch(), Access(cookies=str(tmp_path / "cookies.txt")))
    found = resolver.resolve(server.url("a.mkv"))
    assert found.streams[0].http_headers["Cookie"] == "session=SECRET"
    assert server.headers[-1][1]["Cookie"] == "session=SECRET"
    assert (tmp_path / "cookies.txt").read_text() == text
    assert "SECRET" not in repr(found)


def test_a_line_that_is_no_cookie_is_neither_used_nor_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cookies.txt").write_bytes(
        b"\xef\xbb\xbf# Netscape HTTP Cookie File\r\n\r\nSECRET cut in half\r\n"
        b"#HttpOnly_.x.example\tTRUE\t/\tTRUE\t0\tsession\tgood\r\n"
        b".x.example\tTRUE\t/\tTRUE\tnever\tother\tSECRET\r\n"
    )
    resolver = Resolver(Fetch(), Access(cookies=str(tmp_path / "cookies.txt")))
    assert resolver._cookies("https://www.x.example/v") == "session=good"
    assert resolver._cookies("https://y.example/v") is None
    assert "SECRET" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("access", "told"),
    [
        ({"cookies": "none.txt"}, "access.cookies: none.txt: no such file"),
        ({"cookies": __file__}, "is no cookies.txt in Netscape format"),
        ({"proxy": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE, which is not set"),
        ({"proxy": "http://me:secret@proxy.example:1"}, "holds a password"),
        ({"proxy": "proxy.example"}, "is no http://host:port"),
        ({"po_token_env": "NO_SUCH_VARIABLE"}, "access.po_token_env"),
        ({"po_token_env": "BAD"}, "BAD does not hold CLIENT.CONTEXT+TOKEN"),
        ({"proxy": "env:BAD"}, "is no http://host:port"),
        ({"proxy": "http://[1:80"}, "is no http://host:port"),
        ({"source_address": "eth0"}, "access.source_address: 'eth0' is no IP address"),
        ({"player_clients": ("web", "tvv")}, "no client 'tvv'; did you mean 'tv'?"),
        ({"pot_provider": "http://127.0.0.1:4416"}, "pip install bgutil-ytdlp-pot-provider"),
    ],
)
def test_what_is_wrong_with_who_asks_is_told_in_one_line(
    access: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD", "web.gvs+fine,secret")
    with pytest.raises(UserError) as caught:
        Resolver(Fetch(), Access(**access))
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_youtubes_clients_and_tokens_reach_yt_dlp(monkeypatch: pytest.MonkeyPatch) -> None:
    from yt_dlp.extractor.youtube.pot._registry import _pot_providers

    monkeypatch.setitem(_pot_providers.value, "BgUtilHTTP", object)  # as its plug-in does
    monkeypatch.setenv("TOKENS", "web.gvs+AAA,tv.player+BBB")
    access = Access(
        player_clients=("web", "-tv"), po_token_env="TOKENS", pot_provider="http://127.0.0.1:4416",
        proxy="socks5://127.0.0.1:1080", source_address="127.0.0.1", sleep_requests_s=0.5,
    )  # fmt: skip
    params = Resolver(Fetch(), access)._ydl.params
    assert params["extractor_args"] == {
        "youtube": {"player_client": ["web", "-tv"], "po_token": ["web.gvs+AAA", "tv.player+BBB"]},
        "youtubepot-bgutilhttp": {"base_url": ["http://127.0.0.1:4416"]},
    }
    assert (params["proxy"], params["sleep_interval_requests"]) == ("socks5h://127.0.0.1:1080", 0.5)


def test_only_images_is_nothing_to_play() -> None:
    with pytest.raises(RetryableError) as caught:
        choose([IMAGES], Fetch())
    assert caught.value.reason is Reason.UNKNOWN


# What YouTube wants


def test_the_javascript_runtime_comes_with_the_package() -> None:
    found = javascript_runtime()
    assert found
    path, version = found.rsplit(" ", 1)
    assert Path(path).is_file()
    assert version[0].isdigit()
    assert Resolver(Fetch(), Access())._ydl.params["js_runtimes"] == {"deno": {"path": path}}


def test_the_solver_of_challenges_fits_the_yt_dlp_that_is_installed() -> None:
    found, wanted = solver_versions()
    assert found
    assert found.split(".")[:2] == wanted.split(".")[:2]


def test_a_dead_proxy_is_a_fault_of_the_way_and_not_of_the_video() -> None:
    resolver = Resolver(Fetch(), Access(proxy="http://127.0.0.1:1"))
    with pytest.raises(RetryableError) as caught:
        resolver.resolve("https://www.youtube.com/watch?v=jNQXAC9IVRw")
    assert caught.value.reason is Reason.TRANSPORT
    with pytest.raises(ItemError) as cut:
        resolver.resolve("https://www.youtube.com/watch?v=jNQX")
    assert cut.value.reason is Reason.UNSUPPORTED_URL
