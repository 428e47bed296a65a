"""Label Studio on this machine: installed apart, hardened, started and stopped.

    <home>/login.json     address, account and token of the toolkit; readable by its user only
    <home>/data/          database, exports, Label Studio's own keys
    <home>/server.log     of the last start
    <home>/lock           its process id; held as long as the server lives

It listens on 127.0.0.1 and calls no one. A team's server is described in `annotation/README.md`.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit

import requests

from valor_data import layout
from valor_data.errors import FatalError, UserError

VERSION = "1.23.2"
HOST = "127.0.0.1"
KEYMAP = {
    name: {"key": key, "mac": key, "description": description}
    for name, key, description in (
        ("media:playpause", "f2", "Play, pause; at the end: replay"),
        ("audio:playpause", "f2", "Play, pause; at the end: replay"),
        ("annotation:skip", "ctrl+alt+backspace", "Skip the task"),
    )
}
"""Keys of the whole server. F2 works while typing; Label Studio's own key to skip is hit by accident."""

_EMAIL = "valor-data@localhost.local"
_READY = ".valor-data-ready"
_LISTENS = re.compile(rb"Starting development server at http://[^\s/]*:(\d+)/")
_START_S, _STOP_S, _ANSWER_S = 300.0, 10.0, 10.0
_TAIL = 600
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


@dataclass(frozen=True)
class Login:
    """Who the toolkit is at a server. The repr tells no secret."""

    url: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True)
class Server:
    """A server that runs; leaving the `with` block stops it, and so does the end of this process."""

    login: Login
    clips: Path
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self) -> None:
        """Return when the server has ended. Raises FatalError that names the log where nobody stopped it."""
        code = self.process.wait()
        if code not in (0, -signal.SIGTERM, -signal.SIGKILL, -signal.SIGINT):
            raise FatalError(_died(self.process, self.log))

    def stop(self) -> None:
        """End the server: SIGTERM, and SIGKILL after ten seconds."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def default_venv() -> Path:
    """Where Label Studio is installed unless the caller has a place: in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "valor-data" / f"label-studio-{VERSION}"


def installed(venv: Path) -> bool:
    """Whether a virtual environment holds Label Studio as it is wanted, whole."""
    ready = venv / _READY
    return ready.is_file() and ready.read_text("utf-8") == _pins().read_text("utf-8")


def install(venv: Path) -> Path:
    """The Python of a virtual environment that holds Label Studio, made where it is missing or half made.

    About a gigabyte, a minute or two. Raises UserError with pip's last words where it cannot be installed.
    """
    python = venv / "bin" / "python"
    venv.parent.mkdir(parents=True, exist_ok=True)
    with (venv.parent / f"{venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would break one another's
        if not installed(venv):
            _run([sys.executable, "-m", "venv", "--clear", str(venv)], "python3-venv is needed")
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, "-c", str(_pins()), f"label-studio=={VERSION}"], "pip needs its package index")
            (venv / _READY).write_text(_pins().read_text("utf-8"), "utf-8")
    return python


def start(
    home: Path, clips: Path, *, venv: Path | None = None, port: int = 0, database: str | None = None
) -> Server:
    """Start Label Studio on 127.0.0.1 and return when it answers: half a minute at first, then seconds.

    `home`: its folder, made where it is missing; another start there goes on with the same data. `clips`: the
    folder of clips that annotators may be shown. `port` 0: a free one. `database`: `postgresql://user:password@
    host:port/name`, else SQLite in `home`.
    Raises UserError for links that lead out of the clips' root, a port that is taken, a bad database URL or a
    home that another server uses; FatalError that names the log where the server dies.
    """
    clips, home = clips.resolve(), home.resolve()
    check_links(clips)
    _make_private(home)
    lock = _lock(home)
    try:
        port = _checked_port(port)
        login = _login(home, f"http://{HOST}:{port}")
        environment = _environment(home, clips, login, database)
        python = install(venv or default_venv())
        log = home / "server.log"
        with _private(log) as out:
            process = subprocess.Popen(
                [str(python), str(layout.asset("annotation", "page", "page_server.py")), "start",
                 "--no-browser", "--internal-host", HOST, "--port", str(port)],
                env=environment, cwd=home, umask=0o077, pass_fds=(lock,), start_new_session=True,
                stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
            os.pwrite(lock, f"{process.pid}\n".encode(), 0)
    finally:
        os.close(lock)  # the server's copy holds it from here on
    server = Server(login, clips, log, process)
    try:
        _wait_until_up(server, port)
    except BaseException:
        server.stop()
        raise
    return server


def read_login(home: Path) -> Login:
    """The account of the server in `home`, for a program beside it. Raises UserError where there is none."""
    path = home / "login.json"
    try:
        return Login(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path}: no server was started here; run: valor-data annotate serve") from None
    except (OSError, ValueError, TypeError):
        raise UserError(f"{path}: no login; remove it and the folder data beside it") from None


def clip_url(key: str) -> str:
    """The address of a clip by its key in the workspace, which is the document root: of any host."""
    return f"/data/local-files/?d={quote(key)}"


def check_links(clips: Path) -> None:
    """Raise UserError for a symbolic link below the clips' folder that leads out of it: Label Studio would
    follow it and serve what lies there."""
    root = clips.resolve()
    if not root.is_dir():
        raise UserError(f"{clips}: no such folder of clips; run: valor-data fetch")
    if root == Path(root.anchor) or root.parent == Path(root.anchor):
        raise UserError(f"{clips}: Label Studio would serve from {root.parent}; move the workspace deeper")
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UserError(f"{path}: a link that leads out of {root}; remove it before annotators come")


def _wait_until_up(server: Server, port: int) -> None:
    deadline = time.monotonic() + _START_S
    session = requests.Session()
    session.trust_env = False  # a proxy would not find this machine's loopback
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise FatalError(_died(server.process, server.log))
        listens = _LISTENS.search(server.log.read_bytes())
        if listens and int(listens[1]) != port:  # it steps aside silently when the port is taken
            raise UserError(f"port {port} was taken while Label Studio started; give another one")
        if listens and _answers(session, f"{server.login.url}/health"):
            break
        time.sleep(0.2)
    else:
        raise FatalError(f"Label Studio did not answer in {_START_S:g} s; its log: {server.log}")
    headers = {"Authorization": f"Token {server.login.token}"}
    if not _answers(session, f"{server.login.url}/api/current-user/whoami", headers):
        raise UserError(
            f"{server.log.parent / 'login.json'}: the server's database does not know this account; "
            "bring back the file that belongs to it"
        )


def _answers(session: requests.Session, url: str, headers: dict[str, str] | None = None) -> bool:
    try:
        return session.get(url, headers=headers, timeout=_ANSWER_S).status_code == 200
    except requests.RequestException:
        return False


def _environment(home: Path, clips: Path, login: Login, database: str | None) -> dict[str, str]:
    """All that the server is told. Secrets go this way only: arguments are seen by every user."""
    data = home / "data"
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    own = {
        "USERNAME": login.email,
        "PASSWORD": login.password,
        "USER_TOKEN": login.token,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "BASE_DATA_DIR": str(data),
        "HOST": "",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(clips.parent),
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "SSRF_PROTECTION_ENABLED": "true",
        "TASK_LOCK_TTL": "3600",  # s; a clip left open goes to others after an hour, not a day
        "EDITOR_KEYMAP": json.dumps(KEYMAP),
        **_database(database),
    }
    return {
        **kept,
        "HOME": str(data),
        "XDG_CONFIG_HOME": str(data),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "fflag_feat_utc_210_prediction_validation_15082025": "true",
        **{f"LABEL_STUDIO_{key}": value for key, value in own.items()},
    }


def _database(url: str | None) -> dict[str, str]:
    if url is None:
        return {"DJANGO_DB": "sqlite"}
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/"):
        raise UserError("the database's address is not of the form postgresql://user:password@host:port/name")
    return {
        "DJANGO_DB": "default",
        "POSTGRE_USER": unquote(parts.username or "postgres"),
        "POSTGRE_PASSWORD": unquote(parts.password or ""),
        "POSTGRE_HOST": parts.hostname,
        "POSTGRE_PORT": str(port),
        "POSTGRE_NAME": unquote(parts.path.strip("/")),
    }


def _login(home: Path, url: str) -> Login:
    """The account of the folder, made at its first start; the address is that of the last one."""
    path = home / "login.json"
    known = read_login(home) if path.exists() else None
    password = known.password if known else secrets.token_urlsafe(18)
    token = known.token if known else secrets.token_hex(20)
    login = Login(url, known.email if known else _EMAIL, password, token)
    fresh = home / layout.temporary_name()
    with _private(fresh) as file:
        file.write((json.dumps(vars(login), indent=1) + "\n").encode())
    fresh.replace(path)
    return login


def _checked_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"port {port} is not free ({error.strerror}); give another one, or 0") from None
        return int(probe.getsockname()[1])


def _lock(home: Path) -> int:
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode().split("\n")[0] or "unknown"
        os.close(lock)
        raise UserError(
            f"{home}: a Label Studio server runs on this folder already; stop it first: kill {pid}"
        ) from None
    return lock


def _make_private(home: Path) -> None:
    for folder in (home, home / "data"):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    """The file, emptied, readable by its user only from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        yield file


def _died(process: subprocess.Popen[bytes], log: Path) -> str:
    return f"Label Studio ended with exit code {process.returncode}; its log: {log}"


def _pins() -> Path:
    return layout.asset("annotation", "constraints.txt")


def _run(command: list[str], mend: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip()[-_TAIL:]
        raise UserError(f"Label Studio {VERSION} could not be installed ({mend}): {last}") from None
