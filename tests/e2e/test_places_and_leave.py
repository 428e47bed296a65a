"""Where a clip may come from beside the platform, and who has a say in that."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes import footage
from tests.fakes.media_server import Fault, MediaServer
from valor_data import chain
from valor_data.errors import Reason, UserError
from valor_data.recipe import Recipe, parse
from valor_data.records import Media, Outcome, Report, Video
from valor_data.tables import Tables

ID = "-x_2Abohj8V"  # begins with a dash, holds an underscore


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return footage.make(tmp_path_factory.mktemp("video") / "video.mp4", 12)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MediaServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    with MediaServer(folder) as running:
        yield running


def _recipe(tmp_path: Path, rows: list[str], **sections: object) -> Recipe:
    (tmp_path / "list.csv").write_text("\n".join(["video_id,url,start,end", *rows]) + "\n")
    lists = {"lists": [{"path": str(tmp_path / "list.csv")}]}
    retry = {"first_wait_s": 0.0, "longest_wait_s": 0.0, "transient": 2}
    raw = {"name": "places", "workspace": str(tmp_path / "w"), "segments": lists, "retry": retry, **sections}
    return parse(raw, "places.toml")


def _fetch(recipe: Recipe, **options: object) -> Report:
    return chain.fetch(recipe, chain.Options(engine="inline", progress=False, **options))  # type: ignore[arg-type]


def _rows(tmp_path: Path) -> tuple[dict[str, Media], dict[str, Outcome]]:
    tables = Tables.open(str(tmp_path / "w"))
    media = {row.clip_id: row for row in tables.rows(Media)}
    return media, {row.clip_id: row for row in tables.rows(Outcome)}


def test_a_mirror_comes_first_and_the_platform_gives_the_rest(
    video: Path, server: MediaServer, tmp_path: Path
) -> None:
    """The tree holds one ready clip; the platform is asked for the other only, at its own pace."""
    ready = tmp_path / "tree" / "deep" / f"{ID}_2.000_5.000.mp4"
    ready.parent.mkdir(parents=True)
    footage.make(ready, 3)
    (server.folder / "v.mp4").write_bytes(video.read_bytes())
    url = server.url("v.mp4")
    recipe = _recipe(
        tmp_path, [f"{ID},{url},2,5", f"{ID},{url},6,9"],
        mirrors=[{"kind": "folder", "at": str(tmp_path / "tree"), "name": "old-copy"}],
    )  # fmt: skip
    assert _fetch(recipe).counts["fetched"] == 2
    media, _ = _rows(tmp_path)
    mirrored, fetched = media[f"{ID}_2000_5000"], media[f"{ID}_6000_9000"]
    assert (mirrored.origin, mirrored.start_error_ms, mirrored.bytes_read) == ("mirror:old-copy", None, None)
    assert mirrored.duration_ms == 3000
    assert fetched.origin == "platform"
    assert fetched.start_error_ms is not None
    assert fetched.bytes_read
    server.reset_counts()
    assert _fetch(recipe).counts["new"] == 0
    assert sum(server.requests.values()) == 0, "what is done is never asked for again"


def test_a_mirror_alone_bothers_no_host(video: Path, server: MediaServer, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{ID}.MP4").write_bytes(video.read_bytes())
    recipe = _recipe(
        tmp_path, [f"{ID},{server.url('v.mp4')},2,5"],
        mirrors=[{"kind": "folder", "at": str(tmp_path / "videos"), "holds": "videos"}],
    )  # fmt: skip
    assert _fetch(recipe).counts["fetched"] == 1
    assert sum(server.requests.values()) == 0
    media, _ = _rows(tmp_path)
    assert media[f"{ID}_2000_5000"].start_error_ms == 0


def test_a_mirror_after_the_platform_helps_where_it_refused(
    video: Path, server: MediaServer, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{ID}.mp4").write_bytes(video.read_bytes())
    gone = server.url("gone.mp4")
    recipe = _recipe(
        tmp_path, [f"{ID},{gone},2,5", f"other,{gone},2,5"],
        mirrors=[{"kind": "folder", "at": str(tmp_path / "videos"), "holds": "videos", "when": "after"}],
    )  # fmt: skip
    report = _fetch(recipe)
    assert (report.counts["fetched"], report.counts["unavailable"]) == (1, 1)
    media, outcomes = _rows(tmp_path)
    assert media[f"{ID}_2000_5000"].origin == "mirror:folder"
    assert outcomes["other_2000_5000"].reason is Reason.NOT_FOUND


def test_a_broken_copy_does_not_hide_the_platform(video: Path, server: MediaServer, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{ID}.mp4").write_bytes(b"not a video" * 1000)
    (server.folder / "v.mp4").write_bytes(video.read_bytes())
    mirror = {"kind": "folder", "at": str(tmp_path / "videos"), "holds": "videos"}
    recipe = _recipe(tmp_path, [f"{ID},{server.url('v.mp4')},2,5"], mirrors=[mirror])
    report = _fetch(recipe)
    assert report.counts["fetched"] == 1
    assert any("copies in mirrors that could not serve" in told for told in report.warnings)
    media, _ = _rows(tmp_path)
    assert media[f"{ID}_2000_5000"].origin == "platform"


@pytest.mark.parametrize(("policy", "fetched"), [("record", 1), ("require", 0)])
def test_a_hosts_word_against_training_is_kept_and_where_required_obeyed(
    policy: str, fetched: int, video: Path, server: MediaServer, tmp_path: Path
) -> None:
    (server.folder / "v.mp4").write_bytes(video.read_bytes())
    (server.folder / "robots.txt").write_text("User-agent: *\nContent-Signal: search=yes, ai-train=no\n")
    recipe = _recipe(tmp_path, [f"{ID},{server.url('v.mp4')},2,5"], rights={"signals": policy})
    assert _fetch(recipe).counts["fetched"] == fetched
    _, outcomes = _rows(tmp_path)
    (kept,) = Tables.open(str(tmp_path / "w")).rows(Video)
    assert kept.signals == ("robots.txt: ai-train=no",)
    if not fetched:
        outcome = outcomes[f"{ID}_2000_5000"]
        assert outcome.reason is Reason.NOT_PERMITTED
        assert "robots.txt: ai-train=no" in outcome.message
        assert list((tmp_path / "w").rglob("*.mp4")) == []


def test_the_platforms_permission_is_asked_with_a_key_that_nobody_sees(
    video: Path, server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            video_id = parse_qs(urlsplit(self.path).query)["id"][0]
            asked.append((video_id, self.headers["X-Goog-Api-Key"]))
            body = json.dumps({"videoId": video_id, "permitted": ["none"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    api = HTTPServer(("127.0.0.1", 0), Api)
    Thread(target=api.serve_forever, daemon=True).start()
    monkeypatch.setenv("A_KEY", "SECRETKEY")
    from valor_data.consent import Consent

    rights = _recipe(
        tmp_path, [],
        rights={
            "training": "require", "youtube_key_env": "A_KEY",
            "youtube_api": f"http://127.0.0.1:{api.server_address[1]}",
        },
    ).rights  # fmt: skip
    recipe = parse({"name": "x"}, "x")
    consent = Consent(recipe.access, rights)
    assert consent.training(ID, "youtube") == ("none", "videoTrainability")
    assert consent.training(ID, "youtube") == ("none", "videoTrainability")
    assert consent.training(ID, "url") == (None, None)
    assert asked == [(ID, "SECRETKEY")], "once a video"
    api.shutdown()
    api.server_close()
    value, evidence = Consent(recipe.access, rights).training(ID, "youtube")
    assert value is None
    assert evidence
    assert "SECRETKEY" not in evidence


def test_audio_that_is_required_and_missing(server: MediaServer, tmp_path: Path) -> None:
    footage.make(server.folder / "mute.mp4", 6, sound=False)
    recipe = _recipe(tmp_path, [f"{ID},{server.url('mute.mp4')},2,5"], fetch={"audio_required": True})
    assert _fetch(recipe).counts["unavailable"] == 1
    _, outcomes = _rows(tmp_path)
    assert outcomes[f"{ID}_2000_5000"].reason is Reason.NO_AUDIO
    assert list((tmp_path / "w").rglob("*.mp4")) == []


def test_a_host_that_blocks_ends_its_part_with_words_of_what_to_do(
    video: Path, server: MediaServer, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (server.folder / name).write_bytes(video.read_bytes())
    server.faults["b.mp4"] = Fault(status=429, retry_after="86400")
    rows = [f"{name},{server.url(f'{name}.mp4')},2,5" for name in ("a", "b", "c")]
    recipe = _recipe(tmp_path, rows, hosts=[{"host": "127.0.0.1", "connections": 1}])
    report = _fetch(recipe)
    assert not report.ok
    (told,) = [words for words in report.warnings if "blocks us" in words]
    assert "1 clips were left untried" in told
    assert "on_block" in told
    _, outcomes = _rows(tmp_path)
    assert set(outcomes) == {"a_2000_5000", "b_2000_5000"}
    server.faults.clear()
    assert _fetch(recipe).counts["fetched"] == 3


@pytest.mark.parametrize("source", ["robots.txt", "header"])
def test_a_release_asks_again_what_was_stated_long_ago(
    source: str, video: Path, server: MediaServer, tmp_path: Path
) -> None:
    """The host has changed its mind between fetch and release."""
    (server.folder / "a.mp4").write_bytes(video.read_bytes())
    rows = [f"{ID},{server.url('a.mp4')},2,5"]
    recipe = _recipe(
        tmp_path, rows, rights={"signals": "require", "recheck_days": 0}, rules=[],
        shard={"require_caption": False},
    )  # fmt: skip
    options = chain.Options(engine="inline", progress=False)
    assert chain.fetch(recipe, options).counts["fetched"] == 1
    chain.filter(recipe, options)
    if source == "header":
        server.answer_headers = {"X-Robots-Tag": "noai"}
    else:
        (server.folder / "robots.txt").write_text("User-agent: *\nContent-Signal: ai-train=no\n")
    with pytest.raises(UserError):
        chain.shard(recipe, options)
    (kept,) = Tables.open(str(tmp_path / "w")).rows(Video)
    assert kept.signals == (("header: noai",) if source == "header" else ("robots.txt: ai-train=no",))
