"""The test before the work, in a workspace: its clips and questions, and the results as rows."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from valor_data import layout, scenes
from valor_data.errors import UserError
from valor_data.records import Answer, LabelTask, Qualified
from valor_data.stages.annotate.asking import Clip
from valor_data.stages.annotate.qualifying import Test, file_of, judge, read
from valor_data.stages.annotate.standing import Shown, results
from valor_data.workspace import Workspace


class Trial:
    """The test of a recipe; none where nobody has to qualify."""

    def __init__(self, workspace: Workspace) -> None:
        """Raises UserError for a file that does not serve."""
        self._workspace = workspace
        self._path = file_of(workspace.recipe)
        self.test: Test | None = read(self._path) if workspace.recipe.annotate.qualify else None

    @property
    def attempts(self) -> range:
        """All there may be, the first is 1."""
        if self.test is None:
            return range(1, 1)
        annulled = max((row.annulled for row in results(self._workspace).values()), default=0)
        return range(1, self.test.attempts + annulled + 1)

    def rendered(self) -> set[str]:
        """Clips that are no clips of the workspace."""
        return {task.clip.id for task in self.test.tasks if task.clip.clip_id is None} if self.test else set()

    @property
    def shown(self) -> set[str]:
        """Clips of the workspace that it shows."""
        return {task.clip.id for task in self.test.tasks if task.clip.clip_id} if self.test else set()

    def wanted(self) -> list[LabelTask]:
        """The questions of the first attempt, and of each that somebody has come to."""
        if self.test is None:
            return []
        over = {row.attempts for row in results(self._workspace).values() if not row.passed}
        open_ones = (one for one in self.attempts if one == 1 or max(over, default=0) >= one - 1)
        return [question for attempt in open_ones for question in self.test.questions(attempt)]

    def clips(self, of_workspace: Mapping[str, Shown]) -> dict[str, Shown]:
        """Its clips; what is not in the store yet is rendered. Raises UserError for one that there is not."""
        found = {}
        for place, task in enumerate(self.test.tasks if self.test else (), start=1):
            shown = task.clip
            if shown.visual is None:
                if shown.id not in of_workspace:
                    raise self._wrong(place, f"{shown.id} is no clip that may be shown; give another")
                found[shown.id] = of_workspace[shown.id]
                continue
            for given, known in ((shown.visual, scenes.VISUALS), (shown.sound, {None, *scenes.SOUNDS})):
                if given not in known:
                    raise self._wrong(
                        place, f"nothing is called {given!r}; known: {', '.join(filter(None, known))}"
                    )
            key = layout.object_key(layout.QUALIFY, shown.id)
            if not self._workspace.store.exists(key):
                with TemporaryDirectory() as folder:
                    path = Path(folder, "clip.mp4")
                    scenes.render_clip(path, scenes.make_scene(shown.visual, shown.sound, shown.seed))
                    self._workspace.store.put_file(key, path)
            found[shown.id] = Shown(Clip(shown.id, (), captioned=False), key, scenes.FPS)
        return found

    def check_page(self, config: str) -> None:
        """Raises UserError where a right answer cannot be given on the page."""
        boxes = {
            choice.get("alias") or choice.get("value")
            for control in ElementTree.fromstring(config).iter("Choices")
            if control.get("name") == "heard"
            for choice in control.iter("Choice")
        }
        for place, task in enumerate(self.test.tasks if self.test else (), start=1):
            for word in task.heard:
                if word not in boxes:
                    raise UserError(
                        f"{self._path}: task {place}: key 'heard': {word!r} is no box of the page; add it to "
                        "'heard' in qualify.xml, or give one that is there"
                    )

    def judge(self, said: Mapping[str, Mapping[str, Answer]]) -> list[Qualified]:
        """What is new of anybody's results by the standing answers: task_id -> person -> answer."""
        if self.test is None:
            return []
        own = {task.task_id for attempt in self.attempts for task in self.test.questions(attempt)}
        by_person: dict[str, dict[str, Answer]] = defaultdict(dict)
        for task_id in own & said.keys():
            for name, answer in said[task_id].items():
                by_person[name][task_id] = answer
        before = results(self._workspace)
        rows = (judge(self.test, name, by_person[name], before.get(name)) for name in sorted(by_person))
        return [row for row in rows if row is not None]

    def _wrong(self, place: int, told: str) -> UserError:
        return UserError(f"{self._path}: task {place}: key 'clip': {told}")


def readmit(workspace: Workspace, pseudonym: str) -> int:
    """Annul the last attempt of somebody who has failed the test: there may be one more, which the next push
    opens; its number. Raises UserError where there is nothing to annul."""
    row = results(workspace).get(pseudonym)
    if row is None:
        raise UserError(f"{pseudonym}: nobody of that pseudonym was judged; see the table qualifications")
    if row.passed:
        raise UserError(f"{pseudonym} has passed the test; there is nothing to annul")
    if row.annulled >= row.attempts:
        raise UserError(f"{pseudonym}: every attempt is annulled; the next one is there to be answered")
    workspace.tables.append([row.model_copy(update={"annulled": row.annulled + 1})])
    return row.attempts + 1
