"""A loopback server in each worker: ffmpeg and PyAV read from it, and it alone asks the hosts.

A video's addresses stand behind random paths for as long as its clips are cut. HLS playlists are
rewritten, so that whatever they name is read through here too; fragmented files and lists of
fragments become one short file that holds the span and nothing else.
"""

import contextlib
import re
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from valor_data.errors import ItemError, Kind, Reason, RetryableError
from valor_data.recipe import Access
from valor_data.transfer import playlist
from valor_data.transfer.body import Body, Readable
from valor_data.transfer.stream import Entry, Remote, Stream, Text, suffix_of
from valor_data.transfer.upstream import Fault, Upstream

_PIECE = 1 << 16
_SEND_BUFFER = 1 << 15
"""What a reader asks for and leaves unread lies in this buffer, not in a host's bill."""
_OWN_HOST_ONLY = ("cookie", "authorization")


class Gateway:
    """Serves on 127.0.0.1 for as long as the context lasts; one a worker."""

    def __init__(self, scratch: Path, access: Access, most_mb: int) -> None:
        self._scratch, self._most_bytes = scratch, most_mb * 1_000_000
        self._upstream = Upstream(access)
        self._videos: dict[str, Transfer] = {}
        self._http = _Server(("127.0.0.1", 0), _handler_of(self._videos))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._upstream.close()

    @contextmanager
    def video(self, remotes: Sequence[Remote]) -> Iterator["Transfer"]:
        """The streams of one video; what has been read is kept until the end."""
        token = secrets.token_hex(8)
        base = f"http://127.0.0.1:{self._http.server_address[1]}/{token}"
        with tempfile.TemporaryDirectory(prefix="transfer-", dir=self._scratch) as folder:
            transfer = Transfer(remotes, self._upstream, base, Path(folder), self._most_bytes)
            self._videos[token] = transfer
            try:
                yield transfer
            finally:
                del self._videos[token]
                transfer.close()


class Span(NamedTuple):
    """Where to read a span from, and what the reading came to."""

    source: tuple[tuple[str, int | None], ...]
    """For each stream its address, and how much later than the video the file behind it begins
    (microseconds); None: it is the whole file, to be sought in."""
    transfer: "Transfer"
    read_before: int

    @property
    def bytes_read(self) -> int:
        """Bytes drawn from hosts since the span was asked for."""
        return self.transfer.bytes_read - self.read_before


class Transfer:
    """The streams of one video. The handler's threads read what one caller asks for."""

    def __init__(
        self, remotes: Sequence[Remote], upstream: Upstream, base: str, folder: Path, most_bytes: int
    ) -> None:
        self._upstream, self._base, self._folder, self._most = upstream, base, folder, most_bytes
        self._lock = threading.Lock()
        self._served: list[Readable | Entry] = []
        self._entries: dict[str, str] = {}
        self._bodies: dict[str, Body] = {}
        self.fault: Fault | None = None
        self._streams = [Stream(self, remote, number > 0) for number, remote in enumerate(remotes)]

    @contextmanager
    def span(self, start_ms: int, end_ms: int) -> Iterator[Span]:
        """Addresses that hold [start_ms, end_ms), counted from the video's first picture.

        Raises the first fault that was not healed, in place of what a decoder made of it, and also
        where it made a clip of what had come. Raises ItemError or RetryableError where a head or an
        index cannot be read.
        """
        self.fault = None
        for body in self._bodies.values():
            if body.fault and body.fault.reason.kind is Kind.TRANSIENT:
                body.fault = None
        before = self.bytes_read
        source = tuple(stream.address(start_ms * 1000, end_ms * 1000) for stream in self._streams)
        try:
            yield Span(source, self, before)
        except (ItemError, RetryableError) as error:
            if self.fault:
                raise self.fault from error
            raise
        if self.fault:
            raise self.fault

    @property
    def bytes_read(self) -> int:
        """Bytes drawn from hosts so far."""
        return sum(body.bytes_read for body in list(self._bodies.values()))

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the first answer of the first stream, with lower-case names; empty before it."""
        return next((body.headers for body in self._bodies.values() if body.headers), {})

    def close(self) -> None:
        """Let go of what was read."""
        for body in self._bodies.values():
            body.close()

    def body(self, url: str, remote: Remote) -> Body:
        """The one body of an address. Raises ItemError for one that is not on the web."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise ItemError(Reason.UNSUPPORTED_FORMAT, "the playlist names something that is not on the web")
        with self._lock:
            if url not in self._bodies:
                own = urlsplit(url).netloc == urlsplit(remote.url).netloc
                headers = {n: v for n, v in remote.headers if own or n.lower() not in _OWN_HOST_ONLY}
                path = self._folder / str(len(self._bodies))
                self._bodies[url] = Body(self._upstream, url, headers, path, self._most)
            return self._bodies[url]

    def serve(self, what: "Readable | Entry", suffix: str) -> str:
        """An address of ours."""
        with self._lock:
            self._served.append(what)
            return f"{self._base}/{len(self._served) - 1}{suffix}"

    def entry(self, url: str, remote: Remote) -> str:
        """Our address of something that a playlist names."""
        known = self._entries.get(url)
        if known is None:
            known = self._entries[url] = self.serve(Entry(url, remote), suffix_of(url))
        return known

    def opened(self, number: int) -> Readable:
        """What stands behind an address of ours. Raises LookupError, ItemError, RetryableError."""
        what = self._served[number]
        if not isinstance(what, Entry):
            return what
        body = self.body(what.url, what.remote)
        if not playlist.is_playlist(body.read(0, 64)):
            return body
        text = body.text(playlist.MOST_BYTES)
        ours = playlist.rewritten(text, body.url, lambda url: self.entry(url, what.remote))
        return Text(ours.encode())

    def note(self, fault: Fault) -> None:
        """A reader met this."""
        self.fault = self.fault or fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        return connection, address


def _handler_of(videos: Mapping[str, Transfer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

        def end_headers(self) -> None:
            self.send_header("Connection", "close")
            super().end_headers()

        def do_GET(self) -> None:
            match = re.fullmatch(r"/([0-9a-f]{16})/(\d+)(?:\.\w+)?", self.path)
            transfer = videos.get(match[1]) if match else None
            self.close_connection = True
            self._begun = False
            if not match or transfer is None:
                self._refuse(404)
                return
            with contextlib.suppress(ConnectionError):  # the reader has enough
                try:
                    self._send(transfer.opened(int(match[2])))
                except (ItemError, RetryableError) as fault:
                    transfer.note(fault)
                    if not self._begun:  # else the end of the connection tells
                        self._refuse(502)
                except LookupError:
                    self._refuse(404)

        def _send(self, what: Readable) -> None:
            size = what.size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            end = min(size, int(asked[2]) + 1) if asked and asked[2] else size
            if asked and start >= size:
                self._refuse(416, f"bytes */{size}")
                return
            block = what.read(start, min(_PIECE, end - start))  # a fault before the head can be told
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("Accept-Ranges", "bytes")
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.end_headers()
            self._begun = True
            while block:
                self.wfile.write(block)
                start += len(block)
                block = what.read(start, min(_PIECE, end - start)) if start < end else b""

        def _refuse(self, status: int, told_range: str | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if told_range:
                self.send_header("Content-Range", told_range)
            self.end_headers()

    return Handler
