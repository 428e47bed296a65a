"""A loopback HTTP server over a folder that can misbehave in named ways.

    with MediaServer(folder) as server:
        server.url("clip.mp4")             # http://127.0.0.1:<port>/clip.mp4
        server.faults["clip.mp4"] = Fault(status=503)
        server.bytes_sent, server.requests

        server.weather = Weather(share=0.3, seed=1)      # faults that pass, on any path
        server.sizes["clip.mp4"] = 50 * 10**9             # zeros follow what the folder holds
        server.pages["list"] = "<html>..."                # a page that lies in no folder
        server.platform["clip.mp4"] = Lease(uses=3)       # signed; /watch/clip.mp4 hands out signatures

Ranges work as in RFC 9110 (one range) unless a fault takes them away.
"""

import contextlib
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

TYPES = {
    "mp4": "video/mp4", "m4v": "video/mp4", "m4a": "audio/mp4", "mov": "video/quicktime",
    "mkv": "video/x-matroska", "webm": "video/webm", "avi": "video/x-msvideo", "flv": "video/x-flv",
    "ts": "video/mp2t", "mpg": "video/mpeg", "mpeg": "video/mpeg", "3gp": "video/3gpp", "ogv": "video/ogg",
    "wmv": "video/x-ms-wmv", "m3u8": "application/vnd.apple.mpegurl", "mpd": "application/dash+xml",
    "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
    "aac": "audio/aac", "html": "text/html",
}  # fmt: skip
_PAGE = b"<!DOCTYPE html><html><head><title>Moved</title></head><body><p>Nothing here.</p></body></html>"
_BLOCK = 1 << 16


@dataclass
class Fault:
    """What goes wrong with one path. `skip` requests pass first; `times` then suffer (None: all)."""

    status: int | None = None
    retry_after: str | None = None
    no_range: bool = False
    truncate: int | None = None
    """Body bytes after which the connection closes, though the length promised more."""
    stall: int | None = None
    """Body bytes after which nothing more comes, until the server stops."""
    drip: float | None = None
    """Seconds of rest before each kilobyte of the body."""
    drip_head: float | None = None
    """Seconds of rest before each byte of the head."""
    reset: bool = False
    """Close without an answer."""
    reset_after: int | None = None
    """Body bytes after which the connection is reset, not closed."""
    promise: int = 0
    """Bytes that Content-Length promises more than there are; fewer if negative."""
    shift: int = 0
    """Bytes that Content-Range, and what follows it, lie beside what was asked for."""
    html: bool = False
    """200 with a web page."""
    redirect: str | None = None
    content_type: str | None = None
    skip: int = 0
    times: int | None = None

    def strikes(self) -> bool:
        """Whether this request suffers; counts down."""
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


@dataclass
class Weather:
    """Faults that pass, on any path: each request suffers one with this probability, in an order that
    the seed, the path and the number of the request fix. Never more than `most` in a row on one path,
    so that who asks again is served."""

    share: float
    seed: int
    most: int = 2
    _in_a_row: Counter[str] = field(default_factory=Counter)
    struck: int = 0
    """Requests that suffered."""

    def fault(self, path: str, number: int) -> Fault | None:
        """What this request suffers."""
        dice = random.Random(f"{self.seed} {path} {number}")
        if dice.random() >= self.share or self._in_a_row[path] >= self.most:
            self._in_a_row[path] = 0
            return None
        self._in_a_row[path] += 1
        self.struck += 1
        return dice.choice(
            (
                Fault(status=500), Fault(status=502), Fault(status=503),
                Fault(status=503, retry_after="0"), Fault(reset=True), Fault(truncate=700),
                Fault(reset_after=700), Fault(promise=900), Fault(drip_head=0.001),
            )
        )  # fmt: skip


@dataclass
class Lease:
    """How long a signed address holds; afterwards it is refused with 403."""

    uses: int | None = None
    seconds: float | None = None
    signed: int = 0
    """Signatures handed out."""
    left: dict[str, int] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    def sign(self) -> str:
        """A fresh signature."""
        self.signed += 1
        signature = f"sig{self.signed}"
        self.left[signature] = 1 << 30 if self.uses is None else self.uses
        self.since[signature] = time.monotonic()
        return signature

    def holds(self, signature: str) -> bool:
        """Whether an address with this signature is still served; counts down."""
        self.left[signature] = self.left.get(signature, 0) - 1
        age_s = time.monotonic() - self.since.get(signature, 0.0)
        return self.left[signature] >= 0 and (self.seconds is None or age_s < self.seconds)


class MediaServer:
    """Serves `folder` on 127.0.0.1, a free port; counts what it sends; paces each connection if asked."""

    def __init__(self, folder: Path, *, ranges: bool = True, bytes_per_second: int | None = None) -> None:
        self.folder = folder
        self.bytes_per_second = bytes_per_second
        self.ranges = ranges
        self.faults: dict[str, Fault] = {}
        self.weather: Weather | None = None
        self.sizes: dict[str, int] = {}
        self.pages: dict[str, str] = {}
        self.platform: dict[str, Lease] = {}
        self.bytes_sent = 0
        self.cpu_s = 0.0
        """CPU time of the threads that answered."""
        self.requests: Counter[str] = Counter()
        self.answer_headers: dict[str, str] = {}
        """Sent with every answer."""
        self.headers: list[tuple[str, dict[str, str]]] = []
        """(path, request headers) of each request, in order."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        """Address of a file in the folder."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/{quote(path)}"

    def reset_counts(self) -> None:
        """Zero for bytes, CPU, requests and seen headers."""
        with self.lock:
            self.bytes_sent, self.cpu_s = 0, 0.0
            self.requests.clear()
            self.headers.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        # What a reader leaves unread lies in this buffer, lest it be counted as sent.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BLOCK)
        return connection, address


def _handler_of(server: MediaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        _head_rest_s: float | None = None

        def log_message(self, *_: object) -> None:
            pass

        def end_headers(self) -> None:
            self.send_header("Connection", "close")
            for name, value in server.answer_headers.items():
                self.send_header(name, value)
            super().end_headers()

        def handle(self) -> None:
            begun = time.thread_time()
            with contextlib.suppress(ConnectionError, TimeoutError):
                super().handle()
            with server.lock:
                server.cpu_s += time.thread_time() - begun

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            address = urlsplit(self.path)
            path = unquote(address.path).lstrip("/")
            self.close_connection = True
            with server.lock:
                server.requests[path] += 1
                server.headers.append((path, dict(self.headers)))
                fault = self._fault(path)
                lease = server.platform.get(path)
                expired = lease is not None and not lease.holds(address.query.rpartition("sig=")[2])
                page = self._page_at(path)
            if fault.reset:
                return
            self._head_rest_s = fault.drip_head
            if fault.redirect is not None:
                self.send_response(302)
                self.send_header("Location", fault.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif fault.status is not None:
                self._page(fault.status, _PAGE, body, fault.retry_after)
            elif expired:
                self._page(403, _PAGE, body)
            elif fault.html:
                self._page(200, _PAGE, body)
            elif page is not None:
                self._page(200, page.encode(), body)
            elif not (server.folder / path).is_file():
                self._page(404, _PAGE, body)
            else:
                self._send_file(server.folder / path, server.sizes.get(path), fault, body)

        def _fault(self, path: str) -> Fault:
            fault = server.faults.get(path)
            if fault and fault.strikes():
                return fault
            bad = server.weather and server.weather.fault(path, server.requests[path])
            return bad or Fault()

        def _page_at(self, path: str) -> str | None:
            name = path.removeprefix("watch/")
            if name == path or name not in server.platform:
                return server.pages.get(path)
            signed = f"/{quote(name)}?expire=1&amp;sig={server.platform[name].sign()}"
            kind = TYPES[name.rpartition(".")[2]]
            source = f'<video controls><source src="{signed}" type="{kind}"></video>'
            return f"<!DOCTYPE html><html><head><title>{name}</title></head><body>{source}</body></html>"

        def flush_headers(self) -> None:
            head = b"".join(self._headers_buffer)
            self._headers_buffer = []
            if not self._head_rest_s:
                self.wfile.write(head)
                return
            for at in range(len(head)):
                if server.stopping.wait(self._head_rest_s):
                    return
                self.wfile.write(head[at : at + 1])

        def _page(self, status: int, page: bytes, body: bool, retry_after: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            if body:
                self._send(page)

        def _send_file(self, file: Path, size: int | None, fault: Fault, body: bool) -> None:
            size = file.stat().st_size if size is None else size
            start, stop = 0, size
            ranges = server.ranges and not fault.no_range
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")) if ranges else None
            if asked and (asked[1] or asked[2]):
                if asked[1]:
                    start, stop = int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size
                else:
                    start = max(0, size - int(asked[2]))
                if start >= size or stop <= start:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{size}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start, stop = min(start + fault.shift, size), min(stop + fault.shift, size)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            else:
                self.send_response(200)
            kind = TYPES.get(file.suffix[1:].lower(), "application/octet-stream")
            self.send_header("Content-Type", fault.content_type or kind)
            self.send_header("Content-Length", str(max(0, stop - start + fault.promise)))
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if body:
                self._send_body(file, start, stop, fault)

        def _send_body(self, file: Path, start: int, stop: int, fault: Fault) -> None:
            limits = (fault.truncate, fault.stall, fault.reset_after)
            limit = min((n for n in limits if n is not None), default=None)
            end = stop if limit is None else min(stop, start + limit)
            block = 1024 if fault.drip else _BLOCK
            pace = server.bytes_per_second
            with file.open("rb") as stream:
                stream.seek(start)
                while start < end and not server.stopping.is_set():
                    if fault.drip:
                        time.sleep(fault.drip)
                    want = min(block, end - start)
                    data = stream.read(want)
                    data += bytes(want - len(data))
                    if pace:
                        time.sleep(len(data) / pace)
                    self._send(data)
                    start += len(data)
            if fault.stall is not None and start < stop:
                server.stopping.wait()
            if fault.reset_after is not None and start < stop:
                # Closed with no time to linger: the peer sees a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def _send(self, data: bytes) -> None:
            self.wfile.write(data)
            with server.lock:
                server.bytes_sent += len(data)

    return Handler
