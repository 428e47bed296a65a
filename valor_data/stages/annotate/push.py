"""Questions to the server: what is missing there is imported, what nobody shall be shown is taken back."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tqdm import tqdm

from valor_data import layout
from valor_data.errors import FatalError, UserError
from valor_data.labelstudio import config as pages
from valor_data.labelstudio.client import Project, Studio, Unsure
from valor_data.labelstudio.server import clip_url
from valor_data.records import Answer, LabelTask, Mode
from valor_data.stages.annotate.asking import caption_tasks, review_tasks
from valor_data.stages.annotate.drafting import with_draft
from valor_data.stages.annotate.people import People
from valor_data.stages.annotate.standing import Shown, known, shown_clips, standing_tasks
from valor_data.stages.annotate.trial import Trial
from valor_data.workspace import Workspace

BATCH = 10_000
"""Tasks of one request, 4 MB: a thousand each take half as long again."""
_TRIES, _WAIT_S = 6, 2.0
_EVERYBODY = 1000
"""So many may take the test."""
_LONGEST = 28
_SIGNED_S = 7 * 24 * 3600
_MODES: tuple[Mode, ...] = ("av", "muted", "screen-off")


class Pushed(NamedTuple):
    """What a push did."""

    wanted: int
    new: int
    withdrawn: int
    projects: list[str]
    """Address of each project, with the queue of each person where people must be kept apart."""
    warnings: list[str]


class Place(NamedTuple):
    """One project: a stage, and what of the clip is shown."""

    title: str
    stage: Literal["qualify", "caption", "draft", "review"]
    mode: Mode = "av"
    attempt: int = 0
    """`qualify`: which."""

    def holds(self, task: LabelTask) -> bool:
        """Whether a task belongs here."""
        here = task.stage == self.stage and task.mode == self.mode
        return here and self.attempt in (0, task.turn)

    @property
    def page(self) -> pages.Page:
        """What its people see."""
        return "caption" if self.stage == "draft" else self.stage


def places(workspace: Workspace, attempts: Iterable[int]) -> list[Place]:
    """The projects of a recipe, by title. `attempts`: those that the test has."""
    name = workspace.recipe.name
    if len(name) > _LONGEST:  # the server takes 50 letters
        name = f"{name[: _LONGEST - 7]}-{layout.digest(name)[:6]}"
    tests = [
        Place(f"{name}: qualify{'' if n == 1 else f', attempt {n}'}", "qualify", attempt=n) for n in attempts
    ]
    shown = [Place(f"{name}: captions{'' if m == 'av' else f', {m}'}", "caption", m) for m in _MODES]
    return [*tests, Place(f"{name}: drafts", "draft"), *shown, Place(f"{name}: review", "review")]


def push(workspace: Workspace, studio: Studio, *, review: bool, progress: bool) -> Pushed:
    """Bring the questions for captions, or with `review` those for checks, to the server.

    Nothing is asked twice: each task carries our own id, and what stands on the server is listed first, and
    again after a request of which nobody knows whether it arrived. Raises UserError for a label config that
    does not serve, and what `Studio` raises.
    """
    recipe = workspace.recipe
    clips = {shown.clip.clip_id: shown for shown in shown_clips(workspace)}
    said, trial = known(workspace), Trial(workspace)
    if review:
        captions = [
            one for one in said.captions.values() if not one.deleted and one.text and one.clip_id in clips
        ]
        captions.sort(key=lambda one: (one.clip_id, one.caption_id))
        wanted = [task for task in review_tasks(recipe, captions, said) if task.clip_id in clips]
    else:
        wanted = [task for shown in clips.values() for task in caption_tasks(recipe, shown.clip, said)]
        wanted += trial.wanted()
        clips |= trial.clips(clips)
    texts = {one.caption_id: one.text for one in said.captions.values()}
    standing = standing_tasks(workspace)
    asked, answered = {task.task_id for task in wanted}, set(said.answers)
    new, warnings, addresses = 0, [], []
    if not wanted:
        warnings.append(_nothing(clips.values(), review=review))
    for place in places(workspace, trial.attempts):
        here = [task for task in wanted if place.holds(task)]
        if not here:
            continue
        project, told = _project(workspace, studio, place, trial)
        warnings += told
        datas = (
            (task, _data(workspace, task, clips[task.clip_id], texts.get(task.caption_id, "")))
            for task in here
        )
        done = set() if place.stage == "qualify" else answered  # the test is there for whoever comes
        new += _bring(workspace, studio, project, list(datas), standing, done, progress=progress)
        addresses.append(f"{studio.url}/projects/{project.id}/data?labeling=1")
        addresses += _queues(workspace, studio, project)
    gone = _withdraw(
        workspace,
        studio,
        standing.values(),
        lambda task: (
            (task.clip_id not in clips and task.clip_id not in trial.rendered())
            or (review and task.stage == "review" and task.task_id not in asked | set(said.answers))
        ),
    )
    return Pushed(len(wanted), new, gone, addresses, warnings)


def _nothing(clips: Collection[Shown], *, review: bool) -> str:
    """Why nothing is asked, and what helps."""
    if not clips:
        return "nothing to ask: no clip is fetched and kept; run 'valor-data fetch' and 'filter' first"
    if review:
        return "nothing to check: no caption of an annotator is there; run 'valor-data annotate pull' first"
    return (
        f"nothing to ask: all {len(clips)} kept clips have an imported caption; annotate.captioned_too = "
        "true asks for more"
    )


def take_back(workspace: Workspace, studio: Studio) -> int:
    """Take every task of a clip that nobody shall be shown any more from the server; their number."""
    standing = standing_tasks(workspace)
    if not standing:
        return 0
    clips = {shown.clip.clip_id for shown in shown_clips(workspace)} | Trial(workspace).rendered()
    return _withdraw(workspace, studio, standing.values(), lambda task: task.clip_id not in clips)


def _withdraw(
    workspace: Workspace,
    studio: Studio,
    tasks: Iterable[LabelTask],
    is_gone: Callable[[LabelTask], bool],
) -> int:
    """Take tasks back; but those whose answers nobody has pulled yet wait for the next pull."""
    gone = [task for task in tasks if not task.withdrawn and is_gone(task)]
    pulled = {row.task_id for row in workspace.tables.rows(Answer)} if gone else set()
    for place in places(workspace, sorted({task.turn for task in gone if task.stage == "qualify"})):
        ids = {task.task_id for task in gone if place.holds(task)}
        project = studio.project(place.title) if ids else None
        if project is not None:
            there = studio.own_ids(project)
            unread = {str(task["data"].get("task_id")) for task in studio.changed(project, 0)} - pulled
            studio.remove(project, [there[own] for own in sorted(ids - unread) if own in there])
            gone = [task for task in gone if task.task_id not in unread]
    workspace.tables.append(task.model_copy(update={"withdrawn": True}) for task in gone)
    return len(gone)


def _project(workspace: Workspace, studio: Studio, place: Place, trial: Trial) -> tuple[Project, list[str]]:
    """The project, made where it is missing and brought up to date where its page changed."""
    asked, people = workspace.recipe.annotate, 1
    if place.stage == "review":
        people = max(1, workspace.recipe.review.checkers)
    elif place.stage == "qualify":
        people = _EVERYBODY
    config = pages.label_config(
        place.page,
        place.mode,
        hints=asked.hints != "off",
        events=asked.events and place.page == "caption",
        folder=Path(asked.pages) if asked.pages else None,
    )
    if place.stage == "draft":
        config = with_draft(config)
    elif place.stage == "qualify":
        trial.check_page(config)
    description = f"valor-data, page {layout.digest(config)[:12]}"
    project = studio.project(place.title)
    warnings = []
    if project is None:
        project = studio.create(place.title, config, description, "", people)
    elif project.config != config:
        pushed_before = project.description == description
        studio.update(project, config, description, "", people)
        if pushed_before:
            warnings.append(
                f"{place.title}: the label config was edited on the server; it is put back. Edit the files "
                "of annotation/ instead"
            )
    if asked.media == "files":
        studio.serve_folder(project, workspace.store.path(layout.OBJECTS.rstrip("/")))
    return project, warnings


def _data(workspace: Workspace, task: LabelTask, shown: Shown, text: str) -> dict[str, Any]:
    """What the page gets of a task."""
    data = {
        "clip_id": task.clip_id,
        "task_id": task.task_id,
        "video": _address(workspace, shown.object_key),
        "fps": f"{shown.fps:g}",
        "hints": ", ".join(task.hints),
        "mode": task.mode,
        "not_for": task.not_for,
    }
    if task.stage == "review":
        data |= {"caption": text, "caption_id": task.caption_id}
    elif task.stage == "draft":
        data["draft"] = task.draft
    return data


def _address(workspace: Workspace, key: str) -> str:
    asked = workspace.recipe.annotate
    if asked.media == "http":
        return f"{str(asked.media_url).rstrip('/')}/{key}"
    if asked.media == "signed":
        return workspace.store.signed(key, _SIGNED_S)
    if not workspace.store.is_local:
        raise UserError("annotate.media = 'files' needs a workspace in a folder; give 'signed' or 'http'")
    return clip_url(key)


def _bring(
    workspace: Workspace,
    studio: Studio,
    project: Project,
    tasks: Sequence[tuple[LabelTask, Mapping[str, Any]]],
    standing: Mapping[str, LabelTask],
    answered: set[str],
    *,
    progress: bool,
) -> int:
    """Import what is not there and was never answered; the number of tasks that are new there."""
    there = set(studio.own_ids(project)) if project.tasks else set()
    missing = [(task, data) for task, data in tasks if task.task_id not in there | answered]
    with tqdm(total=len(missing), unit="task", disable=None if progress else True) as bar:
        for first in range(0, len(missing), BATCH):
            batch = missing[first : first + BATCH]
            _import(studio, project, batch)
            _note(workspace, [task for task, _ in batch], standing)
            bar.update(len(batch))
    _note(workspace, [task for task, _ in tasks if task.task_id in there], standing)
    return len(missing)


def _import(studio: Studio, project: Project, batch: Sequence[tuple[LabelTask, Mapping[str, Any]]]) -> None:
    left = list(batch)
    for attempt in range(_TRIES):
        try:
            studio.add(project, [{"data": data} for _, data in left])
        except Unsure as error:
            if attempt + 1 == _TRIES:
                raise FatalError(
                    f"{error}; what arrived is kept, the same command goes on from here"
                ) from None
            time.sleep(max(error.wait_s, _WAIT_S * 2**attempt if attempt else 0.5))
            there = set(studio.own_ids(project))  # it may have arrived all the same
            left = [one for one in left if one[0].task_id not in there]
            if not left:
                return
        else:
            return


def _note(workspace: Workspace, tasks: Sequence[LabelTask], standing: Mapping[str, LabelTask]) -> None:
    """Keep what is asked, once it stands on the server."""
    workspace.tables.append(
        task for task in tasks if task.task_id not in standing or standing[task.task_id].withdrawn
    )


def _queues(workspace: Workspace, studio: Studio, project: Project) -> Iterator[str]:
    """A tab a person without the tasks that he must not get: its address, and whose it is. Which account that
    is stands in no report, only in the file of `people`."""
    people = People(workspace.store, studio.url)
    names = [people.pseudonym(account) for account in studio.accounts()]
    for name, tab in zip(names, studio.queues(project, names), strict=True):
        yield f"{studio.url}/projects/{project.id}/data?tab={tab}&labeling=1  for {name}"
