"""A loopback HTTP server over a folder that can misbehave in named ways.

    with MediaServer(folder) as server:
        server.url("clip.mp4")             # http://127.0.0.1:<port>/clip.mp4
        server.faults["clip.mp4"] = Fault(status=503)
        server.bytes_sent, server.requests

Ranges work as in RFC 9110 (one range) unless a fault takes them away.
"""

import contextlib
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
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
    """Seconds of rest before each kilobyte."""
    reset: bool = False
    """Close without an answer."""
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


class MediaServer:
    """Serves `folder` on 127.0.0.1, a free port; counts what it sends; paces each connection if asked."""

    def __init__(self, folder: Path, *, ranges: bool = True, bytes_per_second: int | None = None) -> None:
        self.folder = folder
        self.bytes_per_second = bytes_per_second
        self.ranges = ranges
        self.faults: dict[str, Fault] = {}
        self.bytes_sent = 0
        self.requests: Counter[str] = Counter()
        self.headers: list[tuple[str, dict[str, str]]] = []
        """(path, request headers) of each request, in order."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True
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
        """Zero for bytes, requests and seen headers."""
        with self.lock:
            self.bytes_sent = 0
            self.requests.clear()
            self.headers.clear()


def _handler_of(server: MediaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                super().handle()

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path).lstrip("/")
            with server.lock:
                server.requests[path] += 1
                server.headers.append((path, dict(self.headers)))
                fault = server.faults.get(path)
                fault = fault if fault and fault.strikes() else Fault()
            self.close_connection = True
            if fault.reset:
                return
            if fault.redirect is not None:
                self.send_response(302)
                self.send_header("Location", fault.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if fault.status is not None:
                return self._page(fault.status, fault.retry_after, body)
            if fault.html:
                return self._page(200, None, body)
            file = server.folder / path
            if not file.is_file():
                return self._page(404, None, body)
            self._send_file(file, fault, body)

        def _page(self, status: int, retry_after: str | None, body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(_PAGE)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            if body:
                self._send(_PAGE)

        def _send_file(self, file: Path, fault: Fault, body: bool) -> None:
            size = file.stat().st_size
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
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            else:
                self.send_response(200)
            kind = TYPES.get(file.suffix[1:].lower(), "application/octet-stream")
            self.send_header("Content-Type", fault.content_type or kind)
            self.send_header("Content-Length", str(stop - start))
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if body:
                self._send_body(file, start, stop, fault)

        def _send_body(self, file: Path, start: int, stop: int, fault: Fault) -> None:
            limit = min((n for n in (fault.truncate, fault.stall) if n is not None), default=None)
            end = stop if limit is None else min(stop, start + limit)
            block = 1024 if fault.drip else _BLOCK
            pace = server.bytes_per_second
            with file.open("rb") as stream:
                stream.seek(start)
                while start < end and not server.stopping.is_set():
                    if fault.drip:
                        time.sleep(fault.drip)
                    data = stream.read(min(block, end - start))
                    if pace:
                        time.sleep(len(data) / pace)
                    self._send(data)
                    start += len(data)
            if fault.stall is not None and start < stop:
                server.stopping.wait()

        def _send(self, data: bytes) -> None:
            self.wfile.write(data)
            with server.lock:
                server.bytes_sent += len(data)

    return Handler
