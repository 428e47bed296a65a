"""What is to fetch, and how a batch of it is kept."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from valor_data import layout, politeness
from valor_data.errors import Reason
from valor_data.recipe import Recipe
from valor_data.records import Clip, Outcome, Status
from valor_data.runner import Done, Patience, Task
from valor_data.stages.fetch.worker import Fetched, open_fetcher

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace


class FetchStage:
    """All clips of the tables that this profile still lacks; the clips of one video go together.

    With `from_mirrors` only the mirrors that come before the platform are tried, and what they lack
    is left to do: they bother no host, so its pace need not be kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        root: str,
        *,
        again: frozenset[Reason],
        closed_channels: frozenset[str] = frozenset(),
        from_mirrors: bool = False,
    ) -> None:
        self.name = f"fetch/{recipe.profile}"
        self.patience = Patience(recipe.retry.first_wait_s, recipe.retry.longest_wait_s)
        self._recipe = recipe
        self._root = root
        self._again = again
        self._closed_channels = closed_channels
        self._from_mirrors = from_mirrors

    def tries(self, reason: Reason) -> int:
        """The recipe's budget for this class of reason."""
        return self._recipe.retry.tries(reason)

    def seconds_limit(self, task: Task[Clip]) -> float:
        """Wall-clock limit of a video's clips together."""
        return self._recipe.fetch.clip_seconds_limit * len(task.items)

    def host(self, task: Task[Clip]) -> str | None:
        """The host whose pace a video keeps."""
        return None if self._from_mirrors else politeness.site(task.items[0].url)

    def todo(self, workspace: "Workspace") -> tuple[int, Iterator[Task[Clip]]]:
        """Clips without a final outcome of this profile, by video."""
        count, videos = workspace.tables.unfetched(self.name, self._again)
        return count, (Task(tuple(clips)) for clips in videos)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Clip]], Iterable[Done[Fetched]]]]:
        """One resolver, one gateway, one set of mirrors a worker."""
        with open_fetcher(self._recipe, self._root, self._closed_channels) as fetcher:
            yield fetcher.from_mirrors if self._from_mirrors else fetcher.from_anywhere

    def save(self, workspace: "Workspace", values: Sequence[Fetched]) -> None:
        """Videos, then media; the runner writes the ledger after them."""
        videos = {value.video.video_id: value.video for value in values if value.video}
        workspace.tables.append(videos.values())
        workspace.tables.append([value.media for value in values if value.media])


def sweep(workspace: "Workspace") -> int:
    """After a run that did not end well: remove its temporary files and the media objects that no row
    names, and mark clips whose object is gone as failed, so that they are fetched or derived again."""
    removed = workspace.store.sweep_temporary()
    named = workspace.tables.existing_objects()
    rendered = f"{layout.OBJECTS}{layout.QUALIFY}/"
    lying = {key for key in workspace.store.list(layout.OBJECTS) if not key.startswith(rendered)}
    orphans = lying - named
    workspace.store.delete(orphans)
    workspace.tables.append([_lost(key) for key in named - lying])
    return removed + len(orphans)


def _lost(key: str) -> Outcome:
    """The ledger's word that a clip's object is gone, so that it is made again."""
    profile, clip_id = layout.parse_object_key(key)
    return Outcome(
        stage=f"{'derive' if layout.is_derived(profile) else 'fetch'}/{profile}",
        clip_id=clip_id,
        status=Status.FAILED,
        reason=Reason.LOST,
        message=f"{key} is gone from the store",
        made_by="sweep@1",
    )
