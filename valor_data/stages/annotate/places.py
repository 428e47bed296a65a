"""The projects of a recipe on the server: which there are, which tasks stand in which, and their pages."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from valor_data import layout
from valor_data.labelstudio import config as pages
from valor_data.labelstudio.client import Project, Studio
from valor_data.records import LabelTask, Mode
from valor_data.stages.annotate.drafting import with_draft
from valor_data.stages.annotate.people import People
from valor_data.stages.annotate.trial import Trial
from valor_data.workspace import Workspace

_EVERYBODY = 1000
"""So many may take the test."""
_LONGEST = 28
_MODES: tuple[Mode, ...] = ("av", "muted", "screen-off")
_Key = tuple[str, Mode, int, bool]


class Place(NamedTuple):
    """One project: a stage, and what of the clip is shown."""

    title: str
    stage: Literal["qualify", "caption", "draft", "review"]
    mode: Mode = "av"
    attempt: int = 0
    """`qualify`: which."""
    again: bool = False
    """`review`: for places that were lost, each task for one person."""

    @property
    def key(self) -> _Key:
        """`key_of` each task that belongs here."""
        return self.stage, self.mode, self.attempt, self.again

    def holds(self, task: LabelTask) -> bool:
        """Whether a task belongs here."""
        return self.key == key_of(task)

    @property
    def page(self) -> pages.Page:
        """What its people see."""
        return "caption" if self.stage == "draft" else self.stage


def key_of(task: LabelTask) -> _Key:
    """Which place holds a task."""
    is_test, is_check = task.stage == "qualify", task.stage == "review"
    return task.stage, task.mode, task.turn if is_test else 0, is_check and task.slot > 0


def places(workspace: Workspace, attempts: Iterable[int]) -> list[Place]:
    """The projects of a recipe, by title. `attempts`: those that the test has."""
    name = workspace.recipe.name
    if len(name) > _LONGEST:  # the server takes 50 letters
        name = f"{name[: _LONGEST - 7]}-{layout.digest(name)[:6]}"
    tests = [
        Place(f"{name}: qualify{'' if n == 1 else f', attempt {n}'}", "qualify", attempt=n) for n in attempts
    ]
    shown = [Place(f"{name}: captions{'' if m == 'av' else f', {m}'}", "caption", m) for m in _MODES]
    checks = [Place(f"{name}: review", "review"), Place(f"{name}: review, again", "review", again=True)]
    return [*tests, Place(f"{name}: drafts", "draft"), *shown, *checks]


def opened(workspace: Workspace, studio: Studio, place: Place, trial: Trial) -> tuple[Project, list[str]]:
    """The project, made where it is missing and brought up to date where its page changed."""
    asked, people = workspace.recipe.annotate, 1
    if place.stage == "review" and not place.again:
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
    elif (project.config, project.people) != (config, people):
        pushed_before = project.config != config and project.description == description
        studio.update(project, config, description, "", people)
        if pushed_before:
            warnings.append(
                f"{place.title}: the label config was edited on the server; it is put back. Edit the files "
                "of annotation/ instead"
            )
    if asked.media == "files":
        studio.serve_folder(project, workspace.store.path(layout.OBJECTS.rstrip("/")))
    return project, warnings


def queues(workspace: Workspace, studio: Studio, project: Project) -> Iterator[str]:
    """A tab a person without the tasks that he must not get: its address, and whose it is. Which account that
    is stands in no report, only in the file of `people`."""
    people = People(workspace.store, studio.url)
    names = [people.pseudonym(account) for account in studio.accounts()]
    for name, tab in zip(names, studio.queues(project, names), strict=True):
        yield f"{studio.url}/projects/{project.id}/data?tab={tab}&labeling=1  for {name}"
