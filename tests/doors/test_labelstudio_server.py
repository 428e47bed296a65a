"""Starting and stopping Label Studio, with a stand-in for the gigabyte; `tests/annotate` has the real one."""

import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.labelstudio import server

_SERVES = """
import http.server, json, os, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
json.dump([sys.argv, dict(os.environ)], open("told.json", "w"))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get("Authorization") == "Token " + os.environ["LABEL_STUDIO_USER_TOKEN"]
        self.send_response(200 if known or self.path == "/health" else 401)
        self.end_headers()
print(f"Starting development server at http://127.0.0.1:{port}/", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
_DIES = "import sys; print('no more disk'); sys.exit(3)"
_STEPS_ASIDE = (
    "import time; print('Starting development server at http://127.0.0.1:9/', flush=True); time.sleep(60)"
)
_STAYS = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _SERVES


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace" / "clips"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """A virtual environment whose Python runs what the test wants instead of Label Studio."""

    def made(program: str) -> Path:
        venv = tmp_path / "venv"
        (venv / "bin").mkdir(parents=True)
        (venv / "program.py").write_text(program)
        python = venv / "bin" / "python"
        # The first argument is the program that it is asked to run.
        python.write_text(f'#!/bin/sh\nshift\nexec {sys.executable} {venv}/program.py "$@"\n')
        python.chmod(0o755)
        (venv / ".valor-data-ready").write_text(server._pins().read_text())
        return venv

    return made


def test_it_starts_tells_no_secret_and_stops(
    home: Path, clips: Path, stand_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_HOST", "http://elsewhere")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not its business")
    with server.start(home, clips, venv=stand_in(_SERVES)) as running:
        login = running.login
        assert login.url.startswith("http://127.0.0.1:")
        arguments, environment = json.loads((home / "told.json").read_text())
        assert len(login.token) == 40
        assert not [one for one in arguments if login.token in one or login.password in one]
        assert login.token not in repr(running) + str(login)
        assert login.password not in repr(running) + str(login)
        told = {key: environment[f"LABEL_STUDIO_{key}"] for key in (
            "COLLECT_ANALYTICS", "SENTRY_DSN", "FRONTEND_SENTRY_DSN", "LATEST_VERSION_CHECK",
            "DISABLE_SIGNUP_WITHOUT_LINK", "LOCAL_FILES_DOCUMENT_ROOT", "DJANGO_DB", "HOST",
        )}  # fmt: skip
        assert list(told.values()) == ["false", "", "", "false", "true", str(clips.parent), "sqlite", ""]
        assert json.loads(environment["LABEL_STUDIO_EDITOR_KEYMAP"])["media:playpause"]["mac"] == "f2"
        assert "AWS_SECRET_ACCESS_KEY" not in environment
        for path in (home, home / "data", home / "login.json", home / "server.log"):
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077
        assert server.read_login(home) == login
        with pytest.raises(UserError, match=f"runs on this folder already.*kill {running.process.pid}$"):
            server.start(home, clips, venv=home.parent / "venv")
    assert running.process.returncode == -signal.SIGTERM
    running.wait()
    with server.start(home, clips, venv=home.parent / "venv") as again:
        assert (again.login.token, again.login.password) == (login.token, login.password)


def test_one_that_does_not_listen_is_killed(
    home: Path, clips: Path, stand_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_STOP_S", 0.3)
    with server.start(home, clips, venv=stand_in(_STAYS)) as running:
        pass
    assert running.process.returncode == -signal.SIGKILL


def test_one_that_dies_tells_where_its_log_is(
    home: Path, clips: Path, stand_in: Callable[[str], Path]
) -> None:
    with pytest.raises(FatalError, match=r"exit code 3; its log: .*server\.log"):
        server.start(home, clips, venv=stand_in(_DIES))
    assert "no more disk" in (home / "server.log").read_text()


def test_one_that_dies_later_is_told_too(home: Path, clips: Path, stand_in: Callable[[str], Path]) -> None:
    with server.start(home, clips, venv=stand_in(_SERVES)) as running:
        os.kill(running.process.pid, signal.SIGABRT)
        with pytest.raises(FatalError, match=r"server\.log"):
            running.wait()


def test_a_port_that_it_took_silently_is_refused(
    home: Path, clips: Path, stand_in: Callable[[str], Path]
) -> None:
    begun = time.monotonic()
    with pytest.raises(UserError, match="was taken while Label Studio started"):
        server.start(home, clips, venv=stand_in(_STEPS_ASIDE))
    assert time.monotonic() - begun < 30


def test_a_port_in_use_is_told_before(home: Path, clips: Path, stand_in: Callable[[str], Path]) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is not free"):
            server.start(home, clips, venv=stand_in(_SERVES), port=port)


def test_an_account_that_the_database_does_not_know_is_told(
    home: Path, clips: Path, stand_in: Callable[[str], Path]
) -> None:
    with pytest.raises(UserError, match="does not know this account"):
        server.start(home, clips, venv=stand_in(_SERVES.replace('"Token "', '"Other "')))


def test_links_out_of_the_clips_are_refused(home: Path, clips: Path, tmp_path: Path) -> None:
    (clips / "a.mp4").write_bytes(b"")
    (clips / "inside.mp4").symlink_to(clips / "a.mp4")
    server.check_links(clips)
    (clips / "deep").mkdir()
    (clips / "deep" / "out.mp4").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"deep/out\.mp4: a link that leads out of"):
        server.start(home, clips)
    with pytest.raises(UserError, match="no such folder of clips"):
        server.check_links(tmp_path / "missing")
    with pytest.raises(UserError, match="move the workspace deeper"):
        server.check_links(Path("/tmp"))


@pytest.mark.parametrize(
    "url", ["mysql://u:hush@h/db", "postgresql://u:hush@h:port/db", "postgresql://u:hush@h", "hush"]
)
def test_a_bad_database_url_is_told_without_its_secret(home: Path, clips: Path, url: str) -> None:
    with pytest.raises(UserError, match="not of the form postgresql://") as error:
        server.start(home, clips, database=url)
    assert "hush" not in str(error.value)


def test_a_database_url_goes_by_the_environment(
    home: Path, clips: Path, stand_in: Callable[[str], Path]
) -> None:
    url = "postgresql://team:p%40ss@db.example.org:6432/labels"
    with server.start(home, clips, venv=stand_in(_SERVES), database=url):
        arguments, told = json.loads((home / "told.json").read_text())
    assert [told[f"LABEL_STUDIO_POSTGRE_{key}"] for key in ("USER", "PASSWORD", "HOST", "PORT", "NAME")] == [
        "team", "p@ss", "db.example.org", "6432", "labels"
    ]  # fmt: skip
    assert told["LABEL_STUDIO_DJANGO_DB"] == "default"
    assert "p@ss" not in " ".join(arguments)


def test_a_half_made_environment_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(server, "_run", lambda command, _: commands.append(command))
    venv = tmp_path / "cache" / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text("")
    (venv / ".valor-data-ready").write_text("other pins")
    assert not server.installed(venv)
    assert server.install(venv) == venv / "bin" / "python"
    assert [command[-1] for command in commands] == [str(venv), f"label-studio=={server.VERSION}"]
    assert server.installed(venv)
    server.install(venv)
    assert len(commands) == 2


def test_an_install_that_fails_tells_the_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="could not be installed"):
        server.install(tmp_path / "venv")
    assert not server.installed(tmp_path / "venv")


def test_the_default_place_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert server.default_venv() == tmp_path / "valor-data" / f"label-studio-{server.VERSION}"


def test_the_teams_server_is_the_same_program_with_the_same_keys() -> None:
    text = layout.asset("annotation", "compose.yaml").read_text()
    keys = text.split("LABEL_STUDIO_EDITOR_KEYMAP: >-")[1].split("fflag")[0]
    assert json.loads(keys) == server.KEYMAP
    assert f"image: heartexlabs/label-studio:{server.VERSION}\n" in text
    pins = layout.asset("annotation", "constraints.txt").read_text().splitlines()
    assert f"label-studio=={server.VERSION}" in pins


def test_a_login_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="valor-data annotate serve"):
        server.read_login(tmp_path)
    (tmp_path / "login.json").write_text('{"token": "hush"}')
    with pytest.raises(UserError, match="no login") as error:
        server.read_login(tmp_path)
    assert "hush" not in str(error.value)


def test_a_clips_address_is_relative_and_quoted() -> None:
    assert server.clip_url("clips/a b/-x_0_1.mp4") == "/data/local-files/?d=clips/a%20b/-x_0_1.mp4"
