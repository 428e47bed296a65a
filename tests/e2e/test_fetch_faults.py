"""Hosts that fail in every way they can: each clip ends with its reason, in bounded time and memory."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.conftest import ENVIRONMENT, report
from tests.fakes import footage
from tests.fakes.media_server import Fault, Lease, MediaServer, Weather
from valor_data import chain
from valor_data import recipe as recipes
from valor_data.errors import Kind, Reason
from valor_data.records import Report
from valor_data.tables import Tables
from valor_data.transfer import body

pytestmark = pytest.mark.slow

GIGANTIC = 50 * 10**9
FASTSTART = ("-movflags", "+faststart")


class Case(NamedTuple):
    """What one address answers, and what `outcomes` shall say of its clip. No reason: it arrives."""

    name: str
    fault: Fault
    reason: Reason | None
    kind: Kind | None = None
    words: str = ""
    attempts: int = 1


FAULTS = (
    Case("gone", Fault(status=404), Reason.NOT_FOUND, Kind.PERMANENT, "HTTP Error 404: Not Found"),
    Case("gone-for-good", Fault(status=410), Reason.NOT_FOUND, Kind.PERMANENT, "HTTP Error 410: Gone"),
    Case("gone-later", Fault(status=404, skip=1), Reason.NOT_FOUND, Kind.PERMANENT, "404 Not Found"),
    Case("refused", Fault(status=403), Reason.FORBIDDEN, Kind.EXPIRED, "403: Forbidden", attempts=2),
    Case("broken", Fault(status=500), Reason.SERVER_ERROR, Kind.TRANSIENT, "500", attempts=2),
    Case("busy", Fault(status=503), Reason.SERVER_ERROR, Kind.TRANSIENT, "503", attempts=2),
    Case("busy-later", Fault(status=503, skip=1), Reason.SERVER_ERROR, Kind.TRANSIENT, "503", attempts=2),
    Case("mute", Fault(reset=True), Reason.TRANSPORT, Kind.TRANSIENT, "without response", attempts=2),
    Case("reset", Fault(reset_after=3000), Reason.TRANSPORT, Kind.TRANSIENT, "reset by peer", attempts=2),
    Case("cut-off", Fault(truncate=3000), Reason.TRUNCATED, Kind.TRANSIENT, "3000 bytes read", attempts=2),
    Case("too-short", Fault(promise=-3000), Reason.TRUNCATED, Kind.TRANSIENT, "broke off", attempts=2),
    Case("beside", Fault(shift=100), Reason.TRANSPORT, Kind.TRANSIENT, "'bytes 100-", attempts=2),
    Case("circle", Fault(redirect="/circle.mp4"), Reason.SERVER_ERROR, Kind.TRANSIENT, "loop", attempts=2),
    Case("page", Fault(html=True), Reason.UNSUPPORTED_URL, Kind.PERMANENT, "Unsupported URL"),
    Case("page-later", Fault(html=True, skip=1), Reason.NOT_MEDIA, Kind.OURS, "a web page (Moved"),
    Case("more-promised", Fault(promise=5000), None),
    Case("no-range", Fault(no_range=True), None),
    Case("as-text", Fault(content_type="text/html"), None),
    Case("as-bytes", Fault(content_type="application/octet-stream"), None),
    Case("slow-head", Fault(drip_head=0.002), None),
    Case("hiccup", Fault(status=503, times=1), None, attempts=2),
    Case("hiccup-later", Fault(truncate=3000, times=1, skip=1), None),
)
PAGES = (
    Case("watch/signed.mp4", Fault(), None),
    Case("watch/aged.mp4", Fault(), Reason.FORBIDDEN, Kind.EXPIRED, "403 Forbidden", attempts=2),
    Case("playlist", Fault(), Reason.UNSUPPORTED_URL, Kind.PERMANENT, "list of videos"),
    Case("bare", Fault(), Reason.UNSUPPORTED_URL, Kind.PERMANENT, "Unsupported URL"),
    Case("live.m3u8", Fault(), Reason.LIVE, Kind.LATER, "still transmits"),
    Case("sound.m4a", Fault(), Reason.NO_VIDEO, Kind.OURS, "only"),
    Case("silent.mp4", Fault(), None),
    Case("parts.m3u8", Fault(), None),
    Case("gigantic.mp4", Fault(), None),
    Case("gigantic-whole.mp4", Fault(no_range=True), Reason.TOO_LARGE, Kind.OURS, "50000000000 bytes"),
)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video: with sound, without, the sound alone, and in parts."""
    folder = tmp_path_factory.mktemp("media")
    made = footage.make(folder / "clip.mp4", 3, size=(160, 90), muxer=FASTSTART)
    footage.remux(made, folder / "sound.m4a", "-vn", *FASTSTART)
    footage.remux(made, folder / "silent.mp4", "-an", *FASTSTART)
    footage.remux(made, folder / "parts.m3u8", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0")
    return folder


@pytest.fixture
def server(media: Path, tmp_path: Path) -> Iterator[MediaServer]:
    with MediaServer(copy(media, tmp_path / "media")) as running:
        yield running


def copy(media: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in media.iterdir():
        os.link(path, folder / path.name)
    return folder


def add(server: MediaServer, name: str, fault: Fault | None = None) -> str:
    """The address of one more copy of the video."""
    if not (server.folder / name).exists():
        os.link(server.folder / "clip.mp4", server.folder / name)
    if fault:
        server.faults[name] = fault
    return server.url(name)


def write_recipe(folder: Path, urls: Sequence[str], text: str = "", *, span: str = "0.5,1.5") -> Path:
    """A recipe of one clip an address; `text` follows."""
    rows = [f"v{number:03},{url},{span}" for number, url in enumerate(urls)]
    (folder / "list.csv").write_text("\n".join(["video_id,url,start,end", *rows]) + "\n")
    head = 'name = "faults"\nmax_fault_share = 1.0\nworkspace = "w"\n[[segments.lists]]\npath = "list.csv"\n'
    path = folder / "faults.toml"
    path.write_text(head + text)
    return path


def fetch(recipe: Path, retry: tuple[str, ...] | None = None) -> Report:
    """In this process, with no worker to start."""
    return chain.fetch(recipes.load(str(recipe)), chain.Options(engine="inline", progress=False), retry=retry)


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """The latest word on each clip, by video."""
    query = (
        "select c.url, o.status, o.reason, o.message, o.attempts from outcomes o join clips c "
        "using (clip_id) order by c.video_id"
    )
    return Tables.open(str(folder / "w")).sql(query).to_pylist()


def nothing_half_written(folder: Path) -> None:
    """Every object has a row, every row its object, and no temporary file is left."""
    rows = Tables.open(str(folder / "w")).sql("select object_key from media").to_pylist()
    objects = sorted(str(path.relative_to(folder / "w")) for path in (folder / "w").rglob("*.mp4"))
    assert sorted(row["object_key"] for row in rows) == objects
    assert [path for path in (folder / "w").rglob("*") if ".tmp-" in path.name] == []


HASTY = "[retry]\ntransient = 2\nfirst_wait_s = 0.01\n"


def test_every_fault_ends_with_its_reason(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_WAIT_S", 0.01)
    cases = [case._replace(name=f"{case.name}.mp4") for case in FAULTS]
    for name in ("signed.mp4", "aged.mp4", "gigantic.mp4", "gigantic-whole.mp4"):
        add(server, name)
    server.platform = {"signed.mp4": Lease(), "aged.mp4": Lease(uses=0)}
    server.sizes = {"gigantic.mp4": GIGANTIC, "gigantic-whole.mp4": GIGANTIC}
    two = '<video src="/clip.mp4"></video><video src="/silent.mp4"></video>'
    server.pages = {
        "playlist": f"<!DOCTYPE html><html><head><title>Two</title></head><body>{two}</body></html>",
        "bare": "<!DOCTYPE html><html><head><title>None</title></head><body></body></html>",
        "live.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.0,\n/7.ts\n",
    }
    urls = [add(server, case.name, case.fault) for case in cases]
    server.faults |= {case.name: case.fault for case in PAGES if case.fault != Fault()}
    urls += [server.url(case.name) for case in PAGES]
    signed = [f"{url}?token=SECRETWORD" for url in urls]
    begun = time.monotonic()
    done = fetch(write_recipe(tmp_path, signed, HASTY))
    assert time.monotonic() - begun < 60
    for case, row in zip((*cases, *PAGES), outcomes(tmp_path), strict=True):
        told = f"{case.name}: {row}"
        assert row["reason"] == (case.reason.value if case.reason else None), told
        assert row["status"] == ("ok" if case.reason is None else _status(case.reason)), told
        assert case.reason is None or case.reason.kind is case.kind, told
        assert case.words in row["message"], told
        assert row["attempts"] == case.attempts, told
    assert done.ok
    assert _conditions(tmp_path) == {"parts.m3u8": "segmented_only"}
    assert server.bytes_sent < 20_000_000, "a gigantic file was read far beyond the span"
    nothing_half_written(tmp_path)
    for path in (path for place in ("runs", "tables/outcomes", "tables/videos", "tables/media")
                 for path in (tmp_path / "w" / place).rglob("*") if path.is_file()):  # fmt: skip
        assert b"SECRETWORD" not in path.read_bytes(), path


def _conditions(folder: Path) -> dict[str, str]:
    """Why the formats of some videos are not those that the recipe wants."""
    query = (
        "select c.url, m.condition from media m join clips c using (clip_id) where m.condition is not null"
    )
    rows = Tables.open(str(folder / "w")).sql(query).to_pylist()
    return {row["url"].partition("?")[0].rpartition("/")[2]: row["condition"] for row in rows}


def _status(reason: Reason) -> str:
    passes = (Kind.TRANSIENT, Kind.EXPIRED, Kind.HOST, Kind.LATER, Kind.UNKNOWN)
    return "failed" if reason.kind in passes else "rejected"


def test_what_trickles_or_stalls_ends_in_bounded_time(server: MediaServer, tmp_path: Path) -> None:
    """At the clip's own limit, which is shorter here than those on silence and slowness."""
    faults = (
        Fault(drip_head=0.5),
        Fault(stall=0),
        Fault(stall=3000),
        Fault(drip=0.5),
        Fault(drip=0.5, skip=1),
    )
    urls = [add(server, f"slow-{number}.mp4", fault) for number, fault in enumerate(faults)]
    text = "[fetch]\nclip_seconds_limit = 3.0\n[retry]\ntransient = 1\n"
    recipe = write_recipe(tmp_path, [*urls, add(server, "good.mp4")], text)
    begun = time.monotonic()
    report("fetch", str(recipe), "--workers", "6")
    assert time.monotonic() - begun < 40
    rows = outcomes(tmp_path)
    assert [(row["status"], row["reason"]) for row in rows] == [("failed", "timeout")] * 5 + [("ok", None)]
    nothing_half_written(tmp_path)


def test_a_gigantic_file_costs_no_memory(server: MediaServer, tmp_path: Path) -> None:
    urls = [add(server, name) for name in ("huge.mp4", "whole.mp4")]
    server.sizes = dict.fromkeys(("huge.mp4", "whole.mp4"), GIGANTIC)
    server.faults["whole.mp4"] = Fault(no_range=True, content_type="video/mp4")
    (tmp_path / "plain").mkdir()
    usual_mb = _peak_mb(write_recipe(tmp_path / "plain", [add(server, "clip.mp4")]))
    assert _peak_mb(write_recipe(tmp_path, urls)) < usual_mb + 64
    assert [row["reason"] for row in outcomes(tmp_path)] == [None, "too_large"]


def _peak_mb(recipe: Path) -> float:
    """Most resident memory of a process of a fetch, and of its children."""
    words = [sys.executable, "-m", "valor_data", "fetch", str(recipe), "--workers", "1"]
    run = subprocess.Popen(words, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0
    assert isinstance(used, resource.struct_rusage)
    return used.ru_maxrss / 1024


def test_two_hundred_clips_arrive_through_bad_weather(server: MediaServer, tmp_path: Path) -> None:
    """Three requests in ten fail in one of nine ways; every clip is asked for until it comes."""
    server.weather = Weather(share=0.3, seed=1)
    urls = [add(server, f"{number}.mp4") for number in range(200)]
    text = '[fetch]\nprofile = "small"\n[retry]\ntransient = 8\nfirst_wait_s = 0.05\n'
    done = report("fetch", str(write_recipe(tmp_path, urls, text, span="0.5,1.0")), "--workers", "4")
    assert server.weather.struck > 100
    assert done["counts"]["fetched"] == 200, done["reasons"]
    assert {row["status"] for row in outcomes(tmp_path)} == {"ok"}
    nothing_half_written(tmp_path)


BLOCKS = '[[hosts]]\nhost = "127.0.0.1"\ncool_down_s = 0.1\nblocks = 3\nconnections = 1\n'


def test_a_host_that_blocks_us_is_left_alone_and_a_person_is_told(
    media: Path, server: MediaServer, tmp_path: Path
) -> None:
    with MediaServer(copy(media, tmp_path / "other")) as other:
        urls = [add(server, f"{number}.mp4", Fault(status=429)) for number in range(12)]
        urls += [add(other, f"{number}.mp4") for number in range(4)]
        recipe = write_recipe(tmp_path, urls, HASTY + BLOCKS)
        told = subprocess.run(
            [sys.executable, "-m", "valor_data", "fetch", str(recipe), "--workers", "1"],
            capture_output=True, text=True, env={**os.environ, **ENVIRONMENT}, timeout=120,
        )  # fmt: skip
        assert told.returncode == 1
        words = told.stdout + told.stderr
        host = f"127.0.0.1:{server.url('').split(':')[2].rstrip('/')}"
        for part in (f"{host} blocks us", "rate_limited", "the same command goes on", "on_block", "cookies"):
            assert part in told.stderr, words
        asked = sum(server.requests.values())
        assert asked <= 5, "it was asked on after it had said no three times"
        assert [row["url"].split("/")[2] for row in outcomes(tmp_path) if row["status"] == "ok"] == [
            other.url("").split("/")[2]
        ] * 4
        server.faults.clear()
        done = report("fetch", str(recipe), "--workers", "1")
        assert done["counts"]["fetched"] == 16
        assert done["counts"]["new"] == 12
    nothing_half_written(tmp_path)


def test_a_host_that_asks_for_a_second_of_rest_gets_it(server: MediaServer, tmp_path: Path) -> None:
    urls = [add(server, f"{number}.mp4") for number in range(4)]
    server.faults["1.mp4"] = Fault(status=429, retry_after="1", times=1)
    server.faults["2.mp4"] = Fault(status=503, retry_after="1", times=1, skip=1)
    begun = time.monotonic()
    done = fetch(write_recipe(tmp_path, urls, HASTY))
    assert done.ok
    assert done.counts["fetched"] == 4, outcomes(tmp_path)
    assert time.monotonic() - begun > 1.9, "each of two hosts' wishes is one second"


class FirstAges(Lease):
    """The first signature is good for two requests, later ones for all."""

    def sign(self) -> str:
        self.uses = None if self.signed else 2
        return super().sign()


def test_an_address_that_expires_amid_a_video_is_resolved_once_more(
    server: MediaServer, tmp_path: Path
) -> None:
    footage.make(server.folder / "long.mp4", 30, muxer=FASTSTART)
    lease = server.platform["long.mp4"] = FirstAges()
    page = server.url("watch/long.mp4")
    recipe = write_recipe(tmp_path, [page], HASTY)
    rows = [f"v0,{page},{start},{start + 1}" for start in (1, 14, 27)]
    (tmp_path / "list.csv").write_text("\n".join(["video_id,url,start,end", *rows]) + "\n")
    done = fetch(recipe)
    assert done.counts["fetched"] == 3, outcomes(tmp_path)
    assert max(row["attempts"] for row in outcomes(tmp_path)) == 2
    assert server.requests["watch/long.mp4"] == lease.signed == 2
    nothing_half_written(tmp_path)


def test_only_what_was_lost_for_the_named_reasons_is_asked_for_again(
    server: MediaServer, tmp_path: Path
) -> None:
    urls = [add(server, f"{number}.mp4") for number in range(3)]
    server.faults = {"0.mp4": Fault(status=404), "1.mp4": Fault(status=451)}

    def asked_for(run: Callable[[], object]) -> set[str]:
        server.requests.clear()
        run()
        return {name for name in server.requests if name.endswith(".mp4")}

    recipe = write_recipe(tmp_path, urls)
    assert asked_for(lambda: fetch(recipe)) == {"0.mp4", "1.mp4", "2.mp4"}
    server.faults.clear()
    assert asked_for(lambda: fetch(recipe)) == set()
    assert asked_for(lambda: fetch(recipe, ("geo_blocked",))) == {"1.mp4"}
    recipe = write_recipe(tmp_path, urls, '[retry]\nagain = ["not_found", "transient"]\n')
    assert asked_for(lambda: fetch(recipe)) == {"0.mp4"}
    assert {row["status"] for row in outcomes(tmp_path)} == {"ok"}


def test_silent_videos_are_refused_where_sound_is_required(server: MediaServer, tmp_path: Path) -> None:
    urls = [server.url("silent.mp4"), server.url("clip.mp4")]
    fetch(write_recipe(tmp_path, urls, "[fetch]\naudio_required = true\n"))
    assert [(row["status"], row["reason"]) for row in outcomes(tmp_path)] == [
        ("rejected", "no_audio"),
        ("ok", None),
    ]
    nothing_half_written(tmp_path)
