"""A proxy before a server that loses, breaks and delays what it is told to."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit


class Fault(NamedTuple):
    """What happens to the next requests whose method and path fit."""

    method: str
    path: str
    """Part of it."""
    status: int = 0
    """Answered in place of the server's; 0: the connection drops."""
    arrives: bool = False
    """True: the server has done it all the same."""
    times: int = 1
    delay_s: float = 0.0
    """Seconds before anything happens; with `arrives` and status 0 a slow answer is all that is wrong."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = "<html>cookie=s3cr3t-page</html>"


class Weather:
    """Faults to come, and how many requests went by."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        self.url = ""

    def add(self, *faults: Fault) -> None:
        self._left += [fault for fault in faults for _ in range(fault.times)]

    def clear(self) -> None:
        self._left.clear()

    def next(self, method: str, path: str) -> Fault | None:
        with self._lock:
            self.seen.append((method, path))
            for fault in self._left:
                if fault.method == method and fault.path in path:
                    self._left.remove(fault)
                    return fault
        return None


@contextmanager
def proxy(upstream: str) -> Iterator[Weather]:
    """The proxy's weather; `url` is where it listens, on loopback."""
    weather, target = Weather(), urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = weather.next(self.command, self.path)
            status, headers, content = 0, {}, b""
            if fault is not None and fault.delay_s:
                time.sleep(fault.delay_s)
                fault = fault if fault.status or not fault.arrives else None
            if fault is None or fault.arrives:
                link = http.client.HTTPConnection(str(target.hostname), target.port, timeout=300)
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                link.request(self.command, self.path, body or None, kept)
                answer = link.getresponse()
                status, content = answer.status, answer.read()
                headers = {"Content-Type": answer.headers.get("Content-Type", "text/plain")}
                link.close()
            if fault is not None:
                if not fault.status:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, content = fault.status, fault.body.encode()
                headers = {"Content-Type": "text/html", **dict(fault.headers)}
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _pass_on

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        weather.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield weather
        finally:
            server.shutdown()
            thread.join()
