"""Clips to numbers: every measurer's rows for the media that lack them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.media import sound
from valor_data.recipe import Recipe
from valor_data.records import AudioMeasures, Media
from valor_data.runner import Done, Patience, Task
from valor_data.store import Store

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace

# A number whose meaning changes is a new version: old rows stay what they were.
AUDIO = "audio@1"


class AudioStage:
    """Media of the recipe's profile whose sound this version has not measured."""

    patience = Patience()

    def __init__(self, recipe: Recipe, root: str) -> None:
        self.name = f"{AUDIO}/{recipe.profile}"
        self._profile = recipe.profile
        self._root = root

    def tries(self, reason: Reason) -> int:
        """A decode that failed once may have met a busy machine; never more than that."""
        return 2

    def host(self, task: Task[Media]) -> None:
        """Measuring bothers nobody."""

    def seconds_limit(self, task: Task[Media]) -> float:
        """A decode takes hundredths of the clip's length; this only ends a hang."""
        return 60.0 + sum(media.duration_ms for media in task.items) / 1000

    def todo(self, workspace: "Workspace") -> tuple[int, Iterator[Task[Media]]]:
        """Media without a row, or whose bytes changed since."""
        table = AudioMeasures.table
        count, media = workspace.tables.unmeasured(self._profile, table, AUDIO, self.name)
        return count, (Task((row,)) for row in media)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Media]], Iterable[Done[AudioMeasures]]]]:
        """One store a worker."""
        store = Store.open(self._root)

        def measure(items: Sequence[Media]) -> Iterator[Done[AudioMeasures]]:
            for media in items:
                try:
                    yield Done(media.clip_id, value=_measure(store, media))
                except (ItemError, RetryableError) as error:
                    yield Done(media.clip_id, error=error)

        yield measure

    def save(self, workspace: "Workspace", values: Sequence[AudioMeasures]) -> None:
        """One part a batch."""
        workspace.tables.append(values)


def _measure(store: Store, media: Media) -> AudioMeasures:
    with store.local(media.object_key) as path:
        numbers = sound.measure_audio(path)
    return AudioMeasures(clip_id=media.clip_id, media_sha256=media.sha256, made_by=AUDIO, **numbers._asdict())
