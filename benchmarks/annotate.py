"""Tasks to a Label Studio server and answers from it, beside one raw bulk call; and the client's memory.

    python benchmarks/annotate.py [--tasks 10000]

A real server is started on loopback with SQLite; Label Studio lies where VALOR_DATA_LABEL_STUDIO says, or
where `valor-data annotate serve` puts it. Pushing takes turns with one raw POST of the same tasks into a
project of its own, pulling with one raw export of the same project; the median of the pairs counts. The
answers are seeded by an import that carries them. Memory is the peak of the process.
"""

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from valor_data import chain, layout, recipe
from valor_data.labelstudio import server
from valor_data.records import Answer, AudioMeasures, Caption, CaptionFault, Clip, Media, Verdict
from valor_data.workspace import Workspace

ROUNDS = 5
LEAST, MOST_IDLE_S = 0.8, 3.0


def main() -> int:
    """Print the figures; 1 where a bound is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    count = parser.parse_args().tasks
    venv = Path(os.environ.get("VALOR_DATA_LABEL_STUDIO", server.default_venv()))
    with tempfile.TemporaryDirectory() as scratch:
        clips = Path(scratch, "clips")
        clips.mkdir()
        with server.start(Path(scratch, "home"), clips, venv=venv) as running:
            os.environ[chain.TOKEN] = running.login.token
            return 0 if compare(Path(scratch), running.login, count) else 1


def compare(scratch: Path, login: server.Login, count: int) -> bool:
    """Push, pull, and pull again."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Token {login.token}"

    def post(where: str, data: Any) -> Any:
        answer = session.post(f"{login.url}{where}", json=data, timeout=600)
        answer.raise_for_status()
        return answer.json()

    def get(where: str) -> None:
        session.get(f"{login.url}{where}", timeout=600).raise_for_status()

    pushes, raws = [], []
    for number in range(ROUNDS):
        wanted, options = filled(scratch / str(number), f"push-{number}", login.url, count)
        pushes.append(seconds(lambda w=wanted, o=options: chain.push(w, o)))  # type: ignore[misc]
        tasks = standing(session, login.url, f"push-{number}: captions")
        project = post("/api/projects", {"title": "raw", "label_config": config(session, login.url)})["id"]
        batch = [{"data": task["data"]} for task in tasks]
        raws.append(seconds(lambda p=project, b=batch: post(f"/api/projects/{p}/import", b)))  # type: ignore[misc]
    print("push", *(f"{push:.2f}/{raw:.2f}" for push, raw in zip(pushes, raws, strict=True)), "s")
    share = told(f"push of {count}: {count / statistics.median(pushes):,.0f} tasks/s", raws, pushes)
    is_met = share >= LEAST
    print(f"bound {'ok' if is_met else 'MISSED'} (>= {LEAST})")

    answered = [{"data": task["data"], "annotations": [annotation()]} for task in tasks]
    own = next(
        p["id"] for p in session.get(f"{login.url}/api/projects?page_size=100", timeout=60).json()["results"]
        if p["title"] == f"push-{ROUNDS - 1}: captions"
    )  # fmt: skip
    session.delete(f"{login.url}/api/projects/{own}/tasks/", timeout=600).raise_for_status()
    for first in range(0, count, 2_000):
        post(f"/api/projects/{own}/import", answered[first : first + 2_000])
    before = peak_mb()
    pulls, exports, after = [], [], 0.0
    for _ in range(ROUNDS):
        forget_answers(Path(str(options.workspace)))
        pulls.append(seconds(lambda: chain.pull(wanted, options)))
        after = after or peak_mb()  # of our own, before any export was held
        exports.append(seconds(lambda: get(f"/api/projects/{own}/export?exportType=JSON")))
    print("pull", *(f"{pull:.2f}/{raw:.2f}" for pull, raw in zip(pulls, exports, strict=True)), "s")
    told(
        f"pull of {count}: {count / statistics.median(pulls):,.0f} answers/s, {after - before:+.0f} MB on "
        f"{before:.0f} MB",
        exports,
        pulls,
    )
    time.sleep(10)  # up to here what was just being stored is asked for once more
    again = seconds(lambda: chain.pull(wanted, options))
    idle = statistics.median(seconds(lambda: chain.pull(wanted, options)) for _ in range(ROUNDS))
    print(
        f"pull of no change: {idle:.2f} s, bound {'ok' if idle <= MOST_IDLE_S else 'MISSED'} (<= "
        f"{MOST_IDLE_S}); the first one, that looks back, {again:.1f} s"
    )
    return is_met and idle <= MOST_IDLE_S


def told(what: str, raws: list[float], ours: list[float]) -> float:
    """Print a rate beside the raw call's, and give it as a share of that."""
    share = statistics.median(raw / own for raw, own in zip(raws, ours, strict=True))
    print(f"{what}, {share:.2f} of one raw bulk call")
    return share


def forget_answers(workspace: Path) -> None:
    """All that pulls have made of answers; the tables keep what was asked."""
    for table in (Answer, Caption, CaptionFault):
        shutil.rmtree(workspace / "tables" / table.table, ignore_errors=True)
    (workspace / layout.PULLED).unlink(missing_ok=True)


def filled(folder: Path, name: str, url: str, count: int) -> tuple[recipe.Recipe, chain.Options]:
    """A workspace of kept clips."""
    raw = {
        "name": name,
        "rules": [],
        "annotate": {"url": url, "media": "http", "media_url": "http://127.0.0.1:9"},
    }
    made = recipe.parse(raw, "bench.toml")
    options = chain.Options(workspace=str(folder), progress=False)
    ids = [layout.clip_id(f"video-{number:06d}", 0, 10_000) for number in range(count)]
    with Workspace.open(made, str(folder), write=True) as workspace:
        tables = workspace.tables
        tables.append(
            Clip(
                clip_id=clip,
                source="bench",
                video_id=clip[:12],
                start_ms=0,
                end_ms=10_000,
                url="",
                made_by="b",
            )
            for clip in ids
        )
        tables.append(
            Media(clip_id=clip, profile=made.profile, object_key=layout.object_key(made.profile, clip),
                  sha256="0" * 64, bytes=1, duration_ms=10_000, video_codec="h264", width=640, height=360,
                  fps=25.0, start_error_ms=0.0, made_by="b")
            for clip in ids
        )  # fmt: skip
        tables.append(
            AudioMeasures(clip_id=clip, media_sha256="0" * 64, has_audio=True, made_by="audio@2")
            for clip in ids
        )
        tables.append(
            Verdict(clip_id=clip, rules_digest=made.rules_digest, kept=True, made_by="rules@1")
            for clip in ids
        )
    return made, options


def standing(session: requests.Session, url: str, title: str) -> list[dict[str, Any]]:
    """All tasks of a project."""
    found = session.get(f"{url}/api/projects?page_size=100", timeout=60).json()["results"]
    project = next(one["id"] for one in found if one["title"] == title)
    asked = {"project": project, "page_size": 100_000, "fields": "task_only", "include": "id,data"}
    tasks: list[dict[str, Any]] = session.get(f"{url}/api/tasks", params=asked, timeout=600).json()["tasks"]
    return tasks


def config(session: requests.Session, url: str) -> str:
    """The label config of the first project that was pushed."""
    found = session.get(f"{url}/api/projects?page_size=100", timeout=60).json()["results"]
    return next(str(one["label_config"]) for one in found if one["title"].startswith("push-"))


def annotation() -> dict[str, Any]:
    """An answer as the page sends it."""
    text = "A dog barks while it runs across a green meadow."
    region = {"from_name": "caption", "to_name": "video", "type": "textarea", "value": {"text": [text]}}
    return {"result": [region], "lead_time": 30.0}


def seconds(work: Callable[[], object]) -> float:
    """Wall time."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def peak_mb() -> float:
    """Largest memory so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
