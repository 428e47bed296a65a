"""Questions to the server: what is missing there is imported, what nobody shall be shown is taken back."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from tqdm import tqdm

from valor_data.errors import UserError
from valor_data.labelstudio.client import Project, Studio
from valor_data.labelstudio.server import clip_url
from valor_data.records import LabelTask
from valor_data.stages.annotate.asking import Known, caption_tasks, review_tasks
from valor_data.stages.annotate.places import Place, key_of, opened, places, queues
from valor_data.stages.annotate.sending import Data, Sender
from valor_data.stages.annotate.standing import Shown, known, shown_clips, standing_tasks
from valor_data.stages.annotate.trial import Trial
from valor_data.stages.annotate.withdrawing import withdraw
from valor_data.workspace import Workspace

_SIGNED_S = 7 * 24 * 3600

Asked = Iterator[tuple[LabelTask, Data]]


class Pushed(NamedTuple):
    """What a push did."""

    wanted: int
    new: int
    withdrawn: int
    projects: list[str]
    """Address of each project, with the queue of each person where people must be kept apart."""
    warnings: list[str]


def push(workspace: Workspace, studio: Studio, *, review: bool, progress: bool) -> Pushed:
    """Bring the questions for captions, or with `review` those for checks, to the server.

    Nothing is asked twice, killed anywhere: see `Sender`. Raises UserError for a label config that does not
    serve, and what `Studio` raises.
    """
    with ThreadPoolExecutor(1) as reading:
        clips = reading.submit(_begun, shown_clips(workspace))  # the longest read, beside the others
        said, trial, standing = known(workspace), Trial(workspace), standing_tasks(workspace)
        shown = tqdm(clips.result(), unit="clip", disable=None if progress else True)
    by_key = {place.key: place for place in places(workspace, trial.attempts)}
    warnings: list[str] = []

    def open_project(place: Place) -> Project:
        project, told = opened(workspace, studio, place, trial)
        warnings.extend(told)
        return project

    seen: dict[str, bool] = {}  # clip_id -> whether it came with a caption
    asked: set[str] = set()
    with Sender(workspace, studio, open_project, standing, said.answers) as sender:
        asking = (_checks if review else _captions)(workspace, said, trial, shown, seen)
        for task, data in asking:
            asked.add(task.task_id)
            # The test is there for whoever comes.
            sender.put(by_key[key_of(task)], task, data, always=task.stage == "qualify")
        projects = sender.finish()
    addresses = []
    for place in by_key.values():
        if place in projects:
            addresses.append(f"{studio.url}/projects/{projects[place].id}/data?labeling=1")
            addresses += queues(workspace, studio, projects[place])
    if not asked:
        warnings.append(_nothing(seen, review=review))
    rendered = trial.rendered()
    gone = withdraw(
        workspace,
        studio,
        standing.values(),
        lambda task: (
            (task.clip_id not in seen and task.clip_id not in rendered)
            or (
                review
                and task.stage == "review"
                and task.task_id not in asked
                and task.task_id not in said.answers
            )
        ),
    )
    return Pushed(len(asked), sender.new, gone, addresses, warnings)


def _begun(clips: Iterator[Shown]) -> Iterator[Shown]:
    """The same, the query over."""
    first = next(clips, None)
    return clips if first is None else chain([first], clips)


def _captions(
    workspace: Workspace, said: Known, trial: Trial, clips: Iterable[Shown], seen: dict[str, bool]
) -> Asked:
    """The questions for captions, and the test."""
    of_test: dict[str, Shown] = {}
    for shown in clips:
        seen[shown.clip.clip_id] = shown.clip.captioned
        if shown.clip.clip_id in trial.shown:
            of_test[shown.clip.clip_id] = shown
        for task in caption_tasks(workspace.recipe, shown.clip, said):
            yield task, partial(_data, workspace, task, shown)
    of_test = trial.clips(of_test)
    for task in trial.wanted():
        yield task, partial(_data, workspace, task, of_test[task.clip_id])


def _checks(
    workspace: Workspace, said: Known, trial: Trial, clips: Iterable[Shown], seen: dict[str, bool]
) -> Asked:
    """The checks of captions."""
    own = {one.clip_id for one in said.captions.values() if not one.deleted and one.text}
    kept: dict[str, Shown] = {}
    for shown in clips:
        seen[shown.clip.clip_id] = shown.clip.captioned
        if shown.clip.clip_id in own:
            kept[shown.clip.clip_id] = shown
    captions = [one for one in said.captions.values() if not one.deleted and one.text and one.clip_id in kept]
    captions.sort(key=lambda one: (one.clip_id, one.caption_id))
    for task in review_tasks(workspace.recipe, captions, said):
        yield task, partial(_data, workspace, task, kept[task.clip_id], said.captions[task.caption_id].text)


def _nothing(clips: Mapping[str, bool], *, review: bool) -> str:
    """Why nothing is asked, and what helps."""
    if not clips:
        return "nothing to ask: no clip is fetched and kept; run 'valor-data fetch' and 'filter' first"
    if review:
        return "nothing to check: no caption of an annotator is there; run 'valor-data annotate pull' first"
    return (
        f"nothing to ask: all {len(clips)} kept clips have an imported caption; annotate.captioned_too = "
        "true asks for more"
    )


def _data(workspace: Workspace, task: LabelTask, shown: Shown, text: str = "") -> dict[str, Any]:
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
