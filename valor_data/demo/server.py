"""A plain HTTP server for one folder of media, on this machine only, with byte ranges.

Video tools ask for ranges; the standard library's file server answers none.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

_TYPES = {
    ".3gp": "video/3gpp", ".avi": "video/x-msvideo", ".csv": "text/csv; charset=utf-8",
    ".flv": "video/x-flv", ".m4v": "video/mp4", ".mkv": "video/x-matroska", ".mov": "video/quicktime",
    ".mp4": "video/mp4", ".mpeg": "video/mpeg", ".mpg": "video/mpeg", ".mts": "video/mp2t",
    ".ogv": "video/ogg", ".ts": "video/mp2t", ".webm": "video/webm", ".wmv": "video/x-ms-wmv",
}  # fmt: skip
_CHUNK = 256 * 1024
_IDLE_S = 30


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files under a folder within the `with` block; gives the base URL (no slash at its end)."""
    server = _Server(folder.resolve(strict=True))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them, so that none outlives the `with` block

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self._connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection, and keep it in mind."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients left open."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: clients that have read enough hang up, which is their right."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep no log."""

    def _answer(self, with_body: bool) -> None:
        file = self._open()
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = file.seek(0, os.SEEK_END)
            span = _span(self.headers.get("Range"), size)
            if span is None:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first, end, partial = span
            self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
            if partial:
                self.send_header("Content-Range", f"bytes {first}-{end - 1}/{size}")
            suffix = Path(file.name).suffix.lower()
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(end - first))
            self.end_headers()
            if with_body:
                self._send(file, first, end)

    def _open(self) -> BinaryIO | None:
        """The file that is asked for, if it truly lies in the folder; symbolic links are followed first."""
        folder = self.server.folder
        try:
            asked = unquote(urlsplit(self.path).path, errors="strict").lstrip("/")
            path = (folder / asked).resolve()
            return path.open("rb") if path.is_relative_to(folder) and path.is_file() else None
        except (ValueError, OSError):
            return None

    def _send(self, file: BinaryIO, first: int, end: int) -> None:
        file.seek(first)
        while first < end:
            chunk = file.read(min(_CHUNK, end - first))
            if not chunk:  # the file shrank meanwhile: the client sees a short answer
                self.close_connection = True
                return
            self.wfile.write(chunk)
            first += len(chunk)


def _span(header: str | None, size: int) -> tuple[int, int, bool] | None:
    """(first, end, partial) of one range; the whole for a form that is not known; None: beyond the file."""
    unit, _, spec = (header or "").partition("=")
    first, dash, last = spec.strip().partition("-")
    numbers = all(part == "" or (part.isascii() and part.isdigit()) for part in (first, last))
    if unit.strip().lower() != "bytes" or not dash or not (first or last) or not numbers:
        return 0, size, False
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return 0, size, False
    return (start, end, True) if start < end else None
