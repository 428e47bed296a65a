"""The stage: one open and one decode a clip, for all of its measurers that have not seen it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, reduce
from typing import TYPE_CHECKING, NamedTuple

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.media.observe import observe
from valor_data.recipe import Recipe
from valor_data.records import Measures, Media
from valor_data.runner import Done, Patience, Task
from valor_data.stages.measure.measurers import measurers
from valor_data.store import Store

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace


class Unmeasured(NamedTuple):
    """A clip's media, and who has not measured them."""

    media: Media
    missing: tuple[str, ...]
    """`made_by` of those."""

    @property
    def clip_id(self) -> str:
        return self.media.clip_id


class MeasureStage:
    """Media of the recipe's profile that a measurer of the recipe has not seen in its version."""

    patience = Patience()

    def __init__(self, recipe: Recipe, root: str) -> None:
        self.name = f"measure/{recipe.profile}"
        self._recipe = recipe
        self._root = root

    def tries(self, reason: Reason) -> int:
        """A decode that failed once may have met a busy machine; never more than that."""
        return 2

    def host(self, task: Task[Unmeasured]) -> None:
        """Measuring bothers nobody."""

    def seconds_limit(self, task: Task[Unmeasured]) -> float:
        """A decode takes tenths of the clip's length, a model about as much; this only ends a hang."""
        return 120.0 + sum(item.media.duration_ms for item in task.items) / 200

    def todo(self, workspace: "Workspace") -> tuple[int, Iterator[Task[Unmeasured]]]:
        """Media that lack a row of a measurer, or whose bytes changed since."""
        wanted = {one.made_by: one.record.table for one in measurers(self._recipe)}
        count, found = workspace.tables.unmeasured(self._recipe.profile, wanted, self.name)
        return count, (Task((Unmeasured(media, missing),)) for media, missing in found)

    @contextmanager
    def open_worker(
        self,
    ) -> Iterator[Callable[[Sequence[Unmeasured]], Iterable[Done[tuple[Measures, ...]]]]]:
        """One store a worker; a model opens with the first clip that needs it."""
        store = Store.open(self._root)
        known = {one.made_by: one for one in measurers(self._recipe)}
        opened = cache(lambda made_by: known[made_by].open())

        def rows(item: Unmeasured) -> Iterator[Measures]:
            asked = [known[made_by] for made_by in item.missing]
            wanted = reduce(lambda one, two: one | two, (one.wanted for one in asked))
            with store.local(item.media.object_key) as path:
                seen = observe(path, wanted)
                for one in asked:
                    yield one.record(
                        clip_id=item.clip_id,
                        media_sha256=item.media.sha256,
                        made_by=one.made_by,
                        **opened(one.made_by)(seen),
                    )

        def measure(items: Sequence[Unmeasured]) -> Iterator[Done[tuple[Measures, ...]]]:
            for item in items:
                try:
                    yield Done(item.clip_id, value=tuple(rows(item)))
                except (ItemError, RetryableError) as error:
                    yield Done(item.clip_id, error=error)

        yield measure

    def save(self, workspace: "Workspace", values: Sequence[tuple[Measures, ...]]) -> None:
        """One part a table and batch."""
        by_record: dict[type[Measures], list[Measures]] = {}
        for row in (row for rows in values for row in rows):
            by_record.setdefault(type(row), []).append(row)
        for rows in by_record.values():
            workspace.tables.append(rows)
