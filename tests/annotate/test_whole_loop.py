"""The whole loop as a new team goes through it: typed commands, real clips, five people in real Chromium."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests

from tests.annotate.conftest import Studio, sign_up
from tests.annotate.test_page import Hands
from tests.e2e.conftest import ENVIRONMENT, report
from valor_data import chain, layout
from valor_data.demo import server as footage
from valor_data.labelstudio import server
from valor_data.labelstudio.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CAPTIONS = {
    "Diff-Foley__car": "A red car races down a drag strip past a man, and its engine roars.",
    "Diff-Foley__drum": "A man in black plays a drum kit before red walls, beating drums and cymbals fast.",
    "FoleyCrafter__1": "A flock of sheep crowds behind a fence near a barn, and many of them bleat.",
    "FoleyCrafter__avsync__1": "A hand fires a pistol before a blue sheet, and every shot bangs.",
    "SpecVQGAN__-1pRmoJIGQc_10000_20000": "A car's engine under an open bonnet knocks and rattles.",
    "SpecVQGAN__0nib7bMm8BA_15000_25000": "A yellow canary sits in a wooden cage and sings in high trills.",
    "SpecVQGAN__7fRaV39Y-2o_50000_60000": "Water falls over rocks into a pool in a forest and rushes loudly.",
    "SpecVQGAN__video_02754": "Some cats run about in a yard and meow at one another.",
    "SpecVQGAN__video_02997": "Fireworks burst in the dark night sky, and loud bangs follow the sparks.",
    "Video-LLaVA__sample_demo_22": "A man on a carpet plays a red drum kit along with loud rock music.",
    "decord__flipping_a_pancake": "A woman in a kitchen flips a pancake in a pan and talks.",
    "moviepy__chaplin": "Two men in hats walk past each other in an old film while a piano plays.",
}
"""Clips with sound, of many sizes and containers, and what somebody says of each."""
UNSAFE, SHORT, FIXED, REJECTED = list(CAPTIONS)[3], list(CAPTIONS)[1], list(CAPTIONS)[5], list(CAPTIONS)[7]
TOO_SHORT = "Drums."
FIX = "A yellow canary hops in a cage with wooden bars and sings in long, high trills."
TRUER = "Several corgis romp in a yard, and one of them barks again and again."
RECIPE = """\
name = "team"
workspace = "workspace"

[[segments.lists]]
path = "clips.csv"

[review]
checkers = 3
max_rejects = 1

[split]
train = 1.0
val = 0.0
test = 0.0

[release]
title = "Captions of a team"
"""
_PLAYER = "document.querySelector('video, audio')"
_NO_MORE = "document.body.innerText.toLowerCase().includes('no more tasks')"


class Team:
    """The manager's terminal: the commands that he types, and what he may ask of the server."""

    def __init__(self, recipe: Path) -> None:
        self.recipe = recipe
        self.workspace = recipe.parent / "workspace"
        self.studio: Studio

    def does(self, *command: str) -> Any:
        """The counts of a command, and the addresses that it printed under `outputs`."""
        return report(*command, str(self.recipe))

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the catalog."""
        rows: list[dict[str, Any]] = report("catalog", "sql", query, "--workspace", str(self.workspace))
        return rows

    def accepted(self) -> dict[str, str]:
        """Video -> the text that counts."""
        rows = self.sql("select clip_id, text from captions_accepted(3, 1)")
        return {video_of(row["clip_id"]): row["text"] for row in rows}

    def queues(self, outputs: Sequence[str]) -> dict[str, str]:
        """Pseudonym -> the address of the person's queue, of the addresses printed."""
        found = {}
        for address in outputs:
            if tab := re.search(r"[?&]tab=(\d+)", address):
                title = self.studio.get(f"/api/dm/views/{tab[1]}")["data"]["title"]
                found[title.removeprefix("for ")] = address.split()[0]
        return found

    def on_server(self) -> list[dict[str, Any]]:
        """All tasks."""
        asked = "/api/tasks?page_size=500&fields=all"
        projects = self.studio.get("/api/projects?page_size=100")["results"]
        return [task for one in projects for task in self.studio.get(f"{asked}&project={one['id']}")["tasks"]]


class Person:
    """Somebody who signed up, with a browser of his own."""

    def __init__(self, name: str, context: Any, team: Team) -> None:
        self.name = name
        self.hands = Hands(context.new_page())
        self.offered: list[str] = []
        self.asked = 0
        self._context, self._team = context, team
        url = team.studio.server.login.url
        self._url = url
        self.account = str(context.request.get(f"{url}/api/current-user/whoami").json()["id"])

    @property
    def pseudonym(self) -> str:
        """As the manager finds it, in the file that links people to accounts."""
        people = json.loads((self._team.workspace / layout.PEOPLE).read_text())
        return str(people[self._url][self.account])

    def open(self, address: str) -> None:
        """Follow a link."""
        self.hands.page.goto(address)

    def video(self) -> str | None:
        """The clip that is offered once it can be played; None: there is no more to do."""
        page = self.hands.page
        page.wait_for_function(f"{_NO_MORE} || window.Htx?.task?.id", timeout=20_000)
        if page.evaluate(_NO_MORE):
            return None
        self.hands.ready()
        data = page.evaluate("window.Htx.task.dataObj")
        self.offered.append(data.get("caption_id") or data["clip_id"])
        self.asked += 1
        return video_of(data["clip_id"])

    def play(self) -> None:
        """Play the clip by its key: time goes on, and sound is decoded."""
        hands = self.hands
        before = hands.player("webkitAudioDecodedByteCount") or 0
        hands.press("F2")
        hands.wait(f"{_PLAYER}.currentTime > 0.4 && !{_PLAYER}.paused && !{_PLAYER}.muted")
        hands.wait(f"{_PLAYER}.webkitAudioDecodedByteCount > {before} + 2000")

    def close(self) -> None:
        """Go home."""
        self._context.close()


def video_of(clip_id: str) -> str:
    """The video of a clip."""
    return layout.parse_clip_id(clip_id).video_id


def work(people: Sequence[Person], answer: Callable[[Person, str], None]) -> None:
    """All at the same time, a clip each in turn, until there is no more to do."""
    at_work = list(people)
    while at_work:
        offered = [(person, person.video()) for person in at_work]  # all have a clip before their eyes
        at_work = [person for person, video in offered if video]
        for person, video in offered:
            if video:
                person.play()
                answer(person, video)


def caption(person: Person, video: str, text: str | None = None) -> None:
    """Write a caption by keys alone; `unsafe` where it is."""
    hands = person.hands
    hands.wait("document.activeElement.name === 'caption'")
    if video == UNSAFE:
        hands.press("Escape", "x")
        hands.page.wait_for_selector("textarea[name=caption]", state="hidden")
    else:
        hands.type(text or (TOO_SHORT if video == SHORT else CAPTIONS[video]))
    hands.see(f"loop-{video}")
    hands.submit()


def accept(person: Person, _: str) -> None:
    """Say yes to a caption."""
    person.hands.press("1")
    person.hands.submit()


@contextmanager
def serving(recipe: Path, venv: Path, home: Path) -> Iterator[Studio]:
    """`annotate serve`, typed in a terminal of its own and ended by Ctrl-C."""
    place = home / "cache" / "valor-data"
    place.mkdir(parents=True)
    place.joinpath(server.default_venv().name).symlink_to(venv)
    words = [sys.executable, "-m", "valor_data", "annotate", "serve", str(recipe), "--port", "0"]
    env = {**os.environ, **ENVIRONMENT, "XDG_CACHE_HOME": str(place.parent)}
    workspace = recipe.parent / "workspace"
    session = requests.Session()
    session.trust_env = False
    with (home / "serve.log").open("w") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, env=env, text=True)
    lock = workspace / "annotation" / "server" / "lock"
    try:
        assert process.stdout
        address = process.stdout.readline().removeprefix("Label Studio: ").strip()
        assert address.startswith("http://127.0.0.1:"), (home / "serve.log").read_text()
        login = server.read_login(lock.parent)
        assert login.url == address
        session.headers["Authorization"] = f"Token {login.token}"
        running: Any = process
        yield Studio(Server(login, workspace / "clips", lock.parent / "server.log", running), session)
    finally:
        session.close()
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{lock.read_text().strip()}").exists():
        assert time.monotonic() < deadline, "Label Studio runs on"
        time.sleep(0.2)


def make_workspace(folder: Path, source: Path) -> Team:
    """Lists the clips of a folder, as a user writes a list and a recipe, and fetches them."""
    team = Team(folder / "team.toml")
    team.recipe.write_text(RECIPE)
    files = {path.stem: path.name for path in source.iterdir()}
    with footage.serve(source) as address, (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("video_id", "url", "start", "end"))
        writer.writerows((name, f"{address}/{files[name]}", 0, 5) for name in CAPTIONS)
        file.flush()
        assert team.does("fetch")["counts"]["fetched"] == len(CAPTIONS)
    assert team.does("filter")["counts"]["kept"] == len(CAPTIONS)
    return team


def first_captions_are_there(team: Team, writers: Sequence[Person]) -> None:
    """Pulled once, under pseudonyms; what is unsafe is gone from everywhere."""
    counts = team.does("annotate", "pull")["counts"]
    assert (counts["answers"], counts["new_captions"], counts["sent_back"]) == (12, 11, 1)
    assert (counts["unsafe"], counts["withdrawn"]) == (1, 1)
    again = team.does("annotate", "pull")["counts"]
    assert (again["answers"], again["new_captions"], again["unsafe"], again["withdrawn"]) == (0, 0, 0, 0)
    rows = team.sql("select clip_id, text, author, origin, language from captions")
    assert {row["author"] for row in rows} == {person.pseudonym for person in writers}
    assert all(re.fullmatch("ann-[0-9a-f]{8}", row["author"]) for row in rows)
    said = CAPTIONS | {SHORT: TOO_SHORT}
    assert {video_of(row["clip_id"]): row["text"] for row in rows} == {
        name: text for name, text in said.items() if name != UNSAFE
    }
    (out,) = team.sql("select clip_id, cause, detail from quarantine")
    assert (video_of(out["clip_id"]), out["cause"], out["detail"]) == (UNSAFE, "person", "unsafe")
    there = {video_of(task["data"]["clip_id"]) for task in team.on_server()}
    assert there == set(CAPTIONS) - {UNSAFE}


def one_is_written_again(team: Team, people: Sequence[Person], video: str, text: str) -> None:
    """The second try of a clip goes to the queues of all but its author, and one of them answers."""
    (row,) = team.sql(f"select author from captions where clip_id like '{video}%'")
    pushed = team.does("annotate", "push")
    assert pushed["counts"]["new"] == 1
    queues = team.queues(pushed["outputs"])
    assert len(queues) == 5  # nobody but theirs
    for person in sorted(people, key=lambda person: person.pseudonym != row["author"]):  # the author first
        person.open(queues[person.pseudonym])
        offered = person.video()
        if person.pseudonym == row["author"]:
            assert offered is None
            continue
        assert offered == video
        person.play()
        caption(person, video, text)
        assert person.video() is None
    assert team.does("annotate", "pull")["counts"]["new_captions"] == 1


def checks_are_made(team: Team, writers: Sequence[Person], checkers: Sequence[Person]) -> None:
    """Three say something of each caption, and nobody of his own: one is fixed, one is rejected by two."""
    asked = team.does("annotate", "review")
    assert asked["counts"]["new"] == 11
    queues = team.queues(asked["outputs"])
    by_author = {
        row["caption_id"]: row["author"] for row in team.sql("select caption_id, author from captions")
    }
    asked_for = {task["data"].get("caption_id") for task in team.on_server()}
    rejections: list[str] = []
    fixes: list[str] = []

    def check(person: Person, video: str) -> None:
        hands = person.hands
        if video == REJECTED and person in checkers and len(rejections) < 2:
            rejections.append(person.name)
            hands.press("3", "h")
            hands.see("loop-reject")
        elif video == FIXED and person in checkers and not fixes:
            fixes.append(person.name)
            hands.press("2", "g", "c", "Control+A")
            hands.type(FIX)
            hands.see("loop-fix")
        else:
            hands.press("1")
        hands.submit()

    for group in (writers, checkers):
        for person in group:
            person.offered.clear()
            person.open(queues[person.pseudonym])
        work(group, check)
    for person in writers:
        others = [one for one, author in by_author.items() if author != person.pseudonym and one in asked_for]
        assert sorted(person.offered) == sorted(others)  # all that is not his own
    counts = team.does("annotate", "pull")["counts"]
    assert counts["new_reviews"] == 33
    expected = CAPTIONS | {FIXED: FIX}
    assert team.accepted() == {
        name: text for name, text in expected.items() if name not in (UNSAFE, REJECTED)
    }


def the_rest_is_accepted(team: Team, checkers: Sequence[Person]) -> None:
    """The second try of the rejected one is checked, and nothing is left to ask."""
    asked = team.does("annotate", "review")
    assert asked["counts"]["new"] == 1
    queues = team.queues(asked["outputs"])
    for person in checkers:
        person.open(queues[person.pseudonym])
    work(checkers, accept)
    assert team.does("annotate", "pull")["counts"]["new_reviews"] == 3
    expected = CAPTIONS | {FIXED: FIX, REJECTED: TRUER}
    del expected[UNSAFE]
    assert team.accepted() == expected
    assert team.does("annotate", "push")["counts"]["new"] == 0
    assert team.does("annotate", "review")["counts"]["new"] == 0


def a_release_is_made(team: Team, secrets: Sequence[str]) -> None:
    """It holds the captions that were accepted, and nothing of who made them but pseudonyms."""
    made = team.does("shard")
    release = team.workspace / made["outputs"][-1]
    assert report("release", "verify", str(release))["counts"]["problems"] == 0
    texts = {}
    for shard in release.rglob("*.tar"):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(".txt"):
                    file = tar.extractfile(member)
                    assert file
                    texts[video_of(member.name.removesuffix(".txt"))] = file.read().decode()
    expected = CAPTIONS | {FIXED: FIX, REJECTED: TRUER}
    del expected[UNSAFE]
    assert {name: text.strip() for name, text in texts.items()} == expected
    for path in release.rglob("*"):
        assert path.name not in ("people.json", "login.json")
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pq.read_table(path).to_pylist()).encode()
            for secret in secrets:
                assert secret.encode() not in content, path


def told(person: Person) -> str:
    """What a person's hands did."""
    hands, clips = person.hands, person.asked
    return f"{person.name}: {clips} clips, {hands.clicks} clicks, {hands.keys / clips:.2f} keys a clip"


def test_a_team_makes_a_release_of_its_own_captions(
    real_data: Path,
    venv: Path,
    browser: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(chain.TOKEN, raising=False)
    team = make_workspace(tmp_path, real_data / "clips_av")
    with serving(team.recipe, venv, tmp_path) as team.studio, ExitStack() as stack:
        login = team.studio.server.login
        first = team.does("annotate", "push")
        assert first["counts"] == {"tasks": 12, "new": 12, "withdrawn": 0}
        invited = login.url + team.studio.get("/api/invite")["invite_url"]

        def join(name: str) -> Person:
            person = Person(name, sign_up(browser, invited, f"{name}@example.org"), team)
            stack.callback(person.close)
            return person

        writers, checkers = [join("ann"), join("ben")], [join("cleo"), join("dan"), join("eve")]
        for person in writers:
            person.open(first["outputs"][0])
        work(writers, caption)
        lines = [told(person) for person in writers]
        given = [clip for person in writers for clip in person.offered]
        assert len(given) == len(set(given)) == len(CAPTIONS), "two people were given the same clip"
        first_captions_are_there(team, writers)
        one_is_written_again(team, writers, SHORT, CAPTIONS[SHORT])
        checks_are_made(team, writers, checkers)
        one_is_written_again(team, writers, REJECTED, TRUER)
        the_rest_is_accepted(team, checkers)
        lines += [told(person) for person in checkers]
        assert not any(person.hands.clicks for person in [*writers, *checkers])
        with capsys.disabled():
            print("", *lines, sep="\n")
    a_release_is_made(team, [login.token, login.password, "example.org"])
    agreed = report("annotate", "agreement", str(team.recipe))
    assert (agreed["captions"], agreed["checks"], len(agreed["checkers"])) == (13, 36, 5)
