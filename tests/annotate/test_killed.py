"""A real server and our own commands, each killed in the middle of work on thousands of tasks."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.annotate.conftest import Studio
from tests.annotate.test_loop import GOOD, Loop, project_of, region
from valor_data import chain, layout
from valor_data.labelstudio import server
from valor_data.records import LabelTask
from valor_data.stages.annotate import sending

pytestmark = pytest.mark.slow

TASKS = 4_000


class Fragile:
    """A server of its own that can be killed, and started again at the same address."""

    def __init__(self, studio: Studio, venv: Path, folder: Path) -> None:
        self._home, self._clips, self._venv = folder / "studio", folder / "clips", venv
        self._clips.mkdir()
        (self._home / "data").mkdir(parents=True)
        of_all = studio.server.log.parent  # its database is made already, which takes half a minute
        shutil.copy(of_all / "login.json", self._home)
        shutil.copy(of_all / "data" / ".env", self._home / "data")
        with (
            sqlite3.connect(of_all / "data" / self._name) as there,
            sqlite3.connect(self._home / "data" / self._name) as here,
        ):
            there.backup(here)
        there.close()
        here.close()
        self.http = requests.Session()
        self.http.trust_env = False
        self.start(0)

    _name = "label_studio.sqlite3"

    def start(self, port: int | None = None) -> None:
        """Start it; where it was, unless a port is given."""
        if port is None:
            port = int(self.server.login.url.rpartition(":")[2])
        self.server = server.start(self._home, self._clips, venv=self._venv, port=port)
        self.http.headers["Authorization"] = f"Token {self.server.login.token}"

    def kill(self) -> None:
        """End it where it is."""
        self.server.process.kill()
        self.server.stop()

    def asked(self, before: int = 0) -> int:
        """How often anybody asked for projects, beyond `before`."""
        return self.server.log.read_bytes().count(b"/api/projects") - before

    def stored(self) -> int:
        """Tasks that it holds, all that was ever made."""
        with sqlite3.connect(f"file:{self._home / 'data' / self._name}?mode=ro", uri=True) as database:
            ((found,),) = database.execute("select max(id) from task").fetchall()
        database.close()
        return int(found or 0)


@pytest.fixture(scope="module")
def fragile(studio: Studio, venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fragile]:
    found = Fragile(studio, venv, tmp_path_factory.mktemp("fragile"))
    yield found
    found.server.stop()
    found.http.close()


Run = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def loop(fragile: Fragile, tmp_path: Path, request: Any, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """Thousands of clips, on that server."""
    monkeypatch.setenv(chain.TOKEN, fragile.server.login.token)
    name = f"killed-{layout.digest(request.node.name)[:10]}"
    return Loop(tmp_path, Studio(fragile.server, fragile.http), name, TASKS)


@pytest.fixture
def run(loop: Loop, tmp_path: Path) -> Iterator[Run]:
    """Starts a command as a process of its own."""
    path = tmp_path / "loop.json"
    path.write_text(loop.recipe.model_dump_json())
    started = []

    def begun(command: str) -> "subprocess.Popen[str]":
        program = (
            "import sys, pathlib; from valor_data import chain, recipe;"
            "r = recipe.Recipe.model_validate_json(pathlib.Path(sys.argv[1]).read_text());"
            f"chain.{command}(r, chain.Options(workspace=sys.argv[2], progress=False))"
        )
        words = [sys.executable, "-c", program, str(path), str(loop.options.workspace)]
        started.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True))
        return started[-1]

    yield begun
    for one in started:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
        one.communicate()


def until(condition: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Wait for a moment in a command that is still at work then."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def exactly_once(loop: Loop) -> None:
    """Each clip has one task on the server, and one row here."""
    there, asked = loop.tasks(), loop.asked()
    assert len(there) == len(asked) == TASKS
    assert set(there) == {row.task_id for row in asked}


def test_a_server_that_dies_in_the_middle_of_a_push(fragile: Fragile, loop: Loop, run: Run) -> None:
    before = fragile.stored()
    pushing = run("push")
    until(lambda: fragile.stored() > before, pushing)  # the first batch is stored, the second on its way
    fragile.kill()
    told = pushing.communicate(timeout=120)[1]
    assert pushing.returncode == 1
    assert "no Label Studio answers there" in told.splitlines()[-1]
    fragile.start()
    assert 0 < loop.push()["new"] <= TASKS - sending.FIRST
    exactly_once(loop)


def test_a_server_that_dies_in_the_middle_of_a_pull(fragile: Fragile, loop: Loop, run: Run) -> None:
    loop.push()
    answer_all(loop)
    raw = Path(str(loop.options.workspace), "annotation", "raw")
    pulling = run("pull")
    until(lambda: raw.is_dir() and any(raw.iterdir()), pulling)
    fragile.kill()
    told = pulling.communicate(timeout=120)[1]
    assert pulling.returncode == 1
    assert told.splitlines()[-1].startswith("valor_data.errors.")
    fragile.start()
    loop.pull()
    captions = loop.captions()
    assert len(captions) == TASKS
    assert {(row.text, row.revision) for row in captions} == {(GOOD, 1)}


def test_a_push_that_dies_while_the_server_stores_what_it_sent(
    fragile: Fragile, loop: Loop, run: Run
) -> None:
    """Killed over and over, and started again at once: what the dead one sent is stored behind the list."""
    for moment_s in (0.1, 0.2, 0.4, 0.8):
        asked, pushing = fragile.asked(), run("push")
        until(partial(fragile.asked, asked), pushing)  # for its project: tasks come next
        time.sleep(moment_s)
        os.killpg(pushing.pid, signal.SIGKILL)
        pushing.wait()
    loop.push()
    exactly_once(loop)
    assert loop.push()["new"] == 0


def test_what_a_dead_push_had_not_kept_is_not_lost(loop: Loop) -> None:
    """It was stored on the server, people answered, and a pull went by before the next push."""
    loop.push()
    answer_all(loop, 3)
    shutil.rmtree(Path(str(loop.options.workspace), "tables", LabelTask.table))
    report = chain.pull(loop.recipe, loop.options)
    assert report.counts["new_captions"] == 0
    assert any("3 tasks in our projects were not pushed from here" in told for told in report.warnings)
    assert loop.push()["new"] == 0
    assert loop.pull()["new_captions"] == 3


def answer_all(loop: Loop, count: int = TASKS) -> None:
    """Answers come with an import, for each by itself takes a tenth of a second."""
    studio, project = loop.studio, project_of(loop)
    asked = f"/api/tasks?project={project}&page_size=10000&fields=task_only&include=id,data"
    tasks = studio.get(asked)["tasks"][:count]
    gone = {"selectedItems": {"all": False, "included": [task["id"] for task in tasks]}}
    studio.post(f"/api/dm/actions?id=delete_tasks&project={project}", gone)
    answer = {"result": [region("caption", GOOD)], "lead_time": 30.0}
    studio.post(
        f"/api/projects/{project}/import",
        [{"data": task["data"], "annotations": [answer]} for task in tasks],
    )
