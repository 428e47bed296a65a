"""What hosts and platforms state for machines: read right, asked once, and never in the way."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes.media_server import Fault, MediaServer
from valor_data import consent
from valor_data.consent import Consent
from valor_data.recipe import Access, Rights
from valor_data.rights import objections


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MediaServer]:
    (tmp_path / ".well-known").mkdir()
    with MediaServer(tmp_path) as running:
        yield running


def _signals(server: MediaServer, path: str = "v.mp4", **headers: str) -> tuple[str, ...]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Consent(Access(), Rights()).signals(server.url(path), named)


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("", []),
        ("User-agent: *\nDisallow: /\n", []),
        ("User-agent: *\nContent-Signal: search=yes, ai-train=no\nAllow: /\n", ["ai-train=no"]),
        ("\ufeffuser-agent:*\r\ncontent-signal:AI-TRAIN=No,ai-input=no # why\r\n", ["ai-train=no"]),
        ("User-Agent: *\nContent-Usage: train-ai=n\n", ["train-ai=n"]),
        ("User-Agent: *\nContent-Usage: search=y;x=1, train-ai=y\n", ["train-ai=y"]),
        ("Content-Signal: ai-train=no\n", ["ai-train=no"]),  # before any group: to everybody
        # Said to some crawlers only, and what shuts them out is no preference at all.
        ("User-agent: GPTBot\nContent-Signal: ai-train=no\nDisallow: /\n", []),
        ("User-agent: GPTBot\nDisallow: /\n\nUser-agent: CCBot\nDisallow: /\n", []),
        ("User-agent: GPTBot\nDisallow: /\nUser-agent: *\nContent-Signal: ai-train=no", ["ai-train=no"]),
        ("User-agent: *\nAllow: /\nUser-agent: GPTBot\nContent-Signal: ai-train=no", []),
        ("User-agent: *\nUser-agent: GPTBot\nContent-Signal: ai-train=no", ["ai-train=no"]),
        ("User-agent: GPTBot\nUser-agent: *\nContent-Signal: ai-train=no", ["ai-train=no"]),
        # A rule for a path; the longest that fits counts.
        ("User-agent: *\nContent-Usage: /music/ train-ai=n\n", []),
        ("User-agent: *\nContent-Usage: /v train-ai=n\n", ["train-ai=n"]),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /v.mp4$ train-ai=y\n", ["train-ai=y"]),
        ("User-agent: *\nContent-Usage: /*.mp4$ train-ai=n\nContent-Usage: / train-ai=y\n", ["train-ai=n"]),
        ("User-agent: *\nContent-Signal: ai-train=yes\nContent-Signal: ai-train=no\n", ["ai-train=no"]),
        ("<html>Content-Signal is not here</html>", []),
        ("User-agent: *\nContent-Usage: /" + "*a" * 5000 + " train-ai=n\n", []),
    ],
)
def test_robots_txt(text: str, stated: list[str], server: MediaServer) -> None:
    (server.folder / "robots.txt").write_bytes(text.encode())
    assert _signals(server) == tuple(f"robots.txt: {one}" for one in stated)


@pytest.mark.parametrize(
    ("rules", "stated"),
    [
        ([{"location": "/", "tdm-reservation": 1, "tdm-policy": "https://x.example"}], ["1"]),
        ([{"location": "/*", "tdm-reservation": 0}], ["0"]),
        ([{"location": "/music", "tdm-reservation": 1}], []),
        ([{"location": "/v.mp4$", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}], ["0"]),
        ([{"location": "/"}], []),
        ([1, None, {"tdm-reservation": 1}], []),
        ({"location": "/"}, []),
    ],
)
def test_tdmrep_json(rules: object, stated: list[str], server: MediaServer) -> None:
    (server.folder / ".well-known" / "tdmrep.json").write_text(json.dumps(rules))
    assert _signals(server) == tuple(f"tdmrep.json: tdm-reservation={one}" for one in stated)


@pytest.mark.parametrize("text", ["", "no json", "[" * 100_000, "\0"])
def test_what_is_no_json_states_nothing(text: str, server: MediaServer) -> None:
    (server.folder / ".well-known" / "tdmrep.json").write_text(text)
    assert _signals(server) == ()


@pytest.mark.parametrize(
    ("headers", "stated"),
    [
        ({"x_robots_tag": "noindex, NoAI, noimageai"}, ["noai", "noimageai"]),
        ({"x_robots_tag": "max-snippet: 20, noml"}, ["noml"]),
        ({"x_robots_tag": "otherbot: noai, noml"}, []),
        ({"tdm_reservation": "1"}, ["tdm-reservation=1"]),
        ({"tdm_reservation": "perhaps"}, []),
        ({"content_usage": "train-ai=n"}, ["train-ai=n"]),
        ({"content_signal": "search=yes, ai-train=no"}, ["ai-train=no"]),
        ({}, []),
    ],
)
def test_headers(headers: dict[str, str], stated: list[str], server: MediaServer) -> None:
    assert _signals(server, **headers) == tuple(f"header: {one}" for one in stated)


def test_a_host_is_asked_once(server: MediaServer) -> None:
    (server.folder / "robots.txt").write_text("User-agent: *\nContent-Signal: ai-train=no\n")
    asked = Consent(Access(), Rights())
    for name in ("a.mp4", "b.mp4", "c/d.mp4"):
        assert objections(asked.signals(server.url(name), {"tdm-reservation": "1"})) == [
            "robots.txt: ai-train=no", "header: tdm-reservation=1",
        ]  # fmt: skip
    assert server.requests == {"robots.txt": 1, ".well-known/tdmrep.json": 1}
    assert asked.signals("file:///etc/hosts", {}) == ()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500), Fault(status=404), Fault(reset=True), Fault(redirect="/robots.txt"),
        Fault(truncate=5), Fault(redirect="http://127.0.0.1:1/"), Fault(redirect="file:///etc/hosts"),
    ],
    ids=str,
)  # fmt: skip
def test_who_does_not_answer_has_stated_nothing(fault: Fault, server: MediaServer) -> None:
    (server.folder / "robots.txt").write_text("User-agent: *\nContent-Signal: ai-train=no\n")
    server.faults["robots.txt"] = fault
    assert _signals(server) == ()


@pytest.mark.parametrize("fault", [Fault(stall=5), Fault(drip=0.2), Fault(drip_head=0.2)], ids=str)
def test_an_answer_that_drips_holds_nobody_up(
    fault: Fault, server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent, "_LIMIT_S", 0.5)
    (server.folder / "robots.txt").write_text("#" * 100_000)
    server.faults["robots.txt"] = fault
    begun = time.monotonic()
    assert _signals(server) == ()
    assert time.monotonic() - begun < 3


def test_an_endless_robots_txt_is_read_to_its_bound(server: MediaServer) -> None:
    (server.folder / "robots.txt").write_text("User-agent: *\nContent-Signal: ai-train=no\n")
    server.sizes["robots.txt"] = 50 * 10**9
    assert _signals(server) == ("robots.txt: ai-train=no",)
    assert server.bytes_sent < 10_000_000


def test_questions_go_through_the_proxy_that_the_recipe_names(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_PROXY", server.url("").rstrip("/"))
    asked = Consent(Access(proxy="env:MY_PROXY", source_address="127.0.0.1"), Rights())
    assert asked.signals("http://nowhere.example/v.mp4", {}) == ()
    assert sum(server.requests.values()) == 2


# YouTube's videoTrainability


class _Api:
    """A small stand-in of the Data API."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str | None]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                assert parts.path == "/youtube/v3/videoTrainability"
                api.asked.append((parse_qs(parts.query)["id"][0], self.headers.get("X-Goog-Api-Key")))
                self.send_response(api.status)
                self.send_header("Content-Length", str(len(api.body)))
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()
                self.wfile.write(api.body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/youtube/v3"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Api]:
    monkeypatch.delenv("YOUTUBE_API_KEY", raising=False)
    running = _Api()
    thread = threading.Thread(target=running.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield running
    running.http.shutdown()
    running.http.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("body", "permission", "evidence"),
    [
        (b'{"permitted": ["all"]}', "all", "videoTrainability"),
        (b'{"permitted": ["none"]}', "none", "videoTrainability"),
        (b'{"permitted": "none"}', "none", "videoTrainability"),
        (b'{"permitted": ["umbrella", "acme"]}', "acme,umbrella", "videoTrainability"),
        (b'{"permitted": []}', None, "videoTrainability: states nothing"),
        (b"{}", None, "videoTrainability: states nothing"),
        (b"[1]", None, "videoTrainability: states nothing"),
        (b"<html>", None, "videoTrainability: states nothing"),
    ],
)
def test_the_permission_of_the_platform(
    body: bytes, permission: str | None, evidence: str, api: _Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOUTUBE_API_KEY", "SECRET")
    api.body = body
    asked = Consent(Access(), Rights(youtube_api=api.url))
    assert asked.training("jNQXAC9IVRw", "youtube") == (permission, evidence)
    assert asked.training("jNQXAC9IVRw", "youtube") == (permission, evidence)
    assert api.asked == [("jNQXAC9IVRw", "SECRET")], "asked once, the key in no address"
    assert asked.training("v", "url") == (None, None)


@pytest.mark.parametrize(("status", "questions"), [(403, 1), (429, 1), (404, 2), (500, 2), (302, 2)])
def test_no_answer_is_told_and_a_refusal_lets_youtube_rest(
    status: int, questions: int, api: _Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOUTUBE_API_KEY", "SECRET")
    api.status = status
    asked = Consent(Access(), Rights(youtube_api=api.url))
    assert asked.training("a", "youtube") == (None, f"videoTrainability: HTTP error {status}")
    permission, evidence = asked.training("b", "youtube")
    assert permission is None
    assert str(evidence).startswith("videoTrainability: ")
    assert len(api.asked) == questions


def test_nobody_is_asked_without_a_key_unless_an_answer_is_required(api: _Api) -> None:
    api.body = b'{"permitted": ["all"]}'
    recorded = Consent(Access(), Rights(youtube_api=api.url))
    assert recorded.training("a", "youtube") == (None, None)
    required = Consent(Access(), Rights(youtube_api=api.url, training="require"))
    assert required.training("a", "youtube") == ("all", "videoTrainability")
    assert api.asked == [("a", None)]


def test_an_api_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOUTUBE_API_KEY", "SECRET")
    asked = Consent(Access(), Rights(youtube_api="http://127.0.0.1:1/v3"))
    assert asked.training("a", "youtube") == (None, "videoTrainability: no answer")
