"""Questions out and answers in on a real server: the loop of annotators and checkers, killed and broken."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.annotate.conftest import Studio
from tests.annotate.faulty import Fault, Weather, proxy
from tests.fakes import rows
from valor_data import chain, layout, recipe
from valor_data.errors import FatalError, UserError
from valor_data.records import (
    Answer,
    Caption,
    CaptionFault,
    LabelTask,
    OptOut,
    Origin,
    Quarantine,
    Review,
    Verdict,
)
from valor_data.tables import Tables
from valor_data.workspace import Workspace

GOOD = "A dog barks while it runs across a green meadow."
LABELS = ("Bark", "Dog")


class Person:
    """Somebody who signed up, and answers through the API as the page does."""

    def __init__(self, studio: Studio, email: str) -> None:
        self._base = studio.server.login.url
        self._http = requests.Session()
        self._http.trust_env = False
        page = self._base + studio.get("/api/invite")["invite_url"]
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', self._http.get(page, timeout=60).text)
        assert token
        form = {"email": email, "password": "a long Passw0rd", "csrfmiddlewaretoken": token[1]}
        self._http.post(page, form, headers={"Referer": page}, timeout=60).raise_for_status()
        self.account = self._http.get(f"{self._base}/api/current-user/whoami", timeout=60).json()["id"]

    def answer(self, task: int, **said: Any) -> int:
        """Submit an annotation: `caption`, `flags`, `verdict`, `reasons`, `fixed_caption`."""
        result = [region(name, value) for name, value in said.items()]
        return self.send(task, {"result": result, "lead_time": 12.5})

    def send(self, task: int, annotation: dict[str, Any]) -> int:
        """Submit whatever."""
        where = f"{self._base}/api/tasks/{task}/annotations/"
        made = self._http.post(where, json=annotation, headers=self._csrf(), timeout=60)
        made.raise_for_status()
        return int(made.json()["id"])

    def change(self, annotation: int, **said: Any) -> None:
        """Edit what was submitted."""
        result = [region(name, value) for name, value in said.items()]
        where = f"{self._base}/api/annotations/{annotation}/"
        self._http.patch(where, json={"result": result}, headers=self._csrf(), timeout=60).raise_for_status()

    def delete(self, annotation: int) -> None:
        """Take it back."""
        where = f"{self._base}/api/annotations/{annotation}/"
        self._http.delete(where, headers=self._csrf(), timeout=60).raise_for_status()

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def _csrf(self) -> dict[str, str]:
        return {"X-CSRFToken": self._http.cookies.get("csrftoken", ""), "Referer": self._base}


def region(name: str, value: Any) -> dict[str, Any]:
    """One control's answer as the page sends it."""
    if name in ("caption", "fixed_caption"):
        return {"from_name": name, "to_name": "video", "type": "textarea", "value": {"text": [value]}}
    chosen = [value] if isinstance(value, str) else list(value)
    return {"from_name": name, "to_name": "video", "type": "choices", "value": {"choices": chosen}}


@pytest.fixture(scope="session")
def people(studio: Studio) -> Iterator[list[Person]]:
    """Two who write and three who check."""
    found = [Person(studio, f"person{number}@example.org") for number in range(5)]
    yield found
    for person in found:
        person.close()


class Loop:
    """A workspace of measured clips, its recipe, and its tasks on the server."""

    def __init__(self, folder: Path, studio: Studio, name: str, clips: int, **raw: Any) -> None:
        self.studio = studio
        annotate = {"url": studio.server.login.url, "media": "http", "media_url": "http://127.0.0.1:9/"}
        raw["annotate"] = annotate | raw.get("annotate", {})
        self.recipe = recipe.parse({"name": name, "rules": [], **raw}, "loop.toml")
        self.options = chain.Options(workspace=str(folder / "w"), progress=False)
        self._clips = 0
        self.more(clips)

    def more(self, clips: int) -> None:
        """So many kept clips more."""
        numbers = range(self._clips, self._clips + clips)
        self._clips += clips
        with Workspace.open(self.recipe, self.options.workspace, write=True) as workspace:
            tables, digest = workspace.tables, self.recipe.rules_digest
            tables.append([rows.clip(n, labels=LABELS) for n in numbers])
            tables.append([rows.media(n, profile=self.recipe.profile) for n in numbers])
            tables.append([rows.audio(n) for n in numbers])
            facts = {"rules_digest": digest, "kept": True, "made_by": "rules@1"}
            tables.append([Verdict(clip_id=rows.clip_id(n), **facts) for n in numbers])

    @property
    def tables(self) -> Tables:
        return Tables.open(str(self.options.workspace))

    def push(self, *, review: bool = False) -> dict[str, int]:
        return chain.push(self.recipe, self.options, review=review).counts

    def pull(self) -> dict[str, int]:
        return chain.pull(self.recipe, self.options).counts

    def tasks(self, title: str = "captions") -> dict[str, int]:
        """Our id -> the server's, of one project; each once."""
        name = f"{self.recipe.name}: {title}"
        found = self.studio.get(f"/api/projects?title={name}&page_size=100")["results"]
        projects = [one for one in found if one["title"] == name]
        if not projects:
            return {}
        asked = f"/api/tasks?project={projects[0]['id']}&page_size=5000&fields=task_only&include=id,data"
        listed = [(task["data"]["task_id"], task["id"]) for task in self.studio.get(asked)["tasks"]]
        assert len(dict(listed)) == len(listed), "a task stands there twice"
        return dict(listed)

    def asked(self) -> list[LabelTask]:
        return sorted(self.tables.rows(LabelTask), key=lambda row: (row.clip_id, row.turn, row.task_id))

    def captions(self) -> list[Caption]:
        return sorted(self.tables.rows(Caption, origin=Origin.HUMAN), key=lambda row: row.clip_id)

    def accepted(self) -> list[str]:
        rule = self.recipe.review
        table = self.tables.sql(f"SELECT text FROM captions_accepted({rule.checkers}, {rule.max_rejects})")
        return [str(text) for text in table["text"].to_pylist()]


Made = Callable[..., Loop]


@pytest.fixture
def make(
    tmp_path: Path, studio: Studio, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Made:
    """Makes a loop of a name of its own."""
    monkeypatch.setenv(chain.TOKEN, studio.server.login.token)
    name = f"loop-{layout.digest(request.node.name)[:10]}"  # all tests share one server
    return lambda clips=3, **raw: Loop(tmp_path, studio, name, clips, **raw)


def test_the_loop_ends_with_captions_that_enough_people_accepted(make: Made, people: list[Person]) -> None:
    one, two, *checkers = people
    loop = make(3, review={"checkers": 3, "max_rejects": 1})
    assert loop.push() == {"tasks": 3, "new": 3, "withdrawn": 0}
    assert loop.push() == {"tasks": 3, "new": 0, "withdrawn": 0}
    by_clip = {task.clip_id: loop.tasks()[task.task_id] for task in loop.asked()}
    clips = sorted(by_clip)
    for clip, text in zip(
        clips, (GOOD, GOOD.replace("dog", "cat").replace("barks", "meows"), GOOD[:-9]), strict=True
    ):
        one.answer(by_clip[clip], caption=text)
    assert loop.pull()["new_captions"] == 3
    assert loop.pull()["answers"] == 0
    assert loop.accepted() == []

    assert loop.push(review=True)["new"] == 3
    checks = {
        task.clip_id: loop.tasks("review")[task.task_id] for task in loop.asked() if task.stage == "review"
    }
    for number, checker in enumerate(checkers):
        checker.answer(checks[clips[0]], verdict="accept" if number else "reject")  # one no of three
        checker.answer(checks[clips[1]], verdict="reject" if number else "accept", reasons=["hallucinated"])
        fixed = {"verdict": "fix", "reasons": ["grammar"], "fixed_caption": GOOD.replace("green", "wide")}
        checker.answer(checks[clips[2]], **(fixed if number == 1 else {"verdict": "accept"}))
    assert loop.pull()["new_reviews"] == 9
    assert sorted(loop.accepted()) == sorted([GOOD, GOOD.replace("green", "wide")])

    assert loop.push()["new"] == 1  # the rejected one, to somebody else
    (again,) = [task for task in loop.asked() if task.turn == 2]
    author = loop.captions()[1].author
    assert (again.clip_id, again.not_for) == (clips[1], author)
    two.answer(loop.tasks()[again.task_id], caption="A cat meows and jumps from a wall.")
    loop.pull()
    assert loop.push(review=True)["new"] == 1
    fresh = [task for task in loop.tasks("review").values() if task not in checks.values()]
    for checker in checkers:
        checker.answer(fresh[0], verdict="accept")
    loop.pull()
    assert "A cat meows and jumps from a wall." in loop.accepted()
    assert len(loop.accepted()) == 3
    assert loop.push() == {"tasks": 4, "new": 0, "withdrawn": 0}


def test_a_change_on_the_server_is_a_new_revision(make: Made, people: list[Person]) -> None:
    loop = make(1, review={"checkers": 1})
    loop.push()
    (task,) = loop.tasks().values()
    annotation = people[0].answer(task, caption=GOOD)
    loop.pull()
    people[0].change(annotation, caption=GOOD.replace("green", "wet"))
    assert loop.pull()["new_captions"] == 1
    (caption,) = loop.captions()
    assert (caption.revision, caption.text) == (2, GOOD.replace("green", "wet"))
    people[0].delete(annotation)
    loop.pull()
    (caption,) = loop.captions()
    assert (caption.revision, caption.deleted) == (3, True)
    history = loop.tables.sql("SELECT text FROM captions_rows ORDER BY revision")["text"].to_pylist()
    assert history[:2] == [GOOD, GOOD.replace("green", "wet")]
    people[0].answer(task, caption=GOOD)
    loop.pull()
    (caption,) = loop.captions()
    assert (caption.revision, caption.deleted) == (4, False)


def test_one_unsafe_takes_a_clip_from_everybody(make: Made, people: list[Person]) -> None:
    loop = make(2, review={"checkers": 1})
    loop.push()
    first, second = (loop.tasks()[task.task_id] for task in loop.asked())
    people[0].answer(first, caption=GOOD, flags=["unsafe"])
    people[0].answer(second, caption=GOOD)
    assert (counts := loop.pull())["unsafe"] == 1
    assert counts["withdrawn"] == 1
    assert [row.clip_id for row in loop.tables.rows(Quarantine, lifted=False)] == [rows.clip_id(0)]
    assert set(loop.tasks().values()) == {second}
    assert loop.push()["new"] == 0
    assert loop.push(review=True)["new"] == 1
    assert {task.clip_id for task in loop.asked() if task.stage == "review"} == {rows.clip_id(1)}
    assert [row.clip_id for row in loop.tables.rows(Answer)].count(rows.clip_id(0)) == 1  # it was said


def test_odd_answers_are_kept_and_told(make: Made, people: list[Person]) -> None:
    loop = make(6)
    loop.push()
    tasks = [loop.tasks()[task.task_id] for task in loop.asked()]
    stranger = {"from_name": "mood", "to_name": "video", "type": "choices", "value": {"choices": ["blue"]}}
    texts = region("caption", GOOD)
    people[0].send(tasks[0], {"result": [stranger, texts], "lead_time": 3})
    people[0].send(tasks[1], {"result": [{**texts, "value": {"text": ["First.", GOOD]}}]})
    people[0].send(tasks[2], {"result": []})
    people[0].answer(tasks[3], caption="<b>A dog</b> barks \N{DOG FACE} and runs over the grass.")
    people[0].answer(tasks[4], caption="A dog barks and runs. " * 5000)
    people[0].send(tasks[5], {"result": [texts], "was_cancelled": True})
    counts = loop.pull()
    assert counts["answers"] == 6
    odd = {row.clip_id: row.odd for row in loop.tables.rows(Answer)}
    assert odd[rows.clip_id(0)] == ("unknown_region",)
    assert odd[rows.clip_id(1)] == ("two_captions",)
    captions = {row.clip_id: row.text for row in loop.captions()}
    assert captions[rows.clip_id(1)] == GOOD
    assert set(captions) == {rows.clip_id(n) for n in (0, 1, 3, 4)}
    faults = {row.caption_id: set(row.faults) for row in loop.tables.rows(CaptionFault)}
    by_clip = {row.clip_id: faults.get(row.caption_id, set()) for row in loop.captions()}
    assert "artefact" in by_clip[rows.clip_id(3)]
    assert "too_long" in by_clip[rows.clip_id(4)]
    assert counts["sent_back"] >= 1
    # No caption, a skip and a faulty text: others are asked.
    assert {task.clip_id for task in loop.asked()} == {rows.clip_id(n) for n in range(6)}
    loop.push()
    again = {task.clip_id for task in loop.asked() if task.turn == 2}
    assert {rows.clip_id(2), rows.clip_id(3), rows.clip_id(5)} <= again


def test_nobody_checks_a_caption_of_his_own(make: Made, people: list[Person]) -> None:
    loop = make(1, review={"checkers": 1})
    loop.push()
    (task,) = loop.tasks().values()
    people[0].answer(task, caption=GOOD)
    loop.pull()
    loop.push(review=True)
    (check,) = loop.tasks("review").values()
    (asked,) = [row for row in loop.asked() if row.stage == "review"]
    assert asked.not_for == loop.captions()[0].author
    people[0].answer(check, verdict="accept")
    loop.pull()
    assert list(loop.tables.rows(Review)) == []
    assert loop.accepted() == []


def test_no_table_and_no_report_knows_who_somebody_is(make: Made, people: list[Person]) -> None:
    loop = make(1)
    loop.push()
    (task,) = loop.tasks().values()
    people[1].answer(task, caption=GOOD)
    report = chain.pull(loop.recipe, loop.options)
    root = Path(str(loop.options.workspace))
    (caption,) = loop.captions()
    assert re.fullmatch(r"ann-[0-9a-f]{8}", caption.author)
    secret = loop.studio.server.login.token
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".mp4" and "annotation/raw" not in path.as_posix():
            content = path.read_bytes()
            assert b"example.org" not in content, path
            assert secret.encode() not in content, path
    assert "example.org" not in report.model_dump_json()
    raw = next((root / "annotation" / "raw").glob("*.json"))
    assert "person1@example.org" in raw.read_text()
    assert chain.forget(loop.recipe, loop.options, caption.author).counts["raw_files"] == 1
    assert "person1@example.org" not in raw.read_text()
    assert caption.author not in (root / "annotation" / "people.json").read_text()
    assert loop.captions()[0].text == GOOD
    with pytest.raises(UserError, match="nobody has this pseudonym"):
        chain.forget(loop.recipe, loop.options, caption.author)


def test_hints_and_senses_are_drawn_once_and_kept(make: Made, people: list[Person]) -> None:
    loop = make(
        40,
        annotate={"hints": "random", "muted_share": 0.5, "screen_off_share": 0.5, "overlap_share": 0.5},
    )
    loop.push()
    shown = {task.task_id: task.hints for task in loop.asked()}
    assert set(shown.values()) == {(), LABELS}
    on_page = {
        task["data"]["task_id"]: task["data"]["hints"]
        for task in loop.studio.get(f"/api/tasks?project={project_of(loop)}&page_size=100&fields=task_only")[
            "tasks"
        ]
    }
    assert on_page == {own: ", ".join(hints) for own, hints in shown.items()}
    for server_id in loop.tasks().values():
        people[0].answer(server_id, caption=GOOD)
    loop.pull()
    loop.push()
    more = [task for task in loop.asked() if task.task_id not in shown]
    assert {(task.mode, task.slot) for task in more} == {("av", 1), ("muted", 0), ("screen-off", 0)}
    author = loop.captions()[0].author
    assert all(author in task.not_for for task in more)
    people[1].answer(next(iter(loop.tasks("captions, muted").values())), caption="A dog runs over the grass.")
    people[2].answer(
        next(iter(loop.tasks("captions, screen-off").values())), caption="A dog barks all the time."
    )
    loop.pull()
    assert {row.modalities_seen for row in loop.captions()} == {"av", "v", "a"}


def project_of(loop: Loop) -> int:
    name = f"{loop.recipe.name}: captions"
    return int(loop.studio.get(f"/api/projects?title={name}")["results"][0]["id"])


@pytest.mark.parametrize("command", ["push", "pull"])
def test_killed_at_any_moment_nothing_is_there_twice_or_lost(
    make: Made, people: list[Person], command: str, tmp_path: Path
) -> None:
    count = 60
    loop = make(count)
    if command == "pull":
        loop.push()
        for server_id in loop.tasks().values():
            people[0].answer(server_id, caption=GOOD)
    path = tmp_path / "loop.json"
    path.write_text(loop.recipe.model_dump_json())
    program = (
        "import sys, pathlib; from valor_data import chain, recipe;"
        "r = recipe.Recipe.model_validate_json(pathlib.Path(sys.argv[1]).read_text());"
        "print('go', flush=True);"
        f"chain.{command}(r, chain.Options(workspace=sys.argv[2], progress=False))"
    )
    for moment_s in (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9):
        words = [sys.executable, "-c", program, str(path), str(loop.options.workspace)]
        run = subprocess.Popen(words, stdout=subprocess.PIPE, env=dict(os.environ), start_new_session=True)
        assert run.stdout
        run.stdout.readline()
        time.sleep(moment_s)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
    loop.push() if command == "push" else loop.pull()
    assert len(loop.tasks()) == count
    assert len(loop.asked()) == count
    if command == "pull":
        assert [row.text for row in loop.captions()] == [GOOD] * count
        assert {row.revision for row in loop.captions()} == {1}


@pytest.fixture
def weather(studio: Studio) -> Iterator[Weather]:
    with proxy(studio.server.login.url) as found:
        yield found


IMPORT, LIST = "/import", "/api/tasks"


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", IMPORT, arrives=True),
        Fault("POST", IMPORT),
        Fault("POST", IMPORT, status=500, arrives=True),
        Fault("POST", IMPORT, status=502),
        Fault("POST", IMPORT, status=429, headers=(("Retry-After", "1"),)),
        Fault("POST", IMPORT, times=3),
        Fault("POST", IMPORT, arrives=True, delay_s=3.0),
        Fault("GET", LIST, status=500),
        Fault("GET", LIST, status=429, headers=(("Retry-After", "1"),)),
        Fault("GET", "/api/projects", status=503, times=2),
    ],
    ids=str,
)
def test_a_push_through_faults_asks_everything_once(make: Made, weather: Weather, fault: Fault) -> None:
    loop = make(25, annotate={"url": weather.url})
    if fault.path == LIST:
        loop.push()
        loop.more(5)
    weather.add(fault)
    loop.push()
    assert len(loop.tasks()) == len(loop.asked()) == (30 if fault.path == LIST else 25)
    assert loop.push()["new"] == 0


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        (Fault("GET", "whoami", status=401), UserError, "refuses the token"),
        (Fault("GET", "whoami", status=403), UserError, r"may not do that \(403\)"),
        (Fault("POST", IMPORT, status=400), UserError, "refused"),
        (Fault("POST", IMPORT, status=503, times=9), FatalError, "what arrived is kept"),
        (Fault("GET", "/api/projects", status=500, times=9), FatalError, "what is done is kept"),
    ],
    ids=str,
)
def test_what_cannot_be_mended_is_one_line_without_secrets(
    make: Made,
    weather: Weather,
    fault: Fault,
    error: type[Exception],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["valor_data.stages.annotate.sending"], "_WAIT_S", 0.01)
    loop = make(3, annotate={"url": weather.url})
    weather.add(fault)
    with pytest.raises(error, match=told) as caught:
        loop.push()
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert loop.studio.server.login.token not in str(caught.value)
    weather.clear()
    assert loop.push()["tasks"] == 3
    assert len(loop.tasks()) == 3


def test_a_pull_through_faults_loses_no_answer(make: Made, people: list[Person], weather: Weather) -> None:
    loop = make(5, annotate={"url": weather.url})
    loop.push()
    for server_id in loop.tasks().values():
        people[0].answer(server_id, caption=GOOD)
    weather.add(Fault("GET", LIST, status=500), Fault("GET", LIST), Fault("GET", LIST, status=429))
    try:
        loop.pull()
    except FatalError:  # the library's own patience has an end
        loop.pull()
    assert [row.text for row in loop.captions()] == [GOOD] * 5


def test_a_project_deleted_on_the_server_is_made_again_and_answers_stay(
    make: Made, people: list[Person]
) -> None:
    loop = make(3)
    loop.push()
    answered = loop.asked()[0]
    people[0].answer(loop.tasks()[answered.task_id], caption=GOOD)
    loop.pull()
    gone = loop.studio.http.delete(
        f"{loop.studio.server.login.url}/api/projects/{project_of(loop)}/", timeout=60
    )
    assert gone.ok
    assert loop.pull()["answers"] == 0
    assert loop.push()["new"] == 2
    assert set(loop.tasks()) == {row.task_id for row in loop.asked()} - {answered.task_id}
    assert [row.text for row in loop.captions()] == [GOOD]


def test_a_config_edited_by_hand_is_put_back_and_told(make: Made) -> None:
    loop = make(2)
    loop.push()
    where = f"{loop.studio.server.login.url}/api/projects/{project_of(loop)}/"
    config = loop.studio.get(f"/api/projects/{project_of(loop)}")["label_config"]
    edited = config.replace("<View", '<View style="color: red"', 1)
    loop.studio.http.patch(where, json={"label_config": edited}, timeout=60).raise_for_status()
    (warning,) = chain.push(loop.recipe, loop.options).warnings
    assert "edited on the server; it is put back" in warning
    assert loop.studio.get(f"/api/projects/{project_of(loop)}")["label_config"] == config
    assert chain.push(loop.recipe, loop.options).warnings == ()


def test_a_rule_with_more_checkers_asks_more_people_for_the_same_check(
    make: Made, people: list[Person]
) -> None:
    loop = make(1, review={"checkers": 1})
    loop.push()
    people[0].answer(next(iter(loop.tasks().values())), caption=GOOD)
    loop.pull()
    loop.push(review=True)
    check = next(iter(loop.tasks("review").values()))
    people[1].answer(check, verdict="accept")
    assert loop.studio.get(f"/api/tasks/{check}")["is_labeled"]
    rule = loop.recipe.review.model_copy(update={"checkers": 3, "max_rejects": 1})
    loop.recipe = loop.recipe.model_copy(update={"review": rule})
    loop.push(review=True)
    assert not loop.studio.get(f"/api/tasks/{check}")["is_labeled"]


def test_a_clip_that_is_opted_out_is_taken_back(make: Made) -> None:
    loop = make(4)
    loop.push()
    with Workspace.open(loop.recipe, str(loop.options.workspace), write=True) as workspace:
        video = rows.clip(0).video_id
        workspace.tables.append([OptOut(scope="video", value=video, made_by="owner")])
    assert loop.push()["withdrawn"] == 2  # both clips of the video
    assert set(loop.tasks()) == {row.task_id for row in loop.asked() if not row.withdrawn}
    assert len(loop.tasks()) == 2


def test_a_takedown_reaches_tasks_and_answers_on_the_server(
    make: Made, people: list[Person], tmp_path: Path
) -> None:
    loop = make(3)
    loop.push()
    told = {task.clip_id: loop.tasks()[task.task_id] for task in loop.asked()}
    people[0].answer(told[rows.clip_id(0)], caption=GOOD)
    loop.pull()
    people[0].answer(told[rows.clip_id(1)], caption=GOOD)  # nobody has pulled it, and nobody shall
    asked = tmp_path / "gone.txt"
    asked.write_text(f"{rows.clip_id(0)}\n{rows.clip_id(1)}\n")
    report = chain.retract(loop.recipe, loop.options, ids=str(asked), reason="owner")
    assert report.ok, report.warnings
    assert report.counts["withdrawn"] == 2
    assert set(loop.tasks().values()) == {told[rows.clip_id(2)]}
    for record in (Answer, Caption, LabelTask):
        assert rows.clip_id(0) not in [row.clip_id for row in loop.tables.rows(record)]
    assert loop.push()["new"] == 0
    assert loop.pull()["answers"] == 0


def test_what_nobody_has_pulled_yet_is_not_taken_back(make: Made, people: list[Person]) -> None:
    loop = make(2)
    loop.push()
    first = loop.asked()[0]
    people[0].answer(loop.tasks()[first.task_id], caption=GOOD)
    with Workspace.open(loop.recipe, str(loop.options.workspace), write=True) as workspace:
        workspace.tables.append([OptOut(scope="video", value=rows.clip(0).video_id, made_by="owner")])
    assert loop.push()["withdrawn"] == 1
    assert set(loop.tasks()) == {first.task_id}
    counts = loop.pull()
    assert (counts["answers"], counts["withdrawn"]) == (1, 1)
    assert loop.tasks() == {}
    assert [row.text for row in loop.tables.rows(Answer)] == [GOOD]


def test_a_server_that_is_down_is_one_line_with_the_mend(make: Made) -> None:
    loop = make(3, annotate={"url": "http://127.0.0.1:9"})  # nobody listens on the discard port
    for command in (chain.push, chain.pull):
        with pytest.raises(UserError, match=r"no Label Studio answers there .*annotate serve") as caught:
            command(loop.recipe, loop.options)
        assert "\n" not in str(caught.value)
    assert loop.asked() == []


def test_nothing_to_ask_is_told_with_what_helps(make: Made) -> None:
    empty = make(0)
    (told,) = chain.push(empty.recipe, empty.options).warnings
    assert "run 'valor-data fetch' and 'filter' first" in told
    loop = make(2)
    (told,) = chain.push(loop.recipe, loop.options, review=True).warnings
    assert "run 'valor-data annotate pull' first" in told
    with Workspace.open(loop.recipe, str(loop.options.workspace), write=True) as workspace:
        workspace.tables.append([rows.caption(number, GOOD) for number in range(2)])
    (told,) = chain.push(loop.recipe, loop.options).warnings
    assert "all 2 kept clips have an imported caption; annotate.captioned_too = true" in told
