"""Answers from the server: kept as they came, then as rows; a change is a new revision, no overwrite."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

from valor_data import layout
from valor_data.labelstudio.answers import Said, said
from valor_data.labelstudio.client import PAGE, Studio
from valor_data.records import Answer, Caption, LabelTask, Origin, Quarantine, Review
from valor_data.stages.annotate import cursors
from valor_data.stages.annotate.asking import caption_id
from valor_data.stages.annotate.drafting import keeps_planted
from valor_data.stages.annotate.people import People
from valor_data.stages.annotate.places import places
from valor_data.stages.annotate.standing import results, standing_tasks
from valor_data.stages.annotate.trial import Trial
from valor_data.workspace import Workspace

_BY = "pull@1"
_SEEN: dict[str, str] = {"av": "av", "muted": "v", "screen-off": "a"}
_BACK_US, _SETTLED_S = 2_000_000, 10.0
"""So much is asked for twice, until so long after: what was being stored while the last pull read may carry
an earlier moment than what it saw."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pulled(NamedTuple):
    """What a pull got."""

    answers: int
    """New, changed and deleted ones."""
    captions: int
    reviews: int
    unsafe: int
    """Clips that somebody called unsafe."""
    foreign: int
    """Tasks of our projects that we did not push."""
    odd: int
    """Answers of an odd form."""
    own: int
    """Answers by people who must not give them, such as a check of their own caption; they do not count."""
    passed: int
    """People who have passed the test with this pull."""
    waiting: int
    """Standing captions and checks by people who have not passed the test."""
    outputs: list[str]


def pull(workspace: Workspace, studio: Studio) -> Pulled:
    """Take over what changed since the last pull. Killed at any moment, the next pull gets it again."""
    puller = _Puller(workspace, studio)
    for place in places(workspace, puller.trial.attempts):
        project = studio.project(place.title)
        if project is not None:
            name = cursors.name_of(studio.url, project.id)
            puller.take(name, studio.changed(project, puller.since(name)))
    puller.settle()
    return puller.result()


class _Puller:
    """One pull on its way."""

    def __init__(self, workspace: Workspace, studio: Studio) -> None:
        self._workspace = workspace
        self._people = People(workspace.store, studio.url)
        self._tasks = standing_tasks(workspace)
        self._standing: dict[str, dict[str, Answer]] = {}
        for row in workspace.tables.rows(Answer):
            self._standing.setdefault(row.task_id, {})[row.annotator] = row
        self._authors: dict[str, str] = {}
        self._written: set[tuple[str, str]] = set()  # task and person: no hash of each answer at each pull
        self._learn(workspace.tables.rows(Caption, origin=Origin.HUMAN))
        self._reviewed = {(row.caption_id, row.reviewer) for row in workspace.tables.rows(Review)}
        self.trial = Trial(workspace)
        self._passed = {name for name, row in results(workspace).items() if row.passed}
        self._cursors = cursors.read(workspace.store)
        self._counts = dict.fromkeys((f for f in Pulled._fields if f not in ("unsafe", "outputs")), 0)
        self._unsafe: set[str] = set()
        self._outputs: list[str] = []

    def since(self, project: str) -> int:
        """Microseconds since 1970 from which on a project's tasks are asked for; 0: none was seen yet."""
        cursor = self._cursors.get(project)
        if cursor is None:
            return 0
        return max(0, cursor["latest_us"] - (_BACK_US if cursor["read_s"] else 0))

    def take(self, project: str, changed: Iterable[dict[str, Any]]) -> None:
        """Keep what changed in a project, a page at a time; last of all how far it got."""
        old = self._cursors.get(project, {"latest_us": 0, "read_s": 0.0})
        latest = old["latest_us"]
        tasks = iter(changed)
        while page := list(islice(tasks, PAGE)):
            answered = [task for task in page if task.get("annotations") or self._is_known(task)]
            if answered:
                self._keep(answered)
            latest = max(latest, *(_moment_us(task.get("updated_at")) for task in page))
        now_s = time.time()
        new = cursors.Cursor(latest_us=latest, read_s=now_s)
        if latest == old["latest_us"]:
            settled = now_s - old["read_s"] > _SETTLED_S
            new["read_s"] = 0.0 if settled else old["read_s"]
        if new != old:
            self._cursors[project] = new
            cursors.write(self._workspace.store, self._cursors)

    def settle(self) -> None:
        """Judge the test, where there is one, and make rows of what waited and waits no more."""
        rows = self.trial.judge(self._standing)
        self._workspace.tables.append(rows)
        passed = {row.annotator for row in rows if row.passed}
        self._passed |= passed
        waiting = [
            answer
            for own, answers in self._standing.items()
            if own in self._tasks
            for answer in answers.values()
            if self._lacks_row(answer)
        ]
        self._effect([answer for answer in waiting if self._may(answer.annotator)])
        self._counts["passed"] = len(passed)
        self._counts["waiting"] = sum(not self._may(answer.annotator) for answer in waiting)

    def result(self) -> Pulled:
        return Pulled(unsafe=len(self._unsafe), outputs=self._outputs, **self._counts)

    def _is_known(self, task: Mapping[str, Any]) -> bool:
        return _own_id(task) in self._standing

    def _keep(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        news = [answer for task in tasks for answer in self._answers(task)]
        if not news:
            return
        key = layout.pull_key(self._workspace.run_id, len(self._outputs))
        raw = json.dumps(tasks, default=str, ensure_ascii=False, indent=1)
        self._workspace.store.put_bytes(key, raw.encode())
        self._outputs.append(key)
        shown = (answer for answer in news if self._tasks[answer.task_id].stage != "qualify")
        unsafe = [answer for answer in shown if "unsafe" in answer.flags and not answer.deleted]
        tables = self._workspace.tables
        tables.append(
            Quarantine(clip_id=one.clip_id, cause="person", detail="unsafe", made_by="annotator")
            for one in {one.clip_id: one for one in unsafe}.values()
        )
        self._effect(news)
        tables.append(news)  # last: an answer that is kept has had its effect
        for answer in news:
            self._standing.setdefault(answer.task_id, {})[answer.annotator] = answer
        self._unsafe |= {one.clip_id for one in unsafe}
        self._counts["answers"] += len(news)

    def _effect(self, answers: Sequence[Answer]) -> None:
        """Captions and reviews of answers by people who may; others wait."""
        captions = [row for answer in answers for row in self._captions(answer)]
        self._learn(captions)
        reviews = [row for answer in answers for row in self._reviews(answer)]
        self._reviewed |= {(row.caption_id, row.reviewer) for row in reviews}
        self._workspace.tables.append(captions)
        self._workspace.tables.append(reviews)
        self._counts["captions"] += len(captions)
        self._counts["reviews"] += len(reviews)

    def _learn(self, captions: Iterable[Caption]) -> None:
        for row in captions:
            self._authors[row.caption_id] = row.author
            self._written.add((row.external_id, row.author))

    def _may(self, annotator: str) -> bool:
        return self.trial.test is None or annotator in self._passed

    def _has_review(self, answer: Answer) -> bool:
        return (self._tasks[answer.task_id].caption_id, answer.annotator) in self._reviewed

    def _lacks_row(self, answer: Answer) -> bool:
        """Whether a caption or a check would come of it, and there is none."""
        task = self._tasks[answer.task_id]
        if task.stage == "qualify" or answer.deleted or self._must_not(answer):
            return False
        if task.stage != "review":
            is_one = answer.text and not answer.skipped and not keeps_planted(task, answer.text)
            return bool(is_one) and (answer.task_id, answer.annotator) not in self._written
        return bool(answer.verdict) and task.kind == "work" and not self._has_review(answer)

    def _must_not(self, answer: Answer) -> bool:
        """Whether its author is one who must not give it, such as a check of his own caption."""
        task = self._tasks[answer.task_id]
        return answer.annotator in {*task.not_for.split(","), self._authors.get(task.caption_id)}

    def _answers(self, raw: Mapping[str, Any]) -> Iterator[Answer]:
        """The answers of a task that are new, changed, or not there any more."""
        task = self._tasks.get(_own_id(raw))
        if task is None:
            self._counts["foreign"] += 1
            return
        fps = _number((raw.get("data") or {}).get("fps"))
        now: dict[str, Answer] = {}
        annotations = [one for one in raw.get("annotations") or () if isinstance(one, dict)]
        for annotation in sorted(annotations, key=lambda one: _moment_us(one.get("updated_at"))):
            account = annotation.get("completed_by")
            account = account.get("id") if isinstance(account, dict) else account
            if not isinstance(account, int):
                continue
            name = self._people.pseudonym(account)
            told = said(annotation, fps)
            twice = ("answered_twice",) if name in now else ()
            now[name] = _row(task, name, told, twice, _moment_us(annotation.get("updated_at")))
        before = self._standing.get(task.task_id, {})
        for name, answer in now.items():
            old = before.get(name)
            if old is None or _content(old) != _content(answer):
                self._counts["odd"] += bool(answer.odd)
                yield answer.model_copy(update={"revision": old.revision + 1 if old else 1})
        for name, old in before.items():
            if name not in now and not old.deleted:
                yield old.model_copy(update={"deleted": True, "revision": old.revision + 1})

    def _captions(self, answer: Answer) -> Iterator[Caption]:
        task = self._tasks[answer.task_id]
        if task.stage not in ("caption", "draft"):
            return
        if self._must_not(answer):
            self._counts["own"] += not answer.deleted
            return
        own = caption_id(task, answer)
        gone = answer.deleted or answer.skipped or not answer.text or keeps_planted(task, answer.text)
        if own not in self._authors and (gone or not self._may(answer.annotator)):
            return
        yield Caption(
            caption_id=own,
            clip_id=task.clip_id,
            text=answer.text,
            author=answer.annotator,
            origin=Origin.HUMAN,
            language=self._workspace.recipe.captions.language,
            modalities_seen=_SEEN[task.mode],  # type: ignore[arg-type]
            external_id=task.task_id,
            lead_ms=answer.lead_ms,
            revision=answer.revision,
            deleted=gone,
            made_by=_BY,
        )

    def _reviews(self, answer: Answer) -> Iterator[Review]:
        task = self._tasks[answer.task_id]
        if task.stage != "review" or task.kind != "work" or not answer.verdict:
            return
        if self._must_not(answer):
            self._counts["own"] += not answer.deleted
            return
        if not self._may(answer.annotator) and not self._has_review(answer):
            return
        yield Review(
            caption_id=task.caption_id,
            reviewer=answer.annotator,
            decision=answer.verdict,
            reasons=answer.reasons,
            revision=task.revision,
            text=answer.text if answer.verdict == "fix" else "",
            deleted=answer.deleted,
            made_by=_BY,
        )


def _row(task: LabelTask, name: str, told: Said, odd: tuple[str, ...], moment_us: int) -> Answer:
    return Answer.model_validate(
        {
            "answer_id": layout.digest([task.task_id, name])[:24],
            "task_id": task.task_id,
            "clip_id": task.clip_id,
            "annotator": name,
            "answered_at_us": moment_us,
            "made_by": _BY,
            **told._asdict(),
            "odd": tuple(sorted({*told.odd, *odd})),
        }
    )


def _content(answer: Answer) -> dict[str, Any]:
    """All that a person can change."""
    return answer.model_dump(exclude={"revision", "made_at_us", "made_by", "answered_at_us", "lead_ms"})


def _own_id(task: Mapping[str, Any]) -> str:
    return str((task.get("data") or {}).get("task_id", ""))


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return 0.0


def _moment_us(moment: object) -> int:
    """Microseconds since 1970 of a moment as the server writes it, 0 where it is none."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0
    return (moment - _EPOCH) // timedelta(microseconds=1) if isinstance(moment, datetime) else 0
