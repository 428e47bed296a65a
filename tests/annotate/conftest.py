"""A real Label Studio server and a real browser, both on loopback, for the whole run."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from valor_data.labelstudio import server
from valor_data.labelstudio.server import Server
from valor_data.scenes import make_scene, render_clip

SECONDS = 6
SCENES = (("red circle", "drum beats"), ("yellow star", "siren"), ("pink heart", "trill"))
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def venv() -> Path:
    """Where Label Studio is installed: `VALOR_DATA_LABEL_STUDIO`, or the default place."""
    folder = Path(os.environ.get("VALOR_DATA_LABEL_STUDIO", server.default_venv()))
    if not server.installed(folder):
        pytest.skip(f"Label Studio {server.VERSION} is not installed in {folder}: run make test-annotate")
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips' folder of a workspace, with three rendered clips in it."""
    folder = tmp_path_factory.mktemp("workspace") / "clips"
    (folder / "exact" / "ab").mkdir(parents=True)
    for index, (shape, sound) in enumerate(SCENES):
        path = folder / "exact" / "ab" / f"clip-{index}_0_{SECONDS}000.mp4"
        render_clip(path, make_scene(shape, sound, seed=index, seconds=SECONDS))
    return folder


@dataclass(frozen=True)
class Studio:
    """A server, and what a manager asks of it."""

    server: Server
    http: requests.Session = field(repr=False)

    def post(self, where: str, data: Any) -> Any:
        """Send JSON as the admin."""
        answer = self.http.post(f"{self.server.login.url}{where}", json=data, timeout=60)
        assert answer.ok, answer.text[:500]
        return answer.json()

    def get(self, where: str) -> Any:
        """Ask as the admin."""
        answer = self.http.get(f"{self.server.login.url}{where}", timeout=60)
        assert answer.ok, answer.text[:500]
        return answer.json()

    def project(self, config: str, **data: Any) -> int:
        """A project with one task for each clip; `data` goes into every task."""
        project: int = self.post(
            "/api/projects",
            {"title": "clips", "label_config": config, "sampling": "Sequential sampling",
             "enable_empty_annotation": False},
        )["id"]  # fmt: skip
        folder = {"project": project, "path": str(self.server.clips), "use_blob_urls": True}
        self.post("/api/storages/localfiles", folder)
        tasks = [
            {"data": {"video": server.clip_url(f"clips/{clip.relative_to(self.server.clips)}"),
                      "fps": 12, "clip_id": clip.stem,
                      "task_id": f"t-{clip.stem}", "hints": "", "mode": "av", "assignee": "", **data}}
            for clip in sorted(self.server.clips.rglob("*.mp4"))
        ]  # fmt: skip
        self.post(f"/api/projects/{project}/import", tasks)
        return project

    def answers(self, project: int) -> list[dict[str, Any]]:
        """What people answered, clip by clip: control -> value."""
        tasks = self.get(f"/api/projects/{project}/export?exportType=JSON")
        return [
            {result["from_name"]: result["value"] for result in task["annotations"][0]["result"]}
            for task in sorted(tasks, key=lambda task: task["id"])
        ]


@pytest.fixture(scope="session")
def studio(venv: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A server on a folder of its own."""
    with server.start(tmp_path_factory.mktemp("studio"), clips, venv=venv) as running:
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Token {running.login.token}"
        yield Studio(running, session)
        session.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium, the system's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    with playwright.sync_playwright() as running:
        # As after a person's first click, which is what browsers wait for before they let pages sound.
        opened = running.chromium.launch(
            executable_path=program, args=["--autoplay-policy=no-user-gesture-required"]
        )
        yield opened
        opened.close()


def sign_up(browser: Any, address: str, email: str) -> Any:
    """The browser of a person who signed up by an invitation's address, on a small laptop's screen."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = context.new_page()
    page.goto(address)
    page.fill("#email", email)
    page.fill("#password", "long-enough-1")
    page.click("button[type=submit]")
    page.wait_for_function("!location.pathname.startsWith('/user/')")
    page.close()
    return context


@pytest.fixture(scope="session")
def annotator(studio: Studio, browser: Any) -> Iterator[Any]:
    """The browser of a person."""
    invited = studio.server.login.url + studio.get("/api/invite")["invite_url"]
    context = sign_up(browser, invited, "annotator@example.org")
    yield context
    context.close()
