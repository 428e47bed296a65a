"""Start Label Studio with page.js in every page; runs in Label Studio's own Python, with its arguments.

Ends when its standard input does: a server outlives nobody who started it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SCRIPT = b"<script>" + Path(__file__).with_name("page.js").read_bytes() + b"</script></body>"


def add_script(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A Django middleware: the script stands before the end of every page."""

    def respond(request: Any) -> Any:
        response = get_response(request)
        if not response.streaming and response.get("Content-Type", "").startswith("text/html"):
            response.content = response.content.replace(b"</body>", _SCRIPT)
        return response

    return respond


def _end_with_starter() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """As `label-studio` does, with one middleware more: its settings cannot be extended from outside."""
    from django.conf import settings
    from label_studio import server

    run = server._app_run

    def run_with_script(host: str, port: int) -> None:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "page_server.add_script"]
        run(host, port)

    server._app_run = run_with_script
    threading.Thread(target=_end_with_starter, daemon=True).start()
    sys.exit(server.main())


if __name__ == "__main__":
    main()
