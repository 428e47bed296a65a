"""Questions taken back from the server: what nobody shall be shown any more."""

from collections.abc import Callable, Iterable

from valor_data.labelstudio.client import Studio
from valor_data.records import Answer, LabelTask, Tombstone
from valor_data.stages.annotate.places import places
from valor_data.stages.annotate.standing import shown_clips, standing_tasks
from valor_data.stages.annotate.trial import Trial
from valor_data.workspace import Workspace


def take_back(workspace: Workspace, studio: Studio) -> int:
    """Take every task of a clip that nobody shall be shown any more from the server; their number."""
    standing = standing_tasks(workspace)
    if not standing:
        return 0
    clips = {shown.clip.clip_id for shown in shown_clips(workspace)} | Trial(workspace).rendered()
    return withdraw(workspace, studio, standing.values(), lambda task: task.clip_id not in clips)


def take_down(workspace: Workspace, studio: Studio) -> int:
    """Take every task of clips that were taken down from the server, with all its answers, whoever has pulled
    them; the number of tasks that the tables know."""
    gone = tasks_taken_down(workspace)
    for place in places(workspace, sorted({task.turn for task in gone if task.stage == "qualify"})):
        ids = {task.task_id for task in gone if place.holds(task)}
        project = studio.project(place.title) if ids else None
        if project is not None:
            there = studio.own_ids(project)
            studio.remove(project, [there[own] for own in sorted(ids) if own in there])
    return len(gone)


def tasks_taken_down(workspace: Workspace) -> list[LabelTask]:
    """Tasks that the tables still know of clips that were taken down: they may stand on the server."""
    clips = {row.value for row in workspace.tables.rows(Tombstone, scope="clip")}
    return [task for task in standing_tasks(workspace).values() if task.clip_id in clips] if clips else []


def withdraw(
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
