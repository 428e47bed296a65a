"""Whole files from hosts that know no ranges: there ffmpeg cannot seek, and some demuxers get lost."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from valor_data.errors import Reason, RetryableError, without_secrets
from valor_data.media import complaints
from valor_data.media.ffmpeg import Line
from valor_data.media.graph import IDLE_S

_BLOCK = 1 << 20


def copy_unless_ranged(url: str, headers: Sequence[tuple[str, str]], path: Path, until: float) -> bool:
    """Copy the file behind an address to `path`, unless its host honours ranges; True: copied.

    Costs one request of one byte where it does. `until` is a time of the monotonic clock. Raises
    ItemError or RetryableError with the reason.
    """
    sent = {name: value for name, value in headers if name.lower() != "accept-encoding"}
    request = urllib.request.Request(url, headers={**sent, "Range": "bytes=0-0"})
    try:
        with urllib.request.urlopen(request, timeout=IDLE_S) as answer:
            if answer.status != http.client.OK:
                return False
            copied = 0
            with path.open("wb") as file:
                while block := answer.read(_BLOCK):
                    copied += file.write(block)
                    if time.monotonic() > until:
                        raise RetryableError(
                            Reason.TIMEOUT, "the host knows no ranges; its file took too long"
                        )
            promised = answer.headers["Content-Length"]
    except urllib.error.HTTPError as error:
        error.close()
        line = Line("error", f"HTTP error {error.code} {error.reason}")
        raise complaints.error_of([line]) from error
    except TimeoutError as error:
        raise RetryableError(Reason.TIMEOUT, str(error)) from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        timed_out = isinstance(getattr(error, "reason", None), TimeoutError)
        reason = Reason.TIMEOUT if timed_out else Reason.TRANSPORT
        raise RetryableError(reason, without_secrets(str(error))) from error
    if promised and copied < int(promised):
        raise RetryableError(Reason.TRUNCATED, f"{copied} of {promised} bytes came")
    return True
