"""The stage: what of the releasable clips is not derived yet, or from other bytes than the clip has now."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from valor_data import layout
from valor_data.errors import ItemError, Reason, RetryableError
from valor_data.media import derive as media
from valor_data.media import ffmpeg
from valor_data.recipe import Recipe
from valor_data.records import Derived, Media
from valor_data.runner import Done, Patience, Task
from valor_data.store import Store

if TYPE_CHECKING:  # workers import this module and shall not pay for the tables
    from valor_data.workspace import Workspace

DERIVE = "derive@1"


class _Kept(NamedTuple):
    """A file that was put into the store."""

    key: str
    sha256: str
    bytes: int


class DeriveStage:
    """Clips that a release of the recipe would hold, whose pair is missing or stale."""

    patience = Patience()

    def __init__(self, recipe: Recipe, root: str) -> None:
        self.name = f"derive/{recipe.derived_profile}"
        self._recipe = recipe
        self._root = root

    def tries(self, reason: Reason) -> int:
        """A decode that failed once may have met a busy machine; never more than that."""
        return 2

    def host(self, task: Task[Media]) -> None:
        """Deriving bothers nobody."""

    def seconds_limit(self, task: Task[Media]) -> float:
        """It takes tenths of the clip's length; this only ends a hang."""
        return 120.0 + sum(media.duration_ms for media in task.items) / 200

    def todo(self, workspace: "Workspace") -> tuple[int, Iterator[Task[Media]]]:
        """Media of the clips that may be released, of which nothing current is derived."""
        count, found = workspace.tables.underived(workspace.recipe, self.name)
        return count, (Task((one,)) for one in found)

    @contextmanager
    def open_worker(self) -> Iterator[Callable[[Sequence[Media]], Iterable[Done[Derived]]]]:
        """One store and one scratch folder a worker."""
        store = Store.open(self._root)
        with tempfile.TemporaryDirectory(prefix="valor-data-") as folder:
            scratch = Path(folder)

            def work(items: Sequence[Media]) -> Iterator[Done[Derived]]:
                for item in items:
                    try:
                        yield Done(item.clip_id, value=self._derived(item, store, scratch))
                    except (ItemError, RetryableError) as error:
                        yield Done(item.clip_id, error=error)

            yield work

    def save(self, workspace: "Workspace", values: Sequence[Derived]) -> None:
        """One part a batch."""
        workspace.tables.append(values)

    def _derived(self, item: Media, store: Store, scratch: Path) -> Derived:
        settings, profile = self._recipe.derive, self._recipe.derived_profile
        span = layout.parse_clip_id(item.clip_id)
        mp4, flac = scratch / "clip.mp4", scratch / "clip.flac"
        try:
            with store.local(item.object_key) as source:
                made = media.derive(source, settings, span.end_ms - span.start_ms, mp4, flac)
            picture, sound = made.picture, None
            kept = _keep(store, layout.object_key(profile, item.clip_id), mp4) if picture else None
            if made.has_sound:
                sound = _keep(store, layout.object_key(profile, item.clip_id, "flac"), flac)
        finally:
            mp4.unlink(missing_ok=True)
            flac.unlink(missing_ok=True)
        return Derived(
            clip_id=item.clip_id,
            profile=profile,
            media_sha256=item.sha256,
            duration_ms=made.duration_ms,
            object_key=kept and kept.key,
            sha256=kept and kept.sha256,
            bytes=kept and kept.bytes,
            width=picture and picture.width,
            height=picture and picture.height,
            fps=float(settings.fps) if picture else None,
            sound_key=sound and sound.key,
            sound_sha256=sound and sound.sha256,
            sound_bytes=sound and sound.bytes,
            sample_rate=settings.sample_rate if sound else None,
            made_by=f"{DERIVE} {ffmpeg.tool_versions()}",
        )


def _keep(store: Store, key: str, path: Path) -> _Kept:
    store.put_file(key, path)
    with path.open("rb") as file:
        return _Kept(key, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
