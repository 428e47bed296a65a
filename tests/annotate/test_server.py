"""The server that the toolkit starts, asked from outside and started again."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.annotate.conftest import Studio
from valor_data.errors import UserError
from valor_data.labelstudio import server

pytestmark = pytest.mark.slow


def _get(url: str, **headers: str) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    with session:
        return session.get(url, headers=headers, timeout=30, allow_redirects=False)


def test_a_clip_is_served_in_ranges_to_those_who_may_see_it(studio: Studio, clips: Path) -> None:
    studio.project('<View><Video name="video" value="$video"/></View>')
    clip = next(iter(sorted(clips.rglob("*.mp4"))))
    url, token = studio.server.login.url, {"Authorization": f"Token {studio.server.login.token}"}
    address = url + server.clip_url(f"clips/{clip.relative_to(clips)}")
    part = _get(address, Range="bytes=100-199", **token)
    assert part.status_code == 206
    assert part.content == clip.read_bytes()[100:200]
    assert _get(address).status_code in (401, 403)
    outside = f"{url}/data/local-files/?d=" + clips.parent.name
    for path in (f"{outside}/../../etc/passwd", f"{url}/data/local-files/?d=/etc/passwd"):
        assert _get(path, **token).status_code >= 400


def test_nobody_signs_up_without_an_invitation(studio: Studio) -> None:
    session = requests.Session()
    session.trust_env = False
    with session:
        page = session.get(f"{studio.server.login.url}/user/signup", timeout=30)
        data = {"email": "stranger@example.org", "password": "long-enough-1"}
        data["csrfmiddlewaretoken"] = session.cookies.get("csrftoken", "")
        answer = session.post(page.url, data=data, timeout=30)
        assert answer.status_code >= 400 or "/user/" in answer.url
    assert "stranger@example.org" not in [user["email"] for user in studio.get("/api/users")]


def test_secrets_stay_in_one_private_file(studio: Studio) -> None:
    login, home = studio.server.login, studio.server.log.parent
    for secret in (login.password, login.token):
        assert secret not in repr(studio.server)
        assert secret not in studio.server.log.read_text()
        assert secret not in Path(f"/proc/{studio.server.process.pid}/cmdline").read_text()
    for path in [home, *home.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_second_start_goes_on_with_the_same_data(venv: Path, clips: Path, tmp_path: Path) -> None:
    home = tmp_path / "studio"
    with server.start(home, clips, venv=venv) as first:
        with pytest.raises(UserError, match="runs on this folder already"):
            server.start(home, clips, venv=venv)
        studio = Studio(first, _session(first))
        project = studio.project('<View><Video name="video" value="$video"/></View>')
        studio.http.close()
    assert first.process.returncode is not None
    with server.start(home, clips, venv=venv) as second:
        assert second.login.token == first.login.token == server.read_login(home).token
        studio = Studio(second, _session(second))
        assert studio.get(f"/api/projects/{project}")["task_number"] == 3
        studio.http.close()
    with sqlite3.connect(home / "data" / "label_studio.sqlite3") as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


def test_a_server_does_not_outlive_who_started_it(venv: Path, clips: Path, tmp_path: Path) -> None:
    program = (
        "import sys, os; from pathlib import Path; from valor_data.labelstudio import server\n"
        "home, clips, venv = map(Path, sys.argv[1:])\n"
        "print(server.start(home, clips, venv=venv).process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home"), str(clips), str(venv)],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    server_id = int(told.stdout)
    for _ in range(100):
        if not Path(f"/proc/{server_id}").exists():
            break
        time.sleep(0.1)
    else:
        os.kill(server_id, 9)
        pytest.fail("it runs on")


def test_a_team_keeps_its_answers_in_postgresql(venv: Path, clips: Path, tmp_path: Path) -> None:
    url = os.environ.get("VALOR_DATA_POSTGRES")
    if not url:
        pytest.skip("no PostgreSQL: set VALOR_DATA_POSTGRES=postgresql://user:password@host:port/name")
    with server.start(tmp_path, clips, venv=venv, database=url) as running:
        studio = Studio(running, _session(running))
        studio.project('<View><Video name="video" value="$video"/></View>')
        studio.http.close()
        assert not (tmp_path / "data" / "label_studio.sqlite3").exists()


def _session(running: server.Server) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Token {running.login.token}"
    return session
