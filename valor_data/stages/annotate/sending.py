"""Questions on their way to the server: made ready here while the server takes those before them."""

import time
from collections import deque
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, Self, TypeVar

from valor_data.errors import FatalError
from valor_data.labelstudio.client import Project, Studio, Unsure
from valor_data.records import LabelTask
from valor_data.stages.annotate import cursors
from valor_data.workspace import Workspace

BATCH = 2_500
"""Tasks of one request, a megabyte: the server takes as long for four of them as for one of 10,000."""
FIRST = 500
"""Of a project's first request, so that the server begins early."""
_AHEAD = 2
"""Batches that are made before the server has taken one."""
_TRIES, _WAIT_S = 6, 2.0

PlaceT = TypeVar("PlaceT")
Data = Callable[[], Mapping[str, Any]]
"""Makes what the page gets of a task."""


class _Open(NamedTuple):
    """A project that takes tasks."""

    project: Project
    there: Mapping[str, int]
    """Our id of each task that stands there -> the server's."""
    tasks: int
    """All that stand there."""


class _Waiting(NamedTuple):
    """A task that waits for its batch."""

    task: LabelTask
    data: Data
    always: bool
    """Whether it is sent although it was answered."""


class _Lane:
    """One project's tasks on their way."""

    def __init__(self, opened: "Future[_Open]") -> None:
        self.opened = opened
        self.waiting: list[_Waiting] = []
        self.sent = 0


class Sender(Generic[PlaceT]):
    """Brings to each project what is not there and was never answered, and keeps it as asked once it stands
    on the server. Leaving the `with` by an error waits for the one request that is on its way.

    Nothing is asked twice: each task carries our own id, and what stands on the server is listed first, and
    again after a request of which nobody knows whether it arrived. What a run that was killed had sent may
    still be stored behind the list; so tasks are counted at the end, and one too many is taken back.
    """

    def __init__(
        self,
        workspace: Workspace,
        studio: Studio,
        open_project: Callable[[PlaceT], Project],
        standing: Mapping[str, LabelTask],
        answered: Container[str],
    ) -> None:
        """`standing`: what was asked before; `answered`: ids of what somebody answered."""
        self._workspace, self._studio, self._open_project = workspace, studio, open_project
        self._standing, self._answered = standing, answered
        self._lanes: dict[PlaceT, _Lane] = {}
        self._on_way: deque[tuple[Future[None], list[LabelTask]]] = deque()
        self._server = ThreadPoolExecutor(1, "server")  # one request at a time, in order

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._server.shutdown(wait=True, cancel_futures=kind is not None)

    @property
    def new(self) -> int:
        """Tasks that were brought."""
        return sum(lane.sent for lane in self._lanes.values())

    def put(self, place: PlaceT, task: LabelTask, data: Data, *, always: bool = False) -> None:
        """Bring a task where it is missing; with `always` also one that was answered."""
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = _Lane(self._server.submit(self._open, place))
        lane.waiting.append(_Waiting(task, data, always))
        if len(lane.waiting) >= (BATCH if lane.sent else FIRST):
            self._send(lane)

    def finish(self) -> dict[PlaceT, Project]:
        """Wait until all stands on the server: the projects that were asked for, whatever was missing."""
        for lane in self._lanes.values():
            self._send(lane)
        checks = [self._server.submit(self._check, lane) for lane in self._lanes.values()]
        while self._on_way:
            self._keep_first()
        for one in checks:
            one.result()
        return {place: lane.opened.result().project for place, lane in self._lanes.items()}

    def _open(self, place: PlaceT) -> _Open:
        project = self._open_project(place)
        return self._listed(project) if project.tasks else _Open(project, {}, 0)

    def _listed(self, project: Project) -> _Open:
        """What stands there; of two tasks of the same id one without an answer is taken back."""
        found = self._studio.listed(project)
        self._studio.remove(project, found.surplus)
        return _Open(project, found.ids, found.tasks - len(found.surplus))

    def _send(self, lane: _Lane) -> None:
        """Hand what waits to the server's thread; its data are made here, while that one waits."""
        project, there, _ = lane.opened.result()
        waiting, lane.waiting = lane.waiting, []
        found = [one.task for one in waiting if one.task.task_id in there and not self._is_known(one.task)]
        if (
            found
        ):  # a run was killed before it kept them; people may have answered since, and a pull passed by
            self._workspace.tables.append(found)
            cursors.rewind(self._workspace.store, cursors.name_of(self._studio.url, project.id))
        missing = [
            one
            for one in waiting
            if one.task.task_id not in there and (one.always or one.task.task_id not in self._answered)
        ]
        if missing:
            lane.sent += len(missing)
            batch = [(one.task, one.data()) for one in missing]
            asked = [one.task for one in missing]
            self._on_way.append((self._server.submit(self._import, project, batch), asked))
        while len(self._on_way) > _AHEAD:
            self._keep_first()

    def _keep_first(self) -> None:
        done, tasks = self._on_way.popleft()
        done.result()
        self._workspace.tables.append(task for task in tasks if not self._is_known(task))

    def _is_known(self, task: LabelTask) -> bool:
        old = self._standing.get(task.task_id)
        return old is not None and not old.withdrawn

    def _import(self, project: Project, batch: list[tuple[LabelTask, Mapping[str, Any]]]) -> None:
        left = batch
        for attempt in range(_TRIES):
            try:
                self._studio.add(project, [{"data": data} for _, data in left])
            except Unsure as error:
                if attempt + 1 == _TRIES:
                    raise FatalError(
                        f"{error}; what arrived is kept, the same command goes on from here"
                    ) from None
                time.sleep(max(error.wait_s, _WAIT_S * 2**attempt if attempt else 0.5))
                there = self._listed(project).there  # it may have arrived all the same
                left = [one for one in left if one[0].task_id not in there]
                if not left:
                    return
            else:
                return

    def _check(self, lane: _Lane) -> None:
        """Take back what is there twice, where there are more than there should be."""
        project, _, before = lane.opened.result()
        if lane.sent and self._studio.count(project) > before + lane.sent:
            self._listed(project)
