"""One GET over HTTP in a bounded range, with every fault named where it happens.

Kept-alive connections, certificates of certifi, the proxy and local address that the recipe names.
No host can hold a read for ever: connecting, headers and silence have limits, and a body has a
slowest rate.
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    ResponseError,
)

from valor_data.errors import (
    ItemError,
    Reason,
    RetryableError,
    clip_error,
    reason_of_status,
    without_secrets,
)
from valor_data.politeness import retry_after_s
from valor_data.recipe import Access

CONNECT_S = 15.0
IDLE_S = 20.0
"""Silence of a host after which a read has failed."""
HEAD_S = 30.0
"""Longest wait for an answer's head, however busily it drips."""
SLOWEST_BYTES_S, SLOW_S = 2048, 20.0
"""A body that came slower than this, after so many seconds of reading, is a stalled one."""
_REDIRECTS = 10
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")

Fault = ItemError | RetryableError


class Answer(NamedTuple):
    """The head of an answer, and its body while it comes."""

    start: int
    """Offset of the body's first byte in the whole."""
    size: int | None
    """Bytes of the whole, where the host says it."""
    promised: int | None
    """Bytes of this body, where the host says it."""
    whole: bool
    """The host sent all, though a part was asked for: it knows no ranges."""
    url: str
    """Where redirects led."""
    headers: Mapping[str, str]
    """With lower-case names."""
    blocks: Iterator[bytes]


class Upstream:
    """Asks hosts; may be used from several threads."""

    def __init__(self, access: Access) -> None:
        self._pool = _pool(access)

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str], start: int | None = None, end: int | None = None
    ) -> Iterator[Answer]:
        """The bytes [start, end) of an address, or all of it; `start` past the end gives an empty body.

        Raises ItemError or RetryableError with the reason, also while the blocks are drawn.
        """
        sent = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        sent["Accept-Encoding"] = "identity"  # the bytes as they are
        if start is not None:
            assert end is not None
            sent["Range"] = f"bytes={start}-{end - 1}"
        with _named():
            response = self._pool.request(
                "GET", url, headers=sent, preload_content=False, decode_content=False,
                retries=urllib3.Retry(
                    total=_REDIRECTS, connect=0, read=0, redirect=_REDIRECTS, status=0, other=0,
                    respect_retry_after_header=False,
                ),
            )  # fmt: skip
        try:
            yield _answer(response, _final(url, response), start)
        finally:
            response.release_conn() if response.closed else response.close()

    def close(self) -> None:
        """Hang up."""
        self._pool.clear()


def _final(url: str, response: Any) -> str:
    """Where redirects led."""
    for step in response.retries.history if response.retries else ():
        url = urljoin(url, step.redirect_location or "")
    return url


def _answer(response: Any, url: str, start: int | None) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    length = headers.get("content-length", "")
    promised = int(length) if length.isdigit() else None
    blocks = _blocks(response)
    if response.status == 200:
        return Answer(0, promised, promised, start is not None, url, headers, blocks)
    match = _RANGE.fullmatch(headers.get("content-range", "").strip())
    size = int(match[3]) if match and match[3] != "*" else None
    if response.status == 206 and start is not None:
        if not match or match[1] is None or int(match[1]) != start:
            raise RetryableError(
                Reason.TRANSPORT,
                f"asked for byte {start}, the host sent {headers.get('content-range', 'no range')!r}",
            )
        told = int(match[2]) - start + 1
        return Answer(start, size, min(told, promised or told), False, url, headers, blocks)
    if response.status == 416 and start:
        return Answer(start, size, 0, False, url, headers, iter(()))
    raise status_error(response.status, response.reason, headers)


def status_error(status: int, words: str | None, headers: Mapping[str, str]) -> Fault:
    """The error that an HTTP status amounts to."""
    reason = reason_of_status(status)
    if 300 <= status < 400:
        reason = Reason.SERVER_ERROR  # it leads nowhere
    if status == 416:
        reason = Reason.CORRUPT  # the host has the file, and it holds no byte that one could ask for
    message = f"HTTP error {status} {words or ''}".strip()
    return clip_error(reason, message, retry_after_s(headers.get("retry-after")))


def _blocks(response: Any) -> Iterator[bytes]:
    begun, came = time.monotonic(), 0
    with _named():
        # What has come, not as much as was asked for: a drip would renew the limit on silence for ever.
        while block := response.read1(1 << 16):
            came += len(block)
            yield block
            spent = time.monotonic() - begun
            if spent > SLOW_S and came < SLOWEST_BYTES_S * spent:
                raise RetryableError(
                    Reason.TIMEOUT, f"{came} bytes in {spent:.0f} s: the host all but stalls"
                )


@contextmanager
def _named() -> Iterator[None]:
    """Faults of the way as our own errors."""
    try:
        yield
    except MaxRetryError as error:
        raise _fault_of(error.reason or error) from error
    except (HTTPError, OSError) as error:
        raise _fault_of(error) from error


def _fault_of(error: BaseException) -> RetryableError:
    reason = Reason.TRANSPORT
    if isinstance(error, ResponseError):
        reason = Reason.SERVER_ERROR  # redirected in a circle
    elif isinstance(error, IncompleteRead) or any(isinstance(arg, IncompleteRead) for arg in error.args):
        reason = Reason.TRUNCATED
    elif isinstance(error, TimeoutError | ReadTimeoutError) or (
        isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError)
    ):
        reason = Reason.TIMEOUT
    return RetryableError(reason, _words(error))


def _words(error: BaseException) -> str:
    # Some hold a sentence and the cause beside it.
    said = error.args[0] if error.args and isinstance(error.args[0], str) else str(error)
    text = re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>:? ?", "", said)
    return without_secrets(text)[:300] or type(error).__name__


def _pool(access: Access) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "timeout": urllib3.Timeout(connect=CONNECT_S, read=IDLE_S),
        "ca_certs": certifi.where(),
        "num_pools": 16,
        "maxsize": 4,
    }
    if access.source_address:
        options["source_address"] = (access.source_address, 0)
    proxy = access.proxy_address()
    if not proxy:
        pool = urllib3.PoolManager(**options)
    elif proxy.startswith("socks"):
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy, **options)
    else:
        parts = urlsplit(proxy)
        login = urllib3.make_headers(
            proxy_basic_auth=f"{parts.username}:{parts.password}" if parts.username else None
        )
        pool = urllib3.ProxyManager(proxy, proxy_headers=login, **options)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTls}
    return pool


class _HeadLimit:
    """A connection whose answer's head must come in `HEAD_S`, for each drip of it renews a read's limit."""

    sock: Any

    def getresponse(self) -> Any:
        late = threading.Event()
        timer = threading.Timer(HEAD_S, self._hang_up, (late,))
        timer.daemon = True
        timer.start()
        response = None
        try:
            response = super().getresponse()  # type: ignore[misc]
        except (OSError, HTTPException):
            if not late.is_set():
                raise
        finally:
            timer.cancel()
        if late.is_set():
            if response:  # what came of the head looks like a whole one
                response.close()
            raise TimeoutError(f"the head of the answer did not come in {HEAD_S:.0f} s")
        return response

    def _hang_up(self, late: threading.Event) -> None:
        late.set()
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


class _Connection(_HeadLimit, HTTPConnection):
    pass


class _ConnectionTls(_HeadLimit, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _PoolTls(HTTPSConnectionPool):
    ConnectionCls = _ConnectionTls
